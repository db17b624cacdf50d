"""What the venue stated to be held: the day-end snapshots that it keeps, and the reads of the present."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import Book, account_of
from recon_pipeline.venues.binance.mapping.cells import Malformed
from recon_pipeline.venues.binance.mapping.ld_tokens import LdTokens
from recon_pipeline.venues.binance.mapping.model import Problem, Row
from recon_pipeline.venues.binance.mapping.positions import unrealised_at_marks
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.binance.streams.balances import closes_no_day
from recon_pipeline.venues.binance.streams.shapes import instant_of
from recon_pipeline.venues.streams import RawRecord

MARKER_ASSET = "USDT"
"""A complete read that lists nothing is a row of this asset with balance 0, so that the snapshot exists."""
_DAY_END = time(23, 59, 59, 999_999, tzinfo=UTC)


@dataclass(frozen=True)
class Holding:
    """One position as a read states it, in exact text."""

    wallet: str
    asset: str
    balance: str
    loan: str | None = None
    interest: str | None = None
    unrealised: str | None = None
    product: str | None = None
    """Which of several products of one asset it is; None where a wallet has one position of an asset."""

    @property
    def place(self) -> tuple[str, str]:
        """Wallet and asset."""
        return self.wallet, self.asset

    @property
    def figures(self) -> tuple[Decimal | None, ...]:
        """What is held, owed and not realised, however it is written."""
        told = (self.balance, self.loan, self.interest, self.unrealised)
        return tuple(None if text is None else Decimal(text) for text in told)


@dataclass(frozen=True)
class Cut:
    """The read that the rows are of, as far as it can be told."""

    record: RawRecord
    account: str
    wallet: str | None
    as_of: datetime | None
    date: date | None

    @property
    def snapshot_id(self) -> str:
        """Holds the rows of the read together."""
        return f"{self.record.stream}:{self.as_of.isoformat() if self.as_of else ''}"


Holdings = Callable[[Mapping[str, Any]], Iterable[Holding]]
"""The positions of one entry of a list; raises Malformed for an entry that cannot be believed."""


# --- entries ----------------------------------------------------------------------------------------------------------


def _spot(entry: Mapping[str, Any], wallet: str = "SPOT") -> Iterable[Holding]:
    held = cells.total(cells.amount(entry, "free"), cells.amount(entry, "locked"))
    yield Holding(wallet, cells.name_of(entry, "asset"), held)


def _held(entry: Mapping[str, Any], wallet: str) -> Iterable[Holding]:
    """Free, locked and frozen; what is being withdrawn has left."""
    parts = (cells.amount(entry, "free"), cells.amount(entry, "locked"), cells.optional(entry, "freeze"))
    yield Holding(wallet, cells.name_of(entry, "asset"), cells.total(*parts))


def _margin(entry: Mapping[str, Any], wallet: str = "MARGIN") -> Iterable[Holding]:
    held = cells.total(cells.amount(entry, "free"), cells.amount(entry, "locked"))
    loan, interest = cells.amount(entry, "borrowed"), cells.amount(entry, "interest")
    yield Holding(wallet, cells.name_of(entry, "asset"), held, loan, interest)


def _isolated(entry: Mapping[str, Any]) -> Iterable[Holding]:
    wallet = f"ISOLATED_MARGIN:{cells.name_of(entry, 'symbol')}"
    for side in ("baseAsset", "quoteAsset"):
        inner = entry.get(side)
        if not isinstance(inner, Mapping):
            raise Malformed(f"{side} is missing, an object is expected")
        yield from _margin(inner, wallet)


def _futures_snapshot(entry: Mapping[str, Any], wallet: str = "FUTURES") -> Iterable[Holding]:
    held, margin = cells.amount(entry, "walletBalance"), cells.amount(entry, "marginBalance")
    yield Holding(wallet, cells.name_of(entry, "asset"), held, unrealised=cells.minus(margin, held))


def _futures_live(entry: Mapping[str, Any], wallet: str) -> Iterable[Holding]:
    held = cells.amount(entry, "balance")
    yield Holding(wallet, cells.name_of(entry, "asset"), held, unrealised=cells.optional(entry, "crossUnPnl"))


def _listed_under(name: str, holdings: Holdings) -> Holdings:
    """The positions of an answer that is one object with a list in it."""

    def inside(entry: Mapping[str, Any]) -> Iterable[Holding]:
        for inner in cells.items(entry, name):
            yield from holdings(inner)

    return inside


def _sub_futures(answer: str, wallet: str) -> Holdings:
    """What a master is told of a sub-account's futures."""

    def inside(entry: Mapping[str, Any]) -> Iterable[Holding]:
        told = entry.get(answer)
        if not isinstance(told, Mapping):
            raise Malformed(f"{answer} is missing, an object is expected")
        for inner in cells.items(told, "assets"):
            yield from _futures_snapshot(inner, wallet)

    return inside


