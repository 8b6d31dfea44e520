"""What of a plan may go, who must approve the rest, and what is held whatever anybody approves."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from month import NOW, Month
from rich.console import Console

from netsuite_assets import frames
from netsuite_assets.publish.plan_page import print_plan, write_document
from netsuite_assets.writeback.approval import Selection, approve
from netsuite_assets.writeback.plan import AUTOMATIC, Planned, PlanRefused, load_plan, make_plan
from resources.ledger import Ledger, LedgerError
from resources.tenants.writeback import AutomaticRule, WritebackSettings

PERIOD = "2026-10"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def differing(october: Month) -> Month:
    """An invoice of USD 150.87 and one of EUR 80.00 are missing, a third has another memo, a customer another email."""
    october.rules = october.rules.with_policy()
    october.remove("inv-plain")
    october.remove("inv-euro")
    october.change("inv-same", memo="by hand")
    october.change("cus-c1", email="old@example.com")
    return october


def limited(month: Month, **limits: Any) -> None:
    """Set limits of the automatic approval; nothing else is limited."""
    tenant = month.rules.tenant
    allowed = tenant.writeback.approve_automatically.model_copy(update=limits)
    month.rules = replace(
        month.rules,
        tenant=replace(
            tenant,
            settings=tenant.settings.model_copy(
                update={"writeback": tenant.writeback.model_copy(update={"approve_automatically": allowed})}
            ),
        ),
    )


def plan(month: Month, ledger: Ledger, *, hours: int = 0) -> Planned:
    month.prove()
    month.reconcile()
    return make_plan(
        month.held, month.rules.tenant, month.rules.mapping, PERIOD, ledger, NOW + timedelta(hours=hours)
    )


def load(month: Month, ledger: Ledger) -> Planned:
    return load_plan(month.held, month.rules.tenant, month.rules.mapping, PERIOD, ledger)


def rows(planned: Planned) -> list[dict[str, Any]]:
    return frames.records(planned.operations)


def sendable(planned: Planned) -> list[str]:
    return [row["external_id"] for rows in planned.sendable(2) for row in rows]


def waiting(month: Month) -> list[tuple[str, str]]:
    found = frames.records(frames.read(month.held, frames.EXCEPTIONS, PERIOD))
    return [(row["code"], row["external_id"]) for row in found if row["stage"] == "plan"]


# Automatic approval, a part of it


def test_a_record_that_moves_too_much_waits_and_the_others_go(differing: Month, ledger: Ledger) -> None:
    limited(differing, record_amount=Decimal("100"))
    planned = plan(differing, ledger)
    assert sendable(planned) == ["cus-c1", "inv-euro", "inv-same"]
    assert sendable(load(differing, ledger)) == ["cus-c1", "inv-euro", "inv-same"]
    assert waiting(differing) == [("not_approved", "inv-plain")]
    assert planned.plan.held_because == (
        "1 operation: it moves more than the 100.00 of one record that are approved automatically"
    )
    assert planned.approval is not None
    assert (planned.approval.approved_by, len(planned.approval.operations or ())) == (AUTOMATIC, 3)


@pytest.mark.parametrize(
    ("only", "goes"),
    [
        ([{"action": "create"}], ["inv-euro", "inv-plain"]),
        ([{"record": "customer"}], ["cus-c1"]),
        ([{"record": "invoice", "fields": ["memo", "terms"]}], ["inv-same"]),
        ([{"record": "invoice", "fields": ["terms"]}], []),
        ([{"fields": ["email"]}, {"record": "invoice", "action": "update"}], ["cus-c1", "inv-same"]),
        ([{}], ["cus-c1", "inv-euro", "inv-plain", "inv-same"]),
    ],
)
def test_only_the_kinds_and_fields_that_are_named_go_by_themselves(
    differing: Month, ledger: Ledger, only: list[dict[str, Any]], goes: list[str]
) -> None:
    limited(differing, only=[AutomaticRule.model_validate(rule) for rule in only])
    assert sendable(plan(differing, ledger)) == goes
    assert {name for _, name in waiting(differing)} == {"cus-c1", "inv-euro", "inv-plain", "inv-same"} - set(
        goes
    )


def test_what_waits_does_not_count_towards_the_limits_of_the_plan(differing: Month, ledger: Ledger) -> None:
    limited(differing, record_amount=Decimal("100"), operations=3, amount=Decimal("80"))
    assert len(sendable(plan(differing, ledger))) == 3
    limited(differing, record_amount=Decimal("100"), operations=2)
    planned = plan(differing, ledger, hours=1)
    assert sendable(planned) == []
    assert planned.plan.held_because == "3 operations are more than the 2 approved automatically"


def test_an_automatic_approval_lapses_with_the_limits_that_gave_it(differing: Month, ledger: Ledger) -> None:
    assert len(sendable(plan(differing, ledger))) == 4
    limited(differing, record_amount=Decimal("100"))
    assert sendable(load(differing, ledger)) == ["cus-c1", "inv-euro", "inv-same"]
    limited(differing, operations=0)
    assert sendable(load(differing, ledger)) == []


def test_wider_limits_approve_nothing_until_the_plan_is_made_again(differing: Month, ledger: Ledger) -> None:
    limited(differing, record_amount=Decimal("100"))
    plan(differing, ledger)
    limited(differing)
    limited(differing, record_amount=None)
    assert sendable(load(differing, ledger)) == ["cus-c1", "inv-euro", "inv-same"]
    assert len(sendable(plan(differing, ledger, hours=1))) == 4


# A person's approval, of a part


@pytest.mark.parametrize(
    ("selection", "goes"),
    [
        (Selection(), ["cus-c1", "inv-euro", "inv-plain", "inv-same"]),
        (Selection(records=["customer"]), ["cus-c1"]),
        (Selection(external_ids=["inv-same", "inv-euro"]), ["inv-euro", "inv-same"]),
        (Selection(numbers=[1, 3]), ["cus-c1", "inv-plain"]),
        (Selection(records=["invoice"], numbers=[2, 4]), ["inv-euro", "inv-same"]),
    ],
)
def test_a_person_approves_a_plan_or_some_of_it(
    differing: Month, ledger: Ledger, selection: Selection, goes: list[str]
) -> None:
    limited(differing, operations=0)
    made = plan(differing, ledger)
    assert sendable(made) == []
    told = approve(
        differing.held, ledger, PERIOD, "Ana Controller", "read", selection, NOW, made.plan.plan_id[:8]
    )
    assert "by Ana Controller" in told
    loaded = load(differing, ledger)
    assert sendable(loaded) == goes
    for external_id, kept in differing.sql(f"SELECT external_id, kept FROM ({loaded.judged()})"):
        assert (kept is None) == (external_id in goes)
        assert kept is None or "waits for approval" in kept
    plan(differing, ledger, hours=1)  # the same plan again
    left = {"cus-c1", "inv-euro", "inv-plain", "inv-same"} - set(goes)
    assert {name for _, name in waiting(differing)} == left


def test_approvals_of_parts_add_up(differing: Month, ledger: Ledger) -> None:
    limited(differing, record_amount=Decimal("100"))
    plan(differing, ledger)
    approve(differing.held, ledger, PERIOD, "Ana", "checked", Selection(external_ids=["inv-plain"]), NOW)
    assert len(sendable(load(differing, ledger))) == 4
    limited(differing, operations=0)
    assert sendable(load(differing, ledger)) == ["inv-plain"]


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (Selection(external_ids=["inv-nowhere"]), "no operation with the external id inv-nowhere"),
        (Selection(numbers=[9]), "no operation with the number 9"),
        (Selection(records=["creditMemo"]), "no operation with the record type creditMemo"),
    ],
)
def test_nothing_is_approved_that_is_not_in_the_plan(
    differing: Month, ledger: Ledger, selection: Selection, says: str
) -> None:
    limited(differing, operations=0)
    made = plan(differing, ledger)
    with pytest.raises(LedgerError, match=says):
        approve(differing.held, ledger, PERIOD, "Ana", "x", selection, NOW)
    with pytest.raises(LedgerError, match="not 0000"):
        approve(differing.held, ledger, PERIOD, "Ana", "x", Selection(), NOW, "0000")
    with pytest.raises(LedgerError, match="needs the name"):
        approve(differing.held, ledger, PERIOD, " ", "x", Selection(), NOW)
    assert ledger.approvals(made.plan.plan_id) == []


def test_a_plan_altered_before_its_approval_cannot_be_approved(differing: Month, ledger: Ledger) -> None:
    plan(differing, ledger)
    differing.sql("UPDATE write_back.plan SET body = replace(body, '100', '900')")
    with pytest.raises(PlanRefused, match="has been altered since"):
        approve(differing.held, ledger, PERIOD, "Ana", "x", Selection(), NOW)


# Held, whoever approves


def test_a_paused_tenant_and_a_paused_record_type_send_nothing(differing: Month, ledger: Ledger) -> None:
    plan(differing, ledger)
    differing.rules = differing.rules.with_policy(paused=["invoice"])
    assert sendable(load(differing, ledger)) == ["cus-c1"]  # at once, without another plan
    assert sendable(plan(differing, ledger, hours=1)) == ["cus-c1"]
    assert waiting(differing) == [("paused", name) for name in ("inv-euro", "inv-plain", "inv-same")]
    differing.rules = differing.rules.with_policy(paused=True)
    assert sendable(plan(differing, ledger, hours=2)) == []
    assert len(waiting(differing)) == 4


def test_what_needs_a_held_record_is_held_with_it_and_the_rest_goes_on(
    october: Month, ledger: Ledger
) -> None:
    october.rules = october.rules.with_policy(paused=["customer"])
    october.remove("cus-c2")
    october.remove("inv-euro")
    october.remove("inv-plain")
    customer, euro, plain = rows(plan(october, ledger))
    assert customer["held"] == "the tenant's file pauses writing"
    assert euro["waits_for"] == "customer cus-c2"
    assert euro["held"] == "it waits for its customer cus-c2, which is held: the tenant's file pauses writing"
    assert (plain["held"], plain["waits_for"]) == (None, None)


def test_an_operation_says_which_record_of_the_plan_it_waits_for(october: Month, ledger: Ledger) -> None:
    october.rules = october.rules.with_policy(duplicate="delete")
    october.remove("cus-c2")
    october.remove("inv-euro")
    october.remove("cm-back")
    found = {row["external_id"]: row for row in rows(plan(october, ledger))}
    assert found["inv-euro"]["waits_for"] == "customer cus-c2"
    assert found["cm-back"]["waits_for"] is None
    assert found["cus-c2"]["sequence"] < found["inv-euro"]["sequence"]


@pytest.mark.parametrize(
    ("cut_over", "held"),
    [
        ({}, []),
        ({"invoice": date(2026, 10, 15)}, []),
        ({"invoice": date(2026, 10, 16)}, ["inv-euro", "inv-plain", "inv-same"]),
        ({"creditMemo": date(2030, 1, 1)}, []),
        ({"customer": date(2026, 11, 1)}, ["cus-c1"]),
    ],
)
def test_what_is_dated_before_the_cut_over_is_not_written(
    differing: Month, ledger: Ledger, cut_over: dict[str, date], held: list[str]
) -> None:
    differing.rules = differing.rules.with_policy(cut_over=cut_over)
    planned = rows(plan(differing, ledger))
    assert [row["external_id"] for row in planned if row["held"]] == held
    assert waiting(differing) == [("before_cut_over", name) for name in held]


# Closed months


def test_a_document_of_a_closed_month_is_posted_in_the_next_open_one_where_that_is_agreed(
    differing: Month, ledger: Ledger
) -> None:
    differing.rules = differing.rules.with_policy(
        closed_period="next_open_period", closed_period_consent="Ana Controller, 2026-11-01"
    )
    differing.close_period(PERIOD)
    differing.close_period("2026-11", "ar_locked")
    differing.close_period("2026-12", "none")
    found = {row["external_id"]: row for row in rows(plan(differing, ledger))}
    moved = found["inv-plain"]
    assert (moved["posts_in"], moved["held"]) == ("2026-12", None)
    assert next(iter(json.loads(moved["body"]))) == "postingPeriod"
    assert json.loads(moved["body"])["postingPeriod"] == {"id": "p-2026-12"}
    assert json.loads(moved["body"])["tranDate"] == "2026-10-15"
    assert moved["changes"].endswith("Posted in 2026-12, because 2026-10 takes no postings.")
    # What is in the closed month already cannot be changed there, nor moved out of it.
    assert found["inv-same"]["held"] == "the accounting period 2026-10 is closed in NetSuite"
    assert found["inv-same"]["posts_in"] is None
    assert found["cus-c1"]["held"] is None
    assert sendable(load(differing, ledger)) == ["cus-c1", "inv-euro", "inv-plain"]


def test_without_an_open_month_after_it_a_closed_one_holds(differing: Month, ledger: Ledger) -> None:
    differing.rules = differing.rules.with_policy(
        closed_period="next_open_period", closed_period_consent="Ana Controller"
    )
    differing.close_period(PERIOD)
    assert [row["external_id"] for row in rows(plan(differing, ledger)) if row["held"]] == [
        "inv-euro", "inv-plain", "inv-same",
    ]  # fmt: skip


def test_another_month_is_not_posted_in_without_consent() -> None:
    with pytest.raises(ValueError, match="who agreed to that"):
        WritebackSettings.model_validate({"closed_period": "next_open_period"})


# For people


def test_the_plan_reads_as_a_page_and_as_a_document(differing: Month, ledger: Ledger, tmp_path: Path) -> None:
    limited(differing, record_amount=Decimal("100"))
    differing.close_period("2026-09")
    planned = plan(differing, ledger)
    console = Console(file=io.StringIO(), width=220)
    print_plan(console, differing.held, ledger, PERIOD)
    page = console.file.getvalue()  # type: ignore[attr-defined]
    assert "4 operations to send; moves EUR 80.00; USD 150.87." in page
    assert f"Approved of 3 of 4 operations by {AUTOMATIC}" in page
    assert "Waits for approval: 1 operation: it moves more than the 100.00" in page
    path = tmp_path / "plan.md"
    assert write_document(path, differing.held, ledger, PERIOD) == 4
    text = path.read_text(encoding="utf-8")
    for row in rows(planned):
        assert row["body"] in text
        assert row["body_hash"] in text
    assert "## 4. update invoice N-same of Nordwind Ltd (inv-same)" in text
    assert "NetSuite has by hand." in text
    assert planned.plan.inputs_hash in text


def test_lines_of_a_line_change_are_named_by_their_sublist(october: Month, ledger: Ledger) -> None:
    october.change_line("inv-plain", 2, amount=Decimal("1.00"))
    october.change("inv-plain", memo="x")
    [row] = rows(plan(october, ledger))
    assert row["fields"] == "memo, item"
