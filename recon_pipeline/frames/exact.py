"""SQL macros that read amounts, instants and days from text exactly, or refuse them.

A cast rounds where a reader must refuse (the 19th decimal of a text disappears, `1_000` is a number, a naive
timestamp takes the machine's zone, `'1.7'::INT` is 2), so no text becomes a value here but through these macros.
They live in every DuckDB connection that `connect` opens:

    amount(text)            DECIMAL(36,18), or an error. Plain and scientific notation, an optional sign.
    amount(text, shift)     the same with the point moved by `shift` places: amount('12', -18) is 12e-18.
    instant(text)           TIMESTAMPTZ, or an error. ISO 8601 with Z or an offset, at most six decimals of a second.
    day(text)               DATE, or an error. YYYY-MM-DD and nothing more.
    whole_number(text)      BIGINT, or an error. Digits with an optional sign.

Zeros that change nothing are accepted (`1.50000000000000000000` needs one decimal, not twenty). Each macro has a twin
that gives null instead of an error (`amount_or_null`) and one that names the fault (`amount_fault`: 'Name: found').
No text of a fault holds the value, because errors are logged and amounts are not.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa

from recon_pipeline.frames.duck import open_duckdb

_KEPT_MAX: Final = 4
_KEPT_ROWS_MAX: Final = 100_000
"""After work on more rows a connection is closed: it would hold on to the memory that they took."""
_IDLE: Final[deque[duckdb.DuckDBPyConnection]] = deque()
"""Connections that nobody uses now."""
REFUSAL: Final = "recon refuses a value: "
"""What an error of these macros starts with, by which a caller tells it from an error of the SQL."""

_PLAIN: Final = r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?"
_NUMBER: Final = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})?"
_SEPARATED: Final = r"[+-]?[0-9]+([_,''’   ][0-9]+)+(\.[0-9]*)?"
_CLOCK: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
_OFFSET: Final = r"([Zz]|[+-][01][0-9](:?[0-5][0-9])?)"
_EXACT_CLOCK: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][01][0-9](:[0-5][0-9])?)"
)
_LOOKS_LIKE_CLOCK: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?"

_MACROS: Final = rf"""
-- Amounts. Most are plain; the others are taken apart, and a lambda names each part so that it is computed once.
CREATE MACRO amount_is_plain(value) AS value IS NULL OR regexp_full_match(value, '{_PLAIN}');
CREATE MACRO recon_form_fault(value) AS CASE
    WHEN regexp_full_match(value, '{_NUMBER}') THEN NULL
    WHEN trim(value) = '' THEN 'NotAnAmount: is blank'
    WHEN regexp_full_match(lower(trim(value)), '[+-]?(s?nan|inf|infinity)')
        THEN 'AmountNotFinite: is not a finite number'
    WHEN regexp_full_match(value, '{_SEPARATED}')
        THEN 'AmountSeparated: holds a separator of digits, or a decimal comma'
    ELSE 'NotAnAmount: is not a number'
END;
CREATE MACRO recon_place(sign, digits, point) AS sign || CASE
    WHEN digits = '' THEN '0'
    WHEN point <= 0 THEN '0.' || repeat('0', least(-point, 18)) || digits
    WHEN point >= length(digits) THEN digits || repeat('0', least(point - length(digits), 18))
    ELSE digits[:point] || '.' || digits[point + 1:]
END;
-- The digits that matter and where the point stands among them, as struct(fault, plain).
CREATE MACRO recon_read_amount(value, shift) AS list_transform(list_transform(list_transform(list_transform(
    [value],
    lambda v: {{
        'fault': recon_form_fault(v), 'sign': CASE WHEN starts_with(v, '-') THEN '-' ELSE '' END,
        'mantissa': split_part(lower(v), 'e', 1), 'exponent': split_part(lower(v), 'e', 2)
    }}),
    lambda a: {{
        'fault': a.fault, 'sign': a.sign,
        'whole': ltrim(split_part(a.mantissa, '.', 1), '+-0'), 'part': split_part(a.mantissa, '.', 2),
        'exponent': coalesce(TRY_CAST(nullif(a.exponent, '') AS INTEGER), 0) + shift
    }}),
    lambda b: {{
        'fault': b.fault, 'sign': b.sign, 'digits': trim(b.whole || b.part, '0'),
        'point': b.exponent + CASE
            WHEN b.whole <> '' THEN length(b.whole) ELSE length(ltrim(b.part, '0')) - length(b.part) END
    }}),
    lambda c: {{
        'fault': CASE
            WHEN c.fault IS NOT NULL THEN c.fault
            WHEN c.digits = '' THEN NULL
            WHEN length(c.digits) - c.point > 18
                THEN 'AmountTooFine: needs ' || (length(c.digits) - c.point) || ' decimals'
            WHEN c.point > 18 THEN 'AmountTooLarge: has ' || c.point || ' digits before the point' END,
        'plain': recon_place(c.sign, c.digits, c.point)
    }})[1];
