"""Streams of products of yield: savings, staked and minted tokens, dual investment."""

from __future__ import annotations

from collections.abc import Sequence

from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.streams.shapes import (
    Pending,
    at,
    by,
    by_content,
    content_key,
    never,
    once,
    pages,
    span,
    stream,
    under,
    while_in,
)
from recon_pipeline.venues.streams import Call, Content, Role, Stream

_MONTH, _QUARTER, _HALF_YEAR = span(30), span(89), span(180)
LOCK_MAX_DAYS = 120
"""The longest that money is locked for: a redemption is filed under `time` and paid on `deliverDate`."""
UNSTAKING_MAX_DAYS = 60
"""A network's queue of leaving stakes, which no page bounds: filed under `time`, paid at `arrivalTime`."""
_RUNNING = while_in("status", "PENDING", "PURCHASING", "PROCESSING", "REDEEMING", "CREATED")


def _is_redeeming(content: Content) -> bool:
    """A redemption that was asked for and not paid."""
    return _RUNNING(content) or content.get("isComplete") is False


def _earn(
    name: str,
    endpoint: Endpoint,
    role: Role,
    wallets: str,
    known: str,
    *key: str,
    days: int = 30,
    pending: Pending = never,
    asked: Sequence[Call] = ({},),
    has_id: bool = True,
    settles: int = 0,
) -> Stream:
    """A history of simple earn or staking: pages of 100 over a span of time, filtered by `time`."""
    return stream(
        name,
        endpoint,
        role,
        wallets,
        known,
        rows=under("rows"),
        key=(by if has_id else by_content)(*key) if key else content_key,
        instant=at("time", "createTime"),
        product="earn",
        calls=once("earn", *asked),
        window={30: _MONTH, 89: _QUARTER, 180: _HALF_YEAR}[days],
        paging=pages(100),
        settles=settles,
        pending=pending,
    )


_BOUGHT = "amount asset time purchaseId type sourceAccount amtFromSpot amtFromFunding status"
_LOCKED = f"{_BOUGHT} positionId projectId lockPeriod"
_REDEEMED = (
    "positionId redeemId time asset lockPeriod amount originalAmount type deliverDate lossAmount isComplete "
    "rewardAsset rewardAmt extraRewardAsset estExtraRewardAmt status"
)
_SWAPPED = "time arrivalTime asset amount distributeAsset distributeAmount conversionRatio exchangeRate status"
_WRAPPED = "time fromAsset fromAmount toAsset toAmount exchangeRate status"
_MINTED = "time asset amount receiveAsset receiveAmount status"
_BURNT = f"{_MINTED} fee arrivalTime"

SAVINGS: tuple[Stream, ...] = (
    _earn(
        "flexible_subscriptions",
        e.FLEXIBLE_SUBSCRIPTIONS,
        "flow",
        "SPOT FUNDING EARN",
        f"{_BOUGHT} productId",
        "purchaseId",
        pending=_RUNNING,
    ),
    _earn(
        "flexible_redemptions",
        e.FLEXIBLE_REDEMPTIONS,
        "flow",
        "SPOT FUNDING EARN",
        "amount asset time projectId productId redeemId destAccount status",
        "redeemId",
        pending=_RUNNING,
    ),
    _earn(
        "flexible_rewards",
        e.FLEXIBLE_REWARDS,
        "flow",
        "EARN SPOT",
        "asset rewards projectId productId type time",
        asked=({"type": "ALL"},),
    ),
    _earn(
        "flexible_collateral",
        e.FLEXIBLE_COLLATERAL,
        "detail",
        "",
        "amount productId asset createTime type productName orderId",
        "orderId",
        "type",
    ),
    _earn(
        "locked_subscriptions",
        e.LOCKED_SUBSCRIPTIONS,
        "flow",
        "SPOT FUNDING EARN",
        _LOCKED,
        "purchaseId",
        pending=_RUNNING,
    ),
    _earn(
        "locked_redemptions",
        e.LOCKED_REDEMPTIONS,
        "flow",
        "SPOT FUNDING EARN",
        _REDEEMED,
        "redeemId",
        settles=LOCK_MAX_DAYS,
        pending=_is_redeeming,
    ),
    _earn("locked_rewards", e.LOCKED_REWARDS, "detail", "", "positionId time asset lockPeriod amount type"),
    _earn(
        "onchain_subscriptions",
        e.ONCHAIN_SUBSCRIPTIONS,
        "flow",
        "SPOT FUNDING EARN",
        f"{_LOCKED} clientId",
        "purchaseId",
        days=89,
        pending=_RUNNING,
    ),
    _earn(
        "onchain_redemptions",
        e.ONCHAIN_REDEMPTIONS,
        "flow",
        "SPOT FUNDING EARN",
        _REDEEMED,
        "redeemId",
        days=89,
        settles=LOCK_MAX_DAYS,
        pending=_is_redeeming,
    ),
    _earn("onchain_rewards", e.ONCHAIN_REWARDS, "detail", "", "positionId time asset lockPeriod amount type", days=89),
    _earn(
        "soft_staking_rewards",
        e.SOFT_STAKING_REWARDS,
        "detail",
        "",
        "asset rewards rewardAsset avgAmount time",
        days=89,
    ),
)

