"""The marts as CSV files, written by PostgreSQL itself, so that every digit is the database's."""

from __future__ import annotations

from pathlib import Path

from recon_pipeline.stores.database import engine, named_errors
from recon_pipeline.stores.marts import mart_models, refresh
from recon_pipeline.stores.models import Model


def export_marts(url: str, folder: Path) -> dict[Path, int]:
    """Write `<folder>/<mart>.csv` for each mart, header included, in the order of its key; rows by file.

    Each file is complete or was not replaced. The files are one moment's: they come from one transaction.
    """
    models = mart_models()
    refresh(url, models)
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[Path, int] = {}
    with named_errors(url, "exporting the marts"), engine(url).connect() as connected:
        opened = connected.execution_options(isolation_level="REPEATABLE READ")
        with opened.begin():
            cursor = opened.connection.cursor()
            for model in models:
                path = folder / f"{model.name}.csv"
                part = path.with_suffix(".csv.part")
                with part.open("w", encoding="utf-8", newline="") as out:
                    cursor.copy_expert(f"COPY ({_query(model)}) TO STDOUT WITH (FORMAT csv, HEADER)", out)
                part.replace(path)
                written[path] = cursor.rowcount
    return written


def _query(model: Model) -> str:
    columns = [f'"{column.name}"' for column in model.columns]
    order = ", ".join([f'"{name}"' for name in model.key] or columns)
    return f"SELECT {', '.join(columns)} FROM {model.relation} ORDER BY {order}"
