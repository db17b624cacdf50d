"""How much a caller may ask: weights per minute of the clock, by IP address or by account, and bans for the careless.

Facts sheet §2. /api is one bucket for each IP; every endpoint of /sapi has one of its own, by IP or by UID; the futures
and options hosts have one each. A request that would pass the allowance is refused, and counted all the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

MINUTE_US = 60_000_000
REFUSALS_BEFORE_BAN = 10
"""So many requests refused within one minute of the clock are no accident: the next answer is a ban."""
_BAN_US = 2 * MINUTE_US
_BAN_LONGEST_US = 3 * 24 * 60 * MINUTE_US


@dataclass(frozen=True)
class Bucket:
    """An allowance of weight per minute."""

    name: str
    limit: int
    per: str
    """`ip` or `uid`."""
    header: str
    bans: bool = False


def sapi(path: str, per: str) -> Bucket:
    """The bucket of one endpoint of /sapi."""
    if per == "uid":
        return Bucket(path, 180_000, "uid", "X-SAPI-USED-UID-WEIGHT-1M")
    return Bucket(path, 12_000, "ip", "X-SAPI-USED-IP-WEIGHT-1M")


HOSTS = {
    name: Bucket(f"/{name}", limit, "ip", "X-MBX-USED-WEIGHT-1M", bans=True)
    for name, limit in (("api", 6000), ("fapi", 2400), ("dapi", 2400), ("eapi", 400), ("papi", 6000))
}


@dataclass(frozen=True)
class Drawn:
    """What became of a request for weight."""

    used: int
    is_over: bool
    retry_after_s: int


@dataclass
class Meter:
    """Counts the weights, and remembers the bans."""

    _used: defaultdict[tuple[str, str, int], int] = field(default_factory=lambda: defaultdict(int))
    _refused: defaultdict[tuple[str, str, int], int] = field(default_factory=lambda: defaultdict(int))
    _bans: dict[tuple[str, str], int] = field(default_factory=dict)
    _offences: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def draw(self, bucket: Bucket, who: str, weight: int, now_us: int) -> Drawn:
        """Count a request; it is over if it passes the allowance of this minute."""
        minute = now_us // MINUTE_US
        key = (bucket.name, who, minute)
        self._used[key] += weight
        used = self._used[key]
        if used <= bucket.limit:
            return Drawn(used, False, 0)
        self._refused[key] += 1
        if bucket.bans and self._refused[key] > REFUSALS_BEFORE_BAN:
            self.ban(bucket.name, who, now_us)
        rest_us = (minute + 1) * MINUTE_US - now_us
        return Drawn(used, True, max(1, -(-rest_us // 1_000_000)))

    def ban(self, family: str, who: str, now_us: int) -> int:
        """Ban an address: two minutes the first time, twice as long each time after, at most three days."""
        if self.banned_until(family, who, now_us) is None:
            length = min(_BAN_US << min(self._offences[family, who], 12), _BAN_LONGEST_US)
            self._offences[family, who] += 1
            self._bans[family, who] = now_us + length
        return self._bans[family, who]

    def banned_until(self, family: str, who: str, now_us: int) -> int | None:
        """The end of the ban that holds now; None if none does."""
        until = self._bans.get((family, who), 0)
        return until if until > now_us else None
