"""Receivables by hand: what ties, what stands between, what is open, and where an opening comes from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from random import Random
from typing import Any, Literal

import duckdb
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from month import NOW, Month, TenantRules, line

from netsuite_assets import frames
from netsuite_assets.extract.deposits import DEPOSITS
from netsuite_assets.extract.journals import GL_LINES, JOURNAL_LINES, JOURNALS
from netsuite_assets.extract.payments import APPLICATIONS, PAYMENTS
from netsuite_assets.extract.reference import MASTERS
from netsuite_assets.reconcile.receivables_assets import items_table, roll_forward_table, ties_table
from netsuite_assets.reconcile.subledger import Receivables, reconcile_receivables
from netsuite_assets.reconcile.tie_outs import MACROS
from netsuite_assets.tables import VOID_CREDITS
from resources.warehouse import IncompleteSlice, Warehouse

ACCOUNTS = {
    "119": ("1100", "Accounts Receivable", "AcctRec"),
    "598": ("4000", "Usage Revenue", "Income"),
    "610": ("2500", "Deferred Revenue", "DeferRevenue"),
    "411": ("1150", "Unbilled Receivable", "UnbilledRec"),
}
TYPES = {
    "invoice": "CustInvc",
    "creditMemo": "CustCred",
    "customerPayment": "CustPymt",
    "journalEntry": "Journal",
}


class Books:
    """A month of acme with what NetSuite posts of it, payments and journals; euros are worth 1.10 dollars."""

    def __init__(self, month: Month) -> None:
        self.month, self.held, self._line = month, month.held, 0
        for table, columns in (
            ("payments", PAYMENTS), ("applications", APPLICATIONS), ("journals", JOURNALS),
            ("journal_lines", JOURNAL_LINES), ("gl_lines", GL_LINES), ("deposits", DEPOSITS),
        ):  # fmt: skip
            self.held.ensure_table(f"netsuite.{table}", columns)
        for master in MASTERS:
            self.held.ensure_table(f"netsuite.{master.table}", master.landed)
        for key, (number, name, kind) in ACCOUNTS.items():
            self._insert("accounts", internal_id=key, number=number, full_name=name, account_type=kind)
        for key in ("10", "11", "12"):
            self._insert("items", internal_id=key, item_id=key, income_account="598")
        for key, symbol, rate in (("1", "USD", "1"), ("4", "EUR", "1.2")):
            self._insert("currencies", internal_id=key, symbol=symbol, precision=2, exchange_rate=Decimal(rate),
                         is_base=symbol == "USD")  # fmt: skip
        for key, name, currency in (("1", "Acme Inc.", "1"), ("3", "Acme GmbH", "4")):
            self._insert("subsidiaries", internal_id=key, name=name, currency_id=currency)

    def _insert(self, table: str, **values: Any) -> None:
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" for _ in values)
        self.held.sql(f"INSERT INTO netsuite.{table} ({names}) VALUES ({marks})", list(values.values()))

    def post(self, record: str, internal_id: str, *lines: tuple[str, str], subsidiary: str = "1",
             external_id: str | None = None, number: str | None = None, on: date = date(2026, 10, 15),
             period: str = "2026-10") -> None:  # fmt: skip
        """Ledger lines of a transaction: account and amount (debit less credit)."""
        for account, amount in lines:
            self._line += 1
            code, name, kind = ACCOUNTS[account]
            value = Decimal(amount)
            self._insert("gl_lines", period=period, transaction_id=internal_id, type=TYPES.get(record, record),
                         number=number, external_id=external_id, line_no=self._line, account_id=account,
                         account_number=code, account_name=name, account_type=kind,
                         debit=value if value > 0 else None, credit=-value if value < 0 else None, amount=value,
                         subsidiary=subsidiary, posted_on=on)  # fmt: skip

    def post_documents(self) -> None:
        """NetSuite posts what it holds of the month, one account of revenue."""
        rows = self.held.sql(
            "SELECT 'invoice', internal_id, external_id, number, subsidiary, total FROM netsuite.invoices UNION ALL"
            " SELECT 'creditMemo', internal_id, external_id, number, subsidiary, -total FROM netsuite.credit_memos ORDER BY 2"
        )
        for record, internal_id, external_id, number, subsidiary, total in rows:
            self.post(record, internal_id, ("119", str(total)), ("598", str(-total)), subsidiary=subsidiary,
                      external_id=external_id, number=number)  # fmt: skip

    def pays(
        self, key: str, amount: str, on: date = date(2026, 10, 20), status: str = "succeeded", **applied: str
    ) -> None:
        """Billing takes a payment of the customer c1; `applied` is what goes to which invoice."""
        rows = self.month.books.rows
        rows["payments"].append(
            {"id": key, "paid_on": on, "currency": "USD", "amount": Decimal(amount), "customer_id": "c1",
             "reference": f"R-{key}", "status": status}
        )  # fmt: skip
        for invoice, part in applied.items():
            rows["payment_applications"].append(
                {"payment_id": key, "invoice_id": invoice, "amount": Decimal(part), "applied_on": on}
            )

    def netsuite_pays(self, internal_id: str, amount: str, on: date = date(2026, 10, 20), period: str = "2026-10",
                      **applied: str) -> None:  # fmt: skip
        """NetSuite holds a payment of the customer c1, applied to these invoices; it posts it to receivables."""
        used = sum((Decimal(part) for part in applied.values()), Decimal(0))
        self._insert("payments", period=period, internal_id=internal_id, number=f"P{internal_id}", name="Nordwind Ltd",
                     status="C", currency="USD", total=Decimal(amount), remaining=Decimal(amount) - used,
                     dated_in=f"{on:%Y-%m}", customer_external_id="cus-c1", subsidiary="1", is_voided=False)  # fmt: skip
        for invoice, part in applied.items():
            owner = self.month.internal_id(f"inv-{invoice}")
            self._insert("applications", period=period, applying_record="customerPayment", applying_id=internal_id,
                         applying_number=f"P{internal_id}", invoice_id=owner, invoice_number=f"T-{invoice}",
                         invoice_external_id=f"inv-{invoice}", currency="USD", amount=Decimal(part), applied_on=on,
                         last_modified="then")  # fmt: skip
            self.held.sql(
                "UPDATE netsuite.invoices SET remaining = remaining - ? WHERE internal_id = ?",
                [Decimal(part), owner],
            )
        self.post(
            "customerPayment",
            internal_id,
            ("119", f"-{amount}"),
            number=f"P{internal_id}",
            on=on,
            period=period,
        )

    def journal(self, internal_id: str, *lines: tuple[str, str], memo: str = "By hand", posted: bool = True,
                **more: Any) -> None:  # fmt: skip
        """A journal of NetSuite: account and amount (debit less credit)."""
        self._insert("journals", period="2026-10", internal_id=internal_id, number=f"JE{internal_id}", currency="USD",
                     dated_in="2026-10", memo=memo, created_by="Mia Keller", subsidiary="1", **more)  # fmt: skip
        for position, (account, amount) in enumerate(lines, start=1):
            value = Decimal(amount)
            self._insert("journal_lines", period="2026-10", internal_id=internal_id, line_key=f"{internal_id}-{position}",
                         line_no=position, account_id=account, subsidiary="1",
                         debit=value if value > 0 else None, credit=-value if value < 0 else None)  # fmt: skip
        if posted:
            self.post(
                "journalEntry",
                internal_id,
                *lines,
                number=f"JE{internal_id}",
                external_id=more.get("external_id"),
            )

    def land_billing(self) -> None:
        """Billing's slices, with payments, as they are now."""
        self.month.map_billing()

    def tie(self, drift_is: Literal["exceptions", "report"] = "exceptions") -> Found:
        """What is found in the tables as they are."""
        self.month.prove()
        for table, key in (("payments", "internal_id"), ("journals", "internal_id"), ("journal_lines", "line_key"),
                           ("gl_lines", "line_no"), ("deposits", "internal_id"), ("applications", "applying_id, invoice_id")):  # fmt: skip
            rows = self.held.value(
                f"SELECT count(*) FROM netsuite.{table} WHERE period = ?", [self.month.period]
            )
            self.held.record_slice(f"netsuite.{table}", self.month.period, key=key.split(", "), expected_rows=rows,
                                   source="NetSuite", now=NOW)  # fmt: skip
        return Found(reconcile_receivables(self.held, self.month.rules.mapping, self.month.period, drift_is))


