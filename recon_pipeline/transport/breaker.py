"""The circuit breaker of a host: after many failures in a row nobody asks for a while, then one tries for all.

Failures of one endpoint alone say nothing of the host. Where they are answers, they are that endpoint's affair; where
nothing answers, the endpoint has a breaker of its own, and the others go on. It takes two to stop the host.

Closed, everybody passes. Open, everybody waits for the end of a pause, each twice as long as the one before. After the
pause one passes as a probe: its success closes the breaker, its failure opens it again. When that has gone on for long,
nobody waits any more: all but the probe fail at once.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

_PROBED_SECONDS = 1.0
_STEPS_ASIDE = timedelta(seconds=5)
"""How much longer an endpoint waits whose probe failed: another that waits for the host goes first."""


@dataclass(frozen=True)
class Limits:
    """When the breaker opens, for how long, and when waiting is over."""

    failures: int = 5
    pause: timedelta = timedelta(seconds=10)
    pause_max: timedelta = timedelta(minutes=5)
    hopeless_after: timedelta = timedelta(minutes=5)


class Hopeless(Exception):  # noqa: N818 - the name says what is the matter
    """It has failed for so long that nobody waits for it; `since` says how long, `is_host` whether it is all of it."""

    def __init__(self, since: datetime, *, is_host: bool) -> None:
        super().__init__(since)
        self.since = since
        self.is_host = is_host


class _Gate:
    """Failures in a row, and the pause that they lead to: of a host, or of one of its endpoints. Needs the lock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._failures = 0
        self._pause = limits.pause
        self._open_until: datetime | None = None
        self.open_since: datetime | None = None
        self.is_probed = False

    def waits(self, now: datetime) -> float | None:
        """How many seconds to wait before trying to enter; None if there is no hope left."""
        if self.open_since is None or self._open_until is None:
            return 0.0
        if now >= self._open_until and not self.is_probed:
            return 0.0
        if now - self.open_since >= self._limits.hopeless_after:
            return None
        return max((self._open_until - now).total_seconds(), _PROBED_SECONDS)

    def lets_in(self, now: datetime) -> bool:
        """Whether one may enter now."""
        return self._open_until is None or (now >= self._open_until and not self.is_probed)

    def entered(self) -> None:
        """One has: as the probe, if it is open."""
        self.is_probed = self._open_until is not None

    def closed(self) -> None:
        """It is well."""
        self._failures, self._pause = 0, self._limits.pause
        self.open_since = self._open_until = None
        self.is_probed = False

    def failed(self, now: datetime, *, may_open: bool = True) -> bool:
        """One failed; whether it was the probe."""
        self._failures += 1
        was_probe, was_open = self.is_probed, self.open_since is not None
        if was_open and not was_probe:
            return False  # one of those that were under way when it opened
        if was_open or (may_open and self._failures >= self._limits.failures):
            self.open_since = self.open_since or now
            self._open_until = now + self._pause
            self._pause = min(self._pause * 2, self._limits.pause_max)
        self.is_probed = False
        return was_probe


class Breaker:
    """One host's breaker and those of its endpoints, shared by the threads of a process."""

    def __init__(self, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self._lock = threading.Lock()
        self._host = _Gate(limits)
        self._of_endpoint: defaultdict[str, _Gate] = defaultdict(lambda: _Gate(limits))
        self._failing: set[str] = set()
        """The endpoints that failed since the host's last success."""
        self._probed_last: str | None = None
        """The endpoint whose probe of the host failed last."""

    def waits(self, endpoint: str, now: datetime) -> float:
        """How many seconds to wait before trying to enter; 0 if it may be tried now. Raises Hopeless."""
        with self._lock:
            own = self._of_endpoint[endpoint]
            seconds = []
            for gate, at in ((self._host, self._seen_by(endpoint, now)), (own, now)):
                of_gate = gate.waits(at)
                if of_gate is None:
                    raise Hopeless(gate.open_since or now, is_host=gate is self._host)
                seconds.append(of_gate)
            return max(seconds)

    def enter(self, endpoint: str, now: datetime) -> bool:
        """Whether one may go on, and then has to tell how it ended; as the probe, if a breaker is open."""
        with self._lock:
            own = self._of_endpoint[endpoint]
            if not (self._host.lets_in(self._seen_by(endpoint, now)) and own.lets_in(now)):
                return False
            self._host.entered()
            own.entered()
            return True

    def succeeded(self, endpoint: str) -> None:
        """An answer came."""
        with self._lock:
            self._failing.clear()
            self._probed_last = None
            self._host.closed()
            self._of_endpoint[endpoint].closed()

    def failed(self, endpoint: str, now: datetime, *, is_answer: bool = False) -> None:
        """No answer came, or one that says that the host is not well."""
        with self._lock:
            own = self._of_endpoint[endpoint]
            if is_answer:
                own.closed()
            else:
                own.failed(now)
            self._failing.add(endpoint)
            if self._host.failed(now, may_open=len(self._failing) > 1):
                self._probed_last = endpoint

    def given_up(self, endpoint: str) -> None:
        """Whoever entered was stopped, and nobody knows how it would have ended."""
        with self._lock:
            self._host.is_probed = False
            self._of_endpoint[endpoint].is_probed = False

    def _seen_by(self, endpoint: str, now: datetime) -> datetime:
        """The time that an endpoint goes by at the host's breaker: it may be the one that nothing will ever answer, so
        it probes the host only if no other does."""
        return now - _STEPS_ASIDE if endpoint == self._probed_last else now
