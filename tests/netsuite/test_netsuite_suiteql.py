"""SuiteQL: values that cannot break out, windows that lose no row, and pages that must add up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fake_account import PREFIX, FakeAccount, connect, rows_page
from hypothesis import given
from hypothesis import strategies as st

from resources.netsuite.client import NetSuite
from resources.netsuite.errors import Incomplete
from resources.netsuite.pages import Page
from resources.netsuite.suiteql import Select, bind, in_lists, literal

INVOICES = Select(
    {"id": "t.id", "memo": "t.memo"}, "transaction t", "t.type = 'CustInvc' OR t.memo = 'x'", key="t.id"
)


def unquoted(sql: str) -> str:
    """The value of a quoted SQL text, read as a database does; fails unless ``sql`` is one text and nothing else."""
    assert sql[0] == sql[-1] == "'"
    inner = sql[1:-1]
    assert "'" not in inner.replace("''", "")
    return inner.replace("''", "'")


@given(st.text(st.characters(exclude_characters="\x00", codec="utf-8")))
def test_text_cannot_break_out_of_its_quotes(text: str) -> None:
    assert unquoted(literal(text)) == text


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "NULL"),
        (True, "'T'"),
        (False, "'F'"),
        (-5, "-5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.0000001"), "0.0000001"),
        (date(2026, 10, 31), "TO_DATE('2026-10-31', 'YYYY-MM-DD')"),
        (datetime(2026, 10, 31, 7, 5, 9), "TO_DATE('2026-10-31 07:05:09', 'YYYY-MM-DD HH24:MI:SS')"),  # noqa: DTZ001
    ],
)
def test_how_values_are_written(value: Any, sql: str) -> None:
    assert literal(value) == sql


@pytest.mark.parametrize("value", ["a\x00b", Decimal("NaN"), datetime(2026, 1, 1, tzinfo=UTC)])
def test_values_that_no_query_can_hold(value: Any) -> None:
    with pytest.raises(ValueError, match=r"zero byte|no number|zone"):
        literal(value)


def test_placeholders_are_filled_but_not_inside_texts_and_comments() -> None:
    query = "SELECT '?' AS a, \"?\" /* ? */ FROM t -- ?\nWHERE b = ? AND c = 'it''s ?' AND d = ?"
    assert bind(query, ["x?'y", 3]) == (
        "SELECT '?' AS a, \"?\" /* ? */ FROM t -- ?\nWHERE b = 'x?''y' AND c = 'it''s ?' AND d = 3"
    )


@pytest.mark.parametrize("params", [[], ["a"], ["a", "b", "c"]])
def test_the_number_of_values_must_be_that_of_the_placeholders(params: list[str]) -> None:
    with pytest.raises(ValueError, match=f"2 placeholders and was given {len(params)}"):
        bind("a = ? AND b = ?", params)


def test_long_lists_are_cut_at_a_thousand() -> None:
    conditions = list(in_lists("t.id", list(range(2500))))
    assert [condition.count(",") + 1 for condition in conditions] == [1000, 1000, 500]
    assert conditions[2].startswith("t.id IN (2000, 2001")
    assert list(in_lists("t.id", [])) == []
    assert list(in_lists("c.externalid", ["a'b"])) == ["c.externalid IN ('a''b')"]


def test_a_window_keeps_the_sets_own_condition_apart() -> None:
    assert INVOICES.window(after="-5", until="900", size=10) == (
        "SELECT t.id AS id, t.memo AS memo FROM transaction t WHERE (t.type = 'CustInvc' OR t.memo = 'x') "
        "AND t.id > -5 AND t.id <= 900 ORDER BY t.id FETCH FIRST 10 ROWS ONLY"
    )
    assert Select({"id": "c.id"}, "customer c", key="c.id").window() == (
        "SELECT c.id AS id FROM customer c ORDER BY c.id FETCH FIRST 1000 ROWS ONLY"
    )


@pytest.mark.parametrize("key", ["1 OR 1=1", "", "1.5", "٣", "a"])
def test_a_key_is_a_whole_number(key: str) -> None:
    with pytest.raises(ValueError, match="whole-number"):
        INVOICES.window(after=key)


def test_a_census_asks_what_proves_a_reading() -> None:
    figures = (
        "COUNT(*) AS row_count, COUNT(DISTINCT t.id) AS distinct_keys, MIN(t.id) AS low, MAX(t.id) AS high, "
        "SUM(t.id) AS key_sum, SUM(t.foreigntotal) AS total"
    )
    of = "FROM transaction t WHERE (t.type = 'CustInvc' OR t.memo = 'x')"
    assert INVOICES.census({"total": "t.foreigntotal"}) == f"SELECT {figures} {of}"
    changed = "TO_CHAR(t.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS')"
    clock = "MAX(TO_CHAR(SYSDATE, 'YYYY-MM-DD HH24:MI:SS')) AS clock"
    assert INVOICES.census({"total": "t.foreigntotal"}, modified=changed, bucket=500) == (
        f"SELECT FLOOR(t.id / 500) AS bucket, {figures}, MAX({changed}) AS last_modified, {clock} {of} "
        "GROUP BY FLOOR(t.id / 500) ORDER BY FLOOR(t.id / 500)"
    )


def test_a_set_without_a_unique_key_is_ordered_by_all_its_columns() -> None:
    links = Select(
        {"next": "l.nextdoc", "previous": "l.previousdoc", "amount": "l.foreignamount"},
        "NextTransactionLineLink l",
        key="l.nextdoc",
        unique=False,
    )
    assert links.between(after="4", until="9") == (
        "SELECT l.nextdoc AS next, l.previousdoc AS previous, l.foreignamount AS amount FROM NextTransactionLineLink l "
        "WHERE l.nextdoc > 4 AND l.nextdoc <= 9 ORDER BY l.nextdoc, l.previousdoc, l.foreignamount"
    )


def test_a_set_needs_its_key_and_lower_case_names() -> None:
    with pytest.raises(ValueError, match="key"):
        Select({"memo": "t.memo"}, "transaction t", key="t.id")
    with pytest.raises(ValueError, match="tranId"):
        Select({"id": "t.id", "tranId": "t.tranid"}, "transaction t", key="t.id")


# Reading pages


def read(
    account: FakeAccount, work: Callable[[NetSuite], AsyncIterator[Page]], **options: Any
) -> list[dict[str, str]]:
    async def run() -> list[dict[str, str]]:
        async with connect(account, **options) as ns:
            return [row async for page in work(ns) for row in page.rows()]

    return asyncio.run(run())


class Table:
    """A set of rows by whole-number id, answering windows and offset pages as the SuiteQL service does."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.queries: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = json.loads(request.content)["q"]
        self.queries.append(query)
        assert request.headers["prefer"] == "transient"
        limit, offset = (int(request.url.params[name]) for name in ("limit", "offset"))
        found = sorted(self.ids)
        if "t.id > " in query:
            found = [i for i in found if i > int(query.split("t.id > ")[1].split(" ")[0])]
        if "t.id <= " in query:
            found = [i for i in found if i <= int(query.split("t.id <= ")[1].split(" ")[0])]
        if "FETCH FIRST" in query:
            found = found[: int(query.split("FETCH FIRST ")[1].split(" ")[0])]
        page = found[offset : offset + limit]
        return rows_page(
            [{"id": str(i), "memo": f"m{i}"} for i in page],
            offset=offset,
            total=len(found),
            has_more=offset + len(page) < len(found),
        )


