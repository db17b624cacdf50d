"""Of what a generated world is made: its size, its assets, and its positions with their zipf weights."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

import numpy as np

from benchmarks.exact import BILLION, Ints

WALLETS = (("SPOT", 1), ("FUNDING", 2), ("EARN", 3))
"""A wallet's name, and of how many accounts one has it."""


@dataclass(frozen=True)
class Spec:
    """The size of a world. `cut`: all snapshots at the day's last microsecond, or each account's at its own instant."""

    flows: int = 10_000_000
    days: int = 365
    positions: int = 2_700
    accounts: int = 100
    cut: Literal["instant", "anywhere"] = "instant"
    seed: int = 2026
    first_day: date = date(2025, 1, 1)
    venue: str = "bench"
    differences: int = 240
    missing_snapshots: int = 120
    coverage_holes: int = 12
    newcomers: int = 30
    leavers: int = 30
    tolerance: Decimal = Decimal("0.00000001")

    @property
    def dates(self) -> list[date]:
        """Every day of the world."""
        return [self.first_day + timedelta(days=day) for day in range(self.days)]


@dataclass(frozen=True)
class Asset:
    """An asset: the decimals it is counted in, the size of a large flow in whole units, and its price (None: never)."""

    name: str
    decimals: int
    units_max: int
    price: Decimal | None


ASSETS = (
    Asset("USDT", 6, 20_000, Decimal("0.9998")),
    Asset("USDC", 6, 20_000, Decimal("1.0001")),
    Asset("USD", 2, 20_000, Decimal(1)),
    Asset("EUR", 2, 20_000, Decimal("1.0831")),
    Asset("BTC", 8, 2, Decimal("67123.45")),
    Asset("ETH", 18, 30, Decimal("3456.78")),
    Asset("SOL", 9, 500, Decimal("151.2")),
    Asset("MATIC", 18, 50_000, Decimal("0.5123")),
    Asset("SHIB", 18, 10**12, Decimal("0.000008123456789012")),
    Asset("PEPE", 18, 10**13, Decimal("0.000000912345678901")),
    Asset("BABYDOGE", 9, 10**13, Decimal("0.000000000001234567")),
    Asset("UNPRICED", 18, 1_000, None),
)
ASSETS_MORE = 52
"""Further assets of 18 decimals, priced between a cent and some hundred dollars."""


@dataclass(frozen=True)
class World:
    """The positions, numbered in the text order of (account, wallet, asset), each column indexed by position."""

    assets: tuple[Asset, ...]
    accounts: tuple[str, ...]
    wallets: tuple[tuple[int, str], ...]
    account: Ints
    wallet: Ints
    asset: Ints
    quote: Ints
    """The position of the same wallet in the quote asset."""
    weight_any: Ints
    weight_fill: Ints
    """Cumulative zipf weights, of all positions and of those that are not a quote."""
    units_max: Ints
    step_nano: Ints
    step_atto: Ints
    smallest: Ints
    """Per asset: its largest flow, its last decimal's step in each limb, its smallest amount."""


def make_world(spec: Spec, rng: np.random.Generator) -> World:
    """Accounts, wallets and positions; the zipf ranks are drawn."""
    assets = (*ASSETS, *(_further(number, rng) for number in range(ASSETS_MORE)))
    accounts = tuple(f"account-{number:04d}" for number in range(spec.accounts))
    wallets = tuple(
        sorted((number, name) for number in range(spec.accounts) for name, every in WALLETS if number % every == 0)
    )
    held = [spec.positions // len(wallets) + (n < spec.positions % len(wallets)) for n in range(len(wallets))]
    if min(held) < 1 or max(held) > len(assets):
        raise ValueError(f"{spec.positions} positions do not fit {len(wallets)} wallets of 1 to {len(assets)} assets")
    rows: list[tuple[int, int, int, int]] = []
    for wallet, (account, _) in enumerate(wallets):
        picked = [0, *(1 + rng.permutation(len(assets) - 1)[: held[wallet] - 1])]
        picked.sort(key=lambda asset: assets[asset].name)
        quote = len(rows) + picked.index(0)
        rows += [(account, wallet, int(asset), quote) for asset in picked]
    account_of, wallet_of, asset_of, quote_of = np.array(rows, dtype=np.int64).T
    weight = 10**12 // (1 + rng.permutation(len(rows)))
    fillable = np.where(quote_of == np.arange(len(rows)), 0, weight)
    decimals = np.array([asset.decimals for asset in assets])
    step_nano = 10 ** np.maximum(9 - decimals, 0)
    step_atto = np.where(decimals > 9, 10 ** np.minimum(18 - decimals, 9), BILLION)
    return World(
        assets=assets,
        accounts=accounts,
        wallets=wallets,
        account=account_of,
        wallet=wallet_of,
        asset=asset_of,
        quote=quote_of,
        weight_any=np.cumsum(weight),
        weight_fill=np.cumsum(fillable if fillable.any() else weight),
        units_max=np.array([asset.units_max for asset in assets]),
        step_nano=step_nano,
        step_atto=step_atto,
        smallest=np.stack(
            [np.zeros_like(decimals), np.where(decimals > 9, 0, step_nano), np.where(decimals > 9, step_atto, 0)]
        ),
    )


def _further(number: int, rng: np.random.Generator) -> Asset:
    price = Decimal(int(rng.integers(1, 10_000))) * Decimal(10) ** -int(rng.integers(2, 6))
    return Asset(f"ALT{number:02d}", 18, int(10 ** rng.integers(1, 6)), price)
