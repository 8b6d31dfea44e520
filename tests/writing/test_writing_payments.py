"""Payments, what they settle, and journals: written to NetSuite, read back as intended, and then left alone."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from loop_tools import Loop, next_month

from netsuite_assets import frames


@pytest.fixture
def loop(account_url: str, tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path, account_url)
    made.customer("c1")
    yield made
    made.close()


def _applied(loop: Loop, payment: str) -> dict[str, Decimal]:
    """What NetSuite's payment settles, by the invoice's external id without the loop's word."""
    rows = loop.query(
        "SELECT i.externalid AS invoice, l.foreignamount AS amount FROM NextTransactionLineLink l"
        " JOIN transaction t ON t.id = l.nextdoc JOIN transaction i ON i.id = l.previousdoc"
        f" WHERE t.externalid = '{loop.word}{payment}' ORDER BY i.externalid"
    )
    return {row["invoice"].removeprefix(loop.word): abs(Decimal(row["amount"])) for row in rows}


def test_a_payment_waits_for_its_invoices_and_settles_them(loop: Loop) -> None:
    loop.invoice("1", "100.00")
    loop.invoice("2", "50.00")
    loop.payment("p1", "120.00", {"1": "100.00", "2": "20.00"})
    done = loop.run()
    assert done.told() == [
        ("customer", "create", "written", True),
        ("invoice", "create", "written", True),
        ("invoice", "create", "written", True),
        ("customerPayment", "create", "written", True),
    ]
    payment = done.operations[-1]
    assert payment["waits_for"] == ", ".join(
        f"{record} {loop.word}{name}"
        for record, name in (("customer", "cus-c1"), ("invoice", "inv-1"), ("invoice", "inv-2"))
    )
    assert _applied(loop, "pay-p1") == {"inv-1": Decimal("100.00"), "inv-2": Decimal("20.00")}
    assert loop.get("invoice", "inv-2")["amountRemaining"] == 30
    assert loop.is_settled()


def test_what_a_payment_settles_is_corrected_in_netsuite(loop: Loop) -> None:
    """Money moves from one invoice to another; the payment that takes its place goes after it."""
    loop.invoice("1", "100.00")
    loop.invoice("2", "100.00")
    loop.payment("p1", "100.00", {"1": "100.00"})
    loop.run()
    loop.billing("UPDATE payment_applications SET invoice_id = '2', amount = '60.00' WHERE payment_id = 'p1'")
    loop.payment("p2", "100.00", {"1": "100.00"})
    done = loop.run()
    assert done.told() == [
        ("customerPayment", "update", "written", True),
        ("customerPayment", "create", "written", True),
    ]
    change = done.operations[0]
    assert (change["method"], change["query"], change["fields"]) == ("PATCH", "", "apply")
    assert _applied(loop, "pay-p1") == {"inv-2": Decimal("60.00")}
    assert _applied(loop, "pay-p2") == {"inv-1": Decimal("100.00")}
    assert loop.is_settled()


def test_a_payment_that_billing_does_not_know_is_never_removed(loop: Loop) -> None:
    loop.invoice("1", "100.00")
    loop.payment("p1", "100.00", {"1": "100.00"})
    loop.run()
    loop.billing("DELETE FROM payment_applications")
    loop.billing("DELETE FROM payments")
    assert loop.tenant.writeback.only_in_netsuite == "delete"
    assert [row["record"] for row in loop.run().operations] == []
    assert _applied(loop, "pay-p1") == {"inv-1": Decimal("100.00")}


def test_a_payment_that_netsuite_holds_as_a_deposit_is_not_paid_a_second_time(loop: Loop) -> None:
    loop.invoice("1", "100.00")
    loop.run()
    deposit = {
        "customer": {"id": loop.get("customer", "cus-c1")["id"]},
        "payment": Decimal("100.00"),
        "tranDate": loop.day(20),
        "externalId": f"{loop.word}pay-p1",
    }
    held = loop.write("customerDeposit", deposit)
    loop.payment("p1", "100.00", {"1": "100.00"})
    (payment,) = frames.records(loop.plan().operations)
    assert (payment["record"], payment["action"]) == ("customerPayment", "create")
    assert payment["held"].startswith("NetSuite holds it as customer deposit")
    assert f"(internal id {held})" in payment["held"]


