"""The JSON Schema that editors check tenants' files by: it is the committed one, and agrees with what loads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tenant_tools import WHOLE
from typer.testing import CliRunner

from netsuite_assets.cli import app
from netsuite_assets.mapping.json_schema import COMMITTED, schema_text, tenant_schema
from resources.tenants.source import read_document

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = tenant_schema()
_TYPES = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
    "null": type(None),
}  # fmt: skip
#: What `fits` understands; a keyword that is none of these is a mistake of the schema, or this test's.
_KEYWORDS = {
    "type", "properties", "patternProperties", "additionalProperties", "propertyNames", "items", "anyOf", "oneOf",
    "discriminator", "enum", "const", "pattern", "minLength", "minItems", "minProperties", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "default", "description", "$ref", "$defs", "$schema", "title",
}  # fmt: skip


def fits(value: Any, schema: Any) -> bool:
    """Whether a value is valid by a schema: the part of JSON Schema that ours uses."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= _KEYWORDS, set(schema) - _KEYWORDS
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return fits(value, SCHEMA["$defs"][name])
    for several in ("anyOf", "oneOf"):
        if several in schema and not any(fits(value, one) for one in schema[several]):
            return False
    types = schema.get("type", [])
    if types and not any(
        isinstance(value, _TYPES[one]) and (one == "boolean" or not isinstance(value, bool))
        for one in ([types] if isinstance(types, str) else types)
    ):
        return False
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        return False
    if isinstance(value, str):
        return len(value) >= schema.get("minLength", 0) and bool(re.search(schema.get("pattern", ""), value))
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(
            fits(one, schema.get("items", True)) for one in value
        )
    if isinstance(value, dict):
        return all(fits(below, _below(schema, key)) for key, below in value.items())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (
            schema.get("minimum", value) <= value <= schema.get("maximum", value)
            and schema.get("exclusiveMinimum", value - 1) < value < schema.get("exclusiveMaximum", value + 1)
        )  # fmt: skip
    return True


def _below(schema: Any, key: str) -> Any:
    if key in schema.get("properties", {}):
        return schema["properties"][key]
    for pattern, below in schema.get("patternProperties", {}).items():
        if re.search(pattern, key):
            return below
    return schema.get("additionalProperties", True)


def plain(text: str) -> Any:
    """A file as an editor sees it: numbers as JSON has them."""

    def number(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: number(below) for key, below in value.items()}
        if isinstance(value, list):
            return [number(below) for below in value]
        return value if isinstance(value, str | int | bool | None) else float(value)

    return number(read_document(text, "tenants/acme.yaml").plain())


def test_the_committed_schema_is_the_one_of_the_models() -> None:
    """After a change of the models: .venv/bin/recon schema > docs/tenant.schema.json"""
    assert (ROOT / COMMITTED).read_text(encoding="utf-8") == schema_text()
    printed = CliRunner().invoke(app, ["schema"])
    assert (printed.exit_code, printed.stdout) == (0, schema_text())


@pytest.mark.parametrize("file", sorted((ROOT / "tenants").glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_files_are_right_by_the_schema(file: Path) -> None:
    assert fits(plain(file.read_text(encoding="utf-8")), SCHEMA)


@pytest.mark.parametrize(
    ("old", "new", "right"),
    [
        ("{from: name}", "{form: name}", False),
        ("{from: name}", "name", False),
        ("{from: name}", "null", True),
        ("{from: name}", "{default: Somebody}", True),
        ("{from: name}", "{from: name, when: {country: DE}}", True),
        ("{from: name}", "{from: name, when: [{country: [DE, AT]}, {terms: {empty: true}}]}", True),
        ("{from: name}", "{from: name, when: {country: {above_all: x}}}", False),
        ("{from: name}", "{first_of: [name, {from: email}]}", True),
        ("{from: name}", "{from: country, lookup: term, by: [nam]}", False),
        ("{number: invoice_number}", "[id, number]", True),
        ("    invoice_lines:", "    invoice_line:", False),
        ("method: oauth2_client_credentials", "method: oauth3", False),
        ("  customer:\n    external", "  customrecord_contract:\n    external", True),
        ("  customer:\n    external", "  custommer:\n    external", False),
        ("records:", "reconcile: {tolerance: {amount: -1}}\nrecords:", False),
        ("records:", "writeback: {circuit_breaker: {share: 0.5}}\nrecords:", True),
        ("tenant: acme", "tenant: acme\nextends: _defaults", True),
        ("tenant: acme", "tenant: acme\nextends: globex", False),
    ],
)  # fmt: skip
def test_the_schema_tells_right_from_wrong(old: str, new: str, right: bool) -> None:
    assert old in WHOLE
    assert fits(plain(WHOLE), SCHEMA)
    assert fits(plain(WHOLE.replace(old, new, 1)), SCHEMA) is right


def test_an_editor_is_told_netsuites_fields_and_what_they_are() -> None:
    rules = SCHEMA["$defs"]["InvoiceRules"]["properties"]
    fields = rules["fields"]["anyOf"][0]["properties"]
    assert fields["tranDate"]["description"] == "date"
    assert fields["terms"]["description"] == "reference of term"
    assert "amount" in rules["lines"]["anyOf"][0]["properties"]
    assert "total" not in fields, "what NetSuite computes is not offered"
