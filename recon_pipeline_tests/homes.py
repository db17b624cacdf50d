"""A RECON_HOME of a test's own with the demo's statements in it, and what two of them are compared by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recon_pipeline.config import Settings, load_settings
from recon_pipeline.reconcile.pipeline import Request, run_venue
from recon_pipeline.sandbox.statements import VENUE, write_demo
from recon_pipeline.stores.database import connection
from recon_pipeline.stores.marts import deploy, mart_models

AS_OF = date(2026, 1, 1)
FIRST, LAST = date(2025, 10, 1), date(2025, 10, 31)
_TABLES = {
    **dict.fromkeys(("transfers", "trades", "balances", "prices", "coverage"), "WHERE retired_at IS NULL"),
    **dict.fromkeys(("expected", "reconciliation", "quarantine", "partitions"), ""),
}
# raw_id is where a row stood when its version was recorded: versions compare content, and a line above it may go.
_NOT_CONTENT = {"id", "match_id", "version", "recorded_at", "retired_at", "run_id", "loaded_at", "raw_id"}


def demo_home(folder: Path, database: str) -> Settings:
    """Settings of a new home below `folder`, with the demo's statements, in that database."""
    config = write_demo(folder / "demo")
    deploy(database, mart_models())
    return load_settings(config, {"RECON_HOME": str(folder / "home"), "RECON_DATABASE_URL": database})


def demo_in_environment(folder: Path, database: str, environment: pytest.MonkeyPatch) -> Settings:
    """A new home as `demo_home` makes it, found by whatever reads the environment, as Dagster's processes do."""
    made = demo_home(folder, database)
    for name, value in (("HOME", made.home), ("CONFIG", made.path), ("DATABASE_URL", database)):
        environment.setenv(f"RECON_{name}", str(value))
    return made


def run(settings: Settings, first: date = FIRST, last: date = LAST, **options: Any) -> set[date]:
    """Run days of the demo; the days whose reconciliation changed."""
    request = Request(VENUE, first, last, AS_OF, **options)
    return set(run_venue(settings, request, f"test {first} {last}", str(settings.database_url)).changed)


def lake_bytes(settings: Settings) -> dict[str, str]:
    """The digest of every partition that can be read, by its path in the lake."""
    lake = Path(settings.lake_url)
    return {
        str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(lake.rglob("*.parquet"))
        if ".staging" not in path.parts
    }


def rows(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """What PostgreSQL holds, in every column that is content, sorted."""
    with connection(str(settings.database_url), "comparing") as database:
        return {table: _content(database, table, where) for table, where in _TABLES.items()}


def _content(database: sa.Connection, table: str, where: str) -> list[tuple[Any, ...]]:
    found = database.execute(sa.text(f"SELECT * FROM recon.{table} {where}"))
    names = [name for name in list(found.keys()) if name not in _NOT_CONTENT]
    return sorted((tuple(row[name] for name in names) for row in found.mappings()), key=repr)


def edit(settings: Settings, name: str, change: Callable[[list[str]], Iterable[str]]) -> None:
    """Rewrite a file of the statements, line by line; `change` is given its lines, header first."""
    path = settings.venues[VENUE].folder / name
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(change(lines)) + "\n", encoding="utf-8")
