"""The demo in Dagster's pages, as a finance person uses it: pick tenant and month, materialize, read.

A real `recon ui` (sandbox and `dagster dev`), a run launched as the UI launches it, and the pages in Chromium.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
READY_SECONDS = 120

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}"""
START = """
mutation ($sensor: SensorSelector!) {
  startSensor(sensorSelector: $sensor) { __typename ... on PythonError { message } }
}"""
FOLLOWING = """
query ($id: String!) {
  runsOrError(filter: {tags: [{key: "recon/follows", value: $id}]}) { ... on Runs { results { status } } }
}"""
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "netsuite"}
STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder below which the pages keep everything."""
    return tmp_path_factory.mktemp("ui")


@pytest.fixture(scope="module")
def pages(home: Path) -> Iterator[str]:
    """The address of a running `recon ui`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    recon = Path(sys.executable).with_name("recon")
    log = (home / "ui.log").open("w")
    process = subprocess.Popen(
        [str(recon), "ui", "--home", str(home / "demo"), "--port", str(port)],
        cwd=home,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={
            name: value for name, value in os.environ.items() if not name.startswith(("RECON_", "DAGSTER_"))
        },
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _await_pages(address, process, home / "ui.log")
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            log.close()


def _await_pages(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"recon ui ended: {log.read_text()}"
        try:
            answer = httpx.post(
                f"{address}/graphql", json={"query": "{ version repositoriesOrError { __typename } }"}
            )
            if answer.json()["data"]["repositoriesOrError"]["__typename"] == "RepositoryConnection":
                return
        except (httpx.HTTPError, KeyError, ValueError):
            pass
        time.sleep(0.5)
    raise AssertionError(f"Dagster's pages did not come up: {log.read_text()}")


def _ask(address: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(
        f"{address}/graphql", json={"query": query, "variables": variables}, timeout=60
    ).json()
    assert "errors" not in answer, answer
    data: dict[str, Any] = answer["data"]
    return data


@pytest.fixture(scope="module")
def written(pages: str) -> str:
    """The pages after the job `write_back` ran for globex and October 2026, launched as the UI launches it."""
    _write_back(pages, "globex")
    return pages


def _write_back(pages: str, tenant: str) -> str:
    """The id of a run of that job for a tenant and October 2026, which has ended well."""
    tags = {"tenant": tenant, "month": "2026-10-01"}
    launched = _ask(
        pages,
        LAUNCH,
        {
            "params": {
                "selector": {"pipelineName": "write_back", **REPOSITORY},
                "mode": "default",
                "executionMetadata": {
                    "tags": [
                        {"key": "dagster/partition", "value": f"2026-10-01|{tenant}"},
                        *(
                            {"key": f"dagster/partition/{name}", "value": value}
                            for name, value in tags.items()
                        ),
                    ]
                },
            }
        },
    )["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = str(launched["run"]["runId"])
    _await_end(lambda: _ask(pages, STATUS, {"id": run_id})["runOrError"]["status"])
    return run_id


def _await_end(status: Callable[[], str | None]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    seen: str | None = None
    while time.monotonic() < deadline and seen not in ("SUCCESS", "FAILURE", "CANCELED"):
        time.sleep(1)
        seen = status()
    assert seen == "SUCCESS"


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield chromium.new_page(viewport={"width": 1500, "height": 950})
        chromium.close()


def test_the_graph_shows_every_group(pages: str, browser: Page) -> None:
    browser.goto(f"{pages}/asset-groups")
    for group in ("account", "billing", "mapping", "netsuite", "reconciliation", "write_back", "close"):
        browser.get_by_text(group, exact=True).first.wait_for(timeout=30_000)


def test_a_finance_person_reads_the_differences_of_a_tenant_and_month(written: str, browser: Page) -> None:
    browser.goto(f"{written}/assets/differences?view=partitions&partition=2026-10-01%7Cglobex")
    browser.get_by_text("invoice, USD").first.wait_for(timeout=30_000)
    content = browser.content()
    assert "70 · 185,441.77" in content
    assert "booked to another customer" in content.lower()


def test_the_verified_books_show_that_nothing_differs_any_more(written: str, browser: Page) -> None:
    browser.goto(f"{written}/assets/verified_books?view=partitions&partition=2026-10-01%7Cglobex")
    browser.get_by_text("found as intended", exact=True).first.wait_for(timeout=30_000)
    assert "Nothing." in browser.content()


def test_the_pages_ask_nothing_of_the_outside(written: str, browser: Page) -> None:
    asked: list[str] = []
    browser.on("request", lambda request: asked.append(request.url))
    browser.goto(f"{written}/assets/differences")
    browser.get_by_text("Every field, line and document").first.wait_for(timeout=30_000)
    outside = [
        url for url in asked if not url.startswith((written, written.replace("http", "ws"), "data:", "blob:"))
    ]
    assert outside == []


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_with_its_sensor_on_a_run_that_wrote_is_followed_by_one_that_tells_billing(
    pages: str, home: Path
) -> None:
    def told() -> list[tuple[str]]:
        with closing(sqlite3.connect(home / "demo" / "acme-billing.sqlite")) as billing:
            return billing.execute(
                "SELECT id FROM invoices WHERE netsuite_internal_id IS NOT NULL AND issue_date LIKE '2026-10-%'"
            ).fetchall()

    started = _ask(pages, START, {"sensor": {"sensorName": "tell_billing", **REPOSITORY}})["startSensor"]
    assert started["__typename"] == "Sensor", started
    run_id = _write_back(pages, "acme")
    before = len(told())

    def following() -> str | None:
        runs = _ask(pages, FOLLOWING, {"id": run_id})["runsOrError"]["results"]
        return runs[0]["status"] if runs else None

    _await_end(following)
    assert len(told()) > before
