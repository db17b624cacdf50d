"""The simulated Binance over real HTTP: who is let in, what is counted, what is refused, and how time moves."""

from __future__ import annotations

import csv
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from recon_pipeline.sandbox.binance import Sandbox, World, make_world, serve
from recon_pipeline.sandbox.binance.__main__ import main as serve_sandbox
from recon_pipeline.sandbox.binance.accounts import FUND, MAIN, Key, sub_email
from recon_pipeline.sandbox.binance.api.table import ENDPOINTS
from recon_pipeline.sandbox.binance.life.details import DELEGATIONS
from recon_pipeline.sandbox.binance.life.managed import INVESTOR
from recon_pipeline.sandbox.binance.life.prediction import TRANSFERS as PREDICTIONS
from recon_pipeline.sandbox.binance.life.prediction import WALLET
from recon_pipeline.sandbox.binance.moments import DAY_MS
from recon_pipeline.sandbox.binance.world import BUSINESS
from recon_pipeline.venues.binance.endpoints import ENDPOINTS as READ_LIST
from recon_pipeline_tests.sandbox_client import Asker, signed_query

DAY_US = DAY_MS * 1000
TRADES, DEPOSITS = "/api/v3/myTrades", "/sapi/v1/capital/deposit/hisrec"
SNAPSHOT, WITHDRAWALS = "/sapi/v1/accountSnapshot", "/sapi/v1/capital/withdraw/history"
OF_FUND, WHEN = "/sapi/v1/managed-subaccount/accountSnapshot", {"startTime": 1, "endTime": DAY_MS}


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(1)


@pytest.fixture
def sandbox(world: World) -> Iterator[Sandbox]:
    with serve(world, at_us=(world.end_ms + DAY_MS) * 1000) as up:
        yield up


@pytest.fixture
def main(sandbox: Sandbox) -> Iterator[Asker]:
    with httpx.Client(base_url=sandbox.url) as http:
        yield Asker(http, sandbox.credentials[MAIN])


def as_key(main: Asker, key: Key) -> Asker:
    return Asker(main.http, key)


def test_one_seed_makes_one_world(world: World) -> None:
    again, other = make_world(1), make_world(2)
    assert again.ledger.moves == world.ledger.moves
    assert other.ledger.moves != world.ledger.moves
    assert len(world.market.symbols) >= 3000
    assert sum(symbol.status != "TRADING" for symbol in world.market.symbols.values()) > 1000


def test_each_account_trades_forty_symbols_and_a_third_of_them_once(world: World) -> None:
    lists: Counter[str] = Counter()
    for account, name, records in world.archive.lists():
        if name.startswith(TRADES):
            lists[account] += 1
            lists[f"{account} once"] += len(records) == 1
    for email in world.accounts:
        assert lists[email] >= 40
        assert lists[f"{email} once"] * 3 >= 40


def test_balances_are_never_negative_and_nothing_happens_while_captures_are_due(world: World) -> None:
    told_of_the_past = ("SPOT", "MARGIN", "FUTURES")
    for move in world.ledger.moves:
        within = move.at_us // 1000 % DAY_MS
        assert within >= 6 * 3_600_000 or (within < 1000 and move.wallet in told_of_the_past), move
        if move.measure == "balance":
            assert world.ledger.at(move.at_us, move.account, move.wallet)[move.asset] >= 0


def test_whatever_moves_is_told_by_an_endpoint(world: World) -> None:
    lists = {name.split()[0] for _, name, records in world.archive.lists() if records}
    paths = {path for _, path in ENDPOINTS}
    assert lists <= paths
    reasons = {move.reason.split()[0] for move in world.ledger.moves} - {"opening", "transfer"}
    assert reasons <= lists


@pytest.mark.parametrize(
    ("kind", "refusal"), [("revoked", (401, -2015)), ("wrong_ip", (401, -2015)), ("no_reading", (401, -2015))]
)
def test_a_key_that_is_wrong_opens_nothing(sandbox: Sandbox, main: Asker, kind: str, refusal: tuple[int, int]) -> None:
    assert as_key(main, sandbox.key(MAIN, kind)).refusal(DEPOSITS) == refusal


