"""The sandbox's statements, and the demo as a newcomer meets it."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
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


@dataclass
class Searched:
    """What was looked through for secrets, and where any was found."""

    kinds: Counter[str] = field(default_factory=Counter)
    """Files by suffix, tables by name: how many files, how many rows."""
    found: list[str] = field(default_factory=list)


def search_for_secrets(home: Path) -> Searched:
    """Look for every key and secret of the demo's accounts: in files beside its own (logs, the lake, the archive, the
    server's own files), and in any table of PostgreSQL, Dagster's events among them."""
    own, searched = home / "demo" / "credentials.env", Searched()
    secrets = [line.partition("=")[2] for line in own.read_text(encoding="utf-8").splitlines()]
    assert len({secret for secret in secrets if len(secret) == 64}) == 4
    for path in home.rglob("*"):
        with suppress(FileNotFoundError):  # the server is up, and drops files
            if path.is_file() and path != own:
                searched.kinds[path.suffix] += 1
                text = bytes_of(path)
                searched.found += [str(path.relative_to(home))] * any(secret.encode() in text for secret in secrets)
    with connection(EmbeddedPostgres(home).url(), "looking for secrets") as opened:
        tables = opened.execute(
            sa.text(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
        ).scalars()
        for table in list(tables):
            hits = " OR ".join(f"t::text LIKE '%{told}%'" for key in secrets for told in (key, key.encode().hex()))
            rows, hit = opened.execute(
                sa.text(f"SELECT count(*), count(*) FILTER (WHERE {hits}) FROM {table} AS t")
            ).one()
            searched.kinds[table] += rows
            searched.found += [table] * bool(hit)
    return searched


def bytes_of(path: Path) -> bytes:
    if path.suffix == ".parquet":
        return str(pq.ParquetFile(path).read().to_pylist()).encode()
    if path.suffix == ".zst":
        with pa.input_stream(str(path), compression="zstd") as packed:
            return bytes(packed.read())
    return path.read_bytes()


def assert_no_secret_is_found_but_those_that_are_planted(
    home: Path, *outputs: subprocess.CompletedProcess[str]
) -> None:
    for number, output in enumerate(outputs):
        (home / f"output-{number}.txt").write_text(output.stdout + output.stderr, encoding="utf-8")
    searched = search_for_secrets(home)
    assert searched.found == []
    for kind in (".txt", ".log", ".zst", ".parquet", "recon.raw_records", "dagster.event_logs", "dagster.runs"):
        assert searched.kinds[kind], f"nothing was searched of {kind}: {searched.kinds}"
    planted_at = plant_secrets(home)
    assert {place for place in search_for_secrets(home).found if not place.startswith("pg/")} == planted_at


def plant_secrets(home: Path) -> set[str]:
    """Put a secret everywhere where the search has to see it; where."""
    line = (home / "demo" / "credentials.env").read_text(encoding="utf-8").splitlines()[-1]
    secret = line.partition("=")[2]
    (home / "planted.log").write_text(f"2026-01-01 the secret was {secret}\n", encoding="utf-8")
    with pa.output_stream(str(home / "planted.zst"), compression="zstd") as packed:
        packed.write(f'{{"key": "{secret}"}}'.encode())
    pq.write_table(pa.table({"remark": [secret]}), home / "planted.parquet")
    with connection(EmbeddedPostgres(home).url(), "planting secrets") as opened:
        for name, kind in (("planted_text", "text"), ("planted_json", "jsonb"), ("planted_bytes", "bytea")):
            value = {"text": secret, "jsonb": json.dumps({"key": [secret]}), "bytea": secret.encode()}[kind]
            opened.execute(sa.text(f"CREATE TABLE dagster.{name} (told {kind})"))
            opened.execute(sa.text(f"INSERT INTO dagster.{name} VALUES (CAST(:told AS {kind}))"), {"told": value})
        opened.commit()
    tables = {f"dagster.planted_{kind}" for kind in ("text", "json", "bytes")}
    return {"planted.log", "planted.zst", "planted.parquet", *tables}


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
        assert_no_secret_is_found_but_those_that_are_planted(tmp_path / ".recon", done, status)
    finally:
        EmbeddedPostgres(tmp_path / ".recon").stop()
