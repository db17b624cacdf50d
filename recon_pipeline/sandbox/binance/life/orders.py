"""Spot business that is not among the trades: allocations of routed orders, and self-trades turned into transfers."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.book import Content, Record
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.moments import HOUR_MS, MINUTE_MS
from recon_pipeline.sandbox.binance.money import ZERO, floor8, text8

ALLOCATIONS, PREVENTED, ORDERS = "/api/v3/myAllocations", "/api/v3/myPreventedMatches", "/api/v3/allOrders"
TRADE_GROUP = 1
"""The main account and its first sub trade as one group: a match between them becomes a transfer."""


def plan(scene: Scene) -> None:
    """Routed orders of every account; transfers between the two of the trade group."""
    for account in scene.accounts.values():
        scene.often("allocation", account, 3, partial(allocate, scene), cut="either")
    subs = [account for account in scene.accounts.values() if not account.is_main]
    if subs:
        scene.often("prevented", scene.main, 4, partial(prevent, scene, subs[0]), cut="either")
    scene.burst(ALLOCATIONS, scene.main, 1_010, partial(allocate, scene, is_small=True))


def allocate(scene: Scene, account: Account, dice: Dice, *, is_small: bool = False) -> None:
    """A fill that the venue routed: told as an allocation, not as a trade."""
    name = "BTCUSDT" if is_small else dice.pick(("BTCUSDT", "BTCUSDC"))
    symbol, is_buyer = scene.market.symbols[name], dice.chance(50)
    price = scene.market.price(symbol, scene.now_ms)
    share = 1 if is_small else dice.between(2, 20)
    worth = dice.part(scene.have(account, "SPOT", symbol.quote), share, share)
    if not is_buyer:
        worth = dice.part(scene.have(account, "SPOT", "BTC"), share, share) * price
    quantity = (worth / price).quantize(Decimal("0.000001"), rounding="ROUND_DOWN")
    worth = quantity * price
    if not quantity:
        return
    asset, fee = ("BTC", floor8(quantity / 1000)) if is_buyer else (symbol.quote, floor8(worth / 1000))
    number = scene.next_id(f"allocation {name}")
    for coin, amount in (("BTC", quantity), (symbol.quote, -worth)):
        scene.move(account, "SPOT", coin, amount if is_buyer else -amount, f"{ALLOCATIONS} {name}:{number}")
    scene.move(account, "SPOT", asset, -fee, f"{ALLOCATIONS} {name}:{number}")
    content = {
        "symbol": name, "allocationId": number, "allocationType": "SOR",
        "orderId": scene.next_id("orderId", 7_000_000_000), "orderListId": -1, "price": text8(price),
        "qty": text8(quantity), "quoteQty": text8(worth), "commission": text8(fee), "commissionAsset": asset,
        "time": scene.now_ms, "isBuyer": is_buyer, "isMaker": False, "isAllocator": False,
    }  # fmt: skip
    scene.tell(account, f"{ALLOCATIONS} {name}", content).order = number


def prevent(scene: Scene, sub: Account, account: Account, dice: Dice) -> None:
    """The main account's order would meet the sub's: quantity and notional are transferred, no trade is made.

    The maker's order has rested for minutes or days; what is larger rests on, until it is cancelled or for good.
    """
    symbol = scene.market.symbols["ETHUSDT"]
    price = scene.market.price(symbol, scene.now_ms)
    quantity = dice.amount("0.01", "0.2", 3)
    worth = quantity * price
    buyer, seller = (account, sub) if dice.chance(50) else (sub, account)
    if scene.have(buyer, "SPOT", "USDT") < worth * 3 or scene.have(seller, "SPOT", "ETH") < quantity * 3:
        return
    number = scene.next_id("prevented ETHUSDT")
    resting, crossing = scene.next_id("resting order", 6_900_000_000), scene.next_id("orderId", 7_000_000_000)
    is_buyer_taker, larger = dice.chance(50), dice.pick(("neither", "maker", "taker"))
    placed_ms = scene.now_ms - dice.between(1, 30) * dice.pick((MINUTE_MS, 3 * HOUR_MS))
    whole = quantity if larger == "neither" else quantity * dice.between(2, 5)
    content = {
        "symbol": symbol.name, "preventedMatchId": number, "takerOrderId": crossing, "makerSymbol": symbol.name,
        "makerOrderId": resting, "tradeGroupId": TRADE_GROUP, "selfTradePreventionMode": "TRANSFER",
        "price": text8(price), "transactTime": scene.now_ms,
        **{f"{side}PreventedQuantity": text8(whole if side == larger else quantity) for side in ("taker", "maker")},
    }  # fmt: skip
    for who, sign in ((buyer, 1), (seller, -1)):
        scene.move(who, "SPOT", "ETH", sign * quantity, f"{PREVENTED} {number}")
        scene.move(who, "SPOT", "USDT", -sign * worth, f"{PREVENTED} {number}")
        scene.tell(who, f"{PREVENTED} {symbol.name}", content).order = number
        is_taker = is_buyer_taker is (sign > 0)
        is_larger = larger == ("taker" if is_taker else "maker")
        order = _order(symbol.name, crossing if is_taker else resting, sign, content) | {
            "origQty": text8(whole if is_larger else quantity), "status": "NEW",
        }  # fmt: skip
        if not is_taker:
            order |= dict.fromkeys(("time", "updateTime", "workingTime"), placed_ms)
        record = Record(order["time"], order["orderId"])
        record.change(order["time"] * 1000, order)
        scene.archive.add(who.email, f"{ORDERS} {symbol.name}", record)
        prevented = {"preventedMatchId": number, "preventedQuantity": text8(quantity), "updateTime": scene.now_ms}
        scene.change(record, **prevented, status="NEW" if is_larger else "EXPIRED_IN_MATCH")
        if is_larger and dice.chance(50):
            scene.at(scene.after(dice, MINUTE_MS, 40 * HOUR_MS), partial(scene.change, record, status="CANCELED"))


def _order(symbol: str, order_id: int, sign: int, content: Content) -> Content:
    price, at_ms = content["price"], content["transactTime"]
    return {
        "symbol": symbol, "orderId": order_id, "orderListId": -1, "clientOrderId": f"web_{order_id}", "price": price,
        "executedQty": text8(ZERO), "cummulativeQuoteQty": text8(ZERO),
        "timeInForce": "GTC", "type": "LIMIT", "side": "BUY" if sign > 0 else "SELL", "stopPrice": text8(ZERO),
        "icebergQty": text8(ZERO), "time": at_ms, "updateTime": at_ms, "isWorking": True,
        "origQuoteOrderQty": text8(ZERO), "workingTime": at_ms, "selfTradePreventionMode": "TRANSFER",
    }  # fmt: skip
