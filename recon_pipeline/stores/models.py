"""SQL models: a folder of SELECTs, one a file, each named as the table it makes, with a YAML file beside it.

The YAML says what the table means, names its columns in their order and holds its tests:

    description: What one row is.
    materialized: view                # view | table
    key: [date, account]              # the columns that name a row: tested to be unique and not null
    columns:
      - {name: date, type: date, description: The day., tests: [not_null]}
      - name: status
        description: The first that holds.
        tests: [unique, {accepted_values: [a, b]}, {relationships: {to: marts.days, field: status}}]
    tests:
      - {name: a_sentence, description: Why., sql: SELECT ... that must return no row}

What a model reads is taken from its SQL, and so is the order. Nothing here speaks to a database: the marts are deployed
by `recon_pipeline.stores.marts`, the kernel's models are run by the kernel.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from importlib import resources
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from recon_pipeline.errors import ConfigError, ReconError
from recon_pipeline.yaml_reader import Section, Value, read_yaml

MATERIALIZATIONS = ("view", "table")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class ModelError(ReconError):
    """A SQL model, or the YAML beside it, is wrong."""


@dataclass(frozen=True)
class ModelColumn:
    """A column: its name, its type as the database writes it ("" if not said) and what it means."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class ModelTest:
    """A SELECT that returns the rows at fault, and so no row where all is well."""

    name: str
    description: str
    sql: str


@dataclass(frozen=True)
class Model:
    """A SELECT, what it means, what it reads, and what must hold of its rows."""

    name: str
    relation: str
    """The name by which SQL refers to it: schema.name, or the name alone."""
    description: str
    materialized: str
    sql: str
    key: tuple[str, ...]
    columns: tuple[ModelColumn, ...]
    tests: tuple[ModelTest, ...]
    reads: tuple[str, ...]
    """Every table that the SQL names, dotted, sorted; no CTEs."""
    depends_on: tuple[str, ...]
    """Names of the models of the same folder that must exist first, sorted."""
    digest: str
    """sha256 over its SQL, its YAML and the digests of the models it depends on."""
    path: Path


def package_folder(name: str) -> Path:
    """The folder `dbt_like_sql/<name>` as it is installed."""
    return Path(str(resources.files("dbt_like_sql").joinpath(name)))


def load_models(
    folder: Path, *, sources: Collection[str], dialect: str = "postgres", schema: str | None = None
) -> tuple[Model, ...]:
    """The models of a folder, each after the ones that it reads; among equals by name.

    `sources` are the tables that exist besides, dotted; `recon.*` stands for every table of a schema. With `schema`
    models refer to each other as schema.name, without by the name alone. ModelError for what does not fit together.
    """
    found = sorted(folder.glob("*.sql"))
    if not found:
        raise ModelError("no model", where=str(folder), expected="files <name>.sql, each with a <name>.yml beside it")
    if alone := sorted({path.stem for path in folder.glob("*.yml")} - {path.stem for path in found}):
        raise ModelError(f"{alone[0]}.yml stands without its SQL", where=str(folder), expected=f"{alone[0]}.sql")
    models = {path.stem: _load_model(path, dialect, schema) for path in found}
    linked = {name: _link(model, models, sources, schema) for name, model in models.items()}
    ordered: dict[str, Model] = {}
    for name in _ordered(linked):
        behind = "".join(ordered[upstream].digest for upstream in linked[name].depends_on)
        digest = hashlib.sha256((linked[name].digest + behind).encode()).hexdigest()
        ordered[name] = replace(linked[name], digest=digest)
    return tuple(ordered.values())


def tables_read(sql: str, dialect: str) -> tuple[str, ...]:
    """The tables that a query names, dotted and sorted, without its CTEs and its table functions."""
    tables = {
        f"{source.db}.{source.name}" if source.db else source.name
        for scope in traverse_scope(_parsed(sql, dialect))
        for source in scope.sources.values()
        if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier)
    }
    return tuple(sorted(tables))


@lru_cache(maxsize=64)
def _parsed(sql: str, dialect: str) -> exp.Expr:
    return sqlglot.parse_one(sql, dialect=dialect)


def _load_model(path: Path, dialect: str, schema: str | None) -> Model:
    if not _NAME.fullmatch(path.stem):
        raise ModelError(f"'{path.stem}' cannot name a table", where=str(path), expected="a-z, digits and _")
    beside = path.with_suffix(".yml")
    if not beside.exists():
        raise ModelError("no YAML beside it", where=str(path), expected=str(beside))
    sql = path.read_text(encoding="utf-8").strip().rstrip(";")
    written = _columns_written(sql, path, dialect)
    try:
        top = read_yaml(beside).section(("description", "materialized", "key", "columns", "tests"))
        columns = _columns(top.need("columns", "every column, in the order of the SQL"))
        model = Model(
            name=path.stem,
            relation=f"{schema}.{path.stem}" if schema else path.stem,
            description=top.need("description", "what one row is").text(),
            materialized=materialized.choice(MATERIALIZATIONS) if (materialized := top.get("materialized")) else "view",
            sql=sql,
            key=tuple(_column_name(item, columns) for item in key.items()) if (key := top.get("key")) else (),
            columns=tuple(columns),
            tests=(),
            reads=tables_read(sql, dialect),
            depends_on=(),
            digest=hashlib.sha256(sql.encode() + b"\0" + beside.read_bytes()).hexdigest(),
            path=path,
        )
        model = replace(model, tests=_tests(model, top))
    except ConfigError as fault:
        raise ModelError(fault.found, where=fault.where, expected=fault.expected, next_step=fault.next_step) from None
    names = tuple(column.name for column in columns)
    if names != written:
        raise ModelError(
            f"the SQL makes the columns {', '.join(written)}",
            where=str(path),
            expected=f"those of {beside.name}, in their order: {', '.join(names)}",
            next_step="make the two agree",
        )
    return model


