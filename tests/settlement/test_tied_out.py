"""What people book in an account, read over its services and tied out with billing: drift both ways, and who else booked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from month import Books, line
from settlement_tools import NOW, Account, shipped_mapping

from netsuite_assets import frames
from netsuite_assets.extract.billing import extract_billing
from netsuite_assets.extract.journals import extract_gl_lines, extract_journals
from netsuite_assets.extract.netsuite import extract_documents
from netsuite_assets.extract.payments import extract_payments
from netsuite_assets.mapping.expected import fill_expected
from netsuite_assets.reconcile.subledger import Receivables, reconcile_receivables
from resources.billing.canonical import TABLES as BILLING
from resources.netsuite.client import NetSuite
from resources.warehouse import TenantWarehouse


@pytest.fixture
def usual(accounts: dict[str, Account]) -> Account:
    return accounts["usual"]


def tie(account: Account, books: Books, month: str) -> Receivables:
    """Land both sides of the month, map billing, and tie out."""
    mapping = shipped_mapping("acme")

    async def work(held: TenantWarehouse, netsuite: NetSuite) -> Receivables:
        await account.land_customers(netsuite)
        extract_billing(held, books, list(BILLING), month, NOW)
        fill_expected(held, mapping, month, NOW)
        for record in ("invoice", "creditMemo"):
            await extract_documents(held, netsuite, mapping.records[record], month, NOW)
        await extract_payments(held, netsuite, None, month, NOW)
        await extract_journals(held, netsuite, None, month, NOW)
        await extract_gl_lines(held, netsuite, month, NOW)
        return reconcile_receivables(held, mapping, month)

    found: Receivables = account.extract(work)
    return found


def test_drift_both_ways_and_a_journal_from_elsewhere(usual: Account, month: str) -> None:
    first = date.fromisoformat(f"{month}-01")
    buyer = usual.customer()
    external_id = usual.get(f"customer/{buyer}")["externalId"]
    books = Books()
    books.customer(external_id.removeprefix("cus-"))
    refs: dict[str, str] = {}
    for key, amount in (("agreed", "100.00"), ("here", "50.00"), ("there", "30.00"), ("loose", "20.00")):
        of_month = f"{key}-{month}"
        books.invoice(
            of_month, line(amount), customer_id=external_id.removeprefix("cus-"), number=key, issued_on=first
        )
        refs[key] = usual.invoice(buyer, f"{month}-01", amount, externalId=f"inv-{of_month}")

    def pays(key: str, amount: str) -> None:
        payment = {
            "id": f"{key}-{month}",
            "paid_on": first,
            "currency": "USD",
            "amount": Decimal(amount),
            "reference": key,
        }
        books.rows["payments"].append({**payment, "customer_id": external_id.removeprefix("cus-")})
        applied = {"payment_id": f"{key}-{month}", "invoice_id": f"{key}-{month}", "amount": Decimal(amount)}
        books.rows["payment_applications"].append(applied)

    for key, amount in (("agreed", "100.00"), ("here", "50.00"), ("loose", "20.00")):
        pays(key, amount)
    usual.payment(buyer, f"{month}-05", "100.00", **{refs["agreed"]: "100.00"})
    usual.payment(buyer, f"{month}-05", "30.00", **{refs["there"]: "30.00"})
    usual.payment(buyer, f"{month}-05", "20.00")
    ((receivable,),) = [
        [row["id"] for row in usual.rows("SELECT id FROM account WHERE accttype = 'AcctRec' ORDER BY id")][:1]
    ]
    entity = {"entity": {"id": buyer}}
    usual.write("POST", "journalEntry", {
        "tranDate": f"{month}-20", "subsidiary": {"id": "1"}, "memo": "Write-off", "line": {"items": [
            {"account": {"id": receivable}, "credit": 5.0, **entity}, {"account": {"id": "598"}, "debit": 5.0}]}})  # fmt: skip

    found = tie(usual, books, month)
    assert {
        (row["kind"], row["record"], row["number"] if row["record"] == "invoice" else None, row["amount"])
        for row in frames.records(found.drift)
    } == {
        ("paid_in_billing", "invoice", "here", Decimal("50.00")),
        ("paid_in_billing", "invoice", "loose", Decimal("20.00")),
        ("paid_in_netsuite", "invoice", "there", Decimal("30.00")),
        ("unapplied", "customerPayment", None, Decimal("20.00")),
        ("unknown_payment", "customerPayment", None, Decimal("30.00")),
    }
    ties = {(row["tie_out"], row["basis"]): row for row in frames.records(found.tie_outs)}
    # Billing: 200.00 less 170.00 paid. NetSuite: 200.00 less 150.00 paid less the journal.
    receivables = ties["receivables", "transaction"]
    assert (receivables["left_amount"], receivables["right_amount"]) == (Decimal("30.00"), Decimal("45.00"))
    assert (receivables["explained"], receivables["unexplained"]) == (Decimal("-15.00"), 0)
    # What the account posted is what its documents say.
    control = ties["control_account", "base"]
    assert (control["left_amount"], control["right_amount"], control["items"]) == (
        Decimal("45.00"),
        Decimal("45.00"),
        0,
    )
    assert _causes(found, "receivables", "transaction") == {
        ("missing_in_netsuite", Decimal("-50.00")),
        ("only_in_netsuite", Decimal("30.00")),
        ("journal", Decimal("5.00")),
    }
    (revenue,) = [
        row
        for row in frames.records(found.items)
        if row["tie_out"] == "revenue" and row["cause"] == "journal"
    ]
    assert (revenue["name"], revenue["amount"]) == ("Write-off", Decimal("5.00"))


def _causes(found: Receivables, tie_out: str, basis: str) -> set[tuple[Any, Any]]:
    return {
        (row["cause"], row["amount"])
        for row in frames.records(found.items)
        if (row["tie_out"], row["basis"]) == (tie_out, basis)
    }
