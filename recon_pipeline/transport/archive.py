"""The archive of answers: what a venue said, byte for byte, under its own digest, and who was asked what when.

    <folder>/<first two of the digest>/<sha256>.zst     the bytes, compressed, once each
    <folder>/.staged/                                   what is being written; what a kill left there goes after a day
    recon.raw_responses                                 one row for every answer, with its question without secrets

A file is on the disk before the row that names it is written. The transport encoding (gzip) is undone, and a key or
signature that the venue repeats is starred out; nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from recon_pipeline.errors import StoreError
from recon_pipeline.transport.pool import Pool

_DIGEST_LENGTH = 64
_REMEMBERED_MAX = 10_000
_STAGED = ".staged"
_STAGED_SECONDS_MAX = 86_400


class ArchiveDamaged(StoreError):  # noqa: N818 - the name says what is the matter
    """The bytes of an answer are not there any more, or are not those that were kept."""


class ArchiveUnwritable(StoreError):  # noqa: N818 - as above
    """An answer cannot be kept: there is no use in asking for another one."""


@dataclass(frozen=True)
class Kept:
    """An answer in the archive: its row and its digest."""

    response_id: int
    digest: str


@dataclass(frozen=True)
class Question:
    """What a venue was asked, without signature, key and timestamp."""

    venue: str
    account: str | None
    method: str
    path: str
    params: Mapping[str, str]
    asked_at: datetime
    run_id: str | None = None


class AnswerArchive:
    """Keeps the answers of all venues; may be shared by threads and used by several processes at once."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self._pool = Pool(url)
        self._remembered: dict[str, None] = {}
        _sweep(folder / _STAGED)

    def keep(self, question: Question, status: int, body: bytes, took_ms: int) -> Kept:
        """Keep an answer's bytes, then the row that names them; ArchiveUnwritable, or another StoreError, if either
        cannot be written."""
        digest = self._keep_bytes(body)
        row = {
            "venue": question.venue,
            "account": question.account,
            "method": question.method,
            "path": question.path,
            "params": json.dumps(dict(question.params), ensure_ascii=False),
            "asked_at": question.asked_at,
            "status": status,
            "digest": digest,
            "bytes": len(body),
            "took_ms": took_ms,
            "run_id": question.run_id,
        }
        found = self._pool.run("recording an answer", lambda opened: opened.execute(_INSERT, row).scalar_one())
        return Kept(int(found), digest)

    def read(self, digest: str) -> bytes:
        """The bytes of that digest; ArchiveDamaged if they are not there or are others."""
        path = self.path(digest)
        try:
            with pa.input_stream(str(path), compression="zstd") as packed:
                body = bytes(packed.read())
        except (OSError, pa.ArrowException):
            body = None
        if body is None or hashlib.sha256(body).hexdigest() != digest:
            raise ArchiveDamaged(
                "an answer is missing" if body is None and not path.exists() else "an answer is damaged",
                where=str(path),
                expected=f"bytes with the digest {digest}",
                next_step="restore the archive from its backup, or remove the file and have the window asked anew",
            )
        return body

    def path(self, digest: str) -> Path:
        """Where the bytes of that digest are kept."""
        if len(digest) != _DIGEST_LENGTH or not set(digest) <= set("0123456789abcdef"):
            raise ArchiveDamaged("this is no digest", where="the archive of answers", expected="sha256 in hex")
        return self.folder / digest[:2] / f"{digest}.zst"

    def worked_since(self, venue: str, account: str, since: datetime) -> bool:
        """Whether a question of that account was answered with success since then."""
        asked = {"venue": venue, "account": account, "since": since}
        return bool(self._pool.run("looking for an answer", lambda opened: opened.execute(_WORKED, asked).scalar()))

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _keep_bytes(self, body: bytes) -> str:
        digest = hashlib.sha256(body).hexdigest()
        if digest in self._remembered:
            return digest
        path = self.path(digest)
        try:
            packed = pa.compress(body, codec="zstd", asbytes=True)
            if not (path.is_file() and path.stat().st_size == len(packed)):
                _write_durably(path, packed, self.folder / _STAGED)
        except OSError as error:
            raise ArchiveUnwritable(
                f"an answer could not be archived: {error.strerror or type(error).__name__}",
                where=str(path),
                expected="room and permission to write in the archive",
                next_step="free space or correct RECON_HOME, then run again: what was not archived is asked anew",
            ) from error
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[digest] = None
        return digest


def _write_durably(path: Path, content: bytes, staging: Path) -> None:
    """Whole or not at all, and still there after the power fails."""
    made = not path.parent.exists()
    for folder in (path.parent, staging):
        folder.mkdir(parents=True, exist_ok=True)
    handle, staged = tempfile.mkstemp(dir=staging)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        Path(staged).replace(path)
    except BaseException:
        Path(staged).unlink(missing_ok=True)
        raise
    for folder in (path.parent, path.parent.parent) if made else (path.parent,):
        _sync_folder(folder)


def _sweep(staging: Path) -> None:
    """Remove what somebody who was killed had begun to write, but nothing that may still be under way."""
    for left in staging.glob("*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - _STAGED_SECONDS_MAX:
                left.unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_COLUMNS = (
    "venue", "account", "method", "path", "params", "asked_at", "status", "digest", "bytes", "took_ms", "run_id"
)  # fmt: skip
_INSERT = sa.text(
    f"INSERT INTO recon.raw_responses ({', '.join(_COLUMNS)})"
    f" VALUES ({', '.join('CAST(:params AS jsonb)' if name == 'params' else f':{name}' for name in _COLUMNS)})"
    " RETURNING id"
)
_WORKED = sa.text(
    "SELECT true FROM recon.raw_responses"
    " WHERE venue = :venue AND account = :account AND asked_at >= :since AND status = 200 LIMIT 1"
)
