"""Whatever names and values a rule holds, it does what it says and reaches nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_tools import Account, invoice_rules, mapping, mistakes
from test_mapping_records import ACCRUAL, PAYMENT

from resources.billing.canonical import TABLES
from resources.netsuite.records import record

_HOSTILE = st.sampled_from(
    ["'", "''", '"', "\\", ";", "--", "/*", "*/", "$", "{", "}", "%", "_", "~", "/", "~1", "*", "[0]", "\n", "\t", " ",
     "NULL", "' OR 1=1 --", "'); DROP TABLE billing.invoices; --", "read_csv('/etc/passwd')", '"; ATTACH \'x\'',
     "é", "İ", "ß", "𝄞", "0", "1", "a", "::", "$1", "?", "{x}", "s0", "judged"]
)  # fmt: skip
_TEXT = st.one_of(
    st.lists(_HOSTILE, min_size=1, max_size=4).map("".join),
    st.text(
        st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"),
        min_size=1,
        max_size=8,
    ),
).filter(lambda text: text.strip() != "" and "${" not in text)
_KEY = _TEXT.filter(lambda key: "." not in key)

_SETTINGS = settings(
    max_examples=35, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def held() -> Iterator[Account]:
    made = Account()
    yield made
    made.con.close()


def _fill_one(tmp_path: Path, held: Account, fields: dict[str, Any], **invoice: Any) -> dict[str, Any]:
    held.clear()
    held.con.execute("DELETE FROM netsuite.reference WHERE list <> 'item'")
    held.invoice(**invoice)
    return held.one(mapping(tmp_path, invoice_rules(fields)))


@_SETTINGS
@given(constant=_TEXT, before=_TEXT, after=_TEXT, number=_TEXT)
def test_constants_and_templates_are_taken_literally(
    tmp_path: Path, held: Account, constant: str, before: str, after: str, number: str
) -> None:
    template = "{number}".join(part.replace("{", "{{").replace("}", "}}") for part in (before, after))
    fields = {"memo": {"value": constant}, "message": {"template": template}}
    row = _fill_one(tmp_path, held, fields, number=number)
    assert (row["memo"], row["message"], row["problem"]) == (constant, f"{before}{number}{after}", None)


@_SETTINGS
@given(value_map=st.dictionaries(_TEXT, _TEXT, min_size=1, max_size=4), value=_TEXT, default=_TEXT)
def test_maps_and_defaults_are_taken_literally(
    tmp_path: Path, held: Account, value_map: dict[str, str], value: str, default: str
) -> None:
    known = next(iter(value_map))
    fields = {
        "memo": {"from": "memo", "map": value_map},
        "message": {"from": "status", "map": value_map, "default": default},
        "email": {"from": "po_number", "default": default},
    }
    row = _fill_one(tmp_path, held, fields, memo=value, status=known)
    assert row["memo"] == value_map.get(value)
    assert (row["problem_code"] == "unmapped_value") == (value not in value_map)
    assert (row["message"], row["email"]) == (value_map[known], default)
    assert json.loads(row["via"])["email"] == f"default {default}"


@_SETTINGS
@given(keys=st.lists(_KEY, min_size=1, max_size=3), value=_TEXT, other=_KEY)
def test_metadata_keys_are_taken_literally(
    tmp_path: Path, held: Account, keys: list[str], value: str, other: str
) -> None:
    inside: Any = value
    for key in reversed(keys):
        inside = {key: inside}
    metadata = json.dumps({other: "other", **inside})
    row = _fill_one(tmp_path, held, {"memo": {"from": "metadata." + ".".join(keys)}}, metadata=metadata)
    assert (row["memo"], row["problem"]) == (value, None)


@_SETTINGS
@given(name=_TEXT, other=_TEXT, default=_TEXT)
def test_looked_up_values_are_taken_literally(
    tmp_path: Path, held: Account, name: str, other: str, default: str
) -> None:
    held.clear()
    held.con.execute("DELETE FROM netsuite.reference WHERE list <> 'item'")
    held.listed("customlist_x", "701", name=name, is_inactive=False)
    held.invoice(memo=name, status=other)
    fields = {
        "custbody_x": {"from": "memo", "lookup": "customlist_x"},
        "custbody_y": {"from": "status", "lookup": "customlist_x", "default": default},
    }
    row = held.one(mapping(tmp_path, invoice_rules(fields)))
    lowered = {
        text: held.con.execute("SELECT lower(trim(?))", [text]).fetchall()[0][0]
        for text in (name, other, default)
    }
    assert row["custbody_x"] == "701"
    found = lowered[name] in (lowered[other], lowered[default])
    assert row["custbody_y"] == ("701" if found else None)
    if not found:
        assert other[:80] in row["problem"]
        assert default in row["problem"]


@_SETTINGS
@given(name=_TEXT)
def test_a_field_name_is_a_field_or_a_mistake(tmp_path: Path, name: str) -> None:
    standard = {field.lower() for field in record("invoice").fields}
    for prefix in ("", "custbody_", "cseg_"):
        found = mistakes(tmp_path, invoice_rules({f"{prefix}{name}": {"value": "1"}}))
        plain = set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
        assert found or (plain if prefix else name.lower() in standard)


@pytest.mark.parametrize(
    "list_name",
    [
        "item' OR true --",
        "customlist_x'",
        "customlist_x; DROP",
        "customrecord_",
        "CSEG_X",
        "netsuite.reference",
    ],
)
def test_a_list_name_reaches_nothing_else(tmp_path: Path, list_name: str) -> None:
    (found,) = mistakes(tmp_path, invoice_rules({"custbody_x": {"from": "memo", "lookup": list_name}}))
    assert found.startswith("there is no list '")


@_SETTINGS
@given(entity=_TEXT, other=_TEXT, wanted=st.lists(_TEXT, min_size=1, max_size=3), separator=_TEXT)
def test_entities_conditions_and_separators_are_taken_literally(
    tmp_path: Path, held: Account, entity: str, other: str, wanted: list[str], separator: str
) -> None:
    held.clear()
    held.invoice("1", legal_entity=entity, status=wanted[0], memo="a", po_number="b")
    held.invoice("2", legal_entity=other, status=other, memo="a", po_number="b")
    fields = {
        "memo": {"join": ["memo", "po_number"], "separator": separator},
        "message": {"value": "in", "when": {"status": {"in": wanted}}},
    }
    rules = invoice_rules(fields, by_subsidiary={entity: {"fields": {"otherRefNum": {"value": entity}}}})
    held.fill(mapping(tmp_path, rules))
    first, second = held.expected("invoices")
    assert (first["memo"], first["message"], first["otherRefNum"]) == (f"a{separator}b", "in", entity)
    assert second["message"] == ("in" if other in wanted else None)
    assert second["otherRefNum"] == (entity if other == entity else None)
    assert json.loads(first["via"])["otherRefNum"] == f"value '{entity}' (by_subsidiary {entity})"


@_SETTINGS
@given(name=_TEXT.filter(lambda name: name != "lines"), kind=_TEXT, key=_KEY)
def test_line_rules_and_groups_are_taken_literally(
    tmp_path: Path, held: Account, name: str, kind: str, key: str
) -> None:
    held.clear()
    metadata = json.dumps({key: kind, "n": "1.5"})
    held.invoice(
        lines=[{"metadata": metadata}, {"metadata": metadata}, {}], metadata=json.dumps({"tax": "2"})
    )
    rules = {
        name: {"when": {f"metadata.{key}": kind}, "group": {"by": [f"metadata.{key}"], "sum": ["metadata.n"]},
               "fields": {"item": {"value": "API calls", "lookup": "item"}, "description": {"from": f"metadata.{key}"},
                          "custcol_n": {"from": "metadata.n", "type": "amount"}}},
        "lines": {"when": {f"metadata.{key}": {"not": kind}}},
        f"{name}+": {"each": "document", "fields": {"item": {"value": "API calls", "lookup": "item"},
                                                    "description": {"value": kind}}},
    }  # fmt: skip
    found = held.lines(
        mapping(tmp_path, invoice_rules(line_rules=rules)), "line_rule", "description", "custcol_n"
    )
    assert [row["problem"] for row in held.expected("invoices")] == [None]
    assert found == [(name, kind, Decimal(3)), ("lines", None, None), (f"{name}+", kind, None)]


def _everything() -> dict[str, Any]:
    """A mapping that uses every kind of rule and record."""
    fields = {
        "memo": {"first_of": ["metadata.a", {"template": "{number}"}], "max_length": 9, "cut": True},
        "terms": {"from": "customer.terms", "lookup": "term", "default": "Net 30"},
        "subsidiary": {"from": "legal_entity"},
        "department": {"from": "memo", "lookup": "department", "default": "x"},
        "postingPeriod": {"from": "issued_on", "lookup": "accountingPeriod", "by": "date"},
        "custbody_n": {
            "from": "total",
            "type": "amount",
            "round": "currency",
            "when": {"total": {"above": 0}},
        },
    }
    line_rules = {
        "usage": {"when": {"metadata.kind": "u"}, "group": {"by": ["product_id"], "sum": ["amount"]}, "fields": {"item": {"from": "product_id"}}},
        "split": {"when": {"metadata.kind": "s"}, "split": {"parts": {"a": {"share": 0.5}, "b": {"share": "rest"}}}},
        "tax": {"each": "document", "fields": {"item": {"value": "Tax", "lookup": "item"}}},
        "rest": {"each": "rest", "fields": {"item": {"value": "Tax", "lookup": "item"}, "amount": {"from": "rest"}}},
    }  # fmt: skip
    records = invoice_rules(fields, {"amount": {"from": "amount"}}, line_rules=line_rules, when={"status": "open"},
                            lines_when={"amount": {"not": 0}}, by_subsidiary={"eu": {"fields": {"memo": {"value": "x"}}}})  # fmt: skip
    contract = {"from": "customers", "external_id": "c-{id}", "fields": {"name": {"from": "name"}}}
    return {**records, "customerPayment": PAYMENT, "journalEntry": ACCRUAL, "customrecord_c": contract}


def test_the_statements_read_only_the_tenants_own_tables(tmp_path: Path, account: Account) -> None:
    """By DuckDB's own parser: no table but billing, NetSuite's lists and periods and the expected lines, no table function."""
    mapped = mapping(tmp_path, _everything())
    account.con.execute("SET enable_external_access = false")
    account.fill(mapped)
    allowed = {
        *(f"billing.{name}" for name in TABLES), "netsuite.reference", "netsuite.periods",
        *(f"expected.{one.tables.lines}" for one in mapped.records.values() if one.tables.lines),
    }  # fmt: skip
    seen = set()
    for name, rules in mapped.records.items():
        statements = mapped.fill_sql(name, "2026-10")
        counts = [rules.count_sql("2026-10", lines=lines) for lines in (False, True)]
        for statement in [*statements, *counts]:
            if statement.startswith(("DELETE", "UPDATE")):
                continue
            query = statement[
                min(statement.index(word) for word in ("WITH", "SELECT") if word in statement) :
            ]
            tables = {
                found.split(" AS ")[0]
                for found in duckdb.get_table_names(query, qualified=True)
                if "." in found
            }
            assert tables <= allowed | {f"expected.{rules.tables.name}"}
            seen |= tables
            tree = account.con.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0]
            assert json.loads(tree)["error"] is False
            assert "TABLE_FUNCTION" not in tree
    assert {"billing.payments", "netsuite.periods", "expected.journal_lines"} <= seen


def test_lookups_are_joins_on_one_row_a_key(tmp_path: Path, account: Account) -> None:
    """A million rows map set by set: no sub-query is run again for each row."""
    mapped = mapping(tmp_path, _everything())
    account.fill(mapped)
    for name in mapped.records:
        for statement in mapped.fill_sql(name, "2026-10"):
            plan = "".join(row[1] for row in account.con.execute(f"EXPLAIN {statement}").fetchall())
            assert "DELIM" not in plan
            assert "NESTED_LOOP" not in plan
