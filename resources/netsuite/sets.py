"""Sets of rows, proven complete: read side by side in windows of their key, and held against NetSuite's own count.

Here belong the census of a set, the windows in which it is read, reading again what changed meanwhile, and the proof.
What a query looks like is in ``suiteql``, one page in ``pages``; where the rows are kept is the caller's ``Landing``.

The proof does not trust the reading. NetSuite is asked for count, distinct keys, least and greatest key, sums and
latest change of the whole set, by buckets of its key, in one query and so at one moment; the same figures are
worked out from the rows that are held. Where a bucket differs, its rows are read again, and the question is asked
anew, until all buckets agree. So a set that is held already is proven, or found to have changed, by one question.

A set that one page holds needs no such figures: it is read in one statement, which is one moment, and the answer
itself says that there is no more.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, Protocol, cast

import pyarrow as pa

from resources.netsuite.arrow import RowReader
from resources.netsuite.errors import Failure, Incomplete
from resources.netsuite.pages import Page, incomplete, shortened
from resources.netsuite.suiteql import PAGE_LIMIT, Select

if TYPE_CHECKING:
    from resources.netsuite.client import NetSuite

ATTEMPTS: Final = 5
"""How often a set that changes while it is read is looked at again before it is given up."""

BUCKETS: Final = 900
"""The most buckets in a census, so that its answer is one page."""

WINDOW_ROWS: Final = 8 * PAGE_LIMIT
"""The most rows of one window: enough that its last, half-filled page weighs little, few enough to keep slots busy."""


@dataclass(frozen=True, slots=True)
class RowSet:
    """What is read: a query, the types of its columns, and what its census adds up.

    ``name`` is for people ("invoices dated in 2026-10"). ``sums`` are names of decimal columns. ``modified`` names the
    text column that prints each row's last change, if there is one. ``whole`` is the same set without the tables that
    are only joined to it: when it has more rows, the role does not see all of them.
    """

    name: str
    select: Select
    schema: pa.Schema
    sums: tuple[str, ...] = ()
    modified: str = ""
    whole: tuple[str, str] | None = None

    @property
    def key(self) -> str:
        """The name of the key's column."""
        return self.select.key_name

    @property
    def schema_hash(self) -> str:
        """SHA-256 of the columns' names and types."""
        return hashlib.sha256(str(self.schema).encode()).hexdigest()

    def census(self, bucket: int | None = None) -> str:
        """The census of the set as a query."""
        columns = self.select.columns
        return self.select.census(
            {name: columns[name] for name in self.sums},
            modified=columns[self.modified] if self.modified else "",
            bucket=bucket,
        )


@dataclass(frozen=True, slots=True)
class Census:
    """The figures of a set, or of one bucket of it. ``sums`` are in the order of ``RowSet.sums``."""

    rows: int = 0
    distinct_keys: int = 0
    low: int | None = None
    high: int | None = None
    key_sum: int | None = None
    sums: tuple[Decimal | None, ...] = ()
    last_modified: str | None = None


class Landing(Protocol):
    """Where the rows of one set are kept. Its methods are called from one task at a time."""

    def census(self, rows: RowSet, bucket: int | None) -> dict[int, Census]:
        """The census of the rows held, by bucket; under 0 for ``None``. Empty where nothing is held."""

    def insert(self, batch: pa.RecordBatch) -> None:
        """Add rows."""

    def remove(self, low: int, high: int) -> None:
        """Remove the rows whose key is from ``low`` to ``high``."""


@dataclass(frozen=True, slots=True)
class Proof:
    """That the rows held are all rows of a set: NetSuite's figures before the reading and after it, which are theirs.

    Where one statement gave the whole set and nothing was counted before it, both are the figures of its rows.
    ``rows_read`` counts every row that came, those read again included; 0 when what was held had not changed.
    ``looks`` is how often the set was counted by buckets or read in one statement; more than 2 when rows changed
    while they were read.
    """

    query: str
    schema_hash: str
    before: Census
    after: Census
    rows_read: int = 0
    pages: int = 0
    looks: int = 0

    @property
    def unchanged(self) -> bool:
        """Whether nothing had to be read."""
        return self.rows_read == 0


