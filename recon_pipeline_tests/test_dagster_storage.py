"""Dagster's storage, daemon and launcher as `recon up` uses them: the same rows and states, sooner."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster_postgres import PostgresEventLogStorage

from recon_pipeline.assets.daemon import BACKFILL_SECONDS, PromptBackfillDaemon, _ShortWaits, daemons
from recon_pipeline.assets.instance import process_of, process_state, process_tags, storage_url
from recon_pipeline.assets.launcher import ForkingRunLauncher
from recon_pipeline.assets.storage import EventLogStorage, Storage, whole_tables
from recon_pipeline.stores.database import engine

pytestmark = pytest.mark.postgres
RUN = "6b0d4a3e-6f0e-4a6e-9a3c-1f5f0c0a7d11"
DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")


@pytest.fixture
def url(database: str) -> Iterator[str]:
    with engine(database).begin() as opened:
        opened.execute(sa.text("CREATE SCHEMA IF NOT EXISTS dagster"))
    yield storage_url(database)


def planned(run: str) -> list[dg.EventLogEntry]:
    """The events that plan two assets over three days."""
    return [
        dg.EventLogEntry(  # type: ignore[no-untyped-call]  # as dagster has it
            error_info=None,
            level=10,
            user_message="",
            run_id=run,
            timestamp=1_767_225_600.0 + number,
            job_name="a_job",
            dagster_event=DagsterEvent.build_asset_materialization_planned_event(
                "a_job", "a_step", AssetMaterializationPlannedData(dg.AssetKey(asset), partition=day)
            ),
        )
        for number, (asset, day) in enumerate((asset, day) for asset in ("one", "other") for day in DAYS)
    ]


def content(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """The event log's tables without what names the moment and the run."""
    queries = {
        "events": "SELECT dagster_event_type, step_key, asset_key, partition FROM event_logs ORDER BY id",
        "assets": "SELECT asset_key, last_run_id IS NULL, last_materialization_timestamp FROM asset_keys ORDER BY 1",
        "tags": "SELECT asset_key, key, value FROM asset_event_tags ORDER BY 1, 2, 3",
    }
    with sa.create_engine(url).connect() as opened:
        return {name: [tuple(row) for row in opened.execute(sa.text(query))] for name, query in queries.items()}


def test_planned_materialisations_written_together_are_those_written_one_by_one(url: str) -> None:
    one_by_one = PostgresEventLogStorage(url)
    one_by_one.store_event_batch(planned("a"))
    expected = content(url)
    assert len(expected["events"]) == 6
    one_by_one.wipe()
    together = EventLogStorage(url)
    together.store_event_batch(planned("a"))
    assert content(url) == expected
    assert together.get_latest_planned_materialization_info(dg.AssetKey("other"), DAYS[1]) is not None
    together.dispose()


def test_the_storages_share_connections_and_outlive_a_restart_of_the_server(url: str) -> None:
    storage = Storage(url)
    assert storage.run_storage.get_runs() == []
    with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as opened:
        opened.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert storage.run_storage.get_runs() == []
    storage.event_log_storage.dispose()


def tables(database: str) -> set[str]:
    with engine(database).connect() as opened:
        return set(opened.scalars(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'dagster'")))


def test_tables_that_a_killed_process_left_half_made_are_made_anew(database: str, url: str) -> None:
    with whole_tables(database):
        Storage(url).event_log_storage.dispose()
    whole = tables(database)
    with engine(database).begin() as opened:
        opened.execute(sa.text("DROP TABLE dagster.asset_keys, dagster.recon_made_all_tables"))
    with whole_tables(database):
        storage = Storage(url)
    assert tables(database) == whole
    assert storage.event_log_storage.all_asset_keys() == []
    storage.run_storage.add_run(dg.DagsterRun(job_name="a_job", run_id=RUN))
    with whole_tables(database):
        pass
    with engine(database).begin() as opened:
        opened.execute(sa.text("DROP TABLE dagster.recon_made_all_tables"))
    with whole_tables(database):
        pass
    assert [run.run_id for run in storage.run_storage.get_runs()] == [RUN], "an instance with runs is never made anew"
    storage.event_log_storage.dispose()


def test_the_backfill_daemon_looks_every_second() -> None:
    event = threading.Event()
    began = time.monotonic()
    assert not _ShortWaits(event).wait(30)
    assert BACKFILL_SECONDS <= time.monotonic() - began < 10
    event.set()
    assert _ShortWaits(event).wait(30)
    with dg.DagsterInstance.local_temp() as instance:
        made = daemons(instance)
    assert [type(one) for one in made].count(PromptBackfillDaemon) == 1
    assert {one.daemon_type() for one in made} >= {"BACKFILL", "SENSOR", "SCHEDULER"}


def test_a_run_is_known_by_its_process_and_a_process_that_is_gone_is_told() -> None:
    own = process_tags()["recon/process"]
    assert (process_of(own), process_state(own)) == (os.getpid(), "alive")
    host = own.partition("|")[0]
    assert process_state(f"{host}|{os.getpid()}|1") == "dead"
    assert process_state("elsewhere|1|1") == process_state(None) == "unknown"
    launcher = ForkingRunLauncher()
    for tag, status in ((own, "RUNNING"), (f"{host}|{os.getpid()}|1", "FAILED"), ("elsewhere|1|1", "UNKNOWN")):
        run = dg.DagsterRun(job_name="a_job", tags={"recon/process": tag})
        assert launcher.check_run_worker_health(run).status.value == status
