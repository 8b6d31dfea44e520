"""Assets of the group *netsuite* beside the documents: who changed what, and the revenue arranged from invoices.

Thin: the reading and landing is in `trails.py` and `revenue.py` beside this module.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from netsuite_assets.extract.assets import (
    column_schema,
    netsuite_credit_memos,
    netsuite_invoices,
    not_visible_metadata,
    proof_metadata,
)
from netsuite_assets.extract.settlement_assets import netsuite_journals, netsuite_payments
from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import quota_counted, tenant_run
from netsuite_assets.tell import count, markdown, moneys
from resources.as_dagster import NetSuiteResource, TenantsResource, WarehouseResource

if TYPE_CHECKING:
    from netsuite_assets.extract.trails import Trails
    from resources.warehouse import Slice, TenantWarehouse

_DOCUMENTS = [netsuite_invoices, netsuite_credit_memos]


@dg.asset(
    group_name="netsuite",
    partitions_def=tenant_months,
    kinds={"netsuite", "duckdb"},
    deps=[*_DOCUMENTS, netsuite_payments, netsuite_journals],
)
def netsuite_trails(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    netsuite: NetSuiteResource,
) -> dg.MaterializeResult[None]:
    """Who changed which field of the month's documents, when and from what to what; and which records were deleted."""
    from netsuite_assets.extract.trails import DELETED, NOTES, extract_trails
    from resources.warehouse import utc_now

    async def read(held: "TenantWarehouse") -> "Trails":
        async with netsuite.client(run.tenant) as client, quota_counted(context, run, held, client):
            return await extract_trails(held, client, run.period, utc_now())

    with tenant_run(context, tenants) as run, warehouse.get().open(run.tenant.name) as held:
        trails = asyncio.run(read(held))
        for warning in trails.warnings:
            context.log.warning(warning)
        notes = held.sql(
            f"SELECT changed_at, record, number, field, old_value, new_value, changed_by, context FROM {NOTES}"
            " WHERE period = ? ORDER BY changed_at DESC, internal_id, note_no DESC",
            [run.period],
        )
        deleted = held.sql(
            f"SELECT deleted_at, record_type, internal_id, name, deleted_by, context FROM {DELETED}"
            " ORDER BY deleted_at DESC, internal_id"
        )
        people = held.sql(
            f"SELECT changed_by, count(DISTINCT internal_id), count(*) FROM {NOTES} WHERE period = ?"
            " GROUP BY 1 ORDER BY 3 DESC, 1",
            [run.period],
        )
        short = f"{count(trails.looked_at, 'document')} changed since the last look; {count(len(deleted), 'deleted record')}"
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(notes),
                "in short": short,
                "changes": dg.MetadataValue.md(
                    markdown(["When", "Record", "Number", "Field", "Was", "Became", "By", "How"], notes)
                ),
                "by person": dg.MetadataValue.md(markdown(["By", ">Documents", ">Changes"], people)),
                "deleted records": dg.MetadataValue.md(
                    markdown(["When", "Record", "Internal id", "Name", "By", "How"], deleted)
                ),
                "warnings": dg.MetadataValue.md(markdown(["Warning"], [[text] for text in trails.warnings])),
                **_complete(trails.slices),
                **proof_metadata(held, list(trails.slices), run.period),
                **not_visible_metadata(held, [NOTES, DELETED]),
                "dagster/column_schema": column_schema(held.columns(NOTES)),
            }
        )


@dg.asset(group_name="netsuite", partitions_def=tenant_months, kinds={"netsuite", "duckdb"}, deps=_DOCUMENTS)
def netsuite_revenue(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    netsuite: NetSuiteResource,
) -> dg.MaterializeResult[None]:
    """The revenue elements that NetSuite arranged from the month's documents, their plans, and what is planned for when.

    Empty, with the reason, where the account does not recognise revenue by arrangements or the role does not see them.
    """
    from netsuite_assets.extract.revenue import PARTS, extract_revenue
    from resources.warehouse import utc_now

    async def read(held: "TenantWarehouse") -> "dict[str, Slice]":
        async with netsuite.client(run.tenant) as client, quota_counted(context, run, held, client):
            return await extract_revenue(held, client, run.period, utc_now())

    with tenant_run(context, tenants) as run, warehouse.get().open(run.tenant.name) as held:
        landed = asyncio.run(read(held))
        amounts = held.sql(
            "SELECT currency, count(*), sum(sales_amount), sum(allocation_amount) FROM netsuite.revenue_elements"
            " WHERE period = ? GROUP BY 1 ORDER BY 1",
            [run.period],
        )
        planned = held.sql(
            """SELECT r.planned_period, e.currency, sum(r.amount), sum(r.amount) FILTER (WHERE r.is_recognized)
            FROM netsuite.revenue_planned r
            JOIN netsuite.revenue_plans p ON p.period = r.period AND p.internal_id = r.plan_id
            JOIN netsuite.revenue_elements e ON e.period = p.period AND e.internal_id = p.element_id
            WHERE r.period = ? GROUP BY r.planned_period, r.planned_period_id, e.currency
            ORDER BY r.planned_period_id::BIGINT, e.currency""",
            [run.period],
        )
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(row[1] for row in amounts),
                "total": moneys({row[0]: row[2] for row in amounts}),
                "by currency": dg.MetadataValue.md(
                    markdown(["Currency", ">Elements", ">Sales amount", ">Allocated"], amounts)
                ),
                "planned": dg.MetadataValue.md(
                    markdown(["Planned for", "Currency", ">Amount", ">Of it recognised"], planned)
                ),
                **_complete(landed),
                **proof_metadata(held, list(landed), run.period),
                **not_visible_metadata(held, [f"netsuite.{part.table}" for part in PARTS]),
                "dagster/column_schema": column_schema(held.columns("netsuite.revenue_elements")),
            }
        )


def _complete(landed: "Mapping[str, Slice]") -> dict[str, Any]:
    rows = [[part.table, part.expected_rows, part.rows] for part in landed.values()]
    return {
        "complete": dg.MetadataValue.md(markdown(["Table", ">Counted at the source", ">Landed"], rows)),
    }


TRAIL_ASSETS: Sequence[dg.AssetsDefinition] = [netsuite_trails, netsuite_revenue]
