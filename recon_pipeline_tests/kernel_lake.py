"""A ledger in a lake and back: what the oracle takes as lists, the kernel takes as partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from recon_pipeline.config import Opening, Severities, ToleranceRule
from recon_pipeline.frames.schema import FRAMES, QUARANTINE
from recon_pipeline.reconcile.settings import KernelSettings
from recon_pipeline.stores.lake import Lake
from recon_pipeline_tests.oracle import COLUMNS, FLOW_FRAMES, Flow, Ledger, Row

Partitions = dict[tuple[str, str, date], list[dict[str, Any]]]


def kernel_settings_of(ledger: Ledger) -> KernelSettings:
    """The same settings, as the kernel takes them."""
    s = ledger.settings
    return KernelSettings(
        venue=s.venue,
        streams=tuple(sorted(s.streams)),
        start=s.start,
        calendar=s.calendar,
        due_days=s.due_days,
        tolerance_rules=tuple(ToleranceRule(t.account, t.asset, t.value, t.rank) for t in s.tolerances),
        severities=Severities(**asdict(s.severities)),
        openings=tuple(Opening(s.venue, o.account, o.wallet, o.date, "anew") for o in s.openings),
        price_sources=s.price_sources,
        measures=("balance", *s.measures),
    )


def store(lake: Lake, ledger: Ledger) -> None:
    """Make the lake's input partitions those of the ledger: the missing written, the others replaced or removed."""
    wanted = _partitions(ledger)
    venues = {ledger.settings.venue, *ledger.settings.price_sources, *(venue for _, venue, _ in wanted)}
    with lake.write("inputs") as write:
        for (frame, venue, day), rows in wanted.items():
            write.put(frame, venue, day, pa.Table.from_pylist(rows, schema=FRAMES[frame].arrow))
        for frame in FRAMES:
            for venue in venues if frame != "reconciliation" else ():
                for day in lake.days(frame, venue):
                    if (frame, venue, day) not in wanted:
                        write.remove(frame, venue, day)
        for venue in venues:
            refused = [
                {**asdict(q), "error": "RefusedRow", "reason": "refused", "content": "{}"}
                for q in ledger.quarantine
                if q.venue == venue
            ]
            write.put_quarantine(venue, pa.Table.from_pylist(refused, schema=QUARANTINE))
        write.commit()


def stored_rows(lake: Lake, venue: str, days: Iterable[date]) -> dict[date, list[Row]]:
    """The reconciliation as it lies in the lake, in the oracle's form."""
    rows: dict[date, list[Row]] = {}
    for day in days:
        table = lake.read("reconciliation", venue, [day]).select(list(COLUMNS))
        rows[day] = [Row(**{name: _in_utc(value) for name, value in row.items()}) for row in table.to_pylist()]
    return rows


def stored_bytes(lake: Lake, venue: str) -> dict[date, bytes]:
    """Every stored day of the reconciliation, byte for byte."""
    days = lake.days("reconciliation", venue)
    return {day: Path(lake.partition("reconciliation", venue, day)).read_bytes() for day in days}


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _partitions(ledger: Ledger) -> Partitions:
    venue = ledger.settings.venue
    partitions: Partitions = {(frame, venue, day): [] for frame, day in ledger.flow_partitions}

    def sort_in(frame: str, rows: Iterable[Any], day_of: Callable[[Any], date], **constant: Any) -> None:
        for row in rows:
            columns = {"venue": venue, **asdict(row), **constant}
            partitions.setdefault((frame, columns["venue"], day_of(row)), []).append(columns)

    for frame in FLOW_FRAMES:
        flows = [_flow_columns(f, f"{n}") for n, f in enumerate(ledger.flows) if f.frame == frame]
        for columns in flows:
            partitions[frame, venue, columns["datetime"].date()].append({"venue": venue, **columns})
    sort_in("balances", ledger.balances, lambda b: b.date, source="balances")
    sort_in("prices", ledger.prices, lambda p: p.as_of.date())
    sort_in("coverage", ledger.coverage, lambda c: c.window_start.date())
    sort_in("expected", ledger.expected, lambda e: e.expected_by)
    return partitions


def _flow_columns(flow: Flow, external_id: str) -> Mapping[str, Any]:
    txn_type = "trade" if flow.frame == "trades" else "transfer_in" if flow.amount >= 0 else "transfer_out"
    return {**asdict(flow), "source": flow.frame, "external_id": external_id, "txn_type": txn_type}
