"""Published records that nobody on this project wrote, through the statements venue and its mappings only.

They lie beside the checkout (`../shared/data`) and are read in place; with CI=true their absence is a failure.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recon_pipeline.config import Settings, load_settings
from recon_pipeline.reconcile.changes import changed_days, ranges
from recon_pipeline.reconcile.pipeline import Request, run_venue
from recon_pipeline.stores.database import connection
from recon_pipeline.stores.lake import Lake
from recon_pipeline.stores.marts import deploy, mart_models, refresh
from recon_pipeline_tests.homes import lake_bytes, rows

PUBLISHED = Path(__file__).parents[2] / "shared" / "data"
MAPPINGS = Path(__file__).parent / "mappings"
AS_OF = date(2026, 11, 1)
COMPUTED = ("transfers", "trades", "balances", "prices", "coverage", "expected", "reconciliation", "partitions")


@pytest.fixture(autouse=True)
def published() -> None:
    """Fail in CI, skip elsewhere, where the records are not there."""
    if not PUBLISHED.is_dir():
        assert os.environ.get("CI") != "true", f"{PUBLISHED} is missing"
        pytest.skip(f"the published records are not at {PUBLISHED}")


@dataclass(frozen=True)
class House:
    """A venue's settings with a home and a database of the test's own."""

    settings: Settings
    venue: str

    def run(self, first: date, last: date) -> None:
        """One run over a range of days."""
        run_venue(self.settings, Request(self.venue, first, last, AS_OF), f"{first} {last}", self.url)

    @property
    def url(self) -> str:
        """The database."""
        return str(self.settings.database_url)

    def reconciled(self) -> list[dict[str, Any]]:
        """Every row of the lake's reconciliation."""
        found: list[dict[str, Any]] = Lake(self.settings.lake_url).read("reconciliation", self.venue).to_pylist()
        return found

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with connection(self.url, "asking") as database:
            return [tuple(row) for row in database.execute(sa.text(text))]

    def verdicts(self) -> Counter[str]:
        """Verdicts of all account-days, from the marts."""
        refresh(self.url, mart_models(), self.venue)
        return Counter(dict(self.query("SELECT verdict, count(*) FROM marts.account_day_verdict GROUP BY verdict")))


def house(config: Path, home: Path, url: str) -> House:
    """A house whose recon.yaml is `config`."""
    settings = load_settings(config, {"RECON_HOME": str(home), "RECON_DATABASE_URL": url})
    deploy(url, mart_models())
    return House(settings, next(iter(settings.venues)))


@pytest.fixture
def dao(tmp_path: Path, database: str) -> House:
    """The DAO's treasury: 117 snapshots and 8,203 transfers."""
    return house(MAPPINGS / "decentraland_dao" / "recon.yaml", tmp_path, database)


@pytest.fixture
def treasury(tmp_path: Path, database: str) -> House:
    """The operating cash of the US Treasury."""
    return house(MAPPINGS / "us_treasury" / "recon.yaml", tmp_path, database)


def test_every_position_of_the_dao_follows_from_its_transfers(dao: House) -> None:
    dao.run(date(2026, 1, 1), date(2026, 4, 27))

    found = dao.reconciled()
    statuses = Counter((row["status"], row["discrepancy_type"]) for row in found)
    assert statuses == {
        ("opening", None): 17,
        ("matched", None): 1799,
        ("matched", "precision"): 122,
        ("incomplete", "missing_snapshot"): 51,
    }
    assert {row["date"] for row in found if row["status"] == "incomplete"} == {
        date(2026, 1, 4),
        date(2026, 1, 22),
        date(2026, 1, 23),
    }
    assert sum(row["variance_in_asset"] == 0 for row in found if row["status"] == "matched") == 1799
    assert Counter(row["price_status"] for row in found)["missing"] == 234
    (matic,) = (
        row["actual_balance"]
        for row in found
        if (row["date"], row["account"], row["asset"]) == (date(2026, 1, 1), "Aragon Agent", "MATIC")
    )
    assert matic == Decimal("0.02")

    in_database = dict(dao.query("SELECT status, count(*) FROM recon.reconciliation GROUP BY status"))
    assert in_database == {"opening": 17, "matched": 1921, "incomplete": 51}
    dao.verdicts()
    (worst,) = dao.query("SELECT max(abs(cumulative_variance)) FROM marts.cumulative_drift")
    assert worst[0] <= Decimal("1e-8")


@pytest.mark.long
def test_days_of_the_dao_in_any_order_end_in_the_same_bytes_and_rows(dao: House, tmp_path: Path, database: str) -> None:
    first, last = date(2026, 1, 1), date(2026, 1, 8)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    orders = {
        "range": [(first, last)],
        "backwards": single(reversed(days)),
        "alternating": single(days[::2] + days[1::2]),
    }

    ended = {}
    for name, runs in orders.items():
        home = replace(dao.settings, home=tmp_path / name, lake_url=str(tmp_path / name / "lake"))
        empty(database)
        for run in runs:
            House(home, dao.venue).run(*run)
        reconciled = {path: digest for path, digest in lake_bytes(home).items() if path.startswith("reconciliation")}
        ended[name] = (reconciled, rows(home)["reconciliation"])

    assert ended["backwards"] == ended["range"]
    assert ended["alternating"] == ended["range"]


