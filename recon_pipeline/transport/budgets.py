"""What may still be asked of a venue, kept in PostgreSQL and so shared by every thread, run and process.

A bucket is one row, taken under its lock for a moment: what was spent in the trailing window, and who waits. Nobody
holds anything while it waits or asks, so whoever is killed leaves nothing behind but its place in the queue, which is
given up when it does not come back. The venue's own word stands above our count: an instant before which nothing may
be asked, of a bucket (429), of one endpoint (a failure that lasts) or of the whole host (a ban), stops every process.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import TypeVar

import sqlalchemy as sa

from recon_pipeline.errors import ConfigError, StoreError
from recon_pipeline.transport.clock import Clock, Stop, go_on, instant_of, microseconds
from recon_pipeline.transport.endpoints import Bucket
from recon_pipeline.transport.errors import EndpointUnreachable, HostBanned, RateLimit
from recon_pipeline.transport.pool import Pool
from recon_pipeline.transport.window import Allowance, Decision, Spend, State, Ticket, corrected, decide, withdrawn

SHARE = Decimal("0.5")
RESERVE = Decimal("0.1")
PATIENCE_SECONDS = 300.0
WHOLE_HOST = "*"
_ANYBODY = "*"
"""The subject of a rest: an endpoint that fails does so for every account."""
_BAN_DAYS_MAX = 4
"""No venue bans for longer, and nothing longer is stored, of an endpoint neither: what seems to be was stored before a
clock was set back."""

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Where a weight is spent: the host, the bucket, and whose it is: an account's or the address's."""

    host: str
    bucket: Bucket
    subject: str = "ip"

    def __str__(self) -> str:
        of = "" if self.subject == "ip" else f" of {self.subject}"
        return f"bucket {self.bucket.name}{of} at {self.host}"


@dataclass(frozen=True)
class Grant:
    """A weight that was spent; `counted` is what counts with it in the window, of everybody."""

    place: Place
    at: datetime
    counted: int


@dataclass(frozen=True)
class _Hold:
    """Until when nothing may be asked, and why."""

    until: datetime | None
    why: str | None


@dataclass(frozen=True)
class _Row:
    state: State
    now_us: int
    held: _Hold
    host_held: _Hold
    endpoint_held: _Hold


