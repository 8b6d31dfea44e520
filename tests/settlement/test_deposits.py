"""Customer deposits in an account: landed with what they settle, and tied out with what billing took in advance."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from month import Books, line
from settlement_tools import NOW, Account
from test_tied_out import tie

from netsuite_assets import frames
from netsuite_assets.extract.deposits import MissingAccount
from netsuite_assets.extract.journals import extract_gl_lines
from resources.netsuite.client import NetSuite
from resources.warehouse import TenantWarehouse


@pytest.fixture
def usual(accounts: dict[str, Account]) -> Account:
    return accounts["usual"]


def test_what_customers_pay_in_advance_ties_on_both_sides(usual: Account, month: str) -> None:
    day = date.fromisoformat(f"{month}-02")
    buyer = usual.customer()
    key = usual.get(f"customer/{buyer}")["externalId"].removeprefix("cus-")
    books = Books()
    books.customer(key)
    books.invoice(f"used-{month}", line("50.00"), customer_id=key, issued_on=day)
    bill = usual.invoice(buyer, f"{month}-02", "50.00", externalId=f"inv-used-{month}")
    books.rows["payments"].append({"id": f"ahead-{month}", "paid_on": day, "currency": "USD", "amount": Decimal("80.00"),
                                   "customer_id": key, "reference": "Ahead"})  # fmt: skip
    books.rows["payment_applications"].append(
        {"payment_id": f"ahead-{month}", "invoice_id": f"used-{month}", "amount": Decimal("30.00")}
    )
    deposit = usual.write(
        "POST", "customerDeposit", {"customer": {"id": buyer}, "payment": 80.0, "tranDate": f"{month}-02"}
    )
    applied = {
        "tranDate": f"{month}-05",
        "apply": {"items": [{"doc": {"id": bill}, "apply": True, "amount": 30.0}]},
    }
    application = usual.write("POST", f"customerDeposit/{deposit}/!transform/depositApplication", applied)
    stranger = usual.write(
        "POST", "customerDeposit", {"customer": {"id": buyer}, "payment": 7.0, "tranDate": f"{month}-03"}
    )
    ((account,),) = [[row["id"] for row in usual.rows("SELECT id FROM account WHERE acctnumber = '2300'")]]
    usual.journal(f"{month}-20", (account, "debit", "4.00"), ("598", "credit", "4.00"), memo="Breakage")

    found = tie(usual, books, month)
    landed = {row["internal_id"]: row for row in usual.landed("netsuite.deposits", month)}
    assert set(landed) == {deposit, application, stranger}
    assert (landed[deposit]["record"], landed[deposit]["total"]) == ("customerDeposit", Decimal("80.00"))
    assert (landed[application]["deposit_id"], landed[application]["total"]) == (deposit, Decimal("30.00"))
    ties = {(row["tie_out"], row["basis"]): row for row in frames.records(found.tie_outs)}
    for basis in ("transaction", "base"):
        row = ties["prepaid", basis]
        assert (row["account_number"], row["left_amount"], row["right_amount"], row["unexplained"]) == (
            "2300", Decimal("50.00"), Decimal("53.00"), Decimal(0),
        )  # fmt: skip
        assert listed(found, "prepaid", basis) == {
            ("only_in_netsuite", Decimal("-7.00")),
            ("journal", Decimal("4.00")),
        }
    # What is owed falls by what is applied.
    assert listed(found, "receivables", "transaction") == listed(found, "control_account", "base") == set()
    assert ties["control_account", "base"]["left_amount"] == Decimal("20.00")
    rolled = {row["side"]: row for row in frames.records(found.roll_forward) if row["balance"] == "prepaid"}
    moved = {
        side: [row[name] for name in ("prepayments", "applications", "adjustments")]
        for side, row in rolled.items()
    }
    assert moved == {
        "billing": [Decimal(80), Decimal(30), Decimal(0)],
        "netsuite": [Decimal(87), Decimal(30), Decimal(-4)],
        "general_ledger": [Decimal(87), Decimal(30), Decimal(-4)],
    }


def listed(found: Any, tie_out: str, basis: str) -> set[tuple[Any, Any]]:
    return {
        (row["cause"], row["amount"])
        for row in frames.records(found.items)
        if (row["tie_out"], row["basis"]) == (tie_out, basis)
    }


def test_accounts_are_named_by_number_and_a_number_that_is_none_is_said(usual: Account, month: str) -> None:
    usual.journal(f"{month}-20", ("11", "debit", "4.00"), ("598", "credit", "4.00"))

    async def land(held: TenantWarehouse, netsuite: NetSuite, *named: str) -> None:
        await usual.land_customers(netsuite)
        await extract_gl_lines(held, netsuite, month, NOW, named)

    usual.extract(lambda held, netsuite: land(held, netsuite, "1000"))
    assert ("1000", Decimal("4.00")) in {
        (row["account_number"], row["amount"]) for row in usual.landed("netsuite.gl_lines", month)
    }
    assert {(row["number"], row["is_named"]) for row in usual.landed("netsuite.prepaid_accounts", month)} >= {
        ("1000", True)
    }
    with pytest.raises(
        MissingAccount, match=r"reconcile\.prepaid_accounts names 9999, and NetSuite shows no account"
    ):
        usual.extract(lambda held, netsuite: land(held, netsuite, "9999"))
