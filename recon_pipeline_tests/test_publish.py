"""From the lake to PostgreSQL: exactly what the lake holds, as versions, whatever came between."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from recon_pipeline.config import Opening, Settings, Severities, ToleranceRule, Tolerances, VenueSettings
from recon_pipeline.errors import StoreError
from recon_pipeline.frames.schema import COVERAGE, EXPECTED, FRAMES, PRICES, QUARANTINE, RECONCILIATION
from recon_pipeline.stores.bulk import Bulk
from recon_pipeline.stores.database import bulk_connection, connection, engine
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.stores.journal import record_streams
from recon_pipeline.stores.lake import Lake
from recon_pipeline.stores.publish import (
    Published,
    begin_run,
    finish_run,
    last_good_files,
    publish,
    record_files,
    record_settings,
)
from recon_pipeline_tests.test_lake import balances, transfers

pytestmark = pytest.mark.postgres

DAY = date(2026, 3, 31)
NEXT = date(2026, 4, 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), tmp_path / "cache.json")


def put(lake: Lake, frame: str, tables: Mapping[date, pa.Table | None]) -> None:
    """Write days of a frame; None removes one."""
    with lake.write("test") as write:
        for day, table in tables.items():
            if table is None:
                write.remove(frame, "bank", day)
            else:
                write.put(frame, "bank", day, table)
        write.commit()


def ask(url: str, question: str) -> list[tuple[Any, ...]]:
    with connection(url, "asking") as opened:
        return [tuple(row) for row in opened.execute(sa.text(question))]


def instant(day: date, hour: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def reconciliation(day: date, *variances: str | None, asset: str = "BTC", status: str = "matched") -> pa.Table:
    digest = hashlib.sha256(repr(variances).encode()).hexdigest()
    rows = [
        {
            "date": day,
            "venue": "bank",
            "account": f"a{number}",
            "wallet": "SPOT",
            "asset": asset,
            "start_balance": Decimal(10),
            "variance_in_asset": None if variance is None else Decimal(variance),
            "price_status": "missing",
            "tolerance": Decimal(0),
            "status": status,
            "flow_count": number,
            "inputs_digest": digest,
        }
        for number, variance in enumerate(variances)
    ]
    return pa.Table.from_pylist(rows, schema=RECONCILIATION.arrow)


def prices(day: date, price: str) -> pa.Table:
    row = {"venue": "bank", "asset": "BTC", "as_of": instant(day, 23), "usd_price": Decimal(price), "source": "s"}
    return pa.Table.from_pylist([row], schema=PRICES.arrow)


def coverage(day: date, status: str, asset: str | None = None) -> pa.Table:
    row = {
        "venue": "bank",
        "account": "alice",
        "stream": "*",
        "asset": asset,
        "window_start": instant(day),
        "window_end": instant(day + timedelta(days=1)),
        "status": status,
    }
    return pa.Table.from_pylist([row], schema=COVERAGE.arrow)


def expected(day: date, amount: str) -> pa.Table:
    row = {
        "venue": "bank",
        "account": "alice",
        "wallet": "SPOT",
        "asset": "BTC",
        "amount": Decimal(amount),
        "expected_by": day,
        "reason": "fee",
    }
    return pa.Table.from_pylist([row], schema=EXPECTED.arrow)


def everything(lake: Lake, day: date = DAY) -> None:
    put(lake, "transfers", {day: transfers("1", "-999999999999999999.999999999999999999", day=day)})
    put(lake, "trades", {day: FRAMES["trades"].arrow.empty_table()})
    put(lake, "balances", {day: balances(day)})
    put(lake, "prices", {day: prices(day, "0.000000000000000001")})
    put(lake, "coverage", {day: coverage(day, "complete")})
    put(lake, "expected", {day: expected(day, "-0.5")})
    put(lake, "reconciliation", {day: reconciliation(day, "0.000000000000000001", None)})


def assert_equal_to_lake(url: str, lake: Lake) -> None:
    """Cell by cell: what counts in PostgreSQL is what lies in the lake, and recon.partitions says so."""
    with connection(url, "comparing") as opened:
        for frame in FRAMES.values():
            counts = "" if frame.name in ("expected", "reconciliation") else " WHERE retired_at IS NULL"
            listed = ", ".join(f'"{name}"' for name in frame.arrow.names)
            rows = opened.execute(sa.text(f"SELECT {listed} FROM recon.{frame.name}{counts}")).all()
            found = sorted((tuple(row) for row in rows), key=repr)
            table = lake.read(frame.name, "bank")
            wanted = sorted((tuple(row.values()) for row in table.to_pylist()), key=repr)
            assert [_plain(row) for row in found] == [_plain(row) for row in wanted], frame.name
            digests = opened.execute(
                sa.text("SELECT date, digest FROM recon.partitions WHERE frame = :f"), {"f": frame.name}
            )
            assert {row.date: row.digest for row in digests} == lake.digests(frame.name, "bank")


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value for value in row)


def test_every_frame_arrives_exactly_and_a_second_time_nothing_happens(database: str, lake: Lake) -> None:
    everything(lake)
    everything(lake, NEXT)
    told: list[tuple[str, date]] = []
    done = publish(lake, database, "bank", "run-1", on_partition=lambda frame, day: told.append((frame, day)))
    assert done == Published(loaded=14, inserted=16)
    assert sorted(told) == sorted((frame, day) for frame in FRAMES for day in (DAY, NEXT))
    assert_equal_to_lake(database, lake)
    ids = ask(database, "SELECT id, xmin::text FROM recon.transfers ORDER BY id")
    assert publish(lake, database, "bank", "run-2") == Published()
    assert ask(database, "SELECT id, xmin::text FROM recon.transfers ORDER BY id") == ids
    assert ask(database, "SELECT DISTINCT run_id FROM recon.partitions") == [("run-1",)]
    # An empty partition is loaded all the same: it says that the day has no rows.
    assert ask(database, "SELECT rows FROM recon.partitions WHERE frame = 'trades'") == [(0,), (0,)]


def test_a_changed_row_becomes_a_version_and_the_others_keep_their_ids(database: str, lake: Lake) -> None:
    put(lake, "transfers", {DAY: transfers("1", "2", "3", day=DAY)})
    publish(lake, database, "bank", "run-1")
    before = dict(ask(database, "SELECT external_id, id FROM recon.transfers"))
    put(lake, "transfers", {DAY: transfers("1", "2.5", "3", day=DAY)})
    done = publish(lake, database, "bank", "run-2")
    assert (done.inserted, done.retired) == (1, 1)
    assert_equal_to_lake(database, lake)
    after = dict(ask(database, "SELECT external_id, id FROM recon.transfers WHERE retired_at IS NULL"))
    assert (after["t0"], after["t2"]) == (before["t0"], before["t2"])
    versions = ask(
        database,
        "SELECT amount, version, retired_at IS NULL FROM recon.transfers WHERE external_id = 't1' ORDER BY version",
    )
    assert versions == [(Decimal(2), 1, False), (Decimal("2.5"), 2, True)]


def test_another_raw_id_alone_is_no_new_version(database: str, lake: Lake) -> None:
    table = transfers("1", day=DAY)
    put(lake, "transfers", {DAY: table})
    publish(lake, database, "bank", "run-1")
    index = table.schema.get_field_index("raw_id")
    put(lake, "transfers", {DAY: table.set_column(index, "raw_id", pa.array(["page 7"]))})
    done = publish(lake, database, "bank", "run-2")
    assert (done.loaded, done.inserted, done.retired) == (1, 0, 0)
    assert publish(lake, database, "bank", "run-3") == Published()


def test_a_row_that_moves_to_another_day_keeps_counting_its_versions(database: str, lake: Lake) -> None:
    put(lake, "transfers", {DAY: transfers("1", day=DAY), NEXT: transfers(day=NEXT)})
    publish(lake, database, "bank", "run-1")
    for version, (first, second) in enumerate([((), ("1",)), (("1",), ()), ((), ("1",))], start=2):
        put(lake, "transfers", {DAY: transfers(*first, day=DAY), NEXT: transfers(*second, day=NEXT)})
        publish(lake, database, "bank", f"run-{version}")
        assert ask(database, "SELECT version FROM recon.transfers WHERE retired_at IS NULL") == [(version,)]
    later = NEXT + timedelta(days=40)  # to a day that was never written before, in another month
    put(lake, "transfers", {NEXT: None, later: transfers("1", day=later)})
    publish(lake, database, "bank", "run-5")
    assert ask(database, "SELECT version FROM recon.transfers WHERE retired_at IS NULL") == [(5,)]
    assert_equal_to_lake(database, lake)


def test_a_vanished_partition_is_retired_and_its_return_is_a_new_version(database: str, lake: Lake) -> None:
    everything(lake)
    publish(lake, database, "bank", "run-1")
    for frame in FRAMES:
        put(lake, frame, {DAY: None})
    done = publish(lake, database, "bank", "run-2")
    assert done.unloaded == 7
    assert_equal_to_lake(database, lake)
    assert ask(database, "SELECT count(*) FROM recon.transfers WHERE retired_at IS NOT NULL") == [(2,)]
    assert ask(database, "SELECT count(*) FROM recon.reconciliation_history") == [(2,)]
    everything(lake)
    publish(lake, database, "bank", "run-3")
    assert_equal_to_lake(database, lake)
    assert ask(database, "SELECT DISTINCT version FROM recon.transfers WHERE retired_at IS NULL") == [(2,)]


def test_coverage_of_one_asset_and_of_all_are_versions_apart(database: str, lake: Lake) -> None:
    both = pa.concat_tables([coverage(DAY, "complete"), coverage(DAY, "failed", "ETH")])
    put(lake, "coverage", {DAY: both})
    publish(lake, database, "bank", "run-1")
    put(lake, "coverage", {DAY: pa.concat_tables([coverage(DAY, "final"), coverage(DAY, "failed", "ETH")])})
    done = publish(lake, database, "bank", "run-2")
    assert (done.inserted, done.retired) == (1, 1)
    counting = "SELECT asset, status, version FROM recon.coverage WHERE retired_at IS NULL ORDER BY asset"
    assert ask(database, counting) == [("ETH", "failed", 1), (None, "final", 2)]


def test_another_venue_is_not_touched(database: str, lake: Lake) -> None:
    everything(lake)
    publish(lake, database, "bank", "run-1")
    before = ask(database, "SELECT count(*) FROM recon.transfers")
    assert publish(lake, database, "dao", "run-2") == Published()
    assert publish(lake, database, "bank", "run-3") == Published()
    assert ask(database, "SELECT count(*) FROM recon.transfers") == before


# -- reconciliation


def test_a_number_that_moves_is_restated_and_the_former_row_kept(database: str, lake: Lake) -> None:
    put(lake, "reconciliation", {DAY: reconciliation(DAY, "0", "0", None)})
    assert publish(lake, database, "bank", "run-1") == Published(loaded=1, inserted=3)
    put(lake, "reconciliation", {DAY: reconciliation(DAY, "0", "-0.25", "7")})
    done = publish(lake, database, "bank", "run-2")
    assert (done.loaded, done.inserted, done.retired, done.restated) == (1, 3, 2, 2)
    assert_equal_to_lake(database, lake)
    moved = "SELECT account, column_name, old_value, new_value, run_id FROM recon.restatements ORDER BY account"
    assert ask(database, moved) == [
        ("a1", "variance_in_asset", Decimal(0), Decimal("-0.25"), "run-2"),
        ("a2", "variance_in_asset", None, Decimal(7), "run-2"),
    ]
    kept = ask(
        database,
        "SELECT account, variance_in_asset, replaced_by, recorded_at < replaced_at"
        " FROM recon.reconciliation_history ORDER BY account",
    )
    assert kept == [("a1", Decimal(0), "run-2", True), ("a2", None, "run-2", True)]


def test_another_inputs_digest_alone_restates_nothing(database: str, lake: Lake) -> None:
    table = reconciliation(DAY, "0", "1")
    put(lake, "reconciliation", {DAY: table})
    publish(lake, database, "bank", "run-1")
    last = table.num_columns - 1
    put(lake, "reconciliation", {DAY: table.set_column(last, "inputs_digest", pa.array(["x", "x"]))})
    done = publish(lake, database, "bank", "run-2")
    assert (done.retired, done.restated) == (0, 0)
    assert_equal_to_lake(database, lake)


def test_a_status_that_changes_keeps_the_former_row_without_a_restatement(database: str, lake: Lake) -> None:
    put(lake, "reconciliation", {DAY: reconciliation(DAY, "0", status="timing")})
    publish(lake, database, "bank", "run-1")
    put(lake, "reconciliation", {DAY: reconciliation(DAY, "0", status="matched")})
    done = publish(lake, database, "bank", "run-2")
    assert (done.retired, done.restated) == (1, 0)
    assert ask(database, "SELECT status FROM recon.reconciliation_history") == [("timing",)]


def test_a_row_that_appears_and_one_that_vanishes_are_restated_against_nothing(database: str, lake: Lake) -> None:
    put(lake, "reconciliation", {DAY: reconciliation(DAY, "0", asset="BTC")})
    publish(lake, database, "bank", "run-1")
    put(lake, "reconciliation", {DAY: reconciliation(DAY, "0", asset="ETH")})
    publish(lake, database, "bank", "run-2")
    moved = ask(
        database,
        "SELECT asset, old_value, new_value, old_status, new_status FROM recon.restatements"
        " WHERE column_name = 'start_balance' ORDER BY asset",
    )
    assert moved == [("BTC", Decimal(10), None, "matched", None), ("ETH", None, Decimal(10), None, "matched")]


# -- quarantine


def test_the_quarantine_is_replaced_whole(database: str, lake: Lake) -> None:
    row = {"frame": "transfers", "error": "BadAmount", "reason": "no number", "content": "{}", "date": DAY, "line": 7}
    for rows in ([row, row | {"line": 8}], [row], []):
        with lake.write("test") as write:
            write.put_quarantine("bank", pa.Table.from_pylist(rows, schema=QUARANTINE))
            write.commit()
        publish(lake, database, "bank", "run")
        found = ask(database, "SELECT venue, line, date FROM recon.quarantine ORDER BY line")
        assert found == [("bank", row["line"], DAY) for row in rows]


# -- what may go wrong


def test_a_finer_scale_is_refused_before_the_server_could_round_it(database: str) -> None:
    index = PRICES.arrow.get_field_index("usd_price")
    finer = prices(DAY, "1").set_column(index, "usd_price", pa.array([Decimal("0.5")], pa.decimal128(38, 19)))
    with bulk_connection(database, "testing") as opened, pytest.raises(StoreError, match="other columns"):
        Bulk(opened, "bank", "run").append("prices", finer.to_reader())


def test_a_writer_that_owns_nothing_can_publish(postgres: EmbeddedPostgres, database: str, lake: Lake) -> None:
    writer = postgres.url("recon_writer", make_url(database).database or "")
    everything(lake)
    publish(lake, writer, "bank", "run-1")
    put(lake, "transfers", {DAY: transfers("2", day=DAY)})
    put(lake, "reconciliation", {DAY: reconciliation(DAY, "5")})
    publish(lake, writer, "bank", "run-2")
    assert_equal_to_lake(database, lake)


class _Stop(Exception):  # noqa: N818 - what on_partition raises to end a run
    pass


def test_what_on_partition_raises_ends_the_call_between_two_commits(database: str, lake: Lake) -> None:
    everything(lake)

    def stop(_frame: str, _day: date) -> None:
        raise _Stop

    with pytest.raises(_Stop):
        publish(lake, database, "bank", "run-1", on_partition=stop)
    assert ask(database, "SELECT count(*) FROM recon.partitions") == [(1,)]
    publish(lake, database, "bank", "run-1")
    assert_equal_to_lake(database, lake)


def _publish_slowly(lake_url: str, url: str) -> None:
    publish(Lake(lake_url), url, "bank", "killed", on_partition=lambda *_: time.sleep(0.02))


def test_a_kill_anywhere_is_mended_by_the_next_call(database: str, lake: Lake) -> None:
    days = [DAY + timedelta(days=n) for n in range(40)]
    put(lake, "transfers", {day: transfers("1", "2", day=day) for day in days})
    put(lake, "reconciliation", {day: reconciliation(day, "1", "2") for day in days})
    context = multiprocessing.get_context("spawn")
    for change in range(3):
        child = context.Process(target=_publish_slowly, args=(lake.url, database))
        child.start()
        for _ in range(600):
            if ask(database, "SELECT count(*) FROM recon.partitions WHERE run_id = 'killed'") != [(0,)]:
                break
            time.sleep(0.05)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        put(lake, "transfers", {day: transfers("1", f"{change}.5", day=day) for day in days[change::3]})
        put(lake, "reconciliation", {day: reconciliation(day, "1", f"{change}") for day in days[change::3]})
    publish(lake, database, "bank", "last")
    assert_equal_to_lake(database, lake)
    assert publish(lake, database, "bank", "again") == Published()


def test_a_year_of_five_frames_is_published_in_seconds(database: str, lake: Lake) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    put(lake, "transfers", {day: transfers(*["1.5"] * 20, day=day) for day in days})
    put(lake, "balances", {day: balances(day) for day in days})
    put(lake, "prices", {day: prices(day, "5") for day in days})
    put(lake, "coverage", {day: coverage(day, "complete") for day in days})
    put(lake, "reconciliation", {day: reconciliation(day, *["0.5"] * 20) for day in days})
    started = time.perf_counter()
    done = publish(lake, database, "bank", "run-1")
    seconds = time.perf_counter() - started
    assert (done.loaded, done.inserted) == (5 * 365, 365 * 43)
    assert seconds < 60  # a few on an idle machine; the bound is for one that is anything but
    assert_equal_to_lake(database, lake)
    started = time.perf_counter()
    assert publish(lake, database, "bank", "run-2") == Published()
    assert time.perf_counter() - started < 2


def test_bulk_loading_is_at_least_five_times_as_fast_as_to_sql(database: str) -> None:
    rows = reconciliation(DAY, *["0.123456789"] * 20_000)
    with bulk_connection(database, "loading") as opened:
        bulk = Bulk(opened, "bank", "run")
        bulk.ensure_months("reconciliation", [DAY])
        started = time.perf_counter()
        bulk.append("reconciliation", rows.to_reader())
        opened.commit()
        ours = time.perf_counter() - started
    part = rows.slice(0, 4_000).to_pandas(types_mapper=pd.ArrowDtype)
    started = time.perf_counter()
    part.to_sql("by_pandas", engine(database), schema="dagster", index=False)
    theirs = (time.perf_counter() - started) * len(rows) / len(part)
    assert theirs > 5 * ours


# -- the journal of runs


@dataclass(frozen=True)
class _Request:
    venue: str = "bank"
    first_day: date = DAY
    last_day: date = NEXT
    as_of_day: date = NEXT
    accounts: frozenset[str] | None = frozenset({"b", "a"})


@dataclass(frozen=True)
class _File:
    path: str
    digest: str | None = "d1"
    bytes: int | None = 10
    rows: int | None = 2
    first_instant: datetime | None = None
    last_instant: datetime | None = None
    status: str = "read"
    error: str | None = None
    message: str | None = None
    frames: tuple[str, ...] = ("transfers", "balances")
    last_good: str | None = "d1"


def test_a_run_is_recorded_from_its_beginning_to_its_end(database: str) -> None:
    begin_run(database, "r", _Request())
    query = "SELECT venue, first_day, accounts, finished_at IS NULL, outcome, counts, message FROM recon.runs"
    assert ask(database, query) == [("bank", DAY, ["a", "b"], True, None, None, None)]
    finish_run(database, "r", "failed", {"matched": 3}, "it broke")
    assert ask(database, query) == [("bank", DAY, ["a", "b"], False, "failed", {"matched": 3}, "it broke")]
    begin_run(database, "r", _Request(accounts=None))
    begin_run(database, "r", _Request(venue="dao"))
    finish_run(database, "r", "done", {}, venue="dao")
    open_ones = "SELECT venue FROM recon.runs WHERE finished_at IS NULL"
    assert ask(database, open_ones) == [("bank",)]


def test_files_are_recorded_and_what_has_left_the_folder_is_gone(database: str) -> None:
    record_files(database, "bank", [_File("a.csv"), _File("b.csv")])
    record_files(database, "dao", [_File("a.csv")])
    first = ask(database, "SELECT read_at FROM recon.source_files WHERE venue = 'bank' AND path = 'a.csv'")
    faulty = replace(_File("b.csv"), digest="d2", status="faulty", error="EmptyFile", message="EmptyFile: no bytes")
    record_files(database, "bank", [_File("a.csv"), faulty])
    assert last_good_files(database, "bank") == {"a.csv": "d1", "b.csv": "d1"}
    assert ask(database, "SELECT read_at FROM recon.source_files WHERE venue = 'bank' AND path = 'a.csv'") == first
    record_files(database, "bank", [faulty])
    record_files(database, "bank", [])
    listed = "SELECT venue, path, status FROM recon.source_files ORDER BY venue, path"
    assert ask(database, listed) == [("bank", "a.csv", "gone"), ("bank", "b.csv", "gone"), ("dao", "a.csv", "read")]
    assert last_good_files(database, "bank") == {}
    assert ask(database, "SELECT frames FROM recon.source_files WHERE venue = 'dao'") == [(["balances", "transfers"],)]


def settings(tmp_path: Path, *venues: str) -> Settings:
    return Settings(
        start=DAY,
        venues={
            name: VenueSettings(name, "statements", tmp_path, {}, None, "daily", 1, DAY, (), ("balance",))
            for name in venues
        },
        tolerances=Tolerances(
            (
                (None, "default", ToleranceRule(None, None, Decimal("1e-8"), 6)),
                ("bank", "cumulative", ToleranceRule("alice", "BTC", Decimal("0.1"), 1)),
            )
        ),
        severities=Severities(),
        openings=tuple(Opening(name, "alice", "SPOT", DAY, "lost") for name in venues),
        home=tmp_path,
        lake_url=str(tmp_path),
        database_url=None,
        path=tmp_path / "recon.yaml",
    )


def test_settings_of_a_venue_are_replaced_as_a_whole_and_those_of_others_are_kept(
    database: str, tmp_path: Path
) -> None:
    record_settings(database, settings(tmp_path, "bank", "dao"), "dao")
    record_settings(database, settings(tmp_path, "bank", "dao"), "bank")
    record_streams(database, "bank", ("transfers",))
    assert ask(database, "SELECT venue FROM recon.tolerances GROUP BY venue ORDER BY venue") == [("bank",), ("dao",)]
    record_settings(database, settings(tmp_path, "bank"), "bank")
    assert ask(database, "SELECT venue, calendar, start, due_days, streams FROM recon.venues WHERE venue = 'bank'") == [
        ("bank", "daily", DAY, 1, ["transfers"])
    ]
    of_bank = "SELECT account, asset, kind, rank, tolerance FROM recon.tolerances WHERE venue = 'bank' ORDER BY rank"
    assert ask(database, of_bank) == [
        ("alice", "BTC", "cumulative", 1, Decimal("0.1")),
        (None, None, "default", 6, Decimal("1e-8")),
    ]
    assert ask(database, "SELECT venue FROM recon.openings ORDER BY venue") == [("bank",), ("dao",)]
