"""Assets of the group *write back*: the plan, what became of it, and the proof that NetSuite holds it."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import dagster as dg

from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import TO_TELL, quota_counted, tenant_run
from netsuite_assets.tell import SHOWN, markdown, money, moneys
from resources.as_dagster import (
    BillingResource,
    LedgerResource,
    NetSuiteResource,
    TenantsResource,
    WarehouseResource,
)

if TYPE_CHECKING:
    import pandas as pd

    from netsuite_assets.writeback.apply import Applied
    from netsuite_assets.writeback.sending import Sent
    from netsuite_assets.writeback.verify import Verified
    from resources.billing.returns import Returns
    from resources.netsuite.figures import Figures


@dg.asset(
    group_name="write_back",
    partitions_def=tenant_months,
    kinds={"duckdb"},
    deps=[dg.AssetKey("differences"), dg.AssetKey("open_exceptions")],
)
def correction_plan(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
    billing: BillingResource,
) -> dg.MaterializeResult[None]:
    """The exact writes that would repair NetSuite, with what each changes, and what flows back to billing. Nothing is
    sent here.

    Writes in a closed period are held; a plan above the tenant's limits waits for a named person's approval.
    """
    from netsuite_assets import frames
    from netsuite_assets.writeback.failures import tell_plan
    from netsuite_assets.writeback.plan import make_plan
    from resources.warehouse import utc_now

    with (
        tenant_run(context, tenants) as run,
        billing.returns(run.tenant) as returns,
        warehouse.get().open(run.tenant.name) as held,
        ledger.open() as book,
    ):
        planned = make_plan(held, run.tenant, run.mapping, run.period, book, utc_now(), returns)
        tell_plan(held, run.mapping, run.period, book, utc_now(), context.run.run_id)
        plan = planned.plan
        if planned.approval is not None:
            status = f"approved by {planned.approval.approved_by}: {planned.approval.note}"
        elif plan.operations == 0:
            status = "nothing to do"
        elif run.tenant.writeback.mode != "apply":
            status = f"not to be sent: the tenant's file says writeback.mode: {run.tenant.writeback.mode}"
        else:
            status = f"waits for approval: {plan.held_because}"
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": planned.count,
                "plan": plan.plan_id[:12],
                "operations to send": plan.operations,
                "amounts": plan.amounts or "–",
                "status": status,
                "operations": dg.MetadataValue.md(plan_table(planned.first(SHOWN), planned.count)),
                "dagster/column_schema": frames.column_schema(frames.PLAN),
            }
        )


#: What is told of the month as it was compared: a write would change what it rests on.
_BEFORE = (dg.AssetKey("tie_outs"), dg.AssetKey("receivables_drift"))


@dg.asset(
    group_name="write_back",
    partitions_def=tenant_months,
    kinds={"netsuite"},
    deps=[correction_plan, *_BEFORE],
)
def applied_corrections(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
    netsuite: NetSuiteResource,
    billing: BillingResource,
) -> dg.MaterializeResult[None]:
    """The plan, sent to NetSuite, and back to billing what that does not know. What an interrupted run left in doubt is looked up first.

    Refused, before anything is sent, unless the tenant's policy allows writing, the plan is approved and nothing
    that it rests on has changed.
    """
    from netsuite_assets import frames
    from netsuite_assets.writeback.apply import apply_plan, states
    from netsuite_assets.writeback.failures import tell_outcomes
    from netsuite_assets.writeback.progress import Told
    from resources.warehouse import utc_now

    async def send() -> "tuple[Applied, Figures]":
        async with (
            netsuite.client(run.tenant) as client,
            quota_counted(context, run, held, client) as figures,
        ):
            told = Told(context.log.info)
            applied = await apply_plan(
                held,
                client,
                run.tenant,
                run.mapping,
                run.period,
                book,
                utc_now,
                told,
                returns=returns,
            )
            return applied, figures()

    with (
        tenant_run(context, tenants) as run,
        billing.returns(run.tenant) as returns,
        warehouse.get().open(run.tenant.name) as held,
        ledger.open() as book,
    ):
        applied, quota = asyncio.run(send())
        tell_outcomes(held, run.period, book, utc_now(), context.run.run_id)
        counted = states(applied.outcomes)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(applied.outcomes),
                "written": counted["written"] + counted["adopted"],
                "amounts written": written_amounts(applied.outcomes),
                "not written": len(applied.outcomes) - counted["written"] - counted["adopted"],
                "settled from earlier runs": applied.settled,
                TO_TELL: to_tell(applied.outcomes, returns),
                "by outcome": dg.MetadataValue.md(counts_table(counted)),
                "sent": dg.MetadataValue.md(sent_table(applied.sent)),
                "outcomes": dg.MetadataValue.md(outcomes_table(applied.outcomes)),
                "quota": dg.MetadataValue.md(quota_table(quota)),
                "dagster/column_schema": frames.column_schema(frames.OUTCOMES),
            }
        )


@dg.asset(
    group_name="write_back", partitions_def=tenant_months, kinds={"netsuite"}, deps=[applied_corrections]
)
def verified_books(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
    netsuite: NetSuiteResource,
    billing: BillingResource,
) -> dg.MaterializeResult[None]:
    """NetSuite read back after the write and compared again: each written record found as intended, or not."""
    from netsuite_assets import frames
    from netsuite_assets.reconcile.assets import differences_table
    from netsuite_assets.writeback.failures import tell_outcomes
    from netsuite_assets.writeback.verify import verify
    from resources.warehouse import utc_now

    async def read_back() -> "Verified":
        async with netsuite.client(run.tenant) as client, quota_counted(context, run, held, client):
            return await verify(
                held,
                client,
                run.tenant,
                run.mapping,
                run.period,
                book,
                source.locate,
                _clock,
                told=context.log.info,
                returns=returns,
            )

    def _clock() -> datetime:
        return utc_now()

    with (
        tenant_run(context, tenants) as run,
        billing.open(run.tenant) as source,
        billing.returns(run.tenant) as returns,
        warehouse.get().open(run.tenant.name) as held,
        ledger.open() as book,
    ):
        verified = asyncio.run(read_back())
        tell_outcomes(held, run.period, book, utc_now(), context.run.run_id)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(verified.outcomes),
                "found as intended": verified.confirmed,
                "not found as intended": verified.unconfirmed,
                "amounts written": written_amounts(verified.outcomes),
                "differences left": len(verified.remaining),
                "fields that NetSuite added": verified.enriched.count,
                "additions that could not be seen": "; ".join(verified.enriched.unseen) or "none",
                "what still differs": dg.MetadataValue.md(differences_table(verified.remaining)),
                "dagster/column_schema": frames.column_schema(frames.OUTCOMES),
            }
        )


def plan_table(operations: "pd.DataFrame", of: int) -> str:
    """The first operations in the order in which they would be sent, `of` how many, as Markdown."""
    from netsuite_assets import frames
    from netsuite_assets.tables import called

    return markdown(
        ["Do", "Record", "Number", "Customer", ">Amount", "What changes", "Held because"],
        [
            [row["action"], called(row["record"]), row["number"], row["name"],
             "" if called(row["record"]) == "customer" else money(row["amount"], row["currency"]), row["changes"], row["held"]]
            for row in frames.records(operations)
        ],
        more=of - len(operations),
    )  # fmt: skip


def outcomes_table(outcomes: "pd.DataFrame") -> str:
    """What became of each operation, those that need a person first, as Markdown."""
    from netsuite_assets import frames

    rows = frames.records(outcomes)
    rows.sort(key=lambda row: row["state"] in ("written", "adopted"))
    return markdown(
        ["Outcome", "Did", "Record", "Number", "Customer", "Internal id", "Detail"],
        [
            [row["state"], row["action"], row["record"], row["number"], row["name"], row["internal_id"], row["detail"]]
            for row in rows
        ],
    )  # fmt: skip


def written_amounts(outcomes: "pd.DataFrame") -> str:
    """What the documents that were written moved, by currency."""
    from netsuite_assets import frames

    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for row in frames.records(outcomes):
        if (
            row["state"] in ("written", "adopted")
            and row["record"] != "customer"
            and row["action"] != "return"
            and row["currency"] is not None
        ):
            amounts[row["currency"]] += row["amount"]
    return moneys(amounts)


def to_tell(outcomes: "pd.DataFrame", returns: "Returns | None") -> int:
    """How many records were written to NetSuite that billing is to be told of, which the next run plans."""
    from netsuite_assets import frames

    return sum(
        returns is not None
        and row["state"] in ("written", "adopted")
        and row["action"] not in ("return", "delete")
        and bool(returns.facts(row["record"]))
        for row in frames.records(outcomes)
    )


def counts_table(counted: Mapping[str, int]) -> str:
    """How many operations ended in each state, as Markdown."""
    return markdown(["Outcome", ">Operations"], [[state, many] for state, many in sorted(counted.items())])


def sent_table(sent: "Sent") -> str:
    """Which way the writes went, and how fast, as Markdown."""
    rate = f"{sent.alone / sent.seconds_alone:.1f}" if sent.seconds_alone else "–"
    took = f"{sent.seconds_of_batches / sent.batches:.1f}" if sent.batches else "–"
    return markdown(
        ["", ">"],
        [
            ["Records sent alone", sent.alone],
            ["Of these in a second", rate],
            ["Records sent in batches", sent.in_batches],
            ["Batches", sent.batches],
            ["Seconds that one took", took],
        ],
    )


def quota_table(quota: "Figures") -> str:
    """What the writes took of the account's quota, as Markdown."""
    return markdown(
        ["", ">"],
        [
            ["Requests", quota.requests],
            ["Rejected for concurrency, and sent again", quota.rejections],
            ["Sent again after any passing failure", quota.retries],
            ["Most in flight at once", quota.peak],
            ["Seconds waited for a free place", f"{quota.waited_seconds:.1f}"],
            ["Seconds of backing off", f"{quota.backoff_seconds:.1f}"],
        ],
    )
