"""Assets of the groups *billing* and *netsuite*: both systems' records of a tenant and month, proven complete. And the
lists that the mapping looks up (group *mapping*).

Thin: the reading and landing is in `billing.py` and `netsuite.py` beside this module.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pydantic

from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import quota_counted, tenant_run
from netsuite_assets.tell import count, markdown, moneys
from resources.as_dagster import (
    BillingResource,
    LedgerResource,
    NetSuiteResource,
    TenantsResource,
    WarehouseResource,
)

if TYPE_CHECKING:
    from resources.warehouse import Slice, TenantWarehouse


def _billing_asset(
    name: str, tables: Sequence[str], description: str, amount: str | None
) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        group_name="billing",
        partitions_def=tenant_months,
        kinds={"duckdb"},
        description=description,
    )
    def billing_slice(
        context: dg.AssetExecutionContext,
        tenants: TenantsResource,
        warehouse: WarehouseResource,
        billing: BillingResource,
    ) -> dg.MaterializeResult[None]:
        from netsuite_assets.extract.billing import extract_billing
        from resources.warehouse import utc_now

        with (
            tenant_run(context, tenants) as run,
            billing.open(run.tenant) as source,
            warehouse.get().open(run.tenant.name) as held,
        ):
            landed = extract_billing(held, source, tables, run.period, utc_now())
            return dg.MaterializeResult(
                metadata=slice_metadata(held, landed, f"billing.{tables[0]}", amount, run.period)
            )

    return billing_slice


billing_customers = _billing_asset(
    "billing_customers",
    ["customers"],
    "The customers that billing has now. Invoices name them; NetSuite must have each of them.",
    None,
)
billing_invoices = _billing_asset(
    "billing_invoices",
    ["invoices", "invoice_lines"],
    "The invoices that billing issued in the month, with their lines. "
    "Landed only when billing's own count agrees with what was read.",
    "total",
)
billing_credit_notes = _billing_asset(
    "billing_credit_notes",
    ["credit_notes", "credit_note_lines"],
    "The credit notes that billing issued in the month, with their lines. They become credit memos in NetSuite.",
    "total",
)
billing_payments = _billing_asset(
    "billing_payments",
    ["payments", "payment_applications"],
    "The payments that billing received in the month, and the invoices that they settle.",
    "amount",
)
billing_journals = _billing_asset(
    "billing_journals",
    ["journals", "journal_lines", "usage"],
    "The journal entries that billing itself proposes for the month, with their lines; the accruals that the tenant's"
    " file makes of usage which no invoice bills by the month's end; and the usage of the month.",
    None,
)


@dg.asset(group_name="mapping", partitions_def=tenant_months, kinds={"netsuite", "duckdb"})
def netsuite_reference(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    netsuite: NetSuiteResource,
) -> dg.MaterializeResult[None]:
    """NetSuite's masters: subsidiaries, currencies, items, terms, accounts, departments, classes, locations and the
    accounting periods with their locks; and what the mapping looks up in them and in the account's own lists.
    """
    from netsuite_assets.extract.reference import MASTERS, extract_reference
    from resources.warehouse import utc_now

    async def read(held: "TenantWarehouse") -> "dict[str, Slice]":
        async with netsuite.client(run.tenant) as client, quota_counted(context, run, held, client):
            return await extract_reference(held, client, run.mapping, utc_now())

    with tenant_run(context, tenants) as run, warehouse.get().open(run.tenant.name) as held:
        landed = asyncio.run(read(held))
        rows = held.sql(
            "SELECT list, count(*), count(*) FILTER (WHERE is_inactive) FROM netsuite.reference GROUP BY 1 ORDER BY 1"
        )
        masters = [
            (
                master.label,
                *held.sql(f"SELECT count(*), {_inactive(master.columns)} FROM netsuite.{master.table}")[0],
            )
            for master in MASTERS
        ]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(part.rows for part in landed.values()),
                "masters": dg.MetadataValue.md(
                    markdown(["Master", ">Records", ">Of these inactive"], masters)
                ),
                "looked up": dg.MetadataValue.md(markdown(["List", ">Values", ">Of these inactive"], rows)),
                **proof_metadata(held, ["netsuite.lists", *landed], run.period),
                **not_visible_metadata(held, [f"netsuite.{master.table}" for master in MASTERS]),
                "dagster/column_schema": column_schema(held.columns("netsuite.reference")),
            }
        )


def _inactive(columns: Mapping[str, Any]) -> str:
    return "count(*) FILTER (WHERE is_inactive)" if "is_inactive" in columns else "NULL"


class Reading(dg.Config):
    """What a person may say about a reading of NetSuite's records."""

    accept_as_gone: str = pydantic.Field(
        "",
        description="Your name, if you know that the records which NetSuite does not show any more are gone for good"
        " (the account was refreshed from another one, for instance). Otherwise leave it empty.",
    )


