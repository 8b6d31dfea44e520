"""Explanations as people read them: which record they mean, the fields as rows, and an example for an asset's page.

Here: finding a record by the names that people know, and laying its explanation out. Not here: the explanation
(`explain.py`), or printing. Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence

from netsuite_assets.mapping.compiler import Explained, Mapping, RecordMapping
from resources.warehouse import TenantWarehouse, WarehouseError, quote

HEADINGS = ("line", "field", "value", "from", "rule", "written at", "found by", "problem")


def external_id_of(held: TenantWarehouse, rules: RecordMapping, named: str) -> str:
    """The external id of the record that a person names by it, or by billing's number or id.

    What nothing expected is called stays as it is. Raises `WarehouseError` when several records are called so, or when a
    condition leaves the record out.
    """
    table = f"expected.{rules.tables.name}"
    if not held.columns(table):
        return named
    found = held.sql(
        f"SELECT DISTINCT external_id, external_id = $1 AS exact FROM expected.{quote(rules.tables.name)}"
        " WHERE external_id = $1 OR number = $1 OR source_id = $1 ORDER BY exact DESC, external_id",
        [named],
    )
    if found and (found[0][1] or len(found) == 1):
        return str(found[0][0])
    if found:
        told = ", ".join(str(row[0]) for row in found[:10])
        raise WarehouseError(f"{len(found)} records are called {named}: name one by its external id: {told}.")
    _refuse_left_out(held, rules, named)
    return named


def _refuse_left_out(held: TenantWarehouse, rules: RecordMapping, named: str) -> None:
    """Raise, with the condition, when the record is in billing and not expected in NetSuite."""
    if not held.columns("expected.left_out"):
        return
    found = held.sql(
        "SELECT source_id, number, period, reason FROM expected.left_out WHERE record = $1 AND line IS NULL"
        " AND (source_id = $2 OR number = $2 OR source_id = $3) ORDER BY period, source_id LIMIT 1",
        [rules.record, named, rules.source_id(named)],
    )
    for source_id, number, period, reason in found:
        called = f"{number} ({source_id})" if number and number != source_id else source_id
        month = f" of {period}" if period else ""
        raise WarehouseError(
            f"the {rules.tables.label} {called}{month} is not expected in NetSuite, so that no field has a value:"
            f" {str(reason).rstrip('.')}. All that is left out is in expected.left_out, published as left_out."
        )


def cells(explained: Sequence[Explained]) -> list[list[str]]:
    """One row a field, as under `HEADINGS`."""
    return [
        [
            " ".join(str(part) for part in (field.line, field.line_rule) if part is not None),
            field.field,
            field.value or "",
            field.source or "",
            field.rule,
            field.where,
            f"default '{field.fallback}'" if field.fallback else field.found_by or "",
            field.problem or "",
        ]
        for field in explained
    ]


def example(held: TenantWarehouse, mapping: Mapping, period: str) -> tuple[str, list[list[str]]]:
    """One record of the month, named, and where each of its fields comes from; an invoice without a problem if there is
    one. Empty where nothing is expected.
    """
    records = sorted(
        mapping.records, key=lambda record: (record != "invoice", not mapping.records[record].is_monthly)
    )
    for record in records:
        rules = mapping.records[record]
        month = "period = $1" if rules.is_monthly else "$1 IS NOT NULL"
        found = held.sql(
            f"SELECT external_id, number FROM expected.{quote(rules.tables.name)} WHERE {month}"
            " ORDER BY problem IS NOT NULL, external_id LIMIT 1",
            [period],
        )
        if found:
            external_id, number = found[0]
            called = f" ({number})" if number and number != external_id else ""
            rows = cells(mapping.explain(held.connection, record, str(external_id)))
            return f"{record} {external_id}{called}", rows
    return "", []
