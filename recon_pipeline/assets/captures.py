"""captures_<venue>: balances that a venue tells of the present alone, read early each day, outside its pool."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from recon_pipeline.assets.jobs import status_at_first
from recon_pipeline.assets.resource import open_database
from recon_pipeline.config import VenueSettings, load_settings
from recon_pipeline.venues.sources import capture_now

if TYPE_CHECKING:
    from dagster._core.definitions.job_definition import JobDefinition

EVERY_HOUR_UNTIL_SIX = "5 0-5 * * *"
"""The first run captures everything; those after it only what an earlier one could not."""


class CapturesFailed(dg.Failure):
    """Some wallets could not be captured: their day has no close."""


def captures_name(venue: str) -> str:
    """The name of a venue's capture job."""
    return f"captures_{venue}"


def capture_job(venue: VenueSettings) -> "JobDefinition":
    """One step that captures what is still missing of yesterday. It takes no pool: a backfill never holds it up."""

    @dg.op(name=f"capture_{venue.name}", description=f"Captures wallets of {venue.name} that have no history.")
    def capture(context: dg.OpExecutionContext) -> None:
        settings = load_settings()
        made, problems = capture_now(settings, venue.name, open_database(settings), context.log.info)
        context.log.info(f"{made} captures")
        if problems:
            told: dict[str, Any] = {f"problem {n}": str(problem) for n, problem in enumerate(problems, start=1)}
            raise CapturesFailed(f"{len(problems)} captures failed; {made} were made", metadata=told)

    @dg.job(
        name=captures_name(venue.name),
        description=f"Reads wallets of {venue.name} twice, shortly after midnight, as the close of the day before.",
        executor_def=dg.in_process_executor,
        tags={"venue": venue.name, "dagster/priority": "10"},
    )
    def captures() -> None:
        capture()

    return captures


def capture_schedule(venue: VenueSettings, job: "JobDefinition") -> dg.ScheduleDefinition:
    """Every hour from 00:05 to 05:05 UTC."""
    return dg.ScheduleDefinition(
        name=captures_name(venue.name),
        job=job,
        cron_schedule=EVERY_HOUR_UNTIL_SIX,
        execution_timezone="UTC",
        default_status=status_at_first(venue),
        description="What could not be captured by six closes no day.",
    )