def _option(entry: Mapping[str, Any]) -> Iterable[Holding]:
    held, unrealised = cells.amount(entry, "marginBalance"), cells.optional(entry, "unrealizedPNL")
    yield Holding("OPTION", cells.name_of(entry, "asset"), held, unrealised=unrealised)


def _portfolio(entry: Mapping[str, Any]) -> Iterable[Holding]:
    """The venue's total is what the parts hold, free and locked; what is owed is not taken off it."""
    loan, owed = cells.optional(entry, "crossMarginBorrowed"), cells.optional(entry, "crossMarginInterest")
    held = cells.amount(entry, "totalWalletBalance")
    unrealised = cells.total(cells.optional(entry, "umUnrealizedPNL"), cells.optional(entry, "cmUnrealizedPNL"))
    yield Holding("PORTFOLIO_MARGIN", cells.name_of(entry, "asset"), held, loan, owed, unrealised)


def _flexible(entry: Mapping[str, Any]) -> Iterable[Holding]:
    asset = cells.name_of(entry, "asset")
    product = f"flexible:{cells.note(entry, 'productId')}:{asset}"
    yield Holding("EARN", asset, cells.amount(entry, "totalAmount"), product=product)


def _locked(entry: Mapping[str, Any], kind: str) -> Iterable[Holding]:
    """What is being redeemed is still on its way: it leaves the position when it is delivered."""
    held = cells.total(cells.amount(entry, "amount"), cells.optional(entry, "redeemingAmt"))
    product = f"{kind}:{cells.name_of(entry, 'positionId')}"
    yield Holding("EARN", cells.name_of(entry, "asset"), held, product=product)


# --- day-end snapshots ------------------------------------------------------------------------------------------------

_SNAPSHOTS: Mapping[str, tuple[str, str, Holdings]] = {
    "spot": ("SPOT", "balances", _spot),
    "margin": ("MARGIN", "userAssets", _margin),
    "futures": ("FUTURES", "assets", _futures_snapshot),
}
SNAPSHOT_STREAMS = ("spot_snapshots", "margin_snapshots", "futures_snapshots", "managed_snapshots")


def map_snapshots(book: Book, records: Iterable[RawRecord], ld_tokens: LdTokens) -> None:
    """Each day's snapshot of a wallet: true at the end of the day that its stamp names."""
    for record in records:
        book.note_fields(record, BY_NAME[record.stream].known)
        content = record.content
        told = instant_of(content.get("updateTime"))
        entry = _SNAPSHOTS.get(str(content.get("type", record.call.get("type"))).lower())
        account = account_of(record)
        as_of = told
        if told is not None and book.context.assumes("snapshot_as_of", "end_of_day"):
            as_of = datetime.combine(told.date(), _DAY_END)
        cut = Cut(record, account, entry[0] if entry else None, as_of, told.date() if told else None)
        data = content.get("data")
        if told is None or entry is None or not isinstance(data, Mapping):
            _spoil(book, cut, "updateTime, type or data is not as documented")
            continue
        if closes_no_day(content):
            text = f"a {entry[0]} snapshot stamped {told:%H:%M:%S}, when no day ends: it closes none"
            book.tell("unknown_value", record, text)
            continue
        try:
            entries = cells.items(data, entry[1])
        except Malformed as malformed:
            _spoil(book, cut, str(malformed))
            continue
        found, is_whole = _read(book, cut, entries, entry[2])
        recomputed = _recomputed(book, cut, data, entries)
        _write(book, cut, found, ld_tokens, marked={cut.wallet} if is_whole else (), recomputed=recomputed)


def _recomputed(
    book: Book, cut: Cut, data: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
) -> Mapping[str, str]:
    """What is not realised of each asset, by the positions that stand in the snapshot, if any do. It is shown beside
    what the venue states: where it cannot be told it is left out, and no balance is spoiled."""
    if cut.wallet != "FUTURES" or data.get("position") is None:
        return {}
    try:
        return unrealised_at_marks(cells.items(data, "position"), [cells.name_of(each, "asset") for each in entries])
    except Malformed as malformed:
        book.tell("unknown_value", cut.record, f"what is not realised is not recomputed: {malformed}")
        return {}


# --- reads of the present ---------------------------------------------------------------------------------------------

