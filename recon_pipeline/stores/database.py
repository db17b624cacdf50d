"""PostgreSQL, reached: one URL in, the forms that SQLAlchemy and ADBC want out, and no password in any text.

SQLAlchemy takes a bare `postgresql://` for another driver than Dagster's storage can use, and ADBC refuses the form
with a driver by an error that prints the password. So nobody hands a URL to either but through here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote, urlencode

import sqlalchemy as sa
from adbc_driver_manager import AdbcStatusCode
from adbc_driver_manager import dbapi as adbc_manager
from adbc_driver_postgresql import dbapi as adbc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from recon_pipeline.errors import ConfigError, ReconError, StoreError

CONNECT_SECONDS_MAX = 10
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg")
_DRIVER_PREFIX = re.compile(r"^[A-Z_]+: \[libpq\] ")
_LOCK_SECONDS = 0.25
"""Between two tries: while libpq waits for a lock itself, Python hears no signal."""
_VENUE_LOCKS = 0x7265636F
"""The space of the advisory locks of venues: 'reco', so that they meet nobody else's."""


class DatabaseUnavailable(StoreError):  # noqa: N818 - the name says what is the matter
    """PostgreSQL does not answer, refuses the login, or broke off."""


class DatabaseError(StoreError):
    """PostgreSQL refused a statement."""


class VenueBusy(StoreError):  # noqa: N818
    """Another run of the venue holds its lock."""

    exit_code = 4


def parse(url: str) -> URL:
    """The URL in SQLAlchemy's form, from any form of PostgreSQL's; ConfigError, without the text, if it is none."""
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        parsed = None
    # A second @ is a password's that was not escaped: half of it would be taken for the host, and shown.
    unescaped = url.partition("?")[0].count("@") > 1
    # SQLAlchemy and libpq read a parameter that is given twice in different ways
    doubled = parsed is not None and any(not isinstance(value, str) for value in parsed.query.values())
    if parsed is None or unescaped or doubled or parsed.drivername not in _SCHEMES or not parsed.database:
        # The text itself is withheld: where it cannot be parsed, nobody can tell which part of it is the password.
        raise ConfigError(
            "the database's URL cannot be understood",
            where="RECON_DATABASE_URL",
            expected="postgresql://user:password@host:5432/database, with @ : / in a password written as %40 %3A %2F"
            " and no parameter twice",
            next_step="correct it, or unset it to use the embedded PostgreSQL",
        )
    return parsed.set(drivername="postgresql+psycopg2")


def sqlalchemy_url(url: str) -> str:
    """The URL for SQLAlchemy and for Dagster's storage; it holds the password."""
    return parse(url).render_as_string(hide_password=False)


def libpq_url(url: str) -> str:
    """The URL for ADBC, psql and whatever else rests on libpq; it holds the password."""
    return _rendered(parse(url))


def _rendered(url: URL) -> str:
    """As libpq reads it: SQLAlchemy leaves a space as it is, or makes a + of it, and libpq knows %20 alone."""
    login = ":".join(quote(part, safe="*") for part in (url.username, url.password) if part is not None)
    host = f"[{url.host}]" if ":" in (url.host or "") else quote(url.host or "", safe=",")
    port = f":{url.port}" if url.port is not None else ""
    query = urlencode(url.query, quote_via=quote)
    at = f"{login}@" if login else ""
    return f"postgresql://{at}{host}{port}/{quote(url.database or '', safe='')}{'?' if query else ''}{query}"


def shown(url: str) -> str:
    """The URL as it may be shown: without its password, wherever it stands."""
    parsed = parse(url)
    hidden = parsed.set(password="***") if parsed.password is not None else parsed  # noqa: S106 - stars
    return redacted(_rendered(hidden), url)


def redacted(text: str, url: str) -> str:
    """A text without the password of that URL, in any spelling, and without any URL's password at all."""
    text = re.sub(r"(\w+://[^\s:/@]*):[^\s/]*@", r"\1:***@", text)
    text = re.sub(r"(?i)\b(password\s*=\s*)('[^']*'|[^\s&'\"]+)", r"\1***", text)
    for secret in sorted(_secrets(url), key=len, reverse=True):
        # A short secret may be part of any word; it goes all the same, but only where it stands alone.
        text = text.replace(secret, "***") if len(secret) > 3 else re.sub(rf"\b{re.escape(secret)}\b", "***", text)
    return text


