"""An invoice that billing has voided is taken back by a credit memo over what is open of it, where the tenant says so."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loop_tools import Loop, next_month
from writing_tools import Writing

from netsuite_assets import frames


@pytest.fixture
def loop(writing: Writing, tmp_path: Path) -> Iterator[Loop]:
    """One invoice of two lines that both sides hold, and that billing expects only while it is not void."""
    settings = {
        "writeback": {"voided": "credit", "only_in_netsuite": "hold"},
        "records": {"invoice": {"when": {"status": {"not": ["void", "voided"]}}}},
    }
    made = Loop(tmp_path / "loop", writing.url, settings)
    made.customer("c1")
    made.invoice("i1", "70.00")
    made.bill(
        "invoice_lines", id="i1-2", invoice_id="i1", line_no=2, amount="30.00", description="Support", quantity="3",
        unit_amount="10.00",
    )  # fmt: skip
    made.billing("UPDATE invoices SET total = '100.00' WHERE id = 'i1'")
    made.run()
    yield made
    made.close()


def void(loop: Loop, key: str = "i1") -> None:
    loop.billing("UPDATE invoices SET status = 'void' WHERE id = ?", [key])


def told(loop: Loop, contract: Any) -> list[dict[str, Any]]:
    with loop.warehouse.open("acme") as held:
        return frames.records(frames.read(held, contract, loop.period))


def differences(loop: Loop) -> list[tuple[str, str, str, str | None]]:
    rows = told(loop, frames.DIFFERENCES)
    return [
        (row["record"], (row["external_id"] or "").replace(loop.word, ""), row["kind"], row["field"])
        for row in rows
    ]


def totals(loop: Loop) -> dict[str, tuple[Decimal, Decimal]]:
    rows = told(loop, frames.TOTALS)
    return {
        row["record"]: (row["difference"], row["unexplained"]) for row in rows if row["currency"] == "USD"
    }


def credit(loop: Loop) -> dict[str, Any]:
    """The credit memo in NetSuite."""
    [row] = loop.query(
        "SELECT t.id, ABS(t.foreigntotal) AS total, t.foreignpaymentamountunused AS unused FROM transaction t"
        f" WHERE t.externalid = 'void-{loop.word}inv-i1'"
    )
    return row


def open_of(loop: Loop, key: str = "i1") -> Decimal:
    [row] = loop.query(
        f"SELECT t.foreignamountunpaid AS open FROM transaction t WHERE t.externalid = '{loop.word}inv-{key}'"
    )
    return Decimal(row["open"])


def pay(loop: Loop, amount: str) -> str:
    """A payment that somebody books in NetSuite by hand."""
    invoice = loop.get("invoice", "inv-i1")
    return loop.write(
        "customerPayment",
        {
            "customer": {"id": invoice["entity"]["id"]}, "tranDate": loop.day(20), "payment": Decimal(amount),
            "currency": {"id": invoice["currency"]["id"]},
            "apply": {"items": [{"doc": {"id": invoice["id"]}, "apply": True, "amount": Decimal(amount)}]},
        },
    )  # fmt: skip


def test_a_voided_invoice_is_credited_in_full_and_after_that_no_difference_is_left(loop: Loop) -> None:
    void(loop)
    done = loop.run()
    assert done.told() == [("creditMemo", "create", "written", True)]
    [row] = done.operations
    assert (row["external_id"], row["amount"]) == (f"void-{loop.word}inv-i1", 100)
    assert "Billing has voided invoice" in row["changes"]
    assert "USD 100.00" in row["changes"]
    assert differences(loop) == [("creditMemo", "void-inv-i1", "missing_in_netsuite", None)]
    assert open_of(loop) == 0
    assert Decimal(credit(loop)["total"]) == 100
    assert Decimal(credit(loop)["unused"] or 0) == 0
    lines = loop.query(
        "SELECT tl.foreignamount AS amount FROM transactionline tl JOIN transaction t ON t.id = tl.transaction WHERE"
        f" t.externalid = 'void-{loop.word}inv-i1' AND tl.mainline = 'F' AND tl.taxline = 'F' ORDER BY tl.linesequencenumber"
    )
    assert [abs(Decimal(line["amount"])) for line in lines] == [70, 30]
    assert loop.is_settled()
    assert differences(loop) == []
    assert totals(loop) == {"invoice": (0, 0), "creditMemo": (0, 0)}
    assert [row for row in told(loop, frames.EXCEPTIONS) if row["code"] == "only_in_netsuite"] == []


def test_a_credit_memo_that_somebody_altered_deleted_or_took_off_is_a_difference_again(loop: Loop) -> None:
    void(loop)
    loop.run()
    memo = credit(loop)["id"]
    invoice = loop.get("invoice", "inv-i1")["id"]
    taken_off = {"apply": {"items": [{"doc": {"id": invoice}, "apply": False}]}}
    loop.write(f"creditMemo/{memo}", taken_off)
    done = loop.run()
    assert done.told() == [("creditMemo", "update", "written", True)]
    assert done.operations[0]["fields"] == "apply"
    assert differences(loop) == [("creditMemo", "void-inv-i1", "changed", "apply")]
    assert open_of(loop) == 0

    loop.write(f"creditMemo/{memo}", {**taken_off, "item": {"items": [{"line": 1, "amount": Decimal(50)}]}})
    done = loop.run()
    assert done.told() == [("creditMemo", "update", "written", True)]
    assert done.operations[0]["fields"] == "apply, item"
    assert Decimal(credit(loop)["total"]) == 100
    assert open_of(loop) == 0

    loop.delete("creditMemo", memo)
    assert open_of(loop) == 100
    assert loop.run().told() == [("creditMemo", "create", "written", True)]
    assert open_of(loop) == 0


def test_a_credit_memo_that_somebody_dated_into_another_month_is_brought_back(loop: Loop) -> None:
    void(loop)
    loop.run()
    loop.write(f"creditMemo/{credit(loop)['id']}", {"tranDate": f"{next_month(loop.period)}-03"})
    done = loop.run()
    assert done.told() == [("creditMemo", "update", "written", True)]
    assert "tranDate" in done.operations[0]["fields"]
    assert loop.is_settled()


def test_of_an_invoice_that_is_paid_in_part_the_rest_is_credited(loop: Loop) -> None:
    pay(loop, "33.33")
    void(loop)
    done = loop.run()
    assert [row["amount"] for row in done.of("creditMemo")] == [Decimal("66.67")]
    assert done.told()[-1] == ("creditMemo", "create", "written", True)
    assert open_of(loop) == 0
    assert loop.run().of("creditMemo") == []
    assert [row for row in differences(loop) if row[0] in ("invoice", "creditMemo")] == []


def test_a_paid_invoice_is_a_persons_until_what_settles_it_is_taken_off(loop: Loop) -> None:
    payment = pay(loop, "100.00")
    void(loop)
    assert loop.run().of("creditMemo") == []
    [left] = [row for row in told(loop, frames.EXCEPTIONS) if row["code"] == "only_in_netsuite" and row["record"] == "invoice"]  # fmt: skip
    assert "nothing of it is open" in left["reason"]
    assert "USD 100.00" in left["reason"]
    assert "payment" in left["reason"]
    assert "refunded" in left["next_step"]
    invoice = loop.get("invoice", "inv-i1")["id"]
    loop.write(f"customerPayment/{payment}", {"apply": {"items": [{"doc": {"id": invoice}, "apply": False}]}})
    assert [row["amount"] for row in loop.run().of("creditMemo")] == [100]
    assert open_of(loop) == 0


def test_the_credit_memo_waits_like_any_document_for_its_month_and_its_first_day(
    loop: Loop, writing: Writing
) -> None:
    def planned() -> dict[str, Any]:
        [row] = [row for row in frames.records(loop.plan().operations) if row["record"] == "creditMemo"]
        return row

    void(loop)
    loop.set("writeback", cut_over={"creditMemo": loop.day(16)})
    assert "dated before" in planned()["held"]
    loop.set("writeback", cut_over={})
    writing.admin("POST", "periods", {"month": loop.period, "closed": True})
    try:
        assert f"{loop.period} is closed" in planned()["held"]
        loop.set("writeback", closed_period="next_open_period", closed_period_consent="Ana, 2026-11-02")
        moved = planned()
        assert moved["held"] is None
        assert moved["posts_in"] > loop.period
    finally:
        writing.admin("POST", "periods", {"month": loop.period, "closed": False})


def test_when_billing_takes_the_voiding_back_the_credit_memo_is_one_that_only_netsuite_has(
    loop: Loop,
) -> None:
    void(loop)
    loop.run()
    loop.billing("UPDATE invoices SET status = 'open' WHERE id = 'i1'")
    loop.plan()
    assert differences(loop) == [("creditMemo", "void-inv-i1", "only_in_netsuite", None)]
