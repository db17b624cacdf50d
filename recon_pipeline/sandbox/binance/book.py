"""What is so, and what is told: the ledger of true balances, and the lists that the venue's endpoints answer from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from recon_pipeline.sandbox.binance.money import ZERO

Content: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """One change of one position, at the instant when it happened, and the record that tells of it (if any does)."""

    at_us: int
    account: str
    wallet: str
    asset: str
    amount: Decimal
    measure: str
    reason: str


class _Position:
    """The history of one balance: instants in order, and the balance after each."""

    __slots__ = ("after", "at_us")

    def __init__(self) -> None:
        self.at_us: list[int] = []
        self.after: list[Decimal] = []

    def add(self, at_us: int, amount: Decimal) -> None:
        if not self.at_us or at_us >= self.at_us[-1]:
            self.at_us.append(at_us)
            self.after.append((self.after[-1] if self.after else ZERO) + amount)
            return
        place = bisect_right(self.at_us, at_us)
        before = self.after[place - 1] if place else ZERO
        self.at_us.insert(place, at_us)
        self.after.insert(place, before)
        for later in range(place, len(self.after)):
            self.after[later] += amount

    def at(self, at_us: int) -> Decimal:
        place = bisect_right(self.at_us, at_us)
        return self.after[place - 1] if place else ZERO


class Ledger:
    """The true balances at every instant. Measures: balance, loan, interest, withdrawing (on its way out)."""

    def __init__(self) -> None:
        self.moves: list[Move] = []
        self._wallets: defaultdict[tuple[str, str, str], dict[str, _Position]] = defaultdict(dict)

    def post(self, move: Move) -> None:
        """Enter a change. A second one for the same position may lie before the first (a planted one does)."""
        self.moves.append(move)
        positions = self._wallets[move.account, move.wallet, move.measure]
        position = positions.get(move.asset)
        if position is None:
            position = positions[move.asset] = _Position()
        position.add(move.at_us, move.amount)

    def now(self, account: str, wallet: str, asset: str, measure: str = "balance") -> Decimal:
        """The balance after everything that was entered so far."""
        position = self._wallets[account, wallet, measure].get(asset)
        return position.after[-1] if position else ZERO

    def assets(self, account: str, wallet: str) -> dict[str, Decimal]:
        """Everything the wallet holds after all that was entered so far."""
        return {asset: position.after[-1] for asset, position in self._wallets[account, wallet, "balance"].items()}

    def at(self, at_us: int, account: str, wallet: str, measure: str = "balance") -> dict[str, Decimal]:
        """The wallet's balances right after an instant, in order of asset; an asset that it once held stays listed."""
        positions = self._wallets.get((account, wallet, measure), {})
        return {asset: positions[asset].at(at_us) for asset in sorted(positions) if positions[asset].at_us[0] <= at_us}

    def changed_us(self, at_us: int, account: str, wallet: str) -> int:
        """The instant of the wallet's last change, up to an instant; 0 if it never changed."""
        latest = 0
        for position in self._wallets.get((account, wallet, "balance"), {}).values():
            place = bisect_right(position.at_us, at_us)
            latest = max(latest, position.at_us[place - 1] if place else 0)
        return latest

    def wallets(self, account: str) -> list[str]:
        """Every wallet of the account that ever held anything, in order."""
        return sorted({wallet for name, wallet, measure in self._wallets if name == account and measure == "balance"})


@dataclass(slots=True)
class Record:
    """One row of a list: the instant by which the venue filters it, and what it says from which instant on."""

    at_ms: int
    order: int
    """Its number within the list: a trade id, a ledger id. Rises with at_ms."""
    versions: list[tuple[int, Content | None]] = field(default_factory=list)
    """(from_us, content): the last one that has begun counts; None hides the record."""

    def at(self, now_us: int) -> Content | None:
        """What the venue tells of it at an instant; None if nothing."""
        told: Content | None = None
        for from_us, content in self.versions:
            if from_us > now_us:
                break
            told = content
        return told

    def change(self, from_us: int, content: Content | None) -> None:
        """Let it say something else from an instant on."""
        self.versions.append((from_us, content))
        self.versions.sort(key=lambda version: version[0])


class _List:
    """The records of one account at one endpoint, in order of instant."""

    __slots__ = ("_is_sorted", "_keys", "records")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._keys: list[int] = []
        self._is_sorted = True

    def add(self, record: Record) -> None:
        self.records.append(record)
        self._is_sorted = False

    def between(self, start_ms: int, end_ms: int) -> list[Record]:
        if not self._is_sorted:
            self.records.sort(key=lambda record: (record.at_ms, record.order))
            self._keys = [record.at_ms for record in self.records]
            self._is_sorted = True
        return self.records[bisect_left(self._keys, start_ms) : bisect_right(self._keys, end_ms)]


class Archive:
    """What every endpoint could tell, by account and list (named by the endpoint's path, or a symbol's list of it)."""

    def __init__(self) -> None:
        self._lists: defaultdict[tuple[str, str], _List] = defaultdict(_List)

    def add(self, account: str, name: str, record: Record) -> Record:
        """Enter a record."""
        self._lists[account, name].add(record)
        return record

    def between(self, account: str, name: str, start_ms: int, end_ms: int) -> list[Record]:
        """The records of a list from start to end, both inclusive, oldest first."""
        found = self._lists.get((account, name))
        return found.between(start_ms, end_ms) if found else []

    def all(self, account: str, name: str) -> list[Record]:
        """Every record of a list, oldest first."""
        return self.between(account, name, 0, 1 << 62)

    def remove(self, account: str, name: str, record: Record) -> None:
        """Let a record never have been told."""
        self._lists[account, name].records.remove(record)
        self._lists[account, name]._is_sorted = False

    def lists(self) -> Iterator[tuple[str, str, list[Record]]]:
        """(account, name, records) of every list."""
        for account, name in sorted(self._lists):
            yield account, name, self.all(account, name)
