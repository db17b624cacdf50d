"""Every endpoint that the sandbox serves: its weight, whose key may ask it, what the account must have opened."""

from __future__ import annotations

from recon_pipeline.sandbox.binance.api import account, books, holdings, lists, managed, market, spot, wallets
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.api.lists import nothing
from recon_pipeline.sandbox.binance.api.served import Served, at
from recon_pipeline.sandbox.binance.life import (
    capital,
    conversion,
    derivatives,
    details,
    earn,
    fiat,
    income,
    ledgers,
    loans,
    prediction,
    staking,
    transfers,
)
from recon_pipeline.sandbox.binance.life import managed as managers
from recon_pipeline.sandbox.binance.life import margin as margins

_TIMES = "startTime endTime"
_INCOME = f"symbol incomeType {_TIMES} page limit"
_TRADES = f"symbol orderId {_TIMES} fromId limit"
_MINED = (
    (income.MINING_LIST, "accountProfits", True), (income.MINING_OTHER, "otherProfits", True),
    (income.MINING_UID, "accountProfits", False),
)  # fmt: skip


def _price_weight(params: dict[str, str]) -> int:
    return 2 if params.get("symbol") else 4


def _pair_weight(params: dict[str, str]) -> int:
    return 40 if params.get("pair") else 20


def _server_time(call: Call) -> Answer:
    return {"serverTime": call.now_ms}


