"""Filling the expected tables of a period: the compiled mapping run over billing's slices, nothing lost on the way.

Here: the transaction around the statements and the proof that each billing row has become one expected row.
Not here: what the statements say (`compiler.py`). Imports no Dagster.
"""

from __future__ import annotations

from datetime import datetime

from netsuite_assets.mapping.compiler import Mapping
from resources.warehouse import Slice, TenantWarehouse


def fill_expected(
    warehouse: TenantWarehouse, mapping: Mapping, period: str, now: datetime
) -> dict[str, Slice]:
    """Fill `expected.*` for a period from `billing.*` and NetSuite's reference data; the slices by table name.

    Raises `resources.warehouse.IncompleteSlice` when billing's slices or the reference data never landed, or a
    billing row did not become exactly one expected row.
    """
    sources: dict[str, str | None] = {"netsuite.reference": None}
    for rules in mapping.records.values():
        scope = None if rules.tables.lines is None else period
        sources[f"billing.{rules.tables.billing}"] = scope
        if rules.tables.billing_lines is not None:
            sources[f"billing.{rules.tables.billing_lines}"] = scope
    proofs = {proof.table: proof.rows for proof in warehouse.require_slices(sources)}
    filled = {}
    for record, rules in mapping.records.items():
        tables = rules.tables
        scope = None if tables.lines is None else period
        parts = [(tables.name, tables.billing, rules.columns)]
        if tables.lines is not None and tables.billing_lines is not None:
            parts.append((tables.lines, tables.billing_lines, rules.line_columns))
        for name, _, columns in parts:
            warehouse.ensure_table(f"expected.{name}", columns)
        with warehouse.transaction():
            for statement in mapping.fill_sql(record, period):
                warehouse.connection.execute(statement)
            for name, source, _ in parts:
                filled[name] = warehouse.record_slice(
                    f"expected.{name}",
                    scope,
                    key=("source_id",),
                    expected_rows=proofs[f"billing.{source}"],
                    source=f"billing.{source}",
                    now=now,
                )
    return filled
