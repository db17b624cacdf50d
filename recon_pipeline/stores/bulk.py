"""Arrow tables into PostgreSQL over one ADBC connection, and the table that says what was loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from recon_pipeline.errors import StoreError
from recon_pipeline.frames.schema import FRAMES, QUARANTINE

PARTITIONED = ("transfers", "trades", "balances", "prices", "reconciliation", "reconciliation_history")
"""The tables that are partitioned by month."""

_ANALYZES_ONLY = 180000
"""The server's version from which on ANALYZE can leave out the partitions of a table."""
_BATCH = pa.schema([("date", pa.date32()), ("digest", pa.string()), ("rows", pa.int64())])


@dataclass(frozen=True)
class Change:
    """What a step changed: rows inserted, rows retired or kept as history, numbers restated."""

    inserted: int = 0
    retired: int = 0
    restated: int = 0


class Bulk:
    """One venue's loading, on an open ADBC connection. What was begun and not committed is undone when it closes."""

    def __init__(self, connection: Any, venue: str, run_id: str) -> None:
        self.venue = venue
        self.run_id = run_id
        self._connection = connection
        self._months: set[tuple[str, date]] = set()

    def execute(self, statement: str, *parameters: object) -> None:
        """Run a statement; $1, $2 … are its parameters."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)

    def count(self, statement: str, *parameters: object) -> int:
        """Run a statement that changes rows; how many."""
        return int(self.value(f"WITH changed AS ({statement} RETURNING 1) SELECT count(*) FROM changed", *parameters))

    def value(self, statement: str, *parameters: object) -> Any:
        """The first column of the first row of a query."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            row = cursor.fetchone()
        return row[0] if row else None

    def stored_digests(self) -> dict[str, dict[date, str]]:
        """The digests of the files that PostgreSQL was loaded from, by frame and day."""
        found: dict[str, dict[date, str]] = {}
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT frame, date, digest FROM recon.partitions WHERE venue = $1", (self.venue,))
            for frame, day, digest in cursor.fetchall():
                found.setdefault(frame, {})[day] = digest
        self._connection.commit()
        return found

    def ensure_months(self, table: str, days: Iterable[date]) -> None:
        """Have the months of these days made; committed at once, since making one holds a lock on the table."""
        if table not in PARTITIONED:
            return
        months = {(name, day.replace(day=1)) for day in days for name in _with_history(table)} - self._months
        for name, month in sorted(months):
            self.execute("SELECT recon.ensure_month($1, $2)", name, month)
        if months:
            self._connection.commit()
            self._months |= months

    def begin_partitions(self, lines: Sequence[tuple[date, str | None, int]]) -> None:
        """Name the partitions that the coming changes bring: day, digest (None: it is gone), rows.

        They stand in the temporary table `batch` until the commit.
        """
        self.execute("CREATE TEMP TABLE batch (date date PRIMARY KEY, digest text, rows bigint) ON COMMIT DROP")
        columns = zip(*lines, strict=True)
        arrays = [pa.array(values, kind) for values, kind in zip(columns, _BATCH.types, strict=True)]
        self.append("batch", pa.Table.from_arrays(arrays, schema=_BATCH).to_reader(), temporary=True)
        self.execute("ANALYZE batch")

    def commit_partitions(self, frame: str) -> None:
        """Enter the batch into recon.partitions and commit it with everything done since it began."""
        replaced = "p.venue = $1 AND p.frame = $2 AND p.date = b.date"
        self.execute(f"DELETE FROM recon.partitions AS p USING batch AS b WHERE {replaced}", self.venue, frame)
        self.execute(
            "INSERT INTO recon.partitions (venue, frame, date, digest, rows, run_id)"
            " SELECT $1, $2, date, digest, rows, $3 FROM batch WHERE digest IS NOT NULL",
            self.venue,
            frame,
            self.run_id,
        )
        self._connection.commit()

    def stage(self, table: str, columns: Sequence[str], rows: pa.RecordBatchReader) -> None:
        """Load rows into the temporary table `stage`, typed as in `recon.<table>`, until the commit."""
        listed = ", ".join(f'"{name}"' for name in columns)
        self.execute(f"CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT {listed} FROM recon.{table} WITH NO DATA")
        self.append("stage", rows, temporary=True)
        self.execute("ANALYZE stage")

    def append(self, table: str, rows: pa.RecordBatchReader, *, temporary: bool = False) -> int:
        """Append rows straight; how many. The server would round a finer scale silently, so types are checked first."""
        if not temporary:
            _refuse_other_types(table, rows.schema)
        with self._connection.cursor() as cursor:
            schema = {} if temporary else {"db_schema_name": "recon"}
            return int(cursor.adbc_ingest(table, rows, mode="append", temporary=temporary, **schema))

    def analyze(self, table: str, columns: Sequence[str]) -> None:
        """Renew the statistics of a table, which for partitioned ones PostgreSQL never does by itself.

        Of the columns by which rows are found and joined, and without those of each month, which PostgreSQL keeps.
        """
        only = "ONLY " if int(self.value("SELECT current_setting('server_version_num')")) >= _ANALYZES_ONLY else ""
        self.execute(f"ANALYZE {only}recon.{table} ({', '.join(columns)})")
        self._connection.commit()


def _with_history(table: str) -> tuple[str, ...]:
    return (table, "reconciliation_history") if table == "reconciliation" else (table,)


def _refuse_other_types(table: str, found: pa.Schema) -> None:
    expected = FRAMES[table].arrow if table in FRAMES else pa.schema([pa.field("venue", pa.string()), *QUARANTINE])
    if found.names != expected.names or found.types != expected.types:
        raise StoreError(
            f"rows for recon.{table} have other columns than the table",
            where=f"recon.{table}",
            expected=", ".join(f"{column.name} {column.type}" for column in expected),
            next_step="this is a fault of the program: report it with this text",
        )
