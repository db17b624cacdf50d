"""Whole runs against the simulated Binance: pulled over HTTP, mapped, reconciled, and every position explained."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from recon_pipeline.sandbox.binance import make_world
from recon_pipeline_tests.binance_home import BinanceHome, binance_home

pytestmark = pytest.mark.postgres
FIRST = date(2026, 1, 1)


def day(number: int) -> date:
    """A day of the world, the first being 1."""
    return FIRST + timedelta(days=number - 1)


def test_every_position_of_every_wallet_matches_exactly(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(7, days=12, subs=1)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(8))
        home.run(day(3), day(8))
        assert home.not_matched() == []
        assert home.statuses()["matched"] > 100
        assert home.problems == []


def test_days_run_one_by_one_in_any_order_end_in_the_same_rows(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(8, days=9, subs=1, symbols_max=250)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(5))
        home.run(day(3), day(5))
        whole = rows(home)
        for number in (5, 3, 4):
            home.run(day(number), day(number))
        assert rows(home) == whole


def rows(home: BinanceHome) -> list[tuple[object, ...]]:
    """What every position came to. Each run asks some more markets for what left no trace: a round trip that is found
    so gives its asset a row of nothing, which had none before."""
    return home.ask(
        "SELECT date, account, wallet, asset, start_balance, calculated_balance, actual_balance, status, usd_price"
        " FROM recon.reconciliation WHERE NOT (start_balance = 0 AND calculated_balance = 0 AND actual_balance = 0)"
        " ORDER BY 1, 2, 3, 4"
    )
