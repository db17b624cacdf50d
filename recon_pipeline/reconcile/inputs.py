"""What the rows of a day rest on, as digests: the kernel works like `make`.

Every stored reconciliation partition carries, in its Parquet metadata, which inputs its rows read and their digests at
that time. A stored day whose recorded inputs differ from what the lake holds now is stale, whoever changed them and
whether or not the run that did lived to see it.
"""

from __future__ import annotations

import hashlib
import json
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import Any, TypeVar

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recon_pipeline.frames.duck import open_duckdb
from recon_pipeline.frames.schema import EXPECTED
from recon_pipeline.reconcile.settings import KernelSettings
from recon_pipeline.stores.lake import Lake

INPUTS_KEY = "recon.inputs"
TIMING_KEY = "recon.timing"
STALE_KEY = "recon.stale"
UNTIL_KEY = "recon.until"
"""The last as_of_day on which the rows are as they stand: then something is due, or an expected item is overdue."""
PRICE_DAYS = 3
Wallet = tuple[str, str]
IntArray = npt.NDArray[np.int64]
_SHA256 = np.dtype((np.void, 32))
_REMEMBERED = 8
_remembered: dict[str, Any] = {}
_remembering = Lock()
T = TypeVar("T")


def remembered(key: str, make: Callable[[], T]) -> T:
    """What a key stands for, made only if it is not among the last that were.

    A run asks for the same several times between its writes; a key names all that the answer is made from by digests.
    """
    with _remembering:
        known = _remembered.pop(key, None)
    answer: T = make() if known is None else known
    with _remembering:
        _remembered[key] = answer  # as the last: what was not asked for longest goes first
        while len(_remembered) > _REMEMBERED:
            _remembered.pop(next(iter(_remembered)))
    return answer


@dataclass(frozen=True)
class Reach:
    """How far the rows of one day reach: days are inclusive, None means from the beginning.

    Flows and coverage count over (first_instant, last_instant], None where no window was tested.
    """

    day: date
    balances_from: date | None
    first_instant: datetime | None
    last_instant: datetime | None
    flows_from: date | None
    rests_on_all_prices: bool

    @property
    def window_days(self) -> tuple[date, date] | None:
        """The UTC days that the windows touch."""
        return _window_days(self.first_instant, self.last_instant)

    @property
    def flow_days(self) -> tuple[date, date] | None:
        """The UTC days whose flow partitions the rows consult: of the windows, and of wallets never stated."""
        if self.flows_from is None:
            return self.window_days
        first, last = self.window_days or (self.flows_from, self.day)
        return min(first, self.flows_from), max(last, self.day)

    @property
    def price_days(self) -> tuple[date | None, date]:
        """The UTC days whose price partitions the rows consult."""
        return (None if self.rests_on_all_prices else self.day - timedelta(days=PRICE_DAYS - 1), self.day)


@dataclass(frozen=True)
class Days:
    """The digests of one frame's partitions that have rows, by day.

    One without rows says no more than one that was never written, but of flows; and it may be left from days or files
    that are gone, so that no row's digest may tell of it.
    """

    days: tuple[date, ...]
    digests: tuple[str, ...]
    written: frozenset[date]
    """Every day that has a partition, rows or none."""

    @classmethod
    def of(cls, lake: Lake, frame: str, venue: str) -> Days:
        """As they are in a lake."""
        digests, rows = lake.digests(frame, venue), lake.row_counts(frame, venue)
        days = sorted(day for day in digests if rows.get(day))
        return cls(tuple(days), tuple(digests[day] for day in days), frozenset(digests))

    def between(self, first: date | None, last: date) -> tuple[date, ...]:
        """The days that have a partition, from first to last."""
        return self.days[self._span(first, last)]

    def over(self, first: date | None, last: date) -> str:
        """One digest over the partitions that there are from first to last."""
        span = self._span(first, last)
        return digest_of(
            [[day.isoformat(), digest] for day, digest in zip(self.days[span], self.digests[span], strict=True)]
        )

    def _span(self, first: date | None, last: date) -> slice:
        return slice(bisect_left(self.days, first) if first else 0, bisect_right(self.days, last))


