"""With what both sides agreed on last as the base: who has changed what differs, and what is a conflict."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from month import NOW, Month

from netsuite_assets import frames
from netsuite_assets.reconcile.assets import differences_table
from netsuite_assets.reconcile.engine import remaining


@pytest.fixture
def agreed(october: Month) -> Month:
    """A month that was reconciled when both sides were the same."""
    assert october.reconcile().differences == []
    return october


def bill(month: Month, key: str, table: str = "invoices", **values: Any) -> None:
    """Billing's record has other values from now on."""
    [row] = [row for row in month.books.rows[table] if row["id"] == key]
    row |= values
    month.map_billing()


def bill_line(month: Month, key: str, number: int, **values: Any) -> None:
    [row] = [row for row in month.books.rows["invoice_lines"] if row["id"] == f"{key}-{number}"]
    [document] = [row for row in month.books.rows["invoices"] if row["id"] == key]
    before = row["amount"]
    row |= values
    document["total"] += row["amount"] - before
    month.map_billing()


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["base"], row["changed_side"], row["owner"]


# One field


def test_what_never_agreed_has_no_base(october: Month) -> None:
    october.change("inv-plain", memo="by hand")
    assert told(october.reconcile().only("changed")) == (None, None, "billing")
    bill(october, "plain", memo="changed too")
    assert told(october.reconcile().only("changed")) == (None, None, "billing")


def test_billing_changed_it(agreed: Month) -> None:
    bill(agreed, "plain", memo="corrected")
    found = agreed.reconcile()
    row = found.only("changed")
    assert told(row) == ("October usage", "billing", "billing")
    assert (row["expected"], row["actual"]) == ("corrected", "October usage")
    assert "conflict" not in {row["code"] for row in found.exceptions}


def test_netsuite_changed_it(agreed: Month) -> None:
    agreed.change("inv-plain", memo="by hand")
    found = agreed.reconcile()
    assert told(found.only("changed")) == ("October usage", "netsuite", "billing")
    assert "conflict" not in {row["code"] for row in found.exceptions}


def test_both_changed_it(agreed: Month) -> None:
    agreed.change("inv-plain", memo="by hand")
    bill(agreed, "plain", memo="corrected")
    found = agreed.reconcile()
    assert told(found.only("changed")) == ("October usage", "both", "person")
    [conflict] = [row for row in found.exceptions if row["code"] == "conflict"]
    assert (conflict["external_id"], conflict["number"]) == ("inv-plain", "N-plain")
    assert conflict["reason"] == (
        "memo was October usage on both sides; billing now says corrected, and NetSuite has by hand."
    )
    assert conflict["next_step"].endswith("Until then nothing is written to these fields.")


def test_both_changed_it_to_the_same(agreed: Month) -> None:
    agreed.change("inv-plain", memo="corrected")
    bill(agreed, "plain", memo="corrected")
    assert agreed.reconcile().differences == []
    agreed.change("inv-plain", memo="by hand")
    assert told(agreed.reconcile().only("changed")) == ("corrected", "netsuite", "billing")


def test_a_field_that_differs_keeps_its_base_and_the_others_go_on(agreed: Month) -> None:
    agreed.change("inv-plain", memo="by hand")
    agreed.reconcile()
    # Another field changes on both sides alike: that is agreed on, though the memo is not.
    bill(agreed, "plain", number="N-2")
    agreed.change("inv-plain", otherRefNum="N-2")
    assert told(agreed.reconcile().only("changed")) == ("October usage", "netsuite", "billing")
    agreed.change("inv-plain", otherRefNum="by hand")
    assert [(row["field"], *told(row)) for row in agreed.reconcile().differences] == [
        ("memo", "October usage", "netsuite", "billing"),
        ("otherRefNum", "N-2", "netsuite", "billing"),
    ]
    bill(agreed, "plain", memo="corrected")
    assert [(row["field"], *told(row)) for row in agreed.reconcile().differences] == [
        ("memo", "October usage", "both", "person"),
        ("otherRefNum", "N-2", "netsuite", "billing"),
    ]


def test_empty_is_something_to_agree_on(agreed: Month) -> None:
    agreed.change("inv-euro", memo="by hand")
    assert told(agreed.reconcile().only("changed")) == (None, "netsuite", "billing")
    bill(agreed, "euro", memo="corrected")
    [conflict] = [row for row in agreed.reconcile().exceptions if row["code"] == "conflict"]
    assert conflict["reason"].startswith("memo was empty on both sides; billing now says corrected, ")


