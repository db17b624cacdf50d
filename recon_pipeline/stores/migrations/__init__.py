"""The migrations: the only code that makes schemas, tables and roles (Alembic, run from the installed package)."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from recon_pipeline.errors import StoreError
from recon_pipeline.stores.database import connection, shown
from recon_pipeline.stores.roles import OWNER, ROLES

SCHEMA = "recon"
_LOCK = 0x7265636F_6D6967
"""The advisory lock of whoever migrates this database."""


class MigrationRefused(StoreError):  # noqa: N818 - the name says what is the matter
    """The database cannot be brought to this release's state without an administrator."""


def upgrade(url: str) -> None:
    """Bring the database to this release's state, in one transaction; does nothing if it is there."""
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    with connection(url, "applying the migrations") as opened:
        _refuse_other_encodings(opened, url)
        if _revision(opened) == scripts.get_current_head():
            return
        opened.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        _refuse_later_release(opened, scripts, url)
        _make_roles(opened, url)
        _become_owner(opened, url)
        opened.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        config.attributes["connection"] = opened
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revision(opened: sa.Connection) -> str | None:
    """The revision that the database is at; None if it has none yet."""
    if opened.scalar(sa.text(f"SELECT to_regclass('{SCHEMA}.alembic_version')")) is None:
        return None
    revision: str | None = opened.scalar(sa.text(f"SELECT version_num FROM {SCHEMA}.alembic_version"))
    return revision


def _refuse_other_encodings(opened: sa.Connection, url: str) -> None:
    encoding = opened.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise MigrationRefused(
            f"the database's encoding is {encoding}",
            where=shown(url),
            expected="UTF8: names of accounts and assets may hold any letter",
            next_step="have one made with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and name that",
        )


def _refuse_later_release(opened: sa.Connection, scripts: ScriptDirectory, url: str) -> None:
    found = _revision(opened)
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise MigrationRefused(
            f"the database is at revision {found}, which this release does not know",
            where=shown(url),
            expected=f"revision {scripts.get_current_head()} or an earlier one",
            next_step="run the release that migrated it, or a later one",
        )


def _make_roles(opened: sa.Connection, url: str) -> None:
    """Create the roles that are missing, without a login: an administrator gives them to those who may use them."""
    missing = _missing_roles(opened)
    if not missing:
        return
    if not opened.scalar(sa.text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")):
        raise _ask_administrator(opened, url, f"roles are missing that this login may not create: {', '.join(missing)}")
    for role in missing:
        # Roles belong to the whole server: a migration of another of its databases may be making them right now.
        opened.execute(
            sa.text(
                f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; "
                "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            )
        )


def _missing_roles(opened: sa.Connection) -> list[str]:
    present = set(opened.scalars(sa.text("SELECT rolname FROM pg_roles")))
    return [role for role in ROLES if role not in present]


def _become_owner(opened: sa.Connection, url: str) -> None:
    """Continue as recon_owner, so that everything belongs to it whoever migrates."""
    if opened.scalar(sa.text("SELECT current_user")) == OWNER:
        return
    user = opened.scalar(sa.text("SELECT quote_ident(current_user)"))
    try:
        with opened.begin_nested():
            if not opened.scalar(sa.text(f"SELECT pg_has_role('{OWNER}', 'USAGE')")):
                opened.execute(sa.text(f"GRANT {OWNER} TO {user}"))
            if not _owner_may_create(opened):
                database = opened.scalar(sa.text("SELECT quote_ident(current_database())"))
                opened.execute(sa.text(f"GRANT CONNECT, CREATE ON DATABASE {database} TO {OWNER}"))
            opened.execute(sa.text(f"SET LOCAL ROLE {OWNER}"))
    except sa.exc.ProgrammingError:
        raise _ask_administrator(opened, url, f"the login {user} may not act as {OWNER}") from None
    # PostgreSQL only warns where a grant was not one's to make.
    if not _owner_may_create(opened):
        opened.execute(sa.text("RESET ROLE"))
        raise _ask_administrator(opened, url, f"{OWNER} may not create schemas in this database")


def _owner_may_create(opened: sa.Connection) -> bool:
    return bool(opened.scalar(sa.text(f"SELECT has_database_privilege('{OWNER}', current_database(), 'CREATE')")))


def _ask_administrator(opened: sa.Connection, url: str, found: str) -> MigrationRefused:
    user, database = opened.execute(sa.text("SELECT quote_ident(current_user), quote_ident(current_database())")).one()
    statements = [f"CREATE ROLE {role};" for role in _missing_roles(opened)]
    statements += [f"GRANT {OWNER} TO {user};", f"GRANT CONNECT, CREATE ON DATABASE {database} TO {OWNER};"]
    return MigrationRefused(
        found,
        where=shown(url),
        expected=f"a login that may create roles and owns the database, or roles made beforehand ({', '.join(ROLES)})",
        next_step="have an administrator run once, then run again:  " + " ".join(statements),
    )
