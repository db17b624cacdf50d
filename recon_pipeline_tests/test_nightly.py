"""The nightly runs what ships, and falls short of what it was asked for and did not do."""

from __future__ import annotations

import argparse

import pytest

from recon_pipeline.sandbox.binance.faults import FAULTS
from recon_pipeline.venues.binance.trades import Trades
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
        days=days, faults="symbol_purged,symbol_halted", backfill=False, seeds=1, seeds_for_events=20
    )
    night = Night(planted={"symbol_halted"})
    told = [text for text in shortfalls(night, options) if "no place" in text]
    assert told == (["faults that found no place in any world: symbol_purged"] if is_short else [])


def test_a_backfill_is_judged_by_every_fault_but_those_that_only_daily_runs_see() -> None:
    assert faults_of(argparse.Namespace(faults="all", backfill=False)) == tuple(FAULTS)
    assert {*faults_of(argparse.Namespace(faults="all", backfill=True))} == {*FAULTS} - {*NEED_DAILY_RUNS}
    assert faults_of(argparse.Namespace(faults="snapshot_late", backfill=True)) == ("snapshot_late",)
