"""Each kind of difference, told with its exact amount, and what is no difference at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from month import Month, line, load_rules

from netsuite_assets import frames
from resources.warehouse import IncompleteSlice


def test_sides_that_agree_differ_in_nothing(october: Month) -> None:
    found = october.reconcile()
    assert found.differences == []
    found.assert_adds_up()
    dollars = found.totals["invoice", "USD"]
    assert (dollars["billed_documents"], dollars["billed_total"]) == (3, Decimal("216.91"))
    assert (dollars["held_back_documents"], dollars["held_back_total"]) == (1, Decimal("36.04"))
    assert (dollars["netsuite_documents"], dollars["netsuite_total"]) == (2, Decimal("180.87"))


def test_a_bill_that_cannot_be_mapped_is_a_persons_and_not_a_difference(october: Month) -> None:
    [exception] = october.reconcile().exceptions
    assert (exception["code"], exception["external_id"], exception["number"]) == (
        "no_customer",
        "inv-nobody",
        "N-nobody",
    )
    assert (exception["amount"], exception["currency"]) == (Decimal("36.04"), "USD")
    assert exception["next_step"]


# Whole documents


def test_a_missing_document(october: Month) -> None:
    october.remove("inv-plain")
    found = october.reconcile()
    row = found.only("missing_in_netsuite")
    assert (row["external_id"], row["number"], row["name"]) == ("inv-plain", "N-plain", "Nordwind Ltd")
    assert (row["amount"], row["delta"], row["currency"]) == (Decimal("150.87"), Decimal("150.87"), "USD")
    assert row["expected"] == "USD 150.87"
    assert row["reason"] == "NetSuite has no invoice inv-plain."
    found.assert_adds_up()


def test_a_missing_customer_moves_no_total(october: Month) -> None:
    october.remove("cus-c2")
    found = october.reconcile()
    row = found.only("missing_in_netsuite")
    assert (row["record"], row["external_id"], row["name"]) == ("customer", "cus-c2", "Café Zürich 株式会社")
    assert (row["amount"], row["delta"]) == (0, 0)
    found.assert_adds_up()


def test_a_document_that_billing_does_not_have(october: Month) -> None:
    october.copy("inv-plain", "41", otherRefNum="PO 7", total=Decimal("3.99"), number="INV77")
    found = october.reconcile()
    row = found.only("only_in_netsuite")
    assert (row["internal_id"], row["external_id"], row["number"]) == ("41", None, "INV77")
    assert (row["amount"], row["delta"]) == (Decimal("3.99"), Decimal("-3.99"))
    assert row["actual"] == "USD 3.99"
    assert row["reason"] == "NetSuite holds this invoice; billing has no such document."
    found.assert_adds_up()


def test_a_second_copy_by_number(october: Month) -> None:
    october.copy("inv-plain", "41", total=Decimal("1.00"), tranDate=date(2026, 10, 2))
    found = october.reconcile()
    row = found.only("duplicate")
    assert (row["internal_id"], row["amount"], row["delta"]) == ("41", Decimal("1.00"), Decimal("-1.00"))
    assert row["expected"] == "once, as inv-plain"
    assert row["reason"] == "NetSuite holds this document a second time: it repeats inv-plain (N-plain)."
    found.assert_adds_up()


def test_a_second_copy_by_customer_date_and_total(october: Month) -> None:
    october.copy("inv-plain", "41", otherRefNum=None)
    row = october.reconcile().only("duplicate")
    assert row["expected"] == "once, as inv-plain"


def test_a_document_with_a_number_of_its_own_is_no_copy(october: Month) -> None:
    october.copy("inv-plain", "41", otherRefNum="PO 7")
    assert october.reconcile().only("only_in_netsuite")["internal_id"] == "41"


def test_a_copy_repeats_the_document_whose_number_it_bears(october: Month) -> None:
    """Several documents of a customer may be alike in day and total; the number says which one it is."""
    october.invoice("alike", line("100.00"), line("50.87"))
    october.land()
    october.copy("inv-plain", "41")
    row = october.reconcile().only("duplicate")
    assert row["reason"] == "NetSuite holds this document a second time: it repeats inv-plain (N-plain)."


def test_a_copy_of_documents_that_are_alike_names_one_of_them_whole(october: Month) -> None:
    october.invoice("zebra", line("5.00"), number="A")
    october.invoice("aardvark", line("5.00"), number="Z")
    october.land()
    october.copy("inv-zebra", "41", otherRefNum=None)
    row = october.reconcile().only("duplicate")
    assert row["reason"].endswith("it repeats inv-aardvark (Z).")


def test_a_document_without_its_external_id_is_not_called_a_second_one(october: Month) -> None:
    there = october.internal_id("inv-plain")
    october.change("inv-plain", external_id=None)
    found = october.reconcile()
    row = found.only("not_linked")
    assert (row["external_id"], row["internal_id"], row["matched_by"]) == ("inv-plain", there, "number")
    assert (row["field"], row["expected"], row["actual"]) == ("externalId", "inv-plain", None)
    assert row["reason"] == (
        f"NetSuite holds this invoice as T-N-plain of 2026-10-15 over USD 150.87 (internal id {there}), without an"
        " external id: it bears the number N-plain, the same customer, the same amount."
    )
    found.assert_adds_up()


def test_a_document_of_another_month_is_not_unknown(october: Month) -> None:
    october.copy("inv-plain", "41", external_id="inv-september", otherRefNum="N-september", total=Decimal(7))
    found = october.reconcile()
    row = found.only("wrong_period")
    assert (row["expected"], row["delta"]) == ("2026-09", Decimal("-7.00"))
    assert row["reason"] == (
        "NetSuite dates it in this month; billing issued it on 2026-09-30."
        " The reconciliation of that month corrects it."
    )
    found.assert_adds_up()


def test_a_document_dated_in_another_month(october: Month) -> None:
    october.change("inv-plain", tranDate=date(2026, 11, 1), dated_in="2026-11")
    found = october.reconcile()
    assert found.kinds == [("inv-plain", "changed"), ("inv-plain", "wrong_period")]
    date_row, row = found.differences
    assert (date_row["field"], date_row["expected"], date_row["actual"]) == (
        "tranDate",
        "2026-10-15",
        "2026-11-01",
    )
    assert (row["expected"], row["actual"]) == ("2026-10", "2026-11")
    assert (row["amount"], row["delta"]) == (Decimal("150.87"), Decimal("150.87"))
    assert row["reason"] == "NetSuite dates it in 2026-11; billing issued it in 2026-10."
    found.assert_adds_up()


def test_a_held_back_document_that_netsuite_has(october: Month) -> None:
    october.copy("inv-plain", "41", external_id="inv-nobody", otherRefNum="N-nobody", total=Decimal("36.04"))
    found = october.reconcile()
    row = found.only("not_comparable")
    assert (row["external_id"], row["internal_id"], row["owner"]) == ("inv-nobody", "41", "netsuite")
    assert (row["amount"], row["delta"]) == (Decimal("36.04"), Decimal("-36.04"))
    assert row["reason"].startswith(
        "NetSuite holds it, but billing's invoice cannot be mapped: Invoice N-nobody"
    )
    found.assert_adds_up()


def test_a_held_back_document_that_netsuite_dates_elsewhere(october: Month) -> None:
    """It is not in NetSuite's total of the month, so it explains nothing of it."""
    october.copy(
        "inv-plain", "41", external_id="inv-nobody", otherRefNum="N-nobody",
        tranDate=date(2026, 11, 2), dated_in="2026-11",
    )  # fmt: skip
    found = october.reconcile()
    assert found.only("not_comparable")["delta"] == 0
    found.assert_adds_up()


