"""The metadata catalog: record types as NetSuite's list, as JSON schema, and as OpenAPI. Only what the role may see."""

from __future__ import annotations

from sandbox.auth.roles import Session, allows
from sandbox.errors import method_not_allowed, unknown_record_type
from sandbox.record import lists, transforms
from sandbox.record.context import Context
from sandbox.record.filters import filterable
from sandbox.record.kinds import KINDS
from sandbox.record.schema import ENUMS, Field, RecordType, Sublist, seen_by
from sandbox.record.values import ADDRESS_FIELDS
from sandbox.wire import COLLECTION, Json, Request, Response, json_response

_ROOT = "/services/rest/record/v1/metadata-catalog"
_SWAGGER = b"application/swagger+json"
_SCHEMA = b"application/schema+json"
_DRAFT = "https://json-schema.org/draft-06/hyper-schema#"
_SIMPLE: dict[str, dict[str, str]] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "number": {"type": "number", "format": "double"},
    "integer": {"type": "integer", "format": "int64"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}


def answer(context: Context, request: Request, session: Session, parts: list[str]) -> Response:
    """Answer a GET under the catalog's path; the Accept header chooses the form."""
    if request.method != "GET":
        raise method_not_allowed(request.method)
    accept = request.headers.get("accept", "")
    visible = _visible(context, session)
    if parts:
        record_type = visible.get(parts[0].lower())
        if record_type is None:
            raise unknown_record_type(parts[0], f"{_ROOT}/{parts[0]}")
        if "swagger" in accept:
            return json_response(_openapi(request, context, [record_type]), _SWAGGER)
        if "schema" in accept:
            return json_response(_schema(context, record_type), _SCHEMA)
        return json_response(_entry(request, record_type))
    chosen = [visible[name.lower()] for name in request.names("select") if name.lower() in visible]
    if "swagger" in accept:
        return json_response(_openapi(request, context, chosen or list(visible.values())), _SWAGGER)
    types = chosen or sorted(visible.values(), key=lambda record_type: record_type.name)
    items = [_entry(request, record_type) for record_type in types]
    return json_response({"links": [{"rel": "self", "href": request.url}], "items": items}, COLLECTION)


def _visible(context: Context, session: Session) -> dict[str, RecordType]:
    return {
        name: seen_by(record_type, session.role)
        for name, record_type in context.types.items()
        if not record_type.permission or allows(session.role, record_type.permission_name, "view")
    }


def _entry(request: Request, record_type: RecordType) -> Json:
    catalog = f"{request.records}/metadata-catalog/{record_type.name}"
    return {
        "name": record_type.name,
        "links": [
            {"rel": "canonical", "href": catalog, "mediaType": "application/json"},
            {"rel": "alternate", "href": catalog, "mediaType": _SWAGGER.decode()},
            {"rel": "alternate", "href": catalog, "mediaType": _SCHEMA.decode()},
            {"rel": "describes", "href": f"{request.records}/{record_type.name}"},
        ],
    }


def _schema(context: Context, record_type: RecordType) -> Json:
    return {
        "$schema": _DRAFT,
        "type": "object",
        "x-ns-filterable": filterable(context, record_type),
        "properties": _properties(record_type.fields, _catalog_link) | _sublists(record_type, _catalog_link),
    }


def _sublists(record_type: RecordType, link: _Linker) -> dict[str, Json]:
    return {sublist.name: _collection(sublist, link) for sublist in record_type.sublists.values()}


def _collection(sublist: Sublist, link: _Linker) -> Json:
    element = {"type": "object", "properties": _properties(sublist.fields, link)}
    properties: dict[str, Json] = {
        "items": {"title": "Items", "type": "array", "items": element},
        "links": _links(link),
        "totalResults": {"title": "Total Results", "type": "integer", "format": "int64"},
    }
    return {"type": "object", "properties": properties}


def _properties(fields: dict[str, Field], link: _Linker) -> dict[str, Json]:
    found = {field.name: _property(field, link) for field in fields.values()}
    return found | {"links": _links(link)}


def _links(link: _Linker) -> Json:
    return {"title": "Links", "type": "array", "readOnly": True, "items": link("nsLink")}


def _property(field: Field, link: _Linker) -> Json:
    label = {"title": field.label}
    if field.kind == "reference" and not field.custom:
        return link(field.target)
    if field.kind in _SIMPLE:
        found: dict[str, Json] = label | _SIMPLE[field.kind]
        if field.kind != "boolean":
            found["nullable"] = True
    elif field.kind == "subrecord":
        found = {"type": "object", "properties": _properties(ADDRESS_FIELDS, link)}
    elif field.kind == "multi":
        found = label | {
            "type": "object",
            "properties": {"items": {"type": "array", "items": link("nsResource")}},
        }
    else:
        found = label | {"type": "object", "properties": _choice(field)}
    if field.read_only:
        found["readOnly"] = True
    if field.custom:
        found["x-ns-custom-field"] = True
    return found


def _choice(field: Field) -> dict[str, Json]:
    identifier: dict[str, Json] = {"title": "Internal identifier", "type": "string"}
    if field.target in ENUMS:
        identifier["enum"] = list(ENUMS[field.target])
    return {"id": identifier, "refName": {"title": "Reference Name", "type": "string"}}


