"""The tables that the kernel's SQL reads: settings, quarantine and the frames of one piece, as DuckDB sees them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any

import duckdb
import pyarrow as pa

from recon_pipeline.frames.registry import BUCKET_BY_SUBTYPE, BUCKETS
from recon_pipeline.frames.schema import FLOW_FRAMES
from recon_pipeline.reconcile.inputs import Inputs, Reach, remembered

ONE_DAY = timedelta(days=1)
POSITION = "account VARCHAR, wallet VARCHAR, asset VARCHAR"
_FLOW_COLUMNS = "account, wallet, asset, datetime, amount, txn_subtype, measure, date AS utc_day"
_NO_FLOWS = (
    "SELECT '' AS account, '' AS wallet, '' AS asset, NULL::TIMESTAMPTZ AS datetime, 0::DECIMAL(36, 18) AS amount,"
    " '' AS txn_subtype, '' AS measure, NULL::DATE AS utc_day WHERE false"
)
_BALANCES = (
    "account, wallet, asset, as_of, date, snapshot_id, read_at, raw_balance, raw_loan, raw_interest,"
    " raw_unrealised_pnl, marked_unrealised_pnl"
)
_ROWS_AT_ONCE = 1 << 20
_ROWS_IN_ONE_STATEMENT = 500
_NO_BALANCES = (
    "SELECT '' AS account, '' AS wallet, '' AS asset, NULL::TIMESTAMPTZ AS as_of, NULL::DATE AS date,"
    " '' AS snapshot_id, NULL::TIMESTAMPTZ AS read_at, NULL::DECIMAL(36, 18) AS raw_balance,"
    " NULL::DECIMAL(36, 18) AS raw_loan, NULL::DECIMAL(36, 18) AS raw_interest,"
    " NULL::DECIMAL(36, 18) AS raw_unrealised_pnl, NULL::DECIMAL(36, 18) AS marked_unrealised_pnl WHERE false"
)
_BUCKET_OF_SUBTYPE = {
    subtype: BUCKETS.index(bucket) + 1 for subtype, bucket in BUCKET_BY_SUBTYPE.items() if bucket is not None
}
_COVERAGE = (
    "account VARCHAR, stream VARCHAR, asset VARCHAR, window_start TIMESTAMPTZ, window_end TIMESTAMPTZ, status VARCHAR"
)


class Tables:
    """One connection's source tables. `settle` makes those that a whole call shares, the others are made by piece."""

    def __init__(self, db: duckdb.DuckDBPyConnection, inputs: Inputs, as_of_day: date) -> None:
        self.db = db
        self.inputs = inputs
        self.lake = inputs.lake
        self.settings = inputs.settings
        self.as_of_day = as_of_day

    def model(self, name: str, *, table: str | None = None) -> None:
        """Make a model's table from its SQL, under its own name or another."""
        self.db.execute(f"CREATE OR REPLACE TABLE {table or name} AS {sql_of(name)}")

    def more(self, name: str, *, table: str) -> None:
        """Add a model's rows to a table, by the names of their columns."""
        self.db.execute(f"INSERT INTO {table} BY NAME ({sql_of(name)})")

    def view(self, name: str, *, view: str | None = None) -> None:
        """Let a model, under its own name or another, be computed anew by whoever reads it.

        Cheaper than a table where it only renames and filters, or is read once.
        """
        self.db.execute(f"CREATE OR REPLACE VIEW {view or name} AS {sql_of(name)}")

    def frozen(self) -> Frozen:
        """A second connection that goes on seeing the tables as they are now, whatever this one does next."""
        reader = self.db.cursor()
        reader.execute("SET TimeZone = 'UTC'")
        self._variables(reader)
        return Frozen(reader)

    def table(self, name: str, columns: str, rows: Sequence[tuple[Any, ...]] = ()) -> None:
        """Make a small table from rows."""
        self.db.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")
        for some in (
            rows[first : first + _ROWS_IN_ONE_STATEMENT] for first in range(0, len(rows), _ROWS_IN_ONE_STATEMENT)
        ):
            marks = f"({', '.join('?' for _ in some[0])})"
            self.db.execute(f"INSERT INTO {name} VALUES {', '.join(marks for _ in some)}", list(chain(*some)))

    # -- for the whole call

    def settle(self) -> None:
        """Macros, variables, settings, quarantine, coverage and expected items."""
        self.db.execute(sql_of("_macros"))
        self._variables(self.db)
        settings = self.settings
        self.table("streams", "stream VARCHAR, family VARCHAR", list(settings.moved_by))
        self.table(
            "tolerance_rules",
            "account VARCHAR, asset VARCHAR, tolerance DECIMAL(36, 18), rank INTEGER",
            [(rule.account, rule.asset, rule.value, rule.rank) for rule in settings.tolerance_rules],
        )
        self.table(
            "declared_openings",
            "account VARCHAR, wallet VARCHAR, date DATE",
            [(opening.account, opening.wallet, opening.date) for opening in settings.openings],
        )
        self.table("price_sources", "rank INTEGER, venue VARCHAR", list(enumerate(self.inputs.price_sources, start=1)))
        self._quarantine()
        expected = [self.lake.partition("expected", settings.venue, day) for day in self.inputs.expected.days]
        self._whole_frame("expected_items", f"{POSITION}, amount DECIMAL(36, 18), expected_by DATE", expected)
        self._coverage()

    def _variables(self, db: duckdb.DuckDBPyConnection) -> None:
        settings = self.settings
        values: dict[str, Any] = {
            "calendar": settings.calendar,
            "as_of_day": self.as_of_day,
            "due_days": settings.due_days,
            "has_streams": bool(settings.streams),
            "has_families": bool(settings.families),
            "rolls_loan": "loan" in settings.measures,
            "rolls_interest": "interest" in settings.measures,
        }
        for name, value in values.items():
            db.execute(f"SET VARIABLE {name} = $value", {"value": value})
        db.execute(f"SET VARIABLE bucket_of_subtype = MAP {_BUCKET_OF_SUBTYPE}")
        for name, threshold in vars(settings.severities).items():
            db.execute(f"SET VARIABLE {name} = '{threshold:f}'::DECIMAL(38, 9)")

    def _quarantine(self) -> None:
        """What was refused, as far as its position, instant and day can be told."""
        refused = self.inputs.quarantine
        balances = [row for row in refused if row["frame"] == "balances"]
        flows = [row for row in refused if row["frame"] in ("transfers", "trades")]
        told = [row for row in balances if _is_told(row)]
        self.table(
            "unknown_cells",
            f"{POSITION}, date DATE",
            sorted({(row["account"], row["wallet"], row["asset"], row["date"]) for row in told if row["date"]}),
        )
        self.table(
            "undated_cells",
            POSITION,
            sorted({(row["account"], row["wallet"], row["asset"]) for row in told if not row["date"]}),
        )
        # without its account a wallet's name says nothing
        untold = {
            (row["account"], row["wallet"] if row["account"] else None, row["date"])
            for row in balances
            if not _is_told(row)
        }
        self.table("unknown_absences", "account VARCHAR, wallet VARCHAR, date DATE", list(untold))
        self.table(
            "unknown_flows",
            f"{POSITION}, instant TIMESTAMPTZ",
            list({(row["account"], row["wallet"], row["asset"], row["instant"]) for row in flows}),
        )

    def _coverage(self) -> None:
        """Which periods are proved, of which assets: the same for every call until coverage or streams change."""
        key = self.inputs.coverage_key(f"models for {self.settings.streams}")
        for name, rows in remembered(key, self._make_coverage).items():
            self.db.register("remembered", rows)
            self.db.execute(f"CREATE OR REPLACE TABLE {name} AS FROM remembered")
            self.db.unregister("remembered")

    def _make_coverage(self) -> dict[str, pa.Table]:
        self._whole_frame("coverage", _COVERAGE, self.inputs.coverage_files)
        made = {name: self.db.sql(sql_of(name)).to_arrow_table() for name in ("coverage_islands", "coverage_scopes")}
        self.db.execute("DROP TABLE coverage")
        return made

    def _whole_frame(self, name: str, columns: str, paths: Sequence[str]) -> None:
        self.table(name, columns)
        if paths:
            names = ", ".join(column.split()[0] for column in columns.replace("(36, 18)", "").split(", "))
            self.db.execute(
                f"INSERT INTO {name} SELECT {names} FROM read_parquet($paths, hive_partitioning = false)",
                {"paths": paths},
            )

    # -- for one piece

    def days(self, asked: Iterable[date]) -> None:
        """The days whose rows are wanted, and whether a snapshot is expected on them."""
        weekdays_only = self.settings.calendar == "weekdays"
        rows = [(day, not weekdays_only or day.isoweekday() <= 5) for day in asked]
        self.table("days", "date DATE, is_expected BOOLEAN", rows)

    def balances(self, first: date, last: date) -> None:
        """A view over every stated balance of the piece's days."""
        days = [day for day in self.inputs.balances.days if first <= day <= last]
        # by name, and beside every column: files of an earlier release lack those that came to the frame since
        stated = f"UNION ALL BY NAME FROM {self.parquet('balances', days, by_name=True)}" if days else ""
        self.db.execute(f"CREATE OR REPLACE VIEW balances AS SELECT {_BALANCES} FROM ({_NO_BALANCES} {stated})")

    def flows(self, first: date | None, last: date | None) -> None:
        """A view over the flows dated first to last, and which partitions of these days there are and are not."""
        source = self.flow_source(first, last, _FLOW_COLUMNS) if first and last else None
        self.db.execute(f"CREATE OR REPLACE VIEW flows AS {source or _NO_FLOWS}")
        days = each(first, last) if first and last else []
        self.table("flow_partitions", "utc_day DATE", [(day,) for day in days])
        missing = {
            day for frame in self.settings.flow_frames for day in set(days) - getattr(self.inputs, frame).written
        }
        self.table(
            "unwritten_days",
            "day_start TIMESTAMPTZ, day_end TIMESTAMPTZ",
            [(day, day + ONE_DAY) for day in sorted(missing)],
        )

    def slice_days(self) -> None:
        """The model `slice_days` as variables, for `flow_slices`."""
        self.model("slice_days")
        for name, value in (
            ("first_slice_day", "min(utc_day)"),
            ("slice_of_day", "list(slice ORDER BY utc_day)"),
            ("cut_of_day", "list(cut ORDER BY utc_day)"),
        ):
            self.db.execute(f"SET VARIABLE {name} = (SELECT {value} FROM slice_days)")

    def prices(self, first: date, last: date) -> None:
        """Prices by rank of their source, one for each instant; a refused one is a null that counts."""
        self.db.execute("CREATE OR REPLACE TABLE prices AS SELECT rank, asset, as_of, usd_price FROM carried_prices")
        unreadable = {
            (rank, row["instant"] or "infinity")
            for rank, source in enumerate(self.inputs.price_sources, start=1)
            for row in self.inputs.refused_prices[source]
            if row["asset"] is None
        }
        self.table("unreadable_prices", "rank INTEGER, as_of TIMESTAMPTZ", list(unreadable))
        for rank, source in enumerate(self.inputs.price_sources, start=1):
            days = [day for day in self.inputs.prices[source].days if first <= day <= last]
            self.table("refused_prices", "asset VARCHAR, as_of TIMESTAMPTZ", self._refused_prices(source, first, last))
            stated = (
                f"SELECT asset, as_of, source, usd_price, false AS refused FROM {self.parquet('prices', days, source)}"
                " UNION ALL "
                if days
                else ""
            )
            self.db.execute(
                f"INSERT INTO prices SELECT {rank}, asset, as_of, arg_max(struct_pack(price := usd_price),"
                " struct_pack(refused := refused, source := source)).price"
                f" FROM ({stated} SELECT asset, as_of, '' AS source, NULL::DECIMAL(36, 18) AS usd_price,"
                " true AS refused FROM refused_prices) GROUP BY asset, as_of"
            )

    def _refused_prices(self, source: str, first: date, last: date) -> list[tuple[str, Any]]:
        refused = [row for row in self.inputs.refused_prices[source] if row["asset"]]
        dated = {(r["asset"], r["instant"]) for r in refused if r["instant"] and first <= r["instant"].date() <= last}
        # where no instant can be told it may be the last price of any day
        undated = {
            (row["asset"], f"{day} 23:59:59.999999+00")
            for row in refused
            if row["instant"] is None
            for day in each(first, last)
        }
        return list(dated | undated)

    def told_by_quarantine(self) -> None:
        """The positions that refused flows tell of; those that flows tell of are added to them."""
        self.db.execute(
            "CREATE OR REPLACE TABLE positions_told_by_flows AS SELECT DISTINCT account, wallet, asset"
            " FROM unknown_flows WHERE account IS NOT NULL AND wallet IS NOT NULL AND asset IS NOT NULL"
        )

    def never_stated(self, asked: Sequence[date]) -> None:
        """For wallets that only flows tell of: the first day of every position, and the days of the accounts' flows."""
        self.table("first_flows", f"{POSITION}, first_day DATE")
        self.table("flow_days", "account VARCHAR, date DATE")
        wallets = {
            wallet: day
            for wallet, (day, stated) in self.inputs.never_stated.items()
            if asked and day <= asked[-1] and (stated is None or stated > asked[0])
        }
        if not wallets:
            return
        self.table("never_stated_wallets", "account VARCHAR, wallet VARCHAR", sorted(wallets))
        told = self.flow_source(min(wallets.values()), asked[-1], "account, wallet, asset, date AS day")
        refused = "SELECT account, wallet, asset, coalesce(instant::DATE, DATE '0001-01-01') AS day FROM unknown_flows"
        source = f"({told} UNION ALL {refused})" if told else f"({refused})"
        self.db.execute(
            f"INSERT INTO first_flows SELECT account, wallet, asset, min(day) FROM {source}"
            " SEMI JOIN never_stated_wallets USING (account, wallet)"
            " WHERE asset IS NOT NULL GROUP BY account, wallet, asset"
        )
        self.db.execute(
            f"INSERT INTO flow_days SELECT DISTINCT account, day FROM {source}"
            " SEMI JOIN never_stated_wallets USING (account)"
        )
        self.db.execute("INSERT INTO positions_told_by_flows SELECT account, wallet, asset FROM first_flows")

    def timing(self, asked: Sequence[date]) -> None:
        """The expected items that count on each day, and the `expected` rows that a window may take back."""
        self.db.execute(
            "CREATE OR REPLACE TABLE expected_sums AS"
            " SELECT account, wallet, asset, days.date, sum(amount) AS amount FROM expected_items, days"
            " WHERE expected_by >= days.date AND expected_by >= getvariable('as_of_day')"
            " GROUP BY account, wallet, asset, days.date"
        )
        told = [(*row, day) for day, text in self.inputs.timing.items() if day < asked[-1] for row in json.loads(text)]
        self.table("timing_before", f"{POSITION}, variance DECIMAL(38, 18), date DATE", told)

    def reaches(self) -> dict[date, Reach]:
        """How far the rows of each asked day reach, from the model `reach`."""
        rows = self.db.execute(
            "SELECT date, balances_from, first_instant, last_instant, flows_from, rests_on_all_prices FROM reach"
        ).fetchall()
        return {row[0]: Reach(*row) for row in rows}

    def one(self, query: str) -> tuple[Any, ...]:
        """The one row of a query."""
        row = self.db.execute(query).fetchone()
        if row is None:
            raise RuntimeError(f"no row: {query}")
        return row

    def parquet(self, frame: str, days: Sequence[date], venue: str | None = None, *, by_name: bool = False) -> str:
        """A table function over the partitions of these days, with `date` from their paths."""
        paths = ", ".join(quoted(self.lake.partition(frame, venue or self.settings.venue, day)) for day in days)
        return (
            f"read_parquet([{paths}], hive_partitioning = true, hive_types = {{'date': DATE, 'venue': VARCHAR}},"
            f" union_by_name = {str(by_name).lower()})"
        )

    def flow_source(self, first: date, last: date, columns: str) -> str | None:
        """A SELECT over every flow dated first to last; None if no partition of these days was written."""
        selects = []
        for frame in FLOW_FRAMES:
            days = [day for day in getattr(self.inputs, frame.name).days if first <= day <= last]
            if days:
                selects.append(f"SELECT {columns} FROM {self.parquet(frame.name, days)}")
        return " UNION ALL ".join(selects) or None


