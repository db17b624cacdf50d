"""The marts on a real PostgreSQL: small stories of money, and the verdict of every day.

Each story inserts reconciliation rows as the kernel would leave them, refreshes the marts and reads them. After each,
all tests that stand beside the models must hold.
"""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recon_pipeline.frames.schema import NOT_MADE
from recon_pipeline.stores.database import DatabaseError, connection, migrate
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.stores.export import export_marts
from recon_pipeline.stores.marts import analyse_grown, deploy, mart_models, refresh, refresh_if_changed, run_tests
from recon_pipeline.venues.binance.mapping.balances import CAPTURE_STREAMS, SNAPSHOT_STREAMS
from recon_pipeline.venues.binance.mapping.own_transfers import SOURCES

pytestmark = pytest.mark.postgres

JANUARY = date(2026, 1, 1)
TABLES = (
    "venues, tolerances, openings, runs, partitions, reconciliation, expected, transfers, trades, balances, coverage,"
    " raw_records, pulls, asked_symbols, restatements, reconciliation_history"
)

OWN_TRANSFERS = ("between_account_main_spot", "between_account_sub", "between_wallets")


def jan(day: int) -> date:
    """The day of January 2026; 32 is the first of February."""
    return JANUARY + timedelta(days=day - 1)


def close(day: int) -> datetime:
    return datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC) + timedelta(days=day - 1)


class Book:
    """What was reconciled, as rows in the schema recon."""

    def __init__(self, url: str) -> None:
        self.url = url

    def insert(self, table: str, **values: Any) -> None:
        names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
        with connection(self.url, "telling a story") as database:
            database.execute(sa.text(f"INSERT INTO recon.{table} ({names}) VALUES ({places})"), values)

    def venue(
        self, name: str = "bank", *, kind: str = "statements", calendar: str = "daily", start: int = 1, last: int
    ) -> None:
        """A venue of which a run covered the days up to `last`."""
        self.insert("venues", venue=name, kind=kind, calendar=calendar, start=jan(start), due_days=1)
        self.insert(
            "runs", run_id=f"r-{name}", venue=name, first_day=jan(start), last_day=jan(last), as_of_day=jan(last)
        )

    def row(
        self,
        day: int,
        status: str = "matched",
        variance: str | None = "0",
        *,
        kind: str | None = None,
        since: int | None = None,
        venue: str = "bank",
        account: str = "main",
        wallet: str = "cash",
        asset: str = "USD",
        tolerance: str = "0",
        price: str | None = "1",
        recomputed: str | None = None,
    ) -> None:
        """A row of `day` whose window began at the close of `since` (the day before, unless said)."""
        if status == "opening" or kind in (
            "missing_snapshot",
            "never_stated",
            "quarantined_balance",
            "absence_unknown",
        ):
            variance = None
        told = variance is not None
        start = Decimal(100)
        amount = Decimal(variance or 0)
        known = told or status in ("opening", "informational") or kind in ("no_start", "as_of_before_start")
        windows = told or kind == "as_of_before_start"
        self.insert(
            "reconciliation",
            date=jan(day),
            venue=venue,
            account=account,
            wallet=wallet,
            asset=asset,
            window_start=close(since if since is not None else day - 1) if windows else None,
            window_end=close(day) if known else None,
            start_balance=start if told else None,
            transfers_in=Decimal(3) if told else None,
            transfers_out=Decimal(-1) if told else None,
            trades_in=Decimal(0) if told else None,
            trades_out=Decimal(0) if told else None,
            fees=Decimal(-2) if told else None,
            calculated_balance=start if told else None,
            actual_balance=start + amount if known else None,
            variance_in_asset=amount if told else None,
            usd_price=Decimal(price) if price else None,
            price_status="ok" if price else "missing",
            variance_in_usd=amount * Decimal(price) if price and told else None,
            unrealised_pnl_calculated=recomputed,
            tolerance=Decimal(tolerance),
            status=status,
            severity="low" if status == "variance" else None,
            discrepancy_type=kind or ("mismatch" if status == "variance" else None),
            inputs_digest="0" * 64,
        )
        with connection(self.url, "telling a story") as database:
            database.execute(
                sa.text(
                    "INSERT INTO recon.partitions (venue, frame, date, digest, rows, run_id)"
                    " VALUES (:venue, 'reconciliation', :date, 'd', 1, 'r') ON CONFLICT DO NOTHING"
                ),
                {"venue": venue, "date": jan(day)},
            )

    def opening(self, day: int, **position: Any) -> None:
        self.row(day, "opening", **position)

    def variance(self, day: int, amount: str, **position: Any) -> None:
        self.row(day, "variance", amount, **position)

    def incomplete(self, day: int, kind: str, variance: str | None = None, **position: Any) -> None:
        self.row(day, "incomplete", variance, kind=kind, **position)

    def matched(self, *days: int, **position: Any) -> None:
        for day in days:
            self.row(day, **position)

    def flow(self, day: int, *, venue: str = "bank", account: str = "main", retired: bool = False) -> None:
        self.insert(
            "transfers",
            venue=venue,
            account=account,
            wallet="cash",
            source="transfers",
            external_id=f"{account}-{day}",
            datetime=close(day),
            txn_type="transfer_in",
            txn_subtype="transfer_in",
            measure="balance",
            asset="USD",
            amount=Decimal(1),
            retired_at=close(day) if retired else None,
        )

    def record(self, stream: str, digest: str, content: str = "{}", version: int = 1, *, venue: str = "bank") -> int:
        """A raw record; returns its number."""
        self.insert(
            "raw_records",
            venue=venue,
            account="main",
            stream=stream,
            record_key=digest,
            version=version,
            call="{}",
            content=content,
            digest=digest,
            read_at=close(1),
        )
        [row] = self.read("SELECT max(fid) AS fid FROM recon.raw_records")
        return int(row["fid"])

    def moved(self, frame: str, external_id: str, amount: str, **told: Any) -> None:
        """A flow of day 2."""
        values = {
            "venue": "bank",
            "account": "main",
            "wallet": "cash",
            "source": frame,
            "external_id": external_id,
            "datetime": close(2),
            "txn_type": "trade" if frame == "trades" else "transfer_in",
            "txn_subtype": "transfer_in",
            "measure": "balance",
            "asset": "USD",
            "amount": Decimal(amount),
        }
        self.insert(frame, **{**values, **told})

    def statement(self, day: int, *, account: str = "main", asset: str = "USD", **told: Any) -> None:
        values = {
            "venue": "bank",
            "account": account,
            "wallet": "cash",
            "asset": asset,
            "as_of": close(day),
            "date": jan(day),
            "snapshot_id": str(day),
            "read_at": close(day),
            "raw_balance": Decimal(100),
            "source": "balances",
        }
        self.insert("balances", **{**values, **told})

    def declare_opening(self, day: int, note: str, *, wallet: str = "cash") -> None:
        self.insert("openings", venue="bank", account="main", wallet=wallet, date=jan(day), note=note)

    def tolerate(self, value: str, rank: int, account: str | None = None, asset: str | None = None) -> None:
        self.insert(
            "tolerances",
            venue="bank",
            account=account,
            asset=asset,
            kind="cumulative",
            rank=rank,
            tolerance=Decimal(value),
        )

    def read(self, sql: str) -> list[dict[str, Any]]:
        with connection(self.url, "reading") as database:
            return [dict(row) for row in database.execute(sa.text(sql)).mappings()]

    def verdicts(self, account: str = "main", venue: str = "bank") -> dict[int, str]:
        """Day of January -> verdict, after a refresh."""
        refresh(self.url, mart_models(), venue)
        rows = self.read("SELECT date, venue, account, verdict FROM marts.account_day_verdict ORDER BY date")
        return {
            (row["date"] - JANUARY).days + 1: row["verdict"]
            for row in rows
            if (row["venue"], row["account"]) == (venue, account)
        }

    def why(self, day: int, account: str = "main") -> str:
        rows = self.read("SELECT date, account, why FROM marts.account_day_verdict")
        return next(str(row["why"]) for row in rows if (row["date"], row["account"]) == (jan(day), account))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("home"))
    url = postgres.start()
    try:
        migrate(url)
        deploy(url, mart_models())
        with connection(url, "making the months") as database:
            for table in ("reconciliation", "transfers", "trades", "balances"):
                for day in (jan(1), jan(32)):
                    database.execute(sa.text("SELECT recon.ensure_month(:table, :day)"), {"table": table, "day": day})
        yield postgres
    finally:
        postgres.stop()