# Fields


def test_changed_fields(october: Month) -> None:
    october.change(
        "inv-plain", memo="September usage", otherRefNum="N-planned", tranDate=date(2026, 10, 16), terms=None,
        cseg_product="2",
    )  # fmt: skip
    found = october.reconcile()
    assert {(row["kind"], row["amount"], row["delta"], row["line"]) for row in found.differences} == {
        ("changed", 0, 0, None)
    }
    assert [(row["field"], row["expected"], row["actual"]) for row in found.differences] == [
        ("cseg_product", "Metering", "Storage"),
        ("memo", "October usage", "September usage"),
        ("otherRefNum", "N-plain", "N-planned"),
        ("terms", "Net 30", None),
        ("tranDate", "2026-10-15", "2026-10-16"),
    ]
    assert found.told[1] == "memo should be October usage; NetSuite has September usage."
    assert found.told[3] == "terms should be Net 30; NetSuite has nothing."
    found.assert_adds_up()


def test_a_field_that_should_be_empty(october: Month) -> None:
    october.change("inv-euro", memo="by hand")
    assert october.reconcile().only("changed")["reason"] == "memo should be empty; NetSuite has by hand."


def test_a_changed_customer_record(october: Month) -> None:
    october.change("cus-c1", email="old@example.com")
    row = october.reconcile().only("changed")
    assert (row["record"], row["field"], row["actual"]) == ("customer", "email", "old@example.com")


