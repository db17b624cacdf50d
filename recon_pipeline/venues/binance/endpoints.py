"""What may be asked of Binance: every endpoint that reads, its host, its weight and the allowance that it draws on.

`/api`, fapi, dapi, eapi and papi have one allowance each, for the IP address. Each `/sapi` endpoint has one of its own,
for the IP address or for the account. A number is the weight of the call as this pipeline makes it. `opened` is told
where the account info, or the list of sub-accounts, says whether an account may ask; untold where nothing does.
"""

from __future__ import annotations

from recon_pipeline.transport.endpoints import Bucket, Endpoint, Method, Opened, ReadList, Security

SAPI_IP_LIMIT = 12_000
SAPI_ACCOUNT_LIMIT = 180_000

API = Bucket("/api", 6_000, "ip", is_shared_with_live=True)
FAPI = Bucket("/fapi", 2_400, "ip", is_shared_with_live=True)
DAPI = Bucket("/dapi", 2_400, "ip", is_shared_with_live=True)
EAPI = Bucket("/eapi", 400, "ip", is_shared_with_live=True)
PAPI = Bucket("/papi", 6_000, "ip", is_shared_with_live=True)

_ENDPOINTS: list[Endpoint] = []


def _in(
    bucket: Bucket, path: str, weight: int, security: Security = "signed", *, opened: Opened | None = None
) -> Endpoint:
    """An endpoint that shares its allowance with all others of its host; but for spot's, a product of its own."""
    host = bucket.name.removeprefix("/")
    endpoint = Endpoint("GET", path, host, weight, bucket, security, opened or ("always" if host == "api" else "told"))
    _ENDPOINTS.append(endpoint)
    return endpoint


def _alone(path: str, weight: int, bucket: Bucket, method: Method, opened: Opened) -> Endpoint:
    endpoint = Endpoint(method, path, "api", weight, bucket, opened=opened)
    _ENDPOINTS.append(endpoint)
    return endpoint


def _by_ip(
    path: str, weight: int, *, method: Method = "GET", live: bool = False, opened: Opened = "always"
) -> Endpoint:
    """An endpoint of /sapi with an allowance of its own for each IP address."""
    return _alone(path, weight, Bucket(path, SAPI_IP_LIMIT, "ip", is_shared_with_live=live), method, opened)


def _by_account(path: str, weight: int, *, live: bool = False, opened: Opened = "always") -> Endpoint:
    """An endpoint of /sapi with an allowance of its own for each account."""
    return _alone(path, weight, Bucket(path, SAPI_ACCOUNT_LIMIT, "account", is_shared_with_live=live), "GET", opened)


# --- spot: one allowance ----------------------------------------------------------------------------------------------
TIME = _in(API, "/api/v3/time", 1, "none")
EXCHANGE_INFO = _in(API, "/api/v3/exchangeInfo", 20, "none")
KLINES = _in(API, "/api/v3/klines", 2, "none")
ACCOUNT = _in(API, "/api/v3/account", 20)
MY_TRADES = _in(API, "/api/v3/myTrades", 20)
MY_ALLOCATIONS = _in(API, "/api/v3/myAllocations", 20)
MY_PREVENTED_MATCHES = _in(API, "/api/v3/myPreventedMatches", 20)
ALL_ORDERS = _in(API, "/api/v3/allOrders", 20)
OPEN_ORDERS = _in(API, "/api/v3/openOrders", 80)

# --- the key and the account ------------------------------------------------------------------------------------------
API_RESTRICTIONS = _by_ip("/sapi/v1/account/apiRestrictions", 1)
ACCOUNT_INFO = _by_ip("/sapi/v1/account/info", 1)
ACCOUNT_SNAPSHOT = _by_ip("/sapi/v1/accountSnapshot", 2_400)
FUNDING_ASSETS = _by_ip("/sapi/v1/asset/get-funding-asset", 1, method="POST", live=True)