@pytest.fixture
def book(server: EmbeddedPostgres) -> Iterator[Book]:
    url = server.url()
    listed = ", ".join(f"recon.{name.strip()}" for name in TABLES.split(","))
    with connection(url, "beginning a story") as database:
        database.execute(sa.text(f"TRUNCATE {listed} CASCADE"))
    yield Book(url)
    refresh(url, mart_models())
    broken = [result for model in mart_models() for result in run_tests(url, model) if not result.passed]
    assert broken == []


# What is green


def test_an_account_is_opened_and_then_green(book: Book) -> None:
    book.venue(last=3)
    book.opening(1)
    book.matched(2, 3)
    assert book.verdicts() == {1: "opening", 2: "green", 3: "green"}
    assert book.why(1) == "first snapshots: 1"
    assert book.why(3) == "rows within tolerance: 1 of 1"


def test_a_new_wallet_beside_a_matched_one_is_no_opening_of_the_account(book: Book) -> None:
    book.venue(last=2)
    book.opening(1)
    book.matched(2)
    book.opening(2, wallet="savings")
    assert book.verdicts() == {1: "opening", 2: "green"}


def test_a_venue_that_only_informs_is_neutral(book: Book) -> None:
    book.venue(last=3)
    book.opening(1)
    book.incomplete(2, "missing_snapshot")
    book.row(3, "informational", None)
    assert book.verdicts() == {1: "opening", 2: "incomplete", 3: "green"}
    assert book.why(3) == "rows within tolerance: 0 of 1; rows of which nothing is rolled: 1"


# What is red


def test_a_variance_stays_red_until_it_is_taken_back(book: Book) -> None:
    book.venue(last=6)
    book.opening(1)
    book.matched(2, 4, 6)
    book.variance(3, "-5", price="2")
    book.variance(5, "5", price="2")
    assert book.verdicts() == {1: "opening", 2: "green", 3: "red", 4: "red", 5: "red", 6: "green"}
    assert book.why(3) == "rows at variance: 1; positions whose cumulative variance is beyond tolerance: 1"
    assert book.why(4) == "positions whose cumulative variance is beyond tolerance: 1"
    assert book.why(5) == "rows at variance: 1"
    [third] = book.read("SELECT * FROM marts.account_day_verdict WHERE date = '2026-01-03'")
    assert (third["scanned"], third["matched"], third["variances"], third["incomplete"]) == (1, 0, 1, 0)
    assert (third["usd_at_variance"], third["unpriced_variances"]) == (Decimal(10), 0)


def test_money_that_vanished_keeps_the_account_red_on_days_without_a_row(book: Book) -> None:
    book.venue(last=5)
    book.opening(1)
    book.opening(1, asset="BTC")
    book.variance(2, "-100", asset="BTC", kind="missing_at_venue")
    book.matched(2, 3, 4, 5)  # nothing is left of the bitcoin, so no later day has a row of it
    assert book.verdicts() == {1: "opening", 2: "red", 3: "red", 4: "red", 5: "red"}
    [latest] = book.read("SELECT * FROM marts.cumulative_drift WHERE asset = 'BTC' AND is_latest")
    assert (latest["date"], latest["cumulative_variance"], latest["beyond_until"]) == (jan(2), Decimal(-100), None)


def test_an_unpriced_variance_is_counted_apart(book: Book) -> None:
    book.venue(last=2)
    book.opening(1)
    book.variance(2, "-5", price=None)
    assert book.verdicts()[2] == "red"
    [day] = book.read("SELECT usd_at_variance, unpriced_variances FROM marts.venue_days WHERE date = '2026-01-02'")
    assert (day["usd_at_variance"], day["unpriced_variances"]) == (Decimal(0), 1)


def test_a_rounding_source_drifts_beyond_the_tolerance_of_a_day_but_not_beyond_a_cumulative_one(book: Book) -> None:
    book.venue(last=6)
    book.opening(1, tolerance="1")
    for day, variance in ((2, "1"), (3, "1"), (4, "-1"), (5, "-1"), (6, "-1")):
        book.row(day, "matched", variance, kind="precision", tolerance="1")
    assert book.verdicts() == {1: "opening", 2: "green", 3: "red", 4: "green", 5: "green", 6: "green"}
    book.tolerate("12", rank=6)
    assert set(book.verdicts().values()) == {"opening", "green"}
    book.tolerate("1", rank=3, asset="USD")
    assert book.verdicts()[3] == "red", "the rule of the asset comes before the one of all"
    book.tolerate("2", rank=2, account="main")
    assert book.verdicts()[3] == "green", "the limit is inclusive, and the account's rule comes first"


