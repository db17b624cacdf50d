"""The Parquet lake: one file for each frame, venue and day, replaced whole or not at all.

    <root>/<frame>/venue=<venue>/date=<YYYY-MM-DD>/data.parquet
    <root>/quarantine/venue=<venue>/data.parquet

A file holds `Frame.columns_in_lake`; venue and day stand in its path only. An empty file says that the day has no
rows; no file says that it was never written. What is being written lies apart and cannot be read as a partition.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recon_pipeline.errors import StoreError
from recon_pipeline.frames.schema import FRAMES, QUARANTINE, Frame
from recon_pipeline.stores.folders import Folder, RemoteFolder, folder_at, no_room, refused, remove_tree
from recon_pipeline.stores.parquet import (
    Footer,
    Partition,
    cast_exactly,
    check_schema,
    checked_footer,
    footer_of,
    in_order,
    mismatch,
    partition_rows,
    readable,
    sha256,
    store,
    with_path_columns,
)

FILE = "data.parquet"
_ROWS_AT_ONCE = 65_536
_CHECK_THREADS = 4
_DAY_FOLDER = re.compile(r"date=(\d{4}-\d{2}-\d{2})")
_VENUE_FOLDER = re.compile(r"venue=([A-Za-z0-9_.-]+)")
_VENUE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass
class _Known:
    """What is remembered of a file as long as its version stays."""

    version: str
    digest: str | None = None
    footer: Footer | None = None


@dataclass
class _Cache:
    """Digests and metadata of files, kept on disk between runs. Losing it costs time, never a result."""

    path: Path | None
    root: str
    known: dict[str, _Known] = field(default_factory=dict)
    changed: bool = False

    def load(self) -> None:
        try:
            stored = json.loads(self.path.read_bytes()) if self.path else {}
            if stored.get("root") == self.root:
                self.known = {
                    name: _Known(version, digest, Footer(*footer) if footer else None)
                    for name, (version, digest, footer) in stored["files"].items()
                }
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self.known = {}

    def save(self) -> None:
        if self.path is None or not self.changed:
            return
        files = {name: [known.version, known.digest, known.footer] for name, known in self.known.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(handle, "w") as out:
                json.dump({"root": self.root, "files": files}, out, separators=(",", ":"))
            Path(temporary).replace(self.path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
        self.changed = False

    def entry(self, name: str, version: str) -> _Known:
        known = self.known.get(name)
        if known is None or known.version != version:
            known = self.known[name] = _Known(version)
            self.changed = True
        return known


class Lake:
    """The partitions under one folder or fsspec URL (`memory://…`, `s3://…`).

    `cache` names a file that keeps digests and metadata between processes; `save_cache` writes it. One that is not
    durable, for what only this process reads, does not wait for the disk.
    """

    def __init__(self, url: str, cache: Path | None = None, *, is_durable: bool = True) -> None:
        self._folder: Folder = folder_at(url, is_durable=is_durable)
        self._cache = _Cache(cache, self._folder.root)
        self._cache.load()
        self.before_commit: Callable[[], None] = lambda: None
        """Called right before the first partition of a commit is put in place: if it raises, none is."""

    @property
    def url(self) -> str:
        """The lake's absolute path or URL."""
        return self._folder.root

    @property
    def filesystem(self) -> Any | None:
        """The fsspec file system that DuckDB must be given to read the lake; None where it lies on a local disk."""
        return self._folder.filesystem if isinstance(self._folder, RemoteFolder) else None

    def partition(self, frame: str, venue: str, day: date) -> str:
        """The path of a partition's file, whether or not there is one."""
        return self._folder.path(_name(frame, venue, day))

    def quarantine(self, venue: str) -> str:
        """The path of a venue's quarantine, whether or not there is one."""
        return self._folder.path(_quarantine_name(venue))

    def venues(self, frame: str) -> list[str]:
        """The venues that have a folder for a frame, sorted; local lakes and object stores alike."""
        found = []
        for name in self._folder.folders(FRAMES[frame].name):
            match = _VENUE_FOLDER.fullmatch(name)
            if match:
                found.append(match[1])
        return sorted(found)

    def days(self, frame: str, venue: str) -> list[date]:
        """The days that are written, sorted; one without rows is among them."""
        return list(self._versions(frame, venue))

    def digest(self, frame: str, venue: str, day: date) -> str | None:
        """sha256 (hex) of the partition's bytes; None if it was never written."""
        return self._present_digest(_name(frame, venue, day))

    def digests(self, frame: str, venue: str) -> dict[date, str]:
        """The digests of every day that is written, by day, from one listing."""
        return {day: self._digest(_name(frame, venue, day), v) for day, v in self._versions(frame, venue).items()}

    def row_counts(self, frame: str, venue: str) -> dict[date, int]:
        """How many rows every day holds that is written, by day, from one listing."""
        versions = self._versions(frame, venue)
        return {day: self._footer_of(_name(frame, venue, day), version).rows for day, version in versions.items()}

    def quarantine_digest(self, venue: str) -> str | None:
        """sha256 (hex) of a venue's quarantine; None if there is none."""
        return self._present_digest(_quarantine_name(venue))

    def metadata(self, frame: str, venue: str, day: date) -> dict[str, str]:
        """The key-value metadata of a partition's file; empty if it has none or was never written."""
        footer = self._footer(_name(frame, venue, day))
        return dict(footer.metadata) if footer else {}

    def rows(self, frame: str, venue: str, day: date) -> int:
        """How many rows a partition holds; 0 if it was never written."""
        footer = self._footer(_name(frame, venue, day))
        return footer.rows if footer else 0

    def read(self, frame: str, venue: str, days: Iterable[date] | None = None) -> pa.Table:
        """The rows of the days given (all if None) in `Frame.arrow`, in the order of days; unwritten days have none."""
        wanted = self.days(frame, venue) if days is None else sorted(set(days))
        return self.scan(frame, venue, wanted).read_all()

    def scan(self, frame: str, venue: str, days: Iterable[date]) -> pa.RecordBatchReader:
        """What `read` gives, a piece at a time, for a day may be larger than memory should be."""
        described = FRAMES[frame]
        batches = (batch for day in days for batch in self._batches(described, venue, day))
        return pa.RecordBatchReader.from_batches(described.arrow, batches)

    def read_quarantine(self, venue: str) -> pa.Table:
        """A venue's quarantine, in `QUARANTINE`; no rows if it was never written."""
        try:
            with self._folder.open(_quarantine_name(venue)) as file:
                return pq.read_table(file).select(QUARANTINE.names).cast(QUARANTINE)
        except FileNotFoundError:
            return QUARANTINE.empty_table()

    def write(self, run: str) -> LakeWrite:
        """Prepare changes under the name of a run: a context manager; nothing is readable before its `commit`."""
        return LakeWrite(self, self._folder, run)

    def save_cache(self) -> None:
        """Keep what is known of digests and metadata for the next process."""
        self._cache.save()

    def _versions(self, frame: str, venue: str) -> dict[date, str]:
        children = self._folder.children(f"{FRAMES[frame].name}/venue={_checked(venue)}", FILE)
        days = {m[1]: version for name, version in children.items() if (m := _DAY_FOLDER.fullmatch(name))}
        return {date.fromisoformat(day): days[day] for day in sorted(days)}

    def _present_digest(self, name: str) -> str | None:
        version = self._folder.version(name)
        return None if version is None else self._digest(name, version)

    def _digest(self, name: str, version: str) -> str:
        known = self._cache.entry(name, version)
        if known.digest is None:
            with self._folder.open(name) as file:
                known.digest = sha256(file)
            self._cache.changed = True
        return known.digest

    def _footer(self, name: str) -> Footer | None:
        version = self._folder.version(name)
        return None if version is None else self._footer_of(name, version)

    def _footer_of(self, name: str, version: str) -> Footer:
        known = self._cache.entry(name, version)
        if known.footer is None:
            with readable(self._folder.path(name)), self._folder.open(name) as file:
                known.footer = footer_of(pq.read_metadata(file))
            self._cache.changed = True
        return known.footer

    def _remember(self, name: str, digest: str, footer: Footer) -> None:
        """Take what the write that has just put a file in its place knows of it."""
        version = self._folder.version(name)
        if version is not None:
            known = self._cache.entry(name, version)
            known.digest, known.footer = digest, footer
            self._cache.changed = True

    def _batches(self, frame: Frame, venue: str, day: date) -> Iterator[pa.RecordBatch]:
        name = _name(frame.name, venue, day)
        path = self._folder.path(name)
        try:
            with readable(path), self._folder.open(name) as file:
                # Partitions are small and many are read in a row: threads for each would cost more than they give.
                parquet = pq.ParquetFile(file, pre_buffer=self.filesystem is not None)
                check_schema(frame, parquet.schema_arrow, may_be_older=True)
                for batch in parquet.iter_batches(_ROWS_AT_ONCE, use_threads=False):
                    yield with_path_columns(frame, venue, day, batch)
        except FileNotFoundError:
            return


