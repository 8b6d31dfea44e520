"""How each demo tenant's documents look in its NetSuite account: REST bodies, written by hand for each tenant.

Here: an opinion of its own on what the books should hold, made without the product's mapping, so that the one can
catch the other's mistakes. Not here: what is booked (`defects.py`), nor sending it (`books.py`).

NetSuite facts: references are written as {"id": ...} or {"externalId": ...}, dates in ISO form, and what has no value
is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from demo.documents import Customer, Document, Line, Payment
from demo.planted import BookedJournal, Booking, customer_eid

Body = dict[str, Any]

SUBSIDIARIES = {"us": "1", "eu": "3"}


class UnknownName(Exception):
    """A name that the account has no record for."""


@dataclass(frozen=True)
class Names:
    """Internal ids of the account's records: list (item, term, currency, ...) to name to id."""

    lists: Mapping[str, Mapping[str, str]]

    def __call__(self, listing: str, name: str | None) -> dict[str, str] | None:
        """The reference to a record by its name; None for no name."""
        if name is None:
            return None
        found = self.lists[listing]
        if name not in found:
            raise UnknownName(
                f"the account has no {listing} '{name}', only {', '.join(sorted(found)) or 'none'}"
            )
        return {"id": found[name]}


@dataclass(frozen=True)
class TenantBodies:
    """A tenant's bodies, and the SuiteQL that gives the names that they need."""

    lists: Mapping[str, str]
    customer: Callable[[Customer, Names], Body]
    header: Callable[[Booking, Names], Body]
    line: Callable[[Booking, Line, Names], Body]

    def of_customer(self, customer: Customer, names: Names) -> Body:
        return _without_nothing(self.customer(customer, names))

    def of_document(self, booking: Booking, names: Names) -> Body:
        lines = [_without_nothing(self.line(booking, line, names)) for line in booking.document.lines]
        return {**_without_nothing(self.header(booking, names)), "item": {"items": lines}}


def _without_nothing(body: Body) -> Body:
    return {name: value for name, value in body.items() if value is not None}


def _common(document: Document, names: Names) -> Body:
    return {
        "entity": {"externalId": customer_eid(document.customer_id or "")},
        "tranDate": document.issued_on.isoformat(),
        "currency": names("currency", document.currency),
        "memo": document.memo,
        "otherRefNum": document.number,
    }


def _due(document: Document) -> str | None:
    return document.due_on.isoformat() if document.due_on else None


def _month_of_service(document: Document) -> Body:
    """The month before the one in which payment is due."""
    if document.due_on is None:
        return {}
    last = document.due_on.replace(day=1) - timedelta(days=1)
    return {"startDate": last.replace(day=1).isoformat(), "endDate": last.isoformat()}


def _between_slashes(*parts: str | None) -> str:
    return " / ".join(part for part in parts if part)


def _line(line: Line) -> Body:
    return {
        "description": line.description,
        "quantity": line.quantity,
        "rate": line.unit_amount,
        "amount": line.amount,
    }


# What settles invoices looks the same in every account. `invoices` are internal ids by external id.


def applied_credit(note: Document, invoices: Mapping[str, str]) -> Body:
    """What a credit memo's body has besides, where it settles an invoice."""
    if note.invoice_id is None:
        return {}
    return _applied([(note.invoice_id, note.total)], invoices)


def payment_body(payment: Payment, names: Names, invoices: Mapping[str, str]) -> Body:
    """A payment, applied to what it settles."""
    return {
        "customer": {"externalId": customer_eid(payment.customer_id)},
        "currency": names("currency", payment.currency),
        "tranDate": payment.paid_on.isoformat(),
        "payment": payment.amount,
        "memo": f"{payment.method} {payment.reference}",
        **_applied(payment.applications, invoices),
    }


def _applied(applications: Iterable[tuple[str, Decimal]], invoices: Mapping[str, str]) -> Body:
    items = [
        {"doc": {"id": invoices[f"inv-{invoice}"]}, "apply": True, "amount": amount}
        for invoice, amount in applications
    ]
    return {"apply": {"items": items}} if items else {}


def journal_body(journal: BookedJournal, names: Names) -> Body:
    """Money from the bank to a customer's receivable, booked by hand in the customer's company."""
    who = {"externalId": customer_eid(journal.customer.id)}
    return {
        "subsidiary": {"id": SUBSIDIARIES[journal.customer.legal_entity or "us"]},
        "currency": names("currency", journal.customer.currency),
        "tranDate": journal.day.isoformat(),
        "memo": journal.memo,
        "line": {
            "items": [
                {"account": names("account", "Checking"), "debit": journal.amount},
                {"account": names("account", "Accounts Receivable"), "credit": journal.amount, "entity": who},
            ]
        },
    }


# Acme: OneWorld, a custom segment, two custom body fields, service periods on the lines.


def _acme_customer(customer: Customer, names: Names) -> Body:
    return {
        "companyName": customer.name,
        "email": customer.email,
        "subsidiary": {"id": SUBSIDIARIES[customer.legal_entity or "us"]},
        "currency": names("currency", customer.currency),
        "terms": names("term", customer.terms),
        "custentity_billing_id": customer.id,
    }


