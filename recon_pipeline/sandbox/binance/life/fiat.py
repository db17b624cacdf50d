"""Money of the state: bank orders, and crypto bought and sold with it."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.book import Record
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.moments import DAY_MS, HOUR_MS, MINUTE_MS
from recon_pipeline.sandbox.binance.money import ZERO, floor8, plain

ORDERS, PAYMENTS = "/sapi/v1/fiat/orders", "/sapi/v1/fiat/payments"
_FUNDING_HOLDINGS = ("EUR", "12000")


def open_wallet(scene: Scene) -> None:
    """In a world that keeps fiat money in the funding wallet, some of it lies there."""
    if scene.doubts["fiat_wallet"] == "funding":
        for account in scene.accounts.values():
            scene.move(account, "FUNDING", _FUNDING_HOLDINGS[0], Decimal(_FUNDING_HOLDINGS[1]), "opening")


def plan(scene: Scene) -> None:
    """Everything of this kind, for every account."""
    for account in scene.accounts.values():
        scene.often("fiat deposit", account, 4, partial(order, scene, "0"))
        scene.often("fiat withdrawal", account, 4, partial(order, scene, "1"))
        scene.often("fiat buy", account, 4, partial(payment, scene, "0"))
        scene.often("fiat sell", account, 4, partial(payment, scene, "1"))
    busy = scene.dice.fork("busy-fiat").pick(list(scene.accounts.values()))
    for kind in ("0", "1"):
        scene.burst(f"{ORDERS} {kind}", busy, 510, partial(order, scene, kind, is_small=True))
        scene.burst(f"{PAYMENTS} {kind}", busy, 510, partial(payment, scene, kind, is_small=True))


def _wallet(scene: Scene) -> str:
    return "SPOT" if scene.doubts["fiat_wallet"] == "spot" else "FUNDING"


def order(scene: Scene, kind: str, account: Account, dice: Dice, *, is_small: bool = False) -> None:
    """A bank transfer in (0) or out (1): out leaves when it is ordered, in arrives when it is done."""
    is_in, fee = kind == "0", Decimal("1.50") if kind == "1" else ZERO
    amount = dice.amount("2", "9" if is_small else "700", 2)
    if not is_in and scene.have(account, _wallet(scene), "EUR") < (amount + fee) * 5:
        return
    number = "-".join((dice.hex(8), dice.hex(4), dice.hex(4), dice.hex(12)))
    content = {
        "orderNo": number, "fiatCurrency": "EUR", "indicatedAmount": plain(amount + fee), "amount": plain(amount),
        "totalFee": plain(fee), "method": "BankAccount", "status": "Processing", "createTime": scene.now_ms,
        "updateTime": scene.now_ms,
    }  # fmt: skip
    record = scene.tell(account, f"{ORDERS} {kind}", content)
    if not is_in:
        scene.move(account, _wallet(scene), "EUR", -amount - fee, f"{ORDERS} {number}")
    fails = dice.chance(15)
    status = dice.pick(("Failed", "Expired") if is_in else ("Failed", "Refunded")) if fails else _done(dice)
    back = amount if is_in else amount + fee
    finish = partial(_finish, scene, account, record, status, back if is_in != fails else ZERO)
    is_at_once = scene.now_ms % DAY_MS > DAY_MS - MINUTE_MS
    if is_at_once:
        finish()
    else:
        scene.at(scene.after(dice, MINUTE_MS, dice.pick((HOUR_MS, 40 * HOUR_MS))), finish)


def _done(dice: Dice) -> str:
    return dice.pick(("Successful", "Finished"))


def _finish(scene: Scene, account: Account, record: Record, status: str, amount: Decimal) -> None:
    number = (record.versions[0][1] or {})["orderNo"]
    scene.move(account, _wallet(scene), "EUR", amount, f"{ORDERS} {number}")
    scene.change(record, status=status, updateTime=scene.now_ms)


def payment(scene: Scene, kind: str, account: Account, dice: Dice, *, is_small: bool = False) -> None:
    """Crypto bought (0) with a card or from the fiat balance, or sold (1) into that balance, which gets what is paid
    less the fee."""
    is_buy, asset = kind == "0", dice.pick(("BTC", "BNB", "USDT"))
    paid = dice.amount("5", "9" if is_small else "300", 2)
    fee = floor8(paid / 100)
    rate = scene.market.usd(asset, scene.now_ms) / scene.market.usd("EUR", scene.now_ms)
    got = floor8((paid - fee if is_buy else paid) / rate)
    method = dice.pick(("Cash Balance", "Credit Card", "Bank Transfer"))
    status = dice.pick(("Completed", "Completed", "Completed", "Failed"))
    wallet = _wallet(scene)
    poor = scene.have(account, wallet, "EUR") < paid * 5 if is_buy else scene.have(account, wallet, asset) < got * 5
    if not got or poor:
        return
    number = dice.hex(32)
    if status == "Completed":
        scene.move(account, wallet, asset, got if is_buy else -got, f"{PAYMENTS} {number}")
        if not is_buy or method == "Cash Balance":
            scene.move(account, wallet, "EUR", -paid if is_buy else paid - fee, f"{PAYMENTS} {number}")
    content = {
        "orderNo": number, "sourceAmount": plain(paid), "fiatCurrency": "EUR", "obtainAmount": plain(got),
        "cryptoCurrency": asset, "totalFee": plain(fee), "price": plain(floor8(rate)), "status": status,
        "createTime": scene.now_ms, "updateTime": scene.now_ms,
    }  # fmt: skip
    if is_buy:
        content["paymentMethod"] = method
    scene.tell(account, f"{PAYMENTS} {kind}", content)
