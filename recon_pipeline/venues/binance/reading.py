"""What Binance has told so far, as canonical frames. It rests on the database alone: equal records, equal frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.api_settings import ApiSettings
from recon_pipeline.config import VenueSettings
from recon_pipeline.frames.schema import COUNT, DAY, FRAMES, INSTANT, QUARANTINE, TEXT, Frame
from recon_pipeline.frames.validate import FILE, LINE, Validated, validate
from recon_pipeline.stores.canonical import digest_of_json
from recon_pipeline.stores.raw import AT_ONCE, RawStore, Stored
from recon_pipeline.venues.binance.accounts import (
    ACCOUNT_INFO,
    EVERYBODY,
    NAMING,
    SUB_ACCOUNTS,
    SUBS_LISTED,
    Named,
    facts_of,
    families,
    listed_subs,
    made_on,
    note_named,
    opened_by,
    subs_of,
)
from recon_pipeline.venues.binance.capture import Captures
from recon_pipeline.venues.binance.discovery import past_idle
from recon_pipeline.venues.binance.holes import ISOLATED, first_told, hidden_holes, refused_markets
from recon_pipeline.venues.binance.idle import idle_days
from recon_pipeline.venues.binance.left import left_wallets
from recon_pipeline.venues.binance.made import made_later, since_made, unmade_rows
from recon_pipeline.venues.binance.mapping import (
    MAPPED_ALONE,
    MAPPED_STREAMS,
    OF_FLEXIBLE,
    READ_BESIDE,
    RETURNS,
    Mapped,
    MappingContext,
    accounts_of,
    assets_in_earn,
    instants_of,
    map_records,
    places_of,
    quarantine_row,
)
from recon_pipeline.venues.binance.mapping.balances import CAPTURE_STREAMS, SNAPSHOT_STREAMS
from recon_pipeline.venues.binance.session import trades_since, unused
from recon_pipeline.venues.binance.streams import BY_NAME, STREAMS
from recon_pipeline.venues.pull import coverage_rows
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.streams import RawRecord, name_in_part

INPUTS = ("transfers", "trades", "balances", "prices", "expected", "coverage")
FAMILIES = tuple((stream.name, family) for stream in STREAMS if stream.role == "flow" for family in stream.wallets)
LEDGERS: Mapping[str, frozenset[str]] = {
    family: frozenset(stream.name for stream in STREAMS if stream.role == "flow" and stream.wallets == (family,))
    for family in sorted({family for _, family in FAMILIES})
    if not any(stream.role == "flow" and {family, "SPOT"} <= {*stream.wallets} for stream in STREAMS)
}
"""The families of wallets that have ledgers of their own, by these."""
_ALGO = ("spot_algo_orders", "spot_algo_sub_orders")
"""Detail that moves SPOT where nothing else tells of the fills of algo orders."""
_KNOWN = frozenset(stream.name for stream in STREAMS)
MARKETS = "exchange_info"
SEARCHED = ("allocations", "spot_trades")
"""What the search for trades adds to."""
OF_CONTEXT = (
    ACCOUNT_INFO, SUB_ACCOUNTS, SUBS_LISTED, *NAMING,
    *(stream.name for stream in STREAMS if stream.name.startswith(OF_FLEXIBLE))
)  # fmt: skip
"""The records that tell what the mapping has to know beside those that it maps."""
OF_PRICES = ("klines",)
ALONE = tuple(sorted(MAPPED_ALONE - set(OF_CONTEXT)))
"""What may be mapped part by part: nearly all that ever comes."""
TOGETHER = tuple(sorted({*OF_CONTEXT, *READ_BESIDE, *(MAPPED_STREAMS - set(ALONE))}))
"""What has to be mapped at once."""
_PAIR = ("baseAsset", "quoteAsset")
_CAN_WAIT = ("unknown_field", "unknown_value", "not_stated")


@dataclass(frozen=True)
class Told:
    """What some streams told, sorted by what it is."""

    records: tuple[RawRecord, ...]
    doubted: tuple[RawRecord, ...]
    info: Mapping[str, Mapping[str, Any]]
    subs: Mapping[str, tuple[str, ...]]
    listed: Mapping[str, tuple[str, ...]]
    named: Named
    made: Mapping[str, date]


def families_read(api: ApiSettings) -> tuple[tuple[str, str], ...]:
    """Streams and the families of wallets that they move, as the doubts are read."""
    return (*FAMILIES, *((name, "SPOT") for name in _ALGO if api.doubts.get("algo_fills") == "apart"))


def flow_streams(api: ApiSettings) -> tuple[str, ...]:
    """The streams that move wallets, as the doubts are read."""
    return tuple(dict.fromkeys(name for name, _ in families_read(api)))


def _has_failed(row: Stored) -> bool:
    """Whether a record says that what had left came back, in one of the ways in which it was told."""
    return any(RETURNS[row.stream](content) for content in (row.content, *row.others))


def told_by(rows: Iterable[Stored], raw: RawStore | None = None) -> Told:
    """Records that count, as the mapping takes them: from `raw` with what was told before of those that failed."""
    rows = list(rows)
    failed = [row.fid for row in rows if row.version > 1 and row.stream in RETURNS and _has_failed(row)]
    before = raw.before(failed) if raw is not None and failed else {}
    records, doubted, info = [], [], {}
    subs: list[Stored] = []
    named: Named = {}
    for row in rows:
        earlier = tuple((each.read_at, each.content) for each in before.get(row.fid, ()))
        record = RawRecord(
            row.fid, row.account, row.stream, row.key, row.call, row.content, row.digest, row.read_at, earlier
        )
        if row.is_doubted:
            doubted += [record, *(replace(record, content=other) for other in row.others)]
        elif row.stream == ACCOUNT_INFO:
            info[row.account] = row.content
        elif row.stream in (SUB_ACCOUNTS, SUBS_LISTED):
            subs.append(row)
        elif row.stream in _KNOWN:
            records.append(record)
            if row.stream in NAMING:
                note_named(named, row.account, row.stream, row.content)
    return Told(tuple(records), tuple(doubted), info, subs_of(subs), listed_subs(subs), named, made_on(subs))


def read_mapped(venue: VenueSettings, api: ApiSettings, raw: RawStore, *, at_once: int = AT_ONCE) -> Read:
    """Every record mapped and validated, with the ledger as coverage; and what in it waits for somebody. `at_once` says
    how many records are objects at one time."""
    return _read(venue, api, raw, TOGETHER, at_once)[0]


Unusable: TypeAlias = Mapping[tuple[str, str, date], bool]
"""Account, stream and day of records that cannot be believed, and whether nothing of that day can: of a snapshot."""


@dataclass(frozen=True)
class Doubt:
    """Trades of a market that cannot be believed."""

    since: datetime | None
    """The instant of the earliest; None if that of any of them cannot be read either."""
    misnamed: Mapping[str, datetime | None] = field(default_factory=dict)
    """By their keys those that may have another one once they can be read, since their instant, or the side, is part of
    it; with their instant, None if it cannot be read."""

    def with_one(self, key: str, at: datetime | None, *, is_misnamed: bool) -> Doubt:
        """With one more."""
        since = None if at is None or self.since is None else min(at, self.since)
        return Doubt(since, {**self.misnamed, key: at} if is_misnamed else self.misnamed)


Doubtful: TypeAlias = Mapping[tuple[str, str, str], Doubt]
"""By account, stream and symbol."""


@dataclass(frozen=True)
class Read:
    """A reading, and of what the mapping made that which has to be looked at: problems, records that state no wallet
    and their rows; and what cannot be believed."""

    reading: Reading
    open: Mapped
    unusable: Unusable
    doubtful: Doubtful


def _read(
    venue: VenueSettings, api: ApiSettings, raw: RawStore, together: Sequence[str], at_once: int
) -> tuple[Read, MappingContext]:
    told = told_by(raw.records(together), raw)
    context = context_of(api, told, raw)
    rows = _Rows(venue.name, context)
    rows.add(told)
    for batch in raw.batches(list(raw.standing(ALONE)), at_once):
        rows.add(told_by(batch, raw))
    rows.cover(raw, trades_since(venue), venue.start)
    validated, quarantine = rows.validated()
    reading = Reading(
        venue=venue.name,
        frames={name: result.rows for name, result in validated.items()},
        quarantine=quarantine,
        files=(),
        faults=(),
        streams=flow_streams(api),
        digest=digest_of_json(raw.version(), _settings(api), sorted(flow_streams(api)), str(venue.start)),
        counts={name: result.counts for name, result in validated.items()},
    )
    return Read(reading, rows.open, rows.unusable, rows.doubtful), rows.context


def _settings(api: ApiSettings) -> dict[str, Any]:
    """What of recon.yaml enters a row: not the names of keys, and not where the venue is."""
    of_accounts = {name: [account.default_wallet, dict(account.extras)] for name, account in api.accounts.items()}
    return {"accounts": of_accounts, "doubts": dict(api.doubts)}


class _Rows:
    """The rows of records, batch after batch: as columns, which take a tenth of the memory of objects. What was
    captured must be in the first batch."""

    def __init__(self, venue: str, context: MappingContext) -> None:
        self._venue, self.context = venue, context
        self._tables: dict[str, list[pa.Table]] = {name: [] for name in INPUTS}
        self._captures: Captures | None = None
        self._races: dict[tuple[str, str, str, str], str] = {}
        self._refused: list[Mapping[str, Any]] = []
        self._fields: set[tuple[str, str, str]] = set()
        self._checked: tuple[Validated, list[Mapping[str, Any]]] | None = None
        self.open = Mapped()
        self.unusable: dict[tuple[str, str, date], bool] = {}
        self.doubtful: dict[tuple[str, str, str], Doubt] = {}

    def add(self, told: Told) -> None:
        """Map some records."""
        self._checked = None
        mapped = map_records(told.records, self.context)
        if self._captures is None:
            self._captures = Captures((record for record in told.records if _is_capture(record)), _captured_wallet)
        for place, flow in self._captures.races((*mapped.transfers, *mapped.trades)).items():
            self._races[place] = min(flow, self._races.get(place, flow))
        doubted = (row for record in told.doubted for row in doubted_rows(record, self.context))
        self._refused += {tuple(row.items()): row for row in doubted}.values()
        fids = {record.digest: record.fid for record in told.records}
        for name in ("transfers", "trades", "balances", "prices", "expected"):
            if rows := getattr(mapped, name):
                self._tables[name].append(table_of(FRAMES[name], rows, fids))
        self._keep_open(mapped)
        self._note_unusable(told, mapped)

    def _note_unusable(self, told: Told, mapped: Mapped) -> None:
        by_digest = {record.digest: record for record in told.records}
        found = [(record, True) for record in told.doubted]
        for problem in mapped.problems:
            record = by_digest.get(problem.raw_id or "")
            if problem.kind in ("malformed", "conflict") and record is not None:
                found.append((record, problem.asset is None))
        for record, is_all in found:
            stream = BY_NAME[record.stream]
            at = stream.instant(record.content) if stream.role in ("flow", "snapshot") else None
            if record.stream in SEARCHED:
                market = record.account, record.stream, record.call.get("symbol", "")
                is_misnamed = at is None or not isinstance(record.content.get("isBuyer"), bool)
                known = self.doubtful.get(market, Doubt(at))
                self.doubtful[market] = known.with_one(record.key, at, is_misnamed=is_misnamed)
            if at is not None:
                place = record.account, record.stream, at.date()
                self.unusable[place] = self.unusable.get(place, False) or (is_all and stream.role == "snapshot")

    def _keep_open(self, mapped: Mapped) -> None:
        unplaced = {each.raw_id for each in mapped.unplaced}
        self.open.unplaced += mapped.unplaced
        self.open.transfers += (row for row in mapped.transfers if row["raw_id"] in unplaced)
        self.open.trades += (row for row in mapped.trades if row["raw_id"] in unplaced)
        for problem in mapped.problems:
            field = (problem.account, problem.stream, problem.text)
            if problem.kind != "unknown_field" or field not in self._fields:  # of a field it is told once
                self.open.problems.append(problem)
                self._fields.add(field)

    def cover(self, raw: RawStore, since: datetime, start: date) -> None:
        """Take the ledger as coverage, after all records."""
        ledger = _ledger(raw)
        never_used = {email: unused(raw, facts) for email, facts in self.context.accounts.items()}
        moved = [self._whole(name) for name in ("transfers", "trades")]
        refused = [row for _, row in self._not_believed()]
        made = made_later(self.context.made, start, self._whole("balances"), moved, refused)
        self.context = replace(self.context, made=made)
        self._tables["balances"] = [since_made(self._whole("balances"), made)]
        self._tables["coverage"] = [_coverage(ledger, raw, self.context, since)]
        if left := left_wallets(ledger, self.context.opened, [self._whole("balances"), *moved]):
            fids = {by.digest: by.fid for _, by in left}
            self._tables["balances"].append(table_of(FRAMES["balances"], [row for row, _ in left], fids))
        balances, transfers, trades = self._whole("balances"), *moved
        told = first_told(balances, transfers, trades, self._balances()[0].rows)
        self._refused += hidden_holes(
            ledger,
            told,
            self.context,
            start,
            never_used=never_used,
            refused=self._refused_whole(),
            unusable=self.unusable.keys(),
        )
        self._refused += refused_markets(ledger, balances)

    def _refused_whole(self) -> set[tuple[str, str, date, str]]:
        """Account, wallet, day and stream of snapshots and captures of which nothing can be believed."""
        return {
            (row["account"], row["wallet"], row["date"], stream)
            for stream, row in self._not_believed()
            if row["frame"] == "balances" and row["wallet"] and row["date"] and not row["asset"]
        }

    def _not_believed(self) -> list[tuple[str, Mapping[str, Any]]]:
        """What the mapping could not read, and what is refused besides, each with its stream; nothing of captures in
        whose place a snapshot counts."""
        problems = (problem for problem in self.open.problems if problem.kind not in _CAN_WAIT)
        found: list[tuple[str, Mapping[str, Any]]] = [(each.stream, quarantine_row(each)) for each in problems]
        found += [(str(row["file"]), row) for row in self._refused]
        if not any(stream in CAPTURE_STREAMS and row["frame"] == "balances" for stream, row in found):
            return found
        stated = {tuple(place.values()) for place in _stated(self._whole("balances")).to_pylist()}
        return [
            (stream, row)
            for stream, row in found
            if stream not in CAPTURE_STREAMS
            or row["frame"] != "balances"
            or (row["account"], row["wallet"], row["date"]) not in stated
        ]

    def validated(self) -> tuple[Mapping[str, Validated], pa.Table]:
        """The frames, and what was refused."""
        (balances, raced), valid = self._balances(), {}
        for name in INPUTS:
            valid[name] = balances if name == "balances" else _validated(self._venue, name, self._whole(name))
        return valid, _quarantine(valid, [*raced, *(row for _, row in self._not_believed())])

    def _balances(self) -> tuple[Validated, list[Mapping[str, Any]]]:
        """Those that nothing moved during their capture, and what is refused of the others; worked out once."""
        if self._checked is None:
            balances, raced = without_races(pinned(self._whole("balances")), self._races)
            self._checked = _validated(self._venue, "balances", balances), raced
        return self._checked

    def _whole(self, name: str) -> pa.Table:
        return _joined(name, self._tables[name])


def pinned(balances: pa.Table) -> pa.Table:
    """The balances without what was captured of a wallet on a day of which the venue keeps a snapshot: it is the source
    of its wallet, also where the account had no key of its own at first and its main account's key was asked."""
    is_kept = _is_of_snapshot(balances)
    captured = balances.filter(pc.invert(is_kept)).join(_stated(balances), _WALLET_DAY, join_type="left anti")
    return pa.concat_tables([balances.filter(is_kept), captured])


