"""A seeded world of statements, written as a lake: flows, snapshots, prices and coverage, with planted differences.

    python -m benchmarks.generator ROOT --flows 10000000 --cut anywhere

writes ROOT/lake and ROOT/manifest.json. One day is made at a time, and the same Spec gives the same bytes. What is
true of the world and what its files say differ only where the plan has it so; the manifest lists each such place.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np

from benchmarks.exact import Ints, add_by, from_attos, normalised, to_amount, to_attos, zeros
from benchmarks.flows import Draws, Flows
from benchmarks.manifest import Difference, Gap, Manifest, PriceGap
from benchmarks.pages import Pages
from benchmarks.plan import Flags, Plan, make_plan
from benchmarks.world import Spec, World, make_world
from recon_pipeline.frames.schema import QUARANTINE
from recon_pipeline.stores.lake import Lake

COMMIT_DAYS = 16
SILENT_DAYS = 5
"""A price that is not renewed for so long is stale from the third day on."""


def generate(root: Path, spec: Spec) -> Manifest:
    """Write the lake under `root`/lake and the manifest beside it; `root` should be empty or absent."""
    rng = np.random.default_rng(spec.seed)
    world = make_world(spec, rng)
    plan = make_plan(spec, world, rng)
    manifest = Manifest(spec.venue, spec.accounts, spec.positions, days=spec.dates, gaps=_gaps(spec, world, plan))
    draws = Draws(spec, world, plan, rng)
    life = Life.begin(world, plan, draws)
    with Lake(str(root / "lake")).write("benchmark") as write:
        write.put_quarantine(spec.venue, QUARANTINE.empty_table())
        pages = Pages(write, spec, world, plan)
        _put_prices(pages, manifest, rng)
        for day in range(spec.days):
            transfers, trades = draws.day(day)
            life.move(day, transfers, trades)
            transfers = life.with_planted(day, transfers)
            pages.transfers(day, transfers)
            pages.trades(day, trades)
            statement = life.state(day)
            pages.balances(day, np.flatnonzero(statement.listed), statement.actual)
            pages.coverage(day)
            manifest.flows += len(transfers) + len(trades)
            manifest.rows.append(statement.rows)
            manifest.differences += [_difference(spec, world, day, told) for told in statement.differences]
            if day % COMMIT_DAYS == COMMIT_DAYS - 1:
                write.commit()
        write.commit()
    manifest.save(root)
    return manifest


@dataclass(frozen=True)
class Told:
    """A statement that disagrees with the flows; amounts in 10^-18."""

    position: int
    cause: str
    variance: int
    actual: int


@dataclass(frozen=True)
class Statement:
    """A day's snapshots: which positions stand in them, with what, and what must come of it."""

    listed: Flags
    actual: Ints
    rows: int
    differences: list[Told]


