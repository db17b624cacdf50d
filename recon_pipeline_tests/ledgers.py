"""Random ledgers for the oracle and the kernel: hypothesis strategies that shrink to a ledger a person can read.

Each begins as a small true world (opening amounts and flows) from which snapshots are stated; then the telling goes
wrong: days and assets are left out, amounts are off, flows are forgotten, doubled or refused, feeds have holes, prices
are stale. Instants come from a few clocks of the day, so that windows, flows, coverage and prices often meet to the
microsecond.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from hypothesis import strategies as st

from recon_pipeline_tests.oracle import (
    EXACT,
    FLOW_FRAMES,
    ZERO,
    Balance,
    Coverage,
    Expected,
    Flow,
    Ledger,
    Opening,
    Position,
    Price,
    Quarantined,
    Settings,
    Severities,
    ToleranceRule,
    Wallet,
    reconcile,
)

T = TypeVar("T")

START = date(2026, 3, 4)
"""A Wednesday: the weekend is days 3 and 4."""
DAYS_MAX = 7
EARLIEST_DAY = -6
"""Flow partitions reach this far back, so that a window of an old as_of is not always a hole."""

ACCOUNTS = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal")
WALLETS = ("SPOT", "EARN")
FLOW_WALLETS = (*WALLETS, "NEVER STATED")
ASSETS = ("BTC", "USD", "SHIB")
PRICE_VENUES = ("v", "px1", "px2")

HOUR = timedelta(hours=1)
MICRO = timedelta(microseconds=1)
CLOCKS = (12 * HOUR, timedelta(0), MICRO, 6 * HOUR, 12 * HOUR + MICRO, 18 * HOUR, 24 * HOUR - MICRO)
CLOSE = 24 * HOUR - MICRO

LARGEST = Decimal("999999999999999999.999999999999999999")
DUST = Decimal("1e-18")
SHIB_SIZED = Decimal("589000000000000.123456789012345678")
TOLERANCES = (ZERO, Decimal("1e-8"), DUST, Decimal(1), Decimal("0.01"))
AMOUNTS = (DUST, Decimal("1e-8"), Decimal("0.1"), Decimal(250), Decimal("1000.01"), SHIB_SIZED, LARGEST)
NOISE = (
    ZERO,
    DUST,
    -DUST,
    Decimal("1e-8"),
    Decimal("2e-8"),
    Decimal(1),
    Decimal(-1),
    Decimal(-250),
    SHIB_SIZED,
    LARGEST,
)
PRICES_OF_ONE = (
    Decimal(1),
    Decimal("65000.12"),
    Decimal("0.00001234"),
    Decimal("0.000000005"),
    DUST,
    ZERO,
    Decimal(-1),
    LARGEST,
)
SUBTYPES = {
    "transfers": ("transfer_in", "transfer_out", "txn_fee", "unknown"),
    "trades": ("buy", "sell", "trade_fee", "unknown"),
}


def day_no(number: int) -> date:
    """The day so many days after START."""
    return START + timedelta(days=number)


def moment(number: int, clock: timedelta) -> datetime:
    """The instant of that clock on that day."""
    return datetime(START.year, START.month, START.day, tzinfo=UTC) + timedelta(days=number) + clock


def held(amount: Decimal) -> Decimal:
    """An amount as a column of (36,18) can hold it: what is larger is cut to the largest."""
    return max(EXACT.minus(LARGEST), min(LARGEST, amount))


def sampled_mostly(usual: Any, *others: Any, weight: int = 3) -> st.SearchStrategy[Any]:
    """The usual value `weight` times as often as each other; shrinks to it."""
    return st.sampled_from((*([usual] * weight), *others))


amounts = st.one_of(st.integers(-5, 5).map(Decimal), st.sampled_from((*AMOUNTS, *map(EXACT.minus, AMOUNTS))))
clocks = st.sampled_from(CLOCKS)


def instants(first: int, last: int) -> st.SearchStrategy[datetime]:
    return st.builds(moment, st.integers(first, last), clocks)


@dataclasses.dataclass(frozen=True)
class Telling:
    """A flow that happened, and how it is told: as it was, not at all, twice, or refused with some parts unknown."""

    flow: Flow
    told: str
    unknown: frozenset[str]


pockets = st.tuples(sampled_mostly("SPOT", "EARN", "NEVER STATED", weight=6), st.sampled_from(ASSETS))
"""A wallet and an asset: a position of some account."""
TOLD: tuple[tuple[str, tuple[str, ...]], ...] = (
    *(("told", ()),) * 40,
    *(("forgotten", ()), ("doubled", ()), ("refused", ())) * 3,
    *(("refused", (part,)) for part in ("asset", "wallet", "account", "instant")),
)
"""How a flow is told, and what of a refused one is unknown. Few spoil a whole account, or all of them."""


@dataclasses.dataclass(frozen=True)
class Scope:
    """What all accounts of a ledger share: its length, the streams that are read, the measures besides the balance."""

    days: int
    streams: tuple[str, ...]
    measures: tuple[str, ...]


@st.composite
def tellings(draw: st.DrawFn, account: str, scope: Scope) -> Telling:
    wallet, asset = draw(pockets)
    frame, subtype = draw(st.sampled_from([(frame, subtype) for frame in scope.streams for subtype in SUBTYPES[frame]]))
    told, unknown = draw(st.sampled_from(TOLD))
    flow = Flow(
        frame=frame,
        account=account,
        wallet=wallet,
        asset=asset,
        datetime=draw(instants(-1, scope.days)),
        txn_subtype=subtype,
        amount=draw(amounts),
        measure=draw(sampled_mostly("balance", *scope.measures)),
    )
    return Telling(flow, told, frozenset(unknown))


def told_flows(tellings: Iterable[Telling]) -> list[Flow]:
    copies = {"told": 1, "doubled": 2, "forgotten": 0, "refused": 0}
    return [t.flow for t in tellings for _ in range(copies[t.told])]


def refused_flows(tellings: Iterable[Telling]) -> list[Quarantined]:
    return [
        Quarantined(
            frame=t.flow.frame,
            account=None if "account" in t.unknown else t.flow.account,
            wallet=None if "wallet" in t.unknown else t.flow.wallet,
            asset=None if "asset" in t.unknown else t.flow.asset,
            instant=None if "instant" in t.unknown else t.flow.datetime,
        )
        for t in tellings
        if t.told == "refused"
    ]


# --- snapshots --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class World:
    """What was really held: opening amounts and every flow that happened."""

    opened_with: dict[Position, Decimal]
    flows: Sequence[Flow]

    def amount(self, position: Position, measure: str, at: datetime) -> Decimal:
        total = self.opened_with.get(position, ZERO) if measure == "balance" else ZERO
        for flow in self.flows:
            if Position(flow.account, flow.wallet, flow.asset) == position and flow.measure == measure:
                total = EXACT.add(total, flow.amount) if flow.datetime <= at else total
        return held(total)


@dataclasses.dataclass(frozen=True)
class Read:
    """One read of one wallet, and the day that it closes."""

    wallet: Wallet
    date: date
    snapshot_id: str
    read_at: datetime


LAGS = (MICRO, 6 * HOUR, 24 * HOUR, 48 * HOUR, 72 * HOUR)
CELLS = (
    *(("stated", timedelta(0), ZERO),) * 24,
    *(("absent if zero", timedelta(0), ZERO),) * 6,
    *(("absent", timedelta(0), ZERO),) * 3,
    *(("stated", lag, ZERO) for lag in LAGS),
    *(("stated", timedelta(0), noise) for noise in NOISE),
    *(("stated", lag, Decimal(1)) for lag in LAGS),
)
"""How a position is stated: whether at all, how long before the read it was true, and how much it is off."""


@st.composite
def cell(draw: st.DrawFn, world: World, read: Read, asset: str, with_measures: bool) -> list[Balance]:
    """The row of one position, true at an as_of of its own and off by some noise; or no row."""
    presence, lag, noise = draw(st.sampled_from(CELLS))
    as_of = read.read_at - lag
    position = Position(read.wallet.account, read.wallet.wallet, asset)
    amount = held(EXACT.add(world.amount(position, "balance", as_of), noise))
    if presence == "absent" or (presence == "absent if zero" and amount == 0):
        return []
    loan, interest, pnl, marked = (
        draw(st.sampled_from((None, *(held(EXACT.add(world.amount(position, measure, as_of), n)) for n in NOISE))))
        if with_measures
        else None
        for measure in ("loan", "interest", "unrealised_pnl", "unrealised_pnl")
    )
    return [
        Balance(
            account=position.account,
            wallet=position.wallet,
            asset=asset,
            as_of=as_of,
            date=read.date,
            snapshot_id=read.snapshot_id,
            read_at=read.read_at,
            raw_balance=amount,
            raw_loan=loan,
            raw_interest=interest,
            raw_unrealised_pnl=pnl,
            marked_unrealised_pnl=marked,
        )
    ]


READS: tuple[tuple[tuple[str, timedelta], ...], ...] = (
    *((("r", CLOSE),),) * 10,
    (),
    (("r", CLOSE + HOUR),),
    (("r", 12 * HOUR),),
    (("r", timedelta(0)),),
    (("r", -12 * HOUR),),
    (("r", CLOSE), ("é", 12 * HOUR)),
    (("9", CLOSE), ("10", CLOSE)),
    (("B", CLOSE), ("a", CLOSE)),
)
"""The reads that close a day: their names, and when they were made, from the midnight that the day begins with. Two of
one instant differ by their name, in the order of text."""


@st.composite
def snapshots(draw: st.DrawFn, world: World, account: str, scope: Scope) -> list[Balance]:
    rows: list[Balance] = []
    for name in draw(st.sampled_from((("SPOT",), ("SPOT", "EARN"), ()))):
        wallet = Wallet(account, name)
        for number in range(draw(st.sampled_from((-1, 0, 1))), scope.days):
            for read_name, clock in draw(st.sampled_from(READS)):
                read = Read(wallet, day_no(number), f"{number}{read_name}", moment(number, clock))
                for asset in ASSETS:
                    rows += draw(cell(world, read, asset, bool(scope.measures)))
    return rows


@st.composite
def refused_balances(draw: st.DrawFn, rows: list[Balance]) -> tuple[list[Balance], list[Quarantined]]:
    """Some rows of the snapshots are refused, and told in part."""
    at = draw(st.one_of(st.just(set()), st.sets(st.integers(0, len(rows) - 1), max_size=3))) if rows else set()
    refused = []
    for row in (rows[n] for n in sorted(at)):
        unknown = draw(
            sampled_mostly((), ("asset",), ("wallet",), ("account",), ("date",), ("asset", "date"), weight=12)
        )
        told: dict[str, Any] = {part: getattr(row, part) for part in ("account", "wallet", "asset", "date")}
        refused.append(Quarantined("balances", **{**told, **dict.fromkeys(unknown)}))
    return [row for n, row in enumerate(rows) if n not in at], refused


# --- coverage ---------------------------------------------------------------------------------------------------


@st.composite
def coverages(draw: st.DrawFn, account: str, days: int) -> list[Coverage]:
    """The account covered whole, or by tiles some of which fail, or not at all; and a few rows of any kind over it."""
    status = sampled_mostly("complete", "final", "not_applicable", "partial", "failed")
    mode = draw(sampled_mostly("whole", "tiles", "none", weight=6))
    borders = sorted(draw(st.sets(instants(-3, days), max_size=4))) if mode == "tiles" else []
    edges = [] if mode == "none" else [moment(-30, timedelta(0)), *borders, moment(days + 30, timedelta(0))]
    rows = [
        Coverage(account, draw(sampled_mostly("*", "transfers")), None, *tile, draw(status) if borders else "complete")
        for tile in itertools.pairwise(edges)
    ]
    rows += draw(st.lists(odd_coverages(account, days), max_size=3))
    by_key = {(c.stream, c.asset, c.window_start, c.window_end): c for c in rows}
    return list(by_key.values())


@st.composite
def odd_coverages(draw: st.DrawFn, account: str, days: int) -> Coverage:
    stream, asset = draw(st.sampled_from(("*", *FLOW_FRAMES))), draw(st.sampled_from((None, *ASSETS)))
    begin, end = sorted((draw(instants(-3, days)), draw(instants(-3, days))))
    status = draw(st.sampled_from(("failed", "partial", "complete", "final", "not_applicable")))
    return Coverage(account, stream, asset, begin, end, status)


# --- one account ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class AccountStory:
    """What befalls one account."""

    balances: list[Balance]
    flows: list[Flow]
    coverage: list[Coverage]
    quarantine: list[Quarantined]
    openings: list[Opening]


@st.composite
def account_stories(draw: st.DrawFn, account: str, scope: Scope) -> AccountStory:
    happened = draw(st.lists(tellings(account, scope), max_size=10)) if scope.streams else []
    opened_with = draw(st.dictionaries(pockets, amounts, max_size=3))
    world = World(
        {Position(account, *pocket): held for pocket, held in opened_with.items()}, [t.flow for t in happened]
    )
    balances, refused = draw(refused_balances(draw(snapshots(world, account, scope))))
    opening = st.builds(
        Opening, st.just(account), sampled_mostly("SPOT", "EARN"), st.integers(-3, scope.days).map(day_no)
    )
    return AccountStory(
        balances=balances,
        flows=told_flows(happened),
        coverage=draw(coverages(account, scope.days)),
        quarantine=[*refused_flows(happened), *refused],
        openings=draw(sampled_lists(opening)),
    )


def sampled_lists(elements: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """Mostly nothing, at times one."""
    return st.integers(0, 5).flatmap(lambda n: elements.map(lambda e: [e]) if n == 5 else st.just([]))


# --- what all accounts share ------------------------------------------------------------------------------------


@st.composite
def prices(draw: st.DrawFn, days: int) -> list[Price]:
    one = st.builds(
        Price,
        sampled_mostly("v", "px1", "px2"),
        st.sampled_from(ASSETS),
        instants(-5, days),
        st.sampled_from(PRICES_OF_ONE),
        st.sampled_from(("p", "q", "P")),
    )
    usual = [
        Price("v", asset, moment(-1, CLOSE), price, "p")
        for asset in ASSETS
        if (price := draw(st.sampled_from((None, *PRICES_OF_ONE)))) is not None
    ]
    others = draw(st.lists(one, max_size=6))
    return list({(p.venue, p.asset, p.as_of, p.source): p for p in (*usual, *others)}.values())


@st.composite
def expectations(draw: st.DrawFn, ledger: Ledger) -> tuple[Expected, ...]:
    """Items that name a residual that is there, or miss it by one."""
    rows = [row for rows in reconcile(ledger).values() for row in rows if row.status == "variance"]
    items = []
    for n in range(draw(st.integers(1, 5)) if rows else 0):
        row, off = draw(st.sampled_from(rows)), draw(sampled_mostly(ZERO, Decimal(1)))
        amount = held(EXACT.add(row.variance_in_asset or ZERO, off))
        by = max(row.date, ledger.as_of_day) + timedelta(days=draw(sampled_mostly(1, 0, -1, 30)))
        items.append(Expected(row.account, row.wallet, row.asset, amount, by, f"reason {n}"))
    return tuple(items)


@st.composite
def refused_others(draw: st.DrawFn, days: int) -> list[Quarantined]:
    """Refused prices, rows that no window cares about, and a faulty file of balances of which nothing can be told."""
    price = st.builds(
        lambda asset, instant, venue: Quarantined("prices", asset=asset, instant=instant, venue=venue),
        st.sampled_from((*ASSETS, None)),
        st.one_of(instants(-5, days), st.none()),
        st.sampled_from(PRICE_VENUES),
    )
    unstated = Quarantined("balances", "ann", "SPOT", "BTC", date=START)
    others = (unstated, Quarantined("coverage", "ann"), Quarantined("expected", "ann"), Quarantined("balances"))
    return draw(st.one_of(st.just([]), st.lists(st.one_of(price, price, st.sampled_from(others)), max_size=2)))


@st.composite
def tolerances(draw: st.DrawFn) -> tuple[ToleranceRule, ...]:
    """A rule at some of the six levels; the first found has the lowest rank."""
    account, asset = draw(st.sampled_from(ACCOUNTS)), draw(st.sampled_from(ASSETS))
    levels = ((account, asset), (account, None), (None, asset), (None, None), (None, asset), (None, None))
    values = [draw(st.sampled_from((None, *TOLERANCES))) for _ in levels]
    return tuple(
        ToleranceRule(*level, value, rank)
        for rank, (level, value) in enumerate(zip(levels, values, strict=True))
        if value is not None
    )


STRICT = Severities(Decimal("0.5"), Decimal("0.75"), Decimal(2), Decimal(3), Decimal(4), Decimal(5), Decimal(4))


@st.composite
def settings_of(draw: st.DrawFn, scope: Scope, openings: Iterable[Opening]) -> Settings:
    return Settings(
        start=day_no(draw(sampled_mostly(0, 1, 2))),
        streams=scope.streams,
        calendar=draw(sampled_mostly("daily", "weekdays", "stated")),
        due_days=draw(st.sampled_from((1, 0, 2))),
        tolerances=draw(tolerances()),
        severities=draw(sampled_mostly(Severities(), STRICT)),
        openings=tuple(openings),
        price_sources=draw(st.sampled_from(((), ("px1",), ("px2", "px1")))),
        measures=draw(st.sampled_from((scope.measures, ()))),
    )


@st.composite
def flow_partitions(draw: st.DrawFn, days: int, streams: tuple[str, ...]) -> frozenset[tuple[str, date]]:
    """Those that were written: all, or all but a few."""
    every = [(frame, day_no(n)) for frame in streams for n in range(EARLIEST_DAY, days + 2)]
    if not every:
        return frozenset()
    return frozenset(every) - draw(st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(every), max_size=2)))


@st.composite
def ledgers(draw: st.DrawFn, accounts_max: int = len(ACCOUNTS)) -> Ledger:
    """One venue's ledger of up to a week, and the days that are asked for."""
    scope = Scope(
        days=draw(st.integers(1, DAYS_MAX)),
        streams=draw(sampled_mostly(FLOW_FRAMES, ("transfers",), ("trades",), (), weight=7)),
        measures=draw(sampled_mostly((), ("loan",), ("loan", "interest"))),
    )
    names = ACCOUNTS[: draw(st.integers(1, accounts_max))]
    stories = [draw(account_stories(name, scope)) for name in names]
    settings = draw(settings_of(scope, [o for s in stories for o in s.openings]))
    partitions = draw(flow_partitions(scope.days, scope.streams))
    first = (settings.start - START).days
    ledger = Ledger(
        settings=settings,
        as_of_day=day_no(draw(sampled_mostly(scope.days + 9, scope.days, 1, -1))),
        days=tuple(day_no(n) for n in range(first, max(scope.days, first + 1))),
        balances=tuple(b for s in stories for b in s.balances),
        flows=tuple(f for s in stories for f in s.flows if (f.frame, f.datetime.date()) in partitions),
        flow_partitions=partitions,
        coverage=tuple(c for s in stories for c in s.coverage),
        prices=tuple(draw(prices(scope.days))),
        quarantine=(*(q for s in stories for q in s.quarantine), *draw(refused_others(scope.days))),
    )
    with_expected = draw(sampled_mostly(False, True, weight=2))
    return dataclasses.replace(ledger, expected=draw(expectations(ledger))) if with_expected else ledger


