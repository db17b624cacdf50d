"""Fills: the base asset, the quote asset, and the fee in the asset that was charged. One fill is up to three rows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import Book, Place, Reader, instant_told
from recon_pipeline.venues.binance.mapping.cells import Malformed
from recon_pipeline.venues.binance.mapping.model import Row
from recon_pipeline.venues.binance.streams.shapes import is_id
from recon_pipeline.venues.binance.streams.spot import LISTING, SOLD
from recon_pipeline.venues.streams import RawRecord


def _fill(book: Book, record: RawRecord, fill_id: str, wallet: str, side: str = "") -> None:
    """Signs by who bought; the quote amount is the venue's own, for price times quantity is rounded otherwise."""
    content = record.content
    symbol = cells.name_of(content, "symbol")
    pair = book.context.symbols.get(symbol)
    if pair is None:
        raise Malformed(f"the symbol {symbol} is not in any exchange info, so its assets are not known")
    is_buyer = cells.flag(content, "isBuyer")
    fee_kind = "maker_fee" if cells.flag(content, "isMaker") else "taker_fee"
    quantity, quote = cells.amount(content, "qty"), cells.amount(content, "quoteQty")
    fee, price = cells.optional(content, "commission"), cells.amount(content, "price")
    legs = (
        (":base", pair[0], quantity if is_buyer else cells.negative(quantity), "spot_buy" if is_buyer else "spot_sell"),
        (":quote", pair[1], cells.negative(quote) if is_buyer else quote, "spot_sell" if is_buyer else "spot_buy"),
        (":fee", content.get("commissionAsset"), cells.negative(fee), fee_kind),
    )
    shared: Row = {
        "account": record.account,
        "wallet": wallet,
        "source": record.stream,
        "datetime": cells.moment(content, "time"),
        "txn_type": "trade",
        "measure": "balance",
        "symbol": symbol,
        "price": price,
        "agg_id": fill_id,
        "raw_id": record.digest,
    }
    rows = book.mapped.trades
    for suffix, asset, amount, subtype in legs:
        if cells.is_zero(amount):
            continue
        if not isinstance(asset, str) or not asset:
            raise Malformed("commissionAsset is missing, text is expected")
        rows.append(
            {**shared, "external_id": fill_id + side + suffix, "txn_subtype": subtype, "asset": asset, "amount": amount}
        )


def _spot_trade(book: Book, record: RawRecord) -> None:
    """Of a trade with oneself both sides are told under one id, so that a sale has a name of its own."""
    content = record.content
    side = "" if cells.flag(content, "isBuyer") else SOLD
    _fill(book, record, _fill_id(record, cells.name_of(content, "id")), "SPOT", side)


def _allocation(book: Book, record: RawRecord) -> None:
    _fill(book, record, _fill_id(record, f"A{cells.name_of(record.content, 'allocationId')}"), "SPOT")


def _fill_id(record: RawRecord, number: str) -> str:
    """The number with its market; of one that left the list and came back with when it had left, for it may number
    its fills anew."""
    listing = record.call.get(LISTING)
    return f"{cells.name_of(record.content, 'symbol')}:{number}" + (f"@{listing}" if listing else "")


def _positions(book: Book, record: RawRecord) -> Sequence[Place]:
    content = record.content
    return _places(book, content.get("symbol", record.call.get("symbol")), content.get("commissionAsset"))


def _places(book: Book, symbol: object, fee_asset: object) -> Sequence[Place]:
    pair = book.context.symbols.get(str(symbol))
    if pair is None or not is_id(fee_asset):
        return [("trades", "SPOT", None)]
    return [("trades", "SPOT", asset) for asset in dict.fromkeys((*pair, str(fee_asset)))]


SPOT_TRADE = Reader(_spot_trade, _positions)
ALLOCATION = Reader(_allocation, _positions)


# --- algo orders: the orders that one was split into ------------------------------------------------------------------


