"""One record type and period in comparison, and what all its differences are made with.

Here: which fields take part, how a value is shown to a person, and the row of a difference. Not here: which differences
there are (`whole_records.py`, `field_differences.py`), or in which order they are looked for (`differences.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from netsuite_assets.mapping.body import INTERNAL
from netsuite_assets.mapping.compiler import MappedField, RecordMapping
from netsuite_assets.reconcile.comparison import comparison_of
from netsuite_assets.reconcile.keyed import Field
from netsuite_assets.tables import RecordTables
from resources.netsuite.records import DECIMAL_KINDS
from resources.tenants import ReconcileSettings
from resources.tenants.comparison import FieldComparison
from resources.warehouse import literal, quote

#: SQL for `matched_by` of pairs that their external id joins.
BY_EXTERNAL_ID: Final = "'external_id'"


@dataclass(frozen=True)
class ComparedRecord:
    """One record type and period in comparison. `name` begins the names of its temporary tables."""

    mapping: RecordMapping
    tables: RecordTables
    period: str
    settings: ReconcileSettings
    fields: Sequence[Field]

    @property
    def record(self) -> str:
        return self.tables.record

    @property
    def is_document(self) -> bool:
        return self.tables.lines is not None

    @property
    def where(self) -> str:
        """SQL that holds for the period's rows of either side."""
        return f"period = {literal(self.period)}" if self.is_document else "true"

    @property
    def expected(self) -> str:
        return f"expected.{self.tables.name}"

    @property
    def actual(self) -> str:
        return f"netsuite.{self.tables.name}"


def fields_of(
    mapped: Sequence[MappedField],
    own: Mapping[str, FieldComparison],
    settings: ReconcileSettings,
    *,
    aliased: bool = False,
) -> list[Field]:
    """The fields of a record, or of its lines, that NetSuite's queries show.

    The currency is compared by its ISO code, which is a column of every record. With `aliased`, customers are compared
    by what `customer_aliases` says that NetSuite's documents call them.
    """
    by_name = {name.lower(): comparison for name, comparison in own.items()}
    found = []
    for field in mapped:
        if not field.suiteql:
            continue
        comparison = comparison_of(field.kind, settings.tolerance, by_name.get(field.name.lower()))
        billed = f"l.{quote(field.name)}"
        if aliased and field.target == "customer":
            known = f"SELECT any_value(x.held) FROM customer_aliases x WHERE x.external_id = {billed}"
            billed = f"coalesce(({known}), {billed})"
        left, right = quote(f"l.{field.name}"), quote(f"r.{field.name}")
        # Days of tolerance do not carry a document into another accounting month.
        month = f"date_trunc('month', {left}) IS DISTINCT FROM date_trunc('month', {right})"
        found.append(
            Field(
                field.name,
                comparison,
                billed,
                f"r.{quote(field.name)}",
                shown=partial(shown, field),
                always=month if field.name == "tranDate" else None,
                scope="currency",
            )
        )
    return found


def insert(columns: str, source: str, record: str, rule: str = "NULL", matched_by: str = "NULL") -> str:
    """SQL that adds differences: of these columns from this source, in the order below from external_id to owner and reason."""
    return (
        "INSERT INTO differences_found (record, external_id, internal_id, number, name, kind, line, field, expected,"
        f" actual, amount, delta, currency, owner, reason, matched_by, rule)"
        f" SELECT {literal(record)}, {columns}, {matched_by}, {rule} {source}"
    )


def money(amount: str, currency: str) -> str:
    """SQL that shows an amount to a person."""
    # Four places less the empty ones beyond two: exact in every currency.
    return f"(coalesce({currency} || ' ', '') || regexp_replace(({amount})::VARCHAR, '0{{1,2}}$', ''))"


def shown(field: MappedField, value: str) -> str:
    """SQL that shows a value to a person: references by name, decimals without empty places."""
    if field.kind in DECIMAL_KINDS:
        return f"CASE WHEN {value} IS NOT NULL THEN rtrim(rtrim({value}::VARCHAR, '0'), '.') END"
    if field.target == "customer":
        # By the external id that billing's customer has; else as NetSuite knows it, by its own external or internal id.
        internal_id = (
            f"CASE WHEN starts_with({value}, '{INTERNAL}') THEN substr({value}, {len(INTERNAL) + 1}) END"
        )
        return (
            f"CASE WHEN {value} IS NOT NULL THEN coalesce("
            f"(SELECT max(c.name) || ' (' || {value} || ')' FROM expected.customers c WHERE c.external_id = {value}),"
            f" (SELECT max(c.name) || ' (' || {value} || ')' FROM netsuite.customers c WHERE c.external_id = {value}),"
            f" (SELECT max(c.name) || ' (internal id ' || max(c.internal_id) || ')' FROM netsuite.customers c"
            f" WHERE c.internal_id = {internal_id}), {value}) END"
        )
    if field.kind == "reference":
        return (
            f"CASE WHEN {value} IS NOT NULL THEN coalesce((SELECT max(r.name) FROM netsuite.reference r"
            f" WHERE r.list = {literal(str(field.list_name))} AND r.internal_id = {value}), {value}) END"
        )
    return f"{value}::VARCHAR"
