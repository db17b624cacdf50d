"""What readings leave unexplained: of one reading after another it is what it is of each alone."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon_pipeline.frames.schema import FRAMES
from recon_pipeline.reconcile.residuals import LeftOver, left_over
from recon_pipeline.stores.lake import Lake
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.sources import Residuals
from recon_pipeline_tests.kernel_lake import kernel_settings_of, store
from recon_pipeline_tests.ledgers import earlier_states, ledgers
from recon_pipeline_tests.oracle import Ledger


def reading_of(ledger: Ledger) -> Reading:
    """What a venue would have told of a ledger."""
    venue = ledger.settings.venue
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder, is_durable=False)
        store(lake, ledger)
        frames = {name: lake.read(name, venue) for name in FRAMES if name != "reconciliation"}
        quarantine = lake.read_quarantine(venue)
    return Reading(venue, frames, quarantine, (), (), tuple(sorted(ledger.settings.streams)), "", {})


def residuals_of(ledger: Ledger, reading: Reading) -> Residuals:
    with left_over(lambda _: kernel_settings_of(ledger), ledger.as_of_day) as left:
        return left.of(reading, ledger.days)


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(ledgers(), st.data())
def test_residuals_of_readings_in_any_order_are_those_of_each_alone(ledger: Ledger, data: st.DataObject) -> None:
    earlier = data.draw(earlier_states(ledger))
    with tempfile.TemporaryDirectory() as folder:
        kept = LeftOver(folder, lambda _: kernel_settings_of(ledger), ledger.as_of_day)
        for state in (earlier, ledger, earlier):
            reading = reading_of(state)
            assert kept.of(reading, ledger.days) == residuals_of(ledger, reading)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with left_over(lambda _: pytest.fail("nothing was read"), date(2026, 1, 3)):
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
