"""The competitor: the same job as people write it in pandas, with Decimal objects, which are exact.

    python -m benchmarks.jobs.pandas_decimal WORLD RUN

It is held to the same rows by the same check (`verify`), on worlds in which a wallet has one instant a day, as the
generated ones have. What the kernel does besides is left out in its favour: other measures, quarantined and expected
items, positions with an as_of of their own, calendars, declared openings, digests of what was read.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, getcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.manifest import Manifest
from benchmarks.plan import STREAMS
from benchmarks.world import Spec
from recon_pipeline.config import Severities
from recon_pipeline.frames.registry import BUCKET_BY_SUBTYPE, BUCKETS
from recon_pipeline.frames.schema import COVERAGE_THAT_COUNTS, RECONCILIATION

WALLET = ["account", "wallet"]
POSITION = ["account", "wallet", "asset"]
FLOW_COLUMNS = [*POSITION, "datetime", "amount", "txn_subtype"]
ZERO = Decimal(0)
CENT_MILLIONTH = Decimal("0.00000001")
STALE = timedelta(hours=72)
DIGEST = "0" * 64
BATCH_DAYS = 30
"""A flow is some hundred bytes of Python objects, so that a whole year at once needs several GB and is no faster."""


@dataclass
class State:
    """What the batches before left behind."""

    known: pd.DataFrame
    """The last snapshot of every wallet, a row for each position."""
    cuts: pd.DataFrame
    """Day and instant of that snapshot, a row for each wallet."""
    flows: pd.DataFrame
    """Flows that no snapshot has closed yet."""
    prices: dict[str, tuple[datetime, Decimal]] = field(default_factory=dict)
    covered_until: dict[tuple[str, str], datetime] = field(default_factory=dict)
    holes: defaultdict[str, list[tuple[datetime, datetime]]] = field(default_factory=lambda: defaultdict(list))


def reconcile(world: Path, out: Path, manifest: Manifest, batch_days: int) -> int:
    """Write a file of finished rows for each day into `out`; the number of rows."""
    getcontext().prec = 80
    state = State(
        known=pd.DataFrame(columns=[*POSITION, "date", "balance"]),
        cuts=pd.DataFrame(columns=[*WALLET, "date", "window_end"]),
        flows=pd.DataFrame(columns=FLOW_COLUMNS),
    )
    count = 0
    for first in range(0, len(manifest.days), batch_days):
        days = manifest.days[first : first + batch_days]
        batch = _Batch(world, manifest.venue, days)
        flows = [batch.read(frame, FLOW_COLUMNS) for frame in STREAMS]
        state.flows = pd.concat([part for part in (state.flows, *flows) if len(part)], ignore_index=True)
        _note_coverage(state, batch.read("coverage", None))
        rows = _valued(state, _rows(state, batch), batch)
        for day, of_day in rows.groupby("date"):
            _store(of_day, out, day)
        count += len(rows)
    return count


@dataclass(frozen=True)
class _Batch:
    """Some consecutive days of a world."""

    world: Path
    venue: str
    days: list[date]

    def read(self, frame: str, columns: list[str] | None) -> pd.DataFrame:
        """A frame's rows of these days, with the partition's day as `date`."""
        tables = []
        for day in self.days:
            path = self.world / "lake" / frame / f"venue={self.venue}" / f"date={day}" / "data.parquet"
            table = pq.read_table(path, columns=columns, partitioning=None)
            tables.append(table.append_column("date", pa.repeat(day, len(table))))
        return pa.concat_tables(tables).to_pandas()


def _note_coverage(state: State, coverage: pd.DataFrame) -> None:
    """Keep how far each stream is proved, and what was left out on the way."""
    counts = coverage[coverage["status"].isin(COVERAGE_THAT_COUNTS)].sort_values("window_start")
    for row in counts.itertuples():
        key = (row.account, row.stream)
        before = state.covered_until.get(key, row.window_start)
        if row.window_start > before:
            state.holes[row.account].append((before, row.window_start))
        state.covered_until[key] = max(before, row.window_end)


def _rows(state: State, batch: _Batch) -> pd.DataFrame:
    """The batch's rows but for their value in USD, and the state after them."""
    balances = batch.read("balances", [*POSITION, "as_of", "raw_balance"]).rename(columns={"raw_balance": "balance"})
    cuts = balances.groupby([*WALLET, "date"], as_index=False)["as_of"].max().rename(columns={"as_of": "window_end"})
    cuts = pd.concat([part for part in (state.cuts, cuts) if len(part)], ignore_index=True)
    cuts = cuts.sort_values([*WALLET, "date"], ignore_index=True)
    cuts["window_start"] = cuts.groupby(WALLET)["window_end"].shift()
    cuts["next_date"] = cuts.groupby(WALLET)["date"].shift(-1)
    known = pd.concat([part for part in (state.known, balances.drop(columns="as_of")) if len(part)], ignore_index=True)
    known = known.merge(cuts[[*WALLET, "date", "next_date"]], on=[*WALLET, "date"])
    opening = cuts[cuts["window_start"].isna() & (cuts["date"] >= batch.days[0])]
    closing = cuts[cuts["window_start"].notna()]
    parts = [
        balances.rename(columns={"balance": "actual_balance"})
        .merge(opening[[*WALLET, "date", "window_end"]], on=[*WALLET, "date"])
        .assign(status="opening"),
        _tested(state, balances, known, cuts, closing),
        _unstated(known, cuts, batch.days).assign(status="incomplete", discrepancy_type="missing_snapshot"),
    ]
    state.cuts = cuts[cuts["next_date"].isna()][[*WALLET, "date", "window_end"]]
    state.known = known[known["next_date"].isna()].drop(columns="next_date")
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _unstated(known: pd.DataFrame, cuts: pd.DataFrame, days: list[date]) -> pd.DataFrame:
    """The positions of each wallet's last snapshot, on every day on which it has none."""
    grid = cuts[WALLET].drop_duplicates().merge(pd.DataFrame({"day": days}), how="cross")
    last = grid.merge(cuts[[*WALLET, "date"]].assign(day=cuts["date"]), on=[*WALLET, "day"], how="outer")
    last = last.sort_values([*WALLET, "day"])
    missing = last["date"].isna()
    last["date"] = last.groupby(WALLET)["date"].ffill()
    last = last[missing & last["date"].notna()]
    return last.merge(known, on=[*WALLET, "date"])[[*POSITION, "day"]].rename(columns={"day": "date"})


