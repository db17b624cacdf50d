"""Trades, which Binance tells market by market only: asked where the reconciliation says that something is unexplained.

A round asks the markets that may explain what is unexplained, and what it finds changes what is; it ends when nothing
is left to ask. Then a rotation asks a week's part of all other markets, for what left no trace in the balances.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property

from recon_pipeline.frames.schema import COVERAGE_READ
from recon_pipeline.stores.raw import DayRead, SymbolAsked, Told, exact
from recon_pipeline.venues.binance.asking import ALLOCATIONS, TRADES, MarketAsker
from recon_pipeline.venues.binance.discovery import (
    AskedMarket,
    Gap,
    Market,
    Puzzle,
    between,
    past_idle,
    rotation,
    share_of_rotation,
    standing,
    sticky,
    touching,
    unasked,
    with_idle_days,
)
from recon_pipeline.venues.binance.idle import ask_volumes, idle_days
from recon_pipeline.venues.binance.markets import (
    LISTED,
    Departures,
    departures,
    halted_since,
    listed_markets,
    purged_markets,
)
from recon_pipeline.venues.binance.prevented import PREVENTED, OrderSearch
from recon_pipeline.venues.binance.reading import Doubt
from recon_pipeline.venues.binance.session import START_DAYS, AccountStopped, Session
from recon_pipeline.venues.binance.streams import STREAMS
from recon_pipeline.venues.pull import ONE_DAY, midnight
from recon_pipeline.venues.sources import Residuals
from recon_pipeline.venues.streams import AccountFacts, Stream

WALLET = "SPOT"
SNAPSHOT = next(s.name for s in STREAMS if s.role == "snapshot" and s.asked_with == "own" and WALLET in s.wallets)
ROUNDS_MAX = 8
STILL_LEAST = 3

Asked = Mapping[str, Mapping[str, AskedMarket]]
"""The markets that were asked, by account and symbol."""
Unexplained = Mapping[str, Mapping[date, set[str]]]
"""Assets with a residual in SPOT, by account and day."""


@dataclass
class Trades:
    """The trades of all accounts for one run. `residuals` says what is unexplained on some days with what is known by
    now."""

    session: Session
    facts: Mapping[str, AccountFacts]
    residuals: Callable[[Collection[date]], Residuals]
    since: datetime
    """From when on trades count: the beginning of the first window."""
    doubtful: Mapping[tuple[str, str, str], Doubt] = field(default_factory=dict)
    """The trades that cannot be believed, by account, stream and symbol: they are asked for again."""
    _stopped: set[str] = field(default_factory=set)
    """Accounts whose key was refused on the way."""
    _failed: set[tuple[str, str]] = field(default_factory=set)
    """Account and symbol of markets whose trades could not be asked for: the next run tries again."""
    _looked: dict[tuple[str, Market], set[date]] = field(default_factory=lambda: defaultdict(set))
    """Where prevented matches were looked for, and on which days."""
    _not_looked: set[tuple[str, date]] = field(default_factory=set)
    """The days on which that failed."""

    def __post_init__(self) -> None:
        self._today = self.session.clock.now().date()

    def begin(self) -> None:
        """What can be had without knowing what is unexplained: volumes, and the fills of routed orders."""
        self.session.raw.ask_again({market: doubt.since for market, doubt in self.doubtful.items()})
        self._stopped |= ask_volumes(self.session, self.facts, self._accounts)
        accounts = self._accounts
        self._allocations(accounts)

    @cached_property
    def open_days(self) -> set[date]:
        """The run's days, and all others whose trades may still change: a snapshot that came late, a market that failed
        or a trade that the rotation found leaves something unexplained there."""
        days = {(email, day) for email, of_account in self._judged().items() for day in of_account}
        judges = (self._judge(email, day) for email, day in days)
        of_days = (day for _, day in days if day >= self._start)
        return {*self.session.asked.days, *of_days, *(day for day in judges if day is not None)}

    def _judge(self, email: str, day: date) -> date | None:
        """The day whose residuals tell of a day's trades: itself, or, if no snapshot of it was read, the next that has
        one, whose window reaches back over it."""
        first = max(day, self._start)
        return min((each for each in self._stated[email] if each >= first), default=None)

    @cached_property
    def _stated(self) -> Mapping[str, set[date]]:
        """The days whose SPOT snapshot was read, by account."""
        stated: dict[str, set[date]] = defaultdict(set)
        for row in self.session.raw.ledger(streams=[SNAPSHOT]):
            if row.status in COVERAGE_READ:
                stated[row.account].add(row.date)
        return stated

    def run(self, found: Residuals) -> None:
        """Ask until nothing of what was `found` unexplained is left to ask for, then mark the days."""
        accounts = self._accounts
        found = self._search_for(accounts, found, is_first=True)
        if self._rotate(accounts):  # what it found may be one side of something
            found = self._search_for(accounts, self.residuals(self.open_days))
        self._note_purged(accounts, TRADES)
        self._mark(found)

    def _search_for(self, accounts: Collection[str], found: Residuals, *, is_first: bool = False) -> Residuals:
        """Round after round, until nothing is left to ask; what is unexplained then."""
        wide: set[str] = set()
        for round_ in range(ROUNDS_MAX):
            asked = self._round(accounts, found, wide, is_first=is_first and round_ == 0)
            # before every market of an asset is asked, what may explain two of them and is no trade
            silent = {email for email in accounts if email not in asked and email not in wide}
            new = self._prevented(silent, found)
            wide |= silent
            if asked or new:
                found = self.residuals(self.open_days)
            elif not silent:
                break
        return found

    @property
    def _accounts(self) -> list[str]:
        """The accounts that the run is about and that can be asked."""
        wanted = (email for email in self.facts if self.session.is_wanted(email))
        return [email for email in wanted if self.session.has_key(email) and email not in self._stopped]

    # -- rounds

    def _round(self, accounts: Iterable[str], found: Residuals, wide: Collection[str], *, is_first: bool) -> set[str]:
        """One round for every account; those of which markets were asked. Where nothing is left between two unexplained
        assets, a wide one asks the markets of one until what was found explains what was left."""
        known, markets, by_day = self._asked(), self._markets(), unexplained(found)
        plan: dict[str, list[Market]] = {}
        until: dict[str, Puzzle] = {}
        for email in (each for each in accounts if each not in self._stopped):
            asked, of_account = known[email], by_day.get(email, {})
            narrow = {day: between(assets, markets) for day, assets in of_account.items()}
            wanted = self._not_yet(narrow, asked)
            if is_first:
                of_late = sticky(markets, asked, self.session.clock.now())
                of_late += [m for m in markets if (email, TRADES.name, m.symbol) in self.doubtful]
                wanted[self.session.asked.days[-1]] += unasked(of_late, asked, self.since, self._end)
            if not any(self._can_ask(email, of_day) for of_day in wanted.values()) and email in wide:
                still = {day for day in of_account if stands_still(email, day, found)}
                touched = {
                    day: markets if day in still else touching(assets, markets) for day, assets in of_account.items()
                }
                wanted = self._not_yet(touched, asked)
                if not still:
                    until[email] = puzzle_of(email, [day for day, of_day in wanted.items() if of_day], found)
            if chosen := self._can_ask(email, _once(market for of_day in wanted.values() for market in of_day)):
                plan[email] = chosen
        self._ask_all(plan, known, until)
        return set(plan)

    def _can_ask(self, email: str, markets: Iterable[Market]) -> list[Market]:
        """Those that have not failed yet; none if the key is refused, or nothing answers where they are asked."""
        if email in self._stopped or (email, TRADES.name) in self.session.unreached:
            return []
        return [market for market in markets if (email, market.symbol) not in self._failed]

    def _not_yet(
        self, by_day: Mapping[date, Iterable[Market]], asked: Mapping[str, AskedMarket]
    ) -> defaultdict[date, list[Market]]:
        """Of the markets of each day those that were not asked through its end."""
        return defaultdict(
            list, {day: unasked(of_day, asked, self.since, midnight(day + ONE_DAY)) for day, of_day in by_day.items()}
        )

    def _rotate(self, accounts: Iterable[str]) -> int:
        """Ask a week's part of the other markets; how many trades that found."""
        known, markets, idle = self._asked(), self._markets(), idle_days(self.session.raw)
        plan, rotated, halted = {}, self.session.raw.rotated(), halted_since(self.session.raw)
        for email in accounts:
            asked = with_idle_days(markets, known[email], self.since, idle[email])
            share = share_of_rotation(len(markets), rotated.get(email), self._today)
            plan[email] = self._can_ask(email, rotation(markets, asked, self.since, self._end, halted)[:share])
        found = self._ask_all(plan, known, {})
        for email in plan if markets else ():  # without a list of markets nothing had its turn
            if email not in self._stopped and (email, TRADES.name) not in self.session.unreached:
                self.session.raw.note_rotation(email, self._today)
        return found

    @cached_property
    def _departed(self) -> Departures:
        """When markets left the list: what is asked is listed now."""
        return departures(self.session.raw)

    def _asker(
        self, stream: Stream, email: str, known: Mapping[str, AskedMarket], failed: set[tuple[str, str]]
    ) -> MarketAsker:
        return MarketAsker(
            self.session, stream, email, known, self.since, failed, self._stopped, self._departed, self.doubtful
        )

    def _ask_all(self, plan: Mapping[str, list[Market]], known: Asked, until: Mapping[str, Puzzle]) -> int:
        """Ask these markets; how many trades they told that were not known."""
        counts: list[int] = []

        def ask_account(item: tuple[str, list[Market]]) -> None:
            email, markets = item
            puzzle = until.get(email)
            of_account = known.get(email, {})
            with self._asker(TRADES, email, of_account, self._failed) as asker:
                for market in markets:
                    news = _News(market, puzzle)
                    asker.ask(market, news.take)
                    counts.append(news.count)
                    if news.is_solved:
                        break

        self.session.asked.say("asking for trades")
        self.session.each(list(plan.items()), ask_account)
        return sum(counts)

    def _days(self, email: str, marked: Mapping[date, str]) -> set[date]:
        """The days of an account to judge, by how they stand: the run's own, all that are not final, and, since the
        first whose balances were read, those of which nobody said anything yet. A run reads a week of snapshots, of an
        account that comes later too, and windows begin with them."""
        days = self.session.asked.days
        first = min((day for day in self._stated[email] if day >= self.since.date()), default=days[0])
        between = {first + timedelta(days=number) for number in range((days[-1] - first).days)}
        not_final = {day for day, status in marked.items() if status != "final"}
        return {*days, *not_final, *between.difference(marked)}

    @property
    def _start(self) -> date:
        """The first day that is reconciled."""
        return (self.since + timedelta(days=START_DAYS)).date()

    @property
    def _end(self) -> datetime:
        """The end of the run's last day: what a market has to be asked through."""
        return midnight(self.session.asked.days[-1] + ONE_DAY)

    def _allocations(self, accounts: Iterable[str]) -> None:
        """Fills of routed orders, of the few markets that have or ever had them; nothing to ask where the venue never
        listed one."""
        now = self.session.clock.now()
        listed = self._markets()
        routed = {symbol for row in self.session.raw.versions(LISTED, "routed") for symbol in exact(row.told)}
        markets = [market for market in listed if market.symbol in routed]
        known = self._asked(ALLOCATIONS)

        def ask_account(email: str) -> None:
            with self._asker(ALLOCATIONS, email, known[email], set()) as asker:
                for market in unasked(markets, known[email], self.since, self._end):
                    asker.ask(market)

        self.session.each(list(accounts) if markets else [], ask_account)
        known, marked = self._asked(ALLOCATIONS), self._marked(ALLOCATIONS)
        for email in accounts:
            marks = {}
            for day in sorted(self._days(email, marked[email])):
                is_whole = bool(listed) and not unasked(markets, known[email], self.since, midnight(day + ONE_DAY))
                marks[day] = DayRead(("final" if routed else "not_applicable") if is_whole else "partial")
            self.session.raw.mark(email, ALLOCATIONS.name, marks, now)
        self._note_purged(accounts, ALLOCATIONS, routed)

    def _note_purged(self, accounts: Iterable[str], stream: Stream, markets: Collection[str] | None = None) -> None:
        """Nothing can be had of a market that left the list, of `markets` if they are given: a hole from where it was
        asked last to the first list without it, or that showed it halted for good."""
        known, now, idle = self._asked(stream), self.session.clock.now(), idle_days(self.session.raw)
        listed = {market.symbol for market in self._markets()}
        purged = purged_markets(self.session.raw, departures(self.session.raw), listed)
        if markets is not None:
            purged = {symbol: gone_at for symbol, gone_at in purged.items() if symbol in markets}
        for email in accounts:
            found = []
            for symbol, gone_at in purged.items():
                asked = known[email].get(symbol)
                begin, through = (asked.asked_from, asked.asked_through) if asked else (self.since, self.since)
                if asked is not None and asked.purged_after == max(through, gone_at):
                    continue
                found.append(SymbolAsked(symbol, now, begin, through, purged_after=max(through, gone_at)))
            # listed again it is a hole until it is asked; if nothing was traded meanwhile it need not be
            for asked in known[email].values():
                end = asked.purged_after if asked.symbol in listed else None
                if end is not None and past_idle(asked.asked_through, idle[email]) >= end:
                    found.append(SymbolAsked(asked.symbol, now, asked.asked_from, asked.asked_through))
            self.session.raw.keep_symbols(email, stream.name, found, ())

    # -- transfers between accounts in place of self-trades

    def _prevented(self, accounts: Collection[str], found: Residuals) -> int:
        """Ask for prevented matches where both assets of a market stay unexplained; how many were new.

        They are told order by order, and only the list of orders says which orders were in one.
        """
        if not accounts:
            return 0
        markets, days_of_run = self._markets(), set(self.session.asked.days)
        before = self._looked_before()
        work: dict[tuple[str, Market], set[date]] = defaultdict(set)
        for (account, wallet, day), assets in found.items():
            if account in accounts and account not in self._stopped and wallet == WALLET:
                for market in markets:
                    is_new = day in days_of_run or market.symbol not in before[account, day]
                    if is_new and market.base in assets and market.quote in assets:
                        span = range(assets[market.base].days)
                        work[account, market] |= {day - timedelta(days=back) for back in span}
        work = {place: left for place, days in work.items() if (left := days - self._looked[place])}
        for place, days in work.items():
            self._looked[place] |= days
        searches = [OrderSearch(self.session, *place, sorted(days)) for place, days in work.items()]
        new = self._search([(search, None) for search in searches])
        # the order of the other side may be older than any list that was asked: its match is told by its number
        told = {(each.market.symbol, number) for each in searches for number in each.transfers}
        new += self._search(
            [
                (search, number)
                for search in searches
                for symbol, number in sorted(told)
                if symbol == search.market.symbol and number not in search.transfers
            ]
        )
        self._note_looked(searches)
        return new

    def _looked_before(self) -> dict[tuple[str, date], set[str]]:
        """In which markets prevented matches were looked for, by account and day."""
        ledger = self.session.raw.ledger(streams=[PREVENTED.name])
        read = (row for row in ledger if row.status in COVERAGE_READ)
        return defaultdict(set, {(row.account, row.date): set((row.calls or "").split()) for row in read})

    def _search(self, work: list[tuple[OrderSearch, int | None]]) -> int:
        counts = []

        def look(item: tuple[OrderSearch, int | None]) -> None:
            search, number = item
            failed = {(search.email, day) for day in search.days}
            if search.email in self._stopped or (search.email, PREVENTED.name) in self.session.unreached:
                self._not_looked.update(failed)
                return
            try:
                with self.session.told_of(search.email, PREVENTED.name, PREVENTED, symbol=search.market.symbol):
                    counts.append(search.run(number))
                    failed = set()
            except AccountStopped:
                self._stopped.add(search.email)
            self._not_looked.update(failed)

        self.session.each(work, look)
        return sum(counts)

    def _note_looked(self, searches: Iterable[OrderSearch]) -> None:
        """On which days prevented matches were looked for, so that it is not done again; and where it failed."""
        looked, marks = self._looked_before(), defaultdict[str, dict[date, DayRead]](dict)
        for search in searches:
            for day in search.days:
                looked[search.email, day].add(search.market.symbol)
        for email, day in {(search.email, day) for search in searches for day in search.days}:
            calls = " ".join(sorted(looked[email, day]))
            is_failed = (email, day) in self._not_looked
            marks[email][day] = replace(_NOT_LOOKED if is_failed else DayRead("complete"), calls=calls)
        for email, of_account in marks.items():
            self.session.raw.mark(email, PREVENTED.name, of_account, self.session.clock.now(), is_judgement=True)

    # -- days

    def _mark(self, found: Residuals) -> None:
        """How the trades of each day stand now."""
        known, markets, now = self._asked(), self._markets(), self.session.clock.now()
        idle = idle_days(self.session.raw)
        for email, days in self._judged().items():
            marks: dict[date, DayRead] = {}
            for day in sorted(days):
                judge = self._judge(email, day)
                assets = set(found.get((email, WALLET, judge), {})) if judge else set()
                span = self.since, midnight(day + ONE_DAY)
                status = standing(assets, markets, known[email], span, idle[email])
                if judge is None and status != "final":
                    status = "partial"
                is_looked = status == "partial" or (email, judge) not in self._not_looked
                marks[day] = _STANDING[status] if is_looked else replace(_NOT_LOOKED, status="partial")
            self.session.raw.mark(email, TRADES.name, marks, now, is_judgement=True)

    def _judged(self) -> Mapping[str, set[date]]:
        """The days whose trades are judged, by account. Of one that cannot be asked those that were complete: something
        may have come to light that nobody looked for."""
        marked, judged = self._marked(TRADES), {}
        for email in self.facts:
            if self.session.is_wanted(email) and self.session.has_key(email):
                judged[email] = self._days(email, marked[email])
            elif self.session.is_wanted(email):
                judged[email] = {day for day, status in marked[email].items() if status == "complete"}
        return judged

    def _marked(self, stream: Stream) -> defaultdict[str, dict[date, str]]:
        """How the days stand, by account."""
        found: defaultdict[str, dict[date, str]] = defaultdict(dict)
        for row in self.session.raw.ledger(streams=[stream.name]):
            found[row.account][row.date] = row.status
        return found

    # -- what is known

    def _asked(self, stream: Stream = TRADES) -> Asked:
        known: dict[str, dict[str, AskedMarket]] = defaultdict(dict)
        for row in self.session.raw.asked_symbols(stream.name):
            known[row.account][row.symbol] = AskedMarket(
                row.symbol,
                row.asked_from,
                row.asked_through,
                None if row.last_id is None else int(row.last_id),
                row.last_trade_at,
                row.purged_after,
                row.last_checked,
            )
        return known

    def _markets(self) -> list[Market]:
        """The markets that the venue lists now: those of the last list that was read."""
        return listed_markets(self.session.raw)