def _acme_header(booking: Booking, names: Names) -> Body:
    document = booking.document
    body = _common(document, names)
    body["subsidiary"] = {"id": SUBSIDIARIES[document.legal_entity or "us"]}
    body["cseg_product"] = names("cseg_product", document.product_line)
    body["custbody_subscription_ref"] = document.metadata.get("subscription_id")
    if booking.record == "invoice":
        body["dueDate"] = _due(document)
        body["terms"] = names("term", document.terms)
        body["custbody_contract_start"] = document.metadata.get("contract_start")
        body |= _month_of_service(document)
        body["message"] = _between_slashes(document.currency, document.legal_entity)
        body["department"] = names("department", "Sales")
        cloud = document.product_line in ("Metering", "Storage")
        body["class"] = names("classification", "Cloud" if cloud else "Services")
        body["location"] = names(
            "location", {"us": "New York", "eu": "Berlin"}[document.legal_entity or "us"]
        )
    return body


def _acme_line(booking: Booking, line: Line, names: Names) -> Body:
    of_invoice = {
        "custcol_rated_events": line.line_no,
        "department": names("department", "Sales"),
        "class": names("classification", "Cloud"),
    }
    return {
        "item": names("item", line.product_id),
        **_line(line),
        **(of_invoice if booking.record == "invoice" else {}),
        "custcol_service_start": line.service_start.isoformat() if line.service_start else None,
        "custcol_service_end": line.service_end.isoformat() if line.service_end else None,
    }


# Globex: a single company, a custom list, a meter on the lines of its bills.


def _globex_customer(customer: Customer, names: Names) -> Body:
    return {
        "companyName": customer.name,
        "email": customer.email,
        "currency": names("currency", customer.currency),
        "terms": names("term", customer.terms),
        "custentity_crm_id": customer.metadata.get("crm_id"),
    }


def _globex_header(booking: Booking, names: Names) -> Body:
    document = booking.document
    body = _common(document, names)
    if booking.record == "invoice":
        body["dueDate"] = _due(document)
        body["terms"] = names("term", document.terms)
        body["custbody_plan"] = names("customlist_plan", document.metadata.get("plan"))
        body["custbody_usage_run"] = document.metadata.get("usage_run")
        body |= _month_of_service(document)
        body["custbody_account"] = f"AR-{document.currency}"
        body["custbody_biller"] = "usage"
        body["message"] = f"Billed in {document.currency}"
        body["department"] = names("department", "Operations")
        body["class"] = names("classification", "Usage")
    return body


def _globex_line(booking: Booking, line: Line, names: Names) -> Body:
    body = {"item": names("item", line.product_id), **_line(line)}
    if booking.record == "invoice":
        meter = line.metadata.get("meter")
        body["custcol_meter"] = meter
        body["custcol_usage_key"] = ":".join(part for part in (line.product_id, meter) if part)
        body["department"] = names("department", "Operations")
        body["class"] = names("classification", "Usage")
    return body


# Retail: a single company that books every stock code to one item.


def _retail_customer(customer: Customer, names: Names) -> Body:
    return {"companyName": customer.name, "currency": names("currency", customer.currency)}


def _retail_header(booking: Booking, names: Names) -> Body:
    return _common(booking.document, names)


def _retail_line(booking: Booking, line: Line, names: Names) -> Body:
    return {"item": names("item", "Merchandise"), **_line(line)}


_ITEMS = "SELECT id, itemid AS name FROM item ORDER BY id"
_TERMS = "SELECT id, name FROM term ORDER BY id"
_CURRENCIES = "SELECT id, symbol AS name FROM currency ORDER BY id"

_DEPARTMENTS = "SELECT id, name FROM department ORDER BY id"
_CLASSES = "SELECT id, name FROM classification ORDER BY id"

BODIES: Mapping[str, TenantBodies] = {
    "acme": TenantBodies(
        lists={
            "item": _ITEMS,
            "term": _TERMS,
            "currency": _CURRENCIES,
            "cseg_product": "SELECT id, name FROM customrecord_cseg_product ORDER BY id",
            "department": _DEPARTMENTS,
            "classification": _CLASSES,
            "location": "SELECT id, name FROM location ORDER BY id",
            "account": "SELECT id, fullname AS name FROM account ORDER BY id",
        },
        customer=_acme_customer,
        header=_acme_header,
        line=_acme_line,
    ),
    "globex": TenantBodies(
        lists={
            "item": _ITEMS,
            "term": _TERMS,
            "currency": _CURRENCIES,
            "customlist_plan": "SELECT id, name FROM customlist_plan ORDER BY id",
            "department": _DEPARTMENTS,
            "classification": _CLASSES,
        },
        customer=_globex_customer,
        header=_globex_header,
        line=_globex_line,
    ),
    "retail": TenantBodies(
        lists={"item": _ITEMS, "currency": _CURRENCIES},
        customer=_retail_customer,
        header=_retail_header,
        line=_retail_line,
    ),
}
