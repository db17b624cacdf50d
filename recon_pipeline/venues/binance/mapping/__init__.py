"""Binance's records into canonical rows: pure functions, nothing read and nothing written.

`map_records` takes the records of any streams and accounts, in any order, and gives the same rows for the same records.
Records that tell of one event in two streams must be given together; those of MAPPED_ALONE may be given in any parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from recon_pipeline.venues.binance.mapping import (
    conversions,
    derivatives,
    earn,
    in_and_out,
    income,
    loans,
    margin,
    own_transfers,
    payments,
    trades,
)
from recon_pipeline.venues.binance.mapping.balances import (
    CAPTURE_STREAMS,
    CAPTURED_TOGETHER,
    MARKER_ASSET,
    SNAPSHOT_STREAMS,
    capture_content,
    map_captures,
    map_snapshots,
)
from recon_pipeline.venues.binance.mapping.book import (
    Book,
    Place,
    Reader,
    account_of,
    instant_told,
    moved_at,
    read_each,
)
from recon_pipeline.venues.binance.mapping.cells import Malformed
from recon_pipeline.venues.binance.mapping.ld_tokens import OF_FLEXIBLE, LdTokens, assets_in_earn
from recon_pipeline.venues.binance.mapping.model import (
    DOUBTS,
    Mapped,
    MappingContext,
    Problem,
    Row,
    Unplaced,
    as_table,
    quarantine_row,
)
from recon_pipeline.venues.binance.mapping.prices import close_of, map_prices, price_ways
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.streams import RawRecord

__all__ = [
    "CAPTURED_TOGETHER",
    "DOUBTS",
    "MAPPED_ALONE",
    "MAPPED_STREAMS",
    "MARKER_ASSET",
    "OF_FLEXIBLE",
    "READ_BESIDE",
    "RETURNS",
    "Malformed",
    "Mapped",
    "MappingContext",
    "Problem",
    "Row",
    "Unplaced",
    "accounts_of",
    "as_table",
    "assets_in_earn",
    "capture_content",
    "close_of",
    "instants_of",
    "map_records",
    "places_of",
    "price_ways",
    "quarantine_row",
]

Records = Mapping[str, Sequence[RawRecord]]

READERS: Mapping[str, Reader] = {
    "withdrawals": in_and_out.WITHDRAWAL,
    "spot_trades": trades.SPOT_TRADE,
    "allocations": trades.ALLOCATION,
    "spot_algo_sub_orders": trades.ALGO_CHILD,
    **conversions.READERS,
    **payments.READERS,
    **income.READERS,
    **earn.READERS,
    **loans.READERS,
    **margin.READERS,
    **derivatives.READERS,
}
"""The streams whose records are read one by one."""
RETURNS = {
    stream: reader.has_failed or (lambda _: True)
    for stream, reader in READERS.items()
    if reader.has_failed is not None or reader.looks_back
}
"""Of which records of a stream the mapping has to know how they were told before: of those that need not state when
what failed came back those that say that it did, of others all that have changed."""
MAPPED_ALONE = frozenset(READERS)
"""The streams whose rows come from one record each."""
READ_BESIDE = frozenset({"spot_orders"})
"""Streams without rows of their own that say what others mean."""
_DEPOSITS = ("deposits", "sub_deposits")


def map_records(records: Iterable[RawRecord], context: MappingContext) -> Mapped:
    """The canonical rows of the records, and what a person has to look at."""
    by_stream: dict[str, list[RawRecord]] = {}
    for record in sorted(records, key=lambda r: (r.stream, r.account, r.key, r.fid)):
        by_stream.setdefault(record.stream, []).append(record)
    book = Book(context)
    for stream, reader in READERS.items():
        read_each(book, by_stream.get(stream, ()), reader)
    for read_together in _TOGETHER:
        read_together(book, by_stream)
    return book.finish()


def accounts_of(record: RawRecord, context: MappingContext) -> Sequence[str]:
    """Our accounts that a record may have moved: those that a transfer names, else the one that it was told of."""
    if record.stream in own_transfers.SOURCES:
        return own_transfers.accounts_of(record, context)
    return [account_of(record)]


def places_of(record: RawRecord, context: MappingContext) -> Sequence[Place]:
    """The positions that a flow's record may have moved, as far as it names them, whatever else it says."""
    reader = READERS.get(record.stream, in_and_out.DEPOSIT if record.stream in _DEPOSITS else None)
    if reader is not None:
        return list(reader.places(Book(context), record))
    return [("transfers", wallet, None) for wallet in BY_NAME[record.stream].wallets]


def instants_of(record: RawRecord, context: MappingContext) -> Sequence[datetime | None]:
    """When a flow's record may have moved them; None for an instant that cannot be told."""
    reader = READERS.get(record.stream, in_and_out.DEPOSIT if record.stream in _DEPOSITS else None)
    return [instant_told(record)] if reader is None else moved_at(reader, record, context)


def _balances(book: Book, records: Records) -> None:
    ld_tokens = _ld_tokens(book, records)
    for stream in SNAPSHOT_STREAMS:
        map_snapshots(book, records.get(stream, ()), ld_tokens)
    map_captures(book, [record for stream in CAPTURE_STREAMS for record in records.get(stream, ())], ld_tokens)


def _ld_tokens(book: Book, records: Records) -> LdTokens:
    """Every asset that was ever in a flexible product has an LD token."""
    told = (record for of_stream in records.values() for record in of_stream)
    listed = frozenset(asset for pair in book.context.symbols.values() for asset in pair)
    return LdTokens(book.context.earn_assets | assets_in_earn(told), listed)


def _prevented(book: Book, records: Records) -> None:
    trades.prevented_matches(book, records.get("prevented_matches", ()), records.get("spot_orders", ()))


def _alone(read: Callable[[Book, Iterable[RawRecord]], None], stream: str, book: Book, records: Records) -> None:
    read(book, records.get(stream, ()))


_TOGETHER: Sequence[Callable[[Book, Records], None]] = (
    in_and_out.map_deposits,
    own_transfers.map_own_transfers,
    _prevented,
    _balances,
    partial(_alone, map_prices, "klines"),
)

MAPPED_STREAMS: frozenset[str] = frozenset(
    {
        *READERS,
        *own_transfers.SOURCES,
        *CAPTURE_STREAMS,
        *SNAPSHOT_STREAMS,
        "deposits",
        "sub_deposits",
        "prevented_matches",
        "klines",
    }
)
"""The streams whose records the mapping reads; those of all others are kept raw."""
