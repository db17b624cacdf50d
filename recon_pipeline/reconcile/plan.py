"""Which input partitions a run must write: those of its own days and every one that its rows consult.

Planned on the frames of a whole reading, before anything is in the lake. The plan may reach further back than the rows
in the end do, never less far; a partition of flows that a window touches and that has no rows is written empty, for a
partition never written is a hole. All earlier records belong to it: that nobody stated a wallet before makes its
opening, that no price is newer makes one stale. So rows and digests do not tell in which order days and files came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from recon_pipeline.frames.exact import kept_connection
from recon_pipeline.reconcile.tables import each, sql_of

Instants = tuple[datetime, datetime] | None


def consulted(frames: Mapping[str, pa.Table], quarantine: pa.Table, days: Sequence[date]) -> dict[str, set[date]]:
    """The days of flows, balances and prices whose partitions a run over `days` has to write where they are absent.

    `frames` holds the input frames of one reading, each in its `Frame.arrow`.
    """
    own = set(days)
    if not own:
        return {}
    first, last = min(own), max(own)
    tables = {**frames, "quarantine": quarantine}
    with kept_connection() as db:
        for name, table in tables.items():
            db.register(name, table)
        hull = _reach(db, first, last)
        flows = own | _flow_days(db, hull, last)
        found = {
            "transfers": flows,
            "trades": flows,
            "balances": own | _days_of(db, "(FROM balances SELECT date AS datetime)", date.min, last),
            "prices": own | _days_of(db, "(FROM prices SELECT as_of AS datetime)", date.min, last),
        }
        for name in tables:
            db.unregister(name)
        return found


def _reach(db: duckdb.DuckDBPyConnection, first: date, last: date) -> Instants:
    db.execute(
        "CREATE TEMP TABLE bounds AS SELECT $first::DATE AS first_day, $last::DATE AS last_day",
        {"first": first, "last": last},
    )
    db.execute("CREATE TEMP VIEW quarantined AS SELECT account, wallet, date FROM quarantine WHERE frame = 'balances'")
    first_instant, last_instant = _rows(db, sql_of("_plan"))[0]
    return None if first_instant is None or last_instant is None else (first_instant, last_instant)


def _flow_days(db: duckdb.DuckDBPyConnection, hull: Instants, last: date) -> set[date]:
    """The days that the windows touch, and all that any flow up to the last day stands on."""
    touched: set[date] = set()
    if hull is not None:
        first_day, last_day = (
            (hull[0] + timedelta(microseconds=1)).astimezone(UTC).date(),
            hull[1].astimezone(UTC).date(),
        )
        touched = set(each(first_day, last_day))
    flows = "(FROM transfers SELECT datetime UNION ALL FROM trades SELECT datetime)"
    return touched | _days_of(db, flows, date.min, max(touched | {last}))


def _days_of(db: duckdb.DuckDBPyConnection, source: str, first: date, last: date) -> set[date]:
    """The days that rows stand on: between them may lie years."""
    query = f"SELECT DISTINCT datetime::DATE AS day FROM {source} WHERE datetime::DATE BETWEEN $first AND $last"
    return {day for (day,) in _rows(db, query, {"first": first, "last": last})}


def _rows(
    db: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    return db.execute(query, dict(parameters or {})).fetchall()
