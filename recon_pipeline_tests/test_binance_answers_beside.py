"""What the venue is asked besides its streams: every endpoint has a documented answer, and each is understood.

The shapes are those of the facts sheet (§1, §4) and of the vendor's pages Check Server Time, Get API Key Permission,
Account info, Query Sub-account List, Query Sub-account Transaction Statistics and Current Open Orders.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.accounts import account_info, products
from recon_pipeline.venues.binance.dialect import BinanceDialect
from recon_pipeline.venues.binance.family import _SUB_ROWS
from recon_pipeline.venues.binance.idle import _ROWS, _begins
from recon_pipeline.venues.binance.keycheck import check_key
from recon_pipeline.venues.binance.streams import BY_NAME, STREAMS
from recon_pipeline_tests.binance_samples import SAMPLES
from recon_pipeline_tests.transport_venue import MAIN, asked_alone, told

RIGHTS = {
    "ipRestrict": True, "createTime": 1698645219000, "enableReading": True, "enableWithdrawals": False,
    "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False, "permitsUniversalTransfer": False,
    "enableVanillaOptions": False, "enableSpotAndMarginTrading": False, "enablePortfolioMarginTrading": False,
    "enableFixApiTrade": False, "enableFixReadOnly": True,
}  # fmt: skip
VOLUME = {"btc": 0, "btcFutures": 0, "btcMargin": 0, "busd": 0, "busdFutures": 0, "busdMargin": 0}
ANSWERS: dict[Endpoint, Any] = {
    e.TIME: {"serverTime": 1499827319559},
    e.API_RESTRICTIONS: RIGHTS,
    e.ACCOUNT_INFO: {
        "vipLevel": 0, "isMarginEnabled": True, "isFutureEnabled": True, "isOptionsEnabled": False,
        "isPortfolioMarginRetailEnabled": False,
    },
    e.SUB_ACCOUNTS: {
        "subAccounts": [
            {
                "subUserId": 123456, "email": "desk@example.com", "remark": "", "isFreeze": False,
                "createTime": 1544433328000, "isManagedSubAccount": False, "isAssetManagementSubAccount": False,
            }
        ]
    },
    e.SUB_STATISTICS: {
        **dict.fromkeys((f"recent30{name}Total" for name in ("Btc", "BtcFutures", "BtcMargin", "Busd")), "0"),
        "tradeInfoVos": [{"userId": 1000138138384, **VOLUME, "date": 1676851200000}],
    },
    e.OPEN_ORDERS: SAMPLES["spot_orders"][1],
}  # fmt: skip
READ: dict[Endpoint, Callable[[Any], object]] = {
    e.TIME: BinanceDialect().server_time,
    e.ACCOUNT_INFO: lambda answer: products(account_info(answer)) >= {"margin", "futures"},
    e.SUB_ACCOUNTS: lambda answer: [row["email"] for row in _SUB_ROWS(answer)],
    e.SUB_STATISTICS: lambda answer: [_begins(row) for row in _ROWS(answer)],
    e.OPEN_ORDERS: lambda answer: len(BY_NAME["spot_orders"].rows(answer)),
}
UNDERSTOOD = {
    e.TIME: datetime(2017, 7, 12, 2, 41, 59, 559000, UTC),
    e.ACCOUNT_INFO: True,
    e.SUB_ACCOUNTS: ["desk@example.com"],
    e.SUB_STATISTICS: [datetime(2023, 2, 20, tzinfo=UTC)],
    e.OPEN_ORDERS: 1,
}


def test_every_endpoint_that_is_read_has_a_documented_answer() -> None:
    assert {*e.ENDPOINTS} - {stream.endpoint for stream in STREAMS} == {*ANSWERS}
    assert {*READ} | {e.API_RESTRICTIONS} == {*ANSWERS}


@pytest.mark.parametrize("endpoint", READ, ids=str)
def test_a_documented_answer_is_understood(endpoint: Endpoint) -> None:
    assert READ[endpoint](ANSWERS[endpoint]) == UNDERSTOOD[endpoint]


@pytest.mark.postgres
def test_the_documented_rights_of_a_key_are_understood(database: str, tmp_path: Path) -> None:
    with asked_alone(e.API_RESTRICTIONS, database, tmp_path) as (venue, client):
        venue.plan(told(ANSWERS[e.API_RESTRICTIONS]))
        rights = check_key(client, MAIN)
        assert (rights.is_bound_to_addresses, rights.unknown) == (True, ())