CREATE MACRO recon_amount_or_error(read) AS list_transform([read], lambda r: CASE
    WHEN r.fault IS NULL THEN TRY_CAST(r.plain AS DECIMAL(36,18))
    ELSE error('{REFUSAL}' || r.fault)
END)[1];
CREATE MACRO recon_amount_or_null(read) AS list_transform([read], lambda r: CASE
    WHEN r.fault IS NULL THEN TRY_CAST(r.plain AS DECIMAL(36,18))
END)[1];
CREATE MACRO amount_fault(value) AS CASE
    WHEN amount_is_plain(value) THEN NULL
    ELSE recon_read_amount(value, 0).fault
END;
CREATE MACRO amount_or_null(value) AS CASE
    WHEN amount_is_plain(value) THEN TRY_CAST(value AS DECIMAL(36,18))
    ELSE recon_amount_or_null(recon_read_amount(value, 0))
END;
CREATE MACRO amount
    (value) AS CASE
        WHEN amount_is_plain(value) THEN TRY_CAST(value AS DECIMAL(36,18))
        ELSE recon_amount_or_error(recon_read_amount(value, 0))
    END,
    (value, shift) AS CASE
        WHEN value IS NULL THEN NULL
        ELSE recon_amount_or_error(recon_read_amount(value, shift))
    END;

-- Instants.
CREATE MACRO recon_clock(value) AS upper(regexp_replace(value, '(\.[0-9]{{6}})0+', '\1'));
CREATE MACRO instant_is_plain(value) AS
    value IS NULL
    OR (
        regexp_full_match(value, '{_EXACT_CLOCK}')
        AND left(value, 5) NOT IN ('0000-', '0001-', '9999-')
        AND TRY_CAST(value AS TIMESTAMPTZ) IS NOT NULL
    );
CREATE MACRO recon_clock_fault(value) AS CASE
    WHEN trim(value) = '' THEN 'NotAnInstant: is blank'
    WHEN regexp_full_match(value, '{_LOOKS_LIKE_CLOCK}') THEN 'InstantWithoutOffset: names no offset from UTC'
    WHEN regexp_matches(value, '\.[0-9]{{6}}[0-9]*[1-9]')
        THEN 'InstantTooFine: needs more than six decimals of a second'
    WHEN NOT regexp_full_match(value, '{_LOOKS_LIKE_CLOCK}([Zz]|[+-][0-9]{{2}}(:?[0-9]{{2}})?)')
        THEN 'NotAnInstant: is not an ISO 8601 instant'
    WHEN
        NOT regexp_full_match(value, '{_CLOCK}{_OFFSET}')
        OR NOT coalesce(
            TRY_CAST(recon_clock(value) AS TIMESTAMPTZ)
                BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00+00' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999+00',
            false
        )
        THEN 'InstantImpossible: does not exist'
END;
CREATE MACRO instant_fault(value) AS CASE WHEN NOT instant_is_plain(value) THEN recon_clock_fault(value) END;
CREATE MACRO instant_or_null(value) AS CASE
    WHEN instant_is_plain(value) THEN TRY_CAST(value AS TIMESTAMPTZ)
    WHEN recon_clock_fault(value) IS NULL THEN TRY_CAST(recon_clock(value) AS TIMESTAMPTZ)
