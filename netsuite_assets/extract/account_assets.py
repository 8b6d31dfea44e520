"""Assets of the group *account*, about the account itself: its schema, and the use of its request quota."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import quota_counted, tenant_run
from netsuite_assets.tell import count, markdown
from resources.as_dagster import NetSuiteResource, TenantsResource, WarehouseResource

if TYPE_CHECKING:
    from netsuite_assets.extract.catalog import Landed
    from resources.netsuite.catalog import Catalog, Entry
    from resources.warehouse import TenantWarehouse

#: Records whose fields are read besides those of the mapping: all that are compared, written, or named by a field.
_DESCRIBED = (
    "customer",
    "invoice",
    "creditMemo",
    "customerPayment",
    "journalEntry",
    "subsidiary",
    "currency",
    "term",
    "account",
    "accountingPeriod",
    "department",
    "classification",
    "location",
)


@dg.asset(group_name="account", partitions_def=tenant_months, kinds={"netsuite", "duckdb"})
def netsuite_catalog(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    netsuite: NetSuiteResource,
) -> dg.MaterializeResult[None]:
    """The account's schema as the role sees it now: what was added, removed or retyped since the version before, and
    the mapping rules that it breaks.
    """
    from netsuite_assets.extract.catalog import land_catalog
    from resources.netsuite.catalog import read_catalog
    from resources.warehouse import utc_now

    with tenant_run(context, tenants) as run, warehouse.get().open(run.tenant.name) as held:

        async def read() -> "Catalog":
            async with netsuite.client(run.tenant) as client, quota_counted(context, run, held, client):
                return await read_catalog(client, (*run.mapping.records, *_DESCRIBED))

        catalog = asyncio.run(read())
        landed = land_catalog(held, catalog, run.mapping, utc_now())
        for broken in landed.broken:
            context.log.warning(f"{broken.where}: {broken.record} {broken.field}: {broken.why}")
        return dg.MaterializeResult(
            metadata=_catalog_metadata(catalog, landed) | _columns(held, "netsuite.catalog")
        )


def _catalog_metadata(catalog: "Catalog", landed: "Landed") -> dict[str, Any]:
    changes = landed.changes
    rows: list[list[object]] = [["added", *_cells(entry), entry.type] for entry in changes.added]
    rows += [["removed", *_cells(entry), entry.type] for entry in changes.removed]
    rows += [
        ["retyped", *_cells(after), f"{before.type} → {after.type}"] for before, after in changes.retyped
    ]
    rows += [["renamed", *_cells(after), f"was {before.label}"] for before, after in changes.renamed]
    rows += [["no longer visible", name, "", "", ""] for name in changes.hidden]
    rows += [["visible again", name, "", "", ""] for name in changes.shown]
    hidden = [[section.name, section.why] for section in catalog.sections if not section.visible]
    since = f"{landed.previous_seen:%Y-%m-%d %H:%M} UTC" if landed.previous_seen is not None else ""
    short = f"{count(len(rows), 'change')} since {since}" if since else "first version"
    return {
        "dagster/row_count": len(catalog.entries),
        "version": landed.version[:12],
        "version before": f"{landed.previous[:12]}, last seen {since}" if landed.previous else "none",
        "in short": f"{short}; {count(len(landed.broken), 'mapping rule')} broken",
        "rules broken": len(landed.broken),
        "broken mapping rules": dg.MetadataValue.md(
            markdown(
                ["Rule", "Record", "Field", "Why"],
                [[b.where, b.record, b.field, b.why] for b in landed.broken],
            )
        ),
        "changes": dg.MetadataValue.md(markdown(["What", "Where", "Name", "Called", "Type"], rows)),
        "not visible to the role": dg.MetadataValue.md(markdown(["Part", "NetSuite's words"], hidden)),
    }


def _cells(entry: "Entry") -> list[str]:
    return [entry.owner or entry.kind, entry.name, entry.label]


@dg.asset(
    group_name="account",
    partitions_def=tenant_months,
    kinds={"duckdb"},
    deps=[
        netsuite_catalog,
        dg.AssetKey("netsuite_invoices"),
        dg.AssetKey("netsuite_credit_memos"),
        dg.AssetKey("netsuite_trails"),
        dg.AssetKey("netsuite_revenue"),
        dg.AssetKey("netsuite_payments"),
        dg.AssetKey("netsuite_journals"),
        dg.AssetKey("netsuite_gl"),
        dg.AssetKey("verified_books"),
    ],
)
def netsuite_quota(
    context: dg.AssetExecutionContext, tenants: TenantsResource, warehouse: WarehouseResource
) -> dg.MaterializeResult[None]:
    """What the month's runs took of the account's request quota: requests, rejections, waits and answer times."""
    from netsuite_assets.quota import use_of_assets, use_of_runs

    with tenant_run(context, tenants) as run, warehouse.get().open(run.tenant.name) as held:
        runs = use_of_runs(held, run.period)
        assets = use_of_assets(held, run.period, context.run.run_id)
        governance = run.tenant.netsuite.governance
        requests = sum(row.requests for row in runs)
        rejected = sum(row.rejections for row in runs)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(runs),
                "in short": f"{count(requests, 'request')} in the last {count(len(runs), 'run')}, {rejected:,} rejected;"
                f" limit {governance.concurrency} less {governance.reserve}",
                **_columns(held, "meta.quota"),
                "requests": requests,
                "rejections": rejected,
                "runs": dg.MetadataValue.md(
                    markdown(
                        ["Last", "Run", ">Requests", ">Rejected", ">Waited s", ">Backed off s", ">At once", ">Mean answer s"],
                        [
                            [f"{row.at:%Y-%m-%d %H:%M}", row.run_id[:8], row.requests, row.rejections,
                             f"{row.waited_seconds:.1f}", f"{row.backoff_seconds:.1f}", row.peak, f"{row.mean_seconds:.2f}"]
                            for row in runs
                        ],
                    )
                ),
                "this run": dg.MetadataValue.md(
                    markdown(
                        ["Asset", ">Requests", ">Rejected", ">Waited s", ">Mean answer s", ">At once"],
                        [
                            [row.asset, row.requests, row.rejections, f"{row.waited_seconds:.1f}",
                             f"{row.mean_seconds:.2f}", row.peak]
                            for row in assets
                        ],
                    )
                ),
            }
        )  # fmt: skip


def _columns(held: "TenantWarehouse", table: str) -> dict[str, Any]:
    columns = [dg.TableColumn(name, kind) for name, kind in held.columns(table).items()]
    return {"dagster/column_schema": dg.TableSchema(columns)}


ACCOUNT_ASSETS: Sequence[dg.AssetsDefinition] = [netsuite_catalog, netsuite_quota]
