"""Whole records in a collection: GET with `ids` and with `expandRecords=true`."""

from __future__ import annotations

import re
from collections.abc import Callable

from sandbox.errors import Refusal, invalid_parameter
from sandbox.record import collection
from sandbox.record.context import Context
from sandbox.record.schema import RecordType
from sandbox.sight import Sight
from sandbox.wire import Json, Request

_MOST_IDS = 100
_ID = re.compile(r"\s*(?:(eid:)\s*'([^']*)'|([^,]*))\s*(?:,|$)")
Show = Callable[[int], Json]
"""Renders the record with this id."""


def asked(request: Request) -> bool:
    return request.query_string != "" and ("ids" in request.query or request.flag("expandRecords"))


def split_ids(text: str) -> list[str]:
    """The parts of `1,eid:A,eid:'B 5'`: ids as they are, external ids with `eid:` before them and without quotes."""
    found: list[str] = []
    at = 0
    while at < len(text):
        match = _ID.match(text, at)
        if match is None:
            raise invalid_parameter(f"Invalid value '{text}' for the query parameter 'ids'.", "ids")
        found.append(f"eid:{match.group(2)}" if match.group(1) else match.group(3).strip())
        at = match.end()
    return [part for part in found if part]


def page(
    context: Context, request: Request, record_type: RecordType, called: str, sight: Sight, show: Show
) -> Json:
    """A collection of the records that `ids` names, in that order, or of the page that the other parameters give."""
    if "ids" not in request.query:
        found: dict[str, Json] = collection.page(context, request, record_type, called, sight)
        return found | {"items": [show(int(item["id"])) for item in found["items"]]}
    keys = split_ids(request.query["ids"])
    if not 1 <= len(keys) <= _MOST_IDS:
        raise invalid_parameter(
            f"The parameter 'ids' takes 1 to {_MOST_IDS} ids; this one has {len(keys)}.", "ids"
        )
    items: list[Json] = []
    expand = request.flag("expandRecords")
    for key in keys:
        try:
            identifier = _identifier(context, record_type, key)
            shown = show(identifier)
        except Refusal:
            if context.profile.switches.get_list_missing == "refuse":
                raise
            continue
        base = f"{request.records}/{record_type.name.lower()}"
        links = [{"rel": "self", "href": f"{base}/{identifier}"}]
        items.append(shown if expand else {"links": links, "id": str(identifier)})
    own = {"rel": "self", "href": f"{request.records}/{called}?{request.query_string}", "method": "GET"}
    return {
        "links": [own],
        "count": len(items),
        "hasMore": False,
        "items": items,
        "offset": 0,
        "totalResults": len(items),
    }


def _identifier(context: Context, record_type: RecordType, key: str) -> int:
    """An id that may name a record; `show` says whether it does. Here an external id may have any character."""
    if key.startswith("eid:"):
        found = context.database.find(record_type.name, key[len("eid:") :])
        return found if found is not None else 0
    digits = key.removeprefix("-")
    return int(key) if digits.isascii() and digits.isdigit() and len(key) < 19 else 0
