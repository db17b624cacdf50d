"""Budgets in PostgreSQL: shared by threads and processes, stopped by bans, free again after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from recon_pipeline.errors import ConfigError
from recon_pipeline.stores.database import connection, engine
from recon_pipeline.transport.budgets import Budgets, Place
from recon_pipeline.transport.clock import LiveClock, SharedClock
from recon_pipeline.transport.endpoints import Bucket
from recon_pipeline.transport.errors import HostBanned, RateLimit
from recon_pipeline_tests.clock_server import clock_server

pytestmark = pytest.mark.postgres

SHARED = Bucket("/api", 6000, "ip", is_shared_with_live=True)
DEAR = Bucket("/sapi/v1/accountSnapshot", 12000, "ip", is_shared_with_live=True)
BRIEF = Bucket("/brief", 40, "ip", seconds=2)


@pytest.fixture
def simulated(database: str) -> Iterator[tuple[Budgets, SharedClock]]:
    with clock_server() as (url, _):
        clock = SharedClock(url)
        budgets = Budgets(database, clock)
        yield budgets, clock
        budgets.close()
        clock.close()


def place(bucket: Bucket, subject: str = "ip") -> Place:
    return Place("api.example.com", bucket, subject)


def test_half_of_the_allowance_is_used_less_a_tenth_where_live_asks_draw_on_it_too() -> None:
    budgets = Budgets("postgresql://nobody@127.0.0.1:1/none", LiveClock())
    shared = budgets.allowance(SHARED)
    assert (shared.usable, shared.reserve) == (3000, 300)
    alone = budgets.allowance(Bucket("/x", 180000, "account"))
    assert (alone.usable, alone.reserve) == (90000, 0)
    quarter = Budgets("postgresql://nobody@127.0.0.1:1/none", LiveClock(), share=Decimal("0.25")).allowance(SHARED)
    assert (quarter.usable, quarter.reserve) == (1500, 150)
    with pytest.raises(ConfigError):
        Budgets("postgresql://nobody@127.0.0.1:1/none", LiveClock(), share=Decimal(2))
    with pytest.raises(ConfigError, match="can never be made"):
        budgets.take(place(SHARED), 6001)


def test_ten_minutes_of_a_dear_bucket_pass_at_once_and_in_whole_calls(simulated: tuple[Budgets, SharedClock]) -> None:
    budgets, clock = simulated
    with clock.working():
        start = clock.now()
        grants = [budgets.take(place(DEAR), 2400) for _ in range(20)]
    minutes = [(grant.at - start) // timedelta(minutes=1) for grant in grants]
    assert minutes == [index // 2 for index in range(20)]


def test_a_live_ask_goes_ahead_of_a_saturated_backfill(simulated: tuple[Budgets, SharedClock]) -> None:
    budgets, clock = simulated
    began, waits = threading.Event(), []

    def backfill() -> None:
        with clock.working():
            for _ in range(60):
                budgets.take(place(SHARED), 100)
                began.set()

    def capture() -> None:
        with clock.working():
            for _ in range(3):
                clock.sleep(40)
                due = clock.now()
                budgets.take(place(SHARED), 100, live=True)
                waits.append(clock.now() - due)

    with ThreadPoolExecutor(4) as threads, clock.working():
        work = [threads.submit(backfill), threads.submit(backfill), threads.submit(capture)]
        began.wait(10)
        clock.sleep(1200)
    for each in work:
        each.result()
    assert waits == [timedelta(0)] * 3


def test_accounts_have_budgets_of_their_own_where_the_venue_counts_by_account(
    simulated: tuple[Budgets, SharedClock],
) -> None:
    budgets, clock = simulated
    bucket = Bucket("/sapi/v1/capital/withdraw/history", 180000, "account")
    with clock.working():
        start = clock.now()
        for account in ("main@example.com", "desk-1_virtual@example.com"):
            for _ in range(5):
                assert budgets.take(place(bucket, account), 18000).at == start
        assert budgets.take(place(bucket, "main@example.com"), 18000).at == start + timedelta(minutes=1)


def test_a_hold_stops_one_bucket_and_a_ban_every_bucket_of_the_host(simulated: tuple[Budgets, SharedClock]) -> None:
    budgets, clock = simulated
    with clock.working():
        start = clock.now()
        budgets.hold(place(DEAR), 7, "HTTP 429")
        assert budgets.take(place(SHARED), 1).at == start
        assert budgets.take(place(DEAR), 2400).at == start + timedelta(seconds=7)
        budgets.ban("api.example.com", 120, "HTTP 418")
        budgets.ban("api.example.com", 1, "HTTP 418")  # a shorter one does not end the longer
        assert budgets.take(Place("fapi.example.com", SHARED), 1).at == start + timedelta(seconds=7)
        assert budgets.take(place(SHARED), 1, live=True).at == start + timedelta(seconds=127)
        budgets.ban("api.example.com", 3600, "HTTP 418")
        with pytest.raises(HostBanned, match="answers nobody before") as banned:
            budgets.take(place(SHARED), 1)
        assert banned.value.until == clock.now() + timedelta(hours=1)
        budgets.hold(Place("fapi.example.com", SHARED), 3600, "HTTP 429")
        with pytest.raises(RateLimit):
            budgets.take(Place("fapi.example.com", SHARED), 1)
        budgets.forget("api.example.com")
        assert budgets.take(place(SHARED), 1).at == clock.now()


def test_a_ban_that_is_over_is_not_the_reason_of_what_holds_later(simulated: tuple[Budgets, SharedClock]) -> None:
    budgets, clock = simulated
    with clock.working():
        budgets.ban("api.example.com", 60, "HTTP 418")
        clock.sleep(120)
        budgets.hold(place(DEAR), 3600, "HTTP 429")
        with pytest.raises(RateLimit, match="HTTP 429"):
            budgets.take(place(DEAR), 1)
        budgets.ban("api.example.com", 3600, "HTTP 418")
        with pytest.raises(HostBanned, match="HTTP 418"):
            budgets.take(place(DEAR), 1)


def test_what_the_venue_counts_beyond_ours_was_spent_by_others(simulated: tuple[Budgets, SharedClock]) -> None:
    budgets, clock = simulated
    with clock.working():
        grant = budgets.take(place(SHARED), 100)
        budgets.correct(grant, 90)
        assert budgets.take(place(SHARED), 100).at == grant.at
        budgets.correct(grant, 5400)
        assert budgets.take(place(SHARED), 100).at == grant.at + timedelta(minutes=1)


_SPENDER = """
import sys, time
from recon_pipeline.transport.budgets import Budgets, Place
from recon_pipeline.transport.clock import LiveClock
from recon_pipeline.transport.endpoints import Bucket
url, seconds = sys.stdin.readline().split()
budgets = Budgets(url, LiveClock())
place = Place("api.example.com", Bucket("/brief", 40, "ip", seconds=2))
until = time.monotonic() + float(seconds)
while time.monotonic() < until:
    budgets.take(place, 1)
    print(time.time(), flush=True)
