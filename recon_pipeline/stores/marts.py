"""The marts in PostgreSQL: SQL models deployed as views and tables that people read, and tested there.

A view is always current. A model that says `materialized: table` holds what its SQL gave when it was last refreshed:
`refresh` replaces one venue's rows, or all, in the order in which the models read each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from recon_pipeline.stores.database import connection, engine, named_errors
from recon_pipeline.stores.models import Model, ModelError, ModelTest, load_models, package_folder
from recon_pipeline.stores.roles import OWNER, READER, WRITER

SCHEMA = "marts"
SAMPLE_ROWS_MAX = 5
_DEPLOY_LOCK = 0x6D61727473
"""The advisory lock of a deployment: 'marts', so that two runs do not both replace a view."""
_DIGEST_MARK = "\n\nDeployed by recon, digest "
_WRONG_SHAPE = ("42P16", "42809")
"""SQLSTATEs of CREATE OR REPLACE VIEW over other columns, or over a table."""
_KINDS = {"view": "v", "table": "r"}


@dataclass(frozen=True)
class TestResult:
    """What a test of a model found: the number of rows at fault and a few of them."""

    __test__ = False  # pytest would take the name for a test class

    name: str
    passed: bool
    failing_rows: int
    sample: tuple[Mapping[str, Any], ...]
    sql: str


@lru_cache(maxsize=1)
def mart_models() -> tuple[Model, ...]:
    """The models of dbt_like_sql/marts, each after the ones that it reads."""
    return load_models(package_folder("marts"), sources=("recon.*",), schema=SCHEMA)


def deploy(url: str, models: Sequence[Model]) -> tuple[str, ...]:
    """Bring the relations in the schema marts in line with `models`; returns the names of those it made anew.

    One transaction: readers see the old marts or the new ones. What is as it should be is left alone, so that every run
    may call this. Grants are kept, the reader may read each, tables are filled.
    """
    with connection(url, "deploying the marts") as database:
        if not _changed(database, models):
            return ()
        _prepare(database)
        changed = _changed(database, models)  # another run may have done it while this one waited
        if not changed:
            return ()
        if not _replaced_in_place(database, changed):
            grants = _grants(database, changed)
            _drop(database, changed)
            for model in changed:
                _create(database, model)
            _grant(database, grants)
        for model in changed:
            _describe(database, model)
        return tuple(model.name for model in changed)


def refresh_if_changed(url: str, models: Sequence[Model], venue: str) -> dict[str, int]:
    """`refresh` of a venue, unless everything on which its marts rest is as it was at the last time.

    That is what was loaded of the lake, by digest, the days that runs covered, the settings, and the models themselves.
    """
    with connection(url, f"looking whether the marts of {venue} are current") as database:
        state = _state(database, models, venue)
        known = database.execute(sa.text(_KNOWN_STATE), {"venue": venue, "mark": _MARK}).scalar()
    if known == state:
        return {}
    analyse_grown(url)
    filled = refresh(url, models, venue)
    # Written after the marts are: whatever comes between has them filled once more, never once too seldom.
    with connection(url, f"marking the marts of {venue} as current") as database:
        database.execute(sa.text(_MARK_STATE), {"venue": venue, "mark": _MARK, "state": state})
    return filled


def analyse_grown(url: str) -> tuple[str, ...]:
    """Have PostgreSQL look at the tables that have grown since it last did; their names.

    It does so by itself within minutes, but never of a partitioned table as a whole. Until then it takes a month that
    was just loaded for an empty table, and whoever reads a view of it waits for minutes. A login that may not is passed
    over.
    """
    with named_errors(url, "looking at the tables that have grown"), engine(url).connect() as opened:
        each = opened.execution_options(isolation_level="AUTOCOMMIT")
        grown = tuple(each.scalars(sa.text(_GROWN)))
        for table in grown:
            each.execute(sa.text(f"ANALYZE {table}"))
        return grown


_GROWN = """
    SELECT coalesce(pg_partition_root(relid)::oid, relid)::regclass::text
    FROM pg_stat_user_tables WHERE schemaname = 'recon' GROUP BY coalesce(pg_partition_root(relid)::oid, relid)
    HAVING sum(n_mod_since_analyze) > 1000 + sum(n_live_tup) / 10 ORDER BY 1
