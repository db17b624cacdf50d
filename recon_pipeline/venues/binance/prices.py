"""Daily candles for whatever a reading holds or moved, so that a variance has its USD."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pyarrow.compute as pc

from recon_pipeline.venues.binance.accounts import EVERYBODY
from recon_pipeline.venues.binance.mapping import price_symbols
from recon_pipeline.venues.binance.pulling import Pull
from recon_pipeline.venues.binance.streams import BY_NAME, klines_call
from recon_pipeline.venues.binance.trades import listed_markets
from recon_pipeline.venues.drain import Drain
from recon_pipeline.venues.pull import ONE_DAY, midnight
from recon_pipeline.venues.reading import Reading

KLINES = BY_NAME["klines"]
_DAYS_BEFORE = 2
"""Of a market that had no trade on a day the price of up to three days ago still counts."""


def pull_prices(pull: Pull, assets: Iterable[str]) -> None:
    """Ask for the candles of the run's days that are not known yet, each market over the whole range at once."""
    markets = {market.symbol: (market.base, market.quote) for market in listed_markets(pull.raw)}
    first = midnight(pull.asked.days[0]) - _DAYS_BEFORE * ONE_DAY
    last = midnight(pull.asked.days[-1] + ONE_DAY)
    known = _known(pull)
    wanted = {first + n * ONE_DAY for n in range((last - first) // ONE_DAY)}
    pull.asked.say("reading prices")
    symbols = [symbol for symbol in price_symbols(assets, markets) if not wanted <= known.get(symbol, set())]

    def ask(symbol: str) -> None:
        with pull.told_of(EVERYBODY, KLINES.name, symbol=symbol):
            pull.asked.check()
            drain = Drain(KLINES, pull.ask_as_anybody)
            drain.call(klines_call(symbol), (first, last - timedelta(milliseconds=1)))
            pull.raw.keep(EVERYBODY, KLINES.name, drain.told, {}, pull.clock.now())

    pull.each(symbols, ask)


def assets_of(reading: Reading) -> list[str]:
    """Whatever is held or was moved."""
    told = (reading.frames[frame]["asset"] for frame in ("balances", "transfers", "trades"))
    return sorted({asset for column in told for asset in pc.unique(column).to_pylist()})


def _known(pull: Pull) -> dict[str, set[datetime]]:
    """The days whose candle was read once it had closed, by market."""
    known: dict[str, set[datetime]] = {}
    for row in pull.raw.records([KLINES.name]):
        if row.instant is not None and row.read_at >= row.instant + ONE_DAY:
            known.setdefault(row.call["symbol"], set()).add(row.instant)
    return known
