"""Futures, options and portfolio margin: each wallet from its own ledger, whose amounts have their signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from recon_pipeline.frames.registry import UNKNOWN
from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import Book, Place, Reader
from recon_pipeline.venues.binance.mapping.margin import borrow_repay, interest, is_confirmed
from recon_pipeline.venues.streams import RawRecord


@dataclass(frozen=True)
class _Entry:
    """One type of a ledger."""

    frame: Literal["transfers", "trades"]
    subtype: str | tuple[str, str]
    """One name, or one for what comes in and one for what goes out."""
    is_fee: bool = False
    is_own: bool = False
    """A move between wallets, whose tranId ties it to the other leg."""


_OWN = _Entry("transfers", ("internal_in", "internal_out"), is_own=True)
_REBATE = _Entry("transfers", "rebate")
_REWARD = _Entry("transfers", "reward")
_DELIVERY = _Entry("trades", "delivery_settlement")
_EXERCISE = _Entry("trades", "option_settlement")
_CONVERSION = _Entry("trades", ("convert_buy", "convert_sell"))

INCOME: Mapping[str, _Entry] = {
    "TRANSFER": _OWN,
    "INTERNAL_TRANSFER": _OWN,
    "CROSS_COLLATERAL_TRANSFER": _OWN,
    "STRATEGY_UMFUTURES_TRANSFER": _OWN,
    "COIN_SWAP_DEPOSIT": _OWN,
    "COIN_SWAP_WITHDRAW": _OWN,
    "WELCOME_BONUS": _REWARD,
    "CONTEST_REWARD": _REWARD,
    "BFUSD_REWARD": _REWARD,
    "REALIZED_PNL": _Entry("trades", "realized_pnl"),
    "FUNDING_FEE": _Entry("transfers", "funding_fee", is_fee=True),
    "COMMISSION": _Entry("trades", "trade_fee"),
    "INSURANCE_CLEAR": _Entry("transfers", "insurance_clear", is_fee=True),
    "REFERRAL_KICKBACK": _REBATE,
    "COMMISSION_REBATE": _REBATE,
    "API_REBATE": _REBATE,
    "FEE_RETURN": _REBATE,
    "OPTIONS_PREMIUM_FEE": _Entry("trades", "option_premium"),
    "OPTIONS_SETTLE_PROFIT": _EXERCISE,
    "DELIVERED_SETTELMENT": _DELIVERY,
    "AUTO_EXCHANGE": _CONVERSION,
    "POSITION_LIMIT_INCREASE_FEE": _Entry("transfers", "txn_fee", is_fee=True),
}
"""Every documented type of a futures ledger, in the venue's own spelling."""

BILLS: Mapping[str, _Entry] = {
    "TRANSFER": _OWN,
    "FEE": _Entry("trades", "trade_fee"),
    "CONTRACT": _Entry("trades", "option_premium"),
    "DELIVERED": _EXERCISE,
    "DELIVERY": _EXERCISE,
    "EXERCISE": _EXERCISE,
    "SETTLEMENT": _EXERCISE,
}
"""Types of the options ledger. Only FEE, TRANSFER and CONTRACT are documented by name."""

_WALLETS = {
    "futures_income": "FUTURES",
    "futures_coin_income": "FUTURES_COIN",
    "pm_futures_income": "PORTFOLIO_MARGIN",
    "pm_futures_coin_income": "PORTFOLIO_MARGIN",
    "option_bills": "OPTION",
}


def _income(book: Book, record: RawRecord) -> None:
    content = record.content
    kind = cells.name_of(content, "incomeType")
    if kind == "TRANSFER" and record.stream.startswith("pm_"):
        return  # Between the parts of one portfolio: its balance stays, and what came from outside is told elsewhere.
    tran_id = cells.name_of(content, "tranId")
    asset, symbol = cells.name_of(content, "asset"), cells.note(content, "symbol")
    name = f"{kind}:{tran_id}:{asset}:{symbol or ''}"
    _entry(book, record, INCOME.get(kind), kind, (name, tran_id, "income", "time", symbol))


