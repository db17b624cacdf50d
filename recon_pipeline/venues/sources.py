"""Where a venue's records come from, whatever its kind: pulled if they have to be, then read as canonical frames."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from recon_pipeline.config import Settings
from recon_pipeline.errors import ReconError
from recon_pipeline.frames.schema import RECONCILIATION
from recon_pipeline.stores.coverage import Needed
from recon_pipeline.stores.journal import files_version, last_good_files, record_files
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.statements.reading import read_folder

if TYPE_CHECKING:
    from recon_pipeline.venues.binance.source import BinanceSource


@dataclass(frozen=True)
class Residual:
    """actual - calculated of a position on a day."""

    amount: Decimal
    days: int = 1
    """How many days its window spans: more than one where days before it have no balance."""
    is_still: bool = False
    """Whether the balance is what it was at the start, though flows moved it."""


Residuals = Mapping[tuple[str, str, date], Mapping[str, Residual]]
"""What a reading leaves unexplained, by asset, of each (account, wallet, day); nothing where all is explained."""


@dataclass(frozen=True)
class Asked:
    """What a run asks a source for: days in order, seen from `as_of_day`, of some accounts or (None) of all."""

    days: Sequence[date]
    as_of_day: date
    accounts: Collection[str] | None
    say: Callable[[str], None]
    check: Callable[[], None]
    """Called between requests; raises if the run is to stop."""
    residuals: Callable[[Reading, Collection[date]], Residuals]
    """What a reading leaves unexplained on some days, as the kernel computes it."""
    reconciled: Callable[[Reading, Collection[date]], pa.Table]
    """The rows of the reconciliation of a reading on some days, explained or not."""
    run_id: str | None = None


class Source(Protocol):
    """Of one venue. `families` are (stream, family of wallets that it can move); none if every stream moves all."""

    @property
    def families(self) -> tuple[tuple[str, str], ...]:
        """Which stream can move which wallets."""

    def pull(self, asked: Asked) -> None:
        """Bring over what the venue has to be asked for; what cannot be had is recorded, and the rest goes on."""

    def read(self) -> Reading:
        """Everything that the venue has told, as frames."""

    def version(self) -> object:
        """Another value whenever a reading would be another."""


class StatementsSource:
    """A folder of statements: nothing is pulled, the folder is read."""

    families: tuple[tuple[str, str], ...] = ()

    def __init__(self, settings: Settings, venue: str, url: str) -> None:
        self._settings = settings
        self._venue = settings.venues[venue]
        self._url = url

    def pull(self, asked: Asked) -> None:
        """Nothing: the folder is there."""

    def read(self) -> Reading:
        """The folder at one moment, archived; its files recorded."""
        last_good = last_good_files(self._url, self._venue.name)
        reading = read_folder(self._venue, self._settings.archive, last_good, kept=readings(self._settings))
        record_files(self._url, self._venue.name, reading.files)
        return reading

    def version(self) -> object:
        """When anything about the files last changed."""
        return files_version(self._url, self._venue.name)


def capture_now(
    settings: Settings, venue: str, url: str, say: Callable[[str], None], check: Callable[[], None] = lambda: None
) -> tuple[int, tuple[ReconError, ...]]:
    """Capture what a venue tells of the present alone and what closes yesterday; how many captures were made, and what
    went wrong. Nothing at a venue of statements."""
    source = source_of(settings, venue, url)
    if isinstance(source, StatementsSource):
        return 0, ()
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    nothing = RECONCILIATION.arrow.empty_table()
    return source.capture(Asked([yesterday], yesterday, None, say, check, lambda *_: {}, lambda *_: nothing))


def needed_of(settings: Settings, venue: str) -> Needed:
    """The accounts of a venue that is asked over HTTP, and the streams of which each has its mark on every day that a
    run has come to: with its own key, the captures of its nights too."""
    of_venue = settings.venues[venue]
    if of_venue.api is None:
        return Needed(of_venue.start, {})
    from recon_pipeline.venues.binance.holes import CAPTURES, OWN_SNAPSHOTS
    from recon_pipeline.venues.binance.reading import flow_streams

    of_any, captured = (*flow_streams(of_venue.api), *OWN_SNAPSHOTS), sorted(CAPTURES)
    accounts = of_venue.api.accounts.items()
    streams = {name: (*of_any, *(captured if of.credentials else ())) for name, of in accounts}
    return Needed(of_venue.start, streams, captured)


def readings(settings: Settings) -> Path:
    """Where the last reading of each venue is kept."""
    return settings.home / "readings"


def source_of(settings: Settings, venue: str, url: str) -> StatementsSource | BinanceSource:
    """The source of a venue, by its kind."""
    if settings.venues[venue].kind == "statements":
        return StatementsSource(settings, venue, url)
    from recon_pipeline.venues.binance.source import BinanceSource

    return BinanceSource(settings, venue, url)
