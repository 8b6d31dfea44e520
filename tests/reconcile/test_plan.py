"""The plan: exactly the requests that repair what differs, the same each time, and nothing that policy holds back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from month import NOW, Month, line, load_rules

from netsuite_assets import frames
from netsuite_assets.writeback import operations
from netsuite_assets.writeback.plan import (
    AUTOMATIC,
    Planned,
    PlanRefused,
    load_plan,
    make_plan,
    request_hash,
    request_of,
)
from resources.ledger import Approval, Ledger

PERIOD = "2026-10"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield opened
    opened.close()


def plan(month: Month, ledger: Ledger, *, hours: int = 0) -> Planned:
    """Reconcile and plan, as a run does."""
    month.prove()
    month.reconcile()
    now = NOW + timedelta(hours=hours)
    return make_plan(month.held, month.rules.tenant, month.rules.mapping, month.period, ledger, now)


def load(month: Month, ledger: Ledger) -> Planned:
    return load_plan(month.held, month.rules.tenant, month.rules.mapping, month.period, ledger)


def rows(planned: Planned) -> list[dict[str, Any]]:
    return frames.records(planned.operations)


def exceptions(month: Month) -> list[dict[str, Any]]:
    found = frames.records(frames.read(month.held, frames.EXCEPTIONS, PERIOD))
    return [row for row in found if row["stage"] == "plan"]


# The requests


def test_sides_that_agree_need_no_operation(october: Month, ledger: Ledger) -> None:
    planned = plan(october, ledger)
    assert rows(planned) == []
    assert (planned.plan.operations, planned.plan.amounts, planned.plan.held_because) == (0, "", None)
    assert planned.approval is None


def test_an_update_has_the_differing_fields_alone(october: Month, ledger: Ledger) -> None:
    october.change("inv-plain", memo="wrong", terms=None)
    october.change("inv-euro", memo="should be empty")
    euro, plain = rows(plan(october, ledger))
    assert (plain["action"], plain["method"], plain["query"]) == ("update", "PATCH", "")
    assert plain["path"] == "/services/rest/record/v1/invoice/eid:inv-plain"
    assert json.loads(plain["body"]) == {"memo": "October usage", "terms": {"id": "2"}}
    assert (plain["external_id"], plain["internal_id"]) == ("inv-plain", october.internal_id("inv-plain"))
    assert plain["base_modified"] == "then"
    assert plain["changes"] == (
        "memo should be October usage; NetSuite has wrong. terms should be Net 30; NetSuite has nothing."
    )
    assert json.loads(euro["body"]) == {"memo": None}


def test_where_a_line_differs_all_lines_are_replaced(october: Month, ledger: Ledger) -> None:
    october.change_line("inv-plain", 2, amount=Decimal("1.00"))
    [row] = rows(plan(october, ledger))
    assert row["query"] == "replace=item"
    body = json.loads(row["body"], parse_float=Decimal)
    assert list(body) == ["item"]
    assert [item["amount"] for item in body["item"]["items"]] == [100, Decimal("50.5"), Decimal("0.37")]
    assert body["item"]["items"][1] == {
        "item": {"id": "12"},
        "description": "Seats",
        "quantity": 5,
        "rate": Decimal("10.1"),
        "amount": Decimal("50.5"),
        "custcol_rated_events": 2,
        "department": {"id": "1"},
        "class": {"id": "1"},
    }
    assert row["amount"] == Decimal("49.50")


def test_a_missing_document_is_created_whole_under_its_external_id(october: Month, ledger: Ledger) -> None:
    october.remove("inv-euro")
    [row] = rows(plan(october, ledger))
    assert (row["action"], row["method"], row["query"]) == ("create", "PUT", "replace=item")
    assert row["path"] == "/services/rest/record/v1/invoice/eid:inv-euro"
    assert row["waits_for"] is None  # its customer is there
    assert (row["amount"], row["currency"]) == (Decimal("80.00"), "EUR")
    assert json.loads(row["body"]) == {
        "entity": {"externalId": "cus-c2"},
        "currency": {"id": "4"},
        "tranDate": "2026-10-15",
        "otherRefNum": "N-euro",
        "subsidiary": {"id": "3"},
        "terms": {"id": "2"},
        "cseg_product": {"id": "1"},
        "message": "EUR / eu",
        "department": {"id": "1"},
        "class": {"id": "1"},
        "location": {"id": "2"},
        "item": {
            "items": [
                {
                    "item": {"id": "11"},
                    "description": "Nutzung – Größe Ω",
                    "quantity": 1,
                    "rate": 80,
                    "amount": 80,
                    "custcol_rated_events": 1,
                    "department": {"id": "1"},
                    "class": {"id": "1"},
                }
            ]
        },
    }


def test_customers_come_first_and_removals_before_what_takes_their_place(
    october: Month, ledger: Ledger
) -> None:
    october.remove("cm-back")
    october.remove("inv-euro")
    october.remove("cus-c2")
    october.copy("inv-plain", "41")
    planned = rows(plan(october, ledger))
    assert [(row["sequence"], row["action"], row["record"], row["external_id"]) for row in planned] == [
        (1, "create", "customer", "cus-c2"),
        (2, "delete", "invoice", None),
        (3, "create", "invoice", "inv-euro"),
        (4, "create", "creditMemo", "cm-back"),
    ]
    assert [row["wave"] for row in planned] == sorted(row["wave"] for row in planned)


def test_a_document_of_another_month_is_left_to_that_month(october: Month, ledger: Ledger) -> None:
    october.copy("inv-plain", "41", external_id="inv-september", otherRefNum="N-september")
    assert rows(plan(october, ledger)) == []


def test_a_held_back_document_is_not_touched(october: Month, ledger: Ledger) -> None:
    october.copy("inv-plain", "41", external_id="inv-nobody", otherRefNum="N-nobody")
    assert rows(plan(october, ledger)) == []


def test_a_field_that_netsuite_owns_is_never_written(
    october: Month, ledger: Ledger, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    shutil.copytree(pytestconfig.rootpath / "tenants", tmp_path / "tenants")
    defaults = tmp_path / "tenants" / "_defaults.yaml"
    text = defaults.read_text(encoding="utf-8")
    defaults.write_text(text.replace("{from: memo}", "{from: memo, owner: netsuite}"), encoding="utf-8")
    october.rules = load_rules(tmp_path / "tenants", "acme")
    october.land()
    october.change("inv-plain", memo="by hand", terms=None)
    october.change("inv-euro", memo="by hand")
    [row] = rows(plan(october, ledger))
    assert json.loads(row["body"]) == {"terms": {"id": "2"}}


# The same each time


def test_the_same_differences_give_the_same_plan_to_the_byte(
    october: Month, ledger: Ledger, tmp_path: Path
) -> None:
    def defects() -> None:
        october.remove("inv-plain")
        october.change_line("inv-same", 2, amount=Decimal("9.00"))
        october.copy("inv-euro", "41")

    defects()
    first = plan(october, ledger)
    for table in october.books.rows.values():
        table.reverse()
    october.land()
    defects()
    other = Ledger(f"sqlite:///{tmp_path / 'other.sqlite'}")
    second = plan(october, other, hours=5)
    other.close()
    assert first.plan.plan_id == second.plan.plan_id
    assert rows(first) == rows(second)
    assert len(rows(first)) == 3


def test_a_plan_does_not_depend_on_the_parts_in_which_it_is_made(
    october: Month, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    october.remove("inv-plain")
    october.change_line("inv-same", 2, amount=Decimal("9.00"))
    october.change("inv-euro", memo="should be empty")
    whole = plan(october, ledger)
    before = rows(whole)
    for bound in ("_AT_ONCE", "_LINES_AT_ONCE"):
        with monkeypatch.context() as patched:
            patched.setattr(operations, bound, 1)
            again = plan(october, ledger, hours=1)
        assert again.plan.plan_id == whole.plan.plan_id
        assert rows(again) == before


def test_a_plan_is_loaded_as_it_was_made(october: Month, ledger: Ledger) -> None:
    october.remove("inv-plain")
    october.change("inv-same", memo="wrong")
    made = plan(october, ledger)
    loaded = load(october, ledger)
    assert rows(loaded) == rows(made)
    assert loaded.plan == made.plan
    assert loaded.approval is not None
    assert loaded.approval.approved_by == AUTOMATIC
    for row in rows(loaded):
        assert request_hash(request_of(row)) == row["body_hash"]


def test_a_plan_that_was_made_before_can_be_made_and_loaded_again(october: Month, ledger: Ledger) -> None:
    october.remove("inv-plain")
    first = plan(october, ledger)
    october.close_period(PERIOD)
    second = plan(october, ledger, hours=1)
    assert second.plan.plan_id != first.plan.plan_id
    october.sql("DELETE FROM netsuite.periods")
    assert plan(october, ledger, hours=2).plan.plan_id == first.plan.plan_id
    assert load(october, ledger).plan.plan_id == first.plan.plan_id


# Refusals


def test_without_a_plan_there_is_nothing_to_apply(october: Month, ledger: Ledger) -> None:
    with pytest.raises(PlanRefused, match="acme, 2026-10: there is no plan to apply"):
        load(october, ledger)


@pytest.mark.parametrize(
    "altered",
    [
        "body = replace(body, '100', '999')",
        "path = path || '0'",
        "query = ''",
        "method = 'DELETE'",
        "action = 'delete'",
        "record = 'creditMemo'",
        "wave = 0",
        "held = 'because'",
        "external_id = 'inv-other'",
        "internal_id = '7'",
        "base_modified = 'now'",
        "waits_for = 'customer cus-c1'",
        "posts_in = '2026-11'",
        "operation_key = 'x'",
    ],
)
def test_an_altered_plan_is_refused(
    altered: str, altered_month: tuple[Month, Ledger], request: pytest.FixtureRequest
) -> None:
    month, ledger = altered_month
    month.sql("BEGIN")
    try:
        month.sql(f"UPDATE write_back.plan SET {altered} WHERE sequence = 1")
        with pytest.raises(PlanRefused, match="has been altered since"):
            load(month, ledger)
    finally:
        month.sql("ROLLBACK")


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM write_back.plan WHERE sequence = 1", "UPDATE write_back.plan SET sequence = 3 - sequence"],
)
def test_a_plan_with_operations_taken_away_or_turned_round_is_refused(
    statement: str, altered_month: tuple[Month, Ledger]
) -> None:
    month, ledger = altered_month
    month.sql("BEGIN")
    try:
        month.sql(statement)
        with pytest.raises(PlanRefused, match="has been altered since"):
            load(month, ledger)
    finally:
        month.sql("ROLLBACK")


@pytest.fixture(scope="module")
def altered_month(
    landed: Any, acme: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Month, Ledger]]:
    """A month with a plan of two operations; what a test does to it is rolled back."""
    from resources.warehouse import Warehouse

    folder = tmp_path_factory.mktemp("altered")
    (folder / "tenants").mkdir()
    shutil.copyfile(landed.path, folder / "tenants" / "acme.duckdb")
    ledger = Ledger(f"sqlite:///{folder / 'ledger.sqlite'}")
    with Warehouse(folder).open("acme") as held:
        month = Month(held, acme, PERIOD)
        month.books = landed.books
        month.remove("inv-plain")
        month.remove("inv-same")
        assert len(rows(plan(month, ledger))) == 2
        assert load(month, ledger).plan.operations == 2
        yield month, ledger
    ledger.close()


def test_a_plan_whose_inputs_were_read_anew_and_differ_is_refused(october: Month, ledger: Ledger) -> None:
    october.remove("inv-plain")
    plan(october, ledger)
    october.prove()
    load(october, ledger)  # read again and the same
    october.change("inv-same", last_modified="a minute ago")
    october.prove()
    with pytest.raises(PlanRefused, match="rests on has changed since it was made"):
        load(october, ledger)


def test_a_plan_of_another_mapping_is_refused(october: Month, ledger: Ledger) -> None:
    from dataclasses import replace

    october.remove("inv-plain")
    plan(october, ledger)
    october.rules = replace(october.rules, mapping=replace(october.rules.mapping, hash="another"))
    with pytest.raises(PlanRefused, match="rests on has changed"):
        load(october, ledger)


def test_an_altered_request_is_refused_once_more_before_it_is_sent(october: Month, ledger: Ledger) -> None:
    october.remove("inv-plain")
    [row] = rows(plan(october, ledger))
    with pytest.raises(PlanRefused, match=r"the create of invoice inv-plain \(N-plain\) was altered"):
        request_of(row | {"body": row["body"].replace("100", "999")})


# Closed periods


@pytest.mark.parametrize(
    ("column", "words"),
    [("closed", "closed"), ("ar_locked", "locked for receivables")],
)
def test_a_closed_period_holds_its_documents_and_not_customers(
    october: Month, ledger: Ledger, column: str, words: str
) -> None:
    october.remove("inv-plain")
    october.change("cus-c1", email="old@example.com")
    october.close_period(PERIOD, column)
    customer, invoice = rows(plan(october, ledger))
    assert customer["held"] is None
    assert invoice["held"] == f"the accounting period 2026-10 is {words} in NetSuite"
    [exception] = exceptions(october)
    assert (exception["code"], exception["external_id"]) == ("period_closed", "inv-plain")
    assert (
        exception["reason"]
        == f"Its correction is held: the accounting period 2026-10 is {words} in NetSuite."
    )
    assert "Re-open the period" in exception["next_step"]


def test_a_document_does_not_leave_a_closed_period(october: Month, ledger: Ledger) -> None:
    october.change("inv-plain", tranDate=date(2026, 9, 30), dated_in="2026-09")
    october.close_period("2026-09")
    [row] = rows(plan(october, ledger))
    assert row["held"] == "the accounting period 2026-09 is closed in NetSuite"


def test_a_tenant_may_rather_have_no_plan_than_one_with_held_operations(
    october: Month, ledger: Ledger
) -> None:
    october.rules = october.rules.with_policy(closed_period="fail")
    october.remove("inv-plain")
    october.close_period(PERIOD)
    with pytest.raises(PlanRefused, match=r"the accounting period 2026-10 is closed.*closed_period: fail"):
        plan(october, ledger)
    assert ledger.plan_ids("acme", PERIOD) == []


def test_documents_of_a_customer_that_cannot_be_made_are_held(october: Month, ledger: Ledger) -> None:
    october.customer("c9", "Mars Ltd", legal_entity="mars")
    october.invoice("mars", line("5.00"), customer_id="c9")
    october.land()
    october.remove("inv-mars")
    october.remove("inv-plain")
    mars, plain = rows(plan(october, ledger))
    assert plain["held"] is None
    assert mars["waits_for"] == "customer cus-c9"
    assert mars["held"].startswith("its customer cus-c9 is not in NetSuite and cannot be made: ")
    assert "mars" in mars["held"]
    [exception] = exceptions(october)
    assert (exception["code"], exception["external_id"]) == ("unresolved_reference", "inv-mars")
    assert exception["next_step"] == "Mend the customer's exception first; this follows in the next run."


# Documents that look alike


@pytest.mark.parametrize("policy", ["hold", "delete"])
@pytest.mark.parametrize("others", [0, 1], ids=["linked", "ambiguous"])
def test_a_document_that_is_there_without_its_external_id_is_neither_made_again_nor_written_nor_removed(
    october: Month, ledger: Ledger, policy: str, others: int
) -> None:
    """Whatever else is amiss with it: a person links it first."""
    october.rules = october.rules.with_policy(duplicate=policy, only_in_netsuite=policy)
    for number in range(others):
        october.copy("inv-plain", f"4{number}")
    october.change("inv-plain", external_id=None, memo="by hand")
    october.change_line("inv-euro", 1, description="by hand")
    assert [row["external_id"] for row in rows(plan(october, ledger))] == ["inv-euro"]
    found = frames.records(frames.read(october.held, frames.EXCEPTIONS, PERIOD))
    [exception] = [row for row in found if row["external_id"] == "inv-plain"]
    assert exception["code"] == ("ambiguous" if others else "not_linked")
    assert "the external id inv-plain in NetSuite" in exception["next_step"]


def test_a_document_of_a_closed_month_is_not_linked(october: Month, ledger: Ledger) -> None:
    october.rules = october.rules.with_policy(not_linked="link")
    october.change("inv-plain", external_id=None)
    [row] = rows(plan(october, ledger))
    assert (row["action"], row["held"]) == ("link", None)
    october.close_period(PERIOD, "closed")
    [row] = rows(plan(october, ledger))
    assert (row["action"], row["held"]) == ("link", "the accounting period 2026-10 is closed in NetSuite")


def test_documents_wait_for_a_customer_that_is_to_be_linked(october: Month, ledger: Ledger) -> None:
    """Named by its external id, the customer would not be found."""
    october.remove("inv-plain")
    october.remove("inv-euro")
    october.change("cus-c1", external_id=None)
    held = {row["external_id"]: row["held"] for row in rows(plan(october, ledger))}
    assert held.keys() == {"inv-plain", "inv-euro"}
    assert held["inv-euro"] is None
    assert held["inv-plain"].startswith(
        "its customer cus-c1 is not in NetSuite and cannot be made: NetSuite holds"
    )


@pytest.mark.parametrize(
    ("policy", "deleted"),
    [
        ({"only_in_netsuite": "hold", "duplicate": "hold"}, []),
        ({"only_in_netsuite": "delete", "duplicate": "hold"}, ["41"]),
        ({"only_in_netsuite": "hold", "duplicate": "delete"}, ["42"]),
    ],
)
def test_nothing_is_deleted_unless_policy_says_so(
    october: Month, ledger: Ledger, policy: dict[str, str], deleted: list[str]
) -> None:
    october.rules = october.rules.with_policy(**policy)
    october.copy("inv-plain", "41", otherRefNum="unknown", total=Decimal(1))
    october.copy("inv-plain", "42")
    planned = rows(plan(october, ledger))
    assert [row["internal_id"] for row in planned] == deleted
    for row in planned:
        assert (row["action"], row["method"], row["body"]) == ("delete", "DELETE", "")
        assert row["path"] == f"/services/rest/record/v1/invoice/{row['internal_id']}"


# Who must approve


def _two_invoices_missing(month: Month) -> None:
    month.remove("inv-plain")  # USD 150.87
    month.remove("inv-euro")  # EUR 80.00


def test_a_plan_within_the_limits_is_approved_by_policy(october: Month, ledger: Ledger) -> None:
    october.rules = october.rules.with_policy(operations=2, amount="150.87", share="1")
    _two_invoices_missing(october)
    planned = plan(october, ledger)
    assert planned.plan.held_because is None
    assert (planned.plan.operations, planned.plan.amounts) == (2, "EUR 80.00; USD 150.87")
    assert planned.approval is not None
    assert (planned.approval.approved_by, planned.approval.automatic) == (AUTOMATIC, True)
    assert exceptions(october) == []


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"operations": 1}, "2 operations are more than the 1 approved automatically"),
        ({"amount": "150.8699"}, "it moves USD 150.87, more than the 150.8699 approved automatically"),
        ({"share": "0.2"}, "it touches 2 of 8 records, more than the circuit breaker's share of 20%"),
        (
            {"breaker_amount": "79.99"},
            "it moves EUR 80.00; USD 150.87, more than the circuit breaker's 79.99",
        ),
    ],
    ids=["operations", "amount", "share", "amount of the breaker"],
)
def test_a_plan_over_a_limit_waits_for_a_person(
    october: Month, ledger: Ledger, limits: dict[str, Any], why: str
) -> None:
    october.rules = october.rules.with_policy(**limits)
    _two_invoices_missing(october)
    planned = plan(october, ledger)
    assert planned.plan.held_because == why
    assert planned.approval is None
    assert [(row["code"], row["external_id"]) for row in exceptions(october)] == [
        ("not_approved", "inv-euro"),
        ("not_approved", "inv-plain"),
    ]
    assert exceptions(october)[0]["reason"] == f"Its correction waits for approval: {why}."
    assert "recon approve acme 2026-10" in exceptions(october)[0]["next_step"]


def test_a_named_persons_approval_holds_for_the_same_plan_alone(october: Month, ledger: Ledger) -> None:
    october.rules = october.rules.with_policy(operations=0)
    _two_invoices_missing(october)
    approval = Approval(plan(october, ledger).plan.plan_id, "Ana Controller", False, "checked", NOW)
    ledger.approve(approval)
    again = plan(october, ledger, hours=1)
    assert again.approval == approval
    assert exceptions(october) == []
    october.remove("inv-same")
    assert plan(october, ledger, hours=2).approval is None


def test_the_breaker_trips_when_billing_is_empty(october: Month, ledger: Ledger) -> None:
    """A source that lost everything must not empty NetSuite too, whatever share is allowed."""
    october.rules = october.rules.with_policy(only_in_netsuite="delete", duplicate="delete", share="1")
    for table in october.books.rows.values():
        table.clear()
    october.map_billing()
    planned = plan(october, ledger)
    assert planned.plan.operations == 5
    assert planned.plan.held_because == "it touches 5 records where billing has none"
    assert planned.approval is None


@pytest.mark.parametrize(
    ("share", "why"),
    [("1", None), ("0.8", "it touches 5 of 6 records, more than the circuit breaker's share of 80%")],
)
def test_records_that_billing_lacks_count_among_all_records(
    october: Month, ledger: Ledger, share: str, why: str | None
) -> None:
    """Billing has one customer left and NetSuite five documents: the whole of them is a share of one."""
    october.rules = october.rules.with_policy(only_in_netsuite="delete", duplicate="delete", share=share)
    for name, table in october.books.rows.items():
        del table[1 if name == "customers" else 0 :]
    october.map_billing()
    planned = plan(october, ledger)
    assert planned.plan.operations == 5
    assert planned.plan.held_because == why


def test_a_tenant_that_only_plans_is_approved_nothing(october: Month, ledger: Ledger) -> None:
    october.rules = october.rules.with_policy(mode="plan_only")
    _two_invoices_missing(october)
    planned = plan(october, ledger)
    assert (planned.plan.operations, planned.approval) == (2, None)
    assert exceptions(october) == []


def test_held_operations_do_not_count_towards_the_limits(october: Month, ledger: Ledger) -> None:
    october.rules = october.rules.with_policy(operations=0, amount="0")
    _two_invoices_missing(october)
    october.close_period(PERIOD)
    planned = plan(october, ledger)
    assert (planned.plan.operations, planned.plan.amounts, planned.plan.held_because) == (0, "", None)
    assert planned.approval is None
