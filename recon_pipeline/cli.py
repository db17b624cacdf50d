"""The `recon` command: what a person or a program asks for, handed to the parts that do it."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon_pipeline.cli_review import capture, coverage, errors
from recon_pipeline.cli_secrets import secrets
from recon_pipeline.cli_settings import find_settings, venue_names
from recon_pipeline.cli_venues import compare, sandbox, venues
from recon_pipeline.config import INIT_TEMPLATE, Settings, load_settings
from recon_pipeline.errors import ConfigError, ReconError, StoreError, UnforeseenError
from recon_pipeline.reconcile.stopping import RunStopped

if TYPE_CHECKING:
    from recon_pipeline.assets.execution import JobResult
    from recon_pipeline.reconcile.findings import AccountVerdicts, Findings
    from recon_pipeline.reconcile.pipeline import Request, Say

DONE, DIFFERENCES, WRONG_USE, INCOMPLETE, REFUSED = range(5)
_UNREAD_TOLD = 5
_AFTER_ALL = "RefusedInput"
"""The one error of a run that has done all it could."""

DAY = click.DateTime(["%Y-%m-%d"])
as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON; amounts are strings.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="recon-pipeline", prog_name="recon")
def cli() -> None:
    """Prove every day, to the last decimal, that what venues say we hold follows from what moved.

    Exit codes: 0 green or done, 1 differences found, 2 wrong use or configuration, 3 incomplete or a source failed,
    4 refused.
    """


cli.add_command(capture)
cli.add_command(compare)
cli.add_command(coverage)
cli.add_command(errors)
cli.add_command(sandbox)
cli.add_command(secrets)
cli.add_command(venues)


def main() -> None:
    """The entry point: named errors are printed as they are, without a traceback.

    What nobody foresaw must not end with 1, which says that the books disagree.
    """
    try:
        code = cli.main(standalone_mode=False)
    except (click.exceptions.Abort, RunStopped):
        click.echo("Stopped: run it again to go on", err=True)
        code = INCOMPLETE
    except click.ClickException as error:
        if "--json" in sys.argv:
            told = "a command and options as recon --help lists them"
            where = f"recon {' '.join(sys.argv[1:])}"
            _print_error(
                ConfigError(error.format_message(), where=where, expected=told, next_step="correct the command")
            )
        else:
            error.show()
        code = WRONG_USE
    except ReconError as error:
        _print_error(error)
        code = error.exit_code
    except Exception as error:  # the last place where it can be given a name
        named = _named(error)
        _print_error(named)
        code = named.exit_code
    sys.exit(code if isinstance(code, int) else DONE)


@cli.command()
@click.option("--force", is_flag=True, help="Write over a recon.yaml that is there.")
def init(force: bool) -> None:
    """Write a commented recon.yaml, and the folder that it names."""
    path = Path(os.environ.get("RECON_CONFIG") or "recon.yaml")
    if path.exists() and not force:
        raise ConfigError("there is a recon.yaml already", where=str(path), next_step="edit it, or add --force")
    path.write_text(INIT_TEMPLATE, encoding="utf-8")
    for venue in load_settings(path).venues.values():
        venue.folder.mkdir(parents=True, exist_ok=True)
    click.echo(f"wrote {path}; put statements into {venue.folder}, then: recon run --from DAY --to DAY, or recon up")


@cli.command()
@click.option("--from", "first", type=DAY, required=True, help="The first day, as 2026-01-01.")
@click.option("--to", "last", type=DAY, required=True, help="The last day, inclusive.")
@click.option("--venue", "venues", multiple=True, help="This venue only; may be given more than once.")
@click.option("--account", "accounts", multiple=True, help="Replace this account's rows only; may be repeated.")
@click.option("--as-of", "as_of", type=DAY, help="The day from which it is judged what is due; today (UTC) by default.")
@as_json
def run(
    *,
    first: datetime,
    last: datetime,
    venues: tuple[str, ...],
    accounts: tuple[str, ...],
    as_of: datetime | None,
    is_json: bool,
) -> int:
    """Reconcile a range of days: what the UI would run, on the same Dagster instance."""
    settings = find_settings()
    named = [each for name in venues for each in venue_names(settings, name)]
    asked = _prices_first(settings, named or list(settings.venues))
    from recon_pipeline.reconcile.pipeline import Request, today

    of_accounts = frozenset(accounts) or None
    as_of_day = as_of.date() if as_of else today()
    requests = []
    for name in asked:
        days = _days(settings, name, first.date(), last.date())
        if days is not None:
            requests.append(Request(name, *days, as_of_day, of_accounts))
    if not requests:
        raise click.UsageError("no venue has a day in that range: " + _starts(settings, asked))
    with _progress(is_json) as say:
        results = run_requests(settings, requests, say)
    # an account is seldom at every venue: that one does not know it is wrong only if none does
    codes = [result.code for result in results if not result.knows_no_account]
    code = max(codes, key=_gravity, default=WRONG_USE)
    if is_json:
        click.echo(_json({"exit_code": code, "venues": [result.as_dict() for result in results]}))
    else:
        _print_results(results)
    return code


@dataclass(frozen=True)
class RunResult:
    """What a venue's run came to."""

    job: JobResult
    request: Request
    findings: Findings
    verdicts: list[AccountVerdicts]
    unread: list[str]
    """Files of the folder that nothing reads."""
    named_idly: list[str]
    """What openings and tolerances name though no row is about it; empty after a run of some accounts."""
    not_final: int
    """How many of its variances a late record may yet explain."""
    besides: Mapping[date, Mapping[str, int]]
    """Rows by status of the days that were computed anew besides those asked for."""

    @property
    def statuses_besides(self) -> Counter[str]:
        """Rows by status over all those days."""
        total: Counter[str] = Counter()
        for statuses in self.besides.values():
            total.update(statuses)
        return total

    @property
    def not_green(self) -> list[dict[str, Any]]:
        """Of each account with such days the last one, and why."""
        return [{"account": of.account, "date": of.why_of, "why": of.why} for of in self.verdicts if of.why_of]

    @property
    def knows_no_account(self) -> bool:
        """Whether the venue does not know an account that was asked for."""
        return any(name == "UnknownAccount" for name, _ in self.job.errors)

    @property
    def code(self) -> int:
        """2 for an account that the venue does not know, and for what recon.yaml or a command says wrongly; 3 for a run
        that was stopped or failed on its way, for its rows may be older ones; 1 for a red day, else 3 for an incomplete
        one or refused input, else 0."""
        if self.knows_no_account or any(name == ConfigError.__name__ for name, _ in self.job.errors):
            return WRONG_USE
        if any(name != _AFTER_ALL for name, _ in self.job.errors):
            return INCOMPLETE
        verdicts = {verdict for account in self.verdicts for verdict in account.verdicts}
        if "red" in verdicts or "variance" in self.findings.statuses or "variance" in self.statuses_besides:
            return DIFFERENCES
        is_incomplete = "incomplete" in verdicts or "incomplete" in self.statuses_besides
        return INCOMPLETE if is_incomplete or not self.job.success else DONE

    def as_dict(self) -> dict[str, Any]:
        """For a program."""
        return {
            "venue": self.job.venue,
            "run_id": self.job.run_id,
            "first_day": self.request.first_day,
            "last_day": self.request.last_day,
            "success": self.job.success,
            "exit_code": self.code,
            "errors": [{"name": name, "text": text} for name, text in self.job.errors],
            "rows": self.findings.statuses,
            "usd_at_variance": self.findings.usd_at_variance,
            "accounts": {account.account: account.verdicts for account in self.verdicts},
            "not_green": self.not_green,
            "disagreeing": self.findings.disagreeing,
            "disagreeing_rows": self.findings.disagreeing_rows,
            "unread_files": self.unread,
            "named_idly": self.named_idly,
            "variances_not_final": self.not_final,
            "days_besides": {str(day): statuses for day, statuses in self.besides.items()},
        }


