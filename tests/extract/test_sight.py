"""Records that were there and are not shown any more: explained, refused, or told as doubtful."""

from __future__ import annotations

from typing import Any

import pytest
from trail_tools import ADA, NAMES, PERIOD, Office, rows

from netsuite_assets.extract.sight import explained, untold
from resources.ledger.intents import Written
from resources.netsuite.errors import Incomplete
from resources.warehouse import TenantWarehouse

HIDE = {"kind": "rows_hidden", "share": 1, "path": "/suiteql", "times": 1}


def left(internal_id: str, period: str = PERIOD, *, deleted: bool = False) -> Written:
    """What the ledger knows of a record that we wrote."""
    return Written(period, internal_id, f"inv-{internal_id}", f"N-{internal_id}", "Nordwind Ltd", deleted)


def landed(held: TenantWarehouse) -> list[dict[str, Any]]:
    return rows(held, "netsuite.invoices", "internal_id")


def test_a_deleted_invoice_is_explained(oneworld: Office, held: TenantWarehouse) -> None:
    bill = oneworld.invoice(oneworld.customer())
    number = oneworld.get("invoice", bill)["tranId"]
    oneworld.documents(held)
    oneworld.delete("invoice", bill, "ada")
    assert oneworld.invoices(held).rows == 0
    ((record, why, detail),) = explained(held, "invoice", PERIOD)
    assert (record, why) == (f"{number} of Nordwind Ltd over USD 100.00", "deleted")
    assert f"by {NAMES[ADA]} (REST Web Services)" in detail
    # Once is enough, also where the ledger remembers it.
    oneworld.queries.clear()
    oneworld.invoices(held, written=[left(bill)])
    assert not [query for query in oneworld.queries if "deletedrecord" in query]


def test_an_invoice_that_was_dated_elsewhere_is_explained(oneworld: Office, held: TenantWarehouse) -> None:
    bill = oneworld.invoice(oneworld.customer())
    oneworld.documents(held)
    oneworld.change("invoice", bill, {"tranDate": "2026-11-02", "postingPeriod": None}, "ada")
    assert oneworld.invoices(held).rows == 0
    assert [(why, detail) for _, why, detail in explained(held, "invoice", PERIOD)] == [
        ("elsewhere", "it is dated 2026-11-02 now")
    ]


def test_hidden_invoices_are_refused_with_numbers_names_and_money(
    oneworld: Office, held: TenantWarehouse
) -> None:
    buyer = oneworld.customer()
    bills = [oneworld.invoice(buyer, "100.00"), oneworld.invoice(buyer, "20.50")]
    numbers = [oneworld.get("invoice", bill)["tranId"] for bill in bills]
    oneworld.documents(held)
    before, proof = landed(held), held.slice("netsuite.invoices", PERIOD)
    oneworld.admin("POST", "faults", HIDE)
    with pytest.raises(Incomplete) as caught:
        oneworld.invoices(held)
    words = str(caught.value)
    assert "2 invoices, together USD 120.50" in words
    for number, amount in zip(numbers, ("100.00", "20.50"), strict=True):
        assert f"{number} of Nordwind Ltd over USD {amount}" in words
    assert "Subsidiary Restrictions (Setup > Users/Roles > Manage Roles" in words
    assert (landed(held), held.slice("netsuite.invoices", PERIOD)) == (before, proof)
    oneworld.admin("DELETE", "faults")
    assert oneworld.invoices(held).rows == 2


def test_a_role_that_was_restricted_to_some_subsidiaries_is_found_out(
    oneworld: Office, held: TenantWarehouse
) -> None:
    """Of customers and of documents, of which NetSuite's own counts are right for what such a role sees."""
    here = oneworld.customer()
    there = oneworld.customer("Südwind GmbH", subsidiary={"id": "3"}, currency={"id": "2"})
    oneworld.invoice(here, "100.00")
    number = oneworld.get("invoice", oneworld.invoice(there, "20.50", subsidiary={"id": "3"}))["tranId"]
    oneworld.documents(held)
    with pytest.raises(Incomplete, match=r"1 customer \(CUST-10002 of Südwind GmbH\): there before"):
        oneworld.customers(held, "local")
    with pytest.raises(Incomplete, match=rf"1 invoice, together EUR 20.50 \({number} of "):
        oneworld.invoices(held, "local")
    assert oneworld.customers(held).rows == oneworld.invoices(held).rows == 2


def test_a_deleted_and_a_hidden_invoice_are_told_apart(oneworld: Office, held: TenantWarehouse) -> None:
    buyer = oneworld.customer()
    deleted, hidden = oneworld.invoice(buyer, "100.00"), oneworld.invoice(buyer, "20.50")
    numbers = {bill: oneworld.get("invoice", bill)["tranId"] for bill in (deleted, hidden)}
    oneworld.documents(held)
    oneworld.delete("invoice", deleted, "ada")
    oneworld.admin("POST", "faults", HIDE)
    with pytest.raises(Incomplete) as caught:
        oneworld.invoices(held)
    assert numbers[hidden] in str(caught.value)
    assert numbers[deleted] not in str(caught.value)


