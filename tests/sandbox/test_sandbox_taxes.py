"""What the account's tax engine computes: tax details, totals, lines, postings; and when it overrules the caller."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_tools import PROFILES, Api, Integration, start

STATE = {"tax_type": "1", "tax_code": "11", "rate": 8.875, "subsidiaries": ["1"]}
VAT = {"tax_type": "2", "tax_code": "21", "rate": 19, "subsidiaries": ["3"]}
ROWS = (
    "SELECT tl.id, tl.foreignamount, tl.ratepercent, l.debit, l.credit, a.accttype FROM transactionline tl "
    "JOIN transactionaccountingline l ON l.transaction = tl.transaction AND l.transactionline = tl.id "
    "JOIN account a ON a.id = l.account WHERE tl.transaction = ? AND tl.taxline = 'T' ORDER BY tl.linesequencenumber"
)


@pytest.fixture(scope="module")
def taxing(
    tmp_path_factory: pytest.TempPathFactory, public_pem: Path, private_key: ec.EllipticCurvePrivateKey
) -> Iterator[Api]:
    """An account whose engine computes sales tax in one subsidiary and VAT in the other, on one item of a schedule more."""
    profile = yaml.safe_load((PROFILES / "oneworld.yaml").read_text())
    storage = next(item for item in profile["items"] if item["item_id"] == "Storage GB")
    storage["tax_schedule"] = 5
    digital = {"tax_type": 1, "tax_code": 21, "rate": 1, "subsidiaries": [1], "tax_schedules": [5]}
    profile["tax_engine"] = {"rates": [STATE, VAT, digital]}
    path = tmp_path_factory.mktemp("taxing") / "profile.yaml"
    path.write_text(yaml.safe_dump(profile))
    certificate = f"1234567_SB1:billing-integration:cert-1:{public_pem}"
    server = start("--profile", str(path), "--certificate", certificate)
    yield Api(server.url, "1234567-sb1", Integration("billing-integration", "cert-1", private_key))
    assert server.stop() == 0


@pytest.fixture
def changed(taxing: Api) -> Iterator[Api]:
    """The same account for a test that changes the engine; the profile's comes back."""
    yield taxing
    taxing.admin("POST", "reset")
    taxing.login()


def overridden(api: Api, amount: float) -> dict[str, Any]:
    """An invoice of 200 with a tax of the caller's own."""
    line = {"item": "417", "quantity": 10, "rate": 20, "taxDetailsReference": "L1"}
    row = {"taxDetailsReference": "L1", "taxType": "1", "taxCode": "11", "taxAmount": amount}
    body = {"entity": api.customer(), "tranDate": "2026-10-15", "item": {"items": [line]}}
    return body | {"taxDetailsOverride": True, "taxDetails": {"items": [row]}}


def test_tax_that_is_not_given_is_computed_line_by_line(taxing: Api) -> None:
    invoice = taxing.invoice(taxing.customer(), "100.10", "33.33")
    found = taxing.full(f"invoice/{invoice}")
    assert (found["subtotal"], found["taxTotal"], found["total"]) == (
        Decimal("133.43"),
        Decimal("11.84"),
        Decimal("145.27"),
    )
    assert [(line["taxAmount"], line["grossAmt"]) for line in found["item"]["items"]] == [
        (Decimal("8.88"), Decimal("108.98")),
        (Decimal("2.96"), Decimal("36.29")),
    ]
    rows = found["taxDetails"]["items"]
    assert [(row["taxCode"]["refName"], row["taxRate"], row["taxAmount"]) for row in rows] == [
        ("NY State", Decimal("8.875"), Decimal("8.88")),
        ("NY State", Decimal("8.875"), Decimal("2.96")),
    ]
    assert [row["taxDetailsReference"] for row in rows] == [
        line["taxDetailsReference"] for line in found["item"]["items"]
    ]
    assert taxing.rows(ROWS, invoice) == [
        {
            "id": "3",
            "foreignamount": "-8.88",
            "ratepercent": "8.875",
            "credit": "8.88",
            "accttype": "OthCurrLiab",
        },
        {
            "id": "4",
            "foreignamount": "-2.96",
            "ratepercent": "8.875",
            "credit": "2.96",
            "accttype": "OthCurrLiab",
        },
    ]


def test_a_credit_memo_gives_the_tax_back(taxing: Api) -> None:
    customer = taxing.customer(subsidiary={"id": "3"})
    memo = taxing.credit_memo(customer, "50")
    assert taxing.get(f"creditMemo/{memo}")["total"] == Decimal("59.5")
    rows = taxing.rows(ROWS, memo)
    assert [(row["foreignamount"], row["debit"], row["accttype"]) for row in rows] == [
        ("9.5", "9.5", "OthCurrLiab")
    ]
    made = taxing.write("POST", f"invoice/{taxing.invoice(customer, '10')}/!transform/creditMemo")
    assert taxing.get(f"creditMemo/{made}")["taxTotal"] == Decimal("1.9")


