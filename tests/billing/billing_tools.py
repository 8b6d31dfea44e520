"""What the tests of billing databases share: settings, running SQL, reading a slice whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from resources.billing.connect import normalise_url
from resources.billing.sql import SqlBilling
from resources.billing.tables import Table

NEW_YORK = ZoneInfo("America/New_York")
OCTOBER = (date(2026, 10, 1), date(2026, 11, 1))


@dataclass
class Settings:
    tables: Mapping[str, Table]
    system: str = "sql"


ACME = Settings(
    {
        "customers": Table("customers", metadata=["crm_id"]),
        "invoices": Table(
            "invoices",
            {"number": "invoice_number", "issued_on": "issue_date"},
            metadata=["subscription_id", "contract_start"],
        ),
        "invoice_lines": Table("invoice_lines", {"unit_amount": "unit_price"}),
        "credit_notes": Table("credit_notes"),
        "credit_note_lines": Table("credit_note_lines"),
        "payments": Table("payments"),
        "payment_applications": Table("payment_applications"),
    }
)

_GLOBEX_DOCUMENT = {
    "customer_id": "account_id",
    "currency": "currency_code",
    "total": "total_amount",
    "memo": "note",
}
_GLOBEX_LINE = {
    "line_no": "position",
    "product_id": "sku",
    "description": "text",
    "quantity": "units",
    "unit_amount": "price",
    "amount": "line_amount",
}
GLOBEX = Settings(
    {
        "customers": Table(
            "accounts",
            {"name": "account_name", "email": "billing_email", "terms": "payment_terms"},
            metadata=["crm_id"],
        ),
        "invoices": Table(
            "bills",
            {
                **_GLOBEX_DOCUMENT,
                "number": "bill_no",
                "issued_on": "bill_date",
                "due_on": "due_date",
                "po_number": "po",
            },
            metadata=["plan", "usage_run"],
        ),
        "invoice_lines": Table("bill_lines", {**_GLOBEX_LINE, "invoice_id": "bill_id"}, metadata=["meter"]),
        "credit_notes": Table(
            "credits",
            {**_GLOBEX_DOCUMENT, "number": "credit_no", "issued_on": "credit_date", "invoice_id": "bill_id"},
        ),
        "credit_note_lines": Table("credit_lines", {**_GLOBEX_LINE, "credit_note_id": "credit_id"}),
        "payments": Table(
            "receipts", {"customer_id": "account_id", "paid_on": "received_on", "currency": "currency_code"}
        ),
        "payment_applications": Table(
            "receipt_applications", {"payment_id": "receipt_id", "invoice_id": "bill_id"}
        ),
    }
)

INVOICES = Settings({"invoices": Table("invoices")})


def run(url: str, *statements: str) -> None:
    engine = sa.create_engine(normalise_url(url))
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def source(url: str, settings: Settings = INVOICES, zone: ZoneInfo = NEW_YORK, **options: Any) -> SqlBilling:
    return SqlBilling(settings, url, zone, **options)


def rows(
    url: str,
    table: str = "invoices",
    settings: Settings = INVOICES,
    bounds: tuple[date, date] = OCTOBER,
    zone: ZoneInfo = NEW_YORK,
) -> list[dict[str, Any]]:
    """The slice, whole; the database's own count is held against it."""
    billing = source(url, settings, zone)
    try:
        found = [row for batch in billing.read(table, *bounds) for row in batch.to_pylist()]
        assert billing.count(table, *bounds) == len(found)
        return found
    finally:
        billing.close()
