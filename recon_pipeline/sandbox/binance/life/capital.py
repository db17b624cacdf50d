"""Deposits and withdrawals: on chain and inside the venue, of the spot and the funding wallet, in all their states."""

from __future__ import annotations

from decimal import Decimal

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.book import Content, Record
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.moments import HOUR_MS, MINUTE_MS, SECOND_MS, utc_text
from recon_pipeline.sandbox.binance.money import ZERO, floor8, plain

DEPOSITS = "/sapi/v1/capital/deposit/hisrec"
WITHDRAWALS = "/sapi/v1/capital/withdraw/history"
PENDING, SUCCESS, REJECTED, CREDITED, WRONG, WAITING = 0, 1, 2, 6, 7, 8
COMPLETED, BACK = 6, (1, 3, 5)
WALLETS = {0: "SPOT", 1: "FUNDING"}
_NETWORKS = {"BTC": "BTC", "ETH": "ETH", "BNB": "BSC", "USDT": "TRX", "USDC": "ETH", "SOL": "SOL", "XRP": "XRP"}
_FEES = {"BTC": "0.00015", "ETH": "0.0012", "BNB": "0.001", "USDT": "1", "USDC": "2.5", "SOL": "0.004", "XRP": "0.25"}
_SIZES = {"BTC": "0.4", "ETH": "4", "BNB": "9", "USDT": "9000", "USDC": "5000", "SOL": "30", "XRP": "900"}


def plan(scene: Scene) -> None:
    """Deposits and withdrawals of every account."""
    for account in scene.accounts.values():
        scene.often("deposit", account, 12, lambda a, d: deposit(scene, a, d))
        scene.often("deposit-6", account, 2, lambda a, d: deposit(scene, a, d, ends_as=CREDITED), cut="never")
        scene.often("deposit-out", account, 2, lambda a, d: deposit(scene, a, d, ends_as=WRONG), cut="never")
        scene.often("withdrawal", account, 8, lambda a, d: withdraw(scene, a, d), cut="sharp")
        scene.often("withdrawal-back", account, 2, lambda a, d: withdraw(scene, a, d, is_back=True), cut="never")
    busy = scene.dice.fork("busy-capital").pick(list(scene.accounts.values()))
    scene.burst(DEPOSITS, busy, 1_010, lambda a, d: deposit(scene, a, d, scale=1))
    scene.burst(WITHDRAWALS, busy, 1_010, lambda a, d: withdraw(scene, a, d, scale=1))


def deposit(scene: Scene, account: Account, dice: Dice, *, ends_as: int = SUCCESS, scale: int = 1000) -> Record:
    """Money on its way in: seen, then credited (`ends_as` 1, or 6 and perhaps 1 later), or turned away."""
    coin = dice.pick(tuple(_SIZES))
    is_internal = dice.chance(20)
    content: Content = {
        "id": str(769_800_519_366_885_376 + scene.next_id("deposit") * 977),
        "amount": plain(_size(dice, coin, scale)), "coin": coin, "network": _NETWORKS[coin], "status": PENDING,
        "address": f"0x{dice.hex(40)}", "addressTag": "", "txId": _tx_id(dice, is_internal),
        "insertTime": scene.now_ms, "transferType": int(is_internal), "confirmTimes": "0/12", "unlockConfirm": 12,
        "walletType": 1 if dice.chance(25) else 0, "travelRuleStatus": 0,
    }  # fmt: skip
    # made of the transaction, which is as much theirs
    content["sourceAddress"] = "" if is_internal else f"0x{content['txId'][-40:]}"
    record = scene.tell(account, DEPOSITS, content)
    if ends_as == WRONG:
        verdict = dice.pick((REJECTED, WRONG))
        scene.at(scene.after(dice, MINUTE_MS, 30 * HOUR_MS), lambda: scene.change(record, status=verdict))
        return record
    if scene.doubts["deposit_credit"] == "insert_time":
        _receive(scene, account, content)
    if is_internal or dice.chance(20):
        _confirm(scene, account, record, dice, ends_as)
    else:
        waits_for_user = dice.chance(10)
        done_ms = scene.after(dice, 2 * MINUTE_MS, dice.pick((40 * MINUTE_MS, 30 * HOUR_MS)))
        scene.at(done_ms, lambda: _confirm(scene, account, record, dice, ends_as))
        if waits_for_user:
            scene.change(record, status=WAITING)
    return record


def _confirm(scene: Scene, account: Account, record: Record, dice: Dice, ends_as: int) -> None:
    is_early = scene.doubts["status_6_deposits"] == "credited"
    is_credited_here = ends_as == SUCCESS or is_early
    content = record.versions[-1][1] or {}
    if is_credited_here and scene.doubts["deposit_credit"] == "complete_time":
        _receive(scene, account, content)
    done = {"completeTime": scene.now_ms} if is_credited_here else {}
    scene.change(record, status=ends_as, confirmTimes="12/12", **done)
    if ends_as == CREDITED and scene.next_id("credited") % 2:
        scene.at(scene.after(dice, HOUR_MS, 90 * HOUR_MS), lambda: _unlock(scene, account, record))


