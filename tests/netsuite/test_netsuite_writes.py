"""Planned writes: the same content gives the same bytes, money keeps its digits, and addresses are valid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.netsuite.writes import (
    create_request,
    delete_request,
    eid,
    encode,
    update_request,
    upsert_request,
)


def test_an_upsert_goes_to_the_external_id_and_replaces_the_lines_it_brings() -> None:
    request = upsert_request(
        "invoice", "inv-7", {"memo": "Oct", "item": {"items": [{"rate": Decimal("1.10"), "quantity": 1200}]}}
    )
    assert (request.method, request.path, request.query) == (
        "PUT",
        "/services/rest/record/v1/invoice/eid:inv-7",
        "replace=item",
    )
    assert request.body == b'{"memo":"Oct","item":{"items":[{"rate":1.10,"quantity":1200}]}}'
    assert request.record == "invoice eid:inv-7"


def test_a_sublist_that_is_not_spoken_of_is_not_replaced() -> None:
    assert upsert_request("invoice", "inv-7", {"memo": "Oct"}).query == ""
    assert (
        upsert_request("invoice", "i", {"item": {}, "x": 1}, replace=("apply", "item")).query
        == "replace=item"
    )


def test_the_other_writes() -> None:
    patch = update_request("invoice", "48112", {"memo": None}, label="invoice INV7 of Acme")
    assert (patch.method, patch.path, patch.query, patch.body) == (
        "PATCH",
        "/services/rest/record/v1/invoice/48112",
        "",
        b'{"memo":null}',
    )
    assert patch.record == "invoice INV7 of Acme"
    assert update_request("invoice", eid("a-1"), {}).path.endswith("/invoice/eid:a-1")
    post = create_request("creditMemo", {"externalId": "c"})
    assert (post.method, post.path) == ("POST", "/services/rest/record/v1/creditMemo")
    gone = delete_request("customer", "-5")
    assert (gone.method, gone.path, gone.body) == ("DELETE", "/services/rest/record/v1/customer/-5", b"")


@pytest.mark.parametrize("external_id", ["A|B", "a b", "ü", "a/b", "", "a:b", "a.b", "٣"])
def test_an_external_id_that_no_address_can_hold_is_refused_before_it_is_planned(external_id: str) -> None:
    with pytest.raises(ValueError, match="external_id rule"):
        upsert_request("invoice", external_id, {})


@pytest.mark.parametrize(
    ("record", "ref"), [("../x", "1"), ("invoice", "eid:x"), ("invoice", "1/2"), ("invoice", "")]
)
def test_an_address_cannot_be_smuggled(record: str, ref: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        update_request(record, ref, {})


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("1320.00"), b"1320.00"),
        (Decimal("1E+3"), b"1000"),
        (Decimal("0.00000001"), b"0.00000001"),
        (Decimal("-0.00"), b"0.00"),
        (Decimal("-5.50"), b"-5.50"),
        (123456789012345678901234567890, b"123456789012345678901234567890"),
        (True, b"true"),
        (date(2026, 10, 31), b'"2026-10-31"'),
        (datetime(2026, 10, 31, 7, 15, tzinfo=UTC), b'"2026-10-31T07:15:00+00:00"'),
        ("Ünïcode ☃", '"Ünïcode ☃"'.encode()),
        ((1, [2]), b"[1,[2]]"),
    ],
)
def test_how_values_are_written(value: object, written: bytes) -> None:
    assert encode({"v": value}) == b'{"v":' + written + b"}"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (1.5, "item.items\\[0\\].rate"),
        (Decimal("NaN"), "item.items\\[0\\].rate"),
        (Decimal("Infinity"), "item.items\\[0\\].rate"),
        (datetime(2026, 1, 1), "item.items\\[0\\].rate"),  # noqa: DTZ001 (the case tested)
        ("\ud800", "item.items\\[0\\].rate"),
        (b"x", "item.items\\[0\\].rate"),
        ({1: 2}, "item.items\\[0\\].rate"),
    ],
)
def test_what_cannot_be_sent_exactly_is_refused_with_its_place(value: object, place: str) -> None:
    with pytest.raises((TypeError, ValueError), match=place):
        encode({"item": {"items": [{"rate": value}]}})


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False, places=6)
    | st.decimals(min_value=Decimal("-1E30"), max_value=Decimal("1E30"), allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), children, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), values, max_size=5))
def test_every_body_reads_back_as_the_same_values_in_the_same_order(body: Mapping[str, Any]) -> None:
    written = encode(body)
    again = json.loads(written, parse_float=Decimal)
    assert again == body
    assert list(again) == list(body)
    assert encode(body) == written
    reread = json.dumps(json.loads(written, parse_float=str, parse_int=str))
    assert "E+" not in reread or "E+" in repr(body)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_is_a_plain_json_number(value: Decimal) -> None:
    number = encode({"v": value})[5:-1].decode()
    assert set(number) <= set("-.0123456789")
    assert Decimal(number) == value
