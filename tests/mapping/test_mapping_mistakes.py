"""A rule that means nothing is one clear sentence at its place, before any data is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from mapping_tools import CUSTOMER, ENTITY, ITEM, SETTINGS, invoice_rules, mapping, mistakes, tenant

from netsuite_assets.mapping.compiler import compile_mapping
from resources.tenants import TenantError


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"trandat": {"from": "issued_on"}}, "invoice has no field 'trandat'; did you mean 'tranDate'?"),
        ({"xyz": {"from": "memo"}}, "invoice has no field 'xyz'"),
        ({"custcol_x": {"from": "memo"}}, "invoice has no field 'custcol_x': custcol_… fields belong to the lines of a transaction"),
        ({"custentity_x": {"from": "memo"}}, "invoice has no field 'custentity_x': custentity_… fields belong to the fields of a customer"),
        ({"custbody_X": {"from": "memo"}}, "'custbody_X' is not the id of a custom field: lower-case letters, digits and underscores"),
        ({"custbody_x) OR (1=1": {"from": "memo"}}, "'custbody_x) OR (1=1' is not the id of a custom field: lower-case letters, digits and underscores"),
        ({"externalId": {"from": "id"}}, "the external id is made by the record's own key 'external_id', not by a field"),
        ({"total": {"from": "total"}}, "total is computed by NetSuite and cannot be written"),
        ({"memo": {}}, "this rule says no source: give it 'from', 'value' or 'template'"),
        ({"memo": {"from": "memo", "value": "x"}}, "this rule has from and value; one of them gives the value"),
        ({"memo": {"from": "memmo"}}, "billing invoices have no 'memmo'; did you mean 'memo'?"),
        ({"memo": {"from": "customer.nme"}}, "billing customers have no 'nme'; did you mean 'name'?"),
        ({"memo": {"from": "custommer.name"}}, "billing invoices have no 'custommer'; did you mean 'customer'?"),
        ({"memo": {"from": "memo.text"}}, "'memo' is a plain value; only metadata has keys inside it"),
        ({"memo": {"from": "metadata"}}, "name a key of metadata, such as metadata.subscription_id"),
        ({"memo": {"from": "metadata..x"}}, "name a key of metadata, such as metadata.subscription_id"),
        ({"memo": {"template": "{nmber}"}}, "billing invoices have no 'nmber'; did you mean 'number'?"),
        ({"memo": {"template": "{number"}}, "the braces of this template do not match; a brace itself is written twice"),
        ({"memo": {"template": "{}"}}, "a template's braces need a path: {id}"),
        ({"memo": {"template": "{number:>5}"}}, "a template holds plain paths: write {number}, without '!' or ':'"),
        ({"memo": {"value": "x", "map": {"x": "y"}}}, "a constant needs no map; write what it becomes"),
        ({"memo": {"value": "x", "default": "y"}}, "a constant needs no default"),
        ({"memo": {"value": ""}}, "an empty text is no value; leave the rule out to keep the field empty"),
        ({"memo": {"from": "memo", "lookup": "item"}}, "a lookup gives a reference, but memo is text; leave it out"),
        ({"memo": {"from": "memo", "by": "name"}}, "'by' says how a lookup matches; this rule has no lookup"),
        ({"memo": {"from": "memo", "type": "date"}}, "memo is text in NetSuite; leave 'type' out"),
        ({"terms": {"from": "terms", "lookup": "termm"}}, "there is no list 'termm' in NetSuite; did you mean 'term'?"),
        ({"terms": {"from": "terms", "lookup": "item"}}, "terms refers to term, not to item; use 'lookup: term'"),
        ({"cseg_a": {"from": "terms", "lookup": "cseg_b"}}, "cseg_a refers to cseg_a, not to cseg_b; use 'lookup: cseg_a'"),
        ({"custbody_a": {"from": "terms", "lookup": "customlist_a", "type": "text"}}, "a lookup gives a reference; leave 'type' out"),
        ({"terms": {"from": "terms", "lookup": "customer"}}, "terms refers to term, not to a customer"),
        ({"subsidiary": {"from": "legal_entity", "map": {"us": "US"}}}, "'US' is not an internal id; look it up with 'lookup'"),
        ({"tranDate": {"value": "31.10.2026"}}, "'31.10.2026' is not a date such as 2026-10-31"),
        ({"tranDate": {"value": "2026-02-30"}}, "'2026-02-30' is not a date such as 2026-10-31"),
        ({"toBeEmailed": {"value": "perhaps"}}, "'perhaps' is neither true nor false"),
        ({"custbody_n": {"from": "memo", "type": "integer", "default": "1.5"}}, "'1.5' is not a whole number"),
        ({"exchangeRate": {"value": "1,5"}}, "'1,5' is not a number that fits DECIMAL(28,12)"),
        ({"tranDate": {"from": "total"}}, "'total' is amount and tranDate is date; no rule makes one of the other"),
        ({"tranDate": {"from": "updated_at"}}, "'updated_at' is datetime and tranDate is date; no rule makes one of the other"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_header_rule_is_told(tmp_path: Path, fields: dict[str, Any], expected: str) -> None:
    assert mistakes(tmp_path, invoice_rules(fields)) == [expected]


def test_a_rule_that_is_given_twice_names_the_place_of_the_first(tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, invoice_rules({"memo": {"from": "memo"}, "Memo": {"from": "number"}}))
    lines = (tmp_path / "tenants" / "acme.yaml").read_text(encoding="utf-8").splitlines()
    first = next(number for number, written in enumerate(lines, start=1) if written.strip() == "memo:")
    assert told == f"memo has a rule already, in tenants/acme.yaml:{first}"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({"ammount": {"from": "amount"}}, "invoice.item has no field 'ammount'; did you mean 'amount'?"),
        ({"custbody_x": {"from": "description"}}, "invoice.item has no field 'custbody_x': custbody_… fields belong to the fields of a transaction"),
        ({"description": {"from": "memo"}}, "billing invoice lines have no 'memo'"),
        ({"description": {"from": "credit_note.memo"}}, "billing invoice lines have no 'credit_note'"),
        ({"line": {"from": "line_no"}}, "line is computed by NetSuite and cannot be written"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_line_rule_is_told(tmp_path: Path, lines: dict[str, Any], expected: str) -> None:
    assert mistakes(tmp_path, invoice_rules(lines=lines)) == [expected]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ({"customer": CUSTOMER, "invoice": {"external_id": "inv-{id}", "fields": {}, "lines": ITEM}},
         "'entity' needs a rule: NetSuite has no invoice without it"),
        ({"customer": CUSTOMER, "invoice": {"external_id": "inv-{id}", "fields": ENTITY}},
         "'item' needs a rule: NetSuite has no invoice without it"),
        ({"invoice": {"external_id": "inv-{id}", "fields": ENTITY, "lines": ITEM}},
         "customers are looked up by their external id: map records.customer too"),
        (invoice_rules({"entity": {"from": "customer_id"}}), "entity is a customer: give it 'lookup: customer'"),
        (invoice_rules({"entity": {"from": "customer_id", "lookup": "customer", "default": "1"}}),
         "a document without a customer is an exception; it is never given a default one"),
        (invoice_rules({"entity": {"from": "customer_id", "lookup": "customer", "by": "name"}}),
         "a customer is looked up by its billing id; leave 'by' out"),
        (invoice_rules(external_id="inv"), 'an external id must differ from record to record: use {id}, as in "inv-{id}"'),
        (invoice_rules(external_id="inv/{id}"), "an external id holds letters, digits, '-' and '_' only, not '/'"),
        (invoice_rules(external_id="inv-{customer.id}"), "an external id is made of the record's own values, not of its customer's"),
        (invoice_rules(external_id="inv-{idd}"), "billing invoices have no 'idd'; did you mean 'id'?"),
        ({"customer": {**CUSTOMER, "lines": {"item": {"value": "1"}}}}, "a customer has no lines"),
        ({"customer": {**CUSTOMER, "fields": {"parent": {"value": "7"}}}}, "parent is a customer: give it 'lookup: customer'"),
    ],
)  # fmt: skip
def test_a_mistake_of_a_whole_record_is_told(tmp_path: Path, records: dict[str, Any], expected: str) -> None:
    assert mistakes(tmp_path, records) == [expected]


def test_each_mistake_stands_at_the_key_that_is_to_be_mended(tmp_path: Path) -> None:
    tenant(tmp_path, invoice_rules())
    text = (tmp_path / "tenants" / "acme.yaml").read_text()
    start = text.index("records:")
    first_line = text[:start].count("\n") + 1
    records = """\