def digest_of(value: Any) -> str:
    """sha256 over a value's JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str, separators=(",", ":")).encode()).hexdigest()


class Inputs:
    """The state of a venue's inputs in the lake at one moment. Reads through `connection`, or one of its own."""

    def __init__(
        self, lake: Lake, settings: KernelSettings, connection: duckdb.DuckDBPyConnection | None = None
    ) -> None:
        self.lake = lake
        self.settings = settings
        self._connection = connection
        venue = settings.venue
        self.balances = Days.of(lake, "balances", venue)
        self.transfers = Days.of(lake, "transfers", venue)
        self.trades = Days.of(lake, "trades", venue)
        self.prices = {source: Days.of(lake, "prices", source) for source in self.price_sources}
        self.expected = Days.of(lake, "expected", venue)
        self.quarantine = lake.read_quarantine(venue).to_pylist()
        self.refused_prices = {source: self._refused_prices(source) for source in self.price_sources}

    def reader(self) -> duckdb.DuckDBPyConnection:
        """A connection to read with and to close, which leaves the one that was given open."""
        if self._connection is None:
            return connect(self.lake)
        cursor = self._connection.cursor()
        cursor.execute("SET TimeZone = 'UTC'")
        return cursor

    def _refused_prices(self, source: str) -> list[dict[str, Any]]:
        own = source == self.settings.venue
        refused = self.quarantine if own else self.lake.read_quarantine(source).to_pylist()
        return [row for row in refused if row["frame"] == "prices"]

    def look_ahead(self) -> None:
        """Find out what every piece and every day will ask for, before several threads do."""
        _ = self.never_stated, self._coverage_rows, self.expected_items, self.timing

    @property
    def price_sources(self) -> tuple[str, ...]:
        """Whose prices count, in order: the venue's own first."""
        return (self.settings.venue, *self.settings.price_sources)

    @property
    def coverage_files(self) -> list[str]:
        """Every coverage partition of the venue: a row may overlap any window, however early it begins."""
        venue = self.settings.venue
        return [self.lake.partition("coverage", venue, day) for day in self.lake.days("coverage", venue)]

    def balance_rows(self, first: date, last: date | None = None) -> int:
        """How many balances a day states, or all days up to another."""
        days = self.balances.between(first, last or first)
        return sum(self.lake.rows("balances", self.settings.venue, day) for day in days)

    @cached_property
    def expected_items(self) -> pa.Table:
        """Every expected item of the venue."""
        return self.lake.read("expected", self.settings.venue)

    @cached_property
    def timing(self) -> dict[date, str]:
        """What each stored day says of its `expected` rows, which the window after may take back."""
        venue = self.settings.venue
        told = {
            day: self.lake.metadata("reconciliation", venue, day) for day in self.lake.days("reconciliation", venue)
        }
        return {day: metadata[TIMING_KEY] for day, metadata in told.items() if TIMING_KEY in metadata}

    @cached_property
    def never_stated(self) -> dict[Wallet, tuple[date, date | None]]:
        """Wallets that flows told of before any snapshot did: day of the first flow, day of the first snapshot."""
        stated = dict(_first_days(self, ("balances",)))
        told = dict(_first_days(self, ("transfers", "trades")))
        for row in self.quarantine:
            if row["frame"] in ("transfers", "trades") and row["account"] and row["wallet"] and row["asset"]:
                wallet = (row["account"], row["wallet"])
                day = row["instant"].date() if row["instant"] else date.min
                told[wallet] = min(told.get(wallet, day), day)
        return {
            wallet: (day, stated.get(wallet))
            for wallet, day in told.items()
            if wallet not in stated or day < stated[wallet]
        }

    def record(self, reach: Reach) -> dict[str, Any]:
        """The inputs of a day's rows with their digests, ready for JSON."""
        balances = [_text(reach.balances_from), reach.day.isoformat()]
        flows = [day.isoformat() for day in reach.flow_days] if reach.flow_days else []
        hull = [_text(reach.first_instant), _text(reach.last_instant)]
        prices = [_text(day) for day in reach.price_days]
        return self._digested(
            {"day": reach.day.isoformat(), "balances": balances, "flows": flows, "hull": hull, "prices": prices}
        )

    def is_stale(self, recorded: Mapping[str, Any]) -> bool:
        """Whether a day's rows rest on something that is not what it was."""
        asked = {key: recorded[key] for key in ("day", "balances", "flows", "hull", "prices")}
        return self._digested(asked) != recorded

    def _digested(self, reach: Mapping[str, Any]) -> dict[str, Any]:
        day = date.fromisoformat(reach["day"])
        first_balance = _day(reach["balances"][0])
        flows = [date.fromisoformat(text) for text in reach["flows"]]
        hull = [_instant(text) for text in reach["hull"]]
        first_price, last_price = _day(reach["prices"][0]), date.fromisoformat(reach["prices"][1])
        return {
            **reach,
            "settings_digest": self.settings.digest,
            "streams": list(self.settings.streams),
            "balances_digest": self.balances.over(first_balance, day),
            "transfers_digest": _flows_digest(self.transfers, flows, hull),
            "trades_digest": _flows_digest(self.trades, flows, hull),
            "prices_digest": [self.prices[source].over(first_price, last_price) for source in self.price_sources],
            "coverage_digest": self._coverage_digest(hull[0], hull[1]),
            "expected_digest": self._expected_digest(day),
            "never_stated_digest": self._never_stated_digest(day),
            "timing_digest": self._timing_digest(first_balance, day),
            "quarantine_digest": self._quarantine_digest(day, first_balance, flows, hull, first_price),
        }

    def _coverage_digest(self, first: datetime | None, last: datetime | None) -> str:
        if first is None or last is None:
            return ""
        starts, ends, digests = self._coverage_rows
        overlapping = (starts < _microseconds(last)) & (ends > _microseconds(first))
        return hashlib.sha256(digests[overlapping].tobytes()).hexdigest()

    @cached_property
    def _coverage_rows(self) -> tuple[IntArray, IntArray, npt.NDArray[np.void]]:
        """Start and end of every coverage row in microseconds, and the 32 bytes of its digest, in one order."""
        return remembered(self.coverage_key("rows"), self._read_coverage)

    def coverage_key(self, what: str) -> str:
        """A name for something that is made from the venue's coverage alone."""
        venue = self.settings.venue
        return digest_of([what, self.lake.url, venue, Days.of(self.lake, "coverage", venue).over(None, date.max)])

    def _read_coverage(self) -> tuple[IntArray, IntArray, npt.NDArray[np.void]]:
        files = self.coverage_files
        if not files:
            return np.array([], np.int64), np.array([], np.int64), np.array([], _SHA256)
        with self.reader() as connection:
            rows = connection.execute(
                "SELECT epoch_us(window_start) AS starts, epoch_us(window_end) AS ends,"
                " sha256(concat_ws(chr(31), account, stream, coalesce(asset, chr(30)), window_start, window_end,"
                " status))"
                " AS digests FROM read_parquet($files, hive_partitioning = false) ORDER BY ALL",
                {"files": files},
            ).fetchnumpy()
        return rows["starts"], rows["ends"], np.array([bytes.fromhex(text) for text in rows["digests"]], _SHA256)

    def _expected_digest(self, day: date) -> str:
        if not len(self.expected_items):
            return ""
        return digest_of([row for by, row in self._expected_rows if by >= day])

    @cached_property
    def _expected_rows(self) -> list[tuple[date, str]]:
        ordered = self.expected_items.sort_by([(name, "ascending") for name in EXPECTED.order])
        return [
            (row["expected_by"], digest_of([row[n] for n in ("account", "wallet", "asset", "amount", "expected_by")]))
            for row in ordered.to_pylist()
        ]

    def _timing_digest(self, first: date | None, day: date) -> str:
        told = [
            (stored.isoformat(), text) for stored, text in self.timing.items() if (first or date.min) <= stored < day
        ]
        return digest_of(sorted(told)) if told else ""

    def _never_stated_digest(self, day: date) -> str:
        then = sorted(
            wallet
            for wallet, (told, stated) in self.never_stated.items()
            if told <= day and (stated is None or day < stated)
        )
        return digest_of(then) if then else ""

    def _quarantine_digest(
        self,
        day: date,
        first_balance: date | None,
        flows: list[date],
        hull: list[datetime | None],
        first_price: date | None,
    ) -> str:
        if not self.quarantine and not any(self.refused_prices.values()):
            return ""

        def rests(row: Mapping[str, Any]) -> bool:
            if row["frame"] == "balances":
                return row["date"] is None or (first_balance or date.min) <= row["date"] <= day
            if row["frame"] not in ("transfers", "trades"):
                return False
            if row["instant"] is None:
                return True
            in_flow_days = bool(flows) and flows[0] <= row["instant"].date() <= flows[1]
            in_hull = hull[0] is not None and hull[1] is not None and hull[0] < row["instant"] <= hull[1]
            return in_flow_days or in_hull

        names = ("frame", "account", "wallet", "asset", "instant", "date")
        own = {tuple(str(row[name]) for name in names) for row in self.quarantine if rests(row)}
        prices = {
            (source, str(row["asset"]), str(row["instant"]))
            for source, refused in self.refused_prices.items()
            for row in refused
            if row["instant"] is None or (first_price or date.min) <= row["instant"].date() <= day
        }
        return digest_of([sorted(own), sorted(prices)])


