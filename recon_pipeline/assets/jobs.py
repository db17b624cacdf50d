"""One job for each venue, its assets and the marts; its daily schedule, at the venue's own lag."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from recon_pipeline.assets.instance import RANGE_START
from recon_pipeline.assets.resource import open_database
from recon_pipeline.config import VenueSettings, load_settings
from recon_pipeline.reconcile.findings import first_day_to_run

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

RANGE_END = "dagster/asset_partition_range_end"


def job_name(venue: str) -> str:
    """The name of a venue's job."""
    return f"daily_{venue}"


def venue_job(venue: VenueSettings) -> "UnresolvedAssetJobDefinition":
    """The venue's assets over the days of a run, then the marts, in one process."""
    return dg.define_asset_job(
        job_name(venue.name),
        selection=dg.AssetSelection.groups(venue.name) | dg.AssetSelection.groups("marts"),
        description=f"Reads {venue.name}, reconciles the run's days and whatever has become stale, tests the marts.",
        executor_def=dg.in_process_executor,
        tags={"venue": venue.name},
    )


def range_tags(first: date, last: date) -> Mapping[str, str]:
    """The tags that make a run one over a range of days, both inclusive."""
    return {RANGE_START: str(first), RANGE_END: str(last)}


def status_at_first(venue: VenueSettings) -> dg.DefaultScheduleStatus:
    """Schedules are on, but for a sandbox: it is up only while somebody tries it, and may have a time of its own."""
    is_sandbox = venue.api is not None and venue.api.sandbox is not None
    return dg.DefaultScheduleStatus.STOPPED if is_sandbox else dg.DefaultScheduleStatus.RUNNING


def daily_schedule(venue: VenueSettings, job: "UnresolvedAssetJobDefinition") -> dg.ScheduleDefinition:
    """Every night the day that has become due, together with those before it that never ran or were still pending."""
    lag = max(venue.due_days, 1)

    @dg.schedule(
        name=job_name(venue.name),
        cron_schedule="0 2 * * *",
        execution_timezone="UTC",
        job=job,
        default_status=status_at_first(venue),
        description=f"02:00 UTC, the day {lag} before: what is missing of it is incomplete from then on.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        due = context.scheduled_execution_time.date() - timedelta(days=lag)
        if due < venue.start:
            return dg.SkipReason(f"{venue.name} begins on {venue.start}; {due} is due")
        first = first_day_to_run(open_database(load_settings()), venue.name, due)
        return dg.RunRequest(run_key=f"due {due}", tags=range_tags(max(first, venue.start), due))

    return daily
