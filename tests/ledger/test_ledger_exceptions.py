"""Exceptions in the ledger, on SQLite and PostgreSQL: one a cause, with its whole story, whatever is done to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from resources.ledger import LastingException, Ledger, LedgerError, SeenException

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
OCTOBER = "2026-10"
STATES = ("open", "accepted", "closed")


def seen(cause: str, amount: str = "10.00", stage: str = "mapping", **more: Any) -> SeenException:
    made = SeenException(
        cause=cause,
        stage=stage,
        code="no_customer",
        record="invoice",
        external_id=f"inv-{cause}",
        internal_id=None,
        number=f"N-{cause}",
        name="Café Zürich 株式会社",
        amount=Decimal(amount),
        currency="USD",
        reason=f"Invoice {cause}: the billing document names no customer.",
        next_step="Give the document its customer in billing.",
    )
    return replace(made, **more)


def synchronise(
    ledger: Ledger,
    *found: SeenException,
    stages: tuple[str, ...] = ("mapping",),
    now: datetime = NOW,
    tenant: str = "acme",
    period: str = OCTOBER,
) -> tuple[int, int, int]:
    done = ledger.synchronise_exceptions(tenant, period, stages, found, now, "run 1")
    return done.opened, done.reopened, done.closed


def accept(
    ledger: Ledger, *numbers: int, days: int = 5, now: datetime = NOW, tenant: str = "acme"
) -> list[LastingException]:
    until = (now + timedelta(days=days)).date()
    lapses_at = datetime.combine(until, datetime.min.time(), UTC) + timedelta(days=1)
    return ledger.accept_exceptions(
        tenant, numbers, "paid in December", until, lapses_at, "Ada Lovelace", now
    )


def story(ledger: Ledger, number: int, tenant: str = "acme") -> list[tuple[str, str]]:
    return [(event.kind, event.by) for event in ledger.exception_history(tenant, number)]


def one(ledger: Ledger, now: datetime = NOW) -> LastingException:
    [found] = ledger.exceptions("acme", now, states=STATES)
    return found


# Seen, gone, back


def test_an_exception_is_kept_as_it_was_seen_and_reread(ledger: Ledger, url: str) -> None:
    assert synchronise(ledger, seen("a", "12.3456")) == (1, 0, 0)
    reread = Ledger(url)
    [kept] = reread.exceptions("acme", NOW)
    reread.close()
    assert {name: getattr(kept, name) for name in SeenException.__dataclass_fields__} == vars(
        seen("a", "12.3456")
    )
    assert (kept.state, kept.opened_at, kept.first_opened_at, kept.times_opened) == ("open", NOW, NOW, 1)
    assert (kept.owner, kept.comment, kept.closed_at, kept.accepted_until) == (None, None, None, None)
    [event] = ledger.exception_history("acme", kept.id)
    assert (event.kind, event.by, event.at, event.amount, event.currency) == (
        "opened",
        "run 1",
        NOW,
        Decimal("12.3456"),
        "USD",
    )


def test_the_same_cause_stays_one_exception_run_after_run(ledger: Ledger) -> None:
    for day in range(4):
        synchronise(ledger, seen("a"), now=NOW + timedelta(days=day))
    kept = one(ledger)
    assert (kept.opened_at, kept.last_seen_at) == (NOW, NOW + timedelta(days=3))
    assert kept.age(NOW + timedelta(days=3, hours=5)) == 3
    assert story(ledger, kept.id) == [("opened", "run 1")]


def test_a_changed_amount_is_the_same_cause_and_is_told(ledger: Ledger) -> None:
    synchronise(ledger, seen("a", "10.00"))
    other = seen(
        "a", "12.50", reason="Otherwise.", currency="EUR", number="N-2", name="Acme", internal_id="7", stage="plan"
    )  # fmt: skip
    synchronise(ledger, other, now=NOW + timedelta(days=1))
    kept = one(ledger)
    assert {name: getattr(kept, name) for name in SeenException.__dataclass_fields__} == vars(other)
    assert kept.opened_at == NOW
    [_, changed] = ledger.exception_history("acme", kept.id)
    assert (changed.kind, changed.amount, changed.currency, changed.detail) == (
        "changed",
        Decimal("12.50"),
        "EUR",
        "was USD 10.00",
    )


def test_an_amount_written_with_more_places_has_not_changed(ledger: Ledger) -> None:
    synchronise(ledger, seen("a", "10.00"))
    synchronise(ledger, seen("a", "10.0000"))
    assert story(ledger, one(ledger).id) == [("opened", "run 1")]


def test_it_closes_when_its_cause_is_gone_and_opens_again_when_it_returns(ledger: Ledger) -> None:
    synchronise(ledger, seen("a"))
    first = one(ledger)
    ledger.assign_exceptions("acme", [first.id], "Ada", "Boss", NOW)
    gone, back = NOW + timedelta(days=2), NOW + timedelta(days=9)
    assert synchronise(ledger, now=gone) == (0, 0, 1)
    closed = one(ledger, gone)
    assert (closed.state, closed.closed_at, closed.age(back)) == ("closed", gone, 2)
    assert ledger.exceptions("acme", gone) == []
    assert synchronise(ledger, now=gone) == (0, 0, 0)
    assert synchronise(ledger, seen("a", "11.00"), now=back) == (0, 1, 0)
    again = one(ledger, back)
    assert (again.id, again.owner, again.state, again.closed_at) == (first.id, "Ada", "open", None)
    assert (again.first_opened_at, again.opened_at, again.times_opened) == (NOW, back, 2)
    assert [kind for kind, _ in story(ledger, first.id)] == ["opened", "assigned", "closed", "reopened"]


def test_stages_that_did_not_run_and_other_months_and_tenants_keep_theirs(ledger: Ledger) -> None:
    synchronise(ledger, seen("a"), seen("b", stage="plan"), stages=("mapping", "plan"))
    synchronise(ledger, seen("c"), period="2026-09")
    synchronise(ledger, seen("d"), tenant="globex")
    assert synchronise(ledger, stages=("mapping",)) == (0, 0, 1)
    left = [each.cause for each in ledger.exceptions("acme", NOW)]
    assert sorted(left) == ["b", "c"]
    assert [each.cause for each in ledger.exceptions("acme", NOW, "2026-09")] == ["c"]
    assert [each.cause for each in ledger.exceptions("globex", NOW)] == ["d"]


def test_what_stays_is_not_closed(ledger: Ledger) -> None:
    synchronise(ledger, seen("a", stage="apply"), seen("b", stage="apply"), stages=("apply",))
    ledger.synchronise_exceptions(
        "acme", OCTOBER, ("apply",), [], NOW, "run 2", stays=lambda row: row.cause == "a"
    )
    assert [each.cause for each in ledger.exceptions("acme", NOW)] == ["a"]


def test_many_are_brought_up_to_date_at_once(ledger: Ledger) -> None:
    many = [seen(str(number)) for number in range(1203)]
    assert synchronise(ledger, *many) == (1203, 0, 0)
    later = NOW + timedelta(days=1)
    assert synchronise(ledger, *many[:1201], now=later) == (0, 0, 2)
    kept = ledger.exceptions("acme", later)
    assert {each.last_seen_at for each in kept} == {later}
    assert len(ledger.exception_history("acme")) == 1205


# People


def test_several_are_assigned_and_commented_at_once(ledger: Ledger) -> None:
    synchronise(ledger, seen("a"), seen("b"))
    numbers = [each.id for each in ledger.exceptions("acme", NOW)]
    assigned = ledger.assign_exceptions("acme", numbers, " Ada ", "Boss", NOW)
    assert [each.owner for each in assigned] == ["Ada", "Ada"]
    ledger.comment_exceptions("acme", numbers[:1], "first", "Ada", NOW)
    ledger.comment_exceptions("acme", numbers[:1], "second", "Ada", NOW)
    assert ledger.exception("acme", numbers[0], NOW).comment == "second"
    assert [(event.kind, event.by, event.detail) for event in ledger.exception_history("acme", numbers[0])][
        1:
    ] == [("assigned", "Boss", "Ada"), ("commented", "Ada", "first"), ("commented", "Ada", "second")]


def test_an_accepted_exception_is_open_again_after_its_last_day(ledger: Ledger) -> None:
    synchronise(ledger, seen("a"))
    [accepted] = accept(ledger, one(ledger).id)
    assert (accepted.state, accepted.accepted_by, accepted.accepted_because, accepted.accepted_until) == (
        "accepted",
        "Ada Lovelace",
        "paid in December",
        date(2026, 11, 6),
    )
    last = datetime(2026, 11, 6, 23, 59, 59, 999999, tzinfo=UTC)
    synchronise(ledger, seen("a"), now=last)
    assert one(ledger, last).state == "accepted"
    after = last + timedelta(days=3)
    lapsed = one(ledger, after)
    assert (lapsed.state, lapsed.accepted_by, lapsed.accepted_until, lapsed.opened_at) == (
        "open",
        None,
        None,
        NOW,
    )
    expired = ledger.exception_history("acme", lapsed.id)[-1]
    assert (expired.kind, expired.at, expired.detail) == (
        "expired",
        datetime(2026, 11, 7, tzinfo=UTC),
        "accepted by Ada Lovelace until 2026-11-06",
    )
    one(ledger, after)
    assert [kind for kind, _ in story(ledger, lapsed.id)].count("expired") == 1


def test_what_was_accepted_is_open_again_when_its_amount_changes(ledger: Ledger) -> None:
    synchronise(ledger, seen("a", "10.00"))
    number = one(ledger).id
    accept(ledger, number)
    assert synchronise(ledger, seen("a", "10000.00")) == (0, 0, 0)
    opened = one(ledger)
    assert (opened.state, opened.accepted_until, opened.times_opened) == ("open", None, 1)
    event = ledger.exception_history("acme", number)[-1]
    assert (event.kind, event.detail) == ("reopened", "was USD 10.00 when Ada Lovelace accepted it")


def test_an_acceptance_ends_with_the_cause(ledger: Ledger) -> None:
    synchronise(ledger, seen("a"))
    accept(ledger, one(ledger).id)
    synchronise(ledger)
    synchronise(ledger, seen("a"))
    assert (one(ledger).state, one(ledger).accepted_by) == ("open", None)


def test_an_acceptance_can_be_taken_back(ledger: Ledger) -> None:
    synchronise(ledger, seen("a"))
    number = one(ledger).id
    accept(ledger, number)
    [back] = ledger.reopen_exceptions("acme", [number], "not paid after all", "Bob", NOW)
    assert (back.state, back.accepted_until) == ("open", None)
    assert story(ledger, number)[-1] == ("reopened", "Bob")


@pytest.mark.parametrize("act", ["assign", "comment", "accept", "reopen"])
def test_of_several_all_or_none_are_changed(ledger: Ledger, act: str) -> None:
    synchronise(ledger, seen("a"))
    synchronise(ledger, seen("b"), tenant="globex")
    mine, others = one(ledger).id, ledger.exceptions("globex", NOW)[0].id
    if act == "reopen":
        accept(ledger, mine)
    before = one(ledger)
    with pytest.raises(LedgerError, match=rf"acme has no exception {others}, 99"):
        do(ledger, act, [mine, others, 99])
    assert one(ledger) == before


def do(ledger: Ledger, act: str, numbers: list[int], by: str = "Ada", text: str = "why") -> None:
    if act == "assign":
        ledger.assign_exceptions("acme", numbers, text, by, NOW)
    elif act == "comment":
        ledger.comment_exceptions("acme", numbers, text, by, NOW)
    elif act == "accept":
        lapses = NOW + timedelta(days=1)
        ledger.accept_exceptions("acme", numbers, text, date(2026, 11, 1), lapses, by, NOW)
    else:
        ledger.reopen_exceptions("acme", numbers, text, by, NOW)


@pytest.mark.parametrize("act", ["assign", "accept", "reopen"])
def test_nothing_is_done_to_a_closed_one_but_to_comment_on_it(ledger: Ledger, act: str) -> None:
    synchronise(ledger, seen("a"))
    number = one(ledger).id
    synchronise(ledger)
    with pytest.raises(LedgerError, match=r"its cause is gone and it is closed since 2026-11-01"):
        do(ledger, act, [number])
    do(ledger, "comment", [number])
    assert one(ledger).comment == "why"


@pytest.mark.parametrize(
    ("by", "text", "numbers", "told"),
    [
        (" ", "why", [1], "your name is missing"),
        ("Ada", " ", [1], "is missing"),
        ("Ada", "why", [], "no exception was named"),
    ],
)
@pytest.mark.parametrize("act", ["assign", "comment", "accept", "reopen"])
def test_who_and_why_must_be_said(
    ledger: Ledger, act: str, by: str, text: str, numbers: list[int], told: str
) -> None:
    synchronise(ledger, seen("a"))
    with pytest.raises(LedgerError, match=told):
        do(ledger, act, [one(ledger).id for _ in numbers], by, text)
    assert len(ledger.exception_history("acme")) == 1


def test_a_day_that_is_over_is_none_to_accept_until(ledger: Ledger) -> None:
    synchronise(ledger, seen("a"))
    with pytest.raises(LedgerError, match=r"until 2026-10-31: that day is over"):
        accept(ledger, one(ledger).id, days=-1)
    assert one(ledger).state == "open"


def test_an_open_one_cannot_be_opened(ledger: Ledger) -> None:
    synchronise(ledger, seen("a"))
    with pytest.raises(LedgerError, match="is open already"):
        do(ledger, "reopen", [one(ledger).id])


# At the same time


def test_runs_that_open_a_cause_at_once_open_it_once(ledger: Ledger, url: str) -> None:
    start = Barrier(4)

    def attempt(_: int) -> str:
        own = Ledger(url)
        try:
            start.wait()
            synchronise(own, seen("a"))
        except LedgerError as error:
            return "refused" if "another run brings the exceptions" in str(error) else str(error)
        finally:
            own.close()
        return "done"

    with ThreadPoolExecutor(4) as pool:
        outcomes = set(pool.map(attempt, range(4)))
    assert "done" in outcomes
    assert outcomes <= {"done", "refused"}
    assert story(ledger, one(ledger).id) == [("opened", "run 1")]


def test_a_person_and_a_run_at_once_leave_one_story(ledger: Ledger, url: str) -> None:
    synchronise(ledger, seen("a"))
    number = one(ledger).id
    start = Barrier(2)

    def comment() -> None:
        own = Ledger(url)
        start.wait()
        for step in range(15):
            own.comment_exceptions("acme", [number], str(step), "Ada", NOW)
        own.close()

    def come_and_go() -> None:
        own = Ledger(url)
        start.wait()
        for step in range(16):
            synchronise(own, *([seen("a")] if step % 2 else []))
        own.close()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(comment), pool.submit(come_and_go)]:
            done.result()
    kinds = [kind for kind, _ in story(ledger, number)]
    assert [kind for kind in kinds if kind != "commented"] == ["opened", *["closed", "reopened"] * 8]
    assert kinds.count("commented") == 15
    assert (one(ledger).comment, one(ledger).state, one(ledger).times_opened) == ("14", "open", 9)


# The database itself


@pytest.mark.parametrize(
    "statement", ["UPDATE exception_events SET detail = 'x'", "DELETE FROM exception_events"]
)
def test_history_cannot_be_rewritten(ledger: Ledger, statement: str) -> None:
    synchronise(ledger, seen("a"))
    with (
        pytest.raises(sa.exc.DBAPIError, match="exception_events is only ever added to"),
        ledger._engine.begin() as connection,
    ):
        connection.exec_driver_sql(statement)
    assert story(ledger, one(ledger).id) == [("opened", "run 1")]


# The whole life, against a plain model


@dataclass
class Model:
    """What one exception should be."""

    amount: Decimal
    opened: datetime
    first: datetime
    state: str = "open"
    times: int = 1
    owner: str | None = None
    comment: str | None = None
    until: date | None = None
    story: list[str] = field(default_factory=lambda: ["opened"])


CAUSES = {"a": "mapping", "b": "mapping", "c": "plan", "d": "plan"}
_serial = itertools.count()


class Life(RuleBasedStateMachine):
    """A tenant of its own each time, so that one ledger does for all."""

    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        self.tenant = f"tenant-{next(_serial)}"
        self.now = NOW
        self.models: dict[str, Model] = {}

    def number(self, cause: str) -> int:
        found = self.ledger.exceptions(self.tenant, self.now, states=STATES)
        return next(each.id for each in found if each.cause == f"{self.tenant}-{cause}")

    @rule(
        stages=st.sets(st.sampled_from(["mapping", "plan"]), min_size=1),
        found=st.dictionaries(st.sampled_from(sorted(CAUSES)), st.sampled_from(["1.00", "2.00"])),
    )
    def run(self, stages: set[str], found: dict[str, str]) -> None:
        found = {cause: amount for cause, amount in found.items() if CAUSES[cause] in stages}
        rows = [
            seen(f"{self.tenant}-{cause}", amount, CAUSES[cause]) for cause, amount in sorted(found.items())
        ]
        synchronise(self.ledger, *rows, stages=tuple(sorted(stages)), now=self.now, tenant=self.tenant)
        for cause, amount in found.items():
            model = self.models.get(cause)
            if model is None:
                self.models[cause] = Model(Decimal(amount), self.now, self.now)
                continue
            changed, model.amount = Decimal(amount) != model.amount, Decimal(amount)
            if model.state == "closed":
                model.state, model.opened, model.times = "open", self.now, model.times + 1
                model.story.append("reopened")
            elif changed and model.state == "accepted":
                model.state, model.until = "open", None
                model.story.append("reopened")
            elif changed:
                model.story.append("changed")
        for cause, model in self.models.items():
            if CAUSES[cause] in stages and cause not in found and model.state != "closed":
                model.state, model.until = "closed", None
                model.story.append("closed")

    @rule(hours=st.sampled_from([1, 13, 24, 72]))
    def time_goes_by(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        for model in self.models.values():
            if model.until is not None and self.now.date() > model.until:
                model.state, model.until = "open", None
                model.story.append("expired")

    @precondition(lambda self: self.models)
    @rule(
        data=st.data(),
        act=st.sampled_from(["assign", "comment", "accept", "reopen"]),
        days=st.integers(-1, 4),
    )
    def somebody_acts(self, data: st.DataObject, act: str, days: int) -> None:
        cause = data.draw(st.sampled_from(sorted(self.models)))
        model, number = self.models[cause], self.number(cause)
        text = data.draw(st.sampled_from(["x", "y"]))
        refused = {
            "assign": model.state == "closed",
            "comment": False,
            "accept": model.state == "closed" or days < 0,
            "reopen": model.state != "accepted",
        }[act]
        try:
            if act == "assign":
                self.ledger.assign_exceptions(self.tenant, [number], text, "Ada", self.now)
            elif act == "comment":
                self.ledger.comment_exceptions(self.tenant, [number], text, "Ada", self.now)
            elif act == "accept":
                accept(self.ledger, number, days=days, now=self.now, tenant=self.tenant)
            else:
                self.ledger.reopen_exceptions(self.tenant, [number], text, "Ada", self.now)
        except LedgerError:
            assert refused
            return
        assert not refused
        if act == "assign":
            model.owner = text
        elif act == "comment":
            model.comment = text
        elif act == "accept":
            model.state, model.until = "accepted", (self.now + timedelta(days=days)).date()
        else:
            model.state, model.until = "open", None
        model.story.append(
            {"assign": "assigned", "comment": "commented", "accept": "accepted", "reopen": "reopened"}[act]
        )

    @invariant()
    def the_ledger_is_as_the_model(self) -> None:
        found = self.ledger.exceptions(self.tenant, self.now, states=STATES)
        told: dict[int, list[str]] = {}
        for event in self.ledger.exception_history(self.tenant):
            told.setdefault(event.exception_id, []).append(event.kind)
        assert {
            each.cause.removeprefix(f"{self.tenant}-"): Model(
                each.amount,
                each.opened_at,
                each.first_opened_at,
                each.state,
                each.times_opened,
                each.owner,
                each.comment,
                each.accepted_until,
                told[each.id],
            )
            for each in found
        } == self.models
        assert all((each.closed_at is None) == (each.state != "closed") for each in found)


@pytest.fixture
def shared_ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger(url)
    yield opened
    opened.close()


@pytest.mark.parametrize("examples", [20, pytest.param(400, marks=pytest.mark.soak)])
def test_the_life_of_exceptions(shared_ledger: Ledger, examples: int) -> None:
    life = type("LifeInThisLedger", (Life,), {"ledger": shared_ledger})
    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