def test_a_query_goes_out_as_published() -> None:
    account = FakeAccount([rows_page([{"n": "3"}])])

    async def run() -> list[dict[str, str]]:
        async with connect(account) as ns:
            return await ns.suiteql_rows("SELECT COUNT(*) AS n FROM customer c WHERE c.email = ?", ["o'neil"])

    assert asyncio.run(run()) == [{"n": "3"}]
    (sent,) = account.requests
    assert sent.method == "POST"
    assert sent.url.raw_path == f"{PREFIX}/services/rest/query/v1/suiteql?limit=1000&offset=0".encode()
    assert json.loads(sent.content) == {"q": "SELECT COUNT(*) AS n FROM customer c WHERE c.email = 'o''neil'"}


def test_bound_parameters_are_sent_as_text_where_the_account_has_them() -> None:
    account = FakeAccount([rows_page([])])

    async def run() -> None:
        async with connect(account, bind_parameters=True) as ns:
            await ns.suiteql_rows(
                "SELECT 1 FROM t WHERE a > ? AND b = ? AND c = ? AND d = ?",
                [48000, "o'n", True, Decimal("1.50")],
            )

    asyncio.run(run())
    assert json.loads(account.requests[0].content) == {
        "q": "SELECT 1 FROM t WHERE a > ? AND b = ? AND c = ? AND d = ?",
        "params": ["48000", "o'n", "T", "1.50"],
    }


def test_a_small_query_with_more_than_a_page_of_rows_is_refused() -> None:
    account = FakeAccount([rows_page([{"n": "3"}], total=2, has_more=True)])

    async def run() -> None:
        async with connect(account) as ns:
            await ns.suiteql_rows("SELECT n FROM t")

    with pytest.raises(Incomplete, match="more than the one page"):
        asyncio.run(run())