"""


def _state(database: sa.Connection, models: Sequence[Model], venue: str) -> str:
    rests_on = database.execute(sa.text(_RESTS_ON), {"venue": venue, "mark": _MARK}).scalar_one()
    return hashlib.sha256("\n".join([rests_on, *(model.digest for model in models)]).encode()).hexdigest()


def _forget_other_states(database: sa.Connection) -> None:
    """What is filled now is filled from what there is now: a mark of anything else no longer says what a mart holds."""
    marks = database.execute(sa.text("SELECT venue, digest FROM recon.partitions WHERE frame = :mark"), {"mark": _MARK})
    for venue, state in marks.all():
        if state != _state(database, mart_models(), venue):
            forget = "DELETE FROM recon.partitions WHERE venue = :venue AND frame = :mark"
            database.execute(sa.text(forget), {"venue": venue, "mark": _MARK})


_MARK = "marts"
"""The state of a venue's marts stands in recon.partitions under this name, as that of a frame without days."""
_RESTS_ON = """
    SELECT concat_ws(E'\\n',
        (SELECT string_agg(concat_ws(' ', frame, date, digest), E'\\n' ORDER BY frame, date)
            FROM recon.partitions WHERE venue = :venue AND frame <> :mark),
        (SELECT max(last_day) FROM recon.runs WHERE venue = :venue),
        (SELECT string_agg(v::text, E'\\n' ORDER BY v::text) FROM recon.venues AS v WHERE venue = :venue),
        (SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM recon.tolerances AS t WHERE venue = :venue),
        (SELECT string_agg(o::text, E'\\n' ORDER BY o::text) FROM recon.openings AS o WHERE venue = :venue)
    )
"""
_KNOWN_STATE = "SELECT digest FROM recon.partitions WHERE venue = :venue AND frame = :mark"
_MARK_STATE = """
    INSERT INTO recon.partitions (venue, frame, date, digest, rows, run_id)
    VALUES (:venue, :mark, DATE '0001-01-01', :state, 0, :mark)
    ON CONFLICT (venue, frame, date) DO UPDATE SET digest = excluded.digest, loaded_at = now()
"""


def refresh(url: str, models: Sequence[Model], venue: str | None = None) -> dict[str, int]:
    """Fill the table models anew, one venue's rows or all, in one transaction; returns the rows each then holds.

    A table without a column `venue` is always filled anew as a whole.
    """
    filled: dict[str, int] = {}
    with connection(url, f"refreshing the marts of {venue or 'every venue'}") as database:
        # One at a time: two transactions would each delete what the other has not yet shown and insert it twice.
        _prepare(database)
        _forget_other_states(database)
        for model in models:
            if model.materialized != "table":
                continue
            names = [column.name for column in model.columns]
            only = venue if "venue" in names else None
            where = f" WHERE venue = {_literal(only)}" if only is not None else ""
            listed = ", ".join(_quoted(name) for name in names)
            _run(database, f"DELETE FROM {model.relation}{where}")
            inserted = _run(
                database,
                f"INSERT INTO {model.relation} ({listed}) SELECT {listed} FROM ({model.sql}\n) AS model{where}",
            )
            # The next model's plan rests on what this one now holds.
            _run(database, f"ANALYZE {model.relation}")
            filled[model.name] = inserted.rowcount
    return filled


def run_tests(url: str, model: Model) -> list[TestResult]:
    """Run the tests of one deployed model, in their order."""
    with connection(url, f"testing {model.relation}") as database:
        _plan_for_sets(database)
        return [_run_test(database, test) for test in model.tests]


def _run_test(database: sa.Connection, test: ModelTest) -> TestResult:
    counted = _run(database, f"SELECT count(*) FROM ({test.sql}\n) AS failing").scalar_one()
    sample: tuple[Mapping[str, Any], ...] = ()
    if counted:
        rows = _run(database, f"SELECT * FROM ({test.sql}\n) AS failing LIMIT {SAMPLE_ROWS_MAX}")
        sample = tuple(dict(row) for row in rows.mappings())
    return TestResult(test.name, counted == 0, counted, sample, test.sql)


def _changed(database: sa.Connection, models: Sequence[Model]) -> list[Model]:
    """The models whose relation is absent, of the other kind, or not of their digest."""
    rows = database.execute(
        sa.text(
            "SELECT c.relname, c.relkind::text, obj_description(c.oid, 'pg_class') FROM pg_class AS c"
            " JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = :schema"
        ),
        {"schema": SCHEMA},
    )
    found = {name: (kind, (comment or "").rpartition(_DIGEST_MARK)[2]) for name, kind, comment in rows}
    return [model for model in models if found.get(model.name) != (_KINDS[model.materialized], model.digest)]


def _replaced_in_place(database: sa.Connection, changed: Sequence[Model]) -> bool:
    """Replace views whose columns stay as they were, which keeps grants and the views that others built on them."""
    if any(model.materialized != "view" for model in changed):
        return False
    savepoint = database.begin_nested()
    try:
        for model in changed:
            _run(database, f"CREATE OR REPLACE VIEW {model.relation} AS {model.sql}")
            _let_read(database, model)
    except sa.exc.DBAPIError as error:
        savepoint.rollback()
        if getattr(error.orig, "pgcode", None) in _WRONG_SHAPE:
            return False
        raise _refused(model, error) from None
    savepoint.commit()
    return True


