"""A month of statements of our own making: two accounts, four assets, and four things planted in them.

The month is computed by arithmetic alone, so every call writes the same bytes. It knows the public file format
and nothing of how it is read: what is planted here has to be found by the pipeline, not remembered by it.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Literal

VENUE = "demo"
FIRST_DAY = date(2025, 10, 1)
LAST_DAY = date(2025, 10, 31)

_FEE_DAY, _DOUBLED_DAY, _MISSING_DAY, _ROUNDED_DAY = (date(2025, 10, day) for day in (9, 14, 19, 24))
_REWARD = Decimal("0.012345678912345678")  # ends beyond the 8 decimals that the statement prints
_FORGOTTEN_FEE = Decimal("-0.0005")
_DOUBLED_DEPOSIT = Decimal("25000")
_OPENINGS: dict[tuple[str, str, str], Decimal] = {
    ("treasury", "CUSTODY", "BTC"): Decimal("12.5"),
    ("treasury", "CUSTODY", "ETH"): Decimal("240"),
    ("treasury", "EXCHANGE", "BTC"): Decimal("1.25"),
    ("treasury", "EXCHANGE", "USDC"): Decimal("850000"),
    ("operations", "EXCHANGE", "ETH"): Decimal("18.75"),
    ("operations", "EXCHANGE", "USDC"): Decimal("120000"),
    ("operations", "BANK", "USD"): Decimal("64250.40"),
}
_PRICES = {"BTC": (Decimal("114000"), Decimal("85.5")), "ETH": (Decimal("4150"), Decimal("-6.25"))}
_DOLLARS = ("USD", "USDC")

RECON_YAML = f"""\
# The demo: a month of statements that `recon demo` wrote itself. `recon init` writes one for your own.
start: {FIRST_DAY}
venues:
  {VENUE}:
    kind: statements
    folder: statements       # the CSV files beside this one, in the columns of docs/frames.md
    calendar: daily
    due_days: 1
tolerances:
  default: "1e-8"
  assets: {{USD: "0.01", USDC: "0.01"}}
"""


@dataclass(frozen=True)
class Planted:
    """Something wrong in the statements, and the row of the reconciliation that has to say so."""

    story: str
    date: date
    account: str
    wallet: str
    asset: str
    status: Literal["variance", "incomplete", "matched"]
    discrepancy_type: str
    variance: Decimal | None
    """What the row's variance must be; None where the row can have none."""


def planted() -> tuple[Planted, ...]:
    """Every row that is not plainly matched (or an opening), in order of date; all else must reconcile to zero."""
    rounding = _round(_ROUNDED_ETH) - _ROUNDED_ETH
    unstated = [(wallet, asset) for account, wallet, asset in sorted(_OPENINGS) if account == "operations"]
    return (
        Planted("a withdrawal fee that the export forgot", _FEE_DAY, "treasury", "CUSTODY", "BTC",
                "variance", "mismatch", _FORGOTTEN_FEE),
        Planted("a deposit that the export lists twice", _DOUBLED_DAY, "treasury", "EXCHANGE", "USDC",
                "variance", "mismatch", -_DOUBLED_DEPOSIT),
        *(Planted("a snapshot that is missing", _MISSING_DAY, "operations", *position,
                  "incomplete", "missing_snapshot", None) for position in unstated),
        Planted("a balance printed with 8 decimals only", _ROUNDED_DAY, "operations", "EXCHANGE", "ETH",
                "matched", "precision", rounding),
    )  # fmt: skip


def write_statements(folder: Path) -> tuple[Path, ...]:
    """Write the month's CSV files into the folder, and return their paths."""
    month = _Month()
    for offset in range((LAST_DAY - FIRST_DAY).days + 1):
        month.close(FIRST_DAY + timedelta(days=offset))
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_write(folder / f"{name}.csv", rows) for name, rows in month.files().items())


def write_demo(folder: Path) -> Path:
    """Write `recon.yaml` and the folder `statements` beside it; returns the path of recon.yaml."""
    write_statements(folder / "statements")
    config = folder / "recon.yaml"
    config.write_text(RECON_YAML, encoding="utf-8")
    return config


