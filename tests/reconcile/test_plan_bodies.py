"""Bodies made inside DuckDB are those that are made of one record in Python, byte for byte, whatever the values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, get_args

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsuite_assets.mapping.body import INTERNAL, record_body
from netsuite_assets.mapping.model import MappedField
from netsuite_assets.tables import COLUMN_TYPES
from netsuite_assets.writeback import bodies
from resources.netsuite.records import Kind
from resources.netsuite.writes import encode


def field(name: str, kind: Kind, target: str | None = None) -> MappedField:
    return MappedField(
        name, kind, target, target, "billing", "always", "", "t.yaml:1", by_external_id=target is not None
    )


FIELDS: Final = [
    *(field(f"a_{kind}", kind) for kind in get_args(Kind)),
    field("entity", "reference", "customer"),
    field("doc", "reference", "invoice"),
    field("currency", "reference"),  # in a column of another name
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


def numbers(places: int, digits: int) -> st.SearchStrategy[Decimal]:
    limit = Decimal(10) ** (digits - places) - 1
    return st.decimals(-limit, limit, places=places, allow_nan=False, allow_infinity=False)


VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "text": TEXTS, "enum": TEXTS, "reference": st.integers(1, 10**9).map(str),
    "amount": numbers(4, 18), "rate": numbers(12, 28), "quantity": numbers(10, 28),
    "integer": st.integers(-(2**63), 2**63 - 1), "boolean": st.booleans(),
    "date": st.dates(date(1000, 1, 1), date(9999, 12, 31)),
    "datetime": st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001 - a column without a zone
        lambda at: at.replace(microsecond=0)
    ),
}  # fmt: skip
OWN = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True), st.integers(1, 999).map(lambda n: f"{INTERNAL}{n}")
)


@pytest.fixture(scope="module")
def held() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    columns = ", ".join(f'"{one.column}" {COLUMN_TYPES[one.kind]}' for one in FIELDS)
    connection.execute(f"CREATE TABLE expected ({columns})")
    yield connection
    connection.close()


def bytes_of(body: dict[str, Any]) -> str:
    """As the client encodes it, but for the case of the digits by which control characters are written."""
    text = encode(body).decode()
    return re.sub(r"(?<!\\)((?:\\\\)*)\\u00([0-9a-f]{2})", lambda m: f"{m[1]}\\u00{m[2].upper()}", text)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_bytes_are_the_same(held: duckdb.DuckDBPyConnection, data: st.DataObject) -> None:
    row = {
        one.column: data.draw(st.none() | (OWN if one.by_external_id else VALUES[one.kind]), label=one.name)
        for one in FIELDS
    }
    held.execute("DELETE FROM expected")
    held.execute(
        f"INSERT INTO expected VALUES ({', '.join('?' * len(FIELDS))})", [row[one.column] for one in FIELDS]
    )
    chosen = data.draw(st.lists(st.sampled_from([one.name for one in FIELDS]), unique=True), label="chosen")
    listed = ", ".join(f"'{name}'" for name in chosen)
    found = held.execute(
        f"SELECT '{{' || {bodies.whole(FIELDS, 'e')} || '}}', '{{' || {bodies.part(FIELDS, 'e', 'names')} || '}}',"
        f" {bodies.references(FIELDS, 'e')} FROM expected e, (SELECT [{listed}]::VARCHAR[] AS names)"
    ).fetchone()
    assert found is not None
    whole = record_body(FIELDS, [], row, [], sublist="", only=None, with_lines=False)
    part = record_body(FIELDS, [], row, [], sublist="", only=chosen, with_lines=False)
    assert found[0] == bytes_of(whole)
    assert found[1] == bytes_of(part)
    assert json.loads(found[0], parse_float=Decimal, parse_int=Decimal) == json.loads(
        encode(whole), parse_float=Decimal, parse_int=Decimal
    )
    named = [("customer", row["entity"]), ("invoice", row["doc"])]
    assert found[2] == [
        f"{kind} {value}" for kind, value in named if value and not value.startswith(INTERNAL)
    ]
