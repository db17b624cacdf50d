"""What is so in a simulated Binance, from its own ledger and lists: the rows that must be there, and the trades.

A database that says nothing is not right, it is empty: every position that held something or moved has to be seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from recon_pipeline.sandbox.binance import World
from recon_pipeline.sandbox.binance.life import orders, spot
from recon_pipeline.sandbox.binance.moments import DAY_MS, day_ms, day_of

Cell: TypeAlias = tuple[str, str, str, date]
"""Account, wallet, asset, day."""
Fill: TypeAlias = tuple[str, str, str]
"""Account, stream, and the id by which its legs are stored."""
MEASURES = ("balance", "loan", "interest")
_STAMPED = ("SPOT", "MARGIN", "FUTURES")
"""Wallets whose close the venue stamps: a second early, if that doubt is so."""
_STREAMS = {spot.PATH: ("spot_trades", ""), orders.ALLOCATIONS: ("allocations", "A")}
"""The stream that a list of fills becomes, and how an id of it begins."""


@dataclass(frozen=True)
class Close:
    """How a position stood at the end of a day, as it really was."""

    balance: Decimal
    loan: Decimal
    interest: Decimal
    is_held: bool
    """Whether anything was there or owed at the end of the day or of the day before; else it came and went again."""


def closes(world: World, days: Iterable[date]) -> dict[Cell, Close]:
    """Every position and day on which something was held, owed or moved."""
    grid: dict[Cell, Close] = {}
    moved = _moved(world)
    for account in world.accounts:
        for wallet in world.ledger.wallets(account):
            for day in days:
                before, after = (_held(world, account, wallet, when) for when in (day - timedelta(days=1), day))
                for asset in {*before, *after, *moved[account, wallet, day]}:
                    amounts = after.get(asset, (Decimal(0),) * 3)
                    grid[account, wallet, asset, day] = Close(*amounts, is_held=asset in before or asset in after)
    return grid


def _held(world: World, account: str, wallet: str, day: date) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    """What is not zero at the end of a day, in every measure."""
    at_us = _cut_us(world, wallet, day)
    balance, loan, interest = (world.ledger.at(at_us, account, wallet, measure) for measure in MEASURES)
    zero = Decimal(0)
    amounts = {
        asset: (balance.get(asset, zero), loan.get(asset, zero), interest.get(asset, zero))
        for asset in {*balance, *loan, *interest}
    }
    return {asset: told for asset, told in amounts.items() if any(told)}


def _cut_us(world: World, wallet: str, day: date) -> int:
    end_us = (day_ms(day) + DAY_MS) * 1000
    is_early = wallet in _STAMPED and world.doubts["snapshot_as_of"] != "end_of_day"
    return end_us - 1_000_000 if is_early else end_us - 1


def _moved(world: World) -> defaultdict[tuple[str, str, date], set[str]]:
    """Assets by account, wallet and the day in whose window they moved."""
    first = world.days[0] - timedelta(days=1)
    found: defaultdict[tuple[str, str, date], set[str]] = defaultdict(set)
    for move in world.ledger.moves:
        if move.measure in MEASURES:
            day = first + timedelta(days=(move.at_us - day_ms(first) * 1000) // (DAY_MS * 1000))
            later = day + timedelta(days=1) if move.at_us > _cut_us(world, move.wallet, day) else day
            found[move.account, move.wallet, later].add(move.asset)
    return found


def fills(world: World, first: date, last: date, *, all_through: date) -> set[Fill]:
    """The fills of the days from first to last, but for markets that are gone: nobody can ask them any more.

    After `all_through` only those that left a trace in a balance: an exact round trip is found by the rotation alone.
    """
    found: set[Fill] = set()
    for account, name, records in world.archive.lists():
        path, *market = name.split()
        if path in _STREAMS and market[0] not in world.market.purged_us:
            stream, mark = _STREAMS[path]
            by_day: defaultdict[date, dict[int, Any]] = defaultdict(dict)
            for record in records:
                by_day[day_of(record.at_ms)][record.order] = record.versions[-1][1]
            for day, of_day in by_day.items():
                if first <= day <= last and (day <= all_through or _leaves_a_trace(of_day.values())):
                    found |= {(account, stream, f"{market[0]}:{mark}{number}") for number in of_day}
    return found


def _leaves_a_trace(told: Iterable[dict[str, Any]]) -> bool:
    return any(sum(amounts, Decimal(0)) for amounts in zip(*map(_legs, told), strict=True))


def _legs(fill: dict[str, Any]) -> Iterator[Decimal]:
    sign = 1 if fill["isBuyer"] else -1
    yield sign * Decimal(fill["qty"])
    yield sign * Decimal(fill["quoteQty"])
    yield Decimal(fill["commission"])
