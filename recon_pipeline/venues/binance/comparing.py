"""The downloaded statements of a venue's folder against its flows in PostgreSQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Literal, NamedTuple, TypeAlias

import sqlalchemy as sa

from recon_pipeline.config import VenueSettings
from recon_pipeline.errors import ConfigError
from recon_pipeline.frames.schema import COVERAGE_READ, COVERAGE_THAT_COUNTS
from recon_pipeline.stores.database import connection
from recon_pipeline.venues.binance.reading import LEDGERS, flow_streams
from recon_pipeline.venues.binance.statement import (
    NEAR,
    Line,
    Statement,
    downloads,
    flow_lines,
    read_statement,
    told_once,
    unmatched,
)
from recon_pipeline.venues.binance.statement_zone import OtherZone, other_zone, reach

DayState: TypeAlias = Literal["read", "read in part", "not read"]
"""Of an account's day: whether all feeds of flows were read to its end, some, or none was ever asked for; of a wallet
with a ledger of its own, whether that was asked for."""
Day: TypeAlias = tuple[str, str | None, date]
"""An account, one of its wallets where it is known which, and a day."""
Span: TypeAlias = tuple[datetime, datetime]
"""From an instant to another, both included."""


class Compared(NamedTuple):
    """What one side tells alone, over the time that each account's statements span."""

    alone: list[Line]
    spans: dict[str, list[Span]]
    """What was compared of each account, from the first to the last row of each download; the rest was not."""
    rows: int
    """How many rows the statements have."""
    untold: list[str]
    """The accounts with a user_id of which no statement has a row: nothing of theirs was compared."""
    unnamed: list[str]
    """The accounts without one: no statement can be of them."""
    unread: list[str]
    """Files beside the statements that are no CSV, such as a download that is still packed."""
    hints: list[OtherZone]
    """The files whose times seem to be of another zone than they were read in."""
    read: Mapping[Day, DayState]
    """How the API was read on the days of `alone`, by account and wallet."""


def compare_statements(venue: VenueSettings, url: str) -> Compared:
    """The flows that are stored against the statements in the venue's folder. ConfigError if these hold no row."""
    api = venue.api
    listed = sorted(venue.folder.iterdir()) if venue.folder.is_dir() else []
    # what some systems put beside each file of an archive begins with a dot
    files = [p for p in listed if p.suffix.lower() == ".csv" and p.is_file() and not p.name.startswith(".")]
    if api is None or not files:
        raise ConfigError(
            "there is no statement to compare with",
            where=str(venue.folder),
            expected="statements as Binance's site writes them, as .csv",
            next_step="download them (Orders, Transaction History, Generate All Statements) and put them there",
        )
    accounts = {account.user_id: name for name, account in api.accounts.items() if account.user_id}
    statements = [read_statement(path, accounts) for path in files]
    downloaded = downloads(statements)
    told = told_once(downloaded)
    if not told:  # they say neither whose they are nor of which days: nothing would be compared, and none be missed
        raise ConfigError(
            "the statements hold no row",
            where=str(venue.folder),
            expected="statements of days on which something moved",
            next_step="download them anew, over more days",
        )
    spans = _spans(downloaded)
    flows = [
        flow
        for account, of_account in spans.items()
        # a flow just outside may match a row at the edge, but says nothing if it does not
        for first, last in _joined((first - NEAR, last + NEAR) for first, last in of_account)
        for flow in _flows(url, venue.name, account, first, last)
    ]
    alone = [line for line in unmatched(told, flows) if _is_within(line, spans)]
    untold = sorted(account for account in accounts.values() if account not in spans)
    hints = [
        hint
        for statement in _doubtful(statements, alone)
        if (hint := other_zone(statement, _flows_of_any_zone(url, venue.name, statement)))
    ]
    unnamed = sorted(name for name, account in api.accounts.items() if not account.user_id)
    unread = [path.name for path in listed if path not in files and not path.name.startswith(".")]
    read = _days_read(url, venue.name, flow_streams(api), {day_of(line) for line in alone})
    return Compared(alone, spans, len(told), untold, unnamed, unread, hints, read)


