"""Which markets are asked for trades: few on a common day, every one within a week, none twice for the same time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_pipeline.stores.raw import RawStore, SymbolAsked, Told
from recon_pipeline.transport.errors import FirewallRefused
from recon_pipeline.venues.binance.asking import (
    LAG,
    TRADES,
    Cursor,
    MarketAsker,
    drain_market,
    names_by_listing,
    page_of_market,
)
from recon_pipeline.venues.binance.discovery import (
    ROTATION_DAYS,
    AskedMarket,
    Gap,
    Market,
    Puzzle,
    between,
    rotation,
    share_of_rotation,
    standing,
    sticky,
    touching,
    unasked,
    with_idle_days,
)
from recon_pipeline.venues.binance.reading import Doubt
from recon_pipeline.venues.binance.session import Session
from recon_pipeline.venues.binance.streams.spot import SOLD
from recon_pipeline.venues.drain import PageRepeated

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 3, 2, tzinfo=UTC)
BASES = [f"COIN{n:03}" for n in range(70)] + ["BTC", "ETH", "BNB"]
MARKETS = [
    Market(base + quote, base, quote) for base in BASES for quote in ("USDT", "BTC", "BNB", "TRY") if base != quote
]


def asked(*symbols: str, through: datetime = END, traded: datetime | None = None) -> dict[str, AskedMarket]:
    return {symbol: AskedMarket(symbol, START, through, None, traded) for symbol in symbols}


@dataclass
class Reply:
    json: Any
    response_id: int | None = None


def symbols(markets: list[Market]) -> list[str]:
    return [market.symbol for market in markets]


def test_a_fill_s_two_assets_name_its_market_and_those_of_the_fee_asset() -> None:
    assert symbols(between({"COIN007", "USDT"}, MARKETS)) == ["BNBUSDT", "COIN007USDT", "COIN007BNB"]


def test_stablecoins_are_asked_first_then_major_coins_then_the_rest() -> None:
    found = symbols(touching({"COIN007"}, MARKETS))
    assert found == ["COIN007USDT", "COIN007BNB", "COIN007BTC", "COIN007TRY"]


def test_a_market_traded_of_late_is_asked_every_day() -> None:
    known = asked("COIN001USDT", traded=END - timedelta(days=29)) | asked("ETHBTC", traded=END - timedelta(days=31))
    assert symbols(sticky(MARKETS, known, END)) == ["COIN001USDT"]


def test_a_market_is_not_asked_again_for_a_time_that_it_covers() -> None:
    known = asked("ETHBTC") | asked("ETHBNB", through=START)
    assert symbols(unasked([Market("ETHBTC", "ETH", "BTC"), Market("ETHBNB", "ETH", "BNB")], known, START, END)) == [
        "ETHBNB"
    ]
    assert unasked([Market("ETHBTC", "ETH", "BTC")], known, START - timedelta(days=1), END)


def test_the_window_is_complete_once_every_market_of_an_unexplained_asset_was_asked() -> None:
    of_coin = symbols(touching({"COIN007"}, MARKETS))
    assert standing({"COIN007"}, MARKETS, asked(*of_coin[:-1]), (START, END)) == "partial"
    assert standing({"COIN007"}, MARKETS, asked(*of_coin), (START, END)) == "complete"
    assert standing(set(), MARKETS, {}, (START, END)) == "complete"
    assert standing({"COIN007"}, MARKETS, asked(*symbols(MARKETS)), (START, END)) == "final"


def test_without_a_list_of_markets_nothing_is_complete() -> None:
    assert standing(set(), [], {}, (START, END)) == "partial"


def test_over_days_on_which_nothing_was_traded_no_market_is_asked_but_for_a_residual() -> None:
    idle, day = {date(2026, 3, 1)}, START + timedelta(hours=7)
    so_far = asked("ETHBTC", through=day)
    known = with_idle_days(MARKETS, so_far, START, idle)
    assert {each.asked_through for each in known.values()} == {END}
    assert rotation(MARKETS, known, START, END) == []
    assert rotation(MARKETS, known, START, END + timedelta(days=1)) != []
    assert standing(set(), MARKETS, so_far, (START, END), idle) == "final"
    assert standing(set(), MARKETS, so_far, (START, END + timedelta(days=1)), idle) == "complete"
    assert standing({"COIN007"}, MARKETS, so_far, (START, END), idle) == "partial"
    assert known.keys() == set(symbols(MARKETS))
    assert so_far == asked("ETHBTC", through=day)


class Rotation:
    """Rotations of one account, as runs make them."""

    def __init__(self, so_far: dict[str, AskedMarket], failing: Collection[str] = ()) -> None:
        self.so_far, self.failing = so_far, failing
        self.last: date | None = None

    def run(self, at: datetime, end: datetime = END) -> list[str]:
        share = share_of_rotation(len(MARKETS), self.last, at.date())
        some = symbols(rotation(MARKETS, self.so_far, START, end)[:share])
        for symbol in some:
            through = START if symbol in self.failing else end
            self.so_far[symbol] = AskedMarket(symbol, START, through, None, None, last_checked=at)
        self.last = at.date()
        return some


@given(st.sets(st.sampled_from(MARKETS), max_size=40), st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3))))
def test_the_rotation_has_asked_every_market_after_a_week_however_often_it_runs(
    known: set[Market], rhythm: list[tuple[int, int]]
) -> None:
    """Some days pass, and some runs follow on one; in the end there is one after a week."""
    each = Rotation(asked(*(market.symbol for market in known), through=START))
    at, counts = END, [len(each.run(END))]
    for days, runs in [*rhythm, (max(0, ROTATION_DAYS - 1 - sum(days for days, _ in rhythm)), 1)]:
        at += timedelta(days=days)
        counts += [len(each.run(at + timedelta(hours=number * 11))) for number in range(runs)]
        assert sum(counts) <= ((at - END).days + 1) * -(-len(MARKETS) // ROTATION_DAYS)
    assert standing(set(), MARKETS, each.so_far, (START, END)) == "final"


@pytest.mark.parametrize(("last", "share"), [(None, 500), (END, 0), (START, 500), (START - timedelta(days=1), 1_000)])
def test_a_run_asks_a_week_s_part_for_every_day_since_the_last_rotation(last: datetime | None, share: int) -> None:
    assert share_of_rotation(3_497, last and last.date(), END.date()) == share


def test_after_weeks_without_a_run_the_rotation_asks_every_market_once() -> None:
    assert share_of_rotation(3_500, END.date() - timedelta(days=30), END.date()) == 3_500


def test_markets_that_always_fail_keep_no_other_from_its_turn() -> None:
    so_far = {market.symbol: AskedMarket(market.symbol, START, START, None, None) for market in MARKETS}
    each = Rotation(so_far, failing=set(symbols(MARKETS)[: len(MARKETS) // 3]))
    turns: dict[str, list[int]] = {symbol: [] for symbol in so_far}
    for number in range(30):
        now = END + timedelta(days=number)
        for symbol in each.run(now, now):
            turns[symbol].append(number)
    waits = {b - a for of_one in turns.values() for a, b in zip([-1, *of_one], [*of_one, 30], strict=True)}
    assert max(waits) <= ROTATION_DAYS


def test_what_is_listed_again_comes_first_in_the_rotation() -> None:
    so_far = {market.symbol: AskedMarket(market.symbol, START, START, None, None) for market in MARKETS}
    last = MARKETS[-1].symbol
    so_far[last] = AskedMarket(last, START, START, None, None, purged_after=END, last_checked=END)
    assert symbols(rotation(MARKETS, so_far, START, END))[0] == last


def test_asking_ends_as_soon_as_what_was_found_explains_what_was_left() -> None:
    """Bought and sold on one day: nothing of the coin is left, only what was lost in dollars, and the fees."""
    market, at = Market("COIN007USDT", "COIN007", "USDT"), datetime(2026, 3, 1, 12, tzinfo=UTC)
    first, last = date(2026, 3, 1), date(2026, 3, 2)
    puzzle = Puzzle([Gap("USDT", first, last, Decimal("-3")), Gap("BNB", first, first, Decimal("-0.2"))])

    def trade(number: int, quote: str, *, is_buyer: bool) -> Told:
        content = {"id": number, "qty": "5", "quoteQty": quote, "commission": "0.1", "commissionAsset": "BNB"}
        return Told(str(number), {}, content | {"isBuyer": is_buyer}, at, None)

    assert not puzzle.is_solved_with(market, [trade(1, "103", is_buyer=True)])
    assert puzzle.is_solved_with(market, [trade(2, "100", is_buyer=False)])


@pytest.mark.parametrize("odd", ["sNaN", "NaN", "Infinity", "much", None, {}])
def test_an_amount_that_is_no_number_explains_nothing_and_the_others_do(odd: Any) -> None:
    market, at = Market("COIN007USDT", "COIN007", "USDT"), datetime(2026, 3, 1, 12, tzinfo=UTC)
    long = "12345678901.123456789012345678"
    gaps = [Gap(asset, at.date(), at.date(), Decimal(amount)) for asset, amount in (("COIN007", long), ("BNB", "-1"))]
    puzzle = Puzzle(gaps)
    fill = {"isBuyer": True, "qty": long, "quoteQty": odd, "commission": odd, "commissionAsset": "BNB"}
    assert not puzzle.is_solved_with(market, [Told("1", {}, fill, at, None)])
    assert [gap.amount for gap in puzzle.gaps] == [0, -1]


@pytest.mark.parametrize(
    "wrong", [{"symbol": "ETHUSDT", "id": 400}, {"symbol": "BTCUSDT", "id": 6}], ids=["another market", "gone back"]
)
def test_a_last_page_that_is_another_one_is_asked_for_again_and_never_taken_for_the_end(wrong: dict[str, Any]) -> None:
    right = {"symbol": "BTCUSDT", "id": 7}

    def page(*answers: dict[str, Any]) -> list[str]:
        coming = iter(answers)
        told = page_of_market(TRADES, lambda *_: Reply([next(coming)]), [("fromId", "7")], "BTCUSDT", 7)
        return [each.key for each in told]

    assert page(wrong, right) == ["BTCUSDT:7"]
    with pytest.raises(PageRepeated, match="is not the one that was asked for"):
        page(wrong, wrong, wrong)


@pytest.mark.parametrize(
    ("known", "cursor"),
    [
        (None, Cursor(START)),
        (AskedMarket("BTCUSDT", START, END, None, START), Cursor(END)),
        (AskedMarket("BTCUSDT", START, END, 900, START), Cursor(END, 901)),
        (AskedMarket("BTCUSDT", END, END, 900, START), Cursor(START)),
        # one that is listed again may number its trades anew
        (AskedMarket("BTCUSDT", START, END, 900, START, purged_after=END), Cursor(END)),
    ],
)
def test_a_market_goes_on_where_the_last_asking_ended(known: AskedMarket | None, cursor: Cursor) -> None:
    nobody: Any = None
    asker = MarketAsker(nobody, TRADES, "main", {"BTCUSDT": known} if known else {}, START, set(), set(), {})
    assert asker.cursor(Market("BTCUSDT", "BTC", "USDT")) == cursor


@pytest.mark.parametrize(
    ("cursor", "place"), [(Cursor(END, 901), ("fromId", "901")), (Cursor(END), ("startTime", "1772409600000"))]
)
def test_what_is_younger_than_the_venue_s_lag_is_asked_for_again(cursor: Cursor, place: tuple[str, str]) -> None:
    """A trade with a lower id may still come, and the next asking goes on by id."""
    now = END + timedelta(days=3)
    old, young = now - LAG, now - LAG + timedelta(milliseconds=1)
    rows = [
        {"symbol": "BTCUSDT", "id": number, "time": int(at.timestamp() * 1000)}
        for number, at in ((950, old), (951, young), (953, young))
    ]
    places: list[tuple[str, str]] = []

    def ask(_: Any, params: Any) -> Any:
        places.extend(pair for pair in params if pair[0] in ("fromId", "startTime"))
        return Reply(rows)

    ((noted, told),) = drain_market(TRADES, ask, Market("BTCUSDT", "BTC", "USDT"), cursor, now)
    assert (places, noted.last_id, noted.asked_through, len(told)) == ([place], 950, now - LAG, 3)


LUNA = Market("LUNAUSDT", "LUNA", "USDT")
GONE = datetime(2026, 3, 10, tzinfo=UTC)
"""When the market left the list, to be listed again."""


def fills(first_id: int, count: int, at: datetime) -> list[dict[str, Any]]:
    """Purchases, a millisecond apart."""
    begin = int(at.timestamp() * 1000)
    return [
        {"symbol": LUNA.symbol, "id": first_id + number, "time": begin + number, "isBuyer": True}
        for number in range(count)
    ]


class Venue:
    """Answers as the venue does: by time, or by id, a full page at most."""

    asked_max = 10

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.asked: list[str] = []

    def ask(self, _: Any, params: Any) -> Any:
        given = dict(params)
        field, place = ("time", "startTime") if "startTime" in given else ("id", "fromId")
        self.asked.append(place)
        assert len(self.asked) <= self.asked_max, "asked without end"
        found = [row for row in self.rows if row[field] >= int(given[place])]
        return Reply(sorted(found, key=lambda row: int(row[field]))[: int(given["limit"])])

    def drained(self) -> tuple[SymbolAsked, Sequence[Told]]:
        """What is asked of a market that left since it was asked last."""
        cursor = Cursor(GONE - timedelta(days=2))
        (found,) = drain_market(TRADES, self.ask, LUNA, cursor, GONE + timedelta(days=10), left_at=[GONE])
        return found


def test_a_market_of_many_trades_comes_in_parts_each_with_how_far_it_was_asked() -> None:
    """Who is killed between two parts goes on where the last one ended, and misses nothing: the last trade of a page
    may be told twice, once for each side."""
    rows, now = fills(1, 2_500, START), END + timedelta(days=10)
    parts = list(drain_market(TRADES, Venue(rows).ask, LUNA, Cursor(START), now, at_once=1_000))
    assert [(asked.last_id, len(told)) for asked, told in parts] == [(999, 1_000), (1_998, 1_000), (2_500, 502)]
    begun = timedelta(milliseconds=1)
    assert [asked.asked_through for asked, _ in parts] == [START + 997 * begun, START + 1_996 * begun, now - LAG]
    assert {asked.asked_from for asked, _ in parts} == {START}
    for number, (asked, _) in enumerate(parts):
        known = [each.content["id"] for _, told in parts[: number + 1] for each in told]
        cursor = Cursor(asked.asked_through, (asked.last_id or 0) + 1)
        rest = drain_market(TRADES, Venue(rows).ask, LUNA, cursor, now, at_once=1_000)
        assert {*known, *(each.content["id"] for _, told in rest for each in told)} == {*range(1, 2_501)}


def test_a_market_that_numbers_its_trades_anew_tells_all_of_both_listings_though_a_page_holds_some_of_each() -> None:
    venue = Venue([*fills(9_000, 600, GONE - timedelta(days=1)), *fills(1, 700, GONE + timedelta(days=2))])
    asked, told = venue.drained()
    assert [each.content["id"] for each in told] == [*range(9_000, 9_600), *range(1, 701)]
    assert (asked.last_id, asked.asked_through) == (700, GONE + timedelta(days=10) - LAG)


def test_a_trade_with_oneself_that_a_page_by_time_cuts_in_two_is_told_whole() -> None:
    old = fills(9_000, TRADES.paging.size, GONE - timedelta(days=1))
    sale = {**old[-1], "isBuyer": False}
    asked, told = Venue([*old, sale, *fills(1, 3, GONE + timedelta(days=2))]).drained()
    of_trade = [each.key for each in told if each.content["id"] == sale["id"]]
    assert of_trade == [f"LUNAUSDT:{sale['id']}", f"LUNAUSDT:{sale['id']}{SOLD}"]
    assert (len(told), asked.last_id) == (TRADES.paging.size + 4, 3)


def test_a_page_that_one_instant_fills_is_followed_by_what_has_higher_ids() -> None:
    at = int((GONE - timedelta(days=1)).timestamp() * 1000)
    venue = Venue([{**row, "time": at} for row in fills(9_000, TRADES.paging.size + 200, GONE)])
    _, told = venue.drained()
    assert (len(told), venue.asked) == (TRADES.paging.size + 200, ["startTime", "startTime", "fromId"])


def told_otherwise(doubt: Doubt, told: Sequence[Told]) -> frozenset[str]:
    """The doubtful records of the market that go, now that it tells these."""
    nobody: Any = None
    doubts = {("main", TRADES.name, LUNA.symbol): doubt}
    return MarketAsker(nobody, TRADES, "main", {}, START, set(), set(), {}, doubts)._told_otherwise(LUNA, told)


def sides(number: int = 7) -> list[Told]:
    """Purchase and sale of one trade with oneself, made after the market left."""
    call = {"symbol": LUNA.symbol}
    rows = [{"id": number, "isBuyer": True}, {"id": number, "isBuyer": False}]
    return [Told(TRADES.key(call, row), call, row, GONE + timedelta(days=2), None) for row in rows]


def test_a_trade_whose_instant_could_not_be_read_goes_once_it_is_told_under_the_name_of_its_listing() -> None:
    purchase, _ = sides()
    doubt = Doubt(None).with_one(purchase.key, None, is_misnamed=True)
    assert told_otherwise(doubt, [names_by_listing(purchase, [GONE])[0]]) == {purchase.key}
    assert told_otherwise(doubt, sides(8)) == told_otherwise(doubt, []) == frozenset()
    assert told_otherwise(doubt, [purchase]) == frozenset()


def test_a_doubtful_trade_stays_where_another_listing_gave_its_number_to_another_trade() -> None:
    """Its own instant is known; whether it was bought or sold is not."""
    purchase, sale = sides()
    at = GONE - timedelta(days=2)
    doubt = Doubt(at).with_one(purchase.key, at, is_misnamed=True)
    anew = [names_by_listing(each, [GONE])[0] for each in (purchase, sale)]
    assert told_otherwise(doubt, anew) == frozenset()
    assert told_otherwise(doubt, [*anew, replace(sale, instant=at)]) == {purchase.key}


@pytest.mark.parametrize("is_misnamed", [False, True])
def test_a_doubtful_purchase_goes_with_an_answer_that_tells_a_sale_alone_only_if_it_may_have_been_that(
    *, is_misnamed: bool
) -> None:
    """Of a trade with oneself the answer may lack the purchase."""
    purchase, sale = sides()
    doubt = Doubt(GONE).with_one(purchase.key, purchase.instant, is_misnamed=is_misnamed)
    assert told_otherwise(doubt, [sale]) == ({purchase.key} if is_misnamed else frozenset())


@pytest.mark.postgres
def test_a_market_that_a_firewall_refuses_has_had_its_turn_and_keeps_no_other_from_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three in a row, and it is not the market."""
    markets = [Market(f"{name}USDT", name, "USDT") for name in ("ADA", "DROP", "SELECT", "ETH", "UNION", "SOL")]
    nobody: Any = None
    going_on: Any = SimpleNamespace(check=lambda: None)
    asked: list[str] = []

    def ask(_: Any, params: Any) -> Any:
        asked.append(dict(params)["symbol"].removesuffix("USDT"))
        if asked[-1] in words:
            raise FirewallRefused("the firewall refuses it", venue="binance", endpoint="/list", status=403)
        return SimpleNamespace(json=[], response_id=None)

    def night(number: int) -> list[str]:
        asked.clear()
        clock: Any = SimpleNamespace(now=lambda: START + timedelta(days=number))
        session = Session("binance", database, nobody, nobody, clock, raw, {}, going_on)
        monkeypatch.setattr(session, "ask_as", lambda _: ask)
        rows = {row.symbol: row for row in raw.asked_symbols(TRADES.name)}
        known = {
            name: AskedMarket(name, row.asked_from, row.asked_through, None, None, None, row.last_checked)
            for name, row in rows.items()
        }
        with MarketAsker(session, TRADES, "main", known, START, set(), set(), {}) as asker:
            for market in rotation(markets, known, START, START + timedelta(days=number)):
                asker.ask(market)
        return asked

    with closing(RawStore(database, "binance")) as raw:
        words = {"DROP", "SELECT", "UNION"}
        assert night(5) == ["ADA", "DROP", "ETH", "SELECT", "SOL", "UNION"]
        assert sorted(night(6)) == ["ADA", "DROP", "ETH", "SELECT", "SOL", "UNION"]
        words = {market.base for market in markets}
        assert len(night(7)) == 3


