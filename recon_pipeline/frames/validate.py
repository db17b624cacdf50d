"""Rows of a frame as somebody supplied them in, rows that keep the contract out, and the others with their reasons.

Nothing is rounded and nothing is dropped in silence: each row given is in `rows`, in `quarantine`, or counted as
`repeated` (read twice with equal content under one key) or `left_out` (a price row without a price). All work is SQL
over whole columns, so a million rows take seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.errors import ReconError
from recon_pipeline.frames.cells import FILE, LINE, NUMBER, is_exact, parsed_sql
from recon_pipeline.frames.exact import kept_connection
from recon_pipeline.frames.faults import quoted, reason, row_fault_text
from recon_pipeline.frames.registry import UNKNOWN
from recon_pipeline.frames.rules import make_doubled, ruled_sql
from recon_pipeline.frames.schema import COUNT, FLOW_FRAMES, QUARANTINE, TEXT, Frame

__all__ = ["FILE", "LINE", "FrameError", "Validated", "row_fault_text", "validate"]


class FrameError(ReconError):
    """A whole table does not have the columns or the types of its frame."""


@dataclass(frozen=True)
class Validated:
    """What became of the rows given: `rows` in Frame.arrow and Frame.order, `quarantine` in QUARANTINE, and counts.

    counts: given, rows, quarantined, repeated, left_out, unknown (good flows booked as `unknown`).
    """

    rows: pa.Table
    quarantine: pa.Table
    counts: Mapping[str, int]


def validate(
    frame: Frame, table: pa.Table, venue: str, *, allowed: Mapping[str, tuple[str, ...]] | None = None
) -> Validated:
    """The rows of `table` that keep the frame's contract, typed, completed and sorted; the others with their reasons.

    `table` holds the frame's columns (the optional ones may be left out) as text or as exact types (decimal, whole
    number, timestamp with a zone, day), and may hold `filename` and `file_line`. `allowed` narrows text columns.
    Raises FrameError for a column that is unknown or missing, or whose type is not exact.
    """
    _require_columns(frame, table)
    if table.num_rows == 0:
        empty = dict.fromkeys(("given", "rows", "quarantined", "repeated", "left_out", "unknown"), 0)
        return Validated(frame.arrow.empty_table(), QUARANTINE.empty_table(), empty)
    with kept_connection(table.num_rows) as connection:
        connection.register("given", _completed(frame, table))
        types = {field.name: field.type for field in table.schema}
        connection.execute(f"CREATE TABLE parsed AS {parsed_sql(connection, frame, types, venue, allowed or {})}")
        connection.execute(f"CREATE TABLE ruled AS {ruled_sql(frame)}")
        connection.execute("DROP TABLE parsed")
        make_doubled(connection, frame)
        found = _results(connection, frame, table, venue)
        connection.unregister("given")
        return found


def _require_columns(frame: Frame, table: pa.Table) -> None:
    known = [c.name for c in frame.columns]
    if unknown := [name for name in table.column_names if name not in {*known, FILE, LINE}]:
        raise FrameError(f"column {unknown[0]} is not one of the frame {frame.name}", expected=", ".join(known))
    if missing := [c.name for c in frame.columns if c.required and c.name not in table.column_names]:
        raise FrameError(f"column {missing[0]} of the frame {frame.name} is missing", expected=", ".join(missing))
    for column in frame.columns:
        if column.name in table.column_names and not is_exact(column, table.schema.field(column.name).type):
            found = table.schema.field(column.name).type
            raise FrameError(f"column {column.name} is {found}", expected=f"text or {column.type}")


def _completed(frame: Frame, table: pa.Table) -> pa.Table:
    """The table with every column of the frame, the place of each row, and its number in the order given."""
    rows = table.num_rows
    arrays = {}
    for name in [c.name for c in frame.columns] + [FILE, LINE]:
        type_ = COUNT if name == LINE else TEXT
        given = table[name] if name in table.column_names else None
        arrays[name] = pa.nulls(rows, type_) if given is None or pa.types.is_null(given.type) else given
    return pa.table({**arrays, NUMBER: pa.array(np.arange(rows), COUNT)})


# --- results ----------------------------------------------------------------------------------------------------------


def _results(connection: duckdb.DuckDBPyConnection, frame: Frame, table: pa.Table, venue: str) -> Validated:
    connection.execute(f"""
        CREATE VIEW judged AS
        SELECT ruled.*, occurrence, nullif(concat_ws(chr(10), faults, fault), '') AS all_faults
        FROM ruled LEFT JOIN doubled USING ({NUMBER})
    """)
    rows = _good_rows(connection, frame, venue)
    quarantine = _bad_rows(connection, frame, table)
    counted = "SELECT count(*), count(*) FILTER (all_faults IS NULL AND occurrence > 1) FROM judged"
    judged, repeated = connection.execute(counted).fetchall()[0]
    unknown = pc.sum(pc.equal(rows["txn_subtype"], UNKNOWN)).as_py() if frame in FLOW_FRAMES else 0
    counts = {
        "given": table.num_rows,
        "rows": rows.num_rows,
        "quarantined": quarantine.num_rows,
        "repeated": int(repeated),
        "left_out": table.num_rows - int(judged),
        "unknown": int(unknown or 0),
    }
    if counts["given"] != sum(counts[name] for name in ("rows", "quarantined", "repeated", "left_out")):
        raise AssertionError(f"rows of {frame.name} were lost: {counts}")
    return Validated(rows, quarantine, counts)


def _good_rows(connection: duckdb.DuckDBPyConnection, frame: Frame, venue: str) -> pa.Table:
    place = f"CASE WHEN {FILE} IS NOT NULL AND {LINE} IS NOT NULL THEN {FILE} || ':' || {LINE} END"
    special = {"venue": quoted(venue), "raw_id": f"coalesce(raw_id, {place})"}
    if frame in FLOW_FRAMES:
        _number_equal_rows(connection)
        special["external_id"] = "coalesce(external_id, row_digest || ':' || coalesce(equal_rows.occurrence, 1))"
    values = [f'{special.get(c.name, f"judged.{c.name}")} AS "{c.name}"' for c in frame.columns]
    equal_rows = f"LEFT JOIN equal_rows USING ({NUMBER})" if frame in FLOW_FRAMES else ""
    relation = connection.sql(f"""
        SELECT {", ".join(values)}
        FROM judged {equal_rows}
        WHERE all_faults IS NULL AND coalesce(judged.occurrence, 1) = 1
        ORDER BY {", ".join(f'"{name}"' for name in frame.order)}
    """)
    return relation.to_arrow_table().cast(frame.arrow)


def _number_equal_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """Rows without an external_id: the occurrence of each among its equals, where there is more than one."""
    connection.execute(f"""
        CREATE TABLE equal_rows AS
        SELECT {NUMBER}, row_number() OVER (PARTITION BY row_digest ORDER BY {FILE}, {LINE}, {NUMBER}) AS occurrence
        FROM ruled WHERE row_digest IN (
            SELECT row_digest FROM ruled WHERE row_digest IS NOT NULL GROUP BY row_digest HAVING count(*) > 1
        )
    """)


def _bad_rows(connection: duckdb.DuckDBPyConnection, frame: Frame, table: pa.Table) -> pa.Table:
    told = {c.name for c in frame.columns}
    packed = ", ".join(f'"{name}" := CAST(given."{name}" AS VARCHAR)' for name in table.column_names if name in told)
    instant = next((f"judged.{name}" for name in ("datetime", "as_of") if name in told), "CAST(NULL AS TIMESTAMPTZ)")
    date = "judged.date" if "date" in told else f"CAST({instant} AS DATE)"
    account, wallet, asset = (
        f"CASE WHEN trim(judged.{name}) <> '' THEN judged.{name} END" if name in told else "NULL"
        for name in ("account", "wallet", "asset")
    )
    bad = connection.sql(f"""
        SELECT '{frame.name}' AS frame, all_faults AS error, all_faults AS reason, judged.{FILE} AS file,
            judged.{LINE} AS line, {account} AS account, {wallet} AS wallet, {asset} AS asset,
            {instant} AS instant, {date} AS date, CAST(to_json(struct_pack({packed})) AS VARCHAR) AS content
        FROM judged JOIN given USING ({NUMBER})
        WHERE all_faults IS NOT NULL
        ORDER BY file, line, content
    """).to_arrow_table()
    faults = [str(told_faults).split("\n") for told_faults in bad["error"].to_pylist()]
    names = pa.array([fault[0].partition(": ")[0] for fault in faults], TEXT)
    reasons = pa.array([reason(fault) for fault in faults], TEXT)
    return bad.set_column(1, "error", names).set_column(2, "reason", reasons).cast(QUARANTINE)
