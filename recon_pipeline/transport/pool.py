"""Short transactions from many threads: connections are kept, and one that broke off is made anew once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from recon_pipeline.stores.database import DatabaseUnavailable, named_errors, pooled_engine

_CONNECTIONS_MAX = 8

T = TypeVar("T")


class Pool:
    """Runs short transactions; may be shared by threads, and by what is forked, which gets connections of its own."""

    def __init__(self, url: str, connections_max: int = _CONNECTIONS_MAX) -> None:
        self._url = url
        self._connections_max = connections_max
        self._engine: sa.Engine | None = None
        self._pid = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "Pool()"

    def run(self, doing: str, work: Callable[[sa.Connection], T]) -> T:
        """Do the work in one transaction. It is done again where the connection was found broken: a server started
        anew has closed those that were kept."""
        try:
            return self._once(doing, work)
        except DatabaseUnavailable:
            return self._once(doing, work)

    def close(self) -> None:
        """Close the connections; the next transaction opens others."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def _once(self, doing: str, work: Callable[[sa.Connection], T]) -> T:
        with named_errors(self._url, doing), self._of_this_process().begin() as opened:
            return work(opened)

    def _of_this_process(self) -> sa.Engine:
        with self._lock:
            if self._engine is not None and self._pid != os.getpid():
                self._engine.dispose(close=False)  # they are the parent's
                self._engine = None
            if self._engine is None:
                self._engine, self._pid = pooled_engine(self._url, self._connections_max), os.getpid()
            return self._engine
