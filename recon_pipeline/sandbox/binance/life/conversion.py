"""One asset for another outside the order book: converts, dust, plans that buy by themselves, tokenized shares."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.book import Content
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.ledgers import capital_flow, next_tran
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.money import ZERO, floor8, plain

CONVERTS = "/sapi/v1/convert/tradeFlow"
STABLE_CONVERTS = "/sapi/v1/asset/convert-transfer/queryByPage"
DUST = "/sapi/v1/asset/dribblet"
AUTO_INVEST = "/sapi/v1/lending/auto-invest/history/list"
EQUITY_TRADES, EQUITY_ORDERS = "/sapi/v1/equity/trade/history", "/sapi/v1/equity/order/history"
TOKENIZED = "/sapi/v1/equity/tokenized/history"
_DUST = ("XRP", "LDO", "LINK", "BAKE", "SOL", "EUR")
_SHARES = {"AAPL": "230", "NVDA": "140", "TSLA": "410"}


def plan(scene: Scene) -> None:
    """Everything of this kind, for every account."""
    for account in scene.accounts.values():
        scene.often("convert", account, 7, partial(convert, scene), cut="either")
        scene.often("stable convert", account, 2, partial(stable_convert, scene), cut="either")
        scene.often("dust", account, 4, partial(dust, scene, "SPOT"), cut="either")
        scene.often("auto invest", account, 3, partial(auto_invest, scene), cut="either")
        scene.often("equity", account, 2, partial(buy_share, scene), cut="either")
        scene.often("tokenize", account, 2, partial(tokenize, scene), cut="either")
    for account in scene.opened("margin"):
        scene.often("margin dust", account, 3, partial(dust, scene, "MARGIN"), cut="either")
    busy = scene.dice.fork("busy-convert").pick(list(scene.accounts.values()))
    scene.burst(CONVERTS, busy, 1_010, partial(convert, scene, is_small=True))
    for path, deed in ((STABLE_CONVERTS, stable_convert), (AUTO_INVEST, auto_invest), (EQUITY_TRADES, buy_share),
                       (TOKENIZED, tokenize)):  # fmt: skip
        scene.burst(path, busy, 110, partial(deed, scene))


def convert(scene: Scene, account: Account, dice: Dice, *, is_small: bool = False) -> None:
    """A convert; its spread is in the rate. The row does not say which wallet it moves: it is spot."""
    source, target = dice.some(("USDT", "USDC", "BTC", "BNB", "ETH"), 2)
    amount = dice.part(scene.have(account, "SPOT", source), 1, 2 if is_small else 30)
    rate = scene.market.usd(source, scene.now_ms) / scene.market.usd(target, scene.now_ms) * Decimal("0.9985")
    got = floor8(amount * rate)
    if not got:
        return
    status = "FAIL" if dice.chance(6) else "SUCCESS"
    order_id = 940_708_407_462_087_195 + scene.next_id("convert") * 1009
    if status == "SUCCESS":
        scene.move(account, "SPOT", source, -amount, f"{CONVERTS} {order_id}")
        scene.move(account, "SPOT", target, got, f"{CONVERTS} {order_id}")
    content = {
        "quoteId": dice.hex(32), "orderId": order_id, "orderStatus": status, "fromAsset": source,
        "fromAmount": plain(amount), "toAsset": target, "toAmount": plain(got), "ratio": plain(floor8(rate)),
        "inverseRatio": plain(floor8(1 / rate)), "createTime": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, CONVERTS, content)


def stable_convert(scene: Scene, account: Account, dice: Dice) -> None:
    """One stablecoin turned into another, one for one."""
    source, target = dice.some(("USDC", "FDUSD"), 2)
    amount = dice.part(scene.have(account, "SPOT", source), 1, 8)
    if not amount:
        return
    tran_id = next_tran(scene)
    scene.move(account, "SPOT", source, -amount, f"{STABLE_CONVERTS} {tran_id}")
    scene.move(account, "SPOT", target, amount, f"{STABLE_CONVERTS} {tran_id}")
    content = {
        "tranId": tran_id, "type": 244, "time": scene.now_ms, "deductedAsset": source, "deductedAmount": plain(amount),
        "targetAsset": target, "targetAmount": plain(amount), "status": "S", "accountType": "MAIN",
    }  # fmt: skip
    scene.tell(account, STABLE_CONVERTS, content)


def dust(scene: Scene, wallet: str, account: Account, dice: Dice) -> None:
    """Small amounts of one to three assets into BNB, or out of SPOT into USDT, at a charge of two per cent."""
    target = dice.fork("target").pick(("BNB", "BNB", "USDT")) if wallet == "SPOT" else "BNB"
    assets = dice.some(_DUST if wallet == "SPOT" else ("ETH", "BTC"), dice.between(1, 3))
    trans_id = scene.next_id("dust", 45_178_372_831)
    details = [_dust_detail(scene, wallet, account, (asset, target), trans_id) for asset in assets]
    told = [detail for detail in details if detail is not None]
    if not told:
        return
    content = {
        "operateTime": scene.now_ms, "transId": trans_id, "userAssetDribbletDetails": told,
        "totalTransferedAmount": plain(sum((Decimal(d["transferedAmount"]) for d in told), ZERO)),
        "totalServiceChargeAmount": plain(sum((Decimal(d["serviceChargeAmount"]) for d in told), ZERO)),
    }  # fmt: skip
    scene.tell(account, f"{DUST} {wallet}", content)


def _dust_detail(scene: Scene, wallet: str, account: Account, assets: tuple[str, str], trans_id: int) -> Content | None:
    asset, target = assets
    worth = Decimal("0.9") / scene.market.usd(asset, scene.now_ms)
    amount = min(floor8(worth), floor8(scene.have(account, wallet, asset) / 5))
    gross = floor8(amount * scene.market.usd(asset, scene.now_ms) / scene.market.usd(target, scene.now_ms))
    if not gross:
        return None
    charge = floor8(gross * Decimal("0.02"))
    got = gross - charge if scene.doubts["dust_amount"] == "gross" else gross
    for money in ((asset, -amount), (target, got)):
        if wallet == "MARGIN":
            capital_flow(scene, account, wallet, money, "SMALL_CONVERT", tran_id=trans_id)
        else:
            scene.move(account, wallet, *money, f"{DUST} {trans_id}")
    return {
        "transId": trans_id, "serviceChargeAmount": plain(charge), "amount": plain(amount),
        "operateTime": scene.now_ms, "transferedAmount": plain(gross), "fromAsset": asset, "targetAsset": target,
    }  # fmt: skip


def auto_invest(scene: Scene, account: Account, dice: Dice) -> None:
    """A plan that buys by itself; its fee is charged on top, in what it pays with."""
    target, spent = dice.pick(("BTC", "ETH", "BNB")), dice.amount("10", "40", 2)
    fee = floor8(spent / 500)
    got = floor8(spent / scene.market.usd(target, scene.now_ms))
    number = scene.next_id("auto-invest", 1_002)
    for asset, amount in (("USDT", -spent - fee), (target, got)):
        scene.move(account, "SPOT", asset, amount, f"{AUTO_INVEST} {number}")
    content = {
        "id": number, "targetAsset": target, "planType": "SINGLE", "planId": 77, "planName": f"{target} plan",
        "transactionDateTime": scene.now_ms, "transactionStatus": "SUCCESS", "sourceAsset": "USDT",
        "sourceAssetAmount": plain(spent), "targetAssetAmount": plain(got), "sourceWallet": "SPOT_WALLET",
        "flexibleUsed": False, "transactionFee": plain(fee), "transactionFeeUnit": "USDT",
        "executionType": "RECURRING", "subscriptionCycle": "DAILY",
    }  # fmt: skip
    scene.tell(account, AUTO_INVEST, content)


def buy_share(scene: Scene, account: Account, dice: Dice) -> None:
    """A share bought or sold for USDC; the share itself is not kept in the spot wallet. The order states the fee."""
    share, is_buy = dice.pick(tuple(_SHARES)), dice.chance(60)
    price, quantity = Decimal(_SHARES[share]), dice.amount("0.01", "0.4", 2)
    total, fee = price * quantity, Decimal("0.10")
    order_id = "-".join((dice.hex(8), dice.hex(4), dice.hex(4), dice.hex(4), dice.hex(12)))
    scene.move(account, "SPOT", "USDC", (-total if is_buy else total) - fee, f"{EQUITY_TRADES} {order_id}")
    shared = {"orderId": order_id, "symbol": share, "quote": "USDC", "side": "BUY" if is_buy else "SELL",
              "orderType": "LIMIT", "updatedAt": scene.now_ms}  # fmt: skip
    execution = {
        "executionId": f"exec-{scene.next_id('equity')}", **shared, "price": plain(price), "qty": plain(quantity),
        "total": plain(total), "executionAt": scene.now_ms,
    }  # fmt: skip
    order = {
        **shared, "clientOrderId": f"web_{dice.hex(32)}", "limitPrice": plain(price), "avgFilledPrice": plain(price),
        "qty": plain(quantity), "notional": plain(total), "filledQty": plain(quantity), "filledTotal": plain(total),
        "fee": plain(fee), "session": "RTH", "status": "FILLED", "createdAt": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, EQUITY_TRADES, execution)
    scene.tell(account, EQUITY_ORDERS, order)


def tokenize(scene: Scene, account: Account, dice: Dice) -> None:
    """A share made into its token, or back: the token is a spot asset, the share is not."""
    share, quantity = dice.pick(tuple(_SHARES)), dice.amount("0.01", "0.3", 2)
    token = f"{share}B"
    is_mint = scene.have(account, "SPOT", token) < quantity or dice.chance(60)
    number = f"{'mint' if is_mint else 'redeem'}-{dice.hex(16)}"
    scene.move(account, "SPOT", token, quantity if is_mint else -quantity, f"{TOKENIZED} {number}")
    content = {
        "underlyingAsset": share, "underlyingAssetAmount": plain(quantity), "tokenizedAsset": token,
        "tokenizedAssetAmount": plain(quantity), "issuerRequestId": number,
        "convertType": "MINT" if is_mint else "REDEEM", "status": "S", "createdAt": scene.now_ms,
        "updatedAt": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, TOKENIZED, content)
