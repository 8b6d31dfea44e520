"""Customers that billing archives or drops become inactive in NetSuite, where the tenant's file says so, and come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from loop_tools import Loop
from writing_tools import Writing


@pytest.fixture
def loop(writing: Writing, tmp_path: Path) -> Iterator[Loop]:
    """Two customers that NetSuite has, too."""
    made = Loop(tmp_path / "loop", writing.url, {"writeback": {"customer_gone": "deactivate"}})
    made.customer("c1")
    made.customer("c2")
    made.invoice("i1", "10.00", customer="c1")
    for key in ("c1", "c2"):
        made.write(
            "customer",
            {
                "externalId": f"{made.word}cus-{key}",
                "companyName": f"{made.word}{key}",
                "email": made.email(key),
                "subsidiary": {"id": "1"},
                "currency": {"id": "1"},
            },
        )
    yield made
    made.close()


def inactive(loop: Loop) -> list[str]:
    rows = loop.query(
        f"SELECT id, externalid FROM customer WHERE companyname LIKE '{loop.word}%' AND isinactive = 'T' ORDER BY id"
    )
    return [str(row.get("externalid")).removeprefix(loop.word) for row in rows]


def test_customers_that_billing_archives_or_drops_become_inactive_and_active_when_it_has_them_again(
    loop: Loop,
) -> None:
    # Not billing's: without an external id, or with one of another form.
    loop.write("customer", {"companyName": f"{loop.word}other", "subsidiary": {"id": "1"}})
    loop.write(
        "customer",
        {"companyName": f"{loop.word}shop", "externalId": f"shop-{loop.word}1", "subsidiary": {"id": "1"}},
    )
    loop.billing("UPDATE customers SET is_active = '0' WHERE id = 'c1'")
    loop.billing("DELETE FROM customers WHERE id = 'c2'")
    done = loop.run()
    # The archived one's last invoice is made first.
    assert done.told() == [
        ("invoice", "create", "written", True),
        ("customer", "update", "written", True),
    ]
    gone = done.operations[1]
    assert (gone["external_id"], json.loads(gone["body"])) == (f"{loop.word}cus-c2", {"isInactive": True})
    assert gone["changes"] == "Billing does not have this customer any more; NetSuite has it active."
    assert loop.run().told() == [("customer", "update", "written", True)]
    assert inactive(loop) == ["cus-c1", "cus-c2"]

    loop.customer("c2")
    loop.billing("UPDATE customers SET is_active = NULL, email = 'new@example.com' WHERE id = 'c1'")
    done = loop.run()
    assert done.told() == [("customer", "update", "written", True)] * 2
    assert [json.loads(row["body"]) for row in done.operations] == [
        {"email": "new@example.com", "isInactive": False},
        {"isInactive": False},
    ]
    assert inactive(loop) == []
    assert loop.is_settled()


@pytest.mark.parametrize("policy", ["hold", "mapped"])
def test_activity_is_the_policys_or_the_mappings_and_never_both(loop: Loop, policy: str) -> None:
    loop.billing("DELETE FROM customers WHERE id = 'c2'")
    if policy == "hold":
        loop.set("writeback", customer_gone="hold")
    else:
        fields = {"isInactive": {"value": "false"}, "subsidiary": {"value": "1"}}
        loop.set("records", customer={"external_id": f"{loop.word}cus-{{id}}", "fields": fields})
    assert [row.record for row in loop.plan().operations.itertuples()] == ["invoice"]
