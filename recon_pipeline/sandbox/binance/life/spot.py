"""The spot wallet's trades: favourites every day, newcomers once, round trips that leave nothing behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.book import Content
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.details import algo_order
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.market import HIDDEN_GROUP, MAJORS, Symbol, price_decimals
from recon_pipeline.sandbox.binance.moments import DAY_MS, HOUR_MS, MINUTE_MS, day_ms
from recon_pipeline.sandbox.binance.money import ZERO, floor8, text8

PATH = "/api/v3/myTrades"
HOLDINGS = {
    "USDT": "240000", "USDC": "60000", "FDUSD": "40000", "BTC": "3.4", "ETH": "42", "BNB": "95", "SOL": "310",
    "EUR": "25000", "TRY": "300000", "XRP": "4000", "LDO": "900", "LINK": "500", "BAKE": "12000", "BETH": "4",
    "WBETH": "3", "BNSOL": "20", "BFUSD": "3000", "RWUSD": "3000",
}  # fmt: skip
_FAVOURITES = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ETHBTC", "BTCUSDC", "XRPUSDT", "LINKUSDT", "BTCFDUSD")
_ONCE, _TWICE, _WEEK_DAYS = 16, 22, 7
_ALGO_PERCENT = 15


def open_wallet(scene: Scene) -> None:
    """What every account holds when the world begins; nothing tells how it came there."""
    for account in scene.accounts.values():
        dice = scene.dice.fork("holdings", account.email)
        for asset, about in HOLDINGS.items():
            amount = floor8(Decimal(about) * dice.between(600, 1400) / 1000)
            scene.move(account, "SPOT", asset, amount, "opening")


def plan(scene: Scene) -> None:
    """Every account's trades: at least 40 symbols a month, a third of them once."""
    for account in scene.accounts.values():
        dice = scene.dice.fork("spot", account.email)
        favourites = dice.some(_FAVOURITES, 6)
        _plan_favourites(scene, account, dice, [scene.market.symbols[name] for name in favourites])
        _plan_newcomers(scene, account, dice)
    busy = scene.dice.fork("busy").pick(list(scene.accounts.values()))
    symbol = scene.market.symbols["DOGEUSDT"]
    scene.burst(PATH, busy, 1_040, lambda account, dice: order(scene, account, symbol, dice, fills=1, share=1))


def _plan_favourites(scene: Scene, account: Account, dice: Dice, symbols: list[Symbol]) -> None:
    for day in scene.days:
        for number in range(dice.between(3, 7)):
            symbol = dice.pick(symbols)
            deed = dice.fork(day, number)
            scene.at(scene.daytime(dice, day), partial(order, scene, account, symbol, deed))
    scene.often("spot-cut", account, 4, lambda a, d: order(scene, a, d.pick(symbols), d), cut="either")
    scene.often("self-trade", account, 2, lambda a, d: self_trade(scene, a, d.pick(symbols), d))


