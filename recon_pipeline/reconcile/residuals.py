"""What a reading leaves unexplained: the kernel's own variances, computed aside, before anything is stored.

A venue that has to be asked market by market needs to know where to ask: where something is unexplained.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.reconcile.kernel import reconcile
from recon_pipeline.reconcile.plan import consulted
from recon_pipeline.reconcile.settings import KernelSettings
from recon_pipeline.reconcile.storing import ByDay
from recon_pipeline.stores.lake import Lake
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.sources import Residual, Residuals

_COLUMNS = [
    "account", "wallet", "date", "asset", "variance_in_asset", "window_start", "start_balance", "actual_balance"
]  # fmt: skip
_JUST_AFTER = timedelta(microseconds=1)
"""A window begins right after its start."""
_INPUTS = ("transfers", "trades", "balances", "coverage")


class LeftOver:
    """Residuals of one reading after another, in a lake of its own: what has not changed is not written again."""

    def __init__(self, folder: str, kernel: Callable[[Reading], KernelSettings], as_of_day: date) -> None:
        self._lake = Lake(folder, is_durable=False)
        self._kernel = kernel
        self._as_of_day = as_of_day
        self._put: dict[tuple[str, date], pa.Table] = {}

    def of(self, reading: Reading, days: Collection[date]) -> Residuals:
        """actual - calculated of every position of these days that is not zero, whether its feeds were complete or
        not."""
        rows = self.rows(reading, days)
        return _residuals(rows.filter(pc.not_equal(rows["variance_in_asset"], 0)).select(_COLUMNS))

    def rows(self, reading: Reading, days: Collection[date]) -> pa.Table:
        """Every row of these days."""
        kernel = self._kernel(reading)
        asked = sorted(day for day in set(days) if day >= kernel.start)
        self._bring_in_line(reading, asked)
        reconcile(self._lake, kernel, asked, self._as_of_day, run="residuals")
        return self._lake.read("reconciliation", reading.venue, asked)

    def _bring_in_line(self, reading: Reading, days: Sequence[date]) -> None:
        plan = consulted(reading.frames, reading.quarantine, days)
        wanted: dict[tuple[str, date], pa.Table] = {}
        for frame in _INPUTS:
            by_day = ByDay(frame, reading.frames[frame])
            for day in {*days, *plan.get(frame, set()), *(by_day.days if frame == "coverage" else ())}:
                wanted[frame, day] = by_day.rows(day)
        with self._lake.write("residuals") as write:
            for (frame, day), rows in sorted(wanted.items(), key=lambda item: item[0]):
                if (frame, day) not in self._put or not self._put[frame, day].equals(rows):
                    write.put(frame, reading.venue, day, rows)
            for frame, day in self._put.keys() - wanted.keys():
                write.remove(frame, reading.venue, day)
            for day in self._lake.days("reconciliation", reading.venue):  # of another reading
                write.remove("reconciliation", reading.venue, day)
            write.put_quarantine(reading.venue, reading.quarantine)
            write.commit()
        self._put = wanted


@contextmanager
def left_over(kernel: Callable[[Reading], KernelSettings], as_of_day: date) -> Iterator[LeftOver]:
    """What readings leave unexplained, for as long as they are asked about."""
    with tempfile.TemporaryDirectory(prefix="recon-residuals-") as folder:
        yield LeftOver(folder, kernel, as_of_day)


def _residuals(rows: pa.Table) -> Residuals:
    found: dict[tuple[str, str, date], dict[str, Residual]] = defaultdict(dict)
    for row in rows.to_pylist():
        first = (row["window_start"] + _JUST_AFTER).date() if row["window_start"] else row["date"]
        span, is_still = max((row["date"] - first).days + 1, 1), row["start_balance"] == row["actual_balance"]
        residual = Residual(row["variance_in_asset"], span, is_still)
        found[row["account"], row["wallet"], row["date"]][row["asset"]] = residual
    return found
