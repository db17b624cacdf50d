"""A world: accounts, a market, and a month or more of business that follows from one seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from recon_pipeline.sandbox.binance.accounts import Account, Key, make_accounts, make_fund
from recon_pipeline.sandbox.binance.book import Archive, Ledger
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life import (
    capital,
    conversion,
    derivatives,
    details,
    earn,
    fiat,
    income,
    loans,
    managed,
    margin,
    orders,
    prediction,
    spot,
    staking,
    transfers,
)
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.market import Market
from recon_pipeline.sandbox.binance.moments import DAY_MS, HOUR_MS, MINUTE_MS, day_ms
from recon_pipeline.sandbox.binance.money import ZERO, floor8
from recon_pipeline.sandbox.binance.plants import Plants

DOUBTS = {
    "snapshot_as_of": ("end_of_day", "as_stamped"),
    "dust_amount": ("gross", "net"),
    "deposit_credit": ("complete_time", "insert_time"),
    "withdrawal_debit": ("apply_time", "complete_time"),
    "realtime_rewards": ("position", "spot"),
    "fiat_wallet": ("spot", "funding"),
    "status_6_deposits": ("credited", "not_credited"),
    "boost_rewards": ("claims", "all"),
    "product_rewards": ("history", "dividends"),
    "bfusd_rewards": ("spot", "futures"),
    "converted_interest": ("interest_history", "capital_flow"),
    "flexible_loans": ("own_history", "loan_income"),
    "algo_fills": ("in_trades", "apart"),
    "sub_transfer_ids": ("shared", "own"),
}
"""What the facts sheet leaves open, and what a world may do about it; the first choice is the default."""
FIRST_DAY = date(2026, 1, 1)
BUSINESS = {
    "spot": spot, "capital": capital, "transfers": transfers, "income": income, "conversion": conversion, "earn": earn,
    "staking": staking, "fiat": fiat, "loans": loans, "margin": margin, "derivatives": derivatives, "orders": orders,
    "details": details, "managed": managed, "prediction": prediction,
}  # fmt: skip
"""What happens in a world, kind by kind; any of it can be left out."""
_MARKETS = {
    spot.PATH: "spot", orders.ALLOCATIONS: "spot", margin.TRADES: "margin", "/fapi/v1/userTrades": "futures",
    "/dapi/v1/userTrades": "futures",
}  # fmt: skip


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
    plants: Plants = field(default_factory=Plants, repr=False)
    """What is wrong here."""
    transport: tuple[str, ...] = ()
    """What goes wrong on the way, by name (trouble.py)."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The accounts whose key is not good, and what is wrong with it (accounts.KINDS)."""
    _volumes: dict[str, dict[tuple[str, int], Decimal]] = field(default_factory=dict, repr=False)

    def key(self, email: str) -> Key:
        """The key that a user of this world has for an account."""
        return self.accounts[email].keys[self.keys.get(email, "good")]

    @property
    def fund(self) -> Account:
        """The managed sub-account, which is not among the accounts."""
        return make_fund(self.first_ms)

    @property
    def first_ms(self) -> int:
        """The first instant of the first day."""
        return day_ms(self.days[0])

    @property
    def end_ms(self) -> int:
        """The end of the last day."""
        return day_ms(self.days[-1] + timedelta(days=1))

    def volume(self, email: str, market: str, day: int) -> Decimal:
        """What an account traded on spot, margin or futures on a day (counted from the epoch), in BTC."""
        if email not in self._volumes:
            self._volumes[email] = self._count_volumes(email)
        return self._volumes[email].get((market, day), ZERO)

    def _count_volumes(self, email: str) -> dict[tuple[str, int], Decimal]:
        volumes: defaultdict[tuple[str, int], Decimal] = defaultdict(Decimal)
        for account, name, records in self.archive.lists():
            market = _MARKETS.get(name.split()[0])
            for record in records if account == email and market is not None else ():
                told = record.versions[0][1] or {}
                worth = Decimal(told.get("quoteQty") or Decimal(told["qty"]) * Decimal(told["price"]))
                quote = self.market.symbols[told["symbol"]].quote if told["symbol"] in self.market.symbols else "USDT"
                usd = worth * self.market.usd(quote, record.at_ms)
                volumes[market or "", record.at_ms // DAY_MS] += floor8(usd / self.market.usd("BTC", record.at_ms))
        return volumes

    def snapshot_ms(self, email: str, kind: str, day: date) -> int:
        """When the account's snapshot of a day is published: within hours, now and then most of a day later."""
        fault = self.plants.snapshots.get((email, kind, day))
        if fault is not None and fault.published_ms is not None:
            return fault.published_ms
        dice = self.dice.fork("lag", email, kind, day)
        return day_ms(day + timedelta(days=1)) + dice.between(20 * MINUTE_MS, (20 if dice.chance(10) else 3) * HOUR_MS)


def make_world(
    seed: int,
    *,
    start: date = FIRST_DAY,
    days: int = 30,
    subs: int = 3,
    doubts: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    faults: Collection[str] = (),
    transport: Collection[str] = (),
    keys: Mapping[str, str] | None = None,
    symbols_max: int | None = None,
    burst_max: int | None = None,
) -> World:
    """The world of a seed: the same arguments give the same world, to the last byte of every answer.

    `without` leaves out kinds of business (BUSINESS names them): a world of spot alone shows a difference sooner.
    `faults` are planted by name (faults.FAULTS; a name given twice is planted twice), `transport` troubles the way of
    the answers (trouble.NAMES), `keys` gives an account a key of another kind than `good` (accounts.KINDS).
    `symbols_max` lists fewer symbols than the 3,000 of a whole market, where time is short, and
    `burst_max` lets less happen at once: the world is smaller, and no list of it fills a page.
    """
    from recon_pipeline.sandbox.binance.faults import plant  # it needs a world to plant in

    dice = Dice("world", seed)
    dates = tuple(start + timedelta(days=number) for number in range(days))
    accounts = make_accounts(seed, subs, day_ms(start))
    market = Market(dice.fork("market"), day_ms(start), symbols_max)
    chosen = {name: choices[0] for name, choices in DOUBTS.items()} | dict(doubts or {})
    scene = Scene(dice, accounts, market, dates, chosen, burst_max=burst_max)
    scene.now_ms = spot.opening_ms(scene)
    for business in (spot, transfers, earn, fiat, derivatives):
        business.open_wallet(scene)
    for name, business in BUSINESS.items():
        if name not in without:
            business.plan(scene)
    scene.run()
    world = World(
        seed=seed, days=dates, doubts=chosen, accounts=accounts, market=market, ledger=scene.ledger,
        archive=scene.archive, dice=dice, transport=tuple(transport), keys=dict(keys or {}),
    )  # fmt: skip
    plant(world, faults, dice.fork("faults"))
    return world