def test_the_cumulative_variance_is_the_sum_since_the_opening(book: Book) -> None:
    book.venue(last=4)
    book.opening(1)
    book.row(2, "matched", "0.000000000000000001", tolerance="1")
    book.incomplete(3, "coverage_hole", "7")
    book.row(4, "matched", "-2", tolerance="3", price="0.5")
    book.verdicts()
    rows = book.read("SELECT * FROM marts.cumulative_drift ORDER BY date")
    assert [row["cumulative_variance"] for row in rows] == [
        0,
        Decimal("0.000000000000000001"),
        Decimal("7.000000000000000001"),
        Decimal("5.000000000000000001"),
    ]
    assert [row["is_latest"] for row in rows] == [False, False, False, True]
    assert [row["cumulative_tolerance"] for row in rows] == [0, 1, 0, 3]
    assert [row["opened_on"] for row in rows] == [jan(1)] * 4
    assert rows[-1]["cumulative_variance_in_usd"] == Decimal("2.50000000")


def test_a_position_that_never_differed_has_its_last_day_with_zero(book: Book) -> None:
    book.venue(last=3)
    book.opening(1)
    book.matched(2, 3)
    book.verdicts()
    [row] = book.read("SELECT date, cumulative_variance, is_latest FROM marts.cumulative_drift")
    assert (row["date"], row["cumulative_variance"], row["is_latest"]) == (jan(3), 0, True)


# What is incomplete


def test_a_missing_snapshot_is_open_until_a_complete_window_reaches_over_it(book: Book) -> None:
    book.venue(last=4)
    book.opening(1)
    book.incomplete(2, "missing_snapshot")
    book.matched(3, since=1)
    book.matched(4)
    assert book.verdicts() == {1: "opening", 2: "incomplete", 3: "green", 4: "green"}
    assert book.why(2) == "incomplete rows: 1 (missing_snapshot)"
    [hole] = book.read("SELECT * FROM marts.holes")
    assert (hole["date"], hole["closed_by"], hole["closed_on"], hole["is_open"]) == (jan(2), "window", jan(3), False)


def test_a_missing_snapshot_stays_open_where_the_window_over_it_has_a_hole(book: Book) -> None:
    book.venue(last=5)
    book.opening(1)
    book.incomplete(2, "missing_snapshot")
    book.incomplete(3, "coverage_hole", "0", since=1)
    book.matched(4, 5)
    assert book.verdicts() == {1: "opening", 2: "incomplete", 3: "incomplete", 4: "incomplete", 5: "incomplete"}
    assert book.why(5) == "open behind it since 2026-01-02"
    with connection(book.url, "mending the hole") as database:
        database.execute(
            sa.text("UPDATE recon.reconciliation SET status = 'matched', discrepancy_type = NULL WHERE date = :day"),
            {"day": jan(3)},
        )
    assert book.verdicts() == {1: "opening", 2: "incomplete", 3: "green", 4: "green", 5: "green"}


def test_two_missing_snapshots_are_open_until_the_window_over_both(book: Book) -> None:
    book.venue(last=5)
    book.opening(1)
    book.opening(1, wallet="savings")
    book.incomplete(2, "missing_snapshot")
    book.incomplete(3, "missing_snapshot")
    book.matched(2, 3, 4, 5, wallet="savings")
    book.matched(4, since=1)
    book.matched(5)
    assert book.verdicts() == {1: "opening", 2: "incomplete", 3: "incomplete", 4: "green", 5: "green"}
    assert book.why(3) == "incomplete rows: 1 (missing_snapshot); open behind it since 2026-01-02"


def test_a_missing_snapshot_of_nothing_closes_where_the_next_snapshot_has_no_row_of_it(book: Book) -> None:
    book.venue(last=4)
    for asset in ("USD", "EUR"):
        book.opening(1, asset=asset)
        book.incomplete(2, "missing_snapshot", asset=asset)
    book.matched(3, since=1)  # the euros were stated as zero: nothing started, nothing moved, no row
    book.matched(4)
    assert book.verdicts() == {1: "opening", 2: "incomplete", 3: "green", 4: "green"}


def test_a_missing_snapshot_of_something_waits_for_its_own_window(book: Book) -> None:
    book.venue(last=4)
    for asset in ("USD", "EUR"):
        book.opening(1, asset=asset)
        book.incomplete(2, "missing_snapshot", asset=asset)
    book.matched(3, since=1)
    book.incomplete(3, "quarantined_flow", "0", asset="EUR", since=1)
    book.matched(4)
    book.matched(4, asset="EUR")
    assert book.verdicts() == {1: "opening", 2: "incomplete", 3: "incomplete", 4: "incomplete"}


@pytest.mark.parametrize("kind", ["quarantined_balance", "absence_unknown", "as_of_before_start"])
def test_an_unusable_balance_is_open_until_a_complete_window_reaches_over_it(book: Book, kind: str) -> None:
    book.venue(last=4)
    book.opening(1)
    book.matched(2)
    with connection(book.url, "spoiling a balance") as database:
        database.execute(sa.text("DELETE FROM recon.reconciliation WHERE date = :day"), {"day": jan(2)})
    book.incomplete(2, kind, since=1)
    with connection(book.url, "an as_of before the start's") as database:
        database.execute(
            sa.text("UPDATE recon.reconciliation SET window_end = :end WHERE date = :day AND window_end IS NOT NULL"),
            {"day": jan(2), "end": close(1) - timedelta(hours=1)},
        )
    book.matched(3, since=1)
    book.matched(4)
    assert book.verdicts() == {1: "opening", 2: "incomplete", 3: "green", 4: "green"}


@pytest.mark.parametrize("kind", ["coverage_hole", "quarantined_flow", "no_start"])
def test_a_hole_is_open_until_it_is_filled(book: Book, kind: str) -> None:
    book.venue(last=4)
    book.opening(1)
    book.incomplete(2, kind, None if kind == "no_start" else "0")
    book.matched(3, 4)
    assert book.verdicts() == {1: "opening", 2: "incomplete", 3: "incomplete", 4: "incomplete"}
    assert book.why(4) == "open behind it since 2026-01-02"


def test_the_provisional_figure_of_a_hole_counts(book: Book) -> None:
    book.venue(last=3)
    book.opening(1)
    book.incomplete(2, "coverage_hole", "-8")
    book.matched(3)
    assert book.verdicts() == {1: "opening", 2: "red", 3: "red"}
    assert book.why(3) == (
        "positions whose cumulative variance is beyond tolerance: 1; open behind it since 2026-01-02"
    )


def test_a_wallet_that_only_flows_tell_of_is_open_until_its_first_snapshot(book: Book) -> None:
    book.venue(last=4)
    book.incomplete(1, "never_stated")
    book.incomplete(2, "never_stated")
    book.opening(3)
    book.matched(4)
    assert book.verdicts() == {1: "incomplete", 2: "incomplete", 3: "opening", 4: "green"}


def test_an_opening_closes_what_is_open_in_its_own_wallet_only(book: Book) -> None:
    book.venue(last=4)
    for wallet in ("cash", "savings"):
        book.opening(1, wallet=wallet)
        book.incomplete(2, "coverage_hole", "0", wallet=wallet)
    book.opening(3)
    book.matched(3, wallet="savings")
    book.matched(4)
    book.matched(4, wallet="savings")
    assert book.verdicts()[4] == "incomplete"
    [still_open] = book.read("SELECT wallet, closed_on FROM marts.holes WHERE is_open")
    assert still_open["wallet"] == "savings"


