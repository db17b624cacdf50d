"""What positions have not realised, recomputed from what a snapshot states of each: size, entry price and mark."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.cells import Malformed

_DELIVERED_ON = re.compile(r"_\d{6}$", re.ASCII)
"""BTCUSDT_260327 is the contract that is delivered on that day; its money is that of BTCUSDT."""


def unrealised_at_marks(positions: Iterable[Mapping[str, Any]], assets: Collection[str]) -> Mapping[str, str]:
    """The sum of size x (mark - entry) for each of the assets that the snapshot lists, exact; 0 without a position.

    Raises Malformed where one cannot be computed, or may be of any asset: then no sum is known.
    """
    sums = dict.fromkeys(assets, "0")
    for position in positions:
        symbol, size = cells.name_of(position, "symbol"), cells.amount(position, "positionAmt")
        if cells.is_zero(size):  # whatever asset it is of, and whatever its prices, it adds nothing
            continue
        move = cells.minus(cells.amount(position, "markPrice"), cells.amount(position, "entryPrice"))
        asset = _margin_asset(symbol, assets)
        sums[asset] = cells.total(sums[asset], cells.product(size, move))
    return {asset: cells.fitting(amount) for asset, amount in sums.items()}


def _margin_asset(symbol: str, assets: Collection[str]) -> str:
    """The asset in which a market pays: what its name ends in. BTCFDUSD ends in USD too: the longest one counts."""
    market = _DELIVERED_ON.sub("", symbol)
    found = [asset for asset in assets if market.endswith(asset) and market != asset]
    if not found:
        raise Malformed(f"the symbol {symbol} ends in no asset of the snapshot")
    return max(found, key=len)
