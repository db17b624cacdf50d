"""Streams of the spot and funding wallets: deposits, withdrawals, trades, conversions, payments and income."""

from __future__ import annotations

from collections.abc import Sequence

from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.streams.shapes import (
    as_asked,
    at,
    bare,
    by,
    by_content,
    content_key,
    details_of,
    for_each,
    halves,
    once,
    pages,
    span,
    stream,
    under,
    while_in,
)
from recon_pipeline.venues.streams import EQUAL_ROWS, AccountFacts, Call, Content, Paging, Stream, Window

TRADE = (
    "symbol id orderId orderListId price qty quoteQty commission commissionAsset time isBuyer isMaker isBestMatch "
    "isIsolated"
)
DEPOSIT = (
    "id amount coin network status address addressTag txId insertTime completeTime transferType confirmTimes "
    "unlockConfirm walletType travelRuleStatus sourceAddress"
)
_SINCE = Window("startTime", "", span(3_650).longest)
"""Asked from a start alone, oldest first; then from the id after the last one, so that no millisecond is cut in two."""
_BY_ID = Paging("from_id", 1_000, "limit", "fromId")
_BY_OFFSET = Paging("offset", 1_000, "limit", "offset")
_FIAT = ("beginTime", "endTime")
_WITH_SOURCE = {"includeSource": "true"}
"""Without it no deposit says from where it came."""
_CONVERTING = ("INIT", "PROCESS", "ACCEPT_SUCCESS")


def keyless_subs(facts: AccountFacts) -> Sequence[Call]:
    """One call for each sub-account of which only the master's key can tell."""
    return [{"email": email} for email in facts.extras.get("subs_without_key", ())]


def _mining_users(facts: AccountFacts) -> Sequence[Call]:
    """`mining_users` in recon.yaml are texts like sha256:worker."""
    users = [user.partition(":") for user in facts.extras.get("mining_users", ())]
    return [{"algo": algo, "userName": name} for algo, _, name in users]


def _mining_algorithms(facts: AccountFacts) -> Sequence[Call]:
    of_users = {user.partition(":")[0] for user in facts.extras.get("mining_users", ())}
    algorithms = sorted(of_users | set(facts.extras.get("mining_algorithms", ())))
    return [{"algo": algorithm} for algorithm in algorithms]


IN_AND_OUT: tuple[Stream, ...] = (
    stream(
        "deposits",
        e.DEPOSITS,
        "flow",
        "SPOT FUNDING",
        DEPOSIT,
        rows=bare,
        key=by("id"),
        instant=at("insertTime"),
        calls=once("spot", _WITH_SOURCE),
        window=span(90, below=True),
        paging=_BY_OFFSET,
        pending=while_in("status", 0, 6, 8),
    ),
    stream(
        "sub_deposits",
        e.SUB_DEPOSITS,
        "flow",
        "SPOT FUNDING",
        DEPOSIT,
        rows=bare,
        key=by("email", "id"),
        instant=at("insertTime"),
        calls=lambda facts: [{**call, **_WITH_SOURCE} for call in keyless_subs(facts)],
        by_master=True,
        window=span(90, below=True),
        paging=_BY_OFFSET,
        pending=while_in("status", 0, 6, 8),
    ),
    stream(
        "withdrawals",
        e.WITHDRAWALS,
        "flow",
        "SPOT FUNDING",
        "id amount transactionFee coin status address addressTag txId applyTime network transferType withdrawOrderId "
        "info confirmNo walletType txKey completeTime",
        rows=bare,
        key=by("id"),
        instant=at("applyTime"),
        window=span(90, below=True),
        paging=_BY_OFFSET,
        pending=while_in("status", 0, 2, 4),
    ),
    stream(
        "fiat_orders",
        e.FIAT_ORDERS,
        "flow",
        "SPOT FUNDING",
        "orderNo fiatCurrency indicatedAmount amount totalFee method status createTime updateTime",
        rows=under("data", may_be_absent=True),
        key=by("orderNo"),
        instant=at("createTime"),
        calls=once("spot", {"transactionType": "0"}, {"transactionType": "1"}),
        window=span(30, names=_FIAT),
        paging=pages(500, "page", "rows"),
        pending=while_in("status", "Processing", "Refunding"),
    ),
    stream(
        "pay",
        e.PAY,
        "flow",
        "SPOT FUNDING EARN",
        "orderType transactionId transactionTime amount currency walletType walletTypes fundsDetail payerInfo "
        "receiverInfo orderId note counterpartyId",
        rows=under("data", may_be_absent=True),
        key=by("orderType", "transactionId"),
        instant=at("transactionTime"),
        window=span(90, reach=540),
        paging=halves(100),
    ),
    stream(
        "c2c",
        e.C2C,
        "flow",
        "FUNDING",
        "orderNumber advNo tradeType asset fiat fiatSymbol amount totalPrice unitPrice orderStatus createTime "
        "commission counterPartNickName payMethodName additionalKycVerify takerCommissionRate takerCommission "
        "takerAmount advertisementRole",
        rows=under("data", may_be_absent=True),
        key=by("orderNumber"),
        instant=at("createTime"),
        calls=once("spot", {"tradeType": "BUY"}, {"tradeType": "SELL"}),
        window=span(30, reach=180, names=("startTimestamp", "endTimestamp")),
        paging=pages(100, "page", "rows"),
        pending=while_in("orderStatus", "PENDING", "TRADING", "BUYER_PAYED", "DISTRIBUTING", "IN_APPEAL"),
    ),
)