async def read_set(netsuite: NetSuite, rows: RowSet, landing: Landing, *, attempts: int = ATTEMPTS) -> Proof:
    """Bring ``landing`` to hold exactly the rows of the set, and prove it.

    Reads nothing but one row of figures where what is held has not changed, which a set without ``modified`` cannot
    tell: that is read in any case, in one request when it fits one page. Raises ``Incomplete`` when the set does
    not come to rest within ``attempts``, or when the role cannot see a part of it; the landing then holds rows that
    must not be used.
    """
    reading = _Reading(netsuite, rows, landing)
    before = None
    if rows.modified:
        before = await census(netsuite, rows)
        if _held(landing, rows) == before:
            return Proof(rows.select.text, rows.schema_hash, before, before)
    if before is None or before.rows < PAGE_LIMIT:
        for look in range(1, attempts + 1):
            if not await reading.at_once():
                break
            after = _held(landing, rows)
            if await _is_in_sight(netsuite, rows, after):
                first = before or after
                read, pages = reading.rows_read, reading.pages
                return Proof(rows.select.text, rows.schema_hash, first, after, read, pages, look)
    before = before or await census(netsuite, rows)
    bucket = _bucket(before, _held(landing, rows))
    for look in range(1, attempts + 1):
        if look == 1 and bucket is None:
            wanted = {0: before} if before.rows else {}
        else:
            wanted = await _census(netsuite, rows, bucket)
        found = landing.census(rows, bucket)
        if wanted == found:
            after = _held(landing, rows)
            if await _is_in_sight(netsuite, rows, after):
                return Proof(
                    rows.select.text, rows.schema_hash, before, after, reading.rows_read, reading.pages, look
                )
        elif look < attempts:
            await reading.read(list(windows(wanted, found, bucket, _window_rows(netsuite, wanted, found))))
    raise _unquiet(rows, wanted, found, attempts, reading.trouble) from reading.trouble


async def census(netsuite: NetSuite, rows: RowSet) -> Census:
    """The figures of a whole set as NetSuite has them now, by one question."""
    return (await _census(netsuite, rows, None)).get(0, Census())


def _held(landing: Landing, rows: RowSet) -> Census:
    return landing.census(rows, None).get(0, Census())


@dataclass(frozen=True, slots=True)
class Window:
    """A range of keys that is read by one reader. ``is_held`` tells that rows of it are held and must go first."""

    low: int
    high: int
    is_held: bool


def windows(
    wanted: Mapping[int, Census], found: Mapping[int, Census], bucket: int | None, size: int = WINDOW_ROWS
) -> Iterator[Window]:
    """The windows that cover the buckets in which the two sides differ, each of about ``size`` rows.

    A bucket that agrees is never read again, so a window ends before it.
    """
    if bucket is None:
        sides = [part for part in (wanted.get(0), found.get(0)) if part is not None and part.rows]
        lows = [part.low for part in sides if part.low is not None]
        highs = [part.high for part in sides if part.high is not None]
        if lows and highs:
            yield Window(min(lows), max(highs), bool(found))
        return
    first = last = None
    rows, is_held = 0, False
    for number in sorted(wanted.keys() | found.keys()):
        differs = wanted.get(number) != found.get(number)
        more = wanted[number].rows if number in wanted else 0
        if first is not None and last is not None and (not differs or rows + more > size):
            yield Window(first * bucket, (last + 1) * bucket - 1, is_held)
            first, rows, is_held = None, 0, False
        if differs:
            first, last = (number if first is None else first), number
            rows += more
            is_held = is_held or number in found
    if first is not None and last is not None:
        yield Window(first * bucket, (last + 1) * bucket - 1, is_held)


class _Reading:
    """The windows of one set, read side by side into its landing."""

    def __init__(self, netsuite: NetSuite, rows: RowSet, landing: Landing) -> None:
        self._netsuite = netsuite
        self._rows = rows
        self._select = rows.select
        self._reader = RowReader(rows.schema, rows.key)
        self._landing = landing
        self.rows_read = 0
        self.pages = 0
        self.trouble: Incomplete | None = None

    async def at_once(self) -> bool:
        """Read the first page in place of what is held; whether NetSuite says that this is the whole set."""
        held = _held(self._landing, self._rows)
        if held.low is not None and held.high is not None:
            self._landing.remove(held.low, held.high)
        try:
            windows = cast(AsyncGenerator[Page, None], self._netsuite.rows_keyset(self._select))
            async with aclosing(windows) as pages:
                async for page in pages:
                    self._take(page)
                    return page.count < PAGE_LIMIT and not page.has_more and page.total == page.count
        except Incomplete as error:
            # It has too many rows for this way of reading, or did not keep to its order.
            self.trouble = error
            return False
        return True

    async def read(self, wanted: Sequence[Window]) -> None:
        """Read these windows, as many at once as there are slots and two more, so that none idles while we parse."""
        queue = iter(wanted)
        for window in wanted:
            if window.is_held:
                self._landing.remove(window.low, window.high)

        async def work() -> None:
            for window in queue:
                await self._read(window)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(len(wanted), self._netsuite.governor.figures().allowed + 2)):
                group.create_task(work())

    async def _read(self, window: Window) -> None:
        pages = self._netsuite.rows_keyset(self._select, after=str(window.low - 1), until=str(window.high))
        try:
            async for page in pages:
                self._take(page)
        except Incomplete as error:
            # Rows came or went between two pages. The next census shows it, and the window is read again.
            self.trouble = error

    def _take(self, page: Page) -> None:
        batch = self._reader.batch(page)
        self._landing.insert(batch)
        self.rows_read += batch.num_rows
        self.pages += 1


