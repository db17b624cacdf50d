"""What the servers of tests have in common: they wait for no disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from recon_pipeline.stores.database import engine
from recon_pipeline.stores.embedded import SUPERUSER, EmbeddedPostgres


@contextmanager
def no_disk(server: EmbeddedPostgres) -> Iterator[None]:
    """Neither that server nor a file of this process waits for the disk.

    What is killed here is a process, never the machine: what it wrote is there without.
    """
    administer(server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


def administer(server: EmbeddedPostgres, *statements: str) -> None:
    """Run statements as the superuser, each on its own."""
    with engine(server.url(SUPERUSER, "postgres")).connect() as opened:
        each = opened.execution_options(isolation_level="AUTOCOMMIT")
        for statement in statements:
            each.execute(sa.text(statement))
