"""What time it is, and waiting: on a live venue the machine's clock set by the venue's, on a simulated one the shared.

A simulated venue serves its clock beside its API. It stands still while somebody works: every thread that asks the
venue does so inside `with clock.working():`, and when all of them sleep it jumps to where the first one wakes. So
minutes of waiting pass in no time, and in the same order every time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeAlias

import httpx

from recon_pipeline.transport.errors import ClockServerGone

Stop: TypeAlias = Callable[[], None]
"""Raises if the run was asked to stop; called while waiting, wherever nothing is half done."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLICE_SECONDS = 0.2
"""How long a signal may go unheard."""
_MICROSECOND = timedelta(microseconds=1)


def go_on() -> None:
    """The Stop of whoever is never asked to stop."""


def microseconds(instant: datetime) -> int:
    """Since the epoch."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(microseconds_since_epoch: int) -> datetime:
    """The instant, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds_since_epoch)


class Clock(Protocol):
    """The time as the venue has it."""

    @property
    def is_simulated(self) -> bool:
        """Whether its time is not that of the world: then it alone says how long something is ago."""
        ...

    def now(self) -> datetime:
        """The instant, in UTC, in microseconds."""
        ...

    def sleep(self, seconds: float, stop: Stop = go_on) -> None:
        """Wait that long; `stop` is heard meanwhile."""
        ...

    def sleep_until(self, until: datetime, stop: Stop = go_on) -> None:
        """Wait until that instant; not at all if it has passed."""
        ...

    def working(self) -> AbstractContextManager[None]:
        """Around the work of a thread: a simulated time stands still meanwhile, but for its sleeps."""
        ...

    def correct(self, server_time: datetime, asked_at: float, answered_at: float) -> None:
        """Take the venue's time over; the others are readings of `time.monotonic` around the question."""
        ...


class LiveClock:
    """The machine's clock, corrected by the venue's: one for each venue, shared by its threads.

    Between two corrections it advances by the machine's monotonic clock, so a machine whose time is set does not jump.
    """

    is_simulated = False

    def __init__(self) -> None:
        self._anchor = (datetime.now(UTC), time.monotonic())

    def now(self) -> datetime:
        """The instant as the venue has it."""
        at, monotonic = self._anchor
        return at + timedelta(seconds=time.monotonic() - monotonic)

    def sleep(self, seconds: float, stop: Stop = go_on) -> None:
        """Wait in short slices; `stop` is asked before each and at the end."""
        deadline = time.monotonic() + seconds
        stop()
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))
            stop()

    def sleep_until(self, until: datetime, stop: Stop = go_on) -> None:
        """Wait until that instant."""
        self.sleep((until - self.now()).total_seconds(), stop)

    def working(self) -> AbstractContextManager[None]:
        """Nothing: the world's time stands still for nobody."""
        return _nothing()

    def correct(self, server_time: datetime, asked_at: float, answered_at: float) -> None:
        """The venue read its clock somewhere between question and answer: in the middle, as far as one can tell."""
        self._anchor = (server_time, (asked_at + answered_at) / 2)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 2.0
"""How long a sleep stays on the wire before `stop` is heard and it is asked again."""
_HEARTBEAT_SECONDS = 5.0
_ATTEMPTS = 3