class Found:
    """What was found, as plain rows; everything adds up, or it is an error."""

    def __init__(self, found: Any) -> None:
        self.frames: Receivables = found
        self.ties = frames.records(found.tie_outs)
        self.items = frames.records(found.items)
        self.rolled = {
            (row["side"], row["subsidiary"], row["currency"]): row
            for row in frames.records(found.roll_forward)
            if row["balance"] == "receivables"
        }
        self.balances = {
            (row["balance"], row["side"], row["subsidiary"], row["account_number"]): row
            for row in frames.records(found.roll_forward)
            if row["balance"] != "receivables"
        }
        self.drift = frames.records(found.drift)
        self.aging = frames.records(found.aging)
        self.exceptions = frames.records(found.exceptions)
        for row in self.ties:
            assert row["difference"] == row["left_amount"] - row["right_amount"]
            assert row["difference"] == row["explained"] + row["unexplained"]
            place = ("tie_out", "basis", "subsidiary", "account_name", "currency")
            mine = [item for item in self.items if all(item[name] == row[name] for name in place)]
            assert sum((item["amount"] for item in mine), Decimal(0)) == row["difference"], row
            assert row["items"] == len(mine)

    def tie(self, tie_out: str, basis: str = "base", subsidiary: str = "1") -> dict[str, Any]:
        (row,) = [
            row
            for row in self.ties
            if (row["tie_out"], row["basis"], row["subsidiary"]) == (tie_out, basis, subsidiary)
        ]
        return row

    def why(self, tie_out: str, basis: str = "base") -> list[tuple[Any, ...]]:
        """Number, amount and cause of what stands between the sides."""
        return [
            (row["number"], row["amount"], row["cause"])
            for row in self.items
            if (row["tie_out"], row["basis"]) == (tie_out, basis)
        ]


