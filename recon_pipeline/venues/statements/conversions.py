"""What a mapping converts without saying so, read off the plan that DuckDB makes of it before anything runs.

`WHERE amount <> 0` over a column of text makes the text a whole number, and 0.4 is gone; `format('{}', x)` writes x by
way of DOUBLE. Neither is a cast that stands in the SQL, and both answer with a type that looks exact. So the mapping is
planned over empty tables, and every conversion in the plan that the SQL does not write down has to be one that can
neither round nor guess.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from recon_pipeline.frames.duck import identifier, open_duckdb
from recon_pipeline.venues.statements.faults import MappingCast, MappingFunction, MappingSqlError
from recon_pipeline.venues.statements.sql import NOWHERE, WHOLE_TYPES, Place, Statement, walk

_DECIMALS: Final = 18
_TEXTS: Final = {"VARCHAR", "CHAR", "JSON"}
_FAITHFUL_TO_TEXT: Final = {*_TEXTS, "BOOLEAN", "INTERVAL"}
_FLOATING: Final = {"FLOAT", "DOUBLE"}
_COUNTS: Final = WHOLE_TYPES - {"HUGEINT", "UHUGEINT"}
_COUNT_SECONDS: Final = ("to_timestamp", "to_seconds")
"""They take a DOUBLE, and hold every whole number of seconds that a clock can show."""
_READS_JSON: Final = ("json", "from_json", "to_json", "array_to_json", "row_to_json", "->>")
# The mapping's macros without what they do inside: what they take and give is all that a plan needs.
_PLACEHOLDERS: Final = """
CREATE MACRO amount
    (value) AS CASE WHEN value IS NULL THEN NULL::DECIMAL(36, 18) END,
    (value, shift) AS CASE WHEN value IS NULL AND shift IS NULL THEN NULL::DECIMAL(36, 18) END;
CREATE MACRO instant(value) AS CASE WHEN value IS NULL THEN NULL::TIMESTAMPTZ END;
CREATE MACRO day(value) AS CASE WHEN value IS NULL THEN NULL::DATE END;
CREATE MACRO whole_number(value) AS CASE WHEN value IS NULL THEN NULL::BIGINT END;
"""


def refuse_silent_conversions(statement: Statement, views: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Raise a MappingError for a conversion that rounds or guesses and does not stand in the SQL.

    `views` gives the columns of each view the statement reads, with their DuckDB types. The casts that do stand in the
    SQL are tested where it is parsed.
    """
    place = Place(statement.path, statement.sql)
    plan = _plan(statement, views)
    exact = {id(child) for node in walk(plan) if _function(node) in _COUNT_SECONDS for child in node["children"]}
    for node in walk(plan):
        if _function(node).startswith(_READS_JSON):
            raise _reads_json(_function(node), node, place)
        if _function(node) == "*" and _overflows(node["return_type"]):
            raise _product(node, place)
        if node.get("type") == "OPERATOR_CAST" and not _is_written_down(node, statement):
            # DuckDB itself reads INTERVAL (n) DAY by way of DOUBLE, and says so nowhere in the SQL
            _test(node, place, is_count=id(node) in exact or node["query_location"] == NOWHERE)


def _plan(statement: Statement, views: Mapping[str, Sequence[tuple[str, str]]]) -> Any:
    with open_duckdb() as connection:
        connection.execute(_PLACEHOLDERS)
        for view, columns in views.items():
            listed = ", ".join(f"{identifier(name)} {type_}" for name, type_ in columns)
            connection.execute(f"CREATE TABLE {identifier(view)} ({listed})")
        row = connection.execute("SELECT json_serialize_plan(?, optimize := false)", [statement.sql]).fetchone()
    plan = json.loads(row[0]) if row else {"error": True, "error_message": "it has no plan"}
    if plan.get("error"):
        at = str(plan.get("position", ""))
        raise MappingSqlError(
            f"DuckDB cannot plan the mapping: {str(plan['error_message']).splitlines()[0]}",
            where=Place(statement.path, statement.sql).of(int(at) if at.isdigit() else None),
            expected="a SELECT whose conversions can be tested before it runs",
            next_step="write it without what DuckDB cannot plan; nothing of the venue was written",
        )
    return plan


def _is_written_down(cast: Mapping[str, Any], statement: Statement) -> bool:
    return cast["query_location"] in statement.casts.get(str(cast["return_type"]["id"]), ())


def _function(node: Mapping[str, Any]) -> str:
    """The name of the function that a node of the plan calls; empty if it calls none."""
    path = node.get("qname", {}).get("path") if node.get("expression_class") == "BOUND_FUNCTION" else None
    return str(path[-1]) if path else ""


def _test(cast: Mapping[str, Any], place: Place, *, is_count: bool) -> None:
    given, made = cast["arguments"][0], cast["return_type"]
    is_constant = cast["children"][0].get("type") == "VALUE_CONSTANT"
    if made["id"] in _FLOATING and not (is_count and given["id"] in _COUNTS):
        raise _silent(cast, place, f"{_told(given)} becomes {made['id']}")
    if given["id"] in _TEXTS and made["id"] not in _FAITHFUL_TO_TEXT and not _is_one_value(given, made, is_constant):
        raise _silent(cast, place, f"text becomes {_told(made)}")
    if given["id"] == "DECIMAL" and not is_constant and _loses_decimals(given, made):
        raise _silent(cast, place, f"{_told(given)} becomes {_told(made)}")


def _is_one_value(given: Mapping[str, Any], made: Mapping[str, Any], is_constant: bool) -> bool:
    """Whether it is a text in the SQL that stands for a day or an instant, as everyone can see."""
    return is_constant and given["id"] == "VARCHAR" and str(made["id"]).startswith(("DATE", "TIMESTAMP"))


def _loses_decimals(given: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    if made["id"] == "DECIMAL":
        return bool(made["type_info"]["scale"] < given["type_info"]["scale"])
    return made["id"] in WHOLE_TYPES and given["type_info"]["scale"] > 0


def _told(type_: Mapping[str, Any]) -> str:
    info = type_.get("type_info") or {}
    return f"DECIMAL({info['width']},{info['scale']})" if type_["id"] == "DECIMAL" and info else str(type_["id"])


def _silent(cast: Mapping[str, Any], place: Place, what: str) -> MappingCast:
    return MappingCast(
        f"{what} without a word of the SQL, which rounds or guesses before anyone can see it",
        where=place.of(int(cast["query_location"])),
        expected="comparisons and functions over values of one type",
        next_step="write amount(…), whole_number(…), day(…) or instant(…) around the text, or compare text with text",
    )


def _overflows(type_: Mapping[str, Any]) -> bool:
    return type_["id"] == "DECIMAL" and int(type_["type_info"]["scale"]) > _DECIMALS


def _product(node: Mapping[str, Any], place: Place) -> MappingFunction:
    return MappingFunction(
        f"a product that is {_told(node['return_type'])} has no room for amounts",
        where=place.of(int(node["query_location"])),
        expected="a product with at most 18 decimals",
        next_step="state the product in the files, or multiply amount(…) by whole_number(…) only",
    )


def _reads_json(name: str, node: Mapping[str, Any], place: Place) -> MappingFunction:
    return MappingFunction(
        f"{name} reads the numbers in JSON as DOUBLE",
        where=place.of(int(node["query_location"])),
        expected="functions that are exact, read only the views, and answer the same each time",
        next_step="take the figure out of the text with regexp_extract(…), or give it a column of its own",
    )
