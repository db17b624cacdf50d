"""Assets, symbols and prices. The list of symbols is the same in every world; statuses and prices follow the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.moments import DAY_MS
from recon_pipeline.sandbox.binance.money import ZERO

DOLLARS = ("USDT", "USDC", "FDUSD", "BFUSD", "RWUSD")
MAJORS = {
    "BTC": "95000", "ETH": "3300", "BNB": "680", "SOL": "190", "XRP": "2.31", "ADA": "0.92", "DOGE": "0.32",
    "LINK": "21.5", "LTC": "104", "AVAX": "36.2", "DOT": "6.61", "TRX": "0.243", "ATOM": "6.2", "UNI": "13.1",
    "AAVE": "310", "LDO": "1.82", "ARB": "0.71", "OP": "1.75", "NEAR": "5.02", "FIL": "4.91", "APT": "8.7",
    "SUI": "4.12", "INJ": "20.3", "SEI": "0.41", "TIA": "4.72", "PEPE": "0.00001743", "SHIB": "0.00002112",
    "BAKE": "0.244", "CAKE": "2.51", "AXS": "6.1", "GALA": "0.0351", "SAND": "0.551", "CHZ": "0.0842",
    "BETH": "3290", "WBETH": "3480", "BNSOL": "201", "币安人生": "0.142",
}  # fmt: skip
FIAT = {"EUR": "1.04", "TRY": "0.0281", "BRL": "0.164"}
HIDDEN_GROUP = "TRD_GRP_017"
"""Symbols of this permission group show only when it is asked for."""
PERMISSIONS = ("SPOT", "MARGIN", "LEVERAGED")
_QUOTED = {"USDT": 1, "USDC": 3, "BTC": 3, "TRY": 3, "BNB": 4, "FDUSD": 4, "ETH": 6, "EUR": 9}
"""One in so many assets has a pair with this quote."""
_QUOTES = ("TRY", "EUR", "USDT", "FDUSD", "USDC", "BTC", "ETH", "BNB")
"""In order of rank: a quote is quoted only in those before it."""
_COINS = 1_040
_EIGHT = Decimal("1E-8")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A market. Its name is never to be split: only the table knows base and quote."""

    name: str
    base: str
    quote: str
    status: str
    group: str = "SPOT"


@lru_cache(maxsize=1)
def coins() -> tuple[str, ...]:
    """Every base asset: well-known ones, and a thousand of our own making."""
    made = []
    for number in range(_COINS):
        at, name = number * 9_973 % 10_000, ""
        for letters in ("BCDFGHJKMNPQRSTVWXZL", "AEIOU") * 2:
            at, place = divmod(at, len(letters))
            name += letters[place]
        made.append(name)
    return (*MAJORS, *(name for name in made if name not in MAJORS and name not in FIAT))


@lru_cache(maxsize=1)
def _pairs() -> tuple[tuple[str, str], ...]:
    pairs = [("USDC", "USDT"), ("FDUSD", "USDT"), ("EUR", "USDT"), ("USDT", "TRY"), ("USDT", "BRL")]
    for number, coin in enumerate(coins()):
        allowed = _QUOTES[: _QUOTES.index(coin)] if coin in _QUOTES else _QUOTES
        is_big = coin in ("BTC", "ETH", "BNB", "SOL")
        pairs += [(coin, quote) for quote in allowed if is_big or number % _QUOTED[quote] == 0]
    return tuple(pairs)


