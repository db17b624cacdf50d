"""An answer of another shape than the venue's pages promise has a name, and costs its own stream and account alone."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
import yaml

from recon_pipeline.reconcile.pipeline import Request, VenueRun
from recon_pipeline.sandbox.binance import World, make_world
from recon_pipeline.sandbox.binance.gate import Asked, Told
from recon_pipeline.sandbox.binance.home import recon_yaml
from recon_pipeline.sandbox.binance.plants import Outage
from recon_pipeline.stores.raw import RawStore
from recon_pipeline.stores.raw import Told as RecordTold
from recon_pipeline.stores.reviews import list_problems
from recon_pipeline.transport.archive import ArchiveUnwritable
from recon_pipeline.transport.client import Answer, Client
from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.transport.errors import VenueUnreachable
from recon_pipeline.venues.binance.mapping import capture_content
from recon_pipeline.venues.binance.reading import read_mapped
from recon_pipeline.venues.binance.session import ACCOUNTS_AT_ONCE
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline_tests.binance_home import BinanceHome, binance_home

pytestmark = pytest.mark.postgres
MAIN, DESK = "main@example.com", "desk-1_virtual@example.com"
FIRST, LAST = date(2026, 1, 3), date(2026, 1, 4)
SPOT_ALONE = ("earn", "staking", "loans", "margin", "derivatives", "income", "fiat", "orders")
WITH_MARGIN = ("earn", "staking", "loans", "income", "fiat", "orders", "conversion", "details", "managed")
WITH_OPTIONS = tuple(name for name in SPOT_ALONE if name != "derivatives")
NO_MARGIN_ACCOUNT = b'{"code":-3003,"msg":"Margin account does not exist."}'
REFUSED = b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'
TRADE = {
    "symbol": "BTCUSDT", "price": "1", "qty": "1", "quoteQty": "1", "commission": "0", "commissionAsset": "BNB",
    "time": 1767528000000, "isBuyer": True, "isMaker": False,
}  # fmt: skip


def a_world(seed: int = 21, without: tuple[str, ...] = SPOT_ALONE, **more: Any) -> World:
    return make_world(seed, days=7, subs=1, symbols_max=250, burst_max=5, without=without, **more)


def spoil(world: World, account: str | None, path: str, body: bytes, status: int = 200) -> None:
    world.plants.outages.append(Outage(account or "", path, 0, 1 << 62, body, status, "application/json"))


def live_through(home: BinanceHome) -> None:
    home.capture_days(date(2026, 1, 2), LAST)
    home.run(FIRST, LAST)


def statuses(home: BinanceHome, account: str, wallet: str = "%") -> set[str]:
    query = "SELECT DISTINCT status FROM recon.reconciliation WHERE account = :account AND wallet LIKE :wallet"
    return {status for (status,) in home.ask(query, account=account, wallet=wallet)}


def pulled(home: BinanceHome, account: str, stream: str) -> set[str]:
    query = (
        "SELECT DISTINCT status FROM recon.pulls WHERE account = :account AND stream = :stream"
        " AND date BETWEEN :first AND :last"
    )
    return {status for (status,) in home.ask(query, account=account, stream=stream, first=FIRST, last=LAST)}


def problems(home: BinanceHome) -> set[tuple[str | None, str, str | None]]:
    """What waits for a person: (account, name, stream)."""
    waiting = list_problems(home.url, "binance")
    return {(each["account"], each["name"], each["stream"]) for each in waiting if each["name"] != "KeyWarning"}


def pay(**more: Any) -> bytes:
    row = {"orderType": "PAY", "transactionId": "M_R_1", "transactionTime": 1767528000000, "amount": "1",
           "currency": "USDT", "walletType": 2, **more}  # fmt: skip
    return json.dumps({"code": "000000", "message": "success", "success": True, "data": [row]}).encode()


def test_an_account_info_that_is_none_stops_its_account_alone(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world()
    spoil(world, DESK, "/sapi/v1/account/info", b"[]")
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        assert statuses(home, MAIN) == {"matched"}
        assert statuses(home, DESK) == {"incomplete"}
        assert problems(home) == {(DESK, "UnexpectedAnswer", "account_info")}
        world.plants.outages.clear()
        home.run(FIRST, LAST)
        assert statuses(home, DESK, "SPOT") == {"matched"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{}", marks=pytest.mark.long),
        b'{"isMarginEnabled":"true","isFutureEnabled":"true","isOptionsEnabled":"false",'
        b'"isPortfolioMarginRetailEnabled":"false"}',
    ],
    ids=["nothing", "text"],
)
def test_an_account_info_that_does_not_say_what_is_opened_switches_no_wallet_off(
    *, body: bytes, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=WITH_MARGIN)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(date(2026, 1, 2), LAST)
        home.run(FIRST, FIRST)
        spoil(world, MAIN, "/sapi/v1/account/info", body)
        home.run(LAST, LAST)
        assert problems(home) == {(MAIN, "UnexpectedAnswer", "account_info")}
        assert pulled(home, MAIN, "margin_capital_flow") == {"complete"}
        assert home.ask("SELECT DISTINCT status FROM recon.reconciliation WHERE wallet = 'MARGIN'") == [("matched",)]


def test_an_account_that_is_said_not_to_be_there_though_it_is_opened_has_a_hole_and_no_variance(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=WITH_MARGIN)
    spoil(world, MAIN, "/sapi/v1/margin/capital-flow", NO_MARGIN_ACCOUNT, 400)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        assert (MAIN, "AccountNotThere", "margin_capital_flow") in problems(home)
        assert pulled(home, MAIN, "margin_capital_flow") <= {"failed"}
        assert statuses(home, MAIN, "MARGIN") == {"incomplete"}


@pytest.mark.parametrize(
    "body", [b'{"subAccounts":null}', pytest.param(b'{"subAccounts":[{"subUserId":1}]}', marks=pytest.mark.long)]
)
def test_a_list_of_sub_accounts_that_is_none_leaves_no_family_and_no_green_day_of_its_account(
    *, body: bytes, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world()
    spoil(world, MAIN, "/sapi/v1/sub-account/list", body)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        assert problems(home) == {(MAIN, "UnexpectedAnswer", "sub_accounts")}
        assert pulled(home, MAIN, "universal_transfers") == {"failed"}
        assert pulled(home, DESK, "sub_user_transfers") == {"complete"}  # its own key tells as much
        assert pulled(home, MAIN, "deposits") == pulled(home, DESK, "deposits") == {"complete"}
        world.plants.outages.clear()
        home.run(FIRST, LAST)
        assert statuses(home, MAIN) == statuses(home, DESK) == {"matched"}


def test_an_account_for_which_sub_accounts_are_not_enabled_is_as_complete_as_any(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    not_enabled = b'{"code":-8012,"msg":"Sub-account function is not enabled."}'
    spoil(world, MAIN, "/sapi/v1/sub-account/list", not_enabled, 400)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        assert problems(home) == set()
        assert pulled(home, MAIN, "universal_transfers") == {"not_applicable"}
        assert pulled(home, MAIN, "sub_user_transfers") == {"not_applicable"}
        assert statuses(home, MAIN) == {"matched"}


@pytest.mark.long
def test_sub_accounts_that_were_known_stay_when_the_list_is_refused(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world()
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(date(2026, 1, 2), LAST)
        home.run(FIRST, FIRST)
        spoil(world, MAIN, "/sapi/v1/sub-account/list", REFUSED, 401)
        home.run(LAST, LAST)
        assert problems(home) == {(MAIN, "ProductNotEnabled", "sub_accounts")}
        assert pulled(home, MAIN, "universal_transfers") == {"complete"}
        assert statuses(home, MAIN) == statuses(home, DESK) == {"matched"}


@pytest.mark.long
@pytest.mark.parametrize("is_once", [True, False], ids=["once", "twice"])
def test_sub_accounts_that_were_known_are_asked_for_when_the_list_names_them_no_more(
    *, is_once: bool, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world()
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(date(2026, 1, 2), LAST)
        home.run(FIRST, FIRST)
        gate, done = home.sandbox.site.gate, list[Told]()
        truly = gate.tell

        def empty(asked: Asked, now_us: int) -> Told:
            answer = truly(asked, now_us)
            if asked.path != "/sapi/v1/sub-account/list" or answer.status != HTTPStatus.OK or (is_once and done):
                return answer
            done.append(answer)
            return replace(answer, body=b'{"subAccounts":[]}')

        monkeypatch.setattr(gate, "tell", empty)
        home.run(LAST, LAST)
        home.run(LAST, LAST)
        gone = set() if is_once else {(MAIN, "SubAccountsNotListed", "sub_accounts")}
        assert len(done) == (1 if is_once else 3)  # twice, and what was believed then once more
        assert problems(home) == gone
        assert pulled(home, MAIN, "universal_transfers") == pulled(home, DESK, "universal_transfers") == {"complete"}
        assert statuses(home, MAIN) == statuses(home, DESK) == {"matched"}
        seen = [each["seen"] for each in list_problems(home.url, "binance") if each["name"] == "SubAccountsNotListed"]
        assert seen == ([] if is_once else [1])


def test_a_trade_without_an_id_leaves_its_account_incomplete(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world()
    spoil(world, DESK, "/api/v3/myTrades", json.dumps([TRADE]).encode())
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        assert statuses(home, MAIN) == {"matched"}
        assert "incomplete" in statuses(home, DESK)
        assert problems(home) == {(DESK, "UnexpectedAnswer", "spot_trades")}
        assert "id is missing in a record" in {each["found"] for each in list_problems(home.url, "binance")}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"symbols":[{"symbol":"BTCUSDT","quoteAsset":"USDT"}]}', "baseAsset is missing in a record, or is not text"),
        (b'{"symbols":[]}', "the list of markets is empty"),
        (
            b'{"symbols":[{"symbol":"BTCUSDT","baseAsset":"BTC","quoteAsset":"USDT"}],"sors":"none"}',
            "a record cannot be read (AttributeError)",
        ),
    ],
)
def test_a_list_of_markets_that_cannot_be_read_leaves_trades_partial(
    *, body: bytes, found: str, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world()
    world.plants.outages.append(Outage(None, "/api/v3/exchangeInfo", 0, 1 << 62, body, 200, "application/json"))
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        (problem,) = [each for each in list_problems(home.url, "binance") if each["name"] == "UnexpectedAnswer"]
        assert (problem["stream"], problem["found"]) == ("exchange_info", found)
        assert pulled(home, MAIN, "spot_trades") == {"partial"}
        assert pulled(home, MAIN, "deposits") == {"complete"}


def test_what_no_database_stores_is_stored_without(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world()
    spoil(world, DESK, "/sapi/v1/pay/transactions", pay(note="cut \ud83d", remark="none \x00"))
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        for _ in range(2):
            live_through(home)
            assert pulled(home, DESK, "pay") == {"complete"}
        told = home.ask("SELECT content ->> 'note', content ->> 'remark' FROM recon.raw_records WHERE stream = 'pay'")
        assert told == [("cut \N{REPLACEMENT CHARACTER}", "none \N{REPLACEMENT CHARACTER}")]
        assert not problems(home) & {(DESK, "UnexpectedAnswer", "pay")}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(
            pay().replace(b'"walletType": 2', b'"walletType": 2, "score": 1e5000'),
            "MalformedAnswer",
            marks=pytest.mark.long,
        ),
        (pay(transactionId="".join(chr(0x4E00 + n) for n in range(1500))), "UnexpectedAnswer"),
    ],
    ids=["number", "name"],
)
def test_a_number_or_name_of_thousands_of_digits_costs_its_stream_alone(
    *, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, body: bytes, error: str
) -> None:
    world = a_world()
    spoil(world, DESK, "/sapi/v1/pay/transactions", body)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        assert problems(home) == {(DESK, error, "pay")}
        assert pulled(home, DESK, "pay") == {"failed"}
        assert statuses(home, MAIN) == {"matched"}
        world.plants.outages.clear()
        home.run(FIRST, LAST)
        assert statuses(home, DESK) == {"matched"}


def test_a_fault_of_ours_costs_its_stream_alone_and_shows_no_content(
    *, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def is_pending(_: object) -> bool:
        raise RuntimeError("an amount of 17.25 and an address")

    stream = BY_NAME["wallet_transfers"]
    before = stream.is_pending
    object.__setattr__(stream, "is_pending", is_pending)
    try:
        with binance_home(a_world(), tmp_path, database, monkeypatch, start=FIRST) as home:
            live_through(home)
            assert {(name, told) for _, name, told in problems(home)} == {("UnforeseenError", "wallet_transfers")}
            assert "failed" in pulled(home, MAIN, "wallet_transfers") | pulled(home, DESK, "wallet_transfers")
            assert pulled(home, MAIN, "deposits") == {"complete"}
            kept = list_problems(home.url, "binance", for_review=True)
            assert all(each["found"].startswith("RuntimeError at test_binance_bad_answers.py:") for each in kept)
            assert "17.25" not in f"{kept}{caplog.text}"
            assert "RuntimeError, raised by way of" in caplog.text
    finally:
        object.__setattr__(stream, "is_pending", before)


def test_a_product_of_which_nothing_tells_is_not_applicable_where_a_key_is_refused(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world(without=(*SPOT_ALONE, "conversion"))
    spoil(world, DESK, "/sapi/v1/equity/trade/history", REFUSED, 401)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        assert pulled(home, DESK, "equity_trades") == {"not_applicable"}
        assert statuses(home, DESK) == statuses(home, MAIN) == {"matched"}
        assert problems(home) == set()
        world.plants.outages.clear()
        home.run(FIRST, LAST)
        assert pulled(home, DESK, "equity_trades") == {"complete"}


@pytest.mark.parametrize(
    ("paths", "wallet", "healed", "opened"),
    [
        (("/eapi/v1/bill", "/eapi/v1/marginAccount"), "OPTION", {FIRST, LAST}, [("opening",)]),
        # no night that is over is captured any more
        pytest.param(("/sapi/v1/simple-earn/locked/position",), "EARN", set(), [("opening",)], marks=pytest.mark.long),
    ],
)
def test_a_wallet_of_which_nothing_could_ever_be_read_leaves_no_day_of_its_account_green(
    *,
    paths: tuple[str, ...],
    wallet: str,
    healed: set[date],
    opened: list[tuple[str]],
    tmp_path: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=WITH_OPTIONS)
    for path in paths:
        spoil(world, MAIN, path, REFUSED, 401)
    unread = "SELECT DISTINCT wallet, asset, date FROM recon.quarantine WHERE error = 'FeedUnread' ORDER BY 3"
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        assert {row[:3] for row in home.not_matched()} == {(day, MAIN, wallet) for day in (FIRST, LAST)}
        assert [row for row in home.ask(unread) if row[2] <= LAST] == [(wallet, "USDT", day) for day in (FIRST, LAST)]
        world.plants.outages.clear()
        home.capture_days(date(2026, 1, 6), date(2026, 1, 6))
        home.run(FIRST, date(2026, 1, 6))
        left = [(wallet, "USDT", day) for day in (FIRST, LAST) if day not in healed]
        assert [row for row in home.ask(unread) if row[2] <= LAST] == left
        on_last = "SELECT DISTINCT status FROM recon.reconciliation WHERE wallet = :wallet AND date = '2026-01-06'"
        assert home.ask(on_last, wallet=wallet) == opened


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        # what has none tonight, and nothing moved since, had none
        pytest.param(b'{"assets":[]}', set(), marks=pytest.mark.long),
        (None, {FIRST, LAST}),  # what holds money tonight may have held any then
    ],
    ids=["none", "two pairs"],
)
def test_nights_of_isolated_margin_that_were_not_captured_are_whole_only_if_there_is_none_later(
    answer: bytes | None, left: set[date], tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated, sixth = "/sapi/v1/margin/isolated/account", date(2026, 1, 6)
    world = make_world(
        21, days=7, subs=0, symbols_max=250, burst_max=5, without=(*SPOT_ALONE, "transfers", "conversion")
    )
    spoil(world, MAIN, isolated, REFUSED, 401)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        world.plants.outages.clear()
        if answer is not None:
            spoil(world, MAIN, isolated, answer)
        home.capture_days(sixth, sixth)
        home.run(FIRST, sixth)
        verdicts = home.ask(
            "SELECT date FROM marts.account_day_verdict WHERE verdict <> 'green' AND date <= :on", on=LAST
        )
        assert {on for (on,) in verdicts} == left
        opened = home.ask(
            "SELECT count(*) FROM recon.reconciliation WHERE wallet LIKE 'ISOLATED%' AND status = 'opening'"
        )
        assert opened == ([(0,)] if answer else [(4,)])


def test_a_wallet_that_the_account_does_not_have_makes_no_day_incomplete(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Futures margined in coins are refused, and portfolio margin is opened on the last day; the first one was never
    captured."""
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    first, second, third = (date(2026, 1, number) for number in (2, 3, 4))
    for path in ("/dapi/v1/income", "/dapi/v1/balance"):
        spoil(world, MAIN, path, REFUSED, 401)
    with binance_home(world, tmp_path, database, monkeypatch, start=first) as home:
        home.capture_days(second, second)
        account = world.accounts[MAIN]
        object.__setattr__(account, "products", account.products | {"portfolio_margin"})
        home.capture_days(third, date(2026, 1, 5))
        home.run(first, third)
        unread = "SELECT DISTINCT wallet, date FROM recon.quarantine WHERE error = 'FeedUnread' ORDER BY 1"
        assert home.ask(unread) == [("EARN", first)]  # of FUNDING a flow has told
        verdicts = home.ask("SELECT verdict FROM marts.account_day_verdict ORDER BY date")
        assert [verdict for (verdict,) in verdicts] == ["incomplete", "green", "green"]
        again = VenueRun(home.settings, Request("binance", third, third, home.now.date()), "again", home.url)
        again.read()
        assert not again.faults()  # a missing snapshot is no row that was refused
        again.close()


