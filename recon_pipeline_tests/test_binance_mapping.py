"""Binance's spot wallet: wire rows in, canonical rows out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import starmap
from typing import Any

import pytest

from recon_pipeline.api_settings import DOUBTS, ApiSettings
from recon_pipeline.errors import ConfigError
from recon_pipeline.venues.binance.mapping import (
    Mapped,
    MappingContext,
    assets_in_earn,
    capture_content,
    price_ways,
    quarantine_row,
)
from recon_pipeline.venues.binance.reading import doubted_rows, families_read, flow_streams
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.streams import RawRecord
from recon_pipeline_tests.binance_records import (
    CONTEXT,
    DESK,
    FACTS,
    MAIN,
    READ_AT,
    SYMBOLS,
    kinds,
    mapped,
    ms,
    record,
    told,
    utc,
)
from recon_pipeline_tests.binance_samples import sample

# --- deposits ---------------------------------------------------------------------------------------------------------


def deposit(**changes: Any) -> dict[str, Any]:
    return {
        "id": "700100200300400500",
        "amount": "2.5",
        "coin": "ETH",
        "network": "ETH",
        "status": 1,
        "address": "0xours",
        "addressTag": "",
        "txId": "0xfeed",
        "insertTime": ms("2026-11-01T10:00:00.100"),
        "completeTime": ms("2026-11-01T10:12:00.200"),
        "transferType": 0,
        "confirmTimes": "12/12",
        "unlockConfirm": 12,
        "walletType": 0,
        "travelRuleStatus": 0,
    } | changes


def test_a_deposit_counts_when_it_is_credited() -> None:
    (row,) = mapped(record("deposits", deposit(sourceAddress="0xtheirs"))).transfers
    assert row == {
        "account": MAIN,
        "wallet": "SPOT",
        "source": "deposits",
        "external_id": "700100200300400500",
        "datetime": utc("2026-11-01T10:12:00.200"),
        "txn_type": "transfer_in",
        "txn_subtype": "deposit",
        "measure": "balance",
        "asset": "ETH",
        "amount": "2.5",
        "counter_party": "0xtheirs",
        "network": "ETH",
        "txn_hash": "0xfeed",
        "raw_id": row["raw_id"],
    }


@pytest.mark.parametrize("status", [0, 2, 7, 8])
def test_a_deposit_that_is_not_credited_moves_nothing(status: int) -> None:
    found = mapped(record("deposits", deposit(status=status)))
    assert (found.transfers, found.problems) == ([], [])


def test_a_deposit_that_cannot_be_withdrawn_counts_unless_the_doubt_says_otherwise() -> None:
    held = record("deposits", deposit(status=6))
    found = mapped(held)
    assert (told(found.transfers, "txn_subtype", "amount"), found.problems) == ([("deposit", "2.5")], [])
    assert mapped(held, status_6_deposits="not_credited").transfers == []


def test_a_deposit_may_count_from_its_first_detection() -> None:
    (row,) = mapped(record("deposits", deposit()), deposit_credit="insert_time").transfers
    assert row["datetime"] == utc("2026-11-01T10:00:00.100")


def test_a_deposit_goes_to_the_wallet_that_it_names() -> None:
    (row,) = mapped(record("deposits", deposit(walletType=1, transferType=1))).transfers
    assert (row["wallet"], row["txn_subtype"]) == ("FUNDING", "internal_deposit")


def test_an_unknown_status_moves_the_balance_and_is_reported() -> None:
    found = mapped(record("deposits", deposit(status=99)))
    assert told(found.transfers, "txn_subtype", "amount") == [("unknown", "2.5")]
    assert kinds(found) == ["unknown_value"]


def test_an_unknown_field_is_reported_once_and_stops_nothing() -> None:
    found = mapped(
        record("deposits", deposit(surprise=1)),
        record("deposits", deposit(id="700100200300400501", surprise=2)),
    )
    assert len(found.transfers) == 2
    assert [(p.kind, p.text) for p in found.problems] == [("unknown_field", "the field surprise is new")]


@pytest.mark.parametrize("amount", [2, None, "", "NaN", "1,5", "0x1", True])
def test_an_amount_that_is_not_exact_text_goes_to_quarantine(amount: Any) -> None:
    found = mapped(record("deposits", deposit(amount=amount)))
    assert found.transfers == []
    (problem,) = found.problems
    row = quarantine_row(problem)
    assert (row["frame"], row["account"], row["wallet"], row["asset"]) == ("transfers", MAIN, "SPOT", "ETH")
    assert row["instant"] == utc("2026-11-01T10:12:00.200")  # when it would have counted
    assert "amount" in row["reason"]


def test_a_sub_accounts_deposit_is_told_by_its_own_key_or_by_its_master() -> None:
    by_master = deposit()
    del by_master["completeTime"]
    alone = mapped(record("sub_deposits", by_master, {"email": DESK}))
    assert told(alone.transfers, "account", "source", "datetime") == [
        (DESK, "deposits", utc("2026-11-01T10:00:00.100"))
    ]
    both = mapped(record("sub_deposits", by_master, {"email": DESK}), record("deposits", deposit(), account=DESK))
    assert told(both.transfers, "account", "datetime") == [(DESK, utc("2026-11-01T10:12:00.200"))]


# --- withdrawals ------------------------------------------------------------------------------------------------------


def withdrawal(**changes: Any) -> dict[str, Any]:
    return {
        "id": "aa11bb22",
        "amount": "51",
        "transactionFee": "1",
        "coin": "USDT",
        "status": 6,
        "address": "TWhere",
        "txId": "0xdead",
        "applyTime": "2026-11-02 11:12:02",
        "network": "TRX",
        "transferType": 0,
        "info": "",
        "confirmNo": 3,
        "walletType": 0,
        "txKey": "",
        "completeTime": "2026-11-02 11:22:41",
    } | changes


def test_a_sub_accounts_deposit_without_a_wallet_goes_to_the_sub_accounts_own_default() -> None:
    facts = {**FACTS, DESK: replace(FACTS[DESK], default_wallet="FUNDING")}
    by_master = {name: value for name, value in deposit().items() if name != "walletType"}
    found = mapped(record("sub_deposits", by_master, {"email": DESK}), context=MappingContext(facts, SYMBOLS))
    assert told(found.transfers, "account", "wallet") == [(DESK, "FUNDING")]
    assert [(unplaced.account, unplaced.wallet) for unplaced in found.unplaced] == [(DESK, "FUNDING")]


def test_a_withdrawal_takes_its_amount_and_its_fee_when_it_is_applied_for() -> None:
    found = mapped(record("withdrawals", withdrawal()))
    assert told(found.transfers, "external_id", "amount", "txn_type", "txn_subtype", "datetime") == [
        ("aa11bb22:amt", "-51", "transfer_out", "withdrawal", utc("2026-11-02T11:12:02")),
        ("aa11bb22:fee", "-1", "txn_fee", "withdrawal_fee", utc("2026-11-02T11:12:02")),
    ]


def test_a_withdrawal_under_way_has_left() -> None:
    under_way = withdrawal(status=4, completeTime="")
    assert told(mapped(record("withdrawals", under_way)).transfers, "amount") == ["-1", "-51"]
    assert mapped(record("withdrawals", under_way), withdrawal_debit="complete_time").transfers == []


@pytest.mark.parametrize("status", [1, 3, 5])
def test_a_withdrawal_that_failed_comes_back_when_the_venue_says(status: int) -> None:
    found = mapped(record("withdrawals", withdrawal(status=status)))
    assert told(found.transfers, "external_id", "amount", "txn_subtype", "datetime") == [
        ("aa11bb22:amt", "-51", "withdrawal", utc("2026-11-02T11:12:02")),
        ("aa11bb22:amt:reversal", "51", "withdrawal", utc("2026-11-02T11:22:41")),
        ("aa11bb22:fee", "-1", "withdrawal_fee", utc("2026-11-02T11:12:02")),
        ("aa11bb22:fee:reversal", "1", "withdrawal_fee", utc("2026-11-02T11:22:41")),
    ]
    assert found.expected == []
    assert mapped(record("withdrawals", withdrawal(status=status)), withdrawal_debit="complete_time").transfers == []


def test_a_withdrawal_that_came_back_at_an_unstated_time_is_expected_until_it_was_read() -> None:
    found = mapped(record("withdrawals", withdrawal(status=5, completeTime=None)))
    assert sorted(told(found.transfers, "amount")) == ["-1", "-51", "1", "51"]
    (expected,) = found.expected
    assert (expected["amount"], expected["expected_by"], expected["asset"]) == ("-52", READ_AT.date(), "USDT")


def test_a_withdrawal_that_was_seen_under_way_comes_back_between_two_reads() -> None:
    """What is told of it once it has failed moves nothing."""
    under_way, failed, told_more = (
        withdrawal(status=status, completeTime=None, info=info)
        for status, info in ((4, ""), (5, ""), (5, "address refused"))
    )
    nights = [READ_AT + timedelta(days=number) for number in range(3)]

    def came_back(content: Mapping[str, Any], read_at: datetime, *before: tuple[datetime, Any]) -> tuple[Any, ...]:
        found = mapped(replace(record("withdrawals", content), read_at=read_at, before=before))
        (at,) = {row["datetime"] for row in found.transfers if row["external_id"].endswith(":reversal")}
        return at, found.expected[0]["expected_by"]

    told = nights[1] - timedelta(hours=12), nights[1].date()
    assert came_back(failed, nights[1], (nights[0], under_way)) == told
    assert came_back(told_more, nights[2], (nights[0], under_way), (nights[1], failed)) == told
    never_seen_gone = utc("2026-11-02T11:12:02"), nights[0].date()
    assert came_back(failed, nights[0]) == never_seen_gone
    assert came_back(told_more, nights[1], (nights[0], failed)) == never_seen_gone


# --- trades -----------------------------------------------------------------------------------------------------------


def trade(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "id": 4711,
        "orderId": 815,
        "orderListId": -1,
        "price": "60000.10",
        "qty": "0.50000000",
        "quoteQty": "30000.05000000",
        "commission": "0.01200000",
        "commissionAsset": "BNB",
        "time": ms("2026-11-03T09:00:00.007"),
        "isBuyer": True,
        "isMaker": False,
        "isBestMatch": True,
    } | changes


def test_a_fill_is_three_rows_and_the_fee_is_in_the_asset_that_was_charged() -> None:
    found = mapped(record("spot_trades", trade(), {"symbol": "BTCUSDT"}))
    assert told(found.trades, "external_id", "asset", "amount", "txn_subtype", "price", "agg_id") == [
        ("BTCUSDT:4711:base", "BTC", "0.50000000", "spot_buy", "60000.10", "BTCUSDT:4711"),
        ("BTCUSDT:4711:fee", "BNB", "-0.01200000", "taker_fee", "60000.10", "BTCUSDT:4711"),
        ("BTCUSDT:4711:quote", "USDT", "-30000.05000000", "spot_sell", "60000.10", "BTCUSDT:4711"),
    ]


def test_a_sale_has_the_other_signs_and_a_maker_may_be_given_money() -> None:
    sold = trade(isBuyer=False, isMaker=True, commission="-0.30", commissionAsset="USDT")
    assert told(mapped(record("spot_trades", sold)).trades, "asset", "amount", "txn_subtype") == [
        ("BTC", "-0.50000000", "spot_sell"),
        ("USDT", "0.30", "maker_fee"),
        ("USDT", "30000.05000000", "spot_buy"),
    ]


def test_a_trade_with_oneself_is_both_of_its_sides() -> None:
    sides = [record("spot_trades", trade(isBuyer=is_buyer), {"symbol": "BTCUSDT"}) for is_buyer in (True, False)]
    found = mapped(*sides)
    assert len({row["external_id"] for row in found.trades}) == len(found.trades) == 6
    assert {row["agg_id"] for row in found.trades} == {"BTCUSDT:4711"}
    assert len({BY_NAME["spot_trades"].key({"symbol": "BTCUSDT"}, side.content) for side in sides}) == 2


def test_a_fill_without_a_fee_has_no_fee_row() -> None:
    assert len(mapped(record("spot_trades", trade(commission="0.00000000"))).trades) == 2


def test_an_allocation_has_an_id_of_its_own() -> None:
    filled = {key: value for key, value in trade().items() if key not in {"id", "isBestMatch"}}
    filled |= {"allocationId": 3, "allocationType": "SOR", "isAllocator": False}
    found = mapped(record("allocations", filled), record("spot_trades", trade(id=3)))
    assert len(found.trades) == 6
    assert "BTCUSDT:A3:base" in told(found.trades, "external_id")


def child_order(**changes: Any) -> RawRecord:
    content = dict(sample("spot_algo_sub_orders").content)
    return record("spot_algo_sub_orders", content | changes, {"algoId": "145"})


def test_what_the_child_orders_of_an_algo_order_filled_is_booked_where_the_trades_do_not_tell_of_it() -> None:
    assert mapped(child_order()).trades == []
    columns = ("external_id", "asset", "amount", "txn_subtype", "price", "agg_id")
    order = "BNBUSDT:algo145:1"
    assert told(mapped(child_order(), algo_fills="apart").trades, *columns) == [
        (f"{order}:base", "BNB", "1", "spot_buy", "600", order),
        (f"{order}:fee", "USDT", "-0.6", "taker_fee", "600", order),
        (f"{order}:quote", "USDT", "-600", "spot_sell", "600", order),
    ]
    assert told(mapped(child_order(side="SELL"), algo_fills="apart").trades, "asset", "amount", "txn_subtype") == [
        ("BNB", "-1", "spot_sell"),
        ("USDT", "-0.6", "taker_fee"),
        ("USDT", "600", "spot_buy"),
    ]


def test_child_orders_of_one_order_are_booked_each_and_one_that_filled_nothing_is_not() -> None:
    nothing = child_order(subId=3, executedQty="0", executedAmt="0", avgPrice="0", orderStatus="EXPIRED")
    found = mapped(child_order(), child_order(subId=2), nothing, algo_fills="apart")
    assert len({row["external_id"] for row in found.trades}) == len(found.trades) == 6


@pytest.mark.parametrize(
    ("changes", "assets"),
    [
        ({"side": "BOTH"}, ["BNB", "USDT"]),
        ({"executedAmt": 600}, ["BNB", "USDT"]),
        ({"symbol": "NEWUSDT"}, [None]),
        ({"feeAsset": None}, [None]),
    ],
)
def test_a_child_order_that_cannot_be_believed_spoils_what_it_may_have_moved(changes: Any, assets: list[str]) -> None:
    found = mapped(child_order(**changes), algo_fills="apart")
    assert found.trades == []
    assert [problem.asset for problem in found.problems] == assets
    assert mapped(child_order(**changes)).problems == []


def test_where_child_orders_move_spot_a_hole_in_them_is_one_of_spot() -> None:
    as_assumed, apart = (
        ApiSettings({}, None, {"algo_fills": reading}, Decimal(1)) for reading in DOUBTS["binance"]["algo_fills"]
    )
    algo = {("spot_algo_orders", "SPOT"), ("spot_algo_sub_orders", "SPOT")}
    assert set(families_read(apart)) - set(families_read(as_assumed)) == algo
    assert set(flow_streams(apart)) - set(flow_streams(as_assumed)) == {name for name, _ in algo}
    told_in_two_ways = [
        doubted_rows(child_order(), replace(CONTEXT, doubts=each.doubts)) for each in (as_assumed, apart)
    ]
    assert [[row["asset"] for row in rows] for rows in told_in_two_ways] == [[], ["BNB", "USDT"]]


@pytest.mark.parametrize(
    ("changes", "assets"),
    [
        ({"quoteQty": 30000}, ["BNB", "BTC", "USDT"]),
        ({"isBuyer": "true"}, ["BNB", "BTC", "USDT"]),
        ({"commissionAsset": None}, [None]),
        ({"symbol": "PURGED"}, [None]),
        ({"time": None}, ["BNB", "BTC", "USDT"]),
    ],
)
def test_a_fill_that_cannot_be_believed_spoils_what_it_may_have_moved(changes: Any, assets: list[str]) -> None:
    found = mapped(record("spot_trades", trade(**changes), {"symbol": "BTCUSDT"}), record("spot_trades", trade(id=1)))
    assert len(found.trades) == 3
    assert sorted((p.asset for p in found.problems), key=str) == assets
    assert {p.kind for p in found.problems} == {"malformed"}


# --- snapshots --------------------------------------------------------------------------------------------------------


def snapshot(kind: str, data: dict[str, Any], day: str = "2026-11-03") -> dict[str, Any]:
    return {"type": kind, "updateTime": ms(f"{day}T23:59:59"), "data": {"totalAssetOfBtc": "1"} | data}


def held(asset: str, free: str, locked: str = "0") -> dict[str, str]:
    return {"asset": asset, "free": free, "locked": locked}


def test_a_spot_snapshot_closes_the_day_that_its_stamp_names() -> None:
    found = mapped(record("spot_snapshots", snapshot("spot", {"balances": [held("BTC", "0.10", "0.020")]})))
    (row,) = found.balances
    assert (row["wallet"], row["asset"], row["raw_balance"]) == ("SPOT", "BTC", "0.120")
    assert row["as_of"] == row["read_at"] == utc("2026-11-03T23:59:59.999999")
    assert row["date"].isoformat() == "2026-11-03"
    stamped = mapped(record("spot_snapshots", snapshot("spot", {"balances": []})), snapshot_as_of="as_stamped")
    assert told(stamped.balances, "as_of") == [utc("2026-11-03T23:59:59")]


@pytest.mark.parametrize("stamp", ["23:59:58.999", "16:00:00", "00:00:00"])
def test_a_snapshot_of_an_hour_at_which_no_day_ends_closes_none_and_is_told(stamp: str) -> None:
    early = snapshot("spot", {"balances": [held("BTC", "0.10")]}) | {"updateTime": ms(f"2026-11-03T{stamp}")}
    found = mapped(record("spot_snapshots", early))
    assert (found.balances, kinds(found)) == ([], ["unknown_value"])


def test_a_snapshot_that_lists_nothing_is_a_row_that_marks_it() -> None:
    found = mapped(record("spot_snapshots", snapshot("spot", {"balances": []})))
    assert told(found.balances, "asset", "raw_balance") == [("USDT", "0")]


def test_a_snapshot_of_which_nothing_can_be_believed_did_not_list_nothing() -> None:
    found = mapped(record("spot_snapshots", snapshot("spot", {"balances": [held("BTC", "much")]})))
    assert (found.balances, kinds(found)) == ([], ["malformed"])


def test_tokens_of_savings_leave_spot_by_name_and_a_coin_stays() -> None:
    balances = [held("LDUSDT", "5"), held("LDO", "7"), held("LDBAKET", "1"), held("LDXYZ", "1"), held("USDT", "2")]
    spot = record("spot_snapshots", snapshot("spot", {"balances": balances}))
    assert told(mapped(spot).balances, "asset") == ["LDO", "LDXYZ", "USDT"]
    knowing = MappingContext(FACTS, SYMBOLS, earn_assets=frozenset({"XYZ"}))
    assert told(mapped(spot, context=knowing).balances, "asset") == ["LDO", "USDT"]


@pytest.mark.parametrize("name", ["flexible_positions", "flexible_subscriptions"])
def test_an_asset_is_in_savings_if_a_position_or_a_flow_of_them_names_it(name: str) -> None:
    earn = sample(name, asset="XYZ")
    if name == "flexible_positions":
        earn = record(name, capture_content(READ_AT, READ_AT.date(), [{"asset": "ABC"}, earn.content]))
    spot = record("spot_snapshots", snapshot("spot", {"balances": [held("LDXYZ", "1"), held("USDT", "2")]}))
    assert told((row for row in mapped(spot, earn).balances if row["wallet"] == "SPOT"), "asset") == ["USDT"]
    assert "XYZ" in assets_in_earn([earn, spot])


def test_a_margin_snapshot_states_loans_and_interest() -> None:
    asset = held("USDT", "10", "5") | {"borrowed": "4", "interest": "0.001", "netAsset": "10.999"}
    (row,) = mapped(record("margin_snapshots", snapshot("margin", {"userAssets": [asset]}))).balances
    assert (row["wallet"], row["raw_balance"], row["raw_loan"], row["raw_interest"]) == ("MARGIN", "15", "4", "0.001")


def test_a_futures_snapshot_states_what_is_not_yet_realised() -> None:
    asset = {"asset": "USDT", "walletBalance": "120.5", "marginBalance": "119.25"}
    (row,) = mapped(record("futures_snapshots", snapshot("futures", {"assets": [asset], "position": []}))).balances
    assert (row["wallet"], row["raw_balance"], row["raw_unrealised_pnl"]) == ("FUTURES", "120.5", "-1.25")
    assert row["marked_unrealised_pnl"] == "0"


def position(symbol: str, size: str, entry: str, mark: str) -> dict[str, str]:
    return {"symbol": symbol, "positionAmt": size, "entryPrice": entry, "markPrice": mark, "unRealizedProfit": "7"}


def futures(positions: Any, *assets: str) -> Mapped:
    """A snapshot of these assets, each with 10 and nothing unrealised, and of these positions."""
    listed = [{"asset": asset, "walletBalance": "10", "marginBalance": "10"} for asset in assets or ("USDT",)]
    return mapped(record("futures_snapshots", snapshot("futures", {"assets": listed, "position": positions})))


def recomputed(found: Mapped) -> dict[str, str | None]:
    return {row["asset"]: row["marked_unrealised_pnl"] for row in found.balances}


def test_what_futures_have_not_realised_is_recomputed_from_positions_and_marks() -> None:
    positions = [
        position("BTCUSDT", "0.083", "89525.07", "89018.24"),
        position("BTCUSDT_260327", "-0.001", "90000.12345678901", "90001.12345678902"),
        position("ETHUSDC", "-2", "3000.50", "3000.25"),
        position("XRPFDUSD", "10", "1", "1.5"),
        position("GONETRY", "0.000", "0.0", "0.0"),
        position("MOSTBNB", "-1", "0", "999999999999999999.999999999999999999"),
    ]
    found = futures(positions, "USDT", "USDC", "USD", "FDUSD", "BNB")
    assert recomputed(found) == {
        "USDT": "-42.06789000000001",  # 0.083 x -506.83 = -42.06689, and -0.001 x 1.00000000001
        "USDC": "0.5",
        "USD": "0",
        "FDUSD": "5",
        "BNB": "-999999999999999999.999999999999999999",
    }
    assert {row["raw_unrealised_pnl"] for row in found.balances} == {"0"}
    assert found.problems == []


@pytest.mark.parametrize(
    "spoiled",
    [
        position("BTCTRY", "1", "2", "3"),
        position("USDT", "1", "2", "3"),
        position("", "1", "2", "3"),
        position("BTCUSDT", "1", "2", "much"),
        position("BTCUSDT", "1e12", "0", "1e12"),
        position("BTCUSDT", "1e-12", "0", "1e-12"),
        position("BTCUSDT", "1", "1e-200", "1e200"),
        position("BTCUSDT", "1", "2", "3") | {"positionAmt": 1.0},
        {name: value for name, value in position("BTCUSDT", "1", "2", "3").items() if name != "entryPrice"},
        "BTCUSDT",
    ],
)
def test_a_position_that_cannot_be_believed_leaves_the_recomputed_figure_out_and_no_balance(spoiled: Any) -> None:
    found = futures([position("BTCUSDC", "1", "2", "3"), spoiled], "USDT", "USDC")
    assert told(found.balances, "asset", "raw_balance", "raw_unrealised_pnl") == [
        ("USDC", "10", "0"),
        ("USDT", "10", "0"),
    ]
    assert recomputed(found) == {"USDT": None, "USDC": None}
    assert kinds(found) == ["unknown_value"]


def test_a_snapshot_without_its_positions_has_no_recomputed_figure() -> None:
    assert (recomputed(futures(None)), futures(None).problems) == ({"USDT": None}, [])
    assert recomputed(mapped(record("spot_snapshots", snapshot("spot", {"balances": [held("USDT", "1")]})))) == {
        "USDT": None
    }


def test_a_balance_that_cannot_be_believed_spoils_its_position_alone() -> None:
    balances = [held("BTC", "1"), {"asset": "ETH", "free": 3, "locked": "0"}]
    found = mapped(record("spot_snapshots", snapshot("spot", {"balances": balances})))
    assert told(found.balances, "asset") == ["BTC"]
    row = quarantine_row(found.problems[0])
    assert (row["frame"], row["wallet"], row["asset"], str(row["date"])) == ("balances", "SPOT", "ETH", "2026-11-03")


def test_a_balance_that_is_too_long_to_be_added_up_exactly_is_refused() -> None:
    balances = [held("BTC", "1", "1e-200"), held("ETH", "2")]
    found = mapped(record("spot_snapshots", snapshot("spot", {"balances": balances})))
    assert told(found.balances, "asset", "raw_balance") == [("ETH", "2")]
    assert [(p.kind, p.frame, p.asset) for p in found.problems] == [("malformed", "balances", "BTC")]


def test_an_asset_that_a_snapshot_lists_twice_counts_once_or_not_at_all() -> None:
    same = [held("BTC", "5.0"), held("BTC", "5.00"), held("ETH", "1"), held("LDUSDT", "1"), held("LDUSDT", "2")]
    found = mapped(record("spot_snapshots", snapshot("spot", {"balances": same})))
    assert (told(found.balances, "asset", "raw_balance"), found.problems) == ([("BTC", "5.0"), ("ETH", "1")], [])
    balances = [held("BTC", "5"), held("BTC", "0.4"), held("ETH", "1")]
    found = mapped(record("spot_snapshots", snapshot("spot", {"balances": balances})))
    assert told(found.balances, "asset") == ["ETH"]
    (row,) = map(quarantine_row, found.problems)
    assert (row["frame"], row["wallet"], row["asset"], str(row["date"])) == ("balances", "SPOT", "BTC", "2026-11-03")
    alone = mapped(record("spot_snapshots", snapshot("spot", {"balances": balances[:2]})))
    assert alone.balances == []


@pytest.mark.parametrize("broken", [{"updateTime": None}, {"data": {}}, {"data": None}])
def test_a_snapshot_that_cannot_be_believed_spoils_its_wallet(broken: Any) -> None:
    whole = record("spot_snapshots", snapshot("spot", {"balances": []}))
    found = mapped(replace(whole, content={**whole.content, **broken}))
    assert found.balances == []
    (problem,) = found.problems
    assert (problem.kind, problem.frame, problem.wallet, problem.asset) == ("malformed", "balances", "SPOT", None)


# --- prices -----------------------------------------------------------------------------------------------------------


def kline(symbol: str, close: str, trades: int = 9, day: str = "2026-11-03") -> Any:
    content = {
        "openTime": ms(f"{day}T00:00:00"),
        "open": "1",
        "high": "1",
        "low": "1",
        "close": close,
        "volume": "1",
        "closeTime": ms(f"{day}T23:59:59.999"),
        "quoteVolume": "1",
        "trades": trades,
        "takerBaseVolume": "1",
        "takerQuoteVolume": "1",
    }
    return record("klines", content, {"symbol": symbol, "interval": "1d"})


def test_prices_come_directly_or_over_one_other_asset_and_are_rounded_once() -> None:
    found = mapped(kline("BTCUSDT", "60000.5"), kline("ETHBTC", "0.05"), kline("USDTTRY", "42"))
    assert told(found.prices, "asset", "usd_price") == [
        ("BTC", "60000.500000000000000000"),
        ("ETH", "3000.025000000000000000"),
        ("TRY", "0.023809523809523810"),
        ("USDT", "1.000000000000000000"),
    ]
    assert {row["as_of"] for row in found.prices} == {utc("2026-11-03T23:59:59.999")}


def test_a_candle_without_a_trade_is_no_price_and_nor_is_a_day_that_is_not_over() -> None:
    assert mapped(kline("BTCUSDT", "60000", trades=0)).prices == []
    assert mapped(kline("BTCUSDT", "60000", day=READ_AT.date().isoformat())).prices == []


def test_where_nothing_but_usdt_is_held_it_is_a_dollar_all_the_same() -> None:
    ((symbol,), *_) = price_ways(["USDT"], SYMBOLS)["USDT"]
    assert ("USDT", "1.000000000000000000") in told(mapped(kline(symbol, "7")).prices, "asset", "usd_price")


@pytest.mark.parametrize(
    ("candles", "refused"),
    [
        ({"BTCUSDT": "1e150"}, "BTC"),
        ({"BTCUSDT": "1" + "0" * 110}, "BTC"),
        ({"USDTTRY": "1e-150"}, "TRY"),
        ({"BTCUSDT": "60000", "ETHBTC": "1e110"}, "ETH"),
    ],
    ids=["exponent", "digits", "inverse", "product"],
)
def test_a_price_that_is_too_long_to_be_rounded_is_refused_and_the_others_stay(candles: Any, refused: str) -> None:
    found = mapped(kline("BNBUSDT", "600"), *starmap(kline, candles.items()))
    assert told(found.prices, "asset") == sorted({"BNB", "USDT", *(name[:3] for name in candles)} - {refused, "USD"})
    assert [(p.kind, p.frame, p.asset, p.instant) for p in found.problems] == [
        ("malformed", "prices", refused, utc("2026-11-03T23:59:59.999"))
    ]


# --- doubts -----------------------------------------------------------------------------------------------------------


def test_a_doubt_or_a_reading_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match="dust_amount"):
        MappingContext(FACTS, SYMBOLS, doubts={"dust_amount": "guess"})
    with pytest.raises(ConfigError, match="weather"):
        MappingContext(FACTS, SYMBOLS, doubts={"weather": "fair"})
    assert CONTEXT.assumes("dust_amount", "gross")
