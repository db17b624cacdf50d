"""Finished days: each becomes a staged partition that says in its metadata which inputs its rows rest on.

While one piece is prepared, a thread computes the rows of the one before, and others store those of the one before
that: SQL statements as small as these keep one processor busy each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.frames.schema import RECONCILIATION
from recon_pipeline.reconcile.inputs import INPUTS_KEY, STALE_KEY, TIMING_KEY, UNTIL_KEY, Inputs, Reach, digest_of
from recon_pipeline.reconcile.tables import Frozen
from recon_pipeline.stores.lake import LakeWrite
from recon_pipeline.stores.parquet import in_order, store

STORERS = 2
_COMPUTED = tuple(name for name in RECONCILIATION.columns_in_lake if name != "inputs_digest")


@dataclass(frozen=True)
class Piece:
    """What was prepared: how far each asked day reaches, and whether its flows are summed between cuts of the venue."""

    reaches: Mapping[date, Reach]
    is_sliced: bool


class Finisher:
    """Computes the rows of a piece from its tables and stages a partition for each of its days.

    It does so beside the preparation of the next piece; `settle` waits for it.
    """

    def __init__(self, inputs: Inputs, write: LakeWrite, accounts: frozenset[str] | None, as_of_day: date) -> None:
        self.statuses: dict[date, dict[str, int]] = {}
        """Rows by status of every finished day."""
        self._inputs = inputs
        self._as_of_day = as_of_day
        self._write = write
        self._accounts = pa.array(sorted(accounts)) if accounts is not None else None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="finisher")
        self._working: Future[None] | None = None
        self._storers = ThreadPoolExecutor(STORERS, thread_name_prefix="storer")
        self._storing: list[Future[None]] = []

    def __enter__(self) -> Finisher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._storers.shutdown(wait=True, cancel_futures=True)

    def finish(self, tables: Frozen, piece: Piece) -> None:
        """Finish the days of a piece from its tables, once the rows of those before are computed."""
        self._wait()
        self._working = self._worker.submit(self._finish, tables, piece)

    def settle(self) -> None:
        """Wait until what was handed over is staged; what failed is raised."""
        self._wait()
        self._wait_for_storers()

    def _wait(self) -> None:
        if self._working is not None:
            self._working.result()
        self._working = None

    def _wait_for_storers(self) -> None:
        for stored in self._storing:
            stored.result()
        self._storing.clear()

    def _finish(self, tables: Frozen, piece: Piece) -> None:
        with tables:
            is_sliced = piece.is_sliced and tables.is_true("windows_end_at_cuts")
            tables.model("flow_sums_of_slices" if is_sliced else "flow_sums", table="flow_sums")
            for name in ("window_holes", "spoiled_windows", "untested_told_of"):
                tables.model(name)
            if set(self._inputs.settings.measures) - {"balance"}:
                tables.model(RECONCILIATION.name, table="reconciled")
                rows = tables.rows("gravest_measure")
            else:
                rows = tables.rows(RECONCILIATION.name)
        # positions are numbered in their order; DuckDB would move whole rows, and twice
        rows = rows.take(np.lexsort((rows["position_id"].to_numpy(), rows["date"].cast(pa.int32()).to_numpy())))
        ordinals = rows["date"].cast(pa.int32()).to_numpy()
        self._wait_for_storers()  # the rows of more pieces than these two would take memory
        for day, reach in sorted(piece.reaches.items()):
            low, high = np.searchsorted(ordinals, (day - date(1970, 1, 1)).days + np.arange(2))
            of_day = rows.slice(low, high - low)
            counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(of_day["status"]).to_pylist()}
            self.statuses[day] = {status: counts[status] for status in sorted(counts)}
            self._storing.append(self._storers.submit(self._stage, day, of_day, reach))

    def _stage(self, day: date, rows: pa.Table, reach: Reach) -> None:
        timing = self._expected_rows(rows)
        recorded = self._inputs.record(reach)
        entering = {key: value for key, value in recorded.items() if key != "timing_digest"}
        digest = digest_of(entering)
        metadata = {INPUTS_KEY: json.dumps(recorded, sort_keys=True, separators=(",", ":"))}
        rows = rows.select(_COMPUTED)
        ends = self._ends(day, rows)
        if self._accounts is not None:
            rows = self._with_others(rows, day, metadata)
            timing = self._expected_rows(rows)
            ends += [date.fromisoformat(metadata[UNTIL_KEY])] if UNTIL_KEY in metadata else []
        if ends:
            metadata[UNTIL_KEY] = min(ends).isoformat()
        self._inputs.timing.pop(day, None)
        if timing:
            self._inputs.timing[day] = metadata[TIMING_KEY] = json.dumps(timing, separators=(",", ":"))
        digests = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(rows), np.int32)), pa.array([digest]))
        finished = rows.append_column("inputs_digest", digests.cast(pa.string()))
        path = self._write.staged(RECONCILIATION.name, self._inputs.settings.venue, day)
        store(finished.cast(RECONCILIATION.arrow_in_lake).combine_chunks(), path, metadata)
        self._write.check(RECONCILIATION.name, self._inputs.settings.venue, day)

    def _ends(self, day: date, rows: pa.Table) -> list[date]:
        """The last days, as seen from which something about the rows stands so; none if they do for ever."""
        statuses = set(pc.unique(rows["status"]).to_pylist())
        ends = []
        if "pending" in statuses:
            ends.append(day + timedelta(days=self._inputs.settings.due_days - 1))
        if len(self._inputs.expected_items) and statuses & {"timing", "variance"}:
            # an item that no longer counts changes the sum that the residual has to equal
            counts_from = max(day, self._as_of_day)
            ends += [by for by in self._inputs.expected_items["expected_by"].to_pylist() if by >= counts_from]
        return ends

    @staticmethod
    def _expected_rows(rows: pa.Table) -> list[list[Any]]:
        """Position and variance of the rows whose residual is expected: a later window may take it back."""
        expected = rows.filter(
            pc.and_(pc.equal(rows["status"], "timing"), pc.equal(rows["discrepancy_type"], "expected"))
        )
        names = ("account", "wallet", "asset", "variance_in_asset")
        return [[*(row[name] for name in names[:3]), str(row[names[3]])] for row in expected.select(names).to_pylist()]

    def _with_others(self, rows: pa.Table, day: date, metadata: dict[str, str]) -> pa.Table:
        """The accounts' new rows beside the stored ones of all others; noted if theirs rest on older inputs."""
        mine = rows.filter(pc.is_in(rows["account"], self._accounts))
        lake, venue = self._inputs.lake, self._inputs.settings.venue
        before = lake.metadata(RECONCILIATION.name, venue, day)
        if INPUTS_KEY not in before:
            metadata[STALE_KEY] = "the other accounts were never computed"
            return mine
        if STALE_KEY in before or before[INPUTS_KEY] != metadata[INPUTS_KEY]:
            metadata[STALE_KEY] = "the other accounts rest on earlier inputs"
        if UNTIL_KEY in before:  # theirs stand as long as they did
            metadata[UNTIL_KEY] = before[UNTIL_KEY]
        stored = lake.read(RECONCILIATION.name, venue, [day]).select(_COMPUTED)
        others = stored.filter(pc.invert(pc.is_in(stored["account"], self._accounts)))
        return in_order(pa.concat_tables([mine.cast(others.schema), others]), RECONCILIATION.order)