# Openings that were declared


def test_a_declared_opening_begins_anew_and_the_verdict_names_its_note(book: Book) -> None:
    book.venue(last=5)
    book.opening(1)
    book.variance(2, "-5")
    book.incomplete(3, "coverage_hole", "1")
    book.declare_opening(4, "statements of January are lost")
    book.opening(4)
    book.matched(5)
    assert book.verdicts() == {1: "opening", 2: "red", 3: "red", 4: "opening", 5: "green"}
    note = "cash opened anew on 2026-01-04: statements of January are lost"
    assert book.why(4) == f"first snapshots: 1; {note}"
    assert book.why(5) == f"rows within tolerance: 1 of 1; {note}"
    assert "opened anew" not in book.why(3)
    sums = book.read("SELECT opened_on, cumulative_variance FROM marts.cumulative_drift ORDER BY date")
    assert [(row["opened_on"], row["cumulative_variance"]) for row in sums] == [
        (jan(1), 0),
        (jan(1), -5),
        (jan(1), -4),
        (jan(4), 0),
        (jan(4), 0),
    ]


def test_a_declared_opening_waits_for_the_first_snapshot_on_or_after_its_date(book: Book) -> None:
    book.venue(last=4)
    book.opening(1)
    book.variance(2, "-5")
    book.declare_opening(3, "lost")
    book.incomplete(3, "missing_snapshot")
    book.opening(4)
    assert book.verdicts() == {1: "opening", 2: "red", 3: "red", 4: "opening"}


def test_a_position_that_is_gone_when_its_wallet_opens_anew_drifts_no_more(book: Book) -> None:
    book.venue(last=4)
    book.opening(1)
    book.opening(1, asset="BTC")
    book.variance(2, "-100", asset="BTC", kind="missing_at_venue")
    book.matched(2)
    book.declare_opening(3, "the bitcoin went before we kept records")
    book.opening(3)
    book.matched(4)
    assert book.verdicts() == {1: "opening", 2: "red", 3: "opening", 4: "green"}


def test_an_opening_whose_every_balance_is_quarantined_still_begins_anew(book: Book) -> None:
    book.venue(last=4)
    book.opening(1)
    book.variance(2, "-5")
    book.declare_opening(3, "lost")
    book.incomplete(3, "quarantined_balance")
    book.incomplete(4, "no_start")
    assert book.verdicts() == {1: "opening", 2: "red", 3: "incomplete", 4: "incomplete"}


# Days without a row


def test_days_that_were_not_run_are_open_until_they_are(book: Book) -> None:
    book.venue(last=5)
    book.opening(1)
    book.matched(2, 5)
    assert book.verdicts() == {1: "opening", 2: "green", 3: "incomplete", 4: "incomplete", 5: "incomplete"}
    assert book.why(3) == "no row: the day was not run, or nothing states a balance"
    assert book.why(5) == "open behind it since 2026-01-03"
    book.matched(3, 4)
    assert set(book.verdicts().values()) == {"opening", "green"}


def test_days_before_the_first_snapshot_are_incomplete_and_closed_by_it(book: Book) -> None:
    book.venue(last=4)
    book.opening(3)
    book.matched(4)
    assert book.verdicts() == {1: "incomplete", 2: "incomplete", 3: "opening", 4: "green"}


def test_an_account_that_only_coverage_tells_of_has_its_days(book: Book) -> None:
    book.venue(last=2)
    book.insert(
        "coverage",
        venue="bank",
        account="empty",
        stream="*",
        window_start=close(0),
        window_end=close(9),
        status="complete",
    )
    assert book.verdicts("empty") == {1: "incomplete", 2: "incomplete"}


@pytest.mark.parametrize("told_on", [None, 1])
def test_the_days_before_an_account_was_made_are_its_own_only_if_a_row_stands_there(
    book: Book, told_on: int | None
) -> None:
    book.venue(last=4)
    book.insert(
        "coverage",
        venue="bank",
        account="main",
        stream="*",
        window_start=close(0),
        window_end=close(2),
        status="not_applicable",
        error=NOT_MADE,
    )
    book.opening(3)
    book.matched(4)
    if told_on is not None:
        book.incomplete(told_on, "never_stated")
    assert book.verdicts() == dict.fromkeys([1] if told_on else [], "incomplete") | {3: "opening", 4: "green"}


def test_the_days_reach_from_the_start_to_the_latest_that_any_run_covered(book: Book) -> None:
    book.venue(start=2, last=3)
    book.insert("runs", run_id="later", venue="bank", first_day=jan(4), last_day=jan(4), as_of_day=jan(4))
    book.opening(2)
    book.matched(3)
    assert book.verdicts() == {2: "opening", 3: "green", 4: "incomplete"}


def test_weekdays_expect_nothing_on_a_weekend_but_see_what_stands_there(book: Book) -> None:
    book.venue(calendar="weekdays", last=12)  # the first of January 2026 is a Thursday
    book.opening(1)
    book.matched(2, 6, 7, 8, 9)
    book.variance(5, "1", since=2)
    book.variance(10, "-1")
    book.matched(12, since=10)
    verdicts = book.verdicts()
    assert sorted(verdicts) == [1, 2, 5, 6, 7, 8, 9, 10, 12]
    assert (verdicts[9], verdicts[10], verdicts[12]) == ("red", "red", "green")


def test_stated_expects_the_days_of_statements_and_of_flows(book: Book) -> None:
    book.venue(calendar="stated", last=31)
    for day in (5, 20):
        book.statement(day)
    for day in (12, 13, 25):
        book.flow(day)
    book.flow(15, retired=True)
    book.flow(8, account="unstated")
    book.opening(5)
    book.matched(20, since=5)
    assert book.verdicts() == {5: "opening", 12: "incomplete", 13: "incomplete", 20: "green", 25: "incomplete"}
    assert book.verdicts("unstated") == {8: "incomplete"}


def test_a_statement_that_was_not_run_is_open_until_it_is(book: Book) -> None:
    book.venue(calendar="stated", last=31)
    for day in (5, 10, 20):
        book.statement(day)
    book.opening(5)
    book.matched(20, since=10)
    assert book.verdicts() == {5: "opening", 10: "incomplete", 20: "incomplete"}


# What is pending


def test_what_is_not_yet_due_is_pending_and_so_is_what_rests_on_it(book: Book) -> None:
    book.venue(last=4)
    book.opening(1)
    book.row(2, "pending", "-3", kind="coverage_hole")
    book.matched(3)
    book.row(4, "pending", None, kind="missing_snapshot")
    assert book.verdicts() == {1: "opening", 2: "pending", 3: "pending", 4: "pending"}
    assert book.why(2) == (
        "rows not yet due: 1 (coverage_hole); positions whose cumulative variance waits for what is expected: 1"
    )


