"""What the venue's pages leave open: read as the world has it every row matches, read otherwise the day is not green.

One world has every doubt as it is assumed, another has every one the other way round. Each is pulled once; then the
same records are read in every way.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from recon_pipeline.api_settings import DOUBTS as READINGS
from recon_pipeline.config import Settings
from recon_pipeline.reconcile.pipeline import INPUTS, Request, VenueRun
from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.sandbox.binance.world import DOUBTS
from recon_pipeline_tests.binance_home import VENUE, BinanceHome, binance_home

pytestmark = [pytest.mark.postgres, pytest.mark.soak]
FIRST, LAST = date(2026, 1, 3), date(2026, 1, 9)
READ = READINGS[VENUE]


def read_as(settings: Settings, doubts: dict[str, str]) -> Settings:
    """The same settings with other readings."""
    venue = settings.venues[VENUE]
    assert venue.api is not None
    api = replace(venue.api, doubts={**venue.api.doubts, **doubts})
    return replace(settings, venues={**settings.venues, VENUE: replace(venue, api=api)})


def statuses(home: BinanceHome, doubts: dict[str, str]) -> dict[str, int]:
    """Rows by status if what was pulled is read like that."""
    request = Request(VENUE, FIRST, LAST, home.now.date())
    run = VenueRun(read_as(home.settings, doubts), request, f"read as {sorted(doubts.items())}", home.url)
    run._is_pulled = True
    try:
        run.read()
        run.store(*INPUTS)
        run.reconcile()
    finally:
        run.close()
    return dict(home.statuses())


@pytest.mark.parametrize("side", [0, 1])
def test_a_doubt_read_wrongly_is_never_green(
    side: int, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_it_is = {name: values[side] for name, values in DOUBTS.items()}
    world = make_world(31, days=12, subs=1, doubts=as_it_is)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST, doubts=as_it_is) as home:
        home.capture_days(FIRST - timedelta(days=1), LAST)
        home.run(FIRST, LAST)
        assert home.not_matched() == []
        green = []
        for name, values in DOUBTS.items():
            assert set(values) == set(READ[name])
            found = statuses(home, {name: values[1 - side]})
            if not found.get("variance", 0) + found.get("incomplete", 0):
                green.append(name)
        assert green == []
        assert set(statuses(home, {})) <= {"matched", "opening"}
