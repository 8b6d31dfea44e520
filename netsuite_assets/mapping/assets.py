"""The asset of the group *mapping* that says what NetSuite should hold: billing's records through the tenant's mapping."""

from collections.abc import Sequence

import dagster as dg

from netsuite_assets.extract.assets import (
    billing_credit_notes,
    billing_customers,
    billing_invoices,
    billing_journals,
    billing_payments,
    netsuite_reference,
)
from netsuite_assets.partitions import tenant_months
from netsuite_assets.runs import tenant_run
from netsuite_assets.tell import markdown, moneys
from resources.as_dagster import LedgerResource, TenantsResource, WarehouseResource


@dg.asset(
    group_name="mapping",
    partitions_def=tenant_months,
    kinds={"duckdb"},
    deps=[
        billing_customers,
        billing_invoices,
        billing_credit_notes,
        billing_payments,
        billing_journals,
        netsuite_reference,
    ],
)
def expected_records(
    context: dg.AssetExecutionContext,
    tenants: TenantsResource,
    warehouse: WarehouseResource,
    ledger: LedgerResource,
) -> dg.MaterializeResult[None]:
    """What NetSuite should hold: billing's customers, invoices and credit notes of the month, in NetSuite's own fields.

    A record that the tenant's mapping cannot express (no customer, an item that NetSuite does not have) is kept,
    marked with its problem, and becomes an exception; it is never dropped. One record is shown field by field: its
    value, the rule and its line in the tenant's file, the source value, and how it was found.
    """
    from netsuite_assets.mapping.examples import HEADINGS, example
    from netsuite_assets.mapping.expected import fill_expected
    from resources.warehouse import utc_now

    with (
        tenant_run(context, tenants) as run,
        warehouse.get().open(run.tenant.name) as held,
        ledger.open() as book,
    ):
        book.record_mapping(run.tenant.name, run.mapping.hash, run.tenant.effective, utc_now())
        filled = fill_expected(held, run.mapping, run.period, utc_now())
        rows: list[Sequence[object]] = []
        for record, rules in run.mapping.records.items():
            where = " WHERE period = $1" if rules.is_monthly else ""
            totals = held.sql(
                "SELECT currency, count(*), count(problem), count(warning), coalesce(sum(total), 0)"
                f" FROM expected.{rules.tables.name}{where} GROUP BY 1 ORDER BY 1",
                [run.period] if where else [],
            )
            for currency, count, problems, warnings, total in totals:
                shown = moneys({currency: total}) if rules.is_monthly and currency else ""
                rows.append([record, currency, count, problems, warnings, shown])
        left_out = []
        if any(rules.leaves_out for rules in run.mapping.records.values()):
            left_out = held.sql(
                "SELECT record, CASE WHEN line IS NULL THEN 'record' ELSE 'line' END, currency, count(*), sum(amount),"
                " reason FROM expected.left_out WHERE period = $1 OR period IS NULL GROUP BY ALL ORDER BY ALL",
                [run.period],
            )
        called, fields = example(held, run.mapping, run.period)
        shown_first = run.mapping.records.get("invoice") or next(iter(run.mapping.records.values()), None)
        columns = shown_first.columns if shown_first is not None else {}
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(part.rows for part in filled.values()),
                "records": dg.MetadataValue.md(
                    markdown(
                        ["Record", "Currency", ">Records", ">Cannot be mapped", ">With a warning", ">Total"],
                        rows,
                    )
                ),
                "left out": dg.MetadataValue.md(
                    markdown(
                        ["Record", "What", "Currency", ">Number", ">Amount", "Because"],
                        [[*row[:4], "" if row[4] is None else f"{row[4]:,.2f}", row[5]] for row in left_out],
                    )
                ),
                "mapping": run.mapping.hash[:12],
                "one example": dg.MetadataValue.md(
                    f"{called}\n\n{markdown(HEADINGS, fields)}" if called else "Nothing is expected."
                ),
                "dagster/column_schema": dg.TableSchema(
                    [dg.TableColumn(name, kind) for name, kind in columns.items()]
                ),
            }
        )
