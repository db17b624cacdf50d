"""`kill -9` in the midst of a pull, then a run: no hole, no double, and nothing asked for again that was final."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recon_pipeline.config import Settings
from recon_pipeline.reconcile.pipeline import Request, VenueRun
from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.venues.binance.reading import SEARCHED
from recon_pipeline.venues.binance.streams import STREAMS
from recon_pipeline.venues.streams import Window
from recon_pipeline_tests.binance_home import VENUE, BinanceHome, binance_home, midnight
from recon_pipeline_tests.servers import administer

pytestmark = pytest.mark.postgres

FIRST, LAST = date(2026, 1, 3), date(2026, 1, 5)
LATE = datetime(2026, 1, 22, 2, tzinfo=UTC)
"""So late that every horizon has passed: what is read to the end is final."""
SECONDS_MAX = 120
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["recon_pipeline.reconcile.pipeline"])


def _pull(settings: Settings, secrets: dict[str, str], url: str) -> None:
    os.environ.update(secrets)
    run = VenueRun(settings, Request(VENUE, FIRST, LAST, LATE.date()), "killed", url)
    run.read()


def kill_in_a_pull(home: BinanceHome, after: int) -> None:
    """Run in another process, and kill it once it has asked so many questions."""
    log = home.sandbox.site.gate.log
    begun = len(log)
    child = _context.Process(target=_pull, args=(home.settings, dict(home.sandbox.environment), home.url))
    child.start()
    deadline = time.monotonic() + SECONDS_MAX
    while len(log) - begun < after:
        assert child.is_alive(), "the pull ended before it was killed"
        assert time.monotonic() < deadline, "the pull did not get that far"
        time.sleep(0.001)
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join(SECONDS_MAX)
    assert child.exitcode == -signal.SIGKILL


@dataclass(frozen=True)
class Stood:
    """What had been read to the end at a moment."""

    final: set[tuple[str, str, date]]
    markets: dict[tuple[str, str], datetime]


def stood(home: BinanceHome) -> Stood:
    final = home.ask("SELECT account, stream, date FROM recon.pulls WHERE status = 'final'")
    asked = home.ask("SELECT account, symbol, asked_through FROM recon.asked_symbols WHERE stream = 'spot_trades'")
    return Stood({(a, s, d) for a, s, d in final}, {(a, s): through for a, s, through in asked})


def asked_again(entry: Mapping[str, Any], before: Stood) -> bool:
    """Whether a request was for nothing but days that were final, or for a market that had been asked."""
    if entry["path"] == "/api/v3/myTrades":
        through = before.markets.get((entry["account"], entry["params"]["symbol"]))
        return through is not None and through >= midnight(LAST + timedelta(days=1))
    streams = [s for s in STREAMS if s.endpoint.path == entry["path"] and s.role in ("flow", "snapshot", "detail")]
    spans = [(s, span) for s in streams if s.window and (span := days_of(s.window, entry["params"]))]
    return bool(spans) and all(
        all((entry["account"], stream.name, day) in before.final for day in span) for stream, span in spans
    )


def days_of(window: Window, params: dict[str, str]) -> list[date]:
    """The days that a request asks for; none if it does not name them."""
    if window.start not in params or window.end not in params:
        return []
    first, last = (_day(window, params[name]) for name in (window.start, window.end))
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _day(window: Window, value: str) -> date:
    if window.unit == "text":
        return date.fromisoformat(value[:10])
    return datetime.fromtimestamp(int(value) / (1000 if window.unit == "ms" else 1), UTC).date()


def contents(home: BinanceHome) -> dict[str, Any]:
    """What a run leaves: rows, records that count, and how every day of every stream stands."""
    return {
        "rows": home.ask(
            "SELECT date, account, wallet, asset, start_balance, calculated_balance, actual_balance, status,"
            " flow_count FROM recon.reconciliation ORDER BY 1, 2, 3, 4"
        ),
        "records": home.ask(
            "SELECT account, stream, record_key, digest FROM recon.raw_records"
            " WHERE superseded_at IS NULL AND stream NOT IN ('listed', 'exchange_info', 'account_info')"
            " ORDER BY 1, 2, 3"
        ),
        "days": home.ask(
            "SELECT account, stream, date, status FROM recon.pulls WHERE account <> '' AND date <= :last"
            " ORDER BY 1, 2, 3", last=LAST,
        ),
    }  # fmt: skip


def test_a_killed_pull_is_taken_up_where_it_was(
    tmp_path: Path, postgres: EmbeddedPostgres, migrated: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(17, days=22, subs=0)
    found, known = [], Counter[str]()
    administer(postgres, f"CREATE DATABASE undisturbed TEMPLATE {migrated} OWNER recon_owner")
    for number, (url, kills) in enumerate(((postgres.url(database="undisturbed"), ()), (database, (40, 450, 60)))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with binance_home(world, folder, url, monkeypatch, start=FIRST) as home:
            home.capture_days(FIRST - timedelta(days=1), LAST)
            home.advance(LATE)
            log = home.sandbox.site.gate.log
            for after in kills:
                before, begun = stood(home), len(log)
                known.update(markets=len(before.markets), final=len(before.final))
                kill_in_a_pull(home, after)
                assert [e for e in log[begun:] if asked_again(e, before)] == []
            before, begun = stood(home), len(log)
            home.run(FIRST, LAST, when=LATE)
            assert [e for e in log[begun:] if asked_again(e, before)] == []
            found.append(contents(home))
            assert max(Counter((a, s, k) for a, s, k, _ in found[-1]["records"]).values()) == 1
    administer(postgres, "DROP DATABASE undisturbed WITH (FORCE)")
    assert known["markets"] > 0, "no pull was killed while it asked for trades"
    assert known["final"] > 0
    undisturbed, killed = found
    assert {**killed, "records": []} == {**undisturbed, "records": []}
    # each run takes its share of the rotation: whoever ran more often knows what trades left no trace, and their prices
    more = set(killed["records"]) - set(undisturbed["records"])
    assert {stream for _, stream, _, _ in more} <= {*SEARCHED, "klines"}
    assert set(undisturbed["records"]) <= set(killed["records"])
    assert {row[7] for row in found[0]["rows"]} <= {"matched", "opening"}
