"""A world: accounts, a market, and a month or more of business that follows from one seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from recon_pipeline.sandbox.binance.accounts import Account, make_accounts
from recon_pipeline.sandbox.binance.book import Archive, Ledger
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life import capital, spot
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.market import Market
from recon_pipeline.sandbox.binance.moments import HOUR_MS, MINUTE_MS, day_ms

DOUBTS = {
    "snapshot_as_of": ("end_of_day", "as_stamped"),
    "dust_amount": ("gross", "net"),
    "deposit_credit": ("complete_time", "insert_time"),
    "withdrawal_debit": ("apply_time", "complete_time"),
    "realtime_rewards": ("position", "spot"),
    "fiat_wallet": ("spot", "funding"),
    "status_6_deposits": ("credited", "not_credited"),
}
"""What the facts sheet leaves open, and what a world may do about it; the first choice is the default."""
FIRST_DAY = date(2026, 1, 1)


@dataclass(frozen=True)
class World:
    """What is so in a simulated Binance, and what it will tell, at every instant of its days."""

    seed: int
    days: tuple[date, ...]
    doubts: Mapping[str, str]
    accounts: Mapping[str, Account]
    market: Market
    ledger: Ledger
    archive: Archive
    dice: Dice = field(repr=False)

    @property
    def first_ms(self) -> int:
        """The first instant of the first day."""
        return day_ms(self.days[0])

    @property
    def end_ms(self) -> int:
        """The end of the last day."""
        return day_ms(self.days[-1] + timedelta(days=1))

    def snapshot_ms(self, email: str, kind: str, day: date) -> int:
        """When the account's snapshot of a day is published: within hours, now and then most of a day later."""
        dice = self.dice.fork("lag", email, kind, day)
        return day_ms(day + timedelta(days=1)) + dice.between(20 * MINUTE_MS, (20 if dice.chance(10) else 3) * HOUR_MS)


def make_world(
    seed: int,
    *,
    start: date = FIRST_DAY,
    days: int = 30,
    subs: int = 3,
    doubts: Mapping[str, str] | None = None,
) -> World:
    """The world of a seed: the same arguments give the same world, to the last byte of every answer."""
    dice = Dice("world", seed)
    dates = tuple(start + timedelta(days=number) for number in range(days))
    accounts = make_accounts(seed, subs, day_ms(start))
    market = Market(dice.fork("market"), day_ms(start))
    chosen = {name: choices[0] for name, choices in DOUBTS.items()} | dict(doubts or {})
    scene = Scene(dice, accounts, market, dates, chosen)
    scene.now_ms = spot.opening_ms(scene)
    for business in (spot,):
        business.open_wallet(scene)
    for plan in (spot.plan, capital.plan):
        plan(scene)
    scene.run()
    return World(seed, dates, chosen, accounts, market, scene.ledger, scene.archive, dice)
