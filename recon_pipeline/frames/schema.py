"""The columns of every frame: one definition, from which Arrow, pandera, the UI and the documentation are made.

A frame's file in the lake leaves out `venue` and the partition's day, which stand in its path; `columns_in_lake`
says which are left. Amounts are decimal128(36,18), sums (38,18), USD (38,8), instants timestamp[us, UTC].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import pyarrow as pa

AMOUNT = pa.decimal128(36, 18)
SUM = pa.decimal128(38, 18)
USD = pa.decimal128(38, 8)
INSTANT = pa.timestamp("us", tz="UTC")
DAY = pa.date32()
TEXT = pa.string()
COUNT = pa.int64()

FrameName = Literal["transfers", "trades", "balances", "prices", "coverage", "expected", "reconciliation"]

COVERAGE_STATUSES = ("complete", "final", "partial", "failed", "not_applicable")
COVERAGE_READ = ("complete", "final")
COVERAGE_THAT_COUNTS = (*COVERAGE_READ, "not_applicable")
NOT_MADE = "NotMade"
"""The error of a row of coverage, of every stream, that reaches up to the day on which the account was made: those days
are none of its own."""
TRANSFER_TYPES = ("transfer_in", "transfer_out", "txn_fee")
TRADE_TYPES = ("trade",)
MEASURES = ("balance", "loan", "interest")
STATUSES = ("pending", "incomplete", "opening", "informational", "matched", "timing", "variance")
SEVERITIES = ("low", "medium", "high", "critical")
PRICE_STATUSES = ("ok", "missing", "stale", "overflow")


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, what it means, and what may stand in it."""

    name: str
    type: pa.DataType
    description: str
    nullable: bool = True
    required: bool = False
    """Required of whoever supplies the frame; a column that is neither required nor nullable has a default."""
    allowed: tuple[str, ...] = ()
    is_added: bool = False
    """It came to the frame later: a file of the lake may be older and not have it, and then it is null."""


@dataclass(frozen=True)
class Frame:
    """A canonical frame: its columns in order, its key, and the column whose UTC day places a row in the lake."""

    name: FrameName
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partitioned_by: str
    order: tuple[str, ...] = field(default=())

    def column(self, name: str) -> Column:
        """The column of that name; KeyError if there is none."""
        return next(column for column in self.columns if column.name == name)

    @cached_property
    def arrow(self) -> pa.Schema:
        """The whole frame as an Arrow schema, `venue` included."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @cached_property
    def columns_in_lake(self) -> tuple[str, ...]:
        """The columns that a partition's file holds: all but those that its path states."""
        in_path = {"venue"} | ({"date"} if self.partitioned_by == "date" else set())
        return tuple(c.name for c in self.columns if c.name not in in_path)

    @cached_property
    def arrow_in_lake(self) -> pa.Schema:
        """The Arrow schema of a partition's file."""
        return pa.schema([self.arrow.field(name) for name in self.columns_in_lake])


def _text(
    name: str, description: str, *, required: bool = False, nullable: bool = True, allowed: tuple[str, ...] = ()
) -> Column:
    return Column(name, TEXT, description, nullable=nullable and not required, required=required, allowed=allowed)


_VENUE = _text("venue", "Where the money sits; from the configuration if left out.", nullable=False)
_ACCOUNT = _text("account", "One login, sub-account, address or portfolio at the venue.", required=True)
_WALLET = _text("wallet", "A pocket of the account, in the venue's own spelling.", required=True)
_ASSET = _text("asset", "A code of the asset registry.", required=True)
_RAW_ID = _text("raw_id", "Points to the raw record that the row was made from.")

TRANSFERS = Frame(
    "transfers",
    "Signed changes of positions other than trades: deposits, withdrawals, moves between wallets, fees, income.",
    (
        _VENUE,
        _ACCOUNT,
        _WALLET,
        _text("source", "The stream that told of the flow; the frame's name if left out.", nullable=False),
        _text("external_id", "Names one row, not one event; the row's digest if left out.", nullable=False),
        Column("datetime", INSTANT, "When the balance moved.", nullable=False, required=True),
        _text(
            "txn_type",
            "transfer_in, transfer_out or txn_fee; by the amount's sign if left out.",
            nullable=False,
            allowed=TRANSFER_TYPES,
        ),
        _text("txn_subtype", "A registered subtype; decides the bucket. txn_type if left out.", nullable=False),
        _text("measure", "What it moves: balance, loan or interest.", nullable=False, allowed=MEASURES),
        _ASSET,
        Column("amount", AMOUNT, "Signed: what came in is positive.", nullable=False, required=True),
        _text("counter_party", "The other side, as the venue names it."),
        _text("network", "The chain or rail."),
        _text("txn_hash", "Ties the rows of one transaction."),
        _RAW_ID,
    ),
    key=("venue", "account", "source", "external_id"),
    partitioned_by="datetime",
    order=("account", "wallet", "asset", "datetime", "source", "external_id"),
)

