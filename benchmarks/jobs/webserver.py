"""What a person does in Dagster's UI, asked of the same web server: launch a backfill or a run and await its end."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

POLL_SECONDS = 0.1
SECONDS_MAX = 900

_REPOSITORIES = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
_AUTOMATIONS = """query ($at: RepositorySelector!) {
  sensorsOrError(repositorySelector: $at) { ... on Sensors { results { sensorState { id } } } }
  schedulesOrError(repositorySelector: $at) { ... on Schedules { results { scheduleState { id } } } }
}"""
_STOP_SENSOR = """mutation ($id: String!) {
  stopSensor(id: $id) { __typename ... on StopSensorMutationResult { instigationState { status } } }
}"""
_STOP_SCHEDULE = """mutation ($id: String!) {
  stopRunningSchedule(id: $id) { __typename ... on ScheduleStateResult { scheduleState { status } } }
}"""
_BACKFILL = """mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename ... on LaunchBackfillSuccess { backfillId } }
}"""
_BACKFILL_STATUS = """query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status runs { id status creationTime startTime endTime } }
  }
}"""
_RUN = """mutation ($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) { __typename ... on LaunchRunSuccess { run { id } } }
}"""
_RUN_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { id status creationTime startTime endTime } } }"
_ENDED = ("SUCCESS", "FAILURE", "CANCELED")


class WebServer:
    """The GraphQL interface of a running web server with one code location."""

    def __init__(self, address: str) -> None:
        self._host = urlsplit(address).netloc
        # The server answers before it has loaded the definitions.
        found = _poll(lambda: self._ask(_REPOSITORIES)["repositoriesOrError"], lambda now: bool(now["nodes"]))
        [node] = found["nodes"]
        self._at = {"repositoryName": node["name"], "repositoryLocationName": node["location"]["name"]}

    def stop_automations(self) -> None:
        """Stop every sensor and schedule, so that nothing but what is measured runs."""
        found = self._ask(_AUTOMATIONS, at=self._at)
        for sensor in found["sensorsOrError"]["results"]:
            self._ask(_STOP_SENSOR, id=sensor["sensorState"]["id"])
        for schedule in found["schedulesOrError"]["results"]:
            self._ask(_STOP_SCHEDULE, id=schedule["scheduleState"]["id"])

    def backfill(self, assets: Sequence[Sequence[str]], days: Sequence[str]) -> list[dict[str, Any]]:
        """Launch a backfill of these asset keys and days; its runs, once it says that it is complete."""
        params = {"assetSelection": [{"path": list(key)} for key in assets], "partitionNames": list(days)}
        launched = self._ask(_BACKFILL, params=params)["launchPartitionBackfill"]
        if "backfillId" not in launched:
            raise RuntimeError(f"the backfill was refused: {launched['__typename']}")

        def status() -> dict[str, Any]:
            answer: dict[str, Any] = self._ask(_BACKFILL_STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
            return answer

        ended = _poll(status, lambda now: now["status"].startswith(("COMPLETED", "FAILED", "CANCELED")))
        runs: list[dict[str, Any]] = ended["runs"]
        if ended["status"] != "COMPLETED_SUCCESS" or any(run["status"] != "SUCCESS" for run in runs):
            raise RuntimeError(f"the backfill ended {ended['status']}, its runs {[run['status'] for run in runs]}")
        return runs

    def run(self, job: str, assets: Sequence[Sequence[str]], day: str) -> dict[str, Any]:
        """Launch one day of these assets as the UI's dialogue does; the run, once it has ended."""
        selection = [{"path": list(key)} for key in assets]
        params = {
            "selector": {**self._at, "jobName": job, "assetSelection": selection},
            "mode": "default",
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": day}]},
        }
        launched = self._ask(_RUN, params=params)["launchPipelineExecution"]
        if "run" not in launched:
            raise RuntimeError(f"the run was refused: {launched['__typename']}")

        def status() -> dict[str, Any]:
            answer: dict[str, Any] = self._ask(_RUN_STATUS, id=launched["run"]["id"])["runOrError"]
            return answer

        ended = _poll(status, lambda now: now["status"] in _ENDED)
        if ended["status"] != "SUCCESS":
            raise RuntimeError(f"the run ended {ended['status']}")
        return ended

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables})
        connection = http.client.HTTPConnection(self._host, timeout=60)
        try:
            connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
            told = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if told.get("errors"):
            raise RuntimeError(f"the web server refused: {told['errors'][0]['message']}")
        data: dict[str, Any] = told["data"]
        return data


def _poll(ask: Callable[[], dict[str, Any]], is_done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        now = ask()
        if is_done(now):
            return now
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"nothing came of it within {SECONDS_MAX} s")