def test_what_is_not_a_key_is_refused_by_its_form(main: Asker) -> None:
    assert as_key(main, Key(MAIN, "short", "secret")).refusal(DEPOSITS) == (401, -2014)
    assert as_key(main, Key(MAIN, "a" * 64, "secret")).refusal(DEPOSITS) == (401, -2008)


def test_keys_say_what_they_may_do(sandbox: Sandbox, main: Asker) -> None:
    path = "/sapi/v1/account/apiRestrictions"
    assert main.get(path)["enableWithdrawals"] is False
    assert as_key(main, sandbox.key(MAIN, "withdrawing")).get(path)["enableWithdrawals"] is True
    assert as_key(main, sandbox.key(MAIN, "trading")).get(path)["enableSpotAndMarginTrading"] is True


def test_a_revoked_key_stops_opening(sandbox: Sandbox, main: Asker) -> None:
    assert main.ask(DEPOSITS).status_code == 200
    main.http.post("/sandbox/revoke", json={"key": main.key.key})
    assert main.refusal(DEPOSITS) == (401, -2015)


def test_the_signature_covers_the_bytes_that_were_sent(main: Asker) -> None:
    headers = {"X-MBX-APIKEY": main.key.key}
    query = signed_query(main.key, main.now_us(), coin="USDT")
    assert main.http.get(f"{DEPOSITS}?{query}", headers=headers).status_code == 200
    forged = query.replace("coin=USDT", "coin=BTC")
    assert main.http.get(f"{DEPOSITS}?{forged}", headers=headers).json()["code"] == -1022
    upper = query[:-64] + query[-64:].upper()
    assert main.http.get(f"{DEPOSITS}?{upper}", headers=headers).status_code == 200
    assert main.http.get(f"{DEPOSITS}?{query}&coin=BTC", headers=headers).json()["code"] in (-1101, -1102)


def test_a_body_is_signed_behind_the_query(main: Asker) -> None:
    body = signed_query(main.key, main.now_us(), asset="USDT")
    headers = {"X-MBX-APIKEY": main.key.key, "Content-Type": "application/x-www-form-urlencoded"}
    answer = main.http.post("/sapi/v1/asset/get-funding-asset", content=body, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("shift_ms", "window", "code"), [(1001, 5000, -1021), (-5001, 5000, -1021), (0, 60_001, -1131)]
)
def test_time_outside_the_window_is_refused(main: Asker, shift_ms: int, window: int, code: int) -> None:
    query = signed_query(main.key, main.now_us() + shift_ms * 1000, recvWindow=window)
    answer = main.http.get(f"{DEPOSITS}?{query}", headers={"X-MBX-APIKEY": main.key.key})
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        (TRADES, {}, -1102),
        (TRADES, {"symbol": "NOTHING"}, -1121),
        (TRADES, {"symbol": "BTCUSDT", "fromId": 0, "startTime": 1}, -1128),
        (TRADES, {"symbol": "BTCUSDT", "startTime": 1, "endTime": 86_400_002}, -1127),
        (TRADES, {"symbol": "BTCUSDT", "startTime": "yesterday"}, -1100),
        (TRADES, {"symbol": "BTCUSDT", "stranger": 1}, -1104),
        (DEPOSITS, {"startTime": 0, "endTime": 91 * DAY_MS}, -4047),
        (DEPOSITS, {"limit": 1001}, -1102),
        (SNAPSHOT, {}, -1102),
        (SNAPSHOT, {"type": "SPOT", "limit": 31}, -1130),
        (SNAPSHOT, {"type": "SPOT", "startTime": 0, "endTime": 30 * DAY_MS}, -1127),
        (OF_FUND, {"type": "SPOT", "email": sub_email(1)}, -4003),
        (INVESTOR, {"email": sub_email(1), **WHEN, "page": 1, "limit": 500}, -4003),
        (INVESTOR, {"email": FUND, **WHEN, "limit": 500}, -1102),
        (INVESTOR, {"email": FUND, "startTime": 0, "endTime": 185 * DAY_MS, "page": 1, "limit": 500}, -1127),
        (INVESTOR, {"email": FUND, **WHEN, "page": 1, "limit": 501}, -1102),
        (DELEGATIONS, {"email": sub_email(3)}, -1102),
        (PREDICTIONS, {"walletAddress": WALLET, "startDate": "20260101", "endDate": "2026-01-30"}, -1100),
        (PREDICTIONS, {"walletAddress": WALLET, "startDate": "2026-01-30"}, -1102),
    ],
)
def test_what_the_venue_would_refuse_is_refused(main: Asker, path: str, params: dict[str, Any], code: int) -> None:
    assert main.refusal(path, **params) == (400, code)


