"""Whole runs against the simulated Binance: pulled over HTTP, mapped, reconciled, and every position explained."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from recon_pipeline.frames.registry import BUCKET_BY_SUBTYPE
from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.sandbox.binance.plants import Outage
from recon_pipeline.stores.export import export_marts
from recon_pipeline.stores.raw import RawStore, Stored
from recon_pipeline.stores.reviews import list_problems
from recon_pipeline.venues.binance.reading import read_mapped
from recon_pipeline_tests.binance_home import BinanceHome, binance_home

pytestmark = pytest.mark.postgres
FIRST = date(2026, 1, 1)
SNAPSHOT = "/sapi/v1/accountSnapshot"
DEPOSITS = "/sapi/v1/capital/deposit/hisrec"
DESK = "desk-1_virtual@example.com"
SPOT_ALONE = ("earn", "staking", "loans", "margin", "derivatives", "income", "fiat", "orders")
TRANSFERS = ("transfers_in", "transfers_out")
LEGS = """
    SELECT DISTINCT count(*), count(DISTINCT match_id) FROM marts.binance_reconciliation_transfers
    WHERE source = 'sub_account_transfers' GROUP BY txn_hash
"""
NOT_ADDING_UP = """
    WITH told AS (
        SELECT email, wallet, asset, datetime, amount, txn_subtype = ANY(:of_trades) AS is_trade
        FROM marts.binance_reconciliation_transfers
        UNION ALL
        SELECT email, wallet, asset, datetime, amount, txn_subtype = ANY(:of_trades)
        FROM marts.binance_reconciliation_trades
    ),
    summed AS (
        SELECT
            r.*,
            coalesce(sum(t.amount) FILTER (WHERE NOT t.is_trade), 0) AS transfers,
            coalesce(sum(t.amount) FILTER (WHERE t.is_trade), 0) AS trades
        FROM recon.reconciliation AS r
        LEFT JOIN told AS t
            ON t.email = r.account AND t.wallet = r.wallet AND t.asset = r.asset
            AND t.datetime > r.window_start AND t.datetime <= r.window_end
        WHERE r.calculated_balance IS NOT NULL
        GROUP BY r.venue, r.date, r.account, r.wallet, r.asset
    )
    SELECT date, account, wallet, asset FROM summed
    WHERE transfers <> transfers_in + transfers_out OR trades <> trades_in + trades_out + fees
"""
WITHOUT_RAW_RECORD = """
    SELECT b.pid FROM marts.binance_reconciliation_balances AS b
    WHERE NOT EXISTS (SELECT 1 FROM marts.binance_raw_daily_snapshot AS raw WHERE raw.id = b.fid)
"""
GONE = """
    SELECT asset, variance_in_asset FROM marts.binance_reconciliation_balances
    WHERE email = :email AND raw_balance = 0 AND cal_balance > 0 AND variance_in_asset = -cal_balance
"""
LEFT_OUT = """
    SELECT r.date, r.account, r.wallet, r.asset, r.calculated_balance FROM recon.reconciliation AS r
    WHERE r.actual_balance = 0 AND NOT EXISTS (
        SELECT 1 FROM recon.balances AS b
        WHERE b.account = r.account AND b.wallet = r.wallet AND b.asset = r.asset AND b.date = r.date
    ) ORDER BY 1, 2, 3, 4
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
        the_views_say_what_was_reconciled(home)
        the_files_say_what_was_reconciled(home, tmp_path / "export")


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


