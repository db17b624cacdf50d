"""Two worlds lived through and judged; many more of them, and larger ones, in `make nightly`."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from recon_pipeline.sandbox.binance import World, make_world
from recon_pipeline.sandbox.binance.faults import FAULTS
from recon_pipeline.sandbox.binance.trouble import NAMES
from recon_pipeline.stores.raw import RawStore
from recon_pipeline.venues.binance.reading import read_mapped
from recon_pipeline_tests.binance_home import VENUE, BinanceHome, binance_home
from recon_pipeline_tests.nightly import BEFORE, BEHIND, Night, judged, live

pytestmark = pytest.mark.postgres
SYMBOLS_MAX = 250
NEED_DAYS = (
    "dividend_late", "record_changes", "endpoint_down", "endpoint_garbled", "number_for_text", "snapshot_of_wrong_day",
    "transfer_missing", "unknown_field", "convert_from_funding",
)  # fmt: skip
"""Faults that a week of ordinary business has no place for."""
QUIET = ("fiat", "staking", "loans", "margin", "derivatives", "orders", "details", "managed", "prediction")
"""What need not happen for them."""


def lived(world: World, folder: Path, database: str, environment: pytest.MonkeyPatch, *, is_backfill: bool) -> Night:
    first, _ = judged(world)
    night = Night()
    with binance_home(world, folder, database, environment, start=first) as home:
        night.verdict.add(live(home, night, is_backfill=is_backfill))
        require_no_difference_in_parts(home)
        require_pnl_to_follow_from_positions(home)
    return night


def require_no_difference_in_parts(home: BinanceHome) -> None:
    """Require that it makes no difference how many records are read at a time."""
    venue = home.settings.venues[VENUE]
    assert venue.api is not None
    with closing(RawStore(home.url, VENUE)) as raw:
        whole, in_parts = (read_mapped(venue, venue.api, raw, at_once=size) for size in (1_000_000, 101))
    assert in_parts.reading == whole.reading
    for name, rows in vars(whole.open).items():
        assert sorted(vars(in_parts.open)[name], key=repr) == sorted(rows, key=repr), name


def require_pnl_to_follow_from_positions(home: BinanceHome) -> None:
    """Require that what is not realised is what positions and marks make it, wherever a snapshot of FUTURES was
    tested: what the venue states is cut to eight decimals, position by position."""
    told = home.ask(
        "SELECT raw_unrealised_pnl, cal_unrealised_pnl FROM marts.binance_reconciliation_balances"
        " WHERE source = 'futures_snapshots' AND pid > 0 AND variance_in_asset IS NOT NULL"
    )
    assert [row for row in told if row[1] is None or abs(row[0] - row[1]) > Decimal("1e-6")] == []
    assert sum(recomputed != 0 for _, recomputed in told) >= 2


def test_a_clean_world_matches_in_every_wallet_whatever_happens_on_the_way(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(41, days=3 + BEFORE + BEHIND, subs=2, symbols_max=SYMBOLS_MAX, transport=NAMES)
    night = lived(world, tmp_path, database, monkeypatch, is_backfill=True)
    assert night.verdict.account_days == 3 * 3
    assert night.verdict.position_days > 500
    assert night.verdict.is_perfect, str(night.verdict)


def test_faults_are_found_on_their_days_and_nothing_else(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(42, days=6 + BEFORE + BEHIND, subs=1, symbols_max=SYMBOLS_MAX, burst_max=5, faults=tuple(FAULTS))
    night = lived(world, tmp_path, database, monkeypatch, is_backfill=False)
    seen = night.verdict.by_fault.keys()
    assert len(seen) >= 14
    # those that need more days than there are here are found in the next world, and in `make nightly-faults`
    assert {*world.plants.names} - seen <= {"symbol_halted", *NEED_DAYS}
    assert night.verdict.required > 20
    assert night.verdict.account_days == 2 * 6
    assert night.verdict.position_days > 500
    assert night.verdict.is_perfect, str(night.verdict)
    assert night.refused == []


def test_what_is_told_otherwise_later_is_restated_and_what_was_misplaced_is_decided(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(
        49, days=9 + BEFORE + BEHIND, subs=1, symbols_max=SYMBOLS_MAX, burst_max=5, faults=NEED_DAYS, without=QUIET
    )
    night = lived(world, tmp_path, database, monkeypatch, is_backfill=False)
    assert night.verdict.by_fault.keys() == {*NEED_DAYS}
    assert night.verdict.account_days == 2 * 9
    assert night.verdict.is_perfect, str(night.verdict)