def test_it_is_said_again_without_comparing_and_after_comparing_again(agreed: Month) -> None:
    agreed.change("inv-plain", memo="by hand")
    bill(agreed, "plain", memo="corrected")
    first = agreed.reconcile()
    assert agreed.reconcile().differences == first.differences
    agreed.sql("DELETE FROM meta.comparisons")
    again = agreed.reconcile()
    assert (again.differences, again.exceptions) == (first.differences, first.exceptions)


def test_what_a_write_brought_is_agreed_on_at_once(agreed: Month) -> None:
    """After a write NetSuite is read again: what billing changes after that is billing's change alone."""
    bill(agreed, "plain", memo="corrected")
    agreed.reconcile()
    agreed.change("inv-plain", memo="corrected")
    agreed.prove()
    rules = agreed.rules
    left = remaining(agreed.held, rules.tenant, rules.mapping, agreed.period, agreed.books.locate)
    assert frames.records(left) == []
    bill(agreed, "plain", memo="corrected again")
    assert told(agreed.reconcile().only("changed")) == ("corrected", "billing", "billing")


def test_what_agreed_before_a_write_is_not_remembered_after_it(agreed: Month) -> None:
    """NetSuite goes back to exactly what it had when it was compared last; the base has moved on."""
    bill(agreed, "plain", memo="corrected")
    assert told(agreed.reconcile().only("changed")) == ("October usage", "billing", "billing")
    agreed.change("inv-plain", memo="corrected")
    agreed.prove()
    rules = agreed.rules
    remaining(agreed.held, rules.tenant, rules.mapping, agreed.period, agreed.books.locate)
    agreed.change("inv-plain", memo="October usage")
    assert told(agreed.reconcile().only("changed")) == ("corrected", "netsuite", "billing")


def test_a_write_that_was_never_read_back_is_no_change_of_netsuites(agreed: Month) -> None:
    """NetSuite has what billing had when they were compared last, and billing has changed again since."""
    bill(agreed, "plain", memo="corrected")
    bill_line(agreed, "plain", 2, description="Chairs")
    agreed.reconcile()
    agreed.change("inv-plain", memo="corrected")
    agreed.change_line("inv-plain", 2, description="Chairs")
    bill(agreed, "plain", memo="corrected again")
    bill_line(agreed, "plain", 2, description="Stools")
    for _ in range(2):
        assert {row["kind"]: told(row) for row in agreed.reconcile().differences} == {
            "changed": ("corrected", "billing", "billing"),
            "line_changed": (None, "billing", "billing"),
        }
    agreed.change("inv-plain", memo="by hand")
    [row] = [row for row in agreed.reconcile().differences if row["kind"] == "changed"]
    assert told(row) == ("corrected", "both", "person")


def test_a_side_that_was_given_the_others_value_has_agreed(october: Month) -> None:
    october.change("inv-plain", memo="by hand", terms=None)
    assert {told(row) for row in october.reconcile().differences} == {(None, None, "billing")}
    bill(october, "plain", memo="by hand")
    october.change("inv-plain", memo="by hand again")
    assert {row["field"]: told(row) for row in october.reconcile().differences} == {
        "memo": ("by hand", "netsuite", "billing"),
        "terms": (None, None, "billing"),
    }


def test_sides_that_swapped_their_values_have_not_agreed(agreed: Month) -> None:
    bill(agreed, "plain", memo="one")
    agreed.change("inv-plain", memo="another")
    assert told(agreed.reconcile().only("changed")) == ("October usage", "both", "person")
    bill(agreed, "plain", memo="another")
    agreed.change("inv-plain", memo="one")
    assert told(agreed.reconcile().only("changed")) == ("October usage", "both", "person")


def test_a_customers_field(agreed: Month) -> None:
    agreed.change("cus-c1", email="old@example.com")
    bill(agreed, "c1", "customers", email="new@example.com")
    row = agreed.reconcile().only("changed")
    assert (row["record"], *told(row)) == ("customer", "c1@example.com", "both", "person")


def test_a_reference_is_shown_by_name(agreed: Month) -> None:
    agreed.change("inv-plain", terms=None, entity="cus-c2")
    found = {row["field"]: told(row) for row in agreed.reconcile().differences}
    assert found == {
        "terms": ("Net 30", "netsuite", "billing"),
        "entity": ("Nordwind Ltd (cus-c1)", "netsuite", "billing"),
    }