@dataclass
class _News:
    """What a market told that was not known, and whether it left nothing of a puzzle."""

    market: Market
    puzzle: Puzzle | None
    count: int = 0
    is_solved: bool = False

    def take(self, told: Sequence[Told]) -> None:
        self.count += len(told)
        if self.puzzle is not None and told:
            self.is_solved = self.puzzle.is_solved_with(self.market, told)


_STANDING = {
    "final": DayRead("final"),
    "complete": DayRead("complete", message="markets that touch nothing unexplained are asked in turn, within a week"),
    "partial": DayRead("partial", error="MarketsNotAsked", message="a market that may explain what is left is unasked"),
}
_NOT_LOOKED = DayRead("failed", error="NotLooked", message="prevented matches could not be asked for: see recon errors")


def unexplained(found: Residuals) -> Unexplained:
    """The assets of SPOT that are not explained, by account and day."""
    assets: dict[str, dict[date, set[str]]] = defaultdict(dict)
    for (email, wallet, day), of_day in found.items():
        if wallet == WALLET:
            assets[email][day] = set(of_day)
    return assets


def stands_still(email: str, day: date, found: Residuals) -> bool:
    """Whether a day's balances of SPOT are all those of the day before though flows moved several: the venue stated
    an old balance. Then what was traded leaves no trace where it should, and every market has to be asked."""
    of_day = found.get((email, WALLET, day), {})
    return len(of_day) >= STILL_LEAST and all(residual.is_still for residual in of_day.values())


def puzzle_of(email: str, days: Iterable[date], found: Residuals) -> Puzzle:
    """What is unexplained in the SPOT wallet of an account on these days."""
    return Puzzle(
        [
            Gap(asset, day - timedelta(days=residual.days - 1), day, residual.amount)
            for day in days
            for asset, residual in found.get((email, WALLET, day), {}).items()
        ]
    )


def _once(markets: Iterable[Market]) -> list[Market]:
    return list(dict.fromkeys(markets))
