"""What Dagster is told, and what it is shown: assets, checks, partitions, the schedule and the sensor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from recon_pipeline.assets.execution import JobResult, execute
from recon_pipeline.assets.instance import PROCESS_TAG, RANGE_START, fail_dead_runs, process_tags, storage_url
from recon_pipeline.assets.jobs import RANGE_END, range_tags
from recon_pipeline.config import Settings
from recon_pipeline.definitions import build
from recon_pipeline.errors import ConfigError
from recon_pipeline.reconcile.pipeline import Request
from recon_pipeline.sandbox.statements import FIRST_DAY, LAST_DAY, VENUE
from recon_pipeline.stores.marts import mart_models
from recon_pipeline_tests.homes import AS_OF, demo_in_environment, edit

pytestmark = pytest.mark.postgres
ASSETS = ("raw", "transfers", "trades", "balances", "prices", "reconciliation")


@pytest.fixture
def settings(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return demo_in_environment(tmp_path, database, monkeypatch)


@pytest.fixture
def definitions(settings: Settings) -> dg.Definitions:
    return build(settings)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run_job(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    first: date = FIRST_DAY,
    last: date = LAST_DAY,
    **more: Any,
) -> JobResult:
    return execute(instance, definitions, Request(VENUE, first, last, AS_OF, **more))


def key(name: str) -> dg.AssetKey:
    return dg.AssetKey([VENUE, name])


def latest(instance: dg.DagsterInstance, asset: dg.AssetKey, partition: date | None = None) -> dict[str, Any]:
    """The metadata of the latest materialisation."""
    partitions = [str(partition)] if partition else None
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset, asset_partitions=partitions), limit=1
    ).records
    assert found[0].asset_materialization is not None
    return {name: shown(value) for name, value in found[0].asset_materialization.metadata.items()}


def shown(value: Any) -> Any:
    """A metadata value as a plain one; a table as itself."""
    return value if isinstance(value, dg.TableMetadataValue) else value.value


def records(table: Any) -> list[dict[str, Any]]:
    """The rows of a table that metadata shows."""
    return [dict(record.data) for record in table.records]


def check(instance: dg.DagsterInstance, asset: dg.AssetKey, name: str) -> tuple[str, dict[str, Any]]:
    """The latest result of a check and its metadata."""
    record = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(asset, name), limit=1)[0]
    assert record.event is not None
    evaluation: Any = record.event.dagster_event
    data = evaluation.event_specific_data
    return record.status.value, {label: shown(value) for label, value in data.metadata.items()}


def test_the_graph_has_the_names_that_others_rely_on(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    models = {dg.AssetKey(["marts", model.name]) for model in mart_models()}
    assert graph.get_all_asset_keys() == {key(name) for name in ASSETS} | models
    checks = {
        (check.asset_key.path[-1], check.name) for check in graph.asset_check_keys if check.asset_key not in models
    }
    contracts = {(name, "contract") for name in ASSETS}
    assert checks == contracts | {("reconciliation", "coverage"), ("reconciliation", "variance")}
    assert definitions.resolve_job_def("daily_demo").asset_layer.executable_asset_keys == graph.get_all_asset_keys()
    sensor, schedule = definitions.resolve_sensor_def("files_demo"), definitions.resolve_schedule_def("daily_demo")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.cron_schedule == "0 2 * * *"


def test_a_venues_assets_are_daily_in_one_run_and_one_pool(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for name in ASSETS:
        node = graph.get(key(name))
        assert node.partitions_def == dg.DailyPartitionsDefinition("2025-10-01", timezone="UTC")
        assert node.backfill_policy == dg.BackfillPolicy.single_run()
        assert node.pools == {"venue_demo"}
        assert node.description
    upstream = {parent.path[-1] for parent in graph.get(key("reconciliation")).parent_keys}
    assert upstream == {"transfers", "trades", "balances", "prices"}


def test_columns_are_documented_in_the_ui(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for node in graph.asset_nodes:
        if node.key.path[-1] != "raw":
            schema = node.metadata["dagster/column_schema"]
            assert all(column.description for column in schema.columns), node.key
    columns = {c.name: c for c in graph.get(key("transfers")).metadata["dagster/column_schema"].columns}
    assert columns["amount"].type == "decimal128(36, 18)"
    assert not columns["amount"].constraints.nullable
    assert "one of transfer_in, transfer_out, txn_fee" in columns["txn_type"].constraints.other


def test_a_month_is_one_run_with_its_partitions_checks_and_figures(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run_job(definitions, instance)
    assert result.success, result.errors
    assert len(instance.get_runs()) == 1
    for name in ASSETS:
        assert len(instance.get_materialized_partitions(key(name))) == 31
    assert check(instance, key("reconciliation"), "contract")[0] == "SUCCEEDED"
    status, told = check(instance, key("reconciliation"), "variance")
    assert (status, told["rows at variance"], told["USD at variance"]) == ("FAILED", 2, "25057.342")
    assert [record["day"] for record in records(told["days at fault"])] == ["2025-10-09", "2025-10-14"]
    status, told = check(instance, key("reconciliation"), "coverage")
    assert (status, told["rows incomplete"]) == ("FAILED", 3)
    day = latest(instance, key("reconciliation"), date(2025, 10, 14))
    assert (day["dagster/row_count"], day["rows variance"], day["USD at variance"]) == (7, 1, "25000")
    last = latest(instance, key("reconciliation"), LAST_DAY)
    assert last["rows by day"].startswith("![rows by status and day](data:image/svg+xml;base64,")
    assert len(records(last["rows that disagree"])) == 5
    for model in mart_models():
        assert instance.get_latest_materialization_event(dg.AssetKey(["marts", model.name])) is not None
        for test in model.tests:
            assert check(instance, dg.AssetKey(["marts", model.name]), test.name)[0] == "SUCCEEDED"


def test_days_that_a_run_wrote_besides_its_own_are_materialised_too(
    definitions: dg.Definitions, instance: dg.DagsterInstance, settings: Settings
) -> None:
    day = date(2025, 10, 9)
    assert run_job(definitions, instance, day, day).success
    assert instance.get_materialized_partitions(key("balances")) >= {"2025-10-08", "2025-10-09"}
    assert instance.get_materialized_partitions(key("reconciliation")) == {"2025-10-09"}
    run_job(definitions, instance, day.replace(day=10), day.replace(day=10))
    fee = "treasury,CUSTODY,withdrawal-1009:fee,2025-10-09T14:00:00+00:00,txn_fee,txn_fee,BTC,-0.0005"
    edit(settings, "transfers-treasury.csv", lambda lines: [*lines, fee])
    edit(settings, "balances-treasury.csv", lambda lines: [line for line in lines if "2025-10-09T" not in line])
    before = latest(instance, key("reconciliation"), day.replace(day=10))
    run_job(definitions, instance, day, day)
    after = latest(instance, key("reconciliation"), day.replace(day=10))
    assert "written for" not in before
    assert after["written for"] == "2025-10-09"


def test_one_asset_alone_brings_what_it_needs(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    job = dg.define_asset_job("alone", selection=dg.AssetSelection.assets(key("reconciliation")))
    alone = dg.Definitions(
        assets=list(definitions.assets or ()), asset_checks=list(definitions.asset_checks or ()), jobs=[job],
        resources=dict(definitions.resources or {}), executor=definitions.executor,
    )  # fmt: skip
    result = alone.resolve_job_def("alone").execute_in_process(
        instance=instance, tags=dict(range_tags(FIRST_DAY, FIRST_DAY))
    )
    assert result.success
    assert instance.get_materialized_partitions(key("transfers")) == {str(FIRST_DAY)}
    assert latest(instance, key("reconciliation"))["dagster/row_count"] == 7


def test_what_was_refused_fails_the_run_when_everything_is_written(
    definitions: dg.Definitions, instance: dg.DagsterInstance, settings: Settings
) -> None:
    edit(settings, "transfers-treasury.csv", lambda lines: [line.replace("-0.1625", "-0.1_625") for line in lines])
    result = run_job(definitions, instance)
    assert not result.success
    assert [name for name, _ in result.errors] == ["RefusedInput"]
    text = result.errors[0][1]
    assert text.startswith("RefusedInput: 1 row refused\n")
    assert "transfers-treasury.csv, line " in text
    assert "-0.1_625" not in text, "an error tells no amount"
    for name in ASSETS:
        assert len(instance.get_materialized_partitions(key(name))) == 31
    status, told = check(instance, key("transfers"), "contract")
    assert (status, told["rows refused"]) == ("FAILED", 1)
    assert records(told["sample of rows refused"])[0]["file"] == "transfers-treasury.csv"
    assert [record["day"] for record in records(told["days at fault"])] == ["2025-10-13"]
    assert instance.get_latest_materialization_event(dg.AssetKey(["marts", "account_day_verdict"])) is not None


def test_a_fault_of_the_whole_writes_nothing_and_says_so(
    definitions: dg.Definitions, instance: dg.DagsterInstance, settings: Settings
) -> None:
    folder = settings.venues[VENUE].folder
    folder.rename(folder.with_name("elsewhere"))
    result = run_job(definitions, instance)
    assert not result.success
    assert result.errors[0][0] == "FolderMissing"
    assert not instance.get_materialized_partitions(key("raw"))


def test_the_schedule_asks_for_the_day_that_is_due_and_for_what_never_ran(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    schedule = definitions.resolve_schedule_def("daily_demo")

    def asked(at: datetime) -> tuple[str, str]:
        with dg.build_schedule_context(instance=instance, scheduled_execution_time=at) as context:
            data = schedule.evaluate_tick(context)
        assert data.run_requests
        return data.run_requests[0].tags[RANGE_START], data.run_requests[0].tags[RANGE_END]

    night = datetime(2025, 10, 6, 2, tzinfo=UTC)
    assert asked(night) == ("2025-10-05", "2025-10-05")
    run_job(definitions, instance, FIRST_DAY, date(2025, 10, 2))
    assert asked(night) == ("2025-10-03", "2025-10-05")


def test_the_sensor_takes_the_whole_folder_first_and_then_the_days_that_files_touch(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sensor = definitions.resolve_sensor_def("files_demo")

    def tick(cursor: str | None) -> dg.SensorExecutionData:
        with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
            return sensor.evaluate_tick(context)

    def spans(data: dg.SensorExecutionData) -> list[tuple[str, str]]:
        return [(request.tags[RANGE_START], request.tags[RANGE_END]) for request in data.run_requests or ()]

    assert "written a moment ago" in str(tick(None).skip_message)
    monkeypatch.setattr("recon_pipeline.reconcile.changes.SETTLING_SECONDS", 0)
    first = tick(None)
    assert spans(first) == [(str(FIRST_DAY), str(LAST_DAY))]
    assert tick(first.cursor).skip_message == "nothing has changed in the folder"
    run_job(definitions, instance)
    edit(settings, "prices.csv", lambda lines: [line.replace("4150.00", "4151.00") for line in lines])
    second = tick(first.cursor)
    assert spans(second) == [("2025-10-01", "2025-10-01")]
    folder = settings.venues[VENUE].folder
    folder.rename(folder.with_name("elsewhere"))
    yesterday = spans(tick(second.cursor))
    assert len(yesterday) == 1, "a folder that cannot be read starts the run of one day, which says so"


def test_runs_whose_process_is_gone_are_failed_and_others_left_alone(instance: dg.DagsterInstance) -> None:
    @dg.job
    def empty() -> None: ...

    def started(tags: dict[str, str]) -> str:
        run = instance.create_run_for_job(empty, tags=tags)
        instance.report_dagster_event(_started(run.run_id), run.run_id)
        return run.run_id

    mine, gone, elsewhere = (
        started(dict(process_tags())),
        started({PROCESS_TAG: dict(process_tags())[PROCESS_TAG] + "0"}),
        started({PROCESS_TAG: "another-host|1|1"}),
    )
    assert fail_dead_runs(instance) == [gone]
    statuses = {run.run_id: run.status.value for run in instance.get_runs()}
    assert statuses == {mine: "STARTED", gone: "FAILURE", elsewhere: "STARTED"}


def _started(_run_id: str) -> Any:
    from dagster._core.events import DagsterEvent, DagsterEventType

    return DagsterEvent(event_type_value=DagsterEventType.RUN_START.value, job_name="empty", message="")


def test_a_wrong_configuration_is_refused_with_its_line(settings: Settings) -> None:
    settings.path.write_text(settings.path.read_text().replace("due_days", "due_dys"))
    from recon_pipeline.definitions import defs

    with pytest.raises(ConfigError, match=r"due_dys") as refused:
        defs()
    assert "recon.yaml" in str(refused.value)


def test_dagster_is_given_its_own_schema_and_an_outright_driver() -> None:
    url = storage_url("postgresql://owner:p%40ss@db:5433/recon?sslmode=require")
    assert url.startswith("postgresql+psycopg2://owner:p%40ss@db:5433/recon?")
    assert "options=-csearch_path%3Ddagster+-csynchronous_commit%3Doff" in url
    assert "sslmode=require" in url
    assert "options=-crole%3Dapp+-csearch_path%3Ddagster+" in storage_url("postgresql://h/d?options=-crole%3Dapp")


def test_an_error_is_told_by_its_name_whatever_caused_it(
    definitions: dg.Definitions, instance: dg.DagsterInstance, settings: Settings
) -> None:
    """The sum of these flows has more digits than a column: DuckDB says so first, the user hears what to do."""
    line = "operations,EXCHANGE,{0},2025-10-09T14:00:00+00:00,transfer_in,deposit,USDT,999999999999999999"
    edit(settings, "transfers-operations.csv", lambda lines: [*lines, *(line.format(n) for n in range(120))])
    ((name, text),) = run_job(definitions, instance).errors
    assert name == "AmountOverflowError"
    assert text.startswith("AmountOverflowError: a sum of amounts has more than 20 integer digits\n  where:    venue")
