"""Documents that the reconciliation pairs without their external id are the same in every figure of receivables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from month import Month, TenantRules, line
from test_receivables import Books, drift

from resources.warehouse import Warehouse


@pytest.fixture
def paired(acme: TenantRules, warehouse: Warehouse) -> Iterator[Books]:
    """Dollar invoices of 100.00, 50.00 and 30.00, and a credit note of 12.00, on both sides; INV-1 is paid on both."""
    with warehouse.open("acme") as held:
        month = Month(held, acme, "2026-10")
        month.customer("c1", "Nordwind Ltd")
        for key, amount in (("1", "100.00"), ("2", "50.00"), ("3", "30.00")):
            month.invoice(key, line(amount), number=f"INV-{key}", due_on=date(2026, 10, 20))
        month.credit_note("c", line("12.00", "Goodwill"), number="CN-1")
        month.land()
        held.sql("UPDATE netsuite.invoices SET remaining = total")
        held.sql("UPDATE netsuite.credit_memos SET remaining = total")
        made = Books(month)
        made.pays("p", "100.00", **{"1": "100.00"})
        made.land_billing()
        made.netsuite_pays("900", "100.00", **{"1": "100.00"})
        month.reconcile()
        yield made


def lose(books: Books, external_id: str, now: str | None) -> None:
    """NetSuite's document, and what it settles or is settled by, show another external id."""
    internal_id = books.month.internal_id(external_id)
    books.month.change(external_id, external_id=now)
    for column, key in (("invoice_external_id", "invoice_id"), ("applying_external_id", "applying_id")):
        books.held.sql(f"UPDATE netsuite.applications SET {column} = ? WHERE {key} = ?", [now, internal_id])


@pytest.mark.parametrize("now", [None, "somebody-elses"])
def test_a_document_without_its_external_id_ties_and_does_not_drift(paired: Books, now: str | None) -> None:
    for external_id in ("inv-1", "inv-2", "cm-c"):
        lose(paired, external_id, now and f"{now}-{external_id}")
    paired.post_documents()
    found = paired.month.reconcile()
    assert sorted(found.kinds) == [("cm-c", "not_linked"), ("inv-1", "not_linked"), ("inv-2", "not_linked")]
    tied = paired.tie()
    assert tied.items == tied.drift == tied.exceptions == []
    # 100 + 50 + 30 - 12 - 100 paid.
    assert {row["left_amount"] for row in tied.ties if row["tie_out"] == "receivables"} == {Decimal(68)}


def test_a_document_without_its_external_id_drifts_under_the_one_that_billing_has(paired: Books) -> None:
    lose(paired, "inv-1", None)
    lose(paired, "inv-2", None)
    paired.held.sql("UPDATE netsuite.invoices SET remaining = 100 WHERE number = 'T-INV-1'")
    paired.held.sql("DELETE FROM netsuite.applications")
    paired.held.sql("UPDATE netsuite.payments SET remaining = 0")
    paired.month.reconcile()
    found = paired.tie()
    assert drift(found) == {("paid_in_billing", "INV-1", Decimal(0), Decimal(100), Decimal(100))}
    assert [(row["external_id"], row["code"]) for row in found.exceptions] == [("inv-1", "paid_in_billing")]


def test_documents_that_stand_for_others_tie_together_and_drift_together(paired: Books) -> None:
    # NetSuite has one invoice of 80.00 where billing has 50.00 and 30.00.
    paired.month.copy(
        "inv-2", "7000", number="SUM", otherRefNum=None, total=Decimal(80), remaining=Decimal(80)
    )
    paired.month.remove("inv-2")
    paired.month.remove("inv-3")
    paired.post_documents()
    found = paired.month.reconcile()
    assert sorted(found.kinds, key=str) == [("inv-2", "grouped"), ("inv-3", "grouped"), (None, "grouped")]
    tied = paired.tie()
    assert tied.items == tied.drift == []
    paired.pays("q", "50.00", **{"2": "50.00"})
    paired.land_billing()
    paired.month.reconcile()
    # Of the 80.00 that are open in NetSuite billing has 30.00 open.
    assert drift(paired.tie()) == {("open_differs", "INV-2", Decimal(30), Decimal(80), Decimal(50))}


def test_payments_of_a_customer_without_its_external_id_are_the_same(paired: Books) -> None:
    internal_id = paired.month.internal_id("cus-c1")
    paired.post_documents()
    paired.month.change("cus-c1", external_id=None)
    paired.held.sql(
        "UPDATE netsuite.payments SET customer_external_id = NULL, customer_id = ?", [internal_id]
    )
    paired.held.sql("UPDATE netsuite.invoices SET entity = ?", [f"internal:{internal_id}"])
    paired.held.sql("UPDATE netsuite.credit_memos SET entity = ?", [f"internal:{internal_id}"])
    assert paired.month.reconcile().kinds == [("cus-c1", "not_linked")]
    tied = paired.tie()
    assert tied.items == tied.drift == []