class Frozen:
    """The tables of one piece as they stood when it was made; its own are temporary. Close it by leaving its block."""

    def __init__(self, reader: duckdb.DuckDBPyConnection) -> None:
        self._db = reader
        reader.execute("BEGIN TRANSACTION")
        reader.execute("SELECT count(*) FROM days").fetchall()  # a transaction sees what its first query saw

    def __enter__(self) -> Frozen:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def model(self, name: str, *, table: str | None = None) -> None:
        """Make a model's table from its SQL, under its own name or another."""
        self._db.execute(f"CREATE OR REPLACE TEMP TABLE {table or name} AS {sql_of(name)}")

    def is_true(self, name: str) -> bool:
        """The answer of a model that is a question."""
        return self._db.execute(sql_of(name)).fetchone() == (True,)

    def rows(self, name: str) -> pa.Table:
        """The rows of a model, in no order."""
        return self._db.sql(sql_of(name)).to_arrow_reader(_ROWS_AT_ONCE).read_all()


@cache
def sql_of(name: str) -> str:
    """The SQL of a kernel model."""
    return (files("dbt_like_sql.reconciliation") / f"{name}.sql").read_text()


def each(first: date, last: date) -> list[date]:
    """Every day from first to last."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def quoted(text: str) -> str:
    """A SQL string."""
    return "'" + text.replace("'", "''") + "'"


def _is_told(row: dict[str, Any]) -> bool:
    return bool(row["account"] and row["wallet"] and row["asset"])
