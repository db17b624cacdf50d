"""What the venue pays, and what is paid to it, apart from trading: dividends, rebates, mining."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import (
    Book,
    Reader,
    each_of,
    first_stated,
    is_one_of,
    is_under_way,
    naming,
)
from recon_pipeline.venues.binance.mapping.cells import Malformed
from recon_pipeline.venues.binance.mapping.model import MappingContext
from recon_pipeline.venues.streams import RawRecord

_DIVIDENDS = (
    ("airdrop", "airdrop"),
    ("hodler", "airdrop"),
    ("megadrop", "airdrop"),
    ("launchpool", "reward"),
    ("launchpad", "reward"),
    ("voucher", "reward"),
    ("cashback", "reward"),
    ("referral", "rebate"),
    ("rebate", "rebate"),
    ("kickback", "rebate"),
    ("commission", "rebate"),
    ("staking", "reward"),
    ("reward", "reward"),
    ("vault", "interest_income"),
    ("flexible", "interest_income"),
    ("locked", "interest_income"),
    ("saving", "interest_income"),
    ("earn", "interest_income"),
    ("interest", "interest_income"),
)
"""What a dividend is called, by words in the venue's own text for it; one without any of them is a dividend."""


def _dividend(book: Book, record: RawRecord) -> None:
    """The direction 1 is in, any other is out; an answer without the field is of the time when all came in. The text
    for its kind is free, and its vocabulary not published."""
    content = record.content
    amount, told = cells.size(cells.amount(content, "amount")), str(content.get("enInfo") or "").lower()
    direction = content.get("direction", 1)
    is_blank = direction in (None, "")
    if is_blank:
        book.tell("unknown_value", record, "direction is blank; taken as in")
    is_in = is_blank or str(direction) == "1"
    name = ":".join(cells.name_of(content, field) for field in ("id", "asset", "divTime"))
    book.transfer(
        record,
        name,
        wallet="SPOT",
        asset=cells.name_of(content, "asset"),
        amount=amount if is_in else cells.negative(amount),
        at=cells.moment(content, "divTime"),
        subtype=next((subtype for word, subtype in _DIVIDENDS if word in told), "dividend"),
        counter_party=cells.note(content, "enInfo"),
        txn_hash=cells.note(content, "tranId"),
    )


def _rebate(book: Book, record: RawRecord) -> None:
    content = record.content
    kind = str(content.get("type"))
    what = f"type {kind} is not known"
    book.transfer(
        record,
        record.key,
        wallet="SPOT",
        asset=cells.name_of(content, "asset"),
        amount=cells.amount(content, "amount"),
        at=cells.moment(content, "updateTime"),
        subtype=book.known(record, "rebate", is_known=kind in {"1", "2"}, what=what),
    )


def _cloud_mining(book: Book, record: RawRecord) -> None:
    """248 is paid, 249 is given back; which wallet is not stated."""
    content = record.content
    kind, amount = str(content.get("type")), cells.amount(content, "amount")
    if kind == "248":
        amount = cells.negative(cells.size(amount))
    is_known = kind in {"248", "249"} and is_one_of(content, "status", "S")
    if is_under_way(record) or is_one_of(content, "status", "F"):
        return
    what = f"type {kind} with status {content.get('status')!r} is not known"
    book.transfer(
        record,
        f"{cells.name_of(content, 'tranId')}:{kind}",
        wallet=book.place(record),
        asset=cells.name_of(content, "asset"),
        amount=amount,
        at=cells.moment(content, "createTime"),
        subtype=book.known(record, "cloud_mining", is_known=is_known, what=what),
    )


def _mined(amount: str, *, has_status: bool) -> Callable[[Book, RawRecord], None]:
    """What a pool paid into FUNDING. Its amounts are documented as JSON numbers."""

    def read(book: Book, record: RawRecord) -> None:
        content = record.content
        status = str(content.get("status"))
        if has_status and status in {"0", "1"}:
            return
        what = f"status {status} is not known"
        book.transfer(
            record,
            record.key,
            wallet="FUNDING",
            asset=cells.name_of(content, "coinName"),
            amount=cells.number(content, amount),
            at=cells.moment(content, "time"),
            subtype=book.known(record, "reward", is_known=not has_status or status == "2", what=what),
        )

    return read


_SENT, _ARRIVED = ("createTime",), ("completeAt", "updateTime")


def _predicted(context: MappingContext, record: RawRecord) -> Iterable[datetime | None]:
    sent, arrived = first_stated(*_SENT), first_stated(*_ARRIVED)
    of_direction = {"OUTBOUND": sent, "INBOUND": arrived}.get(str(record.content.get("direction")))
    return (of_direction or each_of(sent, arrived))(context, record)


def _prediction(book: Book, record: RawRecord) -> None:
    """Out to a wallet on a chain whose balance is not read (OUTBOUND), or back from it. Whether it was SPOT or FUNDING
    that was debited or credited is asked for when the transfer is made, and not told afterwards."""
    content = record.content
    if is_under_way(record) or is_one_of(content, "status", "FAILED", "FAIL"):
        return
    told, name = cells.name_of(content, "direction"), cells.name_of(content, "transferId")
    if told not in {"INBOUND", "OUTBOUND"}:
        raise Malformed(f"direction is {told}, INBOUND or OUTBOUND is expected")
    is_out = told == "OUTBOUND"
    side = "fromToken" if is_out else "toToken"
    amount = cells.amount(content, f"{side}Amount")
    is_known = is_one_of(content, "status", "SUCCESS", "COMPLETED")
    subtype = "internal_out" if is_out else "internal_in"
    book.transfer(
        record,
        name,
        wallet=book.place(record),
        asset=cells.name_of(content, side),
        amount=cells.negative(amount) if is_out else amount,
        at=cells.moment(content, *(_SENT if is_out else _ARRIVED)),
        subtype=book.known(record, subtype, is_known=is_known, what=f"status {content.get('status')!r} is not known"),
        counter_party=cells.note(content, "walletAddress"),
        txn_hash=name,
    )


READERS: Mapping[str, Reader] = {
    "dividends": Reader(_dividend, naming("asset", wallet="SPOT")),
    "rebates": Reader(_rebate, naming("asset", wallet="SPOT")),
    "cloud_mining": Reader(_cloud_mining, naming("asset")),
    "mining_earnings": Reader(_mined("profitAmount", has_status=True), naming("coinName", wallet="FUNDING")),
    "mining_bonuses": Reader(_mined("profitAmount", has_status=True), naming("coinName", wallet="FUNDING")),
    "mining_account_earnings": Reader(_mined("amount", has_status=False), naming("coinName", wallet="FUNDING")),
    "prediction_transfers": Reader(_prediction, naming("fromToken", "toToken"), _predicted),
}
