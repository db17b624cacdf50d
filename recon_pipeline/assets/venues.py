"""A venue's six daily assets: each hands one step of the venue's run to Dagster and tells what it did."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from recon_pipeline.assets import metadata
from recon_pipeline.assets.checks import contract, coverage, errors_check, refused_rows, variance
from recon_pipeline.assets.resource import Reconciler
from recon_pipeline.config import VenueSettings
from recon_pipeline.frames.schema import FRAMES
from recon_pipeline.reconcile.findings import find
from recon_pipeline.reconcile.pipeline import VenueRun, today

if TYPE_CHECKING:
    Materialized: TypeAlias = dg.MaterializeResult[Any]
else:
    Materialized = dg.MaterializeResult  # Dagster knows the bare class only

FRAMES_WITH_ASSET = ("transfers", "trades", "balances", "prices")
ASSETS = ("raw", *FRAMES_WITH_ASSET, "reconciliation")
_DESCRIPTIONS = {
    "raw": "What the venue told at one moment, its bytes archived: which files or streams, which rows were refused, "
    "and over which time each feed is complete.",
    "reconciliation": FRAMES["reconciliation"].description
    + " A run also computes every stored day that rests on something it changed; those days are reported with it.",
}


def venue_assets(venue: VenueSettings) -> list[dg.AssetsDefinition]:
    """raw, the four frames with an asset of their own, and the reconciliation, which rests on them all."""
    raw = _raw(venue)
    frames = [_frame(venue, name) for name in FRAMES_WITH_ASSET]
    return [raw, *frames, _reconciliation(venue)]


def venue_checks(venue: VenueSettings) -> list[dg.AssetChecksDefinition]:
    """The checks that are steps of their own."""
    return [errors_check(venue)]


def days_of(venue: VenueSettings) -> dg.DailyPartitionsDefinition:
    """The venue's days, in UTC, from its start to yesterday."""
    return dg.DailyPartitionsDefinition(start_date=str(venue.start), timezone="UTC")


def key(venue: str, name: str) -> dg.AssetKey:
    """The asset key of a venue's asset."""
    return dg.AssetKey([venue, name])


def _options(venue: VenueSettings, name: str, upstream: Sequence[str], checks: Sequence[str]) -> dict[str, Any]:
    frame = FRAMES.get(name)
    schema = {"dagster/column_schema": metadata.frame_schema(frame)} if frame else {}
    days = days_of(venue)
    return {
        "key": key(venue.name, name),
        "deps": [key(venue.name, other) for other in upstream],
        "description": _DESCRIPTIONS.get(name) or (frame.description if frame else None),
        "partitions_def": days,
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "group_name": venue.name,
        "pool": f"venue_{venue.name}",
        "kinds": {"duckdb", "parquet"} if name == "reconciliation" else {"parquet"},
        "metadata": schema | {"calendar": venue.calendar, "due days": venue.due_days},
        "check_specs": [
            dg.AssetCheckSpec(check, asset=key(venue.name, name), description=text)
            for check, text in _CHECKS.items()
            if check in checks
        ],
    }


_CHECKS = {
    "contract": "Every row and file fits its frame's contract; those that do not are in quarantine, and listed here.",
    "coverage": "No row of the day is incomplete: nothing is missing that should have been there.",
    "variance": "No row of the day is beyond its tolerance.",
}


def _raw(venue: VenueSettings) -> dg.AssetsDefinition:
    @dg.asset(**_options(venue, "raw", (), ("contract",)))
    def raw(context: dg.AssetExecutionContext, reconciler: Reconciler) -> Materialized:
        run = reconciler.venue_run(context, venue.name)
        with _reported(context, run, "raw"):
            reading = run.read()
        files = [
            {
                "file": file.path,
                "rows": file.rows,
                "status": file.status,
                "frames": ", ".join(file.frames),
                "error": file.error,
            }
            for file in reading.files
        ]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(len(table) for table in reading.frames.values()),
                "files": metadata.table(files, most=50),
                "streams": ", ".join(reading.streams) or "none: informational",
                "digest of the reading": reading.digest,
            },
            check_results=[contract(key(venue.name, "raw"), run, None)],
        )

    return raw


def _frame(venue: VenueSettings, name: str) -> dg.AssetsDefinition:
    @dg.asset(**_options(venue, name, ("raw",), ("contract",)))
    def frame(context: dg.AssetExecutionContext, reconciler: Reconciler) -> Materialized:
        run = reconciler.venue_run(context, venue.name)
        with _reported(context, run, name):
            run.store(name)
        for day in context.partition_keys:
            rows = run.lake.rows(name, venue.name, date.fromisoformat(day))
            context.add_asset_metadata({"dagster/row_count": rows}, partition_key=day)
        refused = refused_rows(run, name)
        return dg.MaterializeResult(
            metadata={
                "days changed": sum(1 for frame, _, _ in run.changed if frame == name),
                "rows refused": len(refused),
                "lake": run.lake.partition(name, venue.name, run.request.last_day),
            },
            check_results=[contract(key(venue.name, name), run, name)],
        )

    return frame


def _reconciliation(venue: VenueSettings) -> dg.AssetsDefinition:
    @dg.asset(**_options(venue, "reconciliation", FRAMES_WITH_ASSET, ("coverage", "variance")))
    def reconciliation(context: dg.AssetExecutionContext, reconciler: Reconciler) -> Materialized:
        run = reconciler.venue_run(context, venue.name)
        with _reported(context, run, "reconciliation"):
            outcome = run.reconcile()
        found = find(run.url, venue.name, run.request.first_day, run.request.last_day)
        for day, findings in found.days.items():
            of_day = {"dagster/row_count": findings.rows, "USD at variance": metadata.text(findings.usd_at_variance)}
            context.add_asset_metadata(of_day | _by_status(findings.statuses), partition_key=str(day))
        # The page of an asset shows its latest event; the picture of a whole range in each of its days would only swell
        # the event log.
        last = {
            "rows by day": metadata.plot(found.days),
            "rows that disagree": metadata.findings_table(found.disagreeing),
        }
        context.add_asset_metadata(last, partition_key=str(run.request.last_day))
        return dg.MaterializeResult(
            metadata={
                "days computed besides": len(set(outcome.days) - set(run.request.days)),
                "USD at variance, whole run": metadata.text(found.usd_at_variance),
            },
            check_results=[
                coverage(key(venue.name, "reconciliation"), found),
                variance(key(venue.name, "reconciliation"), found),
            ],
        )

    return reconciliation


@contextmanager
def _reported(context: dg.AssetExecutionContext, run: VenueRun, name: str) -> Iterator[None]:
    """Tell Dagster of every partition that the block wrote besides the ones that this step materialises anyway."""
    before = set(run.changed)
    yield
    own = {(name, run.venue, day) for day in run.request.days}
    for frame, venue, day in sorted(run.changed - before - own):
        if frame in ASSETS and run.settings.venues[venue].start <= day < today():
            written: dict[str, Any] = {
                "dagster/row_count": run.lake.rows(frame, venue, day),
                "written for": _span(run.request.days),
            }
            context.log_event(dg.AssetMaterialization(key(venue, frame), partition=str(day), metadata=written))


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _by_status(statuses: Mapping[str, int]) -> dict[str, int]:
    return {f"rows {status}": rows for status, rows in sorted(statuses.items())}
