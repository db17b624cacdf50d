"""Balances of the wallets beside spot, as they are now: margin, futures, options, earn, portfolio margin, all."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.api.account import find_sub
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.api.wallets import flexible, margin_rows, positions_of, spot_rows
from recon_pipeline.sandbox.binance.book import Content
from recon_pipeline.sandbox.binance.life.ledgers import ISOLATED
from recon_pipeline.sandbox.binance.life.transfers import ISOLATED_SYMBOLS
from recon_pipeline.sandbox.binance.moments import DAY_MS
from recon_pipeline.sandbox.binance.money import ZERO, plain, text8
from recon_pipeline.sandbox.binance.wire import number
from recon_pipeline.sandbox.binance.world import World

_NONE = text8(ZERO)
_WALLET_NAMES = {
    "SPOT": "Spot", "FUNDING": "Funding", "MARGIN": "Cross Margin", "FUTURES": "USDⓈ-M Futures",
    "FUTURES_COIN": "COIN-M Futures", "EARN": "Earn", "OPTION": "Options",
}  # fmt: skip


def margin_account(call: Call) -> Answer:
    """`margin/account`: the cross wallet."""
    return {
        "created": True, "borrowEnabled": True, "marginLevel": "11.64405625", "collateralMarginLevel": "3.2",
        "totalAssetOfBtc": _NONE, "totalLiabilityOfBtc": _NONE, "totalNetAssetOfBtc": _NONE,
        "TotalCollateralValueInUSDT": _NONE, "totalOpenOrderLossInUSDT": _NONE, "tradeEnabled": True,
        "transferInEnabled": True, "transferOutEnabled": True, "accountType": "MARGIN_1",
        "userAssets": margin_rows(call.world, call.account, "MARGIN", call.now_us),
    }  # fmt: skip


def isolated_account(call: Call) -> Answer:
    """`margin/isolated/account`: every pair, or (at most five) that are asked for."""
    asked = call.text("symbols")
    symbols = asked.split(",") if asked else list(ISOLATED_SYMBOLS)
    if len(symbols) > 5:
        raise refusals.too_large("symbols", 5)
    told = [_isolated_pair(call, symbol) for symbol in symbols if symbol in ISOLATED_SYMBOLS]
    if asked:
        return {"assets": told}
    return {"assets": told, "totalAssetOfBtc": _NONE, "totalLiabilityOfBtc": _NONE, "totalNetAssetOfBtc": _NONE}


def _isolated_pair(call: Call, name: str) -> Content:
    symbol = call.world.market.symbols[name]
    rows = {row["asset"]: row for row in margin_rows(call.world, call.account, ISOLATED + name, call.now_us)}
    sides = {}
    for side, asset in (("baseAsset", symbol.base), ("quoteAsset", symbol.quote)):
        empty = dict.fromkeys(("borrowed", "free", "interest", "locked", "netAsset"), _NONE)
        row = rows.get(asset) or {"asset": asset, **empty}
        total = text8(Decimal(row["free"]) + Decimal(row["locked"]))
        sides[side] = {**row, "borrowEnabled": True, "netAssetOfBtc": _NONE, "repayEnabled": True, "totalAsset": total}
    return {
        **sides, "symbol": name, "isolatedCreated": True, "enabled": True, "marginLevel": "9.99000000",
        "marginLevelStatus": "EXCESSIVE", "marginRatio": "5.00000000", "indexPrice": _NONE, "liquidatePrice": _NONE,
        "liquidateRate": _NONE, "tradeEnabled": True,
    }  # fmt: skip


def futures_balance(wallet: str) -> Callable[[Call], Answer]:
    """`fapi/v3/balance` or `dapi/v1/balance`."""

    def answer(call: Call) -> Answer:
        rows = []
        for asset, amount in call.world.ledger.at(call.now_us, call.account.email, wallet).items():
            unrealised = _unrealised(call.world, call.account, wallet, asset, call.now_us)
            row: Content = {
                "accountAlias": "SgsR", "asset": asset, "balance": text8(amount), "crossWalletBalance": text8(amount),
                "crossUnPnl": text8(unrealised), "availableBalance": text8(amount),
                "updateTime": call.world.ledger.changed_us(call.now_us, call.account.email, wallet) // 1000,
            }  # fmt: skip
            if wallet == "FUTURES":
                row |= {"maxWithdrawAmount": text8(amount), "marginAvailable": True}
            else:
                row |= {"withdrawAvailable": text8(amount)}
            rows.append(row)
        return rows

    return answer


def _unrealised(world: World, account: Account, wallet: str, asset: str, at_us: int) -> Decimal:
    if wallet != "FUTURES" or asset != "USDT":
        return ZERO
    return sum((Decimal(row["unRealizedProfit"]) for row in positions_of(world, account, at_us)), ZERO)


def futures_account(wallet: str) -> Callable[[Call], Answer]:
    """`fapi/v3/account` or `dapi/v1/account`."""

    def answer(call: Call) -> Answer:
        return {"assets": account_assets(call, call.account, wallet), "positions": _positions(call, wallet),
                "canDeposit": True, "canTrade": True, "canWithdraw": True, "feeTier": 0, "updateTime": 0}  # fmt: skip

    return answer


def _positions(call: Call, wallet: str) -> list[Content]:
    held = positions_of(call.world, call.account, call.now_us) if wallet == "FUTURES" else []
    return [
        {"symbol": row["symbol"], "positionSide": "BOTH", "positionAmt": row["positionAmt"],
         "unrealizedProfit": row["unRealizedProfit"], "isolatedMargin": _NONE, "notional": "0", "isolatedWallet": "0",
         "initialMargin": "0", "maintMargin": "0", "updateTime": 0}
        for row in held
    ]  # fmt: skip


def account_assets(call: Call, account: Account, wallet: str) -> list[Content]:
    """The assets of a futures account."""
    rows = []
    for asset, amount in call.world.ledger.at(call.now_us, account.email, wallet).items():
        unrealised = _unrealised(call.world, account, wallet, asset, call.now_us)
        rows.append({
            "asset": asset, "walletBalance": text8(amount), "unrealizedProfit": text8(unrealised),
            "marginBalance": text8(amount + unrealised), "maintMargin": _NONE, "initialMargin": _NONE,
            "positionInitialMargin": _NONE, "openOrderInitialMargin": _NONE, "crossWalletBalance": text8(amount),
            "crossUnPnl": text8(unrealised), "availableBalance": text8(amount), "maxWithdrawAmount": text8(amount),
            "updateTime": call.world.ledger.changed_us(call.now_us, account.email, wallet) // 1000,
        })  # fmt: skip
    return rows


def option_account(call: Call) -> Answer:
    """`eapi/v1/marginAccount`: marginBalance is what is there, equity is with what is not realised."""
    rows = []
    for asset, amount in call.world.ledger.at(call.now_us, call.account.email, "OPTION").items():
        unrealised = Decimal("-5.00138000")
        rows.append({
            "asset": asset, "marginBalance": plain(amount), "equity": plain(amount + unrealised),
            "available": plain(amount), "initialMargin": "0", "maintMargin": "0", "unrealizedPNL": plain(unrealised),
            "adjustedEquity": plain(amount + unrealised),
        })  # fmt: skip
    return {"asset": rows, "greek": [], "time": call.now_ms, "canTrade": True, "canDeposit": True, "canWithdraw": True,
            "reduceOnly": False, "tradeGroupId": -1}  # fmt: skip


def portfolio_balance(call: Call) -> Answer:
    """`papi/v1/balance`: of every asset, or of one."""
    email, rows = call.account.email, []
    at = partial(call.world.ledger.at, call.now_us, email, "PORTFOLIO_MARGIN")
    loans, interest = at("loan"), at("interest")
    for asset, amount in at().items():
        rows.append({
            "asset": asset, "totalWalletBalance": text8(amount), "crossMarginAsset": text8(amount),
            "crossMarginBorrowed": text8(loans.get(asset, ZERO)), "crossMarginFree": text8(amount),
            "crossMarginInterest": text8(interest.get(asset, ZERO)), "crossMarginLocked": _NONE,
            "umWalletBalance": _NONE, "umUnrealizedPNL": _NONE, "cmWalletBalance": _NONE, "cmUnrealizedPNL": _NONE,
            "updateTime": call.world.ledger.changed_us(call.now_us, email, "PORTFOLIO_MARGIN") // 1000,
            "negativeBalance": "0",
        })  # fmt: skip
    asset_asked = call.text("asset")
    return next((row for row in rows if row["asset"] == asset_asked), {}) if asset_asked else rows


def flexible_positions(call: Call) -> Answer:
    """`simple-earn/flexible/position`: one row for each asset."""
    rows = []
    for asset, amount in flexible(call.world, call.account, call.now_us).items():
        if call.text("asset", asset) == asset and call.text("productId", f"{asset}001") == f"{asset}001":
            rows.append({
                "totalAmount": text8(amount), "tierAnnualPercentageRate": {},
                "latestAnnualPercentageRate": "0.02599895",
                "asset": asset, "canRedeem": True, "collateralAmount": "0", "productId": f"{asset}001",
                "yesterdayRealTimeRewards": "0", "cumulativeBonusRewards": "0", "cumulativeRealTimeRewards": "0",
                "cumulativeTotalRewards": "0", "autoSubscribe": True,
            })  # fmt: skip
    page, size = call.number("current", 1) or 1, call.number("size", 10) or 10
    if size > 100:
        raise refusals.too_large("size", 100)
    return {"rows": rows[(page - 1) * size : page * size], "total": len(rows)}


def every_wallet(call: Call) -> Answer:
    """`asset/wallet/balance`: every wallet at once, by asset if that is asked for."""
    rows = []
    for wallet, name in _WALLET_NAMES.items():
        held = call.world.ledger.at(call.now_us, call.account.email, wallet)
        row: Content = {"activate": True, "balance": "0", "walletName": name}
        if (call.text("needBalanceDetail") or "false").lower() == "true":
            row["assetBalances"] = [
                {"asset": asset, "assetName": asset, "free": plain(amount), "locked": "0", "freeze": "0",
                 "withdrawing": "0", "btcValuation": "0"}
                for asset, amount in held.items() if amount
            ]  # fmt: skip
        rows.append(row)
    return rows


# What the main account sees of a sub


def sub_assets(as_numbers: bool) -> Callable[[Call], Answer]:
    """`v3` or `v4/sub-account/assets`: the spot wallet of a sub; the older one states numbers."""

    def told(amount: Decimal) -> str:
        return number(amount) if as_numbers else plain(amount)

    def answer(call: Call) -> Answer:
        sub, rows = find_sub(call), []
        for row in spot_rows(call.world, sub, call.now_us):
            free, locked = told(Decimal(row["free"])), told(Decimal(row["locked"]))
            leaving = call.world.ledger.at(call.now_us, sub.email, "SPOT", "withdrawing").get(row["asset"], ZERO)
            rows.append({
                "freeze": told(ZERO), "withdrawing": told(leaving), "asset": row["asset"], "free": free,
                "locked": locked,
            })  # fmt: skip
        return {"balances": rows}

    return answer


def sub_margin(call: Call) -> Answer:
    """`sub-account/margin/account`."""
    sub = find_sub(call)
    if "margin" not in sub.products:
        raise refusals.Refusal(-3003, "Margin account does not exist.")
    bars = {"forceLiquidationBar": "1.10000000", "marginCallBar": "1.50000000", "normalBar": "2.00000000"}
    return {
        "email": sub.email, "marginLevel": "11.64405625", "totalAssetOfBtc": _NONE, "totalLiabilityOfBtc": _NONE,
        "totalNetAssetOfBtc": _NONE, "marginTradeCoeffVo": bars,
        "marginUserAssetVoList": margin_rows(call.world, sub, "MARGIN", call.now_us),
    }  # fmt: skip


def sub_futures(call: Call) -> Answer:
    """`v2/sub-account/futures/account` of a kind (1 USDⓈ-M, 2 COIN-M)."""
    sub, kind = find_sub(call), call.one_of("futuresType", ("1", "2")) or call.need("futuresType")
    wallet, name, product = {
        "1": ("FUTURES", "futureAccountResp", "futures"), "2": ("FUTURES_COIN", "deliveryAccountResp", "futures_coin"),
    }[kind]  # fmt: skip
    if product not in sub.products:
        raise refusals.rejected_key()
    return {name: {"email": sub.email, "assets": account_assets(call, sub, wallet), "canDeposit": True,
                   "canTrade": True, "canWithdraw": True, "feeTier": 0, "updateTime": call.now_ms}}  # fmt: skip


def sub_statistics(call: Call) -> Answer:
    """`sub-account/transaction-statistics`: what a sub traded on each of the last thirty days that are over."""
    sub = find_sub(call)
    today = call.now_ms // DAY_MS
    days = range(max(today - 30, call.world.first_ms // DAY_MS), today)
    volume = partial(call.world.volume, sub.email)
    rows = [
        {"userId": sub.uid, "btc": number(volume("spot", day)), "btcFutures": number(volume("futures", day)),
         "btcMargin": number(volume("margin", day)), "busd": 0, "busdFutures": 0, "busdMargin": 0, "date": day * DAY_MS}
        for day in days
    ]  # fmt: skip
    total = {market: sum((volume(market, day) for day in days), ZERO) for market in ("spot", "futures", "margin")}
    return {
        "recent30BtcTotal": plain(total["spot"]), "recent30BtcFuturesTotal": plain(total["futures"]),
        "recent30BtcMarginTotal": plain(total["margin"]),
        "recent30BusdTotal": "0", "recent30BusdFuturesTotal": "0", "recent30BusdMarginTotal": "0",
        "tradeInfoVos": rows,
    }  # fmt: skip
