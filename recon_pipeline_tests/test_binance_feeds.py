"""What feeds tell late, otherwise, in part, or not any more: the money follows what they tell now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recon_pipeline.sandbox.binance import World, make_world
from recon_pipeline.sandbox.binance.accounts import MAIN
from recon_pipeline.sandbox.binance.book import Move, Record
from recon_pipeline.sandbox.binance.life import capital, conversion, income, orders, spot, staking
from recon_pipeline.sandbox.binance.life.details import ALGO_CHILDREN
from recon_pipeline.sandbox.binance.moments import HOUR_MS, day_ms
from recon_pipeline.sandbox.binance.plants import Outage
from recon_pipeline.stores.raw import DayRead, RawStore, Told
from recon_pipeline.stores.reviews import list_problems, record_problem
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.transport.errors import (
    AccountNotThere,
    ApiKeyInvalid,
    CountryRefused,
    EndpointUnreachable,
    FirewallRefused,
    HostBanned,
    InvalidSymbol,
    MalformedAnswer,
    NetworkError,
    ParameterError,
    ProductNotEnabled,
    RateLimit,
    UnexpectedAnswer,
    UnknownVenueError,
    VenueError,
    VenueUnreachable,
    WindowTooLong,
    WindowTooOld,
)
from recon_pipeline.transport.secret import Secret
from recon_pipeline.venues.binance.problems import record_changed, record_gone
from recon_pipeline.venues.binance.pulling import Pull
from recon_pipeline.venues.binance.session import Session
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.pull import _ALONE_DAYS, _HALVED_MAX, Ledger, Puller, Span
from recon_pipeline.venues.streams import NEVER_USED, AccountFacts
from recon_pipeline_tests.binance_home import VENUE, BinanceHome, binance_home

pytestmark = pytest.mark.postgres
ONE_DAY = timedelta(days=1)
SPOT_ONLY = AccountFacts(MAIN, products=frozenset({"spot"}))
QUIET = ("earn", "staking", "loans", "margin", "derivatives", "income", "fiat", "orders", "conversion")


@dataclass
class Reply:
    json: Any
    response_id: int | None = None


def day(number: int) -> date:
    """A day of the world, the first being 1."""
    return date(2026, 1, 1) + timedelta(days=number - 1)


def ms(number: int, hour: int) -> int:
    return int(datetime(2026, 1, 1, hour, tzinfo=UTC).timestamp() * 1000) + (number - 1) * 86_400_000


def tell(world: World, path: str, at_ms: int, content: dict[str, Any]) -> Record:
    """Let an endpoint tell of something of the main account."""
    record = Record(at_ms, 0)
    record.change(at_ms * 1000, content)
    return world.archive.add(MAIN, path, record)


def move(world: World, at_ms: int, asset: str, amount: str) -> None:
    world.ledger.post(Move(at_ms * 1000, MAIN, "SPOT", asset, Decimal(amount), "balance", "the test"))


def off(home: BinanceHome) -> list[tuple[Any, ...]]:
    """(day, asset, status, variance) of the SPOT rows of the main account that are not matched."""
    rows = home.not_matched()
    return [(r[0], r[3], r[4], r[6]) for r in rows if (r[1], r[2]) == (MAIN, "SPOT")]


def reviews(home: BinanceHome) -> list[tuple[Any, ...]]:
    return [(row["name"], row["stream"]) for row in list_problems(home.url, "binance", for_review=True)]


def test_a_corrected_record_without_an_id_counts_once(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=9, subs=0, symbols_max=250, burst_max=5, without=QUIET)
    right = {"asset": "USDT", "type": 1, "amount": "1.10", "updateTime": ms(4, 5)}
    rebate = tell(world, income.REBATES, ms(4, 5), {**right, "amount": "1.00"})
    rebate.change(ms(6, 12) * 1000, right)
    move(world, ms(4, 5), "USDT", "1.10")
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(4))
        home.run(day(3), day(4))
        assert off(home) == [(day(4), "USDT", "variance", Decimal("0.10"))]
        home.run(day(4), day(5))
        assert off(home) == []
        told = home.ask(
            "SELECT content ->> 'amount', superseded_at IS NULL FROM recon.raw_records"
            " WHERE stream = 'rebates' ORDER BY fid"
        )
        assert told == [("1.00", False), ("1.10", True)]
        before = home.ask("SELECT count(*), max(superseded_at) FROM recon.raw_records WHERE stream = 'rebates'")
        home.run(day(4), day(5))
        assert home.ask("SELECT count(*), max(superseded_at) FROM recon.raw_records WHERE stream = 'rebates'") == before
        assert reviews(home) == []


def test_a_deposit_that_vanishes_counts_no_longer_and_waits_for_a_person(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=9, subs=0, symbols_max=250, burst_max=5, without=QUIET)
    content = {
        "id": "769800519366885376", "amount": "25", "coin": "USDT", "network": "TRX", "status": 1, "address": "T1",
        "addressTag": "", "txId": "orphaned", "insertTime": ms(4, 9), "completeTime": ms(4, 10), "transferType": 0,
        "confirmTimes": "1/1", "unlockConfirm": 0, "walletType": 0, "travelRuleStatus": 0,
    }  # fmt: skip
    deposit = tell(world, capital.DEPOSITS, ms(4, 9), content)
    deposit.change(ms(6, 12) * 1000, None)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(4))
        home.run(day(3), day(4))
        assert off(home) == [(day(4), "USDT", "variance", Decimal(-25))]
        home.run(day(5), day(5))
        home.run(day(3), day(4))
        assert off(home) == []
        assert reviews(home) == [("RecordGone", "deposits")]


def test_records_that_vanish_from_two_reads_of_one_day_are_two_entries(database: str) -> None:
    stream, today = BY_NAME["deposits"], day(6)
    for keys in (["8", "7"], ["3", "4"], ["4", "3"]):
        record_problem(database, VENUE, record_gone(MAIN, stream, keys, today))
        record_problem(database, VENUE, record_changed(MAIN, stream, keys, today))
    told = [(row["name"], row["seen"]) for row in list_problems(database, VENUE)]
    assert sorted(told) == [("RecordChanged", 1), ("RecordChanged", 2), ("RecordGone", 1), ("RecordGone", 2)]


def test_what_was_redeemed_long_before_the_start_and_arrives_after_it_is_found(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=28, subs=0, symbols_max=250, burst_max=5, without=QUIET)
    redeemed = {
        "time": ms(2, 9), "arrivalTime": ms(25, 9), "asset": "WBETH", "amount": "2", "distributeAsset": "ETH",
        "distributeAmount": "2.1", "conversionRatio": "1.05", "exchangeRate": "1.05", "status": "SUCCESS",
    }  # fmt: skip
    tell(world, staking.ETH_OUT, ms(2, 9), redeemed)
    move(world, ms(1, 9), "WBETH", "2")
    move(world, ms(2, 9), "WBETH", "-2")
    move(world, ms(25, 9), "ETH", "2.1")
    with binance_home(world, tmp_path, database, monkeypatch, start=day(24)) as home:
        home.capture_days(day(23), day(25))
        home.run(day(24), day(25))
        assert off(home) == []


@pytest.mark.long
def test_a_redemption_that_fails_days_after_it_was_asked_for_leaves_no_day_unexplained(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=8, subs=0, symbols_max=250, burst_max=5, without=QUIET)
    asked = {
        "time": ms(4, 12), "arrivalTime": ms(20, 12), "asset": "WBETH", "amount": "10", "distributeAsset": "ETH",
        "distributeAmount": "10.5", "conversionRatio": "1.05", "exchangeRate": "1.05", "status": "PENDING",
    }  # fmt: skip
    redemption = tell(world, staking.ETH_OUT, ms(4, 12), asked)
    redemption.change(ms(6, 15) * 1000, {**asked, "status": "FAILED"})
    for at_ms, amount in ((ms(1, 9), "50"), (ms(4, 12), "-10"), (ms(6, 15), "10")):
        move(world, at_ms, "WBETH", amount)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(4)) as home:
        home.live_through(day(4), day(6), lambda _: _all_is_well(home))
        moved = home.ask("SELECT date, actual_balance - start_balance FROM recon.reconciliation WHERE asset = 'WBETH'")
        assert {(day(4), Decimal(-10)), (day(6), Decimal(10))} <= set(moved)


def _all_is_well(home: BinanceHome) -> None:
    assert off(home) == []


def test_days_of_dust_that_lie_before_the_last_hundred_conversions_are_not_complete(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=9, subs=0, symbols_max=250, burst_max=5, without=QUIET)
    for number in range(130):
        at_ms = ms(4 + number // 65, 9) + number
        content = {
            "operateTime": at_ms, "totalTransferedAmount": "0.002",
            "totalServiceChargeAmount": "0.00004", "transId": 45_000_000_000 + number,
            "userAssetDribbletDetails": [],
        }  # fmt: skip
        tell(world, f"{conversion.DUST} SPOT", at_ms, content)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(5))
        home.run(day(3), day(5))
        ledger = home.ask(
            "SELECT date, status, error FROM recon.pulls WHERE stream = 'dust' AND date BETWEEN :first AND :last"
            " ORDER BY 1", first=day(3), last=day(5),
        )  # fmt: skip
        assert ledger == [
            (day(3), "failed", "BeyondRetention"),
            (day(4), "failed", "BeyondRetention"),
            (day(5), "complete", None),
        ]


def test_every_capture_points_to_all_answers_that_told_it(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=5, subs=0, symbols_max=250, burst_max=5)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(2))
        captures = home.ask(
            "SELECT r.stream, r.response_id, r.response_ids, (SELECT count(*) FROM recon.raw_responses AS a"
            " WHERE a.id = ANY(r.response_ids)) FROM recon.raw_records AS r WHERE r.content ? 'as_of'"
        )
        assert {stream for stream, *_ in captures} >= {"funding_assets", "flexible_positions", "locked_positions"}
        for stream, first, every, known in captures:
            assert (first, len(every)) == (every[0], known), stream


@pytest.mark.long
def test_a_market_that_left_the_list_is_noted_once(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=9, subs=0, symbols_max=250, burst_max=5, without=QUIET)
    world.market.purged_us["ETHBTC"] = ms(4, 15) * 1000
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(2), day(4))
        home.run(day(3), day(3))
        home.run(day(4), day(4))
        noted = "SELECT purged_after IS NOT NULL, last_checked FROM recon.asked_symbols WHERE symbol = 'ETHBTC'"
        before = home.ask(noted)
        assert [is_noted for is_noted, _ in before] == [True]
        home.run(day(5), day(5))
        assert home.ask(noted) == before


# --- self-trades that became transfers --------------------------------------------------------------------------------

TRADING = ("earn", "staking", "loans", "margin", "derivatives", "income", "fiat", "managed", "prediction")
LIST = f"{orders.ORDERS} ETHUSDT"


def as_it_is(world: World) -> None:
    """On the fourth day an order of the sub meets one of the main account, which has rested since the first: the main
    account's ends so, the sub's is larger and rests on."""
    [sub] = [email for email in world.accounts if email != MAIN]
    [taker], maker = (
        [r.at(ms(6, 0) * 1000) for r in world.archive.between(sub, LIST, ms(4, 0), ms(5, 0))],
        resting(world),
    )
    assert taker is not None
    assert (taker["status"], maker["status"], maker["time"] < ms(2, 0)) == ("NEW", "EXPIRED_IN_MATCH", True)


def resting(world: World) -> dict[str, Any]:
    [maker] = [r.at(ms(6, 0) * 1000) for r in world.archive.between(MAIN, LIST, ms(1, 0), ms(2, 0))]
    assert maker is not None
    return maker


def many_orders_since(world: World) -> None:
    """A thousand orders have been placed since, so that the list of the latest does not reach back to it."""
    as_it_is(world)
    filler = {**resting(world), "status": "CANCELED"}
    del filler["preventedMatchId"], filler["preventedQuantity"]
    for number in range(1_001):
        placed = {"orderId": 8_000_000_000 + number, "time": ms(5, 9) + number, "updateTime": ms(5, 9) + number}
        tell(world, LIST, ms(5, 9) + number, filler | placed).order = placed["orderId"]


def many_orders_since_and_it_rests_on(world: World) -> None:
    """As before; but the main account's order was larger too, and rests."""
    many_orders_since(world)
    [record] = world.archive.between(MAIN, LIST, ms(1, 0), ms(2, 0))
    record.versions = [(at, {**told, "origQty": "900", "status": "NEW"}) for at, told in record.versions if told]


