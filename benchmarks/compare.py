"""One command for every figure: programs run in turns, each in a process of its own, medians and ratios printed.

    python -m benchmarks.compare [--quick] [--only kernel,pandas] [--rounds 5] [--json FILE]

benchmarks/README.md says what each line means. Ends with 1 if anything planted was missed or anything else was found,
whatever the times; a time beyond its limit is told, and no failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import measure, report
from benchmarks.measure import Measurement

GROUPS = ("kernel", "memory", "batches", "pandas", "postgres", "dagster", "records", "growth")
INPUTS = ("transfers", "trades", "balances", "prices", "coverage", "quarantine")
ONE_CUT = "kernel, one cut"
VENUE = "bench"
BATCH_DAYS = 30
POSTGRES_DAYS = 91
RECORD_DAYS = 4
RECORD_ACCOUNTS = (10, 100)
"""Accounts of the venues whose records are read."""
SLOW_ROUNDS = 3
"""Programs that take minutes run in the first rounds only."""


@dataclass(frozen=True)
class Program:
    """A line of the table: what is run, and what is cleared away before."""

    name: str
    module: str
    arguments: tuple[str | Path, ...]
    fresh: tuple[Path, ...] = ()
    """Folders that are empty when it starts."""
    is_slow: bool = False


@dataclass
class Bench:
    """The worlds, the folders in which programs run, and what was measured."""

    folder: Path
    flows: int
    days: int
    rounds: int
    groups: frozenset[str]
    measured: defaultdict[str, list[Measurement]] = field(default_factory=lambda: defaultdict(list))
    verdicts: dict[str, report.Verdict] = field(default_factory=dict)

    # -- worlds and the folders of runs

    def world(self, name: str) -> Path:
        """A world's folder, generated if it is not there yet."""
        small = self.flows // 10
        plants = ("--missing-snapshots=20", "--coverage-holes=4", "--newcomers=8", "--leavers=8")
        options = {
            "instant": (f"--flows={self.flows}", f"--days={self.days}", "--cut=instant"),
            "anywhere": (f"--flows={self.flows}", f"--days={self.days}", "--cut=anywhere"),
            "dense": (f"--flows={self.flows}", "--days=10", *plants),
            "large": (f"--flows={5 * self.flows}", f"--days={self.days}", "--cut=instant"),
            "year": (f"--flows={small}", "--positions=150", "--accounts=8", "--differences=48", *plants),
        }[name]
        root = self.folder / "-".join([name, *(option.lstrip("-") for option in options)])
        if not (root / "manifest.json").exists():
            shutil.rmtree(root, ignore_errors=True)
            tell(f"making the world '{name}'")
            measure.run("benchmarks.generator", root, *options)
        return root

    def run_folder(self, name: str, source: Path, frames: Iterable[str] = INPUTS) -> Path:
        """A new folder whose lake shows these frames of another lake; what a run writes there is its own."""
        folder = self.folder / "runs" / name
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "lake").mkdir(parents=True)
        for frame in frames:
            (folder / "lake" / frame).symlink_to(source / "lake" / frame)
        return folder

    def kernel(self, name: str, world: Path, *options: str) -> Program:
        """The kernel on a world, once it has run there and was checked: from then on the inputs' digests are known."""
        folder = self.run_folder(name.replace(", ", "-").replace(" ", "-"), world)
        program = kernel_in(folder, name, world, *options)
        tell(f"warming up: {name}")
        clear(program)
        measure.run(program.module, *program.arguments)
        self.check(name, world, folder)
        return program

    def check(self, name: str, world: Path, folder: Path) -> None:
        """Hold the rows of a run to the world's manifest."""
        self.verdicts[name] = report.Verdict.of(measure.run("benchmarks.jobs.verify", world, folder).said)

    # -- programs

    def programs(self) -> list[Program]:
        """Everything that is run in turns, in the order of the table."""
        made: list[Program] = []
        if self.groups & {"kernel", "batches", "pandas", "growth"}:
            made.append(self.kernel(ONE_CUT, self.world("instant")))
        if "kernel" in self.groups:
            world, folder = self.world("instant"), self.folder / "runs/kernel-one-cut"
            made = [*self.floors(folder), *made, self.kernel("kernel, cut anywhere", self.world("anywhere"))]
            made.append(kernel_in(folder, "kernel, until settled", world, "--settle"))
            made.append(kernel_in(folder, "kernel, unknown digests", world, "--forget"))
        if "memory" in self.groups:
            made.append(self.kernel("kernel, dense days", self.world("dense")))
        if "batches" in self.groups:
            made.append(self.kernel("kernel, in batches", self.world("instant"), f"--batch-days={BATCH_DAYS}"))
        if "growth" in self.groups:
            made.append(self.kernel("kernel, five times the flows", self.world("large")))
        if "pandas" in self.groups:
            world, folder = self.world("instant"), self.run_folder("pandas", self.world("instant"), ())
            fresh = (folder / "lake/reconciliation",)
            made.append(
                Program("pandas, Decimal", "benchmarks.jobs.pandas_decimal", (world, folder), fresh, is_slow=True)
            )
        return made

    def floors(self, kernel: Path) -> list[Program]:
        """The floor by each of the writers, and statement by statement; given a finished day to write."""
        finished = self.folder / "runs" / "finished.parquet"
        days = sorted((kernel / "lake/reconciliation" / f"venue={VENUE}").iterdir())
        shutil.copyfile(days[len(days) // 2] / "data.parquet", finished)
        world, out = self.world("instant"), self.folder / "runs" / "floor"
        return [
            Program(f"floor, {writer}", "benchmarks.jobs.floor", (world, finished, out, f"--writer={writer}"), (out,))
            for writer in ("duckdb", "arrow", "daily")
        ]

    def run_in_turns(self) -> None:
        """Every program once a round, each round beginning with another one."""
        programs = self.programs()
        for turn in range(self.rounds):
            first = turn % max(len(programs), 1)
            for program in programs[first:] + programs[:first]:
                if turn < SLOW_ROUNDS or not program.is_slow:
                    self.measure(program, turn)
        if "pandas" in self.groups:
            self.check("pandas, Decimal", self.world("instant"), self.folder / "runs/pandas")

    def measure(self, program: Program, turn: int) -> None:
        """One run of a program, on fresh folders."""
        clear(program)
        tell(f"round {turn + 1} of {self.rounds}: {program.name}")
        self.measured[program.name].append(measure.run(program.module, *program.arguments))

    def postgres(self) -> None:
        """A quarter of the finished rows into PostgreSQL, by publish and by to_sql in turns."""
        finished = self.folder / "runs/kernel-one-cut/lake/reconciliation" / f"venue={VENUE}"
        folder = self.run_folder("postgres", self.folder, ())
        shown = folder / "lake/reconciliation" / f"venue={VENUE}"
        shown.mkdir(parents=True)
        if not finished.exists():
            self.kernel(ONE_CUT, self.world("instant"))
        for day in sorted(finished.iterdir())[:POSTGRES_DAYS]:
            (shown / day.name).symlink_to(day)
        home = self.folder / "runs/postgres-home"
        shutil.rmtree(home, ignore_errors=True)
        measure.run("benchmarks.jobs.postgres", home, "start")
        try:
            for turn in range(min(self.rounds, SLOW_ROUNDS)):
                for step in ("publish", "to_sql"):
                    self.measure(Program(f"postgres, {step}", "benchmarks.jobs.postgres", (home, step, folder)), turn)
        finally:
            measure.run("benchmarks.jobs.postgres", home, "stop")
            shutil.rmtree(home, ignore_errors=True)

    def dagster(self) -> None:
        """A year of a small venue through Dagster, and without it."""
        world = self.world("year")
        for turn in range(min(self.rounds, SLOW_ROUNDS)):
            for way in ("plain", "dagster"):
                home = self.folder / "runs" / f"year-{way}"
                program = Program(f"year, {way}", "benchmarks.jobs.backfill", (world, home, way), (home,))
                self.measure(program, turn)
                said = self.measured[program.name][-1].said
                self.verdicts[program.name] = report.Verdict.of(said)
                shutil.rmtree(home)

    def records(self) -> None:
        """What Binance told of ten accounts and of ten times as many, from PostgreSQL to frames, in turns."""
        home = self.folder / "runs" / "records"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        accounts = [str(number) for number in RECORD_ACCOUNTS]
        tell("pulling a world of Binance, and copying its account")
        try:
            measure.run("benchmarks.jobs.records", home, "start", f"--days={RECORD_DAYS}", "--copies", *accounts)
            for turn in range(min(self.rounds, SLOW_ROUNDS)):
                for line, number in zip((report.FEW_RECORDS, report.MANY_RECORDS), accounts, strict=True):
                    self.measure(Program(line, "benchmarks.jobs.records", (home, "read", "--copies", number)), turn)
        finally:
            measure.run("benchmarks.jobs.records", home, "stop")
            shutil.rmtree(home, ignore_errors=True)


def kernel_in(folder: Path, name: str, world: Path, *options: str) -> Program:
    """The kernel in a folder that is prepared already."""
    fresh = (folder / "lake/reconciliation", folder / "state")
    return Program(name, "benchmarks.jobs.kernel", (world, folder, *options), fresh)


def clear(program: Program) -> None:
    """Empty the folders that a program begins with."""
    for folder in program.fresh:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


def tell(text: str) -> None:
    """Say what is going on, apart from the result."""
    print(text, file=sys.stderr, flush=True)


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__.splitlines()[0])
    default = Path(tempfile.gettempdir()) / "recon-benchmarks"
    parser.add_argument("--folder", type=Path, default=default, help="for worlds and runs; worlds are kept")
    parser.add_argument("--flows", type=int, default=10_000_000, help="of the worlds of a year")
    parser.add_argument("--days", type=int, default=365, help="of those worlds")
    parser.add_argument("--rounds", type=int, default=5, help="how often each program runs")
    parser.add_argument("--quick", action="store_true", help="a tenth of the flows, a quarter of the days, two rounds")
    parser.add_argument("--large", action="store_true", help="five times the flows too (group growth)")
    parser.add_argument("--only", default="", help=f"some of {', '.join(GROUPS)}, separated by commas")
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    found = parser.parse_args(arguments)
    asked = frozenset(found.only.split(",")) if found.only else frozenset(GROUPS) - {"growth"}
    if unknown := asked - frozenset(GROUPS):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    found.groups = asked | ({"growth"} if found.large else frozenset())
    if found.quick:
        found.flows, found.days, found.rounds = found.flows // 10, found.days // 4, min(found.rounds, 2)
    return found


def main() -> int:
    """Measure, print, and keep as JSON."""
    asked = options()
    bench = Bench(asked.folder.absolute(), asked.flows, asked.days, asked.rounds, asked.groups)
    bench.folder.mkdir(parents=True, exist_ok=True)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("postgres", bench.postgres),
        ("dagster", bench.dagster),
        ("records", bench.records),
    ]
    try:
        bench.run_in_turns()
        for group, step in steps:
            if group in bench.groups:
                step()
    finally:
        shutil.rmtree(bench.folder / "runs", ignore_errors=True)
    result = report.Report(asked.flows, asked.days, os.cpu_count() or 1, dict(bench.measured), bench.verdicts)
    print(result.text())
    if asked.json:
        asked.json.write_text(result.json(), encoding="utf-8")
    return 0 if result.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
