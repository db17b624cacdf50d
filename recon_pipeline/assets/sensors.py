"""files_<venue>: new, changed or vanished files in a venue's folder start the runs of the days they touch."""

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from recon_pipeline.assets.jobs import range_tags
from recon_pipeline.assets.resource import open_database
from recon_pipeline.config import Settings, VenueSettings, load_settings
from recon_pipeline.errors import ReconError
from recon_pipeline.reconcile.changes import changed_days, list_folder, ranges
from recon_pipeline.reconcile.pipeline import open_lake, today

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

SECONDS_BETWEEN_LOOKS = 30


def files_sensor(venue: VenueSettings, job: "UnresolvedAssetJobDefinition") -> dg.SensorDefinition:
    """A sensor that lists the folder at each tick, and reads it only if the listing is another than before."""

    @dg.sensor(
        name=f"files_{venue.name}",
        job=job,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="New, changed or vanished files start the runs of the days they touch; at first the whole folder.",
    )
    def files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        settings = load_settings()
        now = settings.venues[venue.name]
        listing = list_folder(settings, now)
        if listing.fingerprint == context.cursor:
            return dg.SkipReason("nothing has changed in the folder")
        if not listing.is_settled:
            return dg.SkipReason("a file was written a moment ago: it is read once it has come to rest")
        requests = _requests(settings, now)
        skip = None if requests else "the folder is as the lake holds it"
        return dg.SensorResult(run_requests=requests, cursor=listing.fingerprint, skip_reason=skip)

    return files


def _requests(settings: Settings, venue: VenueSettings) -> list[dg.RunRequest]:
    last = today() - timedelta(days=1)
    is_first = not open_lake(settings).days("reconciliation", venue.name)
    try:
        days = changed_days(settings, venue, open_database(settings))
    except ReconError:
        # The folder cannot be read as a whole. The run of one day says so where people look, in the list of runs.
        days = [last]
    # No run key: a file that is put back gives a listing that was seen before, and has to be run all the same.
    return [dg.RunRequest(tags=range_tags(*span)) for span in ranges(days, venue.start, last, as_one=is_first)]
