"""A record that NetSuite holds without billing's external id is given it, where the tenant's file says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loop_tools import Loop, Round
from writing_tools import Writing

from netsuite_assets import frames
from resources.netsuite.writes import WriteRequest, create_request, delete_request


@pytest.fixture
def loop(writing: Writing, tmp_path: Path) -> Iterator[Loop]:
    """A customer with an invoice that somebody booked by hand, and one that NetSuite lacks."""
    made = Loop(tmp_path / "loop", writing.url, {"writeback": {"not_linked": "link"}})
    made.customer("c1")
    made.invoice("i1", "120.00")
    made.invoice("i2", "30.00")
    yield made
    made.close()


@pytest.fixture
def by_hand(loop: Loop) -> dict[str, str]:
    """The internal ids of the customer and the invoice that were booked by hand."""
    customer = loop.write(
        "customer",
        {"companyName": f"{loop.word}c1", "email": loop.email("c1"), "subsidiary": {"id": "1"}},
    )
    invoice = loop.write(
        "invoice",
        {
            "entity": {"id": customer},
            "subsidiary": {"id": "1"},
            "tranDate": loop.day(15),
            "otherRefNum": f"{loop.word}N-i1",
            "memo": "by hand",
            "item": {"items": [{"item": {"id": "417"}, "quantity": 1, "rate": 120, "amount": 120}]},
        },
    )
    return {"customer": customer, "invoice": invoice}


def ids(loop: Loop) -> dict[str, dict[str, Any]]:
    """The customer's documents and itself by external id, without the loop's word."""
    found = loop.query(
        f"SELECT id, externalid FROM customer WHERE externalid LIKE '{loop.word}%' ORDER BY id"
    ) + loop.query(f"SELECT id, externalid FROM transaction WHERE externalid LIKE '{loop.word}%' ORDER BY id")
    return {row["externalid"].removeprefix(loop.word): row["id"] for row in found}


def exceptions(loop: Loop) -> list[tuple[str, str, str]]:
    with loop.warehouse.open("acme") as held:
        rows = frames.records(frames.read(held, frames.EXCEPTIONS, loop.period))
    return [(row["stage"], row["code"], row["record"]) for row in rows]


def steps(done: Round) -> list[tuple[str, str, bool | None]]:
    return [(record, action, verified) for record, action, _, verified in done.told()]


def test_a_matched_pair_is_linked_and_then_corrected_like_any_other(
    loop: Loop, by_hand: dict[str, str]
) -> None:
    done = loop.run()
    assert steps(done) == [
        ("customer", "link", True),
        ("invoice", "link", True),
        ("invoice", "create", True),
    ]
    customer, invoice, new = done.operations
    assert (customer["method"], customer["query"]) == ("PATCH", "")
    assert customer["path"].endswith(f"/customer/{by_hand['customer']}")
    assert json.loads(invoice["body"]) == {"externalId": f"{loop.word}inv-i1"}
    # It moves nothing, and the plan shows the document and why it is taken for billing's.
    assert (invoice["amount"], invoice["waits_for"]) == (0, None)
    assert f"Give it the external id {loop.word}inv-i1. NetSuite holds this invoice as" in invoice["changes"]
    assert "120.00" in invoice["changes"]
    assert new["waits_for"] == f"customer {loop.word}cus-c1"
    held = ids(loop)
    assert (held["cus-c1"], held["inv-i1"]) == (by_hand["customer"], by_hand["invoice"])
    assert exceptions(loop) == []

    again = loop.run()
    # What else differs of the pair follows now that it is one.
    assert steps(again) == [("invoice", "update", True)]
    assert "memo" in again.operations[0]["fields"]
    assert ids(loop) == held
    assert loop.is_settled()


def test_what_is_to_be_linked_is_a_persons_unless_the_tenants_file_says_otherwise(
    loop: Loop, by_hand: dict[str, str]
) -> None:
    loop.set("writeback", not_linked="hold")
    planned = loop.plan()
    assert [(row["action"], row["held"] is None) for row in frames.records(planned.operations)] == [
        ("create", False)
    ]
    assert ("reconcile", "not_linked", "invoice") in exceptions(loop)
    assert ids(loop) == {}


def between(loop: Loop, monkeypatch: pytest.MonkeyPatch, request: WriteRequest) -> None:
    """Have somebody send this after the plan is made."""
    plan = loop._plan

    async def and_then(*given: Any) -> Any:
        planned = await plan(*given)
        async with loop.netsuite() as netsuite:
            await netsuite.send(request)
        return planned

    monkeypatch.setattr(loop, "_plan", and_then)


def test_an_external_id_that_another_record_has_got_is_netsuites_refusal(
    loop: Loop, by_hand: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {
        "externalId": f"{loop.word}inv-i1",
        "entity": {"id": by_hand["customer"]},
        "tranDate": loop.day(16),
        "item": {"items": [{"item": {"id": "417"}, "quantity": 1, "rate": 1, "amount": 1}]},
    }
    between(loop, monkeypatch, create_request("invoice", other))
    states = {(record, action): state for record, action, state, _ in loop.run().told()}
    assert states == {
        ("customer", "link"): "written",
        ("invoice", "link"): "rejected",
        ("invoice", "create"): "written",
    }
    assert ("apply", "rejected", "invoice") in exceptions(loop)


def test_one_that_is_gone_meanwhile_is_not_linked(
    loop: Loop, by_hand: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    between(loop, monkeypatch, delete_request("invoice", by_hand["invoice"]))
    states = {(record, action): state for record, action, state, _ in loop.run().told()}
    assert states["invoice", "link"] == "stale"
    assert ("apply", "changed_since_planned", "invoice") in exceptions(loop)


def test_a_link_whose_answer_was_lost_is_found_by_its_external_id(
    loop: Loop, writing: Writing, by_hand: dict[str, str]
) -> None:
    """Documents that name the customer follow in the same run."""
    writing.arm(kind="reset_after_commit")
    done = loop.run()
    assert done.told()[0] == ("customer", "link", "adopted", True)
    assert ("invoice", "create", True) in steps(done)
