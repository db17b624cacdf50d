"""Streams of balances: the day-end snapshots that the venue keeps, and what it only tells of the present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any

from recon_pipeline.transport.errors import UnexpectedAnswer
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.streams.shapes import (
    Key,
    at,
    bare,
    by,
    content_key,
    for_each,
    once,
    pages,
    plain,
    span,
    stream,
    under,
    whole,
)
from recon_pipeline.venues.binance.streams.spot import keyless_subs
from recon_pipeline.venues.streams import AccountFacts, Call, Content, Paging, Stream

LAST_SECOND = time(23, 59, 59)
"""Every snapshot that closes a day is stamped with its last second."""
_SNAPSHOT = "type updateTime data"
_VALUED = frozenset({"totalAssetOfBtc", "totalLiabilityOfBtc", "totalNetAssetOfBtc", "marginLevel"})
_NAMES = frozenset({"asset", "symbol"})
_UNTIL_NOON = 12 * 60
"""Day D appears some time after midnight of D+1; the hour is not documented."""
_HOLDING = "asset free locked freeze withdrawing ipoable btcValuation assetName"
_MARGIN_TOTALS = (
    "created borrowEnabled marginLevel collateralMarginLevel totalAssetOfBtc totalLiabilityOfBtc totalNetAssetOfBtc "
    "TotalCollateralValueInUSDT totalOpenOrderLossInUSDT tradeEnabled transferInEnabled transferOutEnabled "
    "transferEnabled accountType userAssets"
)


def balances_said(content: Content) -> Any:
    """What a snapshot states, in whatever order: an asset of which there is nothing need not be listed, and what the
    venue values all of them at is no balance."""
    data = content.get("data")
    if not isinstance(data, Mapping):
        return content
    return {**content, "data": {name: _entries_said(value) for name, value in data.items() if name not in _VALUED}}


def _entries_said(value: Any) -> Any:
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        return value
    entries = [{name: plain(cell) for name, cell in entry.items()} for entry in value]
    held = [entry for entry in entries if any(str(cell) != "0" for name, cell in entry.items() if name not in _NAMES)]
    return sorted(sorted(entry.items()) for entry in held) if _are_plain(held) else value


def _are_plain(entries: Sequence[Content]) -> bool:
    """Whether all that they hold is text: the rest has no order."""
    return all(isinstance(cell, str) for entry in entries for cell in entry.values())


def closes_no_day(content: Content) -> bool:
    """Whether a snapshot is stamped with an hour at which no day ends: the one of the day's end may still come."""
    stamped = at("updateTime")(content)
    return stamped is not None and stamped.time() < LAST_SECOND


def _by_call(*names: str) -> Key:
    """By what was asked for and the stamp: one of another wallet gives way to the right one once that is told. Of one
    without a stamp nobody could say which day it spoils, or when that is over."""

    def key(call: Call, content: Content) -> str:
        if at("updateTime")(content) is None:
            raise UnexpectedAnswer("a snapshot has no updateTime", expected="an instant with every snapshot")
        return by(*names, "updateTime")(call, {**content, **call})

    return key


def _snapshot(name: str, kind: str, product: str) -> Stream:
    return stream(
        name,
        e.ACCOUNT_SNAPSHOT,
        "snapshot",
        kind,
        _SNAPSHOT,
        rows=under("snapshotVos"),
        key=_by_call("type"),
        instant=at("updateTime"),
        product=product,
        calls=once(product, {"type": kind}),
        window=span(29, reach=30),
        paging=Paging("none", 30, "limit"),
        horizon=3,
        lag=_UNTIL_NOON,
        pending=closes_no_day,
        says=balances_said,
    )


def _managed_snapshots(facts: AccountFacts) -> list[Call]:
    """One question for each kind of each managed sub-account whose own key does not tell."""
    named = for_each("managed_without_key", "email", "spot")(facts)
    return [{**call, "type": kind} for call in named for kind in ("SPOT", "MARGIN", "FUTURES")]


