"""Journal entries: lines, balance, accounts and subsidiaries, approval, reversal, and their rows."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox_tools import Api, unique

UNBALANCED = "Error while accessing a resource. The amounts in a journal entry must balance."


def lines(*entries: tuple[str, str, float], **more: Any) -> dict[str, Any]:
    return {
        "items": [{"account": {"id": account}, side: amount, **more} for account, side, amount in entries]
    }


def body(*entries: tuple[str, str, float], **changes: Any) -> dict[str, Any]:
    given = entries or (("411", "debit", 100.0), ("598", "credit", 100.0))
    return {"subsidiary": "1", "tranDate": "2026-10-31", "line": lines(*given)} | changes


def ledger(api: Api, journal: str) -> list[dict[str, str]]:
    query = (
        "SELECT l.account, l.debit, l.credit, l.posting, tl.foreignamount, tl.mainline FROM transactionaccountingline l "
        "JOIN transactionline tl ON tl.transaction = l.transaction AND tl.id = l.transactionline "
        "WHERE l.transaction = ? ORDER BY l.transactionline"
    )
    return api.rows(query, journal)


def test_a_journal_and_its_rows(oneworld: Api) -> None:
    customer = oneworld.customer()
    wanted = body(memo="Usage accrual", approved=True, **{"class": "7"})
    wanted["line"]["items"][0] |= {"entity": {"id": customer}, "memo": "Unbilled AR", "cseg_product": "3"}
    journal = oneworld.write("POST", "journalEntry", wanted)
    found = oneworld.full(f"journalEntry/{journal}")
    assert (found["approved"], found["isReversal"], found["status"]["id"]) == (True, False, "B")
    assert found["refName"] == f"Journal #{found['tranId']}"
    assert [(line["line"], line["account"]["id"]) for line in found["line"]["items"]] == [
        (1, "411"),
        (2, "598"),
    ]
    assert found["line"]["items"][0]["entity"]["id"] == customer
    assert oneworld.get(f"journalEntry/{journal}/line/2")["credit"] == 100
    head = "SELECT type, recordtype, status, BUILTIN.DF(status) AS shown, foreigntotal, entity, posting FROM transaction WHERE id = ?"
    assert oneworld.rows(head, journal) == [
        {
            "type": "Journal",
            "recordtype": "journalentry",
            "status": "B",
            "shown": "Journal : Approved for Posting",
            "foreigntotal": "100",
            "posting": "T",
        }
    ]
    assert ledger(oneworld, journal) == [
        {"account": "411", "debit": "100", "posting": "T", "foreignamount": "100", "mainline": "T"},
        {"account": "598", "credit": "100", "posting": "T", "foreignamount": "-100", "mainline": "F"},
    ]
    rows = "SELECT entity, memo, cseg_product FROM transactionline WHERE transaction = ? AND id = 1"
    assert oneworld.rows(rows, journal) == [{"entity": customer, "memo": "Unbilled AR", "cseg_product": "3"}]


REFUSED: list[tuple[dict[str, Any], str]] = [
    (body(("411", "debit", 100), ("598", "credit", 99.99)), UNBALANCED),
    (body(line={"items": []}), "You must enter at least one line for this transaction."),
    (
        body(line=lines(("411", "debit", 5), ("598", "credit", 5), credit=5)),
        "either a debit or a credit amount.",
    ),
    (body(line={"items": [{"account": "411"}]}), "either a debit or a credit amount."),
    (body(line={"items": [{"debit": 1}]}), "Please enter value(s) for: Account."),
    (body(("119", "debit", 5), ("598", "credit", 5)), "Please enter value(s) for: Name."),
    (body(subsidiary=None), "Please enter value(s) for: Subsidiary."),
    (
        body(("411", "debit", -5), ("598", "credit", -5)),
        "Invalid Field Value -5.00 for the following field: debit.",
    ),
    (body(tranDate="2026-07-31"), "belongs to a closed or locked period."),
    (body(department="99"), "Invalid Field Value 99 for the following field: department."),
    (
        body(reversalDate="2026-10-30"),
        "Invalid Field Value 2026-10-30 for the following field: reversalDate.",
    ),
]


@pytest.mark.parametrize(("wanted", "detail"), REFUSED)
def test_what_a_journal_must_be(oneworld: Api, wanted: dict[str, Any], detail: str) -> None:
    refused = oneworld.refused("POST", "journalEntry", wanted)
    assert refused.status == 400
    assert refused.detail.endswith(detail)


def test_a_line_is_for_the_journals_subsidiary(oneworld: Api) -> None:
    wanted = body(subsidiary="3")
    wanted["line"]["items"][1]["location"] = "5"
    assert oneworld.refused("POST", "journalEntry", wanted).error["o:errorPath"] == "line.items[1].location"
    refused = oneworld.refused(
        "POST", "journalEntry", body(("630", "debit", 1), ("598", "credit", 1), subsidiary="3")
    )
    assert refused.detail.endswith(
        "The 1800 US Deposits account cannot be used with the Acme Metering Inc : EU GmbH subsidiary."
    )


def test_an_ar_lock_stops_only_journals_of_receivables(oneworld: Api) -> None:
    oneworld.write("POST", "journalEntry", body(tranDate="2026-08-15"))
    wanted = body(("119", "debit", 5), ("598", "credit", 5), tranDate="2026-08-15")
    wanted["line"]["items"][0]["entity"] = oneworld.customer()
    assert "closed or locked" in oneworld.refused("POST", "journalEntry", wanted).detail


def test_lines_merge_by_their_number(oneworld: Api) -> None:
    journal = oneworld.write("POST", "journalEntry", body())
    change = {"line": {"items": [{"line": 1, "debit": 120}]}}
    assert oneworld.refused("PATCH", f"journalEntry/{journal}", change).detail == UNBALANCED
    change["line"]["items"].append({"account": "599", "credit": 20})
    oneworld.write("PATCH", f"journalEntry/{journal}", change)
    assert [row.get("credit") for row in ledger(oneworld, journal)] == [None, "100", "20"]
    swap = {
        "line": {"items": [{"line": 1, "credit": 120}, {"line": 2, "debit": 100}, {"line": 3, "debit": 20}]}
    }
    oneworld.write("PATCH", f"journalEntry/{journal}", swap)
    assert [row.get("debit") for row in ledger(oneworld, journal)] == [None, "100", "20"]
    replaced = {"line": lines(("411", "debit", 7), ("598", "credit", 7))}
    oneworld.write("PATCH", f"journalEntry/{journal}?replace=line", replaced)
    assert [line["line"] for line in oneworld.full(f"journalEntry/{journal}")["line"]["items"]] == [4, 5]


def test_a_foreign_journal_balances_in_the_books(oneworld: Api) -> None:
    entries = (
        ("411", "debit", 10.01),
        ("411", "debit", 10.01),
        ("411", "debit", 10.01),
        ("598", "credit", 30.03),
    )
    journal = oneworld.write("POST", "journalEntry", body(*entries, currency="2", exchangeRate=1.0825))
    rows = ledger(oneworld, journal)
    assert [row.get("debit") for row in rows] == ["10.84", "10.84", "10.84", None]
    assert rows[3]["credit"] == "32.52"


def test_a_journal_that_is_not_approved_does_not_post(oneworld: Api) -> None:
    journal = oneworld.write("POST", "journalEntry", body(approved=False, reversalDate="2026-11-01"))
    found = oneworld.get(f"journalEntry/{journal}")
    assert (found["status"], "reversalEntry" in found) == ({"id": "A", "refName": "Pending Approval"}, False)
    assert {row["posting"] for row in ledger(oneworld, journal)} == {"F"}
    oneworld.write("PATCH", f"journalEntry/{journal}", {"approved": True})
    assert {row["posting"] for row in ledger(oneworld, journal)} == {"T"}
    assert "reversalEntry" in oneworld.get(f"journalEntry/{journal}")


def test_the_reversal_is_an_entry_of_its_own(oneworld: Api) -> None:
    external = unique("je")
    journal = oneworld.write("PUT", f"journalEntry/eid:{external}", body(reversalDate="2026-11-01"))
    reversal = oneworld.get(f"journalEntry/{journal}")["reversalEntry"]["id"]
    assert reversal != journal
    found = oneworld.get(f"journalEntry/{reversal}")
    assert (found["isReversal"], found["tranDate"], found["reversalEntry"]["id"]) == (
        True,
        "2026-11-01",
        journal,
    )
    assert found["postingPeriod"]["refName"] == "Nov 2026"
    assert [(row["account"], row.get("debit"), row.get("credit")) for row in ledger(oneworld, reversal)] == [
        ("411", None, "100"),
        ("598", "100", None),
    ]
    query = "SELECT id, reversal, isreversal, reversaldate FROM transaction WHERE id IN (?, ?) ORDER BY id"
    first, second = sorted(oneworld.rows(query, journal, reversal), key=lambda row: row["isreversal"])
    assert (first["id"], first["reversal"], first["reversaldate"]) == (journal, reversal, "11/01/2026")
    assert (second["id"], second["reversal"]) == (reversal, journal)

    changed = body(("411", "debit", 30), ("598", "credit", 30), reversalDate="2026-11-02")
    oneworld.write("PUT", f"journalEntry/eid:{external}?replace=line", changed)
    assert oneworld.get(f"journalEntry/{reversal}")["tranDate"] == "2026-11-02"
    assert ledger(oneworld, reversal)[0]["credit"] == "30"
    oneworld.write("PATCH", f"journalEntry/{journal}", {"reversalDate": None})
    assert oneworld.refused("GET", f"journalEntry/{reversal}").status == 404


@pytest.mark.parametrize("first", ["original", "reversal"])
def test_deleting_a_journal_or_its_reversal(oneworld: Api, first: str) -> None:
    journal = oneworld.write("POST", "journalEntry", body(reversalDate="2026-11-01"))
    reversal = oneworld.get(f"journalEntry/{journal}")["reversalEntry"]["id"]
    if first == "reversal":
        oneworld.write("DELETE", f"journalEntry/{reversal}")
        found = oneworld.get(f"journalEntry/{journal}")
        assert not {"reversalEntry", "reversalDate"} & found.keys()
    oneworld.write("DELETE", f"journalEntry/{journal}")
    assert oneworld.rows("SELECT id FROM transaction WHERE id IN (?, ?)", journal, reversal) == []
    assert oneworld.rows("SELECT transaction FROM transactionline WHERE transaction = ?", journal) == []


def test_a_deferred_reversal_waits_for_its_day(oneworld: Api) -> None:
    wanted = body(tranDate="2026-11-01", reversalDate="2027-12-01", reversalDefer=True)
    journal = oneworld.write("POST", "journalEntry", wanted)
    assert "reversalEntry" not in oneworld.get(f"journalEntry/{journal}")


def test_a_single_company_journal_and_the_switches(turned: Api) -> None:
    given = {"items": [{"account": "1", "debit": 5}, {"account": "31", "credit": 5}]}
    journal = turned.write("POST", "journalEntry", {"tranDate": "2026-10-31", "line": given})
    assert "subsidiary" not in turned.get(f"journalEntry/{journal}")
    assert [row["mainline"] for row in ledger(turned, journal)] == ["F", "F"]
    given["items"][0]["debit"] = 6
    assert turned.refused("POST", "journalEntry", {"line": given}).detail.endswith("It does not balance.")
