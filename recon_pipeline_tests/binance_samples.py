"""An answer of each stream in the shape that the vendor documents, with values of our own: (call, body).

The shapes are those of the vendor's Python connector of 2026-08-21 and its spot API pages of 2026-07-21.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.streams import RawRecord
from recon_pipeline_tests.binance_records import DESK, MAIN, ms, record

T = ms("2026-11-02T08:00:00.250")
LATER = ms("2026-11-04T08:00:00.250")
WHEN = ms("2026-11-02T23:59:59")
Sample = tuple[Mapping[str, str], Any]

_FILL = {
    "symbol": "BTCUSDT",
    "id": 311,
    "orderId": 812,
    "price": "60000.00",
    "qty": "0.10000000",
    "commission": "0.00010000",
    "commissionAsset": "BTC",
    "time": T,
}
_SPOT_FILL = {**_FILL, "orderListId": -1, "quoteQty": "6000.00", "isBuyer": True, "isMaker": False}
_DEPOSIT = {
    "id": "51000000000000001",
    "amount": "1.25",
    "coin": "ETH",
    "network": "ETH",
    "status": 1,
    "address": "0x0a",
    "addressTag": "",
    "txId": "0x0b",
    "insertTime": T,
    "transferType": 0,
    "confirmTimes": "12/12",
    "unlockConfirm": 12,
    "walletType": 0,
}
_FUTURES_FILL = {
    **_FILL,
    "buyer": True,
    "maker": False,
    "quoteQty": "6000.00",
    "baseQty": "0.1",
    "marginAsset": "USDT",
    "realizedPnl": "0",
    "side": "BUY",
    "positionSide": "BOTH",
    "pair": "BTCUSDT",
}
_INCOME = {
    "symbol": "BTCUSDT",
    "incomeType": "FUNDING_FEE",
    "income": "-0.015",
    "asset": "USDT",
    "info": "FUNDING_FEE",
    "time": T,
    "tranId": 9_100_000_000_000_000_001,
    "tradeId": "",
}
_MANAGED = {
    "fromEmail": MAIN,
    "fromAccountType": "SPOT",
    "toEmail": DESK,
    "toAccountType": "SPOT",
    "asset": "BNB",
    "amount": "3",
    "scheduledData": T,
    "createTime": T,
    "status": "SUCCESS",
    "tranId": 4_400_001,
}
_HOLDING = {"asset": "USDT", "free": "10", "locked": "2", "freeze": "1", "withdrawing": "4", "btcValuation": "0.0002"}
_MARGIN_HOLDING = {"asset": "USDT", "free": "9", "locked": "1", "borrowed": "2", "interest": "0.1", "netAsset": "7.9"}
_PREVENTED = {
    "symbol": "BTCUSDT",
    "preventedMatchId": 7,
    "takerOrderId": 71,
    "makerSymbol": "BTCUSDT",
    "makerOrderId": 72,
    "tradeGroupId": 5,
    "selfTradePreventionMode": "EXPIRE_TAKER",
    "price": "59000.0",
    "makerPreventedQuantity": "0.2",
    "transactTime": T,
}
_INTEREST = {
    "txId": 8_100_000_000_000_000_001,
    "interestAccuredTime": T,
    "asset": "USDT",
    "rawAsset": "USDT",
    "principal": "100",
    "interest": "0.002",
    "interestRate": "0.0001",
    "type": "PERIODIC",
}
_REPAID = {
    "amount": "5.01",
    "asset": "BNB",
    "interest": "0.01",
    "principal": "5",
    "status": "CONFIRMED",
    "timestamp": T,
    "txId": 3_300_001,
}


def _rows(*rows: Mapping[str, Any]) -> Any:
    return {"rows": list(rows), "total": len(rows)}


def _snapshot(kind: str) -> Any:
    data = {
        "totalAssetOfBtc": "0.5",
        "balances": [{"asset": "BTC", "free": "0.3", "locked": "0.2"}],
        "marginLevel": "900",
        "totalLiabilityOfBtc": "0",
        "totalNetAssetOfBtc": "0.5",
        "userAssets": [_MARGIN_HOLDING],
        "assets": [{"asset": "USDT", "marginBalance": "90.5", "walletBalance": "91"}],
        "position": [],
    }
    return {"code": 200, "msg": "", "snapshotVos": [{"data": data, "type": kind, "updateTime": WHEN}]}


def _fiat(row: Mapping[str, Any]) -> Any:
    return {"code": "000000", "message": "success", "data": [row], "total": 1, "success": True}


SPOT: dict[str, Sample] = {
    "deposits": ({}, [{**_DEPOSIT, "completeTime": T, "travelRuleStatus": 0}]),
    "sub_deposits": ({"email": DESK}, [_DEPOSIT]),
    "withdrawals": (
        {},
        [
            {
                "id": "cc33",
                "amount": "9.5",
                "transactionFee": "0.5",
                "coin": "XRP",
                "status": 6,
                "address": "r0",
                "txId": "AB",
                "applyTime": "2026-11-02 08:00:00",
                "network": "XRP",
                "transferType": 0,
                "withdrawOrderId": "w-1",
                "info": "",
                "confirmNo": 1,
                "walletType": 1,
                "txKey": "",
                "completeTime": "2026-11-02 08:05:00",
            }
        ],
    ),
    "fiat_orders": (
        {"transactionType": "1"},
        _fiat(
            {
                "orderNo": "f-1",
                "fiatCurrency": "EUR",
                "indicatedAmount": "30.00",
                "amount": "28.50",
                "totalFee": "1.50",
                "method": "BankAccount",
                "status": "Successful",
                "createTime": T,
                "updateTime": LATER,
            }
        ),
    ),
    "fiat_payments": (
        {"transactionType": "0"},
        _fiat(
            {
                "orderNo": "p-1",
                "sourceAmount": "50.0",
                "fiatCurrency": "EUR",
                "obtainAmount": "0.016",
                "cryptoCurrency": "ETH",
                "totalFee": "0.5",
                "price": "3093.75",
                "status": "Completed",
                "paymentMethod": "Cash Balance",
                "createTime": T,
                "updateTime": T,
            }
        ),
    ),
    "pay": (
        {},
        {
            "code": "000000",
            "message": "success",
            "data": [
                {
                    "orderType": "C2C",
                    "transactionId": "M_R_7001",
                    "transactionTime": T,
                    "amount": "-12.5",
                    "currency": "USDT",
                    "walletType": 1,
                    "walletTypes": [1, 2],
                    "fundsDetail": [{"currency": "USDT", "amount": "12.5", "walletAssetCost": {"1": "10", "2": "2.5"}}],
                    "payerInfo": {"name": "We", "type": "USER", "binanceId": "1"},
                    "receiverInfo": {"name": "A shop", "type": "MERCHANT", "binanceId": "2"},
                }
            ],
            "success": True,
        },
    ),
    "c2c": (
        {"tradeType": "SELL"},
        _fiat(
            {
                "orderNumber": "60000000000000000001",
                "advNo": "6001",
                "tradeType": "SELL",
                "asset": "USDT",
                "fiat": "EUR",
                "fiatSymbol": "€",
                "amount": "200.00",
                "totalPrice": "184.00",
                "unitPrice": "0.92",
                "orderStatus": "COMPLETED",
                "createTime": T,
                "commission": "0",
                "counterPartNickName": "someone",
                "payMethodName": "BANK",
                "additionalKycVerify": 0,
                "takerCommissionRate": "0.0005",
                "takerCommission": "0.1",
                "takerAmount": "199.9",
                "advertisementRole": "TAKER",
            }
        ),
    ),
    "spot_trades": ({"symbol": "BTCUSDT"}, [{**_SPOT_FILL, "isBestMatch": True}]),
    "allocations": (
        {"symbol": "BTCUSDT"},
        [
            {
                **{name: value for name, value in _SPOT_FILL.items() if name != "id"},
                "allocationId": 2,
                "allocationType": "SOR",
                "isAllocator": False,
            }
        ],
    ),
    "prevented_matches": ({"symbol": "BTCUSDT", "orderId": "71"}, [_PREVENTED]),
    "spot_orders": (
        {"symbol": "BTCUSDT"},
        [
            {
                "symbol": "BTCUSDT",
                "orderId": 71,
                "orderListId": -1,
                "clientOrderId": "c-71",
                "price": "59000.0",
                "origQty": "0.2",
                "executedQty": "0",
                "cummulativeQuoteQty": "0",
                "status": "EXPIRED_IN_MATCH",
                "timeInForce": "GTC",
                "type": "LIMIT",
                "side": "SELL",
                "stopPrice": "0.0",
                "icebergQty": "0.0",
                "time": T,
                "updateTime": T,
                "isWorking": True,
                "workingTime": T,
                "origQuoteOrderQty": "0",
                "selfTradePreventionMode": "EXPIRE_TAKER",
                "preventedMatchId": 7,
                "preventedQuantity": "0.2",
            }
        ],
    ),
    "converts": (
        {},
        {
            "list": [
                {
                    "quoteId": "q1",
                    "orderId": 940_000_000_000_000_001,
                    "orderStatus": "SUCCESS",
                    "fromAsset": "USDT",
                    "fromAmount": "20",
                    "toAsset": "BNB",
                    "toAmount": "0.03",
                    "ratio": "0.0015",
                    "inverseRatio": "666.6",
                    "createTime": T,
                }
            ],
            "startTime": T,
            "endTime": LATER,
            "limit": 1000,
            "moreData": False,
        },
    ),
    "dust": (
        {"accountType": "SPOT"},
        {
            "total": 1,
            "userAssetDribblets": [
                {
                    "operateTime": T,
                    "totalTransferedAmount": "0.00200000",
                    "totalServiceChargeAmount": "0.00004000",
                    "transId": 45_000_000_001,
                    "userAssetDribbletDetails": [
                        {
                            "transId": 4_350_001,
                            "serviceChargeAmount": "0.00004",
                            "amount": "1.2",
                            "operateTime": T,
                            "transferedAmount": "0.002",
                            "fromAsset": "XRP",
                            "targetAsset": "BNB",
                        }
                    ],
                }
            ],
        },
    ),
    "dividends": (
        {},
        _rows(
            {
                "id": 16_001,
                "amount": "7.5",
                "asset": "SOLV",
                "divTime": T,
                "enInfo": "SOLV Megadrop",
                "tranId": 29_001,
                "direction": 1,
            }
        ),
    ),
    "rebates": (
        {},
        {
            "status": "OK",
            "type": "GENERAL",
            "code": "000000000",
            "data": {
                "page": 1,
                "totalRecords": 1,
                "totalPageNum": 1,
                "data": [{"asset": "USDT", "type": 2, "amount": "0.004", "updateTime": T}],
            },
        },
    ),
    "cloud_mining": (
        {},
        _rows({"createTime": T, "tranId": 121_001, "type": 248, "asset": "USDT", "amount": "25.5", "status": "S"}),
    ),
    "mining_earnings": (
        {"algo": "sha256", "userName": "worker"},
        {
            "code": 0,
            "msg": "",
            "data": {
                "accountProfits": [
                    {
                        "time": T,
                        "type": 0,
                        "hashTransfer": None,
                        "transferAmount": None,
                        "dayHashRate": 129_000,
                        "profitAmount": Decimal("0.00012345"),
                        "coinName": "BTC",
                        "status": 2,
                    }
                ],
                "totalNum": 1,
                "pageSize": 20,
            },
        },
    ),
    "mining_bonuses": (
        {"algo": "sha256", "userName": "worker"},
        {
            "code": 0,
            "msg": "",
            "data": {
                "otherProfits": [
                    {"time": T, "coinName": "BTC", "type": 4, "profitAmount": Decimal("0.0011"), "status": 2}
                ],
                "totalNum": 1,
                "pageSize": 20,
            },
        },
    ),
    "mining_account_earnings": (
        {"algo": "sha256"},
        {
            "code": 0,
            "msg": "",
            "data": {
                "accountProfits": [
                    {
                        "time": T,
                        "coinName": "BTC",
                        "type": 2,
                        "puid": 59,
                        "subName": "worker",
                        "amount": Decimal("0.0918"),
                    }
                ],
                "totalNum": 1,
                "pageSize": 20,
            },
        },
    ),
    "prediction_transfers": (
        {"walletAddress": "0x0c"},
        {
            "transfers": [
                {
                    "transferId": "tf_1",
                    "direction": "OUTBOUND",
                    "status": "SUCCESS",
                    "walletAddress": "0x0c",
                    "fromToken": "USDT",
                    "fromTokenAmount": "15.00",
                    "toToken": "USDT",
                    "toTokenAmount": "15.00",
                    "errorCode": "",
                    "errorMessage": "",
                    "createTime": "2026-11-02T08:00:00.000+00:00",
                    "updateTime": "2026-11-02T08:00:05.000+00:00",
                    "completeAt": "2026-11-02T08:00:05.000+00:00",
                }
            ]
        },
    ),
    "equity_orders": (
        {},
        {
            **_rows(
                {
                    "orderId": "o-1",
                    "symbol": "MSFT",
                    "quote": "USDC",
                    "side": "BUY",
                    "orderType": "LIMIT",
                    "limitPrice": "400.00",
                    "avgFilledPrice": "399.50",
                    "qty": "1",
                    "notional": "399.50",
                    "filledQty": "1",
                    "filledTotal": "399.50",
                    "fee": "0.20",
                    "session": "RTH",
                    "status": "FILLED",
                    "createdAt": T,
                    "updatedAt": LATER,
                }
            ),
            "page": 1,
            "size": 20,
        },
    ),
    "equity_trades": (
        {},
        {
            **_rows(
                {
                    "executionId": "x-1",
                    "orderId": "o-1",
                    "symbol": "MSFT",
                    "quote": "USDC",
                    "side": "BUY",
                    "orderType": "LIMIT",
                    "price": "399.50",
                    "qty": "1",
                    "total": "399.50",
                    "executionAt": T,
                    "updatedAt": T,
                }
            ),
            "page": 1,
            "size": 20,
        },
    ),
    "equity_tokens": (
        {},
        {
            "rows": [
                {
                    "underlyingAsset": "MSFT",
                    "underlyingAssetAmount": "1.000000000",
                    "tokenizedAsset": "MSFTB",
                    "tokenizedAssetAmount": "1.000000000",
                    "issuerRequestId": "mint-1",
                    "convertType": "MINT",
                    "status": "S",
                    "createdAt": T,
                    "updatedAt": T,
                }
            ],
            "hasMore": False,
            "nextLastId": 1,
        },
    ),
    "spot_algo_orders": (
        {},
        {
            "total": 1,
            "orders": [
                {
                    "algoId": 145,
                    "symbol": "BNBUSDT",
                    "side": "BUY",
                    "totalQty": "10",
                    "executedQty": "0",
                    "executedAmt": "0",
                    "avgPrice": "0",
                    "clientAlgoId": "a-1",
                    "bookTime": T,
                    "endTime": LATER,
                    "algoStatus": "CANCELLED",
                    "algoType": "TWAP",
                    "urgency": "LOW",
                }
            ],
        },
    ),
    "spot_algo_sub_orders": (
        {"algoId": "145"},
        {
            "total": 1,
            "executedQty": "1",
            "executedAmt": "600",
            "subOrders": [
                {
                    "algoId": 145,
                    "orderId": 8_300_001,
                    "orderStatus": "FILLED",
                    "executedQty": "1",
                    "executedAmt": "600",
                    "feeAmt": "-0.6",
                    "feeAsset": "USDT",
                    "bookTime": T,
                    "avgPrice": "600",
                    "side": "BUY",
                    "symbol": "BNBUSDT",
                    "subId": 1,
                    "timeInForce": "GTC",
                    "origQty": "1",
                }
            ],
        },
    ),
}

TRANSFERS: dict[str, Sample] = {
    "wallet_transfers": (
        {"type": "MAIN_UMFUTURE"},
        _rows(
            {
                "asset": "USDT",
                "amount": "40",
                "type": "MAIN_UMFUTURE",
                "status": "CONFIRMED",
                "tranId": 11_400_001,
                "timestamp": T,
            }
        ),
    ),
    "universal_transfers": (
        {"fromEmail": MAIN},
        {
            "result": [
                {
                    "tranId": 92_200_001,
                    "fromEmail": MAIN,
                    "toEmail": DESK,
                    "asset": "BNB",
                    "amount": "0.5",
                    "createTimeStamp": T,
                    "fromAccountType": "SPOT",
                    "toAccountType": "USDT_FUTURE",
                    "status": "SUCCESS",
                    "clientTranId": "t-1",
                }
            ],
            "totalCount": 1,
        },
    ),
    "sub_user_transfers": (
        {"type": "1"},
        [
            {
                "counterParty": "master",
                "email": MAIN,
                "type": 1,
                "asset": "BTC",
                "qty": "0.3",
                "fromAccountType": "SPOT",
                "toAccountType": "SPOT",
                "status": "SUCCESS",
                "tranId": 11_700_001,
                "time": T,
            }
        ],
    ),
    "sub_transfers": (
        {"fromEmail": MAIN},
        [{"from": MAIN, "to": DESK, "asset": "BTC", "qty": "1", "status": "SUCCESS", "tranId": 6_400_001, "time": T}],
    ),
    "sub_futures_transfers": (
        {"email": DESK, "futuresType": "1"},
        {
            "success": True,
            "futuresType": 1,
            "transfers": [{"from": MAIN, "to": DESK, "asset": "USDT", "qty": "1", "tranId": 11_800_001, "time": T}],
        },
    ),
    "managed_transfers": ({"email": DESK}, {"managerSubTransferHistoryVos": [_MANAGED], "count": 1}),
    "managed_trader_transfers": ({"email": DESK}, {"managerSubTransferHistoryVos": [_MANAGED], "count": 1}),
    "managed_own_transfers": ({}, {"managerSubTransferHistoryVos": [_MANAGED], "count": 1}),
    "custody_transfers": (
        {"email": DESK},
        _rows({"clientTranId": "29", "transferType": "Undelegate", "asset": "ETH", "amount": "1", "time": T}),
    ),
    "sub_position_moves": (
        {"symbol": "BTCUSDT"},
        {
            "total": 1,
            "futureMovePositionOrderVoList": [
                {
                    "fromUserEmail": MAIN,
                    "toUserEmail": DESK,
                    "productType": "UM",
                    "symbol": "BTCUSDT",
                    "price": "60000.5",
                    "quantity": "0.001",
                    "positionSide": "BOTH",
                    "side": "SELL",
                    "timeStamp": T,
                }
            ],
        },
    ),
}

_SUBSCRIBED = {
    "amount": "100.00",
    "asset": "USDT",
    "time": T,
    "purchaseId": 26_001,
    "type": "NORMAL",
    "sourceAccount": "SPOT",
    "amtFromSpot": "30",
    "amtFromFunding": "70",
    "status": "SUCCESS",
}
_REDEEMED = {
    "positionId": 123,
    "redeemId": 40_001,
    "time": T,
    "asset": "AXS",
    "lockPeriod": "30",
    "amount": "9.75",
    "originalAmount": "10",
    "type": "REDEEM",
    "deliverDate": str(LATER),
    "lossAmount": "0.25",
    "isComplete": True,
    "rewardAsset": "AXS",
    "rewardAmt": "0.1",
    "status": "PAID",
}
_BURNT = {
    "time": T,
    "amount": "51",
    "receiveAmount": "50",
    "fee": "1",
    "arrivalTime": LATER,
    "status": "SUCCESS",
}
_MINTED = {"time": T, "amount": "100", "receiveAmount": "100", "status": "SUCCESS"}
_STAKED = {
    "time": T,
    "asset": "ETH",
    "amount": "10",
    "distributeAsset": "WBETH",
    "distributeAmount": "9.5",
    "conversionRatio": "1.05",
    "status": "SUCCESS",
}
_UNSTAKED = {
    "time": T,
    "arrivalTime": LATER,
    "asset": "BNSOL",
    "amount": "10",
    "distributeAsset": "SOL",
    "distributeAmount": "10.5",
    "exchangeRate": "1.05",
    "status": "SUCCESS",
}
_WRAPPED = {
    "time": T,
    "fromAsset": "BETH",
    "fromAmount": "2",
    "toAsset": "WBETH",
    "toAmount": "1.9",
    "exchangeRate": "1.05",
    "status": "SUCCESS",
}

EARN: dict[str, Sample] = {
    "flexible_subscriptions": ({}, _rows({**_SUBSCRIBED, "productId": "USDT001"})),
    "flexible_redemptions": (
        {},
        _rows(
            {
                "amount": "10.5",
                "asset": "USDT",
                "time": T,
                "projectId": "USDT001",
                "redeemId": 40_002,
                "destAccount": "SPOT",
                "status": "PAID",
            }
        ),
    ),
    "flexible_rewards": (
        {"type": "ALL"},
        _rows({"asset": "USDT", "rewards": "0.00006", "projectId": "USDT001", "type": "REALTIME", "time": T}),
    ),
    "flexible_collateral": (
        {},
        {
            "rows": [
                {
                    "amount": "100.0",
                    "productId": "USDT001",
                    "asset": "USDT",
                    "createTime": T,
                    "type": "REPAY",
                    "productName": "USDT",
                    "orderId": 26_002,
                }
            ],
            "total": "1",
        },
    ),
    "locked_subscriptions": ({}, _rows({**_SUBSCRIBED, "positionId": 123, "projectId": "Axs*90", "lockPeriod": "90"})),
    "locked_redemptions": ({}, _rows({**_REDEEMED, "extraRewardAsset": "BNB", "estExtraRewardAmt": "0.01"})),
    "locked_rewards": (
        {},
        _rows(
            {
                "positionId": 123,
                "time": T,
                "asset": "AXS",
                "lockPeriod": "30",
                "amount": "0.1",
                "type": "Locked Rewards",
            }
        ),
    ),
    "onchain_subscriptions": (
        {},
        _rows({**_SUBSCRIBED, "positionId": "123", "projectId": "Solv-60d", "lockPeriod": "60", "clientId": "c"}),
    ),
    "onchain_redemptions": ({}, _rows(_REDEEMED)),
    "onchain_rewards": (
        {},
        _rows({"positionId": "123", "time": T, "asset": "SOLV", "lockPeriod": "60", "amount": "0.1"}),
    ),
    "soft_staking_rewards": (
        {},
        _rows({"asset": "BNB", "rewards": "0.000005", "rewardAsset": "BNB", "avgAmount": "2.1", "time": T}),
    ),
    "bfusd_subscriptions": ({}, _rows({**_MINTED, "asset": "USDT", "receiveAsset": "BFUSD"})),
    "bfusd_redemptions": ({}, _rows({**_BURNT, "asset": "BFUSD", "receiveAsset": "USDT"})),
    "bfusd_rewards": (
        {},
        _rows(
            {
                "time": T,
                "rewardAsset": "BFUSD",
                "rewardsAmount": "1",
                "BFUSDPosition": "100",
                "annualPercentageRate": "0.04",
            }
        ),
    ),
    "rwusd_subscriptions": ({}, _rows({**_MINTED, "asset": "USDC", "receiveAsset": "RWUSD"})),
    "rwusd_redemptions": ({}, _rows({**_BURNT, "asset": "RWUSD", "receiveAsset": "USDC"})),
    "rwusd_rewards": (
        {},
        _rows({"time": T, "rewardsAmount": "1", "rwusdPosition": "100", "annualPercentageRate": "0.04"}),
    ),
    "eth_staking": ({}, _rows(_STAKED)),
    "eth_redemptions": (
        {},
        _rows(
            {
                **{name: value for name, value in _UNSTAKED.items() if name != "exchangeRate"},
                "asset": "WBETH",
                "distributeAsset": "ETH",
                "conversionRatio": "1.05",
            }
        ),
    ),
    "eth_wraps": ({}, _rows(_WRAPPED)),
    "eth_unwraps": ({}, _rows({**_WRAPPED, "fromAsset": "WBETH", "toAsset": "BETH"})),
    "eth_rewards": (
        {},
        {
            "estRewardsInETH": "1.2",
            **_rows(
                {
                    "time": T,
                    "amountInETH": "0.01",
                    "holding": "2",
                    "holdingInETH": "2.1",
                    "annualPercentageRate": "0.03",
                }
            ),
        },
    ),
    "sol_staking": (
        {},
        _rows(
            {
                **{name: value for name, value in _STAKED.items() if name != "conversionRatio"},
                "asset": "SOL",
                "distributeAsset": "BNSOL",
                "exchangeRate": "1.05",
            }
        ),
    ),
    "sol_redemptions": ({}, _rows(_UNSTAKED)),
    "sol_rewards": (
        {},
        {
            "estRewardsInSOL": "1.2",
            **_rows(
                {
                    "time": T,
                    "amountInSOL": "0.01",
                    "holding": "2",
                    "holdingInSOL": "2.1",
                    "annualPercentageRate": "0.06",
                }
            ),
        },
    ),
    "sol_boost_rewards": (
        {"type": "CLAIM"},
        _rows({"time": T // 1_000, "token": "SOL", "amount": "1.2", "bnsolHolding": "2", "status": "SUCCESS"}),
    ),
    "dual_investment": (
        {},
        {
            "total": 1,
            "list": [
                {
                    "id": "10160001",
                    "investCoin": "USDT",
                    "exercisedCoin": "BNB",
                    "subscriptionAmount": "50",
                    "strikePrice": "600",
                    "duration": 4,
                    "settleDate": LATER,
                    "purchaseStatus": "PURCHASE_SUCCESS",
                    "apr": "0.03",
                    "orderId": 7_900_001,
                    "purchaseEndTime": LATER,
                    "optionType": "PUT",
                    "autoCompoundPlan": "STANDARD",
                    "subscriptionTime": T,
                }
            ],
        },
    ),
}

LOANS: dict[str, Sample] = {
    "loan_income": ({}, [{"asset": "USDT", "type": "borrowIn", "amount": "100", "timestamp": T, "tranId": "804001"}]),
    "flexible_loan_borrows": (
        {},
        _rows(
            {
                "loanCoin": "USDT",
                "initialLoanAmount": "1000",
                "collateralCoin": "BNB",
                "initialCollateralAmount": "4.5",
                "borrowTime": T,
                "status": "SUCCESS",
            }
        ),
    ),
    "flexible_loan_repayments": (
        {},
        _rows(
            {
                "loanCoin": "USDT",
                "repayAmount": "1000.5",
                "collateralCoin": "BNB",
                "collateralReturn": "4.5",
                "repayStatus": "REPAID",
                "repayTime": T,
            }
        ),
    ),
    "flexible_loan_adjustments": (
        {},
        _rows(
            {
                "loanCoin": "USDT",
                "collateralCoin": "BNB",
                "direction": "ADDITIONAL",
                "collateralAmount": "0.5",
                "preLTV": "0.7",
                "afterLTV": "0.6",
                "adjustTime": T,
            }
        ),
    ),
    "flexible_loan_liquidations": (
        {},
        _rows(
            {
                "loanCoin": "USDT",
                "liquidationDebt": "1000",
                "collateralCoin": "BNB",
                "liquidationCollateralAmount": "4",
                "returnCollateralAmount": "0.2",
                "liquidationFee": "0.1",
                "liquidationStartingPrice": "250",
                "liquidationStartingTime": T,
                "status": "Liquidated",
            }
        ),
    ),
    "vip_loan_repayments": (
        {},
        _rows(
            {
                "loanCoin": "USDT",
                "repayAmount": "500",
                "collateralCoin": "BNB,BTC",
                "repayStatus": "Repaid",
                "loanDate": str(T),
                "repayTime": str(LATER),
                "orderId": "756000000000000001",
            }
        ),
    ),
    "vip_loan_interest": (
        {},
        _rows(
            {
                "loanCoin": "USDT",
                "principalAmount": "500",
                "interestAmount": "0.2",
                "annualInterestRate": "0.01",
                "accrualTime": T,
                "orderId": 756_001,
            }
        ),
    ),
    "vip_loan_orders": (
        {},
        _rows(
            {
                "orderId": 756_001,
                "loanCoin": "USDT",
                "totalDebt": "500",
                "loanRate": "0.01",
                "residualInterest": "0.2",
                "collateralAccountId": "1,2",
                "collateralCoin": "BNB,BTC",
                "totalCollateralValueAfterHaircut": "900",
                "lockedCollateralValue": "900",
                "currentLTV": "0.5",
                "expirationTime": LATER,
                "loanDate": str(T),
                "loanTerm": "30days",
            }
        ),
    ),
}

_CAPITAL_FLOW = {
    "id": 123_001,
    "tranId": 1_230,
    "timestamp": T,
    "asset": "USDT",
    "symbol": "BTCUSDT",
    "type": "BORROW",
    "amount": "101",
    "note": "",
}

MARGIN: dict[str, Sample] = {
    "margin_capital_flow": ({}, [_CAPITAL_FLOW]),
    "isolated_capital_flow": ({"symbol": "BTCUSDT"}, [_CAPITAL_FLOW]),
    "margin_borrow_repay": ({"type": "REPAY"}, _rows({**_REPAID, "type": "AUTO", "isolatedSymbol": "BNBUSDT"})),
    "margin_interest": ({}, _rows({**_INTEREST, "isolatedSymbol": ""})),
    "margin_transfers": (
        {},
        _rows(
            {
                "amount": "0.1",
                "asset": "BNB",
                "status": "CONFIRMED",
                "timestamp": T // 1_000,
                "txId": 52_001,
                "type": "ROLL_IN",
                "transFrom": "SPOT",
                "transTo": "ISOLATED_MARGIN",
                "fromSymbol": "",
                "toSymbol": "BNBUSDT",
            },
            {
                "amount": "2.00000000",
                "asset": "ADA",
                "status": "CONFIRMED",
                "timestamp": T // 1_000,
                "txId": 5_200_000_002,
                "type": "ROLL_IN",
            },
        ),
    ),
    "margin_dust": (
        {"accountType": "MARGIN"},
        {
            "total": 1,
            "userAssetDribblets": [
                {
                    "operateTime": T,
                    "totalTransferedAmount": "0.002",
                    "totalServiceChargeAmount": "0.00004",
                    "transId": 45_000_000_002,
                    "userAssetDribbletDetails": [],
                }
            ],
        },
    ),
    "margin_trades": (
        {"symbol": "BTCUSDT", "isIsolated": "FALSE"},
        [{**_FILL, "isBestMatch": True, "isBuyer": False, "isMaker": False, "isIsolated": False}],
    ),
    "margin_liquidations": (
        {},
        _rows(
            {
                "avgPrice": "0.003",
                "executedQty": "31",
                "orderId": 180_001,
                "price": "0.003",
                "qty": "31",
                "side": "SELL",
                "symbol": "BNBBTC",
                "timeInForce": "GTC",
                "isIsolated": True,
                "updatedTime": T,
            }
        ),
    ),
    "margin_small_liabilities": (
        {},
        _rows(
            {
                "asset": "ETH",
                "amount": "0.0008",
                "targetAsset": "USDC",
                "targetAmount": "2.4",
                "bizType": "EXCHANGE_SMALL_LIABILITY",
                "timestamp": T,
            }
        ),
    ),
    "margin_liquidation_loans": (
        {},
        _rows({"repayId": 1_234, "asset": "USDC", "amount": "300", "status": "SUCCESS", "createTime": T}),
    ),
}

DERIVATIVES: dict[str, Sample] = {
    "futures_income": ({}, [_INCOME]),
    "futures_coin_income": ({}, [{**_INCOME, "symbol": "", "incomeType": "TRANSFER", "asset": "BTC"}]),
    "futures_trades": ({"symbol": "BTCUSDT"}, [_FUTURES_FILL]),
    "futures_position_margin": (
        {"symbol": "BTCUSDT"},
        [
            {
                "symbol": "BTCUSDT",
                "type": 1,
                "deltaType": "USER_ADJUST",
                "amount": "23.3",
                "asset": "USDT",
                "time": T,
                "positionSide": "BOTH",
            }
        ],
    ),
    "futures_coin_trades": ({"symbol": "BTCUSD_PERP"}, [{**_FUTURES_FILL, "symbol": "BTCUSD_PERP"}]),
    "option_bills": (
        {"currency": "USDT"},
        [{"id": 1_125_000_000_000_000_001, "asset": "USDT", "amount": "-0.5", "type": "FEE", "createDate": T}],
    ),
    "option_exercises": (
        {},
        [
            {
                "id": "1125000000000000002",
                "currency": "USDT",
                "symbol": "BTC-261127-60000-C",
                "exercisePrice": "60000",
                "quantity": "1",
                "amount": "0",
                "fee": "0",
                "createDate": T,
                "priceScale": 2,
                "quantityScale": 2,
                "optionSide": "CALL",
                "positionSide": "LONG",
                "quoteAsset": "USDT",
            }
        ],
    ),
    "option_trades": (
        {"symbol": "BTC-261127-60000-C"},
        [
            {
                "id": 4_610_000_000_000_000_001,
                "tradeId": 239,
                "orderId": 4_610_000_000_000_000_002,
                "symbol": "BTC-261127-60000-C",
                "price": "100",
                "quantity": "1",
                "fee": "-1.0",
                "realizedProfit": "0",
                "side": "BUY",
                "type": "LIMIT",
                "liquidity": "TAKER",
                "time": T,
                "priceScale": 2,
                "quantityScale": 2,
                "optionSide": "CALL",
                "quoteAsset": "USDT",
            }
        ],
    ),
    "pm_futures_income": ({}, [_INCOME]),
    "pm_futures_coin_income": ({}, [{**_INCOME, "asset": "BTC"}]),
    "pm_loans": (
        {"asset": "BNB"},
        _rows({"txId": 12_800_001, "asset": "BNB", "principal": "0.8", "timestamp": T, "status": "CONFIRMED"}),
    ),
    "pm_repayments": ({"asset": "BNB"}, _rows(_REPAID)),
    "pm_margin_interest": ({}, _rows(_INTEREST)),
    "pm_negative_interest": (
        {},
        [
            {
                "asset": "USDT",
                "interest": "24.4",
                "interestAccuredTime": T,
                "interestRate": "0.0001",
                "principal": "210000",
            }
        ],
    ),
    "pm_negative_exchanges": (
        {},
        {
            "total": 1,
            "rows": [
                {
                    "startTime": T,
                    "endTime": LATER,
                    "details": [{"asset": "ETH", "negativeBalance": Decimal("1.1"), "negativeMaxThreshold": 5}],
                }
            ],
        },
    ),
    "pm_pro_loans": ({}, _rows({"asset": "USDT", "amount": "404.8", "repayTime": T})),
}

_FUTURES_ACCOUNT = {
    "email": DESK,
    "assets": [
        {
            "asset": "USDT",
            "initialMargin": "0",
            "maintenanceMargin": "0",
            "marginBalance": "88.5",
            "maxWithdrawAmount": "88",
            "openOrderInitialMargin": "0",
            "positionInitialMargin": "0",
            "unrealizedProfit": "0.5",
            "walletBalance": "88",
        }
    ],
    "canDeposit": True,
    "canTrade": True,
    "canWithdraw": True,
    "feeTier": 2,
    "updateTime": T,
}
_POSITION = {
    "positionId": 123,
    "projectId": "Axs*90",
    "asset": "AXS",
    "amount": "122",
    "purchaseTime": T,
    "duration": "60",
    "accrualDays": "4",
    "rewardAsset": "AXS",
    "APY": "0.2",
    "rewardAmt": "5.1",
    "nextPay": "1.2",
    "nextPayDate": LATER,
    "payPeriod": "1",
    "rewardsEndDate": LATER,
    "deliverDate": LATER,
    "redeemingAmt": "3",
    "redeemTo": "SPOT",
    "canRedeemEarly": True,
    "autoSubscribe": True,
    "type": "NORMAL",
    "status": "HOLDING",
}

BALANCES: dict[str, Sample] = {
    "spot_snapshots": ({"type": "SPOT"}, _snapshot("spot")),
    "margin_snapshots": ({"type": "MARGIN"}, _snapshot("margin")),
    "futures_snapshots": ({"type": "FUTURES"}, _snapshot("futures")),
    "managed_snapshots": ({"type": "SPOT", "email": DESK}, _snapshot("spot")),
    "spot_account": (
        {},
        {
            "makerCommission": 15,
            "takerCommission": 15,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {"maker": "0.0015", "taker": "0.0015", "buyer": "0", "seller": "0"},
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": T,
            "accountType": "SPOT",
            "balances": [{"asset": "BTC", "free": "4.5", "locked": "0.5"}],
            "permissions": ["SPOT"],
            "uid": 354,
        },
    ),
    "funding_assets": ({}, [_HOLDING]),
    "flexible_positions": (
        {},
        _rows(
            {
                "totalAmount": "75.5",
                "tierAnnualPercentageRate": {"0-5BTC": Decimal("0.05")},
                "latestAnnualPercentageRate": "0.02",
                "yesterdayAirdropPercentageRate": "0.02",
                "asset": "USDT",
                "airDropAsset": "BETH",
                "canRedeem": True,
                "collateralAmount": "2",
                "productId": "USDT001",
                "yesterdayRealTimeRewards": "0.1",
                "cumulativeBonusRewards": "0.2",
                "cumulativeRealTimeRewards": "0.2",
                "cumulativeTotalRewards": "0.4",
                "autoSubscribe": True,
            }
        ),
    ),
    "locked_positions": (
        {},
        _rows(
            {
                **_POSITION,
                "parentPositionId": 122,
                "extraRewardAsset": "BNB",
                "extraRewardAPR": "0.02",
                "estExtraRewardAmt": "5",
                "boostRewardAsset": "AXS",
                "boostApr": "0.01",
                "totalBoostRewardAmt": "3",
                "redeemAmountEarly": "120",
                "redeemPeriod": "1",
                "partialAmtDeliverDate": LATER,
                "canFastRedemption": True,
                "canReStake": True,
            }
        ),
    ),
    "onchain_positions": (
        {},
        _rows({**_POSITION, "rewardsPayDate": str(LATER), "nextSubscriptionDate": str(LATER)}),
    ),
    "margin_account": (
        {},
        {
            "created": True,
            "borrowEnabled": True,
            "marginLevel": "11",
            "collateralMarginLevel": "3",
            "totalAssetOfBtc": "6",
            "totalLiabilityOfBtc": "1",
            "totalNetAssetOfBtc": "5",
            "TotalCollateralValueInUSDT": "5",
            "totalOpenOrderLossInUSDT": "5",
            "tradeEnabled": True,
            "transferInEnabled": True,
            "transferOutEnabled": True,
            "accountType": "MARGIN_1",
            "userAssets": [_MARGIN_HOLDING],
        },
    ),
    "isolated_account": (
        {},
        {
            "assets": [
                {
                    "baseAsset": {**_MARGIN_HOLDING, "asset": "BTC", "totalAsset": "10", "borrowEnabled": True},
                    "quoteAsset": {**_MARGIN_HOLDING, "totalAsset": "10", "repayEnabled": True},
                    "symbol": "BTCUSDT",
                    "isolatedCreated": True,
                    "enabled": True,
                    "marginLevel": "0",
                    "marginLevelStatus": "EXCESSIVE",
                    "marginRatio": "0",
                    "indexPrice": "60000",
                    "liquidatePrice": "1000",
                    "liquidateRate": "1",
                    "tradeEnabled": True,
                }
            ],
            "totalAssetOfBtc": "0",
        },
    ),
    "futures_balance": (
        {},
        [
            {
                "accountAlias": "Sg",
                "asset": "USDT",
                "balance": "1226.5",
                "crossWalletBalance": "23",
                "crossUnPnl": "-1.5",
                "availableBalance": "23",
                "maxWithdrawAmount": "23",
                "marginAvailable": True,
                "updateTime": T,
            }
        ],
    ),
    "futures_coin_balance": (
        {},
        [
            {
                "accountAlias": "Sg",
                "asset": "BTC",
                "balance": "0.25",
                "withdrawAvailable": "0.2",
                "crossWalletBalance": "0.2",
                "crossUnPnl": "0.01",
                "availableBalance": "0.2",
                "updateTime": T,
            }
        ],
    ),
    "option_account": (
        {},
        {
            "asset": [
                {
                    "asset": "USDT",
                    "marginBalance": "1009.5",
                    "equity": "1004.5",
                    "available": "872",
                    "initialMargin": "108",
                    "maintMargin": "15",
                    "unrealizedPNL": "-5",
                    "adjustedEquity": "34",
                }
            ],
            "greek": [],
            "time": T,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "reduceOnly": False,
            "tradeGroupId": -1,
        },
    ),
    "portfolio_margin_balance": (
        {},
        [
            {
                "asset": "USDT",
                "totalWalletBalance": "103",
                "crossMarginAsset": "92.3",
                "crossMarginBorrowed": "10",
                "crossMarginFree": "100",
                "crossMarginInterest": "0.7",
                "crossMarginLocked": "3",
                "umWalletBalance": "0",
                "umUnrealizedPNL": "2",
                "cmWalletBalance": "0",
                "cmUnrealizedPNL": "",
                "updateTime": T,
                "negativeBalance": "0",
            }
        ],
    ),
    "sub_assets": (
        {"email": DESK},
        {"balances": [{"freeze": "0", "withdrawing": "0", "asset": "ADA", "free": "100", "locked": "0"}]},
    ),
    "sub_margin_account": (
        {"email": DESK},
        {
            "email": DESK,
            "marginLevel": "11",
            "totalAssetOfBtc": "6",
            "totalLiabilityOfBtc": "1",
            "totalNetAssetOfBtc": "5",
            "marginTradeCoeffVo": {"forceLiquidationBar": "1.1"},
            "marginUserAssetVoList": [_MARGIN_HOLDING],
        },
    ),
    "sub_futures_account": ({"email": DESK, "futuresType": "1"}, {"futureAccountResp": _FUTURES_ACCOUNT}),
    "sub_futures_coin_account": ({"email": DESK, "futuresType": "2"}, {"deliveryAccountResp": _FUTURES_ACCOUNT}),
}

REFERENCE: dict[str, Sample] = {
    "exchange_info": (
        {},
        {
            "timezone": "UTC",
            "serverTime": T,
            "rateLimits": [],
            "exchangeFilters": [],
            "symbols": [
                {
                    "symbol": "ETHBTC",
                    "status": "TRADING",
                    "baseAsset": "ETH",
                    "quoteAsset": "BTC",
                    "isSpotTradingAllowed": True,
                    "isMarginTradingAllowed": True,
                    "permissions": [],
                    "permissionSets": [["SPOT"]],
                }
            ],
        },
    ),
    "klines": (
        {"symbol": "BTCUSDT", "interval": "1d"},
        [
            [
                ms("2026-11-02T00:00:00"),
                "1",
                "2",
                "1",
                "60000",
                "9",
                ms("2026-11-02T23:59:59.999"),
                "9",
                50,
                "1",
                "1",
                "0",
            ]
        ],
    ),
}

SAMPLES: dict[str, Sample] = {
    **SPOT,
    **TRANSFERS,
    **EARN,
    **LOANS,
    **MARGIN,
    **DERIVATIVES,
    **BALANCES,
    **REFERENCE,
}


def sample(stream: str, call: Mapping[str, str] | None = None, account: str = MAIN, **changes: Any) -> RawRecord:
    """A record of the stream in its documented shape, with these fields changed."""
    asked, answer = SAMPLES[stream]
    content = dict(BY_NAME[stream].rows(answer)[0]) | changes
    return record(stream, content, {**asked, **(call or {})}, account)
