"""USD prices from the day's klines, directly or over at most one other asset.

USDT counts as one dollar: the venue quotes in it, has no dollar of its own in most regions, and a figure in the asset
never depends on it. An asset is priced by the first way that had a trade on that day: against USDT, FDUSD or USDC,
else over BTC, BNB or ETH, else, for money, by the inverse of what USDT cost in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import Book
from recon_pipeline.venues.binance.mapping.cells import ROUNDED, Malformed
from recon_pipeline.venues.binance.streams.shapes import instant_of
from recon_pipeline.venues.streams import RawRecord

REFERENCE_ASSET = "USDT"
BRIDGES = ("FDUSD", "USDC", "BTC", "BNB", "ETH")
"""What an asset may be quoted in beside USDT, in the order of preference."""


def price_ways(assets: Iterable[str], symbols: Mapping[str, tuple[str, str]]) -> dict[str, list[tuple[str, ...]]]:
    """For each asset the ways to its price that are listed, in the order of preference: the symbols whose klines make
    the price together. A later way is needed for a day on which no earlier one had a trade."""
    by_pair = {pair: symbol for symbol, pair in sorted(symbols.items(), reverse=True)}
    ways = {}
    for asset in assets:
        over = [((asset, bridge), (bridge, REFERENCE_ASSET)) for bridge in BRIDGES]
        every = [((asset, REFERENCE_ASSET),), *over, ((REFERENCE_ASSET, asset),)]
        if asset == REFERENCE_ASSET:  # is one dollar on every day that has a candle, whichever it is
            every = [((base, REFERENCE_ASSET),) for base in BRIDGES]
        listed = [tuple(by_pair.get(pair) for pair in pairs) for pairs in every]
        ways[asset] = [tuple(symbol for symbol in way if symbol) for way in listed if all(way)]
    return ways


def close_of(content: Mapping[str, object]) -> tuple[datetime, Decimal] | None:
    """When a candle closes, and the price that it tells; None for one without a trade, which repeats an old one, and
    for a price of nothing. Malformed names what cannot be read."""
    closed = cells.moment(content, "closeTime")
    trades = content.get("trades")
    if not isinstance(trades, int) or isinstance(trades, bool):
        raise Malformed("trades is not a whole number")
    price = Decimal(cells.amount(content, "close"))
    return (closed, price) if trades != 0 and price > 0 else None


@dataclass(frozen=True)
class _Price:
    """What one asset cost in another, unrounded, with the instant until which it did and the candle that told it."""

    value: Decimal
    at: datetime
    record: RawRecord


class _Day:
    """The closes of one day by (base, quote)."""

    def __init__(self) -> None:
        self.closes: dict[tuple[str, str], _Price] = {}

    def usd(self, asset: str) -> _Price | None:
        """The price in USD by the first way that had a trade."""
        if asset == REFERENCE_ASSET:
            last = max(self.closes.values(), key=lambda close: close.at)
            return replace(last, value=Decimal(1))
        if (direct := self.closes.get((asset, REFERENCE_ASSET))) is not None:
            return direct
        for bridge in BRIDGES:
            first, rest = self.closes.get((asset, bridge)), self.closes.get((bridge, REFERENCE_ASSET))
            if first is not None and rest is not None:
                return replace(first, value=ROUNDED.multiply(first.value, rest.value), at=min(first.at, rest.at))
        if (inverse := self.closes.get((REFERENCE_ASSET, asset))) is not None:
            return replace(inverse, value=ROUNDED.divide(Decimal(1), inverse.value))
        return None


def map_prices(book: Book, records: Iterable[RawRecord]) -> None:
    """One price for each asset and day that had a trade; a candle without one repeats an old price and is none."""
    days: dict[date, _Day] = {}
    for record in records:
        try:
            _close(book, record, days)
        except Malformed as malformed:
            pair = book.context.symbols.get(record.call.get("symbol", ""))
            at = instant_of(record.content.get("closeTime"))
            book.quarantine(record, str(malformed), [("prices", None, pair[0] if pair else None)], at)
    for day in (days[key] for key in sorted(days)):
        _write(book, day, {REFERENCE_ASSET, *(asset for pair in day.closes for asset in pair)})


def _close(book: Book, record: RawRecord, days: dict[date, _Day]) -> None:
    content = record.content
    symbol = record.call.get("symbol", "")
    pair = book.context.symbols.get(symbol)
    if pair is None:
        raise Malformed(f"the symbol {symbol} is not in any exchange info")
    told = close_of(content)
    if told is None or told[0] >= record.read_at:
        return
    closed, price = told
    days.setdefault(cells.moment(content, "openTime").date(), _Day()).closes[pair] = _Price(price, closed, record)


def _write(book: Book, day: _Day, assets: Collection[str]) -> None:
    for asset in sorted(assets):
        if (price := day.usd(asset)) is None:
            continue
        try:
            text = cells.rounded(price.value)
        except Malformed as malformed:
            book.quarantine(price.record, str(malformed), [("prices", None, asset)], price.at)
            continue
        if not cells.is_zero(text):
            book.mapped.prices.append({"asset": asset, "as_of": price.at, "usd_price": text, "source": "klines"})