def test_another_customer(october: Month) -> None:
    october.change("inv-plain", entity="cus-c2")
    found = october.reconcile()
    row = found.only("wrong_customer")
    assert (row["field"], row["amount"], row["delta"]) == ("entity", Decimal("150.87"), 0)
    assert row["reason"] == (
        "entity should be Nordwind Ltd (cus-c1); NetSuite has Café Zürich 株式会社 (cus-c2)."
    )
    found.assert_adds_up()


def test_a_customer_that_billing_does_not_know_is_named_as_netsuite_does(october: Month) -> None:
    rows = (
        "INSERT INTO netsuite.customers (internal_id, external_id, name) VALUES ('812', NULL, 'Südwind AG'),"
    )
    october.sql(f"{rows} ('813', 'cus-old', 'Westwind SA')")
    october.prove()
    for entity, shown in (
        ("internal:812", "Südwind AG (internal id 812)"),
        ("cus-old", "Westwind SA (cus-old)"),
        ("internal:999", "internal:999"),
    ):
        october.change("inv-plain", entity=entity)
        assert october.reconcile().only("wrong_customer")["actual"] == shown


def test_another_subsidiary(october: Month) -> None:
    october.change("inv-plain", subsidiary="3")
    found = october.reconcile()
    row = found.only("wrong_subsidiary")
    assert (row["field"], row["amount"], row["delta"]) == ("subsidiary", Decimal("150.87"), 0)
    assert row["reason"] == "subsidiary should be Acme Inc.; NetSuite has Acme GmbH."
    found.assert_adds_up()


def test_a_customers_own_subsidiary_and_currency_are_fields_like_others(october: Month) -> None:
    october.change("cus-c1", subsidiary="3", currency="EUR")
    assert [(row["kind"], row["field"]) for row in october.reconcile().differences] == [
        ("changed", "currency"),
        ("changed", "subsidiary"),
    ]


def test_another_currency_moves_both_totals(october: Month) -> None:
    october.change("inv-plain", currency="EUR")
    found = october.reconcile()
    assert [(row["kind"], row["currency"], row["delta"]) for row in found.of("inv-plain")] == [
        ("wrong_currency", "USD", Decimal("150.87")),
        ("wrong_currency", "EUR", Decimal("-150.87")),
    ]
    assert found.told == [
        "currency should be USD; NetSuite has EUR.",
        "NetSuite counts it among its EUR: EUR 150.87.",
    ]
    found.assert_adds_up()


def test_another_currency_and_another_amount(october: Month) -> None:
    october.change("inv-plain", currency="EUR")
    october.change_line("inv-plain", 1, amount=Decimal("60.00"))
    october.reconcile().assert_adds_up()


# Lines


def test_a_missing_line(october: Month) -> None:
    october.remove_line("inv-plain", 2)
    found = october.reconcile()
    row = found.only("line_missing")
    assert (row["line"], row["field"]) == ("2", None)
    assert (row["amount"], row["delta"]) == (Decimal("50.50"), Decimal("50.50"))
    assert row["expected"] == "seats, Seats, USD 50.50"
    assert row["reason"] == "NetSuite lacks the line: seats, Seats, USD 50.50."
    found.assert_adds_up()


def test_a_line_too_many(october: Month) -> None:
    october.add_line("inv-plain", like=1, description="Setup fee", amount=Decimal("9.99"))
    found = october.reconcile()
    row = found.only("line_extra")
    assert (row["line"], row["amount"], row["delta"]) == ("4", Decimal("9.99"), Decimal("-9.99"))
    assert row["actual"] == "usage, Setup fee, USD 9.99"
    assert row["reason"] == "NetSuite has a line too many: usage, Setup fee, USD 9.99."
    found.assert_adds_up()


def test_a_changed_line(october: Month) -> None:
    october.change_line("inv-plain", 2, quantity=Decimal(4), amount=Decimal("40.40"))
    found = october.reconcile()
    quantity, amount = sorted(found.differences, key=lambda row: row["field"], reverse=True)
    assert {row["kind"] for row in found.differences} == {"line_changed"}
    assert (amount["line"], amount["field"]) == ("2", "amount")
    assert (amount["amount"], amount["delta"]) == (Decimal("10.10"), Decimal("10.10"))
    assert amount["reason"] == "Line 2: amount should be 50.5; NetSuite has 40.4."
    assert (quantity["field"], quantity["expected"], quantity["actual"]) == ("quantity", "5", "4")
    assert (quantity["amount"], quantity["delta"]) == (0, 0)
    found.assert_adds_up()


