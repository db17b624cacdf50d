"""Records as the store would give them to the mapping, and its rows put through the frames' own contract."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from recon_pipeline.frames.schema import BALANCES, PRICES, TRADES, TRANSFERS
from recon_pipeline.frames.validate import validate
from recon_pipeline.venues.binance.mapping import Mapped, MappingContext, as_table, map_records
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.streams import AccountFacts, RawRecord

MAIN = "main@example.com"
DESK = "desk-1_virtual@example.com"
ALL_PRODUCTS = frozenset({"spot", "margin", "futures", "futures_coin", "option", "earn", "portfolio_margin"})
FACTS = {
    MAIN: AccountFacts(MAIN, subs=(DESK,), products=ALL_PRODUCTS),
    DESK: AccountFacts(DESK, master=MAIN, products=ALL_PRODUCTS),
}
SYMBOLS = {
    "BTCUSDT": ("BTC", "USDT"),
    "ETHUSDT": ("ETH", "USDT"),
    "BNBUSDT": ("BNB", "USDT"),
    "ETHBTC": ("ETH", "BTC"),
    "USDCUSDT": ("USDC", "USDT"),
    "USDTTRY": ("USDT", "TRY"),
    "LDOUSDT": ("LDO", "USDT"),
}
CONTEXT = MappingContext(FACTS, SYMBOLS)
READ_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ms(text: str) -> int:
    """Milliseconds since the epoch of an instant such as 2026-11-01T10:00:00.123."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def utc(text: str) -> datetime:
    """The instant of a text in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def record(
    stream: str, content: Mapping[str, Any], call: Mapping[str, str] | None = None, account: str = MAIN, fid: int = 1
) -> RawRecord:
    """A record of a stream, with the key that the stream gives it."""
    asked = call or {}
    told = json.dumps([stream, account, asked, content], sort_keys=True, default=str)
    digest = hashlib.sha256(told.encode()).hexdigest()
    return RawRecord(fid, account, stream, BY_NAME[stream].key(asked, content), asked, content, digest, READ_AT)


def mapped(*records: RawRecord, context: MappingContext = CONTEXT, **doubts: str) -> Mapped:
    """What the records say, once it is seen that the frames take every row."""
    if doubts:
        context = MappingContext(context.accounts, context.symbols, context.decisions, doubts, context.captured)
    found = map_records(records, context)
    require_valid(found)
    return found


def require_valid(found: Mapped) -> None:
    """Every row keeps the contract of its frame, and no two have one key."""
    frames = ((TRANSFERS, found.transfers), (TRADES, found.trades), (BALANCES, found.balances), (PRICES, found.prices))
    for frame, rows in frames:
        validated = validate(frame, as_table(frame, rows), "binance")
        assert validated.quarantine.to_pylist() == []
        assert validated.rows.num_rows == len(rows), f"{frame.name}: rows of one key"


def told(rows: Iterable[Mapping[str, Any]], *columns: str) -> Sequence[Any]:
    """The columns of the rows, sorted: a bare value if only one is asked for."""
    values = [tuple(row[column] for column in columns) for row in rows]
    return sorted(value[0] if len(columns) == 1 else value for value in values)


def kinds(found: Mapped) -> Sequence[str]:
    """The kinds of the problems, sorted."""
    return sorted(problem.kind for problem in found.problems)