def _columns_written(sql: str, path: Path, dialect: str) -> tuple[str, ...]:
    try:
        tree = _parsed(sql, dialect)
    except SqlglotError as fault:
        raise ModelError(f"not SQL: {str(fault).splitlines()[0]}", where=str(path), expected="one SELECT") from None
    if not isinstance(tree, exp.Query):
        found = "several statements" if isinstance(tree, exp.Block) else f"a {tree.key.upper()}"
        raise ModelError(found, where=str(path), expected="one SELECT")
    names = tuple(tree.named_selects)
    if any(name in ("*", "") for name in names) or tree.is_star:
        raise ModelError(
            "its last SELECT does not name every column", where=str(path), expected="each column with its name, no *"
        )
    return names


def _columns(at: Value) -> list[ModelColumn]:
    columns: list[ModelColumn] = []
    for item in at.items():
        section = item.section(("name", "type", "description", "tests"))
        name = section.need("name", "the column's name").text()
        if name in (column.name for column in columns):
            raise item.error(f"the column '{name}' stands twice", expected="each column once")
        of_type = section.get("type")
        description = section.need("description", "what it means").text()
        columns.append(ModelColumn(name, of_type.text() if of_type else "", description))
    return columns


def _column_name(item: Value, columns: Sequence[ModelColumn]) -> str:
    return item.choice([column.name for column in columns])


def _tests(model: Model, top: Section) -> tuple[ModelTest, ...]:
    tests: list[ModelTest] = []
    if model.key:
        together = ", ".join(model.key)
        tests.append(ModelTest("key_is_unique", f"{together} name one row.", _unique_sql(model.relation, model.key)))
        missing = " OR ".join(f"{name} IS NULL" for name in model.key)
        tests.append(ModelTest("key_is_not_null", f"{together} are known.", _where(model.relation, missing)))
    for item in top.need("columns", "").items():
        section = item.section()
        at = section.get("tests")
        name = section.need("name", "").text()
        tests += [_column_test(model.relation, name, test) for test in (at.items() if at else ())]
    free = top.get("tests")
    for item in free.items() if free else ():
        section = item.section(("name", "description", "sql"))
        name = section.need("name", "a sentence in snake_case").text()
        description = section.need("description", "what it proves").text()
        sql = section.need("sql", "a SELECT of the rows at fault").text().rstrip(";")
        tests.append(ModelTest(name, description, sql))
    names = [test.name for test in tests]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise top.at.error(f"the test '{twice}' stands twice", expected="each test once")
    return tuple(tests)


def _column_test(relation: str, column: str, at: Value) -> ModelTest:
    if at.is_scalar:
        kind = at.choice(("not_null", "unique"))
        if kind == "not_null":
            return ModelTest(f"{column}_not_null", f"{column} is known.", _where(relation, f"{column} IS NULL"))
        return ModelTest(f"{column}_unique", f"No {column} stands twice.", _unique_sql(relation, (column,)))
    section = at.section(("accepted_values", "relationships"))
    if values := section.get("accepted_values"):
        accepted = [item.text() for item in values.items()]
        literals = ", ".join("'" + value.replace("'", "''") + "'" for value in accepted)
        description = f"{column} is one of {', '.join(accepted)}."
        return ModelTest(f"{column}_accepted_values", description, _where(relation, f"{column} NOT IN ({literals})"))
    link = section.need("relationships", "{to: table, field: column}").section(("to", "field"))
    to, to_field = link.need("to", "a table").text(), link.need("field", "its column").text()
    sql = (
        f"SELECT t.* FROM {relation} AS t WHERE t.{column} IS NOT NULL"
        f" AND NOT EXISTS (SELECT 1 FROM {to} AS parent WHERE parent.{to_field} = t.{column})"
    )
    return ModelTest(f"{column}_relationships", f"Every {column} stands in {to}.{to_field}.", sql)


def _where(relation: str, condition: str) -> str:
    return f"SELECT * FROM {relation} WHERE {condition}"


def _unique_sql(relation: str, columns: Iterable[str]) -> str:
    names = ", ".join(columns)
    known = " AND ".join(f"{name} IS NOT NULL" for name in columns)
    return f"SELECT {names}, count(*) AS copies FROM {relation} WHERE {known} GROUP BY {names} HAVING count(*) > 1"


def _link(model: Model, models: Mapping[str, Model], sources: Collection[str], schema: str | None) -> Model:
    by_relation = {other.relation: name for name, other in models.items()}
    for table in model.reads:
        if table not in by_relation and table not in sources and f"{table.rpartition('.')[0]}.*" not in sources:
            known = sorted(set(by_relation) - {model.relation}) + sorted(sources)
            raise ModelError(
                f"it reads {table}, which nobody makes",
                where=str(model.path),
                expected="one of " + ", ".join(known),
                next_step=f"name the model as {schema}.<model>" if schema and "." not in table else "correct the name",
            )
    return replace(model, depends_on=tuple(sorted(by_relation[table] for table in model.reads if table in by_relation)))


def _ordered(models: Mapping[str, Model]) -> tuple[str, ...]:
    sorter = TopologicalSorter({name: model.depends_on for name, model in sorted(models.items())})
    try:
        sorter.prepare()
    except CycleError as fault:
        raise ModelError(
            "models read each other in a circle: " + " <- ".join(fault.args[1]),
            where=str(next(iter(models.values())).path.parent),
            expected="an order in which each model reads only earlier ones",
            next_step="cut the circle",
        ) from None
    names: list[str] = []
    while ready := sorted(sorter.get_ready()):
        names += ready
        sorter.done(*ready)
    return tuple(names)
