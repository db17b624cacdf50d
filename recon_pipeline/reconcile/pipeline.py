"""One run of one venue, from its folder to PostgreSQL, in steps that each stand on their own.

    read        the folder at one moment, archived; its files, its quarantine and its coverage recorded
    store       the input partitions of the run's days, and of whatever their rows consult
    reconcile   the run's days and every stored day that has become stale
    faults      what the run has to fail for, once everything that could be written is written

Each brings PostgreSQL in line with the lake before it ends. Every step is idempotent and does what it needs of the
others first, so that a step run alone, a run that was killed and one that was never interrupted end in the same bytes
and rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import count
from typing import Any, Protocol

import pyarrow.compute as pc

from recon_pipeline.config import Settings
from recon_pipeline.errors import ReconError, SourceFileError, StoreError
from recon_pipeline.frames.faults import place_of
from recon_pipeline.reconcile.inputs import stale_days, stored_streams
from recon_pipeline.reconcile.kernel import Outcome, reconcile_until_settled
from recon_pipeline.reconcile.plan import consulted
from recon_pipeline.reconcile.residuals import left_over
from recon_pipeline.reconcile.settings import KernelSettings, kernel_settings
from recon_pipeline.reconcile.stopping import Stop, between_commits
from recon_pipeline.reconcile.storing import ByDay, InLine, absent_or_different, only_accounts
from recon_pipeline.stores.database import VenueBusy, venue_lock
from recon_pipeline.stores.journal import (
    begin_run,
    finish_run,
    record_settings,
    record_streams,
)
from recon_pipeline.stores.lake import Lake, LakeWrite
from recon_pipeline.stores.marts import mart_models, refresh_if_changed
from recon_pipeline.stores.parquet import Partition
from recon_pipeline.stores.publish import publish
from recon_pipeline.venues.reading import UNREAD, Reading
from recon_pipeline.venues.sources import Asked, Source, source_of
from recon_pipeline.venues.statements.faults import FileGone, NoFileMatches, NoFiles

INPUTS = ("transfers", "trades", "balances", "prices", "coverage", "expected")
BESIDES = ("coverage", "expected")
"""Inputs without an asset of their own: they say how complete the reading is, so the step that reads writes them."""
WAITING = "waiting for another run"
"""How a run begins to say that it cannot go on by itself."""
_ROWS_TOLD = 10
_PLACES_TOLD = 20
_FAULTS_OF_FILES = frozenset(fault.__name__ for fault in SourceFileError.__subclasses__())
_OF_NO_FILE = (NoFileMatches, FileGone, NoFiles)


class UnknownAccount(ReconError):  # noqa: N818 - the name says what is the matter
    """A run for an account that no record of the venue tells of."""


class RefusedInput(ReconError):  # noqa: N818 - as above
    """Files or rows of the venue were refused: what rests on them is incomplete, everything else is reconciled."""


@dataclass(frozen=True)
class Request:
    """What a run is asked for: a venue's days, first and last inclusive, seen from `as_of_day`."""

    venue: str
    first_day: date
    last_day: date
    as_of_day: date
    accounts: frozenset[str] | None = None
    """Only rows of these accounts are replaced; None means all."""

    @property
    def days(self) -> list[date]:
        """The run's own days."""
        return [self.first_day + timedelta(days=n) for n in range((self.last_day - self.first_day).days + 1)]


@dataclass(frozen=True)
class Faults:
    """What was refused at the venue at the moment of the reading."""

    files: tuple[tuple[str, str], ...]
    """Path and the text of its error."""
    rows: int
    """Rows in quarantine."""
    first_rows: tuple[str, ...] = ()
    """Of the first of them: file, line, and what was found, expected and is to be done."""
    streams: tuple[tuple[str, str], ...] = ()
    """Of a venue that is asked over HTTP: the place and the text of what could not be read, once where many symbols
    failed alike."""

    def __bool__(self) -> bool:
        return bool(self.files or self.rows or self.streams)


def today() -> date:
    """The day from which it is judged what is due, unless a run states another: today in UTC."""
    return datetime.now(UTC).date()


