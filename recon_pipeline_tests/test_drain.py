"""A list of a venue, read to its last record whatever its paging, and the days of it that may then be called read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_pipeline.transport.endpoints import Bucket, Endpoint
from recon_pipeline.transport.errors import UnexpectedAnswer
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.drain import Drain, FewerThanStated, PageRepeated, WindowTooFull
from recon_pipeline.venues.pull import midnight, numbered, spans
from recon_pipeline.venues.streams import EQUAL_ROWS, Call, Content, Paging, Stream, Window

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 3, 31, tzinfo=UTC) - timedelta(milliseconds=1)
ENDPOINT = Endpoint("GET", "/list", "api", 1, Bucket("/list", 100, "ip"))


def instant(row: Content) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=row["time"])


def rows_of(answer: Any) -> Sequence[Content]:
    rows: Sequence[Content] = answer["rows"]
    return rows


def a_stream(paging: Paging) -> Stream:
    return Stream(
        name="moves", endpoint=ENDPOINT, role="flow", wallets=(), calls=lambda _: ({},),
        window=Window("startTime", "endTime", timedelta(days=30)), paging=paging, rows=rows_of,
        key=lambda _, row: str(row["id"]), instant=instant, horizon_days=14,
    )  # fmt: skip


PAGED = a_stream(Paging("page", 5, "size", "current"))
OFFSET = a_stream(Paging("offset", 5, "limit", "offset"))
BISECTED = a_stream(Paging("bisect", 5, "limit"))


@dataclass
class Reply:
    json: Any
    response_id: int | None


class Venue:
    """A list that a venue keeps, told as Binance tells it: newest first, so many at a time, both ends inclusive."""

    def __init__(self, rows: Sequence[Content], repeats: int = 0) -> None:
        self.rows = sorted(rows, key=lambda row: (-row["time"], row["id"]))
        self.asked: list[dict[str, str]] = []
        self.repeats = repeats

    def ask(self, _endpoint: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        given_params = dict(params)
        self.asked.append(given_params)
        size = int(given_params.get("size") or given_params["limit"])
        first, last = int(given_params["startTime"]), int(given_params["endTime"])
        found = [row for row in self.rows if first <= row["time"] <= last]
        skip = int(given_params.get("offset", 0)) or (int(given_params.get("current", 1)) - 1) * size
        if skip and self.repeats:
            self.repeats -= 1
            skip -= size
        return Reply({"rows": found[skip : skip + size]}, len(self.asked))


def at(day: int, hour: int = 12, ms: int = 0) -> int:
    return int(datetime(2026, 3, day, hour, tzinfo=UTC).timestamp() * 1000) + ms


def drained(stream: Stream, venue: Venue, call: Call | None = None) -> list[str]:
    drain = Drain(stream, venue.ask)
    drain.call(call or {}, (START, END))
    return sorted(told.key for told in drain.told)


LISTS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 23), st.integers(0, 3)), max_size=23)


@given(moments=LISTS)
@pytest.mark.parametrize("stream", [PAGED, OFFSET], ids=["page", "offset"])
def test_every_record_of_a_paged_list_comes_once(stream: Stream, moments: list[tuple[int, int, int]]) -> None:
    rows = [{"id": number, "time": at(*moment)} for number, moment in enumerate(moments)]
    assert drained(stream, Venue(rows)) == sorted(str(row["id"]) for row in rows)


@given(moments=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 23), st.integers(0, 999)), unique=True))
def test_a_list_without_pages_is_halved_until_every_answer_has_room(moments: list[tuple[int, int, int]]) -> None:
    rows = [{"id": number, "time": at(*moment)} for number, moment in enumerate(moments)]
    venue = Venue(rows)
    assert drained(BISECTED, venue) == sorted(str(row["id"]) for row in rows)
    for asked in venue.asked:
        assert int(asked["startTime"]) <= int(asked["endTime"])


def test_records_at_both_edges_of_the_span_belong_to_it() -> None:
    edges = [{"id": 1, "time": at(1, 0)}, {"id": 2, "time": at(31, 0, -1)}, {"id": 3, "time": at(31, 0)}]
    assert drained(PAGED, Venue(edges)) == ["1", "2"]


def test_a_list_that_is_told_whole_may_have_nothing_to_tell() -> None:
    whole = Drain(a_stream(Paging()), lambda *_: Reply({"rows": []}, 1))
    whole.call({}, (START, END))
    assert (whole.told, whole.pages) == ([], 1)


def test_a_page_that_comes_twice_is_asked_for_again() -> None:
    rows = [{"id": number, "time": at(5, 12, number)} for number in range(17)]
    assert drained(PAGED, Venue(rows, repeats=2)) == sorted(str(row["id"]) for row in rows)


def test_a_page_that_never_comes_is_an_error_and_not_an_end() -> None:
    rows = [{"id": number, "time": at(5)} for number in range(17)]
    with pytest.raises(PageRepeated, match="told what a page before it had told"):
        drained(PAGED, Venue(rows, repeats=999))


@pytest.mark.parametrize("key", ["{id}", f"{EQUAL_ROWS}{{amount}}"], ids=["with ids", "without ids"])
def test_pages_that_overlap_are_read_in_halves_until_none_does(key: str) -> None:
    stream = replace(PAGED, key=lambda _, row: key.format(**row))
    rows = [{"id": number, "time": at(5, 12, number), "amount": number} for number in range(17)]
    venue = Venue(rows)

    def unsteady(endpoint: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        """Each page after the first begins with what the one before ended with, in place of a record of its own."""
        reply, number = venue.ask(endpoint, params), int(dict(params)["current"])
        if number > 1 and reply.json["rows"]:
            before = venue.ask(endpoint, [*params, ("current", str(number - 1))])
            reply.json["rows"][0] = before.json["rows"][-1]
        return reply

    drain = Drain(stream, unsteady)
    drain.call({}, (START, END))
    assert sorted(told.content["id"] for told in drain.told) == list(range(17))


def test_a_list_without_a_span_that_moves_while_it_is_read_is_read_anew() -> None:
    stream, rows, calls = replace(PAGED, window=None), [{"id": number, "time": at(5)} for number in range(7)], count(1)

    def moving(_: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        """Before the second page is asked for, a record comes in front of all others."""
        if (call := next(calls)) == 2:
            rows.insert(0, {"id": 99, "time": at(5)})
        skip = 5 * (int(dict(params).get("current", 1)) - 1)
        return Reply({"rows": rows[skip : skip + 5]}, call)

    drain = Drain(stream, moving)
    drain.call({}, None)
    assert sorted(told.content["id"] for told in drain.told) == [*range(7), 99]


@pytest.mark.parametrize(
    ("name", "envelope"),
    [
        ("wallet_transfers", lambda rows: {"total": 120, "rows": rows}),
        ("mining_earnings", lambda rows: {"code": 0, "data": {"totalNum": 120, "accountProfits": rows}}),
        ("rebates", lambda rows: {"code": "000000000", "data": {"totalRecords": "120", "data": rows}}),
        ("universal_transfers", lambda rows: {"totalCount": 120, "result": rows}),
        ("managed_transfers", lambda rows: {"count": 120, "managerSubTransferHistoryVos": rows}),
    ],
)
def test_a_list_that_ends_before_it_should_by_its_own_count_is_not_read(
    name: str, envelope: Callable[[Sequence[Content]], Any]
) -> None:
    asked: list[int] = []

    def ask(_endpoint: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        asked.append(int(dict(params).get("current", dict(params).get("page", dict(params).get("pageIndex", "1")))))
        return Reply(envelope([{"tranId": n, "time": at(5)} for n in range(50)] if asked[-1] == 1 else []), None)

    drain = Drain(BY_NAME[name], ask)
    with pytest.raises(FewerThanStated, match=f"{name} told 50 records of a list that has more"):
        drain.call({}, (START, END))
    assert (drain.told, asked) == ([], [1, 1, 1])


def test_pages_of_a_size_that_is_not_certain_are_asked_for_until_one_is_empty() -> None:
    rows = [{"tranId": number, "time": at(5)} for number in range(120)]

    def ask(_endpoint: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        """It gives 50 at the most, whatever it is asked for."""
        skip = 50 * (int(dict(params)["page"]) - 1)
        return Reply(rows[skip : skip + 50], None)

    drain = Drain(BY_NAME["sub_transfers"], ask)
    drain.call({"fromEmail": "main@example.com"}, (START, END))
    assert (len(drain.told), drain.pages) == (120, 4)


def test_a_page_cut_short_once_is_asked_for_again() -> None:
    answers = [{"total": 2, "rows": [{"tranId": 1}]}, {"total": 2, "rows": [{"tranId": 1}, {"tranId": 2}]}]
    drain = Drain(BY_NAME["wallet_transfers"], lambda *_: Reply(answers[min(drain.pages, 1)], 7 + drain.pages))
    drain.call({"type": "MAIN_FUNDING"}, (START, END))
    assert ([told.key for told in drain.told], drain.response_ids) == (["1", "2"], [7, 8])


def told_after(doubled: int, rows: Sequence[Content]) -> tuple[list[Any], int]:
    """What comes of a page that tells its first record in place of its second, so many times; and after how many
    questions."""
    wrong = [rows[0], rows[0], *rows[2:]]
    drain = Drain(PAGED, lambda *_: Reply({"rows": wrong if drain.pages < doubled else rows}, 1))
    drain.call({}, (START, END))
    return [told.content["id"] for told in drain.told], drain.pages


def test_a_page_that_tells_a_record_twice_is_asked_for_again_for_it_may_leave_out_another() -> None:
    rows = [{"id": number, "time": at(5)} for number in (1, 2, 3)]
    assert told_after(0, rows) == ([1, 2, 3], 1)
    assert told_after(1, rows) == ([1, 2, 3], 2)
    assert told_after(2, rows) == ([1, 2, 3], 3)
    assert told_after(3, rows) == ([1, 1, 3], 3), "told so every time, it is what the venue has"


def test_equal_records_without_an_id_on_one_page_are_no_doubled_record() -> None:
    stream, row = replace(PAGED, key=lambda _, row: EQUAL_ROWS + str(row["time"])), {"time": at(5)}
    drain = Drain(stream, lambda *_: Reply({"rows": [row, row]}, 1))
    drain.call({}, (START, END))
    assert (len(drain.told), drain.pages) == (2, 1)


def test_a_list_without_pages_is_halved_wherever_the_venue_says_that_there_is_more() -> None:
    rows = [{"orderId": number, "createTime": at(1 + number % 30, number % 24, number)} for number in range(90)]

    def ask(_endpoint: Endpoint, params: Sequence[tuple[str, str]]) -> Reply:
        first, last = (int(dict(params)[name]) for name in ("startTime", "endTime"))
        found = [row for row in rows if first <= row["createTime"] <= last]
        return Reply({"list": found[:20], "moreData": len(found) > 20, "limit": 20}, None)

    drain = Drain(BY_NAME["converts"], ask)
    drain.call({}, (START, END))
    assert sorted(int(told.key) for told in drain.told) == list(range(90))


def test_more_that_is_promised_and_never_told_is_an_error() -> None:
    drain = Drain(BY_NAME["converts"], lambda *_: Reply({"list": [], "moreData": True}, None))
    with pytest.raises(FewerThanStated, match="told 0 records of a list that has more"):
        drain.call({}, (START, END))


def test_an_empty_list_that_comes_whole_is_the_end_of_it() -> None:
    drain = Drain(replace(PAGED, paging=Paging()), lambda *_: Reply({"rows": []}, 3))
    drain.call({}, None)
    assert (drain.told, drain.pages, drain.response_ids) == ([], 1, [3])


def test_more_records_in_a_millisecond_than_an_answer_holds_are_refused() -> None:
    rows = [{"id": number, "time": at(5)} for number in range(6)]
    with pytest.raises(WindowTooFull, match="in one millisecond fill a whole answer"):
        drained(BISECTED, Venue(rows))


def test_an_end_that_the_venue_excludes_is_asked_one_millisecond_later() -> None:
    window = Window("startTime", "endTime", timedelta(days=30), is_end_exclusive=True)
    venue = Venue([])
    drained(replace(PAGED, window=window), venue)
    assert venue.asked[0]["endTime"] == str(at(31, 0))


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([{"time": at(5)}], "id is missing in a record"),
        ([{"id": 1, "time": None}], "a record cannot be read (TypeError)"),
    ],
)
def test_a_record_of_another_shape_has_a_name_and_points_to_its_answer(rows: list[Content], found: str) -> None:
    drain = Drain(PAGED, lambda *_: Reply({"rows": rows}, 17))
    with pytest.raises(UnexpectedAnswer) as refused:
        drain.call({}, (START, END))
    assert (refused.value.found, refused.value.endpoint, refused.value.response_id) == (found, "GET /list", 17)
    assert refused.value.needs_manual_review
    assert refused.value.__cause__ is None


def test_records_without_an_id_are_told_apart_by_number() -> None:
    stream = replace(PAGED, key=lambda _, row: EQUAL_ROWS + str(row["time"]))
    venue = Venue([{"id": 1, "time": at(5)}, {"id": 2, "time": at(5)}, {"id": 3, "time": at(6)}])
    drain = Drain(stream, venue.ask)
    drain.call({}, (START, END))
    keys = sorted(told.key for told in numbered(drain.told))
    assert keys == [f"{EQUAL_ROWS}{at(5)}:1", f"{EQUAL_ROWS}{at(5)}:2", f"{EQUAL_ROWS}{at(6)}:1"]


@given(days=st.sets(st.integers(0, 120)), longest=st.integers(1, 90))
def test_spans_hold_the_days_and_nothing_else_and_are_never_too_long(days: set[int], longest: int) -> None:
    given_days = [date(2026, 1, 1) + timedelta(days=n) for n in days]
    made = list(spans(given_days, timedelta(days=longest)))
    assert [day for span in made for day in span.days] == sorted(given_days)
    assert all(len(span.days) <= longest for span in made)
    assert all(span.end - span.start == timedelta(days=len(span.days)) for span in made)
    assert all(span.start == midnight(span.first) for span in made)
