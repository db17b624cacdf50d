"""A statements venue in a folder of the test's own, for the tests of reading."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from recon_pipeline.config import VenueSettings
from recon_pipeline.frames.validate import row_fault_text
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.statements.reading import read_folder

GLOBS = {"movement": "movements*"}


def venue(folder: Path, *, mapping: Path | None = None, files: Mapping[str, str] | None = None) -> VenueSettings:
    """Settings of a venue named `books`; with a mapping its view is `movement` unless `files` says otherwise."""
    return VenueSettings(
        name="books",
        kind="statements",
        folder=folder,
        files=files if files is not None else (GLOBS if mapping else {}),
        mapping=mapping,
        calendar="daily",
        due_days=1,
        start=date(2026, 1, 1),
        price_sources=(),
        measures=("balance",),
    )


class Statements:
    """A folder of statements with its archive, which remembers the good versions as a run does."""

    def __init__(self, home: Path, *, mapping: Path | None = None, files: Mapping[str, str] | None = None) -> None:
        self.folder, self.archive = home / "statements", home / "archive"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings = venue(self.folder, mapping=mapping, files=files)
        self.last_good: dict[str, str] = {}

    def write(self, name: str, content: str | bytes) -> Path:
        """Writes one file of the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def copy(self, source: Path) -> None:
        """Adds the files of another folder."""
        shutil.copytree(source, self.folder, dirs_exist_ok=True)

    def read(self) -> Reading:
        """One read of the folder."""
        reading = read_folder(self.settings, self.archive, self.last_good)
        self.last_good = {file.path: file.last_good for file in reading.files if file.last_good is not None}
        return reading


def told(reading: Reading) -> list[str]:
    """The texts of every fault of a reading: of files, then of rows."""
    rows = [row_fault_text(row) for row in reading.quarantine.to_pylist() if row["line"] is not None]
    return [str(fault) for fault in reading.faults] + rows
