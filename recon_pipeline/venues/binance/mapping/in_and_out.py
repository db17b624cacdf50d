"""Deposits and withdrawals of coins: a deposit when it is credited, a withdrawal when it is applied for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import Book, Reader, account_of, naming, read_each
from recon_pipeline.venues.binance.streams.shapes import instant_of
from recon_pipeline.venues.streams import RawRecord

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
    """An account's own deposits, and those that only the master's key told of."""
    own = records.get("deposits", ())
    read_each(book, own, DEPOSIT)
    told = {(record.account, str(record.content.get("id"))) for record in own}
    of_subs = [r for r in records.get("sub_deposits", ()) if (account_of(r), str(r.content.get("id"))) not in told]
    read_each(book, of_subs, DEPOSIT)


def _deposit(book: Book, record: RawRecord) -> None:
    content = record.content
    status = cells.name_of(content, "status")
    if status in _NOT_CREDITED or (status == "6" and book.context.assumes("status_6_deposits", "not_credited")):
        return
    is_internal = str(content.get("transferType")) == INTERNAL
    names = ("completeTime", "insertTime")
    if book.context.assumes("deposit_credit", "insert_time"):
        names = ("insertTime", "completeTime")
    subtype = "internal_deposit" if is_internal else "deposit"
    book.transfer(
        record,
        cells.name_of(content, "id"),
        account=account_of(record),
        source="deposits",
        wallet=_wallet(book, record),
        asset=cells.name_of(content, "coin"),
        amount=cells.amount(content, "amount"),
        at=cells.moment(content, *names),
        subtype=book.known(record, subtype, is_known=status in _CREDITED, what=f"status {status} is not known"),
        counter_party=cells.note(content, "sourceAddress"),
        network=cells.note(content, "network"),
        txn_hash=cells.note(content, "txId"),
    )


def _withdrawal(book: Book, record: RawRecord) -> None:
    content = record.content
    status = cells.name_of(content, "status")
    at_completion = book.context.assumes("withdrawal_debit", "complete_time")
    if at_completion and status != COMPLETED and status in _LEFT | _CAME_BACK:
        return
    wallet, asset, name = _wallet(book, record), cells.name_of(content, "coin"), cells.name_of(content, "id")
    left = cells.moment(content, *(("completeTime", "applyTime") if at_completion else ("applyTime",)))
    stated = instant_of(content.get("completeTime"))
    back = stated or book.came_back(record, left)
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
        book.expect(
            record, wallet, asset, gone, f"withdrawal {name} failed; the venue does not state when it came back"
        )


def _in_wallet(book: Book, record: RawRecord) -> list[tuple[str, str | None, str | None]]:
    wallet = _WALLETS.get(str(record.content.get("walletType")))
    return list(naming("coin", wallet=wallet)(book, record))


DEPOSIT = Reader(_deposit, _in_wallet)
WITHDRAWAL = Reader(_withdrawal, _in_wallet)
