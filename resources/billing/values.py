"""One value of a database row, as the canonical tables want it: exactly, or refused.

Here: the conversion from what a database driver returns (text, integers, floats, decimals, dates) to the Python
value that Arrow stores in a canonical column. Not here: SQL, tables, or which column is which.

A conversion never rounds and never guesses. A binary float is taken only when the decimal that it prints as has
at most fifteen digits, the number of digits that survive the way from decimal to double and back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation

import pyarrow as pa

#: A decimal of at most so many significant digits is the same after the way through a binary double.
FLOAT_DIGITS = 15

#: No canonical column has more decimals.
FINEST = 12

_TRUE = frozenset({"1", "t", "true", "y", "yes"})
_FALSE = frozenset({"0", "f", "false", "n", "no"})


class ValueRefused(ValueError):
    """A value that a canonical column cannot hold; the text says why, without naming the place."""


def to_text(value: object) -> str | None:
    """Text and ids: integers and whole decimals without a point, dates in ISO form, '' as nothing."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float):
        raise ValueRefused("is a binary floating-point number where text is wanted")
    raise ValueRefused(f"is of the type {type(value).__name__} where text is wanted")


def to_decimal(value: object) -> Decimal | None:
    """A number, exactly as the database holds it; whether it fits the column's scale is Arrow's to say."""
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, str):
        if not value:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise ValueRefused("is not a number") from None
        if "_" in value:
            raise ValueRefused("is not a number")
    elif isinstance(value, int) and not isinstance(value, bool):
        number = Decimal(value)
    elif isinstance(value, float):
        number = Decimal(repr(value))
        if number.is_finite() and len(number.normalize().as_tuple().digits) > FLOAT_DIGITS:
            raise ValueRefused(
                f"is a binary floating-point number with more than {FLOAT_DIGITS} digits, so that its exact "
                "decimal value is not known"
            )
    else:
        raise ValueRefused(f"is of the type {type(value).__name__} where a number is wanted")
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueRefused("is not a finite number")
    return number if exponent >= -FINEST else _without_trailing_zeros(number)


def _without_trailing_zeros(number: Decimal) -> Decimal:
    """The same number with fewer decimals. Arrow mistakes a number of more than 42 decimals for another one."""
    text = format(number, "f").rstrip("0")
    if len(text.partition(".")[2]) > FINEST:
        raise ValueRefused(f"does not fit: it has more than {FINEST} decimals")
    return Decimal(text)


def to_integer(value: object) -> int | None:
    number = to_decimal(value)
    if number is None:
        return None
    if number != number.to_integral_value():
        raise ValueRefused("is not a whole number")
    return int(number)


def to_boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | str):
        word = str(value).strip().lower()
        if not word:
            return None
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    raise ValueRefused("is neither true nor false")


def to_day(value: object, zone: tzinfo) -> date | None:
    """A calendar day: a date, ISO text, or a timestamp, which is placed in `zone` when it names an offset.

    A timestamp without an offset counts as written: midnight of the first stays on the first.
    """
    if isinstance(value, str):
        if not value:
            return None
        if len(value) == 10:
            try:
                return date.fromisoformat(value)
            except ValueError:
                raise ValueRefused("is not a date in the form YYYY-MM-DD") from None
        value = _timestamp(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(zone)).date()
    if isinstance(value, date):
        return value
    raise ValueRefused(f"is of the type {type(value).__name__} where a date is wanted")


def to_instant(value: object) -> datetime | None:
    """A moment in UTC: a timestamp or its ISO text; without an offset it counts as UTC."""
    if isinstance(value, str):
        if not value:
            return None
        value = _timestamp(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    raise ValueRefused(f"is of the type {type(value).__name__} where a timestamp is wanted")


def _timestamp(text: str) -> datetime:
    # The extended form alone: only its texts stand in the order of their days, by which a database selects them.
    try:
        if text[4:5] == text[7:8] == "-":
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise ValueRefused("is not a date or timestamp in ISO form (YYYY-MM-DD HH:MM:SS)")


def to_metadata(value: object) -> str | None:
    """A JSON object held by one column, as its text."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueRefused(f"is of the type {type(value).__name__} where the text of a JSON object is wanted")
    try:
        parsed = json.loads(value, parse_float=Decimal)
    except ValueError as error:
        raise ValueRefused(f"is not JSON ({error})") from None
    if not isinstance(parsed, dict):
        raise ValueRefused("is JSON but not an object")
    return value


def metadata_object(values: Mapping[str, object]) -> str | None:
    """The JSON object of several columns: texts, integers and booleans; decimals as text, so that none is rounded."""
    kept: dict[str, str | int | bool] = {}
    for name, value in values.items():
        if isinstance(value, bool | int):
            kept[name] = value
        elif isinstance(value, float):
            kept[name] = f"{to_decimal(value):f}"
        elif value is not None and (text := to_text(value)) is not None:
            kept[name] = text
    return json.dumps(kept, ensure_ascii=False) if kept else None


def converter(kind: pa.DataType, zone: tzinfo) -> Callable[[object], object]:
    """The conversion for a canonical column of the Arrow type `kind`; called with values that are not None."""
    if pa.types.is_decimal(kind):
        return to_decimal
    if pa.types.is_date(kind):
        return lambda value: to_day(value, zone)
    if pa.types.is_timestamp(kind):
        return to_instant
    if pa.types.is_boolean(kind):
        return to_boolean
    if pa.types.is_integer(kind):
        return to_integer
    return to_text