def test_an_item_of_a_schedule_bears_its_taxes(taxing: Api) -> None:
    lines = [{"item": "413", "amount": 100}, {"item": "417", "amount": 100}]
    body = {"entity": taxing.customer(), "tranDate": "2026-10-15", "item": {"items": lines}}
    invoice = taxing.write("POST", "invoice", body)
    found = taxing.full(f"invoice/{invoice}")
    assert [line["taxAmount"] for line in found["item"]["items"]] == [Decimal("9.88"), Decimal("8.88")]
    assert len(taxing.rows(ROWS, invoice)) == 3


def test_lines_of_one_reference_are_taxed_apart(taxing: Api) -> None:
    lines = [{"item": "417", "amount": amount, "taxDetailsReference": "L"} for amount in (100, 200)]
    body = {"entity": taxing.customer(), "tranDate": "2026-10-15", "item": {"items": lines}}
    found = taxing.full(f"invoice/{taxing.write('POST', 'invoice', body)}")
    assert [line["taxAmount"] for line in found["item"]["items"]] == [Decimal("8.88"), Decimal("17.75")]


def test_an_override_stands(taxing: Api) -> None:
    invoice = taxing.write("POST", "invoice", overridden(taxing, 3))
    assert taxing.get(f"invoice/{invoice}")["total"] == 203
    taxing.write("PATCH", f"invoice/{invoice}", {"taxDetailsOverride": False})
    assert taxing.get(f"invoice/{invoice}")["total"] == Decimal("217.75")


def test_an_engine_may_compute_another_tax_than_the_caller_gave(changed: Api) -> None:
    changed.admin("POST", "taxes", {"rates": [STATE | {"rate": 5}], "honours_override": False})
    invoice = changed.write("POST", "invoice", overridden(changed, 3))
    found = changed.full(f"invoice/{invoice}")
    assert (found["taxTotal"], found["total"], found["taxDetailsOverride"]) == (10, 210, True)
    assert [row["taxAmount"] for row in found["taxDetails"]["items"]] == [10]


def test_tax_is_computed_again_with_what_it_follows_from(changed: Api) -> None:
    invoice = changed.invoice(changed.customer(), "100")
    before = changed.rows(ROWS, invoice)
    changed.admin("POST", "taxes", {"rates": [STATE | {"rate": 10}]})
    changed.write("PATCH", f"invoice/{invoice}", {"memo": "The tax stays as it was computed."})
    assert changed.rows(ROWS, invoice) == before
    changed.write("PATCH", f"invoice/{invoice}", {"item": {"items": [{"line": 1, "amount": 200}]}})
    after = changed.rows(ROWS, invoice)
    assert [(row["id"], row["credit"]) for row in after] == [(before[0]["id"], "20")]
    changed.admin("POST", "taxes", {"rates": []})
    changed.write("PATCH", f"invoice/{invoice}", {"tranDate": "2026-10-16"})
    assert changed.get(f"invoice/{invoice}")["total"] == 200
    assert changed.rows(ROWS, invoice) == []


def test_a_gross_amount_holds_the_computed_tax(taxing: Api) -> None:
    customer = taxing.customer(subsidiary={"id": "3"})
    line = {"item": "417", "quantity": 4, "grossAmt": 119}
    body = {"entity": customer, "tranDate": "2026-10-15", "item": {"items": [line]}}
    found = taxing.full(f"invoice/{taxing.write('POST', 'invoice', body)}")
    line = found["item"]["items"][0]
    assert (line["amount"], line["rate"], line["taxAmount"], found["total"]) == (100, 25, 19, 119)


def test_what_a_tax_engine_cannot_be(taxing: Api, single: Api) -> None:
    for api, rates, text in (
        (taxing, [STATE | {"tax_code": "99"}], "rate 0: tax_code 99 is not declared"),
        (taxing, [STATE | {"subsidiaries": ["9"]}], "rate 0: subsidiary 9 is not declared"),
        (taxing, [STATE | {"rate": -1}], "rates.0.rate"),
        (single, [STATE], "tax_account"),
    ):
        answer = api.http.post("sandbox/taxes", json={"rates": rates})
        assert answer.status_code == 400
        assert text in answer.json()["error"]


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    amounts=st.lists(st.integers(1, 99_999_99), min_size=1, max_size=4),
    rate=st.decimals("0", "30", places=3),
)
def test_the_tax_of_any_document_is_its_lines_tax_and_its_books_balance(
    changed: Api, amounts: list[int], rate: Decimal
) -> None:
    changed.admin("POST", "taxes", {"rates": [STATE | {"rate": str(rate)}]})
    cents = Decimal("0.01")
    invoice = changed.invoice(changed.customer(), *(str(Decimal(amount) / 100) for amount in amounts))
    expected = sum(
        ((Decimal(amount) / 100 * rate / 100).quantize(cents, ROUND_HALF_UP) for amount in amounts),
        Decimal(0),
    )
    found = changed.get(f"invoice/{invoice}")
    assert found["taxTotal"] == expected
    assert found["total"] == Decimal(sum(amounts)) / 100 + expected
    query = "SELECT SUM(NVL(debit, 0)) AS debit, SUM(NVL(credit, 0)) AS credit FROM transactionaccountingline WHERE transaction = ?"
    [books] = changed.rows(query, invoice)
    assert books["debit"] == books["credit"]
    assert Decimal(books["debit"]) == found["total"]
