"""The spot endpoints whose lists are kept by symbol: trades, allocations, prevented matches, orders."""

from __future__ import annotations

from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.api.books import all_orders
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.api.listing import hours_apart
from recon_pipeline.sandbox.binance.book import Record
from recon_pipeline.sandbox.binance.life import orders

_EVER = 1 << 62


def check_symbol(call: Call) -> str:
    """The symbol that is asked for; it must be known now."""
    name = call.need("symbol")
    if call.world.market.exists(name, call.now_us) is None:
        raise refusals.bad_symbol()
    return name


def by_symbol(call: Call, name: str, *, from_id: str, limit_most: int = 1000) -> Answer:
    """A list by time or by id: from an id on, or from a time on (oldest first), or the latest (up to a time)."""
    limit = min(call.number("limit", 500) or 500, limit_most)
    start, end, first = call.moment_ms("startTime"), call.moment_ms("endTime"), call.number(from_id)
    order_id = call.number("orderId")
    if first is not None and not (start is None and end is None):
        raise refusals.bad_combination()
    if order_id is not None and not (start is None and end is None):
        raise refusals.bad_combination()
    if start is not None and end is not None and start > end:
        raise refusals.Refusal(-1128, "Combination of optional parameters invalid.")
    if hours_apart(start, end) > 24:
        raise refusals.more_than_hours(24)
    found = call.world.archive.between(call.account.email, name, start or 0, _EVER if end is None else end)
    rows = [told for record in found if _is_wanted(record, first) and (told := record.at(call.now_us)) is not None]
    if order_id is not None:
        rows = [row for row in rows if row["orderId"] == order_id]
    is_oldest_first = start is not None or first is not None or order_id is not None
    return rows[:limit] if is_oldest_first else rows[-limit:]


def _is_wanted(record: Record, first: int | None) -> bool:
    return first is None or record.order >= first


def my_trades(call: Call) -> Answer:
    """`/api/v3/myTrades`."""
    return by_symbol(call, f"{call.path} {check_symbol(call)}", from_id="fromId")


def my_allocations(call: Call) -> Answer:
    """`/api/v3/myAllocations`."""
    return by_symbol(call, f"{orders.ALLOCATIONS} {check_symbol(call)}", from_id="fromAllocationId")


def my_prevented_matches(call: Call) -> Answer:
    """`/api/v3/myPreventedMatches`: one by its id, or those of an order."""
    name = f"{orders.PREVENTED} {check_symbol(call)}"
    number, order_id, first = (call.number(p) for p in ("preventedMatchId", "orderId", "fromPreventedMatchId"))
    if (number is None) == (order_id is None):
        raise refusals.bad_combination()
    records = call.world.archive.all(call.account.email, name)
    rows = [row for record in records if (row := record.at(call.now_us)) is not None]
    if number is not None:
        return [row for row in rows if row["preventedMatchId"] == number]
    rows = [row for row in rows if order_id in (row["takerOrderId"], row["makerOrderId"])]
    return [row for row in rows if row["preventedMatchId"] >= (first or 0)][: call.number("limit", 500)]


def my_prevented_matches_weight(params: dict[str, str]) -> int:
    """2 for one of them, 20 for those of an order."""
    return 20 if params.get("orderId") else 2


def my_orders(call: Call) -> Answer:
    """`/api/v3/allOrders`."""
    symbol = check_symbol(call)
    return all_orders(call, f"{orders.ORDERS} {symbol}", f"/api/v3/myTrades {symbol}")


def open_orders(call: Call) -> Answer:
    """`/api/v3/openOrders`: what rests now, of a symbol or of all."""
    symbol = check_symbol(call) if call.text("symbol") else None
    told = [
        record.at(call.now_us)
        for email, name, records in call.world.archive.lists()
        if email == call.account.email and name.startswith(f"{orders.ORDERS} ")
        for record in records
    ]
    rows = [row for row in told if row is not None and row["status"] in ("NEW", "PARTIALLY_FILLED")]
    return [row for row in rows if symbol in (None, row["symbol"])]


def my_trades_weight(params: dict[str, str]) -> int:
    """5 with an order id, else 20."""
    return 5 if params.get("orderId") else 20
