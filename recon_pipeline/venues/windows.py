"""The windows of a reading: on which days they end, which one holds an instant, and what it leaves unexplained."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate, product
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.venues.reading import Reading

OPEN = ("incomplete", "pending")
"""Statuses of rows of which an input is missing; whether it is due makes no difference here."""
_WALLET = ["account", "wallet"]
_POSITION = [*_WALLET, "asset"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Window:
    """What moved a position after `start` and until `end`, and was stated on `day`.

    `amount` is actual - calculated; it is final if the window `is_closed`: every feed of it was complete.
    """

    account: str
    wallet: str
    asset: str
    day: date
    start: datetime
    end: datetime
    amount: Decimal
    is_closed: bool


class Windows:
    """The windows that end on some days, of a few assets. `rows` are those of the reconciliation of these days, of all
    assets: what a snapshot leaves out, held nothing before and was moved by nothing has no row, and is explained."""

    def __init__(self, rows: pa.Table, quarantine: pa.Table, assets: Collection[str]) -> None:
        rows = rows.append_column("is_closed", pc.invert(pc.is_in(rows["status"], pa.array(OPEN))))
        of_assets = rows.filter(pc.is_in(rows["asset"], pa.array(sorted(assets), pa.string())))
        self._told = set(zip(*(of_assets[name].to_pylist() for name in (*_POSITION, "date")), strict=True))
        self._refused = _Refused(quarantine)
        self._windows = _Spans(_known(of_assets), _POSITION, ["date", "variance_in_asset", "is_closed"])
        # from when until when the windows of a wallet's day reach, and whether any is closed
        ends = [("window_start", "min"), ("window_end", "max"), ("is_closed", "any")]
        of_days = _known(rows).group_by([*_WALLET, "date"]).aggregate(ends)
        of_days = of_days.select([*_WALLET, "date", *("_".join(each) for each in ends)])
        of_days = of_days.rename_columns([*_WALLET, "date", *(name for name, _ in ends)])
        self._wallets = _Spans(of_days, _WALLET, ["date", "is_closed"])

    def holding(self, account: str, wallet: str, asset: str, at: datetime) -> Window | None:
        """The window that holds an instant; None where it is not known, or has not ended."""
        if found := self._windows.holding((account, wallet, asset), at):
            start, end, (day, amount, is_closed) = found
            return Window(account, wallet, asset, day, start, end, amount, is_closed)
        if found := self._wallets.holding((account, wallet), at):
            start, end, (day, is_closed) = found
            place = account, wallet, asset, day
            if place not in self._told and not self._refused.speaks_of(*place):
                return Window(*place, start, end, Decimal(0), is_closed)
        return None


def days_that_close(reading: Reading, instants: Mapping[tuple[str, str], Iterable[datetime]]) -> set[date]:
    """The days on which the windows end that hold some instants of each (account, wallet): the first whose balances are
    stated as of then or later, and if one of them was refused, the next ones too, until none was."""
    refused = _Refused(reading.quarantine)
    found: set[date] = set()
    for (account, wallet), days in _stated(reading.frames["balances"], instants.keys()).items():
        latest = list(accumulate((max(day["as_of_max"], day["read_at_max"]) for day in days), max))
        last = {bisect_left(latest, at): at for at in sorted(instants[account, wallet])}
        for first, at in last.items():
            for day in days[first:]:
                found.add(day["date"])
                if day["as_of_min"] >= at and not refused.speaks_of(account, wallet, None, day["date"]):
                    break
    return found


class _Refused:
    """Refused balances. One whose position cannot be told may be of any asset; without its account, of any wallet."""

    def __init__(self, quarantine: pa.Table) -> None:
        rows = quarantine.filter(pc.equal(quarantine["frame"], "balances")).select([*_POSITION, "date"]).to_pylist()
        self._assets: dict[tuple[str | None, str | None, date | None], set[str | None]] = defaultdict(set)
        for row in rows:
            is_told = row["account"] and row["wallet"] and row["asset"]
            place = row["account"], row["wallet"] if row["account"] else None, row["date"]
            self._assets[place].add(row["asset"] if is_told else None)

    def speaks_of(self, account: str, wallet: str, asset: str | None, day: date) -> bool:
        """Whether one may be of an asset, or (None) of any, on a wallet's day."""
        found: set[str | None] = set()
        for place in product((account, None), (wallet, None), (day, None)):
            found |= self._assets.get(place, set())
        return bool(found) if asset is None else not found.isdisjoint((asset, None))


class _Spans:
    """The windows of each place in the order in which they end. They are many, and few are looked up."""

    def __init__(self, rows: pa.Table, place: Sequence[str], told: Sequence[str]) -> None:
        rows = rows.sort_by([(name, "ascending") for name in (*place, "window_end")])
        self._starts, self._ends = (rows[name].cast(pa.int64()).to_pylist() for name in ("window_start", "window_end"))
        self._told = [rows[name].to_pylist() for name in told]
        self._places: dict[tuple[str, ...], tuple[int, int]] = {}
        for nth, at in enumerate(zip(*(rows[name].to_pylist() for name in place), strict=True)):
            self._places[at] = self._places.get(at, (nth, nth))[0], nth + 1

    def holding(self, place: tuple[str, ...], at: datetime) -> tuple[datetime, datetime, list[Any]] | None:
        """Start and end of the window of a place that holds an instant, and what is told of it."""
        first, last = self._places.get(place, (0, 0))
        instant = (at - _EPOCH) // _MOMENT
        nth = bisect_left(self._ends, instant, first, last)
        if nth == last or self._starts[nth] >= instant:
            return None
        start, end = (_EPOCH + each[nth] * _MOMENT for each in (self._starts, self._ends))
        return start, end, [column[nth] for column in self._told]


def _stated(
    balances: pa.Table, places: Collection[tuple[str, str]]
) -> Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]:
    """As of when the balances of each day are stated, day after day, of each (account, wallet)."""
    accounts, wallets = ({place[end] for place in places} for end in (0, 1))
    told = balances.filter(pc.is_in(balances["account"], pa.array(sorted(accounts), pa.string())))
    told = told.filter(pc.is_in(told["wallet"], pa.array(sorted(wallets), pa.string())))
    spans = [("as_of", "min"), ("as_of", "max"), ("read_at", "max")]
    stated: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in told.group_by([*_WALLET, "date"]).aggregate(spans).sort_by([("date", "ascending")]).to_pylist():
        stated[row["account"], row["wallet"]].append(row)
    return {place: stated[place] for place in places if place in stated}


def _known(rows: pa.Table) -> pa.Table:
    """The rows whose balances at both ends are known, and between these time passed."""
    has_passed = pc.less(rows["window_start"], rows["window_end"])
    return rows.filter(pc.and_(has_passed, pc.is_valid(rows["variance_in_asset"])))
