"""What a tenant needs of its NetSuite account: the record types, tables and columns that its mapping and its stages use.

Here: deriving that from the compiled mapping. Not here: asking the account (`resources/netsuite/preflight.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from netsuite_assets.extract.columns import comparable
from netsuite_assets.mapping.compiler import MappedField, RecordMapping
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.tables import TABLES
from resources.netsuite.findings import ColumnsNeed, Needs, RecordNeed, TableNeed
from resources.netsuite.records import record, reference
from resources.tenants import Tenant

#: What every tenant's extraction reads, and what stops without it.
_ALWAYS: Final[Sequence[TableNeed]] = (
    TableNeed("customer", "Extraction of customers, and with them of everything that names one"),
    TableNeed("transaction", "Extraction of invoices and credit memos"),
    TableNeed("transactionline", "Extraction of the lines of invoices and credit memos", key="uniquekey"),
    TableNeed(
        "transactionaccountingline",
        "Extraction of the ledger lines of receivables and revenue",
        key="transaction",
    ),
    TableNeed("account", "Extraction of ledger lines and of journals' lines: each names its account"),
    TableNeed("currency", "Every comparison: documents are matched by currency"),
    TableNeed("accountingperiod", "Write-back: without the periods' locks nothing is planned into a month"),
)
#: Records that are read for every tenant, mapped or not: a query leaves them out where the role may not see them.
_READ: Final[Sequence[RecordNeed]] = (
    RecordNeed("customerPayment", "Extraction of payments and of what they settle"),
    RecordNeed("journalEntry", "Extraction of journals"),
)
#: What makes the work better, and is done without where it is not to be had. Not here: system notes, of which a role
#: without their permission sees its own, so that asking for one tells nothing.
_BETTER: Final[Sequence[TableNeed]] = (
    TableNeed(
        "deletedrecord",
        "Telling a record that was deleted in NetSuite from one that the role does not see any more, or that was never there",
        key="recordid",
        optional=True,
    ),
    *(
        TableNeed(table, f"The {label} with their attributes, for analysts", optional=True)
        for table, label in (
            ("subsidiary", "subsidiaries"),
            ("item", "items"),
            ("term", "payment terms"),
            ("department", "departments"),
            ("classification", "classes"),
            ("location", "locations"),
        )
    ),
    TableNeed("revenueelement", "Revenue elements, and with them their plans", optional=True),
    TableNeed("revenueplan", "Revenue plans and what is planned for when", optional=True),
)


def needs_of(tenant: Tenant, mapping: TenantMapping) -> Needs:
    """The needs of a tenant; `writes` follow its write-back mode (`plan_only` writes nothing)."""
    writes = tenant.writeback.mode != "plan_only"
    tables = {need.table: need for need in _ALWAYS}
    for name in sorted(mapping.lists):
        table = _table(name)
        where = ", ".join(_rules_with(mapping, name))
        tables.setdefault(table, TableNeed(table, f"Look-ups in {name} ({where})"))
    return Needs(
        records=(
            *(RecordNeed(name, _stops(name, writes), writes) for name in mapping.written),
            *(need for need in _READ if need.record not in mapping.written),
        ),
        tables=(*tables.values(), *(need for need in _BETTER if need.table not in tables)),
        columns=tuple(need for rules in mapping.records.values() for need in _columns(rules)),
        maps_subsidiary=any(
            field.name.lower() == "subsidiary" for rules in mapping.records.values() for field in rules.fields
        ),
        timezone=tenant.timezone,
        concurrency=tenant.netsuite.governance.concurrency,
        sign_in=tenant.netsuite.auth.method,
    )


def _stops(name: str, writes: bool) -> str:
    label = TABLES[name].label
    looking = f"Looking up {label}s by external id before a write and verifying them after it"
    return f"{looking}; writing {label}s" if writes else looking


def _table(list_name: str) -> str:
    if list_name.startswith("customlist_"):
        return list_name
    return reference(f"customrecord_{list_name}" if list_name.startswith("cseg_") else list_name).table


def _rules_with(mapping: TenantMapping, list_name: str) -> list[str]:
    return [
        f"{field.name} at {field.where}"
        for rules in mapping.records.values()
        for field in (*rules.fields, *rules.line_fields)
        if field.list_name == list_name
    ]


def _columns(rules: RecordMapping) -> list[ColumnsNeed]:
    kind = record(rules.record)
    needs = [_need(kind.source, rules.fields)]
    if rules.line_fields:
        needs.append(_need(kind.sublists[str(rules.tables.sublist)].source, rules.line_fields))
    return needs


def _need(source: str, fields: Sequence[MappedField]) -> ColumnsNeed:
    shown = comparable(fields)
    return ColumnsNeed(
        source, {field.name: field.suiteql for field in shown}, {field.name: field.where for field in shown}
    )
