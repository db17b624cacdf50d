"""What time it is, and waiting: on a live venue the machine's clock set by the venue's, on a simulated one the shared.

A simulated venue serves its clock beside its API. It stands still while somebody works: every thread that asks the
venue does so inside `with clock.working():`, and when all of them sleep it jumps to where the first one wakes. So
minutes of waiting pass in no time, and in the same order every time.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

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

    def look_again(self, told: Mapping[str, str] | None = None) -> None:
        """The venue has done something, which may have taken its time: `now` is not what it was. `told` are the headers
        of its answer, by lower-case name."""
        ...

    def signing_time(self) -> datetime:
        """The instant that the venue expects in a signed request."""
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

    def look_again(self, told: Mapping[str, str] | None = None) -> None:
        """It is looked at each time."""

    def signing_time(self) -> datetime:
        """The same: it is the venue's time already."""
        return self.now()

    def correct(self, server_time: datetime, asked_at: float, answered_at: float) -> None:
        """The venue read its clock somewhere between question and answer: in the middle, as far as one can tell."""
        self._anchor = (server_time, (asked_at + answered_at) / 2)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


_ANSWER_SECONDS = 10.0
_HEARTBEAT_SECONDS = 5.0
_ATTEMPTS = 3
_NOW_US = "x-sandbox-now-us"


class SharedClock:
    """The clock of a simulated venue, over HTTP.

    Its time is kept until this thread sleeps or asks the venue: it stands still while the thread works. A heartbeat
    tells the server that the workers of this process live, however long they compute. Everybody waits by it; what is
    signed goes by the venue's own time, which may be off from it as any machine's is.
    """

    is_simulated = True

    def __init__(self, url: str) -> None:
        self._venue_is_ahead = timedelta(0)
        self._url = url.rstrip("/")
        self._mine = threading.local()
        self._awake: set[str] = set()
        self._lock = threading.Lock()
        self._beating: threading.Thread | None = None
        self._closed = threading.Event()

    def now(self) -> datetime:
        """The simulated instant."""
        kept: int | None = getattr(self._mine, "now_us", None)
        if kept is None or self._worker() is None:
            kept = self._keep(self._ask("GET", ""))
        return instant_of(kept)

    def sleep(self, seconds: float, stop: Stop = go_on) -> None:
        """Let that much simulated time pass."""
        self.sleep_until(self.now() + timedelta(seconds=max(seconds, 0.0)), stop)

    def sleep_until(self, until: datetime, stop: Stop = go_on) -> None:
        """Let the simulated time come to that instant."""
        stop()
        until_us, worker = microseconds(until), self._worker()
        if until_us <= microseconds(self.now()):
            return
        self._set_awake(worker, False)
        try:
            while self._keep(self._ask("POST", "/sleep", {"worker": worker, "until_us": until_us}, stop)) < until_us:
                stop()
        finally:
            self._set_awake(worker, True)
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

    def look_again(self, told: Mapping[str, str] | None = None) -> None:
        """Take the time that an answer tells; of one that tells none, ask for it anew when it is wanted."""
        now_us = (told or {}).get(_NOW_US, "")
        self._mine.now_us = int(now_us) if now_us.isdecimal() else None

    def signing_time(self) -> datetime:
        """By the venue's own clock, as far off as it was when it was last asked."""
        return self.now() + self._venue_is_ahead

    def correct(self, server_time: datetime, asked_at: float, answered_at: float) -> None:
        """The shared time stays; how far the venue is off from it is remembered."""
        self.look_again()
        self._venue_is_ahead = server_time - self.now()

    def close(self) -> None:
        """End the heartbeat."""
        self._closed.set()

    # -- workers

    def _worker(self) -> str | None:
        worker: str | None = getattr(self._mine, "worker", None)
        return worker

    def _join(self) -> None:
        worker = str(self._ask("POST", "/join", {})["worker"])
        self._mine.worker = worker
        self.look_again()
        self._set_awake(worker, True)
        with self._lock:
            if self._beating is None:
                self._beating = threading.Thread(target=self._beat, name="recon-clock", daemon=True)
                self._beating.start()

    def _leave(self) -> None:
        worker, self._mine.worker = self._worker(), None
        self.look_again()
        self._set_awake(worker, False)
        with suppress(ClockServerGone):  # a server that is gone waits for nobody
            self._ask("POST", "/leave", {"worker": worker})

    def _set_awake(self, worker: str | None, is_awake: bool) -> None:
        if worker is not None:
            with self._lock:
                (self._awake.add if is_awake else self._awake.discard)(worker)

    def _beat(self) -> None:
        """A sleep that is over at once: the server hears of the worker, and nothing else happens.

        Under the lock, so that it speaks of nobody who falls asleep or leaves at the same moment.
        """
        while not self._closed.wait(_HEARTBEAT_SECONDS):
            with self._lock, suppress(ClockServerGone):
                for worker in sorted(self._awake):
                    self._ask("POST", "/sleep", {"worker": worker, "until_us": 0})

    # -- the wire

    def _keep(self, told: Any) -> int:
        now_us = int(told["now_us"])
        self._mine.now_us = now_us
        return now_us

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, stop: Stop = go_on) -> Any:
        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(0.2 * (attempt - 1))
            try:
                return self._line().ask(method, f"/sandbox/clock{path}", body, stop)
            except (OSError, HTTPException, ValueError) as error:
                problem = str(error) or type(error).__name__
        raise ClockServerGone(
            f"the simulated clock does not answer: {problem}",
            endpoint=f"{method} {self._url}/sandbox/clock{path}",
            expected="the sandbox that serves the venue, up and with a simulated clock",
        )

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._mine, "line", None)
        if line is None:
            line = self._mine.line = _Line(self._url)
        return line


class _Line:
    """A thread's own connection to the server.

    Whoever hangs up is given up by the server at once. So a sleep stays on the wire until it is over, and `stop` is
    asked meanwhile: a timeout would let time pass over the sleeper.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=_ANSWER_SECONDS)
        self._prefix = parts.path.rstrip("/")

    def ask(self, method: str, path: str, body: dict[str, Any] | None, stop: Stop) -> Any:
        """The JSON of an answer. Raises OSError, HTTPException, ValueError, and what `stop` raises."""
        connection = self._connection
        if connection.sock is not None and _can_read(connection.sock, 0.0):
            connection.close()  # the server has ended an idle one
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, f"{self._prefix}{path}", content, {"Content-Type": "application/json"})
            if stop is not go_on:
                while not _can_read(connection.sock, _SLICE_SECONDS):
                    stop()
            elif path.endswith("/sleep"):
                while not _can_read(connection.sock, _ANSWER_SECONDS):
                    pass
            answer = connection.getresponse()
            text = answer.read()
        except BaseException:
            connection.close()
            raise
        if answer.status != HTTPStatus.OK:
            raise ValueError(f"HTTP {answer.status}")
        return json.loads(text)


def _can_read(connected: socket.socket, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(connected, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def clock_of(url: str) -> Clock:
    """The clock of a venue at a URL of one's own: the simulated one that it serves, else the machine's."""
    try:
        answer = httpx.get(f"{url.rstrip('/')}/sandbox/clock", timeout=10.0, trust_env=False)
    except httpx.HTTPError as error:
        raise ClockServerGone(
            f"no sandbox answers: {type(error).__name__}", endpoint=f"GET {url}", expected="a sandbox that is up"
        ) from None
    return SharedClock(url) if answer.status_code == httpx.codes.OK else LiveClock()