def test_a_changed_line_is_not_taken_for_the_line_below_it(october: Month) -> None:
    october.change_line("inv-plain", 2, description="Chairs")
    row = october.reconcile().only("line_changed")
    assert (row["line"], row["expected"], row["actual"]) == ("2", "Seats", "Chairs")


def test_a_total_that_the_lines_do_not_explain(october: Month) -> None:
    october.change("inv-plain", total=Decimal("153.87"))
    found = october.reconcile()
    row = found.only("total")
    assert (row["amount"], row["delta"]) == (Decimal("3.00"), Decimal("-3.00"))
    assert row["reason"] == (
        "The total should be USD 150.87; NetSuite has USD 153.87, and the lines do not explain it."
    )
    found.assert_adds_up()


@pytest.mark.parametrize("moved", [{}, {"dated_in": "2026-11", "tranDate": date(2026, 11, 1)}])
def test_a_document_without_a_total_counts_as_nothing(october: Month, moved: dict[str, Any]) -> None:
    october.change("inv-plain", total=None, **moved)
    october.reconcile().assert_adds_up()


def test_the_order_of_lines_does_not_matter(october: Month) -> None:
    october.sql("UPDATE netsuite.invoice_lines SET line_no = 100 - line_no")
    assert october.reconcile().differences == []


def test_one_of_three_identical_lines_is_missing(october: Month) -> None:
    october.remove_line("inv-same", 2)
    found = october.reconcile()
    row = found.only("line_missing")
    assert (row["amount"], row["delta"]) == (Decimal("10.00"), Decimal("10.00"))
    found.assert_adds_up()


def test_lines_to_which_billing_gives_one_number_are_compared_one_to_one(october: Month) -> None:
    for number, amount in ((1, "11.00"), (2, "12.00"), (3, "13.00")):
        october.change_line("inv-same", number, amount=Decimal(amount))
    october.sql("UPDATE expected.invoice_lines SET line_no = 7 WHERE external_id = 'inv-same'")
    found = october.reconcile()
    amounts = [row for row in found.differences if row["field"] == "amount"]
    assert sorted(row["delta"] for row in amounts) == [Decimal(-3), Decimal(-2), Decimal(-1)]
    assert {row["kind"] for row in found.differences} == {"line_changed"}
    found.assert_adds_up()


def test_a_fourth_identical_line(october: Month) -> None:
    october.add_line("inv-same", like=1)
    assert october.reconcile().only("line_extra")["delta"] == Decimal("-10.00")


def test_one_of_three_identical_lines_is_changed(october: Month) -> None:
    october.change_line("inv-same", 1, amount=Decimal("11.00"))
    found = october.reconcile()
    assert found.only("line_changed")["delta"] == Decimal("-1.00")
    found.assert_adds_up()


def test_lines_of_credit_memos_are_compared_too(october: Month) -> None:
    october.change_line("cm-back", 1, amount=Decimal("2.00"))
    found = october.reconcile()
    row = found.only("line_changed")
    assert (row["record"], row["delta"]) == ("creditMemo", Decimal("10.00"))
    found.assert_adds_up()


# What is the same


def test_an_empty_text_is_an_absent_one(october: Month) -> None:
    for external_id, value in (("inv-same", None), ("inv-euro", ""), ("inv-euro2", "  ")):
        october.change(external_id, memo=value)
    assert october.reconcile().differences == []


def test_outer_spaces_do_not_count_and_inner_letters_do(october: Month) -> None:
    october.change("cus-c2", companyName="  Café Zürich 株式会社 ")
    october.change_line("inv-euro", 1, description="Nutzung – Größe Ω ")
    assert october.reconcile().differences == []
    october.change_line("inv-euro", 1, description="Nutzung - Größe Ω")
    row = october.reconcile().only("line_changed")
    assert (row["expected"], row["actual"]) == ("Nutzung – Größe Ω", "Nutzung - Größe Ω")