"""


def spender(database: str, seconds: float) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", _SPENDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    assert started.stdin
    started.stdin.write(f"{database} {seconds}\n")
    started.stdin.flush()
    return started


def test_two_processes_share_one_budget_and_use_it(database: str) -> None:
    both = [spender(database, 7) for _ in range(2)]
    stamps = sorted(float(line) for each in both for line in each.communicate(timeout=60)[0].split())
    for index, stamp in enumerate(stamps):
        inside = [other for other in stamps[index:] if other < stamp + 1.95]  # the print comes a moment later
        assert len(inside) <= 20
    assert len(stamps) >= 0.8 * 20 * (stamps[-1] - stamps[0]) / 2


def test_a_killed_process_leaves_nothing_stuck(database: str) -> None:
    """One is killed while it waits, one while it holds the row's lock in the middle of its transaction."""
    budgets = Budgets(database, LiveClock())
    for _ in range(20):
        budgets.take(place(BRIEF), 1)
    waiting = spender(database, 60)
    with connection(database, "test") as opened:
        tickets = sa.text("SELECT count(*) FROM recon.budgets WHERE jsonb_array_length(tickets) > 0")
        deadline = time.monotonic() + 20
        while not _fresh(database, tickets) and time.monotonic() < deadline:
            time.sleep(0.02)
        opened.execute(sa.text("SELECT 1"))
    waiting.send_signal(signal.SIGKILL)
    waiting.communicate()
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin
    assert holder.stdout
    holder.stdin.write(f"{database}\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    began = time.monotonic()
    for _ in range(20):
        budgets.take(place(BRIEF), 1)
    assert time.monotonic() - began < 8
    budgets.close()


def _fresh(database: str, question: sa.TextClause) -> int:
    with connection(database, "test") as opened:
        return int(opened.scalar(question) or 0)


_HOLDER = """
import sys, time, psycopg2
opened = psycopg2.connect(sys.stdin.readline().strip())
opened.cursor().execute("SELECT 1 FROM recon.budgets FOR UPDATE")
print("held", flush=True)
time.sleep(60)
"""


class _Stopped(BaseException):
    pass


def test_who_is_stopped_while_it_waits_leaves_the_queue(database: str) -> None:
    budgets = Budgets(database, LiveClock())
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise _Stopped

    budgets.take(place(DEAR), 6000)
    with pytest.raises(_Stopped):
        budgets.take(place(DEAR), 2400, stop=stop)
    assert not _fresh(database, sa.text("SELECT count(*) FROM recon.budgets WHERE jsonb_array_length(tickets) > 0"))
    budgets.close()


def test_a_server_started_anew_is_found_again(database: str) -> None:
    budgets = Budgets(database, LiveClock())
    budgets.take(place(SHARED), 1)
    with engine(database).begin() as opened:
        opened.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    budgets.take(place(SHARED), 1)
    budgets.close()
