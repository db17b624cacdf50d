"""`recon demo`: a month of a simulated Binance, from nothing to a table of what is wrong in it.

A main account and a sub-account live through a month of real events behind real HTTP. Things are planted that go
wrong; the nights pass on a simulated clock, each with its captures, and the month is run when it is due. In the end
stands what was planted beside what was found.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from recon_pipeline.config import Settings, load_settings
from recon_pipeline.sandbox.binance import Sandbox, make_world, serve
from recon_pipeline.sandbox.binance.home import write_home
from recon_pipeline.sandbox.binance.manifest import manifest

if TYPE_CHECKING:
    from recon_pipeline.cli import RunResult
    from recon_pipeline.reconcile.pipeline import Say

VENUE = "binance"
FIRST_DAY, LAST_DAY = date(2026, 1, 1), date(2026, 1, 31)
HALF = date(2026, 1, 15)
"""The venue tells of snapshots for a month only, so the month is run in two halves."""
SEED = 3
SYMBOLS = 250
"""A small market: the whole one has 3,000 symbols, and asking for trades in them takes minutes."""
FAULTS = ("deposit_missing", "withdrawal_untold", "snapshot_wrong", "deposit_doubled", "deposit_conflicting")
_STORIES = {
    "deposit_missing": "a deposit that the venue's history leaves out",
    "withdrawal_untold": "a withdrawal that the venue's history leaves out",
    "snapshot_wrong": "a snapshot that is off, and right again the day after",
    "deposit_doubled": "a deposit that is told twice, under two ids",
    "deposit_conflicting": "a deposit that one answer tells in two ways",
}
_UI_SECONDS_MAX = 30
_ASK_THE_UI = """{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { runId } } }"""


@dataclass(frozen=True)
class Planted:
    """A row that something planted must cause: as the sandbox foretold it before anything was read."""

    story: str
    date: date
    account: str
    wallet: str
    asset: str
    status: str
    variance: Decimal | None


@dataclass(frozen=True)
class Comparison:
    """What was planted, and the row that tells of it; `row` is None where none does."""

    planted: Planted
    row: Mapping[str, Any] | None

    @property
    def is_found(self) -> bool:
        """Whether the row says what was planted, to the last decimal."""
        if self.row is None or self.row["status"] != self.planted.status:
            return False
        return self.planted.variance is None or self.row["variance_in_asset"] == self.planted.variance


@dataclass(frozen=True)
class DemoResult:
    """The runs, what they found of what was planted, and what they found besides."""

    runs: Sequence[RunResult]
    compared: Sequence[Comparison]
    besides: Sequence[Mapping[str, Any]]
    seen_in_ui: int
    requests: int
    seconds: float

    @property
    def run(self) -> RunResult:
        """The last run, which knows the whole month."""
        return self.runs[-1]

    @property
    def is_right(self) -> bool:
        """Whether everything planted was found, and nothing else."""
        return all(one.is_found for one in self.compared) and not self.besides


@contextmanager
def demo_sandbox() -> Iterator[tuple[Settings, Sandbox]]:
    """Serve the demo's world, write its recon.yaml and credentials under RECON_HOME; the settings that they make."""
    world = make_world(SEED, start=FIRST_DAY - timedelta(days=1), days=36, subs=1, faults=FAULTS, symbols_max=SYMBOLS)
    folder = Path(os.environ.get("RECON_HOME") or ".recon") / "demo"
    with serve(world, clock="simulated") as sandbox:
        write_home(folder, world, sandbox.url, manifest(world))
        config = folder / "recon.yaml"
        text = config.read_text(encoding="utf-8").replace(f"start: {world.days[0]}", f"start: {FIRST_DAY}")
        config.write_text(text, encoding="utf-8")
        os.environ.update(sandbox.environment)
        yield load_settings(config), sandbox


