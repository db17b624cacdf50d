"""The arithmetic of an allowance over a trailing window. Pure: no clock, no database.

What was spent at an instant counts until `seconds` later, and never more than `usable` may count at once. Those who
have to wait stand in a queue, live asks before all others, each in the order of arrival: for each in turn it is worked
out when enough of the window will have passed, so nobody overtakes and nobody starves. A waiter who does not come back
when it was to wake has died, and its place is given up.

What others at the same address spend is told by the venue alone. It fills the half that is left to them first; only
where they take more does less remain for us.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

SECOND_US = 1_000_000
SLOT_US = SECOND_US // 4
"""Spends of one slot are kept as one, counted from its end: a minute holds 240 of them."""
GRACE_US = 2 * SECOND_US
"""How much later than planned a waiter may come back."""


@dataclass(frozen=True)
class Allowance:
    """How much may be spent in any `seconds`."""

    limit: int
    """What the venue allows at all, to us and to others at the same address."""
    usable: int
    """What we allow ourselves."""
    reserve: int
    """The part of it that only live asks may use."""
    seconds: int = 60

    @property
    def window_us(self) -> int:
        """The window's length."""
        return self.seconds * SECOND_US

    def own_max(self, weight: int, *, is_live: bool) -> int:
        """What may count of our own after spending that weight; a call that is dearer than all goes alone."""
        return max(self.usable if is_live else self.usable - self.reserve, weight)

    def total_max(self, weight: int, *, is_live: bool) -> int:
        """What may count of ours and theirs together; a tenth stays free for what is not told yet."""
        return max(self.limit if is_live else self.limit - self.limit // 10, weight)


@dataclass(frozen=True)
class Spend:
    """A weight that counts from an instant on, ours or that of others."""

    at_us: int
    weight: int
    is_foreign: bool = False


@dataclass(frozen=True)
class Ticket:
    """Somebody's place in the queue."""

    owner: str
    weight: int
    is_live: bool
    arrived_us: int
    wakes_us: int


@dataclass(frozen=True)
class State:
    """What is kept of a bucket."""

    spends: tuple[Spend, ...] = ()
    tickets: tuple[Ticket, ...] = ()
    held_until_us: int = 0
    """Nothing at all may be spent before: the venue has said so."""


@dataclass(frozen=True)
class Decision:
    """Whether it was spent; else when to come back, which is not later than it can be."""

    is_granted: bool
    at_us: int
    counted: int
    """What counts now, of everybody."""


def decide(state: State, allowance: Allowance, asker: Ticket, now_us: int) -> tuple[State, Decision]:
    """Spend the asker's weight if it is its turn and there is room; else give it a place in the queue."""
    state = current(state, allowance, now_us)
    queue = _in_turn(state.tickets, asker)
    planned = list(state.spends)
    not_before = max(now_us, state.held_until_us)
    for ticket in queue:
        not_before = _earliest(planned, allowance, ticket, not_before)
        if ticket.owner == asker.owner:
            break
        planned.append(Spend(not_before, ticket.weight))
    others = tuple(ticket for ticket in state.tickets if ticket.owner != asker.owner)
    if not_before <= now_us:
        spends = _with(state.spends, Spend(_slot(now_us), asker.weight))
        return replace(state, spends=spends, tickets=others), Decision(True, now_us, _sum(spends))
    # Who stands before us may have died or leave: look again at least once in a window.
    wakes_us = min(not_before, max(now_us, state.held_until_us) + allowance.window_us)
    waiting = replace(state, tickets=(*others, replace(asker, wakes_us=wakes_us)))
    return waiting, Decision(False, wakes_us, _sum(state.spends))


def current(state: State, allowance: Allowance, now_us: int) -> State:
    """Without what counts no more and who came back no more.

    What seems to lie in the future, since a clock was set back, counts as spent just now.
    """
    spends = (
        spend if spend.at_us <= now_us + SLOT_US else replace(spend, at_us=_slot(now_us)) for spend in state.spends
    )
    return State(
        tuple(spend for spend in spends if spend.at_us + allowance.window_us > now_us),
        tuple(ticket for ticket in state.tickets if _is_alive(ticket, allowance, now_us)),
        state.held_until_us,
    )


def corrected(state: State, allowance: Allowance, used: int, now_us: int) -> State:
    """The venue counts more than we do: the rest was spent by others."""
    state = current(state, allowance, now_us)
    missing = used - _sum(state.spends)
    if missing <= 0:
        return state
    return replace(state, spends=_with(state.spends, Spend(_slot(now_us), missing, is_foreign=True)))


def withdrawn(state: State, owner: str) -> State:
    """Without the place of somebody who waits no more."""
    return replace(state, tickets=tuple(ticket for ticket in state.tickets if ticket.owner != owner))


def _is_alive(ticket: Ticket, allowance: Allowance, now_us: int) -> bool:
    """A wake too far ahead is of before a clock was set back."""
    return now_us <= ticket.wakes_us + GRACE_US and ticket.arrived_us <= now_us + allowance.window_us


def _in_turn(tickets: Iterable[Ticket], asker: Ticket) -> list[Ticket]:
    everyone = [*(ticket for ticket in tickets if ticket.owner != asker.owner), asker]
    return sorted(everyone, key=lambda ticket: (not ticket.is_live, ticket.arrived_us, ticket.owner))


def _earliest(spends: Iterable[Spend], allowance: Allowance, ticket: Ticket, not_before: int) -> int:
    """The first instant at which there is room for the weight."""
    alive = sorted(
        (spend.at_us + allowance.window_us, spend.weight, spend.is_foreign)
        for spend in spends
        if spend.at_us + allowance.window_us > not_before
    )
    own_room = allowance.own_max(ticket.weight, is_live=ticket.is_live) - ticket.weight
    total_room = allowance.total_max(ticket.weight, is_live=ticket.is_live) - ticket.weight
    total = sum(weight for _, weight, _ in alive)
    own = sum(weight for _, weight, is_foreign in alive if not is_foreign)
    at_us = not_before
    for expires_us, weight, is_foreign in alive:
        if own <= own_room and total <= total_room:
            break
        at_us = expires_us
        total -= weight
        own -= 0 if is_foreign else weight
    return at_us


def _slot(now_us: int) -> int:
    return -(-now_us // SLOT_US) * SLOT_US


def _with(spends: tuple[Spend, ...], added: Spend) -> tuple[Spend, ...]:
    for index in range(len(spends) - 1, -1, -1):
        last = spends[index]
        if last.at_us != added.at_us:
            break
        if last.is_foreign == added.is_foreign:
            merged = replace(last, weight=last.weight + added.weight)
            return (*spends[:index], merged, *spends[index + 1 :])
    return (*spends, added)


def _sum(spends: Iterable[Spend]) -> int:
    return sum(spend.weight for spend in spends)
