"""Input frames into the lake: which days a frame has, and which of its rows a run may replace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.frames.schema import FRAMES
from recon_pipeline.stores.lake import Lake
from recon_pipeline.stores.parquet import Partition


class ByDay:
    """A frame's rows by the UTC day that places them in the lake; a day without rows has an empty table."""

    def __init__(self, frame: str, table: pa.Table) -> None:
        days = table[FRAMES[frame].partitioned_by].cast(pa.date32())
        order = pc.sort_indices(days)
        self._table = table.take(order)
        numbers = days.take(order).combine_chunks().cast(pa.int32()).to_numpy(zero_copy_only=False)
        first = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1)) if len(numbers) else np.array([], np.int64)
        ends = [*first[1:].tolist(), len(numbers)] if len(numbers) else []
        self._slices = {
            pa.scalar(int(numbers[start]), pa.int32()).cast(pa.date32()).as_py(): (start, end)
            for start, end in zip(first.tolist(), ends, strict=True)
        }

    @property
    def days(self) -> frozenset[date]:
        """The days that have rows."""
        return frozenset(self._slices)

    def rows(self, day: date) -> pa.Table:
        """The rows of a day."""
        start, end = self._slices.get(day, (0, 0))
        return self._table.slice(start, end - start)


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
