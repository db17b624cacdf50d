"""A pull of Binance: every stream of every account that a run needs, then trades where something is unexplained.

An account that fails fails alone, and a stream of it alone where the account itself is well. What cannot be had is
marked in the ledger and kept as an error; what was read before stands.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from recon_pipeline.api_settings import ApiSettings
from recon_pipeline.config import VenueSettings
from recon_pipeline.errors import ReconError, UnforeseenError
from recon_pipeline.stores.raw import DayRead, RawStore, Told
from recon_pipeline.stores.reviews import Place, Problem, record_problem
from recon_pipeline.transport.archive import ArchiveUnwritable
from recon_pipeline.transport.client import Answer, Client
from recon_pipeline.transport.clock import Clock
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.transport.errors import (
    AccountNotThere,
    ApiKeyInvalid,
    InvalidSymbol,
    NotMainAccount,
    ProductNotEnabled,
    UnexpectedAnswer,
    VenueError,
)
from recon_pipeline.venues.answers import reading, text_in
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.accounts import (
    ACCOUNT_INFO,
    EVERYBODY,
    NAMING,
    SUB_ACCOUNTS,
    SUBS_LISTED,
    Named,
    account_info,
    facts_of,
    listed_subs,
    made_on,
    note_named,
    subs_of,
)
from recon_pipeline.venues.binance.identity import wrong_identities
from recon_pipeline.venues.binance.keycheck import check_key
from recon_pipeline.venues.binance.streams import BY_NAME, STREAMS
from recon_pipeline.venues.binance.streams.shapes import under, whole
from recon_pipeline.venues.drain import Ask, PageRepeated, Params
from recon_pipeline.venues.pull import ONE_DAY, Ledger, Puller, ReadsDiffer, Span, covered, midnight
from recon_pipeline.venues.sources import Asked
from recon_pipeline.venues.streams import EQUAL_ROWS, NEVER_USED, AccountFacts, Stream

ACCOUNTS_AT_ONCE = 8
START_DAYS = 7
"""How far back a start is sought for a run's first day."""
EXCHANGE_INFO = BY_NAME["exchange_info"]
IDENTITY = "identity"
KEY_SEEN = "identity_key"
"""The record that says with which key the number of an account was told last: its digest, never the key."""
LISTED = "listed"
"""The record that names the markets of the newest list; every market ever seen has a record of its own."""
SUBS_ON_A_PAGE = 200
ALGO_ORDERS, ALGO_CHILDREN = "spot_algo_orders", "spot_algo_sub_orders"
_SUB_ROWS = under("subAccounts")
GONE_NAMED_MAX = 5
_NO_KEY = ("NoKey", "recon.yaml names no key for it")
_LOG = logging.getLogger(__name__)


class NoCredentials(ReconError):  # noqa: N818 - the name says what is the matter
    """No key is stored under the name that recon.yaml gives for an account."""


class AccountUnknown(ReconError):  # noqa: N818 - as above
    """Nobody could say yet which products an account has opened, and so which streams move it."""


_NO_FAMILY = AccountUnknown("which sub-accounts there are could not be read")


class UsedAfterAll(ReconError):  # noqa: N818 - as above
    """recon.yaml says that an account never used a product of which the venue has told."""


class AccountStopped(Exception):  # noqa: N818 - never leaves this module
    """The key of an account is refused: nothing more may be asked with it."""


@dataclass(frozen=True)
class _Markets:
    """A list of markets: a record for each, and the one that names them all."""

    told: Sequence[Told]
    listed: Told

    @cached_property
    def symbols(self) -> frozenset[str]:
        return frozenset(symbol for symbol, *_ in self.listed.content["markets"])