# --- in and out -------------------------------------------------------------------------------------------------------
DEPOSITS = _by_ip("/sapi/v1/capital/deposit/hisrec", 1)
SUB_DEPOSITS = _by_ip("/sapi/v1/capital/deposit/subHisrec", 1, opened="told")
WITHDRAWALS = _by_account("/sapi/v1/capital/withdraw/history", 18_000)
WALLET_TRANSFERS = _by_ip("/sapi/v1/asset/transfer", 1)
UNIVERSAL_TRANSFERS = _by_ip("/sapi/v1/sub-account/universalTransfer", 1, opened="told")
SUB_TRANSFERS = _by_ip("/sapi/v1/sub-account/sub/transfer/history", 1, opened="told")
SUB_USER_TRANSFERS = _by_ip("/sapi/v1/sub-account/transfer/subUserHistory", 1, opened="told")
SUB_FUTURES_TRANSFERS = _by_ip("/sapi/v1/sub-account/futures/internalTransfer", 1, opened="told")
SUB_POSITION_MOVES = _by_ip("/sapi/v1/sub-account/futures/move-position", 1, opened="told")
MANAGED_TRANSFERS = _by_ip("/sapi/v1/managed-subaccount/queryTransLogForInvestor", 1, opened="told")
MANAGED_TRADER_TRANSFERS = _by_account("/sapi/v1/managed-subaccount/queryTransLogForTradeParent", 60, opened="told")
MANAGED_OWN_TRANSFERS = _by_account("/sapi/v1/managed-subaccount/query-trans-log", 60, opened="told")
CUSTODY_TRANSFERS = _by_ip("/sapi/v1/asset/custody/transfer-history", 60, opened="told")

# --- sub-accounts, as their master sees them --------------------------------------------------------------------------
SUB_ACCOUNTS = _by_ip("/sapi/v1/sub-account/list", 1, opened="told")
SUB_STATISTICS = _by_ip("/sapi/v1/sub-account/transaction-statistics", 60, opened="told")
SUB_ASSETS = _by_account("/sapi/v4/sub-account/assets", 60, live=True, opened="told")
SUB_MARGIN_ACCOUNT = _by_ip("/sapi/v1/sub-account/margin/account", 10, live=True, opened="told")
SUB_FUTURES_ACCOUNT = _by_ip("/sapi/v2/sub-account/futures/account", 1, live=True, opened="told")
MANAGED_SNAPSHOT = _by_ip("/sapi/v1/managed-subaccount/accountSnapshot", 2_400, opened="told")

# --- trades and payments ----------------------------------------------------------------------------------------------
CONVERTS = _by_account("/sapi/v1/convert/tradeFlow", 3_000)
CONVERT_TRANSFERS = _by_account("/sapi/v1/asset/convert-transfer/queryByPage", 5)
DUST = _by_ip("/sapi/v1/asset/dribblet", 1)
DIVIDENDS = _by_ip("/sapi/v1/asset/assetDividend", 10)
FIAT_ORDERS = _by_account("/sapi/v1/fiat/orders", 45_000)
FIAT_PAYMENTS = _by_ip("/sapi/v1/fiat/payments", 1)
C2C = _by_ip("/sapi/v1/c2c/orderMatch/listUserOrderHistory", 1)
PAY = _by_account("/sapi/v1/pay/transactions", 3_000)
REBATES = _by_account("/sapi/v1/rebate/taxQuery", 12_000)
CLOUD_MINING = _by_account("/sapi/v1/asset/ledger-transfer/cloud-mining/queryByPage", 600)
MINING_EARNINGS = _by_ip("/sapi/v1/mining/payment/list", 1, opened="untold")
MINING_BONUSES = _by_ip("/sapi/v1/mining/payment/other", 1, opened="untold")
MINING_ACCOUNT_EARNINGS = _by_ip("/sapi/v1/mining/payment/uid", 1, opened="untold")
AUTO_INVEST = _by_ip("/sapi/v1/lending/auto-invest/history/list", 1)
SPOT_ALGO_ORDERS = _by_ip("/sapi/v1/algo/spot/historicalOrders", 1)
SPOT_ALGO_SUB_ORDERS = _by_ip("/sapi/v1/algo/spot/subOrders", 1)
EQUITY_ORDERS = _by_ip("/sapi/v1/equity/order/history", 1, opened="untold")
EQUITY_TRADES = _by_ip("/sapi/v1/equity/trade/history", 1, opened="untold")
EQUITY_TOKENS = _by_ip("/sapi/v1/equity/tokenized/history", 1, opened="untold")
PREDICTION_TRANSFERS = _by_ip("/sapi/v1/w3w/wallet/prediction/transfer/list", 200, opened="untold")

