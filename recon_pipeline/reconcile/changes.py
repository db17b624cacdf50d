"""What has changed in a venue's folder since it was last brought into the lake, and which days that touches."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from recon_pipeline.config import Settings, VenueSettings
from recon_pipeline.reconcile.inputs import stale_days
from recon_pipeline.reconcile.pipeline import INPUTS, open_lake, today
from recon_pipeline.reconcile.settings import kernel_settings
from recon_pipeline.reconcile.storing import ByDay, absent_or_different
from recon_pipeline.stores.publish import last_good_files
from recon_pipeline.venues.sources import readings
from recon_pipeline.venues.statements.reading import read_folder

SETTLING_SECONDS = 2.0
"""A file younger than this may still be in the middle of being copied."""
RANGES_MAX = 8


@dataclass(frozen=True)
class Listing:
    """What lies in the folder, beside its mapping and the configuration, without opening any of it."""

    fingerprint: str
    is_settled: bool


def list_folder(settings: Settings, venue: VenueSettings) -> Listing:
    """Names, sizes and times of every file that a reading of the venue rests on, as one digest."""
    now = time.time()
    digest = hashlib.sha256()
    youngest = math.inf
    for path in _files(settings, venue):
        try:
            stat = path.stat()
        except FileNotFoundError:  # it went since it was listed
            youngest = 0
            continue
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ino}\0".encode())
        youngest = min(youngest, abs(now - max(stat.st_mtime, stat.st_ctime)))
    return Listing(digest.hexdigest(), youngest >= SETTLING_SECONDS)


def changed_days(settings: Settings, venue: VenueSettings, url: str) -> list[date]:
    """The days of the partitions that differ from what the lake holds, those never run, and those now stale.

    Reads the folder whole. Nothing is written but the archive and the reading that is kept.
    """
    lake = open_lake(settings)
    reading = read_folder(venue, settings.archive, last_good_files(url, venue.name), kept=readings(settings))
    days: set[date] = set()
    reconciled = set(lake.days("reconciliation", venue.name))
    for frame in INPUTS:
        given = ByDay(frame, reading.frames[frame])
        days |= set(absent_or_different(lake, frame, venue.name, given))
        if frame in ("balances", "transfers", "trades"):
            days |= {day for day in given.days - reconciled if day >= venue.start}
    days |= set(stale_days(lake, kernel_settings(settings, venue.name, reading.streams), today()))
    if not lake.read_quarantine(venue.name).equals(reading.quarantine):
        days |= {
            row["date"] or row["instant"].date()
            for row in reading.quarantine.to_pylist()
            if row["date"] or row["instant"]
        }
    lake.save_cache()
    return sorted(days)


def ranges(days: Iterable[date], first: date, last: date, *, as_one: bool = False) -> list[tuple[date, date]]:
    """Days as ranges without gaps, each inside first..last; a day outside counts as the nearest one inside.

    One range over all if `as_one`, or if there would be more than RANGES_MAX.
    """
    within = sorted({min(max(day, first), last) for day in days})
    if not within or last < first:
        return []
    found = list(_runs(within))
    return [(within[0], within[-1])] if as_one or len(found) > RANGES_MAX else found


def _runs(days: list[date]) -> Iterator[tuple[date, date]]:
    start = before = days[0]
    for day in days[1:]:
        if day - before > timedelta(days=1):
            yield start, before
            start = day
        before = day
    yield start, before


def _files(settings: Settings, venue: VenueSettings) -> Iterator[Path]:
    yield settings.path
    for folder in (venue.folder, venue.mapping):
        if folder is not None and folder.is_dir():
            yield from sorted(path for path in folder.rglob("*") if path.is_file())
