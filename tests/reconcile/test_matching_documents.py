"""Documents without a shared key, with a known truth: no pair that is not true, nothing lost, whatever the order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsuite_assets.reconcile.matching import UNMATCHED, match_documents
from resources.tenants.matching import DocumentMatching
from resources.warehouse import TenantWarehouse, Warehouse

FIRST = date(2026, 10, 1)


@dataclass(frozen=True)
class Document:
    """A document of either side; documents of one `identity` are the same in truth."""

    identity: str
    customer: str | None = "cus-1"
    currency: str = "USD"
    total: Decimal = Decimal("10.00")
    day: int = 0
    number: str | None = None
    ref: str | None = None
    po: str | None = None
    memo: str | None = None
    po_borne: int = 1
    memo_borne: int = 1


@dataclass(frozen=True)
class Matched:
    """Identities: pairs with their pass, pairs of candidates, members of groups, and what was given up."""

    pairs: frozenset[tuple[str, str, str]]
    undecided: frozenset[tuple[str, str]]
    groups: frozenset[frozenset[tuple[str, str]]]
    given_up: frozenset[tuple[str, str]]

    @property
    def billed(self) -> list[str]:
        """Each identity of billing's once for each of these that it is in."""
        return [
            *(billed for billed, _, _ in self.pairs),
            *{billed for billed, _ in self.undecided},
            *(name for group in self.groups for side, name in group if side == "billed"),
        ]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantWarehouse]:
    """A working file for the module."""
    with Warehouse(tmp_path_factory.mktemp("matching")).open("acme") as opened:
        yield opened


def match(
    held: TenantWarehouse,
    billed: Sequence[Document],
    there: Sequence[Document],
    known: Sequence[tuple[str, str]] = (),
    shuffle: int = 0,
    **rules: Any,
) -> Matched:
    """What is matched of these; `shuffle` puts the rows in another order and gives them other numbers."""
    names: dict[tuple[str, int], str] = {}
    order = random.Random(shuffle)
    for side, documents in (("billed", billed), ("held", there)):
        rows = list(enumerate(documents))
        order.shuffle(rows)
        numbers = order.sample(range(1000), len(rows)) if shuffle else [row for row, _ in rows]
        typed = ", ".join(f"{name} {kind}" for name, kind in UNMATCHED.items())
        held.sql(f"CREATE OR REPLACE TEMP TABLE unmatched_{side} ({typed})")
        for row_no, (_, one) in zip(numbers, rows, strict=True):
            names[side, row_no] = one.identity
            held.sql(
                f"INSERT INTO unmatched_{side} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [row_no, one.identity, one.identity, one.number, one.ref, one.customer, one.currency, one.total,
                 FIRST + timedelta(days=one.day), one.po, one.memo, one.po_borne, one.memo_borne],
            )  # fmt: skip
    held.sql("CREATE OR REPLACE TEMP TABLE known_ids (external_id VARCHAR, internal_id VARCHAR)")
    for pair in known:
        held.sql("INSERT INTO known_ids VALUES (?, ?)", pair)
    match_documents(held, DocumentMatching.model_validate(rules))
    groups: dict[int, set[tuple[str, str]]] = {}
    for group_no, side, row in held.sql("SELECT group_no, side, row_no FROM grouped"):
        groups.setdefault(group_no, set()).add((side, names[side, row]))
    return Matched(
        frozenset(
            (names["billed", b], names["held", h], by)
            for b, h, by in held.sql("SELECT billed_row, held_row, matched_by FROM matches")
        ),
        frozenset(
            (names["billed", b], names["held", h])
            for b, h in held.sql("SELECT billed_row, held_row FROM undecided")
        ),
        frozenset(frozenset(group) for group in groups.values()),
        frozenset((side, names[side, row]) for side, row in held.sql("SELECT side, row_no FROM crowded")),
    )


# A truth to be found: what NetSuite holds is as it was billed, but for what is left blank


