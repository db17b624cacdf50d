"""The history lists of /sapi: their windows, pages, limits and envelopes, one by one. Facts sheet §6, §7."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from recon_pipeline.sandbox.binance.accounts import MAIN
from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.api.account import find_sub
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.api.listing import Listing, Rows, bare
from recon_pipeline.sandbox.binance.book import Content
from recon_pipeline.sandbox.binance.life import (
    capital,
    conversion,
    details,
    earn,
    fiat,
    income,
    loans,
    prediction,
    staking,
    transfers,
)
from recon_pipeline.sandbox.binance.moments import DAY_MS, day_ms

LEGACY_TYPES = (
    "MAIN_C2C", "C2C_MAIN", "MAIN_MINING", "MINING_MAIN", "MINING_UMFUTURE", "MINING_C2C", "MINING_MARGIN",
    "MARGIN_MINING", "MAIN_PAY", "PAY_MAIN", "MAIN_ISOLATED_MARGIN", "ISOLATED_MARGIN_MAIN",
)  # fmt: skip


def wrapped(name: str, **around: Any) -> Callable[[Rows, int, Call], Answer]:
    """An envelope: the rows under a name, `total`, and whatever else always stands there."""
    return lambda rows, total, call: {**around, name: rows, "total": total}


def _too_long_capital(days: int) -> refusals.Refusal:
    return refusals.Refusal(-4047, f"Time interval must be within 0-{days} days.")


def _too_long_earn(days: int) -> refusals.Refusal:
    return refusals.Refusal(-6021, "Query time range too large")


def _source_if_asked(content: Content, call: Call) -> Content:
    """A deposit says from where it came only if that is asked for."""
    if call.text("includeSource") == "true":
        return content
    return {name: value for name, value in content.items() if name != "sourceAddress"}


# Deposits and withdrawals
_CAPITAL = Listing(
    capital.DEPOSITS, page="offset", size="limit", size_default=1000, size_most=1000, default_days=90, longest_days=90,
    is_longest_excluded=True, too_long=_too_long_capital, envelope=bare,
    filters={"coin": "coin", "status": "status", "txId": "txId"},
)  # fmt: skip
DEPOSITS = replace(_CAPITAL, edit=_source_if_asked)
_WITHDRAWALS = replace(
    _CAPITAL, path=capital.WITHDRAWALS,
    filters={"coin": "coin", "status": "status", "withdrawOrderId": "withdrawOrderId"},
)  # fmt: skip


def withdrawals(call: Call) -> Answer:
    """`capital/withdraw/history`: by id of the venue or of one's own, or by time."""
    wanted = (call.text("idList") or "").split(",")
    if len(wanted) > 45:
        raise refusals.too_large("idList", 45)
    listing = _WITHDRAWALS
    if call.text("withdrawOrderId"):
        listing = replace(listing, default_days=7, longest_days=7)
    if wanted != [""]:
        listing = replace(listing, edit=lambda content, _: content if content["id"] in wanted else None)
    return listing(call)


def sub_deposits(call: Call) -> Answer:
    """`capital/deposit/subHisrec`: a sub's deposits as the main account sees them."""
    sub = find_sub(call)

    def edit(content: Content, call: Call) -> Content:
        told = _source_if_asked(content, call)
        return {name: value for name, value in told.items() if name not in ("completeTime", "travelRuleStatus")}

    return replace(DEPOSITS, edit=edit).answer(call, sub.email, capital.DEPOSITS)


# Transfers
_TRANSFERS = Listing(transfers.PATH, default_days=7, retention_days=180,
                     filters={"type": "type", "fromSymbol": "fromSymbol", "toSymbol": "toSymbol"})  # fmt: skip


def wallet_transfers(call: Call) -> Answer:
    """`asset/transfer`: one type at a time; the isolated ones want their symbols."""
    kind = call.need("type")
    call.one_of("type", (*transfers.TYPES, *LEGACY_TYPES))
    for name, words in (("fromSymbol", "ISOLATEDMARGIN_"), ("toSymbol", "_ISOLATEDMARGIN")):
        is_needed = kind.startswith(words) if name == "fromSymbol" else kind.endswith(words)
        if is_needed:
            call.need(name)
    return _TRANSFERS(call)


