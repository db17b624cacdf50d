"""The downloaded statements of a venue's folder against its flows in PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from recon_pipeline.config import VenueSettings
from recon_pipeline.errors import ConfigError
from recon_pipeline.stores.database import connection
from recon_pipeline.venues.binance.statement import NEAR, Line, flow_lines, read_statement, told_once, unmatched


class Compared(NamedTuple):
    """What one side tells alone, over the time that each account's statements span."""

    alone: list[Line]
    rows: int
    """How many rows the statements have."""
    untold: list[str]
    """The accounts with a user_id of which no statement has a row: nothing of theirs was compared."""


def compare_statements(venue: VenueSettings, url: str) -> Compared:
    """The flows that are stored against the statements in the venue's folder. ConfigError if these hold no row."""
    api = venue.api
    listed = sorted(venue.folder.iterdir()) if venue.folder.is_dir() else []
    files = [path for path in listed if path.suffix.lower() == ".csv"]
    if api is None or not files:
        raise ConfigError(
            "there is no statement to compare with",
            where=str(venue.folder),
            expected="statements as Binance's site writes them, as .csv",
            next_step="download them (Orders, Transaction History, Generate All Statements) and put them there",
        )
    accounts = {account.user_id: name for name, account in api.accounts.items() if account.user_id}
    told = told_once([read_statement(path, accounts) for path in files])
    if not told:  # they say neither whose they are nor of which days: nothing would be compared, and none be missed
        raise ConfigError(
            "the statements hold no row",
            where=str(venue.folder),
            expected="statements of days on which something moved",
            next_step="download them anew, over more days",
        )
    spans = {account: _span([line for line in told if line.account == account]) for account in accounts.values()}
    flows = [
        flow
        for account, span in sorted(spans.items())
        if span is not None
        for flow in flow_lines(_flows(url, venue.name, account, *span))
    ]
    found = unmatched(told, flows)
    # a flow just outside may match a row at the edge, but says nothing if it does not
    alone = [line for line in found if (span := spans[line.account]) and span[0] <= line.at <= span[1]]
    return Compared(alone, len(told), sorted(account for account, span in spans.items() if span is None))


def _span(told: list[Line]) -> tuple[datetime, datetime] | None:
    """From the first to the last row of an account's statements."""
    instants = [line.at for line in told]
    return (min(instants), max(instants)) if instants else None


def _flows(url: str, venue: str, account: str, first: datetime, last: datetime) -> list[dict[str, Any]]:
    """The account's flows of balances over that time, and what lies near enough to be told of in it."""
    columns = "account, wallet, asset, amount, datetime, txn_subtype, source, external_id, raw_id"
    query = " UNION ALL ".join(
        f"SELECT {columns}, {order} AS agg_id FROM recon.{frame} WHERE venue = :venue AND account = :account"
        " AND retired_at IS NULL AND measure = 'balance' AND datetime BETWEEN :first AND :last"
        for frame, order in (("transfers", "NULL"), ("trades", "agg_id"))
    )
    given = {"venue": venue, "account": account, "first": first - NEAR, "last": last + NEAR}
    with connection(url, f"reading the flows of {venue}") as opened:
        return [dict(row._mapping) for row in opened.execute(sa.text(query), given)]