records:
  customer: {external_id: "cus-{id}", fields: {companyName: {from: nam}}}
  invoice:
    external_id: "{id}{nummber}"
    fields:
      entity: {from: customer_id, lookup: customer}
      trandat: {from: issued_on}
      terms: {from: terms, lookup: term, by: name, type: text}
    lines:
      item: {from: product_id, lookup: itemm}
"""
    with pytest.raises(TenantError) as caught:
        compile_mapping(tenant(tmp_path, {}, text[:start] + records))
    found = [
        (problem.line - first_line, problem.column, problem.message) for problem in caught.value.problems
    ]
    assert found == [
        (1, 68, "billing customers have no 'nam'; did you mean 'name'?"),
        (3, 18, "billing invoices have no 'nummber'; did you mean 'number'?"),
        (6, 7, "invoice has no field 'trandat'; did you mean 'tranDate'?"),
        (7, 58, "terms is reference in NetSuite; leave 'type' out"),
        (9, 40, "there is no list 'itemm' in NetSuite; did you mean 'item'?"),
    ]


def test_what_a_reviewer_should_see_is_a_warning(tmp_path: Path) -> None:
    settings = {**SETTINGS, "billing": {**SETTINGS["billing"], "tables": {
        name: {"table": name, "metadata": ["plan"]} if name == "invoices" else {"table": name}
        for name in ("customers", "invoices", "invoice_lines")}}}  # fmt: skip
    records = invoice_rules({"memo": {"from": "metadata.plann"}, "toBeEmailed": {"value": False}})
    made = tenant(tmp_path, {}, yaml.safe_dump({**settings, "records": records}, sort_keys=False))
    assert [problem.message for problem in compile_mapping(made).warnings] == [
        "metadata.plann is always empty: 'plann' is not in the metadata of billing.tables",
        "NetSuite's queries do not show toBeEmailed: it is written, but not compared",
    ]


def test_a_good_mapping_says_nothing(tmp_path: Path) -> None:
    made = mapping(tmp_path, invoice_rules({"memo": {"from": "memo"}}))
    assert made.warnings == ()
    assert made.lists == {"item"}


def test_the_hash_changes_with_the_rules_and_with_nothing_else(tmp_path: Path) -> None:
    first = tenant(tmp_path, invoice_rules({"memo": {"from": "memo"}}))
    text = (tmp_path / "tenants" / "acme.yaml").read_text()
    policy = compile_mapping(tenant(tmp_path, {}, text + "writeback: {mode: apply}\n"))
    rules = compile_mapping(tenant(tmp_path, invoice_rules({"memo": {"from": "number"}})))
    assert compile_mapping(first).hash == policy.hash
    assert rules.hash != policy.hash
