"""A lookup finds one row of NetSuite's list, or says which value it could not find and where to mend it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mapping_tools import Account, invoice_rules, mapping

LIST = (
    {"internal_id": "1", "name": "Alpha", "external_id": "a-1", "number": "A"},
    {"internal_id": "2", "name": "1", "external_id": "b-2", "number": "a-1"},
    {"internal_id": "3", "name": "Beta", "external_id": "beta", "number": "3-n"},
    {"internal_id": "4", "name": "beta", "external_id": None, "number": None},
    {"internal_id": "5", "name": "Gone", "external_id": "gone", "number": "G", "is_inactive": True},
    {"internal_id": "6", "name": "Twin", "external_id": "", "number": ""},
    {"internal_id": "7", "name": " twin ", "external_id": None, "number": None},
    {"internal_id": "8", "name": "Ünïque", "external_id": None, "number": None, "is_inactive": None},
)


def _listed(account: Account) -> None:
    for row in LIST:
        account.listed("customlist_x", **{"is_inactive": False, **row})
    account.listed("customlist_y", "9", name="Alpha", is_inactive=False)


@pytest.mark.parametrize(
    ("value", "by", "found", "how"),
    [
        ("1", None, "1", "internal_id"),
        ("a-1", None, "1", "external_id"),
        ("A", None, "1", "number"),
        ("ALPHA", None, "1", "name"),
        (" alpha ", None, "1", "name"),
        ("ÜNÏQUE", None, "8", "name"),
        ("1", "name", "2", "name"),
        ("a-1", ["number", "external_id"], "2", "number"),
        ("beta", None, "3", "external_id"),
    ],
)
def test_the_first_key_that_matches_counts(
    tmp_path: Path, account: Account, value: str, by: Any, found: str, how: str
) -> None:
    _listed(account)
    account.invoice(memo=value)
    rule = {"from": "memo", "lookup": "customlist_x"} | ({"by": by} if by else {})
    row = account.one(mapping(tmp_path, invoice_rules({"custbody_x": rule})))
    assert row["problem"] is None
    assert row["custbody_x"] == found
    assert json.loads(row["via"]) == {"entity": "customer", "custbody_x": how}


@pytest.mark.parametrize(
    ("value", "rule", "code", "problem", "next_step"),
    [
        ("Delta", {}, "unresolved_reference",
         "Invoice INV-500: custbody_x: NetSuite has no active value of customlist_x 'Delta' (list customlist_x).",
         "Create the value of customlist_x 'Delta' in NetSuite or map it in WHERE."),
        ("gone", {}, "unresolved_reference", None, None),
        ("beta", {"by": "name"}, "ambiguous_reference",
         "Invoice INV-500: custbody_x: NetSuite has several active rows 'beta' in the list customlist_x.",
         "Make 'beta' unique in NetSuite, or map it to one internal id in WHERE."),
        ("TWIN", {"default": "Alpha"}, "ambiguous_reference", None, None),
        ("Delta", {"default": "gone"}, "unresolved_reference",
         "Invoice INV-500: custbody_x: NetSuite has neither an active value of customlist_x 'Delta' nor the default"
         " 'gone' (list customlist_x).",
         "Create the value of customlist_x 'Delta' or 'gone' in NetSuite, or map it in WHERE."),
        ("Delta", {"default": "Twin"}, "unresolved_reference", None, None),
        ("Delta", {"map": {"Epsilon": "Alpha"}}, "unmapped_value",
         "Invoice INV-500: custbody_x: the mapping does not say what 'Delta' becomes.",
         "Add 'Delta' to the map in WHERE."),
        (None, {"default": "gone"}, "unresolved_reference", None, None),
    ],
)  # fmt: skip
def test_what_cannot_be_found_is_a_problem_of_that_record_alone(
    tmp_path: Path, account: Account, value: str | None, rule: dict[str, Any], code: str,
    problem: str | None, next_step: str | None,
) -> None:  # fmt: skip
    _listed(account)
    account.invoice(memo=value)
    account.invoice("501", memo="Alpha" if "map" not in rule else "Epsilon")
    rule = {"from": "memo", "lookup": "customlist_x", **rule}
    mapped = mapping(tmp_path, invoice_rules({"custbody_x": rule}))
    account.fill(mapped)
    bad, good = account.expected("invoices")
    assert (good["problem"], good["custbody_x"]) == (None, "1")
    assert (bad["problem_code"], bad["custbody_x"]) == (code, None)
    if problem is not None:
        where = mapped.records["invoice"].fields[1].where
        assert bad["problem"] == problem
        assert bad["next_step"] == str(next_step).replace("WHERE", where)


@pytest.mark.parametrize(
    ("value", "rule", "found", "how"),
    [
        ("Delta", {"default": "alpha"}, "1", "default alpha"),
        (None, {"default": "Alpha"}, "1", "default Alpha"),
        ("", {"default": "Alpha"}, "1", "default Alpha"),
        (None, {}, None, None),
        ("d", {"map": {"d": "Alpha"}}, "1", "name"),
        ("e", {"map": {"d": "Alpha"}, "default": "3"}, "3", "default 3"),
    ],
)
def test_a_default_is_used_and_told(
    tmp_path: Path,
    account: Account,
    value: str | None,
    rule: dict[str, Any],
    found: str | None,
    how: str | None,
) -> None:
    _listed(account)
    account.invoice(memo=value)
    row = account.one(
        mapping(tmp_path, invoice_rules({"custbody_x": {"from": "memo", "lookup": "customlist_x", **rule}}))
    )
    assert (row["problem"], row["custbody_x"]) == (None, found)
    assert json.loads(row["via"]).get("custbody_x") == how


def test_a_constant_and_a_template_can_be_looked_up(tmp_path: Path, account: Account) -> None:
    _listed(account)
    account.invoice(memo="lph")
    row = account.one(
        mapping(
            tmp_path,
            invoice_rules(
                {
                    "custbody_x": {"value": "Alpha", "lookup": "customlist_x"},
                    "custbody_y": {"template": "A{memo}a", "lookup": "customlist_y"},
                }
            ),
        )
    )
    assert (row["custbody_x"], row["custbody_y"]) == ("1", "9")


def test_a_line_without_an_item_is_a_problem(tmp_path: Path, account: Account) -> None:
    account.invoice(lines=[{"product_id": None}])
    row = account.one(mapping(tmp_path, invoice_rules()))
    assert row["problem"] == "Invoice INV-500, line 1: item is empty in billing, and NetSuite needs it."


def test_the_currency_is_compared_by_code_and_written_by_id(tmp_path: Path, account: Account) -> None:
    account.listed("currency", "4", name="USD", is_inactive=False)
    account.invoice()
    mapped = mapping(tmp_path, invoice_rules({"currency": {"from": "currency", "lookup": "currency"}}))
    row = account.one(mapped)
    assert (row["currency"], row["currency_id"]) == ("USD", "4")
    assert mapped.body("invoice", row)["currency"] == {"id": "4"}


def test_a_parent_customer_is_named_by_external_id(tmp_path: Path, account: Account) -> None:
    account.customer("2", metadata='{"parent": "1001"}')
    account.customer("3", metadata='{"parent": "77"}')
    rules = invoice_rules()
    rules["customer"] = {
        "external_id": "cus-{id}",
        "fields": {
            "companyName": {"from": "name"},
            "parent": {"from": "metadata.parent", "lookup": "customer"},
        },
    }
    account.fill(mapping(tmp_path, rules))
    found = {
        row["source_id"]: (row["parent"], row["problem_code"]) for row in account.expected("customers", None)
    }
    assert found == {"1001": (None, None), "2": ("cus-1001", None), "3": (None, "unresolved_reference")}
