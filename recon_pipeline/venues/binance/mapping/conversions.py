"""One asset given for another outside the order book: converts, dust, purchases for money, shares. All are trades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from recon_pipeline.frames.registry import UNKNOWN
from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import (
    Book,
    Place,
    Reader,
    first_moment,
    first_stated,
    is_one_of,
    is_under_way,
    last_stated,
    naming,
    of_spell,
    of_versions,
    spells,
)
from recon_pipeline.venues.binance.mapping.cells import Malformed
from recon_pipeline.venues.binance.mapping.model import MappingContext
from recon_pipeline.venues.binance.streams.shapes import instant_of
from recon_pipeline.venues.streams import Content, RawRecord

_CONVERTED = ("SUCCESS",)
_NOT_CONVERTED = ("FAIL", "FAILED", "EXPIRED", "CANCELED", "CANCELLED")
CASH = "Cash Balance"


def swap(
    book: Book,
    record: RawRecord,
    name: str,
    *,
    wallet: str,
    given: tuple[str, str, str, datetime],
    got: tuple[str, str, str, datetime] | None,
    fee: tuple[str, str, str] | None = None,
    symbol: str | None = None,
) -> None:
    """What was given, what was got and the fee, each as (asset, amount, subtype, instant), amounts without signs."""

    def leg(suffix: str, asset: str, amount: str, subtype: str, at: datetime) -> None:
        book.leg(
            record,
            f"{name}:{suffix}",
            wallet=wallet,
            asset=asset,
            amount=amount,
            at=at,
            subtype=subtype,
            symbol=symbol,
            event=name,
        )

    leg("from", given[0], cells.negative(given[1]), given[2], given[3])
    if got is not None:
        leg("to", *got)
    if fee is not None:
        leg("fee", fee[0], cells.negative(fee[1]), fee[2], got[3] if got is not None else given[3])


def _subtypes(book: Book, record: RawRecord, field: str, *, is_known: bool, names: tuple[str, str]) -> tuple[str, str]:
    """The subtypes of both legs, or `unknown` where the record's state is new."""
    if is_known:
        return names
    book.tell("unknown_value", record, f"{field} {record.content.get(field)!r} is not known")
    return UNKNOWN, UNKNOWN


def _convert(book: Book, record: RawRecord) -> None:
    content = record.content
    if is_under_way(record) or is_one_of(content, "orderStatus", *_NOT_CONVERTED):
        return
    is_known = is_one_of(content, "orderStatus", *_CONVERTED)
    sold, bought = _subtypes(book, record, "orderStatus", is_known=is_known, names=("convert_sell", "convert_buy"))
    at = cells.moment(content, "createTime")
    swap(
        book,
        record,
        cells.name_of(content, "orderId"),
        wallet=book.place(record),
        given=(cells.name_of(content, "fromAsset"), cells.amount(content, "fromAmount"), sold, at),
        got=(cells.name_of(content, "toAsset"), cells.amount(content, "toAmount"), bought, at),
    )


def _convert_transfer(book: Book, record: RawRecord) -> None:
    content = record.content
    if is_under_way(record) or is_one_of(content, "status", "F", "FAIL", "FAILED", "FAILURE"):
        return
    if content.get("accountType") == "CARD":
        return  # The card's own balance is not read.
    is_known = is_one_of(content, "status", "S", "SUCCESS")
    sold, bought = _subtypes(book, record, "status", is_known=is_known, names=("convert_sell", "convert_buy"))
    at = cells.moment(content, "time")
    swap(
        book,
        record,
        cells.name_of(content, "tranId"),
        wallet="SPOT",
        given=(cells.name_of(content, "deductedAsset"), cells.amount(content, "deductedAmount"), sold, at),
        got=(cells.name_of(content, "targetAsset"), cells.amount(content, "targetAmount"), bought, at),
    )


_INVEST_WALLETS = {"SPOT_WALLET": "SPOT", "FUNDING_WALLET": "FUNDING"}


def _auto_invest(book: Book, record: RawRecord) -> None:
    content = record.content
    if is_under_way(record) or is_one_of(content, "transactionStatus", *_NOT_CONVERTED):
        return
    is_known = is_one_of(content, "transactionStatus", *_CONVERTED)
    names = ("convert_sell", "convert_buy")
    sold, bought = _subtypes(book, record, "transactionStatus", is_known=is_known, names=names)
    at, fee = cells.moment(content, "transactionDateTime"), cells.optional(content, "transactionFee")
    source = cells.name_of(content, "sourceAsset")
    swap(
        book,
        record,
        cells.name_of(content, "id"),
        wallet=_INVEST_WALLETS.get(str(content.get("sourceWallet"))) or book.place(record),
        given=(source, cells.amount(content, "sourceAssetAmount"), sold, at),
        got=(cells.name_of(content, "targetAsset"), cells.amount(content, "targetAssetAmount"), bought, at),
        fee=(cells.note(content, "transactionFeeUnit") or source, fee, "convert_fee"),
    )


