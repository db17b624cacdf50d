"""The one client, against a venue behind real HTTP and the real PostgreSQL."""

from __future__ import annotations

import gzip
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recon_pipeline.errors import ConfigError, StoreError
from recon_pipeline.stores.database import connection
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.stores.roles import WRITER
from recon_pipeline.transport.archive import AnswerArchive, ArchiveDamaged
from recon_pipeline.transport.breaker import Limits
from recon_pipeline.transport.client import Client, Patience
from recon_pipeline.transport.clock import LiveClock, SharedClock, microseconds
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.endpoints import Endpoint, NotOnReadList
from recon_pipeline.transport.errors import (
    ApiKeyInvalid,
    ClockRefused,
    EndpointUnreachable,
    ErrorKind,
    FirewallRefused,
    HostBanned,
    InvalidSymbol,
    MalformedAnswer,
    NetworkError,
    ParameterError,
    ProductNotEnabled,
    RateLimit,
    UnknownVenueError,
    VenueError,
    VenueUnreachable,
)
from recon_pipeline.transport.wire import NotJson, Timeouts, Wire, parsed
from recon_pipeline.venues.binance.endpoints import TIME
from recon_pipeline_tests.clock_server import SimulatedTime, clock_server
from recon_pipeline_tests.transport_venue import (
    EXCHANGE_INFO,
    FUNDING,
    INCOME,
    KEY,
    MAIN,
    SECRET,
    SNAPSHOT,
    TRADES,
    Reply,
    Request,
    ScriptedVenue,
    client_of,
    scripted_venue,
    told,
)

pytestmark = pytest.mark.postgres

