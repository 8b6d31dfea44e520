"""Someone else changes rows while a client reads: which, how, and what NetSuite refuses to them too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sandbox_tools import PROFILES, Api, Integration, Server, start

KINDS = {
    "invoice": "CustInvc",
    "creditMemo": "CustCred",
    "customerPayment": "CustPymt",
    "customerDeposit": "CustDep",
    "journalEntry": "Journal",
}
Fresh = Callable[..., tuple[Server, Api]]


@pytest.fixture(scope="module")
def filled(public_pem: Path, private_key: ec.EllipticCurvePrivateKey) -> Iterator[Api]:
    """An account of one's own, with some of each transaction."""
    certificate = f"1234567_SB1:billing-integration:c:{public_pem}"
    server = start("--profile", str(PROFILES / "oneworld.yaml"), "--certificate", certificate)
    try:
        api = Api(server.url, "1234567-sb1", Integration("billing-integration", "c", private_key))
        order = {
            "customers": 8,
            "invoices": 40,
            "lines": 3,
            "credit_memos": 12,
            "payments": 12,
            "journals": 12,
            "deposits": 12,
        }
        api.admin("POST", "fill", order)
        yield api
    finally:
        assert server.stop() == 0


def state(api: Api, record: str) -> dict[str, tuple[Decimal, str | None]]:
    """Total and remark of each record, by id."""
    query = f"SELECT id, foreigntotal, memo FROM transaction WHERE type = '{KINDS[record]}' ORDER BY id"
    return {row["id"]: (Decimal(row["foreigntotal"]), row.get("memo")) for row in api.rows(query)}


def happen(api: Api, record: str, change: str, rows: int = 3, **more: Any) -> None:
    """Let it happen before a query that reads nothing of it."""
    rule = {"kind": "rows_changed", "record": record, "change": change, "rows": rows, "body": "FROM dual"}
    api.admin("POST", "faults", rule | more)
    assert api.rows("SELECT 1 AS n FROM dual") == [{"n": "1"}]
    assert api.admin("GET", "faults")["items"] == []


def check_books(api: Api) -> None:
    """Ledger and lines balance, and a header's total is its main line's."""
    lines = "SELECT transaction FROM {0} GROUP BY transaction HAVING SUM({1}) <> 0"
    assert api.rows(lines.format("transactionline", "foreignamount")) == []
    assert api.rows(lines.format("transactionaccountingline", "amount")) == []
    mains = (
        "SELECT t.id FROM transaction t JOIN transactionline tl ON tl.transaction = t.id AND tl.mainline = 'T' "
        "WHERE t.type IN ('CustInvc', 'CustCred') AND ABS(t.foreigntotal) <> ABS(tl.foreignamount)"
    )
    assert api.rows(mains) == []


@pytest.mark.parametrize("record", KINDS)
def test_records_are_touched(filled: Api, record: str) -> None:
    before = state(filled, record)
    happen(filled, record, "touch")
    after = state(filled, record)
    changed = [one for one in before if before[one] != after[one]]
    assert len(changed) == 3
    assert {after[one] for one in changed} == {(before[one][0], "Changed by someone else") for one in changed}
    happen(filled, record, "touch", rows=1, values={"memo": "theirs"})
    assert [memo for _, memo in state(filled, record).values()].count("theirs") == 1
    check_books(filled)


@pytest.mark.parametrize("record", KINDS)
def test_amounts_are_amended(filled: Api, record: str) -> None:
    before = state(filled, record)
    count = filled.rows("SELECT COUNT(*) AS n, MAX(uniquekey) AS k FROM transactionline")
    happen(filled, record, "amend")
    after = state(filled, record)
    assert before.keys() == after.keys()
    changed = [one for one in before if before[one] != after[one]]
    assert len(changed) == 3
    assert all(abs(after[one][0]) >= abs(before[one][0]) + 1 for one in changed)
    assert filled.rows("SELECT COUNT(*) AS n, MAX(uniquekey) AS k FROM transactionline") == count
    check_books(filled)


def test_one_line_of_a_document_is_amended(filled: Api) -> None:
    query = (
        "SELECT tl.uniquekey AS k, tl.transaction, tl.foreignamount AS a FROM transactionline tl JOIN transaction t "
        "ON t.id = tl.transaction WHERE t.type = 'CustInvc' AND tl.mainline = 'F' ORDER BY tl.uniquekey"
    )
    before = filled.rows(query)
    happen(filled, "invoice", "amend", rows=4, values={"memo": "amended"})
    changed = [(old, new) for old, new in zip(before, filled.rows(query), strict=True) if old != new]
    assert len(changed) == 4
    assert len({new["transaction"] for _, new in changed}) == 4
    assert {old["transaction"] for old, _ in changed} == {
        one for one, (_, memo) in state(filled, "invoice").items() if memo == "amended"
    }


@pytest.mark.parametrize("record", KINDS)
def test_copies_are_added(filled: Api, record: str) -> None:
    before = state(filled, record)
    happen(filled, record, "add", rows=2)
    after = state(filled, record)
    added = after.keys() - before.keys()
    assert len(added) == 2
    totals = [total for total, _ in before.values()]
    assert all(after[one][0] in totals for one in added)
    check_books(filled)


