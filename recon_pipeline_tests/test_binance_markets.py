"""Markets and what they tell: trades told in two ways, lists that lose markets, and the turn of each."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from recon_pipeline.api_settings import DOUBTS, ApiAccount, ApiSettings
from recon_pipeline.config import VenueSettings, load_settings
from recon_pipeline.frames.faults import place_of
from recon_pipeline.sandbox.binance import World, make_world
from recon_pipeline.sandbox.binance.book import Move, Record
from recon_pipeline.sandbox.binance.gate import Asked, Told
from recon_pipeline.sandbox.binance.life import orders, spot
from recon_pipeline.sandbox.binance.moments import HOUR_MS, day_ms
from recon_pipeline.sandbox.binance.plants import Outage, SnapshotFault
from recon_pipeline.stores.coverage import coverage_spans
from recon_pipeline.stores.database import connection
from recon_pipeline.stores.export import export_marts
from recon_pipeline.stores.raw import RawStore, SymbolAsked
from recon_pipeline.stores.raw import Told as Raw
from recon_pipeline.venues.binance.accounts import EVERYBODY
from recon_pipeline.venues.binance.markets import LISTED
from recon_pipeline.venues.binance.reading import MARKETS, read_mapped
from recon_pipeline.venues.binance.session import START_DAYS
from recon_pipeline.venues.binance.trades import Trades
from recon_pipeline.venues.sources import needed_of
from recon_pipeline_tests.binance_home import BinanceHome, binance_home, midnight
from recon_pipeline_tests.binance_samples import sample
from recon_pipeline_tests.test_binance_open_days import (
    DESK,
    MAIN,
    QUIET,
    REFUSED,
    day,
    outage,
    quiet_world,
    spot_of,
    trade,
)

pytestmark = pytest.mark.postgres
RESTRICTIONS = "/sapi/v1/account/apiRestrictions"
WRONG = {"qty": "99.00000000", "quoteQty": "198.00000000"}


def test_a_market_that_is_listed_again_may_number_its_trades_anew(database: str) -> None:
    def told(number: int, last_id: int | None, purged_after: datetime | None = None) -> SymbolAsked:
        at = midnight(day(number))
        return SymbolAsked("LUNAUSDT", at, midnight(day(1)), at, last_id, at, purged_after)

    with closing(RawStore(database, "binance")) as raw:
        for asked in (told(2, 900), told(3, 800), told(3, None, midnight(day(3)))):
            raw.keep_symbols(MAIN, "spot_trades", [asked], ())
            assert [row.last_id for row in raw.asked_symbols("spot_trades")] == [900]
        raw.keep_symbols(MAIN, "spot_trades", [told(4, 5)], ())
        assert [(row.last_id, row.purged_after) for row in raw.asked_symbols("spot_trades")] == [(5, None)]


def test_an_earlier_part_that_does_not_reach_what_was_asked_before_stands_alone(database: str) -> None:
    """Else what lies between the two would count as asked: the rest of a market is asked for part by part."""

    def told(first: int, last: int, last_id: int) -> SymbolAsked:
        return SymbolAsked("LUNAUSDT", midnight(day(9)), midnight(day(first)), midnight(day(last)), last_id)

    with closing(RawStore(database, "binance")) as raw:
        for asked, stands in (
            (told(5, 8, 900), (5, 8, 900)), (told(1, 3, 300), (1, 3, 300)), (told(1, 6, 600), (1, 6, 600)),
            (told(5, 8, 900), (1, 8, 900)), (told(1, 5, 500), (1, 8, 900))
        ):  # fmt: skip
            raw.keep_symbols(MAIN, "spot_trades", [asked], ())
            (row,) = raw.asked_symbols("spot_trades")
            assert (row.asked_from.day, row.asked_through.day, row.last_id) == stands


def edit_answers(
    home: BinanceHome, environment: pytest.MonkeyPatch, path: str, edit: Callable[[Any, Asked], Any]
) -> None:
    """Have what an endpoint answers edited; while `edit` returns None it is told as it is."""
    gate = home.sandbox.site.gate
    truly = gate.tell

    def edited(asked: Asked, now_us: int) -> Told:
        answer = truly(asked, now_us)
        if asked.path != path or answer.status != 200:
            return answer
        body = edit(json.loads(answer.body), asked)
        return answer if body is None else replace(answer, body=json.dumps(body).encode())

    environment.setattr(gate, "tell", edited)


def allocate(world: World, symbol: str, at_ms: int, number: int, *, is_buyer: bool = True) -> None:
    """A fill of a routed order."""
    market, sign = world.market.symbols[symbol], 1 if is_buyer else -1
    ref = f"{orders.ALLOCATIONS} {symbol}"
    for asset, moved in ((market.base, Decimal(sign)), (market.quote, Decimal(-2 * sign))):
        world.ledger.post(Move(at_ms * 1000, MAIN, "SPOT", asset, moved, "balance", ref))
    content = {
        "symbol": symbol, "allocationId": number, "allocationType": "SOR", "orderId": 500 + number, "orderListId": -1,
        "price": "2.00000000", "qty": "1.00000000", "quoteQty": "2.00000000", "commission": "0.00000000",
        "commissionAsset": market.quote, "time": at_ms, "isBuyer": is_buyer, "isMaker": False, "isAllocator": False,
    }  # fmt: skip
    record = Record(at_ms, number)
    record.change(at_ms * 1000, content)
    world.archive.add(MAIN, ref, record)


def run_days(home: BinanceHome, first: int, last: int) -> None:
    """Run these days, each when it is due."""
    for number in range(first, last + 1):
        home.run(day(number), day(number))


def off(home: BinanceHome) -> set[date]:
    """The days on which SPOT is not matched."""
    return spot_of(home, "incomplete") | spot_of(home, "variance")


@pytest.mark.long
def test_a_trade_told_in_two_ways_in_one_page_is_believed_once_it_is_told_in_one(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    trade(world, "LINKUSDT", day_ms(day(4)) + 9 * HOUR_MS, is_buyer=True, quantity="10", price="2")
    is_wrong = True

    def twice(rows: Any, _: Asked) -> Any:
        return [{**rows[0], **WRONG}, *rows] if rows and is_wrong else None

    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        edit_answers(home, monkeypatch, spot.PATH, twice)
        run_days(home, 3, 4)
        assert (spot_of(home, "incomplete"), spot_of(home, "variance")) == ({day(4)}, set())
        ((stream, fid),) = home.ask("SELECT DISTINCT file, line FROM recon.quarantine WHERE error = 'RecordDoubted'")
        assert home.ask(f"SELECT stream, is_doubted FROM recon.raw_records WHERE fid = {fid}") == [(stream, True)]
        assert place_of(stream, fid) == f"{stream}, fid {fid} of recon.raw_records"
        is_wrong = False
        run_days(home, 5, 5)
        assert off(home) == set()
        assert home.ask("SELECT DISTINCT trades FROM recon.asked_symbols WHERE symbol = 'LINKUSDT'") == [(1,)]


@pytest.mark.long
def test_a_trade_that_ends_one_page_and_begins_the_next_counts_once_if_both_tell_the_same(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    for number in range(1_001):
        at_ms = day_ms(day(4)) + 9 * HOUR_MS + number
        trade(world, "LINKUSDT", at_ms, is_buyer=True, quantity="1", price="2")
    is_wrong = False

    def other_words(rows: Any, asked: Asked) -> Any:
        # the second page begins with the trade that ends the first
        return [{**rows[0], **WRONG}, *rows[1:]] if len(rows) == 2 and is_wrong else None

    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        edit_answers(home, monkeypatch, spot.PATH, other_words)
        run_days(home, 3, 3)
        is_wrong = True
        run_days(home, 4, 4)
        assert (spot_of(home, "incomplete"), spot_of(home, "variance")) == ({day(4)}, set())
        is_wrong = False
        run_days(home, 5, 5)
        assert off(home) == set()
        told = home.ask("SELECT trades FROM recon.asked_symbols WHERE symbol = 'LINKUSDT' AND stream = 'spot_trades'")
        assert told == [(1_001,)]


def test_a_trade_that_could_not_be_read_is_asked_for_until_it_can(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one came after it meanwhile, and the asking went on from there."""
    world = quiet_world()
    for number in (4, 5):
        at_ms = day_ms(day(number)) + 9 * HOUR_MS + number
        trade(world, "LINKUSDT", at_ms, is_buyer=True, quantity="10", price="2")
    is_wrong = True

    def unreadable(rows: Any, _: Asked) -> Any:
        wrong = {"qty": "ten"}
        return [row | (wrong if row["time"] < day_ms(day(5)) else {}) for row in rows] if is_wrong else None

    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        edit_answers(home, monkeypatch, spot.PATH, unreadable)
        run_days(home, 3, 5)
        assert off(home) == {day(4)}
        assert spot_of(home, "incomplete") == {day(4)}
        # where something is missing no variance is told, and no zero that would look like a match
        view = "SELECT DISTINCT variance_in_asset FROM marts.binance_reconciliation_balances WHERE date = :on"
        assert home.ask(f"{view} AND asset = 'LINK'", on=day(4)) == [(None,)]
        export_marts(home.url, tmp_path / "files")
        with (tmp_path / "files" / "binance_reconciliation_summary.csv").open(encoding="utf-8", newline="") as file:
            variances = {(row["date"], row["asset"]): row["variance"] for row in csv.DictReader(file)}
        assert (variances[f"{day(4)}", "LINK"], variances[f"{day(5)}", "LINK"]) == ("", "0")
        is_wrong = False
        run_days(home, 6, 6)
        assert off(home) == set()
        told = home.ask("SELECT trades FROM recon.asked_symbols WHERE symbol = 'LINKUSDT' AND stream = 'spot_trades'")
        assert told == [(2,)]


