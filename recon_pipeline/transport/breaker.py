"""The circuit breaker of a host: after many failures in a row nobody asks for a while, then one tries for all.

Closed, everybody passes. Open, everybody waits for the end of a pause, each twice as long as the one before. After the
pause one passes as a probe: its success closes the breaker, its failure opens it again. When that has gone on for long,
nobody waits any more: all but the probe fail at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

_PROBED_SECONDS = 1.0


@dataclass(frozen=True)
class Limits:
    """When the breaker opens, for how long, and when waiting is over."""

    failures: int = 5
    pause: timedelta = timedelta(seconds=10)
    pause_max: timedelta = timedelta(minutes=5)
    hopeless_after: timedelta = timedelta(minutes=5)


class Hopeless(Exception):  # noqa: N818 - the name says what is the matter
    """The host has failed for so long that nobody waits for it; `since` says how long."""

    def __init__(self, since: datetime) -> None:
        super().__init__(since)
        self.since = since


class Breaker:
    """One host's breaker, shared by the threads of a process."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._failures = 0
        self._failing: set[str | None] = set()
        """What failed since the last success: endpoints that answered, None where nothing did."""
        self._pause = self._limits.pause
        self._open_since: datetime | None = None
        self._open_until: datetime | None = None
        self._is_probed = False

    def waits(self, now: datetime) -> float:
        """How many seconds to wait before trying to enter; 0 if it may be tried now. Raises Hopeless."""
        with self._lock:
            if self._open_since is None or self._open_until is None:
                return 0.0
            if now >= self._open_until and not self._is_probed:
                return 0.0
            if now - self._open_since >= self._limits.hopeless_after:
                raise Hopeless(self._open_since)
            return max((self._open_until - now).total_seconds(), _PROBED_SECONDS)

    def enter(self, now: datetime) -> bool:
        """Whether one may go on, and then has to tell how it ended; as the probe, if the breaker is open."""
        with self._lock:
            if self._open_until is None:
                return True
            if now < self._open_until or self._is_probed:
                return False
            self._is_probed = True
            return True

    def succeeded(self) -> None:
        """An answer came."""
        with self._lock:
            self._failures, self._pause = 0, self._limits.pause
            self._failing.clear()
            self._open_since = self._open_until = None
            self._is_probed = False

    def failed(self, now: datetime, answered_by: str | None = None) -> None:
        """No answer came, or one that says that the host is not well.

        An endpoint that answers so for itself alone, while nothing else was asked, says nothing of the host: it takes
        two of them.
        """
        with self._lock:
            self._failing.add(answered_by)
            self._failures += 1
            was_open = self._open_since is not None
            if was_open and not self._is_probed:
                return  # one of those that were under way when it opened
            is_the_host = None in self._failing or len(self._failing) > 1
            if was_open or (is_the_host and self._failures >= self._limits.failures):
                self._open_since = self._open_since or now
                self._open_until = now + self._pause
                self._pause = min(self._pause * 2, self._limits.pause_max)
            self._is_probed = False

    def given_up(self) -> None:
        """Whoever entered was stopped, and nobody knows how it would have ended."""
        with self._lock:
            self._is_probed = False