@st.composite
def truths(draw: st.DrawFn) -> tuple[list[Document], list[Document]]:
    """Documents on both sides, of few customers, prices, days, numbers and memos, so that many are alike."""
    billed, there = [], []
    for index in range(draw(st.integers(0, 14))):
        one = Document(
            identity=f"d{index:02}",
            customer=draw(st.sampled_from(["cus-1", "cus-1", "cus-2", None])),
            currency=draw(st.sampled_from(["USD", "USD", "EUR"])),
            total=Decimal(draw(st.sampled_from(["10.00", "10.01", "10.02", "49.00", "0.00", "-5.00"]))),
            day=draw(st.sampled_from([0, 1, 4, 12, 30])),
            number=f"N-{index}",
            po=draw(st.sampled_from([None, "PO-778", "PO-779", f"PO-{index}00"])),
            memo=draw(st.sampled_from([None, "October usage", "Seats of team A", f"Order {index} of May"])),
        )
        where = draw(st.sampled_from(["both", "both", "both", "billed", "held"]))
        if where != "held":
            billed.append(one)
        if where != "billed":
            blank = draw(st.sets(st.sampled_from(["po", "memo"])))
            kept = draw(st.sampled_from([None, None, f"n {index}"]))
            there.append(replace(one, number=f"INV{index}", ref=kept, **dict.fromkeys(blank)))
    return billed, there


def _is_true(held: TenantWarehouse, truth: tuple[list[Document], list[Document]], shuffle: int) -> None:
    billed, there = truth
    found = match(held, billed, there, passes=["number", "rules"])
    ours, theirs = ({document.identity for document in side} for side in truth)
    for one, other, by in found.pairs:
        # What billing never had may be as like one of its documents as that one's own copy would be.
        assert one == other or not (theirs <= ours or {one, other} <= ours & theirs), (one, other, by)
    matched = [one for one, _, _ in found.pairs]
    assert len(matched) == len(set(matched))
    assert len({other for _, other, _ in found.pairs}) == len(found.pairs)
    assert len(found.billed) == len(set(found.billed))
    assert match(held, billed, there, shuffle=shuffle, passes=["number", "rules"]) == found


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(truth=truths(), shuffle=st.integers(1, 10**6))
def test_no_pair_is_taken_from_its_true_partner(
    held: TenantWarehouse, truth: tuple[list[Document], list[Document]], shuffle: int
) -> None:
    """Where both sides hold both, no document is given another's, and the order of the rows is nothing."""
    _is_true(held, truth, shuffle)


