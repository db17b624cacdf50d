"""Margin: the balance from the wallet's own ledger alone; loans and interest owed from their own histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from recon_pipeline.frames.registry import UNKNOWN
from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import Book, Place, Reader, is_one_of, is_under_way
from recon_pipeline.venues.streams import RawRecord


@dataclass(frozen=True)
class _Entry:
    """One type of the ledger. `sign` holds where the type alone decides it; else the amount's own does."""

    frame: Literal["transfers", "trades"]
    subtype: str | tuple[str, str]
    """One name, or one for what comes in and one for what goes out."""
    sign: Literal["+", "-", "stated"] = "stated"
    is_fee: bool = False


_OWN = ("internal_in", "internal_out")
_FILL = ("margin_buy", "margin_sell")
_DUST = ("dust_buy", "dust_sell")
CAPITAL_FLOW: Mapping[str, _Entry] = {
    "TRANSFER": _Entry("transfers", _OWN),
    "BORROW": _Entry("transfers", "loan_in", "+"),
    "REPAY": _Entry("transfers", "loan_repayment", "-"),
    "BUY_INCOME": _Entry("trades", _FILL, "+"),
    "BUY_EXPENSE": _Entry("trades", _FILL, "-"),
    "SELL_INCOME": _Entry("trades", _FILL, "+"),
    "SELL_EXPENSE": _Entry("trades", _FILL, "-"),
    "TRADING_COMMISSION": _Entry("trades", "trade_fee", "-"),
    "BUY_LIQUIDATION": _Entry("transfers", "liquidation"),
    "SELL_LIQUIDATION": _Entry("transfers", "liquidation"),
    "REPAY_LIQUIDATION": _Entry("transfers", "liquidation", "-"),
    "OTHER_LIQUIDATION": _Entry("transfers", "liquidation"),
    "LIQUIDATION_FEE": _Entry("transfers", "liquidation_fee", "-", is_fee=True),
    "SMALL_BALANCE_CONVERT": _Entry("trades", _DUST),
    "SMALL_CONVERT": _Entry("trades", _DUST),
    "COMMISSION_RETURN": _Entry("transfers", "rebate", "+"),
}
"""Every documented type of the ledger; another one is booked as unknown, by the sign of its amount."""


def _signed(amount: str, sign: str) -> str:
    """A type that only takes is negative however the venue writes it; one that gives is as it is written."""
    return cells.negative(cells.size(amount)) if sign == "-" else amount


def _named(subtype: str | tuple[str, str], amount: str) -> str:
    return subtype if isinstance(subtype, str) else subtype[amount[0] == "-"]


def _wallet(record: RawRecord) -> str:
    symbol = record.call.get("symbol")
    return f"ISOLATED_MARGIN:{symbol}" if record.stream == "isolated_capital_flow" else "MARGIN"


def _capital_flow(book: Book, record: RawRecord) -> None:
    content = record.content
    kind = cells.name_of(content, "type")
    entry = CAPITAL_FLOW.get(kind, _Entry("transfers", UNKNOWN))
    amount = _signed(cells.amount(content, "amount"), entry.sign)
    asset, at = cells.name_of(content, "asset"), cells.moment(content, "timestamp")
    cells.name_of(content, "id")  # without it the key, which names the symbol too, would be no name of the entry
    event = cells.note(content, "tranId")
    if kind not in CAPITAL_FLOW:
        book.tell("unknown_value", record, f"type {kind} is not known")
    subtype = _named(entry.subtype, amount)
    if entry.frame == "trades":
        book.leg(
            record,
            record.key,
            wallet=_wallet(record),
            asset=asset,
            amount=amount,
            at=at,
            subtype=subtype,
            symbol=cells.note(content, "symbol"),
            event=event,
        )
        return
    book.transfer(
        record,
        record.key,
        wallet=_wallet(record),
        asset=asset,
        amount=amount,
        at=at,
        subtype=subtype,
        is_fee=entry.is_fee,
        counter_party=cells.note(content, "note"),
        txn_hash=event,
    )


