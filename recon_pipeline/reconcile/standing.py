"""How the venues stand: the latest verdicts, what is open, the last run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from recon_pipeline.stores.database import connection
from recon_pipeline.venues.reading import UNREAD

_LATEST = sa.text(
    "SELECT DISTINCT ON (account) account, date, verdict, why FROM marts.account_day_verdict WHERE venue = :venue"
    " ORDER BY account, date DESC"
)
_OPEN = sa.text("""
    SELECT
        (SELECT count(*) FROM marts.open_variances WHERE venue = :venue) AS open_variances,
        (SELECT count(*) FROM recon.source_files WHERE venue = :venue AND status = 'faulty') AS faulty_files,
        (SELECT count(*) FROM recon.source_files WHERE venue = :venue AND status = 'unread') AS unread_files,
        (SELECT count(*) FROM recon.quarantine WHERE venue = :venue AND error <> :unread) AS refused_rows
""")
_GREEN = ("green", "opening")
_LAST_RUN = sa.text(
    "SELECT run_id, first_day, last_day, outcome, started_at, finished_at FROM recon.runs"
    " WHERE venue = :venue ORDER BY started_at DESC LIMIT 1"
)


@dataclass(frozen=True)
class Standing:
    """A venue: its accounts by their latest verdict, what stands open, and its last run (None if it never ran); of each
    account whose latest day is not green, why."""

    venue: str
    latest_day: date | None
    accounts: int
    green: int
    red: int
    incomplete: int
    pending: int
    open_variances: int
    faulty_files: int
    unread_files: int
    refused_rows: int
    last_run: Mapping[str, Any] | None
    not_green: Sequence[Mapping[str, Any]] = ()
    """Of each: account, date, verdict, why."""

    @property
    def code(self) -> int:
        """The exit code that says it: 1 differences; 3 incomplete, refused, or no day of it was ever reconciled; 0
        otherwise."""
        if self.red or self.open_variances:
            return 1
        is_failed = self.last_run is not None and self.last_run["outcome"] not in ("done", "unfinished", None)
        is_open = self.incomplete or self.faulty_files or self.refused_rows or self.latest_day is None
        return 3 if is_open or is_failed else 0

    def as_dict(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self) | {"exit_code": self.code}

    def as_row(self) -> dict[str, Any]:
        """For a person."""
        row = {name: value for name, value in asdict(self).items() if name not in ("last_run", "not_green")}
        return row | {"last_run": _told(self.last_run)}


def standings(url: str, venues: Sequence[str]) -> list[Standing]:
    """How each of these venues stands."""
    found = []
    with connection(url, "reading how the venues stand") as database:
        for venue in venues:
            latest = [row._asdict() for row in database.execute(_LATEST, {"venue": venue})]
            figures = database.execute(_OPEN, {"venue": venue, "unread": UNREAD}).one()._asdict()
            last = database.execute(_LAST_RUN, {"venue": venue}).one_or_none()
            verdicts = Counter(row["verdict"] for row in latest)
            found.append(
                Standing(
                    venue=venue,
                    latest_day=max((row["date"] for row in latest), default=None),
                    accounts=len(latest),
                    green=sum(verdicts[name] for name in _GREEN),
                    red=verdicts["red"],
                    incomplete=verdicts["incomplete"],
                    pending=verdicts["pending"],
                    **figures,
                    last_run=last._asdict() if last else None,
                    not_green=[row for row in latest if row["verdict"] not in _GREEN],
                )
            )
    return found


def _told(run: Mapping[str, Any] | None) -> str:
    if run is None:
        return "never"
    ended: datetime | None = run["finished_at"]
    outcome = run["outcome"] or "under way, or killed"
    return f"{run['first_day']} to {run['last_day']}: {outcome}" + (f", {ended:%Y-%m-%d %H:%M}" if ended else "")
