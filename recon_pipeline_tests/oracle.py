"""The daily reconciliation said once more, as plainly as possible: the kernel's independent reference.

It walks the snapshots of one position in the order of their days and keeps one thing in mind, the start: the
position's last usable actual. Plain Python, Decimal, dataclasses; nothing of recon_pipeline, no frame library, no SQL.
Every sum is exact: an operation that would have to round raises. Instants are datetimes in UTC, amounts Decimals, days
dates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext
from functools import cached_property
from typing import Any

EXACT = Context(prec=120, traps=[Inexact, InvalidOperation, Overflow])
"""All arithmetic here: 120 digits hold any sum and product, and what does not fit raises Inexact. It must be in force
even where only a sign changes: under Python's own context `-x` and `abs(x)` round to 28 digits."""
ROUNDING = Context(prec=120, rounding=ROUND_HALF_UP, traps=[InvalidOperation, Overflow])
"""The one rounding of the contract: USD, half away from zero."""

ZERO = Decimal(0)
SUM_LIMIT = Decimal(10) ** 20
"""A sum is decimal(38,18): twenty digits before the point."""
USD_LIMIT = Decimal(10) ** 30
"""USD is decimal(38,8): thirty digits before the point."""
CENTI_MICRO = Decimal("1e-8")
TICK = timedelta(microseconds=1)
STALE_AFTER = timedelta(hours=72)
COUNTS_AS_READ = ("complete", "final", "not_applicable")
BUCKETS = ("transfers_in", "transfers_out", "trades_in", "trades_out", "fees")
FLOW_FRAMES = ("transfers", "trades")
BUCKET_OF_SUBTYPE = {
    "transfer_in": "transfers_in",
    "transfer_out": "transfers_out",
    "buy": "trades_in",
    "sell": "trades_out",
    "txn_fee": "fees",
    "trade_fee": "fees",
}
"""As the registry documents them; `unknown` goes by its sign."""


class SumOverflowError(Exception):
    """A sum beyond decimal(38,18): the run has to refuse it by name."""


@dataclass(frozen=True, order=True)
class Wallet:
    account: str
    wallet: str


@dataclass(frozen=True, order=True)
class Position:
    account: str
    wallet: str
    asset: str

    @property
    def pocket(self) -> Wallet:
        return Wallet(self.account, self.wallet)


@dataclass(frozen=True)
class Balance:
    account: str
    wallet: str
    asset: str
    as_of: datetime
    date: date
    snapshot_id: str
    read_at: datetime
    raw_balance: Decimal
    raw_loan: Decimal | None = None
    raw_interest: Decimal | None = None
    raw_unrealised_pnl: Decimal | None = None
    marked_unrealised_pnl: Decimal | None = None


@dataclass(frozen=True)
class Flow:
    frame: str
    account: str
    wallet: str
    asset: str
    datetime: datetime
    txn_subtype: str
    amount: Decimal
    measure: str = "balance"


@dataclass(frozen=True)
class Coverage:
    account: str
    stream: str
    asset: str | None
    window_start: datetime
    window_end: datetime
    status: str


@dataclass(frozen=True)
class Price:
    venue: str
    asset: str
    as_of: datetime
    usd_price: Decimal
    source: str


@dataclass(frozen=True)
class Expected:
    account: str
    wallet: str
    asset: str
    amount: Decimal
    expected_by: date
    reason: str


@dataclass(frozen=True)
class Quarantined:
    """A refused row, as far as it could be told. `venue` matters for prices: each venue has a quarantine of its own."""

    frame: str
    account: str | None = None
    wallet: str | None = None
    asset: str | None = None
    instant: datetime | None = None
    date: date | None = None
    venue: str = "v"

    @property
    def position(self) -> Position | None:
        if self.account is None or self.wallet is None or self.asset is None:
            return None
        return Position(self.account, self.wallet, self.asset)


@dataclass(frozen=True)
class Opening:
    account: str
    wallet: str
    date: date


@dataclass(frozen=True)
class ToleranceRule:
    account: str | None
    asset: str | None
    value: Decimal
    rank: int


