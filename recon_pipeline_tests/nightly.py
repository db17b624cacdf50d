"""Many simulated Binances, lived through day by day and judged: `make nightly`.

Each seed makes a world; its nights are captured and its days run as the schedules do it, and after every run what
stands is held against the world's manifest and its ledger; at the end every row and every trade is. It prints recall
and precision with whatever was missed or found for nothing, the rows and trades that are missing or wrong, how much of
everything the worlds held, and what looking for trades cost; it ends with 1 if anything falls short.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from recon_pipeline.sandbox.binance import World, make_world
from recon_pipeline.sandbox.binance.counts import Counted, count, table
from recon_pipeline.sandbox.binance.faults import FAULTS
from recon_pipeline.sandbox.binance.trouble import NAMES
from recon_pipeline.stores.database import engine, migrate
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.venues.binance.trades import Trades
from recon_pipeline_tests.binance_doubts import READ, SIDES, judge_doubts
from recon_pipeline_tests.binance_home import BinanceHome, binance_home
from recon_pipeline_tests.binance_judge import Judge, Verdict
from recon_pipeline_tests.servers import no_disk

BEFORE, BEHIND = 2, 4
"""Days of a world before the first that is judged, and after the last: it must be due, and its end must be told."""
ONE_DAY = timedelta(days=1)
ROTATION = timedelta(days=7)
"""How long it takes until every market has been asked for a day."""
SAVED_WITH_ROTATION, SAVED_WITHOUT = Decimal("0.80"), Decimal("0.95")
HANG_SECONDS = 0.5
"""How long an answer hangs that never comes: it passes for real, whatever the world's clock says."""
DAYS_FOR_FAULTS = 10
"""In worlds of so many days every fault must find a place, at least in one of them."""
NEED_DAILY_RUNS = (
    "snapshot_late", "endpoint_down", "endpoint_garbled", "record_changes", "dividend_late", "dividend_too_late",
    "symbol_purged",
)  # fmt: skip
"""Faults that one run at the end sees in another way: what they told late, wrongly or not at all has been told by then,
and a market that left before it was ever asked leaves every day before it open."""
_WEIGHT = 20
"""Of a question for the trades of one market."""
_SEARCH = frozenset(
    f"/api/v3/{name}" for name in ("myTrades", "myAllocations", "myPreventedMatches", "allOrders", "openOrders")
)
"""What is asked while looking for trades."""
_SHOWS_NOTHING = frozenset({"symbol_halted"})
"""Faults of which nothing may be seen."""


@dataclass
class Discovery:
    """What looking for trades cost, in weights of the venue, against asking every market on every day."""

    weight: int = 0
    of_rotation: int = 0
    of_all_markets: int = 0
    _spans: list[tuple[int, int]] = field(default_factory=list)
    _begin: int = 0

    @property
    def saved(self) -> Decimal:
        """The share that was saved."""
        return self._saved(self.weight)

    @property
    def saved_without_rotation(self) -> Decimal:
        """The share that was saved, if the rotation is left out."""
        return self._saved(self.weight - self.of_rotation)

    def _saved(self, weight: int) -> Decimal:
        return 1 - Decimal(weight) / self.of_all_markets if self.of_all_markets else Decimal(1)

    @property
    def is_cheap(self) -> bool:
        """Whether it cost as little as it should."""
        return self.saved >= SAVED_WITH_ROTATION and self.saved_without_rotation >= SAVED_WITHOUT

    def add(self, other: Discovery) -> None:
        """Take what another world cost in."""
        self.weight += other.weight
        self.of_rotation += other.of_rotation
        self.of_all_markets += other.of_all_markets

    @contextmanager
    def metered(self, log: list[Any]) -> Iterator[None]:
        """Take note of which requests are the rotation's."""
        rotate = Trades._rotate

        def noted(trades: Trades, accounts: Any) -> int:
            begin = len(log)
            found = rotate(trades, accounts)
            self._spans.append((begin, len(log)))
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trades, "_rotate", noted)
            yield

    def begin(self, log: list[Any]) -> None:
        """From here on it counts: the first run looks into a past that no day after it has to."""
        self._begin = len(log)

    def end(self, log: list[Any], markets: int, account_days: int) -> None:
        """Add the requests since `begin`."""
        asked = [(place, entry) for place, entry in enumerate(log) if entry["path"] in _SEARCH and place >= self._begin]
        self.weight += sum(entry["weight"] for _, entry in asked)
        self.of_rotation += sum(
            entry["weight"] for place, entry in asked if any(begin <= place < end for begin, end in self._spans)
        )
        self.of_all_markets += _WEIGHT * markets * account_days
        self._spans.clear()

    def __str__(self) -> str:
        return (
            f"discovery: weight {self.weight} of {self.of_all_markets}, saved {self.saved:.1%} with the rotation"
            f" (least {SAVED_WITH_ROTATION:.0%}), {self.saved_without_rotation:.1%} without"
            f" (least {SAVED_WITHOUT:.0%})"
        )


