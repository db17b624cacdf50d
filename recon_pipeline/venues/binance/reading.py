"""What Binance has told so far, as canonical frames. It rests on the database alone: equal records, equal frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from recon_pipeline.api_settings import ApiSettings
from recon_pipeline.config import VenueSettings
from recon_pipeline.frames.schema import COUNT, DAY, FRAMES, INSTANT, QUARANTINE, TEXT, Frame
from recon_pipeline.frames.validate import FILE, LINE, Validated, validate
from recon_pipeline.stores.canonical import digest_of_json
from recon_pipeline.stores.raw import RawStore
from recon_pipeline.venues.binance.accounts import (
    ACCOUNT_INFO,
    EVERYBODY,
    NAMING,
    SUB_ACCOUNTS,
    Named,
    facts_of,
    families,
    note_named,
)
from recon_pipeline.venues.binance.capture import races
from recon_pipeline.venues.binance.mapping import (
    Mapped,
    MappingContext,
    Row,
    map_records,
    places_of,
    quarantine_row,
)
from recon_pipeline.venues.binance.streams import BY_NAME, STREAMS
from recon_pipeline.venues.pull import coverage_rows
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.streams import RawRecord

FLOW_STREAMS = tuple(stream.name for stream in STREAMS if stream.role == "flow" and stream.wallets)
FAMILIES = tuple((stream.name, family) for stream in STREAMS if stream.role == "flow" for family in stream.wallets)
_KNOWN = frozenset(stream.name for stream in STREAMS)
MARKETS = "exchange_info"
SEARCHED = ("allocations", "spot_trades")
"""What the search for trades adds to."""
_EARNS = "flexible_"
OF_CONTEXT = (
    ACCOUNT_INFO, SUB_ACCOUNTS, *NAMING, *(stream.name for stream in STREAMS if stream.name.startswith(_EARNS))
)  # fmt: skip
"""The records that tell what the mapping has to know beside those that it maps."""
_PAIR = ("baseAsset", "quoteAsset")
_CAN_WAIT = ("unknown_field", "unknown_value", "not_stated")


@dataclass(frozen=True)
class Told:
    """Everything that was told, sorted by what it is."""

    records: tuple[RawRecord, ...]
    doubted: tuple[RawRecord, ...]
    info: Mapping[str, Mapping[str, Any]]
    subs: Mapping[str, tuple[str, ...]]
    markets: Mapping[str, tuple[str, str]]
    named: Named


def told_by(raw: RawStore, *, with_prices: bool = True, streams: Sequence[str] | None = None) -> Told:
    """The records that count, of all streams or of some."""
    records, doubted, info = [], [], {}
    subs: dict[str, list[str]] = defaultdict(list)
    named: Named = {}
    without = (MARKETS,) if with_prices else (MARKETS, "klines")
    markets = {key: (str(base), str(quote)) for key, (base, quote) in raw.fields(MARKETS, *_PAIR).items()}
    for row in raw.records(streams, without=without):
        record = RawRecord(row.fid, row.account, row.stream, row.key, row.call, row.content, row.digest, row.read_at)
        if row.is_doubted:
            doubted.append(record)
        elif row.stream == ACCOUNT_INFO:
            info[row.account] = row.content
        elif row.stream == SUB_ACCOUNTS:
            subs[row.account].append(row.key)
        elif row.stream in _KNOWN:
            records.append(record)
            if row.stream in NAMING:
                note_named(named, row.account, row.stream, row.content)
    return Told(tuple(records), tuple(doubted), info, {m: tuple(s) for m, s in subs.items()}, markets, named)


def read_mapped(venue: VenueSettings, api: ApiSettings, raw: RawStore) -> tuple[Reading, Mapped]:
    """Every record mapped and validated, with the ledger as coverage; and what the records mean that it rests on."""
    told = told_by(raw)
    return _reading(venue, api, raw, told, context_of(api, told, raw.decisions()))


def _reading(
    venue: VenueSettings,
    api: ApiSettings,
    raw: RawStore,
    told: Told,
    context: MappingContext,
) -> tuple[Reading, Mapped]:
    mapped = map_records(told.records, context)
    raced = without_races(mapped, told.records)
    doubted = [row for record in told.doubted for row in _doubted_rows(record, context)]
    rows: Mapping[str, Sequence[Mapping[str, Any]]] = {
        "transfers": mapped.transfers,
        "trades": mapped.trades,
        "balances": mapped.balances,
        "prices": mapped.prices,
        "expected": mapped.expected,
        "coverage": _coverage(raw, told.markets),
    }
    validated = _validated(venue.name, rows, told.records)
    reading = Reading(
        venue=venue.name,
        frames={name: result.rows for name, result in validated.items()},
        quarantine=_quarantine(validated, mapped, [*raced, *doubted]),
        files=(),
        faults=(),
        streams=FLOW_STREAMS,
        digest=digest_of_json(raw.version(), dict(api.doubts), sorted(FLOW_STREAMS)),
        counts={name: result.counts for name, result in validated.items()},
    )
    return reading, mapped


def _coverage(raw: RawStore, markets: Mapping[str, tuple[str, str]]) -> Sequence[Mapping[str, Any]]:
    of_accounts = [row for row in raw.ledger() if row.account != EVERYBODY]
    return [*coverage_rows(of_accounts), *purged_rows(raw, markets)]


def _validated(
    venue: str, rows: Mapping[str, Sequence[Mapping[str, Any]]], records: Iterable[RawRecord]
) -> dict[str, Validated]:
    fids = {record.digest: record.fid for record in records}
    allowed = {"stream": (*FLOW_STREAMS, *_KNOWN, "*")}
    return {
        name: validate(FRAMES[name], table_of(FRAMES[name], of_frame, fids), venue, allowed=allowed)
        for name, of_frame in rows.items()
    }


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

    def read(self) -> Reading:
        """What was told so far."""
        besides, ledger = self._raw.records_version(without=SEARCHED), self._raw.ledger_version()
        added = told_by(self._raw, streams=SEARCHED)
        fids = {record.fid for record in added.records}
        only_grew = not added.doubted and self._besides == besides and self._known <= fids
        if self._reading is None or self._context is None or not only_grew:
            self._reading = self._whole()
        else:
            if new := [record for record in added.records if record.fid not in self._known]:
                self._reading = self._with(self._reading, self._context, new)
            if self._ledger != ledger:
                self._reading = self._covered(self._reading, self._context)
        self._besides, self._ledger, self._known = besides, ledger, fids
        return self._reading

    def _whole(self) -> Reading:
        told = told_by(self._raw, with_prices=False)
        self._context = context_of(self._api, told, self._raw.decisions())
        return _reading(self._venue, self._api, self._raw, told, self._context)[0]

    def _with(self, reading: Reading, context: MappingContext, new: Sequence[RawRecord]) -> Reading:
        mapped = map_records(new, context)
        validated = _validated(self._venue.name, {"trades": mapped.trades, "transfers": mapped.transfers}, new)
        grown = {
            name: pa.concat_tables([reading.frames[name], result.rows]).sort_by(
                [(column, "ascending") for column in FRAMES[name].order]
            )
            for name, result in validated.items()
        }
        quarantine = pa.concat_tables([reading.quarantine, _quarantine(validated, mapped, ())])
        return replace(reading, frames={**reading.frames, **grown}, quarantine=quarantine)

    def _covered(self, reading: Reading, context: MappingContext) -> Reading:
        rows = {"coverage": _coverage(self._raw, context.symbols)}
        coverage = _validated(self._venue.name, rows, ())["coverage"]
        return replace(reading, frames={**reading.frames, "coverage": coverage.rows})


def context_of(api: ApiSettings, told: Told, decisions: Mapping[str, str]) -> MappingContext:
    """What the mapping has to know beside the records."""
    facts = facts_of(api, told.info, told.subs, told.named)
    return MappingContext(
        accounts=facts,
        symbols=told.markets,
        decisions=decisions,
        doubts=api.doubts,
        captured={email: families(of_account) for email, of_account in facts.items()},
        earn_assets=frozenset(
            str(record.content["asset"])
            for record in told.records
            if record.stream.startswith(_EARNS) and "asset" in record.content
        ),
    )


def purged_rows(raw: RawStore, markets: Mapping[str, tuple[str, str]]) -> list[Mapping[str, Any]]:
    """Trades of a market that Binance no longer knows cannot be had: a hole for its two assets while it lasted."""
    rows: list[Mapping[str, Any]] = []
    for asked in raw.asked_symbols("spot_trades"):
        if asked.purged_after is None or asked.symbol not in markets:
            continue
        for asset in markets[asked.symbol]:
            rows.append(
                {
                    "account": asked.account,
                    "stream": "spot_trades",
                    "asset": asset,
                    "window_start": _before(asked.asked_through),
                    "window_end": _before(asked.purged_after),
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


def without_races(mapped: Mapped, records: Iterable[RawRecord]) -> list[Mapping[str, Any]]:
    """Take out of the balances those that a flow moved while they were captured; they go to quarantine."""
    captures = [record for record in records if BY_NAME[record.stream].role == "capture"]
    found = races(captures, [*mapped.transfers, *mapped.trades], lambda record: BY_NAME[record.stream].wallets[0])
    if not found:
        return []
    kept: list[Row] = []
    refused: list[Mapping[str, Any]] = []
    for row in mapped.balances:
        flow = found.get((row["account"], row["wallet"], row["asset"], row["as_of"].isoformat()))
        if flow is None:
            kept.append(row)
            continue
        refused.append(
            {
                "frame": "balances",
                "error": "CaptureRace",
                "reason": f"{flow} moved it while it was captured; expected a wallet at rest; next: nothing, the next"
                " day's window reaches over this day",
                "file": row["source"],
                "account": row["account"],
                "wallet": row["wallet"],
                "asset": row["asset"],
                "instant": row["as_of"],
                "date": row["date"],
                "content": "{}",
            }
        )
    mapped.balances[:] = kept
    return refused


def _quarantine(validated: Mapping[str, Validated], mapped: Mapped, besides: Sequence[Mapping[str, Any]]) -> pa.Table:
    """What frames refused, what the mapping could not read, and what cannot be believed for another reason."""
    refused = [*(quarantine_row(problem) for problem in mapped.problems if problem.kind not in _CAN_WAIT), *besides]
    tables = [result.quarantine for result in validated.values()]
    tables.append(pa.Table.from_pylist(refused, schema=QUARANTINE))
    table = pa.concat_tables(tables)
    return table.sort_by([(name, "ascending") for name in ("frame", "file", "line", "error", "content")])


def _doubted_rows(record: RawRecord, context: MappingContext) -> list[Mapping[str, Any]]:
    """What one read told in two ways, for each position that it may have moved; what is detail alone moved nothing."""
    stream = BY_NAME[record.stream]
    if stream.role not in ("flow", "snapshot", "capture"):
        return []
    instant = stream.instant(record.content)
    row = {
        "error": "RecordDoubted",
        "reason": f"{record.stream} {record.key}: one read told it twice with different content;"
        " expected one content; next: run the day again",
        "file": record.stream,
        "line": record.fid,
        "account": record.account,
        "instant": instant,
        "date": instant.date() if instant else None,
        "content": "{}",
    }
    # a family of several wallets, such as isolated margin, names none of them
    places = [("balances", wallet, None) for wallet in stream.wallets]
    return [
        row | {"frame": frame, "wallet": wallet if wallet != "ISOLATED_MARGIN" else None, "asset": asset}
        for frame, wallet, asset in (places_of(record, context) if stream.role == "flow" else places)
    ]