def test_a_document_in_another_currency_or_month(agreed: Month) -> None:
    """Each row that the change causes says the same of it."""
    agreed.change("inv-plain", currency="EUR")
    agreed.change("inv-same", tranDate=date(2026, 11, 1), dated_in="2026-11")
    found = agreed.reconcile()
    assert {(row["external_id"], row["kind"], *told(row)) for row in found.differences} == {
        ("inv-plain", "wrong_currency", "USD", "netsuite", "billing"),
        ("inv-same", "changed", "2026-10-15", "netsuite", "billing"),
        ("inv-same", "wrong_period", "2026-10-15", "netsuite", "billing"),
    }
    bill(agreed, "plain", currency="GBP")
    bill(agreed, "same", issued_on=date(2026, 10, 20))
    found = agreed.reconcile()
    assert {(row["kind"], row["field"], *told(row)[1:]) for row in found.differences} == {
        ("wrong_currency", "currency", "both", "person"),
        ("changed", "message", "billing", "billing"),
        ("changed", "tranDate", "both", "person"),
        ("wrong_period", None, "both", "person"),
    }
    conflicts = [row["reason"] for row in found.exceptions if row["code"] == "conflict"]
    assert conflicts == [
        "currency was USD on both sides; billing now says GBP, and NetSuite has EUR.",
        "tranDate was 2026-10-15 on both sides; billing now says 2026-10-20, and NetSuite has 2026-11-01.",
    ]


def test_a_record_that_lost_its_external_id_keeps_its_base(agreed: Month) -> None:
    agreed.change("inv-plain", memo="by hand", external_id=None)
    found = {row["kind"]: told(row) for row in agreed.reconcile().differences}
    assert found == {
        "not_linked": (None, None, "billing"),
        "changed": ("October usage", "netsuite", "billing"),
    }


def test_a_customer_that_lost_its_external_id_is_no_change_of_its_documents(agreed: Month) -> None:
    agreed.change("cus-c1", external_id=None)
    customer = agreed.sql("SELECT internal_id FROM netsuite.customers WHERE external_id IS NULL")[0][0]
    agreed.sql(f"UPDATE netsuite.invoices SET entity = 'internal:{customer}' WHERE entity = 'cus-c1'")
    agreed.reconcile()
    bill(agreed, "plain", customer_id="c2")
    [row] = agreed.reconcile().of("inv-plain")
    assert (row["field"], *told(row)[1:]) == ("entity", "billing", "billing")


# Tolerances and normalisations


def test_drifting_within_the_tolerance_is_no_change_of_the_side_that_stood_still(october: Month) -> None:
    october.rules = october.rules.with_comparison("invoice", {"total": {"amount": "0.02"}})
    october.change("inv-plain", total=Decimal("150.89"))
    assert october.reconcile().differences == []
    october.change("inv-plain", total=Decimal("150.90"))
    assert told(october.reconcile().only("total")) == ("USD 150.87", "netsuite", "netsuite")
    october.change("inv-plain", total=Decimal("150.89"))
    assert october.reconcile().differences == []
    bill(october, "plain", total=Decimal("150.80"))
    assert told(october.reconcile().only("total")) == ("USD 150.87", "billing", "netsuite")


def test_what_is_taken_for_the_same_is_no_change(agreed: Month) -> None:
    agreed.change("inv-plain", memo="  October usage ")
    assert agreed.reconcile().differences == []
    bill(agreed, "plain", memo="corrected")
    assert told(agreed.reconcile().only("changed")) == ("October usage", "billing", "billing")


# Lines and totals


def test_billing_changed_its_lines(agreed: Month) -> None:
    bill_line(agreed, "plain", 2, quantity=Decimal(4), amount=Decimal("40.40"))
    assert {told(row) for row in agreed.reconcile().differences} == {(None, "billing", "billing")}


def test_netsuites_lines_were_changed(agreed: Month) -> None:
    agreed.remove_line("inv-plain", 1)
    agreed.change_line("inv-plain", 2, description="by hand")
    found = agreed.reconcile()
    assert {told(row) for row in found.differences} == {(None, "netsuite", "billing")}
    assert {row["kind"] for row in found.differences} == {"line_missing", "line_changed"}


def test_lines_that_both_sides_changed_are_one_conflict(agreed: Month) -> None:
    """They are written as one, so that billing's other line would undo what NetSuite's was given."""
    agreed.change_line("inv-plain", 2, description="by hand")
    bill_line(agreed, "plain", 1, amount=Decimal("99.00"))
    found = agreed.reconcile()
    assert {told(row) for row in found.differences} == {(None, "both", "person")}
    [conflict] = [row for row in found.exceptions if row["code"] == "conflict"]
    assert conflict["amount"] == Decimal("1.00")
    assert conflict["reason"] == (
        "Its lines or total have changed on both sides since they agreed:"
        " Line 1: amount should be 99; NetSuite has 100."
        " Line 2: description should be Seats; NetSuite has by hand."
    )
    assert conflict["next_step"].endswith("Until then nothing is written to its lines.")


