"""Loans against collateral: what was borrowed and repaid, what was pledged and came back."""

from __future__ import annotations

from collections.abc import Mapping

from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import Book, Reader, is_one_of, is_under_way, naming
from recon_pipeline.venues.binance.mapping.cells import Malformed
from recon_pipeline.venues.streams import RawRecord

_INCOME: Mapping[str, tuple[str, bool]] = {
    "borrowIn": ("loan_in", True),
    "collateralSpent": ("collateral_out", False),
    "repayAmount": ("loan_repayment", False),
    "collateralReturn": ("collateral_in", True),
    "addCollateral": ("collateral_out", False),
    "removeCollateral": ("collateral_in", True),
    "collateralReturnAfterLiquidation": ("collateral_in", True),
}
"""What each type is called, and whether it comes in: the amounts have no sign."""
_FAILED = ("Failed", "FAIL")


def _loan_income(book: Book, record: RawRecord) -> None:
    content = record.content
    kind, amount = cells.name_of(content, "type"), cells.amount(content, "amount")
    subtype, is_in = _INCOME.get(kind, ("unknown", amount[0] != "-"))
    asset = cells.name_of(content, "asset")
    book.transfer(
        record,
        f"{cells.name_of(content, 'tranId')}:{kind}:{asset}",
        wallet="SPOT",
        asset=asset,
        amount=cells.size(amount) if is_in else cells.negative(cells.size(amount)),
        at=cells.moment(content, "timestamp"),
        subtype=book.known(record, subtype, is_known=kind in _INCOME, what=f"type {kind} is not known"),
        txn_hash=cells.name_of(content, "tranId"),
    )


def _flexible(book: Book, record: RawRecord, at: str, *legs: tuple[str, str, str, bool]) -> None:
    """Legs as (field of the coin, field of the amount, subtype, whether it comes in). None where the income of loans
    tells of them.

    The coins of the loan are SPOT's; where collateral lay is not stated, for it may have been in EARN.
    """
    if book.context.assumes("flexible_loans", "loan_income"):
        return
    content = record.content
    has_collateral = any(
        coin == "collateralCoin" and not cells.is_zero(cells.amount(content, amount)) for coin, amount, _, _ in legs
    )
    of_loan = tuple(f"{record.key}:{amount}" for coin, amount, _, _ in legs if coin == "loanCoin")
    wallet = book.place(record, fixed=of_loan) if has_collateral else "SPOT"
    for coin, field, subtype, is_in in legs:
        amount = cells.amount(content, field)
        book.transfer(
            record,
            f"{record.key}:{field}",
            wallet="SPOT" if coin == "loanCoin" else wallet,
            asset=cells.name_of(content, coin),
            amount=amount if is_in else cells.negative(amount),
            at=cells.moment(content, at),
            subtype=subtype,
            txn_hash=record.key,
        )


def _is_done(book: Book, record: RawRecord, field: str, *done: str) -> bool:
    if is_under_way(record) or is_one_of(record.content, field, *_FAILED):
        return False
    if not is_one_of(record.content, field, *done):
        book.tell("unknown_value", record, f"{field} {record.content.get(field)!r} is not known; taken as done")
    return True


def _borrow(book: Book, record: RawRecord) -> None:
    if _is_done(book, record, "status", "SUCCESS", "Succeeds", "Success"):
        loan = ("loanCoin", "initialLoanAmount", "loan_in", True)
        _flexible(
            book, record, "borrowTime", loan, ("collateralCoin", "initialCollateralAmount", "collateral_out", False)
        )


def _repayment(book: Book, record: RawRecord) -> None:
    if _is_done(book, record, "repayStatus", "Repaid"):
        loan = ("loanCoin", "repayAmount", "loan_repayment", False)
        _flexible(book, record, "repayTime", loan, ("collateralCoin", "collateralReturn", "collateral_in", True))


def _adjustment(book: Book, record: RawRecord) -> None:
    told = str(record.content.get("direction")).upper()
    if told not in {"ADDITIONAL", "REDUCED"}:
        raise Malformed(f"direction is {told}, ADDITIONAL or REDUCED is expected")
    is_in = told == "REDUCED"
    subtype = "collateral_in" if is_in else "collateral_out"
    _flexible(book, record, "adjustTime", ("collateralCoin", "collateralAmount", subtype, is_in))


def _liquidation(book: Book, record: RawRecord) -> None:
    """The collateral had left the wallet when it was pledged: only what is given back comes in."""
    if _is_done(book, record, "status", "Liquidated"):
        back = ("collateralCoin", "returnCollateralAmount", "collateral_in", True)
        _flexible(book, record, "liquidationStartingTime", back)


def _vip_repayment(book: Book, record: RawRecord) -> None:
    content = record.content
    if not _is_done(book, record, "repayStatus", "Repaid"):
        return
    amount = cells.amount(content, "repayAmount")
    book.transfer(
        record,
        record.key,
        wallet="SPOT",
        asset=cells.name_of(content, "loanCoin"),
        amount=cells.negative(amount),
        at=cells.moment(content, "repayTime"),
        subtype="loan_repayment",
        txn_hash=cells.note(content, "orderId"),
    )


def _vip_order(book: Book, record: RawRecord) -> None:
    """What is owed today is no flow: what was paid out, no response states."""
    coin, order = record.content.get("loanCoin"), record.content.get("orderId")
    book.tell(
        "not_stated",
        record,
        f"VIP loan {order} of {coin}: the amount that was paid out is not stated",
        moved="loanDate",
    )


_OF_LOAN = naming("loanCoin", "collateralCoin")
READERS: Mapping[str, Reader] = {
    "loan_income": Reader(_loan_income, naming("asset", wallet="SPOT")),
    "flexible_loan_borrows": Reader(_borrow, _OF_LOAN),
    "flexible_loan_repayments": Reader(_repayment, _OF_LOAN),
    "flexible_loan_adjustments": Reader(_adjustment, naming("collateralCoin")),
    "flexible_loan_liquidations": Reader(_liquidation, naming("collateralCoin")),
    "vip_loan_repayments": Reader(_vip_repayment, naming("loanCoin", wallet="SPOT")),
    "vip_loan_orders": Reader(_vip_order, naming("loanCoin", wallet="SPOT")),
}
