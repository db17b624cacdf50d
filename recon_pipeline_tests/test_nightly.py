"""The nightly runs what ships, and falls short of what it was asked for and did not do."""

from __future__ import annotations

import argparse
from decimal import Decimal

import pytest

from recon_pipeline.sandbox.binance.faults import FAULTS
from recon_pipeline.venues.binance.trades import Trades
from recon_pipeline_tests.binance_judge import Verdict
from recon_pipeline_tests.nightly import DAYS_FOR_FAULTS, NEED_DAILY_RUNS, Discovery, Night, faults_of, shortfalls

FOUND = 3


def test_the_meter_of_the_rotation_hands_on_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trades, "_rotate", lambda *_: FOUND)
    trades: Trades = object.__new__(Trades)
    with Discovery().metered([]):
        assert trades._rotate(()) == FOUND


@pytest.mark.parametrize(("days", "is_short"), [(DAYS_FOR_FAULTS - 1, False), (DAYS_FOR_FAULTS, True)])
def test_a_fault_that_found_no_place_in_any_world_falls_short(days: int, *, is_short: bool) -> None:
    options = argparse.Namespace(
        days=days, faults="symbol_purged,symbol_halted,deposit_missing", backfill=False, seeds=1, seeds_for_events=20,
        least_account_days=0,
    )  # fmt: skip
    night = Night(planted={"symbol_halted", "symbol_purged"})
    told = [text.rpartition(": ")[2] for text in shortfalls(night, options) if "no place" in text]
    assert told == (["deposit_missing, symbol_purged"] if is_short else [])
    night.verdict.by_fault.update(("symbol_purged", "deposit_missing"))
    night.planted.add("deposit_missing")
    assert not any("no place" in text for text in shortfalls(night, options))


def test_a_night_in_which_too_little_was_judged_falls_short() -> None:
    options = argparse.Namespace(
        days=1, faults="deposit_missing", backfill=False, seeds=1, seeds_for_events=20, least_account_days=10_000
    )
    night = Night(verdict=Verdict(account_days=9_999, required=1, found=1))
    assert shortfalls(night, options) == ["9999 account-days, 10000 are wanted"]
    night.verdict.account_days = 10_000
    assert shortfalls(night, options) == []
    night.verdict.required = 0
    assert shortfalls(night, options) == ["nothing was planted that had to be found"]


@pytest.mark.parametrize("path", ["myTrades", "myAllocations", "myPreventedMatches", "allOrders", "openOrders"])
def test_whatever_is_asked_to_find_trades_is_counted(path: str) -> None:
    discovery, log = Discovery(), [{"path": f"/api/v3/{path}", "weight": 60}, {"path": "/api/v3/account", "weight": 20}]
    discovery.end(log, markets=2, account_days=3)
    assert (discovery.weight, discovery.of_all_markets, discovery.saved) == (60, 120, Decimal("0.5"))


def test_a_backfill_is_judged_by_every_fault_but_those_that_only_daily_runs_see() -> None:
    assert faults_of(argparse.Namespace(faults="all", backfill=False)) == tuple(FAULTS)
    assert {*faults_of(argparse.Namespace(faults="all", backfill=True))} == {*FAULTS} - {*NEED_DAILY_RUNS}
    assert faults_of(argparse.Namespace(faults="snapshot_late", backfill=True)) == ("snapshot_late",)
