"""`kill -9` anywhere, then a run: the bytes and rows of a run that nothing disturbed.

A child process runs the venue and notes what it does (a partition staged, put in place, published); at the chosen one
it kills itself, or the PostgreSQL server, with SIGKILL: nothing is caught, flushed or tidied. It notes by
`sys.setprofile`, so that the pipeline knows nothing of it. Where each kill landed is printed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from itertools import count
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from recon_pipeline.config import Settings
from recon_pipeline.errors import StoreError
from recon_pipeline.reconcile.pipeline import Request, run_venue
from recon_pipeline.sandbox.statements import VENUE
from recon_pipeline.stores.database import connection
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline_tests.homes import AS_OF, demo_home, lake_bytes, rows, run
from recon_pipeline_tests.servers import administer

pytestmark = [pytest.mark.postgres, pytest.mark.soak]

FIRST, LAST = date(2025, 10, 6), date(2025, 10, 10)
KILLS_INSIDE, KILLS_OUTSIDE, KILLS_BY_COMMAND, KILLS_OF_SERVER = 15, 4, 2, 5
SECONDS_MAX = 120

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["recon_pipeline.reconcile.pipeline"])
_numbers = count(1)

# What a run does, by the function that does it: (end of the file's name, function) -> what it is.
_NOTED = {
    ("archive.py", "keep"): "archiving a file",
    ("journal.py", "record_files"): "recording the files",
    ("lake.py", "put"): "staging",
    ("lake.py", "put_quarantine"): "staging the quarantine",
    ("lake.py", "commit"): "about to commit",
    ("lake.py", "_remember"): "some partitions in place",
    ("finish.py", "_stage"): "staging reconciliation",
    ("bulk.py", "begin_partitions"): "publishing",
    ("bulk.py", "commit_partitions"): "about to commit in PostgreSQL",
    ("journal.py", "finish_run"): "recording the end",
}


@dataclass(frozen=True)
class Point:
    """A moment of a run: the how-manyth noted step, and what it is."""

    number: int
    what: str


class _Recorder:
    """Notes the steps of this process, and kills at one of them."""

    def __init__(self, victim: int | None, at: int | None) -> None:
        self.victim, self.at = victim, at
        self.steps: list[str] = []
        self._noted: dict[CodeType, str | None] = {}

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        what = "replacing a partition" if event == "c_call" and argument is os.replace else None
        if event == "call":
            code = frame.f_code
            if code not in self._noted:  # it hears of every call that there is
                self._noted[code] = _NOTED.get((Path(code.co_filename).name, code.co_name))
            what = self._noted[code]
        if what is None:
            return
        self.steps.append(what)
        if len(self.steps) - 1 == self.at:
            os.kill(self.victim or os.getpid(), signal.SIGKILL)


def _run_in_child(settings: Settings, at: int | None, victim: int | None, notes: Path | None) -> None:
    recorder = _Recorder(victim, at)
    if at is not None or notes is not None:
        sys.setprofile(recorder)
    try:
        run_venue(settings, Request(VENUE, FIRST, LAST, AS_OF), f"kill {at}", str(settings.database_url))
    except StoreError:
        if victim is None:
            raise
    finally:
        sys.setprofile(None)
        if notes is not None:
            notes.write_text(json.dumps(recorder.steps))


def run_in_child(
    settings: Settings, *, at: int | None = None, victim: int | None = None, notes: Path | None = None
) -> int:
    """Run the days in another process, killing at a step; the process's exit code."""
    child = _context.Process(target=_run_in_child, args=(settings, at, victim, notes))
    child.start()
    child.join(SECONDS_MAX)
    if child.is_alive():
        child.kill()
        raise AssertionError("the run neither ended nor died")
    return int(child.exitcode or 0)


