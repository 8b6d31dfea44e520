"""What policy and people do not let through is not sent: NetSuite's own log shows it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from endtoend_tools import World, run, world
from typer.testing import CliRunner

from demo.stage import ACCOUNTS
from netsuite_assets.cli import app
from netsuite_assets.definitions import build_defs
from netsuite_assets.launch import RunFailed
from netsuite_assets.partitions import partition_key

MONTH = "2026-10"


def assert_nothing_written(here: World) -> None:
    assert here.view("globex").log(writes=True) == []
    assert here.ledger.intents() == []


def run_approve(**config: Any) -> dg.ExecuteInProcessResult:
    """The job *approve*, as somebody launches it from Dagster's pages."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("tenants", ["globex"])
        return (
            build_defs()
            .resolve_job_def("approve")
            .execute_in_process(
                instance=instance,
                partition_key=partition_key("globex", MONTH),
                run_config={"ops": {"approve_plan": {"config": config}}},
                raise_on_error=False,
            )
        )


def test_a_paused_tenant_is_not_written_to_although_its_plan_is_approved(globex: World) -> None:
    globex.change_tenant("globex", "mode: apply", "mode: apply\n  paused: true")
    with pytest.raises(RunFailed, match="the tenant's file pauses writing"):
        run("apply", "globex", MONTH)
    assert_nothing_written(globex)


def test_an_amount_that_nobody_approved_is_not_written(globex: World) -> None:
    globex.change_tenant("globex", "amount: 100000000.00", "amount: 1.00")
    run("plan", "globex", MONTH)
    with pytest.raises(RunFailed, match=r"more than the 1.00 approved automatically"):
        run("apply", "globex", MONTH)
    assert_nothing_written(globex)


def test_of_a_plan_that_is_approved_in_part_that_part_alone_is_sent(globex: World) -> None:
    globex.change_tenant("globex", "operations: 100000", "operations: 0")
    run("plan", "globex", MONTH)
    planned = globex.query(
        "SELECT sequence, plan_id, path, body FROM plan WHERE tenant = 'globex' ORDER BY sequence"
    )
    wrong = run_approve(plan="000000", by="Ada", note="read", numbers=[1])
    assert not wrong.success
    given = run_approve(plan=planned[0][1][:10], by="Ada Lovelace", note="these two", numbers=[1, 4])
    assert given.success
    run("plan", "globex", MONTH)  # the same again, which is still approved
    run("apply", "globex", MONTH)
    sent = {entry["path"] for entry in globex.view("globex").log(writes=True)}
    assert sent == {planned[0][2], planned[3][2]}
    intents = globex.ledger.rows("SELECT body, path FROM intents ORDER BY path")
    assert {(row["path"], row["body"]) for row in intents} == {
        (row[2], row[3]) for row in (planned[0], planned[3])
    }
    left = globex.query(
        "SELECT code, count(*) FROM exceptions WHERE stage IN ('plan', 'apply') GROUP BY code"
    )
    assert left == [("not_approved", len(planned) - 2)]
    proven = CliRunner().invoke(app, ["ledger", "verify"])
    assert proven.exit_code == 0, proven.stdout


def test_documents_of_a_closed_month_are_posted_in_the_next_open_one_and_agree_from_then_on(
    planned: Path, tmp_path: Path
) -> None:
    profile = yaml.safe_load(ACCOUNTS["globex"].profile.read_text(encoding="utf-8"))
    profile["periods"].setdefault("closed", []).append(MONTH)
    profile.setdefault("switches", {})["date_outside_period"] = "allow"
    closed = tmp_path / "closed.yaml"
    closed.write_text(yaml.safe_dump(profile), encoding="utf-8")
    with world(shutil.copytree(planned, tmp_path / "here"), profiles={"globex": closed}) as here:
        consent = "mode: apply\n  closed_period: next_open_period\n  closed_period_consent: Ada, 2026-11-01"
        here.change_tenant("globex", "mode: apply", consent)
        run("write_back", "globex", MONTH)
        moved = here.query(
            "SELECT external_id, posts_in FROM plan WHERE posts_in IS NOT NULL AND record = 'invoice'"
        )
        assert moved
        assert {month for _, month in moved} == {"2026-11"}
        netsuite = here.view("globex")
        for external_id, _ in moved:
            invoice = netsuite.get("invoice", f"eid:{external_id}")
            assert invoice["postingPeriod"]["refName"] == "Nov 2026"
            assert invoice["tranDate"].startswith(MONTH)
        run("reconcile", "globex", MONTH)
        names = ", ".join(f"'{external_id}'" for external_id, _ in moved)
        assert here.query(f"SELECT * FROM differences WHERE external_id IN ({names})") == []
        held = here.query("SELECT DISTINCT held FROM plan WHERE record <> 'customer'")
        assert held == [(f"the accounting period {MONTH} is closed in NetSuite",)]