def open_lake(settings: Settings) -> Lake:
    """The lake of these settings, with its digests remembered under RECON_HOME."""
    return Lake(settings.lake_url, settings.home / "lake.digests.json")


class Say(Protocol):
    """Who hears what a run is at: in words, and, where it can be counted, how far it is."""

    def __call__(self, text: str, done: int = 0, all_: int = 0) -> None:
        """Take note."""


def say_nothing(text: str, done: int = 0, all_: int = 0) -> None:
    """Hear nothing."""


@dataclass
class VenueRun:
    """A run of one venue. `run_id` names it in recon.runs; `url` is the database; `say` hears what it is at.

    Not thread-safe. `close` ends it; steps after that are refused.
    """

    settings: Settings
    request: Request
    run_id: str
    url: str
    say: Say = say_nothing
    changed: set[Partition] = field(default_factory=set)
    """Every partition that this run changed, inputs and reconciliation, on whatever day."""
    outcome: Outcome | None = None
    _reading: Reading | None = None
    _source_version: object = None
    _is_pulled: bool = False
    _check: Callable[[], None] = lambda: None
    _by_day: dict[str, ByDay] = field(default_factory=dict)
    _stored: dict[str, set[date]] = field(default_factory=dict)
    _plans: dict[frozenset[date], dict[str, set[date]]] = field(default_factory=dict)
    _outdated_days: dict[str, set[date]] = field(default_factory=dict)
    _was_in_line: bool = False
    """Whether lake and folder agreed when the folder was read: what the run writes since comes from that reading."""
    _begun: bool = False
    _published: bool = False
    _failure: BaseException | None = None

    @cached_property
    def lake(self) -> Lake:
        """The lake that the run writes."""
        return open_lake(self.settings)

    @property
    def venue(self) -> str:
        """The venue's name."""
        return self.request.venue

    @property
    def kernel(self) -> KernelSettings:
        """The kernel's settings, with the streams that the reading found."""
        return kernel_settings(self.settings, self.venue, self._read().streams, self.source.families)

    @cached_property
    def source(self) -> Source:
        """Where the venue's records come from."""
        return source_of(self.settings, self.venue, self.url)

    @property
    def reading(self) -> Reading:
        """The folder as this run has read it, or reads it now."""
        if self._reading is None:
            self.read()
        return self._read()

    def read(self) -> Reading:
        """Read the folder, once for the whole run, and store what tells how complete it is."""
        with self._turn() as stop:
            reading = self._read()
            self._test_accounts(reading)
            self._store(BESIDES, stop)
            return reading

    def _test_accounts(self, reading: Reading) -> None:
        """Raise UnknownAccount for an account that nothing in the folder tells of, if all of it could be read."""
        told = {
            account
            for frame in ("balances", "transfers", "trades", "coverage")
            for account in pc.unique(reading.frames[frame]["account"]).to_pylist()
        }
        told |= set(pc.unique(reading.quarantine["account"]).to_pylist())
        unknown = sorted((self.request.accounts or frozenset()) - told)
        if unknown and not self.faults():
            raise UnknownAccount(
                f"no record tells of the account {', '.join(unknown)}",
                where=f"venue {self.venue}",
                expected=f"one of {', '.join(sorted(filter(None, told))[:20])}",
                next_step="correct --account; nothing was written",
            )

    def store(self, *frames: str) -> set[date]:
        """Write these frames' partitions of the run's days and of what their rows consult; the days that changed."""
        with self._turn() as stop:
            self._store(frames, stop)
            return {day for frame, _, day in self.changed if frame in frames}

    def reconcile(self) -> Outcome:
        """Compute the run's days and every stored day that rests on something that has changed, here or at a venue that
        uses the prices of this one."""
        with self._turn() as stop:
            days = self._bring_inputs_up_to_date(stop)
            self.outcome = reconcile_until_settled(
                self.lake, self.kernel, days, self.request.as_of_day,
                run=self.run_id, accounts=self.request.accounts, state_folder=self.settings.home / "carried",
                on_day=self._counted(f"reconciling {self.venue}", len(days), stop),
            )  # fmt: skip
            self.changed |= {("reconciliation", self.venue, day) for day in self.outcome.changed}
            self._publish(stop)
            # A backfill of the venue's assets alone takes no mart along, and a mart that lags behind would mislead.
            refresh_if_changed(self.url, mart_models(), self.venue)
        try:
            for name, other in self.settings.venues.items():
                if self.venue in other.price_sources:
                    user = VenueRun(self.settings, replace(self.request, venue=name), self.run_id, self.url, self.say)
                    self.changed |= user.settle()
        except BaseException as failure:
            self._failure = failure
            raise
        return self.outcome

    def settle(self) -> set[Partition]:
        """Compute the stored days that rest on what another venue has changed, its prices; what was changed.

        Reads no folder: what the lake holds of the venue's own is left as it is.
        """
        stored = self.lake.days("reconciliation", self.venue)
        if not stored:
            return set()
        streams = stored_streams(self.lake, self.venue, stored[-1])
        kernel = kernel_settings(self.settings, self.venue, streams, self.source.families)
        if stale_days(self.lake, kernel, self.request.as_of_day):
            with self._lock(), between_commits() as stop:
                record_settings(self.url, self.settings, self.venue)
                outcome = reconcile_until_settled(
                    self.lake, kernel, (), self.request.as_of_day,
                    run=self.run_id, state_folder=self.settings.home / "carried",
                    on_day=self._counted(f"reconciling {self.venue}", 0, stop),
                )  # fmt: skip
                self.changed |= {("reconciliation", self.venue, day) for day in outcome.changed}
                self._publish(stop)
                refresh_if_changed(self.url, mart_models(), self.venue)
            self.lake.save_cache()
        return self.changed

    def faults(self) -> Faults:
        """What the run has to fail for: faulty files and quarantined rows, not missing snapshots and not variances."""
        reading = self.reading
        files = tuple(
            (file.path, (file.message or file.error or "").splitlines()[0])
            for file in reading.files
            if file.status == "faulty"
        )
        files += tuple(
            (fault.where, f"{type(fault).__name__}: {fault.found}")
            for fault in reading.faults
            if isinstance(fault, _OF_NO_FILE)
        )
        # what stands for a whole file is told of with the file, and a wallet that nobody read is a missing snapshot
        besides = {*_FAULTS_OF_FILES, UNREAD}
        refused = [row for row in reading.quarantine.to_pylist() if row["error"] not in besides]
        rows = tuple(f"{_place(row)}: {row['error']}: {row['reason']}" for row in refused[:_ROWS_TOLD])
        unread = Counter(
            (problem.where, f"{type(problem).__name__}: {problem.found}", f"next: {problem.next_step}")
            for problem in reading.problems
        )
        streams = tuple(
            (where, f"{text}{f' ({times} times)' if times > 1 else ''}; {next_step}")
            for (where, text, next_step), times in unread.items()
        )
        return Faults(files, len(refused), rows, streams)

    def raise_for_faults(self) -> None:
        """Raise RefusedInput if anything was refused: the last step of a run, when all its rows are written."""
        if faults := self.faults():
            told = [f"{path}: {text}" for path, text in (*faults.files, *faults.streams)]
            if left_out := len(told[_PLACES_TOLD:]):
                told[_PLACES_TOLD:] = [f"and {left_out} more"]
            told += faults.first_rows
            counted = (
                (len(faults.files), "file", "refused"),
                (len(faults.streams), "place", "not read"),
                (faults.rows, "row", "refused"),
            )
            lists = (
                (faults.files, "marts.source_files"),
                (faults.streams, "recon errors list and recon coverage --holes"),
                (faults.rows, "marts.quarantined_rows"),
            )
            self._failure = RefusedInput(
                "; ".join(f"{count} {what}{'s' if count > 1 else ''} {how}" for count, what, how in counted if count),
                where=("\n" + " " * len("  where:    ")).join([f"venue {self.venue}", *told]),
                expected="everything that the run needs, as the frames describe it",
                next_step="mend what is named; the windows concerned become whole on the next run. All are listed by "
                + ", ".join(where for some, where in lists if some),
            )
            raise self._failure

    def close(self) -> None:
        """Record how the run ended, and keep the lake's digests for the next one."""
        if self._begun:
            self._begun = False
            outcome = self._outcome()
            # What went wrong is told by the failure itself; that the database is gone too must not take its place.
            with suppress(*([StoreError] if self._failure else [])):
                finish_run(self.url, self.run_id, outcome, self._counts(), str(self._failure or ""), venue=self.venue)
        self.lake.save_cache()

    def _outcome(self) -> str:
        if self._failure is not None:
            return "stopped" if _is_stop(self._failure) else "failed"
        # it was stopped between two steps, or asked for some of them only
        return "done" if self.outcome is not None else "unfinished"

    # -- the parts of a step

    @contextmanager
    def _turn(self) -> Iterator[Stop]:
        """The venue to ourselves, signals held back between commits, and what went wrong remembered for `close`."""
        try:
            with self._lock(), between_commits() as stop:  # who waits for the lock obeys a signal at once
                if not self._begun:
                    begin_run(self.url, self.run_id, self.request)
                    record_settings(self.url, self.settings, self.venue)
                    self._begun = True
                if self._reading is not None and self.source.version() != self._source_version:
                    # Another run has read the venue between two of our steps. To go on with what we read before would
                    # put the lake back to it.
                    self._reading = None
                self._check = stop.check
                yield stop
        except BaseException as failure:
            self._failure = failure
            raise

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                still_held = held.enter_context(venue_lock(self.url, self.venue, wait_seconds=1))
            except VenueBusy:
                self.say(f"{WAITING} of {self.venue} to end")
                still_held = held.enter_context(venue_lock(self.url, self.venue))
            self.lake.before_commit = still_held
            yield

    def _read(self) -> Reading:
        if self._reading is None:
            self.say(f"reading {self.venue}")
            if not self._is_pulled:
                with self._asked() as asked:
                    self.source.pull(asked)
                self._is_pulled = True
            self._reading = self.source.read()
            record_streams(self.url, self.venue, self._reading.streams)
            self._source_version = self.source.version()
            self._by_day = {frame: ByDay(frame, table) for frame, table in self._reading.frames.items()}
            self._stored.clear()
            self._plans.clear()
            self._outdated_days.clear()
            self._was_in_line = self._in_line.is_so()
        return self._reading

    @contextmanager
    def _asked(self) -> Iterator[Asked]:
        request = self.request

        def kernel(reading: Reading) -> KernelSettings:
            return kernel_settings(self.settings, self.venue, reading.streams, self.source.families)

        with left_over(kernel, request.as_of_day) as left:
            yield Asked(
                days=request.days,
                as_of_day=request.as_of_day,
                accounts=request.accounts,
                say=self.say,
                check=self._check,
                residuals=left.of,
                reconciled=left.rows,
                run_id=self.run_id,
            )

    def _bring_inputs_up_to_date(self, stop: Stop) -> list[date]:
        """Store what the rows of the run's days consult, then of those that this makes stale, until none is."""
        days = set(self.request.days)
        while True:
            self._store(INPUTS, stop, days)
            stale = set(stale_days(self.lake, self.kernel, self.request.as_of_day)) - days
            if not stale:
                if self.request.accounts is None:
                    self._in_line.keep()
                return sorted(days)
            days |= stale

    @property
    def _in_line(self) -> InLine:
        return InLine(self.lake, self.venue, self._read().digest, self.settings.home / "in-line")

    def _store(self, frames: Iterable[str], stop: Stop, days: set[date] | None = None) -> None:
        reading = self._read()
        missing = {frame: found for frame in frames if (found := self._missing(frame, days or set(self.request.days)))}
        if not missing and "quarantine" in self._stored:
            return
        with self.lake.write(self.run_id) as write:
            for frame, of_frame in missing.items():
                self._stage(write, frame, of_frame, stop)
            write.put_quarantine(self.venue, reading.quarantine)
            stop.check()
            changed = set(write.commit())
        self.changed |= changed
        for frame, of_frame in {"quarantine": set[date](), **missing}.items():
            self._stored.setdefault(frame, set()).update(of_frame)
        # The first step finds what a run before this one may have left behind; after it, only changes matter.
        if changed or not self._published:
            self._publish(stop)

    def _missing(self, frame: str, days: set[date]) -> set[date]:
        """The partitions of a frame that a run over these days has to write and this run has not written yet."""
        key = frozenset(days)
        if key not in self._plans:
            reading = self._read()
            self._plans[key] = consulted(reading.frames, reading.quarantine, sorted(days))
        wanted = (days | self._plans[key].get(frame, set())) - set(self.lake.days(frame, self.venue))
        if frame in BESIDES:
            wanted |= set(absent_or_different(self.lake, frame, self.venue, self._by_day[frame]))
        else:
            wanted |= self._outdated(frame)
        return wanted - self._stored.get(frame, set())

    def _outdated(self, frame: str) -> set[date]:
        """The stored days, whenever they lie, that the folder no longer gives as they are stored.

        What has left the folder must not count on, and rows may rest on anything before them.
        """
        if frame not in self._outdated_days:
            days: list[date] = []
            if not self._was_in_line:
                stored = self.lake.days(frame, self.venue)
                days = absent_or_different(self.lake, frame, self.venue, self._by_day[frame], stored)
            self._outdated_days[frame] = set(days)
        return self._outdated_days[frame]

    def _stage(self, write: LakeWrite, frame: str, days: set[date], stop: Stop) -> None:
        # a day that was run keeps an empty partition, and so does one that rows consult; any other never had one
        kept = {*self.request.days, *self.lake.days("reconciliation", self.venue)}
        kept = kept.union(*(plan.get(frame, set()) for plan in self._plans.values()))
        for day in sorted(days):
            stop.check()
            rows = self._by_day[frame].rows(day)
            if self.request.accounts is not None:
                rows = only_accounts(self.lake, (frame, self.venue, day), rows, self.request.accounts)
            if len(rows) or day in kept:
                write.put(frame, self.venue, day, rows)
            else:
                write.remove(frame, self.venue, day)

    def _publish(self, stop: Stop) -> None:
        on_partition = self._counted(f"publishing {self.venue}", 0, stop)
        self.lake.before_commit()  # the lock is held for the database too
        self._published = False
        publish(self.lake, self.url, self.venue, self.run_id, on_partition=on_partition)
        self._published = True

    def _counted(self, text: str, all_: int, stop: Stop) -> Callable[..., None]:
        """A callback that stops the run if it was asked to, and says how far it is."""
        done = count(1)

        def on_one(*_what: object) -> None:
            stop.check()
            self.say(text, next(done), all_)

        return on_one

    def _counts(self) -> dict[str, int]:
        counts: Counter[str] = Counter({"partitions_changed": len(self.changed)})
        for of_day in self.outcome.statuses.values() if self.outcome else ():
            counts.update(of_day)
        return dict(counts)


def run_venue(settings: Settings, request: Request, run_id: str, url: str) -> Outcome:
    """A whole run of one venue, as its Dagster assets make it, without Dagster."""
    run = VenueRun(settings, request, run_id, url)
    try:
        run.read()
        run.store(*INPUTS)
        outcome = run.reconcile()
        run.raise_for_faults()
        return outcome
    finally:
        run.close()


def _place(row: Mapping[str, Any]) -> str:
    """Where a refused row stands."""
    of_position = ", ".join(str(row[name]) for name in ("account", "wallet", "asset", "date") if row[name])
    return place_of(row["file"], row["line"]) or of_position or "a row"


def _is_stop(failure: BaseException) -> bool:
    # RunStopped, KeyboardInterrupt, or what the program that runs us makes of a signal: none is an Exception
    return not isinstance(failure, Exception)
