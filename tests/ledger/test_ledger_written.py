"""What the ledger knows to be in NetSuite: memory by which records that are not shown any more are missed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from resources.ledger import Event, EventKind, Ledger, NewIntent
from resources.ledger.intents import Written

NOW = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


def send(
    ledger: Ledger, action: str, target: str, *kinds: EventKind, internal_id: str | None = "48112"
) -> None:
    """A write, and what became of it in order."""
    new = NewIntent(
        operation_key=f"{action}-{target}-{len(ledger.history('acme'))}",
        record="invoice",
        target=target,
        number="N-1",
        name="Nordwind Ltd",
        action=action,
        method="PUT",
        path="/",
        query="",
        body="",
        body_hash="h",
    )
    (made,) = ledger.intend("acme", "2026-10", "p1", [new], NOW)
    for kind in kinds:
        ledger.record([Event(made.id, kind, internal_id=internal_id)], NOW)


THERE = Written("2026-10", "48112", "inv-1", "N-1", "Nordwind Ltd", is_deleted=False)


def test_what_was_written_and_read_back_is_there(ledger: Ledger) -> None:
    send(ledger, "create", "inv-1", "answered", "verified")
    assert ledger.written("acme", "invoice") == [THERE]
    assert ledger.written("acme", "creditMemo") == []
    assert ledger.written("globex", "invoice") == []


@pytest.mark.parametrize(
    "kinds", [(), ("in_doubt",), ("rejected",), ("answered",), ("answered", "mismatch"), ("not_found",)]
)
def test_what_was_not_read_back_as_intended_is_not_known_to_be_there(
    ledger: Ledger, kinds: tuple[EventKind, ...]
) -> None:
    send(ledger, "create", "inv-1", *kinds)
    assert ledger.written("acme", "invoice") == []


@pytest.mark.parametrize("kinds", [("rejected",), ("in_doubt",), ("answered",), ("answered", "mismatch")])
def test_a_later_write_that_did_not_go_well_takes_nothing_away(
    ledger: Ledger, kinds: tuple[EventKind, ...]
) -> None:
    send(ledger, "create", "inv-1", "answered", "verified")
    send(ledger, "update", "inv-1", *kinds)
    assert ledger.written("acme", "invoice") == [THERE]


@pytest.mark.parametrize("kinds", [("answered",), ("in_doubt", "adopted"), ("answered", "verified")])
def test_what_we_deleted_is_known_as_that(ledger: Ledger, kinds: tuple[EventKind, ...]) -> None:
    send(ledger, "create", "inv-1", "answered", "verified")
    send(ledger, "delete", "48112", *kinds, internal_id=None)
    (written,) = ledger.written("acme", "invoice")
    assert (written.internal_id, written.is_deleted) == ("48112", True)


@pytest.mark.parametrize("kinds", [("rejected",), ("in_doubt",), ()])
def test_a_deletion_that_did_not_happen_leaves_it_there(ledger: Ledger, kinds: tuple[EventKind, ...]) -> None:
    send(ledger, "create", "inv-1", "answered", "verified")
    send(ledger, "delete", "48112", *kinds, internal_id=None)
    assert ledger.written("acme", "invoice") == [THERE]
