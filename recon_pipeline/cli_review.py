"""`recon errors` and `recon coverage`: what could not be read, and which days of which streams were."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import click

from recon_pipeline.cli_settings import find_settings, venue_names
from recon_pipeline.config import Settings
from recon_pipeline.errors import ConfigError

as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")
DAY = click.DateTime(["%Y-%m-%d"])
_UNREAD = "unread"
_HOLES = ("partial", "failed", _UNREAD)


@click.group()
def errors() -> None:
    """Errors of sources: those that nobody foresaw wait for a person."""


@errors.command("list")
@click.option("--venue", help="Of this venue only.")
@click.option("--all", "with_resolved", is_flag=True, help="Those that were resolved too.")
@click.option("--review", "for_review", is_flag=True, help="Only those that wait for a person.")
@as_json
def list_errors(venue: str | None, with_resolved: bool, for_review: bool, is_json: bool) -> int:
    """List the open errors, the newest first, and what to do about them."""
    settings = find_settings()
    venue_names(settings, venue)
    from recon_pipeline.stores.reviews import list_problems

    found = list_problems(_database(settings), venue, with_resolved=with_resolved, for_review=for_review)
    if is_json:
        click.echo(_json(found))
    elif not found:
        click.echo("no error" if with_resolved else "no open error")
    else:
        _print("Errors", found, ("id", "venue", "account", "stream", "symbol", "kind", "name", "found", "seen"))
        for name, next_step in dict.fromkeys((row["name"], row["next_step"]) for row in found):
            if next_step:
                click.echo(f"{name}: {next_step}")
    return 3 if any(row["needs_manual_review"] and row["resolved_at"] is None for row in found) else 0


@errors.command()
@click.argument("numbers", type=int, nargs=-1, required=True)
@click.option("--note", required=True, help="What was found and done; it stays with each of them.")
def resolve(numbers: tuple[int, ...], note: str) -> None:
    """Close errors with a note; should one come again, it is a new one."""
    from recon_pipeline.stores.reviews import resolve_problems

    resolve_problems(_database(find_settings()), numbers, note)
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
    """Show which days of which streams were read; 3 if there is a hole.

    A day that nobody asked for is a hole too: `unread`, between the first and the last day that were run, and wherever
    --from and --to reach.
    """
    settings = find_settings()
    names = venue_names(settings, venue)
    between = (first.date() if first else None, last.date() if last else None)
    if first and last and first > last:
        raise click.UsageError(f"--from {between[0]} is after --to {between[1]}")
    rows = _ledger(settings, names, account, between)
    holes = [row for row in rows if row["status"] in _HOLES]
    shown = _spans(holes if only_holes else rows)
    if is_json:
        click.echo(_json(shown))
    elif shown:
        _print("Coverage", shown, ("venue", "account", "stream", "status", "from", "to", "records", "error"))
    else:
        click.echo("no hole" if rows else "nothing was read yet")
    return 3 if holes else 0


@click.command()
@click.option("--venue", help="This venue only.")
@as_json
def capture(venue: str | None, is_json: bool) -> int:
    """Capture balances that have no history; closes yesterday until 06:00 UTC."""
    settings = find_settings()
    names = venue_names(settings, venue)
    from recon_pipeline.venues.sources import capture_now

    url = _database(settings)
    made, problems = 0, []
    for name in names:
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


_Between = tuple[date | None, date | None]


def _ledger(settings: Settings, names: Sequence[str], account: str | None, between: _Between) -> list[dict[str, Any]]:
    """The ledger's days, and those that it lacks; ConfigError for an account of which nobody knows."""
    import sqlalchemy as sa

    from recon_pipeline.stores.database import connection

    given = {"venues": list(names), "account": account, "first": between[0], "last": between[1]}
    with connection(_database(settings), "reading the coverage ledger") as opened:
        known = set(
            opened.scalars(sa.text("SELECT DISTINCT account FROM recon.pulls WHERE venue = ANY(:venues)"), given)
        )
        found = opened.execute(
            sa.text(
                "SELECT venue, account, stream, date, status, records, error, message FROM recon.pulls"
                " WHERE venue = ANY(:venues) AND (CAST(:account AS text) IS NULL OR account = :account)"
                " AND date BETWEEN coalesce(:first, '-infinity'::date) AND coalesce(:last, 'infinity'::date)"
            ),
            given,
        )
        rows = [dict(row._mapping) for row in found]
        runs = opened.execute(
            sa.text("SELECT venue, first_day, last_day, accounts FROM recon.runs WHERE venue = ANY(:venues)"), given
        ).all()
    known |= {each for name in names for each in _accounts(settings, name)}
    if account is not None and account not in known:
        expected = ", ".join(sorted(known - {""})) or "an account of a venue that is asked over HTTP"
        raise ConfigError(f"there is no account {account!r}", where="--account", expected=expected)
    for name in names:
        for each in (each for each in _accounts(settings, name) if account in (None, each)):
            asked = [run for run in runs if run.venue == name and (run.accounts is None or each in run.accounts)]
            first = between[0] or min((run.first_day for run in asked), default=None)
            last = between[1] or max((run.last_day for run in asked), default=None)
            if first is not None and last is not None:
                known_days = {
                    (row["stream"], row["date"]) for row in rows if (row["venue"], row["account"]) == (name, each)
                }
                rows += _unread(settings, name, each, (max(first, settings.venues[name].start), last), known_days)
    return sorted(rows, key=lambda row: (row["venue"], row["account"], row["stream"], row["date"]))


def _accounts(settings: Settings, venue: str) -> Collection[str]:
    api = settings.venues[venue].api
    return api.accounts if api else ()


def _unread(
    settings: Settings, venue: str, account: str, span: tuple[date, date], known: Collection[tuple[str, date]]
) -> Iterator[dict[str, Any]]:
    """The days on which a stream that the reconciliation needs has no mark; `*` where none of them has."""
    from recon_pipeline.venues.sources import streams_needed

    needed = streams_needed(settings, venue)
    for day in (span[0] + timedelta(days=number) for number in range((span[1] - span[0]).days + 1)):
        missing = [stream for stream in needed if (stream, day) not in known]
        for stream in ["*"] if len(missing) == len(needed) else missing:
            yield {
                "venue": venue, "account": account, "stream": stream, "date": day, "status": _UNREAD, "records": 0,
                "error": None, "message": "no run has come to it",
            }  # fmt: skip


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


def _database(settings: Settings) -> str:
    from recon_pipeline.assets.resource import open_database

    return open_database(settings)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str)


def _print(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    from recon_pipeline.terminal import console, rows_table

    shown = [{name: "" if row[name] is None else row[name] for name in columns} for row in rows]
    console().print(rows_table(title, shown, list(columns), most=len(shown)))