@pytest.mark.parametrize(
    ("change", "accounts"),
    [
        (as_it_is, (MAIN, "desk-1_virtual@example.com")),
        pytest.param(as_it_is, (MAIN,), marks=pytest.mark.long),
        pytest.param(many_orders_since, (MAIN, "desk-1_virtual@example.com"), marks=pytest.mark.long),
        pytest.param(many_orders_since_and_it_rests_on, (MAIN,), marks=pytest.mark.long),
    ],
    ids=["both", "main alone", "by the number of the match", "among the orders that rest"],
)
def test_a_transfer_in_place_of_a_self_trade_is_found_whatever_became_of_the_orders(
    tmp_path: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[World], None],
    accounts: tuple[str, ...],
) -> None:
    world = make_world(25, days=12, subs=1, symbols_max=250, burst_max=5, without=TRADING)
    change(world)
    named = {MAIN: {"credentials": "binance_main"}, "desk-1_virtual@example.com": {"credentials": "binance_desk_1"}}
    keys = {email: named[email] for email in accounts}
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3), accounts=keys) as home:
        home.capture_days(day(2), day(5))
        home.run(day(3), day(5))
        assert [row for row in home.not_matched() if row[1] in accounts] == []
        found = home.ask(
            "SELECT account, count(*) FROM recon.transfers WHERE source = 'prevented_matches' GROUP BY 1 ORDER BY 1"
        )
        assert found == sorted((email, 2) for email in accounts)