LISTING = "listing"
"""Beside what was asked for: since when a market is listed again, of the trades of one that had left the list."""
SOLD = ":sell"
"""How the key of a sale ends: of a trade with oneself both sides are told under one id."""


def _by_side(call: Call, content: Content) -> str:
    """The id is the match's: of a trade with oneself both sides are told under it."""
    name = by("symbol", "id")(call, content)
    return name + SOLD if content.get("isBuyer") is False and not name.startswith(EQUAL_ROWS) else name


TRADES: tuple[Stream, ...] = (
    stream(
        "spot_trades",
        e.MY_TRADES,
        "flow",
        "SPOT",
        TRADE,
        rows=bare,
        key=_by_side,
        instant=at("time"),
        calls=as_asked,
        window=_SINCE,
        paging=_BY_ID,
        horizon=7,
        lag=10,
    ),
    stream(
        "allocations",
        e.MY_ALLOCATIONS,
        "flow",
        "SPOT",
        "symbol allocationId allocationType orderId orderListId price qty quoteQty commission commissionAsset time "
        "isBuyer isMaker isAllocator",
        rows=bare,
        key=by("symbol", "allocationId"),
        instant=at("time"),
        calls=as_asked,
        window=_SINCE,
        paging=Paging("from_id", 1_000, "limit", "fromAllocationId"),
        horizon=7,
        lag=10,
    ),
    stream(
        "prevented_matches",
        e.MY_PREVENTED_MATCHES,
        "detail",
        "SPOT",
        "symbol preventedMatchId takerOrderId makerSymbol makerOrderId tradeGroupId selfTradePreventionMode price "
        "makerPreventedQuantity takerPreventedQuantity transactTime",
        rows=bare,
        key=by("symbol", "preventedMatchId"),
        instant=at("transactTime"),
        calls=as_asked,
        paging=Paging("from_id", 500, "limit", "fromPreventedMatchId"),
        horizon=7,
        lag=10,
    ),
    stream(
        "spot_orders",
        e.ALL_ORDERS,
        "detail",
        "SPOT",
        "symbol orderId orderListId clientOrderId price origQty executedQty cummulativeQuoteQty status timeInForce "
        "type side stopPrice icebergQty time updateTime isWorking workingTime origQuoteOrderQty "
        "selfTradePreventionMode preventedMatchId preventedQuantity pegPriceType pegOffsetType pegOffsetValue "
        "peggedPrice strategyId strategyType trailingDelta trailingTime usedSor workingFloor expiryReason",
        rows=bare,
        key=by("symbol", "orderId"),
        instant=at("time"),
        calls=details_of("spot"),
        window=span(1),
        paging=halves(1_000),
        horizon=7,
        lag=10,
    ),
    stream(
        "converts",
        e.CONVERTS,
        "flow",
        "SPOT FUNDING EARN",
        "quoteId orderId orderStatus fromAsset fromAmount toAsset toAmount ratio inverseRatio createTime side "
        "expiredTimestamp orderType",
        rows=under("list"),
        key=by("orderId"),
        instant=at("createTime"),
        window=span(30),
        paging=halves(1_000),
        lag=10,
        pending=while_in("orderStatus", *_CONVERTING),
    ),
    stream(
        "convert_transfers",
        e.CONVERT_TRANSFERS,
        "flow",
        "SPOT",
        "tranId type time deductedAsset deductedAmount targetAsset targetAmount status accountType",
        rows=under("rows"),
        key=by("tranId"),
        instant=at("time"),
        window=span(30),
        paging=pages(100),
        lag=10,
        pending=while_in("status", "P", "PROCESS", "PENDING"),
        is_verified=False,
    ),
    stream(
        "auto_invest",
        e.AUTO_INVEST,
        "flow",
        "SPOT FUNDING EARN",
        "id targetAsset planType planName planId transactionDateTime transactionStatus failedType sourceAsset "
        "sourceAssetAmount targetAssetAmount sourceWallet flexibleUsed transactionFee transactionFeeUnit "
        "executionPrice executionType subscriptionCycle",
        rows=under("list"),
        key=by("id"),
        instant=at("transactionDateTime"),
        window=span(30),
        paging=pages(100),
        pending=while_in("transactionStatus", *_CONVERTING),
        is_verified=False,
    ),
    stream(
        "dust",
        e.DUST,
        "flow",
        "SPOT",
        "operateTime totalTransferedAmount totalServiceChargeAmount transId userAssetDribbletDetails",
        rows=under("userAssetDribblets"),
        key=by("transId"),
        instant=at("operateTime"),
        calls=once("spot", {"accountType": "SPOT"}),
        last=100,
        lag=10,
    ),
    stream(
        "fiat_payments",
        e.FIAT_PAYMENTS,
        "flow",
        "SPOT FUNDING",
        "orderNo sourceAmount fiatCurrency obtainAmount cryptoCurrency totalFee price status paymentMethod "
        "createTime updateTime",
        rows=under("data", may_be_absent=True),
        key=by("orderNo"),
        instant=at("createTime"),
        calls=once("spot", {"transactionType": "0"}, {"transactionType": "1"}),
        window=span(30, names=_FIAT),
        paging=pages(500, "page", "rows"),
        pending=while_in("status", "Processing", "Refunding"),
    ),
    stream(
        "equity_orders",
        e.EQUITY_ORDERS,
        "flow",
        "SPOT",
        "orderId clientOrderId symbol quote side orderType limitPrice avgFilledPrice qty notional filledQty "
        "filledTotal fee session status createdAt updatedAt",
        rows=under("rows"),
        key=by("orderId"),
        instant=at("createdAt"),
        window=span(30),
        paging=pages(100),
        pending=while_in("status", "NEW", "OPEN", "PENDING", "PARTIALLY_FILLED"),
    ),
    stream(
        "equity_trades",
        e.EQUITY_TRADES,
        "flow",
        "SPOT",
        "executionId orderId symbol quote side orderType price qty total executionAt updatedAt",
        rows=under("rows"),
        key=by("executionId"),
        instant=at("executionAt"),
        window=span(30),
        paging=pages(100),
    ),
    stream(
        "equity_tokens",
        e.EQUITY_TOKENS,
        "flow",
        "SPOT",
        "underlyingAsset underlyingAssetAmount tokenizedAsset tokenizedAssetAmount issuerRequestId convertType status "
        "createdAt updatedAt",
        rows=under("rows"),
        key=by("issuerRequestId"),
        instant=at("createdAt"),
        window=span(30),
        paging=halves(100, "size"),
        pending=while_in("status", "P", "PENDING"),
    ),
    stream(
        "spot_algo_orders",
        e.SPOT_ALGO_ORDERS,
        "detail",
        "",
        "algoId symbol side totalQty executedQty executedAmt avgPrice clientAlgoId bookTime endTime algoStatus "
        "algoType urgency",
        rows=under("orders"),
        key=by("algoId"),
        instant=at("bookTime"),
        window=span(30),
        paging=pages(100, "page", "pageSize"),
    ),
    stream(
        "spot_algo_sub_orders",
        e.SPOT_ALGO_SUB_ORDERS,
        "detail",
        "",
        "algoId orderId orderStatus executedQty executedAmt feeAmt feeAsset bookTime avgPrice side symbol subId "
        "timeInForce origQty",
        rows=under("subOrders"),
        key=by("algoId", "subId"),
        instant=at("bookTime"),
        calls=for_each("algo_ids", "algoId", "spot"),
        paging=pages(100, "page", "pageSize"),
        pending=while_in("orderStatus", "NEW", "PARTIALLY_FILLED"),
    ),
)