class Budgets:
    """The allowances of all venues."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        share: Decimal = SHARE,
        reserve: Decimal = RESERVE,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        if not (0 < share <= 1 and 0 <= reserve < 1):
            raise ConfigError(
                f"a share of {share} with a reserve of {reserve} cannot be kept",
                where="the budgets of a venue",
                expected="a share above 0 and up to 1, a reserve from 0 to below 1",
            )
        self._pool = Pool(url)
        self._clock = clock
        self._share = Fraction(share)
        self._reserve = Fraction(reserve)
        self._patience_us = round(patience_seconds * 1_000_000)

    def allowance(self, bucket: Bucket) -> Allowance:
        """What may be used of a bucket: a share of it, less what is kept for live asks where they draw on it too."""
        usable = int(bucket.limit * self._share)
        reserve = -(-usable * self._reserve // 1) if bucket.is_shared_with_live else 0
        return Allowance(bucket.limit, usable, int(reserve), bucket.seconds)

    def take(self, place: Place, weight: int, *, endpoint: str = "", live: bool = False, stop: Stop = go_on) -> Grant:
        """Spend a weight for a question of an endpoint, after waiting for as long as it takes.

        RateLimit, HostBanned or EndpointUnreachable if the venue itself has said to wait for longer than one has
        patience for.
        """
        allowance = self._affordable(place, weight)
        asker = Ticket(secrets.token_hex(6), weight, live, 0, 0)
        is_waiting = False
        try:
            while True:
                stop()
                now_us, decision = self._change(place, partial(self._decide, place, allowance, asker), endpoint)
                if decision.is_granted:
                    is_waiting = False
                    return Grant(place, instant_of(decision.at_us), decision.counted)
                is_waiting = True
                asker = replace(asker, arrived_us=asker.arrived_us or now_us)
                self._clock.sleep((decision.at_us - now_us) / 1_000_000, stop)
        finally:
            if is_waiting:
                with suppress(StoreError):  # then it is given up when we do not come back
                    self._change(place, lambda row: (withdrawn(row.state, asker.owner), None))

    def correct(self, grant: Grant, used: int) -> None:
        """The venue says how much was used in its window: more than we count was spent by others."""
        if used > grant.counted:
            allowance = self.allowance(grant.place.bucket)
            self._change(grant.place, lambda row: (corrected(row.state, allowance, used, row.now_us), None))

    def hold(self, place: Place, seconds: float, why: str) -> None:
        """Let nobody spend of the bucket for so long."""
        self._hold(place.host, place.bucket.name, place.subject, seconds, why)

    def rest(self, host: str, endpoint: str, seconds: float, why: str) -> None:
        """Let nobody ask an endpoint of the host for so long, whatever else draws on its bucket."""
        self._hold(host, endpoint, _ANYBODY, seconds, why)

    def ban(self, host: str, seconds: float, why: str) -> None:
        """Let nobody ask the host for so long, whatever the bucket."""
        self._hold(host, WHOLE_HOST, WHOLE_HOST, seconds, why)

    def forget(self, host: str) -> None:
        """Begin anew with a host: a simulated one that was started again knows nothing of what was spent."""
        self._pool.run(
            f"forgetting the budgets of {host}",
            lambda opened: opened.execute(sa.text("DELETE FROM recon.budgets WHERE host = :host"), {"host": host}),
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    # -- deciding

    def _affordable(self, place: Place, weight: int) -> Allowance:
        allowance = self.allowance(place.bucket)
        if 0 <= weight <= allowance.limit:
            return allowance
        raise ConfigError(
            f"a call of weight {weight} can never be made",
            where=str(place),
            expected=f"a weight from 0 to the venue's limit of {allowance.limit}",
            next_step="correct the endpoint's weight or its bucket",
        )

    def _decide(
        self, place: Place, allowance: Allowance, asker: Ticket, row: _Row
    ) -> tuple[State, tuple[int, Decision]]:
        held_us = self._held_us(place, row)
        asker = replace(asker, arrived_us=asker.arrived_us or row.now_us)
        state, decision = decide(replace(row.state, held_until_us=held_us), allowance, asker, row.now_us)
        return state, (row.now_us, decision)

    def _held_us(self, place: Place, row: _Row) -> int:
        """Until when the venue wants nothing; an error where that is too long to wait for."""
        latest_us = 0
        for hold, error, of_what in (
            (row.host_held, HostBanned, "the venue"),
            (row.endpoint_held, EndpointUnreachable, "the endpoint"),
            (row.held, RateLimit, "the venue"),
        ):
            until, until_us = hold.until, microseconds(hold.until) if hold.until else 0
            if until is None or until_us - row.now_us > _BAN_DAYS_MAX * 86_400_000_000:
                continue
            if until_us - row.now_us > self._patience_us:
                raise error(
                    f"{of_what} answers nobody before {until:%Y-%m-%d %H:%M:%S} UTC: {hold.why}",
                    endpoint=str(place),
                    expected=f"a wait of at most {self._patience_us // 1_000_000} s",
                    until=until,
                )
            latest_us = max(latest_us, until_us)
        return latest_us

    # -- the rows

    def _change(self, place: Place, work: Callable[[_Row], tuple[State, T]], endpoint: str = "") -> T:
        """Change the row of a bucket under its lock."""

        def once(opened: sa.Connection) -> T:
            row = self._locked(opened, place, endpoint)
            state, result = work(row)
            opened.execute(_STORE, _key(place) | _packed(state))
            return result

        if self._clock.is_simulated:
            self._clock.now()  # a joined thread remembers it, and need not ask while it holds the lock
        return self._pool.run("taking a budget", once)

    def _locked(self, opened: sa.Connection, place: Place, endpoint: str) -> _Row:
        key = _key(place) | {"endpoint": endpoint}
        found = opened.execute(_LOCK, key).one_or_none()
        if found is None:
            opened.execute(_MAKE, _key(place))
            found = opened.execute(_LOCK, key).one()
        now = self._clock.now() if self._clock.is_simulated else found.now
        return _Row(
            State(
                tuple(Spend(at, weight, bool(is_foreign)) for at, weight, is_foreign in found.spends),
                tuple(Ticket(owner, w, bool(live), arrived, wakes) for owner, w, live, arrived, wakes in found.tickets),
            ),
            microseconds(now),
            _Hold(found.held_until, found.held_for),
            _Hold(found.host_held_until, found.host_held_for),
            _Hold(found.endpoint_held_until, found.endpoint_held_for),
        )

    def _hold(self, host: str, bucket: str, subject: str, seconds: float, why: str) -> None:
        key = {"host": host, "bucket": bucket, "subject": subject}
        lasts = min(timedelta(seconds=seconds), timedelta(days=_BAN_DAYS_MAX))

        def once(opened: sa.Connection) -> None:
            opened.execute(sa.text("SET LOCAL synchronous_commit = on"))
            now = self._clock.now() if self._clock.is_simulated else opened.scalar(sa.text("SELECT clock_timestamp()"))
            if now is not None:
                opened.execute(_HOLD, key | {"until": now + lasts, "why": why})

        self._pool.run("storing how long a venue wants to be left alone", once)


def _key(place: Place) -> dict[str, str]:
    return {"host": place.host, "bucket": place.bucket.name, "subject": place.subject}


def _packed(state: State) -> dict[str, str]:
    spends = [(spend.at_us, spend.weight, int(spend.is_foreign)) for spend in state.spends]
    tickets = [(t.owner, t.weight, int(t.is_live), t.arrived_us, t.wakes_us) for t in state.tickets]
    return {"spends": json.dumps(spends), "tickets": json.dumps(tickets)}


# The time is read after the lock was waited for, or what others spent meanwhile would seem to lie in the future.
_LOCK = sa.text(
    "WITH locked AS MATERIALIZED (SELECT spends, tickets, held_until, held_for FROM recon.budgets"
    "  WHERE host = :host AND bucket = :bucket AND subject = :subject FOR NO KEY UPDATE)"
    " SELECT locked.*, clock_timestamp() AS now, ban.held_until AS host_held_until, ban.held_for AS host_held_for,"
    "  rest.held_until AS endpoint_held_until, rest.held_for AS endpoint_held_for FROM locked"
    f" LEFT JOIN recon.budgets AS ban ON ban.host = :host AND ban.bucket = '{WHOLE_HOST}'"
    " LEFT JOIN recon.budgets AS rest ON rest.host = :host AND rest.bucket = :endpoint"
    f"  AND rest.subject = '{_ANYBODY}'"
)
_MAKE = sa.text(
    "INSERT INTO recon.budgets (host, bucket, subject) VALUES (:host, :bucket, :subject) ON CONFLICT DO NOTHING"
)
_STORE = sa.text(
    "UPDATE recon.budgets SET spends = CAST(:spends AS jsonb), tickets = CAST(:tickets AS jsonb)"
    " WHERE host = :host AND bucket = :bucket AND subject = :subject"
)
_HOLD = sa.text(
    "INSERT INTO recon.budgets AS b (host, bucket, subject, held_until, held_for)"
    " VALUES (:host, :bucket, :subject, :until, :why) ON CONFLICT (host, bucket, subject) DO UPDATE"
    " SET held_for = excluded.held_for, held_until = CASE WHEN b.held_until > excluded.held_until"
    f" AND b.held_until < excluded.held_until + interval '{_BAN_DAYS_MAX} days'"
    " THEN b.held_until ELSE excluded.held_until END"
)
