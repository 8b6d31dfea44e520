"""Assets of the group *close*: what analysts and controllers read across tenants."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from netsuite_assets.partitions import months, scope, tenant_months
from netsuite_assets.runs import failures, tenant_run
from netsuite_assets.tell import markdown, moneys
from resources.as_dagster import LedgerResource, TenantsResource, WarehouseResource

if TYPE_CHECKING:
    from netsuite_assets.publish.summary import TenantSummary


@dg.asset(
    group_name="close",
    partitions_def=tenant_months,
    kinds={"duckdb"},
    deps=[
        dg.AssetKey(name)
        for name in ("correction_plan", "verified_books", "month_sign_off", "tie_outs", "receivables_drift")
    ],
)
def published_mart(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
) -> dg.MaterializeResult[None]:
    """The one DuckDB file that analysts open: differences, totals, documents, plans and write history, and exceptions and
    sign-offs with theirs. And what is left for a person now that the run is done.

    Swapped in at once: a reader that has it open is not disturbed and does not disturb.
    """
    from netsuite_assets.publish.mart import publish
    from netsuite_assets.publish.published import columns
    from netsuite_assets.reconcile.assets import exceptions_table
    from netsuite_assets.reconcile.exceptions import lasting
    from resources.warehouse import utc_now

    with (
        tenant_run(context, tenants) as run,
        warehouse.get().open(run.tenant.name) as held,
        ledger.open() as book,
    ):
        now = utc_now()
        published = publish(warehouse.get(), held, book, now)
        left = lasting(book.exceptions(run.tenant.name, now, run.period), now)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(published.rows.values()),
                "left for a person": dg.MetadataValue.md(exceptions_table(left)),
                "file": dg.MetadataValue.path(str(published.path.resolve())),
                "tables": dg.MetadataValue.md(
                    markdown(
                        ["Table", ">Rows of this tenant"], [list(item) for item in published.rows.items()]
                    )
                ),
                "dagster/column_schema": _column_schema(columns(published.path)),
            }
        )


@dg.op(ins={"after": dg.In(dg.Nothing)})
def publish_again(
    context: dg.OpExecutionContext, warehouse: WarehouseResource, ledger: LedgerResource
) -> None:
    """Publish what people did, so that analysts and the printed page see it at once."""
    from netsuite_assets.publish.refresh import refresh
    from resources.warehouse import utc_now

    with failures(), ledger.open() as book:
        refresh(warehouse.get(), book, scope(context).tenant, utc_now())


def _all_tenants() -> dg.PartitionMapping:
    """A month rests on all tenants' months of that name."""
    with warnings.catch_warnings():
        # The mapping is beta in Dagster 1.13, to which the project is pinned.
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        return dg.MultiToSingleDimensionPartitionMapping("month")


@dg.asset(
    group_name="close",
    partitions_def=months,
    kinds={"duckdb"},
    deps=[dg.AssetDep(published_mart, partition_mapping=_all_tenants())],
)
def month_close(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[None]:
    """The month across all tenants: billed, in NetSuite, still different, written and left for a person. And each
    tenant's close package, a file for finance and its auditors.
    """
    from netsuite_assets.publish.close_package import write_package
    from netsuite_assets.publish.summary import read_summaries
    from resources.warehouse import utc_now

    period = context.partition_key[:7]
    published, folder = warehouse.get().published_path, warehouse.get().root / "close" / period
    with failures():
        summaries = read_summaries(published, period)
        packages = [
            write_package(published, one.tenant, period, folder / f"{one.tenant}.zip", utc_now())
            for one in summaries
        ]
    return dg.MaterializeResult(
        metadata={
            "tenants": len(summaries),
            "tenants with exceptions": sum(1 for summary in summaries if summary.exceptions),
            "tenants signed off": sum(1 for summary in summaries if _signed_off(summary) == "reviewed"),
            "written": sum(summary.verified for summary in summaries),
            "dagster/row_count": len(summaries),
            "month": dg.MetadataValue.md(month_table(summaries, context.partition_key)),
            "close packages": dg.MetadataValue.md(
                markdown(
                    ["File", ">Rows"], [[one.path.resolve(), sum(one.rows.values())] for one in packages]
                )
            ),
            "dagster/column_schema": _column_schema(
                {heading.removeprefix(">"): kind for heading, kind in _MONTH.items()}
            ),
        }
    )


#: The columns of a month across tenants, and what each holds.
_MONTH = {
    "Tenant": "name",
    ">Billed": "amounts by currency",
    ">NetSuite had": "amounts by currency",
    ">NetSuite has": "amounts by currency",
    ">Differences found": "count",
    ">Written and verified": "count",
    ">For a person": "count",
    ">Accepted": "count",
    "Sign-off": "its latest step",
}


def _column_schema(columns: Mapping[str, str]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()])


def month_table(summaries: "list[TenantSummary]", month_key: str) -> str:
    """One row a tenant, linking to its page, as Markdown."""
    rows: list[list[object]] = []
    for summary in summaries:
        link = f"/assets/differences?view=partitions&partition={month_key}%7C{summary.tenant}"
        rows.append(
            [
                f"[{summary.tenant}]({link})",
                moneys({currency: totals.billed for currency, totals in summary.totals.items()}),
                moneys({currency: totals.netsuite_before for currency, totals in summary.totals.items()}),
                moneys({currency: totals.netsuite_now for currency, totals in summary.totals.items()}),
                summary.differences,
                summary.verified,
                len(summary.exceptions),
                len(summary.accepted),
                _signed_off(summary),
            ]
        )
    return markdown(list(_MONTH), rows, limit=1000)


def _signed_off(summary: "TenantSummary") -> str:
    return summary.sign_off.event if summary.sign_off is not None else "–"