def _window_days(first: datetime | None, last: datetime | None) -> tuple[date, date] | None:
    if first is None or last is None:
        return None
    day = (first + timedelta(microseconds=1)).date()
    return (day, last.date()) if day <= last.date() else None


def _flows_digest(kept: Days, flows: list[date], hull: list[datetime | None]) -> str:
    """Over the flows of these days, and over the days of the windows that were never written: each is a hole."""
    if not flows:
        return ""
    window = _window_days(hull[0], hull[1])
    days = [window[0] + timedelta(days=n) for n in range((window[1] - window[0]).days + 1)] if window else []
    return digest_of([kept.over(flows[0], flows[1]), [str(day) for day in days if day not in kept.written]])


def _first_days(inputs: Inputs, frames: tuple[str, ...]) -> dict[Wallet, date]:
    """The first day on which any partition of these frames tells of a wallet."""
    kept: list[Days] = [getattr(inputs, frame) for frame in frames]
    venue = inputs.settings.venue
    key = digest_of([inputs.lake.url, venue, frames, [days.over(None, date.max) for days in kept]])
    files = [
        inputs.lake.partition(frame, venue, day) for frame, days in zip(frames, kept, strict=True) for day in days.days
    ]
    return remembered(key, lambda: _first_days_of(inputs, files))


