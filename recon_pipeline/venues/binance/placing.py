"""In which wallet a flow counts whose record states none.

It is booked where the account usually has such flows, and marked. It is moved only where that closes two wallets
exactly, to the last decimal of every coin that it moved, over windows whose feeds were complete, and where no other
such flow would do the same. The decision is kept with its evidence, and withdrawn when the evidence no longer holds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from recon_pipeline.stores.raw import RawStore
from recon_pipeline.venues.binance.mapping import Mapped, Unplaced
from recon_pipeline.venues.binance.mapping.cells import EXACT
from recon_pipeline.venues.sources import Residual, Residuals

CANDIDATES = ("SPOT", "FUNDING", "EARN")
"""Wallets between which a record without one may lie."""


@dataclass(frozen=True)
class Decision:
    """A record's wallet (None: as it was booked), and what it rests on."""

    record_digest: str
    wallet: str | None
    evidence: Mapping[str, object]


@dataclass(frozen=True)
class _Moved:
    """What an unplaced record moved: amounts by coin, all on one day."""

    unplaced: Unplaced
    day: date
    amounts: Mapping[str, Decimal]


def place_flows(raw: RawStore, mapped: Mapped, residuals: Residuals) -> int:
    """Store every decision that the residuals call for; how many there are. They must be known for all
    `decided_days`."""
    found = decisions(mapped, residuals)
    for decision in found:
        raw.decide(decision.record_digest, decision.wallet, decision.evidence)
    return len(found)


def decided_days(mapped: Mapped) -> set[date]:
    """The days of the flows that were decided: there the evidence has to be looked at again."""
    return {each.day for each in _moved(mapped) if each.unplaced.is_decided}


def decisions(mapped: Mapped, residuals: Residuals) -> list[Decision]:
    """What has to be decided anew: flows to be moved, and decisions whose evidence is gone."""
    moved = _moved(mapped)
    withdrawn = [_withdrawal(each) for each in moved if each.unplaced.is_decided and not _still_holds(each, residuals)]
    found: list[tuple[_Moved, str]] = []
    for each in moved:
        if each.unplaced.is_decided:
            continue
        for wallet in CANDIDATES:
            if wallet != each.unplaced.wallet and _closes_both(each, wallet, residuals):
                found.append((each, wallet))
    # two records, or two wallets for one record, that would explain the same coin: nobody can say which it was
    claims = Counter(position for each, _ in found for position in _positions(each))
    alone = [(each, wallet) for each, wallet in found if all(claims[position] == 1 for position in _positions(each))]
    return withdrawn + [_decision(each, wallet) for each, wallet in alone]


def _positions(moved: _Moved) -> Sequence[tuple[str, date, str]]:
    """What a flow would explain: the account's coins on its day."""
    return [(moved.unplaced.account, moved.day, asset) for asset in moved.amounts]


def _moved(mapped: Mapped) -> list[_Moved]:
    rows = defaultdict(list)
    for row in (*mapped.transfers, *mapped.trades):
        rows[row["raw_id"]].append(row)
    moved = []
    for unplaced in mapped.unplaced:
        placed = (row for row in rows[unplaced.raw_id] if row["external_id"] not in unplaced.fixed)
        of_record = [row for row in placed if row["wallet"] == unplaced.wallet]
        days = {row["datetime"].date() for row in of_record}
        if len(days) != 1:
            continue
        amounts: dict[str, Decimal] = defaultdict(Decimal)
        for row in of_record:
            amounts[row["asset"]] = EXACT.add(amounts[row["asset"]], Decimal(row["amount"]))
        moved.append(_Moved(unplaced, days.pop(), {asset: amount for asset, amount in amounts.items() if amount}))
    return [each for each in moved if each.amounts]


def _residual(residuals: Residuals, account: str, wallet: str, day: date, asset: str) -> Residual | None:
    return residuals.get((account, wallet, day), {}).get(asset)


def _closes_both(moved: _Moved, wallet: str, residuals: Residuals) -> bool:
    """Whether each coin is off by what was booked here, and by the same the other way round there."""
    account, day = moved.unplaced.account, moved.day
    for asset, amount in moved.amounts.items():
        here = _residual(residuals, account, moved.unplaced.wallet, day, asset)
        there = _residual(residuals, account, wallet, day, asset)
        if here is None or there is None or not (here.is_closed and there.is_closed):
            return False
        if here.amount != amount.copy_negate() or there.amount != amount:
            return False
    return True


def _still_holds(moved: _Moved, residuals: Residuals) -> bool:
    """A decision holds as long as the wallet it names is explained in every coin that it moved, and no other wallet, of
    which one is where it was booked first, is off by exactly what it moved."""
    account, wallet, day = moved.unplaced.account, moved.unplaced.wallet, moved.day
    if any(_residual(residuals, account, wallet, day, asset) is not None for asset in moved.amounts):
        return False
    return not any(_misses(moved, other, residuals) for other in CANDIDATES if other != wallet)


def _misses(moved: _Moved, wallet: str, residuals: Residuals) -> bool:
    """Whether a wallet is off by exactly what a flow moved, in every coin: as if it had taken place there."""
    found = {asset: _residual(residuals, moved.unplaced.account, wallet, moved.day, asset) for asset in moved.amounts}
    return all(each is not None and each.amount == moved.amounts[asset] for asset, each in found.items())


def _decision(moved: _Moved, wallet: str) -> Decision:
    evidence = {
        "account": moved.unplaced.account,
        "stream": moved.unplaced.stream,
        "record": moved.unplaced.key,
        "day": moved.day.isoformat(),
        "booked_in": moved.unplaced.wallet,
        "amounts": _texts(moved.amounts.items()),
    }
    return Decision(moved.unplaced.raw_id, wallet, evidence)


def _withdrawal(moved: _Moved) -> Decision:
    evidence = {"day": moved.day.isoformat(), "why": "one of its two wallets is not explained any more"}
    return Decision(moved.unplaced.raw_id, None, evidence)


def _texts(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, str]:
    return {asset: format(amount, "f") for asset, amount in sorted(amounts)}
