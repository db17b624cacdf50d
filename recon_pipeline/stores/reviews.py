"""Errors of sources, kept for a person: each once while it is open, however often it comes again."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recon_pipeline.errors import ReconError
from recon_pipeline.stores.canonical import canonical_json
from recon_pipeline.stores.database import connection

READ_SINCE = "read since"
NAMED_NO_MORE = "nothing names the account any more, and nothing of it was ever read"
_PASSING = ("NETWORK_ERROR", "RATE_LIMIT")
"""Kinds of errors that are over once what they were about is read."""
_OF_KEYS = "API_KEY_INVALID"
"""A key that reads has been mended by whoever looked at it."""

Place = tuple[str | None, str | None]
"""An account and a stream of a venue; no account is everybody, no stream whatever is asked for the account."""


class UnknownReview(ReconError):  # noqa: N818 - the name says what is the matter
    """No error of that number waits for a person."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """What went wrong at a venue: the error's name and texts, and where. `kind` is the venue's class of errors."""

    name: str
    found: str
    kind: str
    place: str = ""
    expected: str = ""
    next_step: str = ""
    account: str | None = None
    stream: str | None = None
    symbol: str | None = None
    raw_error: Mapping[str, Any] | None = None
    needs_manual_review: bool = False

    @property
    def fingerprint(self) -> str:
        """The same for the same problem in the same place, whenever it comes."""
        told = (self.name, self.kind, self.account, self.stream, self.symbol, self.place)
        return hashlib.sha256("\0".join(map(str, told)).encode()).hexdigest()


def record_problem(url: str, venue: str, problem: Problem) -> None:
    """Keep a problem: a new line, or one more time on the line that is open."""
    with connection(url, f"recording an error of {venue}") as opened:
        opened.execute(sa.text(_RECORD), _given(venue, problem))


def _given(venue: str, problem: Problem) -> dict[str, Any]:
    return {
        "venue": venue,
        "name": problem.name,
        "found": problem.found,
        "kind": problem.kind,
        "place": problem.place,
        "expected": problem.expected,
        "next_step": problem.next_step,
        "account": problem.account,
        "stream": problem.stream,
        "symbol": problem.symbol,
        "raw": None if problem.raw_error is None else canonical_json(problem.raw_error),
        "review": problem.needs_manual_review,
        "fingerprint": problem.fingerprint,
    }


def record_findings(url: str, venue: str, problems: Sequence[Problem]) -> None:
    """Keep what every reading finds anew: what a person has resolved stays resolved."""
    with connection(url, f"recording what a person has to look at in {venue}") as opened:
        query = sa.text("SELECT DISTINCT fingerprint FROM recon.errors WHERE venue = :venue")
        known = set(opened.execute(query, {"venue": venue}).scalars())
        for problem in problems:
            if problem.fingerprint not in known:
                known.add(problem.fingerprint)
                opened.execute(sa.text(_RECORD), _given(venue, problem))


_RECORD = (
    "INSERT INTO recon.errors AS e (venue, name, found, kind, place, expected, next_step, account, stream, symbol,"
    " raw_error, needs_manual_review, fingerprint)"
    " VALUES (:venue, :name, :found, :kind, :place, :expected, :next_step, :account, :stream, :symbol,"
    " CAST(:raw AS jsonb), :review, :fingerprint)"
    " ON CONFLICT (venue, fingerprint) WHERE resolved_at IS NULL DO UPDATE SET seen = e.seen + 1,"
    " last_seen_at = now(), found = excluded.found, raw_error = excluded.raw_error"
)


def list_problems(
    url: str, venue: str | None = None, *, with_resolved: bool = False, for_review: bool = False
) -> list[dict[str, Any]]:
    """The problems that are open, the newest first; with those that were resolved, or only those that need a person."""
    with connection(url, "reading the errors") as opened:
        rows = opened.execute(
            sa.text(
                "SELECT id, venue, account, stream, symbol, kind, name, found, place, next_step, needs_manual_review,"
                " seen, occurred_at, last_seen_at, resolved_at, resolution_notes FROM recon.errors"
                " WHERE fingerprint IS NOT NULL AND (CAST(:venue AS text) IS NULL OR venue = :venue)"
                " AND (:resolved OR resolved_at IS NULL) AND (NOT :review OR needs_manual_review)"
                " ORDER BY last_seen_at DESC, id DESC"
            ),
            {"venue": venue, "resolved": with_resolved, "review": for_review},
        )
        return [dict(row._mapping) for row in rows]


def resolve_problems(url: str, numbers: Collection[int], note: str) -> None:
    """Close problems with a note; UnknownReview, and none of them closed, if one of these numbers is not open."""
    with connection(url, "resolving errors") as opened:
        done = opened.execute(
            sa.text(
                "UPDATE recon.errors SET resolved_at = now(), resolution_notes = :note"
                " WHERE id = ANY(:ids) AND resolved_at IS NULL RETURNING id"
            ),
            {"ids": list(numbers), "note": note},
        )
        if unknown := sorted({*numbers} - set(done.scalars())):
            raise UnknownReview(
                f"no open error has the number {', '.join(map(str, unknown))}",
                expected="numbers of open errors; none was resolved",
                next_step="recon errors list shows those that are open",
            )


def resolve_forgotten(url: str, venue: str, accounts: Collection[str]) -> None:
    """Close everything that was about accounts which nobody names any more, and of which nothing was ever read."""
    with connection(url, f"resolving errors of {venue}") as opened:
        opened.execute(
            sa.text(
                "UPDATE recon.errors SET resolved_at = now(), resolution_notes = :note"
                " WHERE venue = :venue AND resolved_at IS NULL AND account = ANY(:accounts)"
            ),
            {"venue": venue, "accounts": list(accounts), "note": NAMED_NO_MORE},
        )


def resolve_read(url: str, venue: str, read: Collection[Place]) -> int:
    """Close what is over: failures of the network or the allowance and keys that were refused, in places that were
    read since and where nothing has failed again; how many."""
    if not read:
        return 0
    accounts, streams = zip(*read, strict=True)
    with connection(url, f"resolving errors of {venue}") as opened:
        return opened.execute(
            sa.text(
                "UPDATE recon.errors AS e SET resolved_at = now(), resolution_notes = :note"
                " FROM unnest(CAST(:accounts AS text[]), CAST(:streams AS text[])) AS read (account, stream)"
                " WHERE e.venue = :venue AND e.resolved_at IS NULL"
                " AND (e.kind = :of_keys OR (e.kind = ANY(:kinds) AND NOT e.needs_manual_review))"
                " AND e.account IS NOT DISTINCT FROM read.account"
                " AND e.stream IS NOT DISTINCT FROM read.stream"
            ),
            {
                "venue": venue, "kinds": list(_PASSING), "of_keys": _OF_KEYS, "note": READ_SINCE,
                "accounts": list(accounts), "streams": list(streams),
            },
        ).rowcount  # fmt: skip
