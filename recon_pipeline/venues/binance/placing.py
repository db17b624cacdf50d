"""In which wallet a flow counts whose record states none.

It is booked where the account usually has such flows, and marked. It is moved only where that closes two wallets
exactly, to the last decimal of every coin that it moved, over windows whose feeds were complete, and where no other
such flow may explain any of it. Each run decides all of them anew, as if nothing had been decided, and stores what
differs from what stands: so a record that comes late is decided by the run that reads it, and one that another speaks
against is taken back by the run that reads the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.frames.schema import FRAMES
from recon_pipeline.stores.raw import RawStore
from recon_pipeline.venues.binance.mapping import Mapped, Unplaced
from recon_pipeline.venues.binance.mapping.cells import EXACT
from recon_pipeline.venues.binance.reading import Read
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.windows import Window, Windows, days_that_close

CANDIDATES = ("SPOT", "FUNDING", "EARN")
"""Wallets between which a record without one may lie."""


@dataclass(frozen=True)
class Decision:
    """A record's wallet (None: as it is booked without one), and what it rests on."""

    record_digest: str
    wallet: str | None
    evidence: Mapping[str, object]


@dataclass(frozen=True)
class Flow:
    """What an unplaced record moved, coin by coin: when, and how much."""

    unplaced: Unplaced
    moved: Mapping[str, Sequence[tuple[datetime, Decimal]]]
    back: Mapping[str, Sequence[tuple[datetime, Decimal]]] = field(default_factory=dict)
    """What came back of a record that nothing has placed: it proves nothing, and another one may seem to be it."""

    @property
    def wallets(self) -> Sequence[str]:
        """Where it may have taken place: its usual wallet first."""
        told = (self.unplaced.usual, *CANDIDATES, self.unplaced.wallet)
        return list(dict.fromkeys(told))


@dataclass(frozen=True)
class _Case:
    """That a flow took place in another wallet than the usual one, and nothing speaks against it."""

    wallet: str
    explained: frozenset[Window]
    """The windows, here and there, that are off by exactly what it moved in them."""
    is_proven: bool
    """Whether these are all that hold any of it, and each is closed."""


def place_flows(raw: RawStore, read: Read, reconciled: Callable[[Reading, Collection[date]], pa.Table]) -> int:
    """Decide every flow anew and store what differs from what stands; how many decisions that were. `reconciled` tells
    the rows of the reconciliation of a reading on some days."""
    flows, placed = flows_of(read.open), raw.evidence()
    standing = {digest: wallet for digest, (wallet, _) in placed.items()}
    raw.note_assumed({each.raw_id: (each.usual, each.fixed) for each in read.open.unplaced})
    if not flows and not standing:
        return 0
    reading = as_usual(read)
    days = days_that_close(reading, _instants(flows))
    windows = Windows(reconciled(reading, days), reading.quarantine, {asset for flow in flows for asset in flow.moved})
    found = decisions(flows, windows, standing, _told_otherwise(flows, placed))
    for decision in found:
        raw.decide(decision.record_digest, decision.wallet, decision.evidence)
    return len(found)


