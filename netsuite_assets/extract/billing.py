"""Billing's slices into the warehouse: each canonical table of a month, counted at the source and landed whole.

Here: the landing of one tenant's billing tables. Not here: how a platform is read (`resources/billing`).
Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import pyarrow as pa

from resources.billing.canonical import TABLES, BillingSource, CanonicalTable
from resources.warehouse import Slice, TenantWarehouse, duckdb_type


def month_bounds(period: str) -> tuple[date, date]:
    """The first day of a month `YYYY-MM` and of the next one."""
    year, month = (int(part) for part in period.split("-"))
    return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)


def has_period(table: CanonicalTable) -> bool:
    """Whether the rows of a canonical table belong to months."""
    return table.period_column is not None or table.parent is not None


def extract_billing(
    warehouse: TenantWarehouse, source: BillingSource, names: Sequence[str], period: str, now: datetime
) -> dict[str, Slice]:
    """Land these canonical tables for a period; a table that the tenant's source does not have lands empty.

    Raises `resources.warehouse.IncompleteSlice` when the rows read are not those that the source counts.
    """
    start, end = month_bounds(period)
    landed = {}
    for name in names:
        table = TABLES[name]
        target = f"billing.{name}"
        scope = period if has_period(table) else None
        columns = {field.name: duckdb_type(field.type) for field in table.schema}
        warehouse.ensure_table(target, columns | ({"period": "VARCHAR"} if scope else {}))
        provided = name in source.provides
        rows = source.read(name, start, end) if provided else iter(())
        landed[name] = warehouse.replace_slice(
            target,
            scope,
            pa.RecordBatchReader.from_batches(table.schema, rows),
            key=table.key,
            expected_rows=source.count(name, start, end) if provided else 0,
            source="the billing source"
            if provided
            else "nothing: the tenant's billing source has no such table",
            now=now,
        )
    return landed
