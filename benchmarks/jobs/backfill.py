"""A year of one venue through Dagster, as a person starts it in the UI; and the same run without Dagster.

    python -m benchmarks.jobs.backfill WORLD HOME plain|dagster

The world's frames become a folder of Parquet statements. `plain` calls what the assets call, on a database of its own.
`dagster` brings up `recon up`, asks its web server for a backfill of every day of the venue's six assets, and then for
a run of the last day alone. All on PostgreSQL storage, in HOME, which should be empty or absent.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.jobs.verify import verify
from benchmarks.jobs.webserver import WebServer
from benchmarks.manifest import Manifest
from benchmarks.settings import as_of_day
from benchmarks.world import Spec
from recon_pipeline.assets.jobs import job_name
from recon_pipeline.assets.resource import open_database
from recon_pipeline.assets.venues import ASSETS
from recon_pipeline.config import Settings, load_settings
from recon_pipeline.reconcile.pipeline import Request, run_venue
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.stores.lake import Lake

FRAMES = ("transfers", "trades", "balances", "prices", "coverage")
RECON = (sys.executable, "-c", "from recon_pipeline.cli import main; main()")


def prepare(world: Path, home: Path, manifest: Manifest) -> Settings:
    """A configuration whose statements are the world's frames; the folder of statements is not in its place yet."""
    waiting = home / "waiting"
    waiting.mkdir(parents=True)
    (home / "statements").mkdir()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for frame in FRAMES:
        source = f"read_parquet('{world}/lake/{frame}/*/*/data.parquet', hive_partitioning = false)"
        connection.execute(f"COPY (FROM {source}) TO '{waiting}/{frame}.parquet' (FORMAT parquet)")
    config = home / "recon.yaml"
    config.write_text(
        f"start: {manifest.days[0]}\nvenues:\n  {manifest.venue}:\n    kind: statements\n    folder: statements\n"
        f'tolerances:\n  default: "{Spec.tolerance:f}"\n',
        encoding="utf-8",
    )
    os.environ |= {"RECON_HOME": str(home / "home"), "RECON_CONFIG": str(config)}
    return load_settings()


def bring_statements(home: Path) -> None:
    """Let the statements appear in the venue's folder."""
    for file in sorted((home / "waiting").iterdir()):
        file.rename(home / "statements" / file.name)


def plain(settings: Settings, home: Path, manifest: Manifest) -> dict[str, Any]:
    """The year without Dagster; the database is up before the clock starts, as it is for the backfill."""
    url = open_database(settings)
    bring_statements(home)
    started = time.perf_counter()
    request = Request(manifest.venue, manifest.days[0], manifest.days[-1], as_of_day(manifest))
    outcome = run_venue(settings, request, "plain", url)
    return {"seconds": time.perf_counter() - started, "days": len(outcome.days)}


def through_dagster(home: Path, manifest: Manifest) -> dict[str, Any]:
    """The year through web server, daemon and one run; then one day, launched alone."""
    told = json.loads(subprocess.run([*RECON, "up", "--json"], check=True, stdout=subprocess.PIPE).stdout)
    try:
        server = WebServer(told["ui"])
        # The sensor would start its own run of the whole folder as soon as there is something in it.
        server.stop_automations()
        bring_statements(home)
        assets = [(manifest.venue, name) for name in ASSETS]
        asked, started = time.time(), time.perf_counter()
        runs = server.backfill(assets, [str(day) for day in manifest.days])
        seconds = time.perf_counter() - started
        asked_day, started = time.time(), time.perf_counter()
        one_day = server.run(job_name(manifest.venue), assets, str(manifest.days[-1]))
        return {
            "seconds": seconds,
            "runs": len(runs),
            "until_launched_s": min(run["creationTime"] for run in runs) - asked,
            "until_started_s": min(run["startTime"] for run in runs) - asked,
            "until_rows_stood_s": max(run["endTime"] for run in runs) - asked,
            "in_runs_s": sum(run["endTime"] - run["startTime"] for run in runs),
            "one_day_s": time.perf_counter() - started,
            "one_day_until_rows_stood_s": one_day["endTime"] - asked_day,
        }
    finally:
        subprocess.run([*RECON, "down", "--json"], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """One of the two."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("home", type=Path)
    parser.add_argument("way", choices=("plain", "dagster"))
    arguments = parser.parse_args()
    home: Path = arguments.home.absolute()
    manifest = Manifest.load(arguments.world)
    yesterday = date.today() - timedelta(days=1)  # noqa: DTZ011 - the last day that Dagster offers, whatever the zone
    if manifest.days[-1] > yesterday:
        raise SystemExit(f"{manifest.days[-1]} has not passed: Dagster has no partition for it")
    settings = prepare(arguments.world, home, manifest)
    try:
        said = plain(settings, home, manifest) if arguments.way == "plain" else through_dagster(home, manifest)
    finally:
        EmbeddedPostgres(settings.home).stop()
    verdict = verify(Lake(settings.lake_url), manifest)
    print(json.dumps(said | {"planted": verdict.planted, "found": verdict.found, "faults": len(verdict.faults)}))


if __name__ == "__main__":
    main()
