"""What will be done to a world: when snapshots are cut, which are left out, where feeds have holes, what disagrees."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from benchmarks.exact import ATTOS, Ints
from benchmarks.world import Spec, World

DAY_US = 86_400_000_000
HOLE_US = 1_800_000_000
STREAMS = ("transfers", "trades")
CAUSES = ("lost_flow", "doubled_flow", "misstated", "absent", "appeared", "dust")
"""Ways in which files and truth are made to disagree, taken in turn; benchmarks/README.md says what each does."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Hole:
    """A stretch (start, end] of one day, in microseconds, that a stream was not read for."""

    account: int
    stream: str
    day: int
    start_us: int

    @property
    def end_us(self) -> int:
        """Inclusive."""
        return self.start_us + HOLE_US


@dataclass(frozen=True)
class Planted:
    """One thing done to a position on a day; `attos` in 10^-18."""

    position: int
    cause: str
    attos: int


@dataclass
class Plan:
    """What happens when; days and positions are numbers."""

    cut_us: Ints
    """(days, accounts): the snapshot's instant within its day."""
    snapshot: Flags
    """(days, wallets): whether there is one."""
    holed: Flags
    """(days, wallets): whether the window that the day closes holds an instant that was not read."""
    opens: Ints
    closes: Ints
    """Per position: the first day on which it is stated, and the first on which it no longer is."""
    holes: list[Hole] = field(default_factory=list)
    planted: defaultdict[int, list[Planted]] = field(default_factory=lambda: defaultdict(list))
    deposits: dict[int, int] = field(default_factory=dict)
    """What newcomers open with, by position, in 10^-18."""


def make_plan(spec: Spec, world: World, rng: np.random.Generator) -> Plan:
    """Decide what goes wrong and where. No two things are planted so near that one would change the other's amount."""
    shape = (spec.days, spec.accounts)
    anywhere = spec.cut == "anywhere"
    cut = rng.integers(1_000_000, DAY_US, shape) if anywhere else np.full(shape, DAY_US - 1)
    snapshot = np.ones((spec.days, len(world.wallets)), dtype=np.bool_)
    gaps = rng.choice(snapshot[1:].size, spec.missing_snapshots, replace=False)
    snapshot[1:].reshape(-1)[gaps] = False
    slots = rng.choice((spec.days - 1) * spec.accounts, spec.coverage_holes, replace=False)
    holes = [
        Hole(
            account=slot % spec.accounts,
            stream=str(rng.choice(STREAMS)),
            day=1 + slot // spec.accounts,
            start_us=int(rng.integers(1, DAY_US - 2 * HOLE_US)),
        )
        for slot in slots.tolist()
    ]
    plan = Plan(
        cut_us=cut,
        snapshot=snapshot,
        holed=_holed(world, cut, snapshot, holes),
        opens=np.zeros(len(world.asset), dtype=np.int64),
        closes=np.full(len(world.asset), spec.days),
        holes=holes,
    )
    _plant(spec, world, plan, rng)
    return plan


def _holed(world: World, cut_us: Ints, snapshot: Flags, holes: list[Hole]) -> Flags:
    """Which windows a hole touches: (cut of the snapshot before, cut of this one] against (start, end]."""
    holed = np.zeros_like(snapshot)
    for hole in holes:
        start, end = hole.day * DAY_US + hole.start_us, hole.day * DAY_US + hole.end_us
        for wallet, (account, _) in enumerate(world.wallets):
            if account != hole.account:
                continue
            days = np.flatnonzero(snapshot[:, wallet])
            cuts = days * DAY_US + cut_us[days, account]
            holed[days[1:][(cuts[:-1] < end) & (cuts[1:] > start)], wallet] = True
    return holed


def _plant(spec: Spec, world: World, plan: Plan, rng: np.random.Generator) -> None:
    """Give each difference, newcomer and leaver a position of its own, and a day with a whole window there."""
    free = rng.permutation(np.flatnonzero(world.quote != np.arange(len(world.asset))))
    wanted = spec.differences + spec.newcomers + spec.leavers
    if wanted > len(free):
        raise ValueError(f"{wanted} things to plant, but only {len(free)} positions to plant them in")
    whole = plan.snapshot & ~plan.holed
    whole[0] = False
    for turn, position in enumerate(int(number) for number in free[: spec.differences]):
        wallet = world.wallet[position]
        days = np.flatnonzero(whole[:-1, wallet] & whole[1:, wallet])
        if not len(days):
            raise ValueError(
                f"{spec.days} days with {spec.missing_snapshots} snapshots missing leave no room to plant in"
            )
        after_gap = days[~plan.snapshot[days - 1, wallet]]
        day = int(rng.choice(after_gap if len(after_gap) else days))
        cause = CAUSES[turn % len(CAUSES)]
        plan.planted[day].append(Planted(position, cause, _attos(world, position, cause, rng)))
        if cause == "appeared":
            plan.opens[position] = day
    rest = free[spec.differences : wanted]
    days = rng.integers(1, spec.days, len(rest))
    newcomers, leavers = rest[: spec.newcomers], rest[spec.newcomers :]
    plan.opens[newcomers] = days[: spec.newcomers]
    plan.closes[leavers] = days[spec.newcomers :]
    plan.deposits.update({int(n): abs(_attos(world, int(n), "deposit", rng)) for n in newcomers})


def _attos(world: World, position: int, cause: str, rng: np.random.Generator) -> int:
    """The size of a difference: at least one whole unit of either sign, or one atto where dust is meant."""
    asset = world.assets[int(world.asset[position])]
    if cause == "dust":
        return 1
    step = int(10 ** (18 - asset.decimals))
    decimals = int(rng.integers(0, ATTOS // step)) * step
    sign = 1 if cause == "appeared" else int(rng.choice([-1, 1]))
    return sign * (int(rng.integers(1, asset.units_max + 1)) * ATTOS + decimals)