def test_a_market_that_was_halted_since_it_was_asked_is_asked_before_it_leaves() -> None:
    markets = [Market(symbol, symbol[0], symbol[1:]) for symbol in ("ABTC", "BBTC", "CBTC")]
    asked = {
        market.symbol: AskedMarket(
            market.symbol, START, START, None, None, last_checked=START + timedelta(hours=number)
        )
        for number, market in enumerate(markets)
    }
    halted = {"BBTC": START, "CBTC": START + timedelta(days=1), "NEW": START}
    fresh = Market("NEW", "N", "BTC")  # was never asked, and has its turn with the others of which that is so
    order = rotation([*markets, fresh], asked, START, START + timedelta(days=2), halted)
    assert symbols(order) == ["CBTC", "NEW", "ABTC", "BBTC"]
    idle = with_idle_days([fresh], {}, START, {START.date()})
    late = END + timedelta(days=1)
    assert symbols(rotation([fresh, Market("A", "A", "BTC")], idle, START, late, halted)) == ["A", "NEW"]


def test_markets_that_are_halted_come_last() -> None:
    markets = [Market("ABTC", "A", "BTC"), Market("AUSDT", "A", "USDT", is_open=False), Market("ATRY", "A", "TRY")]
    assert symbols(touching({"A"}, markets)) == ["ABTC", "ATRY", "AUSDT"]