def test_a_fee_posted_next_day_is_pending_and_then_green(book: Book) -> None:
    book.venue(last=4)
    book.opening(1)
    book.insert(
        "expected",
        venue="bank",
        account="main",
        wallet="cash",
        asset="USD",
        amount=Decimal(-5),
        expected_by=jan(4),
        reason="fee",
    )
    book.row(2, "timing", "-5", kind="expected")
    book.row(3, "timing", "5", kind="taken_back")
    book.matched(4)
    assert book.verdicts() == {1: "opening", 2: "pending", 3: "pending", 4: "green"}


def test_a_residual_that_outlives_its_deadline_turns_red(book: Book) -> None:
    book.venue(last=5)
    book.opening(1)
    book.insert(
        "expected",
        venue="bank",
        account="main",
        wallet="cash",
        asset="USD",
        amount=Decimal(-5),
        expected_by=jan(3),
        reason="transfer in transit",
    )
    book.row(2, "timing", "-5", kind="expected")
    book.matched(3, 4, 5)
    assert book.verdicts() == {1: "opening", 2: "pending", 3: "pending", 4: "red", 5: "red"}


# The other marts


def test_the_summary_has_the_columns_of_the_binance_plan(book: Book) -> None:
    book.venue(last=2)
    book.opening(1)
    book.variance(2, "-5")
    rows = book.read("SELECT * FROM marts.reconciliation_summary ORDER BY date")
    assert ",".join(rows[0]) == (
        "date,email,wallet,asset,start_balance,transfers_in,transfers_out,trades_in,trades_out,fees,"
        "calculated_balance,actual_balance,variance"
    )
    assert list(rows[0].values()) == [jan(1), "main", "cash", "USD", *[None] * 7, Decimal(100), None]
    assert list(rows[1].values()) == [jan(2), "main", "cash", "USD", 100, 3, -1, 0, 0, -2, 100, 95, -5]


def test_open_variances_list_the_gravest_first(book: Book) -> None:
    book.venue(last=3)
    book.opening(1)
    book.matched(3, asset="EUR")
    book.variance(2, "-5")
    book.variance(2, "1", asset="BTC", price="90000")
    rows = book.read("SELECT asset, direction, variance_in_usd FROM marts.open_variances")
    assert [(row["asset"], row["direction"], row["variance_in_usd"]) for row in rows] == [
        ("BTC", "surplus", 90000),
        ("USD", "shortage", -5),
    ]


_FEEDS = [("trades", 1), ("trades", 2), ("deposits", 1), ("deposits", 2)]
"""Of the two days that a window touches."""


@pytest.mark.parametrize(
    ("marks", "is_final"),
    [
        ({}, None),
        (dict.fromkeys(_FEEDS, "final"), True),
        ({**dict.fromkeys(_FEEDS, "final"), ("deposits", 2): "not_applicable", ("trades", 3): "partial"}, True),
        ({**dict.fromkeys(_FEEDS, "final"), ("trades", 2): "complete"}, False),
        ({**dict.fromkeys(_FEEDS, "final"), ("a capture", 2): "complete"}, True),
        (dict.fromkeys(_FEEDS[1:], "final"), False),
        ({**dict.fromkeys(_FEEDS, "final"), ("trades:BTC", 2): "failed", ("trades:BTC", 1): "complete"}, False),
        ({**dict.fromkeys(_FEEDS, "final"), ("trades:BTC", 3): "failed"}, True),
    ],
)
def test_a_variance_is_final_once_no_feed_of_its_window_may_tell_more(
    book: Book, marks: dict[tuple[str, int], str], is_final: bool | None
) -> None:
    book.venue(last=2)
    book.opening(1)
    book.variance(2, "-5")
    with connection(book.url, "naming the feeds") as database:
        database.execute(sa.text("UPDATE recon.venues SET streams = '{trades,deposits}'"))
    for (stream, day), status in marks.items():
        book.insert(
            "pulls", venue="bank", account="main", stream=stream, date=jan(day), status=status, read_at=close(3)
        )
    assert book.read("SELECT is_final FROM marts.open_variances") == [{"is_final": is_final}]


@pytest.mark.parametrize(
    ("old", "new", "is_first"),
    [
        (("pending", None), ("matched", "5"), True),
        (("incomplete", None), ("matched", "5"), True),
        (("incomplete", "4"), ("matched", "5"), True),
        (("opening", None), ("matched", "5"), True),
        (("matched", "4"), ("matched", "5"), False),
        (("variance", "4"), ("incomplete", None), False),
        ((None, None), ("variance", "5"), False),
        ((None, None), ("opening", "5"), True),
        (("matched", "4"), (None, None), False),
    ],
)
def test_a_figure_that_had_counted_is_told_from_one_that_is_the_first(
    book: Book, old: tuple[str | None, str | None], new: tuple[str | None, str | None], is_first: bool
) -> None:
    book.insert(
        "restatements",
        venue="bank",
        date=jan(1),
        account="main",
        wallet="cash",
        asset="USD",
        column_name="actual_balance",
        old_status=old[0],
        old_value=old[1],
        new_status=new[0],
        new_value=new[1],
        run_id="r-bank",
    )
    assert book.read("SELECT is_first_figure FROM marts.restatements") == [{"is_first_figure": is_first}]


@pytest.mark.parametrize(
    ("status", "came_along", "is_first"),
    [("opening", False, False), ("opening", True, True), ("incomplete", False, True)],
)
def test_an_opening_that_appears_in_a_wallet_that_had_been_stated_is_not_the_first(
    book: Book, status: str, is_first: bool, *, came_along: bool
) -> None:
    """What the statement of a wallet leaves out is nothing; of one that nobody had stated nothing was said."""
    book.row(1, status, asset="EUR", kind="never_stated" if status == "incomplete" else None)
    book.row(1, "opening")
    new = {"venue": "bank", "date": jan(1), "account": "main", "wallet": "cash", "column_name": "actual_balance"}
    new |= {"new_status": "opening", "new_value": 5, "run_id": "r-bank", "restated_at": close(3)}
    for asset in ("USD", *(["EUR"] if came_along else [])):
        book.insert("restatements", asset=asset, **new)
    told = book.read("SELECT is_first_figure FROM marts.restatements WHERE asset = 'USD'")
    assert told == [{"is_first_figure": is_first}]


