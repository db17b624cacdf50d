"""What a run tells of itself: when it began and how it ended, which files it read, under which settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

import sqlalchemy as sa

from recon_pipeline.config import Settings
from recon_pipeline.stores.database import connection


class _Request(Protocol):
    """The days of a venue that a run was asked for."""

    @property
    def venue(self) -> str: ...
    @property
    def first_day(self) -> date: ...
    @property
    def last_day(self) -> date: ...
    @property
    def as_of_day(self) -> date: ...
    @property
    def accounts(self) -> frozenset[str] | None: ...


class _SourceFile(Protocol):
    """One file of a folder of statements, as its reader describes it."""

    @property
    def path(self) -> str: ...
    @property
    def digest(self) -> str | None: ...
    @property
    def bytes(self) -> int | None: ...
    @property
    def rows(self) -> int | None: ...
    @property
    def first_instant(self) -> datetime | None: ...
    @property
    def last_instant(self) -> datetime | None: ...
    @property
    def status(self) -> str: ...
    @property
    def error(self) -> str | None: ...
    @property
    def message(self) -> str | None: ...
    @property
    def frames(self) -> tuple[str, ...]: ...
    @property
    def last_good(self) -> str | None: ...


def begin_run(url: str, run_id: str, request: _Request) -> None:
    """Record that a run of a venue begins; a run that takes up its work again is begun anew."""
    values = {
        "run_id": run_id,
        "venue": request.venue,
        "first_day": request.first_day,
        "last_day": request.last_day,
        "as_of_day": request.as_of_day,
        "accounts": None if request.accounts is None else sorted(request.accounts),
    }
    with connection(url, f"recording the run of {request.venue}") as opened:
        opened.execute(
            sa.text(
                "INSERT INTO recon.runs (run_id, venue, first_day, last_day, as_of_day, accounts)"
                " VALUES (:run_id, :venue, :first_day, :last_day, :as_of_day, :accounts)"
                " ON CONFLICT (run_id, venue) DO UPDATE SET finished_at = NULL, outcome = NULL, message = NULL"
            ),
            values,
        )


def finish_run(
    url: str, run_id: str, outcome: str, counts: Mapping[str, int], message: str = "", *, venue: str | None = None
) -> None:
    """Record how a run ended: of one venue, or of every venue that it began and has not ended."""
    with connection(url, "recording the end of the run") as opened:
        opened.execute(
            sa.text(
                "UPDATE recon.runs SET finished_at = clock_timestamp(), outcome = :outcome,"
                " counts = CAST(:counts AS jsonb), message = NULLIF(:message, '')"
                " WHERE run_id = :run_id AND (venue = :venue OR (CAST(:venue AS text) IS NULL AND finished_at IS NULL))"
            ),
            {
                "run_id": run_id,
                "venue": venue,
                "outcome": outcome,
                "counts": json.dumps(dict(counts)),
                "message": message,
            },
        )


KILLED = "killed"
"""How a run ended whose process is gone without a word."""


def end_runs(url: str, run_ids: Sequence[str], outcome: str) -> None:
    """Record of runs that cannot do it themselves how they ended; what was recorded of their end stands."""
    if run_ids:
        with connection(url, "recording the end of runs") as opened:
            opened.execute(
                sa.text(
                    "UPDATE recon.runs SET finished_at = clock_timestamp(), outcome = :outcome"
                    " WHERE run_id = ANY(:run_ids) AND finished_at IS NULL"
                ),
                {"run_ids": list(run_ids), "outcome": outcome},
            )


def record_files(url: str, venue: str, files: Iterable[_SourceFile]) -> None:
    """Record the files of a venue's folder; one that was known and is not among them is `gone`.

    `read_at` moves only when something about the file has changed, so it says since when it is as it is.
    """
    rows = [
        {
            "venue": venue,
            "path": file.path,
            "digest": file.digest,
            "bytes": file.bytes,
            "rows": file.rows,
            "first_instant": file.first_instant,
            "last_instant": file.last_instant,
            "status": file.status,
            "error": file.error,
            "message": file.message,
            "frames": sorted(file.frames),
            "last_good_digest": file.last_good,
        }
        for file in files
    ]
    with connection(url, f"recording the files of {venue}") as opened:
        opened.execute(
            sa.text(
                "UPDATE recon.source_files SET status = 'gone', read_at = now()"
                " WHERE venue = :venue AND status <> 'gone' AND NOT path = ANY(:paths)"
            ),
            {"venue": venue, "paths": [row["path"] for row in rows]},
        )
        if rows:
            opened.execute(sa.text(_UPSERT_FILE), rows)


_FILE_COLUMNS = (
    "digest", "bytes", "rows", "first_instant", "last_instant", "status", "error", "message", "frames",
    "last_good_digest",
)  # fmt: skip
_UPSERT_FILE = (
    f"INSERT INTO recon.source_files AS f (venue, path, {', '.join(_FILE_COLUMNS)})"
    f" VALUES (:venue, :path, {', '.join(f':{name}' for name in _FILE_COLUMNS)})"
    f" ON CONFLICT (venue, path) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _FILE_COLUMNS)},"
    " read_at = now()"
    f" WHERE ({', '.join(f'f.{name}' for name in _FILE_COLUMNS)})"
    f" IS DISTINCT FROM ({', '.join(f'excluded.{name}' for name in _FILE_COLUMNS)})"
)


def last_good_files(url: str, venue: str) -> dict[str, str]:
    """The digest of each file's last version without a fault, by path; files that are gone are left out."""
    with connection(url, f"reading the files of {venue}") as opened:
        rows = opened.execute(
            sa.text(
                "SELECT path, last_good_digest FROM recon.source_files"
                " WHERE venue = :venue AND status <> 'gone' AND last_good_digest IS NOT NULL"
            ),
            {"venue": venue},
        )
        return {row.path: row.last_good_digest for row in rows}