@dataclass
class _Month:
    """The true balances, and what the statements tell of them."""

    balances: defaultdict[tuple[str, str, str], Decimal] = field(
        default_factory=lambda: defaultdict(Decimal, _OPENINGS)
    )
    stated: dict[str, list[dict[str, object]]] = field(default_factory=lambda: defaultdict(list))

    def close(self, day: date) -> None:
        """Let the day's flows happen, tell of them as the venue's export does, and state the balances at its end."""
        for flow in _flows(day) if day > FIRST_DAY else ():
            self.balances[flow.position] += flow.amount
            self._tell(flow)
        for asset, price in _prices(day):
            self.stated["prices"].append({"asset": asset, "as_of": _instant(day, 23, 59), "usd_price": price})
        for (account, wallet, asset), amount in sorted(self.balances.items()):
            if (account, day) != ("operations", _MISSING_DAY):
                printed = _round(amount) if asset == "ETH" and account == "operations" else amount
                self.stated[f"balances-{account}"].append(
                    {"account": account, "wallet": wallet, "asset": asset, "as_of": _close(day), "raw_balance": printed}
                )

    def _tell(self, flow: _Flow) -> None:
        if flow.note == "forgotten":
            return
        account, wallet, asset = flow.position
        name = "trades" if flow.frame == "trades" else f"transfers-{account}"
        row: dict[str, object] = {
            "account": account, "wallet": wallet, "external_id": flow.external_id, "datetime": flow.instant,
            "txn_type": flow.txn_type, "txn_subtype": flow.txn_subtype, "asset": asset, "amount": flow.amount,
        }  # fmt: skip
        self.stated[name].append(row)
        if flow.note == "doubled":
            self.stated[name].append(row | {"external_id": f"{flow.external_id}-2"})

    def files(self) -> dict[str, list[dict[str, object]]]:
        """The rows of each file, coverage included: the export states the whole month for both accounts."""
        covered: list[dict[str, object]] = [
            {"account": account, "window_start": _close(FIRST_DAY - timedelta(days=1)), "window_end": _close(LAST_DAY),
             "status": "complete"}
            for account in ("operations", "treasury")
        ]  # fmt: skip
        return dict(sorted(self.stated.items())) | {"coverage": covered}


@dataclass(frozen=True)
class _Flow:
    position: tuple[str, str, str]
    amount: Decimal
    instant: str
    external_id: str
    txn_subtype: str
    txn_type: str
    frame: Literal["transfers", "trades"] = "transfers"
    note: Literal["", "forgotten", "doubled"] = ""


def _flows(day: date) -> Iterator[_Flow]:
    n = day.day
    custody, exchange = ("treasury", "CUSTODY"), ("treasury", "EXCHANGE")
    ops, bank = ("operations", "EXCHANGE"), ("operations", "BANK")
    if n % 3 == 0:  # a purchase, its fee charged in dollars
        paid = Decimal(n) * Decimal("113.27")
        fee = (paid / 1000).quantize(Decimal("0.000001"))
        for leg, asset, amount in (
            ("buy", "BTC", Decimal(n) / 1000),
            ("sell", "USDC", -paid),
            ("trade_fee", "USDC", -fee),
        ):
            yield _Flow(
                (*exchange, asset), amount, _instant(day, 13, 30), f"fill-{day:%m%d}:{leg}", leg, "trade", "trades"
            )
    if n % 4 == 1:  # from custody to the exchange
        amount = Decimal(n) / 80
        yield _transfer(day, 9, "move:out", (*custody, "BTC"), -amount)
        yield _transfer(day, 9, "move:in", (*exchange, "BTC"), amount)
    if n % 5 == 2:  # a client's deposit into operations
        yield _transfer(day, 11, "deposit", (*ops, "USDC"), Decimal(n * 1375))
    if n % 7 == 3:  # wages leave the bank
        yield _transfer(day, 16, "wages", (*bank, "USD"), -Decimal(n) * Decimal("410.15"))
    if day == _FEE_DAY:
        yield _transfer(day, 14, "withdrawal", (*custody, "BTC"), Decimal("-0.75"))
        yield replace(_transfer(day, 14, "withdrawal:fee", (*custody, "BTC"), _FORGOTTEN_FEE), note="forgotten")
    if day == _DOUBLED_DAY:
        yield replace(_transfer(day, 10, "deposit", (*exchange, "USDC"), _DOUBLED_DEPOSIT), note="doubled")
    if day == _ROUNDED_DAY:
        yield _transfer(day, 8, "reward", (*ops, "ETH"), _REWARD)


def _transfer(day: date, hour: int, name: str, position: tuple[str, str, str], amount: Decimal) -> _Flow:
    event, colon, leg = name.partition(":")
    kind = "transfer_in" if amount > 0 else "transfer_out"
    return _Flow(position, amount, _instant(day, hour), f"{event}-{day:%m%d}{colon}{leg}", kind, kind)


def _prices(day: date) -> Iterator[tuple[str, Decimal]]:
    for asset, (level, drift) in _PRICES.items():
        yield asset, level + drift * (day - FIRST_DAY).days
    for asset in _DOLLARS:
        yield asset, Decimal(1)


def _round(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("1e-8"), ROUND_HALF_UP)


_ROUNDED_ETH = _OPENINGS[("operations", "EXCHANGE", "ETH")] + _REWARD


def _instant(day: date, hour: int, minute: int = 0) -> str:
    return datetime.combine(day, time(hour, minute), UTC).isoformat()


def _close(day: date) -> str:
    """The last microsecond of the day: an exclusive midnight, as an inclusive cut."""
    return datetime.combine(day, time.max, UTC).isoformat()


def _write(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: format(v, "f") if isinstance(v, Decimal) else v for name, v in row.items()})
    return path
