"""What is credited of a document in part is shared among its lines to the last unit of its currency."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import hypothesis.strategies as st
from hypothesis import given

from netsuite_assets.reconcile.void_credits import shares


@given(
    places=st.sampled_from([0, 2, 3]),
    units=st.lists(st.integers(-(10**9), 10**12), min_size=1, max_size=12).filter(lambda each: sum(each) > 1),
    share=st.fractions(0, 1),
)
def test_the_parts_of_the_lines_make_up_what_is_credited_exactly(
    places: int, units: list[int], share: Fraction
) -> None:
    unit = Decimal(1).scaleb(-places)
    lines = {f"line {number}": each * unit for number, each in enumerate(units)}
    total = sum(lines.values(), Decimal(0))
    credited = int(share * sum(units)) * unit
    parts = shares(lines, credited, total, places)
    assert sum(parts.values()) == credited
    assert list(parts) == list(lines)
    for key, part in parts.items():
        assert part == part.quantize(unit)
        # Rounding moves each line by no more than half a unit, and all that is left of it to one line.
        assert abs(part - lines[key] * credited / total) <= unit * (len(lines) + 1) / 2


def test_what_tax_adds_to_the_lines_is_left_to_netsuite() -> None:
    lines = {"usage": Decimal("100.00"), "support": Decimal("20.00")}
    assert shares(lines, Decimal("71.40"), Decimal("142.80"), 2) == {
        "usage": Decimal("50.00"),
        "support": Decimal("10.00"),
    }
