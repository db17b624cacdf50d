"""The coverage ledger for people: days of one stream and status as spans, and the days that it lacks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from recon_pipeline.stores.canonical import canonical_json
from recon_pipeline.stores.database import connection

UNREAD = "unread"
HOLES = ("partial", "failed", UNREAD)
"""What was not read to the end."""
NOT_OVER = "not_over"
"""What was read of a day behind the last that was run, before it was over: nobody asked for the whole of it yet."""
BEFORE_START = "before_start"
"""What could not be read of a day before the venue's start, and before any window: it is asked for what it may tell of
later ones."""


@dataclass(frozen=True)
class Needed:
    """What of a venue must have been read of every day from its start on: these streams of each account."""

    start: date
    streams: Mapping[str, Collection[str]]
    stating: Collection[str] = ()
    """Those that say of a wallet that there is none: until one first told of it, there was none before either."""


def known_accounts(url: str, venues: Collection[str]) -> set[str]:
    """The accounts of which anything was ever marked; the empty name is that of what belongs to none."""
    query = sa.text("SELECT DISTINCT account FROM recon.pulls WHERE venue = ANY(:venues)")
    with connection(url, "reading the coverage ledger") as opened:
        return set(opened.scalars(query, {"venues": list(venues)}))


def coverage_spans(
    url: str,
    needed: Mapping[str, Needed],
    *,
    account: str | None = None,
    first: date | None = None,
    last: date | None = None,
    only_holes: bool = False,
) -> list[dict[str, Any]]:
    """Consecutive days of one stream, status and error as one row: venue, account, stream, status, error, from, to,
    records; in this order.

    A day without a mark is `unread`: from the first day of which an account was asked anything (one that was named
    later was not there before) to the last that was run, and wherever `first` and `last` reach. The stream is `*` where
    none of those that are needed has a mark. A day behind those that was read along, before it was over, is `not_over`:
    no hole until a run comes to it. What could not be read of days before the venue's start, or before the account was
    made, is `before_start`: no hole unless `first` reaches there, or the window of a row does.
    """
    accounts = [
        {"venue": venue, "account": each, "start": str(of_venue.start)}
        for venue, of_venue in needed.items()
        for each in of_venue.streams
        if account in (None, each)
    ]
    streams = [
        {"venue": venue, "account": each, "stream": stream}
        for venue, of_venue in needed.items()
        for each, of_account in of_venue.streams.items()
        for stream in of_account
    ]
    given = {
        "venues": list(needed),
        "account": account,
        "first": first,
        "last": last,
        "accounts": canonical_json(accounts),
        "streams": canonical_json(streams),
        "starts": canonical_json({venue: str(of_venue.start) for venue, of_venue in needed.items()}),
        "stating": sorted({stream for of_venue in needed.values() for stream in of_venue.stating}),
        "statuses": list(HOLES) if only_holes else None,
    }
    with connection(url, "reading the coverage ledger") as opened:
        found: Sequence[sa.RowMapping] = opened.execute(sa.text(_SPANS), given).mappings().all()
    return [dict(row) for row in found]


_SPANS = """
WITH made AS (
    SELECT venue, account, CAST(max(window_end) AT TIME ZONE 'UTC' AS date) + 1 AS first_day
    FROM recon.coverage
    WHERE
        venue = ANY(:venues) AND retired_at IS NULL
        AND stream = '*' AND status = 'not_applicable' AND error = 'NotMade'
    GROUP BY venue, account
),

first_windows AS (
    SELECT
        venue, account,
        CAST((min(window_start) + interval '1 microsecond') AT TIME ZONE 'UTC' AS date) AS first_day
    FROM recon.reconciliation
    WHERE venue = ANY(:venues)
    GROUP BY venue, account
),

