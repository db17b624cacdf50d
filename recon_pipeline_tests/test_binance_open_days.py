"""Days that are not closed yet: what comes late is searched for, what failed is asked again."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any, cast

import pytest

from recon_pipeline.config import Settings
from recon_pipeline.sandbox.binance import World, make_world
from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.book import Move, Record
from recon_pipeline.sandbox.binance.gate import Asked, Told
from recon_pipeline.sandbox.binance.life import capital, spot, transfers
from recon_pipeline.sandbox.binance.moments import HOUR_MS, day_ms
from recon_pipeline.sandbox.binance.money import text8
from recon_pipeline.sandbox.binance.plants import Outage, SnapshotFault
from recon_pipeline.sandbox.binance.world import BUSINESS
from recon_pipeline.stores import raw as store
from recon_pipeline.stores.coverage import coverage_spans
from recon_pipeline.stores.reviews import list_problems
from recon_pipeline.venues.sources import needed_of
from recon_pipeline_tests.binance_home import VENUE, BinanceHome, binance_home, midnight

pytestmark = pytest.mark.postgres
FIRST = date(2026, 1, 1)
MAIN, DESK = "main@example.com", "desk-1_virtual@example.com"
SPOT_ALONE = ("earn", "staking", "loans", "margin", "derivatives", "income", "fiat", "orders", "conversion")
QUIET = (*SPOT_ALONE, "spot", "details", "transfers")
SEVERAL = 3
SNAPSHOT = "/sapi/v1/accountSnapshot"
REFUSED = b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'


def day(number: int) -> date:
    """A day of the world, the first being 1."""
    return FIRST + timedelta(days=number - 1)


def quiet_world(subs: int = 0) -> World:
    """A world in which nearly nothing happens but what a test adds."""
    return make_world(21, days=10, subs=subs, symbols_max=250, burst_max=5, without=QUIET)


def trade(
    world: World, symbol: str, at_ms: int, *, is_buyer: bool, quantity: str, price: str, email: str = MAIN
) -> None:
    """A fill without a fee."""
    market, number = world.market.symbols[symbol], at_ms % 100_000
    amount, worth, sign = Decimal(quantity), Decimal(quantity) * Decimal(price), 1 if is_buyer else -1
    ref = f"{spot.PATH} {symbol}"
    for asset, moved in ((market.base, sign * amount), (market.quote, -sign * worth)):
        world.ledger.post(Move(at_ms * 1000, email, "SPOT", asset, moved, "balance", ref))
    record = Record(at_ms, number)
    content = {
        "symbol": symbol, "id": number, "orderId": 7_100_000_000 + number, "orderListId": -1,
        "price": text8(Decimal(price)), "qty": text8(amount), "quoteQty": text8(worth), "commission": "0.00000000",
        "commissionAsset": market.quote,
        "time": at_ms, "isBuyer": is_buyer, "isMaker": False, "isBestMatch": True,
    }  # fmt: skip
    record.change(at_ms * 1000, content)
    world.archive.add(email, ref, record)


def transfer(world: World, kind: str, ends: tuple[str, str], at_ms: int, *, email: str = MAIN) -> None:
    """One USDT from one wallet of an account to another."""
    number = at_ms % 100_000
    for wallet, amount in zip(ends, (-1, 1), strict=True):
        world.ledger.post(Move(at_ms * 1000, email, wallet, "USDT", Decimal(amount), "balance", str(number)))
    record = Record(at_ms, number)
    content = {
        "timestamp": at_ms,
        "asset": "USDT",
        "amount": "1",
        "status": "CONFIRMED",
        "tranId": number,
        "type": kind,
    }
    record.change(at_ms * 1000, content)
    world.archive.add(email, transfers.PATH, record)


def outage(path: str, on: date, body: bytes, status: int = 200, content_type: str = "application/json") -> Outage:
    """What an endpoint says to the main account on the morning of a day."""
    begin = day_ms(on) * 1000
    return Outage(MAIN, path, begin, begin + 12 * HOUR_MS * 1000, body, status, content_type)


def answer_deposits(
    home: BinanceHome, environment: pytest.MonkeyPatch, edits: Sequence[Callable[[list[Any]], list[Any]]]
) -> list[str]:
    """Have the first answers to a question for deposits that tell of several edited; those that were, as they come."""
    gate, coming, done = home.sandbox.site.gate, iter(edits), list[str]()
    truly = gate.tell

    def edited(asked: Asked, now_us: int) -> Told:
        answer = truly(asked, now_us)
        rows = json.loads(answer.body) if asked.path == capital.DEPOSITS else []
        if len(rows) < SEVERAL or (edit := next(coming, None)) is None:
            return answer
        done.append(asked.path)
        return replace(answer, body=json.dumps(edit(rows)).encode())

    environment.setattr(gate, "tell", edited)
    return done


def spot_of(home: BinanceHome, status: str) -> set[date]:
    """The days with rows of SPOT that stand so."""
    rows = home.ask("SELECT date FROM recon.reconciliation WHERE wallet = 'SPOT' AND status = :status", status=status)
    return {on for (on,) in rows}


@pytest.mark.long
def test_a_snapshot_that_comes_after_the_run_of_its_day_leaves_nothing_unexplained(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=9, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    late = SnapshotFault(published_ms=day_ms(day(7)) + 12 * HOUR_MS)
    world.plants.snapshots[MAIN, "SPOT", day(5)] = late
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        for number in (3, 4, 5, 6):
            home.run(day(number), day(number))
            assert spot_of(home, "variance") == set()
            assert spot_of(home, "incomplete") == ({day(5)} if number == 5 else set())


def without_account(settings: Settings, email: str) -> Settings:
    """The settings as they were before an account was named."""
    venue = settings.venues[VENUE]
    assert venue.api is not None
    accounts = {name: account for name, account in venue.api.accounts.items() if name != email}
    return replace(settings, venues={VENUE: replace(venue, api=replace(venue.api, accounts=accounts))})


def verdicts(home: BinanceHome, email: str) -> dict[date, str]:
    """The verdict of each day of an account."""
    rows = home.ask("SELECT date, verdict FROM marts.account_day_verdict WHERE account = :email", email=email)
    return {row[0]: row[1] for row in rows}


def test_an_account_that_is_named_later_is_whole_from_its_opening_on(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first run reads a week of snapshots, and a backfill a few more: windows begin with them."""
    world = make_world(21, days=14, subs=1, symbols_max=250, burst_max=5, without=(*QUIET, "managed"))
    accounts = cast("dict[str, Account]", world.accounts)
    trade(world, "LINKUSDT", day_ms(day(6)) + 9 * HOUR_MS, is_buyer=True, quantity="10", price="2", email=DESK)
    desk = world.accounts[DESK]
    object.__setattr__(desk, "products", frozenset[str]())
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        settings = home.settings
        del accounts[DESK]  # of a login of its own: no main account lists it
        home.settings = without_account(settings, DESK)
        home.run(day(3), day(10))
        accounts[DESK], home.settings = desk, settings
        home.capture_days(day(11), day(12))
        for number in (11, 12):
            home.run(day(number), day(number))
        holes = "SELECT DISTINCT date FROM recon.reconciliation WHERE account = :desk AND wallet = 'SPOT'"
        holes += " AND status NOT IN ('matched', 'opening')"
        assert home.ask(holes + " AND date > :opening", desk=DESK, opening=day(4)) == []
        assert verdicts(home, DESK)[day(12)] == "green"
        home.run(day(10), day(12))
        assert home.ask(holes, desk=DESK) == []
        assert verdicts(home, DESK)[day(12)] == "green"


