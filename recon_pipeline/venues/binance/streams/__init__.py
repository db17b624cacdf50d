"""Every stream of Binance: one entry for each list that moves, states or explains a balance.

The table says what is asked and how; `recon_pipeline.venues.binance.mapping` says what it means.
"""

from __future__ import annotations

from types import MappingProxyType

from recon_pipeline.venues.binance.streams.balances import BALANCES
from recon_pipeline.venues.binance.streams.derivatives import DERIVATIVES
from recon_pipeline.venues.binance.streams.earn import EARN
from recon_pipeline.venues.binance.streams.loans import LOANS
from recon_pipeline.venues.binance.streams.margin import MARGIN
from recon_pipeline.venues.binance.streams.reference import REFERENCE
from recon_pipeline.venues.binance.streams.shapes import UnexpectedAnswer, content_key, instant_of
from recon_pipeline.venues.binance.streams.spot import SPOT
from recon_pipeline.venues.binance.streams.transfers import TRANSFERS
from recon_pipeline.venues.streams import Call, Stream

__all__ = [
    "BY_NAME",
    "STREAMS",
    "WITHOUT_ID",
    "UnexpectedAnswer",
    "content_key",
    "instant_of",
    "klines_call",
    "symbol_call",
]

STREAMS: tuple[Stream, ...] = (
    *SPOT,
    *TRANSFERS,
    *EARN,
    *LOANS,
    *MARGIN,
    *DERIVATIVES,
    *BALANCES,
    *REFERENCE,
)
BY_NAME: MappingProxyType[str, Stream] = MappingProxyType({stream.name: stream for stream in STREAMS})
WITHOUT_ID: frozenset[str] = frozenset(
    {
        "rebates",
        "mining_earnings",
        "mining_bonuses",
        "mining_account_earnings",
        "flexible_rewards",
        "locked_rewards",
        "onchain_rewards",
        "soft_staking_rewards",
        "bfusd_subscriptions",
        "bfusd_redemptions",
        "bfusd_rewards",
        "rwusd_subscriptions",
        "rwusd_redemptions",
        "rwusd_rewards",
        "eth_staking",
        "eth_redemptions",
        "eth_wraps",
        "eth_unwraps",
        "eth_rewards",
        "sol_staking",
        "sol_redemptions",
        "sol_rewards",
        "sol_boost_rewards",
        "flexible_loan_borrows",
        "flexible_loan_repayments",
        "flexible_loan_adjustments",
        "flexible_loan_liquidations",
        "margin_small_liabilities",
        "futures_position_margin",
        "pm_pro_loans",
    }
)
"""Streams whose records have no id of their own: their key is what they say, less what may change.

Of equal keys within one drained window the second needs `#2`, the third `#3`, in the order in which they came.
"""


def symbol_call(symbol: str, **others: str) -> Call:
    """The call of a stream that is asked a symbol at a time: spot_trades, allocations, margin_trades and the like."""
    return {"symbol": symbol, **others}


def klines_call(symbol: str) -> Call:
    """The call for the daily prices of a symbol."""
    return {"symbol": symbol, "interval": "1d"}
