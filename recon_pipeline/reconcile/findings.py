"""What the stored rows of some days say, in the few figures that a person looks at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from recon_pipeline.stores.database import connection

VERDICTS = ("green", "opening", "pending", "incomplete", "red")
"""From the best to the worst."""
DISAGREEING = ("variance", "incomplete", "timing")

_ASKED = (
    "venue = :venue AND date BETWEEN :first AND :last"
    " AND (CAST(:accounts AS text[]) IS NULL OR account = ANY(CAST(:accounts AS text[])))"
)
_BY_DAY = sa.text(
    "SELECT date, status, coalesce(discrepancy_type, '') AS kind, count(*) AS rows,"
    " sum(abs(variance_in_usd)) AS usd FROM recon.reconciliation"
    " WHERE " + _ASKED + " GROUP BY date, status, kind ORDER BY date, status, kind"
)
_DISAGREEING = sa.text(
    "SELECT date, account, wallet, asset, status, severity, discrepancy_type, calculated_balance, actual_balance,"
    " variance_in_asset, variance_in_usd FROM recon.reconciliation"
    " WHERE " + _ASKED + " AND status = ANY(:statuses)"
    " ORDER BY array_position(CAST(:statuses AS text[]), status), abs(variance_in_usd) DESC NULLS FIRST, date,"
    " account, wallet, asset LIMIT :most"
)
_VERDICTS = sa.text(
    "SELECT account, date, verdict, why FROM marts.account_day_verdict WHERE " + _ASKED + " ORDER BY account, date"
)
_NOT_FINAL = sa.text("SELECT count(*) FROM marts.open_variances WHERE NOT is_final AND " + _ASKED)
_BESIDES = sa.text(
    "SELECT date, status, count(*) AS rows FROM recon.reconciliation"
    " JOIN recon.partitions USING (venue, date)"
    " WHERE venue = :venue AND frame = 'reconciliation' AND run_id = :run_id AND NOT date BETWEEN :first AND :last"
    " AND (CAST(:accounts AS text[]) IS NULL OR account = ANY(CAST(:accounts AS text[])))"
    " GROUP BY date, status ORDER BY date, status"
)
_NAMED_IDLY = sa.text("""
    WITH stood AS (SELECT DISTINCT account, wallet FROM recon.reconciliation WHERE venue = :venue)
    SELECT 'openings' AS key, account || ' / ' || wallet AS named
    FROM recon.openings
    WHERE venue = :venue AND (account, wallet) NOT IN (SELECT account, wallet FROM stood)
    UNION
    SELECT 'tolerances', account
    FROM recon.tolerances
    WHERE venue = :venue AND account IS NOT NULL AND account NOT IN (SELECT account FROM stood)
    ORDER BY key, named
""")
_FIRST_NEVER_RUN = sa.text("""
    WITH stored AS (
        SELECT date, run_id FROM recon.partitions WHERE venue = :venue AND frame = 'reconciliation'
    )
    SELECT min(day::date)
    FROM generate_series((SELECT min(date) FROM stored), CAST(:due AS date), interval '1 day') AS days(day)
    WHERE NOT EXISTS (
        SELECT FROM recon.runs AS r
        WHERE
            r.venue = :venue AND r.accounts IS NULL AND day BETWEEN r.first_day AND r.last_day
            AND (
                r.outcome = 'done' OR r.message LIKE 'RefusedInput:%'
                OR (day, r.run_id) IN (SELECT date, run_id FROM stored)
            )
    )
