"""Where the mapping of a record writes to: rows, and what it could not know."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from recon_pipeline.frames.registry import UNKNOWN
from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.cells import Malformed
from recon_pipeline.venues.binance.mapping.model import Kind, Mapped, MappingContext, Problem, Row, Unplaced
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.binance.streams.shapes import instant_of
from recon_pipeline.venues.streams import Content, RawRecord

Measure = Literal["balance", "loan", "interest"]
Says = Callable[[Content], bool]
T = TypeVar("T")
_HALF_A_DAY = timedelta(hours=12)


class Book:
    """The rows of one mapping, and the words in which each record's rows are written."""

    def __init__(self, context: MappingContext) -> None:
        self.context = context
        self.mapped = Mapped()
        self._unknown_fields: dict[tuple[str, str, str], RawRecord] = {}

    # --- rows -------------------------------------------------------------------------------------------------------

    def transfer(
        self,
        record: RawRecord,
        suffix: str,
        *,
        wallet: str,
        asset: str,
        amount: str,
        at: datetime,
        subtype: str,
        account: str | None = None,
        source: str | None = None,
        is_fee: bool = False,
        measure: Measure = "balance",
        counter_party: str | None = None,
        network: str | None = None,
        txn_hash: str | None = None,
    ) -> None:
        """One signed change; `suffix` is its external id. A change of nothing is no row."""
        if cells.is_zero(amount):
            return
        by_sign = "transfer_out" if amount[0] == "-" else "transfer_in"
        self.mapped.transfers.append(
            {
                "account": account or record.account,
                "wallet": wallet,
                "source": source or record.stream,
                "external_id": suffix,
                "datetime": at,
                "txn_type": "txn_fee" if is_fee else by_sign,
                "txn_subtype": subtype,
                "measure": measure,
                "asset": asset,
                "amount": amount,
                "counter_party": counter_party,
                "network": network,
                "txn_hash": txn_hash,
                "raw_id": record.digest,
            }
        )

    def leg(
        self,
        record: RawRecord,
        suffix: str,
        *,
        wallet: str,
        asset: str,
        amount: str,
        at: datetime,
        subtype: str,
        symbol: str | None = None,
        price: str | None = None,
        event: str | None = None,
    ) -> None:
        """One leg of a fill or a conversion; `event` ties the legs. A leg of nothing is no row."""
        if cells.is_zero(amount):
            return
        self.mapped.trades.append(
            {
                "account": record.account,
                "wallet": wallet,
                "source": record.stream,
                "external_id": suffix,
                "datetime": at,
                "txn_type": "trade",
                "txn_subtype": subtype,
                "measure": "balance",
                "symbol": symbol,
                "asset": asset,
                "amount": amount,
                "price": price,
                "agg_id": event,
                "raw_id": record.digest,
            }
        )

    def expect(self, record: RawRecord, *, wallet: str, asset: str, amount: str, reason: str, has_failed: Says) -> None:
        """A residual that will pass by the day on which the record was first read as failed."""
        row: Row = {"account": record.account, "wallet": wallet, "asset": asset, "amount": amount}
        read_at, _ = _failed_since(record, has_failed)
        self.mapped.expected.append({**row, "expected_by": read_at.date(), "reason": reason})

    def came_back(self, record: RawRecord, left: datetime, has_failed: Says) -> datetime:
        """When money that had left came back, which the venue does not state.

        Told under way before, it came back between two reads, a day apart: the middle is in the window that holds most
        of that day. Never told under way, nobody saw it gone: it is booked as never gone. What is told of it after it
        has failed moves nothing.
        """
        failed_at, was_under_way = _failed_since(record, has_failed)
        return max(left, failed_at - _HALF_A_DAY) if was_under_way else left

    # --- wallets that no record states ------------------------------------------------------------------------------

    def place(
        self,
        record: RawRecord,
        usual: str | None = None,
        *,
        fixed: tuple[str, ...] = (),
        following: tuple[str, ...] = (),
    ) -> str:
        """The wallet of a record that states none: as decided, else the usual one of such records, else the account's
        default. It is marked. `fixed` are the external ids of its rows whose wallet is known all the same, `following`
        those of its rows that undo others."""
        account, usual = account_of(record), usual or self.default_wallet(record)
        decided = self.context.decisions.get(record.digest)
        unplaced = Unplaced(account, record.stream, record.key, record.digest, usual, decided, fixed, following)
        self.mapped.unplaced.append(unplaced)
        return unplaced.wallet

    def default_wallet(self, record: RawRecord) -> str:
        """Where what no record states lies, by recon.yaml."""
        facts = self.context.accounts.get(account_of(record))
        return facts.default_wallet if facts else "SPOT"

    # --- what a person has to see -----------------------------------------------------------------------------------

    def tell(self, kind: Kind, record: RawRecord, text: str, *, moved: str | None = None) -> None:
        """Something that did not stop the mapping. `moved` is the field that says when money moved, if any does;
        what it says is not judged here."""
        at = instant_of(record.content.get(moved)) if moved else None
        account = account_of(record)
        self.mapped.problems.append(Problem(kind, account, record.stream, record.key, text, record.digest, instant=at))

    def known(self, record: RawRecord, subtype: str, *, is_known: bool, what: str) -> str:
        """The subtype, or `unknown` with a word to a person where the record says something new."""
        if is_known:
            return subtype
        self.tell("unknown_value", record, what)
        return UNKNOWN

    def note_fields(self, record: RawRecord, known: frozenset[str]) -> None:
        """Notes the fields that the mapping does not know; told once for an account and stream."""
        for name in record.content.keys() - known:
            self.note_field(record, name)

    def note_field(self, record: RawRecord, name: str) -> None:
        """Notes one field that the mapping does not know."""
        self._unknown_fields.setdefault((record.account, record.stream, name), record)

    def finish(self) -> Mapped:
        """The mapping's outcome."""
        for (_, _, name), record in sorted(self._unknown_fields.items(), key=lambda item: item[0]):
            self.tell("unknown_field", record, f"the field {name} is new")
        return self.mapped

    def quarantine(
        self, record: RawRecord, text: str, places: Iterable[Place], at: datetime | None, *, account: str | None = None
    ) -> None:
        """A record that cannot be believed, for each position that it may have moved."""
        told = json.dumps(dict(record.content), default=str, ensure_ascii=False, sort_keys=True)
        for frame, wallet, asset in places:
            self.mapped.problems.append(
                Problem(
                    "malformed",
                    account or account_of(record),
                    record.stream,
                    record.key,
                    text,
                    record.digest,
                    frame=frame,
                    wallet=wallet,
                    asset=asset,
                    instant=at,
                    content=told,
                )
            )