@dataclass(frozen=True)
class Severities:
    medium_share: Decimal = Decimal("0.01")
    high_share: Decimal = Decimal("0.05")
    low_usd_always: Decimal = Decimal(1)
    medium_usd: Decimal = Decimal(100)
    high_usd: Decimal = Decimal(1000)
    critical_usd: Decimal = Decimal(10000)
    critical_missing_usd: Decimal = Decimal(1000)


@dataclass(frozen=True)
class Settings:
    start: date
    venue: str = "v"
    streams: tuple[str, ...] = FLOW_FRAMES
    calendar: str = "daily"
    due_days: int = 1
    tolerances: tuple[ToleranceRule, ...] = ()
    severities: Severities = Severities()
    openings: tuple[Opening, ...] = ()
    price_sources: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """All that one venue's lake holds, the settings, and what is asked: the rows of `days`, seen on `as_of_day`."""

    settings: Settings
    as_of_day: date
    days: tuple[date, ...]
    balances: tuple[Balance, ...] = ()
    flows: tuple[Flow, ...] = ()
    flow_partitions: frozenset[tuple[str, date]] = frozenset()
    coverage: tuple[Coverage, ...] = ()
    prices: tuple[Price, ...] = ()
    expected: tuple[Expected, ...] = ()
    quarantine: tuple[Quarantined, ...] = ()


@dataclass(frozen=True)
class Row:
    """A row of the reconciliation, all columns but inputs_digest."""

    date: date
    venue: str
    account: str
    wallet: str
    asset: str
    window_start: datetime | None = None
    window_end: datetime | None = None
    start_balance: Decimal | None = None
    transfers_in: Decimal | None = None
    transfers_out: Decimal | None = None
    trades_in: Decimal | None = None
    trades_out: Decimal | None = None
    fees: Decimal | None = None
    calculated_balance: Decimal | None = None
    actual_balance: Decimal | None = None
    variance_in_asset: Decimal | None = None
    usd_price: Decimal | None = None
    price_status: str = "missing"
    variance_in_usd: Decimal | None = None
    loan_calculated: Decimal | None = None
    loan_actual: Decimal | None = None
    interest_calculated: Decimal | None = None
    interest_actual: Decimal | None = None
    unrealised_pnl_calculated: Decimal | None = None
    unrealised_pnl_actual: Decimal | None = None
    tolerance: Decimal = ZERO
    status: str = ""
    severity: str | None = None
    discrepancy_type: str | None = None
    flow_count: int | None = None


COLUMNS = tuple(f.name for f in fields(Row))


@dataclass(frozen=True)
class Snapshot:
    """The one snapshot of a wallet and date that counts."""

    date: date
    read_at: datetime
    cells: dict[str, Balance] = field(hash=False)


@dataclass(frozen=True)
class Actual:
    """What a snapshot says of one position: a stated row, or nothing at all, which is zero at its read_at."""

    as_of: datetime
    amount: Decimal
    stated: Balance | None

    @property
    def loan(self) -> Decimal | None:
        return self.stated.raw_loan if self.stated else None

    @property
    def interest(self) -> Decimal | None:
        return self.stated.raw_interest if self.stated else None

    @property
    def is_something(self) -> bool:
        """Above or below zero, in any measure."""
        return any(amount not in (None, ZERO) for amount in (self.amount, self.loan, self.interest))


@dataclass(frozen=True)
class Start:
    """The position's last usable actual, and the row that it closed (none if nothing told of the position then)."""

    actual: Actual
    row: Row | None


def reconcile(ledger: Ledger) -> dict[date, list[Row]]:
    """The rows of each asked day, by account, wallet and asset."""
    rows: dict[date, list[Row]] = {day: [] for day in ledger.days}
    book = _Book(ledger)
    with localcontext(EXACT):
        for position in book.positions:
            for row in book.walk(position):
                if row.date in rows:
                    rows[row.date].append(row)
    return rows


def instant(day: date) -> datetime:
    """00:00 UTC of that day."""
    return datetime.combine(day, time(), UTC)


