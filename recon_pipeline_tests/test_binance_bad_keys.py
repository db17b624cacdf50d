"""An account whose key cannot be used stops alone and says why; what nobody foresaw in a record is told."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.sandbox.binance.manifest import manifest
from recon_pipeline.stores.reviews import list_problems, resolve_problem
from recon_pipeline_tests.binance_home import BinanceHome, binance_home

pytestmark = pytest.mark.postgres
MAIN, DESK = "main@example.com", "desk-1_virtual@example.com"
FIRST, LAST = date(2026, 1, 3), date(2026, 1, 4)
SPOT_ALONE = ("earn", "staking", "loans", "margin", "derivatives", "income", "fiat", "orders")


@pytest.mark.parametrize(
    ("kind", "error", "found"),
    [
        ("revoked", "ApiKeyInvalid", "Invalid API-key, IP, or permissions for action"),
        ("trading", "KeyMayDoMore", "the key may trade spot and margin"),
    ],
)
def test_an_account_whose_key_is_no_good_stops_alone(
    *, kind: str, error: str, found: str, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=1, symbols_max=250, burst_max=5, without=SPOT_ALONE, keys={DESK: kind})
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(date(2026, 1, 2), LAST)
        home.run(FIRST, LAST)
        assert statuses(home, MAIN) == {"matched"}
        assert statuses(home, DESK) <= {"incomplete"}
        told = [(type(each).__name__, str(each)) for each in home.problems]
        assert any(name == error and found in text and DESK in text for name, text in told), told
        (row,) = [each for each in list_problems(home.url, "binance") if each["name"] == error]
        assert (row["account"], row["kind"]) == (DESK, "API_KEY_INVALID")
        resolve_problem(home.url, row["id"], "the key was made anew")
        assert error not in {each["name"] for each in list_problems(home.url, "binance")}


def test_what_nobody_foresaw_in_a_record_waits_for_a_person(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(
        21,
        days=7,
        subs=1,
        symbols_max=250,
        burst_max=5,
        faults=("unknown_field", "unknown_kind"),
        keys={DESK: "revoked"},
    )
    noted = {effect["note"] for effect in manifest(world)["effects"] if effect["kind"] == "review"}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.run(FIRST, date(2026, 1, 5))
        told = [each["found"] for each in list_problems(home.url, "binance", for_review=True)]
    assert noted
    assert {note for note in noted if any(note in text for text in told)} == noted


def test_a_key_that_opens_another_account_is_not_believed(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=1, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    swapped = {MAIN: {"credentials": "binance_desk_1"}, DESK: {"credentials": "binance_main"}}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST, accounts=swapped) as home:
        home.run(FIRST, LAST)
        assert home.statuses().keys() <= {"incomplete"}
        told = {(each["account"], each["name"]) for each in list_problems(home.url, "binance")}
        assert {(account, name) for account, name in told if name != "KeyWarning"} == {
            (MAIN, "WrongIdentity"),
            (DESK, "WrongIdentity"),
        }
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(date(2026, 1, 2), LAST)
        home.run(FIRST, LAST)
        assert statuses(home, MAIN) == statuses(home, DESK) == {"matched"}


@pytest.mark.parametrize("is_revoked", [True, False], ids=["its key is revoked", "it is not configured"])
def test_a_sub_account_is_whole_without_its_main_account(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, is_revoked: bool
) -> None:
    keys = {MAIN: "revoked"} if is_revoked else None
    without = ("managed", "prediction")  # what recon.yaml has to name
    world = make_world(21, days=7, subs=1, symbols_max=250, burst_max=5, keys=keys, without=without)
    accounts = None if is_revoked else {DESK: {"credentials": "binance_desk_1"}}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST, accounts=accounts) as home:
        home.capture_days(FIRST - timedelta(days=1), LAST)
        home.run(FIRST, LAST)
        assert statuses(home, DESK) == {"matched"}
        assert statuses(home, MAIN) <= {"incomplete"}


def test_an_account_that_is_neither_main_nor_sub_is_asked_what_subs_alone_may_ask(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(FIRST - timedelta(days=1), LAST)
        home.run(FIRST, LAST)
        assert statuses(home, MAIN) == {"matched"}
        marks = home.ask("SELECT DISTINCT status FROM recon.pulls WHERE stream = 'sub_user_transfers'")
        assert marks == [("not_applicable",)]
        assert {each["name"] for each in list_problems(home.url, "binance")} <= {"KeyWarning"}


def statuses(home: BinanceHome, account: str) -> set[str]:
    query = "SELECT DISTINCT status FROM recon.reconciliation WHERE account = :account"
    return {status for (status,) in home.ask(query, account=account)}
