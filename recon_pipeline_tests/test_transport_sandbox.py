"""The client against the simulated Binance: weights as the venue's own log counts them, by its own minute."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recon_pipeline.sandbox.binance.server import Sandbox, serve
from recon_pipeline.sandbox.binance.world import make_world
from recon_pipeline.transport.archive import AnswerArchive
from recon_pipeline.transport.budgets import Budgets
from recon_pipeline.transport.client import Client
from recon_pipeline.transport.clock import SharedClock
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.errors import ApiKeyInvalid, KeyMayDoMore
from recon_pipeline.transport.secret import Secret
from recon_pipeline.venues.binance.dialect import BinanceDialect
from recon_pipeline.venues.binance.endpoints import ACCOUNT, ACCOUNT_SNAPSHOT, READ_LIST
from recon_pipeline.venues.binance.keycheck import check_key

pytestmark = pytest.mark.postgres

ACCOUNTS = 20
SNAPSHOTS_EACH = 2
MINUTE_US = 60_000_000
USABLE_SNAPSHOTS = 4800
"""Of 12000 a half, less a tenth, in whole calls of 2400: two a minute."""


@dataclass
class Desk:
    """A sandbox, and a client of it with the keys of every account."""

    sandbox: Sandbox
    client: Client
    clock: SharedClock
    keys: list[Credentials]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serve(make_world(7, days=2, subs=ACCOUNTS - 1)) as served:
        yield served


@pytest.fixture
def desk(sandbox: Sandbox, database: str, tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        clock = SharedClock(sandbox.url)
        stack.callback(clock.close)
        budgets, archive = Budgets(database, clock), AnswerArchive(tmp_path / "answers", database)
        stack.callback(budgets.close)
        stack.callback(archive.close)
        bases = dict.fromkeys(("api", "fapi", "dapi", "eapi", "papi"), sandbox.url)
        client = Client("binance", bases, READ_LIST, BinanceDialect(), budgets=budgets, archive=archive, clock=clock)
        stack.callback(client.close)
        keys = [Credentials(email, Secret(key.key), Secret(key.secret)) for email, key in sandbox.credentials.items()]
        yield Desk(sandbox, client, clock, keys)


def by_minute(log: list[dict[str, Any]], bucket: str) -> Counter[int]:
    """The weight of each of the venue's minutes."""
    weights: Counter[int] = Counter()
    for call in log:
        if call["bucket"] == bucket:
            weights[call["at_us"] // MINUTE_US] += call["weight"]
    return weights


def test_a_backfill_of_twenty_accounts_uses_its_budget_draws_no_429_and_lets_captures_through(desk: Desk) -> None:
    before, waits = len(desk.sandbox.log), []

    def backfill(key: Credentials) -> None:
        with desk.clock.working():
            for _ in range(SNAPSHOTS_EACH):
                desk.client.ask(ACCOUNT_SNAPSHOT, {"type": "SPOT"}, key)
                desk.client.ask(ACCOUNT, {}, key)

    def captures() -> None:
        with desk.clock.working():
            for _ in range(8):
                desk.clock.sleep(100)
                due = desk.clock.now()
                desk.client.ask(ACCOUNT, {}, desk.keys[0], live=True)
                waits.append((desk.clock.now() - due).total_seconds())

    with ThreadPoolExecutor(ACCOUNTS + 1) as threads:
        work = [threads.submit(backfill, key) for key in desk.keys] + [threads.submit(captures)]
        for each in work:
            each.result()
    log = desk.sandbox.log[before:]
    assert {call["status"] for call in log} == {200}
    per_minute = by_minute(log, ACCOUNT_SNAPSHOT.path)
    assert sum(per_minute.values()) == ACCOUNTS * SNAPSHOTS_EACH * 2400
    saturated = [per_minute[minute] for minute in range(min(per_minute), max(per_minute))]
    assert len(saturated) >= 18
    assert max(per_minute.values()) <= 6000
    assert sum(saturated[:10]) >= 0.9 * 10 * USABLE_SNAPSHOTS
    assert max(waits) < 60


_BACKFILL = """
import sys
from pathlib import Path
from recon_pipeline.transport.archive import AnswerArchive
from recon_pipeline.transport.budgets import Budgets
from recon_pipeline.transport.client import Client
from recon_pipeline.transport.clock import SharedClock
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.secret import Secret
from recon_pipeline.venues.binance.dialect import BinanceDialect
from recon_pipeline.venues.binance.endpoints import ACCOUNT_SNAPSHOT, READ_LIST
url, database, folder, email, key, secret = sys.stdin.read().split()
clock = SharedClock(url)
client = Client(
    "binance", {"api": url}, READ_LIST, BinanceDialect(), budgets=Budgets(database, clock),
    archive=AnswerArchive(Path(folder), database), clock=clock,
)
with clock.working():
    for _ in range(8):
        client.ask(ACCOUNT_SNAPSHOT, {"type": "SPOT"}, Credentials(email, Secret(key), Secret(secret)))
"""


def test_two_backfills_as_two_processes_keep_to_one_budget(desk: Desk, database: str, tmp_path: Path) -> None:
    before = len(desk.sandbox.log)
    root = str(Path(__file__).parent.parent)
    processes = []
    for key in desk.keys[:2]:
        told = (desk.sandbox.url, database, tmp_path / "answers", key.account, key.key.reveal(), key.secret.reveal())
        process = subprocess.Popen(
            [sys.executable, "-c", _BACKFILL], stdin=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": root}
        )
        assert process.stdin
        process.stdin.write("\n".join(map(str, told)))
        process.stdin.close()
        processes.append(process)
    assert [process.wait(120) for process in processes] == [0, 0]
    log = desk.sandbox.log[before:]
    assert [call["status"] for call in log] == [200] * 16
    stamps = sorted(call["at_us"] for call in log)
    for first, third in zip(stamps, stamps[2:], strict=False):
        assert third - first >= MINUTE_US


def test_keys_that_are_wrong_in_every_way(desk: Desk) -> None:
    main = desk.keys[0].account
    for kind, error in (
        ("revoked", ApiKeyInvalid),
        ("wrong_ip", ApiKeyInvalid),
        ("no_reading", ApiKeyInvalid),
        ("trading", KeyMayDoMore),
        ("withdrawing", KeyMayDoMore),
    ):
        key = desk.sandbox.key(main, kind)
        with desk.clock.working(), pytest.raises(error) as refused:
            check_key(desk.client, Credentials(main, Secret(key.key), Secret(key.secret)))
        assert type(refused.value) is error
    with desk.clock.working():
        check_key(desk.client, desk.keys[0])