# --- dust -------------------------------------------------------------------------------------------------------------


def _dust(book: Book, record: RawRecord) -> None:
    """Each remainder is given, what it was converted into is got, less the fee in the same asset."""
    content = record.content
    name = cells.name_of(content, "transId")
    for detail in cells.items(content, "userAssetDribbletDetails"):
        asset = cells.name_of(detail, "fromAsset")
        told, fee = cells.amount(detail, "transferedAmount"), cells.optional(detail, "serviceChargeAmount")
        gross = told if book.context.assumes("dust_amount", "gross") else cells.total(told, fee)
        target = cells.note(detail, "targetAsset") or "BNB"
        at = cells.moment({**content, **detail}, "operateTime")
        swap(
            book,
            record,
            f"{name}:{asset}",
            wallet="SPOT",
            given=(asset, cells.amount(detail, "amount"), "dust_sell", at),
            got=(target, gross, "dust_buy", at),
            fee=(target, fee, "dust_fee"),
        )


def _dust_places(_: Book, record: RawRecord) -> Sequence[Place]:
    details = record.content.get("userAssetDribbletDetails")
    if not isinstance(details, list) or not all(isinstance(detail, Mapping) for detail in details):
        return [("trades", "SPOT", None)]
    told = [detail.get("fromAsset") for detail in details] + [detail.get("targetAsset", "BNB") for detail in details]
    assets = dict.fromkeys(name if isinstance(name, str) else None for name in told)
    return [("trades", "SPOT", asset) for asset in assets]


def _dust_instants(_: MappingContext, record: RawRecord) -> Iterable[datetime | None]:
    content, details = record.content, record.content.get("userAssetDribbletDetails")
    parts = details if isinstance(details, list) else []
    told = [instant_of({**content, **part}.get("operateTime")) for part in parts if isinstance(part, Mapping)]
    return dict.fromkeys(told or [instant_of(content.get("operateTime"))])


# --- purchases for money ----------------------------------------------------------------------------------------------

CHANGED = ("updateTime", "createTime")
"""The fields that tell when a record about money came to be as it is."""
_PAID = ("Completed",)
_NOT_PAID = ("Failed", "Refunded", "Expired", "Cancelled", "Canceled")


def place_money(book: Book, record: RawRecord, following: Iterable[str]) -> str:
    """The wallet of a record about money, none of which states it; `following` are its rows but those of the first
    movement, which lie where that did."""
    usual = None if book.context.assumes("fiat_wallet", "spot") else "FUNDING"
    return book.place(record, usual, following=tuple(following))


def _is_paid(content: Content) -> bool:
    return is_one_of(content, "status", *_PAID)


def _was_not_paid(content: Content) -> bool:
    return is_one_of(content, "status", *_NOT_PAID)


def _fiat_payment(book: Book, record: RawRecord) -> None:
    """The source is the money and holds the fee, what is obtained is the coin, whichever way it went. A purchase takes
    money from the account only if it was paid from its balance. It counts from when it was first told as done; refunded
    since, it is undone when the venue says. Nobody saw done what is told as refunded from the first."""
    content = record.content
    is_known = is_under_way(record) or _was_not_paid(content) or _is_paid(content)
    done = spells(record, lambda told: _is_paid(told) or (told is content and not is_known), ends=_was_not_paid)
    if not done:
        return
    names = _subtypes(book, record, "status", is_known=is_known, names=("fiat_sell", "fiat_buy"))
    name, is_buy = cells.name_of(content, "orderNo"), record.call.get("transactionType", "0") == "0"
    moves = []
    for number, spell in enumerate(done, 1):
        at = first_moment(spell.told, *CHANGED)
        back = max(at, first_moment(spell.ended, *CHANGED)) if spell.ended else None
        for leg, asset, amount, subtype in last_stated(record, spell.told, partial(_paid, names=names, is_buy=is_buy)):
            suffix = f"{of_spell(name, number)}:{leg}"
            moves.append((suffix, asset, amount, subtype, at))
            if back is not None:
                moves.append((f"{suffix}:reversal", asset, cells.negative(amount), subtype, back))
    first = {f"{name}:{leg}" for leg in ("from", "to", "fee")}
    wallet = place_money(book, record, [suffix for suffix, *_ in moves if suffix not in first])
    for suffix, asset, amount, subtype, at in moves:
        book.leg(record, suffix, wallet=wallet, asset=asset, amount=amount, at=at, subtype=subtype, event=name)