_WALLET_DAY = ["account", "wallet", "date"]


def _stated(balances: pa.Table) -> pa.Table:
    """Account, wallet and day of the venue's own snapshots."""
    return balances.filter(_is_of_snapshot(balances)).group_by(_WALLET_DAY).aggregate([])


def _is_of_snapshot(balances: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(balances["source"], pa.array(SNAPSHOT_STREAMS, pa.string()))


def _joined(name: str, tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables or [table_of(FRAMES[name], (), {})], promote_options="default")


def _is_capture(record: RawRecord) -> bool:
    return BY_NAME[record.stream].role == "capture"


def _captured_wallet(record: RawRecord) -> str:
    return BY_NAME[record.stream].wallets[0]


def _ledger(raw: RawStore) -> list[Any]:
    return [row for row in raw.ledger() if row.account != EVERYBODY]


def _coverage(ledger: Sequence[Any], raw: RawStore, context: MappingContext, since: datetime) -> pa.Table:
    # a part of a stream is a hole in what it moved alone
    days = [row for row in ledger if name_in_part(row.stream)[1] is None]
    parts = (coverage_rows(days[begin : begin + AT_ONCE]) for begin in range(0, len(days), AT_ONCE))
    besides = purged_rows(raw, context.symbols, since), unmade_rows(context.made, since)
    tables = [table_of(FRAMES["coverage"], rows, {}) for rows in (*parts, *besides) if rows]
    return _joined("coverage", tables)


def _validated(venue: str, name: str, table: pa.Table) -> Validated:
    return validate(FRAMES[name], table, venue, allowed={"stream": (*_KNOWN, "*")})


class Search:
    """Readings while trades are searched for: after the first, only the trades that came since are read and mapped.

    Without prices. Where another record has changed, above all one that was told before, it is all read anew.
    """

    def __init__(self, venue: VenueSettings, api: ApiSettings, raw: RawStore) -> None:
        self._venue, self._api, self._raw = venue, api, raw
        self._besides = self._ledger = ""
        self._known: set[int] = set()
        self._context: MappingContext | None = None
        self._reading: Reading | None = None
        self.unusable: dict[tuple[str, str, date], bool] = {}
        """Of which days something was told that cannot be believed; whether all of it."""
        self.doubtful: dict[tuple[str, str, str], Doubt] = {}
        """Of which markets."""

    def read(self) -> Reading:
        """What was told so far."""
        besides, ledger = self._raw.records_version(without=SEARCHED), self._raw.ledger_version()
        standing = self._raw.standing(SEARCHED)
        only_grew = not any(standing.values()) and self._besides == besides and self._known <= standing.keys()
        if self._reading is None or self._context is None or not only_grew:
            together = [name for name in TOGETHER if name not in OF_PRICES]
            read, self._context = _read(self._venue, self._api, self._raw, together, AT_ONCE)
            self._reading, self.unusable, self.doubtful = read.reading, dict(read.unusable), dict(read.doubtful)
        else:
            if new := [fid for fid in standing if fid not in self._known]:
                self._reading = self._with(self._reading, self._context, new)
            if self._ledger != ledger:
                self._reading = self._covered(self._reading, self._context)
        self._besides, self._ledger, self._known = besides, ledger, set(standing)
        return self._reading

    def _with(self, reading: Reading, context: MappingContext, new: Sequence[int]) -> Reading:
        rows = _Rows(self._venue.name, context)
        for batch in self._raw.batches(new):
            rows.add(told_by(batch))
        self.unusable |= rows.unusable
        validated, quarantine = rows.validated()
        grown = {
            name: pa.concat_tables([reading.frames[name], validated[name].rows]).sort_by(
                [(column, "ascending") for column in FRAMES[name].order]
            )
            for name in ("transfers", "trades")
        }
        quarantine = pa.concat_tables([reading.quarantine, quarantine])
        return replace(reading, frames={**reading.frames, **grown}, quarantine=quarantine)

    def _covered(self, reading: Reading, context: MappingContext) -> Reading:
        rows = _coverage(_ledger(self._raw), self._raw, context, trades_since(self._venue))
        coverage = _validated(self._venue.name, "coverage", rows)
        return replace(reading, frames={**reading.frames, "coverage": coverage.rows})


def context_of(api: ApiSettings, told: Told, raw: RawStore) -> MappingContext:
    """What the mapping has to know beside the records. `told` holds those of OF_CONTEXT."""
    opened = opened_by(raw.history(ACCOUNT_INFO))
    facts = facts_of(api, told.info, told.subs, told.named, listed=told.listed, made=told.made, opened=opened)
    return MappingContext(
        accounts=facts,
        symbols={key: (str(base), str(quote)) for key, (base, quote) in raw.fields(MARKETS, *_PAIR).items()},
        decisions=raw.decisions(),
        doubts=api.doubts,
        captured={email: families(opened.get(email, ())) for email in (*facts, *opened)},
        opened=opened,
        made={sub: day for of_account in facts.values() for sub, day in of_account.made.items()},
        earn_assets=assets_in_earn(told.records),
    )


def purged_rows(raw: RawStore, markets: Mapping[str, tuple[str, str]], since: datetime) -> list[Mapping[str, Any]]:
    """Trades and allocations of a market that Binance no longer knows cannot be had: a hole for its two assets before
    it was asked and after, but for the days on which the account traded nothing."""
    rows: list[Mapping[str, Any]] = []
    idle = idle_days(raw)
    for stream, asked in ((name, asked) for name in SEARCHED for asked in raw.asked_symbols(name)):
        if asked.purged_after is None or asked.symbol not in markets:
            continue
        for begin, end in ((since, asked.asked_from), (asked.asked_through, asked.purged_after)):
            first = past_idle(begin, idle[asked.account])
            if first >= end:
                continue
            for asset in markets[asked.symbol]:
                rows.append(
                    {
                        "account": asked.account,
                        "stream": stream,
                        "asset": asset,
                        "window_start": _before(first),
                        "window_end": _before(end),
                        "status": "failed",
                        "error": "SymbolPurged",
                    }
                )
    return rows


def _before(instant: datetime) -> datetime:
    return instant - timedelta(microseconds=1)


def table_of(frame: Frame, rows: Sequence[Mapping[str, Any]], fids: Mapping[str, int]) -> pa.Table:
    """Rows as a table that validation takes: instants and days as they are, everything else as text."""
    if not rows:
        return pa.table({column.name: pa.nulls(0, TEXT) for column in frame.columns})
    names = [column.name for column in frame.columns if any(column.name in row for row in rows)]
    columns: dict[str, pa.Array] = {}
    for name in names:
        type_ = frame.arrow.field(name).type
        values = [row.get(name) for row in rows]
        if type_ in (INSTANT, DAY, COUNT):
            columns[name] = pa.array(values, type_)
        else:
            columns[name] = pa.array([None if value is None else str(value) for value in values], TEXT)
    if "raw_id" in columns:
        columns[FILE] = pa.array([row.get("source") for row in rows], TEXT)
        columns[LINE] = pa.array([fids.get(row.get("raw_id") or "") for row in rows], COUNT)
    return pa.table(columns)


def without_races(
    balances: pa.Table, races: Mapping[tuple[str, str, str, str], str]
) -> tuple[pa.Table, list[Mapping[str, Any]]]:
    """The balances without those that a flow moved while they were captured; and these as rows of quarantine, those
    included of which a capture stated nothing: it may have come or gone meanwhile."""
    if not races:
        return balances, []
    is_raced, captures = [], {}
    for account, wallet, asset, as_of, *of_capture in zip(
        *(balances[name].to_pylist() for name in ("account", "wallet", "asset", "as_of", "date", "source")), strict=True
    ):
        is_raced.append((account, wallet, asset, as_of.isoformat()) in races)
        captures[account, wallet, as_of.isoformat()] = as_of, *of_capture
    refused: list[Mapping[str, Any]] = [
        {
            "frame": "balances",
            "error": "CaptureRace",
            "reason": f"{flow} moved it while it was captured; expected a wallet at rest; next: nothing, the next"
            " day's window reaches over this day",
            "file": source,
            "account": account,
            "wallet": wallet,
            "asset": asset,
            "instant": as_of,
            "date": day,
            "content": "{}",
        }
        for (account, wallet, asset, stated), flow in sorted(races.items())
        if (account, wallet, stated) in captures
        for as_of, day, source in [captures[account, wallet, stated]]
    ]
    return balances.filter(pc.invert(pa.array(is_raced, pa.bool_()))), refused


def _quarantine(validated: Mapping[str, Validated], refused: Sequence[Mapping[str, Any]]) -> pa.Table:
    """What frames refused, and what cannot be believed for another reason."""
    tables = [result.quarantine for result in validated.values()]
    tables.append(pa.Table.from_pylist(list(refused), schema=QUARANTINE))
    table = pa.concat_tables(tables)
    return table.sort_by([(name, "ascending") for name in ("frame", "file", "line", "error", "content")])


def doubted_rows(record: RawRecord, context: MappingContext) -> list[Mapping[str, Any]]:
    """What one read told in two ways, for each position that it may have moved; what is detail alone moved nothing."""
    stream = BY_NAME[record.stream]
    is_flow = stream.role == "flow" or (record.stream in _ALGO and context.assumes("algo_fills", "apart"))
    if not is_flow and stream.role not in ("snapshot", "capture"):
        return []
    row = {
        "error": "RecordDoubted",
        "reason": f"{record.stream} {record.key}: one read told it twice with different content;"
        " expected one content; next: run the day again",
        "file": record.stream,
        "line": record.fid,
        "content": "{}",
    }
    # a family of several wallets, such as isolated margin, names none of them
    places = [("balances", wallet, None) for wallet in stream.wallets]
    instants = instants_of(record, context) if is_flow else [stream.instant(record.content)]
    return [
        row
        | {
            "account": account,
            "frame": frame,
            "wallet": wallet if wallet != ISOLATED else None,
            "asset": asset,
            "instant": instant,
            "date": instant.date() if instant else None,
        }
        for instant in instants
        for account in accounts_of(record, context)
        for frame, wallet, asset in (places_of(record, context) if is_flow else places)
    ]
