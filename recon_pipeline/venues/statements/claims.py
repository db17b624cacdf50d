"""What coverage is worth: a claim holds only if it could be read, and if the file that it rests on could.

Coverage is declared. A claim on a file that is bad or not there is stored as failed, and so is one that was refused
itself: it may have said of one asset that its feed has a hole, where a general row says that there is none, and it may
be all that names a stream.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.frames.exact import instants_or_null
from recon_pipeline.frames.schema import COVERAGE, COVERAGE_THAT_COUNTS, TEXT

STREAMS = ("transfers", "trades")
_KEY = ("account", "stream", "asset", "window_start", "window_end")
_ORDER = [(name, "ascending") for name in COVERAGE.order]


def without_claims_on(coverage: pa.Table, errors: Mapping[str, str | None], of_no_file: str | None) -> pa.Table:
    """Coverage in which the claims on bad files are failed.

    `errors` gives for each file that a claim may name what is wrong with it, if anything; `of_no_file` what is wrong
    with the files of flows, which fails the claims that name none.
    """
    names = pa.array(list(errors), TEXT)
    error = pc.take(pa.array(list(errors.values()), TEXT), pc.index_in(coverage["file"], value_set=names))
    if of_no_file is not None:
        error = pc.if_else(pc.is_null(coverage["file"]), pa.scalar(of_no_file, TEXT), error)
    counts = pc.is_in(coverage["status"], value_set=pa.array(COVERAGE_THAT_COUNTS, TEXT))
    fails = pc.and_(pc.is_valid(error), counts)
    for name, told in (("status", "failed"), ("error", error)):
        at, field = coverage.schema.get_field_index(name), coverage.schema.field(name)
        coverage = coverage.set_column(at, field, pc.if_else(fails, told, coverage[name]))
    return coverage.sort_by(_ORDER).cast(COVERAGE.arrow)


def with_refused_claims(venue: str, frames: Mapping[str, pa.Table], refused: pa.Table) -> pa.Table:
    """The frame `coverage` with each of its refused rows as a failed claim, over all that cannot be told of it.

    An instant that cannot be told is the first or the last at which any balance was stated, for windows lie between.
    """
    coverage, balances = frames["coverage"], frames["balances"]
    if not len(refused) or not len(balances):
        return coverage
    span = pc.min(balances["as_of"]).as_py(), pc.max(balances["read_at"]).as_py()
    accounts = _accounts(frames)
    known = {tuple(row.values()) for row in coverage.select(_KEY).to_pylist()}
    claims = {
        tuple(claim[name] for name in _KEY): claim
        for row, instants in zip(refused.to_pylist(), _windows(refused), strict=True)
        for claim in _claims(row, instants, span, accounts)
    }
    failed = [claim | {"venue": venue} for key, claim in claims.items() if key not in known]
    added = pa.Table.from_pylist(failed, schema=COVERAGE.arrow)
    return pa.concat_tables([coverage, added]).sort_by(_ORDER).cast(COVERAGE.arrow) if failed else coverage


def _claims(
    row: Mapping[str, Any],
    instants: tuple[datetime | None, datetime | None],
    span: tuple[datetime, datetime],
    accounts: Sequence[str],
) -> list[dict[str, Any]]:
    start, end = instants
    if start is not None and end is not None and start > end:
        start = end = None
    given = json.loads(row["content"])
    stream = given.get("stream")
    of_any_account = {
        "stream": stream if stream in STREAMS else "*",
        "asset": row["asset"],
        "window_start": min(span[0], end or span[0]) if start is None else start,
        "window_end": max(span[1], start or span[1]) if end is None else end,
        "status": "failed",
        "file": given.get("file"),
        "error": row["error"],
    }
    return [{"account": name} | of_any_account for name in ([row["account"]] if row["account"] else accounts)]


def _windows(refused: pa.Table) -> list[tuple[datetime | None, datetime | None]]:
    given = [json.loads(content) for content in refused["content"].to_pylist()]
    starts, ends = (instants_or_null([row.get(name) for row in given]) for name in ("window_start", "window_end"))
    return list(zip(starts, ends, strict=True))


def _accounts(frames: Mapping[str, pa.Table]) -> list[str]:
    """Every account that anything tells of."""
    told = (pc.unique(frames[name]["account"]).to_pylist() for name in ("balances", "transfers", "trades", "coverage"))
    return sorted(set().union(*told))
