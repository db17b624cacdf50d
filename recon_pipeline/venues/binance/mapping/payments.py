"""Money and payments: bank transfers, payments between persons and merchants, trades between persons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from recon_pipeline.frames.registry import UNKNOWN
from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import (
    Book,
    Place,
    Reader,
    Spell,
    each_of,
    first_moment,
    first_stated,
    is_one_of,
    is_under_way,
    last_stated,
    naming,
    of_spell,
    of_versions,
    spells,
    versions,
)
from recon_pipeline.venues.binance.mapping.cells import Malformed
from recon_pipeline.venues.binance.mapping.conversions import CHANGED, place_money
from recon_pipeline.venues.binance.mapping.model import MappingContext
from recon_pipeline.venues.streams import Content, RawRecord

# --- bank transfers ---------------------------------------------------------------------------------------------------

_PAID = ("Successful", "Finished")
_RETURNED = ("Refunded",)
_GONE = (*_PAID, *_RETURNED, "Processing", "Refunding", "Refund Failed")
_NOTHING = ("Failed", "Expired")
_REFUND_FAILED = ("Refund Failed",)
_PARTLY = ("Order Partial credit Stopped",)


def _fiat_order(book: Book, record: RawRecord) -> None:
    is_deposit = record.call.get("transactionType", "0") == "0"
    if is_one_of(record.content, "status", *_PARTLY):
        book.tell("not_stated", record, "credited in part; the amount that arrived is not stated")
    elif is_deposit:
        _fiat_deposit(book, record)
    else:
        _fiat_withdrawal(book, record)


def _is_paid(content: Content) -> bool:
    return is_one_of(content, "status", *_PAID)


def _has_returned(content: Content) -> bool:
    return is_one_of(content, "status", *_RETURNED, *_NOTHING)


def _fiat_deposit(book: Book, record: RawRecord) -> None:
    """Money counts from when it was first told as credited; the amount is what arrives. What was told as credited and
    is refunded since leaves when the venue says; nobody saw money come that is told as refunded from the first."""
    content = record.content
    is_known = is_one_of(content, "status", *_GONE, *_NOTHING)
    credited = spells(record, lambda told: _is_paid(told) or (told is content and not is_known), ends=_has_returned)
    if not credited:
        if is_one_of(content, "status", *_REFUND_FAILED):
            book.tell("not_stated", record, "a refund that failed; whether the money had arrived is not stated")
        return
    what = f"status {content.get('status')!r} is not known"
    name, moves = cells.name_of(content, "orderNo"), []
    for number, spell in enumerate(credited, 1):
        leg, at = of_spell(name, number), first_moment(spell.told, *CHANGED)
        asset, amount = last_stated(record, spell.told, _money)
        moves.append((leg, asset, amount, at))
        if spell.ended:
            back = max(at, first_moment(spell.ended, *CHANGED))
            moves.append((f"{leg}:reversal", asset, cells.negative(amount), back))
    subtype = book.known(record, "fiat_deposit", is_known=is_known, what=what)
    wallet = place_money(book, record, [suffix for suffix, *_ in moves[1:]])
    for suffix, asset, amount, at in moves:
        book.transfer(
            record,
            suffix,
            wallet=wallet,
            asset=asset,
            amount=amount,
            at=at,
            subtype=subtype,
            network=cells.note(content, "method"),
        )


def _money(content: Content) -> tuple[str, str]:
    return cells.name_of(content, "fiatCurrency"), cells.amount(content, "amount")


def _fiat_withdrawal(book: Book, record: RawRecord) -> None:
    """Money leaves when the order is made, amount and fee; what is given back returns when the venue first says so, as
    it was told while it was gone."""
    content = record.content
    is_known = is_one_of(content, "status", *_GONE, *_NOTHING)
    what = f"status {content.get('status')!r} is not known"
    gone = book.known(record, "fiat_withdrawal", is_known=is_known, what=what)
    name, made = cells.name_of(content, "orderNo"), cells.moment(content, "createTime")
    left = spells(record, lambda told: not _has_returned(told), ends=_has_returned)
    moves = []
    for number, spell in enumerate(left or [Spell([content], versions(record))], 1):
        at = made if number == 1 else max(made, first_moment(spell.told, *CHANGED))
        back = max(at, first_moment(spell.ended, *CHANGED)) if spell.ended else None
        (asset, amount), fee = last_stated(record, spell.told, _money_and_fee)
        for leg, size, subtype in (("amt", amount, gone), ("fee", fee, "withdrawal_fee")):
            suffix = f"{of_spell(name, number)}:{leg}"
            moves.append((suffix, asset, cells.negative(size), subtype, at))
            if back is not None:
                moves.append((f"{suffix}:reversal", asset, size, subtype, back))
    first = {f"{name}:amt", f"{name}:fee"}
    wallet = place_money(book, record, [suffix for suffix, *_ in moves if suffix not in first])
    for suffix, asset, amount, subtype, at in moves:
        book.transfer(
            record,
            suffix,
            wallet=wallet,
            asset=asset,
            amount=amount,
            at=at,
            subtype=subtype,
            is_fee=subtype == "withdrawal_fee",
            network=cells.note(content, "method"),
        )


def _money_and_fee(content: Content) -> tuple[tuple[str, str], str]:
    return _money(content), cells.optional(content, "totalFee")


def _fiat_instants(context: MappingContext, record: RawRecord) -> Iterable[datetime | None]:
    """A deposit counts when it was last changed; a withdrawal when it was made, and unless it is known to be gone for
    good when it may have come back."""
    made, changed = first_stated("createTime"), first_stated("updateTime", "createTime")
    if record.call.get("transactionType", "0") == "0":
        return changed(context, record)
    is_gone = is_one_of(record.content, "status", *_GONE) and not is_one_of(record.content, "status", *_RETURNED)
    return (made if is_gone else each_of(made, changed))(context, record)


# --- payments ---------------------------------------------------------------------------------------------------------

_PAY_WALLETS: Mapping[str, str | None] = {"1": "FUNDING", "2": "SPOT", "4": None, "5": "EARN", "6": None}
"""The wallet of each walletType; a card's balance is not read."""
_PAY_TYPES = (
    "PAY",
    "PAY_REFUND",
    "C2C",
    "CRYPTO_BOX",
    "CRYPTO_BOX_RF",
    "C2C_HOLDING",
    "C2C_HOLDING_RF",
    "PAYOUT",
    "REMITTANCE",
)


