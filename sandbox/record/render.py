"""Values out: a stored record as the JSON of a GET, with links, reference names and sublists. Writes nothing."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import quote

from sandbox.record.schema import ENUMS, Field, RecordType, Sublist, space_of
from sandbox.record.values import ADDRESS_FIELDS, Values
from sandbox.store.database import Database, Doc
from sandbox.wire import Json, Request, link, number


class Renderer:
    """Renders records for one request."""

    def __init__(self, request: Request, database: Database, *, everything: bool = False) -> None:
        self._records = request.records
        self._database = database
        self._everything = everything or request.flag("expandSubResources")
        self._expand = {name.lower() for name in request.names("expand")}
        self._simple_enums = request.flag("simpleEnumFormat")
        self._only = {name.lower() for name in request.names("fields")}
        self._only_text = request.query.get("fields", "") if self._only else ""

    def record(self, record_type: RecordType, doc: Doc, called: str) -> Json:
        """`called` is the type name as the caller wrote it, which the self link echoes."""
        base = f"{self._records}/{called}/{doc['id']}"
        address = base + (f"?fields={quote(self._only_text, safe='')}" if self._only else "")
        out: dict[str, Json] = {"links": [link("self", address)]}
        only = self._only
        names = [name for name in doc if not name.startswith("_") and not (only and name.lower() not in only)]
        names += [s.name for key, s in record_type.sublists.items() if not only or key in only]
        for name in sorted(set(names)):
            key = name.lower()
            sublist = record_type.sublists.get(key)
            if sublist is not None:
                out[name] = self.sublist(sublist, doc.get(name) or [], f"{base}/{name}", key)
            elif key in record_type.fields and doc[name] is not None:
                out[name] = self.value(record_type.fields[key], doc[name], record_type.name)
        if not only and doc.get("_title"):
            out["refName"] = doc["_title"]
        return out

    def sublist(self, sublist: Sublist, lines: list[Values], base: str, key: str) -> Json:
        out: dict[str, Json] = {"links": [link("self", base)]}
        if self._everything or key in self._expand:
            out["items"] = [self.line(sublist, line, base, key) for line in lines]
            out["totalResults"] = len(lines)
        return out

    def line(self, sublist: Sublist, line: Values, base: str, parent: str = "") -> Json:
        here = f"{base}/{line_key(sublist, line)}"
        out: dict[str, Json] = {"links": [link("self", here)]}
        for name in sorted(line):
            spec = sublist.fields.get(name.lower())
            if spec is None or line[name] is None:
                continue
            if spec.kind == "subrecord":
                out[name] = {"links": [link("self", f"{here}/{name}")]}
                if self._everything:
                    out[name] |= self.address(line[name])
            else:
                out[name] = self.value(spec, line[name], "")
        return out

    def address(self, content: Values) -> dict[str, Json]:
        out: dict[str, Json] = {}
        for name in sorted(content):
            spec = ADDRESS_FIELDS.get(name.lower())
            if spec is not None and content[name] is not None:
                out[name] = self.value(spec, content[name], "")
        return out

    def value(self, spec: Field, value: Json, owner: str) -> Json:
        kind = spec.kind
        if kind == "number":
            return number(value if isinstance(value, Decimal) else Decimal(value))
        if kind == "reference":
            return self.reference(spec.target, value)
        if kind == "enum":
            return self._enum(spec, value, owner)
        if kind == "truth":
            return self._enum(spec, "true" if value else "false", owner)
        if kind == "choice":
            return {"id": value, "refName": self._database.name(spec.target, value) or value}
        if kind == "multi":
            items = [self.reference(spec.target, one) for one in value]
            return {"links": [], "items": items, "totalResults": len(items)}
        return value

    def reference(self, target: str, identifier: str) -> Json:
        space = space_of(target)
        path = target
        if target in ("item", "transaction"):
            path = self._database.known_type(space, int(identifier)) or target
        out: dict[str, Json] = {
            "links": [link("self", f"{self._records}/{path.lower()}/{identifier}")],
            "id": identifier,
        }
        name = self._database.name(space, identifier)
        if name is not None:
            out["refName"] = name
        return out

    def _enum(self, spec: Field, value: str, owner: str) -> Json:
        if self._simple_enums:
            return value
        known = ENUMS.get(f"{owner}Status" if spec.target == "status" else spec.target, {})
        return {"id": value, "refName": known.get(value, value)}


def line_key(sublist: Sublist, line: Values) -> str:
    """The last part of a line's address."""
    return str(line.get(sublist.key or "line") or line.get("line") or "")