def test_a_wallet_of_whose_first_capture_nothing_can_be_believed_leaves_its_day_open(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_of = datetime(2026, 1, 4, 0, 5, tzinfo=UTC)
    unread = pc.field("error") == "FeedUnread"
    with binance_home(a_world(), tmp_path, database, monkeypatch, start=FIRST) as home:
        venue = home.settings.venues["binance"]
        assert venue.api is not None
        with closing(RawStore(database, "binance")) as raw:
            for number, rows in enumerate(("none", [])):
                at = as_of + timedelta(days=number)
                content = {**capture_content(at, FIRST + timedelta(days=number), ()), "rows": rows}
                raw.keep(MAIN, "funding_assets", [RecordTold(at.isoformat(), {}, content, at, None)], {}, at)
            found = read_mapped(venue, venue.api, raw).reading.quarantine.filter(unread).to_pylist()
        assert [(row["account"], row["wallet"], row["date"]) for row in found] == [(MAIN, "FUNDING", FIRST)]


def test_a_wallet_that_a_person_says_the_account_never_had_is_not_captured(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    for path in ("/eapi/v1/marginAccount", "/sapi/v1/onchain-yields/locked/position"):
        spoil(world, MAIN, path, REFUSED, 401)
    accounts = yaml.safe_load(recon_yaml(world, ""))["venues"]["binance"]["accounts"]
    accounts[MAIN]["never_used"] = ["option_account", "option_bills", "onchain_positions"]
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST, accounts=accounts) as home:
        live_through(home)
        assert home.not_matched() == []
        assert problems(home) == set()
        assert pulled(home, MAIN, "option_account") == {"not_applicable"}
        wallets = {wallet for (wallet,) in home.ask("SELECT DISTINCT wallet FROM recon.reconciliation")}
        assert "EARN" in wallets
        assert "OPTION" not in wallets


def test_a_sub_account_without_a_key_is_captured_without_the_products_that_it_does_not_have(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world(without=tuple(name for name in SPOT_ALONE if name != "derivatives"))
    futures = "/sapi/v2/sub-account/futures/account"
    assert "futures" in world.accounts[DESK].products
    accounts = {MAIN: {"credentials": "binance_main"}}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST, accounts=accounts) as home:

        def captured(on: date) -> set[str]:
            home.capture_days(on, on)
            given = {"of": DESK, "day": str(on)}
            query = (
                "SELECT DISTINCT stream FROM recon.raw_records"
                " WHERE call ->> 'email' = :of AND content ->> 'date' = :day AND content -> 'rows' <> '[]'"
            )
            return {stream for (stream,) in home.ask(query, **given)}

        spoil(world, MAIN, futures, REFUSED, 401)
        assert captured(date(2026, 1, 2)) == {"sub_assets", "sub_margin_account"}
        assert problems(home) == set()
        world.plants.outages.clear()
        assert "sub_futures_account" in captured(date(2026, 1, 3))
        spoil(world, MAIN, futures, REFUSED, 401)
        assert captured(date(2026, 1, 4)) == {"sub_assets", "sub_margin_account"}
        assert (DESK, "ProductNotEnabled", "sub_futures_account") in problems(home)
        world.plants.outages.clear()
        spoil(world, MAIN, "/sapi/v4/sub-account/assets", REFUSED, 401)
        captured(date(2026, 1, 5))
        assert (DESK, "ProductNotEnabled", "sub_assets") in problems(home)


def test_a_venue_whose_clock_is_off_is_reconciled(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world(35, transport=("clock_skew",))  # its clock is off by more than a second on every morning
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        assert any(call["code"] == -1021 for call in home.sandbox.log)
        assert problems(home) == set()
        assert statuses(home, MAIN) == statuses(home, DESK) == {"matched"}


def test_a_host_that_nothing_answers_is_one_entry_for_each_account_and_closes_once_it_was_read(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_world()
    asked: list[tuple[str, str | None]] = []
    plain = Client.ask

    def unreachable(client: Client, endpoint: Endpoint, *given: Any, **more: Any) -> Answer:
        if endpoint.path not in ("/api/v3/myTrades", "/api/v3/klines"):
            return plain(client, endpoint, *given, **more)
        account = given[1].account if len(given) > 1 else None
        asked.append((endpoint.path, account))
        raise VenueUnreachable("no question was answered", venue="binance", endpoint=str(endpoint), account=account)

    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(date(2026, 1, 2), LAST)
        with monkeypatch.context() as patched:
            patched.setattr(Client, "ask", unreachable)
            home.run(FIRST, LAST)
        of_trades = [account for path, account in asked if path == "/api/v3/myTrades"]
        assert sorted(of_trades, key=str) == [DESK, MAIN]
        assert asked.count(("/api/v3/klines", None)) <= ACCOUNTS_AT_ONCE  # those that were under way
        assert problems(home) == {(account, "VenueUnreachable", None) for account in (MAIN, DESK, None)}
        assert pulled(home, MAIN, "spot_trades") == {"partial"}
        assert home.ask("SELECT count(*) FROM recon.asked_symbols WHERE stream = 'spot_trades'") == [(0,)]
        home.run(FIRST, LAST)
        assert problems(home) == set()
        assert statuses(home, MAIN) == statuses(home, DESK) == {"matched"}


def test_a_country_in_which_the_venue_answers_nobody_is_one_entry_and_no_market_is_asked_after_the_first(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        spoil(world, MAIN, "/api/v3/myTrades", b"<html>Unavailable For Legal Reasons</html>", 451)
        home.run(FIRST, LAST)
        assert sum(call["path"] == "/api/v3/myTrades" for call in home.sandbox.log) == 1
        assert problems(home) == {(MAIN, "CountryRefused", None)}
        assert pulled(home, MAIN, "spot_trades") == {"partial"}
        assert home.ask("SELECT count(*) FROM recon.asked_symbols WHERE stream = 'spot_trades'") == [(0,)]


def test_an_archive_that_takes_no_more_ends_the_run_at_once_and_leaves_nothing_to_resolve(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with binance_home(a_world(), tmp_path, database, monkeypatch, start=FIRST) as home:
        live_through(home)
        before, asked = problems(home), len(home.sandbox.log)
        answers, aside = home.settings.archive / "answers", tmp_path / "aside"
        answers.rename(aside)
        answers.touch()
        with pytest.raises(ArchiveUnwritable, match="could not be archived"):
            home.run(FIRST, LAST)
        assert problems(home) == before
        assert len(home.sandbox.log) - asked <= len(home.sandbox.credentials) + 1
        answers.unlink()
        aside.rename(answers)
        home.run(FIRST, LAST)
        assert statuses(home, MAIN) == statuses(home, DESK) == {"matched"}
