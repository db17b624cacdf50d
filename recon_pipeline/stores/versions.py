"""Input frames in PostgreSQL: a row that stays the same is never touched, one that changes gets a new version.

The row that no longer counts is retired (`retired_at`) and kept. Two rows are the same if their content is, raw_id
apart. Versions are numbered by the frame's key, over all days, for a row may move from one day to another.
"""

from __future__ import annotations

import pyarrow as pa

from recon_pipeline.frames.schema import Frame
from recon_pipeline.stores.bulk import Bulk, Change

_NOT_CONTENT = "raw_id"


def keeps_versions(frame: Frame) -> bool:
    """Whether the table of a frame holds versions. `expected` is a plan, and reconciliation has its own history."""
    return frame.name not in ("expected", "reconciliation")


def any_retired(bulk: Bulk, frame: Frame) -> bool:
    """Whether the venue has a retired row of the frame."""
    found = f"SELECT EXISTS (SELECT FROM recon.{frame.name} WHERE venue = $1 AND retired_at IS NOT NULL)"
    return bool(bulk.value(found, bulk.venue))


def replace(bulk: Bulk, frame: Frame, rows: pa.RecordBatchReader) -> Change:
    """Replace the rows of the batch's days."""
    gone = bulk.count(
        f"DELETE FROM recon.{frame.name} AS t USING batch AS b WHERE t.venue = $1 AND {_on_day(frame)}", bulk.venue
    )
    return Change(inserted=bulk.append(frame.name, rows), retired=gone)


def merge(bulk: Bulk, frame: Frame, rows: pa.RecordBatchReader) -> Change:
    """Make the counting rows of the batch's days equal to `rows`."""
    table, columns = f"recon.{frame.name}", frame.arrow.names
    bulk.stage(frame.name, columns, rows)
    # What counts now, with its place in the table; what is the same in both leaves both.
    bulk.execute(
        f"CREATE TEMP TABLE counting ON COMMIT DROP AS SELECT t.id, {_listed(columns, 't')} FROM {table} AS t"
        f" JOIN batch AS b ON {_on_day(frame)} WHERE t.venue = $1 AND t.retired_at IS NULL",
        bulk.venue,
    )
    bulk.execute("ANALYZE counting")
    content = [name for name in columns if name != _NOT_CONTENT]
    bulk.execute(
        "WITH same AS ("
        f"DELETE FROM stage AS s USING counting AS c WHERE {_same(frame, content, 's', 'c')} RETURNING c.id"
        ") DELETE FROM counting USING same WHERE counting.id = same.id"
    )
    placed = _quoted(frame.partitioned_by)
    retired = bulk.count(
        f"UPDATE {table} AS t SET retired_at = now() FROM counting AS c WHERE t.id = c.id AND t.{placed} = c.{placed}"
    )
    key = ", ".join(_quoted(name) for name in frame.key)
    inserted = bulk.count(
        f"INSERT INTO {table} ({_listed(columns)}, version)"
        f" SELECT {_listed(columns, 's')}, 1 + coalesce(r.version, 0) FROM stage AS s LEFT JOIN ("
        f"SELECT {key}, max(version) AS version FROM {table} WHERE venue = $1 AND retired_at IS NOT NULL GROUP BY {key}"
        f") AS r ON {_same(frame, frame.key, 's', 'r')}",
        bulk.venue,
    )
    return Change(inserted=inserted, retired=retired)


def _on_day(frame: Frame) -> str:
    """The condition that a row t belongs to a day b of the batch; the connection speaks UTC."""
    column = f"t.{_quoted(frame.partitioned_by)}"
    if pa.types.is_date(frame.arrow.field(frame.partitioned_by).type):
        return f"{column} = b.date"
    return f"{column} >= b.date::timestamptz AND {column} < (b.date + 1)::timestamptz"


def _same(frame: Frame, columns: list[str] | tuple[str, ...], left: str, right: str) -> str:
    """Equality of columns; plain wherever no null may stand, so that the join can hash."""
    schema = frame.arrow
    operators = {name: "IS NOT DISTINCT FROM" if schema.field(name).nullable else "=" for name in columns}
    return " AND ".join(f"{left}.{_quoted(name)} {operators[name]} {right}.{_quoted(name)}" for name in columns)


def _listed(columns: list[str], of: str = "") -> str:
    prefix = f"{of}." if of else ""
    return ", ".join(prefix + _quoted(name) for name in columns)


def _quoted(name: str) -> str:
    return f'"{name}"'
