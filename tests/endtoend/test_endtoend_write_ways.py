"""Whole runs that write in batches: killed at any moment they end as any other, and NetSuite's additions are kept apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import pytest
from endtoend_tools import World, assert_holds_exactly, definitions, plain_environment, query, run, tenant
from test_endtoend_interrupted import DRIVE, MONTH, await_

from netsuite_assets.launch import run_job

BATCHES = {"methods": ["PUT"], "path": "/record/v1/(customer|invoice)(\\?|$)"}
BATCHED = ("customer", "invoice", "creditMemo", "customerPayment")


@pytest.fixture
def batches(globex: World) -> World:
    """Globex with a plan, whose file says that it is sent in batches."""
    globex.change_tenant("globex", "mode: apply", "mode: apply\n  send: batch")
    return globex


def test_a_month_that_is_sent_in_batches_ends_as_any_other(batches: World) -> None:
    said: list[tuple[str, str]] = []
    with dg.DagsterInstance.ephemeral() as instance:
        done = run_job(
            instance,
            definitions(),
            "apply",  # type: ignore[arg-type]
            "globex",
            MONTH,
            lambda step, ended: None,
            lambda step, message: said.append((step, message)),
        )
    netsuite = batches.view("globex")
    assert any(not is_alone(entry) for entry in netsuite.log(writes=True))
    assert_right(batches)

    # It was seen while it worked, and the assets say how it went.
    many = len(batches.ledger.intents())
    assert any(step == "applied_corrections" and f" of {many} operations" in told for step, told in said)
    assert ("verified_books", f"{many} of {many} written records found as intended") in said
    written = done.metadata["applied_corrections"]
    assert f"| written | {many} |" in written["by outcome"]
    assert "| Batches |" in written["sent"]
    assert "Sent again after any passing failure" in written["quota"]
    assert done.metadata["verified_books"]["additions that could not be seen"] == "none"

    # What NetSuite added is kept apart from what the mapping owns, and is no difference.
    rows = query(
        batches.working("globex"),
        "SELECT e.field, count(*), count(DISTINCT e.external_id) FROM write_back.enrichment e GROUP BY ALL",
    )
    found = {field: (many, records) for field, many, records in rows}
    assert {"tranId", "exchangeRate", "postingPeriod"} <= set(found)
    assert all(many == records for many, records in found.values())


@pytest.mark.parametrize(
    "when", ["the job waits", pytest.param("the answer is under way", marks=pytest.mark.soak)]
)
def test_a_run_killed_between_submission_and_result_is_finished_by_the_next(
    batches: World, when: str
) -> None:
    netsuite = batches.view("globex")
    netsuite.govern(async_processors=0)
    if when == "the answer is under way":
        netsuite.arm({**BATCHES, "kind": "latency", "seconds": 5})
    submitted: Callable[[], bool] = lambda: bool(netsuite.stats()["async"]["tasks_open"])  # noqa: E731
    if when == "the job waits":
        submitted = lambda: bool(batches.ledger.rows("SELECT key FROM jobs WHERE address IS NOT NULL"))  # noqa: E731

    environ = batches.stage.kept_environment() | {"RECON_TENANTS": os.environ["RECON_TENANTS"]}
    killed = subprocess.Popen(
        [sys.executable, str(DRIVE), "apply", "globex", MONTH],
        env=plain_environment() | environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    await_(submitted, killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    addresses = [
        job["address"] for job in batches.ledger.rows("SELECT address FROM jobs WHERE ended_at IS NULL")
    ]
    assert any((address is None) == (when == "the answer is under way") for address in addresses)
    assert len(batches.ledger.open()) > 1
    netsuite.disarm()
    netsuite.govern(async_processors=1)

    run("write_back", "globex", MONTH)
    assert batches.ledger.rows("SELECT * FROM jobs WHERE ended_at IS NULL") == []
    assert_right(batches)


def is_alone(entry: Mapping[str, Any]) -> bool:
    """Whether a write of the request log was about one record."""
    return entry["path"].partition("?")[0].rpartition("/")[2] not in BATCHED


def assert_right(here: World) -> None:
    """NetSuite holds the truth, the ledger knew of each write before it came, and there is nothing left to do or to tell."""
    netsuite = here.view("globex")
    assert_holds_exactly(netsuite, "globex", tenant("globex").billing)
    assert here.ledger.open() == []
    here.ledger.assert_consistent()
    writes = netsuite.log(writes=True)
    here.ledger.assert_intended_first([entry for entry in writes if is_alone(entry)])
    batches = [entry["time"] for entry in writes if not is_alone(entry)]
    asked = here.ledger.rows("SELECT asked_at FROM jobs ORDER BY asked_at")
    assert len(asked) == len(batches)
    assert all(
        job["asked_at"].replace(" ", "T") <= at for job, at in zip(asked, sorted(batches), strict=True)
    )
    assert here.query("SELECT number, reason FROM exceptions WHERE stage <> 'mapping'") == []