def _two_parties(call: Call, fields: tuple[str, str]) -> Callable[[Content, Call], Content | None]:
    """Rows from one e-mail, or to one; from the main account if none is named."""
    source, target = call.text("fromEmail"), call.text("toEmail")
    if source is not None and target is not None:
        raise refusals.bad_combination()
    for email in (source, target):
        if email is not None and email not in call.world.accounts:
            raise refusals.Refusal(-4003, "Email address is not of this account's family.")
    name, email = (fields[1], target) if target is not None else (fields[0], source or MAIN)
    return lambda content, _: content if content[name] == email else None


_UNIVERSAL = Listing(
    transfers.UNIVERSAL, default_days=7, longest_days=7, is_longest_excluded=True,
    page="page", size="limit", size_default=500, size_most=500,
    filters={"clientTranId": "clientTranId"},
    envelope=lambda rows, total, call: {"result": rows, "totalCount": total},
)  # fmt: skip
_SPOT_ONLY = Listing(transfers.SPOT_ONLY, page="page", size="limit", size_default=500, size_most=500, envelope=bare)
_INTERNAL = Listing(
    transfers.INTERNAL, page="page", size="limit", size_default=50, size_most=500, retention_days=30, default_days=30
)
_OF_SUB = Listing(
    transfers.OF_SUB, default_days=30, page=None, size="limit", size_default=500, size_most=500, envelope=bare,
    filters={"asset": "asset"},
)  # fmt: skip


def universal_transfers(call: Call) -> Answer:
    """`sub-account/universalTransfer`."""
    return replace(_UNIVERSAL, edit=_two_parties(call, ("fromEmail", "toEmail")))(call)


def spot_transfers(call: Call) -> Answer:
    """`sub-account/sub/transfer/history`."""
    return replace(_SPOT_ONLY, edit=_two_parties(call, ("from", "to")))(call)


def futures_transfers(call: Call) -> Answer:
    """`sub-account/futures/internalTransfer`: of one sub and one kind of futures."""
    sub, kind = find_sub(call), call.one_of("futuresType", ("1", "2")) or call.need("futuresType")
    rows = _INTERNAL.answer(call, call.account.email, f"{transfers.INTERNAL} {sub.email} {kind}")["rows"]
    return {"success": True, "futuresType": int(kind), "transfers": rows}


_POSITION_MOVES = Listing(
    details.POSITION_MOVES, page="page", size="rows", retention_days=90, filters={"symbol": "symbol"},
    envelope=wrapped("futureMovePositionOrderVoList"),
)  # fmt: skip


def position_moves(call: Call) -> Answer:
    """`sub-account/futures/move-position`: of a symbol."""
    for name in ("symbol", "page", "rows"):
        call.need(name)
    return _POSITION_MOVES(call)


_DELEGATIONS = Listing(details.DELEGATIONS, needs_times=True, filters={"type": "transferType", "asset": "asset"})


def delegations(call: Call) -> Answer:
    """`asset/custody/transfer-history`: of a sub-account."""
    return _DELEGATIONS.answer(call, call.account.email, f"{details.DELEGATIONS} {find_sub(call).email}")


_PREDICTIONS = Listing(
    prediction.TRANSFERS, page="offset", size="limit", size_default=20, needs_times=True,
    filters={"walletAddress": "walletAddress", "tokenSymbol": "fromToken", "direction": "direction"},
    envelope=lambda rows, total, call: {"transfers": rows},
)  # fmt: skip


def prediction_transfers(call: Call) -> Answer:
    """`w3w/wallet/prediction/transfer/list`: of a wallet, from one date to another, both whole."""
    call.need("walletAddress")
    first, last = (_midnight_ms(call, name) for name in ("startDate", "endDate"))
    times = {"startTime": str(first), "endTime": str(last + DAY_MS - 1)}
    return _PREDICTIONS(replace(call, params={**call.params, **times}))


