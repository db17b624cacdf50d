"""The oracle against stories whose figures were worked out by hand, so that it may judge the kernel.

Days are 4 March 2026, a Wednesday, and those after it. A snapshot closes its day at 23:59:59 unless its story says
otherwise.
"""

from __future__ import annotations

import ast
import dataclasses
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from recon_pipeline_tests import oracle
from recon_pipeline_tests.oracle import (
    Balance,
    Coverage,
    Expected,
    Flow,
    Ledger,
    Opening,
    Price,
    Quarantined,
    Row,
    Settings,
    SumOverflowError,
    ToleranceRule,
    reconcile,
)

WED, THU, FRI, SAT, SUN, MON = (date(2026, 3, 4) + timedelta(days=n) for n in range(6))


def at(day: date, clock: str = "23:59:59") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)


def held(day: date, amount: str, asset: str = "BTC", as_of: datetime | None = None, **columns: Any) -> Balance:
    row = Balance("ann", "SPOT", asset, as_of or at(day), day, f"s{day}", at(day), Decimal(amount))
    return dataclasses.replace(row, **columns)


def flow(when: datetime, amount: str, subtype: str, asset: str = "BTC", **columns: Any) -> Flow:
    frame = "trades" if subtype in ("buy", "sell", "trade_fee") else "transfers"
    return dataclasses.replace(Flow(frame, "ann", "SPOT", asset, when, subtype, Decimal(amount)), **columns)


def covered(start: datetime, end: datetime, status: str = "complete", stream: str = "*") -> Coverage:
    return Coverage("ann", stream, None, start, end, status)


ALWAYS = covered(at(WED - timedelta(days=30)), at(MON + timedelta(days=30)))
EVERY_PARTITION = frozenset((f, WED + timedelta(days=n)) for f in oracle.FLOW_FRAMES for n in range(-9, 9))


def rows_of(*told: Balance | Flow | Price | Expected | Quarantined, **changes: Any) -> dict[tuple[date, str], Row]:
    """The rows of Wednesday to Monday by day and asset, seen long after, flows covered throughout unless changed."""

    def told_of(kind: type) -> tuple[Any, ...]:
        return tuple(row for row in told if isinstance(row, kind))

    settings = {f.name: changes.pop(f.name) for f in dataclasses.fields(Settings) if f.name in changes}
    ledger = Ledger(
        settings=Settings(**{"start": WED, **settings}),
        as_of_day=date(2026, 4, 1),
        days=(WED, THU, FRI, SAT, SUN, MON),
        balances=told_of(Balance),
        flows=told_of(Flow),
        flow_partitions=EVERY_PARTITION,
        coverage=(ALWAYS,),
        prices=told_of(Price),
        expected=told_of(Expected),
        quarantine=told_of(Quarantined),
    )
    rows = reconcile(dataclasses.replace(ledger, **changes))
    return {(day, row.asset): row for day in rows for row in rows[day]}


def btc(*told: Any, **changes: Any) -> dict[date, Row]:
    """The rows of BTC by day."""
    return {day: row for (day, asset), row in rows_of(*told, **changes).items() if asset == "BTC"}


def of(row: Row, *columns: str) -> tuple[Any, ...]:
    return tuple(getattr(row, column) for column in columns)


def verdict(row: Row) -> tuple[Any, ...]:
    return of(row, "status", "discrepancy_type", "variance_in_asset")