@pytest.fixture(scope="module")
def undisturbed(postgres: EmbeddedPostgres, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A run that nothing disturbed: its steps, bytes and rows."""
    folder = tmp_path_factory.mktemp("undisturbed")
    settings = next(_homes(postgres, migrated, folder))
    assert run_in_child(settings, notes=folder / "steps.json") == 0
    steps = json.loads((folder / "steps.json").read_text())
    return Undisturbed(tuple(steps), lake_bytes(settings), rows(settings))


@dataclass(frozen=True)
class Undisturbed:
    """What a run does, and what it leaves."""

    steps: tuple[str, ...]
    lake: dict[str, str]
    rows: dict[str, list[tuple[Any, ...]]]

    def points(self, inside: bool, wanted: int) -> list[Point]:
        """So many steps, spread over those between the first write of the run and its last commit, or the rest."""
        first = next(n for n, what in enumerate(self.steps) if what.startswith("staging"))
        last = max(n for n, what in enumerate(self.steps) if what == "replacing a partition")
        numbers = [n for n in range(len(self.steps)) if (first < n <= last) == inside]
        chosen = [numbers[n * (len(numbers) - 1) // (wanted - 1)] for n in range(wanted)]
        return [Point(n, self.steps[n]) for n in chosen]


@pytest.fixture
def home(postgres: EmbeddedPostgres, migrated: str, tmp_path: Path) -> Iterator[Settings]:
    yield from _homes(postgres, migrated, tmp_path)


def _homes(postgres: EmbeddedPostgres, migrated: str, folder: Path) -> Iterator[Settings]:
    name = f"kill_{next(_numbers)}"
    administer(postgres, f"CREATE DATABASE {name} TEMPLATE {migrated} OWNER recon_owner")
    yield demo_home(folder, postgres.url(database=name))


def test_a_killed_run_heals_on_the_next_one_wherever_it_was_killed(
    undisturbed: Undisturbed,
    postgres: EmbeddedPostgres,
    migrated: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inside = undisturbed.points(True, KILLS_INSIDE)
    points = sorted([*inside, *undisturbed.points(False, KILLS_OUTSIDE)], key=lambda point: point.number)
    landed = []
    for point in points:
        settings = next(_homes(postgres, migrated, tmp_path / f"at {point.number}"))
        assert run_in_child(settings, at=point.number) == -signal.SIGKILL
        landed.append(show(point, len(undisturbed.steps), settings))
        assert_nothing_half_written(settings)
        assert run_in_child(settings) == 0
        assert_same(settings, undisturbed)
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(landed) + "\n")
    assert len(points) == KILLS_INSIDE + KILLS_OUTSIDE
    assert len({point.number for point in inside}) == KILLS_INSIDE


def test_a_killed_server_loses_nothing_that_the_next_run_does_not_bring_back(
    undisturbed: Undisturbed, postgres: EmbeddedPostgres, home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = undisturbed.steps
    publishing = [n for n, what in enumerate(steps) if what in ("publishing", "about to commit in PostgreSQL")]
    chosen = [publishing[n * (len(publishing) - 1) // (KILLS_OF_SERVER - 1)] for n in range(KILLS_OF_SERVER)]
    for number in chosen:
        server = postgres.status().pid
        assert server is not None
        # Each starts from nothing in the lake, so that there is something to publish when the server dies.
        settings = replace(home, home=home.home / str(number), lake_url=str(home.home / str(number) / "lake"))
        run_in_child(settings, at=number, victim=server)
        with capsys.disabled():
            sys.stdout.write(f"\nthe server was killed at step {number} of {len(steps)}: {steps[number]}")
        postgres.start()
        assert run_in_child(settings) == 0
        assert_same(settings, undisturbed)


def test_the_command_heals_too_and_says_of_the_dead_run_that_it_failed(
    undisturbed: Undisturbed, home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(KILLS_BY_COMMAND):
        left = staged(home)
        command = subprocess.Popen(
            _command(), env=_environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        seen = wait_for_something_staged(home, left, command)
        command.kill()
        command.communicate()
        assert seen, "the run ended before it could be killed"
        with capsys.disabled():
            sys.stdout.write(f"\nthe command was killed while {seen} was staged")
        assert_nothing_half_written(home)
    done = subprocess.run(_command(), env=_environment(home), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert_same(home, undisturbed)
    with connection(str(home.database_url), "testing") as database:
        ended = database.execute(sa.text("SELECT status FROM dagster.runs ORDER BY id")).scalars().all()
    assert ended == ["FAILURE"] * KILLS_BY_COMMAND + ["SUCCESS"]


def test_sigterm_ends_a_run_between_two_commits(undisturbed: Undisturbed, home: Settings) -> None:
    child = _context.Process(target=_run_and_stop, args=(home, undisturbed.steps.index("replacing a partition")))
    child.start()
    child.join(SECONDS_MAX)
    assert child.exitcode == -signal.SIGTERM
    assert_nothing_half_written(home)
    stored = {path for path in lake_bytes(home) if not path.startswith("quarantine")}
    whole = {path for path in undisturbed.lake if path.split("/")[0] in {stored_.split("/")[0] for stored_ in stored}}
    assert stored == whole, "a commit was left in the middle"
    run(home, FIRST, LAST)
    assert_same(home, undisturbed)


def _run_and_stop(settings: Settings, at: int) -> None:
    # whoever started the server that forks this may have handled the signal in a way of its own
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    recorder = _Recorder(None, None)

    def watch(frame: FrameType, event: str, argument: object) -> None:
        before = len(recorder.steps)
        recorder(frame, event, argument)
        if before == at and len(recorder.steps) == at + 1:
            os.kill(os.getpid(), signal.SIGTERM)

    sys.setprofile(watch)
    run_venue(settings, Request(VENUE, FIRST, LAST, AS_OF), "stopped", str(settings.database_url))


# -- what the tests look at


def assert_same(settings: Settings, undisturbed: Undisturbed) -> None:
    """The bytes of the lake and the rows of PostgreSQL are those of a run that nothing disturbed."""
    assert lake_bytes(settings) == undisturbed.lake
    assert rows(settings) == undisturbed.rows


def assert_nothing_half_written(settings: Settings) -> None:
    """Every partition that can be found can be read whole."""
    for path in lake_bytes(settings):
        pq.read_table(Path(settings.lake_url) / path, partitioning=None)


def show(point: Point, steps: int, settings: Settings) -> str:
    with connection(str(settings.database_url), "testing") as database:
        published = database.execute(sa.text("SELECT count(*) FROM recon.partitions")).scalar()
    where = f"step {point.number:>3} of {steps}: {point.what}"
    counts = f"{len(staged(settings)):>3} staged, {len(lake_bytes(settings)):>3} in place, {published:>3} published"
    return f"{where:<48} {counts}"


def staged(settings: Settings) -> set[Path]:
    """What lies in the staging folders; files may go while one looks."""
    with suppress(OSError):
        return set((Path(settings.lake_url) / ".staging").rglob("*.parquet"))
    return set()


def wait_for_something_staged(settings: Settings, left: set[Path], command: subprocess.Popen[bytes]) -> str | None:
    deadline = time.monotonic() + SECONDS_MAX
    while command.poll() is None and time.monotonic() < deadline:
        if new := staged(settings) - left:
            return min(path.name for path in new)
        time.sleep(0.002)
    return None


def _command() -> list[str]:
    main = "from recon_pipeline.cli import main; main()"
    return [sys.executable, "-c", main, "run", "--from", str(FIRST), "--to", str(LAST), "--as-of", str(AS_OF), "--json"]


def _environment(settings: Settings) -> dict[str, str]:
    named = {
        "RECON_HOME": str(settings.home),
        "RECON_CONFIG": str(settings.path),
        "RECON_DATABASE_URL": str(settings.database_url),
    }
    return dict(os.environ) | named
