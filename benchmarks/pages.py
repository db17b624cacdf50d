"""The files of a generated lake: whole columns of integers made into the frames' Arrow tables, and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.exact import Ints, to_decimals
from benchmarks.flows import Flows
from benchmarks.plan import DAY_US, STREAMS, Plan
from benchmarks.world import Spec, World
from recon_pipeline.frames.schema import FRAMES, INSTANT
from recon_pipeline.stores.lake import LakeWrite

NETWORKS = ("bitcoin", "ethereum", "polygon", "sepa", "solana", "tron")
COUNTERPARTIES = tuple(f"counterparty-{number:02d}" for number in range(32))
TRANSFER_KINDS = ("transfer_in", "transfer_out", "txn_fee")
TRADE_KINDS = ("buy", "trade_fee", "sell")
TRADE_LEGS = ("buy", "fee", "sell")
EPOCH = date(1970, 1, 1)

Columns = dict[str, pa.Array]


@dataclass(frozen=True)
class Pages:
    """Writes the days of one world into a lake."""

    write: LakeWrite
    spec: Spec
    world: World
    plan: Plan

    def transfers(self, day: int, flows: Flows) -> None:
        """A day's transfers."""
        order = _order(flows)
        number, kind = flows.number[order], _named(TRANSFER_KINDS, flows.leg[order])
        columns = {
            "source": pa.repeat("transfers", len(order)),
            "external_id": self._ids(day, number),
            "txn_type": kind,
            "txn_subtype": kind,
            "counter_party": _named(COUNTERPARTIES, number % len(COUNTERPARTIES)),
            "network": _named(NETWORKS, self.world.account[flows.position[order]] % len(NETWORKS)),
        }
        self._store("transfers", day, self._moved(day, flows, order) | columns)

    def trades(self, day: int, flows: Flows) -> None:
        """A day's fills, three rows each."""
        order = _order(flows)
        fill, leg = self._ids(day, flows.number[order]), flows.leg[order]
        columns = {
            "source": pa.repeat("trades", len(order)),
            "external_id": pc.binary_join_element_wise(fill, _named(TRADE_LEGS, leg), ":"),
            "txn_type": pa.repeat("trade", len(order)),
            "txn_subtype": _named(TRADE_KINDS, leg),
            "agg_id": fill,
        }
        self._store("trades", day, self._moved(day, flows, order) | columns)

    def balances(self, day: int, position: Ints, actual: Ints) -> None:
        """A day's snapshots: a row for each of the positions given, in ascending order; named by their instant."""
        as_of = self._instants(day, self.plan.cut_us[day][self.world.account[position]])
        columns = {
            "as_of": as_of,
            "snapshot_id": pc.strftime(as_of, "%Y-%m-%dT%H:%M:%SZ"),
            "read_at": as_of,
            "raw_balance": to_decimals(actual[:, position]),
            "source": pa.repeat("balances", len(position)),
        }
        self._store("balances", day, self._position(position) | columns)

    def coverage(self, day: int) -> None:
        """Each account and stream is read whole, (midnight, midnight], but for the holes of the day."""
        when = self.spec.dates[day]
        midnight = datetime(when.year, when.month, when.day, tzinfo=UTC)
        rows = []
        for number, account in enumerate(self.world.accounts):
            for stream in STREAMS:
                edges = [(0, "complete")]
                for hole in self.plan.holes:
                    if (hole.account, hole.stream, hole.day) == (number, stream, day):
                        edges += [(hole.start_us, "partial"), (hole.end_us, "complete")]
                ends = [*(start for start, _ in edges[1:]), DAY_US]
                rows += [
                    {
                        "venue": self.spec.venue,
                        "account": account,
                        "stream": stream,
                        "window_start": midnight + timedelta(microseconds=start),
                        "window_end": midnight + timedelta(microseconds=end),
                        "status": status,
                    }
                    for (start, status), end in zip(edges, ends, strict=True)
                ]
        self.write.put("coverage", self.spec.venue, when, pa.Table.from_pylist(rows, schema=FRAMES["coverage"].arrow))

    def prices(self, day: int, rows: Sequence[dict[str, object]]) -> None:
        """A day's prices: asset, as_of and usd_price of each."""
        whole = [row | {"venue": self.spec.venue, "source": "prices"} for row in rows]
        table = pa.Table.from_pylist(whole, schema=FRAMES["prices"].arrow)
        self.write.put("prices", self.spec.venue, self.spec.dates[day], table)

    def _moved(self, day: int, flows: Flows, order: Ints) -> Columns:
        columns = {
            "datetime": self._instants(day, flows.at_us[order]),
            "measure": pa.repeat("balance", len(order)),
            "amount": to_decimals(flows.amount[:, order]),
        }
        return self._position(flows.position[order]) | columns

    def _position(self, position: Ints) -> Columns:
        return {
            "account": _named(self.world.accounts, self.world.account[position]),
            "wallet": _named([name for _, name in self.world.wallets], self.world.wallet[position]),
            "asset": _named([asset.name for asset in self.world.assets], self.world.asset[position]),
        }

    def _ids(self, day: int, number: Ints) -> pa.Array:
        padded = pc.utf8_lpad(pa.array(number).cast(pa.string()), 8, "0")
        return pc.binary_join_element_wise(f"{self.spec.dates[day]:%Y%m%d}", padded, "-")

    def _instants(self, day: int, at_us: Ints) -> pa.Array:
        return pa.array((self.spec.dates[day] - EPOCH).days * DAY_US + at_us).cast(INSTANT)

    def _store(self, frame: str, day: int, columns: Columns) -> None:
        """Write rows that are in order already, which spares the sort of `LakeWrite.put`; other columns are null."""
        schema, rows = FRAMES[frame].arrow_in_lake, len(columns["asset"])
        arrays = [columns[f.name] if f.name in columns else pa.nulls(rows, f.type) for f in schema]
        path = self.write.staged(frame, self.spec.venue, self.spec.dates[day])
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd", store_schema=False)


def _order(flows: Flows) -> Ints:
    """The lake's order: positions are numbered in text order, and rows of one instant come in that of their ids."""
    return (flows.position * DAY_US + flows.at_us).argsort(kind="stable")


def _named(names: Sequence[str], index: Ints) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(index))