BUSY = (b"<html>Be right back</html>", 200, "text/html")
KEY_REFUSED = (b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}', 401, "application/json")


@pytest.mark.parametrize(
    "answer", [BUSY, pytest.param(KEY_REFUSED, marks=pytest.mark.long)], ids=["busy", "key refused"]
)
def test_where_orders_could_not_be_read_the_day_waits_until_they_are(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, answer: tuple[bytes, int, str]
) -> None:
    """With a key that is refused nothing more is asked meanwhile."""
    world = make_world(25, days=12, subs=1, symbols_max=250, burst_max=5, without=TRADING)
    from_us = day_ms(day(7)) * 1000
    until_us = from_us + 12 * HOUR_MS * 1000
    world.plants.outages.append(Outage(MAIN, orders.ORDERS, from_us, until_us, *answer))
    keys = {MAIN: {"credentials": "binance_main"}}
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3), accounts=keys) as home:
        home.capture_days(day(2), day(6))
        home.run(day(3), day(5))
        assert {row[4] for row in home.not_matched() if row[1] == MAIN} == {"incomplete"}
        if answer is BUSY:
            why = "SELECT DISTINCT error FROM recon.pulls WHERE stream = 'spot_trades' AND status = 'partial'"
            assert home.ask(why) == [("NotLooked",)], "every market was asked"
        if answer is KEY_REFUSED:
            asked = [
                entry["status"] for entry in home.sandbox.site.gate.log if entry["path"] in (orders.ORDERS, spot.PATH)
            ]
            assert set(asked[asked.index(401) :]) == {401}
        home.run(day(6), day(6))
        assert [row for row in home.not_matched() if row[1] == MAIN] == []


@pytest.mark.long
def test_where_child_orders_alone_tell_of_fills_a_day_waits_until_they_are_read(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubts = {"algo_fills": "apart"}
    others = (*QUIET, "capital", "transfers", "details", "managed", "prediction")
    world = make_world(26, days=9, subs=0, symbols_max=250, burst_max=5, without=others, doubts=doubts)
    from_us = day_ms(day(5)) * 1000
    world.plants.outages.append(Outage(MAIN, ALGO_CHILDREN, from_us, from_us + 12 * HOUR_MS * 1000, *BUSY))
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3), doubts=doubts) as home:
        home.capture_days(day(2), day(4))
        home.run(day(3), day(3))
        assert {row[2] for row in off(home)} == {"incomplete"}
        home.run(day(4), day(4))
        assert off(home) == []


