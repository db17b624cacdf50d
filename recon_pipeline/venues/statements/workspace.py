"""The DuckDB in which a mapping runs: the rows of its files as views, and no way to anything else.

Files are loaded first, each row with its file's number; a view shows the files that are active, so that a mapping can
be run over all of them, over one alone, or with a file's previous version in its place. The database has no access to
files, network or Python's variables, and its settings are locked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import duckdb
import pyarrow as pa

from recon_pipeline.errors import MappingError
from recon_pipeline.frames.duck import identifier
from recon_pipeline.frames.exact import REFUSAL, connect
from recon_pipeline.frames.schema import AMOUNT, DAY, INSTANT, TEXT, Frame
from recon_pipeline.frames.validate import FILE, LINE
from recon_pipeline.venues.statements.conversions import refuse_silent_conversions
from recon_pipeline.venues.statements.faults import MappingColumns, MappingSqlError, MappingType
from recon_pipeline.venues.statements.files import OpenedFile
from recon_pipeline.venues.statements.sql import Place, SqlFile, Statement, parse

_VALUE_ERRORS = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException)
_DESCRIBE = "DESCRIBE "
_INEXACT = ("DOUBLE", "FLOAT", "REAL")


class RefusedValue(Exception):  # noqa: N818 - caught inside this package, never shown
    """A value in the files made the mapping fail; the text says what was found, without the value."""


class Workspace:
    """Rows of files by view, and mappings run over them."""

    def __init__(self) -> None:
        self._connection = connect()
        self._connection.execute("CREATE SCHEMA files")
        self._connection.execute("SET errors_as_json = true")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")
        self._active: dict[str, frozenset[int]] = {}
        self._inexact: dict[str, str] = {}

    def close(self) -> None:
        """Frees the rows."""
        self._connection.close()

    def add(self, view: str, number: int, opened: OpenedFile) -> None:
        """Loads a file's rows for the view; all files of a view have the same columns.

        Columns of a floating type are left out: what they held exactly is lost, and a cast to text would hide that.
        """
        numbers = pa.repeat(pa.scalar(number, pa.int32()), opened.table.num_rows)
        inexact = [field.name for field in opened.table.schema if _holds_floats(field.type)]
        self._inexact |= dict.fromkeys(inexact, view)
        table = opened.table.drop_columns(inexact).append_column("file_number", numbers)
        self._connection.register("arriving", table)
        if view not in self._active:
            self._connection.execute(f"CREATE TABLE files.{identifier(view)} AS SELECT * FROM arriving LIMIT 0")
            self._active[view] = frozenset()
        self._connection.execute(f"INSERT INTO files.{identifier(view)} BY NAME SELECT * FROM arriving")
        self._connection.unregister("arriving")

    def activate(self, numbers: Iterable[int], *, upto: tuple[int, int] | None = None) -> None:
        """Lets every view show the rows of those files only; `upto` is a file and the last line shown of it."""
        shown = ", ".join(str(number) for number in sorted(numbers)) or "-1"
        first_lines = f"AND (file_number <> {upto[0]} OR {LINE} <= {upto[1]})" if upto is not None else ""
        for view in self._active:
            self._connection.execute(
                f"CREATE OR REPLACE VIEW {identifier(view)} AS SELECT * EXCLUDE (file_number)"
                f" FROM files.{identifier(view)} WHERE file_number IN ({shown}) {first_lines}"
            )

    def parse(self, frame: Frame, file: SqlFile, views: frozenset[str]) -> Statement:
        """The mapping of one frame, if its SQL is allowed; `views` are the names that it may read."""
        return parse(self._connection, frame, file, views)

    def columns(self, statement: Statement) -> list[tuple[str, str]]:
        """Names and DuckDB types of what the mapping gives. Raises a MappingError if they cannot be the frame's."""
        try:
            rows = self._connection.execute(_DESCRIBE + statement.sql).fetchall()
        except duckdb.Error as error:
            told = str(_details(error).get("exception_message", ""))
            for column, view in self._inexact.items():
                if f'"{column}"' in told and "not found" in told:
                    raise _inexact_column(statement, column, view) from error
            raise _sql_error(statement, error, offset=len(_DESCRIBE)) from error
        columns = [(str(row[0]).lower(), str(row[1])) for row in rows]  # DuckDB may keep the case of a file's column
        _test_columns(statement, columns)
        views = {view: self._columns_of(view) for view in statement.views}
        refuse_silent_conversions(statement, views)
        return columns

    def _columns_of(self, view: str) -> list[tuple[str, str]]:
        rows = self._connection.execute(_DESCRIBE + identifier(view)).fetchall()
        return [(str(row[0]), str(row[1])) for row in rows]

    def run(self, statement: Statement, columns: list[tuple[str, str]]) -> pa.Table:
        """The rows of a mapping over the active files, in types that `validate` takes. Raises RefusedValue."""
        selected = ", ".join(_selected(statement.frame, name, type_) for name, type_ in columns)
        return self._table(statement, f"SELECT {selected} FROM (\n{statement.exact_sql}\n)")

    def period(self, statement: Statement, columns: tuple[str, ...]) -> pa.Table:
        """Least and greatest of the instants in those columns, as text or null, over the active files."""
        each = " UNION ALL ".join(
            f"SELECT instant_or_null(CAST({identifier(c)} AS VARCHAR)) AS told FROM mapped" for c in columns
        )
        return self._table(
            statement,
            f"WITH mapped AS (\n{statement.exact_sql}\n) SELECT min(told) AS first, max(told) AS last FROM ({each})",
        )

    def _table(self, statement: Statement, sql: str) -> pa.Table:
        try:
            return self._connection.sql(sql).to_arrow_table()
        except _VALUE_ERRORS as error:
            raise RefusedValue(_found(error)) from error
        except duckdb.Error as error:
            raise _sql_error(statement, error) from error


