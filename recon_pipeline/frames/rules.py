"""What holds between cells and between rows: defaults that rest on others, the rules of a snapshot, and keys.

Tables: `parsed` (cells in their types) becomes `ruled` (defaults filled in, faults added); `doubled` tells of the rows
whose key occurs more than once.
"""

from __future__ import annotations

import duckdb

from recon_pipeline.frames.cells import FILE, LINE, NUMBER
from recon_pipeline.frames.faults import fault_sql
from recon_pipeline.frames.schema import FLOW_FRAMES, INSTANT, Column, Frame

_PLAUSIBLE = ("1970-01-01", "2199-12-31")
_MOMENTS = {
    "transfers": ("datetime",),
    "trades": ("datetime",),
    "balances": ("as_of", "read_at", "date"),
    "prices": ("as_of",),
}


def ruled_sql(frame: Frame) -> str:
    """SELECT over `parsed`: the defaults that rest on other cells, then the rules that hold between cells.

    A window reaches from balance to balance, so a year that was mistyped would have it reach over centuries. Where the
    row really belongs cannot be told.
    """
    first, last = (f"DATE '{day}'" for day in _PLAUSIBLE)
    wrong = {name: f"CAST({name} AS DATE) NOT BETWEEN {first} AND {last}" for name in _MOMENTS.get(frame.name, ())}
    if not wrong:
        return _ruled_sql(frame)
    found = [
        fault_sql("YearImplausible", test, f"{name} is not of the years 1970 to 2199") for name, test in wrong.items()
    ]
    told = [f"CASE WHEN ({' OR '.join(wrong.values())}) IS NOT TRUE THEN {name} END AS {name}" for name in wrong]
    faults = f"nullif(concat_ws(chr(10), faults, coalesce({', '.join(found)})), '') AS faults"
    return f"SELECT * REPLACE ({faults}, {', '.join(told)}) FROM ({_ruled_sql(frame)})"


def _ruled_sql(frame: Frame) -> str:
    if frame in FLOW_FRAMES:
        return _flows_sql(frame)
    if frame.name == "balances":
        return _BALANCES
    if frame.name == "coverage":
        late = fault_sql("WindowReversed", "window_start > window_end", "window_start is after window_end")
        return f"""
            SELECT * REPLACE (
                coalesce(stream, '*') AS stream, nullif(concat_ws(chr(10), faults, {late}), '') AS faults
            ) FROM parsed
        """
    if frame.name == "prices":
        return "SELECT * REPLACE (coalesce(source, 'prices') AS source) FROM parsed"
    return "SELECT * FROM parsed"


def _flows_sql(frame: Frame) -> str:
    """Flows with type, subtype and measure filled in, and the digest of those without an external_id."""
    in_, out = ("transfer_in", "transfer_out") if frame.name == "transfers" else ("buy", "sell")
    by_sign = f"CASE WHEN amount >= 0 THEN '{in_}' ELSE '{out}' END"
    type_ = by_sign if frame.name == "transfers" else "'trade'"
    subtype = "txn_type" if frame.name == "transfers" else by_sign
    content = [c for c in frame.columns if c.name not in {"venue", "external_id", "raw_id"}]
    return f"""
        WITH typed AS (
            SELECT * REPLACE (
                coalesce(source, '{frame.name}') AS source,
                coalesce(txn_type, {type_}) AS txn_type,
                coalesce(measure, 'balance') AS measure
            ) FROM parsed
        ),
        named AS (SELECT * REPLACE (coalesce(txn_subtype, {subtype}) AS txn_subtype) FROM typed)
        SELECT *, CASE WHEN external_id IS NULL AND faults IS NULL
            THEN left(sha256({content_sql(content)}), 32) END AS row_digest
        FROM named
    """


def content_sql(columns: list[Column]) -> str:
    """One text for equal content, as `name=value` of the columns that hold something.

    Amounts stand with their 18 decimals and instants as microseconds. Nulls are left out, so a column that is added to
    a frame later leaves the digests of old rows as they are.
    """
    parts = []
    for column in columns:
        value = f'epoch_us("{column.name}")' if column.type == INSTANT else f'"{column.name}"'
        parts.append(f"'{column.name}=' || CAST({value} AS VARCHAR)")
    return f"concat_ws(chr(31), {', '.join(parts)})"