def _unlock(scene: Scene, account: Account, record: Record) -> None:
    content = record.versions[-1][1] or {}
    if "completeTime" in content:
        scene.change(record, status=SUCCESS)
        return
    if scene.doubts["deposit_credit"] == "complete_time":
        _receive(scene, account, content)
    scene.change(record, status=SUCCESS, completeTime=scene.now_ms)


def _receive(scene: Scene, account: Account, content: Content) -> None:
    wallet = WALLETS[content["walletType"]]
    scene.move(account, wallet, content["coin"], Decimal(content["amount"]), f"{DEPOSITS} {content['id']}")


def withdraw(scene: Scene, account: Account, dice: Dice, *, is_back: bool = False, scale: int = 1000) -> Record | None:
    """Money on its way out: applied for, then sent, or returned to where it was."""
    scene.now_ms -= scene.now_ms % SECOND_MS  # told in whole seconds
    coin, wallet_type = dice.pick(tuple(_SIZES)), 1 if dice.chance(20) else 0
    is_internal = dice.chance(20)
    fee = ZERO if is_internal else Decimal(_FEES[coin]) * min(scale, 1000) / 1000
    amount = _size(dice, coin, scale)
    if amount + fee > scene.have(account, WALLETS[wallet_type], coin) / 3:
        wallet_type = 0
        amount = min(amount, floor8(scene.have(account, "SPOT", coin) / 4))
    if amount <= 0:
        return None
    content: Content = {
        "id": dice.hex(32), "amount": plain(amount), "transactionFee": plain(fee), "coin": coin,
        "status": dice.pick((2, 4)), "address": f"0x{dice.hex(40)}", "txId": "", "applyTime": utc_text(scene.now_ms),
        "network": _NETWORKS[coin], "transferType": int(is_internal), "withdrawOrderId": f"order-{dice.hex(10)}",
        "info": "", "confirmNo": 0, "walletType": wallet_type, "txKey": "",
    }  # fmt: skip
    record = scene.tell(account, WITHDRAWALS, content)
    if scene.doubts["withdrawal_debit"] == "apply_time":
        _send(scene, account, content, -1)
        _hold(scene, account, content, 1)
    done_ms = scene.after(dice, MINUTE_MS, dice.pick((90 * MINUTE_MS, 26 * HOUR_MS)))
    tx_id = _tx_id(dice, is_internal)
    done_ms -= done_ms % SECOND_MS
    status = dice.pick(BACK) if is_back else COMPLETED
    scene.at(done_ms, lambda: _finish(scene, account, record, status, tx_id))
    return record


def _finish(scene: Scene, account: Account, record: Record, status: int, tx_id: str) -> None:
    content = record.versions[-1][1] or {}
    is_at_apply = scene.doubts["withdrawal_debit"] == "apply_time"
    if is_at_apply:
        _hold(scene, account, content, -1)
    if status in BACK and is_at_apply:
        _send(scene, account, content, 1)
    if status == COMPLETED and not is_at_apply:
        _send(scene, account, content, -1)
    changes: Content = {"status": status, "completeTime": utc_text(scene.now_ms)}
    if status == COMPLETED:
        changes |= {"txId": tx_id, "confirmNo": 12}
    else:
        changes |= {"info": "The withdrawal was not sent; the amount was returned"}
    scene.change(record, **changes)


def _send(scene: Scene, account: Account, content: Content, sign: int) -> None:
    ref = f"{WITHDRAWALS} {content['id']}"
    total = Decimal(content["amount"]) + Decimal(content["transactionFee"])
    scene.move(account, WALLETS[content["walletType"]], content["coin"], sign * total, ref)


def _hold(scene: Scene, account: Account, content: Content, sign: int) -> None:
    total = sign * (Decimal(content["amount"]) + Decimal(content["transactionFee"]))
    wallet = WALLETS[content["walletType"]]
    scene.move(account, wallet, content["coin"], total, WITHDRAWALS, measure="withdrawing")


def _size(dice: Dice, coin: str, scale: int) -> Decimal:
    return floor8(Decimal(_SIZES[coin]) * scale * dice.between(50, 1000) / 1_000_000)


def _tx_id(dice: Dice, is_internal: bool) -> str:
    if is_internal:
        return f"{dice.pick(('Internal', 'Off-chain'))} transfer {51_376_000_000 + dice.between(0, 99_999)}"
    return f"0x{dice.hex(64)}"
