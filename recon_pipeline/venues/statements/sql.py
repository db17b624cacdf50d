"""What a mapping's SQL may say, tested on DuckDB's own syntax tree before anything runs.

A mapping is one SELECT over the views of its files. It must give the same rows for the same files and round nothing:

- casts to VARCHAR, BOOLEAN, DATE, INTERVAL and whole numbers only, and the casts to whole numbers and days are made
  exact (`CAST('1.7' AS INTEGER)`, which DuckDB answers with 2, is an error of the file that holds the value);
- no `/` and no function that can only answer with DOUBLE, no literal with an exponent;
- no conversion that the SQL does not write down and that may round (`conversions` reads them off the plan);
- no function that reads a clock, a setting, a sequence or chance, no table function but unnest, range and
  generate_series, and no table but the views and the statement's own CTEs.

strptime is allowed: its format is stated, so it guesses nothing, and the timestamp it gives is without a zone and
thereby refused as a result; `strftime(strptime(day, '%m/%d/%Y'), '%Y-%m-%dT00:00:00Z')` is an exact instant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from recon_pipeline.errors import MappingError
from recon_pipeline.frames.schema import Frame
from recon_pipeline.venues.statements.faults import (
    MappingCast,
    MappingFiles,
    MappingFunction,
    MappingNotSelect,
    MappingSqlError,
    MappingTable,
)

Node = dict[str, Any]

# one word to a line would fill a page
# fmt: off
_WHOLE: Final = {
    "tinyint": "TINYINT", "int1": "TINYINT",
    "smallint": "SMALLINT", "int2": "SMALLINT", "short": "SMALLINT", "int16": "SMALLINT",
    "integer": "INTEGER", "int": "INTEGER", "int4": "INTEGER", "int32": "INTEGER", "signed": "INTEGER",
    "bigint": "BIGINT", "int8": "BIGINT", "int64": "BIGINT", "long": "BIGINT",
    "hugeint": "HUGEINT", "int128": "HUGEINT",
    "utinyint": "UTINYINT", "uint8": "UTINYINT", "usmallint": "USMALLINT", "uint16": "USMALLINT",
    "uinteger": "UINTEGER", "uint32": "UINTEGER", "ubigint": "UBIGINT", "uint64": "UBIGINT",
    "uhugeint": "UHUGEINT", "uint128": "UHUGEINT",
}
"""Every word for a whole number, and how DuckDB itself names the type."""
WHOLE_TYPES: Final = frozenset(_WHOLE.values())
_SAFE: Final = frozenset({
    "varchar", "text", "string", "char", "bpchar", "nvarchar", "boolean", "bool", "logical", "interval",
})
_TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series"})
_EXACT_ON_DECIMALS: Final = frozenset({
    "sum", "abs", "@", "+", "-", "*", "//", "%", "add", "subtract", "multiply", "mod", "round", "floor", "ceil",
    "ceiling", "trunc", "arg_max", "arg_min", "argmax", "argmin", "max_by", "min_by", "arg_max_null", "arg_min_null",
    "arg_max_nulls_last", "arg_min_nulls_last", "date_part", "datepart",
})
_ROUNDING: Final = frozenset({"/", "divide", "avg", "mean", "median", "quantile", "fdiv"})
_BY_NAME: Final = frozenset({"list_aggregate", "list_aggr", "array_aggregate", "array_aggr", "aggregate"})
"""They call another aggregate by its name in a text, where no one sees what it answers with."""
_OUTSIDE: Final = frozenset({"getenv", "getvariable"})
_CLOCKS: Final = frozenset({
    "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_user",
    "session_user", "user", "current_role", "current_catalog", "current_schema",
})
# fmt: on
NOWHERE: Final = 2**64 - 1
_FLOATS: Final = "answers with DOUBLE"
_MOVES: Final = "gives another answer each time"
_READS_OUTSIDE: Final = "reads outside the folder's files"
_PRIVATE: Final = "is not for mappings"
_INSTEAD: Final = {
    _FLOATS: "move the point with amount(text, shift), or state the figure in the files",
    _MOVES: "state the value in the mapping or in the files",
    _READS_OUTSIDE: "name the file under files in recon.yaml, and read its view",
    _PRIVATE: "call amount(), instant(), day() or whole_number()",
}
_ONE_SELECT: Final = "exactly one SELECT, which may begin with WITH"


@dataclass(frozen=True)
class Statement:
    """One mapping file whose SQL may run: `sql` as written, `exact_sql` with exact casts, and the views it reads.

    `casts` says where casts stand in the SQL, by the type that they make.
    """

    frame: Frame
    path: Path
    sql: str
    exact_sql: str
    views: frozenset[str]
    casts: Mapping[str, frozenset[int]]

    @property
    def name(self) -> str:
        """The file's name, as messages call it."""
        return self.path.name


