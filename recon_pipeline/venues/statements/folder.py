"""The files of a statements folder at one moment: found, archived, opened alone, checked, and replaced if they are bad.

A file serves the views whose glob it matches, and the frame whose canonical file it is (`<frame>*.csv|parquet`, if the
mapping has no SQL for that frame). A bad file is left out by name; its previous good bytes stand in for it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from recon_pipeline.errors import SourceFileError
from recon_pipeline.frames.cells import is_exact
from recon_pipeline.frames.schema import AMOUNT, COUNT, DAY, FRAMES, INSTANT, TEXT, Frame
from recon_pipeline.venues.statements.archive import Archive, Fingerprint, fingerprint
from recon_pipeline.venues.statements.faults import (
    FileChanged,
    FolderMissing,
    HeaderDiffers,
    InexactColumn,
    MissingColumn,
    UnknownColumn,
)
from recon_pipeline.venues.statements.files import OpenedFile, open_file, unreadable

INPUT_FRAMES: tuple[Frame, ...] = tuple(frame for frame in FRAMES.values() if frame.name != "reconciliation")
"""The frames that a folder may hold."""

_SUFFIXES = (".csv", ".parquet")
_TRIES = 2
_READINGS = 3
_Stats = Mapping[str, os.stat_result | None]


@dataclass
class FolderFile:
    """One file: what it serves, what it held, and what was wrong with it."""

    name: str
    path: Path
    views: tuple[str, ...]
    canonical: Frame | None
    found: Fingerprint | None = None
    opened: OpenedFile | None = None
    """The rows that count: the file's own, or those of its previous good version."""
    stand_in: str | None = None
    """The digest of the previous good version that stands in for the file."""
    fault: SourceFileError | None = None
    stat: os.stat_result | None = None
    """As it was when it was opened."""
    frames: set[str] = field(default_factory=set)
    """The frames that it feeds, bad or good."""

    @property
    def digest(self) -> str | None:
        """The digest of the bytes whose rows count; None if none do."""
        if self.opened is None:
            return None
        return self.stand_in or (self.found.digest if self.found else None)


