"""An allowance over a trailing window: what must hold for any story of askers."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from recon_pipeline.transport.window import (
    GRACE_US,
    SECOND_US,
    SLOT_US,
    Allowance,
    Spend,
    State,
    Ticket,
    corrected,
    decide,
    withdrawn,
)

MINUTE = 60 * SECOND_US
START = 1_767_225_600 * SECOND_US


@dataclass(frozen=True)
class Granted:
    ticket: Ticket
    at_us: int


def play(allowance: Allowance, askers: list[Ticket], dead: frozenset[str] = frozenset()) -> list[Granted]:
    """Every asker asks when it arrives, and comes back when it was told to, unless it died meanwhile."""
    state, granted = State(), []
    due = [(asker.arrived_us, index, asker) for index, asker in enumerate(askers)]
    heapq.heapify(due)
    while due:
        now_us, index, asker = heapq.heappop(due)
        if asker.owner in dead and now_us > asker.arrived_us:
            continue
        state, decision = decide(state, allowance, asker, now_us)
        if decision.is_granted:
            granted.append(Granted(asker, now_us))
        else:
            assert decision.at_us > now_us
            heapq.heappush(due, (decision.at_us, index, asker))
    return granted


def spent(granted: list[Granted], from_us: int, until_us: int) -> int:
    return sum(each.ticket.weight for each in granted if from_us <= each.at_us < until_us)


allowances = st.builds(
    lambda usable, kept: Allowance(limit=2 * usable, usable=usable, reserve=usable * kept // 100),
    st.integers(10, 120),
    st.integers(0, 30),
)
arrivals = st.lists(st.tuples(st.integers(0, 3 * MINUTE), st.integers(1, 8), st.booleans()), min_size=1, max_size=80)


def tickets(drawn: list[tuple[int, int, bool]]) -> list[Ticket]:
    return [Ticket(f"{i:03}", weight, live, START + at, 0) for i, (at, weight, live) in enumerate(sorted(drawn))]


@given(allowances, arrivals)
@settings(deadline=None)
def test_never_more_than_usable_in_any_minute_and_everybody_gets_a_turn(
    allowance: Allowance, drawn: list[tuple[int, int, bool]]
) -> None:
    askers = tickets(drawn)
    granted = play(allowance, askers)
    assert {each.ticket.owner for each in granted} == {asker.owner for asker in askers}
    for each in granted:
        assert spent(granted, each.at_us, each.at_us + MINUTE) <= allowance.usable
    for index, each in enumerate(granted):
        if not each.ticket.is_live:
            before = spent(granted[: index + 1], each.at_us - MINUTE + 1, each.at_us + 1)
            assert before <= max(allowance.usable - allowance.reserve, each.ticket.weight)


@given(allowances, arrivals)
@settings(deadline=None)
def test_nobody_is_overtaken_but_by_live_asks(allowance: Allowance, drawn: list[tuple[int, int, bool]]) -> None:
    granted = play(allowance, tickets(drawn))
    for is_live in (False, True):
        order = [each.ticket.arrived_us for each in granted if each.ticket.is_live == is_live]
        assert order == sorted(order)


@given(st.integers(20, 3000), st.integers(1, 20), st.integers(1, 12))
@settings(deadline=None, max_examples=30)
def test_while_it_limits_nine_tenths_are_used(usable: int, weight: int, workers: int) -> None:
    """Workers who ask again as soon as they may, for ten minutes."""
    allowance = Allowance(2 * usable, usable, usable // 10)
    whole = (usable - usable // 10) // weight * weight
    state, granted = State(), []
    due = [(START, worker, START) for worker in range(workers)]
    heapq.heapify(due)
    while due:
        now_us, worker, arrived_us = heapq.heappop(due)
        if now_us >= START + 10 * MINUTE:
            continue
        asker = Ticket(f"{worker}-{arrived_us}", weight, False, arrived_us, 0)
        state, decision = decide(state, allowance, asker, now_us)
        if decision.is_granted:
            granted.append(Granted(asker, now_us))
            heapq.heappush(due, (now_us + 1_000, worker, now_us + 1_000))  # a millisecond for the answer
        else:
            heapq.heappush(due, (decision.at_us, worker, arrived_us))
    assert spent(granted, START, START + 10 * MINUTE) >= 0.9 * 10 * whole


@given(allowances, st.integers(1, 8))
@settings(deadline=None)
def test_a_live_ask_finds_the_reserve_however_hard_others_work(allowance: Allowance, weight: int) -> None:
    state, now_us = State(), START
    for index in range(60):
        state, _ = decide(state, allowance, Ticket(f"b{index}", 3, False, now_us, 0), now_us)
    live = Ticket("live", weight, True, now_us + SECOND_US, 0)
    _, decision = decide(state, allowance, live, now_us + SECOND_US)
    assert decision.is_granted == (weight <= max(allowance.reserve, allowance.usable - _counted(state)))


def _counted(state: State) -> int:
    return sum(spend.weight for spend in state.spends)


@given(allowances, arrivals, st.sets(st.integers(0, 79)))
@settings(deadline=None)
def test_who_died_waiting_holds_nobody_up(
    allowance: Allowance, drawn: list[tuple[int, int, bool]], killed: set[int]
) -> None:
    askers = tickets(drawn)
    dead = frozenset(f"{index:03}" for index in killed)
    granted = play(allowance, askers, dead)
    assert {asker.owner for asker in askers} - dead <= {each.ticket.owner for each in granted}


def test_a_dead_waiter_loses_its_place_after_the_grace() -> None:
    allowance = Allowance(20, 10, 0)
    state, _ = decide(State(), allowance, Ticket("first", 10, False, START, 0), START)
    state, dead = decide(state, allowance, Ticket("dead", 10, False, START + 1, 0), START + 1)
    state, behind = decide(state, allowance, Ticket("behind", 5, False, START + 2, 0), START + 2)
    assert dead.at_us == START + MINUTE
    assert behind.at_us > dead.at_us
    late = dead.at_us + GRACE_US + SLOT_US
    _, decision = decide(state, allowance, Ticket("behind", 5, False, START + 2, 0), late)
    assert decision.is_granted


def test_a_call_dearer_than_all_that_is_usable_goes_alone() -> None:
    allowance = Allowance(limit=400, usable=200, reserve=20)
    state, decision = decide(State(), allowance, Ticket("dear", 300, False, START, 0), START)
    assert decision.is_granted
    _, decision = decide(state, allowance, Ticket("next", 1, False, START + 1, 0), START + 1)
    assert decision.at_us == START + MINUTE


def test_what_others_spend_takes_of_their_half_first() -> None:
    allowance = Allowance(limit=100, usable=50, reserve=5)
    asker = Ticket("a", 5, False, START, 0)
    of_theirs = corrected(State(), allowance, used=80, now_us=START)
    assert decide(of_theirs, allowance, asker, START)[1].is_granted
    too_much = corrected(State(), allowance, used=90, now_us=START)
    assert decide(too_much, allowance, asker, START)[1].at_us == START + MINUTE
    assert decide(too_much, allowance, replace(asker, is_live=True), START)[1].is_granted


def test_a_lower_count_of_the_venue_changes_nothing() -> None:
    allowance = Allowance(limit=100, usable=50, reserve=5)
    state, _ = decide(State(), allowance, Ticket("a", 5, False, START, 0), START)
    assert corrected(state, allowance, used=5, now_us=START) == state
    assert _counted(corrected(state, allowance, used=9, now_us=START)) == 9


def test_nothing_is_spent_before_the_venue_allows_it() -> None:
    allowance = Allowance(100, 50, 5)
    held = State(held_until_us=START + 7 * SECOND_US)
    state, decision = decide(held, allowance, Ticket("a", 5, True, START, 0), START)
    assert not decision.is_granted
    assert decision.at_us == START + 7 * SECOND_US
    assert decide(state, allowance, Ticket("a", 5, True, START, 0), decision.at_us)[1].is_granted


def test_a_clock_that_was_set_back_costs_one_window_at_most() -> None:
    allowance = Allowance(20, 10, 0)
    future = State(spends=(Spend(START + 3600 * SECOND_US, 10),))
    _, decision = decide(future, allowance, Ticket("a", 1, False, START, 0), START)
    assert decision.at_us == START + MINUTE


def test_who_waits_no_more_leaves_the_queue() -> None:
    allowance = Allowance(20, 10, 0)
    state, _ = decide(State(), allowance, Ticket("a", 10, False, START, 0), START)
    state, _ = decide(state, allowance, Ticket("b", 10, False, START, 0), START)
    assert not withdrawn(state, "b").tickets