told AS (
    SELECT
        venue, account, stream, date, records, error, message,
        CASE
            WHEN
                status IN ('partial', 'failed')
                AND date < coalesce(
                    :first,
                    least(
                        greatest(CAST(CAST(:starts AS jsonb) ->> venue AS date), made.first_day),
                        first_windows.first_day
                    )
                )
                THEN 'before_start'
            WHEN status <> 'partial' OR error IS DISTINCT FROM 'NotOver' THEN status
            WHEN date <= coalesce(:last, (
                SELECT max(runs.last_day)
                FROM recon.runs AS runs
                WHERE
                    runs.venue = pulls.venue
                    AND (runs.accounts IS NULL OR pulls.account = '' OR pulls.account = ANY(runs.accounts))
            )) THEN status
            ELSE 'not_over'
        END AS status
    FROM recon.pulls AS pulls
    LEFT JOIN first_windows USING (venue, account)
    LEFT JOIN made USING (venue, account)
    WHERE
        venue = ANY(:venues) AND (CAST(:account AS text) IS NULL OR account = :account)
        AND date BETWEEN coalesce(:first, '-infinity'::date) AND coalesce(:last, 'infinity'::date)
),

needed AS (
    SELECT venue, account, stream, count(*) OVER (PARTITION BY venue, account) AS streams
    FROM jsonb_to_recordset(CAST(:streams AS jsonb)) AS given(venue text, account text, stream text)
),

begun AS (SELECT venue, account, min(date) AS first FROM told GROUP BY venue, account),

absent AS (
    SELECT venue, account, stream, max(date) AS until
    FROM (
        SELECT
            venue, account, stream, date, status,
            min(date) FILTER (WHERE status IN ('complete', 'final')) OVER (PARTITION BY venue, account, stream) AS read
        FROM recon.pulls
        WHERE venue = ANY(:venues) AND stream = ANY(:stating) AND error IS DISTINCT FROM 'NeverUsed'
    ) AS stated
    WHERE status = 'not_applicable' AND date < coalesce(read, 'infinity'::date)
    GROUP BY venue, account, stream
),

asked AS (
    SELECT
        given.venue, given.account, coalesce(:last, max(runs.last_day)) AS last,
        greatest(
            given.start, min(made.first_day), coalesce(:first, greatest(min(runs.first_day), min(begun.first)))
        ) AS first
    FROM jsonb_to_recordset(CAST(:accounts AS jsonb)) AS given(venue text, account text, start date)
    LEFT JOIN begun ON begun.venue = given.venue AND begun.account = given.account
    LEFT JOIN made ON made.venue = given.venue AND made.account = given.account
    LEFT JOIN recon.runs AS runs
        ON runs.venue = given.venue AND (runs.accounts IS NULL OR given.account = ANY(runs.accounts))
    GROUP BY given.venue, given.account, given.start
),

missing AS (
    SELECT
        asked.venue, asked.account, needed.stream, needed.streams, day::date AS date,
        count(*) OVER (PARTITION BY asked.venue, asked.account, day) AS lacking,
        coalesce(absent.until >= day::date, false) AS is_absent
    FROM asked
    CROSS JOIN LATERAL generate_series(asked.first, asked.last, interval '1 day') AS day
    JOIN needed ON needed.venue = asked.venue AND needed.account = asked.account
    LEFT JOIN absent
        ON absent.venue = asked.venue AND absent.account = asked.account AND absent.stream = needed.stream
    WHERE NOT EXISTS (
        SELECT 1
        FROM told
        WHERE
            told.venue = asked.venue AND told.account = asked.account AND told.stream = needed.stream
            AND told.date = day::date
    )
),

every AS (
    SELECT venue, account, stream, date, status, records, error, message
    FROM told
    UNION ALL
    SELECT DISTINCT
        venue, account, CASE WHEN lacking = streams THEN '*' ELSE stream END, date, 'unread', 0::bigint, NULL, NULL
    FROM missing
    WHERE lacking = streams OR NOT is_absent
),

placed AS (
    SELECT
        *, date - CAST(row_number() OVER (PARTITION BY venue, account, stream, status, error ORDER BY date) AS int)
        AS island
    FROM every
    WHERE CAST(:statuses AS text[]) IS NULL OR status = ANY(:statuses)
)

SELECT
    venue, account, stream, status, error, min(date) AS "from", max(date) AS "to",
    CAST(sum(records) AS bigint) AS records, (array_agg(message ORDER BY date DESC))[1] AS message
FROM placed
GROUP BY venue, account, stream, status, error, island
ORDER BY venue COLLATE "C", account COLLATE "C", stream COLLATE "C", min(date), status
"""
