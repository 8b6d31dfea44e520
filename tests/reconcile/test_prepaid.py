"""Prepaid balances: what customers paid in advance, by invoice or as a deposit, and what was used of it, on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from month import Month, TenantRules, line
from test_receivables import ACCOUNTS, Books, Found

from netsuite_assets.extract.deposits import PREPAID_ACCOUNTS
from netsuite_assets.reconcile.subledger import reconcile_receivables
from resources.warehouse import IncompleteSlice, Warehouse


class Prepaid(Books):
    """The books of the other tests, with a liability on which deposits and the item "seats" stand."""

    def __init__(self, month: Month) -> None:
        super().__init__(month)
        self.held.ensure_table("netsuite.prepaid_accounts", PREPAID_ACCOUNTS)
        self._insert(
            "accounts", internal_id="640", number="2300", full_name="Deposits", account_type="OthCurrLiab"
        )
        self._insert("prepaid_accounts", period="2026-10", internal_id="640", number="2300", name="Deposits",
                     account_type="OthCurrLiab", is_named=False)  # fmt: skip
        self.held.sql("UPDATE netsuite.items SET income_account = '640' WHERE internal_id = '12'")

    def deposit(self, internal_id: str, amount: str, *, subsidiary: str = "1", customer: str = "c1",
                currency: str = "USD", posted: str | None = None) -> None:  # fmt: skip
        """NetSuite takes a deposit and posts it."""
        self._document(internal_id, "customerDeposit", amount, subsidiary, customer, currency)
        self.post(
            "CustDep",
            internal_id,
            ("640", f"-{posted or amount}"),
            number=f"D{internal_id}",
            subsidiary=subsidiary,
        )

    def apply(self, internal_id: str, amount: str, deposit: str | None, *, subsidiary: str = "1", customer: str = "c1",
              currency: str = "USD", posted: str | None = None) -> None:  # fmt: skip
        """NetSuite applies a deposit to an invoice."""
        self._document(
            internal_id, "depositApplication", amount, subsidiary, customer, currency, deposit_id=deposit
        )
        worth = posted or amount
        self.post(
            "DepAppl",
            internal_id,
            ("640", worth),
            ("119", f"-{worth}"),
            number=f"A{internal_id}",
            subsidiary=subsidiary,
        )

    def _document(self, internal_id: str, record: str, amount: str, subsidiary: str, customer: str, currency: str,
                  **more: Any) -> None:  # fmt: skip
        self._insert("deposits", period="2026-10", internal_id=internal_id, record=record, number=f"D{internal_id}",
                     name="Nordwind Ltd", status="B", currency=currency, total=Decimal(amount), dated_in="2026-10",
                     customer_external_id=f"cus-{customer}", subsidiary=subsidiary, **more)  # fmt: skip


@pytest.fixture
def books(acme: TenantRules, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prepaid]:
    """An invoice of 100.00 for usage, and one of 60.00 for seats, which are prepaid, and of which 10.00 are used."""
    monkeypatch.setitem(ACCOUNTS, "640", ("2300", "Deposits", "OthCurrLiab"))
    with warehouse.open("acme") as held:
        month = Month(held, acme, "2026-10")
        month.customer("c1", "Nordwind Ltd")
        month.customer("c2", "Café Zürich", currency="USD", legal_entity="eu")
        month.invoice("1", line("100.00"), number="INV-1")
        month.invoice(
            "2", line("60.00", product_id="seats"), line("-10.00", product_id="seats"), number="INV-2"
        )
        month.land()
        held.sql("UPDATE netsuite.invoices SET remaining = total")
        made = Prepaid(month)
        made.post("invoice", month.internal_id("inv-1"), ("119", "100"), ("598", "-100"))
        made.post("invoice", month.internal_id("inv-2"), ("119", "50"), ("640", "-60"), ("640", "10"))
        yield made


def rolled(found: Found) -> dict[tuple[str, str], tuple[Decimal, ...]]:
    """By side and subsidiary: prepayments, applications, credits and adjustments."""
    names = ("prepayments", "applications", "credits", "adjustments")
    return {
        (side, subsidiary): tuple(row[name] for name in names)
        for (balance, side, subsidiary, _), row in found.balances.items()
        if balance == "prepaid"
    }


def test_deposits_that_billing_knows_as_payments_tie_with_the_receivables(books: Prepaid) -> None:
    books.pays("p", "80.00", date(2026, 10, 2), **{"1": "30.00"})
    books.pays("q", "5.00")
    books.land_billing()
    books.deposit("900", "80.00")
    books.apply("901", "10.00", "900")
    books.apply("902", "20.00", "900")
    books.netsuite_pays("903", "5.00")
    found = books.tie()
    assert found.items == []
    sums = {(row["tie_out"], row["basis"]): row["left_amount"] for row in found.ties}
    # 150 less 30 applied and 5 paid: the deposit of 80 lowers what is owed when it is applied.
    assert sums["receivables", "transaction"] == sums["control_account", "base"] == Decimal(115)
    assert sums["prepaid", "transaction"] == sums["prepaid", "base"] == Decimal(80 - 30 + 50)
    same = (Decimal(140), Decimal(40), Decimal(0), Decimal(0))
    assert rolled(found) == {(side, "1"): same for side in ("billing", "netsuite", "general_ledger")}


def test_what_one_side_alone_has_of_prepaid_balances_is_listed(books: Prepaid) -> None:
    books.pays("p", "80.00", **{"1": "30.00"})
    books.land_billing()
    books.deposit("900", "80.00")
    books.deposit("910", "7.00")
    books.apply("911", "2.00", None)
    books.journal("500", ("640", "4.00"), ("598", "-4.00"), memo="Breakage")
    found = books.tie()
    expected = {
        # Billing applied 30.00; NetSuite 2.00, of which deposit no link says.
        ("R-p", Decimal("-30.00"), "missing_in_netsuite"),
        ("D911", Decimal("2.00"), "only_in_netsuite"),
        ("D910", Decimal("-7.00"), "only_in_netsuite"),
        ("JE500", Decimal("4.00"), "journal"),
    }
    assert set(found.why("prepaid", "transaction")) == expected
    ledger = {(amount, cause) for _, amount, cause in found.why("prepaid", "base")}
    assert ledger == {(amount, cause) for _, amount, cause in expected}
    assert rolled(found)["general_ledger", "1"] == (Decimal(147), Decimal(12), Decimal(0), Decimal(-4))
    assert rolled(found)["billing", "1"] == (Decimal(140), Decimal(40), Decimal(0), Decimal(0))


def test_a_deposit_in_another_currency_ties_in_the_subsidiarys_at_the_rate_at_which_it_was_posted(
    books: Prepaid,
) -> None:
    """The company in euros takes dollars: 33.33 are posted as 27.77, and the 11.11 that are applied as 9.26."""
    payment = {"id": "p", "paid_on": date(2026, 10, 2), "currency": "USD", "amount": Decimal("33.33"), "customer_id": "c2",
               "reference": "R-p", "status": "succeeded"}  # fmt: skip
    books.month.books.rows["payments"].append(payment)
    applied = {
        "payment_id": "p",
        "invoice_id": "1",
        "amount": Decimal("11.11"),
        "applied_on": date(2026, 10, 9),
    }
    books.month.books.rows["payment_applications"].append(applied)
    books.land_billing()
    books.deposit("900", "33.33", subsidiary="3", customer="c2", posted="27.77")
    books.apply("901", "11.11", "900", subsidiary="3", customer="c2", posted="9.26")
    found = books.tie()
    assert found.why("prepaid", "transaction") == found.why("prepaid", "base") == []
    tie = found.tie("prepaid", subsidiary="3")
    assert (tie["currency"], tie["left_amount"], tie["right_amount"]) == (
        "EUR",
        Decimal("18.51"),
        Decimal("18.51"),
    )
    assert found.tie("prepaid", "transaction", "3")["left_amount"] == Decimal("22.22")


def test_a_named_account_that_is_tied_out_already_is_tied_out_once(books: Prepaid) -> None:
    books.held.sql("UPDATE netsuite.prepaid_accounts SET internal_id = '610', account_type = 'DeferRevenue'")
    books.land_billing()
    books.journal("500", ("610", "-4.00"), ("598", "4.00"))
    found = books.tie()
    assert {row["tie_out"] for row in found.ties if row["account_number"] == "2500"} == {"deferred_revenue"}


def test_the_month_before_opens_the_balance(books: Prepaid) -> None:
    books.land_billing()
    books.held.sql(
        "INSERT INTO netsuite.prepaid_accounts SELECT * REPLACE ('2026-11' AS period) FROM netsuite.prepaid_accounts"
    )
    books.deposit("900", "7.00")
    books.tie()
    books.month.period = "2026-11"
    books.land_billing()
    books.post("CustDep", "950", ("640", "-3.00"), on=date(2026, 11, 3), period="2026-11")
    row = books.tie().balances["prepaid", "general_ledger", "1", "2300"]
    assert (row["opening"], row["opening_from"]) == (
        Decimal(57),
        "documents of 2026-10, before which nothing was reconciled",
    )
    assert (row["prepayments"], row["closing"]) == (Decimal(3), Decimal(60))


def test_nothing_is_kept_in_memory_and_what_it_may_take_is_as_before(books: Prepaid) -> None:
    books.land_billing()
    books.held.sql("SET memory_limit = '1GiB'")
    before = kept(books)
    books.tie()
    assert kept(books) == before
    books.held.sql("DELETE FROM meta.slices WHERE table_name = 'netsuite.deposits'")
    with pytest.raises(IncompleteSlice):
        reconcile_receivables(books.held, books.month.rules.mapping, "2026-10")
    assert kept(books) == before


def kept(books: Prepaid) -> list[tuple[Any, ...]]:
    return books.held.sql("""
        SELECT table_name FROM duckdb_tables() WHERE temporary UNION ALL
        SELECT view_name FROM duckdb_views() WHERE temporary AND NOT internal UNION ALL
        SELECT current_setting('memory_limit') ORDER BY ALL""")
