"""Days before an account was made, of which there is nothing to state. The venue's word for it counts for as long as
nothing that it tells of the account speaks against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.frames.schema import DAY, NOT_MADE
from recon_pipeline.venues.pull import ONE_DAY, midnight

_STATED = ("raw_balance", "raw_loan", "raw_interest", "raw_unrealised_pnl")
_MICRO = timedelta(microseconds=1)


def made_later(
    made: Mapping[str, date],
    start: date,
    balances: pa.Table,
    flows: Iterable[pa.Table],
    refused: Iterable[Mapping[str, Any]],
) -> dict[str, date]:
    """The accounts that were made after the venue's `start`, and when. Not those of which something is told of a day
    before that: a flow, or any balance but zero, if it was not captured later, in the night that it closes; nor those
    of which something was refused that may be of one: `refused` are rows of quarantine."""
    later = {account: day for account, day in made.items() if day > start}
    if not later:
        return {}
    stated = balances.filter(_is_before(balances, "as_of", later)).to_pylist()
    told = {row["account"] for row in stated if any(_is_something(row.get(name)) for name in _STATED)}
    for table in flows:
        told.update(table.filter(_is_before(table, "datetime", later))["account"].to_pylist())
    for row in refused:
        day = row["date"] or (row["instant"].date() if row["instant"] else date.min)
        if day < later.get(row["account"], date.min):
            told.add(row["account"])
    return {account: day for account, day in later.items() if account not in told}


def since_made(balances: pa.Table, made: Mapping[str, date]) -> pa.Table:
    """The balances without those of days before their account was made, but for its last close before: what it began
    with, if the venue states it."""
    closes = {account: day - ONE_DAY for account, day in made.items()}
    return balances.filter(pc.invert(_is_before(balances, "date", closes))) if made else balances


def unmade_rows(made: Mapping[str, date], since: datetime) -> Sequence[Mapping[str, Any]]:
    """Rows of coverage that say of the days before accounts were made that there was nothing to read."""
    return [
        {
            "account": account,
            "stream": "*",
            "window_start": since - _MICRO,
            "window_end": midnight(day) - _MICRO,
            "status": "not_applicable",
            "error": NOT_MADE,
        }
        for account, day in sorted(made.items())
    ]


def _is_before(table: pa.Table, column: str, made: Mapping[str, date]) -> pa.ChunkedArray:
    """Which rows are of a day before their account was made."""
    places = pc.index_in(table["account"], pa.array(list(made), pa.string()))
    made_on = pc.take(pa.array(list(made.values()), DAY), places)
    return pc.fill_null(pc.less(pc.cast(table[column], DAY), made_on), fill_value=False)


def _is_something(text: str | None) -> bool:
    try:
        return bool(Decimal(text or "0"))
    except InvalidOperation:  # nobody knows how much
        return True
