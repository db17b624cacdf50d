"""The last reading of a venue: taken as it was kept while nothing has changed, else the folder is read anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.statements import reading as module
from recon_pipeline.venues.statements.reading import read_folder
from recon_pipeline_tests.statements_venue import Statements, told

FLOWS = "account,wallet,external_id,datetime,asset,amount\nmain,SPOT,a,2026-03-02T00:00:00Z,BTC,0.1\n"
HOLDINGS = "account,wallet,asset,as_of,raw_balance\nmain,SPOT,BTC,2026-03-02T00:00:00Z,0.1\n"


class Kept:
    """A folder whose last reading is kept, and how often it was read."""

    def __init__(self, home: Path, mapping: Path | None = None) -> None:
        self.statements = Statements(home, mapping=mapping)
        self.folder = home / "readings"
        self.read_times = 0

    def read(self) -> Reading:
        of = self.statements
        found = read_folder(of.settings, of.archive, of.last_good, kept=self.folder)
        of.last_good = {file.path: file.last_good for file in found.files if file.last_good is not None}
        return found


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    made = Kept(tmp_path)
    made.statements.write("transfers.csv", FLOWS)
    made.statements.write("balances.csv", HOLDINGS)
    truly = module._read_folder

    def counted(*given: object) -> Reading:
        made.read_times += 1
        return truly(*given)  # type: ignore[arg-type]  # whatever it takes

    monkeypatch.setattr(module, "_read_folder", counted)
    yield made


def test_a_folder_in_which_nothing_has_changed_is_read_once_and_told_alike(kept: Kept) -> None:
    one, other = kept.read(), kept.read()
    assert kept.read_times == 1
    assert {name: table.to_pylist() for name, table in one.frames.items()} == {
        name: table.to_pylist() for name, table in other.frames.items()
    }
    assert (one.files, one.streams, one.digest, one.counts) == (other.files, other.streams, other.digest, other.counts)
    assert other.quarantine.equals(one.quarantine)


@pytest.mark.parametrize(
    "change", ["a byte", "a new file", "a vanished file", "a setting", "the archive", "what was kept"]
)
def test_whatever_changes_it_is_read_anew(kept: Kept, change: str) -> None:
    kept.read()
    of = kept.statements
    match change:
        case "a byte":
            of.write("transfers.csv", FLOWS.replace("0.1", "0.2"))
        case "a new file":
            of.write("transfers-2.csv", FLOWS.replace(",a,", ",b,"))
        case "a vanished file":
            (of.folder / "transfers.csv").unlink()
        case "a setting":
            of.settings = Statements(of.folder.parent, files={"other": "*.txt"}).settings
        case "the archive":
            for path in of.archive.rglob("*.zst"):
                path.unlink()
        case _:
            for path in kept.folder.rglob("*.arrow"):
                path.write_bytes(path.read_bytes()[:-40])
    found = kept.read()
    assert kept.read_times == 2
    amounts = {str(row["amount"].normalize()) for row in found.frames["transfers"].to_pylist()}
    assert amounts == {"a byte": {"0.2"}, "a vanished file": set()}.get(change, {"0.1"})


def test_a_mapping_that_is_edited_while_the_folder_is_read_is_run_by_the_next_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the old SQL made must not be found under the new one."""
    mapping = tmp_path / "mapping"
    mapping.mkdir()
    sql = "SELECT account, wallet, asset, instant(datetime) AS datetime, amount({}) AS amount FROM movement"
    (mapping / "transfers.sql").write_text(sql.format("net"))
    kept = Kept(tmp_path, mapping)
    header = "account,wallet,datetime,asset,net,gross\n"
    kept.statements.write("movements.csv", header + "main,SPOT,2026-03-02T00:00:00Z,BTC,1,100\n")
    truly = module._read_folder

    def edited(*given: object) -> Reading:
        found = truly(*given)  # type: ignore[arg-type]  # whatever it takes
        (mapping / "transfers.sql").write_text(sql.format("gross"))
        return found

    monkeypatch.setattr(module, "_read_folder", edited)
    read = [kept.read().frames["transfers"]["amount"].to_pylist() for _ in range(3)]
    assert read == [[1], [100], [100]]


def test_a_reading_with_a_fault_is_never_kept(kept: Kept) -> None:
    kept.statements.write("transfers.csv", FLOWS + FLOWS.splitlines()[1].replace(",a,", ",b,").replace("0.1", "1_000"))
    assert len(kept.read().quarantine) == len(kept.read().quarantine) == 1
    assert kept.read_times == 2


def test_parquet_keeps_its_types_and_gives_the_rows_that_csv_gives(tmp_path: Path) -> None:
    """One file with decimals and instants, one with text, one with whole numbers where names stand."""
    csv = Statements(tmp_path / "csv")
    csv.write("transfers.csv", FLOWS + "main,SPOT,7,2026-03-03T00:00:00Z,BTC,2\n")
    typed = csv.read().frames["transfers"].select(["account", "wallet", "external_id", "datetime", "asset", "amount"])
    mixed = Statements(tmp_path / "mixed")
    pq.write_table(typed.slice(0, 1), mixed.folder / "transfers-1.parquet")
    number = typed.slice(1, 1).set_column(2, "external_id", pa.array([7]))
    pq.write_table(number, mixed.folder / "transfers-2.parquet")
    found = mixed.read()
    assert told(found) == []
    names = typed.column_names
    assert sorted(map(str, found.frames["transfers"].select(names).to_pylist())) == sorted(map(str, typed.to_pylist()))
