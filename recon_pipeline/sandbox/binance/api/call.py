"""A request as the endpoints see it: who asks, when, and the parameters, read with the venue's own strictness."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.world import World

Answer: TypeAlias = Any
SIGNING = frozenset({"timestamp", "recvWindow", "signature"})
_LONGEST_NUMBER = 19


@dataclass(frozen=True)
class Call:
    """One question, already let in."""

    world: World
    path: str
    params: dict[str, str]
    now_us: int
    asker: Account | None
    key_kind: str = "good"

    @property
    def now_ms(self) -> int:
        """The venue's time, milliseconds."""
        return self.now_us // 1000

    @property
    def account(self) -> Account:
        """Who asks; only signed endpoints may look."""
        if self.asker is None:
            raise refusals.rejected_key()
        return self.asker

    def text(self, name: str, default: str | None = None) -> str | None:
        """A parameter as it stands; an empty one is no parameter."""
        return self.params.get(name) or default

    def need(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.params.get(name)
        if not value:
            raise refusals.missing(name)
        return value

    def number(self, name: str, default: int | None = None) -> int | None:
        """A whole number, or the default."""
        value = self.params.get(name)
        if value is None or value == "":
            return default
        if not value.isascii() or not value.isdigit() or len(value) > _LONGEST_NUMBER:
            raise refusals.malformed(name, "^[0-9]{1,20}$")
        return int(value)

    def one_of(self, name: str, choices: Iterable[str], default: str | None = None) -> str | None:
        """A parameter that must be one of the choices."""
        value = self.text(name, default)
        if value is not None and value not in choices:
            raise refusals.Refusal(-1130, f"Data sent for parameter '{name}' is not valid.")
        return value

    def moment_ms(self, name: str) -> int | None:
        """An instant in milliseconds; microseconds are taken for what they are."""
        value = self.number(name)
        return value // 1000 if value is not None and value > 10**14 else value
