"""Conversions, payments and income at Binance: wire rows in, canonical rows out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from recon_pipeline.venues.binance.mapping import MappingContext
from recon_pipeline.venues.streams import RawRecord
from recon_pipeline_tests.binance_records import DESK, FACTS, MAIN, SYMBOLS, kinds, mapped, record, told, utc
from recon_pipeline_tests.binance_samples import LATER, T, sample

AT, THEN = utc("2026-11-02T08:00:00.250"), utc("2026-11-04T08:00:00.250")

# --- converts ---------------------------------------------------------------------------------------------------------


def test_a_convert_is_two_legs_without_a_fee_in_the_default_wallet_and_is_marked() -> None:
    found = mapped(sample("converts"))
    assert told(found.trades, "external_id", "asset", "amount", "txn_subtype", "wallet", "agg_id") == [
        ("940000000000000001:from", "USDT", "-20", "convert_sell", "SPOT", "940000000000000001"),
        ("940000000000000001:to", "BNB", "0.03", "convert_buy", "SPOT", "940000000000000001"),
    ]
    assert [(u.wallet, u.decided) for u in found.unplaced] == [("SPOT", None)]


def test_a_decision_moves_a_convert_to_another_wallet() -> None:
    convert = sample("converts")
    decided = MappingContext(FACTS, SYMBOLS, decisions={convert.digest: "FUNDING"})
    found = mapped(convert, context=decided)
    assert {row["wallet"] for row in found.trades} == {"FUNDING"}
    assert [(u.usual, u.decided, u.raw_id) for u in found.unplaced] == [("SPOT", "FUNDING", convert.digest)]


@pytest.mark.parametrize("status", ["PROCESS", "ACCEPT_SUCCESS", "FAIL"])
def test_a_convert_that_did_not_succeed_moves_nothing(status: str) -> None:
    found = mapped(sample("converts", orderStatus=status))
    assert (found.trades, found.unplaced, found.problems) == ([], [], [])


def test_a_convert_of_an_unknown_state_moves_the_balance_and_is_reported() -> None:
    found = mapped(sample("converts", orderStatus="MELTED"))
    assert told(found.trades, "amount", "txn_subtype") == [("-20", "unknown"), ("0.03", "unknown")]
    assert kinds(found) == ["unknown_value"]


def test_a_convert_that_cannot_be_believed_spoils_both_assets_in_whatever_wallet() -> None:
    found = mapped(sample("converts", toAmount=Decimal("0.03")))
    assert (found.trades, found.unplaced) == ([], [])
    assert [(p.frame, p.wallet, p.asset, p.instant) for p in found.problems] == [
        ("trades", None, "USDT", AT),
        ("trades", None, "BNB", AT),
    ]


def test_stable_coins_that_the_venue_converts_by_itself_are_trades() -> None:
    content = {
        "tranId": 118,
        "type": 244,
        "time": T,
        "deductedAsset": "BUSD",
        "deductedAmount": "1",
        "targetAsset": "FDUSD",
        "targetAmount": "1",
        "status": "S",
        "accountType": "MAIN",
    }
    found = mapped(record("convert_transfers", content))
    assert told(found.trades, "external_id", "asset", "amount") == [
        ("118:from", "BUSD", "-1"),
        ("118:to", "FDUSD", "1"),
    ]
    assert mapped(record("convert_transfers", content | {"accountType": "CARD"})).trades == []


def test_auto_invest_takes_the_source_and_the_fee_and_gives_the_target() -> None:
    content = {
        "id": 12,
        "targetAsset": "BTC",
        "planType": "SINGLE",
        "transactionDateTime": T,
        "transactionStatus": "SUCCESS",
        "sourceAsset": "USDT",
        "sourceAssetAmount": "50",
        "targetAssetAmount": "0.0008",
        "sourceWallet": "SPOT_WALLET",
        "transactionFee": "0.1",
        "transactionFeeUnit": "USDT",
    }
    found = mapped(record("auto_invest", content))
    assert told(found.trades, "external_id", "asset", "amount", "txn_subtype") == [
        ("12:fee", "USDT", "-0.1", "convert_fee"),
        ("12:from", "USDT", "-50", "convert_sell"),
        ("12:to", "BTC", "0.0008", "convert_buy"),
    ]


# --- dust -------------------------------------------------------------------------------------------------------------


def test_dust_gives_what_it_was_converted_into_less_the_fee() -> None:
    found = mapped(sample("dust"))
    assert told(found.trades, "external_id", "asset", "amount", "txn_subtype") == [
        ("45000000001:XRP:fee", "BNB", "-0.00004", "dust_fee"),
        ("45000000001:XRP:from", "XRP", "-1.2", "dust_sell"),
        ("45000000001:XRP:to", "BNB", "0.002", "dust_buy"),
    ]


@pytest.mark.parametrize(("stated", "target"), [({"targetAsset": "USDT"}, "USDT"), ({}, "BNB")])
def test_dust_goes_into_the_asset_that_is_stated_and_without_one_into_bnb(stated: dict[str, str], target: str) -> None:
    detail = {"transId": 1, "serviceChargeAmount": "0.04", "amount": "1.2", "transferedAmount": "2", "fromAsset": "XRP"}
    found = mapped(sample("dust", userAssetDribbletDetails=[detail | stated]))
    moved = [("dust_buy", target, "2"), ("dust_fee", target, "-0.04"), ("dust_sell", "XRP", "-1.2")]
    assert told(found.trades, "txn_subtype", "asset", "amount") == moved


def test_dust_may_be_stated_as_what_arrives() -> None:
    found = mapped(sample("dust"), dust_amount="net")
    into_bnb = [Decimal(row["amount"]) for row in found.trades if row["asset"] == "BNB"]
    assert sum(into_bnb) == Decimal("0.002")


def test_dust_of_margin_is_told_by_the_ledger() -> None:
    assert mapped(sample("margin_dust")).trades == []


def test_dust_that_cannot_be_believed_spoils_every_asset_in_it() -> None:
    bad = {"transId": 1, "amount": "1", "transferedAmount": 2, "fromAsset": "XRP", "operateTime": T}
    found = mapped(sample("dust", userAssetDribbletDetails=[bad]))
    assert found.trades == []
    assert [(p.wallet, p.asset) for p in found.problems] == [("SPOT", "XRP"), ("SPOT", "BNB")]
    nothing = mapped(sample("dust", userAssetDribbletDetails=None))
    assert [(p.wallet, p.asset) for p in nothing.problems] == [("SPOT", None)]


# --- money ------------------------------------------------------------------------------------------------------------


def test_money_withdrawn_leaves_with_its_fee_when_the_order_is_made() -> None:
    found = mapped(sample("fiat_orders"))
    assert told(found.transfers, "external_id", "amount", "txn_type", "txn_subtype", "datetime") == [
        ("f-1:amt", "-28.50", "transfer_out", "fiat_withdrawal", AT),
        ("f-1:fee", "-1.50", "txn_fee", "withdrawal_fee", AT),
    ]


def test_money_deposited_counts_once_it_is_credited_and_without_the_fee() -> None:
    found = mapped(sample("fiat_orders", {"transactionType": "0"}))
    assert told(found.transfers, "external_id", "amount", "wallet", "txn_subtype", "datetime") == [
        ("f-1", "28.50", "SPOT", "fiat_deposit", THEN)
    ]
    assert told(mapped(sample("fiat_orders", {"transactionType": "0"}), fiat_wallet="funding").transfers, "wallet") == [
        "FUNDING"
    ]


@pytest.mark.parametrize("kind", ["0", "1"])
def test_a_bank_transfer_states_no_wallet(kind: str) -> None:
    transfer, payment = sample("fiat_orders", {"transactionType": kind}), sample("fiat_payments")
    both = mapped(transfer, payment)
    assert sorted((u.stream, u.usual) for u in both.unplaced) == [("fiat_orders", "SPOT"), ("fiat_payments", "SPOT")]
    funded = {MAIN: replace(FACTS[MAIN], default_wallet="FUNDING")}
    money = sample("pay", walletType=3, fundsDetail=[])
    found = mapped(transfer, payment, context=MappingContext(funded, SYMBOLS))
    assert {row["wallet"] for row in (*found.transfers, *found.trades)} == {"FUNDING"}
    # what says that it was paid with money states a wallet
    assert told(mapped(money, context=MappingContext(funded, SYMBOLS)).transfers, "wallet") == ["SPOT"]
    assert told(mapped(money, fiat_wallet="funding").transfers, "wallet") == ["FUNDING"]
    decided = MappingContext(FACTS, SYMBOLS, decisions={transfer.digest: "FUNDING"})
    assert set(told(mapped(transfer, context=decided).transfers, "wallet")) == {"FUNDING"}


def _told_before(record: RawRecord, *before: Mapping[str, Any]) -> RawRecord:
    return replace(record, before=tuple((AT, {**record.content, **changes}) for changes in before))


def test_a_bank_deposit_stays_on_the_day_on_which_it_was_first_credited() -> None:
    later = T + 5 * 86_400_000
    done = sample("fiat_orders", {"transactionType": "0"}, status="Finished", updateTime=later)
    for before in ({"status": "Successful", "updateTime": LATER}, {"status": "Finished", "updateTime": LATER}):
        found = mapped(_told_before(done, {"status": "Processing", "updateTime": T}, before))
        assert told(found.transfers, "external_id", "amount", "datetime") == [("f-1", "28.50", THEN)]


@pytest.mark.parametrize(
    ("status", "amounts"),
    [
        ("Refunding", ["28.50"]),
        ("Refund Failed", ["28.50"]),
        ("Refunded", ["28.50", "-28.50"]),
        ("Failed", ["28.50", "-28.50"]),
    ],
)
def test_a_bank_deposit_that_was_credited_leaves_once_it_is_refunded(status: str, amounts: list[str]) -> None:
    later = T + 5 * 86_400_000
    record = sample("fiat_orders", {"transactionType": "0"}, status=status, updateTime=later)
    found = mapped(_told_before(record, {"status": "Successful", "updateTime": LATER}))
    rows = told(found.transfers, "external_id", "amount", "datetime")
    assert rows == [("f-1", "28.50", THEN), ("f-1:reversal", "-28.50", utc("2026-11-07T08:00:00.250"))][: len(amounts)]


def test_a_bank_deposit_is_booked_as_it_was_told_while_it_was_credited() -> None:
    """A state between, an instant that could not be read at first and what a refund leaves out move nothing."""
    kind, then = {"transactionType": "0"}, {"status": "Successful", "updateTime": LATER}
    again = sample("fiat_orders", kind, status="Successful", updateTime=T + 5 * 86_400_000)
    between = {"status": "Refunding", "updateTime": T + 3 * 86_400_000}
    for before in ((then, between), ({**then, "updateTime": "soon"}, then), ({**then, "amount": "28.49"}, then)):
        found = mapped(_told_before(again, *before))
        assert told(found.transfers, "external_id", "amount", "datetime") == [("f-1", "28.50", THEN)]
        assert found.problems == []
    emptied = sample("fiat_orders", kind, status="Refunded", amount="0", updateTime=None)
    found = mapped(_told_before(emptied, {**then, "amount": "28.50"}))
    assert told(found.transfers, "external_id", "amount", "datetime") == [
        ("f-1", "28.50", THEN),
        ("f-1:reversal", "-28.50", THEN),
    ]


def test_what_is_credited_refunded_and_credited_again_is_three_movements() -> None:
    kind, second, third = {"transactionType": "0"}, T + 3 * 86_400_000, T + 5 * 86_400_000
    first, back = {"status": "Successful", "updateTime": LATER}, {"status": "Refunded", "updateTime": second}
    again = sample("fiat_orders", kind, status="Successful", updateTime=third, amount="28.40")
    found = mapped(_told_before(again, {**first, "amount": "28.50"}, back))
    assert told(found.transfers, "external_id", "amount", "datetime") == [
        ("f-1", "28.50", THEN),
        ("f-1:2", "28.40", utc("2026-11-07T08:00:00.250")),
        ("f-1:reversal", "-28.50", utc("2026-11-05T08:00:00.250")),
    ]
    assert [each.following for each in found.unplaced] == [("f-1:reversal", "f-1:2")]
    # told word for word as before it was refunded: that was a mistake
    restored = sample("fiat_orders", kind, status="Successful", updateTime=LATER)
    found = mapped(_told_before(restored, first, back))
    assert told(found.transfers, "external_id", "amount", "datetime") == [("f-1", "28.50", THEN)]


def test_an_amount_that_could_not_be_read_before_a_refund_is_that_of_the_telling_before() -> None:
    kind, then = {"transactionType": "0"}, {"status": "Successful", "updateTime": LATER}
    refunded = sample("fiat_orders", kind, status="Refunded", updateTime=T + 5 * 86_400_000)
    found = mapped(_told_before(refunded, {**then, "amount": "28.50"}, {**then, "amount": 28.5}))
    assert (told(found.transfers, "amount"), found.problems) == (["-28.50", "28.50"], [])
    # what cannot be read now is not believed, whatever was told before
    unread = replace(refunded, content={**refunded.content, **then, "amount": 28.5})
    assert kinds(mapped(_told_before(unread, {**then, "amount": "28.50"}))) == ["malformed"]


def test_a_bank_withdrawal_comes_back_as_it_left_whatever_its_refund_states() -> None:
    later = T + 5 * 86_400_000
    for stated in ({"amount": "0", "totalFee": "0"}, {"totalFee": "0"}, {"amount": None}):
        refunded = sample("fiat_orders", status="Refunded", updateTime=later, **stated)
        found = mapped(_told_before(refunded, {"status": "Successful", "amount": "28.50", "totalFee": "1.50"}))
        rows = told(found.transfers, "external_id", "amount")
        assert sorted(rows) == [
            ("f-1:amt", "-28.50"), ("f-1:amt:reversal", "28.50"), ("f-1:fee", "-1.50"), ("f-1:fee:reversal", "1.50"),
        ]  # fmt: skip
        assert found.problems == []


def test_of_a_deposit_whose_refund_failed_nobody_says_whether_it_had_arrived() -> None:
    found = mapped(sample("fiat_orders", {"transactionType": "0"}, status="Refund Failed"))
    assert (found.transfers, kinds(found)) == ([], ["not_stated"])


def test_a_bank_withdrawal_comes_back_when_that_was_first_told() -> None:
    record = sample("fiat_orders", status="Refunded", updateTime=T + 5 * 86_400_000)
    before = ({"status": "Processing", "updateTime": T}, {"status": "Failed", "updateTime": LATER})
    found = mapped(_told_before(record, *before))
    back = [row for row in found.transfers if row["external_id"].endswith(":reversal")]
    assert told(back, "amount", "datetime") == [("1.50", THEN), ("28.50", THEN)]


@pytest.mark.parametrize(
    ("kind", "status", "amounts"),
    [
        ("0", "Processing", []),
        ("0", "Failed", []),
        ("0", "Refunded", []),
        ("0", "Finished", ["28.50"]),
        ("1", "Processing", ["-1.50", "-28.50"]),
        ("1", "Failed", ["-1.50", "-28.50", "1.50", "28.50"]),
        ("1", "Expired", ["-1.50", "-28.50", "1.50", "28.50"]),
        ("1", "Refunding", ["-1.50", "-28.50"]),
        ("1", "Refund Failed", ["-1.50", "-28.50"]),
        ("1", "Refunded", ["-1.50", "-28.50", "1.50", "28.50"]),
    ],
)
def test_what_a_state_of_a_bank_transfer_moves(kind: str, status: str, amounts: list[str]) -> None:
    found = mapped(sample("fiat_orders", {"transactionType": kind}, status=status))
    assert told(found.transfers, "amount") == amounts
    assert found.problems == []


def test_money_credited_in_part_is_not_booked_but_named() -> None:
    found = mapped(sample("fiat_orders", {"transactionType": "0"}, status="Order Partial credit Stopped"))
    assert (found.transfers, kinds(found)) == ([], ["not_stated"])


def test_a_purchase_from_the_balance_takes_money_coins_come_and_the_fee_is_in_the_price() -> None:
    found = mapped(sample("fiat_payments"))
    assert told(found.trades, "external_id", "asset", "amount", "txn_subtype") == [
        ("p-1:fee", "EUR", "-0.5", "convert_fee"),
        ("p-1:from", "EUR", "-49.5", "fiat_sell"),
        ("p-1:to", "ETH", "0.016", "fiat_buy"),
    ]


def test_a_purchase_by_card_only_brings_coins() -> None:
    found = mapped(sample("fiat_payments", paymentMethod="Credit Card"))
    assert told(found.trades, "asset", "amount") == [("ETH", "0.016")]


def test_a_sale_for_money_gives_coins_and_the_source_is_the_money_all_the_same() -> None:
    sold = sample(
        "fiat_payments", {"transactionType": "1"}, sourceAmount="49", obtainAmount="0.016", totalFee="0",
        paymentMethod=None,
    )  # fmt: skip
    assert told(mapped(sold).trades, "asset", "amount") == [("ETH", "-0.016"), ("EUR", "49")]


def test_the_fee_of_a_sale_for_money_is_taken_off_what_is_paid() -> None:
    sold = sample(
        "fiat_payments", {"transactionType": "1"}, sourceAmount="49", obtainAmount="0.016", totalFee="0.4",
        paymentMethod=None,
    )  # fmt: skip
    assert told(mapped(sold).trades, "external_id", "asset", "amount", "txn_subtype") == [
        ("p-1:fee", "EUR", "-0.4", "convert_fee"),
        ("p-1:from", "ETH", "-0.016", "fiat_sell"),
        ("p-1:to", "EUR", "49", "fiat_buy"),
    ]


def test_a_payment_that_was_done_and_is_refunded_is_undone_when_the_venue_says() -> None:
    done = {"status": "Completed", "updateTime": T}
    for status in ("Processing", "Refunding"):
        found = mapped(_told_before(sample("fiat_payments", status=status, updateTime=LATER), done))
        assert told(found.trades, "external_id", "datetime") == [(f"p-1:{leg}", AT) for leg in ("fee", "from", "to")]
    undone = sample("fiat_payments", status="Refunded", updateTime=LATER)
    found = mapped(_told_before(undone, done))
    moved = told(found.trades, "external_id", "asset", "amount", "datetime")
    assert sorted(moved) == [
        ("p-1:fee", "EUR", "-0.5", AT),
        ("p-1:fee:reversal", "EUR", "0.5", THEN),
        ("p-1:from", "EUR", "-49.5", AT),
        ("p-1:from:reversal", "EUR", "49.5", THEN),
        ("p-1:to", "ETH", "0.016", AT),
        ("p-1:to:reversal", "ETH", "-0.016", THEN),
    ]


def test_a_payment_that_is_refunded_is_undone_as_it_was_done() -> None:
    done = {"status": "Completed", "updateTime": T, "paymentMethod": "Cash Balance", "obtainAmount": "0.016"}
    undone = sample("fiat_payments", status="Refunded", updateTime=LATER, paymentMethod=None, obtainAmount="0")
    found = mapped(_told_before(undone, {**done, "updateTime": "soon"}, done))
    assert found.problems == []
    assert sorted(told(found.trades, "asset", "amount")) == [
        ("ETH", "-0.016"), ("ETH", "0.016"), ("EUR", "-0.5"), ("EUR", "-49.5"), ("EUR", "0.5"), ("EUR", "49.5"),
    ]  # fmt: skip


@pytest.mark.parametrize("status", ["Processing", "Failed", "Refunded"])
def test_a_payment_that_was_not_completed_moves_nothing(status: str) -> None:
    assert mapped(sample("fiat_payments", status=status)).trades == []


# --- payments between persons -----------------------------------------------------------------------------------------


def test_a_payment_comes_out_of_the_wallets_that_its_details_name() -> None:
    found = mapped(sample("pay"))
    assert told(found.transfers, "wallet", "asset", "amount", "txn_subtype", "counter_party") == [
        ("FUNDING", "USDT", "-10", "pay_out", "A shop"),
        ("SPOT", "USDT", "-2.5", "pay_out", "A shop"),
    ]


@pytest.mark.parametrize(
    ("details", "assets"),
    [
        ([{"currency": "BNB", "amount": "0.02", "walletAssetCost": {"1": 0.02}}], ["BNB", "USDT"]),
        ([{"currency": None, "amount": "0.02"}], [None]),
        ("BNB 0.02", [None]),
    ],
)
def test_a_payment_that_cannot_be_believed_spoils_what_it_may_have_been_paid_with(
    details: Any, assets: list[str | None]
) -> None:
    found = mapped(sample("pay", fundsDetail=details))
    assert (found.transfers, kinds(found)) == ([], ["malformed"] * len(assets))
    assert sorted((problem.asset for problem in found.problems), key=str) == assets


@pytest.mark.parametrize(
    ("kind", "wallets"),
    [(1, ["FUNDING"]), (2, ["SPOT"]), (3, ["SPOT"]), (4, []), (5, ["EARN"]), (6, []), (99, ["SPOT"])],
)
def test_a_payment_without_details_is_of_the_wallet_that_it_names(kind: int, wallets: list[str]) -> None:
    found = mapped(sample("pay", walletType=kind, fundsDetail=[], amount="3"))
    assert told(found.transfers, "wallet") == wallets
    assert told(found.transfers, "amount", "counter_party") == [("3", "We") for _ in wallets]
    assert kinds(found) == (["unknown_value"] if kind == 99 else [])


def test_what_each_wallet_gave_may_be_a_list() -> None:
    costs = [{"2": "2.5"}, {"1": "10"}]
    found = mapped(sample("pay", fundsDetail=[{"currency": "USDT", "amount": "12.5", "walletAssetCost": costs}]))
    columns = ("external_id", "wallet", "asset", "amount", "txn_subtype")
    assert told(found.transfers, *columns) == told(mapped(sample("pay")).transfers, *columns)
    neither = mapped(sample("pay", fundsDetail=[{"currency": "USDT", "amount": "12.5", "walletAssetCost": ["10"]}]))
    assert (neither.transfers, kinds(neither)) == ([], ["malformed"])


def test_what_is_received_is_what_is_stated_whatever_the_payer_paid_with() -> None:
    found = mapped(sample("pay", amount="23.7", currency="BNB"))
    assert told(found.transfers, "wallet", "asset", "amount") == [("FUNDING", "BNB", "23.7")]
    assert kinds(found) == ["unknown_value"]
    paid = mapped(sample("pay", amount="-23.7", currency="BNB"))
    assert told(paid.transfers, "asset", "amount") == [("USDT", "-10"), ("USDT", "-2.5")]


def test_parts_that_do_not_add_up_to_the_amount_do_not_count() -> None:
    found = mapped(sample("pay", orderType="PAY_REFUND", amount="5"))
    assert told(found.transfers, "asset", "amount") == [("USDT", "5")]
    assert kinds(found) == ["unknown_value"]


def test_a_kind_of_payment_that_is_not_known_moves_the_balance() -> None:
    found = mapped(sample("pay", orderType="GIFT"))
    assert {row["txn_subtype"] for row in found.transfers} == {"unknown"}
    assert kinds(found) == ["unknown_value"]


def test_a_sale_to_a_person_takes_coins_and_the_fee_of_the_side_we_were_on() -> None:
    found = mapped(sample("c2c"))
    assert told(found.transfers, "external_id", "amount", "wallet", "txn_subtype") == [
        ("60000000000000000001:amt", "-200.00", "FUNDING", "p2p_out"),
        ("60000000000000000001:fee", "-0.1", "FUNDING", "p2p_fee"),
    ]
    bought = mapped(sample("c2c", tradeType="BUY", advertisementRole="MAKER", commission="0.2"))
    assert told(bought.transfers, "amount") == ["-0.2", "200.00"]
    assert mapped(sample("c2c", orderStatus="CANCELLED")).transfers == []


@pytest.mark.parametrize(
    ("commission", "taker", "fees"),
    [("0.1", "0.10", ["-0.1"]), (None, "1", ["-1"]), ("0", "", []), (None, None, []), ("0", "1", None)],
)
def test_the_fee_of_a_side_that_is_not_stated_is_booked_if_both_pay_it(
    commission: str | None, taker: str | None, fees: list[str] | None
) -> None:
    found = mapped(sample("c2c", advertisementRole=None, commission=commission, takerCommission=taker))
    if fees is None:
        assert (found.transfers, kinds(found)) == ([], ["malformed"])
        return
    assert [row["amount"] for row in found.transfers if row["txn_subtype"] == "p2p_fee"] == fees
    assert found.problems == []


# --- income -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "subtype"),
    [
        ("SOLV Megadrop", "airdrop"),
        ("Launchpool Airdrop", "airdrop"),
        ("Flexible", "interest_income"),
        ("STAKING", "reward"),
        ("BNB Vault", "interest_income"),
        ("Referral Kickback", "rebate"),
        ("A new thing", "dividend"),
        (None, "dividend"),
    ],
)
def test_a_dividend_is_named_by_the_words_for_it(text: str | None, subtype: str) -> None:
    found = mapped(sample("dividends", enInfo=text))
    assert told(found.transfers, "external_id", "amount", "txn_subtype") == [(f"16001:SOLV:{T}", "7.5", subtype)]


def test_a_dividend_of_the_other_direction_goes_out() -> None:
    assert told(mapped(sample("dividends", direction=0)).transfers, "amount", "txn_type") == [("-7.5", "transfer_out")]


def test_a_dividend_without_a_direction_comes_in_and_a_blank_one_is_told() -> None:
    blank, empty = sample("dividends", direction=None), sample("dividends", direction="")
    absent = record("dividends", {name: value for name, value in blank.content.items() if name != "direction"})
    for one, problems in ((blank, ["unknown_value"]), (empty, ["unknown_value"]), (absent, [])):
        found = mapped(one)
        assert (told(found.transfers, "amount", "txn_type"), kinds(found)) == ([("7.5", "transfer_in")], problems)


def test_rewards_that_the_dividends_tell_of_are_not_booked_again() -> None:
    for name in ("locked_rewards", "onchain_rewards", "soft_staking_rewards"):
        assert mapped(sample(name)).transfers == []


def test_rebates_mining_and_clouds() -> None:
    found = mapped(
        sample("rebates"),
        sample("mining_earnings"),
        sample("mining_bonuses"),
        sample("mining_account_earnings"),
        sample("cloud_mining"),
        sample("cloud_mining", type=249, tranId=2),
    )
    assert told(found.transfers, "source", "wallet", "asset", "amount", "txn_subtype") == [
        ("cloud_mining", "SPOT", "USDT", "-25.5", "cloud_mining"),
        ("cloud_mining", "SPOT", "USDT", "25.5", "cloud_mining"),
        ("mining_account_earnings", "FUNDING", "BTC", "0.0918", "reward"),
        ("mining_bonuses", "FUNDING", "BTC", "0.0011", "reward"),
        ("mining_earnings", "FUNDING", "BTC", "0.00012345", "reward"),
        ("rebates", "SPOT", "USDT", "0.004", "rebate"),
    ]
    assert len(found.unplaced) == 2
    assert mapped(sample("mining_earnings", status=1)).transfers == []


@pytest.mark.parametrize("status", ["SUCCESS", "COMPLETED"])
def test_money_goes_out_to_a_prediction_wallet_and_comes_back_from_it(status: str) -> None:
    out = sample("prediction_transfers", status=status)
    back = sample("prediction_transfers", status=status, transferId="tf_2", direction="INBOUND", toTokenAmount="14.5")
    found = mapped(out, back)
    assert told(found.transfers, "external_id", "wallet", "asset", "amount", "datetime", "counter_party") == [
        ("tf_1", "SPOT", "USDT", "-15.00", utc("2026-11-02T08:00:00"), "0x0c"),
        ("tf_2", "SPOT", "USDT", "14.5", utc("2026-11-02T08:00:05"), "0x0c"),
    ]
    assert [unplaced.wallet for unplaced in found.unplaced] == ["SPOT", "SPOT"]
    assert found.problems == []


def test_the_wallet_behind_a_prediction_transfer_may_be_decided() -> None:
    out = sample("prediction_transfers")
    found = mapped(out, context=MappingContext(FACTS, SYMBOLS, decisions={out.digest: "FUNDING"}))
    assert told(found.transfers, "wallet", "amount") == [("FUNDING", "-15.00")]


@pytest.mark.parametrize("status", ["FAILED", "PENDING", "PROCESSING"])
def test_a_prediction_transfer_that_is_not_done_moves_nothing(status: str) -> None:
    assert mapped(sample("prediction_transfers", status=status)).transfers == []


def test_a_rebate_of_an_unknown_type_moves_the_balance() -> None:
    found = mapped(sample("rebates", type=7))
    assert (told(found.transfers, "txn_subtype"), kinds(found)) == (["unknown"], ["unknown_value"])


# --- shares -----------------------------------------------------------------------------------------------------------


def test_a_trade_in_shares_moves_the_money_and_its_fee_and_a_token_when_it_is_made() -> None:
    found = mapped(sample("equity_trades"), sample("equity_orders"), sample("equity_tokens"))
    assert told(found.trades, "external_id", "asset", "amount", "txn_subtype") == [
        ("mint-1:token", "MSFTB", "1.000000000", "equity_buy"),
        ("o-1:fee", "USDC", "-0.20", "equity_fee"),
        ("x-1:quote", "USDC", "-399.50", "equity_sell"),
    ]
    sold = mapped(sample("equity_trades", side="SELL"), sample("equity_tokens", convertType="REDEEM"))
    assert told(sold.trades, "amount") == ["-1.000000000", "399.50"]


# --- STP --------------------------------------------------------------------------------------------------------------


def transferred(**changes: Any) -> dict[str, Any]:
    return {"selfTradePreventionMode": "TRANSFER", "makerPreventedQuantity": "0.2", "price": "0.25"} | changes


def test_a_prevented_fill_that_is_transferred_moves_both_assets_by_the_side_of_the_order() -> None:
    match, order = sample("prevented_matches", **transferred()), sample("spot_orders", orderId=72, side="BUY")
    found = mapped(match, order)
    assert told(found.transfers, "external_id", "asset", "amount", "txn_subtype") == [
        ("BTCUSDT:P7:base", "BTC", "0.2", "stp_transfer_in"),
        ("BTCUSDT:P7:quote", "USDT", "-0.050", "stp_transfer_out"),
    ]
    other = mapped(sample("prevented_matches", account=DESK, **transferred()), sample("spot_orders", account=DESK))
    assert told(other.transfers, "account", "asset", "amount") == [(DESK, "BTC", "-0.2"), (DESK, "USDT", "0.050")]


@pytest.mark.parametrize(
    ("maker", "taker", "moved"),
    [("0.6", "0.2", "0.2"), ("0.2", "1.5", "0.2"), ("10", "9", "9"), (None, "0.2", "0.2"), ("0.6", "", "0.6")],
)
def test_of_two_orders_that_met_what_the_smaller_had_left_is_transferred(maker: Any, taker: Any, moved: str) -> None:
    match = sample("prevented_matches", **transferred(makerPreventedQuantity=maker, takerPreventedQuantity=taker))
    found = mapped(match, sample("spot_orders", orderId=72, side="BUY"))
    assert [row["amount"] for row in found.transfers if row["asset"] == "BTC"] == [moved]


def test_a_transfer_of_an_amount_that_is_not_stated_is_not_booked_but_named() -> None:
    nothing = transferred(makerPreventedQuantity=None, takerPreventedQuantity="")
    found = mapped(sample("prevented_matches", **nothing), sample("spot_orders", orderId=72, side="BUY"))
    assert found.transfers == []
    assert [(p.kind, p.instant, p.text) for p in found.problems] == [
        ("not_stated", AT, "an STP transfer; how much it was is not stated")
    ]


def test_a_transfer_that_cannot_be_believed_spoils_the_windows_of_its_instant_alone() -> None:
    match = sample("prevented_matches", **transferred(makerPreventedQuantity="much"))
    found = mapped(match, sample("spot_orders", orderId=72, side="BUY"))
    assert found.transfers == []
    assert [(p.kind, p.wallet, p.asset, p.instant) for p in found.problems] == [
        ("malformed", "SPOT", "BTC", AT),
        ("malformed", "SPOT", "USDT", AT),
    ]


def test_between_two_orders_of_one_account_nothing_is_transferred() -> None:
    orders = [sample("spot_orders", orderId=number, side=side) for number, side in ((71, "SELL"), (72, "BUY"))]
    found = mapped(sample("prevented_matches", **transferred()), *orders)
    assert (found.transfers, found.problems) == ([], [])


def test_a_side_that_is_not_told_is_not_guessed_and_other_modes_move_nothing() -> None:
    alone = mapped(sample("prevented_matches", **transferred()))
    assert (alone.transfers, kinds(alone)) == ([], ["not_stated"])
    assert mapped(sample("prevented_matches")).problems == []


def test_a_transfer_whose_worth_is_too_long_to_be_exact_is_refused() -> None:
    long = "1" + "0" * 70 + "1"
    match = sample("prevented_matches", **transferred(makerPreventedQuantity=long, price=long))
    assert kinds(mapped(match, sample("spot_orders", orderId=72, side="BUY"))) == ["malformed", "malformed"]


@pytest.mark.parametrize("at", ["x", True, -1, Decimal("1669101687094.5"), 10**18, {}])
def test_a_transfer_that_is_not_booked_is_told_whatever_its_instant_is(at: Any) -> None:
    (problem,) = mapped(sample("prevented_matches", **transferred(transactTime=at))).problems
    assert (problem.kind, problem.instant) == ("not_stated", None)


@pytest.mark.parametrize(
    ("stream", "changes"),
    [
        ("dividends", {"asset": "ETH"}),
        ("dividends", {"divTime": T + 1_000}),
        ("futures_income", {"incomeType": "COMMISSION"}),
        ("futures_income", {"asset": "BNB"}),
        ("futures_income", {"symbol": "ETHUSDT"}),
        ("loan_income", {"type": "repayAmount"}),
        ("loan_income", {"asset": "ETH"}),
        ("cloud_mining", {"type": 249}),
        ("pay", {"orderType": "PAY_REFUND"}),
        ("margin_interest", {"interestAccuredTime": T + 1_000}),
        ("spot_trades", {"symbol": "ETHUSDT"}),
        ("allocations", {"symbol": "ETHUSDT"}),
        ("dual_investment", {"orderId": 9}),
        ("isolated_capital_flow", {"call": {"symbol": "ETHUSDT"}}),
    ],
)
def test_records_that_share_a_number_of_the_venue_are_two(stream: str, changes: dict[str, Any]) -> None:
    one, other = sample(stream), sample(stream, **changes)
    assert one.key != other.key
    alone = [mapped(each) for each in (one, other)]
    rows = [row for found in alone for row in (*found.transfers, *found.trades)]
    both = mapped(one, other)
    assert len(both.transfers) + len(both.trades) == len(rows) >= 2


def test_nothing_here_depends_on_the_account_that_asks() -> None:
    ours = mapped(sample("converts")).trades
    theirs = mapped(sample("converts", account=DESK)).trades
    assert [row | {"account": None, "raw_id": None} for row in ours] == [
        row | {"account": None, "raw_id": None} for row in theirs
    ]
    assert {row["account"] for row in theirs} == {DESK}
    assert {row["account"] for row in ours} == {MAIN}
    assert LATER > T