def _paid(content: Content, names: tuple[str, str], *, is_buy: bool) -> list[tuple[str, str, str, str]]:
    """What a payment moves: suffix, asset, signed amount and subtype of each leg."""
    sold, bought = names
    money, coin = cells.name_of(content, "fiatCurrency"), cells.name_of(content, "cryptoCurrency")
    source, obtained = cells.amount(content, "sourceAmount"), cells.amount(content, "obtainAmount")
    fee = cells.optional(content, "totalFee")
    cost = ("fee", money, cells.negative(fee), "convert_fee")
    if not is_buy:
        return [("from", coin, cells.negative(obtained), sold), ("to", money, source, bought), cost]
    got = ("to", coin, obtained, bought)
    if content.get("paymentMethod") != CASH:
        return [got]
    return [("from", money, cells.negative(cells.minus(source, fee)), sold), got, cost]


# --- shares -----------------------------------------------------------------------------------------------------------


def _equity_trade(book: Book, record: RawRecord) -> None:
    """What was paid or received for shares. The shares themselves lie in a wallet whose balance is not told."""
    content = record.content
    side, total = cells.name_of(content, "side"), cells.amount(content, "total")
    if side not in {"BUY", "SELL"}:
        raise Malformed(f"side is {side}, BUY or SELL is expected")
    name = cells.name_of(content, "executionId")
    book.leg(
        record,
        f"{name}:quote",
        wallet="SPOT",
        asset=cells.name_of(content, "quote"),
        amount=cells.negative(total) if side == "BUY" else total,
        at=cells.moment(content, "executionAt"),
        subtype="equity_sell" if side == "BUY" else "equity_buy",
        symbol=cells.name_of(content, "symbol"),
        price=cells.amount(content, "price"),
        event=cells.note(content, "orderId"),
    )


def _equity_order(book: Book, record: RawRecord) -> None:
    """The order alone states the fee."""
    content = record.content
    fee = cells.optional(content, "fee")
    if cells.is_zero(fee) or cells.is_zero(cells.optional(content, "filledQty")):
        return
    name = cells.name_of(content, "orderId")
    book.leg(
        record,
        f"{name}:fee",
        wallet="SPOT",
        asset=cells.name_of(content, "quote"),
        amount=cells.negative(fee),
        at=cells.moment(content, "updatedAt"),
        subtype="equity_fee",
        symbol=cells.name_of(content, "symbol"),
        event=name,
    )


def _equity_token(book: Book, record: RawRecord) -> None:
    """Shares made into tokens or tokens into shares: the token is an asset of SPOT, the share is not."""
    content = record.content
    if is_under_way(record) or is_one_of(content, "status", "F", "FAILED"):
        return
    kind, name = cells.name_of(content, "convertType"), cells.name_of(content, "issuerRequestId")
    is_known = is_one_of(content, "status", "S", "SUCCESS")
    if kind not in {"MINT", "REDEEM"}:
        raise Malformed(f"convertType is {kind}, MINT or REDEEM is expected")
    amount = cells.amount(content, "tokenizedAssetAmount")
    subtype = "equity_buy" if kind == "MINT" else "equity_sell"
    what = f"status {content.get('status')!r} is not known"
    book.leg(
        record,
        f"{name}:token",
        wallet="SPOT",
        asset=cells.name_of(content, "tokenizedAsset"),
        amount=amount if kind == "MINT" else cells.negative(amount),
        at=cells.moment(content, "updatedAt", "createdAt"),
        subtype=book.known(record, subtype, is_known=is_known, what=what),
        symbol=cells.name_of(content, "underlyingAsset"),
        event=name,
    )


READERS: Mapping[str, Reader] = {
    "converts": Reader(_convert, naming("fromAsset", "toAsset", frame="trades")),
    "convert_transfers": Reader(_convert_transfer, naming("deductedAsset", "targetAsset", frame="trades")),
    "auto_invest": Reader(_auto_invest, naming("sourceAsset", "targetAsset", frame="trades")),
    "dust": Reader(_dust, _dust_places, _dust_instants),
    "fiat_payments": Reader(
        _fiat_payment,
        naming("fiatCurrency", "cryptoCurrency", frame="trades"),
        of_versions(first_stated("updateTime", "createTime")),
        looks_back=True,
    ),
    "equity_trades": Reader(_equity_trade, naming("quote", frame="trades", wallet="SPOT")),
    "equity_orders": Reader(_equity_order, naming("quote", frame="trades", wallet="SPOT"), first_stated("updatedAt")),
    "equity_tokens": Reader(
        _equity_token,
        naming("tokenizedAsset", frame="trades", wallet="SPOT"),
        first_stated("updatedAt", "createdAt"),
    ),
}