@pytest.fixture
def books(acme: TenantRules, warehouse: Warehouse) -> Iterator[Books]:
    """Two dollar invoices of 100.00 and 50.00, one of EUR 80.00 of the company in euros, and a credit note of 12.00."""
    with warehouse.open("acme") as held:
        month = Month(held, acme, "2026-10")
        month.customer("c1", "Nordwind Ltd")
        month.customer("c2", "Café Zürich", currency="EUR", legal_entity="eu")
        month.invoice("1", line("100.00"), number="INV-1", due_on=date(2026, 10, 20))
        month.invoice("2", line("50.00"), number="INV-2", due_on=date(2026, 11, 14))
        month.invoice("3", line("80.00"), number="INV-3", customer_id="c2", currency="EUR", legal_entity="eu")
        month.credit_note("c", line("12.00", "Goodwill"), number="CN-1")
        month.land()
        held.sql("UPDATE netsuite.invoices SET remaining = total")
        held.sql("UPDATE netsuite.credit_memos SET remaining = total")
        made = Books(month)
        made.post_documents()
        yield made


def test_what_agrees_ties_in_every_way(books: Books) -> None:
    books.pays("p", "100.00", **{"1": "100.00"})
    books.land_billing()
    books.netsuite_pays("900", "100.00", **{"1": "100.00"})
    found = books.tie()
    assert found.items == found.drift == []
    assert {(row["tie_out"], row["basis"], row["subsidiary"], row["left_amount"], row["right_amount"]) for row in found.ties} == {
        # 100 + 50 - 12 - 100; euros are the other company's own currency.
        ("receivables", "transaction", "1", Decimal(38), Decimal(38)),
        ("receivables", "transaction", "3", Decimal(80), Decimal(80)),
        ("receivables", "base", "1", Decimal(38), Decimal(38)),
        ("receivables", "base", "3", Decimal(80), Decimal(80)),
        ("control_account", "base", "1", Decimal(38), Decimal(38)),
        ("control_account", "base", "3", Decimal(80), Decimal(80)),
        ("revenue", "base", "1", Decimal(138), Decimal(138)),
        ("revenue", "base", "3", Decimal(80), Decimal(80)),
    }  # fmt: skip
    assert found.tie("revenue")["account_name"] == "Usage Revenue"
    assert found.tie("revenue")["subsidiary_name"] == "Acme Inc."


# What stands between


def test_every_cause_is_told_with_its_amount(books: Books) -> None:
    books.pays("p", "30.00")
    books.month.invoice("nobody", line("7.00"), customer_id=None, number="INV-9")
    books.month.invoice("4", line("5.00"), number="INV-4")
    books.land_billing()
    books.held.sql("UPDATE netsuite.invoices SET total = total + 0.25 WHERE external_id = 'inv-2'")
    books.month.copy("inv-1", "77", number="OTHER-1", total=Decimal("9.00"))
    books.netsuite_pays("900", "31.00")
    books.journal("500", ("119", "-3.00"), ("598", "3.00"), memo="Write-off")
    found = books.tie()
    row = found.tie("receivables", "transaction")
    # Billing: 100 + 50 + 7 + 5 - 12 - 30. NetSuite: 100 + 50.25 + 9 - 12 - 31 - 3.
    assert (row["left_amount"], row["right_amount"]) == (Decimal("120.00"), Decimal("113.25"))
    assert (row["difference"], row["explained"], row["unexplained"]) == (Decimal("6.75"), Decimal("6.75"), 0)
    assert set(found.why("receivables", "transaction")) == {
        ("INV-9", Decimal("7.00"), "not_mapped"),
        ("INV-4", Decimal("5.00"), "missing_in_netsuite"),
        ("INV-2", Decimal("-0.25"), "amount"),
        ("OTHER-1", Decimal("-9.00"), "only_in_netsuite"),
        ("R-p", Decimal("30.00") * -1, "missing_in_netsuite"),
        ("P900", Decimal("31.00"), "only_in_netsuite"),
        ("JE500", Decimal("3.00"), "journal"),
    }
    (journal,) = [
        item
        for item in found.items
        if item["number"] == "JE500" and item["tie_out"] == "receivables" and item["basis"] == "transaction"
    ]
    assert (journal["name"], journal["record"]) == ("Write-off", "journalEntry")
    assert journal["reason"] == "A journal that does not come from billing, booked by Mia Keller."