class _Linker:
    """How a schema points to another one."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __call__(self, name: str) -> dict[str, Json]:
        return {"$ref": self._prefix + name}


_catalog_link = _Linker(f"{_ROOT}/")
_component_link = _Linker("#/components/schemas/")
_HELPERS: dict[str, Json] = {
    "nsLink": {"type": "object", "properties": {"rel": {"type": "string"}, "href": {"type": "string"}}},
    "nsResource": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "refName": {"type": "string"},
            "externalId": {"type": "string"},
            "links": {"type": "array", "items": _component_link("nsLink")},
        },
    },
    "nsResourceCollection": {
        "type": "object",
        "properties": {
            "links": {"type": "array", "items": _component_link("nsLink")},
            "count": {"type": "integer", "format": "int64"},
            "hasMore": {"type": "boolean"},
            "items": {"type": "array", "items": _component_link("nsResource")},
            "offset": {"type": "integer", "format": "int64"},
            "totalResults": {"type": "integer", "format": "int64"},
        },
    },
    "nsError": {
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "o:errorDetails": {"type": "array", "items": {"type": "object"}},
        },
    },
}


def _openapi(request: Request, context: Context, types: list[RecordType]) -> Json:
    schemas: dict[str, Json] = dict(_HELPERS)
    paths: dict[str, Json] = {}
    for record_type in types:
        schemas |= _components(context, record_type)
        paths |= _paths(record_type)
    # Types that were not chosen are generic objects.
    for target in {f.target for t in types for f in _all_fields(t) if f.kind == "reference"} - schemas.keys():
        schemas[target] = {"type": "object"}
    return {
        "openapi": "3.0.1",
        "info": {"title": "NetSuite REST Record API", "version": "v1"},
        "servers": [{"url": request.records}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _components(context: Context, record_type: RecordType) -> dict[str, Json]:
    """The record's schema, and a collection and an element for each sublist."""
    name = record_type.name
    properties = _properties(record_type.fields, _component_link)
    found: dict[str, Json] = {}
    for sublist in record_type.sublists.values():
        collection, element = f"{name}-{sublist.name}Collection", f"{name}-{sublist.name}Element"
        properties[sublist.name] = _component_link(collection)
        found[element] = {"type": "object", "properties": _properties(sublist.fields, _component_link)}
        items = {"title": "Items", "type": "array", "items": _component_link(element)}
        found[collection] = {
            "type": "object",
            "properties": {
                "items": items,
                "links": _links(_component_link),
                "totalResults": _SIMPLE["integer"],
            },
        }
    schema = {
        "type": "object",
        "x-ns-filterable": filterable(context, record_type),
        "properties": properties,
    }
    return {name: schema, **found}


def _paths(record_type: RecordType) -> dict[str, Json]:
    name = record_type.name
    whole: dict[str, Json] = {"get": _operation(name, "collection", _PAGING)}
    one: dict[str, Json] = {"parameters": [_IDENTIFIER], "get": _operation(name, "singular", _SHOWING)}
    paths: dict[str, Json] = {f"/{name}": whole, f"/{name}/{{id}}": one}
    if name == "customer" or name in KINDS or lists.writable(record_type):
        whole["post"] = _writing(name)
        one |= {"patch": _writing(name), "put": _writing(name), "delete": _operation(name, "")}
    for target in transforms.TARGETS.get(name, ()):
        operation = _operation(name, "") | {"requestBody": _content({"type": "object"})}
        paths[f"/{name}/{{id}}/!transform/{target}"] = {"parameters": [_IDENTIFIER], "post": operation}
    return paths


def _all_fields(record_type: RecordType) -> list[Field]:
    inner = [field for sublist in record_type.sublists.values() for field in sublist.fields.values()]
    return [*record_type.fields.values(), *inner]


def _operation(name: str, kind: str, parameters: list[Json] | None = None) -> dict[str, Json]:
    responses: dict[str, Json] = {
        "default": {"description": "Error", "content": {_ERROR: _refers("nsError")}}
    }
    if kind:
        media = f"application/vnd.oracle.resource+json; type={kind}"
        shown = _refers(name if kind == "singular" else "nsResourceCollection")
        responses["200"] = {"description": "OK", "content": {media: shown}}
    else:
        responses["204"] = {"description": "No Content"}
    operation: dict[str, Json] = {"tags": [name], "responses": responses}
    return operation | ({"parameters": parameters} if parameters else {})


def _writing(name: str) -> dict[str, Json]:
    return _operation(name, "") | {"requestBody": _content(_component_link(name))}


def _content(schema: Json) -> Json:
    return {"content": {_RECORD: {"schema": schema}}}


def _refers(schema: str) -> Json:
    return {"schema": _component_link(schema)}


def _query(name: str, kind: str) -> Json:
    return {"name": name, "in": "query", "schema": {"type": kind}}


_RECORD = "application/vnd.oracle.resource+json"
_ERROR = "application/vnd.oracle.resource+json; type=error"
_IDENTIFIER: Json = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_PAGING = [_query("q", "string"), _query("limit", "integer"), _query("offset", "integer")]
_SHOWING = [
    _query("fields", "string"),
    _query("expand", "string"),
    *(_query(name, "boolean") for name in ("expandSubResources", "simpleEnumFormat")),
]
