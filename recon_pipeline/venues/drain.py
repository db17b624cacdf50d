"""One stream over one span of time, read to its last record by whatever paging the venue has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from recon_pipeline.errors import ReconError
from recon_pipeline.stores.raw import Told
from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.venues.answers import Answer, reading, told_by
from recon_pipeline.venues.streams import EQUAL_ROWS, Call, Content, Stated, Stream, Window

ONE_MS = timedelta(milliseconds=1)
PAGES_MAX = 10_000
ASKED_AGAIN_MAX = 3

Params = list[tuple[str, str]]
Between = tuple[datetime, datetime] | None
"""The first and the last millisecond, both inclusive; None for a stream that is not asked by time."""


class NotReadWhole(ReconError):  # noqa: N818 - the name says what is the matter
    """Of a list it is not known whether all of it was told."""


class PageRepeated(NotReadWhole):
    """A page tells what one before it told: the list moved while it was read, and what slipped past is not known."""


class FewerThanStated(NotReadWhole):
    """The venue says that a list has more records than it told: those that are missing are not known."""


class WindowTooFull(NotReadWhole):
    """So many records at one instant that the venue cannot tell them all."""


Ask = Callable[[Endpoint, Sequence[tuple[str, str]]], Answer]
"""Ask the venue with the credentials of one account."""


class Drain:
    """Collects what a stream tells, call after call. `told` is in the order in which it came; `response_ids` are those
    of all answers, those without records as well."""

    def __init__(self, stream: Stream, ask: Ask) -> None:
        self.told: list[Told] = []
        self.response_ids: list[int] = []
        self.pages = 0
        self._stream = stream
        self._ask = ask

    def call(self, call: Call, between: Between) -> None:
        """Everything that one parameter set tells of a span. May raise PageRepeated, FewerThanStated or
        WindowTooFull."""
        if self._stream.window is None or between is None:
            self._settled_pages(call, [])
        elif self._stream.paging.kind == "bisect":
            self._bisect(call, *between)
        else:
            self._span(call, self._stream.window, *between)

    def _span(self, call: Call, window: Window, first: datetime, last: datetime) -> None:
        """A span page by page; where the pages overlap each half by itself, until it fits into one page or nothing is
        left to halve."""
        middle = _middle(window, first, last)
        if middle is None:
            self._settled_pages(call, times(window, first, last))
            return
        begun = len(self.told)
        try:
            self._pages(call, times(window, first, last))
        except PageRepeated:
            del self.told[begun:]
            self._span(call, window, first, middle)
            self._span(call, window, middle + _step(window), last)

    def _settled_pages(self, call: Call, asked: Params) -> None:
        """A list page by page, from the beginning again if it moved meanwhile."""
        begun = len(self.told)
        for _ in range(ASKED_AGAIN_MAX - 1):
            try:
                self._pages(call, asked)
            except PageRepeated:
                del self.told[begun:]
            else:
                return
        self._pages(call, asked)

    def _pages(self, call: Call, asked: Params) -> None:
        paging = self._stream.paging
        known: set[str] = set()
        last_id = count = 0
        for number in range(PAGES_MAX):
            if paging.kind == "from_id":
                # ids and times cannot be asked for together: the span begins it, the ids go on
                params = [(str(paging.page_param), str(last_id + 1))] if number else asked
            elif paging.page_param:
                place = str(number + 1 if paging.kind == "page" else number * paging.size)
                params = [*asked, (paging.page_param, place)]
            else:
                params = asked
            rows = self._page(call, params, known, count)
            count += len(rows)
            if self._is_last(rows):
                return
            if paging.kind == "from_id":
                with reading(self._stream.endpoint, self.told[-1].response_id):
                    last_id = max(int(row[paging.id_field]) for row in rows)
        raise WindowTooFull(
            f"more than {PAGES_MAX} pages of {self._stream.name}",
            where=str(self._stream.endpoint),
            next_step="run fewer days at a time",
        )

    def _page(self, call: Call, params: Params, known: set[str], before: int) -> Sequence[Content]:
        """One page. One that tells what a page before it told is asked for again; so is one that tells a record twice,
        in whose place another one may be missing, until it is told so every time; and the last one, if it leaves the
        list shorter than the venue says that it is."""
        for number in range(1, ASKED_AGAIN_MAX + 1):
            rows, told, stated = self._answer(call, params)
            keys = {each.key for each in told}
            is_short = self._is_last(rows) and stated.says_more_than(before + len(rows))
            if not is_short and not keys & known and not (number < ASKED_AGAIN_MAX and _is_doubled(told)):
                self.told.extend(told)
                known |= keys
                return rows
        if is_short:
            raise self._fewer(stated, before + len(rows))
        raise PageRepeated(
            f"a page of {self._stream.name} told what a page before it had told",
            where=str(self._stream.endpoint),
            expected="pages that share no record",
            next_step="run the day again; until then it counts as not read",
        )

    def _is_last(self, rows: Sequence[Content]) -> bool:
        paging = self._stream.paging
        return paging.kind == "none" or (len(rows) < paging.size if paging.is_size_certain else not rows)

    def _bisect(self, call: Call, first: datetime, last: datetime) -> None:
        """A list without pages: where an answer is full, each half of its span is asked for by itself."""
        window = self._stream.window
        rows, told, stated = self._answer(call, times(window, first, last) if window else [])
        is_short = stated.says_more_than(len(rows))
        if len(rows) < self._stream.paging.size and not is_short:
            self.told.extend(told)
            return
        if is_short and not rows:
            raise self._fewer(stated, 0)
        if last - first < ONE_MS:
            raise WindowTooFull(
                f"{len(rows)} records of {self._stream.name} in one millisecond fill a whole answer",
                where=f"{self._stream.endpoint}, {first.isoformat()}",
                expected=f"fewer than {self._stream.paging.size}",
                next_step="the day counts as not read; compare it with the venue's own statement",
            )
        middle = _halfway(first, last, ONE_MS)
        self._bisect(call, first, middle)
        self._bisect(call, middle + ONE_MS, last)

    def _answer(self, call: Call, params: Params) -> tuple[Sequence[Content], list[Told], Stated]:
        paging = self._stream.paging
        size = [(paging.size_param, str(paging.size))] if paging.size_param else []
        answer = self._ask(self._stream.endpoint, [*call.items(), *params, *size])
        self.pages += 1
        if answer.response_id is not None:
            self.response_ids.append(answer.response_id)
        rows, told = told_by(self._stream, call, answer)
        with reading(self._stream.endpoint, answer.response_id):
            return rows, told, self._stream.stated(answer.json)

    def _fewer(self, stated: Stated, told: int) -> FewerThanStated:
        return FewerThanStated(
            f"{self._stream.name} told {told} records of a list that has more",
            where=str(self._stream.endpoint),
            expected="more of them" if stated.total is None else f"{stated.total} records, as the answer says",
            next_step="run the day again; until then it counts as not read",
        )


def _is_doubled(told: Sequence[Told]) -> bool:
    """Whether a record with an id is told twice."""
    named = [each.key for each in told if not each.key.startswith(EQUAL_ROWS)]
    return len(set(named)) < len(named)


def _step(window: Window) -> timedelta:
    """The least by which spans differ."""
    return {"ms": ONE_MS, "s": timedelta(seconds=1), "text": timedelta(days=1)}[window.unit]


def _middle(window: Window, first: datetime, last: datetime) -> datetime | None:
    """The last instant of the first half of a span; None where it cannot be halved."""
    middle = _halfway(first, last, _step(window))
    return middle if middle + _step(window) <= last else None


def _halfway(first: datetime, last: datetime, step: timedelta) -> datetime:
    return first + (last - first) // 2 // step * step


def times(window: Window, first: datetime, last: datetime) -> Params:
    """The parameters for the milliseconds first to last, both inclusive."""
    end = last + ONE_MS if window.is_end_exclusive else last
    return [(window.start, _instant(window, first)), (window.end, _instant(window, end))]


def _instant(window: Window, instant: datetime) -> str:
    if window.unit == "text":
        return instant.strftime("%Y-%m-%d")
    ms = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // ONE_MS
    return str(ms if window.unit == "ms" else ms // 1000)
