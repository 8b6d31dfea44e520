"""The ops by which people close a month from Dagster's pages: handle exceptions, and sign off.

Here: their run configuration, and what the run's page shows. Not here: the work (`handling.py`, `sign_off.py`), or the
jobs that they make (`netsuite_assets/jobs.py`).
"""

from enum import Enum

import dagster as dg
from pydantic import Field

from netsuite_assets.close.assets import month_sign_off, sign_off_metadata
from netsuite_assets.partitions import scope
from netsuite_assets.runs import failures
from resources.as_dagster import LedgerResource, TenantsResource, WarehouseResource


class ExceptionAction(Enum):
    """What is done to exceptions."""

    ASSIGN = "assign"
    COMMENT = "comment"
    ACCEPT = "accept"
    REOPEN = "reopen"


class HandleExceptions(dg.Config):
    """What is done to which exceptions of the partition's tenant, and by whom."""

    action: ExceptionAction = Field(description="ASSIGN, COMMENT, ACCEPT or REOPEN")
    exceptions: list[int] = Field(description="Their numbers, as the asset open_exceptions shows them")
    by: str = Field(description="Your name, for the auditor")
    note: str = Field(default="", description="The comment, or why; not needed to ASSIGN")
    owner: str = Field(default="", description="To ASSIGN: who shall see to them")
    until: str = Field(
        default="", description="To ACCEPT: the last day, YYYY-MM-DD; after it they are open again"
    )


class SignOffAction(Enum):
    """A step of a month's sign-off."""

    PREPARE = "prepare"
    REVIEW = "review"
    WITHDRAW = "withdraw"


class SignOff(dg.Config):
    """A step of the partition's sign-off, and by whom."""

    action: SignOffAction = Field(description="PREPARE, then REVIEW by another person; or WITHDRAW")
    by: str = Field(description="Your name, for the auditor")
    note: str = Field(description="What you looked at, or why it is withdrawn")
    despite: str = Field(
        default="", description="Why it is signed although exceptions are open; kept with the signature"
    )


@dg.op
def handle_exceptions(
    context: dg.OpExecutionContext,
    config: HandleExceptions,
    tenants: TenantsResource,
    ledger: LedgerResource,
) -> None:
    """Assign, comment, accept or reopen exceptions, all of those named or none."""
    from netsuite_assets.close.handling import Handling, handle, told
    from netsuite_assets.reconcile.assets import exceptions_table
    from netsuite_assets.reconcile.exceptions import lasting
    from resources.warehouse import utc_now

    with failures(), ledger.open() as book:
        tenant = tenants.get().load(scope(context).tenant)
        what = Handling(
            config.action.value, config.exceptions, config.by, config.note, config.owner, config.until
        )
        now = utc_now()
        handled = handle(book, tenant, what, now)
        context.log.info(told(tenant.name, what, handled))
        left = [one for one in handled if one.state != "closed"]
        context.add_output_metadata(
            {
                "done": told(tenant.name, what, handled),
                "exceptions": dg.MetadataValue.md(exceptions_table(lasting(left, now))),
            }
        )


@dg.op
def record_sign_off(
    context: dg.OpExecutionContext,
    config: SignOff,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
) -> None:
    """Prepare, review or withdraw the month's sign-off, and show it on the month's page."""
    from netsuite_assets.close.page import in_short
    from netsuite_assets.close.sign_off import SigningMonth, look, step
    from netsuite_assets.mapping.compiler import compile_mapping
    from resources.warehouse import utc_now

    with failures():
        where = scope(context)
        tenant = tenants.get().load(where.tenant)
        mapping = compile_mapping(tenant)
        with warehouse.get().open(tenant.name) as held, ledger.open() as book:
            month = SigningMonth(held, book, tenant, mapping, where.period)
            now = utc_now()
            step(
                month,
                config.action.value,
                config.by,
                config.note,
                config.despite or None,
                now,
                context.run_id,
            )
            found = look(month, now, context.run_id)
        context.log.info(in_short(found))
        context.log_event(
            dg.AssetMaterialization(
                month_sign_off.key, partition=context.partition_key, metadata=sign_off_metadata(found)
            )
        )
