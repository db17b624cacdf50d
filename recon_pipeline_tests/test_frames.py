"""The frames: exact reading of text, the rules of rows and keys, and the contract from the other side."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_pipeline.frames.cells import FILE, LINE
from recon_pipeline.frames.contract import column_schema, failures, table_constraints
from recon_pipeline.frames.exact import REFUSAL, connect, kept_connection
from recon_pipeline.frames.faults import ROW_FAULTS
from recon_pipeline.frames.registry import BUCKET_BY_SUBTYPE, BUCKETS, SUBTYPES, UNKNOWN
from recon_pipeline.frames.schema import BALANCES, COVERAGE, FRAMES, PRICES, QUARANTINE, TRADES, TRANSFERS
from recon_pipeline.frames.validate import FrameError, Validated, validate

NOON = "2026-03-01T12:00:00Z"


@pytest.fixture(scope="module")
def sql() -> duckdb.DuckDBPyConnection:
    return connect()


def one(sql: duckdb.DuckDBPyConnection, expression: str, *values: object) -> object:
    row = sql.execute(f"SELECT {expression}", list(values)).fetchone()
    assert row is not None
    return row[0]


def test_a_connection_that_is_kept_is_empty_for_the_next_and_gone_where_its_work_failed() -> None:
    with kept_connection() as first:
        first.register("given", pa.table({"x": [1]}))
        first.execute("CREATE TABLE left_over AS FROM given; CREATE TEMP VIEW seen AS FROM left_over")
    with kept_connection() as second:
        assert second is first
        assert second.execute("SELECT table_name FROM information_schema.tables").fetchall() == []
        with kept_connection() as beside:
            assert beside is not second
    with pytest.raises(duckdb.CatalogException), kept_connection() as failing:
        failing.execute("FROM left_over")
    with pytest.raises(duckdb.ConnectionException):
        failing.execute("SELECT 1")


def test_a_process_that_was_forked_uses_no_connection_of_its_parent() -> None:
    with kept_connection() as of_parent:
        pass
    context = multiprocessing.get_context("fork")
    told = context.SimpleQueue()

    def work() -> None:
        with kept_connection() as own:
            told.put((own is of_parent, own.execute("SELECT amount('1.5')").fetchall()))

    child = context.Process(target=work)
    child.start()
    child.join(60)
    assert (child.exitcode, told.get()) == (0, (False, [(Decimal("1.5"),)]))


def test_a_process_that_was_forked_ends_as_others_do() -> None:
    """Its interpreter takes down whatever it holds; the threads of its parent's connections are not there."""
    script = """
import os, sys
from recon_pipeline.frames.exact import kept_connection
with kept_connection() as kept:
    kept.execute("CREATE TABLE t AS SELECT range AS x FROM range(3000000)")
child = os.fork()
if child == 0:
    with kept_connection() as own:
        own.execute("SELECT amount('1.5')")
    sys.exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    with subprocess.Popen([sys.executable, "-c", script], start_new_session=True) as parent:
        try:
            assert parent.wait(60) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(parent.pid, signal.SIGKILL)


def test_a_connection_that_worked_on_many_rows_is_not_kept() -> None:
    with kept_connection(1_000_000) as large:
        pass
    with pytest.raises(duckdb.ConnectionException):
        large.execute("SELECT 1")


# --- amounts ----------------------------------------------------------------------------------------------------------

EXACT = {
    "1": "1",
    "-1.5": "-1.5",
    "+2": "2",
    ".5": "0.5",
    "5.": "5",
    "007": "7",
    "6.75e-7": "0.000000675",
    "1E5": "100000",
    "1200e-20": "1.2e-17",
    "0e99": "0",
    "-0": "0",
    "0.123456789012345678000": "0.123456789012345678",
    "999999999999999999.999999999999999999": "999999999999999999.999999999999999999",
    "1e17": "100000000000000000",
}
REFUSED = {
    "": "NotAnAmount",
    "  ": "NotAnAmount",
    " 1": "NotAnAmount",
    "one": "NotAnAmount",
    "1e": "NotAnAmount",
    "0x10": "NotAnAmount",
    "--1": "NotAnAmount",
    "(5)": "NotAnAmount",
    "٣": "NotAnAmount",
    "NaN": "AmountNotFinite",
    "-Infinity": "AmountNotFinite",
    "1_000": "AmountSeparated",
    "1,000": "AmountSeparated",
    "1,5": "AmountSeparated",
    "1'000.50": "AmountSeparated",
    "1 000": "AmountSeparated",
    "0.1234567890123456789": "AmountTooFine",
    "1e-19": "AmountTooFine",
    "12e-20": "AmountTooFine",
    "1234567890123456789": "AmountTooLarge",
    "1e18": "AmountTooLarge",
    "1e999999": "AmountTooLarge",
}


@pytest.mark.parametrize("text", EXACT)
def test_an_amount_is_read_exactly(sql: duckdb.DuckDBPyConnection, text: str) -> None:
    assert one(sql, "amount(?)", text) == Decimal(EXACT[text])
    assert one(sql, "amount_or_null(?)", text) == Decimal(EXACT[text])
    assert one(sql, "amount_fault(?)", text) is None


@pytest.mark.parametrize("text", REFUSED)
def test_an_amount_that_would_be_rounded_or_guessed_is_refused(sql: duckdb.DuckDBPyConnection, text: str) -> None:
    fault = str(one(sql, "amount_fault(?)", text))
    assert fault.partition(": ")[0] == REFUSED[text]
    assert one(sql, "amount_or_null(?)", text) is None
    with pytest.raises(duckdb.InvalidInputException, match=re.escape(REFUSAL + fault)):
        one(sql, "amount(?)", text)


@settings(max_examples=100, deadline=None)
@given(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.integers(min_value=-30, max_value=30),
    st.sampled_from(["{}", "{:e}", "{:E}", "{:+f}"]),
)
def test_amount_agrees_with_decimal_on_any_number(value: Decimal, shift: int, form: str) -> None:
    text = form.format(value.scaleb(shift, None) if abs(value.adjusted()) < 60 else value)
    number = Decimal(text)
    exponent = int(number.normalize().as_tuple().exponent)  # a text only where a number is not finite
    fits = number == 0 or (exponent >= -18 and number.adjusted() < 18)
    assert one(_SHARED, "amount_or_null(?)", text) == (number if fits else None)


_SHARED = connect()


def test_amount_moves_the_point_without_rounding(sql: duckdb.DuckDBPyConnection) -> None:
    assert one(sql, "amount('1', -18)") == Decimal("1e-18")
    assert one(sql, "amount('578473.0', 6)") == Decimal("578473000000")
    assert one(sql, "amount('1.5e3', -4)") == Decimal("0.15")
    assert one(sql, "amount(NULL, 6)") is None
    with pytest.raises(duckdb.InvalidInputException, match="needs 19 decimals"):
        one(sql, "amount('1', -19)")


# --- instants and days ------------------------------------------------------------------------------------------------


def test_an_instant_is_read_with_its_offset(sql: duckdb.DuckDBPyConnection) -> None:
    ten = datetime(2026, 1, 1, 10, tzinfo=UTC)
    for text in ("2026-01-01T10:00:00Z", "2026-01-01 12:00:00+02", "2026-01-01T15:30:00+0530", "2026-01-01t10:00z"):
        assert one(sql, "instant(?)", text) == ten
    assert one(sql, "instant('2026-01-01T10:00:00.123456000Z')") == ten.replace(microsecond=123456)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2026-01-01T10:00:00", "InstantWithoutOffset"),
        ("2026-01-01", "InstantWithoutOffset"),
        ("2026-02-30T00:00:00Z", "InstantImpossible"),
        ("2026-01-01T24:00:00Z", "InstantImpossible"),
        ("2026-01-01T10:00:60Z", "InstantImpossible"),
        ("2026-01-01T10:00:00+25:00", "InstantImpossible"),
        ("2026-01-01T10:00:00.1234567Z", "InstantTooFine"),
        ("01/02/2026", "NotAnInstant"),
        ("1767225600", "NotAnInstant"),
        ("", "NotAnInstant"),
    ],
)
def test_an_instant_that_is_naive_or_impossible_is_refused(
    sql: duckdb.DuckDBPyConnection, text: str, name: str
) -> None:
    assert str(one(sql, "instant_fault(?)", text)).startswith(f"{name}: ")
    assert one(sql, "instant_or_null(?)", text) is None
    with pytest.raises(duckdb.InvalidInputException, match=name):
        one(sql, "instant(?)", text)


def test_a_day_is_a_day_and_nothing_more(sql: duckdb.DuckDBPyConnection) -> None:
    assert one(sql, "day('2026-02-28')") == date(2026, 2, 28)
    for text in ("2026-02-29", "2026-2-1", "2026/02/01", "2026-02-01T10:00:00Z", " 2026-02-01"):
        assert one(sql, "day_or_null(?)", text) is None


# --- the registry -----------------------------------------------------------------------------------------------------


def test_every_subtype_has_one_bucket_and_only_unknown_goes_by_its_sign() -> None:
    assert len({subtype.name for subtype in SUBTYPES}) == len(SUBTYPES)
    assert {name for name, bucket in BUCKET_BY_SUBTYPE.items() if bucket is None} == {UNKNOWN}
    assert {bucket for bucket in BUCKET_BY_SUBTYPE.values() if bucket} == set(BUCKETS)


def test_the_registry_holds_the_defaults_and_the_subtypes_of_the_binance_plan() -> None:
    plan = {"spot_buy", "spot_sell", "maker_fee", "taker_fee", "convert_buy", "convert_sell"}
    defaults = {"transfer_in", "transfer_out", "txn_fee", "buy", "sell", "trade_fee"}
    assert plan | defaults <= set(BUCKET_BY_SUBTYPE)


def test_what_came_in_and_what_went_out_by_one_event_have_buckets_of_their_own() -> None:
    """Also where no source that is read now makes such rows: a statement may."""
    for name in ("spot", "margin", "convert", "dust", "fiat", "sor", "asset_swap", "stake", "wrap", "mint", "burn"):
        assert (BUCKET_BY_SUBTYPE[f"{name}_buy"], BUCKET_BY_SUBTYPE[f"{name}_sell"]) == ("trades_in", "trades_out")
    for name in ("transfer", "internal", "stp_transfer", "pay", "p2p", "collateral", "adjustment"):
        assert (BUCKET_BY_SUBTYPE[f"{name}_in"], BUCKET_BY_SUBTYPE[f"{name}_out"]) == ("transfers_in", "transfers_out")


# --- rows -------------------------------------------------------------------------------------------------------------


def transfers(*rows: dict[str, object]) -> Validated:
    usual = {"account": "main", "wallet": "SPOT", "datetime": NOON, "asset": "BTC", "amount": "1"}
    return validate(TRANSFERS, table_of(*({**usual, **row} for row in rows)), "books")


def balances(*rows: dict[str, object]) -> Validated:
    usual = {"account": "main", "wallet": "SPOT", "asset": "BTC", "as_of": NOON, "raw_balance": "1"}
    return validate(BALANCES, table_of(*({**usual, **row} for row in rows)), "books")


def table_of(*rows: Mapping[str, object]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    types = [pa.int64() if name == LINE else pa.string() for name in names]
    return pa.table({n: pa.array([row.get(n) for row in rows], t) for n, t in zip(names, types, strict=True)})


def errors(result: Validated) -> list[str]:
    return list(result.quarantine["error"].to_pylist())


def test_a_flow_gets_its_defaults() -> None:
    rows = transfers({}, {"amount": "-2"}, {"amount": "-1", "txn_type": "txn_fee"}).rows.to_pylist()
    told = {(str(row["amount"].normalize()), row["txn_type"], row["txn_subtype"]) for row in rows}
    assert told == {
        ("1", "transfer_in", "transfer_in"),
        ("-2", "transfer_out", "transfer_out"),
        ("-1", "txn_fee", "txn_fee"),
    }
    assert {(row["venue"], row["source"], row["measure"]) for row in rows} == {("books", "transfers", "balance")}


def test_a_trade_is_bought_or_sold_by_its_sign() -> None:
    usual = {"account": "main", "wallet": "SPOT", "datetime": NOON, "asset": "BTC"}
    result = validate(TRADES, table_of({**usual, "amount": "1"}, {**usual, "amount": "-1"}), "books")
    assert {(row["txn_type"], row["txn_subtype"]) for row in result.rows.to_pylist()} == {
        ("trade", "buy"),
        ("trade", "sell"),
    }


def test_rows_without_an_id_are_known_by_content_and_occurrence_in_any_order() -> None:
    first = transfers({}, {}, {"amount": "2"}, {"raw_id": "x"})
    again = transfers({"amount": "2"}, {"raw_id": "y"}, {}, {})
    ids = first.rows["external_id"].to_pylist()
    assert len(set(ids)) == 4
    assert sorted(identifier.partition(":")[2] for identifier in ids) == ["1", "1", "2", "3"]
    assert sorted(ids) == sorted(again.rows["external_id"].to_pylist())


def test_a_row_read_twice_is_one_row_and_is_counted() -> None:
    result = transfers({"external_id": "a", "raw_id": "x"}, {"external_id": "a", "raw_id": "y"}, {"external_id": "b"})
    assert (result.rows.num_rows, result.counts["repeated"], result.quarantine.num_rows) == (2, 1, 0)


def test_equal_amounts_in_other_notation_are_equal_content() -> None:
    result = transfers({"external_id": "a", "amount": "1.50"}, {"external_id": "a", "amount": "15e-1"})
    assert (result.rows.num_rows, result.counts["repeated"]) == (1, 1)


def test_a_key_with_two_contents_is_believed_in_neither_even_if_one_is_refused() -> None:
    assert errors(transfers({"external_id": "a"}, {"external_id": "a", "amount": "2"})) == ["DoubledKey", "DoubledKey"]
    refused = transfers({"external_id": "a"}, {"external_id": "a", "amount": "1_0"})
    assert sorted(errors(refused)) == ["AmountSeparated", "DoubledKey"]
    assert refused.rows.num_rows == 0


def test_legs_of_one_event_under_one_id_have_an_error_of_their_own() -> None:
    legs = transfers({"external_id": "a", "asset": "ETH"}, {"external_id": "a", "amount": "-2"})
    assert errors(legs) == ["LegsShareExternalId", "LegsShareExternalId"]
    apart = transfers({"external_id": "a:in", "asset": "ETH"}, {"external_id": "a:out", "amount": "-2"})
    assert apart.rows.num_rows == 2


def test_unknown_moves_the_balance_and_is_reported_while_other_words_are_refused() -> None:
    result = transfers({"txn_subtype": "unknown"}, {"txn_subtype": "lunch"})
    assert (result.counts["unknown"], errors(result)) == (1, ["UnknownSubtype"])


def test_a_nul_character_is_refused_for_no_database_holds_it() -> None:
    assert errors(transfers({"counter_party": "a\x00b"}, {})) == ["NotText"]


def test_a_quarantined_row_tells_its_place_and_what_it_held() -> None:
    result = transfers({"amount": "1_000", "wallet": " ", FILE: "t.csv", LINE: 7}, {FILE: "t.csv", LINE: 8})
    (row,) = result.quarantine.to_pylist()
    assert (row["error"], row["file"], row["line"]) == ("AmountSeparated", "t.csv", 7)
    assert (row["account"], row["wallet"], row["asset"], row["date"]) == ("main", None, "BTC", date(2026, 3, 1))
    assert '"amount":"1_000"' in row["content"]
    assert result.quarantine.schema == QUARANTINE
    assert result.rows["raw_id"].to_pylist() == ["t.csv:8"]


def test_every_fault_says_what_was_expected_and_what_to_do() -> None:
    assert all(expected and next_step for expected, next_step in ROW_FAULTS.values())


# --- balances, prices, coverage ---------------------------------------------------------------------------------------


def test_a_snapshot_is_dated_by_the_read_and_the_read_by_its_last_row() -> None:
    result = balances(
        {"snapshot_id": "s", "as_of": "2026-03-01T23:59:00Z"},
        {"snapshot_id": "s", "as_of": "2026-03-02T00:00:30Z", "asset": "ETH"},
    )
    assert {row["date"] for row in result.rows.to_pylist()} == {date(2026, 3, 2)}
    assert {row["read_at"] for row in result.rows.to_pylist()} == {datetime(2026, 3, 2, 0, 0, 30, tzinfo=UTC)}


def test_a_row_of_its_own_instant_is_a_snapshot_of_its_own() -> None:
    (row,) = balances({"raw_balance": "-3"}).rows.to_pylist()
    assert (row["snapshot_id"], row["date"]) == ("2026-03-01T12:00:00.000000Z", date(2026, 3, 1))


def test_the_rows_of_a_snapshot_that_disagree_are_all_refused() -> None:
    dates = balances(
        {"snapshot_id": "s", "date": "2026-03-01"}, {"snapshot_id": "s", "date": "2026-03-02", "asset": "ETH"}
    )
    assert errors(dates) == ["SnapshotDatesDiffer"] * 2
    twice = balances({"snapshot_id": "s"}, {"snapshot_id": "s", "as_of": "2026-03-01T11:00:00Z"})
    assert errors(twice) == ["StatedTwice"] * 2
    assert errors(balances({"read_at": "2026-03-01T11:59:59Z"})) == ["AsOfAfterReadAt"]


@pytest.mark.parametrize("bad", [{"date": "2026-02-30"}, {"read_at": "soon"}, {"as_of": "soon"}])
def test_the_date_of_a_row_whose_instants_cannot_be_read_is_not_told(bad: dict[str, object]) -> None:
    result = balances({"snapshot_id": "s", **bad}, {"snapshot_id": "s", "asset": "ETH"})
    assert [row["date"] for row in result.quarantine.to_pylist()] == [None]
    assert result.rows.num_rows == 1


def test_a_row_without_a_price_is_left_out_before_keys_are_tested() -> None:
    rows = ({"asset": "BTC", "as_of": NOON, "usd_price": price} for price in ("", None, "0", "-1"))
    result = validate(PRICES, table_of(*rows), "books")
    assert result.counts["left_out"] == 2
    assert errors(result) == ["DoubledKey", "DoubledKey"]


def test_a_window_that_ends_before_it_begins_covers_nothing() -> None:
    usual = {"account": "main", "window_start": NOON, "status": "complete"}
    good, bad = {**usual, "window_end": NOON}, {**usual, "window_end": "2026-03-01T11:00:00Z"}
    result = validate(COVERAGE, table_of(good, bad), "books", allowed={"stream": ("transfers", "*")})
    assert [row["stream"] for row in result.rows.to_pylist()] == ["*"]
    assert errors(result) == ["WindowReversed"]
    other = validate(COVERAGE, table_of({**good, "stream": "gossip"}), "books", allowed={"stream": ("transfers", "*")})
    assert errors(other) == ["NotAllowed"]


# --- types ------------------------------------------------------------------------------------------------------------


def test_exact_types_are_taken_and_floats_and_naive_instants_are_not() -> None:
    text = {"account": ["main"], "wallet": ["SPOT"], "asset": ["BTC"]}
    instant = pa.array([0], pa.timestamp("us", "UTC"))
    for amount in (pa.array([Decimal("1.25")]), pa.array([5]), pa.array([Decimal(7)], pa.decimal128(38, 0))):
        result = validate(TRANSFERS, pa.table({**text, "datetime": instant, "amount": amount}), "books")
        assert result.rows["amount"][0].as_py() == amount[0].as_py()
    with pytest.raises(FrameError, match="column amount is double"):
        validate(TRANSFERS, pa.table({**text, "datetime": instant, "amount": [0.5]}), "books")
    with pytest.raises(FrameError, match="column datetime is timestamp"):
        naive = pa.array([0], pa.timestamp("us"))
        validate(TRANSFERS, pa.table({**text, "datetime": naive, "amount": ["1"]}), "books")


def test_a_decimal_too_fine_or_too_large_is_refused_by_row() -> None:
    text = {"account": ["main"] * 2, "wallet": ["SPOT"] * 2, "asset": ["BTC"] * 2, "datetime": [NOON] * 2}
    for type_, bad in ((pa.decimal128(38, 19), "1e-19"), (pa.decimal128(38, 0), "1e18")):
        amounts = pa.array([Decimal(1), Decimal(bad)], type_)
        result = validate(TRANSFERS, pa.table({**text, "amount": amounts}), "books")
        assert (result.rows.num_rows, result.quarantine.num_rows) == (1, 1)


# --- the contract from the other side ---------------------------------------------------------------------------------


def test_validated_rows_keep_the_pandera_contract_and_broken_ones_are_shown() -> None:
    rows = transfers({"external_id": "a"}, {"external_id": "b", "amount": "-1"}).rows
    assert len(failures(TRANSFERS, rows)) == 0
    twice = pa.concat_tables([rows, rows])
    assert set(failures(TRANSFERS, twice)["column"]) == {"venue", "account", "source", "external_id"}
    index = rows.schema.get_field_index("txn_subtype")
    odd = rows.set_column(index, rows.schema.field("txn_subtype"), pa.array(["lunch", "buy"]))
    assert list(failures(TRANSFERS, odd)["failure_case"]) == ["lunch"]
    floats = rows.set_column(rows.schema.get_field_index("amount"), "amount", pa.array([0.1, 0.2]))
    assert list(failures(TRANSFERS, floats)["check"]) == ["no floats"]


@pytest.mark.parametrize("name", FRAMES)
def test_the_contract_describes_every_column(name: str) -> None:
    frame = FRAMES[name]
    contract = column_schema(frame)
    assert [column.name for column in contract] == [column.name for column in frame.columns]
    assert all(column.description for column in contract)
    assert table_constraints(frame)[0].startswith("unique: ")
    assert len(failures(frame, frame.arrow.empty_table())) == 0
