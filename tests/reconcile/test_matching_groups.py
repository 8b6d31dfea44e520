"""Documents that add up to others: the only set is found, two are none, chance is no proof, and bounds are said."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsuite_assets.reconcile.matching_groups import DOCUMENTS, Group, Groups, Limits, Unmatched, find_groups

LIMITS = Limits(days=7, tolerance=100, size=4)


def side(*cents: int, days: tuple[int, ...] = ()) -> list[Unmatched]:
    """Documents of these amounts in cents, all of one day unless said otherwise; their rows count from 0."""
    return [Unmatched(days[row] if days else 0, row, amount * 100) for row, amount in enumerate(cents)]


def found(groups: Groups) -> tuple[set[Group], set[tuple[int, int]], int]:
    return set(groups.certain), set(groups.undecided), len(groups.given_up_billed) + len(groups.given_up_held)


def test_one_that_was_split() -> None:
    assert found(find_groups(side(10_000), side(6_000, 700, 4_000), LIMITS)) == (
        {Group((0,), (0, 2))},
        set(),
        0,
    )


def test_several_that_were_put_together() -> None:
    groups = find_groups(side(6_000, 700, 4_001), side(10_000), LIMITS)
    assert found(groups) == ({Group((0, 2), (0,))}, set(), 0)


def test_several_on_both_sides() -> None:
    assert found(find_groups(side(6_100, 3_900), side(7_777, 2_223), LIMITS)) == (
        {Group((0, 1), (0, 1))},
        set(),
        0,
    )
    # A few of each, beside others.
    groups = find_groups(side(61_003, 39_001, 5), side(77_777, 22_227, 1_003_000), LIMITS)
    assert found(groups) == ({Group((0, 1), (0, 1))}, set(), 0)


def test_two_sets_are_none() -> None:
    groups = find_groups(side(10_000), side(6_000, 4_000, 6_000), LIMITS)
    assert found(groups) == (set(), {(0, 0), (0, 1), (0, 2)}, 0)


def test_a_document_is_not_part_of_two_groups() -> None:
    groups = find_groups(side(10_000, 9_000), side(6_000, 4_000, 3_000), LIMITS)
    assert found(groups) == (set(), {(0, 0), (0, 1), (1, 0), (1, 2)}, 0)


def test_a_sum_that_so_many_amounts_would_meet_by_chance_is_no_proof() -> None:
    """The four greatest of twenty alone make it, but so many sums of small amounts meet any amount."""
    parts = [100 + 40 * index for index in range(20)]
    groups = find_groups(side(sum(parts[-4:])), side(*parts), LIMITS)
    assert found(groups) == (set(), {(0, 16), (0, 17), (0, 18), (0, 19)}, 0)
    assert find_groups(side(sum(parts[-4:])), side(*parts[-6:]), LIMITS).certain == [
        Group((0,), (2, 3, 4, 5))
    ]


def test_chance_is_of_the_amounts_that_a_currency_has() -> None:
    """Whole yen meet each other a hundred times as often as cents do."""
    parts = side(12_000, 9_100, 6_300, 4_700, 3_900)
    assert find_groups(side(21_100), parts, LIMITS).certain == [Group((0,), (0, 1))]
    groups = find_groups(side(21_100), parts, Limits(days=7, tolerance=100, size=4, smallest=10_000))
    assert found(groups) == (set(), {(0, 0), (0, 1)}, 0)
    # All that is left on both sides, of a few cents.
    assert find_groups(side(11, 7), side(9, 8), LIMITS).certain == []


def test_a_set_with_a_document_that_is_undecided_already_is_another_set() -> None:
    """It is put into no group, and whatever it might be part of is none."""
    parts = side(6_000, 4_000)
    assert find_groups(side(10_000), parts, LIMITS).certain == [Group((0,), (0, 1))]
    alike = [Unmatched(0, 7, 6_000 * 100)]
    assert found(find_groups(side(10_000), parts, LIMITS, doubtful=((), alike))) == (
        set(),
        {(0, 0), (0, 1)},
        0,
    )
    unlike = [Unmatched(0, 7, 6_500 * 100)]
    assert find_groups(side(10_000), parts, LIMITS, doubtful=((), unlike)).certain == [Group((0,), (0, 1))]
    assert find_groups(side(6_100, 3_900), side(7_777, 2_223), LIMITS).certain
    assert not find_groups(side(6_100, 3_900), side(7_777, 2_223), LIMITS, doubtful=(alike, ())).certain


@pytest.mark.parametrize("later", [7, 8])
def test_the_days_include_their_bound(later: int) -> None:
    groups = find_groups(side(100_00), side(60_00, 40_00, days=(0, later)), LIMITS)
    assert bool(groups.certain) == (later == 7)


@pytest.mark.parametrize("apart", [-2, -1, 0, 1, 2])
def test_the_tolerance_includes_its_bound(apart: int) -> None:
    groups = find_groups(side(100_00), side(60_00, 40_00 + apart), LIMITS)
    assert bool(groups.certain) == (abs(apart) <= 1)


@pytest.mark.parametrize("size", [3, 4])
def test_no_more_documents_than_the_file_allows(size: int) -> None:
    groups = find_groups(
        side(100_03), side(10_00, 20_00, 30_01, 40_02), Limits(days=7, tolerance=0, size=size)
    )
    assert bool(groups.certain) == (size == 4)


def test_credits_among_them_count() -> None:
    assert found(find_groups(side(10_000), side(12_500, -2_500), LIMITS))[0] == {Group((0,), (0, 1))}


# Bounds


def test_too_many_documents_are_given_up_where_some_may_add_up() -> None:
    parts = [100 + index for index in range(DOCUMENTS + 1)]
    assert find_groups(side(sum(parts[:9])), side(*parts), LIMITS).given_up_billed == [0]
    assert find_groups(side(sum(parts[:9])), side(*parts[1:]), LIMITS).given_up_billed == []


def test_nothing_is_given_up_where_none_can() -> None:
    """All are even, and the one is odd: no set of any size is it."""
    parts = [200 + 2 * index for index in range(DOCUMENTS + 20)]
    groups = find_groups(side(1_001), side(*parts), Limits(days=7, tolerance=0, size=4))
    assert found(groups) == (set(), set(), 0)


def test_the_steps_are_bounded_and_what_was_not_looked_through_is_said() -> None:
    parts = [1_000 + 7 * index for index in range(20)]
    groups = find_groups(side(9_999, 9_998), side(*parts), LIMITS, steps=50)
    assert groups.given_up_billed == [0, 1]
    assert groups.certain == []


def test_what_any_set_might_add_up_to_is_bounded_too() -> None:
    """Of a thousand documents a side: it gives up, rather than to add up for minutes."""
    parts = [200 + 2 * index for index in range(1_000)]
    groups = find_groups(side(*[1_000_001] * 3), side(*parts), Limits(days=7, tolerance=0, size=4))
    assert (groups.certain, groups.given_up_billed) == ([], [0, 1, 2])
    groups = find_groups(side(1_001), side(*parts), Limits(days=7, tolerance=0, size=4))
    assert found(groups) == (set(), set(), 0)


def test_a_group_that_may_share_a_document_with_what_was_not_looked_through_is_undecided() -> None:
    """The first is the sum of two of many, which the search could tell; the second has too many to be told."""
    few = [Unmatched(0, row, units * 100) for row, units in enumerate((60_000, 40_000))]
    many = [Unmatched(9, 10 + row, (1_000 + row) * 100) for row in range(DOCUMENTS + 1)]
    first, second = Unmatched(1, 0, 100_000 * 100), Unmatched(7, 1, sum(one.units for one in many[:9]))
    alone = find_groups([first], few, LIMITS)
    assert alone.certain == [Group((0,), (0, 1))]
    groups = find_groups([first, second], [*few, *many], LIMITS)
    assert (groups.certain, groups.given_up_billed) == ([], [1])
    assert {(0, 0), (0, 1)} <= set(groups.undecided)
    apart = [Unmatched(one.day + 90, one.row, one.units) for one in (*many, second)]
    groups = find_groups([first, apart[-1]], [*few, *apart[:-1]], LIMITS)
    assert (groups.certain, groups.given_up_billed) == ([Group((0,), (0, 1))], [1])


# Any documents


AMOUNTS = st.integers(-2_000, 90_000) | st.sampled_from([4_900, 9_900, 9_901])
SIDES = st.lists(st.tuples(AMOUNTS, st.integers(0, 20)), max_size=7)


@settings(max_examples=150, deadline=None)
@given(billed=SIDES, held=SIDES, seed=st.integers(0, 10**6))
def test_groups_add_up_share_nothing_and_are_the_only_ones(
    billed: list[tuple[int, int]], held: list[tuple[int, int]], seed: int
) -> None:
    sides = [
        [Unmatched(day, row, cents * 100) for row, (cents, day) in enumerate(one)] for one in (billed, held)
    ]
    groups = find_groups(sides[0], sides[1], LIMITS)
    by_row = [{one.row: one for one in each} for each in sides]
    taken: list[tuple[int, int]] = []
    for group in groups.certain:
        members = [
            [by_row[place][row] for row in rows] for place, rows in enumerate((group.billed, group.held))
        ]
        assert abs(sum(one.units for one in members[0]) - sum(one.units for one in members[1])) <= 100
        assert min(map(len, members)) == 1 or len(members[0]) + len(members[1]) >= 4
        taken += [(place, row) for place, rows in enumerate((group.billed, group.held)) for row in rows]
        if len(group.billed) == 1:
            assert _sets(by_row[0][group.billed[0]], sides[1]) == [group.held]
    taken += [(0, row) for row in {b for b, _ in groups.undecided}]
    taken += [(1, row) for row in {h for _, h in groups.undecided}]
    assert len(taken) == len(set(taken))
    shuffled = [random.Random(seed).sample(each, len(each)) for each in sides]
    assert find_groups(shuffled[0], shuffled[1], LIMITS) == groups


def _sets(one: Unmatched, others: list[Unmatched]) -> list[tuple[int, ...]]:
    """The same by trying all."""
    near = [other for other in others if abs(other.day - one.day) <= LIMITS.days]
    return [
        tuple(sorted(other.row for other in some))
        for size in range(2, LIMITS.size + 1)
        for some in combinations(near, size)
        if abs(sum(other.units for other in some) - one.units) <= LIMITS.tolerance
    ]


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.integers(5_000, 5_000_000), min_size=2, max_size=4, unique=True),
    others=st.lists(st.integers(5_000, 5_000_000), max_size=4),
)
def test_a_document_that_was_split_is_found_or_doubted_and_never_overlooked(
    parts: list[int], others: list[int]
) -> None:
    groups = find_groups(side(sum(parts)), side(*parts, *others), LIMITS)
    whole = Group((0,), tuple(range(len(parts))))
    assert groups.certain == [whole] or {(0, row) for row in whole.held} <= set(groups.undecided)
