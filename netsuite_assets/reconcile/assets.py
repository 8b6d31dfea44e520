"""Assets of the group *reconciliation*: where billing and NetSuite disagree, and what needs a person."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import dagster as dg

from netsuite_assets.extract.assets import netsuite_credit_memos, netsuite_customers, netsuite_invoices
from netsuite_assets.mapping.assets import expected_records
from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import tenant_run
from netsuite_assets.tell import markdown, money, moneys
from resources.as_dagster import BillingResource, TenantsResource, WarehouseResource

if TYPE_CHECKING:
    import pandas as pd

_DIFFERENCES = """Every field, line and document on which billing and NetSuite disagree in the month.

The amounts add up: what the differences explain is shown beside the difference of the totals, to the cent.
"""

_EXCEPTIONS = """What needs a person: on which document, why, and what to do next.

An exception goes away by itself when its cause is gone. Those of the plan and the write-back join when those run.
"""


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            name,
            group_name="reconciliation",
            partitions_def=tenant_months,
            kinds={"duckdb", "pandas"},
            description=description,
            deps=[expected_records, netsuite_customers, netsuite_invoices, netsuite_credit_memos],
        )
        for name, description in (("differences", _DIFFERENCES), ("open_exceptions", _EXCEPTIONS))
    ],
)
def reconciliation(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    billing: BillingResource,
) -> Iterator[dg.MaterializeResult[None]]:
    """Compare what NetSuite should hold with what it holds."""
    from netsuite_assets import frames
    from netsuite_assets.reconcile.engine import reconcile

    with (
        tenant_run(context, tenants) as run,
        billing.open(run.tenant) as source,
        warehouse.get().open(run.tenant.name) as held,
    ):
        found = reconcile(held, run.tenant, run.mapping, run.period, source.locate)
    yield dg.MaterializeResult(
        asset_key="differences",
        metadata={
            "dagster/row_count": len(found.differences),
            "totals": dg.MetadataValue.md(totals_table(found.totals)),
            "by kind": dg.MetadataValue.md(kinds_table(found.differences)),
            "differences": dg.MetadataValue.md(differences_table(found.differences)),
            "dagster/column_schema": frames.column_schema(frames.DIFFERENCES),
        },
    )
    yield dg.MaterializeResult(
        asset_key="open_exceptions",
        metadata={
            "dagster/row_count": len(found.exceptions),
            "amount": moneys(_by_currency(found.exceptions)),
            "exceptions": dg.MetadataValue.md(exceptions_table(found.exceptions)),
            "dagster/column_schema": frames.column_schema(frames.EXCEPTIONS),
        },
    )


def totals_table(totals: "pd.DataFrame") -> str:
    """Billed beside NetSuite, by record and currency, as Markdown."""
    from netsuite_assets import frames

    def side(documents: int, total: Decimal) -> str:
        return f"{documents:,} · {money(total, None)}" if documents else "–"

    return markdown(
        ["Record", ">Billed", ">Held back", ">NetSuite has", ">Difference", ">Unexplained"],
        [
            [
                f"{row['record']}, {row['currency']}",
                side(row["billed_documents"], row["billed_total"]),
                side(row["held_back_documents"], row["held_back_total"]),
                side(row["netsuite_documents"], row["netsuite_total"]),
                money(row["difference"], None),
                money(row["unexplained"], None),
            ]
            for row in frames.records(totals)
        ],
    )


def kinds_table(differences: "pd.DataFrame") -> str:
    """How many differences there are of each kind, in words, as Markdown."""
    from netsuite_assets import frames
    from netsuite_assets.frames import DIFFERENCE_KINDS

    counted = Counter((row["record"], row["kind"]) for row in frames.records(differences))
    return markdown(
        ["Record", ">How many", "What differs"],
        [[record, size, DIFFERENCE_KINDS[kind]] for (record, kind), size in sorted(counted.items())],
    )


def differences_table(differences: "pd.DataFrame") -> str:
    """The differences one by one, as Markdown."""
    from netsuite_assets import frames

    return markdown(
        ["Record", "Number", "Customer", "What", "Field", "Should be", "NetSuite has", ">Amount"],
        [
            [
                row["record"],
                row["number"] if row["number"] is not None else row["external_id"],
                row["name"],
                row["kind"].replace("_", " "),
                row["field"],
                row["expected"],
                row["actual"],
                money(row["amount"], None),
            ]
            for row in frames.records(differences)
        ],
    )


def exceptions_table(exceptions: "pd.DataFrame") -> str:
    """The exceptions with their next step, as Markdown."""
    from netsuite_assets import frames

    return markdown(
        ["Record", "Number", "Customer", ">Amount", "Why", "What to do"],
        [
            [row["record"], row["number"], row["name"], money(row["amount"], row["currency"]),
             row["reason"], row["next_step"]]
            for row in frames.records(exceptions)
        ],
    )  # fmt: skip


def _by_currency(exceptions: "pd.DataFrame") -> dict[str, Decimal]:
    from netsuite_assets import frames

    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for row in frames.records(exceptions):
        if row["record"] != "customer" and row["currency"] is not None:
            amounts[row["currency"]] += row["amount"]
    return dict(amounts)