REVOKED = told({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, 401)


@dataclass
class Scene:
    """A venue, a client of it and their simulated clock."""

    venue: ScriptedVenue
    client: Client
    archive: AnswerArchive
    clock: SharedClock
    time: SimulatedTime
    database: str
    folder: Path

    def rows(self, columns: str = "*") -> list[Any]:
        with connection(self.database, "test") as opened:
            return list(opened.execute(sa.text(f"SELECT {columns} FROM recon.raw_responses ORDER BY id")))

    def elapsed(self, since: datetime) -> float:
        return (self.clock.now() - since).total_seconds()


@pytest.fixture
def scene(database: str, tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        url, simulated = stack.enter_context(clock_server())
        venue = stack.enter_context(scripted_venue())
        venue.now_ms = lambda: simulated.now_us // 1000
        clock = SharedClock(url)
        stack.callback(clock.close)
        client, archive = stack.enter_context(client_of(venue, database, tmp_path, clock))
        stack.enter_context(clock.working())
        yield Scene(venue, client, archive, clock, simulated, database, tmp_path)


def test_an_answer_is_exact_archived_and_has_its_row(scene: Scene) -> None:
    body = (
        b'{"amount": 0.1, "many": 12345678901234567890.000000000000000001, "id": 4611875134427365377, "text": "0.10"}'
    )
    scene.venue.plan(Reply(body=body))
    answer = scene.client.ask(TRADES, {"symbol": "BTCUSDT", "email": "desk-1_virtual@example.com"}, MAIN)
    assert answer.json["amount"] == Decimal("0.1")
    assert answer.json["many"] == Decimal("12345678901234567890.000000000000000001")
    assert answer.json["id"] == 4611875134427365377
    assert scene.archive.read(answer.digest) == body
    (row,) = scene.rows()
    assert (row.id, row.venue, row.account, row.method, row.path, row.status, row.digest, row.bytes) == (
        answer.response_id, "binance", "main@example.com", "GET", TRADES.path, 200, answer.digest, len(body),
    )  # fmt: skip
    assert row.params == {"symbol": "BTCUSDT", "email": "desk-1_virtual@example.com"}
    assert row.asked_at == answer.asked_at
    assert "4611875134427365377" not in repr(answer)


def test_the_bytes_signed_are_the_bytes_sent(scene: Scene) -> None:
    params = {"email": "desk+1@example.com", "asset": "１２３", "note": "a b&c=d/e?f~g*'(h)", "list": ["A", "B"]}
    scene.client.ask(TRADES, params, MAIN)
    scene.client.ask(FUNDING, params, MAIN)
    get, post = scene.venue.requests
    assert get.is_signed_rightly
    assert post.is_signed_rightly
    assert get.headers["X-MBX-APIKEY"] == KEY
    assert "?" not in post.target
    assert post.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert f"timestamp={microseconds(scene.clock.now()) // 1000}&" in get.payload
    scene.client.ask(EXCHANGE_INFO, {"symbols": ["BTCUSDT"]}, MAIN)
    assert scene.venue.requests[2].target == "/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%5D"
    assert "X-MBX-APIKEY" not in scene.venue.requests[2].headers


def test_what_is_not_on_the_read_list_is_neither_signed_nor_sent(scene: Scene) -> None:
    withdraw = Endpoint("POST", "/sapi/v1/capital/withdraw/apply", "api", 600, SNAPSHOT.bucket)
    for endpoint in (withdraw, Endpoint("POST", TRADES.path, "api", 1, TRADES.bucket)):
        with pytest.raises(NotOnReadList):
            scene.client.ask(endpoint, {}, MAIN)
    assert not scene.venue.requests
    assert not scene.rows()
    with pytest.raises(ConfigError, match="needs a key"):
        scene.client.ask(TRADES, {})


def test_the_same_bytes_are_kept_once_and_damage_is_found(scene: Scene) -> None:
    first, second = (scene.client.ask(TRADES, {"symbol": name}, MAIN) for name in ("BTCUSDT", "BNBUSDT"))
    assert first.digest == second.digest
    assert first.response_id != second.response_id
    (kept,) = (path for path in scene.folder.rglob("*") if path.is_file())
    assert kept == scene.archive.path(first.digest)
    kept.write_bytes(b"")
    with pytest.raises(ArchiveDamaged, match="damaged"):
        scene.archive.read(first.digest)
    again = AnswerArchive(scene.archive.folder, scene.database)
    again._keep_bytes(b"[]")
    assert again.read(first.digest) == b"[]"
    kept.unlink()
    with pytest.raises(ArchiveDamaged, match="missing"):
        scene.archive.read(first.digest)
    with pytest.raises(ArchiveDamaged):
        scene.archive.read("../../etc/passwd")


def test_what_a_kill_left_half_written_goes_after_a_day(scene: Scene) -> None:
    scene.client.ask(TRADES, {}, MAIN)
    staging = scene.archive.folder / ".staged"
    old, fresh = staging / "old", staging / "fresh"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    AnswerArchive(scene.archive.folder, scene.database)
    assert [path.name for path in staging.iterdir()] == ["fresh"]


def test_an_archive_that_cannot_be_written_is_named_and_the_breaker_lets_go(scene: Scene) -> None:
    (scene.folder / "answers").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="could not be archived"):
        scene.client.ask(TRADES, {}, MAIN)
    assert not scene.rows()
    (scene.folder / "answers").unlink()
    assert scene.client.ask(TRADES, {}, MAIN).status == 200


def test_a_writer_needs_no_other_rights(postgres: EmbeddedPostgres, database: str, tmp_path: Path) -> None:
    as_writer = postgres.url(WRITER, database.rpartition("/")[2])
    with scripted_venue() as venue, client_of(venue, as_writer, tmp_path, LiveClock()) as (client, _):
        client.ask(EXCHANGE_INFO)
        client._budgets.ban("nowhere", 60, "test")


def test_an_answer_that_came_compressed_is_kept_as_it_was_meant(scene: Scene) -> None:
    scene.venue.plan(Reply(body=gzip.compress(b'[{"a": 1}]'), headers={"Content-Encoding": "gzip"}))
    answer = scene.client.ask(TRADES, {}, MAIN)
    assert answer.json == [{"a": 1}]
    assert scene.archive.read(answer.digest) == b'[{"a": 1}]'


@pytest.mark.parametrize(
    "number", ["1e5000", "-1E-5000", "1e99999999999999999999", "9" * 5000, f"0.{'1' * 5000}", f"[{'7' * 4301}]"]
)
def test_a_number_of_thousands_of_digits_is_refused(number: str) -> None:
    with pytest.raises(NotJson, match="a number of the answer has more than 4000 digits"):
        parsed(f'{{"score": {number}}}'.encode())
    assert parsed(b'{"score": 1e4000, "id": 123}') == {"score": Decimal("1e4000"), "id": 123}


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount": "5", "amount": "1"}',
        b'{"amount": "5", "amount": "5"}',
        b'[{"id": 1}, {"of": [{"free": 1, "free": 2}]}]',
        b'{"free": 1, "fr\\u0065e": 2}',
    ],
)
def test_an_object_with_one_name_twice_is_refused(body: bytes) -> None:
    with pytest.raises(NotJson):
        parsed(body)
    assert parsed(b'[{"free": 1}, {"free": {"free": 2}}]') == [{"free": 1}, {"free": {"free": 2}}]


def test_what_no_database_stores_is_replaced() -> None:
    told_text = b'{"a\\u0000": ["\\ud83d", "\\ud83d\\ude00", {"b": "\\uDE00 \\u0001"}], "c": "\\\\ud83d", "d": 1.0}'
    assert parsed(told_text) == {
        "a\ufffd": ["\ufffd", "\U0001f600", {"b": "\ufffd \x01"}], "c": "\\ud83d", "d": Decimal("1.0"),
    }  # fmt: skip


