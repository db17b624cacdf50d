"""The rows of a run against the world's manifest: everything planted is found, and nothing else is.

python -m benchmarks.jobs.verify WORLD RUN
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.manifest import Manifest
from recon_pipeline.stores.lake import Lake

SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """What was planted, how much of it was found, and every disagreement in words."""

    planted: int
    found: int
    faults: list[str]


def verify(lake: Lake, manifest: Manifest) -> Verdict:
    """Compare the stored reconciliation of every day of the manifest with what must be there."""
    connection = duckdb.connect(config={"memory_limit": "2GB"})
    files = [lake.partition("reconciliation", manifest.venue, day) for day in manifest.days]
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        "CREATE TABLE rows AS SELECT date, account, wallet, asset, status, discrepancy_type, price_status,"
        " variance_in_asset AS variance, coalesce(variance_in_asset <> 0, false) AS differs"
        " FROM read_parquet($files, hive_partitioning = true, hive_types = {'date': DATE})",
        {"files": files},
    )
    differences, gaps, prices = _found(connection)
    planted = {
        (d.date, d.account, d.wallet, d.asset, d.status, d.discrepancy_type, d.variance) for d in manifest.differences
    }
    # An asset that nobody holds that day has no row to show its price in.
    held = set(connection.execute("SELECT DISTINCT date, asset FROM rows").fetchall())
    unpriced = {(p.date, p.asset, p.price_status) for p in manifest.price_gaps if (p.date, p.asset) in held}
    faults = [
        *_compared("difference", planted, differences),
        *_compared("gap", {(g.date, g.account, g.wallet, g.discrepancy_type) for g in manifest.gaps}, gaps),
        *_compared("price status", unpriced, prices),
        *_whole_gaps(connection),
        *_counts(connection, manifest),
    ]
    return Verdict(len(planted), len(planted & differences), faults)


def _found(connection: duckdb.DuckDBPyConnection) -> tuple[set[tuple[object, ...]], ...]:
    """Rows that differ or are judged to, wallets' days with an incomplete row, and prices that are not ok."""
    queries = (
        "SELECT date, account, wallet, asset, status, discrepancy_type, variance FROM rows"
        " WHERE status NOT IN ('matched', 'opening', 'incomplete') OR differs"
        " OR (status <> 'incomplete' AND discrepancy_type IS NOT NULL)",
        "SELECT DISTINCT date, account, wallet, discrepancy_type FROM rows WHERE status = 'incomplete'",
        "SELECT DISTINCT date, asset, price_status FROM rows WHERE price_status <> 'ok'",
    )
    return tuple(set(connection.execute(query).fetchall()) for query in queries)


def _compared(what: str, planted: Iterable[object], found: set[tuple[object, ...]]) -> list[str]:
    wanted = set(planted)
    return [
        f"{what} {kind}: {', '.join(map(str, row))}"
        for kind, rows in (("missed", wanted - found), ("not planted", found - wanted))
        for row in sorted(rows, key=str)
        if isinstance(row, tuple)
    ]


def _whole_gaps(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """A wallet's day is incomplete as a whole or not at all."""
    rows = connection.execute(
        "SELECT date, account, wallet FROM rows GROUP BY ALL"
        " HAVING bool_or(status = 'incomplete') AND NOT bool_and(status = 'incomplete') ORDER BY ALL"
    ).fetchall()
    return [f"only partly incomplete: {', '.join(map(str, row))}" for row in rows]


def _counts(connection: duckdb.DuckDBPyConnection, manifest: Manifest) -> list[str]:
    """Rows of each day, and openings on the first alone."""
    counted = dict(connection.execute("SELECT date, count(*) FROM rows GROUP BY date").fetchall())
    faults = [
        f"rows of {day}: {counted.get(day, 0)} instead of {wanted}"
        for day, wanted in zip(manifest.days, manifest.rows, strict=True)
        if counted.get(day, 0) != wanted
    ]
    openings = connection.execute("SELECT date, count(*) FROM rows WHERE status = 'opening' GROUP BY date").fetchall()
    if openings != [(manifest.days[0], manifest.rows[0])]:
        faults.append(f"openings: {openings}")
    return faults


def digest_of_rows(lake: Lake, manifest: Manifest) -> str:
    """One sha256 over the bytes of every stored day."""
    whole = hashlib.sha256()
    for day in manifest.days:
        whole.update((lake.digest("reconciliation", manifest.venue, day) or "none").encode())
    return whole.hexdigest()


def main() -> None:
    """Print what was planted, what was found, the first disagreements and the digest of all rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    manifest = Manifest.load(arguments.world)
    lake = Lake(str(arguments.run / "lake"))
    verdict = verify(lake, manifest)
    said = {
        "planted": verdict.planted,
        "found": verdict.found,
        "faults": len(verdict.faults),
        "first_faults": verdict.faults[:SHOWN],
        "rows": sum(manifest.rows),
        "digest": digest_of_rows(lake, manifest),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
