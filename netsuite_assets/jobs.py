"""The jobs that a person or a schedule starts. Here: which assets each materializes or which ops it runs; nothing else."""

from __future__ import annotations

import dagster as dg

from netsuite_assets.close.ops import handle_exceptions, record_sign_off
from netsuite_assets.partitions import tenant_months
from netsuite_assets.publish.assets import publish_again
from netsuite_assets.writeback.ops import approve_plan

#: Compares and plans; writes nothing to NetSuite.
reconcile = dg.define_asset_job(
    "reconcile",
    selection=dg.AssetSelection.groups("account", "billing", "mapping", "netsuite", "reconciliation")
    | dg.AssetSelection.assets("correction_plan", "month_sign_off", "published_mart"),
    description="Compare billing with NetSuite for a tenant and month and plan the repair. Nothing is written to NetSuite.",
)

#: The same, and then the plan is applied and verified.
write_back = dg.define_asset_job(
    "write_back",
    selection=dg.AssetSelection.groups(
        "account", "billing", "mapping", "netsuite", "reconciliation", "write_back"
    )
    | dg.AssetSelection.assets("month_sign_off", "published_mart"),
    description="Compare, plan, apply the plan to NetSuite as far as policy and approval allow, and verify it.",
)

#: The month across tenants.
close = dg.define_asset_job(
    "close",
    selection=dg.AssetSelection.assets("month_close"),
    description="Show a month across all tenants, from what is published.",
)

#: Looks whether a signed month still ties. Billing is not asked, and an unchanged month costs a query a set.
watch_sign_offs = dg.define_asset_job(
    "watch_sign_offs",
    selection=dg.AssetSelection.assets(
        "netsuite_customers",
        "netsuite_invoices",
        "netsuite_credit_memos",
        "netsuite_trails",
        "month_sign_off",
        "published_mart",
    ),
    description="Read a signed month from NetSuite again, and open it again when it no longer ties with what was signed.",
)


@dg.job(partitions_def=tenant_months)
def exceptions() -> None:
    """Assign exceptions, comment on them, accept them until a day, or reopen them. Pick a month of the tenant."""
    publish_again(after=handle_exceptions())


@dg.job(partitions_def=tenant_months)
def sign_off() -> None:
    """Sign a month off: one person prepares, another reviews. Or withdraw it. What is signed is what was compared last."""
    publish_again(after=record_sign_off())


@dg.job(partitions_def=tenant_months)
def approve() -> None:
    """Approve the latest plan of a tenant's month, or some of its operations, in your name. The job write_back sends it."""
    approve_plan()
