"""A role that does not see all documents any more: the run stops in words, and what was held stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from endtoend_tools import World, definitions, query

from netsuite_assets.partitions import partition_key, tenants

INVOICES = dg.AssetKey("netsuite_invoices")


def read_invoices(config: Mapping[str, Any]) -> tuple[bool, list[str], Mapping[str, Any]]:
    """Materialize the asset of the month's invoices: whether it succeeded, what it said, its metadata."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(tenants.name), ["globex"])
        done = (
            definitions()
            .resolve_job_def("reconcile")
            .execute_in_process(
                instance=instance,
                partition_key=partition_key("globex", "2026-10"),
                asset_selection=[INVOICES],
                raise_on_error=False,
                run_config={"ops": {"netsuite_invoices": {"config": dict(config)}}},
            )
        )
        said = [
            str(data.user_failure_data.description)
            for event in done.all_events
            if event.is_step_failure and (data := event.step_failure_data).user_failure_data is not None
        ]
        made = done.asset_materializations_for_node("netsuite_invoices") if done.success else []
        return done.success, said, made[0].metadata if made else {}


def test_invoices_that_the_role_does_not_see_any_more_stop_the_run(globex: World) -> None:
    held = "SELECT internal_id, number, total FROM netsuite.invoices WHERE period = '2026-10' ORDER BY 1"
    before = query(globex.working("globex"), held)
    netsuite = globex.view("globex")
    netsuite.arm({"kind": "rows_hidden", "share": 1, "times": 1, "path": "/suiteql"})
    succeeded, (said,), _ = read_invoices({})
    assert not succeeded
    assert said.startswith("Read all invoices of 2026-10: the answer cannot be proven complete.")
    assert f"{len(before)} invoices, together USD" in said
    assert f"{min(row[1] for row in before)} of " in said
    assert "Subsidiary Restrictions" in said
    assert query(globex.working("globex"), held) == before

    # A person knows better: they are gone for good.
    succeeded, _, metadata = read_invoices({"accept_as_gone": "Ada Lovelace"})
    assert succeeded
    assert metadata["dagster/row_count"].value == 0
    told = metadata["not shown any more"]
    assert isinstance(told, dg.MarkdownMetadataValue)
    assert "Ada Lovelace says that it is gone for good" in (told.md_str or "")
    assert query(globex.working("globex"), held) == []
