"""A run from the command line: the same job, on the same Dagster instance, so that the UI shows it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import dagster as dg

from recon_pipeline.assets.instance import dagster_environment, fail_dead_runs, write_instance
from recon_pipeline.assets.jobs import job_name, range_tags
from recon_pipeline.assets.resource import listening
from recon_pipeline.assets.storage import whole_tables
from recon_pipeline.config import Settings
from recon_pipeline.reconcile.pipeline import Request
from recon_pipeline.stores.journal import KILLED, end_runs

__all__ = ["JobResult", "execute", "listening", "open_instance"]

STOPPED = "Stopped"
Told = tuple[str, str]
"""An error's name and its text."""


@dataclass(frozen=True)
class JobResult:
    """How a venue's job ended; `errors` are those of its steps, and failing asset checks are no errors."""

    venue: str
    run_id: str
    success: bool
    errors: tuple[Told, ...]

    @property
    def is_stopped(self) -> bool:
        """Whether it was asked to stop: then nothing else is to be started either."""
        return any(name == STOPPED for name, _ in self.errors)


def open_instance(settings: Settings, database: str) -> dg.DagsterInstance:
    """The instance under RECON_HOME, its tables made, runs of dead processes reported as failed."""
    write_instance(settings)
    os.environ.update(dagster_environment(settings, database))
    with whole_tables(database):
        instance = dg.DagsterInstance.get()
    end_runs(database, fail_dead_runs(instance), KILLED)
    return instance


def execute(instance: dg.DagsterInstance, definitions: dg.Definitions, request: Request) -> JobResult:
    """Run daily_<venue> over the request's days in this process."""
    config = {"as_of_day": str(request.as_of_day), "accounts": sorted(request.accounts or ())}
    run_config: dict[str, Any] = {
        "resources": {"reconciler": {"config": config}},
        # The events go to the instance; the terminal belongs to whoever asked.
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    result = definitions.resolve_job_def(job_name(request.venue)).execute_in_process(
        run_config=run_config,
        instance=instance,
        tags=dict(range_tags(request.first_day, request.last_day)) | {"recon/from": "command line"},
        raise_on_error=False,
    )
    return JobResult(request.venue, result.run_id, result.success, tuple(_errors(result.all_events)))


def _errors(events: Sequence[dg.DagsterEvent]) -> list[Told]:
    told: list[Told] = []
    for event in events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            told.append(_told(event.step_failure_data.error))
    return list(dict.fromkeys(told))


class _Error(Protocol):
    """An error as Dagster keeps it in an event."""

    @property
    def cls_name(self) -> str | None: ...
    @property
    def message(self) -> str: ...
    @property
    def cause(self) -> _Error | None: ...


def _told(error: _Error) -> Told:
    """Of an error and its causes the one that this project names; if none is, what was the first cause of all."""
    while True:
        name = error.cls_name or "Error"
        if name == "DagsterExecutionInterruptedError":
            return STOPPED, f"{STOPPED}: stopped by a signal between two commits; run it again to go on"
        # Dagster puts the class, maybe with its module, before an error's text; a named error's begins with it already
        own = error.message.strip().partition(f"{name}: ")[2]
        if own.startswith(f"{name}: "):
            return name, own
        if error.cause is None:
            return name, error.message.strip()
        error = error.cause