SPOT = (
    at("/api/v3/time", 1, market.server_time, is_signed=False),
    at("/api/v3/ping", 1, lambda call: {}, is_signed=False),
    at("/api/v3/exchangeInfo", 20, market.exchange_info, "symbol symbols permissions showPermissionSets symbolStatus",
       is_signed=False),
    at("/api/v3/klines", 2, market.klines, f"symbol interval {_TIMES} timeZone limit", is_signed=False),
    at("/api/v3/ticker/price", _price_weight, market.ticker_price, "symbol symbols", is_signed=False),
    at("/api/v3/account", 20, wallets.account_now, "omitZeroBalances"),
    at("/api/v3/myTrades", spot.my_trades_weight, spot.my_trades, _TRADES),
    at("/api/v3/myAllocations", 20, spot.my_allocations, f"symbol {_TIMES} fromAllocationId limit orderId"),
    at("/api/v3/myPreventedMatches", spot.my_prevented_matches_weight, spot.my_prevented_matches,
       "symbol preventedMatchId orderId fromPreventedMatchId limit"),
    at("/api/v3/allOrders", 20, spot.my_orders, f"symbol orderId {_TIMES} limit"),
    at("/api/v3/openOrders", 80, spot.open_orders, "symbol"),
)  # fmt: skip
WALLET = (
    at("/sapi/v1/accountSnapshot", 2400, wallets.snapshots),
    at("/sapi/v1/account/apiRestrictions", 1, account.restrictions),
    at("/sapi/v1/account/info", 1, account.info),
    at("/sapi/v1/account/status", 1, lambda call: {"data": "Normal"}),
    at("/sapi/v1/system/status", 1, lambda call: {"status": 0, "msg": "normal"}, is_signed=False),
    at("/sapi/v3/asset/getUserAsset", 5, wallets.user_assets, method="POST"),
    at("/sapi/v1/asset/get-funding-asset", 1, wallets.funding_assets, method="POST"),
    at("/sapi/v1/asset/wallet/balance", 60, holdings.every_wallet),
    at(capital.DEPOSITS, 1, lists.DEPOSITS),
    at(capital.WITHDRAWALS, 18_000, lists.withdrawals, per="uid"),
    at(transfers.PATH, 1, lists.wallet_transfers),
    at(income.DIVIDENDS, 10, lists.DIVIDENDS),
    at(conversion.DUST, 1, lists.dust),
    at(income.CLOUD_MINING, 600, lists.CLOUD_MINING, per="uid"),
    at(details.DELEGATIONS, 60, lists.delegations, whose="main"),
    at(details.ALGO_ORDERS, 1, lists.ALGO_ORDERS),
    at(details.ALGO_CHILDREN, 1, lists.algo_children),
    at("/sapi/v1/spot/delist-schedule", 100, lambda call: []),
    at("/sapi/v1/spot/open-symbol-list", 100, lambda call: []),
)
SUBS = (
    at("/sapi/v1/sub-account/list", 1, account.sub_accounts, whose="main"),
    at("/sapi/v1/sub-account/status", 10, account.sub_statuses, whose="main"),
    at("/sapi/v1/sub-account/transaction-statistics", 60, holdings.sub_statistics, whose="main"),
    at("/sapi/v1/capital/deposit/subHisrec", 1, lists.sub_deposits, whose="main"),
    at("/sapi/v3/sub-account/assets", 60, holdings.sub_assets(True), per="uid", whose="main"),
    at("/sapi/v4/sub-account/assets", 60, holdings.sub_assets(False), per="uid", whose="main"),
    at("/sapi/v1/sub-account/margin/account", 10, holdings.sub_margin, whose="main"),
    at("/sapi/v2/sub-account/futures/account", 1, holdings.sub_futures, whose="main"),
    at(transfers.UNIVERSAL, 1, lists.universal_transfers, whose="main"),
    at(transfers.SPOT_ONLY, 1, lists.spot_transfers, whose="main"),
    at(transfers.INTERNAL, 1, lists.futures_transfers, whose="main"),
    at(transfers.OF_SUB, 1, lists.sub_transfers, whose="sub"),
    at(details.POSITION_MOVES, 1, lists.position_moves, whose="main"),
    at("/sapi/v1/managed-subaccount/accountSnapshot", 2400, managed.snapshots, whose="main"),
    at("/sapi/v1/managed-subaccount/info", 60, managed.info, per="uid", whose="main"),
    at(managers.INVESTOR, 1, managed.log(managers.INVESTOR), whose="main"),
    at(managers.TRADER, 60, managed.log(managers.TRADER), per="uid", whose="main"),
    at(managers.OWN, 60, managed.log(managers.OWN), per="uid", whose="sub"),
)
MONEY = (
    at(conversion.CONVERTS, 3000, lists.CONVERTS, per="uid"),
    at(conversion.STABLE_CONVERTS, 5, lists.STABLE_CONVERTS, per="uid"),
    at(conversion.AUTO_INVEST, 1, lists.AUTO_INVEST),
    at(conversion.EQUITY_TRADES, 1, lists.EQUITY_TRADES),
    at(conversion.EQUITY_ORDERS, 1, lists.EQUITY_ORDERS),
    at(conversion.TOKENIZED, 1, lists.tokenized),
    at(fiat.ORDERS, 45_000, lists.fiat_orders, per="uid"),
    at(fiat.PAYMENTS, 1, lists.fiat_payments),
    at(income.PAY, 3000, lists.PAY, per="uid"),
    at(income.C2C, 1, lists.C2C),
    at(prediction.TRANSFERS, 200, lists.prediction_transfers),
    at(income.REBATES, 12_000, lists.REBATES, per="uid"),
    *(at(path, 1, lists.mining(path, name, needs_user)) for path, name, needs_user in _MINED),
    at(loans.INCOME, 6000, lists.LOAN_INCOME, per="uid"),
    *(at(path, 400, lists.LOANS[path]) for path in (loans.BORROWED, loans.REPAID, loans.LIQUIDATED, loans.VIP_REPAID)),
    at(loans.ADJUSTED, 400, lists.LOANS[loans.ADJUSTED], per="uid"),
    at(loans.ONGOING, 300, nothing()),
    at(loans.VIP_INTEREST, 400, lists.VIP_INTEREST),
    at(loans.VIP_ONGOING, 400, lists.vip_ongoing),
    *(at(f"/sapi/v1/loan/{name}/history", 400, nothing()) for name in ("borrow", "repay", "ltv/adjustment")),
)  # fmt: skip
EARN = (
    *(at(path, 1 if path == earn.FLEX_COLLATERAL else 150, listing) for path, listing in lists.EARN.items()),
    *(at(path, 150, listing) for path, listing in (lists.TOKENS | lists.STAKING).items()),
    at(staking.SOL_BOOST, 150, lists.boosts),
    *(at(path, 50, listing) for path, listing in lists.CHAIN.items()),
    at(earn.SOFT_REWARDS, 50, lists.SOFT),
    at(earn.FLEX_POSITION, 150, holdings.flexible_positions),
    at(earn.LOCK_POSITION, 150, lists.positions(earn.LOCK_POSITION)),
    at(earn.CHAIN_POSITION, 50, lists.positions(earn.CHAIN_POSITION)),
    at("/sapi/v1/bfusd/account", 150, account.token("bfusd", "BFUSD")),
    at("/sapi/v1/rwusd/account", 150, account.token("rwusd", "RWUSD")),
    at("/sapi/v1/sol-staking/sol/history/unclaimedRewards", 150, lambda call: []),
    at(staking.DUAL, 1, lists.DUAL),
)
MARGIN = (
    at(ledgers.CAPITAL_FLOW, 100, books.capital_flow, product="margin"),
    at(margins.LOANS, 10, books.margin_loans, product="margin"),
    at(margins.INTEREST, 1, books.margin_interest, product="margin"),
    at(ledgers.MARGIN_TRANSFERS, 1, books.TRANSFERS, product="margin"),
    at(margins.LIQUIDATIONS, 1, books.LIQUIDATIONS, product="margin"),
    at(margins.SMALL_SWAPS, 100, books.small_swaps, per="uid", product="margin"),
    at(margins.LIQUIDATION_LOANS, 100, books.LIQUIDATION_LOANS, per="uid", product="margin"),
    at(margins.TRADES, 10, books.margin_trades, product="margin"),
    at("/sapi/v1/margin/account", 10, holdings.margin_account, product="margin"),
    at("/sapi/v1/margin/isolated/account", 10, holdings.isolated_account, product="isolated"),
    at("/sapi/v1/margin/isolated/accountLimit", 1, account.isolated_limit, product="margin"),
    at("/sapi/v1/margin/delist-schedule", 100, lambda call: []),
    at("/sapi/v1/bnbBurn", 1, account.bnb_burn),
)
FUTURES = (
    at("/fapi/v1/time", 1, _server_time, is_signed=False),
    at("/fapi/v3/balance", 5, holdings.futures_balance("FUTURES"), product="futures"),
    at("/fapi/v2/balance", 5, holdings.futures_balance("FUTURES"), product="futures"),
    at("/fapi/v3/account", 5, holdings.futures_account("FUTURES"), product="futures"),
    at(ledgers.UM_INCOME, 30, books.um_income, _INCOME, product="futures"),
    at("/fapi/v1/userTrades", 5, books.futures_trades("/fapi/v1/userTrades"), _TRADES, product="futures"),
    at(details.POSITION_MARGIN, 1, books.position_margin, f"symbol type {_TIMES} limit", product="futures"),
    at("/dapi/v1/time", 1, _server_time, is_signed=False),
    at("/dapi/v1/balance", 1, holdings.futures_balance("FUTURES_COIN"), product="futures_coin"),
    at("/dapi/v1/account", 5, holdings.futures_account("FUTURES_COIN"), product="futures_coin"),
    at(ledgers.CM_INCOME, 20, books.CM_INCOME, _INCOME, product="futures_coin"),
    at("/dapi/v1/userTrades", _pair_weight, books.futures_trades("/dapi/v1/userTrades"), f"{_TRADES} pair",
       product="futures_coin"),
)  # fmt: skip
OPTIONS = (
    at("/eapi/v1/time", 1, _server_time, is_signed=False),
    at("/eapi/v1/marginAccount", 3, holdings.option_account, product="option"),
    at(ledgers.OPTION_BILL, 1, books.option_bill, f"currency recordId {_TIMES} limit", product="option"),
    at(derivatives.OPTION_TRADES, 5, books.option_trades, f"symbol fromId {_TIMES} limit", product="option"),
    at(derivatives.EXERCISES, 5, books.EXERCISES, f"symbol {_TIMES} limit", product="option"),
)
_PM = "portfolio_margin"
_PAGED = f"asset txId {_TIMES} current size archived"
PORTFOLIO = (
    at("/papi/v1/balance", 20, holdings.portfolio_balance, "asset", product=_PM),
    at(ledgers.PM_UM_INCOME, 30, books.PM_UM_INCOME, _INCOME, product=_PM),
    at(ledgers.PM_CM_INCOME, 30, books.PM_CM_INCOME, _INCOME, product=_PM),
    at(derivatives.PM_LOANS, 10, books.pm_loans(derivatives.PM_LOANS), _PAGED, product=_PM),
    at(derivatives.PM_REPAYS, 10, books.pm_loans(derivatives.PM_REPAYS), _PAGED, product=_PM),
    at(derivatives.PM_INTEREST, 1, books.PM_INTEREST, _PAGED, product=_PM),
    at(derivatives.PM_NEGATIVE, 50, books.PM_NEGATIVE, f"asset {_TIMES} size", product=_PM),
    at(derivatives.PM_EXCHANGES, 100, books.PM_EXCHANGES, _TIMES, product=_PM),
    at("/papi/v1/um/userTrades", 5, books.futures_trades("/papi/v1/um/userTrades"), _TRADES, product=_PM),
    at("/papi/v1/cm/userTrades", 20, books.futures_trades("/papi/v1/cm/userTrades"), f"{_TRADES} pair", product=_PM),
    at(derivatives.PM_PRO_LOANS, 500, books.PM_PRO_LOANS, product=_PM),
)

ENDPOINTS: dict[tuple[str, str], Served] = {
    (served.method, served.path): served
    for served in (*SPOT, *WALLET, *SUBS, *MONEY, *EARN, *MARGIN, *FUTURES, *OPTIONS, *PORTFOLIO)
}
