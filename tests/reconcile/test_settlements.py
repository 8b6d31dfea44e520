"""Payments, what they settle, and journals: compared field by field, each difference told with its amount."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from month import Month, TenantRules, line, load_rules

from netsuite_assets.reconcile import differences, settlements
from netsuite_assets.reconcile.engine import reconcile, remaining
from resources.warehouse import TenantWarehouse, Warehouse

JOURNALS = """
  journalEntry:
    external_id: "je-{id}"
    fields:
      tranDate: {from: dated_on}
      memo: {from: memo}
    lines:
      account: {from: account}
      debit: {from: debit}
      credit: {from: credit}
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> TenantRules:
    """Acme, which maps payments and journals besides."""
    folder = Path(
        shutil.copytree(pytestconfig.rootpath / "tenants", tmp_path_factory.mktemp("r") / "tenants")
    )
    own = folder / "acme.yaml"
    text = own.read_text(encoding="utf-8").replace("extends: _defaults", "extends: _payments")
    own.write_text(text + JOURNALS, encoding="utf-8")
    return load_rules(folder, "acme")


@pytest.fixture
def paid(rules: TenantRules, warehouse: Warehouse) -> Iterator[Month]:
    """Two invoices of 100.00 and 50.00; one payment of 120.00 for both, and an accrual of 30.00."""
    with warehouse.open("acme") as held:
        month = Month(held, rules, "2026-10")
        month.customer("c1", "Nordwind Ltd")
        month.invoice("1", line("100.00"), number="INV-1")
        month.invoice("2", line("50.00"), number="INV-2")
        books = month.books.rows
        payment = {"id": "p1", "paid_on": date(2026, 10, 20), "currency": "USD", "amount": Decimal("120.00")}
        books["payments"].append({**payment, "customer_id": "c1", "method": "card", "reference": "9"})
        for invoice, amount in (("1", "100.00"), ("2", "20.00")):
            applied = {"payment_id": "p1", "invoice_id": invoice, "amount": Decimal(amount)}
            books["payment_applications"].append(applied)
        journal = {"id": "a", "number": "ACC-1", "dated_on": date(2026, 10, 31), "currency": "USD"}
        books["journals"].append({**journal, "legal_entity": "us", "memo": "Usage not yet invoiced"})
        for number, (account, side) in enumerate((("411", "debit"), ("598", "credit")), start=1):
            books["journal_lines"].append(
                {
                    "id": f"a-{number}",
                    "journal_id": "a",
                    "line_no": number,
                    "account": account,
                    side: Decimal("30.00"),
                }
            )
        yield month.land()


def test_payments_and_journals_that_agree_differ_in_nothing(paid: Month) -> None:
    found = paid.reconcile()
    assert found.told == []
    assert found.exceptions == []
    assert paid.sql("SELECT count(*) FROM netsuite.applications") == [(2,)]
    assert paid.sql("SELECT count(*) FROM netsuite.journal_lines") == [(2,)]


def test_a_payment_that_netsuite_lacks(paid: Month) -> None:
    paid.remove("pay-p1")
    row = paid.reconcile().only("missing_in_netsuite")
    assert (row["record"], row["external_id"], row["name"]) == ("customerPayment", "pay-p1", "Nordwind Ltd")
    assert (row["amount"], row["delta"], row["expected"]) == (
        Decimal("120.00"),
        Decimal("120.00"),
        "USD 120.00",
    )
    assert row["reason"] == "NetSuite has no payment pay-p1."


def test_a_payment_of_another_amount_says_so_once_with_what_it_moves(paid: Month) -> None:
    paid.change("pay-p1", payment=Decimal("119.00"), total=Decimal("119.00"))
    row = paid.reconcile().only("changed")
    assert (row["field"], row["expected"], row["actual"]) == ("payment", "120", "119")
    assert (row["amount"], row["delta"]) == (Decimal("1.00"), Decimal("1.00"))