def test_lines_are_not_written_where_the_total_is_a_conflict(agreed: Month) -> None:
    """NetSuite's total was changed by more than its lines, and billing's lines with its total."""
    agreed.change("inv-plain", total=Decimal("170.00"))
    bill_line(agreed, "plain", 1, amount=Decimal("99.00"))
    found = agreed.reconcile()
    assert {row["kind"]: told(row) for row in found.differences} == {
        "line_changed": (None, "billing", "person"),
        "total": ("USD 150.87", "both", "person"),
    }


def test_a_header_and_lines_are_told_apart(agreed: Month) -> None:
    agreed.change_line("inv-plain", 2, description="by hand")
    bill(agreed, "plain", memo="corrected")
    assert {row["kind"]: told(row) for row in agreed.reconcile().differences} == {
        "changed": ("October usage", "billing", "billing"),
        "line_changed": (None, "netsuite", "billing"),
    }


def test_lines_that_differ_keep_their_base(agreed: Month) -> None:
    agreed.change_line("inv-plain", 2, description="by hand")
    agreed.reconcile()
    bill(agreed, "plain", memo="corrected")
    agreed.reconcile()
    bill_line(agreed, "plain", 1, description="corrected")
    found = {(row["field"], row["line"]): told(row) for row in agreed.reconcile().differences}
    assert found == {
        ("memo", None): ("October usage", "billing", "billing"),
        ("description", "1"): (None, "both", "person"),
        ("description", "2"): (None, "both", "person"),
    }


def test_lines_that_agree_again_are_the_new_base(agreed: Month) -> None:
    agreed.change_line("inv-plain", 2, description="by hand")
    agreed.reconcile()
    bill_line(agreed, "plain", 2, description="by hand")
    assert agreed.reconcile().differences == []
    bill_line(agreed, "plain", 2, description="corrected")
    assert {told(row) for row in agreed.reconcile().differences} == {(None, "billing", "billing")}


# What the rules say


def test_what_hashes_are_made_of_is_part_of_the_base_of_lines(agreed: Month) -> None:
    """Where lines are compared otherwise than then, nobody knows who changed them."""
    agreed.rules = agreed.rules.with_comparison("invoice", lines={"description": {"case": "ignore"}})
    agreed.change_line("inv-plain", 2, description="by hand")
    bill(agreed, "plain", memo="corrected")
    assert {row["kind"]: told(row) for row in agreed.reconcile().differences} == {
        "changed": ("October usage", "billing", "billing"),
        "line_changed": (None, None, "billing"),
    }


def test_a_newly_mapped_field_never_agreed(agreed: Month) -> None:
    """As the table is when it was filled before the mapping named the field."""
    agreed.sql("ALTER TABLE reconciliation.agreed_invoices DROP COLUMN field_memo")
    agreed.change("inv-plain", memo="by hand")
    agreed.change("inv-same", terms=None)
    found = agreed.reconcile()
    assert {row["field"]: told(row) for row in found.differences} == {
        "memo": (None, None, "billing"),
        "terms": ("Net 30", "netsuite", "billing"),
    }
    agreed.change("inv-plain", memo="October usage")
    assert [row["field"] for row in agreed.reconcile().differences] == ["terms"]
    agreed.change("inv-plain", memo="by hand")
    assert told(agreed.reconcile().of("inv-plain")[0]) == ("October usage", "netsuite", "billing")


# In the Dagster UI


def test_the_assets_page_says_what_was_agreed_and_who_changed_it(agreed: Month) -> None:
    agreed.change("inv-plain", memo="by hand")
    bill(agreed, "same", memo="corrected")
    agreed.reconcile()
    found = frames.read(agreed.held, frames.DIFFERENCES, agreed.period)
    found.loc[found["external_id"] == "inv-plain", "changed_by"] = "Jane Doe"
    head, _, *rows = differences_table(found).splitlines()
    names = [name.strip() for name in head.strip("| ").split("|")]
    told = [dict(zip(names, map(str.strip, row.strip().strip("|").split("|")), strict=True)) for row in rows]
    assert sorted((row["Number"], row["Agreed before"], row["Who changed it"]) for row in told) == [
        ("N-plain", "October usage", "NetSuite (Jane Doe)"),
        ("N-same", "", "billing"),
    ]