def test_the_tolerance_is_inclusive_to_the_cent(october: Month) -> None:
    october.rules = october.rules.with_tolerance("0.01")
    october.change_line("inv-plain", 1, amount=Decimal("100.01"))
    october.change_line("inv-euro", 1, amount=Decimal("79.99"))
    assert october.reconcile().differences == []

    october.change_line("inv-plain", 1, amount=Decimal("100.0101"))
    row = october.reconcile().only("line_changed")
    assert (row["external_id"], row["delta"]) == ("inv-plain", Decimal("-0.0101"))


def test_what_the_tolerance_swallows_is_shown_as_unexplained(october: Month) -> None:
    october.rules = october.rules.with_tolerance("0.01")
    october.change_line("inv-euro", 1, amount=Decimal("79.99"))
    euros = october.reconcile().totals["invoice", "EUR"]
    assert (euros["difference"], euros["explained"], euros["unexplained"]) == (
        Decimal("0.01"),
        0,
        Decimal("0.01"),
    )


def test_cents_that_are_tolerated_one_by_one_are_told_when_they_add_up(october: Month) -> None:
    october.rules = october.rules.with_tolerance("0.01")
    for number, amount in enumerate(("99.99", "50.49", "0.36"), start=1):
        october.change_line("inv-plain", number, amount=Decimal(amount))
    row = october.reconcile().only("total")
    assert row["delta"] == Decimal("0.03")


def test_without_tolerance_the_last_place_counts(october: Month) -> None:
    october.change_line("inv-plain", 1, amount=Decimal("100.0001"))
    row = october.reconcile().only("line_changed")
    assert (row["delta"], row["actual"]) == (Decimal("-0.0001"), "100.0001")


@pytest.mark.parametrize(("day", "kinds"), [(17, []), (18, ["changed"])])
def test_days_of_tolerance_are_inclusive(october: Month, day: int, kinds: list[str]) -> None:
    october.rules = october.rules.with_tolerance(days=2)
    october.change("inv-plain", tranDate=date(2026, 10, day))
    assert [row["kind"] for row in october.reconcile().differences] == kinds


def test_days_of_tolerance_do_not_carry_a_document_into_another_month(october: Month) -> None:
    october.rules = october.rules.with_tolerance(days=31)
    october.change("inv-plain", tranDate=date(2026, 11, 1), dated_in="2026-11")
    assert [row["kind"] for row in october.reconcile().differences] == ["changed", "wrong_period"]


# Totals


def test_currencies_are_never_added_together(october: Month) -> None:
    october.remove("inv-plain")
    october.remove("inv-euro")
    found = october.reconcile()
    assert found.totals["invoice", "USD"]["difference"] == Decimal("150.87")
    assert found.totals["invoice", "EUR"]["difference"] == Decimal("80.00")
    found.assert_adds_up()


def test_every_kind_of_difference_at_once_adds_up(october: Month) -> None:
    for key, amount in (("split", "20.03"), ("twice", "7.77"), ("unlinked", "1.11")):
        october.invoice(key, line(amount))
    october.land()
    october.change("inv-unlinked", external_id=None)
    october.change("inv-twice", external_id=None, otherRefNum=None)
    october.copy("inv-plain", "51", otherRefNum=None, total=Decimal("7.77"))
    october.change("inv-split", external_id=None, otherRefNum=None, total=Decimal("12.00"))
    october.copy("inv-plain", "52", otherRefNum=None, total=Decimal("8.03"))
    october.remove("inv-euro2")
    october.copy("inv-same", "41", otherRefNum="unknown", total=Decimal("0.55"))
    october.copy("inv-same", "42")
    october.copy("inv-same", "43", external_id="inv-nobody", otherRefNum="N-nobody", total=Decimal("36.00"))
    october.change("inv-plain", memo=None, entity="cus-c2", subsidiary="3", total=Decimal("151.00"))
    october.change_line("inv-plain", 1, amount=Decimal("99.00"))
    october.remove_line("inv-plain", 2)
    october.add_line("inv-same", like=1)
    october.change("inv-same", currency="EUR")
    october.change("inv-euro", tranDate=date(2026, 9, 30), dated_in="2026-09")
    found = october.reconcile()
    assert {row["kind"] for row in found.differences} == set(frames.DIFFERENCE_KINDS)
    found.assert_adds_up()


# Refusals


