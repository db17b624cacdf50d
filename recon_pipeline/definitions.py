"""The front door: everything that Dagster is told, on one page.

    per venue   six daily assets and their checks, a job, a daily schedule; a sensor on its folder, if it has one, or
                a job and a schedule that capture what has no history, if it is asked over HTTP
    marts       one asset for each SQL model, one check for each of its tests
    reconciler  the pipeline itself (recon_pipeline.reconcile.pipeline), shared by the steps of a run

recon.yaml is read when this module loads: reload the code location, or restart `recon up`, after adding a venue. What
else stands in it is read anew by each run.
"""

from __future__ import annotations

import warnings

import dagster as dg

from recon_pipeline.assets.captures import capture_job, capture_schedule
from recon_pipeline.assets.jobs import daily_schedule, venue_job
from recon_pipeline.assets.marts import mart_assets
from recon_pipeline.assets.resource import Reconciler
from recon_pipeline.assets.sensors import files_sensor
from recon_pipeline.assets.venues import venue_assets, venue_checks
from recon_pipeline.config import Settings, load_settings


def build(settings: Settings) -> dg.Definitions:
    """The definitions that these settings ask for."""
    with warnings.catch_warnings():
        # Backfill policies are marked as beta; the version range in pyproject.toml holds them still.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _build(settings)


def _build(settings: Settings) -> dg.Definitions:
    venues = list(settings.venues.values())
    jobs = {venue.name: venue_job(venue) for venue in venues}
    captures = {venue.name: capture_job(venue) for venue in venues if venue.api}
    return dg.Definitions(
        assets=[*(asset for venue in venues for asset in venue_assets(venue)), mart_assets(list(settings.venues))],
        asset_checks=[check for venue in venues for check in venue_checks(venue)],
        jobs=[*jobs.values(), *captures.values()],
        schedules=[
            *(daily_schedule(venue, jobs[venue.name]) for venue in venues),
            *(capture_schedule(venue, captures[venue.name]) for venue in venues if venue.api),
        ],
        sensors=[files_sensor(venue, jobs[venue.name]) for venue in venues if not venue.api],
        resources={"reconciler": Reconciler.configure_at_launch()},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of recon.yaml; a wrong one is refused with its line."""
    return build(load_settings())
