"""The functions that SQLite lacks or defines otherwise, as Oracle has them. Registered on the reading connection."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.query import dates

Cell = Any
"""int, float, str or None."""

_SHORT = 16
"""Characters of a number with a point and at most 15 digits, whose shortest spelling is its 15 digits."""


def number_text(value: float) -> str:
    """A number as SuiteQL prints it: no exponent, no trailing zeros; 15 digits hold every stored decimal exactly."""
    if isinstance(value, int):
        return str(value)
    text = repr(value)
    if len(text) <= _SHORT and "e" not in text:
        return text[:-2] if text.endswith(".0") and value else text if value else "0"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    text = format(Decimal(f"{value:.15g}"), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def text(value: Cell) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return number_text(value)


def _strict(function: Callable[..., Cell]) -> Callable[..., Cell]:
    """NULL when any argument is."""

    def call(*arguments: Cell) -> Cell:
        return None if any(a is None for a in arguments) else function(*arguments)

    return call


def _to_char(value: Cell, model: str | None = None, default: str = "MM/DD/YYYY") -> str:
    if isinstance(value, str):
        return dates.to_char(value, model or default)
    return number_text(value) if model is None else _number_model(value, model)


def _number_model(value: float, model: str) -> str:
    model = model.upper()
    filled, model = not model.startswith("FM"), model.removeprefix("FM")
    if not re.fullmatch(r"[$]?[90,G]+([.D][90]*)?", model):
        raise dates.FormatError(f"number format {model!r}")
    whole, _, fraction = model.replace("D", ".").partition(".")
    rounded = abs(Decimal(repr(float(value)))).quantize(Decimal(1).scaleb(-len(fraction)), ROUND_HALF_UP)
    digits, _, decimals = format(rounded, "f").partition(".")
    digits = digits.zfill(whole.count("0")) if "0" in whole else digits.lstrip("0")
    if "," in whole or "G" in whole:
        digits = re.sub(r"(?<=\d)(?=(\d{3})+$)", ",", digits)
    shown = (
        ("-" if value < 0 else "")
        + ("$" if "$" in whole else "")
        + digits
        + (f".{decimals}" if decimals else "")
    )
    return shown.rjust(len(model) + 1) if filled else shown


def _round(value: Cell, places: int = 0) -> Cell:
    if isinstance(value, str):
        moment = dates.parse_stored(value)
        return dates.truncate(dates.add_days(value, 1) if moment.hour >= 12 else value, "DD")
    exact = Decimal(repr(value)).quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP)
    return float(exact) if places > 0 else int(exact)


def _trunc(value: Cell, unit: Cell = None) -> Cell:
    if isinstance(value, str):
        return dates.truncate(value, str(unit) if unit is not None else "DD")
    scale = Decimal(1).scaleb(-int(unit or 0))
    exact = (Decimal(repr(value)) / scale).to_integral_value("ROUND_DOWN") * scale
    return float(exact) if unit else int(exact)


def _instr(whole: Cell, wanted: Cell, start: int = 1, occurrence: int = 1) -> int:
    value, part = str(text(whole)), str(text(wanted))
    position = start - 1
    if start < 0:
        return value.rfind(part, 0, len(value) + start + len(part)) + 1
    for _ in range(occurrence):
        found = value.find(part, position)
        if found < 0:
            return 0
        position = found + 1
    return position


def _substr(whole: Cell, start: Cell, length: Cell = None) -> str | None:
    value, start = str(text(whole)), int(start)
    begin = max(start - 1, 0) if start >= 0 else len(value) + start
    if begin < 0:
        return None
    return (value[begin:] if length is None else value[begin : begin + max(int(length), 0)]) or None


def _pad(left: bool) -> Callable[..., str | None]:
    def pad(whole: Cell, wanted: Cell, fill: str = " ") -> str | None:
        value, size = str(text(whole)), int(wanted)
        if size <= 0:
            return None
        if len(value) >= size:
            return value[:size]
        padding = (fill * size)[: size - len(value)]
        return padding + value if left else value + padding

    return pad


def _to_number(value: Cell) -> float | int:
    return float(value) if isinstance(value, str) and not value.strip().lstrip("+-").isdigit() else int(value)


def _regexp_substr(value: Cell, pattern: str, start: int = 1, occurrence: int = 1) -> str | None:
    found = [m.group(0) for m in re.finditer(pattern, str(text(value))[int(start) - 1 :])]
    return found[int(occurrence) - 1] if len(found) >= occurrence else None


def _regexp_replace(value: Cell, pattern: str, new: str = "") -> str | None:
    return re.sub(pattern, re.sub(r"\\(\d)", r"\\g<\1>", new), str(text(value))) or None


def _regexp_instr(value: Cell, pattern: str) -> int:
    found = re.search(pattern, str(text(value)))
    return found.start() + 1 if found else 0


def _regexp_like(value: Cell, pattern: str, flags: str = "") -> int:
    return int(re.search(pattern, str(text(value)), re.IGNORECASE if "i" in flags else 0) is not None)


def _exact(value: float) -> Decimal:
    """The decimal that a stored double stands for: its shortest spelling."""
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


class _Sum(list[Cell]):
    """SUM over decimals: no rounding creeps in with the rows."""

    step = list.append

    def finalize(self) -> Cell:
        values = [value for value in self if value is not None]
        return _total(values) if values else None


class _Average(_Sum):
    def finalize(self) -> Cell:
        values = [value for value in self if value is not None]
        return float(Decimal(repr(_total(values))) / len(values)) if values else None


def _total(values: list[float]) -> float:
    """The exact sum of the decimals that the doubles stand for."""
    for scale in (1, 100, 1_000_000):
        # A whole number of cents, divided by 100, is the very double that stands for it.
        scaled = [round(value * scale) for value in values]
        if [whole / scale for whole in scaled] == values:
            return sum(scaled) / scale
    return float(sum(map(_exact, values)))


class _RunningSum:
    """SUM over a window, whose value is asked for row by row."""

    def __init__(self) -> None:
        self._total, self._count = Decimal(0), 0

    def step(self, value: float | None) -> None:
        if value is not None:
            self._total += _exact(value)
            self._count += 1

    def inverse(self, value: float | None) -> None:
        if value is not None:
            self._total -= _exact(value)
            self._count -= 1

    def value(self) -> float | None:
        return float(self._total) if self._count else None

    def finalize(self) -> float | None:
        return self.value()


class _RunningAverage(_RunningSum):
    def value(self) -> float | None:
        return float(self._total / self._count) if self._count else None


_FUNCTIONS: dict[str, tuple[int, Callable[..., Cell]]] = {
    "ns_add": (2, lambda a, b: float(_exact(a) + _exact(b))),
    "ns_subtract": (2, lambda a, b: float(_exact(a) - _exact(b))),
    "ns_multiply": (2, lambda a, b: float(_exact(a) * _exact(b))),
    "ns_to_char": (-1, _to_char),
    "ns_to_date": (2, lambda value, model: dates.to_date(str(value), model)),
    "ns_round": (-1, _round),
    "ns_trunc": (-1, _trunc),
    "ns_add_days": (2, dates.add_days),
    "ns_days_between": (2, dates.days_between),
    "ns_add_months": (2, dates.add_months),
    "ns_last_day": (1, dates.last_day),
    "ns_months_between": (2, dates.months_between),
    "ns_next_day": (2, dates.next_day),
    "ns_mod": (
        2,
        lambda a, b: (
            a
            if b == 0
            else math.fmod(a, b)
            if isinstance(a, float) or isinstance(b, float)
            else int(math.fmod(a, b))
        ),
    ),
    "ns_instr": (-1, _instr),
    "ns_substr": (-1, _substr),
    "ns_lpad": (-1, _pad(True)),
    "ns_rpad": (-1, _pad(False)),
    "ns_initcap": (1, lambda value: re.sub(r"[A-Za-z0-9]+", lambda m: m.group(0).capitalize(), str(value))),
    "ns_to_number": (1, _to_number),
    "ns_regexp_substr": (-1, _regexp_substr),
    "ns_regexp_replace": (-1, _regexp_replace),
    "ns_regexp_instr": (2, _regexp_instr),
    "ns_regexp_like": (-1, _regexp_like),
    "ns_extract": (2, lambda part, value: getattr(dates.parse_stored(value), part)),
}


def register(connection: sqlite3.Connection) -> None:
    for name, (arity, function) in _FUNCTIONS.items():
        connection.create_function(name, arity, _strict(function), deterministic=True)
    connection.create_aggregate("ns_sum", 1, _Sum)
    connection.create_aggregate("ns_avg", 1, _Average)
    connection.create_window_function("ns_sum_over", 1, _RunningSum)
    connection.create_window_function("ns_avg_over", 1, _RunningAverage)
    # Text of any value; unlike the others it takes NULL, which joins as nothing.
    connection.create_function("ns_text", 1, text, deterministic=True)
