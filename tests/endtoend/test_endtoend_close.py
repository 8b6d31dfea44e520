"""From NetSuite's refusal to a person, and from a signature to whoever changed the month afterwards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from endtoend_tools import World, run
from typer.testing import CliRunner

from netsuite_assets.cli import app
from netsuite_assets.partitions import partition_key

MONTH = "2026-10"
WRITES = {"methods": ["PUT", "PATCH"], "path": "/services/rest/record/v1/invoice/"}


def job(name: str, **ops: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Run a job as a person starts it in Dagster's pages, without its checks; the metadata of each asset."""
    from netsuite_assets import jobs
    from netsuite_assets.definitions import build_defs

    every = build_defs()
    watch = dg.define_asset_job("watch_sign_offs", jobs.watch_sign_offs.selection.without_checks())
    definitions = dg.Definitions(
        assets=every.assets,
        resources=every.resources,
        executor=every.executor,
        jobs=[jobs.exceptions, jobs.sign_off, watch],
    )
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("tenants", ["globex"])
        result = definitions.resolve_job_def(name).execute_in_process(
            instance=instance,
            partition_key=partition_key("globex", MONTH),
            run_config={
                "ops": {op: {"config": config} for op, config in ops.items()},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
    assert result.success
    shown: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        made = event.step_materialization_data.materialization
        shown[made.asset_key.to_user_string()] = {key: value.value for key, value in made.metadata.items()}
    return shown


def recon(*arguments: str) -> str:
    """What a command prints that must succeed."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def of_apply(here: World) -> list[tuple[Any, ...]]:
    return here.query(
        "SELECT exception, code, state, owner, times_opened FROM exceptions WHERE stage = 'apply'"
    )  # fmt: skip


def test_a_refused_write_is_one_exception_with_an_owner_until_it_succeeds(globex: World) -> None:
    netsuite = globex.view("globex")
    netsuite.arm({**WRITES, "kind": "record_locked"})
    run("apply", "globex", MONTH)
    assert netsuite.disarm() == 1
    [(number, code, state, owner, times)] = of_apply(globex)
    assert (code, state, owner, times) == ("rejected", "open", None, 1)
    recon("exceptions", "assign", "globex", str(number), "--to", "Ada", "--by", "Boss")
    assert of_apply(globex) == [(number, "rejected", "open", "Ada", 1)]

    # A night that only compares and plans: it is still to be done.
    run("reconcile", "globex", MONTH)
    assert of_apply(globex) == [(number, "rejected", "open", "Ada", 1)]

    run("write_back", "globex", MONTH)
    assert of_apply(globex) == []
    story = globex.query(
        "SELECT event FROM exception_history WHERE exception = ? ORDER BY happened_at", number
    )
    assert [event for (event,) in story] == ["opened", "assigned", "closed"]


def test_a_signed_month_tells_who_changed_it_and_by_how_much(globex: World) -> None:
    run("write_back", "globex", MONTH)
    run("reconcile", "globex", MONTH)
    waiting = globex.query("SELECT exception FROM exceptions WHERE state = 'open'")
    numbers = [number for (number,) in waiting]
    assert numbers, "bills without a customer are left for a person"
    job(
        "exceptions",
        handle_exceptions={
            "action": "ACCEPT", "exceptions": numbers, "by": "Ada", "note": "billed anew", "until": "2099-12-31"
        },
    )  # fmt: skip
    job("sign_off", record_sign_off={"action": "PREPARE", "by": "Ada", "note": "read"})
    page = job("sign_off", record_sign_off={"action": "REVIEW", "by": "Bob", "note": "read too"})
    assert page["month_sign_off"]["state"] == "signed off"
    assert page["month_sign_off"]["accepted exceptions then"].startswith(f"{len(numbers)} exceptions, USD ")

    # An unchanged month is looked at cheaply.
    netsuite = globex.view("globex")
    netsuite.forget_log()
    page = job("watch_sign_offs")
    asked = [entry for entry in netsuite.log() if "suiteql" in entry["path"]]
    assert page["month_sign_off"]["state"] == "signed off"
    assert netsuite.log(writes=True) == []
    assert 0 < len(asked) <= 24, [entry["path"] for entry in asked]

    [chosen] = netsuite.suiteql(
        "SELECT MIN(t.id) AS id FROM transaction t WHERE t.type = 'CustInvc'"
        " AND TO_CHAR(t.trandate, 'YYYY-MM') = '2026-10'"
    )
    before = netsuite.get("invoice", chosen["id"])
    line = before["item"]["items"][0]
    raised = {"line": line["line"], "amount": str(line["amount"] + 5)}
    netsuite.patch("invoice", chosen["id"], {"item": {"items": [raised]}})
    by = who_changed(globex, chosen["id"])
    page = job("watch_sign_offs")["month_sign_off"]
    assert (page["state"], page["changed documents"]) == ("re-opened", 1)
    assert "It does not tie with what Bob signed: 1 document; NetSuite USD 5.00." in page["in short"]
    total = f"{before['total']:,.2f} → {before['total'] + 5:,.2f}"
    assert f"NetSuite: total {total}, lines as signed → otherwise, by {by} at " in page["changed since"]
    assert f"| USD 5.00 | {by} |" in page["changed since"]
    [(amount, reason)] = globex.query(
        "SELECT amount, reason FROM exceptions WHERE code = 'changed_after_sign_off'"
    )
    assert amount == 5
    assert f"prepared by Ada, reviewed by Bob on {datetime.now(UTC):%Y-%m}" in reason
    assert globex.query("SELECT event, changed_documents FROM sign_offs WHERE is_latest") == [("reopened", 1)]
    assert "Signed off once and re-opened by run" in recon("page", "globex", MONTH)

    netsuite.patch("invoice", chosen["id"], {"item": {"items": [raised | {"amount": str(line["amount"])}]}})
    page = job("watch_sign_offs")["month_sign_off"]
    assert (page["state"], page["changed since"]) == ("re-opened", "Nothing.")
    assert globex.query("SELECT count(*) FROM exceptions WHERE code = 'changed_after_sign_off'") == [(0,)]


def who_changed(here: World, internal_id: str) -> str:
    """The name, or else the number, that NetSuite's last note on a transaction has."""
    notes = here.view("globex").suiteql(
        "SELECT n.name AS id, BUILTIN.DF(n.name) AS name FROM systemnote n"
        f" WHERE n.recordid = {internal_id} AND n.recordtypeid = -30 ORDER BY n.date DESC"
    )
    return notes[0].get("name") or notes[0]["id"]


@pytest.fixture(autouse=True)
def _in_the_folder(globex: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(globex.folder)
