"""Judges runs of a simulated Binance: what was planted has to be found and nothing else, and all the rest has to match.

After every run the judge looks at what stands. An effect of the manifest is found if it stands on every such day from
its first to its last; whatever else is not matched is a false alarm. An effect that is not required counts neither way.
Everything else that the world's own ledger knows of has to have its row, matched, with the amounts that are so, and
every trade that was made has to be stored once: that nothing is wrong is no proof where nothing is there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from recon_pipeline.sandbox.binance import World
from recon_pipeline.sandbox.binance.manifest import manifest
from recon_pipeline_tests.binance_truth import Cell, Close, Fill, closes, fills

Stated: TypeAlias = tuple[str, Decimal | None]
"""Status, and the variance of a row that is one."""
TOLD_MOST = 40
_WITHOUT_SNAPSHOT = ("snapshot_missing", "snapshot_late", "snapshot_of_wrong_day")
"""Such a day has rows for what the snapshot before it stated, and none for what is new."""


class Asked(Protocol):
    """What answers queries: a home."""

    def ask(self, query: str, **given: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""


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
    discrepancy_type: str | None

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
        effect["is_required"], effect["note"], effect["discrepancy_type"],
    )  # fmt: skip


@dataclass
class Verdict:
    """What was found of what was planted, and what was found besides."""

    required: int = 0
    found: int = 0
    misses: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)
    wrong_rows: list[str] = field(default_factory=list)
    """Rows that are not there, and rows that do not say what is so."""
    wrong_trades: list[str] = field(default_factory=list)
    """Trades that are not stored, and those that are stored twice."""
    account_days: int = 0
    """Accounts and days that were seen to have rows."""
    position_days: int = 0
    """Rows that were seen to be matched, with the amounts that are so."""
    trades: int = 0
    """Trades that were seen to be stored, each once."""
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
        """Everything was found and nothing else, every other row is right, and every trade is there."""
        entries = (self.misses, self.false_alarms, self.wrong_rows, self.wrong_trades)
        return bool(self.account_days) and not any(entries)

    def add(self, other: Verdict) -> None:
        """Take the verdict on another world in."""
        self.required += other.required
        self.found += other.found
        self.misses += other.misses
        self.false_alarms += other.false_alarms
        self.wrong_rows += other.wrong_rows
        self.wrong_trades += other.wrong_trades
        self.account_days += other.account_days
        self.position_days += other.position_days
        self.trades += other.trades
        self.by_fault += other.by_fault

    def __str__(self) -> str:
        lines = [
            f"{self.account_days} account-days, {self.required} effects planted, {self.found} found,"
            f" {len(self.false_alarms)} false alarms: recall {self.recall:.4f}, precision {self.precision:.4f};"
            f" {self.position_days} position-days matched, {len(self.wrong_rows)} missing or wrong;"
            f" {self.trades} trades, {len(self.wrong_trades)} missing or doubled"
        ]
        told = {
            "missed": self.misses, "false alarm": self.false_alarms, "row": self.wrong_rows, "trade": self.wrong_trades,
        }  # fmt: skip
        for title, entries in told.items():
            lines += [f"  {title}: {entry}" for entry in entries[:TOLD_MOST]]
            lines += [f"  and {len(entries) - TOLD_MOST} more"] * (len(entries) > TOLD_MOST)
        return "\n".join(lines)


class Judge:
    """Judges one world, run after run, over its days from first to last.

    Through `rotated_through` every market has been asked at the end, so that what left no trace has to be there too.
    """

    def __init__(self, world: World, first: date, last: date, *, rotated_through: date) -> None:
        effects = [planted(number, effect) for number, effect in enumerate(manifest(world)["effects"])]
        self._effects = [effect for effect in effects if first <= effect.cell[3] <= last]
        self._seed = world.seed
        self._days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        self._world = world
        self._rotated_through = rotated_through
        self._grid = closes(world, self._days)
        self._checked: set[date] = set()
        self._seen: dict[int, bool] = {}
        self._misses: dict[int, str] = {}
        self._false: dict[tuple[Any, ...], str] = {}
        self._wrong_rows: dict[Cell, str] = {}
        self._wrong_trades: dict[Fill, str] = {}
        self._counts = Verdict()

    def look(self, home: Asked, as_of_day: date, days: Iterable[date] | None = None) -> None:
        """See what stands after the runs up to a day; `days` are those that have been run (default: all due).

        The rows of days that were not seen before are held against the truth at once.
        """
        run = None if days is None else set(days)
        fresh = [day for day in (self._days if run is None else sorted(run)) if day not in self._checked]
        rows = rows_of(home, fresh, with_odd=True)
        odd = {cell: row for cell, row in rows.items() if row.status not in ("matched", "opening", "pending")}
        self._look_at_rows(odd, as_of_day, run)
        self._look_besides(home, as_of_day, run)
        self._check(rows, as_of_day, fresh, is_end=False)
        self._checked |= set(fresh)

    def close(self, home: Asked, as_of_day: date) -> None:
        """At the end: hold every row against the truth, and every trade against those that were made."""
        rows = rows_of(home, self._days, with_odd=False)
        self._counts.account_days = len({(account, day) for account, _, _, day in rows})
        self._counts.position_days = self._check(rows, as_of_day, self._days, is_end=True)
        self._check_trades(stored_fills(home))

    def _check(self, rows: Mapping[Cell, Row], as_of_day: date, days: Iterable[date], *, is_end: bool) -> int:
        """Hold the rows of some days against the truth; how many are right."""
        wanted, right = set(days), 0
        standing = [e for e in self._effects if e.kind == "row" and e.stands(as_of_day)]
        planted_cells = {effect.cell for effect in standing}
        bare = {(*effect.cell[:2], effect.cell[3]) for effect in standing if effect.fault in _WITHOUT_SNAPSHOT}
        for cell, close in self._grid.items():
            if cell[3] not in wanted or cell in planted_cells:
                continue
            row = rows.get(cell)
            if row is None:
                account, wallet, _, day = cell
                if (account, wallet, day) not in bare and self._is_due(cell, close, is_end=is_end):
                    self._wrong(cell, "is not there", as_of_day)
            elif problem := self._differs(cell, close, row):
                self._wrong(cell, problem, as_of_day)
            else:
                right += row.status == "matched"
        nothing = Close(Decimal(0), Decimal(0), Decimal(0), is_held=False)
        for cell, row in rows.items():
            is_unheard_of = cell[3] in wanted and cell not in self._grid and cell not in planted_cells
            if is_unheard_of and (problem := self._differs(cell, nothing, row)):
                self._wrong(cell, problem, as_of_day)
        return right

    def _is_due(self, cell: Cell, close: Close, *, is_end: bool) -> bool:
        """Whether a row has to be there: what came and went again may wait for the rotation."""
        return close.is_held or (is_end and cell[3] <= self._rotated_through)

    def _differs(self, cell: Cell, close: Close, row: Row) -> str | None:
        """What is wrong with a row in which nothing is planted; None if nothing is."""
        if row.status != "matched" and not (row.status == "opening" and cell[3] == self._days[0]):
            return f"is {row.status}"
        for name, told, true in (
            ("balance", row.balance, close.balance), ("loan", row.loan or 0, close.loan),
            ("interest", row.interest or 0, close.interest),
        ):  # fmt: skip
            if told != true:
                return f"has a {name} of {told}, {true:f} is so"
        return None

    def _check_trades(self, stored: Counter[Fill]) -> None:
        made = fills(self._world, self._days[0], self._days[-1], all_through=self._rotated_through)
        self._counts.trades = sum(stored[fill] == 1 for fill in made)
        wrong = {fill: "is not there" for fill in made if fill not in stored}
        wrong |= {fill: "is there twice" for fill, number in stored.items() if number > 1}
        for fill in sorted(wrong):
            self._wrong_trades[fill] = f"seed {self._seed}, {' '.join(fill)} {wrong[fill]}"

    def _wrong(self, cell: Cell, problem: str, as_of_day: date) -> None:
        self._wrong_rows.setdefault(cell, f"seed {self._seed}, {_place(cell)} {problem}, seen on {as_of_day}")

    def _look_at_rows(self, rows: Mapping[Cell, Row], as_of_day: date, run: set[date] | None) -> None:
        allowed: dict[Cell, list[Stated]] = defaultdict(list)
        reasons: dict[Cell, set[str | None]] = defaultdict(set)
        for effect in self._effects:
            if effect.kind != "row" or not effect.stands(as_of_day) or not _is_run(effect.cell, run):
                continue
            allowed[effect.cell].append(effect.stated)
            reasons[effect.cell].add(effect.discrepancy_type)
            if effect.is_required:
                row = rows.get(effect.cell)
                stated = row.stated if row is not None else None
                self._note(effect, stated == effect.stated, as_of_day, stated)
        for cell, row in rows.items():
            if row.stated not in allowed.get(cell, ()):
                self._alarm(("row", cell, row.stated), f"row {_place(cell)} {_told(row.stated)}, seen on {as_of_day}")
            elif row.discrepancy_type not in (reasons[cell] if row.status == "incomplete" else {row.kind_of_variance}):
                self._wrong(cell, f"is {row.status} for {row.discrepancy_type}", as_of_day)

    def _look_besides(self, home: Asked, as_of_day: date, run: set[date] | None) -> None:
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
            wrong_rows=list(self._wrong_rows.values()),
            wrong_trades=list(self._wrong_trades.values()),
            account_days=self._counts.account_days,
            position_days=self._counts.position_days,
            trades=self._counts.trades,
            by_fault=Counter(by_number[number].fault for number, is_found in self._seen.items() if is_found),
        )


@dataclass(frozen=True)
class Row:
    """A row of the reconciliation, as far as it is judged."""

    status: str
    variance: Decimal | None
    balance: Decimal | None
    loan: Decimal | None
    interest: Decimal | None
    discrepancy_type: str | None

    @property
    def kind_of_variance(self) -> str:
        """What its amounts make of a variance: which side is missing altogether, if one is."""
        actual = self.balance or Decimal(0)
        calculated = actual - (self.variance or 0)
        if bool(actual) == bool(calculated):
            return "mismatch"
        return "missing_in_books" if actual else "missing_at_venue"

    @property
    def stated(self) -> Stated:
        """Its status, and its variance if it is one."""
        is_variance = self.status == "variance" and self.variance is not None
        return self.status, self.variance.normalize() + 0 if is_variance and self.variance is not None else None


def rows_of(home: Asked, days: Iterable[date], *, with_odd: bool) -> dict[Cell, Row]:
    """The rows of some days; with those that are neither matched nor an opening, of whatever day."""
    return {
        (account, wallet, asset, day): Row(*told)
        for account, wallet, asset, day, *told in home.ask(
            "SELECT account, wallet, asset, date, status, variance_in_asset, actual_balance, loan_actual,"
            " interest_actual, discrepancy_type FROM recon.reconciliation WHERE date = ANY(:days)"
            " OR (:with_odd AND status NOT IN ('matched', 'opening', 'pending')) ORDER BY 4, 1, 2, 3",
            days=list(days), with_odd=with_odd,
        )
    }  # fmt: skip


def stored_fills(home: Asked) -> Counter[Fill]:
    """The fills that count, and how often each is stored: its legs have names, and each name stands once."""
    return Counter(dict(_fills_and_counts(home)))


def _fills_and_counts(home: Asked) -> Iterator[tuple[Fill, int]]:
    query = (
        "SELECT account, source, agg_id, max(times) FROM (SELECT account, source, agg_id, external_id,"
        " count(*) AS times FROM recon.trades WHERE retired_at IS NULL AND source IN ('spot_trades', 'allocations')"
        " GROUP BY 1, 2, 3, 4) AS legs GROUP BY 1, 2, 3"
    )
    for account, source, fill_id, times in home.ask(query):
        yield (account, source, fill_id), times


def quarantined(home: Asked) -> set[tuple[Any, ...]]:
    """The positions and days of what is in quarantine; a capture during which something moved stands as its row."""
    return set(home.ask("SELECT account, wallet, asset, date FROM recon.quarantine WHERE error <> 'CaptureRace'"))


def restated(home: Asked) -> set[tuple[Any, ...]]:
    """The rows whose variance was taken back."""
    return set(
        home.ask(
            "SELECT account, wallet, asset, date FROM recon.restatements"
            " WHERE column_name = 'variance_in_asset' AND old_status = 'variance' AND new_status = 'matched'"
        )
    )


def decided(home: Asked) -> set[tuple[Any, ...]]:
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


def reviewed(home: Asked) -> list[tuple[str, str]]:
    """What waits for a person: account, and stream and text of the entry."""
    return [
        (account or "", f"{stream} {name}: {text}")
        for account, stream, name, text in home.ask(
            "SELECT account, stream, name, found FROM recon.errors WHERE needs_manual_review AND resolved_at IS NULL"
            " ORDER BY 1, 2, 3"
        )
    ]


def _is_review(effect: Planted, account: str, text: str) -> bool:
    return effect.cell[0] == account and bool(effect.note) and effect.note in text


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