@pytest.mark.soak
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(truth=truths(), shuffle=st.integers(1, 10**6))
def test_no_pair_is_taken_from_its_true_partner_for_long(
    held: TenantWarehouse, truth: tuple[list[Document], list[Document]], shuffle: int
) -> None:
    _is_true(held, truth, shuffle)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    amounts=st.lists(
        st.integers(-(10**9), 10**12), min_size=1, max_size=12, unique_by=lambda cents: cents // 4
    ),
    noise=st.lists(st.tuples(st.integers(-1, 1), st.integers(-7, 7)), min_size=12, max_size=12),
)
def test_amounts_that_nothing_else_has_are_all_found(
    held: TenantWarehouse, amounts: list[int], noise: list[tuple[int, int]]
) -> None:
    """To the last cent and day of what the file allows, from credits to billions."""
    billed, there = [], []
    for index, cents in enumerate(cents * 4 for cents in {cents // 4 for cents in amounts}):
        one = Document(f"d{index}", total=Decimal(cents).scaleb(-2), day=10)
        billed.append(one)
        apart, later = noise[index]
        there.append(replace(one, total=one.total + Decimal(apart).scaleb(-2), day=10 + later))
    found = match(held, billed, there, passes=["rules"])
    assert found.pairs == {(one.identity, one.identity, "rules") for one in billed}


# What each pass takes


def test_the_surest_pass_comes_first_whatever_the_order_in_the_file(held: TenantWarehouse) -> None:
    billed = [Document("a", number="7"), Document("b", number="8", total=Decimal("3.00"))]
    there = [Document("was-a", total=Decimal("1.00")), Document("bears-7", ref="7")]
    found = match(held, billed, there, [("a", "was-a")], passes=["rules", "number", "internal_id"])
    assert found.pairs == {("a", "was-a", "internal_id")}
    assert match(held, billed, there, [("a", "was-a")], passes=["number"]).pairs == {
        ("a", "bears-7", "number")
    }


def test_two_documents_that_had_one_internal_id_are_undecided(held: TenantWarehouse) -> None:
    billed = [Document("a"), Document("b")]
    found = match(held, billed, [Document("x")], [("a", "x"), ("b", "x")])
    assert (found.pairs, found.undecided) == (frozenset(), {("a", "x"), ("b", "x")})


@pytest.mark.parametrize(("ref", "is_found"), [("inv-0007", True), ("INV 0007", True), ("INV-7", False)])
def test_a_number_is_the_same_however_it_is_written(held: TenantWarehouse, ref: str, is_found: bool) -> None:
    found = match(held, [Document("a", number="INV-0007")], [Document("x", ref=ref)], passes=["number"])
    assert bool(found.pairs) == is_found


@pytest.mark.parametrize(
    ("values", "becomes"),
    [
        ({"customer": "cus-9", "total": Decimal("6.00")}, "nothing"),
        ({"customer": "cus-9"}, "doubt"),
        ({"total": Decimal("6.00")}, "doubt"),
        ({}, "pair"),
    ],
)
def test_netsuites_own_number_counts_with_the_customer_and_the_amount_alone(
    held: TenantWarehouse, values: dict[str, Any], becomes: str
) -> None:
    """Both systems count from 1001, each its own documents."""
    one = Document("a", number="1001", total=Decimal("5.00"))
    found = match(held, [one], [replace(one, identity="x", **values)], passes=["number"])
    assert found.pairs == ({("a", "x", "number")} if becomes == "pair" else frozenset())
    assert found.undecided == ({("a", "x")} if becomes == "doubt" else frozenset())


def test_a_po_number_tells_alike_documents_apart(held: TenantWarehouse) -> None:
    billed = [Document("a", po="PO-778"), Document("b", po="PO-901")]
    there = [Document("b", po="po 901"), Document("a", po="PO778")]
    assert match(held, billed, there).pairs == {("a", "a", "rules"), ("b", "b", "rules")}
    found = match(held, billed, there, evidence=["memo"])
    assert (found.pairs, len(found.undecided)) == (frozenset(), 4)


@pytest.mark.parametrize(
    ("billed", "there", "is_found"),
    [
        ({"po": "PO-778"}, [{"po": "po 778"}, {}], True),
        ({"po": "PO-778"}, [{"po": "po 778"}, {"po": "PO-901"}], True),
        ({"po": "PO-778"}, [{"po": "778"}, {"po": "PO-901"}], False),
        ({"po": "PO-778"}, [{"po": "PO-778"}, {"po": "PO-778", "day": 7}], False),
        ({"po": "PO-778"}, [{"po": None}, {"po": "PO-901"}], False),
        ({"po": "PO-778", "po_borne": 2}, [{"po": "PO-778"}, {}], False),
        ({"po": "PO-778"}, [{"po": "PO-778", "po_borne": 2}, {}], False),
        ({"memo": "Order 7 of May"}, [{"memo": "order 7, of May"}, {"memo": "Order 8 of May"}], True),
        ({"memo": "Order 7 of May"}, [{"memo": "Order 7"}, {}], False),
        ({"memo": "Usage"}, [{"memo": "Usage", "memo_borne": 3}, {}], False),
        ({"po": "PO-778", "memo": "Usage"}, [{"po": "PO-778"}, {"memo": "Usage"}], False),
        ({"po": "PO-778", "memo": "Usage"}, [{"po": "PO-901", "memo": "Usage"}, {}], False),
        ({}, [{}, {"day": 7, "total": Decimal("10.01"), "memo": "Another thing"}], False),
    ],
    ids=[
        "exact", "exact beside another", "not written the same", "on both", "on none", "many of billing's", "many of NetSuite's",
        "exact memo", "like memo", "memo of many", "keys that disagree", "memo against PO number", "by far the nearest",
    ],
)  # fmt: skip
@pytest.mark.parametrize("swapped", [False, True], ids=["two held", "two billed"])
def test_of_several_only_a_key_takes_one(
    held: TenantWarehouse, billed: dict[str, Any], there: list[dict[str, Any]], is_found: bool, swapped: bool
) -> None:
    """Whichever side the second one is on. What is not taken is undecided, with all candidates."""
    one = [Document("a", **billed)]
    more = [Document("x", **there[0]), Document("y", **there[1])]
    found = match(held, more, one) if swapped else match(held, one, more)
    pairs = {(billed, held) for billed, held, _ in found.pairs}
    both = {("x", "a"), ("y", "a")} if swapped else {("a", "x"), ("a", "y")}
    assert pairs == (both & {("a", "x"), ("x", "a")} if is_found else set())
    assert found.undecided == (set() if is_found else both)


@pytest.mark.parametrize(("day", "becomes"), [(20, "doubt"), (None, "pair")])
def test_a_single_one_is_not_taken_where_its_amount_recurs(
    held: TenantWarehouse, day: int | None, becomes: str
) -> None:
    """Of a price that the customer pays again and again, the one within the days may be another's counterpart."""
    there = [Document("x", day=3), *([] if day is None else [Document("y", day=day)])]
    found = match(held, [Document("a")], there, passes=["rules"])
    assert found.pairs == ({("a", "x", "rules")} if becomes == "pair" else frozenset())
    assert found.undecided == ({("a", "x")} if becomes == "doubt" else frozenset())


def test_what_an_earlier_pass_left_undecided_is_a_candidate_still(held: TenantWarehouse) -> None:
    """One of two that had the same internal id may be the third's."""
    billed = [Document("a", total=Decimal("7.00")), Document("b", total=Decimal("8.00")), Document("c")]
    there = [Document("x"), Document("y")]
    # Nor is it taken for one of the two that alone fits by all else.
    first = [replace(there[0], total=Decimal("7.00"))]
    assert match(held, billed[:2], first, [("a", "x"), ("b", "x")]).pairs == frozenset()
    assert match(held, billed[2:], there[1:]).pairs == {("c", "y", "rules")}
    found = match(held, billed, there, [("a", "x"), ("b", "x")])
    assert (found.pairs, found.undecided) == (
        frozenset(),
        {("a", "x"), ("b", "x"), ("c", "x"), ("c", "y")},
    )


@pytest.mark.parametrize(
    ("po", "becomes"),
    [
        ("po-778", "pair"),
        ("778", "pair"),
        (None, "pair"),
        ("1778", "doubt"),
        ("PO-779", "doubt"),
        ("78", "doubt"),
    ],
)
def test_another_po_number_is_a_doubt(held: TenantWarehouse, po: str | None, becomes: str) -> None:
    found = match(held, [Document("a", po="PO-778")], [Document("x", po=po)], passes=["rules"])
    assert (len(found.pairs), len(found.undecided)) == ((1, 0) if becomes == "pair" else (0, 1))


@pytest.mark.parametrize("ref", ["10", "2", "N-1"])
def test_billings_number_of_another_document_rules_it_out(held: TenantWarehouse, ref: str) -> None:
    found = match(held, [Document("a", number="1")], [Document("x", ref=ref)], passes=["rules"])
    assert (found.pairs, found.undecided) == (frozenset(), frozenset())


def test_what_is_left_when_the_others_are_gone_is_not_taken_for_that(held: TenantWarehouse) -> None:
    """Its own counterpart may be lacking."""
    billed = [Document("a", po="PO-1", memo="one"), Document("b", memo="two")]
    there = [Document("a", po="PO-1", memo="one"), Document("b", memo=None)]
    found = match(held, billed, there)
    assert (found.pairs, found.undecided) == ({("a", "a", "rules")}, {("b", "b")})


def test_a_document_without_a_customer_matches_none_by_rules(held: TenantWarehouse) -> None:
    assert match(held, [Document("a", customer=None)], [Document("a", customer=None)]).pairs == frozenset()


@pytest.mark.parametrize("alike", [100, 101])
def test_a_crowd_is_given_up_beyond_its_bound(
    held: TenantWarehouse, alike: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netsuite_assets.reconcile.matching.CROWD", 100)
    billed = [Document(f"d{index}", po=f"PO-{index}{index}{index}") for index in range(alike // 10)]
    there = [*billed, *([Document("one more")] if alike > 100 else [])]
    found = match(held, billed, there, passes=["rules"])
    if alike == 100:
        assert len(found.pairs) == 10
        assert found.given_up == frozenset()
    else:
        assert found.pairs == frozenset()
        assert len(found.given_up) == 21


def test_what_was_given_up_is_a_candidate_still(
    held: TenantWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cent beside a crowd: the only one that was not given up may be any of these."""
    monkeypatch.setattr("netsuite_assets.reconcile.matching.CROWD", 4)
    crowd = [Document(f"d{index}") for index in range(3)]
    near = Document("x", total=Decimal("10.01"))
    found = match(held, [*crowd, Document("a", total=Decimal("10.02"))], [*crowd, near], passes=["rules"])
    assert found.pairs == frozenset()
    assert ("a", "x") in found.undecided


def test_groups_come_last_and_are_of_one_customer_and_currency(held: TenantWarehouse) -> None:
    billed = [Document("a", total=Decimal("100.00"))]
    parts = [Document("x", total=Decimal("60.00")), Document("y", total=Decimal("40.00"))]
    group = frozenset({("billed", "a"), ("held", "x"), ("held", "y")})
    assert match(held, billed, parts).groups == {group}
    assert match(held, billed, [*parts, Document("a", total=Decimal("100.00"))]).groups == frozenset()
    for values in ({"customer": "cus-2"}, {"currency": "EUR"}, {"day": 8}, {"total": Decimal("40.02")}):
        assert match(held, billed, [parts[0], replace(parts[1], **values)]).groups == frozenset()
