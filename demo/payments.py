"""What a demo tenant's books hold of its payments, and where receivables drift: seeded, each listed.

Here: which payments the books hold, how they are applied, and what is wrong with them; pure. Not here: the defects of
documents (`defects.py`), how a payment looks in NetSuite (`bodies.py`), nor writing it (`books.py`).

Where NetSuite has its payments from billing they carry external ids, and what is wrong with one is a difference that is
mended. Where it has payments of its own nothing is mended: what is apart is a drift for a person. Payments pay invoices
that have no defect, so that every finding has one cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random

from demo.documents import Billing, Document, Payment, rounded
from demo.planted import (
    BookedJournal,
    BookedPayment,
    Books,
    Drift,
    DriftKind,
    Kind,
    Planted,
    document_eid,
    payment_eid,
)


def settle(
    books: Books,
    billing: Billing,
    month: str,
    random: Random,
    *,
    from_billing: bool,
    defects: Mapping[Kind, int],
    drifts: Mapping[DriftKind, int],
) -> Books:
    """The books with the payments that billing tells, less and other than these by `defects` and `drifts` in `month`.

    `from_billing` says whether NetSuite has its payments from billing.
    """
    return _Settler(books, billing, month, random, from_billing).settle(defects, drifts)


class _Settler:
    def __init__(
        self, books: Books, billing: Billing, month: str, random: Random, from_billing: bool
    ) -> None:
        self._books = books
        self._month = month
        self._invoices = {invoice.id: invoice for invoice in billing.invoices}
        self._booked = {
            payment.id: BookedPayment(payment_eid(payment) if from_billing else None, payment)
            for payment in billing.payments
        }
        credited = {note.invoice_id for note in billing.credit_notes}
        paid = {invoice for payment in billing.payments for invoice, _ in payment.applications}
        spoilt = {planted.external_id for planted in books.planted} | {
            f"inv-{invoice.id}" for invoice in billing.invoices if self._is_planted(invoice)
        }
        self._too_much = [
            payment
            for payment in billing.payments
            if self._excess(payment) > 0 and self._is_of_month(payment)
        ]
        #: Payments of one invoice of the month, in full, on which nothing else is.
        self._free = [
            payment
            for payment in billing.payments
            if len(payment.applications) == 1
            and self._is_of_month(payment)
            and payment.amount == self._first(payment).total
            and payment.applications[0][0] not in credited
        ]
        random.shuffle(self._free)
        self._unpaid = [
            invoice
            for invoice in billing.invoices
            if invoice.customer_id
            and invoice.in_month(month)
            and invoice.total > 0
            and invoice.id not in paid | credited
            and document_eid("invoice", invoice) not in spoilt
        ]
        random.shuffle(self._unpaid)
        self._added: list[BookedPayment] = []
        self._journals: list[BookedJournal] = []
        self._planted: list[Planted] = []
        self._drifts: list[Drift] = []

    def settle(self, defects: Mapping[Kind, int], drifts: Mapping[DriftKind, int]) -> Books:
        of_defects: Mapping[Kind, Callable[[], None]] = {
            "payment_missing": self._missing,
            "payment_not_applied": self._not_applied,
        }
        of_drifts: Mapping[DriftKind, Callable[[], None]] = {
            "payment_applied_too_much_in_billing": self._applied_too_much,
            "payment_only_in_billing": self._only_in_billing,
            "payment_only_in_netsuite": self._only_in_netsuite,
            "payment_not_applied": self._drifts_not_applied,
            "payment_applied_in_part": self._applied_in_part,
            "journal_on_receivables": self._journal,
        }
        for kind, way in of_defects.items():
            for _ in range(defects.get(kind, 0)):
                way()
        for drift, plant in of_drifts.items():
            for _ in range(drifts.get(drift, 0)):
                plant()
        return replace(
            self._books,
            planted=(*self._books.planted, *self._planted),
            payments=(*self._booked.values(), *self._added),
            journals=tuple(self._journals),
            drifts=tuple(self._drifts),
        )

    # Choosing

    def _is_planted(self, invoice: Document) -> bool:
        """Whether a defect concerns the invoice though it is not booked under its own external id (a second copy, say)."""
        return any(planted.number == invoice.number for planted in self._books.planted)

    def _is_of_month(self, payment: Payment) -> bool:
        return f"{payment.paid_on:%Y-%m}" == self._month and self._first(payment).in_month(self._month)

    def _first(self, payment: Payment) -> Document:
        return self._invoices[payment.applications[0][0]]

    def _excess(self, payment: Payment) -> Decimal:
        """By how much billing applies it beyond its only invoice."""
        one = len(payment.applications) == 1
        return payment.amount - self._first(payment).total if one else Decimal(0)

    def _apply(self, payment: Payment, amount: Decimal) -> None:
        """Book it as applied with so much to its only invoice."""
        applied = ((payment.applications[0][0], amount),) if amount else ()
        booked = self._booked[payment.id]
        self._booked[payment.id] = replace(booked, payment=replace(payment, applications=applied))

    def _take(self) -> Payment:
        if not self._free:
            raise ValueError(f"the month {self._month} has too few payments for the drifts asked for")
        return self._free.pop()

    # What is mended

    def _missing(self) -> None:
        payment = self._take()
        del self._booked[payment.id]
        self._mend("payment_missing", payment, None, "was never booked")

    def _not_applied(self) -> None:
        payment = self._take()
        self._apply(payment, Decimal(0))
        self._mend("payment_not_applied", payment, "apply", "is booked and applied to no invoice")

    def _mend(self, kind: Kind, payment: Payment, field: str | None, what: str) -> None:
        told = f"payment {payment.reference} for {self._first(payment).number} {what}"
        self._planted.append(
            Planted(kind, "customerPayment", payment_eid(payment), field, told, payment.reference)
        )

    # What a person must see to

    def _only_in_billing(self) -> None:
        payment = self._take()
        del self._booked[payment.id]
        self._drift("payment_only_in_billing", payment, payment.amount, "is in billing and not in NetSuite")

    def _drifts_not_applied(self) -> None:
        payment = self._take()
        self._apply(payment, Decimal(0))
        self._drift("payment_not_applied", payment, payment.amount, "is applied to no invoice in NetSuite")

    def _applied_in_part(self) -> None:
        payment = self._take()
        applied = rounded(payment.amount / 3)
        self._apply(payment, applied)
        rest = payment.amount - applied
        self._drift("payment_applied_in_part", payment, rest, f"is applied with {applied} only in NetSuite")

    def _applied_too_much(self) -> None:
        payment = self._too_much.pop()
        excess = self._excess(payment)
        self._apply(payment, payment.amount - excess)
        what = f"is applied in billing with {excess} more than the invoice is"
        self._drift("payment_applied_too_much_in_billing", payment, excess, what)

    def _drift(self, kind: DriftKind, payment: Payment, amount: Decimal, what: str) -> None:
        invoice = self._first(payment)
        self._drifts.append(
            Drift(
                kind,
                f"payment {payment.reference} for {invoice.number} {what}",
                payment.customer_id,
                payment.currency,
                amount,
                document_eid("invoice", invoice),
                payment.amount if payment.id in self._booked else None,
            )
        )

    def _only_in_netsuite(self) -> None:
        invoice = self._unpaid.pop()
        customer_id = invoice.customer_id or ""
        payment = Payment(
            id=f"by-hand-{invoice.id}",
            customer_id=customer_id,
            paid_on=invoice.issued_on,
            currency=invoice.currency,
            amount=invoice.total,
            method="check",
            reference="entered by hand",
            applications=((invoice.id, invoice.total),),
        )
        self._added.append(BookedPayment(None, payment))
        self._drifts.append(
            Drift(
                "payment_only_in_netsuite",
                f"a payment of {payment.amount} for {invoice.number} is in NetSuite and not in billing",
                customer_id,
                invoice.currency,
                payment.amount,
                document_eid("invoice", invoice),
                payment.amount,
            )
        )

    def _journal(self) -> None:
        invoice = self._unpaid.pop()
        amount = rounded(invoice.total / 4)
        memo = f"Money for {invoice.number}, booked by hand"
        (customer,) = (one for one in self._books.customers if one.id == invoice.customer_id)
        self._journals.append(BookedJournal(customer, invoice.issued_on, amount, memo))
        self._drifts.append(
            Drift(
                "journal_on_receivables",
                f"a journal of {amount} on the receivable of {customer.name}: {memo}",
                customer.id,
                invoice.currency,
                amount,
            )
        )
