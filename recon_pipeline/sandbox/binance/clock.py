"""The sandbox's time: the machine's own, or one that stands still while anybody works and jumps when all wait.

The rule of the simulated clock. Whoever does work that takes no time joins, and sleeps instead of waiting. Time stands
still while a joined worker is awake. Once all of them sleep it jumps to the earliest of their deadlines, and whoever
is due is awake again at that very moment, before anything else can happen: so no deadline is ever passed over. The
driver's `advance` is such a sleep too, by a worker who leaves on waking: time goes through every deadline on the way.
A sleeper who did not join waits for the others, unless nobody is joined: then its own sleep moves time.

Everything runs in one event loop, and nothing awaits between a change and its consequences: there is nothing to lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

PATIENCE_S = 30.0


class Clock(Protocol):
    """Whatever tells the time."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""


class LiveClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""
        return time.time_ns() // 1000


@dataclass(slots=True)
class _Worker:
    heard_at: float
    sleeps: int = 0


@dataclass(slots=True, eq=False)
class _Sleeper:
    until_us: int
    worker: str | None
    woken: asyncio.Future[int]


class SimulatedClock:
    """A clock that only work moves."""

    def __init__(
        self, now_us: int, *, patience_s: float = PATIENCE_S, real: Callable[[], float] = time.monotonic
    ) -> None:
        self._now_us = now_us
        self._patience_s = patience_s
        self._real = real
        self._workers: dict[str, _Worker] = {}
        self._sleepers: list[_Sleeper] = []
        self._count = 0

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""
        return self._now_us

    @property
    def workers(self) -> tuple[str, ...]:
        """Whoever is joined."""
        return tuple(self._workers)

    def join(self) -> str:
        """A new worker, awake: time stands still until it sleeps or leaves."""
        self._count += 1
        name = f"worker-{self._count}"
        self._workers[name] = _Worker(self._real())
        return name

    def leave(self, worker: str) -> None:
        """A worker is done; its sleeps, if any are left, end at once."""
        self._workers.pop(worker, None)
        for sleeper in [s for s in self._sleepers if s.worker == worker]:
            self._wake(sleeper)
        self._settle()

    def hear(self, worker: str) -> None:
        """A worker has given a sign of life; one that was dropped is joined again."""
        self._workers.setdefault(worker, _Worker(0.0)).heard_at = self._real()

    async def sleep(self, until_us: int, worker: str | None = None) -> int:
        """Return once it is that late; at once if it already is. Cancelled, the worker is gone."""
        if worker is not None:
            self.hear(worker)
        if until_us <= self._now_us:
            return self._now_us
        sleeper = _Sleeper(until_us, worker, asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        if worker is not None:
            self._workers[worker].sleeps += 1
        self._settle()
        try:
            return await sleeper.woken
        except asyncio.CancelledError:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
            if worker is not None:
                self.leave(worker)
            raise

    async def advance(self, to_us: int) -> int:
        """Move time on, through every deadline on the way; waits for whoever is awake to sleep."""
        driver = self.join()
        try:
            await self.sleep(to_us, driver)
        finally:
            self.leave(driver)
        return self._now_us

    def force(self, to_us: int) -> int:
        """Move time on at once, whoever works."""
        self._move(max(to_us, self._now_us))
        self._settle()
        return self._now_us

    def spend(self, us: int) -> None:
        """Something took its time (a slow answer)."""
        self._move(self._now_us + us)

    def drop_silent(self) -> list[str]:
        """Drop the workers that are awake and were not heard of for too long: their processes have died."""
        late = self._real() - self._patience_s
        silent = [name for name, worker in self._workers.items() if not worker.sleeps and worker.heard_at < late]
        for name in silent:
            self.leave(name)
        return silent

    def _settle(self) -> None:
        while self._sleepers and all(worker.sleeps for worker in self._workers.values()):
            waiting = [s for s in self._sleepers if s.worker is not None] if self._workers else self._sleepers
            self._move(min(sleeper.until_us for sleeper in waiting))

    def _move(self, to_us: int) -> None:
        self._now_us = max(self._now_us, to_us)
        for sleeper in [s for s in self._sleepers if s.until_us <= self._now_us]:
            self._wake(sleeper)

    def _wake(self, sleeper: _Sleeper) -> None:
        self._sleepers.remove(sleeper)
        worker = self._workers.get(sleeper.worker) if sleeper.worker is not None else None
        if worker is not None:
            worker.sleeps -= 1
            worker.heard_at = self._real()
        if not sleeper.woken.done():
            sleeper.woken.set_result(self._now_us)