def _sums(state: State, cuts: pd.DataFrame) -> pd.DataFrame:
    """The five buckets of every position over the window that each snapshot closes; what none closes yet is kept."""
    flows = pd.merge_asof(
        state.flows[FLOW_COLUMNS].sort_values("datetime"),
        cuts[[*WALLET, "date", "window_start", "window_end"]].sort_values("window_end"),
        left_on="datetime",
        right_on="window_end",
        by=WALLET,
        direction="forward",
    )
    state.flows = flows[flows["window_end"].isna()][FLOW_COLUMNS]
    inside = flows[flows["window_start"].notna()]
    keys = [*POSITION, "date"]
    grouped = inside.groupby([*keys, inside["txn_subtype"].map(BUCKET_BY_SUBTYPE).rename("bucket")])["amount"]
    summed = pd.DataFrame({"amount": grouped.sum(), "count": grouped.size()}).reset_index()
    wide = summed.pivot(index=keys, columns="bucket", values="amount").reindex(columns=list(BUCKETS))
    wide = wide.astype(object).where(wide.notna(), ZERO)
    wide["flow_count"] = summed.groupby(keys)["count"].sum()
    return wide.reset_index()


def _tested(
    state: State, balances: pd.DataFrame, known: pd.DataFrame, cuts: pd.DataFrame, closing: pd.DataFrame
) -> pd.DataFrame:
    """Start and flows against the snapshot, for every position and every snapshot that has one before it."""
    actual = balances[[*POSITION, "date", "balance"]].rename(columns={"balance": "actual_balance"})
    start = known[known["next_date"].notna()][[*POSITION, "next_date", "balance"]]
    start = start.rename(columns={"next_date": "date", "balance": "start_balance"})
    rows = actual.merge(start, on=[*POSITION, "date"], how="outer")
    rows = rows.merge(_sums(state, cuts), on=[*POSITION, "date"], how="outer").merge(closing, on=[*WALLET, "date"])
    for name in ("actual_balance", "start_balance", *BUCKETS):
        rows[name] = rows[name].astype(object).where(rows[name].notna(), ZERO)
    rows["flow_count"] = rows["flow_count"].fillna(0).astype(int)
    rows["calculated_balance"] = rows["start_balance"]
    for name in BUCKETS:
        rows["calculated_balance"] = rows["calculated_balance"] + rows[name]
    rows["variance_in_asset"] = rows["actual_balance"] - rows["calculated_balance"]
    holed = [_has_hole(state, w.account, w.window_start, w.window_end) for w in closing.itertuples()]
    rows = rows.merge(closing[[*WALLET, "date"]].assign(holed=holed), on=[*WALLET, "date"])
    amounts = (rows[name] for name in ("holed", "variance_in_asset", "calculated_balance", "actual_balance"))
    verdicts = [_verdict(*row) for row in zip(*amounts, strict=True)]
    rows["status"] = [status for status, _ in verdicts]
    rows["discrepancy_type"] = [kind for _, kind in verdicts]
    return rows