@pytest.mark.parametrize("is_told", [pytest.param(False, marks=pytest.mark.long), True])
def test_nothing_is_expected_of_the_days_before_a_sub_account_was_made(
    *, is_told: bool, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the venue tells empty snapshots of them, what came on the first day untold is a variance."""
    expected = {day(4): "opening", day(5): "red", day(6): "red"} if is_told else {day(5): "opening", day(6): "green"}
    world = make_world(21, days=10, subs=1, symbols_max=250, burst_max=5, without=tuple(BUSINESS))
    accounts = cast("dict[str, Account]", world.accounts)
    desk, made = world.accounts[DESK], day_ms(day(5)) + HOUR_MS
    object.__setattr__(desk, "created_ms", made)
    object.__setattr__(desk, "products", frozenset[str]())
    wallets = world.ledger._wallets
    for place in [place for place in wallets if place[0] == DESK]:
        del wallets[place]
    world.ledger.post(Move(made * 1000, DESK, "SPOT", "USDT", Decimal(100), "balance", "at first"))
    trade(world, "LINKUSDT", day_ms(day(6)) + 9 * HOUR_MS, is_buyer=True, quantity="10", price="2", email=DESK)
    for number in () if is_told else range(-30, 5):
        world.plants.snapshots[DESK, "SPOT", day(number)] = SnapshotFault(is_hidden=True)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        settings = home.settings
        del accounts[DESK]
        home.settings = without_account(settings, DESK)
        home.run(day(3), day(3))
        accounts[DESK], home.settings = desk, settings
        for number in (4, 5, 6):
            home.capture_days(day(number + 1), day(number + 1))
            home.run(day(number), day(number))
        assert verdicts(home, DESK) == expected
        holes = coverage_spans(home.url, {VENUE: needed_of(home.settings, VENUE)}, account=DESK, only_holes=True)
        assert [hole for hole in holes if hole["from"] < day(5)] == []
        home.run(day(3), day(6))
        assert verdicts(home, DESK) == expected


@pytest.mark.long
def test_a_wallet_that_is_opened_later_leaves_no_day_before_it_open(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Margin and futures are opened on the sixth, and the venue has no snapshot of the days before to tell."""
    world = make_world(21, days=9, subs=0, symbols_max=250, burst_max=5, without=(*SPOT_ALONE, "transfers"))
    account = world.accounts[MAIN]
    opened, later = account.products, {"margin", "isolated", "futures", "futures_coin"}
    for number, wallet in product(range(-30, 6), ("MARGIN", "FUTURES")):
        world.plants.snapshots[MAIN, wallet, day(number)] = SnapshotFault(is_hidden=True)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        object.__setattr__(account, "products", opened - later)
        home.capture_days(day(2), day(4))
        home.run(day(3), day(3))
        home.capture_days(day(5), day(5))
        object.__setattr__(account, "products", opened)
        for number in (4, 5, 6):
            home.capture_days(day(number + 1), day(number + 1))
            home.run(day(number), day(number))
        # asked again when the venue keeps no snapshot of that time any more
        home.run(day(3), day(5), when=midnight(day(50)))
        verdicts = home.ask(
            "SELECT date, verdict FROM marts.account_day_verdict WHERE date <= :on ORDER BY 1", on=day(6)
        )
        assert verdicts == [(day(number), "green") for number in (3, 4, 5, 6)]
        openings = home.ask(
            "SELECT DISTINCT wallet FROM recon.reconciliation WHERE status = 'opening' AND date = :on", on=day(6)
        )
        assert {"MARGIN", "FUTURES"} <= {wallet for (wallet,) in openings}


@pytest.mark.parametrize(
    ("silent_from", "statuses"),
    [(4, {"incomplete", "matched"}), pytest.param(5, {"matched"}, marks=pytest.mark.long)],
)
def test_a_day_is_open_while_nobody_knows_what_the_account_had_opened_by_its_end(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, silent_from: int, statuses: set[str]
) -> None:
    """From that morning on the venue does not say it. Else the capture of the night after the fourth heard of it."""
    world = quiet_world()
    account, later = world.accounts[MAIN], {"margin", "isolated", "futures", "futures_coin"}
    opened = account.products
    for number, wallet in product(range(-30, 4), ("MARGIN", "FUTURES")):
        world.plants.snapshots[MAIN, wallet, day(number)] = SnapshotFault(is_hidden=True)
    silence = outage("/sapi/v1/account/info", day(silent_from), b"<html>sorry</html>")
    begin = silence.from_us + 6 * HOUR_MS * 1000
    world.plants.outages.append(replace(silence, from_us=begin, until_us=day_ms(day(7)) * 1000))
    verdict = "SELECT verdict FROM marts.account_day_verdict WHERE date = :on"
    of_day = "SELECT DISTINCT status FROM recon.reconciliation WHERE date = :on AND status <> 'opening'"
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        object.__setattr__(account, "products", opened - later)
        home.capture_days(day(2), day(3))
        if silent_from == 4:  # and what moved into one of them would be told, if it were known to ask for it
            transfer(world, "MAIN_UMFUTURE", ("SPOT", "FUTURES"), day_ms(day(4)) + 12 * HOUR_MS)
            object.__setattr__(account, "products", opened)
        home.capture_days(day(4), day(4))
        object.__setattr__(account, "products", opened)
        home.run(day(3), day(3))
        home.run(day(4), day(4))
        assert {status for (status,) in home.ask(of_day, on=day(4))} == statuses
        assert (home.ask(verdict, on=day(4)) == [("green",)]) == (silent_from == 5)
        home.capture_days(day(5), day(5))
        home.run(day(5), day(5), when=midnight(day(7)) + timedelta(hours=2))  # it says so again
        # what has no history could not be captured in those nights, and what it held nobody can say any more
        lost = {"FUTURES_COIN", "ISOLATED_MARGIN"}
        open_ones = {row[2].partition(":")[0] for row in home.not_matched() if row[0] == day(4)}
        assert open_ones == (lost if silent_from == 4 else set())


def test_a_market_that_fails_once_is_asked_again_by_the_next_run(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    trade(world, "LINKUSDT", day_ms(day(4)) + 9 * HOUR_MS, is_buyer=True, quantity="10", price="2")
    world.plants.outages.append(outage(spot.PATH, day(6), b"<html>sorry</html>", content_type="text/html"))
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.run(day(3), day(3))
        home.run(day(4), day(4))
        assert spot_of(home, "incomplete") == {day(4)}
        noted = "SELECT asked_through FROM recon.asked_symbols WHERE last_checked >= :on AND asked_through < :on"
        assert home.ask(noted, on=day(6)) != []
        home.run(day(5), day(5))
        assert spot_of(home, "incomplete") | spot_of(home, "variance") == set()


def test_a_day_on_which_the_key_was_refused_is_whole_once_it_is_not(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    trade(world, "LINKUSDT", day_ms(day(4)) + 9 * HOUR_MS, is_buyer=True, quantity="10", price="2")
    world.plants.outages.append(outage("/sapi/v1/account/apiRestrictions", day(6), REFUSED, 401))
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        for number in (3, 4):
            home.run(day(number), day(number))
        assert spot_of(home, "incomplete") == {day(4)}
        home.run(day(5), day(5))
        assert spot_of(home, "incomplete") | spot_of(home, "variance") == set()


@pytest.mark.long
def test_a_key_that_was_refused_for_weeks_leaves_no_hole_once_it_is_not(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=24, subs=1, symbols_max=250, burst_max=5, without=(*SPOT_ALONE, "spot", "details"))
    until = day_ms(day(21)) * 1000
    world.plants.outages += [
        Outage(MAIN, "/sapi/v1/account/apiRestrictions", 0, until, REFUSED, 401, "application/json"),
        Outage(MAIN, "/sapi/v1/equity/trade/history", 0, 1 << 62, REFUSED, 401, "application/json"),
    ]
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        for number in (3, 4):
            home.run(day(number), day(number))
        assert spot_of(home, "incomplete") == {day(3), day(4)}
        home.run(day(20), day(20))
        assert (
            home.ask("SELECT account, stream FROM recon.pulls WHERE date = :on AND status = 'failed'", on=day(3)) == []
        )
        assert spot_of(home, "incomplete") | spot_of(home, "variance") == set()


@pytest.mark.long
def test_a_round_trip_over_three_markets_is_never_a_variance(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    nine, symbols = day_ms(day(3)) + 9 * HOUR_MS, world.market.symbols
    # a coin that the rotation comes to late, and its market against USDC before the one between USDC and USDT
    bases = sorted(each.base for each in symbols.values() if each.quote == "USDT" and each.base > "G")
    coin = next(base for base in bases if f"{base}USDC" in symbols)
    trade(world, f"{coin}USDT", nine, is_buyer=True, quantity="10", price="2")
    trade(world, f"{coin}USDC", nine + 1000, is_buyer=False, quantity="10", price="2")
    trade(world, "USDCUSDT", nine + 2000, is_buyer=False, quantity="20", price="1")
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        for number in range(3, 9):
            home.run(day(number), day(number))
            assert spot_of(home, "variance") == set()
        assert home.ask("SELECT count(DISTINCT agg_id) FROM recon.trades WHERE retired_at IS NULL") == [(3,)]


def test_a_feed_that_is_empty_once_takes_nothing_back(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world()
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        for number in (3, 4):
            home.run(day(number), day(number))
        before = home.ask("SELECT count(*) FROM recon.transfers WHERE retired_at IS NULL AND source = 'deposits'")
        told = answer_deposits(home, monkeypatch, [lambda _: []])
        home.run(day(5), day(5))
        after = home.ask("SELECT count(*) FROM recon.transfers WHERE retired_at IS NULL AND source = 'deposits'")
        assert told
        assert after[0][0] >= before[0][0] > 0
        assert spot_of(home, "variance") == set()


def test_a_snapshot_that_comes_empty_once_when_it_is_read_again_changes_nothing(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(3)) as home:
        home.run(day(3), day(4))
        gate, edited = home.sandbox.site.gate, list[int]()
        truly = gate.tell

        def emptied(asked: Asked, now_us: int) -> Told:
            answer = truly(asked, now_us)
            if asked.path != SNAPSHOT or edited:
                return answer
            content = json.loads(answer.body)
            for row in content["snapshotVos"]:
                if row["type"] == "spot" and day_ms(day(4)) <= row["updateTime"] < day_ms(day(5)):
                    row["data"]["balances"] = []
                    edited.append(row["updateTime"])
            return replace(answer, body=json.dumps(content).encode())

        monkeypatch.setattr(gate, "tell", emptied)
        home.run(day(5), day(5))
        assert edited
        changed = "SELECT count(*) FROM recon.raw_records WHERE stream = 'spot_snapshots' AND superseded_at IS NOT NULL"
        assert home.ask(changed) == [(0,)]
        assert spot_of(home, "incomplete") | spot_of(home, "variance") == set()


def test_a_snapshot_that_says_the_same_in_other_words_is_read_once(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lists in another order in each answer, an empty balance in some, and another value of all of it in BTC."""
    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(3)) as home:
        gate, chance, asked_for = home.sandbox.site.gate, random.Random(1), list[Asked]()  # noqa: S311 - a seed
        truly = gate.tell

        def in_other_words(asked: Asked, now_us: int) -> Told:
            answer = truly(asked, now_us)
            if asked.path != SNAPSHOT:
                return answer
            asked_for.append(asked)
            content = json.loads(answer.body)
            for row in content["snapshotVos"]:
                row["data"]["totalAssetOfBtc"] = str(chance.random())
                for entries in (each for each in row["data"].values() if isinstance(each, list)):
                    chance.shuffle(entries)
                if row["type"] == "spot" and chance.random() < 0.5:
                    row["data"]["balances"].append({"asset": "ZZZ", "free": "0", "locked": "0"})
            return replace(answer, body=json.dumps(content).encode())

        monkeypatch.setattr(gate, "tell", in_other_words)
        nights = []
        for number in range(3, 7):
            asked_for.clear()
            home.run(day(number), day(number))
            nights.append(len(asked_for))
        assert max(nights) == min(nights)  # one question for each kind of snapshot
        versions = "SELECT max(version), count(superseded_at) FROM recon.raw_records WHERE stream LIKE '%\\_snapshots'"
        assert home.ask(versions) == [(1, 0)]
        assert spot_of(home, "incomplete") | spot_of(home, "variance") == set()
        final = "SELECT count(*) FROM recon.pulls WHERE stream = 'spot_snapshots' AND status = 'final'"
        assert home.ask(final)[0][0] > 0


def of_another_wallet(snapshot: dict[str, Any]) -> None:
    snapshot["type"] = "margin"


def of_the_afternoon(snapshot: dict[str, Any]) -> None:
    snapshot["updateTime"] -= 8 * HOUR_MS


def of_no_day(snapshot: dict[str, Any]) -> None:
    del snapshot["updateTime"]


@pytest.mark.parametrize(
    ("spoil", "held"),
    [
        pytest.param(of_another_wallet, "partial", marks=pytest.mark.long),
        (of_the_afternoon, "partial"),
        pytest.param(of_no_day, "failed", marks=pytest.mark.long),
    ],
)
def test_a_snapshot_that_closes_no_day_is_asked_for_again_even_after_its_horizon(
    *,
    spoil: Callable[[dict[str, Any]], None],
    held: str,
    tmp_path: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(3)) as home:
        gate, is_over = home.sandbox.site.gate, threading.Event()
        truly = gate.tell

        def mistaken(asked: Asked, now_us: int) -> Told:
            answer = truly(asked, now_us)
            if asked.path != SNAPSHOT or is_over.is_set():
                return answer
            content = json.loads(answer.body)
            for row in content["snapshotVos"]:
                if row["type"] == "spot":
                    spoil(row)
            return replace(answer, body=json.dumps(content).encode())

        monkeypatch.setattr(gate, "tell", mistaken)
        home.run(day(3), day(4), when=datetime(2026, 1, 9, 2, tzinfo=UTC))
        assert spot_of(home, "incomplete") == {day(3), day(4)}
        stand = "SELECT DISTINCT status FROM recon.pulls WHERE stream = 'spot_snapshots' AND date IN (:one, :other)"
        assert home.ask(stand, one=day(3), other=day(4)) == [(held,)]
        is_over.set()
        home.run(day(5), day(5), when=datetime(2026, 1, 10, 2, tzinfo=UTC))
        assert spot_of(home, "incomplete") | spot_of(home, "variance") == set()
        home.run(day(6), day(6), when=datetime(2026, 1, 11, 2, tzinfo=UTC))
        assert home.ask(stand, one=day(3), other=day(3)) == [("final",)]
        assert home.ask("SELECT * FROM recon.quarantine WHERE error <> 'FeedUnread'") == []  # nobody captured anything


@pytest.mark.long
def test_reads_that_each_leave_out_something_else_are_not_believed(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = "SELECT count(*) FROM recon.transfers WHERE retired_at IS NULL AND source = 'deposits'"
    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(3)) as home:
        home.run(day(3), day(4))
        before = home.ask(count)
        halves = [lambda rows: rows[: len(rows) // 2], lambda rows: rows[len(rows) // 2 :]]
        told = answer_deposits(home, monkeypatch, [*halves, *halves])
        home.run(day(5), day(5))
        assert len(told) == 4
        assert "ReadsDiffer" in {each["name"] for each in list_problems(home.url, "binance")}
        assert home.ask(count) == before
        home.run(day(6), day(6))
        assert spot_of(home, "incomplete") | spot_of(home, "variance") == set()


def test_an_account_whose_markets_fail_keeps_no_other_from_being_searched(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world(subs=1)
    nine, symbols = day_ms(day(3)) + 9 * HOUR_MS, world.market.symbols
    one, other = sorted(name for name, each in symbols.items() if each.quote == "USDT" and each.base > "S")[:2]
    # of these two nothing is left to see in USDT: only a wide search asks for them
    trade(world, one, nine, is_buyer=True, quantity="10", price="2", email=DESK)
    trade(world, other, nine + 1000, is_buyer=True, quantity="10", price="2", email=DESK)
    trade(world, "BTCUSDT", nine + 2000, is_buyer=False, quantity="0.0004", price="100000", email=DESK)
    trade(world, "LINKUSDT", nine, is_buyer=True, quantity="10", price="2")
    for number in range(5, 8):
        page = outage(spot.PATH, day(number), b"<html>sorry</html>", content_type="text/html")
        world.plants.outages.append(page)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.run(day(3), day(3))
        rows = {(row[1], row[4]) for row in home.not_matched() if row[2] == "SPOT"}
        assert rows == {(MAIN, "incomplete")}


@pytest.mark.long
def test_a_decision_is_withdrawn_by_the_run_that_reads_what_speaks_against_it(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(
        1, days=8, subs=0, symbols_max=250, burst_max=5, without=SPOT_ALONE, faults=("convert_from_funding",)
    )
    (convert,) = [records for _, name, records in world.archive.lists() if "tradeFlow" in name]
    asset = (convert[0].versions[0][1] or {})["fromAsset"]
    sample = world.archive.all(MAIN, capital.DEPOSITS)[0].versions[-1][1] or {}
    on = next(on for on in world.days if day_ms(on) <= convert[0].at_ms < day_ms(on + timedelta(days=1)))
    at_ms = day_ms(on) + 10 * HOUR_MS
    late = Record(at_ms, 999_999)
    content = {"id": "555000111", "coin": asset, "amount": "7", "walletType": 1, "status": 1, "insertTime": at_ms}
    late.change((day_ms(on + timedelta(days=2)) + 12 * HOUR_MS) * 1000, {**sample, **content, "completeTime": at_ms})
    world.archive.add(MAIN, capital.DEPOSITS, late)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), on)
        home.run(day(3), on)
        assert home.ask("SELECT wallet FROM recon.wallet_decisions ORDER BY version") == [("FUNDING",)]
        home.run(on + timedelta(days=1), on + timedelta(days=1))
        assert home.ask("SELECT wallet FROM recon.wallet_decisions ORDER BY version") == [("FUNDING",), (None,)]
        rows = home.not_matched()
        home.run(on, on)
        assert home.not_matched() == rows


def test_what_two_store_at_once_is_stored_once(database: str) -> None:
    told = [store.Told(f"key {number}", {}, {"n": number}, None, None) for number in range(2_000)]
    counts: list[int] = []
    gate = threading.Barrier(3)

    def keep(records: list[store.Told]) -> None:
        with closing(store.RawStore(database, "binance")) as raw:
            gate.wait()
            counts.append(raw.keep(MAIN, "exchange_info", records, {}, datetime.now(UTC)).new)

    threads = [threading.Thread(target=keep, args=(each,)) for each in (told, told[::-1], told)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, len(told)]


def test_a_settled_record_that_the_venue_changed_is_told(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(3)) as home:
        home.run(day(3), day(4))
        assert "RecordChanged" not in {each["name"] for each in list_problems(home.url, "binance")}
        answer_deposits(home, monkeypatch, [lambda rows: [{**row, "txId": f"0x{row['id']}"} for row in rows]])
        home.run(day(5), day(5))
        (told,) = [each for each in list_problems(home.url, "binance") if each["name"] == "RecordChanged"]
        assert (told["account"], told["stream"], told["needs_manual_review"]) == (MAIN, "deposits", False)
