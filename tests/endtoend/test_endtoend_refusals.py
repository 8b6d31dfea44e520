"""What may not be written is not written, and says so; whatever else may go on goes on."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pytest
import yaml
from endtoend_tools import World, assert_holds_exactly, books, plain_environment, query, run, tenant, world
from typer.testing import CliRunner

from demo.stage import ACCOUNTS
from netsuite_assets.cli import app
from netsuite_assets.launch import RunFailed

MONTH = "2026-10"
Opened = Callable[[Path], AbstractContextManager[World]]


def assert_nothing_written(here: World) -> None:
    """NetSuite was asked, but nothing in it was changed, and the ledger intends nothing."""
    netsuite = here.view("globex")
    assert netsuite.log(writes=True) == []
    assert netsuite.stats()["writes"] == 0
    assert here.ledger.intents() == []


def test_a_tenant_that_only_plans_is_never_written_to(globex: World) -> None:
    globex.change_tenant("globex", "mode: apply", "mode: plan_only")
    with pytest.raises(RunFailed, match="plan_only"):
        run("write_back", "globex", MONTH)
    assert_nothing_written(globex)


def test_reconciling_alone_plans_and_writes_nothing(filled: Path, opened: Opened) -> None:
    with opened(filled) as here:
        netsuite = here.view("globex")
        netsuite.forget_log()
        run("reconcile", "globex", MONTH)
        assert netsuite.log(), "NetSuite was not even read"
        assert_nothing_written(here)
        planned = here.query("SELECT count(*) FROM plan WHERE tenant = 'globex'")[0][0]
        assert planned == len({(row.external_id or row.what) for row in books("globex").planted})


def test_a_plan_above_the_limits_waits_for_a_named_person(globex: World) -> None:
    globex.change_tenant("globex", "operations: 100000", "operations: 5")
    # The policy approved this plan when its limits were wider: that counts no more, made anew or not.
    with pytest.raises(RunFailed, match="waits for a named person's approval"):
        run("apply", "globex", MONTH)
    run("plan", "globex", MONTH)
    with pytest.raises(RunFailed) as failed:
        run("apply", "globex", MONTH)
    planned = len({(row.external_id or row.what) for row in books("globex").planted})
    assert f"{planned} operations are more than the 5 approved automatically" in str(failed.value)
    assert "recon approve globex 2026-10 --by NAME --note WHY" in str(failed.value)
    assert_nothing_written(globex)
    waiting = "SELECT code, count(*) FROM reconciliation.exceptions WHERE stage = 'plan' GROUP BY 1"
    assert query(globex.working("globex"), waiting) == [("not_approved", planned)]

    cli = CliRunner()
    wrong = cli.invoke(
        app, ["approve", "globex", MONTH, "--by", "Ada", "--note", "read", "--plan", "000000000000"]
    )
    assert wrong.exit_code == 1
    assert "not 000000000000" in wrong.stderr
    shown = cli.invoke(app, ["plan", "globex", MONTH])
    assert "Waits for approval" in shown.stdout
    given = cli.invoke(
        app, ["approve", "globex", MONTH, "--by", "Ada Lovelace", "--note", "read line by line"]
    )
    assert given.exit_code == 0, given.output

    run("write_back", "globex", MONTH)
    assert_holds_exactly(globex.view("globex"), "globex", tenant("globex").billing)
    sent = "SELECT * FROM approvals WHERE plan_id IN (SELECT plan_id FROM intents) ORDER BY id DESC"
    approval = globex.ledger.rows(sent)[0]
    assert (approval["approved_by"], approval["automatic"]) == ("Ada Lovelace", 0)
    assert approval["note"] == "read line by line"


@pytest.mark.parametrize(
    "alteration",
    [
        "UPDATE write_back.plan SET body = body || ' ' WHERE sequence = 5",
        "DELETE FROM write_back.plan WHERE sequence = 3",
        "UPDATE write_back.plan SET path = path || '0' WHERE sequence = 2",
    ],
    ids=["body", "operation gone", "other record"],
)
def test_a_plan_that_was_altered_is_refused(globex: World, alteration: str) -> None:
    with duckdb.connect(str(globex.working("globex"))) as connection:
        assert connection.execute(alteration).fetchall() == [(1,)]
    with pytest.raises(RunFailed, match=r"altered since.*Nothing was sent"):
        run("apply", "globex", MONTH)
    assert_nothing_written(globex)


def test_a_plan_that_rests_on_what_has_changed_is_refused(globex: World) -> None:
    with contextlib.closing(sqlite3.connect(globex.stage.home / "globex-billing.sqlite")) as billing, billing:
        billing.execute("UPDATE bills SET note = 'Corrected' WHERE bill_no = (SELECT max(bill_no) FROM bills"
                        " WHERE bill_date LIKE '2026-10%')")  # fmt: skip
    run("read_billing", "globex", MONTH)
    with pytest.raises(RunFailed, match=r"has changed since it was made.*Nothing was sent"):
        run("apply", "globex", MONTH)
    assert_nothing_written(globex)


def test_a_record_changed_in_netsuite_since_the_plan_is_left_and_the_others_go_on(globex: World) -> None:
    netsuite = globex.view("globex")
    spoilt = next(each for each in books("globex").planted if each.kind == "changed_memo")
    (found,) = netsuite.suiteql(f"SELECT id FROM transaction WHERE externalid = '{spoilt.external_id}'")
    netsuite.patch("invoice", found["id"], {"memo": "An accountant was here"})
    written_by_us = netsuite.stats()["writes"]

    run("apply", "globex", MONTH)

    assert netsuite.get("invoice", found["id"])["memo"] == "An accountant was here"
    left = globex.query("SELECT code, external_id, next_step FROM exceptions WHERE stage = 'apply'")
    assert [row[:2] for row in left] == [("changed_since_planned", spoilt.external_id)]
    planned = globex.query("SELECT count(*) FROM plan WHERE tenant = 'globex'")[0][0]
    assert netsuite.stats()["writes"] - written_by_us == planned - 1


def test_a_record_made_by_hand_since_the_plan_is_not_written_over(globex: World) -> None:
    """The plan would create it; somebody did, under the same external id."""
    netsuite = globex.view("globex")
    missing = next(
        each
        for each in books("globex").planted
        if each.kind == "missing" and each.record == "invoice" and "never booked" in each.what
    )
    body = {"entity": {"externalId": "cus-G001"}, "tranDate": "2026-10-05", "memo": "By hand",
            "currency": {"id": "2"}, "item": {"items": [{"item": {"id": "21"}, "quantity": 1, "rate": 1}]}}  # fmt: skip
    netsuite.put("invoice", f"eid:{missing.external_id}", body)
    run("apply", "globex", MONTH)
    assert netsuite.get("invoice", f"eid:{missing.external_id}")["memo"] == "By hand"
    left = globex.query("SELECT code, external_id FROM exceptions WHERE stage = 'apply'")
    assert left == [("changed_since_planned", missing.external_id)]


@pytest.mark.parametrize("lock", ["closed", pytest.param("ar_locked", marks=pytest.mark.soak)])
def test_a_period_closed_since_the_plan_takes_no_document(planned: Path, tmp_path: Path, lock: str) -> None:
    folder, closed = closing(planned, tmp_path, lock)
    with world(folder, profiles={"globex": closed}) as here:
        netsuite = here.view("globex")
        run("apply", "globex", MONTH)
        sent = [entry["path"] for entry in netsuite.log(writes=True)]
        assert sent, "customers have no period and are written"
        assert all("/customer/" in path for path in sent)
        documents = here.query("SELECT count(*) FROM plan WHERE record <> 'customer'")[0][0]
        left = here.query("SELECT code, reason FROM exceptions WHERE stage = 'apply'")
        assert len(left) == documents
        assert {code for code, _ in left} == {"period_closed"}
        assert all(MONTH in reason for _, reason in left)


@pytest.mark.soak
def test_a_period_closed_is_held_in_the_next_plan_too(planned: Path, tmp_path: Path) -> None:
    folder, closed = closing(planned, tmp_path, "closed")
    with world(folder, profiles={"globex": closed}) as here:
        run("write_back", "globex", MONTH)
        documents = here.query("SELECT count(*), count(held) FROM plan WHERE record <> 'customer'")
        assert documents[0][0] == documents[0][1] > 0
        assert all("/customer/" in entry["path"] for entry in here.view("globex").log(writes=True))


def closing(planned: Path, tmp_path: Path, lock: str) -> tuple[Path, Path]:
    """A copy of the folder, and a profile of the account in which the month is closed or locked."""
    profile = yaml.safe_load(ACCOUNTS["globex"].profile.read_text(encoding="utf-8"))
    profile["periods"].setdefault(lock, []).append(MONTH)
    closed = tmp_path / "closed.yaml"
    closed.write_text(yaml.safe_dump(profile), encoding="utf-8")
    return shutil.copytree(planned, tmp_path / "here"), closed


def test_two_runs_of_one_tenant_at_once_write_everything_once(globex: World) -> None:
    """Both have the same plan in hand; one sends it, the other finds it done or refused."""
    environ = plain_environment() | globex.stage.kept_environment()
    command = [sys.executable, str(Path(__file__).with_name("endtoend_drive.py")), "apply", "globex", MONTH]
    other = subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    time.sleep(1.0)  # it takes about so long to begin
    failed = []
    try:
        run("apply", "globex", MONTH)
    except RunFailed as refused:
        failed.append(str(refused))
    _, said = other.communicate(timeout=120)
    failed += [said] if other.returncode else []
    assert len(failed) < 2, failed

    netsuite = globex.view("globex")
    planned = globex.query("SELECT count(*) FROM plan WHERE tenant = 'globex'")[0][0]
    assert len(netsuite.log(writes=True)) == planned
    assert_holds_exactly(netsuite, "globex", tenant("globex").billing)
    assert globex.ledger.open() == []
    globex.ledger.assert_consistent()
