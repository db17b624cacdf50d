"""What goes into the mapping beside the records, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from recon_pipeline.api_settings import DOUBTS as API_DOUBTS
from recon_pipeline.errors import ConfigError
from recon_pipeline.frames.schema import DAY, INSTANT, TEXT, Frame
from recon_pipeline.venues.binance.accounts import Opened
from recon_pipeline.venues.streams import AccountFacts

Row: TypeAlias = dict[str, Any]
Kind = Literal["unknown_field", "unknown_value", "malformed", "conflict", "not_stated"]

FAMILIES = frozenset(
    {
        "SPOT",
        "FUNDING",
        "MARGIN",
        "ISOLATED_MARGIN",
        "FUTURES",
        "FUTURES_COIN",
        "OPTION",
        "EARN",
        "PORTFOLIO_MARGIN",
    }
)
"""The families of wallets whose balances the venue tells."""

DOUBTS = API_DOUBTS["binance"]
"""What the venue's pages leave open, by name: the readings of it, the one that is assumed first.

snapshot_as_of      whether the row stamped 23:59:59 counts the whole day, or only what came before that second
dust_amount         whether the amount that dust was converted into is stated before the fee, or as what arrives
deposit_credit      whether a deposit counts from its completion or from its first detection
withdrawal_debit    whether a withdrawal counts from its application or from its completion
realtime_rewards    whether real-time rewards accrue to the position in EARN, or are paid to SPOT
fiat_wallet         where money lies, and what is paid with it; with spot, what states no wallet is in the default one
status_6_deposits   whether a deposit that is credited but cannot be withdrawn counts
product_rewards     whether rewards of BFUSD, RWUSD and boosted SOL are told by their own history, or by the dividends
bfusd_rewards       whether BFUSD pays its rewards to SPOT, or into USDⓈ-M futures, whose income tells of them as well
boost_rewards       whether boosted SOL reaches SPOT when it is claimed, or when it is distributed as well
flexible_loans      whether what flexible loans move is told by their own lists, or by the income of loans as well
converted_interest  whether margin interest paid in BNB is told by the interest history alone, or by the ledger as well
algo_fills          whether fills of algo orders are told among the trades, or by their child orders alone
sub_transfer_ids    whether the older list of transfers with sub-accounts numbers a move as the newer ones do
"""


@dataclass(frozen=True)
class Problem:
    """Something in a record that the mapping does not know or cannot believe; a person decides.

    A `malformed` one and a `conflict`, which two streams tell in two ways, become rows of quarantine for the positions
    that they may have moved, as far as these can be told: `quarantine_row` makes them. `not_stated` is an amount that
    no response states.
    """

    kind: Kind
    account: str
    stream: str
    key: str
    text: str
    raw_id: str | None = None
    frame: str | None = None
    wallet: str | None = None
    asset: str | None = None
    instant: datetime | None = None
    date: date | None = None
    content: str | None = None
    """The record as JSON, for quarantine."""


@dataclass(frozen=True)
class Unplaced:
    """A record that states no wallet: where such records usually lie, and where a decision puts this one, if any does.

    Its rows are those whose raw_id is `raw_id`.
    """

    account: str
    stream: str
    key: str
    raw_id: str
    usual: str
    decided: str | None = None
    fixed: tuple[str, ...] = ()
    """External ids of those of its rows that lie where they lie, whatever is decided."""
    following: tuple[str, ...] = ()
    """External ids of those that go back to where the others came from, which alone tell where that is."""

    @property
    def wallet(self) -> str:
        """Where its rows are booked."""
        return self.decided or self.usual


@dataclass
class Mapped:
    """The rows of the frames, without the column venue, and what a person has to look at.

    Amounts are exact text, instants aware datetimes in UTC, raw_id is the digest of the record.
    """

    transfers: list[Row] = field(default_factory=list)
    trades: list[Row] = field(default_factory=list)
    balances: list[Row] = field(default_factory=list)
    prices: list[Row] = field(default_factory=list)
    expected: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unplaced: list[Unplaced] = field(default_factory=list)


@dataclass(frozen=True)
class MappingContext:
    """What the records of an account do not say of themselves."""

    accounts: Mapping[str, AccountFacts]
    """Every account of the venue, by its e-mail."""
    symbols: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Base and quote asset of every symbol ever seen."""
    decisions: Mapping[str, str] = field(default_factory=dict)
    """Wallets that were decided for records that state none, by the record's digest."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """Readings other than the assumed ones; see DOUBTS."""
    captured: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The families of wallets whose balances are read, or were, by account; an account that is not in it has all."""
    opened: Opened = field(default_factory=dict)
    """When each account had which product opened, as far as the venue said so."""
    made: Mapping[str, date] = field(default_factory=dict)
    """On which days sub-accounts were made, as far as the venue says so."""
    earn_assets: frozenset[str] = frozenset()
    """Assets that were ever seen in a flexible product: their LD tokens are taken out of SPOT."""

    def __post_init__(self) -> None:
        for name, value in self.doubts.items():
            if value not in DOUBTS.get(name, ()):
                known = ", ".join(f"{doubt}: {' or '.join(readings)}" for doubt, readings in DOUBTS.items())
                raise ConfigError(f"the doubt {name} has no reading {value!r}", expected=known)

    def assumes(self, doubt: str, reading: str) -> bool:
        """Whether the doubt is read in that way."""
        return self.doubts.get(doubt, DOUBTS[doubt][0]) == reading

    def has_wallet(self, account: str, wallet: str) -> bool:
        """Whether the account is ours, or was, and the balance of the wallet is read, or was."""
        families = self.captured.get(account, FAMILIES if account in self.accounts else ())
        return wallet.partition(":")[0] in families


def quarantine_row(problem: Problem) -> Row:
    """The row of recon_pipeline.frames.schema.QUARANTINE for a malformed record, or for one that others contradict."""
    return {
        "frame": problem.frame or "transfers",
        "error": "RecordConflicting" if problem.kind == "conflict" else "RecordMalformed",
        "reason": f"{problem.stream} {problem.key}: {problem.text}",
        "file": None,
        "line": None,
        "account": problem.account,
        "wallet": problem.wallet,
        "asset": problem.asset,
        "instant": problem.instant,
        "date": problem.date or (problem.instant.date() if problem.instant else None),
        "content": problem.content or "{}",
    }


def as_table(frame: Frame, rows: Sequence[Row]) -> pa.Table:
    """The rows as a table that recon_pipeline.frames.validate reads: amounts as text, instants and days as such."""
    columns = {}
    for column in frame.columns:
        if column.name != "venue":
            kind = column.type if column.type in (INSTANT, DAY) else TEXT
            columns[column.name] = pa.array([row.get(column.name) for row in rows], kind)
    return pa.table(columns)