def test_the_control_account_against_the_documents(books: Books) -> None:
    books.land_billing()
    books.journal("500", ("119", "-3.00"), ("598", "3.00"), posted=False)
    books.post("invoice", "4711", ("119", "20.00"), ("598", "-20.00"), number="INV-0", on=date(2026, 9, 30))
    books.post("FxReval", "4712", ("119", "0.40"), number="RV-1")
    books.post("invoice", books.month.internal_id("inv-2"), ("119", "0.01"))
    found = books.tie()
    row = found.tie("control_account")
    # 138 in documents less 3 by a journal that is not posted; posted: 138 + 20 + 0.40 + 0.01.
    assert (row["left_amount"], row["right_amount"]) == (Decimal("135.00"), Decimal("158.41"))
    assert (row["explained"], row["unexplained"]) == (Decimal("-23.40"), Decimal("-0.01"))
    assert set(found.why("control_account")) == {
        ("JE500", Decimal("-3.00"), "not_posted"),
        ("INV-0", Decimal("-20.00"), "dated_elsewhere"),
        ("RV-1", Decimal("-0.40"), "other_transaction"),
        ("T-INV-2", Decimal("-0.01"), "unexplained"),
    }


def test_revenue_by_account(books: Books) -> None:
    """Recognition takes 40.00 out of deferred revenue; one line was posted to deferred revenue by hand."""
    books.land_billing()
    books.journal("500", ("610", "40.00"), ("598", "-40.00"), memo="Recognition", is_revenue_recognition=True)
    books.journal("501", ("411", "6.00"), ("598", "-6.00"), memo="Accrual by hand")
    found = books.tie()
    assert found.tie("revenue")["difference"] == Decimal("-46.00")
    assert set(found.why("revenue")) == {
        ("JE500", Decimal("-40.00"), "revenue_recognition"),
        ("JE501", Decimal("-6.00"), "journal"),
    }
    assert found.why("deferred_revenue") == [("JE500", Decimal("40.00"), "revenue_recognition")]
    # Unbilled receivables are told as debits.
    assert found.why("unbilled") == [("JE501", Decimal("-6.00"), "journal")]
    assert found.tie("deferred_revenue")["account_number"] == "2500"


def test_a_line_that_netsuite_posts_to_another_account(books: Books) -> None:
    books.land_billing()
    owner = books.month.internal_id("inv-2")
    books.held.sql(
        "UPDATE netsuite.gl_lines SET account_id = '610', account_number = '2500', account_name = 'Deferred Revenue',"
        " account_type = 'DeferRevenue' WHERE transaction_id = ? AND account_id = '598'",
        [owner],
    )
    found = books.tie()
    assert found.why("revenue") == [("INV-2", Decimal("50.00"), "not_posted")]
    assert found.why("deferred_revenue") == [("T-INV-2", Decimal("-50.00"), "only_in_netsuite")]


def test_another_currency_is_taken_at_the_rate_at_which_netsuite_posted(books: Books) -> None:
    books.month.invoice("5", line("33.33"), line("33.33"), line("33.33"), currency="EUR", number="INV-5")
    books.month.land()
    books.held.sql("DELETE FROM netsuite.gl_lines")
    books.post_documents()
    owner = books.month.internal_id("inv-5")
    books.held.sql("DELETE FROM netsuite.gl_lines WHERE transaction_id = ?", [owner])
    # EUR 99.99 at 1.1 are USD 109.99 (109.989); each line of EUR 33.33 is USD 36.66 (36.663).
    books.post(
        "invoice",
        owner,
        ("119", "109.99"),
        ("598", "-36.66"),
        ("598", "-36.66"),
        ("598", "-36.66"),
        external_id="inv-5",
    )
    found = books.tie()
    assert found.tie("receivables")["difference"] == found.tie("control_account")["difference"] == 0
    assert found.tie("receivables")["left_amount"] == Decimal("138.00") + Decimal("109.99")
    # Three lines, rounded one by one, are a cent less than their sum.
    assert found.why("revenue") == [("INV-5", Decimal("0.01"), "rounding")]


def test_nothing_is_told_on_what_is_not_complete(books: Books) -> None:
    books.land_billing()
    with pytest.raises(IncompleteSlice, match=r"netsuite\.gl_lines \(2026-10\)"):
        reconcile_receivables(books.held, books.month.rules.mapping, "2026-10")


# The roll-forward


