"""Text rows become typed columns; what is not of its type is named by row and column, never made NULL."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.netsuite.arrow import RowReader, UnreadableValue, rows_to_arrow
from resources.netsuite.errors import Incomplete
from resources.netsuite.pages import Page

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        ("tranid", pa.string()),
        ("total", pa.decimal128(18, 2)),
        ("trandate", pa.date32()),
        ("changed", pa.timestamp("s")),
        ("class", pa.string()),
        ("voided", pa.bool_()),
    ]
)


def page(*rows: dict[str, Any], count: int | None = None) -> Page:
    items = msgspec.Raw(json.dumps([{"links": [], **row} for row in rows]).encode())
    size = len(rows) if count is None else count
    return Page(items, size, 0, False, size, "SELECT …")


def test_each_column_has_its_declared_type() -> None:
    batch = RowReader(SCHEMA).batch(
        page(
            {
                "voided": "F",
                "class": "7",
                "total": "1320",
                "changed": "2026-10-31 07:15:00",
                "id": "48112",
                "trandate": "2026-10-31",
                "tranid": "INV1",
            },
            {"id": "48113", "total": "-.5", "voided": "T"},
        )
    )
    assert batch.schema == SCHEMA
    assert batch.to_pylist() == [
        {
            "id": 48112,
            "tranid": "INV1",
            "total": Decimal("1320.00"),
            "trandate": date(2026, 10, 31),
            "changed": datetime(2026, 10, 31, 7, 15),  # noqa: DTZ001 (local time of the account)
            "class": "7",
            "voided": False,
        },
        {
            "id": 48113,
            "tranid": None,
            "total": Decimal("-0.50"),
            "trandate": None,
            "changed": None,
            "class": None,
            "voided": True,
        },
    ]


WANTED = {
    "id": "a whole number",
    "total": "at most 16 digits before the point and 2 after",
    "trandate": "a date like 2026-10-31",
    "changed": "a date and time like 2026-10-31 07:15:00",
    "voided": "T or F",
}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("total", "1.005"),
        ("total", "1,000"),
        ("total", ""),
        ("total", "abc"),
        ("total", "12345678901234567890"),
        ("trandate", "10/31/2026"),
        ("trandate", "2026-02-30"),
        ("changed", "31-Oct-2026"),
        ("changed", "2026-10-31"),
        ("changed", "2026-10-31 07:15"),
        ("voided", "true"),
        ("voided", ""),
        ("id", "7.5"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_named_by_row_and_column(column: str, value: str) -> None:
    good = {
        "id": "1",
        "total": "1",
        "trandate": "2026-10-31",
        "changed": "2026-10-31 00:00:00",
        "voided": "T",
    }
    with pytest.raises(UnreadableValue) as caught:
        RowReader(SCHEMA).batch(page(good, {**good, "id": "48113", column: value}, good))
    error = caught.value
    key = value if column == "id" else "48113"
    assert (error.row_key, error.column, error.value) == (key, column, value)
    said = f"The row with key {key} has '{value}' in column '{column}'"
    assert str(error).startswith(said)
    assert WANTED[column] in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_missing_value_where_there_must_be_one() -> None:
    schema = pa.schema([("id", pa.string()), pa.field("total", pa.decimal128(18, 2), nullable=False)])
    with pytest.raises(UnreadableValue, match="key 2 has no value in column 'total'"):
        RowReader(schema).batch(page({"id": "1", "total": "3"}, {"id": "2"}))


@pytest.mark.parametrize(
    "rows",
    [
        page({"id": "1", "expr1": "5"}),
        page({"id": 1}),
        page({"id": "1"}, count=2),
        Page(msgspec.Raw(b'{"a":1}'), 1, 0, False, 1, "SELECT …"),
        Page(msgspec.Raw(b'[{"links":[],"id":"1","tranid":"\xff"}]'), 1, 0, False, 1, "SELECT …"),
    ],
)
def test_rows_of_another_shape_than_asked_for_are_refused(rows: Page) -> None:
    with pytest.raises(Incomplete):
        RowReader(SCHEMA).batch(rows)


@pytest.mark.parametrize(
    "column",
    [("total", pa.float64()), ("changed", pa.timestamp("us", tz="UTC")), ("memo", pa.binary())],
    ids=["float", "zone", "bytes"],
)
def test_a_schema_that_would_lose_something_is_refused(column: tuple[str, pa.DataType]) -> None:
    with pytest.raises(ValueError, match=column[0]):
        RowReader(pa.schema([("id", pa.string()), column]))


def test_the_key_must_be_a_column() -> None:
    with pytest.raises(ValueError, match="uniquekey"):
        RowReader(SCHEMA, key="uniquekey")


def test_an_empty_page_has_the_schema() -> None:
    assert RowReader(SCHEMA).batch(page()).schema == SCHEMA


def test_pages_stream_as_batches() -> None:
    async def pages() -> AsyncIterator[Page]:
        yield page({"id": "1"})
        yield page({"id": "2"}, {"id": "3"})

    async def run() -> list[pa.RecordBatch]:
        return [batch async for batch in rows_to_arrow(pages(), SCHEMA)]

    assert pa.Table.from_batches(asyncio.run(run())).column("id").to_pylist() == [1, 2, 3]


@given(st.lists(st.none() | st.decimals(Decimal("-1E15"), Decimal("1E15"), places=2), max_size=30))
def test_money_keeps_every_digit(amounts: list[Decimal | None]) -> None:
    def printed(amount: Decimal) -> str:
        text = format(amount, "f").rstrip("0").rstrip(".") if "." in format(amount, "f") else str(amount)
        return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text

    rows = [{"id": str(i)} | ({} if a is None else {"total": printed(a)}) for i, a in enumerate(amounts)]
    schema = pa.schema([("id", pa.string()), ("total", pa.decimal128(20, 2))])
    assert RowReader(schema).batch(page(*rows)).column("total").to_pylist() == amounts


NAMES = ["id", "b_rate", "amount", "zone", "cseg_product", "memo"]


@given(st.lists(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=5)), max_size=8), st.randoms())
def test_a_value_stands_in_its_own_column_whatever_the_order(
    rows: list[dict[str, str]], random: Random
) -> None:
    shuffled = [dict(random.sample(list(row.items()), len(row))) for row in rows]
    schema = pa.schema([(name, pa.string()) for name in NAMES])
    assert RowReader(schema).batch(page(*shuffled)).to_pylist() == [
        {name: row.get(name) for name in NAMES} for row in rows
    ]
