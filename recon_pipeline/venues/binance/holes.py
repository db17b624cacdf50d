"""Wallets of which nothing was read yet: no position shows them, and the day of their account would look whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.frames.schema import COVERAGE_READ, COVERAGE_THAT_COUNTS
from recon_pipeline.venues.binance.accounts import FAMILIES, OPENED_UNKNOWN
from recon_pipeline.venues.binance.capture import HAVE_HISTORY
from recon_pipeline.venues.binance.mapping import MARKER_ASSET, MappingContext
from recon_pipeline.venues.binance.mapping.cells import EXACT
from recon_pipeline.venues.binance.streams import BY_NAME, STREAMS
from recon_pipeline.venues.pull import GONE, NOT_TOLD, ONE_DAY, SAID
from recon_pipeline.venues.reading import UNREAD
from recon_pipeline.venues.streams import name_in_part

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
MOVED_BY = {
    wallet: tuple(sorted(each.name for each in STREAMS if each.role == "flow" and wallet in each.wallets))
    for name in OWN_SNAPSHOTS
    for wallet in TOLD_BY[name]
}
"""The flows that move a wallet of which the venue keeps snapshots, those included of which a main account's key tells:
it may move what a sub-account holds."""
_PRODUCT_OF = {wallet: product for product, wallets in FAMILIES.items() for wallet in wallets}
_MOVING = frozenset(flow for flows in MOVED_BY.values() for flow in flows)
_PLACE = ["account", "wallet"]
_STATED = ("raw_balance", "raw_loan", "raw_interest")
_MAY_BE_OPENED = "may be opened"
_FAILED = {NOT_TOLD.error: "failed", OPENED_UNKNOWN.error: _MAY_BE_OPENED}
"""How days stand of which a stream told nothing, by the error that the ledger holds."""


@dataclass(frozen=True)
class FirstTold:
    """The first days on which a wallet was stated and was moved in."""

    stated: date = date.max
    moved: date = date.max
    is_from_nothing: bool = False
    """Whether what was stated first is to the last digit what the flows told by then add up to: if all of them were
    told, it was empty before, or not opened."""
    names: tuple[str, ...] = ()
    """The wallets of the family that were stated first, by their own names: those of isolated margin have a symbol."""

    @property
    def anything(self) -> date:
        """From when on it has positions."""
        return min(self.stated, self.moved)


_NEVER = FirstTold()


def first_told(
    balances: pa.Table, transfers: pa.Table, trades: pa.Table, standing: pa.Table | None = None
) -> Mapping[tuple[str, str], FirstTold]:
    """When something was first told of each family of wallets of an account, by frames whose amounts are text. Balances
    that were refused state nothing: `standing` are the others, where some were."""
    first: dict[tuple[str, str], FirstTold] = {}
    names: dict[tuple[str, str, date], list[str]] = defaultdict(list)
    for table, column, of_what in (
        (balances if standing is None else standing, "date", "stated"),
        (transfers, "datetime", "moved"),
        (trades, "datetime", "moved"),
    ):
        for row in table.group_by(_PLACE).aggregate([(column, "min")]).to_pylist():
            place, told = (row["account"], row["wallet"].partition(":")[0]), row[f"{column}_min"]
            day = (told.date() if isinstance(told, datetime) else told) or date.max
            before = first.get(place, _NEVER)
            first[place] = replace(before, **{of_what: min(day, getattr(before, of_what))})
            if of_what == "stated":
                names[*place, day].append(row["wallet"])
    for place, of_place in first.items():
        first[place] = replace(of_place, names=tuple(sorted(names[*place, of_place.stated])))
    begun = balances.group_by(_PLACE).aggregate([("date", "min")]).to_pylist()
    is_first = {(row["account"], row["wallet"], row["date_min"]) for row in begun}
    for place in _from_nothing(balances, transfers, trades):
        of_place = first.get(place, _NEVER)
        if (*place, of_place.stated) in is_first:
            first[place] = replace(of_place, is_from_nothing=True)
    return first


def _from_nothing(balances: pa.Table, transfers: pa.Table, trades: pa.Table) -> set[tuple[str, str]]:
    """The wallets with snapshots of which the flows told until the first one add up to all that it states as held and
    owed, and to nothing besides. Interest is left out: it grows by itself, on what is owed."""
    stated = balances.filter(pc.is_in(balances["wallet"], pa.array(MOVED_BY, pa.string())))
    cuts = stated.group_by(_PLACE).aggregate([("as_of", "min")]).filter(pc.field("as_of_min").is_valid())
    if not cuts.num_rows:
        return set()
    left: dict[tuple[str, str], dict[tuple[str, str], Decimal]] = defaultdict(lambda: defaultdict(Decimal))

    def until_first(table: pa.Table, at: str, *columns: str) -> list[dict[str, Any]]:
        joined = table.select([*_PLACE, "asset", at, *columns]).join(cuts, _PLACE, join_type="inner")
        rows: list[dict[str, Any]] = joined.filter(pc.field(at) <= pc.field("as_of_min")).to_pylist()
        return rows

    def add(row: Mapping[str, Any], measure: str, amount: Decimal) -> None:
        of_wallet = left[row["account"], row["wallet"]]
        of_wallet[row["asset"], measure] = EXACT.add(of_wallet[row["asset"], measure], amount)

    for row in until_first(stated, "as_of", "raw_balance", "raw_loan"):
        add(row, "balance", _amount(row["raw_balance"]))
        add(row, "loan", _amount(row["raw_loan"] or "0"))
    for flows in (transfers, trades):
        for row in until_first(flows, "datetime", "measure", "amount") if flows.num_rows else ():
            if row["measure"] != "interest":
                add(row, row["measure"], _amount(row["amount"]).copy_negate())
    return {place for place, of_wallet in left.items() if not any(of_wallet.values())}


def _amount(text: str | None) -> Decimal:
    """Not a number where validation will say that it is none: no sum with it is nothing."""
    try:
        return Decimal(text or "NaN")
    except InvalidOperation:
        return Decimal("NaN")


def hidden_holes(
    ledger: Sequence[Any],
    told: Mapping[tuple[str, str], FirstTold],
    context: MappingContext,
    start: date,
    *,
    never_used: Mapping[str, Collection[str]],
    refused: Collection[tuple[str, str, date, str]] = (),
    unusable: Collection[tuple[str, str, date]] = (),
) -> list[Mapping[str, Any]]:
    """Feeds that failed, captures that failed or were never made, snapshots that the venue has not told, and balances
    that were `refused`, on a day on which nothing was `told` yet of any wallet that they tell of, as of options to
    which a key is refused: no position would show it, and the account's day would look whole. Each such wallet is
    doubted, by a row of quarantine.

    What an account may have opened since the venue last said is doubted too. An account of which nothing could be read
    has no day that looks whole. A wallet that the account does not have makes no hole, for no balance would ever close
    it: where the venue says so of the flows of its product, and up to a day of which it says so of the wallet and by
    which nothing was told of it, as a capture of isolated margin does that tells of none. Nor does one that it never
    had, as recon.yaml says, nor one whose snapshots lack, for whatever reason, if its first one states no more than
    what was seen to come in since, and of no account, stream and day since anything was `unusable`, nor of that first
    one.
    """
    marks: dict[tuple[str, date], dict[str, str]] = defaultdict(dict)
    read: set[tuple[str, str, date]] = set()
    for row in ledger:
        if row.error == SAID.error or row.date < max(start, context.made.get(row.account, start)):
            continue
        # that the venue has a feed no more says nothing of whether the account has what it told of
        if row.stream in TOLD_BY and (row.status, row.error) != (GONE.status, GONE.error):
            marks[row.account, row.date][row.stream] = _FAILED.get(row.error, row.status)
        if row.stream in _MOVING and row.status in COVERAGE_THAT_COUNTS:
            read.add((row.account, row.stream, row.date))
    without = _days_without(ledger, refused)

    @cache
    def never_there(account: str, wallet: str) -> list[tuple[date, date]]:
        """From which day until which the venue says that the account had no such wallet: until a day of which it says
        so and by which nothing told of it. That one that it had opened is gone says nothing of the days before."""
        anything = told.get((account, wallet), _NEVER).anything
        stretches = context.opened.get(account, {}).get(_PRODUCT_OF[wallet], ())
        spans: dict[date, date] = {}
        for day in without[account, wallet]:
            if day < anything:
                since = max((each.left for each in stretches if each.left <= day + ONE_DAY), default=date.min)
                spans[since] = max(day, spans.get(since, day))
        return list(spans.items())

    @cache
    def empty_from(account: str, wallet: str) -> date:
        """At the end of which day a wallet that came from nothing was empty: all that moved it since was read."""
        day, asked = told[account, wallet].stated, [(flow, told_to(account, flow)) for flow in MOVED_BY[wallet]]
        flows = [(flow, teller) for flow, teller in asked if flow not in never_used.get(teller, ())]
        while day > start and all(is_whole(account, flow, teller, day) for flow, teller in flows):
            day -= ONE_DAY
        return day

    def told_to(account: str, flow: str) -> str:
        """The account whose key is asked for the flow, and of which recon.yaml says whether it ever had it."""
        facts = context.accounts.get(account)  # none if recon.yaml names it no more
        return facts.asked_by if facts and facts.asked_by and BY_NAME[flow].asked_with == "master" else account

    def is_whole(account: str, flow: str, teller: str, day: date) -> bool:
        return (account, flow, day) in read and (teller, flow, day) not in unusable

    def was_empty(account: str, wallet: str, stream: str, day: date) -> bool:
        """Whether the wallet, of which a snapshot of that day lacks, held nothing at its end."""
        first = told.get((account, wallet), _NEVER)
        # of a snapshot that was read in part nobody knows what else it states
        is_known = first.is_from_nothing and (account, stream, first.stated) not in unusable
        return stream in OWN_SNAPSHOTS and is_known and day >= empty_from(account, wallet)

    hidden: dict[tuple[str, str, date], set[str]] = defaultdict(set)
    for (account, day), of_day in marks.items():
        if not any(status in COVERAGE_READ and stream in FLOWS for stream, status in of_day.items()):
            continue
        failed = {stream for stream, status in of_day.items() if status in ("failed", _MAY_BE_OPENED)}
        for stream in (failed | (CAPTURES - of_day.keys())).difference(never_used.get(account, ())):
            captured = TOLD_BY[stream] if of_day.get(stream) == _MAY_BE_OPENED else context.captured.get(account, ())
            wallets = [wallet for wallet in TOLD_BY[stream] if wallet in captured]
            is_unused = {of_day.get(flow) for flow in FLOWS_OF.get(stream, ())} == {"not_applicable"}
            if is_unused or any(told.get((account, each), _NEVER).anything <= day for each in wallets):
                continue
            for wallet in wallets:
                is_there = not any(first <= day <= last for first, last in never_there(account, wallet))
                if is_there and not was_empty(account, wallet, stream, day):
                    hidden[account, wallet, day].add(stream)
    for account, wallet, day, stream in refused:
        if told.get((account, wallet.partition(":")[0]), _NEVER).anything > day >= start:
            hidden[account, wallet, day].add(stream)
    # under the names by which the wallets are stated later: that closes the hole
    named = {
        (account, name, day): streams
        for (account, wallet, day), streams in hidden.items()
        for name in told.get((account, wallet), _NEVER).names or (wallet,)
    }
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
        for (account, wallet, day), streams in sorted(named.items())
    ]


def refused_markets(ledger: Sequence[Any], balances: pa.Table) -> list[Mapping[str, Any]]:
    """What a stream could not be asked of, since the venue does not know the market or the asset any more: the balance
    that it may have moved is doubted on each day on which something of it was stated last, for a part of its flows is
    missing; of a market, what it does not state there as well. From the day on whose capture tells of nothing held,
    nothing is left to miss: a difference is a variance.

    `ledger` names such parts of streams as stream:name, `balances` are frames whose amounts are text.
    """
    lost = [(row, *told) for row in ledger if row.status == "failed" and (told := name_in_part(row.stream))[1]]
    if not lost:
        return []
    read: dict[tuple[str, str], list[date]] = defaultdict(list)
    for row in ledger:
        if row.stream in CAPTURES and row.status in COVERAGE_READ:
            read[row.account, TOLD_BY[row.stream][0]].append(row.date)
    columns = (balances[name].to_pylist() for name in ("account", "date", "wallet", "asset", *_STATED))
    held: dict[tuple[str, str, date | None], set[str]] = defaultdict(set)
    for account, day, wallet, asset, *amounts in zip(*columns, strict=True):
        if any(map(_is_held, amounts)):
            held[account, wallet, day].add(asset)
    doubted: dict[tuple[str, str, str, date], set[str]] = defaultdict(set)
    for row, stream, name in lost:
        for family in BY_NAME[stream].wallets:
            stated = max((day for day in read[row.account, family] if day <= row.date), default=None)
            wallet = f"{family}:{name}" if family == ISOLATED else family
            assets = held[row.account, wallet, stated]
            for asset in {*assets, ""} if family == ISOLATED and assets else assets & {name}:
                doubted[row.account, wallet, asset, row.date].add(row.stream)
    return [
        {
            "frame": "balances",
            "error": UNREAD,
            "reason": f"{', '.join(sorted(streams))} was refused: the venue does not know the market or the asset any"
            " more; expected every flow of what is held; next: recon errors list names it; compare it with the venue's"
            " statement",
            "file": min(streams),
            "account": account,
            "wallet": wallet,
            "asset": asset or None,
            "instant": None,
            "date": day,
            "content": "{}",
        }
        for (account, wallet, asset, day), streams in sorted(doubted.items())
    ]


def _is_held(told: str | None) -> bool:
    """Whether an amount is stated that is not nothing."""
    return told is not None and _amount(told) != 0


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
