"""The one resource: the venue run that the assets of one Dagster run share, so that the folder is read once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date

import dagster as dg
from pydantic import Field, PrivateAttr

from recon_pipeline.assets.instance import process_tags
from recon_pipeline.config import Settings, load_settings
from recon_pipeline.errors import ConfigError
from recon_pipeline.reconcile.pipeline import Request, Say, VenueRun, say_nothing, today
from recon_pipeline.stores.database import migrate
from recon_pipeline.stores.embedded import database_url
from recon_pipeline.stores.marts import deploy, mart_models

_LISTENER: ContextVar[Say] = ContextVar("listener", default=say_nothing)


@contextmanager
def listening(say: Say) -> Iterator[None]:
    """Let the runs that this process executes inside the block tell `say` what they are at."""
    token = _LISTENER.set(say)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def open_database(settings: Settings) -> str:
    """The URL of the database in use, its tables and marts as this release has them; it holds the password."""
    url = database_url(settings)
    migrate(url)
    deploy(url, mart_models())
    return url


class Reconciler(dg.ConfigurableResource):  # type: ignore[type-arg]  # it gives itself
    """The pipeline, as a run asks for it; its two settings can be given in the launchpad."""

    as_of_day: str = Field(
        default="",
        description="The day from which it is judged what is due, as 2026-01-31; today (UTC) if empty.",
    )
    accounts: list[str] = Field(
        default=[], description="Only rows of these accounts are replaced; every account's if empty."
    )

    _run_id: str = PrivateAttr(default="")
    _runs: dict[str, VenueRun] = PrivateAttr(default_factory=dict)
    _settings: Settings | None = PrivateAttr(default=None)
    _url: str | None = PrivateAttr(default=None)

    @property
    def settings(self) -> Settings:
        """recon.yaml as it is now: a run obeys the file, not the moment at which the code was loaded."""
        if self._settings is None:
            self._settings = load_settings()
        return self._settings

    @property
    def url(self) -> str:
        """The database, migrated; it holds the password."""
        if self._url is None:
            self._url = open_database(self.settings)
        return self._url

    def venue_run(self, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, venue: str) -> VenueRun:
        """The run of a venue over the partitions of this Dagster run; the same for every step in this process."""
        if venue not in self._runs:
            first, last = _range(context)
            request = Request(venue, first, last, self._as_of_day(), frozenset(self.accounts) or None)
            self._runs[venue] = VenueRun(self.settings, request, context.run.run_id, self.url, _LISTENER.get())
        return self._runs[venue]

    def _as_of_day(self) -> date:
        try:
            return date.fromisoformat(self.as_of_day) if self.as_of_day else today()
        except ValueError:
            raise ConfigError(
                f"as_of_day is {self.as_of_day!r}", where="the run's configuration", expected="a day such as 2026-01-31"
            ) from None

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Reconciler]:
        """Mark the run with the process that executes it, and close what its steps opened, however they end."""
        if context.run is not None and context.instance is not None:
            context.instance.add_run_tags(context.run.run_id, process_tags())
        try:
            yield self
        finally:
            for run in self._runs.values():
                run.close()
            self._runs.clear()


def _range(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[date, date]:
    keys = (
        context.partition_key_range
        if isinstance(context, dg.AssetExecutionContext)
        else context.op_execution_context.partition_key_range
    )
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)
