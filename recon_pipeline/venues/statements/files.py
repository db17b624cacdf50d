"""One file of a statements folder, opened alone: CSV as text, Parquet as it is typed, each row with its line.

A CSV is read by DuckDB with fixed settings and no guessing: UTF-8, the delimiter of its header (`,` `;` tab or `|`),
double quotes, every column text, an empty value null. Anything that does not fit is a fault of the file.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recon_pipeline.errors import SourceFileError
from recon_pipeline.frames.duck import open_duckdb
from recon_pipeline.frames.validate import FILE, LINE
from recon_pipeline.venues.statements.archive import Fingerprint
from recon_pipeline.venues.statements.faults import MENDED, EmptyFile, UnreadableFile
from recon_pipeline.venues.statements.lines import record_lines

PARQUET_SUFFIXES = (".parquet", ".pq")
_DELIMITERS = ",;\t|"
_LINE_BYTES_MAX = 16 << 20
_RESERVED = {FILE, LINE}
_CSV_FAULTS: Mapping[str, str] = {
    "Expected Number of Columns": "has another number of values than the header",
    "Invalid unicode": "is not UTF-8",
    "unterminated quote": "holds a quote that is never closed",
    "Maximum line size": "is longer than 16 MB",
    "reached an invalid state": "cannot be read as CSV: lines end in two ways, or a value holds a bare quote",
}


@dataclass(frozen=True)
class OpenedFile:
    """A file that could be read: its rows with `filename` and `file_line`, and its own columns in their order."""

    name: str
    columns: tuple[tuple[str, pa.DataType], ...]
    table: pa.Table
    rows: int

    def without_rows(self) -> OpenedFile:
        """The same file, its rows given back to memory; their number stays."""
        return replace(self, table=self.table.schema.empty_table())

    @property
    def header(self) -> frozenset[tuple[str, str]]:
        """The columns by name and type, whatever their order, to compare with other files."""
        return frozenset((name.lower(), str(type_)) for name, type_ in self.columns)


def is_parquet(name: str) -> bool:
    """Whether the file's name says Parquet; everything else is read as CSV."""
    return name.lower().endswith(PARQUET_SUFFIXES)


def connect_reader() -> duckdb.DuckDBPyConnection:
    """A DuckDB that only reads CSV files; rows keep the order of the file, which the numbering of lines rests on."""
    return open_duckdb()


def open_file(connection: duckdb.DuckDBPyConnection, path: Path, name: str, found: Fingerprint) -> OpenedFile:
    """The rows of one file; `name` is what messages and the column `filename` call it. Raises SourceFileError."""
    if found.size == 0:
        raise EmptyFile(
            "the file holds no bytes",
            where=name,
            expected="at least a header; a file with a header alone is read, with no rows",
            next_step=MENDED,
        )
    return _open_parquet(path, name) if is_parquet(name) else _open_csv(connection, path, name, found)