class Place:
    """Tells a byte of a statement as file, line and column."""

    def __init__(self, path: Path, sql: str) -> None:
        self.name, self.sql = path.name, sql

    def of(self, position: int | None) -> str:
        """For example `transfers.sql, line 3, column 8`; the file's name alone if the position is not known."""
        if position is None or position >= NOWHERE:
            return self.name
        before = self.sql.encode()[:position].decode(errors="replace")
        return f"{self.name}, line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


@dataclass(frozen=True)
class SqlFile:
    """A file of the mapping as it was when the reading began: what has run is what the reading is known by."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> SqlFile:
        """Raises MappingFiles if it cannot be read as text."""
        try:
            return cls(path, path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise MappingFiles(
                f"{path.name} cannot be read: {why}",
                where=path.name,
                expected="SQL as text in UTF-8",
                next_step="mend the file or its permissions",
            ) from None


def parse(connection: duckdb.DuckDBPyConnection, frame: Frame, file: SqlFile, views: frozenset[str]) -> Statement:
    """The statement of one mapping file over those views. Raises a MappingError that names line and column."""
    path, sql = file.path, file.text
    place = Place(path, sql)
    tree = _tree(connection, sql, place)
    refused = _refused_functions(connection)
    shadowing = {str(entry["key"]).lower() for node in walk(tree) for entry in _ctes(node)}
    read: set[str] = set()
    for node in walk(tree):
        _test_sample(node, place)
        if node.get("class") == "CAST":
            _test_cast(node, place)
        elif node.get("class") in {"FUNCTION", "WINDOW"}:
            _test_function(node, refused, place)
        elif node.get("type") == "TABLE_FUNCTION":
            _test_table_function(node, place)
        elif node.get("type") == "SHOW_REF":
            raise _not_select("the mapping reads DuckDB's own catalogue", place)
        elif node.get("type") == "BASE_TABLE":
            read |= _test_table(node, views, shadowing, place)
        elif node.get("class") == "CONSTANT":
            _test_literal(node, place)
        elif node.get("class") == "COLUMN_REF" and str(node["column_names"][0]).lower() in _CLOCKS:
            raise _refused_function(str(node["column_names"][0]), _MOVES, node, place)
    casts = _casts(tree)
    exact = _exact_sql(connection, tree)
    return Statement(frame, path, sql, exact, frozenset(read), casts)


def _tree(connection: duckdb.DuckDBPyConnection, sql: str, place: Place) -> Node:
    row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tree: Node = json.loads(row[0]) if row else {}
    if tree.get("error"):
        position = int(tree["position"]) if str(tree.get("position", "")).isdigit() else None
        if tree.get("error_type") == "parser":
            raise MappingSqlError(
                str(tree["error_message"]).splitlines()[0],
                where=place.of(position),
                expected=_ONE_SELECT,
                next_step="correct the SQL; nothing of the venue was written",
            )
        raise _not_select("the mapping is not a SELECT", place)
    if len(tree["statements"]) != 1:
        raise _not_select(f"the mapping holds {len(tree['statements'])} statements", place)
    return tree


def _not_select(found: str, place: Place) -> MappingError:
    return MappingNotSelect(found, where=place.of(None), expected=_ONE_SELECT, next_step="write one SELECT")


def walk(value: object) -> Iterator[Node]:
    """Every object of a tree of JSON, the outer before the inner."""
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from walk(child)


def _ctes(node: Node) -> list[Node]:
    ctes = node.get("cte_map")
    entries = list(ctes.get("map", [])) if isinstance(ctes, dict) else []
    if node.get("type") == "RECURSIVE_CTE_NODE":
        entries.append({"key": node.get("cte_name", "")})
    return entries


def _test_sample(node: Node, place: Place) -> None:
    if node.get("sample") is not None:
        raise MappingFunction(
            "the mapping takes a sample",
            where=place.of(_position(node)),
            expected="the same rows for the same files",
            next_step="take the sample out",
        )


def _position(node: Node) -> int:
    return int(node.get("query_location", NOWHERE))


def _written_by_user(cast: Node) -> bool:
    """False for the casts by which DuckDB itself writes INTERVAL 1 DAY."""
    return _position(cast) < NOWHERE


def _type_name(node: Node) -> str:
    return str(node["type_expr"].get("type_name", "")).lower()


def _test_cast(node: Node, place: Place) -> None:
    if not _written_by_user(node):
        return
    name = _type_name(node)
    nested = [str(child.get("type_name", "")).lower() for child in walk(node["type_expr"]) if "type_name" in child]
    if name in {*_WHOLE, "date"} and len(nested) == 1 and not (node["try_cast"] and name in _WHOLE):
        return
    if set(nested) <= _SAFE | {"list", "array", "struct", "map"}:
        return
    what = "TRY_CAST" if node["try_cast"] else "a cast"
    raise MappingCast(
        f"{what} to {name.upper()}, which rounds or guesses before anyone can see it",
        where=place.of(min(_position(node["type_expr"]), _position(node), key=lambda at: (at >= NOWHERE, -at))),
        expected="amounts as text or amount(text), instants as text with an offset or instant(text)",
        next_step=f"replace the cast by {'instant(…)' if 'time' in name else 'amount(…)'}, or leave the text as it is",
    )


def _casts(tree: Node) -> dict[str, frozenset[int]]:
    """Where a cast to each type stands; types as DuckDB names them once it has understood them."""
    found: dict[str, set[int]] = {}
    for node in walk(tree):
        if node.get("class") == "CAST" and _written_by_user(node):
            name = _type_name(node)
            found.setdefault(_WHOLE.get(name, name.upper()), set()).add(_position(node))
    return {name: frozenset(positions) for name, positions in found.items()}


def _refused_functions(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Names of functions that a mapping may not call, with the reason, as this DuckDB's own catalogue tells."""
    rows = connection.execute("""
        SELECT function_name, bool_or(stability <> 'CONSISTENT'), bool_or(return_type IN ('DOUBLE', 'FLOAT'))
        FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'window') AND function_name <> 'error'
        GROUP BY 1
    """).fetchall()
    floating = {str(name) for name, _, floats in rows if floats} - _EXACT_ON_DECIMALS
    refused = dict.fromkeys(floating, _FLOATS)
    refused |= dict.fromkeys(_ROUNDING, _FLOATS)
    refused |= dict.fromkeys(_BY_NAME, _FLOATS)
    refused |= {str(name): _MOVES for name, moves, _ in rows if moves}
    refused |= dict.fromkeys(_OUTSIDE, _READS_OUTSIDE)
    macros = connection.execute(
        "SELECT function_name, lower(macro_definition) FROM duckdb_functions()"
        " WHERE function_type = 'macro' AND internal"
    ).fetchall()
    for name, definition in macros:
        text = str(definition)
        names = set(re.findall(r"[a-z_][a-z0-9_]*(?=\s*\()", text)) - _BY_NAME | set(re.findall(r"'([a-z_]+)'", text))
        called = sorted(names & set(refused))
        if called:
            refused.setdefault(str(name), refused[called[0]])
    return refused


