"""Pages of SuiteQL rows, and the two ways to read a set page by page so that a missing row is noticed.

Here belong the shape of a page and the checks on a sequence of pages (NetSuite REST facts: SuiteQL call and
answer). Writing queries belongs in ``suiteql``, typing the values in ``arrow``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from resources.netsuite.errors import Failure, Incomplete
from resources.netsuite.suiteql import PAGE_LIMIT, ROW_LIMIT, Select

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows. ``items`` is the JSON array of the rows as it came; every value in it is text.

    A NULL column is absent from its row. ``total`` is NetSuite's count of the whole query at that moment.
    """

    items: msgspec.Raw
    count: int
    offset: int
    has_more: bool
    total: int
    query: str

    def rows(self) -> list[dict[str, str]]:
        """The rows as dicts from lower-case column name to text, without NetSuite's ``links``.

        Raises ``Incomplete`` when the page does not hold what it announces.
        """
        rows = self.decoded(_ROWS)
        for row in rows:
            row.pop("links", None)
        return rows

    def keys(self, name: str) -> list[str]:
        """The column ``name`` of every row; raises ``Incomplete`` where a row has none."""
        keys = [row.key for row in self.decoded(_key_rows(name))]
        if None in keys:
            raise incomplete(self.query, f"a row has no '{name}'")
        return keys

    def decoded(self, decoder: msgspec.json.Decoder[list[T]]) -> list[T]:
        """The rows as ``decoder`` reads them; raises ``Incomplete`` when they are not such rows, or not ``count``."""
        try:
            rows = decoder.decode(self.items)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise incomplete(self.query, f"the rows are not of the shape asked for: {error}") from None
        if len(rows) != self.count:
            raise incomplete(self.query, f"the page announces {self.count} rows and holds {len(rows)}")
        return rows


class _Body(msgspec.Struct, rename="camel"):
    items: msgspec.Raw
    count: int
    has_more: bool
    offset: int
    total_results: int


_BODY: Final = msgspec.json.Decoder(_Body)
_ROWS: Final[msgspec.json.Decoder[list[Any]]] = msgspec.json.Decoder(list[dict[str, Any]])

Fetch = Callable[[str, int, int], Awaitable[Page]]
"""Sends a query with a page size and an offset, and gives the page."""


def read_page(body: bytes, query: str) -> Page:
    """The page in an answer's body; raises ``msgspec.DecodeError`` when it is not one."""
    parsed = _BODY.decode(body)
    return Page(parsed.items, parsed.count, parsed.offset, parsed.has_more, parsed.total_results, query)


@lru_cache(maxsize=64)
def _key_rows(name: str) -> msgspec.json.Decoder[list[Any]]:
    """Reads one column of each row and skips the others, which is several times faster than reading all."""
    row = msgspec.defstruct("KeyRow", [("key", str | None, None)], rename={"key": name}, gc=False)
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]


def incomplete(query: str, why: str) -> Incomplete:
    """The error for rows that cannot be proven complete."""
    return Incomplete(
        Failure(
            attempted=f"Read rows by SuiteQL ({shortened(query)})",
            said=why,
            what_to_do="None of these rows is used. Read the set again; if it stays, the data changes while it is read.",
        )
    )


def shortened(query: str, length: int = 160) -> str:
    """``query`` on one line, cut for a message."""
    line = " ".join(query.split())
    return line if len(line) <= length else f"{line[:length]}…"


async def by_offset(fetch: Fetch, query: str, page_size: int) -> AsyncIterator[Page]:
    """All pages of ``query`` by rising offset.

    Each page runs the query anew, so ``query`` needs a unique ORDER BY and rows that do not change meanwhile.
    Raises ``Incomplete`` when the total reaches NetSuite's row limit (read by key instead), when it changes from
    page to page, or when the pages do not add up to it.
    """
    offset, total = 0, None
    while True:
        page = await fetch(query, page_size, offset)
        if page.total >= ROW_LIMIT:
            raise incomplete(
                query, f"it has {page.total} rows, and REST gives no more than {ROW_LIMIT}; read it by key"
            )
        if page.offset != offset or (total is not None and page.total != total):
            raise incomplete(query, f"the total went from {total} to {page.total} while it was read")
        total = page.total
        yield page
        offset += page.count
        if not page.has_more:
            break
        if page.count != page_size:
            raise incomplete(query, f"a page of {page_size} rows held {page.count}, yet more should follow")
    if offset != total:
        raise incomplete(query, f"{offset} rows came of {total}")


async def by_key(
    fetch: Fetch, select: Select, *, after: str | None, until: str | None, page_size: int
) -> AsyncIterator[Page]:
    """All pages of ``select`` by rising key, each window a query of its own.

    Neither the row limit nor rows that come and go elsewhere can shift a window. Raises ``Incomplete`` when keys
    do not rise strictly (the key is not unique, or the order was not kept).
    """
    last = after
    while True:
        page = await fetch(select.window(after=last, until=until, size=page_size), page_size, 0)
        if page.count == 0:
            if page.has_more:
                raise incomplete(page.query, "an empty page says that more rows follow")
            return
        last = _rising(page, select.key_name, last)
        yield page
        if page.count < page_size and not page.has_more:
            return


def _rising(page: Page, name: str, before: str | None) -> str:
    """The last key of a page whose keys rise strictly from ``before``."""
    try:
        numbers = [int(key) for key in page.keys(name)]
    except ValueError:
        raise incomplete(page.query, f"the key '{name}' is not a whole number") from None
    previous = numbers[0] - 1 if before is None else int(before)
    for number in numbers:
        if number <= previous:
            raise incomplete(page.query, f"the key '{name}' does not rise: {number} came after {previous}")
        previous = number
    return str(previous)


def check_page_size(page_size: int) -> int:
    """``page_size`` if NetSuite allows it."""
    if not 1 <= page_size <= PAGE_LIMIT:
        raise ValueError(f"A page has 1 to {PAGE_LIMIT} rows, not {page_size}.")
    return page_size