def decisions(
    flows: Iterable[Flow],
    windows: Windows,
    standing: Mapping[str, str],
    told_otherwise: Mapping[str, Decision] = MappingProxyType({}),
) -> list[Decision]:
    """What has to be stored, so that what stands is what the windows call for; `windows` are those of a reading in
    which nothing is decided, `standing` are the wallets of records, by digest, and `told_otherwise` what was decided of
    a record as it was told before, by its digest of now.

    A flow is placed where that is proven, and no window that it would explain may be explained by another one, by what
    came back of another one, or by the same one in a third wallet. What stands and is neither proven nor contradicted,
    because a feed of its windows has a hole by now, goes on standing, in whatever words the record is told since.
    """
    by_digest = {flow.unplaced.raw_id: flow for flow in flows}
    cases = {digest: _cases(flow, windows) for digest, flow in by_digest.items()}
    rivals = [rival for digest, flow in by_digest.items() for rival in _rivals(flow, cases[digest], windows)]
    claims = Counter(window for of_flow in [*cases.values(), rivals] for case in of_flow for window in case.explained)
    found = []
    for digest in sorted(by_digest.keys() | standing.keys()):
        stands, of_flow, before = standing.get(digest), cases.get(digest, []), told_otherwise.get(digest)
        held = stands or (before.wallet if before else None)
        alone = [case for case in of_flow if all(claims[window] == 1 for window in case.explained)]
        chosen = next((case for case in alone if case.is_proven), None)
        if chosen is None and any(case.wallet == held for case in alone):
            found += [Decision(digest, held, before.evidence)] if before and stands is None else []
        elif chosen is not None and chosen.wallet != stands:
            found.append(Decision(digest, chosen.wallet, _evidence(by_digest[digest], chosen.explained)))
        elif chosen is None and stands is not None:
            case = next((case for case in of_flow if case.wallet == stands), None)
            found.append(Decision(digest, None, {"why": _why(by_digest.get(digest), case)}))
    # what is taken over comes first: who is killed between the two has lost nothing
    return sorted(found, key=lambda each: each.wallet is None)


def _told_otherwise(
    flows: Iterable[Flow], placed: Mapping[str, tuple[str, Mapping[str, Any]]]
) -> Mapping[str, Decision]:
    """What was decided of records that are told in other words now, by the digest of these."""
    digests = {_named(flow): flow.unplaced.raw_id for flow in flows}
    found = {}
    for former, (wallet, evidence) in sorted(placed.items()):
        digest = digests.get(tuple(evidence.get(name) for name in ("account", "stream", "record")))
        if digest is not None and digest != former:
            found[digest] = Decision(former, wallet, evidence)
    return found


def _named(flow: Flow) -> tuple[Any, ...]:
    return flow.unplaced.account, flow.unplaced.stream, flow.unplaced.key


def _rivals(flow: Flow, cases: Iterable[_Case], windows: Windows) -> list[_Case]:
    """What came back of a flow that is not placed, wherever that may have been."""
    wallets = {case.wallet for case in cases}
    of_back = _cases(replace(flow, moved=flow.back), windows) if flow.back else []
    return [case for case in of_back if case.wallet in wallets]


def _cases(flow: Flow, windows: Windows) -> list[_Case]:
    """Every other wallet in which nothing speaks against it."""
    usual, *others = flow.wallets
    here = _left_by(flow, usual, windows, is_missing=True)
    if _is_contradicted(here):
        return []
    there = {wallet: _left_by(flow, wallet, windows) for wallet in others}
    return [_case(wallet, here, left) for wallet, left in there.items() if not _is_contradicted(left)]


_Left = Mapping[str, Mapping[Window | None, Decimal]]
"""By coin, what each window is off by if a flow is in the wrong wallet; None stands for those that are not known."""


def _left_by(flow: Flow, wallet: str, windows: Windows, *, is_missing: bool = False) -> _Left:
    left: dict[str, dict[Window | None, Decimal]] = {}
    for asset, moved in flow.moved.items():
        of_coin = left[asset] = defaultdict(Decimal)
        for at, amount in moved:
            window = windows.holding(flow.unplaced.account, wallet, asset, at)
            of_coin[window] = EXACT.add(of_coin[window], amount.copy_negate() if is_missing else amount)
    return left


def _is_contradicted(left: _Left) -> bool:
    """Whether a closed window is off by something else."""
    told = (each for of_coin in left.values() for each in of_coin.items())
    return any(window is not None and window.is_closed and window.amount != amount for window, amount in told)


def _case(wallet: str, here: _Left, there: _Left) -> _Case:
    """A coin is explained only if all its windows in both wallets agree: what is not known proves nothing."""
    explained: set[Window] = set()
    is_proven = True
    for asset in here:
        sides = [*here[asset].items(), *there[asset].items()]
        of_coin = {window for window, amount in sides if window is not None and window.amount == amount}
        if len(of_coin) == len(sides):
            explained |= {window for window in of_coin if window.amount}
            is_proven &= all(window.is_closed for window in of_coin)
        else:
            is_proven = False
    return _Case(wallet, frozenset(explained), is_proven and len({window.wallet for window in explained}) == 2)


