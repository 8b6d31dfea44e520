"""Records that no external id joins: what a month's reconciliation makes of them, pass by pass."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from month import Found, Month, line, load_rules

from resources.tenants.matching import MatchSettings
from resources.warehouse import Warehouse

PLAIN = {"otherRefNum": None, "external_id": None}
"""What a document has that somebody entered by hand: no number of billing's, no external id."""


def with_matching(month: Month, **match: Any) -> None:
    """The tenant's file says this under `reconcile.match`."""
    settings = month.rules.tenant.settings
    reconcile = settings.reconcile.model_copy(update={"match": MatchSettings.model_validate(match)})
    tenant = replace(month.rules.tenant, settings=settings.model_copy(update={"reconcile": reconcile}))
    month.rules = replace(month.rules, tenant=tenant)


def asked(found: Found, code: str) -> list[dict[str, Any]]:
    """The exceptions with this code."""
    return [row for row in found.exceptions if row["code"] == code]


# One document


def test_a_document_whose_external_id_was_wiped_is_known_by_its_internal_id(october: Month) -> None:
    """Though nothing else of it is as billing has it."""
    october.reconcile()
    there = october.internal_id("inv-plain")
    october.change("inv-plain", total=Decimal("99.00"), tranDate=date(2026, 10, 1), entity="cus-c2", **PLAIN)
    found = october.reconcile()
    link = next(row for row in found.differences if row["kind"] == "not_linked")
    assert {row["kind"] for row in found.differences} == {"changed", "not_linked", "total", "wrong_customer"}
    assert link["reason"].endswith(f", without an external id: known from before by the internal id {there}.")
    assert {(row["matched_by"], row["internal_id"]) for row in found.differences} == {("internal_id", there)}
    found.assert_adds_up()


def test_another_external_id_is_said(october: Month) -> None:
    october.change("inv-plain", external_id="by-hand-7")
    row = october.reconcile().only("not_linked")
    assert (row["expected"], row["actual"], row["matched_by"]) == ("inv-plain", "by-hand-7", "number")
    assert ", with the external id by-hand-7: " in row["reason"]


def test_what_differs_in_a_matched_pair_is_told_like_in_any_other(october: Month) -> None:
    """Header, lines and total, and the deltas are those of the fields, not of two whole documents."""
    october.rules = october.rules.with_tolerance("0.01")
    october.change_line("inv-plain", 1, amount=Decimal("90.00"))
    october.change_line("inv-plain", 3, amount=Decimal("0.38"))
    october.change_line("inv-euro", 1, description="Anders")
    october.change("inv-plain", memo="by hand", external_id=None)
    october.change("inv-euro", external_id=None)
    found = october.reconcile()
    assert found.kinds == [
        ("inv-euro", "line_changed"),
        ("inv-euro", "not_linked"),
        ("inv-plain", "changed"),
        ("inv-plain", "line_changed"),
        ("inv-plain", "not_linked"),
    ]
    assert [row["delta"] for row in found.of("inv-plain")] == [0, Decimal("10.00"), 0]
    assert {row["matched_by"] for row in found.differences} == {"number"}
    assert [(row["field"], row["rule"], row["uses"]) for row in found.tolerated if row["part"] == "line"] == [
        ("amount", "amount", 1)
    ]
    (step,) = {row["next_step"] for row in asked(found, "not_linked") if row["external_id"] == "inv-plain"}
    assert step.startswith("If it is the same, give it the external id inv-plain in NetSuite")


def test_nothing_of_the_matching_stays_in_the_warehouse_but_the_ids(october: Month) -> None:
    def held() -> set[tuple[str, ...]]:
        tables = "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT temporary"
        return {*october.sql(tables), *october.sql("SELECT table_name FROM meta.row_hashes")}

    october.reconcile()
    before = held()
    october.change("inv-plain", external_id=None)
    assert october.reconcile().kinds == [("inv-plain", "not_linked")]
    assert held() == before


def test_a_pair_that_is_linked_again_is_no_difference(october: Month) -> None:
    october.change("inv-plain", external_id=None)
    october.reconcile()
    october.sql("UPDATE netsuite.invoices SET external_id = 'inv-plain' WHERE external_id IS NULL")
    assert october.reconcile().differences == []


