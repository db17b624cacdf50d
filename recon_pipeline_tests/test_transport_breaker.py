"""The breaker of a host and those of its endpoints, by the clock alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recon_pipeline.transport.breaker import Breaker, Hopeless, Limits

START = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(failures=3, pause=timedelta(seconds=10))
ILL, WELL, OTHER = "GET /ill", "GET /well", "GET /other"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def fail(breaker: Breaker, endpoint: str, seconds: float, *, is_answer: bool = False) -> None:
    assert breaker.enter(endpoint, at(seconds))
    breaker.failed(endpoint, at(seconds), is_answer=is_answer)


def test_unanswered_questions_of_one_endpoint_stop_that_endpoint_alone() -> None:
    breaker = Breaker(LIMITS)
    for _ in range(3):
        fail(breaker, ILL, 0)
    assert breaker.waits(ILL, at(0)) == 10
    assert not breaker.enter(ILL, at(0))
    assert breaker.waits(WELL, at(0)) == 0
    assert breaker.enter(WELL, at(0))
    breaker.succeeded(WELL)
    assert breaker.waits(ILL, at(1)) == 9, "that another is answered says nothing of this one"


def test_unanswered_questions_of_two_endpoints_stop_the_host() -> None:
    breaker = Breaker(LIMITS)
    fail(breaker, ILL, 0)
    fail(breaker, ILL, 0)
    fail(breaker, WELL, 0)
    assert breaker.waits(OTHER, at(0)) == 10


def test_answers_of_one_endpoint_that_is_not_well_stop_nothing() -> None:
    breaker = Breaker(LIMITS)
    for _ in range(9):
        fail(breaker, ILL, 0, is_answer=True)
    assert breaker.waits(ILL, at(0)) == 0


def test_the_endpoint_whose_probe_failed_lets_another_probe_the_host() -> None:
    breaker = Breaker(LIMITS)
    for endpoint in (ILL, WELL, ILL):
        fail(breaker, endpoint, 0)
    fail(breaker, ILL, 10)  # the probe; the pause after it is of twenty seconds
    assert breaker.waits(WELL, at(10)) == 20
    assert breaker.waits(ILL, at(10)) > 20
    assert not breaker.enter(ILL, at(30))
    assert breaker.enter(WELL, at(30))
    breaker.succeeded(WELL)
    assert breaker.waits(OTHER, at(30)) == 0


def test_an_endpoint_that_nobody_else_waits_with_probes_all_the_same() -> None:
    breaker = Breaker(LIMITS)
    for endpoint in (ILL, WELL, ILL):
        fail(breaker, endpoint, 0)
    fail(breaker, ILL, 10)
    assert breaker.enter(ILL, at(10 + breaker.waits(ILL, at(10))))


def test_only_one_probes_and_who_is_stopped_lets_the_next() -> None:
    breaker = Breaker(LIMITS)
    for _ in range(3):
        fail(breaker, ILL, 0)
    assert breaker.enter(ILL, at(10))
    assert not breaker.enter(ILL, at(10))
    breaker.given_up(ILL)
    assert breaker.enter(ILL, at(10))


def until_hopeless(breaker: Breaker, endpoint: str, *, is_answer: bool) -> Hopeless:
    seconds = 0.0
    while True:
        fail(breaker, endpoint, seconds, is_answer=is_answer)
        try:
            seconds += breaker.waits(endpoint, at(seconds))
        except Hopeless as hopeless:
            return hopeless


def test_what_fails_for_long_is_hopeless_the_endpoint_or_the_host() -> None:
    breaker = Breaker(LIMITS)
    assert not until_hopeless(breaker, ILL, is_answer=False).is_host
    assert breaker.waits(WELL, at(400)) == 0
    breaker = Breaker(LIMITS)
    fail(breaker, WELL, 0, is_answer=True)
    hopeless = until_hopeless(breaker, ILL, is_answer=True)
    assert (hopeless.is_host, hopeless.since) == (True, START)
