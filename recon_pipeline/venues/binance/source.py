"""Binance as a source of records: pulled over HTTP into PostgreSQL, then read from there as frames."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, timedelta

from recon_pipeline.api_settings import ApiSettings
from recon_pipeline.config import Settings
from recon_pipeline.errors import ConfigError, ReconError
from recon_pipeline.stores.coverage import known_accounts
from recon_pipeline.stores.raw import RawStore
from recon_pipeline.stores.reviews import record_findings, resolve_read
from recon_pipeline.transport.archive import AnswerArchive
from recon_pipeline.transport.budgets import Budgets
from recon_pipeline.transport.client import Client
from recon_pipeline.transport.clock import Clock, LiveClock, SharedClock, clock_of
from recon_pipeline.transport.credentials import Credentials, find_credentials
from recon_pipeline.transport.secrets_file import SecretsFile
from recon_pipeline.venues.binance.accounts import check_names
from recon_pipeline.venues.binance.capture import CAPTURED, Capture
from recon_pipeline.venues.binance.dialect import BinanceDialect
from recon_pipeline.venues.binance.emptied import emptied_wallets, read_again
from recon_pipeline.venues.binance.endpoints import READ_LIST
from recon_pipeline.venues.binance.family import look_at_accounts
from recon_pipeline.venues.binance.findings import finding, is_open, rests_on_residuals
from recon_pipeline.venues.binance.holes import OWN_SNAPSHOTS
from recon_pipeline.venues.binance.markets import look_at_markets
from recon_pipeline.venues.binance.placing import place_flows
from recon_pipeline.venues.binance.prices import assets_of, pull_prices
from recon_pipeline.venues.binance.pulling import BY_MARKET, Pull
from recon_pipeline.venues.binance.reading import OF_CONTEXT, Search, context_of, families_read, read_mapped, told_by
from recon_pipeline.venues.binance.session import START_DAYS, Session, trades_since
from recon_pipeline.venues.binance.streams import STREAMS
from recon_pipeline.venues.binance.trades import Trades
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.sources import Asked, Residuals
from recon_pipeline.venues.streams import NEVER_USED

HOSTS = {
    "api": "https://api.binance.com",
    "fapi": "https://fapi.binance.com",
    "dapi": "https://dapi.binance.com",
    "eapi": "https://eapi.binance.com",
    "papi": "https://papi.binance.com",
}


_ROUNDS = 3
"""How often flows are placed in one run, if each time more becomes known."""


class BinanceSource:
    """One venue of kind binance."""

    def __init__(self, settings: Settings, venue: str, url: str) -> None:
        self._settings = settings
        self._venue = settings.venues[venue]
        self._url = url
        self._problems: tuple[ReconError, ...] = ()
        self._read: tuple[str, Reading | None] = "", None
        """What the last pull read in the end, and of which version of the records."""
        if self._venue.api is None:
            raise TypeError(f"{venue} is not asked over HTTP")
        self._api: ApiSettings = self._venue.api
        self.families = families_read(self._api)
        _check_never_used(self._api)
        _check_gone(self._api)

    def pull(self, asked: Asked) -> None:
        """Everything that the run's days need, as far as the venue tells; what it does not is recorded."""
        with closing(RawStore(self._url, self._venue.name)) as raw, self._opened(raw, asked) as session:
            facts = Pull(session).run()
            if not any(map(session.is_wanted, facts)):  # who knows none of the accounts asks for nothing else
                self._problems = tuple(session.problems)
                return
            search = Search(self._venue, self._api, raw)

            def residuals(days: Collection[date]) -> Residuals:
                return asked.residuals(search.read(), days)

            search.read()
            raw.reopen(search.unusable)  # before the search rests on which snapshots were read
            trades = Trades(session, facts, residuals, trades_since(self._venue), search.doubtful)
            trades.begin()
            found = residuals(trades.open_days)
            if emptied := emptied_wallets(search.read(), found):
                read_again(session, facts, emptied)  # before anything is searched for that only seems to be missing
                found = residuals(trades.open_days)
            trades.run(found)
            # a day that is open may get other rows in this run, and be worth something then
            from_ = max(min(trades.open_days), asked.days[0] - timedelta(days=START_DAYS))
            pull_prices(session, assets_of(search.read(), from_), from_)
            raw.reopen(search.unusable)
            # only now that the search has marked the trades' days can a window of them be closed
            version = raw.version()
            read = read_mapped(self._venue, self._api, raw)
            problems = read.open.problems
            found = asked.residuals(read.reading, trades.open_days) if any(map(rests_on_residuals, problems)) else {}
            may_tell_more = any(each.following for each in read.open.unplaced)
            for _ in range(_ROUNDS):
                if not place_flows(raw, read, asked.reconciled) or not may_tell_more:
                    break
                # what came back lies where it had left from, which may tell where another flow of that day lies
                version, read = raw.version(), read_mapped(self._venue, self._api, raw)
            told = [finding(problem) for problem in problems if is_open(problem, found)]
            record_findings(self._url, self._venue.name, told)
            self._problems = tuple(session.problems)
            resolve_read(self._url, self._venue.name, session.well)
            self._read = version, read.reading

    def capture(self, asked: Asked) -> tuple[int, tuple[ReconError, ...]]:
        """Capture what has no history and closes yesterday; how many captures were made, and what went wrong.

        Needs no lock of the venue: captures are added, never changed, and may not wait for a backfill.
        """
        with closing(RawStore(self._url, self._venue.name)) as raw, self._opened(raw, asked) as session:
            look_at_accounts(session)
            context = context_of(self._api, told_by(raw.records(OF_CONTEXT)), raw)
            made = Capture(session, context).run()
            look_at_markets(session)  # after what cannot wait, for this may
            resolve_read(self._url, self._venue.name, session.well)
            return made, tuple(session.problems)

    def read(self) -> Reading:
        """Everything that was told so far."""
        with closing(RawStore(self._url, self._venue.name)) as raw:
            version, reading = self._read
            if reading is None or version != raw.version():
                reading = read_mapped(self._venue, self._api, raw).reading
            return replace(reading, problems=self._problems)

    def version(self) -> object:
        """Another text whenever a record or a day of the ledger has changed."""
        with closing(RawStore(self._url, self._venue.name)) as raw:
            return raw.version()

    @contextmanager
    def _opened(self, raw: RawStore, asked: Asked) -> Iterator[Session]:
        check_names(self._api, known_accounts(self._url, [self._venue.name]))
        clock = self.clock()
        archive = AnswerArchive(self._settings.archive / "answers", self._url)
        budgets = Budgets(self._url, clock, share=self._api.share_of_allowance)
        hosts = dict.fromkeys(HOSTS, self._api.sandbox) if self._api.sandbox else HOSTS
        base_urls = {name: str(url) for name, url in hosts.items()}
        client = Client(
            self._venue.name,
            base_urls,
            READ_LIST,
            BinanceDialect(),
            budgets=budgets,
            archive=archive,
            clock=clock,
            run_id=asked.run_id,
        )
        try:
            yield Session(self._venue.name, self._url, self._api, client, clock, raw, self._keys(), asked)
        finally:
            client.close()
            budgets.close()
            archive.close()
            if isinstance(clock, SharedClock):
                clock.close()

    def clock(self) -> Clock:
        """The machine's, set by the venue's; of a sandbox the one that it serves."""
        return clock_of(self._api.sandbox) if self._api.sandbox else LiveClock()

    def _keys(self) -> dict[str, Credentials | ReconError]:
        """The credentials of each account that names some, or why they cannot be used."""
        store = SecretsFile(self._settings.home)
        keys: dict[str, Credentials | ReconError] = {}
        for email, account in self._api.accounts.items():
            if account.credentials is None:
                continue
            try:
                keys[email] = find_credentials(email, account.credentials, store)
            except ConfigError as error:
                keys[email] = error
        return keys


