"""What an endpoint of the sandbox is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from recon_pipeline.sandbox.binance.api.call import Answer, Call
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


def at(
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
    """An endpoint, its bucket chosen by its host."""
    host = path.split("/")[1]
    bucket = HOSTS[host] if host in HOSTS else sapi(path, per)
    return Served(method, path, weight, bucket, answer, frozenset(params.split()), is_signed, product, whose)
