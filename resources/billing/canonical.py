"""The canonical billing tables: what every billing platform is translated into.

Here: the column contract (Arrow schemas) and the protocol that each platform module implements.
Not here: how one platform is read (`sql.py`, ...), nor anything about NetSuite or Dagster.

Money is decimal, dates are the billing document's own local dates, timestamps are UTC, ids are strings.
Amounts keep four decimals (every ISO 4217 currency has at most four), quantities ten and unit prices twelve
(usage is priced in fractions of a cent). A value that does not fit is an error, never rounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import pyarrow as pa

AMOUNT = pa.decimal128(18, 4)
QUANTITY = pa.decimal128(28, 10)
UNIT_AMOUNT = pa.decimal128(28, 12)
DAY = pa.date32()
INSTANT = pa.timestamp("us", tz="UTC")
TEXT = pa.string()


def _schema(required: Mapping[str, pa.DataType], optional: Mapping[str, pa.DataType]) -> pa.Schema:
    return pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in required.items()]
        + [pa.field(name, kind) for name, kind in optional.items()]
    )


CUSTOMERS = _schema(
    {"id": TEXT, "name": TEXT},
    {
        "email": TEXT,
        "currency": TEXT,  # ISO 4217
        "legal_entity": TEXT,  # the seller's company, which the mapping turns into a subsidiary
        "terms": TEXT,
        "country": TEXT,
        "is_active": pa.bool_(),
        "updated_at": INSTANT,
        "metadata": TEXT,  # a JSON object
    },
)

_DOCUMENT_REQUIRED: Mapping[str, pa.DataType] = {
    "id": TEXT,
    "number": TEXT,
    "issued_on": DAY,
    "currency": TEXT,
    "total": AMOUNT,
}
_DOCUMENT_OPTIONAL: Mapping[str, pa.DataType] = {
    "customer_id": TEXT,  # a document without a customer stays here and becomes an exception
    "due_on": DAY,
    "status": TEXT,
    "memo": TEXT,
    "po_number": TEXT,
    "legal_entity": TEXT,
    "terms": TEXT,
    "product_line": TEXT,
    "updated_at": INSTANT,
    "metadata": TEXT,  # a JSON object
}

INVOICES = _schema(_DOCUMENT_REQUIRED, _DOCUMENT_OPTIONAL)

#: Amounts of a credit note are positive: what is given back.
CREDIT_NOTES = _schema(_DOCUMENT_REQUIRED, {**_DOCUMENT_OPTIONAL, "invoice_id": TEXT, "reason": TEXT})

_LINE_OPTIONAL: Mapping[str, pa.DataType] = {
    "product_id": TEXT,
    "description": TEXT,
    "quantity": QUANTITY,
    "unit_amount": UNIT_AMOUNT,
    "service_start": DAY,
    "service_end": DAY,
    "metadata": TEXT,  # a JSON object
}

INVOICE_LINES = _schema(
    {"id": TEXT, "invoice_id": TEXT, "line_no": pa.int32(), "amount": AMOUNT}, _LINE_OPTIONAL
)
CREDIT_NOTE_LINES = _schema(
    {"id": TEXT, "credit_note_id": TEXT, "line_no": pa.int32(), "amount": AMOUNT}, _LINE_OPTIONAL
)

PAYMENTS = _schema(
    {"id": TEXT, "paid_on": DAY, "currency": TEXT, "amount": AMOUNT},
    {
        "customer_id": TEXT,
        "method": TEXT,
        "reference": TEXT,
        "status": TEXT,
        "updated_at": INSTANT,
        "metadata": TEXT,
    },
)
PAYMENT_APPLICATIONS = _schema(
    {"payment_id": TEXT, "invoice_id": TEXT, "amount": AMOUNT}, {"applied_on": DAY}
)

#: Postings that billing itself proposes: accruals of usage that is not invoiced, releases of prepaid credit.
JOURNALS = _schema(
    {"id": TEXT, "number": TEXT, "dated_on": DAY, "currency": TEXT},
    {
        "legal_entity": TEXT,
        "memo": TEXT,
        "reverses_on": DAY,
        "status": TEXT,
        "updated_at": INSTANT,
        "metadata": TEXT,  # a JSON object
    },
)

#: A line has one of `debit` and `credit`, both positive.
JOURNAL_LINES = _schema(
    {"id": TEXT, "journal_id": TEXT, "line_no": pa.int32()},
    {
        "account": TEXT,
        "debit": AMOUNT,
        "credit": AMOUNT,
        "customer_id": TEXT,
        "product_id": TEXT,
        "description": TEXT,
        "metadata": TEXT,  # a JSON object
    },
)


#: What customers used, with its price. `invoiced_on` is the date of the invoice that bills it, empty until there is one.
USAGE = _schema(
    {"id": TEXT, "used_on": DAY, "currency": TEXT, "amount": AMOUNT},
    {
        "customer_id": TEXT,
        "legal_entity": TEXT,
        "product_id": TEXT,
        "product_line": TEXT,
        "invoiced_on": DAY,
        "quantity": QUANTITY,
    },
)


@dataclass(frozen=True)
class CanonicalTable:
    """One canonical table: its name, columns, unique key and the column that places a row in a period.

    A child table names its parent: its rows belong to the period of the parent's row.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    period_column: str | None = None
    parent: str | None = None
    parent_column: str | None = None


TABLES: Mapping[str, CanonicalTable] = {
    table.name: table
    for table in (
        CanonicalTable("customers", CUSTOMERS, ("id",)),
        CanonicalTable("invoices", INVOICES, ("id",), period_column="issued_on"),
        CanonicalTable(
            "invoice_lines",
            INVOICE_LINES,
            ("id",),
            parent="invoices",
            parent_column="invoice_id",
        ),
        CanonicalTable("credit_notes", CREDIT_NOTES, ("id",), period_column="issued_on"),
        CanonicalTable(
            "credit_note_lines",
            CREDIT_NOTE_LINES,
            ("id",),
            parent="credit_notes",
            parent_column="credit_note_id",
        ),
        CanonicalTable("payments", PAYMENTS, ("id",), period_column="paid_on"),
        CanonicalTable(
            "payment_applications",
            PAYMENT_APPLICATIONS,
            ("payment_id", "invoice_id"),
            parent="payments",
            parent_column="payment_id",
        ),
        CanonicalTable("journals", JOURNALS, ("id",), period_column="dated_on"),
        CanonicalTable(
            "journal_lines", JOURNAL_LINES, ("id",), parent="journals", parent_column="journal_id"
        ),
        CanonicalTable("usage", USAGE, ("id",), period_column="used_on"),
    )
}


class BillingSource(Protocol):
    """One billing platform of one tenant, read-only.

    `provides` lists the canonical tables that the tenant's source has; asking for another is a `KeyError`.
    """

    @property
    def provides(self) -> frozenset[str]: ...

    def count(self, table: str, start: date, end: date) -> int:
        """The number of rows that the source itself says the slice holds; `end` is exclusive."""
        ...

    def read(self, table: str, start: date, end: date) -> Iterator[pa.RecordBatch]:
        """The rows of the slice in order of the table's key, in batches of the canonical schema.

        Customers have no period: the bounds are ignored and all are read.
        """
        ...

    def locate(self, table: str, ids: Sequence[str]) -> Mapping[str, date]:
        """Which of these documents the source holds in any month: id to the day of issue."""
        ...

    def close(self) -> None: ...
