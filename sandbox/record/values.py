"""Values in: JSON from a request body becomes stored values, each checked against its field. No record is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from sandbox.errors import Refusal, invalid_content, invalid_value
from sandbox.record.schema import ENUMS, Field, RecordType, Sublist, space_of
from sandbox.store.database import Database, Doc
from sandbox.wire import Json, Request, decode

Values = dict[str, Any]
"""Stored values by field name; None clears the field."""


@dataclass(slots=True)
class Body:
    """A request body after checking."""

    values: Values
    sublists: dict[str, list[Values] | None] = field(default_factory=dict)
    """By sublist name; None empties the sublist."""
    replace: frozenset[str] = frozenset()
    """Lower-case names of `?replace=`."""
    draft: Doc | None = None
    """The document that the body is being applied to, for a form that shows it unfinished."""

    def show(self, doc: Doc) -> None:
        self.draft = doc


def read_body(request: Request, record_type: RecordType, database: Database) -> Body:
    """Check a whole body; unknown names follow X-NetSuite-PropertyNameValidation."""
    try:
        content = decode(request.body or b"{}")
    except msgspec.DecodeError as error:
        raise invalid_content(
            f"Invalid content in the request body. The body is not valid JSON: {error}"
        ) from error
    if not isinstance(content, dict):
        raise invalid_content("Invalid content in the request body. An object is expected.")
    reader = _Reader(request, database)
    body = Body({}, replace=frozenset(name.lower() for name in request.names("replace")))
    for name, value in content.items():
        key = name.lower()
        if key in record_type.sublists:
            sublist = record_type.sublists[key]
            body.sublists[sublist.name] = reader.lines(sublist, value, name)
        elif key in record_type.fields:
            spec = record_type.fields[key]
            if not spec.read_only:
                body.values[spec.name] = reader.value(spec, value, name)
        elif key not in ("links", "refname"):
            reader.unknown(name, name)
    return body


class _Reader:
    def __init__(self, request: Request, database: Database) -> None:
        self._request, self._database = request, database
        self._names = request.headers.get("x-netsuite-propertynamevalidation", "warning").lower()
        self._values = request.headers.get("x-netsuite-propertyvaluevalidation", "error").lower()

    def unknown(self, name: str, path: str) -> None:
        text = f"Unknown property name '{name}'."
        if self._names == "error":
            raise Refusal(
                400,
                "INVALID_CONTENT",
                f"Error while accessing a resource. {text}",
                pointer=("o:errorPath", path),
            )
        if self._names != "ignore":
            self._request.warnings.append(f"{text} Path: {path}.")

    def lines(self, sublist: Sublist, value: Json, path: str) -> list[Values] | None:
        if isinstance(value, dict):
            if "items" not in value and "links" in value:
                return []
            value, path = value.get("items"), f"{path}.items"
        if value is None:
            return None
        if not isinstance(value, list):
            raise invalid_content(
                f"Invalid content for the sublist {sublist.name}: an object with `items` is expected.", path
            )
        return [self._line(sublist, line, f"{path}[{number}]") for number, line in enumerate(value)]

    def _line(self, sublist: Sublist, content: Json, path: str) -> Values:
        if not isinstance(content, dict):
            raise invalid_content("Invalid content for a sublist line: an object is expected.", path)
        line: Values = {}
        for name, value in content.items():
            spec = sublist.fields.get(name.lower())
            if spec is None:
                if name.lower() not in ("links", "refname"):
                    self.unknown(name, f"{path}.{name}")
            elif not spec.read_only:
                line[spec.name] = self.value(spec, value, f"{path}.{name}")
        return line

    def value(self, spec: Field, value: Json, path: str) -> Json:
        if value is None:
            return None
        try:
            return self._checked(spec, value, path)
        except Refusal as refusal:
            if self._values == "error":
                raise
            if self._values == "warning":
                self._request.warnings.append(refusal.detail)
            return None

    def _checked(self, spec: Field, value: Json, path: str) -> Json:
        kind = spec.kind
        if kind == "string":
            return self._string(spec, value, path)
        if kind == "boolean":
            if not isinstance(value, bool):
                raise invalid_value(value, spec.name, path)
            return value
        if kind == "truth":
            return _truth(spec, value, path)
        if kind in ("number", "integer"):
            return _numeric(spec, value, path)
        if kind == "date":
            return _date(spec, value, path)
        if kind == "multi":
            chosen = value.get("items") if isinstance(value, dict) else value
            if not isinstance(chosen, list):
                raise invalid_value(value, spec.name, path)
            return [self._reference(spec, one, path) for one in chosen]
        if kind == "enum":
            return self._enum(spec, value, path)
        if kind == "subrecord":
            return self._subrecord(spec, value, path)
        return self._reference(spec, value, path)

    def _string(self, spec: Field, value: Json, path: str) -> str | None:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise invalid_value(_shown(value), spec.name, path)
        return str(value) or None

    def _enum(self, spec: Field, value: Json, path: str) -> str:
        chosen = value.get("id") if isinstance(value, dict) else value
        if isinstance(chosen, bool) or not isinstance(chosen, str | int):
            raise invalid_value(_shown(value), spec.name, path)
        known = ENUMS.get(spec.target)
        if known is not None and str(chosen) not in known:
            raise invalid_value(chosen, spec.name, path)
        return str(chosen)

    def _subrecord(self, spec: Field, value: Json, path: str) -> Values:
        if not isinstance(value, dict):
            raise invalid_value(_shown(value), spec.name, path)
        found: Values = {}
        for name, content in value.items():
            part = ADDRESS_FIELDS.get(name.lower())
            if part is None:
                if name.lower() not in ("links", "refname"):
                    self.unknown(name, f"{path}.{name}")
            elif not part.read_only:
                found[part.name] = self.value(part, content, f"{path}.{name}")
        return found

    def _reference(self, spec: Field, value: Json, path: str) -> str:
        """The id that a reference in any of its forms names; it must exist and be of the right type."""
        space = space_of(spec.target)
        if isinstance(value, dict):
            if value.get("id") is not None:
                value = value["id"]
            elif isinstance(value.get("externalId"), str):
                found = self._external(spec.target, space, value["externalId"])
                if found is None:
                    raise invalid_value(value["externalId"], spec.name, path)
                return str(found)
            else:
                raise invalid_value(_shown(value), spec.name, path)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise invalid_value(_shown(value), spec.name, path)
        text = str(value).strip()
        if not text.lstrip("-").isdigit() or len(text) > 18:
            raise invalid_value(text, spec.name, path)
        found_type = self._database.type_of(space, int(text))
        # An entity or transaction space holds several types; a field names one, or the space itself.
        if found_type is None or (space == "entity" and found_type != spec.target):
            raise invalid_value(text, spec.name, path)
        return str(int(text))

    def _external(self, target: str, space: str, external_id: str) -> int | None:
        if target in (space, "item", "transaction"):
            return self._database.find_in_space(space, external_id)
        return self._database.find(target, external_id)


def _truth(spec: Field, value: Json, path: str) -> bool:
    """`{"id": "false"}`, `{"id": "F"}`, or what stands in it alone."""
    chosen = value.get("id") if isinstance(value, dict) else value
    found = {"true": True, "t": True, "false": False, "f": False}.get(str(chosen).lower())
    if found is None:
        raise invalid_value(_shown(value), spec.name, path)
    return found


def _numeric(spec: Field, value: Json, path: str) -> Json:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise invalid_value(_shown(value), spec.name, path)
    try:
        found = Decimal(value)
    except InvalidOperation as error:
        raise invalid_value(value, spec.name, path) from error
    if not found.is_finite() or len(found.normalize().as_tuple().digits) > 15 or abs(found) >= 10**15:
        raise invalid_value(value, spec.name, path)
    if spec.kind == "integer":
        if found != found.to_integral_value():
            raise invalid_value(value, spec.name, path)
        return int(found)
    return found


def _date(spec: Field, value: Json, path: str) -> str:
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError as error:
        raise invalid_value(value, spec.name, path) from error


def _shown(value: Json) -> str:
    return "{...}" if isinstance(value, dict) else "[...]" if isinstance(value, list) else str(value)


ADDRESS_FIELDS: dict[str, Field] = {
    name.lower(): Field(name, kind, target, read_only)
    for name, kind, target, read_only in (
        *(
            (n, "string", "", False)
            for n in ("addr1", "addr2", "addr3", "addrPhone", "addressee", "attention")
        ),
        *((n, "string", "", False) for n in ("city", "state", "zip")),
        ("addrText", "string", "", True),
        ("country", "enum", "country", False),
        ("override", "boolean", "", False),
    )
}
