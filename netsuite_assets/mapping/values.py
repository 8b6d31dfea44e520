"""Exact conversion of billing values to the kinds of NetSuite's fields, as SQL.

A value that does not fit gives NULL, which the caller reports as a problem of its record: DuckDB's own CAST would
round `10.005` to `10.01` silently. Nothing here knows rules or tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

from netsuite_assets.mapping.model import SourceKind
from netsuite_assets.tables import COLUMN_TYPES
from resources.netsuite.records import DECIMAL_KINDS, Kind
from resources.warehouse import literal

#: Text that is exactly a value of the kind; zeros beyond the last decimal place change nothing.
_NUMBERS: Final[Mapping[str, str]] = {
    "amount": r"[+-]?[0-9]{1,14}(\.[0-9]{1,4}0*)?",
    "rate": r"[+-]?[0-9]{1,16}(\.[0-9]{1,12}0*)?",
    "quantity": r"[+-]?[0-9]{1,18}(\.[0-9]{1,10}0*)?",
    "integer": r"[+-]?[0-9]{1,18}(\.0+)?",
    "number": r"[+-]?[0-9]{1,26}(\.[0-9]{1,12}0*)?",
}
NUMBER_TYPE: Final = "DECIMAL(38,12)"
"""The type in which numbers of any kind are added up, rounded and compared."""

_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_INSTANT: Final = _DATE + r"[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
_ID: Final = r"-?[0-9]{1,18}"
_TRUE: Final = ("true", "t", "1")
_FALSE: Final = ("false", "f", "0")
_TEXTS: Final = frozenset({"text", "json"})
_NUMERIC: Final = DECIMAL_KINDS | {"integer", "number"}


def as_text(sql: str, kind: SourceKind) -> str:
    """The value as text: decimals without empty places, dates as ISO 8601; an empty text is no value."""
    if kind in _TEXTS:
        return sql
    if kind in DECIMAL_KINDS or kind == "number":
        return f"rtrim(rtrim(({sql})::VARCHAR, '0'), '.')"
    if kind == "datetime":
        return f"strftime(make_timestamp(epoch_us({sql})), '%Y-%m-%dT%H:%M:%SZ')"
    return f"({sql})::VARCHAR"


def convert(sql: str, source: SourceKind, target: Kind) -> str | None:
    """SQL for the value as `target`, NULL where it does not fit; None when no such conversion exists."""
    kind = COLUMN_TYPES[target]
    if target in ("text", "enum"):
        return as_text(sql, source)
    if target == "reference":
        text = as_text(sql, source)
        return f"CASE WHEN {_is(text, _ID)} THEN {text} END" if source in (*_TEXTS, "integer") else None
    if target in _NUMERIC:
        if source == target:
            return sql
        if source in _NUMERIC:
            return f"CASE WHEN TRY_CAST({sql} AS {kind}) = {sql} THEN TRY_CAST({sql} AS {kind}) END"
        if source in _TEXTS:
            return f"CASE WHEN {_is(sql, _NUMBERS[target])} THEN TRY_CAST({sql} AS {kind}) END"
        return None
    if source in _TEXTS:
        return _from_text(sql, target)
    if source != target:
        return None
    return f"make_timestamp(epoch_us({sql}))" if target == "datetime" else sql


def number(sql: str, source: SourceKind) -> str | None:
    """SQL for the value as a number of `NUMBER_TYPE`, NULL where it is none; None when it never is one."""
    if source in _TEXTS:
        return f"CASE WHEN {_is(sql, _NUMBERS['number'])} THEN TRY_CAST({sql} AS {NUMBER_TYPE}) END"
    return f"({sql})::{NUMBER_TYPE}" if source in _NUMERIC else None


def is_number(text: str) -> bool:
    """Whether a text that stands in a tenant's file is a number of `NUMBER_TYPE`."""
    return re.fullmatch(_NUMBERS["number"], text) is not None


def _from_text(sql: str, target: Kind) -> str:
    if target == "date":
        return f"CASE WHEN {_is(sql, _DATE)} THEN TRY_CAST({sql} AS DATE) END"
    if target == "datetime":
        instant = f"make_timestamp(epoch_us(TRY_CAST({sql} AS TIMESTAMPTZ)))"
        return f"CASE WHEN {_is(sql, _INSTANT)} THEN {instant} END"
    yes, no = (", ".join(literal(word) for word in words) for words in (_TRUE, _FALSE))
    return f"CASE WHEN lower({sql}) IN ({yes}) THEN true WHEN lower({sql}) IN ({no}) THEN false END"


def _is(sql: str, pattern: str) -> str:
    return f"regexp_full_match({sql}, {literal(pattern)})"


def fits(text: str, kind: Kind) -> str | None:
    """Why a value that stands in a tenant's file cannot be one of `kind`, or None when it can."""
    if kind in ("text", "enum"):
        return None
    if kind == "reference":
        return None if re.fullmatch(_ID, text) else "is not an internal id; look it up with 'lookup'"
    if kind in _NUMERIC:
        if re.fullmatch(_NUMBERS[kind], text):
            return None
        return (
            "is not a whole number"
            if kind == "integer"
            else f"is not a number that fits {COLUMN_TYPES[kind]}"
        )
    if kind == "boolean":
        return None if text.lower() in (*_TRUE, *_FALSE) else "is neither true nor false"
    try:
        if kind == "date" and re.fullmatch(_DATE, text) and date.fromisoformat(text):
            return None
        if kind == "datetime" and re.fullmatch(_INSTANT, text) and datetime.fromisoformat(text):
            return None
    except ValueError:
        pass
    return (
        "is not a date such as 2026-10-31"
        if kind == "date"
        else "is not an instant such as 2026-10-31T07:15:00Z"
    )
