"""With what both sides agreed on last as the base: who has changed what differs, and what is a conflict."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from month import NOW, Landed, Month, TenantRules

from netsuite_assets import frames
from netsuite_assets.reconcile.assets import differences_table
from netsuite_assets.reconcile.engine import remaining
from resources.warehouse import Warehouse


@pytest.fixture(scope="module")
def agreed_once(landed: Landed, acme: TenantRules, tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """The landed month, reconciled when both sides were the same: made once, copied for each test."""
    warehouse = Warehouse(tmp_path_factory.mktemp("agreed"))
    path = warehouse.path("acme")
    path.parent.mkdir(parents=True)
    shutil.copyfile(landed.path, path)
    with warehouse.open("acme") as held:
        month = Month(held, acme, "2026-10")
        month.books = copy.deepcopy(landed.books)
        assert month.reconcile().differences == []
    return Landed(path, landed.books)


@pytest.fixture
def agreed(agreed_once: Landed, acme: TenantRules, warehouse: Warehouse) -> Iterator[Month]:
    """A month that was reconciled when both sides were the same."""
    path = warehouse.path("acme")
    path.parent.mkdir(parents=True)
    shutil.copyfile(agreed_once.path, path)
    with warehouse.open("acme") as held:
        held.sql("SET threads = 1")  # of so few rows, more of them only cost
        month = Month(held, acme, "2026-10")
        month.books = copy.deepcopy(agreed_once.books)
        yield month


def bill(month: Month, key: str, table: str = "invoices", **values: Any) -> None:
    """Billing's record has other values from now on."""
    correct(month, key, table, **values)
    month.map_billing()


def bill_line(month: Month, key: str, number: int, **values: Any) -> None:
    """A line of billing's invoice has, and its total with it."""
    correct_line(month, key, number, **values)
    month.map_billing()


def correct(month: Month, key: str, table: str = "invoices", **values: Any) -> None:
    """The same, before it is mapped."""
    [row] = [row for row in month.books.rows[table] if row["id"] == key]
    row |= values


def correct_line(month: Month, key: str, number: int, **values: Any) -> None:
    [row] = [row for row in month.books.rows["invoice_lines"] if row["id"] == f"{key}-{number}"]
    [document] = [row for row in month.books.rows["invoices"] if row["id"] == key]
    before = row["amount"]
    row |= values
    document["total"] += row["amount"] - before


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["base"], row["changed_side"], row["owner"]


# One field


def test_what_never_agreed_has_no_base(october: Month) -> None:
    october.change("inv-plain", memo="by hand")
    assert told(october.reconcile().only("changed")) == (None, None, "billing")
    bill(october, "plain", memo="changed too")
    assert told(october.reconcile().only("changed")) == (None, None, "billing")


def test_billing_changed_it_or_netsuite_or_both(agreed: Month) -> None:
    """Each of another document, and one of a customer."""
    bill(agreed, "euro", memo="corrected")
    agreed.change("inv-same", memo="by hand")
    agreed.change("inv-plain", memo="by hand")
    bill(agreed, "plain", memo="corrected")
    agreed.change("inv-euro2", memo="by hand")
    agreed.change("cus-c1", email="old@example.com")
    bill(agreed, "c1", "customers", email="new@example.com")
    found = agreed.reconcile()
    assert {row["external_id"]: told(row) for row in found.differences} == {
        "inv-euro": (None, "billing", "billing"),
        "inv-same": (None, "netsuite", "billing"),
        "inv-plain": ("October usage", "both", "person"),
        "inv-euro2": (None, "netsuite", "billing"),
        "cus-c1": ("c1@example.com", "both", "person"),
    }
    [row] = found.of("inv-plain")
    assert (row["expected"], row["actual"]) == ("corrected", "by hand")
    customer, conflict = (row for row in found.exceptions if row["code"] == "conflict")
    assert (customer["record"], customer["external_id"]) == ("customer", "cus-c1")
    assert (conflict["external_id"], conflict["number"]) == ("inv-plain", "N-plain")
    assert conflict["reason"] == (
        "memo was October usage on both sides; billing now says corrected, and NetSuite has by hand."
    )
    assert conflict["next_step"].endswith("Until then nothing is written to these fields.")


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


