"""The clocks: live and corrected by the venue, simulated and shared."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from recon_pipeline.transport.clock import LiveClock, SharedClock, Stop, clock_of, go_on, instant_of, microseconds
from recon_pipeline.transport.errors import ClockServerGone, NetworkError
from recon_pipeline_tests.clock_server import clock_server

START = datetime(2026, 1, 1, tzinfo=UTC)


class Stopped(BaseException):
    pass


def test_instants_survive_as_whole_microseconds() -> None:
    at = datetime(2026, 3, 5, 23, 59, 59, 999_999, tzinfo=UTC)
    assert instant_of(microseconds(at)) == at


def test_the_live_clock_takes_over_the_venues_time() -> None:
    clock = LiveClock()
    venues = datetime(2031, 5, 1, tzinfo=UTC)
    now = time.monotonic()
    clock.correct(venues, now - 0.2, now)
    assert timedelta(seconds=0.1) <= clock.now() - venues < timedelta(seconds=1)


def test_a_live_sleep_hears_that_it_should_stop() -> None:
    def stop() -> None:
        if time.monotonic() > began + 0.1:
            raise Stopped

    began = time.monotonic()
    with pytest.raises(Stopped):
        LiveClock().sleep(30, stop)
    assert time.monotonic() - began < 5


def test_minutes_of_a_simulated_clock_pass_at_once() -> None:
    with clock_server(microseconds(START)) as (url, _):
        clock = SharedClock(url)
        began = time.monotonic()
        with clock.working():
            clock.sleep(600)
            assert clock.now() == START + timedelta(minutes=10)
            clock.sleep_until(START + timedelta(hours=1, microseconds=1))
        assert clock.now() == START + timedelta(hours=1, microseconds=1)
        assert time.monotonic() - began < 5
        clock.close()


def test_simulated_time_stands_still_while_somebody_works() -> None:
    with clock_server(microseconds(START)) as (url, _):
        clock, other_sleeps, woken = SharedClock(url), threading.Event(), []

        def other() -> None:
            with clock.working():
                other_sleeps.set()
                clock.sleep(60)
                woken.append(clock.now())

        with clock.working():
            thread = threading.Thread(target=other)
            thread.start()
            other_sleeps.wait(5)
            time.sleep(0.3)
            assert not woken
            assert clock.now() == START
        thread.join(5)
        assert woken == [START + timedelta(minutes=1)]
        clock.close()


def test_an_answer_of_the_venue_tells_the_simulated_time() -> None:
    with clock_server(microseconds(START)) as (url, _):
        clock, later = SharedClock(url), START + timedelta(seconds=1)
        with clock.working():
            clock.look_again({"x-sandbox-now-us": str(microseconds(later))})
            assert clock.now() == later
            for says_nothing in ({}, {"x-sandbox-now-us": "soon"}, None):
                clock.look_again(says_nothing)
                assert clock.now() == START
        clock.close()


def test_a_long_sleep_stays_on_the_wire_while_somebody_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gives up whoever hangs up, and time would pass over the sleeper."""
    monkeypatch.setattr("recon_pipeline.transport.clock._ANSWER_SECONDS", 0.3)
    with clock_server(microseconds(START)) as (url, simulated):
        clock, woken = SharedClock(url), list[datetime]()

        def sleeper(stop: Stop) -> None:
            with clock.working():
                clock.sleep(10, stop)
                woken.append(clock.now())

        with clock.working():
            threads = [threading.Thread(target=sleeper, args=(stop,)) for stop in (go_on, lambda: None)]
            for thread in threads:
                thread.start()
            time.sleep(1.2)
            assert simulated.sleeps == 2
            clock.sleep(60)
        for thread in threads:
            thread.join(5)
        assert woken == [START + timedelta(seconds=10)] * 2
        clock.close()


def test_a_worker_that_computes_for_long_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recon_pipeline.transport.clock._HEARTBEAT_SECONDS", 0.05)
    with clock_server(microseconds(START)) as (url, simulated):
        clock = SharedClock(url)
        with clock.working():
            (joined_at,) = simulated.heard.values()
            time.sleep(0.5)
            (heard_at,) = simulated.heard.values()
            assert heard_at > joined_at + 0.2
        clock.close()


def test_a_simulated_sleep_hears_that_it_should_stop() -> None:
    with clock_server(microseconds(START)) as (url, simulated):
        clock = SharedClock(url)
        simulated.join()  # somebody who works for ever

        def stop() -> None:
            if time.monotonic() > began + 0.2:
                raise Stopped

        began = time.monotonic()
        with clock.working(), pytest.raises(Stopped):
            clock.sleep(600, stop)
        assert time.monotonic() - began < 10
        simulated.leave("w1")
        clock.close()


def test_a_clock_server_that_is_gone_has_a_name() -> None:
    with clock_server() as (url, _):
        clock = clock_of(url)
        assert clock.is_simulated
    assert isinstance(clock, SharedClock)
    clock.close()
    with pytest.raises(ClockServerGone, match="does not answer"):
        clock.now()
    with pytest.raises(NetworkError):
        clock_of("http://127.0.0.1:9")