def _drop(database: sa.Connection, changed: Sequence[Model]) -> None:
    names = ", ".join(model.relation for model in changed)
    for model in reversed(changed):
        kind = _kind(database, model)
        if kind is None:
            continue
        try:
            _run(database, f"DROP {'TABLE' if kind == 'r' else 'VIEW'} {model.relation}")
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "pgcode", None) != "2BP01":
                raise
            detail = str(getattr(getattr(error.orig, "diag", None), "message_detail", "") or "").splitlines()
            raise ModelError(
                f"{model.relation} cannot be replaced: {detail[0] if detail else 'something depends on it'}",
                where="deploying " + names,
                expected="nothing but the marts themselves built on a mart whose columns change",
                next_step="drop what depends on it, run again, and make it anew",
            ) from None


def _kind(database: sa.Connection, model: Model) -> str | None:
    kind: str | None = database.execute(
        sa.text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:name)"), {"name": model.relation}
    ).scalar()
    return kind


def _create(database: sa.Connection, model: Model) -> None:
    try:
        if model.materialized == "view":
            _run(database, f"CREATE VIEW {model.relation} AS {model.sql}")
        else:
            _run(database, f"CREATE TABLE {model.relation} AS {model.sql}")
            if model.key:
                key = ", ".join(_quoted(name) for name in model.key)
                _run(database, f"CREATE UNIQUE INDEX ON {model.relation} ({key})")
            _run(database, f"ANALYZE {model.relation}")
    except sa.exc.DBAPIError as error:
        raise _refused(model, error) from None
    _let_read(database, model)


def _refused(model: Model, error: sa.exc.DBAPIError) -> ModelError:
    # 42 is the class of wrong SQL; anything else (a lost connection, a full disk) is no fault of the model.
    if not str(getattr(error.orig, "pgcode", "") or "").startswith("42"):
        raise error
    return ModelError(
        f"PostgreSQL refuses it: {str(error.orig).strip().splitlines()[0]}",
        where=str(model.path),
        expected="one SELECT over recon.* and other marts",
        next_step="correct the SQL",
    )


def _let_read(database: sa.Connection, model: Model) -> None:
    """The reader and the writer may read it; a table is filled by whoever runs, the writer too."""
    _run(database, f"GRANT SELECT ON {model.relation} TO {READER}, {WRITER}")
    if model.materialized == "table":
        _run(database, f"GRANT INSERT, DELETE ON {model.relation} TO {WRITER}")


def _grants(database: sa.Connection, models: Collection[Model]) -> list[tuple[str, str, str]]:
    """What others than the owner may do with these relations: (relation, role, privilege)."""
    rows = database.execute(
        sa.text(
            "SELECT c.oid::regclass::text, coalesce(quote_ident(r.rolname), 'PUBLIC'), a.privilege_type"
            " FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a"
            " LEFT JOIN pg_roles AS r ON r.oid = a.grantee"
            " WHERE c.oid IN (SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS names(name))"
            " AND a.grantee <> c.relowner"
        ),
        {"names": [model.relation for model in models]},
    )
    return [(name, role, privilege) for name, role, privilege in rows]


def _grant(database: sa.Connection, grants: Collection[tuple[str, str, str]]) -> None:
    for relation, role, privilege in grants:
        _run(database, f"GRANT {privilege} ON {relation} TO {role}")


def _describe(database: sa.Connection, model: Model) -> None:
    kind = model.materialized.upper()
    comment = model.description + _DIGEST_MARK + model.digest
    _run(database, f"COMMENT ON {kind} {model.relation} IS {_literal(comment)}")
    for column in model.columns:
        name = f"{model.relation}.{_quoted(column.name)}"
        _run(database, f"COMMENT ON COLUMN {name} IS {_literal(column.description)}")


def _prepare(database: sa.Connection) -> None:
    """One deployment or refresh at a time, as the owner of the marts where this login may act as that."""
    database.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _DEPLOY_LOCK})
    known = database.execute(sa.text("SELECT oid FROM pg_roles WHERE rolname = :role"), {"role": OWNER}).scalar()
    if known and database.execute(sa.text("SELECT pg_has_role(:role, 'MEMBER')"), {"role": OWNER}).scalar():
        _run(database, f"SET LOCAL ROLE {OWNER}")
    _plan_for_sets(database)


def _plan_for_sets(database: sa.Connection) -> None:
    """Every join of a mart is one of sets, over all of its keys: so by hash. A nested loop or a merge over some of the
    keys, chosen where the planner expects one row and gets a million, turns seconds into hours."""
    for setting in ("enable_nestloop = off", "enable_mergejoin = off", "jit = off", "work_mem = '128MB'"):
        _run(database, f"SET LOCAL {setting}")


def _run(database: sa.Connection, sql: str) -> sa.CursorResult[Any]:
    """Run SQL as it stands: a model's % and : are its own, never a parameter's."""
    return database.exec_driver_sql(sql, execution_options={"no_parameters": True})


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