""")
"""From the first day that is stored on. A run of some accounts runs no day, and one that did not do all it could those
days alone of which the rows are its own."""
_FIRST_PENDING = sa.text(
    "SELECT min(date) FROM recon.reconciliation WHERE venue = :venue AND status = 'pending' AND date <= :due"
)


@dataclass
class DayFindings:
    """One day: its rows by status, why rows are incomplete, and the USD at variance."""

    statuses: dict[str, int] = field(default_factory=dict)
    incomplete: dict[str, int] = field(default_factory=dict)
    usd_at_variance: Decimal = Decimal(0)

    @property
    def rows(self) -> int:
        """All its rows."""
        return sum(self.statuses.values())


@dataclass(frozen=True)
class Findings:
    """The days asked for (one without rows too), and the first of the rows that disagree: variances before what is
    incomplete, those without a price before the greatest in USD."""

    days: Mapping[date, DayFindings]
    disagreeing: Sequence[Mapping[str, Any]]

    @property
    def statuses(self) -> dict[str, int]:
        """Rows by status over all days."""
        total: dict[str, int] = {}
        for day in self.days.values():
            for status, rows in day.statuses.items():
                total[status] = total.get(status, 0) + rows
        return total

    @property
    def disagreeing_rows(self) -> int:
        """How many rows disagree in all."""
        return sum(rows for status, rows in self.statuses.items() if status in DISAGREEING)

    @property
    def usd_at_variance(self) -> Decimal:
        """The sum of |variance_in_usd| over all rows whose status is variance."""
        return sum((day.usd_at_variance for day in self.days.values()), Decimal(0))


def find(
    url: str, venue: str, first: date, last: date, *, accounts: frozenset[str] | None = None, most: int = 50
) -> Findings:
    """The findings of a venue's days from first to last, of all accounts or some, from PostgreSQL."""
    found = {first + timedelta(days=n): DayFindings() for n in range((last - first).days + 1)}
    of_accounts = sorted(accounts) if accounts else None
    bounds = {"venue": venue, "first": first, "last": last, "accounts": of_accounts}
    with connection(url, f"reading the findings of {venue}") as database:
        for row in database.execute(_BY_DAY, bounds):
            day = found[row.date]
            day.statuses[row.status] = day.statuses.get(row.status, 0) + row.rows
            if row.status == "incomplete":
                day.incomplete[row.kind] = row.rows
            if row.status == "variance":
                day.usd_at_variance += row.usd or Decimal(0)
        asked = bounds | {"statuses": list(DISAGREEING), "most": most}
        disagreeing = [dict(row._mapping) for row in database.execute(_DISAGREEING, asked)]
    return Findings(found, disagreeing)


def count_not_final(url: str, venue: str, first: date, last: date, *, accounts: frozenset[str] | None = None) -> int:
    """How many of these days' variances a late record, or a trade that is still to be found, may yet explain."""
    asked = {"venue": venue, "first": first, "last": last, "accounts": sorted(accounts) if accounts else None}
    with connection(url, f"reading the open variances of {venue}") as database:
        counted = database.scalar(_NOT_FINAL, asked)
        return int(counted or 0)


def find_besides(
    url: str, venue: str, run_id: str, first: date, last: date, *, accounts: frozenset[str] | None = None
) -> dict[date, dict[str, int]]:
    """Rows by status of the days that a run changed besides those it was asked for: what they rest on had changed."""
    asked = {"venue": venue, "run_id": run_id, "first": first, "last": last}
    found: dict[date, dict[str, int]] = {}
    with connection(url, f"reading the findings of {venue}") as database:
        for row in database.execute(_BESIDES, asked | {"accounts": sorted(accounts) if accounts else None}):
            found.setdefault(row.date, {})[row.status] = row.rows
    return found


def named_idly(url: str, venue: str) -> list[str]:
    """What `openings` and `tolerances` of recon.yaml name though no row of the venue, of any day, is about it."""
    with connection(url, f"reading what recon.yaml names of {venue}") as database:
        return [f"{row.key}: {row.named}" for row in database.execute(_NAMED_IDLY, {"venue": venue})]


def first_day_to_run(url: str, venue: str, due: date) -> date:
    """The first of the days up to `due` that a nightly run has to take along: never run, or stored as pending.

    A venue that has never run at all begins with its folder, not with the schedule, so for it the day is `due` itself.
    """
    asked = {"venue": venue, "due": due}
    with connection(url, f"looking for the days of {venue} that are open") as database:
        never_run = database.execute(_FIRST_NEVER_RUN, asked).scalar()
        pending = database.execute(_FIRST_PENDING, asked).scalar()
    return min(day for day in (due, never_run, pending) if day is not None)


@dataclass(frozen=True)
class AccountVerdicts:
    """How many of an account's days have each verdict, and why the last day that is not green is not."""

    account: str
    verdicts: Mapping[str, int]
    last_verdict: str
    why: str
    why_of: date | None
    """That day; None if all are green."""


def verdicts(
    url: str, venue: str, first: date, last: date, accounts: frozenset[str] | None = None
) -> list[AccountVerdicts]:
    """The verdicts of a venue's accounts over a range of days, from the mart; by account."""
    asked = {"venue": venue, "first": first, "last": last, "accounts": sorted(accounts) if accounts else None}
    with connection(url, f"reading the verdicts of {venue}") as database:
        rows = database.execute(_VERDICTS, asked).all()
    found: list[AccountVerdicts] = []
    for account in dict.fromkeys(row.account for row in rows):
        of_account = [row for row in rows if row.account == account]
        counts = {name: sum(row.verdict == name for row in of_account) for name in VERDICTS}
        counts = {name: days for name, days in counts.items() if days}
        not_green = [row for row in of_account if row.verdict not in ("green", "opening")]
        why, why_of = (not_green[-1].why, not_green[-1].date) if not_green else ("", None)
        found.append(AccountVerdicts(account, counts, of_account[-1].verdict, why, why_of))
    return found