# -- what passes


@pytest.mark.parametrize(
    "fault",
    [
        Reply(500, b'{"code": -1000, "msg": "An unknown error occurred"}'),
        Reply(503, b"<html>Service Unavailable</html>"),
        Reply(400, b'{"code": -1001, "msg": "Internal error; unable to process your request."}'),
        Reply(body=b'[{"id": 1}, {"id"', cut_after=5),
        Reply(body=b'[{"id": 1}, {"id"'),
        Reply(body=b"<!DOCTYPE html><title>Maintenance</title>"),
        Reply(body=b"", cut_after=0),
        Reply(body=b"x" * 10, headers={"Content-Encoding": "gzip"}),
        Reply(body=b'[{"price": NaN}]'),
    ],
    ids=["500", "503", "busy", "cut off", "cut short", "html", "empty", "bad gzip", "NaN"],
)
def test_a_fault_that_passes_is_tried_again(scene: Scene, fault: Reply) -> None:
    scene.venue.plan(fault, fault)
    assert scene.client.ask(TRADES, {}, MAIN).json == []
    assert len(scene.venue.requests) == 3
    payloads = [request.payload for request in scene.venue.requests]
    assert all(request.is_signed_rightly for request in scene.venue.requests)
    assert len(set(payloads)) == 3  # each try with the time of its own


def test_pauses_grow_and_end_in_a_named_error(scene: Scene) -> None:
    stamps = []

    def bad_gateway(_: Request) -> Reply:
        stamps.append(scene.time.now_us)
        return Reply(502, b"<html>Bad Gateway</html>")

    scene.venue.standing = bad_gateway
    with pytest.raises(NetworkError) as failed:
        scene.client.ask(TRADES, {}, MAIN)
    assert (failed.value.kind, failed.value.status, failed.value.account) == (
        ErrorKind.NETWORK_ERROR, 502, "main@example.com",
    )  # fmt: skip
    assert len(stamps) == 8
    pauses = [(later - earlier) / 1e6 for earlier, later in pairwise(stamps)]
    for pause, whole in zip(pauses[:4], (1, 2, 4, 8), strict=True):
        assert whole / 2 <= pause <= whole
    # half of each pause is chance: many that failed together do not come back together
    assert len({round(pause / whole, 3) for pause, whole in zip(pauses[:4], (1, 2, 4, 8), strict=True)}) > 1
    assert [row.status for row in scene.rows("status")] == [502] * 8


def test_a_venue_that_does_not_answer_in_time(scene: Scene) -> None:
    scene.venue.plan(Reply(delay_seconds=3))
    assert scene.client.ask(TRADES, {}, MAIN).json == []
    assert len(scene.venue.requests) == 2