def day_of(line: Line) -> Day:
    """Of which day a row is."""
    return line.account, line.wallet, line.at.date()


def _days_read(url: str, venue: str, streams: Sequence[str], days: Collection[Day]) -> dict[Day, DayState]:
    """Whether all that moves an account was read of these days. Where it was not, the API may have left out a row."""
    counted = sa.text(
        "SELECT account, date, count(*) FILTER (WHERE status = ANY(:counting) AND stream = ANY(:streams)) AS whole,"
        " array_agg(DISTINCT split_part(stream, ':', 1)) FILTER (WHERE status = ANY(:read)) AS asked,"
        " bool_or(status = 'failed') AS is_any_lost FROM recon.pulls"
        " WHERE venue = :venue AND split_part(stream, ':', 1) = ANY(:streams) AND date = ANY(:dates)"
        " GROUP BY account, date"
    )
    given = {
        "venue": venue,
        "streams": list(streams),
        "dates": sorted({day for _, _, day in days}),
        "counting": list(COVERAGE_THAT_COUNTS),
        "read": list(COVERAGE_READ),
    }
    with connection(url, f"reading the coverage ledger of {venue}") as opened:
        read = {(row.account, row.date): row for row in opened.execute(counted, given) if row.asked}

    def state(account: str, wallet: str | None, day: date) -> DayState:
        row = read.get((account, day))
        ledgers = LEDGERS.get(wallet or "", frozenset())
        if row is None or (ledgers and ledgers.isdisjoint(row.asked)):
            return "not read"
        # of a stream that was read a market may have been refused
        return "read" if row.whole == len(streams) and not row.is_any_lost else "read in part"

    return {each: state(*each) for each in days}


def _doubtful(statements: Iterable[Statement], alone: Iterable[Line]) -> Iterator[Statement]:
    """The files most of whose rows they alone tell."""
    unmet = {replace(line, place="") for line in alone if line.side == "statement"}
    for statement in statements:
        rows = [line for line in statement.lines if line.amount != 0]
        if 2 * sum(replace(line, place="") in unmet for line in rows) > len(rows):
            yield statement


def _flows_of_any_zone(url: str, venue: str, statement: Statement) -> list[Line]:
    """The flows that a file may tell of, of whatever zone its times are."""
    return [
        flow
        for account, of_account in _spans([statement.lines]).items()
        for first, last in of_account
        for flow in _flows(url, venue, account, *reach(first, last, statement.ahead))
    ]


def _spans(downloaded: Iterable[Sequence[Line]]) -> dict[str, list[Span]]:
    """From the first to the last row that each download has of each account, joined where they overlap."""
    spans: dict[str, list[Span]] = defaultdict(list)
    for lines in downloaded:
        instants: dict[str, list[datetime]] = defaultdict(list)
        for line in lines:
            instants[line.account].append(line.at)
        for account, told in instants.items():
            spans[account].append((min(told), max(told)))
    return {account: _joined(of_account) for account, of_account in sorted(spans.items())}


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in the order of time, as one where they overlap or touch."""
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def _is_within(line: Line, spans: Mapping[str, Sequence[Span]]) -> bool:
    return any(first <= line.at <= last for first, last in spans[line.account])


def _flows(url: str, venue: str, account: str, first: datetime, last: datetime) -> list[Line]:
    """The account's flows of balances over that time."""
    columns = "account, wallet, asset, amount, datetime, txn_subtype, source, external_id, raw_id"
    query = " UNION ALL ".join(
        f"SELECT {columns}, {order} AS agg_id FROM recon.{frame} WHERE venue = :venue AND account = :account"
        " AND retired_at IS NULL AND measure = 'balance' AND datetime BETWEEN :first AND :last"
        for frame, order in (("transfers", "NULL"), ("trades", "agg_id"))
    )
    given = {"venue": venue, "account": account, "first": first, "last": last}
    with connection(url, f"reading the flows of {venue}") as opened:
        return list(flow_lines(dict(row._mapping) for row in opened.execute(sa.text(query), given)))