@given(
    ids=st.lists(st.integers(-20, 200), unique=True, max_size=60),
    size=st.integers(1, 20),
    bounds=st.tuples(st.none() | st.integers(-30, 210), st.none() | st.integers(-30, 210)),
)
def test_every_row_of_a_set_comes_once_and_in_order(
    ids: list[int], size: int, bounds: tuple[int | None, int | None]
) -> None:
    table = Table(ids)
    after, until = (None if bound is None else str(bound) for bound in bounds)
    rows = read(
        FakeAccount([table]), lambda ns: ns.rows_keyset(INVOICES, after=after, until=until, page_size=size)
    )
    low, high = (-999 if bounds[0] is None else bounds[0]), (999 if bounds[1] is None else bounds[1])
    wanted = [i for i in sorted(ids) if low < i <= high]
    assert rows == [{"id": str(i), "memo": f"m{i}"} for i in wanted]
    assert len(table.queries) <= len(wanted) // size + 1


def test_rows_that_come_and_go_while_reading_shift_no_window() -> None:
    table = Table(list(range(0, 100, 2)))

    def changing(request: httpx.Request) -> httpx.Response:
        answer = table(request)
        if len(table.queries) == 3:
            table.ids = [i for i in table.ids if i > 5] + [1, 3]
        return answer

    rows = read(FakeAccount([changing]), lambda ns: ns.rows_keyset(INVOICES, page_size=10))
    assert [int(row["id"]) for row in rows] == list(range(0, 100, 2))


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (rows_page([{"id": "7"}, {"id": "7"}]), "does not rise"),
        (rows_page([{"id": "9"}, {"id": "7"}]), "does not rise"),
        (rows_page([{"id": "5"}]), "does not rise: 5 came after 6"),
        (rows_page([{"memo": "x"}]), "has no 'id'"),
        (rows_page([{"id": "x"}]), "not a whole number"),
        (rows_page([], has_more=True), "empty page"),
        (
            httpx.Response(
                200,
                json={"count": 2, "hasMore": False, "items": [{"id": "9"}], "offset": 0, "totalResults": 2},
            ),
            "announces 2 rows and holds 1",
        ),
    ],
)
def test_a_window_that_cannot_be_trusted_stops_the_reading(page: httpx.Response, says: str) -> None:
    with pytest.raises(Incomplete, match=says):
        read(FakeAccount([page]), lambda ns: ns.rows_keyset(INVOICES, after="6"))


def test_a_short_page_that_says_more_is_followed() -> None:
    account = FakeAccount(
        [
            rows_page([{"id": "1"}], total=9, has_more=True),
            rows_page([{"id": "2"}]),
            rows_page([{"id": "99"}]),
        ]
    )
    rows = read(account, lambda ns: ns.rows_keyset(INVOICES))
    assert [row["id"] for row in rows] == ["1", "2"]


@given(count=st.integers(0, 45), size=st.integers(1, 20))
def test_pages_by_offset_add_up(count: int, size: int) -> None:
    table = Table(list(range(count)))
    rows = read(
        FakeAccount([table]), lambda ns: ns.suiteql("SELECT id, memo FROM t ORDER BY id", page_size=size)
    )
    assert [row["id"] for row in rows] == [str(i) for i in range(count)]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([rows_page([{"id": "1"}], total=100_000, has_more=True)], "no more than 100000"),
        ([rows_page([{"id": "1"}], total=100_000, has_more=False)], "no more than 100000"),
        ([rows_page([{"id": "1"}], total=2, has_more=False)], "1 rows came of 2"),
        (
            [rows_page([{"id": "1"}], total=2, has_more=True), rows_page([{"id": "2"}], offset=1, total=3)],
            "total went from 2 to 3",
        ),
        ([rows_page([], total=2, has_more=True)], "yet more should follow"),
    ],
)
def test_pages_that_do_not_add_up_are_never_taken_for_all(answers: list[httpx.Response], says: str) -> None:
    with pytest.raises(Incomplete, match=says):
        read(FakeAccount(answers), lambda ns: ns.suiteql("SELECT id FROM t ORDER BY id", page_size=1))


@pytest.mark.parametrize("size", [0, 1001, -1])
def test_a_page_size_that_netsuite_refuses(size: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        read(FakeAccount([rows_page([])]), lambda ns: ns.suiteql("SELECT id FROM t", page_size=size))


@pytest.mark.parametrize(
    "broken",
    [
        httpx.Response(200, text='{"links":[],"count":1,"hasMore":false,"items":[{"links":[],"id":'),
        httpx.Response(200, json={"items": []}),
        httpx.Response(200, html="<html>Log in</html>"),
        httpx.Response(200, content=b""),
    ],
)
def test_a_broken_page_is_asked_for_again(broken: httpx.Response) -> None:
    account = FakeAccount([broken, rows_page([{"id": "1"}])])
    assert read(account, lambda ns: ns.suiteql("SELECT id FROM t ORDER BY id")) == [{"id": "1"}]
