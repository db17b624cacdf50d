"""Which markets to ask for an account's trades: first where something is unexplained, in time every one.

Binance tells trades market by market only, and lists some 3,500 of them. The reconciliation itself says where to look:
a residual names the assets that are not explained, and only markets between two of them can explain it (BNB, in which
fees are charged, counts as one). What remains then may have moved in any market of such an asset. A round trip leaves
no residual: a rotation asks every other market within a week.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation

from recon_pipeline.stores.raw import Told
from recon_pipeline.venues.binance.mapping.cells import EXACT

FEE_ASSET = "BNB"
ROTATION_DAYS = 7
STICKY = timedelta(days=30)
"""A market that was traded in the last month is asked every day."""

STABLECOINS = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "USDP", "USD1", "USDE", "EURI", "AEUR", "XUSD")
MAJORS = ("BTC", "ETH", "BNB", "SOL", "XRP", "EUR", "TRY", "BRL", "JPY")


@dataclass(frozen=True)
class Market:
    """A market of the exchange: what is bought and sold, and what is paid with."""

    symbol: str
    base: str
    quote: str
    is_open: bool = True
    """Whether it trades at present; what was traded before it was halted is told all the same."""


@dataclass
class Gap:
    """An amount of an asset that is not explained, in the days from first to last."""

    asset: str
    first: date
    last: date
    amount: Decimal


@dataclass
class Puzzle:
    """What is unexplained, while trades that may explain it come in."""

    gaps: list[Gap]

    def is_solved_with(self, market: Market, told: Sequence[Told]) -> bool:
        """Take trades of a market in; whether nothing is left. It says when to stop asking, and nothing else: what
        is really explained, the reconciliation computes."""
        for trade in told:
            content, at = trade.content, trade.instant
            if at is None:
                continue
            got, gave = (market.base, "qty"), (market.quote, "quoteQty")
            if content.get("isBuyer") is not True:
                got, gave = gave, got
            for (asset, name), move in (
                (got, EXACT.subtract),
                (gave, EXACT.add),
                ((content.get("commissionAsset"), "commission"), EXACT.add),
            ):
                for gap in self.gaps:
                    if gap.asset == asset and gap.first <= at.date() <= gap.last:
                        gap.amount = move(gap.amount, _number(content.get(name)))
        return not any(gap.amount for gap in self.gaps)


def _number(told: object) -> Decimal:
    """An amount as it is told; nothing if it cannot be read, for the mapping says so."""
    try:
        number = Decimal(str(told))
    except InvalidOperation:
        return Decimal(0)
    return number if number.is_finite() else Decimal(0)


@dataclass(frozen=True)
class AskedMarket:
    """Over which time an account's trades of a market were asked, and what was found."""

    symbol: str
    asked_from: datetime
    asked_through: datetime
    last_id: int | None
    last_trade_at: datetime | None
    purged_after: datetime | None = None
    """The first list without it, if it has left the list."""
    last_checked: datetime | None = None
    """When it was asked last, in vain or not."""

    def covers(self, start: datetime, end: datetime) -> bool:
        """Whether it was asked from `start` through `end`."""
        return self.asked_from <= start and self.asked_through >= end


Asked = Mapping[str, AskedMarket]


def between(unexplained: Collection[str], markets: Iterable[Market]) -> list[Market]:
    """Markets between two unexplained assets, fees included; in the order in which they are asked."""
    assets = {*unexplained, FEE_ASSET}
    return _ordered(m for m in markets if m.base in assets and m.quote in assets)


def touching(unexplained: Collection[str], markets: Iterable[Market]) -> list[Market]:
    """Markets of at least one unexplained asset; in the order in which they are asked."""
    assets = set(unexplained)
    return _ordered(m for m in markets if m.base in assets or m.quote in assets)


def sticky(markets: Iterable[Market], asked: Asked, at: datetime) -> list[Market]:
    """Markets that the account traded of late."""
    return _ordered(
        m
        for m in markets
        if (known := asked.get(m.symbol)) and known.last_trade_at is not None and at - known.last_trade_at <= STICKY
    )


def rotation(
    markets: Collection[Market],
    asked: Asked,
    start: datetime,
    end: datetime,
    halted_since: Mapping[str, datetime] | None = None,
) -> list[Market]:
    """The markets not asked through `end` in the order of their turn: first what is listed again, which is a hole until
    then, and what was halted since it was asked, for one day it will leave the list; then the ones asked longest ago,
    in vain or not: markets that always fail keep no other from its turn."""
    open_ones = unasked(markets, asked, start, end)
    never = datetime.min.replace(tzinfo=end.tzinfo)

    def turn(market: Market) -> tuple[bool, datetime, str]:
        known = asked.get(market.symbol)
        is_hole = known is not None and known.purged_after is not None
        last_checked = known.last_checked if known is not None else None
        was_halted = last_checked is not None and last_checked < (halted_since or {}).get(market.symbol, never)
        return not (is_hole or was_halted), last_checked or never, market.symbol

    return sorted(open_ones, key=turn)


def share_of_rotation(markets: int, last: date | None, today: date) -> int:
    """How many of so many markets are due in a run that begins today: a week's part for every day since the last
    rotation, so that each is asked within a week, however often runs are, and none twice."""
    days = 1 if last is None else min((today - last).days, ROTATION_DAYS)
    return max(0, days) * -(-markets // ROTATION_DAYS)


def unasked(markets: Iterable[Market], asked: Asked, start: datetime, end: datetime) -> list[Market]:
    """Those that were not asked over all of `start` to `end`: no market is asked twice for a time that it covers."""
    return [m for m in markets if m.symbol not in asked or not asked[m.symbol].covers(start, end)]


def with_idle_days(markets: Iterable[Market], asked: Asked, start: datetime, idle: Collection[date]) -> Asked:
    """As if every market had been asked over the days on which the account traded nothing at all."""
    if not idle:
        return asked
    found = {}
    for market in markets:
        known = asked.get(market.symbol)
        if known is None or known.asked_from > start:
            left, checked = (known.purged_after, known.last_checked) if known is not None else (None, None)
            known = AskedMarket(market.symbol, start, start, None, None, left, checked)
        found[market.symbol] = replace(known, asked_through=past_idle(known.asked_through, idle))
    return found


def past_idle(through: datetime, idle: Collection[date]) -> datetime:
    """The end of the idle days that begin with an instant; itself if its day is none."""
    while through.date() in idle:
        through = datetime.combine(through.date() + timedelta(days=1), time(), through.tzinfo)
    return through


def standing(
    unexplained: Collection[str],
    markets: Collection[Market],
    asked: Asked,
    span: tuple[datetime, datetime],
    idle: Collection[date] = (),
) -> str:
    """How an account's trades stand over a span: `final` when every market was asked or the account was idle,
    `complete` when every market of an unexplained asset was asked, else `partial`. Without a list of markets nobody
    knows what was not asked."""
    start, end = span
    if not markets or unasked(touching(unexplained, markets), asked, start, end):
        return "partial"
    return "complete" if unasked(markets, with_idle_days(markets, asked, start, idle), start, end) else "final"


def _ordered(markets: Iterable[Market]) -> list[Market]:
    """Against stablecoins first, then against the major coins, then the rest; what is halted at the end."""
    return sorted(markets, key=lambda m: (not m.is_open, _rank(m.quote), m.symbol))


def _rank(quote: str) -> int:
    return 0 if quote in STABLECOINS else 1 if quote in MAJORS else 2
