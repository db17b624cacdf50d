"""SQL models: what is read from their SQL, what is refused, and how they reach PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recon_pipeline.stores.database import connection, migrate
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.stores.marts import deploy, mart_models, refresh, run_tests
from recon_pipeline.stores.models import Model, ModelError, load_models, package_folder, tables_read

NUMBERS = "SELECT id, upper(name) AS name FROM recon.numbers"
COMMENTED = "SELECT id, venue FROM recon.numbers -- the last line is a comment"


def write(folder: Path, name: str, sql: str, columns: Sequence[str], extra: str = "") -> None:
    (folder / f"{name}.sql").write_text(sql, encoding="utf-8")
    listed = "".join(f"  - {{name: {column}, description: The {column}.}}\n" for column in columns)
    (folder / f"{name}.yml").write_text(f"description: What {name} is.\ncolumns:\n{listed}{extra}", encoding="utf-8")


def load(folder: Path) -> tuple[Model, ...]:
    return load_models(folder, sources=("recon.*",), schema="marts")


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(folder)
    return str(caught.value).replace(str(folder) + "/", "").replace(str(folder), "models")


# Loading


def test_models_come_in_the_order_in_which_their_sql_reads_them(tmp_path: Path) -> None:
    write(tmp_path, "a_last", "SELECT x FROM marts.b_middle WHERE x IN (SELECT x FROM marts.z_first)", ["x"])
    write(tmp_path, "b_middle", "SELECT x FROM marts.z_first", ["x"])
    write(tmp_path, "z_first", "SELECT 1 AS x FROM recon.numbers", ["x"])
    models = load(tmp_path)
    assert [model.name for model in models] == ["z_first", "b_middle", "a_last"]
    assert [model.depends_on for model in models] == [(), ("z_first",), ("b_middle", "z_first")]
    assert models[0].reads == ("recon.numbers",)
    assert models[0].relation == "marts.z_first"


def test_the_kernel_names_its_models_without_a_schema(tmp_path: Path) -> None:
    write(tmp_path, "windows", "SELECT account, $day AS day FROM balances", ["account", "day"])
    write(tmp_path, "rows", "SELECT account FROM windows", ["account"])
    models = load_models(tmp_path, sources=("balances",), dialect="duckdb")
    assert [(model.relation, model.depends_on) for model in models] == [("windows", ()), ("rows", ("windows",))]


def test_a_cte_is_no_table_even_where_it_shadows_one() -> None:
    sql = """
        WITH RECURSIVE numbers AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM numbers JOIN recon.limits ON true),
        trades AS (SELECT * FROM recon.trades)
        SELECT x FROM numbers JOIN trades ON true CROSS JOIN generate_series(1, 3) AS s(n)
        WHERE EXISTS (SELECT FROM recon.runs) UNION ALL SELECT x FROM (SELECT x FROM recon.last) AS l
    """
    assert tables_read(sql, "postgres") == ("recon.last", "recon.limits", "recon.runs", "recon.trades")


def test_a_change_of_a_model_changes_the_digest_of_those_that_read_it(tmp_path: Path) -> None:
    write(tmp_path, "first", "SELECT 1 AS x", ["x"])
    write(tmp_path, "second", "SELECT x FROM marts.first", ["x"])
    write(tmp_path, "alone", "SELECT 1 AS y", ["y"])
    before = {model.name: model.digest for model in load(tmp_path)}
    write(tmp_path, "first", "SELECT 2 AS x", ["x"])
    after = {model.name: model.digest for model in load(tmp_path)}
    assert {name for name in before if before[name] != after[name]} == {"first", "second"}


def test_tests_stand_beside_the_columns(tmp_path: Path) -> None:
    (tmp_path / "m.sql").write_text("SELECT a, b FROM recon.t")
    (tmp_path / "m.yml").write_text(
        """\