@pytest.mark.parametrize("record", KINDS)
def test_records_are_deleted_and_noted(filled: Api, record: str) -> None:
    before = state(filled, record)
    happen(filled, record, "delete", rows=2)
    gone = before.keys() - state(filled, record).keys()
    assert len(gone) == 2
    found = filled.rows(
        f"SELECT recordid, scriptid FROM deletedrecord WHERE recordid IN ({', '.join(gone)}) ORDER BY recordid"
    )
    assert [(row["recordid"], row["scriptid"]) for row in found] == [
        (one, record.lower()) for one in sorted(gone)
    ]
    linked = f"SELECT nextdoc FROM nexttransactionlinelink WHERE nextdoc IN ({', '.join(gone)}) OR previousdoc IN ({', '.join(gone)})"
    assert filled.rows(linked) == []
    check_books(filled)


def test_what_is_paid_is_not_deleted_but_another_is(fresh: Fresh) -> None:
    _, api = fresh()
    customer = api.customer()
    invoices = [api.invoice(customer, "10.00") for _ in range(8)]
    apply = {"items": [{"doc": {"id": one}, "apply": True, "amount": 10} for one in invoices[:6]]}
    api.write("POST", "customerPayment", {"customer": {"id": customer}, "payment": 60, "apply": apply})
    happen(api, "invoice", "delete", rows=2)
    assert sorted(state(api, "invoice")) == invoices[:6]
    happen(api, "invoice", "delete", rows=1)
    assert sorted(state(api, "invoice")) == invoices[:6]
    happen(api, "customerPayment", "delete", rows=1)
    happen(api, "invoice", "delete", rows=6)
    assert state(api, "invoice") == {}


def test_the_seed_chooses(fresh: Fresh) -> None:
    _, api = fresh()
    order = {"customers": 4, "invoices": 30, "lines": 2, "payments": 10, "journals": 10, "seed": 3}

    def run(record: str, change: str, seed: int) -> list[dict[str, str]]:
        api.admin("POST", "reset")
        api.admin("POST", "fill", order)
        happen(api, record, change, rows=3, seed=seed)
        query = "SELECT uniquekey, transaction, foreignamount, memo FROM transactionline ORDER BY uniquekey"
        return api.rows(query)

    for record, change in (("invoice", "amend"), ("customerPayment", "delete"), ("journalEntry", "amend")):
        first = run(record, change, 5)
        assert run(record, change, 5) == first
        assert run(record, change, 6) != first


def test_an_amount_is_amended_also_where_quantity_and_rate_make_it(turned: Api) -> None:
    """With the preference that makes amounts anew from quantity and rate."""
    customer = turned.customer()
    line = {"item": {"id": "25"}, "quantity": 4, "rate": 2.5}
    body = {"entity": {"id": customer}, "tranDate": "2026-10-15", "item": {"items": [line]}}
    turned.write("POST", "invoice", body)
    turned.invoice(customer, "8.00")
    before = sorted(total for total, _ in state(turned, "invoice").values())
    happen(turned, "invoice", "amend", rows=len(before))
    after = sorted(total for total, _ in state(turned, "invoice").values())
    assert all(new > old for old, new in zip(before, after, strict=True))


def test_a_customer_has_no_amount_to_amend(oneworld: Api) -> None:
    rule = {"kind": "rows_changed", "record": "customer", "change": "amend"}
    answer = oneworld.http.post("sandbox/faults", json=rule)
    assert (answer.status_code, "no amount" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize("name", ["oneworld", "turned"])
def test_a_payment_changes_an_invoice_with_or_without_a_later_date(
    name: str, request: pytest.FixtureRequest
) -> None:
    """Unpaid amount and status follow at once; the date moves by a switch."""
    api: Api = request.getfixturevalue(name)
    customer = api.customer()
    invoice = api.invoice(customer, "10.00")
    stamp = "TO_CHAR(lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') AS lm"
    query = f"SELECT status, foreignamountunpaid AS unpaid, foreignamountpaid AS paid, {stamp} FROM transaction WHERE id = {invoice}"
    [before] = api.rows(query)
    while api.rows("SELECT TO_CHAR(SYSDATE, 'MI:SS') AS t FROM dual")[0]["t"] == before["lm"][14:]:
        pass
    apply = {"items": [{"doc": {"id": invoice}, "apply": True, "amount": 10}]}
    payment = {"customer": {"id": customer}, "payment": 10, "tranDate": "2026-10-20", "apply": apply}
    if name == "turned":
        payment["undepFunds"] = True
    api.write("POST", "customerPayment", payment)
    [after] = api.rows(query)
    assert (before["status"], before["unpaid"], after["status"], after["unpaid"], after["paid"]) == (
        "A",
        "10",
        "B",
        "0",
        "10",
    )
    assert (after["lm"] == before["lm"]) == (name == "turned")
