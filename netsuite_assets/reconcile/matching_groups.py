"""Documents that stand for each other in groups: one that was split, several that were put together, or both at once.

Here: the bounded search over what is unmatched of one customer and currency, as plain numbers. Not here: where these
come from, or what is said of them (`matching.py`). Amounts are integers, ten-thousandths of the currency's unit.

Sums of many amounts meet any amount by chance. So a group counts only where it is the only one, where none of its
documents is part of another, also of one with documents that are undecided already, and where fewer than one in twenty
such groups would come about by chance; otherwise its documents are undecided. The search has bounds, and says what it
has not looked through; what a group may share with that is undecided too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import comb
from typing import Final

#: Beyond as many documents within the days of one, their sums are too many to be told apart.
DOCUMENTS: Final = 24
#: Sums that are looked at for one customer and currency.
STEPS: Final = 100_000
#: Solutions that are kept of one document: two are one too many.
_SOLUTIONS: Final = 5
#: Documents on a side among which sums of several on both sides are looked for, and how many are added up.
_BOTH_SIDES, _BOTH_SIZES = 12, (2, 3)
#: The widest set of reachable sums that is kept, in the currency's units.
_REACHABLE: Final = 1 << 27
#: How many of these sums take as long as one that is looked at by itself.
_BITS: Final = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Unmatched:
    """A document without a counterpart: its day as an ordinal, its row and its amount."""

    day: int
    row: int
    units: int


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of both sides that add up to the same."""

    billed: tuple[int, ...]
    held: tuple[int, ...]