description: What it is.
key: [a, b]
columns:
  - {name: a, description: A., tests: [not_null, unique]}
  - {name: b, description: B., tests: [{accepted_values: [x, it's]}, {relationships: {to: recon.t, field: b}}]}
tests:
  - {name: a_is_b, description: They agree., sql: SELECT * FROM marts.m WHERE a <> b;}
"""
    )
    [model] = load(tmp_path)
    assert {test.name: test.sql for test in model.tests} == {
        "key_is_unique": (
            "SELECT a, b, count(*) AS copies FROM marts.m WHERE a IS NOT NULL AND b IS NOT NULL"
            " GROUP BY a, b HAVING count(*) > 1"
        ),
        "key_is_not_null": "SELECT * FROM marts.m WHERE a IS NULL OR b IS NULL",
        "a_not_null": "SELECT * FROM marts.m WHERE a IS NULL",
        "a_unique": "SELECT a, count(*) AS copies FROM marts.m WHERE a IS NOT NULL GROUP BY a HAVING count(*) > 1",
        "b_accepted_values": "SELECT * FROM marts.m WHERE b NOT IN ('x', 'it''s')",
        "b_relationships": (
            "SELECT t.* FROM marts.m AS t WHERE t.b IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM recon.t AS parent WHERE parent.b = t.b)"
        ),
        "a_is_b": "SELECT * FROM marts.m WHERE a <> b",
    }


def test_models_that_read_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "egg", "SELECT x FROM marts.hen", ["x"])
    write(tmp_path, "hen", "SELECT x FROM marts.egg", ["x"])
    assert "models read each other in a circle: " in refusal(tmp_path)
    assert "egg <- hen" in refusal(tmp_path)


def test_a_table_that_nobody_makes_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "m", "SELECT x FROM marts.nn", ["x"])
    assert refusal(tmp_path) == (
        "ModelError: it reads marts.nn, which nobody makes\n"
        "  where:    m.sql\n"
        "  expected: one of recon.*\n"
        "  next:     correct the name"
    )


def test_columns_that_disagree_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "m", "SELECT a, b AS c FROM recon.t", ["a", "b"])
    assert refusal(tmp_path) == (
        "ModelError: the SQL makes the columns a, c\n"
        "  where:    m.sql\n"
        "  expected: those of m.yml, in their order: a, b\n"
        "  next:     make the two agree"
    )


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT * FROM recon.t", "its last SELECT does not name every column"),
        ("SELECT t.* FROM recon.t AS t", "its last SELECT does not name every column"),
        ("SELECT 1 + 1", "its last SELECT does not name every column"),
        ("DELETE FROM recon.t", "a DELETE"),
        ("SELECT FROM WHERE (", "not SQL: "),
        ("SELECT 1 AS a; SELECT 2 AS a", "several statements"),
    ],
)
def test_what_is_not_one_select_with_named_columns_is_refused(tmp_path: Path, sql: str, found: str) -> None:
    write(tmp_path, "m", sql, ["a"])
    assert refusal(tmp_path).startswith(f"ModelError: {found}")


def test_a_model_without_its_yaml_and_a_yaml_without_its_model_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith("ModelError: no model")
    (tmp_path / "m.sql").write_text("SELECT 1 AS a")
    assert refusal(tmp_path).startswith("ModelError: no YAML beside it")
    write(tmp_path, "m", "SELECT 1 AS a", ["a"])
    (tmp_path / "n.yml").write_text("description: Alone.")
    assert refusal(tmp_path).startswith("ModelError: n.yml stands without its SQL")


def test_a_wrong_key_in_the_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "m", "SELECT 1 AS a", ["a"], extra="materialised: table\n")
    assert refusal(tmp_path) == (
        "ModelError: unknown key 'materialised'\n"
        "  where:    m.yml, line 4: materialised\n"
        "  expected: one of description, materialized, key, columns, tests\n"
        "  next:     did you mean 'materialized'?"
    )


def test_the_marts_are_found_where_the_package_is_installed() -> None:
    assert (package_folder("marts") / "daily_variance.sql").is_file()
    assert {
        "daily_variance",
        "open_variances",
        "cumulative_drift",
        "account_day_verdict",
        "reconciliation_summary",
    } <= {model.name for model in mart_models()}


# In PostgreSQL


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("home"))
    url = postgres.start()
    try:
        migrate(url)
        yield url
    finally:
        postgres.stop()


@pytest.fixture
def url(server: str) -> str:
    run(server, "DROP SCHEMA marts CASCADE", "CREATE SCHEMA marts", "GRANT USAGE ON SCHEMA marts TO recon_reader")
    run(server, "DROP TABLE IF EXISTS recon.numbers", "CREATE TABLE recon.numbers (id int, name text, venue text)")
    run(server, "INSERT INTO recon.numbers VALUES (1, 'one', 'a'), (2, 'two', 'b'), (2, NULL, 'b')")
    return server


def run(url: str, *statements: str) -> None:
    with connection(url, "preparing") as database:
        for statement in statements:
            database.execute(sa.text(statement))


def read(url: str, sql: str) -> list[tuple[Any, ...]]:
    with connection(url, "reading") as database:
        return [tuple(row) for row in database.execute(sa.text(sql))]


@pytest.mark.postgres
def test_only_what_changed_is_deployed_again(url: str, tmp_path: Path) -> None:
    write(tmp_path, "first", NUMBERS, ["id", "name"])
    write(tmp_path, "second", "SELECT id FROM marts.first", ["id"])
    write(tmp_path, "alone", "SELECT name FROM recon.numbers WHERE name LIKE '%o%'", ["name"])
    assert deploy(url, load(tmp_path)) == ("alone", "first", "second")
    assert deploy(url, load(tmp_path)) == ()
    write(tmp_path, "first", NUMBERS + " WHERE id = 1", ["id", "name"])
    assert deploy(url, load(tmp_path)) == ("first", "second")
    assert read(url, "SELECT * FROM marts.first") == [(1, "ONE")]
    run(url, "DROP VIEW marts.alone")
    assert deploy(url, load(tmp_path)) == ("alone",)


@pytest.mark.postgres
def test_other_columns_are_deployed_with_all_that_read_them_and_grants_stay(url: str, tmp_path: Path) -> None:
    write(tmp_path, "first", NUMBERS, ["id", "name"])
    write(tmp_path, "second", "SELECT id FROM marts.first", ["id"])
    deploy(url, load(tmp_path))
    run(url, "GRANT SELECT ON marts.second TO recon_writer WITH GRANT OPTION", "GRANT SELECT ON marts.first TO PUBLIC")
    write(tmp_path, "first", "SELECT name, id::bigint AS id FROM recon.numbers", ["name", "id"])
    assert deploy(url, load(tmp_path)) == ("first", "second")
    assert read(url, "SELECT pg_typeof(id)::text FROM marts.second LIMIT 1") == [("bigint",)]
    for role, relation in (
        ("recon_reader", "marts.first"),
        ("recon_writer", "marts.second"),
        ("public", "marts.first"),
    ):
        assert read(url, f"SELECT has_table_privilege('{role}', '{relation}', 'SELECT')") == [(True,)]


@pytest.mark.postgres
def test_a_view_becomes_a_table_and_is_refreshed_for_one_venue(url: str, tmp_path: Path) -> None:
    write(tmp_path, "m", "SELECT id, venue FROM recon.numbers", ["id", "venue"])
    deploy(url, load(tmp_path))
    write(tmp_path, "m", COMMENTED, ["id", "venue"], extra="materialized: table\n")
    assert deploy(url, load(tmp_path)) == ("m",)
    run(url, "UPDATE recon.numbers SET id = id + 10")
    assert refresh(url, load(tmp_path), "b") == {"m": 2}
    assert read(url, "SELECT id, venue FROM marts.m ORDER BY id") == [(1, "a"), (12, "b"), (12, "b")]
    refresh(url, load(tmp_path))
    assert read(url, "SELECT id FROM marts.m ORDER BY id") == [(11,), (12,), (12,)]


@pytest.mark.postgres
def test_descriptions_stand_in_the_database(url: str, tmp_path: Path) -> None:
    write(tmp_path, "m", NUMBERS, ["id", "name"])
    deploy(url, load(tmp_path))
    [[comment]] = read(url, "SELECT obj_description('marts.m'::regclass, 'pg_class')")
    assert comment.startswith("What m is.\n")
    assert read(url, "SELECT col_description('marts.m'::regclass, 1)") == [("The id.",)]


@pytest.mark.postgres
def test_a_view_that_somebody_built_on_a_mart_is_named_and_nothing_is_changed(url: str, tmp_path: Path) -> None:
    write(tmp_path, "m", NUMBERS, ["id", "name"])
    deploy(url, load(tmp_path))
    run(url, "CREATE VIEW marts.theirs AS SELECT name FROM marts.m")
    write(tmp_path, "m", NUMBERS + " WHERE id > 1", ["id", "name"])
    assert deploy(url, load(tmp_path)) == ("m",), "the same columns do not disturb it"
    write(tmp_path, "m", "SELECT id FROM recon.numbers", ["id"])
    with pytest.raises(ModelError) as caught:
        deploy(url, load(tmp_path))
    assert caught.value.found == "marts.m cannot be replaced: view marts.theirs depends on view marts.m"
    assert read(url, "SELECT count(*) FROM marts.theirs") == [(2,)]


@pytest.mark.postgres
def test_sql_that_postgresql_refuses_names_its_model(url: str, tmp_path: Path) -> None:
    write(tmp_path, "m", "SELECT nothing AS id FROM recon.numbers", ["id"])
    with pytest.raises(ModelError) as caught:
        deploy(url, load(tmp_path))
    assert 'PostgreSQL refuses it: column "nothing" does not exist' in caught.value.found
    assert caught.value.where.endswith("m.sql")
    assert read(url, "SELECT to_regclass('marts.m')") == [(None,)]


@pytest.mark.postgres
def test_a_test_that_fails_shows_its_rows(url: str, tmp_path: Path) -> None:
    extra = (
        "key: [id]\ntests:\n  - {name: names_have_no_n, description: A test., "
        "sql: SELECT id FROM marts.m WHERE name LIKE '%N%'}\n"
    )
    write(tmp_path, "m", NUMBERS, ["id", "name"], extra=extra)
    deploy(url, load(tmp_path))
    results = {result.name: result for result in run_tests(url, load(tmp_path)[0])}
    assert results["key_is_not_null"].passed
    assert not results["key_is_unique"].passed
    assert results["key_is_unique"].sample == ({"id": 2, "copies": 2},)
    assert (results["names_have_no_n"].failing_rows, results["names_have_no_n"].sample) == (1, ({"id": 1},))
