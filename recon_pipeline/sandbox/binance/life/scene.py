"""The stage on which a world's business happens: a queue of happenings in order of time, the ledger, and the lists."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import TypeAlias

from recon_pipeline.sandbox.binance.accounts import MAIN, Account
from recon_pipeline.sandbox.binance.book import Archive, Content, Ledger, Move, Record
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.market import Market
from recon_pipeline.sandbox.binance.moments import DAY_MS, HOUR_MS, MINUTE_MS, day_ms

Happening: TypeAlias = Callable[[], object]
Deed: TypeAlias = Callable[[Account, Dice], object]
_DAWN_MS, _DUSK_MS = 6 * HOUR_MS + 10 * MINUTE_MS, 23 * HOUR_MS + 45 * MINUTE_MS


class Scene:
    """Where business is planned and then happens. Nothing happens between 00:00 and 06:00: captures are due then."""

    def __init__(
        self,
        dice: Dice,
        accounts: Mapping[str, Account],
        market: Market,
        days: Iterable[date],
        doubts: Mapping[str, str],
        *,
        burst_max: int | None = None,
    ) -> None:
        self.dice = dice
        self.accounts = accounts
        self.market = market
        self.days = tuple(days)
        self.doubts = doubts
        self.burst_max = burst_max
        self.ledger = Ledger()
        self.archive = Archive()
        self.now_ms = 0
        self._queue: list[tuple[int, int, Happening]] = []
        self._count = 0
        self._ids: defaultdict[str, int] = defaultdict(int)

    @property
    def end_ms(self) -> int:
        """The end of the last day."""
        return day_ms(self.days[-1] + timedelta(days=1))

    def run(self) -> None:
        """Let everything that was planned happen, in order of time."""
        while self._queue:
            at_ms, _, happening = heapq.heappop(self._queue)
            self.now_ms = at_ms
            happening()

    def at(self, at_ms: int, happening: Happening) -> None:
        """Plan something for an instant."""
        self._count += 1
        heapq.heappush(self._queue, (at_ms, self._count, happening))

    def have(self, account: Account, wallet: str, asset: str) -> Decimal:
        """What the wallet holds right now."""
        return self.ledger.now(account.email, wallet, asset)

    def move(
        self,
        account: Account | str,
        wallet: str,
        asset: str,
        amount: Decimal,
        reason: str,
        *,
        measure: str = "balance",
    ) -> None:
        """Change a position, now."""
        email = account if isinstance(account, str) else account.email
        if amount:
            self.ledger.post(Move(self.now_ms * 1000, email, wallet, asset, amount, measure, reason))

    def tell(self, account: Account | str, name: str, content: Content, *, at_ms: int | None = None) -> Record:
        """Let an endpoint tell of something, from now on; `at_ms` is the instant it filters by (now by default)."""
        email = account if isinstance(account, str) else account.email
        record = Record(self.now_ms if at_ms is None else at_ms, self.next_id("order"))
        record.change(self.now_ms * 1000, content)
        return self.archive.add(email, name, record)

    def change(self, record: Record, **changes: object) -> None:
        """Let a record say something else from now on; a None takes the field away."""
        told = record.at(self.now_ms * 1000) or {}
        fresh = {key: value for key, value in {**told, **changes}.items() if value is not None}
        record.change(self.now_ms * 1000, fresh)

    def next_id(self, name: str, start: int = 0) -> int:
        """The next number of a series that only rises."""
        self._ids[name] += 1
        return start + self._ids[name]

    def opened(self, product: str) -> list[Account]:
        """The accounts that have opened a product."""
        return [account for account in self.accounts.values() if product in account.products]

    @property
    def main(self) -> Account:
        """The main account."""
        return self.accounts[MAIN]

    def daytime(self, dice: Dice, day: date | None = None) -> int:
        """An instant of the day (of any day, if none is given), well away from midnight."""
        first = day_ms(day if day is not None else dice.pick(self.days))
        return first + dice.between(_DAWN_MS, _DUSK_MS)

    def after(self, dice: Dice, low_ms: int, high_ms: int) -> int:
        """An instant some time after now, never while captures are due."""
        at_ms = self.now_ms + dice.between(low_ms, high_ms)
        within = at_ms % DAY_MS
        return at_ms if within >= _DAWN_MS else at_ms - within + _DAWN_MS + dice.between(0, HOUR_MS)

    def often(self, name: str, account: Account, per_month: int, deed: Deed, *, cut: str = "before") -> None:
        """Plan so many deeds a month at random times, the first of them within a second of a cut.

        `cut` is `before` for the last second of a day, `either` for that or the first of the next (only for wallets
        whose past the venue tells), `sharp` for its last millisecond but in whole seconds, `never` for none.
        """
        dice = self.dice.fork(name, account.email)
        count = max(2, -(-per_month * len(self.days) // 30))
        for number in range(count):
            at_ms = self.daytime(dice) if number or cut == "never" else self.near_cut(dice, cut)
            self.at(at_ms, partial(deed, account, dice.fork(number)))

    def near_cut(self, dice: Dice, cut: str) -> int:
        """An instant within a second of the end of one of the days."""
        end = day_ms(dice.pick(self.days[:-1] or self.days)) + DAY_MS
        if cut == "sharp":
            return end - 1000
        if cut == "either" and dice.chance(50):
            return end + dice.between(0, 999)
        return end - 1 - dice.between(0, 998)

    def burst(
        self, name: str, account: Account, count: int, deed: Deed, *, percent: int = 100, is_early: bool = False
    ) -> None:
        """Plan many deeds within a few hours of one day, several in the same millisecond: more than a page holds.

        `percent` is in how many worlds of a hundred it happens; `is_early` puts it into the world's first third.
        """
        count = count if self.burst_max is None else min(count, self.burst_max)
        dice = self.dice.fork("burst", name, account.email)
        if not dice.chance(percent):
            return
        days = self.days[1 : len(self.days) // 3 if is_early else None] or self.days
        at_ms = day_ms(dice.pick(days)) + 9 * HOUR_MS
        for number in range(count):
            at_ms += 0 if dice.chance(20) else dice.between(1, 20_000_000 // max(count, 1))
            self.at(at_ms, partial(deed, account, dice.fork(number)))
