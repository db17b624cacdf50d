"""A person in a browser: a month picked and launched in the Dagster UI, as one run, and what the UI then shows."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from recon_pipeline.assets import processes
from recon_pipeline.assets.execution import open_instance
from recon_pipeline.config import Settings
from recon_pipeline.sandbox.statements import VENUE
from recon_pipeline_tests.homes import demo_in_environment

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
T = TypeVar("T")
MONTH = "[2025-10-01...2025-10-31]"
SECONDS_MAX = 120
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--window-size=1500,1200",
)  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return demo_in_environment(tmp_path, database, monkeypatch)


@pytest.fixture
def ui(settings: Settings) -> Iterator[UI]:
    """The UI and the daemon, the sensor switched off before it could take the month itself."""
    database = str(settings.database_url)
    with open_instance(settings, database):
        try:
            started = processes.up(settings, database, 3979, names=("webserver",))
            made = UI(processes.address(started["webserver"]))
            made.stop_sensor()
            processes.up(settings, database, 3979)
            yield made
        finally:
            processes.down(settings)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    if not (Path(CHROMIUM).exists() and shutil.which(DRIVER)):
        reason = "no Chromium: install the distribution's packages chromium and chromium-driver"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(flag)
    opened = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield opened
    opened.quit()


class UI:
    """Where the web server answers, and what it says when asked behind the pages."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.loads(answer.read())["data"]

    def stop_sensor(self) -> None:
        found = self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { sensors { id name } } } } }")
        (sensor,) = found["repositoriesOrError"]["nodes"][0]["sensors"]
        assert sensor["name"] == f"files_{VENUE}"
        self.ask("mutation($id: String!) { stopSensor(id: $id) { __typename } }", id=sensor["id"])

    def runs(self) -> list[dict[str, Any]]:
        found = self.ask("{ runsOrError { ... on Runs { results { runId status } } } }")
        return list(found["runsOrError"]["results"])


def test_a_month_launched_in_the_ui_is_one_run_and_the_ui_shows_what_it_found(browser: Chrome, ui: UI) -> None:
    pick_the_month(browser, ui)
    wait_for(lambda: [run["status"] for run in ui.runs()] == ["SUCCESS"], lambda: f"one run that succeeds: {ui.runs()}")

    browser.get(f"{ui.address}/assets/{VENUE}/reconciliation?view=partitions")
    see(browser, "Materialized (31)")
    browser.get(f"{ui.address}/assets/{VENUE}/reconciliation?view=checks")
    for name, status in (("contract", "Succeeded"), ("coverage", "Failed"), ("variance", "Failed")):
        see(browser, name)
        see(browser, status)
    browser.get(f"{ui.address}/assets/{VENUE}/reconciliation")
    see(browser, "variance_in_asset")
    see(browser, "25057.342")
    for name in ("raw", "transfers", "trades", "balances", "prices"):
        browser.get(f"{ui.address}/assets/{VENUE}/{name}?view=partitions")
        see(browser, "Materialized (31)")


def pick_the_month(browser: Chrome, ui: UI) -> None:
    """On the page of the venue's assets: Materialize all, all partitions, the month, Launch."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser.get(f"{ui.address}/locations/__repository__@recon_pipeline/asset-groups/{VENUE}")
    button(browser, "Materialize all").click()
    button(browser, "Show all partitions").click()
    picked = "//input[starts-with(@placeholder, 'ex: 2025-10-01')]"
    field = wait_for(lambda: browser.find_elements(By.XPATH, picked), lambda: "the field of the partitions")[0]
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(MONTH, Keys.ENTER)
    see(browser, "31 partitions")
    button(browser, "Launch backfill").click()


def button(browser: Chrome, text: str) -> WebElement:
    """The button with that text, once it is there and can be pressed."""
    from selenium.webdriver.common.by import By

    def found() -> list[WebElement]:
        buttons = browser.find_elements(By.XPATH, f"//button[contains(., '{text}')]")
        return [one for one in buttons if one.is_displayed() and one.is_enabled()]

    return wait_for(found, lambda: f"a button {text!r}")[0]


def see(browser: Chrome, text: str) -> None:
    """Wait until the page shows that text."""
    from selenium.webdriver.common.by import By

    wait_for(
        lambda: text in browser.find_element(By.TAG_NAME, "body").text, lambda: f"{text!r} on {browser.current_url}"
    )


def wait_for(found: Callable[[], T], what: Callable[[], str]) -> T:
    from selenium.common.exceptions import StaleElementReferenceException

    deadline = time.monotonic() + SECONDS_MAX
    while True:
        try:
            if seen := found():
                return seen
        except StaleElementReferenceException:  # the page was drawn anew meanwhile
            pass
        assert time.monotonic() < deadline, f"not seen within {SECONDS_MAX} s: {what()}"
        time.sleep(0.3)
