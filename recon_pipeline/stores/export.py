"""The marts as CSV files, written by PostgreSQL itself, so that every digit is the database's."""

from __future__ import annotations

from pathlib import Path

from recon_pipeline.stores.database import engine, named_errors
from recon_pipeline.stores.marts import mart_models, refresh
from recon_pipeline.stores.models import Model


def export_marts(url: str, folder: Path) -> dict[Path, int]:
    """Write `<folder>/<mart>.csv` for each mart, header included, in the order of its key; rows by file. For each venue
    that is asked over HTTP, also its four statements: daily snapshot, transfers, trades, reconciliation summary.

    Each file is complete or was not replaced. The files are one moment's: they come from one transaction. Text that a
    spreadsheet would run as a formula has an apostrophe before it.
    """
    models = mart_models()
    refresh(url, models)
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[Path, int] = {}
    with named_errors(url, "exporting the marts"), engine(url).connect() as connected:
        opened = connected.execution_options(isolation_level="REPEATABLE READ")
        with opened.begin():
            cursor = opened.connection.cursor()
            cursor.execute("SELECT venue FROM recon.venues WHERE kind = 'binance' ORDER BY venue")
            venues = [venue for (venue,) in cursor.fetchall()]
            queries = {model.name: _query(model) for model in models}
            for venue in venues:  # a venue's name is letters, digits and _
                queries |= {f"{venue}_{name}": query.format(venue=venue) for name, query in _STATEMENTS.items()}
            for name, query in queries.items():
                path = folder / f"{name}.csv"
                part = path.with_suffix(".csv.part")
                with part.open("w", encoding="utf-8", newline="") as out:
                    cursor.copy_expert(f"COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER)", out)
                part.replace(path)
                written[path] = cursor.rowcount
    return written


def _plain(*columns: str) -> str:
    """Amounts in full, without trailing zeros."""
    return ", ".join(f"trim_scale({column}) AS {column}" for column in columns)


_FORMULA = r"'^''*[-=+@＝＋－＠\t\r\n]'"
"""How begins what a spreadsheet may run; the wide signs it reads too."""
_NUMBER = r"'^[-+]?[0-9]+(\.[0-9]+)?$'"
_MARK = f"CASE WHEN %s ~ {_FORMULA} AND %s !~ {_NUMBER} THEN '''' ELSE '' END || %s"


def _text(*columns: str) -> str:
    """Text as a person may open it: names, notes and addresses are other people's, and a spreadsheet runs what begins
    like a formula. Such text has an apostrophe before it, one more if it has some already: take one off, and it is what
    it was. A plain number runs nothing, and stays."""
    return ", ".join(f"{_MARK % (column, column, column)} AS {column}" for column in columns)


_EMAIL = f"{_MARK % ('account', 'account', 'account')} AS email"
_INSTANT = "to_char(datetime AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS datetime"
_STATEMENTS = {
    "daily_snapshot": (
        f"SELECT date, {_EMAIL}, {_text('wallet', 'asset')}, trim_scale(raw_balance) AS raw_balance,"
        " trim_scale(coalesce(raw_loan, 0)) AS raw_loan, trim_scale(coalesce(raw_interest, 0)) AS raw_interest,"
        " trim_scale(coalesce(raw_unrealised_pnl, 0)) AS raw_unrealised_pnl FROM (SELECT *, rank() OVER"
        # of several statements of one wallet and day the one read last counts, as it does for the reconciliation
        " (PARTITION BY account, wallet, date ORDER BY read_at DESC, snapshot_id DESC) AS place FROM recon.balances"
        " WHERE venue = '{venue}' AND retired_at IS NULL) AS stated WHERE place = 1 ORDER BY 1, 2, 3, 4"
    ),
    "transfers": (
        f"SELECT {_INSTANT}, {_text('email')}, txn_type, txn_subtype, {_text('wallet', 'asset')}, {_plain('amount')},"
        f" {_text('counter_party', 'network', 'txn_hash')}"
        " FROM marts.binance_reconciliation_transfers AS t WHERE venue = '{venue}'"
        " ORDER BY t.datetime, email, wallet, asset, source, external_id"
    ),
    "trades": (
        f"SELECT {_INSTANT}, {_text('email')}, txn_type, txn_subtype, {_text('symbol', 'asset')},"
        f" {_plain('amount', 'price')}"
        " FROM marts.binance_reconciliation_trades AS t WHERE venue = '{venue}'"
        " ORDER BY t.datetime, email, wallet, source, external_id"
    ),
    "reconciliation_summary": (
        f"SELECT date, {_EMAIL}, {_text('wallet', 'asset')}, "
        + _plain(
            "start_balance",
            "transfers_in",
            "transfers_out",
            "trades_in",
            "trades_out",
            "fees",
            "calculated_balance",
            "actual_balance",
        )
        + ", CASE WHEN status NOT IN ('incomplete', 'pending') THEN trim_scale(variance_in_asset) END AS variance"
        " FROM recon.reconciliation WHERE venue = '{venue}'"
        " ORDER BY 1, 2, 3, 4"
    ),
}
"""The statements that a person compares with the venue's own pages; instants in UTC."""


def _query(model: Model) -> str:
    names = {column.name: f'"{column.name}"' for column in model.columns}
    shown = [_text(names[column.name]) if column.type == "text" else names[column.name] for column in model.columns]
    order = ", ".join(f"mart.{names[name]}" for name in model.key or names)
    return f"SELECT {', '.join(shown)} FROM {model.relation} AS mart ORDER BY {order}"
