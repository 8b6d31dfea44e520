"""The books of a demo tenant differ from what was billed by exactly the defects that are listed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo import usage
from demo.books import make_books
from demo.defects import plant
from demo.documents import Billing, Document
from demo.invoice_file import read_invoice_file
from demo.planted import (
    DEFECTS,
    DRIFTS,
    Books,
    Record,
    accrual_eid,
    customer_eid,
    document_eid,
    payment_eid,
)

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "online-retail-2010-12.csv"
MONTH = {"acme": "2026-10", "globex": "2026-10", "retail": "2010-12"}
Found = Counter[tuple[str, str | None, str | None]]


def billing_of(tenant: str, seed: int) -> Billing:
    if tenant == "acme":
        return usage.acme(Random(seed))
    if tenant == "globex":
        return usage.globex(Random(seed))
    if not REAL.exists():
        pytest.skip("the real invoice file is not on this machine")
    return read_invoice_file(REAL)


def differences(billing: Billing, books: Books) -> Found:
    """Record, external id and field of everything in which the books are not what was billed."""
    found: Found = Counter()
    held = {customer.id: customer for customer in books.customers}
    for customer in billing.customers:
        if customer.id not in held:
            found["customer", customer_eid(customer.id), None] += 1
        elif held[customer.id] != customer:
            found["customer", customer_eid(customer.id), "email"] += 1
    billed: dict[tuple[Record, str | None], Document] = {}
    for document in billing.invoices:
        billed["invoice", document_eid("invoice", document)] = document
    for document in billing.credit_notes:
        billed["creditMemo", document_eid("creditMemo", document)] = document
    booked = {
        (b.record, b.external_id): b.document for b in books.bookings if (b.record, b.external_id) in billed
    }
    for key, document in billed.items():
        if key not in booked:
            if document.customer_id is not None:
                found[*key, None] += 1
            continue
        for field in _changed(document, booked[key]):
            found[*key, field] += 1
    for booking in books.bookings:
        if (booking.record, booking.external_id) not in billed:
            found[booking.record, booking.external_id, None] += 1
    paid = {one.external_id: one.payment for one in books.payments if one.external_id is not None}
    if paid:
        for payment in billing.payments:
            there = paid.pop(payment_eid(payment), None)
            if there != payment:
                field = None if there is None else "apply" if not there.applications else "payment"
                found["customerPayment", payment_eid(payment), field] += 1
        found.update(("customerPayment", external_id, None) for external_id in paid)
    if billing.not_billed(usage.month_days(MONTH["globex"])[1]):
        # No books hold an accrual.
        found["journalEntry", accrual_eid(MONTH["globex"], "usage"), None] += 1
    return found


def _changed(billed: Document, booked: Document) -> list[str]:
    fields = {
        "tranDate": billed.issued_on != booked.issued_on,
        "memo": billed.memo != booked.memo,
        "otherRefNum": billed.number != booked.number,
        "entity": billed.customer_id != booked.customer_id,
        "custbody_plan": billed.metadata.get("plan") != booked.metadata.get("plan"),
        "custbody_subscription_ref": billed.metadata.get("subscription_id")
        != booked.metadata.get("subscription_id"),
        "item": len(billed.lines) != len(booked.lines),
        "rate": len(billed.lines) == len(booked.lines) and billed.lines != booked.lines,
    }
    return [field for field, changed in fields.items() if changed]


def check(tenant: str, billing: Billing, books: Books) -> None:
    listed: Found = Counter((planted.record, planted.external_id, planted.field) for planted in books.planted)
    assert differences(billing, books) == listed
    kinds = Counter(planted.kind for planted in books.planted)
    for kind, count in DEFECTS[tenant].items():
        assert kinds[kind] >= count if kind == "missing" else kinds[kind] == count
    assert len(kinds) >= 8


@pytest.mark.parametrize("tenant", ["acme", "globex"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_list_is_what_is_wrong_for_every_seed(tenant: str, seed: int) -> None:
    billing = billing_of(tenant, seed)
    check(tenant, billing, make_books(tenant, billing, MONTH[tenant], seed))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_drift_of_receivables_is_what_is_listed_for_every_seed(seed: int) -> None:
    """By invoice and by customer, what is settled on both sides differs by exactly the listed amounts."""
    billing = billing_of("acme", seed)
    books = make_books("acme", billing, "2026-10", seed)
    assert Counter(drift.kind for drift in books.drifts) == DRIFTS["acme"]
    settled: Counter[str] = Counter()
    for sign, payments in ((1, billing.payments), (-1, tuple(one.payment for one in books.payments))):
        for payment in payments:
            for invoice, amount in payment.applications:
                settled[f"inv-{invoice}"] += sign * int(amount * 100)
    apart = {invoice: abs(cents) for invoice, cents in settled.items() if cents}
    assert apart == {one.invoice: int(one.amount * 100) for one in books.drifts if one.invoice}
    (journal,) = books.journals
    (drift,) = (one for one in books.drifts if one.kind == "journal_on_receivables")
    assert (journal.amount, journal.customer.id) == (drift.amount, drift.customer_id)
    spoilt = {planted.external_id for planted in books.planted}
    assert not spoilt & set(apart)


def test_the_list_is_what_is_wrong_for_the_real_invoices() -> None:
    billing = billing_of("retail", 0)
    check("retail", billing, make_books("retail", billing, "2010-12", 1))


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_other_months_are_booked_as_billed(tenant: str) -> None:
    billing = billing_of(tenant, 1)
    booked = {b.external_id: b.document for b in make_books(tenant, billing, "2026-10", 1).bookings}
    for document in billing.invoices:
        if not document.in_month("2026-10"):
            assert booked[document_eid("invoice", document)] == document


def test_an_amount_that_was_changed_changes_the_total() -> None:
    billing = billing_of("acme", 5)
    books = make_books("acme", billing, "2026-10", 5)
    billed = {document_eid("invoice", d): d.total for d in billing.invoices} | {
        document_eid("creditMemo", d): d.total for d in billing.credit_notes
    }
    booked = {b.external_id: b.document.total for b in books.bookings}
    changed = [planted for planted in books.planted if planted.kind == "changed_amount"]
    assert {planted.record for planted in changed} == {"invoice", "creditMemo"}
    for planted in changed:
        assert booked[planted.external_id] > billed[planted.external_id or ""]


def test_the_same_seed_plants_the_same_defects() -> None:
    billing = billing_of("acme", 1)
    assert make_books("acme", billing, "2026-10", 4) == make_books("acme", billing, "2026-10", 4)
    assert make_books("acme", billing, "2026-10", 4) != make_books("acme", billing, "2026-10", 5)


def test_a_month_without_enough_documents_has_fewer_defects() -> None:
    billing = replace(billing_of("globex", 1), usage=())
    books = plant(billing, "2026-10", Random(1), {"changed_memo": 500})
    assert 0 < len(books.planted) < 500
    assert differences(billing, books) == Counter(
        (planted.record, planted.external_id, planted.field) for planted in books.planted
    )


@pytest.mark.parametrize("tenant", ["acme", "globex"])
@settings(max_examples=20, deadline=None)
@given(invoices=st.integers(0, 12), lines=st.integers(1, 2))
def test_whatever_few_documents_there_are_the_list_is_what_is_wrong(
    tenant: str, invoices: int, lines: int
) -> None:
    whole = billing_of(tenant, 1)
    kept = tuple(replace(one, lines=one.lines[:lines]) for one in whole.invoices[:invoices])
    owners = {one.customer_id for one in kept}
    few = replace(
        whole,
        invoices=kept,
        credit_notes=(),
        payments=(),
        usage=(),
        customers=tuple(one for one in whole.customers if one.id in owners),
    )
    books = plant(few, MONTH[tenant], Random(1), DEFECTS[tenant])
    assert differences(few, books) == Counter(
        (planted.record, planted.external_id, planted.field) for planted in books.planted
    )
