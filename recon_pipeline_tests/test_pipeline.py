"""A venue's run, from its folder to PostgreSQL, without Dagster."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from recon_pipeline.config import Opening, Settings, ToleranceRule, Tolerances
from recon_pipeline.frames.schema import FRAMES
from recon_pipeline.reconcile.changes import changed_days, list_folder, ranges
from recon_pipeline.reconcile.findings import find, first_day_to_run, verdicts
from recon_pipeline.reconcile.inputs import stale_days
from recon_pipeline.reconcile.pipeline import (
    INPUTS,
    RefusedInput,
    Request,
    UnknownAccount,
    VenueRun,
    open_lake,
    run_venue,
)
from recon_pipeline.reconcile.settings import kernel_settings
from recon_pipeline.sandbox.statements import VENUE, planted
from recon_pipeline.stores.database import _VENUE_LOCKS, DatabaseUnavailable, connection
from recon_pipeline.stores.marts import mart_models, refresh, refresh_if_changed
from recon_pipeline.transport.errors import NetworkError
from recon_pipeline_tests.homes import AS_OF, FIRST, LAST, demo_home, edit, lake_bytes, rows, run

pytestmark = pytest.mark.postgres
FIFTH = date(2025, 10, 5)
SHORT = date(2025, 10, 10)


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return demo_home(tmp_path, database)


def test_a_month_tells_what_was_planted_and_nothing_else(settings: Settings) -> None:
    run(settings)
    told = rows_that_are_not_plain(settings)
    assert told == {
        (p.date, p.account, p.wallet, p.asset): (p.status, p.discrepancy_type, p.variance) for p in planted()
    }
    found = find(str(settings.database_url), VENUE, FIRST, LAST)
    assert found.statuses == {"opening": 7, "matched": 205, "variance": 2, "incomplete": 3}
    assert found.usd_at_variance == Decimal("25057.342")


def test_running_twice_changes_neither_a_byte_nor_a_row(settings: Settings) -> None:
    run(settings)
    before, ids = lake_bytes(settings), identities(settings)
    assert run(settings) == set()
    assert lake_bytes(settings) == before
    assert identities(settings) == ids


@pytest.mark.parametrize("order", ["backwards", pytest.param("every other day first", marks=pytest.mark.long)])
def test_days_in_any_order_end_in_the_same_bytes_and_rows(settings: Settings, tmp_path: Path, order: str) -> None:
    days = Request(VENUE, FIRST, SHORT, AS_OF).days
    for day in reversed(days) if order == "backwards" else days[::2] + days[1::2]:
        run(settings, day, day)
    apart, apart_rows = lake_bytes(settings), rows(settings)
    as_one = demo_home(tmp_path / "as one", str(settings.database_url))
    run(as_one, FIRST, SHORT)
    assert lake_bytes(as_one) == apart
    assert rows(as_one) == apart_rows


def _late(lines: list[str]) -> list[str]:
    fee = "treasury,CUSTODY,withdrawal-1009:fee,2025-10-09T14:00:00+00:00,txn_fee,txn_fee,BTC,-0.0005"
    return [*lines, fee]


def _changed(lines: list[str]) -> list[str]:
    return [line.replace(",deposit-1014-2,", ",deposit-1014-2,").replace("25000", "25001") for line in lines]


def _vanished(lines: list[str]) -> list[str]:
    return [line for line in lines if "deposit-1014-2" not in line]


@pytest.mark.parametrize("change", [pytest.param(_late, marks=pytest.mark.long), _changed, _vanished])
def test_a_record_that_comes_changes_or_goes_ends_in_the_rows_as_if_it_had_always_been_so(
    settings: Settings, tmp_path: Path, change: Callable[[list[str]], list[str]]
) -> None:
    run(settings)
    edit(settings, "transfers-treasury.csv", change)
    for first, last in touched(settings):
        run(settings, first, last)
    assert touched(settings) == []
    always = demo_home(tmp_path / "always", str(settings.database_url))
    edit(always, "transfers-treasury.csv", change)
    after, after_rows = lake_bytes(settings), rows(settings)
    run(always)
    assert lake_bytes(always) == after
    assert rows(always) == after_rows


def test_a_vanished_file_ends_in_the_rows_as_if_it_had_never_been(settings: Settings, tmp_path: Path) -> None:
    run(settings)
    (settings.venues[VENUE].folder / "balances-operations.csv").unlink()
    for first, last in touched(settings):
        run(settings, first, last)
    never = demo_home(tmp_path / "never", str(settings.database_url))
    (never.venues[VENUE].folder / "balances-operations.csv").unlink()
    after = rows(settings)["reconciliation"]
    run(never)
    assert rows(never)["reconciliation"] == after


def test_a_setting_that_changes_ends_in_the_rows_as_if_it_had_always_been_so(
    settings: Settings, tmp_path: Path
) -> None:
    """A new opening on the tenth, and a wider tolerance: the next run, of whatever day, takes every row along."""
    of_ten = Opening(VENUE, "treasury", "CUSTODY", SHORT, "the ninth cannot be mended")
    wider = ToleranceRule("operations", None, Decimal("0.5"), 1)
    run(settings, FIRST, SHORT)
    later = replace(
        settings,
        openings=(of_ten,),
        tolerances=Tolerances((*settings.tolerances.entries, (VENUE, "default", wider))),
    )
    run(later, SHORT, SHORT)
    after, after_rows = lake_bytes(later), rows(later)
    always = demo_home(tmp_path / "always", str(settings.database_url))
    always = replace(always, openings=later.openings, tolerances=later.tolerances)
    run(always, FIRST, SHORT)
    assert lake_bytes(always) == after
    assert rows(always) == after_rows


def test_an_account_that_nothing_tells_of_is_refused(settings: Settings) -> None:
    with pytest.raises(UnknownAccount, match="no record tells of the account tresury") as refused:
        run(settings, accounts=frozenset({"tresury"}))
    assert "treasury" in refused.value.expected
    assert lake_bytes(settings) == {}


def test_no_price_is_known_while_a_file_of_prices_cannot_be_read(settings: Settings) -> None:
    run(settings, FIRST, SHORT)
    (settings.venues[VENUE].folder / "prices-2.csv").write_bytes(b"")
    with pytest.raises(RefusedInput, match="1 file refused"):
        run(settings, SHORT, SHORT)
    lake = open_lake(settings)
    told = lake.read("reconciliation", VENUE).to_pylist()
    assert {row["price_status"] for row in told} == {"missing"}
    assert {row["status"] for row in told} >= {"matched", "opening"}


@pytest.mark.parametrize("order", [("twin", VENUE), (VENUE, "twin")])
def test_prices_of_another_venue_count_whichever_runs_first(
    settings: Settings, tmp_path: Path, order: tuple[str, str]
) -> None:
    folder = Path(shutil.copytree(settings.venues[VENUE].folder, tmp_path / "twin"))
    (folder / "prices.csv").unlink()
    twin = replace(settings.venues[VENUE], name="twin", folder=folder, price_sources=(VENUE,))
    both = replace(settings, venues={**settings.venues, "twin": twin})
    for name in order:
        run_venue(both, Request(name, FIRST, SHORT, AS_OF), f"run of {name}", str(settings.database_url))
    lake = open_lake(both)
    own, others = (
        lake.read("reconciliation", name).drop_columns(["venue", "inputs_digest"]) for name in (VENUE, "twin")
    )
    assert "ok" in own["price_status"].to_pylist()
    assert own.equals(others)
    edit(both, "prices.csv", lambda lines: [lines[0], *(line.rpartition(",")[0] + ",7" for line in lines[1:])])
    run_venue(both, Request(VENUE, FIRST, SHORT, AS_OF), "dearer", str(settings.database_url))
    told = open_lake(both).read("reconciliation", "twin")
    assert set(told["usd_price"].drop_null().to_pylist()) == {Decimal(7)}
    with connection(str(settings.database_url), "testing") as database:
        query = "SELECT DISTINCT usd_price FROM recon.reconciliation WHERE venue = 'twin' AND usd_price IS NOT NULL"
        assert database.execute(sa.text(query)).scalars().all() == [Decimal(7)]


def test_what_leaves_the_folder_before_the_first_day_no_longer_counts(settings: Settings, tmp_path: Path) -> None:
    """A balance of the year before, and a flow of a wallet never stated, are taken back out of the folder."""
    before = "operations,EXCHANGE,BTC,2025-09-30T23:59:59.999999+00:00,500"
    lost = "ghost,SPOT,lost,2025-09-29T10:00:00+00:00,transfer_in,transfer_in,BTC,1"
    edit(settings, "balances-operations.csv", lambda lines: [lines[0], before, *lines[1:]])
    edit(settings, "transfers-operations.csv", lambda lines: [*lines, lost])
    run(settings, FIRST, SHORT)
    edit(settings, "balances-operations.csv", lambda lines: [line for line in lines if line != before])
    edit(settings, "transfers-operations.csv", lambda lines: [line for line in lines if line != lost])
    run(settings, SHORT, SHORT)
    after = rows(settings)["reconciliation"]
    never = demo_home(tmp_path / "never", str(settings.database_url))
    run(never, FIRST, SHORT)
    assert rows(never)["reconciliation"] == after


def test_a_start_that_is_moved_ends_in_the_rows_as_if_it_had_always_been_so(settings: Settings, tmp_path: Path) -> None:
    """What the days before it rest on changes besides: no run computes them, and no sum may take them in."""

    def moved(given: Settings) -> Settings:
        start = date(2025, 10, 7)
        return replace(given, venues={name: replace(v, start=start) for name, v in given.venues.items()}, start=start)

    def without_a_move(lines: list[str]) -> list[str]:
        return [line for line in lines if "2025-10-05T" not in line]

    run(settings, FIRST, SHORT)
    edit(settings, "transfers-treasury.csv", without_a_move)
    run(moved(settings), SHORT, SHORT, accounts=frozenset({"treasury"}))
    assert len(reconciled(settings)) == 4
    run(moved(settings), SHORT, SHORT)
    after, after_rows = reconciled(settings), rows(settings)["reconciliation"]
    always = moved(demo_home(tmp_path / "always", str(settings.database_url)))
    edit(always, "transfers-treasury.csv", without_a_move)
    run(always, date(2025, 10, 7), SHORT)
    assert reconciled(always) == after
    assert rows(always)["reconciliation"] == after_rows


def test_no_digest_tells_of_partitions_without_rows(settings: Settings) -> None:
    """They may be left from days or files that are gone."""
    run(settings, FIRST, SHORT)
    lake, before = open_lake(settings), date(2025, 9, 20)
    with lake.write("test") as write:
        for frame in ("balances", "prices", "transfers", "trades"):
            write.put(frame, VENUE, before, FRAMES[frame].arrow.empty_table())
        write.commit()
    kernel = kernel_settings(settings, VENUE, ("trades", "transfers"))
    assert stale_days(open_lake(settings), kernel, AS_OF) == []


@pytest.mark.parametrize("first", [FIRST, FIFTH])
def test_a_refused_price_counts_even_if_nothing_good_is_as_old(settings: Settings, tmp_path: Path, first: date) -> None:
    """The price of another venue is newer and does not count: the venue's own newest one is not known."""
    twin = replace(settings.venues[VENUE], name="twin", folder=tmp_path / "twin")
    shutil.copytree(settings.venues[VENUE].folder, twin.folder)
    both = replace(settings, venues={VENUE: replace(settings.venues[VENUE], price_sources=("twin",)), "twin": twin})

    def from_the_fifth(lines: list[str]) -> list[str]:
        return [lines[0], *(line for line in lines[1:] if re.findall(r"2025-\d\d-\d\d", line)[0] >= "2025-10-05")]

    for name in ("balances-treasury.csv", "balances-operations.csv"):
        edit(both, name, from_the_fifth)
    edit(both, "prices.csv", lambda lines: [lines[0], "BTC,2025-10-03T23:59:00+00:00,x"])
    prices = twin.folder / "prices.csv"
    prices.write_text("\n".join(from_the_fifth(prices.read_text().splitlines())) + "\n")
    run_venue(both, Request("twin", FIRST, SHORT, AS_OF), "twin", str(settings.database_url))
    with pytest.raises(RefusedInput):
        run_venue(both, Request(VENUE, first, SHORT, AS_OF), "own", str(settings.database_url))
    told = open_lake(both).read("reconciliation", VENUE, [SHORT]).to_pylist()
    assert {row["price_status"] for row in told if row["asset"] == "BTC"} == {"missing"}