def _check_never_used(api: ApiSettings) -> None:
    """What an account may have never used is a flow that is asked for by day, or what states a wallet: a misspelt one
    would silence nothing."""
    known = {stream.name for stream in STREAMS if stream.role == "flow" and stream.name not in BY_MARKET}
    known |= {*OWN_SNAPSHOTS, *(stream.name for stream in CAPTURED)}
    for account in api.accounts.values():
        if unknown := sorted({*account.extras.get(NEVER_USED, ())} - known):
            raise ConfigError(
                f"never_used names {', '.join(unknown)}",
                where=f"recon.yaml, account {account.name}",
                expected="flows, snapshots and captures of recon venues, but for spot_trades and allocations",
                next_step="correct the name",
            )


def _check_gone(api: ApiSettings) -> None:
    """What the venue may have removed is what is asked by day. What states a wallet is none of it: nothing else says
    what it holds."""
    known = {stream.name for stream in STREAMS if stream.role in ("flow", "detail") and stream.name not in BY_MARKET}
    if unknown := sorted(api.gone.keys() - known):
        raise ConfigError(
            f"gone names {', '.join(unknown)}",
            where="recon.yaml, gone of the venue",
            expected="flows and details of recon venues, but for spot_trades and allocations, each with the first day"
            " on which the venue had it no more",
            next_step="correct the name; a wallet that nothing states any more stays incomplete",
        )
