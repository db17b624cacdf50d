"""The embedded PostgreSQL: nothing to set up, and nothing that a kill leaves behind keeps it from starting."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from recon_pipeline.errors import StoreError
from recon_pipeline.stores.database import connection, engine
from recon_pipeline.stores.embedded import EmbeddedPostgres, EmbeddedPostgresError, database_url

pytestmark = pytest.mark.postgres


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    embedded = EmbeddedPostgres(tmp_path / "home")
    yield embedded
    embedded.stop()


def answer(url: str, question: str = "SELECT current_user") -> object:
    with connection(url, "asking") as opened:
        return opened.scalar(sa.text(question))


def pid_of(server: EmbeddedPostgres) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def test_it_starts_from_nothing_and_keeps_its_rows_and_its_address(server: EmbeddedPostgres) -> None:
    assert not server.status().running
    assert server.stop() is False
    url = server.start()
    assert answer(url) == "recon_owner"
    answer(url, "CREATE TABLE kept AS SELECT 1 AS x; SELECT 1")
    pid = pid_of(server)
    assert server.start() == url
    assert pid_of(server) == pid
    assert server.stop() is True
    assert not server.status().running
    assert server.start() == url
    assert answer(url, "SELECT x FROM kept") == 1


def test_it_listens_on_loopback_only_and_only_to_those_who_know_the_password(server: EmbeddedPostgres) -> None:
    url = server.start()
    assert answer(url, "SHOW listen_addresses") == "127.0.0.1"
    assert answer(server.url("postgres", "postgres"), "SHOW unix_socket_directories") == ""
    password = url.split(":")[2].split("@")[0]
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        answer(url.replace(password, "guessed-wrongly"))
    assert "guessed-wrongly" not in str(caught.value)
    mode = (server.folder / "passwords.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700


def test_each_role_may_log_in_and_only_the_owner_may_make_anything(server: EmbeddedPostgres) -> None:
    server.start()
    for role in ("recon_owner", "recon_writer", "recon_reader"):
        assert answer(server.url(role)) == role
    for role in ("recon_writer", "recon_reader"):
        with pytest.raises(StoreError, match="permission denied"):
            answer(server.url(role), "CREATE SCHEMA mine; SELECT 1")
    with pytest.raises(StoreError, match="permission denied"):
        answer(server.url("recon_reader", "postgres"))


def test_text_sorts_as_bytes_do_and_the_clock_is_utc(server: EmbeddedPostgres) -> None:
    url = server.start()
    assert answer(url, "SELECT string_agg(x, '' ORDER BY x) FROM (VALUES ('a'), ('B'), ('ä'), ('Z')) v (x)") == "BZaä"
    assert answer(url, "SELECT upper('ä')") == "Ä"
    assert answer(url, "SHOW timezone") == "UTC"


@pytest.mark.parametrize("victim", ["server", "backend"])
def test_it_survives_kill_9(server: EmbeddedPostgres, victim: str) -> None:
    url = server.start()
    answer(url, "CREATE TABLE kept AS SELECT 1 AS x; SELECT 1")
    opened = engine(url).connect()
    backend = opened.scalar(sa.text("SELECT pg_backend_pid()"))
    assert backend is not None
    # As root in a user namespace the number is the same outside.
    os.kill(pid_of(server) if victim == "server" else backend, signal.SIGKILL)
    time.sleep(0 if victim == "server" else 0.1)  # the server notices its backend's death a moment later
    assert server.start() == url
    assert answer(url, "SELECT x FROM kept") == 1
    opened.invalidate()


def test_a_busy_orphan_of_a_killed_server_does_not_share_the_data_with_the_next_one(server: EmbeddedPostgres) -> None:
    url = server.start()
    busy = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, sqlalchemy as sa; from recon_pipeline.stores.database import engine\n"
            'engine(sys.argv[1]).connect().execute(sa.text("SELECT count(*) FROM generate_series(1, 300000000)"))',
            url,
        ],
        stderr=subprocess.DEVNULL,
    )
    while not answer(
        url, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate' || '_series%'"
    ):
        time.sleep(0.05)
    old = pid_of(server)
    os.kill(old, signal.SIGKILL)
    assert answer(server.start(), "SELECT 1") == 1
    assert pid_of(server) != old
    busy.wait(timeout=30)


def test_a_pid_file_that_names_a_stranger_does_not_keep_it_from_starting(server: EmbeddedPostgres) -> None:
    url = server.start()
    pid_file = server.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert not server.status().running
    assert answer(server.start()) == "recon_owner"
    assert server.start() == url


def test_it_takes_another_port_if_its_own_is_taken(server: EmbeddedPostgres) -> None:
    url = server.start()
    port = server.status().port
    assert port is not None
    server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        assert server.start() != url
        assert answer(server.url()) == "recon_owner"


def test_processes_that_start_it_at_once_share_one_server(server: EmbeddedPostgres) -> None:
    script = (
        "import sys; from pathlib import Path; from recon_pipeline.stores.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1])); print(server.start(), server.status().pid)"
    )

    def start(_: int) -> str:
        return subprocess.check_output([sys.executable, "-c", script, str(server.home)], text=True)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(start, range(4)))) == 1


def test_a_kill_while_it_is_made_leaves_nothing_in_the_way(server: EmbeddedPostgres) -> None:
    script = (
        "import sys; from pathlib import Path; from recon_pipeline.stores.embedded import EmbeddedPostgres\n"
        "EmbeddedPostgres(Path(sys.argv[1])).start()"
    )
    for seconds in (0.3, 0.6):
        started = subprocess.Popen([sys.executable, "-c", script, str(server.home)], start_new_session=True)
        deadline = time.monotonic() + 20
        while not server.folder.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(seconds)
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    assert answer(server.start()) == "recon_owner"
    assert [path.name for path in server.folder.iterdir() if path.name.startswith("new.")] == []


def test_lost_passwords_and_another_release_are_named(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    passwords = server.folder / "passwords.json"
    kept = passwords.read_text()
    passwords.unlink()
    with pytest.raises(EmbeddedPostgresError, match="passwords of the embedded PostgreSQL are gone"):
        server.start()
    server.stop()
    passwords.write_text(kept)
    (server.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 17"):
        server.start()


def test_a_damaged_cluster_is_named_with_the_log_to_read(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.data / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedPostgresError, match="did not start") as caught:
        server.start()
    assert "server.log" in caught.value.next_step
    assert "pg_control" in caught.value.found


def test_a_url_in_the_environment_starts_nothing(tmp_path: Path) -> None:
    settings = SimpleNamespace(home=tmp_path, database_url="postgresql://u@example.invalid/recon")
    assert database_url(settings) == "postgresql://u@example.invalid/recon"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_without_namespaces_runs_it_as_nobody_where_nobody_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _program: None)
    home = Path(tempfile.mkdtemp(dir="/var/tmp"))  # pytest's own folder is closed to others
    home.chmod(0o755)
    server = EmbeddedPostgres(home)
    try:
        try:
            url = server.start()
        except StoreError as error:
            assert "no other user can run it here" in str(error)
            pytest.skip("the user nobody cannot reach the programs of this environment")
        assert answer(url) == "recon_owner"
        assert Path(f"/proc/{server.status().pid}").stat().st_uid != 0
        server.stop()
        monkeypatch.undo()
        again = EmbeddedPostgres(home)  # back in a namespace, where the files must be root's again
        assert answer(again.start()) == "recon_owner"
    finally:
        server.stop()
        shutil.rmtree(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_who_cannot_become_anybody_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _program: None)
    (tmp_path / "closed").mkdir(mode=0o700)
    with pytest.raises(StoreError, match="refuses to run as root") as caught:
        EmbeddedPostgres(tmp_path / "closed" / "home").start()
    assert "RECON_HOME" in caught.value.next_step
    assert "RECON_DATABASE_URL" in caught.value.next_step
