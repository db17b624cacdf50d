"""Streams of a venue's API, read without a hole: a span is frozen, drained, and only then marked as read.

Nothing here knows a venue: what a stream is stands in `Stream`, how a request is made in the transport.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from recon_pipeline.errors import ReconError
from recon_pipeline.frames.schema import COVERAGE_READ, COVERAGE_THAT_COUNTS
from recon_pipeline.stores.canonical import canonical_json, digest_of_json
from recon_pipeline.stores.raw import Contents, DayRead, Kept, RawStore, Told, Whole
from recon_pipeline.transport.errors import (
    EndpointUnreachable,
    InvalidSymbol,
    MalformedAnswer,
    NetworkError,
    VenueError,
    WindowTooLong,
    WindowTooOld,
)
from recon_pipeline.venues.drain import ASKED_AGAIN_MAX, ONE_MS, Ask, Drain, NotReadWhole
from recon_pipeline.venues.streams import (
    EQUAL_ROWS,
    NEVER_USED,
    AccountFacts,
    Call,
    Content,
    Stream,
    name_in_part,
    named_in,
    part_of,
)

ONE_DAY = timedelta(days=1)
_NEVER = datetime.min.replace(tzinfo=UTC)
_HALVED_MAX = 12
"""So many spans of a stream that failed are asked for in halves in one run, to find the days that cannot be read."""
_IN_VAIN_MAX = 8
"""After so many in a row that failed nothing is asked for in halves until one is read: from a span of three months down
to its last day. What fails so often says nothing of the days."""
_ALONE_DAYS = 10
"""Within so many days each day that was not asked for in parts is asked for alone."""


class BeyondRetention(ReconError):  # noqa: N818 - the name says what is the matter
    """The venue no longer tells of that day."""


class ReadsDiffer(NotReadWhole):
    """What was told before is left out, or told in another way, and each further read says something else: none can be
    believed."""


_MAY_PASS = (NetworkError, EndpointUnreachable, ReadsDiffer, MalformedAnswer)
"""What may have nothing to do with the days that were asked for, unless they fail so again with the next run."""
_MAY_PASS_NAMES = frozenset(each.__name__ for each in _MAY_PASS)


@dataclass
class _Failures:
    """What went wrong while the days of a stream were asked for."""

    errors: list[ReconError] = field(default_factory=list)
    halved: int = 0
    in_vain: int = 0
    """How many spans failed in a row, up to now."""
    whole: list[Span] = field(default_factory=list)
    """What failed and was not asked for in halves, since too much had failed."""

    def besides(self, raised: BaseException) -> list[ReconError]:
        """One of each other kind and place than what is raised."""
        others = {_kind_and_place(error): error for error in reversed(self.errors)}
        others.pop(_kind_and_place(raised), None)
        return list(reversed(others.values()))


def _kind_and_place(error: BaseException) -> tuple[type[BaseException], str]:
    return type(error), getattr(error, "where", "")


@dataclass(frozen=True)
class Span:
    """Whole UTC days, both inclusive."""

    first: date
    last: date

    @property
    def start(self) -> datetime:
        """Its first instant."""
        return midnight(self.first)

    @property
    def end(self) -> datetime:
        """The midnight that ends it, exclusive."""
        return midnight(self.last + ONE_DAY)

    @property
    def days(self) -> list[date]:
        """Its days in order."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


def midnight(day: date) -> datetime:
    """The beginning of a UTC day."""
    return datetime.combine(day, time(), UTC)


