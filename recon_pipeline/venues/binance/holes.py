"""Wallets of which nothing was read yet: no position shows them, and the day of their account would look whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.frames.schema import COVERAGE_READ
from recon_pipeline.venues.binance.capture import HAVE_HISTORY
from recon_pipeline.venues.binance.mapping import MARKER_ASSET, MappingContext
from recon_pipeline.venues.binance.streams import BY_NAME, STREAMS
from recon_pipeline.venues.pull import NOT_TOLD, SAID
from recon_pipeline.venues.reading import UNREAD

ISOLATED = "ISOLATED_MARGIN"
OWN_SNAPSHOTS = tuple(s.name for s in STREAMS if s.role == "snapshot" and s.asked_with == "own")
TOLD_BY = {
    stream.name: tuple(wallet for wallet in stream.wallets if wallet != ISOLATED or stream.role == "capture")
    for stream in STREAMS
    if stream.asked_with == "own" and stream.role in ("flow", "snapshot", "capture") and stream.name not in HAVE_HISTORY
}
"""The wallets of an account that its own key tells of, by stream. Those of isolated margin have names of their own,
and an account may have none: only its capture says so."""
FLOWS = frozenset(name for name in TOLD_BY if BY_NAME[name].role == "flow")
CAPTURES = frozenset(name for name in TOLD_BY if BY_NAME[name].role == "capture")
STATING = CAPTURES.union(OWN_SNAPSHOTS)
"""What states a wallet of an account, or says that the account does not have it."""
FLOWS_OF = {name: tuple(flow for flow in FLOWS if BY_NAME[flow].product == BY_NAME[name].product) for name in CAPTURES}
"""The flows of the product of which a capture states the wallet."""
_UNTOLD = "untold"
_NOT_ZERO = "^-?[0.]*[1-9]"
"""Of an amount that is still text, as in 0.10 but not in 0E-8."""


@dataclass(frozen=True)
class FirstTold:
    """The first days on which a wallet was stated, was stated to hold or owe anything, and was moved in."""

    stated: date = date.max
    held: date = date.max
    moved: date = date.max

    @property
    def anything(self) -> date:
        """From when on it has positions."""
        return min(self.stated, self.moved)

    @property
    def is_from_nothing(self) -> bool:
        """Whether it was told of, and what it held first had come into it: before that it was empty, or not opened."""
        return self.anything < date.max and self.moved <= self.held


_NEVER = FirstTold()


def first_told(balances: pa.Table, transfers: pa.Table, trades: pa.Table) -> Mapping[tuple[str, str], FirstTold]:
    """When something was first told of each family of wallets of an account, by frames whose amounts are text."""
    owns, owes = (pc.match_substring_regex(balances[name], _NOT_ZERO) for name in ("raw_balance", "raw_loan"))
    tables = (
        (balances, "date", "stated"),
        (balances.filter(pc.or_kleene(owns, owes)), "date", "held"),
        (transfers, "datetime", "moved"),
        (trades, "datetime", "moved"),
    )
    first: dict[tuple[str, str], FirstTold] = {}
    for table, column, of_what in tables:
        for row in table.group_by(["account", "wallet"]).aggregate([(column, "min")]).to_pylist():
            place, told = (row["account"], row["wallet"].partition(":")[0]), row[f"{column}_min"]
            day = (told.date() if isinstance(told, datetime) else told) or date.max
            before = first.get(place, _NEVER)
            first[place] = replace(before, **{of_what: min(day, getattr(before, of_what))})
    return first


def hidden_holes(
    ledger: Sequence[Any],
    told: Mapping[tuple[str, str], FirstTold],
    context: MappingContext,
    start: date,
    *,
    never_used: Mapping[str, Collection[str]],
    refused: Collection[tuple[str, str, date, str]] = (),
) -> list[Mapping[str, Any]]:
    """Feeds that failed, captures that failed or were never made, snapshots that the venue has not told, and balances
    that were `refused`, on a day on which nothing was `told` yet of any wallet that they tell of, as of options to
    which a key is refused: no position would show it, and the account's day would look whole. Each such wallet is
    doubted, by a row of quarantine.

    An account of which nothing could be read has no day that looks whole. A wallet that the account does not have makes
    no hole, for no balance would ever close it: where the venue says so of the flows of its product, and up to a day
    of which it says so of the wallet and by which nothing was told of it, as a capture of isolated margin does that
    tells of none. Nor does one that it never had, as recon.yaml says, nor one of whose snapshots the venue told none
    before something came into it.
    """
    marks: dict[tuple[str, date], dict[str, str]] = defaultdict(dict)
    for row in ledger:
        if row.stream in TOLD_BY and row.error != SAID.error and row.date >= start:
            marks[row.account, row.date][row.stream] = _UNTOLD if row.error == NOT_TOLD.error else row.status
    without = _days_without(ledger, refused)
    hidden: dict[tuple[str, str, date], set[str]] = defaultdict(set)
    for (account, day), of_day in marks.items():
        if not any(status in COVERAGE_READ and stream in FLOWS for stream, status in of_day.items()):
            continue
        failed = {stream for stream, status in of_day.items() if status in ("failed", _UNTOLD)}
        for stream in (failed | (CAPTURES - of_day.keys())).difference(never_used.get(account, ())):
            wallets = [wallet for wallet in TOLD_BY[stream] if wallet in context.captured.get(account, ())]
            first = {wallet: told.get((account, wallet), _NEVER) for wallet in wallets}
            is_unused = {of_day.get(flow) for flow in FLOWS_OF.get(stream, ())} == {"not_applicable"}
            if is_unused or any(of_wallet.anything <= day for of_wallet in first.values()):
                continue
            for wallet, of_wallet in first.items():
                is_not_there = any(day <= on < of_wallet.anything for on in without[account, wallet])
                is_opened_later = of_day.get(stream) == _UNTOLD and of_wallet.is_from_nothing
                if not is_not_there and not is_opened_later:
                    hidden[account, wallet, day].add(stream)
    for account, wallet, day, stream in refused:
        if told.get((account, wallet.partition(":")[0]), _NEVER).anything > day >= start:
            hidden[account, wallet, day].add(stream)
    return [
        {
            "frame": "balances",
            "error": UNREAD,
            "reason": f"{', '.join(sorted(streams))} was not read, and nothing told of the wallet yet; expected a"
            " wallet that a feed, a snapshot or a capture tells of; next: recon errors list says what failed, recon"
            " capture reads what has no history, and never_used of the account in recon.yaml names what it never had",
            "file": min(streams),
            "account": account,
            "wallet": wallet,
            "asset": MARKER_ASSET,
            "instant": None,
            "date": day,
            "content": "{}",
        }
        for (account, wallet, day), streams in sorted(hidden.items())
    ]


def _days_without(
    ledger: Sequence[Any], refused: Collection[tuple[str, str, date, str]]
) -> Mapping[tuple[str, str], set[date]]:
    """The days on which, by what the venue says, an account may have had no such wallet. A capture of isolated margin
    that was read may have told of none; where it told of one, the wallet was told of by that day."""
    without: dict[tuple[str, str], set[date]] = defaultdict(set)
    for row in ledger:
        if row.stream in STATING and row.error != SAID.error:
            (wallet,) = TOLD_BY[row.stream]
            if row.status == "not_applicable" or (wallet == ISOLATED and row.status in COVERAGE_READ):
                without[row.account, wallet].add(row.date)
    for account, wallet, day, _ in refused:
        without[account, wallet].discard(day)
    return without
