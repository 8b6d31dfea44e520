"""Documents that billing has voided leave NetSuite, where the tenant's file says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loop_tools import Loop
from writing_tools import Writing

from netsuite_assets import frames


@pytest.fixture
def loop(writing: Writing, tmp_path: Path) -> Iterator[Loop]:
    """Two invoices that both sides hold, and one that NetSuite never had; voided ones are not expected."""
    condition = {"status": {"not": ["void", "voided"]}}
    settings = {
        "writeback": {"voided": "delete", "only_in_netsuite": "hold"},
        "records": {"invoice": {"when": condition}},
    }
    made = Loop(tmp_path / "loop", writing.url, settings)
    made.customer("c1")
    made.invoice("i1", "10.00")
    made.invoice("i2", "20.00")
    made.run()
    made.invoice("i3", "30.00")
    made.billing("UPDATE invoices SET status = 'void' WHERE id = 'i3'")
    yield made
    made.close()


def told(loop: Loop) -> list[tuple[str, str, str | None]]:
    with loop.warehouse.open("acme") as held:
        rows = frames.records(frames.read(held, frames.DIFFERENCES, loop.period))
    return [(row["external_id"].removeprefix(loop.word), row["kind"], row["expected"]) for row in rows]


def test_a_voided_document_is_removed_and_after_that_no_difference_is_left(loop: Loop) -> None:
    loop.billing("UPDATE invoices SET status = 'voided' WHERE id = 'i1'")
    done = loop.run()
    assert done.told() == [("invoice", "delete", "written", True)]
    [row] = done.operations
    assert (row["external_id"], row["amount"]) == (f"{loop.word}inv-i1", 10)
    assert row["changes"] == "Billing has voided this invoice; NetSuite still holds it."
    assert told(loop) == [("inv-i1", "only_in_netsuite", "voided")]
    assert loop.is_settled()
    assert told(loop) == []


def test_a_voided_document_is_a_persons_unless_the_policy_is_about_it(loop: Loop) -> None:
    """The policy for documents that billing does not have is another one."""
    loop.set("writeback", voided="hold", only_in_netsuite="delete")
    loop.billing("UPDATE invoices SET status = 'void' WHERE id = 'i1'")
    loop.billing("DELETE FROM invoices WHERE id = 'i2'")
    planned = frames.records(loop.plan().operations)
    assert [(row["external_id"], row["action"]) for row in planned] == [(f"{loop.word}inv-i2", "delete")]
    with loop.warehouse.open("acme") as held:
        rows = frames.records(frames.read(held, frames.EXCEPTIONS, loop.period))
    [left] = [row for row in rows if row["code"] == "only_in_netsuite"]
    assert left["external_id"] == f"{loop.word}inv-i1"
    assert "writeback.voided: delete" in left["next_step"]


def test_a_voided_document_that_a_payment_settles_is_netsuites_refusal(loop: Loop) -> None:
    loop.payment("p1", "10.00", {"i1": "10.00"})
    loop.run()
    loop.billing("UPDATE invoices SET status = 'void' WHERE id = 'i1'")
    states = {(record, action): state for record, action, state, _ in loop.run().told()}
    assert states["invoice", "delete"] == "rejected"