def _side(record: RawRecord) -> str:
    symbol = cells.note(record.content, "isolatedSymbol") or record.call.get("isolatedSymbol")
    return f"ISOLATED_MARGIN:{symbol}" if symbol else "MARGIN"


def borrow_repay(book: Book, record: RawRecord, *, wallet: str, is_borrow: bool) -> None:
    """What is owed: borrowing adds the principal; repaying takes off principal and interest."""
    content = record.content
    asset, at = cells.name_of(content, "asset"), cells.moment(content, "timestamp")
    name = cells.name_of(content, "txId")
    rows: list[tuple[Literal["loan", "interest"], str, str]]
    if is_borrow:
        rows = [("loan", cells.amount(content, "amount" if content.get("amount") else "principal"), "loan_in")]
    else:
        interest = cells.optional(content, "interest")
        told = "principal" if content.get("principal") else "amount"
        principal = cells.amount(content, told)
        if told == "amount":  # that of both
            principal = cells.minus(principal, interest)
        rows = [
            ("loan", cells.negative(principal), "loan_repayment"),
            ("interest", cells.negative(interest), "interest_paid"),
        ]
    for measure, amount, subtype in rows:
        book.transfer(
            record,
            f"{'borrow' if is_borrow else 'repay'}:{name}:{measure}",
            wallet=wallet,
            asset=asset,
            amount=amount,
            at=at,
            subtype=subtype,
            measure=measure,
            txn_hash=name,
        )


def is_confirmed(book: Book, record: RawRecord) -> bool:
    """Whether a loan or a repayment took place; a status that is not known is taken so, and reported."""
    if is_under_way(record) or is_one_of(record.content, "status", "FAILED"):
        return False
    if not is_one_of(record.content, "status", "CONFIRMED"):
        book.tell("unknown_value", record, f"status {record.content.get('status')!r} is not known; taken as done")
    return True


def _borrow_repay(book: Book, record: RawRecord) -> None:
    if is_confirmed(book, record):
        borrow_repay(book, record, wallet=_side(record), is_borrow=record.call.get("type") == "BORROW")


def interest(book: Book, record: RawRecord, wallet: str) -> None:
    """Interest is added to what is owed; where it is converted, it is paid at once, in the asset of the record."""
    content = record.content
    kind, amount = cells.name_of(content, "type"), cells.amount(content, "interest")
    is_paid = kind.endswith("_CONVERTED")
    if kind == "PORTFOLIO" and wallet == "MARGIN" and book.context.has_wallet(record.account, "PORTFOLIO_MARGIN"):
        return  # told by the history of portfolio margin as well, which alone knows what is owed there
    if kind not in {"PERIODIC", "ON_BORROW", "PERIODIC_CONVERTED", "ON_BORROW_CONVERTED", "PORTFOLIO"}:
        meaning = "paid at once" if is_paid else "added to what is owed"
        book.tell("unknown_value", record, f"type {kind} is not known; taken as {meaning}")
    has_ledger = wallet != "PORTFOLIO_MARGIN"
    if is_paid and has_ledger and book.context.assumes("converted_interest", "capital_flow"):
        return
    name, at = cells.name_of(content, "txId"), cells.moment(content, "interestAccuredTime")
    book.transfer(
        record,
        f"{name}:{cells.name_of(content, 'interestAccuredTime')}",
        wallet=wallet,
        asset=cells.name_of(content, "asset"),
        amount=cells.negative(amount) if is_paid else amount,
        at=at,
        subtype="margin_interest",
        measure="balance" if is_paid else "interest",
        is_fee=True,
        txn_hash=name,
    )


def _interest(book: Book, record: RawRecord) -> None:
    interest(book, record, _side(record))


def _places(_: Book, record: RawRecord) -> Sequence[Place]:
    wallet = _wallet(record) if record.stream.endswith("capital_flow") else _side(record)
    return [("transfers", wallet, cells.note(record.content, "asset"))]


READERS: Mapping[str, Reader] = {
    "margin_capital_flow": Reader(_capital_flow, _places),
    "isolated_capital_flow": Reader(_capital_flow, _places),
    "margin_borrow_repay": Reader(_borrow_repay, _places),
    "margin_interest": Reader(_interest, _places),
}
