"""The checks of a venue's assets: contract, coverage, variance. None blocks; each names the days at fault.

They have no partitions: a run over a range yields one result for the whole of it, which Dagster would file under no day
and show the check as skipped; and one result for each day costs five connections apiece. So a result is that of the
latest run, and lists its days at fault.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import dagster as dg

from recon_pipeline.assets import metadata
from recon_pipeline.assets.resource import Reconciler
from recon_pipeline.config import VenueSettings
from recon_pipeline.reconcile.findings import Findings
from recon_pipeline.reconcile.pipeline import VenueRun
from recon_pipeline.venues.reading import UNREAD

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
Metadata = Mapping[str, Any]


def refused_rows(run: VenueRun, frame: str | None) -> list[dict[str, Any]]:
    """The quarantine of a frame, or all of it; not what stands for a wallet that nobody read."""
    rows: list[dict[str, Any]] = run.reading.quarantine.to_pylist()
    return [row for row in rows if frame in (None, row["frame"]) and row["error"] != UNREAD]


def contract(asset: dg.AssetKey, run: VenueRun, frame: str | None) -> dg.AssetCheckResult:
    """Whether every row of a frame (every file, for the raw asset) could be taken; a sample of those that could not."""
    refused = refused_rows(run, frame)
    faulty = [file for file in run.reading.files if file.status == "faulty" and (frame is None or frame in file.frames)]
    undated = bool(faulty) or any(_day(row) is None for row in refused)
    by_day = {day: [row for row in refused if _day(row) in (day, None)] for day in run.request.days}
    shown = {
        "rows refused": len(refused),
        "sample of rows refused": metadata.table([_told(row) for row in refused]),
        "files refused": metadata.table([{"file": file.path, "error": file.error} for file in faulty]),
    }
    at_fault = {day: {"rows refused": len(rows)} for day, rows in by_day.items() if rows or undated}
    check = dg.AssetCheckKey(asset, "contract")
    return _Result(check, run.request.days, at_fault, shown, ERROR, bool(refused or faulty)).told()


def coverage(asset: dg.AssetKey, found: Findings) -> dg.AssetCheckResult:
    """Whether no row is incomplete; by day, what was missing."""
    at_fault: dict[date, Metadata] = {
        day: {"rows incomplete": ", ".join(f"{rows} {why}" for why, rows in of_day.incomplete.items())}
        for day, of_day in found.days.items()
        if of_day.incomplete
    }
    shown = {"rows incomplete": found.statuses.get("incomplete", 0)}
    check = dg.AssetCheckKey(asset, "coverage")
    return _Result(check, list(found.days), at_fault, shown, WARN, bool(at_fault)).told()


def variance(asset: dg.AssetKey, found: Findings) -> dg.AssetCheckResult:
    """Whether no row is beyond its tolerance; the rows that are."""
    at_fault: dict[date, Metadata] = {
        day: {"rows at variance": of_day.statuses["variance"], "USD at variance": of_day.usd_at_variance}
        for day, of_day in found.days.items()
        if "variance" in of_day.statuses
    }
    rows = [row for row in found.disagreeing if row["status"] == "variance"]
    shown = {
        "rows at variance": found.statuses.get("variance", 0),
        "USD at variance": metadata.text(found.usd_at_variance),
        "rows": metadata.findings_table(rows),
    }
    check = dg.AssetCheckKey(asset, "variance")
    return _Result(check, list(found.days), at_fault, shown, ERROR, bool(at_fault)).told()


def errors_check(venue: VenueSettings) -> dg.AssetChecksDefinition:
    """The last step of a run: it fails the run for what was refused, once everything that could be written is.

    It stands apart from the assets because an asset that raises is not materialised, and nothing after it runs.
    """
    asset = dg.AssetKey([venue.name, "reconciliation"])
    text = (
        "Nothing of the venue was refused: no file and no row. If anything was, the run fails here, its rows written."
    )

    @dg.multi_asset_check(
        name=f"{venue.name}__errors",
        specs=[dg.AssetCheckSpec("contract", asset=asset, description=text)],
        pool=f"venue_{venue.name}",
    )
    def errors(context: dg.AssetCheckExecutionContext, reconciler: Reconciler) -> Iterator[dg.AssetCheckResult]:
        run = reconciler.venue_run(context, venue.name)
        yield contract(asset, run, None)
        run.raise_for_faults()

    return errors


@dataclass(frozen=True)
class _Result:
    """What a check found: the days at fault with a few figures each, and what to show of the whole run."""

    check: dg.AssetCheckKey
    days: Sequence[date]
    at_fault: Mapping[date, Metadata]
    shown: Metadata
    severity: dg.AssetCheckSeverity
    failed: bool

    def told(self) -> dg.AssetCheckResult:
        """The result, as Dagster takes it."""
        rows = [{"day": day, **figures} for day, figures in sorted(self.at_fault.items())]
        return dg.AssetCheckResult(
            passed=not self.failed,
            asset_key=self.check.asset_key,
            check_name=self.check.name,
            metadata={
                **self.shown,
                "days of the run": str(len(self.days)),
                "days at fault": metadata.table(rows, most=31),
            },
            severity=self.severity,
        )


def _day(row: Mapping[str, Any]) -> date | None:
    """The day that a refused row concerns, as far as it can be told."""
    instant: datetime | None = row["instant"]
    if row["frame"] in ("balances", "reconciliation"):
        day: date | None = row["date"]
        return day
    return instant.date() if instant is not None else None


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("frame", "file", "line", "error", "reason", "content")}
