"""The archive: the bytes of every file read, once each, under their own digest.

`<archive>/<first two of the digest>/<sha256>.zst`, compressed, byte for byte what lay in the folder. A file that turns
bad is replaced by its previous good bytes from here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from recon_pipeline.errors import StoreError

_CHUNK = 1 << 22


@dataclass(frozen=True)
class Fingerprint:
    """What a file held at one moment: sha256 in hex, size in bytes, and how many line feeds."""

    digest: str
    size: int
    line_feeds: int


def fingerprint(path: Path) -> Fingerprint:
    """Reads the file once. Raises OSError."""
    digest, size, line_feeds = hashlib.sha256(), 0, 0
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            line_feeds += chunk.count(b"\n")
    return Fingerprint(digest.hexdigest(), size, line_feeds)


class Archive:
    """Content-addressed copies of source files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the bytes of that digest are kept."""
        return self.folder / digest[:2] / f"{digest}.zst"

    def holds(self, digest: str) -> bool:
        """Whether the bytes of that digest are kept."""
        return self.path(digest).is_file()

    def keep(self, source: Path, digest: str) -> bool:
        """Keeps the file's bytes; False if they are no longer those of the digest. Raises StoreError, OSError."""
        if self.holds(digest):
            return True
        target = self.path(digest)
        copied = hashlib.sha256()
        staged = target.parent / f".{digest}.{os.getpid()}.part"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as given, pa.CompressedOutputStream(str(staged), "zstd") as packed:
                while chunk := given.read(_CHUNK):
                    copied.update(chunk)
                    packed.write(chunk)
            if copied.hexdigest() != digest:
                return False
            with staged.open("rb") as written:
                os.fsync(written.fileno())
            staged.replace(target)
        except OSError as error:
            if error.filename is not None and Path(str(error.filename)) == source:
                raise
            raise StoreError(
                f"a source file could not be archived: {error.strerror or error}",
                where=str(target),
                expected="room and permission to write in the archive",
                next_step="free space or correct RECON_HOME, then run again; nothing was written for the venue",
            ) from error
        finally:
            staged.unlink(missing_ok=True)
        return True

    def restore(self, digest: str, folder: Path, name: str) -> Path | None:
        """Writes the kept bytes to `folder` with the suffix of `name`; None if they are not kept or are damaged."""
        if not self.holds(digest):
            return None
        target = folder / f"{digest}{Path(name).suffix}"
        try:
            with pa.input_stream(str(self.path(digest)), compression="zstd") as packed, target.open("wb") as out:
                shutil.copyfileobj(packed, out, _CHUNK)
        except (OSError, pa.ArrowException):
            return None
        return target if fingerprint(target).digest == digest else None
