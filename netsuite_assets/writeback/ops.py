"""The op by which a person approves a plan from Dagster's pages.

Here: its run configuration, and what the run's page shows. Not here: the work (`approval.py`), or the job that it makes
(`netsuite_assets/jobs.py`).
"""

import dagster as dg
from pydantic import Field

from netsuite_assets.partitions import scope
from netsuite_assets.runs import failures
from resources.as_dagster import LedgerResource, TenantsResource, WarehouseResource


class ApprovePlan(dg.Config):
    """Which plan of the partition's tenant and month is approved, how much of it, and by whom."""

    plan: str = Field(
        description="The plan that you read (its first letters), as the asset correction_plan shows it"
    )
    by: str = Field(description="Your name, for the auditor")
    note: str = Field(description="Why it may be sent")
    records: list[str] = Field(default=[], description="Only operations on these record types; empty for all")
    external_ids: list[str] = Field(
        default=[], description="Only operations on these external ids; empty for all"
    )
    numbers: list[int] = Field(
        default=[], description="Only the operations with these numbers in the plan; empty for all"
    )


@dg.op
def approve_plan(
    context: dg.OpExecutionContext,
    config: ApprovePlan,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
) -> None:
    """Approve the latest plan of the month, or some of its operations, exactly as it was made."""
    from netsuite_assets.writeback.approval import Selection, approve
    from resources.warehouse import utc_now

    with failures():
        where = scope(context)
        tenant = tenants.get().load(where.tenant)
        selection = Selection(config.records, config.external_ids, config.numbers)
        with warehouse.get().open(tenant.name) as held, ledger.open() as book:
            done = approve(
                held, book, where.period, config.by, config.note, selection, utc_now(), config.plan
            )
        context.log.info(done)
        context.add_output_metadata({"done": done})
