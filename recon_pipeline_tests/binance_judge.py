"""Judges runs of a simulated Binance against its manifest: what was planted has to be found, and nothing else.

After every run the judge looks at what stands. An effect of the manifest is found if it stands on every such day from
its first to its last; whatever else is not matched is a false alarm. An effect that is not required counts neither way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

from recon_pipeline_tests.binance_home import BinanceHome

Cell: TypeAlias = tuple[str, str, str, date]
"""Account, wallet, asset, day."""
Stated: TypeAlias = tuple[str, Decimal | None]
"""Status, and the variance of a row that is one."""
TOLD_MOST = 40


@dataclass(frozen=True)
class Planted:
    """An effect of the manifest."""

    number: int
    kind: str
    fault: str
    cell: Cell
    stated: Stated
    first: date
    gone_by: date | None
    is_required: bool
    note: str

    def stands(self, as_of_day: date) -> bool:
        """Whether it has to be there, seen from a day."""
        return self.first <= as_of_day and (self.gone_by is None or as_of_day < self.gone_by)

    def __str__(self) -> str:
        status, amount = self.stated
        told = f"{status} {amount:f}" if amount is not None else status
        return f"{self.fault}: {self.kind} {_place(self.cell)} {told} {self.note}".rstrip()


def planted(number: int, effect: Mapping[str, Any]) -> Planted:
    """An effect as the manifest has it."""
    cell = (effect["account"], effect["wallet"], effect["asset"], date.fromisoformat(effect["date"]))
    amount = Decimal(effect["amount"]) if effect["status"] == "variance" and effect["amount"] is not None else None
    gone_by = effect["gone_by_as_of_day"]
    return Planted(
        number, effect["kind"], effect["fault"], cell, (effect["status"], amount),
        date.fromisoformat(effect["from_as_of_day"]), date.fromisoformat(gone_by) if gone_by else None,
        effect["is_required"], effect["note"],
    )  # fmt: skip


@dataclass
class Verdict:
    """What was found of what was planted, and what was found besides."""

    required: int = 0
    found: int = 0
    misses: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)
    account_days: int = 0
    by_fault: Counter[str] = field(default_factory=Counter)

    @property
    def recall(self) -> Decimal:
        """The share of what was planted that was found."""
        return Decimal(self.found) / self.required if self.required else Decimal(1)

    @property
    def precision(self) -> Decimal:
        """The share of what was found that was planted."""
        alarms = self.found + len(self.false_alarms)
        return Decimal(self.found) / alarms if alarms else Decimal(1)

    @property
    def is_perfect(self) -> bool:
        """Everything was found, and nothing else."""
        return not self.misses and not self.false_alarms

    def add(self, other: Verdict) -> None:
        """Take the verdict on another world in."""
        self.required += other.required
        self.found += other.found
        self.misses += other.misses
        self.false_alarms += other.false_alarms
        self.account_days += other.account_days
        self.by_fault += other.by_fault

    def __str__(self) -> str:
        lines = [
            f"{self.account_days} account-days, {self.required} effects planted, {self.found} found,"
            f" {len(self.false_alarms)} false alarms: recall {self.recall:.4f}, precision {self.precision:.4f}"
        ]
        for title, entries in (("missed", self.misses), ("false alarm", self.false_alarms)):
            lines += [f"  {title}: {entry}" for entry in entries[:TOLD_MOST]]
            lines += [f"  and {len(entries) - TOLD_MOST} more"] * (len(entries) > TOLD_MOST)
        return "\n".join(lines)


class Judge:
    """Judges one world, run after run, over its days from first to last."""

    def __init__(self, manifest: Mapping[str, Any], first: date, last: date) -> None:
        effects = [planted(number, effect) for number, effect in enumerate(manifest["effects"])]
        self._effects = [effect for effect in effects if first <= effect.cell[3] <= last]
        self._accounts = len(manifest["accounts"])
        self._seed = manifest["seed"]
        self._days = (last - first).days + 1
        self._seen: dict[int, bool] = {}
        self._misses: dict[int, str] = {}
        self._false: dict[tuple[Any, ...], str] = {}

    def look(self, home: BinanceHome, as_of_day: date, days: Iterable[date] | None = None) -> None:
        """See what stands after the runs up to a day; `days` are those that have been run (default: all due)."""
        run = None if days is None else set(days)
        self._look_at_rows(rows_not_matched(home), as_of_day, run)
        self._look_besides(home, as_of_day, run)

    def _look_at_rows(self, rows: Mapping[Cell, Stated], as_of_day: date, run: set[date] | None) -> None:
        allowed: dict[Cell, list[Stated]] = defaultdict(list)
        for effect in self._effects:
            if effect.kind != "row" or not effect.stands(as_of_day) or not _is_run(effect.cell, run):
                continue
            allowed[effect.cell].append(effect.stated)
            if effect.is_required:
                self._note(effect, rows.get(effect.cell) == effect.stated, as_of_day, rows.get(effect.cell))
        for cell, stated in rows.items():
            if stated not in allowed.get(cell, ()):
                self._alarm(("row", cell, stated), f"row {_place(cell)} {_told(stated)}, seen on {as_of_day}")

    def _look_besides(self, home: BinanceHome, as_of_day: date, run: set[date] | None) -> None:
        """Entries beside the rows: once there, they stay."""
        besides = {"quarantine": quarantined(home), "restatement": restated(home), "decision": decided(home)}
        for kind, cells in besides.items():
            of_kind = [effect for effect in self._effects if effect.kind == kind]
            for effect in of_kind:
                if effect.stands(as_of_day) and effect.is_required and _is_run(effect.cell, run):
                    self._note(effect, any(_names(cell, effect.cell) for cell in cells), as_of_day, None)
            for cell in cells:
                if not any(_names(cell, effect.cell) for effect in of_kind):
                    self._alarm((kind, cell), f"{kind} {_place(cell)}, seen on {as_of_day}")
        self._look_at_reviews(reviewed(home), as_of_day, run)

    def _look_at_reviews(self, entries: list[tuple[str, str]], as_of_day: date, run: set[date] | None) -> None:
        of_kind = [effect for effect in self._effects if effect.kind == "review"]
        for effect in of_kind:
            if effect.stands(as_of_day) and effect.is_required and _is_run(effect.cell, run):
                self._note(effect, any(_is_review(effect, *entry) for entry in entries), as_of_day, None)
        for account, text in entries:
            # a difference that stays is named after the product that does not state the amount
            named = [e for e in self._effects if e.kind == "row" and e.note and e.stated[0] == "variance"]
            if not any(_is_review(effect, account, text) for effect in (*of_kind, *named)):
                self._alarm(("review", account, text), f"review {account}: {text}, seen on {as_of_day}")

    def _note(self, effect: Planted, is_there: bool, as_of_day: date, instead: Stated | None) -> None:
        self._seen[effect.number] = self._seen.get(effect.number, True) and is_there
        if not is_there and effect.number not in self._misses:
            found = f", found {_told(instead)}" if instead else ""
            self._misses[effect.number] = f"seed {self._seed}, {effect}, on {as_of_day}{found}"

    def _alarm(self, key: tuple[Any, ...], text: str) -> None:
        self._false.setdefault(key, f"seed {self._seed}, {text}")

    def verdict(self) -> Verdict:
        """What came of it."""
        by_number = {effect.number: effect for effect in self._effects}
        return Verdict(
            required=len(self._seen),
            found=sum(self._seen.values()),
            misses=list(self._misses.values()),
            false_alarms=list(self._false.values()),
            account_days=self._accounts * self._days,
            by_fault=Counter(by_number[number].fault for number, is_found in self._seen.items() if is_found),
        )


def rows_not_matched(home: BinanceHome) -> dict[Cell, Stated]:
    """The rows that are neither matched nor an opening: their status, and their variance if they are one."""
    return {
        (account, wallet, asset, day): (status, amount.normalize() + 0 if status == "variance" else None)
        for account, wallet, asset, day, status, amount in home.ask(
            "SELECT account, wallet, asset, date, status, variance_in_asset FROM recon.reconciliation"
            " WHERE status NOT IN ('matched', 'opening', 'pending') ORDER BY 4, 1, 2, 3"
        )
    }


def quarantined(home: BinanceHome) -> set[tuple[Any, ...]]:
    """The positions and days of what is in quarantine; a capture during which something moved stands as its row."""
    return set(home.ask("SELECT account, wallet, asset, date FROM recon.quarantine WHERE error <> 'CaptureRace'"))


def restated(home: BinanceHome) -> set[tuple[Any, ...]]:
    """The rows whose variance was taken back."""
    return set(
        home.ask(
            "SELECT account, wallet, asset, date FROM recon.restatements"
            " WHERE column_name = 'variance_in_asset' AND old_status = 'variance' AND new_status = 'matched'"
        )
    )


def decided(home: BinanceHome) -> set[tuple[Any, ...]]:
    """The decisions that stand: account, wallet, one of the coins, day."""
    found = home.ask(
        "SELECT DISTINCT ON (record_digest) wallet, evidence FROM recon.wallet_decisions"
        " ORDER BY record_digest, version DESC"
    )
    return {
        (evidence["account"], wallet, None, date.fromisoformat(evidence["day"]))
        for wallet, evidence in found
        if wallet is not None
    }


def reviewed(home: BinanceHome) -> list[tuple[str, str]]:
    """What waits for a person: account, and stream and text of the entry."""
    return [
        (account or "", f"{stream} {name}: {text}")
        for account, stream, name, text in home.ask(
            "SELECT account, stream, name, found FROM recon.errors WHERE needs_manual_review AND resolved_at IS NULL"
            " ORDER BY 1, 2, 3"
        )
    ]


def _is_review(effect: Planted, account: str, text: str) -> bool:
    return effect.cell[0] == account and (effect.note or effect.cell[1].lower()) in text


def _names(cell: tuple[Any, ...], of_effect: Cell) -> bool:
    """Whether an entry, which may leave wallet, asset or day open, is about a position and day."""
    return all(told is None or told == meant for told, meant in zip(cell, of_effect, strict=True))


def _is_run(cell: Cell, run: set[date] | None) -> bool:
    return run is None or cell[3] in run


def _place(cell: tuple[Any, ...]) -> str:
    account, wallet, asset, day = cell
    return f"{day} {account} {wallet} {asset}"


def _told(stated: Stated) -> str:
    status, amount = stated
    return status if amount is None else f"{status} {amount:f}"
