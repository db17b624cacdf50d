"""Captures: balances of which the venue tells the present alone, read twice shortly after midnight.

A capture is two consecutive complete reads of equal content; it is true at the venue's time at the end of the first.
What moves between the start of the first and the end of the second makes it doubtful, and the reading says so. It is
kept as it was and never made anew: another day's balance is not this one's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from recon_pipeline.errors import ReconError
from recon_pipeline.frames.schema import COVERAGE_READ
from recon_pipeline.stores.raw import DayRead, Part, Stored, Told
from recon_pipeline.transport.errors import AccountNotThere, NotMainAccount, ProductNotEnabled
from recon_pipeline.venues.binance.accounts import ACCOUNT_INFO, NOT_THERE
from recon_pipeline.venues.binance.mapping import CAPTURED_TOGETHER, MappingContext, capture_content, map_records
from recon_pipeline.venues.binance.session import Session
from recon_pipeline.venues.binance.streams import BY_NAME, STREAMS
from recon_pipeline.venues.binance.streams.balances import SNAPSHOTS
from recon_pipeline.venues.drain import Ask, Drain
from recon_pipeline.venues.pull import ONE_DAY, SAID, midnight
from recon_pipeline.venues.streams import AccountFacts, Call, Content, RawRecord, Stream

CLOSES_UNTIL = timedelta(hours=6)
"""Only what was captured between midnight and this hour closes the day before."""
READS_MAX = 6
HAVE_HISTORY = frozenset({"spot_account", "margin_account", "futures_balance"})
"""Wallets of which the venue keeps daily snapshots: they are read live for checks, never as a close."""
CAPTURED = tuple(stream for stream in STREAMS if stream.role == "capture" and stream.name not in HAVE_HISTORY)
_NOT_CAPTURED = DayRead("failed", error="NotCaptured", message="it could not be captured in the hours that close a day")


class NeverAtRest(ReconError):  # noqa: N818 - the name says what is the matter
    """No two consecutive reads of a wallet agreed."""


class NightLost(ReconError):  # noqa: N818 - as above
    """The hours in which a capture closes a day are over, and wallets were not captured."""


def _is_settled(row: Any) -> bool:
    return row.status in (*COVERAGE_READ, "not_applicable")


@dataclass(frozen=True)
class Group:
    """Streams that make up one capture, with the parameters of one call each."""

    streams: tuple[tuple[Stream, Call], ...]

    @property
    def name(self) -> str:
        """For people and for the ledger."""
        return "+".join(stream.name for stream, _ in self.streams)


@dataclass(frozen=True)
class Read:
    """What one stream of a capture told in one read, and the responses that told it."""

    stream: Stream
    call: Call
    told: Sequence[Told]
    response_ids: tuple[int, ...]


@dataclass(frozen=True)
class Capture:
    """Captures for one day, of every account and wallet that has no history."""

    session: Session
    context: MappingContext

    def run(self) -> int:
        """Capture what the day that closed last is still missing; how many captures were made.

        Nothing outside the hours in which a capture closes a day.
        """
        now = self.session.clock.now()
        day = now.date() - ONE_DAY
        if now - midnight(now.date()) >= CLOSES_UNTIL:
            self.session.asked.say(f"too late to close {day}: that is done until {CLOSES_UNTIL} after midnight UTC")
            self._tell_lost(day)
            return 0
        made: list[str] = []
        accounts, work = self._accounts, self._missing(day)
        never_used = {facts.email: self.session.never_used(facts) for facts in accounts}

        def take(item: tuple[AccountFacts, Group]) -> None:
            facts, group = item
            of_group = _NOT_CAPTURED
            with self.session.told_of(_subject(group) or facts.email, group.name):
                if self._take(facts, group, day, never_used[facts.email]):
                    made.append(group.name)
                    return
                is_said = all(stream.name in never_used[facts.email] for stream, _ in group.streams)
                of_group = SAID if is_said else NOT_THERE
            if not _subject(group):
                for stream, _ in group.streams:
                    self.session.raw.mark(facts.email, stream.name, {day: of_group}, self.session.clock.now())

        self.session.each(work, take)
        for facts in accounts:  # after what cannot wait
            self._note_not_opened(facts, day)
        return len(made)

    def _note_not_opened(self, facts: AccountFacts, day: date) -> None:
        """Mark the wallets that the account has not opened, if the venue said so in this run: there is nothing to
        capture and no snapshot, and a product that is opened later had nothing on this day."""
        if (facts.email, ACCOUNT_INFO) in self.session.well:
            for stream in (*CAPTURED, *SNAPSHOTS):
                if stream.asked_with == "own" and not stream.calls(facts):
                    self.session.raw.mark(facts.email, stream.name, {day: NOT_THERE}, self.session.clock.now())

    @property
    def _accounts(self) -> list[AccountFacts]:
        return [facts for facts in self.context.accounts.values() if self.session.has_key(facts.email)]

    def _missing(self, day: date) -> list[tuple[AccountFacts, Group]]:
        """What was not captured for the day."""
        done = self._done(day)
        return [
            (facts, group)
            for facts in self._accounts
            for group in groups(facts)
            if not self._is_done(facts, group, done)
        ]

    def _tell_lost(self, day: date) -> None:
        """What was not captured and is not said to be not there cannot be had any more."""
        missing = self._missing(day)
        names = [stream.name for _, group in missing for stream, _ in group.streams]
        settled = {(row.account, row.stream) for row in self.session.raw.ledger(day, day, names) if _is_settled(row)}
        lost = {
            group.name
            for facts, group in missing
            if _subject(group) not in facts.unlisted  # it may be gone: the streams of the day say so
            and not all((_subject(group) or facts.email, stream.name) in settled for stream, _ in group.streams)
        }
        if lost:
            self.session.problems.append(
                NightLost(
                    f"{', '.join(sorted(lost))} were not captured",
                    where=f"venue {self.session.venue}, {day}",
                    expected=f"captures until {CLOSES_UNTIL} after midnight UTC",
                    next_step="the day stays incomplete, the next capture reaches over it; see that the schedule runs",
                )
            )

    def _done(self, day: date) -> set[tuple[str, str, str]]:
        """(account, sub-account or nothing, stream) of what was captured for the day: a group is kept whole."""
        names = [stream.name for stream in STREAMS if stream.role == "capture"]
        return _captured(self.session.raw.records(names, since=midnight(day + ONE_DAY)), day)

    def _take(self, facts: AccountFacts, group: Group, day: date, never_used: Collection[str]) -> bool:
        """One capture; false if the account does not have the product."""
        email = facts.email
        ask = self.session.ask_live(email)
        before, started, ended = None, self.session.clock.now(), self.session.clock.now()
        for _ in range(READS_MAX):
            begun = self.session.clock.now()
            told = self._read(group, ask, facts, never_used)
            if told is None and before is not None:
                break  # it told of balances a moment ago
            if told is None:
                return False
            now = self.session.clock.now()
            if before is not None and self._same(email, before, told, ended, day):
                if now - midnight(day + ONE_DAY) >= CLOSES_UNTIL:
                    break
                self._keep(facts, group, before, day, (started, ended, now))
                return True
            before, started, ended = told, begun, now
        raise NeverAtRest(
            f"no two consecutive reads of {group.name} agreed",
            where=f"venue {self.session.venue}, account {email}",
            expected=f"two equal reads within {READS_MAX}, before {CLOSES_UNTIL} after midnight",
            next_step="the day has no close of this wallet; the next day's window reaches over it",
        )

    def _read(self, group: Group, ask: Ask, facts: AccountFacts, never_used: Collection[str]) -> list[Read] | None:
        """Every stream of the group, to its last page; None if the account has none of its products.

        A product that the account does not have has no rows; one that it never had, as recon.yaml says, is not asked
        for. One that it has, and that is refused all the same, may have some: the refusal is raised.
        """
        reads, absent = [], 0
        for stream, call in group.streams:
            drain = Drain(stream, ask)
            try:
                if stream.name in never_used:
                    absent += 1
                else:
                    drain.call(call, None)
            except NotMainAccount:
                if call.get("email") not in facts.unlisted:
                    raise
                absent += 1  # a sub-account that is gone: the streams of the day say so
            except (AccountNotThere, ProductNotEnabled) as error:
                if not self.session.is_not_there(error, stream, facts, call.get("email")):
                    raise
                absent += 1
            reads.append(Read(stream, call, drain.told, tuple(drain.response_ids)))
        return None if absent == len(group.streams) else reads

    def _same(self, email: str, one: Sequence[Read], other: Sequence[Read], as_of: datetime, day: date) -> bool:
        """Whether two reads state the same balances; prices and rates may have moved."""
        return self._stated(email, one, as_of, day) == self._stated(email, other, as_of, day)

    def _stated(self, email: str, reads: Sequence[Read], as_of: datetime, day: date) -> list[tuple[Any, ...]]:
        records = [
            RawRecord(
                0, email, read.stream.name, "", read.call, capture_content(as_of, day, _rows(read.told)), "", as_of
            )
            for read in reads
        ]
        balances = map_records(records, self.context).balances
        names = ("account", "wallet", "asset", "raw_balance", "raw_loan", "raw_interest")
        return sorted(tuple(str(row[name]) for name in names) for row in balances)

    def _keep(
        self,
        facts: AccountFacts,
        group: Group,
        reads: Sequence[Read],
        day: date,
        moments: tuple[datetime, datetime, datetime],
    ) -> None:
        """Store a capture, unless another process has stored one of the group meanwhile: the first is the day's."""
        started, as_of, ended = moments
        parts = []
        for read in reads:
            content = capture_content(as_of, day, _rows(read.told))
            content |= {"read_from": started.isoformat(), "read_until": ended.isoformat()}
            key = ":".join((*read.call.values(), as_of.isoformat()))
            first = next(iter(read.response_ids), None)
            record = Told(key, read.call, content, as_of, first, read.response_ids)
            parts.append(Part(read.stream.name, (record,), {day: DayRead("final", 1, len(read.told))}))
        self.session.raw.keep_together(
            facts.email,
            parts,
            ended,
            unless=lambda stored: self._is_done(facts, group, _captured(stored, day)),
            since=midnight(day + ONE_DAY),
        )

    @staticmethod
    def _is_done(facts: AccountFacts, group: Group, done: Collection[tuple[str, str, str]]) -> bool:
        return all((facts.email, _subject(group), stream.name) in done for stream, _ in group.streams)


