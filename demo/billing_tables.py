"""The tables of each demo tenant's billing database, as its own application would have them, and their rows.

Here: three layouts. `acme` names its tables nearly as the canonical ones and keeps tenant metadata in columns of its
own; `retail` is the same without those; `globex` has other names for everything. Not here: what was billed
(`usage.py`, `invoice_file.py`), nor connecting and filling (`billing_database.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from demo.documents import Billing, Document, Line

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """The tables of one tenant and the rows, by table name, that hold what was billed.

    A row may hold more than its table's columns: `rows_of` keeps what the table has. Columns and tables whose names begin
    with `netsuite_` are for what flows back from NetSuite: billing itself leaves them empty.
    """

    tables: sa.MetaData
    make_rows: Callable[[Billing], Mapping[str, list[Row]]]

    def rows_of(self, billing: Billing) -> dict[str, list[dict[str, Any]]]:
        """The rows of every table, in the order in which foreign keys allow them to be written."""
        made = self.make_rows(billing)
        return {
            table.name: [
                {
                    column.name: row[column.name]
                    for column in table.columns
                    if not column.name.startswith("netsuite_")
                }
                for row in ([] if table.name.startswith("netsuite_") else made[table.name])
            ]
            for table in self.tables.sorted_tables
        }


class Exact(sa.TypeDecorator[Decimal]):
    """An exact decimal number: NUMERIC, and text in SQLite, whose numbers are binary."""

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Text())
        return super().load_dialect_impl(dialect)

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        return f"{value:f}" if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


def _amount() -> Exact:
    return Exact(18, 4)


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text) for name in names]


def _key(name: str = "id") -> sa.Column[Any]:
    return sa.Column(name, sa.String(64), primary_key=True)


def _link(name: str, target: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.String(64), sa.ForeignKey(target), **options)


def _own_tables(*, with_metadata: bool) -> sa.MetaData:
    """Tables that are named nearly as the canonical ones, with or without the columns of tenant metadata and those for
    what flows back from NetSuite.
    """
    metadata = sa.MetaData()
    extra = ("subscription_id", "contract_start") if with_metadata else ()
    back = ("netsuite_internal_id", "netsuite_number") if with_metadata else ()
    sa.Table(
        "customers",
        metadata,
        _key(),
        sa.Column("name", sa.Text, nullable=False),
        *_texts("email", "currency", "legal_entity", "terms", "country"),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True)),
        *(_texts("crm_id") if with_metadata else ()),
        *_texts(*back),
    )

    def document(name: str, number: str, issued: str, *more: sa.Column[Any]) -> None:
        sa.Table(
            name,
            metadata,
            _key(),
            sa.Column(number, sa.Text, nullable=False),
            _link("customer_id", "customers.id"),
            sa.Column(issued, sa.Date, nullable=False, index=True),
            sa.Column("due_on", sa.Date),
            sa.Column("currency", sa.String(3), nullable=False),
            sa.Column("total", _amount(), nullable=False),
            *_texts("status", "memo", "po_number", "legal_entity", "terms", "product_line"),
            sa.Column("updated_at", sa.DateTime(timezone=True)),
            *_texts(*extra, *back, *(("netsuite_subsidiary", "netsuite_status") if back else ())),
            *([sa.Column("netsuite_remaining", _amount())] if back else ()),
            *more,
        )

    def lines(name: str, parent: str, target: str, price: str) -> None:
        sa.Table(
            name,
            metadata,
            _key(),
            _link(parent, f"{target}.id", nullable=False, index=True),
            sa.Column("line_no", sa.Integer, nullable=False),
            *_texts("product_id", "description"),
            sa.Column("quantity", Exact(28, 10)),
            sa.Column(price, Exact(28, 12)),
            sa.Column("amount", _amount(), nullable=False),
            sa.Column("service_start", sa.Date),
            sa.Column("service_end", sa.Date),
        )

    document("invoices", "invoice_number", "issue_date")
    lines("invoice_lines", "invoice_id", "invoices", "unit_price")
    document("credit_notes", "number", "issued_on", _link("invoice_id", "invoices.id"), *_texts("reason"))
    lines("credit_note_lines", "credit_note_id", "credit_notes", "unit_amount")
    sa.Table(
        "payments",
        metadata,
        _key(),
        _link("customer_id", "customers.id"),
        sa.Column("paid_on", sa.Date, nullable=False, index=True),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", _amount(), nullable=False),
        *_texts("method", "reference", "status"),
        sa.Column("updated_at", sa.DateTime(timezone=True)),
    )
    sa.Table(
        "payment_applications",
        metadata,
        _link("payment_id", "payments.id", primary_key=True),
        _link("invoice_id", "invoices.id", primary_key=True),
        sa.Column("amount", _amount(), nullable=False),
        sa.Column("applied_on", sa.Date),
    )
    if back:
        sa.Table(
            "netsuite_applications",
            metadata,
            sa.Column("applying_id", sa.String(40), primary_key=True),
            _link("invoice_id", "invoices.id", primary_key=True),
            *_texts("netsuite_record", "netsuite_number", "netsuite_currency"),
            sa.Column("netsuite_amount", _amount()),
            sa.Column("netsuite_applied_on", sa.Date),
        )
    return metadata


def _globex_tables() -> sa.MetaData:
    """Tables with another company's names for everything."""
    metadata = sa.MetaData()
    sa.Table(
        "accounts",
        metadata,
        _key(),
        *_texts("account_name", "billing_email", "currency", "payment_terms", "crm_id"),
    )

    def document(name: str, number: str, issued: str, *more: sa.Column[Any]) -> None:
        sa.Table(
            name,
            metadata,
            _key(),
            sa.Column(number, sa.Text, nullable=False),
            _link("account_id", "accounts.id"),
            sa.Column(issued, sa.Date, nullable=False, index=True),
            sa.Column("currency_code", sa.String(3), nullable=False),
            sa.Column("total_amount", _amount(), nullable=False),
            sa.Column("note", sa.Text),
            *more,
        )

    def lines(name: str, parent: str, target: str, *more: sa.Column[Any]) -> None:
        sa.Table(
            name,
            metadata,
            _key(),
            _link(parent, f"{target}.id", nullable=False, index=True),
            sa.Column("position", sa.Integer, nullable=False),
            *_texts("sku", "text"),
            sa.Column("units", Exact(28, 10)),
            sa.Column("price", Exact(28, 12)),
            sa.Column("line_amount", _amount(), nullable=False),
            *more,
        )

    document(
        "bills", "bill_no", "bill_date", sa.Column("due_date", sa.Date), *_texts("po", "plan", "usage_run")
    )
    lines("bill_lines", "bill_id", "bills", sa.Column("meter", sa.Text))
    document("credits", "credit_no", "credit_date", _link("bill_id", "bills.id"))
    lines("credit_lines", "credit_id", "credits")
    sa.Table(
        "receipts",
        metadata,
        _key(),
        _link("account_id", "accounts.id"),
        sa.Column("received_on", sa.Date, nullable=False, index=True),
        sa.Column("currency_code", sa.String(3), nullable=False),
        sa.Column("amount", _amount(), nullable=False),
        *_texts("method", "reference"),
    )
    sa.Table(
        "receipt_applications",
        metadata,
        _link("receipt_id", "receipts.id", primary_key=True),
        _link("bill_id", "bills.id", primary_key=True),
        sa.Column("amount", _amount(), nullable=False),
    )
    sa.Table(
        "metered_usage",
        metadata,
        _key(),
        _link("account_id", "accounts.id"),
        sa.Column("sku", sa.Text),
        sa.Column("metered_on", sa.Date, nullable=False, index=True),
        sa.Column("billed_on", sa.Date),
        sa.Column("currency_code", sa.String(3), nullable=False),
        sa.Column("charge", _amount(), nullable=False),
    )
    return metadata


