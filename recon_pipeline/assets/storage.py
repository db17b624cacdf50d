"""Dagster's storage on PostgreSQL as dagster-postgres has it, at less cost for each event.

dagster-postgres opens a connection for every statement and writes the events that plan a run one by one; for a year of
six assets these are two thousand events and a minute. Here each process keeps a connection, and planned
materialisations go in as one batch, as dagster-postgres itself writes those that have happened. Tables and rows are the
same: dagster.yaml may name either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from dagster import AssetKey, DagsterEventType
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy.pool import QueuePool

from recon_pipeline.assets.instance import SCHEMA
from recon_pipeline.stores.database import engine, named_errors

if TYPE_CHECKING:
    from dagster import EventLogEntry
    from dagster._serdes import ConfigurableClassData

CONNECTIONS_KEPT = 1
CONNECTIONS_MAX = 20
SECONDS_UNUSED_MAX = 300
_MADE = "recon_made_all_tables"
"""An empty table: that it is there says that all others are."""
_LOCK = 0x7265636F_6E6467
"""The advisory lock of whoever makes Dagster's tables in this database."""


def pooled_engine(url: str) -> sa.Engine:
    """An engine that keeps a connection between statements, and tries it before it is used again."""
    return sa.create_engine(
        url,
        isolation_level="AUTOCOMMIT",  # as dagster-postgres has it
        poolclass=QueuePool,
        pool_size=CONNECTIONS_KEPT,
        max_overflow=CONNECTIONS_MAX - CONNECTIONS_KEPT,
        pool_pre_ping=True,  # the server may have been restarted since
        pool_recycle=SECONDS_UNUSED_MAX,
    )


class EventLogStorage(PostgresEventLogStorage):
    """The event log; planned materialisations are written together."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the planned materialisations in two statements, and the others as dagster-postgres does."""
        planned = [event for event in events if _is_planned(event)]
        if planned:
            with self._connect() as opened:
                inserted = self.prepare_insert_event_batch(planned)
                rows = opened.execute(inserted.returning(sa.literal_column("id")))
                ids = [int(row[0]) for row in rows.fetchall()]
            latest = {_asset(event): (event, at) for event, at in zip(planned, ids, strict=True)}
            with self.index_transaction() as opened:
                self._store_asset_event_tags(opened, planned, ids)
                for event, at in latest.values():
                    self._store_asset_event(opened, event, at)
        others = [event for event in events if not _is_planned(event)]
        # dagster-postgres batches events of one type only
        for _, alike in groupby(others, key=lambda event: event.get_dagster_event().event_type):
            super().store_event_batch(list(alike))

    def dispose(self) -> None:
        """Close what is kept open, too."""
        super().dispose()
        self._engine.dispose()


class Storage(DagsterPostgresStorage):
    """Runs, events and schedules in one PostgreSQL, over connections that are kept."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        self._event_log_storage = EventLogStorage(postgres_url, should_autocreate_tables)
        engine = pooled_engine(postgres_url)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = engine

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Storage:
        """The storage of dagster.yaml, which takes the same settings as `postgres` does."""
        return cls(
            pg_url_from_config(config_value), config_value.get("should_autocreate_tables", True), inst_data=inst_data
        )


@contextmanager
def whole_tables(database: str) -> Iterator[None]:
    """Make Dagster's tables in the block, alone and from nothing, unless an earlier block has made all of them.

    Dagster makes them one by one and takes the first for a sign that all are there: a process that is killed in between
    would leave an instance that nothing can open. What such a process left is dropped; it holds no run yet.
    """
    doing = "making Dagster's tables"
    with named_errors(database, doing), engine(database).connect() as opened:
        held = opened.execution_options(isolation_level="AUTOCOMMIT")
        held.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        tables = set(
            held.scalars(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = :name"), {"name": SCHEMA})
        )
        if _MADE in tables:
            yield
            return
        if not _holds_runs(held, tables):
            for table in sorted(tables):
                held.execute(sa.text(f'DROP TABLE {SCHEMA}."{table}" CASCADE'))
        yield
        held.execute(sa.text(f"CREATE TABLE {SCHEMA}.{_MADE} ()"))


def _holds_runs(held: sa.Connection, tables: set[str]) -> bool:
    return "runs" in tables and bool(held.scalar(sa.text(f"SELECT EXISTS (SELECT 1 FROM {SCHEMA}.runs)")))


def _is_planned(event: EventLogEntry) -> bool:
    return event.get_dagster_event().event_type == DagsterEventType.ASSET_MATERIALIZATION_PLANNED


def _asset(event: EventLogEntry) -> AssetKey | None:
    return event.get_dagster_event().asset_key