def _futures_of_keyless(facts: AccountFacts, kind: str) -> list[Call]:
    return [{**call, "futuresType": kind} for call in keyless_subs(facts)]


SNAPSHOTS: tuple[Stream, ...] = (
    _snapshot("spot_snapshots", "SPOT", "spot"),
    _snapshot("margin_snapshots", "MARGIN", "margin"),
    _snapshot("futures_snapshots", "FUTURES", "futures"),
)

CAPTURES: tuple[Stream, ...] = (
    stream(
        "spot_account",
        e.ACCOUNT,
        "capture",
        "SPOT",
        "makerCommission takerCommission buyerCommission sellerCommission commissionRates canTrade canWithdraw "
        "canDeposit brokered requireSelfTradePrevention preventSor updateTime accountType balances permissions uid",
        rows=whole,
        key=by("uid"),
        instant=at("updateTime"),
        horizon=3,
        lag=0,
    ),
    stream(
        "funding_assets",
        e.FUNDING_ASSETS,
        "capture",
        "FUNDING",
        _HOLDING,
        rows=bare,
        key=by("asset"),
        instant=at(),
        horizon=3,
        lag=0,
    ),
    stream(
        "flexible_positions",
        e.FLEXIBLE_POSITIONS,
        "capture",
        "EARN",
        "totalAmount tierAnnualPercentageRate latestAnnualPercentageRate yesterdayAirdropPercentageRate asset "
        "airDropAsset canRedeem collateralAmount productId yesterdayRealTimeRewards cumulativeBonusRewards "
        "cumulativeRealTimeRewards cumulativeTotalRewards autoSubscribe",
        rows=under("rows"),
        key=by("productId", "asset"),
        instant=at(),
        product="earn",
        paging=pages(100),
        horizon=3,
        lag=0,
    ),
    stream(
        "locked_positions",
        e.LOCKED_POSITIONS,
        "capture",
        "EARN",
        "positionId parentPositionId projectId asset amount purchaseTime duration accrualDays rewardAsset APY "
        "rewardAmt extraRewardAsset extraRewardAPR estExtraRewardAmt boostRewardAsset boostApr totalBoostRewardAmt "
        "nextPay nextPayDate payPeriod redeemAmountEarly rewardsEndDate deliverDate redeemPeriod redeemingAmt "
        "redeemTo partialAmtDeliverDate canRedeemEarly canFastRedemption autoSubscribe type status canReStake",
        rows=under("rows"),
        key=by("positionId"),
        instant=at(),
        product="earn",
        paging=pages(100),
        horizon=3,
        lag=0,
    ),
    stream(
        "onchain_positions",
        e.ONCHAIN_POSITIONS,
        "capture",
        "EARN",
        "positionId projectId asset amount purchaseTime duration accrualDays rewardAsset APY rewardAmt nextPay "
        "nextPayDate payPeriod rewardsPayDate rewardsEndDate deliverDate nextSubscriptionDate redeemingAmt redeemTo "
        "canRedeemEarly autoSubscribe type status",
        rows=under("rows"),
        key=by("positionId"),
        instant=at(),
        product="earn",
        paging=pages(100),
        horizon=3,
        lag=0,
    ),
    stream(
        "margin_account",
        e.MARGIN_ACCOUNT,
        "capture",
        "MARGIN",
        _MARGIN_TOTALS,
        rows=whole,
        key=content_key,
        instant=at(),
        product="margin",
        horizon=3,
        lag=0,
    ),
    stream(
        "isolated_account",
        e.ISOLATED_ACCOUNT,
        "capture",
        "ISOLATED_MARGIN",
        "baseAsset quoteAsset symbol isolatedCreated enabled marginLevel marginLevelStatus marginRatio indexPrice "
        "liquidatePrice liquidateRate tradeEnabled",
        rows=under("assets"),
        key=by("symbol"),
        instant=at(),
        product="margin",
        horizon=3,
        lag=0,
    ),
    stream(
        "futures_balance",
        e.FUTURES_BALANCE,
        "capture",
        "FUTURES",
        "accountAlias asset balance crossWalletBalance crossUnPnl availableBalance maxWithdrawAmount marginAvailable "
        "updateTime",
        rows=bare,
        key=by("asset"),
        instant=at("updateTime"),
        product="futures",
        horizon=3,
        lag=0,
    ),
    stream(
        "futures_coin_balance",
        e.FUTURES_COIN_BALANCE,
        "capture",
        "FUTURES_COIN",
        "accountAlias asset balance withdrawAvailable crossWalletBalance crossUnPnl availableBalance updateTime",
        rows=bare,
        key=by("asset"),
        instant=at("updateTime"),
        product="futures_coin",
        horizon=3,
        lag=0,
    ),
    stream(
        "option_account",
        e.OPTION_ACCOUNT,
        "capture",
        "OPTION",
        "asset greek time canTrade canDeposit canWithdraw reduceOnly tradeGroupId",
        rows=whole,
        key=content_key,
        instant=at("time"),
        product="option",
        horizon=3,
        lag=0,
    ),
    stream(
        "portfolio_margin_balance",
        e.PM_BALANCE,
        "capture",
        "PORTFOLIO_MARGIN",
        "asset totalWalletBalance crossMarginAsset crossMarginBorrowed crossMarginFree crossMarginInterest "
        "crossMarginLocked umWalletBalance umUnrealizedPNL cmWalletBalance cmUnrealizedPNL updateTime negativeBalance "
        "optionWalletBalance optionEquity",
        rows=bare,
        key=by("asset"),
        instant=at("updateTime"),
        product="portfolio_margin",
        horizon=3,
        lag=0,
    ),
    stream(
        "sub_assets",
        e.SUB_ASSETS,
        "capture",
        "SPOT",
        _HOLDING,
        rows=under("balances"),
        key=by("asset"),
        instant=at(),
        calls=keyless_subs,
        by_master=True,
        horizon=3,
        lag=0,
    ),
    stream(
        "sub_margin_account",
        e.SUB_MARGIN_ACCOUNT,
        "capture",
        "MARGIN",
        "email marginLevel totalAssetOfBtc totalLiabilityOfBtc totalNetAssetOfBtc marginTradeCoeffVo "
        "marginUserAssetVoList",
        rows=whole,
        key=by("email"),
        instant=at(),
        calls=keyless_subs,
        by_master=True,
        horizon=3,
        lag=0,
    ),
    stream(
        "sub_futures_account",
        e.SUB_FUTURES_ACCOUNT,
        "capture",
        "FUTURES",
        "futureAccountResp deliveryAccountResp",
        rows=whole,
        key=content_key,
        instant=at(),
        calls=lambda facts: _futures_of_keyless(facts, "1"),
        by_master=True,
        horizon=3,
        lag=0,
    ),
    stream(
        "sub_futures_coin_account",
        e.SUB_FUTURES_ACCOUNT,
        "capture",
        "FUTURES_COIN",
        "futureAccountResp deliveryAccountResp",
        rows=whole,
        key=content_key,
        instant=at(),
        calls=lambda facts: _futures_of_keyless(facts, "2"),
        by_master=True,
        horizon=3,
        lag=0,
    ),
)

MANAGED: tuple[Stream, ...] = (
    stream(
        "managed_snapshots",
        e.MANAGED_SNAPSHOT,
        "snapshot",
        "SPOT MARGIN FUTURES",
        _SNAPSHOT,
        rows=under("snapshotVos"),
        key=_by_call("email", "type"),
        instant=at("updateTime"),
        calls=_managed_snapshots,
        by_master=True,
        window=span(29, reach=30),
        paging=Paging("none", 30, "limit"),
        horizon=3,
        lag=_UNTIL_NOON,
        pending=closes_no_day,
        says=balances_said,
    ),
)

BALANCES: tuple[Stream, ...] = (*SNAPSHOTS, *MANAGED, *CAPTURES)