def test_an_opening_that_nobody_knows_is_not_zero(books: Books) -> None:
    books.pays("p", "30.00")
    books.land_billing()
    books.journal("500", ("119", "-3.00"), ("598", "3.00"))
    row = books.tie().rolled["billing", "1", "USD"]
    assert (row["opening"], row["opening_from"], row["closing"]) == (None, "not known", None)
    assert [row[name] for name in ("invoices", "credits", "payments", "adjustments")] == [150, 12, 30, 0]
    other = books.tie().rolled["general_ledger", "1", "USD"]
    assert [other[name] for name in ("invoices", "credits", "payments", "adjustments")] == [150, 12, 0, -3]


def test_an_opening_is_what_landed_before_and_then_the_closing_that_is_held(books: Books) -> None:
    books.month.invoice("old", line("40.00"), issued_on=date(2026, 9, 3))
    september = Month(books.held, books.month.rules, "2026-09")
    september.books = books.month.books
    september.map_billing()
    books.land_billing()
    row = books.tie().rolled["billing", "1", "USD"]
    assert (row["opening"], row["closing"]) == (Decimal("40.00"), Decimal("178.00"))
    assert row["opening_from"] == "documents of 2026-09, before which nothing landed"
    # NetSuite's September never landed.
    assert books.tie().rolled["netsuite", "1", "USD"]["closing"] is None
    # Once a closing of September is held, it counts, whatever landed.
    books.held.sql(
        "INSERT INTO reconciliation.roll_forward SELECT * REPLACE ('2026-09' AS period, 45.00 AS closing)"
        " FROM reconciliation.roll_forward WHERE side = 'billing' AND subsidiary = '1'"
    )
    found = books.tie()
    row = found.rolled["billing", "1", "USD"]
    assert (row["opening"], row["opening_from"], row["closing"]) == (
        Decimal("45.00"),
        "closing of 2026-09",
        Decimal("183.00"),
    )
    # The company in euros had nothing to close.
    assert found.rolled["billing", "3", "EUR"]["opening"] == 0


def defer(books: Books) -> None:
    """Products 10 and 12 are earned later: what is billed of them is deferred, and NetSuite posts it so."""
    books.held.sql("UPDATE netsuite.items SET deferred_revenue_account = '610'")
    books.held.sql(
        "UPDATE netsuite.gl_lines SET account_id = '610', account_number = '2500', account_name = 'Deferred Revenue',"
        " account_type = 'DeferRevenue' WHERE account_id = '598'"
    )


def test_deferred_revenue_rolls_forward_by_account_on_both_sides(books: Books) -> None:
    defer(books)
    books.land_billing()
    # What was earned of it, and a share that is billed later than it is earned.
    books.journal("500", ("610", "30.00"), ("598", "-30.00"), is_revenue_recognition=True)
    books.journal("501", ("411", "8.00"), ("598", "-8.00"), is_revenue_recognition=True)
    found = books.tie()
    names = ("opening", "opening_from", "invoices", "credits", "payments", "adjustments", "closing")
    billing = found.balances["deferred_revenue", "billing", "1", "2500"]
    ledger = found.balances["deferred_revenue", "general_ledger", "1", "2500"]
    assert [billing[name] for name in names] == [None, "not known", 150, 12, 0, 0, None]
    assert [ledger[name] for name in names] == [None, "not known", 150, 12, 0, -30, None]
    assert (ledger["account_name"], ledger["subsidiary_name"], ledger["currency"]) == (
        "Deferred Revenue",
        "Acme Inc.",
        "USD",
    )
    unbilled = found.balances["unbilled", "general_ledger", "1", "1150"]
    assert [unbilled[name] for name in names] == [None, "not known", 0, 0, 0, 8, None]
    assert "| Deferred revenue | 2500 Deferred Revenue | General ledger | Acme Inc. | USD | not known |" in (
        roll_forward_table(found.frames.roll_forward)
    )


def test_a_balance_by_account_opens_with_what_was_reconciled_before_and_then_with_the_closing(
    books: Books,
) -> None:
    defer(books)
    books.land_billing()
    books.tie()
    held = "reconciliation.roll_forward"
    books.held.sql(f"UPDATE {held} SET period = '2026-09'")
    found = books.tie()
    row = found.balances["deferred_revenue", "general_ledger", "1", "2500"]
    assert (row["opening"], row["closing"]) == (138, 276)
    assert row["opening_from"] == "documents of 2026-09, before which nothing was reconciled"
    # A balance that moved nothing before opens with nothing, and one that moves nothing now stays as it was.
    books.held.sql(
        f"UPDATE {held} SET opening = 1000, closing = 1138 WHERE period = '2026-09' AND side = 'general_ledger'"
    )
    books.held.sql("DELETE FROM netsuite.gl_lines WHERE account_id = '610'")
    row = books.tie().balances["deferred_revenue", "general_ledger", "1", "2500"]
    assert (row["opening"], row["opening_from"], row["closing"]) == (1138, "closing of 2026-09", 1138)