@pytest.mark.parametrize(
    ("before", "is_first"), [("pending", True), ("incomplete", True), ("opening", False), ("variance", False)]
)
def test_an_opening_is_the_first_where_the_wallets_other_rows_had_not_counted_either_until_then(
    book: Book, before: str, is_first: bool
) -> None:
    """A flow told of one asset before the snapshot came that opened both."""
    make_room_for_history(book)
    book.opening(1, asset="EUR")
    book.opening(1)
    wallet = {"venue": "bank", "date": jan(1), "account": "main", "wallet": "cash"}
    rest = {"price_status": "ok", "tolerance": 0, "inputs_digest": "1", "replaced_by": "r-bank"}
    book.insert("reconciliation_history", **wallet, asset="EUR", status=before, replaced_at=close(3), **rest)
    new = {"column_name": "actual_balance", "new_status": "opening", "new_value": 5, "run_id": "r-bank"}
    book.insert("restatements", **wallet, asset="USD", restated_at=close(3), **new)
    assert book.read("SELECT is_first_figure FROM marts.restatements") == [{"is_first_figure": is_first}]


def make_room_for_history(book: Book) -> None:
    """The month that runs would have made."""
    with connection(book.url, "making room") as database:
        database.execute(
            sa.text(
                "CREATE TABLE IF NOT EXISTS recon.reconciliation_history_y2026m01"
                " PARTITION OF recon.reconciliation_history FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"
            )
        )


def test_a_figure_that_had_counted_before_something_was_missed_is_not_the_first(book: Book) -> None:
    position = {"venue": "bank", "date": jan(1), "account": "main", "wallet": "cash", "asset": "USD"}
    rest = {"price_status": "ok", "tolerance": 0, "inputs_digest": "1", "replaced_by": "r-bank"}
    make_room_for_history(book)
    book.insert("reconciliation_history", **position, status="matched", trades_in=0, replaced_at=close(2), **rest)
    changes = {"old_status": "incomplete", "old_value": 0, "new_status": "matched", "new_value": 10, "run_id": "r-bank"}
    for column in ("trades_in", "trades_out"):
        book.insert("restatements", **position, column_name=column, restated_at=close(3), **changes)
    told = book.read("SELECT column_name, is_first_figure FROM marts.restatements ORDER BY 1")
    assert [(row["column_name"], row["is_first_figure"]) for row in told] == [
        ("trades_in", False),
        ("trades_out", True),
    ]


@pytest.mark.parametrize(
    ("told_before", "is_first"), [("missing_snapshot", True), ("never_stated", True), ("quarantined_balance", False)]
)
def test_a_row_that_appears_where_nobody_had_stated_the_wallet_is_the_first(
    book: Book, told_before: str, is_first: bool
) -> None:
    wallet = {"venue": "bank", "date": jan(1), "account": "main", "wallet": "cash"}
    make_room_for_history(book)
    rest = {"price_status": "ok", "tolerance": 0, "inputs_digest": "1", "replaced_by": "r-bank"}
    other = {"asset": "EUR", "status": "incomplete", "discrepancy_type": told_before}
    book.insert("reconciliation_history", **wallet, **other, replaced_at=close(3), **rest)
    figure = {"asset": "USD", "column_name": "actual_balance", "new_status": "matched", "new_value": 10}
    for run_id in ("r-bank", "r-later"):
        book.insert("restatements", **wallet, **figure, restated_at=close(3), run_id=run_id)
    told = book.read("SELECT is_first_figure FROM marts.restatements ORDER BY run_id")
    assert [row["is_first_figure"] for row in told] == [is_first, False]


def test_a_venue_is_refreshed_alone(book: Book) -> None:
    for venue in ("bank", "broker"):
        book.venue(venue, last=2)
        book.opening(1, venue=venue)
    assert book.verdicts(venue="bank") == {1: "opening", 2: "incomplete"}
    assert book.verdicts(venue="broker") == {1: "opening", 2: "incomplete"}
    book.matched(2, venue="bank")
    book.matched(2, venue="broker")
    assert book.verdicts(venue="bank") == {1: "opening", 2: "green"}
    rows = book.read("SELECT verdict FROM marts.account_day_verdict WHERE venue = 'broker' ORDER BY date")
    assert [row["verdict"] for row in rows] == ["opening", "incomplete"], "the broker's own run refreshes it"


def test_the_reader_reads_the_marts_and_nothing_else(server: EmbeddedPostgres) -> None:
    with connection(server.url("recon_reader"), "reading") as database:
        for model in mart_models():
            database.execute(sa.text(f"SELECT count(*) FROM {model.relation}"))
    with (
        pytest.raises(DatabaseError, match="permission denied"),
        connection(server.url("recon_reader"), "x") as database,
    ):
        database.execute(sa.text("SELECT count(*) FROM recon.reconciliation"))
    with (
        pytest.raises(DatabaseError, match="permission denied"),
        connection(server.url("recon_reader"), "x") as database,
    ):
        database.execute(sa.text("DELETE FROM marts.account_day_verdict"))


def test_the_writer_refreshes_what_the_owner_deployed(server: EmbeddedPostgres) -> None:
    assert deploy(server.url("recon_writer"), mart_models()) == ()
    assert set(refresh(server.url("recon_writer"), mart_models())) == {
        "account_days",
        "account_day_verdict",
        "cumulative_drift",
        "holes",
        "wallet_openings",
    }