class SharedClock:
    """The clock of a simulated venue, over HTTP.

    Its time is read once and kept until this thread sleeps: it stands still while the thread works. A heartbeat tells
    the server that the workers of this process live, however long they compute.
    """

    is_simulated = True

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        everyone = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        self._http = httpx.Client(timeout=_ANSWER_SECONDS, trust_env=False, limits=everyone)
        self._mine = threading.local()
        self._workers: set[str] = set()
        self._awake: set[str] = set()
        self._lock = threading.Lock()
        self._beating: threading.Thread | None = None
        self._closed = threading.Event()

    def now(self) -> datetime:
        """The simulated instant."""
        kept: int | None = getattr(self._mine, "now_us", None)
        if kept is not None and self._worker() is not None:
            return instant_of(kept)
        return instant_of(self._keep(self._ask("GET", "")))

    def sleep(self, seconds: float, stop: Stop = go_on) -> None:
        """Let that much simulated time pass."""
        self.sleep_until(self.now() + timedelta(seconds=max(seconds, 0.0)), stop)

    def sleep_until(self, until: datetime, stop: Stop = go_on) -> None:
        """Let the simulated time come to that instant."""
        stop()
        until_us = microseconds(until)
        if until_us <= microseconds(self.now()):
            return
        self._falls_asleep()
        try:
            while not self._slept(until_us):
                stop()
        finally:
            self._wakes()
        stop()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Join the clock for the time of the block; a thread joins once, however deep the blocks."""
        depth = getattr(self._mine, "depth", 0)
        if depth == 0:
            self._join()
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            if depth == 0:
                self._leave()

    def correct(self, server_time: datetime, asked_at: float, answered_at: float) -> None:
        """Read it anew: somebody moved it while this thread worked."""
        self._mine.now_us = None

    def close(self) -> None:
        """End the heartbeat and the connections."""
        self._closed.set()
        self._http.close()

    # -- workers

    def _worker(self) -> str | None:
        worker: str | None = getattr(self._mine, "worker", None)
        return worker

    def _join(self) -> None:
        worker = str(self._ask("POST", "/join", {})["worker"])
        self._mine.worker = worker
        self._mine.now_us = None
        with self._lock:
            self._workers.add(worker)
            self._awake.add(worker)
            if self._beating is None:
                self._beating = threading.Thread(target=self._beat, name="recon-clock", daemon=True)
                self._beating.start()

    def _join_anew(self) -> None:
        with self._lock:
            self._workers.discard(self._worker() or "")
        self._join()
        self._falls_asleep()

    def _leave(self) -> None:
        worker, self._mine.worker, self._mine.now_us = self._worker(), None, None
        with self._lock:
            self._workers.discard(worker or "")
            self._awake.discard(worker or "")
        with suppress(ClockServerGone):  # a server that is gone waits for nobody
            self._ask("POST", "/leave", {"worker": worker})

    def _falls_asleep(self) -> None:
        self._mine.now_us = None
        with self._lock:
            self._awake.discard(self._worker() or "")

    def _wakes(self) -> None:
        with self._lock:
            if (worker := self._worker()) in self._workers:
                self._awake.add(worker or "")

    def _beat(self) -> None:
        """A sleep that is over at once: the server hears of the worker, and nothing else happens.

        Under the lock, for it would wake a worker that falls asleep at the same moment.
        """
        while not self._closed.wait(_HEARTBEAT_SECONDS):
            with self._lock, suppress(ClockServerGone):
                for worker in sorted(self._awake):
                    self._ask("POST", "/sleep", {"worker": worker, "until_us": 0})

    # -- the wire

    def _slept(self, until_us: int) -> bool:
        """Sleep, for a while of real time at most; whether the simulated time has come."""
        body = {"worker": self._worker(), "until_us": until_us}
        try:
            answer = self._http.post(f"{self._url}/sandbox/clock/sleep", json=body, timeout=_POLL_SECONDS)
        except httpx.ReadTimeout:
            return self._keep(self._ask("GET", "")) >= until_us
        except httpx.HTTPError:
            return self._keep(self._ask("POST", "/sleep", body)) >= until_us
        if answer.status_code != httpx.codes.OK and body["worker"] is not None:
            self._join_anew()  # nothing was heard of it for so long that it was thought dead
            return False
        return self._keep(_told(answer)) >= until_us

    def _keep(self, told: Any) -> int:
        now_us = int(told["now_us"])
        self._mine.now_us = now_us
        return now_us

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(0.2 * attempt)
            try:
                answer = self._http.request(method, f"{self._url}/sandbox/clock{path}", json=body)
                return _told(answer)
            except httpx.HTTPError as error:
                problem = type(error).__name__
            except (ValueError, RuntimeError) as error:  # another status, no JSON, or this clock was closed
                problem = str(error)
        raise ClockServerGone(
            f"the simulated clock does not answer: {problem}",
            endpoint=f"{method} {self._url}/sandbox/clock{path}",
            expected="the sandbox that serves the venue, up and with a simulated clock",
        )


def _told(answer: httpx.Response) -> Any:
    if answer.status_code != httpx.codes.OK:
        raise ValueError(f"HTTP {answer.status_code}")
    return answer.json()


def clock_of(url: str) -> Clock:
    """The clock of a venue at a URL of one's own: the simulated one that it serves, else the machine's."""
    try:
        answer = httpx.get(f"{url.rstrip('/')}/sandbox/clock", timeout=10.0, trust_env=False)
    except httpx.HTTPError as error:
        raise ClockServerGone(
            f"no sandbox answers: {type(error).__name__}", endpoint=f"GET {url}", expected="a sandbox that is up"
        ) from None
    return SharedClock(url) if answer.status_code == httpx.codes.OK else LiveClock()