def _first_days_of(inputs: Inputs, files: list[str]) -> dict[Wallet, date]:
    if not files:
        return {}
    with inputs.reader() as connection:
        rows = connection.execute(
            "SELECT account, wallet, min(date) FROM read_parquet($files, hive_partitioning = true,"
            " hive_types = {'date': DATE}) GROUP BY account, wallet",
            {"files": files},
        ).fetchall()
    return {(account, wallet): day for account, wallet, day in rows}


def stored_streams(lake: Lake, venue: str, day: date) -> tuple[str, ...]:
    """The streams that could move a wallet when a stored day was computed."""
    metadata = lake.metadata("reconciliation", venue, day)
    return tuple(json.loads(metadata[INPUTS_KEY])["streams"]) if INPUTS_KEY in metadata else ()


def stale_days(lake: Lake, settings: KernelSettings, as_of_day: date) -> list[date]:
    """The stored days of a venue whose rows rest on inputs that have changed since, or stand only until a day that has
    passed at `as_of_day`; sorted. Days before `settings.start` are none of its days."""
    stored = [day for day in lake.days("reconciliation", settings.venue) if day >= settings.start]
    if not stored:
        return []
    inputs = Inputs(lake, settings)
    return [day for day in stored if _is_stale(inputs, lake.metadata("reconciliation", settings.venue, day), as_of_day)]


def _is_stale(inputs: Inputs, metadata: Mapping[str, str], as_of_day: date) -> bool:
    # a day that was written for some accounts only, while its inputs changed for all, waits for the others
    if STALE_KEY in metadata or INPUTS_KEY not in metadata:
        return True
    if UNTIL_KEY in metadata and date.fromisoformat(metadata[UNTIL_KEY]) < as_of_day:
        return True
    return inputs.is_stale(json.loads(metadata[INPUTS_KEY]))


def connect(lake: Lake, memory_limit: str = "1GB") -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB in UTC that reads the lake and nothing else."""
    connection = open_duckdb(memory_limit=memory_limit, keep_order=False)
    use_processors(connection, beside_others=False)
    if lake.filesystem is not None:
        connection.register_filesystem(lake.filesystem)
    return connection


def use_processors(connection: duckdb.DuckDBPyConnection, *, beside_others: bool) -> None:
    """Share a statement among all processors, or among half of them where others run beside it."""
    count = os.cpu_count() or 1
    connection.execute(f"SET threads = {max(1, count // 2) if beside_others else count}")


def _microseconds(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _text(value: date | datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
