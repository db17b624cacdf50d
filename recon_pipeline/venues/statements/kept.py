"""The last reading of a venue, kept: a folder in which no byte has changed need not be parsed and tested again.

    <folder>/<venue>/<key>/about.json, <frame>.arrow

The key is over every byte and every setting that made the rows, and over the program that made them. Only a reading
without a fault is kept. What is kept may be deleted at any time: the folder is then read, to the same rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

import recon_pipeline.frames
import recon_pipeline.venues
from recon_pipeline.frames.schema import FRAMES

_ABOUT = "about.json"


@dataclass(frozen=True)
class Kept:
    """The frames of a reading, and what else is to be told of it, as JSON holds it."""

    frames: Mapping[str, pa.Table]
    about: Mapping[str, Any]


def key(*told: object) -> str:
    """The key of a reading that rests on `told`, read by this program."""
    return hashlib.sha256(json.dumps([_program(), *told], sort_keys=True, default=str).encode()).hexdigest()


def load(folder: Path, venue: str, wanted: str) -> Kept | None:
    """What was kept under that key; None if nothing was, or not whole."""
    place = folder / venue / wanted
    try:
        about = json.loads((place / _ABOUT).read_text(encoding="utf-8"))
        frames = {name: _read(place / f"{name}.arrow") for name in about["frames"]}
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None
    if any(table.schema != FRAMES[name].arrow for name, table in frames.items()):
        return None
    return Kept(frames, about["about"])


def save(folder: Path, venue: str, under: str, kept: Kept) -> None:
    """Keep a reading, and no other of the venue. That there is no room for it does no harm."""
    base = folder / venue
    with suppress(OSError):
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        staged = Path(tempfile.mkdtemp(prefix=".", dir=base))
        try:
            for name, table in kept.frames.items():
                _write(staged / f"{name}.arrow", table)
            about = {"frames": sorted(kept.frames), "about": kept.about}
            (staged / _ABOUT).write_text(json.dumps(about, default=_told), encoding="utf-8")
            for other in base.iterdir():
                if other != staged:
                    shutil.rmtree(other, ignore_errors=True)
            staged.rename(base / under)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def instants(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A row of JSON with these columns as instants again."""
    return {**row, **{name: datetime.fromisoformat(row[name]) for name in names if row[name] is not None}}


def _told(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not kept")


def _read(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _write(path: Path, table: pa.Table) -> None:
    # Not compressed: it is mapped into memory, and a column that nobody asks for is never read.
    with path.open("wb") as sink:
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        sink.flush()
        os.fsync(sink.fileno())  # a file that a crash left half empty would be read as such


@lru_cache(maxsize=1)
def _program() -> list[str]:
    """What reads: the code of frames and venues, and what it rests on."""
    digest = hashlib.sha256()
    for package in (recon_pipeline.frames, recon_pipeline.venues):
        for root in package.__path__:
            for path in sorted(Path(root).rglob("*.py")):
                text = path.read_bytes()
                digest.update(f"{path.name}\0{len(text)}\0".encode() + text)
    return [digest.hexdigest(), duckdb.__version__, pa.__version__]
