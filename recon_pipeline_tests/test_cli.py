"""The `recon` command, as a person and a program meet it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
from dagster_postgres.utils import DagsterPostgresException

from recon_pipeline.assets.processes import Process, address, down, running
from recon_pipeline.cli import main
from recon_pipeline.config import Settings
from recon_pipeline.errors import ReconError, StoreError
from recon_pipeline.stores.database import connection, venue_lock
from recon_pipeline.stores.embedded import EmbeddedPostgres
from recon_pipeline.terminal import console, rows_table
from recon_pipeline_tests.homes import demo_home, edit, lake_bytes

pytestmark = pytest.mark.postgres
MONTH = ("run", "--from", "2025-10-01", "--to", "2025-10-31")


@pytest.fixture
def settings(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    made = demo_home(tmp_path, database)
    for name, value in (("HOME", made.home), ("CONFIG", made.path), ("DATABASE_URL", database)):
        monkeypatch.setenv(f"RECON_{name}", str(value))
    for name in ("DAGSTER_HOME", "RECON_DAGSTER_STORAGE_URL", "DAGSTER_EVENT_BATCH_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return made


class Recon:
    """Runs the command in this process; what it printed and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["recon", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        told = self._capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    def json(self, *arguments: str) -> tuple[int, Any]:
        code, out, _ = self(*arguments, "--json")
        return code, json.loads(out)


@pytest.fixture
def recon(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Recon:
    return Recon(capsys, monkeypatch)


def test_a_month_is_told_to_a_person_and_its_differences_are_exit_code_1(recon: Recon, settings: Settings) -> None:
    code, out, err = recon(*MONTH)
    assert (code, err) == (1, "")
    assert "Days by verdict" in out
    assert "-25000" in out
    assert "missing_snapshot" in out
    with connection(str(settings.database_url), "testing") as database:
        runs = database.execute(sa.text("SELECT pipeline_name, status FROM dagster.runs")).all()
        finals = database.execute(sa.text("SELECT is_final FROM marts.open_variances")).scalars().all()
    assert [tuple(run) for run in runs] == [("daily_demo", "SUCCESS")]
    assert (finals, "not final" in out) == ([None, None], False), "of files nobody says that no other will come"


def test_a_program_gets_json_in_which_amounts_are_strings(recon: Recon, settings: Settings) -> None:
    code, told = recon.json(*MONTH)
    assert (code, told["exit_code"]) == (1, 1)
    (venue,) = told["venues"]
    assert venue["rows"] == {"incomplete": 3, "matched": 205, "opening": 7, "variance": 2}
    assert venue["variances_not_final"] == 0
    assert venue["usd_at_variance"] == "25057.34200000"
    assert venue["disagreeing"][0]["variance_in_asset"] == "-25000.000000000000000000"
    assert venue["accounts"]["operations"] == {"green": 29, "opening": 1, "incomplete": 1}


def test_exit_codes_say_green_incomplete_and_refused_rows(recon: Recon, settings: Settings) -> None:
    assert recon("run", "--from", "2025-10-01", "--to", "2025-10-08")[0] == 0
    assert recon("run", "--from", "2025-10-19", "--to", "2025-10-19", "--account", "operations")[0] == 3
    edit(settings, "transfers-operations.csv", lambda lines: [line.replace("2750", "2_750") for line in lines])
    code, _, _ = recon("run", "--from", "2025-10-03", "--to", "2025-10-03", "--account", "treasury")
    assert code == 3, "green as the account is, the venue's folder holds a row that was refused"


def test_an_account_that_nobody_knows_is_wrong_use(recon: Recon, settings: Settings) -> None:
    code, told = recon.json("run", "--from", "2025-10-01", "--to", "2025-10-02", "--account", "nobody")
    assert (code, told["venues"][0]["errors"][0]["name"]) == (2, "UnknownAccount")
    edit(settings, "transfers-operations.csv", lambda lines: [line.replace("2750", "2_750") for line in lines])
    code, told = recon.json("run", "--from", "2025-10-01", "--to", "2025-10-02", "--account", "nobody")
    assert (code, told["venues"][0]["errors"][0]["name"]) == (3, "RefusedInput"), "who knows what that row tells of?"
    code, told = recon.json("run", "--from", "2025-10-01", "--to", "2025-10-02", "--venue", "nobody")
    assert (code, told["error"]["name"]) == (2, "ConfigError")
    code, told = recon.json("run", "--from", "tomorrow", "--to", "2025-10-02")
    assert (code, told["error"]["name"]) == (2, "ConfigError")


def test_an_account_of_one_venue_is_no_wrong_use_of_the_others(recon: Recon, settings: Settings) -> None:
    other = settings.path.parent / "other"
    other.mkdir()
    (other / "balances.csv").write_text(
        "account,wallet,asset,as_of,raw_balance\nelse,SPOT,BTC,2025-10-01T00:00:00Z,1\n"
    )
    text = settings.path.read_text()
    settings.path.write_text(text.replace("venues:\n", "venues:\n  other: {kind: statements, folder: other}\n"))
    code, told = recon.json("run", "--from", "2025-10-01", "--to", "2025-10-02", "--account", "treasury")
    assert {venue["venue"]: venue["exit_code"] for venue in told["venues"]} == {"demo": 0, "other": 2}
    assert code == 0


def test_what_recon_yaml_says_wrongly_is_wrong_use_of_that_venue_whatever_the_others_are(
    recon: Recon, settings: Settings
) -> None:
    account = "main@example.com: {credentials: binance_main, never_used: [fiat_paymnts]}"
    other = f"  other: {{kind: binance, sandbox: 'http://127.0.0.1:1', accounts: {{{account}}}}}"
    text = settings.path.read_text()
    settings.path.write_text(text.replace("venues:\n", f"venues:\n{other}\n"))
    code, told = recon.json("run", "--from", "2025-10-01", "--to", "2025-10-02")
    found = {
        venue["venue"]: (venue["exit_code"], [each["name"] for each in venue["errors"]]) for venue in told["venues"]
    }
    assert found == {"demo": (0, []), "other": (2, ["ConfigError"])}
    assert code == 2


def test_days_that_turn_red_besides_those_asked_for_are_told(recon: Recon, settings: Settings) -> None:
    assert recon.json("run", "--from", "2025-10-01", "--to", "2025-10-08")[0] == 0
    edit(settings, "transfers-treasury.csv", lambda lines: [line for line in lines if "move-1005:out" not in line])
    code, told = recon.json("run", "--from", "2025-10-02", "--to", "2025-10-02")
    assert code == 1
    besides = told["venues"][0]["days_besides"]
    assert besides["2025-10-05"]["variance"] == 1
    assert "2025-10-02" not in besides


def test_a_file_that_nothing_reads_is_told_and_changes_nothing_else(recon: Recon, settings: Settings) -> None:
    folder = settings.venues["demo"].folder
    (folder / "Transfers-late.csv").write_text("whatever\n")
    code, out, _ = recon("run", "--from", "2025-10-01", "--to", "2025-10-08")
    assert code == 0
    assert "nothing reads Transfers-late.csv" in out
    assert recon.json("status")[1]["venues"][0]["unread_files"] == 1
    (folder / "Transfers-late.csv").unlink()
    assert recon.json("run", "--from", "2025-10-01", "--to", "2025-10-01")[1]["venues"][0]["unread_files"] == []


def test_what_openings_and_tolerances_name_and_no_row_is_about_is_told(recon: Recon, settings: Settings) -> None:
    opening = "{{venue: demo, account: {}, wallet: {}, date: 2025-10-05, note: moved}}"
    openings = ", ".join(opening.format(*names) for names in (("treasury", "bnak"), ("tresury", "bank")))
    tolerances = "tolerances:\n  venues: {demo: {accounts: {operatons: {default: 1}, operations: {default: 0.01}}}}\n"
    text = settings.path.read_text().replace("tolerances:\n", tolerances)
    settings.path.write_text(f"{text}\nopenings: [{openings}]\n")
    idly = ["openings: treasury / bnak", "openings: tresury / bank", "tolerances: operatons"]
    span = ("--from", "2025-10-01", "--to", "2025-10-08")
    code, out, _ = recon("run", *span)
    assert code == 0
    assert f"demo: recon.yaml names what no row is about: {'; '.join(idly)}" in " ".join(out.split())
    assert recon.json("run", *span)[1]["venues"][0]["named_idly"] == idly
    # of the accounts that were not asked for there may be no row yet
    assert recon.json("run", *span, "--account", "treasury")[1]["venues"][0]["named_idly"] == []


def test_a_folder_that_holds_nothing_to_read_is_exit_code_3(recon: Recon, settings: Settings) -> None:
    folder = settings.venues["demo"].folder
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.capitalize()))
    code, told = recon.json("run", "--from", "2025-10-01", "--to", "2025-10-02")
    assert code == 3
    (venue,) = told["venues"]
    assert "the folder holds no file that is read" in venue["errors"][0]["text"]
    assert "Balances-operations.csv" in venue["unread_files"]