def _has_hole(state: State, account: str, start: datetime, end: datetime) -> bool:
    proved = min(state.covered_until.get((account, stream), start) for stream in STREAMS)
    return end > proved or any(hole < end and until > start for hole, until in state.holes[account])


def _verdict(holed: bool, variance: Decimal, calculated: Decimal, actual: Decimal) -> tuple[str, str | None]:
    if holed:
        return "incomplete", "coverage_hole"
    if abs(variance) <= Spec.tolerance:
        return "matched", "precision" if variance else None
    if not actual:
        return "variance", "missing_at_venue"
    return "variance", "mismatch" if calculated else "missing_in_books"


def _valued(state: State, rows: pd.DataFrame, batch: _Batch) -> pd.DataFrame:
    """Price, USD and severity."""
    rows = rows.reindex(columns=["date", *RECONCILIATION.columns_in_lake])
    rows = rows.drop(columns=["usd_price", "price_status"]).merge(
        _prices(state, batch), on=["date", "asset"], how="left"
    )
    rows["price_status"] = rows["price_status"].fillna("missing")
    rows["variance_in_usd"] = _usd(rows["variance_in_asset"], rows["usd_price"])
    rows["tolerance"] = Spec.tolerance
    rows["inputs_digest"] = DIGEST
    severities: list[str | None] = [None] * len(rows)
    for number in (rows["status"] == "variance").to_numpy().nonzero()[0]:
        severities[number] = _severity(rows.iloc[number])
    rows["severity"] = severities
    return rows


def _prices(state: State, batch: _Batch) -> pd.DataFrame:
    """The price of each day and asset: the last one before the day's end."""
    stated = batch.read("prices", ["asset", "as_of", "usd_price"]).groupby("date")
    prices = []
    for day in batch.days:
        if day in stated.groups:
            for row in stated.get_group(day).itertuples():
                state.prices[row.asset] = (row.as_of, row.usd_price)
        end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        for asset, (as_of, usd_price) in state.prices.items():
            if usd_price > 0:
                prices.append((day, asset, usd_price, "stale" if end - as_of > STALE else "ok"))
    return pd.DataFrame(prices, columns=["date", "asset", "usd_price", "price_status"])


def _usd(variances: Iterable[Any], prices: Iterable[Any]) -> list[Decimal | None]:
    return [
        None
        if not isinstance(variance, Decimal) or not isinstance(price, Decimal)
        else (variance * price).quantize(CENT_MILLIONTH, ROUND_HALF_UP)
        for variance, price in zip(variances, prices, strict=True)
    ]


def _severity(row: Any) -> str:
    limits = Severities()
    share = abs(row.variance_in_asset) / max(abs(row.calculated_balance), abs(row.actual_balance))
    usd = None if row.variance_in_usd is None else abs(row.variance_in_usd)
    one_sided = not row.calculated_balance or not row.actual_balance
    if usd is not None and usd < limits.low_usd_always:
        return "low"
    if usd is not None and (usd >= limits.critical_usd or (one_sided and usd >= limits.critical_missing_usd)):
        return "critical"
    if share > limits.high_share or (usd is not None and usd >= limits.high_usd):
        return "high"
    return "medium" if usd is None or share >= limits.medium_share or usd >= limits.medium_usd else "low"


def _store(rows: pd.DataFrame, out: Path, day: date) -> None:
    """All columns of the frame, in order; those that this job does not fill are null."""
    rows = rows.sort_values(list(RECONCILIATION.order))
    rows = rows.astype(object).where(rows.notna(), None)
    table = pa.Table.from_pandas(rows, schema=RECONCILIATION.arrow_in_lake, preserve_index=False)
    folder = out / f"date={day}"
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "data.parquet", compression="zstd", store_schema=False)


def main() -> None:
    """Reconcile every day."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--batch-days", type=int, default=BATCH_DAYS)
    arguments = parser.parse_args()
    manifest = Manifest.load(arguments.world)
    started = time.perf_counter()
    out = arguments.run / "lake" / "reconciliation" / f"venue={manifest.venue}"
    rows = reconcile(arguments.world, out, manifest, arguments.batch_days)
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}))


if __name__ == "__main__":
    main()
