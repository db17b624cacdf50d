"""What a reading leaves unexplained: the kernel's own variances, computed aside, before anything is stored.

A venue that has to be asked market by market needs to know where to ask: where something is unexplained.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta

from recon_pipeline.reconcile.kernel import reconcile
from recon_pipeline.reconcile.plan import consulted
from recon_pipeline.reconcile.settings import KernelSettings
from recon_pipeline.reconcile.storing import ByDay
from recon_pipeline.stores.lake import Lake
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.sources import Residual, Residuals

_KEY = ("account", "wallet", "date", "asset")
_JUST_AFTER = timedelta(microseconds=1)
"""A window begins right after its start."""
_INPUTS = ("transfers", "trades", "balances", "coverage")


def residuals(settings: KernelSettings, reading: Reading, days: Sequence[date], as_of_day: date) -> Residuals:
    """actual - calculated of every position of these days that is not zero, whether its feeds were complete or not."""
    found: dict[tuple[str, str, date], dict[str, Residual]] = defaultdict(dict)
    with tempfile.TemporaryDirectory(prefix="recon-residuals-") as folder:
        lake = Lake(folder)
        plan = consulted(reading.frames, reading.quarantine, days)
        with lake.write("residuals") as write:
            for frame in _INPUTS:
                by_day = ByDay(frame, reading.frames[frame])
                for day in sorted({*days, *plan.get(frame, set()), *(by_day.days if frame == "coverage" else ())}):
                    write.put(frame, settings.venue, day, by_day.rows(day))
            write.put_quarantine(settings.venue, reading.quarantine)
            write.commit()
        reconcile(lake, settings, days, as_of_day, run="residuals")
        rows = lake.read("reconciliation", settings.venue, list(days)).select(
            [*_KEY, "variance_in_asset", "status", "window_start", "start_balance", "actual_balance"]
        )
    for row in rows.to_pylist():
        if row["variance_in_asset"]:
            is_closed = row["status"] != "incomplete"
            first = (row["window_start"] + _JUST_AFTER).date() if row["window_start"] else row["date"]
            span, is_still = max((row["date"] - first).days + 1, 1), row["start_balance"] == row["actual_balance"]
            residual = Residual(row["variance_in_asset"], is_closed, span, is_still)
            found[row["account"], row["wallet"], row["date"]][row["asset"]] = residual
    return found
