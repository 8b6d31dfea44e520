"""The REST body of a record as SQL over its expected row, so that a million bodies are made inside DuckDB.

Here: NetSuite's value shapes (REST facts: value shapes, sublists) as JSON text, canonical: the same values give the
same bytes. Not here: which fields are sent (`operations.py`). `netsuite_assets.mapping.body` says the same of one
record in Python, and the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from netsuite_assets.mapping.body import INTERNAL
from netsuite_assets.mapping.model import MappedField
from resources.warehouse import literal, quote

_DECIMALS = frozenset({"amount", "rate", "quantity"})


def whole(fields: Sequence[MappedField], alias: str) -> str:
    """The members of a whole record, without the empty ones: `"memo":"x","terms":{"id":"2"}`, or an empty text."""
    members = [
        f"CASE WHEN {_column(field, alias)} IS NOT NULL THEN {_name(field)} || {_value(field, alias)} END"
        for field in fields
    ]
    return _joined(members)


def part(fields: Sequence[MappedField], alias: str, chosen: str) -> str:
    """The members of those fields whose names the list `chosen` has; null where a field is to be cleared."""
    members = [
        f"CASE WHEN list_contains({chosen}, {literal(field.name)})"
        f" THEN {_name(field)} || coalesce({_value(field, alias)}, 'null') END"
        for field in fields
    ]
    return _joined(members)


def references(fields: Sequence[MappedField], alias: str, chosen: str | None = None) -> str:
    """The list of records of the tenant's own that a row names: `customer cus-7`, by record type and external id."""
    named = []
    for field in fields:
        if field.by_external_id and field.target is not None:
            column = _column(field, alias)
            sent = "" if chosen is None else f" AND list_contains({chosen}, {literal(field.name)})"
            named.append(
                f"CASE WHEN NOT starts_with({column}, {literal(INTERNAL)}){sent}"
                f" THEN {literal(field.target + ' ')} || {column} END"
            )
    listed = ", ".join(named)
    return f"list_filter([{listed}]::VARCHAR[], lambda x: x IS NOT NULL)" if named else "[]::VARCHAR[]"


def _column(field: MappedField, alias: str) -> str:
    return f"{alias}.{quote(field.column)}"


def _name(field: MappedField) -> str:
    return literal(f'"{field.name}":')


def _joined(members: Sequence[str]) -> str:
    return f"concat_ws(',', {', '.join(members)})" if members else "''"


def _value(field: MappedField, alias: str) -> str:
    """The JSON of one value; NULL where there is none."""
    column = _column(field, alias)
    if field.by_external_id:
        inner = f"substr({column}, {len(INTERNAL) + 1})"
        return (
            f"CASE WHEN starts_with({column}, {literal(INTERNAL)}) THEN '{{\"id\":' || {_text(inner)} || '}}'"
            f" ELSE '{{\"externalId\":' || {_text(column)} || '}}' END"
        )
    if field.kind in ("reference", "enum"):
        return f"'{{\"id\":' || {_text(column)} || '}}'"
    if field.kind == "datetime":
        return f"strftime({column}, '\"%Y-%m-%dT%H:%M:%SZ\"')"
    if field.kind == "date":
        return f"strftime({column}, '\"%Y-%m-%d\"')"
    if field.kind in _DECIMALS:
        # Without empty decimal places, so that equal numbers give equal bytes.
        return f"rtrim(rtrim({column}::VARCHAR, '0'), '.')"
    if field.kind in ("integer", "boolean"):
        return f"{column}::VARCHAR"
    return _text(column)


def _text(value: str) -> str:
    return f"to_json({value})::VARCHAR"
