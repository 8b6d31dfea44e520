"""Several ways to one value, and rules that differ by legal entity: the right one counts, and the record says which."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_tools import CUSTOMER, SETTINGS, Account, invoice_rules, mapping, mistakes, tenant

from netsuite_assets.mapping.compiler import compile_mapping
from resources.tenants import TenantError


def _items(account: Account) -> None:
    account.item("101", "Storage", external_id="sto")
    account.item("102", "Generic")
    account.item("103", "Twin")
    account.item("104", "twin")


ITEM = {
    "first_of": ["product_id", {"from": "metadata.sku"}, {"template": "{metadata.family} {metadata.tier}"}],
    "lookup": "item",
}


@pytest.mark.parametrize(
    ("line", "rule", "item", "via"),
    [
        ({"product_id": "Storage"}, {}, "101", "number, from product_id"),
        ({"product_id": None, "metadata": '{"sku": "sto"}'}, {}, "101", "external_id, from metadata.sku"),
        ({"product_id": "Gone", "metadata": '{"sku": "sto"}'}, {}, "101", "external_id, from metadata.sku"),
        ({"product_id": "Gone", "metadata": '{"family": "API", "tier": "calls"}'}, {}, "100",
         "number, template '{metadata.family} {metadata.tier}'"),
        ({"product_id": "Gone"}, {"default": "Generic"}, "102", "default Generic"),
        ({"product_id": None}, {"default": "Generic"}, "102", "default Generic"),
    ],
)  # fmt: skip
def test_the_first_way_that_finds_something_counts(
    tmp_path: Path, account: Account, line: dict[str, Any], rule: dict[str, Any], item: str, via: str
) -> None:
    _items(account)
    account.invoice(lines=[line])
    mapped = mapping(tmp_path, invoice_rules(lines={"item": {**ITEM, **rule}}))
    account.fill(mapped)
    (found,) = account.expected("invoice_lines")
    assert (found["problem"], found["item"]) == (None, item)
    assert json.loads(found["via"]) == {"item": via}


@pytest.mark.parametrize(
    ("line", "rule", "code", "problem"),
    [
        # What a person must mend is the first that had a value.
        ({"product_id": "Gone", "metadata": '{"sku": "Lost"}'}, {}, "unresolved_reference",
         "Invoice INV-500, line 1: item: NetSuite has no active item 'Gone' (list item)."),
        # Two answers are a question, not an absence.
        ({"product_id": "Twin", "metadata": '{"sku": "sto"}'}, {"default": "Generic"}, "ambiguous_reference",
         "Invoice INV-500, line 1: item: NetSuite has several active rows 'Twin' in the list item."),
        ({"product_id": None, "metadata": '{"sku": "Twin"}'}, {}, "ambiguous_reference",
         "Invoice INV-500, line 1: item: NetSuite has several active rows 'Twin' in the list item."),
        ({"product_id": None}, {}, "unresolved_reference",
         "Invoice INV-500, line 1: item is empty in billing, and NetSuite needs it."),
        ({"product_id": "Gone"}, {"default": "Nowhere"}, "unresolved_reference",
         "Invoice INV-500, line 1: item: NetSuite has neither an active item 'Gone' nor the default 'Nowhere' (list item)."),
    ],
)  # fmt: skip
def test_when_no_way_finds_anything_it_is_a_problem(
    tmp_path: Path, account: Account, line: dict[str, Any], rule: dict[str, Any], code: str, problem: str
) -> None:
    _items(account)
    account.invoice(lines=[line])
    account.fill(mapping(tmp_path, invoice_rules(lines={"item": {**ITEM, **rule}})))
    (found,) = account.expected("invoice_lines")
    assert (found["item"], found["problem_code"], found["problem"]) == (None, code, problem)


_TEXT = st.one_of(st.none(), st.sampled_from(["", "a", "b", "paid", "open"]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    invoices=st.lists(st.tuples(_TEXT, _TEXT, st.sampled_from(["paid", "open"])), min_size=1, max_size=6),
    default=st.sampled_from([None, "d"]),
)
def test_plain_values_against_plain_python(
    tmp_path: Path, invoices: list[tuple[str | None, str | None, str]], default: str | None
) -> None:
    account = Account()
    for number, (memo, po_number, status) in enumerate(invoices):
        account.invoice(str(number), memo=memo, po_number=po_number, status=status)
    rule: dict[str, Any] = {
        "first_of": [
            {"from": "memo", "when": {"status": "paid"}},
            {"from": "po_number", "map": {"a": "A", "b": "B"}},
            {"value": "C", "when": {"memo": "open"}},
        ]
    }
    if default is not None:
        rule["default"] = default
    account.fill(mapping(tmp_path, invoice_rules({"message": rule})))
    rows = account.expected("invoices")
    for (memo, po_number, status), row in zip(invoices, rows, strict=True):
        mapped = {"a": "A", "b": "B"}.get(po_number or "")
        expected = (memo if status == "paid" else None) or mapped or ("C" if memo == "open" else None)
        unmapped = bool(po_number) and mapped is None and expected is None and default is None
        assert row["message"] == (expected or default)
        assert (row["problem_code"] == "unmapped_value") == unmapped
        assert (row["problem"] is None) != unmapped


def test_the_condition_of_a_rule_also_holds_for_its_default(tmp_path: Path, account: Account) -> None:
    account.invoice("1", status="paid")
    account.invoice("2", status="open")
    rule = {"from": "memo", "default": "none", "when": {"status": "paid"}}
    account.fill(mapping(tmp_path, invoice_rules({"memo": rule})))
    assert [row["memo"] for row in account.expected("invoices")] == ["none", None]


def test_a_required_field_whose_rule_is_not_for_the_record_is_a_problem(
    tmp_path: Path, account: Account
) -> None:
    account.invoice(status="open")
    entity = {"from": "customer_id", "lookup": "customer", "when": {"status": "paid"}}
    row = account.one(mapping(tmp_path, invoice_rules({"entity": entity})))
    assert (row["problem_code"], row["entity"]) == ("no_customer", None)


def test_a_field_can_be_left_empty(tmp_path: Path, account: Account) -> None:
    account.invoice(memo="x")
    mapped = mapping(tmp_path, invoice_rules({"memo": {"empty": True}}))
    row = account.one(mapped)
    assert (row["problem"], row["memo"]) == (None, None)
    (told,) = [one for one in mapped.explain(account.con, "invoice", "inv-500") if one.field == "memo"]
    assert (told.rule, told.value, told.problem) == ("stays empty", None, None)


# Legal entities


def _by_subsidiary(**entities: Any) -> dict[str, Any]:
    fields = {
        "memo": {"from": "memo", "default": "no memo"},
        "terms": {"from": "terms", "lookup": "term"},
        "otherRefNum": {"from": "number"},
    }
    return invoice_rules(fields, {"description": {"from": "description"}}, by_subsidiary=entities)


def _bills(account: Account) -> None:
    account.listed("term", "2", name="Net 30", is_inactive=False)
    account.listed("term", "3", name="Net 60", is_inactive=False)
    for number, entity in enumerate(["us", "eu", None, "uk"]):
        account.invoice(str(number), legal_entity=entity, terms="Net 30", lines=[{"description": "API"}])


def test_rules_differ_by_legal_entity(tmp_path: Path, account: Account) -> None:
    _bills(account)
    rules = _by_subsidiary(
        eu={
            "fields": {
                "memo": {"default": "kein Memo"},
                "terms": {"value": "Net 60", "lookup": "term"},
                "message": {"value": "EU"},
            },
            "lines": {"description": {"template": "{description} (EU)"}},
        },
        uk={"fields": {"otherRefNum": {"empty": True}, "terms": {"map": {"Net 30": "3"}}}},
    )
    mapped = mapping(tmp_path, rules)
    account.fill(mapped)
    rows = account.expected("invoices")
    assert [row["problem"] for row in rows] == [None] * 4
    assert [(row["memo"], row["terms"], row["otherRefNum"], row["message"]) for row in rows] == [
        ("no memo", "2", "INV-0", None),
        ("kein Memo", "3", "INV-1", "EU"),
        ("no memo", "2", "INV-2", None),
        ("no memo", "3", None, None),
    ]
    assert [line["description"] for line in account.expected("invoice_lines")] == [
        "API",
        "API (EU)",
        "API",
        "API",
    ]
    assert [json.loads(row["via"])["terms"] for row in rows] == [
        "name", "name (by_subsidiary eu)", "name", "internal_id (by_subsidiary uk)",
    ]  # fmt: skip
    told = {one.field: one for one in mapped.explain(account.con, "invoice", "inv-1") if one.line is None}
    assert (told["terms"].rule, told["terms"].value) == ("value 'Net 60', lookup term", "3")
    assert told["terms"].where != mapped.records["invoice"].fields[2].where
    assert (told["memo"].fallback, told["message"].rule) == ("kein Memo", "value 'EU'")


def test_what_is_wrong_names_the_rule_of_the_records_own_entity(tmp_path: Path, account: Account) -> None:
    account.invoice("1", legal_entity="eu", terms="Net 15")
    account.invoice("2", legal_entity="us", terms="Net 15")
    mapped = mapping(tmp_path, _by_subsidiary(eu={"fields": {"terms": {"map": {"Net 30": "2"}}}}))
    account.fill(mapped)
    eu, us = account.expected("invoices")
    assert eu["problem"] == "Invoice INV-1: terms: the mapping does not say what 'Net 15' becomes."
    assert us["problem"] == "Invoice INV-2: terms: NetSuite has no active payment term 'Net 15' (list term)."
    assert eu["next_step"].rpartition(":")[2] != us["next_step"].rpartition(":")[2]


def test_the_legal_entity_stands_where_the_file_says(tmp_path: Path, account: Account) -> None:
    account.con.execute("UPDATE billing.customers SET legal_entity = 'eu'")
    account.invoice(legal_entity="us")
    rules = _by_subsidiary(eu={"fields": {"message": {"value": "EU"}}})
    assert account.one(mapping(tmp_path, rules))["message"] is None
    rules["invoice"]["legal_entity"] = "customer.legal_entity"
    assert account.one(mapping(tmp_path, rules))["message"] == "EU"


def test_customers_have_an_entity_of_their_own(tmp_path: Path, account: Account) -> None:
    account.customer("2", legal_entity="eu")
    rules = {**CUSTOMER, "by_subsidiary": {"eu": {"fields": {"companyName": {"template": "{name} GmbH"}}}}}
    account.fill(mapping(tmp_path, {"customer": rules}))
    assert [row["companyName"] for row in account.expected("customers", None)] == [
        "Customer 1001",
        "Customer 2 GmbH",
    ]


def test_a_base_file_and_a_tenant_both_say_what_differs(tmp_path: Path) -> None:
    """`extends` merges what differs by entity too, key by key, and every mistake is told in the file that has it."""
    folder = tmp_path / "tenants"
    folder.mkdir()
    base = {"records": _by_subsidiary(eu={"fields": {"terms": {"map": {"a": "2"}}, "memo": {"value": "EU"}}})}
    (folder / "_base.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    own = {**SETTINGS, "extends": "_base", "records": {"invoice": {"by_subsidiary": {"eu": {"fields": {
        "memo": {"from": "po_number"}, "terms": {"map": {"b": "3"}}}}}}}}  # fmt: skip
    made = tenant(tmp_path, {}, yaml.safe_dump(own, sort_keys=False))
    rules = compile_mapping(made).records["invoice"].rules
    ways = {(way.field.name, way.described) for way in rules}
    assert ("memo", "from po_number, default 'no memo'") in ways
    assert ("memo", "value 'EU'") not in ways
    assert [way.value_map for way in rules if way.field.name == "terms" and way.value_map] == [
        {"a": "2", "b": "3"}
    ]
    base["records"]["invoice"]["by_subsidiary"]["eu"]["fields"]["terms"]["lookup"] = "termm"
    (folder / "_base.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    with pytest.raises(TenantError) as caught:
        compile_mapping(tenant(tmp_path, {}, yaml.safe_dump(own, sort_keys=False)))
    (problem,) = caught.value.problems
    assert (problem.file, problem.message) == (
        "tenants/_base.yaml", "there is no list 'termm' in NetSuite; did you mean 'term'?",
    )  # fmt: skip


# Look-ups within the record's subsidiary


def test_the_same_name_is_found_in_the_records_own_subsidiary(tmp_path: Path, account: Account) -> None:
    for internal_id, subsidiary in (("1", "1"), ("2", "2, 3"), ("3", None)):
        account.listed("department", internal_id, name="Sales", subsidiary=subsidiary, is_inactive=False)
    account.listed("department", "4", name="Ops", subsidiary="9", is_inactive=False)
    account.listed("location", "7", name="Wien", subsidiary="1", is_inactive=False)
    account.listed("location", "8", name="Wien", subsidiary="2", is_inactive=False)
    for number, (entity, memo) in enumerate(
        [("1", "Sales"), ("3", "sales"), ("8", "Sales"), ("1", "Ops"), (None, "Sales")]
    ):
        account.invoice(str(number), legal_entity=entity, memo=memo)
    fields = {
        "subsidiary": {"from": "legal_entity"},
        "department": {"from": "memo", "lookup": "department"},
        "location": {"value": "Wien", "lookup": "location", "when": {"legal_entity": ["1", "2"]}},
    }
    lines = {"department": {"from": "invoice.memo", "lookup": "department", "default": "Sales"}}
    account.fill(mapping(tmp_path, invoice_rules(fields, lines)))
    rows = account.expected("invoices")
    # The row that is of the subsidiary and one that is of none are two answers; one of neither is the only one.
    assert [row["department"] for row in rows] == [None, None, "3", "4", None]
    assert [row["problem_code"] for row in rows] == ["ambiguous_reference"] * 2 + [
        None,
        None,
        "ambiguous_reference",
    ]
    assert [row["location"] for row in rows] == ["7", None, None, "7", None]
    account.con.execute("UPDATE netsuite.reference SET is_inactive = true WHERE internal_id = '3'")
    account.fill(mapping(tmp_path, invoice_rules(fields, lines)))
    rows = account.expected("invoices")
    assert [row["department"] for row in rows] == ["1", "2", None, "4", None]
    assert rows[2]["problem_code"] == rows[4]["problem_code"] == "ambiguous_reference"
    assert [line["department"] for line in account.expected("invoice_lines")] == ["1", "2", None, "4", None]


def test_the_way_to_match_counts_within_the_subsidiary(tmp_path: Path, account: Account) -> None:
    account.listed("department", "1", external_id="S", name="x", subsidiary="1", is_inactive=False)
    account.listed("department", "2", external_id="y", name="S", subsidiary="2", is_inactive=False)
    for number, entity in enumerate(["1", "2", "3", None]):
        account.invoice(str(number), legal_entity=entity, memo="S")
    fields = {"subsidiary": {"from": "legal_entity"}, "department": {"from": "memo", "lookup": "department"}}
    account.fill(mapping(tmp_path, invoice_rules(fields)))
    rows = account.expected("invoices")
    assert [row["department"] for row in rows] == ["1", "2", "1", "1"]
    assert [json.loads(row["via"])["department"] for row in rows] == [
        "external_id",
        "name",
        "external_id",
        "external_id",
    ]


def test_the_subsidiary_may_itself_be_looked_up_and_differ(tmp_path: Path, account: Account) -> None:
    account.listed("subsidiary", "11", name="Acme Inc.", is_inactive=False)
    account.listed("subsidiary", "12", name="Acme GmbH", is_inactive=False)
    account.listed("cseg_area", "5", name="North", subsidiary="11", is_inactive=False)
    account.listed("cseg_area", "6", name="North", subsidiary="12", is_inactive=False)
    account.invoice("1", legal_entity="us")
    account.invoice("2", legal_entity="eu")
    fields = {
        "subsidiary": {"value": "Acme Inc.", "lookup": "subsidiary"},
        "cseg_area": {"value": "North", "lookup": "cseg_area"},
    }
    eu = {"fields": {"subsidiary": {"value": "Acme GmbH"}}}
    lines = {"cseg_area": {"value": "North", "lookup": "cseg_area"}}
    account.fill(mapping(tmp_path, invoice_rules(fields, lines, by_subsidiary={"eu": eu})))
    assert [(row["subsidiary"], row["cseg_area"]) for row in account.expected("invoices")] == [
        ("11", "5"),
        ("12", "6"),
    ]
    assert [line["cseg_area"] for line in account.expected("invoice_lines")] == ["5", "6"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"fields": {"terms": {"from": "terms", "lookup": "item"}}}, "terms refers to term, not to item; use 'lookup: term'"),
        ({"fields": {"memo": {"owner": "netsuite"}}}, "'type', 'owner' and 'write' of memo are the same for all subsidiaries"),
        ({"fields": {"mmo": {"from": "memo"}}}, "invoice has no field 'mmo'; did you mean 'memo'?"),
        ({"lines": {"memo": {"from": "memo"}}}, "invoice.item has no field 'memo'"),
        ({"fields": {"custbody_l": {"from": "memo", "lookup": "customlist_b"}}},
         "custbody_l is of one list for all subsidiaries, not of customlist_a and customlist_b"),
    ],
)  # fmt: skip
def test_a_mistake_in_what_differs_is_told(tmp_path: Path, more: dict[str, Any], expected: str) -> None:
    fields = {"memo": {"from": "memo"}, "custbody_l": {"from": "memo", "lookup": "customlist_a"}}
    (found,) = mistakes(tmp_path, invoice_rules(fields, by_subsidiary={"eu": more}))
    assert found.startswith(expected)


def test_a_mistake_stands_in_the_way_that_has_it(tmp_path: Path) -> None:
    text = yaml.safe_dump({**SETTINGS, "records": invoice_rules()}, sort_keys=False)
    start = text.index("records:")
    records = """\