def test_a_day_is_read_once_its_feed_tells_of_it_and_final_once_nothing_can_change(database: str) -> None:
    on, pending, facts = date(2026, 3, 1), [False], AccountFacts(MAIN, products=frozenset({"spot"}))
    over = datetime(2026, 3, 2, tzinfo=UTC)

    def ask(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        asked.append(dict(params))
        row = {"id": "1", "status": 0 if pending[0] else 1, "insertTime": 1772323200000 + 86_399_999}
        return Reply([row] if dict(params).get("offset") == "0" else [])

    def stands(after: timedelta, stream: str = "deposits") -> str:
        puller = Puller(raw, Ledger(raw), lambda: over + after, lambda: None)
        puller.pull(BY_NAME[stream], facts, ask, on, on)
        return str({row.stream: row.status for row in raw.ledger(on, on)}[stream])

    asked: list[dict[str, str]] = []
    lag, horizon, second = timedelta(minutes=60), timedelta(days=14), timedelta(seconds=1)
    with closing(RawStore(database, "binance")) as raw:
        assert [stands(lag - second), stands(lag), stands(horizon - second)] == ["partial", "complete", "complete"]
        assert (asked[0]["startTime"], asked[0]["endTime"]) == ("1772323200000", "1772409599999")
        pending[0] = True
        assert stands(horizon) == "complete"
        pending[0] = False
        assert stands(horizon) == "final"
        asked.clear()
        assert stands(horizon) == "final"
        assert stands(timedelta(days=180), "c2c") == "failed"
        assert asked == []


def test_a_name_that_is_configured_later_is_asked_for_the_days_before_too(database: str) -> None:
    now, days, asked = datetime(2026, 3, 20, tzinfo=UTC), (date(2026, 3, 1), date(2026, 3, 7)), list[str]()

    def ask(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        asked.append(dict(params)["symbol"])
        return Reply([])

    with closing(RawStore(database, "binance")) as raw:

        def pull(*names: str) -> list[str]:
            asked.clear()
            facts = AccountFacts(MAIN, products=frozenset({"margin"}), extras={"isolated_symbols": names})
            puller = Puller(raw, Ledger(raw), lambda: now, lambda: None)
            puller.pull(BY_NAME["isolated_capital_flow"], facts, ask, *days)
            return asked

        assert pull("BTCUSDT") == ["BTCUSDT"]
        assert {row.status for row in raw.ledger()} == {"final"}
        assert pull("BTCUSDT", "ETHUSDT") == ["BTCUSDT", "ETHUSDT"]
        assert pull("BTCUSDT", "ETHUSDT") == []


def test_a_sub_account_that_was_just_made_is_not_asked_for_days_before_it_was(database: str) -> None:
    now, days, asked = datetime(2026, 4, 1, tzinfo=UTC), (date(2026, 3, 1), date(2026, 3, 14)), list[date]()

    def ask(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        asked.append(datetime.fromtimestamp(int(dict(params)["startTime"]) / 1000, UTC).date())
        return Reply({"result": [], "totalCount": 0})

    with closing(RawStore(database, "binance")) as raw:

        def pull(made: Mapping[str, date]) -> date | None:
            asked.clear()
            facts = AccountFacts(MAIN, subs=tuple(made), made=made, products=frozenset({"spot"}))
            puller = Puller(raw, Ledger(raw), lambda: now, lambda: None)
            puller.pull(BY_NAME["universal_transfers"], facts, ask, *days)
            return min(asked, default=None)

        first, second = {"desk-1@example.com": date(2025, 1, 1)}, {"desk-2@example.com": date(2026, 3, 12)}
        assert pull(first) == days[0]
        assert pull({**first, **second}) == date(2026, 3, 12)
        assert pull({**first, **second}) is None
        marks = {(row.account, row.date < date(2026, 3, 12)): row.status for row in raw.ledger()}
    told = {(account, early): "final" for account in (MAIN, "desk-1@example.com") for early in (True, False)}
    assert marks == {**told, ("desk-2@example.com", True): "not_applicable", ("desk-2@example.com", False): "final"}


def test_days_that_a_person_said_were_never_used_are_asked_for_once_that_is_taken_back(database: str) -> None:
    now, stream, asked = datetime(2026, 4, 1, tzinfo=UTC), BY_NAME["fiat_payments"], list[date]()

    def ask(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        asked.append(datetime.fromtimestamp(int(dict(params)["beginTime"]) / 1000, UTC).date())
        return Reply({"data": [], "total": 0})

    with closing(RawStore(database, "binance")) as raw:

        def pull(first: date, last: date, *never_used: str) -> None:
            facts = AccountFacts(MAIN, products=frozenset({"spot"}), extras={NEVER_USED: never_used})
            Puller(raw, Ledger(raw), lambda: now, lambda: None).pull(stream, facts, ask, first, last)

        pull(date(2026, 2, 1), date(2026, 2, 2), stream.name)
        assert (asked, {row.error for row in raw.ledger()}) == ([], {"NeverUsed"})
        pull(date(2026, 3, 30), date(2026, 3, 30))
        assert min(asked) == date(2026, 2, 1)
        assert "not_applicable" not in {row.status for row in raw.ledger()}


@pytest.mark.parametrize(
    ("stream", "extras", "error"),
    [
        ("mining_earnings", {}, "NotConfigured"),
        ("managed_transfers", {"managed_trader_subs": ["fund@example.com"]}, "NotConfigured"),
        ("prediction_transfers", {"prediction_wallets": ["0xours"]}, None),
        ("margin_capital_flow", {}, None),
    ],
)
def test_what_only_the_user_can_name_is_said_to_be_not_configured(
    database: str, stream: str, extras: Mapping[str, Sequence[str]], error: str | None
) -> None:
    now, on = datetime(2026, 4, 1, tzinfo=UTC), date(2026, 3, 1)
    facts = AccountFacts(MAIN, products=frozenset({"spot"}), extras=extras)
    with closing(RawStore(database, "binance")) as raw:
        told = Puller(raw, Ledger(raw), lambda: now, lambda: None)
        told.pull(BY_NAME[stream], facts, lambda *_: Reply({"code": "000000", "data": {}, "transfers": []}), on, on)
        [day_read] = raw.ledger(on, on)
        assert day_read.error == error
        if error:
            assert str(BY_NAME[stream].needs) in day_read.message


def test_days_that_wait_for_another_name_are_not_final_if_the_run_is_killed_before_it_asks(database: str) -> None:
    class Killed(BaseException):
        pass

    now, days = datetime(2026, 3, 20, tzinfo=UTC), (date(2026, 3, 1), date(2026, 3, 7))
    answers: list[Reply] = [Reply([])]

    def ask(*_: object) -> Reply:
        if not answers:
            raise Killed
        return answers.pop()

    with closing(RawStore(database, "binance")) as raw:

        def pull(*names: str) -> set[tuple[str, str | None]]:
            facts = AccountFacts(MAIN, products=frozenset({"margin"}), extras={"isolated_symbols": names})
            with suppress(Killed):
                puller = Puller(raw, Ledger(raw), lambda: now, lambda: None)
                puller.pull(BY_NAME["isolated_capital_flow"], facts, ask, *days)
            return {(row.status, row.error) for row in raw.ledger()}

        assert pull("BTCUSDT") == {("final", None)}
        assert pull("BTCUSDT", "ETHUSDT") == {("partial", "OtherCalls")}
        answers += [Reply([]), Reply([])]
        assert pull("BTCUSDT", "ETHUSDT") == {("final", None)}


def test_a_span_that_the_venue_takes_in_no_such_length_or_age_is_read_in_parts(database: str) -> None:
    now, oldest, longest = datetime(2026, 3, 20, tzinfo=UTC), date(2026, 3, 3), timedelta(days=2)
    days = [date(2026, 3, 1) + timedelta(days=number) for number in range(7)]

    def ask(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        given = dict(params)
        first, last = (datetime.fromtimestamp(int(given[name]) / 1000, UTC) for name in ("startTime", "endTime"))
        if last - first >= longest:
            raise WindowTooLong("so long a span is refused", venue="binance", endpoint="/list")
        if first.date() < oldest:
            raise WindowTooOld("so old a span is refused", venue="binance", endpoint="/list")
        return Reply([])

    with closing(RawStore(database, "binance")) as raw:
        facts = AccountFacts(MAIN, products=frozenset({"margin"}), extras={"isolated_symbols": ("BTCUSDT",)})
        puller = Puller(raw, Ledger(raw), lambda: now, lambda: None)
        with pytest.raises(WindowTooOld):
            puller.pull(BY_NAME["isolated_capital_flow"], facts, ask, days[0], days[-1])
        read = {row.date: (row.status, row.error) for row in raw.ledger()}
    told = {day: ("failed", "WindowTooOld") if day < oldest else ("final", None) for day in days}
    assert read == told


def test_what_is_too_old_for_the_venue_costs_a_few_questions_and_not_one_for_each_day(database: str) -> None:
    now, oldest, asked = datetime(2026, 3, 20, tzinfo=UTC), date(2026, 3, 3), list[date]()
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(64)]

    def ask(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        first = datetime.fromtimestamp(int(dict(params)["startTime"]) / 1000, UTC).date()
        asked.append(first)
        if first < oldest:
            raise WindowTooOld("so old a span is refused", venue="binance", endpoint="/list")
        return Reply([])

    with closing(RawStore(database, "binance")) as raw:
        for _ in range(2):
            asked.clear()
            puller = Puller(raw, Ledger(raw), lambda: now, lambda: None)
            with pytest.raises(WindowTooOld):
                puller.pull(BY_NAME["deposits"], AccountFacts(MAIN, products=frozenset({"spot"})), ask, *days[::63])
            assert len(asked) <= 16
        read = {row.date: (row.status, row.error) for row in raw.ledger()}
    assert read == {day: ("failed", "WindowTooOld") if day < oldest else ("final", None) for day in days}


# --- days that the venue refuses --------------------------------------------------------------------------------------

MARCH = Span(date(2026, 3, 1), date(2026, 3, 28))
"""Four of the spans in which the income of futures is asked for; in TWO_WEEKS_LATER all that is read of it is final."""
TWO_WEEKS_LATER = datetime(2026, 4, 20, tzinfo=UTC)
WITH_FUTURES = replace(SPOT_ONLY, products=frozenset({"spot", "futures"}))


@dataclass
class Refusing:
    """Where nothing ever moved, and some spans are refused."""

    raw: RawStore
    refuses: Callable[[Span], type[VenueError] | None]
    asked: list[Span] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """What went wrong besides what was raised."""

    def pull(self, stream: str = "futures_income", days_later: int = 0) -> None:
        def ask(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
            given = dict(params)
            first, last = (datetime.fromtimestamp(int(given[name]) / 1000, UTC) for name in ("startTime", "endTime"))
            self.asked.append(Span(first.date(), last.date()))
            if error := self.refuses(self.asked[-1]):
                raise error("it is refused", venue="binance", endpoint="/list")
            return Reply([])

        self.asked.clear()
        puller = Puller(
            self.raw,
            Ledger(self.raw),
            lambda: TWO_WEEKS_LATER + timedelta(days=days_later),
            lambda: None,
            tell_failed=lambda email, of, error: self.told.append(f"{email} {of.name} {type(error).__name__}"),
            is_not_there=lambda error, *_: isinstance(error, AccountNotThere),
        )
        self.told.clear()
        puller.pull(BY_NAME[stream], WITH_FUTURES, ask, MARCH.first, MARCH.last)

    @property
    def not_read(self) -> dict[date, str]:
        """Every day of the month that is not final, and why."""
        read = {row.date: (row.status, row.error) for row in self.raw.ledger()}
        return {on: str(read.get(on)) for on in MARCH.days if read.get(on) != ("final", None)}


@pytest.mark.parametrize(
    ("error", "bad"),
    [
        (ParameterError, {1}),
        (UnknownVenueError, {12}),
        (UnexpectedAnswer, {28}),
        (ParameterError, {3, 4}),
        (ParameterError, {10, 24}),
    ],
)
def test_a_day_that_the_venue_refuses_costs_no_other_day(database: str, error: type[VenueError], bad: set[int]) -> None:
    refused = {date(2026, 3, number) for number in bad}
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: error if refused & {*span.days} else None)
        with pytest.raises(error):
            venue.pull()
        assert venue.not_read == dict.fromkeys(sorted(refused), str(("failed", error.__name__)))
        for on in refused:
            assert venue.asked.count(Span(on, on)) == 1


def test_the_next_run_asks_for_the_refused_day_alone_and_is_done_once_it_is_told(database: str) -> None:
    refused = [date(2026, 3, 12)]
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: ParameterError if {*refused} & {*span.days} else None)
        for _ in range(2):
            with pytest.raises(ParameterError):
                venue.pull()
        only = Span(*refused, *refused)
        assert venue.asked == [only]
        refused.clear()
        venue.pull()
        assert (venue.asked, venue.not_read) == ([only], {})


@pytest.mark.parametrize("error", [NetworkError, RateLimit])
def test_a_span_that_fails_as_may_pass_is_asked_whole_by_the_next_run(
    database: str, error: type[NetworkError | RateLimit]
) -> None:
    """But where the allowance is used up, for the endpoint is."""
    weeks = [Span(first, first + timedelta(days=6)) for first in MARCH.days[::7]]
    failing = [weeks[1]]
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: error if span in failing else None)
        with pytest.raises(error):
            venue.pull()
        is_passing = error is NetworkError
        assert venue.asked == (weeks if is_passing else weeks[:2])
        assert venue.not_read.keys() == {on for week in (failing if is_passing else weeks[1:]) for on in week.days}
        failing.clear()
        venue.pull()
        assert venue.asked == (weeks[1:2] if is_passing else [*weeks[2:], weeks[1]])
        assert venue.not_read == {}


@pytest.mark.parametrize(
    "error",
    [
        *(ApiKeyInvalid, HostBanned, CountryRefused, FirewallRefused, VenueUnreachable, EndpointUnreachable),
        *(InvalidSymbol, AccountNotThere),
    ],
)
def test_what_says_the_same_of_all_days_is_heard_once(database: str, error: type[VenueError]) -> None:
    on = date(2026, 3, 10)
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: error if on in span.days else None)
        if error is AccountNotThere:
            venue.pull()
            assert {row.status for row in raw.ledger(on)} == {"not_applicable"}
        else:
            with pytest.raises(error):
                venue.pull()
        assert [on in span.days for span in venue.asked] == [False, True]


@pytest.mark.parametrize("bad", [set(range(12, 29)), {*range(1, 29)} - {7, 20}, {*range(1, 29, 2), *range(2, 29, 4)}])
def test_no_day_that_the_venue_tells_waits_for_good_behind_those_that_it_does_not(database: str, bad: set[int]) -> None:
    refused = {date(2026, 3, number) for number in bad}
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: UnexpectedAnswer if refused & {*span.days} else None)
        for night in range(10):
            with pytest.raises(UnexpectedAnswer):
                venue.pull(days_later=night)
            assert len(venue.asked) < 28
        assert venue.not_read.keys() == refused


def test_the_key_may_be_refused_while_a_span_is_asked_for_in_parts(database: str) -> None:
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: ParameterError if len(span.days) == 7 else ApiKeyInvalid)
        with pytest.raises(ApiKeyInvalid):
            venue.pull()
        assert len(venue.asked) == 2


