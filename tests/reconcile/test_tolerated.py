"""What is no difference by a tenant's own rules, and that every use of such a rule is counted and shown."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from month import NOW, Found, Month, TenantRules, line, load_rules

from netsuite_assets import frames
from netsuite_assets.reconcile.assets import differences_table, kinds_table, tolerated_table
from resources.warehouse import TenantWarehouse


def told(found: Found) -> list[tuple[Any, ...]]:
    """The uses of rules: record, part, field, rule, how many, what they add up to."""
    return [
        tuple(row[name] for name in ("record", "part", "field", "rule", "uses", "delta"))
        for row in found.tolerated
    ]


def reconciled(month: Month) -> TenantWarehouse:
    month.reconcile()
    return month.held


def test_sides_that_agree_as_they_stand_use_no_rule(october: Month) -> None:
    assert october.reconcile().tolerated == []


def test_texts_that_are_written_otherwise_are_counted(october: Month) -> None:
    october.change("inv-same", memo="")
    october.change("inv-plain", memo=" October usage ")
    october.change("cus-c2", companyName="  Café Zürich 株式会社 ")
    october.change_line("inv-euro", 1, description="Nutzung – Größe Ω ")
    found = october.reconcile()
    assert found.differences == []
    assert told(found) == [
        ("customer", "header", "companyName", "space", 1, None),
        ("invoice", "header", "memo", "empty", 1, None),
        ("invoice", "header", "memo", "space", 1, None),
        ("invoice", "line", "description", "space", 1, None),
    ]


def test_cents_are_added_up_by_currency(october: Month) -> None:
    """Cents that go one way are a finding, though each of them is tolerated."""
    october.rules = october.rules.with_tolerance("0.01")
    october.change_line("inv-euro", 1, amount=Decimal("79.99"))
    october.change_line("inv-euro2", 1, amount=Decimal("19.995"))
    october.change_line("inv-plain", 3, amount=Decimal("0.38"))
    found = october.reconcile()
    assert found.differences == []
    found.assert_adds_up()
    assert [(row["part"], row["field"], row["currency"], row["uses"], row["delta"], row["greatest"]) for row in found.tolerated] == [
        ("header", "total", "EUR", 2, Decimal("0.015"), Decimal("0.01")),
        ("header", "total", "USD", 1, Decimal("-0.01"), Decimal("0.01")),
        ("line", "amount", "EUR", 2, Decimal("0.015"), Decimal("0.01")),
        ("line", "amount", "USD", 1, Decimal("-0.01"), Decimal("0.01")),
    ]  # fmt: skip


def test_days_are_added_up(october: Month) -> None:
    october.rules = october.rules.with_tolerance(days=2)
    october.change("inv-plain", tranDate=date(2026, 10, 17))
    october.change("inv-euro", tranDate=date(2026, 10, 14))
    found = october.reconcile()
    assert found.differences == []
    [row] = found.tolerated
    assert (row["field"], row["rule"], row["uses"], row["delta"], row["greatest"]) == (
        "tranDate",
        "days",
        2,
        -1,
        2,
    )


def test_a_date_in_another_month_is_not_tolerated(october: Month) -> None:
    october.rules = october.rules.with_tolerance(days=31)
    october.change("inv-plain", tranDate=date(2026, 11, 1), dated_in="2026-11")
    assert october.reconcile().tolerated == []


@pytest.mark.parametrize(
    ("how", "memo", "differs"),
    [
        ({}, "OCTOBER USAGE", True),
        ({"case": "ignore"}, "OCTOBER usage", False),
        ({"case": "ignore"}, "October  usage", True),
        ({"space": "collapse"}, "October\u00a0 usage", False),
        ({"space": "keep"}, "October usage ", True),
        ({"case": "ignore", "space": "collapse"}, "\tOCTOBER\n USAGE", False),
    ],
)
def test_a_field_is_compared_as_the_tenant_says(
    october: Month, how: dict[str, str], memo: str, differs: bool
) -> None:
    october.rules = october.rules.with_comparison("invoice", {"memo": how})
    october.change("inv-plain", memo=memo)
    found = october.reconcile()
    assert [row["field"] for row in found.differences] == (["memo"] if differs else [])
    assert bool(found.tolerated) is not differs


def test_an_empty_text_may_be_another_than_none(october: Month) -> None:
    october.rules = october.rules.with_comparison("invoice", {"Memo": {"empty": "keep"}})
    october.change("inv-same", memo=" ")
    row = october.reconcile().only("changed")
    assert (row["expected"], row["actual"]) == (None, " ")


def test_letters_may_be_composed_or_decomposed(october: Month) -> None:
    october.change("cus-c2", companyName="Cafe\u0301 Zu\u0308rich 株式会社")
    assert october.reconcile().only("changed")["field"] == "companyName"
    october.rules = october.rules.with_comparison("customer", {"companyName": {"unicode": "NFC"}})
    found = october.reconcile()
    assert found.differences == []
    assert told(found) == [("customer", "header", "companyName", "unicode", 1, None)]


@pytest.mark.parametrize(("amount", "differs"), [("99.50", False), ("99.49", True), ("100.50", False)])
def test_a_percentage_is_of_billings_value_and_includes_its_bound(
    october: Month, amount: str, differs: bool
) -> None:
    """What a tolerance takes of lines is not explained by them, so that the total has its own: here 0.5 % of 150.87."""
    half = {"percent": "0.5"}
    october.rules = october.rules.with_comparison("invoice", {"total": half}, {"amount": half})
    october.change_line("inv-plain", 1, amount=Decimal(amount))
    found = october.reconcile()
    assert [row["kind"] for row in found.differences] == (["line_changed"] if differs else [])
    found.assert_adds_up()
    delta = 100 - Decimal(amount)
    uses = [
        ("invoice", "header", "total", "percent", 1, delta),
        ("invoice", "line", "amount", "percent", 1, delta),
    ]
    assert told(found) == ([] if differs else uses)


def test_a_line_may_have_a_tolerance_of_its_own(october: Month) -> None:
    october.rules = october.rules.with_comparison("invoice", lines={"rate": {"amount": "0.0001"}})
    october.change_line("inv-plain", 2, rate=Decimal("10.1001"))
    found = october.reconcile()
    assert found.differences == []
    assert told(found) == [("invoice", "line", "rate", "amount", 1, Decimal("-0.0001"))]
    october.change_line("inv-plain", 2, rate=Decimal("10.10010001"))
    assert october.reconcile().only("line_changed")["field"] == "rate"


def test_a_tenants_own_rule_replaces_the_common_one(october: Month) -> None:
    october.rules = october.rules.with_tolerance("0.05").with_comparison(
        "invoice", lines={"amount": {"amount": "0"}}
    )
    october.change_line("inv-plain", 1, amount=Decimal("100.01"))
    assert october.reconcile().only("line_changed")["delta"] == Decimal("-0.01")


def test_identical_lines_cancel_though_they_are_written_otherwise(october: Month) -> None:
    october.rules = october.rules.with_comparison("invoice", lines={"description": {"case": "ignore"}})
    october.sql(
        "UPDATE netsuite.invoice_lines SET description = 'USAGE', line_no = 10 - line_no WHERE amount = 10"
    )
    found = october.reconcile()
    assert found.differences == []
    assert told(found) == [("invoice", "line", "description", "case", 3, None)]


def test_what_was_tolerated_is_kept_and_goes_away_with_its_cause(october: Month) -> None:
    october.change("inv-plain", memo=" October usage ")
    assert october.reconcile().tolerated == frames.records(
        frames.read(october.held, frames.TOLERATED, "2026-10")
    )
    october.change("inv-plain", memo="October usage")
    assert october.reconcile().tolerated == []
    assert frames.read(october.held, frames.TOLERATED, "2026-10").empty


@pytest.mark.parametrize(
    "defect",
    [lambda month: month.remove("inv-plain"), lambda month: month.change("inv-plain", memo="x")],
    ids=["missing", "changed"],
)
def test_a_difference_is_no_use_of_a_rule(october: Month, defect: Callable[[Month], None]) -> None:
    october.rules = october.rules.with_tolerance("0.01", 1)
    defect(october)
    assert october.reconcile().tolerated == []


def test_people_are_shown_what_was_tolerated(october: Month) -> None:
    october.rules = october.rules.with_tolerance("0.01", days=2)
    october.change("inv-plain", tranDate=date(2026, 10, 17), memo="October usage ")
    october.change_line("inv-euro", 1, amount=Decimal("79.99"))
    shown = tolerated_table(frames.read(reconciled(october), frames.TOLERATED, october.period))
    assert shown.splitlines()[2:] == [
        "| invoice | memo | White space | 1 |  |  |",
        "| invoice | total | Within the amount | 1 | EUR 0.01 | EUR 0.01 |",
        "| invoice | tranDate | Within the days | 1 | -2 days | 2 days |",
        "| invoice | amount of lines | Within the amount | 1 | EUR 0.01 | EUR 0.01 |",
    ]


def test_differences_are_counted_by_kind_however_many(october: Month) -> None:
    october.remove("inv-plain")
    october.change("inv-euro", memo="x", terms=None)
    found = frames.read(reconciled(october), frames.DIFFERENCES, october.period)
    assert kinds_table(found).splitlines()[2:] == [
        "| invoice | 2 | A field differs |",
        "| invoice | 1 | Billing has it, NetSuite does not |",
    ]
    many = pd.concat([found] * 40, ignore_index=True)
    assert differences_table(many).splitlines()[-1] == "… and 70 more."


# How a difference came about


def test_a_difference_names_the_rule_that_says_what_should_be_there(october: Month) -> None:
    october.change("inv-plain", memo="wrong")
    october.change_line("inv-euro", 1, description="wrong")
    october.remove("inv-same")
    rules = {row["kind"]: (row["rule"], row["matched_by"]) for row in october.reconcile().differences}
    fields = {field.name: field for field in october.rules.mapping.compared["invoice"].fields}
    lines = {field.name: field for field in october.rules.mapping.compared["invoice"].line_fields}
    assert rules == {
        "changed": (fields["memo"].where, "external_id"),
        "line_changed": (lines["description"].where, "external_id"),
        "missing_in_netsuite": (october.rules.mapping.compared["invoice"].external_id.where, None),
    }
    assert fields["memo"].where.startswith("tenants/_defaults.yaml:")


def test_a_document_that_nothing_matches_is_matched_by_nothing(october: Month) -> None:
    october.copy("inv-plain", "41", otherRefNum="PO 7")
    assert october.reconcile().only("only_in_netsuite")["matched_by"] is None


NOTES = """
CREATE OR REPLACE TABLE netsuite.system_notes (period VARCHAR, record VARCHAR, internal_id VARCHAR, number VARCHAR,
    note_no BIGINT, changed_at TIMESTAMP, time_zone VARCHAR, changed_by VARCHAR, changed_by_id VARCHAR, role VARCHAR,
    context VARCHAR, field VARCHAR, old_value VARCHAR, new_value VARCHAR)