def run_requests(settings: Settings, requests: list[Request], say: Say) -> list[RunResult]:
    """Run each venue's job, one after the other: a venue that fails fails alone."""
    say("starting the database")
    from recon_pipeline.assets.resource import open_database

    database = open_database(settings)
    say("starting Dagster")
    from recon_pipeline.assets.execution import execute, listening, open_instance

    instance = open_instance(settings, database)
    from recon_pipeline.definitions import build
    from recon_pipeline.reconcile.findings import count_not_final, find, find_besides, named_idly, verdicts
    from recon_pipeline.reconcile.stopping import stop_on_sigterm
    from recon_pipeline.stores.database import named_errors
    from recon_pipeline.stores.journal import unread_files

    definitions = build(settings)
    results = []
    with named_errors(database, "keeping Dagster's own tables"), listening(say), stop_on_sigterm(), instance:
        for request in requests:
            job = execute(instance, definitions, request)
            span = (request.first_day, request.last_day)
            found = find(database, request.venue, *span, accounts=request.accounts)
            told = verdicts(database, request.venue, *span, accounts=request.accounts)
            unread = unread_files(database, request.venue)
            idly = [] if request.accounts else named_idly(database, request.venue)
            besides = find_besides(database, request.venue, job.run_id, *span, accounts=request.accounts)
            not_final = count_not_final(database, request.venue, *span, accounts=request.accounts)
            results.append(RunResult(job, request, found, told, unread, idly, not_final, besides))
            if job.is_stopped:
                break
    return results