def test_every_column_has_the_type_and_the_description_that_its_yaml_says(server: EmbeddedPostgres) -> None:
    sql = sa.text(
        "SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = to_regclass(:relation) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    with connection(server.url(), "reading the catalogue") as database:
        for model in mart_models():
            found = [tuple(row) for row in database.execute(sql, {"relation": model.relation})]
            assert found == [(column.name, column.type, column.description) for column in model.columns], model.name


# The views of the Binance plan

BALANCES = "SELECT * FROM marts.binance_reconciliation_balances WHERE date = '2026-01-02' ORDER BY asset"


def test_what_the_statement_of_binance_leaves_out_is_held_to_be_zero_beside_what_was_calculated(book: Book) -> None:
    book.venue(kind="binance", last=2)
    fid = book.record("spot_snapshots", "d2")
    for asset in ("BTC", "USD"):
        book.opening(1, asset=asset)
        book.statement(1, asset=asset)
    book.statement(2, raw_id="d2")
    book.matched(2)
    book.variance(2, "-100", asset="BTC", kind="missing_at_venue")
    bitcoin, dollars = book.read(BALANCES)
    assert (dollars["raw_balance"], dollars["cal_balance"], dollars["pid"] > 0) == (100, 100, True)
    assert (bitcoin["raw_balance"], bitcoin["cal_balance"], bitcoin["variance_in_asset"]) == (0, 100, -100)
    assert (bitcoin["raw_loan"], bitcoin["raw_interest"], bitcoin["raw_unrealised_pnl"]) == (0, 0, 0)
    assert (bitcoin["fid"], bitcoin["external_id"], bitcoin["pid"] < 0) == (fid, "2", True)
    seen = "SELECT last_seen FROM marts.v_binance_user_assets WHERE asset = 'BTC'"
    assert book.read(seen) == [{"last_seen": datetime(2026, 1, 2, tzinfo=UTC)}]
    with connection(book.url, "running the day again") as database:
        database.execute(
            sa.text("DELETE FROM recon.reconciliation WHERE asset = 'BTC' AND date = :day"), {"day": jan(2)}
        )
    book.variance(2, "-100", asset="BTC", kind="missing_at_venue")
    assert book.read(BALANCES)[0]["pid"] == bitcoin["pid"]


def test_what_is_not_realised_is_shown_as_stated_beside_what_positions_and_marks_make_it(book: Book) -> None:
    book.venue(kind="binance", last=2)
    book.statement(2, asset="USDC")
    book.statement(2, asset="USDT", raw_unrealised_pnl=Decimal("-42.06689000"))
    book.row(2, asset="USDC")
    book.row(2, asset="USDT", recomputed="-42.06689001")
    told = [(row["asset"], row["raw_unrealised_pnl"], row["cal_unrealised_pnl"]) for row in book.read(BALANCES)]
    assert told == [("USDC", 0, None), ("USDT", Decimal("-42.06689"), Decimal("-42.06689001"))]
    assert {row["variance_in_asset"] for row in book.read(BALANCES)} == {0}


def test_a_statement_that_is_missing_or_cannot_be_believed_leaves_nothing_out(book: Book) -> None:
    book.venue(kind="binance", last=2)
    book.statement(2, wallet="savings")
    book.incomplete(2, "missing_snapshot")
    book.incomplete(2, "absence_unknown", wallet="savings", asset="BTC")
    assert [(row["wallet"], row["asset"]) for row in book.read(BALANCES)] == [("savings", "USD")]


def test_of_two_statements_of_a_day_the_one_that_was_reconciled_is_shown(book: Book) -> None:
    book.venue(kind="binance", last=2)
    for asset in ("BTC", "USD"):
        book.statement(2, asset=asset)
    book.statement(2, read_at=close(3), as_of=close(3), snapshot_id="later", raw_balance=Decimal(90))
    book.variance(2, "-10")
    book.variance(2, "-100", asset="BTC", kind="missing_at_venue")
    told = [
        (row["asset"], row["raw_balance"], row["variance_in_asset"], row["external_id"]) for row in book.read(BALANCES)
    ]
    assert told == [("BTC", 0, -100, "later"), ("USD", 90, -10, "later")]


def test_money_that_was_borrowed_came_in_once(book: Book) -> None:
    book.venue(kind="binance", last=2)
    book.moved("transfers", "77", "50", source="margin_capital_flow", txn_subtype="loan_in")
    book.moved("transfers", "borrow:9:loan", "50", source="margin_borrows", txn_subtype="loan_in", measure="loan")
    book.moved("transfers", "9:1", "0.5", source="margin_interest", txn_subtype="margin_interest", measure="interest")
    book.moved("trades", "t:interest", "0.5", txn_subtype="unknown", measure="interest")
    [borrowed] = book.read("SELECT source, amount, venue FROM marts.binance_reconciliation_transfers")
    assert borrowed == {"source": "margin_capital_flow", "amount": Decimal(50), "venue": "bank"}
    assert book.read("SELECT * FROM marts.binance_reconciliation_trades") == []
    assert book.read("SELECT sum(amount) AS owed FROM marts.flows WHERE measure = 'loan'") == [{"owed": Decimal(50)}]


def test_the_legs_of_a_trade_are_tied_by_a_number(book: Book) -> None:
    book.venue(kind="binance", last=2)
    told = [
        ("BTCUSDT", "BTCUSDT:123", 123),
        ("1INCHUSDT", "1INCHUSDT:A7", 7),
        ("1INCHUSDT", "1INCHUSDT:algo14500001:2", 14_500_001),
        (None, "940708407462087195", 940708407462087195),
        (None, "9223372036854775807", 2**63 - 1),
        (None, "9223372036854775808", None),
        (None, "45178372831:1INCH", 45178372831),
        (None, "5d41402abc4b2a76b9719d911017c592:0", None),
        (None, None, None),
    ]
    for number, (symbol, event, _) in enumerate(told):
        book.moved("trades", str(number), "1", symbol=symbol, agg_id=event)
    rows = book.read("SELECT symbol, agg_id FROM marts.binance_reconciliation_trades ORDER BY external_id")
    assert [(row["symbol"], row["agg_id"]) for row in rows] == [(symbol or "", number) for symbol, _, number in told]


def test_a_conversion_has_what_was_given_and_what_was_got_for_a_market(book: Book) -> None:
    book.venue(kind="binance", last=2)
    for suffix, asset, amount in (("to", "BTC", "0.001"), ("from", "USDT", "-100"), ("fee", "BNB", "-0.1")):
        book.moved("trades", f"9:{suffix}", amount, source="converts", asset=asset, agg_id="9")
    book.moved("trades", "9:from", "-7", source="dust", asset="DOGE", agg_id="9")  # of another stream
    rows = book.read("SELECT source, symbol FROM marts.binance_reconciliation_trades ORDER BY 1, 2")
    assert rows == [{"source": "converts", "symbol": "USDTBTC"}] * 3 + [{"source": "dust", "symbol": ""}]


def test_the_number_of_a_row_is_that_of_its_first_version(book: Book) -> None:
    book.venue(kind="binance", last=2)
    for table in ("transfers", "trades"):
        pid = f"SELECT pid FROM marts.binance_reconciliation_{table}"
        book.moved(table, "7", "50")
        before = book.read(pid)
        with connection(book.url, "telling it anew") as database:
            database.execute(sa.text(f"UPDATE recon.{table} SET retired_at = now()"))
        book.moved(table, "7", "49")
        book.moved(table, "8", "50")
        assert book.read(f"{pid} WHERE external_id = '7'") == before != []
        assert len({row["pid"] for row in book.read(pid)}) == 2
    book.statement(2)
    before = book.read(BALANCES)
    with connection(book.url, "telling it anew") as database:
        database.execute(sa.text("UPDATE recon.balances SET retired_at = now()"))
    book.statement(2, raw_balance=Decimal(7))
    assert [(row["pid"], row["raw_balance"]) for row in book.read(BALANCES)] == [(before[0]["pid"], 7)]


def test_a_market_that_is_told_anew_keeps_its_number(book: Book) -> None:
    book.venue(kind="binance", last=2)
    first = book.record("exchange_info", "A", '{"symbol": "A"}')
    with connection(book.url, "telling it anew") as database:
        database.execute(sa.text("UPDATE recon.raw_records SET superseded_at = now()"))
    book.record("exchange_info", "A", '{"symbol": "A", "status": "BREAK"}', version=2)
    assert book.read("SELECT id, status FROM marts.binance_exchange_info") == [{"id": first, "status": "BREAK"}]
    versions = book.read("SELECT content ->> 'status' AS status FROM marts.binance_raw_records ORDER BY fid")
    assert versions == [{"status": None}, {"status": "BREAK"}]


def test_what_two_venues_of_one_kind_told_is_told_apart(book: Book) -> None:
    for venue in ("real", "sandbox"):
        book.venue(venue, kind="binance", last=2)
        book.record("exchange_info", "A", '{"symbol": "A"}', venue=venue)
    rows = book.read("SELECT venue, symbol FROM marts.binance_exchange_info ORDER BY 1")
    assert [(row["venue"], row["symbol"]) for row in rows] == [("real", "A"), ("sandbox", "A")]
    columns = """
        SELECT table_name FROM information_schema.columns
        WHERE table_schema = 'marts' AND table_name LIKE '%binance%' GROUP BY 1 HAVING bool_and(column_name <> 'venue')
    """
    assert book.read(columns) == []


def test_every_stream_that_states_balances_or_moves_between_own_accounts_has_a_raw_view(book: Book) -> None:
    book.venue(kind="binance", last=2)
    wanted = {"deposits", "sub_deposits", *SNAPSHOT_STREAMS, *CAPTURE_STREAMS, *SOURCES}
    told = {book.record(stream, stream) for stream in wanted}
    views = ("daily_snapshot", "deposit_history", *(f"transfer_{name}" for name in OWN_TRANSFERS))
    found = [row["id"] for name in views for row in book.read(f"SELECT id FROM marts.binance_raw_{name}")]
    assert sorted(found) == sorted(told)


def test_whether_a_market_may_be_traded_is_as_told_and_nothing_else_breaks_the_list(book: Book) -> None:
    book.venue(kind="binance", last=2)
    for symbol, told in (("A", "true"), ("B", "false"), ("C", '"maybe"'), ("D", "null")):
        book.record("exchange_info", symbol, f'{{"symbol": "{symbol}", "isSpotTradingAllowed": {told}}}')
    rows = book.read("SELECT symbol, is_spot_trading_allowed AS is_allowed FROM marts.binance_exchange_info ORDER BY 1")
    assert [(row["symbol"], row["is_allowed"]) for row in rows] == [(s, s == "A") for s in "ABCD"]


def test_a_market_that_was_asked_in_vain_is_asked_but_not_traded(book: Book) -> None:
    book.venue(kind="binance", last=2)
    for symbol, last_trade_at in (("BTCUSDT", close(1)), ("ETHUSDT", None)):
        book.insert(
            "asked_symbols",
            venue="bank",
            account="main",
            stream="spot_trades",
            symbol=symbol,
            asked_from=close(1),
            asked_through=close(2),
            last_trade_at=last_trade_at,
        )
    assert book.read("SELECT symbol FROM marts.binance_traded_symbols") == [{"symbol": "BTCUSDT"}]
    asked = book.read("SELECT symbol, asked_through FROM marts.binance_asked_symbols ORDER BY 1")
    assert asked == [{"symbol": symbol, "asked_through": close(2)} for symbol in ("BTCUSDT", "ETHUSDT")]


def test_rows_are_found_by_account_and_by_source(book: Book) -> None:
    """Each index stands on every month too."""
    for table, instant, external_id in (
        ("transfers", "datetime", "external_id"),
        ("trades", "datetime", "external_id"),
        ("balances", "date", "snapshot_id"),
    ):
        for columns in (f"account, {instant}, asset", f"source, {external_id}"):
            rows = book.read(
                "SELECT tablename FROM pg_indexes WHERE schemaname = 'recon'"
                f" AND indexdef LIKE '%({columns})' AND tablename LIKE '{table}%'"
            )
            assert {row["tablename"] for row in rows} >= {table, f"{table}_y2026m01"}, columns


FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "'=1", "''-x")
HARMLESS = ("-0.5", "+4917", "1INCH", "LDO", "a=b", "'t Hart", "DE 12 = 7", "", None)


