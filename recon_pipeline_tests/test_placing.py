"""A flow whose record states no wallet: moved only where that explains two wallets exactly, and nothing else would."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from recon_pipeline.venues.binance.mapping import Mapped, Unplaced, map_records
from recon_pipeline.venues.binance.placing import decisions
from recon_pipeline.venues.sources import Residual, Residuals
from recon_pipeline_tests.binance_records import CONTEXT
from recon_pipeline_tests.binance_samples import sample

MAIN = "main@example.com"
DAY = date(2026, 3, 1)


def booked(*records: str, wallet: str = "SPOT", is_decided: bool = False, amount: str = "5") -> Mapped:
    """Records of one convert each: BTC sold for `amount` of USDT."""
    mapped = Mapped()
    for record in records:
        mapped.unplaced.append(Unplaced(MAIN, "converts", record, record, wallet, is_decided))
        for asset, value in (("BTC", "-0.1"), ("USDT", amount)):
            at = datetime(2026, 3, 1, 12, tzinfo=UTC)
            row = {"account": MAIN, "wallet": wallet, "asset": asset, "amount": value, "datetime": at, "raw_id": record}
            row |= {"external_id": f"{record}:{asset}"}
            mapped.trades.append(row)
    return mapped


def off(wallet: str, btc: str, usdt: str, *, is_closed: bool = True) -> Residuals:
    found = {"BTC": Residual(Decimal(btc), is_closed), "USDT": Residual(Decimal(usdt), is_closed)}
    return {(MAIN, wallet, DAY): {asset: residual for asset, residual in found.items() if residual.amount}}


IN_EARN = (("SPOT", "4.5"), ("EARN", "-4.5"))
"""What is off where collateral was booked in SPOT and lay in EARN."""
BOTH = {**off("SPOT", "0.1", "-5"), **off("FUNDING", "-0.1", "5")}


def test_it_is_moved_where_both_wallets_close_in_every_coin() -> None:
    (decision,) = decisions(booked("c1"), BOTH)
    assert (decision.record_digest, decision.wallet) == ("c1", "FUNDING")
    assert decision.evidence["amounts"] == {"BTC": "-0.1", "USDT": "5"}


def test_it_is_moved_whatever_the_number_of_its_digits() -> None:
    long = "12345678901.123456789012345678"
    residuals = {**off("SPOT", "0.1", f"-{long}"), **off("FUNDING", "-0.1", long)}
    (decision,) = decisions(booked("c1", amount=long), residuals)
    assert decision.evidence["amounts"] == {"BTC": "-0.1", "USDT": long}


def test_a_leg_whose_wallet_is_known_is_not_moved_with_the_other() -> None:
    loan = sample("flexible_loan_borrows")
    mapped = map_records([loan], CONTEXT)
    day = mapped.transfers[0]["datetime"].date()
    at_rest = {(MAIN, wallet, day): {"BNB": Residual(Decimal(amount), True)} for wallet, amount in IN_EARN}
    (decision,) = decisions(mapped, at_rest)
    assert (decision.record_digest, decision.wallet, decision.evidence["amounts"]) == (
        loan.digest, "EARN", {"BNB": "-4.5"},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["locked_redemptions", "onchain_redemptions"])
def test_money_that_went_into_another_product_is_found_there_and_the_decision_is_looked_at_again(name: str) -> None:
    redeemed = sample(name)
    booked_in_spot = map_records([redeemed], CONTEXT)
    day = booked_in_spot.transfers[0]["datetime"].date()

    def of(spot: str, earn: str) -> Residuals:
        amounts = {"SPOT": Decimal(spot), "EARN": Decimal(earn)}
        return {(MAIN, wallet, day): {"AXS": Residual(amount, True)} for wallet, amount in amounts.items() if amount}

    (decision,) = decisions(booked_in_spot, of("-9.75", "9.75"))
    assert decision.wallet == "EARN"
    moved = map_records([redeemed], replace(CONTEXT, decisions={redeemed.digest: "EARN"}))
    assert decisions(moved, {}) == []
    (withdrawn,) = decisions(moved, of("9.75", "0"))
    assert withdrawn.wallet is None


def test_it_stays_where_one_coin_would_not_close() -> None:
    assert decisions(booked("c1"), {**off("SPOT", "0.1", "-5"), **off("FUNDING", "-0.1", "5.00000001")}) == []
    assert decisions(booked("c1"), off("SPOT", "0.1", "-5")) == []


def test_it_stays_where_a_feed_of_either_window_has_a_hole() -> None:
    assert decisions(booked("c1"), {**off("SPOT", "0.1", "-5"), **off("FUNDING", "-0.1", "5", is_closed=False)}) == []


def test_it_stays_where_another_flow_would_explain_the_same() -> None:
    assert decisions(booked("c1", "c2"), BOTH) == []


def test_it_stays_where_another_flow_would_explain_one_of_its_coins() -> None:
    mapped = booked("c1")
    mapped.unplaced.append(Unplaced(MAIN, "cloud_mining", "m1", "m1", "SPOT", False))
    mapped.transfers.append({**mapped.trades[1], "raw_id": "m1", "external_id": "m1"})
    assert decisions(mapped, BOTH) == []


def test_a_decision_is_kept_while_its_wallet_is_explained_and_withdrawn_when_it_is_not() -> None:
    moved = booked("c1", wallet="FUNDING", is_decided=True)
    assert decisions(moved, {}) == []
    (withdrawn,) = decisions(moved, off("FUNDING", "0.1", "-5"))
    assert (withdrawn.record_digest, withdrawn.wallet) == ("c1", None)


def test_a_decision_is_withdrawn_when_the_wallet_that_it_was_taken_from_misses_it() -> None:
    moved = booked("c1", wallet="FUNDING", is_decided=True)
    (withdrawn,) = decisions(moved, off("SPOT", "-0.1", "5"))
    assert (withdrawn.record_digest, withdrawn.wallet) == ("c1", None)
    assert decisions(moved, off("SPOT", "-0.1", "4.99")) == []