@dataclass
class Night:
    """What came of all worlds together."""

    verdict: Verdict = field(default_factory=Verdict)
    events: defaultdict[str, Counted] = field(default_factory=partial(defaultdict, Counted))
    discovery: Discovery = field(default_factory=Discovery)
    refused: list[str] = field(default_factory=list)
    """Requests that drew 429 or 418."""
    planted: set[str] = field(default_factory=set)
    """The faults that found a place in some world."""

    def add(self, other: Night) -> None:
        """Take what came of another world in."""
        self.verdict.add(other.verdict)
        for stream, counted in other.events.items():
            self.events[stream].add(counted)
        self.discovery.add(other.discovery)
        self.refused += other.refused
        self.planted |= other.planted


def live(home: BinanceHome, night: Night, *, is_backfill: bool = False) -> Verdict:
    """Live through a world's days, judged after every run; a backfill has the captures and one run at the end."""
    world, log = home.sandbox.world, home.sandbox.site.gate.log
    first, last = judged(world)
    judge = Judge(world, first, last, rotated_through=first - ONE_DAY if is_backfill else last - ROTATION)
    discovery = night.discovery
    home.sandbox.site.hang_s = HANG_SECONDS
    run_first = first + timedelta(days=2)

    def look(as_of_day: date) -> None:
        if as_of_day == run_first:
            discovery.begin(log)
        judge.look(home, as_of_day, [first + timedelta(days=n) for n in range((as_of_day - first).days - 1)])

    with discovery.metered(log):
        if is_backfill:
            home.capture_days(first - ONE_DAY, last + ONE_DAY)  # the flows of a day more are read
            home.run(first, last)
            judge.look(home, home.now.date())
        else:
            home.live_through(first, last, look)
    judge.close(home, home.now.date())
    if not is_backfill:
        days = (last - first).days
        discovery.end(log, len(world.market.symbols), len(world.accounts) * days)
    if "ban" not in world.transport:
        night.refused += [f"{e['path']} {e['status']}" for e in log if e["status"] in (418, 429)]
    return judge.verdict()


def judged(world: World) -> tuple[date, date]:
    """The first and the last day of a world that are run and judged."""
    return world.days[BEFORE], world.days[-BEHIND - 1]


@contextmanager
def own_server() -> Iterator[tuple[Path, str]]:
    """A folder, and in it a database server, both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="recon-nightly-") as name:
        folder = Path(name)
        server = EmbeddedPostgres(folder / "postgres")
        server.start()
        try:
            with no_disk(server):
                migrate(server.url())
                yield folder, server.url()
        finally:
            engine(server.url()).dispose()
            server.stop()


def run_seed(seed: int, options: argparse.Namespace) -> tuple[Night, float]:
    """One world on a database server of its own: what came of it, and how many seconds it took."""
    gc.set_threshold(100_000, 20, 100)  # a world lives as long as its process
    begun, night = time.monotonic(), Night()
    world = make_world(
        seed, days=options.days + options.after + BEFORE + BEHIND, subs=options.subs,
        faults=faults_of(options), transport=named(options.transport, NAMES),
    )  # fmt: skip
    count(world, night.events)
    night.planted.update(world.plants.names)
    first, _ = judged(world)
    with (
        own_server() as (folder, url),
        pytest.MonkeyPatch.context() as patch,
        binance_home(world, folder, url, patch, start=first) as home,
    ):
        night.verdict = live(home, night, is_backfill=options.backfill)
    return night, time.monotonic() - begun


def run_doubts(seed: int, side: str) -> tuple[set[str], list[str]]:
    """One small world of a side, in which every doubt is read wrongly."""
    with own_server() as (folder, url), pytest.MonkeyPatch.context() as patch:
        return judge_doubts(seed, side, folder, url, patch, symbols_max=None)


def run_every_doubt(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Every seed, its doubts as assumed and the other way round; 1 if a wrong reading looks right."""
    wrong: list[str] = []
    never = set(READ)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(run_doubts, seed, side): (seed, side) for seed in seeds for side in SIDES}
        for done in as_completed(running):
            seed, side = running[done]
            matters, of_world = done.result()
            world = f"seed {seed}, {side}"
            say("\n".join(f"{world}: {text}" for text in of_world) or f"{world}: {len(matters)} doubts, none green")
            wrong += of_world
            never -= matters
    if never:
        say(f"FALLS SHORT: in no world matters {', '.join(sorted(never))}")
    if wrong:
        say(f"FALLS SHORT: {len(wrong)} readings")
    elif not never:
        say("everything is as it should be")
    return int(bool(wrong or never))