def empty(database: str) -> None:
    """Forget everything that runs have stored in PostgreSQL."""
    with connection(database, "emptying") as opened:
        for table in (*COMPUTED, "source_files"):
            opened.execute(sa.text(f"DELETE FROM recon.{table}"))
        opened.commit()


def single(days: Iterable[date]) -> list[tuple[date, date]]:
    """A run for each day."""
    return [(day, day) for day in days]


@pytest.fixture
def january(tmp_path: Path) -> Path:
    """The DAO's January in two files of each kind, as it might have been published; the folder of recon.yaml."""
    config = tmp_path / "config"
    folder = config / "files"
    folder.mkdir(parents=True)
    for source, column in (("balances-2026", "Timestamp"), ("transactions-2026", "Date")):
        with (PUBLISHED / "decentraland_dao" / f"{source}.csv").open(newline="") as file:
            reader = csv.DictReader(file)
            of_january = [row for row in reader if row[column] < "2026-02-01"]
            names = list(reader.fieldnames or ())
        for part, is_later in (("a", False), ("b", True)):
            with (folder / f"{source}-{part}.csv").open("w", newline="") as out:
                writer = csv.DictWriter(out, names)
                writer.writeheader()
                writer.writerows([row for row in of_january if (row[column] >= "2026-01-16") is is_later])
    mapping = MAPPINGS / "decentraland_dao"
    (config / "recon.yaml").write_text(
        (mapping / "recon.yaml")
        .read_text()
        .replace("../../../../shared/data/decentraland_dao", "files")
        .replace("mapping: .", f"mapping: {mapping}")
    )
    return config


def test_late_changed_and_vanished_files_end_as_if_the_folder_had_always_been_so(
    january: Path, tmp_path: Path, database: str
) -> None:
    first, last = date(2026, 1, 1), date(2026, 1, 31)
    always = house(january / "recon.yaml", tmp_path / "always", database)
    always.run(first, last)
    expected = lake_bytes(always.settings)
    rows_expected = rows(always.settings)
    empty(database)

    later = house(january / "recon.yaml", tmp_path / "later", database)
    late = january / "files" / "transactions-2026-b.csv"
    changed = january / "files" / "balances-2026-a.csv"
    vanishing = january / "files" / "balances-2026-c.csv"
    late_text, right_text = late.read_text(), changed.read_text()
    late.unlink()
    changed.write_text(right_text.replace("16940.753297726667", "16940.5"))
    header, *_ = right_text.splitlines()
    vanishing.write_text(f"{header}\n2026-01-22T10:00:00.000Z,Aragon Agent,1,DAI,1,1,Ethereum,0x1,0x2\n")
    later.run(first, last)
    assert lake_bytes(later.settings) != expected

    late.write_text(late_text)
    changed.write_text(right_text)
    vanishing.unlink()
    touched = changed_days(later.settings, later.settings.venues[later.venue], later.url)
    for one in ranges(touched, first, last):
        later.run(*one)

    assert lake_bytes(later.settings) == expected
    after = rows(later.settings)
    assert {table: after[table] for table in rows_expected} == rows_expected


@pytest.mark.parametrize(
    ("last", "exact", "above", "below"),
    [
        (date(2022, 12, 31), 125, 27, 25),
        pytest.param(date(2025, 9, 2), 569, 137, 140, marks=pytest.mark.long),
    ],
)
def test_the_treasury_is_off_by_a_rounded_million_and_never_by_more(
    treasury: House, last: date, exact: int, above: int, below: int
) -> None:
    treasury.run(date(2022, 4, 15), last)

    found = treasury.reconciled()
    days = exact + above + below
    assert Counter(row["status"] for row in found) == {"opening": 1, "matched": days}
    off = Counter(row["variance_in_asset"] for row in found if row["status"] == "matched")
    assert off == {Decimal(0): exact, Decimal(1000000): above, Decimal(-1000000): below}
    # the publisher rounds every day: the errors wander, and only a wider cumulative tolerance says that they may
    assert treasury.verdicts() == {"green": days, "opening": 1}


@pytest.mark.long
@pytest.mark.parametrize(
    ("level", "variances", "red"),
    [
        ('default: "0", cumulative: "12000000"', 277, 277),
        ('default: "1000000"', 0, 744),
    ],
)
def test_narrower_tolerances_show_what_the_treasury_rounds(
    tmp_path: Path, database: str, level: str, variances: int, red: int
) -> None:
    mapping = MAPPINGS / "us_treasury"
    lines = (mapping / "recon.yaml").read_text().splitlines()
    config = tmp_path / "recon.yaml"
    config.write_text(
        "\n".join(f"    us_treasury: {{{level}}}" if line.startswith("    us_treasury: {") else line for line in lines)
        .replace("../../../../shared", str(PUBLISHED.parent))
        .replace("mapping: .", f"mapping: {mapping}")
    )
    narrow = house(config, tmp_path / "home", database)
    narrow.run(date(2022, 4, 15), date(2025, 9, 2))

    assert Counter(row["status"] for row in narrow.reconciled()).get("variance", 0) == variances
    assert narrow.verdicts() == {"red": red, "green": 846 - red, "opening": 1}