def run_demo(settings: Settings, sandbox: Sandbox, say: Say) -> DemoResult:
    """Bring everything up, live through the month, see it in the UI, and end the UI if it was down."""
    from recon_pipeline.assets.processes import PORT, down, running, up
    from recon_pipeline.assets.resource import open_database
    from recon_pipeline.stores.embedded import database_url

    began = time.monotonic()
    was_up = "webserver" in running(settings)
    say("starting the database")
    open_database(settings)
    url = database_url(settings)
    runs = []
    for first, last in ((FIRST_DAY, HALF), (HALF + timedelta(days=1), LAST_DAY)):
        nights = [first + timedelta(days=number - 1) for number in range((last - first).days + 2)]
        _live_through(settings, sandbox, say, nights)
        runs.append(_run(settings, sandbox, say, first, last))
    say("looking at it in the UI")
    try:
        there = up(settings, url, PORT)
        seen = _materialised_assets(there["webserver"].port or 0, runs[-1].job.run_id)
    finally:
        if not was_up:
            down(settings)
    compared, besides = _compare(url, planted(sandbox))
    return DemoResult(runs, compared, besides, seen, len(sandbox.log), time.monotonic() - began)


def _live_through(settings: Settings, sandbox: Sandbox, say: Say, days: Sequence[date]) -> None:
    """Let the nights pass that close these days, and capture in each what the venue will not tell again."""
    from recon_pipeline.stores.embedded import database_url
    from recon_pipeline.venues.sources import capture_now

    for number, day in enumerate(days, start=1):
        _advance(sandbox, day + timedelta(days=1), minutes=5)
        say("letting the nights pass", number, len(days))
        capture_now(settings, VENUE, database_url(settings), lambda _: None)


def _run(settings: Settings, sandbox: Sandbox, say: Say, first: date, last: date) -> RunResult:
    """The run of a range at the time at which its last day is due."""
    from recon_pipeline.cli import run_requests
    from recon_pipeline.reconcile.pipeline import Request

    due = last + timedelta(days=2)
    _advance(sandbox, due, minutes=120)
    return run_requests(settings, [Request(VENUE, first, last, due)], say)[0]


def _advance(sandbox: Sandbox, day: date, minutes: int) -> None:
    to = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes)
    body = {"to_us": int(to.timestamp()) * 1_000_000}
    with httpx.Client(trust_env=False, timeout=60) as client:
        client.post(f"{sandbox.url}/sandbox/clock/advance", json=body).raise_for_status()


def planted(sandbox: Sandbox) -> list[Planted]:
    """Every row of the month that must tell of something planted."""
    found = [
        Planted(
            story=_STORIES[effect["fault"]],
            date=date.fromisoformat(effect["date"]),
            account=effect["account"],
            wallet=effect["wallet"],
            asset=effect["asset"],
            status=effect["status"],
            variance=Decimal(effect["amount"]) if effect.get("amount") else None,
        )
        for effect in manifest(sandbox.world)["effects"]
        if effect["kind"] == "row" and effect["is_required"]
    ]
    return sorted((one for one in found if FIRST_DAY <= one.date <= LAST_DAY), key=lambda one: (one.date, one.asset))


def _compare(url: str, expected: Sequence[Planted]) -> tuple[list[Comparison], list[Mapping[str, Any]]]:
    """Every row that is not plainly matched beside what was planted."""
    import sqlalchemy as sa

    from recon_pipeline.stores.database import connection

    query = sa.text(
        "SELECT date, account, wallet, asset, status, discrepancy_type, variance_in_asset, variance_in_usd"
        " FROM recon.reconciliation WHERE venue = :venue AND date BETWEEN :first AND :last"
        " AND status <> 'opening' AND (status <> 'matched' OR discrepancy_type IS NOT NULL)"
        " ORDER BY date, account, wallet, asset"
    )
    with connection(url, "reading what the demo found") as database:
        rows = database.execute(query, {"venue": VENUE, "first": FIRST_DAY, "last": LAST_DAY}).mappings().all()
    by_key = {(row["date"], row["account"], row["wallet"], row["asset"]): dict(row) for row in rows}
    compared = [Comparison(one, by_key.pop((one.date, one.account, one.wallet, one.asset), None)) for one in expected]
    return compared, list(by_key.values())


