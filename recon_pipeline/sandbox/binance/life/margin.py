"""Margin, cross and isolated: trades, loans and their interest, liquidations. Its ledger tells of all that is cash."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.ledgers import ISOLATED, capital_flow, next_tran
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.life.spot import trade_number
from recon_pipeline.sandbox.binance.life.transfers import ISOLATED_SYMBOLS
from recon_pipeline.sandbox.binance.moments import HOUR_MS, day_ms
from recon_pipeline.sandbox.binance.money import ZERO, floor8, plain, text8

LOANS, INTEREST = "/sapi/v1/margin/borrow-repay", "/sapi/v1/margin/interestHistory"
TRADES, LIQUIDATIONS = "/sapi/v1/margin/myTrades", "/sapi/v1/margin/forceLiquidationRec"
SMALL_SWAPS = "/sapi/v1/margin/exchange-small-liability-history"
LIQUIDATION_LOANS = "/sapi/v1/margin/liquidation-loan/repay-history"
_HOURS = (8, 14, 20)
_RATE = Decimal("0.00013233")


def plan(scene: Scene) -> None:
    """Cross margin for whoever opened margin, two isolated pairs for whoever opened those."""
    for account in scene.opened("margin"):
        _plan_wallet(scene, account, "MARGIN")
        for path, deed in (
            (LIQUIDATIONS, liquidate),
            (SMALL_SWAPS, swap_small),
            (LIQUIDATION_LOANS, repay_liquidation),
        ):
            scene.often(path, account, 3, partial(deed, scene), cut="either")
    for account in scene.opened("isolated"):
        for symbol in ISOLATED_SYMBOLS:
            _plan_wallet(scene, account, ISOLATED + symbol)
    busy = scene.opened("margin")[:1]
    for account in busy:
        scene.burst("margin trades", account, 340, partial(trade, scene, "MARGIN", is_small=True))
        one = partial(trade, scene, "MARGIN", is_small=True, is_one=True)
        scene.burst("margin trades of one", account, 1_010, one, percent=30)
        scene.burst(LOANS, account, 110, partial(borrow, scene, "MARGIN", is_small=True))
        for path, deed in (
            (LIQUIDATIONS, liquidate),
            (SMALL_SWAPS, swap_small),
            (LIQUIDATION_LOANS, repay_liquidation),
        ):
            scene.burst(path, account, 110, partial(deed, scene))


def _plan_wallet(scene: Scene, account: Account, wallet: str) -> None:
    cut = "either" if wallet == "MARGIN" else "before"
    scene.often(f"{wallet} trades", account, 14, partial(trade, scene, wallet), cut=cut)
    scene.often(f"{wallet} borrow", account, 5, partial(borrow, scene, wallet), cut=cut)
    scene.often(f"{wallet} repay", account, 5, partial(repay, scene, wallet), cut=cut)
    for day in scene.days:
        for hour in _HOURS:
            scene.at(day_ms(day) + hour * HOUR_MS, partial(accrue, scene, wallet, account))


def _symbol(wallet: str, dice: Dice) -> str:
    return wallet.removeprefix(ISOLATED) if wallet != "MARGIN" else dice.pick(("BTCUSDT", "ETHUSDT", "BNBUSDT"))


def _isolated(wallet: str) -> str:
    return wallet.removeprefix(ISOLATED) if wallet != "MARGIN" else ""


def _list(path: str, wallet: str, *more: str) -> str:
    """The name of a list that isolated wallets keep apart."""
    return " ".join(part for part in (path, *more, _isolated(wallet)) if part)


def trade(
    scene: Scene, wallet: str, account: Account, dice: Dice, *, is_small: bool = False, is_one: bool = False
) -> None:
    """A fill on margin: its three legs stand in the ledger, the fill itself among the trades."""
    name = "BTCUSDT" if is_one else _symbol(wallet, dice)
    symbol, is_buyer = scene.market.symbols[name], dice.chance(50)
    price = scene.market.price(symbol, scene.now_ms)
    worth = dice.part(scene.have(account, wallet, "USDT"), 1, 3 if is_small else 60)
    quantity = (worth / price).quantize(Decimal("0.00001"), rounding="ROUND_DOWN")
    if not is_buyer:
        quantity = min(quantity, (scene.have(account, wallet, symbol.base) / 3).quantize(Decimal("0.00001")))
    worth = quantity * price
    if quantity <= 0:
        return
    asset, fee = (symbol.base, floor8(quantity / 1000)) if is_buyer else ("USDT", floor8(worth / 1000))
    tran_id = next_tran(scene)
    kind = "BUY" if is_buyer else "SELL"
    base, quote = (quantity, -worth) if is_buyer else (-quantity, worth)
    for money, what in (((symbol.base, base), kind), (("USDT", quote), kind), ((asset, -fee), "")):
        word = f"{what}_{'INCOME' if money[1] > 0 else 'EXPENSE'}" if what else "TRADING_COMMISSION"
        if money[1]:
            capital_flow(scene, account, wallet, money, word, tran_id=tran_id, symbol=name)
    number = trade_number(scene, name, dice)
    content = {
        "commission": text8(fee), "commissionAsset": asset, "id": number, "isBestMatch": True,
        "isBuyer": is_buyer, "isMaker": False, "orderId": scene.next_id("orderId", 7_000_000_000),
        "price": text8(price), "qty": text8(quantity), "symbol": name, "isIsolated": wallet != "MARGIN",
        "time": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, f"{TRADES} {name} {wallet != 'MARGIN'}", content).order = number


def _owed(scene: Scene, account: Account, wallet: str, asset: str, measure: str) -> Decimal:
    return scene.ledger.now(account.email, wallet, asset, measure)


def borrow(scene: Scene, wallet: str, account: Account, dice: Dice, *, is_small: bool = False) -> None:
    """A loan: cash now, and the first interest at once."""
    asset = "USDT" if wallet != "MARGIN" else dice.pick(("USDT", "BTC"))
    amount = dice.part(scene.have(account, wallet, asset), 1, 2 if is_small else 60)
    if not amount:
        return
    tran_id = next_tran(scene)
    capital_flow(scene, account, wallet, (asset, amount), "BORROW", tran_id=tran_id)
    scene.move(account, wallet, asset, amount, f"{LOANS} {tran_id}", measure="loan")
    _tell_loan(scene, account, wallet, kind="BORROW", asset=asset, parts=(amount, ZERO), tran_id=tran_id)
    _interest(scene, wallet, account, (asset, amount), "ON_BORROW")


def _tell_loan(
    scene: Scene, account: Account, wallet: str, *, kind: str, asset: str, parts: tuple[Decimal, Decimal], tran_id: int
) -> None:
    content = {
        "type": "MANUAL", "isolatedSymbol": _isolated(wallet), "amount": text8(parts[0] + parts[1]), "asset": asset,
        "interest": text8(parts[1]), "principal": text8(parts[0]), "status": "CONFIRMED", "timestamp": scene.now_ms,
        "txId": tran_id,
    }  # fmt: skip
    told = {name: value for name, value in content.items() if value != ""}
    scene.tell(account, _list(LOANS, wallet, kind), told)


def repay(scene: Scene, wallet: str, account: Account, dice: Dice) -> None:
    """Interest first, then principal."""
    owing = [asset for asset in ("USDT", "BTC") if _owed(scene, account, wallet, asset, "loan")]
    for asset in owing[:1]:
        interest = _owed(scene, account, wallet, asset, "interest")
        principal = dice.part(_owed(scene, account, wallet, asset, "loan"), 100, 1000)
        pay_back(scene, wallet, account, asset, principal=principal, interest=interest)


def pay_back(scene: Scene, wallet: str, account: Account, asset: str, *, principal: Decimal, interest: Decimal) -> None:
    """A repayment of known parts, if there is enough to pay it with."""
    if not principal or principal + interest > scene.have(account, wallet, asset) * Decimal("0.8"):
        return
    tran_id = next_tran(scene)
    capital_flow(scene, account, wallet, (asset, -principal - interest), "REPAY", tran_id=tran_id)
    scene.move(account, wallet, asset, -principal, f"{LOANS} {tran_id}", measure="loan")
    scene.move(account, wallet, asset, -interest, f"{LOANS} {tran_id}", measure="interest")
    _tell_loan(scene, account, wallet, kind="REPAY", asset=asset, parts=(principal, interest), tran_id=tran_id)


def accrue(scene: Scene, wallet: str, account: Account) -> None:
    """Interest on whatever is owed."""
    for asset in ("USDT", "BTC"):
        principal = _owed(scene, account, wallet, asset, "loan")
        if principal:
            _interest(scene, wallet, account, (asset, principal), "PERIODIC")


def _interest(scene: Scene, wallet: str, account: Account, owed: tuple[str, Decimal], kind: str) -> None:
    """It is added to what is owed; or, on cross margin of who pays fees in BNB, paid in BNB at once, of which (in a
    world of that kind) the ledger tells as of a repayment."""
    asset, principal = owed
    amount = floor8(principal * _RATE)
    if not amount:
        return
    bnb = floor8(amount * scene.market.usd(asset, scene.now_ms) / scene.market.usd("BNB", scene.now_ms))
    is_paid = wallet == "MARGIN" and account.pays_in_bnb and asset == "USDT" and bnb > 0
    is_paid = is_paid and scene.have(account, wallet, "BNB") > bnb * 10
    number = 1_352_286_576_452_864_727 + scene.next_id("interest")
    if is_paid and scene.doubts["converted_interest"] == "capital_flow":
        capital_flow(scene, account, wallet, ("BNB", -bnb), "REPAY")
    elif is_paid:
        scene.move(account, wallet, "BNB", -bnb, f"{INTEREST} {number}")
    else:
        scene.move(account, wallet, asset, amount, f"{INTEREST} {number}", measure="interest")
    content = {
        "txId": number, "interestAccuredTime": scene.now_ms, "asset": "BNB" if is_paid else asset, "rawAsset": asset,
        "principal": plain(principal), "interest": plain(bnb if is_paid else amount), "interestRate": plain(_RATE),
        "type": f"{kind}_CONVERTED" if is_paid else kind, "isolatedSymbol": _isolated(wallet),
    }  # fmt: skip
    scene.tell(account, _list(INTEREST, wallet), {name: value for name, value in content.items() if value != ""})


def liquidate(scene: Scene, account: Account, dice: Dice) -> None:
    """The venue sells: the ledger tells of the cash, the record of the order."""
    symbol = scene.market.symbols["ETHUSDT"]
    price = scene.market.price(symbol, scene.now_ms)
    quantity = (scene.have(account, "MARGIN", "ETH") * dice.between(1, 20) / 1000).quantize(Decimal("0.0001"))
    if quantity <= 0:
        return
    worth, tran_id = quantity * price, next_tran(scene)
    fee = floor8(worth / 50)
    for money, kind in ((("ETH", -quantity), "SELL_LIQUIDATION"), (("USDT", worth), "SELL_LIQUIDATION"),
                        (("USDT", -fee), "LIQUIDATION_FEE")):  # fmt: skip
        capital_flow(scene, account, "MARGIN", money, kind, tran_id=tran_id, symbol=symbol.name)
    content = {
        "avgPrice": text8(price), "executedQty": text8(quantity), "orderId": scene.next_id("orderId", 7_000_000_000),
        "price": text8(price), "qty": text8(quantity), "side": "SELL", "symbol": symbol.name, "timeInForce": "GTC",
        "isIsolated": False, "updatedTime": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, LIQUIDATIONS, content)


def swap_small(scene: Scene, account: Account, dice: Dice) -> None:
    """A small debt in BTC swapped away: BTC is bought with dollars, and repaid."""
    amount, price = dice.amount("0.00000100", "0.00001"), scene.market.usd("BTC", scene.now_ms)
    if _owed(scene, account, "MARGIN", "BTC", "loan") < amount:
        return
    spent = floor8(amount * price) + Decimal("1E-8")
    tran_id = next_tran(scene)
    capital_flow(scene, account, "MARGIN", ("USDT", -spent), "SMALL_BALANCE_CONVERT", tran_id=tran_id)
    capital_flow(scene, account, "MARGIN", ("BTC", amount), "SMALL_BALANCE_CONVERT", tran_id=tran_id)
    pay_back(scene, "MARGIN", account, "BTC", principal=amount, interest=ZERO)
    content = {
        "asset": "BTC", "amount": plain(amount), "targetAsset": "USDT", "targetAmount": plain(spent),
        "bizType": "EXCHANGE_SMALL_LIABILITY", "timestamp": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, SMALL_SWAPS, content)


def repay_liquidation(scene: Scene, account: Account, dice: Dice) -> None:
    """What a liquidation left owing, paid in dollars."""
    amount = dice.part(scene.have(account, "MARGIN", "USDT"), 1, 5)
    if not amount:
        return
    capital_flow(scene, account, "MARGIN", ("USDT", -amount), "REPAY_LIQUIDATION")
    content = {
        "repayId": scene.next_id("liquidation-loan", 12_345_678), "asset": "USDT", "amount": text8(amount),
        "status": "SUCCESS", "createTime": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, LIQUIDATION_LOANS, content)
