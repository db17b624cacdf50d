"""A run from the command line: the same job, on the same Dagster instance, so that the UI shows it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from recon_pipeline.assets.instance import dagster_environment, fail_dead_runs, write_instance
from recon_pipeline.assets.jobs import job_name, range_tags
from recon_pipeline.assets.resource import listening
from recon_pipeline.config import Settings
from recon_pipeline.reconcile.pipeline import Request

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
    instance = dg.DagsterInstance.get()
    fail_dead_runs(instance)
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
            error = event.step_failure_data.error
            while error.cause is not None:
                error = error.cause
            name = error.cls_name or "Error"
            if name == "DagsterExecutionInterruptedError":
                told.append((STOPPED, f"{STOPPED}: stopped by a signal between two commits; run it again to go on"))
                continue
            # Dagster puts the class before an error's text, which begins with it already.
            own = error.message.strip().partition(f"{name}: ")[2]
            told.append((name, own if own.startswith(name) else error.message.strip()))
    return list(dict.fromkeys(told))