@dataclass
class Pull:
    """One pull for one run. `keys` are the accounts' credentials, `asked` what the run wants.

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
    _answered: set[Place] = field(default_factory=set)
    _failed: set[Place] = field(default_factory=set)
    """Where something was read, or failed."""

    def run(self) -> dict[str, AccountFacts]:
        """Everything but trades, which rest on what this brings; the accounts as they are."""
        self.asked.check()
        self.look_at_markets()
        facts = self.look_at_accounts()
        ledger = Ledger(self.raw)
        asked = [of_account for of_account in facts.values() if self._is_asked(of_account)]
        self.each(asked, lambda of_account: self._account(of_account, ledger))
        return facts

    # -- accounts

    def look_at_accounts(self) -> dict[str, AccountFacts]:
        """What each key says of its account and of the sub-accounts that it may see; where it cannot be asked now,
        what it said last. Of an account that never said anything nothing may be assumed: it is not read."""
        info: dict[str, Mapping[str, Any]] = {row.account: row.content for row in self.raw.records([ACCOUNT_INFO])}
        of_lists = self.raw.records([SUB_ACCOUNTS, SUBS_LISTED])
        subs, listed = subs_of(of_lists), listed_subs(of_lists)
        told: dict[tuple[str, str], list[Told]] = {}

        def look(email: str) -> None:
            ask = self.ask_live(email)
            with self.told_of(email, ACCOUNT_INFO):
                self._check_key(email)
                with self.told_of(email, IDENTITY):
                    told[email, IDENTITY] = self._number(ask)
                with self.told_of(email, SUB_ACCOUNTS):
                    told[email, SUB_ACCOUNTS] = self._listed(ask, listed.get(email, ()), is_main=bool(subs.get(email)))
                if (email, SUB_ACCOUNTS) not in told and email not in subs:
                    self.without_family.add(email)
                told[email, ACCOUNT_INFO] = [self._info(ask)]

        self.each([name for name in self.api.accounts if self.has_key(name)], look)
        self._refuse_strangers(told)
        for (email, stream), of_email in sorted(told.items()):
            if email in self.refused:
                continue
            self.raw.keep(email, stream, of_email, {}, self.clock.now())
            if stream == IDENTITY:
                seen = Told(KEY_SEEN, {}, {"key": self._key_digest(email)}, None, None)
                self.raw.keep(email, KEY_SEEN, [seen], {}, self.clock.now())
            elif stream == ACCOUNT_INFO:
                info[email] = of_email[0].content
            elif stream == SUB_ACCOUNTS and (of_email or email in subs):
                names = sorted(each.key for each in of_email)
                if left_out := sorted({*listed.get(email, ())} - {*names}):
                    record_problem(self.url, self.venue, _no_longer_listed(email, left_out))
                newest = Told(SUBS_LISTED, {}, {"subs": names}, None, None)
                self.raw.keep(email, SUBS_LISTED, [newest], {}, self.clock.now())
        of_lists = self.raw.records([SUB_ACCOUNTS, SUBS_LISTED])
        subs = subs_of(of_lists)
        for email, why in self.keys.items():
            if isinstance(why, ReconError):
                self._record(why, email, ACCOUNT_INFO)
            elif email not in info and email not in self.refused:
                self.refused[email] = AccountUnknown("what the account has opened could not be read", where=email)
        named: Named = {}
        for row in self.raw.records(list(NAMING)):
            note_named(named, row.account, row.stream, row.content)
        return facts_of(self.api, info, subs, named, made_on(of_lists))

    def _refuse_strangers(self, told: Mapping[tuple[str, str], list[Told]]) -> None:
        """Refuse keys that open another account than theirs, or may do so: those of which nobody could say it now and
        that are not the ones of which it was said before. What they told is not kept."""
        opened = {email: str(rows[0].content["uid"]) for (email, of), rows in told.items() if of == IDENTITY and rows}
        known = sorted(self.raw.records([IDENTITY]), key=lambda row: row.fid)
        # a name that recon.yaml has no more is not read: its account may have been given another name
        before = {row.account: str(row.content["uid"]) for row in known if row.account in self.api.accounts}
        lists = [row.content for row in self.raw.records([SUB_ACCOUNTS])]
        lists += [row.content for (_, of), rows in told.items() if of == SUB_ACCOUNTS for row in rows]
        listed = {str(row["email"]): str(row["subUserId"]) for row in lists if row.get("subUserId")}
        wrong: dict[str, ReconError] = dict(wrong_identities(opened, before, listed))
        seen = {row.account: row.content["key"] for row in self.raw.records([KEY_SEEN])}
        for email in {*before, *(email for email, _ in told)} - {email for email, of in told if of == IDENTITY}:
            if self.has_key(email) and seen.get(email) != self._key_digest(email):
                wrong[email] = AccountUnknown("whose account the key opens could not be read", where=email)
        for email, error in wrong.items():
            self.refused[email] = error
            self._record(error, email, IDENTITY)

    def _key_digest(self, email: str) -> str | None:
        """Enough of a key's digest to tell it from others."""
        credentials = self.keys[email]
        if not isinstance(credentials, Credentials):
            return None
        return hashlib.sha256(credentials.key.reveal().encode()).hexdigest()[:16]

    def _check_key(self, email: str) -> None:
        """Refuse a key that may do more than read: the account is not asked for anything else."""
        credentials = self.keys[email]
        if isinstance(credentials, Credentials):
            try:
                rights = check_key(self.client, credentials, stop=self.asked.check)
            except ApiKeyInvalid as refused:
                self.refused[email] = refused
                raise
            warnings = [f"the key may {name}, which this release does not know" for name in rights.unknown]
            if not rights.is_bound_to_addresses:
                warnings.append("the key works from any address")
            for found in warnings:
                record_problem(self.url, self.venue, _key_warning(found, email))

    def _info(self, ask: Ask) -> Told:
        """What the account has opened."""
        answer = ask(e.ACCOUNT_INFO, [])
        with reading(e.ACCOUNT_INFO, answer.response_id):
            content = account_info(answer.json)
        return Told(ACCOUNT_INFO, {}, content, None, answer.response_id)

    def _number(self, ask: Ask) -> list[Told]:
        """The venue's number of the account; nothing if it does not tell one."""
        answer = ask(e.ACCOUNT, [("omitZeroBalances", "true")])
        with reading(e.ACCOUNT, answer.response_id):
            (content,) = whole(answer.json)
            number = content.get("uid")
        return [Told(IDENTITY, {}, {"uid": str(number)}, None, answer.response_id)] if number is not None else []

    def _listed(self, ask: Ask, before: Collection[str], *, is_main: bool) -> list[Told]:
        """The list of sub-accounts. One that names another no more is asked for again: one empty answer is no fact."""
        told = self._subs(ask, is_main=is_main)
        if set(before) - {each.key for each in told}:
            told = self._subs(ask, is_main=is_main)
        return told

    def _subs(self, ask: Ask, *, is_main: bool) -> list[Told]:
        """The sub-accounts of a main account; none if it is one itself. A refusal says so of one that never had any; of
        one that had some it may be a ban that passes, and comes out."""
        told: list[Told] = []
        try:
            while True:
                page: Params = [("page", str(len(told) // SUBS_ON_A_PAGE + 1)), ("limit", str(SUBS_ON_A_PAGE))]
                answer = ask(e.SUB_ACCOUNTS, page)
                with reading(e.SUB_ACCOUNTS, answer.response_id):
                    rows = _SUB_ROWS(answer.json)
                    told += [Told(text_in(row, "email"), {}, row, None, answer.response_id) for row in rows]
                if len(rows) < SUBS_ON_A_PAGE:
                    break
                if len({each.key for each in told}) < len(told):
                    raise PageRepeated("a page of sub-accounts was told twice", where=str(e.SUB_ACCOUNTS))
        except (NotMainAccount, ProductNotEnabled):
            if is_main:
                raise
            return []
        return told

    def _account(self, facts: AccountFacts, ledger: Ledger) -> None:
        """Every stream of one account."""
        if not self.has_key(facts.email):
            why = self.refused.get(facts.email) or self.keys.get(facts.email)
            told = (type(why).__name__, why.found) if isinstance(why, ReconError) else _NO_KEY
            self._cannot_ask(facts, *told)
            return
        ask = self.ask_as(facts.email)
        puller = Puller(
            self.raw,
            ledger,
            self.clock.now,
            self.asked.check,
            self._tell_gone,
            tell_changed=self._tell_changed,
            is_not_there=self.is_not_there,
        )
        self.asked.say(f"pulling {facts.email}")
        facts = self._without_what_was_used(facts)
        try:
            for role in ("snapshot", "flow", "detail"):
                # which markets are asked for detail is known from the ledgers
                of_role = self._with_named_markets(facts) if role == "detail" else facts
                for stream in self._streams(facts, role):
                    first, last = self._days(stream)
                    of_stream = self._with_parents(of_role, first) if stream.name == ALGO_CHILDREN else of_role
                    if self._waits_for_family(stream, facts):
                        self._fail(stream, facts, _NO_FAMILY)
                        continue
                    with self.told_of(facts.email, stream.name, stream, facts):
                        try:
                            puller.pull(stream, of_stream, ask, first, last)
                        except InvalidSymbol:
                            self.refresh_markets()
                            puller.pull(stream, of_stream, ask, first, last)
        except AccountStopped as stopped:
            self._cannot_ask(facts, type(stopped.args[0]).__name__, stopped.args[0].found)

    def _without_what_was_used(self, facts: AccountFacts) -> AccountFacts:
        """The account, with `never_used` believed only of what the venue never told of."""
        said = facts.extras.get(NEVER_USED, ())
        told = [stream for stream in said if self.raw.has_told(facts.email, stream)]
        for stream in told:
            wrong = UsedAfterAll(
                "recon.yaml says that the account never used it, and the venue has told of it",
                where=f"account {facts.email}, {stream}",
                expected="streams under never_used that never told of anything",
                next_step="take it out of never_used; it is asked for as if it were not there",
            )
            self._record(wrong, facts.email, stream)
        rest = tuple(stream for stream in said if stream not in told)
        return replace(facts, extras={**facts.extras, NEVER_USED: rest})

    def _waits_for_family(self, stream: Stream, facts: AccountFacts) -> bool:
        """Whether a stream would be asked of an account in a family, and nobody knows whether this one is in one."""
        if not self.without_family or facts.master is not None or facts.subs or stream.calls(facts):
            return False
        someone = (facts.email,)
        extras = {**facts.extras, "subs_without_key": someone}
        return bool(stream.calls(replace(facts, master=facts.email, subs=someone, extras=extras)))

    def _tell_gone(self, email: str, stream: Stream, keys: Sequence[str]) -> None:
        """A record with an id that is not told any more is for a person. One without is another now, which is told."""
        gone = [key for key in keys if not key.startswith(EQUAL_ROWS)]
        if gone and stream.role == "flow":
            record_problem(self.url, self.venue, _gone(email, stream, gone, self.clock.now().date()))

    def _tell_changed(self, email: str, stream: Stream, keys: Sequence[str]) -> None:
        """A flow that was settled and is told in another way now: both versions are kept, the new one counts."""
        if stream.role == "flow":
            before = self.raw.before(email, stream.name, keys)
            if changed := sorted(key for key, content in before.items() if not stream.is_pending(content)):
                record_problem(self.url, self.venue, _changed(email, stream, changed, self.clock.now().date()))

    def _with_named_markets(self, facts: AccountFacts) -> AccountFacts:
        """The account with the markets that its ledgers name, each as product:symbol; and those of its family."""
        of_each = {
            email: {f"{_LEDGERS[stream]}:{name}" for stream, name in self.raw.symbols_named(email, list(_LEDGERS))}
            for email in (facts.email, *facts.subs)
        }
        given = facts.extras.get("detail_symbols", ())
        extras = {
            "detail_symbols": sorted({*given, *of_each[facts.email]}),
            "family_symbols": sorted({*given, *(name for names in of_each.values() for name in names)}),
        }
        return replace(facts, extras={**facts.extras, **extras})

    def _with_parents(self, facts: AccountFacts, first: date) -> AccountFacts:
        """The account with its algo orders of late, whose child orders are told order by order."""
        orders = self.raw.records([ALGO_ORDERS])
        of_late = {
            str(row.content["algoId"])
            for row in orders
            if row.account == facts.email and row.instant is not None and row.instant >= midnight(first)
        }
        return replace(facts, extras={**facts.extras, "algo_ids": sorted(of_late)})

    def _days(self, stream: Stream) -> tuple[date, date]:
        """The days that a stream is asked for: a week more of snapshots, so that the run's first day has a start; and
        of what may be credited later than the venue files it under, those that may still have been open."""
        first, last = self.asked.days[0], self.asked.days[-1]
        if stream.role == "snapshot":
            return first - timedelta(days=START_DAYS), last
        # a capture that closes a day is taken in the first hours of the next
        back = max(stream.horizon_days, stream.settles_within_days, START_DAYS)
        return first - timedelta(days=back), last + ONE_DAY

    def _cannot_ask(self, facts: AccountFacts, name: str, message: str) -> None:
        """Every stream of an account that cannot be asked has a hole."""
        days = dict.fromkeys(self.asked.days, DayRead("failed", error=name, message=message))
        for stream in STREAMS:
            # what a main account's key is asked for has a hole in every account of its family
            if stream.role in ("flow", "snapshot") and (stream.asked_with == "own" or facts.master is None):
                for account in covered(stream, facts):
                    self.raw.mark(account, stream.name, days, self.clock.now())

    # -- what belongs to nobody

    def look_at_markets(self) -> None:
        """The list of markets, once a UTC day: every market ever seen is kept."""
        today = self.clock.now().date()
        ledger = Ledger(self.raw)
        if ledger.status(EVERYBODY, EXCHANGE_INFO.name, today) == "final":
            return
        self.asked.say("reading the list of markets")
        with self.told_of(EVERYBODY, EXCHANGE_INFO.name):
            self.refresh_markets()

    def refresh_markets(self) -> None:
        """Ask for the list of markets now. One that leaves a market out opens a hole in every account: it is read
        again, and believed if the second read leaves out the same, or nothing."""
        before = {market[0] for row in self.raw.records([LISTED]) for market in row.content["markets"]}
        first = self._list_of_markets()
        if before <= first.symbols:
            self._keep_markets(first)
            return
        second = self._list_of_markets()
        if second.symbols != first.symbols and not before <= second.symbols:
            raise ReadsDiffer(
                "two reads of the list of markets leave out what was listed before, and differ",
                where=str(e.EXCHANGE_INFO),
                expected="two reads that list the same markets",
                next_step="run again; until then the markets are those of the last list that was believed",
            )
        self._keep_markets(second)

    def _list_of_markets(self) -> _Markets:
        call = EXCHANGE_INFO.calls(AccountFacts("", products=frozenset({"spot"})))[0]
        with self.clock.working():
            answer = self.client.ask(EXCHANGE_INFO.endpoint, dict(call), stop=self.asked.check)
        with reading(EXCHANGE_INFO.endpoint, answer.response_id):
            rows = EXCHANGE_INFO.rows(answer.json)
            if not rows:
                raise UnexpectedAnswer("the list of markets is empty", expected="the markets of the exchange")
            told = [Told(EXCHANGE_INFO.key(call, row), {}, row, None, answer.response_id) for row in rows]
            listed = sorted([text_in(row, name) for name in ("symbol", "baseAsset", "quoteAsset")] for row in rows)
            halted = sorted(text_in(row, "symbol") for row in rows if row.get("status") != "TRADING")
            content = {"markets": listed, "routed": _routed(answer.json), "halted": halted}
        return _Markets(told, Told(LISTED, {}, content, None, answer.response_id))

    def _keep_markets(self, markets: _Markets) -> None:
        now = self.clock.now()
        self.raw.keep(EVERYBODY, LISTED, [markets.listed], {}, now)
        read = DayRead("final", 1, len(markets.told))
        self.raw.keep(EVERYBODY, EXCHANGE_INFO.name, markets.told, {now.date(): read}, now)

    # -- the parts

    def ask_as(self, email: str) -> Ask:
        """How to ask with the key of an account."""
        credentials = self.keys.get(email)
        if not isinstance(credentials, Credentials):
            raise NoCredentials(f"no key of {email} can be used", where=f"venue {self.venue}")

        def ask(endpoint: Endpoint, params: Any) -> Answer:
            return self.client.ask(endpoint, dict(params), credentials, stop=self.asked.check)

        return ask

    def ask_live(self, email: str) -> Ask:
        """How to ask for what cannot be asked later: it never waits behind a backfill."""
        credentials = self.keys[email]
        if isinstance(credentials, ReconError):
            raise credentials

        def ask(endpoint: Endpoint, params: Any) -> Answer:
            return self.client.ask(endpoint, dict(params), credentials, live=True, stop=self.asked.check)

        return ask

    def ask_as_anybody(self, endpoint: Endpoint, params: Any) -> Answer:
        """How to ask for what everybody may know."""
        return self.client.ask(endpoint, dict(params), stop=self.asked.check)

    def has_key(self, email: str) -> bool:
        """Whether anything can be asked with the account's own key."""
        return isinstance(self.keys.get(email), Credentials) and email not in self.refused

    def _is_wanted(self, email: str) -> bool:
        return self.asked.accounts is None or email in self.asked.accounts

    def _is_asked(self, facts: AccountFacts) -> bool:
        """Whether anything is asked with the key of an account: for itself, or for a sub-account of its own."""
        return self._is_wanted(facts.email) or any(map(self._is_wanted, facts.subs))

    def _streams(self, facts: AccountFacts, role: str) -> list[Stream]:
        """What is asked of an account; if only a sub-account of it is wanted, what its key alone may ask for that."""
        streams = _asked_by_day(facts, role)
        return streams if self._is_wanted(facts.email) else [each for each in streams if each.asked_with == "master"]

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
    ) -> Iterator[None]:
        """Record what goes wrong with a stream, and go on; AccountStopped if the account's key is refused. Where the
        same would go wrong with any symbol it is recorded without one, and the place noted as `unreached`.

        So is an error that nobody foresaw: a fault of ours shall not cost the other streams and accounts. An archive
        that takes no more ends the whole pull: every further answer would be lost too.
        """
        try:
            yield
            self.note_read(email, stream_name)
        except (AccountStopped, ArchiveUnwritable):
            raise
        except ReconError as error:
            self._record(error, email, stream_name, symbol)
            if getattr(error, "stops_account", False) and stream is not None:
                raise AccountStopped(error) from None
        except Exception as error:
            unforeseen = _unforeseen(error, f"venue {self.venue}, account {email or '-'}, {stream_name}")
            self._record(unforeseen, email, stream_name, symbol)
            if stream is not None and facts is not None:
                self._fail(stream, facts, unforeseen)

    def is_not_there(self, error: ReconError, stream: Stream, facts: AccountFacts, subject: str | None = None) -> bool:
        """Whether the venue says that the account does not have the product at all, and nothing says otherwise.

        The account info tells of some products; of others, such as shares or futures margined in coins, nothing does.
        And an account of which the stream has told before has the product, whatever a key is refused. Of a `subject`,
        a sub-account that its main account's key tells of, nothing says what it has opened besides its spot wallet.
        """
        if isinstance(error, VenueError) and error.status == HTTPStatus.NOT_FOUND and not stream.is_verified:
            return True  # an endpoint that the venue's own pages do not name any more
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

    def _fail(self, stream: Stream, facts: AccountFacts, error: ReconError) -> None:
        """Mark the days for which a stream is asked; what was read before stands."""
        failed = DayRead("failed", error=type(error).__name__, message=error.found)
        for account in covered(stream, facts):
            self.raw.mark(account, stream.name, dict.fromkeys(Span(*self._days(stream)).days, failed), self.clock.now())

    def _record(self, error: ReconError, email: str, stream: str, symbol: str | None = None) -> None:
        self.problems.append(error)
        problem = problem_of(error, email, stream, symbol)
        if isinstance(error, VenueError) and error.concerns != "question":
            self.unreached.add((email, stream))
        self._failed.update([(problem.account, stream), (problem.account, problem.stream)])
        record_problem(self.url, self.venue, problem)

    def note_read(self, email: str, stream: str) -> None:
        """A stream of an account was read, as far as it was asked for."""
        self._answered.update([(email or None, stream), (email or None, None)])

    @property
    def well(self) -> set[Place]:
        """Where something was read and nothing failed."""
        return self._answered - self._failed


def trades_since(venue: VenueSettings) -> datetime:
    """From when on trades count: where the first window of a venue may begin."""
    return midnight(venue.start - timedelta(days=START_DAYS))


def _key_warning(found: str, email: str) -> Problem:
    return Problem(
        "KeyWarning",
        found,
        "UNKNOWN",
        place=f"account {email}",
        expected="a key that may read and nothing else, from this machine's address alone",
        next_step="restrict it under API Management on the venue's site",
        account=email,
        stream=ACCOUNT_INFO,
    )


def _no_longer_listed(email: str, subs: Sequence[str]) -> Problem:
    return Problem(
        "SubAccountsNotListed",
        f"the list of sub-accounts does not name {_some(subs)} any more, asked twice",
        "UNKNOWN",
        place=f"account {email}, {SUB_ACCOUNTS}",
        expected="every sub-account that it named before",
        next_step="they are asked for as before; see on the venue's site what became of them, then resolve this entry",
        account=email,
        stream=SUB_ACCOUNTS,
        needs_manual_review=True,
    )


def _some(names: Sequence[str]) -> str:
    """So many names that a person reads them."""
    return ", ".join(names[:GONE_NAMED_MAX]) + (
        f" and {len(names) - GONE_NAMED_MAX} more" if names[GONE_NAMED_MAX:] else ""
    )


def _gone(email: str, stream: Stream, keys: Sequence[str], today: date) -> Problem:
    return Problem(
        "RecordGone",
        f"{stream.name}: the venue told of {_some(keys)} before, and does not any more",
        "UNKNOWN",
        place=f"account {email}, {stream.name}, read on {today}",
        expected="every record of a day that is read again",
        next_step="it counts no longer; compare the day with the venue's statement, then resolve this entry",
        account=email,
        stream=stream.name,
        needs_manual_review=True,
    )


def _changed(email: str, stream: Stream, keys: Sequence[str], today: date) -> Problem:
    return Problem(
        "RecordChanged",
        f"{stream.name}: the venue tells of {_some(keys)} in another way than before",
        "UNKNOWN",
        place=f"account {email}, {stream.name}, read on {today}",
        expected="a record that stays as it is once it is settled",
        next_step="the new version counts, the old one is kept in recon.raw_records; what it moved is a restatement",
        account=email,
        stream=stream.name,
    )


def _routed(answer: Mapping[str, Any]) -> list[str]:
    """The markets whose orders may be filled by routing: such fills are told as allocations."""
    return sorted({str(symbol) for route in answer.get("sors") or () for symbol in route.get("symbols") or ()})


def _unforeseen(error: Exception, where: str) -> UnforeseenError:
    """By its type and its place in the program alone: its text may hold what a record holds."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    _LOG.error("%s: %s, raised by way of %s", where, type(error).__name__, " ".join(places))
    return UnforeseenError(
        f"{type(error).__name__} at {places[-1]}",
        where=where,
        next_step="report it with this text; the stream is asked again with the next run, the others went on",
    )


def problem_of(error: ReconError, email: str, stream: str, symbol: str | None = None) -> Problem:
    """An error as it is kept for a person: what a whole endpoint or host fails with is one, whatever it was asked."""
    told = error if isinstance(error, VenueError) else None
    concerns = told.concerns if told else "question"
    place = error.where
    if told is not None and concerns == "host":
        place = f"venue {told.venue}" + (f", account {email}" if email else "")
    raw = None
    if told is not None:
        raw = {"http_status": told.status, "code": told.code, "message": told.message}
        raw |= {"response_id": told.response_id} if told.response_id is not None else {}
    return Problem(
        name=type(error).__name__,
        found=error.found,
        kind=str(told.kind) if told else "UNKNOWN",
        place=place,
        expected=error.expected,
        next_step=error.next_step,
        account=email or None,
        stream=stream if concerns != "host" else None,
        symbol=symbol if concerns == "question" else None,
        raw_error=raw,
        needs_manual_review=told.needs_manual_review if told else True,
    )


_LEDGERS = {
    "margin_capital_flow": "margin",
    "futures_income": "futures",
    "futures_coin_income": "futures_coin",
    "option_bills": "option",
}
"""Ledgers that name markets, and of which product."""


def _asked_by_day(facts: AccountFacts, role: str) -> list[Stream]:
    """The streams that are asked for whole days: not captures, which tell of the present, and not what is asked market
    by market. What only a main account's key may ask is asked once, for the whole family."""
    return [
        stream
        for stream in STREAMS
        if stream.role == role and stream.name not in BY_MARKET and (stream.asked_with == "own" or facts.master is None)
    ]


BY_MARKET = frozenset({"spot_trades", "allocations"})