@pytest.mark.parametrize("table", ["netsuite.invoice_lines", "billing.credit_notes", "expected.customers"])
def test_a_slice_that_never_landed_is_not_compared(october: Month, table: str) -> None:
    october.remove("inv-plain")
    october.sql("DELETE FROM meta.slices WHERE table_name = ?", [table])
    with pytest.raises(IncompleteSlice) as refused:
        _reconcile_without_landing(october)
    assert str(refused.value).startswith(
        "acme: not compared, because these slices were never landed completely: "
    )
    assert table in str(refused.value)
    assert frames.read(october.held, frames.DIFFERENCES, "2026-10").empty


def test_slices_that_lack_a_field_of_the_mapping_are_not_compared(october: Month) -> None:
    """Compared all the same, the field would seem to differ in every document."""
    october.sql("ALTER TABLE netsuite.invoices DROP COLUMN custbody_subscription_ref")
    october.sql("ALTER TABLE expected.credit_memo_lines ALTER custcol_service_end TYPE VARCHAR")
    with pytest.raises(IncompleteSlice) as refused:
        _reconcile_without_landing(october)
    assert (
        "netsuite.invoices (custbody_subscription_ref); expected.credit_memo_lines (custcol_service_end)"
        in str(refused.value)
    )


def test_another_months_slices_do_not_count(october: Month) -> None:
    october.period = "2026-11"
    with pytest.raises(IncompleteSlice, match=r"billing\.invoices \(2026-11\)"):
        _reconcile_without_landing(october)


def _reconcile_without_landing(month: Month) -> None:
    from netsuite_assets.reconcile.engine import reconcile

    reconcile(month.held, month.rules.tenant, month.rules.mapping, month.period, month.books.locate)


# What is left to a person


@pytest.mark.parametrize(
    ("policy", "codes"),
    [
        ({"only_in_netsuite": "hold", "duplicate": "hold"}, ["no_customer", "duplicate", "only_in_netsuite"]),
        ({"only_in_netsuite": "delete", "duplicate": "hold"}, ["no_customer", "duplicate"]),
        ({"only_in_netsuite": "delete", "duplicate": "delete"}, ["no_customer"]),
    ],
)
def test_documents_that_policy_holds_are_exceptions(
    october: Month, policy: dict[str, str], codes: list[str]
) -> None:
    october.rules = october.rules.with_policy(**policy)
    october.copy("inv-same", "41", otherRefNum="unknown", total=Decimal("0.55"))
    october.copy("inv-same", "42")
    assert [row["code"] for row in october.reconcile().exceptions] == codes


@pytest.mark.parametrize(
    "defect",
    [lambda month: month.remove("inv-plain"), lambda month: month.copy("inv-plain", "41")],
    ids=["missing", "duplicate"],
)
def test_a_difference_goes_away_with_its_cause(october: Month, defect: Callable[[Month], None]) -> None:
    defect(october)
    assert october.reconcile().differences
    october.land()
    assert october.reconcile().differences == []
    assert frames.read(october.held, frames.DIFFERENCES, "2026-10").empty


# Another tenant's rules


def test_products_that_are_booked_to_one_item_keep_their_lines_apart(retail_month: Month) -> None:
    retail_month.customer("17850", currency="GBP")
    key = retail_month.invoice(
        "536365",
        line("15.30", "WHITE HANGING HEART", product_id="85123A"),
        line("20.34", "WHITE METAL LANTERN", product_id="71053"),
        customer_id="17850",
        currency="GBP",
    )
    retail_month.land()
    assert retail_month.reconcile().differences == []
    retail_month.remove_line(key, 1)
    row = retail_month.reconcile().only("line_missing")
    assert row["reason"] == "NetSuite lacks the line: Merchandise, WHITE HANGING HEART, GBP 15.30."
    assert row["line"] == "1"


def test_a_record_that_two_bills_lay_claim_to_is_counted_once(
    october: Month, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Where external ids are made of numbers and billing repeats a number, neither bill can be mapped."""
    shutil.copytree(pytestconfig.rootpath / "tenants", tmp_path / "tenants")
    defaults = tmp_path / "tenants" / "_defaults.yaml"
    text = defaults.read_text(encoding="utf-8").replace('"inv-{id}"', '"inv-{number}"')
    defaults.write_text(text, encoding="utf-8")
    october.rules = load_rules(tmp_path / "tenants", "acme")
    october.land()
    october.invoice("again", line("1.00"), number="N-plain")
    october.map_billing()
    found = october.reconcile()
    assert found.kinds == [("inv-N-plain", "not_comparable")] * 2
    assert sorted(row["delta"] for row in found.differences) == [Decimal("-150.87"), 0]
    found.assert_adds_up()