_CAPTURES: Mapping[str, tuple[str, Holdings]] = {
    "spot_account": ("SPOT", _listed_under("balances", _spot)),
    "funding_assets": ("FUNDING", lambda entry: _held(entry, "FUNDING")),
    "flexible_positions": ("EARN", _flexible),
    "locked_positions": ("EARN", lambda entry: _locked(entry, "locked")),
    "onchain_positions": ("EARN", lambda entry: _locked(entry, "onchain")),
    "margin_account": ("MARGIN", _listed_under("userAssets", _margin)),
    "isolated_account": ("ISOLATED_MARGIN", _isolated),
    "futures_balance": ("FUTURES", lambda entry: _futures_live(entry, "FUTURES")),
    "futures_coin_balance": ("FUTURES_COIN", lambda entry: _futures_live(entry, "FUTURES_COIN")),
    "option_account": ("OPTION", _listed_under("asset", _option)),
    "portfolio_margin_balance": ("PORTFOLIO_MARGIN", _portfolio),
    "sub_assets": ("SPOT", lambda entry: _held(entry, "SPOT")),
    "sub_margin_account": ("MARGIN", _listed_under("marginUserAssetVoList", _margin)),
    "sub_futures_account": ("FUTURES", _sub_futures("futureAccountResp", "FUTURES")),
    "sub_futures_coin_account": ("FUTURES_COIN", _sub_futures("deliveryAccountResp", "FUTURES_COIN")),
}
CAPTURE_STREAMS = tuple(_CAPTURES)
CAPTURED_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "EARN": ("flexible_positions", "locked_positions", "onchain_positions")
}
"""Wallets whose balance several streams make up: their reads are one capture, and none of them may be missing."""


