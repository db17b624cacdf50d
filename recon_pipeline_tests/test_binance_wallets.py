"""Whole runs over a convert out of FUNDING, which its record does not say: whatever comes late, all wallets close."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from recon_pipeline.sandbox.binance import World, make_world
from recon_pipeline.sandbox.binance.book import Move, Record
from recon_pipeline.sandbox.binance.moments import HOUR_MS, day_ms
from recon_pipeline.sandbox.binance.plants import SnapshotFault
from recon_pipeline.stores.raw import DayRead, RawStore
from recon_pipeline.venues.binance.placing import as_usual
from recon_pipeline.venues.binance.reading import Read, read_mapped
from recon_pipeline_tests.binance_home import BinanceHome, binance_home

pytestmark = pytest.mark.postgres
MAIN = "main@example.com"
FIRST = date(2026, 1, 3)
ONE_DAY = timedelta(days=1)
SPOT_ALONE = ("earn", "staking", "loans", "margin", "derivatives", "income", "fiat", "orders", "conversion")
DECIDED = "SELECT wallet FROM recon.wallet_decisions ORDER BY id"


def world_of_one_convert(days: int = 9) -> tuple[World, Record, date]:
    """A world, its only convert, and the day of that."""
    world = make_world(
        1, days=days, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE, faults=("convert_from_funding",)
    )
    (records,) = [records for _, name, records in world.archive.lists() if "tradeFlow" in name]
    (convert,) = records
    return world, convert, next(on for on in world.days if day_ms(on) <= convert.at_ms < day_ms(on + ONE_DAY))


def told(convert: Record) -> dict[str, Any]:
    return dict(convert.versions[-1][1] or {})


def add_round_trip(world: World, convert: Record, *, told_ms: int) -> None:
    """In SPOT the same once more, and back again; told later."""
    content, (path,) = told(convert), [name for _, name, _ in world.archive.lists() if "tradeFlow" in name]
    there = {name: content[name] for name in ("fromAsset", "fromAmount", "toAsset", "toAmount")}
    turned = ("toAsset", "toAmount", "fromAsset", "fromAmount")
    back = {name: content[other] for name, other in zip(there, turned, strict=True)}
    for nth, sides in enumerate((there, back), start=1):
        at_ms, order_id = convert.at_ms + nth * HOUR_MS, 940_708_407_400_000_001 + nth
        for asset, amount in (("fromAsset", -Decimal(sides["fromAmount"])), ("toAsset", Decimal(sides["toAmount"]))):
            world.ledger.post(Move(at_ms * 1000, MAIN, "SPOT", sides[asset], amount, "balance", str(order_id)))
        record = Record(at_ms, nth)
        record.change(told_ms * 1000, {**content, **sides, "orderId": order_id, "createTime": at_ms})
        world.archive.add(MAIN, path, record)


def assumed(home: BinanceHome) -> list[tuple[Any, ...]]:
    """What a person sees of the wallets of converts, which no record states."""
    return home.ask(
        "SELECT DISTINCT wallet, usual_wallet, is_decided, evidence IS NOT NULL FROM marts.assumed_wallets"
        " WHERE txn_subtype LIKE 'convert%' ORDER BY 1, 2, 3, 4"
    )


def read_of(home: BinanceHome) -> Read:
    venue = home.settings.venues["binance"]
    assert venue.api is not None
    with closing(RawStore(home.url, "binance")) as raw:
        return read_mapped(venue, venue.api, raw)


@pytest.mark.long
def test_a_convert_that_is_told_when_its_day_is_long_done_is_placed_by_the_run_that_reads_it(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, convert, on = world_of_one_convert()
    convert.versions = [((day_ms(on + 4 * ONE_DAY)) * 1000, told(convert))]
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(FIRST - ONE_DAY, on + ONE_DAY)
        home.run(FIRST, on + ONE_DAY)
        assert {row[2] for row in home.not_matched()} == {"FUNDING"}
        days = [FIRST + ONE_DAY * number for number in range(-1, (on - FIRST).days + 2)]
        with closing(RawStore(home.url, "binance")) as raw:  # as if the rotation had come round
            raw.mark(MAIN, "spot_trades", {each: DayRead("final") for each in days}, home.now)
        home.capture_days(on + 2 * ONE_DAY, on + 3 * ONE_DAY)
        home.run(on + 3 * ONE_DAY, on + 3 * ONE_DAY)
        assert home.ask(DECIDED) == [("FUNDING",)]
        assert [row for row in home.not_matched() if row[0] <= on + ONE_DAY] == []


@pytest.mark.long
def test_a_convert_of_a_day_without_a_snapshot_is_placed_by_the_run_that_closes_its_window(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _, on = world_of_one_convert()
    world.plants.snapshots[MAIN, "SPOT", on] = SnapshotFault(is_hidden=True)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(FIRST - ONE_DAY, on)
        home.run(FIRST, on)
        assert home.ask(DECIDED) == []
        home.capture_days(on + ONE_DAY, on + ONE_DAY)
        home.run(on + ONE_DAY, on + ONE_DAY)
        assert home.ask(DECIDED) == [("FUNDING",)]
        assert {(row[0], row[2], row[4]) for row in home.not_matched()} == {(on, "SPOT", "incomplete")}


@pytest.mark.long
def test_a_decision_is_withdrawn_by_the_run_that_reads_an_equal_convert_and_by_no_other(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, convert, on = world_of_one_convert()
    add_round_trip(world, convert, told_ms=day_ms(on + 3 * ONE_DAY) + 12 * HOUR_MS)
    moved = {asset: Decimal(told(convert)[amount]) for asset, amount in (("BNB", "toAmount"), ("USDT", "fromAmount"))}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(FIRST - ONE_DAY, on)
        home.run(FIRST, on)
        assert (home.ask(DECIDED), home.not_matched()) == ([("FUNDING",)], [])
        assert assumed(home) == [("FUNDING", "SPOT", True, True)]
        for later, stored in ((on + ONE_DAY, [("FUNDING",)]), (on + 2 * ONE_DAY, [("FUNDING",), (None,)])):
            home.capture_days(later, later)
            home.run(later, later)
            assert home.ask(DECIDED) == stored
        assert assumed(home) == [("SPOT", "SPOT", False, False), ("SPOT", "SPOT", False, True)]
        off = {(row[2], row[3]): row[6] for row in home.not_matched()}
        assert {place: abs(amount) for place, amount in off.items()} == {
            (wallet, asset): amount for wallet in ("SPOT", "FUNDING") for asset, amount in moved.items()
        }


def test_nothing_is_left_of_a_decision_where_it_is_decided_anew(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _, on = world_of_one_convert()
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(FIRST - ONE_DAY, on)
        home.run(FIRST, on)
        decided = read_of(home)
        (convert,) = (each for each in decided.open.unplaced if each.decided)
        with closing(RawStore(home.url, "binance")) as raw:
            raw.decide(convert.raw_id, None, {})
        usual = read_of(home)
        for name in ("transfers", "trades"):
            assert as_usual(decided).frames[name].equals(usual.reading.frames[name])
        assert not decided.reading.frames["trades"].equals(usual.reading.frames["trades"])
        assert as_usual(usual) is usual.reading


def bank_withdrawal(world: World, number: int, made_ms: int, *, failed_ms: int | None = None) -> None:
    """30 EUR leave FUNDING, which no record says, and come back if it fails."""
    content = {
        "orderNo": f"w-{number}", "fiatCurrency": "EUR", "indicatedAmount": "30", "amount": "28.5", "totalFee": "1.5",
        "method": "BankAccount", "status": "Successful" if failed_ms is None else "Failed", "createTime": made_ms,
        "updateTime": failed_ms or made_ms,
    }  # fmt: skip
    for at_ms, amount in ((made_ms, -30), *([(failed_ms, 30)] if failed_ms is not None else [])):
        world.ledger.post(Move(at_ms * 1000, MAIN, "FUNDING", "EUR", Decimal(amount), "balance", f"w-{number}"))
    record = Record(made_ms, number)
    record.change((failed_ms or made_ms) * 1000, content)
    world.archive.add(MAIN, "/sapi/v1/fiat/orders 1", record)


def test_what_came_back_lies_where_it_had_left_from_and_tells_where_the_next_one_lies(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bank withdrawal fails two days later and is ordered again on that day: in one run each finds its wallet, though
    on that day nothing is off."""
    world = make_world(1, days=8, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    failed_ms = day_ms(FIRST + 3 * ONE_DAY) + 12 * HOUR_MS
    opening_us = day_ms(FIRST - ONE_DAY) * 1000
    world.ledger.post(Move(opening_us, MAIN, "FUNDING", "EUR", Decimal(100), "balance", "opening"))
    bank_withdrawal(world, 1, day_ms(FIRST + ONE_DAY) + 10 * HOUR_MS, failed_ms=failed_ms)
    bank_withdrawal(world, 2, failed_ms + 3 * HOUR_MS)
    last = FIRST + 4 * ONE_DAY
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(FIRST - ONE_DAY, last)
        home.run(FIRST, last)
        assert home.not_matched() == []
        assert home.ask(DECIDED) == [("FUNDING",), ("FUNDING",)]
        home.run(FIRST, last)
        assert (home.not_matched(), len(home.ask(DECIDED))) == ([], 2)
