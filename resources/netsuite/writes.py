"""Writes as they are planned: the request down to its bytes, built without a connection.

A plan stores a ``WriteRequest`` and the client sends exactly that, so the encoding is canonical: the same content
gives the same bytes, on every machine. Sending and reading belong in ``client``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from urllib.parse import quote

import msgspec

RECORD_PATH: Final = "/services/rest/record/v1"
BATCH_LIMIT: Final = 100
"""Records that one batch may hold (NetSuite REST facts: batch operations)."""
_EID_SAFE: Final = re.compile(r"[A-Za-z0-9_-]+")
_INTERNAL_ID: Final = re.compile(r"-?[0-9]+")
_RECORD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class ExternalId:
    """A record's external id, where an internal id could stand too."""

    value: str

    @property
    def fits_url(self) -> bool:
        """Whether it may stand in an ``eid:`` address: letters, digits, ``_`` and ``-`` only."""
        return _EID_SAFE.fullmatch(self.value) is not None

    def __str__(self) -> str:
        return f"eid:{self.value}"


def eid(value: str) -> ExternalId:
    """Address a record by its external id: ``ns.get("invoice", eid("inv-7"))``."""
    return ExternalId(value)


Ref = str | ExternalId
"""A record's address: its internal id, or ``eid("…")``."""


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One write, complete: ``path`` begins with ``/services/rest/``, ``query`` is already encoded.

    ``label`` names the record for people, such as ``invoice INV-7 of Acme GmbH``; it is not sent.
    """

    method: str
    path: str
    query: str
    body: bytes
    label: str = ""

    @property
    def record(self) -> str:
        """The record written to, by its label or else its address: ``invoice eid:inv-7``."""
        return self.label or " ".join(self.path.removeprefix(f"{RECORD_PATH}/").split("/"))


@dataclass(frozen=True, slots=True)
class WriteAnswer:
    """What NetSuite answered to a write that it carried out.

    ``internal_id`` comes from ``location`` (the last part); it is ``None`` for a delete. ``warnings`` are
    NetSuite's notes on names or values that it did not use.
    """

    status: int
    internal_id: str | None
    request_id: str
    location: str
    warnings: tuple[str, ...]


def record_path(record: str, ref: Ref | None = None) -> str:
    """The path of a record type, or of one record of it."""
    if not _RECORD_NAME.fullmatch(record):
        raise ValueError(f"'{record}' is not the name of a record type.")
    if ref is None:
        return f"{RECORD_PATH}/{record}"
    if isinstance(ref, ExternalId):
        if not ref.fits_url:
            raise ValueError(
                f"The external id '{ref.value}' of a {record} cannot stand in a NetSuite address: only letters, "
                "digits, '_' and '-' can. Change the external_id rule of the mapping."
            )
    elif not _INTERNAL_ID.fullmatch(ref):
        raise ValueError(f"'{ref}' is not an internal id of a {record}; write eid('…') for an external id.")
    return f"{RECORD_PATH}/{record}/{ref}"


def upsert_request(
    record: str,
    external_id: str,
    body: Mapping[str, object],
    replace: Sequence[str] = ("item",),
    *,
    label: str = "",
) -> WriteRequest:
    """Create the record with this external id, or bring it to ``body``; safe to repeat.

    ``replace`` names the sublists whose lines become exactly those of ``body``; a name that ``body`` does not
    have is left out, so that a sublist which is not spoken of is not emptied.
    """
    return WriteRequest(
        "PUT", record_path(record, eid(external_id)), _replace(replace, body), encode(body), label
    )


def update_request(
    record: str, ref: Ref, body: Mapping[str, object], replace: Sequence[str] = (), *, label: str = ""
) -> WriteRequest:
    """Change the given fields of a record and leave the others; ``None`` clears a field."""
    return WriteRequest("PATCH", record_path(record, ref), _replace(replace, body), encode(body), label)


def create_request(record: str, body: Mapping[str, object], *, label: str = "") -> WriteRequest:
    """Create a record by POST. It is not safe to repeat: prefer ``upsert_request``."""
    return WriteRequest("POST", record_path(record), "", encode(body), label)


def delete_request(record: str, ref: Ref, *, label: str = "") -> WriteRequest:
    """Delete a record."""
    return WriteRequest("DELETE", record_path(record, ref), "", b"", label)


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """Several writes of one kind to one record type, as one asynchronous request: a task for each, in this order."""

    method: str
    path: str
    query: str
    body: bytes
    size: int

    @property
    def record(self) -> str:
        """What is written, for people: ``a batch of 100 records to invoice``."""
        return f"a batch of {self.size} records to {self.path.removeprefix(f'{RECORD_PATH}/')}"


def batch_kind(request: WriteRequest) -> tuple[str, str, str] | None:
    """Method, path and query of the batch that a write may go into; ``None`` for one that must go alone.

    Only writes addressed by external id go into batches, because an item says which record it is by ``externalId``. An
    update that replaces lines goes alone: that a batch honours ``replace`` for records that exist is not documented.
    """
    path, _, ref = request.path.rpartition("/")
    if not ref.startswith("eid:") or request.method not in ("PUT", "PATCH"):
        return None
    return None if request.method == "PATCH" and request.query else (request.method, path, request.query)


def batch_request(requests: Sequence[WriteRequest]) -> BatchRequest:
    """The batch of these writes. Each item is the write's own body, byte for byte, after its ``externalId``.

    Raises ``ValueError`` for writes that do not go into one batch.
    """
    kinds = {batch_kind(request) for request in requests}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is None or len(requests) > BATCH_LIMIT:
        raise ValueError(
            f"These {len(requests)} writes do not go into one batch: it takes {BATCH_LIMIT} upserts, or updates of "
            "fields, of one record type by their external ids."
        )
    items = b",".join(_item(request) for request in requests)
    return BatchRequest(*kind, b'{"items":[' + items + b"]}", len(requests))


def _item(request: WriteRequest) -> bytes:
    external_id = request.path.rpartition("/eid:")[2]
    start = b'{"externalId":' + _ENCODER.encode(external_id)
    return start + (b"}" if request.body == b"{}" else b"," + request.body[1:])


def _replace(names: Sequence[str], body: Mapping[str, object]) -> str:
    present = [quote(name, safe="") for name in names if name in body]
    return f"replace={','.join(present)}" if present else ""


_ENCODER: Final = msgspec.json.Encoder()


def encode(body: Mapping[str, object]) -> bytes:
    """``body`` as canonical JSON: UTF-8, no spaces, keys in the given order, decimals digit for digit.

    A ``Decimal`` keeps its digits (``Decimal("1320.00")`` is ``1320.00``) and never takes an exponent. Dates are
    ISO. A ``float`` is refused, as it cannot hold money. Raises ``TypeError`` or ``ValueError`` naming the place.
    """
    return _ENCODER.encode(_plain(body, ""))


def _plain(value: object, place: str) -> object:
    match value:
        case None | bool() | int():
            return value
        case str():
            return _checked(value, place)
        case Decimal():
            if not value.is_finite():
                raise ValueError(f"{place or 'The body'} is {value}, which is no number that can be sent.")
            return msgspec.Raw(format(value if value else abs(value), "f").encode())
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"{place or 'The body'} is a date-time without a time zone.")
            return value.isoformat()
        case date():
            return value.isoformat()
        case Mapping():
            return {
                _key(key, place): _plain(item, f"{place}.{key}".lstrip(".")) for key, item in value.items()
            }
        case list() | tuple():
            return [_plain(item, f"{place}[{index}]") for index, item in enumerate(value)]
        case _:
            raise TypeError(
                f"{place or 'The body'} is a {type(value).__name__}, which cannot be sent to NetSuite."
            )


def _key(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{place or 'The body'} has the key {key!r}, which is not text.")
    return _checked(key, place)


def _checked(text: str, place: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(
            f"{place or 'The body'} holds half of a character pair, which is not valid text."
        ) from None
    return text
