"""The file of one partition: what its columns must be, how rows become the same bytes, what its footer says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recon_pipeline.errors import StoreError
from recon_pipeline.frames.schema import FRAMES, Frame
from recon_pipeline.stores.folders import refused

Partition = tuple[str, str, date]
"""A frame's name, a venue and a day."""
_ARROW_METADATA = b"ARROW:schema"


class Footer(NamedTuple):
    """What a partition's file says of itself."""

    rows: int
    metadata: dict[str, str]


@lru_cache
def _schemas(frame: str) -> tuple[pa.Schema, pa.Schema]:
    """A frame's whole schema and that of its files, made once: they are asked for with every file."""
    return FRAMES[frame].arrow, FRAMES[frame].arrow_in_lake


def sha256(file: BinaryIO) -> str:
    """The hex digest of a file from where it stands, a megabyte at a time."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def footer_of(metadata: pq.FileMetaData) -> Footer:
    """Rows and key-value metadata, Arrow's own entry left out."""
    pairs = (metadata.metadata or {}).items()
    return Footer(metadata.num_rows, {k.decode(): v.decode() for k, v in pairs if k != _ARROW_METADATA})


def mismatch(where: str, found: str, expected: str) -> StoreError:
    """The error for rows that no correct caller would store; its text holds no amount."""
    return StoreError(
        f"rows that do not belong into this partition: {found}",
        where=where,
        expected=expected,
        next_step="this is a fault of the program: report it with this text",
    )


def partition_rows(frame: Frame, venue: str, day: date, table: pa.Table, where: str) -> pa.Table:
    """The columns of a partition's file, in the file's types; every row checked to be of that venue and day."""
    names, (whole, held) = table.schema.names, _schemas(frame.name)
    if set(names) - set(whole.names) or set(held.names) - set(names) or len(set(names)) < len(names):
        raise mismatch(where, f"columns {', '.join(names)}", ", ".join(held.names))
    if "venue" in names and any(value != venue for value in pc.unique(table["venue"]).to_pylist()):
        raise mismatch(where, "another venue's rows", f"venue {venue} in every row")
    if frame.partitioned_by in names:
        placed_by = table[frame.partitioned_by]
        if pa.types.is_timestamp(placed_by.type):  # a cast to a date takes the day of the column's own zone
            placed_by = placed_by.cast(pa.timestamp(placed_by.type.unit, "UTC"))
        days = pc.unique(placed_by.cast(pa.date32())).to_pylist()
        if any(value != day for value in days):
            raise mismatch(where, f"rows of {', '.join(map(str, days))}", f"{frame.partitioned_by} on {day} (UTC)")
    return cast_exactly(table.select(held.names), held, where)


def cast_exactly(table: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    """Cast without loss: a float, a naive instant, a finer scale and a null where none may be are refused."""
    for column in schema:
        found = table.schema.field(column.name).type
        if not (found == column.type or pa.types.is_null(found) or _kind(found) == _kind(column.type)):
            raise mismatch(where, f"{column.name} is {found}", f"{column.name} as {column.type}")
    try:
        return table.cast(schema)
    except (pa.ArrowInvalid, ValueError) as error:
        # Arrow's text may quote an amount, which an error must not.
        bad = ", ".join(c.name for c in schema if not c.nullable and table[c.name].null_count)
        found = f"a null in {bad}" if bad else "a value outside the precision of its column"
        raise mismatch(where, found, "values that fit their columns exactly") from error


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    if pa.types.is_timestamp(kind):
        return "instant" if kind.tz else "naive instant"
    tests = {
        "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        "decimal": (pa.types.is_decimal,),
        "integer": (pa.types.is_integer,),
    }
    return next((name for name, checks in tests.items() if any(check(kind) for check in checks)), str(kind))


def in_order(table: pa.Table, order: tuple[str, ...]) -> pa.Table:
    """Sorted by `order` and then by every other column, so that the same rows always come out the same."""
    keys = [*order, *(name for name in table.schema.names if name not in order)]
    return table.take(pc.sort_indices(table, sort_keys=[(key, "ascending") for key in keys])).combine_chunks()


def store(table: pa.Table, path: str, metadata: Mapping[str, str] | None) -> None:
    """Write a file whose bytes follow from the rows and the metadata alone."""
    schema = table.schema.remove_metadata()
    # amounts hardly repeat: a dictionary of them takes a quarter more time and a tenth more room
    repeating = [column.name for column in schema if not pa.types.is_decimal(column.type)]
    try:
        # Arrow's own schema is left out of the file: it is one more thing that a new release could write otherwise.
        with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=repeating, store_schema=False) as writer:
            writer.write_table(table)
            writer.add_key_value_metadata(dict(sorted((metadata or {}).items())))
    except OSError as error:
        raise refused(error, path) from error


def checked_footer(partition: Partition, path: Path) -> Footer:
    """The metadata of a staged file, once its columns are those of its frame."""
    if not path.exists():
        raise mismatch(f"{partition[0]}, venue {partition[1]}, {partition[2]}", "no file was written", "a Parquet file")
    with readable(str(path)):
        footer = pq.read_metadata(path)
        if partition[0] in FRAMES:
            check_schema(FRAMES[partition[0]], footer.schema.to_arrow_schema())
    return footer_of(footer)


def with_path_columns(frame: Frame, venue: str, day: date, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of a file with the columns that its path states, and those that it is too old to have, in
    `Frame.arrow`."""
    stated = {"venue": pa.scalar(venue, pa.string()), "date": pa.scalar(day, pa.date32())}
    schema, held = _schemas(frame.name)
    stated |= {name: pa.scalar(None, held.field(name).type) for name in held.names if name not in batch.schema.names}
    arrays = [pa.repeat(stated[name], len(batch)) if name in stated else batch[name] for name in schema.names]
    nulls = [field.name for field, array in zip(schema, arrays, strict=True) if array.null_count and not field.nullable]
    if nulls:
        raise pa.ArrowInvalid(f"null in {', '.join(nulls)}")
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def check_schema(frame: Frame, schema: pa.Schema, *, may_be_older: bool = False) -> None:
    """Names, order and types as the frame has them; whether a column may be null is the rows' affair.

    A file that may be older than this release may lack the columns that came to the frame later.
    """
    _, described = _schemas(frame.name)
    if may_be_older and schema.names != described.names:
        added = {column.name for column in frame.columns if column.is_added} - set(schema.names)
        described = pa.schema([column for column in described if column.name not in added])
    if schema.names != described.names or schema.types != described.types:
        expected = list(zip(described.names, described.types, strict=True))
        found = list(zip(schema.names, schema.types, strict=True))
        wrong = [f"{name} {kind}" for name, kind in found if (name, kind) not in expected]
        missing = [f"{name} {kind}" for name, kind in expected if (name, kind) not in found]
        raise pa.ArrowInvalid(f"columns differ: found {wrong or 'another order'}, expected {missing or 'the order'}")


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Name the file that Arrow could not read."""
    try:
        yield
    except pa.ArrowInvalid as error:
        raise StoreError(
            f"a file of the lake cannot be read: {error}",
            where=path,
            expected="a Parquet file with the columns of its frame",
            next_step="remove the file and run its day again; it is computed anew from what was archived",
        ) from error