# Any order of changes


VALUES: dict[str, list[Any]] = {
    "memo": ["October usage", "a", "b", None],
    "otherRefNum": ["N-plain", "N-1", "N-2"],
    "tranDate": [date(2026, 10, 15), date(2026, 10, 16)],
}


class Sides(RuleBasedStateMachine):
    """One invoice whose fields and lines both sides change, between reconciliations, against a model of a few words."""

    month: Month

    def __init__(self) -> None:
        super().__init__()
        self.month.sql("DROP TABLE IF EXISTS reconciliation.agreed_invoices")
        self.month.sql("DROP TABLE IF EXISTS meta.comparisons")
        self.now: dict[str, dict[str, Any]] = {side: {} for side in ("billing", "netsuite")}
        self.then: dict[str, Any] = {}
        self.seen: dict[str, tuple[Any, Any]] = {}
        for name, values in VALUES.items():
            for side in self.now:
                self.change(side, name, values[0])
        for side in self.now:
            self.change_lines(side, "Seats")

    @rule(
        side=st.sampled_from(["billing", "netsuite"]), field=st.sampled_from(sorted(VALUES)), data=st.data()
    )
    def change_some(self, side: str, field: str, data: st.DataObject) -> None:
        self.change(side, field, data.draw(st.sampled_from(VALUES[field])))

    @rule(side=st.sampled_from(["billing", "netsuite"]), description=st.sampled_from(["Seats", "x", "y"]))
    def change_lines(self, side: str, description: str) -> None:
        self.now[side]["lines"] = description
        if side == "netsuite":
            self.month.change_line("inv-plain", 2, description=description)
        else:
            where = "external_id = 'inv-plain' AND line_no = 2"
            self.expect("invoice_lines", where, "description", description, ("source_id", "line_rule"))

    def change(self, side: str, field: str, value: Any) -> None:
        self.now[side][field] = value
        if side == "netsuite":
            self.month.change("inv-plain", **{field: value})
        else:
            self.expect("invoices", "external_id = 'inv-plain'", field, value, ("external_id",))

    def expect(self, table: str, where: str, field: str, value: Any, key: tuple[str, ...]) -> None:
        """The mapping makes another value of billing's record."""
        held, period = self.month.held, self.month.period
        held.sql(f'UPDATE expected.{table} SET "{field}" = ? WHERE {where}', [value])
        rows = held.value(f"SELECT count(*) FROM expected.{table} WHERE period = ?", [period])
        held.record_slice(f"expected.{table}", period, key=key, expected_rows=rows, source="billing", now=NOW)

    @rule(verified=st.booleans())
    def compare(self, verified: bool) -> None:
        month = self.month
        if verified:  # as after a write, whose comparison is not recorded
            month.prove()
            rows = frames.records(
                remaining(
                    month.held, month.rules.tenant, month.rules.mapping, month.period, month.books.locate
                )
            )
        else:
            rows = month.reconcile().differences
        found = {}
        for row in rows:
            assert row["external_id"] == "inv-plain"
            found["lines" if row["line"] is not None else row["field"]] = (row["changed_side"], row["owner"])
        billing, netsuite = self.now["billing"], self.now["netsuite"]
        for name, (billed, held) in self.seen.items():
            if billing[name] != netsuite[name] and (netsuite[name] == billed) != (billing[name] == held):
                self.then[name] = billed if netsuite[name] == billed else held
        self.seen = {
            name: (billing[name], netsuite[name]) for name in billing if billing[name] != netsuite[name]
        }
        assert found == {name: self._told(name) for name in billing if billing[name] != netsuite[name]}, (
            billing,
            netsuite,
            self.then,
        )
        self.then |= {name: value for name, value in billing.items() if netsuite[name] == value}

    def _told(self, name: str) -> tuple[str | None, str]:
        if name not in self.then:
            return None, "billing"
        changed = [side for side in ("billing", "netsuite") if self.now[side][name] != self.then[name]]
        return ("both", "person") if len(changed) == 2 else (changed[0], "billing")


def run(month: Month, examples: int, steps: int) -> None:
    Sides.month = month
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Sides,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate,),
        ),
    )  # fmt: skip


def test_any_order_of_changes_is_told_by_what_was_agreed_on_last(october: Month) -> None:
    run(october, 3, 14)


@pytest.mark.soak
def test_any_order_of_many_changes_is_told_by_what_was_agreed_on_last(october: Month) -> None:
    run(october, 60, 40)
