"""A wallet that nothing told of yet is a hole for as long as nobody knows that it held nothing."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from recon_pipeline.venues.binance.holes import FirstTold, hidden_holes
from recon_pipeline.venues.binance.mapping import MappingContext
from recon_pipeline.venues.streams import AccountFacts

MAIN = "main@example.com"
FIRST, SECOND, THIRD = (date(2026, 1, number) for number in (3, 4, 5))
FACTS = AccountFacts(MAIN, products=frozenset({"spot", "futures"}))


@pytest.mark.parametrize(
    ("told", "open_days"),
    [
        pytest.param(None, {FIRST, SECOND}, id="nothing was ever told of it"),
        pytest.param(FirstTold(stated=THIRD), set(), id="it was stated to be empty: it was before"),
        pytest.param(FirstTold(stated=THIRD, held=THIRD, moved=THIRD), set(), id="what it holds came into it"),
        pytest.param(FirstTold(moved=THIRD), set(), id="something came into it, and its snapshot is still to come"),
        pytest.param(FirstTold(stated=THIRD, held=THIRD), {FIRST, SECOND}, id="what it holds was there before"),
        pytest.param(FirstTold(stated=SECOND, held=SECOND), {FIRST}, id="its first balance closes a day"),
    ],
)
def test_a_snapshot_that_was_not_told_hides_what_the_wallet_may_have_held(
    told: FirstTold | None, open_days: set[date]
) -> None:
    ledger = [marked("futures_snapshots", day, status="partial", error="NotTold") for day in (FIRST, SECOND)]
    ledger += [marked("futures_income", day, status="complete") for day in (FIRST, SECOND)]
    assert holes(ledger, told) == open_days


def test_a_feed_that_failed_hides_what_came_before_the_first_balance() -> None:
    ledger = [marked("futures_income", day, status="failed", error="ApiKeyInvalid") for day in (FIRST, SECOND)]
    ledger += [marked("deposits", day, status="complete") for day in (FIRST, SECOND)]
    assert holes(ledger, FirstTold(stated=SECOND)) == {FIRST}


def marked(stream: str, day: date, *, status: str, error: str | None = None) -> Any:
    """What the ledger holds of a day of a stream."""
    return SimpleNamespace(account=MAIN, stream=stream, date=day, status=status, error=error)


def holes(ledger: list[Any], told: FirstTold | None) -> set[date]:
    """The days on which the wallet of futures is doubted."""
    context = MappingContext(accounts={MAIN: FACTS}, symbols={}, captured={MAIN: frozenset({"SPOT", "FUTURES"})})
    first_told = {(MAIN, "SPOT"): FirstTold(stated=FIRST, held=FIRST)}
    if told is not None:
        first_told[MAIN, "FUTURES"] = told
    rows = hidden_holes(ledger, first_told, context, FIRST, never_used={})
    return {row["date"] for row in rows if row["wallet"] == "FUTURES"}
