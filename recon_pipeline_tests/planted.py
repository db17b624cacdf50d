"""A true world and what is planted in it: ledgers of which one knows beforehand every row that must not be green.

The world is consistent to the last decimal: every snapshot is what the flows before it make. Then differences are
planted, each in positions and days of its own, and each written into the manifest as the rows that it must change:
position, day, status, type, amount. Every row that the manifest does not name must be an opening or matched to zero.
The seed decides all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from random import Random

from recon_pipeline_tests.oracle import (
    EXACT,
    FLOW_FRAMES,
    ZERO,
    Balance,
    Coverage,
    Flow,
    Ledger,
    Position,
    Price,
    Quarantined,
    Row,
    Settings,
    ToleranceRule,
    Wallet,
)

FIRST_DAY = date(2026, 3, 2)
TOLERANCE = Decimal("1e-8")
TOLERANCES = (ToleranceRule(None, "DUST", ZERO, 5), ToleranceRule(None, None, TOLERANCE, 6))
PRICES = {
    "BTC": Decimal("64321.987654321"),
    "USD": Decimal(1),
    "SHIB": Decimal("0.000012345678901234"),
    "DUST": Decimal("1e-18"),
    "NEW": Decimal("3.5"),
}
SIZES = {
    "BTC": Decimal("12.5"),
    "USD": Decimal("25000"),
    "SHIB": Decimal("98765432109876.5"),
    "DUST": Decimal("3e-18"),
    "NEW": Decimal(7),
}
MOVES = (
    ("transfers", "transfer_in", 1),
    ("transfers", "transfer_out", -1),
    ("transfers", "txn_fee", -1),
    ("transfers", "unknown", -1),
    ("trades", "buy", 1),
    ("trades", "sell", -1),
    ("trades", "trade_fee", -1),
)
MICRO = timedelta(microseconds=1)

Manifest = dict[tuple[date, Position], "Mark"]


@dataclass(frozen=True)
class Mark:
    """What a planted difference makes of one row. `amount` is variance_in_asset: null where nothing is tested."""

    plant: str
    status: str
    discrepancy_type: str
    amount: Decimal | None


@dataclass
class World:
    """The ledger in the making; `taken` are the positions and day numbers on which something is planted already."""

    random: Random
    days: int
    wallets: list[Wallet]
    flows: list[Flow] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    quarantine: list[Quarantined] = field(default_factory=list)
    manifest: Manifest = field(default_factory=dict)
    taken: set[tuple[Position, int]] = field(default_factory=set)

    @property
    def positions(self) -> list[Position]:
        return [Position(w.account, w.wallet, asset) for w in self.wallets for asset in PRICES]

    def mark(self, position: Position, number: int, mark: Mark) -> None:
        self.manifest[day_of(number), position] = mark

    def take(self, positions: Iterable[Position], number: int) -> bool:
        """Reserve these positions from the day before to the day after next; False if any is taken."""
        cells = {(p, n) for p in positions for n in range(number - 1, number + 3)}
        if cells & self.taken:
            return False
        self.taken |= cells
        return True


def day_of(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def cut(number: int, position: Position | None = None) -> datetime:
    """When the snapshot of a day is true: at its end, or for a position of EARN at an instant of its own."""
    end = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) + timedelta(days=number + 1) - MICRO
    if position is None or position.wallet == "SPOT":
        return end
    return end - timedelta(minutes=7 * (list(PRICES).index(position.asset) + 1))


def planted_ledger(seed: int, accounts: int = 6, days: int = 24, of_each: int = 5) -> tuple[Ledger, Manifest]:
    """A consistent ledger with differences of each kind planted in it, and the rows that they must change."""
    with localcontext(EXACT):
        return _planted_ledger(seed, accounts, days, of_each)


def _planted_ledger(seed: int, accounts: int, days: int, of_each: int) -> tuple[Ledger, Manifest]:
    names = [f"account{n}" for n in range(accounts)]
    wallets = [Wallet(account, wallet) for account in names for wallet in ("SPOT", "EARN")]
    world = World(Random(seed), days, wallets)  # noqa: S311 - a seed is what it is for
    _live(world)
    for plant in PLANTS:
        for _ in range(of_each):
            plant(world)
    far = timedelta(days=400)
    world.coverage += [Coverage(name, "*", None, cut(0) - far, cut(days) + far, "complete") for name in names]
    ledger = Ledger(
        settings=Settings(start=FIRST_DAY, tolerances=TOLERANCES),
        as_of_day=day_of(days + 30),
        days=tuple(day_of(n) for n in range(days)),
        balances=tuple(world.balances),
        flows=tuple(world.flows),
        flow_partitions=frozenset((frame, day_of(n)) for frame in FLOW_FRAMES for n in range(-1, days + 1)),
        coverage=tuple(world.coverage),
        prices=tuple(Price("v", asset, cut(n), price, "p") for asset, price in PRICES.items() for n in range(days)),
        quarantine=tuple(world.quarantine),
    )
    return ledger, world.manifest


def faults(rows: dict[date, list[Row]], manifest: Manifest) -> list[str]:
    """Planted differences that were not found as they are, and rows that are not green though nothing was planted."""
    found = {(day, Position(r.account, r.wallet, r.asset)): r for day in rows for r in rows[day]}
    lines = []
    for (day, position), mark in manifest.items():
        row = found.get((day, position))
        seen = row and (row.status, row.discrepancy_type, row.variance_in_asset)
        if seen != (mark.status, mark.discrepancy_type, mark.amount):
            lines.append(f"{day} {position}: planted {mark}, found {seen}")
    for (day, position), row in found.items():
        is_green = row.status == "opening" or (row.status == "matched" and row.variance_in_asset == 0)
        if (day, position) not in manifest and not is_green:
            lines.append(f"{day} {position}: nothing planted, found {row.status} {row.discrepancy_type}")
    return lines


# --- the true world ---------------------------------------------------------------------------------------------


def _live(world: World) -> None:
    """Flows at random instants, some on the very cut, and snapshots that state what they make."""
    for position in world.positions:
        held = ZERO if position.asset == "NEW" else SIZES[position.asset] * world.random.randint(100, 900)
        for number in range(world.days):
            moves = [_move(world, position, number) for _ in range(world.random.choice((0, 0, 1, 3)))] if number else []
            if position.asset == "NEW":
                moves = []
            world.flows += moves
            held += sum((m.amount for m in moves), ZERO)
            if position.asset != "NEW":
                world.balances.append(_stated(position, number, held))


def _move(world: World, position: Position, number: int) -> Flow:
    begin, end = cut(number - 1, position), cut(number, position)
    when = world.random.choice((begin + MICRO, end, begin + (end - begin) * world.random.random()))
    frame, subtype, sign = world.random.choice(MOVES)
    parts = Decimal(world.random.randint(1, 10**6)) if position.asset != "DUST" else Decimal(10**6)
    amount = sign * SIZES[position.asset] * parts.scaleb(-6)
    reversal = -1 if world.random.random() < 0.1 else 1
    return Flow(frame, position.account, position.wallet, position.asset, when, subtype, reversal * amount)


def _stated(position: Position, number: int, amount: Decimal) -> Balance:
    return Balance(
        account=position.account,
        wallet=position.wallet,
        asset=position.asset,
        as_of=cut(number, position),
        date=day_of(number),
        snapshot_id=f"close {number}",
        read_at=cut(number),
        raw_balance=amount,
    )


# --- the plants -------------------------------------------------------------------------------------------------


def _a_flow(world: World) -> tuple[int, int] | None:
    """A flow in reach of nothing planted yet: its index, and the number of the day whose window holds it."""
    for _ in range(200):
        index = world.random.randrange(len(world.flows))
        flow = world.flows[index]
        position = Position(flow.account, flow.wallet, flow.asset)
        number = next(n for n in range(world.days) if flow.datetime <= cut(n, position))
        if 2 <= number < world.days - 3 and flow.amount and world.take([position], number):
            return index, number
    return None


def _a_cell(world: World, asset: str | None = None) -> tuple[Position, int] | None:
    """A position and a day in reach of nothing planted yet."""
    for _ in range(200):
        position = world.random.choice([p for p in world.positions if p.asset == (asset or p.asset)])
        number = world.random.randrange(2, world.days - 3)
        if (asset or position.asset != "NEW") and world.take([position], number):
            return position, number
    return None


def _balance_at(world: World, position: Position, number: int) -> int:
    key = (*dataclasses.astuple(position), day_of(number))
    return next(n for n, b in enumerate(world.balances) if (b.account, b.wallet, b.asset, b.date) == key)


def _of(flow: Flow) -> Position:
    return Position(flow.account, flow.wallet, flow.asset)


def _forgotten_flow(world: World) -> None:
    if found := _a_flow(world):
        flow = world.flows.pop(found[0])
        world.mark(_of(flow), found[1], Mark("forgotten flow", "variance", "mismatch", flow.amount))


def _doubled_flow(world: World) -> None:
    if found := _a_flow(world):
        flow = world.flows[found[0]]
        world.flows.append(flow)
        world.mark(_of(flow), found[1], Mark("doubled flow", "variance", "mismatch", -flow.amount))


def _wrong_amount(world: World) -> None:
    if found := _a_flow(world):
        flow = world.flows[found[0]]
        world.flows[found[0]] = dataclasses.replace(flow, amount=-flow.amount)
        world.mark(_of(flow), found[1], Mark("wrong sign", "variance", "mismatch", 2 * flow.amount))


def _dated_a_window_later(world: World) -> None:
    if found := _a_flow(world):
        index, number = found
        flow = world.flows[index]
        world.flows[index] = dataclasses.replace(flow, datetime=cut(number, _of(flow)) + MICRO)
        world.mark(_of(flow), number, Mark("dated late", "variance", "mismatch", flow.amount))
        world.mark(_of(flow), number + 1, Mark("dated late", "variance", "mismatch", -flow.amount))


def _misstated_balance(world: World) -> None:
    if found := _a_cell(world):
        position, number = found
        index = _balance_at(world, position, number)
        off = Decimal("0.000000010000000001")
        balance = world.balances[index]
        world.balances[index] = dataclasses.replace(balance, raw_balance=balance.raw_balance + off)
        world.mark(position, number, Mark("misstated", "variance", "mismatch", off))
        world.mark(position, number + 1, Mark("misstated", "variance", "mismatch", -off))


def _rounded_balance(world: World) -> None:
    if found := _a_cell(world, world.random.choice(("BTC", "USD", "SHIB"))):
        position, number = found
        index = _balance_at(world, position, number)
        balance = world.balances[index]
        world.balances[index] = dataclasses.replace(balance, raw_balance=balance.raw_balance + TOLERANCE)
        world.mark(position, number, Mark("rounded", "matched", "precision", TOLERANCE))
        world.mark(position, number + 1, Mark("rounded", "matched", "precision", -TOLERANCE))


def _vanished_asset(world: World) -> None:
    """A snapshot leaves the asset out: zero at its read_at, so that flows up to then count."""
    if found := _a_cell(world, "USD"):
        position, number = found
        held = world.balances.pop(_balance_at(world, position, number)).raw_balance
        held += _moved(world, position, cut(number, position), cut(number))
        world.mark(position, number, Mark("vanished", "variance", "missing_at_venue", -held))
        moved = _moved(world, position, cut(number), cut(number + 1, position))
        kind = "mismatch" if moved else "missing_in_books"
        world.mark(position, number + 1, Mark("vanished", "variance", kind, held))


def _moved(world: World, position: Position, since: datetime, until: datetime) -> Decimal:
    return sum((f.amount for f in world.flows if _of(f) == position and since < f.datetime <= until), ZERO)


def _new_asset(world: World) -> None:
    """An asset that no flow explains, stated from one day on."""
    if found := _a_cell(world, "NEW"):
        position, number = found
        if any(
            b.account == position.account and b.asset == "NEW" and b.wallet == position.wallet for b in world.balances
        ):
            return
        world.balances += [_stated(position, n, SIZES["NEW"]) for n in range(number, world.days)]
        world.mark(position, number, Mark("new", "variance", "missing_in_books", SIZES["NEW"]))


def _missing_snapshot(world: World) -> None:
    """A day without a snapshot of the wallet: the next window reaches back over it, and finds all well."""
    wallet = world.random.choice(world.wallets)
    positions = [p for p in world.positions if p.pocket == wallet]
    for number in world.random.sample(range(2, world.days - 3), world.days - 5):
        if world.take(positions, number):
            day = day_of(number)
            before = {b.asset for b in world.balances if b.date == day_of(number - 1) and _wallet_of(b) == wallet}
            world.balances = [b for b in world.balances if not (b.date == day and _wallet_of(b) == wallet)]
            for position in positions:
                if position.asset in before:
                    world.mark(position, number, Mark("no snapshot", "incomplete", "missing_snapshot", None))
            return


def _wallet_of(balance: Balance) -> Wallet:
    return Wallet(balance.account, balance.wallet)


def _quarantined_balance(world: World) -> None:
    if found := _a_cell(world):
        position, number = found
        refused = world.balances.pop(_balance_at(world, position, number))
        world.quarantine.append(
            Quarantined("balances", position.account, position.wallet, position.asset, date=refused.date)
        )
        world.mark(position, number, Mark("refused balance", "incomplete", "quarantined_balance", None))


def _quarantined_flow(world: World) -> None:
    """The row says by how much the window does not add up; whether that is all, nobody knows."""
    if found := _a_flow(world):
        index, number = found
        flow = world.flows.pop(index)
        position = _of(flow)
        world.quarantine.append(Quarantined(flow.frame, flow.account, flow.wallet, flow.asset, flow.datetime))
        world.mark(position, number, Mark("refused flow", "incomplete", "quarantined_flow", flow.amount))


def _hole_in_coverage(world: World) -> None:
    """A feed that failed for one asset of the account, over an hour of one window of each of its wallets."""
    account = world.random.choice(world.wallets).account
    asset = world.random.choice(("BTC", "USD", "SHIB", "DUST"))
    positions = [p for p in world.positions if (p.account, p.asset) == (account, asset)]
    for number in world.random.sample(range(2, world.days - 3), world.days - 5):
        if world.take(positions, number):
            noon = cut(number - 1) + timedelta(hours=12)
            hole = Coverage(account, world.random.choice(FLOW_FRAMES), asset, noon, noon + timedelta(hours=1), "failed")
            world.coverage.append(hole)
            for position in positions:
                world.mark(position, number, Mark("hole", "incomplete", "coverage_hole", ZERO))
            return


# a new asset comes first: whether a later plant finds it in a snapshot must be settled by then
PLANTS: tuple[Callable[[World], None], ...] = (
    _new_asset,
    _forgotten_flow,
    _doubled_flow,
    _wrong_amount,
    _dated_a_window_later,
    _misstated_balance,
    _rounded_balance,
    _vanished_asset,
    _missing_snapshot,
    _quarantined_balance,
    _quarantined_flow,
    _hole_in_coverage,
)
