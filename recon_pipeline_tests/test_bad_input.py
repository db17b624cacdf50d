"""Each kind of bad input is a small file here, with the exact text of its error beside it.

`bad_input/good` is a folder in order. Each other folder lays its files over that one (`statements/`), may bring a
mapping (`mapping/`), and says in `expected.txt` what must be told.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from recon_pipeline.errors import MappingError
from recon_pipeline.venues.reading import Reading
from recon_pipeline_tests.statements_venue import Statements, told

BAD_INPUT = Path(__file__).parent / "bad_input"
CASES = sorted(path.name for path in BAD_INPUT.iterdir() if path.name != "good")


def statements_of(case: str, home: Path) -> Statements:
    mapping = BAD_INPUT / case / "mapping"
    statements = Statements(home, mapping=mapping if mapping.is_dir() else None)
    statements.copy(BAD_INPUT / "good" / "statements")
    statements.copy(BAD_INPUT / case / "statements")
    return statements


def expected_of(case: str) -> str:
    return (BAD_INPUT / case / "expected.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    good = Statements(tmp_path_factory.mktemp("good"))
    good.copy(BAD_INPUT / "good" / "statements")
    return good.read()


def without_verdict(frame: str, table: pa.Table) -> list[dict[str, object]]:
    """The rows, coverage without its verdict: a bad file may fail a claim on it, and that is another test's matter."""
    return list((table.drop_columns(["status", "error"]) if frame == "coverage" else table).to_pylist())


@pytest.mark.parametrize("case", CASES)
def test_the_error_is_told_exactly_and_what_was_right_is_the_same(case: str, before: Reading, tmp_path: Path) -> None:
    statements = statements_of(case, tmp_path)
    try:
        reading = statements.read()
    except MappingError as error:
        assert f"{error}\n" == expected_of(case)
        return  # refused as a whole: there is nothing to compare, and a run writes nothing
    assert "\n".join(told(reading)) + "\n" == expected_of(case)
    for frame, rows in before.frames.items():
        now = without_verdict(frame, reading.frames[frame])
        assert [row for row in without_verdict(frame, rows) if row not in now] == [], f"rows of {frame} were lost"


def test_the_good_folder_has_no_fault(tmp_path: Path) -> None:
    good = Statements(tmp_path)
    good.copy(BAD_INPUT / "good" / "statements")
    reading = good.read()
    assert told(reading) == []
    assert reading.quarantine.num_rows == 0
    assert {name: table.num_rows for name, table in reading.frames.items()} == {
        "transfers": 2,
        "trades": 0,
        "balances": 3,
        "prices": 1,
        "coverage": 2,
        "expected": 0,
    }


def test_no_text_of_an_error_holds_the_refused_value(tmp_path: Path) -> None:
    for case, value in {"underscore_in_number": "1_000", "mapped_value_refused": "1_000", "doubled_key": "7"}.items():
        reading = statements_of(case, tmp_path / case).read()
        assert all(value not in text for text in told(reading))
        assert reading.quarantine.num_rows == 0 or value in "".join(reading.quarantine["content"].to_pylist())


def test_a_refused_row_stands_in_the_quarantine_with_all_that_can_be_told(tmp_path: Path) -> None:
    reading = statements_of("nineteenth_decimal", tmp_path).read()
    (row,) = reading.quarantine.to_pylist()
    assert (row["frame"], row["error"], row["file"], row["line"]) == (
        "transfers",
        "AmountTooFine",
        "transfers-2.csv",
        3,
    )
    assert (row["account"], row["wallet"], row["asset"], str(row["date"])) == ("main", "SPOT", "ETH", "2026-03-02")
    assert reading.counts["transfers"]["quarantined"] == 1
    assert reading.quarantine.schema.field("line").type == pa.int64()