def _plan_newcomers(scene: Scene, account: Account, dice: Dice) -> None:
    alive = [s for s in scene.market.symbols.values() if s.status == "TRADING" and s.group == "SPOT"]
    fresh = [s for s in alive if s.quote in ("USDT", "USDC", "FDUSD", "BTC") and s.base not in MAJORS]
    fresh = dice.some([s for s in fresh if s.name not in _FAVOURITES], 40 + _ONCE * len(scene.days) // 20)
    months = max(1, round(len(scene.days) / 30))
    for _ in range(months * _ONCE):
        _at_times(scene, account, dice, fresh.pop(), (scene.daytime(dice),))
    for _ in range(months * _TWICE):
        times = sorted(scene.daytime(dice) for _ in range(dice.between(2, 4)))
        _at_times(scene, account, dice, fresh.pop() if fresh else dice.pick(alive), times)
    for week in range(len(scene.days) // _WEEK_DAYS):
        day = scene.days[week * _WEEK_DAYS + dice.between(0, _WEEK_DAYS - 1)]
        _plan_day_trade(scene, account, dice.fork("day", week), dice.pick(alive), day_ms(day))
        day = scene.days[week * _WEEK_DAYS + dice.between(0, _WEEK_DAYS - 1)]
        at_ms = scene.daytime(dice, day) - HOUR_MS // 4
        deed = dice.fork("trip", week)
        scene.at(at_ms, partial(round_trip, scene, account, dice.pick(alive), deed))
    hidden = [s for s in scene.market.symbols.values() if s.group == HIDDEN_GROUP]
    if hidden and not account.is_main:
        _at_times(scene, account, dice, dice.pick(hidden), (scene.daytime(dice),))


def _at_times(scene: Scene, account: Account, dice: Dice, symbol: Symbol, times: Sequence[int]) -> None:
    fills = 1 if len(times) == 1 else None
    for number, at_ms in enumerate(times):
        deed = dice.fork(symbol.name, number)
        scene.at(at_ms, partial(order, scene, account, symbol, deed, fills=fills))


def _plan_day_trade(scene: Scene, account: Account, dice: Dice, symbol: Symbol, first_ms: int) -> None:
    """Bought and sold within the day, in another quantity: a difference stays."""
    for hours, side in ((dice.between(7, 11), True), (dice.between(13, 22), False)):
        at_ms = first_ms + hours * HOUR_MS + dice.between(0, 59 * MINUTE_MS)
        deed = dice.fork(symbol.name, hours)
        scene.at(at_ms, partial(order, scene, account, symbol, deed, is_buyer=side))


def round_trip(scene: Scene, account: Account, symbol: Symbol, dice: Dice) -> None:
    """Bought and sold again at the same price, free of charge: nothing is left to see in the balances."""
    price = scene.market.price(symbol, scene.now_ms)
    quantity = quantity_of(price, scene.have(account, "SPOT", symbol.quote) / 100)
    if quantity:
        one = partial(fill, scene, account, symbol, dice, quantity=quantity, price=price, is_free=True)
        one(is_buyer=True)
        scene.at(scene.now_ms + dice.between(1, 10 * MINUTE_MS), partial(one, is_buyer=False))


def self_trade(scene: Scene, account: Account, symbol: Symbol, dice: Dice) -> None:
    """Two orders of the account met each other: one trade, told as bought and as sold, and charged for twice."""
    price = scene.market.price(symbol, scene.now_ms)
    worth = min(scene.have(account, "SPOT", symbol.quote), scene.have(account, "SPOT", symbol.base) * price) / 50
    number = trade_number(scene, symbol.name, dice)
    for is_buyer in (True, False):
        quantity = quantity_of(price, worth)
        fill(scene, account, symbol, dice, is_buyer=is_buyer, quantity=quantity, price=price, number=number)


def order(
    scene: Scene,
    account: Account,
    symbol: Symbol,
    dice: Dice,
    *,
    is_buyer: bool | None = None,
    fills: int | None = None,
    share: int = 0,
) -> None:
    """An order at the market: one to five fills, all in the same millisecond. Nothing if there is nothing to spend."""
    price = scene.market.price(symbol, scene.now_ms)
    price = max(price + price_step(price) * dice.between(-20, 20), price_step(price))
    base, quote = scene.have(account, "SPOT", symbol.base), scene.have(account, "SPOT", symbol.quote)
    wants = dice.chance(50) if is_buyer is None else is_buyer
    wants = True if base * price < quote / 500 else wants
    worth = (quote if wants else base * price) * (share or dice.between(10, 90)) / 2000
    is_algo = dice.fork("algo").chance(_ALGO_PERCENT)
    one = partial(
        fill, scene, account, symbol, dice, is_buyer=wants, price=price,
        order_id=scene.next_id("orderId", 7_000_000_000),
        is_told=not is_algo or scene.doubts["algo_fills"] == "in_trades",
    )  # fmt: skip
    numbers = range(fills or dice.pick((1, 1, 1, 2, 2, 3, 5)))
    made = [one(quantity=quantity_of(price, worth / (number + 1))) for number in numbers]
    told = [content for content in made if content is not None]
    if is_algo and told:
        algo_order(scene, account, told)


def price_step(price: Decimal) -> Decimal:
    """The smallest difference between two prices of this size."""
    return Decimal(1).scaleb(-price_decimals(price))


def quantity_of(price: Decimal, worth: Decimal) -> Decimal:
    """How much that buys, with as many decimals as leave eight to its worth."""
    unit = Decimal(1).scaleb(-8 - int(price.as_tuple().exponent))
    return max((worth / price).quantize(unit, rounding="ROUND_DOWN"), ZERO)


def fill(
    scene: Scene,
    account: Account,
    symbol: Symbol,
    dice: Dice,
    *,
    is_buyer: bool,
    quantity: Decimal,
    price: Decimal,
    order_id: int | None = None,
    number: int | None = None,
    is_free: bool = False,
    is_told: bool = True,
) -> Content | None:
    """One fill: the two legs, and the commission in BNB or in what was received. None if it would be of nothing."""
    worth = quantity * price
    if not quantity or not worth:
        return None
    got = (symbol.base, quantity) if is_buyer else (symbol.quote, worth)
    asset, commission = got[0], ZERO if is_free else floor8(got[1] / 1000)
    if account.pays_in_bnb and not is_free and not dice.chance(15):
        asset, commission = _in_bnb(scene, account, symbol, worth) or (asset, commission)
    ref = f"{PATH} {symbol.name}"
    scene.move(account, "SPOT", symbol.base, quantity if is_buyer else -quantity, ref)
    scene.move(account, "SPOT", symbol.quote, -worth if is_buyer else worth, ref)
    scene.move(account, "SPOT", asset, -commission, ref)
    trade_id = trade_number(scene, symbol.name, dice) if number is None else number
    content = {
        "symbol": symbol.name, "id": trade_id, "orderId": order_id or scene.next_id("orderId", 7_000_000_000),
        "orderListId": -1, "price": text8(price), "qty": text8(quantity), "quoteQty": text8(worth),
        "commission": text8(commission), "commissionAsset": asset, "time": scene.now_ms,
        "isBuyer": is_buyer, "isMaker": dice.chance(35), "isBestMatch": True,
    }  # fmt: skip
    if is_told:
        scene.tell(account, ref, content).order = trade_id
    return content


def trade_number(scene: Scene, symbol: str, dice: Dice) -> int:
    """A trade id: unique within its symbol only, rising, with gaps for the trades of others."""
    for _ in range(dice.between(0, 30)):
        scene.next_id(f"trade {symbol}")
    return scene.next_id(f"trade {symbol}", 10_000)


def _in_bnb(scene: Scene, account: Account, symbol: Symbol, worth: Decimal) -> tuple[str, Decimal] | None:
    """The commission in BNB, at a quarter less; None if there is not enough of it."""
    usd = worth * scene.market.usd(symbol.quote, scene.now_ms)
    fee = floor8(usd * Decimal("0.00075") / scene.market.usd("BNB", scene.now_ms))
    return ("BNB", fee) if fee < scene.have(account, "SPOT", "BNB") / 50 else None


def opening_ms(scene: Scene) -> int:
    """The instant at which the accounts' holdings begin: well before the first day."""
    return day_ms(scene.days[0] - timedelta(days=35)) + DAY_MS // 2
