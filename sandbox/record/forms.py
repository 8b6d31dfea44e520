"""Forms: a record as a write would make it, without the write, and the values that a field may take."""

from __future__ import annotations

import re
from collections.abc import Callable

from sandbox.errors import Incomplete, invalid_parameter
from sandbox.record import collection
from sandbox.record.context import Context
from sandbox.record.render import Renderer
from sandbox.record.schema import ENUMS, ITEM_TYPES, Field, RecordType, space_of
from sandbox.record.values import Body, Values
from sandbox.sight import Sight
from sandbox.store.database import Doc
from sandbox.wire import Json, Request, Response, json_response

_MEDIA = "application/vnd.oracle.resource+json"
_FORM = re.compile(r"type\s*=\s*\"?(create-form|edit-form|select-options)")
_QUERY = re.compile(
    r'\s*(?:refName\s+)?(CONTAIN|IS|START_WITH)\s+(?:"((?:[^"\\]|\\.)*)"|(\S+))\s*', re.IGNORECASE
)
_MADE_ON_SAVE = ("id", "tranId", "transactionNumber", "createdDate", "dateCreated", "lastModifiedDate")
_LIMITED = {
    "department": "department",
    "classification": "class",
    "location": "location",
    "account": "account",
}


def asked(request: Request) -> str:
    """`create-form`, `edit-form`, `select-options`, or empty for a plain request."""
    match = _FORM.search(request.headers.get("accept", "").lower())
    return match.group(1) if match else ""


def rehearse(context: Context, body: Body, write: Callable[[], object], present: Callable[[Doc], Doc]) -> Doc:
    """Do a write, take the record as a GET would show it, and undo the write.

    What cannot be saved yet for want of a value is shown as far as it came; every other refusal stands.
    """
    with context.database.rehearsal():
        try:
            write()
        except Incomplete:
            return dict(body.draft if body.draft is not None else body.values)
        return present(body.draft) if body.draft is not None else dict(body.values)


def answer(
    request: Request,
    context: Context,
    record_type: RecordType,
    doc: Doc,
    given: Body,
    form: str,
    relation: str,
) -> Response:
    """A form of a record, its sublists expanded. A new one has neither an id nor what saving gives it."""
    new = form == "create-form"
    renderer = Renderer(request, context.database, everything=True)
    out = renderer.record(record_type, {"id": "0"} | doc, record_type.name)
    if new:
        for name in _MADE_ON_SAVE:
            if name not in given.values:
                out.pop(name, None)
        out.pop("refName", None)
        for sublist in record_type.sublists.values():
            _unlink(out.get(sublist.name))
    media = f"{_MEDIA}; type={form}"
    out["links"] = [
        {"rel": "self", "href": request.url, "mediaType": media},
        {"rel": relation, "href": request.url, "mediaType": f"{_MEDIA}; type=singular"},
    ]
    return json_response(out, f"{media}; charset=UTF-8".encode())


def _unlink(sublist: Json) -> None:
    """The lines of a record that does not exist have no addresses."""
    if sublist:
        for holder in [sublist, *sublist.get("items", [])]:
            holder.pop("links", None)


def options(
    request: Request, context: Context, record_type: RecordType, values: Values, sight: Sight
) -> Response:
    """The choices of each field that `fields` names; `values` are the record's, which some choices depend on."""
    limit, offset = collection.window(request)
    names = request.names("fields")
    if not names:
        raise invalid_parameter("Name the fields whose options are wanted.", "fields")
    keep = _condition(request.query.get("q", ""))
    out: dict[str, Json] = {"links": [{"rel": "self", "href": request.url}]}
    for name in names:
        field = record_type.fields.get(name.lower())
        if field is None or not (field.is_choice or field.kind in ("multi", "truth")):
            raise invalid_parameter(f"The field '{name}' has no select options.", "fields")
        found = [choice for choice in _choices(context, field, values, sight) if keep(choice["refName"])]
        page = found[offset : offset + limit]
        out[field.name] = {
            "_selectOptions": {
                "links": [{"rel": "self", "href": request.url}],
                "items": page,
                "count": len(page),
                "offset": offset,
                "hasMore": offset + limit < len(found),
                "totalResults": len(found),
            }
        }
    return json_response(out, f"{_MEDIA}; type=select-options; charset=UTF-8".encode())


def _condition(text: str) -> Callable[[str], bool]:
    """The `q` of select options, over reference names."""
    if not text:
        return lambda _: True
    match = _QUERY.fullmatch(text)
    if match is None:
        raise invalid_parameter(
            "Invalid search query. CONTAIN, IS or START_WITH and a text are expected.", "q"
        )
    operator = match.group(1).upper()
    wanted = (match.group(2) if match.group(2) is not None else match.group(3)).lower()
    if operator == "CONTAIN":
        return lambda name: wanted in name.lower()
    if operator == "IS":
        return lambda name: wanted == name.lower()
    return lambda name: name.lower().startswith(wanted)


def _choices(context: Context, field: Field, values: Values, sight: Sight) -> list[dict[str, str]]:
    if field.kind in ("enum", "truth"):
        return [{"id": key, "refName": text} for key, text in ENUMS.get(field.target, {}).items()]
    space = space_of(field.target)
    sql = "SELECT r.id, d.name FROM record r JOIN display d ON d.space = r.space AND d.id = r.id WHERE r.space = ?"
    bound = [space]
    if field.target != space and field.target != "item":
        sql, bound = f"{sql} AND r.type = ?", [space, field.target]
    if seen := sight.record(space, "r.id"):
        sql = f"{sql} AND {seen}"
    rows = context.database.connection.execute(f"{sql} ORDER BY d.name, r.id", bound)
    return [
        {"id": str(row[0]), "refName": row[1]} for row in rows if _fits(context, field, str(row[0]), values)
    ]


def _fits(context: Context, field: Field, identifier: str, values: Values) -> bool:
    """Whether a choice is valid for the record's subsidiary, as far as that is known."""
    subsidiary = values.get("subsidiary")
    if subsidiary is None or not (field.target in _LIMITED or field.target in ITEM_TYPES):
        return True
    kind = _LIMITED.get(field.target, "item")
    return context.masters.valid_for(kind, identifier, subsidiary)