def test_a_sub_account_may_not_ask_what_the_main_one_may(sandbox: Sandbox, main: Asker) -> None:
    sub = as_key(main, sandbox.credentials[sub_email(1)])
    assert sub.refusal("/sapi/v1/sub-account/list") == (400, -4006)
    listed = main.get("/sapi/v1/sub-account/list", limit=200)["subAccounts"]
    assert [row["email"] for row in listed] == [sub_email(number) for number in (1, 2, 3)]
    assert len(main.get("/sapi/v1/sub-account/list")["subAccounts"]) == 1


def test_weights_are_counted_and_told(main: Asker) -> None:
    assert main.ask(TRADES, symbol="BTCUSDT").headers["X-MBX-USED-WEIGHT-1M"] == "20"
    assert main.ask(TRADES, symbol="BTCUSDT", orderId=1).headers["X-MBX-USED-WEIGHT-1M"] == "25"
    assert main.ask(SNAPSHOT, type="SPOT").headers["X-SAPI-USED-IP-WEIGHT-1M"] == "2400"
    assert main.ask(WITHDRAWALS).headers["X-SAPI-USED-UID-WEIGHT-1M"] == "18000"


def test_the_careless_draw_429_at_exactly_the_limit_and_a_ban_on_api(sandbox: Sandbox, main: Asker) -> None:
    assert [main.ask(SNAPSHOT, type="SPOT").status_code for _ in range(6)] == [200] * 5 + [429]
    assert [main.ask(WITHDRAWALS).status_code for _ in range(11)] == [200] * 10 + [429]
    sub = as_key(main, sandbox.credentials[sub_email(1)])
    assert sub.ask(WITHDRAWALS).status_code == 200  # another account, another allowance
    assert sub.ask(SNAPSHOT, type="SPOT").status_code == 429  # the same address
    answers = [main.ask(TRADES, symbol="BTCUSDT") for _ in range(312)]
    assert [a.status_code for a in answers] == [200] * 300 + [429] * 11 + [418]
    assert (answers[300].headers["Retry-After"], answers[311].headers["Retry-After"]) == ("60", "120")
    assert main.http.get("/api/v3/time").status_code == 418
    main.http.post("/sandbox/clock/advance", json={"to_us": main.now_us() + 120_000_000})
    assert main.ask(TRADES, symbol="BTCUSDT").status_code == 200


def weights_of_the_sheet() -> list[tuple[str, str, int, str]]:
    """Method, path, weight and whose allowance: the facts sheet's appendix A (and §5, §7 for what it leaves out), for
    every endpoint that the product may ask."""
    with (Path(__file__).parent / "binance_weights.csv").open(encoding="utf-8", newline="") as file:
        return [(row["method"], row["path"], int(row["weight"]), row["per"]) for row in csv.DictReader(file)]


def allowance_of_the_sheet(path: str, per: str) -> tuple[int, str]:
    """The facts sheet's §2: weight per minute, and the header that tells what is used of it."""
    host = path.split("/")[1]
    if host == "sapi":
        return (180_000 if per == "uid" else 12_000), f"X-SAPI-USED-{per.upper()}-WEIGHT-1M"
    return {"api": 6000, "fapi": 2400, "dapi": 2400, "eapi": 400, "papi": 6000}[host], "X-MBX-USED-WEIGHT-1M"


def test_the_sheet_weighs_every_endpoint_that_the_product_may_ask() -> None:
    weighed = {(method, path) for method, path, _, _ in weights_of_the_sheet()}
    asked = {(endpoint.method, endpoint.path) for endpoint in READ_LIST}
    # by order 20, by match 2; and without a weight in the sheet
    assert asked - weighed == {("GET", "/api/v3/myPreventedMatches"), ("GET", "/sapi/v1/mining/payment/list"),
                               ("GET", "/sapi/v1/lending/auto-invest/history/list")}  # fmt: skip
    assert weighed <= set(ENDPOINTS)