def _pay(book: Book, record: RawRecord) -> None:
    """The sign is the venue's. What was really taken, and from which wallets, is in the funds' details if any."""
    content = record.content
    amount, at = cells.amount(content, "amount"), cells.moment(content, "transactionTime")
    is_out = amount[0] == "-"
    subtype = "pay_out" if is_out else "pay_in"
    if content.get("orderType") not in _PAY_TYPES:
        book.tell("unknown_value", record, f"orderType {content.get('orderType')!r} is not known")
        subtype = UNKNOWN
    other = content.get("receiverInfo" if is_out else "payerInfo")
    name = f"{content.get('orderType')}:{cells.name_of(content, 'transactionId')}"
    for number, (wallet, asset, part) in enumerate(_funds(book, record), 1):
        book.transfer(
            record,
            f"{name}:{number}",
            wallet=wallet,
            asset=asset,
            amount=cells.negative(cells.size(part)) if is_out else cells.size(part),
            at=at,
            subtype=subtype,
            counter_party=_person(other) if isinstance(other, Mapping) else None,
            txn_hash=name,
        )


def _person(info: Mapping[str, Any]) -> str | None:
    return next(
        (told for name in ("name", "binanceId", "accountId", "email") if (told := cells.note(info, name))), None
    )


_Detail = tuple[Any, Mapping[str, Any]]
"""The venue's kind of the wallet, and what states currency and amount."""


def _funds(book: Book, record: RawRecord) -> Sequence[tuple[str, str, str]]:
    """Wallet, asset and amount of each part. A payment may be made of other assets than it is stated in; what is
    received is what is stated, and what parts in its asset add up to."""
    content = record.content
    details = list(_details(content)) if content.get("fundsDetail") else []
    if details and not _add_up(details, cells.name_of(content, "currency"), cells.amount(content, "amount")):
        book.tell("unknown_value", record, "its parts are not the amount that is stated, which counts")
        details = []
    parts = [_part(book, record, *detail) for detail in details or [(content.get("walletType"), content)]]
    return [(wallet, asset, amount) for wallet, asset, amount in parts if wallet is not None]


def _details(content: Mapping[str, Any]) -> Iterable[_Detail]:
    for detail in cells.items(content, "fundsDetail"):
        costs = detail.get("walletAssetCost")
        if not costs:
            yield content.get("walletType"), detail
            continue
        for kind, cost in _by_wallet(costs):
            yield kind, {**detail, "amount": cost}


