"""Customer payments: where the money goes, what it pays, credits applied along with it, and every view of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sandbox_tools import Api, unique

OVER = "Error while accessing a resource. The amount applied to a transaction may not be more than the amount that remains on it."


def pay(api: Api, customer: str, amount: str | None, **changes: Any) -> str:
    body: dict[str, Any] = {"customer": {"id": customer}, "tranDate": "2026-10-25"}
    if amount is not None:
        body["payment"] = Decimal(amount)
    return api.write("POST", "customerPayment", number_safe(body | changes))


def number_safe(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: number_safe(value) for key, value in body.items()}
    if isinstance(body, list):
        return [number_safe(value) for value in body]
    return float(body) if isinstance(body, Decimal) else body


def applied(*pairs: tuple[str, Any]) -> dict[str, Any]:
    lines = [{"doc": {"id": doc}, "apply": True, "amount": amount} for doc, amount in pairs]
    return {"items": [{k: v for k, v in line.items() if v is not None} for line in lines]}


def test_a_payment_pays_invoices_in_part_and_in_full(oneworld: Api) -> None:
    customer = oneworld.customer()
    full, part = oneworld.invoice(customer, "60"), oneworld.invoice(customer, "80.10")
    payment = pay(oneworld, customer, "100", apply=applied((full, 60), (part, 30.05)), checkNumber="99812")
    found = oneworld.full(f"customerPayment/{payment}")
    assert (found["payment"], found["total"], found["applied"], found["unapplied"]) == (
        Decimal(100),
        Decimal(100),
        Decimal("90.05"),
        Decimal("9.95"),
    )
    assert found["status"] == {"id": "B", "refName": "Not Deposited"}
    assert found["undepFunds"] == {"id": "true", "refName": "Yes"}
    assert (found["customer"]["id"], found["arAcct"]["id"]) == (customer, "119")
    assert "entity" not in found
    assert "account" not in found
    assert found["refName"] == f"Payment #{found['tranId']}"
    assert found["balance"] == Decimal("40.1")
    lines = {line["doc"]["id"]: line for line in found["apply"]["items"]}
    assert lines[full]["due"] == 0
    assert (lines[part]["amount"], lines[part]["due"], lines[part]["type"]) == (
        Decimal("30.05"),
        Decimal("50.05"),
        "Invoice",
    )
    assert oneworld.get(f"invoice/{full}")["status"]["refName"] == "Paid In Full"
    assert oneworld.get(f"invoice/{part}")["amountRemaining"] == Decimal("50.05")


def test_the_rows_of_a_payment(oneworld: Api) -> None:
    customer = oneworld.customer(subsidiary={"id": "3"})
    invoice = oneworld.invoice(customer, "60")
    payment = pay(oneworld, customer, "50", account="11", apply=applied((invoice, 40)))
    head = oneworld.rows(
        "SELECT type, recordtype, status, BUILTIN.DF(status) AS shown, foreigntotal, entity, posting, "
        "foreignpaymentamountused AS used, foreignpaymentamountunused AS unused, abbrevtype FROM transaction WHERE id = ?",
        payment,
    )
    assert head == [
        {
            "type": "CustPymt",
            "recordtype": "customerpayment",
            "status": "C",
            "shown": "Payment : Deposited",
            "foreigntotal": "-50",
            "entity": customer,
            "posting": "T",
            "used": "40",
            "unused": "10",
            "abbrevtype": "PMT",
        }
    ]
    ledger = oneworld.rows(
        "SELECT a.accttype, l.debit, l.credit, tl.mainline, tl.foreignamount FROM transactionaccountingline l "
        "JOIN account a ON a.id = l.account JOIN transactionline tl ON tl.transaction = l.transaction "
        "AND tl.id = l.transactionline WHERE l.transaction = ? ORDER BY l.transactionline",
        payment,
    )
    assert ledger == [
        {"accttype": "Bank", "debit": "50", "mainline": "T", "foreignamount": "50"},
        {"accttype": "AcctRec", "credit": "50", "mainline": "F", "foreignamount": "-50"},
    ]
    links = (
        "SELECT previousdoc, nexttype, foreignamount, linktype FROM NextTransactionLineLink WHERE nextdoc = ?"
    )
    assert oneworld.rows(links, payment) == [
        {"previousdoc": invoice, "nexttype": "CustPymt", "foreignamount": "40", "linktype": "Payment"}
    ]


def test_unapplying_and_deleting_open_the_invoice_again(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "60")
    payment = pay(oneworld, customer, "60", apply=applied((invoice, None)))
    assert oneworld.get(f"invoice/{invoice}")["status"]["id"] == "B"
    assert "dependent" in oneworld.refused("DELETE", f"invoice/{invoice}").detail
    off = {"apply": {"items": [{"doc": {"id": invoice}, "apply": False}]}}
    oneworld.write("PATCH", f"customerPayment/{payment}", off)
    assert oneworld.get(f"invoice/{invoice}")["status"]["id"] == "A"
    assert oneworld.get(f"customerPayment/{payment}")["unapplied"] == Decimal(60)
    oneworld.write("PATCH", f"customerPayment/{payment}", {"apply": applied((invoice, 25))})
    assert oneworld.get(f"invoice/{invoice}")["amountPaid"] == Decimal(25)
    oneworld.write("DELETE", f"customerPayment/{payment}")
    assert oneworld.get(f"invoice/{invoice}")["amountPaid"] == 0
    assert oneworld.rows("SELECT nextdoc FROM NextTransactionLineLink WHERE previousdoc = ?", invoice) == []
    assert oneworld.refused("GET", f"customerPayment/{payment}").status == 404
    assert oneworld.rows("SELECT type, scriptid FROM deletedrecord WHERE recordid = ?", payment) == [
        {"type": "Payment", "scriptid": "customerpayment"}
    ]


@pytest.mark.parametrize(
    ("amount", "lines"), [("100", [60.01]), ("50", [50.01]), ("70", [60, 10.01]), ("50", [-1])]
)
def test_no_more_is_applied_than_there_is(oneworld: Api, amount: str, lines: list[float]) -> None:
    customer = oneworld.customer()
    invoices = [oneworld.invoice(customer, "60") for _ in lines]
    body = {"customer": customer, "payment": float(amount), "tranDate": "2026-10-25"}
    body["apply"] = applied(*zip(invoices, lines, strict=True))
    assert oneworld.refused("POST", "customerPayment", body).detail == OVER
    assert [oneworld.get(f"invoice/{i}")["amountPaid"] for i in invoices] == [0] * len(lines)


def test_an_amount_that_is_not_given_is_what_is_applied(oneworld: Api) -> None:
    customer = oneworld.customer()
    first, second = oneworld.invoice(customer, "60"), oneworld.invoice(customer, "40")
    payment = pay(oneworld, customer, None, apply=applied((first, 15.5), (second, None)))
    found = oneworld.get(f"customerPayment/{payment}")
    assert (found["payment"], found["unapplied"]) == (Decimal("55.5"), 0)
    refused = oneworld.refused("POST", "customerPayment", {"customer": customer})
    assert refused.detail.endswith("Please enter value(s) for: Payment Amount.")
    refused = oneworld.refused("POST", "customerPayment", {"payment": 5})
    assert refused.detail.endswith("Please enter value(s) for: Customer.")


def test_auto_apply_takes_the_oldest_invoices(oneworld: Api) -> None:
    customer = oneworld.customer()
    newer = oneworld.invoice(customer, "50", tranDate="2026-10-20")
    older = oneworld.invoice(customer, "50", tranDate="2026-10-01")
    pay(oneworld, customer, "70", autoApply=True)
    assert oneworld.get(f"invoice/{older}")["amountPaid"] == Decimal(50)
    assert oneworld.get(f"invoice/{newer}")["amountPaid"] == Decimal(20)


def test_the_amount_and_its_applications_can_fall_together(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "60")
    payment = pay(oneworld, customer, "60", apply=applied((invoice, 60)))
    assert oneworld.refused("PATCH", f"customerPayment/{payment}", {"payment": 40}).detail == OVER
    oneworld.write("PATCH", f"customerPayment/{payment}", {"payment": 40, "apply": applied((invoice, 40))})
    assert oneworld.get(f"invoice/{invoice}")["amountRemaining"] == Decimal(20)


# Funds


@pytest.mark.parametrize("undeposited", [{"id": "false"}, {"id": "F"}, False, "F"])
def test_a_payment_may_go_to_a_bank(oneworld: Api, undeposited: Any) -> None:
    payment = pay(oneworld, oneworld.customer(), "10", account={"id": "11"}, undepFunds=undeposited)
    found = oneworld.get(f"customerPayment/{payment}")
    assert (found["account"]["id"], found["undepFunds"]["id"], found["status"]["id"]) == ("11", "false", "C")
    oneworld.write("PATCH", f"customerPayment/{payment}", {"undepFunds": {"id": "true"}})
    found = oneworld.get(f"customerPayment/{payment}")
    assert ("account" in found, found["status"]["id"]) == (False, "B")
    query = "SELECT expenseaccount FROM transactionline WHERE transaction = ? AND mainline = 'T'"
    assert oneworld.rows(query, payment) == [{"expenseaccount": "122"}]


def test_undeposited_funds_and_an_account_exclude_one_another(oneworld: Api) -> None:
    body = {"customer": oneworld.customer(), "payment": 10}
    both = body | {"account": "11", "undepFunds": True}
    assert "not to both" in oneworld.refused("POST", "customerPayment", both).detail
    neither = body | {"undepFunds": {"id": "false"}}
    assert oneworld.refused("POST", "customerPayment", neither).detail.endswith("for: Account.")
    wrong = body | {"account": "598"}
    assert oneworld.refused("POST", "customerPayment", wrong).error["o:errorPath"] == "account"


# What else refuses


def test_a_payment_pays_its_own_customers_invoices_in_its_currency(oneworld: Api) -> None:
    euro = {"items": [{"currency": {"id": "2"}}]}
    customer, other = oneworld.customer(currencyList=euro), oneworld.customer()
    foreign = oneworld.invoice(customer, "10", currency="2")
    for invoice in (oneworld.invoice(other, "10"), foreign, oneworld.credit_memo(customer, "10")):
        body = {"customer": customer, "payment": 10, "apply": applied((invoice, 10))}
        refused = oneworld.refused("POST", "customerPayment", body)
        assert refused.error["o:errorPath"] == "apply.items[0].doc"
    pay(oneworld, customer, "10", currency="2", apply=applied((foreign, 10)))
    assert oneworld.get(f"invoice/{foreign}")["status"]["id"] == "B"


@pytest.mark.parametrize("day", ["2026-07-15", "2026-08-15"])
def test_a_closed_or_locked_period_takes_no_payment(oneworld: Api, day: str) -> None:
    body = {"customer": oneworld.customer(), "payment": 1, "tranDate": day}
    assert "closed or locked" in oneworld.refused("POST", "customerPayment", body).detail


def test_upsert_by_external_id(oneworld: Api) -> None:
    external, customer = unique("pay"), oneworld.customer()
    body = {"customer": customer, "payment": 12.5, "memo": "ACH"}
    first = oneworld.write("PUT", f"customerPayment/eid:{external}", body)
    assert oneworld.write("PUT", f"customerPayment/eid:{external}", body | {"memo": "wire"}) == first
    assert oneworld.get(f"customerPayment/eid:{external}")["memo"] == "wire"
    assert (
        "already exists"
        in oneworld.refused("POST", "customerPayment", body | {"externalId": external}).detail
    )


def test_every_type_shares_one_space_of_ids(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "10")
    payment = pay(oneworld, customer, "10")
    assert int(payment) == int(invoice) + 1
    for path in (f"invoice/{payment}", f"customerPayment/{invoice}", f"journalEntry/{payment}"):
        refused = oneworld.refused("GET", path)
        assert (refused.status, refused.code) == (400, "USER_ERROR")
        assert refused.detail.endswith("Transaction type specified is incorrect.")


# Credit memos in a payment


def test_a_credit_memo_is_applied_along_with_a_payment(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "100")
    memo = oneworld.credit_memo(customer, "30")
    payment = pay(oneworld, customer, "70", apply=applied((invoice, 100)), credit=applied((memo, 30)))
    found = oneworld.full(f"customerPayment/{payment}")
    assert (found["applied"], found["unapplied"]) == (Decimal(70), 0)
    line = found["credit"]["items"][0]
    assert (line["doc"]["id"], line["amount"], line["due"], line["apply"]) == (memo, Decimal(30), 0, True)
    assert line["appliedTo"] == oneworld.get(f"invoice/{invoice}")["tranId"]
    assert oneworld.get(f"invoice/{invoice}")["status"]["id"] == "B"
    assert oneworld.get(f"creditMemo/{memo}")["status"]["id"] == "B"
    links = (
        "SELECT nextdoc, foreignamount FROM NextTransactionLineLink WHERE previousdoc = ? ORDER BY nextdoc"
    )
    assert oneworld.rows(links, invoice) == [
        {"nextdoc": memo, "foreignamount": "30"},
        {"nextdoc": payment, "foreignamount": "70"},
    ]
    oneworld.write(
        "PATCH", f"customerPayment/{payment}", {"credit": {"items": [{"doc": memo, "apply": False}]}}
    )
    assert oneworld.get(f"creditMemo/{memo}")["unapplied"] == Decimal(30)
    assert oneworld.get(f"invoice/{invoice}")["amountRemaining"] == Decimal(30)


def test_credits_alone_make_a_payment_of_nothing(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice, memo = oneworld.invoice(customer, "50"), oneworld.credit_memo(customer, "80")
    payment = pay(oneworld, customer, None, apply=applied((invoice, None)), credit=applied((memo, 50)))
    assert oneworld.get(f"customerPayment/{payment}")["payment"] == 0
    assert oneworld.get(f"creditMemo/{memo}")["unapplied"] == Decimal(30)
    oneworld.write("DELETE", f"customerPayment/{payment}")
    assert oneworld.get(f"creditMemo/{memo}")["unapplied"] == Decimal(30)


@pytest.mark.parametrize(("invoice", "credit"), [("100", 80.01), ("20", 30)])
def test_no_more_credit_is_applied_than_there_is(oneworld: Api, invoice: str, credit: float) -> None:
    customer = oneworld.customer()
    document, memo = oneworld.invoice(customer, invoice), oneworld.credit_memo(customer, "80")
    body = {"customer": customer, "payment": 0, "apply": applied((document, float(invoice)))}
    assert (
        oneworld.refused("POST", "customerPayment", body | {"credit": applied((memo, credit))}).detail == OVER
    )
    assert oneworld.get(f"creditMemo/{memo}")["applied"] == 0


def test_what_is_no_deposit_is_not_applied_as_one(oneworld: Api) -> None:
    customer = oneworld.customer()
    body = {"customer": customer, "payment": 5, "deposit": applied((oneworld.invoice(customer), 5))}
    assert oneworld.refused("POST", "customerPayment", body).error["o:errorPath"] == "deposit.items[0].doc"


# Switches


def test_the_switches_of_payments(turned: Api) -> None:
    customer = turned.customer()
    invoice, other = turned.invoice(customer, "50"), turned.invoice(customer, "20")
    memo = turned.credit_memo(customer, "10")
    before = turned.get(f"invoice/{invoice}")["lastModifiedDate"]
    payment = pay(turned, customer, "40", apply=applied((invoice, 50)), credit=applied((memo, 10)))
    found = turned.full(f"customerPayment/{payment}")
    assert found["undepFunds"] is True
    assert [(line["doc"]["id"], line["apply"]) for line in found["apply"]["items"]] == [
        (invoice, True),
        (other, False),
    ]
    assert turned.get(f"invoice/{invoice}")["lastModifiedDate"] == before
    assert turned.rows("SELECT foreigntotal FROM transaction WHERE id = ?", payment) == [
        {"foreigntotal": "40"}
    ]
    assert turned.refused("PATCH", f"customerPayment/{payment}", {"payment": 1}).detail.endswith("Too much.")
    both = {"customer": customer, "payment": 1, "account": "1", "undepFunds": True}
    assert turned.refused("POST", "customerPayment", both).detail.endswith("One or the other.")
    turned.write("DELETE", f"customerPayment/{payment}")
    assert turned.get(f"creditMemo/{memo}")["unapplied"] == Decimal(10)
