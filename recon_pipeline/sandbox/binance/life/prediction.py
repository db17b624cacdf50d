"""Money between the venue and a prediction wallet on a chain: what lies in that wallet no endpoint here tells."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.book import Content, Record
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.moments import MINUTE_MS, SECOND_MS, iso_text
from recon_pipeline.sandbox.binance.money import plain

TRANSFERS = "/sapi/v1/w3w/wallet/prediction/transfer/list"
WALLET = "0x4be1d00c6f5a9e27b8d3340f19c2a7765e80fb21"
COIN = "CAKE"
"""A coin of that chain which hardly anything else moves, so that no other business of a world changes."""


def plan(scene: Scene) -> None:
    """The main account's own: out of spot, and back into it."""
    scene.often("prediction", scene.main, 6, partial(pass_on, scene))
    scene.burst("prediction", scene.main, 110, partial(pass_on, scene))


def pass_on(scene: Scene, account: Account, dice: Dice) -> None:
    """OUTBOUND leaves spot when it is made, INBOUND arrives when it is complete; one in twenty fails at once."""
    held = scene.have(account, "SPOT", COIN)
    is_out = held > 0 and dice.chance(50)
    amount = dice.part(held, 20, 400) if is_out else dice.amount("1", "40", 2)
    if amount <= 0:
        return
    has_failed, now = dice.chance(5), iso_text(scene.now_ms)
    content: Content = {
        "transferId": f"tf_{dice.hex(16)}", "direction": "OUTBOUND" if is_out else "INBOUND",
        "status": "FAILED" if has_failed else "PROCESSING", "walletAddress": WALLET, "fromToken": COIN,
        "fromTokenAmount": plain(amount), "toToken": COIN, "toTokenAmount": plain(amount),
        "errorCode": "31001" if has_failed else "", "errorMessage": "Transfer failed" if has_failed else "",
        "createTime": now, "updateTime": now,
    }  # fmt: skip
    record = scene.tell(account, TRANSFERS, content)
    if has_failed:
        return
    if is_out:
        scene.move(account, "SPOT", COIN, -amount, f"{TRANSFERS} {content['transferId']}")
    done_ms = scene.after(dice, 2 * SECOND_MS, 3 * MINUTE_MS)
    scene.at(done_ms, partial(_complete, scene, account, record, None if is_out else amount))


def _complete(scene: Scene, account: Account, record: Record, credited: Decimal | None) -> None:
    told = record.versions[-1][1] or {}
    if credited is not None:
        scene.move(account, "SPOT", COIN, credited, f"{TRANSFERS} {told['transferId']}")
    now = iso_text(scene.now_ms)
    scene.change(record, status="SUCCESS", updateTime=now, completeAt=now)