def flows_of(mapped: Mapped) -> list[Flow]:
    """What the records that state no wallet moved; not those of their rows whose wallet is known all the same."""
    rows = defaultdict(list)
    for row in (*mapped.transfers, *mapped.trades):
        rows[row["raw_id"]].append(row)
    flows = []
    for each in {each.raw_id: each for each in mapped.unplaced}.values():
        moved = _by_asset(row for row in rows[each.raw_id] if _is_movable(row, each))
        back = _by_asset(row for row in rows[each.raw_id] if each.decided is None and _is_following(row, each))
        flows += [Flow(each, moved, back)] if moved else []
    return flows


def _by_asset(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Sequence[tuple[datetime, Decimal]]]:
    moved: dict[str, list[tuple[datetime, Decimal]]] = defaultdict(list)
    for row in rows:
        moved[row["asset"]].append((row["datetime"], Decimal(row["amount"])))
    return moved


def _is_movable(row: Mapping[str, Any], unplaced: Unplaced) -> bool:
    """Whether it lies where the record is placed, and tells where that is."""
    is_fixed = row["external_id"] in unplaced.fixed
    return row["wallet"] == unplaced.wallet and not is_fixed and not _is_following(row, unplaced)


def _is_following(row: Mapping[str, Any], unplaced: Unplaced) -> bool:
    """Whether it lies where the record is placed, wherever that is."""
    return row["external_id"] in unplaced.following


def _instants(flows: Iterable[Flow]) -> Mapping[tuple[str, str], set[datetime]]:
    """When something was moved in each wallet of an account, if every flow took place wherever it may have."""
    instants: dict[tuple[str, str], set[datetime]] = defaultdict(set)
    for flow in flows:
        for wallet in flow.wallets:
            of_flow = (*flow.moved.values(), *flow.back.values())
            instants[flow.unplaced.account, wallet] |= {at for moved in of_flow for at, _ in moved}
    return instants


def as_usual(read: Read) -> Reading:
    """The reading as it would be if nothing had been decided."""
    moved = {each.raw_id: each for each in read.open.unplaced if each.wallet != each.usual}
    if not moved:
        return read.reading
    frames = dict(read.reading.frames)
    for name in ("transfers", "trades"):
        is_moved = pc.is_in(frames[name]["raw_id"], pa.array(sorted(moved), pa.string()))
        rows = [_taken_back(row, moved[row["raw_id"]]) for row in frames[name].filter(is_moved).to_pylist()]
        taken_back = pa.Table.from_pylist(rows, schema=frames[name].schema)
        whole = pa.concat_tables([frames[name].filter(pc.invert(is_moved)), taken_back])
        frames[name] = whole.sort_by([(column, "ascending") for column in FRAMES[name].order])
    return replace(read.reading, frames=frames)


def _taken_back(row: dict[str, Any], unplaced: Unplaced) -> dict[str, Any]:
    return {**row, "wallet": unplaced.usual} if _is_movable(row, unplaced) else row


def _evidence(flow: Flow, explained: Iterable[Window]) -> Mapping[str, object]:
    amounts = {asset: reduce(EXACT.add, (amount for _, amount in moved)) for asset, moved in flow.moved.items()}
    windows = ([each.wallet, each.asset, each.start.isoformat(), each.end.isoformat()] for each in explained)
    return {
        "account": flow.unplaced.account,
        "stream": flow.unplaced.stream,
        "record": flow.unplaced.key,
        "day": min(at for moved in flow.moved.values() for at, _ in moved).date().isoformat(),
        "booked_in": flow.unplaced.usual,
        "amounts": {asset: format(amounts[asset], "f") for asset in sorted(amounts)},
        "windows": sorted(windows),
    }


def _why(flow: Flow | None, case: _Case | None) -> str:
    if flow is None:
        return "the record does not count any more, or states its wallet"
    if case is None:
        return "its two wallets are not off by what it moved alone any more"
    return "another flow without a wallet, or a third wallet, would explain the same"