def capture_content(as_of: datetime, day: date, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The content of a capture's record: all rows of one stream, the cut and the day that it closes.

    A capture of several streams is one record for each, all of one as_of; a product that the account does not have
    gives no rows.
    """
    return {"as_of": as_of.isoformat(), "date": day.isoformat(), "rows": list(rows)}


def map_captures(book: Book, records: Iterable[RawRecord], ld_tokens: LdTokens) -> None:
    """Each capture: the rows of its streams, together."""
    captures: dict[tuple[str, str, str], list[RawRecord]] = {}
    for record in records:
        account = account_of(record)
        wallet = _CAPTURES[record.stream][0]
        source = wallet if wallet in CAPTURED_TOGETHER else record.stream
        captures.setdefault((account, source, str(record.content.get("as_of"))), []).append(record)
    isolated: dict[str, set[str]] = {}
    for (account, _, _), parts in sorted(captures.items(), key=lambda item: item[0]):
        _capture(book, account, parts, ld_tokens, isolated.setdefault(account, set()))


def _capture(book: Book, account: str, parts: Sequence[RawRecord], ld_tokens: LdTokens, isolated: set[str]) -> None:
    """`isolated` are the wallets of isolated margin that an earlier capture listed; those of this one are added."""
    first = parts[0]
    wallet = _CAPTURES[first.stream][0]
    as_of, day = instant_of(first.content.get("as_of")), _day(first.content.get("date"))
    cut = Cut(first, account, wallet, as_of, day)
    missing = set(CAPTURED_TOGETHER.get(wallet, ())) - {part.stream for part in parts}
    if as_of is None or day is None or missing:
        _spoil(book, cut, f"{', '.join(sorted(missing))} is missing" if missing else "as_of or date is missing")
        return
    found: list[Holding] = []
    is_whole = True
    for part in parts:
        stream = BY_NAME[part.stream]
        try:
            rows = cells.items(part.content, "rows")
        except Malformed as malformed:
            _spoil(book, cut, str(malformed))
            return
        for name in sorted({name for row in rows for name in row} - stream.known):
            book.note_field(part, name)
        held, is_good = _read(book, cut, rows, _CAPTURES[part.stream][1])
        found, is_whole = [*found, *held], is_whole and is_good
    marked: Collection[str | None] = {wallet}
    if wallet == "ISOLATED_MARGIN":  # a wallet for each symbol: one that is not listed any more holds nothing
        isolated |= {one.wallet for one in found}
        marked = isolated
    _write(book, cut, found, ld_tokens, marked=marked if is_whole else ())


def _day(told: Any) -> date | None:
    try:
        return date.fromisoformat(str(told))
    except ValueError:
        return None


# --- rows -------------------------------------------------------------------------------------------------------------


def _read(book: Book, cut: Cut, entries: Sequence[Mapping[str, Any]], holdings: Holdings) -> tuple[list[Holding], bool]:
    """The positions, and whether every entry could be believed."""
    found: list[Holding] = []
    is_whole = True
    for entry in entries:
        try:
            found.extend(list(holdings(entry)))
        except Malformed as malformed:
            _spoil(book, cut, str(malformed), entry)
            is_whole = False
    return found, is_whole


def _spoil(
    book: Book, cut: Cut, text: str, entry: Mapping[str, Any] | None = None, *, wallet: str | None = None
) -> None:
    """A balance that cannot be believed spoils its position and date; without an asset, the wallet's snapshot."""
    asset = entry.get("asset") if entry is not None else None
    book.mapped.problems.append(
        Problem(
            "malformed",
            cut.account,
            cut.record.stream,
            cut.record.key,
            text,
            cut.record.digest,
            frame="balances",
            wallet=wallet or cut.wallet,
            asset=asset if isinstance(asset, str) else None,
            instant=cut.as_of,
            date=cut.date,
            content=json.dumps(entry if entry is not None else cut.record.content, default=str, sort_keys=True),
        )
    )


def _write(
    book: Book,
    cut: Cut,
    found: Iterable[Holding],
    ld_tokens: LdTokens,
    *,
    marked: Collection[str | None],
    recomputed: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """One row for each position, what several products hold of it added up; a wallet to be marked that has none gets
    a row that says so. Of a read of which an entry could not be believed none is: it did not list nothing."""
    held: dict[tuple[str, str], Holding] = {}
    kept = (one for one in found if one.wallet != "SPOT" or not ld_tokens.takes_out(one.asset))
    counted, doubted = _told_once(kept)
    refused: dict[tuple[str, str], str] = {}
    for one in counted:
        if one.wallet == "SPOT" and ld_tokens.looks_like(one.asset):
            text = f"{one.asset} may be a token of flexible savings; it is kept in SPOT"
            book.tell("unknown_value", cut.record, text)
        try:
            held[one.place] = _sum(held[one.place], one) if one.place in held else one
        except Malformed as malformed:
            refused[one.place] = str(malformed)
    for (wallet, asset), tellings in doubted.items():
        text = f"{asset} is told twice in one read: {' and '.join(tellings)}"
        _spoil(book, cut, text, {"asset": asset, "told": tellings}, wallet=wallet)
        held.pop((wallet, asset), None)
    for (wallet, asset), text in refused.items():
        _spoil(book, cut, text, {"asset": asset}, wallet=wallet)
        held.pop((wallet, asset), None)
    for wallet in sorted(filter(None, set(marked) - {wallet for wallet, _ in (*held, *doubted, *refused)})):
        held[wallet, MARKER_ASSET] = Holding(wallet, MARKER_ASSET, "0")
    book.mapped.balances.extend(_row(cut, one, recomputed.get(one.asset)) for one in held.values())


def _told_once(found: Iterable[Holding]) -> tuple[Sequence[Holding], Mapping[tuple[str, str], Sequence[str]]]:
    """Each position and product once; and the positions that one read tells of twice, in two ways, with both."""
    told: dict[tuple[str, str], Holding] = {}
    doubted: dict[tuple[str, str], list[str]] = {}
    for one in found:
        first = told.setdefault((one.wallet, one.product or one.asset), one)
        if (first.place, first.figures) != (one.place, one.figures):
            for place in {first.place: None, one.place: None}:
                doubted.setdefault(place, []).extend(f"{each.balance} {each.asset}" for each in (first, one))
    return list(told.values()), doubted


def _sum(one: Holding, other: Holding) -> Holding:
    def added(a: str | None, b: str | None) -> str | None:
        return b if a is None else a if b is None else cells.total(a, b)

    return Holding(
        one.wallet,
        one.asset,
        cells.total(one.balance, other.balance),
        added(one.loan, other.loan),
        added(one.interest, other.interest),
        added(one.unrealised, other.unrealised),
    )


def _row(cut: Cut, one: Holding, recomputed: str | None) -> Row:
    return {
        "account": cut.account,
        "wallet": one.wallet,
        "asset": one.asset,
        "as_of": cut.as_of,
        "date": cut.date,
        "snapshot_id": cut.snapshot_id,
        "read_at": cut.as_of,
        "raw_balance": one.balance,
        "raw_loan": one.loan,
        "raw_interest": one.interest,
        "raw_unrealised_pnl": one.unrealised,
        "marked_unrealised_pnl": recomputed,
        "source": cut.record.stream,
        "raw_id": cut.record.digest,
    }
