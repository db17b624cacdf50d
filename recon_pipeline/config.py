"""recon.yaml and the environment, read into settings that the rest can trust.

`load_settings` is the only door: what it returns is complete and valid, and what it refuses is refused with the file,
the line, what was expected and what to do next. Paths in recon.yaml are relative to the file; RECON_HOME and
RECON_CONFIG to the folder in which the command runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Literal

from recon_pipeline.api_settings import API_KEYS, API_KINDS, ApiSettings, read_api
from recon_pipeline.yaml_reader import Section, Value, read_yaml

KINDS = ("statements", *API_KINDS)
CALENDARS = ("daily", "weekdays", "stated")
ROLLED_MEASURES = ("balance", "loan", "interest")
DUE_DAYS_DEFAULT: Mapping[str, int] = {"statements": 1, "binance": 2}
DUE_DAYS_MAX = 366
SEVERITY_DECIMALS = 9
"""More would not survive the exact arithmetic in which severities are decided."""

ToleranceKind = Literal["default", "cumulative", "books"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_LEVEL_KEYS = ("default", "assets", "cumulative", "books")
_COMMON_KEYS = ("kind", "folder", "due_days", "start")
_STATEMENTS_KEYS = ("files", "mapping", "calendar", "measures")
_VENUE_KEYS = (*_COMMON_KEYS, *_STATEMENTS_KEYS, *API_KEYS)
_TOP_KEYS = ("start", "venues", "tolerances", "severities", "openings", "prices")


@dataclass(frozen=True)
class VenueSettings:
    """One venue: where its records lie, how they are read, and on which days a snapshot is expected."""

    name: str
    kind: str
    folder: Path
    """Where its files lie. Of an API: where statements that a person downloaded are put, to be compared."""
    files: Mapping[str, str]
    """View name -> glob pattern inside `folder`, for the mapping's SQL."""
    mapping: Path | None
    """The folder of the mapping's SQL files; None if the files are canonical."""
    calendar: str
    due_days: int
    start: date
    price_sources: tuple[str, ...]
    """Venues whose prices serve where this one has none, in order; never this venue itself."""
    measures: tuple[str, ...]
    """Measures that are rolled forward; `balance` always comes first."""
    api: ApiSettings | None = None
    """Of a venue that is asked over HTTP; None for a folder of statements."""


@dataclass(frozen=True)
class ToleranceRule:
    """An absolute tolerance for what it names (None: every one). Of the rules that match the lowest rank counts."""

    account: str | None
    asset: str | None
    value: Decimal
    rank: int


@dataclass(frozen=True)
class Tolerances:
    """Every tolerance of recon.yaml, as (venue or None for all, kind, rule)."""

    entries: tuple[tuple[str | None, ToleranceKind, ToleranceRule], ...] = ()

    def rules(self, venue: str, kind: ToleranceKind = "default") -> tuple[ToleranceRule, ...]:
        """The rules that can match a position of the venue, lowest rank first.

        Ranks: 1 account.asset, 2 account.default, 3 venue.asset, 4 venue.default, 5 asset, 6 default.
        """
        rules = (rule for of_venue, of_kind, rule in self.entries if of_kind == kind and of_venue in (None, venue))
        return tuple(sorted(rules, key=lambda rule: (rule.rank, rule.account or "", rule.asset or "")))

    def find(self, venue: str, account: str, asset: str, kind: ToleranceKind = "default") -> Decimal | None:
        """The tolerance of a position, None if no rule matches."""
        for rule in self.rules(venue, kind):
            if rule.account in (None, account) and rule.asset in (None, asset):
                return rule.value
        return None


@dataclass(frozen=True)
class Severities:
    """Where the severity of a variance changes: shares of max(|calculated|, |actual|), and USD."""

    medium_share: Decimal = Decimal("0.01")
    high_share: Decimal = Decimal("0.05")
    low_usd_always: Decimal = Decimal(1)
    medium_usd: Decimal = Decimal(100)
    high_usd: Decimal = Decimal(1000)
    critical_usd: Decimal = Decimal(10000)
    critical_missing_usd: Decimal = Decimal(1000)