def test_without_the_right_to_read_deletions_it_is_a_warning_that_stays(
    oneworld: Office, held: TenantWarehouse
) -> None:
    bill = oneworld.invoice(oneworld.customer())
    number = oneworld.get("invoice", bill)["tranId"]
    oneworld.documents(held)
    oneworld.delete("invoice", bill, "ada")
    for _ in range(2):
        assert oneworld.invoices(held, "clerk").rows == 0
        warning = untold(held, "invoice", PERIOD)
        assert warning is not None
        assert (
            f"1 invoice, together USD 100.00 ({number} of Nordwind Ltd over USD 100.00): there before"
            in warning
        )
        assert "'Deleted Records'" in warning
    # As soon as the role may, it is told.
    oneworld.invoices(held)
    assert untold(held, "invoice", PERIOD) is None
    assert [why for _, why, _ in explained(held, "invoice", PERIOD)] == ["deleted"]


def test_what_the_ledger_knows_counts_where_nothing_was_held(oneworld: Office, held: TenantWarehouse) -> None:
    buyer = oneworld.customer()
    bill, other = oneworld.invoice(buyer), oneworld.invoice(buyer, day="2026-11-03")
    oneworld.reference(held)
    oneworld.customers(held)
    known = [left(bill), left(other, "2026-11")]
    assert oneworld.invoices(held, written=known).rows == 1
    held.sql("DELETE FROM netsuite.invoices")
    oneworld.admin("POST", "faults", HIDE)
    with pytest.raises(Incomplete, match=rf"1 invoice \(N-{bill} of Nordwind Ltd\)"):
        oneworld.invoices(held, written=known)


def test_what_we_deleted_ourselves_needs_no_question(oneworld: Office, held: TenantWarehouse) -> None:
    bill = oneworld.invoice(oneworld.customer())
    oneworld.documents(held)
    oneworld.delete("invoice", bill)
    oneworld.queries.clear()
    oneworld.invoices(held, "clerk", written=[left(bill, deleted=True)])
    assert not [query for query in oneworld.queries if "deletedrecord" in query]
    assert [(why, detail) for _, why, detail in explained(held, "invoice", PERIOD)] == [
        ("deleted", "by this project")
    ]


def test_a_person_may_say_that_they_are_gone_for_good(oneworld: Office, held: TenantWarehouse) -> None:
    """After a sandbox was refreshed, its former records are in no list of deletions."""
    bill = oneworld.invoice(oneworld.customer())
    oneworld.documents(held)
    oneworld.admin("POST", "reset")
    with pytest.raises(Incomplete, match="accept_as_gone"):
        oneworld.invoices(held, written=[left(bill)])
    assert oneworld.invoices(held, written=[left(bill)], accept_as_gone="Ada Byron").rows == 0
    ((_, why, detail),) = explained(held, "invoice", PERIOD)
    assert (why, detail) == ("accepted", "Ada Byron says that it is gone for good")
    assert oneworld.invoices(held, written=[left(bill)]).rows == 0


def test_hidden_and_deleted_customers(oneworld: Office, held: TenantWarehouse) -> None:
    kept, gone = oneworld.customer("Nordwind Ltd"), oneworld.customer("Südwind GmbH")
    oneworld.reference(held)
    oneworld.customers(held)
    oneworld.delete("customer", gone, "ada")
    assert oneworld.customers(held).rows == 1
    assert [why for _, why, _ in explained(held, "customer", None)] == ["deleted"]
    oneworld.admin("POST", "reset")
    with pytest.raises(Incomplete, match=r"1 customer \(.*Nordwind Ltd\)"):
        oneworld.customers(held)
    assert held.sql("SELECT internal_id FROM netsuite.customers") == [(kept,)]


def test_where_nothing_is_gone_nothing_is_asked(oneworld: Office, held: TenantWarehouse) -> None:
    buyer = oneworld.customer()
    bills = [oneworld.invoice(buyer) for _ in range(3)]
    oneworld.documents(held)
    oneworld.queries.clear()
    oneworld.invoices(held, written=[left(bill) for bill in bills])
    # Neither by id nor among the deletions.
    assert not [query for query in oneworld.queries if "deletedrecord" in query or ".id IN (" in query]


def test_a_deletion_of_another_type_explains_nothing(oneworld: Office, held: TenantWarehouse) -> None:
    """Customers and transactions have numbers of their own, so that the same one may be deleted in the other."""
    buyer = oneworld.customer()
    oneworld.reference(held)
    oneworld.customers(held)
    oneworld.delete("customer", buyer, "ada")
    with pytest.raises(Incomplete, match="not among the deleted records"):
        oneworld.invoices(held, written=[left(buyer)])