def unreadable(name: str, found: str, line: int | None = None, *, kind: str = "CSV") -> SourceFileError:
    """The fault of a file that is not what its name says."""
    return UnreadableFile(
        found,
        where=f"{name}, line {line}" if line else name,
        expected="a Parquet file that is complete" if kind == "Parquet" else "UTF-8 CSV whose rows all fit the header",
        next_step=MENDED,
    )


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _open_parquet(path: Path, name: str) -> OpenedFile:
    try:
        table = pq.ParquetFile(path).read()
        table = pa.table({f.name: _plain_column(table[f.name]) for f in table.schema})
    except (OSError, pa.ArrowException) as error:
        raise unreadable(name, "the file is not a readable Parquet file", kind="Parquet") from error
    _require_names(name, table.column_names)
    return _with_place(name, table, np.arange(1, table.num_rows + 1, dtype=np.int64))


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in its plain type; as text if an instant needs more than microseconds, so that its row is refused."""
    try:
        return column.cast(_plain_type(column.type))
    except pa.ArrowInvalid:
        if not pa.types.is_timestamp(column.type):
            raise
        return column.cast(pa.string())


def _plain_type(given: pa.DataType) -> pa.DataType:
    """Dictionaries, wide strings and wide decimals as text; instants of every unit as microseconds, or an error."""
    if pa.types.is_dictionary(given):
        return _plain_type(given.value_type)
    if pa.types.is_decimal256(given):
        return pa.string()
    if pa.types.is_large_string(given) or pa.types.is_string_view(given):
        return pa.string()
    return pa.timestamp("us", tz=given.tz) if pa.types.is_timestamp(given) else given


# --- CSV --------------------------------------------------------------------------------------------------------------


def _open_csv(connection: duckdb.DuckDBPyConnection, path: Path, name: str, found: Fingerprint) -> OpenedFile:
    names, delimiter, header_lines = _read_header(path, name)
    try:
        relation = connection.sql(
            "SELECT * FROM read_csv(?, auto_detect=false, header=true, columns=?, delim=?, quote='\"', escape='\"',"
            f" strict_mode=true, null_padding=false, encoding='utf-8', max_line_size={_LINE_BYTES_MAX})",
            params=[str(path), dict.fromkeys(names, "VARCHAR"), delimiter],
        )
        table = relation.to_arrow_table()
    except duckdb.Error as error:
        raise _csv_fault(name, str(error)) from error
    table = table.cast(pa.schema([pa.field(column, pa.string()) for column in names]))
    return _with_place(name, table, _lines(path, found, table.num_rows, header_lines))


def _read_header(path: Path, name: str) -> tuple[list[str], str, int]:
    """Column names, delimiter, and how many lines the header takes."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            first = source.readline(_LINE_BYTES_MAX)
            delimiter = max(_DELIMITERS, key=lambda mark: (first.count(mark), -_DELIMITERS.index(mark)))
            source.seek(0)
            reader = csv.reader(source, delimiter=delimiter, strict=True)
            names = next(reader, [])
            header_lines = reader.line_num
    except UnicodeDecodeError as error:
        raise unreadable(name, "the file is not UTF-8") from error
    except (OSError, csv.Error) as error:
        raise unreadable(name, "the file cannot be read") from error
    if not any(column.strip() for column in names):
        raise unreadable(name, "the file has no header", 1)
    names = [column or f"column{position}" for position, column in enumerate(names)]
    _require_names(name, names)
    return names, delimiter, header_lines


def _require_names(name: str, columns: list[str]) -> None:
    lowered = [column.lower() for column in columns]
    for column in lowered:
        if lowered.count(column) > 1:
            raise unreadable(name, f"the header names the column {column} more than once", 1)
        if column in _RESERVED:
            raise unreadable(name, f"the header names the column {column}, which every view has already", 1)


def _csv_fault(name: str, message: str) -> SourceFileError:
    line = re.search(r"CSV Error on Line: (\d+)", message)
    found = next((text for mark, text in _CSV_FAULTS.items() if mark in message), "cannot be read as CSV")
    return unreadable(name, f"the row {found}" if line else f"the file {found}", int(line[1]) if line else None)


def _lines(path: Path, found: Fingerprint, rows: int, header_lines: int) -> npt.NDArray[np.int64] | None:
    """The line of each row; None where it cannot be told (line breaks of another kind)."""
    if header_lines == 1 and _ends_evenly(path, found, rows):
        return np.arange(2, rows + 2, dtype=np.int64)
    lines = record_lines(path)
    return lines[1:] if len(lines) == rows + 1 else None


def _ends_evenly(path: Path, found: Fingerprint, rows: int) -> bool:
    """Whether every line is a record. Empty lines and quoted line breaks both add line feeds, so none hides another."""
    with path.open("rb") as source:
        source.seek(-1, 2)
        ends_with_feed = source.read(1) == b"\n"
    return found.line_feeds == rows + (1 if ends_with_feed else 0)


def _with_place(name: str, table: pa.Table, lines: npt.NDArray[np.int64] | None) -> OpenedFile:
    columns = tuple((field.name, field.type) for field in table.schema)
    filename = pa.DictionaryArray.from_arrays(pa.array(np.zeros(table.num_rows, np.int32)), pa.array([name]))
    numbers = pa.nulls(table.num_rows, pa.int64()) if lines is None else pa.array(lines)
    table = table.append_column(FILE, filename.cast(pa.string())).append_column(LINE, numbers)
    return OpenedFile(name, columns, table, table.num_rows)
