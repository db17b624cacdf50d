"""An account whose key cannot be used stops alone and says why; what nobody foresaw in a record is told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from recon_pipeline.config import load_settings
from recon_pipeline.errors import ConfigError
from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.sandbox.binance.gate import Asked
from recon_pipeline.sandbox.binance.manifest import manifest
from recon_pipeline.sandbox.binance.plants import Outage, SnapshotFault
from recon_pipeline.stores.raw import RawStore, Told
from recon_pipeline.stores.reviews import list_problems, resolve_problems
from recon_pipeline_tests.binance_home import BinanceHome, binance_home
from recon_pipeline_tests.test_binance_markets import edit_answers

pytestmark = pytest.mark.postgres
MAIN, DESK, COPY = "main@example.com", "desk-1_virtual@example.com", "a.copy@example.com"
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
        assert statuses(home, DESK) == {"incomplete"}
        texts = [(type(each).__name__, str(each)) for each in home.problems]
        assert any(name == error and found in text and DESK in text for name, text in texts), texts
        (row,) = [each for each in list_problems(home.url, "binance") if each["name"] == error]
        assert (row["account"], row["kind"]) == (DESK, "API_KEY_INVALID")
        resolve_problems(home.url, [row["id"]], "the key was made anew")
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
        texts = [each["found"] for each in list_problems(home.url, "binance", for_review=True)]
    assert noted
    assert {note for note in noted if any(note in text for text in texts)} == noted


def test_a_key_that_opens_another_account_is_not_believed(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=1, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    swapped = {MAIN: {"credentials": "binance_desk_1"}, DESK: {"credentials": "binance_main"}}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST, accounts=swapped) as home:
        home.run(FIRST, LAST)
        assert home.statuses() == {}  # of nobody a balance is believed
        assert set(home.ask("SELECT account, verdict FROM marts.account_day_verdict")) == {
            (MAIN, "incomplete"),
            (DESK, "incomplete"),
        }
        assert {(account, name) for account, name in told(home) if name != "KeyWarning"} == {
            (MAIN, "WrongIdentity"),
            (DESK, "WrongIdentity"),
        }
        told_of_keys = "SELECT email, error_type FROM marts.binance_reconciliation_errors WHERE needs_manual_review"
        assert set(home.ask(told_of_keys)) == {(MAIN, "API_KEY_INVALID"), (DESK, "API_KEY_INVALID")}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(date(2026, 1, 2), LAST)
        home.run(FIRST, LAST)
        assert statuses(home, MAIN) == statuses(home, DESK) == {"matched"}


def test_another_key_is_not_used_before_it_is_known_whose_account_it_opens(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=8, subs=1, symbols_max=250, burst_max=5, without=(*SPOT_ALONE, "managed"))
    third, fourth, fifth = (FIRST + timedelta(days=number) for number in range(3))
    own = {MAIN: {"credentials": "binance_main"}, DESK: {"credentials": "binance_desk_1"}}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(third - timedelta(days=1), fifth)
        home.run(third, third)
        records = "SELECT count(*) FROM recon.raw_records WHERE account = :of AND stream = 'deposits'"
        everything = "SELECT account, stream, count(*), max(fid) FROM recon.raw_records GROUP BY 1, 2 ORDER BY 1, 2"
        before = home.ask(records, of=DESK)
        world.plants.outages.append(
            Outage(MAIN, "/sapi/v1/account/apiRestrictions", 0, 1 << 62, b"{}", 200, "application/json")
        )
        configure(home, tmp_path, {**own, DESK: {"credentials": "binance_main"}})
        home.run(fourth, fourth)
        assert (DESK, "AccountUnknown") in told(home)
        assert home.ask(records, of=DESK) == before
        configure(home, tmp_path, own)
        home.run(fifth, fifth)  # the key that was known before is used, though nobody says so today
        assert statuses(home, MAIN) == statuses(home, DESK) == {"matched"}
        before = home.ask(everything)
        nameless = b'{"makerCommission":10,"balances":[]}'
        world.plants.outages[:] = [
            Outage(whose, "/api/v3/account", 0, 1 << 62, nameless, 200, "application/json") for whose in (MAIN, DESK)
        ]
        configure(home, tmp_path, {MAIN: own[DESK], DESK: own[MAIN]})
        home.run(fifth, fifth)  # two keys that changed places, and no number that would tell
        assert {(MAIN, "AccountUnknown"), (DESK, "AccountUnknown")} <= told(home)
        assert home.ask(everything) == before


@pytest.mark.long
def test_an_account_is_never_read_under_two_names(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=8, subs=0, symbols_max=250, burst_max=5, without=(*SPOT_ALONE, "managed"))
    third, fourth, fifth = (FIRST + timedelta(days=number) for number in range(3))
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        for part in ("KEY", "SECRET"):
            monkeypatch.setenv(f"BINANCE_COPY_{part}", os.environ[f"BINANCE_MAIN_{part}"])
        home.capture_days(third - timedelta(days=1), fifth)
        home.run(third, third)
        # main's own key cannot be found, and somebody stored it for another name
        configure(home, tmp_path, {MAIN: {"credentials": "binance_lost"}, COPY: {"credentials": "binance_copy"}})
        home.run(fourth, fourth)
        assert (COPY, "WrongIdentity") in told(home)
        configure(home, tmp_path, {MAIN: {"credentials": "binance_main"}, COPY: {"credentials": "binance_copy"}})
        home.run(fifth, fifth)
        assert (MAIN, "WrongIdentity") not in told(home)
        assert statuses(home, COPY) == set()
        assert statuses(home, MAIN) == {"matched"}
        configure(home, tmp_path, {COPY: {"credentials": "binance_copy"}})  # nor under a new one
        home.run(fifth, fifth)
        assert [str(problem.next_step) for problem in home.problems if MAIN in problem.found]
        assert home.ask("SELECT count(*) FROM recon.transfers WHERE account = :who", who=COPY) == [(0,)]
        assert statuses(home, MAIN) == {"matched"}


@pytest.mark.parametrize(
    "key",
    [pytest.param("binance_lost", marks=pytest.mark.long), "binance_main"],
    ids=["without a secret", "another account's key"],
)
def test_a_name_that_was_a_mistake_is_forgotten_once_it_is_put_right(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """Nothing of it was read; as an account of the venue it would keep every day open for good."""
    world = make_world(21, days=8, subs=0, symbols_max=250, burst_max=5, without=(*SPOT_ALONE, "managed"))
    fifth = LAST + timedelta(days=1)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        right = home.settings
        home.capture_days(FIRST - timedelta(days=1), fifth)
        home.run(FIRST, FIRST)
        configure(home, tmp_path, {MAIN: {"credentials": "binance_main"}, COPY: {"credentials": key}})
        home.run(LAST, LAST)
        verdicts = "SELECT DISTINCT account, verdict FROM marts.account_day_verdict ORDER BY 1, 2"
        assert home.ask(verdicts) == [(COPY, "incomplete"), (MAIN, "green")]
        assert any(account == COPY for account, _ in told(home))
        home.settings = right
        home.run(fifth, fifth)
        assert home.ask(verdicts) == [(MAIN, "green")]
        assert not any(account == COPY for account, _ in told(home))
        assert home.ask("SELECT count(*) FROM recon.pulls WHERE account = :of", of=COPY) == [(0,)]


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
        assert statuses(home, MAIN) == ({"incomplete"} if is_revoked else set())


def test_a_sub_account_that_gets_a_key_of_its_own_is_reconciled_with_what_that_tells(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then its main account's key told what it held, once so that it could not be read; the venue keeps the
    snapshots of those days, too."""
    view = "marts.binance_reconciliation_balances"
    world = make_world(21, days=8, subs=1, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:

        def odd(body: Any, _: Asked) -> Any:
            first, *others = body["balances"]
            return {**body, "balances": [{**first, "free": "ten"}, *others]}

        def sources() -> set[str]:
            told = home.ask(f"SELECT DISTINCT source FROM {view} WHERE email = :desk AND wallet = 'SPOT'", desk=DESK)
            return {source for (source,) in told}

        both = home.settings
        configure(home, tmp_path, {MAIN: {"credentials": "binance_main"}})
        home.capture_days(date(2026, 1, 2), FIRST)
        edit_answers(home, monkeypatch, "/sapi/v4/sub-account/assets", odd)
        home.capture_days(LAST, LAST)
        home.run(FIRST, LAST)
        assert sources() == {"sub_assets"}
        home.settings = both
        home.run(FIRST, LAST + timedelta(days=1))
        assert sources() == {"spot_snapshots"}
        spot = "SELECT DISTINCT status FROM recon.reconciliation WHERE account = :desk AND wallet = 'SPOT'"
        assert home.ask(spot, desk=DESK) == [("matched",)]
        assert home.ask(f"SELECT 1 FROM {view} GROUP BY email, wallet, asset, date HAVING count(*) > 1") == []


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


def test_what_an_account_never_had_is_no_hole_once_a_person_says_so(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue refuses some products in some countries with codes that are on none of its pages."""
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    refusal = b'{"code":-31417,"msg":"Not in your country."}'
    world.plants.outages.append(Outage(MAIN, "/sapi/v1/fiat/payments", 0, 1 << 62, refusal, 400, "application/json"))
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:

        def spot_when_never_used(*streams: str) -> set[str]:
            configure(home, tmp_path, {MAIN: {**written, "never_used": list(streams)}})
            home.run(FIRST, LAST)
            found = home.ask("SELECT DISTINCT status FROM recon.reconciliation WHERE wallet = 'SPOT'")
            return {status for (status,) in found}

        written = yaml.safe_load(home.sandbox.recon_yaml)["venues"]["binance"]["accounts"][MAIN]
        home.capture_days(FIRST - timedelta(days=1), LAST)
        assert spot_when_never_used() == {"incomplete"}
        (problem,) = [each for each in list_problems(home.url, "binance") if each["stream"] == "fiat_payments"]
        assert "never_used" in problem["next_step"]
        assert spot_when_never_used("fiat_payments", "deposits") == {"matched"}
        (problem,) = [each for each in list_problems(home.url, "binance") if each["name"] == "UsedAfterAll"]
        assert problem["stream"] == "deposits"
        statuses_of = home.ask("SELECT DISTINCT status FROM recon.pulls WHERE stream = 'deposits'")
        assert set(statuses_of) <= {("complete",), ("final",)}
        assert spot_when_never_used() == {"incomplete"}
        with pytest.raises(ConfigError, match="fiat_paymens"):
            spot_when_never_used("fiat_paymens")


def test_what_the_venue_has_removed_is_no_hole_from_the_day_on_that_a_person_says(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list had told of something: that the account never had it nobody can say."""
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    missing = b"<html>Not Found</html>"
    world.plants.outages.append(Outage(MAIN, "/sapi/v1/fiat/payments", 0, 1 << 62, missing, 404, "text/html"))
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        day_before = FIRST - timedelta(days=1)
        with closing(RawStore(home.url, "binance")) as raw:
            at = datetime(day_before.year, day_before.month, day_before.day, 9, tzinfo=UTC)
            raw.keep(MAIN, "fiat_payments", [Told("7", {}, {"orderNo": "7", "status": "Failed"}, at, None)], {}, at)
        written = yaml.safe_load(home.sandbox.recon_yaml)["venues"]["binance"]["accounts"]

        def spot_when_gone(gone: Mapping[str, str], **of_main: list[str]) -> list[str]:
            configure(home, tmp_path, {MAIN: {**written[MAIN], **of_main}}, gone=gone)
            home.run(FIRST, LAST)
            told = "SELECT date, max(status) FROM recon.reconciliation WHERE wallet = 'SPOT' GROUP BY 1 ORDER BY 1"
            return [status for _, status in home.ask(told)]

        def problem(name: str) -> dict[str, Any]:
            (row,) = [each for each in list_problems(home.url, "binance") if each["name"] == name]
            return row

        home.capture_days(FIRST - timedelta(days=1), LAST)
        assert spot_when_gone({}, never_used=["fiat_payments"]) == ["incomplete"] * 2
        for name in ("UnknownVenueError", "UsedAfterAll"):
            assert "under gone of the venue" in problem(name)["next_step"]
        assert spot_when_gone({"fiat_payments": str(FIRST)}) == ["matched"] * 2
        assert spot_when_gone({"fiat_payments": str(LAST)}) == ["incomplete", "matched"]
        assert spot_when_gone({}) == ["incomplete"] * 2
        assert spot_when_gone({"fiat_payments": str(day_before)}) == ["incomplete"] * 2
        assert f"{FIRST} or later" in problem("NotGone")["next_step"]
        for wrong in ({"fiat_paymens": "2026-01-03"}, {"spot_account": "2026-01-03"}, {"fiat_payments": "tomorrow"}):
            with pytest.raises(ConfigError, match=next(iter(wrong))):
                spot_when_gone(wrong)


@pytest.mark.long
def test_an_opened_wallet_of_which_the_venue_never_told_is_open_until_a_person_says_that_it_was_never_used(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(
        21, days=7, subs=0, symbols_max=250, burst_max=5, without=(*SPOT_ALONE, "transfers", "conversion")
    )
    assert "margin" in world.accounts[MAIN].products
    for number in range(-30, 4):
        world.plants.snapshots[MAIN, "MARGIN", FIRST + timedelta(days=number)] = SnapshotFault(is_hidden=True)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:

        def not_green() -> dict[date, str]:
            rows = home.ask("SELECT date, verdict FROM marts.account_day_verdict WHERE verdict <> 'green'")
            assert {row[2] for row in home.not_matched()} <= {"MARGIN"}
            return dict(rows)

        written = yaml.safe_load(home.sandbox.recon_yaml)["venues"]["binance"]["accounts"][MAIN]
        home.capture_days(FIRST - timedelta(days=1), LAST)
        home.run(FIRST, LAST)
        assert not_green() == {FIRST: "incomplete", LAST: "incomplete"}
        ((reason,),) = home.ask("SELECT DISTINCT reason FROM recon.quarantine WHERE error = 'FeedUnread'")
        assert "margin_snapshots was not read" in reason
        configure(home, tmp_path, {MAIN: {**written, "never_used": ["margin_snapshots"]}})
        home.run(FIRST, LAST)
        assert not_green() == {}
        del world.plants.snapshots[MAIN, "MARGIN", LAST]
        configure(home, tmp_path, {MAIN: written})
        home.run(FIRST, LAST)
        assert home.ask("SELECT * FROM recon.reconciliation WHERE wallet = 'MARGIN' AND actual_balance > 0")
        assert not_green() == {FIRST: "incomplete"}  # nothing came into it: what it holds on LAST was there before
        configure(home, tmp_path, {MAIN: {**written, "never_used": ["margin_snapshots"]}})
        home.run(FIRST, LAST)  # it was used after all: nobody can say that it was not on FIRST
        assert (MAIN, "UsedAfterAll") in told(home)
        assert not_green() == {FIRST: "incomplete"}


def configure(
    home: BinanceHome, folder: Path, accounts: Mapping[str, Mapping[str, Any]], *, gone: Mapping[str, str] | None = None
) -> None:
    """Write other accounts into recon.yaml, and what the venue has removed."""
    config = folder / "recon.yaml"
    text = yaml.safe_load(config.read_text(encoding="utf-8"))
    text["venues"]["binance"] |= {"accounts": dict(accounts), "gone": dict(gone or {})}
    config.write_text(yaml.safe_dump(text), encoding="utf-8")
    home.settings = load_settings(config, {"RECON_HOME": str(folder / "home"), "RECON_DATABASE_URL": home.url})


def told(home: BinanceHome) -> set[tuple[str, str]]:
    """What waits for a person: (account, name)."""
    return {(each["account"], each["name"]) for each in list_problems(home.url, "binance")}


def statuses(home: BinanceHome, account: str) -> set[str]:
    query = "SELECT DISTINCT status FROM recon.reconciliation WHERE account = :account"
    return {status for (status,) in home.ask(query, account=account)}