END;
CREATE MACRO instant(value) AS CASE
    WHEN instant_is_plain(value) THEN TRY_CAST(value AS TIMESTAMPTZ)
    ELSE list_transform([value], lambda v: CASE
        WHEN recon_clock_fault(v) IS NULL THEN TRY_CAST(recon_clock(v) AS TIMESTAMPTZ)
        ELSE error('{REFUSAL}' || recon_clock_fault(v))
    END)[1]
END;

-- Days and whole numbers.
CREATE MACRO day_fault(value) AS CASE
    WHEN value IS NULL THEN NULL
    WHEN NOT regexp_full_match(value, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') THEN 'NotADay: is not a day'
    WHEN NOT coalesce(TRY_CAST(value AS DATE) BETWEEN DATE '0001-01-01' AND DATE '9999-12-31', false)
        THEN 'NotADay: does not exist'
END;
CREATE MACRO day_is_plain(value) AS day_fault(value) IS NULL;
CREATE MACRO day_or_null(value) AS CASE WHEN day_fault(value) IS NULL THEN TRY_CAST(value AS DATE) END;
CREATE MACRO day(value) AS CASE
    WHEN day_fault(value) IS NULL THEN TRY_CAST(value AS DATE)
    ELSE error('{REFUSAL}' || day_fault(value))
END;

CREATE MACRO count_fault(value) AS CASE
    WHEN value IS NOT NULL AND NOT regexp_full_match(value, '[+-]?[0-9]{{1,18}}')
        THEN 'NotACount: is not a whole number'
END;
CREATE MACRO count_is_plain(value) AS count_fault(value) IS NULL;
CREATE MACRO count_or_null(value) AS CASE WHEN count_fault(value) IS NULL THEN TRY_CAST(value AS BIGINT) END;
CREATE MACRO whole_number(value) AS CASE
    WHEN count_fault(value) IS NULL THEN TRY_CAST(value AS BIGINT)
    ELSE error('{REFUSAL}' || count_fault(value))
END;

-- What a mapping's casts to whole numbers and days go through: `CAST('1.7' AS INTEGER)` is 2, and must be refused.
CREATE MACRO recon_whole(value) AS CASE
    WHEN value IS NULL OR regexp_full_match(CAST(value AS VARCHAR), '[+-]?[0-9]+(\.0+)?|true|false') THEN value
    ELSE error('{REFUSAL}NotACount: is not a whole number')
END;
CREATE MACRO recon_day(value) AS CASE
    WHEN typeof(value) <> 'VARCHAR' OR day_fault(CAST(value AS VARCHAR)) IS NULL THEN value
    ELSE error('{REFUSAL}' || day_fault(CAST(value AS VARCHAR)))
END;
"""

PUBLIC_MACROS: Final = ("amount", "instant", "day", "whole_number")
"""The macros that a mapping may call."""


def connect(*, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
    """A fresh in-memory DuckDB with TimeZone UTC, these macros, and no sight of Python's variables."""
    connection = open_duckdb(memory_limit=memory_limit)
    connection.execute(_MACROS)
    return connection


@contextmanager
def kept_connection(rows: int = 0) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection as `connect` opens one, for work on so many rows that is undone at the end; it is kept for the next
    one who asks.

    To open one takes longer than the work on a small table.
    """
    try:
        connection = _IDLE.pop()
    except IndexError:
        connection = connect()
    process = os.getpid()
    try:
        connection.begin()
        yield connection
        connection.rollback()
    except BaseException:
        connection.close()
        raise
    if rows <= _KEPT_ROWS_MAX and len(_IDLE) < _KEPT_MAX and process == os.getpid():
        _IDLE.append(connection)
    else:
        connection.close()


def _close_idle() -> None:
    while _IDLE:
        _IDLE.pop().close()


# The threads of a connection are not there in a process that is forked, which would wait for them when it ends.
os.register_at_fork(before=_close_idle)


def instants_or_null(texts: Sequence[str | None]) -> list[datetime | None]:
    """The instants that these texts state; null where one states none exactly."""
    with connect() as connection:
        connection.register(
            "given", pa.table({"text": pa.array(texts, pa.string()), "ordinal": pa.array(range(len(texts)))})
        )
        rows = connection.execute("SELECT instant_or_null(text) FROM given ORDER BY ordinal").fetchall()
    return [instant for (instant,) in rows]
