"""A venue that is asked over HTTP, in Dagster: its assets, its captures, and when they run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from recon_pipeline.assets.instance import DAGSTER_YAML, ONE_PARTITION, RANGE_START
from recon_pipeline.config import Settings, load_settings
from recon_pipeline.definitions import build


def settings_with(folder: Path, **venue: object) -> Settings:
    account = {"main@example.com": {"credentials": "binance_main"}}
    config = {"start": "2026-01-03", "venues": {"binance": {"kind": "binance", "accounts": account, **venue}}}
    path = folder / "recon.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return load_settings(path, {"RECON_HOME": str(folder)})


def origin(job: str) -> RemoteJobOrigin:
    """Where Dagster looks for a job that waits in the queue."""
    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="recon_pipeline.definitions"))
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, "recon"), job)


@pytest.fixture
def live(tmp_path: Path) -> dg.RepositoryDefinition:
    return build(settings_with(tmp_path)).get_repository_def()


def test_its_assets_are_those_of_every_venue(live: dg.RepositoryDefinition) -> None:
    keys = {key.to_user_string() for key in live.asset_graph.get_all_asset_keys()}
    names = ("raw", "transfers", "trades", "balances", "prices", "reconciliation")
    assert {f"binance/{name}" for name in names} <= keys


def test_the_due_day_runs_at_two_and_captures_run_early_each_hour(live: dg.RepositoryDefinition) -> None:
    schedules = {schedule.name: schedule for schedule in live.schedule_defs}
    assert schedules["daily_binance"].cron_schedule == "0 2 * * *"
    assert schedules["captures_binance"].cron_schedule == "5 0-5 * * *"
    assert {schedule.default_status for schedule in schedules.values()} == {dg.DefaultScheduleStatus.RUNNING}
    assert [sensor.name for sensor in live.sensor_defs] == []


def test_captures_take_no_pool_and_so_wait_for_no_backfill(live: dg.RepositoryDefinition) -> None:
    (op,) = live.get_job("captures_binance").nodes
    assert op.definition.pools == set()


@pytest.mark.parametrize(("tag", "is_behind"), [(RANGE_START, True), (ONE_PARTITION, True), ("venue", False)])
def test_a_capture_has_a_slot_while_backfills_wait_for_theirs(tag: str, is_behind: bool) -> None:
    said = yaml.safe_load(DAGSTER_YAML)
    overrides = {name: said[name] for name in ("run_queue", "concurrency")}
    with TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder, overrides=overrides) as instance:
        for each in (RANGE_START, ONE_PARTITION):
            for _ in range(3):
                create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, tags={each: "2026-01-03"})
        queued = create_run_for_test(
            instance,
            remote_job_origin=origin("captures_binance"),
            status=dg.DagsterRunStatus.QUEUED,
            tags={tag: "2026-01-04"},
        )
        daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
        due = daemon._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)
        assert [run.run_id for run in due] == ([] if is_behind else [queued.run_id])


def test_the_schedules_of_a_sandbox_wait_until_they_are_switched_on(tmp_path: Path) -> None:
    made = build(settings_with(tmp_path, sandbox="http://127.0.0.1:8790")).get_repository_def()
    assert {schedule.default_status for schedule in made.schedule_defs} == {dg.DefaultScheduleStatus.STOPPED}


def test_a_key_written_into_recon_yaml_is_refused_and_not_repeated(tmp_path: Path) -> None:
    account = {"main@example.com": {"credentials": "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"}}
    with pytest.raises(Exception, match="that cannot name credentials") as refused:
        settings_with(tmp_path, accounts=account)
    assert "vmPUZE6mv9SD" not in str(refused.value)
    assert "recon secrets set" in str(refused.value)


def test_two_accounts_with_one_user_id_are_refused(tmp_path: Path) -> None:
    accounts = {f"{name}@example.com": {"credentials": f"binance_{name}", "user_id": "350000001"} for name in "ab"}
    with pytest.raises(Exception, match=r"a@example.com and b@example.com have one user_id"):
        settings_with(tmp_path, accounts=accounts)


@pytest.mark.parametrize("of_b", [{}, {"emails": ["C@example.com"]}])
def test_an_e_mail_is_that_of_one_account(tmp_path: Path, of_b: dict[str, list[str]]) -> None:
    """Whether another one has it as its name, or as what its own became."""
    taken = of_b.get("emails", ["B@example.com"])
    accounts = {"b@example.com": of_b, "a@example.com": {"emails": [taken[0].lower()]}}
    with pytest.raises(Exception, match=r"@example.com is an e-mail of [ab]@example.com and of [ab]@example.com"):
        settings_with(tmp_path, accounts=accounts)


def test_two_accounts_whose_e_mails_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    accounts = {name: {"credentials": "binance_main"} for name in ("main@example.com", "Main@Example.com")}
    with pytest.raises(Exception, match=r"Main@Example.com and main@example.com are one account"):
        settings_with(tmp_path, accounts=accounts)


@pytest.mark.parametrize("hidden", ["\u200b", "\u00a0", "\x00"])
def test_an_account_whose_name_holds_what_does_not_show_is_refused(tmp_path: Path, hidden: str) -> None:
    accounts = {f"main{hidden}@example.com": {"credentials": "binance_main"}}
    with pytest.raises(Exception, match="a character that does not show") as refused:
        settings_with(tmp_path, accounts=accounts)
    assert "recon.yaml, line" in str(refused.value)
