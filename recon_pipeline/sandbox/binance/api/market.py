"""What is public: time, symbols, prices."""

from __future__ import annotations

import json
from functools import lru_cache

from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.book import Content
from recon_pipeline.sandbox.binance.market import HIDDEN_GROUP, PERMISSIONS, Symbol
from recon_pipeline.sandbox.binance.moments import DAY_MS

STATUSES = ("TRADING", "HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY")
GROUPS = (*PERMISSIONS, *(f"TRD_GRP_{number:03d}" for number in range(2, 26)))
_ORDERS = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"]
_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000},
]


def server_time(call: Call) -> Answer:
    """`/api/v3/time`."""
    return {"serverTime": call.now_ms}


def exchange_info(call: Call) -> Answer:
    """`/api/v3/exchangeInfo`: the symbols that are known now, those of other permission groups only if asked for."""
    names = _asked_symbols(call)
    groups = tuple(_listed(call, "permissions")) or PERMISSIONS
    if names and (call.text("permissions") or call.text("symbolStatus")):
        raise refusals.bad_combination()
    if not set(groups) <= set(GROUPS):
        raise refusals.Refusal(-1130, "Data sent for parameter 'permissions' is not valid.")
    status = call.one_of("symbolStatus", STATUSES)
    with_sets = call.one_of("showPermissionSets", ("true", "false"), "true") == "true"
    if names:
        symbols = [_known(call, name) for name in names]
    else:
        gone = {name for name, purged_us in call.world.market.purged_us.items() if purged_us <= call.now_us}
        every = [symbol for symbol in call.world.market.symbols.values() if symbol.name not in gone]
        shown = "SPOT" in groups, HIDDEN_GROUP in groups
        every = [symbol for symbol in every if shown[symbol.group == HIDDEN_GROUP]]
        symbols = [symbol for symbol in every if status in (None, symbol.status)]
    listed = ",".join(_described(symbol, with_sets) for symbol in symbols)
    head = {"timezone": "UTC", "serverTime": call.now_ms, "rateLimits": _LIMITS, "exchangeFilters": []}
    sors = json.dumps([{"baseAsset": "BTC", "symbols": ["BTCUSDT", "BTCUSDC"]}])
    return f'{json.dumps(head)[:-1]}, "symbols": [{listed}], "sors": {sors}}}'.encode()


def _asked_symbols(call: Call) -> list[str]:
    if call.text("symbol") and call.text("symbols"):
        raise refusals.bad_combination()
    return [call.need("symbol")] if call.text("symbol") else _listed(call, "symbols")


def _listed(call: Call, name: str) -> list[str]:
    value = call.text(name)
    if value is None:
        return []
    if not value.startswith("["):
        return [value]
    try:
        parsed = json.loads(value)
    except ValueError:
        raise refusals.malformed(name, "a JSON array of strings") from None
    return [str(item) for item in parsed]


def _known(call: Call, name: str) -> Symbol:
    symbol = call.world.market.exists(name, call.now_us)
    if symbol is None:
        raise refusals.bad_symbol()
    return symbol


@lru_cache(maxsize=10_000)
def _described(symbol: Symbol, with_sets: bool) -> str:
    groups = [symbol.group] if symbol.group == HIDDEN_GROUP else ["SPOT", "MARGIN"]
    content: Content = {
        "symbol": symbol.name, "status": symbol.status, "baseAsset": symbol.base, "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote, "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8, "orderTypes": _ORDERS, "icebergAllowed": True, "ocoAllowed": True,
        "otoAllowed": True, "opoAllowed": True, "quoteOrderQtyMarketAllowed": True, "allowTrailingStop": True,
        "cancelReplaceAllowed": True, "amendAllowed": True, "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": symbol.status == "TRADING", "isMarginTradingAllowed": symbol.group == "SPOT",
        "filters": [], "permissions": [], "permissionSets": [groups] if with_sets else [],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"],
    }  # fmt: skip
    return json.dumps(content, ensure_ascii=False)


def ticker_price(call: Call) -> Answer:
    """`/api/v3/ticker/price`: the latest prices, stale ones of symbols that do not trade among them."""
    names = _asked_symbols(call)
    if names:
        rows = [_ticker(call, _known(call, name)) for name in names]
        return rows[0] if call.text("symbol") else rows
    return [
        _ticker(call, s) for s in call.world.market.symbols.values() if call.world.market.exists(s.name, call.now_us)
    ]


def _ticker(call: Call, symbol: Symbol) -> Content:
    return {"symbol": symbol.name, "price": f"{call.world.market.price(symbol, call.now_ms):.8f}"}


def klines(call: Call) -> Answer:
    """`/api/v3/klines`: candles of a day; the sandbox keeps no others."""
    symbol = _known(call, call.need("symbol"))
    if call.need("interval") != "1d":
        raise refusals.Refusal(-1120, "Invalid interval.")
    limit = min(call.number("limit", 500) or 500, 1000)
    start, end = call.moment_ms("startTime"), call.moment_ms("endTime")
    last = min(call.now_ms, call.now_ms if end is None else end) // DAY_MS
    first = last - limit + 1 if start is None else -(-start // DAY_MS)
    days = range(max(first, last - 1_000), last + 1)
    days = days[-limit:] if start is None else days[:limit]
    return [call.world.market.kline(symbol, day, call.now_ms) for day in days]
