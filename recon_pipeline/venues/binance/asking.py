"""Asking the markets of an account one by one: each from where the last asking ended, and what it tells stored with how
far it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from recon_pipeline.stores.raw import SymbolAsked, Told
from recon_pipeline.transport.errors import InvalidSymbol
from recon_pipeline.venues.answers import reading, told_by
from recon_pipeline.venues.binance.discovery import AskedMarket, Market
from recon_pipeline.venues.binance.markets import Departures, listed_markets, refresh_markets
from recon_pipeline.venues.binance.reading import Doubt
from recon_pipeline.venues.binance.session import AccountStopped, Session
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.binance.streams.spot import LISTING, SOLD
from recon_pipeline.venues.drain import ASKED_AGAIN_MAX, ONE_MS, Ask, PageRepeated, Params
from recon_pipeline.venues.streams import Stream

TRADES = BY_NAME["spot_trades"]
ALLOCATIONS = BY_NAME["allocations"]
_ID = {TRADES.name: "id", ALLOCATIONS.name: "allocationId"}
LAG = timedelta(minutes=TRADES.lag_minutes)
KEPT_AT_ONCE = 50
"""Markets that told nothing are stored many at a time; who is killed in between asks these again."""
TRADES_AT_ONCE = 20_000
"""A market that tells more is stored in parts: a desk may have a million trades in one."""


class NothingAnswers(Exception):  # noqa: N818 - ends the asking, and leaves it no further
    """Nothing answers where markets are asked: there is no use in asking for the others."""


@dataclass
class MarketAsker:
    """Asks markets of an account; to be used in a `with` block. It ends where the account's key is refused, or nothing
    answers: markets that were not asked have not had their turn."""

    session: Session
    stream: Stream
    email: str
    known: Mapping[str, AskedMarket]
    since: datetime
    """From when on trades count."""
    failed: set[tuple[str, str]]
    """Takes account and symbol of markets that could not be asked for."""
    stopped: set[str]
    """Takes accounts whose key was refused."""
    departed: Departures
    """When markets left the list."""
    doubts: Mapping[tuple[str, str, str], Doubt] = field(default_factory=dict)
    """What cannot be believed, by account, stream and symbol."""
    _silent: dict[str, SymbolAsked] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if isinstance(error, AccountStopped):
            self.stopped.add(self.email)
        self._keep_silent()
        if kind is None:
            self.session.note_read(self.email, self.stream.name)
        return isinstance(error, AccountStopped | NothingAnswers)

    def ask(self, market: Market, take: Callable[[Sequence[Told]], None] = lambda _: None) -> None:
        """Ask for everything that a market tells and was not told before; that is stored, and `take` hears of it."""
        self.session.asked.check()
        is_asked = False
        with self.session.told_of(self.email, self.stream.name, self.stream, symbol=market.symbol):
            try:
                self._keep_drained(market, take)
                is_asked = True
            except InvalidSymbol:
                refresh_markets(self.session)
                if market.symbol in {other.symbol for other in listed_markets(self.session.raw)}:
                    self._keep_drained(market, take)
                    is_asked = True
        if is_asked:
            return
        if (self.email, self.stream.name) in self.session.unreached:
            raise NothingAnswers
        self._note_silent(self._in_vain(market))

    def _keep_drained(self, market: Market, take: Callable[[Sequence[Told]], None]) -> None:
        is_believed = True
        for part, told in self._drained(market, self.cursor(market)):
            # one that is told with two contents is kept, and the market is asked again for the time since
            is_believed = is_believed and len({each.key for each in told}) == len(told)
            asked = part if is_believed else self._in_vain(market)
            if told:
                take(self._keep(market, asked, told))
            else:
                self._note_silent(asked)

    def _keep(self, market: Market, asked: SymbolAsked, told: Sequence[Told]) -> Sequence[Told]:
        """Store what a market told; what of it is news."""
        kept = self.session.raw.keep_symbols(
            self.email,
            self.stream.name,
            [asked],
            told,
            gone=self._told_otherwise(market, told),
            tell_changed=lambda before: self.session.tell_changed(self.email, self.stream, before),
            tell_gone=lambda keys: self.session.tell_gone(self.email, self.stream, keys),
        )
        news = {*kept.added, *kept.changed}
        return [each for each in told if each.key in news]

    def _drained(self, market: Market, cursor: Cursor) -> Iterator[tuple[SymbolAsked, Sequence[Told]]]:
        """All that a market tells from a cursor on, part by part, each trade under the name of its listing."""
        left_at = self.departed.get(market.symbol, ())
        now, ask = self.session.clock.now(), self.session.ask_as(self.email)
        for asked, told in drain_market(self.stream, ask, market, cursor, now, left_at=left_at):
            listed = [names_by_listing(each, left_at) for each in told]
            # a list may have been read after the trade was stored: what stands keeps its name
            known = self.session.raw.standing_at(self.email, self.stream.name, [n for of in listed for n in of[1:]])
            yield asked, [next((name for name in names if name.key in known), names[0]) for names in listed]

    def cursor(self, market: Market) -> Cursor:
        """Where to go on with a market. One that has left the list since goes on by time, now that it is listed again:
        no page says that its ids go on."""
        known = self.known.get(market.symbol)
        if known is None or known.asked_from > self.since:
            return Cursor(self.since)
        has_left = any(at > known.asked_through for at in self.departed.get(market.symbol, ()))
        if known.last_id is None or known.purged_after is not None or has_left:
            return Cursor(known.asked_through)
        return Cursor(known.asked_through, known.last_id + 1)

    def _told_otherwise(self, market: Market, told: Sequence[Told]) -> frozenset[str]:
        """The keys of records that cannot be believed and whose trade has another name now: who said text of who bought
        told of a purchase, and who told no instant of the last listing. One that is not told at all stays: the answer
        may be the one that is wrong; so does one whose number another listing has given to a trade of another
        instant."""
        doubt = self.doubts.get((self.email, self.stream.name, market.symbol))
        if doubt is None:
            return frozenset()
        keys = {each.key for each in told}
        numbered = {(number_of(each.key), at) for each in told for at in (each.instant, None)}
        return frozenset(
            key for key, at in doubt.misnamed.items() if key not in keys and (number_of(key), at) in numbered
        )

    def _in_vain(self, market: Market) -> SymbolAsked:
        """That a market has had its turn, and was asked no further."""
        self.failed.add((self.email, market.symbol))
        known = self.known.get(market.symbol)
        begin, through = (known.asked_from, known.asked_through) if known else (self.since, self.since)
        hole = known.purged_after if known else None
        return SymbolAsked(market.symbol, self.session.clock.now(), begin, through, purged_after=hole)

    def _note_silent(self, asked: SymbolAsked) -> None:
        self._silent[asked.symbol] = asked
        if len(self._silent) >= KEPT_AT_ONCE:
            self._keep_silent()

    def _keep_silent(self) -> None:
        self.session.raw.keep_symbols(self.email, self.stream.name, list(self._silent.values()), ())
        self._silent.clear()


def number_of(key: str) -> str:
    """Market and number of a trade, whichever side of it and of whichever listing the key is."""
    return key.partition("@")[0].removesuffix(SOLD)


def names_by_listing(told: Told, left_at: Sequence[datetime]) -> Sequence[Told]:
    """A trade under a name of its own listing, for a market that left and is listed again may number its trades anew,
    and a new one would take the place of the old one of its number; then under those that it would have had by fewer
    lists, the last of them its bare name."""
    before = [at for at in left_at if told.instant is None or at <= told.instant]
    listings = [f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}" for at in sorted(before, reverse=True)]
    named = (replace(told, key=f"{told.key}@{name}", call={**told.call, LISTING: name}) for name in listings)
    return [*named, told]


@dataclass(frozen=True)
class Cursor:
    """Where the asking of a market begins: through which instant it was asked, and the first id that is wanted, if
    one is known to go on from."""

    asked_through: datetime
    next_id: int | None = None


def drain_market(
    stream: Stream,
    ask: Ask,
    market: Market,
    cursor: Cursor,
    frozen_at: datetime,
    *,
    left_at: Sequence[datetime] = (),
    at_once: int = TRADES_AT_ONCE,
) -> Iterator[tuple[SymbolAsked, Sequence[Told]]]:
    """Everything from a cursor to the newest trade, in parts of about `at_once`, each with how far the market was asked
    by then; what pages that overlap tell in the same words is told once.

    What is younger than the venue's lag is kept, and asked for again: one with a lower id may still come. Of a market
    that left the list (`left_at`) since the cursor, only ids of its last listing say where to go on; up to that it is
    asked by time.
    """
    by_id, size, number = str(stream.paging.page_param), stream.paging.size, _ID[stream.name]
    told: list[Told] = []
    settled = frozen_at - LAG
    next_id, from_ = cursor.next_id, cursor.asked_through
    left = max((at for at in left_at if at > cursor.asked_through), default=None)
    while True:
        place = ("startTime", str(_ms(from_))) if next_id is None else (by_id, str(next_id))
        params = [("symbol", market.symbol), place, ("limit", str(size))]
        rows = page_of_market(stream, ask, params, market.symbol, next_id)
        told += rows
        if len(rows) < size:
            break
        if next_id is None and (later := _later(rows, from_, left)) is not None:
            from_ = later
            continue
        # a trade with oneself is told twice under one id, and the page may end between the two
        newest = max(int(row.content[number]) for row in rows)
        next_id = newest if next_id is None or newest > next_id else newest + 1
        if left is None and len(told) >= at_once:
            whole = [each for each in told if int(each.content[number]) < newest and each.instant is not None]
            yield _so_far(market, cursor, whole, frozen_at, number), _once(told)
            told = []
    told = _once(told)
    of_listing = [t for t in told if t.instant and t.instant <= settled and (left is None or t.instant >= left)]
    asked = SymbolAsked(
        market.symbol,
        asked_at=frozen_at,
        asked_from=cursor.asked_through,
        asked_through=max(cursor.asked_through, settled),
        last_id=max((int(t.content[number]) for t in of_listing), default=None),
        last_trade_at=max((each.instant for each in told if each.instant), default=None),
        has_left=left is not None,
    )
    yield asked, told


def _once(told: Sequence[Told]) -> list[Told]:
    return list({(each.key, each.digest): each for each in told}.values())


def _so_far(market: Market, cursor: Cursor, whole: Sequence[Told], frozen_at: datetime, number: str) -> SymbolAsked:
    """How far a market was asked when it has told all trades up to these and may have more at the last instant."""
    settled = frozen_at - LAG
    known = sorted((int(each.content[number]), each.instant) for each in whole if each.instant is not None)
    last_at = known[-1][1] if known else cursor.asked_through
    return SymbolAsked(
        market.symbol,
        asked_at=frozen_at,
        asked_from=cursor.asked_through,
        asked_through=max(cursor.asked_through, min(last_at - ONE_MS, settled)),
        last_id=max((id_ for id_, at in known if at <= settled), default=None),
        last_trade_at=max((at for _, at in known), default=None),
    )


def _later(rows: Sequence[Told], from_: datetime, left: datetime | None) -> datetime | None:
    """Where a full page by time goes on by time: it begins before a market left the list, so that its ids may be of two
    listings."""
    instants = [row.instant for row in rows if row.instant is not None]
    if left is None or not instants or min(instants) >= left:
        return None
    return later if (later := max(instants)) > from_ else None


def page_of_market(stream: Stream, ask: Ask, params: Params, symbol: str, first_id: int | None) -> list[Told]:
    """One page of a market. One that goes back, or tells of another market, is not the one that was asked for, and is
    asked for again: what ends with it would be marked as asked."""
    for _ in range(ASKED_AGAIN_MAX):
        answer = ask(stream.endpoint, params)
        rows, told = told_by(stream, {"symbol": symbol}, answer)
        with reading(stream.endpoint, answer.response_id):
            ids = [int(row[_ID[stream.name]]) for row in rows]
            is_of_it = all(str(row.get("symbol")) == symbol for row in rows)
        if is_of_it and (first_id is None or min(ids, default=first_id) >= first_id):
            return told
    raise PageRepeated(
        f"a page of {stream.name} is not the one that was asked for",
        where=str(stream.endpoint),
        expected=f"records of {symbol}" + (f" from id {first_id} on" if first_id is not None else ""),
        next_step="run the day again; until then the market counts as not asked",
    )


def _ms(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=instant.tzinfo)) // timedelta(milliseconds=1)