def run_seeds(options: argparse.Namespace, say: Callable[[str], None]) -> Night:
    """Every seed, several at once."""
    night = Night()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(run_seed, seed, options): seed for seed in seeds}
        for done in as_completed(running):
            of_seed, seconds = done.result()
            night.add(of_seed)
            say(f"seed {running[done]}: {of_seed.verdict}  [{seconds:.0f} s]")
    return night


def named(text: str, every: Sequence[str] | Any) -> tuple[str, ...]:
    """Names between commas; `all` for all of them."""
    return tuple(every) if text == "all" else tuple(name for name in text.split(",") if name)


def faults_of(options: argparse.Namespace) -> tuple[str, ...]:
    """The faults that are planted: of `all`, for a backfill, those that it can see."""
    faults = named(options.faults, FAULTS)
    is_cut = options.backfill and options.faults == "all"
    return tuple(name for name in faults if not (is_cut and name in NEED_DAILY_RUNS))


def shortfalls(night: Night, options: argparse.Namespace) -> list[str]:
    """Everything that is not as it should be."""
    short = [] if night.verdict.is_perfect else ["not everything was found, or something else was, or is missing"]
    if night.refused:
        short.append(f"{len(night.refused)} requests were refused for their number, such as {night.refused[0]}")
    if not options.backfill and not options.faults and not night.discovery.is_cheap:
        short.append("looking for trades was too dear")
    asked_for = {*faults_of(options)}
    never = sorted(asked_for - (night.planted & (night.verdict.by_fault.keys() | _SHOWS_NOTHING)))
    if never and options.days >= DAYS_FOR_FAULTS:
        short.append(f"faults that found no place in any world, or of which nothing had to be seen: {', '.join(never)}")
    if asked_for - _SHOWS_NOTHING and not night.verdict.required:
        short.append("nothing was planted that had to be found")
    if night.verdict.account_days < options.least_account_days:
        short.append(f"{night.verdict.account_days} account-days, {options.least_account_days} are wanted")
    lacking = [stream for stream, counted in night.events.items() if counted.lacks(stream)]
    if lacking and options.seeds >= options.seeds_for_events:
        short.append(f"streams with too few events: {', '.join(lacking)}")
    return short


def main(arguments: Sequence[str] | None = None) -> int:
    """Live through the worlds of many seeds and judge them; 1 if anything falls short."""
    parser = argparse.ArgumentParser(prog="python -m recon_pipeline_tests.nightly", description=main.__doc__)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--days", type=int, default=30, help="days that are run and judged in each world")
    parser.add_argument(
        "--after", type=int, default=10, help="days past those, until whose end every trade must have been found"
    )
    parser.add_argument("--subs", type=int, default=3, help="sub-accounts beside the main one")
    parser.add_argument(
        "--faults", default="",
        help="all (of a backfill: all that it can see), or some between commas (sandbox/binance/faults.py)",
    )  # fmt: skip
    parser.add_argument("--transport", default="", help="all, or some between commas (sandbox/binance/trouble.py)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="worlds that are lived at once")
    parser.add_argument("--least-account-days", type=int, default=0, help="so many must have been judged")
    parser.add_argument("--backfill", action="store_true", help="one run over all days at the end, not one each day")
    parser.add_argument("--seeds-for-events", type=int, default=20, help="so many seeds must hold every stream")
    parser.add_argument("--doubts", action="store_true", help="instead: small worlds, read wrongly in every way")
    options = parser.parse_args(arguments)

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    if options.doubts:
        return run_every_doubt(options, say)
    night = run_seeds(options, say)
    say(f"\n{table(night.events)}\n\n{night.verdict}")
    if not options.backfill:
        say(str(night.discovery))
    short = shortfalls(night, options)
    say("\n".join(f"FALLS SHORT: {text}" for text in short) or "everything is as it should be")
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
