"""A folder's mapping run over its files: one SELECT for each frame, and the files whose values it refuses found.

An error of amount() or instant() ends a whole SELECT, so the file that holds the value is found by running the mapping
over each file alone, and the line by halving the file. The file is left out (its previous good version stands in), and
everything that reads it runs again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from recon_pipeline.errors import SourceFileError
from recon_pipeline.frames.schema import FRAMES
from recon_pipeline.frames.validate import LINE
from recon_pipeline.venues.statements.faults import MENDED, MappingSqlError, NoFileMatches, ValueRefused
from recon_pipeline.venues.statements.folder import Folder, FolderFile
from recon_pipeline.venues.statements.sql import SqlFile, Statement
from recon_pipeline.venues.statements.workspace import RefusedValue, Workspace

Period = tuple[datetime | None, datetime | None]
Columns = list[tuple[str, str]]


@dataclass
class Mapped:
    """What a mapping gave: a table for each of its frames, the period of each file, and views without any file."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    periods: dict[str, Period] = field(default_factory=dict)
    empty_views: dict[str, set[str]] = field(default_factory=dict)
    """View -> the frames whose mapping reads it."""
    globs: Mapping[str, str] = field(default_factory=dict)

    @property
    def faults(self) -> tuple[SourceFileError, ...]:
        """One for each view without a file."""
        return tuple(self._fault(view) for view in sorted(self.empty_views))

    def faults_feeding(self, frames: set[str]) -> tuple[SourceFileError, ...]:
        """Those of views that feed one of the frames."""
        return tuple(self._fault(view) for view, fed in sorted(self.empty_views.items()) if fed & frames)

    def _fault(self, view: str) -> SourceFileError:
        return NoFileMatches(
            f"the folder holds no file for the view {view}",
            where=f"{view}: {self.globs[view]}",
            expected="at least one file, if only with a header",
            next_step="add the file, or correct the pattern under `files` in recon.yaml",
        )


def map_folder(
    folder: Folder, sql: Mapping[str, SqlFile], globs: Mapping[str, str], period_columns: Mapping[str, tuple[str, ...]]
) -> Mapped:
    """Runs every mapping over the folder's files; leaves out, in `folder`, the files that one of them refuses.

    Raises a MappingError if a mapping cannot be trusted or cannot run.
    """
    mapped = Mapped(globs=globs)
    if not sql:
        return mapped
    run = _Run(folder, globs)
    try:
        statements = [run.workspace.parse(FRAMES[name], file, frozenset(globs)) for name, file in sql.items()]
        for statement in statements:
            for file in run.files_of(statement):
                file.frames.add(statement.frame.name)
            for view in statement.views - run.views_with_files:
                mapped.empty_views.setdefault(view, set()).add(statement.frame.name)
        while not run.over(statements, mapped.tables):
            pass  # A file was left out; what reads it runs again, and there are only so many files.
        for statement in statements:
            run.note_periods(statement, mapped, period_columns[statement.frame.name])
    finally:
        run.workspace.close()
    return mapped


@dataclass(frozen=True)
class _Suspect:
    """A file whose values a mapping refuses while those files are shown."""

    file: FolderFile
    shown: frozenset[int]
    refused: RefusedValue