def _own_rows(billing: Billing) -> dict[str, list[Row]]:
    def header(document: Document, number: str, issued: str) -> dict[str, Any]:
        return {
            "id": document.id,
            number: document.number,
            "customer_id": document.customer_id,
            issued: document.issued_on,
            "due_on": document.due_on,
            "currency": document.currency,
            "total": document.total,
            "status": document.status,
            "memo": document.memo,
            "po_number": document.po_number,
            "legal_entity": document.legal_entity,
            "terms": document.terms,
            "product_line": document.product_line,
            "updated_at": _morning(document.issued_on),
            "subscription_id": document.metadata.get("subscription_id"),
            "contract_start": document.metadata.get("contract_start"),
        }

    def line(document: Document, line: Line, parent: str, price: str) -> Row:
        return {
            "id": line.id,
            parent: document.id,
            "line_no": line.line_no,
            "product_id": line.product_id,
            "description": line.description,
            "quantity": line.quantity,
            price: line.unit_amount,
            "amount": line.amount,
            "service_start": line.service_start,
            "service_end": line.service_end,
        }

    return {
        "customers": [
            {
                "id": customer.id,
                "name": customer.name,
                "email": customer.email,
                "currency": customer.currency,
                "legal_entity": customer.legal_entity,
                "terms": customer.terms,
                "country": customer.country,
                "is_active": True,
                "updated_at": None,
                "crm_id": customer.metadata.get("crm_id"),
            }
            for customer in billing.customers
        ],
        "invoices": [header(invoice, "invoice_number", "issue_date") for invoice in billing.invoices],
        "invoice_lines": [
            line(invoice, one, "invoice_id", "unit_price")
            for invoice in billing.invoices
            for one in invoice.lines
        ],
        "credit_notes": [
            {**header(note, "number", "issued_on"), "invoice_id": note.invoice_id, "reason": note.reason}
            for note in billing.credit_notes
        ],
        "credit_note_lines": [
            line(note, one, "credit_note_id", "unit_amount")
            for note in billing.credit_notes
            for one in note.lines
        ],
        "payments": [
            {
                "id": payment.id,
                "customer_id": payment.customer_id,
                "paid_on": payment.paid_on,
                "currency": payment.currency,
                "amount": payment.amount,
                "method": payment.method,
                "reference": payment.reference,
                "status": "succeeded",
                "updated_at": _morning(payment.paid_on),
            }
            for payment in billing.payments
        ],
        "payment_applications": [
            {"payment_id": payment.id, "invoice_id": invoice, "amount": amount, "applied_on": payment.paid_on}
            for payment in billing.payments
            for invoice, amount in payment.applications
        ],
    }


