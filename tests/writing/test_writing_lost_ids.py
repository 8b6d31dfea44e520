"""Documents that lost their external id and were dated into another month are found again, and never created twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from loop_tools import Loop, Round, next_month
from writing_tools import Writing

from netsuite_assets import frames

RECORDS = {"invoice": "inv-1", "creditMemo": "cm-3", "customerPayment": "pay-4", "journalEntry": "je-5"}


@pytest.fixture
def loop(writing: Writing, tmp_path: Path) -> Iterator[Loop]:
    """Two invoices, a credit memo, a payment and a journal, all in NetSuite as billing has them."""
    made = Loop(tmp_path, writing.url, {"writeback": {"not_linked": "link"}})
    made.customer("c1")
    made.invoice("1", "10.00")
    made.invoice("2", "20.00")
    made.bill(
        "credit_notes", id="3", number=f"{made.word}CN-3", issued_on=made.day(16), currency="USD", total="5.00",
        customer_id="c1", legal_entity="us",
    )  # fmt: skip
    made.bill(
        "credit_note_lines", id="3-1", credit_note_id="3", line_no=1, amount="5.00", description="Goodwill",
        quantity="1", unit_amount="5.00",
    )  # fmt: skip
    made.payment("4", "4.00", {"1": "4.00"})
    made.bill(
        "journals", id="5", number=f"{made.word}J-5", dated_on=made.day(28), currency="USD", legal_entity="us"
    )
    for number, (account, side) in enumerate((("1150", "debit"), ("4000", "credit")), start=1):
        made.bill(
            "journal_lines",
            id=f"5-{number}",
            journal_id="5",
            line_no=number,
            account=account,
            **{side: "7.00"},
        )
    assert all(row["verified"] for row in made.run().outcomes)
    yield made
    made.close()


def documents(loop: Loop) -> dict[str, tuple[str, str]]:
    """All documents that NetSuite has of the tenant in this month and the next: external id and month by internal id."""
    rows = loop.query(
        "SELECT t.id, t.externalid, TO_CHAR(t.trandate, 'YYYY-MM') AS month FROM transaction t"
        " WHERE t.type IN ('CustInvc', 'CustCred', 'CustPymt', 'Journal')"
        f" AND TO_CHAR(t.trandate, 'YYYY-MM') IN ('{loop.period}', '{next_month(loop.period)}') ORDER BY t.id"
    )
    return {row["id"]: ((row.get("externalid") or "").removeprefix(loop.word), row["month"]) for row in rows}


def lose(loop: Loop, record: str, internal_id: str, now: str | None) -> None:
    """Somebody gives the document another external id or none, and another date and number."""
    body = {"externalId": now, "tranDate": f"{next_month(loop.period)}-03"}
    loop.write(
        f"{record}/{internal_id}",
        body | ({"otherRefNum": None} if record in ("invoice", "creditMemo") else {}),
    )


def differences(loop: Loop, period: str) -> list[tuple[str, str | None, str | None]]:
    with loop.warehouse.open("acme") as held:
        rows = frames.records(frames.read(held, frames.DIFFERENCES, period))
    return [
        (row["kind"], row["external_id"] and row["external_id"].removeprefix(loop.word), row["matched_by"])
        for row in rows
    ]


def steps(done: Round) -> set[tuple[str, str, bool | None]]:
    return {(record, action, verified) for record, action, _, verified in done.told()}


@pytest.mark.parametrize("warehouse", ["deleted", pytest.param("kept", marks=pytest.mark.soak)])
def test_documents_without_their_external_ids_in_another_month_are_linked_and_moved_back(
    loop: Loop, warehouse: str
) -> None:
    before = documents(loop)
    for place, (record, external_id) in enumerate(RECORDS.items()):
        (internal_id,) = [key for key, (shown, _) in before.items() if shown == external_id]
        lose(loop, record, internal_id, f"{loop.word}somebody-elses-{record}" if place % 2 else None)
    if warehouse == "deleted":
        shutil.rmtree(loop.folder / "warehouse")
    done = loop.run()
    assert {row["external_id"].removeprefix(loop.word) for row in done.operations} == set(RECORDS.values())
    assert steps(done) == {(record, "link", True) for record in RECORDS}
    assert {kind for kind, _, found_by in differences(loop, loop.period) if found_by == "internal_id"} >= {
        "not_linked",
        "wrong_period",
    }
    assert {action for _, action, _ in steps(loop.run())} == {"update"}
    assert documents(loop) == before
    assert frames.records(loop.plan().operations) == []


def test_the_other_month_leaves_them_alone(loop: Loop) -> None:
    before = documents(loop)
    for record, external_id in RECORDS.items():
        (internal_id,) = [key for key, (shown, _) in before.items() if shown == external_id]
        lose(loop, record, internal_id, None)
    shutil.rmtree(loop.folder / "warehouse")
    after = documents(loop)
    loop.period = next_month(loop.period)
    assert loop.is_settled()
    # They are billing's, of another month; what only NetSuite has would be removed.
    assert {row[:2] for row in differences(loop, loop.period)} == {
        ("wrong_period", one) for one in RECORDS.values()
    }
    assert {key: after[key] for key in before} == after


def test_one_that_nobody_wrote_is_found_by_its_number(loop: Loop) -> None:
    loop.write(
        "invoice",
        {
            "entity": {"externalId": f"{loop.word}cus-c1"},
            "subsidiary": {"id": "1"},
            "tranDate": f"{next_month(loop.period)}-03",
            "otherRefNum": f"{loop.word}N-6",
            "item": {"items": [{"item": {"id": "417"}, "quantity": 1, "rate": 60, "amount": 60}]},
        },
    )
    before = documents(loop)
    loop.invoice("6", "60.00")
    assert steps(loop.run()) == {("invoice", "link", True)}
    assert ("not_linked", "inv-6", "number") in differences(loop, loop.period)
    assert steps(loop.run()) == {("invoice", "update", True)}
    assert set(documents(loop)) == set(before)
