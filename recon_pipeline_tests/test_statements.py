"""The venue `statements`: a folder at one moment, its archive, its mapping, and what a bad file does to the rest."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recon_pipeline.config import load_settings
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.statements.archive import Archive, fingerprint
from recon_pipeline.venues.statements.faults import FolderMissing, MappingFiles, MappingType
from recon_pipeline.venues.statements.folder import Folder, FolderFile
from recon_pipeline.venues.statements.lines import record_lines
from recon_pipeline.venues.statements.reading import read_folder
from recon_pipeline_tests.statements_venue import Statements, told, venue

MAPPINGS = Path(__file__).parent / "mappings"
PUBLISHED = Path(__file__).parents[2] / "shared" / "data"

FLOWS = "account,wallet,external_id,datetime,asset,amount\n"
HOLDINGS = "account,wallet,asset,as_of,raw_balance\n"
CLAIMS = "account,stream,window_start,window_end,status,file\n"


def flow(identifier: str, amount: str = "1", day: int = 2) -> str:
    return f"main,SPOT,{identifier},2026-03-{day:02}T00:00:00Z,BTC,{amount}\n"


def claim(file: str = "", stream: str = "*") -> str:
    return f"main,{stream},2026-03-01T00:00:00Z,2026-03-31T00:00:00Z,complete,{file}\n"


def assert_same_rows(one: Reading, other: Reading) -> None:
    assert one.quarantine.equals(other.quarantine)
    for name, table in one.frames.items():
        assert table.equals(other.frames[name]), name


# --- published records ------------------------------------------------------------------------------------------------


def published(name: str, archive: Path) -> Reading:
    if not PUBLISHED.is_dir():
        reason = f"the published records are not at {PUBLISHED}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    settings = load_settings(MAPPINGS / name / "recon.yaml")
    return read_folder(settings.venues[name], archive, {})


def test_the_treasury_of_decentraland_is_read_by_its_mapping_alone(tmp_path: Path) -> None:
    reading = published("decentraland_dao", tmp_path)
    assert told(reading) == []
    assert reading.streams == ("transfers",)
    assert {name: counts["rows"] for name, counts in reading.counts.items()} == {
        "transfers": 8203,
        "trades": 0,
        "balances": 117 * 17,
        "prices": 819,
        "coverage": 2,
        "expected": 0,
    }
    balances = reading.frames["balances"].to_pylist()
    matic = [r for r in balances if (r["account"], r["asset"]) == ("Aragon Agent", "MATIC")]
    assert matic[0]["raw_balance"] == Decimal("0.02")
    assert {row["usd_price"] for row in reading.frames["prices"].to_pylist() if row["asset"] == "MATIC"} == {Decimal(0)}
    assert reading.counts["prices"]["left_out"] == 117
    assert [(file.path, file.rows, file.frames) for file in reading.files] == [
        ("balances-2026.csv", 2223, ("balances", "coverage", "prices")),
        ("transactions-2026.csv", 8203, ("coverage", "transfers")),
    ]
    assert reading.files[1].last_instant == datetime(2026, 4, 27, 11, 50, 23, tzinfo=UTC)


def test_the_operating_cash_of_the_us_treasury_is_read_in_dollars(tmp_path: Path) -> None:
    reading = published("us_treasury", tmp_path)
    assert told(reading) == []
    assert {name: counts["rows"] for name, counts in reading.counts.items()} == {
        "transfers": 2 * 846,
        "trades": 0,
        "balances": 847,
        "prices": 847,
        "coverage": 1,
        "expected": 0,
    }
    closings = [row["raw_balance"] for row in reading.frames["balances"].to_pylist()]
    by_day: Counter[object] = Counter()
    for row in reading.frames["transfers"].to_pylist():
        by_day[row["datetime"].date()] += row["amount"]
    days = [row["date"] for row in reading.frames["balances"].to_pylist()]
    variances = Counter(
        closing - before - by_day[day] for before, closing, day in zip(closings, closings[1:], days[1:], strict=False)
    )
    assert variances == {Decimal(0): 569, Decimal(-1_000_000): 140, Decimal(1_000_000): 137}


# --- one folder, one read ---------------------------------------------------------------------------------------------


def test_canonical_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    text, typed = Statements(tmp_path / "text"), Statements(tmp_path / "typed")
    text.write("transfers.csv", FLOWS + flow("a", "1.5") + flow("b", "-0.000000000000000001"))
    table = pa.table(
        {
            "account": ["main", "main"],
            "wallet": pa.array(["SPOT", "SPOT"]).dictionary_encode(),
            "external_id": ["a", "b"],
            "datetime": pa.array([datetime(2026, 3, 2, tzinfo=UTC)] * 2, pa.timestamp("ns", "UTC")),
            "asset": pa.array(["BTC", "BTC"], pa.large_string()),
            "amount": pa.array([Decimal("1.5"), Decimal("-1e-18")], pa.decimal128(38, 18)),
        }
    )
    pq.write_table(table, typed.folder / "transfers.parquet")
    one, other = text.read().frames["transfers"], typed.read().frames["transfers"]
    assert one.drop_columns(["raw_id"]).equals(other.drop_columns(["raw_id"]))
    assert one["raw_id"].to_pylist() == ["transfers.csv:2", "transfers.csv:3"]


def test_a_file_may_bring_what_its_maker_recomputed_of_unrealised_pnl(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    header = "account,wallet,asset,as_of,raw_balance,raw_unrealised_pnl,marked_unrealised_pnl\n"
    row = "main,FUTURES,{},2026-03-02T23:59:59Z,10,{},{}\n"
    statements.write("balances.csv", header + row.format("USDC", "", "") + row.format("USDT", "-1.25", "-1.2500001"))
    reading = statements.read()
    balances = reading.frames["balances"]
    assert balances["raw_unrealised_pnl"].to_pylist() == [None, Decimal("-1.25")]
    assert balances["marked_unrealised_pnl"].to_pylist() == [None, Decimal("-1.2500001")]
    assert told(reading) == []


def test_a_file_with_a_header_alone_is_read_and_has_no_rows(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("transfers.csv", FLOWS)
    reading = statements.read()
    assert (reading.streams, reading.faults) == (("transfers",), ())
    assert [(file.status, file.rows, file.first_instant) for file in reading.files] == [("read", 0, None)]


def test_a_row_that_moves_to_another_file_while_the_folder_is_read_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that gives it up is opened after, the one that takes it before: of two moments there would be none."""
    statements = Statements(tmp_path)
    statements.write("transfers-1.csv", FLOWS)
    statements.write("transfers-2.csv", FLOWS + flow("a"))
    truly, moves = Folder._open, [1]

    def moved(folder: Folder, file: FolderFile) -> None:
        truly(folder, file)
        if file.name == "transfers-1.csv" and moves.pop():
            moves.append(0)
            statements.write("transfers-1.csv", FLOWS + flow("a"))
            statements.write("transfers-2.csv", FLOWS)

    monkeypatch.setattr(Folder, "_open", moved)
    reading = statements.read()
    assert reading.faults == ()
    assert reading.frames["transfers"].num_rows == 1