def test_the_careless_draw_429_at_exactly_the_sheets_weight_on_every_endpoint_and_418_on_api() -> None:
    world = make_world(3, days=2, subs=0, symbols_max=30, without=tuple(BUSINESS))
    with serve(world, clock="simulated") as sandbox, httpx.Client(base_url=sandbox.url) as http:
        careless = Careless(sandbox, http)
        for method, path, weight, per in weights_of_the_sheet():
            limit, header = allowance_of_the_sheet(path, per)
            careless.wait_for_a_minute()
            used = careless.let_others_draw(method, path, limit - weight * min(limit // weight, 20))
            while used + weight <= limit:
                answer, used = careless.ask(method, path), used + weight
                assert answer.status_code not in (418, 429), path
                assert int(answer.headers[header]) == used, path
            answer = careless.ask(method, path)
            assert (answer.status_code, answer.json()["code"]) == (429, -1003), path
            assert 1 <= int(answer.headers["Retry-After"]) <= 60, path
            if path.startswith("/api/"):
                assert [careless.ask(method, path).status_code for _ in range(11)] == [429] * 10 + [418], path


class Careless:
    """Asks without a look at what it has used."""

    def __init__(self, sandbox: Sandbox, http: httpx.Client) -> None:
        self.sandbox, self.http = sandbox, http
        self.key = sandbox.credentials[MAIN]
        self.meter = sandbox.site.gate.meter

    def ask(self, method: str, path: str) -> httpx.Response:
        query = signed_query(self.key, self.sandbox.now_us())
        return self.http.request(method, f"{path}?{query}", headers={"X-MBX-APIKEY": self.key.key})

    def wait_for_a_minute(self) -> None:
        """Let bans pass, and a minute begin of which nothing is used."""
        now_us = self.sandbox.now_us()
        free_us = max([now_us, *self.meter._bans.values()])
        to_us = (free_us // 60_000_000 + 1) * 60_000_000
        self.http.post("/sandbox/clock/advance", json={"to_us": to_us}).raise_for_status()

    def let_others_draw(self, method: str, path: str, weight: int) -> int:
        """Others who share the allowance use so much of it."""
        bucket = ENDPOINTS[method, path].bucket
        return self.meter.draw(bucket, MAIN if bucket.per == "uid" else "127.0.0.1", weight, self.sandbox.now_us()).used


def test_trades_are_told_by_id_and_by_time(world: World, main: Asker) -> None:
    busy = next(
        account
        for account, name, records in world.archive.lists()
        if name == f"{TRADES} DOGEUSDT" and len(records) > 1000
    )
    asker = as_key(main, world.accounts[busy].keys["good"])
    first = asker.get(TRADES, symbol="DOGEUSDT", fromId=0, limit=1000)
    rest = asker.get(TRADES, symbol="DOGEUSDT", fromId=first[-1]["id"] + 1, limit=1000)
    every = world.archive.all(busy, f"{TRADES} DOGEUSDT")
    assert [row["id"] for row in first + rest] == [record.order for record in every]
    assert len({row["time"] for row in first}) < len(first)
    latest = asker.get(TRADES, symbol="DOGEUSDT", limit=10)
    assert latest == (first + rest)[-10:]
    since = asker.get(TRADES, symbol="DOGEUSDT", startTime=first[5]["time"], limit=1)
    assert since[0]["time"] == first[5]["time"]


def test_snapshots_are_published_late_and_state_the_close(world: World) -> None:
    day = world.days[3]
    end_us = (world.first_ms + 4 * DAY_MS) * 1000
    with serve(world, at_us=end_us) as sandbox, httpx.Client(base_url=sandbox.url) as http:
        main = Asker(http, sandbox.credentials[MAIN])
        assert main.get(SNAPSHOT, type="SPOT")["snapshotVos"][-1]["updateTime"] < end_us // 1000 - DAY_MS
        http.post("/sandbox/clock/advance", json={"to_us": world.snapshot_ms(MAIN, "SPOT", day) * 1000})
        last = main.get(SNAPSHOT, type="SPOT", limit=30)["snapshotVos"][-1]
    assert last["updateTime"] == end_us // 1000 - 1000
    told = {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in last["data"]["balances"]}
    true = world.ledger.at(end_us - 1, MAIN, "SPOT")
    assert {asset: told[asset] for asset in true} == true


def test_an_investor_is_told_of_every_wallet_of_its_fund_and_of_what_went_in_and_came_back(
    world: World, main: Asker
) -> None:
    closes = {}
    for kind, name, held in (
        ("SPOT", "balances", "free"),
        ("MARGIN", "userAssets", "free"),
        ("FUTURES", "assets", "walletBalance"),
    ):
        last = main.get(OF_FUND, email=FUND, type=kind)["snapshotVos"][-1]
        closes[kind] = {row["asset"]: Decimal(row[held]) + Decimal(row.get("locked", 0)) for row in last["data"][name]}
    assert closes == {kind: world.ledger.at(world.end_ms * 1000, FUND, kind) for kind in closes}
    assert [row["email"] for row in main.get("/sapi/v1/managed-subaccount/info")["managerSubUserInfoVoList"]] == [FUND]
    times: dict[str, Any] = {"startTime": world.first_ms, "endTime": world.end_ms, "page": 1, "limit": 500}
    told = {way: main.get(INVESTOR, email=FUND, **times, transfers=way) for way in ("FROM", "TO")}
    done = {way: [row for row in rows(answer) if row["status"] == "SUCCESS"] for way, answer in told.items()}
    back, into = (sum(Decimal(row["amount"]) for row in done[way]) for way in ("FROM", "TO"))
    assert closes["SPOT"]["LTC"] == 400 + into - back


def rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    assert answer["count"] == len(answer["managerSubTransferHistoryVos"])
    return list(answer["managerSubTransferHistoryVos"])


def test_a_prediction_wallet_is_told_by_whole_dates_and_in_pages(world: World, main: Asker) -> None:
    dates = {"startDate": world.days[0].isoformat(), "endDate": world.days[-1].isoformat()}
    pages = [main.get(PREDICTIONS, walletAddress=WALLET, **dates, limit=100, offset=at)["transfers"] for at in (0, 100)]
    told = [row["transferId"] for page in pages for row in page]
    assert len(told) == len(set(told)) == len(world.archive.all(MAIN, PREDICTIONS)) > 100
    day = pages[0][0]["createTime"][:10]
    of_day = main.get(PREDICTIONS, walletAddress=WALLET, startDate=day, endDate=day, limit=100)["transfers"]
    assert {row["createTime"][:10] for row in of_day} == {day}
    assert main.get(PREDICTIONS, walletAddress="0x00", **dates)["transfers"] == []


def test_delegations_are_told_of_one_sub_and_by_kind(world: World, main: Asker) -> None:
    times: dict[str, Any] = {"email": sub_email(3), "startTime": world.first_ms, "endTime": world.end_ms, "size": 100}
    kinds = {
        kind: {row["transferType"] for row in main.get(DELEGATIONS, **times, type=kind)["rows"]}
        for kind in ("DELEGATE", "UNDELEGATE")
    }
    assert kinds == {"DELEGATE": {"Delegate"}, "UNDELEGATE": {"Undelegate"}}
    assert main.get(DELEGATIONS, **{**times, "email": sub_email(1)})["total"] == 0


def test_deposits_and_withdrawals_come_in_all_their_states(sandbox: Sandbox, main: Asker) -> None:
    askers = [as_key(main, key) for key in sandbox.credentials.values()]
    withdrawals = [row for asker in askers for row in asker.get(WITHDRAWALS, limit=1000)]
    deposits = [row for asker in askers for row in asker.get(DEPOSITS, limit=1000)]
    assert {row["status"] for row in withdrawals} >= {1, 5, 6}
    assert {row["status"] for row in deposits} >= {1, 6}
    assert {row["walletType"] for row in deposits} == {row["transferType"] for row in deposits} == {0, 1}
    assert any(row["status"] == 1 and row["completeTime"] > row["insertTime"] + DAY_MS / 3 for row in deposits)


def test_time_stands_still_while_anyone_works_and_jumps_when_all_wait(sandbox: Sandbox, main: Asker) -> None:
    start = sandbox.now_us()
    order: list[tuple[int, str]] = []

    def work(name: str, steps: list[int]) -> None:
        with httpx.Client(base_url=sandbox.url, timeout=30) as http:
            worker = http.post("/sandbox/clock/join").json()["worker"]
            ready.wait()
            for step in steps:
                until = start + step * 1_000_000
                told = http.post("/sandbox/clock/sleep", json={"worker": worker, "until_us": until}).json()["now_us"]
                assert told == until
                order.append((step, name))
                time.sleep(0.01)
            http.post("/sandbox/clock/leave", json={"worker": worker})

    ready = threading.Barrier(3)
    plans = {"a": [10, 30, 50], "b": [20, 25, 60], "c": [15, 40]}
    threads = [threading.Thread(target=work, args=item) for item in plans.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert order == sorted(order)
    assert len(order) == 8
    assert sandbox.now_us() == start + 60_000_000


def test_who_hangs_up_or_falls_silent_holds_nobody_up(sandbox: Sandbox, main: Asker) -> None:
    start = sandbox.now_us()
    gone = main.http.post("/sandbox/clock/join").json()["worker"]
    with httpx.Client(base_url=sandbox.url, timeout=0.3) as http, pytest.raises(httpx.ReadTimeout):
        main.http.post("/sandbox/clock/join")  # awake, and will never be heard of again
        http.post("/sandbox/clock/sleep", json={"worker": gone, "until_us": start + 10_000_000})
    deadline = time.monotonic() + 5
    while gone in main.http.get("/sandbox/clock").json()["workers"]:
        assert time.monotonic() < deadline
    clock: Any = sandbox.site.clock
    clock._patience_s = 0.2
    told = main.http.post("/sandbox/clock/advance", json={"to_us": start + 60_000_000}, timeout=20).json()
    assert told["now_us"] == start + 60_000_000


def test_a_live_clock_serves_no_clock(world: World) -> None:
    with serve(world, clock="live") as sandbox:
        assert httpx.get(f"{sandbox.url}/sandbox/clock").status_code == 404
        assert "x-sandbox-now-us" not in httpx.get(f"{sandbox.url}/api/v3/time").headers
        assert abs(httpx.get(f"{sandbox.url}/api/v3/time").json()["serverTime"] - time.time() * 1000) < 5000


def test_answers_tell_the_simulated_time(main: Asker) -> None:
    main.http.post("/sandbox/clock/advance", json={"to_us": main.now_us() + 7})
    for path in ("/api/v3/time", TRADES):  # the second one is refused
        answer = main.http.get(path)
        assert int(answer.headers["x-sandbox-now-us"]) == main.now_us()


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("clock/advance", '{"to_us": "noon"}', 400, "to_us is to be a whole number"),
        ("clock/advance", "{}", 400, "to_us is to be a whole number"),
        ("clock/advance", '{"to_us": 1e999}', 400, "to_us is to be a whole number"),
        ("clock/advance", "to noon", 400, "the body is to be a JSON object"),
        ("clock/sleep", '{"until_us": null}', 400, "until_us is to be a whole number"),
        ("revoke", '{"key": "nobody\'s"}', 404, "no account of this world has such a key"),
        ("revoke", '{"key": 7}', 404, "no account of this world has such a key"),
        ("revoke", "[]", 400, "the body is to be a JSON object"),
    ],
)
def test_what_the_sandbox_cannot_do_is_said(main: Asker, path: str, body: str, status: int, says: str) -> None:
    now_us = main.now_us()
    answer = main.http.post(f"/sandbox/{path}", content=body)
    assert (answer.status_code, says in answer.text) == (status, True), answer.text
    assert main.now_us() == now_us


def test_what_is_asked_about_a_sandbox_is_to_be_a_number(main: Asker) -> None:
    for path in ("log?from=the start", "truth?at_us=noon"):
        assert main.http.get(f"/sandbox/{path}").status_code == 400
    assert main.http.get("/sandbox/log?from=-3").json() == main.http.get("/sandbox/log").json()


def test_the_log_tells_what_was_counted(sandbox: Sandbox, main: Asker) -> None:
    main.ask(TRADES, symbol="BTCUSDT")
    main.ask("/nothing")
    trades, nothing = main.http.get("/sandbox/log").json()
    assert (trades["path"], trades["weight"], trades["bucket"], trades["account"]) == (TRADES, 20, "/api", MAIN)
    assert trades["params"] == {"symbol": "BTCUSDT"}
    assert nothing["status"] == 404


def test_a_world_can_give_an_account_a_bad_key_and_leave_business_out() -> None:
    world = make_world(1, subs=0, keys={MAIN: "revoked"}, without=set(BUSINESS) - {"capital"})
    assert {name.split()[0] for _, name, _ in world.archive.lists()} == {DEPOSITS, WITHDRAWALS}
    with serve(world) as sandbox, httpx.Client(base_url=sandbox.url) as http:
        main = Asker(http, sandbox.credentials[MAIN])
        assert main.refusal(DEPOSITS) == (401, -2015)
        assert sandbox.environment["BINANCE_MAIN_KEY"] == main.key.key
        assert as_key(main, sandbox.key(MAIN, "good")).get("/sapi/v1/sub-account/list") == {"subAccounts": []}


def test_a_statement_tells_every_change_of_every_wallet(world: World, sandbox: Sandbox, main: Asker) -> None:
    for params in ({}, {"email": "nobody@example.com"}):
        refused = main.http.get("/sandbox/statement", params=params)
        assert (refused.status_code, MAIN in refused.text) == (400, True)
    rows = list(csv.DictReader(main.http.get("/sandbox/statement", params={"email": MAIN}).text.splitlines()))
    assert list(rows[0]) == ["User_ID", "UTC_Time", "Account", "Operation", "Coin", "Change", "Remark"]
    held = sum(Decimal(row["Change"]) for row in rows if (row["Account"], row["Coin"]) == ("Spot", "USDT"))
    openings = [m.amount for m in world.ledger.moves if m.reason == "opening" and m.account == MAIN]
    true = world.ledger.at(sandbox.now_us(), MAIN, "SPOT")["USDT"]
    assert true - held in openings


def test_the_process_writes_a_home_to_begin_with(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "recon_pipeline.sandbox.binance",
        "--seed",
        "2",
        "--port",
        "0",
        "--home",
        str(tmp_path),
    ]
    with subprocess.Popen([*command, "--faults", "all"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        told = httpx.get(f"{url}/sandbox/manifest").json()
        now_us = httpx.get(f"{url}/sandbox/clock").json()["now_us"]
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert json.loads((tmp_path / "manifest.json").read_text()) == told
    assert told["effects"]
    assert (tmp_path / "credentials.env").stat().st_mode & 0o077 == 0
    assert yaml.safe_load((tmp_path / "recon.yaml").read_text())["venues"]["binance"]["sandbox"] == url
    # its last day is due: whoever runs the month finds all of it told
    assert datetime.fromtimestamp(now_us / 1_000_000, UTC) == datetime(2026, 2, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--faults", "deposit_missing,nonsense"), "nonsense: none of"),
        (("--transport", "tymeout"), "tymeout: none of timeout"),
        (("--days", "0"), "'0' is no whole number from 1 on"),
        (("--subs", "-1"), "'-1' is no whole number from 0 on"),
        (("--clock", "live", "--at", "2026-01-01"), "--at sets a simulated clock"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_its_name(
    capsys: pytest.CaptureFixture[str], *, arguments: tuple[str, ...], found: str
) -> None:
    with pytest.raises(SystemExit) as refused:
        serve_sandbox(arguments)
    assert refused.value.code == 2
    assert found in capsys.readouterr().err


def test_a_fault_that_finds_no_place_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit):
        port = str(taken.getsockname()[1])
        serve_sandbox(("--port", port, "--days", "2", "--subs", "0", "--faults", "deposit_missing,record_changes"))
    assert "not planted, for want of a place: deposit_missing, record_changes;" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as refused:
        serve_sandbox(("--port", str(taken.getsockname()[1]), "--days", "2", "--subs", "0"))
    assert refused.value.code == 2
    assert "name another with --port" in capsys.readouterr().err
