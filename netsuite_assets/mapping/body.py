"""The REST body of a record, from its expected row and lines.

Here: NetSuite's value shapes (REST facts: value shapes, sublists). Not here: bytes, URLs or which fields to send.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from netsuite_assets.mapping.model import MappedField

INTERNAL = "internal:"
"""Marks an internal id where an external id is expected: a customer of NetSuite that has none."""


def record_body(
    fields: Sequence[MappedField],
    line_fields: Sequence[MappedField],
    header: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    *,
    sublist: str,
    only: Collection[str] | None,
    with_lines: bool,
) -> dict[str, Any]:
    """Fields in the order of the tenant's file, then the sublist; decimals are `Decimal`, dates ISO 8601.

    A whole record (`only` None) leaves empty fields out. A part of one (`only`) has exactly these fields, null where
    the field is to be cleared.
    """
    body: dict[str, Any] = {}
    for field in fields:
        if only is None or field.name in only:
            value = _value(field, header[field.column])
            if value is not None or only is not None:
                body[field.name] = value
    if with_lines and line_fields:
        items = [
            {
                field.name: _value(field, line[field.column])
                for field in line_fields
                if line[field.column] is not None
            }
            for line in lines
        ]
        body[sublist] = {"items": items}
    return body


def _value(field: MappedField, value: Any) -> Any:
    if value is None:
        return None
    if field.by_external_id:
        text = str(value)
        if text.startswith(INTERNAL):
            return {"id": text.removeprefix(INTERNAL)}
        return {"externalId": text}
    if field.kind in ("reference", "enum"):
        return {"id": str(value)}
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return _short(value)
    return value


def _short(value: Decimal) -> Decimal:
    """The same number without empty decimal places, so that equal values give equal bytes."""
    whole = value.to_integral_value()
    return whole if whole == value else value.normalize()
