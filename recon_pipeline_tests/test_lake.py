"""The Parquet lake: whole partitions or none, the same bytes for the same rows, nothing rounded on the way."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recon_pipeline.errors import ConfigError, StoreError
from recon_pipeline.frames.schema import AMOUNT, BALANCES, QUARANTINE, TRANSFERS
from recon_pipeline.stores.lake import Lake

DAY = date(2026, 3, 1)


def transfers(*amounts: str, day: date = DAY) -> pa.Table:
    """One deposit for each amount, an hour apart."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = [
        {
            "venue": "bank",
            "account": "alice",
            "wallet": "SPOT",
            "source": "transfers",
            "external_id": f"t{number}",
            "datetime": midnight + timedelta(hours=number),
            "txn_type": "transfer_in",
            "txn_subtype": "deposit",
            "measure": "balance",
            "asset": "BTC",
            "amount": Decimal(amount),
        }
        for number, amount in enumerate(amounts)
    ]
    return pa.Table.from_pylist(rows, schema=TRANSFERS.arrow)


def balances(day: date = DAY) -> pa.Table:
    instant = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)
    row = {
        "venue": "bank",
        "account": "alice",
        "wallet": "SPOT",
        "asset": "BTC",
        "as_of": instant,
        "date": day,
        "snapshot_id": "s",
        "read_at": instant,
        "raw_balance": Decimal("1.000000000000000001"),
        "source": "balances",
    }
    return pa.Table.from_pylist([row], schema=BALANCES.arrow)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), tmp_path / "cache.json")


def store(lake: Lake, day: date, table: pa.Table, frame: str = "transfers") -> list[tuple[str, str, date]]:
    with lake.write("run") as write:
        write.put(frame, "bank", day, table)
        return write.commit()


