"""Streams that belong to no account: which symbols there are, and what they were worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from recon_pipeline.transport.errors import UnexpectedAnswer
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.streams.shapes import (
    as_asked,
    at,
    by,
    once,
    refuse_failure,
    stream,
    under,
)
from recon_pipeline.venues.streams import Content, Paging, Stream, Window

_GROUPS = ["SPOT", "MARGIN", "LEVERAGED", *(f"TRD_GRP_{number:03}" for number in range(2, 26))]
_LISTED_FOR = json.dumps(_GROUPS, separators=(",", ":"))
"""Every group of accounts that a market may be listed for (Spot API documentation, ENUM definitions): without them the
venue leaves out markets that only some accounts may trade in."""
KLINE = (
    "openTime",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "closeTime",
    "quoteVolume",
    "trades",
    "takerBaseVolume",
    "takerQuoteVolume",
)
"""What stands where in a kline, which the venue sends as a list."""


def klines(answer: Any) -> Sequence[Content]:
    """A kline is a list of values without names: here they get them. A twelfth value means nothing."""
    refuse_failure(answer)
    if not isinstance(answer, list) or not all(isinstance(row, list) and len(row) >= len(KLINE) for row in answer):
        raise UnexpectedAnswer("the body is not a list of klines", expected=f"lists of at least {len(KLINE)} values")
    return [dict(zip(KLINE, row, strict=False)) for row in answer]


REFERENCE: tuple[Stream, ...] = (
    stream(
        "exchange_info",
        e.EXCHANGE_INFO,
        "reference",
        "",
        "symbol status baseAsset baseAssetPrecision quoteAsset quotePrecision quoteAssetPrecision "
        "baseCommissionPrecision quoteCommissionPrecision orderTypes icebergAllowed ocoAllowed otoAllowed opoAllowed "
        "quoteOrderQtyMarketAllowed allowTrailingStop cancelReplaceAllowed amendAllowed pegInstructionsAllowed "
        "isSpotTradingAllowed isMarginTradingAllowed filters permissions permissionSets "
        "defaultSelfTradePreventionMode allowedSelfTradePreventionModes",
        rows=under("symbols"),
        key=by("symbol"),
        instant=at(),
        calls=once("spot", {"permissions": _LISTED_FOR, "showPermissionSets": "false"}),
        horizon=3,
        lag=0,
    ),
    stream(
        "klines",
        e.KLINES,
        "reference",
        "",
        " ".join(KLINE),
        rows=klines,
        key=by("symbol", "openTime"),
        instant=at("openTime"),
        calls=as_asked,
        window=Window("startTime", "endTime", timedelta(days=1_000)),
        paging=Paging("none", 1_000, "limit"),
        horizon=3,
        lag=5,
    ),
)
