"""Markets that leave the venue: those of isolated margin and of futures, and those of SPOT that stood still before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

import pytest

from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.sandbox.binance.gate import Asked
from recon_pipeline.sandbox.binance.gate import Told as Answered
from recon_pipeline.sandbox.binance.moments import HOUR_MS, day_ms
from recon_pipeline.stores.raw import RawStore, Told
from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.transport.errors import InvalidSymbol
from recon_pipeline.venues.binance.markets import LISTED, departures, halted_since, purged_markets
from recon_pipeline.venues.binance.pulling import Pull
from recon_pipeline.venues.binance.session import Session
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.binance.streams.margin import ISOLATED
from recon_pipeline.venues.pull import Ledger, Puller
from recon_pipeline.venues.streams import AccountFacts, part_of
from recon_pipeline_tests.binance_home import BinanceHome, binance_home, midnight
from recon_pipeline_tests.test_binance_feeds import Reply
from recon_pipeline_tests.test_binance_markets import LIST, edit_answers
from recon_pipeline_tests.test_binance_open_days import MAIN, QUIET, day

pytestmark = pytest.mark.postgres
FLOWS = BY_NAME["isolated_capital_flow"]
NOON = timedelta(hours=12)
WITH_MARGIN = tuple(sorted({*QUIET, "managed", "prediction"} - {"margin", "derivatives"}))
VERDICTS = "SELECT date, verdict FROM marts.account_day_verdict WHERE account = :account ORDER BY 1"


def refuse(home: BinanceHome, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What is put into the set the venue does not know any more, whichever stream of margin or futures names it."""
    gate, gone = home.sandbox.site.gate, set[str]()
    truly = gate.tell

    def edited(asked: Asked, now_us: int) -> Answered:
        answer = truly(asked, now_us)
        named = gone.intersection(dict(parse_qsl((asked.query + b"&" + asked.body).decode())).values())
        if named and asked.path.startswith("/sapi/v1/margin"):
            return replace(answer, status=400, body=b'{"code":-3028,"msg":"Not a valid margin pair."}')
        if named and asked.path.startswith("/fapi/v1"):
            return replace(answer, status=400, body=b'{"code":-1121,"msg":"Invalid symbol."}')
        return answer

    monkeypatch.setattr(gate, "tell", edited)
    return gone


def open_wallets(home: BinanceHome, since: date) -> set[str]:
    """The wallets that are incomplete on some day."""
    rows = home.ask(
        "SELECT DISTINCT wallet FROM recon.reconciliation WHERE status = 'incomplete' AND date >= :since", since=since
    )
    return {wallet for (wallet,) in rows}