# What is open


def drift(found: Found) -> set[tuple[Any, ...]]:
    return {
        (row["kind"], row["number"], row["billing_open"], row["netsuite_open"], row["amount"])
        for row in found.drift
    }


def test_paid_here_and_open_there_both_ways(books: Books) -> None:
    books.pays("p", "100.00", **{"1": "100.00"})
    books.pays("failed", "50.00", status="failed", **{"2": "50.00"})
    books.land_billing()
    books.netsuite_pays("900", "50.00", **{"2": "50.00"})
    found = books.tie()
    assert drift(found) == {
        ("paid_in_billing", "INV-1", Decimal(0), Decimal(100), Decimal(100)),
        ("paid_in_netsuite", "INV-2", Decimal(50), Decimal(0), Decimal(50)),
        ("unknown_payment", "P900", None, Decimal(0), Decimal(50)),
    }
    told = {row["number"]: row["reason"] for row in found.drift}
    assert told["INV-1"] == "Paid in billing; NetSuite shows USD 100.00 open."
    assert told["INV-2"] == "Paid in NetSuite; billing shows USD 50.00 open."


def test_open_by_another_amount_and_applied_too_much(books: Books) -> None:
    books.pays("p", "40.00", **{"1": "40.00"})
    books.pays("q", "60.00", **{"2": "60.00"})
    books.pays("r", "10.00", **{"3": "11.00"})
    books.land_billing()
    books.netsuite_pays("900", "40.00", **{"1": "30.00"})
    assert drift(books.tie()) == {
        ("open_differs", "INV-1", Decimal(60), Decimal(70), Decimal(10)),
        ("open_differs", "INV-3", Decimal(69), Decimal(80), Decimal(11)),
        ("paid_in_billing", "INV-2", Decimal(0), Decimal(50), Decimal(50)),
        # Billing took 60.00 for an invoice of 50.00, and gave out more than the payment r had.
        ("over_applied", "INV-2", Decimal(-10), Decimal(50), Decimal(10)),
        ("over_applied", "R-r", Decimal(-1), None, Decimal(1)),
        # The same payment of 40.00 is known by its customer, amount and month; 10.00 of it are not applied.
        ("unapplied", "P900", None, Decimal(10), Decimal(10)),
    }


def test_a_payment_of_the_next_month_changes_nothing_in_this_one(books: Books) -> None:
    books.pays("p", "100.00", on=date(2026, 11, 2), **{"1": "100.00"})
    november = Month(books.held, books.month.rules, "2026-11")
    november.books = books.month.books
    november.map_billing()
    books.land_billing()
    # NetSuite took it on the same day: the invoice shows nothing open any more.
    books.netsuite_pays("900", "100.00", on=date(2026, 11, 2), period="2026-11", **{"1": "100.00"})
    books.held.sql("UPDATE netsuite.applications SET period = '2026-10'")  # it landed with its invoice
    assert books.tie().drift == []


# What needs a person


def told(found: Found) -> set[tuple[Any, ...]]:
    return {(row["code"], row["number"], row["currency"], row["amount"]) for row in found.exceptions}


def differs(books: Books, record: str, external_id: str | None, kind: str, **more: Any) -> None:
    """The reconciliation found this of a document of the month."""
    row = {"period": "2026-10", "record": record, "external_id": external_id, "kind": kind, "amount": Decimal(0),
           "delta": Decimal(0), "owner": "billing", "reason": "It differs.", **more}  # fmt: skip
    frames.ensure(books.held, frames.DIFFERENCES)
    names = ", ".join(row)
    books.held.sql(
        f"INSERT INTO reconciliation.differences ({names}) VALUES ({', '.join('?' * len(row))})",
        list(row.values()),
    )


def drifting(books: Books) -> None:
    """Billing has INV-1 paid and NetSuite has it open; NetSuite has INV-2 paid and billing has it open."""
    books.pays("p", "100.00", **{"1": "100.00"})
    books.land_billing()
    books.netsuite_pays("900", "50.00", **{"2": "50.00"})


PAID_IN_BILLING = ("paid_in_billing", "INV-1", "USD", Decimal(100))
PAID_IN_NETSUITE = ("paid_in_netsuite", "INV-2", "USD", Decimal(50))
UNKNOWN = ("unknown_payment", "P900", "USD", Decimal(50))


def test_each_drift_is_one_exception_with_what_to_do_and_closes_when_it_is_gone(books: Books) -> None:
    drifting(books)
    found = books.tie()
    assert told(found) == {PAID_IN_BILLING, PAID_IN_NETSUITE, UNKNOWN}
    assert len(found.exceptions) == 3
    steps = {row["number"]: (row["stage"], row["reason"], row["next_step"]) for row in found.exceptions}
    assert steps["INV-2"] == (
        "receivables",
        "Paid in NetSuite; billing shows USD 50.00 open.",
        "Record the payment in billing, or take the application back in NetSuite.",
    )
    books.pays("q", "50.00", **{"2": "50.00"})
    books.land_billing()
    assert told(books.tie()) == {PAID_IN_BILLING}


