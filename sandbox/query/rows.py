"""Rows of a result as NetSuite's items: every value a string, nothing for NULL, keys in the alphabet's order.

Printed column by column, and encoded as structures of the query's own type: a page has many cells and few columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

import msgspec

from sandbox.query import dates, functions
from sandbox.query.scope import Value
from sandbox.wire import Json

Cells = Sequence[Any]
"""int, float, str or None."""
Texts = Sequence[str | None]


class Printer:
    """Prints cells as one account does."""

    def __init__(self, strftime_format: str, *, leading_zero: bool) -> None:
        self._strftime_format, self._leading_zero = strftime_format, leading_zero

    def items(self, names: list[str], columns: list[Value], rows: list[Cells]) -> list[Json]:
        """One value for each row, to be encoded."""
        if not rows:
            return []
        printed: dict[str, Iterable[Any]] = {"links": repeat([])}
        for name, column, cells in sorted(
            zip(names, columns, zip(*rows, strict=True), strict=True), key=_name
        ):
            printed[name] = self._column(column.kind)(cells)
        return list(map(_item_type(tuple(printed)), *printed.values()))

    def _column(self, kind: str) -> Callable[[Cells], Texts]:
        if kind in ("text", "bool", "null"):
            return _texts
        return self._dates if kind == "date" else self._numbers

    def _numbers(self, cells: Cells) -> Texts:
        texts = [
            str(cell) if type(cell) is int else _number(cell) if type(cell) is float else cell or None
            for cell in cells
        ]
        return texts if self._leading_zero else [_without_zero(text) for text in texts]

    def _dates(self, cells: Cells) -> Texts:
        strftime_format = self._strftime_format
        return [_day(cell[:10], strftime_format) if cell else None for cell in cells]


def _name(column: tuple[str, Value, Cells]) -> str:
    return column[0]


@lru_cache(maxsize=256)
def _item_type(names: tuple[str, ...]) -> Callable[..., Json]:
    """What a row is encoded from: takes the values by name; what is None is left out."""
    keys = {f"value{place}": name for place, name in enumerate(names)}
    fields = [(field, Any, None) for field in keys]
    return msgspec.defstruct("Item", fields, rename=keys, omit_defaults=True, gc=False)


def _texts(cells: Cells) -> Texts:
    return [cell or None if type(cell) is str else functions.text(cell) for cell in cells]


@lru_cache(maxsize=16_384)
def _number(cell: float) -> str:
    return functions.number_text(cell)


@lru_cache(maxsize=4096)
def _day(day: str, strftime_format: str) -> str:
    return dates.parse_stored(day).strftime(strftime_format)


def _without_zero(text: str | None) -> str | None:
    """`.5` for `0.5`, as Oracle's database prints it."""
    if text is not None and text.startswith(("0.", "-0.")):
        return text.replace("0.", ".", 1)
    return text
