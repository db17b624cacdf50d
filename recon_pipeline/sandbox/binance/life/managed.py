"""Money that one side owns and another trades: a fund of the main account's, and a sub that trades for an investor.

Only the logs of managed accounts tell of these transfers. Nobody trades in the fund here: its investor could not see
what that did.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import FUND, MAIN, Account
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.money import plain

INVESTOR = "/sapi/v1/managed-subaccount/queryTransLogForInvestor"
TRADER = "/sapi/v1/managed-subaccount/queryTransLogForTradeParent"
OWN = "/sapi/v1/managed-subaccount/query-trans-log"
STRANGER = "investor@elsewhere.example"
"""Whose money the sub trades with: no account of this family."""
COIN = "LTC"
"""A coin that hardly anything else moves: what managed accounts do changes no other business of a world."""
_TRAN_ID = 91_000_000
_HOLDINGS = (("SPOT", COIN, "400"), ("SPOT", "USDT", "25000"), ("MARGIN", "BTC", "0.2"), ("FUTURES", "USDT", "20000"))
"""What is in the fund before the world begins."""


def trading_desk(accounts: Mapping[str, Account]) -> Account | None:
    """The sub-account that trades for somebody else; none where there is no sub-account."""
    return next((account for account in accounts.values() if not account.is_main), None)


def plan(scene: Scene) -> None:
    """Money into the fund and out of it, and likewise of the sub's investor."""
    for wallet, asset, amount in _HOLDINGS:
        scene.move(FUND, wallet, asset, Decimal(amount), "opening")
    scene.often("fund", scene.main, 6, partial(invest, scene))
    scene.burst("fund", scene.main, 510, partial(invest, scene, is_small=True), percent=30)
    desk = trading_desk(scene.accounts)
    if desk is not None:
        scene.often("investor", desk, 6, partial(be_lent, scene))
        scene.burst("investor", desk, 510, partial(be_lent, scene, is_small=True), percent=30)


def invest(scene: Scene, account: Account, dice: Dice, *, is_small: bool = False) -> None:
    """Between the main account and its fund, in the one direction or the other."""
    held = scene.have(account, "SPOT", COIN)
    is_in = held > 0 and dice.chance(50)
    parties = (MAIN, FUND) if is_in else (FUND, MAIN)
    amount = dice.part(held if is_in else scene.ledger.now(FUND, "SPOT", COIN), 1, 5 if is_small else 200)
    _pass_on(scene, parties, amount, [(MAIN, f"{INVESTOR} {FUND}")], dice)


def be_lent(scene: Scene, desk: Account, dice: Dice, *, is_small: bool = False) -> None:
    """Between the sub and whoever it trades for; the sub and its main account are told of it alike."""
    held = scene.have(desk, "SPOT", COIN)
    is_back = held > 0 and dice.chance(50)
    amount = dice.part(held, 1, 5 if is_small else 400) if is_back else dice.amount("0.5", "1" if is_small else "20", 4)
    parties = (desk.email, STRANGER) if is_back else (STRANGER, desk.email)
    _pass_on(scene, parties, amount, [(desk.email, OWN), (MAIN, f"{TRADER} {desk.email}")], dice)


def _pass_on(scene: Scene, parties: tuple[str, str], amount: Decimal, lists: list[tuple[str, str]], dice: Dice) -> None:
    """A transfer, and everybody who is told of it; one in twenty fails."""
    if amount <= 0:
        return
    source, target = parties
    tran_id, status = scene.next_id("managed tranId", _TRAN_ID), "FAILURE" if dice.chance(5) else "SUCCESS"
    content = {
        "fromEmail": source, "fromAccountType": "SPOT", "toEmail": target, "toAccountType": "SPOT", "asset": COIN,
        "amount": plain(amount), "scheduledData": scene.now_ms, "createTime": scene.now_ms, "status": status,
        "tranId": tran_id,
    }  # fmt: skip
    for email, name in lists:
        scene.tell(email, name, dict(content))
    if status == "SUCCESS":
        for email, signed in ((source, -amount), (target, amount)):
            if email != STRANGER:
                scene.move(email, "SPOT", COIN, signed, f"{lists[0][1].split()[0]} {tran_id}")
