"""`recon up` and `recon down`: the code server, the web server and the daemon, each known by a file.

A file <home>/dagster/processes/<name>.json says which process was started; it counts only while the process of that
number is the one that was started then, so `down` never ends a stranger.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from recon_pipeline.assets.instance import dagster_environment, dagster_home, process_started
from recon_pipeline.config import Settings
from recon_pipeline.errors import StoreError

HOST = "127.0.0.1"
PORT = 3000
MODULE = "recon_pipeline.definitions"
_NAMES = ("webserver", "daemon", "code")
"""In the order in which they are ended: those that ask before the one that is asked."""
_READY_SECONDS_MAX = 90
_STOP_SECONDS_MAX = 15


class NotStarted(StoreError):  # noqa: N818 - the name says what is the matter
    """A process of Dagster ended before it was ready."""


@dataclass(frozen=True)
class Process:
    """A process that was started: its number, when (in the kernel's ticks), and the port it listens on."""

    name: str
    pid: int
    started: str
    port: int | None

    @property
    def is_alive(self) -> bool:
        """Whether it is still that very process."""
        return bool(self.started) and process_started(self.pid) == self.started


def running(settings: Settings) -> dict[str, Process]:
    """The processes that are up, by name."""
    found = (_load(_file(settings, name)) for name in _NAMES)
    return {process.name: process for process in found if process is not None and process.is_alive}


def address(process: Process) -> str:
    """Where the web server answers."""
    return f"http://{HOST}:{process.port}"


def up(
    settings: Settings, database: str, port: int = PORT, names: Collection[str] = ("webserver", "daemon")
) -> dict[str, Process]:
    """Start what is not up: first the code server, then, once it answers, the others (`names`)."""
    with _alone(settings):
        return _up(settings, database, port, names)


def _up(settings: Settings, database: str, port: int, names: Collection[str]) -> dict[str, Process]:
    there = running(settings)
    if "code" not in there:
        _down(settings)  # whoever asks a code server that is gone would go on asking it
        there = {"code": _start(settings, database, "code", _free_port(None))}
        _wait(settings, there["code"], lambda: _listens(there["code"].port))
    workspace = _write_workspace(settings, there["code"])
    for name in names:
        if name not in there:
            there[name] = _start(settings, database, name, _free_port(port) if name == "webserver" else None, workspace)
    _wait(settings, there["webserver"], lambda: _answers(there["webserver"]))
    if "daemon" in there:
        _wait(settings, there["daemon"], lambda: there["daemon"].is_alive)
    return there


def down(settings: Settings) -> list[str]:
    """End what `up` started, and nothing else; the names of what was up."""
    with _alone(settings):
        return _down(settings)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One `up` or `down` of a home at a time: two would each start what the other does not know of."""
    folder = dagster_home(settings) / "processes"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _down(settings: Settings) -> list[str]:
    ended = []
    for name, process in running(settings).items():
        _end(process)
        ended.append(name)
    for name in _NAMES:
        _file(settings, name).unlink(missing_ok=True)
    return ended


def _command(name: str, port: int | None, workspace: Path | None) -> list[str]:
    python = [sys.executable, "-m"]
    at = ["--host", HOST, "--port", str(port)]
    if name == "code":
        return [
            *python,
            "dagster",
            "code-server",
            "start",
            "--module-name",
            MODULE,
            "--location-name",
            "recon_pipeline",
            *at,
        ]
    if name == "webserver":
        return [*python, "dagster_webserver", *at, "--workspace", str(workspace)]
    return [*python, "recon_pipeline.assets.daemon", str(workspace)]


def _start(settings: Settings, database: str, name: str, port: int | None, workspace: Path | None = None) -> Process:
    log = _log(settings, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as out:
        started = subprocess.Popen(
            _command(name, port, workspace),
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            cwd=settings.path.parent, env=os.environ | dagster_environment(settings, database),
            start_new_session=True,  # Ctrl-C in this terminal is not meant for it
        )  # fmt: skip
    process = Process(name, started.pid, process_started(started.pid), port)
    file = _file(settings, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(process)), encoding="utf-8")
    return process


def _wait(settings: Settings, process: Process, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_SECONDS_MAX
    while not is_ready():
        if not process.is_alive or time.monotonic() > deadline:
            _down(settings)
            log = _log(settings, process.name)
            raise NotStarted(
                f"the {process.name} did not come up: {_last_words(log)}",
                where=str(log),
                next_step="read that log, correct what it names, and run `recon up` again",
            )
        time.sleep(0.1)


def _end(process: Process) -> None:
    """Ask it to end; after a while, end its whole group, which nobody else is in."""
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    _await_end(process)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    _await_end(process)  # even then it takes a moment


def _await_end(process: Process) -> None:
    deadline = time.monotonic() + _STOP_SECONDS_MAX
    while process.is_alive and time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
        time.sleep(0.05)


def _write_workspace(settings: Settings, code: Process) -> Path:
    path = dagster_home(settings) / "processes" / "workspace.yaml"
    server = {"host": HOST, "port": code.port, "location_name": "recon_pipeline"}
    path.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    return path


def _free_port(wanted: int | None) -> int:
    for port in (wanted, 0):
        if port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((HOST, port))
                return int(probe.getsockname()[1])
    raise NotStarted("no free port on the loopback interface", where=HOST)


def _listens(port: int | None) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port or 0)) == 0


def _answers(webserver: Process) -> bool:
    try:
        # a proxy of the environment's is for the world outside
        with httpx.Client(trust_env=False, timeout=5) as client:
            return client.get(f"{address(webserver)}/server_info").is_success
    except httpx.HTTPError:
        return False


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _load(file: Path) -> Process | None:
    try:
        return Process(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _file(settings: Settings, name: str) -> Path:
    return dagster_home(settings) / "processes" / f"{name}.json"


def _log(settings: Settings, name: str) -> Path:
    return dagster_home(settings) / "processes" / f"{name}.log"
