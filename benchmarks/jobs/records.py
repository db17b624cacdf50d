"""Records that Binance told, from PostgreSQL to frames: `recon_pipeline.venues.binance.reading.read_mapped`.

    python -m benchmarks.jobs.records HOME start --days 4 --copies 10 100 | read --copies 10 | stop

`start` brings up an embedded server in HOME, has a simulated Binance pulled into it over HTTP, and copies what one
account told to so many others, as a venue of its own for each number of accounts. `read` reads one of these venues.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from recon_pipeline.config import Settings, load_settings
from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.stores.database import engine, migrate
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.stores.raw import RawStore
from recon_pipeline.venues.binance.reading import INPUTS, read_mapped
from recon_pipeline_tests.binance_home import VENUE, binance_home
from recon_pipeline_tests.nightly import BEFORE, BEHIND, judged

SEED = 5
OF_ALL = "*"
"""The account of what everybody may know, such as the list of markets: it is copied once."""
TABLES = ("raw_records", "pulls", "asked_symbols")


def venue_of(copies: int) -> str:
    """The name of the venue with so many accounts."""
    return f"binance_{copies}"


def live(home: Path, url: str, days: int) -> None:
    """Pull a world of one account: its nights' captures, and every day in one run."""
    world = make_world(SEED, days=days + BEFORE + BEHIND, subs=0)
    first, last = judged(world)
    with pytest.MonkeyPatch.context() as patch, binance_home(world, home, url, patch, start=first) as pulled:
        pulled.capture_days(first, last)
        pulled.run(first, last)


def copy(url: str, copies: int) -> None:
    """Copy everything that was told to a venue of so many accounts. No two records are equal, for one that is equal to
    another is not read again."""
    with engine(url).begin() as opened:
        for table in TABLES:
            columns = opened.execute(
                sa.text(
                    "SELECT column_name FROM information_schema.columns WHERE table_schema = 'recon'"
                    " AND table_name = :table AND is_identity = 'NO' ORDER BY ordinal_position"
                ),
                {"table": table},
            ).scalars()
            told = {
                name: {
                    "venue": ":to_venue",
                    "account": "CASE WHEN account = :of_all THEN account ELSE n || '-' || account END",
                    "digest": "encode(sha256((n || digest)::bytea), 'hex')",
                }.get(name, name)
                for name in columns
            }
            opened.execute(
                sa.text(
                    f"INSERT INTO recon.{table} ({', '.join(told)}) SELECT {', '.join(told.values())}"
                    f" FROM recon.{table} CROSS JOIN generate_series(1, :copies) n"
                    " WHERE venue = :venue AND (account <> :of_all OR n = 1)"
                ),
                {"to_venue": venue_of(copies), "venue": VENUE, "copies": copies, "of_all": OF_ALL},
            )
            opened.execute(sa.text(f"ANALYZE recon.{table}"))


def read(settings: Settings, url: str, copies: int) -> dict[str, float | int]:
    """Read a venue once: seconds, records, and rows of all frames but the ledger's."""
    pulled = settings.venues[VENUE]
    if pulled.api is None:
        raise SystemExit(f"{VENUE} was not pulled over HTTP")
    accounts = {
        f"{n}-{name}": replace(account, name=f"{n}-{name}")
        for name, account in pulled.api.accounts.items()
        for n in range(1, copies + 1)
    }
    venue, api = replace(pulled, name=venue_of(copies)), replace(pulled.api, accounts=accounts)
    with closing(RawStore(url, venue.name)) as raw:
        started = time.perf_counter()
        reading = read_mapped(venue, api, raw).reading
        seconds = time.perf_counter() - started
        records = len(raw.standing())
    rows = sum(len(reading.frames[name]) for name in INPUTS if name not in ("prices", "coverage"))
    return {"seconds": seconds, "records": records, "rows": rows}


def settings_in(home: Path, url: str) -> Settings:
    """The settings that the world was pulled with."""
    return load_settings(home / "recon.yaml", {"RECON_HOME": str(home / "home"), "RECON_DATABASE_URL": url})


def main(arguments: Sequence[str] | None = None) -> None:
    """One step of the comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("step", choices=("start", "read", "stop"))
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--copies", type=int, nargs="+", default=[1])
    asked = parser.parse_args(arguments)
    home: Path = asked.home.absolute()
    server = EmbeddedPostgres(home / "postgres")
    if asked.step == "stop":
        server.stop()
        return
    url = server.start()
    if asked.step == "start":
        migrate(url)
        live(home, url, asked.days)
        for copies in asked.copies:
            copy(url, copies)
        return
    print(json.dumps(read(settings_in(home, url), url, *asked.copies)))


if __name__ == "__main__":
    main()
