"""What a demo billing platform billed: customers, invoices, credit notes and payments as plain values.

Here: the values that the generators make, and their arithmetic. Not here: where they come from (`usage.py`,
`invoice_file.py`), nor where they go (`billing_database.py`, `books.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def rounded(amount: Decimal) -> Decimal:
    """An amount in a currency of two decimals (all that the demo bills in), halves away from zero."""
    return amount.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    name: str
    email: str | None = None
    currency: str | None = None
    legal_entity: str | None = None
    terms: str | None = None
    country: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `amount` is quantity times unit price, rounded to the currency, unless the platform says otherwise."""

    id: str
    line_no: int
    product_id: str
    description: str | None
    quantity: Decimal
    unit_amount: Decimal
    amount: Decimal
    service_start: date | None = None
    service_end: date | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """An invoice or a credit note; the amounts of a credit note are positive."""

    id: str
    number: str
    customer_id: str | None
    issued_on: date
    currency: str
    lines: tuple[Line, ...]
    due_on: date | None = None
    status: str | None = None
    memo: str | None = None
    po_number: str | None = None
    legal_entity: str | None = None
    terms: str | None = None
    product_line: str | None = None
    invoice_id: str | None = None
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        return sum((line.amount for line in self.lines), Decimal("0.00"))

    def in_month(self, month: str) -> bool:
        """Whether it was issued in `month` ('YYYY-MM')."""
        return f"{self.issued_on:%Y-%m}" == month


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment and what it paid: pairs of invoice id and amount."""

    id: str
    customer_id: str
    paid_on: date
    currency: str
    amount: Decimal
    method: str
    reference: str
    applications: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a customer used, with its price, and when it was billed, if it was."""

    id: str
    customer_id: str | None
    product_id: str
    used_on: date
    currency: str
    amount: Decimal
    billed_on: date | None = None


@dataclass(frozen=True, slots=True)
class Billing:
    """All that one billing platform holds."""

    customers: tuple[Customer, ...]
    invoices: tuple[Document, ...]
    credit_notes: tuple[Document, ...] = ()
    payments: tuple[Payment, ...] = ()
    usage: tuple[Usage, ...] = ()

    def not_billed(self, day: date) -> Decimal:
        """What was used by the end of this day and not billed by then."""
        open_ones = (
            one.amount
            for one in self.usage
            if one.used_on <= day and (one.billed_on is None or one.billed_on > day)
        )
        return sum(open_ones, Decimal("0.00"))

    def customer(self, customer_id: str) -> Customer:
        return next(customer for customer in self.customers if customer.id == customer_id)


@dataclass(frozen=True, slots=True)
class Facts:
    """The figures of some documents: how many, with how many lines, of what total."""

    documents: int
    lines: int
    total: Decimal

    @classmethod
    def of(cls, documents: Iterable[Document]) -> Facts:
        chosen = list(documents)
        return cls(
            documents=len(chosen),
            lines=sum(len(document.lines) for document in chosen),
            total=sum((document.total for document in chosen), Decimal("0.00")),
        )