def _holds_floats(type_: pa.DataType) -> bool:
    """Whether a column holds floats, be it inside a list or a struct."""
    parts = [type_.field(number).type for number in range(type_.num_fields)]
    return bool(pa.types.is_floating(type_)) or any(_holds_floats(part) for part in parts)


def _found(error: duckdb.Error) -> str:
    message = str(_details(error).get("exception_message", error)).splitlines()[0]
    if REFUSAL in message:
        return message.split(REFUSAL, 1)[1].partition(": ")[2]
    return "cannot be converted"


def _details(error: duckdb.Error) -> dict[str, str]:
    _, _, text = str(error).partition(": ")
    try:
        details: dict[str, str] = json.loads(text)
    except ValueError:
        return {"exception_message": str(error)}
    return details


def _sql_error(statement: Statement, error: duckdb.Error, *, offset: int = 0) -> MappingError:
    details = _details(error)
    at = str(details.get("position", ""))
    position = int(at) - offset if at.isdigit() else None
    return MappingSqlError(
        str(details["exception_message"]).splitlines()[0],
        where=Place(statement.path, statement.sql).of(position),
        expected="SQL that DuckDB runs over the views of the mapping",
        next_step="correct the SQL; nothing of the venue was written",
    )


def _inexact_column(statement: Statement, column: str, view: str) -> MappingError:
    return MappingType(
        f"column {column} of the view {view} is a floating-point number in its file",
        where=statement.name,
        expected="amounts that were exported as text or DECIMAL",
        next_step=f"export {column} as text or DECIMAL; nothing of the venue was written",
    )


def _test_columns(statement: Statement, columns: list[tuple[str, str]]) -> None:
    frame, names = statement.frame, [name for name, _ in columns]
    known = [column.name for column in frame.columns]
    expected = f"the columns of {frame.name}: {', '.join(known)}; and {FILE}, {LINE}"
    for name in names:
        if name not in known and name not in {FILE, LINE}:
            raise _column_error(statement, f"column {name} is not one of the frame {frame.name}", expected)
        if names.count(name) > 1:
            raise _column_error(statement, f"column {name} is given more than once", expected)
    if missing := [column.name for column in frame.columns if column.required and column.name not in names]:
        raise _column_error(statement, f"column {missing[0]} is missing, and the frame requires it", expected)
    for name, type_ in columns:
        _test_type(statement, name, type_)


def _column_error(statement: Statement, found: str, expected: str) -> MappingError:
    return MappingColumns(
        found,
        where=statement.name,
        expected=expected,
        next_step="correct the SELECT list; nothing of the venue was written",
    )


def _test_type(statement: Statement, name: str, type_: str) -> None:
    wanted = statement.frame.column(name).type if name not in {FILE, LINE} else TEXT
    if any(inexact in type_ for inexact in _INEXACT):
        expected = "text, or what amount(text) makes"
    elif wanted == INSTANT and type_ != "TIMESTAMP WITH TIME ZONE" and _is_of_time(type_):
        expected = "text with an offset, or what instant(text) makes"
    elif wanted == DAY and type_ != "DATE" and _is_of_time(type_):
        expected = "text as YYYY-MM-DD, or a DATE"
    elif wanted == AMOUNT and (_is_of_time(type_) or type_ == "BOOLEAN"):
        expected = "text, or what amount(text) makes"
    elif type_.endswith(("]", ")")) and not type_.startswith("DECIMAL"):
        expected = "one value in each cell"
    else:
        return
    raise MappingType(
        f"column {name} is {type_}",
        where=statement.name,
        expected=expected,
        next_step=f"correct the column {name} of the SELECT; nothing of the venue was written",
    )


def _is_of_time(type_: str) -> bool:
    return type_.startswith(("TIMESTAMP", "DATE", "TIME", "INTERVAL"))


def _selected(frame: Frame, name: str, type_: str) -> str:
    """One column of the result in a type that `validate` takes: as it is where that is exact, else as text."""
    column = identifier(name)
    if name == LINE:
        return f"CAST({column} AS BIGINT) AS {column}"
    wanted = frame.column(name).type if name != FILE else TEXT
    keeps = (
        (wanted == AMOUNT and type_.startswith("DECIMAL"))
        or (wanted == INSTANT and type_ == "TIMESTAMP WITH TIME ZONE")
        or (wanted == DAY and type_ == "DATE")
    )
    return f"{column} AS {column}" if keeps else f"CAST({column} AS VARCHAR) AS {column}"
