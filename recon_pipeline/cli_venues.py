"""`recon venues` and `recon sandbox`: what can be read of each venue, and a simulated one to try it with."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from recon_pipeline.api_settings import ApiSettings
from recon_pipeline.cli_settings import find_settings, venue_names
from recon_pipeline.config import Settings, VenueSettings
from recon_pipeline.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from recon_pipeline.venues.binance.statement_zone import OtherZone

as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("name", required=False)
@as_json
def venues(name: str | None, is_json: bool) -> None:
    """List the venues; of one venue every stream that is read, and what is not certain of it.

    Among the accounts without a key are sub-accounts that a run found and recon.yaml does not name.
    """
    settings = find_settings()
    of_venues = [settings.venues[each] for each in venue_names(settings, name)]
    told = _streams(of_venues[0]) if name else [_venue(settings, venue) for venue in of_venues]
    if is_json:
        click.echo(json.dumps(told, indent=2, default=str))
        return
    from recon_pipeline.terminal import console, rows_table

    title = f"Streams of {name}" if name else "Venues"
    console().print(rows_table(title, told, list(told[0]), most=len(told)))
    if any(row.get("without_key") for row in told):
        click.echo(
            "Without a key of its own a sub-account is read as far as its main account may see it: live balances,"
            " deposits and transfers, neither trades nor daily snapshots."
        )


def _venue(settings: Settings, venue: VenueSettings) -> dict[str, Any]:
    accounts = venue.api.accounts if venue.api else {}
    return {
        "venue": venue.name,
        "kind": venue.kind,
        "start": venue.start,
        "due_days": venue.due_days,
        "accounts": ", ".join(accounts),
        "without_key": ", ".join(_without_key(settings, venue.name, venue.api)) if venue.api else "",
        "source": (venue.api.sandbox or "the venue itself") if venue.api else str(venue.folder),
    }


def _without_key(settings: Settings, venue: str, api: ApiSettings) -> list[str]:
    """What recon.yaml says is told whether or not there is a database to ask what was found."""
    from recon_pipeline.assets.resource import open_database
    from recon_pipeline.stores.raw import RawStore
    from recon_pipeline.venues.binance.accounts import SUB_ACCOUNTS, SUBS_LISTED, without_key

    try:
        with closing(RawStore(open_database(settings), venue)) as raw:
            return without_key(api, raw.records([SUB_ACCOUNTS, SUBS_LISTED]))
    except StoreError as error:
        click.echo(f"which sub-accounts were found besides cannot be told: {error}", err=True)
        return without_key(api, ())


def _streams(venue: VenueSettings) -> list[dict[str, Any]]:
    if venue.api is None:
        return [{"stream": stream, "role": "flow", "endpoint": str(venue.folder)} for stream in ("transfers", "trades")]
    from recon_pipeline.venues.binance.streams import STREAMS

    return [
        {
            "stream": stream.name,
            "role": stream.role,
            "endpoint": str(stream.endpoint),
            "wallets": ", ".join(stream.wallets),
            "horizon_days": stream.horizon_days,
            "shape": "documented" if stream.is_verified else "shape unverified",
        }
        for stream in STREAMS
    ]


@click.command()
@click.option("--venue", required=True, help="A venue that is asked over HTTP.")
@as_json
def compare(venue: str, is_json: bool) -> int:
    """Compare what the API told with statements that a person downloaded into the venue's folder; 1 if they differ,
    3 if no statement tells of an account with a user_id, or a file beside them is no CSV."""
    settings = find_settings()
    of_venue = settings.venues.get(venue)
    if of_venue is None or of_venue.api is None:
        known = ", ".join(name for name, each in settings.venues.items() if each.api)
        raise ConfigError(
            f"'{venue}' is not asked over HTTP",
            where="--venue",
            expected=known or "such a venue",
            next_step="name a venue of kind binance",
        )
    from recon_pipeline.assets.resource import open_database
    from recon_pipeline.venues.binance.comparing import compare_statements, day_of

    found = compare_statements(of_venue, open_database(settings))
    rows = [
        {
            "told_by": line.side,
            "account": line.account,
            "wallet": line.wallet or "",
            "asset": line.asset,
            "amount": format(line.amount, "f"),
            "at": _second(line.at),
            "what": line.what,
            "where": line.place,
            "day": found.read[day_of(line)],
        }
        for line in found.alone
    ]
    spans = {
        account: [{"from": _second(first), "to": _second(last)} for first, last in of_account]
        for account, of_account in found.spans.items()
    }
    if is_json:
        told = {
            "statement_rows": found.rows,
            "compared": spans,
            "told_by_one_side": rows,
            "not_compared": found.untold,
            "without_user_id": found.unnamed,
            "not_read": found.unread,
            "hints": [_hint(hint) for hint in found.hints],
        }
        click.echo(json.dumps(told, indent=2))
    else:
        _show(rows, found.rows, spans)
    for hint in found.hints:
        click.echo(str(hint), err=True)
    if unread := sum(row["day"] != "read" for row in rows):
        told_so = f"{unread} of these rows are of days that the API was not read of, or in part: recon coverage --holes"
        click.echo(told_so, err=True)
    if found.untold:
        click.echo(f"not compared, for no statement has a row of them: {', '.join(found.untold)}", err=True)
    if found.unnamed:
        click.echo(f"not compared, for recon.yaml has no user_id of them: {', '.join(found.unnamed)}", err=True)
    if found.unread:
        click.echo(f"not read, for it is no .csv: {', '.join(found.unread)}; unpack it first", err=True)
    return 1 if rows else 3 if found.untold or found.unread else 0


def _show(alone: list[dict[str, str]], rows: int, spans: dict[str, list[dict[str, str]]]) -> None:
    """What one side tells alone, and when: between two statements nothing was compared."""
    if alone:
        from recon_pipeline.terminal import console, rows_table

        console().print(rows_table("Told by one side alone", alone, list(alone[0]), most=200))
    else:
        click.echo(f"{rows} rows of statements, each told by the API too, and no other")
    for account, of_account in spans.items():
        compared = ", ".join(f"{span['from']} to {span['to']}" for span in of_account)
        click.echo(f"compared of {account}, in UTC: {compared}")


def _hint(hint: OtherZone) -> dict[str, Any]:
    from recon_pipeline.venues.binance.statement_zone import zone_name

    return {
        "hint": type(hint).__name__,
        "file": hint.file,
        "rows": hint.rows,
        "matching": hint.matching,
        "read_as": zone_name(hint.ahead),
        "would_match": hint.would_match,
        "if": zone_name(hint.likely_ahead),
    }


def _second(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Serve a simulated Binance on this machine, with accounts, keys and planted faults (--help lists its options)."""
    from recon_pipeline.sandbox.binance.__main__ import main

    sys.exit(main(list(arguments)))
