"""One reconciliation of a tenant and period: differences, totals and exceptions, written in one transaction.

Here: the order of the steps and the refusal to compare what is not complete. Not here: the comparing itself
(`differences.py`), or repairing (the write-back stage). Imports no Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.extract.columns import comparable
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.reconcile import (
    agreed,
    differences,
    matched,
    remembered,
    settlements,
    taxes,
    total_parts,
)
from netsuite_assets.reconcile.agreed_again import Told
from netsuite_assets.reconcile.changes import say_who_changed
from netsuite_assets.reconcile.gone_customers import compare_activity
from netsuite_assets.reconcile.void_credits import PREFIX, expect_credits, say_credits
from netsuite_assets.reconcile.whole_records import VOIDED
from netsuite_assets.tables import COLUMN_TYPES, COMPARED, REMOVED, TABLES, WRITTEN
from resources.ledger import Ledger
from resources.tenants import Tenant
from resources.warehouse import IncompleteSlice, TenantWarehouse, literal, quote

#: Asks billing which of these source ids it holds in any month: id to the date of issue.
Locate = Callable[[str, Sequence[str]], Mapping[str, date]]

_TOTALS = Path(__file__).with_name("totals.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Reconciliation:
    """What one reconciliation found, as validated frames (`netsuite_assets.frames`).

    `unchanged` are the record types that were not compared again, because nothing has changed since they were.
    """

    differences: pd.DataFrame
    tolerated: pd.DataFrame
    totals: pd.DataFrame
    total_parts: pd.DataFrame
    exceptions: pd.DataFrame
    unchanged: tuple[str, ...]


def required_slices(
    mapping: TenantMapping, period: str, records: Collection[str] = WRITTEN
) -> dict[str, str | None]:
    """The slices that must have landed completely before these record types are compared: table to period.

    Those of the record types that are written are what a plan rests on.
    """
    slices: dict[str, str | None] = {"netsuite.reference": None, "netsuite.periods": None}
    for record, rules in mapping.compared.items():
        if record not in records:
            continue
        tables = rules.tables
        scope = None if tables.lines is None else period
        for schema, names in (
            ("billing", (tables.billing, tables.billing_lines)),
            ("netsuite", (tables.name, tables.lines)),
            ("expected", (tables.name, tables.lines)),
        ):
            slices.update({f"{schema}.{name}": scope for name in names if name is not None})
        if tables.billing == "customers":
            slices["billing.customers"] = None
    return slices


def reconcile(
    warehouse: TenantWarehouse,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    locate: Locate,
    ledger: Ledger | None = None,
) -> Reconciliation:
    """Compare expected with actual for every mapped record type and write what was found.

    Where the warehouse is new, `ledger` tells what both sides agreed on before.

    Raises `resources.warehouse.IncompleteSlice` when a slice was never proven complete, or landed before the mapping
    named one of the fields; nothing is written then.
    """
    _require(warehouse, mapping, period)
    compared = _find(warehouse, tenant, mapping, period, locate, Told(ledger, mapping.hash))
    found = _difference_rows(warehouse, period)
    tolerated = _tolerated_rows(warehouse, period)
    totals = _totals(warehouse, mapping, period)
    parts = total_parts.close_totals(warehouse, totals, period)
    exceptions = _exceptions(warehouse, tenant, mapping, period)
    with warehouse.transaction():
        frames.replace(warehouse, frames.DIFFERENCES, period, found)
        frames.replace(warehouse, frames.TOLERATED, period, tolerated)
        frames.replace(warehouse, frames.TOTALS, period, totals)
        frames.replace(warehouse, frames.TOTAL_PARTS, period, parts)
        frames.replace_exceptions(warehouse, period, ("mapping", "reconcile"), exceptions)
        for one in compared:
            remembered.remember(warehouse, period, one.record, one.fingerprint, one.asked)
    unchanged = tuple(one.record for one in compared if not one.anew)
    return Reconciliation(found, tolerated, totals, parts, exceptions, unchanged)


def remaining(
    warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str, locate: Locate
) -> pd.DataFrame:
    """The differences of the slices as they are now, without replacing what the last reconciliation recorded."""
    _require(warehouse, mapping, period)
    _find(warehouse, tenant, mapping, period, locate, Told())
    return _difference_rows(warehouse, period)


def _require(warehouse: TenantWarehouse, mapping: TenantMapping, period: str) -> None:
    """Refuse to compare what is not there completely, with every field that the mapping names now."""
    warehouse.require_slices(required_slices(mapping, period, COMPARED))
    present: dict[str, dict[str, str]] = defaultdict(dict)
    for schema, table, column, kind in warehouse.sql(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE database_name = current_database() AND schema_name IN ('expected', 'netsuite')"
    ):
        present[f"{schema}.{table}"][column] = kind
    behind = []
    for record, rules in mapping.compared.items():
        tables = TABLES[record]
        # What a payment settles lands in columns of its own, whatever the mapping names.
        lines = ((tables.lines, rules.line_fields),) if tables.totalled else ()
        for name, fields in ((tables.name, rules.fields), *lines):
            needed = {field.name: COLUMN_TYPES[field.kind] for field in comparable(fields)}
            for table in (f"expected.{name}", f"netsuite.{name}"):
                lacking = [column for column, kind in needed.items() if present[table].get(column) != kind]
                if lacking:
                    behind.append(f"{table} ({', '.join(lacking)})")
    if behind:
        raise IncompleteSlice(
            f"{warehouse.tenant}: not compared, because the mapping has changed since these slices landed, which"
            f" lack fields that it names now: {'; '.join(behind)}. Materialize expected_records and the NetSuite"
            " assets of this month again."
        )


@dataclass(frozen=True)
class _Comparison:
    """One record type's comparison: what it rests on, what billing was asked for it, and whether it was made anew."""

    record: str
    fingerprint: str
    asked: str
    anew: bool