@dataclass(frozen=True)
class Opening:
    """A declared new beginning of a wallet, from its first snapshot on or after `date`."""

    venue: str
    account: str
    wallet: str
    date: date
    note: str


@dataclass(frozen=True)
class Settings:
    """Everything that recon.yaml and the environment say."""

    start: date
    venues: Mapping[str, VenueSettings]
    tolerances: Tolerances
    severities: Severities
    openings: tuple[Opening, ...]
    home: Path
    lake_url: str = field(repr=False)
    database_url: str | None = field(repr=False)
    """RECON_DATABASE_URL, which may hold a password; None means the embedded PostgreSQL."""
    path: Path

    @property
    def archive(self) -> Path:
        """Where the bytes of what was read are kept."""
        return self.home / "archive"


def load_settings(path: Path | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `path` (else RECON_CONFIG, else ./recon.yaml) and from the environment; ConfigError if wrong."""
    path = path or Path(env.get("RECON_CONFIG") or "recon.yaml")
    top = read_yaml(path).section(_TOP_KEYS)
    start = top.need("start", "the first day, such as 2026-01-01").day()
    venues_at = top.need("venues", "the venues, each under its name")
    sections = {_venue_name(name, value): value.section(_VENUE_KEYS) for name, value in venues_at.section()}
    if not sections:
        raise venues_at.error("no venue", expected="at least one venue, each under its name")
    sources = _price_sources(top.get("prices"), sections)
    base = path.absolute().parent
    home = Path(env.get("RECON_HOME") or ".recon").expanduser().absolute()
    return Settings(
        start=start,
        venues={name: _venue(name, section, base, start, sources) for name, section in sections.items()},
        tolerances=_tolerances(top.get("tolerances"), sections),
        severities=_severities(top.get("severities")),
        openings=_openings(top.get("openings"), sections),
        home=home,
        lake_url=_lake_url(env.get("RECON_LAKE_URL"), home),
        database_url=env.get("RECON_DATABASE_URL") or None,
        path=path.absolute(),
    )


def _lake_url(given: str | None, home: Path) -> str:
    """A path, like RECON_HOME, from the folder in which the command runs: whoever it starts runs elsewhere."""
    if not given:
        return str(home / "lake")
    return given if "://" in given else str(Path(given).expanduser().absolute())


def _venue_name(name: str, at: Value) -> str:
    # It becomes a folder of the lake, part of Dagster's names and a value in SQL; `marts` is Dagster's for the marts.
    if not _NAME.fullmatch(name) or name == "marts":
        raise at.error(
            f"'{name}' cannot name a venue",
            expected="a letter, then letters, digits and _ , at most 40 in all, other than 'marts'",
            next_step=f"rename it, for instance {re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_')[:30] or 'venue'}_1",
        )
    return name


def _price_sources(at: Value | None, venues: Mapping[str, Section]) -> tuple[str, ...]:
    listed = at.section(("sources",)).get("sources") if at else None
    sources: list[str] = []
    for item in listed.items() if listed else ():
        venue = item.choice(tuple(venues))
        if venue in sources:
            raise item.error(f"'{venue}' stands twice", expected="each source once, in the order of trust")
        sources.append(venue)
    return tuple(sources)


def _venue(name: str, section: Section, base: Path, start: date, sources: tuple[str, ...]) -> VenueSettings:
    kind = section.need("kind", "one of " + ", ".join(KINDS)).choice(KINDS)
    _refuse_other_kinds(kind, section)
    own_start, due_days, calendar = section.get("start"), section.get("due_days"), section.get("calendar")
    mapping = section.get("mapping")
    files = section.get("files")
    if files and not mapping:
        raise files.error(
            "files without a mapping",
            expected="mapping: the folder of SQL files that read them",
            next_step="add mapping, or remove files if they already have the canonical columns",
        )
    return VenueSettings(
        name=name,
        kind=kind,
        folder=_folder(name, kind, section, base),
        files=_files(files),
        mapping=_path(mapping, base) if mapping else None,
        calendar=calendar.choice(CALENDARS) if calendar else "daily",
        due_days=due_days.whole(DUE_DAYS_MAX) if due_days else DUE_DAYS_DEFAULT[kind],
        start=own_start.day() if own_start else start,
        price_sources=tuple(source for source in sources if source != name),
        measures=ROLLED_MEASURES if kind in API_KINDS else _measures(section.get("measures")),
        api=read_api(kind, section) if kind in API_KINDS else None,
    )


def _refuse_other_kinds(kind: str, section: Section) -> None:
    """A key that belongs to another kind of venue would be ignored in silence."""
    others = _STATEMENTS_KEYS if kind in API_KINDS else API_KEYS
    for key in others:
        if (value := section.get(key)) is not None:
            raise value.error(
                f"{key} does not belong to a venue of kind {kind}",
                expected=", ".join((*_COMMON_KEYS, *(API_KEYS if kind in API_KINDS else _STATEMENTS_KEYS))),
            )


def _folder(name: str, kind: str, section: Section, base: Path) -> Path:
    if kind in API_KINDS and section.get("folder") is None:
        return base / "statements" / name
    return _path(section.need("folder", "the folder of its files"), base)


def _path(at: Value, base: Path) -> Path:
    return base / Path(at.text(expected="a folder")).expanduser()


def _files(at: Value | None) -> dict[str, str]:
    patterns: dict[str, str] = {}
    for name, value in at.section() if at else ():
        if not _NAME.fullmatch(name):
            raise value.error(f"'{name}' cannot name a view", expected="a letter, then letters, digits and _")
        if same := [other for other in patterns if other.lower() == name.lower()]:
            raise value.error(
                f"'{name}' and '{same[0]}' name one view", expected="names that differ by more than capital letters"
            )
        pattern = PurePosixPath(value.text(expected='a pattern inside the folder, such as "balances-*.csv"'))
        if pattern.is_absolute() or ".." in pattern.parts:
            raise value.error(f"'{pattern}' leads out of the folder", expected="a pattern inside the venue's folder")
        patterns[name] = str(pattern)
    return patterns


def _measures(at: Value | None) -> tuple[str, ...]:
    listed = {item.choice(ROLLED_MEASURES) for item in at.items()} if at else set()
    return tuple(measure for measure in ROLLED_MEASURES if measure == "balance" or measure in listed)


def _tolerances(at: Value | None, venues: Mapping[str, Section]) -> Tolerances:
    if at is None:
        return Tolerances()
    top = at.section((*_LEVEL_KEYS, "venues"))
    entries: list[tuple[str | None, ToleranceKind, ToleranceRule]]
    entries = [(None, kind, rule) for kind, rule in _level(top, None, rank=5)]
    by_venue = top.get("venues")
    for venue, value in by_venue.section(tuple(venues)) if by_venue else ():
        section = value.section((*_LEVEL_KEYS, "accounts"))
        found = _level(section, None, rank=3)
        accounts = section.get("accounts")
        for account, of_account in accounts.section() if accounts else ():
            found += _level(of_account.section(_LEVEL_KEYS), account, rank=1)
        entries += [(venue, kind, rule) for kind, rule in found]
    return Tolerances(tuple(entries))


def _level(section: Section, account: str | None, rank: int) -> list[tuple[ToleranceKind, ToleranceRule]]:
    """The rules of one level: assets at `rank`, the default one rank behind."""
    found: list[tuple[ToleranceKind, ToleranceRule]] = [("default", rule) for rule in _amounts(section, account, rank)]
    apart: tuple[ToleranceKind, ...] = ("cumulative", "books")
    for kind in apart:
        at = section.get(kind)
        if at is None:
            continue
        if at.is_scalar:
            found.append((kind, ToleranceRule(account, None, at.number(), rank + 1)))
        else:
            found += [(kind, rule) for rule in _amounts(at.section(("default", "assets")), account, rank)]
    return found


def _amounts(section: Section, account: str | None, rank: int) -> list[ToleranceRule]:
    assets, default = section.get("assets"), section.get("default")
    by_asset = assets.section() if assets else ()
    rules = [ToleranceRule(account, asset, value.number(), rank) for asset, value in by_asset]
    return rules + ([ToleranceRule(account, None, default.number(), rank + 1)] if default else [])


def _severities(at: Value | None) -> Severities:
    names = tuple(spec.name for spec in fields(Severities))
    written = {name: (value, value.number()) for name, value in (at.section(names) if at else ())}
    for name, (value, number) in written.items():
        is_share = name.endswith("_share")
        if number != round(number, SEVERITY_DECIMALS) or (is_share and number >= 1):
            what = "a share from 0 to below 1" if is_share else "an amount in USD"
            raise value.error(f"{name} is {number:f}", expected=f"{what} with at most {SEVERITY_DECIMALS} decimals")
    found = Severities(**{name: number for name, (_, number) in written.items()})
    for lower, upper in (
        ("medium_share", "high_share"),
        ("low_usd_always", "medium_usd"),
        ("medium_usd", "high_usd"),
        ("high_usd", "critical_usd"),
        ("critical_missing_usd", "critical_usd"),
    ):
        if getattr(found, lower) > getattr(found, upper):
            value = (written.get(upper) or written[lower])[0]
            raise value.error(
                f"{lower} {getattr(found, lower)} is above {upper} {getattr(found, upper)}",
                expected="thresholds that rise with the severity",
            )
    return found


def _openings(at: Value | None, venues: Mapping[str, Section]) -> tuple[Opening, ...]:
    openings: dict[tuple[str, str, str, date], Opening] = {}
    for item in at.items() if at else ():
        section = item.section(("venue", "account", "wallet", "date", "note"))
        opening = Opening(
            venue=section.need("venue", "the venue").choice(tuple(venues)),
            account=section.need("account", "the account").text(),
            wallet=section.need("wallet", "the wallet").text(),
            date=section.need("date", "from which day on").day(),
            note=section.need("note", "why the past cannot be mended; the verdict shows it").text(),
        )
        key = (opening.venue, opening.account, opening.wallet, opening.date)
        if key in openings:
            raise item.error("the same opening stands twice", expected="one for each wallet and date")
        openings[key] = opening
    return tuple(openings.values())


INIT_TEMPLATE = """\
# recon.yaml: what is reconciled, from when, and how exactly. Paths are relative to this file.
# A key that is not known is refused with its line. Numbers may be quoted; they are read as they are written.

start: 2026-01-01                 # first day of the daily partitions; a venue may set its own

venues:
  my_bank:                        # letters, digits and _; it stands in every row
    kind: statements              # a folder of CSV or Parquet files
    folder: statements/my_bank    # canonical files: balances*.csv, transfers*.csv, trades*.csv, coverage*.csv ...
    calendar: daily               # days on which a snapshot is due: daily | weekdays | stated
    due_days: 1                   # a missing input is pending for that many days, then incomplete
    # start: 2026-02-01
    # measures: [balance, loan, interest]      # what is rolled forward; balance always is
    # files:                      # a foreign layout: each pattern becomes a view of that name ...
    #   b: "balances-*.csv"
    # mapping: mapping/my_bank    # ... for the SQL in this folder (transfers.sql, balances.sql, coverage.sql ...)

# Absolute tolerances, inclusive. The first found of account.asset, account.default, venue.asset, venue.default,
# asset, default; 0 where none is found.
tolerances:
  default: "1e-8"                 # crypto
  assets:
    USD: "0.01"
    EUR: "0.01"
    GBP: "0.01"
    CHF: "0.01"
    JPY: "1"
    USDC: "0.01"
    USDT: "0.01"
  # cumulative: "0.05"            # for the sum of all variances since the opening; else that of the last day
  # books: {default: "0.01"}      # for books against venue
  # venues:
  #   my_bank:
  #     default: "0.01"
  #     cumulative: {default: "0.05", assets: {JPY: "5"}}
  #     accounts:
  #       main: {assets: {EUR: "0"}}

# Where the severity of a variance changes (these are the defaults).
# severities:
#   medium_share: "0.01"          # share of the larger of calculated and actual
#   high_share: "0.05"
#   low_usd_always: "1"           # below it always low
#   medium_usd: "100"
#   high_usd: "1000"
#   critical_usd: "10000"
#   critical_missing_usd: "1000"  # where one side is missing altogether

# Venues whose prices serve where a venue has none of its own, in order.
# prices: {sources: [my_bank]}

# Start a wallet anew where its past cannot be mended; the verdict shows the note.
openings: []
# - {venue: my_bank, account: main, wallet: cash, date: 2026-03-01, note: "statements before March are lost"}
"""
