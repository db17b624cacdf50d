"""How much of everything the worlds hold: events by stream, full pages, windows that must be split, events at a cut.

`python -m recon_pipeline.sandbox.binance.counts --seeds 20` prints it, and fails if any stream falls short. Every list
that is served is in the table, whether anything happened there or not; those that no world fills are named with why.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recon_pipeline.sandbox.binance.api.table import ENDPOINTS
from recon_pipeline.sandbox.binance.book import Record
from recon_pipeline.sandbox.binance.life import (
    capital,
    conversion,
    derivatives,
    details,
    earn,
    fiat,
    income,
    ledgers,
    loans,
    managed,
    margin,
    orders,
    spot,
    staking,
    transfers,
)
from recon_pipeline.sandbox.binance.moments import DAY_MS
from recon_pipeline.sandbox.binance.world import World, make_world

EVENTS_LEAST = 30
SUB_DEPOSITS = "/sapi/v1/capital/deposit/subHisrec"
"""The deposits of the subs, told again to the main account."""
_PAGE = 100
_PAGES = {
    **dict.fromkeys((spot.PATH, orders.ALLOCATIONS, capital.DEPOSITS, capital.WITHDRAWALS), 1000),
    **dict.fromkeys((conversion.CONVERTS, ledgers.CAPITAL_FLOW, ledgers.OPTION_BILL, margin.TRADES), 1000),
    **dict.fromkeys((*ledgers.INCOME_WALLETS, derivatives.OPTION_TRADES, derivatives.EXERCISES), 1000),
    **dict.fromkeys((managed.INVESTOR, managed.TRADER, managed.OWN), 500),
    **{path.replace("income", "userTrades"): 1000 for path in ledgers.INCOME_WALLETS},
    **dict.fromkeys((transfers.UNIVERSAL, transfers.SPOT_ONLY, transfers.INTERNAL, transfers.OF_SUB), 500),
    **dict.fromkeys((income.DIVIDENDS, fiat.ORDERS, fiat.PAYMENTS, details.POSITION_MARGIN), 500),
    SUB_DEPOSITS: 1000,
    **dict.fromkeys((income.REBATES, income.MINING_LIST, income.MINING_OTHER, income.MINING_UID), 200),
}
"""The most rows of one answer, where it is not a hundred."""
_WINDOWS = {
    **dict.fromkeys((spot.PATH, orders.ALLOCATIONS, margin.TRADES), 1),
    **dict.fromkeys((transfers.UNIVERSAL, ledgers.CAPITAL_FLOW, margin.LOANS), 7),
    **{path.replace("income", "userTrades"): 7 for path in ledgers.INCOME_WALLETS},
}
"""The longest window in days, where it is shorter than a world of a month."""
ONE_PAGE = (conversion.DUST, orders.PREVENTED)
"""Told on one page whatever happens: the last hundred, or those of one order."""
NOT_EVENTS = (
    loans.VIP_ONGOING, earn.LOCK_POSITION, earn.CHAIN_POSITION, orders.ORDERS, earn.FLEX_POSITION, loans.ONGOING,
    "/api/v3/time", "/api/v3/ping", "/api/v3/exchangeInfo", "/api/v3/klines", "/api/v3/ticker/price",
    "/api/v3/account", "/api/v3/openOrders", "/sapi/v1/accountSnapshot", "/sapi/v1/account/apiRestrictions",
    "/sapi/v1/account/info", "/sapi/v1/account/status", "/sapi/v1/system/status", "/sapi/v3/asset/getUserAsset",
    "/sapi/v1/asset/get-funding-asset", "/sapi/v1/asset/wallet/balance", "/sapi/v1/spot/delist-schedule",
    "/sapi/v1/spot/open-symbol-list", "/sapi/v1/sub-account/list", "/sapi/v1/sub-account/status",
    "/sapi/v1/sub-account/transaction-statistics", "/sapi/v3/sub-account/assets", "/sapi/v4/sub-account/assets",
    "/sapi/v1/sub-account/margin/account", "/sapi/v2/sub-account/futures/account", "/sapi/v1/managed-subaccount/info",
    "/sapi/v1/managed-subaccount/accountSnapshot", "/sapi/v1/bfusd/account", "/sapi/v1/rwusd/account",
    "/sapi/v1/sol-staking/sol/history/unclaimedRewards", "/sapi/v1/margin/account",
    "/sapi/v1/margin/isolated/account", "/sapi/v1/margin/isolated/accountLimit", "/sapi/v1/margin/delist-schedule",
    "/sapi/v1/bnbBurn", "/fapi/v1/time", "/fapi/v3/balance", "/fapi/v2/balance", "/fapi/v3/account", "/dapi/v1/time",
    "/dapi/v1/balance", "/dapi/v1/account", "/eapi/v1/time", "/eapi/v1/marginAccount", "/papi/v1/balance",
)  # fmt: skip
"""Answers that say what there is, not what happened."""
NOT_PULLED = ("/sapi/v1/loan/borrow/history", "/sapi/v1/loan/repay/history", "/sapi/v1/loan/ltv/adjustment/history")
"""Lists of old that are served, empty, and that no one asks: fixed-rate loans are told in loan/income."""
_VARIANTS = {
    fiat.ORDERS: ("0", "1"), fiat.PAYMENTS: ("0", "1"), conversion.DUST: ("SPOT", "MARGIN"),
    staking.SOL_BOOST: ("CLAIM", "DISTRIBUTE"), margin.LOANS: ("BORROW", "REPAY"),
}  # fmt: skip
STREAMS = tuple(
    sorted(
        f"{path} {variant}".strip()
        for _, path in ENDPOINTS
        if path not in NOT_EVENTS and path not in NOT_PULLED
        for variant in _VARIANTS.get(path, ("",))
    )
)
"""Everything of which the worlds must hold enough."""


@dataclass
class Counted:
    """What was found of one stream."""

    events: int = 0
    full_pages: int = 0
    split_windows: int = 0
    at_a_cut: int = 0
    is_split_possible: bool = False

    def add(self, other: Counted) -> None:
        """Take what was found elsewhere in."""
        self.events += other.events
        self.full_pages += other.full_pages
        self.split_windows += other.split_windows
        self.at_a_cut += other.at_a_cut
        self.is_split_possible |= other.is_split_possible

    def lacks(self, stream: str) -> list[str]:
        """What there is too little of."""
        path = stream.split(maxsplit=1)[0]
        short = ["events"] if self.events < EVENTS_LEAST else []
        short += ["full page"] if not self.full_pages and path not in ONE_PAGE else []
        short += ["window split"] if self.is_split_possible and not self.split_windows else []
        return short + (["event at a cut"] if not self.at_a_cut else [])


def stream_of(name: str) -> str:
    """The stream that a list belongs to: its endpoint, and the parameter that splits it in two."""
    path, *more = name.split()
    return f"{path} {more[0]}" if path in _VARIANTS else path


def count(world: World, into: dict[str, Counted]) -> None:
    """Add the events of a world, up to its end; a stream without any is counted too."""
    for stream in STREAMS:
        into.setdefault(stream, Counted())
    for email, name, records in world.archive.lists():
        told = [record for record in records if record.versions[0][0] < world.end_ms * 1000]
        stream = stream_of(name)
        if stream.split()[0] not in NOT_EVENTS and told:
            _add(into[stream], stream, told, len(world.days))
        if stream == capital.DEPOSITS and told and not world.accounts[email].is_main:
            _add(into[SUB_DEPOSITS], SUB_DEPOSITS, told, len(world.days))


def _add(found: Counted, stream: str, told: list[Record], world_days: int) -> None:
    path = stream.split(maxsplit=1)[0]
    days = _WINDOWS.get(path, 30)
    found.events += len(told)
    found.full_pages += len(told) > _PAGES.get(path, _PAGE)
    found.is_split_possible = found.is_split_possible or days < world_days
    found.split_windows += told[-1].at_ms - told[0].at_ms > days * DAY_MS
    found.at_a_cut += sum(_is_at_a_cut(record) for record in told)


def _is_at_a_cut(record: Record) -> bool:
    within = record.at_ms % DAY_MS
    return within < 1000 or within >= DAY_MS - 1000


def events_per_stream(worlds: Iterable[World]) -> dict[str, Counted]:
    """What several worlds hold together, by stream."""
    found: defaultdict[str, Counted] = defaultdict(Counted)
    for world in worlds:
        count(world, found)
    return dict(sorted(found.items()))


def table(found: dict[str, Counted]) -> str:
    """For people to read: one line for each stream, what it lacks at the end."""
    lines = [f"{'events':>8} {'full':>5} {'split':>5} {'cut':>5}  stream"]
    for stream, counted in sorted(found.items()):
        lack = counted.lacks(stream)
        lines.append(
            f"{counted.events:8} {counted.full_pages:5} {counted.split_windows:5} {counted.at_a_cut:5}  {stream}"
            + (f"  LACKS {', '.join(lack)}" if lack else "")
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count the events of so many worlds; 1 if a stream falls short."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args(arguments)
    seeds = range(options.first, options.first + options.seeds)
    found = events_per_stream(make_world(seed, days=options.days) for seed in seeds)
    sys.stdout.write(table(found) + "\n")
    return int(any(counted.lacks(stream) for stream, counted in found.items()))


if __name__ == "__main__":
    sys.exit(main())