def unread_files(url: str, venue: str) -> list[str]:
    """The files of a venue's folder that nothing reads, by path."""
    with connection(url, f"reading the files of {venue}") as opened:
        asked = sa.text("SELECT path FROM recon.source_files WHERE venue = :venue AND status = 'unread' ORDER BY path")
        return list(opened.scalars(asked, {"venue": venue}))


def record_settings(url: str, settings: Settings, venue: str) -> None:
    """Replace what the marts need of recon.yaml for one venue: itself, its tolerances and openings.

    Those of the others change when their rows do, with their own next run; a venue that left recon.yaml has none, and
    what was computed of it stays as it was judged.
    """
    of_venue = settings.venues[venue]
    told = {name: getattr(of_venue, name) for name in ("kind", "calendar", "start", "due_days")} | {"venue": venue}
    tolerances = [
        {"venue": venue, "kind": kind, "account": r.account, "asset": r.asset, "rank": r.rank, "tolerance": r.value}
        for kind in ("default", "cumulative", "books")
        for r in settings.tolerances.rules(venue, kind)
    ]
    openings = [
        {"venue": o.venue, "account": o.account, "wallet": o.wallet, "date": o.date, "note": o.note}
        for o in settings.openings
        if o.venue == venue
    ]
    with connection(url, "recording the settings") as opened:
        opened.execute(sa.text(_UPSERT_VENUE), told)
        opened.execute(sa.text("DELETE FROM recon.tolerances WHERE venue = :venue"), {"venue": venue})
        opened.execute(sa.text("DELETE FROM recon.openings WHERE venue = :venue"), {"venue": venue})
        _insert(opened, "tolerances", tolerances)
        _insert(opened, "openings", openings)


_UPSERT_VENUE = (
    "INSERT INTO recon.venues (venue, kind, calendar, start, due_days)"
    " VALUES (:venue, :kind, :calendar, :start, :due_days) ON CONFLICT (venue) DO UPDATE"
    " SET kind = excluded.kind, calendar = excluded.calendar, start = excluded.start, due_days = excluded.due_days"
)


def record_streams(url: str, venue: str, streams: Sequence[str]) -> None:
    """Record the streams that can move a wallet of the venue, as its last reading found them."""
    with connection(url, f"recording the streams of {venue}") as opened:
        opened.execute(
            sa.text("UPDATE recon.venues SET streams = :streams WHERE venue = :venue"),
            {"venue": venue, "streams": list(streams)},
        )


def _insert(opened: sa.Connection, table: str, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        columns = list(rows[0])
        values = ", ".join(f":{column}" for column in columns)
        opened.execute(sa.text(f"INSERT INTO recon.{table} ({', '.join(columns)}) VALUES ({values})"), rows)


def files_version(url: str, venue: str) -> datetime | None:
    """When anything that is recorded of the venue's files last changed; None if none was ever read."""
    with connection(url, f"reading the files of {venue}") as opened:
        found: datetime | None = opened.execute(
            sa.text("SELECT max(read_at) FROM recon.source_files WHERE venue = :venue"), {"venue": venue}
        ).scalar()
        return found
