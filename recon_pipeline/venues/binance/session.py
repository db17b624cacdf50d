"""What the parts of one pull share: how to ask with each key, where things are kept, and what went wrong so far."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from recon_pipeline.api_settings import ApiSettings
from recon_pipeline.config import VenueSettings
from recon_pipeline.errors import ReconError
from recon_pipeline.stores.raw import Contents, DayRead, RawStore
from recon_pipeline.stores.reviews import Place, Problem, record_findings, record_problem
from recon_pipeline.transport.archive import ArchiveUnwritable
from recon_pipeline.transport.client import Answer, Client
from recon_pipeline.transport.clock import Clock
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.transport.errors import (
    AccountNotThere,
    FirewallRefused,
    NotMainAccount,
    ProductNotEnabled,
    VenueError,
)
from recon_pipeline.venues.binance.problems import problem_of, record_changed, record_gone, unforeseen
from recon_pipeline.venues.drain import Ask
from recon_pipeline.venues.pull import ONE_DAY, Span, covered, midnight
from recon_pipeline.venues.sources import Asked
from recon_pipeline.venues.streams import EQUAL_ROWS, NEVER_USED, AccountFacts, Stream

ACCOUNTS_AT_ONCE = 8
_WALLED_MAX = 3
"""So many symbols in a row a firewall refuses, and no further one is asked."""
START_DAYS = 7
"""How far back a start is sought for a run's first day."""


class NoCredentials(ReconError):  # noqa: N818 - the name says what is the matter
    """No key is stored under the name that recon.yaml gives for an account."""


class AccountStopped(Exception):  # noqa: N818 - never leaves a pull
    """The key of an account is refused: nothing more may be asked with it."""


