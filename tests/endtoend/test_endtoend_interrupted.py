"""Whatever becomes of an answer or of the process, NetSuite ends with the billing truth, each document once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from endtoend_tools import World, assert_holds_exactly, plain_environment, run, tenant

MONTH = "2026-10"
WRITES = {"methods": ["PUT", "PATCH", "DELETE"], "path": "/services/rest/record/"}
DRIVE = Path(__file__).with_name("endtoend_drive.py")

#: Ways in which a write can end without our knowing whether it happened, or with a refusal that is none.
ENDS: tuple[dict[str, Any], ...] = (
    {"kind": "reset_after_commit"},
    {"kind": "reset_before_commit"},
    {"kind": "error_after_commit"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 429},
    {"kind": "truncate"},
)


def few_and_many(few: int, many: int) -> list[Any]:
    """Seeds: a few for every run of the tests, many more for the soak."""
    return [*range(few), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(few, many))]


@pytest.mark.parametrize("seed", few_and_many(2, 40))
def test_answers_that_are_lost_leave_no_duplicate_and_no_gap(globex: World, seed: int) -> None:
    random = Random(seed)
    netsuite = globex.view("globex")
    ends = random.sample(ENDS, len(ENDS))
    netsuite.arm(
        *({**WRITES, **end, "times": random.randint(1, 3), "after": random.randint(0, 2)} for end in ends)
    )

    run("apply", "globex", MONTH)
    assert netsuite.disarm() >= len(ENDS)
    assert_no_refusal_that_is_none(globex)
    run("write_back", "globex", MONTH)

    assert_right(globex)


@pytest.mark.soak
@pytest.mark.parametrize("end", ENDS, ids=lambda end: str(end.get("status", end["kind"])))
def test_every_write_may_end_so(globex: World, end: dict[str, Any]) -> None:
    netsuite = globex.view("globex")
    netsuite.arm({**WRITES, **end, "times": 15})
    run("apply", "globex", MONTH)
    assert netsuite.disarm() == 15
    assert_no_refusal_that_is_none(globex)
    run("write_back", "globex", MONTH)
    assert_right(globex)


@pytest.mark.parametrize("seed", few_and_many(2, 40))
def test_a_killed_run_is_settled_and_finished_by_the_next(globex: World, seed: int) -> None:
    """The process dies while writes are under way: before one is done, after, or with one that arrives late."""
    random = Random(seed)
    netsuite = globex.view("globex")
    kind = ("timeout_after_commit", "timeout", "latency")[seed % 3]
    netsuite.arm({**WRITES, "kind": kind, "seconds": 3, "after": random.randrange(20), "times": 3})

    killed = start(globex, "apply")
    await_(lambda: bool(netsuite.stats()["faults_struck"]), killed)
    time.sleep(random.uniform(0, 0.05))
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(10) == -signal.SIGKILL
    doubtful = globex.ledger.open()
    assert doubtful, "nothing was under way"
    netsuite.disarm()
    happened = {intent["id"]: has_happened(globex, intent) for intent in doubtful}

    run("write_back", "globex", MONTH)
    if kind != "latency":
        stories = {intent["id"]: globex.ledger.events(intent["id"]) for intent in doubtful}
        assert {key: "adopted" in story for key, story in stories.items()} == happened
        assert {key: "not_found" in story for key, story in stories.items()} == {
            key: not done for key, done in happened.items()
        }
    if kind == "latency":
        # A write that arrived between this run's plan and its sending made the planned one stale: the next run sees.
        run("write_back", "globex", MONTH)
    assert_right(globex)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(6))
def test_a_killed_command_is_healed_by_running_it_again(globex: World, seed: int) -> None:
    """The whole `recon write-back`, ended at any moment, wherever it is."""
    random = Random(seed)
    environ = plain_environment() | globex.stage.kept_environment()
    command = subprocess.Popen(
        [str(Path(sys.executable).with_name("recon")), "write-back", "globex", MONTH],
        cwd=globex.folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(random.uniform(2, 14))
    command.send_signal(signal.SIGKILL)
    command.wait(10)
    again = globex.recon("write-back", "globex", MONTH)
    assert again.returncode == 0, again.stderr
    assert_right(globex)


def has_happened(here: World, intent: Mapping[str, Any]) -> bool:
    """Whether NetSuite shows the write of an intent; of a correction only that its record is there."""
    table = "customer" if intent["record"] == "customer" else "transaction"
    key, target = ("id", intent["target"])
    if intent["action"] != "delete":
        key, target = "externalid", f"'{intent['target']}'"
    there = here.view("globex").suiteql(f"SELECT id FROM {table} WHERE {key} = {target}")
    return bool(there) == (intent["action"] != "delete")


def assert_right(here: World) -> None:
    """NetSuite holds the truth, the ledger knows all of it, and there is nothing left to do or to tell."""
    netsuite = here.view("globex")
    assert_holds_exactly(netsuite, "globex", tenant("globex").billing)
    assert here.ledger.open() == []
    here.ledger.assert_consistent()
    here.ledger.assert_intended_first(netsuite.log(writes=True))
    assert here.query("SELECT number, reason FROM exceptions WHERE stage <> 'mapping'") == []


def assert_no_refusal_that_is_none(here: World) -> None:
    """Too many requests, and a token that ran out, never fail a record."""
    refused = here.ledger.rows("SELECT status, detail FROM events WHERE kind = 'rejected'")
    assert refused == []


def start(here: World, job: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(DRIVE), job, "globex", MONTH],
        env=plain_environment() | here.stage.kept_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def await_(happens: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert process.poll() is None, f"the process ended with {process.returncode} before"
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