@cli.command()
@as_json
def status(is_json: bool) -> int:
    """Say how each venue stands on its latest day, what is open, and what is up."""
    settings = find_settings()
    from recon_pipeline.assets.processes import address, running
    from recon_pipeline.reconcile.standing import standings

    database = _database(settings)
    venues = standings(database, list(settings.venues)) if database else []
    up_now = running(settings)
    code = max((venue.code for venue in venues), key=_gravity, default=INCOMPLETE if settings.venues else DONE)
    if is_json:
        processes = {name: process.pid for name, process in up_now.items()}
        told = {"exit_code": code, "venues": [venue.as_dict() for venue in venues], "processes": processes}
        click.echo(_json(told))
        return code
    from recon_pipeline.terminal import console, rows_table

    out = console()
    if venues:
        rows = [venue.as_row() for venue in venues]
        out.print(rows_table("Venues", rows, list(rows[0])))
        for venue in venues:
            if venue.not_green:
                out.print(rows_table(f"{venue.venue}: why not green", venue.not_green, list(venue.not_green[0])))
    else:
        out.print("nothing has run yet: recon run --from DAY --to DAY, or recon up")
    out.print(f"UI: {address(up_now['webserver'])}" if "webserver" in up_now else "UI: down (recon up starts it)")
    return code


@cli.command()
@click.option("--port", default=3000, show_default=True, help="Of the UI; another one is taken if it is not free.")
@as_json
def up(port: int, is_json: bool) -> None:
    """Start the UI and the daemon, with its schedules and sensors, and say where they are."""
    settings = find_settings()
    from recon_pipeline.assets.processes import address, up

    with _progress(is_json) as say:
        database = _prepare(settings, say)
        say("starting the UI and the daemon")
        there = up(settings, database, port)
    from recon_pipeline.stores.database import shown

    told = {"ui": address(there["webserver"]), "database": shown(database), "lake": settings.lake_url}
    if is_json:
        click.echo(_json(told | {"processes": {name: process.pid for name, process in there.items()}}))
        return
    for name, where in told.items():
        click.echo(f"{name:<9} {where}")
    click.echo("recon down ends them")


@cli.command()
@as_json
def down(is_json: bool) -> None:
    """End what `recon up` started, and the embedded PostgreSQL."""
    settings = find_settings()
    from recon_pipeline.assets.processes import down
    from recon_pipeline.stores.embedded import EmbeddedPostgres

    ended = down(settings)
    if settings.database_url is None and EmbeddedPostgres(settings.home).stop():
        ended.append("postgres")
    click.echo(_json({"ended": ended}) if is_json else f"ended: {', '.join(ended) or 'nothing was up'}")


