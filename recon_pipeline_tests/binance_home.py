"""A RECON_HOME whose venue is the simulated Binance: real HTTP, real signatures, a clock that the test moves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import yaml

from recon_pipeline.config import Settings, load_settings
from recon_pipeline.errors import ReconError
from recon_pipeline.reconcile.kernel import Outcome
from recon_pipeline.reconcile.pipeline import INPUTS, Request, VenueRun
from recon_pipeline.sandbox.binance import Sandbox, World, serve
from recon_pipeline.sandbox.binance.home import environment as home_environment
from recon_pipeline.sandbox.binance.home import recon_yaml
from recon_pipeline.stores.database import connection
from recon_pipeline.stores.marts import deploy, mart_models
from recon_pipeline.venues.sources import capture_now

VENUE = "binance"
ONE_DAY = timedelta(days=1)
DUE = timedelta(days=2, hours=2)
"""When the run of a day is due: at two in the morning, two days after."""


@dataclass
class BinanceHome:
    """A sandbox, and the settings that read it."""

    sandbox: Sandbox
    settings: Settings
    url: str
    runs: int = 0
    problems: list[ReconError] = field(default_factory=list)

    def advance(self, to: datetime) -> None:
        """Move the shared clock."""
        body = {"to_us": int(to.timestamp() * 1_000_000)}
        httpx.post(f"{self.sandbox.url}/sandbox/clock/advance", json=body, timeout=60).raise_for_status()

    @property
    def now(self) -> datetime:
        """The shared clock."""
        return datetime.fromtimestamp(self.sandbox.now_us() / 1_000_000, UTC)

    def capture(self) -> int:
        """What the capture schedule does."""
        made, problems = capture_now(self.settings, VENUE, self.url, lambda _: None)
        self.problems += problems
        return made

    def capture_days(self, first: date, last: date) -> None:
        """Let the nights pass, each with its captures: those that close `first` to `last`."""
        for number in range((last - first).days + 1):
            self.advance(midnight(first + timedelta(days=number + 1)) + timedelta(minutes=5))
            self.capture()

    def run(
        self, first: date, last: date, *, when: datetime | None = None, accounts: set[str] | None = None
    ) -> Outcome:
        """Run days as the schedule would, at the time at which the last of them is due."""
        due = when or midnight(last) + DUE
        if self.now < due:
            self.advance(due)
        self.runs += 1
        of_accounts = frozenset(accounts) if accounts is not None else None
        request = Request(VENUE, first, last, self.now.date(), of_accounts)
        venue_run = VenueRun(self.settings, request, f"run {self.runs} {time.monotonic()}", self.url)
        try:
            venue_run.read()
            venue_run.store(*INPUTS)
            outcome = venue_run.reconcile()
            self.problems = list(venue_run.reading.problems)
            return outcome
        finally:
            venue_run.close()

    def live_through(self, first: date, last: date, after: Callable[[date], None] = lambda _: None) -> None:
        """Let the days from first to last come and go as the schedules have it: each night's captures shortly after
        midnight, and at two in the morning the run of the day that is due. `after` hears of each run's as_of_day."""
        morning = first
        while morning <= last + timedelta(days=DUE.days):
            self.capture_days(morning - ONE_DAY, morning - ONE_DAY)
            due = morning - timedelta(days=DUE.days)
            if due >= first:
                self.run(due, due)
                after(morning)
            morning += ONE_DAY

    def ask(self, query: str, **given: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with connection(self.url, "asking") as opened:
            return [tuple(row) for row in opened.execute(sa.text(query), given)]

    def statuses(self) -> Counter[str]:
        """Rows by status."""
        return Counter(dict(self.ask("SELECT status, count(*) FROM recon.reconciliation GROUP BY status")))

    def not_matched(self) -> list[tuple[Any, ...]]:
        """The rows that are neither matched nor an opening."""
        return self.ask(
            "SELECT date, account, wallet, asset, status, discrepancy_type, variance_in_asset, start_balance,"
            " actual_balance FROM recon.reconciliation WHERE status NOT IN ('matched', 'opening') ORDER BY 1, 2, 3, 4"
        )


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@contextmanager
def binance_home(
    world: World,
    folder: Path,
    database: str,
    environment: pytest.MonkeyPatch,
    *,
    start: date,
    accounts: Mapping[str, Mapping[str, Any]] | None = None,
    doubts: Mapping[str, str] | None = None,
) -> Iterator[BinanceHome]:
    """A home for a world: every account with a key of its own, unless told otherwise."""
    with serve(world, clock="simulated") as sandbox:
        written = yaml.safe_load(recon_yaml(world, sandbox.url))["venues"][VENUE]
        for name, secret in home_environment(world).items():
            environment.setenv(name, secret)
        venue: dict[str, Any] = {**written, "accounts": dict(accounts or written["accounts"])}
        if doubts:
            venue["doubts"] = dict(doubts)
        config = folder / "recon.yaml"
        config.write_text(yaml.safe_dump({"start": start, "venues": {VENUE: venue}}), encoding="utf-8")
        settings = load_settings(config, {"RECON_HOME": str(folder / "home"), "RECON_DATABASE_URL": database})
        deploy(database, mart_models())
        yield BinanceHome(sandbox, settings, database)