def test_a_span_that_is_read_in_parts_has_no_hole_and_no_error(database: str) -> None:
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: ParameterError if len(span.days) == 7 else None)
        venue.pull()
        assert venue.not_read == {}


@pytest.mark.parametrize("stream", ["futures_income", "deposits"])
@pytest.mark.parametrize("error", [ParameterError, MalformedAnswer, NetworkError])
def test_of_what_cannot_be_read_at_all_few_parts_are_asked_for(
    database: str, stream: str, error: type[VenueError]
) -> None:
    """And every span once, in every run; what is read as soon as it can be is the whole of it."""
    refuses = [True]
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda _: error if refuses else None)
        for _ in range(3):
            with pytest.raises(error):
                venue.pull(stream)
            assert len(venue.not_read) == len(MARCH.days)
            assert {on for span in venue.asked for on in span.days} == {*MARCH.days}
            assert len(venue.asked) <= 17
        refuses.clear()
        venue.pull(stream)
        assert venue.not_read == {}


def test_of_what_can_be_read_here_and_there_only_as_many_parts_are_asked_for_as_are_worth_it(database: str) -> None:
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: ParameterError if any(on.day % 2 for on in span.days) else None)
        with pytest.raises(ParameterError):
            venue.pull("deposits")
        assert _HALVED_MAX < len(venue.asked) <= 1 + 2 * _HALVED_MAX + -(-len(MARCH.days) // _ALONE_DAYS)
        for _ in range(3):
            with pytest.raises(ParameterError):
                venue.pull("deposits")
        assert venue.not_read.keys() == {on for on in MARCH.days if on.day % 2}


@pytest.mark.parametrize("stream", ["futures_income", "deposits"])
@pytest.mark.parametrize("bad", [{1}, {12}, {28}, {3, 24}])
@pytest.mark.parametrize("error", [NetworkError, MalformedAnswer])
def test_days_that_fail_again_as_may_pass_are_asked_for_in_parts_and_cost_no_other_day(
    database: str, error: type[VenueError], bad: set[int], stream: str
) -> None:
    """As a busy day does that the venue takes too long to tell."""
    refused = {date(2026, 3, number) for number in bad}
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: error if refused & {*span.days} else None)
        for _ in range(2):
            with pytest.raises(error):
                venue.pull(stream)
        assert venue.not_read == dict.fromkeys(sorted(refused), str(("failed", error.__name__)))
        with pytest.raises(error):
            venue.pull(stream)
        assert venue.asked == [Span(on, on) for on in sorted(refused)]