def test_the_same_number_on_another_customers_document_is_no_proof(october: Month) -> None:
    """It may be somebody's PO number. A person says; until then it is neither taken for it nor made a second time."""
    october.change("inv-plain", external_id=None, entity="cus-c2", total=Decimal("1.00"))
    found = october.reconcile()
    assert found.kinds == [("inv-plain", "ambiguous"), (None, "ambiguous")]
    assert "one fits, but not surely: T-N-plain of 2026-10-15 over USD 1.00" in found.told[0]
    assert "it bears the number N-plain, another customer, another amount" in found.told[0]
    found.assert_adds_up()


def test_a_document_by_customer_amount_and_date(october: Month) -> None:
    october.change("inv-euro", tranDate=date(2026, 10, 18), total=Decimal("80.01"), **PLAIN)
    found = october.reconcile()
    link = next(row for row in found.differences if row["kind"] == "not_linked")
    assert link["matched_by"] == "rules"
    assert link["reason"].endswith(": the same customer and currency, 0.01 more, 3 days later."), link[
        "reason"
    ]
    found.assert_adds_up()


@pytest.mark.parametrize(
    "values",
    [
        {"tranDate": date(2026, 10, 23)},
        {"total": Decimal("80.02")},
        {"entity": "cus-c1"},
        {"currency": "USD"},
        {"otherRefNum": "PO 7"},
    ],
    ids=["date", "amount", "customer", "currency", "a number of its own"],
)
def test_a_document_beyond_the_rules_is_another(october: Month, values: dict[str, Any]) -> None:
    october.change("inv-euro", **{**PLAIN, **values})
    found = october.reconcile()
    assert {row["kind"] for row in found.differences} == {"missing_in_netsuite", "only_in_netsuite"}
    found.assert_adds_up()


def test_the_tenants_file_says_how_near_they_must_be(october: Month) -> None:
    october.change("inv-euro", tranDate=date(2026, 10, 23), total=Decimal("80.02"), **PLAIN)
    with_matching(october, invoice={"days": 8, "amount": "0.02"})
    assert "not_linked" in {row["kind"] for row in october.reconcile().differences}
    with_matching(october, invoice={"days": 8, "amount": "0.02", "passes": ["internal_id", "number"]})
    assert {row["kind"] for row in october.reconcile().differences} == {
        "missing_in_netsuite",
        "only_in_netsuite",
    }


def test_one_that_fits_with_much_against_it_is_not_taken(october: Month) -> None:
    """A week later, a cent more and about something else; but if the memo is no evidence, nothing speaks against it."""
    october.change(
        "inv-plain", tranDate=date(2026, 10, 22), total=Decimal("150.88"), memo="Setup fee", **PLAIN
    )
    found = october.reconcile()
    assert {row["kind"] for row in found.differences} == {"ambiguous"}
    assert "one fits, but not surely: T-N-plain of 2026-10-22 over USD 150.88" in found.told[0]
    assert "0.01 more, 7 days later, another memo." in found.told[0]
    with_matching(october, invoice={"evidence": ["po"]})
    assert "not_linked" in {row["kind"] for row in october.reconcile().differences}


# Several


def test_two_that_fit_are_an_exception_that_names_both(october: Month) -> None:
    october.change("inv-euro", number="INV1", **PLAIN)
    october.sql(
        "INSERT INTO netsuite.invoices SELECT * REPLACE ('41' AS internal_id, 'INV2' AS number)"
        " FROM netsuite.invoices WHERE number = 'INV1'"
    )
    found = october.reconcile()
    assert [row["kind"] for row in found.differences] == ["ambiguous"] * 3
    (exception,) = asked(found, "ambiguous")
    assert (exception["external_id"], exception["amount"]) == ("inv-euro", Decimal("80.00"))
    assert exception["reason"].startswith(
        "NetSuite may hold this invoice already, and none was taken for it: 2 invoices fit: "
    )
    for candidate in (
        "INV1 of 2026-10-15 over EUR 80.00",
        "INV2 of 2026-10-15 over EUR 80.00 (internal id 41)",
    ):
        assert candidate in exception["reason"]
    assert exception["next_step"].startswith("Give the one that is the same the external id inv-euro")
    found.assert_adds_up()


