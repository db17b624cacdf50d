"""Days without volume are asked of no market: only where the venue says so once, and plainly."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime

import pytest

from recon_pipeline.stores.raw import RawStore, Told
from recon_pipeline.venues.binance.idle import STREAM, idle_days

pytestmark = pytest.mark.postgres
MAIN, DESK = "main@example.com", "desk@example.com"
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)


def volume(day: int, hour: int = 0, **told: object) -> Told:
    begins = datetime(2026, 3, day, hour, tzinfo=UTC)
    return Told(f"{DESK}:{begins.date()}", {"email": DESK}, {"date": int(begins.timestamp()) * 1000, **told}, begins, 1)


def test_a_day_is_idle_if_every_volume_of_it_from_midnight_on_is_told_and_is_nothing(database: str) -> None:
    told = [
        volume(1, btc=0, busd=0),
        volume(2, btc="0.00000001", busd=0),
        volume(3, btc=0),
        volume(4, btc="nothing", busd=0),
        volume(5, btc=0, busd=0),
        volume(5, btc="3", busd=0),
        volume(6, hour=16, btc=0, busd=0),
    ]
    with closing(RawStore(database, "binance")) as raw:
        raw.keep(MAIN, STREAM, told, {}, NOON)
        assert idle_days(raw) == {DESK: {date(2026, 3, 1)}}
        raw.keep(MAIN, STREAM, [volume(1, btc="2", busd=0)], {}, NOON)
        assert idle_days(raw) == {}
