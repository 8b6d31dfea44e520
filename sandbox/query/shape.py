"""A query without the whole numbers that it compares with: pages by key differ in nothing else, and are translated once."""

from __future__ import annotations

import re

_PARTS = re.compile(
    r"""'(?:[^']|'')*' | "[^"]*" | (?P<other>--|/\*|[:?]|\bROWNUM\b) | (?P<sign>[<>=]\s*)(?P<number>\d{1,18})(?![\w.])""",
    re.IGNORECASE | re.VERBOSE,
)


def shape_of(query: str) -> tuple[str, list[int]]:
    """The query with `:k1`, `:k2`, ... for the numbers after a comparison sign, and the numbers.

    Equal numbers share a name, so that equal expressions stay equal. A query with comments, parameters of its own or
    row numbers, whose limits are part of the translation, stays as it is.
    """
    numbers: dict[int, str] = {}
    parts: list[str] = []
    end = 0
    for found in _PARTS.finditer(query):
        if found["other"]:
            return query, []
        if found["number"]:
            name = numbers.setdefault(int(found["number"]), f":k{len(numbers) + 1}")
            parts += [query[end : found.start("number")], name]
            end = found.end()
    return "".join([*parts, query[end:]]), list(numbers)
