"""Sets of rows, proven complete: read side by side in windows of their key, and held against NetSuite's own count.

Here belong the census of a set, the windows in which it is read, reading again what changed meanwhile, and the proof.
What a query looks like is in ``suiteql``, one page in ``pages``; where the rows are kept is the caller's ``Landing``.

The proof does not trust the reading. NetSuite is asked for count, distinct keys, least and greatest key, sums and
latest change of the whole set, by buckets of its key, in one query and so at one moment; the same figures are
worked out from the rows that are held. Where a bucket differs, its rows are read again, and the question is asked
anew, until all buckets agree. So a set that is held already is proven, or found to have changed, by one question.

A set that one page holds needs no such figures: it is read in one statement, which is one moment, and the answer
itself says that there is no more.

Whether rows changed is seen by their times of change, added up: a time that comes late (a transaction that ends after
others, the hour that a clock is put back by) moves the sum where it would not move the latest. Times are whole
seconds, so a row that was changed twice within one, before and after it was read, moves nothing: a proof says since
when changes were so young (``unsettled_since``), so that those rows are read again at the next look.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, Protocol, cast

import pyarrow as pa

from resources.netsuite.arrow import RowReader
from resources.netsuite.errors import Failure, Incomplete, NetSuiteError
from resources.netsuite.pages import Page, incomplete, shortened
from resources.netsuite.suiteql import PAGE_LIMIT, TIME_MODEL, Select

if TYPE_CHECKING:
    from resources.netsuite.client import NetSuite

ATTEMPTS: Final = 5
"""How often a set that changes while it is read is looked at again before it is given up."""

WEIGHTS: Final = 97
"""Amounts are also added up times the remainder of their key by this: what goes from one row to another shows there."""

SETTLED_AFTER: Final = 5
"""Seconds from a row's change, by the server's clock, until no other change can have the same second as its time."""

_QUARTER: Final = 15 * 60
"""All time zones differ from one another by whole quarters of an hour, in seconds."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How a set is cut up: rows of a page, the most rows of a window, and the most buckets of a census.

    A window is large enough that its last, half-filled page weighs little, and small enough to keep slots busy. A
    census is answered in one page, with room for the buckets of rows that come meanwhile.
    """

    page: int = PAGE_LIMIT
    window: int = 8 * PAGE_LIMIT
    buckets: int = 900


STANDARD: Final = Sizes()
"""The sizes for NetSuite's own limits."""


@dataclass(frozen=True, slots=True)
class RowSet:
    """What is read: a query, the types of its columns, and what its census adds up.

    ``name`` is for people ("invoices dated in 2026-10"). ``sums`` are names of decimal columns; those of them that may
    change without the row's time of change are ``silent`` too (what is unpaid of an invoice). ``modified`` names the
    text column that prints each row's last change, if there is one. Its times are added up unless ``times`` is false:
    for rows that change only together with those of another set, which is proven along with it. ``whole`` is the same
    set without the tables that are only joined to it: when it has more rows, the role does not see all of them.
    """

    name: str
    select: Select
    schema: pa.Schema
    sums: tuple[str, ...] = ()
    modified: str = ""
    whole: tuple[str, str] | None = None
    silent: tuple[str, ...] = ()
    times: bool = True

    def __post_init__(self) -> None:
        if not set(self.silent) <= set(self.sums):
            raise ValueError(f"Of {', '.join(self.silent)} some are not added up.")
        if self.modified and TIME_MODEL not in self.select.columns[self.modified]:
            raise ValueError(f"The column '{self.modified}' is not printed as {TIME_MODEL}.")

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
        sums = {name: columns[name] for name in self.sums}
        key = self.select.key
        sums |= {_weighted(name): f"({columns[name]}) * MOD({key}, {WEIGHTS})" for name in self.silent}
        if self.adds_times:
            sums["time_sum"] = f"TO_NUMBER({columns[self.modified].replace(TIME_MODEL, _TIME_DIGITS)})"
        modified = columns[self.modified] if self.modified else ""
        return self.select.census(sums, modified=modified, bucket=bucket)

    @property
    def adds_times(self) -> bool:
        """Whether a census adds up the times of change."""
        return bool(self.modified) and self.times


_TIME_DIGITS: Final = "'DDHH24MISS'"
"""Day of the month and time of day as one number, small enough that millions of them add up exactly."""


def _weighted(name: str) -> str:
    return f"{name}_by_key"