records:
  customer: {external_id: "cus-{id}", fields: {companyName: {from: name}}}
  invoice:
    external_id: "inv-{id}"
    fields:
      entity: {from: customer_id, lookup: customer}
      memo: {first_of: [memo, {from: nummber}, {template: "{stattus}"}]}
    lines:
      item: {first_of: [{from: product_id, when: {linne_no: 1}}, metadata.sku], lookup: item}
    by_subsidiary:
      eu:
        fields:
          memo: {first_of: [{from: memo}, pnumber]}
"""
    with pytest.raises(TenantError) as caught:
        compile_mapping(tenant(tmp_path, {}, text[:start] + records))
    first = text[:start].count("\n") + 1
    assert [(one.line - first, one.column, one.message) for one in caught.value.problems] == [
        (6, 38, "billing invoices have no 'nummber'; did you mean 'number'?"),
        (8, 51, "billing invoice lines have no 'linne_no'; did you mean 'line_no'?"),
        (12, 43, "billing invoices have no 'pnumber'; did you mean 'number'?"),
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"first_of": [{"sign": "negate"}]}, "each way of 'first_of' is a path, or has one of 'from', 'value', 'template', 'join'"),
        ({"first_of": ["memo", {"from": "number", "lookup": "item"}]}, "either all ways of 'first_of' look up, or none"),
        ({"first_of": ["memo"], "from": "number"}, "this rule has from and first_of; one of them gives the value"),
        ({"first_of": ["memo", "total"], "sign": "negate"}, "'sign' is for numbers, and memo is text"),
    ],
)  # fmt: skip
def test_a_mistake_in_first_of_is_told(tmp_path: Path, rule: dict[str, Any], expected: str) -> None:
    assert mistakes(tmp_path, invoice_rules({"memo": rule})) == [expected]


def test_the_policy_of_a_field_is_known(tmp_path: Path) -> None:
    fields = {
        "memo": {"from": "memo", "write": "create_only"},
        "otherRefNum": {"from": "number", "write": "if_empty"},
    }
    mapped = mapping(tmp_path, invoice_rules(fields)).records["invoice"]
    assert {one.name: one.policy for one in mapped.fields} == {
        "entity": "always", "memo": "create_only", "otherRefNum": "if_empty",
    }  # fmt: skip
    assert mistakes(
        tmp_path, invoice_rules(lines={"description": {"from": "description", "write": "if_empty"}})
    ) == ["lines are written all together; 'write' is for the fields of a record"]


def test_ways_with_amounts_and_dates(tmp_path: Path, account: Account) -> None:
    account.invoice("1", due_on=None, metadata='{"due": "2026-12-24", "n": "1.25"}')
    account.invoice("2", due_on=date(2026, 11, 5), metadata='{"n": "many"}')
    rules = {
        "dueDate": {
            "first_of": ["due_on", {"from": "metadata.due"}, {"from": "issued_on", "shift": {"days": 30}}]
        },
        "custbody_n": {"type": "amount", "first_of": [{"from": "metadata.n", "sign": "negate"}, "total"]},
    }
    account.fill(mapping(tmp_path, invoice_rules(rules)))
    first, second = account.expected("invoices")
    assert (first["dueDate"], first["custbody_n"]) == (date(2026, 12, 24), Decimal("-1.25"))
    assert (second["dueDate"], second["custbody_n"], second["problem_code"]) == (
        date(2026, 11, 5),
        None,
        "invalid_value",
    )
