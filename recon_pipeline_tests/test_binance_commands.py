"""`recon coverage`, `recon errors` and `recon capture`, as an operator meets them after a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from recon_pipeline.cli_review import capture, coverage, errors
from recon_pipeline.cli_venues import venues
from recon_pipeline.errors import ConfigError
from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.stores.database import connection
from recon_pipeline.stores.raw import RawStore, Told
from recon_pipeline.stores.reviews import Problem, record_problem
from recon_pipeline_tests.binance_home import BinanceHome, binance_home, midnight

pytestmark = pytest.mark.postgres
MAIN, DESK = "main@example.com", "desk-1_virtual@example.com"
FIRST, LAST = date(2026, 1, 3), date(2026, 1, 4)
SPOT_ALONE = ("earn", "staking", "loans", "margin", "derivatives", "income", "fiat", "orders")


@pytest.fixture
def home(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[BinanceHome]:
    """Two accounts, and the commands' environment."""
    world = make_world(21, days=7, subs=1, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as made:
        settings = made.settings
        for name, value in (("HOME", settings.home), ("CONFIG", settings.path), ("DATABASE_URL", database)):
            monkeypatch.setenv(f"RECON_{name}", str(value))
        yield made


def told(command: click.Command, *arguments: str) -> tuple[Any, str]:
    """What a command ends with, and what it prints."""
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout


def test_a_day_that_nobody_has_read_is_a_hole(home: BinanceHome) -> None:
    assert told(coverage) == (0, "nothing was read yet\n")
    home.capture_days(FIRST - timedelta(days=1), LAST)
    home.run(FIRST, LAST)
    assert told(coverage, "--holes") == (0, "no hole\n")
    spans = json.loads(told(coverage, "--json")[1])
    code, out = told(coverage)
    assert (code, len(spans) > 100, " more" in out) == (0, True, False)
    assert out.count(f"│ {DESK}") == len([span for span in spans if span["account"] == DESK])
    code, out = told(coverage, "--holes", "--from", str(FIRST), "--to", "2026-01-06", "--json")
    rows = [(row["account"], row["stream"], row["status"], row["from"], row["to"]) for row in json.loads(out)]
    assert code == 3
    for account in (MAIN, DESK):
        of_streams = {row[1:] for row in rows if row[0] == account}
        assert ("*", "unread", "2026-01-06", "2026-01-06") in of_streams
        assert ("spot_trades", "unread", "2026-01-05", "2026-01-05") in of_streams
    with connection(home.url, "a run that was killed before it came there") as opened:
        opened.exec_driver_sql(f"DELETE FROM recon.pulls WHERE account = '{DESK}' AND stream = 'withdrawals'")
    code, out = told(coverage, "--holes", "--json")
    assert (code, [(row["account"], row["stream"], row["status"]) for row in json.loads(out)]) == (
        3, [(DESK, "withdrawals", "unread")],
    )  # fmt: skip
    assert told(coverage, "--holes", "--account", MAIN) == (0, "no hole\n")
    with connection(home.url, "a night on which nobody captured") as opened:
        opened.exec_driver_sql(f"DELETE FROM recon.pulls WHERE stream = 'funding_assets' AND date = '{LAST}'")
    code, out = told(coverage, "--holes", "--account", MAIN, "--json")
    assert (code, [(row["stream"], row["status"], row["from"]) for row in json.loads(out)]) == (
        3, [("funding_assets", "unread", str(LAST))],
    )  # fmt: skip
    with connection(home.url, "an account that is named later") as opened:
        opened.exec_driver_sql(f"DELETE FROM recon.pulls WHERE account = '{DESK}' AND date <= '{FIRST}'")
    code, out = told(coverage, "--holes", "--json")
    assert {(row["stream"], row["from"]) for row in json.loads(out)} == {
        ("funding_assets", str(LAST)), ("withdrawals", str(LAST)),
    }  # fmt: skip
    code, out = told(coverage, "--holes", "--json", "--from", str(FIRST), "--to", str(FIRST))
    assert [(row["stream"], row["status"], row["from"]) for row in json.loads(out)] == [("*", "unread", str(FIRST))]


def test_a_wallet_that_the_account_does_not_have_lacks_no_night_before(home: BinanceHome) -> None:
    """One on which the account info was not told has no mark of it, and no later run could make one."""
    account = home.sandbox.world.accounts[MAIN]
    object.__setattr__(account, "products", account.products - {"option", "portfolio_margin"})
    home.capture_days(FIRST - timedelta(days=1), LAST)
    home.run(FIRST, LAST)
    with connection(home.url, "a night on which the account info was not told") as opened:
        gone = "DELETE FROM recon.pulls WHERE stream IN ('option_account', 'portfolio_margin_balance')"
        assert opened.exec_driver_sql(f"{gone} AND account = '{MAIN}' AND date <= '{FIRST}'").rowcount == 4
    assert told(coverage, "--holes", "--account", MAIN) == (0, "no hole\n")
    assert told(coverage, "--holes", "--account", MAIN, "--from", str(FIRST), "--to", str(FIRST)) == (0, "no hole\n")
    marks = "UPDATE recon.pulls SET {} WHERE account = '" + MAIN + "' AND stream = 'option_account'"
    for change in ("error = 'NeverUsed'", "status = 'final', error = NULL"):  # said, not told; and not told to be away
        with connection(home.url, "what says nothing of the night before") as opened:
            opened.exec_driver_sql(marks.format(change))
        code, out = told(coverage, "--holes", "--account", MAIN, "--json")
        assert (code, [(row["stream"], row["status"], row["from"]) for row in json.loads(out)]) == (
            3, [("option_account", "unread", str(FIRST))],
        )  # fmt: skip


@pytest.mark.parametrize(("is_captured", "code"), [(True, 0), (False, 3)])
def test_a_capture_that_comes_too_late_says_what_is_lost(home: BinanceHome, is_captured: bool, code: int) -> None:
    if is_captured:
        home.capture_days(FIRST, FIRST)
    home.advance(midnight(LAST) + timedelta(hours=7))
    result = CliRunner().invoke(capture, standalone_mode=False)
    assert (result.return_value, result.stdout) == (code, "0 captures\n")
    assert result.stderr.startswith(f"too late to close {FIRST}: that is done until 6:00:00 after midnight UTC")
    assert ("NightLost" in result.stderr) is not is_captured


def test_a_name_that_nobody_knows_is_wrong_use_and_not_a_clean_bill(home: BinanceHome) -> None:
    for command, *arguments in (
        (coverage, "--holes", "--venue", "binanse"),
        (coverage, "--holes", "--account", "mian@example.com"),
        (errors, "list", "--venue", "binanse"),
        (capture, "--venue", "binanse"),
    ):
        with pytest.raises(ConfigError, match=r"there is no (venue|account)") as wrong:
            told(command, *arguments)
        assert wrong.value.expected
    with pytest.raises(click.UsageError, match="is after --to"):
        told(coverage, "--from", "2026-01-05", "--to", "2026-01-04")


def test_the_venues_name_the_sub_accounts_that_are_read_without_a_key(
    home: BinanceHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_key() -> str:
        [venue] = json.loads(told(venues, "--json")[1])
        return str(venue["without_key"])

    assert without_key() == ""
    found = "new-desk_virtual@example.com"
    with closing(RawStore(home.url, "binance")) as raw:
        listed = [Told(name, {}, {"email": name}, None, None) for name in (DESK.upper(), found)]
        raw.keep(MAIN, "sub_accounts", listed, {}, midnight(FIRST))
    assert without_key() == found
    assert "neither trades nor daily snapshots" in " ".join(told(venues)[1].split())
    monkeypatch.setenv("RECON_DATABASE_URL", "postgresql://owner:word@127.0.0.1:1/away")
    assert without_key() == ""


def test_errors_say_what_to_do_next(home: BinanceHome) -> None:
    for number in range(30):
        problem = Problem("Odd", f"what nobody foresaw {number}", "UNKNOWN", place=f"{number}", next_step="look at it")
        record_problem(home.url, "binance", problem)
    _, out = told(errors, "list")
    assert all(f"foresaw {number}" in " ".join(out.split()) for number in range(30))
    assert out.count("Odd: look at it") == 1
    number = json.loads(told(errors, "list", "--json")[1])[0]["id"]
    with pytest.raises(click.UsageError, match="--note is empty"):
        told(errors, "resolve", str(number), "--note", " ")
    assert number in {row["id"] for row in json.loads(told(errors, "list", "--json")[1])}
