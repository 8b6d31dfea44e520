"""What both sides have changed since they agreed on it is not written, and all else of the same record is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loop_tools import Loop
from writing_tools import Writing

from netsuite_assets import frames
from netsuite_assets.writeback import verify as verifying


@pytest.fixture
def loop(writing: Writing, tmp_path: Path) -> Iterator[Loop]:
    """An invoice that billing wrote, and on which both sides agree since."""
    made = Loop(tmp_path / "loop", writing.url)
    made.customer("c1")
    made.invoice("i1", "120.00")
    made.billing("UPDATE invoices SET memo = 'as agreed'")
    assert [verified for *_, verified in made.run().told()] == [True, True]
    yield made
    made.close()


def change(loop: Loop, **values: Any) -> None:
    """Somebody changes the invoice in NetSuite."""
    [row] = loop.query(f"SELECT id FROM transaction WHERE externalid = '{loop.word}inv-i1'")
    loop.write(f"invoice/{row['id']}", values)


def differences(loop: Loop) -> list[tuple[Any, ...]]:
    with loop.warehouse.open("acme") as held:
        rows = frames.records(frames.read(held, frames.DIFFERENCES, loop.period))
    return sorted((row["field"], row["base"], row["changed_side"], row["owner"]) for row in rows)


def test_a_change_on_one_side_flows_by_the_fields_owner(loop: Loop) -> None:
    change(loop, memo="by hand")
    loop.billing("UPDATE invoices SET due_on = ?", [loop.day(27)])
    done = loop.run()
    assert differences(loop) == [
        ("dueDate", loop.day(28), "billing", "billing"),
        ("memo", "as agreed", "netsuite", "billing"),
    ]
    assert done.told() == [("invoice", "update", "written", True)]
    assert loop.get("invoice", "inv-i1")["memo"] == "as agreed"


def test_what_both_changed_is_left_to_a_person_until_they_agree(loop: Loop) -> None:
    change(loop, memo="by hand")
    loop.billing("UPDATE invoices SET memo = 'corrected', due_on = ?", [loop.day(27)])
    done = loop.run()
    [operation] = done.operations
    assert operation["fields"] == "dueDate"
    assert json.loads(operation["body"]) == {"dueDate": loop.day(27)}
    # The conflict that is left takes nothing from what was written.
    assert done.told() == [("invoice", "update", "written", True)]
    with loop.warehouse.open("acme") as held:
        [conflict] = frames.records(frames.read(held, frames.EXCEPTIONS, loop.period))
    assert (conflict["code"], conflict["external_id"]) == ("conflict", f"{loop.word}inv-i1")
    assert conflict["reason"].startswith(
        "memo was as agreed on both sides; billing now says corrected, and NetSuite has by hand"
    )
    assert loop.is_settled()
    assert loop.get("invoice", "inv-i1")["memo"] == "by hand"
    loop.billing("UPDATE invoices SET memo = 'by hand'")
    assert loop.is_settled()
    loop.billing("UPDATE invoices SET memo = 'the next one'")
    assert loop.run().told() == [("invoice", "update", "written", True)]
    assert loop.get("invoice", "inv-i1")["memo"] == "the next one"


def test_lines_that_both_changed_are_not_replaced(loop: Loop) -> None:
    change(loop, item={"items": [{"line": 1, "description": "by hand"}]})
    loop.billing("UPDATE invoice_lines SET amount = '130.00', unit_amount = '130.00'")
    loop.billing("UPDATE invoices SET total = '130.00', memo = 'corrected'")
    done = loop.run()
    [operation] = done.operations
    assert (operation["fields"], operation["query"]) == ("memo", "")
    assert done.told() == [("invoice", "update", "written", True)]
    [line] = loop.get("invoice", "inv-i1")["item"]["items"]
    assert (line["description"], line["amount"]) == ("by hand", 120.0)


def test_a_value_that_somebody_changes_right_after_the_write_is_not_as_intended(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = verifying._read_again
    seen = []

    async def changed_before(*arguments: Any, **named: Any) -> Any:
        if not seen:
            seen.append(await arguments[1].send(_by_hand(loop)))
        return await read(*arguments, **named)

    monkeypatch.setattr(verifying, "_read_again", changed_before)
    loop.billing("UPDATE invoices SET memo = 'corrected'")
    [outcome] = loop.run().outcomes
    assert (outcome["state"], outcome["verified"]) == ("written", False)
    assert outcome["detail"] == "memo should be corrected; NetSuite has by hand."


def _by_hand(loop: Loop) -> Any:
    from resources.netsuite.writes import eid, update_request

    return update_request("invoice", eid(f"{loop.word}inv-i1"), {"memo": "by hand"})
