"""The Dagster instance under RECON_HOME/dagster: its settings, its environment, and runs whose process has died."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recon_pipeline.config import Settings
from recon_pipeline.stores.database import parse, with_options

if TYPE_CHECKING:
    import dagster as dg

STORAGE_URL_VARIABLE = "RECON_DAGSTER_STORAGE_URL"
SCHEMA = "dagster"
PROCESS_TAG = "recon/process"
RANGE_START, ONE_PARTITION = "dagster/asset_partition_range_start", "dagster/partition"
"""Dagster's tags of a run over several days, and over one."""

DAGSTER_YAML = f"""\
# Written once by `recon`; yours to edit from then on. What the settings are for: docs/dagster.md.
storage:
  custom:                                           # dagster-postgres, with connections that are kept
    module: recon_pipeline.assets.storage
    class: Storage
    config:
      postgres_url: {{env: {STORAGE_URL_VARIABLE}}} # the same database as the rows, schema {SCHEMA}
run_launcher:                                       # a run starts in a process that has everything imported
  module: recon_pipeline.assets.launcher
  class: ForkingRunLauncher
run_queue:
  dequeue_interval_seconds: 1                       # a run asked for in the UI starts at once, not within 5 s
  dequeue_use_threads: true
  dequeue_num_workers: 4
concurrency:
  runs:
    max_concurrent_runs: 8                          # more than all runs over days: a capture never waits for them
    tag_concurrency_limits:                         # every run over days has one of the two tags, a capture neither
      - {{key: {RANGE_START}, limit: 3}}
      - {{key: {ONE_PARTITION}, limit: 3}}
  pools: {{granularity: op, default_limit: 1}}        # one step of a venue at a time
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
  free_slots_after_run_end_seconds: 300
run_retries:
  enabled: true
  max_retries: 1
  retry_on_asset_or_op_failure: false               # a named error does not pass by itself
telemetry: {{enabled: false}}
nux: {{enabled: false}}
"""


def dagster_home(settings: Settings) -> Path:
    """The folder of the instance; what DAGSTER_HOME is set to for every process that `recon` starts."""
    return settings.home / "dagster"


def dagster_environment(settings: Settings, database: str) -> dict[str, str]:
    """The variables with which any Dagster process finds this instance, this configuration and this database.

    `database` is the URL in use. It is handed on as RECON_DATABASE_URL only where the user named a server: the
    embedded one is looked up anew by each process.
    """
    variables = {
        "DAGSTER_HOME": str(dagster_home(settings)),
        STORAGE_URL_VARIABLE: storage_url(database),
        "DAGSTER_EVENT_BATCH_SIZE": os.environ.get("DAGSTER_EVENT_BATCH_SIZE", "1000"),
        "RECON_HOME": str(settings.home),
        "RECON_CONFIG": str(settings.path),
    }
    if "RECON_LAKE_URL" in os.environ:
        variables["RECON_LAKE_URL"] = settings.lake_url
    return variables | ({"RECON_DATABASE_URL": settings.database_url} if settings.database_url else {})


def storage_url(database: str) -> str:
    """The URL for Dagster's own tables, in their own schema; psycopg2 said outright, for a bare URL means psycopg 3.

    An event does not wait for the disk. What a crash of the server may lose of them is a moment's bookkeeping: a run
    whose end is lost is found by `fail_dead_runs`, and what it has stored is in recon.partitions.
    """
    url = parse(database)
    options = with_options(url, f"-csearch_path={SCHEMA} -csynchronous_commit=off")
    return url.update_query_dict({"options": options}).render_as_string(hide_password=False)


def write_instance(settings: Settings) -> Path:
    """Write dagster.yaml unless there is one; returns its folder."""
    home = dagster_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    path = home / "dagster.yaml"
    if not path.exists():
        path.write_text(DAGSTER_YAML, encoding="utf-8")
    return home


def process_tags(pid: int | None = None) -> Mapping[str, str]:
    """Tags that let others tell whether the process that executes a run (this one, by default) is still there."""
    pid = os.getpid() if pid is None else pid
    return {PROCESS_TAG: f"{socket.gethostname()}|{pid}|{process_started(pid)}"}


def process_of(tag: str | None) -> int:
    """The number of the process in such a tag; 0 if there is none."""
    number = (tag or "").split("|")[1:2]
    return int(number[0]) if number and number[0].isdigit() else 0


def process_state(tag: str | None) -> Literal["alive", "dead", "unknown"]:
    """Whether the process of such a tag lives; unknown if it is another machine's."""
    host, _, rest = (tag or "").partition("|")
    pid = process_of(tag)
    if host != socket.gethostname() or not pid:
        return "unknown"
    return "alive" if process_started(pid) == rest.partition("|")[2] else "dead"


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report runs as failed whose process on this machine has ended without a word, and free their pool slots.

    A process that was killed cannot say so itself, and its claims on a pool would keep every later run waiting.
    """
    import dagster as dg

    in_progress = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    runs = instance.get_runs(dg.RunsFilter(statuses=in_progress))
    dead = [run for run in runs if process_state(run.tags.get(PROCESS_TAG)) == "dead"]
    for run in dead:
        instance.report_run_failed(run, "The process that executed this run ended without a word; run it again.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def process_started(pid: int) -> str:
    """When a process started, in the kernel's ticks, so that a number used again is told apart; empty if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return "" if Path("/proc/self").exists() else _started_elsewhere(pid)
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def _started_elsewhere(pid: int) -> str:
    """The same where there is no /proc."""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
