"""Numbers that look random and follow from a seed alone, the same on every machine and in every release of Python."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

from recon_pipeline.sandbox.binance.money import floor8

T = TypeVar("T")
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Dice:
    """A stream of numbers (splitmix64). `fork` gives another stream, which no draw from this one disturbs."""

    def __init__(self, *names: object) -> None:
        self._name = "/".join(str(name) for name in names)
        self._state = int.from_bytes(hashlib.blake2b(self._name.encode(), digest_size=8).digest(), "big")

    def fork(self, *names: object) -> Dice:
        """Another stream that depends on the seed and these names alone."""
        return Dice(self._name, *names)

    def bits(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + _GOLDEN) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both inclusive."""
        return low + self.bits() % (high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases."""
        return self.bits() % 100 < percent

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices; LookupError if there is none."""
        if not choices:
            raise LookupError("there is nothing to choose from")
        return choices[self.bits() % len(choices)]

    def some(self, choices: Sequence[T], count: int) -> list[T]:
        """So many different ones of the choices, in random order."""
        pool = list(choices)
        for place in range(min(count, len(pool))):
            other = self.between(place, len(pool) - 1)
            pool[place], pool[other] = pool[other], pool[place]
        return pool[:count]

    def part(self, amount: Decimal, low: int, high: int) -> Decimal:
        """From low to high thousandths of the amount, in 8 decimals, rounded down."""
        return floor8(amount * self.between(low * 1000, high * 1000) / 1_000_000)

    def amount(self, low: str, high: str, decimals: int = 8) -> Decimal:
        """An amount from low to high with so many decimals."""
        unit = Decimal(1).scaleb(-decimals)
        steps = int((Decimal(high) - Decimal(low)) / unit)
        return Decimal(low) + unit * self.between(0, steps)

    def hex(self, digits: int) -> str:
        """So many hexadecimal digits."""
        return "".join(f"{self.bits():016x}" for _ in range(-(-digits // 16)))[:digits]