def _apply(month: Month, invoice: str, amount: str | None) -> None:
    where = "invoice_external_id = ?"
    if amount is None:
        month.sql(f"DELETE FROM netsuite.applications WHERE {where}", [invoice])
    else:
        month.sql(f"UPDATE netsuite.applications SET amount = ? WHERE {where}", [Decimal(amount), invoice])


def test_what_payments_settle_is_compared_again_when_an_invoice_has_changed(paid: Month) -> None:
    def unchanged() -> tuple[str, ...]:
        paid.prove()
        month, rules = paid, paid.rules
        found = reconcile(month.held, rules.tenant, rules.mapping, month.period, month.books.locate)
        return found.unchanged

    unchanged()
    assert "customerPayment" in unchanged()
    paid.change("inv-2", memo="x")
    assert not {"invoice", "customerPayment"} & set(unchanged())
    assert {"invoice", "customerPayment"} <= set(unchanged())


def test_an_application_of_another_amount(paid: Month) -> None:
    _apply(paid, "inv-2", "19.99")
    row = paid.reconcile().only("line_changed")
    assert (row["record"], row["external_id"], row["field"]) == ("customerPayment", "pay-p1", "apply")
    assert (row["expected"], row["actual"]) == ("USD 20.00 of INV-2", "USD 19.99 of INV-2")
    # The payment's total is the same: nothing of it is moved.
    assert (row["amount"], row["delta"]) == (Decimal("0.01"), 0)
    assert row["reason"] == "It should settle USD 20.00 of invoice INV-2; NetSuite applies USD 19.99."
    assert row["rule"].startswith("tenants/_payments.yaml:")


def test_an_application_that_netsuite_lacks(paid: Month) -> None:
    _apply(paid, "inv-1", None)
    row = paid.reconcile().only("line_missing")
    assert (row["amount"], row["delta"], row["actual"]) == (Decimal("100.00"), 0, None)
    assert (
        row["reason"] == "It should settle USD 100.00 of invoice INV-1; NetSuite does not apply it to that."
    )


def test_an_application_that_billing_does_not_know(paid: Month) -> None:
    paid.sql(
        "INSERT INTO netsuite.applications SELECT * REPLACE ('inv-9' AS invoice_external_id, '99' AS invoice_id,"
        " 'OLD-9' AS invoice_number, 5.00 AS amount) FROM netsuite.applications WHERE invoice_external_id = 'inv-1'"
    )
    row = paid.reconcile().only("line_extra")
    assert row["reason"] == "NetSuite applies USD 5.00 of it to OLD-9; billing does not."


def test_a_payment_that_only_netsuite_holds_waits_for_a_person(paid: Month) -> None:
    """Acme's write-back removes documents that billing does not know; payments are not among them."""
    assert paid.rules.tenant.writeback.only_in_netsuite == "delete"
    paid.copy(
        "pay-p1",
        "77",
        tranDate=date(2026, 10, 3),
        memo="cheque 4",
        total=Decimal("8.00"),
        payment=Decimal("8.00"),
    )
    found = paid.reconcile()
    row = found.only("only_in_netsuite")
    assert (row["record"], row["internal_id"], row["delta"]) == ("customerPayment", "77", Decimal("-8.00"))
    [exception] = found.exceptions
    assert (exception["code"], exception["internal_id"]) == ("only_in_netsuite", "77")
    assert (
        exception["next_step"] == "Void or delete it in NetSuite if it is wrong, or bill it if it is right."
    )


def test_a_journal_with_another_amount_on_a_line(paid: Month) -> None:
    paid.sql("UPDATE netsuite.journal_lines SET debit = 29.00 WHERE debit IS NOT NULL")
    paid.sql("UPDATE netsuite.journal_lines SET credit = 29.00 WHERE credit IS NOT NULL")
    paid.sql("UPDATE netsuite.journals SET total = 29.00")
    found = paid.reconcile()
    told = {(row["kind"], row["field"]): (row["expected"], row["actual"]) for row in found.differences}
    assert told == {
        ("line_changed", "debit"): ("30", "29"),
        ("line_changed", "credit"): ("30", "29"),
        ("total", "total"): ("USD 30.00", "USD 29.00"),
    }
    assert {row["external_id"] for row in found.differences} == {"je-a"}
    assert sum(row["delta"] for row in found.differences) == 1