# --- products of yield ------------------------------------------------------------------------------------------------
FLEXIBLE_SUBSCRIPTIONS = _by_ip("/sapi/v1/simple-earn/flexible/history/subscriptionRecord", 150)
FLEXIBLE_REDEMPTIONS = _by_ip("/sapi/v1/simple-earn/flexible/history/redemptionRecord", 150)
FLEXIBLE_REWARDS = _by_ip("/sapi/v1/simple-earn/flexible/history/rewardsRecord", 150)
FLEXIBLE_COLLATERAL = _by_ip("/sapi/v1/simple-earn/flexible/history/collateralRecord", 1)
FLEXIBLE_POSITIONS = _by_ip("/sapi/v1/simple-earn/flexible/position", 150, live=True)
LOCKED_SUBSCRIPTIONS = _by_ip("/sapi/v1/simple-earn/locked/history/subscriptionRecord", 150)
LOCKED_REDEMPTIONS = _by_ip("/sapi/v1/simple-earn/locked/history/redemptionRecord", 150)
LOCKED_REWARDS = _by_ip("/sapi/v1/simple-earn/locked/history/rewardsRecord", 150)
LOCKED_POSITIONS = _by_ip("/sapi/v1/simple-earn/locked/position", 150, live=True)
BFUSD_SUBSCRIPTIONS = _by_ip("/sapi/v1/bfusd/history/subscriptionHistory", 150)
BFUSD_REDEMPTIONS = _by_ip("/sapi/v1/bfusd/history/redemptionHistory", 150)
BFUSD_REWARDS = _by_ip("/sapi/v1/bfusd/history/rewardsHistory", 150)
RWUSD_SUBSCRIPTIONS = _by_ip("/sapi/v1/rwusd/history/subscriptionHistory", 150)
RWUSD_REDEMPTIONS = _by_ip("/sapi/v1/rwusd/history/redemptionHistory", 150)
RWUSD_REWARDS = _by_ip("/sapi/v1/rwusd/history/rewardsHistory", 150)
ETH_STAKING = _by_ip("/sapi/v1/eth-staking/eth/history/stakingHistory", 150)
ETH_REDEMPTIONS = _by_ip("/sapi/v1/eth-staking/eth/history/redemptionHistory", 150)
ETH_WRAPS = _by_ip("/sapi/v1/eth-staking/wbeth/history/wrapHistory", 150)
ETH_UNWRAPS = _by_ip("/sapi/v1/eth-staking/wbeth/history/unwrapHistory", 150)
ETH_REWARDS = _by_ip("/sapi/v1/eth-staking/eth/history/wbethRewardsHistory", 150)
SOL_STAKING = _by_ip("/sapi/v1/sol-staking/sol/history/stakingHistory", 150)
SOL_REDEMPTIONS = _by_ip("/sapi/v1/sol-staking/sol/history/redemptionHistory", 150)
SOL_REWARDS = _by_ip("/sapi/v1/sol-staking/sol/history/bnsolRewardsHistory", 150)
SOL_BOOST_REWARDS = _by_ip("/sapi/v1/sol-staking/sol/history/boostRewardsHistory", 150)
ONCHAIN_SUBSCRIPTIONS = _by_ip("/sapi/v1/onchain-yields/locked/history/subscriptionRecord", 50)
ONCHAIN_REDEMPTIONS = _by_ip("/sapi/v1/onchain-yields/locked/history/redemptionRecord", 50)
ONCHAIN_REWARDS = _by_ip("/sapi/v1/onchain-yields/locked/history/rewardsRecord", 50)
ONCHAIN_POSITIONS = _by_ip("/sapi/v1/onchain-yields/locked/position", 50, live=True)
SOFT_STAKING_REWARDS = _by_ip("/sapi/v1/soft-staking/history/rewardsRecord", 50)
DUAL_INVESTMENT = _by_ip("/sapi/v1/dci/product/positions", 1)

