"""Sets of rows: what is held equals the account or the reading says no, whatever happens between two requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, ClassVar

import httpx
import pyarrow as pa
import pytest
from fake_account import FakeAccount, connect, envelope, governor, rows_page
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from suiteql_account import SuiteQLAccount

from resources.netsuite.arrow import UnreadableValue
from resources.netsuite.errors import Incomplete, PermissionDenied, Unavailable
from resources.netsuite.sets import (
    SETTLED_AFTER,
    WEIGHTS,
    Census,
    Proof,
    RowSet,
    Sizes,
    Window,
    census,
    read_set,
    windows,
)
from resources.netsuite.suiteql import Select

TEXT, MONEY = pa.string(), pa.decimal128(18, 4)
SCHEMA = pa.schema([("id", TEXT), ("amount", MONEY), ("silent", MONEY), ("memo", TEXT), ("changed", TEXT)])
COLUMNS = {
    "id": "t.id",
    "amount": "t.amount",
    "silent": "t.silent",
    "memo": "t.memo",
    "changed": "TO_CHAR(t.changed, 'YYYY-MM-DD HH24:MI:SS')",
}
ROWS = RowSet(
    "rows",
    Select(COLUMNS, "t t", key="t.id"),
    SCHEMA,
    sums=("amount", "silent"),
    silent=("silent",),
    modified="changed",
)
#: One key in many rows, and nothing that tells when they changed but the rows themselves.
LINKS = replace(ROWS, select=Select(COLUMNS, "t t", key="t.id", unique=False))
SMALL = Sizes(page=5, window=10, buckets=8)


class Kept:
    """A landing that keeps rows in a list and works its figures out in plain Python."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def census(self, rows: RowSet, bucket: int | None) -> dict[int, Census]:
        groups: dict[int, list[dict[str, Any]]] = {}
        for row in self.rows:
            groups.setdefault(0 if bucket is None else int(row["id"]) // bucket, []).append(row)
        return {number: figures(rows, group) for number, group in groups.items()}

    def insert(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.to_pylist()

    def remove(self, low: int, high: int) -> None:
        self.rows = [row for row in self.rows if not low <= int(row["id"]) <= high]

    def forget_since(self, time: str) -> None:
        self.rows = [row for row in self.rows if row["changed"] < time]

    @property
    def in_order(self) -> list[tuple[Any, ...]]:
        """The rows as the account gives them."""
        values = ((int(row["id"]), *list(row.values())[1:]) for row in self.rows)
        return sorted(values, key=lambda row: [(value is None, value) for value in row])


def figures(rows: RowSet, group: list[dict[str, Any]]) -> Census:
    keys = [int(row["id"]) for row in group]
    times = [row["changed"] for row in group if row["changed"] is not None]
    digits = [int("".join(filter(str.isdigit, time[8:]))) for time in times]

    def total(name: str, weighted: bool) -> Decimal | None:
        found = [
            row[name] * (abs(key) % WEIGHTS * (1 if key > 0 else -1) if weighted else 1)
            for row, key in zip(group, keys, strict=True)
            if row[name] is not None
        ]
        return sum(found, Decimal(0)) if found else None

    return Census(
        rows=len(group),
        distinct_keys=len(set(keys)),
        low=min(keys),
        high=max(keys),
        key_sum=sum(keys),
        sums=tuple(total(name, weighted=False) for name in rows.sums),
        weighted=tuple(total(name, weighted=True) for name in rows.silent),
        last_modified=max(times, default=None) if rows.modified else None,
        time_sum=sum(digits) if rows.modified and rows.times and digits else None,
    )


def read(
    account: SuiteQLAccount, kept: Kept, rows: RowSet = ROWS, sizes: Sizes = SMALL, **options: Any
) -> Proof:
    """Read the set as it is; gives the proof. The queries of this reading are `account.queries`."""
    account.queries.clear()

    async def run() -> Proof:
        async with connect(FakeAccount([account])) as ns:
            clock = lambda: account.clock.timestamp()  # noqa: E731 (the account's clock is replaced as it ticks)
            return await read_set(ns, rows, kept, sizes=sizes, clock=clock, **options)

    return asyncio.run(run())


@pytest.fixture
def account() -> Iterator[SuiteQLAccount]:
    made = SuiteQLAccount()
    yield made
    made.close()


def held(account: SuiteQLAccount, rows: RowSet = ROWS, sizes: Sizes = SMALL) -> Kept:
    """A landing that holds the account's rows, long after their last change."""
    kept = Kept()
    account.tick(60)
    proof = read(account, kept, rows, sizes)
    assert kept.in_order == account.rows()
    assert proof.unsettled_since is None
    return kept


def pages(account: SuiteQLAccount) -> list[str]:
    """The queries for rows."""
    return [query for query in account.queries if query.startswith("SELECT t.id AS id")]


# What is asked


def test_an_unchanged_set_costs_one_request(account: SuiteQLAccount) -> None:
    account.insert(range(1, 41))
    kept = held(account)
    proof = read(account, kept)
    assert len(account.queries) == 1
    assert (proof.unchanged, proof.rows_read, proof.pages, proof.looks) == (True, 0, 0, 0)
    assert proof.before == proof.after == kept.census(ROWS, None)[0]


def test_an_empty_set_costs_one_request(account: SuiteQLAccount) -> None:
    kept = Kept()
    assert read(account, kept).unchanged
    assert len(account.queries) == 1


def test_a_large_set_is_counted_by_buckets_and_read_in_windows(account: SuiteQLAccount) -> None:
    account.insert(range(1, 41))
    account.tick(60)
    kept = Kept()
    proof = read(account, kept)
    assert kept.in_order == account.rows()
    assert (proof.unchanged, proof.rows_read, proof.looks) == (False, 40, 2)
    assert len(account.queries) == 1 + 2 + len(pages(account))
    assert 40 / SMALL.page <= proof.pages <= len(pages(account))
    # Eight buckets of five keys, in windows of a page each, because several slots are to share the work.
    bounds = {query.partition("t.id > ")[2].partition(" ORDER")[0] for query in pages(account)}
    assert len([bound for bound in bounds if bound]) >= 8


def test_only_the_buckets_that_differ_are_read_again(account: SuiteQLAccount) -> None:
    account.insert(range(1, 71))
    kept = held(account)
    account.touch(33, "changed")
    account.delete(65)
    account.tick(60)
    proof = read(account, kept)
    assert kept.in_order == account.rows()
    # Of eight buckets of ten keys, those of 33 and of 65.
    assert proof.rows_read == 10 + 9
    ends = {int(query.partition("t.id <= ")[2].partition(" ")[0]) // 10 for query in pages(account)}
    assert ends == {3, 6}


def test_a_set_of_one_page_is_read_in_one_statement(account: SuiteQLAccount) -> None:
    account.insert(range(1, 4))
    account.tick(60)
    kept = Kept()
    proof = read(account, kept)
    assert len(account.queries) == 2
    assert (proof.rows_read, proof.looks, kept.in_order) == (3, 1, account.rows())


def test_what_was_all_deleted_is_a_change(account: SuiteQLAccount) -> None:
    account.insert(range(1, 41))
    kept = held(account)
    account.delete(*range(1, 41))
    proof = read(account, kept)
    assert kept.rows == []
    assert (proof.unchanged, proof.rows_read, proof.after) == (False, 0, Census())


def test_a_census_says_what_netsuite_shows(account: SuiteQLAccount) -> None:
    account.insert([-7, 3], amount=Decimal("10.5"), silent=None)
    account.insert([100, 101], amount=None, silent=Decimal(2))

    async def run() -> Census:
        async with connect(FakeAccount([account])) as ns:
            return await census(ns, ROWS)

    assert asyncio.run(run()) == Census(
        rows=4,
        distinct_keys=4,
        low=-7,
        high=101,
        key_sum=197,
        sums=(Decimal(21), Decimal(4)),
        weighted=(Decimal(2 * 3 + 2 * 4),),
        last_modified="2026-10-31 12:00:00",
        time_sum=4 * 31120000,
    )


# Held and asked are the same figures, whatever the rows

AMOUNTS = st.none() | st.decimals(-10_000, 10_000, places=2)
KEYS = st.integers(-300, 300) | st.integers(10_000_000, 10_000_050)


@given(
    rows=st.dictionaries(KEYS, st.tuples(AMOUNTS, AMOUNTS, st.integers(0, 4000)), max_size=40),
    bucket=st.none() | st.integers(1, 400),
)
@settings(max_examples=60, deadline=None)
def test_the_figures_of_rows_are_the_same_on_both_sides(
    rows: dict[int, tuple[Decimal | None, Decimal | None, int]], bucket: int | None
) -> None:
    account, kept = SuiteQLAccount(), Kept()
    for key, (amount, silent, seconds) in rows.items():
        account.clock = datetime(2026, 10, 31, 9, seconds // 60 % 60, seconds % 60)  # noqa: DTZ001
        account.insert([key], amount=amount, silent=silent)
    try:
        read(account, kept)
        query = ROWS.census(bucket)

        async def run() -> list[dict[str, str]]:
            async with connect(FakeAccount([account])) as ns:
                return await ns.suiteql_rows(query)

        asked = {int(row.get("bucket", 0)): row for row in asyncio.run(run()) if row["row_count"] != "0"}
        here = kept.census(ROWS, bucket)
        assert asked.keys() == here.keys()
        for number, part in here.items():
            row = asked[number]
            assert [int(row[name]) for name in ("row_count", "distinct_keys", "low", "high", "key_sum")] == [
                part.rows, part.distinct_keys, part.low, part.high, part.key_sum,
            ]  # fmt: skip
            numbers = [row.get(name) for name in ("amount", "silent", "silent_by_key", "time_sum")]
            assert [None if text is None else Decimal(text) for text in numbers] == [
                *part.sums, *part.weighted, part.time_sum,
            ]  # fmt: skip
            assert row["last_modified"] == part.last_modified
    finally:
        account.close()


@given(
    rows=st.dictionaries(KEYS, AMOUNTS, max_size=60),
    sizes=st.builds(Sizes, page=st.integers(1, 12), window=st.integers(1, 40), buckets=st.integers(1, 30)),
)
@settings(max_examples=40, deadline=None)
def test_sparse_and_negative_keys_are_read_whole(rows: dict[int, Decimal | None], sizes: Sizes) -> None:
    account, kept = SuiteQLAccount(), Kept()
    try:
        for key, amount in rows.items():
            account.insert([key], amount=amount)
        read(account, kept, sizes=sizes)
        assert kept.in_order == account.rows()
    finally:
        account.close()


@given(
    keys=st.lists(st.integers(-5, 40), max_size=60),
    sizes=st.builds(Sizes, page=st.integers(1, 12), window=st.integers(1, 40), buckets=st.integers(1, 30)),
)
@settings(max_examples=30, deadline=None)
def test_one_key_in_many_rows_is_read_whole(keys: list[int], sizes: Sizes) -> None:
    account, kept = SuiteQLAccount(), Kept()
    try:
        for number, key in enumerate(keys):
            account.insert([key], amount=Decimal(number % 4), memo="as another" if number % 3 else None)
        read(account, kept, LINKS, sizes)
        assert kept.in_order == account.rows()
        account.tick(60)
        if keys:
            account.touch(keys[0], "changed")
        account.tick(60)
        read(account, kept, LINKS, sizes)
        assert kept.in_order == account.rows()
    finally:
        account.close()


# Windows

PARTS = st.dictionaries(st.integers(-20, 20), st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=25)


def part(number: int, bucket: int, rows: int) -> Census:
    """A bucket's figures; its rows lie at its beginning."""
    low = number * bucket
    return Census(rows, rows, low, low + rows - 1, sum(range(low, low + rows)))


@given(PARTS, st.integers(1, 40))
def test_windows_cover_what_differs_once_and_nothing_that_agrees(
    counts: dict[int, tuple[int, int]], size: int
) -> None:
    bucket = 50
    wanted = {number: part(number, bucket, there) for number, (there, _) in counts.items() if there}
    found = {number: part(number, bucket, here) for number, (_, here) in counts.items() if here}
    made = list(windows(wanted, found, bucket, size))
    for before, after in pairwise(made):
        assert before.high < after.low
    covered = [key for window in made for key in range(window.low, window.high + 1)]
    for number in wanted.keys() | found.keys():
        keys = range(number * bucket, (number + 1) * bucket)
        differs = wanted.get(number) != found.get(number)
        assert all((key in set(covered)) == differs for key in keys), number
    for window in made:
        inside = [n for n in wanted if wanted[n] != found.get(n) and window.low <= n * bucket <= window.high]
        rows = sum(
            len(
                range(
                    max(window.low, number * bucket),
                    min(window.high, number * bucket + wanted[number].rows - 1) + 1,
                )
            )
            for number in wanted
        )
        assert rows <= size or len(inside) == 1
        assert window.is_held or not any(window.low // bucket <= n <= window.high // bucket for n in found)


def test_rows_that_lie_close_together_are_still_read_side_by_side(account: SuiteQLAccount) -> None:
    """A far-off key makes the buckets so wide that one holds almost all rows."""
    account.insert(range(1_000_000, 1_000_040))
    account.insert([5])
    kept = Kept()
    read(account, kept)
    assert kept.in_order == account.rows()
    dense = {query.partition("t.id <= ")[2].partition(" ")[0] for query in pages(account)}
    assert len(dense) >= 40 / SMALL.window


def test_a_window_without_a_bucket_spans_both_sides() -> None:
    wanted, found = {0: part(0, 50, 4)}, {0: part(1, 50, 9)}
    assert list(windows(wanted, found, None, 5)) == [Window(0, 58, True)]
    assert list(windows({}, {}, None, 5)) == []


# What changes meanwhile


def test_a_time_that_comes_late_is_seen(account: SuiteQLAccount) -> None:
    """A transaction that ended after others brings a time of change from before theirs."""
    account.insert(range(1, 41))
    account.tick(5)
    late = account.stamp
    account.tick(5)
    account.touch(7, "on time")
    kept = held(account)
    account.touch(30, "late", stamp=late)
    proof = read(account, kept)
    assert kept.in_order == account.rows()
    assert proof.before.last_modified == proof.after.last_modified
    assert not proof.unchanged


def test_what_goes_from_one_row_to_another_without_a_word_is_seen(account: SuiteQLAccount) -> None:
    """A payment applied to another invoice of the same amount changes no sum and no time of change."""
    account.insert(range(1, 41), silent=Decimal(50))
    kept = held(account)
    account.shift(11, 12, Decimal("49.99"))
    proof = read(account, kept)
    assert kept.in_order == account.rows()
    assert proof.before.sums == proof.after.sums


@pytest.mark.parametrize("keys", [range(1, 4), range(1, 41)], ids=["one page", "many"])
def test_a_second_change_within_the_same_second_is_read_at_the_next_look(
    account: SuiteQLAccount, keys: Iterable[int]
) -> None:
    account.insert(keys)
    kept = held(account)
    account.touch(2, "first")
    proof = read(account, kept)
    account.touch(2, "second")
    assert proof.unsettled_since is not None
    assert proof.unsettled_since < account.stamp
    kept.forget_since(proof.unsettled_since)
    account.tick(60)
    again = read(account, kept)
    assert kept.in_order == account.rows()
    assert again.unsettled_since is None
    assert read(account, kept).unchanged


@pytest.mark.parametrize(
    ("seconds", "settled"),
    [(0, False), (SETTLED_AFTER - 1, False), (SETTLED_AFTER, True), (400, True), (86_400 + 400, True)],
)
def test_a_set_is_settled_some_seconds_after_its_last_change_in_whatever_zone(
    account: SuiteQLAccount, seconds: int, settled: bool
) -> None:
    account.insert(range(1, 41))
    account.tick(seconds)
    assert (read(account, Kept()).unsettled_since is None) == settled


@pytest.mark.parametrize("after", [0, 7, 200])
def test_a_row_that_changes_while_others_are_read_is_not_settled(account: SuiteQLAccount, after: int) -> None:
    """However long the reading goes on: the row was young when it was read."""
    account.insert(range(1, 41))
    account.tick(100)

    def change() -> None:
        account.tick(after)
        account.touch(3, "just now")
        account.between.append(lambda: account.tick(after))

    account.between = [lambda: None, lambda: None, change]
    proof = read(account, Kept())
    assert proof.unsettled_since is not None
    assert proof.unsettled_since <= str(proof.after.last_modified)


def test_a_set_that_never_rests_is_refused(account: SuiteQLAccount) -> None:
    account.insert(range(1, 41))
    kept = held(account)

    def again() -> None:
        account.tick()
        account.touch(9, f"at {account.stamp}")

    account.between = [again] * 100
    with pytest.raises(Incomplete, match=r"rows changed each of the 5 times.*NetSuite counts 40, 40 arrived"):
        read(account, kept)


def test_buckets_that_no_longer_fit_a_page_become_larger(account: SuiteQLAccount) -> None:
    account.insert(range(1, 2001, 2))
    kept = held(account, sizes=replace(SMALL, page=1000, buckets=900))

    def many() -> None:
        account.insert(range(3001, 4001))

    account.touch(5, "so that it is read")
    account.between = [lambda: None, many]
    read(account, kept, sizes=replace(SMALL, page=900, buckets=999))
    assert kept.in_order == account.rows()


def test_more_rows_than_one_query_gives_are_read_by_key(account: SuiteQLAccount) -> None:
    """NetSuite cuts a query off at 100,000 rows; here it does at 20."""
    account.insert(range(1, 101))

    def cut(request: httpx.Request) -> httpx.Response:
        answer = account(request)
        assert answer.json()["totalResults"] <= 20
        return answer

    kept = Kept()

    async def run() -> Proof:
        async with connect(FakeAccount([cut])) as ns:
            return await read_set(ns, ROWS, kept, sizes=Sizes(page=5, window=20, buckets=20))

    proof = asyncio.run(run())
    assert (proof.after.rows, kept.in_order) == (100, account.rows())


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_more_than_a_hundred_thousand_rows(account: SuiteQLAccount) -> None:
    """At NetSuite's own sizes."""
    account._database.execute(
        "INSERT INTO t SELECT 7 * range, range % 1000, 0, NULL, '2026-10-30 12:00:00' FROM range(105000)"
    )
    kept = Kept()
    proof = read(account, kept, sizes=Sizes())
    assert proof.after.rows == len(kept.rows) == 105_000
    assert kept.in_order == account.rows()
    account.tick(60)
    account.touch(7 * 50_000, "changed")
    account.tick(60)
    again = read(account, kept, sizes=Sizes())
    assert again.rows_read <= 105_000 / 800
    assert kept.in_order == account.rows()


def test_a_failure_within_a_window_comes_through_as_it_is(account: SuiteQLAccount) -> None:
    account.insert(range(1, 41))
    gone = "Invalid search query. Detailed unprocessed description follows. Search error occurred: Record 'transaction' was not found."

    def losing(request: httpx.Request) -> httpx.Response:
        answer = account(request)
        return answer if len(account.queries) < 5 else envelope(400, "INVALID_PARAMETER", gone)

    async def run(answers: Callable[[httpx.Request], httpx.Response]) -> None:
        async with connect(FakeAccount([answers])) as ns:
            await read_set(ns, ROWS, Kept(), sizes=SMALL)

    with pytest.raises(PermissionDenied, match=r"^Read all rows: run SuiteQL \(SELECT t\.id.*'transaction'"):
        asyncio.run(run(losing))


def test_an_unreadable_value_within_a_window_names_its_row(account: SuiteQLAccount) -> None:
    account.insert(range(1, 41))
    wrong = replace(ROWS, schema=SCHEMA.set(3, pa.field("memo", pa.int64())))
    account.touch(17, "no number")
    with pytest.raises(UnreadableValue, match="key 17 has 'no number' in column 'memo'"):
        read(account, Kept(), wrong)


def test_rows_out_of_the_roles_sight_are_told(account: SuiteQLAccount) -> None:
    account.insert(range(1, 41))
    seen = replace(ROWS, select=replace(ROWS.select, where="t.id < 40"), whole=("t t", ""))
    with pytest.raises(Incomplete, match=r"NetSuite has 40 of them and shows 39"):
        read(account, Kept(), seen)


def test_a_figure_that_is_no_number_is_refused() -> None:
    row = {"row_count": "3", "distinct_keys": "3", "low": "x"}

    async def run(answer: Mapping[str, str]) -> None:
        async with connect(FakeAccount([rows_page([dict(answer)])])) as ns:
            await read_set(ns, ROWS, Kept())

    with pytest.raises(Incomplete, match=r"'low' is 'x', which is no number"):
        asyncio.run(run(row))
    with pytest.raises(Incomplete, match=r"'low' is 1\.5, which is not a whole number"):
        asyncio.run(run(row | {"low": "1.5"}))


def test_a_set_names_its_own_columns() -> None:
    with pytest.raises(ValueError, match="not added up"):
        replace(ROWS, silent=("memo",))
    with pytest.raises(ValueError, match="not printed"):
        replace(ROWS, modified="memo")


# Anything, in any order

Happening = tuple[str, int, int, Decimal]
HAPPENINGS = st.tuples(
    st.sampled_from(["insert", "touch", "delete", "move", "late", "shift", "tick", "nothing"]),
    st.integers(-10, 90),
    st.integers(-10, 90),
    st.decimals(-100, 100, places=2),
)


class AnyAccount(RuleBasedStateMachine):
    """An account that is written to at any moment, and a landing that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.account, self.kept = SuiteQLAccount(), Kept()
        self.unsettled: str | None = None
        self.told = 0

    @initialize(keys=st.sets(st.integers(-10, 90), max_size=60))
    def begin(self, keys: set[int]) -> None:
        self.account.insert(keys, silent=Decimal(100))

    def happen(self, what: Happening) -> None:
        """One thing happens. Nobody changes a row twice in a second, but for the same reading's next look."""
        kind, key, other, amount = what
        account = self.account
        account.tick()
        self.told += 1
        memo = f"change {self.told}"
        match kind:
            case "insert" if not account.rows(f"id = {key}"):
                account.insert([key], amount=amount, silent=amount, memo=memo)
            case "touch":
                account.touch(key, memo, amount=amount)
            case "delete":
                account.delete(key)
            case "move" if key != other and not account.rows(f"id = {other}"):
                account.insert([other], amount=amount, memo=memo)
                account.delete(key)
            case "late":
                account.touch(key, memo, stamp=f"2026-10-31 11:{abs(other) % 60:02d}:{self.told % 60:02d}")
            case "shift":
                account.shift(key, other, amount)
            case "tick":
                account.tick(20)

    @rule(what=HAPPENINGS)
    def between_readings(self, what: Happening) -> None:
        self.happen(what)

    @rule(
        meanwhile=st.lists(HAPPENINGS, max_size=25), sizes=st.sampled_from([SMALL, Sizes(3, 4, 5), Sizes()])
    )
    def read_while_things_happen(self, meanwhile: list[Happening], sizes: Sizes) -> None:
        self.account.between = [lambda each=each: self.happen(each) for each in meanwhile]  # type: ignore[misc]
        try:
            self.read(sizes)
        except Incomplete:
            # As a transaction that is rolled back: what was held is not used.
            self.kept, self.unsettled = Kept(), None
        finally:
            self.account.between = []

    @rule(sizes=st.sampled_from([SMALL, Sizes(3, 4, 5)]))
    def read_in_quiet(self, sizes: Sizes) -> None:
        self.account.tick(60)
        before = self.kept.census(ROWS, None)
        proof = self.read(sizes)
        assert self.kept.in_order == self.account.rows()
        assert proof.after == self.kept.census(ROWS, None).get(0, Census())
        assert proof.unsettled_since is None
        if proof.unchanged:
            assert len(self.account.queries) == 1
            assert self.kept.census(ROWS, None) == before
        assert self.read(sizes).unchanged

    def read(self, sizes: Sizes) -> Proof:
        if self.unsettled is not None:
            self.kept.forget_since(self.unsettled)
        proof = read(self.account, self.kept, sizes=sizes)
        self.unsettled = proof.unsettled_since
        # The last request was a look, and nothing has happened since.
        assert self.kept.in_order == self.account.rows()
        return proof

    @invariant()
    def no_key_is_held_twice(self) -> None:
        keys = [row["id"] for row in self.kept.rows]
        assert len(keys) == len(set(keys))

    def teardown(self) -> None:
        self.account.close()


TestAnyAccount = AnyAccount.TestCase
TestAnyAccount.settings = settings(max_examples=30, stateful_step_count=10, deadline=None)


class TestAnyAccountAtLength(AnyAccount.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=1500, stateful_step_count=25, deadline=None)
    pytestmark: ClassVar = [pytest.mark.soak, pytest.mark.timeout(3600)]


@given(st.integers(1, 6), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_requests_that_fail_for_a_moment_lose_nothing(failures: int, chance: Any) -> None:
    account, kept = SuiteQLAccount(), Kept()
    try:
        account.insert(range(1, 41))
        left = [failures]

        def failing(request: httpx.Request) -> httpx.Response:
            if left[0] and chance.random() < 0.3:
                left[0] -= 1
                return chance.choice([
                    envelope(500, "UNEXPECTED_ERROR", "An unexpected error occurred."),
                    envelope(429, "CONCURRENCY_LIMIT_EXCEEDED", "Concurrent request limit exceeded. Request blocked."),
                    httpx.Response(503, html="<html>Service Unavailable</html>"),
                    httpx.Response(200, text='{"links":[],"count":5,"items":[{"links"'),
                ])  # fmt: skip
            return account(request)

        async def run() -> None:
            async with connect(FakeAccount([failing]), governor=governor(attempts=10)) as ns:
                await read_set(ns, ROWS, kept, sizes=SMALL)

        asyncio.run(run())
        assert kept.in_order == account.rows()
    finally:
        account.close()


def test_a_failure_that_stays_is_told(account: SuiteQLAccount) -> None:
    account.insert(range(1, 41))

    def failing(request: httpx.Request) -> httpx.Response:
        answer = account(request)
        return answer if len(account.queries) < 6 else httpx.Response(503, html="<h1>Maintenance</h1>")

    async def run() -> None:
        async with connect(FakeAccount([failing])) as ns:
            await read_set(ns, ROWS, Kept(), sizes=SMALL)

    with pytest.raises(Unavailable, match=r"It was tried 4 times.*Maintenance"):
        asyncio.run(run())