async def _census(netsuite: NetSuite, rows: RowSet, bucket: int | None) -> dict[int, Census]:
    query = rows.census(bucket)
    found = {}
    for row in await netsuite.suiteql_rows(query):
        part = _figures(query, rows, row)
        if part.rows:
            found[0 if bucket is None else _whole(query, row, "bucket") or 0] = part
    return found


def _figures(query: str, rows: RowSet, row: Mapping[str, str]) -> Census:
    return Census(
        rows=_whole(query, row, "row_count") or 0,
        distinct_keys=_whole(query, row, "distinct_keys") or 0,
        low=_whole(query, row, "low"),
        high=_whole(query, row, "high"),
        key_sum=_whole(query, row, "key_sum"),
        sums=tuple(_number(query, row, name) for name in rows.sums),
        last_modified=row.get("last_modified") if rows.modified else None,
    )


def _whole(query: str, row: Mapping[str, str], name: str) -> int | None:
    number = _number(query, row, name)
    if number is not None and number != int(number):
        raise incomplete(query, f"the figure '{name}' is {number}, which is not a whole number")
    return None if number is None else int(number)


def _number(query: str, row: Mapping[str, str], name: str) -> Decimal | None:
    value = row.get(name)
    if value is None:
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        raise incomplete(query, f"the figure '{name}' is '{value}', which is no number") from None


def _bucket(before: Census, held: Census) -> int | None:
    """The keys in a bucket, so that the whole range makes at most ``BUCKETS``; None where one page holds all."""
    if max(before.rows, held.rows) <= PAGE_LIMIT:
        return None
    ends = [end for end in (before.low, before.high, held.low, held.high) if end is not None]
    return max(1, -(-(max(ends) - min(ends) + 1) // BUCKETS))


def _window_rows(netsuite: NetSuite, wanted: Mapping[int, Census], found: Mapping[int, Census]) -> int:
    """Rows of a window, in whole pages, so that each slot gets several and the last ones end together."""
    rows = sum(part.rows for number, part in wanted.items() if part != found.get(number))
    pages = -(-rows // (4 * netsuite.governor.figures().allowed * PAGE_LIMIT))
    return min(WINDOW_ROWS, max(1, pages) * PAGE_LIMIT)


async def _is_in_sight(netsuite: NetSuite, rows: RowSet, after: Census) -> bool:
    """Whether the set is as large without the tables joined to it; False when it changed in this moment.

    Raises ``Incomplete`` when it is at rest and has rows that the role does not see.
    """
    if rows.whole is None:
        return True
    source, where = rows.whole
    query = f"SELECT COUNT(*) AS row_count FROM {source}{f' WHERE {where}' if where else ''}"
    (row,) = await netsuite.suiteql_rows(query)
    there = _whole(query, row, "row_count") or 0
    if there == after.rows:
        return True
    if await census(netsuite, rows) != after:
        return False
    raise Incomplete(
        Failure(
            attempted=f"Read all {rows.name}",
            said=f"NetSuite has {there:,} of them and shows {after.rows:,} with all that belongs to them",
            what_to_do="The role does not see a part of them: give it the missing subsidiaries and the view"
            " permissions of the joined records (Setup > Users/Roles > Manage Roles). None of these rows is used.",
        )
    )


def _unquiet(
    rows: RowSet,
    wanted: Mapping[int, Census],
    found: Mapping[int, Census],
    attempts: int,
    trouble: Incomplete | None,
) -> Incomplete:
    numbers = wanted.keys() | found.keys()
    restless = sum(wanted.get(number) != found.get(number) for number in numbers)
    there, here = (sum(part.rows for part in side.values()) for side in (wanted, found))
    return Incomplete(
        Failure(
            attempted=f"Read all {rows.name} ({shortened(rows.select.text)})",
            said=f"rows changed each of the {attempts} times that they were counted: NetSuite counts {there:,},"
            f" {here:,} arrived, and {restless:,} of {len(numbers):,} parts differ"
            f"{f'; while reading: {trouble.failure.said}' if trouble else ''}",
            what_to_do="None of these rows is used. Run again when the other integration or the users that are"
            " writing have finished.",
        )
    )
