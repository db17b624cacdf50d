"""A product that an account has left: the days on which it had it stay as they are, and after them it holds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from recon_pipeline.frames.schema import FRAMES
from recon_pipeline.sandbox.binance.moments import HOUR_MS, day_ms
from recon_pipeline.stores.raw import Stored
from recon_pipeline.venues.binance.accounts import Stretch, opened_by
from recon_pipeline.venues.binance.left import left_wallets
from recon_pipeline.venues.binance.reading import table_of
from recon_pipeline.venues.streams import AccountFacts
from recon_pipeline_tests.binance_home import binance_home, midnight
from recon_pipeline_tests.test_binance_bad_keys import configure
from recon_pipeline_tests.test_binance_open_days import MAIN, day, outage, quiet_world, transfer

PRODUCTS = ("isMarginEnabled", "isFutureEnabled", "isOptionsEnabled", "isPortfolioMarginRetailEnabled")
BALANCE: Mapping[str, Any] = {"account": MAIN, "asset": "USDT", "as_of": midnight(day(4)), "raw_balance": "5"}
VERDICTS = "SELECT date, verdict FROM marts.account_day_verdict ORDER BY 1"


def info(on: date, *opened: str) -> Stored:
    """A version of the account info."""
    content = {name: name in opened for name in PRODUCTS}
    return Stored(on.day, MAIN, "account_info", "", {}, content, f"digest {on}", False, midnight(on), None, on.day)


def test_when_an_account_had_what_is_in_every_version_of_its_info() -> None:
    margin, futures, _ = PRODUCTS[:3]
    versions = [info(day(1)), info(day(2), margin), info(day(3), margin, futures), info(day(4), futures)]
    assert opened_by(versions) == {
        MAIN: {
            "margin": [Stretch(day(2), day(4), versions[-1])],
            "futures": [Stretch(day(3))],
            "futures_coin": [Stretch(day(3))],
        }
    }
    assert opened_by([*versions, info(day(5), margin)])[MAIN]["margin"] == [Stretch(day(2))]
    again = opened_by([*versions, info(day(6), margin)])[MAIN]
    assert again["margin"][1:] == [Stretch(day(6))]
    assert again["futures"] == [Stretch(day(3), day(6), info(day(6), margin))]


def test_what_an_account_has_left_holds_nothing_from_the_night_on_in_which_it_has_it_no_more() -> None:
    ledger = [
        SimpleNamespace(account=MAIN, stream="futures_snapshots", date=day(number), status="not_applicable", error=None)
        for number in (3, 4, 5)
    ]
    opened = {MAIN: {"futures": [Stretch(day(3), day(5), info(day(5)))]}}
    held = [{**BALANCE, "wallet": wallet, "date": day(3)} for wallet in ("SPOT", "FUTURES")]
    told = [
        table_of(FRAMES["balances"], held, {}),
        *(table_of(FRAMES[name], (), {}) for name in ("transfers", "trades")),
    ]
    rows = [row for row, _ in left_wallets(ledger, opened, told)]
    expected = [("FUTURES", day(4), "0"), ("FUTURES", day(5), "0")]
    assert [(row["wallet"], row["date"], row["raw_balance"]) for row in rows] == expected
    assert left_wallets(ledger, {MAIN: {"futures": [Stretch(day(3))]}}, told) == []


@pytest.mark.postgres
def test_what_was_in_a_product_that_was_left_is_missed_and_nothing_is_waited_for(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    account = world.accounts[MAIN]
    rows = "SELECT date, status, actual_balance FROM recon.reconciliation WHERE wallet = 'OPTION' ORDER BY 1"
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(4))
        home.run(day(3), day(3))
        held = home.ask(rows)[0][2]
        object.__setattr__(account, "products", account.products - {"option"})
        home.capture_days(day(5), day(6))
        home.run(day(4), day(6))
        # of the days until it was left its bills are told no more
        assert home.ask(rows) == [
            (day(3), "matched", held),
            (day(4), "incomplete", held),
            (day(5), "incomplete", Decimal(0)),
            (day(6), "matched", Decimal(0)),
        ]
        assert held > 0
        assert [verdict for _, verdict in home.ask(VERDICTS)] == ["green", "incomplete", "red", "red"]


def test_a_product_was_had_while_the_venue_said_so_and_before_on_days_of_which_it_said_nothing() -> None:
    facts = AccountFacts(MAIN, products=frozenset({"spot"}), had={"margin": [(day(5), day(8))]})
    assert [facts.on(day(number), {"margin"}) == facts for number in (3, 4, 7, 8)] == [True, False, False, True]
    assert [facts.on(day(number), {"option"}) == facts for number in (3, 7, 8)] == [False, False, True]


@pytest.mark.postgres
@pytest.mark.long
def test_a_product_that_was_opened_for_a_night_reopens_no_day_before_it(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    account = world.accounts[MAIN]
    without = account.products - {"margin", "isolated"}
    object.__setattr__(account, "products", without)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(4))
        home.run(day(3), day(3))
        object.__setattr__(account, "products", without | {"margin"})
        home.capture_days(day(5), day(5))
        object.__setattr__(account, "products", without)
        home.capture_days(day(6), day(6))
        home.run(day(4), day(6))
        of_spot = "SELECT DISTINCT status FROM recon.reconciliation WHERE wallet = 'SPOT' AND date < :on"
        assert home.ask(of_spot, on=day(5)) == [("matched",)]
        failed = "SELECT min(date) FROM recon.pulls WHERE stream = 'margin_transfers' AND status = 'failed'"
        assert home.ask(failed) == [(day(5),)]


@pytest.mark.postgres
def test_what_moved_to_a_product_that_was_left_before_anybody_asked_is_asked_for_once_it_is_named(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    account, at = world.accounts[MAIN], day_ms(day(4)) + 12 * HOUR_MS
    transfer(world, "MAIN_UMFUTURE", ("SPOT", "FUTURES"), at)
    transfer(world, "UMFUTURE_MAIN", ("FUTURES", "SPOT"), at + 24 * HOUR_MS + 1)
    object.__setattr__(account, "products", account.products - {"futures", "futures_coin"})
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.run(day(3), day(5))
        moved = "SELECT date, variance_in_asset FROM recon.reconciliation WHERE status = 'variance'"
        assert home.ask(f"{moved} ORDER BY 1") == [(day(4), -1), (day(5), 1)]
        written = yaml.safe_load(home.sandbox.recon_yaml)["venues"]["binance"]["accounts"][MAIN]
        configure(home, tmp_path, {MAIN: {**written, "left_products": ["futures"]}})
        home.run(day(3), day(5))
        assert home.ask(moved) == []
        booked = "SELECT wallet, amount, counter_party FROM recon.transfers WHERE source = 'wallet_transfers'"
        assert home.ask(f"{booked} AND asset = 'USDT' AND counter_party = 'FUTURES' ORDER BY amount") == [
            ("SPOT", -1, "FUTURES"),
            ("SPOT", 1, "FUTURES"),
        ]


@pytest.mark.long
@pytest.mark.postgres
def test_what_was_never_read_of_a_product_is_not_read_because_it_was_left(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    account = world.accounts[MAIN]
    until_us = (day_ms(day(6)) + 12 * HOUR_MS) * 1000
    world.plants.outages += [
        replace(outage(path, day(1), b"<html>sorry</html>"), until_us=until_us)
        for path in ("/eapi/v1/marginAccount", "/eapi/v1/bill")
    ]
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(4))
        home.run(day(3), day(3))
        home.capture_days(day(5), day(5))
        home.run(day(4), day(4))
        object.__setattr__(account, "products", account.products - {"option"})
        home.capture_days(day(6), day(6))
        home.run(day(5), day(6))
        verdicts = dict(home.ask(VERDICTS))
        assert [verdicts[day(number)] for number in (3, 4)] == ["incomplete", "incomplete"]