@dataclass
class Groups:
    """What was found: groups, pairs of rows that may belong together, and billed and held rows not looked through."""

    certain: list[Group] = field(default_factory=list)
    undecided: list[tuple[int, int]] = field(default_factory=list)
    given_up_billed: list[int] = field(default_factory=list)
    given_up_held: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a group may reach: days between its documents, units by which the sums may differ, and how many
    documents may stand for one. `smallest` is the smallest amount of the currency, a cent of a dollar and one yen.
    """

    days: int
    tolerance: int
    size: int
    smallest: int = 100

    def by_chance(self, tried: int, greatest: int) -> bool:
        """Whether one in twenty would be found by chance: so many sums, evenly spread up to the greatest."""
        spread = greatest // self.smallest + 1
        return 20 * tried * (2 * (self.tolerance // self.smallest) + 1) > spread


class _GaveUp(Exception):
    """The steps are used up."""


@dataclass
class _Budget:
    left: int

    def spend(self, steps: int = 1) -> None:
        if self.left < steps:
            raise _GaveUp
        self.left -= steps


def find_groups(
    billed: Sequence[Unmatched],
    held: Sequence[Unmatched],
    limits: Limits,
    *,
    doubtful: tuple[Sequence[Unmatched], Sequence[Unmatched]] = ((), ()),
    steps: int = STEPS,
) -> Groups:
    """The groups among the unmatched documents of one customer and currency; the order of the rows does not matter.

    `doubtful` are those of billing and of NetSuite that are undecided already: they are put into no group.
    """
    billed, held = sorted(billed), sorted(held)
    budget, found = _Budget(steps), Groups()
    proposals: list[tuple[Group, bool]] = []
    for one in billed:
        try:
            sets = _sets(one, held, limits, budget)
        except _GaveUp:
            found.given_up_billed.append(one.row)
        else:
            groups = [Group((one.row,), rows) for rows, _ in sets]
            proposals += _proposals(groups, sets, one, (*held, *doubtful[1]), limits)
    for one in held:
        try:
            sets = _sets(one, billed, limits, budget)
        except _GaveUp:
            found.given_up_held.append(one.row)
        else:
            groups = [Group(rows, (one.row,)) for rows, _ in sets]
            proposals += _proposals(groups, sets, one, (*billed, *doubtful[0]), limits)
    _decide(found, proposals, *_within_reach(found, billed, held, limits.days))
    if not any((found.given_up_billed, found.given_up_held, *doubtful)):
        rest = [[one for one in side if one.row not in taken] for side, taken in zip((billed, held), _taken(found), strict=True)]  # fmt: skip
        _decide(found, _both_sides(rest[0], rest[1], limits))
    return found


def _within_reach(
    found: Groups, billed: Sequence[Unmatched], held: Sequence[Unmatched], days: int
) -> tuple[set[int], set[int]]:
    """The rows of both sides that were given up, and those that a group with one of them may have."""
    rows_billed, rows_held = set(found.given_up_billed), set(found.given_up_held)

    def near(side: Sequence[Unmatched], others: Sequence[Unmatched], given_up: set[int]) -> set[int]:
        on = {other.day for other in others if other.row in given_up}
        return {one.row for one in side if any(abs(one.day - day) <= days for day in on)}

    return rows_billed | near(billed, held, rows_held), rows_held | near(held, billed, rows_billed)


def _proposals(
    groups: Sequence[Group],
    sets: Sequence[tuple[tuple[int, ...], bool]],
    one: Unmatched,
    others: Sequence[Unmatched],
    limits: Limits,
) -> Iterator[tuple[Group, bool]]:
    """Each group with whether it is certain: not by chance, and the only one of all others, doubtful ones included."""
    certain = len(groups) == 1 and not sets[0][1]
    if certain:
        try:
            certain = len(_sets(one, others, limits, _Budget(STEPS))) == 1
        except _GaveUp:
            certain = False
    for group in groups:
        yield group, certain


def _decide(
    found: Groups,
    proposals: Sequence[tuple[Group, bool]],
    unsure_billed: Collection[int] = (),
    unsure_held: Collection[int] = (),
) -> None:
    """Take the proposals that are certain and share no document with another or with those that are unsure; the others
    are undecided.
    """
    times_billed = Counter(row for group, _ in proposals for row in group.billed)
    times_held = Counter(row for group, _ in proposals for row in group.held)
    undecided: set[tuple[int, int]] = set()
    for group, certain in proposals:
        alone = all(times_billed[row] == 1 and row not in unsure_billed for row in group.billed) and all(
            times_held[row] == 1 and row not in unsure_held for row in group.held
        )
        if certain and alone:
            found.certain.append(group)
        else:
            undecided.update((b, h) for b in group.billed for h in group.held)
    found.undecided += sorted(undecided)


def _taken(found: Groups) -> tuple[set[int], set[int]]:
    billed = {row for group in found.certain for row in group.billed} | {b for b, _ in found.undecided}
    held = {row for group in found.certain for row in group.held} | {h for _, h in found.undecided}
    return billed, held


def _sets(
    one: Unmatched, others: Sequence[Unmatched], limits: Limits, budget: _Budget
) -> list[tuple[tuple[int, ...], bool]]:
    """The sets of others that add up to one, each with whether it may be so by chance.

    Raises `_GaveUp` when they are too many to be looked through, unless no set of any size can add up to it.
    """
    parts = [part for part in others if abs(part.day - one.day) <= limits.days]
    positive = all(part.units > 0 for part in parts)
    if positive:
        parts = [part for part in parts if part.units <= one.units + limits.tolerance]
    if len(parts) < 2:
        return []
    if len(parts) > DOCUMENTS:
        if positive:
            # A step is as much work as a sum.
            budget.spend(len(parts) * (1 + (one.units + limits.tolerance) // limits.smallest // _BITS))
            if not _is_reachable(one.units, parts, limits):
                return []
        raise _GaveUp
    parts.sort(key=lambda part: (part.units, part.day, part.row))
    sets: list[tuple[int, ...]] = []
    top = one.units + limits.tolerance

    def descend(start: int, chosen: tuple[int, ...], total: int) -> None:
        for index in range(start, len(parts)):
            budget.spend()
            reached, rows = total + parts[index].units, (*chosen, parts[index].row)
            if positive and reached > top:
                return
            if len(rows) > 1 and abs(reached - one.units) <= limits.tolerance:
                sets.append(tuple(sorted(rows)))
                if len(sets) == _SOLUTIONS:
                    return
            if len(rows) < limits.size and len(sets) < _SOLUTIONS:
                descend(index + 1, rows, reached)

    descend(0, (), 0)
    tried = sum(comb(len(parts), size) for size in range(2, limits.size + 1))
    greatest = sum(sorted((abs(part.units) for part in parts), reverse=True)[: limits.size])
    by_chance = limits.by_chance(tried, greatest)
    return [(rows, by_chance) for rows in sets]


def _is_reachable(target: int, parts: Sequence[Unmatched], limits: Limits) -> bool:
    """Whether any set of positive amounts may add up to the target: all sums at once, as the bits of one number."""
    tolerance = limits.tolerance
    top = target + tolerance
    unit = limits.smallest if all(part.units % limits.smallest == 0 for part in parts) else 1
    if top // unit > _REACHABLE:
        return True
    mask = (1 << (top // unit + 1)) - 1
    sums = 1
    for part in parts:
        sums = (sums | sums << part.units // unit) & mask
    lowest = -(-max(target - tolerance, 0) // unit)
    return sums >> lowest != 0


def _both_sides(
    billed: Sequence[Unmatched], held: Sequence[Unmatched], limits: Limits
) -> list[tuple[Group, bool]]:
    """Groups of several documents on both sides: all that is left of both, else a few of each."""
    if len(billed) < 2 or len(held) < 2:
        return []
    days = [one.day for one in (*billed, *held)]
    balance = sum(one.units for one in billed) - sum(one.units for one in held)
    if (
        max(len(billed), len(held)) <= DOCUMENTS
        and max(days) - min(days) <= limits.days
        and abs(balance) <= limits.tolerance
    ):
        whole = Group(tuple(one.row for one in billed), tuple(one.row for one in held))
        return [(whole, not limits.by_chance(1, sum(abs(one.units) for one in billed)))]
    if max(len(billed), len(held)) > _BOTH_SIDES:
        return []
    left, right = list(_few(billed)), list(_few(held))
    greatest = max(abs(sum(one.units for one in some)) for some in (*left, *right))
    by_chance = limits.by_chance(len(left) * len(right), greatest)
    groups = []
    for some in left:
        for others in right:
            days = [one.day for one in (*some, *others)]
            apart = sum(one.units for one in some) - sum(one.units for one in others)
            if abs(apart) <= limits.tolerance and max(days) - min(days) <= limits.days:
                groups.append(Group(tuple(one.row for one in some), tuple(one.row for one in others)))
    return [(group, not by_chance) for group in groups]


def _few(side: Sequence[Unmatched]) -> Iterator[tuple[Unmatched, ...]]:
    for size in _BOTH_SIZES:
        yield from combinations(side, size)
