"""The one way to ask a venue: by its read list, within its budgets, archived, and with a name for all that goes wrong.

An ask waits for its turn (the breaker, then the budget), is signed, sent, archived and judged. What may pass is tried
again with growing pauses; what does not pass raises a named error. No error, log line or row holds a key, a secret or a
signature.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from recon_pipeline.errors import ConfigError
from recon_pipeline.transport.archive import AnswerArchive, Question
from recon_pipeline.transport.breaker import Breaker, Hopeless, Limits
from recon_pipeline.transport.budgets import Budgets, Grant, Place
from recon_pipeline.transport.clock import Clock, Stop, go_on
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.dialect import Dialect, RawRequest, Refusal, Remedy
from recon_pipeline.transport.endpoints import Endpoint, ReadList
from recon_pipeline.transport.errors import (
    EndpointUnreachable,
    HostBanned,
    MalformedAnswer,
    NetworkError,
    RateLimit,
    VenueError,
    VenueUnreachable,
)
from recon_pipeline.transport.secret import without, without_bytes
from recon_pipeline.transport.signing import Params, wire_params
from recon_pipeline.transport.wire import Exchange, NoAnswer, NotJson, Timeouts, Wire, parsed

_CHANCE = random.SystemRandom()
_LOG = logging.getLogger(__name__)
_MESSAGE_LENGTH_MAX = 300
_SHOULD_BE_JSON = "JSON as the venue's page describes it"


@dataclass(frozen=True)
class Answer:
    """What a venue answered. Its content shows nowhere by itself: it holds amounts."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """By lower-case name."""
    body: bytes = field(repr=False)
    json: Any = field(repr=False)
    """Parsed: text, int, Decimal, bool, None, lists and objects of these."""
    response_id: int
    digest: str
    asked_at: datetime


@dataclass(frozen=True)
class Patience:
    """How often is asked again, and after which pauses."""

    failures_max: int = 8
    """Tries where the network or the venue fails: with their pauses one and a half to two minutes."""
    malformed_max: int = 3
    refusals_max: int = 8
    """Tries where the allowance is said to be used up."""
    backoff_seconds: float = 1.0
    backoff_seconds_max: float = 60.0
    told_seconds_max: float = 300.0
    """The longest pause that a venue which fails may ask for with Retry-After. Where it asks for more, nobody asks that
    endpoint until it is over."""
    ban_seconds_min: float = 120.0
    """How long an address that is banned until no instant to come is left alone."""
    ban_suspected_seconds: tuple[float, ...] = (60.0, 120.0)
    """Pauses before a key that worked a moment ago is believed to be invalid."""
    key_worked_minutes: int = 15


@dataclass
class _Tries:
    """What was tried of one ask, by what came of it."""

    failures: int = 0
    malformed: int = 0
    refusals: int = 0
    suspicions: int = 0
    clock_was_set: bool = False


@dataclass(frozen=True)
class _Ask:
    """One ask, as it stays from try to try."""

    endpoint: Endpoint
    params: Params
    credentials: Credentials | None
    place: Place
    live: bool
    stop: Stop

    @property
    def account(self) -> str | None:
        return self.credentials.account if self.credentials else None


@dataclass(frozen=True)
class _Failed:
    """What went wrong with one try."""

    error: VenueError
    refusal: Refusal


class Client:
    """Asks one venue; shared by the threads of its accounts."""

    def __init__(
        self,
        venue: str,
        base_urls: Mapping[str, str],
        read_list: ReadList,
        dialect: Dialect,
        *,
        budgets: Budgets,
        archive: AnswerArchive,
        clock: Clock,
        run_id: str | None = None,
        timeouts: Timeouts | None = None,
        patience: Patience | None = None,
        breaker_limits: Limits | None = None,
        jitter: Callable[[], float] = _CHANCE.random,
    ) -> None:
        self.venue = venue
        self.clock = clock
        self.run_id = run_id
        self._read_list = read_list
        self._dialect = dialect
        self._budgets = budgets
        self._archive = archive
        self._patience = patience or Patience()
        self._breakers = {host: Breaker(breaker_limits) for host in base_urls}
        self._jitter = jitter
        self._clock_lock = threading.Lock()
        self._clock_is_set = clock.is_simulated
        self._believed_invalid: set[str] = set()
        self._wire = Wire(venue, base_urls, timeouts or Timeouts())

    def ask(
        self,
        endpoint: Endpoint,
        params: Params | None = None,
        credentials: Credentials | None = None,
        *,
        live: bool = False,
        stop: Stop = go_on,
    ) -> Answer:
        """Ask, wait and try again as need be; the answer, or a named error.

        `live` is for captures and live checks, which never wait behind a backfill. `stop` is called wherever nothing is
        half done.
        """
        listed = self._read_list.find(endpoint.method, endpoint.path)
        if listed.security == "signed":
            self._need(credentials, listed)
            self._set_clock_once(stop)
        else:
            credentials = None
        place = self._place(listed, credentials)
        return self._ask(_Ask(listed, params or {}, credentials, place, live, stop))[0]

    def set_clock(self, stop: Stop = go_on) -> None:
        """Take over the venue's time."""
        endpoint = self._dialect.time_endpoint
        if endpoint is None:
            return
        place = self._place(endpoint, None)
        answer, exchange = self._ask(_Ask(endpoint, {}, None, place, True, stop))
        try:
            server_time = self._dialect.server_time(answer.json)
        except (LookupError, TypeError, ValueError, OverflowError):
            raise MalformedAnswer(
                "the venue's time cannot be read", venue=self.venue, endpoint=str(endpoint), status=answer.status,
                expected="an instant", response_id=answer.response_id, digest=answer.digest,
            ) from None  # fmt: skip
        self.clock.correct(server_time, exchange.began, exchange.ended)

    def close(self) -> None:
        """Close the connections to the venue; budgets and archive are others' to close."""
        self._wire.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- one ask

    def _ask(self, asked: _Ask) -> tuple[Answer, Exchange]:
        tries = _Tries()
        while True:
            outcome = self._try(asked)
            if not isinstance(outcome, _Failed):
                self._believed_invalid.discard(asked.account or "")
                return outcome
            self._mend(asked, tries, outcome)

    def _try(self, asked: _Ask) -> tuple[Answer, Exchange] | _Failed:
        """Ask once."""
        breaker, endpoint = self._breakers[asked.endpoint.host], str(asked.endpoint)
        grant = self._admitted(asked, breaker)
        try:
            asked_at = self.clock.now()
            signed_at = self.clock.signing_time()
            raw = self._dialect.sign(asked.endpoint, asked.params, asked.credentials, signed_at)
            try:
                exchange = self._wire.exchange(asked.endpoint, raw)
            except BaseException:
                self.clock.look_again()
                raise
            self.clock.look_again(exchange.headers)
            answer, found = self._judged(asked, raw, exchange, asked_at, grant)
        except NoAnswer as nothing:
            breaker.failed(endpoint, self.clock.now())
            refusal = Refusal(NetworkError, str(nothing), remedy=Remedy.TRY_AGAIN)
            return _Failed(self._error(asked, refusal), refusal)
        except BaseException:
            breaker.given_up(endpoint)
            raise
        if found is not None and found.remedy is Remedy.TRY_AGAIN:
            breaker.failed(endpoint, self.clock.now(), is_answer=True)
        else:
            breaker.succeeded(endpoint)
        return (answer, exchange) if found is None else _Failed(self._error(asked, found, answer, raw), found)

    def _admitted(self, asked: _Ask, breaker: Breaker) -> Grant:
        """Wait for the breaker, then for the budget."""
        endpoint = str(asked.endpoint)
        while True:
            try:
                while seconds := breaker.waits(endpoint, self.clock.now()):
                    self.clock.sleep(seconds, asked.stop)
                grant = self._budgets.take(
                    asked.place, asked.endpoint.weight, endpoint=endpoint, live=asked.live, stop=asked.stop
                )
            except Hopeless as error:
                unreachable = VenueUnreachable if error.is_host else EndpointUnreachable
                raise unreachable(
                    f"no question{'' if error.is_host else ' of this endpoint'} was answered since"
                    f" {error.since:%Y-%m-%d %H:%M:%S} UTC",
                    venue=self.venue, endpoint=endpoint, account=asked.account,
                    expected=f"an answer of {asked.place.host}",
                ) from None  # fmt: skip
            except (RateLimit, EndpointUnreachable) as error:
                of = endpoint if isinstance(error, EndpointUnreachable) else error.endpoint
                raise type(error)(
                    error.found, venue=self.venue, endpoint=of, account=asked.account,
                    expected=error.expected, until=error.until,
                ) from None  # fmt: skip
            if breaker.enter(endpoint, self.clock.now()):
                return grant

    def _judged(
        self, asked: _Ask, raw: RawRequest, exchange: Exchange, asked_at: datetime, grant: Grant
    ) -> tuple[Answer, Refusal | None]:
        """Archive an answer, correct the budget by its headers, read it, and say what is wrong with it."""
        secrets = self._secrets(asked, raw)
        question = Question(
            self.venue, asked.account, asked.endpoint.method, asked.endpoint.path,
            {name: without(text, secrets) for name, text in wire_params(asked.params).items()}, asked_at, self.run_id,
        )  # fmt: skip
        took_ms = round((exchange.ended - exchange.began) * 1000)
        body = without_bytes(exchange.body, secrets)
        kept = self._archive.keep(question, exchange.status, body, took_ms)
        used = self._dialect.used_weight(asked.endpoint, exchange.headers)
        if used is not None:
            self._budgets.correct(grant, used)
        problem, content = None, None
        try:
            content = parsed(body)  # what is archived: a venue that tells a secret back tells it to nobody else
        except NotJson as error:
            problem = str(error)
        answer = Answer(exchange.status, exchange.headers, body, content, kept.response_id, kept.digest, asked_at)
        refusal = self._dialect.classify(asked.endpoint, exchange.status, exchange.headers, content)
        if refusal is None and problem is not None:
            refusal = Refusal(MalformedAnswer, problem, remedy=Remedy.ASK_AGAIN, expected=_SHOULD_BE_JSON)
        if refusal is not None and self._wants_rest(refusal):
            until = self.clock.now() + timedelta(seconds=refusal.wait_seconds or 0.0)
            found = f"{refusal.found}, and wants to be left alone until {until:%Y-%m-%d %H:%M:%S} UTC"
            refusal = replace(refusal, error=EndpointUnreachable, found=found, until=until)
        return answer, refusal

    def _wants_rest(self, refusal: Refusal) -> bool:
        """Whether a venue that fails asks for a longer pause than anybody waits for."""
        is_failure = refusal.remedy is Remedy.TRY_AGAIN
        return is_failure and (refusal.wait_seconds or 0.0) > self._patience.told_seconds_max

    def _error(
        self, asked: _Ask, refusal: Refusal, answer: Answer | None = None, raw: RawRequest | None = None
    ) -> VenueError:
        secrets = self._secrets(asked, raw)
        message = _one_line(without(refusal.message, secrets))
        found = refusal.found or "the venue refuses"
        return refusal.error(
            without(f"{found}: {message}" if message else found, secrets),
            venue=self.venue,
            endpoint=str(asked.endpoint),
            account=asked.account,
            status=answer.status if answer else None,
            code=refusal.code,
            message=message,
            expected=refusal.expected,
            next_step=refusal.next_step,
            until=refusal.until,
            response_id=answer.response_id if answer else None,
            digest=answer.digest if answer else None,
        )

    # -- after a refusal

    def _mend(self, asked: _Ask, tries: _Tries, failed: _Failed) -> None:
        """Do what helps, so that it may be asked again; raises the error if nothing does."""
        remedy = failed.refusal.remedy
        _LOG.info("%s %s: %s", self.venue, asked.endpoint, type(failed.error).__name__)
        if remedy is Remedy.TRY_AGAIN:
            tries.failures += 1
            self._pause(asked, failed, tries.failures, self._patience.failures_max)
        elif remedy is Remedy.ASK_AGAIN:
            tries.malformed += 1
            self._pause(asked, failed, tries.malformed, self._patience.malformed_max)
        elif remedy is Remedy.WAIT:
            tries.refusals += 1
            self._hold(asked, failed, tries.refusals)
        elif remedy is Remedy.SET_CLOCK and not tries.clock_was_set:
            tries.clock_was_set = True
            self.set_clock(asked.stop)
        elif remedy is Remedy.SUSPECT_BAN:
            self._suspect(asked, failed, tries)
        else:
            raise failed.error

    def _pause(self, asked: _Ask, failed: _Failed, tried: int, tries_max: int) -> None:
        told = failed.refusal.wait_seconds or 0.0
        if self._wants_rest(failed.refusal):
            why = f"HTTP {failed.error.status}, code {failed.error.code}"
            self._budgets.rest(asked.place.host, str(asked.endpoint), told, why)
            raise failed.error
        if tried >= tries_max:
            raise failed.error
        self.clock.sleep(max(self._backoff(tried), told), asked.stop)

    def _backoff(self, tried: int) -> float:
        """Twice as long each time, up to the longest, and half of it by chance: many do not come back together."""
        whole = min(self._patience.backoff_seconds * 2 ** (tried - 1), self._patience.backoff_seconds_max)
        return float(whole * (0.5 + self._jitter() / 2))

    def _hold(self, asked: _Ask, failed: _Failed, tried: int) -> None:
        """Store how long the venue wants to be left alone: the next try waits for it, or has no patience for it."""
        error, refusal = failed.error, failed.refusal
        told = refusal.wait_seconds or 0.0
        if refusal.until is not None:
            told = max(told, (refusal.until - self.clock.now()).total_seconds())
        if told <= 0 and isinstance(error, HostBanned):
            told = self._patience.ban_seconds_min
        seconds = max(self._backoff(tried), told)
        why = f"HTTP {error.status}, code {error.code}"
        if isinstance(error, HostBanned):
            for host in self._breakers:  # the address is banned, whichever host of the venue said so
                self._budgets.ban(self._host(host), seconds, why)
        else:
            self._budgets.hold(asked.place, seconds, why)
        if tried >= self._patience.refusals_max:
            error.until = error.until or self.clock.now() + timedelta(seconds=seconds)
            raise error

    def _suspect(self, asked: _Ask, failed: _Failed, tries: _Tries) -> None:
        """A key that worked minutes ago is more likely banned for a while than revoked."""
        pauses, account = self._patience.ban_suspected_seconds, asked.account or ""
        since = self.clock.now() - timedelta(minutes=self._patience.key_worked_minutes)
        may_be_banned = tries.suspicions < len(pauses) and account not in self._believed_invalid
        if may_be_banned and self._archive.worked_since(self.venue, account, since):
            tries.suspicions += 1
            self.clock.sleep(pauses[tries.suspicions - 1], asked.stop)
            return
        self._believed_invalid.add(account)
        raise failed.error

    # -- small things

    def _set_clock_once(self, stop: Stop) -> None:
        with self._clock_lock:
            if not self._clock_is_set:
                with suppress(EndpointUnreachable):  # our clock may be right; where it is not, the venue says so
                    self.set_clock(stop)
                self._clock_is_set = True

    def _need(self, credentials: Credentials | None, endpoint: Endpoint) -> None:
        if credentials is None:
            raise ConfigError(
                f"{endpoint} needs a key",
                where=f"venue {self.venue}",
                expected="credentials of the account",
                next_step="name them in recon.yaml and store the key with recon secrets set",
            )

    def _secrets(self, asked: _Ask, raw: RawRequest | None) -> tuple[str, ...]:
        of_key = asked.credentials
        known = (of_key.key.reveal(), of_key.secret.reveal()) if of_key else ()
        return (*known, *(raw.secrets if raw else ()))

    def _place(self, endpoint: Endpoint, credentials: Credentials | None) -> Place:
        subject = credentials.account if endpoint.bucket.per == "account" and credentials else "ip"
        return Place(self._host(endpoint.host), endpoint.bucket, subject)

    def _host(self, name: str) -> str:
        # one address may serve several hosts of the venue, as a sandbox does: their allowances are not one
        return f"{self._wire.address(name)}/{name}"


def _one_line(text: str) -> str:
    """Short, and without what would break a log or a terminal."""
    line = "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))
    return line if len(line) <= _MESSAGE_LENGTH_MAX else line[:_MESSAGE_LENGTH_MAX] + "..."