def _find(
    warehouse: TenantWarehouse,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    locate: Locate,
    told: Told,
) -> list[_Comparison]:
    """Fill `differences_found` and `tolerated_found`; what has not changed since it was compared last is as it was."""
    expect_credits(warehouse, tenant, mapping, period)
    differences.begin(warehouse)
    made = []
    # Documents are compared by the customers that were matched.
    for record, rules in sorted(mapping.compared.items(), key=lambda each: each[0] != "customer"):

        def issued(external_ids: Sequence[str], rules: RecordMapping = rules) -> dict[str, date]:
            return _issued(rules, external_ids, locate)

        of = remembered.fingerprint(warehouse, tenant, mapping, period, record)
        known = remembered.recall(warehouse, period, record, of, issued)
        if known is None:
            asked = remembered.Asked(issued)
            anew = differences.diff_record(warehouse, rules, period, tenant.reconcile, asked, told)
            if record == "customerPayment":
                anew |= settlements.compare_applications(warehouse, rules, period, told)
            elif record == "journalEntry":
                settlements.leave_out_foreign_journals(warehouse, rules)
            if anew:
                remembered.forget(warehouse, record, period if rules.is_monthly else None)
            say_credits(warehouse, record, period)
            made.append(_Comparison(record, of, asked.text, True))
        else:
            made.append(_Comparison(record, of, known, False))
    compare_activity(warehouse, tenant, mapping)
    say_who_changed(warehouse, period)
    return made


def _issued(rules: RecordMapping, external_ids: Sequence[str], locate: Locate) -> dict[str, date]:
    """Ask billing about documents that NetSuite has in this month and billing's month does not."""
    by_source = {}
    for external_id in external_ids:
        source_id = rules.source_id(external_id)
        if source_id is not None:
            by_source[source_id] = external_id
    found = locate(rules.tables.billing, sorted(by_source)) if by_source else {}
    return {by_source[source_id]: day for source_id, day in sorted(found.items())}


def _difference_rows(warehouse: TenantWarehouse, period: str) -> pd.DataFrame:
    names = ", ".join(name for name in frames.columns(frames.DIFFERENCES) if name != "period")
    table = warehouse.arrow(
        f"SELECT {literal(period)} AS period, {names} FROM differences_found"
        " ORDER BY record, external_id NULLS LAST, internal_id, kind, TRY_CAST(line AS BIGINT), field"
    )
    return frames.validated(frames.DIFFERENCES, frames.frame(table))


