"""The front door: everything that Dagster is told, on one page.

    per venue   six daily assets and their checks, a job, a daily schedule, a sensor on its folder
    marts       one asset for each SQL model, one check for each of its tests
    reconciler  the pipeline itself (recon_pipeline.reconcile.pipeline), shared by the steps of a run

recon.yaml is read when this module loads: reload the code location, or restart `recon up`, after adding a venue. What
else stands in it is read anew by each run.
"""

from __future__ import annotations

import warnings

import dagster as dg

# Backfill policies and partitions of checks are marked so; both are held still by the version range in pyproject.toml.
for _kind in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=_kind)

from recon_pipeline.assets.jobs import daily_schedule, venue_job  # noqa: E402
from recon_pipeline.assets.marts import mart_assets  # noqa: E402
from recon_pipeline.assets.resource import Reconciler  # noqa: E402
from recon_pipeline.assets.sensors import files_sensor  # noqa: E402
from recon_pipeline.assets.venues import venue_assets, venue_checks  # noqa: E402
from recon_pipeline.config import Settings, load_settings  # noqa: E402


def build(settings: Settings) -> dg.Definitions:
    """The definitions that these settings ask for."""
    venues = list(settings.venues.values())
    jobs = {venue.name: venue_job(venue) for venue in venues}
    return dg.Definitions(
        assets=[*(asset for venue in venues for asset in venue_assets(venue)), mart_assets(list(settings.venues))],
        asset_checks=[check for venue in venues for check in venue_checks(venue)],
        jobs=list(jobs.values()),
        schedules=[daily_schedule(venue, jobs[venue.name]) for venue in venues],
        sensors=[files_sensor(venue, jobs[venue.name]) for venue in venues],
        resources={"reconciler": Reconciler.configure_at_launch()},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of recon.yaml; a wrong one is refused with its line."""
    return build(load_settings())