# --- loans ------------------------------------------------------------------------------------------------------------
LOAN_INCOME = _by_account("/sapi/v1/loan/income", 6_000)
FLEXIBLE_LOAN_BORROWS = _by_ip("/sapi/v2/loan/flexible/borrow/history", 400)
FLEXIBLE_LOAN_REPAYMENTS = _by_ip("/sapi/v2/loan/flexible/repay/history", 400)
FLEXIBLE_LOAN_ADJUSTMENTS = _by_account("/sapi/v2/loan/flexible/ltv/adjustment/history", 400)
FLEXIBLE_LOAN_LIQUIDATIONS = _by_ip("/sapi/v2/loan/flexible/liquidation/history", 400)
VIP_LOAN_REPAYMENTS = _by_ip("/sapi/v1/loan/vip/repay/history", 400, opened="untold")
VIP_LOAN_INTEREST = _by_ip("/sapi/v1/loan/vip/accruedInterest", 400, opened="untold")
VIP_LOAN_ORDERS = _by_ip("/sapi/v1/loan/vip/ongoing/orders", 400, opened="untold")

# --- margin -----------------------------------------------------------------------------------------------------------
MARGIN_CAPITAL_FLOW = _by_ip("/sapi/v1/margin/capital-flow", 100, opened="told")
MARGIN_BORROW_REPAY = _by_ip("/sapi/v1/margin/borrow-repay", 10, opened="told")
MARGIN_INTEREST = _by_ip("/sapi/v1/margin/interestHistory", 1, opened="told")
MARGIN_TRANSFERS = _by_ip("/sapi/v1/margin/transfer", 1, opened="told")
MARGIN_TRADES = _by_ip("/sapi/v1/margin/myTrades", 10, opened="told")
MARGIN_LIQUIDATIONS = _by_ip("/sapi/v1/margin/forceLiquidationRec", 1, opened="told")
MARGIN_SMALL_LIABILITIES = _by_account("/sapi/v1/margin/exchange-small-liability-history", 100, opened="told")
MARGIN_LIQUIDATION_LOANS = _by_account("/sapi/v1/margin/liquidation-loan/repay-history", 100, opened="told")
MARGIN_ACCOUNT = _by_ip("/sapi/v1/margin/account", 10, live=True, opened="told")
ISOLATED_ACCOUNT = _by_ip("/sapi/v1/margin/isolated/account", 10, live=True, opened="told")

# --- derivatives: one allowance for each host -------------------------------------------------------------------------
FUTURES_INCOME = _in(FAPI, "/fapi/v1/income", 30)
FUTURES_BALANCE = _in(FAPI, "/fapi/v3/balance", 5)
FUTURES_TRADES = _in(FAPI, "/fapi/v1/userTrades", 5)
FUTURES_POSITION_MARGIN = _in(FAPI, "/fapi/v1/positionMargin/history", 1, opened="untold")
FUTURES_COIN_INCOME = _in(DAPI, "/dapi/v1/income", 20, opened="untold")
FUTURES_COIN_BALANCE = _in(DAPI, "/dapi/v1/balance", 1, opened="untold")
FUTURES_COIN_TRADES = _in(DAPI, "/dapi/v1/userTrades", 20, opened="untold")
OPTION_BILLS = _in(EAPI, "/eapi/v1/bill", 1)
OPTION_ACCOUNT = _in(EAPI, "/eapi/v1/marginAccount", 3)
OPTION_EXERCISES = _in(EAPI, "/eapi/v1/exerciseRecord", 5)
OPTION_TRADES = _in(EAPI, "/eapi/v1/userTrades", 5)

# --- portfolio margin -------------------------------------------------------------------------------------------------
PM_BALANCE = _in(PAPI, "/papi/v1/balance", 20)
PM_UM_INCOME = _in(PAPI, "/papi/v1/um/income", 30)
PM_CM_INCOME = _in(PAPI, "/papi/v1/cm/income", 30)
PM_LOANS = _in(PAPI, "/papi/v1/margin/marginLoan", 10)
PM_REPAYMENTS = _in(PAPI, "/papi/v1/margin/repayLoan", 10)
PM_MARGIN_INTEREST = _in(PAPI, "/papi/v1/margin/marginInterestHistory", 1)
PM_NEGATIVE_INTEREST = _in(PAPI, "/papi/v1/portfolio/interest-history", 50)
PM_NEGATIVE_EXCHANGES = _in(PAPI, "/papi/v1/portfolio/negative-balance-exchange-record", 100)
PM_PRO_LOANS = _by_ip("/sapi/v1/portfolio/pmloan-history", 500, opened="untold")

READ_LIST = ReadList("binance", _ENDPOINTS)
"""Nothing else of Binance is ever signed."""
ENDPOINTS = tuple(_ENDPOINTS)
