"""The judge of simulated Binances is itself judged: it believes what is so, and nothing less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from recon_pipeline.sandbox.binance import World, make_world
from recon_pipeline_tests.binance_judge import Judge, Row, Verdict
from recon_pipeline_tests.binance_truth import Cell, Fill, closes, fills


class Told:
    """A database that says what it was given."""

    def __init__(self, world: World, first: date, last: date) -> None:
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        self.rows: dict[Cell, Row] = {
            cell: Row("matched", Decimal(0), close.balance, close.loan, close.interest, None)
            for cell, close in closes(world, days).items()
        }
        self.fills: dict[Fill, int] = dict.fromkeys(fills(world, first, last, all_through=last), 1)

    def ask(self, query: str, **given: Any) -> list[tuple[Any, ...]]:
        if "recon.trades" in query:
            return [(*fill, times) for fill, times in self.fills.items()]
        if "recon.reconciliation" not in query:
            return []
        return [
            (*cell, row.status, row.variance, row.balance, row.loan, row.interest, row.discrepancy_type)
            for cell, row in self.rows.items()
            if cell[3] in given["days"] or (given["with_odd"] and row.status != "matched")
        ]


class Nothing:
    def ask(self, query: str, **given: Any) -> list[tuple[Any, ...]]:
        return []


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(5, days=9, subs=1, symbols_max=250)


def judged(world: World, change: Callable[[Told], None]) -> Verdict:
    first, last = world.days[2], world.days[-5]
    told, judge = Told(world, first, last), Judge(world, first, last, rotated_through=last)
    change(told)
    judge.look(told, world.days[-1])
    judge.close(told, world.days[-1])
    return judge.verdict()


def test_what_is_so_is_perfect_and_counted_from_what_was_seen(world: World) -> None:
    verdict = judged(world, lambda told: None)
    assert verdict.is_perfect, verdict
    assert verdict.account_days == 2 * 3
    assert verdict.position_days > 200
    assert verdict.trades > 20


def test_a_database_that_says_nothing_is_not_perfect(world: World) -> None:
    judge = Judge(world, world.days[2], world.days[-5], rotated_through=world.days[2])
    judge.look(Nothing(), world.days[-1])
    judge.close(Nothing(), world.days[-1])
    verdict = judge.verdict()
    assert not verdict.is_perfect
    assert (verdict.account_days, verdict.position_days, verdict.trades) == (0, 0, 0)
    assert len(verdict.wrong_rows) > 200
    assert verdict.wrong_trades


def test_a_world_of_no_rows_and_no_truth_proves_nothing() -> None:
    assert not Verdict().is_perfect


def spoiled(told: Told, **changes: Any) -> None:
    cell = sorted(cell for cell, row in told.rows.items() if row.balance)[7]
    told.rows[cell] = replace(told.rows[cell], **changes)


def without_a_row(told: Told) -> None:
    del told.rows[min(told.rows)]


def with_another_amount(told: Told) -> None:
    spoiled(told, balance=Decimal("0.00000001"))


def without_an_amount(told: Told) -> None:
    spoiled(told, balance=None)


def with_an_opening(told: Told) -> None:
    cell = max(told.rows, key=lambda cell: cell[3])
    told.rows[cell] = replace(told.rows[cell], status="opening")


def with_a_row_of_nothing(told: Told) -> None:
    account, wallet, _, day = min(told.rows)
    told.rows[account, wallet, "MOON", day] = Row("matched", Decimal(0), Decimal(1), None, None, None)


def with_another_debt(told: Told) -> None:
    cell = next(cell for cell, row in told.rows.items() if row.loan)
    told.rows[cell] = replace(told.rows[cell], loan=Decimal(1))


@pytest.mark.parametrize(
    "change",
    [
        without_a_row, with_another_amount, without_an_amount, with_an_opening, with_a_row_of_nothing,
        with_another_debt,
    ],
)  # fmt: skip
def test_one_row_that_is_not_so_is_seen(world: World, change: Callable[[Told], None]) -> None:
    verdict = judged(world, change)
    assert not verdict.is_perfect
    assert len(verdict.wrong_rows) == 1, verdict
    assert (verdict.misses, verdict.false_alarms, verdict.wrong_trades) == ([], [], [])


@pytest.mark.parametrize("times", [0, 2])
def test_a_trade_that_is_missing_or_doubled_is_seen(world: World, times: int) -> None:
    def change(told: Told) -> None:
        fill = min(told.fills)
        del told.fills[fill]
        told.fills |= {fill: times} if times else {}

    verdict = judged(world, change)
    assert not verdict.is_perfect
    assert len(verdict.wrong_trades) == 1, verdict


def test_a_variance_where_nothing_is_planted_is_a_false_alarm(world: World) -> None:
    verdict = judged(world, lambda told: spoiled(told, status="variance", variance=Decimal(1)))
    assert len(verdict.false_alarms) == 1
    assert not verdict.is_perfect


def spoil(told: Told, world: World) -> list[Cell]:
    """Have the rows say what is planted in them, and every variance that one side has nothing."""
    planted = [effect for effect in world.plants.effects if effect.kind == "row" and effect.is_required]
    cells = [(effect.account, effect.wallet, effect.asset, effect.date) for effect in planted]
    for cell, effect in zip(cells, planted, strict=True):
        is_variance = effect.status == "variance"
        told.rows[cell] = Row(
            effect.status, effect.amount, None, None, None,
            "missing_at_venue" if is_variance else effect.discrepancy_type,
        )  # fmt: skip
    return cells


@pytest.mark.parametrize("fault", ["snapshot_missing", "withdrawal_untold"])
@pytest.mark.parametrize("why", [None, "coverage_hole", "mismatch"])
def test_a_row_that_is_wrong_for_another_reason_than_the_planted_one_is_seen(fault: str, why: str | None) -> None:
    world = make_world(5, days=9, subs=1, symbols_max=250, faults=(fault,))
    cells: list[Cell] = []

    def change(told: Told) -> None:
        cells.extend(spoil(told, world))
        if why is not None:
            told.rows[cells[0]] = replace(told.rows[cells[0]], discrepancy_type=why)

    verdict = judged(world, change)
    assert (verdict.found, verdict.misses, verdict.false_alarms) == (len(cells), [], [])
    assert len(verdict.wrong_rows) == (why is not None), verdict
