"""A DuckDB as this project opens it: in memory, in UTC, alone."""

from __future__ import annotations

from tempfile import gettempdir
from uuid import uuid4

import duckdb


def open_duckdb(*, memory_limit: str | None = None, keep_order: bool = True) -> duckdb.DuckDBPyConnection:
    """A fresh in-memory DuckDB with TimeZone UTC that sees no variables of Python and fetches no extension.

    `keep_order` keeps rows in the order in which files and tables hold them.
    """
    connection = duckdb.connect(
        config={
            "python_enable_replacements": "false",
            "autoinstall_known_extensions": "false",
            # with threads of their own for I/O, a COPY that fails on a full disk never returns (DuckDB 2.0.0)
            "async_threads": 0,
        }
    )
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    connection.execute(f"SET preserve_insertion_order = {str(keep_order).lower()}")
    # Made only if something spills, and removed on close. Two databases may not share one, so each has its own.
    connection.execute(f"SET temp_directory = '{gettempdir()}/recon-{uuid4().hex}'")
    if memory_limit:
        connection.execute(f"SET memory_limit = '{memory_limit}'")
    return connection


def identifier(name: str) -> str:
    """A name of a table or column as SQL, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'