@dataclass
class Life:
    """What is true after a day, and what each wallet's last snapshot said."""

    world: World
    plan: Plan
    truth: Ints
    carry: Ints
    """Flows after the position's cut: they happened, and belong to the next window."""
    stated: Ints
    listed: Flags
    wrong: dict[int, Told] = field(default_factory=dict)
    """Statements of the last snapshot that were wrong: the next window takes them back."""

    @classmethod
    def begin(cls, world: World, plan: Plan, draws: Draws) -> Life:
        """Every position holds some thousand times its usual flow, with a tail of decimals; newcomers nothing."""
        count = len(world.asset)
        truth = draws.magnitudes(np.arange(count))
        truth[0] += world.units_max[world.asset] * draws.rng.integers(1_000, 20_000, count)
        truth[:, plan.opens > 0] = 0
        return cls(world, plan, truth, zeros(count), zeros(count), np.zeros(count, np.bool_))

    def move(self, day: int, *parts: Flows) -> None:
        """Let the day's flows happen: up to each account's cut now, the rest carried into the next window."""
        count = len(self.world.asset)
        cut_us = self.plan.cut_us[day][self.world.account]
        now, later = self.carry, zeros(count)
        for part in parts:
            inside = part.at_us <= cut_us[part.position]
            now = now + add_by(part.position[inside], part.amount[:, inside], count)
            later = later + add_by(part.position[~inside], part.amount[:, ~inside], count)
        self.truth, self.carry = normalised(self.truth + now), normalised(later)

    def with_planted(self, day: int, flows: Flows) -> Flows:
        """Let what is planted for the day happen, and add to the transfers what the files tell of it."""
        told: list[tuple[int, int, int]] = []
        for position, attos in self.plan.deposits.items():
            if self.plan.opens[position] == day:
                # The first instant that the window can hold, whatever the cut before.
                told.append((position, 0, attos))
                self._happens(position, attos)
        for position in np.flatnonzero(self.plan.closes == day).tolist():
            if held := to_attos(self.truth, position):
                # The last instant that the window holds: the cut is inclusive.
                told.append((position, self._cut_us(day, position), -held))
                self._happens(position, -held)
        for planted in self.plan.planted[day]:
            if planted.cause in ("lost_flow", "doubled_flow", "appeared", "dust"):
                self._happens(planted.position, planted.attos)
            if planted.cause == "doubled_flow":
                told += 2 * [(planted.position, self._cut_us(day, planted.position) // 2, planted.attos)]
        if not told:
            return flows
        return Flows(
            position=np.concatenate([flows.position, [position for position, _, _ in told]]),
            at_us=np.concatenate([flows.at_us, [at_us for _, at_us, _ in told]]),
            amount=np.concatenate([flows.amount, *(from_attos(attos) for _, _, attos in told)], axis=1),
            number=np.concatenate([flows.number, len(flows) + np.arange(len(told))]),
            leg=np.concatenate([flows.leg, [int(attos < 0) for _, _, attos in told]]),
        )

    def state(self, day: int) -> Statement:
        """Make the day's snapshots of what is true, but for what is planted."""
        present = self.plan.snapshot[day][self.world.wallet]
        listed = (self.plan.opens <= day) & (day < self.plan.closes) & present
        actual = self.truth.copy()
        variances = {told.position: (f"{told.cause}_taken_back", -told.variance) for told in self.wrong.values()}
        self.wrong.clear()
        for planted in self.plan.planted[day]:
            position = planted.position
            variance = -planted.attos if planted.cause == "doubled_flow" else planted.attos
            if planted.cause == "absent":
                listed[position] = False
                variance = -to_attos(self.truth, position)
            if planted.cause in ("absent", "misstated"):
                actual[:, [position]] = normalised(actual[:, [position]] + from_attos(variance))
                self.wrong[position] = Told(position, planted.cause, variance, 0)
            variances[position] = (planted.cause, variance)
        actual[:, ~listed] = 0
        rows = int((listed | (present & self.stated.any(axis=0)) | (~present & self.listed)).sum())
        self.stated = np.where(present, actual, self.stated)
        self.listed = np.where(present, listed, self.listed)
        told = [Told(p, cause, variance, to_attos(actual, p)) for p, (cause, variance) in variances.items() if variance]
        return Statement(listed, actual, rows, told)

    def _cut_us(self, day: int, position: int) -> int:
        return int(self.plan.cut_us[day, self.world.account[position]])

    def _happens(self, position: int, attos: int) -> None:
        self.truth[:, [position]] = normalised(self.truth[:, [position]] + from_attos(attos))


def _difference(spec: Spec, world: World, day: int, told: Told) -> Difference:
    """The row that must come out."""
    variance = to_amount(told.variance)
    if abs(variance) <= spec.tolerance:
        status, kind = "matched", "precision"
    elif told.actual == 0:
        status, kind = "variance", "missing_at_venue"
    else:
        status, kind = "variance", "missing_in_books" if told.actual == told.variance else "mismatch"
    account, wallet = world.wallets[world.wallet[told.position]]
    asset = world.assets[world.asset[told.position]].name
    return Difference(
        date=spec.dates[day],
        account=world.accounts[account],
        wallet=wallet,
        asset=asset,
        cause=told.cause,
        status=status,
        discrepancy_type=kind,
        variance=variance,
    )


def _gaps(spec: Spec, world: World, plan: Plan) -> list[Gap]:
    """The wallets' days that must come out `incomplete`."""
    gaps = []
    for flags, kind in ((~plan.snapshot, "missing_snapshot"), (plan.holed, "coverage_hole")):
        for day, wallet in np.argwhere(flags).tolist():
            account, name = world.wallets[wallet]
            gaps.append(Gap(spec.dates[day], world.accounts[account], name, kind))
    return sorted(gaps)


def _put_prices(pages: Pages, manifest: Manifest, rng: np.random.Generator) -> None:
    """A price a day and asset at 23:59, but for planted silences and zeros; list what must come of those."""
    spec, assets = pages.spec, pages.world.assets
    priced = [asset for asset in assets if asset.price is not None]
    silent_from = {asset.name: int(rng.integers(1, spec.days)) for asset in priced[1::8]}
    zero_on = {asset.name: int(rng.integers(1, spec.days)) for asset in priced[2::8]}
    for day, when in enumerate(spec.dates):
        rows: list[dict[str, object]] = []
        as_of = datetime(when.year, when.month, when.day, 23, 59, tzinfo=UTC)
        for asset in assets:
            quiet_days = day - silent_from.get(asset.name, spec.days)
            is_zero = zero_on.get(asset.name) == day
            if asset.price is None or is_zero:
                manifest.price_gaps.append(PriceGap(when, asset.name, "missing"))
            elif 2 <= quiet_days < SILENT_DAYS:
                # The last price is then more than 72 hours older than the end of the day.
                manifest.price_gaps.append(PriceGap(when, asset.name, "stale"))
            if asset.price is not None and not 0 <= quiet_days < SILENT_DAYS:
                factor = Decimal(int(rng.integers(900, 1101))).scaleb(-3)
                price = Decimal(0) if is_zero else (asset.price * factor).quantize(Decimal(1).scaleb(-18))
                rows.append({"asset": asset.name, "as_of": as_of, "usd_price": price})
        pages.prices(day, rows)


def main() -> None:
    """Make a world from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generator", description="Make a world of statements.")
    parser.add_argument("root", type=Path, help="an empty or absent folder")
    parser.add_argument("--cut", choices=("instant", "anywhere"), default=Spec.cut)
    sizes = ("flows", "days", "positions", "accounts", "seed")
    plants = ("differences", "missing_snapshots", "coverage_holes", "newcomers", "leavers")
    for name in (*sizes, *plants):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Spec, name))
    arguments = vars(parser.parse_args())
    root: Path = arguments.pop("root")
    manifest = generate(root, Spec(**arguments))
    print(f"{manifest.flows:,} flows, {sum(manifest.rows):,} rows expected, {len(manifest.differences)} differences")


if __name__ == "__main__":
    main()