def test_a_reading_is_another_one_once_recon_yaml_says_something_else_of_an_account(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    with (
        binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home,
        closing(RawStore(database, "binance")) as raw,
    ):
        venue = home.settings.venues["binance"]
        assert venue.api is not None
        (name, account), *_ = venue.api.accounts.items()
        told = [account, replace(account, default_wallet="FUNDING"), replace(account, extras={"managed_subs": ("a",)})]
        readings = [read_mapped(venue, replace(venue.api, accounts={name: each}), raw).reading for each in told]
        assert len({reading.digest for reading in readings}) == len(told)


@pytest.mark.long
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
        gone = {row[3]: row[6] for row in home.not_matched() if row[4] == "variance"}
        assert gone
        assert dict(home.ask(GONE, email=DESK)) == gone
        told = [each for each in list_problems(home.url, "binance") if each["name"] == "WalletEmptied"]
        assert [(each["account"], "second read told nothing else" in each["found"]) for each in told] == [(DESK, True)]
        world.plants.outages.remove(outage)
        home.run(day(4), day(4))
        assert home.not_matched() == []


@pytest.mark.long
def test_a_record_told_in_another_way_that_moves_nothing_leaves_its_rows_their_raw_record(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=8, subs=1, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(5))
        home.run(day(3), day(4))
        ids = "SELECT pid, fid FROM marts.binance_reconciliation_transfers WHERE source = 'deposits' ORDER BY pid"
        before, now_us = home.ask(ids), home.sandbox.now_us()
        assert before
        for account in world.accounts:
            for record in world.archive.all(account, DEPOSITS):
                if content := record.at(now_us):
                    record.change(now_us, {**content, "confirmTimes": "99/1"})
        home.run(day(5), day(5))
        versions = "SELECT max(version) FROM recon.raw_records WHERE stream = 'deposits'"
        assert home.ask(versions) == [(2,)]
        after = home.ask(ids)
        assert set(before) <= set(after)
        assert None not in {fid for _, fid in after}
        assert home.not_matched() == []


@pytest.mark.long
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


def the_views_say_what_was_reconciled(home: BinanceHome) -> None:
    """The flows add up to the sums of their windows, though loans are told too; what a statement leaves out is zero."""
    owed = "SELECT count(*) FROM recon.transfers WHERE measure <> 'balance'"
    assert home.ask(owed)[0][0] > 0
    of_trades = [name for name, bucket in BUCKET_BY_SUBTYPE.items() if bucket not in (None, *TRANSFERS)]
    assert home.ask(NOT_ADDING_UP, of_trades=of_trades) == []
    left_out = home.ask(LEFT_OUT)
    assert left_out
    zeros = "SELECT date, email, wallet, asset, cal_balance FROM marts.binance_reconciliation_balances WHERE pid < 0"
    assert home.ask(f"{zeros} AND raw_balance = 0 ORDER BY 1, 2, 3, 4") == left_out
    assert home.ask(WITHOUT_RAW_RECORD) == []
    kinds = "SELECT DISTINCT symbol FROM marts.binance_reconciliation_trades WHERE source = :source"
    assert "" not in {symbol for (symbol,) in home.ask(kinds, source="converts")}
    sources = "SELECT count(DISTINCT counter_party), count(*) FROM marts.binance_reconciliation_transfers"
    told, deposits = home.ask(f"{sources} WHERE source = 'deposits' AND txn_subtype = 'deposit'")[0]
    assert told == deposits > 0
    fills = "SELECT count(agg_id), count(*) FROM marts.binance_reconciliation_trades WHERE source = 'spot_trades'"
    assert len(set(home.ask(fills)[0])) == 1


def the_files_say_what_was_reconciled(home: BinanceHome, folder: Path) -> None:
    """Whoever adds up a day of the transfers file gets what the summary says came in and went out by transfers."""
    export_marts(home.url, folder)
    transfers: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for row in lines(folder / "binance_transfers.csv"):
        if BUCKET_BY_SUBTYPE[row["txn_subtype"]] in TRANSFERS:
            position = (row["datetime"][:10], row["email"], row["wallet"], row["asset"])
            transfers[position] += Decimal(row["amount"])
    days_with_moves = 0
    for row in lines(folder / "binance_reconciliation_summary.csv"):
        if row["wallet"] != "MARGIN" or not row["calculated_balance"]:
            continue
        position = (row["date"], row["email"], row["wallet"], row["asset"])
        moved = Decimal(row["transfers_in"]) + Decimal(row["transfers_out"])
        assert transfers[position] == moved, position
        days_with_moves += moved != 0
    assert days_with_moves > 0


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


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
