"""Whole runs against the simulated Binance: pulled over HTTP, mapped, reconciled, and every position explained."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.sandbox.binance.plants import Outage
from recon_pipeline.stores.raw import RawStore, Stored
from recon_pipeline.stores.reviews import list_problems
from recon_pipeline_tests.binance_home import BinanceHome, binance_home

pytestmark = pytest.mark.postgres
FIRST = date(2026, 1, 1)
SNAPSHOT = "/sapi/v1/accountSnapshot"
DESK = "desk-1_virtual@example.com"
SPOT_ALONE = ("earn", "staking", "loans", "margin", "derivatives", "income", "fiat", "orders")
LEGS = """
    SELECT DISTINCT count(*), count(DISTINCT match_id) FROM marts.binance_reconciliation_transfers
    WHERE source = 'sub_account_transfers' GROUP BY txn_hash
"""


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
        for table in ("transfers", "trades", "balances"):
            (found,) = home.ask(
                f"SELECT count(*), count(DISTINCT pid), count(fid) FROM marts.binance_reconciliation_{table}"
            )
            assert found[0] == found[1] == found[2] > 100
        legs = home.ask(LEGS)  # the other leg may be told by a ledger of its own
        assert (2, 1) in legs
        assert {numbers for _, numbers in legs} == {1}
        assert {row.call["email"] for row in records(home, "sub_statistics")} == {DESK}


def test_a_run_for_a_sub_account_asks_its_main_account_for_what_only_that_is_told(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=1, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(4))
        home.run(day(3), day(4), accounts={DESK})
        assert {account for (account,) in home.ask("SELECT DISTINCT account FROM recon.reconciliation")} == {DESK}
        assert home.not_matched() == []


def test_a_convert_out_of_another_wallet_than_is_usual_is_placed_by_the_run_that_finds_both_wallets_open(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = (*SPOT_ALONE, "conversion")
    world = make_world(
        1, days=7, subs=0, symbols_max=250, burst_max=5, without=without, faults=("convert_from_funding",)
    )
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(3))
        home.run(day(3), day(3))
        assert home.ask("SELECT wallet FROM recon.wallet_decisions") == [("FUNDING",)]
        assert home.not_matched() == []


def test_a_wallet_that_no_flow_emptied_is_read_again_before_it_counts_as_empty(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=8, subs=1, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(4))
        home.run(day(3), day(3))
        outage = empty_snapshot(day(4), until_us=home.sandbox.now_us())
        world.plants.outages.append(outage)
        home.run(day(4), day(4))
        assert "variance" in {row[4] for row in home.not_matched()}
        told = [each for each in list_problems(home.url, "binance") if each["name"] == "WalletEmptied"]
        assert [(each["account"], "second read told nothing else" in each["found"]) for each in told] == [(DESK, True)]
        world.plants.outages.remove(outage)
        home.run(day(4), day(4))
        assert home.not_matched() == []


def test_days_run_one_by_one_in_any_order_end_in_the_same_rows(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(8, days=9, subs=1, symbols_max=250, burst_max=5)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(5))
        home.run(day(3), day(5))
        whole = rows(home)
        for number in (5, 3, 4):
            home.run(day(number), day(number))
        assert rows(home) == whole


def empty_snapshot(of: date, *, until_us: int) -> Outage:
    """From now on the desk's snapshot is one without balances."""
    stamp = datetime.combine(of, time(23, 59, 59), UTC)
    told = {"type": "spot", "updateTime": int(stamp.timestamp()) * 1000, "data": {"balances": []}}
    body = json.dumps({"code": 200, "msg": "", "snapshotVos": [told]}).encode()
    return Outage(DESK, SNAPSHOT, until_us, 1 << 62, body, status=200, content_type="application/json")


def records(home: BinanceHome, stream: str) -> list[Stored]:
    with closing(RawStore(home.url, "binance")) as raw:
        return raw.records([stream])


def rows(home: BinanceHome) -> list[tuple[object, ...]]:
    """What every position came to. Each run asks some more markets for what left no trace: a round trip that is found
    so gives its asset a row of nothing, which had none before."""
    return home.ask(
        "SELECT date, account, wallet, asset, start_balance, calculated_balance, actual_balance, status, usd_price"
        " FROM recon.reconciliation WHERE NOT (start_balance = 0 AND calculated_balance = 0 AND actual_balance = 0)"
        " ORDER BY 1, 2, 3, 4"
    )
