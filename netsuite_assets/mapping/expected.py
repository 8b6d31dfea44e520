"""Filling the expected tables of a period: the compiled mapping run over billing's slices, nothing lost on the way.

Here: the transaction around the statements and the proof that each billing row has become what the mapping makes of it:
one expected row, or as many as conditions, sums and line rules say. Not here: what the statements say (`compiler.py`).
Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping as Mapping_
from datetime import datetime

from netsuite_assets.mapping.compiler import LEFT_OUT, Mapping, RecordMapping
from resources.billing.canonical import TABLES as BILLING
from resources.warehouse import Slice, TenantWarehouse


def fill_expected(
    warehouse: TenantWarehouse, mapping: Mapping, period: str, now: datetime
) -> dict[str, Slice]:
    """Fill `expected.*` for a period from `billing.*` and NetSuite's reference data; the slices by table name.

    Raises `resources.warehouse.IncompleteSlice` when billing's slices or the reference data never landed, or a
    billing row did not become what the mapping says.
    """
    sources: dict[str, str | None] = {"netsuite.reference": None}
    for rules in mapping.records.values():
        sources |= needed_slices(rules, period)
    proofs = {proof.table: proof.rows for proof in warehouse.require_slices(sources)}
    filled = {}
    for record, rules in mapping.records.items():
        scope = period if rules.is_monthly else None
        warehouse.ensure_table(f"expected.{rules.tables.name}", rules.columns)
        if rules.tables.lines is not None:
            warehouse.ensure_table(f"expected.{rules.tables.lines}", rules.line_columns)
        if rules.leaves_out:
            warehouse.ensure_table("expected.left_out", LEFT_OUT)
        with warehouse.transaction():
            if not rules.leaves_out and warehouse.columns("expected.left_out"):
                # What an earlier version of the mapping left out is expected now.
                warehouse.sql(
                    "DELETE FROM expected.left_out WHERE record = ? AND (period = ? OR period IS NULL)",
                    [record, period],
                )
            for statement in mapping.fill_sql(record, period):
                warehouse.connection.execute(statement)
            filled[rules.tables.name] = warehouse.record_slice(
                f"expected.{rules.tables.name}",
                scope,
                key=("source_id",),
                expected_rows=_headers(warehouse, rules, period, proofs),
                source=f"billing.{rules.tables.billing}",
                now=now,
            )
            if rules.tables.lines is not None:
                filled[rules.tables.lines] = warehouse.record_slice(
                    f"expected.{rules.tables.lines}",
                    scope,
                    key=("source_id",) if rules.one_line_each else ("external_id", "source_id", "line_rule"),
                    expected_rows=_lines(warehouse, rules, period, proofs),
                    source=f"billing.{rules.tables.billing_lines or rules.tables.billing}",
                    now=now,
                )
    return filled


def needed_slices(rules: RecordMapping, period: str) -> dict[str, str | None]:
    """The slices that a record type's expected rows are made of: table to period."""
    tables = [rules.tables.billing, *([rules.tables.billing_lines] if rules.tables.billing_lines else [])]
    document = BILLING[rules.tables.billing].parent
    if document is not None:
        tables.append(document)
    if any("customer_id" in BILLING[table].schema.names for table in tables):
        tables.append("customers")
    ways = (*rules.rules, *rules.line_rules)
    tables += [rules.parts.plan.own[way.lookup.list_name].table for way in ways if way.own and way.lookup]
    found: dict[str, str | None] = {
        f"billing.{table}": None if table == "customers" else period for table in tables
    }
    if any(way.lookup is not None and way.lookup.of_date for way in ways):
        found["netsuite.periods"] = None
    return found


def _headers(
    warehouse: TenantWarehouse, rules: RecordMapping, period: str, proofs: Mapping_[str, int]
) -> int:
    """How many records there must be: each of billing's, less those that a condition leaves out; or each sum."""
    if rules.parts.header.shape.grouping is not None:
        return int(warehouse.value(rules.count_sql(period, lines=False)))
    rows = proofs[f"billing.{rules.tables.billing}"]
    if rules.parts.when is None:
        return rows
    month = "period IS NULL" if not rules.is_monthly else "period = ?"
    left_out = warehouse.value(
        f"SELECT count(*) FROM expected.left_out WHERE record = ? AND line IS NULL AND {month}",
        [rules.record, *([period] if rules.is_monthly else [])],
    )
    return rows - int(left_out)


def _lines(warehouse: TenantWarehouse, rules: RecordMapping, period: str, proofs: Mapping_[str, int]) -> int:
    """How many lines there must be: each of billing's; or as many as conditions and line rules make."""
    if rules.one_line_each and not rules.leaves_out:
        return proofs[f"billing.{rules.tables.billing_lines}"]
    return int(warehouse.value(rules.count_sql(period, lines=True)))