def _secrets(url: str) -> set[str]:
    """The password as it is, as it stands in the URL, and as others may write it."""
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        return set()
    found = {str(parsed.password or ""), *(str(parsed.query.get(key, "")) for key in ("password", "sslpassword"))}
    raw = re.search(r"://[^:/@]*:(.*)@", url)
    found |= {spelling(secret) for secret in found for spelling in (_spaced, partial(quote, safe=""))}
    return (found | ({raw[1]} if raw else set())) - {""}


def _spaced(secret: str) -> str:
    """As SQLAlchemy writes it."""
    return quote(secret, safe=" +")


@contextmanager
def named_errors(url: str, doing: str) -> Iterator[None]:
    """Turn what the drivers raise into a named error without password, statement or values.

    `doing` says what was being done, as in "loading transfers of bank". The driver's own error is cut off: a traceback
    would print it, with all it holds. So is what a library made of it.
    """
    try:
        yield
    except ReconError:
        raise
    except Exception as error:
        if (driver := _of_driver(error)) is None:
            raise
        raise _named(driver, url, doing) from None


def _of_driver(error: BaseException | None) -> BaseException | None:
    """The driver's error that lies behind this one, or is it."""
    while error is not None and not isinstance(error, sa.exc.DBAPIError | adbc_manager.Error):
        error = error.__cause__ or error.__context__
    return error


def _named(error: Any, url: str, doing: str) -> StoreError:
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    # The first line names the fault; those after it (DETAIL, CONTEXT) quote rows and so amounts.
    text = str(original).strip() or type(original).__name__
    found = redacted(_DRIVER_PREFIX.sub("", text.splitlines()[0]), url)
    where = f"{shown(url)}, {doing}"
    if _unavailable(error, original):
        return DatabaseUnavailable(
            found,
            where=where,
            expected="a PostgreSQL that answers and knows this user",
            next_step="see that it runs and that RECON_DATABASE_URL names it (recon database url prints it), "
            "then run again: nothing half-done stays",
        )
    return DatabaseError(found, where=where, next_step=f"nothing of this step was stored; {_hint(_state(original))}")


def _state(original: Any) -> str:
    """The SQLSTATE, empty if the driver tells none."""
    return str(getattr(original, "pgcode", None) or getattr(original, "sqlstate", None) or "")


def _unavailable(error: Any, original: Any) -> bool:
    """Whether the server was not reached, refused the login, is going down, or the connection broke."""
    if state := _state(original):
        return state.startswith(("08", "28", "3D", "57P", "53300"))
    if isinstance(error, sa.exc.DBAPIError):
        return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    return getattr(original, "status_code", None) == AdbcStatusCode.IO


def _hint(state: str) -> str:
    hints = {
        "42501": "have the login granted the role recon_owner (or recon_writer, if it only runs), then run again",
        "42P01": "apply the migrations (recon up and recon run do), then run again",
        "53100": "free space on the server's disk, then run again",
    }
    return hints.get(state, "report it with this text if running again does not help")


@lru_cache(maxsize=32)
def engine(url: str) -> sa.Engine:
    """An engine that keeps no connection open, speaks UTC and never puts values into an error's text.

    It is made once: SQLAlchemy asks a server several questions about itself with the first connection of each.
    """
    return sa.create_engine(
        parse(url),
        poolclass=NullPool,
        hide_parameters=True,
        use_native_hstore=False,
        connect_args={
            "connect_timeout": CONNECT_SECONDS_MAX,
            "application_name": "recon",
            "options": with_options(parse(url), "-c timezone=UTC"),
        },
    )


