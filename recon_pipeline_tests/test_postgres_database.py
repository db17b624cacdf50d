"""PostgreSQL, reached and migrated: no password in any text, tables as the frames are, readers kept to the marts."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from recon_pipeline.errors import ConfigError, StoreError
from recon_pipeline.frames.schema import FRAMES, QUARANTINE
from recon_pipeline.stores.database import (
    DatabaseError,
    DatabaseUnavailable,
    VenueBusy,
    bulk_connection,
    connection,
    libpq_url,
    migrate,
    redacted,
    shown,
    sqlalchemy_url,
    venue_lock,
)
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.stores.migrations import MigrationRefused
from recon_pipeline_tests.servers import administer

pytestmark = pytest.mark.postgres
_numbers = count(1)


def ask(url: str, question: str) -> Any:
    with connection(url, "asking") as opened:
        return opened.scalar(sa.text(question))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"])
def test_every_form_of_a_url_gives_both_forms_out(scheme: str) -> None:
    url = f"{scheme}://u:p%40ss%2Fw@h:1/d?sslmode=disable"
    assert sqlalchemy_url(url) == "postgresql+psycopg2://u:p%40ss%2Fw@h:1/d?sslmode=disable"
    assert libpq_url(url) == "postgresql://u:p%40ss%2Fw@h:1/d?sslmode=disable"
    assert shown(url) == "postgresql://u:***@h:1/d?sslmode=disable"


def test_what_libpq_reads_is_percent_encoded_throughout() -> None:
    """A space would make it refuse the URL by an error that quotes it, password and all."""
    url = "postgresql://the%20owner:top%20secret%40%2B@[::1]:5/books%20of%20may?options=-c%20geqo%3Doff"
    assert libpq_url(url) == url
    assert shown(url) == url.replace("top%20secret%40%2B", "***")
    with pytest.raises(DatabaseUnavailable) as caught, bulk_connection(url, "publishing bank"):
        pass
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secretword@h/d?options=-ca%3D1&options=-cb%3D2",
        "mysql://u:secretword@h/d",
        "postgresql://u:secretword@h",
        "secretword",
        "",
        "postgresql://u:secret@word@h/d",
    ],
)
def test_what_is_no_url_of_postgresql_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ConfigError, match="cannot be understood") as caught:
        sqlalchemy_url(url)
    assert "secret" not in str(caught.value)
    assert "%40" in caught.value.expected


def test_a_password_is_taken_out_of_any_text_in_any_spelling() -> None:
    url = "postgresql://u:p%40ss%20w0rd@h/d"
    text = (
        f"tried {url} and p@ss w0rd and p%40ss%20w0rd and p%40ss w0rd; password=other; postgresql+psycopg2://x:yz@h/d"
    )
    assert redacted(text, url) == (
        "tried postgresql://u:***@h/d and *** and *** and ***; password=*** postgresql+psycopg2://x:***@h/d"
    )


@pytest.mark.parametrize("open_it", [connection, bulk_connection])
@pytest.mark.parametrize(
    ("address", "found"),
    [("127.0.0.1:1/d", "Connection refused"), ("no-such-host.invalid/d", "could not translate host name")],
)
def test_a_server_that_refuses_is_named_without_the_password_even_in_the_traceback(
    open_it: Any, address: str, found: str
) -> None:
    opening: AbstractContextManager[Any] = open_it(f"postgresql+psycopg2://u:secretword@{address}", "testing")
    with pytest.raises(DatabaseUnavailable, match=found) as caught, opening:
        pass
    printed = "".join(traceback.format_exception(caught.value))
    assert "secretword" not in printed
    assert "postgresql://u:***@" in caught.value.where
    assert "RECON_DATABASE_URL" in caught.value.next_step
    assert caught.value.exit_code == 3


def test_a_wrong_password_is_named_and_not_shown(postgres: EmbeddedPostgres) -> None:
    url = str(make_url(postgres.url()).set(password="wrong-password").render_as_string(hide_password=False))
    for open_it in (connection, bulk_connection):
        opening: AbstractContextManager[Any] = open_it(url, "testing")
        with pytest.raises(DatabaseUnavailable, match="password authentication failed") as caught, opening:
            pass
        assert "wrong-password" not in "".join(traceback.format_exception(caught.value))


def test_a_refused_statement_tells_neither_its_values_nor_the_rows(database: str) -> None:
    insert = "INSERT INTO recon.prices (venue, asset, as_of, usd_price, source) VALUES ('v', 'BTC', now(), :p, NULL)"
    with pytest.raises(DatabaseError) as caught, connection(database, "testing") as opened:
        opened.execute(sa.text(insert), {"p": "123456.789"})
    assert "123456" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(DatabaseError) as caught, bulk_connection(database, "testing") as bulk:
        rows = pa.table({"venue": ["bank"], "frame": [None], "date": [None], "digest": ["9876.54"]})
        bulk.cursor().adbc_ingest("partitions", rows, mode="append", db_schema_name="recon")
    assert "9876" not in "".join(traceback.format_exception(caught.value))


def test_a_connection_that_breaks_off_is_unavailable(postgres: EmbeddedPostgres, database: str) -> None:
    for open_it, pid in ((connection, "sa"), (bulk_connection, "adbc")):
        opening: AbstractContextManager[Any] = open_it(database, "testing")
        with pytest.raises(DatabaseUnavailable), opening as opened:
            if pid == "sa":
                administer(postgres, _terminate(opened.scalar(sa.text("SELECT pg_backend_pid()"))))
                opened.execute(sa.text("SELECT 1"))
            else:
                with opened.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    administer(postgres, _terminate(cursor.fetchone()[0]))
                    cursor.execute("SELECT 1")


def _terminate(pid: object) -> str:
    return f"SELECT pg_terminate_backend({pid})"


# -- the venue's lock


def test_one_run_of_a_venue_at_a_time_and_other_venues_meanwhile(database: str) -> None:
    with venue_lock(database, "bank"), venue_lock(database, "dao"):
        with pytest.raises(VenueBusy, match="another run of bank") as caught, venue_lock(database, "bank", 0.1):
            pass
        assert caught.value.exit_code == 4
    with venue_lock(database, "bank", 0.1):
        pass


def test_whoever_has_let_go_of_a_venue_holds_it_no_more(database: str) -> None:
    with venue_lock(database, "bank") as still_held:
        still_held()
    with pytest.raises(DatabaseUnavailable, match="the connection that held the lock has ended"):
        still_held()


def test_who_waits_for_a_venue_hears_a_signal(database: str) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with venue_lock(database, "bank"):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            began = time.monotonic()
            with pytest.raises(InterruptedError), venue_lock(database, "bank", 60):
                pass
            assert time.monotonic() - began < 30
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_killed_holder_lets_go_of_the_venue(database: str) -> None:
    script = (
        "import sys, time; from recon_pipeline.stores.database import venue_lock\n"
        "with venue_lock(sys.argv[1], 'bank'): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, database], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(VenueBusy), venue_lock(database, "bank", 0.1):
        pass
    holder.kill()
    holder.wait()
    with venue_lock(database, "bank", 10):
        pass


# -- migrations


@pytest.fixture
def empty(postgres: EmbeddedPostgres, migrated: str) -> Iterator[str]:
    """The owner's URL of a database without anything; the roles exist."""
    name = f"empty_{next(_numbers)}"
    administer(postgres, f"CREATE DATABASE {name} OWNER recon_owner")
    yield postgres.url(database=name)
    administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def test_processes_that_migrate_at_once_all_succeed_and_a_second_time_nothing_happens(empty: str) -> None:
    script = "import sys; from recon_pipeline.stores.database import migrate; migrate(sys.argv[1])"
    with ThreadPoolExecutor(3) as pool:
        run = pool.map(lambda _: subprocess.run([sys.executable, "-c", script, empty], check=True), range(3))
        assert len(list(run)) == 3
    before = ask(empty, "SELECT max(oid::bigint) FROM pg_class")
    started = time.perf_counter()
    migrate(empty)
    assert time.perf_counter() - started < 2  # about 30 ms; the bound is for a busy machine
    assert ask(empty, "SELECT max(oid::bigint) FROM pg_class") == before