def test_a_mistyped_year_does_not_fill_the_lake(settings: Settings) -> None:
    line = "ghost,SPOT,mistyped,2006-01-02T10:00:00+00:00,transfer_in,transfer_in,BTC,1"
    edit(settings, "transfers-operations.csv", lambda lines: [*lines, line])
    run(settings, FIRST, SHORT)
    transfers = open_lake(settings).days("transfers", VENUE)
    assert transfers[0] == date(2006, 1, 2)
    assert len(transfers) < 20


def test_the_whole_folder_is_one_range_at_first_and_nothing_is_left_after_its_run(settings: Settings) -> None:
    days = changed_days(settings, settings.venues[VENUE], str(settings.database_url))
    assert ranges(days, FIRST, date(2025, 12, 31), as_one=True) == [(FIRST, LAST)]
    run(settings)
    assert changed_days(settings, settings.venues[VENUE], str(settings.database_url)) == []


def test_days_become_ranges_without_gaps_inside_the_partitions() -> None:
    first, last = date(2026, 1, 1), date(2026, 1, 31)
    days = [date(2025, 12, 30), date(2026, 1, 2), date(2026, 1, 3), date(2026, 1, 9), date(2026, 2, 2)]
    assert ranges(days, first, last) == [
        (first, date(2026, 1, 3)),
        (date(2026, 1, 9), date(2026, 1, 9)),
        (last, last),
    ]
    scattered = [first + timedelta(days=2 * n) for n in range(12)]
    assert ranges(scattered, first, last) == [(first, scattered[-1])]
    assert ranges([], first, last) == []


