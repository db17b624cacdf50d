"""Reconciliation rows in PostgreSQL: replaced by day, with what they said before and which numbers moved.

A row that differs in anything but inputs_digest goes to recon.reconciliation_history as it was. Every number that
moved, appeared or vanished in a day that had been published is one row of recon.restatements.
"""

from __future__ import annotations

import pyarrow as pa

from recon_pipeline.frames.schema import RECONCILIATION, Frame
from recon_pipeline.stores.bulk import Bulk, Change

_POSITION = ("account", "wallet", "asset")
_KEY = ("venue", "date", *_POSITION)
_COLUMNS = RECONCILIATION.arrow.names
_CONTENT = [name for name in _COLUMNS if name not in _KEY and name != "inputs_digest"]
_NUMBERS = [c.name for c in RECONCILIATION.columns if pa.types.is_decimal(c.type) or pa.types.is_integer(c.type)]


def replace(bulk: Bulk, frame: Frame, rows: pa.RecordBatchReader) -> Change:
    """Replace the rows of the batch's days, which had been published before."""
    bulk.stage(frame.name, _COLUMNS, rows)
    bulk.execute(
        "CREATE TEMP TABLE former ON COMMIT DROP AS SELECT t.* FROM recon.reconciliation AS t"
        " JOIN batch AS b ON t.date = b.date WHERE t.venue = $1",
        bulk.venue,
    )
    bulk.execute("ANALYZE former")
    kept, restated = _keep_history(bulk), _restate(bulk)
    bulk.execute(
        "DELETE FROM recon.reconciliation AS t USING batch AS b WHERE t.venue = $1 AND t.date = b.date", bulk.venue
    )
    inserted = bulk.count(f"INSERT INTO recon.reconciliation ({_listed('')}) SELECT {_listed('s.')} FROM stage AS s")
    return Change(inserted=inserted, retired=kept, restated=restated)


def _keep_history(bulk: Bulk) -> int:
    differs = f"({_row('f', _CONTENT)}) IS DISTINCT FROM ({_row('s', _CONTENT)})"
    return bulk.count(
        f"INSERT INTO recon.reconciliation_history ({_listed('')}, recorded_at, replaced_by)"
        f" SELECT {_listed('f.')}, p.loaded_at, $1 FROM former AS f"
        f" LEFT JOIN stage AS s ON {_same_position()}"
        " LEFT JOIN recon.partitions AS p"
        " ON p.venue = f.venue AND p.frame = 'reconciliation' AND p.date = f.date"
        f" WHERE s.venue IS NULL OR {differs}",
        bulk.run_id,
    )


def _restate(bulk: Bulk) -> int:
    key = ", ".join(f"coalesce(f.{name}, s.{name})" for name in _KEY)
    values = ", ".join(f"('{name}', f.{name}::numeric, s.{name}::numeric)" for name in _NUMBERS)
    return bulk.count(
        f"INSERT INTO recon.restatements ({', '.join(_KEY)},"
        " column_name, old_value, new_value, old_status, new_status, run_id)"
        f" SELECT {key}, c.name, c.old, c.new, f.status, s.status, $1"
        f" FROM former AS f FULL JOIN stage AS s ON {_same_position()}"
        f" CROSS JOIN LATERAL (VALUES {values}) AS c (name, old, new) WHERE c.old IS DISTINCT FROM c.new",
        bulk.run_id,
    )


def _same_position() -> str:
    return " AND ".join(f"f.{name} = s.{name}" for name in _KEY)


def _row(of: str, columns: list[str]) -> str:
    return ", ".join(f"{of}.{name}" for name in columns)


def _listed(prefix: str) -> str:
    return ", ".join(prefix + name for name in _COLUMNS)
