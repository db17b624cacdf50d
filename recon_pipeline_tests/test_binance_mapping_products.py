"""Earn, loans, margin, futures, options and captures at Binance: wire rows in, canonical rows out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from recon_pipeline.venues.binance.mapping import MARKER_ASSET, Mapped, capture_content
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.streams import RawRecord
from recon_pipeline_tests.binance_records import CONTEXT, DESK, MAIN, READ_AT, kinds, mapped, record, told, utc
from recon_pipeline_tests.binance_samples import SAMPLES, sample

AT, THEN = utc("2026-11-02T08:00:00.250"), utc("2026-11-04T08:00:00.250")


def moved(found: Mapped) -> Mapping[tuple[str, str], Decimal]:
    """What each (wallet, asset) gained of its balance."""
    totals: dict[tuple[str, str], Decimal] = {}
    for row in (*found.transfers, *found.trades):
        if row["measure"] == "balance":
            place = (row["wallet"], row["asset"])
            totals[place] = totals.get(place, Decimal(0)) + Decimal(row["amount"])
    return {place: total for place, total in totals.items() if total}


def _flows(found: Mapped) -> Sequence[Mapping[str, Any]]:
    return [*found.transfers, *found.trades]


@pytest.mark.parametrize(
    ("name", "field", "more"),
    [
        ("deposits", "completeTime", {}),
        ("withdrawals", "completeTime", {"status": 5}),
        ("locked_redemptions", "deliverDate", {}),
        ("eth_redemptions", "arrivalTime", {}),
        ("fiat_orders", "updateTime", {"status": "Refunded"}),
    ],
)
def test_an_instant_that_cannot_be_read_is_not_passed_over_for_another(
    name: str, field: str, more: dict[str, Any]
) -> None:
    """Money moved when it says, and nobody knows when that was."""
    told_of = {"transactionType": "1"} if name == "fiat_orders" else {}
    for unreadable in ("04/11/2026", "soon", True, 10**30):
        changes: dict[str, Any] = {**more, field: unreadable}
        found = mapped(sample(name, told_of, **changes))
        assert (_flows(found), {problem.kind for problem in found.problems}) == ([], {"malformed"})
        assert None in {problem.instant for problem in found.problems}
    for left_out in (None, "", 0, "0"):
        changes = {**more, field: left_out}
        found = mapped(sample(name, told_of, **changes))
        assert (bool(_flows(found)), found.problems) == (True, [])


@pytest.mark.parametrize(
    ("name", "call", "field"),
    [("withdrawals", {}, "completeTime"), ("fiat_orders", {"transactionType": "1"}, "updateTime")],
)
def test_when_it_was_done_is_nothing_to_what_left_when_it_was_asked_for(
    name: str, call: dict[str, str], field: str
) -> None:
    found = mapped(sample(name, call, **{field: "soon"}))
    assert (bool(_flows(found)), found.problems) == (True, [])


# --- savings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["flexible_subscriptions", "locked_subscriptions", "onchain_subscriptions"])
def test_a_subscription_takes_from_both_wallets_what_comes_into_earn(name: str) -> None:
    found = mapped(sample(name))
    assert told(found.transfers, "external_id", "wallet", "amount", "counter_party", "txn_hash") == [
        ("26001:earn", "EARN", "100", "SPOT and FUNDING", f"{name}:26001"),
        ("26001:funding", "FUNDING", "-70", "EARN", f"{name}:26001"),
        ("26001:spot", "SPOT", "-30", "EARN", f"{name}:26001"),
    ]


def test_a_subscription_whose_parts_are_not_its_amount_is_told_and_one_that_leaves_a_part_out_is_not_booked() -> None:
    stated = mapped(sample("flexible_subscriptions", amtFromSpot="30", amtFromFunding="20"))
    assert moved(stated) == {("SPOT", "USDT"): -30, ("FUNDING", "USDT"): -20, ("EARN", "USDT"): 50}
    assert kinds(stated) == ["unknown_value"]
    left_out = mapped(sample("flexible_subscriptions", amtFromSpot="30", amtFromFunding=None))
    assert (moved(left_out), [(p.kind, p.asset) for p in left_out.problems]) == ({}, [("malformed", "USDT")])
    whole = mapped(sample("flexible_subscriptions", amtFromSpot="100.0", amtFromFunding=None))
    assert moved(whole) == {("SPOT", "USDT"): -100, ("EARN", "USDT"): 100}
    assert whole.problems == []


def test_a_subscription_that_states_only_its_source() -> None:
    for parts in ((None, None), ("", ""), ("0", ""), ("", "0")):
        spot, funding = parts
        found = mapped(sample("flexible_subscriptions", amtFromSpot=spot, amtFromFunding=funding, sourceAccount="FUND"))
        assert moved(found) == {("FUNDING", "USDT"): -100, ("EARN", "USDT"): 100}


@pytest.mark.parametrize("source", ["EARN", "SPOT", "FUND"])
def test_a_renewal_that_took_nothing_from_a_wallet_moves_nothing(source: str) -> None:
    found = mapped(sample("locked_subscriptions", amtFromSpot="0", amtFromFunding="0", sourceAccount=source))
    assert moved(found) == {}


@pytest.mark.parametrize(
    ("name", "told_later"),
    [("eth_redemptions", ("distributeAmount", "distributeAsset")), ("bfusd_redemptions", ("receiveAmount", "fee"))],
)
def test_what_is_on_its_way_back_has_left_whether_or_not_its_amount_is_stated(
    name: str, told_later: tuple[str, ...]
) -> None:
    later: dict[str, Any] = dict.fromkeys(told_later)
    found = mapped(sample(name, **{"status": "PENDING", **later}))
    ((_, amount),) = moved(found).items()
    assert amount < 0
    assert found.problems == []


def test_where_the_income_of_loans_tells_of_flexible_ones_their_own_lists_move_nothing() -> None:
    lists = ("flexible_loan_borrows", "flexible_loan_repayments", "flexible_loan_adjustments")
    assert all(mapped(sample(name)).transfers for name in lists)
    assert not any(mapped(sample(name), flexible_loans="loan_income").transfers for name in lists)
    assert mapped(sample("loan_income"), flexible_loans="loan_income").transfers


def test_a_redemption_comes_back_where_it_says() -> None:
    assert moved(mapped(sample("flexible_redemptions"))) == {
        ("EARN", "USDT"): Decimal("-10.5"),
        ("SPOT", "USDT"): Decimal("10.5"),
    }
    to_funding = mapped(sample("flexible_redemptions", destAccount="FUND"))
    assert ("FUNDING", "USDT") in moved(to_funding)


@pytest.mark.parametrize("name", ["locked_redemptions", "onchain_redemptions"])
def test_an_early_redemption_gives_back_less_than_the_position_held(name: str) -> None:
    found = mapped(sample(name))
    assert moved(found) == {("EARN", "AXS"): Decimal("-10"), ("SPOT", "AXS"): Decimal("9.75")}
    assert {row["datetime"] for row in found.transfers} == {THEN}
    assert told(found.transfers, "external_id", "txn_subtype") == [
        ("40001:earn", "internal_out"),
        ("40001:rewards", "interest_income"),
        ("40001:spot", "internal_in"),
    ]


@pytest.mark.parametrize(
    ("name", "changes", "left"),
    [
        ("locked_redemptions", {}, {("EARN", "AXS"): Decimal("-0.25")}),
        ("onchain_redemptions", {}, {("EARN", "AXS"): Decimal("-0.25")}),
        ("flexible_redemptions", {"destAccount": None}, {}),
        ("locked_subscriptions", {"amtFromSpot": None, "amtFromFunding": None, "sourceAccount": None}, {}),
    ],
)
def test_money_that_goes_from_one_product_into_another_stays_in_earn(
    name: str, changes: Mapping[str, Any], left: Mapping[tuple[str, str], Decimal]
) -> None:
    into = sample(name, **changes)
    found = mapped(into, context=replace(CONTEXT, decisions={into.digest: "EARN"}))
    assert moved(found) == left
    (unplaced,) = found.unplaced
    placed = [row for row in found.transfers if row["external_id"] not in unplaced.fixed]
    assert [row["external_id"].partition(":")[2] for row in placed] == ["flexible"]


def test_what_is_still_on_its_way_moves_nothing() -> None:
    assert mapped(sample("locked_redemptions", isComplete=False)).transfers == []
    assert mapped(sample("flexible_redemptions", status="PROCESSING")).transfers == []
    assert mapped(sample("flexible_subscriptions", status="PURCHASING")).transfers == []


def test_real_time_rewards_grow_the_position_and_the_others_are_told_by_the_dividends() -> None:
    assert moved(mapped(sample("flexible_rewards"))) == {("EARN", "USDT"): Decimal("0.00006")}
    assert moved(mapped(sample("flexible_rewards"), realtime_rewards="spot")) == {("SPOT", "USDT"): Decimal("0.00006")}
    for kind in ("BONUS", "REWARDS"):
        assert mapped(sample("flexible_rewards", type=kind)).transfers == []
    new = mapped(sample("flexible_rewards", type="LUCK"))
    assert (told(new.transfers, "txn_subtype"), kinds(new)) == (["unknown"], ["unknown_value"])


# --- tokens that stay in SPOT -----------------------------------------------------------------------------------------


def test_a_token_of_yield_is_bought_and_redeemed_less_a_fee_when_it_arrives() -> None:
    found = mapped(sample("bfusd_subscriptions"), sample("bfusd_redemptions"))
    assert moved(found) == {("SPOT", "USDT"): Decimal(-50), ("SPOT", "BFUSD"): Decimal(49)}
    burnt = [row for row in found.trades if row["source"] == "bfusd_redemptions"]
    assert told(burnt, "txn_subtype", "amount", "datetime") == [
        ("burn_buy", "51", THEN),
        ("burn_fee", "-1", THEN),
        ("burn_sell", "-51", AT),
    ]


def test_what_is_redeemed_has_left_before_the_rest_arrives() -> None:
    found = mapped(sample("rwusd_redemptions", status="PENDING", arrivalTime=None))
    assert moved(found) == {("SPOT", "RWUSD"): Decimal(-51)}


FAILED = [
    ("eth_redemptions", {"status": "FAILED"}, "WBETH"),
    ("sol_redemptions", {"status": "FAILED"}, "BNSOL"),
    ("bfusd_redemptions", {"status": "FAILED"}, "BFUSD"),
    ("rwusd_redemptions", {"status": "FAILED", "arrivalTime": None}, "RWUSD"),
    ("dual_investment", {"purchaseStatus": "REFUND_SUCCESS"}, "USDT"),
    ("dual_investment", {"purchaseStatus": "PURCHASE_FAIL"}, "USDT"),
]


@pytest.mark.parametrize(("name", "changes", "asset"), FAILED)
def test_what_fails_under_way_comes_back_between_two_reads_and_the_day_it_left_stays_as_it_was(
    name: str, changes: dict[str, Any], asset: str
) -> None:
    status = "purchaseStatus" if name == "dual_investment" else "status"
    (left,) = _flows(mapped(sample(name, **(changes | {status: "PENDING"}))))
    before = (READ_AT - timedelta(days=1), sample(name, **(changes | {status: "PENDING"})).content)
    found = mapped(replace(sample(name, **changes), before=(before,)))
    gone, after = sorted(_flows(found), key=lambda row: row["datetime"])
    assert {**gone, "raw_id": ""} == {**left, "raw_id": ""}
    assert after["external_id"] == f"{left['external_id']}:reversal"
    assert (after["amount"], after["asset"]) == (left["amount"].removeprefix("-"), asset)
    assert after["datetime"] == READ_AT - timedelta(hours=12)
    (expected,) = found.expected
    assert (expected["amount"], expected["asset"], expected["expected_by"]) == (left["amount"], asset, READ_AT.date())


@pytest.mark.parametrize(("name", "changes", "asset"), FAILED)
def test_what_had_failed_when_it_was_first_told_is_booked_as_never_gone(
    name: str, changes: dict[str, Any], asset: str
) -> None:
    found = mapped(sample(name, **changes))
    assert moved(found) == {}
    assert {(row["datetime"], row["asset"]) for row in _flows(found)} == {(AT, asset)}


def test_what_moved_nothing_under_way_moves_nothing_once_it_failed() -> None:
    assert _flows(mapped(sample("eth_staking", status="PENDING"), sample("sol_staking", status="FAILED"))) == []


@pytest.mark.parametrize(
    ("name", "out", "into", "arrives"),
    [
        ("eth_staking", "ETH", "WBETH", AT),
        ("eth_redemptions", "WBETH", "ETH", THEN),
        ("eth_wraps", "BETH", "WBETH", AT),
        ("eth_unwraps", "WBETH", "BETH", AT),
        ("sol_staking", "SOL", "BNSOL", AT),
        ("sol_redemptions", "BNSOL", "SOL", THEN),
    ],
)
def test_staked_and_wrapped_tokens_are_trades(name: str, out: str, into: str, arrives: datetime) -> None:
    found = mapped(sample(name))
    by_asset = {row["asset"]: row for row in found.trades}
    assert set(by_asset) == {out, into}
    assert (by_asset[out]["amount"][0], by_asset[out]["datetime"]) == ("-", AT)
    assert (by_asset[into]["amount"][0] != "-", by_asset[into]["datetime"]) == (True, arrives)
    assert len({row["agg_id"] for row in found.trades}) == 1


def test_rewards_of_tokens_are_paid_to_spot_unless_the_dividends_tell_of_them() -> None:
    rewards = [sample(name) for name in ("bfusd_rewards", "rwusd_rewards", "sol_boost_rewards")]
    assert moved(mapped(*rewards)) == {
        ("SPOT", "BFUSD"): Decimal(1),
        ("SPOT", "RWUSD"): Decimal(1),
        ("SPOT", "SOL"): Decimal("1.2"),
    }
    assert mapped(*rewards, product_rewards="dividends").transfers == []
    boost = mapped(sample("sol_boost_rewards")).transfers[0]
    assert boost["datetime"] == utc("2026-11-02T08:00:00")


def test_a_reward_of_bfusd_that_futures_were_paid_is_booked_from_their_income_alone() -> None:
    told = sample("bfusd_rewards"), sample("futures_income", incomeType="BFUSD_REWARD", asset="BFUSD", income="1")
    assert moved(mapped(*told)) == {("SPOT", "BFUSD"): Decimal(1), ("FUTURES", "BFUSD"): Decimal(1)}
    assert moved(mapped(*told, bfusd_rewards="futures")) == {("FUTURES", "BFUSD"): Decimal(1)}


def test_boosted_sol_is_booked_when_it_is_claimed() -> None:
    distributed = sample("sol_boost_rewards", {"type": "DISTRIBUTE"})
    assert mapped(distributed).transfers == []
    assert moved(mapped(distributed, boost_rewards="all")) == {("SPOT", "SOL"): Decimal("1.2")}


def test_rewards_that_only_raise_the_rate_of_a_token_move_nothing() -> None:
    assert mapped(sample("eth_rewards"), sample("sol_rewards")).transfers == []


def test_dual_investment_takes_its_money_and_names_what_settlement_does_not_state() -> None:
    assert moved(mapped(sample("dual_investment"))) == {("SPOT", "USDT"): Decimal(-50)}
    settled = mapped(sample("dual_investment", purchaseStatus="SETTLED"))
    assert moved(settled) == {("SPOT", "USDT"): Decimal(-50)}
    assert [(p.kind, "USDT or BNB" in p.text) for p in settled.problems] == [("not_stated", True)]


# --- loans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "amount", "subtype"),
    [
        ("borrowIn", "100", "loan_in"),
        ("collateralSpent", "-100", "collateral_out"),
        ("repayAmount", "-100", "loan_repayment"),
        ("collateralReturn", "100", "collateral_in"),
        ("addCollateral", "-100", "collateral_out"),
        ("removeCollateral", "100", "collateral_in"),
        ("collateralReturnAfterLiquidation", "100", "collateral_in"),
        ("somethingElse", "100", "unknown"),
    ],
)
def test_what_a_loan_moves_has_its_sign_from_its_type(kind: str, amount: str, subtype: str) -> None:
    found = mapped(sample("loan_income", type=kind))
    assert told(found.transfers, "external_id", "amount", "txn_subtype") == [(f"804001:{kind}:USDT", amount, subtype)]


def test_a_flexible_loan_comes_and_goes_with_its_collateral() -> None:
    assert moved(mapped(sample("flexible_loan_borrows"))) == {
        ("SPOT", "USDT"): Decimal(1000),
        ("SPOT", "BNB"): Decimal("-4.5"),
    }
    assert moved(mapped(sample("flexible_loan_repayments"))) == {
        ("SPOT", "USDT"): Decimal("-1000.5"),
        ("SPOT", "BNB"): Decimal("4.5"),
    }
    assert moved(mapped(sample("flexible_loan_adjustments"))) == {("SPOT", "BNB"): Decimal("-0.5")}
    assert moved(mapped(sample("flexible_loan_adjustments", direction="REDUCED"))) == {("SPOT", "BNB"): Decimal("0.5")}


def test_a_liquidation_gives_back_what_is_left_of_the_collateral() -> None:
    found = mapped(sample("flexible_loan_liquidations"))
    assert moved(found) == {("SPOT", "BNB"): Decimal("0.2")}
    assert len(found.unplaced) == 1


def test_a_vip_loan_is_repaid_and_what_was_paid_out_is_named_as_not_stated() -> None:
    found = mapped(sample("vip_loan_repayments"), sample("vip_loan_orders"), sample("vip_loan_interest"))
    assert moved(found) == {("SPOT", "USDT"): Decimal(-500)}
    assert kinds(found) == ["not_stated"]


# --- margin -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "stated", "amount", "subtype", "frame"),
    [
        ("TRANSFER", "5", "5", "internal_in", "transfers"),
        ("TRANSFER", "-5", "-5", "internal_out", "transfers"),
        ("BORROW", "5", "5", "loan_in", "transfers"),
        ("REPAY", "5", "-5", "loan_repayment", "transfers"),
        ("REPAY", "-5", "-5", "loan_repayment", "transfers"),
        ("BUY_INCOME", "5", "5", "margin_buy", "trades"),
        ("BUY_EXPENSE", "5", "-5", "margin_sell", "trades"),
        ("SELL_INCOME", "5", "5", "margin_buy", "trades"),
        ("SELL_EXPENSE", "-5", "-5", "margin_sell", "trades"),
        ("TRADING_COMMISSION", "-5", "-5", "trade_fee", "trades"),
        ("TRADING_COMMISSION", "5", "-5", "trade_fee", "trades"),
        ("LIQUIDATION_FEE", "5", "-5", "liquidation_fee", "transfers"),
        ("SMALL_CONVERT", "-5", "-5", "dust_sell", "trades"),
        ("COMMISSION_RETURN", "5", "5", "rebate", "transfers"),
        ("NEW_THING", "-5", "-5", "unknown", "transfers"),
    ],
)
def test_the_margin_ledger_tells_of_everything(kind: str, stated: str, amount: str, subtype: str, frame: str) -> None:
    found = mapped(sample("margin_capital_flow", type=kind, amount=stated))
    rows = found.transfers if frame == "transfers" else found.trades
    assert told(rows, "external_id", "wallet", "amount", "txn_subtype") == [("123001", "MARGIN", amount, subtype)]
    assert len(found.transfers) + len(found.trades) == 1
    assert kinds(found) == (["unknown_value"] if subtype == "unknown" else [])


def test_isolated_margin_has_a_wallet_for_each_symbol() -> None:
    (row,) = mapped(sample("isolated_capital_flow")).transfers
    assert row["wallet"] == "ISOLATED_MARGIN:BTCUSDT"


def test_loans_and_interest_are_measures_of_their_own() -> None:
    borrowed = sample("margin_borrow_repay", {"type": "BORROW"}, isolatedSymbol="", principal="8", amount="8")
    for principal in ("5.00000000", None, ""):  # left out, it is what the amount has besides interest
        repaid = sample("margin_borrow_repay", isolatedSymbol="", principal=principal)
        found = mapped(repaid, borrowed, sample("margin_interest"))
        assert moved(found) == {}
        assert [
            (measure, asset, Decimal(amount), wallet)
            for measure, asset, amount, wallet in told(found.transfers, "measure", "asset", "amount", "wallet")
        ] == [
            ("interest", "BNB", Decimal("-0.01"), "MARGIN"),
            ("interest", "USDT", Decimal("0.002"), "MARGIN"),
            ("loan", "BNB", Decimal(-5), "MARGIN"),
            ("loan", "BNB", Decimal(8), "MARGIN"),
        ]
    isolated = mapped(sample("margin_borrow_repay"))
    assert {row["wallet"] for row in isolated.transfers} == {"ISOLATED_MARGIN:BNBUSDT"}
    assert mapped(sample("margin_borrow_repay", status="FAILED")).transfers == []


def test_interest_that_is_paid_in_bnb_moves_the_balance() -> None:
    paid = sample("margin_interest", type="PERIODIC_CONVERTED", asset="BNB", rawAsset="USDT")
    assert moved(mapped(paid)) == {("MARGIN", "BNB"): Decimal("-0.002")}
    assert mapped(paid, converted_interest="capital_flow").transfers == []


def test_interest_that_portfolio_margin_pays_is_told_there_alone_for_it_has_no_ledger() -> None:
    paid = sample("pm_margin_interest", type="PERIODIC_CONVERTED", asset="BNB", rawAsset="USDT")
    for reading in ("interest_history", "capital_flow"):
        assert moved(mapped(paid, converted_interest=reading)) == {("PORTFOLIO_MARGIN", "BNB"): Decimal("-0.002")}


def test_what_the_ledger_tells_is_not_booked_again() -> None:
    names = ("margin_trades", "margin_liquidations", "margin_small_liabilities", "margin_liquidation_loans")
    found = mapped(*(sample(name) for name in names))
    assert (found.transfers, found.trades) == ([], [])


# --- derivatives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subtype", "frame"),
    [
        ("TRANSFER", "internal_out", "transfers"),
        ("FUNDING_FEE", "funding_fee", "transfers"),
        ("REALIZED_PNL", "realized_pnl", "trades"),
        ("COMMISSION", "trade_fee", "trades"),
        ("INSURANCE_CLEAR", "insurance_clear", "transfers"),
        ("DELIVERED_SETTELMENT", "delivery_settlement", "trades"),
        ("AUTO_EXCHANGE", "convert_sell", "trades"),
        ("STARDUST", "unknown", "transfers"),
    ],
)
def test_the_futures_ledger_is_signed_and_keyed_by_type_and_id(kind: str, subtype: str, frame: str) -> None:
    found = mapped(sample("futures_income", incomeType=kind))
    rows = found.transfers if frame == "transfers" else found.trades
    name = f"{kind}:9100000000000000001:USDT:BTCUSDT"
    assert told(rows, "external_id", "wallet", "amount", "txn_subtype") == [(name, "FUTURES", "-0.015", subtype)]
    assert kinds(found) == (["unknown_value"] if subtype == "unknown" else [])


def test_only_a_move_between_wallets_is_tied_by_its_id() -> None:
    found = mapped(sample("futures_income", incomeType="TRANSFER"), sample("futures_income"))
    assert told(found.transfers, "txn_subtype", "txn_hash") == [
        ("funding_fee", None),
        ("internal_out", "9100000000000000001"),
    ]


def test_coin_futures_and_options_have_ledgers_too() -> None:
    found = mapped(sample("futures_coin_income"), sample("option_bills"), sample("option_bills", id=5, type="CONTRACT"))
    assert moved(found) == {("FUTURES_COIN", "BTC"): Decimal("-0.015"), ("OPTION", "USDT"): Decimal(-1)}
    new = mapped(sample("option_bills", type="MYSTERY"))
    assert (moved(new), kinds(new)) == ({("OPTION", "USDT"): Decimal("-0.5")}, ["unknown_value"])


def test_portfolio_margin_counts_loans_and_leaves_its_inner_moves_out() -> None:
    found = mapped(
        sample("pm_futures_income"),
        sample("pm_futures_coin_income", incomeType="TRANSFER"),
        sample("pm_loans"),
        sample("pm_repayments"),
        sample("pm_margin_interest"),
    )
    assert moved(found) == {
        ("PORTFOLIO_MARGIN", "USDT"): Decimal("-0.015"),
        ("PORTFOLIO_MARGIN", "BNB"): Decimal("0.8") - Decimal("5.01"),
    }
    owed = [row for row in found.transfers if row["measure"] != "balance"]
    assert told(owed, "measure", "asset", "amount") == [
        ("interest", "BNB", "-0.01"),
        ("interest", "USDT", "0.002"),
        ("loan", "BNB", "-5"),
        ("loan", "BNB", "0.8"),
    ]


# --- captures ---------------------------------------------------------------------------------------------------------

CUT, DAY = datetime(2026, 11, 3, 0, 5, tzinfo=UTC), date(2026, 11, 2)


def capture(name: str, rows: Any = None, call: dict[str, str] | None = None) -> RawRecord:
    asked, answer = SAMPLES[name]
    content = capture_content(CUT, DAY, BY_NAME[name].rows(answer) if rows is None else rows)
    return RawRecord(1, MAIN, name, CUT.isoformat(), {**asked, **(call or {})}, content, f"digest of {name}", READ_AT)


@pytest.mark.parametrize(
    ("name", "place", "balance", "loan", "unrealised"),
    [
        ("spot_account", "SPOT BTC", "5.0", None, None),
        ("funding_assets", "FUNDING USDT", "13", None, None),
        ("margin_account", "MARGIN USDT", "10", "2", None),
        ("futures_balance", "FUTURES USDT", "1226.5", None, "-1.5"),
        ("futures_coin_balance", "FUTURES_COIN BTC", "0.25", None, "0.01"),
        ("option_account", "OPTION USDT", "1009.5", None, "-5"),
        ("portfolio_margin_balance", "PORTFOLIO_MARGIN USDT", "103.0", "10", "2"),
        ("sub_assets", "SPOT ADA", "100", None, None),
        ("sub_margin_account", "MARGIN USDT", "10", "2", None),
        ("sub_futures_account", "FUTURES USDT", "88", None, "0.5"),
    ],
)
def test_a_capture_is_true_at_the_end_of_its_first_read(
    name: str, place: str, balance: str, loan: str | None, unrealised: str | None
) -> None:
    found = mapped(capture(name))
    (row,) = found.balances
    assert f"{row['wallet']} {row['asset']}" == place
    assert Decimal(row["raw_balance"]) == Decimal(balance)
    assert (row["raw_loan"], row["raw_unrealised_pnl"]) == (loan, unrealised)
    assert (row["as_of"], row["date"], row["read_at"]) == (CUT, DAY, CUT)
    assert row["account"] == (DESK if name.startswith("sub_") else MAIN)
    assert found.problems == []


def test_isolated_margin_is_a_wallet_for_each_symbol() -> None:
    assert told(mapped(capture("isolated_account")).balances, "wallet", "asset", "raw_balance") == [
        ("ISOLATED_MARGIN:BTCUSDT", "BTC", "10"),
        ("ISOLATED_MARGIN:BTCUSDT", "USDT", "10"),
    ]
    assert mapped(capture("isolated_account", [])).balances == []


def test_a_symbol_of_isolated_margin_that_is_not_listed_any_more_holds_nothing() -> None:
    before = capture("isolated_account")
    content = {**before.content, "rows": [], "as_of": (CUT + timedelta(days=1)).isoformat()}
    content["date"] = (DAY + timedelta(days=1)).isoformat()
    after = record("isolated_account", content, dict(before.call), MAIN)
    found = [row for row in mapped(after, before).balances if row["date"] > DAY]
    assert told(found, "wallet", "asset", "raw_balance") == [("ISOLATED_MARGIN:BTCUSDT", MARKER_ASSET, "0")]


def test_earn_is_what_three_products_hold_together() -> None:
    parts = [capture(name) for name in ("flexible_positions", "locked_positions", "onchain_positions")]
    assert told(mapped(*parts).balances, "wallet", "asset", "raw_balance") == [
        ("EARN", "AXS", "250"),
        ("EARN", "USDT", "75.5"),
    ]
    alone = mapped(*parts[:2])
    assert alone.balances == []
    assert [(p.kind, p.frame, p.wallet, p.asset, p.date) for p in alone.problems] == [
        ("malformed", "balances", "EARN", None, DAY)
    ]
    nothing = [capture(name, []) for name in ("flexible_positions", "locked_positions", "onchain_positions")]
    assert told(mapped(*nothing).balances, "wallet", "asset", "raw_balance") == [("EARN", "USDT", "0")]


def test_products_of_savings_add_up_and_one_that_is_told_twice_does_not() -> None:
    def earn(*amounts: tuple[int, str, str]) -> Mapped:
        _, position = SAMPLES["locked_positions"]
        row = dict(BY_NAME["locked_positions"].rows(position)[0]) | {"redeemingAmt": "0"}
        rows = [row | {"positionId": number, "asset": asset, "amount": held} for number, asset, held in amounts]
        return mapped(
            capture("locked_positions", rows), capture("flexible_positions", []), capture("onchain_positions", [])
        )

    several = earn((1, "BNB", "3"), (2, "BNB", "4"), (1, "BNB", "3.0"), (3, "AXS", "1"))
    assert told(several.balances, "asset", "raw_balance") == [("AXS", "1"), ("BNB", "7")]
    assert several.problems == []
    doubted = earn((1, "BNB", "3"), (2, "BNB", "4"), (1, "BNB", "5"), (3, "AXS", "1"))
    assert told(doubted.balances, "asset") == ["AXS"]
    too_long = earn((1, "BNB", "3"), (2, "BNB", "1e-200"), (3, "AXS", "1"), (4, "BNB", "4"))
    assert told(too_long.balances, "asset") == ["AXS"]
    for found in (doubted, too_long):
        assert [(p.kind, p.wallet, p.asset, p.date) for p in found.problems] == [("malformed", "EARN", "BNB", DAY)]


def test_a_capture_that_lists_nothing_marks_its_wallet() -> None:
    assert told(mapped(capture("funding_assets", [])).balances, "wallet", "asset", "raw_balance") == [
        ("FUNDING", "USDT", "0")
    ]


def test_a_position_that_cannot_be_believed_spoils_itself_alone() -> None:
    rows = [{"asset": "BTC", "free": "1", "locked": "0", "freeze": "0"}, {"asset": "ETH", "free": 1}]
    found = mapped(capture("funding_assets", rows))
    assert told(found.balances, "asset") == ["BTC"]
    assert [(p.kind, p.wallet, p.asset) for p in found.problems] == [("malformed", "FUNDING", "ETH")]