def test_oracle_imports_nothing_of_what_it_judges() -> None:
    tree = ast.parse(Path(oracle.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} == {
        "__future__",
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "functools",
        "typing",
    }


def test_first_snapshot_is_shown_and_not_tested() -> None:
    row = btc(held(WED, "5"), flow(at(WED, "10:00"), "4", "transfer_in"))[WED]
    assert verdict(row) == ("opening", None, None)
    assert of(row, "window_start", "window_end", "actual_balance") == (None, at(WED), 5)
    assert of(row, "start_balance", "calculated_balance", "transfers_in", "flow_count") == (None, None, None, None)


def test_flows_between_two_snapshots_explain_the_second() -> None:
    flows = (
        flow(at(THU, "01:00"), "3", "transfer_in"),
        flow(at(THU, "02:00"), "-1", "transfer_out"),
        flow(at(THU, "03:00"), "0.5", "buy"),
        flow(at(THU, "04:00"), "-0.25", "sell"),
        flow(at(THU, "05:00"), "-0.01", "trade_fee"),
        flow(at(THU, "06:00"), "0.002", "txn_fee"),
        flow(at(THU, "07:00"), "-0.1", "transfer_in"),
    )
    row = btc(held(WED, "5"), held(THU, "7.142"), *flows)[THU]
    assert verdict(row) == ("matched", None, 0)
    assert of(row, "transfers_in", "transfers_out") == (Decimal("2.9"), -1), "a reversal stays in its bucket"
    assert of(row, "trades_in", "trades_out", "fees") == (Decimal("0.5"), Decimal("-0.25"), Decimal("-0.008"))
    assert of(row, "calculated_balance", "flow_count") == (Decimal("7.142"), 7)


def test_unknown_flows_go_by_their_sign() -> None:
    row = btc(held(WED, "5"), held(THU, "5"), flow(at(THU), "2", "unknown"), flow(at(THU), "-2", "unknown"))[THU]
    assert of(row, "transfers_in", "transfers_out", "variance_in_asset") == (2, -2, 0)


def test_flow_at_the_cut_belongs_to_the_window_that_it_ends() -> None:
    rows = btc(held(WED, "5"), held(THU, "6"), held(FRI, "6"), flow(at(THU), "1", "transfer_in"))
    assert [rows[d].flow_count for d in (THU, FRI)] == [1, 0]


def test_forgotten_fee_is_a_variance_of_its_amount() -> None:
    row = btc(held(WED, "5"), held(THU, "4.99"), Price("v", "BTC", at(THU, "12:00"), Decimal(60000), "p"))[THU]
    assert verdict(row) == ("variance", "mismatch", Decimal("-0.01"))
    assert of(row, "variance_in_usd", "severity") == (-600, "medium")


def test_doubled_deposit_is_a_variance_of_minus_its_amount() -> None:
    deposit = flow(at(THU, "09:00"), "2", "transfer_in")
    row = btc(held(WED, "5"), held(THU, "7"), deposit, deposit)[THU]
    assert verdict(row) == ("variance", "mismatch", -2)
    assert of(row, "calculated_balance", "flow_count", "severity") == (9, 2, "high"), "22 % and no price"


def test_day_without_a_snapshot_is_incomplete_and_the_next_window_reaches_back() -> None:
    rows = btc(held(WED, "5"), held(FRI, "8"), flow(at(THU), "1", "transfer_in"), flow(at(FRI), "2", "transfer_in"))
    assert verdict(rows[THU]) == ("incomplete", "missing_snapshot", None)
    assert of(rows[THU], "window_start", "actual_balance", "flow_count") == (None, None, None)
    assert verdict(rows[FRI]) == ("matched", None, 0)
    assert of(rows[FRI], "window_start", "flow_count") == (at(WED), 2)


def test_what_is_not_yet_due_is_pending() -> None:
    rows = btc(held(WED, "5"), held(THU, "5"), as_of_day=SAT, due_days=2, coverage=())
    assert [rows[d].status for d in (WED, THU, FRI, SAT, SUN)] == [
        "opening",
        "incomplete",
        "pending",
        "pending",
        "pending",
    ]
    assert [rows[d].discrepancy_type for d in (THU, FRI)] == ["coverage_hole", "missing_snapshot"]
    assert rows[THU].variance_in_asset == 0, "provisional figures are shown"


def test_weekdays_expect_nothing_on_saturday_but_tell_what_was_stated() -> None:
    rows = btc(held(FRI, "5"), held(SUN, "5"), calendar="weekdays")
    assert list(rows) == [FRI, SUN, MON]
    assert [rows[d].status for d in (FRI, SUN, MON)] == ["opening", "matched", "incomplete"]


def test_stated_calendar_expects_the_days_on_which_the_account_has_a_statement() -> None:
    rows = btc(held(WED, "5"), held(FRI, "1", "USD", wallet="EARN"), calendar="stated")
    assert {day: row.status for day, row in rows.items()} == {WED: "opening", FRI: "incomplete"}


def test_sold_out_and_returned_starts_at_zero() -> None:
    usd = [held(day, "1", "USD") for day in (WED, THU, FRI, SAT)]
    flows = (flow(at(THU, "12:00"), "-5", "sell"), flow(at(SAT, "12:00"), "2", "buy"))
    rows = btc(held(WED, "5"), held(SAT, "2"), *usd, *flows)
    assert verdict(rows[THU]) == ("matched", None, 0)
    assert of(rows[THU], "actual_balance", "window_end") == (0, at(THU))
    assert FRI not in rows, "nothing held, nothing moved"
    assert verdict(rows[SAT]) == ("matched", None, 0)
    assert of(rows[SAT], "start_balance", "window_start") == (0, at(FRI))


def test_asset_that_vanishes_is_missing_at_the_venue_and_one_that_appears_is_missing_in_the_books() -> None:
    usd = [held(day, "1", "USD") for day in (WED, THU, FRI)]
    rows = btc(held(WED, "5"), held(FRI, "5"), *usd)
    assert verdict(rows[THU]) == ("variance", "missing_at_venue", -5)
    assert verdict(rows[FRI]) == ("variance", "missing_in_books", 5)


def test_asset_that_only_flows_tell_of_gets_its_row() -> None:
    usd = [held(day, "1", "USD") for day in (WED, THU)]
    row = btc(*usd, flow(at(THU, "12:00"), "3", "transfer_in"))[THU]
    assert verdict(row) == ("variance", "missing_at_venue", -3)
    assert of(row, "start_balance", "window_start") == (0, at(WED))


def test_unchanged_position_with_its_old_as_of_is_an_empty_window() -> None:
    old = at(WED, "08:00")
    rows = btc(held(WED, "5", as_of=old), held(THU, "5", as_of=old), coverage=())
    assert verdict(rows[THU]) == ("matched", None, 0)
    assert of(rows[THU], "window_start", "window_end", "flow_count") == (old, old, 0)


def test_as_of_before_the_starts_tells_nothing_and_starts_nothing() -> None:
    rows = btc(
        held(WED, "5"),
        held(THU, "9", as_of=at(WED, "08:00")),
        held(FRI, "6"),
        flow(at(THU, "12:00"), "1", "transfer_in"),
    )
    assert verdict(rows[THU]) == ("incomplete", "as_of_before_start", None)
    assert of(rows[THU], "window_start", "window_end") == (at(WED), at(WED, "08:00"))
    assert of(rows[THU], "start_balance", "actual_balance", "calculated_balance") == (5, 9, None)
    assert verdict(rows[FRI]) == ("matched", None, 0)
    assert rows[FRI].window_start == at(WED)


def test_of_two_snapshots_of_a_day_the_last_read_counts() -> None:
    early = held(THU, "99", as_of=at(THU, "06:00"), read_at=at(THU, "06:00"), snapshot_id="z")
    rows = btc(held(WED, "5"), early, held(THU, "5"))
    assert verdict(rows[THU]) == ("matched", None, 0)
    same_read = held(THU, "99", snapshot_id="a"), held(THU, "5", snapshot_id="b")
    assert verdict(btc(held(WED, "5"), *same_read)[THU]) == ("matched", None, 0)


def test_quarantined_balance_spoils_its_day_and_is_passed_over() -> None:
    refused = Quarantined("balances", "ann", "SPOT", "BTC", date=THU)
    rows = rows_of(held(WED, "5"), held(FRI, "6"), *(held(d, "1", "USD") for d in (WED, THU, FRI)), refused)
    assert verdict(rows[THU, "BTC"]) == ("incomplete", "quarantined_balance", None)
    assert rows[THU, "USD"].status == "matched"
    assert verdict(rows[FRI, "BTC"]) == ("variance", "mismatch", 1)
    assert rows[FRI, "BTC"].window_start == at(WED)


def test_quarantined_balance_of_an_unknown_asset_makes_absence_say_nothing() -> None:
    refused = Quarantined("balances", "ann", "SPOT", date=THU)
    usd = [held(day, "1", "USD") for day in (WED, THU, FRI)]
    rows = btc(held(WED, "5"), *usd, refused)
    assert verdict(rows[THU]) == ("incomplete", "absence_unknown", None)
    assert verdict(rows[FRI]) == ("variance", "missing_at_venue", -5)


def test_position_whose_earlier_actuals_were_all_refused_has_no_start() -> None:
    refused = Quarantined("balances", "ann", "SPOT", "BTC", date=WED)
    rows = btc(held(WED, "1", "USD"), held(THU, "5"), held(FRI, "5"), refused)
    assert verdict(rows[WED]) == ("incomplete", "quarantined_balance", None)
    assert verdict(rows[THU]) == ("incomplete", "no_start", None)
    assert verdict(rows[FRI]) == ("matched", None, 0)


def test_refused_position_without_a_start_has_its_row_even_where_it_is_absent() -> None:
    refused = Quarantined("balances", "ann", "SPOT", "BTC", date=WED)
    rows = btc(*(held(day, "1", "USD") for day in (WED, THU, FRI)), refused)
    assert verdict(rows[THU]) == ("incomplete", "no_start", None)
    assert rows[THU].actual_balance == 0
    assert FRI not in rows, "from Thursday on it is known to be zero"


def test_refused_balance_has_its_row_on_a_day_without_any_snapshot() -> None:
    refused = Quarantined("balances", "ann", "SPOT", "BTC", date=THU)
    rows = rows_of(held(WED, "1", "USD"), refused)
    assert verdict(rows[THU, "USD"]) == ("incomplete", "missing_snapshot", None)
    assert verdict(rows[THU, "BTC"]) == ("incomplete", "quarantined_balance", None)


def test_sums_of_36_digits_lose_none() -> None:
    largest = "999999999999999999.999999999999999999"
    rows = btc(held(WED, largest), held(THU, f"-{largest}"))
    assert rows[THU].variance_in_asset == Decimal("-1999999999999999999.999999999999999998")


def test_quarantined_flow_spoils_the_windows_that_may_hold_it() -> None:
    balances = [held(day, "5", asset) for day in (WED, THU, FRI) for asset in ("BTC", "USD")]
    told = Quarantined("transfers", "ann", "SPOT", "BTC", at(FRI))
    rows = rows_of(*balances, told)
    assert [rows[d, "BTC"].discrepancy_type for d in (THU, FRI)] == [None, "quarantined_flow"]
    assert rows[FRI, "USD"].status == "matched"
    half_told = Quarantined("trades", "ann", instant=at(THU))
    rows = rows_of(*balances, half_told)
    assert {day: {rows[day, asset].status for asset in ("BTC", "USD")} for day in (WED, THU, FRI)} == {
        WED: {"opening"},
        THU: {"incomplete"},
        FRI: {"matched"},
    }


def test_hole_in_coverage_touches_only_the_windows_over_it() -> None:
    balances = [held(day, "5") for day in (WED, THU, FRI, SAT)]
    tiles = (
        covered(at(WED), at(THU, "12:00")),
        covered(at(THU, "12:00"), at(FRI), "final"),
        covered(at(FRI), at(SAT), "failed"),
        covered(at(FRI), at(SAT), "complete", "trades"),
    )
    rows = btc(*balances, coverage=tiles)
    assert [rows[d].discrepancy_type for d in (THU, FRI, SAT)] == [None, None, "coverage_hole"]


def test_coverage_row_of_an_asset_decides_over_the_general_one() -> None:
    balances = [held(day, "5", asset) for day in (WED, THU) for asset in ("BTC", "USD")]
    failed = Coverage("ann", "transfers", "BTC", at(THU, "01:00"), at(THU, "02:00"), "failed")
    rows = rows_of(*balances, coverage=(ALWAYS, failed))
    assert rows[THU, "BTC"].discrepancy_type == "coverage_hole"
    assert rows[THU, "USD"].status == "matched"


def test_partition_never_written_is_a_hole() -> None:
    balances = [held(day, "5") for day in (WED, THU, FRI)]
    rows = btc(*balances, flow_partitions=EVERY_PARTITION - {("trades", FRI)})
    assert [rows[d].discrepancy_type for d in (THU, FRI)] == [None, "coverage_hole"]


def test_wallet_that_only_flows_tell_of_is_incomplete_until_its_opening() -> None:
    rows = btc(flow(at(THU), "5", "transfer_in"), held(SAT, "5"))
    assert WED not in rows
    assert [verdict(rows[d])[:2] for d in (THU, FRI, SAT)] == [
        ("incomplete", "never_stated"),
        ("incomplete", "never_stated"),
        ("opening", None),
    ]


def test_declared_opening_starts_anew_at_the_next_snapshot() -> None:
    balances = [held(day, amount) for day, amount in ((WED, "5"), (FRI, "70"), (SAT, "70"))]
    rows = btc(*balances, openings=(Opening("ann", "SPOT", THU),))
    assert [rows[d].status for d in (WED, THU, FRI, SAT)] == ["opening", "incomplete", "opening", "matched"]


def test_venue_without_streams_is_informational() -> None:
    rows = btc(held(WED, "5"), held(THU, "9"), streams=(), coverage=())
    assert verdict(rows[THU]) == ("informational", None, None)
    assert of(rows[THU], "actual_balance", "window_end", "start_balance") == (9, at(THU), None)


def test_tolerance_is_the_first_found_and_inclusive() -> None:
    rules = (ToleranceRule(None, "BTC", Decimal("0.01"), 3), ToleranceRule(None, None, Decimal(9), 4))
    balances = [held(day, f"{amount}") for day, amount in ((WED, "5"), (THU, "5.01"), (FRI, "5.03"))]
    rows = btc(*balances, tolerances=rules)
    assert verdict(rows[THU]) == ("matched", "precision", Decimal("0.01"))
    assert verdict(rows[FRI]) == ("variance", "mismatch", Decimal("0.02"))
    assert rows[FRI].tolerance == Decimal("0.01")


def test_expected_residual_is_timing_and_so_is_its_return() -> None:
    balances = [held(day, amount) for day, amount in ((WED, "5"), (THU, "4"), (FRI, "5"))]
    item = Expected("ann", "SPOT", "BTC", Decimal(-1), SAT, "fee posted next day")
    rows = btc(*balances, item, as_of_day=SAT)
    assert [verdict(rows[d]) for d in (THU, FRI)] == [("timing", "expected", -1), ("timing", "taken_back", 1)]
    rows = btc(*balances, item, as_of_day=SUN)
    assert [rows[d].status for d in (THU, FRI)] == ["variance", "variance"], "the deadline has passed"
    near = [held(day, amount) for day, amount in ((WED, "5"), (THU, "4.01"))]
    rule = ToleranceRule(None, None, Decimal("0.5"), 6)
    row = btc(*near, item, as_of_day=SAT, tolerances=(rule,))[THU]
    assert row.status == "variance", "it must equal the item, however wide the tolerance"


@pytest.mark.parametrize(
    ("as_of", "usd_price", "status"),
    [
        (at(THU, "00:00:00"), "2", "ok"),
        (at(FRI, "00:00:00"), "2", "missing"),
        (at(THU, "12:00"), "0", "missing"),
        (at(THU, "12:00"), "-1", "missing"),
        (at(date(2026, 3, 3), "00:00:00"), "2", "ok"),
        (at(date(2026, 3, 2), "23:59:59"), "2", "stale"),
    ],
)
def test_price_of_a_day_is_the_last_before_its_end(as_of: datetime, usd_price: str, status: str) -> None:
    row = btc(held(WED, "5"), held(THU, "5"), Price("v", "BTC", as_of, Decimal(usd_price), "p"))[THU]
    assert row.price_status == status
    assert row.usd_price == (None if status == "missing" else 2)


def test_own_price_comes_before_the_sources_and_a_refused_one_is_missing() -> None:
    own = Price("v", "BTC", at(WED, "01:00"), Decimal(2), "p")
    other = Price("px", "BTC", at(WED, "23:00"), Decimal(3), "p")
    assert btc(held(WED, "5"), own, other, price_sources=("px",))[WED].usd_price == 2
    assert btc(held(WED, "5"), other, price_sources=("px",))[WED].usd_price == 3
    refused = Quarantined("prices", asset="BTC", instant=at(WED, "02:00"))
    assert btc(held(WED, "5"), own, other, refused, price_sources=("px",))[WED].price_status == "missing"


@pytest.mark.parametrize(
    ("instant", "status"),
    [(at(WED, "02:00"), "missing"), (at(WED, "01:00"), "missing"), (at(WED, "00:59"), "ok"), (None, "missing")],
)
def test_refused_price_of_an_unknown_asset_may_be_the_newer_one_of_any(instant: datetime | None, status: str) -> None:
    own = Price("v", "BTC", at(WED, "01:00"), Decimal(2), "p")
    refused = Quarantined("prices", asset=None, instant=instant)
    assert btc(held(WED, "5"), own, refused)[WED].price_status == status


@pytest.mark.parametrize(
    ("calculated", "actual", "price", "severity"),
    [
        ("1000", "1000.9", "1", "low"),
        ("1", "1.9", "1", "low"),
        ("10000", "10099", "1", "low"),
        ("10000", "10100", "1", "medium"),
        ("100", "101.02", "1", "medium"),
        ("100", "106", "1", "high"),
        ("1000000", "1001000", "1", "high"),
        ("1000000", "1010000", "1", "critical"),
        ("0", "1000", "1", "critical"),
        ("0", "999", "1", "high"),
        ("1000", "0", "1", "critical"),
        ("10000", "10001", None, "medium"),
        ("100", "105", None, "medium"),
        ("100", "106", None, "high"),
        ("0", "500000000000000000", "999999999999999999", "critical"),
    ],
)
def test_severity_goes_by_share_and_usd(calculated: str, actual: str, price: str | None, severity: str) -> None:
    prices = [Price("v", "BTC", at(THU, "12:00"), Decimal(price), "p")] if price else []
    row = btc(held(WED, calculated), held(THU, actual), *prices)[THU]
    assert of(row, "status", "severity") == ("variance", severity)


@pytest.mark.parametrize(
    ("balance", "loan", "severity"),
    [("7", "500000", "critical"), ("5", "1500", "critical"), ("1505", "1500", "critical"), ("1505", "0", "high")],
)
def test_the_gravest_of_the_measures_that_are_off_is_the_severity(balance: str, loan: str, severity: str) -> None:
    """Of 5 held and nothing owed: the loan is missing on one side altogether, the balance on neither."""
    borrowed = [replace(held(WED, "5"), raw_loan=Decimal(0)), replace(held(THU, balance), raw_loan=Decimal(loan))]
    price = Price("v", "BTC", at(THU, "12:00"), Decimal(1), "p")
    row = btc(*borrowed, price, measures=("balance", "loan"))[THU]
    assert of(row, "status", "severity") == ("variance", severity)


def test_usd_beyond_its_column_is_an_overflow() -> None:
    price = Price("v", "BTC", at(THU, "12:00"), Decimal(10) ** 17, "p")
    rows = btc(held(WED, "0"), held(THU, "10000000000000"), held(FRI, "19999999999999"), price)
    assert of(rows[THU], "price_status", "variance_in_usd", "usd_price") == ("overflow", None, 10**17)
    assert of(rows[FRI], "price_status", "variance_in_usd") == ("ok", Decimal(9999999999999) * 10**17)


def test_usd_is_rounded_once_half_away_from_zero() -> None:
    price = Price("v", "BTC", at(THU, "12:00"), Decimal("0.000000005"), "p")
    rows = btc(held(WED, "0"), held(THU, "1"), held(FRI, "0"), price)
    assert [rows[d].variance_in_usd for d in (THU, FRI)] == [Decimal("1e-8"), Decimal("-1e-8")]


def test_loan_is_rolled_only_where_the_venue_tells_its_flows() -> None:
    told = (
        held(WED, "5", raw_loan=Decimal(3)),
        held(THU, "5", raw_loan=Decimal(7)),
        flow(at(THU, "12:00"), "4", "transfer_in", measure="loan"),
    )
    rolled = btc(*told, measures=("loan",))[THU]
    assert of(rolled, "status", "loan_calculated", "loan_actual") == ("matched", 7, 7)
    assert of(rolled, "transfers_in", "flow_count", "calculated_balance") == (0, 1, 5)
    assert btc(*told[:2], measures=("loan",))[THU].status == "variance"
    shown = btc(*told)[THU]
    assert of(shown, "status", "loan_calculated", "loan_actual") == ("matched", None, 7)


def test_what_is_not_realised_is_shown_as_stated_and_as_recomputed_and_never_tested() -> None:
    rows = btc(
        held(WED, "5", raw_unrealised_pnl=Decimal("-1.25"), marked_unrealised_pnl=Decimal("-1.26")),
        held(THU, "5", raw_unrealised_pnl=Decimal(2), marked_unrealised_pnl=Decimal(-900)),
        held(FRI, "5", marked_unrealised_pnl=Decimal(7)),
        held(SAT, "5", raw_unrealised_pnl=Decimal(7)),
    )
    columns = ("status", "unrealised_pnl_calculated", "unrealised_pnl_actual")
    assert [of(rows[day], *columns) for day in (WED, THU, FRI, SAT)] == [
        ("opening", Decimal("-1.26"), Decimal("-1.25")),
        ("matched", -900, 2),
        ("matched", 7, None),
        ("matched", None, 7),
    ]


def test_sum_beyond_its_column_is_refused() -> None:
    largest = "999999999999999999.999999999999999999"
    flows = [flow(at(THU, "12:00"), largest, "transfer_in")] * 101
    with pytest.raises(SumOverflowError):
        btc(held(WED, "0"), held(THU, "0"), *flows)
