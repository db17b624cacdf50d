"""The sandbox's statements, and the demo as a newcomer meets it."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from recon_pipeline.sandbox.statements import FIRST_DAY, LAST_DAY, planted, write_demo, write_statements
from recon_pipeline.stores.database import connection
from recon_pipeline.stores.embedded import EmbeddedPostgres


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_statements_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    write_statements(tmp_path / "one")
    write_statements(tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_four_things_are_planted_in_two_accounts() -> None:
    assert len({one.story for one in planted()}) == 4
    assert {one.account for one in planted()} == {"operations", "treasury"}
    assert all(FIRST_DAY < one.date < LAST_DAY for one in planted())
    assert [one.variance for one in planted() if one.status == "variance"] == [Decimal("-0.0005"), Decimal(-25000)]


def test_no_wallet_of_the_statements_is_ever_overdrawn(tmp_path: Path) -> None:
    write_demo(tmp_path)
    for path in (tmp_path / "statements").glob("balances-*.csv"):
        with path.open(encoding="utf-8") as file:
            assert all(Decimal(row["raw_balance"]) > 0 for row in csv.DictReader(file))


def places_of_secrets(home: Path) -> list[str]:
    """Where any key or secret of the demo's accounts stands: in files beside its own, in the lake, in the archive, in
    any table of PostgreSQL, Dagster's events among them."""
    own = home / "demo" / "credentials.env"
    secrets = [line.partition("=")[2] for line in own.read_text(encoding="utf-8").splitlines()]
    assert len(secrets) == 4
    found = [
        str(path)
        for path in home.rglob("*")
        if path.is_file() and path != own and "pg" not in path.relative_to(home).parts[:1]
        if any(secret in text_of(path) for secret in secrets)
    ]
    with connection(EmbeddedPostgres(home).url(), "looking for secrets") as opened:
        tables = opened.execute(
            sa.text(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
        ).scalars()
        for table in list(tables):
            for secret in secrets:
                query = sa.text(f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE :pattern")
                if opened.scalar(query, {"pattern": f"%{secret}%"}):
                    found.append(table)
    return found


def text_of(path: Path) -> str:
    if path.suffix == ".parquet":
        return str(pq.ParquetFile(path).read().to_pylist())
    if path.suffix == ".zst":
        with pa.input_stream(str(path), compression="zstd") as packed:
            return bytes(packed.read()).decode("utf-8", "replace")
    return path.read_bytes().decode("utf-8", "replace")


@pytest.mark.postgres
def test_the_demo_finds_what_was_planted_and_nothing_else_and_ends_the_ui_it_started(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RECON_", "DAGSTER_"))}
    command = [sys.executable, "-c", "from recon_pipeline.cli import main; main()", "demo"]
    paths = os.pathsep.join(["" if path == "." else path for path in sys.path if path])
    environment |= {"PYTHONPATH": paths}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    try:
        assert done.returncode == 0, done.stderr
        assert "Everything planted was found, and nothing else." in done.stdout
        assert "recon up" in done.stdout
        status = subprocess.run(
            [*command[:-1], "status", "--json"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        told = json.loads(status.stdout)
        assert status.returncode == 1
        assert told["processes"] == {}, "the UI that the demo started is ended"
        assert told["venues"][0]["open_variances"] == 5
        assert EmbeddedPostgres(tmp_path / ".recon").status().running
        assert places_of_secrets(tmp_path / ".recon") == []
    finally:
        EmbeddedPostgres(tmp_path / ".recon").stop()