@cli.command()
@as_json
def demo(is_json: bool) -> int:
    """Reconcile a month of a simulated Binance, from nothing to a table of what is wrong in it."""
    from recon_pipeline.demo import as_dict, demo_sandbox, print_result, run_demo

    with demo_sandbox() as (settings, venue), _progress(is_json) as say:
        result = run_demo(settings, venue, say)
    if is_json:
        click.echo(_json(as_dict(result)))
    else:
        print_result(settings, result)
    return DONE if result.is_right else DIFFERENCES


@cli.group()
def database() -> None:
    """The PostgreSQL in use."""


@database.command()
@as_json
def url(is_json: bool) -> None:
    """Print the URL in use, its password included; the embedded server is started if it is not up."""
    from recon_pipeline.assets.resource import open_database
    from recon_pipeline.stores.database import libpq_url

    settings = find_settings()
    # whether a server that the user named answers is not asked
    found = libpq_url(settings.database_url or open_database(settings))
    click.echo(_json({"url": found}) if is_json else found)


@cli.command()
@click.option(
    "--to", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("export"), show_default=True
)
@as_json
def export(folder: Path, is_json: bool) -> None:
    """Write each mart as a CSV file.

    Text that a spreadsheet would run as a formula has an apostrophe before it.
    """
    settings = find_settings()
    from recon_pipeline.assets.resource import open_database
    from recon_pipeline.stores.export import export_marts

    files = export_marts(open_database(settings), folder)
    if is_json:
        click.echo(_json({"files": [{"path": str(path), "rows": rows} for path, rows in files.items()]}))
        return
    for path, rows in files.items():
        click.echo(f"{path}  {rows} rows")


# -- helpers


def _prepare(settings: Settings, say: Say) -> str:
    """Database, tables and Dagster's own tables, before several processes would make them at once."""
    say("starting the database")
    from recon_pipeline.assets.execution import open_instance
    from recon_pipeline.assets.resource import open_database

    database = open_database(settings)
    with open_instance(settings, database):
        return database


def _database(settings: Settings) -> str | None:
    """The database for a look at it; None if there is none. An embedded one stays up: what began meanwhile uses it."""
    from recon_pipeline.assets.resource import open_database
    from recon_pipeline.stores.embedded import EmbeddedPostgres

    if settings.database_url is None and not EmbeddedPostgres(settings.home).data.exists():
        return None
    return open_database(settings)


def _days(settings: Settings, venue: str, first: date, last: date) -> tuple[date, date] | None:
    """The range inside the venue's days (from its start to yesterday); None if nothing of it is."""
    from recon_pipeline.reconcile.pipeline import today

    if first > last:
        raise click.UsageError(f"--from {first} is after --to {last}")
    first, last = max(first, settings.venues[venue].start), min(last, today() - timedelta(days=1))
    return (first, last) if first <= last else None


def _prices_first(settings: Settings, names: list[str]) -> list[str]:
    """Venues whose prices another one uses before that one: its rows are then computed once."""
    ordered: list[str] = []

    def add(name: str, users: tuple[str, ...]) -> None:
        for source in settings.venues[name].price_sources:
            if source in names and source not in users:
                add(source, (*users, name))
        if name not in ordered:
            ordered.append(name)

    for name in names:
        add(name, (name,))
    return ordered


def _starts(settings: Settings, venues: list[str]) -> str:
    from recon_pipeline.reconcile.pipeline import today

    yesterday = today() - timedelta(days=1)
    return ", ".join(
        f"{name} has those from {settings.venues[name].start} to yesterday, {yesterday}" for name in venues
    )


def _gravity(code: int) -> int:
    """Wrong use outranks differences, which outrank incompleteness, which outranks done."""
    return (DONE, INCOMPLETE, DIFFERENCES, WRONG_USE).index(code)


@contextmanager
def _progress(quiet: bool) -> Iterator[Say]:
    """A line that says what is being done, on a terminal only; elsewhere no more than what a run waits for."""
    from rich.console import Console

    terminal = Console(stderr=True)
    if quiet or not terminal.is_terminal:
        say: Say = _say_nothing if quiet else _say_waiting
        yield say
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=terminal, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda text, done=0, all_=0: progress.update(task, description=text, completed=done, total=all_ or None)