def _tolerated_rows(warehouse: TenantWarehouse, period: str) -> pd.DataFrame:
    table = warehouse.arrow(
        f"SELECT {literal(period)} AS period, * FROM tolerated_found ORDER BY record, part, field, rule, currency"
    )
    return frames.validated(frames.TOLERATED, frames.frame(table))


def _totals(warehouse: TenantWarehouse, mapping: TenantMapping, period: str) -> pd.DataFrame:
    parts = []
    for record in total_parts.EXPLAINED:
        if record in mapping.compared:
            name = TABLES[record].name
            query = _TOTALS.format(expected=f"expected.{name}", actual=f"netsuite.{name}")
            table = warehouse.arrow(query, {"period": period, "record": record})
            parts.append(frames.frame(table))
    return frames.validated(frames.TOTALS, pd.concat(parts, ignore_index=True))


def _exceptions(
    warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str
) -> pd.DataFrame:
    """Records that cannot be mapped, and documents that policy or the matching leaves to a person."""
    parts = [_unmapped(rules, period) for rules in mapping.records.values()]
    voided = f"expected IS NOT DISTINCT FROM {literal(VOIDED)}"
    for setting, policy, which in (
        (
            "only_in_netsuite",
            tenant.writeback.only_in_netsuite,
            f"kind = 'only_in_netsuite' AND NOT {voided}",
        ),
        ("voided", tenant.writeback.voided, f"kind = 'only_in_netsuite' AND {voided}"),
        ("duplicate", tenant.writeback.duplicate, "kind = 'duplicate'"),
    ):
        parts.append(_left_to_a_person(setting, policy, which, period))
    parts += matched.exceptions(period, linked=tenant.writeback.not_linked == "link")
    parts.append(agreed.conflicts(period))
    parts.append(taxes.exceptions(period))
    query = (
        " UNION ALL BY NAME ".join(parts) + " ORDER BY stage, code, record, number, external_id, internal_id"
    )
    return frames.validated(frames.EXCEPTIONS, frames.frame(warehouse.arrow(query)))


def _unmapped(rules: RecordMapping, period: str) -> str:
    where = f"period = {literal(period)} AND " if rules.is_monthly else ""
    return f"""(
        SELECT {literal(period)} AS period, 'mapping' AS stage, problem_code AS code, {literal(rules.record)} AS record,
            external_id, NULL::VARCHAR AS internal_id, number, name,
            coalesce(total, 0)::DECIMAL(18, 4) AS amount, currency,
            problem AS reason, coalesce(next_step, 'Correct the record in billing.') AS next_step
        FROM expected.{quote(rules.tables.name)} WHERE {where}problem IS NOT NULL)"""


def _left_to_a_person(setting: str, policy: str, which: str, period: str) -> str:
    """The documents that only NetSuite holds, or holds twice: all of them, or those that the write-back never removes."""
    removed = ", ".join(map(literal, sorted(REMOVED)))
    which += f" AND record NOT IN ({removed})" if policy == "delete" else ""
    step = "Void or delete it in NetSuite" + (
        "" if setting == "voided" else " if it is wrong, or bill it if it is right"
    )
    return f"""(
        SELECT {literal(period)} AS period, 'reconcile' AS stage, kind AS code, record, external_id, internal_id,
            number, name, amount, currency, reason,
            {literal(step)} || CASE
                WHEN record = 'invoice' AND {literal(policy)} = 'credit' THEN ', after what settles it is taken off or refunded: what is '
                    || 'open by then is credited in the next run. Where a credit memo takes it back already, give that one the '
                    || 'external id {PREFIX}' || external_id || '.'
                WHEN record IN ({removed}) THEN '; with writeback.{setting}: delete in the tenant''s file such documents'
                || ' are removed by the write-back.' ELSE '.' END AS next_step
        FROM differences_found WHERE {which})"""
