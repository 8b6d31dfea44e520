"""The JSON Schema of a tenant's file, for editors: what may stand where, made from the models that read it.

Here: what the models cannot say of a file by themselves: that any key may be inherited or removed with `null`, what
`extends` is, and the names of billing's tables and NetSuite's fields. Not here: the models (`resources/tenants`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from netsuite_assets.tables import TABLES
from resources.billing.canonical import TABLES as BILLING
from resources.netsuite.records import REFERENCES, field, record
from resources.tenants.models import TenantSettings
from resources.tenants.values import RECORD_TYPES

#: Where editors of this project's files find it, from the folder of tenants.
COMMITTED: Final = "docs/tenant.schema.json"

_BASE: Final = "^_[a-z0-9][a-z0-9_-]{0,62}$"
_CUSTOM_RECORD: Final = "^customrecord_[a-z0-9_]{1,60}$"
_KEYWORDS: Final = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def schema_text() -> str:
    """The schema as it is committed: indented JSON with a line's end."""
    return json.dumps(tenant_schema(), indent=2, ensure_ascii=False) + "\n"


def tenant_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of `tenants/<name>.yaml` and of base files."""
    made = TenantSettings.model_json_schema(by_alias=True)
    schema: dict[str, Any] = _eased(made)
    definitions = schema["$defs"]
    schema["properties"] = {
        "extends": {
            "type": ["string", "null"],
            "pattern": _BASE,
            "description": "The base file below this one.",
        },
        **schema["properties"],
    }
    tables = definitions["BillingSettings"]["properties"]["tables"]["anyOf"][0]
    definitions["BillingSettings"]["properties"]["tables"] = _or_null(
        {"type": "object", "properties": dict.fromkeys(BILLING, tables["additionalProperties"]), "additionalProperties": False}
    )  # fmt: skip
    _short_forms(definitions)
    definitions["FieldRule"] = _or_null({"$ref": "#/$defs/Rule"})
    rules = _or_null({"$ref": "#/$defs/RecordRules"})
    for name in RECORD_TYPES:
        definitions[_rules_of(name)] = _of_record(name, definitions["RecordRules"])
    schema["properties"]["records"] = _or_null(
        {
            "type": "object",
            "properties": {name: _or_null({"$ref": f"#/$defs/{_rules_of(name)}"}) for name in RECORD_TYPES},
            "patternProperties": {_CUSTOM_RECORD: rules},
            "additionalProperties": False,
        }
    )
    head: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A tenant's file, or a base file that tenants extend",
    }
    return head | {key: value for key, value in schema.items() if key not in head}


def _eased(node: Any) -> Any:
    """What pydantic made, for one file of several: nothing is required, and `null` removes what is inherited."""
    if isinstance(node, list):
        return [_eased(one) for one in node]
    if not isinstance(node, dict):
        return node
    eased = {
        _KEYWORDS.get(key, key): {name: _eased(one) for name, one in value.items()}
        if key in ("properties", "$defs")
        else _eased(value)
        for key, value in node.items()
        if key not in ("required", "title", "max_digits", "decimal_places")
        and not (key == "default" and value is None)
    }
    if isinstance(eased.get("properties"), dict):
        eased["properties"] = {name: _or_null(below) for name, below in eased["properties"].items()}
    if isinstance(eased.get("additionalProperties"), dict):
        eased["additionalProperties"] = _or_null(eased["additionalProperties"])
    return eased


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if {"type": "null"} in schema.get("anyOf", ()):
        return schema
    told: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    return {
        "anyOf": [{key: value for key, value in schema.items() if key not in told}, {"type": "null"}],
        **told,
    }


def _short_forms(definitions: dict[str, Any]) -> None:
    """What may be written in short and the models say with validators alone."""
    table = definitions["BillingTable"]["properties"]
    names = {"type": "array", "items": {"type": "string"}}
    table["columns"]["anyOf"].insert(1, names)
    where = table["where"]["anyOf"][0]["additionalProperties"]
    where["anyOf"].insert(1, {"type": ["string", "integer", "number", "boolean"]})


def _rules_of(name: str) -> str:
    return f"{name[0].upper()}{name[1:]}Rules"


def _of_record(name: str, rules: Mapping[str, Any]) -> dict[str, Any]:
    """The rules of one record type, with the names of NetSuite's own fields."""
    properties = dict(rules["properties"])
    known = record(name)
    sublist = TABLES[name].sublist
    properties["fields"] = _fields(name, known.fields, None)
    if sublist is not None:
        properties["lines"] = _fields(name, known.sublists[sublist].fields, sublist)
    return {**rules, "properties": properties}


def _fields(name: str, names: Mapping[str, object], sublist: str | None) -> dict[str, Any]:
    found = {}
    for each in names:
        kind = field(name, each, sublist)
        if kind.read_only:
            continue
        target = f" of {kind.target}" if kind.target and kind.target in REFERENCES else ""
        found[kind.name] = {"$ref": "#/$defs/FieldRule", "description": f"{kind.kind}{target}"}
    rule = {"$ref": "#/$defs/FieldRule"}
    return _or_null({"type": "object", "properties": found, "additionalProperties": rule})
