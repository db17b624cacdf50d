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
from recon_pipeline.venues.binance.streams.shapes import content_key, instant_of
from recon_pipeline.venues.binance.streams.spot import SPOT
from recon_pipeline.venues.binance.streams.transfers import TRANSFERS
from recon_pipeline.venues.streams import Call, Stream

__all__ = [
    "BY_NAME",
    "STREAMS",
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


def symbol_call(symbol: str, **others: str) -> Call:
    """The call of a stream that is asked a symbol at a time: spot_trades, allocations, margin_trades and the like."""
    return {"symbol": symbol, **others}


def klines_call(symbol: str) -> Call:
    """The call for the daily prices of a symbol."""
    return {"symbol": symbol, "interval": "1d"}