@pytest.mark.long
def test_a_trade_that_comes_back_under_another_name_takes_the_place_of_the_one_that_could_not_be_read(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who bought is told as text, which says nothing; the sale that it was has a name of its own. An answer that tells
    of nothing in between changes nothing."""
    world = quiet_world()
    trade(world, "LINKUSDT", day_ms(day(4)) + 9 * HOUR_MS, is_buyer=False, quantity="10", price="2")
    told = "wrong"

    def unreadable(rows: Any, _: Asked) -> Any:
        return {"wrong": [row | {"isBuyer": "false"} for row in rows], "nothing": []}.get(told)

    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        edit_answers(home, monkeypatch, spot.PATH, unreadable)
        run_days(home, 3, 5)
        assert spot_of(home, "incomplete") == {day(4)}
        told = "nothing"
        run_days(home, 6, 6)
        assert spot_of(home, "incomplete") == {day(4)}
        told = "right"
        run_days(home, 7, 7)
        assert off(home) == set()
        sold = "SELECT amount FROM marts.binance_reconciliation_trades WHERE asset = 'LINK'"
        assert home.ask(sold) == [(-10,)]
        assert home.ask("SELECT stream FROM recon.errors WHERE name = 'RecordGone'") == [("spot_trades",)]


def settings_of(folder: Path) -> tuple[VenueSettings, ApiSettings]:
    """Of a venue of one account."""
    doubts = {name: readings[0] for name, readings in DOUBTS["binance"].items()}
    api = ApiSettings({MAIN: ApiAccount(MAIN, "x")}, None, doubts, Decimal(1))
    return VenueSettings("binance", "binance", folder, {}, None, "daily", 1, day(3), (), ("balance",), api), api


def test_what_is_doubtful_of_a_trade_says_whether_it_may_have_another_name_once_it_can_be_read(
    tmp_path: Path, database: str
) -> None:
    """Its name says on which side it was, and of which listing; how much was traded is no part of it."""
    venue, api = settings_of(tmp_path)
    at = midnight(day(4))
    right: dict[str, Any] = {"id": 7, "orderId": 8, "time": day_ms(day(4)), "isBuyer": True, "isMaker": False}
    right |= {"price": "2", "qty": "1", "quoteQty": "2", "commission": "0", "commissionAsset": "BNB"}
    wrong: list[dict[str, Any]] = [{}, {"qty": "ten"}, {"isBuyer": "true"}, {"time": "soon"}]
    told = []
    for number, fields in enumerate(wrong):
        symbol = f"COIN{number}USDT"
        content = {"symbol": symbol, **right, **fields}
        told.append(Raw(f"{symbol}:7", {"symbol": symbol}, content, None if "time" in fields else at, None))
    markets = [
        {"symbol": f"COIN{number}USDT", "baseAsset": f"COIN{number}", "quoteAsset": "USDT"} for number in range(4)
    ]
    with closing(RawStore(database, "binance")) as raw:
        raw.keep(EVERYBODY, MARKETS, [Raw(each["symbol"], {}, each, None, None) for each in markets], {}, at)
        raw.keep(MAIN, "spot_trades", told, {}, at)
        found = read_mapped(venue, api, raw).doubtful
    assert {symbol: (each.since, each.misnamed) for (_, _, symbol), each in found.items()} == {
        "COIN1USDT": (at, {}),
        "COIN2USDT": (at, {"COIN2USDT:7": at}),
        "COIN3USDT": (None, {"COIN3USDT:7": None}),
    }


@pytest.mark.parametrize(
    ("other", "places"),
    [
        ({"coin": "ETH"}, {("SPOT", "BTC", 6), ("SPOT", "ETH", 6)}),
        ({"walletType": 1}, {("SPOT", "BTC", 6), ("FUNDING", "BTC", 6)}),
        ({"completeTime": day_ms(day(7))}, {("SPOT", "BTC", 6), ("SPOT", "BTC", 7)}),
        ({"address": "elsewhere"}, {("SPOT", "BTC", 6)}),
    ],
)
def test_what_is_told_in_two_ways_spoils_what_either_may_have_moved(
    tmp_path: Path, database: str, other: dict[str, Any], places: set[tuple[str, str, int]]
) -> None:
    """On the day on which it counts, whichever day the venue files it under."""
    venue, api = settings_of(tmp_path)
    one = {**sample("deposits").content, "coin": "BTC", "insertTime": day_ms(day(4)), "completeTime": day_ms(day(6))}
    told = [Raw("7", {}, content, midnight(day(4)), None) for content in (one, one | other)]
    with closing(RawStore(database, "binance")) as raw:
        raw.keep(MAIN, "deposits", told, {}, midnight(day(7)))
        spoiled = read_mapped(venue, api, raw).reading.quarantine.to_pylist()
    assert {(row["wallet"], row["asset"], row["instant"].date()) for row in spoiled} == {
        (wallet, asset, day(number)) for wallet, asset, number in places
    }
    assert len(spoiled) == len(places)


LIST = "/api/v3/exchangeInfo"


def without(*symbols: str) -> Callable[[Any], Any]:
    """A list of markets that leaves some out."""
    return lambda body: {**body, "symbols": [row for row in body["symbols"] if row["symbol"] not in symbols]}


@pytest.mark.long
def test_a_list_of_markets_that_is_empty_once_or_told_in_two_ways_leaves_the_last_one_standing(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits: list[Callable[[Any], Any]] = []
    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(3)) as home:
        edit_answers(home, monkeypatch, LIST, lambda body, _: edits.pop(0)(body) if edits else None)
        run_days(home, 3, 3)
        edits += [lambda body: {**body, "symbols": []}]
        run_days(home, 4, 4)
        assert [type(each).__name__ for each in home.problems] == ["UnexpectedAnswer"]
        edits += [without("ETHBTC", "LINKUSDT"), without("ETHBTC")]
        run_days(home, 5, 5)
        assert [type(each).__name__ for each in home.problems] == ["ReadsDiffer"]
        edits += [without("ETHBTC", "LINKUSDT")]
        run_days(home, 6, 6)
        assert (edits, off(home)) == ([], set())
        assert home.ask("SELECT symbol FROM recon.asked_symbols WHERE purged_after IS NOT NULL") == []
        assert home.ask("SELECT count(*) FROM recon.raw_records WHERE stream = 'listed'") == [(1,)]


@pytest.mark.long
def test_markets_that_are_listed_again_are_a_hole_until_they_were_asked(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the sub-account, which trades nothing, none is asked again: the volumes of its days say enough."""
    gone = without("ETHBTC", "LINKUSDT")
    edits: list[Callable[[Any], Any]] = []
    with binance_home(quiet_world(subs=1), tmp_path, database, monkeypatch, start=day(3)) as home:
        edit_answers(home, monkeypatch, LIST, lambda body, _: edits.pop(0)(body) if edits else None)
        run_days(home, 3, 4)
        edits += [gone, gone]
        run_days(home, 5, 5)
        assert spot_of(home, "incomplete") != set()
        run_days(home, 6, 7)
        assert (edits, off(home)) == ([], set())
        assert home.ask("SELECT symbol FROM recon.asked_symbols WHERE purged_after IS NOT NULL") == []


@pytest.mark.parametrize(
    "is_run_between", [False, pytest.param(True, marks=pytest.mark.long)], ids=["unnoticed", "in a run between"]
)
def test_a_market_that_comes_back_and_numbers_its_fills_anew_loses_none_of_its_first(
    *, is_run_between: bool, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both fills have one number; those of the first listing are told no more. So it is of routed orders."""
    world = quiet_world()
    for number in (4, 8):
        trade(world, "LINKUSDT", day_ms(day(number)) + 9 * HOUR_MS, is_buyer=True, quantity="10", price="2")
        allocate(world, "BTCUSDT", day_ms(day(number)) + 10 * HOUR_MS, 7)
    is_gone = False

    def listed(body: Any, _: Asked) -> Any:
        return without("LINKUSDT", "BTCUSDT")(body) if is_gone else None

    def of_this_listing(rows: Any, _: Asked) -> Any:
        return [row for row in rows if row["time"] > day_ms(day(8))] if home.now > midnight(day(9)) else None

    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        edit_answers(home, monkeypatch, LIST, listed)
        edit_answers(home, monkeypatch, spot.PATH, of_this_listing)
        edit_answers(home, monkeypatch, orders.ALLOCATIONS, of_this_listing)
        run_days(home, 3, 4)
        is_gone = True
        home.capture_days(day(6), day(6))
        if is_run_between:
            run_days(home, 5, 5)
        is_gone = False
        home.capture_days(day(7), day(8))
        home.run(day(6 if is_run_between else 5), day(8))
        told = home.ask(
            "SELECT date(datetime), agg_id, count(*) FROM marts.binance_reconciliation_trades"
            " WHERE symbol = :symbol GROUP BY 1, 2 ORDER BY 1", symbol="LINKUSDT",
        )  # fmt: skip
        assert [(on, legs) for on, _, legs in told] == [(day(4), 2), (day(8), 2)]
        assert len({number for _, number, _ in told}) == 1
        routed = "SELECT date(datetime), count(*) FROM recon.trades WHERE source = 'allocations' GROUP BY 1 ORDER BY 1"
        assert home.ask(routed) == [(day(4), 2), (day(8), 2)]
        assert off(home) == set()
        assert home.ask("SELECT count(*) FROM recon.errors WHERE name = 'RecordChanged'") == [(0,)]


def test_a_trade_whose_instant_could_not_be_read_is_told_rightly_once_its_market_is_listed_again(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could say of which listing it was; it was of the first."""
    world = quiet_world()
    trade(world, "LINKUSDT", day_ms(day(4)) + 9 * HOUR_MS, is_buyer=True, quantity="10", price="2")
    is_gone, is_wrong = False, True

    def unreadable(rows: Any, _: Asked) -> Any:
        return [{**row, "time": "soon"} for row in rows] if is_wrong else None

    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        edit_answers(home, monkeypatch, LIST, lambda body, _: without("LINKUSDT")(body) if is_gone else None)
        edit_answers(home, monkeypatch, spot.PATH, unreadable)
        home.capture_days(day(2), day(2))
        is_gone = True
        home.capture_days(day(4), day(4))
        is_gone = False
        home.capture_days(day(5), day(5))
        home.run(day(3), day(5))
        assert day(4) in spot_of(home, "incomplete")
        is_wrong = False
        home.run(day(6), day(6))
        assert off(home) == set()
        of_link = "SELECT count(*) FROM recon.trades WHERE asset = 'LINK' AND retired_at IS NULL"
        assert home.ask(of_link) == [(1,)]


def test_a_trade_that_stands_keeps_its_name_whatever_list_is_read_meanwhile(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A capture reads a list that wrongly leaves the market out, while a run asks for a trade that was made since. The
    next run is told one field more of every trade."""
    world = quiet_world()
    trade(world, "LINKUSDT", day_ms(day(7)) - 150_000, is_buyer=True, quantity="3", price="2")
    late = midnight(day(7)) - timedelta(minutes=2)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:

        def read_a_list(rows: Any, asked: Asked) -> Any:
            if home.now >= midnight(day(7)):
                return [{**row, "tradeGroupId": -1} for row in rows]
            if b"symbol=LINKUSDT" in asked.query:
                with closing(RawStore(home.url, "binance")) as raw:
                    (row,) = raw.records([LISTED])
                    markets = [market for market in row.content["markets"] if market[0] != "LINKUSDT"]
                    told = Raw(LISTED, {}, {**row.content, "markets": markets}, None, None)
                    raw.keep(EVERYBODY, LISTED, [told], {}, late - timedelta(minutes=1))
            return None

        edit_answers(home, monkeypatch, spot.PATH, read_a_list)
        trade(world, "LINKUSDT", day_ms(day(4)) + 9 * HOUR_MS, is_buyer=True, quantity="10", price="2")
        home.run(day(3), day(4), when=late)
        home.run(day(5), day(7))
        assert off(home) == set()
        assert home.ask("SELECT count(*) FROM recon.trades WHERE asset = 'LINK' AND retired_at IS NULL") == [(2,)]


def holes_of(home: BinanceHome, email: str) -> set[date]:
    """The days on which SPOT of an account is incomplete."""
    query = "SELECT date FROM recon.reconciliation WHERE wallet = 'SPOT' AND status = 'incomplete' AND account = :email"
    return {on for (on,) in home.ask(query, email=email)}


@pytest.mark.long
def test_a_market_that_leaves_opens_no_day_on_which_an_account_traded_nothing(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=13, subs=1, symbols_max=250, burst_max=5, without=QUIET)
    world.market.purged_us["LINKUSDT"] = (day_ms(day(8)) + 15 * HOUR_MS) * 1000
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        run_days(home, 3, 6)
        assert off(home) == set()
        for number in (7, 8, 9):
            run_days(home, number, number)
            assert holes_of(home, DESK) == set()
        assert holes_of(home, MAIN) != set()


def test_a_market_that_leaves_before_its_routed_fills_could_be_asked_for_is_a_hole(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They bought and sold, and left nothing unexplained; its trades were asked for."""
    world = quiet_world()
    for number, is_buyer in ((7, True), (8, False)):
        allocate(world, "BTCUSDT", day_ms(day(4)) + (3 + number) * HOUR_MS, number, is_buyer=is_buyer)
    world.plants.outages += [
        outage(orders.ALLOCATIONS, day(each), b"<html>", content_type="text/html") for each in (5, 6)
    ]
    is_gone = False
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        edit_answers(home, monkeypatch, LIST, lambda body, _: without("BTCUSDT")(body) if is_gone else None)
        run_days(home, 3, 4)
        is_gone = True
        run_days(home, 5, 5)
        assert holes_of(home, MAIN) == {day(3), day(4), day(5)}
        purged = "SELECT stream, window_start < :at FROM recon.coverage WHERE error = 'SymbolPurged'"
        assert set(home.ask(purged, at=midnight(day(3)))) == {("allocations", True), ("spot_trades", False)}
        is_gone = False
        run_days(home, 6, 6)
        assert off(home) == set()
        assert home.ask("SELECT count(*) FROM recon.trades WHERE source = 'allocations'") == [(4,)]


@pytest.mark.long
def test_a_start_that_moves_earlier_finds_a_hole_where_a_market_that_left_was_not_asked(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=17, subs=0, symbols_max=250, burst_max=5, without=QUIET)
    for number in (4, 12):
        trade(world, "LINKUSDT", day_ms(day(number)) + 9 * HOUR_MS, is_buyer=True, quantity="10", price="2")
    world.market.purged_us["LINKUSDT"] = (day_ms(day(14)) + 15 * HOUR_MS) * 1000
    with binance_home(world, tmp_path, database, monkeypatch, start=day(12)) as home:
        run_days(home, 12, 13)
        config = tmp_path / "recon.yaml"
        config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"start": day(3)}))
        home.settings = load_settings(config, {"RECON_HOME": str(tmp_path / "home"), "RECON_DATABASE_URL": database})
        home.run(day(3), day(11))
        assert spot_of(home, "variance") == set()
        assert {day(3), day(4)} <= spot_of(home, "incomplete")
        # of these it was asked before it left
        assert {day(6), day(7), day(8)} & spot_of(home, "incomplete") == set()


