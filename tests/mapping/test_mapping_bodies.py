"""Bodies in NetSuite's value shapes, and the explanation of each value."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from mapping_tools import Account, invoice_rules, mapping

from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.mapping.explain import Explained
from resources.tenants import TenantRegistry

RULES = invoice_rules(
    {
        "tranDate": {"from": "issued_on"},
        "memo": {"from": "memo"},
        "terms": {"from": "terms", "lookup": "term", "default": "Net 30"},
        "approvalStatus": {"value": 2},
        "exchangeRate": {"value": "1.10"},
        "toBeEmailed": {"value": False},
        "custbody_t": {"value": "2026-10-03T07:05:00+02:00", "type": "datetime"},
        "custbody_n": {"from": "metadata.n", "type": "integer"},
    },
    {
        "description": {"from": "description"},
        "quantity": {"from": "quantity"},
        "rate": {"from": "unit_amount"},
        "amount": {"from": "amount"},
    },
)


def _filled(account: Account) -> None:
    account.listed("term", "2", name="Net 30", is_inactive=False)
    account.invoice(
        lines=[
            {
                "quantity": Decimal("1200"),
                "unit_amount": Decimal("0.000095000000"),
                "amount": Decimal("0.11"),
            },
            {
                "quantity": Decimal("-1"),
                "unit_amount": Decimal("100"),
                "amount": Decimal("-100.00"),
                "description": "Less",
            },
        ],
        metadata='{"n": 7}',
        terms="Net 99",
    )


def test_a_whole_body_has_the_fields_in_the_order_of_the_file(tmp_path: Path, account: Account) -> None:
    _filled(account)
    mapped = mapping(tmp_path, RULES)
    header = account.one(mapped)
    body = mapped.body("invoice", header, account.expected("invoice_lines"))
    assert body == {
        "entity": {"externalId": "cus-1001"},
        "tranDate": "2026-10-03",
        "terms": {"id": "2"},
        "approvalStatus": {"id": "2"},
        "exchangeRate": Decimal("1.1"),
        "toBeEmailed": False,
        "custbody_t": "2026-10-03T05:05:00Z",
        "custbody_n": 7,
        "item": {
            "items": [
                {"item": {"id": "100"}, "quantity": Decimal(1200), "rate": Decimal("0.000095"), "amount": Decimal("0.11")},
                {"item": {"id": "100"}, "description": "Less", "quantity": Decimal(-1), "rate": Decimal(100),
                 "amount": Decimal(-100)},
            ]
        },
    }  # fmt: skip
    assert list(body)[:3] == ["entity", "tranDate", "terms"]
    assert "E" not in str(body["item"]["items"][0]["rate"])
    assert {str(item[name]) for item in body["item"]["items"] for name in ("quantity", "rate")} == {
        "1200", "0.000095", "-1", "100",
    }  # fmt: skip


def test_a_part_of_a_body_has_exactly_these_fields_and_null_clears(tmp_path: Path, account: Account) -> None:
    _filled(account)
    mapped = mapping(tmp_path, RULES)
    header = account.one(mapped)
    lines = account.expected("invoice_lines")
    assert mapped.body("invoice", header, lines, only={"memo", "tranDate"}, with_lines=False) == {
        "tranDate": "2026-10-03",
        "memo": None,
    }
    only_lines = mapped.body("invoice", header, lines, only=(), with_lines=True)
    assert list(only_lines) == ["item"]
    assert len(only_lines["item"]["items"]) == 2


def test_a_netsuite_customer_without_external_id_is_named_by_its_own_id(
    tmp_path: Path, account: Account
) -> None:
    _filled(account)
    mapped = mapping(tmp_path, RULES)
    header = account.one(mapped) | {"entity": "internal:647"}
    assert mapped.body("invoice", header, only={"entity"}, with_lines=False) == {"entity": {"id": "647"}}


def test_each_value_is_explained(tmp_path: Path, account: Account) -> None:
    _filled(account)
    mapped = mapping(tmp_path, RULES)
    found = {(one.line, one.field): one for one in mapped.explain(account.con, "invoice", "inv-500")}
    assert len(found) == 9 + 2 * 5
    fields = {field.name: field for field in mapped.records["invoice"].fields}
    assert found[None, "terms"] == Explained(
        line=None, field="terms", value="2", rule="from terms, lookup term, default 'Net 30'",
        where=fields["terms"].where, source="Net 99", found_by="default", fallback="Net 30", problem=None,
    )  # fmt: skip
    assert found[None, "memo"].value is None
    assert found[None, "approvalStatus"].rule == "value '2'"
    assert (found[2, "item"].value, found[2, "item"].source, found[2, "item"].found_by) == (
        "100",
        "API calls",
        "number",
    )
    assert found[2, "amount"].value == "-100.0000"
    assert mapped.explain(account.con, "invoice", "inv-501") == []


def test_a_value_that_cannot_be_mapped_is_explained_too(tmp_path: Path, account: Account) -> None:
    account.invoice(customer_id=None, lines=[{"product_id": "X"}])
    found = {
        one.field: one
        for one in mapping(tmp_path, invoice_rules()).explain(account.con, "invoice", "inv-500")
    }
    assert (found["entity"].problem, found["item"].problem, found["item"].source) == (
        "no_customer", "unresolved_reference", "X",
    )  # fmt: skip


def test_the_field_that_carries_billings_number_is_known(tmp_path: Path) -> None:
    rules = invoice_rules({"memo": {"template": "{number}"}, "otherRefNum": {"from": "number"}})
    assert mapping(tmp_path, rules).records["invoice"].number_field == "otherRefNum"
    assert mapping(tmp_path, invoice_rules()).records["invoice"].number_field is None


# The demo's tenants

DEMO = TenantRegistry(Path(__file__).resolve().parents[2] / "tenants")


@pytest.mark.parametrize("name", ["acme", "globex", "retail"])
def test_a_demo_tenant_compiles_without_a_warning(name: str) -> None:
    mapped = compile_mapping(DEMO.load(name))
    # That a payment settles an invoice is written with it, and compared as what the payment settles.
    settles = "NetSuite's queries do not show apply: it is written, but not compared"
    more = {"customerPayment", "journalEntry"} if name == "globex" else set()
    assert [problem.message for problem in mapped.warnings] == [settles for _ in more & {"customerPayment"}]
    assert set(mapped.records) == {"customer", "invoice", "creditMemo"} | more


def test_an_acme_invoice(account: Account) -> None:
    for name, internal_id, value in (
        ("currency", "4", "EUR"), ("term", "2", "Net 30"), ("cseg_product", "11", "Metering"),
        ("department", "2", "Sales"), ("classification", "7", "Cloud"), ("classification", "8", "Services"),
        ("location", "5", "Berlin"),
    ):  # fmt: skip
        account.listed(name, internal_id, name=value, is_inactive=False)
    account.con.execute(
        "UPDATE billing.customers SET legal_entity = 'eu', currency = 'EUR', terms = 'Net 30'"
    )
    account.invoice(
        currency="EUR", legal_entity="eu", terms="Net 30", product_line="Hosting", due_on=date(2026, 11, 2),
        memo="Usage September 2026", metadata='{"subscription_id": "sub_1", "contract_start": "2024-02-29"}',
        lines=[{"quantity": Decimal("3"), "unit_amount": Decimal("3.5"), "service_start": date(2026, 9, 1),
                "service_end": date(2026, 9, 30), "description": "API calls, Sep 2026"}],
    )  # fmt: skip
    mapped = compile_mapping(DEMO.load("acme"))
    header = account.one(mapped)
    assert header["problem"] is None
    assert json.loads(header["via"])["cseg_product"] == "default Metering"
    assert mapped.body("invoice", header, account.expected("invoice_lines")) == {
        "entity": {"externalId": "cus-1001"}, "currency": {"id": "4"}, "tranDate": "2026-10-03",
        "dueDate": "2026-11-02", "otherRefNum": "INV-500", "memo": "Usage September 2026", "subsidiary": {"id": "3"},
        "terms": {"id": "2"}, "cseg_product": {"id": "11"}, "custbody_subscription_ref": "sub_1",
        "custbody_contract_start": "2024-02-29", "message": "EUR / eu", "startDate": "2026-10-01",
        "endDate": "2026-10-31", "department": {"id": "2"}, "class": {"id": "8"}, "location": {"id": "5"},
        "item": {"items": [{
            "item": {"id": "100"}, "description": "API calls, Sep 2026", "quantity": Decimal(3), "rate": Decimal("3.5"),
            "amount": Decimal("10.5"), "custcol_service_start": "2026-09-01", "custcol_service_end": "2026-09-30",
            "custcol_rated_events": 1, "department": {"id": "2"}, "class": {"id": "7"},
        }]},
    }  # fmt: skip


def test_a_globex_bill_takes_its_terms_from_the_customer(account: Account) -> None:
    for name, internal_id, value in (
        ("currency", "1", "USD"), ("term", "3", "Net 15"), ("customlist_plan", "2", "Growth"),
        ("department", "3", "Operations"), ("classification", "9", "Usage"),
    ):  # fmt: skip
        account.listed(name, internal_id, name=value, is_inactive=False)
    account.con.execute(
        "UPDATE billing.customers SET currency = 'USD', terms = 'Net 15', metadata = '{\"crm_id\": \"c7\"}'"
    )
    account.invoice(
        metadata='{"plan": "Growth", "usage_run": "run-1"}', lines=[{"metadata": '{"meter": "api"}'}]
    )
    mapped = compile_mapping(DEMO.load("globex"))
    header = account.one(mapped)
    (line,) = account.expected("invoice_lines")
    (customer,) = account.expected("customers", None)
    assert (header["problem"], header["terms"], header["custbody_plan"], header["custbody_usage_run"]) == (
        None, "3", "2", "run-1",
    )  # fmt: skip
    assert (line["custcol_meter"], customer["custentity_crm_id"], customer["terms"]) == ("api", "c7", "3")


def test_a_retail_stock_code_is_booked_to_the_generic_item(account: Account) -> None:
    account.listed("currency", "1", name="GBP", is_inactive=False)
    account.item("101", "Merchandise")
    # A stock code that happens to be another item's internal id, and one that NetSuite knows by name.
    account.invoice(currency="GBP", lines=[{"product_id": code} for code in ("85123A", "100", "api CALLS")])
    mapped = compile_mapping(DEMO.load("retail"))
    account.con.execute("UPDATE billing.customers SET currency = 'GBP'")
    account.fill(mapped)
    lines = sorted(account.expected("invoice_lines"), key=lambda line: line["line_no"])
    assert [(line["item"], json.loads(line["via"])["item"]) for line in lines] == [
        ("101", "default Merchandise"), ("101", "default Merchandise"), ("100", "number"),
    ]  # fmt: skip
    assert account.expected("invoices")[0]["problem"] is None
