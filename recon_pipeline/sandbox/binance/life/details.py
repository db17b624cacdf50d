"""What explains business and moves no balance: split orders, moves within a wallet, delegations, positions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.book import Content
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.money import ZERO, plain, text8

ALGO_ORDERS, ALGO_CHILDREN = "/sapi/v1/algo/spot/historicalOrders", "/sapi/v1/algo/spot/subOrders"
POSITION_MARGIN = "/fapi/v1/positionMargin/history"
DELEGATIONS = "/sapi/v1/asset/custody/transfer-history"
POSITION_MOVES = "/sapi/v1/sub-account/futures/move-position"
_SYMBOL = "BTCUSDT"


def plan(scene: Scene) -> None:
    """Detail of futures, and delegations; algo orders are told with the fills that they are made of."""
    futures = scene.opened("futures")
    for account in futures:
        scene.often("position margin", account, 4, partial(adjust_margin, scene), cut="either")
    for account in futures[:1]:
        scene.burst("position margin", account, 510, partial(adjust_margin, scene))
    subs = [account for account in futures if not account.is_main]
    if subs and scene.main in futures:
        scene.often("position moves", scene.main, 4, partial(move_position, scene, subs[0]), cut="either")
        scene.burst("position moves", scene.main, 110, partial(move_position, scene, subs[0]))
    sub = custody_sub(scene.accounts)
    if sub is not None:
        scene.often("delegations", sub, 6, partial(delegate, scene), cut="either")
        scene.burst("delegations", sub, 110, partial(delegate, scene))


def custody_sub(accounts: Mapping[str, Account]) -> Account | None:
    """The sub-account of which a custody partner holds some; none where there is no sub-account."""
    return next((account for account in reversed(list(accounts.values())) if not account.is_main), None)


def algo_order(scene: Scene, account: Account, fills: list[Content]) -> None:
    """An order that the venue split over time: the parent, and a child for each fill."""
    algo_id, first = scene.next_id("algo", 14_500_000), fills[0]
    quantity, worth = (sum((Decimal(fill[name]) for fill in fills), ZERO) for name in ("qty", "quoteQty"))
    shared = {"symbol": first["symbol"], "side": "BUY" if first["isBuyer"] else "SELL"}
    content = {
        "algoId": algo_id, **shared, "totalQty": plain(quantity), "executedQty": plain(quantity),
        "executedAmt": plain(worth), "avgPrice": first["price"], "clientAlgoId": f"algo-{algo_id}",
        "bookTime": first["time"], "endTime": first["time"], "algoStatus": "FINISHED", "algoType": "TWAP",
        "urgency": "LOW",
    }  # fmt: skip
    scene.tell(account, ALGO_ORDERS, content)
    for number, fill in enumerate(fills, 1):
        child = {
            "algoId": algo_id, "orderId": fill["orderId"], "orderStatus": "FILLED", "executedQty": fill["qty"],
            "executedAmt": fill["quoteQty"], "feeAmt": f"-{fill['commission']}", "feeAsset": fill["commissionAsset"],
            "bookTime": fill["time"], "avgPrice": fill["price"], **shared, "subId": number, "timeInForce": "GTC",
            "origQty": fill["qty"],
        }  # fmt: skip
        scene.tell(account, ALGO_CHILDREN, child)


def adjust_margin(scene: Scene, account: Account, dice: Dice) -> None:
    """Margin added to an isolated position, or taken from it: within the wallet."""
    content = {
        "symbol": _SYMBOL, "type": dice.pick((1, 2)), "deltaType": "USER_ADJUST",
        "amount": text8(dice.amount("1", "40", 2)), "asset": "USDT", "time": scene.now_ms, "positionSide": "BOTH",
    }  # fmt: skip
    scene.tell(account, f"{POSITION_MARGIN} {_SYMBOL}", content)


def move_position(scene: Scene, sub: Account, account: Account, dice: Dice) -> None:
    """A part of a futures position that goes to another account, at its mark: no cash moves."""
    source, target = (account, sub) if dice.chance(50) else (sub, account)
    quantity = Decimal("0.001")
    if scene.ledger.now(source.email, "FUTURES", _SYMBOL, "position") <= quantity:
        return
    for who, amount in ((source, -quantity), (target, quantity)):
        scene.move(who, "FUTURES", _SYMBOL, amount, POSITION_MOVES, measure="position")
    content = {
        "fromUserEmail": source.email, "toUserEmail": target.email, "productType": "UM", "symbol": _SYMBOL,
        "price": text8(scene.market.price(scene.market.symbols[_SYMBOL], scene.now_ms)), "quantity": plain(quantity),
        "positionSide": "BOTH", "side": "SELL", "timeStamp": scene.now_ms,
    }  # fmt: skip
    scene.tell(scene.main, POSITION_MOVES, content)


def delegate(scene: Scene, sub: Account, dice: Dice) -> None:
    """Money that a custody partner holds for the sub, delegated to it or taken back: no wallet that is read moves."""
    content = {
        "clientTranId": str(293_000_000_000_000_000 + scene.next_id("delegation")),
        "transferType": dice.pick(("Delegate", "Undelegate")), "asset": dice.pick(("BTC", "ETH")),
        "amount": plain(dice.amount("0.01", "2", 4)), "time": scene.now_ms,
    }  # fmt: skip
    scene.tell(scene.main, f"{DELEGATIONS} {sub.email}", content)
