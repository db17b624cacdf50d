"""Where the days before left off: the carried state between pieces, and its copy on disk between calls.

The copy is named by a digest of everything it was made from, so that one that no longer fits is never found. Losing it
costs time, never a result.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from recon_pipeline.reconcile.inputs import Inputs, digest_of

KEPT = 3
_TABLES = {
    "carried_positions": (
        "account VARCHAR, wallet VARCHAR, asset VARCHAR, as_of TIMESTAMPTZ, date DATE, balance DECIMAL(36, 18),"
        " loan DECIMAL(36, 18), interest DECIMAL(36, 18), in_last_snapshot BOOLEAN, wallet_date DATE"
    ),
    "carried_wallets": (
        "account VARCHAR, wallet VARCHAR, last_date DATE, absent_as_of TIMESTAMPTZ, absent_date DATE, opened_on DATE,"
        " opened_at TIMESTAMPTZ"
    ),
    "carried_prices": "rank INTEGER, asset VARCHAR, as_of TIMESTAMPTZ, usd_price DECIMAL(36, 18)",
}
# the version of what the tables mean: a copy made by another one is not read
_VERSION = 3


class Carried:
    """The tables carried_positions, carried_wallets and carried_prices of a connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, inputs: Inputs, folder: Path | None) -> None:
        self._db = connection
        self._inputs = inputs
        self._folder = folder / inputs.settings.venue if folder else None
        for name, columns in _TABLES.items():
            self._db.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")

    def load(self, before: date) -> date | None:
        """Take the latest copy from before a day; its day, or None if there is none that fits."""
        for copy in sorted(self._copies(), reverse=True):
            day = date.fromisoformat(copy.name[:10])
            if day < before and copy.name == self._name(day):
                with suppress(duckdb.Error):
                    for name in _TABLES:
                        self._db.execute(
                            f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM read_parquet($path)",
                            {"path": str(copy / f"{name}.parquet")},
                        )
                    return day
        return None

    def advance(self) -> None:
        """Let what a piece leaves behind be what the next one starts from."""
        for name in _TABLES:
            self._db.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM {name}_next")

    def save(self, day: date) -> None:
        """Keep a copy of the state after a day; failing to is no error."""
        if self._folder is None:
            return
        with suppress(OSError, duckdb.Error):
            self._folder.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(dir=self._folder, prefix="."))
            for name in _TABLES:
                self._db.execute(f"COPY {name} TO '{str(staged / name).replace(chr(39), chr(39) * 2)}.parquet'")
            copy = self._folder / self._name(day)
            shutil.rmtree(copy, ignore_errors=True)
            staged.rename(copy)
            for old in sorted(self._copies())[:-KEPT]:
                shutil.rmtree(old, ignore_errors=True)

    def _copies(self) -> list[Path]:
        if self._folder is None or not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if not path.name.startswith(".")]

    def _name(self, day: date) -> str:
        inputs = self._inputs
        refused = [row for row in inputs.quarantine if row["frame"] == "balances"]
        prices = [row | {"frame": source} for source, rows in inputs.refused_prices.items() for row in rows]
        names = ("frame", "account", "wallet", "asset", "instant", "date")
        made_from: list[Any] = [
            _VERSION,
            inputs.balances.over(None, day),
            [[source, inputs.prices[source].over(None, day)] for source in inputs.price_sources],
            sorted({tuple(str(row[name]) for name in names) for row in [*refused, *prices]}),
            sorted((o.account, o.wallet, str(o.date)) for o in inputs.settings.openings),
        ]
        return f"{day}-{digest_of(made_from)[:32]}"