def test_a_tenant_may_have_drift_reported_alone(books: Books) -> None:
    drifting(books)
    books.tie()
    found = books.tie("report")
    assert (found.exceptions, len(found.drift)) == ([], 3)
    assert books.held.value("SELECT count(*) FROM reconciliation.exceptions") == 0


def test_a_document_whose_amount_differs_has_no_second_exception(books: Books) -> None:
    drifting(books)
    differs(books, "invoice", "inv-1", "line_changed", field="amount", delta=Decimal("5.00"))
    differs(books, "invoice", "inv-2", "changed", field="memo")  # says nothing of what is open
    found = books.tie()
    assert told(found) == {PAID_IN_NETSUITE, UNKNOWN}
    assert len(found.drift) == 3


def test_what_a_payment_or_credit_memo_that_is_told_of_settles_has_no_exception_of_its_own(
    books: Books,
) -> None:
    drifting(books)
    assert PAID_IN_NETSUITE in told(books.tie())
    differs(
        books,
        "customerPayment",
        None,
        "only_in_netsuite",
        internal_id="900",
        delta=Decimal("-50.00"),
    )
    assert told(books.tie()) == {PAID_IN_BILLING}


def test_an_invoice_of_a_credit_memo_that_netsuite_lacks_has_no_exception_of_its_own(books: Books) -> None:
    books.month.credit_note("d", line("20.00", "Correction"), number="CN-2", invoice_id="1")
    books.land_billing()
    drifted = ("open_differs", "INV-1", "USD", Decimal(20))
    assert told(books.tie()) == {drifted}
    differs(books, "creditMemo", "cm-d", "missing_in_netsuite", delta=Decimal("20.00"))
    assert told(books.tie()) == set()


def test_a_voided_invoice_whose_credit_memo_netsuite_lacks_has_no_exception_of_its_own(books: Books) -> None:
    books.month.books.rows["invoices"][0]["status"] = "void"
    books.land_billing()
    drifted = ("paid_in_billing", "INV-1", "USD", Decimal(100))
    assert told(books.tie()) == {drifted}
    books.held.ensure_table(VOID_CREDITS, {"external_id": "VARCHAR", "invoice_external_id": "VARCHAR"})
    books.held.sql(f"INSERT INTO {VOID_CREDITS} VALUES ('void-inv-1', 'inv-1')")
    differs(books, "creditMemo", "void-inv-1", "missing_in_netsuite", delta=Decimal("100.00"))
    assert told(books.tie()) == set()


def test_what_cannot_be_mapped_is_one_exception_and_not_two(books: Books) -> None:
    drifting(books)
    frames.ensure(books.held, frames.EXCEPTIONS)
    books.held.sql(
        "INSERT INTO reconciliation.exceptions (period, stage, code, record, external_id, amount, reason, next_step)"
        " VALUES ('2026-10', 'mapping', 'unmapped_value', 'invoice', 'inv-1', 100, 'No.', 'Do.'),"
        " ('2026-10', 'reconcile', 'not_linked', 'invoice', 'inv-2', 50, 'No.', 'Do.')"
    )
    assert told(books.tie()) == {PAID_IN_NETSUITE, UNKNOWN}


def test_what_was_settled_in_a_later_month_is_past(books: Books) -> None:
    books.pays("p", "100.00", **{"1": "100.00"})
    books.land_billing()
    assert told(books.tie()) == {PAID_IN_BILLING}
    # Paid in billing in October; NetSuite applied it in November.
    books.netsuite_pays("900", "100.00", on=date(2026, 11, 3), period="2026-11", **{"1": "100.00"})
    books.held.sql("UPDATE netsuite.applications SET period = '2026-10'")  # it landed with its invoice
    found = books.tie()
    assert told(found) == set()
    assert {row["kind"] for row in found.drift} == {"paid_in_billing"}  # at the month's end it was so


def test_drift_that_lasts_is_the_exception_of_the_month_that_showed_it_first(books: Books) -> None:
    drifting(books)
    books.tie()
    books.held.sql("UPDATE reconciliation.exceptions SET period = '2026-09' WHERE external_id = 'inv-1'")
    assert told(books.tie()) == {PAID_IN_NETSUITE, UNKNOWN}


