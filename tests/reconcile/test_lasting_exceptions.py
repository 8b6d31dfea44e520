"""Exceptions over many runs: one a cause, open until its cause is gone, whatever the runs do or fail to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from month import NOW, Month, line

from netsuite_assets import frames
from netsuite_assets.reconcile.exceptions import bucket, cause_of, lasting, synchronise
from netsuite_assets.writeback.apply import exceptions_of
from netsuite_assets.writeback.failures import tell_outcomes, tell_plan
from netsuite_assets.writeback.plan import make_plan
from resources.ledger import Event, LastingException, Ledger, NewIntent

PERIOD = "2026-10"


@dataclass
class Runs:
    """Runs over a month, a day apart."""

    month: Month
    ledger: Ledger
    day: int = 0

    @property
    def now(self) -> datetime:
        return NOW + timedelta(days=self.day)

    def compare(self) -> None:
        """What the asset *open_exceptions* does."""
        self.month.prove()
        self.month.reconcile()
        synchronise(
            self.month.held, self.ledger, PERIOD, ["mapping", "reconcile"], self.now, "compare-run"
        )  # fmt: skip

    def plan(self) -> list[dict[str, Any]]:
        """What a run that only plans does after it; the operations."""
        rules = self.month.rules
        planned = make_plan(self.month.held, rules.tenant, rules.mapping, PERIOD, self.ledger, self.now)
        tell_plan(self.month.held, rules.mapping, PERIOD, self.ledger, self.now, "plan-run")
        return frames.records(planned.operations)

    def night(self) -> list[dict[str, Any]]:
        """A nightly run, a day later."""
        self.day += 1
        self.compare()
        return self.plan()

    def apply(self, **states: str) -> None:
        """The plan is sent; operations end in these states by external id (`inv_plain="rejected"`), else written."""
        outcomes = []
        for row in frames.records(frames.read(self.month.held, frames.PLAN, PERIOD)):
            state = states.get(str(row["external_id"]).replace("-", "_"), "written")
            carried = {name: row[name] for name in frames.columns(frames.OUTCOMES) if name in row}
            held = row["held"] is not None
            detail = row["held"] if held else f"NetSuite said {state}"
            outcomes.append(carried | {"state": "held" if held else state, "detail": detail})
        table = frames.rows_frame(frames.OUTCOMES, outcomes)
        frames.replace(self.month.held, frames.OUTCOMES, PERIOD, table)
        frames.replace_exceptions(self.month.held, PERIOD, ("apply",), exceptions_of(PERIOD, table))
        tell_outcomes(self.month.held, PERIOD, self.ledger, self.now, "apply-run")

    def open(self) -> dict[str, LastingException]:
        """What is open now, by code; the bill without a customer left out."""
        found = self.ledger.exceptions("acme", self.now, PERIOD)
        mine = [one for one in found if one.external_id != "inv-nobody"]
        assert len({one.code for one in mine}) == len(mine), mine
        return {one.code: one for one in mine}

    def story(self, one: LastingException) -> list[str]:
        return [event.kind for event in self.ledger.exception_history("acme", one.id)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def runs(october: Month, ledger: Ledger) -> Runs:
    return Runs(october, ledger)


# The same cause


def row(**more: Any) -> dict[str, Any]:
    made = {
        "stage": "apply", "code": "rejected", "record": "invoice", "external_id": "inv-1", "internal_id": "41",
        "number": "N-1", "name": "Acme", "amount": Decimal(1), "currency": "USD", "reason": "r", "next_step": "n",
    }  # fmt: skip
    return made | more


@pytest.mark.parametrize(
    "other",
    [
        row(amount=Decimal(2), currency="EUR"),
        row(reason="otherwise", next_step="otherwise"),
        row(internal_id="42", number="N-2", name="Globex"),
        row(stage="plan"),
    ],
    ids=["amount", "words", "what is known besides", "plan and apply"],
)
def test_the_same_cause(other: dict[str, Any]) -> None:
    assert cause_of("acme", PERIOD, other) == cause_of("acme", PERIOD, row())


@pytest.mark.parametrize(
    "other",
    [
        row(code="unresolved_reference"),
        row(stage="mapping"),
        row(record="creditMemo"),
        row(external_id="inv-2"),
        row(external_id=None),
        row(external_id=None, internal_id="inv-1"),
    ],
)
def test_another_cause(other: dict[str, Any]) -> None:
    assert cause_of("acme", PERIOD, other) != cause_of("acme", PERIOD, row())
    assert cause_of("acme", "2026-09", row()) != cause_of("acme", PERIOD, row())
    assert cause_of("globex", PERIOD, row()) != cause_of("acme", PERIOD, row())


@given(st.integers(min_value=0, max_value=5000))
def test_every_age_is_in_the_one_bucket_that_its_name_says(age: int) -> None:
    low, high = {"90+": ("91", "100000")}.get(bucket(age), tuple(bucket(age).split("-")))
    assert int(low) <= age <= int(high)


# Over many nights


def test_a_document_that_cannot_be_mapped_is_one_exception_for_as_long_as_it_is_so(runs: Runs) -> None:
    runs.month.invoice("anon", line("5.00"), customer_id=None)
    runs.month.land()
    for _ in range(3):
        runs.night()
    first = runs.open()["no_customer"]
    assert (first.amount, first.age(runs.now), runs.story(first)) == (Decimal("5.00"), 2, ["opened"])
    [told] = frames.records(lasting([first], runs.now))
    assert (told["exception"], told["bucket"], told["name"]) == (first.id, "2-7", None)

    [bill] = [each for each in runs.month.books.rows["invoices"] if each["id"] == "anon"]
    bill["total"] = Decimal("6.00")
    runs.month.land()
    runs.night()
    assert runs.open()["no_customer"].id == first.id
    assert runs.story(first) == ["opened", "changed"]

    bill["customer_id"] = "c1"
    runs.month.land()
    runs.night()
    assert runs.open() == {}
    bill["customer_id"] = None
    runs.month.land()
    runs.night()
    assert runs.open()["no_customer"].id == first.id
    assert runs.story(first) == ["opened", "changed", "closed", "reopened"]


def test_a_document_of_another_kind_of_trouble_is_another_exception(runs: Runs) -> None:
    runs.month.invoice("odd", line("5.00"), customer_id=None)
    runs.month.land()
    runs.night()
    before = runs.open()["no_customer"]
    runs.month.books.rows["invoices"][-1] |= {"customer_id": "c1", "terms": "Net 999"}
    runs.month.land()
    runs.night()
    assert list(runs.open()) == ["unresolved_reference"]
    assert runs.open()["unresolved_reference"].id != before.id


def test_what_netsuite_alone_holds_is_known_by_its_internal_id(runs: Runs, october: Month) -> None:
    october.rules = october.rules.with_policy(mode="apply", only_in_netsuite="hold")
    october.copy("inv-plain", "41", otherRefNum="other", total=Decimal("30.00"))
    runs.night()
    first = runs.open()["only_in_netsuite"]
    october.change("inv-plain", memo="wrong")  # mended by the plan, so nobody's business
    october.sql("UPDATE netsuite.invoices SET number = 'other', total = 31 WHERE internal_id = '41'")
    runs.night()
    again = runs.open()
    assert list(again) == ["only_in_netsuite"]
    assert (again["only_in_netsuite"].id, again["only_in_netsuite"].amount) == (first.id, Decimal(31))


def test_a_run_that_fails_half_way_closes_nothing_of_the_stages_that_it_did_not_reach(
    runs: Runs, october: Month
) -> None:
    october.rules = october.rules.with_policy(mode="apply", operations=0)
    october.change("inv-plain", memo="wrong")
    runs.night()
    assert list(runs.open()) == ["not_approved"]
    october.change("inv-plain", memo="October usage")
    runs.day += 1
    runs.compare()
    assert list(runs.open()) == ["not_approved"]
    runs.plan()
    assert runs.open() == {}


# Failed operations


def test_a_refused_write_is_open_through_nights_that_send_nothing_until_it_succeeds(
    runs: Runs, october: Month
) -> None:
    october.remove("inv-plain")
    runs.night()
    runs.apply(inv_plain="rejected")
    first = runs.open()["rejected"]
    assert (first.amount, first.currency, first.stage) == (Decimal("150.87"), "USD", "apply")
    for _ in range(2):
        runs.night()
        assert list(runs.open()) == ["rejected"]
    runs.apply(inv_plain="rejected")
    assert runs.story(first) == ["opened"]
    runs.apply(inv_plain="written")
    assert runs.open() == {}


def test_a_refused_write_that_somebody_made_by_hand_is_closed_by_the_next_comparison(
    runs: Runs, october: Month
) -> None:
    october.change("inv-plain", memo="wrong")
    runs.night()
    runs.apply(inv_plain="rejected")
    october.change("inv-plain", memo="October usage")
    runs.night()
    assert runs.open() == {}


def test_another_end_of_the_same_write_is_another_exception(runs: Runs, october: Month) -> None:
    october.remove("inv-plain")
    runs.night()
    runs.apply(inv_plain="rejected")
    runs.apply(inv_plain="stale")
    assert list(runs.open()) == ["changed_since_planned"]


def test_a_refused_write_stays_open_while_its_month_is_closed(runs: Runs, october: Month) -> None:
    october.remove("inv-plain")
    runs.night()
    runs.apply(inv_plain="rejected")
    october.close_period(PERIOD)
    runs.night()
    runs.apply()
    assert sorted(runs.open()) == ["period_closed", "rejected"]


def test_a_closed_month_is_one_cause_whether_the_plan_or_the_sending_finds_it(
    runs: Runs, october: Month
) -> None:
    october.remove("inv-plain")
    runs.night()
    table = frames.read(october.held, frames.PLAN, PERIOD)
    [row_] = frames.records(table)
    carried = {name: row_[name] for name in frames.columns(frames.OUTCOMES) if name in row_}
    outcome = carried | {"state": "held", "detail": "closed now", "next_step": "Re-open it."}
    outcomes = frames.rows_frame(frames.OUTCOMES, [outcome])
    frames.replace_exceptions(october.held, PERIOD, ("apply",), exceptions_of(PERIOD, outcomes))
    tell_outcomes(october.held, PERIOD, runs.ledger, runs.now, "apply-run")
    first = runs.open()["period_closed"]
    october.close_period(PERIOD)
    runs.night()
    assert runs.open()["period_closed"].id == first.id
    assert runs.story(first) == ["opened"]
    october.sql("DELETE FROM netsuite.periods")
    runs.night()
    assert runs.open() == {}


def test_a_refused_write_stays_open_while_nobody_knows_whether_it_is_needed(
    runs: Runs, october: Month
) -> None:
    october.remove("inv-plain")
    runs.night()
    runs.apply(inv_plain="rejected")
    [bill] = [each for each in october.books.rows["invoices"] if each["id"] == "plain"]
    bill["terms"] = "Net 999"
    october.map_billing()
    runs.night()
    assert sorted(runs.open()) == ["rejected", "unresolved_reference"]


def intend(ledger: Ledger, operation: dict[str, Any]) -> int:
    fields = ("operation_key", "record", "number", "name", "action", "method", "path", "query", "body",
              "body_hash")  # fmt: skip
    new = NewIntent(target=operation["external_id"], **{name: operation[name] for name in fields})
    [made] = ledger.intend("acme", PERIOD, operation["plan_id"], [new], NOW)
    return made.id


def test_a_write_in_doubt_stays_open_until_it_was_looked_up_though_nothing_differs(
    runs: Runs, october: Month, ledger: Ledger
) -> None:
    october.change("inv-plain", memo="wrong")
    [operation] = runs.night()
    made = intend(ledger, operation)
    ledger.record([Event(made, "in_doubt", detail="timed out")], NOW)
    runs.apply(inv_plain="in_doubt")
    october.change("inv-plain", memo="October usage")
    runs.night()
    assert list(runs.open()) == ["in_doubt"]
    ledger.record([Event(made, "adopted")], NOW)
    runs.night()
    assert runs.open() == {}


@pytest.mark.parametrize(
    ("end", "code"), [(None, "in_doubt"), ("in_doubt", "in_doubt"), ("rejected", "rejected")]
)
def test_what_a_killed_run_could_not_tell_the_next_one_does(
    runs: Runs, october: Month, ledger: Ledger, end: Any, code: str
) -> None:
    october.remove("inv-plain")
    [operation] = runs.night()
    made = intend(ledger, operation)
    if end:
        ledger.record([Event(made, end, detail="no such item")], NOW)
    for _ in range(2):
        runs.night()
        assert list(runs.open()) == [code]
    one = runs.open()[code]
    assert (one.amount, one.external_id, runs.story(one)) == (Decimal("150.87"), "inv-plain", ["opened"])
    assert ("no such item" in one.reason) == (end is not None)
    october.land()
    runs.night()
    assert list(runs.open()) == ([] if end == "rejected" else [code])


def test_a_refusal_that_is_told_otherwise_already_is_not_told_twice(
    runs: Runs, october: Month, ledger: Ledger
) -> None:
    october.remove("inv-plain")
    [operation] = runs.night()
    ledger.record([Event(intend(ledger, operation), "rejected")], NOW)
    runs.apply(inv_plain="stale")
    runs.night()
    assert list(runs.open()) == ["changed_since_planned"]