TOKENS: tuple[Stream, ...] = (
    _earn(
        "bfusd_subscriptions",
        e.BFUSD_SUBSCRIPTIONS,
        "flow",
        "SPOT",
        _MINTED,
        "time",
        "asset",
        "amount",
        has_id=False,
        days=180,
        pending=_RUNNING,
    ),
    _earn(
        "bfusd_redemptions",
        e.BFUSD_REDEMPTIONS,
        "flow",
        "SPOT",
        _BURNT,
        "time",
        "asset",
        "amount",
        has_id=False,
        days=180,
        pending=_RUNNING,
    ),
    _earn(
        "bfusd_rewards",
        e.BFUSD_REWARDS,
        "flow",
        "SPOT",
        "time rewardAsset rewardsAmount BFUSDPosition annualPercentageRate",
        days=180,
    ),
    _earn(
        "rwusd_subscriptions",
        e.RWUSD_SUBSCRIPTIONS,
        "flow",
        "SPOT",
        _MINTED,
        "time",
        "asset",
        "amount",
        has_id=False,
        days=180,
        pending=_RUNNING,
    ),
    _earn(
        "rwusd_redemptions",
        e.RWUSD_REDEMPTIONS,
        "flow",
        "SPOT",
        _BURNT,
        "time",
        "asset",
        "amount",
        has_id=False,
        days=180,
        pending=_RUNNING,
    ),
    _earn(
        "rwusd_rewards",
        e.RWUSD_REWARDS,
        "flow",
        "SPOT",
        "time rewardsAmount rewardAsset rwusdPosition annualPercentageRate",
        days=180,
    ),
    _earn(
        "eth_staking",
        e.ETH_STAKING,
        "flow",
        "SPOT",
        _SWAPPED,
        "time",
        "asset",
        "amount",
        has_id=False,
        days=89,
        pending=_RUNNING,
    ),
    _earn(
        "eth_redemptions",
        e.ETH_REDEMPTIONS,
        "flow",
        "SPOT",
        _SWAPPED,
        "time",
        "asset",
        "amount",
        has_id=False,
        days=89,
        settles=UNSTAKING_MAX_DAYS,
        pending=_RUNNING,
    ),
    _earn(
        "eth_wraps",
        e.ETH_WRAPS,
        "flow",
        "SPOT",
        _WRAPPED,
        "time",
        "fromAsset",
        "fromAmount",
        has_id=False,
        days=89,
        pending=_RUNNING,
    ),
    _earn(
        "eth_unwraps",
        e.ETH_UNWRAPS,
        "flow",
        "SPOT",
        _WRAPPED,
        "time",
        "fromAsset",
        "fromAmount",
        has_id=False,
        days=89,
        pending=_RUNNING,
    ),
    _earn(
        "eth_rewards",
        e.ETH_REWARDS,
        "detail",
        "",
        "time amountInETH holding holdingInETH annualPercentageRate",
        days=89,
    ),
    _earn(
        "sol_staking",
        e.SOL_STAKING,
        "flow",
        "SPOT",
        _SWAPPED,
        "time",
        "asset",
        "amount",
        has_id=False,
        days=89,
        pending=_RUNNING,
    ),
    _earn(
        "sol_redemptions",
        e.SOL_REDEMPTIONS,
        "flow",
        "SPOT",
        _SWAPPED,
        "time",
        "asset",
        "amount",
        has_id=False,
        days=89,
        settles=UNSTAKING_MAX_DAYS,
        pending=_RUNNING,
    ),
    _earn(
        "sol_rewards",
        e.SOL_REWARDS,
        "detail",
        "",
        "time amountInSOL holding holdingInSOL annualPercentageRate",
        days=89,
    ),
    _earn(
        "sol_boost_rewards",
        e.SOL_BOOST_REWARDS,
        "flow",
        "SPOT",
        "time token amount bnsolHolding status",
        "type",
        "time",
        "token",
        "amount",
        has_id=False,
        days=89,
        pending=_RUNNING,
        asked=({"type": "CLAIM"}, {"type": "DISTRIBUTE"}),
    ),
    stream(
        "dual_investment",
        e.DUAL_INVESTMENT,
        "flow",
        "SPOT",
        "id investCoin exercisedCoin subscriptionAmount strikePrice duration settleDate purchaseStatus apr orderId "
        "purchaseEndTime optionType autoCompoundPlan subscriptionTime",
        rows=under("list"),
        key=by("id", "orderId"),
        instant=at("subscriptionTime"),
        product="earn",
        paging=pages(100, "pageIndex", "pageSize"),
        pending=while_in("purchaseStatus", "PENDING", "PURCHASE_SUCCESS", "SETTLING", "REFUNDING"),
    ),
)

EARN: tuple[Stream, ...] = (*SAVINGS, *TOKENS)