def test_an_answer_that_never_ends_is_cut_off(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.client._wire._timeouts = Timeouts(answer_seconds=0.3)
    scene.venue.plan(Reply(body=b"[          ]", drip_seconds=0.1))
    assert scene.client.ask(TRADES, {}, MAIN).json == []
    named = gzip.compress(b"[]")
    named = named[:3] + b"\x08" + named[4:10] + b"a file's name\0" + named[10:]  # of which no byte is the answer's
    scene.venue.plan(Reply(body=named, headers={"Content-Encoding": "gzip"}, drip_seconds=0.1))
    began = time.monotonic()
    assert scene.client.ask(TRADES, {}, MAIN).json == []
    assert time.monotonic() - began < 2
    assert len(scene.venue.requests) == 4
    monkeypatch.setattr("recon_pipeline.transport.wire._ANSWER_BYTES_MAX", 1000)
    scene.venue.plan(Reply(body=b"[" + b" " * 2000 + b"]"))
    assert scene.client.ask(TRADES, {}, MAIN).body == b"[]"
    assert len(scene.venue.requests) == 6


def test_a_venue_that_is_not_there(database: str, tmp_path: Path) -> None:
    venue = ScriptedVenue()
    venue.url = "http://127.0.0.1:9"
    with clock_server() as (url, _):
        clock = SharedClock(url)
        with (
            client_of(venue, database, tmp_path, clock) as (client, _),
            clock.working(),
            pytest.raises(NetworkError, match="no connection"),
        ):
            client.ask(TRADES, {}, MAIN)
        clock.close()


def test_malformed_answers_end_in_their_error_with_the_bytes_kept(scene: Scene) -> None:
    page = b"<!DOCTYPE html><html>We will be back</html>"
    scene.venue.standing = Reply(body=page)
    with pytest.raises(MalformedAnswer, match="page \\(HTML\\), not JSON") as failed:
        scene.client.ask(TRADES, {}, MAIN)
    assert failed.value.needs_manual_review
    assert failed.value.digest is not None
    assert scene.archive.read(failed.value.digest) == page
    assert failed.value.response_id == scene.rows("id")[-1].id


# -- limits


TOO_MANY = {"code": -1003, "msg": "Too many requests"}


def test_a_429_is_waited_for_as_long_as_the_venue_says(scene: Scene) -> None:
    scene.venue.plan(told(TOO_MANY, 429, Retry_After="17"))
    start = scene.clock.now()
    assert scene.client.ask(SNAPSHOT, {}, MAIN).status == 200
    assert scene.elapsed(start) == 17


def test_a_429_holds_whoever_asks_of_the_same_bucket(scene: Scene, tmp_path: Path) -> None:
    scene.venue.plan(told(TOO_MANY, 429, Retry_After="17"))
    impatient, start = Patience(refusals_max=1), scene.clock.now()
    with client_of(scene.venue, scene.database, tmp_path, scene.clock, patience=impatient) as (other, _):
        with pytest.raises(RateLimit) as failed:
            other.ask(SNAPSHOT, {}, MAIN)
        assert failed.value.until == start + timedelta(seconds=17)
    scene.client.ask(TRADES, {}, MAIN)
    assert scene.clock.now() == start
    scene.client.ask(SNAPSHOT, {}, MAIN)
    assert scene.elapsed(start) == 17


def test_a_429_that_says_zero_is_not_asked_again_at_once(scene: Scene) -> None:
    scene.venue.plan(*[told(TOO_MANY, 429, Retry_After="0")] * 3)
    start = scene.clock.now()
    scene.client.ask(TRADES, {}, MAIN)
    assert scene.elapsed(start) >= 0.5 + 1 + 2


def test_a_429_without_end_has_a_name_and_an_instant(scene: Scene) -> None:
    scene.venue.standing = told(TOO_MANY, 429)
    with pytest.raises(RateLimit) as failed:
        scene.client.ask(TRADES, {}, MAIN)
    assert failed.value.kind is ErrorKind.RATE_LIMIT
    assert failed.value.until is not None
    assert len(scene.venue.requests) == 8
    scene.venue.standing = told(TOO_MANY, 429, Retry_After="86400")
    with pytest.raises(RateLimit, match="answers nobody before") as failed:
        scene.client.ask(TRADES, {}, MAIN)
    assert failed.value.account == "main@example.com"
    assert failed.value.where.startswith(f"venue {scene.client.venue}, bucket ")
    assert failed.value.where.endswith(", account main@example.com")
    assert failed.value.where in str(failed.value)
    assert len(scene.venue.requests) == 9


def test_a_ban_stops_all_that_goes_to_the_venue(scene: Scene, tmp_path: Path) -> None:
    start = scene.clock.now()
    until = microseconds(start + timedelta(seconds=150)) // 1000
    words = f"Way too many requests; IP(203.0.113.7) banned until {until}. Please use the websocket."
    scene.venue.plan(told({"code": -1003, "msg": words}, 418, Retry_After="120"))
    assert scene.client.ask(TRADES, {}, MAIN).json == []
    assert scene.elapsed(start) >= 150
    days = microseconds(start + timedelta(days=3)) // 1000
    scene.venue.plan(told({"code": -1003, "msg": f"IP banned until {days}."}, 418))
    with pytest.raises(HostBanned) as failed:
        scene.client.ask(TRADES, {}, MAIN)
    assert failed.value.until
    assert failed.value.until > start + timedelta(days=2)
    asked = len(scene.venue.requests)
    with (
        client_of(scene.venue, scene.database, tmp_path, scene.clock) as (other, _),
        pytest.raises(HostBanned),
    ):
        other.ask(SNAPSHOT, {}, MAIN, live=True)
    with pytest.raises(HostBanned):
        scene.client.ask(INCOME, {}, MAIN)  # another host of the venue: it is the address that is banned
    assert len(scene.venue.requests) == asked


@pytest.mark.parametrize(
    ("words", "headers"),
    [
        ("Way too much request weight used; IP banned.", {"Retry_After": "0"}),
        ("Way too much request weight used; IP banned.", {}),
        ("Way too much request weight used; IP banned until 1600000000000.", {}),
        ("Way too much request weight used; IP banned until 1600000000000.", {"Retry_After": "0"}),
    ],
    ids=["for no time", "for a time untold", "until long ago", "for no time until long ago"],
)
def test_a_ban_without_an_end_to_come_lasts_two_minutes(scene: Scene, words: str, headers: dict[str, str]) -> None:
    scene.venue.plan(*[told({"code": -1003, "msg": words}, 418, **headers)] * 2)
    start = scene.clock.now()
    assert scene.client.ask(TRADES, {}, MAIN).json == []
    assert 240 <= scene.elapsed(start) < 250
    assert len(scene.venue.requests) == 3


def test_a_ban_that_says_how_long_it_lasts_lasts_no_longer(scene: Scene) -> None:
    scene.venue.plan(told({"code": -1003, "msg": "IP banned."}, 418, Retry_After="30"))
    start = scene.clock.now()
    scene.client.ask(TRADES, {}, MAIN)
    assert scene.elapsed(start) == 30


def test_a_venue_that_fails_is_left_alone_for_as_long_as_it_says_up_to_five_minutes(scene: Scene) -> None:
    start = scene.clock.now()
    for seconds in (200, 300):
        scene.venue.plan(Reply(503, b"{}", {"Retry-After": str(seconds)}))
        before = scene.clock.now()
        assert scene.client.ask(TRADES, {}, MAIN).status == 200
        assert scene.elapsed(before) == seconds
    scene.venue.plan(Reply(503, b"{}", {"Retry-After": "600"}))
    with pytest.raises(EndpointUnreachable, match="left alone until") as failed:
        scene.client.ask(TRADES, {}, MAIN)
    assert failed.value.until == start + timedelta(seconds=200 + 300 + 600)
    assert scene.elapsed(start) == 500
    assert len(scene.venue.requests) == 5


@pytest.mark.parametrize(("told_seconds", "held_seconds"), [(3600, 3600), (999_999_999, 4 * 86_400)])
def test_an_endpoint_that_fails_and_asks_for_a_long_pause_is_asked_by_nobody_until_it_is_over(
    scene: Scene, told_seconds: int, held_seconds: int
) -> None:
    start, desk = scene.clock.now(), Credentials("desk-1_virtual@example.com", MAIN.key, MAIN.secret)
    scene.venue.plan(*[Reply(503, b"{}", {"Retry-After": str(told_seconds)})] * 40)
    concerned = set()
    with client_of(scene.venue, scene.database, scene.folder / "other", scene.clock) as (other, _):
        for number in range(12):
            for client, account in ((scene.client, MAIN), (scene.client, desk), (other, MAIN)):
                with pytest.raises(EndpointUnreachable) as failed:
                    client.ask(TRADES, {"symbol": f"COIN{number}USDT"}, account, live=number == 7)
                concerned.add((failed.value.concerns, failed.value.endpoint, failed.value.account))
        assert len(scene.venue.requests) == 1
        assert concerned == {("endpoint", str(TRADES), email) for email in (MAIN.account, desk.account)}
        scene.venue.planned.clear()
        assert other.ask(EXCHANGE_INFO).status == 200, "what draws on the same bucket"
        assert (other.ask(FUNDING, {}, MAIN).status, scene.elapsed(start)) == (200, 0)
        scene.clock.sleep(held_seconds - 200)
        assert other.ask(TRADES, {}, MAIN).status == 200
        assert scene.elapsed(start) == held_seconds


def test_where_the_time_is_not_told_for_long_questions_are_signed_by_our_own_clock(
    database: str, tmp_path: Path
) -> None:
    with scripted_venue() as venue:
        venue.plan(Reply(503, b"{}", {"Retry-After": "3600"}))
        for number in range(2):
            with client_of(venue, database, tmp_path / f"{number}", LiveClock()) as (client, _):
                assert client.ask(TRADES, {}, MAIN).status == 200
        assert [request.path for request in venue.requests] == [TIME.path, TRADES.path, TRADES.path]


def test_a_429_of_many_days_is_not_asked_again_at_once(scene: Scene) -> None:
    start = scene.clock.now()
    for told_seconds in (400_000, 999_999_999):
        scene.venue.plan(told(TOO_MANY, 429, Retry_After=str(told_seconds)))
        with pytest.raises(RateLimit, match="answers nobody before") as failed:
            scene.client.ask(TRADES, {}, MAIN)
        assert failed.value.until == start + timedelta(days=4)
    assert len(scene.venue.requests) == 1


def test_what_others_use_at_the_address_slows_us_down(scene: Scene) -> None:
    scene.venue.plan(
        Reply(headers={"X-MBX-USED-WEIGHT-1M": "5990"}), Reply(headers={"X-MBX-USED-WEIGHT-1M": "nonsense"})
    )
    start = scene.clock.now()
    scene.client.ask(TRADES, {}, MAIN)
    assert scene.clock.now() == start
    scene.client.ask(TRADES, {}, MAIN)
    assert scene.elapsed(start) == 60


# -- time


def test_a_time_that_the_venue_refuses_is_set_once(scene: Scene) -> None:
    late = told({"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, 400)
    scene.venue.plan(late)
    assert scene.client.ask(TRADES, {}, MAIN).status == 200
    scene.venue.plan(late, late)
    with pytest.raises(ClockRefused) as failed:
        scene.client.ask(TRADES, {}, MAIN)
    assert failed.value.kind is ErrorKind.NETWORK_ERROR
    assert failed.value.code == "-1021"


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_simulated_venue_whose_clock_is_off_is_signed_for_by_its_own(scene: Scene, seconds: int) -> None:
    scene.venue.now_ms = lambda: scene.time.now_us // 1000 + seconds * 1000
    scene.venue.plan(told({"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}, 400))
    before = scene.clock.now()
    assert scene.client.ask(TRADES, {}, MAIN).status == 200
    scene.client.ask(TRADES, {}, MAIN)
    assert scene.clock.now() == before
    stamps = [int(request.payload.partition("timestamp=")[2].partition("&")[0]) for request in scene.venue.requests]
    ours = microseconds(before) // 1000
    assert stamps == [ours, ours + seconds * 1000, ours + seconds * 1000]


def test_a_live_client_takes_over_the_venues_time_before_it_signs(database: str, tmp_path: Path) -> None:
    with scripted_venue() as venue:
        venue.now_ms = lambda: int(time.time() * 1000) + 3_600_000
        clock = LiveClock()
        with client_of(venue, database, tmp_path, clock) as (client, _):
            client.ask(TRADES, {}, MAIN)
            assert timedelta(minutes=59) < clock.now() - datetime.now(UTC) < timedelta(minutes=61)
            stamp = int(venue.requests[0].payload.partition("timestamp=")[2].partition("&")[0])
            assert abs(stamp - venue.now_ms()) < 5000
            venue.now_ms = lambda: int(time.time() * 1000) - 3_600_000
            venue.plan(told({"code": -1021, "msg": "ahead of the server's time"}, 400))
            client.ask(TRADES, {}, MAIN)
            assert datetime.now(UTC) - clock.now() > timedelta(minutes=59)
            venue.plan(told({"code": -1021, "msg": "ahead"}, 400))
            venue.now_ms = lambda: "soon"  # type: ignore[assignment]
            with pytest.raises(MalformedAnswer, match="time cannot be read"):
                client.ask(TRADES, {}, MAIN)


# -- keys


def test_a_revoked_key_is_invalid_at_once_if_it_never_worked(scene: Scene) -> None:
    scene.venue.standing = REVOKED
    start = scene.clock.now()
    with pytest.raises(ApiKeyInvalid) as failed:
        scene.client.ask(TRADES, {}, MAIN)
    assert failed.value.stops_account
    assert (failed.value.kind, failed.value.code) == (ErrorKind.API_KEY_INVALID, "-2015")
    assert scene.clock.now() == start
    assert len(scene.venue.requests) == 1


def test_a_key_that_worked_minutes_ago_is_not_called_invalid_at_once(scene: Scene) -> None:
    scene.client.ask(TRADES, {}, MAIN)
    scene.venue.plan(REVOKED)
    start = scene.clock.now()
    assert scene.client.ask(TRADES, {}, MAIN).status == 200
    assert scene.elapsed(start) >= 60
    scene.venue.standing = REVOKED
    for expected in (3, 1):
        before = len(scene.venue.requests)
        with pytest.raises(ApiKeyInvalid):
            scene.client.ask(TRADES, {}, MAIN)
        assert len(scene.venue.requests) - before == expected


def test_a_key_refused_for_a_product_does_not_stop_the_account(scene: Scene) -> None:
    scene.client.ask(TRADES, {}, MAIN)
    scene.venue.plan(REVOKED)
    with pytest.raises(ProductNotEnabled) as failed:
        scene.client.ask(INCOME, {}, MAIN)
    assert not failed.value.stops_account
    assert scene.client.ask(TRADES, {}, MAIN).status == 200


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (told({"code": -1121, "msg": "Invalid symbol."}, 400), InvalidSymbol),
        (told({"code": -1100, "msg": "Illegal characters found in parameter"}, 400), ParameterError),
        (told({"code": -9999, "msg": "What is this"}, 400), UnknownVenueError),
        (told({"success": False, "msg": '{"code": -1121, "msg": "Invalid symbol."}'}), InvalidSymbol),
        (Reply(403, b"<html>Request blocked</html>"), FirewallRefused),
    ],
)
def test_what_does_not_pass_is_asked_once(scene: Scene, reply: Reply, error: type[VenueError]) -> None:
    scene.venue.plan(reply)
    with pytest.raises(error) as failed:
        scene.client.ask(TRADES, {"symbol": "BTCUSDT"}, MAIN)
    assert type(failed.value) is error
    assert len(scene.venue.requests) == 1
    assert scene.archive.read(str(failed.value.digest)) == reply.body
    for part in ("binance", "/api/v3/myTrades", "main@example.com", f"HTTP {reply.status}"):
        assert part in failed.value.where


# -- the breaker


def test_many_failures_make_all_wait_and_a_probe_lets_all_go_on(database: str, tmp_path: Path) -> None:
    with clock_server() as (url, simulated), scripted_venue() as venue:
        clock = SharedClock(url)
        stamps: list[int] = []
        ill_until = simulated.now_us + 25_000_000

        def ill(_: Request) -> Reply:
            stamps.append(simulated.now_us)
            return Reply(503 if simulated.now_us < ill_until else 200)

        venue.standing = ill
        limits = Limits(failures=3, pause=timedelta(seconds=10))

        def ask(number: int) -> int:
            with clock.working():
                return client.ask(TRADES if number % 2 else SNAPSHOT, {}, MAIN).status

        with (
            client_of(venue, database, tmp_path, clock, breaker_limits=limits) as (client, _),
            ThreadPoolExecutor(5) as threads,
        ):
            assert list(threads.map(ask, range(5))) == [200] * 5
        clock.close()
    while_open = [at for at in stamps[8:] if at < ill_until]
    assert len(while_open) <= 2  # probes alone


def test_a_host_that_fails_for_long_fails_at_once_but_for_probes(scene: Scene) -> None:
    scene.venue.standing = Reply(503, b"{}")
    start, failed = scene.clock.now(), list[NetworkError]()
    while not any(isinstance(each, VenueUnreachable) for each in failed):
        with pytest.raises(NetworkError) as caught:
            scene.client.ask(TRADES if len(failed) % 2 else SNAPSHOT, {}, MAIN)
        failed.append(caught.value)
    assert scene.elapsed(start) < 900
    asked = len(scene.venue.requests)
    with pytest.raises(VenueUnreachable, match="no question was answered since"):
        scene.client.ask(TRADES, {}, MAIN)
    assert len(scene.venue.requests) == asked
    scene.venue.standing = Reply()
    scene.clock.sleep(600)
    assert scene.client.ask(TRADES, {}, MAIN).status == 200


def test_one_endpoint_that_is_not_well_stops_no_other(scene: Scene) -> None:
    def ill(request: Request) -> Reply:
        return Reply(500 if request.target.startswith(SNAPSHOT.path) else 200)

    scene.venue.standing = ill
    for _ in range(3):
        with pytest.raises(NetworkError) as caught:
            scene.client.ask(SNAPSHOT, {}, MAIN)
        assert not isinstance(caught.value, VenueUnreachable)
    assert scene.client.ask(TRADES, {}, MAIN).status == 200


def test_one_endpoint_that_nothing_answers_is_given_up_alone(scene: Scene) -> None:
    def cut(request: Request) -> Reply:
        is_ill = request.target.startswith(SNAPSHOT.path)
        return Reply(body=b"[]", cut_after=0) if is_ill else Reply()

    scene.venue.standing = cut
    failed = list[NetworkError]()
    while not any(isinstance(each, EndpointUnreachable) for each in failed):
        with pytest.raises(NetworkError) as caught:
            scene.client.ask(SNAPSHOT, {}, MAIN)
        failed.append(caught.value)
        start = scene.clock.now()
        assert scene.client.ask(TRADES, {}, MAIN).status == 200
        assert scene.elapsed(start) < 5, "the others wait for nothing"
    assert len(failed) < 10
    assert SNAPSHOT.path in failed[-1].where
    scene.venue.standing = Reply()
    scene.clock.sleep(600)
    assert scene.client.ask(SNAPSHOT, {}, MAIN).status == 200


def test_two_endpoints_that_nothing_answers_are_the_host(scene: Scene) -> None:
    scene.venue.standing = Reply(body=b"[]", cut_after=0)
    failed = list[NetworkError]()
    while not any(isinstance(each, VenueUnreachable) for each in failed):
        with pytest.raises(NetworkError) as caught:
            scene.client.ask(TRADES if len(failed) % 2 else SNAPSHOT, {}, MAIN)
        failed.append(caught.value)
        assert len(failed) < 20
    with pytest.raises(VenueUnreachable):
        scene.client.ask(FUNDING, {}, MAIN)


# -- nothing that must not show


def _everything_written(scene: Scene) -> Iterator[str]:
    for path in scene.folder.rglob("*"):
        if path.is_file():
            yield str(path)
            yield path.read_bytes().decode("latin-1")
    for row in scene.rows("digest"):
        yield scene.archive.read(row.digest).decode("latin-1")
    with connection(scene.database, "test") as opened:
        for table in ("raw_responses", "budgets"):
            yield from (str(row) for row in opened.execute(sa.text(f"SELECT t::text FROM recon.{table} t")))


def test_no_secret_shows_anywhere(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Not even where the venue repeats the whole question in its answer."""

    def repeats(request: Request) -> Reply:
        signature = request.payload.rpartition("=")[2]
        signatures.append(signature)
        text = f"no such page: {request.target} {request.body.decode()} key {request.headers['X-MBX-APIKEY']} {SECRET}"
        return Reply(404, text.encode()) if len(signatures) % 2 else told({"code": -1100, "msg": text}, 400)

    caplog.set_level(logging.DEBUG)
    signatures: list[str] = []
    scene.venue.standing = repeats
    shown = []
    for endpoint in (TRADES, FUNDING, TRADES, FUNDING):
        with pytest.raises(VenueError) as failed:
            scene.client.ask(endpoint, {"apiKey": KEY}, MAIN)
        shown += [str(failed.value), repr(failed.value), str(vars(failed.value)), str(failed.getrepr(style="long"))]
        assert failed.value.__cause__ is None
        assert failed.value.__context__ is None
    scene.venue.standing = Reply(body=b"[]", cut_after=0)
    with pytest.raises(NetworkError) as broke:
        scene.client.ask(TRADES, {}, MAIN)
    shown += [str(broke.value), str(broke.getrepr(style="long")), repr(MAIN), repr(scene.client), str(scene.client)]
    signatures += [request.payload.rpartition("=")[2] for request in scene.venue.requests]
    assert "HTTP Request: GET" in caplog.text
    shown += [caplog.text, *_everything_written(scene)]
    for secret in (KEY, SECRET, *signatures):
        assert len(secret) > 20
        assert not any(secret in text for text in shown)


def test_a_secret_that_an_answer_tells_back_is_starred_wherever_the_answer_goes(scene: Scene) -> None:
    def repeats(request: Request) -> Reply:
        signature = request.payload.rpartition("=")[2]
        secrets.append(signature)
        return told([{"id": 1, "apiKey": KEY, "note": f"of {SECRET}", "signature": signature}])

    secrets = [KEY, SECRET]
    scene.venue.plan(repeats)
    answer = scene.client.ask(TRADES, {}, MAIN)
    assert answer.json == [{"id": 1, "apiKey": "***", "note": "of ***", "signature": "***"}]
    assert scene.archive.read(answer.digest) == answer.body
    for secret in secrets:
        assert secret.encode() not in answer.body
        assert not any(secret in text for text in _everything_written(scene))


def test_no_cookie_of_one_account_goes_with_the_next(scene: Scene) -> None:
    scene.venue.plan(told([], Set_Cookie="session=of-the-main-account; Path=/"))
    scene.client.ask(TRADES, {}, MAIN)
    scene.client.ask(TRADES, {}, Credentials("desk@example.com", MAIN.key, MAIN.secret))
    assert len(scene.venue.requests) == 2
    assert not any(name.lower() == "cookie" for request in scene.venue.requests for name in request.headers)


def test_keys_go_over_plain_http_to_this_machine_only() -> None:
    for url in ("http://api.example.com", "ftp://api.example.com", "https://", "https://me:pass@api.example.com"):
        with pytest.raises(ConfigError, match="cannot be used") as refused:
            Wire("binance", {"api": url}, Timeouts())
        assert "pass" not in str(refused.value)
    Wire("binance", {"api": "https://api.example.com/"}, Timeouts()).close()


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5h://127.0.0.1:1080",
        "socks5h://somebody:Passw0rd@127.0.0.1:1080",
        "socks4://127.0.0.1:1080",
        "gopher://somebody:Passw0rd@127.0.0.1:1080",
        "http://somebody:Passw0rd@127.0.0.1:port",
        "http://[::1",
    ],
)
@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_a_proxy_that_cannot_be_used_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, proxy: str
) -> None:
    for each in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(each, raising=False)
        monkeypatch.delenv(each.lower(), raising=False)
    monkeypatch.setenv(name, proxy)
    with pytest.raises(ConfigError) as refused:
        Wire("binance", {"api": "https://api.example.com"}, Timeouts())
    assert refused.value.where == name.upper()
    assert refused.value.__cause__ is None
    assert not any(part in str(refused.value) for part in (proxy, "Passw0rd", "127.0.0.1"))
    Wire("binance", {"api": "http://127.0.0.1:9"}, Timeouts()).close()