def test_as_of_decides_what_is_pending(recon: Recon, settings: Settings) -> None:
    code, told = recon.json(
        "run", "--from", "2025-10-01", "--to", "2025-10-19", "--account", "operations", "--as-of", "2025-10-19"
    )
    assert code == 0
    assert told["venues"][0]["rows"]["pending"] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--from", "2025-10-02", "--to", "2025-10-01"), "--from 2025-10-02 is after --to 2025-10-01"),
        (("run", "--from", "2025-01-02", "--to", "2025-01-03"), "demo has those from 2025-10-01 to yesterday"),
        (("run", "--from", "2025-10-01", "--to", "2025-10-01", "--venue", "bank"), "there is no venue 'bank'"),
        (("run", "--from", "yesterday", "--to", "2025-10-01"), "'yesterday' does not match the format"),
        (("nonsense",), "No such command 'nonsense'"),
    ],
)
def test_wrong_use_is_exit_code_2_and_says_why(
    recon: Recon, settings: Settings, arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = recon(*arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_a_wrong_configuration_is_exit_code_2_with_its_line(recon: Recon, settings: Settings) -> None:
    settings.path.write_text(settings.path.read_text().replace("calendar: daily", "calender: daily"))
    code, _, err = recon(*MONTH)
    assert code == 2
    assert "calender" in err
    assert "recon.yaml" in err
    code, told = recon.json(*MONTH)
    assert (code, told["error"]["name"]) == (2, "ConfigError")


def test_init_writes_a_configuration_that_loads_and_leaves_one_that_is_there(
    recon: Recon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECON_CONFIG", raising=False)
    assert recon("init")[0] == 0
    assert (tmp_path / "statements" / "my_bank").is_dir()
    code, _, err = recon("init")
    assert (code, "there is a recon.yaml already" in err) == (2, True)


def test_what_a_name_holds_is_no_command_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "X\x1b]0;owned\x07\x1b[2J\u202e[red]"
    console().print(rows_table("Off", [{"asset": name}], ["asset"]))
    console().print(name)
    click.echo(str(ReconError(name)))
    told = capsys.readouterr().out
    assert told.count(r"X\x1b]0;owned\x07\x1b[2J\u202e[red]") == 3
    assert all(c.isprintable() or c == "\n" for c in told)


def test_a_look_at_an_embedded_database_that_was_down_leaves_it_to_who_else_uses_it(
    recon: Recon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECON_DATABASE_URL", raising=False)
    monkeypatch.setenv("RECON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RECON_CONFIG", str(tmp_path / "recon.yaml"))
    recon("init")
    server = EmbeddedPostgres(tmp_path / "home")
    assert (recon.json("status")[0], server.data.exists()) == (3, False), "there is none to look at"
    try:
        server.start()
        server.stop()
        assert (recon.json("status")[0], server.status().running) == (3, True)
    finally:
        server.stop()


def test_status_and_export_tell_what_stands(recon: Recon, settings: Settings, tmp_path: Path) -> None:
    code, told = recon.json("status")
    assert (code, [venue["latest_day"] for venue in told["venues"]]) == (3, [None]), "what never ran is not green"
    recon(*MONTH)
    code, told = recon.json("status")
    assert code == 1
    (venue,) = told["venues"]
    assert (venue["latest_day"], venue["accounts"], venue["green"], venue["red"]) == ("2025-10-31", 2, 1, 1)
    assert venue["last_run"]["outcome"] == "done"
    (why,) = venue["not_green"]
    assert (why["date"], why["verdict"]) == ("2025-10-31", "red")
    assert "beyond tolerance" in why["why"]
    assert why["why"][:30] in " ".join(recon("status")[1].split())
    code, told = recon.json("export", "--to", str(tmp_path / "export"))
    assert code == 0
    with (tmp_path / "export" / "reconciliation_summary.csv").open(encoding="utf-8") as file:
        summary = list(csv.DictReader(file))
    assert len(summary) == 217
    assert list(summary[0])[:4] == ["date", "email", "wallet", "asset"]
    assert {Path(one["path"]).stem for one in told["files"]} >= {"account_day_verdict", "open_variances"}


def test_the_url_in_use_is_printed_whether_or_not_it_answers(
    recon: Recon, settings: Settings, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recon("database", "url")[1].strip() == database
    away = "postgresql://owner:word@127.0.0.1:1/away"
    monkeypatch.setenv("RECON_DATABASE_URL", away)
    assert recon("database", "url")[:2] == (0, away + "\n")
    monkeypatch.setenv("RECON_DATABASE_URL", "mysql://owner:word@h/d")
    assert recon("database", "url")[0] == 2


@pytest.fixture
def ended(settings: Settings) -> Iterator[None]:
    yield
    down(settings)


def test_up_starts_the_ui_and_the_daemon_and_down_ends_exactly_them(
    recon: Recon, settings: Settings, ended: None
) -> None:
    """Whoever else asks for it in the same moment gets the same ones."""
    command = [sys.executable, "-c", "from recon_pipeline.cli import main; main()", "up", "--port", "3977", "--json"]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    code, told = recon.json("up", "--port", "3977")
    assert code == 0
    assert json.loads(other.communicate(timeout=120)[0])["processes"] == told["processes"]
    there = running(settings)
    assert set(there) == {"webserver", "daemon", "code"}
    with urllib.request.urlopen(f"{told['ui']}/server_info", timeout=30) as answer:  # noqa: S310
        assert json.loads(answer.read())["dagster_webserver_version"]
    assert recon.json("up", "--port", "3977")[1]["ui"] == told["ui"] == address(there["webserver"])
    code, ended_ = recon.json("down")
    assert ended_ == {"ended": ["webserver", "daemon", "code"]}
    assert running(settings) == {}
    assert not any(process.is_alive for process in there.values())


def test_down_never_ends_a_stranger_that_got_the_number(recon: Recon, settings: Settings) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        file = settings.home / "dagster" / "processes" / "webserver.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"name": "webserver", "pid": stranger.pid, "started": "1", "port": 1}))
        assert recon.json("down")[1] == {"ended": []}
        assert stranger.poll() is None
        assert not Process("webserver", stranger.pid, "", 1).is_alive
    finally:
        stranger.kill()
        stranger.wait()


def test_sigterm_ends_a_run_with_whole_days_and_the_ui_shows_it_ended(settings: Settings) -> None:
    command = [sys.executable, "-c", "from recon_pipeline.cli import main; main()", *MONTH]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (Path(settings.lake_url) / "balances").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 3, err
    assert "Stopped: stopped by a signal between two commits" in out
    assert "Traceback" not in err
    days = [path for path in lake_bytes(settings) if path.startswith("balances/")]
    assert len(days) == 31, "a commit was left in the middle"
    with connection(str(settings.database_url), "testing") as database:
        (status,) = database.execute(sa.text("SELECT status FROM dagster.runs")).scalars()
        outcomes = database.execute(sa.text("SELECT outcome FROM recon.runs")).scalars().all()
    assert status in ("CANCELED", "FAILURE")
    assert outcomes == ["stopped"]


@pytest.mark.parametrize("account", ["ops[/main]", "ops [old]", "[bold]", ":smile:"])
def test_a_name_is_printed_as_it_is_and_never_read_as_markup(recon: Recon, settings: Settings, account: str) -> None:
    for path in settings.venues["demo"].folder.iterdir():
        path.write_text(path.read_text().replace("operations", account))
    code, out, err = recon("run", "--from", "2025-10-18", "--to", "2025-10-19")
    assert (code, err) == (3, "")
    assert f"{account} " in out


def test_a_variance_is_listed_before_what_is_incomplete_and_the_rest_is_counted(
    recon: Recon, settings: Settings
) -> None:
    header = "account,wallet,asset,as_of,raw_balance\n"
    lines = [
        f"many,W,T{n:02},2025-10-{day:02}T23:00:00Z,{9 if (n, day) == (7, 4) else 1}\n"
        for n in range(60)
        for day in (1, 3, 4)
    ]
    folder = settings.venues["demo"].folder
    (folder / "balances-many.csv").write_text(header + "".join(lines))
    (folder / "coverage-many.csv").write_text(
        "account,stream,window_start,window_end,status\nmany,*,2025-10-01T00:00:00Z,2025-11-01T00:00:00Z,complete\n"
    )
    code, told = recon.json("run", "--from", "2025-10-01", "--to", "2025-10-04", "--account", "many")
    (venue,) = told["venues"]
    assert code == 1
    assert (venue["disagreeing"][0]["status"], venue["disagreeing"][0]["asset"]) == ("variance", "T07")
    assert (len(venue["disagreeing"]), venue["disagreeing_rows"]) == (50, 61)


def test_an_error_that_nobody_foresaw_has_a_name_and_never_says_that_books_disagree(
    recon: Recon, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("postgresql://someone:hidden@host/db")

    monkeypatch.setattr("recon_pipeline.assets.resource.open_database", broken)
    code, told = recon.json("run", "--from", "2025-10-01", "--to", "2025-10-01")
    assert (code, told["error"]["name"]) == (3, "UnforeseenError")
    assert "hidden" not in json.dumps(told)


def test_a_run_that_failed_on_its_way_is_no_statement_about_the_rows_of_an_older_one(
    recon: Recon, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recon.json(*MONTH)[0] == 1

    def full(*_: object, **__: object) -> None:
        raise StoreError("no space left on the device")

    monkeypatch.setattr("recon_pipeline.reconcile.pipeline.reconcile_until_settled", full)
    code, told = recon.json(*MONTH)
    assert (code, told["venues"][0]["errors"][0]["name"]) == (3, "StoreError")
    assert told["venues"][0]["rows"]["variance"] == 2


def test_a_run_that_was_killed_is_recorded_as_such_by_the_next(recon: Recon, settings: Settings) -> None:
    command = [sys.executable, "-c", "from recon_pipeline.cli import main; main()", *MONTH]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (Path(settings.lake_url) / "balances").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    child.wait()
    assert recon("run", "--from", "2025-10-01", "--to", "2025-10-02")[0] == 0
    with connection(str(settings.database_url), "looking") as database:
        query = sa.text("SELECT outcome, finished_at IS NOT NULL FROM recon.runs ORDER BY started_at")
        ends = [tuple(row) for row in database.execute(query)]
    assert ends == [("killed", True), ("done", True)]


def test_who_waits_for_another_run_is_told_so_without_a_terminal(recon: Recon, settings: Settings) -> None:
    assert recon("run", "--from", "2025-10-01", "--to", "2025-10-01")[2] == ""
    is_held = threading.Event()

    def hold() -> None:
        with venue_lock(str(settings.database_url), "demo"):
            is_held.set()
            time.sleep(4)

    other = threading.Thread(target=hold)
    other.start()
    is_held.wait(timeout=60)
    code, _, err = recon("run", "--from", "2025-10-01", "--to", "2025-10-01")
    other.join()
    assert (code, set(err.splitlines())) == (0, {"waiting for another run of demo to end"})


def test_a_database_that_breaks_off_under_dagster_is_told_as_such(
    recon: Recon, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        try:
            raise sa.exc.OperationalError("SELECT 1", {}, Exception("server closed the connection"))
        except sa.exc.OperationalError as error:
            raise DagsterPostgresException("too many retries for DB connection") from error

    monkeypatch.setattr("recon_pipeline.assets.execution.execute", broken)
    code, told = recon.json("run", "--from", "2025-10-01", "--to", "2025-10-01")
    assert (code, told["error"]["name"]) == (3, "DatabaseUnavailable")
    assert told["error"]["found"] == "server closed the connection"


def test_a_folder_that_is_not_there_is_told_as_the_file_systems_refusal(
    recon: Recon, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECON_CONFIG", str(tmp_path / "nowhere" / "recon.yaml"))
    code, _, err = recon("init")
    assert code == 3
    assert err.startswith("StoreError: the file system refused: No such file or directory")
    assert str(tmp_path / "nowhere/recon.yaml") in err


def test_every_command_says_what_it_does() -> None:
    environment = dict(os.environ)
    command = [sys.executable, "-c", "from recon_pipeline.cli import main; main()", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    for name in ("init", "run", "status", "up", "down", "demo", "database", "export"):
        assert f"\n  {name} " in shown
