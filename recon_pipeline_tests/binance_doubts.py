"""What the venue's pages leave open, read wrongly: what was pulled once is read again in every other way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from recon_pipeline.api_settings import DOUBTS as READINGS
from recon_pipeline.config import Settings
from recon_pipeline.reconcile.pipeline import INPUTS, Request, VenueRun
from recon_pipeline.sandbox.binance import DOUBTS, make_world
from recon_pipeline.sandbox.binance.manifest import doubts_that_matter
from recon_pipeline_tests.binance_home import ONE_DAY, VENUE, BinanceHome, binance_home

READ = READINGS[VENUE]
DAYS = 3
_BEFORE, _BEHIND = 2, 3
_TOLD_MOST = 12


def read_as(settings: Settings, doubts: dict[str, str]) -> Settings:
    """The same settings with other readings."""
    venue = settings.venues[VENUE]
    assert venue.api is not None
    api = replace(venue.api, doubts={**venue.api.doubts, **doubts})
    return replace(settings, venues={**settings.venues, VENUE: replace(venue, api=api)})


def statuses(home: BinanceHome, first: date, last: date, doubts: dict[str, str]) -> dict[str, int]:
    """Rows by status if what was pulled is read like that."""
    request = Request(VENUE, first, last, home.now.date())
    run = VenueRun(read_as(home.settings, doubts), request, f"read as {sorted(doubts.items())}", home.url)
    run._is_pulled = True
    try:
        run.read()
        run.store(*INPUTS)
        run.reconcile()
    finally:
        run.close()
    return dict(home.statuses())


def is_green(found: dict[str, int]) -> bool:
    """Whether nobody would see that anything is wrong."""
    return not found.get("variance", 0) + found.get("incomplete", 0)


_FLIPPED: Mapping[str, set[str]] = {
    "as assumed": set(),
    # a deposit that is there as soon as it is told of cannot be missing while it has status 6; and where the dividends
    # tell of boosted SOL and of BFUSD, it does not matter what their own histories mean
    "the other way round": set(DOUBTS) - {"status_6_deposits", "boost_rewards", "bfusd_rewards"},
    "the other way round for status 6, boosts and BFUSD": set(DOUBTS) - {"deposit_credit", "product_rewards"},
}
SIDES = tuple(_FLIPPED)


def world_of(side: str) -> dict[str, str]:
    """How every doubt is in the worlds of a side."""
    return {name: values[name in _FLIPPED[side]] for name, values in DOUBTS.items()}


def wrong_readings(as_it_is: Mapping[str, str], matters: Mapping[str, int]) -> dict[str, str]:
    """Each doubt that matters, as it is not so."""
    return {
        name: next(value for value in values if value != as_it_is[name])
        for name, values in READ.items()
        if matters[name]
    }


def judge_doubts(
    seed: int, side: str, folder: Path, database: str, environment: pytest.MonkeyPatch, *, symbols_max: int | None
) -> tuple[set[str], list[str]]:
    """The doubts that matter in a world, and what went wrong: it does not match as it is, or a wrong reading looks
    right."""
    as_it_is = world_of(side)
    world = make_world(
        seed, days=_BEFORE + DAYS + _BEHIND, subs=1, doubts=as_it_is, symbols_max=symbols_max, burst_max=5
    )
    days = world.days[_BEFORE : _BEFORE + DAYS]
    first, last = days[0], days[-1]
    readings = wrong_readings(as_it_is, doubts_that_matter(world, days))
    with binance_home(world, folder, database, environment, start=first, doubts=as_it_is) as home:
        home.capture_days(first - ONE_DAY, last)
        home.run(first, last)
        wrong = [f"as it is: {' '.join(map(str, row))}" for row in home.not_matched()[:_TOLD_MOST]]
        if set(home.statuses()) != {"matched"}:
            wrong.append(f"as it is: {dict(home.statuses())}")
        for name, value in readings.items():
            found = statuses(home, first, last, {name: value})
            if is_green(found):
                wrong.append(f"green: {name} read as {value}: {found}")
        back = statuses(home, first, last, {})
        wrong += [f"read rightly again: {back}"] if set(back) != {"matched"} else []
        return set(readings), wrong