def _by_wallet(costs: Any) -> Sequence[tuple[str, Any]]:
    """What each wallet gave: one object, or a list of objects as the vendor's pages showed it for long."""
    parts = costs if isinstance(costs, list) else [costs]
    if not all(isinstance(part, Mapping) for part in parts):
        raise Malformed("walletAssetCost is neither an object nor a list of objects")
    return sorted(((kind, part[kind]) for part in parts for kind in part), key=lambda item: item[0])


def _add_up(details: Sequence[_Detail], asset: str, amount: str) -> bool:
    if any(cells.name_of(detail, "currency") != asset for _, detail in details):
        return amount[0] == "-"
    total = cells.total(*(cells.size(cells.amount(detail, "amount")) for _, detail in details))
    return Decimal(total) == Decimal(cells.size(amount))


def _pay_places(_: Book, record: RawRecord) -> Sequence[Place]:
    """The asset that is stated, and those in which it may have been paid; all if these cannot be told."""
    told = [record.content.get("currency")]
    if details := record.content.get("fundsDetail"):
        if not isinstance(details, list) or not all(isinstance(detail, Mapping) for detail in details):
            return [("transfers", None, None)]
        told += [detail.get("currency") for detail in details]
    if not all(isinstance(asset, str) and asset for asset in told):
        return [("transfers", None, None)]
    return [("transfers", None, asset) for asset in dict.fromkeys(told)]


def _part(book: Book, record: RawRecord, kind: Any, part: Mapping[str, Any]) -> tuple[str | None, str, str]:
    """Wallet, asset and amount; no wallet where it is none that is read."""
    asset, amount = cells.name_of(part, "currency"), cells.amount(part, "amount")
    if str(kind) == "3":
        return "SPOT" if book.context.assumes("fiat_wallet", "spot") else "FUNDING", asset, amount
    if str(kind) in _PAY_WALLETS:
        return _PAY_WALLETS[str(kind)], asset, amount
    if kind is not None:
        book.tell("unknown_value", record, f"walletType {kind!r} is not known")
    return book.place(record), asset, amount


# --- trades between persons -------------------------------------------------------------------------------------------


def _c2c(book: Book, record: RawRecord) -> None:
    """Only a completed order moves coins; the fee is that of the side on which we were, in the same coin."""
    content = record.content
    if is_under_way(record) or is_one_of(content, "orderStatus", "CANCELLED", "CANCELLED_BY_SYSTEM"):
        return
    kind, name = cells.name_of(content, "tradeType"), cells.name_of(content, "orderNumber")
    if kind not in {"BUY", "SELL"}:
        raise Malformed(f"tradeType is {kind}, BUY or SELL is expected")
    is_known = is_one_of(content, "orderStatus", "COMPLETED")
    amount, at = cells.amount(content, "amount"), cells.moment(content, "createTime")
    what = f"orderStatus {content.get('orderStatus')!r} is not known"
    subtype = book.known(record, "p2p_in" if kind == "BUY" else "p2p_out", is_known=is_known, what=what)
    fee = _c2c_fee(content)
    other = cells.note(content, "counterPartNickName")
    for suffix, signed, told in (
        ("amt", amount if kind == "BUY" else cells.negative(amount), subtype),
        ("fee", cells.negative(fee), "p2p_fee"),
    ):
        book.transfer(
            record,
            f"{name}:{suffix}",
            wallet="FUNDING",
            asset=cells.name_of(content, "asset"),
            amount=signed,
            at=at,
            subtype=told,
            is_fee=suffix == "fee",
            counter_party=other,
        )


def _c2c_fee(content: Content) -> str:
    """Where the side on which we were is not stated, the fee that both could only have paid."""
    role = content.get("advertisementRole")
    if role in ("TAKER", "MAKER"):
        return cells.optional(content, "takerCommission" if role == "TAKER" else "commission")
    stated = [name for name in ("commission", "takerCommission") if content.get(name) not in (None, "")]
    fees = [cells.amount(content, name) for name in stated]
    if len({Decimal(fee) for fee in fees}) > 1:
        raise Malformed(f"advertisementRole is {role}, MAKER or TAKER is expected: their fees differ")
    return fees[0] if fees else "0"


READERS: Mapping[str, Reader] = {
    "fiat_orders": Reader(_fiat_order, naming("fiatCurrency"), of_versions(_fiat_instants), looks_back=True),
    "pay": Reader(_pay, _pay_places),
    "c2c": Reader(_c2c, naming("asset", wallet="FUNDING")),
}