def groups(facts: AccountFacts) -> list[Group]:
    """What is captured with the key of an account: its own wallets without history, and those of its keyless subs."""
    found: dict[str, list[tuple[Stream, Call]]] = {}
    together = {name: wallet for wallet, names in CAPTURED_TOGETHER.items() for name in names}
    for stream in CAPTURED:
        if stream.asked_with == "master" and facts.asked_by is not None:
            continue
        for call in stream.calls(facts):
            name = f"{together.get(stream.name, stream.name)}:{call.get('email', '')}"
            found.setdefault(name, []).append((BY_NAME[stream.name], call))
    return [Group(tuple(streams)) for streams in found.values()]


def _captured(stored: Iterable[Stored], day: date) -> set[tuple[str, str, str]]:
    return {
        (row.account, row.call.get("email", ""), row.stream) for row in stored if row.content["date"] == day.isoformat()
    }


def _subject(group: Group) -> str:
    return group.streams[0][1].get("email", "")


def _rows(told: Iterable[Told]) -> Sequence[Content]:
    return [each.content for each in told]


class Captures:
    """When wallets were captured: from the start of a first read to the end of the second."""

    def __init__(self, records: Iterable[RawRecord], wallet_of: Callable[[RawRecord], str]) -> None:
        self._taken: dict[tuple[str, str, date], list[tuple[datetime, datetime, str]]] = defaultdict(list)
        for record in records:
            content = record.content
            if "read_from" in content:
                begin, end = (datetime.fromisoformat(str(content[name])) for name in ("read_from", "read_until"))
                account = record.call.get("email", record.account)
                for day in {begin.astimezone(UTC).date(), end.astimezone(UTC).date()}:
                    self._taken[account, wallet_of(record), day].append((begin, end, str(content["as_of"])))

    def races(self, flows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str, str], str]:
        """Positions that flows moved while they were captured: (account, wallet, asset, as_of) and the first of the
        flows' ids."""
        found: dict[tuple[str, str, str, str], str] = {}
        for flow in flows:
            wallet, at = str(flow["wallet"]), flow["datetime"]
            for begin, end, as_of in self._taken.get((flow["account"], wallet.partition(":")[0], at.date()), ()):
                if begin <= at <= end:
                    place, id_ = (flow["account"], wallet, str(flow["asset"]), as_of), str(flow["external_id"])
                    found[place] = min(id_, found.get(place, id_))
        return found