def _test_function(node: Node, refused: dict[str, str], place: Place) -> None:
    name = str(node.get("function_name", "")).lower()
    if name.startswith("recon_"):
        raise _refused_function(name, _PRIVATE, node, place)
    if name in refused:
        raise _refused_function(name, refused[name], node, place)


def _test_table_function(node: Node, place: Place) -> None:
    name = str(node["function"].get("function_name", "")).lower()
    if name not in _TABLE_FUNCTIONS:
        raise _refused_function(name, _READS_OUTSIDE, node, place)


def _refused_function(name: str, reason: str, node: Node, place: Place) -> MappingError:
    called = name if node.get("is_operator") else f"{name}()"
    return MappingFunction(
        f"{called} {reason}",
        where=place.of(_position(node)),
        expected="functions that are exact, read only the views, and answer the same each time",
        next_step=_INSTEAD[reason],
    )


def _test_table(node: Node, views: frozenset[str], shadowing: set[str], place: Place) -> set[str]:
    name = str(node.get("table_name", "")).lower()
    qualified = bool(node.get("schema_name") or node.get("catalog_name"))
    by_name = {view.lower(): view for view in views}
    if not qualified and name in shadowing and name not in by_name:
        return set()
    if qualified or name not in by_name:
        raise MappingTable(
            f"{node.get('table_name')} is not a view of the mapping",
            where=place.of(_position(node)),
            expected=f"one of {', '.join(sorted(views)) or 'no views, for files is empty'}",
            next_step="name the file under files in recon.yaml, or correct the name",
        )
    return {by_name[name]}


def _test_literal(node: Node, place: Place) -> None:
    literal = node.get("literal")
    if isinstance(literal, dict) and literal.get("kind") == "NUMERIC" and "e" in str(literal.get("text", "")).lower():
        raise MappingCast(
            "a number with an exponent, which is a DOUBLE",
            where=place.of(_position(node)),
            expected="amounts as text or amount(text)",
            next_step="put the number in quotes, inside amount(…)",
        )


def _exact_sql(connection: duckdb.DuckDBPyConnection, tree: Node) -> str:
    """The statement with each cast to a whole number or a day made exact or an error."""
    for node in list(walk(tree)):
        if node.get("class") != "CAST" or not _written_by_user(node):
            continue
        guard = "recon_day" if _type_name(node) == "date" else "recon_whole" if _type_name(node) in _WHOLE else None
        if guard is not None and not node["try_cast"]:
            node["child"] = _call(guard, node["child"])
    row = connection.execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchone()
    if row is None:
        raise AssertionError("a parsed statement could not be written back")
    return str(row[0])


def _call(name: str, argument: Node) -> Node:
    return {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "alias": "",
        "query_location": NOWHERE,
        "query_location_length": 0,
        "function_name": name,
        "schema": "",
        "filter": None,
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
        "distinct": False,
        "is_operator": False,
        "export_state": False,
        "catalog": "",
        "arguments": [{"name": "", "expression": argument}],
        "qualified_name": {"path": [name]},
    }
