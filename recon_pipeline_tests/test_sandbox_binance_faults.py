"""What is planted in the simulated Binance is told over HTTP as the manifest says, and trouble looks like trouble."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from recon_pipeline.sandbox.binance import World, make_world, serve
from recon_pipeline.sandbox.binance.accounts import MAIN
from recon_pipeline.sandbox.binance.faults import FAULTS
from recon_pipeline.sandbox.binance.life import capital, income, spot, transfers
from recon_pipeline.sandbox.binance.manifest import manifest
from recon_pipeline.sandbox.binance.moments import DAY_MS, HOUR_MS, day_ms
from recon_pipeline.sandbox.binance.plants import Effect
from recon_pipeline.sandbox.binance.trouble import BEFORE, NAMES
from recon_pipeline_tests.sandbox_client import Asker

SNAPSHOT = "/sapi/v1/accountSnapshot"


@pytest.fixture(scope="module")
def faulty() -> World:
    return make_world(7, faults=list(FAULTS))


@pytest.fixture(scope="module")
def clean() -> World:
    return make_world(7)


def effects(world: World, fault: str, kind: str = "row") -> list[Effect]:
    return [e for e in world.plants.effects if (e.fault, e.kind) == (fault, kind) and e.is_required]


def asking(world: World, account: str, at_us: int) -> Iterator[Asker]:
    with serve(world, at_us=at_us) as sandbox, httpx.Client(base_url=sandbox.url) as http:
        yield Asker(http, sandbox.credentials[account])


def snapshot(world: World, account: str, day_end_ms: int) -> dict[str, Decimal] | None:
    for asker in asking(world, account, world.end_ms * 1000 - DAY_MS * 1000):
        told = asker.get(SNAPSHOT, type="SPOT", startTime=day_end_ms - DAY_MS + 1, endTime=day_end_ms)["snapshotVos"]
        for row in told:
            if row["updateTime"] == day_end_ms - 1000:
                return {b["asset"]: Decimal(b["free"]) + Decimal(b["locked"]) for b in row["data"]["balances"]}
    return None


def test_a_clean_world_has_nothing_in_its_manifest(clean: World) -> None:
    told = manifest(clean)
    assert (told["effects"], told["faults"], told["transport"]) == ([], [], [])
    assert all(told["doubts_matter"].values())


def test_every_fault_finds_a_place_and_no_row_is_claimed_twice(faulty: World) -> None:
    assert set(faulty.plants.names) == set(FAULTS)
    rows = Counter(
        (e.account, e.wallet, e.asset, e.date) for e in faulty.plants.effects if e.kind == "row" and e.is_required
    )
    assert max(rows.values()) == 1
    json.dumps(manifest(faulty))


def test_planting_is_the_same_for_the_same_seed(faulty: World) -> None:
    assert make_world(7, faults=list(FAULTS)).plants.effects == faulty.plants.effects


def test_a_missing_deposit_is_in_the_balance_and_not_in_the_feed(faulty: World, clean: World) -> None:
    [effect] = effects(faulty, "deposit_missing")
    told, true = (
        Counter(str(r.at(1 << 62)) for r in world.archive.all(effect.account, capital.DEPOSITS))
        for world in (faulty, clean)
    )
    [missing] = [text for text in true - told if f"'{effect.asset}'" in text]
    assert effect.amount is not None
    assert f"'amount': '{effect.amount:f}".rstrip("0").rstrip(".") in missing


def test_a_wrong_snapshot_is_off_by_what_the_manifest_says(faulty: World) -> None:
    first, second = effects(faulty, "snapshot_wrong")
    end_ms = day_ms(first.date) + DAY_MS
    told = snapshot(faulty, first.account, end_ms)
    true = faulty.ledger.at(end_ms * 1000 - 1, first.account, "SPOT")
    assert told is not None
    assert told[first.asset] - true[first.asset] == first.amount
    assert second.amount == -(first.amount or 0)


def test_a_stale_snapshot_repeats_the_day_before(faulty: World) -> None:
    effect = effects(faulty, "snapshot_stale")[0]
    end_ms = day_ms(effect.date) + DAY_MS
    told = snapshot(faulty, effect.account, end_ms)
    assert told is not None
    before = snapshot(faulty, effect.account, end_ms - DAY_MS)
    assert told == before


@pytest.mark.parametrize("fault", ["snapshot_missing", "snapshot_of_wrong_day"])
def test_a_snapshot_that_is_not_there_opens_every_row_of_the_day(faulty: World, fault: str) -> None:
    rows = effects(faulty, fault)
    end_ms = day_ms(rows[0].date) + DAY_MS
    assert snapshot(faulty, rows[0].account, end_ms) is None
    before = snapshot(faulty, rows[0].account, end_ms - DAY_MS)
    assert before is not None
    stated = {asset for asset in before if not asset.startswith("LD") or asset == "LDO"}
    assert {
        effect.asset for effect in faulty.plants.effects if effect.fault == fault and effect.kind == "row"
    } == stated


def test_a_late_dividend_is_told_when_the_manifest_says_that_it_is_gone(faulty: World) -> None:
    [effect] = effects(faulty, "dividend_late")
    assert effect.gone_by_as_of_day is not None
    seen = []
    for day in (effect.from_as_of_day, effect.gone_by_as_of_day):
        for asker in asking(faulty, effect.account, (day_ms(day) + 2 * HOUR_MS) * 1000):
            start = day_ms(effect.date)
            rows = asker.get(income.DIVIDENDS, startTime=start, endTime=start + DAY_MS - 1, limit=500)["rows"]
            seen.append(sum(Decimal(r["amount"]) for r in rows if r["asset"] == effect.asset))
    assert seen[1] - seen[0] == effect.amount


def test_a_purged_symbol_is_unknown_from_that_day_on(faulty: World) -> None:
    effect = effects(faulty, "symbol_purged")[0]
    at_us = day_ms(effect.date) * 1000
    for hours, status in ((12, 200), (16, 400)):
        for asker in asking(faulty, effect.account, at_us + hours * HOUR_MS * 1000):
            assert asker.ask(spot.PATH, symbol=effect.note).status_code == status
            listed = {row["symbol"] for row in asker.http.get("/api/v3/exchangeInfo").json()["symbols"]}
            assert (effect.note in listed) == (status == 200)


def test_a_race_is_set_off_by_the_first_read_of_the_wallet(faulty: World) -> None:
    [effect] = effects(faulty, "capture_race")
    world = make_world(7, faults=list(FAULTS))  # a race changes its world
    path = "/sapi/v1/asset/get-funding-asset"
    start_us = (day_ms(effect.date) + DAY_MS + HOUR_MS) * 1000
    for asker in asking(world, effect.account, start_us):
        first, second = (asker.get(path, "POST") for _ in range(2))
        assert first == second
        assert asker.now_us() == start_us + 1_000_000
        kinds = [asker.get(transfers.PATH, type=kind)["rows"][0] for kind in ("FUNDING_MAIN", "MAIN_FUNDING")]
        assert all(start_us // 1000 < row["timestamp"] < start_us // 1000 + 1000 for row in kinds)


def test_an_endpoint_that_is_down_answers_one_account_with_a_page(faulty: World) -> None:
    effect = effects(faulty, "endpoint_down")[0]
    assert effect.gone_by_as_of_day is not None
    for day, is_html in ((effect.from_as_of_day, True), (effect.gone_by_as_of_day, False)):
        for asker in asking(faulty, effect.account, (day_ms(day) + 2 * HOUR_MS) * 1000):
            answer = asker.ask(income.REBATES)
            assert (answer.status_code, answer.text.startswith("<html>")) == (200, is_html)


def test_where_an_endpoint_is_down_only_rows_of_what_was_held_have_to_be_open() -> None:
    world = make_world(5, days=14, subs=1, symbols_max=250, faults=["endpoint_down", "endpoint_garbled"])
    days = {(e.account, e.date) for e in world.plants.effects if e.kind == "review"}
    came_and_went = 0
    for effect in world.plants.effects:
        if effect.kind == "row" and (effect.account, effect.date) in days:
            ends_us = (day_ms(effect.date) * 1000 - 1, (day_ms(effect.date) + DAY_MS) * 1000 - 1)
            is_held = any(world.ledger.at(at_us, effect.account, "SPOT").get(effect.asset) for at_us in ends_us)
            assert effect.is_required == is_held, effect
            came_and_went += not is_held
    assert came_and_went


@pytest.mark.parametrize(
    "fault",
    [pytest.param(name, marks=pytest.mark.long) for name in ("snapshot_stale", "snapshot_missing")]
    + ["snapshot_of_wrong_day"],
)
def test_a_snapshot_is_spoiled_only_where_a_told_one_follows_within_the_days_that_are_judged(fault: str) -> None:
    for seed in range(1, 5):
        world = make_world(seed, days=8, subs=1, symbols_max=250, faults=[fault])
        assert [day for _, _, day in world.plants.snapshots] == [world.days[2]], "the last that is judged is days[3]"


def test_trouble_comes_in_every_kind_and_asking_again_helps() -> None:
    world = make_world(3, transport=NAMES, without=("derivatives", "earn", "loans"))
    with serve(world, at_us=world.end_ms * 1000, hang_s=0.2) as sandbox:
        sandbox.site.gate.trouble.percent = 60
        seen: Counter[str] = Counter()
        with httpx.Client(base_url=sandbox.url, timeout=5) as http:
            asker = Asker(http, sandbox.credentials[MAIN])
            for number in range(200):
                http.post("/sandbox/clock/advance", json={"to_us": asker.now_us() + 300_000_000})
                for path, params in (
                    (income.DIVIDENDS, {"limit": 500}),
                    (transfers.PATH, {"type": "MAIN_FUNDING", "current": 1 + number}),
                    (spot.PATH, {"symbol": "BTCUSDT"}),
                ):
                    try:
                        answer = asker.ask(path, **params)
                        json.loads(answer.content)
                    except (httpx.TransportError, ValueError) as error:
                        seen[type(error).__name__] += 1
                    else:
                        seen[str(answer.status_code)] += 1
        faults = Counter(entry["fault"] for entry in sandbox.log if entry["fault"])
    assert set(faults) >= {*BEFORE, "truncated", "malformed", "duplicated_page"} - {"ban"}
    assert {"ReadError", "RemoteProtocolError", "JSONDecodeError", "200", "500", "503", "418", "400"} <= set(seen)


def test_a_skewed_clock_refuses_what_is_on_time() -> None:
    world = make_world(3, transport=("clock_skew",), without=("derivatives", "earn", "loans"))
    codes: Counter[Any] = Counter()
    with serve(world, at_us=world.end_ms * 1000) as sandbox, httpx.Client(base_url=sandbox.url) as http:
        asker = Asker(http, sandbox.credentials[MAIN])
        for _ in range(20):
            http.post("/sandbox/clock/advance", json={"to_us": asker.now_us() + 6 * HOUR_MS * 1000})
            off_ms = http.get("/api/v3/time").json()["serverTime"] - asker.now_us() // 1000
            answer = asker.ask(income.DIVIDENDS)
            codes[off_ms, answer.status_code] += 1
    assert {status for off, status in codes if off in (0, 900, 1700)} == {200}
    assert {status for off, status in codes if off in (-2500, -6000)} == {400}