def pooled_engine(url: str, connections_max: int = 8) -> sa.Engine:
    """An engine for many short transactions from several threads: it keeps its connections.

    A commit does not wait for the disk: what a crash of the server may lose is what was asked of a venue in its last
    moments, and with it whatever was made of that. Nobody who stops within a transaction holds the others up.
    """
    own = "-c timezone=UTC -c synchronous_commit=off -c lock_timeout=30s -c idle_in_transaction_session_timeout=10s"
    return sa.create_engine(
        parse(url),
        pool_size=min(connections_max, 4),
        max_overflow=max(connections_max - 4, 0),
        pool_use_lifo=True,
        pool_recycle=600,
        hide_parameters=True,
        use_native_hstore=False,
        connect_args={
            "connect_timeout": CONNECT_SECONDS_MAX,
            "application_name": "recon",
            "options": with_options(parse(url), own),
        },
    )


def with_options(parsed: URL, own: str) -> str:
    """The user's own libpq options, then ours, which would else replace those of the URL."""
    return f"{parsed.query.get('options', '')} {own}".strip()


@contextmanager
def connection(url: str, doing: str) -> Iterator[sa.Connection]:
    """One connection and one transaction through SQLAlchemy: committed at the end, undone by an error."""
    with named_errors(url, doing), engine(url).begin() as opened:
        yield opened


@contextmanager
def bulk_connection(url: str, doing: str) -> Iterator[Any]:
    """An ADBC connection (DBAPI form) for Arrow tables; the caller commits, what was not committed is undone.

    It does not wait for the disk at a commit (synchronous_commit off): what a crash of the server may lose is loaded
    again from the lake by the next run, for the table that says what was loaded is lost with it.
    """
    with named_errors(url, doing):
        opened = adbc.connect(_bulk_url(url))
        try:
            with opened.cursor() as cursor:
                cursor.execute("SET synchronous_commit = off")
                cursor.execute("SET timezone = 'UTC'")
            opened.commit()
            yield opened
        finally:
            opened.close()


def _bulk_url(url: str) -> str:
    parsed = parse(url)
    extra = {"connect_timeout": str(CONNECT_SECONDS_MAX), "application_name": "recon"}
    return _rendered(parsed.update_query_dict({k: v for k, v in extra.items() if k not in parsed.query}))


@contextmanager
def venue_lock(url: str, venue: str, wait_seconds: float = 600) -> Iterator[Callable[[], None]]:
    """Hold the venue's lock: one run of a venue at a time, across processes and machines.

    PostgreSQL lets go of it when the holder's connection ends, however it ended. VenueBusy after `wait_seconds`. What
    is yielded raises DatabaseUnavailable once that connection broke: somebody else may hold the lock by then.
    """
    with named_errors(url, f"locking venue {venue}"), engine(url).connect() as opened:
        held = opened.execution_options(isolation_level="AUTOCOMMIT")
        deadline = time.monotonic() + wait_seconds
        lock = sa.text("SELECT pg_try_advisory_lock(:space, hashtext(:venue))")
        while not held.scalar(lock, {"space": _VENUE_LOCKS, "venue": venue}):
            if time.monotonic() >= deadline:
                raise VenueBusy(
                    f"another run of {venue} still held its lock after {wait_seconds:g} s",
                    where=shown(url),
                    expected="one run of a venue at a time",
                    next_step="wait for it (recon status shows it), or stop it, and run again",
                )
            time.sleep(_LOCK_SECONDS)

        def still_held() -> None:
            with named_errors(url, f"holding the lock of venue {venue}"):
                if held.closed or held.invalidated:  # SQLAlchemy would open the latter anew, and hold nothing
                    raise DatabaseUnavailable(
                        "the connection that held the lock has ended",
                        where=f"{shown(url)}, holding the lock of venue {venue}",
                        next_step="run again: nothing half-done stays",
                    )
                held.execute(sa.text("SELECT 1"))

        yield still_held


def migrate(url: str) -> None:
    """Bring schemas, tables and roles to this release's state; does nothing, quickly, if they are.

    Safe when several processes start at once. The login may create roles, or the roles exist and it is a member of
    recon_owner; else the error says what an administrator has to do once.
    """
    from recon_pipeline.stores.migrations import upgrade

    upgrade(url)