def test_a_listing_differs_once_a_file_does_and_settles_after_a_moment(settings: Settings) -> None:
    venue = settings.venues[VENUE]
    before = list_folder(settings, venue)
    assert not before.is_settled
    assert list_folder(settings, venue).fingerprint == before.fingerprint
    edit(settings, "prices.csv", lambda lines: lines)
    assert list_folder(settings, venue).fingerprint != before.fingerprint


def test_the_reconciliation_run_alone_brings_in_what_it_needs(settings: Settings, tmp_path: Path) -> None:
    alone = venue_run(settings)
    alone.reconcile()
    alone.close()
    single, single_rows = lake_bytes(settings), rows(settings)
    whole = demo_home(tmp_path / "whole", str(settings.database_url))
    run(whole)
    assert lake_bytes(whole) == single
    assert rows(whole) == single_rows


def test_a_frame_run_alone_writes_that_frame(settings: Settings) -> None:
    alone = venue_run(settings)
    assert set(alone.request.days) <= alone.store("transfers")
    alone.close()
    frames = {path.split("/")[0] for path in lake_bytes(settings)}
    assert frames == {"transfers", "quarantine"}


def test_with_an_account_only_its_rows_are_replaced(settings: Settings) -> None:
    run(settings)
    edit(settings, "transfers-treasury.csv", _late)
    edit(settings, "transfers-operations.csv", lambda lines: [line for line in lines if "deposit-1007" not in line])
    before = by_account(settings)
    run(settings, accounts=frozenset({"treasury"}))
    after = by_account(settings)
    assert after["operations"] == before["operations"]
    assert after["treasury"] != before["treasury"]
    run(settings)
    assert by_account(settings)["operations"] != before["operations"]


