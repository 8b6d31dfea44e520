"""The jobs that a person or a schedule starts. Here: which assets each materializes; nothing else."""

from __future__ import annotations

import dagster as dg

#: Compares and plans; writes nothing to NetSuite.
reconcile = dg.define_asset_job(
    "reconcile",
    selection=dg.AssetSelection.groups("billing", "netsuite", "reconciliation")
    | dg.AssetSelection.assets("correction_plan", "published_mart"),
    description="Compare billing with NetSuite for a tenant and month and plan the repair. Nothing is written to NetSuite.",
)

#: The same, and then the plan is applied and verified.
write_back = dg.define_asset_job(
    "write_back",
    selection=dg.AssetSelection.groups("billing", "netsuite", "reconciliation", "write_back")
    | dg.AssetSelection.assets("published_mart"),
    description="Compare, plan, apply the plan to NetSuite as far as policy and approval allow, and verify it.",
)

#: The month across tenants.
close = dg.define_asset_job(
    "close",
    selection=dg.AssetSelection.assets("month_close"),
    description="Show a month across all tenants, from what is published.",
)