def test_a_database_that_cannot_hold_every_letter_is_refused(postgres: EmbeddedPostgres, migrated: str) -> None:
    name = f"latin_{next(_numbers)}"
    administer(postgres, f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(MigrationRefused, match="encoding is LATIN1") as caught:
        migrate(postgres.url(database=name))
    assert "ENCODING 'UTF8'" in caught.value.next_step
    administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def test_a_migration_that_fails_leaves_nothing(empty: str) -> None:
    ask(empty, "CREATE SCHEMA recon; CREATE TABLE recon.breaks (x int); SELECT 1")
    with pytest.raises(DatabaseError, match='relation "breaks" already exists'):
        migrate(empty)
    assert ask(empty, "SELECT count(*) FROM pg_tables WHERE schemaname = 'recon'") == 1


def test_a_database_of_a_later_release_is_refused(database: str) -> None:
    ask(database, "UPDATE recon.alembic_version SET version_num = '9999'; SELECT 1")
    with pytest.raises(MigrationRefused, match="revision 9999, which this release does not know"):
        migrate(database)


@pytest.fixture
def foreign(postgres: EmbeddedPostgres, migrated: str) -> Iterator[tuple[str, str]]:
    """A database owned by a login `alice`, who is no superuser and none of ours: its URL and its name."""
    name = f"foreign_{next(_numbers)}"
    administer(
        postgres,
        "DROP ROLE IF EXISTS alice",
        "CREATE ROLE alice LOGIN PASSWORD 'alices-password'",
        f"CREATE DATABASE {name} OWNER alice",
    )
    url = make_url(postgres.url(database=name)).set(username="alice", password="alices-password")
    yield url.render_as_string(hide_password=False), name
    administer(postgres, f"DROP DATABASE {name} WITH (FORCE)", "DROP ROLE alice")


def test_a_login_that_may_not_act_as_the_owner_is_told_what_an_administrator_has_to_do(
    postgres: EmbeddedPostgres, foreign: tuple[str, str]
) -> None:
    url, name = foreign
    with pytest.raises(MigrationRefused, match="alice may not act as recon_owner") as caught:
        migrate(url)
    advice = caught.value.next_step.partition(":  ")[2]
    assert advice == f"GRANT recon_owner TO alice; GRANT CONNECT, CREATE ON DATABASE {name} TO recon_owner;"
    assert "alices-password" not in str(caught.value)
    administer(postgres, *filter(None, advice.split("; ")))
    migrate(url)
    owners = "SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables WHERE schemaname = 'recon'"
    assert ask(url, owners) == "recon_owner"
    assert ask(url, "SELECT count(*) FROM recon.runs") == 0


def test_a_login_that_may_create_roles_migrates_a_server_that_has_none(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("plain"))
    server.start()
    try:
        administer(
            server,
            "DROP DATABASE recon",
            "DROP ROLE recon_reader, recon_writer, recon_owner",
            "CREATE ROLE carol LOGIN PASSWORD 'carols-password'",
            "CREATE ROLE alice LOGIN CREATEROLE PASSWORD 'alices-password'",
            "CREATE DATABASE books OWNER alice",
            "CREATE DATABASE other OWNER carol",
        )
        books = make_url(server.url("postgres", "books"))
        carol = books.set(database="other", username="carol", password="carols-password")
        with pytest.raises(MigrationRefused, match="roles are missing") as caught:
            migrate(carol.render_as_string(hide_password=False))
        assert "CREATE ROLE recon_owner; CREATE ROLE recon_writer; CREATE ROLE recon_reader;" in caught.value.next_step
        alice = books.set(username="alice", password="alices-password").render_as_string(hide_password=False)
        migrate(alice)
        migrate(alice)
        assert ask(alice, "SELECT bool_or(rolcanlogin) FROM pg_roles WHERE rolname LIKE 'recon\\_%'") is False
        assert ask(alice, "SELECT count(*) FROM recon.runs") == 0
        assert ask(alice, "CREATE TABLE dagster.runs (id int); SELECT 1") == 1
    finally:
        server.stop()


# -- what the migrations made


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    names = {pa.string(): "text", pa.date32(): "date", pa.int64(): "bigint"}
    return "timestamp with time zone" if pa.types.is_timestamp(kind) else names[kind]


@pytest.mark.parametrize("table", [*FRAMES, "quarantine"])
def test_a_table_has_the_columns_of_its_frame(database: str, table: str) -> None:
    schema = FRAMES[table].arrow if table in FRAMES else QUARANTINE
    with connection(database, "describing") as opened:
        rows = opened.execute(
            sa.text(
                "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
                " WHERE attrelid = CAST(:t AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            ),
            {"t": f"recon.{table}"},
        )
        found = {name: (kind, required) for name, kind, required in rows}
    expected = {field.name: (_sql_type(field.type), not field.nullable) for field in schema}
    assert {name: found[name] for name in expected} == expected
    # what came to a frame later stands last in its table
    added = {column.name for column in FRAMES[table].columns if column.is_added} if table in FRAMES else set()
    assert [name for name in found if name in expected] == sorted(expected, key=added.__contains__)


def test_months_are_made_once_by_a_writer_who_may_make_nothing_else(postgres: EmbeddedPostgres, database: str) -> None:
    writer = postgres.url("recon_writer", make_url(database).database or "")
    assert ask(writer, "SELECT recon.ensure_month('transfers', '2026-03-31')") is True
    assert ask(writer, "SELECT recon.ensure_month('transfers', '2026-03-01')") is False
    ask(
        writer,
        "INSERT INTO recon.transfers (venue, account, wallet, source, external_id, datetime, txn_type, txn_subtype,"
        " measure, asset, amount)"
        " VALUES ('v', 'a', 'w', 's', 'e', '2026-03-31 23:59:59.999999+00', 't', 't', 'balance', 'BTC', 1); SELECT 1",
    )
    assert ask(database, "SELECT tableoid::regclass::text FROM recon.transfers") == "recon.transfers_y2026m03"
    with pytest.raises(DatabaseError, match="not partitioned by month"):
        ask(writer, "SELECT recon.ensure_month('runs', '2026-03-01')")
    with pytest.raises(DatabaseError, match="permission denied"):
        ask(writer, "CREATE TABLE recon.mine (x int)")
    with pytest.raises(DatabaseError, match="permission denied"):
        ask(writer, "UPDATE recon.alembic_version SET version_num = '0'")


def test_the_reader_reads_the_marts_and_nothing_else(postgres: EmbeddedPostgres, database: str) -> None:
    ask(database, "CREATE VIEW marts.later AS SELECT run_id FROM recon.runs; SELECT 1")
    reader = postgres.url("recon_reader", make_url(database).database or "")
    assert ask(reader, "SELECT count(*) FROM marts.later") == 0
    for forbidden in (
        "SELECT count(*) FROM recon.runs",
        "SELECT count(*) FROM recon.alembic_version",
        "SELECT recon.ensure_month('transfers', '2026-03-01')",
        "CREATE TABLE marts.mine (x int)",
        "CREATE TABLE dagster.mine (x int)",
        "DELETE FROM marts.later",
        "CREATE VIEW audit.mine AS SELECT 1",
    ):
        with pytest.raises(DatabaseError, match="permission denied"):
            ask(reader, forbidden)
    readable = (
        "SELECT string_agg(nspname, ',') FROM pg_namespace WHERE has_schema_privilege(oid, 'USAGE')"
        " AND nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'public')"
    )
    assert ask(reader, readable) == "marts"


def test_every_failure_of_a_store_has_its_exit_code() -> None:
    assert issubclass(DatabaseUnavailable, StoreError)
    assert (DatabaseUnavailable("x").exit_code, VenueBusy("x").exit_code, ConfigError("x").exit_code) == (3, 4, 2)
