"""Captures cannot be made later: they wait for nothing that a backfill spends."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from recon_pipeline.transport.budgets import Budgets, Place
from recon_pipeline.transport.clock import clock_of
from recon_pipeline.venues.binance import endpoints
from recon_pipeline_tests.binance_home import binance_home, midnight
from recon_pipeline_tests.test_binance_open_days import day, quiet_world

pytestmark = pytest.mark.postgres
FUNDING = "/sapi/v1/asset/get-funding-asset"
WEIGHT = 20


def test_a_capture_begins_within_its_minute_whatever_a_backfill_has_spent(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(3)) as home:
        home.advance(midnight(day(4)) + timedelta(minutes=5))
        clock = clock_of(home.sandbox.url)
        with closing(Budgets(database, clock)) as budgets, clock.working():
            place = Place(f"{home.sandbox.url.split('//')[1]}/api", endpoints.ACCOUNT.bucket)
            allowance = budgets.allowance(place.bucket)
            for _ in range((allowance.usable - allowance.reserve) // WEIGHT):
                budgets.take(place, WEIGHT)
        due, before = home.now, len(home.sandbox.site.gate.log)
        assert home.capture() > 0
        asked = [entry["at_us"] for entry in home.sandbox.site.gate.log[before:] if entry["path"] == FUNDING]
        assert min(asked) / 1_000_000 - due.timestamp() < 60