@dataclass(frozen=True, slots=True)
class Census:
    """The figures of a set, or of one bucket of it.

    ``sums`` are in the order of ``RowSet.sums``. ``weighted`` are the sums of ``RowSet.silent``, each value times the
    remainder of its key by ``WEIGHTS`` (with the key's sign). ``time_sum`` adds up the times of change as the numbers
    that their day, hour, minute and second make together (DDHHMMSS). ``clock`` is the server's time when NetSuite
    counted; it is not part of what is compared.
    """

    rows: int = 0
    distinct_keys: int = 0
    low: int | None = None
    high: int | None = None
    key_sum: int | None = None
    sums: tuple[Decimal | None, ...] = ()
    weighted: tuple[Decimal | None, ...] = ()
    last_modified: str | None = None
    time_sum: int | None = None
    clock: str | None = field(default=None, compare=False)


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
    while they were read. ``unsettled_since`` is a time as ``RowSet.modified`` prints it, or None: rows changed since then
    were read so soon after it that a further change may have the same time. They must be read anew at the next look,
    whatever is counted.
    """

    query: str
    schema_hash: str
    before: Census
    after: Census
    rows_read: int = 0
    pages: int = 0
    looks: int = 0
    unsettled_since: str | None = None

    @property
    def unchanged(self) -> bool:
        """Whether all was found as it was held: nothing was read, and nothing that was held had gone."""
        return self.looks == 0


async def read_set(
    netsuite: NetSuite,
    rows: RowSet,
    landing: Landing,
    *,
    attempts: int = ATTEMPTS,
    sizes: Sizes = STANDARD,
    clock: Callable[[], float] = time.monotonic,
) -> Proof:
    """Bring ``landing`` to hold exactly the rows of the set, and prove it.

    Reads nothing but one row of figures where what is held has not changed, which a set without ``modified`` cannot
    tell: that is read in any case, in one request when it fits one page. Raises ``Incomplete`` when the set does
    not come to rest within ``attempts``, or when the role cannot see a part of it; the landing then holds rows that
    must not be used. ``clock`` tells seconds, by which the age of a change is told from how long the reading took.
    """
    try:
        return await _read_set(netsuite, rows, landing, attempts, sizes, clock)
    except NetSuiteError as error:
        # Which set it was says more to people than its query.
        told, attempted = f"Read all {rows.name}", error.failure.attempted
        if not attempted.startswith(told):
            attempted = f"{told}: {attempted[:1].lower()}{attempted[1:]}"
            error.failure = replace(error.failure, attempted=attempted)
        raise


async def _read_set(
    netsuite: NetSuite,
    rows: RowSet,
    landing: Landing,
    attempts: int,
    sizes: Sizes,
    clock: Callable[[], float],
) -> Proof:
    reading = _Reading(netsuite, rows, landing, sizes, clock)
    before = None
    if rows.modified:
        before = await census(netsuite, rows)
        if _held(landing, rows) == before:
            return reading.proof(before, before, looks=0)
    if before is None or before.rows < sizes.page:
        for look in range(1, attempts + 1):
            if not await reading.at_once():
                break
            after = _held(landing, rows)
            if await _is_in_sight(netsuite, rows, after):
                return reading.proof(before or after, after, looks=look)
    before = before or await census(netsuite, rows)
    bucket = _bucket(before, _held(landing, rows), sizes)
    wanted: dict[int, Census] = {}
    found: dict[int, Census] = {}
    for look in range(1, attempts + 1):
        if look == 1 and bucket is None:
            wanted = {0: before} if before.rows else {}
        else:
            try:
                wanted = await _census(netsuite, rows, bucket)
            except Incomplete as error:
                # So many rows came that their buckets no longer fit one page.
                reading.trouble, bucket = error, 2 * bucket if bucket is not None else None
                continue
        found = landing.census(rows, bucket)
        if wanted == found:
            after = _held(landing, rows)
            if await _is_in_sight(netsuite, rows, after):
                return reading.proof(before, after, looks=look)
        elif look < attempts:
            size = _window_rows(netsuite, wanted, found, sizes)
            await reading.read(list(windows(wanted, found, bucket, size)))
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
    wanted: Mapping[int, Census], found: Mapping[int, Census], bucket: int | None, size: int
) -> Iterator[Window]:
    """The windows that cover the buckets in which the two sides differ, each of about ``size`` rows at most.

    A bucket that agrees is never read again, so a window ends before it. A bucket with more rows than that (ids lie
    close together in one part of a wide range) is cut into several, where its own rows begin and end.
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
        if differs and more > size:
            yield from _parts(
                wanted[number], number * bucket, (number + 1) * bucket - 1, size, number in found
            )
        elif differs:
            first, last = (number if first is None else first), number
            rows += more
            is_held = is_held or number in found
    if first is not None and last is not None:
        yield Window(first * bucket, (last + 1) * bucket - 1, is_held)


