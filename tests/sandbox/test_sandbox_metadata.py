"""The metadata catalog and the system service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sandbox_tools import Api, Refused

SCHEMA = {"Accept": "application/schema+json"}
SWAGGER = {"Accept": "application/swagger+json"}


def schema(api: Api, record_type: str) -> Any:
    answer = api.send("GET", f"metadata-catalog/{record_type}", headers=SCHEMA)
    assert answer.headers["content-type"] == "application/schema+json"
    return answer.json()


def test_the_list_names_every_type_with_its_links(oneworld: Api) -> None:
    items = {item["name"]: item for item in oneworld.get("metadata-catalog")["items"]}
    assert {
        "customer",
        "invoice",
        "creditMemo",
        "term",
        "customrecord_cseg_product",
        "customlist_region",
    } <= items.keys()
    here = f"{oneworld.rest}/record/v1"
    assert items["customer"]["links"] == [
        {"rel": "canonical", "href": f"{here}/metadata-catalog/customer", "mediaType": "application/json"},
        {
            "rel": "alternate",
            "href": f"{here}/metadata-catalog/customer",
            "mediaType": "application/swagger+json",
        },
        {
            "rel": "alternate",
            "href": f"{here}/metadata-catalog/customer",
            "mediaType": "application/schema+json",
        },
        {"rel": "describes", "href": f"{here}/customer"},
    ]


def test_a_schema_describes_standard_and_custom_fields(oneworld: Api) -> None:
    found = schema(oneworld, "customer")
    properties = found["properties"]
    assert found["$schema"] == "https://json-schema.org/draft-06/hyper-schema#"
    assert properties["companyName"] == {"title": "Company Name", "type": "string", "nullable": True}
    assert properties["creditLimit"]["format"] == "double"
    assert properties["lastModifiedDate"]["format"] == "date-time"
    assert properties["subsidiary"] == {"$ref": "/services/rest/record/v1/metadata-catalog/subsidiary"}
    assert properties["custentity_billing_id"]["x-ns-custom-field"] is True
    assert properties["emailPreference"]["properties"]["id"]["enum"] == ["PDF", "HTML", "DEFAULT"]
    assert {"companyName", "email", "externalId", "id", "custentity_billing_id"} <= set(
        found["x-ns-filterable"]
    )
    assert "altPhone" not in found["x-ns-filterable"]


def test_lines_are_described_too(oneworld: Api) -> None:
    line = schema(oneworld, "invoice")["properties"]["item"]["properties"]["items"]["items"]["properties"]
    assert line["custcol_service_start"] == {
        "title": "Service Start",
        "type": "string",
        "format": "date",
        "nullable": True,
        "x-ns-custom-field": True,
    }
    assert line["line"]["format"] == "int64"


def test_each_account_has_its_own_schema(single: Api) -> None:
    assert "subsidiary" not in schema(single, "invoice")["properties"]
    assert "custbody_plan" in schema(single, "invoice")["properties"]
    assert single.refused("GET", "metadata-catalog/subsidiary").code == "NONEXISTENT_ID"


def test_every_writable_standard_field_is_taken(oneworld: Api) -> None:
    """The schema is what the record service checks names against."""
    strict = {"X-NetSuite-PropertyNameValidation": "Error"}
    names = schema(oneworld, "customer")["properties"]
    body: dict[str, Any] = dict.fromkeys(names) | {"companyName": "All names", "subsidiary": {"id": "1"}}
    assert oneworld.send("POST", "customer", body, headers=strict).status_code == 204


def test_openapi_holds_what_is_selected(oneworld: Api) -> None:
    answer = oneworld.send("GET", "metadata-catalog?select=customer,invoice", headers=SWAGGER)
    assert answer.headers["content-type"] == "application/swagger+json"
    found = answer.json()
    assert found["openapi"].startswith("3.0")
    records = {path for path in found["paths"] if "!transform" not in path}
    assert records == {"/customer", "/customer/{id}", "/invoice", "/invoice/{id}"}
    assert found["components"]["schemas"]["invoice"]["properties"]["entity"] == {
        "$ref": "#/components/schemas/customer"
    }
    assert found["components"]["schemas"]["term"] == {"type": "object"}


def test_a_role_sees_only_its_types(auditor: Api) -> None:
    names = {item["name"] for item in auditor.get("metadata-catalog")["items"]}
    assert "invoice" in names
    assert "customer" not in names
    assert auditor.refused("GET", "metadata-catalog/customer").status == 404


def test_governance_limits_are_for_administrators(oneworld: Api) -> None:
    refused = Refused.of(oneworld.request("GET", "system/v1/governanceLimits"))
    assert refused.detail == "Your current role does not have permission to perform this action."


def test_server_time(oneworld: Api) -> None:
    found = datetime.fromisoformat(oneworld.request("GET", "system/v1/serverTime").json()["serverTime"])
    assert abs((datetime.now(UTC) - found).total_seconds()) < 60


def openapi(api: Api, select: str = "") -> Any:
    return api.send("GET", f"metadata-catalog{select}", headers=SWAGGER).json()


def walk(node: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a document, with its place."""
    if isinstance(node, dict):
        yield where, node
        for key, value in node.items():
            yield from walk(value, f"{where}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from walk(value, f"{where}/{number}")


@pytest.mark.parametrize("select", ["", "?select=customer,invoice", "?select=customrecord_contract"])
def test_openapi_is_whole(oneworld: Api, select: str) -> None:
    """What OpenAPI 3.0 asks of a document: references that lead somewhere, declared parameters, known types."""
    found = openapi(oneworld, select)
    schemas = found["components"]["schemas"]
    for where, node in walk(found):
        if isinstance(node.get("$ref"), str):
            prefix, _, name = node["$ref"].rpartition("/")
            assert (prefix, name in schemas) == ("#/components/schemas", True), where
        if "properties" in node and "type" in node:
            assert node["type"] == "object", where
        if isinstance(node.get("type"), str) and "description" not in node:
            assert node["type"] in {"object", "array", "string", "number", "integer", "boolean"}, where
        if node.get("type") == "array":
            assert isinstance(node["items"], dict), where
        if "enum" in node and node.get("type") == "string":
            assert len(set(node["enum"])) == len(node["enum"]) > 0, where
    verbs = {"get", "post", "patch", "put", "delete"}
    for path, item in found["paths"].items():
        declared = {parameter["name"] for parameter in item.get("parameters", [])}
        assert set(re.findall(r"{(\w+)}", path)) == declared, path
        assert verbs & item.keys(), path
        for verb in verbs & item.keys():
            assert item[verb]["responses"].keys() & {"200", "204"}, (path, verb)
            assert ("requestBody" in item[verb]) == (verb in ("post", "patch", "put")), (path, verb)


def test_every_schema_of_the_catalogue_is_a_json_schema(oneworld: Api) -> None:
    for entry in oneworld.get("metadata-catalog")["items"]:
        found = schema(oneworld, entry["name"])
        assert found["type"] == "object"
        assert set(found["x-ns-filterable"]) <= set(found["properties"]), entry["name"]
        for where, node in walk(found["properties"]):
            if "x-ns-custom-field" in node:
                assert where.rpartition("/")[2].startswith(("cust", "cseg_")), where
            for name in ("nullable", "readOnly"):
                if name in node and not isinstance(node[name], dict):
                    assert node[name] is True, where


def test_custom_records_are_described(oneworld: Api) -> None:
    properties = schema(oneworld, "customrecord_contract")["properties"]
    assert properties["custrecord_contract_minimum"] == {
        "title": "Monthly Minimum",
        "type": "number",
        "format": "double",
        "nullable": True,
        "x-ns-custom-field": True,
    }
    assert properties["custrecord_contract_region"]["properties"].keys() == {"id", "refName"}
    assert "items" in properties["custrecord_contract_products"]["properties"]
    paths = openapi(oneworld, "?select=customrecord_contract")["paths"]
    assert {"get", "post"} <= paths["/customrecord_contract"].keys()
    assert {"get", "patch", "put", "delete"} <= paths["/customrecord_contract/{id}"].keys()


def test_sublists_have_schemas_of_their_own(oneworld: Api) -> None:
    schemas = openapi(oneworld, "?select=invoice")["components"]["schemas"]
    assert schemas["invoice"]["properties"]["item"] == {"$ref": "#/components/schemas/invoice-itemCollection"}
    items = schemas["invoice-itemCollection"]["properties"]["items"]["items"]
    assert items == {"$ref": "#/components/schemas/invoice-itemElement"}
    assert schemas["invoice-itemElement"]["properties"]["quantity"]["format"] == "double"


def test_read_only_types_offer_no_writing(oneworld: Api) -> None:
    paths = openapi(oneworld, "?select=currency,accountingPeriod,customlist_region")["paths"]
    assert {verb for item in paths.values() for verb in item} == {"get", "parameters"}