def _algo_child(book: Book, record: RawRecord) -> None:
    """What a child order has filled, where nothing else tells of it. Its fee is signed: what was paid is below zero."""
    if book.context.assumes("algo_fills", "in_trades"):
        return
    content = record.content
    symbol, side = cells.name_of(content, "symbol"), content.get("side")
    pair = book.context.symbols.get(symbol)
    if pair is None:
        raise Malformed(f"the symbol {symbol} is not in any exchange info, so its assets are not known")
    if side not in ("BUY", "SELL"):
        raise Malformed(f"side is {side}, BUY or SELL is expected")
    quantity, quote = (cells.size(cells.amount(content, name)) for name in ("executedQty", "executedAmt"))
    fee, fee_asset = cells.optional(content, "feeAmt"), content.get("feeAsset")
    if not cells.is_zero(fee) and not is_id(fee_asset):
        raise Malformed("feeAsset is missing, text is expected")
    if cells.is_zero(quantity):
        return
    is_buyer, at = side == "BUY", cells.moment(content, "bookTime")
    order = f"{symbol}:algo{cells.name_of(content, 'algoId')}:{cells.name_of(content, 'subId')}"
    for leg, asset, amount, subtype in (
        ("base", pair[0], quantity if is_buyer else cells.negative(quantity), "spot_buy" if is_buyer else "spot_sell"),
        ("quote", pair[1], cells.negative(quote) if is_buyer else quote, "spot_sell" if is_buyer else "spot_buy"),
        ("fee", str(fee_asset), fee, "taker_fee"),
    ):
        book.leg(
            record,
            f"{order}:{leg}",
            wallet="SPOT",
            asset=asset,
            amount=amount,
            at=at,
            subtype=subtype,
            symbol=symbol,
            price=cells.amount(content, "avgPrice"),
            event=order,
        )


def _algo_positions(book: Book, record: RawRecord) -> Sequence[Place]:
    return _places(book, record.content.get("symbol"), record.content.get("feeAsset"))


ALGO_CHILD = Reader(_algo_child, _algo_positions)


# --- an STP transfer: a fill that was prevented, and moved between two accounts of one trade group --------------------


_PREVENTED = ("makerPreventedQuantity", "takerPreventedQuantity")
"""What was left of each order; a record may state one of them alone, or none."""


def prevented_matches(book: Book, records: Sequence[RawRecord], orders: Sequence[RawRecord]) -> None:
    """The record names both orders, not who bought: the side comes from the account's own order, or is not known."""
    sides = {
        (order.account, str(order.content.get("symbol")), str(order.content.get("orderId"))): order.content.get("side")
        for order in orders
    }
    for record in records:
        if record.content.get("selfTradePreventionMode") != "TRANSFER":
            continue
        symbol = str(record.content.get("symbol"))
        ids = [str(record.content.get(name)) for name in ("takerOrderId", "makerOrderId")]
        own = [sides[key] for name in ids if (key := (record.account, symbol, name)) in sides]
        _stp(book, record, symbol, [str(side) for side in own])


def _stp(book: Book, record: RawRecord, symbol: str, sides: Sequence[str]) -> None:
    pair = book.context.symbols.get(symbol)
    if len(sides) == 2:
        return  # Both orders are the account's own: nothing is transferred.
    stated = [name for name in _PREVENTED if record.content.get(name) not in (None, "")]
    is_side_stated = bool(sides) and sides[0] in {"BUY", "SELL"}
    if pair is None or not is_side_stated or not stated:
        what = "how much it was" if is_side_stated and not stated else "which side the account was on"
        book.tell("not_stated", record, f"an STP transfer; {what} is not stated", moved="transactTime")
        return
    try:
        # what both orders had left to fill is what met: of the larger one the rest is stated too, and rests on
        quantity = min((cells.amount(record.content, name) for name in stated), key=Decimal)
        price = cells.amount(record.content, "price")
        notional = cells.product(quantity, price)
        at, name = cells.moment(record.content, "transactTime"), cells.name_of(record.content, "preventedMatchId")
    except Malformed as malformed:
        places: list[Place] = [("transfers", "SPOT", asset) for asset in pair]
        book.quarantine(record, str(malformed), places, instant_told(record))
        return
    bought = sides[0] == "BUY"
    for leg, asset, amount in (
        ("base", pair[0], quantity if bought else cells.negative(quantity)),
        ("quote", pair[1], cells.negative(notional) if bought else notional),
    ):
        book.transfer(
            record,
            f"{symbol}:P{name}:{leg}",
            wallet="SPOT",
            asset=asset,
            amount=amount,
            at=at,
            subtype="stp_transfer_out" if amount[0] == "-" else "stp_transfer_in",
            txn_hash=f"{symbol}:P{name}",
        )