TRADES = Frame(
    "trades",
    "The legs of fills and conversions: bought, sold and fee, each in the asset that really moved.",
    (
        _VENUE,
        _ACCOUNT,
        _WALLET,
        _text("source", "The stream that told of the flow; the frame's name if left out.", nullable=False),
        _text("external_id", "Names one leg: the event's id with :buy, :sell or :fee.", nullable=False),
        Column("datetime", INSTANT, "When the balance moved.", nullable=False, required=True),
        _text("txn_type", "Always trade.", nullable=False, allowed=TRADE_TYPES),
        _text("txn_subtype", "A registered subtype; buy or sell by the amount's sign if left out.", nullable=False),
        _text("measure", "What it moves: balance, loan or interest.", nullable=False, allowed=MEASURES),
        _text("symbol", "The market, as the venue names it."),
        _ASSET,
        Column("amount", AMOUNT, "Signed: what came in is positive.", nullable=False, required=True),
        Column("price", AMOUNT, "The fill's price, in the market's quote asset."),
        _text("agg_id", "Ties the legs of one event."),
        _RAW_ID,
    ),
    key=("venue", "account", "source", "external_id"),
    partitioned_by="datetime",
    order=("account", "wallet", "asset", "datetime", "source", "external_id"),
)

BALANCES = Frame(
    "balances",
    "What the venue stated to be held, a row for each position of a snapshot, each true at its own as_of.",
    (
        _VENUE,
        _ACCOUNT,
        _WALLET,
        _ASSET,
        Column(
            "as_of",
            INSTANT,
            "The cut, inclusive: the row counts every flow up to this instant.",
            nullable=False,
            required=True,
        ),
        Column("date", DAY, "The day that the snapshot closes; the UTC date of read_at if left out.", nullable=False),
        _text("snapshot_id", "Holds the rows of one read together; as_of if left out.", nullable=False),
        Column("read_at", INSTANT, "The instant of the read; its greatest as_of if left out.", nullable=False),
        Column("raw_balance", AMOUNT, "What the wallet still holds, free and locked.", nullable=False, required=True),
        Column("raw_loan", AMOUNT, "What is owed, stated as a positive number."),
        Column("raw_interest", AMOUNT, "Interest owed and not yet paid."),
        Column("raw_unrealised_pnl", AMOUNT, "Unrealised profit and loss, as stated."),
        Column(
            "marked_unrealised_pnl",
            AMOUNT,
            "Unrealised profit and loss, recomputed from the stated positions and marks. Entry prices are rounded, so"
            " its last places may differ: it is shown beside what is stated, and never tested.",
            is_added=True,
        ),
        _text("source", "Where the figure was read; the frame's name if left out.", nullable=False),
        _RAW_ID,
    ),
    key=("venue", "account", "wallet", "asset", "as_of", "snapshot_id"),
    partitioned_by="date",
    order=("account", "wallet", "asset", "as_of", "snapshot_id"),
)

PRICES = Frame(
    "prices",
    "USD prices. A row without a price is no price and is left out, counted, before keys are tested.",
    (
        _VENUE,
        _ASSET,
        Column("as_of", INSTANT, "When the price held.", nullable=False, required=True),
        Column(
            "usd_price",
            AMOUNT,
            "USD for one unit; zero or less makes the price missing.",
            nullable=False,
            required=True,
        ),
        _text("source", "Who stated it; the frame's name if left out.", nullable=False),
    ),
    key=("venue", "asset", "as_of", "source"),
    partitioned_by="as_of",
    order=("asset", "as_of", "source"),
)

COVERAGE = Frame(
    "coverage",
    "The proof that a feed was read without a hole over (window_start, window_end].",
    (
        _VENUE,
        _ACCOUNT,
        _text("stream", "transfers, trades, or * for every stream.", nullable=False),
        _text("asset", "The asset that the row speaks of; every asset if null."),
        Column("window_start", INSTANT, "Exclusive.", nullable=False, required=True),
        Column("window_end", INSTANT, "Inclusive.", nullable=False, required=True),
        _text(
            "status",
            "complete, final and not_applicable count; partial and failed are holes.",
            required=True,
            allowed=COVERAGE_STATUSES,
        ),
        _text("file", "The file that the claim rests on, as its name in the folder."),
        Column("pages", COUNT, "Pages read."),
        Column("rows", COUNT, "Records read."),
        _text("error", "Why it is partial or failed."),
    ),
    key=("venue", "account", "stream", "asset", "window_start", "window_end"),
    partitioned_by="window_start",
    order=("account", "stream", "asset", "window_start", "window_end", "status", "file"),
)

