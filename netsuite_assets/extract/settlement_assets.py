"""Assets of the group *netsuite* about what settles invoices and what was posted: payments, journals, ledger lines.

Thin: the reading and landing is in `payments.py` and `journals.py` beside this module.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from netsuite_assets.extract.assets import (
    Reading,
    column_schema,
    gone_metadata,
    netsuite_customers,
    netsuite_reference,
    slice_metadata,
)
from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import quota_counted, tenant_run
from netsuite_assets.tell import count, markdown, money
from resources.as_dagster import LedgerResource, NetSuiteResource, TenantsResource, WarehouseResource

if TYPE_CHECKING:
    from resources.warehouse import Slice, TenantWarehouse

#: What billing has in the month but NetSuite dates elsewhere is asked for by its expected external id.
_AFTER: Sequence[dg.AssetsDefinition | dg.AssetKey] = [
    netsuite_reference,
    netsuite_customers,
    dg.AssetKey("expected_records"),
]


@dg.asset(group_name="netsuite", partitions_def=tenant_months, kinds={"netsuite", "duckdb"}, deps=_AFTER)
def netsuite_payments(
    context: dg.AssetExecutionContext,
    config: Reading,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
    netsuite: NetSuiteResource,
) -> dg.MaterializeResult[None]:
    """The customer payments that NetSuite dates in the month, and what payments and credit memos settle: the
    applications of the month's documents, and those to the month's invoices whenever they were paid.
    """
    from netsuite_assets.extract.known_ids import refill_known_ids
    from netsuite_assets.extract.payments import extract_payments
    from resources.warehouse import utc_now

    async def read(held: "TenantWarehouse") -> "dict[str, Slice]":
        async with netsuite.client(run.tenant) as client, quota_counted(context, run, held, client):
            rules = run.mapping.records.get("customerPayment")
            return await extract_payments(
                held,
                client,
                rules,
                run.period,
                utc_now(),
                written=written,
                accept_as_gone=config.accept_as_gone,
            )

    with tenant_run(context, tenants) as run, warehouse.get().open(run.tenant.name) as held:
        with ledger.open() as book:
            refill_known_ids(held, book, "customerPayment")
            written = book.written(run.tenant.name, "customerPayment")
        landed = asyncio.run(read(held))
        metadata = slice_metadata(held, landed, "netsuite.payments", "total", run.period, each="payment")
        metadata |= _settled(held, run.period) | gone_metadata(context, held, "customerPayment", run.period)
        return dg.MaterializeResult(metadata=metadata)


def _settled(held: "TenantWarehouse", period: str) -> dict[str, Any]:
    """What became of the month's payments, and what settles the month's documents, by currency."""
    payments = held.sql(
        """WITH used AS (
            SELECT applying_id, sum(amount) AS amount FROM netsuite.applications
            WHERE period = ? AND applying_record = 'customerPayment' GROUP BY 1
        )
        SELECT p.currency, count(*), count(*) FILTER (WHERE p.is_voided), sum(p.total), coalesce(sum(u.amount), 0),
            sum(p.remaining), sum(p.total - p.remaining) - coalesce(sum(u.amount), 0)
        FROM netsuite.payments p LEFT JOIN used u ON u.applying_id = p.internal_id
        WHERE p.period = ? GROUP BY 1 ORDER BY 1""",
        [period, period],
    )
    applications = held.sql(
        """SELECT applying_record, currency, count(DISTINCT invoice_id), count(*), sum(amount)
        FROM netsuite.applications WHERE period = ? GROUP BY ALL ORDER BY ALL""",
        [period],
    )
    return {
        "what the payments settle": dg.MetadataValue.md(
            markdown(
                ["Currency", ">Payments", ">Of these voided", ">Total", ">Applied to invoices", ">Not applied", ">Applied otherwise"],
                [[row[0], row[1], row[2], *(money(amount, row[0]) for amount in row[3:])] for row in payments],
            )
        ),
        "applied to invoices": dg.MetadataValue.md(
            markdown(
                ["By", "Currency", ">Invoices", ">Applications", ">Amount"],
                [[*row[:4], money(row[4], row[1])] for row in applications],
            )
        ),
    }  # fmt: skip


@dg.asset(group_name="netsuite", partitions_def=tenant_months, kinds={"netsuite", "duckdb"}, deps=_AFTER)
def netsuite_journals(
    context: dg.AssetExecutionContext,
    config: Reading,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
    netsuite: NetSuiteResource,
) -> dg.MaterializeResult[None]:
    """The journal entries that NetSuite dates in the month, with their lines: accruals and their reversals, revenue
    recognition, and what people book by hand.
    """
    from netsuite_assets.extract.journals import extract_journals
    from netsuite_assets.extract.known_ids import refill_known_ids
    from resources.warehouse import utc_now

    async def read(held: "TenantWarehouse") -> "dict[str, Slice]":
        async with netsuite.client(run.tenant) as client, quota_counted(context, run, held, client):
            rules = run.mapping.records.get("journalEntry")
            return await extract_journals(
                held,
                client,
                rules,
                run.period,
                utc_now(),
                written=written,
                accept_as_gone=config.accept_as_gone,
            )

    with tenant_run(context, tenants) as run, warehouse.get().open(run.tenant.name) as held:
        with ledger.open() as book:
            refill_known_ids(held, book, "journalEntry")
            written = book.written(run.tenant.name, "journalEntry")
        landed = asyncio.run(read(held))
        metadata = slice_metadata(held, landed, "netsuite.journals", "total", run.period, each="journal")
        metadata |= gone_metadata(context, held, "journalEntry", run.period)
        return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    group_name="netsuite",
    partitions_def=tenant_months,
    kinds={"netsuite", "duckdb"},
    deps=[netsuite_reference, netsuite_customers],
)
def netsuite_gl(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    netsuite: NetSuiteResource,
) -> dg.MaterializeResult[None]:
    """What was posted in the month's accounting period to receivables, deferred and unbilled revenue, income and the
    accounts of prepaid balances, in each subsidiary's own currency: what billing is tied out to. With the customer
    deposits of the month and their applications.
    """
    from netsuite_assets.extract.journals import extract_gl_lines
    from resources.warehouse import utc_now

    async def read(held: "TenantWarehouse") -> "dict[str, Slice]":
        async with netsuite.client(run.tenant) as client, quota_counted(context, run, held, client):
            named = run.tenant.reconcile.prepaid_accounts
            return await extract_gl_lines(held, client, run.period, utc_now(), named)

    with tenant_run(context, tenants) as run, warehouse.get().open(run.tenant.name) as held:
        found = asyncio.run(read(held))
        landed = found["gl_lines"]
        rows = held.sql(
            """SELECT subsidiary, account_type, account_number, account_name, count(*), coalesce(sum(debit), 0),
                coalesce(sum(credit), 0), coalesce(sum(amount), 0)
            FROM netsuite.gl_lines WHERE period = ? GROUP BY ALL ORDER BY ALL""",
            [run.period],
        )
        headings = ["Subsidiary", "Type", "Account", "Name", ">Lines", ">Debit", ">Credit", ">Balance"]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": landed.rows,
                "dagster/column_schema": column_schema(held.columns("netsuite.gl_lines")),
                "in short": f"{count(landed.rows, 'ledger line')} posted in {run.period}"
                f" to {count(len({row[2] for row in rows}), 'account')}",
                "by account": dg.MetadataValue.md(
                    markdown(headings, [[*row[:5], *(money(amount, None) for amount in row[5:])] for row in rows])
                ),
                "complete": dg.MetadataValue.md(
                    markdown(
                        ["Table", ">Counted at the source", ">Landed"],
                        [[one.table, one.expected_rows, one.rows] for one in found.values()],
                    )
                ),
            }
        )  # fmt: skip


SETTLEMENT_ASSETS: Sequence[dg.AssetsDefinition] = [netsuite_payments, netsuite_journals, netsuite_gl]
