"""System notes and deleted records: who changed what, when, from what to what."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from trail_tools import ADA, NAMES, NOW, PERIOD, ROBOT, Office, rows

from netsuite_assets.extract.journals import extract_journals
from netsuite_assets.extract.payments import extract_payments
from netsuite_assets.extract.trails import Trails, extract_trails
from netsuite_assets.extract.visibility import not_visible
from resources.warehouse import TenantWarehouse

NEW_YORK = ZoneInfo("America/New_York")


def look(oneworld: Office, held: TenantWarehouse, who: str = "robot", **more: Any) -> Trails:
    return oneworld.use(lambda netsuite: extract_trails(held, netsuite, PERIOD, NOW, **more), who)


def notes(held: TenantWarehouse, internal_id: str) -> list[dict[str, Any]]:
    where = f"(SELECT * FROM netsuite.system_notes WHERE internal_id = '{internal_id}')"
    return rows(held, where, "note_no")


def test_a_changed_invoice_shows_who_changed_what_and_when(oneworld: Office, held: TenantWarehouse) -> None:
    bill = oneworld.invoice(oneworld.customer())
    oneworld.documents(held)
    look(oneworld, held)
    made = notes(held, bill)
    assert {note["changed_by"] for note in made} == {NAMES[ROBOT]}
    before = datetime.now(NEW_YORK)
    oneworld.change("invoice", bill, {"memo": "Usage of October", "terms": {"id": "2"}}, "ada")
    oneworld.invoices(held)
    trails = look(oneworld, held)
    assert trails.looked_at == 1

    # Numbers follow the time, which NetSuite tells in whole seconds.
    def told_once(note: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(note[name] for name in ("changed_at", "field", "old_value", "new_value", "changed_by"))

    known = {told_once(note) for note in made}
    later = [note for note in notes(held, bill) if told_once(note) not in known]
    assert len(later) == len(notes(held, bill)) - len(made)
    told = [(note["field"], note["old_value"], note["new_value"]) for note in later]
    assert ("MEMO", None, "Usage of October") in told
    assert ("TERMS", None, "Net 30") in told
    for note in later:
        assert (note["changed_by"], note["changed_by_id"], note["role"]) == (NAMES[ADA], ADA, "3")
        assert (note["record"], note["context"], note["period"]) == ("invoice", "REST Web Services", PERIOD)
        assert note["time_zone"] == "America/New_York"
        at = note["changed_at"].replace(tzinfo=NEW_YORK)
        assert before - timedelta(seconds=2) <= at <= datetime.now(NEW_YORK)
    number = oneworld.get("invoice", bill)["tranId"]
    assert {note["number"] for note in notes(held, bill)} == {number}


def test_notes_are_read_of_changed_documents_alone(oneworld: Office, held: TenantWarehouse) -> None:
    buyer = oneworld.customer()
    bills = [oneworld.invoice(buyer, f"{number}.00") for number in range(10, 14)]
    oneworld.documents(held)
    assert look(oneworld, held).looked_at == 4
    oneworld.queries.clear()
    assert look(oneworld, held).looked_at == 0
    # What was deleted is asked; of notes, nothing.
    assert len(oneworld.queries) <= 2
    oneworld.change("invoice", bills[2], {"memo": "x"}, "ada")
    oneworld.invoices(held)
    others = [notes(held, bill) for bill in bills[:2]]
    assert look(oneworld, held).looked_at == 1
    assert [notes(held, bill) for bill in bills[:2]] == others
    assert NAMES[ADA] in {note["changed_by"] for note in notes(held, bills[2])}


def test_notes_of_customers_with_the_same_id_are_not_the_documents(
    oneworld: Office, held: TenantWarehouse
) -> None:
    buyer = oneworld.customer(comments="one")
    bill = oneworld.invoice(buyer)
    oneworld.documents(held)
    # As if the invoice had the customer's id.
    held.sql("UPDATE netsuite.invoices SET internal_id = ?", [buyer])
    look(oneworld, held)
    assert notes(held, buyer) == []
    assert bill != buyer


def test_a_look_reads_a_bounded_number_of_documents_the_latest_changes_first(
    oneworld: Office, held: TenantWarehouse
) -> None:
    buyer = oneworld.customer()
    bills = [oneworld.invoice(buyer, f"{number}.00") for number in range(10, 15)]
    oneworld.documents(held)
    first = look(oneworld, held, most=2)
    assert first.looked_at == 2
    assert [bool(notes(held, bill)) for bill in bills] == [False, False, False, True, True]
    assert "The notes of 3 documents are not read yet" in first.warnings[-1]
    assert look(oneworld, held, most=2).looked_at == 2
    last = look(oneworld, held, most=2)
    assert last.looked_at == 1
    assert last.warnings == ()
    assert all(notes(held, bill) for bill in bills)


def test_notes_from_before_the_month_are_not_read(oneworld: Office, held: TenantWarehouse) -> None:
    later = (datetime.now(NEW_YORK) + timedelta(days=62)).strftime("%Y-%m")
    bill = oneworld.invoice(oneworld.customer(), day=f"{later}-05")
    oneworld.documents(held)
    rules = oneworld.mapping.records["invoice"]
    from netsuite_assets.extract.netsuite import extract_documents

    oneworld.use(lambda netsuite: extract_documents(held, netsuite, rules, later, NOW))
    trails = oneworld.use(lambda netsuite: extract_trails(held, netsuite, later, NOW))
    assert (trails.looked_at, notes(held, bill), trails.warnings) == (1, [], ())


def test_changes_without_a_note_are_told(oneworld: Office, held: TenantWarehouse) -> None:
    """A role without the permission System Notes sees its own changes alone: NetSuite leaves the others out."""
    oneworld.admin(
        "POST", "fill", {"customers": 1, "invoices": 3, "first": "2026-10-01", "last": "2026-10-31"}
    )
    oneworld.documents(held)
    month = f"{datetime.now(NEW_YORK):%Y-%m}"
    held.sql("UPDATE netsuite.invoices SET last_modified = ?", [f"{month}-28 10:00:00"])
    trails = look(oneworld, held)
    assert trails.looked_at == 3
    (warning,) = trails.warnings
    assert (
        warning.startswith("3 documents changed in the month and shows no system note")
        or "show no system note" in warning
    )
    assert "'System Notes'" in warning


def test_what_was_deleted_and_by_whom(oneworld: Office, held: TenantWarehouse) -> None:
    buyer = oneworld.customer()
    bill = oneworld.invoice(buyer)
    number = oneworld.get("invoice", bill)["tranId"]
    oneworld.documents(held)
    look(oneworld, held)
    kept = notes(held, bill)
    oneworld.delete("invoice", bill, "ada")
    oneworld.delete("customer", buyer)
    oneworld.invoices(held)
    look(oneworld, held)
    found = rows(held, "netsuite.deleted_records", "deleted_at, record_type DESC")
    told = [(row["record_type"], row["internal_id"], row["name"], row["deleted_by"]) for row in found]
    assert told[0] == ("Invoice", bill, f"Invoice #{number}", NAMES[ADA])
    assert told[1][:2] == ("Customer", buyer)
    assert told[1][3] == NAMES[ROBOT]
    assert found[0]["context"] == "REST Web Services"
    # NetSuite forgets a deleted record's notes; what we held of them stays.
    assert notes(held, bill) == kept


def test_a_role_that_may_not_read_deletions_is_told(oneworld: Office, held: TenantWarehouse) -> None:
    bill = oneworld.invoice(oneworld.customer())
    oneworld.documents(held)
    trails = look(oneworld, held, "clerk")
    assert "netsuite.deleted_records" not in trails.slices
    assert notes(held, bill)
    ((table, why, _, step),) = not_visible(held, ["netsuite.system_notes", "netsuite.deleted_records"])
    assert (table, why) == ("netsuite.deleted_records", "the role does not see it")
    assert "Deleted Records" in step


def test_more_notes_than_one_page_holds_are_all_read(oneworld: Office, held: TenantWarehouse) -> None:
    buyer = oneworld.customer()
    bill = oneworld.invoice(buyer)

    async def scribble(netsuite: Any) -> None:
        from resources.netsuite.writes import update_request

        for number in range(40):
            text = {name: f"{name} {number}" for name in ("memo", "message", "otherRefNum", "email")}
            await netsuite.send(update_request("invoice", bill, text))

    oneworld.use(scribble, "ada")
    oneworld.documents(held)
    look(oneworld, held)
    there = oneworld.use(
        lambda netsuite: netsuite.suiteql_rows(
            f"SELECT COUNT(*) AS n FROM systemnote WHERE recordtypeid = -30 AND recordid = {bill}"
        )
    )
    assert len(notes(held, bill)) == int(there[0]["n"]) > 160
    assert held.slice("netsuite.system_notes", PERIOD).rows == len(notes(held, bill))  # type: ignore[union-attr]


def test_payments_and_journals_are_documents_too(oneworld: Office, held: TenantWarehouse) -> None:
    buyer = oneworld.customer()
    bill = oneworld.invoice(buyer)
    apply = {"items": [{"doc": {"id": bill}, "apply": True, "amount": 100}]}
    paid = oneworld.write(
        "customerPayment",
        {
            "customer": {"id": buyer},
            "tranDate": "2026-10-20",
            "payment": 100,
            "memo": "ACH 1",
            "apply": apply,
        },
    )
    lines = [{"account": {"id": "411"}, "debit": 5}, {"account": {"id": "598"}, "credit": 5}]
    booked = oneworld.write(
        "journalEntry",
        {"subsidiary": {"id": "1"}, "tranDate": "2026-10-31", "memo": "Accrual", "line": {"items": lines}},
    )
    oneworld.documents(held)
    oneworld.use(lambda netsuite: extract_payments(held, netsuite, None, PERIOD, NOW))
    oneworld.use(lambda netsuite: extract_journals(held, netsuite, None, PERIOD, NOW))
    assert look(oneworld, held).looked_at == 3
    told = held.sql(
        "SELECT DISTINCT record, internal_id, new_value FROM netsuite.system_notes WHERE field = 'MEMO' ORDER BY 1"
    )
    assert told == [("customerPayment", paid, "ACH 1"), ("journalEntry", booked, "Accrual")]
    assert held.sql("SELECT DISTINCT record FROM netsuite.system_notes ORDER BY 1") == [
        ("customerPayment",), ("invoice",), ("journalEntry",),
    ]  # fmt: skip