def test_a_market_that_the_venue_knows_no_more_costs_what_is_held_in_it_alone(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of isolated margin and one of futures, by every stream that names it; and nothing once it is told again."""
    world = make_world(21, days=12, subs=0, symbols_max=250, burst_max=5, without=WITH_MARGIN)
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        gone = refuse(home, monkeypatch)
        home.capture_days(day(2), day(5))
        home.run(day(3), day(4))
        assert open_wallets(home, day(3)) == set()
        ((pair,),) = home.ask(
            "SELECT wallet FROM recon.reconciliation"
            " WHERE wallet LIKE 'ISOLATED%' AND actual_balance > 0 AND date = :on ORDER BY 1 LIMIT 1",
            on=day(4),
        )
        ((of_futures,),) = home.ask(
            "SELECT content ->> 'symbol' FROM recon.raw_records WHERE stream = 'futures_income'"
            " AND content ->> 'symbol' <> '' ORDER BY 1 LIMIT 1"
        )
        gone |= {pair.partition(":")[2], of_futures}
        for number in (5, 6):
            home.capture_days(day(number + 1), day(number + 1))
            home.run(day(number), day(number))
            assert home.problems == []
        assert open_wallets(home, day(3)) == {pair}
        told = home.ask(
            "SELECT DISTINCT symbol, stream, name, next_step FROM recon.errors WHERE symbol = ANY(:gone)",
            gone=list(gone),
        )
        assert {name for _, _, name, _ in told} == {"MarketRefused"}
        assert {stream for _, stream, _, _ in told} >= {"isolated_capital_flow", "margin_transfers", "futures_trades"}
        refused = "SELECT date FROM recon.pulls WHERE stream = :stream AND status = 'failed' ORDER BY 1"
        part = f"isolated_capital_flow:{pair.partition(':')[2]}"
        assert home.ask(refused, stream=part) == [(day(6),), (day(7),)]
        gone.clear()
        for number in (7, 8):
            home.capture_days(day(number + 1), day(number + 1))
            home.run(day(number), day(number))
        assert home.ask(refused, stream=part) == []
        assert open_wallets(home, day(3)) == set()
        assert home.ask(VERDICTS, account=MAIN)[-1] == (day(8), "green")


@pytest.mark.long
def test_isolated_margin_that_was_not_captured_on_the_first_night_closes_with_its_first_capture(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=8, subs=0, symbols_max=250, burst_max=5, without=(*QUIET, "managed", "prediction"))
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:
        home.capture_days(day(4), day(5))
        home.run(day(3), day(3))
        home.run(day(4), day(4))
        lost = {wallet for wallet in open_wallets(home, day(3)) if wallet.startswith("ISOLATED")}
        assert len(lost) > 1
        assert all(":" in wallet for wallet in lost)
        assert home.ask("SELECT DISTINCT is_open FROM marts.holes WHERE date = :on", on=day(3)) == [(False,)]
        assert [verdict for _, verdict in home.ask(VERDICTS, account=MAIN)] == ["incomplete", "green"]


@pytest.mark.long
@pytest.mark.parametrize(("halted_on", "lost"), [(5, set()), (9, {day(9)})], ids=["long before", "on its last day"])
def test_a_market_that_stood_still_before_it_left_hides_nothing_since(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, halted_on: int, lost: set[date]
) -> None:
    """It is asked once when it is halted; after that nothing was traded in it."""
    world = make_world(21, days=12, subs=0, symbols_max=250, burst_max=5, without=(*QUIET, "managed", "prediction"))
    world.market.purged_us["LINKUSDT"] = (day_ms(day(9)) + 15 * HOUR_MS) * 1000
    with binance_home(world, tmp_path, database, monkeypatch, start=day(3)) as home:

        def halted(body: Any, _: Asked) -> Any:
            rows = [{**row, "status": "BREAK"} if row["symbol"] == "LINKUSDT" else row for row in body["symbols"]]
            return {**body, "symbols": rows} if home.now >= midnight(day(halted_on)) + timedelta(hours=12) else None

        edit_answers(home, monkeypatch, LIST, halted)
        home.capture_days(day(2), day(3))
        for number in range(3, 10):
            home.capture_days(day(number + 1), day(number + 1))
            home.run(day(number), day(number))
        holes = home.ask(
            "SELECT DISTINCT date FROM recon.reconciliation WHERE status = 'incomplete' AND wallet = 'SPOT'"
        )
        assert ({on for (on,) in holes} == set()) == (not lost)
        assert lost <= {on for (on,) in holes}


def test_a_market_stands_still_from_the_first_of_the_lists_that_all_say_so(database: str) -> None:
    """Up to the one without it; one that traded in between began anew."""
    nights = [
        ("ABC", ""), ("ABC", "A"), ("ABC", "AB"), ("ABC", "B"), ("ABC", "AB"), ("BC", "B"), ("C", ""), ("C", "C")
    ]  # fmt: skip
    with closing(RawStore(database, "binance")) as raw:
        for number, (listed, halted) in enumerate(nights, start=1):
            content = {"markets": [[name, name, "USDT"] for name in listed], "halted": list(halted)}
            raw.keep("", LISTED, [Told(LISTED, {}, content, None, None)], {}, midnight(day(number)) + NOON)
        assert halted_since(raw) == {"C": midnight(day(8)) + NOON}
        gone = purged_markets(raw, departures(raw), {"C"})
        assert gone == {"A": midnight(day(5)) + NOON, "B": midnight(day(3)) + NOON}


class Pairs:
    """Two pairs of isolated margin: what a venue tells of them, night after night."""

    def __init__(self, raw: RawStore) -> None:
        self.raw = raw
        self.refused: set[str] = set()
        self.names = ["AUSDT", "BUSDT"]
        self.left: set[str] = set()

    def night(self, number: int) -> None:
        """What the run of two days before asks, by now."""
        now, last = midnight(day(number)) + timedelta(hours=2), day(number - 2)
        facts = AccountFacts(MAIN, products=frozenset({"margin"}), extras={ISOLATED: self.names})
        puller = Puller(
            self.raw, Ledger(self.raw), lambda: now, lambda: None, is_left=lambda _, name, __: name in self.left
        )
        puller.pull(FLOWS, facts, self.ask, last, last + timedelta(days=1))

    def ask(self, _: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        given = dict(params)
        if given["symbol"] in self.refused:
            raise InvalidSymbol("not known", venue="binance", endpoint="/list")
        first = datetime.fromtimestamp(int(given["startTime"]) / 1000, UTC)
        last = datetime.fromtimestamp(int(given["endTime"]) / 1000, UTC)
        noons = [first.replace(hour=12) + timedelta(days=n) for n in range((last - first).days + 1)]
        rows = [
            {"id": int(f"{at:%Y%m%d}"), "timestamp": int(at.timestamp() * 1000), "symbol": given["symbol"]}
            for at in noons
        ]
        return Reply(rows)

    def part(self, name: str) -> dict[str, set[int]]:
        """The days of a pair's part, by how they stand."""
        found: dict[str, set[int]] = {}
        for row in self.raw.ledger(streams=[part_of(FLOWS.name, name)]):
            found.setdefault(row.status, set()).add(row.date.day)
        return found

    def told(self, name: str) -> set[int]:
        """The days of which something of a pair is stored."""
        rows = self.raw.records([FLOWS.name])
        return {row.instant.day for row in rows if row.call["symbol"] == name and row.instant is not None}


@pytest.fixture
def pairs(database: str) -> Iterator[Pairs]:
    with closing(RawStore(database, "binance")) as raw:
        yield Pairs(raw)


def test_days_that_were_read_with_a_market_stay_so_whatever_is_named_after_it_was_refused(pairs: Pairs) -> None:
    for number in range(10, 16):
        pairs.night(number)
    pairs.refused = {"AUSDT"}
    for number in (16, 17):
        pairs.night(number)
    assert pairs.part("AUSDT")["failed"] == {15, 16}
    pairs.names = [*pairs.names, "CUSDT"]
    for number in (18, 19):
        pairs.night(number)
    assert pairs.part("AUSDT")["failed"] == {15, 16, 17, 18}
    assert pairs.told("AUSDT") == set(range(8, 15))
    assert pairs.told("CUSDT") == set(range(8, 19))


def test_a_market_is_no_hole_since_nothing_of_it_was_stated_nor_once_nothing_names_it(pairs: Pairs) -> None:
    pairs.refused = {"AUSDT", "TYPO"}
    pairs.night(10)
    assert pairs.part("AUSDT") == {"failed": {8, 9}}
    pairs.left = {"AUSDT"}
    pairs.night(11)
    assert pairs.part("AUSDT") == {"not_applicable": {8, 9, 10}}
    pairs.names = ["BUSDT", "TYPO"]
    pairs.night(12)
    assert pairs.part("TYPO") == {"failed": {8, 9, 10, 11}}
    pairs.names = ["BUSDT"]
    pairs.night(13)
    assert pairs.part("TYPO") == {"not_applicable": {8, 9, 10, 11}}


def test_a_market_that_comes_back_is_asked_of_the_days_too_since_nothing_of_it_was_stated(pairs: Pairs) -> None:
    """What emptied it is told then."""
    pairs.refused = {"AUSDT"}
    pairs.night(10)
    pairs.left = {"AUSDT"}
    for number in range(11, 19):
        pairs.night(number)
    assert pairs.told("AUSDT") == set()
    pairs.refused, pairs.left = set(), set()
    for number in (19, 20):
        pairs.night(number)
    assert pairs.told("AUSDT") == pairs.told("BUSDT")
    assert pairs.part("AUSDT") == {"complete": pairs.told("AUSDT")}


def test_who_is_killed_while_a_market_is_read_that_is_told_again_loses_nothing(
    pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its days were final by then, and count as read without it until its records are stored."""
    pairs.refused = {"AUSDT"}
    for number in range(10, 18):
        pairs.night(number)
    pairs.refused = set()
    pairs.night(18)
    with monkeypatch.context() as killed:
        killed.setattr(RawStore, "keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pairs.night(19)
    for number in (19, 20):
        pairs.night(number)
    assert pairs.told("AUSDT") == pairs.told("BUSDT")
    assert pairs.part("AUSDT") == {"complete": pairs.told("AUSDT")}


def interrupted(*_: object, **__: object) -> None:
    """What a killed run gets done."""
    raise KeyboardInterrupt


def test_a_pair_is_left_from_the_capture_on_that_does_not_list_it(database: str) -> None:
    """Nobody says so of a pair that recon.yaml alone names, nor of a day before the first capture."""
    nothing, facts = cast(Any, None), AccountFacts(MAIN, extras={ISOLATED: ["AUSDT", "BUSDT"]})
    with closing(RawStore(database, "binance")) as raw:
        for number, pairs in ((4, ["AUSDT", "BUSDT"]), (6, ["BUSDT"]), (7, [])):
            content = {"date": str(day(number)), "rows": [{"symbol": pair} for pair in pairs]}
            raw.keep(MAIN, "isolated_account", [Told(str(number), {}, content, None, None)], {}, midnight(day(9)))
        pull = Pull(Session("binance", database, nothing, nothing, nothing, raw, {}, nothing))
        left = {
            name: [n for n in range(3, 9) if pull._is_left(facts, name, day(n))] for name in ("AUSDT", "BUSDT", "C")
        }
        assert left == {"AUSDT": [6, 7, 8], "BUSDT": [7, 8], "C": []}
