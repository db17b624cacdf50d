"""Captures cannot be made later: they wait for nothing that a backfill spends."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recon_pipeline.frames.schema import FRAMES
from recon_pipeline.sandbox.binance.gate import Asked, Told
from recon_pipeline.stores.raw import RawStore
from recon_pipeline.transport.budgets import Budgets, Place
from recon_pipeline.transport.clock import clock_of
from recon_pipeline.venues.binance import endpoints
from recon_pipeline.venues.binance.capture import Capture, Read, groups
from recon_pipeline.venues.binance.reading import table_of, without_races
from recon_pipeline.venues.streams import AccountFacts
from recon_pipeline_tests.binance_home import binance_home, midnight
from recon_pipeline_tests.test_binance_open_days import MAIN, day, quiet_world

pytestmark = pytest.mark.postgres
FUNDING = "/sapi/v1/asset/get-funding-asset"
OPTION = "/eapi/v1/marginAccount"
WEIGHT = 20


def test_what_a_flow_moved_while_it_was_captured_is_refused_even_where_nothing_was_stated_of_it() -> None:
    as_of = midnight(day(4)) + timedelta(minutes=5)
    stated = {"account": MAIN, "wallet": "FUNDING", "asset": "BNB", "as_of": as_of, "date": day(3), "source": "x"}
    races = {(MAIN, wallet, "USDT", as_of.isoformat()): "w1" for wallet in ("FUNDING", "OPTION")}
    kept, refused = without_races(table_of(FRAMES["balances"], [stated], {}), races)
    assert [(row["wallet"], row["asset"], row["date"]) for row in refused] == [("FUNDING", "USDT", day(3))]
    assert kept["asset"].to_pylist() == ["BNB"]


def test_a_wallet_that_was_told_of_a_moment_ago_is_there_whatever_the_venue_says_then(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(3)) as home:
        gate, asked_for = home.sandbox.site.gate, list[str]()
        truly = gate.tell

        def once(asked: Asked, now_us: int) -> Told:
            answer = truly(asked, now_us)
            if asked.path != OPTION:
                return answer
            asked_for.append(asked.path)
            is_first = len(asked_for) == 1
            return answer if is_first else replace(answer, status=400, body=b'{"code":-2015,"msg":"No such account."}')

        monkeypatch.setattr(gate, "tell", once)
        home.capture_days(day(3), day(3))
        assert len(asked_for) > 1
        told = home.ask(
            "SELECT status, error FROM recon.pulls WHERE stream = 'option_account' AND date = :on", on=day(3)
        )
        assert told == [("failed", "NotCaptured")]


def test_of_two_captures_of_one_night_at_once_the_first_is_the_day_s(database: str) -> None:
    """Two processes, each of which found that nothing was captured yet; a sub-account is captured by itself."""
    subs = ("one@example.com", "other@example.com")
    extras = {"subs_without_key": subs}
    facts = AccountFacts(MAIN, subs=subs, products=frozenset({"spot", "earn"}), extras=extras)
    nothing: Any = None
    with closing(RawStore(database, "binance")) as raw:
        session: Any = SimpleNamespace(raw=raw)
        capture = Capture(session, nothing)

        def keep(night: int, minute: int) -> None:
            at = midnight(day(night + 1)) + timedelta(minutes=minute)
            for group in groups(facts):
                reads = [Read(stream, call, (), ()) for stream, call in group.streams]
                capture._keep(facts, group, reads, day(night), (at, at, at))

        def kept() -> list[tuple[str, str, str]]:
            rows = raw.records()
            return sorted((row.stream, row.call.get("email", ""), str(row.content["as_of"])) for row in rows)

        keep(3, 5)
        first = kept()
        assert {email for _, email, _ in first} == {"", *subs}
        assert len(first) == len({(stream, email) for stream, email, _ in first})
        keep(3, 6)
        assert kept() == first
        keep(4, 5)
        assert len(kept()) == 2 * len(first)


def test_a_capture_begins_within_its_minute_whatever_a_backfill_has_spent(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(3)) as home:
        home.advance(midnight(day(4)) + timedelta(minutes=5))
        clock = clock_of(home.sandbox.url)
        with closing(Budgets(database, clock)) as budgets, clock.working():
            place = Place(f"{home.sandbox.url.split('//')[1]}/api", endpoints.ACCOUNT.bucket)
            allowance = budgets.allowance(place.bucket)
            for _ in range((allowance.usable - allowance.reserve) // WEIGHT):
                budgets.take(place, WEIGHT)
        due, before = home.now, len(home.sandbox.site.gate.log)
        assert home.capture() > 0
        asked = [entry["at_us"] for entry in home.sandbox.site.gate.log[before:] if entry["path"] == FUNDING]
        assert min(asked) / 1_000_000 - due.timestamp() < 60