_BALANCES = f"""
    WITH identified AS (
        SELECT * REPLACE (
            coalesce(snapshot_id, strftime(as_of, '%Y-%m-%dT%H:%M:%S.%fZ')) AS snapshot_id,
            coalesce(source, 'balances') AS source
        ), snapshot_id IS NULL AS is_read_alone FROM parsed
    ),
    reads AS (
        SELECT account, wallet, snapshot_id, max(coalesce(read_at, as_of)) AS snapshot_read_at
        FROM identified GROUP BY ALL
    ),
    -- The date of a row whose own instants cannot be read cannot be told; nor, without its wallet, which read it is of.
    dated AS (
        SELECT identified.* EXCLUDE (is_read_alone) REPLACE (
            coalesce(read_at, snapshot_read_at) AS read_at,
            CASE
                WHEN contains(coalesce(faults, ''), ': date ') THEN NULL
                WHEN date IS NOT NULL THEN date
                WHEN contains(coalesce(faults, ''), ': read_at ') OR coalesce(read_at, as_of) IS NULL THEN NULL
                ELSE CAST(coalesce(read_at, snapshot_read_at, CASE WHEN is_read_alone THEN as_of END) AS DATE)
            END AS date
        )
        FROM identified LEFT JOIN reads
            ON identified.account = reads.account AND identified.wallet = reads.wallet
            AND identified.snapshot_id = reads.snapshot_id
    ),
    disagreeing AS (
        SELECT account, wallet, snapshot_id FROM dated
        GROUP BY ALL HAVING min(date) <> max(date)
    ),
    stated_twice AS (
        SELECT account, wallet, snapshot_id, asset FROM dated
        GROUP BY ALL HAVING min(as_of) <> max(as_of)
    )
    SELECT dated.* REPLACE (nullif(concat_ws(
        chr(10), faults,
        {fault_sql("AsOfAfterReadAt", "as_of > read_at", "as_of is after read_at")},
        {fault_sql("SnapshotDatesDiffer", "disagreeing.account IS NOT NULL", "date differs within the snapshot")},
        {fault_sql("StatedTwice", "stated_twice.account IS NOT NULL", "the snapshot states it at two instants")}
    ), '') AS faults)
    FROM dated
    LEFT JOIN disagreeing
        ON dated.account = disagreeing.account AND dated.wallet = disagreeing.wallet
        AND dated.snapshot_id = disagreeing.snapshot_id
    LEFT JOIN stated_twice
        ON dated.account = stated_twice.account AND dated.wallet = stated_twice.wallet
        AND dated.snapshot_id = stated_twice.snapshot_id AND dated.asset = stated_twice.asset
"""


def make_doubled(connection: duckdb.DuckDBPyConnection, frame: Frame) -> None:
    """Makes `doubled`: of each row whose key occurs again, its occurrence among equals and its fault, if any.

    Rows of equal content are one row. Only rows whose key's 64-bit hash occurs twice are looked at: few or none.
    """
    key = [name for name in frame.key if name != "venue"]
    told = " AND ".join(f'"{name}" IS NOT NULL' for name in key if name != "asset" or frame.name != "coverage")
    hashed = f"hash({', '.join(key)})"
    connection.execute(f"""
        CREATE TABLE suspect AS
        WITH hashed AS (SELECT {NUMBER}, {hashed} AS key_hash FROM ruled WHERE {told})
        SELECT {NUMBER} FROM hashed
        WHERE key_hash IN (SELECT key_hash FROM hashed GROUP BY key_hash HAVING count(*) > 1)
    """)
    connection.execute(f"CREATE TABLE doubled AS {_doubled_sql(frame, key)}")


def _doubled_sql(frame: Frame, key: list[str]) -> str:
    """A refused row has no typed content: what was given for it stands in, so that it equals no good row."""
    content = [c for c in frame.columns if c.name not in {"venue", "raw_id"}]
    packed = ", ".join(f'"{c.name}" := CAST(given."{c.name}" AS VARCHAR)' for c in content)
    flows = frame in FLOW_FRAMES
    leg = "CASE WHEN faults IS NULL THEN hash(wallet, asset, txn_subtype) END" if flows else "0"
    return f"""
        WITH told AS (
            SELECT ruled.*, {leg} AS leg, {"datetime" if flows else "0"} AS moment,
                CASE WHEN faults IS NULL THEN {content_sql(content)} ELSE given_text END AS content
            FROM ruled JOIN (
                SELECT {NUMBER}, 'refused' || CAST(to_json(struct_pack({packed})) AS VARCHAR) AS given_text
                FROM given WHERE {NUMBER} IN (SELECT {NUMBER} FROM suspect)
            ) USING ({NUMBER})
        ),
        counted AS (
            SELECT {", ".join(key)}, count(DISTINCT content) AS variants, count(DISTINCT leg) AS legs,
                count(DISTINCT moment) AS moments
            FROM told GROUP BY ALL HAVING count(*) > 1
        )
        SELECT told.{NUMBER},
            CASE
                WHEN variants = 1 THEN NULL
                WHEN {"legs = variants AND moments = 1" if flows else "false"}
                    THEN 'LegsShareExternalId: external_id names ' || variants || ' legs of one event'
                ELSE 'DoubledKey: the key names ' || variants || ' rows of different content'
            END AS fault,
            row_number() OVER (
                PARTITION BY {", ".join(f'told."{name}"' for name in key)}, told.content
                ORDER BY {FILE}, {LINE}, told.{NUMBER}
            ) AS occurrence
        FROM told JOIN counted ON {" AND ".join(f'told."{n}" IS NOT DISTINCT FROM counted."{n}"' for n in key)}
    """
