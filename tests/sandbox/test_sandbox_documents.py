"""Invoices and credit memos: sources of values, amounts, lines, periods, numbering, applications."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sandbox_tools import Api, unique

CLOSED = "Error while accessing a resource. The transaction you are trying to create or edit belongs to a closed or locked period."
OUTSIDE = "Error while accessing a resource. The transaction date you specified is not within the date range of your accounting period."


def lines_of(api: Api, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.full(path)["item"]["items"]
    return items


def test_values_come_from_the_customer_and_the_date(oneworld: Api) -> None:
    customer = oneworld.customer(subsidiary={"id": "3"}, terms={"id": "2"})
    found = oneworld.get(f"invoice/{oneworld.invoice(customer, '10', tranDate='2026-10-31')}")
    assert found["subsidiary"]["refName"] == "Acme Metering Inc : EU GmbH"
    assert (found["currency"]["refName"], found["exchangeRate"]) == ("EUR", Decimal(1))
    assert (found["terms"]["id"], found["dueDate"]) == ("2", "2026-11-30")
    assert found["postingPeriod"]["refName"] == "Oct 2026"
    assert found["account"]["id"] == "119"
    assert found["source"] == {"id": "restWebServices", "refName": "REST Web Services"}
    assert found["refName"] == f"Invoice #{found['tranId']}"
    assert found["tranId"].startswith("INV")
    assert found["transactionNumber"].startswith("CUSTINV")


def test_a_foreign_invoice_takes_the_rate_of_its_subsidiary(oneworld: Api) -> None:
    extra = {"items": [{"currency": {"id": "2"}}]}
    customer = oneworld.customer(currencyList=extra)
    invoice = oneworld.invoice(customer, "100", currency={"id": "2"})
    assert oneworld.get(f"invoice/{invoice}")["exchangeRate"] == Decimal("1.08")
    query = (
        "SELECT debit, amount FROM transactionaccountingline WHERE transaction = ? AND transactionline = 0"
    )
    assert oneworld.rows(query, invoice) == [{"amount": "108", "debit": "108"}]
    oneworld.write("PATCH", f"invoice/{invoice}", {"exchangeRate": 1.25})
    assert oneworld.rows(query, invoice) == [{"amount": "125", "debit": "125"}]


def test_a_currency_must_be_the_customers(oneworld: Api) -> None:
    refused = oneworld.refused(
        "POST", "invoice", {"entity": oneworld.customer(), "currency": "3", "item": {"items": []}}
    )
    assert refused.detail.endswith("Invalid Field Value 3 for the following field: currency.")


def test_a_subsidiary_must_be_the_customers(oneworld: Api) -> None:
    customer = oneworld.customer(subsidiary={"id": "3"})
    body = {"entity": customer, "subsidiary": "1", "item": {"items": [{"item": "417", "amount": 1}]}}
    assert oneworld.refused("POST", "invoice", body).error["o:errorPath"] == "subsidiary"


@pytest.mark.parametrize(
    ("name", "value", "path"), [("location", "5", "location"), ("item", "419", "item.items[0].item")]
)
def test_what_is_not_for_the_subsidiary_is_refused(oneworld: Api, name: str, value: str, path: str) -> None:
    line = {"item": value if name == "item" else "417", "amount": 1}
    body: dict[str, Any] = {"entity": oneworld.customer(subsidiary={"id": "3"}), "item": {"items": [line]}}
    if name != "item":
        body[name] = value
    assert oneworld.refused("POST", "invoice", body).error["o:errorPath"] == path


def test_an_inactive_item_is_refused(oneworld: Api) -> None:
    body = {"entity": oneworld.customer(), "item": {"items": [{"item": "420", "amount": 1}]}}
    assert oneworld.refused("POST", "invoice", body).error["o:errorPath"] == "item.items[0].item"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"item": {"items": [{"item": "417", "amount": 1}]}}, "Please enter value(s) for: Customer."),
        ({"entity": "?"}, "You must enter at least one line item for this transaction."),
        (
            {"entity": "?", "item": {"items": []}},
            "You must enter at least one line item for this transaction.",
        ),
        ({"entity": "?", "item": {"items": [{"amount": 5}]}}, "Please enter value(s) for: Item."),
        ({"entity": "?", "item": {"items": [{"item": "417"}]}}, "Please enter value(s) for: Amount."),
        (
            {"entity": "?", "item": {"items": [{"item": "418", "amount": -5}]}},
            "The total can not be negative.",
        ),
    ],
)
def test_what_an_invoice_must_have(oneworld: Api, body: dict[str, Any], detail: str) -> None:
    body = body | ({"entity": oneworld.customer()} if "entity" in body else {})
    refused = oneworld.refused("POST", "invoice", body)
    assert (refused.status, refused.code) == (400, "USER_ERROR")
    assert refused.detail == f"Error while accessing a resource. {detail}"


AMOUNTS: list[tuple[dict[str, Any], str, str | None, str | None]] = [
    # line, amount, rate, quantity
    ({"quantity": 1200, "rate": 1.1}, "1320", "1.1", "1200"),
    ({"quantity": 3, "rate": 0.005}, "0.02", "0.005", "3"),
    ({"quantity": 0.5, "rate": 0.01}, "0.01", "0.01", "0.5"),
    ({"rate": 7.25}, "7.25", "7.25", "1"),
    ({"amount": 99.5}, "99.5", None, None),
    ({"amount": 10, "quantity": 4}, "10", "2.5", "4"),
    ({"amount": 10, "quantity": 3}, "10", "3.33333333", "3"),
    ({"amount": 1.005}, "1.01", None, None),
    ({"quantity": 10, "rate": 1, "amount": 9.99}, "9.99", "1", "10"),
]


@pytest.mark.parametrize(("line", "amount", "rate", "quantity"), AMOUNTS)
def test_amount_rate_and_quantity(
    oneworld: Api, line: dict[str, Any], amount: str, rate: str | None, quantity: str | None
) -> None:
    body = {"entity": oneworld.customer(), "item": {"items": [{"item": "417"} | line]}}
    found = lines_of(oneworld, f"invoice/{oneworld.write('POST', 'invoice', body)}")[0]
    assert found["amount"] == Decimal(amount)
    assert found.get("rate") == (Decimal(rate) if rate is not None else None)
    assert found.get("quantity") == (Decimal(quantity) if quantity is not None else None)


def test_a_wrong_amount_is_recalculated_under_the_switch(turned: Api) -> None:
    body = {
        "entity": turned.customer(),
        "item": {"items": [{"item": "25", "quantity": 10, "rate": 1, "amount": 9.99}]},
    }
    assert lines_of(turned, f"invoice/{turned.write('POST', 'invoice', body)}")[0]["amount"] == Decimal(10)


def test_money_is_exact(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, *["0.10"] * 30, "1234567.89")
    found = oneworld.send("GET", f"invoice/{invoice}").text
    assert '"total":1234570.89,' in found
    assert oneworld.rows(
        "SELECT foreigntotal, foreigntotal - 1234570.89 AS nothing FROM transaction WHERE id = ?", invoice
    ) == [{"foreigntotal": "1234570.89", "nothing": "0"}]


def test_lines_merge_by_their_number(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer(), "10", "20")
    change = {
        "item": {"items": [{"line": 1, "amount": 15}, {"item": {"id": "413"}, "quantity": 1, "rate": 50}]}
    }
    oneworld.write("PATCH", f"invoice/{invoice}", change)
    assert [(line["line"], line["amount"]) for line in lines_of(oneworld, f"invoice/{invoice}")] == [
        (1, Decimal(15)),
        (2, Decimal(20)),
        (3, Decimal(50)),
    ]
    assert oneworld.get(f"invoice/{invoice}")["total"] == Decimal(85)


def test_a_line_without_its_number_is_added_again(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer(), "10")
    oneworld.write("PATCH", f"invoice/{invoice}", {"item": {"items": [{"item": "417", "amount": 10}]}})
    assert oneworld.get(f"invoice/{invoice}")["total"] == Decimal(20)


def test_replace_drops_the_lines_and_never_gives_their_numbers_again(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer(), "10", "20")
    body = {"item": {"items": [{"item": "417", "amount": 7}]}}
    oneworld.write("PATCH", f"invoice/{invoice}?replace=item", body)
    assert [(line["line"], line["amount"]) for line in lines_of(oneworld, f"invoice/{invoice}")] == [
        (3, Decimal(7))
    ]
    assert oneworld.rows("SELECT id FROM transactionline WHERE transaction = ? ORDER BY id", invoice) == [
        {"id": "0"},
        {"id": "3"},
    ]


def test_the_lines_cannot_be_emptied(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer())
    for empty in (None, {"items": None}):
        refused = oneworld.refused("PATCH", f"invoice/{invoice}", {"item": empty})
        assert refused.detail.endswith("You must enter at least one line item for this transaction.")


def test_replace_selected_fields_clears_what_the_body_leaves_out(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer(), memo="gone", otherRefNum="kept")
    oneworld.write("PATCH", f"invoice/{invoice}?replace=memo&replaceSelectedFields=true", {})
    found = oneworld.get(f"invoice/{invoice}")
    assert "memo" not in found
    assert found["otherRefNum"] == "kept"


def test_custom_fields_and_segments_on_body_and_lines(oneworld: Api) -> None:
    line = {"item": "412", "amount": 5, "custcol_service_start": "2026-10-01", "cseg_product": {"id": "3"}}
    body = {
        "entity": oneworld.customer(),
        "tranDate": "2026-10-02",
        "custbody_subscription_ref": "sub_1",
        "custbody_contract_start": "2026-01-01",
        "custbody_renewal": True,
        "cseg_product": {"id": "2"},
        "item": {"items": [line]},
    }
    invoice = oneworld.write("POST", "invoice", body)
    found = oneworld.full(f"invoice/{invoice}")
    assert (found["custbody_subscription_ref"], found["custbody_renewal"]) == ("sub_1", True)
    assert found["item"]["items"][0]["custcol_service_start"] == "2026-10-01"
    query = "SELECT custbody_subscription_ref, custbody_contract_start, custbody_renewal, cseg_product FROM transaction WHERE id = ?"
    assert oneworld.rows(query, invoice) == [
        {
            "custbody_subscription_ref": "sub_1",
            "custbody_contract_start": "01/01/2026",
            "custbody_renewal": "T",
            "cseg_product": "2",
        }
    ]
    query = "SELECT custcol_service_start, BUILTIN.DF(cseg_product) AS product FROM transactionline WHERE transaction = ? AND mainline = 'F'"
    assert oneworld.rows(query, invoice) == [{"custcol_service_start": "10/01/2026", "product": "Compute"}]


def test_an_external_id_is_taken_once_in_each_type(oneworld: Api, turned: Api) -> None:
    external = unique("doc")
    for api, text in ((oneworld, "This record already exists."), (turned, "That number is taken.")):
        customer = api.customer()
        api.invoice(customer, externalId=external)
        body = {
            "entity": customer,
            "externalId": external,
            "item": {"items": [{"item": "417" if api is oneworld else "25", "amount": 1}]},
        }
        refused = api.refused("POST", "invoice", body)
        assert (refused.status, refused.detail) == (400, f"Error while accessing a resource. {text}")
    oneworld.credit_memo(oneworld.customer(), "1", externalId=external)
    refused = turned.refused("POST", "creditMemo", body)
    assert refused.detail.endswith("That number is taken.")


def test_numbers_follow_each_other_and_can_be_overridden(oneworld: Api, turned: Api) -> None:
    customer = oneworld.customer()
    first, second = (oneworld.get(f"invoice/{oneworld.invoice(customer)}")["tranId"] for _ in range(2))
    assert int(second[3:]) == int(first[3:]) + 1
    oneworld.refused("POST", "invoice", {"entity": customer, "item": {"items": [{"item": "417"}]}})
    third = oneworld.get(f"invoice/{oneworld.invoice(customer)}")["tranId"]
    assert int(third[3:]) == int(second[3:]) + 1
    own = oneworld.invoice(customer, tranId="MY-1")
    assert oneworld.get(f"invoice/{own}")["tranId"] == "MY-1"
    kept = turned.invoice(turned.customer(), tranId="MY-1")
    assert turned.get(f"invoice/{kept}")["tranId"].startswith("INV")


# Periods


@pytest.mark.parametrize("day", ["2026-07-15", "2026-08-15", "2010-11-30"])
def test_a_closed_or_locked_period_takes_nothing(oneworld: Api, day: str) -> None:
    body = {"entity": oneworld.customer(), "tranDate": day, "item": {"items": [{"item": "417", "amount": 1}]}}
    refused = oneworld.refused("POST", "invoice", body)
    assert (refused.status, refused.code, refused.detail) == (400, "USER_ERROR", CLOSED)


def test_a_date_without_a_period(oneworld: Api) -> None:
    body = {
        "entity": oneworld.customer(),
        "tranDate": "2031-01-01",
        "item": {"items": [{"item": "417", "amount": 1}]},
    }
    assert oneworld.refused("POST", "invoice", body).detail == OUTSIDE


def test_a_date_outside_its_period_follows_the_preference(oneworld: Api, turned: Api) -> None:
    body = {"entity": oneworld.customer(), "tranDate": "2026-10-31", "postingPeriod": {"id": "303"}}
    assert oneworld.refused("POST", "invoice", body | {"item": {"items": []}}).detail == OUTSIDE
    invoice = turned.invoice(turned.customer(), tranDate="2026-10-31", postingPeriod={"id": "203"})
    assert turned.get(f"invoice/{invoice}")["postingPeriod"]["refName"] == "Nov 2026"


def test_an_invoice_cannot_be_moved_into_or_edited_in_a_closed_period(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer())
    assert oneworld.refused("PATCH", f"invoice/{invoice}", {"tranDate": "2026-07-31"}).detail == CLOSED
    oneworld.write("PATCH", f"invoice/{invoice}", {"tranDate": "2026-11-01"})
    assert oneworld.get(f"invoice/{invoice}")["postingPeriod"]["refName"] == "Nov 2026"


def test_a_role_may_override_a_lock_but_not_a_close(turned: Api) -> None:
    customer = turned.customer()
    turned.invoice(customer, tranDate="2026-08-15")
    body = {"entity": customer, "tranDate": "2026-07-15", "item": {"items": [{"item": "25", "amount": 1}]}}
    assert turned.refused("POST", "invoice", body).detail.endswith("The period is closed.")


@pytest.fixture
def september(oneworld: Api) -> Iterator[Api]:
    yield oneworld
    flags = {"closed": False, "ar_locked": False, "allow_non_gl_changes": False}
    oneworld.admin("POST", "periods", {"month": "2026-09"} | flags)


@pytest.mark.parametrize("flag", ["closed", "ar_locked", "all_locked"])
def test_a_month_that_is_closed_keeps_its_documents_as_they_are(september: Api, flag: str) -> None:
    customer = september.customer()
    invoice = september.invoice(customer, "10", tranDate="2026-09-10")
    september.admin("POST", "periods", {"month": "2026-09", flag: True})
    for body in ({"memo": "x"}, {"item": {"items": [{"line": 1, "amount": 5}]}}, {"tranDate": "2026-10-01"}):
        assert september.refused("PATCH", f"invoice/{invoice}", body).detail == CLOSED
    assert september.refused("DELETE", f"invoice/{invoice}").detail == CLOSED
    shown = "allLocked" if flag == "all_locked" else "arLocked" if flag == "ar_locked" else flag
    assert september.get("accountingPeriod/301")[shown] is True
    assert september.rows(f"SELECT {shown} FROM accountingperiod WHERE id = 301") == [{shown.lower(): "T"}]
    # A credit of a later month may still pay it.
    september.credit_memo(customer, "4", apply={"items": [{"doc": invoice}]})
    assert september.get(f"invoice/{invoice}")["amountRemaining"] == Decimal(6)
    september.admin("POST", "periods", {"month": "2026-09", flag: False})


def test_a_closed_month_may_allow_changes_that_do_not_touch_the_ledger(september: Api) -> None:
    invoice = september.invoice(september.customer(), "10", tranDate="2026-09-10")
    september.admin("POST", "periods", {"month": "2026-09", "closed": True, "allow_non_gl_changes": True})
    september.write("PATCH", f"invoice/{invoice}", {"memo": "x", "custbody_subscription_ref": "sub_2"})
    assert september.refused("PATCH", f"invoice/{invoice}", {"exchangeRate": 2}).detail == CLOSED


# Credit memos and their applications


def test_a_credit_memo_is_applied_and_both_sides_follow(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "150.15")
    memo = oneworld.credit_memo(
        customer, "100.10", apply={"items": [{"doc": {"id": invoice}, "apply": True, "amount": 60.05}]}
    )
    found = oneworld.full(f"creditMemo/{memo}")
    assert (found["applied"], found["unapplied"], found["status"]["id"]) == (
        Decimal("60.05"),
        Decimal("40.05"),
        "A",
    )
    line = found["apply"]["items"][0]
    assert (line["doc"]["id"], line["amount"], line["due"], line["total"]) == (
        invoice,
        Decimal("60.05"),
        Decimal("90.1"),
        Decimal("150.15"),
    )
    paid = oneworld.get(f"invoice/{invoice}")
    assert (paid["amountPaid"], paid["amountRemaining"], paid["status"]["id"]) == (
        Decimal("60.05"),
        Decimal("90.1"),
        "A",
    )

    query = "SELECT previousdoc, nextdoc, previoustype, nexttype, linktype, foreignamount FROM NextTransactionLineLink WHERE previousdoc = ?"
    assert oneworld.rows(query, invoice) == [
        {
            "foreignamount": "60.05",
            "linktype": "Payment",
            "nextdoc": memo,
            "nexttype": "CustCred",
            "previousdoc": invoice,
            "previoustype": "CustInvc",
        }
    ]


def test_an_invoice_that_is_fully_credited_is_paid_in_full_and_opens_again(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "80")
    memo = oneworld.credit_memo(customer, "80", apply={"items": [{"doc": invoice}]})
    assert oneworld.get(f"invoice/{invoice}")["status"] == {"id": "B", "refName": "Paid In Full"}
    assert oneworld.get(f"creditMemo/{memo}")["status"] == {"id": "B", "refName": "Fully Applied"}
    assert oneworld.rows(
        "SELECT status, BUILTIN.DF(status) AS shown FROM transaction WHERE id = ?", invoice
    ) == [{"status": "B", "shown": "Invoice : Paid In Full"}]
    oneworld.write(
        "PATCH", f"creditMemo/{memo}", {"apply": {"items": [{"doc": {"id": invoice}, "apply": False}]}}
    )
    assert oneworld.get(f"invoice/{invoice}")["amountRemaining"] == Decimal(80)
    assert oneworld.get(f"creditMemo/{memo}")["unapplied"] == Decimal(80)
    assert oneworld.rows("SELECT nextdoc FROM NextTransactionLineLink WHERE previousdoc = ?", invoice) == []


@pytest.mark.parametrize("amount", [60.01, 80.01, 500])
def test_no_more_is_applied_than_remains(oneworld: Api, amount: float) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "60")
    memo = oneworld.credit_memo(customer, "80")
    body = {"apply": {"items": [{"doc": invoice, "apply": True, "amount": amount}]}}
    refused = oneworld.refused("PATCH", f"creditMemo/{memo}", body)
    assert refused.detail.endswith("may not be more than the amount that remains on it.")
    assert oneworld.get(f"invoice/{invoice}")["amountPaid"] == 0
    assert oneworld.get(f"creditMemo/{memo}")["applied"] == 0


def test_a_memo_cannot_be_spread_beyond_its_total(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoices = [oneworld.invoice(customer, "60") for _ in range(2)]
    memo = oneworld.credit_memo(customer, "80")
    body = {"apply": {"items": [{"doc": i, "apply": True, "amount": 50} for i in invoices]}}
    oneworld.refused("PATCH", f"creditMemo/{memo}", body)
    assert oneworld.get(f"creditMemo/{memo}")["applied"] == 0
    oneworld.write(
        "PATCH", f"creditMemo/{memo}", {"apply": {"items": [{"doc": i, "apply": True} for i in invoices]}}
    )
    assert [oneworld.get(f"invoice/{i}")["amountPaid"] for i in invoices] == [Decimal(60), Decimal(20)]


def test_a_credit_is_applied_to_its_own_customers_invoices(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer(), "60")
    memo = oneworld.credit_memo(oneworld.customer(), "60")
    refused = oneworld.refused("PATCH", f"creditMemo/{memo}", {"apply": {"items": [{"doc": invoice}]}})
    assert refused.error["o:errorPath"] == "apply.items[0].doc"


def test_auto_apply_takes_the_oldest_first(oneworld: Api) -> None:
    customer = oneworld.customer()
    newer = oneworld.invoice(customer, "50", tranDate="2026-10-20")
    older = oneworld.invoice(customer, "50", tranDate="2026-10-01")
    oneworld.credit_memo(customer, "70", autoApply=True)
    assert oneworld.get(f"invoice/{older}")["amountPaid"] == Decimal(50)
    assert oneworld.get(f"invoice/{newer}")["amountPaid"] == Decimal(20)


def test_an_invoice_cannot_fall_below_what_is_paid(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "60")
    oneworld.credit_memo(customer, "50", apply={"items": [{"doc": invoice}]})
    oneworld.refused("PATCH", f"invoice/{invoice}", {"item": {"items": [{"line": 1, "amount": 40}]}})
    oneworld.write("PATCH", f"invoice/{invoice}", {"item": {"items": [{"line": 1, "amount": 50}]}})
    assert oneworld.get(f"invoice/{invoice}")["status"]["id"] == "B"
    assert "dependent" in oneworld.refused("DELETE", f"invoice/{invoice}").detail


def test_deleting_a_credit_gives_back_what_it_paid(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "60")
    memo = oneworld.credit_memo(customer, "50", apply={"items": [{"doc": invoice}]})
    oneworld.write("DELETE", f"creditMemo/{memo}")
    assert oneworld.get(f"invoice/{invoice}")["amountRemaining"] == Decimal(60)
    assert oneworld.rows(
        "SELECT foreignamountunpaid FROM transactionline WHERE transaction = ? AND mainline = 'T'", invoice
    ) == [{"foreignamountunpaid": "60"}]


def test_the_signs_of_suiteql(oneworld: Api, turned: Api) -> None:
    for api, header, quantity in ((oneworld, "-30", "3"), (turned, "30", "3")):
        customer = api.customer()
        item = "417" if api is oneworld else "25"
        line = {"items": [{"item": item, "quantity": 3, "rate": 10}]}
        invoice, memo = api.invoice(customer, item=line), api.credit_memo(customer, "1", item=line)
        heads = api.rows(
            "SELECT type, foreigntotal FROM transaction WHERE id IN (?, ?) ORDER BY id", invoice, memo
        )
        assert heads == [
            {"foreigntotal": "30", "type": "CustInvc"},
            {"foreigntotal": header, "type": "CustCred"},
        ]
        query = (
            "SELECT mainline, foreignamount, quantity FROM transactionline WHERE transaction = ? ORDER BY id"
        )
        sign = "" if api is oneworld else "-"
        assert api.rows(query, invoice) == [
            {"foreignamount": "30", "mainline": "T"},
            {"foreignamount": "-30", "mainline": "F", "quantity": f"{sign}{quantity}"},
        ]
        assert api.rows(query, memo) == [
            {"foreignamount": "-30", "mainline": "T"},
            {"foreignamount": "30", "mainline": "F", "quantity": quantity},
        ]
        query = "SELECT a.accttype, l.debit, l.credit FROM transactionaccountingline l JOIN account a ON a.id = l.account WHERE l.transaction = ? ORDER BY l.transactionline"
        assert api.rows(query, invoice) == [
            {"accttype": "AcctRec", "debit": "30"},
            {"accttype": "Income", "credit": "30"},
        ]
        assert api.rows(query, memo) == [
            {"accttype": "AcctRec", "credit": "30"},
            {"accttype": "Income", "debit": "30"},
        ]
