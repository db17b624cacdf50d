"""Input frames into the lake: which days a frame has, and which of its rows a run may replace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.frames.schema import FRAMES
from recon_pipeline.stores.lake import Lake
from recon_pipeline.stores.parquet import Partition

_INPUTS = ("transfers", "trades", "balances", "prices")
_DAYS_FILTERED_MAX = 4
"""To sort a frame by day costs as much as to look through it for a few days."""


class ByDay:
    """A frame's rows by the UTC day that places them in the lake; a day without rows has an empty table."""

    def __init__(self, frame: str, table: pa.Table) -> None:
        self._days = table[FRAMES[frame].partitioned_by].cast(pa.date32())
        self._table = table
        self._filtered = 0
        self._slices: dict[date, tuple[int, int]] | None = None
        self.days: frozenset[date] = frozenset(pc.unique(self._days).to_pylist())
        """The days that have rows."""

    def rows(self, day: date) -> pa.Table:
        """The rows of a day."""
        if day not in self.days:
            return self._table.slice(0, 0)
        if self._slices is None and self._filtered < _DAYS_FILTERED_MAX:
            self._filtered += 1
            return self._table.filter(pc.equal(self._days, pa.scalar(day, pa.date32())))
        if self._slices is None:
            self._slices = self._sort()
        start, end = self._slices[day]
        return self._table.slice(start, end - start)

    def _sort(self) -> dict[date, tuple[int, int]]:
        """Put the rows of each day beside each other; where each day begins and ends."""
        order = pc.sort_indices(self._days)
        self._table, self._days = self._table.take(order), self._days.take(order)
        counts = pc.value_counts(self._days)  # in the order of appearance
        ends = np.cumsum(counts.field("counts").to_numpy()).tolist()
        return dict(zip(counts.field("values").to_pylist(), zip([0, *ends], ends, strict=False), strict=True))


class InLine:
    """A note that every stored input partition of a venue is as a reading gave it, kept between runs.

    To compare them all takes seconds; a lake and a folder in which nothing has changed since need not be compared
    again. Losing the note costs that time, never a result.
    """

    def __init__(self, lake: Lake, venue: str, reading_digest: str, folder: Path) -> None:
        self._lake = lake
        self._venue = venue
        self._reading_digest = reading_digest
        self._path = folder / venue

    def is_so(self) -> bool:
        """Whether reading and lake are those of the note."""
        try:
            return self._path.read_text(encoding="ascii") == self._state()
        except (OSError, UnicodeError):
            return False

    def keep(self) -> None:
        """Note that they are in line now; failing to is no error."""
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(self._state(), encoding="ascii")

    def _state(self) -> str:
        stored = {
            name: {str(day): digest for day, digest in self._lake.digests(name, self._venue).items()}
            for name in _INPUTS
        }
        told = json.dumps([self._lake.url, self._reading_digest, stored], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


def only_accounts(lake: Lake, partition: Partition, rows: pa.Table, accounts: frozenset[str]) -> pa.Table:
    """The partition as it is stored, with the rows of these accounts replaced by theirs in `rows`.

    A frame without accounts (prices) is replaced whole: whoever else's rows rest on it are marked stale by the kernel.
    """
    if "account" not in rows.schema.names:
        return rows
    of_these = pa.array(sorted(accounts), pa.string())
    frame, venue, day = partition
    stored = lake.read(frame, venue, [day])
    kept = stored.filter(pc.invert(pc.is_in(stored["account"], value_set=of_these)))
    return pa.concat_tables([kept, rows.filter(pc.is_in(rows["account"], value_set=of_these))])


def absent_or_different(
    lake: Lake, frame: str, venue: str, given: ByDay, days: Iterable[date] | None = None
) -> list[date]:
    """The days whose stored partition does not hold what the folder now gives; sorted.

    Looked for among `days`, by default every day that is stored or has rows. A day that was never written and has no
    rows now is as it should be.
    """
    stored = set(lake.days(frame, venue))
    among = sorted(stored | given.days) if days is None else sorted(set(days))
    return [day for day in among if _differs(lake, (frame, venue, day), given.rows(day), day in stored)]


def _differs(lake: Lake, partition: Partition, given: pa.Table, is_stored: bool) -> bool:
    frame, venue, day = partition
    rows = lake.rows(frame, venue, day) if is_stored else 0
    if rows != len(given) or rows == 0:
        return rows != len(given)
    return not _same_rows(frame, lake.read(frame, venue, [day]), given)


def _same_rows(frame: str, stored: pa.Table, given: pa.Table) -> bool:
    order = [(name, "ascending") for name in (*FRAMES[frame].order, *FRAMES[frame].arrow.names)]
    names: Mapping[str, None] = dict.fromkeys(name for name, _ in order)
    keys = [(name, "ascending") for name in names]
    arrow = FRAMES[frame].arrow
    return bool(stored.sort_by(keys).cast(arrow).equals(given.select(arrow.names).sort_by(keys).cast(arrow)))