class Folder:
    """The files of one venue's folder, and the archive that their bytes go to and come from."""

    def __init__(
        self,
        reader: duckdb.DuckDBPyConnection,
        root: Path,
        *,
        globs: Mapping[str, str],
        mapped: frozenset[str],
        archive: Path,
        last_good: Mapping[str, str],
    ) -> None:
        """`mapped`: the frames that have a mapping; `last_good`: the digest of each file's last good version."""
        if not root.is_dir():
            raise FolderMissing(
                "the folder of the statements is missing",
                where=str(root),
                expected="a folder, if only an empty one; nothing is taken for gone while it is missing",
                next_step="create it, mount it, or correct `folder` in recon.yaml",
            )
        self._reader, self._archive, self._last_good = reader, Archive(archive), last_good
        self.root = root
        self._references: dict[str, frozenset[tuple[str, str]] | None] = {}
        for _ in range(_READINGS):
            before = {file.name: _stat(file.path) for file in find_files(root, globs, mapped)}
            self.files = find_files(root, globs, mapped)
            for file in self.files:
                self._open(file)
            now = {file.name: _stat(file.path) for file in find_files(root, globs, mapped)}
            if not self._has_changed(before, now):
                break
        else:
            for file in self._of_two_moments(before, now):
                self._stand_in(file)
        self._check()

    def in_view(self, view: str) -> list[FolderFile]:
        """The files of a view whose rows count."""
        return [file for file in self.files if view in file.views and file.opened is not None]

    def forget_rows(self) -> None:
        """Frees the rows of every file, once they stand in the tables that are validated."""
        for file in self.files:
            if file.opened is not None:
                file.opened = file.opened.without_rows()

    def refuse(self, file: FolderFile, fault: SourceFileError) -> None:
        """Leaves a file out; its previous good version stands in, unless that is what was refused."""
        file.fault, bad = file.fault or fault, file.digest
        file.opened, file.stand_in = None, None
        previous = self._last_good.get(file.name)
        if previous is None or previous == bad:
            return
        with TemporaryDirectory(prefix="recon-") as scratch:
            restored = self._archive.restore(previous, Path(scratch), file.name)
            if restored is None:
                return
            try:
                file.opened = open_file(self._reader, restored, file.name, fingerprint(restored))
                file.stand_in = previous
                self._test_columns(file)
            except SourceFileError:
                file.opened, file.stand_in = None, None

    def _open(self, file: FolderFile) -> None:
        try:
            for _ in range(_TRIES):
                before = file.stat = file.path.stat()
                file.found = fingerprint(file.path)
                kept = self._archive.keep(file.path, file.found.digest)
                file.opened = open_file(self._reader, file.path, file.name, file.found)
                if kept and _same(before, file.path.stat()):
                    return
            raise _changed(file)
        except SourceFileError as fault:
            self.refuse(file, fault)
        except OSError as error:
            self.refuse(file, unreadable(file.name, f"the file cannot be read: {error.strerror or 'input error'}"))

    def _has_changed(self, before: _Stats, now: _Stats) -> bool:
        """Whether any file came, went or changed while the folder was read."""
        if not before.keys() == now.keys() == {file.name for file in self.files}:
            return True
        return any(not _same(before[file.name], now[file.name], file.stat) for file in self.files)

    def _of_two_moments(self, before: _Stats, now: _Stats) -> list[FolderFile]:
        """The files that changed while others were opened, if there need be no moment at which all were as opened.

        What changed before it was opened is as it is now, what changed after as it was at first. Only where there are
        both may a row have moved from the one to the other and be read twice, or not at all. What is being written to
        in place may be half of itself at any moment.
        """
        opened = [file for file in self.files if file.stat is not None]
        earlier = {file.name for file in opened if not _same(file.stat, before.get(file.name))}
        later = {file.name for file in opened if not _same(file.stat, now.get(file.name))}
        in_place = {
            file.name for file in opened if file.name in later and _inode(now.get(file.name)) == _inode(file.stat)
        }
        later |= now.keys() - before.keys()
        at_one_moment = not earlier or not later or len(earlier | later) == 1
        apart = in_place if at_one_moment else earlier | later
        return [file for file in opened if file.name in apart and file.fault is None]

    def _stand_in(self, file: FolderFile) -> None:
        """Tells that a file changed. Its previous good version counts, which what was opened may well be."""
        if file.digest == self._last_good.get(file.name):
            file.fault, file.stand_in = _changed(file), file.digest
        else:
            self.refuse(file, _changed(file))

    def _check(self) -> None:
        """Leaves out files with other columns than expected, until all that count agree."""
        self._references = {view: self._reference(view) for view in {v for file in self.files for v in file.views}}
        for file in self.files:
            if file.opened is not None:
                try:
                    self._test_columns(file)
                except SourceFileError as fault:
                    self.refuse(file, fault)

    def _reference(self, view: str) -> frozenset[tuple[str, str]] | None:
        """The columns that most files of a view have, of those that were good before if there are any."""
        files = self.in_view(view)
        known = [file for file in files if file.digest == self._last_good.get(file.name)]
        headers = [file.opened.header for file in known or files if file.opened is not None]
        return Counter(headers).most_common(1)[0][0] if headers else None

    def _test_columns(self, file: FolderFile) -> None:
        if file.opened is None:
            return
        if file.canonical is not None:
            _require_frame(file.opened, file.canonical)
        for view in file.views:
            reference = self._references.get(view)
            if reference is not None and file.opened.header != reference:
                raise _header_differs(file.opened, reference, view)