def test_what_is_open_by_its_age(books: Books) -> None:
    books.pays("p", "20.00", **{"1": "20.00"})
    books.land_billing()
    assert [
        tuple(
            row[name]
            for name in ("subsidiary", "currency", "bucket", "billing_open", "netsuite_open", "difference")
        )
        for row in books.tie().aging
    ] == [
        ("1", "USD", "not due", Decimal(50), Decimal(50), Decimal(0)),
        ("1", "USD", "1-30", Decimal(80), Decimal(100), Decimal(-20)),
        ("3", "EUR", "1-30", Decimal(80), Decimal(80), Decimal(0)),
    ]


def test_people_see_what_does_not_tie_first_and_an_unknown_opening_as_such(books: Books) -> None:
    books.land_billing()
    books.journal("500", ("119", "-3.00"), ("598", "3.00"), memo="Write-off")
    found = books.tie().frames
    first = ties_table(found.tie_outs).splitlines()[2]
    assert "| What customers owe more or less than before, USD | Acme Inc. |" in first
    assert "| 138.00 | NetSuite | 135.00 | 3.00 | 3.00 | 0.00 | 1 |" in first
    assert (
        "| Write-off | USD 3.00 | A journal that does not come from billing, booked by Mia Keller. |"
        in items_table(found.items)
    )
    assert (
        "| Receivables |  | Billing | Acme Inc. | USD | not known | not known | 150.00 | 12.00 |"
        in roll_forward_table(found.roll_forward)
    )
    assert (
        books.held.sql("SELECT table_name FROM duckdb_tables() WHERE temporary AND table_name = 'movements'")
        == []
    )


# Whatever the figures are


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_both_sides_hold_what_stands_between_adds_up(books: Books, seed: int) -> None:
    """Bills, payments, journals and postings at random, in two companies and currencies: `Found` adds them up."""
    random = Random(seed)

    def amount(most: int = 99_999) -> str:
        return str(Decimal(random.randrange(1, most)) / 100)

    for number in range(12):
        more = random.choice(
            [
                {},
                {"currency": "EUR"},
                {"currency": "EUR", "legal_entity": "eu", "customer_id": "c2"},
                {"customer_id": None},
            ]
        )
        books.month.invoice(f"r{number}", *(line(amount()) for _ in range(random.randrange(1, 4))), **more)
        if random.random() < 0.6:
            books.pays(f"p{number}", amount(), **{f"r{number}": amount()})
    books.month.land()
    books.held.sql("DELETE FROM netsuite.gl_lines")
    for external_id, internal_id, total in books.month.sql(
        "SELECT external_id, internal_id, total FROM netsuite.invoices WHERE external_id LIKE 'inv-r%' ORDER BY 1"
    ):
        way = random.random()
        if way < 0.2:
            books.month.remove(external_id)
        elif way < 0.4:
            books.month.change(external_id, total=total + Decimal(amount(500)))
        elif way < 0.5:
            books.month.copy(external_id, f"9{internal_id}")
        elif way < 0.6:
            books.month.change(external_id, subsidiary=random.choice(["1", "3"]))
        rate = Decimal(random.randrange(80, 130)) / 100
        posted = (total * rate).quantize(Decimal("0.01"))
        books.post("invoice", internal_id, ("119", str(posted)), (random.choice(["598", "610"]), str(-posted)),
                   subsidiary=random.choice(["1", "3"]), external_id=external_id)  # fmt: skip
    for number in range(4):
        value = amount()
        books.netsuite_pays(f"70{number}", value)
        books.journal(
            f"80{number}",
            ("119", f"-{value}"),
            (random.choice(["598", "411"]), value),
            posted=random.random() < 0.7,
        )
    found = books.tie()
    assert {row["tie_out"] for row in found.ties} >= {"receivables", "control_account", "revenue"}
    assert len(found.items) > 10
    for row in found.drift:
        assert row["amount"] > 0


amounts = st.decimals(min_value=Decimal("-9999999999"), max_value=Decimal("9999999999"), places=2)


@given(amounts, amounts.filter(bool), amounts.filter(bool), st.sampled_from([0, 2, 3]))
def test_what_is_exchanged_is_rounded_once_and_exactly(
    amount: Decimal, posted: Decimal, total: Decimal, places: int
) -> None:
    exact = Fraction(amount) * abs(Fraction(posted)) / abs(Fraction(total))
    assume(abs(exact) < 10**13)
    unit = 10**places
    expected = Fraction(int(abs(exact) * unit + Fraction(1, 2)), unit) * (1 if exact >= 0 else -1)
    ((found,),) = exchange().execute(
        "SELECT at_posted_rate(?::DECIMAL(18,4), ?::DECIMAL(18,4), ?::DECIMAL(18,4), ?)", [amount, posted, total, places]
    ).fetchall()  # fmt: skip
    assert isinstance(found, Decimal)
    assert Fraction(found) == expected


@cache
def exchange() -> duckdb.DuckDBPyConnection:
    """A database that knows the conversion."""
    connection = duckdb.connect()
    connection.execute(MACROS)
    return connection
