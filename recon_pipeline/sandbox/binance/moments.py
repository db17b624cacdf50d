"""Instants: the world counts in milliseconds since the epoch (UTC), its clock in microseconds."""

from __future__ import annotations

from datetime import UTC, date, datetime

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)


def day_ms(day: date) -> int:
    """The first millisecond of the day."""
    return (day - _EPOCH).days * DAY_MS


def day_of(at_ms: int) -> date:
    """The UTC date of an instant."""
    return datetime.fromtimestamp(at_ms // 1000, tz=UTC).date()


def iso_text(at_ms: int) -> str:
    """As prediction wallets state it: `2026-05-25T04:00:00.000+00:00`."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(timespec="milliseconds")


def utc_text(at_ms: int) -> str:
    """As withdrawals state it: `2019-10-12 11:12:02`, whole seconds, UTC."""
    return datetime.fromtimestamp(at_ms // 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
