"""Deposits and withdrawals of coins: a deposit when it is credited, a withdrawal when it is applied for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import (
    Book,
    Reader,
    account_of,
    each_of,
    first_stated,
    naming,
    read_each,
)
from recon_pipeline.venues.binance.mapping.model import MappingContext
from recon_pipeline.venues.streams import Content, RawRecord

_WALLETS = {"0": "SPOT", "1": "FUNDING"}
_CREDITED = frozenset({"1", "6"})
_NOT_CREDITED = frozenset({"0", "2", "7", "8"})
_LEFT = frozenset({"0", "2", "4", "6"})
_CAME_BACK = frozenset({"1", "3", "5"})
COMPLETED = "6"
INTERNAL = "1"


def _wallet(book: Book, record: RawRecord) -> str:
    told = record.content.get("walletType")
    wallet = _WALLETS.get(str(told))
    if wallet is not None and not isinstance(told, bool):
        return wallet
    if told is not None:
        book.tell("unknown_value", record, f"walletType {told!r} is not known")
    return book.place(record)


def map_deposits(book: Book, records: Mapping[str, Sequence[RawRecord]]) -> None:
    """An account's own deposits, and those that only the master's key told of, or told last of: a key of its own may be
    gone since a deposit was under way."""
    own = records.get("deposits", ())
    read_each(book, own, DEPOSIT)
    told = {(record.account, str(record.content.get("id"))): record for record in own}

    def is_news(record: RawRecord) -> bool:
        known = told.get((account_of(record), str(record.content.get("id"))))
        return known is None or (
            not _is_credited(book, str(known.content.get("status"))) and record.read_at > known.read_at
        )

    read_each(book, [record for record in records.get("sub_deposits", ()) if is_news(record)], DEPOSIT)


def _is_credited(book: Book, status: str) -> bool:
    """Whether a deposit of that status is in the balance; one of a status that is not known is."""
    return status not in _NOT_CREDITED and not (
        status == "6" and book.context.assumes("status_6_deposits", "not_credited")
    )


def _deposit(book: Book, record: RawRecord) -> None:
    content = record.content
    status = cells.name_of(content, "status")
    if not _is_credited(book, status):
        return
    is_internal = str(content.get("transferType")) == INTERNAL
    subtype = "internal_deposit" if is_internal else "deposit"
    book.transfer(
        record,
        cells.name_of(content, "id"),
        account=account_of(record),
        source="deposits",
        wallet=_wallet(book, record),
        asset=cells.name_of(content, "coin"),
        amount=cells.amount(content, "amount"),
        at=cells.moment(content, *_credited_at(book.context)),
        subtype=book.known(record, subtype, is_known=status in _CREDITED, what=f"status {status} is not known"),
        counter_party=cells.note(content, "sourceAddress"),
        network=cells.note(content, "network"),
        txn_hash=cells.note(content, "txId"),
    )


def _came_back(content: Content) -> bool:
    return str(content.get("status")) in _CAME_BACK


def _credited_at(context: MappingContext) -> tuple[str, ...]:
    is_by_detection = context.assumes("deposit_credit", "insert_time")
    return ("insertTime", "completeTime") if is_by_detection else ("completeTime", "insertTime")


def _left_at(context: MappingContext) -> tuple[str, ...]:
    at_completion = context.assumes("withdrawal_debit", "complete_time")
    return ("completeTime", "applyTime") if at_completion else ("applyTime",)


def _instants_of_withdrawal(context: MappingContext, record: RawRecord) -> Iterable[datetime | None]:
    """When it left, and unless it is known to have gone for good, when it may have come back."""
    left = first_stated(*_left_at(context))
    if str(record.content.get("status")) in _LEFT:
        return left(context, record)
    return each_of(left, first_stated("completeTime", "applyTime"))(context, record)


def _withdrawal(book: Book, record: RawRecord) -> None:
    content = record.content
    status = cells.name_of(content, "status")
    at_completion = book.context.assumes("withdrawal_debit", "complete_time")
    if at_completion and status != COMPLETED and status in _LEFT | _CAME_BACK:
        return
    wallet, asset, name = _wallet(book, record), cells.name_of(content, "coin"), cells.name_of(content, "id")
    left = cells.moment(content, *_left_at(book.context))
    stated = cells.optional_moment(content, "completeTime") if _came_back(content) else None
    back = stated or book.came_back(record, left, _came_back)
    is_known = status in _LEFT | _CAME_BACK
    booked_as = book.known(record, "withdrawal", is_known=is_known, what=f"status {status} is not known")
    parts = (
        ("amt", cells.amount(content, "amount"), booked_as),
        ("fee", cells.optional(content, "transactionFee"), "withdrawal_fee"),
    )
    for leg, amount, subtype in parts:
        for suffix, signed, at in ((leg, cells.negative(amount), left), (f"{leg}:reversal", amount, back)):
            if suffix != leg and status not in _CAME_BACK:
                continue
            book.transfer(
                record,
                f"{name}:{suffix}",
                wallet=wallet,
                asset=asset,
                amount=signed,
                at=at,
                subtype=subtype,
                is_fee=leg == "fee",
                counter_party=cells.note(content, "address"),
                network=cells.note(content, "network"),
                txn_hash=cells.note(content, "txId"),
            )
    if status in _CAME_BACK and stated is None:
        gone = cells.negative(cells.total(parts[0][1], parts[1][1]))
        reason = f"withdrawal {name} failed; the venue does not state when it came back"
        book.expect(record, wallet=wallet, asset=asset, amount=gone, reason=reason, has_failed=_came_back)


def _in_wallet(book: Book, record: RawRecord) -> list[tuple[str, str | None, str | None]]:
    wallet = _WALLETS.get(str(record.content.get("walletType")))
    return list(naming("coin", wallet=wallet)(book, record))


DEPOSIT = Reader(_deposit, _in_wallet, lambda context, record: first_stated(*_credited_at(context))(context, record))
WITHDRAWAL = Reader(_withdrawal, _in_wallet, _instants_of_withdrawal, _came_back)