def test_a_refused_row_fails_the_run_at_its_end_and_only_its_windows_are_incomplete(settings: Settings) -> None:
    edit(settings, "transfers-treasury.csv", lambda lines: [line.replace("-0.1625", "-0.1_625") for line in lines])
    with pytest.raises(RefusedInput, match="1 row refused"):
        run(settings)
    told = rows_that_are_not_plain(settings)
    assert told[(date(2025, 10, 13), "treasury", "CUSTODY", "BTC")][:2] == ("incomplete", "quarantined_flow")
    edit(settings, "transfers-treasury.csv", lambda lines: [line.replace("-0.1_625", "-0.1625") for line in lines])
    for first, last in touched(settings):
        run(settings, first, last)
    assert (date(2025, 10, 13), "treasury", "CUSTODY", "BTC") not in rows_that_are_not_plain(settings)


def test_what_many_symbols_of_a_stream_fail_with_is_told_once_and_a_long_list_is_cut(settings: Settings) -> None:
    alike = [NetworkError("cut off", endpoint="GET /trades", account="treasury") for _ in range(431)]
    others = [NetworkError("cut off", endpoint=f"GET /{number}", account="treasury") for number in range(40)]
    of_run = venue_run(settings)
    of_run._reading = replace(of_run.reading, problems=(*alike, *others))
    with pytest.raises(RefusedInput, match=r"^RefusedInput: 41 places not read\n") as refused:
        of_run.raise_for_faults()
    of_run.close()
    lines = str(refused.value).splitlines()
    assert sum("NetworkError" in line for line in lines) == 20
    assert "GET /trades, account treasury: NetworkError: cut off (431 times); next: run again" in lines[2]
    assert "and 21 more" in [line.strip() for line in lines]
    assert lines[-1].endswith("All are listed by recon errors list and recon coverage --holes")