EXPECTED = Frame(
    "expected",
    "Named residuals that will pass by a deadline: a fee posted next day, a transfer in transit.",
    (
        _VENUE,
        _ACCOUNT,
        _WALLET,
        _ASSET,
        Column(
            "amount", AMOUNT, "The residual that is expected, signed as the variance.", nullable=False, required=True
        ),
        Column("expected_by", DAY, "The last day on which it may stand.", nullable=False, required=True),
        _text("reason", "Why it is expected.", required=True),
    ),
    key=("venue", "account", "wallet", "asset", "expected_by", "reason"),
    partitioned_by="expected_by",
    order=("account", "wallet", "asset", "expected_by", "reason"),
)

RECONCILIATION = Frame(
    "reconciliation",
    "One row for each position and day: start + flows against the snapshot.",
    (
        Column("date", DAY, "The day that the row closes.", nullable=False),
        _text("venue", "Where the money sits.", nullable=False),
        _text("account", "One login, sub-account, address or portfolio at the venue.", nullable=False),
        _text("wallet", "A pocket of the account.", nullable=False),
        _text("asset", "A code of the asset registry.", nullable=False),
        Column("window_start", INSTANT, "as_of of the start, exclusive."),
        Column("window_end", INSTANT, "as_of of the actual, inclusive."),
        Column("start_balance", SUM, "The position's last usable actual before this one."),
        Column("transfers_in", SUM, "Sum of the bucket over the window."),
        Column("transfers_out", SUM, "Sum of the bucket over the window, signed."),
        Column("trades_in", SUM, "Sum of the bucket over the window."),
        Column("trades_out", SUM, "Sum of the bucket over the window, signed."),
        Column("fees", SUM, "Sum of the bucket over the window, signed: a fee is negative, a rebate positive."),
        Column("calculated_balance", SUM, "start_balance plus the five buckets."),
        Column("actual_balance", SUM, "What the snapshot states."),
        Column("variance_in_asset", SUM, "actual_balance - calculated_balance."),
        Column("usd_price", AMOUNT, "The price of the day."),
        _text("price_status", "ok, missing, stale or overflow.", nullable=False, allowed=PRICE_STATUSES),
        Column("variance_in_usd", USD, "variance_in_asset x usd_price, rounded once, half away from zero."),
        Column("loan_calculated", SUM, "Loan rolled forward by its own flows."),
        Column("loan_actual", SUM, "Loan as stated."),
        Column("interest_calculated", SUM, "Interest rolled forward by its own flows."),
        Column("interest_actual", SUM, "Interest as stated."),
        Column("unrealised_pnl_calculated", SUM, "marked_unrealised_pnl as the snapshot brings it; never tested."),
        Column("unrealised_pnl_actual", SUM, "Unrealised profit and loss as stated."),
        Column("tolerance", AMOUNT, "The absolute tolerance that was applied.", nullable=False),
        _text("status", "The first that holds; docs/reconciliation.md lists them.", nullable=False, allowed=STATUSES),
        _text("severity", "Of a variance, else null.", allowed=SEVERITIES),
        _text("discrepancy_type", "What kind of difference, or why the row is incomplete."),
        Column("flow_count", COUNT, "Flows of the window, of every measure."),
        _text("inputs_digest", "sha256 over the digests of what this venue's windows of the day read.", nullable=False),
    ),
    key=("venue", "account", "wallet", "asset", "date"),
    partitioned_by="date",
    order=("account", "wallet", "asset"),
)

FRAMES: MappingProxyType[str, Frame] = MappingProxyType(
    {f.name: f for f in (TRANSFERS, TRADES, BALANCES, PRICES, COVERAGE, EXPECTED, RECONCILIATION)}
)
FLOW_FRAMES = (TRANSFERS, TRADES)

QUARANTINE = pa.schema(
    [
        pa.field("frame", TEXT, nullable=False),
        pa.field("error", TEXT, nullable=False),
        pa.field("reason", TEXT, nullable=False),
        pa.field("file", TEXT),
        pa.field("line", COUNT),
        pa.field("account", TEXT),
        pa.field("wallet", TEXT),
        pa.field("asset", TEXT),
        pa.field("instant", INSTANT),
        pa.field("date", DAY),
        pa.field("content", TEXT, nullable=False),
    ]
)
"""A refused row or file: its frame, the error's name, the reason, where it stood, as much of its position, instant
(datetime of a flow, as_of of a balance or price) and date as can be told, null where it cannot, and the row as JSON."""
