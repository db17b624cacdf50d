"""The truth of a world, for tests: what the balances really are, and why."""

from __future__ import annotations

from typing import Any

from recon_pipeline.sandbox.binance.money import plain
from recon_pipeline.sandbox.binance.world import World

_MEASURES = ("balance", "loan", "interest")


def truth(world: World, at_us: int, *, with_moves: bool = False) -> dict[str, Any]:
    """Balances right after an instant, by account, wallet and measure; with moves, everything that led there."""
    balances = [
        {"account": email, "wallet": wallet, "measure": measure, "asset": asset, "amount": plain(amount)}
        for email in world.accounts
        for wallet in world.ledger.wallets(email)
        for measure in _MEASURES
        for asset, amount in world.ledger.at(at_us, email, wallet, measure).items()
    ]
    told: dict[str, Any] = {"at_us": at_us, "doubts": dict(world.doubts), "balances": balances}
    if with_moves:
        told["moves"] = [
            {"at_us": m.at_us, "account": m.account, "wallet": m.wallet, "asset": m.asset, "amount": plain(m.amount),
             "measure": m.measure, "reason": m.reason}
            for m in world.ledger.moves if m.at_us <= at_us
        ]  # fmt: skip
    return told