@dg.asset(
    group_name="netsuite",
    partitions_def=tenant_months,
    kinds={"netsuite", "duckdb"},
    deps=[netsuite_reference],
)
def netsuite_customers(
    context: dg.AssetExecutionContext,
    config: Reading,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
    netsuite: NetSuiteResource,
) -> dg.MaterializeResult[None]:
    """All customers that NetSuite holds now, with the fields that the mapping names; and their billing addresses, where
    the tenant's file lets those flow back to billing.
    """
    from netsuite_assets.extract.addresses import extract_addresses
    from netsuite_assets.extract.known_ids import refill_known_ids
    from netsuite_assets.extract.netsuite import extract_customers
    from resources.warehouse import utc_now

    async def read(held: "TenantWarehouse") -> "dict[str, Slice]":
        async with netsuite.client(run.tenant) as client, quota_counted(context, run, held, client):
            landed = {
                "customers": await extract_customers(
                    held,
                    client,
                    run.mapping.records["customer"],
                    utc_now(),
                    written=written,
                    accept_as_gone=config.accept_as_gone,
                )
            }
            if run.tenant.writeback.returns("customer", "address"):
                landed["addresses"] = await extract_addresses(held, client, utc_now())
            return landed

    with tenant_run(context, tenants) as run, warehouse.get().open(run.tenant.name) as held:
        with ledger.open() as book:
            refill_known_ids(held, book, "customer", monthly=False)
            written = book.written(run.tenant.name, "customer")
        landed = asyncio.run(read(held))
        metadata = slice_metadata(held, landed, "netsuite.customers", None, run.period)
        return dg.MaterializeResult(metadata=metadata | gone_metadata(context, held, "customer", None))


def _document_asset(name: str, record: str, table: str, description: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        group_name="netsuite",
        partitions_def=tenant_months,
        kinds={"netsuite", "duckdb"},
        description=description,
        # What billing issued in the month but NetSuite dates elsewhere is asked for by its expected external id.
        deps=[netsuite_customers, dg.AssetKey("expected_records")],
    )
    def document_slice(
        context: dg.AssetExecutionContext,
        config: Reading,
        tenants: TenantsResource,
        warehouse: WarehouseResource,
        ledger: LedgerResource,
        netsuite: NetSuiteResource,
    ) -> dg.MaterializeResult[None]:
        from netsuite_assets.extract.known_ids import refill_known_ids
        from netsuite_assets.extract.netsuite import extract_documents
        from resources.warehouse import utc_now

        async def read(held: "TenantWarehouse") -> "dict[str, Slice]":
            async with netsuite.client(run.tenant) as client, quota_counted(context, run, held, client):
                return await extract_documents(
                    held,
                    client,
                    run.mapping.records[record],
                    run.period,
                    utc_now(),
                    written=written,
                    accept_as_gone=config.accept_as_gone,
                )

        with tenant_run(context, tenants) as run, warehouse.get().open(run.tenant.name) as held:
            if record not in run.mapping.records:
                said = f"Nothing was read: the file of {run.tenant.name} has no rules for {record}."
                return dg.MaterializeResult(metadata={"dagster/row_count": 0, "why": said})
            with ledger.open() as book:
                refill_known_ids(held, book, record)
                written = book.written(run.tenant.name, record)
            landed = asyncio.run(read(held))
            metadata = slice_metadata(held, landed, f"netsuite.{table}", "total", run.period)
            return dg.MaterializeResult(metadata=metadata | gone_metadata(context, held, record, run.period))

    return document_slice