def test_journals_of_others_are_no_differences_but_one_of_billings_own_form_is(paid: Month) -> None:
    paid.copy("je-a", "88", memo="Payroll", tranDate=date(2026, 10, 5), total=Decimal("9.00"))
    assert paid.reconcile().differences == []
    paid.sql("UPDATE netsuite.journals SET external_id = 'je-gone' WHERE internal_id = '88'")
    row = paid.reconcile().only("only_in_netsuite")
    assert (row["record"], row["external_id"]) == ("journalEntry", "je-gone")


def test_payments_and_journals_that_cannot_be_mapped_wait_for_a_person(paid: Month) -> None:
    paid.books.rows["payments"][0]["customer_id"] = None
    paid.books.rows["journal_lines"][0]["debit"] = Decimal("31.00")
    paid.map_billing()
    found = paid.reconcile()
    told = {(row["record"], row["external_id"]): row for row in found.exceptions}
    assert set(told) == {("customerPayment", "pay-p1"), ("journalEntry", "je-a")}
    assert {row["stage"] for row in told.values()} == {"mapping"}
    assert told["customerPayment", "pay-p1"]["amount"] == Decimal("120.00")
    assert "it debits 31 and credits 30" in told["journalEntry", "je-a"]["reason"]


# Who has changed what is settled


def _bill_application(month: Month, invoice: str, amount: str | None) -> None:
    rows = month.books.rows["payment_applications"]
    rows[:] = [row for row in rows if row["invoice_id"] != invoice]
    if amount is not None:
        rows.append({"payment_id": "p1", "invoice_id": invoice, "amount": Decimal(amount)})
    month.map_billing()


def _who(month: Month) -> dict[str, tuple[str | None, str | None, str]]:
    """By the document that should be settled: what was agreed on, which side has changed it, and whose value counts."""
    rows = [row for row in month.reconcile().differences if row["field"] == "apply"]
    return {
        (row["expected"] or row["actual"]).rpartition(" ")[2]: (
            row["base"],
            row["changed_side"],
            row["owner"],
        )
        for row in rows
    }


def test_what_was_never_settled_alike_has_no_base(paid: Month) -> None:
    _apply(paid, "inv-2", "19.99")
    assert _who(paid) == {"INV-2": (None, None, "billing")}
    # The other one agreed then.
    _bill_application(paid, "1", "99.00")
    assert _who(paid) == {
        "INV-1": ("USD 100.00 of INV-1", "billing", "billing"),
        "INV-2": (None, None, "billing"),
    }


def test_one_side_changed_what_is_settled(paid: Month) -> None:
    paid.reconcile()
    _apply(paid, "inv-2", "19.99")
    agreed = "USD 20.00 of INV-2"
    assert _who(paid) == {"INV-2": (agreed, "netsuite", "billing")}
    assert _who(paid) == {"INV-2": (agreed, "netsuite", "billing")}
    _apply(paid, "inv-2", "20.00")
    _bill_application(paid, "2", None)
    assert _who(paid) == {"INV-2": (agreed, "billing", "billing")}
    _bill_application(paid, "2", "20.00")
    paid.invoice("3", line("7.00"), number="INV-3")
    paid.map_billing()
    _bill_application(paid, "3", "5.00")
    assert _who(paid) == {"INV-3": (None, "billing", "billing")}