def _parts(part: Census, low: int, high: int, size: int, is_held: bool) -> Iterator[Window]:
    """A bucket from ``low`` to ``high`` in windows, whose rows are taken to lie evenly where they lie at all."""
    assert part.low is not None
    assert part.high is not None
    step = max(1, -(-(part.high - part.low + 1) * size // part.rows))
    for start in range(part.low, part.high + 1, step):
        is_last = start + step > part.high
        yield Window(low if start == part.low else start, high if is_last else start + step - 1, is_held)


class _Reading:
    """The windows of one set, read side by side into its landing."""

    def __init__(
        self,
        netsuite: NetSuite,
        rows: RowSet,
        landing: Landing,
        sizes: Sizes,
        clock: Callable[[], float],
    ) -> None:
        self._clock, self._began = clock, clock()
        self._netsuite = netsuite
        self._sizes = sizes
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
            size = self._sizes.page
            windows = cast(
                AsyncGenerator[Page, None], self._netsuite.rows_keyset(self._select, page_size=size)
            )
            async with aclosing(windows) as pages:
                async for page in pages:
                    self._take(page)
                    return page.count < size and not page.has_more and page.total == page.count
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

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(len(wanted), self._netsuite.governor.figures().allowed + 2)):
                    group.create_task(work())
        except ExceptionGroup as failures:
            # The first failure ended the others, and is the one to tell.
            raise failures.exceptions[0] from failures

    async def _read(self, window: Window) -> None:
        pages = self._netsuite.rows_keyset(
            self._select,
            after=str(window.low - 1),
            until=str(window.high),
            page_size=self._sizes.page,
        )
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

    def proof(self, before: Census, after: Census, *, looks: int) -> Proof:
        """The proof of what was read, if it was read at all, since ``before`` was counted."""
        elapsed = self._clock() - self._began
        return Proof(
            self._select.text,
            self._rows.schema_hash,
            before,
            after,
            self.rows_read,
            self.pages,
            looks,
            _unsettled_since(after.last_modified, before.clock, elapsed) if looks else None,
        )


def _unsettled_since(last_modified: str | None, clock: str | None, elapsed: float) -> str | None:
    """The time since which changes are too young to be told from further ones; None when the latest is old enough.

    Rows were read from ``clock`` on, for ``elapsed`` seconds at most. The two times are in different zones (that of the
    account, that of the server), which differ by whole quarters of an hour: so only what they show of a quarter is
    compared. Now and then that makes an old change look young, which costs one more reading and no more.
    NetSuite REST facts: SuiteQL, dates.
    """
    if last_modified is None:
        return None
    if clock is not None:
        apart = (_second_of_quarter(clock) - _second_of_quarter(last_modified)) % _QUARTER
        if SETTLED_AFTER <= apart <= _QUARTER - SETTLED_AFTER - elapsed:
            return None
    since = datetime.fromisoformat(last_modified) - timedelta(seconds=elapsed + 2 * SETTLED_AFTER)
    return f"{since:%Y-%m-%d %H:%M:%S}"


def _second_of_quarter(printed: str) -> int:
    """0 to 899, of a time as ``TIME_MODEL`` prints it."""
    return (int(printed[14:16]) * 60 + int(printed[17:19])) % _QUARTER


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
        weighted=tuple(_number(query, row, _weighted(name)) for name in rows.silent),
        last_modified=row.get("last_modified") if rows.modified else None,
        time_sum=_whole(query, row, "time_sum") if rows.adds_times else None,
        clock=row.get("clock"),
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


def _bucket(before: Census, held: Census, sizes: Sizes) -> int | None:
    """The keys in a bucket, so that the whole range makes at most as many as asked for; None where one page holds all."""
    if max(before.rows, held.rows) <= sizes.page:
        return None
    ends = [end for end in (before.low, before.high, held.low, held.high) if end is not None]
    # The first and the last are cut off where the range begins and ends: they may be one more.
    return -(-(max(ends) - min(ends) + 1) // max(1, sizes.buckets - 1))


def _window_rows(
    netsuite: NetSuite, wanted: Mapping[int, Census], found: Mapping[int, Census], sizes: Sizes
) -> int:
    """Rows of a window, in whole pages, so that each slot gets several and the last ones end together."""
    rows = sum(part.rows for number, part in wanted.items() if part != found.get(number))
    pages = -(-rows // (4 * netsuite.governor.figures().allowed * sizes.page))
    return min(sizes.window, max(1, pages) * sizes.page)


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
