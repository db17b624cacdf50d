"""The flows of one day as whole columns of integers: positions by zipf, instants anywhere in the day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.exact import Ints
from benchmarks.plan import DAY_US, Flags, Plan
from benchmarks.world import Spec, World


@dataclass(frozen=True)
class Flows:
    """Rows of one flow frame and day, unordered: position, microseconds into the day, amount, number and leg."""

    position: Ints
    at_us: Ints
    amount: Ints
    number: Ints
    leg: Ints
    """Index into the frame's kinds: in, out, fee of a transfer; buy, fee, sell of a trade."""

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class Draws:
    """Draws flows and amounts of a world; the same sequence of calls gives the same rows."""

    spec: Spec
    world: World
    plan: Plan
    rng: np.random.Generator

    def magnitudes(self, position: Ints, small: Flags | bool = False) -> Ints:
        """Amounts above zero in the size and decimals of each position's asset; one in 256 is as small as can be.

        Where `small` is true, less than one unit.
        """
        asset = self.world.asset[position]
        units = self.rng.integers(0, self.world.units_max[asset] + 1) // 10 ** self.rng.integers(0, 5, len(asset))
        nano = self.rng.integers(0, 10**9, len(asset))
        atto = self.rng.integers(0, 10**9, len(asset))
        nano -= nano % self.world.step_nano[asset]
        atto -= atto % self.world.step_atto[asset]
        amounts = np.stack([np.where(small, 0, units), nano, atto])
        dust = self.rng.integers(0, 256, len(asset)) == 0
        return np.where(dust | ~amounts.any(axis=0), self.world.smallest[:, asset], amounts)

    def day(self, day: int) -> tuple[Flows, Flows]:
        """The day's transfers (three rows in ten) and the three legs of each of its fills."""
        total = self.spec.flows // self.spec.days + (day < self.spec.flows % self.spec.days)
        fills = (total * 7 // 10) // 3
        return self._transfers(day, total - 3 * fills), self._trades(day, fills)

    def _transfers(self, day: int, count: int) -> Flows:
        position = self._positions(day, self.world.weight_any, count)
        fee = self.rng.integers(0, 16, count) == 0
        sign = np.where(fee, -1, self.rng.choice(np.array([-1, 1]), count))
        amount = self.magnitudes(position, fee) * sign
        leg = np.where(fee, 2, np.where(sign < 0, 1, 0))
        return Flows(position, self.rng.integers(0, DAY_US, count), amount, np.arange(count), leg)

    def _trades(self, day: int, fills: int) -> Flows:
        base = self._positions(day, self.world.weight_fill, fills)
        quote = self.world.quote[base]
        buys = self.rng.integers(0, 2, fills) == 1
        # The legs stand in the text order of their names: buy, fee, sell. The fee is paid in the quote asset.
        position = np.stack([np.where(buys, base, quote), quote, np.where(buys, quote, base)], axis=1).ravel()
        leg = np.tile(np.arange(3), fills)
        amount = self.magnitudes(position, leg == 1) * np.where(leg == 0, 1, -1)
        at_us = np.repeat(self.rng.integers(0, DAY_US, fills), 3)
        return Flows(position, at_us, amount, np.repeat(np.arange(fills), 3), leg)

    def _positions(self, day: int, weight: Ints, count: int) -> Ints:
        """Positions by cumulative weight; what falls on one that is not open moves its wallet's quote asset."""
        drawn = np.searchsorted(weight, self.rng.integers(0, weight[-1], count), side="right")
        # A position's first day knows its deposit alone, its last day the withdrawal of everything.
        opens, closes = self.plan.opens, self.plan.closes
        is_open = ((opens == 0) | (opens < day)) & (day < closes)
        return np.where(is_open[drawn], drawn, self.world.quote[drawn])