def test_a_journal_is_booked_with_its_reversal_and_corrected_whole(loop: Loop) -> None:
    loop.bill(
        "journals", id="a", number="ACC-1", dated_on=loop.day(28), currency="USD", legal_entity="us",
        memo="Usage not yet invoiced", reverses_on=f"{next_month(loop.period)}-01",
    )  # fmt: skip
    for number, (account, side) in enumerate((("1150", "debit"), ("4000", "credit")), start=1):
        loop.bill(
            "journal_lines",
            id=f"a-{number}",
            journal_id="a",
            line_no=number,
            account=account,
            **{side: "30.00"},
        )
    done = loop.run()
    assert done.told()[-1] == ("journalEntry", "create", "written", True)
    found = loop.get("journalEntry", "je-a")
    assert (found["tranDate"], found["reversalDate"]) == (loop.day(28), f"{next_month(loop.period)}-01")
    assert "reversalEntry" in found
    assert loop.is_settled()

    loop.billing("UPDATE journal_lines SET debit = '31.50' WHERE debit IS NOT NULL")
    loop.billing("UPDATE journal_lines SET credit = '31.50' WHERE credit IS NOT NULL")
    done = loop.run()
    assert done.told() == [("journalEntry", "update", "written", True)]
    assert done.operations[0]["query"] == "replace=line"
    lines = loop.get("journalEntry", "je-a")["line"]["items"]
    assert [(line.get("debit"), line.get("credit")) for line in lines] == [
        (Decimal("31.5"), None),
        (None, Decimal("31.5")),
    ]


def test_a_journal_that_does_not_balance_is_not_sent_and_names_what_it_books(loop: Loop) -> None:
    loop.bill("journals", id="a", number="ACC-1", dated_on=loop.day(28), currency="USD", legal_entity="us")
    loop.bill("journal_lines", id="a-1", journal_id="a", line_no=1, account="1150", debit="30.00")
    loop.bill("journal_lines", id="a-2", journal_id="a", line_no=2, account="4000", credit="29.99")
    assert [row["record"] for row in loop.run().operations] == ["customer"]
    with loop.warehouse.open("acme") as held:
        [(reason,)] = held.sql(
            "SELECT reason FROM reconciliation.exceptions WHERE record = 'journalEntry' AND stage = 'mapping'"
        )
    assert "it debits 30 and credits 29.99" in reason


def test_usage_that_is_not_invoiced_is_accrued_by_the_tenants_rule(account_url: str, tmp_path: Path) -> None:
    rule = {"usage": {"debit": 1150, "credit": 4000, "memo": "Usage without an invoice"}}
    settings = {"accruals": rule, "billing": {"tables": {"usage": {"table": "usage"}}}}
    loop = Loop(tmp_path, account_url, settings)
    used = {"currency": "USD", "legal_entity": "us", "used_on": loop.day(20)}
    loop.bill("usage", id="u1", amount="12.3456", **used)
    loop.bill("usage", id="u2", amount="7.10", **used)
    loop.bill("usage", id="u3", amount="500.00", invoiced_on=loop.day(25), **used)
    done = loop.run()
    assert done.told() == [("journalEntry", "create", "written", True)]
    name = f"je-accrual-{loop.period}-usage-us-USD"
    found = loop.get("journalEntry", name)
    assert (found["memo"], found["reversalDate"]) == (
        "Usage without an invoice",
        f"{next_month(loop.period)}-01",
    )
    lines = found["line"]["items"]
    assert [(line.get("debit"), line.get("credit")) for line in lines] == [
        (Decimal("19.45"), None),
        (None, Decimal("19.45")),
    ]
    assert loop.is_settled()
    # Invoiced in the month after all: the accrual is less by it.
    loop.billing("UPDATE usage SET invoiced_on = ? WHERE id = 'u1'", [loop.day(26)])
    assert loop.run().told() == [("journalEntry", "update", "written", True)]
    assert [line.get("debit") for line in loop.get("journalEntry", name)["line"]["items"]] == [
        Decimal("7.1"),
        None,
    ]
    loop.close()