@st.composite
def earlier_states(draw: st.DrawFn, ledger: Ledger) -> Ledger:
    """What the lake may have held before it held this ledger: partitions and rows missing, rows that were other."""

    def some_of(rows: tuple[T, ...]) -> tuple[T, ...]:
        gone = draw(st.sets(st.integers(0, len(rows) - 1), max_size=3)) if rows else set()
        return tuple(row for n, row in enumerate(rows) if n not in gone)

    unwritten = (
        draw(st.sets(st.sampled_from(sorted(ledger.flow_partitions)), max_size=3)) if ledger.flow_partitions else set()
    )
    partitions = ledger.flow_partitions - unwritten
    off = draw(st.sampled_from((ZERO, Decimal(1))))
    flows = some_of(ledger.flows)
    return dataclasses.replace(
        ledger,
        balances=some_of(ledger.balances),
        flows=tuple(
            dataclasses.replace(f, amount=held(EXACT.add(f.amount, off)) if n == 0 else f.amount)
            for n, f in enumerate(flows)
            if (f.frame, f.datetime.date()) in partitions
        ),
        flow_partitions=partitions,
        coverage=some_of(ledger.coverage),
        prices=some_of(ledger.prices),
        expected=some_of(ledger.expected),
        quarantine=some_of(ledger.quarantine),
    )