def test_the_nearest_of_several_is_not_taken(october: Month) -> None:
    """However near: that is for a person to say."""
    for key, day in (("early", 2), ("late", 27)):
        october.invoice(key, line("5.00"), issued_on=date(2026, 10, day))
    october.land()
    for key, day in (("early", 2), ("late", 25)):
        october.change(f"inv-{key}", tranDate=date(2026, 10, day), **PLAIN)
    with_matching(october, invoice={"days": 31})
    found = october.reconcile()
    assert [row["kind"] for row in found.differences] == ["ambiguous"] * 4
    assert all("2 invoices fit: " in row["reason"] for row in asked(found, "ambiguous"))
    # Nor the only one within the days, of an amount that is there on other days.
    with_matching(october, invoice={"days": 7})
    found = october.reconcile()
    assert [row["kind"] for row in found.differences] == ["ambiguous"] * 4
    assert all(
        "one fits, but not surely: " in row["reason"]
        and row["reason"].endswith(", but this customer has the amount more than once.")
        for row in asked(found, "ambiguous")
    )


@pytest.mark.parametrize("others", [False, True])
def test_a_memo_that_other_documents_have_too_tells_nothing_apart(october: Month, others: bool) -> None:
    """Whether these have their counterparts or not."""
    october.invoice("one", line("5.00"), memo="Setup")
    october.invoice("other", line("7.00"), memo="Setup" if others else "Seats")
    october.land()
    october.change("inv-one", number="INV1", **PLAIN)
    october.sql(
        "INSERT INTO netsuite.invoices SELECT * REPLACE ('41' AS internal_id, 'by hand' AS memo)"
        " FROM netsuite.invoices WHERE number = 'INV1'"
    )
    kinds = {row["kind"] for row in october.reconcile().differences}
    assert ("ambiguous" in kinds) == others
    assert ("not_linked" in kinds) == (not others)


