"""Whether a downloaded file tells its times in another zone than it says: then hardly a row meets a flow of the API,
though it may have told of all. That is said, and no row is moved.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from recon_pipeline.venues.binance.statement import IN_UTC, NEAR, ZONES, Line, Statement, unmatched

_QUARTER = timedelta(minutes=15)
"""Every zone is whole quarters of an hour away from UTC."""
_FEWEST = 5
"""Fewer rows may match by chance."""
_ASKED = 500
"""How many rows say which zone is likely; it is tried with all of them."""


class OtherZone(NamedTuple):
    """A file most of whose rows would match in another zone, and do not in the one that it states."""

    file: str
    rows: int
    """How many rows there are that move something."""
    matching: int
    would_match: int
    ahead: timedelta
    """How far its times are ahead of UTC, as they were read."""
    likely_ahead: timedelta

    def __str__(self) -> str:
        """What a person reads of it."""
        found = f"{self.would_match} of {self.rows} rows would match if the times were {zone_name(self.likely_ahead)}"
        return (
            f"{type(self).__name__}: {found}; read as {zone_name(self.ahead)}, {self.matching} do\n"
            f"  where:    {self.file}\n"
            f"  next:     {IN_UTC}; no row was moved"
        )


def zone_name(ahead: timedelta) -> str:
    """A zone by its offset: UTC, UTC+3, UTC-3:30."""
    hours, minutes = divmod(abs(ahead) // timedelta(minutes=1), 60)
    return f"UTC{'-' if ahead < timedelta(0) else '+'}{hours}{f':{minutes:02}' if minutes else ''}" if ahead else "UTC"


def reach(first: datetime, last: datetime, ahead: timedelta) -> tuple[datetime, datetime]:
    """When the rows of that time may have happened, of whatever zone they are."""
    return first + ahead - ZONES[1] - NEAR, last + ahead - ZONES[0] + NEAR


def other_zone(statement: Statement, flows: Sequence[Line]) -> OtherZone | None:
    """The zone in which most rows of a file would match, if they do not in the one that it states; `flows` are those of
    its `reach`."""
    rows = [line for line in statement.lines if line.amount != 0]
    late = _likely(rows, statement.ahead, flows)
    if late is None:
        return None
    matching = _matching(rows, flows)
    would_match = _matching([replace(row, at=row.at - late) for row in rows], flows)
    if 2 * matching >= len(rows) or would_match < _FEWEST or 10 * would_match < 6 * len(rows):
        return None
    name, ahead = statement.path.name, statement.ahead
    return OtherZone(name, len(rows), matching, would_match, ahead, ahead + late)


def _likely(rows: Sequence[Line], ahead: timedelta, flows: Iterable[Line]) -> timedelta | None:
    """By how much the most rows are too late for a flow of theirs; the least of equal ones."""
    instants: dict[tuple[str, str, Decimal], list[datetime]] = defaultdict(list)
    for flow in flows:
        instants[flow.account, flow.asset, flow.amount].append(flow.at)
    for same in instants.values():
        same.sort()
    votes: Counter[timedelta] = Counter()
    for row in rows[:: 1 + len(rows) // _ASKED]:
        votes.update(set(_late(row, instants.get((row.account, row.asset, row.amount), []), ahead)))
    return max(votes, key=lambda late: (votes[late], -abs(late)), default=None)


def _late(row: Line, instants: Sequence[datetime], ahead: timedelta) -> Iterator[timedelta]:
    """By how many whole quarters of an hour a row is later than each of these instants, as far as zones go."""
    first, last = reach(row.at, row.at, ahead)
    for at in instants[bisect_left(instants, first) : bisect_right(instants, last)]:
        late = round((row.at - at) / _QUARTER) * _QUARTER
        if late and abs(row.at - at - late) <= NEAR:
            yield late


def _matching(rows: Sequence[Line], flows: Iterable[Line]) -> int:
    return len(rows) - sum(line.side == "statement" for line in unmatched(rows, flows))
