"""Discounts, tax details, invoice approval, customers' balances, and a customer's further subsidiaries."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from sandbox_tools import PROFILES, Api, Integration, start

VAT = {"taxDetailsReference": "L1", "taxType": {"id": "2"}, "taxCode": {"id": "21"}}


def taxed(api: Api, *rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    line = {"item": "417", "quantity": 10, "rate": 20, "taxDetailsReference": "L1"}
    body: dict[str, Any] = {"entity": api.customer(), "tranDate": "2026-10-15", "item": {"items": [line]}}
    return body | {"taxDetailsOverride": True, "taxDetails": {"items": list(rows)}} | changes


# Tax


def test_tax_details_change_the_totals(oneworld: Api) -> None:
    invoice = oneworld.write("POST", "invoice", taxed(oneworld, VAT | {"taxRate": 19, "taxBasis": 200}))
    found = oneworld.full(f"invoice/{invoice}")
    assert (found["subtotal"], found["taxTotal"], found["total"], found["totalAfterTaxes"]) == (
        200,
        38,
        238,
        238,
    )
    assert found["amountRemaining"] == 238
    line = found["item"]["items"][0]
    assert (line["amount"], line["taxAmount"], line["grossAmt"]) == (200, 38, 238)
    row = found["taxDetails"]["items"][0]
    assert (row["taxBasis"], row["taxRate"], row["taxAmount"], row["netAmount"]) == (200, 19, 38, 200)
    assert (row["taxType"]["refName"], row["taxCode"]["refName"], row["lineName"]) == (
        "VAT",
        "DE Standard",
        "Usage",
    )
    query = "SELECT mainline, taxline, foreignamount, ratepercent FROM transactionline WHERE transaction = ? ORDER BY linesequencenumber"
    assert oneworld.rows(query, invoice) == [
        {"mainline": "T", "taxline": "F", "foreignamount": "238"},
        {"mainline": "F", "taxline": "F", "foreignamount": "-200"},
        {"mainline": "F", "taxline": "T", "foreignamount": "-38", "ratepercent": "19"},
    ]
    query = "SELECT account, debit, credit FROM transactionaccountingline WHERE transaction = ? ORDER BY transactionline"
    assert oneworld.rows(query, invoice) == [
        {"account": "119", "debit": "238"},
        {"account": "598", "credit": "200"},
        {"account": "620", "credit": "38"},
    ]


def test_tax_rows_add_up_and_go(oneworld: Api) -> None:
    body = taxed(oneworld, VAT | {"taxAmount": 38}, VAT | {"taxRate": 0.5, "taxBasis": 100})
    invoice = oneworld.write("POST", "invoice", body)
    assert oneworld.get(f"invoice/{invoice}")["taxTotal"] == Decimal("38.5")
    assert oneworld.full(f"invoice/{invoice}")["taxDetails"]["items"][0]["taxRate"] == 19
    oneworld.write("PATCH", f"invoice/{invoice}", {"taxDetails": {"items": [VAT | {"taxAmount": 1}]}})
    assert oneworld.get(f"invoice/{invoice}")["taxTotal"] == Decimal("39.5")
    rows = {"taxDetails": {"items": [VAT | {"taxAmount": 2}]}}
    oneworld.write("PATCH", f"invoice/{invoice}?replace=taxDetails", rows)
    assert oneworld.get(f"invoice/{invoice}")["total"] == 202
    oneworld.write("PATCH", f"invoice/{invoice}", {"taxDetailsOverride": False})
    assert oneworld.get(f"invoice/{invoice}")["total"] == 200
    assert (
        oneworld.rows("SELECT id FROM transactionline WHERE transaction = ? AND taxline = 'T'", invoice) == []
    )


def test_a_gross_amount_drives_the_amount(oneworld: Api) -> None:
    line = {"item": "417", "quantity": 4, "grossAmt": 119, "taxDetailsReference": "L1"}
    invoice = oneworld.write(
        "POST", "invoice", taxed(oneworld, VAT | {"taxRate": 19}, item={"items": [line]})
    )
    found = oneworld.full(f"invoice/{invoice}")
    line = found["item"]["items"][0]
    assert (line["amount"], line["rate"], line["taxAmount"], found["total"]) == (100, 25, 19, 119)


def test_what_tax_details_refuse(oneworld: Api, single: Api) -> None:
    body = taxed(oneworld, VAT | {"taxDetailsReference": "nowhere", "taxAmount": 1})
    path = "taxDetails.items[0].taxDetailsReference"
    assert oneworld.refused("POST", "invoice", body).error["o:errorPath"] == path
    body = taxed(oneworld, {"taxDetailsReference": "L1", "taxAmount": 1})
    assert oneworld.refused("POST", "invoice", body).detail.endswith("for: Tax Type, Tax Code.")
    body = taxed(oneworld, VAT | {"taxAmount": 1}, taxDetailsOverride=False)
    assert oneworld.refused("POST", "invoice", body).detail.endswith("only with Tax Details Override.")
    # Without SuiteTax the fields do not exist.
    strict = {"X-NetSuite-PropertyNameValidation": "Error"}
    body = {
        "entity": single.customer(),
        "item": {"items": [{"item": "25", "amount": 1}]},
        "taxDetailsOverride": True,
    }
    assert (
        single.refused("POST", "invoice", body, headers=strict).error["o:errorPath"] == "taxDetailsOverride"
    )


def test_a_credit_memo_takes_its_invoices_tax_along(oneworld: Api) -> None:
    invoice = oneworld.write("POST", "invoice", taxed(oneworld, VAT | {"taxRate": 19}))
    memo = oneworld.write("POST", f"invoice/{invoice}/!transform/creditMemo")
    assert oneworld.get(f"creditMemo/{memo}")["total"] == 238
    part = {"item": {"items": [{"line": 1, "quantity": 5, "amount": 100}]}}
    memo = oneworld.write("POST", f"invoice/{invoice}/!transform/creditMemo", part)
    assert oneworld.get(f"creditMemo/{memo}")["taxTotal"] == 19


# Discount


@pytest.mark.parametrize(
    ("rate", "discount"),
    [("-10%", "-15.02"), ("-10.0%", "-15.02"), ("-7.5", "-7.5"), (-3, "-3"), ("5%", "7.51")],
)
def test_a_discount_on_the_body(oneworld: Api, rate: Any, discount: str) -> None:
    changes = {"discountItem": {"id": "418"}, "discountRate": rate}
    invoice = oneworld.invoice(oneworld.customer(), "100.10", "50.05", **changes)
    found = oneworld.get(f"invoice/{invoice}")
    total = Decimal("150.15") + Decimal(discount)
    assert (found["subtotal"], found["discountTotal"], found["total"]) == (
        Decimal("150.15"),
        Decimal(discount),
        total,
    )
    query = (
        "SELECT l.account, tl.foreignamount FROM transactionline tl JOIN transactionaccountingline l "
        "ON l.transaction = tl.transaction AND l.transactionline = tl.id WHERE tl.transaction = ? AND tl.transactiondiscount = 'T'"
    )
    assert oneworld.rows(query, invoice) == [
        {"account": "601", "foreignamount": f"{-Decimal(discount).normalize():f}"}
    ]
    oneworld.write("PATCH", f"invoice/{invoice}", {"discountItem": None})
    found = oneworld.get(f"invoice/{invoice}")
    assert (found["total"], "discountRate" in found) == (Decimal("150.15"), False)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"discountItem": "418"}, "Please enter value(s) for: Discount Rate."),
        ({"discountRate": "-5"}, "Please enter value(s) for: Discount Item."),
        ({"discountItem": "417", "discountRate": "-5"}, "for the following field: discountItem."),
        ({"discountItem": "418", "discountRate": "five"}, "for the following field: discountRate."),
        ({"discountItem": "418", "discountRate": "-101%"}, "The total can not be negative."),
    ],
)
def test_what_a_discount_refuses(oneworld: Api, changes: dict[str, Any], detail: str) -> None:
    body = {"entity": oneworld.customer(), "item": {"items": [{"item": "417", "amount": 50}]}}
    assert oneworld.refused("POST", "invoice", body | changes).detail.endswith(detail)


# Balances


def test_a_customer_owes_what_is_open(oneworld: Api) -> None:
    customer = oneworld.customer(currencyList={"items": [{"currency": {"id": "2"}}]})
    assert oneworld.get(f"customer/{customer}")["balance"] == 0
    old = oneworld.invoice(customer, "100", tranDate="2026-09-01")
    oneworld.invoice(customer, "10", currency="2", exchangeRate=1.5, dueDate="2027-06-01")
    found = oneworld.get(f"customer/{customer}")
    assert (found["balance"], found["overdueBalance"]) == (115, 100)
    body = {
        "customer": customer,
        "payment": 70,
        "apply": {"items": [{"doc": old, "apply": True, "amount": 60}]},
    }
    oneworld.write("POST", "customerPayment", body)
    found = oneworld.get(f"customer/{customer}")
    assert (found["balance"], found["overdueBalance"]) == (45, 40)
    oneworld.credit_memo(customer, "5")
    assert oneworld.get(f"customer/{customer}")["balance"] == 40
    query = "SELECT balancesearch, overduebalancesearch FROM customer WHERE id = ?"
    assert oneworld.rows(query, customer) == [{"balancesearch": "40", "overduebalancesearch": "40"}]


# Approval


@pytest.fixture(scope="module")
def approving(
    tmp_path_factory: pytest.TempPathFactory, public_pem: Path, private_key: ec.EllipticCurvePrivateKey
) -> Iterator[Api]:
    """An account that routes invoices for approval."""
    profile = yaml.safe_load((PROFILES / "oneworld.yaml").read_text())
    profile["features"] = {**profile.get("features", {}), "invoice_approvals": True}
    path = tmp_path_factory.mktemp("approving") / "profile.yaml"
    path.write_text(yaml.safe_dump(profile))
    server = start(
        "--profile", str(path), "--certificate", f"1234567_SB1:billing-integration:cert-1:{public_pem}"
    )
    yield Api(server.url, "1234567-sb1", Integration("billing-integration", "cert-1", private_key))
    assert server.stop() == 0


def test_an_invoice_awaits_approval(approving: Api) -> None:
    customer = approving.customer()
    invoice = approving.invoice(customer, "100")
    found = approving.get(f"invoice/{invoice}")
    assert found["approvalStatus"] == {"id": "1", "refName": "Pending Approval"}
    assert found["status"] == {"id": "D", "refName": "Pending Approval"}
    gl = "SELECT DISTINCT posting FROM transactionaccountingline WHERE transaction = ?"
    assert approving.rows(gl, invoice) == [{"posting": "F"}]
    assert approving.get(f"customer/{customer}")["balance"] == 0
    body = {"customer": customer, "payment": 100, "apply": {"items": [{"doc": invoice, "apply": True}]}}
    assert approving.refused("POST", "customerPayment", body).error["o:errorPath"] == "apply.items[0].doc"
    approving.write("PATCH", f"invoice/{invoice}", {"approvalStatus": {"id": "2"}})
    assert approving.get(f"invoice/{invoice}")["status"]["id"] == "A"
    assert approving.rows(gl, invoice) == [{"posting": "T"}]
    query = "SELECT approvalstatus, posting FROM transaction WHERE id = ?"
    assert approving.rows(query, invoice) == [{"approvalstatus": "2", "posting": "T"}]
    approving.write("POST", "customerPayment", body)
    refused = approving.refused("PATCH", f"invoice/{invoice}", {"approvalStatus": {"id": "3"}})
    assert "cannot go back to approval" in refused.detail


def test_an_invoice_may_be_rejected_or_approved_at_once(approving: Api) -> None:
    customer = approving.customer()
    rejected = approving.invoice(customer, "5", approvalStatus={"id": "3"})
    assert approving.get(f"invoice/{rejected}")["status"] == {"id": "E", "refName": "Rejected"}
    approved = approving.invoice(customer, "5", approvalStatus="2")
    assert approving.get(f"invoice/{approved}")["status"]["id"] == "A"


def test_without_the_feature_there_is_no_approval_status(oneworld: Api) -> None:
    invoice = oneworld.invoice(oneworld.customer(), "5", approvalStatus={"id": "1"})
    found = oneworld.get(f"invoice/{invoice}")
    assert ("approvalStatus" in found, found["status"]["id"]) == (False, "A")


# Further subsidiaries


def test_a_customer_may_belong_to_another_subsidiary_too(oneworld: Api) -> None:
    customer = oneworld.customer(currencyList={"items": [{"currency": {"id": "2"}}]})
    items = {"items": [{"item": "417", "amount": 10}]}
    body = {"entity": customer, "subsidiary": "3", "currency": "2", "item": items}
    assert oneworld.refused("POST", "invoice", body).error["o:errorPath"] == "subsidiary"
    given = {"entity": {"id": customer}, "subsidiary": {"id": "3"}}
    relation = oneworld.write("POST", "customerSubsidiaryRelationship", given)
    found = oneworld.get(f"customerSubsidiaryRelationship/{relation}")
    assert (found["entity"]["id"], found["subsidiary"]["id"], found["isPrimarySub"]) == (customer, "3", False)
    query = "SELECT subsidiary, isprimarysub FROM customersubsidiaryrelationship WHERE entity = ? ORDER BY subsidiary"
    rows = [{"subsidiary": "1", "isprimarysub": "T"}, {"subsidiary": "3", "isprimarysub": "F"}]
    assert oneworld.rows(query, customer) == rows
    oneworld.write("PATCH", f"customer/{customer}", {"email": "a@example.com"})
    assert oneworld.rows(query, customer) == rows
    invoice = oneworld.write("POST", "invoice", body)
    assert (
        oneworld.get(f"invoice/{invoice}")["exchangeRate"],
        oneworld.get(f"invoice/{invoice}")["subsidiary"]["id"],
    ) == (1, "3")
    payment = {
        "customer": customer,
        "currency": "2",
        "payment": 10,
        "apply": {"items": [{"doc": invoice, "apply": True}]},
    }
    assert oneworld.refused("POST", "customerPayment", payment).error["o:errorPath"] == "apply.items[0].doc"
    oneworld.write("POST", "customerPayment", payment | {"subsidiary": "3"})
    assert "dependent" in oneworld.refused("DELETE", f"customerSubsidiaryRelationship/{relation}").detail


def test_what_a_relationship_refuses(oneworld: Api, single: Api) -> None:
    customer = oneworld.customer()
    for body, tail in (
        ({"entity": customer}, "for: Subsidiary."),
        ({"subsidiary": "3"}, "for: Customer."),
        ({"entity": customer, "subsidiary": "1"}, "This record already exists."),
    ):
        assert oneworld.refused("POST", "customerSubsidiaryRelationship", body).detail.endswith(tail)
    relation = oneworld.write(
        "POST", "customerSubsidiaryRelationship", {"entity": customer, "subsidiary": "3"}
    )
    oneworld.write("DELETE", f"customerSubsidiaryRelationship/{relation}")
    oneworld.write("DELETE", f"customer/{customer}")
    assert oneworld.rows("SELECT id FROM customersubsidiaryrelationship WHERE entity = ?", customer) == []
    assert single.refused("POST", "customerSubsidiaryRelationship", {}).status == 404
