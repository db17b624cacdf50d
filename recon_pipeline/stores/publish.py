"""PostgreSQL brought in line with the lake, partition by partition.

`recon.partitions` names, by its digest, the file that each day of a frame was loaded from. Whatever differs from the
lake is loaded, and what the lake no longer holds is unloaded, each in one transaction with its line in that table; so
a kill anywhere is mended by the next call.

Inputs are kept as versions (`versions.py`), reconciliation rows with their history (`restatements.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from recon_pipeline.frames.schema import FRAMES, Frame
from recon_pipeline.stores import restatements, versions
from recon_pipeline.stores.bulk import Bulk, Change
from recon_pipeline.stores.database import bulk_connection
from recon_pipeline.stores.journal import begin_run, finish_run, last_good_files, record_files, record_settings
from recon_pipeline.stores.lake import Lake

__all__ = ["Published", "begin_run", "finish_run", "last_good_files", "publish", "record_files", "record_settings"]

QUARANTINE_DAY = date.min
"""Where the quarantine, which has no day, stands in recon.partitions."""

# A transaction takes up to so many new days at once: enough that its own cost vanishes, few enough that a kill, or a
# wish to stop, costs little.
_DAYS_AT_ONCE = 31
_ROWS_AT_ONCE = 250_000
_ROWS_WORTH_ANALYZING = 10_000

OnPartition = Callable[[str, date], None]


@dataclass
class Published:
    """What a call changed: partitions loaded and unloaded; rows inserted, retired, and numbers restated."""

    loaded: int = 0
    unloaded: int = 0
    inserted: int = 0
    retired: int = 0
    restated: int = 0

    def add(self, change: Change) -> None:
        """Count what one transaction did."""
        self.inserted += change.inserted
        self.retired += change.retired
        self.restated += change.restated


@dataclass
class _Difference:
    """How a frame in PostgreSQL differs from the lake, by day; `digests` are the lake's."""

    new: list[date] = field(default_factory=list)
    changed: list[date] = field(default_factory=list)
    gone: list[date] = field(default_factory=list)
    digests: dict[date, str] = field(default_factory=dict)

    @classmethod
    def between(cls, lake: dict[date, str], stored: dict[date, str]) -> _Difference:
        return cls(
            new=sorted(lake.keys() - stored.keys()),
            changed=sorted(day for day in lake.keys() & stored.keys() if lake[day] != stored[day]),
            gone=sorted(stored.keys() - lake.keys()),
            digests=lake,
        )


def publish(lake: Lake, url: str, venue: str, run_id: str, on_partition: OnPartition | None = None) -> Published:
    """Bring every frame of a venue in line with the lake; the caller holds the venue's lock.

    `on_partition(frame, day)` is called after the commit that holds the partition. What it raises ends the call with
    everything committed so far in its place.
    """
    done = Published()
    told = on_partition or (lambda _frame, _day: None)
    with bulk_connection(url, f"publishing {venue}") as opened:
        bulk = Bulk(opened, venue, run_id)
        stored = bulk.stored_digests()
        for frame in FRAMES.values():
            difference = _Difference.between(lake.digests(frame.name, venue), stored.get(frame.name, {}))
            before = done.inserted
            for days in _publish_frame(lake, bulk, frame, difference, done):
                for day in days:
                    told(frame.name, day)
            if done.inserted - before >= _ROWS_WORTH_ANALYZING:
                bulk.analyze(frame.name, sorted({*frame.key, frame.partitioned_by} & set(frame.arrow.names)))
        if _publish_quarantine(lake, bulk, stored.get("quarantine", {}).get(QUARANTINE_DAY)):
            told("quarantine", QUARANTINE_DAY)
    return done


def _publish_frame(
    lake: Lake, bulk: Bulk, frame: Frame, difference: _Difference, done: Published
) -> Iterator[list[date]]:
    """Publish what differs; yields the days of each transaction once it is committed."""
    venue = bulk.venue
    replaced = [*difference.changed, *difference.gone]
    # All days that may lose rows go first and together: a row that moves from one day to another is then retired
    # before its new version is numbered. For rows without versions, the size of a transaction decides alone.
    together = [replaced] if versions.keeps_versions(frame) else list(_in_pieces(lake, frame, venue, replaced))
    for days in [each for each in together if each]:
        _begin(lake, bulk, frame, days, difference)
        rows = lake.scan(frame.name, venue, [day for day in days if day in difference.digests])
        done.add(_replace(bulk, frame, rows))
        bulk.commit_partitions(frame.name)
        yield days
    for days in _in_pieces(lake, frame, venue, difference.new):
        _begin(lake, bulk, frame, days, difference)
        done.add(_append(bulk, frame, lake.scan(frame.name, venue, days)))
        bulk.commit_partitions(frame.name)
        yield days
    done.loaded += len(difference.new) + len(difference.changed)
    done.unloaded += len(difference.gone)


def _begin(lake: Lake, bulk: Bulk, frame: Frame, days: Iterable[date], difference: _Difference) -> None:
    present = [day for day in days if day in difference.digests]
    bulk.ensure_months(frame.name, present)
    lines = [(day, difference.digests.get(day), lake.rows(frame.name, bulk.venue, day)) for day in days]
    bulk.begin_partitions(lines)


def _replace(bulk: Bulk, frame: Frame, rows: pa.RecordBatchReader) -> Change:
    if frame.name == "reconciliation":
        return restatements.replace(bulk, frame, rows)
    return versions.merge(bulk, frame, rows) if versions.keeps_versions(frame) else versions.replace(bulk, frame, rows)


def _append(bulk: Bulk, frame: Frame, rows: pa.RecordBatchReader) -> Change:
    if versions.keeps_versions(frame) and versions.any_retired(bulk, frame):
        return versions.merge(bulk, frame, rows)  # a new row may be the next version of a retired one
    return Change(inserted=bulk.append(frame.name, rows))


def _in_pieces(lake: Lake, frame: Frame, venue: str, days: Iterable[date]) -> Iterator[list[date]]:
    piece: list[date] = []
    rows = 0
    for day in days:
        piece.append(day)
        rows += lake.rows(frame.name, venue, day)
        if len(piece) == _DAYS_AT_ONCE or rows >= _ROWS_AT_ONCE:
            yield piece
            piece, rows = [], 0
    if piece:
        yield piece


def _publish_quarantine(lake: Lake, bulk: Bulk, stored: str | None) -> bool:
    """Replace the venue's quarantine if it differs; whether it did."""
    digest = lake.quarantine_digest(bulk.venue)
    if digest == stored:
        return False
    table = lake.read_quarantine(bulk.venue)
    bulk.begin_partitions([(QUARANTINE_DAY, digest, len(table))])
    bulk.execute("DELETE FROM recon.quarantine WHERE venue = $1", bulk.venue)
    told = table.add_column(0, pa.field("venue", pa.string(), nullable=False), pa.repeat(bulk.venue, len(table)))
    bulk.append("quarantine", told.to_reader())
    bulk.commit_partitions("quarantine")
    return True
