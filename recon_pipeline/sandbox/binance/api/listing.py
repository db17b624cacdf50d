"""Lists with a window of time and pages: the one way in which nearly every history endpoint answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.book import Content, Record
from recon_pipeline.sandbox.binance.moments import DAY_MS, HOUR_MS

Rows = list[Content]


def bare(rows: Rows, total: int, call: Call) -> Answer:
    """The list alone."""
    return rows


def rows_total(rows: Rows, total: int, call: Call) -> Answer:
    """`{rows, total}`."""
    return {"rows": rows, "total": total}


@dataclass(frozen=True)
class Listing:
    """How one endpoint keeps its list: windows, retention, pages, order, filters, and the envelope."""

    path: str
    start: str = "startTime"
    end: str = "endTime"
    default_days: int | None = None
    """The span told when no times are sent; None: everything."""
    longest_days: int | None = None
    is_longest_excluded: bool = False
    """Whether a window of just that length is refused too."""
    too_long: Callable[[int], refusals.Refusal] = lambda days: refusals.more_than_hours(days * 24)
    retention_days: int | None = None
    page: str | None = "current"
    """The parameter that names the page, counted from 1; `offset` counts rows; None: there are no pages."""
    size: str | None = "size"
    size_default: int = 10
    size_most: int = 100
    is_newest_first: bool = True
    filters: Mapping[str, str] = field(default_factory=dict)
    """Parameter -> the field that must equal it."""
    envelope: Callable[[Rows, int, Call], Answer] = rows_total
    needs_times: bool = False
    is_end_exclusive: bool = False
    edit: Callable[[Content, Call], Content | None] = lambda content, call: content
    """What this endpoint makes of a record; None leaves it out."""

    def __call__(self, call: Call) -> Answer:
        """Answer a question from the account's own list."""
        return self.answer(call, call.account.email, self.path)

    def answer(self, call: Call, email: str, name: str) -> Answer:
        """Answer from any list."""
        start, end = self.window(call)
        records = call.world.archive.between(email, name, start, end - 1 if self.is_end_exclusive else end)
        rows = self._rows(call, records)
        first, last = self._page(call, len(rows))
        return self.envelope(rows[first:last], len(rows), call)

    def window(self, call: Call) -> tuple[int, int]:
        """The span of time that is asked for, as the venue understands it."""
        start, end = call.moment_ms(self.start), call.moment_ms(self.end)
        if self.needs_times and (start is None or end is None):
            raise refusals.missing(self.start if start is None else self.end)
        if start is not None and end is not None and start > end:
            raise refusals.Refusal(-1023, "Start time is greater than end time.")
        longest = self.longest_days
        if longest is not None and start is not None and end is not None:
            self._check_span(end - start, longest)
        start, end = self._fill(start, end, call.now_ms)
        if self.retention_days is not None:
            start = max(start, call.now_ms - self.retention_days * DAY_MS)
        return start, end

    def _check_span(self, span_ms: int, longest: int) -> None:
        if span_ms > longest * DAY_MS or (self.is_longest_excluded and span_ms == longest * DAY_MS):
            raise self.too_long(longest)

    def _fill(self, start: int | None, end: int | None, now_ms: int) -> tuple[int, int]:
        """The end that was not sent: a default span from the other one."""
        span = self.default_days * DAY_MS if self.default_days is not None else None
        if end is None:
            longest = None if self.longest_days is None else self.longest_days * DAY_MS
            reach = now_ms if start is None or longest is None else min(now_ms, start + longest)
            end = max(reach, start or 0)
        if start is None:
            start = 0 if span is None else end - span
        return start, end

    def _rows(self, call: Call, records: list[Record]) -> Rows:
        wanted = {name: (fieldname, call.text(name)) for name, fieldname in self.filters.items() if call.text(name)}
        rows = []
        for record in records:
            content = record.at(call.now_us)
            edited = self.edit(content, call) if content is not None else None
            if edited is not None and all(_is_same(edited.get(name), value) for name, value in wanted.values()):
                rows.append(edited)
        return rows[::-1] if self.is_newest_first else rows

    def _page(self, call: Call, count: int) -> tuple[int, int]:
        size = (
            self.size_default if self.size is None else call.number(self.size, self.size_default) or self.size_default
        )
        if size > self.size_most and self.size is not None:
            raise refusals.too_large(self.size, self.size_most)
        if self.page is None:
            return 0, size
        place = call.number(self.page, 0 if self.page == "offset" else 1) or 0
        if self.page == "offset":
            return place, place + size
        if place < 1:
            raise refusals.malformed(self.page, "^[1-9][0-9]*$")
        return (place - 1) * size, place * size


def _is_same(told: Any, asked: str | None) -> bool:
    return str(told).lower() == (asked or "").lower()


def hours_apart(start: int | None, end: int | None) -> int:
    """The whole hours of a window that has both ends."""
    return 0 if start is None or end is None else -(-(end - start) // HOUR_MS)