Place = tuple[str, str | None, str | None]
"""Frame, wallet and asset of a position that a malformed record may have moved."""
OfRecord = Callable[[Book, RawRecord], None]
Places = Callable[[Book, RawRecord], Iterable[Place]]
Instants = Callable[[MappingContext, RawRecord], Iterable[datetime | None]]
"""When a record that cannot be believed may have moved something; None for an instant that cannot be told."""


@dataclass(frozen=True)
class Reader:
    """How the records of one stream are read, and which positions one may have moved that cannot be, and when: if
    `instants` is None at the instant by which the venue files it."""

    read: OfRecord
    places: Places
    instants: Instants | None = None
    has_failed: Says | None = None
    """Whether a record says that what had left came back, of a stream that need not state when it did."""
    looks_back: bool = False
    """Whether what a record was before it changed says more than what it is now."""


def first_stated(*names: str) -> Instants:
    """The instant that `cells.moment` takes from these fields."""

    def instants(_: MappingContext, record: RawRecord) -> Sequence[datetime | None]:
        try:
            return [cells.moment(record.content, *names)]
        except Malformed:
            return [None]

    return instants


def each_of(*parts: Instants) -> Instants:
    """All instants of records that move something more than once."""
    return lambda context, record: dict.fromkeys(at for part in parts for at in part(context, record))


def naming(*assets: str, frame: str = "transfers", wallet: str | None = None) -> Places:
    """The positions that the fields name, in a wallet if it is always the same; the account's if none can be told."""

    def places(_: Book, record: RawRecord) -> Sequence[Place]:
        found = [record.content.get(name) for name in assets]
        told = [value for value in found if isinstance(value, str) and value]
        if not told or len(told) < len(assets):
            return [(frame, wallet, None)]
        return [(frame, wallet, asset) for asset in dict.fromkeys(told)]

    return places