@pytest.mark.long
def test_markets_whose_orders_are_routed_no_more_are_asked_for_allocations_all_the_same(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(3)) as home:
        run_days(home, 3, 3)
        edit_answers(home, monkeypatch, LIST, lambda body, _: {**body, "sors": []})
        begun = len(home.sandbox.site.gate.log)
        run_days(home, 4, 5)
        asked = [entry["params"]["symbol"] for entry in home.sandbox.site.gate.log[begun:] if "myAll" in entry["path"]]
        assert sorted(set(asked)) == ["BTCUSDC", "BTCUSDT"]
        assert home.ask("SELECT DISTINCT status FROM recon.pulls WHERE stream = 'allocations'") == [("final",)]


@pytest.mark.long
def test_orders_are_looked_through_once_for_each_market_that_is_unexplained_on_a_day(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else was looked for on that day."""
    world = quiet_world()
    at_us = (day_ms(day(4)) + 9 * HOUR_MS) * 1000
    for asset, moved in (("LINK", "10"), ("USDT", "-20")):
        world.ledger.post(Move(at_us, MAIN, "SPOT", asset, Decimal(moved), "balance", "untold"))
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:

        def looked_through(number: int) -> set[str]:
            begun = len(home.sandbox.site.gate.log)
            run_days(home, number, number)
            return {each["params"]["symbol"] for each in home.sandbox.site.gate.log[begun:] if "allOr" in each["path"]}

        assert [looked_through(number) for number in (3, 4, 5)] == [set(), {"LINKUSDT"}, set()]
        with connection(home.url, "as if another market had been unexplained then") as opened:
            opened.execute(sa.text("UPDATE recon.pulls SET calls = 'ETHBTC' WHERE stream = 'prevented_matches'"))
        assert [looked_through(number) for number in (6, 7)] == [{"LINKUSDT"}, set()]
        assert spot_of(home, "variance") == {day(4)}


def statuses(home: BinanceHome) -> dict[date, str]:
    """How the trades of each day stand."""
    return dict(home.ask("SELECT date, status FROM recon.pulls WHERE stream = 'spot_trades'"))


@pytest.mark.long
def test_a_day_that_is_run_again_is_judged_by_the_snapshots_after_it(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    world.plants.snapshots[MAIN, "SPOT", day(5)] = SnapshotFault(is_hidden=True)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        run_days(home, 3, 6)
        before = statuses(home), spot_of(home, "incomplete")
        days = [day(number) for number in range(3 - START_DAYS, 7)]  # the first window may begin before the start
        assert before == (dict.fromkeys(days, "complete"), {day(5)})
        home.run(day(5), day(5))
        assert (statuses(home), spot_of(home, "incomplete")) == before


def spot_coverage(home: BinanceHome, *, only_holes: bool) -> set[tuple[str, str, date, date]]:
    """Of the snapshots and trades of SPOT what was not read, as `recon coverage` tells it: stream, status and days."""
    spans = coverage_spans(home.url, {"binance": needed_of(home.settings, "binance")}, only_holes=only_holes)
    return {
        (row["stream"], row["status"], row["from"], row["to"])
        for row in spans
        if row["stream"] in ("spot_snapshots", "spot_trades") and row["status"] not in ("complete", "final")
    }


def test_a_first_window_that_begins_before_the_start_rests_on_what_was_read_of_its_days(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot of the day before the start lacks, and a trade of that day is told by the second run. What lacks
    before that window nothing rests on."""
    world = quiet_world()
    for number in (2, 4):
        world.plants.snapshots[MAIN, "SPOT", day(number)] = SnapshotFault(is_hidden=True)
    trade(world, "LINKUSDT", day_ms(day(4)) + 9 * HOUR_MS, is_buyer=True, quantity="10", price="2")
    world.plants.outages.append(outage(spot.PATH, day(7), b"<html>sorry</html>", content_type="text/html"))
    lacking = {("spot_snapshots", "partial", day(4), day(4))}
    with binance_home(world, tmp_path, database, monkeypatch, start=day(5)) as home:
        run_days(home, 5, 5)
        assert spot_of(home, "incomplete") == {day(5)}
        assert spot_coverage(home, only_holes=True) == lacking | {("spot_trades", "partial", day(4), day(5))}
        assert spot_coverage(home, only_holes=False) - spot_coverage(home, only_holes=True) == {
            ("spot_snapshots", "before_start", day(2), day(2)),
            ("spot_trades", "before_start", day(5) - timedelta(days=START_DAYS), day(3)),
        }
        run_days(home, 6, 6)
        assert off(home) == set()
        assert statuses(home)[day(4)] == "complete"
        assert spot_coverage(home, only_holes=True) == lacking
        # prices are asked for from the start on, and of two days before
        log = home.sandbox.site.gate.log
        of_prices = [int(entry["params"]["startTime"]) for entry in log if entry["path"].endswith("/klines")]
        assert min(of_prices) == day_ms(day(3))


def round_trip(world: World, on: date) -> None:
    """A coin is bought for one stablecoin and sold for another, and that for the first, to the last decimal."""
    nine, symbols = day_ms(on) + 9 * HOUR_MS, world.market.symbols
    bases = sorted(each.base for each in symbols.values() if each.quote == "USDT" and each.base > "G")
    coin = next(base for base in bases if f"{base}USDC" in symbols)
    trade(world, f"{coin}USDT", nine, is_buyer=True, quantity="10", price="2")
    trade(world, f"{coin}USDC", nine + 1000, is_buyer=False, quantity="10", price="2")
    trade(world, "USDCUSDT", nine + 2000, is_buyer=False, quantity="20", price="1")


@pytest.mark.long
def test_what_the_rotation_of_an_older_run_finds_of_a_later_day_is_searched_for_at_once(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=16, subs=0, symbols_max=150, burst_max=5, without=QUIET)
    round_trip(world, day(6))
    trades = "SELECT count(*) FROM recon.trades WHERE retired_at IS NULL"
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.run(day(6), day(6))
        assert home.ask(trades) == [(0,)]
        for number in range(9, 14):
            home.run(day(3), day(5), when=midnight(day(number)) + timedelta(hours=2))
            assert spot_of(home, "variance") == set()
        assert home.ask(trades) == [(6,)]


@pytest.mark.long
def test_what_came_to_light_before_a_key_was_refused_leaves_its_day_incomplete(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rotation finds one side of a round trip, and the run is killed before it searches for the others."""
    world = make_world(21, days=16, subs=0, symbols_max=250, burst_max=5, without=QUIET)
    round_trip(world, day(3))
    truly, killed = Trades._rotate, list[int]()

    def rotate(self: Trades, accounts: Iterable[str]) -> int:
        if (found := truly(self, accounts)) and not killed:
            killed.append(found)
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(Trades, "_rotate", rotate)
    number = 2
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        while not killed:
            number += 1
            with contextlib.suppress(KeyboardInterrupt):
                home.run(day(number), day(number))
        begin = int(home.now.timestamp() * 1_000_000)
        refused = Outage(MAIN, RESTRICTIONS, begin, begin + 6 * HOUR_MS * 1000, REFUSED, 401, "application/json")
        world.plants.outages.append(refused)
        home.run(day(number), day(number), when=home.now)
        assert day(3) in spot_of(home, "incomplete") - spot_of(home, "variance")
        home.run(day(number + 1), day(number + 1))
        assert off(home) == set()