def test_a_spreadsheet_runs_no_text_of_an_exported_file(book: Book, tmp_path: Path) -> None:
    """And whoever takes the apostrophe off has the text that PostgreSQL has."""
    book.venue(kind="binance", last=2)
    texts = (*FORMULAS, *HARMLESS)
    for number, text in enumerate(texts):
        told = {"counter_party": text, "txn_hash": text, "asset": text or "USD"}
        book.moved("transfers", f"{number:02}", "-1.500", **told)
    book.statement(2, asset=FORMULAS[0], raw_balance=Decimal("-100"))
    export_marts(book.url, tmp_path)
    for name in ("bank_transfers", "binance_reconciliation_transfers", "flows"):
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for column in {"counter_party", "txn_hash", "asset"} & rows[0].keys():
            shown = Counter(row[column] for row in rows)
            unset = "USD" if column == "asset" else ""
            assert shown == Counter([f"'{text}" for text in FORMULAS] + [text or unset for text in HARMLESS]), (
                name,
                column,
            )
        assert {Decimal(row["amount"]) for row in rows} == {Decimal("-1.5")}
    balances = (tmp_path / "bank_daily_snapshot.csv").read_text(encoding="utf-8")
    assert balances.splitlines()[1] == "2026-01-02,main,cash,'=1+1,-100,0,0,0"


def test_what_has_grown_is_known_to_the_planner_before_anybody_reads_it(database: str) -> None:
    deploy(database, mart_models())
    size = sa.text("SELECT reltuples FROM pg_class WHERE oid = CAST(:table AS regclass)")
    with connection(database, "a month that was loaded") as opened:
        opened.exec_driver_sql(
            "INSERT INTO recon.pulls (venue, account, stream, date, status, read_at)"
            " SELECT 'bank', 'a', 's' || n, '2026-01-01', 'final', now() FROM generate_series(1, 3000) AS n"
        )
        opened.exec_driver_sql(
            "CREATE TABLE recon.prices_y2026m01 PARTITION OF recon.prices"
            " FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"
        )
        opened.exec_driver_sql(
            "INSERT INTO recon.prices (venue, asset, as_of, usd_price, source)"
            " SELECT 'bank', 'A' || n, '2026-01-01T00:00Z', 1, 's' FROM generate_series(1, 3000) AS n"
        )
    for _ in range(50):  # the server counts what a session did when that has ended
        with connection(database, "waiting for the server's counters") as opened:
            told = opened.scalar(sa.text("SELECT sum(n_mod_since_analyze) FROM pg_stat_user_tables"))
        if told and told >= 6000:
            break
        time.sleep(0.1)
    refresh_if_changed(database, mart_models(), "bank")
    with connection(database, "what the planner knows") as opened:
        assert [opened.scalar(size, {"table": f"recon.{name}"}) for name in ("pulls", "prices")] == [3000, 3000]
    assert analyse_grown(database) == ()