class Market:
    """The symbols of one world, and the price of every asset at every instant."""

    def __init__(self, dice: Dice, first_ms: int, symbols_max: int | None = None) -> None:
        self._dice = dice
        self._symbols_max = symbols_max
        self._first_day = first_ms // DAY_MS - 40
        self._walks: dict[str, list[Decimal]] = {}
        self.symbols = {symbol.name: symbol for symbol in self._list_symbols()}
        self.purged_us: dict[str, int] = {}
        """Symbols that vanish from exchangeInfo, and when."""

    def _list_symbols(self) -> list[Symbol]:
        dice = self._dice.fork("status")
        listed = []
        for number, (base, quote) in enumerate(_pairs()[: self._symbols_max]):
            draw = dice.between(0, 99)
            is_major = base in MAJORS or base in DOLLARS or base in FIAT
            status = "TRADING" if is_major or draw < 45 else "HALT" if draw == 99 else "BREAK"
            listed.append(Symbol(base + quote, base, quote, status))
            if number % 400 == 399 and not is_major:
                listed[-1] = replace(listed[-1], status="TRADING", group=HIDDEN_GROUP)
        return listed

    def exists(self, name: str, now_us: int) -> Symbol | None:
        """The symbol, unless it is not (or no longer) known."""
        symbol = self.symbols.get(name)
        return None if symbol is None or self.purged_us.get(name, now_us + 1) <= now_us else symbol

    def usd(self, asset: str, at_ms: int) -> Decimal:
        """The asset's price in dollars, moving in a straight line from one midnight to the next."""
        day, within = divmod(at_ms, DAY_MS)
        opened, closed = self._midnight(asset, day), self._midnight(asset, day + 1)
        if opened == closed:
            return opened
        return opened + (closed - opened) * (within // 1000) / 86_400

    def _midnight(self, asset: str, day: int) -> Decimal:
        walk = self._walks.get(asset)
        if walk is None:
            walk = self._walks[asset] = [self._first_price(asset)]
        place = max(day - self._first_day, 0)
        if place >= len(walk):
            self._walk_on(asset, walk, place)
        return walk[place]

    def _walk_on(self, asset: str, walk: list[Decimal], place: int) -> None:
        dice = self._dice.fork("walk", asset)
        low, high = (-2, 2) if asset in DOLLARS or asset in FIAT else (-300, 310)
        if asset == "USDT":
            low = high = 0
        del walk[1:]
        for _ in range(max(place, 100)):
            walk.append((walk[-1] * (10_000 + dice.between(low, high)) / 10_000).normalize())
            walk[-1] = walk[-1].quantize(_EIGHT * _EIGHT)

    def _first_price(self, asset: str) -> Decimal:
        if asset in DOLLARS:
            return Decimal(1)
        if asset in MAJORS or asset in FIAT:
            return Decimal({**MAJORS, **FIAT}[asset])
        dice = self._dice.fork("price", asset)
        return Decimal(dice.between(10, 9_999)).scaleb(-dice.between(2, 6))

    def price(self, symbol: Symbol, at_ms: int) -> Decimal:
        """The symbol's price; one that does not trade keeps the price of the day it stopped."""
        if symbol.status != "TRADING":
            at_ms = self._first_day * DAY_MS
        ratio = self.usd(symbol.base, at_ms) / self.usd(symbol.quote, at_ms)
        unit = Decimal(1).scaleb(-price_decimals(ratio))
        return max(ratio.quantize(unit, rounding=ROUND_HALF_EVEN), unit)

    def kline(self, symbol: Symbol, day: int, now_ms: int) -> list[int | str]:
        """One day's candle, as it stands now."""
        start, end = day * DAY_MS, (day + 1) * DAY_MS - 1
        opened, closed = self.price(symbol, start), self.price(symbol, min(end, now_ms))
        is_alive = symbol.status == "TRADING"
        trades = 100 + (day * 7919 + len(symbol.base) * 104_729) % 9_000 if is_alive else 0
        volume = Decimal(trades * 3) / max(opened, _EIGHT) if trades else ZERO
        row: list[int | str] = [start, *(f"{p:.8f}" for p in (opened, max(opened, closed), min(opened, closed)))]
        row += [f"{closed:.8f}", f"{volume:.8f}", end, f"{volume * closed:.8f}", trades]
        return [*row, f"{volume / 2:.8f}", f"{volume * closed / 2:.8f}", "0"]


def price_decimals(price: Decimal) -> int:
    """How many decimals a price of this size has; the quantity has those that are left of eight."""
    for least, decimals in ((1000, 2), (10, 3), (1, 4), (Decimal("0.01"), 5), (Decimal("0.0001"), 7)):
        if price >= least:
            return decimals
    return 8
