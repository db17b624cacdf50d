"""Raw records as versions, and the ledger of days: once or twice, in any order, nothing lost and nothing doubled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import pytest
import sqlalchemy as sa

from recon_pipeline.stores.canonical import canonical_json
from recon_pipeline.stores.coverage import Needed, coverage_spans
from recon_pipeline.stores.database import DatabaseError, connection
from recon_pipeline.stores.raw import AT_ONCE, Contents, DayRead, Part, RawStore, Stored, SymbolAsked, Told, Whole
from recon_pipeline.venues.pull import Ledger

pytestmark = pytest.mark.postgres
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)
MAIN, DESK = "main@example.com", "desk-1_virtual@example.com"
EVERYTHING = Whole([{"type": "MAIN_FUNDING"}], lambda _: True)


@pytest.fixture
def raw(database: str) -> Iterator[RawStore]:
    store = RawStore(database, "binance")
    yield store
    store.close()


def told(key: str, amount: Any = "1.5", status: int = 1) -> Told:
    content = {"id": key, "amount": amount, "status": status}
    return Told(key, {"type": "MAIN_FUNDING"}, content, NOON - timedelta(days=1), None)


def contents(raw: RawStore) -> dict[str, Any]:
    return {row.key: row.content for row in raw.records()}


def complete(records: int = 1) -> dict[date, DayRead]:
    return {DAY: DayRead("complete", 1, records)}


def test_a_record_read_twice_is_one_row_and_keeps_its_number(raw: RawStore) -> None:
    assert raw.keep(MAIN, "deposits", [told("a"), told("b")], complete(2), NOON).new == 2
    before = {row.key: row.fid for row in raw.records()}
    again = raw.keep(MAIN, "deposits", [told("b"), told("a"), told("a")], complete(2), NOON + timedelta(hours=1))
    assert (again.new, again.changed) == (0, ())
    assert {row.key: row.fid for row in raw.records()} == before


def test_a_record_that_the_venue_changed_is_kept_in_both_versions(raw: RawStore, database: str) -> None:
    raw.keep(MAIN, "deposits", [told("a", status=0)], complete(), NOON)
    changed = raw.keep(MAIN, "deposits", [told("a", status=1), told("b")], complete(2), NOON + timedelta(hours=1))
    assert (changed.new, changed.changed) == (1, ("a",))
    assert contents(raw)["a"]["status"] == 1
    with connection(database, "asking") as opened:
        versions = opened.execute(
            sa.text("SELECT version, content ->> 'status' FROM recon.raw_records WHERE record_key = 'a' ORDER BY 1")
        ).all()
    assert [tuple(row) for row in versions] == [(1, "0"), (2, "1")]


def test_what_changed_is_told_before_it_is_stored_so_that_a_kill_in_between_tells_it_again(raw: RawStore) -> None:
    heard: list[Contents] = []

    def hear(before: Contents) -> None:
        heard.append(before)
        if len(heard) == 1:
            raise KeyboardInterrupt

    raw.keep(MAIN, "deposits", [told("a"), told("b")], complete(2), NOON, tell_changed=hear)
    assert heard == []
    with pytest.raises(KeyboardInterrupt):
        raw.keep(MAIN, "deposits", [told("a", "2"), told("b")], complete(2), NOON, tell_changed=hear)
    raw.keep(MAIN, "deposits", [told("a", "2"), told("b")], complete(2), NOON, tell_changed=hear)
    raw.keep(MAIN, "deposits", [told("a", "2"), told("b")], complete(2), NOON, tell_changed=hear)
    assert [{key: content["amount"] for key, content in before.items()} for before in heard] == 2 * [{"a": "1.5"}]


def test_one_read_that_tells_two_stories_is_not_believed_until_a_later_one_tells_one(raw: RawStore) -> None:
    raw.keep(MAIN, "deposits", [told("a", "1.5"), told("a", "15")], complete(), NOON)
    (row,) = raw.records()
    assert row.is_doubted
    assert sorted(each["amount"] for each in (row.content, *row.others)) == ["1.5", "15"]
    raw.keep(MAIN, "deposits", [told("a", "1.5")], complete(), NOON + timedelta(hours=1))
    assert [(row.is_doubted, row.content["amount"], row.others) for row in raw.records()] == [(False, "1.5", ())]


def test_what_an_older_release_kept_of_two_stories_is_completed_once_they_are_told_again(
    raw: RawStore, database: str
) -> None:
    read = [told("a", "1.5"), told("a", "15"), told("b"), told("c", "1"), told("c", "2")]
    raw.keep(MAIN, "deposits", read, complete(), NOON)
    kept = raw.records()
    with connection(database, "an older release") as opened:
        opened.execute(sa.text("UPDATE recon.raw_records SET others = NULL"))
    assert [row.others for row in raw.records()] == [(), (), ()]
    raw.keep(MAIN, "deposits", read, complete(), NOON + timedelta(hours=1))
    assert raw.records() == kept


def test_what_was_told_before_of_a_record_is_told_in_its_order_but_for_what_was_doubted(raw: RawStore) -> None:
    for hour, amounts in enumerate((["1"], ["2"], ["3", "4"], ["5"])):
        told_now = [told("a", amount) for amount in amounts]
        raw.keep(MAIN, "deposits", [*told_now, told("b")], complete(), NOON + timedelta(hours=hour))
    fids = {row.key: row.fid for row in raw.records()}
    before = raw.before(list(fids.values()))
    assert [(row.content["amount"], row.read_at) for row in before.pop(fids["a"])] == [
        ("1", NOON),
        ("2", NOON + timedelta(hours=1)),
    ]
    assert before == {}


def test_what_two_accounts_are_told_in_the_same_words_are_two_records(raw: RawStore) -> None:
    for account, stream in ((MAIN, "deposits"), ("sub@example.com", "deposits"), (MAIN, "withdrawals")):
        raw.keep(account, stream, [told("a")], complete(), NOON)
    assert len({row.digest for row in raw.records()}) == len({row.fid for row in raw.records()}) == 3


def test_a_capture_without_rows_tells_of_nothing(raw: RawStore) -> None:
    def captured(*rows: str) -> Told:
        return Told("a", {}, {"rows": list(rows)}, NOON, None)

    raw.keep(MAIN, "locked_positions", [captured()], complete(), NOON)
    assert not raw.has_told(MAIN, "locked_positions")
    assert not raw.has_told(MAIN, "deposits")
    raw.keep(MAIN, "locked_positions", [captured("BTC")], complete(), NOON)
    raw.keep(MAIN, "locked_positions", [captured()], complete(), NOON)
    assert raw.has_told(MAIN, "locked_positions")


def test_numbers_keep_every_digit_on_their_way_through_the_database(raw: RawStore) -> None:
    numbers = {
        "fine": Decimal("0.000000000000000000123456789"),
        "trailing": Decimal("1.10"),
        "id": 9007199254740993,
        "tiny": Decimal("6.75E-7"),
    }
    raw.keep(MAIN, "deposits", [Told("a", {}, numbers, None, None)], complete(), NOON)
    found = contents(raw)["a"]
    assert {name: str(value) for name, value in found.items()} == {
        "fine": "1.23456789E-19",
        "trailing": "1.10",
        "id": "9007199254740993",
        "tiny": "6.75E-7",
    }


def test_a_whole_number_that_the_database_writes_out_is_read_again(raw: RawStore) -> None:
    raw.keep(MAIN, "deposits", [Told("a", {}, {"score": Decimal("1e5000"), "id": 7}, None, None)], complete(), NOON)
    assert contents(raw)["a"] == {"score": Decimal("1e5000"), "id": 7}


def test_a_float_has_lost_digits_already_and_is_refused() -> None:
    with pytest.raises(TypeError, match="float is not exact JSON"):
        canonical_json({"amount": 1.1})


def test_what_was_read_to_the_end_stands_whatever_becomes_of_a_later_read(raw: RawStore) -> None:
    raw.mark(MAIN, "deposits", {DAY: DayRead("complete", 1, 3)}, NOON)
    raw.mark(MAIN, "deposits", {DAY: DayRead("failed", 0, 0, "NetworkError", "broke off")}, NOON)
    assert [(row.status, row.records) for row in raw.ledger()] == [("complete", 3)]
    raw.mark(MAIN, "deposits", {DAY: DayRead("final", 1, 3)}, NOON)
    raw.mark(MAIN, "deposits", {DAY: DayRead("complete", 1, 3)}, NOON)
    assert [row.status for row in raw.ledger()] == ["final"]


def test_a_day_that_was_read_stays_read_when_the_stream_applies_no_more(raw: RawStore) -> None:
    for status in ("complete", "final"):
        raw.mark(MAIN, "deposits", {DAY: DayRead(status, 1, 3)}, NOON)
        raw.mark(MAIN, "deposits", {DAY: DayRead("not_applicable")}, NOON)
        assert [(row.status, row.records) for row in raw.ledger()] == [(status, 3)]


def test_a_day_to_which_a_stream_did_not_apply_is_asked_again_within_its_horizon(raw: RawStore) -> None:
    days = [DAY - timedelta(days=back) for back in (0, 1, 2, 5)]
    raw.mark(MAIN, "deposits", dict.fromkeys(days, DayRead("not_applicable")), NOON)
    ledger, first = Ledger(raw), DAY + timedelta(days=1)
    assert ledger.to_ask(MAIN, "deposits", first, first) == [first]
    since = DAY - timedelta(days=2)
    assert ledger.to_ask(MAIN, "deposits", first, first, since=since) == [*sorted(days)[1:], first]


def test_what_could_not_be_read_of_a_day_before_the_start_is_no_hole_unless_somebody_asks(
    raw: RawStore, database: str
) -> None:
    before = DAY - timedelta(days=1)
    lost = DayRead("failed", error="BeyondRetention")
    raw.mark(MAIN, "deposits", {before: lost, DAY: lost}, NOON)
    needed = {"binance": Needed(DAY, {})}

    def told(first: date | None, *, only_holes: bool) -> list[tuple[str, date]]:
        found = coverage_spans(database, needed, first=first, only_holes=only_holes)
        return [(row["status"], row["from"]) for row in found]

    assert told(None, only_holes=True) == [("failed", DAY)]
    assert told(None, only_holes=False) == [("before_start", before), ("failed", DAY)]
    assert told(before, only_holes=True) == [("failed", before)]


def test_a_day_that_no_run_came_to_and_that_was_not_over_yet_is_no_hole(raw: RawStore, database: str) -> None:
    next_day = DAY + timedelta(days=1)
    not_over = DayRead("partial", error="NotOver")
    for account in (MAIN, DESK, ""):
        raw.mark(account, "deposits", {DAY: not_over, next_day: not_over}, NOON)
        raw.mark(account, "withdrawals", {next_day: DayRead("failed", error="NetworkError")}, NOON)

    def run(name: str, day: date, *accounts: str) -> None:
        told_of_run = {"name": name, "day": day, "accounts": list(accounts) or None}
        with connection(database, "a run") as opened:
            query = "INSERT INTO recon.runs (run_id, venue, first_day, last_day, as_of_day, accounts)"
            opened.execute(sa.text(f"{query} VALUES (:name, 'binance', :day, :day, :day, :accounts)"), told_of_run)

    def of_deposits(*, only_holes: bool = True, last: date | None = None) -> list[tuple[str, date, str]]:
        found = coverage_spans(database, {"binance": Needed(DAY, {})}, last=last, only_holes=only_holes)
        assert {(row["stream"], row["status"]) for row in found if row["error"] == "NetworkError"} <= {
            ("withdrawals", "failed")
        }
        return [(row["account"], row["from"], row["status"]) for row in found if row["stream"] == "deposits"]

    run("r-1", DAY)
    assert of_deposits() == [(account, DAY, "partial") for account in ("", DESK, MAIN)]
    shown = [(account, *each) for account in ("", DESK, MAIN) for each in ((DAY, "partial"), (next_day, "not_over"))]
    assert of_deposits(only_holes=False) == shown
    assert of_deposits(last=next_day) == [(account, DAY, "partial") for account in ("", DESK, MAIN)]  # as one span
    run("r-2", next_day, MAIN)
    assert (DESK, next_day, "not_over") in of_deposits(only_holes=False)
    assert {row for row in of_deposits(only_holes=False) if row[0] != DESK} == {
        ("", DAY, "partial"),
        (MAIN, DAY, "partial"),
    }


def test_a_failed_day_is_mended_by_a_read_that_succeeds(raw: RawStore) -> None:
    raw.mark(MAIN, "deposits", {DAY: DayRead("failed", 0, 0, "NetworkError", "broke off")}, NOON)
    raw.keep(MAIN, "deposits", [told("a")], complete(), NOON)
    assert [(row.status, row.error) for row in raw.ledger()] == [("complete", None)]


def test_the_main_account_s_read_covers_the_family(raw: RawStore) -> None:
    raw.keep(MAIN, "universal_transfers", [told("a")], complete(), NOON, covers=(MAIN, "desk-1_virtual@example.com"))
    assert [row.account for row in raw.ledger()] == ["desk-1_virtual@example.com", MAIN]


def test_what_several_streams_tell_at_one_moment_is_stored_whole_or_not_at_all(raw: RawStore) -> None:
    good = Part("flexible_positions", [told("a")], complete())
    bad = Part("locked_positions", [told("b")], {DAY: DayRead("no such status")})
    with pytest.raises(DatabaseError):
        raw.keep_together(MAIN, [good, bad], NOON)
    assert (contents(raw), raw.ledger()) == ({}, [])
    raw.keep_together(MAIN, [good, replace(bad, days=complete())], NOON)
    assert sorted(contents(raw)) == ["a", "b"]


def test_what_two_tell_of_one_night_at_once_is_stored_once(raw: RawStore, database: str) -> None:
    """As the captures of two processes do, of more accounts than there are connections."""
    ready, streams = threading.Barrier(16), ("flexible_positions", "locked_positions")
    long_ago = [replace(told("a night before"), instant=NOON - timedelta(days=2))]

    def store(into: RawStore, account: str, key: str) -> None:
        parts = [Part(stream, [replace(told(key), instant=NOON)], complete()) for stream in streams]
        ready.wait(30)
        into.keep_together(account, parts, NOON, unless=bool, since=NOON - timedelta(days=1))

    accounts = [f"{number}@example.com" for number in range(8)]
    with closing(RawStore(database, "binance")) as other, ThreadPoolExecutor(16) as threads:
        for account in accounts:
            raw.keep(account, streams[0], long_ago, {}, NOON)
            raw.keep(account, "another", [told("of another stream")], {}, NOON)
        raw.keep("another@example.com", streams[0], [told("of another account")], {}, NOON)
        stored = [
            threads.submit(store, each, account, key)
            for each, key in ((raw, "one"), (other, "other"))
            for account in accounts
        ]
        for each in stored:
            each.result()
    for account in accounts:
        both = [[row.key for row in raw.records([stream], since=NOON) if row.account == account] for stream in streams]
        assert both in ([["one"], ["one"]], [["other"], ["other"]])


def test_what_stands_is_asked_of_where_nobody_else_can_store_meanwhile(raw: RawStore) -> None:
    told_of = list[Sequence[str]]()

    def hear(stored: Sequence[Stored]) -> bool:
        told_of.append(sorted(row.key for row in stored))
        return len(told_of) == 2

    for key in ("a", "b", "c"):
        raw.keep_together(MAIN, [Part("flexible_positions", [told(key)], complete())], NOON, unless=hear)
    assert told_of == [[], ["a"], ["a"]]
    assert sorted(contents(raw)) == ["a", "c"]


def test_a_record_that_is_not_told_again_counts_no_longer_and_counts_again_when_it_is(raw: RawStore) -> None:
    raw.keep(MAIN, "deposits", [told("a"), told("b")], complete(2), NOON)
    kept = raw.keep(MAIN, "deposits", [told("b")], complete(), NOON + timedelta(hours=1), whole=EVERYTHING)
    assert (kept.new, kept.changed, kept.gone, sorted(contents(raw))) == (0, (), ("a",), ["b"])
    again = raw.keep(MAIN, "deposits", [told("b")], complete(), NOON + timedelta(hours=2), whole=EVERYTHING)
    assert again.gone == ()
    back = raw.keep(MAIN, "deposits", [told("a"), told("b")], complete(2), NOON + timedelta(hours=3), whole=EVERYTHING)
    assert (back.gone, sorted(contents(raw))) == ((), ["a", "b"])


def test_a_read_that_misses_a_record_makes_no_day_final_and_tells_of_it_before_it_is_stored(raw: RawStore) -> None:
    heard: list[tuple[list[str], list[str]]] = []
    whole = replace(EVERYTHING, tell=lambda keys: heard.append((list(keys), sorted(contents(raw)))))
    final = {DAY: DayRead("final", 1, 0)}
    raw.keep(MAIN, "deposits", [told("a")], complete(), NOON)
    raw.keep(MAIN, "deposits", [], final, NOON + timedelta(hours=1), whole=whole)
    assert heard == [(["a"], ["a"])]
    assert [row.status for row in raw.ledger()] == ["complete"]
    raw.keep(MAIN, "deposits", [], final, NOON + timedelta(hours=2), whole=whole)
    assert (len(heard), [row.status for row in raw.ledger()]) == (1, ["final"])


@pytest.mark.parametrize(
    ("days", "whole"),
    [
        ({DAY: DayRead("partial")}, EVERYTHING),
        ({DAY + timedelta(days=1): DayRead("complete")}, EVERYTHING),
        (complete(0), replace(EVERYTHING, calls=[{"type": "FUNDING_MAIN"}])),
        (complete(0), replace(EVERYTHING, is_due=lambda content: content["status"] == 7)),
        (complete(0), None),
    ],
    ids=["the day is not over", "another day", "another call", "not due in the span", "not a whole read"],
)
def test_a_record_that_the_read_did_not_have_to_tell_counts_on(
    raw: RawStore, days: dict[date, DayRead], whole: Whole | None
) -> None:
    raw.keep(MAIN, "deposits", [told("a")], complete(), NOON)
    raw.keep(DESK, "deposits", [told("c")], complete(), NOON)
    kept = raw.keep(MAIN, "deposits", [], days, NOON + timedelta(hours=1), whole=whole)
    assert (kept.gone, sorted(contents(raw))) == ((), ["a", "c"])


def test_a_record_of_several_answers_points_to_each_and_says_the_same_for_all_that(
    raw: RawStore, database: str
) -> None:
    one, many = told("a"), replace(told("a"), response_id=4, response_ids=(4, 5))
    assert one.digest == many.digest
    raw.keep(MAIN, "deposits", [many], complete(), NOON)
    with connection(database, "asking") as opened:
        assert opened.execute(sa.text("SELECT response_id, response_ids FROM recon.raw_records")).one() == (4, [4, 5])


def test_the_version_moves_with_whatever_a_reading_rests_on(raw: RawStore) -> None:
    versions = [raw.version()]
    raw.keep(MAIN, "deposits", [told("a", status=0)], complete(), NOON)
    versions.append(raw.version())
    raw.keep(MAIN, "deposits", [told("a", status=1)], complete(), NOON)
    versions.append(raw.version())
    raw.mark(MAIN, "deposits", {DAY + timedelta(days=1): DayRead("failed")}, NOON)
    versions.append(raw.version())
    assert len(set(versions)) == 4
    raw.keep(MAIN, "deposits", [told("a", status=1)], complete(), NOON + timedelta(days=1))
    assert raw.version() == versions[-1]


@dataclass(frozen=True)
class Slow(Told):
    """A record whose digest takes its time, as those of a span with very many records do together."""

    store: RawStore | None = None
    busy: list[int] = field(default_factory=list)

    @cached_property
    def digest(self) -> str:
        """Notes how many connections of the store are in use meanwhile: such a one idles within a transaction."""
        assert self.store is not None
        pool = self.store._engine.pool
        assert isinstance(pool, sa.pool.QueuePool)
        self.busy.append(pool.checkedout())
        return super().digest


@pytest.mark.parametrize("way", ["span", "together", "market"])
def test_no_transaction_waits_while_records_are_digested_for_postgresql_ends_one_that_idles(
    raw: RawStore, way: str
) -> None:
    slow = Slow("a", {"type": "MAIN_FUNDING"}, {"id": "a", "amount": "1.5"}, NOON, None, store=raw)
    if way == "span":
        raw.keep(MAIN, "deposits", [slow], complete(), NOON)
    elif way == "together":
        raw.keep_together(MAIN, [Part("deposits", [slow], complete())], NOON)
    else:
        raw.keep_symbols(MAIN, "deposits", [SymbolAsked("BTCUSDT", NOON, NOON, NOON, None, NOON)], [slow])
    assert slow.busy and not any(slow.busy)
    assert contents(raw) == {"a": {"id": "a", "amount": "1.5"}}


def test_a_span_of_very_many_records_is_stored_in_parts_that_postgresql_takes_and_still_as_one(raw: RawStore) -> None:
    many = [told(str(number)) for number in range(AT_ONCE + 2)]
    largest: list[int] = []

    def note(_connection: Any, _cursor: Any, _statement: str, given: Any, *_: Any) -> None:
        if isinstance(given, dict) and "rows" in given:
            largest.append(given["rows"].count('"record_key"'))

    sa.event.listen(raw._engine, "before_cursor_execute", note)
    begun = time.monotonic()
    assert raw.keep(MAIN, "deposits", many, complete(len(many)), NOON).new == len(many)
    # seconds; minutes if every record were looked up by itself, for PostgreSQL has not counted the table yet
    assert time.monotonic() - begun < 60
    assert max(largest) == AT_ONCE and sum(largest) >= len(many)
    changed = [many[0], *(told(each.key, "2") for each in many[1:])]
    heard: list[Contents] = []
    given = ("deposits", changed, complete(len(many)), NOON + timedelta(hours=1))
    begun = time.monotonic()
    kept = raw.keep(MAIN, *given, tell_changed=heard.append)
    assert time.monotonic() - begun < 60
    assert (kept.new, len(kept.changed)) == (0, AT_ONCE + 1)
    assert heard[0].keys() == set(kept.changed) and heard[0]["1"]["amount"] == "1.5"
    assert list(kept.changed) == sorted(kept.changed)
    assert sum(row.content["amount"] == "2" for row in raw.records()) == AT_ONCE + 1


def test_a_market_is_asked_again_from_what_could_not_be_read_and_its_trades_count_once(raw: RawStore) -> None:
    def fill(number: int) -> Told:
        return Told(f"BTCUSDT:{number}", {"symbol": "BTCUSDT"}, {"id": number}, NOON, None)

    def asked() -> list[tuple[Any, ...]]:
        return [
            (row.asked_from, row.asked_through, row.last_id, row.trades) for row in raw.asked_symbols("spot_trades")
        ]

    hour = timedelta(hours=1)
    place = (MAIN, "spot_trades", "BTCUSDT")
    for told_now in ([fill(1), fill(2)], [fill(2), fill(3)]):
        read = SymbolAsked("BTCUSDT", NOON, NOON - 3 * hour, NOON, 3, NOON)
        raw.keep_symbols(MAIN, "spot_trades", [read], told_now)
    assert asked() == [(NOON - 3 * hour, NOON, 3, 3)]
    raw.ask_again({place: NOON - hour, (MAIN, "spot_trades", "ETHUSDT"): None})
    raw.ask_again({place: NOON + hour})
    assert asked() == [(NOON - 3 * hour, NOON - hour, None, 3)]
    raw.ask_again({place: None})
    assert asked() == [(NOON - 3 * hour, NOON - 3 * hour, None, 3)]


@pytest.mark.parametrize(("is_judgement", "stands"), [(True, "partial"), (False, "complete")])
def test_a_judgement_takes_the_place_of_an_earlier_one_and_a_read_that_failed_of_none(
    raw: RawStore, is_judgement: bool, stands: str
) -> None:
    days = {DAY: DayRead("complete"), DAY + timedelta(days=1): DayRead("final")}
    raw.mark(MAIN, "spot_trades", days, NOON, is_judgement=True)
    raw.mark(MAIN, "spot_trades", dict.fromkeys(days, DayRead("partial")), NOON, is_judgement=is_judgement)
    assert [row.status for row in raw.ledger()] == [stands, "final"]