@pytest.mark.parametrize("bad", [{24}, {10, 11}, {10, 11, 20, 21}, {3, 4, 25, 26, 27}])
def test_days_that_time_out_until_their_endpoint_is_left_alone_cost_no_other_day_in_the_end(
    database: str, bad: set[int]
) -> None:
    """The first failure of a run is of the question, the second one of the endpoint, until something is read."""
    refused, failed = {date(2026, 3, number) for number in bad}, list[bool]()

    def refuses(span: Span) -> type[VenueError] | None:
        if not refused & {*span.days}:
            failed.clear()
            return None
        failed.append(True)
        return NetworkError if len(failed) == 1 else EndpointUnreachable

    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, refuses)
        for night in range(8 * len(bad)):
            failed.clear()
            with pytest.raises((NetworkError, EndpointUnreachable)):
                venue.pull("deposits", night)
        assert {*venue.not_read} == refused


@pytest.mark.parametrize("error", [NetworkError, MalformedAnswer])
def test_a_day_that_was_read_once_and_fails_since_keeps_no_other_from_being_read_again(
    database: str, error: type[VenueError]
) -> None:
    refused = set[date]()
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: error if refused & {*span.days} else None)
        venue.pull("deposits", -19)
        assert {row.status for row in raw.ledger(date(2026, 3, 20))} == {"complete"}
        refused.add(date(2026, 3, 24))
        for night in range(2):
            with pytest.raises(error):
                venue.pull("deposits", night)
        assert venue.not_read == {date(2026, 3, 24): str(("complete", None))}
        refused.clear()
        venue.pull("deposits", 2)
        assert (len(venue.asked), venue.not_read) == (1, {})


def test_a_day_that_failed_is_asked_for_apart_from_those_that_did_not(database: str) -> None:
    bad = date(2026, 3, 12)
    with closing(RawStore(database, "binance")) as raw:
        for on in MARCH.days[:20]:
            read = DayRead("failed", error="NetworkError") if on == bad else DayRead("complete")
            raw.mark(MAIN, "deposits", {on: read}, TWO_WEEKS_LATER)
        venue = Refusing(raw, lambda span: NetworkError if bad in span.days else None)
        with pytest.raises(NetworkError):
            venue.pull("deposits")
        assert venue.asked == [Span(MARCH.first, bad - ONE_DAY), Span(bad + ONE_DAY, MARCH.last), Span(bad, bad)]
        assert [*venue.not_read] == [bad]


def test_every_error_of_a_stream_is_told_of_each_kind_one(database: str) -> None:
    third, late, last = date(2026, 3, 3), date(2026, 3, 24), date(2026, 3, 27)
    refusals = {third: ParameterError, late: UnknownVenueError, last: ParameterError}
    with closing(RawStore(database, "binance")) as raw:
        venue = Refusing(raw, lambda span: next((refusals[on] for on in refusals if on in span.days), None))
        with pytest.raises(ParameterError):
            venue.pull()
        assert venue.told == [f"{MAIN} futures_income UnknownVenueError"]
        refusals[last] = ApiKeyInvalid
        refusals[third] = ParameterError
        with pytest.raises(ApiKeyInvalid):
            venue.pull()
        assert venue.told == [f"{MAIN} futures_income {name}" for name in ("ParameterError", "UnknownVenueError")]