def add(*amounts: Decimal) -> Decimal:
    """The exact sum; SumOverflowError beyond decimal(38,18)."""
    total = sum(amounts, ZERO)
    if abs(total) >= SUM_LIMIT:
        raise SumOverflowError(f"{total} does not fit decimal(38,18)")
    return total


class _Book:
    """One ledger, and the questions that the contract asks of it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.settings = ledger.settings
        self.spoiled = [q for q in ledger.quarantine if q.frame == "balances" and q.venue == self.settings.venue]
        self.refused_flows = [q for q in ledger.quarantine if q.frame in FLOW_FRAMES and q.venue == self.settings.venue]

    @cached_property
    def positions(self) -> list[Position]:
        """Every position that anything tells of."""
        told = {Position(b.account, b.wallet, b.asset) for b in self.ledger.balances}
        told |= {Position(f.account, f.wallet, f.asset) for f in self.ledger.flows}
        told |= {q.position for q in (*self.spoiled, *self.refused_flows) if q.position is not None}
        return sorted(told)

    # --- the walk -----------------------------------------------------------------------------------------------

    def walk(self, position: Position) -> Iterator[Row]:
        """The rows of one position, day after day."""
        start: Start | None = None
        opening: Snapshot | None = None
        last: Snapshot | None = None
        for day in self.days_of(position.pocket):
            snapshot = self.snapshots.get(position.pocket, {}).get(day)
            if snapshot is None:
                row = self.row_without_snapshot(position, day, last)
            elif opening is None or last is None or self.opens_anew(position.pocket, last.date, day):
                opening = snapshot
                row, start = self.row_of_opening(position, snapshot)
            else:
                row, start = self.row_of_snapshot(position, snapshot, opening, start)
            last = snapshot or last
            if row is not None:
                yield row

    def days_of(self, wallet: Wallet) -> list[date]:
        """Every day on which the wallet may have rows: the asked ones and those of its snapshots."""
        return sorted({*self.ledger.days, *self.snapshots.get(wallet, {})})

    def opens_anew(self, wallet: Wallet, last: date, day: date) -> bool:
        """A declared opening takes effect at the first snapshot on or after its date."""
        return any(Wallet(o.account, o.wallet) == wallet and last < o.date <= day for o in self.settings.openings)

    def row_without_snapshot(self, position: Position, day: date, last: Snapshot | None) -> Row | None:
        """A day on which the wallet was not stated: each asset of its last snapshot, or each that flows tell of; and
        what was stated, but refused."""
        if self.is_expected(position.pocket, day, never_stated=last is None):
            if last is None and self.flows_told_of(position, day):
                return self.incomplete(position, day, "never_stated")
            if last is not None and (position.asset in last.cells or self.is_spoiled(position, last.date)):
                return self.incomplete(position, day, "missing_snapshot")
        return self.incomplete(position, day, "quarantined_balance") if self.is_spoiled(position, day) else None

    def row_of_opening(self, position: Position, snapshot: Snapshot) -> tuple[Row | None, Start | None]:
        """The wallet's first snapshot: shown, not tested."""
        day = snapshot.date
        if self.is_spoiled(position, day):
            return self.incomplete(position, day, "quarantined_balance"), None
        actual = self.actual(position, snapshot)
        if actual is None:
            return None, None
        if actual.stated is None:
            return None, Start(actual, None)
        row = self.row(position, day, status="opening", window_end=actual.as_of, **stated_figures(actual))
        return row, Start(actual, row)

    def row_of_snapshot(
        self, position: Position, snapshot: Snapshot, opening: Snapshot, start: Start | None
    ) -> tuple[Row | None, Start | None]:
        """Any later snapshot: the row, and the start of the next window."""
        day = snapshot.date
        if self.is_spoiled(position, day):
            return self.incomplete(position, day, "quarantined_balance"), start
        actual = self.actual(position, snapshot)
        if actual is None:
            told = self.is_told_of(position, snapshot, opening, start, until=snapshot.read_at)
            return (self.incomplete(position, day, "absence_unknown") if told else None), start
        if actual.stated is None and not self.is_told_of(position, snapshot, opening, start, until=actual.as_of):
            row = None
        elif not self.settings.streams:
            row = self.row(position, day, status="informational", window_end=actual.as_of, **stated_figures(actual))
        elif start is None:
            row = self.incomplete(position, day, "no_start", window_end=actual.as_of, **stated_figures(actual))
        elif actual.as_of < start.actual.as_of:
            row = self.row_of_old_news(position, day, actual, start)
        else:
            row = self.row_of_window(position, day, actual, start, until=actual.as_of)
        is_old_news = start is not None and actual.as_of < start.actual.as_of
        return row, start if is_old_news else Start(actual, row)

    def is_told_of(
        self, position: Position, snapshot: Snapshot, opening: Snapshot, start: Start | None, until: datetime
    ) -> bool:
        """Whether a position that the snapshot does not state has its row: it started above or below zero, or a flow
        told of it since. If it has no start: since the opening a cell of it was refused, or a flow told of it. And what
        was refused without a date may have been stated here."""
        if any(q.position == position and q.date is None for q in self.spoiled):
            return True
        if start is not None:
            return start.actual.is_something or self.told_within(position, start.actual.as_of, until)
        was_refused = any(
            q.position == position and q.date is not None and opening.date <= q.date < snapshot.date
            for q in self.spoiled
        )
        return was_refused or self.told_within(position, opening.read_at, until)

    def row_of_old_news(self, position: Position, day: date, actual: Actual, start: Start) -> Row:
        """An as_of before the start's: an empty window if the amounts are equal, else it tells and starts nothing."""
        if actual.amount == start.actual.amount:
            return self.row_of_window(position, day, actual, start, until=start.actual.as_of)
        return self.incomplete(
            position,
            day,
            "as_of_before_start",
            window_start=start.actual.as_of,
            window_end=actual.as_of,
            start_balance=start.actual.amount,
            **stated_figures(actual),
        )

    # --- a window -----------------------------------------------------------------------------------------------

    def row_of_window(self, position: Position, day: date, actual: Actual, start: Start, until: datetime) -> Row:
        """start + flows against the actual, over (as_of of the start, until]."""
        since = start.actual.as_of
        flows = self.flows_within(position, since, until)
        buckets = {b: add(*(f.amount for f in flows if self.bucket(f) == b)) for b in BUCKETS}
        calculated = add(start.actual.amount, *buckets.values())
        row = self.row(
            position,
            day,
            variance=add(actual.amount, -calculated),
            window_start=since,
            window_end=until,
            start_balance=start.actual.amount,
            calculated_balance=calculated,
            flow_count=len(flows),
            **buckets,
            **stated_figures(actual),
            **self.rolled(start.actual, flows),
        )
        hole = self.hole(position, since, until)
        if hole is not None:
            return changed(row, status=self.incomplete_or_pending(day), discrepancy_type=hole)
        return self.judged(row, actual, start)

    def rolled(self, start: Actual, flows: Sequence[Flow]) -> dict[str, Decimal]:
        """Loan and interest, rolled by their own flows where the venue has such a stream."""
        before = {"loan": start.loan, "interest": start.interest}
        return {
            f"{measure}_calculated": add(before[measure] or ZERO, *(f.amount for f in flows if f.measure == measure))
            for measure in ("loan", "interest")
            if measure in self.settings.measures
        }

    def judged(self, row: Row, actual: Actual, start: Start) -> Row:
        """matched, timing or variance: the first that holds, the worst measure counting."""
        variance = some(row.variance_in_asset)
        rolled_well = all(
            abs(add(stated or ZERO, -calculated)) <= row.tolerance
            for calculated, stated in ((row.loan_calculated, actual.loan), (row.interest_calculated, actual.interest))
            if calculated is not None
        )
        if abs(variance) <= row.tolerance and rolled_well:
            return changed(row, status="matched", discrepancy_type="precision" if variance != 0 else None)
        if rolled_well and self.is_expected_residual(row, variance):
            return changed(row, status="timing", discrepancy_type="expected")
        if rolled_well and self.takes_back(row, variance, start.row):
            return changed(row, status="timing", discrepancy_type="taken_back")
        return changed(row, status="variance", discrepancy_type=kind_of_variance(row), severity=self.severity(row))

    def is_expected_residual(self, row: Row, variance: Decimal) -> bool:
        """The residual equals the sum of the named items whose deadline has passed neither for the row nor for us."""
        items = [
            e.amount
            for e in self.ledger.expected
            if (e.account, e.wallet, e.asset) == (row.account, row.wallet, row.asset)
            and e.expected_by >= row.date
            and e.expected_by >= self.ledger.as_of_day
        ]
        return bool(items) and variance == add(*items)

    def takes_back(self, row: Row, variance: Decimal, before: Row | None) -> bool:
        """The residual takes back the expected one of the window before, which has a row since the venue's start."""
        if before is None or before.date < self.settings.start or before.discrepancy_type != "expected":
            return False
        return variance == -some(before.variance_in_asset)

    def severity(self, row: Row) -> str:
        """The gravest of the measures that are off."""
        measures = [
            (row.calculated_balance, row.actual_balance),
            (row.loan_calculated, row.loan_actual),
            (row.interest_calculated, row.interest_actual),
        ]
        off = [
            self.severity_of(calculated, stated or ZERO, row.usd_price)
            for calculated, stated in measures
            if calculated is not None and abs(add(stated or ZERO, -calculated)) > row.tolerance
        ]
        return max(off, key=("low", "medium", "high", "critical").index)

    def severity_of(self, calculated: Decimal, actual: Decimal, price: Decimal | None) -> str:
        """How grave it is that a measure is off, by USD and by its share of the larger side."""
        limits = self.settings.severities
        gap = abs(add(actual, -calculated))
        usd = None if price is None else ROUNDING.quantize(gap * price, CENTI_MICRO)
        if usd is not None and usd >= USD_LIMIT:
            return "critical"
        larger = max(abs(calculated), abs(actual))
        is_high_share = gap > limits.high_share * larger
        is_medium_share = gap >= limits.medium_share * larger
        if usd is None:
            return "high" if is_high_share else "medium"
        if usd < limits.low_usd_always:
            return "low"
        one_side_missing = (calculated == 0) != (actual == 0)
        if usd >= limits.critical_usd or (usd >= limits.critical_missing_usd and one_side_missing):
            return "critical"
        if usd >= limits.high_usd or is_high_share:
            return "high"
        return "medium" if usd >= limits.medium_usd or is_medium_share else "low"

    # --- flows --------------------------------------------------------------------------------------------------

    @cached_property
    def flows_of(self) -> dict[Position, list[Flow]]:
        flows: dict[Position, list[Flow]] = {}
        for flow in self.ledger.flows:
            flows.setdefault(Position(flow.account, flow.wallet, flow.asset), []).append(flow)
        return flows

    def flows_within(self, position: Position, since: datetime, until: datetime) -> list[Flow]:
        """The position's flows of (since, until]."""
        return [f for f in self.flows_of.get(position, ()) if since < f.datetime <= until]

    def told_within(self, position: Position, since: datetime, until: datetime) -> bool:
        """A flow of the window, read or refused, tells of the position."""
        return bool(self.flows_within(position, since, until)) or any(
            q.position == position and refused_within(q, since, until) for q in self.refused_flows
        )

    def flows_told_of(self, position: Position, day: date) -> bool:
        """A flow, read or refused, told of the position on or before that day."""
        return any(f.datetime.date() <= day for f in self.flows_of.get(position, ())) or any(
            q.position == position and (q.instant is None or q.instant.date() <= day) for q in self.refused_flows
        )

    def bucket(self, flow: Flow) -> str | None:
        """Where a flow is summed: by its subtype whatever its sign; the unknown by its sign; other measures nowhere."""
        if flow.measure != "balance":
            return None
        if flow.txn_subtype == "unknown":
            return "transfers_in" if flow.amount > 0 else "transfers_out"
        return BUCKET_OF_SUBTYPE[flow.txn_subtype]

    # --- holes --------------------------------------------------------------------------------------------------

    def hole(self, position: Position, since: datetime, until: datetime) -> str | None:
        """Why the flows of the window cannot be believed to be all; None if they can. Nothing touches an empty one."""
        if since == until:
            return None
        for q in self.refused_flows:
            concerns = q.position == position if q.position else q.account in (None, position.account)
            if concerns and refused_within(q, since, until):
                return "quarantined_flow"
        days = days_between((since + TICK).date(), until.date())
        for stream in self.settings.streams:
            if any((stream, day) not in self.ledger.flow_partitions for day in days):
                return "coverage_hole"
            if not self.is_covered(position, stream, since, until):
                return "coverage_hole"
        return None

    def is_covered(self, position: Position, stream: str, since: datetime, until: datetime) -> bool:
        """Every instant of (since, until] is covered. All intervals are (start, end], so that what holds at one of
        their borders holds back to the border before it: asking at each border, and at the end, asks everywhere."""
        rows = [
            c
            for c in self.ledger.coverage
            if c.account == position.account and c.stream in (stream, "*") and c.asset in (None, position.asset)
        ]
        borders = {border for c in rows for border in (c.window_start, c.window_end) if since < border < until}
        for border in (*borders, until):
            here = [c for c in rows if c.window_start < border <= c.window_end]
            deciding = [c for c in here if c.asset is not None] or here
            if not any(c.status in COUNTS_AS_READ for c in deciding):
                return False
        return True

    # --- snapshots ----------------------------------------------------------------------------------------------

    @cached_property
    def snapshots(self) -> dict[Wallet, dict[date, Snapshot]]:
        """Per wallet and date the snapshot that counts: greatest read_at, then greatest snapshot_id."""
        rows: dict[tuple[Wallet, date], list[Balance]] = {}
        for balance in self.ledger.balances:
            rows.setdefault((Wallet(balance.account, balance.wallet), balance.date), []).append(balance)
        snapshots: dict[Wallet, dict[date, Snapshot]] = {}
        for (wallet, day), stated in rows.items():
            read_at, snapshot_id = max((b.read_at, b.snapshot_id) for b in stated)
            cells = {b.asset: b for b in stated if (b.read_at, b.snapshot_id) == (read_at, snapshot_id)}
            snapshots.setdefault(wallet, {})[day] = Snapshot(day, read_at, cells)
        return snapshots

    def actual(self, position: Position, snapshot: Snapshot) -> Actual | None:
        """What the snapshot says of the position; None if it says nothing and nothing may be made of that."""
        stated = snapshot.cells.get(position.asset)
        if stated is not None:
            return Actual(stated.as_of, stated.raw_balance, stated)
        if self.absence_counts(position, snapshot.date):
            return Actual(snapshot.read_at, ZERO, None)
        return None

    def is_spoiled(self, position: Position, day: date) -> bool:
        """A quarantined balance of that very position and date."""
        return any(q.position == position and q.date == day for q in self.spoiled)

    def absence_counts(self, position: Position, day: date) -> bool:
        """Whether absent means zero: not where a refused row, as far as it can be told, may have been this one."""
        for q in self.spoiled:
            if q.date not in (None, day):
                continue
            if q.position is not None:
                concerns = q.position == position
            elif q.account is None:
                concerns = True
            else:
                concerns = q.account == position.account and q.wallet in (None, position.wallet)
            if concerns:
                return False
        return True

    def is_expected(self, wallet: Wallet, day: date, *, never_stated: bool) -> bool:
        """Whether the calendar expects a snapshot of the wallet on that day."""
        if day < self.settings.start:
            return False
        if self.settings.calendar == "daily":
            return True
        if self.settings.calendar == "weekdays":
            return day.weekday() < 5
        days = {b.date for b in self.ledger.balances if b.account == wallet.account}
        if never_stated:
            days |= {f.datetime.date() for f in self.ledger.flows if f.account == wallet.account}
            days |= {q.instant.date() for q in self.refused_flows if q.account == wallet.account and q.instant}
        return day in days

    # --- the columns that every row has -------------------------------------------------------------------------

    def incomplete(self, position: Position, day: date, why: str, **columns: Any) -> Row:
        return self.row(position, day, status=self.incomplete_or_pending(day), discrepancy_type=why, **columns)

    def incomplete_or_pending(self, day: date) -> str:
        due = day + timedelta(days=self.settings.due_days)
        return "pending" if self.ledger.as_of_day < due else "incomplete"

    def row(self, position: Position, day: date, variance: Decimal | None = None, **columns: Any) -> Row:
        """A row with its price, its tolerance and, where there is a variance, its worth in USD."""
        price, price_status = self.price(position.asset, day)
        usd = None
        if variance is not None and price is not None:
            usd = ROUNDING.quantize(variance * price, CENTI_MICRO)
            if abs(usd) >= USD_LIMIT:
                usd, price_status = None, "overflow"
        row = Row(
            day,
            self.settings.venue,
            position.account,
            position.wallet,
            position.asset,
            variance_in_asset=variance,
            usd_price=price,
            price_status=price_status,
            variance_in_usd=usd,
            tolerance=self.tolerance(position),
        )
        return changed(row, **columns)

    def tolerance(self, position: Position) -> Decimal:
        """The first rule found, from the narrowest level to the widest."""
        for rule in sorted(self.settings.tolerances, key=lambda r: r.rank):
            if rule.account in (None, position.account) and rule.asset in (None, position.asset):
                return rule.value
        return ZERO

    def price(self, asset: str, day: date) -> tuple[Decimal | None, str]:
        """The last price before the day's end, of the first venue in order that states any."""
        end = instant(day + timedelta(days=1))
        for venue in (self.settings.venue, *self.settings.price_sources):
            stated = [p for p in self.ledger.prices if p.venue == venue and p.asset == asset and p.as_of < end]
            refused = [
                end if q.instant is None else q.instant
                for q in self.ledger.quarantine
                if q.frame == "prices" and q.venue == venue and q.asset in (None, asset)
                if q.instant is None or q.instant < end
            ]
            if not stated and not refused:
                continue
            last = max(stated, key=lambda p: (p.as_of, p.source), default=None)
            if last is None or last.usd_price <= 0 or any(moment >= last.as_of for moment in refused):
                return None, "missing"
            return last.usd_price, "stale" if end - last.as_of > STALE_AFTER else "ok"
        return None, "missing"


