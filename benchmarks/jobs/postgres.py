"""The finished rows into PostgreSQL: `recon_pipeline.stores.publish.publish`, or pandas' `to_sql`.

    python -m benchmarks.jobs.postgres HOME start | publish RUN | to_sql RUN | stop

HOME holds an embedded server of its own. Both begin with the Parquet files of RUN's reconciliation, end with the same
rows committed in a table of exact numbers, and begin with an empty table.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from recon_pipeline.frames.schema import RECONCILIATION
from recon_pipeline.stores.database import engine, migrate
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.stores.lake import Lake
from recon_pipeline.stores.publish import publish

FRAME = "reconciliation"
TABLE = "reconciliation_of_pandas"


def publish_rows(lake: Lake, url: str, venue: str) -> int:
    """Load every day of the venue as a run does; rows loaded."""
    return publish(lake, url, venue, "benchmark").inserted


def to_sql(lake: Lake, url: str, venue: str) -> int:
    """Load them month by month with pandas, told to keep decimals as NUMERIC and not as text; rows loaded."""
    types = {
        column.name: sa.Numeric(column.type.precision, column.type.scale)
        for column in RECONCILIATION.columns
        if pa.types.is_decimal(column.type)
    }
    count = 0
    with engine(url).begin() as connection:
        for _, days in groupby(lake.days(FRAME, venue), key=lambda day: (day.year, day.month)):
            rows = lake.read(FRAME, venue, days).to_pandas()
            rows.to_sql(
                TABLE, connection, schema="recon", if_exists="append", index=False, dtype=types, chunksize=10_000
            )
            count += len(rows)
    return count


def _empty(url: str) -> None:
    with engine(url).begin() as connection:
        connection.execute(sa.text("TRUNCATE recon.reconciliation, recon.partitions"))
        connection.execute(sa.text(f"DROP TABLE IF EXISTS recon.{TABLE}"))


def _stored(url: str, table: str) -> int:
    with engine(url).connect() as connection:
        return int(connection.execute(sa.text(f"SELECT count(*) FROM recon.{table}")).scalar_one())


def main() -> None:
    """One step of the comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("step", choices=("start", "publish", "to_sql", "stop"))
    parser.add_argument("run", type=Path, nargs="?")
    arguments = parser.parse_args()
    server = EmbeddedPostgres(arguments.home)
    if arguments.step == "stop":
        server.stop()
        return
    url = server.start()
    if arguments.step == "start":
        migrate(url)
        return
    lake = Lake(str(arguments.run / "lake"), cache=arguments.run / "cache.json")
    [venue] = lake.venues(FRAME)
    _empty(url)
    load, table = (publish_rows, FRAME) if arguments.step == "publish" else (to_sql, TABLE)
    started = time.perf_counter()
    rows = load(lake, url, venue)
    seconds = time.perf_counter() - started
    stored = _stored(url, table)
    if stored != rows:
        raise SystemExit(f"{rows} rows loaded, but {stored} are stored")
    _empty(url)
    print(json.dumps({"seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