def _midnight_ms(call: Call, name: str) -> int:
    text = call.need(name)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise refusals.malformed(name, "yyyy-MM-dd")
    try:
        return day_ms(date.fromisoformat(text))
    except ValueError:
        raise refusals.malformed(name, "yyyy-MM-dd") from None


def sub_transfers(call: Call) -> Answer:
    """`sub-account/transfer/subUserHistory`: what left the sub, or (`type=1`) what came."""
    kind = call.one_of("type", ("1", "2"), "2")
    with_failed = (call.text("returnFailHistory") or "false").lower() == "true"

    def edit(content: Content, _: Call) -> Content | None:
        is_told = content["status"] != "FAILURE" or with_failed
        return content if str(content["type"]) == kind and is_told else None

    return replace(_OF_SUB, edit=edit)(call)


# Income
DIVIDENDS = Listing(income.DIVIDENDS, longest_days=180, page=None, size="limit", size_default=20, size_most=500,
                    filters={"asset": "asset"})  # fmt: skip
CLOUD_MINING = Listing(
    income.CLOUD_MINING, needs_times=True, is_end_exclusive=True, filters={"asset": "asset", "tranId": "tranId"}
)


def _rebate_envelope(rows: Rows, total: int, call: Call) -> Answer:
    page = call.number("page", 1)
    data = {"page": page, "totalRecords": total, "totalPageNum": -(-total // 200), "data": rows}
    return {"status": "OK", "type": "GENERAL", "code": "000000000", "data": data}


REBATES = Listing(income.REBATES, default_days=7, longest_days=30, page="page", size=None, size_default=200,
                  size_most=200, envelope=_rebate_envelope)  # fmt: skip
PAY = Listing(
    income.PAY, default_days=90, longest_days=90, retention_days=548, page=None, size="limit", size_default=100,
    envelope=lambda rows, total, call: {"code": "000000", "message": "success", "data": rows, "success": True},
)  # fmt: skip
C2C = Listing(
    income.C2C, start="startTimestamp", end="endTimestamp", default_days=30, longest_days=30, retention_days=180,
    page="page", size="rows", size_default=100, filters={"tradeType": "tradeType"},
    envelope=wrapped("data", code="000000", message="success", success=True),
)  # fmt: skip


def _mined(name: str) -> Callable[[Rows, int, Call], Answer]:
    def envelope(rows: Rows, total: int, call: Call) -> Answer:
        size = call.number("pageSize", 20)
        return {"code": 0, "msg": "", "data": {name: rows, "totalNum": total, "pageSize": size}}

    return envelope


_MINED = Listing(
    "", start="startDate", end="endDate", page="pageIndex", size="pageSize", size_default=20, size_most=200,
    filters={"coin": "coinName"},
)  # fmt: skip


def mining(path: str, name: str, needs_user: bool) -> Callable[[Call], Answer]:
    """A list of the pool: of one algorithm, and (but for the accounts' earnings) of one miner."""
    listing = replace(_MINED, path=path, envelope=_mined(name))

    def answer(call: Call) -> Answer:
        call.need("algo")
        is_known = call.account.email == MAIN and (not needs_user or call.need("userName") == income.MINER)
        return listing(call) if is_known else _mined(name)([], 0, call)

    return answer


# Conversions
def _convert_envelope(rows: Rows, total: int, call: Call) -> Answer:
    limit = call.number("limit", 100) or 100
    times = {name: call.moment_ms(name) for name in ("startTime", "endTime")}
    return {"list": rows, **times, "limit": limit, "moreData": total > limit}


CONVERTS = Listing(conversion.CONVERTS, needs_times=True, longest_days=30, page=None, size="limit", size_default=100,
                   size_most=1000, envelope=_convert_envelope)  # fmt: skip
STABLE_CONVERTS = Listing(
    conversion.STABLE_CONVERTS, needs_times=True, filters={"asset": "deductedAsset", "tranId": "tranId"}
)
AUTO_INVEST = Listing(
    conversion.AUTO_INVEST, default_days=30, longest_days=30, envelope=wrapped("list"),
    filters={"targetAsset": "targetAsset"},
)  # fmt: skip


def dust(call: Call) -> Answer:
    """`asset/dribblet`: the last hundred conversions of a wallet, and no more."""
    kind = call.one_of("accountType", ("SPOT", "MARGIN"), "SPOT")
    start, end = call.moment_ms("startTime") or 0, call.moment_ms("endTime")
    records = call.world.archive.all(call.account.email, f"{conversion.DUST} {kind}")
    told = [content for record in records if (content := record.at(call.now_us)) is not None][-100:]
    rows = [row for row in told if start <= row["operateTime"] <= (call.now_ms if end is None else end)]
    return {"total": len(rows), "userAssetDribblets": rows[::-1]}


ALGO_ORDERS = Listing(
    details.ALGO_ORDERS, page="page", size="pageSize", size_default=100, filters={"symbol": "symbol", "side": "side"},
    envelope=wrapped("orders"),
)  # fmt: skip
_ALGO_CHILDREN = Listing(
    details.ALGO_CHILDREN, page="page", size="pageSize", size_default=100, filters={"algoId": "algoId"},
    envelope=wrapped("subOrders"),
)  # fmt: skip


def algo_children(call: Call) -> Answer:
    """`algo/spot/subOrders`: what an order that was split is made of."""
    call.need("algoId")
    return _ALGO_CHILDREN(call)


def _paged(rows: Rows, total: int, call: Call) -> Answer:
    return {"total": total, "page": call.number("current", 1), "size": call.number("size", 20), "rows": rows}


EQUITY_TRADES = Listing(
    conversion.EQUITY_TRADES, needs_times=True, size_default=20, envelope=_paged,
    filters={"symbol": "symbol", "side": "side", "orderId": "orderId"},
)  # fmt: skip
EQUITY_ORDERS = replace(EQUITY_TRADES, path=conversion.EQUITY_ORDERS, filters={"symbol": "symbol", "side": "side"})


def tokenized(call: Call) -> Answer:
    """`equity/tokenized/history`: newest first, each page naming the last id from which the next goes on."""
    start, end = call.moment_ms("startTime") or 0, call.moment_ms("endTime") or call.now_ms
    last, size = call.number("lastId"), call.number("size", 20) or 20
    if size > 100:
        raise refusals.too_large("size", 100)
    records = call.world.archive.between(call.account.email, conversion.TOKENIZED, start, end)
    records = [r for r in records[::-1] if r.at(call.now_us) is not None and (last is None or r.order < last)]
    rows = [record.at(call.now_us) for record in records[:size]]
    last_told = records[min(size, len(records)) - 1].order if records else 0
    return {"rows": rows, "hasMore": len(records) > size, "nextLastId": last_told}


# Earn and staking
_EARN = Listing(
    "", default_days=30, longest_days=30, too_long=_too_long_earn,
    filters={
        "asset": "asset", "productId": "productId", "purchaseId": "purchaseId", "redeemId": "redeemId",
        "positionId": "positionId", "clientId": "clientId",
    },
)  # fmt: skip
_QUARTER = replace(_EARN, longest_days=92)
_HALF_YEAR = Listing("", default_days=30, longest_days=184, too_long=_too_long_earn, filters={"asset": "asset"})


def _rewards(content: Content, call: Call) -> Content | None:
    kind = call.one_of("type", ("BONUS", "REALTIME", "REWARDS", "ALL"), "ALL")
    return content if kind in ("ALL", content["type"]) else None


EARN = {
    path: replace(_EARN, path=path)
    for path in (earn.FLEX_IN, earn.FLEX_OUT, earn.LOCK_IN, earn.LOCK_OUT, earn.LOCK_REWARDS, earn.FLEX_COLLATERAL)
} | {earn.FLEX_REWARDS: replace(_EARN, path=earn.FLEX_REWARDS, edit=_rewards)}  # fmt: skip
TOKENS = {
    path: replace(_HALF_YEAR, path=path)
    for name in earn.TOKENS
    for path in (f"/sapi/v1/{name}/history/{what}History" for what in ("subscription", "redemption", "rewards"))
}
STAKING = {
    path: replace(_QUARTER, path=path)
    for path in (staking.ETH_IN, staking.ETH_OUT, staking.WRAPS, staking.UNWRAPS, staking.SOL_IN, staking.SOL_OUT)
} | {
    path: replace(_QUARTER, path=path, envelope=wrapped("rows", **{f"estRewardsIn{coin}": "1.23230920"}))
    for path, coin in ((staking.ETH_REWARDS, "ETH"), (staking.SOL_REWARDS, "SOL"))
}
CHAIN = {path: replace(_QUARTER, path=path) for path in (earn.CHAIN_IN, earn.CHAIN_OUT, earn.CHAIN_REWARDS)}
SOFT = replace(_QUARTER, path=earn.SOFT_REWARDS)


def boosts(call: Call) -> Answer:
    """`sol-staking/sol/history/boostRewardsHistory`: claimed, or distributed."""
    kind = call.one_of("type", ("CLAIM", "DISTRIBUTE")) or call.need("type")
    return _QUARTER.answer(call, call.account.email, f"{staking.SOL_BOOST} {kind}")


def positions(path: str) -> Callable[[Call], Answer]:
    """What is held in a locked product right now."""
    listing = replace(
        _EARN, path=path, default_days=None, longest_days=None,
        filters={"asset": "asset", "positionId": "positionId", "projectId": "projectId"},
    )  # fmt: skip
    return lambda call: listing.answer(replace(call, params=_without_times(call)), call.account.email, path)


def _without_times(call: Call) -> dict[str, str]:
    return {name: value for name, value in call.params.items() if name not in ("startTime", "endTime")}


DUAL = Listing(staking.DUAL, page="pageIndex", size="pageSize", filters={"status": "purchaseStatus"},
               envelope=wrapped("list"))  # fmt: skip

# Fiat
_FIAT = Listing(
    "", start="beginTime", end="endTime", default_days=30, page="page", size="rows", size_default=100, size_most=500
)


def fiat_orders(call: Call) -> Answer:
    """`fiat/orders`: deposits (0) or withdrawals (1)."""
    kind = call.one_of("transactionType", ("0", "1")) or call.need("transactionType")
    listing = replace(_FIAT, envelope=wrapped("data", code="000000", message="success", success=True))
    return listing.answer(call, call.account.email, f"{fiat.ORDERS} {kind}")


def fiat_payments(call: Call) -> Answer:
    """`fiat/payments`: bought (0) or sold (1); without records there is no `data`."""
    kind = call.one_of("transactionType", ("0", "1")) or call.need("transactionType")
    listing = replace(_FIAT, envelope=wrapped("data", code="000000", message="success", success=True))
    told = listing.answer(call, call.account.email, f"{fiat.PAYMENTS} {kind}")
    return told if told["data"] else {name: value for name, value in told.items() if name != "data"}


# Loans
LOAN_INCOME = Listing(loans.INCOME, default_days=7, longest_days=30, page=None, size="limit", size_default=20,
                      envelope=bare, filters={"asset": "asset", "type": "type"})  # fmt: skip
_LOANS = Listing(
    "", default_days=90, longest_days=180, size="limit",
    filters={"loanCoin": "loanCoin", "collateralCoin": "collateralCoin", "orderId": "orderId"},
)  # fmt: skip
LOANS = {
    path: replace(_LOANS, path=path)
    for path in (loans.BORROWED, loans.REPAID, loans.ADJUSTED, loans.LIQUIDATED, loans.VIP_REPAID)
}
VIP_INTEREST = replace(_LOANS, path=loans.VIP_INTEREST, longest_days=90)


def vip_ongoing(call: Call) -> Answer:
    """`loan/vip/ongoing/orders`: whatever is owed, since when ever."""
    listing = replace(_LOANS, path=loans.VIP_ONGOING, default_days=None, longest_days=None)
    return listing(replace(call, params=_without_times(call)))


def nothing(**told: Any) -> Callable[[Call], Answer]:
    """An empty list: business that no world knows."""
    return lambda call: dict(told) if told else {"rows": [], "total": 0}
