"""What an account has left holds nothing: the venue tells no balance of it any more, and what was in it must have gone
somewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from recon_pipeline.stores.raw import Stored
from recon_pipeline.venues.binance.accounts import ACCOUNT_INFO, Opened, Stretch
from recon_pipeline.venues.binance.capture import CLOSES_UNTIL
from recon_pipeline.venues.binance.holes import STATING, TOLD_BY
from recon_pipeline.venues.binance.mapping import MARKER_ASSET, Row
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.pull import ONE_DAY, SAID, midnight


def left_wallets(ledger: Iterable[Any], opened: Opened, told: Sequence[pa.Table]) -> list[tuple[Row, Stored]]:
    """A row of nothing for each wallet of which anything was `told` by a day, whose product the account had left when
    the hours in which the day is closed began, and of which the venue has no balance therefore; with the account info
    that says so. Frames `told`: balances first, then what moved.

    It is no row where the ledger says otherwise: there the day has a balance, or a hole.
    """
    gone = [
        (row.account, TOLD_BY[row.stream][0], row.date, by)
        for row in ledger
        if row.stream in STATING and row.status == "not_applicable" and row.error != SAID.error
        if (by := _said_by(opened.get(row.account, {}).get(BY_NAME[row.stream].product, ()), row.date)) is not None
    ]
    if not gone:
        return []
    since: dict[tuple[str, str], dict[str, date]] = defaultdict(dict)
    for table, column in zip(told, ("date", "datetime", "datetime"), strict=True):
        for row in table.group_by(["account", "wallet"]).aggregate([(column, "min")]).to_pylist():
            first = row[f"{column}_min"]
            day = first.date() if isinstance(first, datetime) else first
            of_family = since[row["account"], row["wallet"].partition(":")[0]]
            if day is not None:
                of_family[row["wallet"]] = min(day, of_family.get(row["wallet"], day))
    return [
        (_nothing(account, wallet, day, by), by)
        for account, family, day, by in gone
        for wallet, first in sorted(since[account, family].items())
        if first <= day
    ]


def _said_by(stretches: Sequence[Stretch], day: date) -> Stored | None:
    """What says that the account had left a product that it had before, by the hours that close the day."""
    until_then = [stretch for stretch in stretches if stretch.first <= day + ONE_DAY]
    return until_then[-1].by if until_then and until_then[-1].left <= day + ONE_DAY else None


def _nothing(account: str, wallet: str, day: date, by: Stored) -> Row:
    # as a capture: true when it was heard, if that was in the hours that close the day
    begin = midnight(day + ONE_DAY)
    as_of = by.read_at if begin <= by.read_at < begin + CLOSES_UNTIL else begin
    return {
        "account": account,
        "wallet": wallet,
        "asset": MARKER_ASSET,
        "as_of": as_of,
        "date": day,
        "snapshot_id": f"{ACCOUNT_INFO}:{as_of.isoformat()}",
        "read_at": as_of,
        "raw_balance": "0",
        "raw_loan": None,
        "raw_interest": None,
        "raw_unrealised_pnl": None,
        "marked_unrealised_pnl": None,
        "source": ACCOUNT_INFO,
        "raw_id": by.digest,
    }
