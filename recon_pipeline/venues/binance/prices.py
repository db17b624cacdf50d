"""Daily candles for whatever the run's windows hold or move, so that a variance has its USD."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.stores.raw import Told
from recon_pipeline.transport.errors import InvalidSymbol
from recon_pipeline.venues.binance.accounts import EVERYBODY
from recon_pipeline.venues.binance.mapping import Malformed, close_of, price_ways
from recon_pipeline.venues.binance.markets import listed_markets, refresh_markets
from recon_pipeline.venues.binance.session import Session
from recon_pipeline.venues.binance.streams import BY_NAME, klines_call
from recon_pipeline.venues.drain import Drain
from recon_pipeline.venues.pull import ONE_DAY, midnight
from recon_pipeline.venues.reading import Reading

KLINES = BY_NAME["klines"]
_DAYS_AT_ONCE = KLINES.paging.size
_DAYS_BEFORE = 2
"""Of a market that had no trade on a day the price of up to three days ago still counts."""


def pull_prices(session: Session, assets: Iterable[str], from_: date) -> None:
    """Ask for the candles of the days from one to the run's last that are not known yet, each market over the whole
    range at once; of a later way to an asset's price only where an earlier one had no trade. Where nothing answers, the
    others are not asked."""
    markets = {market.symbol: (market.base, market.quote) for market in listed_markets(session.raw)}
    first = midnight(from_) - _DAYS_BEFORE * ONE_DAY
    last = midnight(session.asked.days[-1] + ONE_DAY)
    wanted = {first + n * ONE_DAY for n in range((last - first) // ONE_DAY)}
    session.asked.say("reading prices")

    def ask(symbol: str) -> None:
        if (EVERYBODY, KLINES.name) in session.unreached:
            return
        with session.told_of(EVERYBODY, KLINES.name, symbol=symbol):
            session.asked.check()
            try:
                told = candles(symbol)
            except InvalidSymbol:
                refresh_markets(session)
                told = candles(symbol) if symbol in {market.symbol for market in listed_markets(session.raw)} else []
            session.raw.keep(EVERYBODY, KLINES.name, told, {}, session.clock.now())

    def candles(symbol: str) -> Sequence[Told]:
        drain = Drain(KLINES, session.ask_as_anybody)
        for begin in range(0, (last - first) // ONE_DAY, _DAYS_AT_ONCE):
            end = min(first + (begin + _DAYS_AT_ONCE) * ONE_DAY, last)
            drain.call(klines_call(symbol), (first + begin * ONE_DAY, end - timedelta(milliseconds=1)))
        return drain.told

    ways = price_ways(assets, markets)
    for step in range(max(map(len, ways.values()), default=0)):
        known, priced = _known(session, first)
        left = (of_asset for of_asset in ways.values() if len(of_asset) > step)
        open_ = [of_asset for of_asset in left if not wanted <= _priced_by(of_asset[:step], priced)]
        if not open_:
            break
        symbols = {symbol for of_asset in open_ for symbol in of_asset[step]}
        session.each(sorted(symbol for symbol in symbols if not wanted <= known.get(symbol, set())), ask)


def assets_of(reading: Reading, first: date) -> list[str]:
    """Whatever is held or moved in windows that end on the first day or later: since a wallet's last balance before."""
    balances = reading.frames["balances"]
    before = balances.filter(pc.less(balances["date"], pa.scalar(first)))
    starts = before.group_by(["account", "wallet"]).aggregate([("date", "max")])
    flows = [reading.frames[frame] for frame in ("transfers", "trades")]
    told = pa.concat_tables(
        [
            pa.table(
                {"account": t["account"], "wallet": t["wallet"], "asset": t["asset"], "on": pc.cast(day, pa.date32())}
            )
            for t, day in [(balances, balances["date"]), *((flow, flow["datetime"]) for flow in flows)]
        ]
    ).join(starts, ["account", "wallet"])
    since = pc.fill_null(told["date_max"], pa.scalar(date.min))
    return sorted(pc.unique(told.filter(pc.greater_equal(told["on"], since))["asset"]).to_pylist())


def _priced_by(ways: Iterable[Collection[str]], priced: Mapping[str, set[datetime]]) -> set[datetime]:
    """The days on which one of these ways had a trade in each of its markets."""
    nothing: set[datetime] = set()
    return nothing.union(*(set.intersection(*(priced.get(symbol, nothing) for symbol in way)) for way in ways))


def _known(session: Session, since: datetime) -> tuple[Mapping[str, set[datetime]], Mapping[str, set[datetime]]]:
    """The days from `since` on whose candle was read once it had closed, by market; and those of them that tell a
    price. One that cannot be read, or was told in two ways, is asked for again."""
    known: dict[str, set[datetime]] = {}
    priced: dict[str, set[datetime]] = {}
    for row in session.raw.records([KLINES.name], since=since):
        if row.instant is None or row.is_doubted or row.read_at < row.instant + ONE_DAY:
            continue
        try:
            told = close_of(row.content)
        except Malformed:
            continue
        known.setdefault(row.call["symbol"], set()).add(row.instant)
        if told is not None:
            priced.setdefault(row.call["symbol"], set()).add(row.instant)
    return known, priced
