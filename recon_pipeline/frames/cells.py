"""One cell at a time: the SQL that turns what was given into the frame's types, with a fault where it cannot.

Most tables are in order, and careful reading is dear: so one pass finds which columns need it and which faults occur
at all, and only those are written into the SQL that reads the cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from recon_pipeline.frames.faults import fault_sql, quoted
from recon_pipeline.frames.registry import SUBTYPES
from recon_pipeline.frames.schema import AMOUNT, COUNT, DAY, FLOW_FRAMES, INSTANT, TEXT, Column, Frame

FILE, LINE = "filename", "file_line"
"""Extra columns that a table may carry: the file of a row and its line in it, header = 1."""

NUMBER = "row_number_given"
NAME_BYTES = 512
"""An index of PostgreSQL takes 2,704 bytes, of up to four names."""

_SQL_TYPES: Mapping[pa.DataType, str] = {
    AMOUNT: "DECIMAL(36,18)",
    INSTANT: "TIMESTAMPTZ",
    DAY: "DATE",
    COUNT: "BIGINT",
    TEXT: "VARCHAR",
}
_READERS: Mapping[pa.DataType, str] = {AMOUNT: "amount", INSTANT: "instant", DAY: "day", COUNT: "count"}


def is_exact(column: Column, given: pa.DataType) -> bool:
    """Whether a given type can be read for the column without rounding and without a guess."""
    if pa.types.is_string(given) or pa.types.is_null(given):
        return True
    if column.type == AMOUNT:
        return bool(pa.types.is_decimal(given) or pa.types.is_integer(given))
    if column.type == INSTANT:
        return bool(pa.types.is_timestamp(given) and given.tz is not None and given.unit != "ns")
    if column.type == DAY:
        return bool(pa.types.is_date32(given))
    return bool(pa.types.is_integer(given))


@dataclass(frozen=True)
class Cell:
    """How one column is read: plainly where every value is plain, else carefully, with the fault of those refused."""

    column: str
    plain: str
    is_plain: str
    careful: str
    fault: str | None


@dataclass(frozen=True)
class Rule:
    """A condition on the cell of a column, and the fault of the rows where it holds."""

    column: str
    name: str
    condition: str
    found: str


def parsed_sql(
    connection: duckdb.DuckDBPyConnection,
    frame: Frame,
    types: Mapping[str, pa.DataType],
    venue: str,
    allowed: Mapping[str, tuple[str, ...]],
) -> str:
    """SELECT over `given`: the row's number and place, each cell in its type or null, and `faults` or null.

    `types` holds the columns that were given; in `given` the others are null.
    """
    names = {*frame.key, *frame.order, "account", "wallet", "asset"}
    cells = [_cell(c, types.get(c.name, pa.null()), is_name=c.name in names) for c in frame.columns]
    rules = [rule for rule in _rules(frame, types, venue, allowed) if rule.column in types]
    plain, broken = _probe(connection, cells, rules)
    values = [f'{c.plain if c.column in plain else c.careful} AS "{c.column}"' for c in cells]
    faults = [c.fault for c in cells if c.fault is not None and c.column not in plain]
    faults += [fault_sql(rule.name, rule.condition, rule.found) for rule in rules if rule in broken]
    told = f"nullif(concat_ws(chr(10), {', '.join(faults)}), '')" if faults else "CAST(NULL AS VARCHAR)"
    return f"""
        SELECT {NUMBER}, {FILE}, CAST({LINE} AS BIGINT) AS {LINE}, {", ".join(values)}, {told} AS faults
        FROM given
        {_where_it_counts(frame)}
    """


def _where_it_counts(frame: Frame) -> str:
    """A price row without a price is no price, and is left out before anything is tested."""
    return "WHERE nullif(CAST(given.usd_price AS VARCHAR), '') IS NOT NULL" if frame.name == "prices" else ""


def _probe(connection: duckdb.DuckDBPyConnection, cells: list[Cell], rules: list[Rule]) -> tuple[set[str], list[Rule]]:
    """The columns whose values are all plain, and the rules that some row breaks."""
    tests = [f"coalesce(bool_and({c.is_plain}), true)" for c in cells]
    tests += [f"coalesce(bool_or({rule.condition}), false)" for rule in rules]
    row = connection.execute(f"SELECT {', '.join(tests)} FROM given").fetchone()
    answers = [bool(answer) for answer in row or ()]
    plain = {cell.column for cell, answer in zip(cells, answers, strict=False) if answer}
    return plain, [rule for rule, answer in zip(rules, answers[len(cells) :], strict=True) if answer]


def _text_cell(name: str, text: str, *, is_name: bool) -> Cell:
    """Text as it is. A name must fit the indexes of a database; one that does not is not taken over even in part."""
    plain = f"NOT contains({text}, chr(0))"
    fault = fault_sql("NotText", f"contains({text}, chr(0))", f"{name} holds a NUL character")
    if not is_name:
        return Cell(name, text, plain, text, fault)
    too_long = f"strlen({text}) > {NAME_BYTES}"
    told = fault_sql("TooLong", too_long, f"{name} has more than {NAME_BYTES} bytes")
    careful = f"CASE WHEN NOT {too_long} THEN {text} END"
    return Cell(name, text, f"{plain} AND NOT {too_long}", careful, f"concat_ws(chr(10), {fault}, {told})")


def _cell(column: Column, given: pa.DataType, *, is_name: bool) -> Cell:
    name, sql_type = f'given."{column.name}"', _SQL_TYPES[column.type]
    if pa.types.is_null(given):
        return Cell(column.name, f"CAST(NULL AS {sql_type})", "true", "NULL", None)
    text = f"nullif({name}, '')" if pa.types.is_string(given) else f"CAST({name} AS VARCHAR)"
    if column.type == TEXT:
        return _text_cell(column.name, text, is_name=is_name)
    if _fits(column, given) and column.type in (INSTANT, DAY):
        known = f"coalesce(CAST({name} AS DATE) BETWEEN DATE '0001-01-01' AND DATE '9999-12-31', true)"
        fault = "InstantImpossible" if column.type == INSTANT else "NotADay"
        told = fault_sql(fault, f"NOT {known}", f"{column.name} lies outside the years 1 to 9999")
        cast = f"CAST({name} AS {sql_type})"
        return Cell(column.name, cast, known, f"CASE WHEN {known} THEN {cast} END", told)
    if _fits(column, given):
        return Cell(column.name, f"CAST({name} AS {sql_type})", "true", "NULL", None)
    reader = _READERS[column.type]
    told = f"replace({reader}_fault({text}), ': ', {quoted(f': {column.name} ')})"
    return Cell(
        column.name,
        plain=f"CAST({text} AS {sql_type})",
        is_plain=f"{reader}_is_plain({text})",
        careful=f"{reader}_or_null({text})",
        fault=f"CASE WHEN {reader}_fault({text}) IS NOT NULL THEN {told} END",
    )


def _fits(column: Column, given: pa.DataType) -> bool:
    """Whether every value of the given type is one of the column's."""
    if pa.types.is_decimal(given):
        return bool(0 <= given.scale <= 18 and given.precision - given.scale <= 18)
    return not pa.types.is_string(given) and column.type != AMOUNT


def _rules(
    frame: Frame, types: Mapping[str, pa.DataType], venue: str, allowed: Mapping[str, tuple[str, ...]]
) -> list[Rule]:
    rules = []
    for column in frame.columns:
        if column.required:
            blank = f'given."{column.name}" IS NULL'
            if pa.types.is_string(types.get(column.name, TEXT)):
                blank += f" OR trim(given.\"{column.name}\") = ''"
            rules.append(Rule(column.name, "MissingValue", blank, f"{column.name} is empty"))
        if words := allowed.get(column.name) or column.allowed:
            wrong = f"nullif(given.\"{column.name}\", '') NOT IN ({', '.join(map(quoted, words))})"
            rules.append(Rule(column.name, "NotAllowed", wrong, f"{column.name} is none of {', '.join(words)}"))
    rules.append(Rule("venue", "WrongVenue", f"nullif(given.venue, '') <> {quoted(venue)}", "venue is another one"))
    if frame in FLOW_FRAMES:
        known = ", ".join(quoted(subtype.name) for subtype in SUBTYPES)
        unknown = f"nullif(given.txn_subtype, '') NOT IN ({known})"
        rules.append(Rule("txn_subtype", "UnknownSubtype", unknown, "txn_subtype is not in the registry"))
    return rules
