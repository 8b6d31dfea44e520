"""What a request that is to run later consists of: one call, or the calls of a batch, one a record.

NetSuite's batch operations: POST, PATCH and PUT with a collection as body, DELETE with `ids`; up to 100 records of one
type. What is wrong with one record is that record's result; what is wrong with the batch refuses the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sandbox.errors import Refusal, invalid_content, invalid_parameter, method_not_allowed
from sandbox.jobs.store import Call
from sandbox.record.listing import split_ids
from sandbox.record.service import ROOT
from sandbox.switches import Switches
from sandbox.wire import Json, Request, decode, encode, query_of

LARGEST = 100
_COLLECTION = "application/vnd.oracle.resource+json;type=collection"
_KEPT_HEADERS = (
    "accept",
    "content-type",
    "x-netsuite-propertynamevalidation",
    "x-netsuite-propertyvaluevalidation",
)


def is_collection(path: str) -> bool:
    """Whether a path of the record service is a record type's, without an id."""
    parts = [part for part in path[len(ROOT) :].split("/") if part]
    return len(parts) == 1 and parts[0].lower() != "metadata-catalog"


def is_batch(request: Request) -> bool:
    if request.method == "GET" or not is_collection(request.path):
        return False
    if request.method == "DELETE":
        return "ids" in request.query
    return request.method in ("POST", "PATCH", "PUT") and _has_collection_body(request)


def refuse_sync(request: Request, switches: Switches) -> None:
    """Raises for a batch without `Prefer: respond-async`."""
    if is_batch(request):
        text = (
            "Batch operations are run asynchronously: the request header 'Prefer: respond-async' is required."
        )
        raise _refused(switches, text, "Prefer")


def calls_of(request: Request, switches: Switches) -> list[tuple[Call, bytes]]:
    """The calls that a request asks for, each with its body."""
    headers = {name: value for name, value in request.headers.items() if name in _KEPT_HEADERS}
    method, path, query = request.method, request.path.rstrip("/"), request.query_string
    if not is_batch(request):
        if method in ("PATCH", "PUT") and is_collection(path):
            text = f"The request header 'Content-Type' must be {_COLLECTION.replace(';', '; ')} for batch operations."
            raise _refused(switches, text, "Content-Type")
        if method == "DELETE" and is_collection(path):
            raise method_not_allowed(method)
        return [(Call(method, path, query, headers), request.body)]
    headers["content-type"] = "application/json"
    if method == "DELETE":
        keys = split_ids(request.query["ids"])
        _check_size(len(keys), lambda text: invalid_parameter(text, "ids"))
        rest = query_of((name, value) for name, value in request.query_pairs if name != "ids")
        return [(Call(method, path, rest, headers, key), b"") for key in keys]
    items = _items(request)
    _check_size(len(items), lambda text: invalid_content(text, "items"))
    return [(Call(method, path, query, headers, _key(method, item)), encode(item)) for item in items]


def _has_collection_body(request: Request) -> bool:
    content_type = request.headers.get("content-type", "").lower().replace(" ", "").replace('"', "")
    return content_type.startswith(_COLLECTION)


def _refused(switches: Switches, text: str, header: str) -> Refusal:
    return Refusal(400, switches.batch_refusal_code, text, pointer=("o:errorHeader", header))


def _check_size(count: int, refusal: Callable[[str], Refusal]) -> None:
    if count == 0:
        raise refusal("A batch operation needs at least one record.")
    if count > LARGEST:
        raise refusal(f"A batch operation can have up to {LARGEST} records; this one has {count}.")


def _items(request: Request) -> list[dict[str, Json]]:
    try:
        content = decode(request.body)
    except msgspec.DecodeError as error:
        raise invalid_content(
            f"Invalid content in the request body. The body is not valid JSON: {error}"
        ) from error
    items = content.get("items") if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise invalid_content(
            "Invalid content in the request body. An object with `items` is expected.", "items"
        )
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise invalid_content("Invalid content of a batch: an object is expected.", f"items[{number}]")
    return items


def _key(method: str, item: dict[str, Json]) -> str:
    """Which record an item is about: PATCH takes `id` before `externalId`, PUT knows the external id alone."""
    if method == "POST":
        return ""
    values = {name.lower(): value for name, value in item.items()}
    identifier, external = values.get("id"), values.get("externalid")
    if method == "PATCH" and isinstance(identifier, str | int) and not isinstance(identifier, bool):
        return str(identifier)
    return f"eid:{external}" if isinstance(external, str) and external else ""
