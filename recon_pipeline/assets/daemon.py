"""Dagster's daemon as `recon up` runs it: all of its own parts, with a backfill daemon that does not wait 30 s.

    python -m recon_pipeline.assets.daemon WORKSPACE

Dagster's backfill daemon looks every 30 s whether a backfill was asked for, and again every 30 s whether its runs have
ended. The interval is no setting of its own; a person who pressed a button would wait a minute for nothing.
"""

from __future__ import annotations

import sys
from threading import Event
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.controller import create_daemon_of_type, daemon_controller_from_instance
from dagster._daemon.daemon import BackfillDaemon, DagsterDaemon
from dagster._utils.interrupts import capture_interrupts

from recon_pipeline.assets.launcher import ForkingRunLauncher

if TYPE_CHECKING:
    from dagster._core.workspace.context import IWorkspaceProcessContext
    from dagster._daemon.daemon import DaemonIterator

BACKFILL_SECONDS = 1.0


class PromptBackfillDaemon(BackfillDaemon):
    """The backfill daemon, looking every second."""

    def core_loop(
        self, workspace_process_context: IWorkspaceProcessContext[Any], shutdown_event: Event
    ) -> DaemonIterator:
        """The loop of Dagster's own, whose pauses end early."""
        waiting = cast("Event", _ShortWaits(shutdown_event))
        yield from super().core_loop(workspace_process_context, waiting)


class _ShortWaits:
    """The event that ends the daemon, on which its loop waits between two looks."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, but no longer than it takes until the next look."""
        return self._event.wait(BACKFILL_SECONDS if timeout is None else min(timeout, BACKFILL_SECONDS))


def daemons(instance: dg.DagsterInstance) -> list[DagsterDaemon]:  # type: ignore[type-arg]  # of contexts that differ
    """The daemons that the instance asks for."""
    return [
        PromptBackfillDaemon(settings=instance.get_backfill_settings())
        if name == BackfillDaemon.daemon_type()
        else create_daemon_of_type(name, instance)
        for name in instance.get_required_daemon_types()
    ]


def main(workspace: str) -> None:
    """Run until a signal ends it."""
    target = WorkspaceFileTarget([workspace])
    try:
        with (
            capture_interrupts(),
            dg.DagsterInstance.get() as instance,
            daemon_controller_from_instance(instance, target, gen_daemons=daemons) as controller,
        ):
            if isinstance(instance.run_launcher, ForkingRunLauncher):
                instance.run_launcher.warm_up()
            controller.check_daemon_loop()
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main(sys.argv[1])
