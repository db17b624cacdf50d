"""The daily reconciliation of one venue: the SQL of dbt_like_sql/reconciliation, run by DuckDB over the lake.

Days are computed in pieces of a few: one pass over the balances of a piece gives every window in it, one over its flows
every sum. Between pieces only the carried state is kept (where each position and price left off), so that memory does
not grow with the range and any batching gives the same rows. The finished days are staged and put in place together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path

import duckdb

from recon_pipeline.errors import ReconError
from recon_pipeline.reconcile.carried import Carried
from recon_pipeline.reconcile.finish import Finisher, Piece
from recon_pipeline.reconcile.inputs import Inputs, Reach, connect, stale_days, use_processors
from recon_pipeline.reconcile.settings import KernelSettings
from recon_pipeline.reconcile.tables import ONE_DAY, Tables
from recon_pipeline.stores.lake import Lake

PIECE_ROWS = 120_000
PIECE_DAYS = 366
"""A piece has so many balances, or so many days, whichever is less: many rows take memory, many pieces take time."""
EDGE_ROWS = 30_000
"""Of several pieces the first and the last have no other to be computed beside, so they are smaller."""


class AmountOverflowError(ReconError):
    """A sum of amounts has more than 20 integer digits: it does not fit decimal128(38,18)."""


@dataclass(frozen=True)
class Outcome:
    """What a call computed: its days, those whose rows changed, and how many rows of each status each day has."""

    days: tuple[date, ...] = ()
    changed: tuple[date, ...] = ()
    statuses: dict[date, dict[str, int]] = field(default_factory=dict)


def reconcile(
    lake: Lake,
    settings: KernelSettings,
    days: Iterable[date],
    as_of_day: date,
    *,
    run: str,
    accounts: frozenset[str] | None = None,
    state_folder: Path | None = None,
    on_day: Callable[[date], None] | None = None,
) -> Outcome:
    """Compute the rows of these days anew from what the lake holds and put them in place.

    Every day from `settings.start` on gets a partition, even one without rows. With `accounts`, the rows of others stay
    as they are stored. `as_of_day` decides only between pending and incomplete and which expected items still count.
    `state_folder` keeps where a call left off, so that the next need not read all the balances before it; without it
    the result is the same. Raises StoreError if the lake refuses and AmountOverflowError if a sum does not fit; then
    nothing is changed.
    """
    wanted = sorted({day for day in days if day >= settings.start})
    if not wanted:
        return Outcome()
    try:
        with lake.write(run) as write, connect(lake) as connection:
            inputs = Inputs(lake, settings, connection)
            with Finisher(inputs, write, accounts, as_of_day) as finisher, ThreadPoolExecutor(1) as beside:
                looking = beside.submit(inputs.look_ahead)
                tables = Tables(connection, inputs, as_of_day)
                tables.settle()
                looking.result()
                carried = Carried(connection, inputs, state_folder)
                _compute(tables, carried, finisher, wanted, on_day)
                carried.save(wanted[-1])
            changed = tuple(day for _, _, day in write.commit())
    except duckdb.OutOfRangeException as error:
        raise AmountOverflowError(
            "a sum of amounts has more than 20 integer digits",
            where=f"venue {settings.venue}, {wanted[0]} to {wanted[-1]}{_greatest(lake, settings, wanted)}",
            expected="amounts whose sums fit decimal128(38,18)",
            next_step="find the flow or balance of that size and correct it at its source",
        ) from error
    return Outcome(tuple(wanted), changed, finisher.statuses)


def _compute(
    tables: Tables, carried: Carried, finisher: Finisher, wanted: list[date], on_day: Callable[[date], None] | None
) -> None:
    known_until = carried.load(wanted[0])
    use_processors(tables.db, beside_others=False)
    for first, last in _pieces(known_until, tables.inputs, wanted):
        asked = [day for day in wanted if first <= day <= last]
        piece = _prepare(tables, first, last, asked)
        use_processors(tables.db, beside_others=last < wanted[-1])
        if asked:
            finisher.finish(tables.frozen(), piece)
        if _takes_back(tables.inputs):
            finisher.settle()  # the next day's window may take back what this one expects
        carried.advance()
        for day in asked:
            if on_day is not None:
                on_day(day)
    finisher.settle()


def _greatest(lake: Lake, settings: KernelSettings, wanted: Sequence[date]) -> str:
    """The position whose flows come to the most digits, for an error to name; nothing if there are no flows."""
    with connect(lake) as connection:
        tables = Tables(connection, Inputs(lake, settings), wanted[-1])
        source = tables.flow_source(date.min, date.max, "account, wallet, asset, abs(trunc(amount))::HUGEINT AS amount")
        if source is None:
            return ""
        account, wallet, asset = tables.one(
            "SELECT arg_max((account, wallet, asset), amount) FROM"
            f" (SELECT account, wallet, asset, sum(amount) AS amount FROM ({source}) GROUP BY ALL)"
        )[0]
    return f"; most of all {account}, {wallet}, {asset}"


def reconcile_until_settled(
    lake: Lake,
    settings: KernelSettings,
    days: Iterable[date],
    as_of_day: date,
    *,
    run: str,
    accounts: frozenset[str] | None = None,
    state_folder: Path | None = None,
    on_day: Callable[[date], None] | None = None,
) -> Outcome:
    """`reconcile`, then every stored day that rests on something that has changed since, until none does.

    Without days of its own it computes the stored ones alone that have become stale.
    """
    done: set[date] = set()
    changed = _remove_before_start(lake, settings, run)
    statuses: dict[date, dict[str, int]] = {}
    pending = sorted(set(days)) or stale_days(lake, settings, as_of_day)
    while pending:
        outcome = reconcile(
            lake, settings, pending, as_of_day, run=run, accounts=accounts, state_folder=state_folder, on_day=on_day
        )
        done |= set(outcome.days)
        changed |= set(outcome.changed)
        statuses |= outcome.statuses
        # with accounts, a day stays marked as waiting for the others: it is not computed a second time
        pending = [day for day in stale_days(lake, settings, as_of_day) if accounts is None or day not in done]
        if not outcome.changed and set(pending) & set(outcome.days):
            raise RuntimeError(f"{len(pending)} days of {settings.venue} stay stale although they were computed anew")
    return Outcome(tuple(sorted(done)), tuple(sorted(changed)), statuses)


def _remove_before_start(lake: Lake, settings: KernelSettings, run: str) -> set[date]:
    """The stored days before a start that was moved go: else sums over days would take in rows that rest on nothing."""
    days = [day for day in lake.days("reconciliation", settings.venue) if day < settings.start]
    if days:
        with lake.write(run) as write:
            for day in days:
                write.remove("reconciliation", settings.venue, day)
            write.commit()
    return set(days)


def _pieces(known_until: date | None, inputs: Inputs, wanted: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Consecutive (first, last), from where the state leaves off to the last wanted day.

    A window may take back the expected residual of the day before: where there are such, each day is a piece.
    """
    longest = 1 if _takes_back(inputs) else PIECE_DAYS
    first = known_until + ONE_DAY if known_until else min([wanted[0], *_first_days(inputs)])
    asked = set(wanted)
    left = inputs.balance_rows(first, wanted[-1])
    room = EDGE_ROWS if left > PIECE_ROWS else left
    while first <= wanted[-1]:
        last, is_asked = first, first in asked
        rows = inputs.balance_rows(first)
        while last < wanted[-1] and (last + ONE_DAY in asked) == is_asked:
            more = inputs.balance_rows(last + ONE_DAY)
            if rows + more > room or (last - first).days + 1 >= (longest if is_asked else PIECE_DAYS):
                break
            rows += more
            last += ONE_DAY
        yield first, last
        first = last + ONE_DAY
        left -= rows
        room = PIECE_ROWS if left > PIECE_ROWS + EDGE_ROWS else left - EDGE_ROWS if left > 2 * EDGE_ROWS else left


