"""What can be wrong in a demo tenant's books, how often it is, and the list that says so.

Here: the values that describe books and their defects. Not here: choosing what to spoil (`defects.py`), nor how a
document looks in NetSuite (`bodies.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from demo.documents import Customer, Document, Payment

Record = Literal["customer", "invoice", "creditMemo", "customerPayment", "journalEntry"]
Kind = Literal[
    "missing",
    "missing_customer",
    "changed_amount",
    "changed_date",
    "moved_to_another_month",
    "changed_memo",
    "changed_number",
    "wrong_customer",
    "custom_field",
    "line_missing",
    "extra_line",
    "duplicate",
    "only_in_netsuite",
    "customer_email",
    "payment_missing",
    "payment_not_applied",
    "accrual_missing",
]
#: How receivables of billing and NetSuite are apart without that a document that billing writes to NetSuite is wrong.
DriftKind = Literal[
    "payment_only_in_billing",
    "payment_only_in_netsuite",
    "payment_not_applied",
    "payment_applied_in_part",
    "payment_applied_too_much_in_billing",
    "journal_on_receivables",
]


@dataclass(frozen=True, slots=True)
class Planted:
    """One defect: its kind, the record, its external id (None when it has none), the NetSuite field, and a sentence.

    `billed` and `booked` are the field's values on the two sides where one field differs; `number` is the billing
    document's number (or the customer's name), by which a record without an external id is recognised.
    """

    kind: Kind
    record: Record
    external_id: str | None
    field: str | None
    what: str
    number: str
    billed: str | None = None
    booked: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """One drift of receivables: its kind, a sentence, the invoice's external id, the customer, and the amount apart.

    A journal is of no invoice. `paid` is what the payment is of, where NetSuite has one.
    """

    kind: DriftKind
    what: str
    customer_id: str
    currency: str
    amount: Decimal
    invoice: str | None = None
    paid: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BookedPayment:
    """A payment as the books hold it, with what it is applied to there."""

    external_id: str | None
    payment: Payment


@dataclass(frozen=True, slots=True)
class BookedJournal:
    """Money that somebody booked by hand from a bank account to the receivable of a customer."""

    customer: Customer
    day: date
    amount: Decimal
    memo: str


@dataclass(frozen=True, slots=True)
class Booking:
    """A document as the books hold it; its values may differ from what was billed."""

    record: Record
    external_id: str | None
    document: Document


@dataclass(frozen=True, slots=True)
class Books:
    """What an account holds at the start of the demo, and what is wrong with it."""

    customers: tuple[Customer, ...]
    bookings: tuple[Booking, ...]
    planted: tuple[Planted, ...]
    payments: tuple[BookedPayment, ...] = ()
    journals: tuple[BookedJournal, ...] = ()
    drifts: tuple[Drift, ...] = ()


#: How many defects of each kind a tenant's books get. A tenant without a kind has nothing that could be so.
DEFECTS: Mapping[str, Mapping[Kind, int]] = {
    "acme": {
        "missing_customer": 1,
        "missing": 9,
        "changed_amount": 3,
        "changed_date": 2,
        "moved_to_another_month": 2,
        "changed_memo": 2,
        "changed_number": 2,
        "wrong_customer": 2,
        "custom_field": 2,
        "line_missing": 2,
        "extra_line": 2,
        "duplicate": 2,
        "only_in_netsuite": 2,
        "customer_email": 2,
    },
    "globex": {
        "missing_customer": 1,
        "missing": 4,
        "changed_amount": 1,
        "changed_date": 1,
        "moved_to_another_month": 1,
        "changed_memo": 1,
        "changed_number": 1,
        "wrong_customer": 1,
        "custom_field": 2,
        "line_missing": 1,
        "extra_line": 1,
        "duplicate": 2,
        "only_in_netsuite": 1,
        "customer_email": 1,
        "payment_missing": 2,
        "payment_not_applied": 1,
        "accrual_missing": 1,
    },
    "retail": {
        "missing_customer": 2,
        "missing": 40,
        "changed_amount": 6,
        "changed_date": 4,
        "moved_to_another_month": 2,
        "changed_memo": 4,
        "changed_number": 3,
        "wrong_customer": 4,
        "line_missing": 4,
        "extra_line": 3,
        "duplicate": 4,
        "only_in_netsuite": 3,
    },
}


#: How many drifts of each kind a tenant's receivables get: acme's payments are NetSuite's own, so none is mended.
DRIFTS: Mapping[str, Mapping[DriftKind, int]] = {
    "acme": {
        "payment_only_in_billing": 1,
        "payment_only_in_netsuite": 1,
        "payment_not_applied": 1,
        "payment_applied_in_part": 1,
        "payment_applied_too_much_in_billing": 1,
        "journal_on_receivables": 1,
    },
}

#: Tenants whose payments NetSuite has from billing, with external ids.
PAYMENTS_FROM_BILLING = ("globex",)


def customer_eid(customer_id: str) -> str:
    return f"cus-{customer_id}"


def document_eid(record: Record, document: Document) -> str:
    return f"{'inv' if record == 'invoice' else 'cm'}-{document.id}"


def accrual_eid(month: str, rule: str) -> str:
    """The external id of the accrual in dollars that a rule of the tenant's file makes of a month ('YYYY-MM')."""
    return f"je-accrual-{month}-{rule}-all-USD"


def payment_eid(payment: Payment) -> str:
    return f"pay-{payment.id}"
