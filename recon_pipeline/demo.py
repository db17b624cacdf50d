"""`recon demo`: a month of our own making, from nothing to a table of what is wrong in it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from recon_pipeline.config import Settings, load_settings
from recon_pipeline.sandbox.statements import FIRST_DAY, LAST_DAY, VENUE, Planted, planted, write_demo

if TYPE_CHECKING:
    from recon_pipeline.cli import RunResult
    from recon_pipeline.reconcile.pipeline import Say

_UI_SECONDS_MAX = 30
_ASK_THE_UI = """{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { runId } } }"""


@dataclass(frozen=True)
class Comparison:
    """What was planted, and the row that tells of it; `row` is None where none does."""

    planted: Planted
    row: Mapping[str, Any] | None

    @property
    def is_found(self) -> bool:
        """Whether the row says what was planted, to the last decimal."""
        if self.row is None:
            return False
        told = (self.row["status"], self.row["discrepancy_type"], self.row["variance_in_asset"])
        return told == (self.planted.status, self.planted.discrepancy_type, self.planted.variance)


@dataclass(frozen=True)
class DemoResult:
    """The run, what it found of what was planted, and what it found besides."""

    run: RunResult
    compared: Sequence[Comparison]
    besides: Sequence[Mapping[str, Any]]
    seen_in_ui: int
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether everything planted was found, and nothing else."""
        return all(one.is_found for one in self.compared) and not self.besides


def demo_settings() -> Settings:
    """Write the demo's statements and recon.yaml under RECON_HOME; the settings that they make."""
    home = Path(os.environ.get("RECON_HOME") or ".recon")
    return load_settings(write_demo(home / "demo"))


def run_demo(settings: Settings, say: Say) -> DemoResult:
    """Bring everything up, reconcile the month through Dagster, see it in the UI, and end the UI if it was down."""
    from recon_pipeline.assets.processes import PORT, down, running, up
    from recon_pipeline.cli import run_requests
    from recon_pipeline.reconcile.pipeline import Request, today
    from recon_pipeline.stores.embedded import database_url

    began = time.monotonic()
    was_up = "webserver" in running(settings)
    request = Request(VENUE, FIRST_DAY, LAST_DAY, today())
    result = run_requests(settings, [request], say)[0]
    url = database_url(settings)
    say("looking at it in the UI")
    try:
        there = up(settings, url, PORT)
        seen = _materialised_assets(there["webserver"].port or 0, result.job.run_id)
    finally:
        if not was_up:
            down(settings)
    compared, besides = _compare(url)
    return DemoResult(result, compared, besides, seen, time.monotonic() - began)


def _compare(url: str) -> tuple[list[Comparison], list[Mapping[str, Any]]]:
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
    compared = [Comparison(one, by_key.pop((one.date, one.account, one.wallet, one.asset), None)) for one in planted()]
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
    rows = sum(result.run.findings.statuses.values())
    out.print(f"\n{FIRST_DAY:%B %Y}: {rows} rows in {result.seconds:.0f} s, {result.seen_in_ui} assets in the UI\n")
    out.print(verdict_table({VENUE: result.run.verdicts}))
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
