"""Runs that start at once: each in a process of its own, forked from one that has imported everything already.

Dagster's own launcher has a new interpreter import the project for every run, which takes longer than the run of a day.
The process that is forked executes nothing itself and knows no configuration: recon.yaml is read by each run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value

from recon_pipeline.assets.instance import PROCESS_TAG, process_of, process_state, process_tags

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

PRELOADED = ("__main__", "recon_pipeline.assets.worker", "recon_pipeline.definitions")
"""What is imported once for all runs."""


class ForkingRunLauncher(RunLauncher[dg.DagsterInstance], ConfigurableClass):
    """Forks a process for each run; for one machine, on which the daemon runs."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as dagster has it
        self._inst_data = inst_data
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(PRELOADED))
        self._running: dict[str, ForkServerProcess] = {}

    def warm_up(self) -> None:
        """Have the process started from which runs are forked."""
        forkserver.ensure_running()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process and mark the run with it."""
        from recon_pipeline.assets.worker import execute

        run, origin = context.dagster_run, context.job_code_origin
        if origin is None:
            raise dg.DagsterInvariantViolationError(f"the run {run.run_id} does not say which code it runs")
        told = serialize_value(ExecuteRunArgs(origin, run.run_id, self._instance.get_ref()))
        # A daemon that ends asks its runs to end, too; they do so between two commits.
        process = self._context.Process(target=execute, args=(told,), daemon=True)
        process.start()
        self._running = {id_: other for id_, other in self._running.items() if other.is_alive()}
        self._running[run.run_id] = process
        self._instance.add_run_tags(run.run_id, process_tags(process.pid))

    def terminate(self, run_id: str) -> bool:
        """Ask the run's process to end; whether there was one. Any process of the machine may ask."""
        run = self._instance.get_run_by_id(run_id)
        tag = run.tags.get(PROCESS_TAG) if run is not None else None
        if run is None or run.is_finished or process_state(tag) != "alive":
            return False
        self._instance.report_run_canceling(run)
        with suppress(ProcessLookupError):
            os.kill(process_of(tag), signal.SIGTERM)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Dagster's monitor may ask whether a run's process is still there."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process that executes the run is still there, as far as this machine can tell."""
        state = process_state(run.tags.get(PROCESS_TAG))
        if state == "dead":
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process ended without a word; run it again")
        return CheckRunHealthResult(WorkerStatus.RUNNING if state == "alive" else WorkerStatus.UNKNOWN)

    # -- what Dagster asks of a class that dagster.yaml names

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Where dagster.yaml names it."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """It has no settings."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> ForkingRunLauncher:
        """The launcher of dagster.yaml."""
        return cls(inst_data)
