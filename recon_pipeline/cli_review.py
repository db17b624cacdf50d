"""`recon errors` and `recon coverage`: what could not be read, and which days of which streams were."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from recon_pipeline.cli_settings import find_settings, venue_names
from recon_pipeline.config import Settings
from recon_pipeline.errors import ConfigError

as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")
DAY = click.DateTime(["%Y-%m-%d"])


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
    if not note.strip():
        raise click.UsageError("--note is empty: say what was found and done")
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

    A day that nobody asked for is a hole too: `unread`, from the first day of which an account was asked anything to
    the last that was run, and wherever --from and --to reach. A day behind that which was read before it was over is
    `not_over`, and no hole. Nor is one before the venue's start, `before_start`, unless --from or a window reaches
    there.
    """
    settings = find_settings()
    names = venue_names(settings, venue)
    if first and last and first > last:
        raise click.UsageError(f"--from {first:%Y-%m-%d} is after --to {last:%Y-%m-%d}")
    from recon_pipeline.stores.coverage import HOLES, coverage_spans, known_accounts
    from recon_pipeline.venues.pull import NOT_CONFIGURED
    from recon_pipeline.venues.sources import needed_of

    needed = {name: needed_of(settings, name) for name in names}
    url = _database(settings)
    read = known_accounts(url, names)
    known = read.union(*(of_venue.streams for of_venue in needed.values()))
    if account is not None and account not in known:
        expected = ", ".join(sorted(known - {""})) or "an account of a venue that is asked over HTTP"
        raise ConfigError(
            f"there is no account {account!r}", where="--account", expected=expected, next_step="correct --account"
        )
    spans = coverage_spans(
        url,
        needed,
        account=account,
        first=first.date() if first else None,
        last=last.date() if last else None,
        only_holes=only_holes,
    )
    if is_json:
        click.echo(_json(spans))
    elif spans:
        _print("Coverage", spans, ("venue", "account", "stream", "status", "from", "to", "records", "error"))
        unsaid = {f"{span['stream']}: {span['message']}" for span in spans if span["error"] == NOT_CONFIGURED}
        for text in sorted(unsaid):
            click.echo(text)
    else:
        click.echo("no hole" if read else "nothing was read yet")
    return 3 if any(span["status"] in HOLES for span in spans) else 0


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
        of_venue, found = capture_now(settings, name, url, lambda text: click.echo(text, err=True))
        made += of_venue
        problems += [{"venue": name, "name": type(error).__name__, "text": str(error)} for error in found]
    if is_json:
        click.echo(_json({"captures": made, "problems": problems}))
    else:
        click.echo(f"{made} captures")
        for problem in problems:
            click.echo(problem["text"], err=True)
    return 3 if problems else 0


def _database(settings: Settings) -> str:
    from recon_pipeline.assets.resource import open_database

    return open_database(settings)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str)


def _print(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    from recon_pipeline.terminal import console, rows_table

    shown = [{name: "" if row[name] is None else row[name] for name in columns} for row in rows]
    console().print(rows_table(title, shown, list(columns), most=len(shown)))