netsuite_invoices = _document_asset(
    "netsuite_invoices",
    "invoice",
    "invoices",
    "The invoices that NetSuite dates in the month, with their lines, and those of billing's month that it dates "
    "elsewhere. Landed only when NetSuite's own count agrees before and after reading.",
)
netsuite_credit_memos = _document_asset(
    "netsuite_credit_memos",
    "creditMemo",
    "credit_memos",
    "The credit memos that NetSuite dates in the month, with their lines, and those of billing's month that it "
    "dates elsewhere.",
)


def slice_metadata(
    held: "TenantWarehouse",
    landed: "Mapping[str, Slice]",
    table: str,
    amount: str | None,
    period: str,
    *,
    each: str = "document",
) -> dict[str, Any]:
    """Row counts, the money total by currency, the proofs of completeness and the columns, for the asset's page.

    The first of `landed` is the slice of `table`; `each` is what one of its rows is called.
    """
    main = next(iter(landed.values()))
    metadata: dict[str, Any] = {
        "dagster/row_count": main.rows,
        "complete": dg.MetadataValue.md(
            markdown(
                ["Table", ">Counted at the source", ">Landed"],
                [[part.table, part.expected_rows, part.rows] for part in landed.values()],
            )
        ),
        **proof_metadata(held, [part.table for part in landed.values()], period),
        "dagster/column_schema": column_schema(held.columns(table)),
    }
    if amount is not None:
        rows = held.sql(
            f"SELECT currency, count(*), sum({amount}) FROM {table} WHERE period = ? GROUP BY 1 ORDER BY 1",
            [period],
        )
        metadata["total"] = moneys({row[0]: row[2] for row in rows})
        metadata["by currency"] = dg.MetadataValue.md(
            markdown(
                ["Currency", f">{each.capitalize()}s", ">Total"],
                [[row[0], row[1], f"{row[2]:,.2f}"] for row in rows],
            )
        )
        metadata["in short"] = f"{count(main.rows, each)} of {period}: {moneys({r[0]: r[2] for r in rows})}"
    return metadata


def proof_metadata(held: "TenantWarehouse", tables: Sequence[str], period: str) -> dict[str, Any]:
    """For an asset's page: by what each set of NetSuite's that was read is proven complete."""
    from netsuite_assets.extract.proofs import HEADINGS, told

    rows = told(held, [table for table in tables if table.startswith("netsuite.")], period)
    return {"proof": dg.MetadataValue.md(markdown(HEADINGS, rows))} if rows else {}


def gone_metadata(
    context: dg.AssetExecutionContext, held: "TenantWarehouse", record: str, period: str | None
) -> dict[str, Any]:
    """For an asset's page: the records that were there and are not shown any more; those that nothing explains as a
    warning.
    """
    from netsuite_assets.extract.sight import explained, untold

    rows = explained(held, record, period)
    doubtful = untold(held, record, period)
    if doubtful is not None:
        context.log.warning(doubtful)
    found = {"not shown any more": dg.MetadataValue.md(markdown(["Record", "Because", "Detail"], rows))}
    return found | ({"warning": dg.MetadataValue.text(doubtful)} if doubtful is not None else {})


def not_visible_metadata(held: "TenantWarehouse", tables: Sequence[str]) -> dict[str, Any]:
    """For an asset's page: which of its tables stay empty because the role or the account does not show them."""
    from netsuite_assets.extract.visibility import not_visible

    rows = not_visible(held, tables)
    headings = ["Table", "Why", "NetSuite's words", "What to do"]
    return {"not visible to the role": dg.MetadataValue.md(markdown(headings, rows))}


def column_schema(columns: Mapping[str, str]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()])


ASSETS: Sequence[dg.AssetsDefinition] = [
    billing_customers,
    billing_invoices,
    billing_credit_notes,
    billing_payments,
    billing_journals,
    netsuite_reference,
    netsuite_customers,
    netsuite_invoices,
    netsuite_credit_memos,
]