def _say_nothing(text: str, done: int = 0, all_: int = 0) -> None: ...


def _say_waiting(text: str, done: int = 0, all_: int = 0) -> None:
    from recon_pipeline.reconcile.pipeline import WAITING

    if text.startswith(WAITING):
        click.echo(text, err=True)


def _print_results(results: list[RunResult]) -> None:
    from recon_pipeline.terminal import console, rows_table, verdict_table

    out = console()
    out.print(verdict_table({result.job.venue: result.verdicts for result in results}))
    for result in results:
        if result.not_green:
            title = f"{result.job.venue}: why not green, of the last such day"
            out.print(rows_table(title, result.not_green, list(result.not_green[0])))
        rows = result.findings.disagreeing
        if rows:
            names = (
                "date",
                "account",
                "wallet",
                "asset",
                "status",
                "discrepancy_type",
                "variance_in_asset",
                "variance_in_usd",
            )
            all_ = result.findings.disagreeing_rows
            out.print(rows_table(f"{result.job.venue}: rows that disagree", rows, names, all_=all_))
        if result.not_final:
            out.print(_told_not_final(result))
        if result.besides:
            out.print(_told_besides(result))
        if result.unread:
            out.print(_told_unread(result), style="yellow")
        if result.named_idly:
            out.print(_told_idly(result), style="yellow")
        for _name, text in result.job.errors:
            out.print(text, style="red")


def _told_besides(result: RunResult) -> str:
    days = sorted(result.besides)
    span = str(days[0]) if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
    rows = ", ".join(f"{status} {rows}" for status, rows in sorted(result.statuses_besides.items()))
    return f"{result.job.venue}: what {span} rests on had changed, computed anew as well: {rows}"


def _told_not_final(result: RunResult) -> str:
    rows = result.findings.statuses.get("variance", 0)
    return (
        f"{result.job.venue}: {result.not_final} of {rows} variances are not final: late records, or trades in markets"
        " still to be asked, may explain them (is_final in marts.open_variances)"
    )


def _told_unread(result: RunResult) -> str:
    shown = ", ".join(result.unread[:_UNREAD_TOLD])
    more = len(result.unread) - _UNREAD_TOLD
    more_told = f" and {more} more" if more > 0 else ""
    return f"{result.job.venue}: nothing reads {shown}{more_told}: no glob under `files` and no frame's name fits"


def _told_idly(result: RunResult) -> str:
    named = "; ".join(result.named_idly)
    return f"{result.job.venue}: recon.yaml names what no row is about: {named}: correct the name there, or remove it"


def _json(value: Any) -> str:
    """JSON in which every amount is a string, in full."""
    return json.dumps(value, indent=2, default=lambda v: format(v, "f") if isinstance(v, Decimal) else str(v))


def _named(error: Exception) -> ReconError:
    """A name for an error that has none of ours: of the file system, or of nobody knows what."""
    from recon_pipeline.stores.database import redacted

    if isinstance(error, OSError):
        return StoreError(
            f"the file system refused: {error.strerror or type(error).__name__}",
            where=str(error.filename or f"recon {' '.join(sys.argv[1:])}"),
            expected="a folder that exists, has room, and may be written to",
            next_step="mend that and run again; what was stored before stays",
        )
    text = redacted("".join(traceback.format_exception(error)), "")
    return UnforeseenError(
        f"{type(error).__name__}: {redacted(str(error), '').strip().partition(chr(10))[0]}",
        where=f"recon {' '.join(sys.argv[1:])}",
        expected="an error with a name",
        next_step=f"report it with what follows; what was stored before stays\n{text}",
    )


def _print_error(error: ReconError) -> None:
    if "--json" in sys.argv:
        told = {"name": type(error).__name__, "found": error.found, "where": error.where, "expected": error.expected}
        click.echo(_json({"exit_code": error.exit_code, "error": told | {"next_step": error.next_step}}))
    else:
        click.echo(str(error), err=True)