class LakeWrite:
    """Changes of a lake that are prepared aside and then put in place by `commit`, which may be called repeatedly.

    Leaving the block without a commit undoes what was staged. Leftovers of processes that were killed are swept by
    the next write: each holds a lock on its own folder as long as it lives.
    """

    def __init__(self, lake: Lake, folder: Folder, run: str) -> None:
        self._lake = lake
        self._folder = folder
        self._run = re.sub(r"[^A-Za-z0-9_-]", "-", run)
        self._staged: dict[str, tuple[Partition, Path]] = {}
        self._removed: dict[str, Partition] = {}
        self._checked: dict[str, tuple[Footer, str]] = {}
        self._own: Path | None = None
        self._lock: int | None = None

    def __enter__(self) -> LakeWrite:
        base = self._folder.staging()
        try:
            base.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(base / ".lock"):
                _sweep(base)
                self._own = Path(tempfile.mkdtemp(prefix=f"{self._run}.", dir=base))
                self._lock = os.open(self._own, os.O_RDONLY)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            raise refused(error, str(base)) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._staged.clear()
        self._removed.clear()
        if self._own is not None:
            remove_tree(self._own)
        if self._lock is not None:
            os.close(self._lock)
        self._own = self._lock = None
        if error is not None and not isinstance(error, StoreError) and no_room(error):
            raise refused(error, self._folder.root) from error

    def put(
        self, frame: str, venue: str, day: date, table: pa.Table, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Stage a partition's rows, in `Frame.arrow` or `Frame.arrow_in_lake`, in any order.

        The same rows and metadata give the same bytes. A row of another venue or day, an unknown or missing column,
        a null where none may be and a value that would have to be rounded are refused.
        """
        described = FRAMES[frame]
        where = f"{frame}, venue {venue}, {day}"
        table = partition_rows(described, venue, day, table, where)
        store(in_order(table, described.order), self.staged(frame, venue, day), metadata)

    def staged(self, frame: str, venue: str, day: date) -> str:
        """A path into which the caller writes the partition's file itself; `check` or `commit` checks its columns."""
        name = _name(frame, venue, day)
        return self._stage(name, (frame, venue, day))

    def check(self, frame: str, venue: str, day: date) -> None:
        """Check a staged file that is written and will not change, so that `commit` need not."""
        name = _name(frame, venue, day)
        self._checked[name] = _checked_file(self._staged[name])

    def remove(self, frame: str, venue: str, day: date) -> None:
        """Have a partition removed at the commit: from then on the day counts as never written."""
        name = _name(frame, venue, day)
        self._staged.pop(name, None)
        self._checked.pop(name, None)
        self._removed[name] = (frame, venue, day)

    def put_quarantine(self, venue: str, table: pa.Table) -> None:
        """Stage a venue's whole quarantine, in `QUARANTINE`, in any order; no rows are stored as an empty file."""
        where = f"quarantine, venue {venue}"
        if table.schema.names != QUARANTINE.names:
            raise mismatch(where, f"columns {', '.join(table.schema.names)}", ", ".join(QUARANTINE.names))
        path = self._stage(_quarantine_name(venue), ("quarantine", venue, date.min))
        store(in_order(cast_exactly(table, QUARANTINE, where), ()), path, None)

    def commit(self) -> list[Partition]:
        """Put everything staged in place; tell which partitions changed, identical bytes being left alone.

        Each partition is replaced atomically; before the first one is, everything is checked and on disk. A changed
        quarantine is told as ("quarantine", venue, date.min).
        """
        changed: dict[str, tuple[Partition, Path, str, Footer]] = {}
        with ThreadPoolExecutor(_CHECK_THREADS) as pool:  # reading and hashing hold no lock of Python's
            left = [name for name in self._staged if name not in self._checked]
            checked = self._checked | dict(
                zip(left, pool.map(_checked_file, [self._staged[name] for name in left]), strict=True)
            )
        for name, (partition, path) in self._staged.items():
            footer, digest = checked[name]
            if digest != self._lake._present_digest(name):
                changed[name] = (partition, path, digest, footer)
        gone = {name: p for name, p in self._removed.items() if self._folder.version(name) is not None}
        if changed or gone:
            self._lake.before_commit()
        try:
            self._folder.apply({name: path for name, (_, path, _, _) in changed.items()}, gone)
        except OSError as error:
            raise refused(error, self._folder.root) from error
        for name, (_, _, digest, footer) in changed.items():
            self._lake._remember(name, digest, footer)
        self._staged.clear()
        self._checked.clear()
        self._removed.clear()
        return sorted([partition for partition, *_ in changed.values()] + list(gone.values()))

    def _stage(self, name: str, partition: Partition) -> str:
        if self._own is None:
            raise RuntimeError("a lake is written inside `with lake.write(run) as write:` only")
        self._removed.pop(name, None)
        self._checked.pop(name, None)
        path = self._own / name.replace("/", ".")
        self._staged[name] = (partition, path)
        return str(path)


def _checked_file(staged: tuple[Partition, Path]) -> tuple[Footer, str]:
    """What a staged file says of itself, once its columns are those of its frame, and its digest."""
    partition, path = staged
    footer = checked_footer(partition, path)
    with path.open("rb") as file:
        return footer, sha256(file)


def _name(frame: str, venue: str, day: date) -> str:
    return f"{FRAMES[frame].name}/venue={_checked(venue)}/date={day.isoformat()}/{FILE}"


def _quarantine_name(venue: str) -> str:
    return f"quarantine/venue={_checked(venue)}/{FILE}"


def _checked(venue: str) -> str:
    if not _VENUE.fullmatch(venue):
        raise StoreError(
            f"a venue named {venue!r} cannot be a folder of the lake",
            expected="letters, digits, '_', '-' and '.', not beginning with '.'",
            next_step="name the venue otherwise in recon.yaml",
        )
    return venue


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sweep(base: Path) -> None:
    """Remove what dead processes left: whoever still lives holds the lock on its folder."""
    for left in base.iterdir():
        if not left.is_dir():
            continue
        handle = os.open(left, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            remove_tree(left)
        finally:
            os.close(handle)
