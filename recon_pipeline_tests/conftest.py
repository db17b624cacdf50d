"""What several tests share: one embedded PostgreSQL for the session, a migrated database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
import sqlalchemy as sa

from recon_pipeline.stores.database import engine, migrate
from recon_pipeline.stores.embedded import SUPERUSER, EmbeddedPostgres

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A running server without tables; its own database `recon` is the template of those that tests get."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    # what is killed here is a process, never the machine: what it wrote is there without waiting for the disk
    administer(server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    yield server
    server.stop()


@pytest.fixture(scope="session", autouse=True)
def _no_disk() -> Iterator[None]:
    """Files wait for no disk either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres) -> str:
    """The name of a database with every table and no rows."""
    migrate(postgres.url())
    return "recon"


@pytest.fixture
def database(postgres: EmbeddedPostgres, migrated: str) -> Iterator[str]:
    """The owner's URL of a fresh, migrated database."""
    name = f"test_{next(_numbers)}"
    administer(postgres, f"CREATE DATABASE {name} TEMPLATE {migrated} OWNER recon_owner")
    yield postgres.url(database=name)
    administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def administer(server: EmbeddedPostgres, *statements: str) -> None:
    """Run statements as the superuser, each on its own."""
    with engine(server.url(SUPERUSER, "postgres")).connect() as opened:
        each = opened.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            each.execute(sa.text(statement))
