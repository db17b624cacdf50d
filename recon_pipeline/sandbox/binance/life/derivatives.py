"""Futures of both kinds, options, and portfolio margin: everything that is cash stands in a ledger."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.ledgers import (
    CM_INCOME,
    INCOME_WALLETS,
    PM_CM_INCOME,
    PM_UM_INCOME,
    UM_INCOME,
    income,
    next_tran,
    option_bill,
)
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.moments import HOUR_MS, day_ms
from recon_pipeline.sandbox.binance.money import floor8, plain, text8

OPTION_TRADES, EXERCISES = "/eapi/v1/userTrades", "/eapi/v1/exerciseRecord"
PM_LOANS, PM_REPAYS = "/papi/v1/margin/marginLoan", "/papi/v1/margin/repayLoan"
PM_INTEREST, PM_NEGATIVE = "/papi/v1/margin/marginInterestHistory", "/papi/v1/portfolio/interest-history"
PM_PRO_LOANS = "/sapi/v1/portfolio/pmloan-history"
PM_EXCHANGES = "/papi/v1/portfolio/negative-balance-exchange-record"
_UM_KINDS = (
    "WELCOME_BONUS", "INSURANCE_CLEAR", "REFERRAL_KICKBACK", "COMMISSION_REBATE", "API_REBATE", "CONTEST_REWARD",
    "AUTO_EXCHANGE", "DELIVERED_SETTELMENT", "POSITION_LIMIT_INCREASE_FEE", "FEE_RETURN", "BFUSD_REWARD",
)  # fmt: skip
_CM_KINDS = ("WELCOME_BONUS", "INSURANCE_CLEAR", "DELIVERED_SETTELMENT")


def open_wallet(scene: Scene) -> None:
    """A futures position that every futures account has held since before the world began."""
    for account in scene.opened("futures"):
        dice = scene.dice.fork("position", account.email)
        entry = scene.market.price(scene.market.symbols["BTCUSDT"], day_ms(scene.days[0]))
        scene.move(account, "FUTURES", "BTCUSDT", dice.amount("0.05", "0.4", 3), "opening", measure="position")
        scene.move(account, "FUTURES", "BTCUSDT", entry, "opening", measure="entry")


def plan(scene: Scene) -> None:
    """Everything of this kind, for whoever opened it."""
    for product, path, often in (("futures", UM_INCOME, 26), ("futures_coin", CM_INCOME, 16),
                                 ("portfolio_margin", PM_UM_INCOME, 14),
                                 ("portfolio_margin", PM_CM_INCOME, 10)):  # fmt: skip
        for account in scene.opened(product):
            cut = "either" if path == UM_INCOME else "before"
            scene.often(f"{path} trades", account, often, partial(close, scene, path), cut=cut)
            scene.often(f"{path} other", account, 5, partial(other, scene, path), cut=cut)
            _plan_funding(scene, account, path)
        for account in scene.opened(product)[:1]:
            scene.burst(path, account, 520, partial(close, scene, path))
            scene.burst(f"{path} of one", account, 1_010, partial(close, scene, path, is_one=True), percent=30)
    for account in scene.opened("option"):
        scene.often("options", account, 12, partial(option, scene))
        scene.often("exercise", account, 3, partial(exercise, scene))
    for account in scene.opened("option")[:1]:
        scene.burst("options", account, 510, partial(option, scene))
        scene.burst("one option", account, 1_010, partial(option, scene, is_one=True), percent=30)
        scene.burst("exercises", account, 1_010, partial(exercise, scene), percent=30)
    for account in scene.opened("portfolio_margin"):
        _plan_portfolio(scene, account)


def _plan_portfolio(scene: Scene, account: Account) -> None:
    for name, deed in (("loan", pm_borrow), ("repay", pm_repay), ("negative", pm_negative), ("exchange", pm_exchange),
                       ("bankruptcy", pm_bankruptcy)):  # fmt: skip
        scene.often(f"pm {name}", account, 8, partial(deed, scene))
        scene.burst(f"pm {name}", account, 130, partial(deed, scene))
    for day in scene.days:
        for hour in (9, 15, 21):
            scene.at(day_ms(day) + hour * HOUR_MS, partial(pm_accrue, scene, account))


def _plan_funding(scene: Scene, account: Account, path: str) -> None:
    """Funding at 08:00 and 16:00, and at midnight where the venue tells the past."""
    dice = scene.dice.fork("funding", path, account.email)
    for day in scene.days:
        for hour in (0, 8, 16) if path == UM_INCOME else (8, 16):
            at_ms = day_ms(day) + hour * HOUR_MS + dice.between(0, 400)
            scene.at(at_ms, partial(fund, scene, path, account, dice.fork(day, hour)))


def _coin(path: str, dice: Dice) -> tuple[str, str]:
    """A symbol, and the asset that it is margined in."""
    if path in (UM_INCOME, PM_UM_INCOME):
        return dice.pick(("BTCUSDT", "ETHUSDT")), "USDT"
    return "BTCUSD_PERP", "BTC"


def _held(scene: Scene, account: Account, path: str, asset: str) -> Decimal:
    return scene.have(account, INCOME_WALLETS[path], asset)


def fund(scene: Scene, path: str, account: Account, dice: Dice) -> None:
    """The funding fee of a position."""
    symbol, asset = _coin(path, dice)
    amount = dice.part(_held(scene, account, path, asset), 0, 1) / 10
    if amount:
        sign = dice.pick((1, -1))
        income(scene, account, path, (asset, floor8(sign * amount)), "FUNDING_FEE", symbol=symbol)


def close(scene: Scene, path: str, account: Account, dice: Dice, *, is_one: bool = False) -> None:
    """A position opened and closed: its profit or loss and its commission, under one tranId."""
    symbol, asset = _coin(path, dice.fork("one") if is_one else dice)
    symbol = "BTCUSDT" if is_one and asset == "USDT" else symbol
    held = _held(scene, account, path, asset)
    profit = dice.part(held, 0, 4) * dice.pick((1, 1, -1))
    fee = dice.part(held, 0, 1) / 5
    fee_asset, fee = asset, floor8(fee)
    if path == UM_INCOME and account.pays_in_bnb and dice.chance(70):
        fee_asset, fee = "BNB", dice.part(scene.have(account, "FUTURES", "BNB"), 0, 1)
    tran_id, trade_id = next_tran(scene), scene.next_id(f"futures {symbol}", 67_000_000)
    for money, kind in (((asset, profit), "REALIZED_PNL"), ((fee_asset, -fee), "COMMISSION")):
        if money[1]:
            income(scene, account, path, money, kind, symbol=symbol, tran_id=tran_id, trade_id=str(trade_id))
    content = {
        "buyer": False, "commission": text8(fee), "commissionAsset": fee_asset, "id": trade_id, "maker": False,
        "orderId": scene.next_id("orderId", 7_000_000_000), "price": "7819.01", "qty": "0.002", "quoteQty": "15.63802",
        "baseQty": "0.002", "marginAsset": asset, "realizedPnl": text8(profit), "side": "SELL",
        "positionSide": "BOTH", "symbol": symbol, "pair": symbol.removesuffix("_PERP"), "time": scene.now_ms,
    }  # fmt: skip
    name = path.replace("income", "userTrades")
    scene.tell(account, f"{name} {symbol}", content).order = trade_id


def other(scene: Scene, path: str, account: Account, dice: Dice) -> None:
    """The rarer kinds of income."""
    _, asset = _coin(path, dice)
    kind = dice.pick(_UM_KINDS if path in (UM_INCOME, PM_UM_INCOME) else _CM_KINDS)
    amount = dice.part(_held(scene, account, path, asset), 0, 1) / 20
    sign = -1 if kind in ("INSURANCE_CLEAR", "POSITION_LIMIT_INCREASE_FEE") else 1
    if floor8(amount):
        income(scene, account, path, (asset, sign * floor8(amount)), kind)


def option(scene: Scene, account: Account, dice: Dice, *, is_one: bool = False) -> None:
    """An option traded: its premium and its fee. Among the trades a fee that was paid is negative."""
    premium = dice.part(scene.have(account, "OPTION", "USDT"), 0, 4) * dice.pick((1, -1))
    fee = floor8(abs(premium) / 300)
    symbol = "BTC-260925-90000-C" if is_one else dice.pick(("BTC-260925-90000-C", "ETH-260925-4000-P"))
    for amount, kind in ((premium, "CONTRACT"), (-fee, "FEE")):
        if amount:
            option_bill(scene, account, ("USDT", amount), kind)
    number = 4_611_875_134_427_365_377 + scene.next_id("option trade")
    content = {
        "id": number, "tradeId": scene.next_id("option trade id", 239), "orderId": number, "symbol": symbol,
        "price": plain(abs(premium)), "quantity": "1", "fee": plain(-fee), "realizedProfit": "0.00000000",
        "side": "SELL" if premium > 0 else "BUY", "type": "LIMIT", "liquidity": "TAKER", "time": scene.now_ms,
        "priceScale": 2, "quantityScale": 2, "optionSide": symbol[-1].replace("C", "CALL").replace("P", "PUT"),
        "quoteAsset": "USDT",
    }  # fmt: skip
    scene.tell(account, f"{OPTION_TRADES} {symbol}", content).order = number


def exercise(scene: Scene, account: Account, dice: Dice) -> None:
    """An option exercised at its expiry."""
    amount = dice.part(scene.have(account, "OPTION", "USDT"), 0, 6)
    if not amount:
        return
    option_bill(scene, account, ("USDT", amount), "DELIVERED")
    content = {
        "id": str(1_125_899_906_842_624_042 + scene.next_id("exercise")), "currency": "USDT",
        "symbol": "BTC-260101-60000-C", "exercisePrice": "25000.00000000", "quantity": "1.00000000",
        "amount": text8(amount), "fee": "0.00000000", "createDate": scene.now_ms, "priceScale": 2,
        "quantityScale": 2, "optionSide": "CALL", "positionSide": "LONG", "quoteAsset": "USDT",
    }  # fmt: skip
    scene.tell(account, EXERCISES, content)


def pm_borrow(scene: Scene, account: Account, dice: Dice) -> None:
    """A loan within portfolio margin."""
    amount = dice.part(scene.have(account, "PORTFOLIO_MARGIN", "USDT"), 1, 4)
    tran_id = next_tran(scene)
    for measure in ("balance", "loan"):
        scene.move(account, "PORTFOLIO_MARGIN", "USDT", amount, f"{PM_LOANS} {tran_id}", measure=measure)
    content = {
        "txId": tran_id, "asset": "USDT", "principal": text8(amount), "timestamp": scene.now_ms, "status": "CONFIRMED",
    }  # fmt: skip
    scene.tell(account, f"{PM_LOANS} USDT", content)


def pm_repay(scene: Scene, account: Account, dice: Dice) -> None:
    """Its repayment, interest included."""
    principal = dice.part(scene.ledger.now(account.email, "PORTFOLIO_MARGIN", "USDT", "loan"), 5, 40)
    interest = scene.ledger.now(account.email, "PORTFOLIO_MARGIN", "USDT", "interest")
    if not principal or principal + interest > scene.have(account, "PORTFOLIO_MARGIN", "USDT") / 2:
        return
    tran_id = next_tran(scene)
    for measure, amount in (("balance", principal + interest), ("loan", principal), ("interest", interest)):
        scene.move(account, "PORTFOLIO_MARGIN", "USDT", -amount, f"{PM_REPAYS} {tran_id}", measure=measure)
    content = {
        "amount": text8(principal + interest), "asset": "USDT", "interest": text8(interest),
        "principal": text8(principal), "status": "CONFIRMED", "timestamp": scene.now_ms, "txId": tran_id,
    }  # fmt: skip
    scene.tell(account, f"{PM_REPAYS} USDT", content)


def pm_accrue(scene: Scene, account: Account) -> None:
    """Interest on what is owed."""
    principal = scene.ledger.now(account.email, "PORTFOLIO_MARGIN", "USDT", "loan")
    amount = floor8(principal * Decimal("0.00005"))
    if amount:
        _pm_interest(scene, account, principal, amount, "PERIODIC")


def _pm_interest(scene: Scene, account: Account, principal: Decimal, amount: Decimal, kind: str) -> None:
    number = 1_352_286_576_452_864_727 + scene.next_id("interest")
    scene.move(account, "PORTFOLIO_MARGIN", "USDT", amount, f"{PM_INTEREST} {number}", measure="interest")
    content = {
        "txId": number, "interestAccuredTime": scene.now_ms, "asset": "USDT", "rawAsset": "USDT",
        "principal": plain(principal), "interest": plain(amount), "interestRate": "0.00005", "type": kind,
    }  # fmt: skip
    scene.tell(account, PM_INTEREST, content)


def pm_negative(scene: Scene, account: Account, dice: Dice) -> None:
    """Interest on a negative futures balance: owed, not paid. It stands in a list of its own and among all interest."""
    amount = dice.amount("0.0001", "0.02", 4)
    _pm_interest(scene, account, Decimal(210), amount, "PORTFOLIO")
    content = {
        "asset": "USDT", "interest": plain(amount), "interestAccuredTime": scene.now_ms, "interestRate": "0.0001164",
        "principal": "210",
    }  # fmt: skip
    scene.tell(account, PM_NEGATIVE, content)


def pm_exchange(scene: Scene, account: Account, dice: Dice) -> None:
    """A record of an automatic exchange that found nothing to exchange."""
    content = {
        "startTime": scene.now_ms, "endTime": scene.now_ms + 200,
        "details": [{"asset": "ETH", "negativeBalance": 0, "negativeMaxThreshold": 5}],
    }  # fmt: skip
    scene.tell(account, PM_EXCHANGES, content)


def pm_bankruptcy(scene: Scene, account: Account, dice: Dice) -> None:
    """What was repaid of a bankruptcy loan of portfolio margin pro: told, and no wallet of a world moves by it."""
    content = {"asset": "USDT", "amount": text8(dice.amount("1", "400", 8)), "repayTime": scene.now_ms}
    scene.tell(account, PM_PRO_LOANS, content)