@dataclass
class Session:
    """One run with the venue. `keys` are the accounts' credentials, `asked` what the run wants.

    `problems` collects what could not be had, one for each account and stream.
    """

    venue: str
    url: str
    api: ApiSettings
    client: Client
    clock: Clock
    raw: RawStore
    keys: Mapping[str, Credentials | ReconError]
    asked: Asked
    problems: list[ReconError] = field(default_factory=list)
    refused: dict[str, ReconError] = field(default_factory=dict)
    """Accounts whose key may not be used, and why."""
    unreached: set[tuple[str, str]] = field(default_factory=set)
    """Account and stream where an endpoint or the host answered nothing: other questions there would fare no better."""
    without_family: set[str] = field(default_factory=set)
    """Accounts of which nobody could say yet whether they have sub-accounts."""
    written: Mapping[str, str] = field(default_factory=dict)
    """How the venue writes the e-mails of sub-accounts that are written otherwise here."""
    _answered: set[Place] = field(default_factory=set)
    _failed: set[Place] = field(default_factory=set)
    """Where something was read, or failed."""
    _walled: dict[tuple[str, str], set[str | None]] = field(default_factory=lambda: defaultdict(set))
    """The symbols that a firewall refused since something was read there."""

    def ask_as(self, email: str) -> Ask:
        """How to ask with the key of an account."""
        credentials = self.keys.get(email)
        if not isinstance(credentials, Credentials):
            raise NoCredentials(f"no key of {email} can be used", where=f"venue {self.venue}")

        def ask(endpoint: Endpoint, params: Any) -> Answer:
            return self.client.ask(endpoint, self._as_written(params), credentials, stop=self.asked.check)

        return ask

    def ask_live(self, email: str) -> Ask:
        """How to ask for what cannot be asked later: it never waits behind a backfill."""
        credentials = self.keys[email]
        if isinstance(credentials, ReconError):
            raise credentials

        def ask(endpoint: Endpoint, params: Any) -> Answer:
            return self.client.ask(endpoint, self._as_written(params), credentials, live=True, stop=self.asked.check)

        return ask

    def _as_written(self, params: Any) -> dict[str, Any]:
        """Parameters in which every e-mail stands as the venue writes it: whether it minds the case, nobody knows."""
        return {name: self.written.get(value, value) for name, value in dict(params).items()}

    def ask_as_anybody(self, endpoint: Endpoint, params: Any) -> Answer:
        """How to ask for what everybody may know."""
        return self.client.ask(endpoint, dict(params), stop=self.asked.check)

    def has_key(self, email: str) -> bool:
        """Whether anything can be asked with the account's own key."""
        return isinstance(self.keys.get(email), Credentials) and email not in self.refused

    def is_wanted(self, email: str) -> bool:
        """Whether the run is about an account."""
        return self.asked.accounts is None or email in self.asked.accounts

    def never_used(self, facts: AccountFacts) -> set[str]:
        """The streams that recon.yaml says the account never used, but for those that ever told of anything."""
        return unused(self.raw, facts)

    def each(self, things: list[Any], work: Callable[[Any], None]) -> None:
        """Several accounts at once: they wait for budgets of their own, and for each other's answers."""

        def on_clock(thing: Any) -> None:
            with self.clock.working():
                work(thing)

        with ThreadPoolExecutor(ACCOUNTS_AT_ONCE, thread_name_prefix="pull") as pool:
            for done in [pool.submit(on_clock, thing) for thing in things]:
                done.result()

    @contextmanager
    def told_of(
        self,
        email: str,
        stream_name: str,
        stream: Stream | None = None,
        facts: AccountFacts | None = None,
        symbol: str | None = None,
        *,
        can_stop: bool = False,
    ) -> Iterator[None]:
        """Record what goes wrong with a stream, and go on; AccountStopped if the account's key is refused and `stream`
        is given or the caller `can_stop` for want of it. Where the same would go wrong with any symbol it is recorded
        without one, and the place noted as `unreached`.

        So is an error that nobody foresaw: a fault of ours shall not cost the other streams and accounts. An archive
        that takes no more ends the whole pull: every further answer would be lost too.
        """
        try:
            yield
            self.note_read(email, stream_name)
        except (AccountStopped, ArchiveUnwritable):
            raise
        except ReconError as error:
            self.record(error, email, stream_name, symbol)
            if getattr(error, "stops_account", False) and (can_stop or stream is not None):
                raise AccountStopped(error) from None
        except Exception as error:
            fault = unforeseen(error, f"venue {self.venue}, account {email or '-'}, {stream_name}")
            self.record(fault, email, stream_name, symbol)
            if stream is not None and facts is not None:
                self.fail(stream, facts, fault)

    def days_of(self, stream: Stream) -> tuple[date, date]:
        """The days that a stream is asked for: a week more of snapshots, so that the run's first day has a start; and
        of what may be credited later than the venue files it under, those that may still have been open."""
        first, last = self.asked.days[0], self.asked.days[-1]
        if stream.role == "snapshot":
            return first - timedelta(days=START_DAYS), last
        # a capture that closes a day is taken in the first hours of the next
        back = max(stream.horizon_days, stream.settles_within_days, START_DAYS)
        return first - timedelta(days=back), last + ONE_DAY

    def fail(self, stream: Stream, facts: AccountFacts, error: ReconError) -> None:
        """Mark the days for which a stream is asked; what was read before stands."""
        failed = DayRead("failed", error=type(error).__name__, message=error.found)
        days = dict.fromkeys(Span(*self.days_of(stream)).days, failed)
        for account in covered(stream, facts):
            self.raw.mark(account, stream.name, days, self.clock.now())

    def record(self, error: ReconError, email: str, stream: str, symbol: str | None = None) -> None:
        """Keep what went wrong: the run tells it, and a person finds it in the table of errors."""
        self.problems.append(error)
        problem = problem_of(error, email, stream, symbol)
        if isinstance(error, VenueError) and error.concerns != "question":
            walled = self._walled[email, stream]
            walled.add(symbol)
            # a firewall may have taken offence at the symbol
            if symbol is None or not isinstance(error, FirewallRefused) or len(walled) >= _WALLED_MAX:
                self.unreached.add((email, stream))
        self._failed.update([(problem.account, stream), (problem.account, problem.stream)])
        self.tell(problem)

    def tell(self, problem: Problem) -> None:
        """Keep for a person what does not fail the run."""
        record_problem(self.url, self.venue, problem)

    def tell_once(self, problem: Problem) -> None:
        """The same of what every run finds anew: what a person has resolved stays resolved."""
        record_findings(self.url, self.venue, [problem])

    def tell_changed(self, email: str, stream: Stream, before: Contents) -> None:
        """A flow that was settled and is told in another way now: both versions are kept, the new one counts."""
        changed = sorted(key for key, content in before.items() if not stream.is_pending(content))
        if changed and stream.role == "flow":
            self.tell(record_changed(email, stream, changed, self.clock.now().date()))

    def tell_gone(self, email: str, stream: Stream, keys: Sequence[str]) -> None:
        """A record with an id that is not told any more is for a person. One without is another now, which is told."""
        gone = [key for key in keys if not key.startswith(EQUAL_ROWS)]
        if gone and stream.role == "flow":
            self.tell(record_gone(email, stream, gone, self.clock.now().date()))

    def note_read(self, email: str, stream: str) -> None:
        """A stream of an account was read, as far as it was asked for."""
        self._answered.update([(email or None, stream), (email or None, None)])
        self._walled.pop((email, stream), None)

    @property
    def well(self) -> set[Place]:
        """Where something was read and nothing failed."""
        return self._answered - self._failed

    def is_not_there(self, error: ReconError, stream: Stream, facts: AccountFacts, subject: str | None = None) -> bool:
        """Whether the venue says that the account does not have the product at all, and nothing says otherwise.

        The account info tells of some products; of others, such as shares or futures margined in coins, nothing does.
        And an account of which the stream has told before has the product, whatever a key is refused. Of a `subject`,
        a sub-account that its main account's key tells of, nothing says what it has opened besides its spot wallet.
        """
        if isinstance(error, VenueError) and error.status == HTTPStatus.NOT_FOUND and not stream.is_verified:
            # an endpoint that the venue's own pages do not name any more
            return not self.raw.has_told(facts.email, stream.name)
        if isinstance(error, NotMainAccount) and stream.asked_with == "own" and facts.master is None:
            return not self.raw.has_told(facts.email, stream.name)  # what sub-accounts alone may ask
        if subject is None:
            is_certain = stream.product in facts.products and stream.endpoint.opened != "untold"
        else:
            is_certain = "SPOT" in stream.wallets
        if isinstance(error, AccountNotThere) and "ISOLATED_MARGIN" in stream.wallets:
            is_certain = False  # who has opened margin has no isolated account until he makes one
        is_refused = isinstance(error, ProductNotEnabled | AccountNotThere) and not is_certain
        return is_refused and not self.raw.has_told(facts.email, stream.name, subject)


def unused(raw: RawStore, facts: AccountFacts) -> set[str]:
    """The streams that recon.yaml says the account never used, as far as that may be believed: none that ever told of
    anything."""
    return {stream for stream in facts.extras.get(NEVER_USED, ()) if not raw.has_told(facts.email, stream)}


def trades_since(venue: VenueSettings) -> datetime:
    """From when on trades count: where the first window of a venue may begin."""
    return midnight(venue.start - timedelta(days=START_DAYS))
