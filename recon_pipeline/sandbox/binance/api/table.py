"""Every endpoint that the sandbox serves: its weight, whose key may ask it, what the account must have opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from recon_pipeline.sandbox.binance.api import account, market, spot, wallets
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.api.listing import Listing, bare
from recon_pipeline.sandbox.binance.api.refusals import Refusal
from recon_pipeline.sandbox.binance.life import capital
from recon_pipeline.sandbox.binance.limits import HOSTS, Bucket, sapi

Weight: TypeAlias = int | Callable[[dict[str, str]], int]


@dataclass(frozen=True)
class Served:
    """One endpoint."""

    method: str
    path: str
    weight: Weight
    bucket: Bucket
    answer: Callable[[Call], Answer]
    params: frozenset[str]
    """Those it knows: the hosts other than /sapi refuse any other."""
    is_signed: bool = True
    product: str | None = None
    whose: str = "any"
    """`any`, `main` or `sub`."""

    def cost(self, params: dict[str, str]) -> int:
        """What one request weighs."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


def _at(
    path: str,
    weight: Weight,
    answer: Callable[[Call], Answer],
    params: str = "",
    *,
    per: str = "ip",
    method: str = "GET",
    is_signed: bool = True,
    product: str | None = None,
    whose: str = "any",
) -> Served:
    host = path.split("/")[1]
    bucket = HOSTS[host] if host in HOSTS else sapi(path, per)
    return Served(method, path, weight, bucket, answer, frozenset(params.split()), is_signed, product, whose)


def _price_weight(params: dict[str, str]) -> int:
    return 2 if params.get("symbol") else 4


def _too_long_capital(days: int) -> Refusal:
    return Refusal(-4047, f"Time interval must be within 0-{days} days.")


_CAPITAL = {
    "page": "offset", "size": "limit", "size_default": 1000, "size_most": 1000, "default_days": 90,
    "longest_days": 90, "too_long": _too_long_capital, "envelope": bare,
}  # fmt: skip
_DEPOSITS = Listing(capital.DEPOSITS, filters={"coin": "coin", "status": "status", "txId": "txId"}, **_CAPITAL)  # type: ignore[arg-type]
_WITHDRAWALS = Listing(
    capital.WITHDRAWALS,
    filters={"coin": "coin", "status": "status", "withdrawOrderId": "withdrawOrderId"},
    **_CAPITAL,  # type: ignore[arg-type]
)

SPOT = (
    _at("/api/v3/time", 1, market.server_time, is_signed=False),
    _at("/api/v3/ping", 1, lambda call: {}, is_signed=False),
    _at("/api/v3/exchangeInfo", 20, market.exchange_info, "symbol symbols permissions showPermissionSets symbolStatus",
        is_signed=False),
    _at("/api/v3/klines", 2, market.klines, "symbol interval startTime endTime timeZone limit", is_signed=False),
    _at("/api/v3/ticker/price", _price_weight, market.ticker_price, "symbol symbols", is_signed=False),
    _at("/api/v3/account", 20, wallets.account_now, "omitZeroBalances"),
    _at("/api/v3/myTrades", spot.my_trades_weight, spot.my_trades, "symbol orderId startTime endTime fromId limit"),
)  # fmt: skip
WALLET = (
    _at("/sapi/v1/accountSnapshot", 2400, wallets.snapshots),
    _at("/sapi/v1/account/apiRestrictions", 1, account.restrictions),
    _at("/sapi/v1/account/info", 1, account.info),
    _at("/sapi/v1/account/status", 1, lambda call: {"data": "Normal"}),
    _at("/sapi/v1/system/status", 1, lambda call: {"status": 0, "msg": "normal"}, is_signed=False),
    _at("/sapi/v3/asset/getUserAsset", 5, wallets.user_assets, method="POST"),
    _at("/sapi/v1/asset/get-funding-asset", 1, wallets.funding_assets, method="POST"),
    _at(capital.DEPOSITS, 1, _DEPOSITS),
    _at(capital.WITHDRAWALS, 18_000, _WITHDRAWALS, per="uid"),
    _at("/sapi/v1/sub-account/list", 1, account.sub_accounts, whose="main"),
)

ENDPOINTS = {(served.method, served.path): served for served in (*SPOT, *WALLET)}
