"""The ledgers of margin, futures, options and portfolio margin, and the trades behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.api.listing import Listing, bare, hours_apart
from recon_pipeline.sandbox.binance.book import Content
from recon_pipeline.sandbox.binance.life import derivatives, details, ledgers, margin
from recon_pipeline.sandbox.binance.moments import DAY_MS

_EVER = 1 << 62
_RETENTION_MS = 90 * DAY_MS


def capital_flow(call: Call) -> Answer:
    """`margin/capital-flow`: ids above `fromId`, or the latest of a window; isolated wallets only by symbol."""
    start, end, above = call.moment_ms("startTime"), call.moment_ms("endTime"), call.number("fromId")
    if hours_apart(start, end) > 7 * 24:
        raise refusals.more_than_hours(7 * 24)
    limit = call.number("limit", 500) or 500
    if limit > 1000:
        raise refusals.too_large("limit", 1000)
    name = f"{ledgers.CAPITAL_FLOW} {call.text('symbol') or ''}".strip()
    first = max(start or 0, call.now_ms - _RETENTION_MS)
    records = call.world.archive.between(call.account.email, name, first, _EVER if end is None else end)
    rows = [row for r in records if (above is None or r.order > above) and (row := r.at(call.now_us)) is not None]
    for field in ("asset", "type"):
        rows = [row for row in rows if call.text(field, row[field]) == row[field]]
    return rows[-limit:] if above is None else rows[:limit]


def _isolated_list(path: str, call: Call, *more: str) -> str:
    return " ".join(part for part in (path, *more, call.text("isolatedSymbol") or "") if part)


_LOANS = Listing(margin.LOANS, default_days=7, filters={"asset": "asset", "txId": "txId"})
_INTEREST = Listing(margin.INTEREST, default_days=7, longest_days=30, retention_days=90, filters={"asset": "asset"})
TRANSFERS = Listing(
    ledgers.MARGIN_TRANSFERS, default_days=7, longest_days=30, filters={"asset": "asset", "type": "type"}
)
LIQUIDATIONS = Listing(margin.LIQUIDATIONS, filters={"isolatedSymbol": "symbol"})
_SMALL_SWAPS = Listing(margin.SMALL_SWAPS)
LIQUIDATION_LOANS = Listing(margin.LIQUIDATION_LOANS, default_days=7, retention_days=90, size_default=50)


def margin_loans(call: Call) -> Answer:
    """`margin/borrow-repay`: 7 days at a time, 30 with an asset."""
    kind = call.one_of("type", ("BORROW", "REPAY")) or call.need("type")
    listing = replace(_LOANS, longest_days=30 if call.text("asset") else 7)
    return listing.answer(call, call.account.email, _isolated_list(margin.LOANS, call, kind))


def margin_interest(call: Call) -> Answer:
    """`margin/interestHistory`."""
    return _INTEREST.answer(call, call.account.email, _isolated_list(margin.INTEREST, call))


def small_swaps(call: Call) -> Answer:
    """`margin/exchange-small-liability-history`: page and size are mandatory."""
    call.need("current")
    call.need("size")
    return _SMALL_SWAPS(call)


def margin_trades(call: Call) -> Answer:
    """`margin/myTrades` of a symbol, cross or isolated."""
    symbol = call.need("symbol")
    if call.world.market.exists(symbol, call.now_us) is None:
        raise refusals.bad_symbol()
    is_isolated = (call.text("isIsolated") or "FALSE").upper() == "TRUE"
    return by_id(call, f"{margin.TRADES} {symbol} {is_isolated}", longest_hours=24)


def by_id(call: Call, name: str, *, longest_hours: int | None = None, from_id: str = "fromId") -> Answer:
    """A list by id (from it on), or by time; the latest if neither is sent."""
    start, end, first = call.moment_ms("startTime"), call.moment_ms("endTime"), call.number(from_id)
    if first is not None and not (start is None and end is None) and from_id == "fromId":
        raise refusals.bad_combination()
    if longest_hours is not None and hours_apart(start, end) > longest_hours:
        raise refusals.more_than_hours(longest_hours)
    limit = min(call.number("limit", 100 if from_id == "recordId" else 500) or 500, 1000)
    records = call.world.archive.between(call.account.email, name, start or 0, _EVER if end is None else end)
    rows = [row for r in records if (first is None or r.order >= first) and (row := r.at(call.now_us)) is not None]
    return rows[:limit] if first is not None or (start is not None and from_id == "fromId") else rows[-limit:]


def _too_old(call: Call) -> None:
    start = call.moment_ms("startTime")
    if start is not None and start < call.now_ms - _RETENTION_MS:
        raise refusals.Refusal(-4166, "Search window is restricted to recent 90 days only.")


def _income(path: str, **how: Any) -> Listing:
    return Listing(path, default_days=7, page="page", size="limit", size_default=100, size_most=1000, envelope=bare,
                   is_newest_first=False, filters={"symbol": "symbol", "incomeType": "incomeType"}, **how)  # fmt: skip


_UM_INCOME = _income(ledgers.UM_INCOME)
CM_INCOME = _income(ledgers.CM_INCOME, longest_days=365)
PM_UM_INCOME = _income(ledgers.PM_UM_INCOME, retention_days=92)
PM_CM_INCOME = _income(ledgers.PM_CM_INCOME, longest_days=200)


def um_income(call: Call) -> Answer:
    """`fapi/v1/income`: the last 90 days."""
    _too_old(call)
    return _UM_INCOME(call)


def futures_trades(path: str) -> Callable[[Call], Answer]:
    """The fills of a futures symbol: detail, the cash is in the income."""

    def answer(call: Call) -> Answer:
        pair = call.text("pair")
        symbol = f"{pair}_PERP" if pair else call.need("symbol")
        return by_id(call, f"{path} {symbol}", longest_hours=7 * 24)

    return answer


def option_bill(call: Call) -> Answer:
    """`eapi/v1/bill` of a currency: from a record on, or the latest."""
    start = max(call.moment_ms("startTime") or 0, call.now_ms - _RETENTION_MS)
    params = {**call.params, "startTime": str(start)}
    name = f"{ledgers.OPTION_BILL} {call.need('currency')}"
    return by_id(replace(call, params=params), name, from_id="recordId")


def option_trades(call: Call) -> Answer:
    """`eapi/v1/userTrades` of a symbol."""
    return by_id(call, f"{derivatives.OPTION_TRADES} {call.need('symbol')}")


_POSITION_MARGIN = Listing(
    details.POSITION_MARGIN, page=None, size="limit", size_default=100, size_most=500, retention_days=30,
    envelope=bare, filters={"type": "type"},
)  # fmt: skip


def position_margin(call: Call) -> Answer:
    """`fapi/v1/positionMargin/history` of a symbol."""
    return _POSITION_MARGIN.answer(call, call.account.email, f"{details.POSITION_MARGIN} {call.need('symbol')}")


EXERCISES = Listing(derivatives.EXERCISES, page=None, size="limit", size_default=1000, size_most=1000, envelope=bare,
                    filters={"symbol": "symbol"})  # fmt: skip
_PM_LOANS = Listing("", default_days=7, longest_days=30, filters={"txId": "txId"})
PM_INTEREST = Listing(derivatives.PM_INTEREST, default_days=7, longest_days=30, filters={"asset": "asset"})
PM_NEGATIVE = Listing(derivatives.PM_NEGATIVE, default_days=7, longest_days=30, page=None, size="size", envelope=bare,
                      filters={"asset": "asset"})  # fmt: skip
PM_PRO_LOANS = Listing(derivatives.PM_PRO_LOANS, default_days=30, longest_days=360)
PM_EXCHANGES = Listing(derivatives.PM_EXCHANGES, needs_times=True, longest_days=92, size=None, page=None,
                       size_default=1_000_000, size_most=1_000_000)  # fmt: skip


def pm_loans(path: str) -> Callable[[Call], Answer]:
    """Loans or repayments of portfolio margin, of one asset."""
    return lambda call: _PM_LOANS.answer(call, call.account.email, f"{path} {call.need('asset')}")


def all_orders(call: Call, name: str, trades: str) -> Answer:
    """The orders of a symbol: those that were stopped from trading with their own group, and those that traded."""
    start, end = call.moment_ms("startTime"), call.moment_ms("endTime")
    if hours_apart(start, end) > 24:
        raise refusals.more_than_hours(24)
    first, limit = call.number("orderId"), min(call.number("limit", 500) or 500, 1000)
    last = _EVER if end is None else end
    told = [r.at(call.now_us) for r in call.world.archive.between(call.account.email, name, start or 0, last)]
    rows = [row for row in told if row is not None]
    fills = [r.at(call.now_us) for r in call.world.archive.between(call.account.email, trades, start or 0, last)]
    rows += _orders_of([fill for fill in fills if fill is not None])
    rows = sorted(
        (row for row in rows if first is None or row["orderId"] >= first), key=lambda row: int(row["orderId"])
    )
    return rows[:limit] if start is not None or first is not None else rows[-limit:]


def _orders_of(fills: list[Content]) -> list[Content]:
    """The orders that fills belong to."""
    orders: dict[int, Content] = {}
    for fill in fills:
        orders[fill["orderId"]] = {
            "symbol": fill["symbol"], "orderId": fill["orderId"], "orderListId": -1,
            "clientOrderId": f"web_{fill['orderId']}", "price": fill["price"], "origQty": fill["qty"],
            "executedQty": fill["qty"], "cummulativeQuoteQty": fill["quoteQty"], "status": "FILLED",
            "timeInForce": "GTC", "type": "LIMIT", "side": "BUY" if fill["isBuyer"] else "SELL",
            "stopPrice": "0.00000000", "icebergQty": "0.00000000", "time": fill["time"], "updateTime": fill["time"],
            "isWorking": True, "origQuoteOrderQty": "0.00000000", "workingTime": fill["time"],
            "selfTradePreventionMode": "EXPIRE_MAKER",
        }  # fmt: skip
    return list(orders.values())