def test_a_faulty_file_fails_the_run_and_mending_it_makes_the_days_whole(settings: Settings) -> None:
    run(settings)
    before = lake_bytes(settings)
    path = settings.venues[VENUE].folder / "transfers-operations.csv"
    whole = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(RefusedInput, match=r"transfers-operations.csv: EmptyFile"):
        run(settings)
    assert find(str(settings.database_url), VENUE, FIRST, LAST).statuses.get("matched", 0) == 0
    path.write_bytes(whole)
    run(settings)
    assert lake_bytes(settings) == before


def test_a_run_that_was_overtaken_reads_the_folder_again(settings: Settings) -> None:
    slow = venue_run(settings)
    slow.read()
    edit(settings, "transfers-treasury.csv", _late)
    run(settings)
    overtaken = lake_bytes(settings)
    slow.store(*INPUTS)
    slow.reconcile()
    slow.close()
    assert lake_bytes(settings) == overtaken


def test_one_run_of_a_venue_at_a_time(settings: Settings) -> None:
    heard: list[str] = []
    waiting = venue_run(settings, say=lambda text, _done=0, _all=0: heard.append(text))
    first = venue_run(settings)
    with first._turn():
        thread = threading.Thread(target=waiting.read)
        thread.start()
        thread.join(timeout=4)
        assert thread.is_alive()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert f"waiting for another run of {VENUE} to end" in heard


