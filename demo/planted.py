"""What can be wrong in a demo tenant's books, how often it is, and the list that says so.

Here: the values that describe books and their defects. Not here: choosing what to spoil (`defects.py`), nor how a
document looks in NetSuite (`bodies.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from demo.documents import Customer, Document

Record = Literal["customer", "invoice", "creditMemo"]
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


def customer_eid(customer_id: str) -> str:
    return f"cus-{customer_id}"


def document_eid(record: Record, document: Document) -> str:
    return f"{'inv' if record == 'invoice' else 'cm'}-{document.id}"
