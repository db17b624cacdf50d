"""What is wrong in a world, and what must be seen of it: the manifest is written from the truth, before any pull."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from recon_pipeline.sandbox.binance.moments import DAY_MS, HOUR_MS, day_ms, day_of
from recon_pipeline.sandbox.binance.money import plain

Kind = Literal["row", "quarantine", "restatement", "review", "decision"]
DUE_DAYS = 2
_RUN_MS = 2 * HOUR_MS
"""A day's run begins at 02:00."""


@dataclass(frozen=True)
class Effect:
    """Something that must be seen: a row that is not matched, or an entry beside the rows.

    It must be there for every as_of_day from the first named until the last one is reached (None: for ever). One that
    is not required is allowed: whether it is seen depends on how far ahead the pipeline happened to have asked.
    """

    fault: str
    account: str
    wallet: str
    asset: str
    date: dt.date
    status: Literal["variance", "incomplete", "matched"]
    amount: Decimal | None
    """The row's variance_in_asset; None where the row can have none."""
    from_as_of_day: dt.date
    gone_by_as_of_day: dt.date | None = None
    kind: Kind = "row"
    is_required: bool = True
    note: str = ""
    discrepancy_type: str | None = None
    """Of a row that is incomplete, why; that of a variance follows from its amounts."""

    def told(self) -> dict[str, Any]:
        """As the manifest has it."""
        content = asdict(self)
        for name in ("date", "from_as_of_day", "gone_by_as_of_day"):
            content[name] = content[name].isoformat() if content[name] else None
        content["amount"] = plain(self.amount) if self.amount is not None else None
        return content


@dataclass(frozen=True)
class SnapshotFault:
    """A snapshot that is not what it should be."""

    added: dict[str, Decimal] = field(default_factory=dict)
    stale_days: int = 0
    is_hidden: bool = False
    published_ms: int | None = None
    stamp_ms: int | None = None


@dataclass(frozen=True)
class Outage:
    """An endpoint that answers an account nonsense for a while."""

    account: str | None
    """None: whoever asks without a key."""
    path: str
    from_us: int
    until_us: int
    body: bytes
    status: int = 200
    content_type: str = "text/html"


@dataclass
class Race:
    """Money that goes and comes back while a wallet is captured: armed for a morning, set off by the first read."""

    account: str
    path: str
    wallet: str
    asset: str
    amount: Decimal
    from_us: int
    until_us: int
    is_over: bool = False


@dataclass
class Plants:
    """Everything that is wrong in a world."""

    effects: list[Effect] = field(default_factory=list)
    snapshots: dict[tuple[str, str, dt.date], SnapshotFault] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)
    races: list[Race] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def outage(self, account: str | None, path: str, now_us: int) -> Outage | None:
        """The outage that holds for an endpoint and an account now."""
        for outage in self.outages:
            if (outage.account, outage.path) == (account, path) and outage.from_us <= now_us < outage.until_us:
                return outage
        return None

    def race(self, account: str, path: str, now_us: int) -> Race | None:
        """The race that a read of an endpoint sets off now."""
        for race in self.races:
            is_armed = not race.is_over and race.from_us <= now_us < race.until_us
            if is_armed and (race.account, race.path) == (account, path):
                return race
        return None


def due(day: dt.date) -> dt.date:
    """The first as_of_day on which a row of the day must show."""
    return day + timedelta(days=DUE_DAYS)


def run_us(as_of_day: dt.date) -> int:
    """When the run of a day begins, in microseconds."""
    return (day_ms(as_of_day) + _RUN_MS) * 1000


def run_after(at_ms: int) -> dt.date:
    """The first as_of_day whose run begins after an instant."""
    return day_of(at_ms - _RUN_MS + DAY_MS - 1)
