"""Where faults are planted, and how what must follow of them is noted.

A plant takes positions and days that no other plant has taken, so that every effect stands alone in its row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from recon_pipeline.sandbox.binance.book import Content, Record
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.moments import day_ms, day_of
from recon_pipeline.sandbox.binance.plants import Effect, due, run_after, run_us
from recon_pipeline.sandbox.binance.world import World

Status = Literal["variance", "incomplete", "matched"]
INCOMPLETE = {
    **dict.fromkeys(("deposit_conflicting", "number_for_text"), "quarantined_flow"),
    "capture_race": "quarantined_balance",
    **dict.fromkeys(("snapshot_missing", "snapshot_late", "snapshot_of_wrong_day"), "missing_snapshot"),
    **dict.fromkeys(("symbol_purged", "endpoint_down", "endpoint_garbled"), "coverage_hole"),
}
"""Why a row is incomplete in which a fault is planted that makes it so."""
WHOLE_WALLETS = (
    "snapshot_missing", "snapshot_late", "snapshot_of_wrong_day", "endpoint_down", "endpoint_garbled",
)  # fmt: skip
"""Faults that leave every row of a wallet's day open."""
Position: TypeAlias = tuple[str, str, str]
"""Account, wallet, asset."""


@dataclass(frozen=True)
class Kind:
    """A kind of record: where it is told, when it moved which position, and which of them are fit to be spoiled."""

    path: str
    at_ms: Callable[[Content], int]
    position: Callable[[Content], tuple[str, str]]
    is_fit: Callable[[Content], bool] = lambda content: True


class Planter:
    """Plants faults in a world, and keeps what they must cause."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.plants = world.plants
        self._taken: set[tuple[str, str, str, date]] = set()

    # Where to plant

    def days(self, *, before_end: int = 4, from_start: int = 2) -> list[date]:
        """The days on which something may go wrong and still be seen."""
        return list(self.world.days[from_start : len(self.world.days) - before_end])

    def accounts(self, dice: Dice) -> list[str]:
        """Every account, in random order."""
        return dice.some(list(self.world.accounts), len(self.world.accounts))

    def take(self, account: str, wallet: str, asset: str, days: Iterable[date]) -> bool:
        """Claim a position on some days; False if it is claimed already."""
        wanted = {(account, wallet, asset, day) for day in days}
        if wanted & self._taken:
            return False
        self._taken |= wanted
        return True

    def claim(
        self, dice: Dice, wallet: str, assets: Collection[str], days: Collection[date], *, nights: int = 0
    ) -> tuple[str, date]:
        """An account and a day (with so many days after it) on which positions of a wallet are still untouched."""
        for account in self.accounts(dice):
            for day in dice.some(list(days), len(days)):
                span = [day + timedelta(days=shift) for shift in range(nights + 1)]
                wanted = {(account, wallet, asset, when) for asset in assets for when in span}
                if not wanted & self._taken:
                    self._taken |= wanted
                    return account, day
        raise LookupError(f"no day of {wallet} is left untouched")

    def busy_days(self, account: str, wallet: str) -> set[date]:
        """The days on which anything is planted in a wallet."""
        return {day for name, where, _, day in self._taken if (name, where) == (account, wallet)}

    def find(
        self, dice: Dice, kind: Kind, days: Collection[date], is_fit: Callable[[Content], bool] | None = None
    ) -> tuple[str, Record, Content, date]:
        """A record of a list that is fit to be spoiled: its final content, and the day whose row it enters."""
        for account in self.accounts(dice):
            records = self.world.archive.all(account, kind.path)
            for record in dice.some(records, len(records)):
                content = record.at(1 << 62)
                if content is None or not (is_fit or kind.is_fit)(content):
                    continue
                day = day_of(kind.at_ms(content))
                if day in days and self.take(account, *kind.position(content), (day,)):
                    return account, record, content, day
        raise LookupError(f"no record of {kind.path} is fit")

    def heard(self, account: str, path: str, at_ms: int) -> date:
        """The first as_of_day whose run hears what a list tells an account from an instant on."""
        outages = [each for each in self.plants.outages if (each.account, each.path) == (account, path)]
        day = run_after(at_ms)
        while any(each.from_us <= run_us(day) < each.until_us for each in outages):
            day += timedelta(days=1)
        return day

    # What must follow

    def expect(
        self, fault: str, position: Position, day: date, status: Status, amount: Decimal | None = None, **more: Any
    ) -> None:
        """A row that must say so."""
        more.setdefault("from_as_of_day", due(day))
        if status == "incomplete" and more.get("kind", "row") == "row":
            more.setdefault("discrepancy_type", INCOMPLETE[fault])
        self.plants.effects.append(Effect(fault, *position, day, status, amount, **more))

    def hold(self, account: str, wallet: str, asset: str, since: date) -> None:
        """A planted move made an asset held: where a whole wallet's day is open after it, its row is open too."""
        open_days = {
            (effect.fault, effect.date): effect
            for effect in self.plants.effects
            if (effect.account, effect.wallet, effect.status) == (account, wallet, "incomplete")
            and (effect.kind, effect.is_required) == ("row", True)
            and effect.fault in WHOLE_WALLETS
            and effect.date > since
        }
        for effect in open_days.values():
            if self.take(account, wallet, asset, (effect.date,)):
                self.plants.effects.append(replace(effect, asset=asset))

    def close(self, account: str, wallet: str, day: date) -> dict[str, Decimal]:
        """What a wallet holds at the end of a day."""
        return self.world.ledger.at(day_ms(day + timedelta(days=1)) * 1000 - 1, account, wallet)

    def held(self, account: str, wallet: str, day: date) -> list[str]:
        """The assets that a wallet holds at the end of a day or of the day before."""
        ends = (self.close(account, wallet, when) for when in (day - timedelta(days=1), day))
        return sorted({asset for held in ends for asset, amount in held.items() if amount})

    def rows(self, account: str, wallet: str, day: date) -> list[str]:
        """The assets that may have a row on a day: held before, held after, or moved."""
        start_us, end_us = day_ms(day) * 1000, day_ms(day + timedelta(days=1)) * 1000
        moved = {
            move.asset
            for move in self.world.ledger.moves
            if (move.account, move.wallet) == (account, wallet) and start_us <= move.at_us < end_us
        }  # fmt: skip
        return sorted({*self.held(account, wallet, day), *moved})

    def stated(self, account: str, wallet: str, day: date) -> list[str]:
        """The assets that a day's snapshot states."""
        return [asset for asset, amount in self.close(account, wallet, day).items() if amount]
