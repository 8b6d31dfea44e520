"""The page about the mapping's rules is right: every example compiles and runs, and every key is on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from mapping_tools import CUSTOMER, ITEM, PERIOD, Account, invoice_rules, mapping

from netsuite_assets.mapping.compiler import compile_mapping
from resources.tenants import TenantRegistry
from resources.tenants.rules import Group, LineRule, RecordRules, Rule, Shift, Split, SplitPart, ValueTest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")


def _rows(heading: str) -> list[str]:
    """The examples in the table that follows a text."""
    part = PAGE[PAGE.index(heading) :]
    table = part[part.index("|:--") :].split("\n\n", 1)[0]
    found = [row.rsplit("| `", 1)[1].removesuffix("` |") for row in table.splitlines()[1:]]
    assert found
    return found


def _runs(tmp_path: Path, records: dict[str, Any], account: Account) -> None:
    account.invoice(status="open", metadata='{"tax": "1"}', lines=[{"metadata": '{"kind": "seats"}'}])
    account.payment("p1", "10.50", {"500": "10.50"}, status="succeeded")
    mapped = mapping(tmp_path, records)
    assert mapped.records
    account.fill(mapped)


@pytest.mark.parametrize("example", _rows("## A field's value"))
def test_an_example_of_a_field(tmp_path: Path, account: Account, example: str) -> None:
    _runs(tmp_path, invoice_rules(yaml.safe_load(example)), account)


@pytest.mark.parametrize("example", _rows("## Conditions"))
def test_an_example_of_a_condition(tmp_path: Path, account: Account, example: str) -> None:
    when = yaml.safe_load(example.replace("2026-12-31", "'2026-12-31'"))
    _runs(tmp_path, invoice_rules({"memo": {"value": "x", "when": when}}, when=when), account)


@pytest.mark.parametrize("example", _rows("## Records and their lines"))
def test_an_example_of_a_record(tmp_path: Path, account: Account, example: str) -> None:
    ((key, given),) = yaml.safe_load(example).items()
    rules = invoice_rules()
    invoice = rules["invoice"]
    if key in ("fields", "lines"):
        invoice[key] |= given
    elif key in ("from", "group"):
        usage = {
            "from": "invoice_lines",
            "external_id": "u-{period}",
            "group": {"by": ["invoice.id"]},
            "fields": {},
        }
        rules["customrecord_x"] = (
            usage | {key: given} | ({"external_id": "u-{id}", "group": None} if key == "from" else {})
        )
        rules["customrecord_x"] = {
            name: value for name, value in rules["customrecord_x"].items() if value is not None
        }
    else:
        invoice[key] = given
        if key == "line_rules":
            invoice["lines"] |= {"amount": {"from": "amount"}}
        if key == "legal_entity":
            invoice["by_subsidiary"] = {"DE": {"fields": {"memo": {"value": "DE"}}}}
    _runs(tmp_path, rules, account)


@pytest.mark.parametrize("example", _rows("Line rules, by name"))
def test_an_example_of_a_line_rule(tmp_path: Path, account: Account, example: str) -> None:
    lines = {
        **ITEM,
        "description": {"from": "description"},
        "quantity": {"from": "quantity"},
        "amount": {"from": "amount"},
    }
    line_rules = yaml.safe_load(example)
    _runs(tmp_path, invoice_rules(lines=lines, line_rules=line_rules), account)


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL))
def test_an_example_of_another_record(tmp_path: Path, account: Account, block: str) -> None:
    account.listed("currency", "1", name="USD", is_inactive=False)
    for number in ("1150", "4000", "4100"):
        account.listed("account", number, number=number, is_inactive=False)
    account.con.execute('UPDATE billing.customers SET metadata = \'{"contract": "C-7"}\'')
    example = yaml.safe_load(block)
    _runs(tmp_path, {**invoice_rules(), **example}, account)
    (record,) = example
    table = {"customerPayment": "payments", "journalEntry": "journals"}.get(record, record)
    found = account.expected(table, None if record == "customrecord_contract" else PERIOD)
    if record == "journalEntry":
        # The invoice is of no legal entity, and that is told.
        assert [row["problem_code"] for row in found] == ["invalid_value"]
        account.con.execute("UPDATE billing.invoices SET legal_entity = 'us'")
        account.fill(mapping(tmp_path, {"customer": CUSTOMER, **example}))
        found = account.expected(table)
    assert [row["problem"] for row in found] == [None]


@pytest.mark.parametrize("model", [Rule, ValueTest, Shift, Group, Split, SplitPart, LineRule, RecordRules])
def test_every_key_is_on_the_page(model: Any) -> None:
    keys = {field.alias or name for name, field in model.model_fields.items()}
    told = set(re.findall(r"`(\w+)`", PAGE))
    assert keys - told == set()


def test_the_base_for_payments_is_the_one_on_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "tenants"
    folder.mkdir()
    for name in ("_defaults", "_payments", "acme"):
        text = (ROOT / "tenants" / f"{name}.yaml").read_text(encoding="utf-8")
        (folder / f"{name}.yaml").write_text(
            text.replace("extends: _defaults\ntimezone", "extends: _payments\ntimezone"), encoding="utf-8"
        )
    mapped = compile_mapping(TenantRegistry(folder).load("acme"))
    assert [field.name for field in mapped.records["customerPayment"].line_fields] == [
        "doc",
        "apply",
        "amount",
    ]
    assert [str(one).partition(": ")[2] for one in mapped.warnings] == [
        "NetSuite's queries do not show apply: it is written, but not compared"
    ]