def _globex_rows(billing: Billing) -> dict[str, list[Row]]:
    def header(document: Document, number: str, issued: str) -> dict[str, Any]:
        return {
            "id": document.id,
            number: document.number,
            "account_id": document.customer_id,
            issued: document.issued_on,
            "currency_code": document.currency,
            "total_amount": document.total,
            "note": document.memo,
        }

    def line(document: Document, line: Line, parent: str) -> dict[str, Any]:
        return {
            "id": line.id,
            parent: document.id,
            "position": line.line_no,
            "sku": line.product_id,
            "text": line.description,
            "units": line.quantity,
            "price": line.unit_amount,
            "line_amount": line.amount,
        }

    return {
        "accounts": [
            {
                "id": customer.id,
                "account_name": customer.name,
                "billing_email": customer.email,
                "currency": customer.currency,
                "payment_terms": customer.terms,
                "crm_id": customer.metadata.get("crm_id"),
            }
            for customer in billing.customers
        ],
        "bills": [
            {
                **header(bill, "bill_no", "bill_date"),
                "due_date": bill.due_on,
                "po": bill.po_number,
                "plan": bill.metadata.get("plan"),
                "usage_run": bill.metadata.get("usage_run"),
            }
            for bill in billing.invoices
        ],
        "bill_lines": [
            {**line(bill, one, "bill_id"), "meter": one.metadata.get("meter")}
            for bill in billing.invoices
            for one in bill.lines
        ],
        "credits": [
            {**header(note, "credit_no", "credit_date"), "bill_id": note.invoice_id}
            for note in billing.credit_notes
        ],
        "credit_lines": [line(note, one, "credit_id") for note in billing.credit_notes for one in note.lines],
        "receipts": [
            {
                "id": payment.id,
                "account_id": payment.customer_id,
                "received_on": payment.paid_on,
                "currency_code": payment.currency,
                "amount": payment.amount,
                "method": payment.method,
                "reference": payment.reference,
            }
            for payment in billing.payments
        ],
        "receipt_applications": [
            {"receipt_id": payment.id, "bill_id": invoice, "amount": amount}
            for payment in billing.payments
            for invoice, amount in payment.applications
        ],
        "metered_usage": [
            {
                "id": one.id,
                "account_id": one.customer_id,
                "sku": one.product_id,
                "metered_on": one.used_on,
                "billed_on": one.billed_on,
                "currency_code": one.currency,
                "charge": one.amount,
            }
            for one in billing.usage
        ],
    }


def _morning(day: date) -> datetime:
    return datetime.combine(day, time(6), UTC)


LAYOUTS: Mapping[str, Layout] = {
    "acme": Layout(_own_tables(with_metadata=True), _own_rows),
    "globex": Layout(_globex_tables(), _globex_rows),
    "retail": Layout(_own_tables(with_metadata=False), _own_rows),
}