def _materialised_assets(port: int, run_id: str) -> int:
    """How many assets the UI shows as materialised by that run; it may still be loading them."""
    deadline = time.monotonic() + _UI_SECONDS_MAX
    while True:
        nodes = _graphql(port, _ASK_THE_UI).get("data", {}).get("assetNodes", [])
        seen = sum(any(event["runId"] == run_id for event in node["assetMaterializations"]) for node in nodes)
        if seen or time.monotonic() > deadline:
            return seen
        time.sleep(0.3)


def _graphql(port: int, query: str) -> dict[str, Any]:
    with httpx.Client(trust_env=False, timeout=30) as client:
        answer = client.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}).raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def as_dict(result: DemoResult) -> dict[str, Any]:
    """For a program."""
    rows = [
        {"planted": one.planted.story, "found": one.is_found, "date": one.planted.date, "row": one.row}
        for one in result.compared
    ]
    told = {"planted": rows, "besides": result.besides, "assets_in_ui": result.seen_in_ui, "seconds": result.seconds}
    return result.run.as_dict() | told


def print_result(settings: Settings, result: DemoResult) -> None:
    """The tables a person reads, and where to go on."""
    from recon_pipeline.assets.processes import PORT
    from recon_pipeline.stores.database import shown
    from recon_pipeline.stores.embedded import database_url
    from recon_pipeline.terminal import console, rows_table, verdict_table

    out = console()
    rows = sum(sum(run.findings.statuses.values()) for run in result.runs)
    out.print(
        f"\n{FIRST_DAY:%B %Y} at a simulated Binance: {rows} rows from {result.requests} requests in"
        f" {result.seconds:.0f} s, {result.seen_in_ui} assets in the UI\n"
    )
    out.print(verdict_table({f"{VENUE} (to {run.request.last_day})": run.verdicts for run in result.runs}))
    for account in result.run.verdicts:
        if account.why:
            out.print(f"{account.account}: {account.why}")
    found = [_told(one) for one in result.compared] + [_besides(row) for row in result.besides]
    out.print()
    out.print(rows_table("What was planted, and the rows that tell of it", found, list(found[0])))
    out.print("\nEverything planted was found, and nothing else." if result.is_right else "\nNOT as planted.")
    out.print("\nOpen next:")
    out.print(f"  recon up          the UI, at http://127.0.0.1:{PORT}/assets/{VENUE}/reconciliation")
    out.print(f"  recon export      the marts as CSV; recon database url: {shown(database_url(settings))}")
    out.print(f"  {settings.lake_url}/reconciliation   the same rows as Parquet")
    out.print("  recon sandbox     serves such a venue for you to try; docs/binance.md says how to read your own")
    out.print("  recon init        a recon.yaml for statements of your own;  recon down ends what is up")


def _told(one: Comparison) -> dict[str, Any]:
    row = one.row or {}
    return {
        "found": "yes" if one.is_found else "NO",
        "planted": one.planted.story,
        "date": one.planted.date,
        "position": f"{one.planted.account} {one.planted.wallet} {one.planted.asset}",
        "row_says": " ".join(str(row.get(name) or "") for name in ("status", "discrepancy_type")).strip() or "no row",
        "variance": _decimal(row.get("variance_in_asset")),
        "USD": _decimal(row.get("variance_in_usd")),
    }


def _besides(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "found": "NOT PLANTED",
        "planted": "",
        "date": row["date"],
        "position": f"{row['account']} {row['wallet']} {row['asset']}",
    }
    says = f"{row['status']} {row['discrepancy_type'] or ''}"
    return told | {"row_says": says, "variance": row["variance_in_asset"], "USD": row["variance_in_usd"]}


def _decimal(value: Any) -> Decimal | None:
    return value if isinstance(value, Decimal) else None