def test_too_many_alike_are_given_up_and_it_is_said(october: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netsuite_assets.reconcile.matching.CROWD", 8)
    keys = [october.invoice(f"alike{number}", line("9.99")) for number in range(3)]
    october.land()
    for key in keys:
        october.change(key, **PLAIN)
    found = october.reconcile()
    assert [row["kind"] for row in found.differences] == ["ambiguous"] * 6
    assert set(found.told) == {
        "The search gave up: 3 documents of billing and 3 of NetSuite are this customer's and without a counterpart,"
        " too many and too alike to be told apart."
    }
    assert len(asked(found, "ambiguous")) == 3
    found.assert_adds_up()


# Groups


def test_an_invoice_that_was_split_in_netsuite(october: Month) -> None:
    october.change("inv-plain", total=Decimal("100.37"), number="INV1", **PLAIN)
    october.sql(
        "INSERT INTO netsuite.invoices SELECT * REPLACE ('41' AS internal_id, 'INV2' AS number, 50.50 AS total)"
        " FROM netsuite.invoices WHERE number = 'INV1'"
    )
    found = october.reconcile()
    assert [(row["kind"], row["delta"], row["matched_by"]) for row in found.differences] == [
        ("grouped", Decimal("150.87"), "groups"),
        ("grouped", Decimal("-50.50"), "groups"),
        ("grouped", Decimal("-100.37"), "groups"),
    ]
    (exception,) = asked(found, "grouped")
    there = october.sql("SELECT internal_id FROM netsuite.invoices WHERE number = 'INV1'")[0][0]
    assert exception["reason"] == (
        "Billing's inv-plain (N-plain) over USD 150.87 and NetSuite's INV2 of 2026-10-15 over USD 50.50 (internal id"
        f" 41), INV1 of 2026-10-15 over USD 100.37 (internal id {there}) add up to the same."
    )
    found.assert_adds_up()


def test_invoices_that_were_put_together_in_netsuite(october: Month) -> None:
    october.remove("inv-euro2")
    october.change("inv-euro", total=Decimal("100.00"), **PLAIN)
    found = october.reconcile()
    assert {row["kind"] for row in found.differences} == {"grouped"}
    assert [row["external_id"] for row in asked(found, "grouped")] == ["inv-euro", "inv-euro2"]
    found.assert_adds_up()


def test_invoices_that_were_cut_otherwise_in_netsuite(october: Month) -> None:
    october.change("inv-euro", total=Decimal("61.00"), **PLAIN)
    october.change("inv-euro2", total=Decimal("39.00"), **PLAIN)
    found = october.reconcile()
    assert [row["kind"] for row in found.differences] == ["grouped"] * 4
    found.assert_adds_up()


def test_two_ways_to_add_up_are_none(october: Month) -> None:
    for key in ("one", "two"):
        october.invoice(key, line("30.00"), customer_id="c2", currency="EUR", legal_entity="eu")
    october.land()
    october.remove("inv-euro")
    for key, total in (("euro2", "50.00"), ("one", "30.00"), ("two", "30.00")):
        october.change(f"inv-{key}", total=Decimal(total), otherRefNum=f"PO {key}", external_id=None)
    with_matching(october, invoice={"passes": ["groups"]})
    found = october.reconcile()
    assert [row["kind"] for row in found.differences] == ["ambiguous"] * 7
    (exception,) = (row for row in asked(found, "ambiguous") if row["external_id"] == "inv-euro")
    assert "3 invoices fit: " in exception["reason"]
    assert "together with others it may add up to the same" in exception["reason"]
    found.assert_adds_up()


# Payments


@pytest.mark.parametrize("known_before", [True, False])
def test_a_payment_without_its_external_id_is_no_second_one(
    month_with_payment: Month, known_before: bool
) -> None:
    month = month_with_payment
    if known_before:
        month.reconcile()
    month.change("pay-p1", external_id=None, memo="by hand", tranDate=date(2026, 10, 22))
    found = month.reconcile()
    assert {row["kind"] for row in found.differences} == {"not_linked", "changed"}
    assert {row["matched_by"] for row in found.differences} == {"internal_id" if known_before else "rules"}
    found.assert_adds_up()


@pytest.fixture
def month_with_payment(warehouse: Warehouse, tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Month]:
    """An October of acme, which maps payments, with one of them."""
    folder = Path(shutil.copytree(pytestconfig.rootpath / "tenants", tmp_path / "tenants"))
    own = folder / "acme.yaml"
    text = own.read_text(encoding="utf-8")
    own.write_text(text.replace("extends: _defaults", "extends: _payments"), encoding="utf-8")
    with warehouse.open("acme") as held:
        month = Month(held, load_rules(folder, "acme"), "2026-10")
        month.customer("c1", "Nordwind Ltd")
        month.invoice("1", line("100.00"))
        payment = {"id": "p1", "paid_on": date(2026, 10, 20), "currency": "USD", "amount": Decimal("100.00")}
        month.books.rows["payments"].append({**payment, "customer_id": "c1", "method": "card"})
        applied = {"payment_id": "p1", "invoice_id": "1", "amount": Decimal("100.00")}
        month.books.rows["payment_applications"].append(applied)
        yield month.land()


# Customers


def known(month: Month, key: str, **values: Any) -> str:
    """NetSuite's customer loses its external id and has these values instead; its internal id."""
    there = month.internal_id(key)
    month.change(key, external_id=None, **values)
    month.sql("UPDATE netsuite.invoices SET entity = ? WHERE entity = ?", [f"internal:{there}", key])
    month.sql("UPDATE netsuite.credit_memos SET entity = ? WHERE entity = ?", [f"internal:{there}", key])
    return there


def test_a_customer_by_name_and_domain_within_its_subsidiary(october: Month) -> None:
    """And its documents are no other customer's."""
    there = known(october, "cus-c1", email="billing@EXAMPLE.com", custentity_billing_id=None)
    found = october.reconcile()
    link = next(row for row in found.differences if row["kind"] == "not_linked")
    assert (link["external_id"], link["internal_id"], link["matched_by"]) == ("cus-c1", there, "name")
    assert link["reason"] == (
        f"NetSuite holds this customer as Nordwind Ltd, internal id {there}, without an external id: the same name and"
        " e-mail domain in the same subsidiary."
    )
    assert {row["record"] for row in found.differences} == {"customer"}


def test_a_customer_by_an_id_of_its_own(october: Month) -> None:
    with_matching(october, customer={"custom_id": "custentity_billing_id"})
    there = known(october, "cus-c1", companyName="Renamed SE", name="Renamed SE", email=None)
    link = next(row for row in october.reconcile().differences if row["kind"] == "not_linked")
    assert (link["internal_id"], link["matched_by"]) == (there, "custom_id")


def test_a_customer_that_is_known_from_before(october: Month) -> None:
    october.reconcile()
    there = known(october, "cus-c1", companyName="Renamed SE", name="Renamed SE", email=None)
    found = october.reconcile()
    assert {(row["internal_id"], row["matched_by"]) for row in found.differences} == {(there, "internal_id")}


@pytest.mark.parametrize(
    "values",
    [{"email": None}, {"email": "someone@elsewhere.example"}, {"companyName": "Nordwind 2 Ltd", "name": "Nordwind 2 Ltd"}],
    ids=["no address", "another domain", "similar"],
)  # fmt: skip
def test_a_name_alone_or_one_that_is_only_similar_is_no_proof(october: Month, values: dict[str, Any]) -> None:
    """Companies of a group have similar names and one domain."""
    known(october, "cus-c1", **values)
    found = october.reconcile()
    (exception,) = asked(found, "ambiguous")
    assert (exception["record"], exception["external_id"]) == ("customer", "cus-c1")
    assert (
        f"one fits, but not surely: {values.get('name', 'Nordwind Ltd')}, internal id " in exception["reason"]
    )


def test_a_mailbox_at_a_shared_domain_is_no_proof(october: Month) -> None:
    october.books.rows["customers"][0]["email"] = "nordwind@gmail.com"
    october.land()
    known(october, "cus-c1", email="other@gmail.com")
    assert asked(october.reconcile(), "ambiguous")
    october.sql("UPDATE netsuite.customers SET email = 'Nordwind@gmail.com' WHERE external_id IS NULL")
    assert not asked(october.reconcile(), "ambiguous")


def test_a_customer_of_another_subsidiary_is_another(october: Month) -> None:
    known(october, "cus-c1", subsidiary="3")
    found = october.reconcile()
    assert ("cus-c1", "missing_in_netsuite") in found.kinds


def test_two_customers_that_fit_are_refused(october: Month) -> None:
    known(october, "cus-c1")
    october.sql(
        "INSERT INTO netsuite.customers SELECT * REPLACE ('41' AS internal_id) FROM netsuite.customers"
        " WHERE external_id IS NULL"
    )
    found = october.reconcile()
    (exception,) = asked(found, "ambiguous")
    assert "2 customers fit: Nordwind Ltd, internal id 41, the same name" in exception["reason"]
    assert not [row for row in found.differences if row["kind"] == "not_linked"]


def merge(month: Month, key: str, into: str) -> None:
    """NetSuite merges a customer into another one: it is gone, and its documents are the other's."""
    month.reconcile()
    month.remove(key)
    for table in ("invoices", "credit_memos"):
        month.sql(f"UPDATE netsuite.{table} SET entity = ? WHERE entity = ?", [into, key])


def test_a_merged_customer_is_followed_to_where_its_documents_went(october: Month) -> None:
    october.sql(
        "INSERT INTO netsuite.customers SELECT * REPLACE ('41' AS internal_id, NULL AS external_id, 'Südwind AG' AS name,"
        " 'Südwind AG' AS \"companyName\") FROM netsuite.customers WHERE external_id = 'cus-c1'"
    )
    gone = october.internal_id("cus-c1")
    merge(october, "cus-c1", "internal:41")
    found = october.reconcile()
    link = next(row for row in found.differences if row["kind"] == "not_linked")
    assert (link["internal_id"], link["matched_by"]) == ("41", "merged")
    assert (
        f"merged: its internal id {gone} is gone, and its 3 documents are now of Südwind AG, internal id 41"
        in link["reason"]
    )
    assert not [row for row in found.differences if row["kind"] == "wrong_customer"]


def test_a_customer_whose_documents_went_to_several_is_followed_to_none(october: Month) -> None:
    october.sql(
        "INSERT INTO netsuite.customers SELECT * REPLACE ('41' AS internal_id, NULL AS external_id, 'Südwind AG' AS name,"
        " 'Südwind AG' AS \"companyName\") FROM netsuite.customers WHERE external_id = 'cus-c1'"
    )
    merge(october, "cus-c1", "internal:41")
    october.change("inv-plain", entity="cus-c2")
    assert not [row for row in october.reconcile().differences if row["kind"] == "not_linked"]


def test_a_customer_merged_into_another_of_billings_is_a_persons(october: Month) -> None:
    merge(october, "cus-c1", "cus-c2")
    found = october.reconcile()
    (exception,) = asked(found, "ambiguous")
    assert exception["external_id"] == "cus-c1"
    assert "has it no more: it was merged into another one, or deleted." in exception["reason"]
    assert "Its documents are now of Café Zürich 株式会社, internal id " in exception["reason"]
    assert exception["next_step"].startswith("Give the customer that took its place the external id cus-c1")


def test_a_customer_that_is_gone_is_not_made_again(october: Month) -> None:
    """Nothing tells a merge from a deletion, so a person says which it was."""
    october.reconcile()
    october.remove("cus-c2")
    for table in ("invoices", "invoice_lines"):
        october.sql(f"DELETE FROM netsuite.{table}")
    found = october.reconcile()
    assert ("cus-c2", "missing_in_netsuite") not in found.kinds
    (exception,) = asked(found, "ambiguous")
    assert exception["reason"].endswith("No document tells into which.")