def find_files(root: Path, globs: Mapping[str, str], mapped: frozenset[str]) -> list[FolderFile]:
    """Every file that serves something, by name."""
    views: dict[Path, list[str]] = {}
    for view, pattern in globs.items():
        for path in root.glob(pattern):
            if _is_file(path):
                views.setdefault(path, []).append(view)
    canonical: dict[Path, Frame] = {}
    for frame in INPUT_FRAMES:
        if frame.name not in mapped:
            found = [path for path in root.glob(f"{frame.name}*") if path.suffix.lower() in _SUFFIXES]
            canonical |= dict.fromkeys((path for path in found if _is_file(path)), frame)
    paths = sorted({*views, *canonical}, key=lambda path: path.relative_to(root).as_posix())
    return [
        FolderFile(path.relative_to(root).as_posix(), path, tuple(sorted(views.get(path, ()))), canonical.get(path))
        for path in paths
    ]


def _is_file(path: Path) -> bool:
    """A file, or a link that leads nowhere: what it should lead to is missing, and must be told of as a file is."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def find_unread(root: Path, read: Iterable[str], besides: Path | None) -> list[str]:
    """Every other file of the folder by name, but hidden ones and the mapping's: what nobody reads may be a mistake."""
    known = {root / name for name in read}
    found = [path for path in root.rglob("*") if path not in known and _is_file(path)]
    names = [path.relative_to(root) for path in found if besides is None or not path.is_relative_to(besides)]
    return sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))


def _changed(file: FolderFile) -> SourceFileError:
    return FileChanged(
        "the file was written to while the folder was read",
        where=file.name,
        expected="a file that is complete, moved into the folder in one step",
        next_step="run again when the folder is complete",
    )


def _stat(path: Path) -> os.stat_result | None:
    with suppress(OSError):
        return path.stat()
    return None


def _same(*stats: os.stat_result | None) -> bool:
    """Whether all are of one version of a file, or of one that cannot be looked at."""
    return len({stat and (stat.st_size, stat.st_mtime_ns, stat.st_ino) for stat in stats}) == 1


def _inode(stat: os.stat_result | None) -> int | None:
    return stat.st_ino if stat else None


def _header_differs(opened: OpenedFile, reference: frozenset[tuple[str, str]], view: str) -> SourceFileError:
    more = sorted(name for name, _ in opened.header - reference)
    less = sorted(name for name, _ in reference - opened.header)
    told = [f"has {', '.join(more)}"] if more else []
    told += [f"lacks {', '.join(less)}"] if less else []
    return HeaderDiffers(
        f"the header differs from that of the other files of `{view}`: it {' and '.join(told)}",
        where=opened.name,
        expected="the same columns in every file of one glob",
        next_step="give files of another layout a glob of their own under `files`, and UNION them in the mapping",
    )


# --- canonical files --------------------------------------------------------------------------------------------------


def _require_frame(opened: OpenedFile, frame: Frame) -> None:
    """Refuses a file that lacks a column of the frame, has one besides, or has one of a type that rounds."""
    known = {column.name: column for column in frame.columns}
    for name, type_ in opened.columns:
        if name not in known:
            raise UnknownColumn(
                f"column {name} is not one of the frame {frame.name}",
                where=f"{opened.name}, line 1",
                expected=f"no columns but {', '.join(known)}",
                next_step=f"rename or remove the column, or write {frame.name}.sql for a layout of your own",
            )
        if not is_exact(known[name], type_):
            raise InexactColumn(
                f"column {name} is {type_}",
                where=opened.name,
                expected=_EXPECTED_TYPES[known[name].type],
                next_step="write the column as text or as the exact type",
            )
    if missing := [c.name for c in frame.columns if c.required and c.name not in dict(opened.columns)]:
        raise MissingColumn(
            f"column {missing[0]} is missing",
            where=f"{opened.name}, line 1",
            expected=f"the columns {', '.join(c.name for c in frame.columns if c.required)}; the others have a default",
            next_step=f"add the column, or write {frame.name}.sql for a layout of your own",
        )


_EXPECTED_TYPES: Mapping[pa.DataType, str] = {
    AMOUNT: "text, a decimal or a whole number, for a float rounds",
    INSTANT: "text with an offset, or a timestamp with a zone",
    DAY: "text as YYYY-MM-DD, or a date",
    COUNT: "text or a whole number",
    TEXT: "text or a whole number",
}
