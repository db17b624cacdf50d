"""Trouble on the way: what a network and a busy venue do to answers, by name, and always the same for one seed.

Whether a request is hit depends on the seed, the endpoint, the account and how many such requests there were; two in a
row are never hit, so asking again helps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from recon_pipeline.sandbox.binance.api.call import SIGNING
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.moments import HOUR_MS

BEFORE = ("timeout", "reset", "error_500", "error_503", "html", "ban")
"""Hit in place of the answer."""
AFTER = ("truncated", "malformed", "duplicated_page")
"""Hit the answer itself."""
ELSE = ("clock_skew", "zero_retry_after")
NAMES = (*BEFORE, *AFTER, *ELSE)
_PAGES = {"current": 1, "page": 1, "pageIndex": 1, "offset": 0, "fromId": 0, "recordId": 0, "lastId": 0}
_BANS_MOST = 2


@dataclass
class Trouble:
    """Decides which request is hit by what."""

    seed: int
    names: Collection[str] = ()
    percent: int = 3
    _seen: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    _was_hit: dict[tuple[str, str], bool] = field(default_factory=dict)
    _bans: int = 0

    def hit(self, path: str, key: str, params: dict[str, str]) -> str | None:
        """What the next request to an endpoint with a key is hit by; None in nearly every case."""
        possible = [name for name in self.names if name in (*BEFORE, *AFTER)]
        if not is_later_page(params):
            possible = [name for name in possible if name != "duplicated_page"]
        if not possible:
            return None
        place = (path, key)
        self._seen[place] += 1
        dice = Dice(self.seed, "trouble", path, key, self._seen[place])
        is_hit = dice.chance(self.percent) and not self._was_hit.get(place, False)
        self._was_hit[place] = is_hit
        name = dice.pick(possible) if is_hit else None
        if name == "ban":
            self._bans += 1
            return name if self._bans <= _BANS_MOST and path.startswith("/api/") else None
        return name

    def skew_us(self, now_us: int) -> int:
        """How far the venue's clock is off just now; it changes every six hours."""
        if "clock_skew" not in self.names:
            return 0
        dice = Dice(self.seed, "skew", now_us // (6 * HOUR_MS * 1000))
        return dice.pick((0, 0, 1_700, -2_500, -6_000, 900)) * 1000


def one_list(params: Mapping[str, str]) -> dict[str, str]:
    """What the pages of one list have in common. Where ids lead from page to page, the times are asked but once."""
    apart = {*_PAGES, *SIGNING, "startTime", "endTime"}
    return {name: value for name, value in params.items() if name not in apart}


def is_later_page(params: dict[str, str]) -> bool:
    """Whether a request asks for more than the first page."""
    return any(params.get(name, "").isdigit() and int(params[name]) > first for name, first in _PAGES.items())
