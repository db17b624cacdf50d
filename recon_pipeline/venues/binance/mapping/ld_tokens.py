"""The tokens that stand in a SPOT balance for what lies in a flexible product: LDUSDT for USDT and so on.

EARN is read by itself, so they are taken out of SPOT: by a list of names, never by the two letters, for LDO is a coin.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from recon_pipeline.venues.streams import RawRecord

_USUAL = (
    "1INCH AAVE ADA ALGO APT ARB ATOM AVAX AXS BCH BNB BTC BUSD CAKE DAI DOGE DOT EGLD EOS ETC ETH FDUSD FIL FTM "
    "GALA GRT HBAR ICP INJ KSM LINK LTC MANA MATIC NEAR NEO OP PEPE POL SAND SEI SHIB SOL SUI TIA TON TRX TUSD "
    "TWT UNI USDC USDP USDT VET WIF WLD XLM XRP XTZ ZEC"
)
_QUIRKS = {"LDBAKET": "BAKE", "LDSHIB2": "SHIB"}
_COINS = frozenset({"LDO"})
UNDERLYING: dict[str, str] = {**{f"LD{asset}": asset for asset in _USUAL.split()}, **_QUIRKS}
"""The usual tokens; those of other assets are known once the asset was seen in a flexible product."""


OF_FLEXIBLE = "flexible_"
"""How the streams of flexible products are named."""


def assets_in_earn(records: Iterable[RawRecord]) -> frozenset[str]:
    """The assets that records of flexible products name: those of a flow, and those of every row of a capture."""
    told = [record.content for record in records if record.stream.startswith(OF_FLEXIBLE)]
    lists = (content.get("rows", [content]) for content in told)
    entries = (entry for rows in lists if isinstance(rows, list) for entry in rows if isinstance(entry, Mapping))
    return frozenset(asset for entry in entries if isinstance(asset := entry.get("asset"), str))


@dataclass(frozen=True)
class LdTokens:
    """The tokens to take out, and the assets that are listed, which are never taken for one."""

    seen: Collection[str]
    listed: Collection[str]

    def takes_out(self, asset: str) -> bool:
        """Whether the asset is such a token."""
        if asset in _COINS or asset in self.listed:
            return False
        return asset in UNDERLYING or (asset.startswith("LD") and asset[2:] in self.seen)

    def looks_like(self, asset: str) -> bool:
        """Whether it might be one: LD before an asset that is listed, and not listed itself."""
        return asset.startswith("LD") and asset not in _COINS | set(self.listed) and asset[2:] in self.listed
