"""Sales orders, transformations, forms and select options."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from sandbox_tools import Api, unique

MEDIA = "application/vnd.oracle.resource+json"


def form(api: Api, method: str, path: str, kind: str, body: Any = None, **query: str) -> dict[str, Any]:
    headers = {"Accept": f"{MEDIA}; type={kind}"}
    answer = api.send(method, path, body or {}, headers=headers, params=query or None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"{MEDIA}; type={kind}; charset=UTF-8"
    found: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
    return found


def order(api: Api, customer: str, **changes: Any) -> str:
    items = [
        {"item": "417", "quantity": 10, "rate": 3},
        {"item": "415", "amount": 20, "description": "seats"},
    ]
    body = {"entity": customer, "tranDate": "2026-10-10", "memo": "PO", "item": {"items": items}}
    return api.write("POST", "salesOrder", body | changes)


def test_a_sales_order_posts_nothing(oneworld: Api) -> None:
    customer = oneworld.customer()
    found = oneworld.full(f"salesOrder/{order(oneworld, customer, tranDate='2026-07-10')}")
    assert (found["total"], found["status"]) == (Decimal(50), {"id": "F", "refName": "Pending Billing"})
    assert found["refName"] == f"Sales Order #{found['tranId']}"
    query = "SELECT type, posting, foreigntotal, BUILTIN.DF(status) AS shown FROM transaction WHERE id = ?"
    assert oneworld.rows(query, found["id"]) == [
        {"type": "SalesOrd", "posting": "F", "foreigntotal": "50", "shown": "Sales Order : Pending Billing"}
    ]
    query = "SELECT posting FROM transactionaccountingline WHERE transaction = ? AND posting = 'T'"
    assert oneworld.rows(query, found["id"]) == []
    assert oneworld.get(f"customer/{customer}")["balance"] == 0


def test_an_order_becomes_an_invoice(oneworld: Api) -> None:
    customer = oneworld.customer(terms="2")
    source = order(oneworld, customer, externalId=unique("so"), **{"class": "7"})
    answer = oneworld.send("POST", f"salesOrder/{source}/!transform/invoice", {"tranDate": "2026-10-31"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "/record/v1/invoice/" in answer.headers["location"]
    invoice = oneworld.full(f"invoice/{answer.headers['location'].rpartition('/')[2]}")
    assert (invoice["total"], invoice["memo"], invoice["class"]["id"], invoice["dueDate"]) == (
        Decimal(50),
        "PO",
        "7",
        "2026-11-30",
    )
    assert (invoice["createdFrom"]["id"], "externalId" in invoice) == (source, False)
    assert [line["description"] for line in invoice["item"]["items"] if "description" in line] == ["seats"]
    assert oneworld.get(f"salesOrder/{source}")["status"]["refName"] == "Billed"
    query = "SELECT createdfrom FROM transactionline WHERE transaction = ? AND mainline = 'F'"
    assert oneworld.rows(query, invoice["id"]) == [{"createdfrom": source}] * 2
    assert oneworld.refused("POST", f"salesOrder/{source}/!transform/invoice").detail.endswith(
        "for this transaction."
    )
    assert "dependent" in oneworld.refused("DELETE", f"salesOrder/{source}").detail
    oneworld.write("DELETE", f"invoice/{invoice['id']}")
    assert oneworld.get(f"salesOrder/{source}")["status"]["id"] == "F"
    oneworld.write("DELETE", f"salesOrder/{source}")


def test_an_order_is_billed_in_parts(oneworld: Api) -> None:
    external = unique("so")
    source = order(oneworld, oneworld.customer(), externalId=external)
    part = {"item": {"items": [{"orderLine": 1, "quantity": 4}]}}
    first = oneworld.write("POST", f"salesOrder/eid:{external}/!transform/invoice", part)
    assert oneworld.get(f"invoice/{first}")["total"] == Decimal(32)
    query = (
        "SELECT id, quantitybilled FROM transactionline WHERE transaction = ? AND mainline = 'F' ORDER BY id"
    )
    assert [row["quantitybilled"] for row in oneworld.rows(query, source)] == ["4", "1"]
    second = oneworld.write("POST", f"salesOrder/{source}/!transform/invoice")
    assert oneworld.get(f"invoice/{second}")["total"] == Decimal(18)
    assert oneworld.get(f"salesOrder/{source}")["status"]["id"] == "G"


def test_an_invoice_becomes_a_credit_memo(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "100", "50", custbody_subscription_ref="sub_9")
    path = f"invoice/{invoice}/!transform/creditMemo"
    whole = oneworld.full(f"creditMemo/{oneworld.write('POST', path)}")
    assert (whole["total"], whole["applied"], whole["createdFrom"]["id"]) == (Decimal(150), 0, invoice)
    assert whole["custbody_subscription_ref"] == "sub_9"
    body = {
        "externalId": unique("cm"),
        "item": {"items": [{"item": "417", "amount": 40}]},
        "apply": {"items": [{"doc": {"id": invoice}, "apply": True, "amount": 40}]},
    }
    memo = oneworld.write("POST", f"{path}?replace=item", body)
    assert oneworld.get(f"creditMemo/{memo}")["total"] == Decimal(40)
    assert oneworld.get(f"invoice/{invoice}")["amountRemaining"] == Decimal(110)


def test_an_invoice_becomes_a_payment(oneworld: Api, turned: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "100")
    path = f"invoice/{invoice}/!transform/customerPayment"
    first = oneworld.write("POST", path, {"payment": 30, "account": "11"})
    found = oneworld.get(f"customerPayment/{first}")
    assert (found["payment"], found["applied"], found["status"]["id"]) == (Decimal(30), Decimal(30), "C")
    second = oneworld.write("POST", path)
    assert oneworld.get(f"customerPayment/{second}")["payment"] == Decimal(70)
    assert oneworld.get(f"invoice/{invoice}")["status"]["id"] == "B"
    invoice = turned.invoice(turned.customer(), "100")
    payment = turned.write("POST", f"invoice/{invoice}/!transform/customerPayment")
    assert turned.get(f"customerPayment/{payment}")["unapplied"] == Decimal(100)


def test_a_customer_becomes_an_invoice_or_a_payment(oneworld: Api) -> None:
    customer = oneworld.customer(subsidiary="3")
    items = {"item": {"items": [{"item": "417", "amount": 12}]}}
    invoice = oneworld.write("POST", f"customer/{customer}/!transform/invoice", items)
    assert oneworld.get(f"invoice/{invoice}")["subsidiary"]["id"] == "3"
    apply = {"items": [{"doc": invoice, "apply": True}]}
    payment = oneworld.write("POST", f"customer/{customer}/!transform/customerPayment", {"apply": apply})
    assert oneworld.get(f"customerPayment/{payment}")["payment"] == Decimal(12)


def test_what_does_not_transform(oneworld: Api, auditor: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer)
    assert oneworld.refused("POST", f"invoice/{invoice}/!transform/salesOrder").code == "INVALID_REQUEST"
    assert oneworld.refused("POST", f"invoice/{invoice}/!transform/nothing").status == 404
    assert oneworld.refused("POST", "invoice/999999/!transform/creditMemo").status == 404
    assert oneworld.refused("GET", f"invoice/{invoice}/!transform/creditMemo").status == 405
    assert oneworld.refused("POST", f"salesOrder/{invoice}/!transform/invoice").detail.endswith(
        "is incorrect."
    )
    assert auditor.refused("POST", f"invoice/{invoice}/!transform/creditMemo").status == 403


def test_the_catalog_names_the_transformations(oneworld: Api) -> None:
    headers = {"Accept": "application/swagger+json"}
    catalog = oneworld.request(
        "GET", "record/v1/metadata-catalog?select=invoice,salesOrder", headers=headers
    ).json()
    assert {path for path in catalog["paths"] if "!transform" in path} == {
        "/invoice/{id}/!transform/creditMemo",
        "/invoice/{id}/!transform/customerPayment",
        "/salesOrder/{id}/!transform/invoice",
    }


# Forms


def test_the_form_of_a_transformation_saves_nothing(oneworld: Api) -> None:
    customer = oneworld.customer()
    invoice = oneworld.invoice(customer, "100")
    before = oneworld.admin("GET", "stats")["records"]
    path = f"invoice/{invoice}/!transform/customerPayment"
    found = form(oneworld, "POST", path, "create-form", {"payment": 30})
    assert (found["payment"], found["customer"]["id"]) == (Decimal(30), customer)
    assert (found["apply"]["items"][0]["amount"], "id" in found, "tranId" in found) == (
        Decimal(30),
        False,
        False,
    )
    assert [link["rel"] for link in found["links"]] == ["self", "transform"]
    assert found["links"][0]["mediaType"] == f"{MEDIA}; type=create-form"
    assert oneworld.admin("GET", "stats")["records"] == before
    assert oneworld.get(f"invoice/{invoice}")["amountPaid"] == 0
    following = int(oneworld.invoice(customer))
    assert following == int(invoice) + 1


def test_the_form_of_an_unfinished_record(oneworld: Api) -> None:
    customer = oneworld.customer(terms="2")
    found = form(oneworld, "POST", f"customer/{customer}/!transform/invoice", "create-form")
    assert (found["entity"]["id"], found["terms"]["id"], found["item"]["items"]) == (customer, "2", [])
    found = form(oneworld, "POST", "invoice", "create-form", {"memo": "x"})
    assert (found["memo"], found["links"][1]["rel"]) == ("x", "create")
    refused = oneworld.refused(
        "POST",
        "invoice",
        {"entity": customer, "tranDate": "2026-07-01"},
        headers={"Accept": f"{MEDIA}; type=create-form"},
    )
    assert "closed or locked" in refused.detail


def test_the_form_of_a_change(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer(), "100")
    change = {"item": {"items": [{"line": 1, "amount": 70}]}}
    found = form(oneworld, "PATCH", f"invoice/{invoice}", "edit-form", change)
    assert (found["id"], found["total"]) == (invoice, Decimal(70))
    assert oneworld.get(f"invoice/{invoice}")["total"] == Decimal(100)


# Select options


def test_the_options_of_a_field(oneworld: Api) -> None:
    found = form(oneworld, "POST", "customer", "select-options", fields="terms,emailPreference", limit="2")
    terms = found["terms"]["_selectOptions"]
    assert (terms["count"], terms["hasMore"], terms["totalResults"]) == (2, True, 5)
    assert terms["items"] == [{"id": "1", "refName": "Due on receipt"}, {"id": "4", "refName": "Net 15"}]
    assert {"id": "PDF", "refName": "PDF"} in found["emailPreference"]["_selectOptions"]["items"]
    for q, names in (
        ('CONTAIN "30"', ["Net 30"]),
        ("START_WITH net", ["Net 15", "Net 30", "Net 45", "Net 60"]),
        ('refName IS "Net 60"', ["Net 60"]),
    ):
        found = form(oneworld, "POST", "customer", "select-options", fields="TERMS", q=q)
        assert [item["refName"] for item in found["terms"]["_selectOptions"]["items"]] == names


def test_options_are_for_the_records_subsidiary(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer(subsidiary="3"))
    found = form(oneworld, "PATCH", f"invoice/{invoice}", "select-options", fields="location")
    assert [item["refName"] for item in found["location"]["_selectOptions"]["items"]] == ["Berlin"]
    found = form(oneworld, "POST", "invoice", "select-options", {"subsidiary": "1"}, fields="location")
    assert [item["refName"] for item in found["location"]["_selectOptions"]["items"]] == ["New York"]


@pytest.mark.parametrize(
    ("query", "name"),
    [({"fields": "memo"}, "fields"), ({}, "fields"), ({"fields": "terms", "q": "LIKE x"}, "q")],
)
def test_what_has_no_options(oneworld: Api, query: dict[str, str], name: str) -> None:
    headers = {"Accept": f"{MEDIA}; type=select-options"}
    refused = oneworld.refused("POST", "invoice", {}, headers=headers, params=query)
    assert (refused.code, refused.error["o:errorQueryParam"]) == ("INVALID_PARAMETER", name)