def test_days_that_failed_are_no_hole_once_the_venue_says_that_there_is_nothing_to_tell(database: str) -> None:
    now, facts = datetime(2026, 3, 20, tzinfo=UTC), AccountFacts(MAIN, products=frozenset({"spot"}))
    answers: list[type[NetworkError | ProductNotEnabled]] = [NetworkError, ProductNotEnabled]

    def ask(*_: object) -> Reply:
        raise answers[0]("it fails", venue="binance", endpoint="/list")

    with closing(RawStore(database, "binance")) as raw:

        def pull(first: int, last: int) -> set[tuple[str, str | None]]:
            puller = Puller(
                raw, Ledger(raw), lambda: now, lambda: None, is_not_there=lambda *e: isinstance(e[0], ProductNotEnabled)
            )
            puller.pull(BY_NAME["equity_trades"], facts, ask, date(2026, 3, first), date(2026, 3, last))
            return {(row.status, row.error) for row in raw.ledger()}

        with pytest.raises(NetworkError):
            pull(1, 3)
        answers.pop(0)
        assert pull(15, 17) == {("not_applicable", "ProductNotEnabled")}


@pytest.mark.parametrize("stream", ["auto_invest", "deposits"])
@pytest.mark.parametrize("has_told", [True, False])
def test_an_endpoint_that_is_gone_is_a_hole_unless_nothing_says_that_it_was_ever_there(
    database: str, stream: str, has_told: bool
) -> None:
    """Of the streams that the venue's own pages do not name, such as auto_invest, nothing does before it told."""
    now, on, nothing = datetime(2026, 3, 20, tzinfo=UTC), date(2026, 3, 1), cast(Any, None)

    def ask(*_: object) -> Reply:
        raise UnknownVenueError("no such page", venue="binance", endpoint="/list", status=404)

    with closing(RawStore(database, "binance")) as raw:
        if has_told:
            raw.keep(MAIN, stream, [Told("7", {}, {"id": 7}, None, None)], {}, now)
        session = Session("binance", database, nothing, nothing, nothing, raw, {}, nothing)
        puller = Puller(raw, Ledger(raw), lambda: now, lambda: None, is_not_there=session.is_not_there)
        is_hole = has_told or BY_NAME[stream].is_verified
        with pytest.raises(UnknownVenueError) if is_hole else nullcontext():
            puller.pull(BY_NAME[stream], SPOT_ONLY, ask, on, on)
        assert [row.status for row in raw.ledger()] == ["failed" if is_hole else "not_applicable"]