"""


def note(
    month: Month, external_id: str, field: str, by: str, at: str, zone: str = "America/New_York", no: int = 1
) -> None:
    month.sql(
        "INSERT INTO netsuite.system_notes BY NAME SELECT ? AS period, 'invoice' AS record, ? AS internal_id,"
        " ? AS note_no, ?::TIMESTAMP AS changed_at, ? AS time_zone, ? AS changed_by, ? AS field",
        [month.period, month.internal_id(external_id), no, at, zone, by, field],
    )


def test_a_difference_says_who_changed_it_last_and_when(october: Month) -> None:
    october.sql(NOTES)
    note(october, "inv-plain", "MEMO", "Ada", "2026-10-20 09:00:00", no=1)
    note(october, "inv-plain", "MEMO", "Bob", "2026-10-20 10:00:00", no=2)
    note(october, "inv-plain", "TERMS", "Cleo", "2026-10-20 11:00:00", no=3)
    note(october, "inv-euro", "TRANDOC.SMEMO", "Dan", "2026-10-20 12:30:00", "+05:30")
    october.held.record_slice(
        "netsuite.system_notes", october.period, key=("internal_id", "note_no"), expected_rows=4, source="NetSuite",
        now=NOW,
    )  # fmt: skip
    october.change("inv-plain", memo="wrong", cseg_product="2")
    october.change("inv-euro", memo="wrong", total=Decimal(1))
    october.remove("inv-same")
    found = {(row["external_id"], row["field"]): row for row in october.reconcile().differences}
    said = {
        at: (row["changed_by"], None if row["changed_at"] is None else row["changed_at"].isoformat())
        for at, row in found.items()
    }
    assert said == {
        ("inv-plain", "memo"): ("Bob", "2026-10-20T14:00:00+00:00"),
        ("inv-plain", "cseg_product"): ("Cleo", "2026-10-20T15:00:00+00:00"),  # the document's last change
        ("inv-euro", "memo"): ("Dan", "2026-10-20T07:00:00+00:00"),
        ("inv-euro", "total"): ("Dan", "2026-10-20T07:00:00+00:00"),
        ("inv-same", None): (None, None),
    }


def test_without_notes_nobody_is_named(october: Month) -> None:
    october.change("inv-plain", memo="wrong")
    row = october.reconcile().only("changed")
    assert (row["changed_by"], row["changed_at"]) == (None, None)


# Records that cannot be told apart


def test_records_that_share_an_external_id_are_not_compared_and_not_removed(october: Month) -> None:
    """NetSuite keeps an external id once; where it is shown twice all the same, nobody knows which one is meant."""
    october.copy("inv-plain", "41", external_id="inv-plain", memo="other", total=Decimal("1.00"))
    found = october.reconcile()
    assert found.kinds == [("inv-plain", "not_comparable")] * 2
    assert {row["owner"] for row in found.differences} == {"netsuite"}
    assert found.told[0] == (
        f"The external id inv-plain stands more than once (in NetSuite with the internal ids 41,"
        f" {october.sql('SELECT max(internal_id) FROM netsuite.invoices WHERE external_id = ?', ['inv-plain'])[0][0]}),"
        " so that this invoice cannot be compared."
    )
    found.assert_adds_up()


# Lines that both sides know by an id


@pytest.fixture
def line_id_rules(tmp_path: Path, pytestconfig: pytest.Config) -> TenantRules:
    """Acme, whose mapping writes the billing line's own id to a field of NetSuite's lines."""
    folder = Path(shutil.copytree(pytestconfig.rootpath / "tenants", tmp_path / "tenants"))
    path = folder / "acme.yaml"
    text = path.read_text(encoding="utf-8")
    rule = "      custcol_service_start:      {from: service_start, type: date}\n"
    assert rule in text
    path.write_text(text.replace(rule, f"      custcol_billing_line: {{from: id}}\n{rule}"), encoding="utf-8")
    return load_rules(folder, "acme")


def test_lines_pair_by_their_shared_id(october: Month, line_id_rules: TenantRules) -> None:
    october.rules = line_id_rules
    october.invoice(
        "two", line("5.00", "Usage", quantity=Decimal(1)), line("6.00", "Usage", quantity=Decimal(2))
    )
    october.land()
    # By item and description the first of these would be taken for the first of billing's.
    october.sql(
        "UPDATE netsuite.invoice_lines SET line_no = 10 - line_no, quantity = quantity + 10"
        " WHERE custcol_billing_line LIKE 'two-%'"
    )
    found = october.reconcile()
    assert [
        (row["kind"], row["line"], row["field"], row["expected"], row["actual"]) for row in found.differences
    ] == [
        ("line_changed", "1", "quantity", "1", "11"),
        ("line_changed", "2", "quantity", "2", "12"),
    ]


def test_lines_with_other_ids_are_other_lines(october: Month, line_id_rules: TenantRules) -> None:
    october.rules = line_id_rules
    october.land()
    october.change_line("inv-plain", 1, custcol_billing_line="of another system")
    found = october.reconcile()
    assert [row["kind"] for row in found.differences] == ["line_extra", "line_missing"]
    found.assert_adds_up()
    october.change_line("inv-plain", 1, custcol_billing_line=None)
    row = october.reconcile().only("line_changed")
    assert (row["field"], row["expected"], row["actual"]) == ("custcol_billing_line", "plain-1", None)
