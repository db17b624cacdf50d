"""Streams of margin: one ledger for each wallet that tells of every change, and what explains it."""

from __future__ import annotations

from collections.abc import Sequence

from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.streams.shapes import (
    at,
    bare,
    by,
    content_key,
    details_of,
    for_each,
    halves,
    is_transfer_under_way,
    once,
    pages,
    span,
    stream,
    under,
    while_in,
)
from recon_pipeline.venues.binance.streams.spot import TRADE
from recon_pipeline.venues.streams import AccountFacts, Call, Content, Stream

ISOLATED = "isolated_symbols"
"""The extra of AccountFacts that names the symbols of isolated margin."""
_FLOW = "id tranId timestamp asset symbol type amount note"


def _each_side(facts: AccountFacts, *calls: Call) -> Sequence[Call]:
    """The calls for cross margin, and again for each symbol of isolated margin."""
    if "margin" not in facts.products:
        return ()
    isolated = [{**call, "isolatedSymbol": s} for s in facts.extras.get(ISOLATED, ()) for call in calls]
    return (*calls, *isolated)


def _by_side(call: Call, content: Content) -> str:
    """A transfer, its direction and the wallet that was asked: both sides of a move inside margin have one txId."""
    return f"{content.get('type')}:{by('txId')({}, content)}{_asked(call)}"


def _asked(call: Call) -> str:
    """The symbol that was asked, for cross margin and a symbol of isolated margin may tell of the same."""
    symbol = call.get("isolatedSymbol")
    return f":{symbol}" if symbol else ""


def _trade_calls(facts: AccountFacts) -> Sequence[Call]:
    cross = details_of("margin", isIsolated="FALSE")(facts)
    return [*cross, *({"symbol": call["symbol"], "isIsolated": "TRUE"} for call in _isolated(facts))]


_isolated = for_each(ISOLATED, "symbol", "margin")

MARGIN: tuple[Stream, ...] = (
    stream(
        "margin_capital_flow",
        e.MARGIN_CAPITAL_FLOW,
        "flow",
        "MARGIN",
        _FLOW,
        rows=bare,
        key=by("id"),
        instant=at("timestamp"),
        product="margin",
        window=span(7, reach=90),
        paging=halves(1_000),
        horizon=3,
    ),
    stream(
        "isolated_capital_flow",
        e.MARGIN_CAPITAL_FLOW,
        "flow",
        "ISOLATED_MARGIN",
        _FLOW,
        rows=bare,
        key=lambda call, content: f"{call.get('symbol')}:{by('id')(call, content)}",
        instant=at("timestamp"),
        product="margin",
        calls=_isolated,
        window=span(7, reach=90),
        paging=halves(1_000),
        horizon=3,
    ),
    stream(
        "margin_borrow_repay",
        e.MARGIN_BORROW_REPAY,
        "flow",
        "MARGIN ISOLATED_MARGIN",
        "type isolatedSymbol amount asset interest principal status timestamp txId",
        rows=under("rows"),
        key=lambda call, content: f"{call.get('type')}:{by('txId')({}, content)}{_asked(call)}",
        instant=at("timestamp"),
        product="margin",
        calls=lambda facts: _each_side(facts, {"type": "BORROW"}, {"type": "REPAY"}),
        window=span(7),
        paging=pages(100),
        pending=while_in("status", "PENDING"),
    ),
    stream(
        "margin_interest",
        e.MARGIN_INTEREST,
        "flow",
        "MARGIN ISOLATED_MARGIN",
        "txId interestAccuredTime asset rawAsset principal interest interestRate type isolatedSymbol",
        rows=under("rows"),
        key=lambda call, content: by("txId", "interestAccuredTime")({}, content) + _asked(call),
        instant=at("interestAccuredTime"),
        product="margin",
        calls=lambda facts: _each_side(facts, {}),
        window=span(30, reach=90),
        paging=pages(100),
    ),
    stream(
        "margin_transfers",
        e.MARGIN_TRANSFERS,
        "flow",
        "SPOT FUNDING",
        "amount asset status timestamp txId type transFrom transTo fromSymbol toSymbol",
        rows=under("rows"),
        key=_by_side,
        instant=at("timestamp"),
        product="margin",
        calls=lambda facts: _each_side(facts, {}),
        window=span(30),
        paging=pages(100),
        pending=is_transfer_under_way,
    ),
    stream(
        "margin_dust",
        e.DUST,
        "detail",
        "",
        "operateTime totalTransferedAmount totalServiceChargeAmount transId userAssetDribbletDetails",
        rows=under("userAssetDribblets"),
        key=by("transId"),
        instant=at("operateTime"),
        product="margin",
        calls=once("margin", {"accountType": "MARGIN"}),
        last=100,
    ),
    stream(
        "margin_trades",
        e.MARGIN_TRADES,
        "detail",
        "",
        TRADE,
        rows=bare,
        key=by("symbol", "id", or_blank="isIsolated"),
        instant=at("time"),
        product="margin",
        calls=_trade_calls,
        window=span(1),
        paging=halves(1_000),
        horizon=7,
    ),
    stream(
        "margin_liquidations",
        e.MARGIN_LIQUIDATIONS,
        "detail",
        "",
        "avgPrice executedQty orderId price qty side symbol timeInForce isIsolated updatedTime",
        rows=under("rows"),
        key=lambda call, content: by("symbol", "orderId")({}, content) + _asked(call),
        instant=at("updatedTime"),
        product="margin",
        calls=lambda facts: _each_side(facts, {}),
        window=span(30),
        paging=pages(100),
    ),
    stream(
        "margin_small_liabilities",
        e.MARGIN_SMALL_LIABILITIES,
        "detail",
        "",
        "asset amount targetAsset targetAmount bizType timestamp",
        rows=under("rows"),
        key=content_key,
        instant=at("timestamp"),
        product="margin",
        window=span(30),
        paging=pages(100),
    ),
    stream(
        "margin_liquidation_loans",
        e.MARGIN_LIQUIDATION_LOANS,
        "detail",
        "",
        "repayId asset amount status createTime",
        rows=under("rows"),
        key=by("repayId"),
        instant=at("createTime"),
        product="margin",
        window=span(30, reach=90),
        paging=pages(50),
        pending=while_in("status", "PENDING"),
    ),
)