def test_files_that_change_with_every_reading_count_as_they_were_when_they_last_were_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = Statements(tmp_path)
    for name in "ab":
        statements.write(f"transfers-{name}.csv", FLOWS + flow(name))
    statements.read()
    truly, times = Folder._open, count()

    def restless(folder: Folder, file: FolderFile) -> None:
        truly(folder, file)
        if file.name == "transfers-a.csv":
            for name in "ab":
                statements.write(f"transfers-{name}.csv", FLOWS + flow(name) + flow(f"{name}{next(times)}"))

    monkeypatch.setattr(Folder, "_open", restless)
    reading = statements.read()
    assert [type(fault).__name__ for fault in reading.faults] == ["FileChanged", "FileChanged"]
    assert reading.frames["transfers"]["external_id"].to_pylist() == ["a", "b"]


def test_one_file_that_is_replaced_at_every_reading_is_read_as_it_was_at_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment at which it was opened all were as they are read."""
    statements = Statements(tmp_path)
    statements.write("transfers-a.csv", FLOWS + flow("a"))
    statements.write("transfers-b.csv", FLOWS + flow("b"))
    truly, times = Folder._open, count()

    def replaced(folder: Folder, file: FolderFile) -> None:
        truly(folder, file)
        if file.name == "transfers-a.csv":
            statements.write("later.csv", FLOWS + flow(f"a{next(times)}")).rename(file.path)

    monkeypatch.setattr(Folder, "_open", replaced)
    reading = statements.read()
    assert (reading.faults, reading.frames["transfers"]["external_id"].to_pylist()) == ((), ["a1", "b"])


@pytest.mark.parametrize("half", [FLOWS, ""])
def test_a_file_that_is_written_in_place_is_never_believed_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    """Its header alone is a whole file too, and no bytes are none: it was at rest when it was opened."""
    statements = Statements(tmp_path)
    statements.write("balances.csv", HOLDINGS)
    statements.write("transfers.csv", half)
    statements.write("transfers-b.csv", FLOWS + flow("b"))
    truly, times = Folder._open, count()

    def written(folder: Folder, file: FolderFile) -> None:
        truly(folder, file)
        if file.name == "transfers.csv" and next(times) == 0:
            statements.write("transfers.csv", FLOWS + flow("a"))

    monkeypatch.setattr(Folder, "_open", written)
    reading = statements.read()
    assert reading.faults == ()
    assert reading.frames["transfers"]["external_id"].to_pylist() == ["a", "b"]


def test_a_bad_file_that_is_touched_while_the_folder_is_read_keeps_its_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = Statements(tmp_path)
    statements.write("transfers-a.csv", FLOWS + flow("a"))
    statements.write("transfers-b.csv", FLOWS + flow("b"))
    statements.read()
    statements.write("transfers-a.csv", b"")
    truly = Folder._open

    def touched(folder: Folder, file: FolderFile) -> None:
        truly(folder, file)
        for name in "ab":
            os.utime(statements.folder / f"transfers-{name}.csv")

    monkeypatch.setattr(Folder, "_open", touched)
    reading = statements.read()
    assert "a" in reading.frames["transfers"]["external_id"].to_pylist()
    assert "EmptyFile" in [type(fault).__name__ for fault in reading.faults]


def test_late_changed_and_vanished_files_end_in_the_same_rows_as_if_it_had_always_been_so(tmp_path: Path) -> None:
    changing = Statements(tmp_path / "changing")
    changing.write("transfers-1.csv", FLOWS + flow("a"))
    changing.write("transfers-2.csv", FLOWS + flow("b"))
    changing.read()
    changing.write("transfers-1.csv", FLOWS + flow("a", "7"))
    changing.write("transfers-3.csv", FLOWS + flow("c"))
    (changing.folder / "transfers-2.csv").unlink()
    reading = changing.read()

    always = Statements(tmp_path / "always")
    always.write("transfers-1.csv", FLOWS + flow("a", "7"))
    always.write("transfers-3.csv", FLOWS + flow("c"))
    assert_same_rows(reading, always.read())
    assert [(file.path, file.status) for file in reading.files] == [
        ("transfers-1.csv", "read"),
        ("transfers-2.csv", "gone"),
        ("transfers-3.csv", "read"),
    ]


def test_reading_twice_gives_the_same_rows_and_the_same_digest(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("transfers.csv", FLOWS + flow("a") + flow("") + flow(""))
    one, other = statements.read(), statements.read()
    assert_same_rows(one, other)
    assert one.digest == other.digest


def test_a_missing_folder_is_refused_and_never_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FolderMissing):
        read_folder(venue(tmp_path / "nowhere"), tmp_path / "archive", {})


def test_the_streams_are_those_that_a_file_or_a_coverage_row_names(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("balances.csv", HOLDINGS + "main,SPOT,BTC,2026-03-01T00:00:00Z,1\n")
    assert statements.read().streams == ()
    statements.write("coverage.csv", CLAIMS + claim(stream="trades"))
    assert statements.read().streams == ("trades",)
    statements.write("transfers.csv", FLOWS)
    assert statements.read().streams == ("transfers", "trades")


def test_who_declares_every_stream_complete_is_held_to_it_even_without_a_file_of_flows(tmp_path: Path) -> None:
    """Else a file of flows that was not delivered would turn a venue informational, and its bad days green."""
    statements = Statements(tmp_path)
    statements.write("balances.csv", HOLDINGS + "main,SPOT,BTC,2026-03-01T00:00:00Z,1\n")
    statements.write("coverage.csv", CLAIMS + claim(stream="*"))
    assert statements.read().streams == ("transfers", "trades")


# --- files that cannot be believed ------------------------------------------------------------------------------------


def test_the_last_good_version_stands_in_for_a_bad_file_until_it_is_mended(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("transfers-1.csv", FLOWS + flow("a"))
    statements.write("transfers-2.csv", FLOWS + flow("b"))
    good = statements.read()
    statements.write("transfers-2.csv", b"")
    for _ in range(2):  # and it still stands in on the run after
        bad = statements.read()
        assert bad.frames["transfers"].equals(good.frames["transfers"])
        file = bad.files[1]
        assert (file.status, file.error, file.bytes, file.rows) == ("faulty", "EmptyFile", 0, 1)
        assert file.last_good == good.files[1].digest
    statements.write("transfers-2.csv", FLOWS + flow("b"))
    assert_same_rows(statements.read(), good)


def test_a_bad_file_of_flows_fails_the_claims_on_it_and_those_on_no_file(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("transfers-1.csv", FLOWS + flow("a"))
    statements.write("transfers-2.csv", "account\nmain\n")
    rows = [claim("transfers-1.csv", "transfers"), claim("transfers-2.csv", "trades"), claim()]
    statements.write("coverage.csv", CLAIMS + "".join(rows))
    told_of = {(row["file"], row["status"], row["error"]) for row in statements.read().frames["coverage"].to_pylist()}
    assert told_of == {
        ("transfers-1.csv", "complete", None),
        ("transfers-2.csv", "failed", "MissingColumn"),
        (None, "failed", "MissingColumn"),
    }


def test_a_bad_file_of_prices_leaves_coverage_and_balances_alone_and_no_price_is_known(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("transfers.csv", FLOWS + flow("a"))
    statements.write("prices.csv", b"")
    statements.write("coverage.csv", CLAIMS + claim())
    reading = statements.read()
    assert reading.frames["coverage"]["status"].to_pylist() == ["complete"]
    (marker,) = reading.quarantine.to_pylist()
    assert (marker["frame"], marker["error"], marker["asset"], marker["instant"]) == ("prices", "EmptyFile", None, None)


def test_coverage_that_rests_on_a_file_that_has_gone_fails_and_says_so(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("transfers-1.csv", FLOWS + flow("a"))
    statements.write(
        "coverage.csv", CLAIMS + claim("transfers-1.csv", "transfers") + claim("transfers-2.csv", "trades")
    )
    reading = statements.read()
    told = {(row["file"], row["status"], row["error"]) for row in reading.frames["coverage"].to_pylist()}
    assert told == {("transfers-1.csv", "complete", None), ("transfers-2.csv", "failed", "FileGone")}
    assert [(type(fault).__name__, fault.where) for fault in reading.faults] == [("FileGone", "transfers-2.csv")]


def test_a_refused_claim_is_stored_as_a_failed_one_over_all_that_cannot_be_told_of_it(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write(
        "balances.csv", HOLDINGS + "main,SPOT,ETH,2026-03-01T00:00:00Z,1\nmain,SPOT,ETH,2026-03-02T00:00:00Z,1\n"
    )
    statements.write(
        "coverage.csv",
        "account,stream,asset,window_start,window_end,status\n"
        "main,transfers,,2026-02-01T00:00:00Z,2026-04-01T00:00:00Z,complete\n"
        "main,trades,ETH,2026-02-01T00:00:00Z,2026-04-01,failed\n"
        ",,BTC,x,2026-03-01T12:00:00Z,complete\n"
        "main,trades,,x,2026-02-01T12:00:00Z,complete\n",
    )
    reading = statements.read()
    told = [
        (
            row["account"],
            row["stream"],
            row["asset"],
            f"{row['window_start']:%m-%d}",
            f"{row['window_end']:%m-%dT%H}",
            row["status"],
        )
        for row in reading.frames["coverage"].to_pylist()
    ]
    assert sorted(told, key=str) == sorted(
        [
            ("main", "transfers", None, "02-01", "04-01T00", "complete"),
            ("main", "trades", "ETH", "02-01", "03-02T00", "failed"),
            ("main", "*", "BTC", "03-01", "03-01T12", "failed"),
            ("main", "trades", None, "02-01", "02-01T12", "failed"),
        ],
        key=str,
    )
    assert reading.streams == ("transfers", "trades")
    assert len(reading.quarantine) == 3


def test_a_refused_balance_without_its_wallet_keeps_the_day_that_it_states(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("balances.csv", HOLDINGS + "main,,BTC,2026-03-01T00:00:00Z,1\n")
    (row,) = statements.read().quarantine.to_pylist()
    assert (row["account"], row["wallet"], str(row["date"])) == ("main", None, "2026-03-01")


@pytest.mark.parametrize("year", ["0026", "1926", "2626"])
def test_a_row_of_an_implausible_year_may_belong_to_any_day(tmp_path: Path, year: str) -> None:
    statements = Statements(tmp_path)
    statements.write("transfers.csv", FLOWS + f"main,SPOT,a,{year}-03-02T00:00:00Z,BTC,1\n")
    statements.write("balances.csv", HOLDINGS + f"main,SPOT,BTC,{year}-03-02T00:00:00Z,1\n")
    refused = statements.read().quarantine.to_pylist()
    told = [(row["frame"], row["error"], row["asset"], row["instant"], row["date"]) for row in refused]
    assert told == [(frame, "YearImplausible", "BTC", None, None) for frame in ("balances", "transfers")]


def test_an_instant_finer_than_a_microsecond_in_parquet_is_a_fault_of_its_row(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    at = [1_772_409_600_000_000_000, 1_772_409_600_000_000_001]
    rows = {name: ["main", "main"] for name in ("account", "wallet")} | {"asset": ["BTC", "ETH"], "amount": ["1", "2"]}
    table = pa.table(rows).append_column("datetime", pa.array(at, pa.timestamp("ns", tz="UTC")))
    pq.write_table(table, statements.folder / "transfers.parquet")
    reading = statements.read()
    assert [row["error"] for row in reading.quarantine.to_pylist()] == ["InstantTooFine"]
    assert [row["asset"] for row in reading.frames["transfers"].to_pylist()] == ["BTC"]


def test_an_instant_before_the_first_year_is_refused_in_whatever_zone(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("transfers.csv", FLOWS + "main,SPOT,a,0001-01-01T00:00:00+01:00,BTC,1\n")
    (row,) = statements.read().quarantine.to_pylist()
    assert row["error"] == "InstantImpossible"


def test_a_folder_without_any_file_is_a_fault_and_not_green(tmp_path: Path) -> None:
    assert [type(fault).__name__ for fault in Statements(tmp_path).read().faults] == ["NoFiles"]


def test_a_file_that_nothing_reads_is_told_of_until_it_is_read_or_has_left(tmp_path: Path) -> None:
    statements = Statements(tmp_path, files={"movement": "movements*.csv"})
    statements.write("balances.csv", HOLDINGS + "main,SPOT,BTC,2026-03-01T00:00:00Z,1\n")
    for name in ("Balances-2.csv", "march/transfers.csv", "balances.csv.gz", ".hidden.csv"):
        statements.write(name, HOLDINGS)
    told = {file.path: file.status for file in statements.read().files}
    assert told == {
        "balances.csv": "read",
        "Balances-2.csv": "unread",
        "balances.csv.gz": "unread",
        "march/transfers.csv": "unread",
    }
    (statements.folder / "Balances-2.csv").rename(statements.folder / "balances-2.csv")
    (statements.folder / "balances.csv").rename(statements.folder / "holdings.csv")
    told = {file.path: file.status for file in statements.read().files}
    assert told == {
        "balances-2.csv": "read",
        "balances.csv": "gone",
        "balances.csv.gz": "unread",
        "holdings.csv": "unread",
        "march/transfers.csv": "unread",
    }


def test_a_link_that_leads_nowhere_is_a_faulty_file(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("balances.csv", HOLDINGS + "main,SPOT,BTC,2026-03-01T00:00:00Z,1\n")
    (statements.folder / "transfers.csv").symlink_to(tmp_path / "not mounted" / "transfers.csv")
    (statements.folder / "notes.txt").symlink_to(tmp_path / "not mounted" / "notes.txt")
    reading = statements.read()
    assert [(fault.where, type(fault).__name__) for fault in reading.faults] == [("transfers.csv", "UnreadableFile")]
    told = {file.path: file.status for file in reading.files}
    assert told == {"balances.csv": "read", "notes.txt": "unread", "transfers.csv": "faulty"}


def test_a_kept_reading_tells_of_files_that_nothing_reads_as_they_are_now(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("balances.csv", HOLDINGS + "main,SPOT,BTC,2026-03-01T00:00:00Z,1\n")
    first = read_folder(statements.settings, statements.archive, {}, kept=tmp_path / "kept")
    good = {file.path: str(file.last_good) for file in first.files}
    statements.write("Balances-2.csv", HOLDINGS)
    again = read_folder(statements.settings, statements.archive, good, kept=tmp_path / "kept")
    assert {file.path: file.status for file in again.files} == {"balances.csv": "read", "Balances-2.csv": "unread"}
    assert again.digest == first.digest


def test_a_bad_file_of_balances_means_that_nothing_absent_counts_as_zero(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    statements.write("balances-1.csv", HOLDINGS + "main,SPOT,BTC,2026-03-01T00:00:00Z,1\n")
    statements.write("balances-2.csv", b"")
    statements.write("coverage.csv", CLAIMS + claim())
    reading = statements.read()
    (marker,) = reading.quarantine.to_pylist()
    assert (marker["frame"], marker["error"], marker["file"]) == ("balances", "EmptyFile", "balances-2.csv")
    assert all(marker[name] is None for name in ("line", "account", "wallet", "asset", "instant", "date"))
    assert reading.frames["coverage"]["status"].to_pylist() == ["complete"]


# --- the archive ------------------------------------------------------------------------------------------------------


def test_the_archive_keeps_every_version_byte_for_byte(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    archive = Archive(statements.archive)
    for number, content in enumerate((FLOWS + flow("a"), FLOWS + flow("a", "1_000"), "")):
        path = statements.write("transfers.csv", content)
        found = fingerprint(path)
        statements.read()
        kept = tmp_path / str(number)
        kept.mkdir()
        restored = archive.restore(found.digest, kept, "transfers.csv")
        assert restored is not None
        assert restored.read_bytes() == content.encode()
        assert archive.path(found.digest).parent.name == found.digest[:2]
    assert not list(statements.archive.rglob("*.part"))


def test_a_damaged_archive_restores_nothing(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    digest = fingerprint(statements.write("transfers.csv", FLOWS + flow("a"))).digest
    statements.read()
    Archive(statements.archive).path(digest).write_bytes(b"rubbish")
    statements.write("transfers.csv", b"")
    reading = statements.read()
    assert reading.frames["transfers"].num_rows == 0
    assert reading.files[0].error == "EmptyFile"


# --- lines ------------------------------------------------------------------------------------------------------------


def test_a_row_is_found_on_its_line_in_spite_of_quoted_breaks_and_empty_lines(tmp_path: Path) -> None:
    statements = Statements(tmp_path)
    rows = FLOWS + flow('"a\n""b"') + "\n" + flow("c", "x") + "\n\n" + flow("d", "y").rstrip("\n")
    for end in ("\n", "\r\n"):
        statements.write("transfers.csv", rows.replace("\n", end))
        assert [row["line"] for row in statements.read().quarantine.to_pylist()] == [5, 8]


def test_lines_are_counted_alike_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'x,y\r\n1,"a\nb"\r\n\r\n2,"q""q\n\n"\n3,\n\n4,5')
    whole = record_lines(path).tolist()
    assert whole == [1, 2, 5, 8, 10]
    for size in range(1, 12):
        monkeypatch.setattr("recon_pipeline.venues.statements.lines._CHUNK", size)
        assert record_lines(path).tolist() == whole


# --- mappings ---------------------------------------------------------------------------------------------------------

MOVEMENTS = "When,Who,What,How much\n"
SELECT = """
SELECT "Who" AS account, 'SPOT' AS wallet, "When" AS datetime, "What" AS asset, {amount} AS amount
FROM movement
"""


def mapped(home: Path, amount: str = 'amount("How much")', **others: str) -> Statements:
    mapping = home / "mapping"
    mapping.mkdir(parents=True)
    (mapping / "transfers.sql").write_text(SELECT.format(amount=amount))
    for name, sql in others.items():
        (mapping / f"{name}.sql").write_text(sql)
    return Statements(home, mapping=mapping)


def movement(amount: str, day: int = 2) -> str:
    return f"2026-03-{day:02}T00:00:00Z,main,BTC,{amount}\n"


def amounts(reading: Reading) -> list[Decimal]:
    return [amount.normalize() for amount in reading.frames["transfers"]["amount"].to_pylist()]


def test_floats_inside_a_struct_are_left_out_as_floats_are(tmp_path: Path) -> None:
    sql = SELECT.format(amount="CAST(held.x AS VARCHAR)")
    statements = mapped(tmp_path, transfers=sql)
    row = {"When": ["2026-03-01T00:00:00Z"], "Who": ["a"], "What": ["BTC"], "held": [{"x": 0.1}]}
    pq.write_table(pa.table(row), statements.folder / "movements.parquet")
    with pytest.raises(MappingType, match="column held of the view movement is a floating-point number"):
        statements.read()


def test_whole_seconds_become_an_instant(tmp_path: Path) -> None:
    sql = SELECT.format(amount='amount("How much")').replace('"When" AS', 'to_timestamp(CAST("When" AS BIGINT)) AS')
    statements = mapped(tmp_path, transfers=sql)
    statements.write("movements.csv", MOVEMENTS + "1772409600,main,BTC,1\n")
    (row,) = statements.read().frames["transfers"].to_pylist()
    assert row["datetime"] == datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "condition",
    ['amount("How much") <> 0', "\"How much\" <> '0'", "day(left(\"When\", 10)) + INTERVAL 1 DAY > DATE '2026-01-01'"],
)
def test_a_comparison_of_one_type_with_itself_is_allowed(tmp_path: Path, condition: str) -> None:
    statements = mapped(tmp_path, transfers=SELECT.format(amount='amount("How much")') + f"WHERE {condition}")
    statements.write("movements.csv", MOVEMENTS + movement("0.4"))
    assert amounts(statements.read()) == [Decimal("0.4")]


def test_amounts_leave_a_mapping_as_text_or_through_amount_and_are_the_same(tmp_path: Path) -> None:
    for number, amount in enumerate(('"How much"', 'amount("How much")', '-amount("How much") * -1')):
        statements = mapped(tmp_path / str(number), amount)
        statements.write("movements.csv", MOVEMENTS + movement("6.75e-7") + movement("123456789012345678.5", 3))
        assert amounts(statements.read()) == [Decimal("6.75e-7"), Decimal("123456789012345678.5")]


def test_a_value_refused_in_a_mapping_takes_its_file_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    claims = "SELECT 'main' AS account, '2026-03-01T00:00:00Z' AS window_start, '2026-03-09T00:00:00Z' AS window_end,"
    claims += " 'complete' AS status, filename AS file FROM movement GROUP BY filename"
    statements = mapped(tmp_path, coverage=claims)
    statements.write("movements-1.csv", MOVEMENTS + movement("1"))
    statements.write("movements-2.csv", MOVEMENTS + "".join(movement(str(day), day) for day in range(2, 9)))
    good = statements.read()
    statements.write("movements-2.csv", MOVEMENTS + movement("5") + movement("NaN", 3) + movement("6", 4))
    bad = statements.read()
    assert amounts(bad) == amounts(good)
    assert "movements-2.csv, line 3" in told(bad)[0]
    assert [(file.status, file.error) for file in bad.files] == [("read", None), ("faulty", "ValueRefused")]


def test_a_cast_to_a_whole_number_or_a_day_is_exact_or_refused(tmp_path: Path) -> None:
    statements = mapped(tmp_path / "whole", "CAST(\"How much\" AS INTEGER) || ''")
    statements.write("movements.csv", MOVEMENTS + movement("12"))
    assert amounts(statements.read()) == [Decimal(12)]
    statements.write("movements.csv", MOVEMENTS + movement("1.7"))
    assert statements.read().files[0].error == "ValueRefused"


def test_a_bad_file_alone_feeds_nothing_and_the_claims_on_no_file_fail(tmp_path: Path) -> None:
    statements = mapped(tmp_path)
    statements.write("movements.csv", b"")
    statements.write("coverage.csv", CLAIMS + claim(stream="transfers"))
    reading = statements.read()
    assert reading.frames["transfers"].num_rows == 0
    assert reading.frames["coverage"]["error"].to_pylist() == ["EmptyFile"]
    assert reading.streams == ("transfers",)


def test_a_view_without_files_is_told_and_fails_the_claims_on_no_file(tmp_path: Path) -> None:
    statements = mapped(tmp_path)
    statements.write("coverage.csv", CLAIMS + claim())
    reading = statements.read()
    assert [type(fault).__name__ for fault in reading.faults] == ["NoFileMatches"]
    assert reading.frames["coverage"]["error"].to_pylist() == ["NoFileMatches"]


def test_the_header_that_most_files_have_is_the_one_expected(tmp_path: Path) -> None:
    statements = mapped(tmp_path)
    statements.write("movements-1.csv", "When,Who,What,Amount\n" + movement("9"))
    statements.write("movements-2.csv", MOVEMENTS + movement("1"))
    statements.write("movements-3.csv", "Who,When,How much,What\nmain,2026-03-03T00:00:00Z,2,BTC\n")
    reading = statements.read()
    assert [file.error for file in reading.files] == ["HeaderDiffers", None, None]
    assert amounts(reading) == [Decimal(1), Decimal(2)]


def test_a_mapping_over_a_join_still_finds_the_file_that_holds_the_value(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping"
    mapping.mkdir()
    (mapping / "transfers.sql").write_text(
        "SELECT 'main' AS account, 'SPOT' AS wallet, a.at AS datetime, 'BTC' AS asset, amount(b.value) AS amount"
        " FROM first AS a JOIN second AS b ON a.id = b.id"
    )
    statements = Statements(tmp_path, mapping=mapping, files={"first": "first*.csv", "second": "second*.csv"})
    statements.write("first.csv", "id,at\n1,2026-03-01T00:00:00Z\n2,2026-03-02T00:00:00Z\n")
    statements.write("second-1.csv", "id,value\n1,5\n")
    statements.write("second-2.csv", "id,value\n2,five\n")
    reading = statements.read()
    assert amounts(reading) == [Decimal(5)]
    assert {file.path for file in reading.files if file.status == "faulty"} == {"second-2.csv"}
    assert "second-2.csv, line 2" in told(reading)[0]


def test_a_mapping_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "statements").mkdir()
    with pytest.raises(MappingFiles):
        read_folder(venue(tmp_path / "statements", mapping=tmp_path / "nowhere"), tmp_path / "archive", {})
