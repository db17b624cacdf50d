"""`recon errors` and `recon coverage`: what could not be read, and which days of which streams were."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import click

from recon_pipeline.config import Settings, load_settings
from recon_pipeline.errors import ConfigError

as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")
DAY = click.DateTime(["%Y-%m-%d"])
_HOLES = ("partial", "failed")


@click.group()
def errors() -> None:
    """Errors of sources: those that nobody foresaw wait for a person."""


@errors.command("list")
@click.option("--venue", help="Of this venue only.")
@click.option("--all", "with_resolved", is_flag=True, help="Those that were resolved too.")
@click.option("--review", "for_review", is_flag=True, help="Only those that wait for a person.")
@as_json
def list_errors(venue: str | None, with_resolved: bool, for_review: bool, is_json: bool) -> int:
    """List the open errors, the newest first."""
    from recon_pipeline.stores.reviews import list_problems

    found = list_problems(_database(), venue, with_resolved=with_resolved, for_review=for_review)
    if is_json:
        click.echo(_json(found))
    elif not found:
        click.echo("no open error")
    else:
        _print("Errors", found, ("id", "venue", "account", "stream", "symbol", "kind", "name", "found", "seen"))
    return 3 if any(row["needs_manual_review"] and row["resolved_at"] is None for row in found) else 0


@errors.command()
@click.argument("numbers", type=int, nargs=-1, required=True)
@click.option("--note", required=True, help="What was found and done; it stays with each of them.")
def resolve(numbers: tuple[int, ...], note: str) -> None:
    """Close errors with a note; should one come again, it is a new one."""
    from recon_pipeline.stores.reviews import resolve_problems

    resolve_problems(_database(), numbers, note)
    click.echo(f"resolved {', '.join(map(str, numbers))}")


@click.command()
@click.option("--venue", help="This venue only.")
@click.option("--account", help="This account only.")
@click.option("--from", "first", type=DAY, help="The first day.")
@click.option("--to", "last", type=DAY, help="The last day, inclusive.")
@click.option("--holes", "only_holes", is_flag=True, help="Only what was not read to the end.")
@as_json
def coverage(
    *,
    venue: str | None,
    account: str | None,
    first: datetime | None,
    last: datetime | None,
    only_holes: bool,
    is_json: bool,
) -> int:
    """Show which days of which streams were read; 3 if there is a hole."""
    settings = load_settings()
    if venue is not None and venue not in settings.venues:
        raise ConfigError(
            f"'{venue}' is no venue", where="--venue", expected=", ".join(settings.venues), next_step="correct --venue"
        )
    rows = _ledger(settings, venue, account, first.date() if first else None, last.date() if last else None)
    holes = [row for row in rows if row["status"] in _HOLES]
    shown = _spans(holes if only_holes else rows)
    if is_json:
        click.echo(_json(shown))
    elif shown:
        _print("Coverage", shown, ("venue", "account", "stream", "status", "from", "to", "records", "error"))
    else:
        click.echo("no hole" if only_holes else "nothing was read yet")
    return 3 if holes else 0


@click.command()
@click.option("--venue", help="This venue only.")
@as_json
def capture(venue: str | None, is_json: bool) -> int:
    """Capture balances that have no history; closes yesterday until 06:00 UTC."""
    settings = load_settings()
    from recon_pipeline.venues.sources import capture_now

    url = _database()
    made, problems = 0, []
    for name in [venue] if venue else list(settings.venues):
        of_venue, found = capture_now(settings, name, url, lambda _: None)
        made += of_venue
        problems += [{"venue": name, "name": type(error).__name__, "text": str(error)} for error in found]
    if is_json:
        click.echo(_json({"captures": made, "problems": problems}))
    else:
        click.echo(f"{made} captures")
        for problem in problems:
            click.echo(problem["text"], err=True)
    return 3 if problems else 0


def _ledger(
    settings: Settings, venue: str | None, account: str | None, first: date | None, last: date | None
) -> list[dict[str, Any]]:
    import sqlalchemy as sa

    from recon_pipeline.stores.database import connection

    with connection(_database(), "reading the coverage ledger") as opened:
        rows = opened.execute(
            sa.text(
                "SELECT venue, account, stream, date, status, records, error, message FROM recon.pulls"
                " WHERE venue = ANY(:venues) AND (CAST(:account AS text) IS NULL OR account = :account)"
                " AND date BETWEEN coalesce(:first, '-infinity'::date) AND coalesce(:last, 'infinity'::date)"
                " ORDER BY venue, account, stream, date"
            ),
            {"venues": [venue] if venue else list(settings.venues), "account": account, "first": first, "last": last},
        )
        return [dict(row._mapping) for row in rows]


def _spans(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Consecutive days of one stream and status as one line."""
    spans: list[dict[str, Any]] = []
    for row in rows:
        same = {key: row[key] for key in ("venue", "account", "stream", "status", "error")}
        before = spans[-1] if spans else None
        is_next = before is not None and (row["date"] - before["to"]).days == 1
        if before is not None and is_next and all(before[key] == value for key, value in same.items()):
            before["to"] = row["date"]
            before["records"] += row["records"]
        else:
            spans.append(same | {"from": row["date"], "to": row["date"], "records": row["records"]})
    return spans


def _database() -> str:
    from recon_pipeline.assets.resource import open_database

    return open_database(load_settings())


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str)


def _print(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    from recon_pipeline.terminal import console, rows_table

    shown = [{name: "" if row[name] is None else row[name] for name in columns} for row in rows]
    console().print(rows_table(title, shown, list(columns)))
