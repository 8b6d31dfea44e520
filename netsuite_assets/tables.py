"""The names and core columns of the warehouse tables that hold each record type, expected and actual.

Here: what every tenant's tables have in common. The mapped columns beside them, named as NetSuite's fields are,
come from the tenant's mapping; how rows get there is the work of `mapping` and `extract`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from resources.billing.canonical import TABLES as BILLING

#: DuckDB types by the kind of a NetSuite field (`resources.netsuite.records`). A reference is an internal id,
#: but for records that we write ourselves (customers), where it is the external id.
COLUMN_TYPES: Mapping[str, str] = {
    "text": "VARCHAR",
    "amount": "DECIMAL(18,4)",
    "rate": "DECIMAL(28,12)",
    "quantity": "DECIMAL(28,10)",
    "integer": "BIGINT",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "boolean": "BOOLEAN",
    "enum": "VARCHAR",
    "reference": "VARCHAR",
}


@dataclass(frozen=True)
class RecordTables:
    """Where one record type lives: `<name>` and `<lines>` in the schemas `expected` and `netsuite`."""

    record: str
    name: str
    lines: str | None
    label: str  # for people, singular
    billing: str  # the canonical billing table
    billing_lines: str | None
    sublist: str | None = None  # NetSuite's name for the lines

    @property
    def totalled(self) -> bool:
        """Whether the lines make up the document's total. Those of a payment are what it settles."""
        return self.lines is not None and self.record != "customerPayment"

    @property
    def taxes(self) -> str | None:
        """NetSuite's own lines of tax, in the schema `netsuite`."""
        return f"{self.lines.removesuffix('_lines')}_taxes" if self.lines and self.sublist == "item" else None


TABLES: Mapping[str, RecordTables] = {
    tables.record: tables
    for tables in (
        RecordTables("customer", "customers", None, "customer", "customers", None),
        RecordTables("invoice", "invoices", "invoice_lines", "invoice", "invoices", "invoice_lines", "item"),
        RecordTables(
            "creditMemo",
            "credit_memos",
            "credit_memo_lines",
            "credit memo",
            "credit_notes",
            "credit_note_lines",
            "item",
        ),
        RecordTables(
            "customerPayment",
            "payments",
            "applications",
            "payment",
            "payments",
            "payment_applications",
            "apply",
        ),
        RecordTables(
            "journalEntry", "journals", "journal_lines", "journal entry", "journals", "journal_lines", "line"
        ),
    )
}

#: The record types that are read from NetSuite and compared. Others that a tenant maps (custom records) have their
#: expected tables, and no stage takes them further until they are named here.
COMPARED: Final = frozenset(TABLES)

#: Of these, the record types that the write-back plans and writes.
WRITTEN: Final = COMPARED

#: Of these, the record types that the write-back may remove where the tenant's policy says so. A payment never is: it is
#: money that came in, whoever booked it.
REMOVED: Final = WRITTEN - {"customerPayment"}


#: The invoices that billing has voided and the credit memos that take them back, as the last comparison told them.
VOID_CREDITS: Final = "reconciliation.void_credits"


def called(record: str) -> str:
    """A record type as people call it, singular; of what flows back to billing (`billing:invoice`), the record's own."""
    kind = record.removeprefix("billing:")
    return TABLES[kind].label if kind in TABLES else kind


def record_tables(record: str, billing: str | None = None) -> RecordTables:
    """Where a record type lives; a custom record (`customrecord_x`), or one that is made of another billing table
    than usual, is told which.
    """
    known = TABLES.get(record)
    if known is None:
        if billing is None:
            raise KeyError(record)
        return RecordTables(record, record, None, record, billing, None)
    if billing is None or billing == known.billing:
        return known
    return replace(known, billing=billing, billing_lines=_LINES_OF.get(billing))


_LINES_OF: Final[Mapping[str, str]] = {
    str(table.parent): name for name, table in BILLING.items() if table.parent is not None
}

#: The `status` of a customer of NetSuite's that is inactive.
INACTIVE: Final = "inactive"

#: Columns that every `netsuite.<record>` table has before its mapped ones. `remaining` is what is not paid of an
#: invoice, or not used of a credit memo. `dated_in` is the month of the
#: transaction date: a document found by its external id may lie outside the slice's period.
ACTUAL_CORE: dict[str, str] = {
    "period": "VARCHAR",
    "internal_id": "VARCHAR",
    "external_id": "VARCHAR",
    "number": "VARCHAR",
    "name": "VARCHAR",
    "status": "VARCHAR",
    "currency": "VARCHAR",
    "total": "DECIMAL(18,4)",
    "remaining": "DECIMAL(18,4)",
    "dated_in": "VARCHAR",
    "last_modified": "VARCHAR",
}

ACTUAL_LINE_CORE: dict[str, str] = {
    "period": "VARCHAR",
    "internal_id": "VARCHAR",
    "line_key": "VARCHAR",
    "line_no": "INTEGER",
}

#: NetSuite's own lines of tax of documents: `tax_code` is the tax item's internal id where the account's taxes are items,
#: `tax_name` its name; `percent` is the rate where NetSuite shows one. `amount` is what it adds to the document's total.
ACTUAL_TAXES: dict[str, str] = ACTUAL_LINE_CORE | {
    "tax_code": "VARCHAR",
    "tax_name": "VARCHAR",
    "description": "VARCHAR",
    "percent": "DECIMAL(28,12)",
    "amount": "DECIMAL(18,4)",
}