INCOME: tuple[Stream, ...] = (
    stream(
        "dividends",
        e.DIVIDENDS,
        "flow",
        "SPOT",
        "id amount asset divTime enInfo tranId direction",
        rows=under("rows"),
        key=by("id", "asset", "divTime"),
        instant=at("divTime"),
        window=span(180),
        paging=halves(500),
    ),
    stream(
        "rebates",
        e.REBATES,
        "flow",
        "SPOT",
        "asset type amount updateTime",
        rows=under("data", "data"),
        key=content_key,
        instant=at("updateTime"),
        window=span(30),
        paging=pages(200, "page", None),
    ),
    stream(
        "cloud_mining",
        e.CLOUD_MINING,
        "flow",
        "SPOT FUNDING",
        "createTime tranId type asset amount status",
        rows=under("rows"),
        key=by("tranId", "type"),
        instant=at("createTime"),
        window=span(30, is_end_exclusive=True),
        paging=pages(100),
        pending=while_in("status", "P"),
    ),
    stream(
        "mining_earnings",
        e.MINING_EARNINGS,
        "flow",
        "FUNDING",
        "time type hashTransfer transferAmount dayHashRate profitAmount coinName status",
        rows=under("data", "accountProfits"),
        key=by_content("algo", "userName", "time", "type", "coinName"),
        instant=at("time"),
        calls=_mining_users,
        needs="mining_users",
        window=span(30, names=("startDate", "endDate")),
        paging=pages(200, "pageIndex", "pageSize"),
        pending=while_in("status", 0, 1),
    ),
    stream(
        "mining_bonuses",
        e.MINING_BONUSES,
        "flow",
        "FUNDING",
        "time coinName type profitAmount status",
        rows=under("data", "otherProfits"),
        key=by_content("algo", "userName", "time", "type", "coinName"),
        instant=at("time"),
        calls=_mining_users,
        needs="mining_users",
        window=span(30, names=("startDate", "endDate")),
        paging=pages(200, "pageIndex", "pageSize"),
        pending=while_in("status", 0, 1),
    ),
    stream(
        "mining_account_earnings",
        e.MINING_ACCOUNT_EARNINGS,
        "flow",
        "FUNDING",
        "time coinName type puid subName amount",
        rows=under("data", "accountProfits"),
        key=content_key,
        instant=at("time"),
        calls=_mining_algorithms,
        needs="mining_algorithms",
        window=span(30, names=("startDate", "endDate")),
        paging=pages(200, "pageIndex", "pageSize"),
    ),
    stream(
        "prediction_transfers",
        e.PREDICTION_TRANSFERS,
        "flow",
        "SPOT FUNDING",
        "transferId direction status walletAddress fromToken fromTokenAmount toToken toTokenAmount errorCode "
        "errorMessage createTime updateTime completeAt",
        rows=under("transfers"),
        key=by("transferId"),
        instant=at("createTime"),
        calls=for_each("prediction_wallets", "walletAddress", "spot"),
        needs="prediction_wallets",
        window=span(30, names=("startDate", "endDate"), unit="text"),
        paging=Paging("offset", 100, "limit", "offset"),
        pending=while_in("status", "PENDING", "PROCESSING"),
    ),
)

SPOT: tuple[Stream, ...] = (*IN_AND_OUT, *TRADES, *INCOME)