class _Run:
    """The workspace, which file has which number in it, and the mappings that are done."""

    def __init__(self, folder: Folder, globs: Mapping[str, str]) -> None:
        self.workspace = Workspace()
        self._folder = folder
        self._numbers: dict[str, int] = {}
        self._next = 0
        self._done: set[str] = set()
        self.views_with_files = {view for view in globs if any(view in file.views for file in folder.files)}
        self.views_with_rows = {view for view in globs if folder.in_view(view)}
        for file in folder.files:
            self._load(file)

    def files_of(self, statement: Statement) -> list[FolderFile]:
        """The files that a mapping reads, bad ones included."""
        return [file for file in self._folder.files if statement.views & set(file.views)]

    def _load(self, file: FolderFile) -> None:
        self._numbers.pop(file.name, None)
        if file.opened is not None and file.views:
            self._numbers[file.name] = self._next
            for view in file.views:
                self.workspace.add(view, self._next, file.opened)
            self._next += 1

    def over(self, statements: list[Statement], tables: dict[str, pa.Table]) -> bool:
        """Runs what is not done; False if a file had to be left out."""
        for statement in statements:
            if statement.frame.name in self._done or not statement.views <= self.views_with_rows:
                continue
            self.workspace.activate(self._numbers.values())
            columns = self.workspace.columns(statement)
            try:
                tables[statement.frame.name] = self.workspace.run(statement, columns)
            except RefusedValue as refused:
                self._leave_out(statement, columns, refused)
                for other in statements:
                    tables.pop(other.frame.name, None)
                self._done.clear()
                return False
            self._done.add(statement.frame.name)
        return True

    def _leave_out(self, statement: Statement, columns: Columns, refused: RefusedValue) -> None:
        suspects = self._refused_alone(statement, columns) or self._refused_beside_others(statement, columns)
        if not suspects:
            raise MappingSqlError(
                f"a value {refused}, and no single file holds it",
                where=statement.name,
                expected="values that amount(), instant() and casts accept",
                next_step="correct the SQL or the files; nothing of the venue was written",
            )
        for suspect in suspects:
            line = self._line(statement, columns, suspect)
            fault = _value_refused(statement, suspect.file, line, str(suspect.refused))
            self._folder.refuse(suspect.file, fault)
            self._load(suspect.file)

    def _readable(self, statement: Statement) -> list[FolderFile]:
        return [file for file in self.files_of(statement) if file.name in self._numbers]

    def _refused_alone(self, statement: Statement, columns: Columns) -> list[_Suspect]:
        suspects = []
        for file in self._readable(statement):
            number = self._numbers[file.name]
            if refused := self._try(statement, columns, {number}):
                suspects.append(_Suspect(file, frozenset({number}), refused))
        return suspects

    def _refused_beside_others(self, statement: Statement, columns: Columns) -> list[_Suspect]:
        """Files refused as the only one of their views, beside all files of the others, as a join needs.

        A view tells which of its files it was only if another of them passes; if no view does, all are left out.
        """
        suspects, passing = [], set()
        for file in self._readable(statement):
            shown = {self._numbers[f.name] for f in self._readable(statement) if not set(f.views) & set(file.views)}
            shown.add(self._numbers[file.name])
            if refused := self._try(statement, columns, shown):
                suspects.append(_Suspect(file, frozenset(shown), refused))
            else:
                passing |= set(file.views)
        return [suspect for suspect in suspects if passing & set(suspect.file.views)] or suspects

    def _try(
        self, statement: Statement, columns: Columns, numbers: Iterable[int], upto: tuple[int, int] | None = None
    ) -> RefusedValue | None:
        self.workspace.activate(numbers, upto=upto)
        try:
            self.workspace.run(statement, columns)
        except RefusedValue as refused:
            return refused
        return None

    def _line(self, statement: Statement, columns: Columns, suspect: _Suspect) -> int | None:
        """The line that first makes the mapping fail, found by halving the file; None if lines cannot be told."""
        opened, number = suspect.file.opened, self._numbers[suspect.file.name]
        if opened is None or opened.table.num_rows == 0 or opened.table[LINE].null_count:
            return None
        lines = opened.table[LINE].combine_chunks()
        low, high = 0, len(lines) - 1
        while low < high:
            middle = (low + high) // 2
            if self._try(statement, columns, suspect.shown, (number, lines[middle].as_py())):
                high = middle
            else:
                low = middle + 1
        return int(lines[low].as_py())

    def note_periods(self, statement: Statement, mapped: Mapped, columns: tuple[str, ...]) -> None:
        """First and last instant that each file told of; over each file alone where the mapping does not say which."""
        files = [file for file in self.files_of(statement) if file.name in self._numbers]
        if not columns or not files or statement.frame.name not in self._done:
            return
        for file in files:
            self.workspace.activate({self._numbers[file.name]})
            try:
                told = self.workspace.period(statement, columns).to_pylist()[0]
            except RefusedValue:
                continue
            widen(mapped.periods, {file.name: (told["first"], told["last"])})


def widen(periods: dict[str, Period], more: Mapping[str, Period]) -> None:
    """Lets each period reach over the other of the same file."""
    for name, (first, last) in more.items():
        known_first, known_last = periods.get(name, (None, None))
        firsts = [instant for instant in (known_first, first) if instant is not None]
        lasts = [instant for instant in (known_last, last) if instant is not None]
        periods[name] = (min(firsts, default=None), max(lasts, default=None))


def _value_refused(statement: Statement, file: FolderFile, line: int | None, found: str) -> SourceFileError:
    place = file.name if line is None else f"{file.name}, line {line}"
    return ValueRefused(
        f"a value {found}",
        where=f"{place}, as {statement.name} reads it",
        expected="values that amount(), instant() and the casts of the mapping accept as they stand",
        next_step=MENDED,
    )
