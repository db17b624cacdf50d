"""The floor: read the flows' columns that the kernel reads and write the finished rows, with nothing in between.

    python -m benchmarks.jobs.floor WORLD FINISHED OUT [--writer duckdb|arrow|daily]

FINISHED is one day's finished partition; its rows are held in memory and written for every day, so that no time goes
into getting them. Each flow is read once. It uses what makes it fast: statements over many days, both processors for
reading and for writing, no sorting (the rows are in order), no indexes nobody asked for. Two libraries can write the
files; `compare` takes whichever was faster. `daily` is for comparison only: a statement reads one day, another writes
it, on one connection.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import duckdb

from benchmarks.manifest import Manifest

COLUMNS = ("account", "wallet", "asset", "datetime", "amount", "txn_subtype", "measure")
READ_DAYS = 16
WRITERS = 2


class DuckdbWriter:
    """Writes with COPY, from a table in memory."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, finished: Path, out: Path) -> None:
        self._connection = connection
        self._out = out
        connection.execute(f"CREATE TABLE finished AS FROM read_parquet('{finished}', hive_partitioning = false)")

    def write(self, days: list[date]) -> None:
        """A file for each day."""
        connection = self._connection.cursor()
        for day in days:
            path = self._out / f"date={day}.parquet"
            connection.execute(
                f"COPY finished TO '{path}' (FORMAT parquet, COMPRESSION zstd, WRITE_BLOOM_FILTER false)"
            )


class ArrowWriter:
    """Writes with pyarrow, as the kernel does."""

    def __init__(self, finished: Path, out: Path) -> None:
        import pyarrow as pa  # the other writer must not pay for these imports
        import pyarrow.parquet as pq

        self._write_table = pq.write_table
        self._out = out
        self._table = pq.read_table(finished, partitioning=None).combine_chunks()
        self._repeating = [column.name for column in self._table.schema if not pa.types.is_decimal(column.type)]

    def write(self, days: list[date]) -> None:
        """A file for each day."""
        for day in days:
            self._write_table(
                self._table,
                self._out / f"date={day}.parquet",
                compression="zstd",
                use_dictionary=self._repeating,
                store_schema=False,
            )


def main() -> None:
    """Read everything, write everything."""
    parser = argparse.ArgumentParser()
    for name in ("world", "finished", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--writer", choices=("duckdb", "arrow", "daily"), default="duckdb")
    arguments = parser.parse_args()
    manifest = Manifest.load(arguments.world)
    days = manifest.days
    started = time.perf_counter()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    if arguments.writer == "arrow":
        writer: ArrowWriter | DuckdbWriter = ArrowWriter(arguments.finished, arguments.out)
    else:
        writer = DuckdbWriter(connection, arguments.finished, arguments.out)
    if arguments.writer == "daily":
        for day in days:
            _read(connection, arguments.world, manifest.venue, [day])
            writer.write([day])
    else:
        for first in range(0, len(days), READ_DAYS):
            _read(connection, arguments.world, manifest.venue, days[first : first + READ_DAYS])
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(writer.write, [days[turn::WRITERS] for turn in range(WRITERS)]))
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": sum(manifest.rows)}))


def _read(connection: duckdb.DuckDBPyConnection, world: Path, venue: str, days: list[date]) -> None:
    """Decode every value of the columns: `last` needs all of them and does next to nothing with any."""
    files = [f"{world}/lake/{f}/venue={venue}/date={day}/data.parquet" for f in ("transfers", "trades") for day in days]
    wanted = ", ".join(f"last({column})" for column in COLUMNS)
    connection.execute(f"SELECT {wanted} FROM read_parquet($files, hive_partitioning = false)", {"files": files})
    connection.fetchall()


if __name__ == "__main__":
    main()