def test_every_error_of_a_stream_waits_for_a_person(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing, ours = cast(Any, None), BY_NAME["deposits"].endpoint
    bad = {date(2026, 3, 10): ParameterError, date(2026, 3, 14): UnknownVenueError}

    def ask(endpoint: Endpoint, params: Any) -> Reply:
        if endpoint is not ours:
            raise VenueUnreachable("it is not there", venue="binance", endpoint=str(endpoint))
        given = dict(params)
        first, last = (datetime.fromtimestamp(int(given[name]) / 1000, UTC) for name in ("startTime", "endTime"))
        for on, error in bad.items():
            if first.date() <= on <= last.date():
                raise error("it is refused", venue="binance", endpoint=str(endpoint))
        return Reply([])

    with closing(RawStore(database, "binance")) as raw:
        asked: Any = SimpleNamespace(days=[date(2026, 3, 15)], accounts=None, check=lambda: None, say=lambda _: None)
        clock: Any = SimpleNamespace(now=lambda: datetime(2026, 3, 17, 2, tzinfo=UTC))
        keys = {MAIN: Credentials(MAIN, Secret("a key"), Secret("a secret"))}
        session = Session("binance", database, nothing, nothing, clock, raw, keys, asked)
        monkeypatch.setattr(session, "ask_as", lambda _: ask)
        Pull(session)._account(SPOT_ONLY, Ledger(raw))
    found = {each["name"] for each in list_problems(database, "binance") if each["stream"] == "deposits"}
    assert found == {"ParameterError", "UnknownVenueError"}


@pytest.mark.parametrize("stream", ["auto_invest", "deposits"])
@pytest.mark.parametrize("has_told", [True, False])
def test_days_since_the_venue_removed_an_endpoint_are_no_hole_for_as_long_as_recon_yaml_says_so(
    database: str, stream: str, has_told: bool
) -> None:
    gone, nothing, asked = date(2026, 3, 10), cast(Any, None), list[date]()
    now = datetime(2026, 3, 12, 9, tzinfo=UTC)

    def ask(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        asked.append(datetime.fromtimestamp(int(dict(params)["startTime"]) / 1000, UTC).date())
        if now.date() >= gone:
            raise UnknownVenueError("no such page", venue="binance", endpoint="/list", status=404)
        return Reply([] if stream == "deposits" else {"list": []})

    def pull(first: date, last: date, since: date | None) -> dict[date, tuple[str, str | None]]:
        asked.clear()
        facts = replace(SPOT_ONLY, gone={stream: since} if since else {})
        session = Session("binance", database, nothing, nothing, nothing, raw, {}, nothing)
        puller = Puller(raw, Ledger(raw), lambda: now, lambda: None, is_not_there=session.is_not_there)
        with suppress(UnknownVenueError):
            puller.pull(BY_NAME[stream], facts, ask, first, last)
        return {row.date: (row.status, row.error) for row in raw.ledger(date(2026, 3, 1))}

    with closing(RawStore(database, "binance")) as raw:
        if has_told:
            early = datetime(2026, 2, 1, tzinfo=UTC)
            raw.keep(MAIN, stream, [Told("7", {}, {"id": 7}, early, None)], {}, early)
        now = datetime(2026, 3, 8, 9, tzinfo=UTC)
        read = pull(date(2026, 3, 3), date(2026, 3, 7), gone)
        assert {*read.values()} == {("complete", None)}, "the day is still to come"
        now += timedelta(days=5)
        for _ in range(2):
            marks = pull(date(2026, 3, 11), date(2026, 3, 12), gone)
            assert [marks[on] for on in (gone + ONE_DAY, gone + 2 * ONE_DAY)] == [("not_applicable", "Gone")] * 2
            assert marks | read == marks, "what was read stands"
            assert asked == [] if has_told else min(asked) < gone
        unread = {marks.get(on) for on in (date(2026, 3, 8), date(2026, 3, 9))}
        is_unknown = BY_NAME[stream].is_verified
        before = ("failed", "UnknownVenueError") if is_unknown else ("not_applicable", "UnknownVenueError")
        assert unread == {("failed", "Gone") if has_told else before}
        marks = pull(date(2026, 3, 11), date(2026, 3, 12), None)
        assert asked
        is_hole = has_told or BY_NAME[stream].is_verified
        assert {marks[on] for on in (gone, gone + ONE_DAY)} == {
            ("failed" if is_hole else "not_applicable", "UnknownVenueError")
        }


@pytest.mark.parametrize("stream", ["dual_investment", "dust", "deposits"])
def test_a_removed_list_is_no_hole_from_its_day_on_also_where_the_venue_tells_it_whole(
    database: str, stream: str
) -> None:
    """And of days to which it did not apply it stays so."""
    gone, now = date(2026, 3, 10), datetime(2026, 3, 14, 9, tzinfo=UTC)

    def ask(*_: Any) -> Reply:
        raise UnknownVenueError("no such page", venue="binance", endpoint="/list", status=404)

    with closing(RawStore(database, "binance")) as raw:
        for _ in range(2):
            facts = AccountFacts(MAIN, products=frozenset({"spot", "earn"}), gone={stream: gone})
            with suppress(UnknownVenueError):
                Puller(raw, Ledger(raw), lambda: now, lambda: None).pull(
                    BY_NAME[stream], facts, ask, date(2026, 3, 7), date(2026, 3, 13)
                )
            since = {(row.status, row.error) for row in raw.ledger(gone)}
            assert since == {("not_applicable", "Gone")}


def test_that_a_list_was_removed_makes_no_hole_of_days_to_which_it_did_not_apply(database: str) -> None:
    gone, stream = date(2026, 3, 10), BY_NAME["margin_transfers"]
    asked: Any = lambda *_: Reply({"rows": [], "total": 0})  # noqa: E731
    now = datetime(2026, 3, 14, 9, tzinfo=UTC)
    with closing(RawStore(database, "binance")) as raw:
        for day, products, said in (
            (date(2026, 1, 3), {"spot"}, {}),
            (date(2026, 1, 3), {"spot", "margin"}, {stream.name: gone}),
        ):
            facts = AccountFacts(MAIN, products=frozenset(products), gone=said)
            raw.keep(MAIN, stream.name, [Told("7", {}, {"id": 7}, datetime(2026, 3, 8, tzinfo=UTC), None)], {}, now)
            Puller(raw, Ledger(raw), lambda: now, lambda: None).pull(stream, facts, asked, day, day)
        assert {(row.status, row.error) for row in raw.ledger(date(2026, 1, 3)) if row.date == date(2026, 1, 3)} == {
            ("not_applicable", None)
        }


def test_days_of_what_was_said_to_be_removed_are_asked_for_once_that_is_taken_back_however_late(database: str) -> None:
    gone, asked = date(2026, 3, 10), list[date]()

    def ask(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        asked.append(datetime.fromtimestamp(int(dict(params)["startTime"]) / 1000, UTC).date())
        return Reply([])

    def pull(first: date, **said: date) -> None:
        now = datetime(first.year, first.month, first.day, 9, tzinfo=UTC) + 2 * ONE_DAY
        facts = replace(SPOT_ONLY, gone=said)
        Puller(raw, Ledger(raw), lambda: now, lambda: None).pull(BY_NAME["deposits"], facts, ask, first, first)

    with closing(RawStore(database, "binance")) as raw:
        pull(gone, deposits=gone)
        assert asked == []
        pull(gone + 60 * ONE_DAY)
        assert min(asked) == gone


def test_a_day_on_which_a_product_may_still_be_opened_is_asked_for_once_it_is(database: str) -> None:
    today, asked = date(2026, 3, 1), list[date]()

    def ask(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        asked.append(datetime.fromtimestamp(int(dict(params)["startTime"]) / 1000, UTC).date())
        return Reply([])

    def pull(on: date, first: date, *products: str) -> None:
        at = datetime(on.year, on.month, on.day, 9, tzinfo=UTC)
        facts = AccountFacts(MAIN, products=frozenset(products))
        puller = Puller(raw, Ledger(raw), lambda: at, lambda: None)
        puller.pull(BY_NAME["margin_capital_flow"], facts, ask, first, on)

    with closing(RawStore(database, "binance")) as raw:
        pull(today, today - ONE_DAY, "spot")
        assert [row.status for row in raw.ledger()] == ["not_applicable", "partial"]
        pull(today + 20 * ONE_DAY, today + 15 * ONE_DAY, "spot", "margin")
        assert min(asked) == today


@pytest.mark.parametrize(
    ("stream", "later", "marks"),
    [
        # nobody had named the sub-account: the venue may have had something to tell of it all the time
        ("managed_snapshots", replace(SPOT_ONLY, extras={"managed_without_key": ("managed@example.com",)}), "failed"),
        ("margin_snapshots", replace(SPOT_ONLY, products=frozenset({"spot", "margin"})), "not_applicable"),
    ],
)
def test_a_snapshot_that_fails_is_no_hole_only_where_the_account_had_not_opened_the_wallet(
    stream: str, later: AccountFacts, marks: str, database: str
) -> None:
    now, on = datetime(2026, 3, 20, tzinfo=UTC), date(2026, 3, 18)

    def ask(*_: object) -> Reply:
        raise NetworkError("it fails", venue="binance", endpoint="/list")

    with closing(RawStore(database, "binance")) as raw:
        Puller(raw, Ledger(raw), lambda: now, lambda: None).pull(BY_NAME[stream], SPOT_ONLY, ask, on, on)
        assert [row.status for row in raw.ledger()] == ["not_applicable"]
        with pytest.raises(NetworkError):
            Puller(raw, Ledger(raw), lambda: now, lambda: None).pull(BY_NAME[stream], later, ask, on, on)
        assert [row.status for row in raw.ledger()] == [marks]
