"""The planted-defect corpus: of two sides whose every defect is known the engine reports exactly these, to the value.

What is planted, and what is to be said of it, stands in `corpus_*.py` beside this. Here: alone, in pairs, and in any
combination, that nothing is missed and nothing is reported that was not planted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from random import Random
from typing import Any

import pytest
from corpus_books import DOCUMENTS, Books, Landing, base_records, new_record
from corpus_defects import DEFECTS, compatible, of_record
from corpus_tenant import POLICIES, PRECISION, with_policy, written_rules
from corpus_truth import Truth, differences_of, exceptions_of, parts_of, told_by_the_first, uses_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from netsuite_assets import frames
from resources.warehouse import Warehouse

RECORDS = ["customer", *DOCUMENTS]
CURRENCIES = list(PRECISION)


@dataclass(frozen=True)
class Plan:
    """One record of the corpus: `defects` by name, those that do not go with earlier ones left out; `seed` for values."""

    record: str
    currency: str
    lines: int
    defects: tuple[str, ...]
    seed: int


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landing]:
    """One working file for all corpus months of this module."""
    tenant = written_rules(tmp_path_factory.mktemp("corpus"))
    with Warehouse(tmp_path_factory.mktemp("warehouse")).open("corpus") as held:
        held.sql("SET threads = 1")  # of so few rows, more of them only cost
        yield Landing(held, tenant)


def made(plans: Sequence[Plan], policy: str) -> Books:
    """The two sides."""
    books = Books(POLICIES[policy])
    for record in base_records():
        books.add(record).is_base = True
    for number, plan in enumerate(plans):
        rng = Random(f"{plan.seed}:{number}")
        pair = books.add(new_record(rng, plan.record, plan.currency, plan.lines, f"{number}"))
        for defect in compatible(plan.defects):
            if defect.plant(rng, books, pair):
                pair.planted.append(defect.name)
        if pair.actual is not None and plan.record in ("invoice", "creditMemo"):
            _reorder(rng, pair.actual.lines)
    return books


def _reorder(rng: Random, lines: list[Any]) -> None:
    numbers = [one.number for one in lines]
    if rng.random() < 0.3:
        rng.shuffle(numbers)
    for one, number in zip(lines, numbers, strict=True):
        one.number = number


def assert_told_exactly(landing: Landing, plans: Sequence[Plan], policy: str) -> Books:
    books = made(plans, policy)
    truth = Truth(books)
    tenant = with_policy(landing.tenant, books.policy)
    found = landing.reconcile(books, tenant, Random(len(plans)))
    planted = {
        pair.kind + " " + str(pair.agreed.external_id): pair.planted for pair in books.pairs if pair.planted
    }
    same(told_by_the_first(truth.differences, books), differences_of(found, books), planted)
    same(truth.tolerated, uses_of(found), planted)
    same(truth.exceptions, exceptions_of(found), planted)
    assert_adds_up(truth, found, planted)
    assert parts_of(found, books) == truth.gaps_of_documents(), planted
    return books


def same(wanted: Iterable[Any], found: Iterable[Any], planted: Any) -> None:
    """Both are the same, each as often."""
    expected, actual = Counter(wanted), Counter(found)
    wrong = [f"missed: {one}" for one in expected - actual] + [f"false:  {one}" for one in actual - expected]
    assert not wrong, "\n".join(["", *wrong, f"planted: {planted}"])


def assert_adds_up(truth: Truth, found: Any, planted: Any) -> None:
    """The differences and what was tolerated of totals are the gap between both sides, to the last place."""
    gaps: dict[tuple[str, str | None], Decimal] = defaultdict(Decimal, truth.gaps())
    for row in found.differences:
        if row["record"] != "customer":
            gaps[row["record"], row["currency"]] -= row["delta"]
    for row in found.tolerated:
        if (row["part"], row["field"]) == ("header", "total"):
            gaps[row["record"], row["currency"]] -= row["delta"]
    assert not {key: gap for key, gap in gaps.items() if gap}, planted
    wanted = truth.totals()
    assert set(found.totals) == set(wanted)
    for key, row in found.totals.items():
        assert {name: row[name] for name in wanted[key]} == wanted[key], (key, planted)
        assert row["explained"] + row["unexplained"] == row["difference"], (key, planted)


# Alone, in pairs, in any combination


def test_sides_that_agree_differ_in_nothing(landing: Landing) -> None:
    plans = [Plan(record, currency, 3, (), 1) for record in RECORDS for currency in CURRENCIES]
    books = made(plans, "as it stands")
    found = landing.reconcile(books, with_policy(landing.tenant, books.policy), Random(1))
    assert (found.differences, found.tolerated, found.exceptions) == ([], [], [])


def each_alone() -> list[Plan]:
    """For every record type that it concerns, in every currency, with several values each."""
    return [
        Plan(record, currency, 3, (defect.name,), seed)
        for record in RECORDS
        for defect in of_record(record)
        for seed, currency in enumerate(CURRENCIES)
    ]


def test_each_defect_alone(landing: Landing) -> None:
    books = assert_told_exactly(landing, each_alone(), "as it stands")
    assert planted(books) == set(DEFECTS)


@pytest.mark.soak
@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "as it stands"])
def test_each_defect_alone_under_every_policy(landing: Landing, policy: str) -> None:
    assert_told_exactly(landing, each_alone(), policy)


def planted(books: Books) -> set[str]:
    return {name for pair in books.pairs for name in pair.planted}


def pairs_of_defects() -> list[Plan]:
    """Any two that go together."""
    return [
        Plan(record, CURRENCIES[number % 4], 4, (first.name, second.name), number)
        for record in RECORDS
        for number, (first, second) in enumerate(combinations(of_record(record), 2))
        if first.goes_with(second)
    ]


def test_two_defects_together(landing: Landing) -> None:
    """A third of all pairs."""
    plans = pairs_of_defects()
    assert len(plans) > 500
    assert_told_exactly(landing, plans[::3], "cents and days")


@pytest.mark.soak
def test_any_two_defects_together(landing: Landing) -> None:
    assert_told_exactly(landing, pairs_of_defects(), "as it stands")


def test_the_corpus_has_every_kind_of_difference(landing: Landing) -> None:
    """And every reason for an exception that a comparison has, and every side that may have changed something."""
    plans = [Plan(record, "KWD", 3, (one.name,), 2) for record in RECORDS for one in of_record(record)]
    truth = Truth(made(plans, "as it stands"))
    assert {row.kind for row in truth.differences} == set(frames.DIFFERENCE_KINDS)
    raised = {
        "no_customer", "only_in_netsuite", "duplicate", "not_linked", "ambiguous", "grouped", "conflict", "total",
    }  # fmt: skip
    assert {row.code for row in truth.exceptions} == raised
    assert {row.changed_side for row in truth.differences} == {None, "billing", "netsuite", "both"}
    assert {row.matched_by for row in truth.differences} == {
        None, "external_id", "internal_id", "merged", "number", "name", "rules", "groups",
    }  # fmt: skip


def plans_of(records: Sequence[str]) -> st.SearchStrategy[list[Plan]]:
    """Records of these types, each with any of the defects that it can have."""
    one = st.sampled_from(records).flatmap(
        lambda record: st.builds(
            Plan,
            st.just(record),
            st.sampled_from(CURRENCIES),
            st.integers(1, 4),
            st.lists(
                st.sampled_from([one.name for one in of_record(record)]),
                min_size=1,
                max_size=6,
                unique=True,
            ).map(tuple),
            st.integers(0, 2**32),
        )
    )
    return st.lists(one, min_size=1, max_size=12)


ANY = st.one_of(
    st.lists(st.sampled_from(RECORDS), min_size=1, max_size=2, unique=True).flatmap(plans_of),
    plans_of(RECORDS),
)
#: The same cases every time; a failure names the rows and what was planted, so that shrinking it is not worth the wait.
SEEDED = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)


def test_exactly_what_was_planted(landing: Landing) -> None:
    """Each defect with up to five others, in one month: many records take hardly longer than a few."""
    rng = Random(7)
    plans = []
    for record in RECORDS:
        names = [one.name for one in of_record(record)]
        for name in names:
            some = (name, *rng.sample([one for one in names if one != name], rng.randint(1, 5)))
            plans.append(Plan(record, rng.choice(CURRENCIES), rng.randint(1, 4), some, rng.randint(0, 2**32)))
    books = assert_told_exactly(landing, plans, "loose")
    assert len(planted(books)) > len(DEFECTS) - 5, "some have nothing to change in a record of this size"


@pytest.mark.soak
@settings(SEEDED, max_examples=500)
@given(plans=ANY, policy=st.sampled_from(list(POLICIES)))
def test_exactly_what_was_planted_five_hundred_times(
    landing: Landing, plans: list[Plan], policy: str
) -> None:
    assert_told_exactly(landing, plans, policy)
