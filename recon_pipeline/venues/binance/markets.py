"""The list of markets, and the markets that it lists no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeAlias

from recon_pipeline.stores.raw import DayRead, RawStore, Told, exact
from recon_pipeline.transport.errors import UnexpectedAnswer
from recon_pipeline.venues.answers import reading, text_in
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.accounts import EVERYBODY
from recon_pipeline.venues.binance.discovery import Market
from recon_pipeline.venues.binance.session import Session
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.pull import Ledger, ReadsDiffer, midnight
from recon_pipeline.venues.streams import AccountFacts

EXCHANGE_INFO = BY_NAME["exchange_info"]
LISTED = "listed"
"""The record that names the markets of the newest list; every market ever seen has a record of its own."""
FIRST_LIST = timedelta(hours=1)


@dataclass(frozen=True)
class _Markets:
    """A list of markets: a record for each, and the one that names them all."""

    told: Sequence[Told]
    listed: Told

    @cached_property
    def symbols(self) -> frozenset[str]:
        return frozenset(symbol for symbol, *_ in self.listed.content["markets"])


def look_at_markets(session: Session) -> None:
    """The list of markets, once a UTC day: every market ever seen is kept."""
    today = session.clock.now().date()
    ledger = Ledger(session.raw)
    if ledger.status(EVERYBODY, EXCHANGE_INFO.name, today) == "final":
        return
    session.asked.say("reading the list of markets")
    with session.told_of(EVERYBODY, EXCHANGE_INFO.name):
        refresh_markets(session)


def refresh_markets(session: Session) -> None:
    """Ask for the list of markets now. One that leaves a market out opens a hole in every account: it is read again,
    and believed if the second read leaves out the same, or nothing."""
    before = {market[0] for row in session.raw.records([LISTED]) for market in row.content["markets"]}
    first = _list_of_markets(session)
    if before <= first.symbols:
        _keep_markets(session, first)
        return
    second = _list_of_markets(session)
    if second.symbols != first.symbols and not before <= second.symbols:
        raise ReadsDiffer(
            "two reads of the list of markets leave out what was listed before, and differ",
            where=str(e.EXCHANGE_INFO),
            expected="two reads that list the same markets",
            next_step="run again; until then the markets are those of the last list that was believed",
        )
    _keep_markets(session, second)


def _list_of_markets(session: Session) -> _Markets:
    call = EXCHANGE_INFO.calls(AccountFacts("", products=frozenset({"spot"})))[0]
    with session.clock.working():
        answer = session.client.ask(EXCHANGE_INFO.endpoint, dict(call), stop=session.asked.check)
    with reading(EXCHANGE_INFO.endpoint, answer.response_id):
        rows = EXCHANGE_INFO.rows(answer.json)
        if not rows:
            raise UnexpectedAnswer("the list of markets is empty", expected="the markets of the exchange")
        told = [Told(EXCHANGE_INFO.key(call, row), {}, row, None, answer.response_id) for row in rows]
        listed = sorted([text_in(row, name) for name in ("symbol", "baseAsset", "quoteAsset")] for row in rows)
        halted = sorted(text_in(row, "symbol") for row in rows if row.get("status") != "TRADING")
        content = {"markets": listed, "routed": _routed(answer.json), "halted": halted}
    return _Markets(told, Told(LISTED, {}, content, None, answer.response_id))


def _keep_markets(session: Session, markets: _Markets) -> None:
    now = session.clock.now()
    session.raw.keep(EVERYBODY, LISTED, [markets.listed], {}, now)
    read = DayRead("final", 1, len(markets.told))
    session.raw.keep(EVERYBODY, EXCHANGE_INFO.name, markets.told, {now.date(): read}, now)


def _routed(answer: Mapping[str, Any]) -> list[str]:
    """The markets whose orders may be filled by routing: such fills are told as allocations."""
    return sorted({str(symbol) for route in answer.get("sors") or () for symbol in route.get("symbols") or ()})


def listed_markets(raw: RawStore) -> list[Market]:
    """The markets of the newest list, in order."""
    rows = [row.content for row in raw.records([LISTED])]
    halted = {symbol for content in rows for symbol in content.get("halted", ())}
    return [
        Market(symbol, base, quote, symbol not in halted)
        for content in rows
        for symbol, base, quote in content["markets"]
    ]


Departures: TypeAlias = Mapping[str, Sequence[datetime]]
"""By market, when the first list without it was read, each time that it left."""


def departures(raw: RawStore) -> Departures:
    """The markets that ever left the list."""
    gone: dict[str, list[datetime]] = defaultdict(list)
    before: set[str] = set()
    for row in raw.versions(LISTED, "markets"):
        listed = {market[0] for market in exact(row.told)}
        for symbol in before - listed:
            gone[symbol].append(row.read_at)
        before = listed
    return gone


def purged_markets(raw: RawStore, departed: Departures, listed: Collection[str]) -> dict[str, datetime]:
    """The markets that left and are not listed now, with the instant from which on nothing was traded there: that for
    which the first list without it stands, or the reading of the first of those before it that all showed it halted."""
    gone = {symbol: left[-1] for symbol, left in departed.items() if symbol not in listed}
    halted = halted_since(raw, gone) if gone else {}
    return {symbol: halted.get(symbol, _read_for(at)) for symbol, at in gone.items()}


def halted_since(raw: RawStore, left: Mapping[str, datetime] | None = None) -> dict[str, datetime]:
    """When the first of the lists was read that all showed a market halted, up to the one by which it had `left`, or to
    the newest."""
    left = left or {}
    since: dict[str, datetime] = {}
    for row in raw.versions(LISTED, "halted"):
        halted = {*exact(row.told)} if row.told is not None else set[str]()
        ended = [symbol for symbol in since.keys() - halted if symbol not in left or row.read_at < left[symbol]]
        for symbol in ended:
            del since[symbol]
        for symbol in halted:
            since.setdefault(symbol, row.read_at)
    return since


def _read_for(read_at: datetime) -> datetime:
    """The instant for which a list stands: the one that is read as a day begins stands for its beginning."""
    begin = midnight(read_at.date())
    return begin if read_at - begin < FIRST_LIST else read_at