def stated_figures(actual: Actual) -> dict[str, Decimal | None]:
    """The columns that an actual fills."""
    return {
        "actual_balance": actual.amount,
        "loan_actual": actual.loan,
        "interest_actual": actual.interest,
        "unrealised_pnl_calculated": actual.stated.marked_unrealised_pnl if actual.stated else None,
        "unrealised_pnl_actual": actual.stated.raw_unrealised_pnl if actual.stated else None,
    }


def kind_of_variance(row: Row) -> str:
    """Which side is missing altogether, if one is."""
    if row.actual_balance == 0 and row.calculated_balance != 0:
        return "missing_at_venue"
    return "missing_in_books" if row.calculated_balance == 0 and row.actual_balance != 0 else "mismatch"


def refused_within(refused: Quarantined, since: datetime, until: datetime) -> bool:
    """A refused flow lies in the window if its instant does, or may, not being known; an empty window holds nothing."""
    if refused.instant is None:
        return since < until
    return since < refused.instant <= until


def days_between(first: date, last: date) -> list[date]:
    """Every day from the first to the last, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def some(amount: Decimal | None) -> Decimal:
    """An amount that is known to be there."""
    if amount is None:
        raise AssertionError("a judged row has all its figures")
    return amount


def changed(row: Row, **columns: Any) -> Row:
    """The row with other columns."""
    return Row(**{**{name: getattr(row, name) for name in COLUMNS}, **columns})