def _takes_back(inputs: Inputs) -> bool:
    return bool(len(inputs.expected_items) or inputs.timing)


def _first_days(inputs: Inputs) -> list[date]:
    days = [kept.days[0] for kept in (inputs.balances, *inputs.prices.values()) if kept.days]
    # a price that was refused counts as one that is not known
    refused = chain.from_iterable(inputs.refused_prices.values())
    return days + [row["instant"].date() for row in refused if row["instant"]]


def _prepare(tables: Tables, first: date, last: date, asked: list[date]) -> Piece:
    """Make the tables of one piece and the state after it."""
    tables.days(asked)
    tables.balances(first, last)
    tables.prices(first, last)
    tables.told_by_quarantine()
    tables.model("snapshots")
    tables.model("stated")
    is_sliced = _slice_flows(tables) if asked else False
    tables.never_stated(asked)
    tables.model("positions")
    tables.model("measures")
    tables.view("cells")
    tables.view("starts")
    tables.model("windows")
    if tables.one("SELECT coalesce(bool_or(goes_back), false) FROM windows") == (True,):
        tables.view("starts_in_any_order", view="starts")
        tables.model("windows")
    reaches = _prepare_asked(tables, asked) if asked else {}
    for name in ("carried_wallets_next", "carried_positions_next", "carried_prices_next"):
        tables.model(name)
    return Piece(reaches, is_sliced)


def _slice_flows(tables: Tables) -> bool:
    """Sum the flows between the cuts of the venue, if it has at most one cut a day; and note whom flows tell of.

    Where all windows begin and end at the same few instants, the flows are summed before anything is joined to them.
    """
    tables.model("cuts")
    most_a_day, first, last = tables.one("SELECT coalesce(max(cuts_of_day), 0), min(instant), max(instant) FROM cuts")
    tables.flows(first.date() if first else None, last.date() if last else None)
    if most_a_day > 1:
        tables.db.execute("INSERT INTO positions_told_by_flows SELECT DISTINCT account, wallet, asset FROM flows")
        return False
    tables.slice_days()
    tables.model("flow_slices")
    tables.db.execute("INSERT INTO positions_told_by_flows SELECT DISTINCT account, wallet, asset FROM flow_slices")
    return True


def _prepare_asked(tables: Tables, asked: list[date]) -> dict[date, Reach]:
    for name in ("missing_snapshots", "never_stated"):
        tables.model(name)
    tables.more("unstated_rows", table="windows")
    tables.view("grid")
    for name in ("price_of_day", "untested", "reach"):
        tables.model(name)
    reaches = tables.reaches()
    hulls = [hull for reach in reaches.values() if (hull := reach.window_days)]
    tables.flows(min((hull[0] for hull in hulls), default=None), max((hull[1] for hull in hulls), default=None))
    tables.timing(asked)
    return reaches