def files_below(folder: Path) -> dict[str, str]:
    """Every file and its digest, hidden ones and locks left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def test_what_was_written_is_read_back_exactly(lake: Lake) -> None:
    table = transfers("1.000000000000000001", "-999999999999999999.999999999999999999")
    assert store(lake, DAY, table) == [("transfers", "bank", DAY)]
    assert lake.read("transfers", "bank").equals(table)
    store(lake, DAY, balances(), "balances")
    assert lake.read("balances", "bank").equals(balances())


def test_a_file_holds_neither_venue_nor_the_day_that_its_path_states(lake: Lake) -> None:
    store(lake, DAY, balances(), "balances")
    path = lake.partition("balances", "bank", DAY)
    assert path.endswith("lake/balances/venue=bank/date=2026-03-01/data.parquet")
    assert tuple(pq.read_schema(path).names) == BALANCES.columns_in_lake
    assert "date" not in pq.read_schema(path).names
    hive = duckdb.execute("SELECT venue, date FROM read_parquet(?, hive_partitioning = true)", [path])
    assert hive.fetchall() == [("bank", DAY)]


def test_the_same_rows_in_another_order_leave_the_file_alone(lake: Lake) -> None:
    table = transfers("3", "1", "2")
    store(lake, DAY, table)
    before = Path(lake.partition("transfers", "bank", DAY)).stat()
    assert store(lake, DAY, table.take([2, 0, 1])) == []
    assert Path(lake.partition("transfers", "bank", DAY)).stat().st_mtime_ns == before.st_mtime_ns


def test_nothing_is_readable_before_the_commit_and_nothing_stays_without_one(lake: Lake) -> None:
    with lake.write("run") as write:
        write.put("transfers", "bank", DAY, transfers("1"))
        assert lake.days("transfers", "bank") == []
        assert list(Path(lake.url).glob("transfers/**/*.parquet")) == []
    assert lake.days("transfers", "bank") == []
    assert files_below(Path(lake.url)) == {}


def test_a_removed_day_counts_as_never_written(lake: Lake) -> None:
    store(lake, DAY, transfers("1"))
    with lake.write("run") as write:
        write.remove("transfers", "bank", DAY)
        write.remove("transfers", "bank", DAY + timedelta(days=1))
        assert write.commit() == [("transfers", "bank", DAY)]
    assert lake.days("transfers", "bank") == []
    assert lake.digest("transfers", "bank", DAY) is None
    assert not Path(lake.partition("transfers", "bank", DAY)).parent.exists()


def test_an_empty_day_is_written_and_an_unwritten_one_is_not(lake: Lake) -> None:
    store(lake, DAY, transfers())
    assert lake.days("transfers", "bank") == [DAY]
    assert lake.rows("transfers", "bank", DAY) == 0
    assert lake.read("transfers", "bank", [DAY, DAY + timedelta(days=1)]).num_rows == 0


def test_a_write_may_commit_repeatedly(lake: Lake) -> None:
    with lake.write("run") as write:
        write.put("transfers", "bank", DAY, transfers("1"))
        assert len(write.commit()) == 1
        write.put("transfers", "bank", DAY + timedelta(days=1), transfers("1", day=DAY + timedelta(days=1)))
    assert lake.days("transfers", "bank") == [DAY]


def test_duckdb_may_write_a_staged_file_itself_and_its_metadata_is_read_back(lake: Lake) -> None:
    store(lake, DAY, transfers("1", "2"))
    source, other = lake.partition("transfers", "bank", DAY), date(2026, 3, 2)
    with lake.write("run") as write:
        path = write.staged("transfers", "bank", other)
        duckdb.sql(
            f"COPY (SELECT * REPLACE (datetime + INTERVAL 1 DAY AS datetime) FROM read_parquet('{source}', "
            f"hive_partitioning = false) ORDER BY external_id) TO '{path}' "
            "(FORMAT parquet, COMPRESSION zstd, KV_METADATA {'recon.inputs': '{\"a\": 1}'})"
        )
        assert write.commit() == [("transfers", "bank", other)]
    assert lake.metadata("transfers", "bank", other) == {"recon.inputs": '{"a": 1}'}
    assert lake.rows("transfers", "bank", other) == 2
    assert lake.read("transfers", "bank", [other]).schema.equals(TRANSFERS.arrow)


def test_metadata_is_written_and_changes_the_digest(lake: Lake) -> None:
    store(lake, DAY, transfers("1"))
    assert lake.metadata("transfers", "bank", DAY) == {}
    with lake.write("run") as write:
        write.put("transfers", "bank", DAY, transfers("1"), {"b": "2", "a": "1"})
        assert write.commit() == [("transfers", "bank", DAY)]
    assert lake.metadata("transfers", "bank", DAY) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (transfers("1", day=date(2026, 3, 2)), "rows of 2026-03-02"),
        (transfers("1").append_column("surprise", pa.array([1])), "surprise"),
        (transfers("1").drop_columns(["wallet"]), "columns"),
        (transfers("1").set_column(10, "amount", pa.array([1.5])), "amount is double"),
        (transfers("1").set_column(0, "venue", pa.array(["other"])), "another venue's rows"),
        (transfers("1").set_column(9, "asset", pa.array([None], pa.string())), "a null in asset"),
        (transfers("1").set_column(10, "amount", pa.array([None], AMOUNT)), "a null in amount"),
        (transfers("1").set_column(5, "datetime", pa.array([datetime(2026, 3, 1)])), "datetime is timestamp[us]"),  # noqa: DTZ001
        (
            transfers("1").set_column(
                10, "amount", pa.array([Decimal("1.0000000000000000001")], pa.decimal128(38, 19))
            ),
            "a value outside the precision",
        ),
    ],
)
def test_rows_that_do_not_belong_are_refused_before_anything_is_staged(lake: Lake, table: pa.Table, found: str) -> None:
    with pytest.raises(StoreError, match=found.replace("[", r"\[").replace("]", r"\]")):
        store(lake, DAY, table)
    assert lake.days("transfers", "bank") == []


def test_a_staged_file_with_other_columns_is_refused_at_the_commit(lake: Lake) -> None:
    with pytest.raises(StoreError, match="columns differ"), lake.write("run") as write:
        duckdb.sql(f"COPY (SELECT 1 AS x) TO '{write.staged('transfers', 'bank', DAY)}' (FORMAT parquet)")
        write.commit()
    with pytest.raises(StoreError, match="no file was written"), lake.write("run") as write:
        write.staged("transfers", "bank", DAY)
        write.commit()
    assert files_below(Path(lake.url)) == {}


def test_a_file_that_is_older_than_a_column_is_read_as_if_it_were_empty(lake: Lake) -> None:
    store(lake, DAY, balances(), "balances")
    path = lake.partition("balances", "bank", DAY)
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["marked_unrealised_pnl"]), path)
    assert lake.read("balances", "bank").equals(balances())
    with lake.write("run") as write:
        pq.write_table(pq.ParquetFile(path).read(), write.staged("balances", "bank", DAY))
        with pytest.raises(StoreError, match=r"expected .'marked_unrealised_pnl"):
            write.commit()
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["raw_loan"]), path)
    with pytest.raises(StoreError, match=r"expected .'raw_loan"):
        lake.read("balances", "bank")


def test_a_damaged_file_is_named_with_what_to_do(lake: Lake) -> None:
    store(lake, DAY, transfers("1"))
    path = Path(lake.partition("transfers", "bank", DAY))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StoreError, match="cannot be read") as caught:
        lake.read("transfers", "bank")
    assert caught.value.where == str(path)
    assert "run its day again" in caught.value.next_step


def test_a_venue_cannot_climb_out_of_the_lake(lake: Lake) -> None:
    with pytest.raises(StoreError, match="cannot be a folder"):
        lake.days("transfers", "../../etc")


def test_the_quarantine_is_replaced_whole(lake: Lake) -> None:
    row = {"frame": "transfers", "error": "BadAmount", "reason": "not a number", "content": "{}", "line": 7}
    with lake.write("run") as write:
        write.put_quarantine("bank", pa.Table.from_pylist([row], schema=QUARANTINE))
        assert write.commit() == [("quarantine", "bank", date.min)]
    assert lake.read_quarantine("bank").to_pylist()[0]["line"] == 7
    first = lake.quarantine_digest("bank")
    with lake.write("run") as write:
        write.put_quarantine("bank", QUARANTINE.empty_table())
        write.commit()
    assert lake.read_quarantine("bank").num_rows == 0
    assert lake.quarantine_digest("bank") not in (first, None)
    assert lake.read_quarantine("unknown").num_rows == 0


def test_a_replaced_file_has_another_digest_even_of_the_same_size_and_in_another_process(lake: Lake) -> None:
    cache = Path(lake.url).parent / "cache.json"
    store(lake, DAY, transfers("1"))
    first = lake.digest("transfers", "bank", DAY)
    lake.save_cache()
    store(Lake(lake.url), DAY, transfers("2"))
    again = Lake(lake.url, cache)
    path = Path(lake.partition("transfers", "bank", DAY))
    assert again.digest("transfers", "bank", DAY) == hashlib.sha256(path.read_bytes()).hexdigest() != first
    assert lake.digest("transfers", "bank", DAY) == again.digest("transfers", "bank", DAY)


def test_a_damaged_cache_costs_time_only(lake: Lake) -> None:
    store(lake, DAY, transfers("1"))
    cache = Path(lake.url).parent / "cache.json"
    for damage in ("", "[]", '{"root": 1', f'{{"root": "{lake.url}", "files": {{"a": 1}}}}'):
        cache.write_text(damage)
        assert Lake(lake.url, cache).digests("transfers", "bank") == lake.digests("transfers", "bank")


def test_digests_of_a_year_take_milliseconds_once_they_are_known(lake: Lake) -> None:
    with lake.write("run") as write:
        for day in (DAY + timedelta(days=n) for n in range(365)):
            write.put("transfers", "bank", day, transfers("1", day=day), {"recon.inputs": "x" * 500})
        assert len(write.commit()) == 365
    lake.save_cache()
    known = Lake(lake.url, Path(lake.url).parent / "cache.json")
    started = time.perf_counter()
    assert len(known.digests("transfers", "bank")) == 365
    assert all(known.metadata("transfers", "bank", day) for day in known.days("transfers", "bank"))
    assert time.perf_counter() - started < 0.2  # about 5 ms; the bound is for a busy machine
    assert lake.venues("transfers") == ["bank"]


def test_what_a_killed_run_left_is_swept_and_what_a_living_one_prepares_is_not(lake: Lake) -> None:
    child = (
        "import os, sys; from pathlib import Path; from recon_pipeline.stores.lake import Lake\n"
        "write = Lake(sys.argv[1]).write('dead').__enter__()\n"
        "Path(write.staged('transfers', 'bank', __import__('datetime').date(2026, 3, 1))).write_bytes(b'half')\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", child, lake.url], check=False)
    staging = Path(lake.url) / ".staging"
    assert [path.name.split(".")[0] for path in staging.iterdir() if path.is_dir()] == ["dead"]
    with lake.write("living"), lake.write("other"):
        left = sorted(path.name.split(".")[0] for path in staging.iterdir() if path.is_dir())
        assert left == ["living", "other"]
    assert [path for path in staging.iterdir() if path.is_dir()] == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        assert not os.environ.get("CI"), f"CI must be able to mount a tmpfs: {mounted.stderr.decode()}"
        pytest.skip("only root may mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def random_text(size: int) -> str:
    return os.urandom(size).hex()


def test_a_full_disk_is_named_and_leaves_everything_that_was_right(tiny_disk: Path) -> None:
    lake = Lake(str(tiny_disk / "lake"))
    store(lake, DAY, transfers("1"))
    before = files_below(tiny_disk)
    large = transfers("2").set_column(13, "txn_hash", pa.array([random_text(2_000_000)]))
    with pytest.raises(StoreError, match="the disk is full") as caught:
        store(lake, DAY, large)
    assert str(tiny_disk) in caught.value.where
    assert "free space" in caught.value.next_step
    assert files_below(tiny_disk) == before
    assert lake.read("transfers", "bank").equals(transfers("1"))


def test_a_full_disk_under_duckdb_is_named_as_well(tiny_disk: Path) -> None:
    lake = Lake(str(tiny_disk / "lake"))
    store(lake, DAY, transfers("1"))
    before = files_below(tiny_disk)
    # With its asynchronous writes DuckDB 2.0 sometimes hangs for ever where a write fails (duckdb/duckdb#23885).
    synchronous = duckdb.connect(config={"async_threads": 0})
    with pytest.raises(StoreError, match="the disk is full"), lake.write("run") as write:
        path = write.staged("transfers", "bank", date(2026, 3, 2))
        synchronous.execute(f"COPY (SELECT sha256(n::VARCHAR) FROM range(200000) t(n)) TO '{path}' (FORMAT parquet)")
    assert files_below(tiny_disk) == before


def test_a_disk_that_fills_up_at_the_commit_replaces_nothing(tiny_disk: Path) -> None:
    lake = Lake(str(tiny_disk / "lake"))
    store(lake, DAY, transfers("1"))
    before = files_below(tiny_disk)
    with pytest.raises(StoreError, match="the disk is full"), lake.write("run") as write:
        write.put("transfers", "bank", DAY, transfers("2"))
        for number in range(600):
            write.put("transfers", "bank", day := DAY + timedelta(days=number + 1), transfers("1", day=day))
        write.commit()
    assert files_below(tiny_disk) == before


def test_a_store_that_nothing_here_reaches_is_named_with_what_to_install() -> None:
    for url, package in (("s3://bucket/lake", "pip install s3fs"), ("nosuch://lake", "fsspec")):
        with pytest.raises(ConfigError, match="cannot be reached over") as caught:
            Lake(url)
        assert package in caught.value.next_step


def test_an_object_store_gives_the_same_rows_digests_and_changes(lake: Lake) -> None:
    remote = Lake(f"memory://lake-{os.getpid()}")
    assert remote.filesystem is not None
    assert lake.filesystem is None
    for each in (lake, remote):
        assert store(each, DAY, transfers("1", "2")) == [("transfers", "bank", DAY)]
        assert store(each, DAY, transfers("1", "2")) == []
        assert store(each, DAY, transfers("1", "3")) == [("transfers", "bank", DAY)]
        assert each.days("transfers", "bank") == [DAY]
        assert each.venues("transfers") == ["bank"]
        assert each.rows("transfers", "bank", DAY) == 2
    assert remote.digests("transfers", "bank") == lake.digests("transfers", "bank")
    assert remote.read("transfers", "bank").equals(lake.read("transfers", "bank"))
    connection = duckdb.connect()
    connection.register_filesystem(remote.filesystem)
    path = remote.partition("transfers", "bank", DAY)
    assert connection.execute("SELECT count(*) FROM read_parquet(?)", [path]).fetchone() == (2,)
    with remote.write("run") as write:
        write.remove("transfers", "bank", DAY)
        assert write.commit() == [("transfers", "bank", DAY)]
    assert remote.days("transfers", "bank") == []