@pytest.mark.parametrize("step", ["store", "reconcile"])
def test_a_run_that_lost_its_lock_puts_nothing_in_place(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whoever waited for the lock may be writing by then."""
    run(settings)
    edit(settings, "transfers-treasury.csv", _late)
    losing = venue_run(settings)
    losing.read()
    if step == "reconcile":
        losing.store(*INPUTS)
    before, write = lake_bytes(settings), losing.lake.write

    def lose_and_write(run_id: str) -> Any:
        with connection(str(settings.database_url), "ending the holder") as opened:
            assert opened.scalars(sa.text(_END_HOLDERS)).all() == [True]
        return write(run_id)

    monkeypatch.setattr(losing.lake, "write", lose_and_write)
    with pytest.raises(DatabaseUnavailable) as caught:
        losing.store(*INPUTS) if step == "store" else losing.reconcile()
    assert f"holding the lock of venue {VENUE}" in str(caught.value)
    losing.close()
    assert lake_bytes(settings) == before
    run(settings)
    healed = lake_bytes(settings)
    always = demo_home(tmp_path / "always", str(settings.database_url))
    edit(always, "transfers-treasury.csv", _late)
    run(always)
    assert lake_bytes(always) == healed != before


def test_the_night_takes_along_what_never_ran_and_what_was_pending(settings: Settings) -> None:
    url = str(settings.database_url)
    due = date(2025, 10, 20)
    assert first_day_to_run(url, VENUE, due) == due
    run(settings, FIRST, date(2025, 10, 18))
    assert first_day_to_run(url, VENUE, due) == date(2025, 10, 19)
    request = Request(VENUE, date(2025, 10, 19), date(2025, 10, 20), as_of_day=date(2025, 10, 19))
    pending = VenueRun(settings, request, "pending", url)
    pending.reconcile()
    pending.close()
    assert first_day_to_run(url, VENUE, date(2025, 10, 25)) == date(2025, 10, 19)


def of(number: int) -> date:
    """A day of the demo's month."""
    return date(2025, 10, number)


@dataclass(frozen=True)
class Ran:
    """A run of days, and on which of them it left rows."""

    first: int
    last: int
    rows: Sequence[int] = ()
    outcome: str | None = "done"
    accounts: Sequence[str] | None = None
    message: str | None = None

    def record(self, database: sa.Connection, run_id: str) -> None:
        given = {"run_id": run_id, "venue": VENUE, "first": of(self.first), "last": of(self.last)}
        database.execute(
            sa.text(
                "INSERT INTO recon.runs (run_id, venue, first_day, last_day, as_of_day, accounts, outcome, message)"
                " VALUES (:run_id, :venue, :first, :last, :last, :accounts, :outcome, :message)"
            ),
            {
                **given,
                "outcome": self.outcome,
                "accounts": None if self.accounts is None else list(self.accounts),
                "message": self.message,
            },
        )
        for number in self.rows:
            database.execute(
                sa.text(
                    "INSERT INTO recon.partitions (venue, frame, date, digest, rows, run_id)"
                    " VALUES (:venue, 'reconciliation', :day, '', 1, :run_id)"
                    " ON CONFLICT (venue, frame, date) DO UPDATE SET run_id = EXCLUDED.run_id"
                ),
                {"venue": VENUE, "day": of(number), "run_id": run_id},
            )


def full(first: int, last: int, outcome: str | None = "done") -> Ran:
    """A run that left rows on each of its days."""
    return Ran(first, last, range(first, last + 1), outcome)


@pytest.mark.parametrize(
    ("runs", "first"),
    [
        pytest.param([full(1, 9)], 10, id="the day after the last"),
        pytest.param([full(1, 10)], 10, id="nothing but the day itself"),
        pytest.param([full(1, 5), full(9, 9)], 6, id="a gap between two runs"),
        pytest.param([full(9, 9), full(1, 5)], 6, id="in whatever order they ran"),
        pytest.param([full(1, 5), full(8, 8), full(6, 7), full(9, 9)], 10, id="a gap that was filled"),
        pytest.param([full(1, 5), Ran(6, 8, [6, 7, 8], accounts=["treasury"]), full(9, 9)], 6, id="one account alone"),
        pytest.param([full(1, 9), Ran(6, 8, [6, 7, 8], accounts=["treasury"])], 10, id="one account besides"),
        pytest.param([Ran(1, 9, [1, 2, 3, 9])], 10, id="days without rows that a run was done with"),
        pytest.param([full(1, 5), Ran(6, 9)], 10, id="a run that was done and left no row"),
        pytest.param([full(1, 5), Ran(6, 9, [6], "killed"), full(9, 9)], 7, id="killed before it came to all"),
        pytest.param([full(1, 5), full(6, 9, "killed")], 10, id="killed when its rows were there"),
        pytest.param(
            [full(1, 5), Ran(6, 6, outcome="killed"), Ran(6, 6, [6], accounts=["treasury"]), full(7, 9)],
            6,
            id="killed before the rows of one account came",
        ),
        pytest.param([full(1, 5), Ran(6, 9, outcome=None), full(9, 9)], 6, id="a run that never ended"),
        pytest.param(
            [
                Ran(1, 5, outcome="failed", message="RefusedInput: 1 row refused"),
                full(6, 9),
                Ran(9, 9, [1, 2, 3, 4, 5]),
            ],
            10,
            id="a run that did all it could, and whose rows were restated since",
        ),
        pytest.param(
            [full(1, 5), Ran(6, 9, outcome="failed", message="StoreError: no room")], 6, id="a run that broke off"
        ),
        pytest.param([full(5, 9)], 10, id="days before the first that was ever run"),
        pytest.param([Ran(1, 9)], 10, id="nothing was ever stored"),
    ],
)
def test_the_night_begins_with_the_first_day_that_no_run_of_all_accounts_covered(
    database: str, runs: Sequence[Ran], first: int
) -> None:
    with connection(database, "testing") as opened:
        for number, each in enumerate(runs):
            each.record(opened, f"run {number}")
    assert first_day_to_run(database, VENUE, of(10)) == of(first)
    assert first_day_to_run(database, "another venue", of(10)) == of(10)


def test_what_was_pending_is_incomplete_in_any_later_run_once_it_is_due(settings: Settings) -> None:
    early = Request(VENUE, date(2025, 10, 19), date(2025, 10, 19), as_of_day=date(2025, 10, 19))
    later = Request(VENUE, date(2025, 10, 21), date(2025, 10, 21), as_of_day=date(2025, 10, 22))
    for name, request, status in (("early", early, "pending"), ("later", later, "incomplete")):
        run_venue(settings, request, name, str(settings.database_url))
        told = find(str(settings.database_url), VENUE, date(2025, 10, 19), date(2025, 10, 19)).statuses
        assert told[status] == 3


def test_a_run_for_one_account_leaves_what_the_others_wait_for_overdue(settings: Settings) -> None:
    """The fee that treasury forgot is expected by the 20th; a run for operations sees the day from the 25th."""
    day = date(2025, 10, 9)
    (settings.venues[VENUE].folder / "expected.csv").write_text(
        "account,wallet,asset,amount,expected_by,reason\ntreasury,CUSTODY,BTC,-0.0005,2025-10-20,fee posted later\n"
    )

    def seen_from(as_of: date, run_id: str, days: tuple[date, date], *accounts: str) -> dict[str, int]:
        request = Request(VENUE, *days, as_of_day=as_of, accounts=frozenset(accounts) or None)
        run_venue(settings, request, run_id, str(settings.database_url))
        return find(str(settings.database_url), VENUE, day, day).statuses

    assert seen_from(date(2025, 10, 15), "early", (FIRST, day))["timing"] == 1
    assert seen_from(date(2025, 10, 25), "one account", (day, day), "operations")["timing"] == 1
    statuses = seen_from(date(2025, 10, 26), "another day", (FIRST, FIRST))
    assert (statuses.get("timing"), statuses["variance"]) == (None, 1)


def test_an_earlier_balance_that_comes_late_leaves_the_bytes_as_if_it_had_always_been_so(settings: Settings) -> None:
    def stated(*days: int) -> None:
        lines = [f"operations,OLD,USD,2025-09-{day}T23:00:00Z,7\n" for day in days]
        path = settings.venues[VENUE].folder / f"balances-september-{days[0]}.csv"
        path.write_text("account,wallet,asset,as_of,raw_balance\n" + "".join(lines))

    def stored() -> dict[str, str]:
        told = ("balances", "reconciliation")
        return {path: digest for path, digest in lake_bytes(settings).items() if path.startswith(told)}

    stated(27)
    run(settings)
    stated(28, 29)
    run(settings)
    late = stored()
    shutil.rmtree(settings.home / "lake")
    run(settings)
    assert late == stored()


def test_a_run_that_ended_before_its_rows_is_not_done_and_the_night_takes_its_days_along(settings: Settings) -> None:
    url = str(settings.database_url)
    run(settings, FIRST, date(2025, 10, 5))
    between_steps = VenueRun(settings, Request(VENUE, date(2025, 10, 6), date(2025, 10, 8), LAST), "between", url)
    between_steps.read()
    between_steps.store("balances")
    between_steps.close()
    with connection(url, "testing") as database:
        assert database.execute(sa.text("SELECT outcome FROM recon.runs WHERE run_id = 'between'")).scalars().all() == [
            "unfinished"
        ]
    assert first_day_to_run(url, VENUE, date(2025, 10, 8)) == date(2025, 10, 6)


def test_verdicts_are_counted_by_account(settings: Settings) -> None:
    run(settings)
    refresh(str(settings.database_url), mart_models(), VENUE)
    told = {one.account: dict(one.verdicts) for one in verdicts(str(settings.database_url), VENUE, FIRST, LAST)}
    assert told == {
        "operations": {"green": 29, "opening": 1, "incomplete": 1},
        "treasury": {"green": 7, "opening": 1, "red": 23},
    }


def test_marts_are_filled_anew_only_if_something_they_rest_on_has_changed(settings: Settings) -> None:
    url, models = str(settings.database_url), mart_models()
    run(settings, FIRST, date(2025, 10, 20))
    assert refresh_if_changed(url, models, VENUE) == {}
    with connection(url, "testing") as database:
        database.execute(sa.text("UPDATE recon.tolerances SET tolerance = tolerance + 1"))
    tables = {m.name for m in models if m.materialized == "table"}
    assert set(refresh_if_changed(url, models, VENUE)) == tables
    assert refresh_if_changed(url, models, VENUE) == {}
    with connection(url, "testing") as database:
        database.execute(sa.text("UPDATE recon.tolerances SET tolerance = tolerance + 1"))
    refresh(url, models)
    with connection(url, "testing") as database:
        database.execute(sa.text("UPDATE recon.tolerances SET tolerance = tolerance - 1"))
    assert set(refresh_if_changed(url, models, VENUE)) == tables, "filled in between from what no longer is"
    run(settings)  # puts the tolerances back and covers further days
    assert refresh_if_changed(url, models, VENUE) == {}
    with connection(url, "testing") as database:
        stored = database.execute(sa.text("SELECT * FROM marts.cumulative_drift ORDER BY 1, 2, 3, 4, 5")).all()
    refresh(url, models, VENUE)
    with connection(url, "testing") as database:
        assert database.execute(sa.text("SELECT * FROM marts.cumulative_drift ORDER BY 1, 2, 3, 4, 5")).all() == stored


def test_what_a_run_was_and_read_is_recorded(settings: Settings) -> None:
    run(settings)
    with connection(str(settings.database_url), "testing") as database:
        ended = database.execute(sa.text("SELECT first_day, last_day, outcome FROM recon.runs")).one()
        files = database.execute(sa.text("SELECT path, rows, status, frames FROM recon.source_files")).all()
    assert tuple(ended) == (FIRST, LAST, "done")
    assert {file.status for file in files} == {"read"}
    assert {file.path: file.frames for file in files}["trades.csv"] == ["trades"]


# -- what the tests look at


def venue_run(settings: Settings, **options: Any) -> VenueRun:
    request = Request(VENUE, FIRST, LAST, AS_OF)
    return VenueRun(settings, request, "alone", str(settings.database_url), **options)


_END_HOLDERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid::bigint ="
    f" {_VENUE_LOCKS} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def reconciled(settings: Settings) -> dict[str, str]:
    """The digests of the partitions of reconciliation alone."""
    return {path: digest for path, digest in lake_bytes(settings).items() if path.startswith("reconciliation/")}


def touched(settings: Settings) -> list[tuple[date, date]]:
    days = changed_days(settings, settings.venues[VENUE], str(settings.database_url))
    return ranges(days, FIRST, date(2025, 12, 31))


def rows_that_are_not_plain(settings: Settings) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    table = open_lake(settings).read("reconciliation", VENUE).to_pylist()
    return {
        (row["date"], row["account"], row["wallet"], row["asset"]): (
            row["status"],
            row["discrepancy_type"],
            row["variance_in_asset"],
        )
        for row in table
        if row["status"] not in ("opening", "matched") or row["discrepancy_type"]
    }


def identities(settings: Settings) -> list[Any]:
    with connection(str(settings.database_url), "testing") as database:
        return list(database.execute(sa.text("SELECT id, version, external_id FROM recon.transfers ORDER BY id")))


def by_account(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    table = open_lake(settings).read("reconciliation", VENUE).drop_columns(["inputs_digest"]).to_pylist()
    return {account: list(_of(table, account)) for account in ("operations", "treasury")}


def _of(table: list[dict[str, Any]], account: str) -> Iterator[dict[str, Any]]:
    return (row for row in table if row["account"] == account)