def read_each(book: Book, records: Iterable[RawRecord], reader: Reader) -> None:
    """Reads each record alone; one that is malformed leaves no row and goes to quarantine."""
    mapped = book.mapped
    for record in records:
        stream = BY_NAME[record.stream]
        before = (len(mapped.transfers), len(mapped.trades), len(mapped.expected), len(mapped.unplaced))
        problems = len(mapped.problems)
        try:
            reader.read(book, record)
        except Malformed as malformed:
            transfers, trades, expected, unplaced = before
            del mapped.transfers[transfers:], mapped.trades[trades:]
            del mapped.expected[expected:], mapped.unplaced[unplaced:], mapped.problems[problems:]
            places = list(reader.places(book, record))
            for at in moved_at(reader, record, book.context):
                book.quarantine(record, str(malformed), places, at)
        if not record.content.keys() <= stream.known:
            book.note_fields(record, stream.known)


def account_of(record: RawRecord) -> str:
    """Whose the record is: the sub-account's that a master's key was asked about, else the account's that asked."""
    return record.call.get("email", record.account)


def moved_at(reader: Reader, record: RawRecord, context: MappingContext) -> Sequence[datetime | None]:
    """When a record may have moved something."""
    told = [instant_told(record)] if reader.instants is None else list(reader.instants(context, record))
    if reader.has_failed is not None and reader.has_failed(record.content):
        failed_at, was_under_way = _failed_since(record, reader.has_failed)
        told += [failed_at - _HALF_A_DAY] if was_under_way else []
    return list(dict.fromkeys(told))


def versions(record: RawRecord) -> list[Content]:
    """How the venue told of a record, oldest first: of a stream that looks back every way, else the one that counts."""
    return [*(content for _, content in record.before), record.content]


@dataclass(frozen=True)
class Spell:
    """How a record was told for as long as something held, and how since it had ended; oldest first."""

    told: list[Content]
    ended: list[Content] = field(default_factory=list)


def spells(record: RawRecord, holds: Says, ends: Says) -> list[Spell]:
    """The spells in which a record was told to hold, oldest first. What says neither ends none; a record that is told
    word for word as it was before it ended has never ended."""
    found: list[Spell] = []
    for content in versions(record):
        if holds(content):
            if found and content in found[-1].told:
                found[-1].ended.clear()
            elif not found or found[-1].ended:
                found.append(Spell([]))
            found[-1].told.append(content)
        elif found and ends(content):
            found[-1].ended.append(content)
    return found


def of_spell(name: str, number: int) -> str:
    """What the rows of a record's spells are named after, the first of which is number 1."""
    return name if number == 1 else f"{name}:{number}"


def last_stated(record: RawRecord, told: Sequence[Content], read: Callable[[Content], T]) -> T:
    """What the last of these tellings states; of a record that is told otherwise by now, the last that can be read."""
    for content in reversed(told):
        if content is record.content:
            break
        with suppress(Malformed):
            return read(content)
    return read(told[-1])


def first_moment(told: Sequence[Content], *names: str) -> datetime:
    """When a record came to say what it does, by the first telling whose instant can be read; Malformed if none can."""
    for content in told:
        with suppress(Malformed):
            return cells.moment(content, *names)
    return cells.moment(told[-1], *names)


def of_versions(instants: Instants) -> Instants:
    """The instants of a record in every way in which it was told."""

    def of_each(context: MappingContext, record: RawRecord) -> Iterable[datetime | None]:
        told = (replace(record, content=content, before=()) for content in versions(record))
        return dict.fromkeys(at for version in told for at in instants(context, version))

    return of_each


def _failed_since(record: RawRecord, has_failed: Says) -> tuple[datetime, bool]:
    """When a record was first read as failed, as it has been ever since; and whether it was told otherwise before."""
    since = record.read_at
    for read_at, content in reversed(record.before):
        if not has_failed(content):
            return since, True
        since = read_at
    return since, False


def instant_told(record: RawRecord) -> datetime | None:
    """The instant of a record as far as it can be told."""
    return BY_NAME[record.stream].instant(record.content)


def is_under_way(record: RawRecord) -> bool:
    """Whether the record says that what it tells of is not done yet: by the same words its day is kept open."""
    return BY_NAME[record.stream].is_pending(record.content)


def is_one_of(content: Content, name: str, *values: str) -> bool:
    """Whether the field has one of the values, without regard to case or to whether it is a number or text."""
    return str(content.get(name)).casefold() in {value.casefold() for value in values}
