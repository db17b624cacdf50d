"""What several tests share: one embedded PostgreSQL for the session, a migrated database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from recon_pipeline.stores.database import migrate
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline_tests.servers import administer, no_disk

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A running server without tables; its own database `recon` is the template of those that tests get."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    with no_disk(server):
        yield server
    server.stop()


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