def spans(days: Iterable[date], longest: timedelta) -> Iterator[Span]:
    """Days as spans without gaps, none longer than the endpoint allows."""
    most = max(longest // ONE_DAY, 1)
    ordered = sorted(set(days))
    first = before = None
    for day in ordered:
        if first is None or before is None:
            first = day
        elif day - before > ONE_DAY or (day - first).days >= most:
            yield Span(first, before)
            first = day
        before = day
    if first is not None and before is not None:
        yield Span(first, before)


def numbered(told: Sequence[Told]) -> list[Told]:
    """Records whose key is their content get their number among equals, in the order in which they came."""
    seen: Counter[str] = Counter()
    out = []
    for each in told:
        if each.key.startswith(EQUAL_ROWS):
            seen[each.key] += 1
            out.append(Told(f"{each.key}:{seen[each.key]}", each.call, each.content, each.instant, each.response_id))
        else:
            out.append(each)
    return out


DigestOfCalls: TypeAlias = Callable[[date], str | None]
"""Of a day: which calls would read it now. None: whichever they are, it is not read again for them."""


class FailedRead(NamedTuple):
    """An attempt to read days that failed, and the name of the error."""

    at: datetime
    error: str


class Ledger:
    """Which days of which streams have been read, as it stood when the pull began."""

    def __init__(self, raw: RawStore) -> None:
        self._status: dict[tuple[str, str], dict[date, str]] = defaultdict(dict)
        self._calls: dict[tuple[str, str], dict[date, str]] = defaultdict(dict)
        self._failed: dict[tuple[str, str], dict[date, FailedRead]] = defaultdict(dict)
        for row in raw.ledger():
            # what the user said is good for as long as it is said
            status = "partial" if (row.status, row.error) in _AS_SAID else row.status
            self._status[row.account, row.stream][row.date] = status
            if row.status == "failed":
                self._failed[row.account, row.stream][row.date] = FailedRead(row.read_at, row.error or "")
            elif row.asked_in_vain is not None:
                self._failed[row.account, row.stream][row.date] = FailedRead(row.asked_in_vain_at, row.asked_in_vain)
            if row.calls is not None:
                self._calls[row.account, row.stream][row.date] = row.calls
        self._parts: dict[tuple[str, str], dict[str, Mapping[date, str]]] = defaultdict(dict)
        for (account, told), days in self._status.items():
            stream, name = name_in_part(told)
            if name is not None:
                self._parts[account, stream][name] = days

    def asked_otherwise(self, account: str, stream: str, calls: DigestOfCalls) -> set[date]:
        """The final days that were read with other calls than they would be now."""
        status, known = self._status.get((account, stream), {}), self._calls.get((account, stream), {})
        return {day for day, digest in known.items() if status[day] == "final" and calls(day) not in (None, digest)}

    def not_of_all(self, account: str, stream: str, covers: Iterable[str]) -> set[date]:
        """The final days on which a stream was not read of one that it `covers`: nothing could be asked of that one."""
        of_account = self._status.get((account, stream), {})
        of_others = (self._status.get((each, stream), {}) for each in covers)
        unread = {day for of_each in of_others for day, status in of_each.items() if status in ("failed", "partial")}
        return {day for day in unread if of_account.get(day) == "final"}

    def told_again(self, account: str, stream: str) -> set[date]:
        """The final days that were read without a market or asset that the venue refused then and tells of now."""
        of_stream, found = self._status.get((account, stream), {}), set[date]()
        for of_part in self.parts(account, stream).values():
            if of_part[max(of_part)] in COVERAGE_READ:
                found |= {day for day, status in of_part.items() if status not in COVERAGE_READ}
        return {day for day in found if of_stream.get(day) == "final"}

    def read_with(self, account: str, stream: str, name: str, calls: DigestOfCalls) -> set[date]:
        """The days that were read with a market or an asset: as the ledger says of it, or if it says nothing of it yet,
        those that were read with such calls."""
        of_part, known = self.parts(account, stream).get(name, {}), self._calls.get((account, stream), {})
        of_stream = self._status.get((account, stream), {})
        unsaid = {day for day, status in of_stream.items() if status in COVERAGE_READ and day not in of_part}
        said = {day for day, status in of_part.items() if status in COVERAGE_READ}
        return said | {day for day in unsaid if day in known and known[day] == calls(day)}

    def parts(self, account: str, stream: str) -> Mapping[str, Mapping[date, str]]:
        """How the days of the markets and assets stand that were told apart, by name."""
        return self._parts.get((account, stream), {})

    def to_ask(
        self,
        account: str,
        stream: str,
        first: date,
        last: date,
        *,
        since: date = date.max,
        again: Collection[date] = (),
    ) -> list[date]:
        """The days from first to last that are not final, every earlier one that was read and is not final, and all
        between.

        Of earlier ones to which the stream did not apply, those from `since` on: it may apply to them now. Those that
        are to be read `again` are not final.
        """
        known = {
            day: "complete" if day in again else status
            for day, status in self._status.get((account, stream), {}).items()
        }
        earlier = [
            day
            for day, status in known.items()
            if day < first and status != "final" and (status != "not_applicable" or day >= since)
        ]
        begin = min(earlier, default=first)
        days = [begin + timedelta(days=n) for n in range((last - begin).days + 1)]
        return [day for day in days if known.get(day) != "final"]

    def status(self, account: str, stream: str, day: date) -> str | None:
        """How a day stands; None if it was never read."""
        return self._status.get((account, stream), {}).get(day)

    def failed(self, account: str, stream: str, day: date) -> FailedRead | None:
        """The last attempt to read a day, or if it stands as it was read before, to read it again; None if it did not
        fail."""
        return self._failed.get((account, stream), {}).get(day)


class Puller:
    """Reads the streams of one account into the raw store, span by span."""

    def __init__(
        self,
        raw: RawStore,
        ledger: Ledger,
        now: Callable[[], datetime],
        check: Callable[[], None],
        tell_gone: Callable[[str, Stream, Sequence[str]], None] = lambda *_: None,
        *,
        tell_changed: Callable[[str, Stream, Contents], None] = lambda *_: None,
        tell_failed: Callable[[str, Stream, ReconError], None] = lambda *_: None,
        tell_refused: Callable[[str, Stream, str, InvalidSymbol], None] = lambda *_: None,
        refresh: Callable[[], bool] = lambda: False,
        is_left: Callable[[AccountFacts, str, date], bool] = lambda *_: False,
        is_not_there: Callable[[ReconError, Stream, AccountFacts], bool] = lambda *_: False,
        unopened: Callable[[AccountFacts, date], Collection[str]] = lambda *_: (),
    ) -> None:
        self._raw = raw
        self._ledger = ledger
        self._now = now
        self._check = check
        self._tell_gone = tell_gone
        """Hears of an account, a stream and the keys of records that the venue does not tell of any more."""
        self._tell_changed = tell_changed
        """The same of what records told before that it tells in another way now, by their key."""
        self._tell_failed = tell_failed
        """Hears of an account, a stream and what went wrong with it besides the error that is raised."""
        self._tell_refused = tell_refused
        """Hears of an account, a stream and the market or asset that the venue does not let it be asked of any more."""
        self._refresh = refresh
        """Reads anew what the venue lists; False where that was just done."""
        self._is_left = is_left
        """Whether nothing was stated any more of a market or an asset of an account when a day ended."""
        self._is_not_there = is_not_there
        """Whether an error says that the account does not have what the stream tells of."""
        self._unopened = unopened
        """The products of which the venue said, of a day, that an account had not opened them."""

    def pull(self, stream: Stream, facts: AccountFacts, ask: Ask, first: date, last: date) -> int:
        """Bring the days of a stream up to date; how many records were new. What a span's reading raises comes out, the
        first of several, and its days are then marked as failed; the other spans stand. Where it says that there is
        nothing to read, that is so for every day that was to be asked, those included that failed before. The days
        before a product was left are asked for as if the account had it: what it moved then may still be told."""
        now = self._now()
        is_said = stream.name in facts.extras.get(NEVER_USED, ())
        calls = () if is_said else stream.calls(facts)
        since = now.date() - timedelta(days=stream.horizon_days) if calls else date.max
        of_calls = self._calls_of(stream, facts)
        again = set() if is_said else self._ledger.asked_otherwise(facts.email, stream.name, of_calls)
        if not is_said:
            again |= self._ledger.not_of_all(facts.email, stream.name, covered(stream, facts))
            again |= self._ledger.told_again(facts.email, stream.name)
        days = self._ledger.to_ask(facts.email, stream.name, first, last, since=since, again=again)
        if is_said:
            self._not_applicable(stream, covered(stream, facts), days, SAID, now)
            return 0
        for each in covered(stream, facts) if calls else ():
            if facts.made.get(each, first) > first:
                unmade = {day: _NOT_MADE for day in Span(first, last).days if day < facts.made[each]}
                self._raw.mark(each, stream.name, unmade, now)
        if (gone := facts.gone.get(stream.name)) is not None and now >= midnight(gone):
            days = self._before_it_was_gone(stream, facts, days, gone, now)
            last = min(last, gone - ONE_DAY)
        new = 0
        with self._failing(stream, facts) as failures:
            for then, part in self._as_opened(stream, facts, days):
                # what is told whole is asked for as far as the run reaches
                begin = part[0] if part[0] > days[0] else min(first, part[0])
                end = part[-1] if part[-1] < days[-1] else last
                if stream.calls(then):
                    with self._noting(stream, then, failures):
                        new += self._pull_part(
                            stream, then, ask, Span(begin, end), part, failures=failures, again=again
                        )
                else:
                    self._not_applicable(stream, covered(stream, then), part, _why_not(stream, then), now)
        return new

    @contextmanager
    def _failing(self, stream: Stream, facts: AccountFacts) -> Iterator[_Failures]:
        """Takes what went wrong; in the end the first of it is raised, unless something else was, and all that is of
        another kind is told."""
        failures = _Failures()
        try:
            yield failures
            if failures.errors:
                raise failures.errors[0]
        except Exception as raised:
            for other in failures.besides(raised):
                self._tell_failed(facts.email, stream, other)
            raise

    @contextmanager
    def _noting(
        self, stream: Stream, facts: AccountFacts, failures: _Failures, *, but: type[VenueError] | tuple[()] = ()
    ) -> Iterator[None]:
        """Goes on after what went wrong with some days: of others the venue may tell. Not after what is `but`."""
        try:
            yield
        except (VenueError, NotReadWhole) as error:
            if isinstance(error, but) or self._is_of_all_days(error, stream, facts):
                raise
            failures.errors.append(error)

    def _before_it_was_gone(
        self, stream: Stream, facts: AccountFacts, days: Sequence[date], gone: date, now: datetime
    ) -> list[date]:
        """The days of a stream that the venue has removed for which it is worth asking: none of an account that it told
        something of. What was read of these stands, what was not is a hole. Of others the venue may say that they have
        nothing of the kind."""
        accounts = covered(stream, facts)
        self._not_applicable(stream, accounts, [day for day in days if day >= gone], GONE, now)
        before = [day for day in days if day < gone]
        if not self._raw.has_told(facts.email, stream.name):
            return before
        for each in accounts:
            stood = {day: self._ledger.status(each, stream.name, day) for day in before}
            unread = [day for day in before if stood[day] != "not_applicable"]
            self._raw.mark(each, stream.name, dict.fromkeys(unread, _GONE_UNREAD), now)
        return []

    def _on(self, stream: Stream, facts: AccountFacts, day: date) -> AccountFacts:
        """The account as a day of a stream has to be asked for. What was read of it stands, or that it has nothing."""
        is_settled = self._ledger.status(facts.email, stream.name, day) in COVERAGE_THAT_COUNTS
        return facts.on(day, facts.had if is_settled else self._unopened(facts, day)) if facts.had else facts

    def _calls_of(self, stream: Stream, facts: AccountFacts) -> DigestOfCalls:
        """Which calls would read a day now, by what the account may have had opened on it."""
        of_products: dict[frozenset[str], DigestOfCalls] = {}

        def of_day(day: date) -> str | None:
            then = self._on(stream, facts, day)
            if then.products not in of_products:
                of_products[then.products] = digest_of_calls(stream, then) if stream.calls(then) else lambda _: None
            return of_products[then.products](day)

        return of_day

    def _as_opened(
        self, stream: Stream, facts: AccountFacts, days: Sequence[date]
    ) -> list[tuple[AccountFacts, list[date]]]:
        """Days in order, by which products that the stream is asked for the account may have had opened."""
        parts: list[tuple[AccountFacts, list[date]]] = []
        for day in days:
            then = self._on(stream, facts, day)
            if parts and _is_same(stream, parts[-1][0], then):
                parts[-1][1].append(day)
            else:
                parts.append((then, [day]))
        return parts

    def _pull_part(
        self,
        stream: Stream,
        facts: AccountFacts,
        ask: Ask,
        asked: Span,
        days: list[date],
        *,
        failures: _Failures,
        again: Collection[date],
    ) -> int:
        """Bring days up to date for all of which the stream is asked in one way; how many records were new."""
        now, of_calls = self._now(), digest_of_calls(stream, facts)
        told_of = self._within_retention(stream, facts, days, now)
        # before anything is asked: who is killed on the way leaves no day final that was not read
        reopened = {day: replace(_OTHER_CALLS, calls=of_calls(day)) for day in told_of if day in again}
        for each in covered(stream, facts):
            self._raw.mark(each, stream.name, reopened, now)
        try:
            return self._pull_days(stream, facts, ask, asked, told_of, failures=failures)
        except ReconError as error:
            if not self._is_not_there(error, stream, facts):
                raise
            told = DayRead("not_applicable", error=type(error).__name__, message=error.found)
            self._not_applicable(stream, (facts.email,), days, told, now)
            return 0

    def _pull_days(
        self, stream: Stream, facts: AccountFacts, ask: Ask, asked: Span, days: Sequence[date], *, failures: _Failures
    ) -> int:
        new = 0
        if stream.window is None:
            # told whole: it tells of the earlier days that are open too
            return self._pull_span(stream, facts, ask, Span(min(asked.first, days[0]), asked.last)).new if days else 0
        for span in self._apart(stream, facts, days, stream.window.longest):
            self._check()
            with self._noting(stream, facts, failures):
                new += self._in_parts(stream, facts, ask, span, failures)
        return new + self._alone(stream, facts, ask, failures)

    def _apart(self, stream: Stream, facts: AccountFacts, days: Iterable[date], longest: timedelta) -> Iterator[Span]:
        """Days as spans. Those that failed in an earlier run are asked for as they failed together, apart from others
        and after them: they cost these nothing if they fail again, not even where the endpoint is given up. Of several,
        the one that was asked for longest ago comes first."""
        together = groupby(days, key=lambda day: self._ledger.failed(facts.email, stream.name, day))
        parts = [(failed.at if failed else _NEVER, list(of_part)) for failed, of_part in together]
        for _, of_part in sorted(parts, key=itemgetter(0)):
            yield from spans(of_part, longest)

    def _is_of_all_days(self, error: ReconError, stream: Stream, facts: AccountFacts) -> bool:
        """Whether what went wrong with some days of a stream says the same of all others."""
        if isinstance(error, VenueError) and (error.stops_account or error.concerns != "question"):
            return True
        return isinstance(error, InvalidSymbol) or self._is_not_there(error, stream, facts)

    def _in_parts(self, stream: Stream, facts: AccountFacts, ask: Ask, span: Span, failures: _Failures) -> int:
        """A span; where the venue does not tell it, its days in ever smaller parts, so that no day is lost with another
        one. Before a day of which it tells no more, nothing is asked for."""
        try:
            new = self._pull_span(stream, facts, ask, span).new
        except (WindowTooLong, WindowTooOld):
            if span.first == span.last:
                raise
        except (VenueError, NotReadWhole) as error:
            failures.in_vain += 1
            if span.first == span.last or not self._may_be_of_few(error, stream, facts, span, failures):
                raise
            failures.halved += 1
        else:
            failures.in_vain = 0
            return new
        middle = span.days[len(span.days) // 2 - 1]
        older, newer = Span(span.first, middle), Span(middle + ONE_DAY, span.last)
        new = 0
        try:
            with self._noting(stream, facts, failures, but=WindowTooOld):
                new = self._in_parts(stream, facts, ask, newer, failures)
        except WindowTooOld as error:
            self._failed(stream, facts, older, error, self._now())
            raise
        return new + self._in_parts(stream, facts, ask, older, failures)

    def _may_be_of_few(
        self, error: ReconError, stream: Stream, facts: AccountFacts, span: Span, failures: _Failures
    ) -> bool:
        """Whether some days of a span may be read though it failed. What may pass is left to the next run, and is of
        the days only if it comes back with that."""
        if self._is_of_all_days(error, stream, facts):
            return False
        if type(error) in _MAY_PASS:
            before = [self._ledger.failed(facts.email, stream.name, day) for day in span.days]
            if not any(failed and failed.error in _MAY_PASS_NAMES for failed in before):
                return False
        elif isinstance(error, NetworkError):
            return False
        if failures.halved < _HALVED_MAX and failures.in_vain < _IN_VAIN_MAX:
            return True
        failures.whole.append(span)
        return False

    def _alone(self, stream: Stream, facts: AccountFacts, ask: Ask, failures: _Failures) -> int:
        """Of days that were not asked for in parts some alone, others every day: one that the venue tells must not wait
        for good behind those that it does not."""
        today, new = self._now().date().toordinal(), 0
        days = [day for span in failures.whole for day in span.days]
        failures.whole.clear()
        for day in days:
            if (today - day.toordinal()) % _ALONE_DAYS == 0:
                with self._noting(stream, facts, failures):
                    new += self._pull_span(stream, facts, ask, Span(day, day)).new
        return new

    def again(self, stream: Stream, facts: AccountFacts, ask: Ask, day: date) -> Kept:
        """Read one day once more, even if it is final; what that changed."""
        return self._pull_span(stream, facts, ask, Span(day, day))

    def _pull_span(self, stream: Stream, facts: AccountFacts, ask: Ask, span: Span) -> Kept:
        frozen_at = self._now()
        covers = covered(stream, facts)
        drain = Drain(stream, ask)
        refused: dict[str, InvalidSymbol] = {}

        def whole() -> Whole | None:
            return _whole(stream, facts, span, refused, lambda keys: self._tell_gone(facts.email, stream, keys))

        def read() -> list[Told]:
            return self._as_before(stream, facts, self._drained(drain, stream, facts, span, refused))

        def differs(told: Sequence[Told]) -> bool:
            return self._differs(stream, facts, span, whole(), told)

        try:
            told = read()
            if is_corrected := differs(told):
                told = _settled(told, read, differs, stream, f"account {facts.email}, {stream.endpoint}")
        except ReconError as error:
            self._failed(stream, facts, span, error, frozen_at, pages=drain.pages)
            raise
        of_calls = digest_of_calls(stream, facts)
        reads = {day: self._read(stream, day, told, drain.pages, frozen_at) for day in span.days}
        days = {day: replace(read, calls=of_calls(day)) for day, read in reads.items()}
        if is_corrected and stream.role == "snapshot":  # what was just told in another way may be again
            days = {day: replace(r, status="complete") if r.status == "final" else r for day, r in days.items()}
        # what is missing before anything counts, what is there after it is: who is killed in between hides nothing
        self._note_refused(stream, facts, reads, refused, frozen_at)
        kept = self._raw.keep(
            facts.email,
            stream.name,
            told,
            self._opened(stream, facts, days),
            frozen_at,
            covers=covers,
            whole=whole(),
            tell_changed=lambda before: self._tell_changed(facts.email, stream, before),
        )
        self._note_told_again(stream, facts, reads, refused, frozen_at)
        return kept

    def _note_refused(
        self,
        stream: Stream,
        facts: AccountFacts,
        reads: Mapping[date, DayRead],
        refused: Mapping[str, InvalidSymbol],
        at: datetime,
    ) -> None:
        """Mark the parts of a flow that the venue refused, on days that were not read with them before. Those that were
        are marked as well: with which calls a day was read is forgotten once others are made for it."""
        for name, error in refused.items():
            self._tell_refused(facts.email, stream, name, error)
            if stream.role != "flow":
                continue
            of_part = self._ledger.parts(facts.email, stream.name).get(name, {})
            read_with = self._ledger.read_with(facts.email, stream.name, name, digest_of_calls(stream, facts))
            lost = DayRead("failed", error=type(error).__name__, message=error.found)
            days = dict.fromkeys(read_with - of_part.keys(), DayRead("complete"))
            for day in _read_days(reads):
                if day not in read_with:
                    days[day] = _NOTHING_STATED if self._is_left(facts, name, day) else lost
            self._raw.mark(facts.email, part_of(stream.name, name), days, at)

    def _note_told_again(
        self,
        stream: Stream,
        facts: AccountFacts,
        reads: Mapping[date, DayRead],
        refused: Collection[str],
        at: datetime,
    ) -> None:
        """Mark the parts of a flow that were refused once and are told now; of one that nobody names any more nothing
        is missing."""
        parts = self._ledger.parts(facts.email, stream.name)
        named = {named_in(call) for call in _told_calls(stream, facts)} if parts else set()
        for name, of_part in parts.items():
            days = dict.fromkeys(_read_days(reads), DayRead("complete"))
            if name not in named:
                days = {day: _NAMED_NO_MORE for day, status in of_part.items() if status == "failed"}
            if name not in refused:
                self._raw.mark(facts.email, part_of(stream.name, name), days, at)

    def _failed(
        self, stream: Stream, facts: AccountFacts, span: Span, error: ReconError, at: datetime, *, pages: int = 0
    ) -> None:
        of_calls = digest_of_calls(stream, facts)
        failed = DayRead("failed", pages, 0, type(error).__name__, error.found)
        days = self._opened(stream, facts, {day: replace(failed, calls=of_calls(day)) for day in span.days})
        for each in covered(stream, facts):
            self._raw.mark(each, stream.name, days, at)

    def _opened(self, stream: Stream, facts: AccountFacts, days: Mapping[date, DayRead]) -> Mapping[date, DayRead]:
        """The days without those on which the account had not opened the wallet that a snapshot is of, unless the venue
        tells of them: it has none to tell, and that it is asked since the wallet was opened makes them no hole. What a
        main account's key tells of others applied to none only because nobody had named them."""
        if stream.role != "snapshot" or stream.asked_with == "master":
            return days
        status = self._ledger.status
        return {
            day: read
            for day, read in days.items()
            if read.status in COVERAGE_READ or status(facts.email, stream.name, day) != "not_applicable"
        }

    def _not_applicable(
        self, stream: Stream, accounts: Iterable[str], days: Iterable[date], told: DayRead, at: datetime
    ) -> None:
        """A stream does not apply to days as far as they are over: on another the account may still open what it tells
        of."""
        reads = {day: told if _is_told(stream, day, at) else _NOT_OVER for day in days}
        for each in accounts:
            self._raw.mark(each, stream.name, reads, at)

    def _differs(
        self, stream: Stream, facts: AccountFacts, span: Span, whole: Whole | None, told: Sequence[Told]
    ) -> bool:
        """Whether records are left out that were told before, or a balance is told in another way."""
        if stream.role == "snapshot":
            return bool(self._raw.differing(facts.email, stream.name, told))
        keys = {each.key for each in told}
        return whole is not None and bool(self._raw.not_told(facts.email, stream.name, whole, span.days, keys))

    def _as_before(self, stream: Stream, facts: AccountFacts, told: list[Told]) -> list[Told]:
        """What is told, in the words in which it stands if it says the same in others."""
        if stream.says is None:
            return told
        stands = self._raw.told_now(facts.email, stream.name, [each.key for each in told])
        said = {key: stream.says(content) for key, content in stands.items()}
        return [
            replace(each, content=stands[each.key])
            if each.key in said and stream.says(each.content) == said[each.key]
            else each
            for each in told
        ]

    def _drained(
        self, drain: Drain, stream: Stream, facts: AccountFacts, span: Span, refused: dict[str, InvalidSymbol]
    ) -> list[Told]:
        """Everything that the calls of a stream tell of a span, read now, but for the markets and assets that the venue
        does not know any more: these are put among the `refused`, and cost no other its days."""
        drain.told.clear()
        refused.clear()
        asked = (span.start, span.end - ONE_MS) if stream.window is not None else None
        for call in _told_calls(stream, facts):
            self._check()
            begun = len(drain.told)
            try:
                try:
                    drain.call(call, asked)
                except InvalidSymbol:
                    if not self._refresh():
                        raise
                    del drain.told[begun:]
                    drain.call(call, asked)
            except InvalidSymbol as error:
                if (name := named_in(call)) is None:
                    raise
                del drain.told[begun:]
                refused[name] = error
        return numbered(drain.told)

    def _read(self, stream: Stream, day: date, told: Sequence[Told], pages: int, frozen_at: datetime) -> DayRead:
        """What can be said of a day once its span is drained."""
        end = midnight(day + ONE_DAY)
        of_day = [each for each in told if each.instant is not None and midnight(day) <= each.instant < end]
        if not _is_told(stream, day, frozen_at):
            return replace(_NOT_OVER, pages=pages, records=len(of_day))
        reached = _oldest_reached(stream, told)
        if reached is not None and day <= reached.date():
            message = f"the venue tells its last {stream.tells_last} records alone, the oldest of {reached.date()}"
            return DayRead("failed", pages, len(of_day), BeyondRetention.__name__, message)
        pending = [each for each in of_day if stream.is_pending(each.content)]
        if stream.role == "snapshot" and len(pending) == len(of_day):
            return replace(NOT_TOLD, pages=pages, records=len(of_day))
        # beside the one that closes the day, a snapshot of an hour within it waits for nothing
        is_settled = stream.role == "snapshot" or not pending
        is_final = is_settled and frozen_at >= end + timedelta(days=stream.horizon_days)
        return DayRead("final" if is_final else "complete", pages, len(of_day))

    def _within_retention(self, stream: Stream, facts: AccountFacts, days: list[date], now: datetime) -> list[date]:
        """The days of which the venue still tells; the others are marked as failed."""
        if stream.window is None or stream.window.retention is None:
            return days
        oldest = (now - stream.window.retention + ONE_DAY).date()
        lost = DayRead("failed", 0, 0, BeyondRetention.__name__, f"the venue tells no more of days before {oldest}")
        gone = self._opened(stream, facts, dict.fromkeys((day for day in days if day < oldest), lost))
        for account in covered(stream, facts):
            self._raw.mark(account, stream.name, gone, now)
        return [day for day in days if day >= oldest]


def _read_days(reads: Mapping[date, DayRead]) -> list[date]:
    return [day for day, read in reads.items() if read.status in COVERAGE_READ]


def _settled(
    told: list[Told],
    read: Callable[[], list[Told]],
    differs: Callable[[Sequence[Told]], bool],
    stream: Stream,
    where: str,
) -> list[Told]:
    """What leaves out, or tells in another way, what was told before is no fact until it is told twice running. One
    read that tells all of that as before, and no less than the one before it, is believed at once."""
    says = stream.says
    for _ in range(ASKED_AGAIN_MAX):
        again = read()
        first, second = (
            {each.key: says(each.content) if says else each.digest for each in of_read} for of_read in (told, again)
        )
        if first == second or (first.keys() <= second.keys() and not differs(again)):
            return again
        told = again
    raise ReadsDiffer(
        "reads of one span differ from what was told before, and from each other",
        where=where,
        expected="two reads running that tell the same",
        next_step="run the day again; until then it stands as it was read before, if it was",
    )


def digest_of_calls(stream: Stream, facts: AccountFacts) -> DigestOfCalls:
    """Of what moves a balance: a name more, told by the user or by the venue, has to be asked for earlier days too, but
    a sub-account not for those before it was made. For detail that would cost more than it tells."""
    if stream.role != "flow":
        return lambda _: None
    calls = [(canonical_json(dict(call)), facts.made.keys() & set(call.values())) for call in stream.calls(facts)]
    made = {sub: facts.made[sub] for _, subs in calls for sub in subs}

    @cache
    def without(unmade: frozenset[str]) -> str:
        return digest_of_json(sorted(told for told, subs in calls if not subs & unmade))

    return lambda day: without(frozenset(sub for sub, made_on in made.items() if made_on > day))


def _is_same(stream: Stream, one: AccountFacts, other: AccountFacts) -> bool:
    """Whether what the account had opened makes no difference to how a stream is asked for."""
    if one.products == other.products:
        return True
    has_it = [stream.product in each.products for each in (one, other)]
    return has_it[0] == has_it[1] and stream.calls(one) == stream.calls(other)


def covered(stream: Stream, facts: AccountFacts) -> tuple[str, ...]:
    """The accounts of which a stream tells when it is asked with an account's key."""
    subs = facts.subs if stream.asked_with == "master" else ()
    return (facts.email, *(sub for sub in subs if sub not in facts.unknown))


def _told_calls(stream: Stream, facts: AccountFacts) -> Sequence[Call]:
    """The calls of a stream but for those that name who is unknown. What a day was read with holds these too: that
    somebody is gone is no reason to read earlier days again."""
    return [call for call in stream.calls(facts) if facts.unknown.isdisjoint(call.values())]


def _whole(
    stream: Stream,
    facts: AccountFacts,
    span: Span,
    refused: Collection[str],
    tell: Callable[[Sequence[str]], None],
) -> Whole | None:
    """Of which records a drained span has to tell: those of which every instant lies in it, by whichever of them the
    venue files it. A snapshot that is not told again is still what it was, and so is what it told of a market before
    that is `refused` now."""
    if stream.window is None or stream.role not in ("flow", "detail"):
        return None
    calls = [call for call in _told_calls(stream, facts) if named_in(call) not in refused]

    def is_due(content: Content) -> bool:
        return all(span.start <= moment < span.end for moment in stream.stated_instants(content))

    return Whole(calls, is_due, tell)


def _oldest_reached(stream: Stream, told: Sequence[Told]) -> datetime | None:
    """Of a list of which the last records alone are told: the oldest of them, if there may be older ones."""
    instants = [each.instant for each in told if each.instant is not None]
    is_full = stream.tells_last is not None and len(told) >= stream.tells_last
    return min(instants, default=None) if is_full else None


def _is_told(stream: Stream, day: date, at: datetime) -> bool:
    """Whether the venue tells of the whole day at an instant."""
    return at >= midnight(day + ONE_DAY) + timedelta(minutes=stream.lag_minutes)


_OTHER_CALLS = DayRead("partial", error="OtherCalls", message="it was read before with fewer names, or with others")
_NOT_MADE = DayRead("not_applicable", message="the account was made later")
_NOTHING_STATED = DayRead("not_applicable", message="nothing of it was stated any more when the day ended")
_NAMED_NO_MORE = DayRead("not_applicable", message="nothing names it any more")
_NOT_APPLICABLE = DayRead("not_applicable", message="the account does not use it")
NOT_CONFIGURED = "NotConfigured"
"""Nobody said whether the account uses what the stream tells of: a setting names what to ask for."""
SAID = DayRead("not_applicable", error="NeverUsed", message="recon.yaml says that the account never used it")
"""What the user says of a day, good for as long as it is said."""
GONE = DayRead("not_applicable", error="Gone", message="recon.yaml says that the venue has removed it")
"""The same of a stream of which the venue has told."""
_GONE_UNREAD = DayRead(
    "failed", error="Gone", message="it was not read before the venue removed it, as recon.yaml says"
)
_AS_SAID = {(each.status, each.error) for each in (SAID, GONE)}
_NOT_OVER = DayRead("partial", error="NotOver", message="read before the venue had told the whole day")
NOT_TOLD = DayRead("partial", error="NotTold", message="the venue has no snapshot of the day's end yet")


def _why_not(stream: Stream, facts: AccountFacts) -> DayRead:
    """Why nothing is asked of a stream."""
    if stream.needs is None or stream.product not in facts.products or facts.extras.get(stream.needs):
        return _NOT_APPLICABLE
    found = f"{stream.needs} of the account in recon.yaml names nothing; whether it has any, nobody said"
    return DayRead("not_applicable", error=NOT_CONFIGURED, message=found)


def coverage_rows(ledger: Iterable[Any]) -> list[Mapping[str, Any]]:
    """The ledger as rows of the frame `coverage`: one for each account, stream and day, its instants (start, end].

    A venue's instants are milliseconds, so that a day ends one microsecond before midnight.
    """
    micro = timedelta(microseconds=1)
    return [
        {
            "account": row.account,
            "stream": row.stream,
            "window_start": midnight(row.date) - micro,
            "window_end": midnight(row.date + ONE_DAY) - micro,
            "status": row.status,
            "rows": row.records if row.status in COVERAGE_READ else None,
            "error": row.error,
        }
        for row in ledger
    ]
