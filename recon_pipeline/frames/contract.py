"""The contract of each frame as a pandera schema, and as plain data for the UI and the documentation.

`validate` turns rows away one by one; this schema is the same promise tested from the other side, on the finished
frame, before it is written and after it is read. pandera takes over two seconds to import, so only its use imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from recon_pipeline.frames.registry import SUBTYPES
from recon_pipeline.frames.schema import FLOW_FRAMES, Column, Frame

if TYPE_CHECKING:
    import pandera.pandas as pandera

FAILURES_MAX = 10
"""How many offending rows of each constraint are shown."""


@dataclass(frozen=True)
class ColumnContract:
    """What a column promises: its type, whether it may be null or is part of the key, and the words that it allows."""

    name: str
    type: str
    description: str
    nullable: bool
    in_key: bool
    constraints: tuple[str, ...]


def column_schema(frame: Frame) -> tuple[ColumnContract, ...]:
    """The frame's columns with their constraints in words, in the order of the frame."""
    return tuple(
        ColumnContract(c.name, str(c.type), c.description, c.nullable, c.name in frame.key, _constraints(frame, c))
        for c in frame.columns
    )


def table_constraints(frame: Frame) -> tuple[str, ...]:
    """The constraints that no single column holds."""
    rules = [f"unique: {', '.join(frame.key)}"]
    return tuple(rules + [f"{first} <= {then}" for first, then in _NOT_AFTER.get(frame.name, ())])


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """The table as pandas on Arrow types, so that amounts stay decimals and instants keep their zone."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


@cache
def schema(frame: Frame) -> pandera.DataFrameSchema:
    """The pandera schema of a frame: dtypes, nulls, allowed words, the key, and the rules between columns."""
    import pandera.pandas as pandera

    def column(c: Column) -> pandera.Column:
        words = _words(frame, c)
        checks = [pandera.Check.isin(list(words), n_failure_cases=FAILURES_MAX)] if words else []
        return pandera.Column(pd.ArrowDtype(c.type), checks, nullable=c.nullable, description=c.description)

    def not_after(first: str, then: str) -> pandera.Check:
        return pandera.Check(
            lambda rows: rows[first] <= rows[then], name=f"{first} <= {then}", n_failure_cases=FAILURES_MAX
        )

    return pandera.DataFrameSchema(
        {c.name: column(c) for c in frame.columns},
        checks=[not_after(first, then) for first, then in _NOT_AFTER.get(frame.name, ())],
        strict=True,
        ordered=True,
        unique=list(frame.key),
        name=frame.name,
        description=frame.description,
    )


_NOT_AFTER = {"balances": (("as_of", "read_at"),), "coverage": (("window_start", "window_end"),)}


def failures(frame: Frame, table: pa.Table) -> pd.DataFrame:
    """The offending cells of a frame, as column, check, failure_case and index; empty if it keeps the contract.

    Amounts that are floats are an offence of their own: pandera would coerce them, and the harm is done by then.
    """
    from pandera.errors import SchemaErrors

    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    if floats:
        found = [str(table.schema.field(name).type) for name in floats]
        return pd.DataFrame({"column": floats, "check": "no floats", "failure_case": found, "index": None})
    try:
        schema(frame).validate(to_pandas(table), lazy=True)
    except SchemaErrors as errors:
        cases: pd.DataFrame = errors.failure_cases[["column", "check", "failure_case", "index"]]
        return cases.groupby(["column", "check"], dropna=False, sort=False).head(FAILURES_MAX).reset_index(drop=True)
    return pd.DataFrame({"column": [], "check": [], "failure_case": [], "index": []})


def _words(frame: Frame, column: Column) -> tuple[str, ...]:
    if frame in FLOW_FRAMES and column.name == "txn_subtype":
        return tuple(subtype.name for subtype in SUBTYPES)
    return column.allowed


def _constraints(frame: Frame, column: Column) -> tuple[str, ...]:
    constraints = [] if column.nullable else ["not null"]
    if column.required:
        constraints.append("required in a file")
    if words := _words(frame, column):
        constraints.append(f"one of {', '.join(words)}")
    if pa.types.is_decimal(column.type):
        constraints.append(f"exact, {column.type.scale} decimals")
    return tuple(constraints)