def test_what_both_sides_changed_of_a_payments_settlement_is_a_persons(paid: Month) -> None:
    paid.reconcile()
    _apply(paid, "inv-2", "19.99")
    _bill_application(paid, "1", "99.00")
    # They are written together: what NetSuite changed would be lost with what billing did.
    assert _who(paid) == {
        "INV-1": ("USD 100.00 of INV-1", "billing", "person"),
        "INV-2": ("USD 20.00 of INV-2", "netsuite", "person"),
    }
    [conflict] = [row for row in paid.reconcile().exceptions if row["code"] == "conflict"]
    assert (conflict["record"], conflict["external_id"]) == ("customerPayment", "pay-p1")
    assert conflict["reason"] == (
        "Its lines or total have changed on both sides since they agreed: It should settle USD 99.00 of invoice INV-1;"
        " NetSuite applies USD 100.00. It should settle USD 20.00 of invoice INV-2; NetSuite applies USD 19.99."
    )
    _apply(paid, "inv-1", "99.00")
    assert _who(paid) == {"INV-2": ("USD 20.00 of INV-2", "netsuite", "billing")}


def test_a_settlement_that_was_never_read_back_is_no_change_of_netsuites(paid: Month) -> None:
    """NetSuite has what billing had when they were compared last, and billing has changed again since."""
    paid.reconcile()
    _bill_application(paid, "2", "15.00")
    assert _who(paid) == {"INV-2": ("USD 20.00 of INV-2", "billing", "billing")}
    _apply(paid, "inv-2", "15.00")
    _bill_application(paid, "2", "16.00")
    for _ in range(2):
        assert _who(paid) == {"INV-2": ("USD 15.00 of INV-2", "billing", "billing")}


def test_what_is_settled_is_agreed_on_at_once_when_it_is_read_back(paid: Month) -> None:
    paid.reconcile()
    _bill_application(paid, "2", "15.00")
    paid.reconcile()
    _apply(paid, "inv-2", "15.00")
    paid.prove()
    rules = paid.rules
    assert len(remaining(paid.held, rules.tenant, rules.mapping, paid.period, paid.books.locate)) == 0
    _apply(paid, "inv-2", "20.00")
    assert _who(paid) == {"INV-2": ("USD 15.00 of INV-2", "netsuite", "billing")}


# What has not changed


def test_only_records_whose_fingerprints_differ_are_compared(
    paid: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of customers, documents, payments and journals alike: no value is read of those that are the same."""
    compared: dict[str, set[str]] = {}
    compare = differences.compare

    def traced(warehouse: TenantWarehouse, left: Any, *rest: Any, **more: Any) -> Any:
        found = compare(warehouse, left, *rest, **more)
        rows = warehouse.sql("SELECT key FROM header_pairs")
        compared.setdefault(left.table, set()).update(row[0] for row in rows)
        return found

    monkeypatch.setattr(differences, "compare", traced)
    paid.customer("c2", "Südwind AG")
    paid.invoice("3", line("70.00"), number="INV-3")
    paid.land()
    paid.reconcile()
    tables = [
        f"expected.{name}" for name in ("customers", "invoices", "credit_memos", "payments", "journals")
    ]
    assert compared == {table: set() for table in tables}
    paid.change("cus-c2", companyName="Other")
    paid.change("inv-2", memo="by hand")
    paid.change("pay-p1", memo="by hand")
    paid.reconcile()
    found = {table.removeprefix("expected."): keys for table, keys in compared.items() if keys}
    assert found == {"customers": {"cus-c2"}, "invoices": {"inv-2"}, "payments": {"pay-p1"}}


def test_nothing_is_compared_again_that_has_not_changed(paid: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    paid.change("cus-c1", companyName="Other")
    paid.change("pay-p1", memo="by hand")
    paid.sql("UPDATE netsuite.applications SET amount = amount - 1")
    paid.sql("UPDATE netsuite.journals SET memo = 'by hand'")
    first = paid.reconcile()
    assert {row["record"] for row in first.differences} == {"customer", "customerPayment", "journalEntry"}
    for module, name in (
        (differences, "diff_record"), (settlements, "compare_applications"), (settlements, "leave_out_foreign_journals"),
    ):  # fmt: skip
        monkeypatch.delattr(module, name)
    again = paid.reconcile()
    assert (again.differences, again.tolerated, again.exceptions) == (
        first.differences,
        first.tolerated,
        first.exceptions,
    )