def _bill(book: Book, record: RawRecord) -> None:
    kind = cells.name_of(record.content, "type")
    name = cells.name_of(record.content, "id")
    # what moved to or from another wallet has another number there, and none in common
    event = None if kind.upper() == "TRANSFER" else name
    _entry(book, record, BILLS.get(kind.upper()), kind, (name, event, "amount", "createDate", None))


def _entry(
    book: Book, record: RawRecord, entry: _Entry | None, kind: str, told: tuple[str, str | None, str, str, str | None]
) -> None:
    """`told`: external id, event, field of the amount, field of the instant, symbol."""
    name, event, field, time, symbol = told
    if entry is None:
        book.tell("unknown_value", record, f"type {kind} is not known")
        entry = _Entry("transfers", UNKNOWN)
    amount, at = cells.amount(record.content, field), cells.moment(record.content, time)
    asset, wallet = cells.name_of(record.content, "asset"), _WALLETS[record.stream]
    subtype = entry.subtype if isinstance(entry.subtype, str) else entry.subtype[amount[0] == "-"]
    if entry.frame == "trades":
        book.leg(
            record,
            name,
            wallet=wallet,
            asset=asset,
            amount=amount,
            at=at,
            subtype=subtype,
            symbol=symbol,
            event=cells.note(record.content, "tradeId") or event,
        )
        return
    book.transfer(
        record,
        name,
        wallet=wallet,
        asset=asset,
        amount=amount,
        at=at,
        subtype=subtype,
        is_fee=entry.is_fee,
        counter_party=symbol if entry.is_fee else None,
        txn_hash=event if entry.is_own else None,
    )


# --- portfolio margin -------------------------------------------------------------------------------------------------


def _pm_loan(book: Book, record: RawRecord) -> None:
    """A loan adds to the balance and to what is owed: portfolio margin has no ledger that tells of the balance."""
    if not is_confirmed(book, record):
        return
    _pm_cash(book, record, cells.amount(record.content, "principal"), "loan_in")
    borrow_repay(book, record, wallet="PORTFOLIO_MARGIN", is_borrow=True)


def _pm_repayment(book: Book, record: RawRecord) -> None:
    if not is_confirmed(book, record):
        return
    _pm_cash(book, record, cells.negative(cells.amount(record.content, "amount")), "loan_repayment")
    borrow_repay(book, record, wallet="PORTFOLIO_MARGIN", is_borrow=False)


def _pm_cash(book: Book, record: RawRecord, amount: str, subtype: str) -> None:
    name = cells.name_of(record.content, "txId")
    book.transfer(
        record,
        f"{name}:cash",
        wallet="PORTFOLIO_MARGIN",
        asset=cells.name_of(record.content, "asset"),
        amount=amount,
        at=cells.moment(record.content, "timestamp"),
        subtype=subtype,
        txn_hash=name,
    )


def _pm_interest(book: Book, record: RawRecord) -> None:
    interest(book, record, "PORTFOLIO_MARGIN")


def _places(_: Book, record: RawRecord) -> Sequence[Place]:
    wallet = _WALLETS.get(record.stream, "PORTFOLIO_MARGIN")
    return [("transfers", wallet, cells.note(record.content, "asset"))]


READERS: Mapping[str, Reader] = {
    "futures_income": Reader(_income, _places),
    "futures_coin_income": Reader(_income, _places),
    "pm_futures_income": Reader(_income, _places),
    "pm_futures_coin_income": Reader(_income, _places),
    "option_bills": Reader(_bill, _places),
    "pm_loans": Reader(_pm_loan, _places),
    "pm_repayments": Reader(_pm_repayment, _places),
    "pm_margin_interest": Reader(_pm_interest, _places),
}