def test_a_side_that_was_given_the_others_value_has_agreed(october: Month) -> None:
    october.change("inv-plain", memo="by hand", terms=None)
    assert {told(row) for row in october.reconcile().differences} == {(None, None, "billing")}
    bill(october, "plain", memo="by hand")
    october.change("inv-plain", memo="by hand again")
    assert {row["field"]: told(row) for row in october.reconcile().differences} == {
        "memo": ("by hand", "netsuite", "billing"),
        "terms": (None, None, "billing"),
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


# What happens to a document from one reconciliation to the next


Told = dict[str | tuple[str, str], tuple[Any, ...]]


def both_change_it_to_the_same(month: Month, key: str) -> Iterator[Told]:
    month.change(f"inv-{key}", memo="corrected")
    correct(month, key, memo="corrected")
    yield {}
    month.change(f"inv-{key}", memo="by hand")
    yield {"memo": ("corrected", "netsuite", "billing")}


def a_field_that_differs_keeps_its_base_and_the_others_go_on(month: Month, key: str) -> Iterator[Told]:
    month.change(f"inv-{key}", memo="by hand")
    yield {"memo": ("October usage", "netsuite", "billing")}
    # Another field changes on both sides alike: that is agreed on, though the memo is not.
    correct(month, key, number="N-2")
    month.change(f"inv-{key}", otherRefNum="N-2")
    yield {"memo": ("October usage", "netsuite", "billing")}
    month.change(f"inv-{key}", otherRefNum="by hand")
    yield {
        "memo": ("October usage", "netsuite", "billing"),
        "otherRefNum": ("N-2", "netsuite", "billing"),
    }
    correct(month, key, memo="corrected")
    yield {"memo": ("October usage", "both", "person"), "otherRefNum": ("N-2", "netsuite", "billing")}


def empty_is_something_to_agree_on(month: Month, key: str) -> Iterator[Told]:
    correct(month, key, memo=None)
    month.change(f"inv-{key}", memo=None)
    yield {}
    month.change(f"inv-{key}", memo="by hand")
    yield {"memo": (None, "netsuite", "billing")}
    correct(month, key, memo="corrected")
    yield {"memo": (None, "both", "person")}


def a_write_that_was_never_read_back_is_no_change_of_netsuites(month: Month, key: str) -> Iterator[Told]:
    """NetSuite has what billing had when they were compared last, and billing has changed again since."""
    correct(month, key, memo="corrected")
    correct_line(month, key, 2, description="Chairs")
    yield {
        "memo": ("October usage", "billing", "billing"),
        ("description", "2"): (None, "billing", "billing"),
    }
    month.change(f"inv-{key}", memo="corrected")
    month.change_line(f"inv-{key}", 2, description="Chairs")
    correct(month, key, memo="corrected again")
    correct_line(month, key, 2, description="Stools")
    for _ in range(2):
        yield {
            "memo": ("corrected", "billing", "billing"),
            ("description", "2"): (None, "billing", "billing"),
        }
    month.change(f"inv-{key}", memo="by hand")
    yield {"memo": ("corrected", "both", "person"), ("description", "2"): (None, "billing", "billing")}


def sides_that_swap_their_values_have_not_agreed(month: Month, key: str) -> Iterator[Told]:
    correct(month, key, memo="one")
    month.change(f"inv-{key}", memo="another")
    yield {"memo": ("October usage", "both", "person")}
    correct(month, key, memo="another")
    month.change(f"inv-{key}", memo="one")
    yield {"memo": ("October usage", "both", "person")}


def a_reference_is_shown_by_name(month: Month, key: str) -> Iterator[Told]:
    month.change(f"inv-{key}", terms=None, entity="cus-c2")
    yield {
        "terms": ("Net 30", "netsuite", "billing"),
        "entity": ("Nordwind Ltd (cus-c1)", "netsuite", "billing"),
    }


def what_is_taken_for_the_same_is_no_change(month: Month, key: str) -> Iterator[Told]:
    month.change(f"inv-{key}", memo="  October usage ")
    yield {}
    correct(month, key, memo="corrected")
    yield {"memo": ("October usage", "billing", "billing")}


def lines_are_not_written_where_the_total_is_a_conflict(month: Month, key: str) -> Iterator[Told]:
    """NetSuite's total was changed by more than its lines, and billing's lines with its total."""
    month.change(f"inv-{key}", total=Decimal("170.00"))
    correct_line(month, key, 1, amount=Decimal("99.00"))
    yield {("amount", "1"): (None, "billing", "person"), "total": ("USD 150.87", "both", "person")}


def a_header_and_lines_are_told_apart(month: Month, key: str) -> Iterator[Told]:
    month.change_line(f"inv-{key}", 2, description="by hand")
    correct(month, key, memo="corrected")
    yield {
        "memo": ("October usage", "billing", "billing"),
        ("description", "2"): (None, "netsuite", "billing"),
    }


def lines_that_differ_keep_their_base(month: Month, key: str) -> Iterator[Told]:
    month.change_line(f"inv-{key}", 2, description="by hand")
    yield {("description", "2"): (None, "netsuite", "billing")}
    correct(month, key, memo="corrected")
    yield {
        "memo": ("October usage", "billing", "billing"),
        ("description", "2"): (None, "netsuite", "billing"),
    }
    correct_line(month, key, 1, description="corrected")
    yield {
        "memo": ("October usage", "billing", "billing"),
        ("description", "1"): (None, "both", "person"),
        ("description", "2"): (None, "both", "person"),
    }


def lines_that_agree_again_are_the_new_base(month: Month, key: str) -> Iterator[Told]:
    month.change_line(f"inv-{key}", 2, description="by hand")
    yield {("description", "2"): (None, "netsuite", "billing")}
    correct_line(month, key, 2, description="by hand")
    yield {}
    correct_line(month, key, 2, description="corrected")
    yield {("description", "2"): (None, "billing", "billing")}


STORIES: tuple[Callable[[Month, str], Iterator[Told]], ...] = (
    both_change_it_to_the_same, a_field_that_differs_keeps_its_base_and_the_others_go_on, empty_is_something_to_agree_on,
    a_write_that_was_never_read_back_is_no_change_of_netsuites, sides_that_swap_their_values_have_not_agreed,
    a_reference_is_shown_by_name, what_is_taken_for_the_same_is_no_change,
    lines_are_not_written_where_the_total_is_a_conflict, a_header_and_lines_are_told_apart,
    lines_that_differ_keep_their_base, lines_that_agree_again_are_the_new_base,
)  # fmt: skip


def test_from_one_reconciliation_to_the_next(october: Month) -> None:
    """Each story has a document of its own; after each of its steps the month is reconciled, once for all of them."""
    lines = [row for row in october.books.rows["invoice_lines"] if row["invoice_id"] == "plain"]
    keys = {story: f"story{number}" for number, story in enumerate(STORIES)}
    for key in keys.values():
        own = [
            {name: value for name, value in row.items() if name not in ("id", "invoice_id", "line_no")}
            for row in lines
        ]
        october.invoice(key, *own, memo="October usage")
    october.land()
    assert october.reconcile().differences == []
    going = {story: story(october, key) for story, key in keys.items()}
    while going:
        wanted = {story: next(steps, None) for story, steps in going.items()}
        going = {story: steps for story, steps in going.items() if wanted[story] is not None}
        if not going:
            break
        october.map_billing()
        found = october.reconcile()
        for story in going:
            rows = found.of(f"inv-{keys[story]}")
            places = [row["field"] if row["line"] is None else (row["field"], row["line"]) for row in rows]
            said = dict(zip(places, map(told, rows), strict=True))
            assert said == wanted[story], (story.__name__, said)


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


# Lines and totals


def test_the_lines_of_a_document_were_changed_by_one_side(agreed: Month) -> None:
    bill_line(agreed, "euro", 1, quantity=Decimal(4), amount=Decimal("40.40"))
    agreed.remove_line("inv-plain", 1)
    agreed.change_line("inv-plain", 2, description="by hand")
    found = agreed.reconcile()
    assert {(row["external_id"], row["kind"], *told(row)) for row in found.differences} == {
        ("inv-euro", "line_changed", None, "billing", "billing"),
        ("inv-plain", "line_missing", None, "netsuite", "billing"),
        ("inv-plain", "line_changed", None, "netsuite", "billing"),
    }


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
    run(october, 2, 9)


@pytest.mark.soak
def test_any_order_of_many_changes_is_told_by_what_was_agreed_on_last(october: Month) -> None:
    run(october, 60, 40)
