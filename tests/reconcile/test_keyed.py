"""The keyed comparison finds exactly what plain Python finds, and stops when rows are lost on the way."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netsuite_assets.reconcile import keyed
from netsuite_assets.reconcile.comparison import Comparison
from netsuite_assets.reconcile.hashes import Hashed, hash_slice
from netsuite_assets.reconcile.keyed import Compared, Field, NotConserved, compare
from netsuite_assets.tables import COLUMN_TYPES
from resources.netsuite.records import Kind
from resources.warehouse import TenantWarehouse, Warehouse, quote

PERIOD = "2026-10"
NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
KINDS: dict[str, Kind] = {
    "memo": "text",
    "amount": "amount",
    "rate": "rate",
    "quantity": "quantity",
    "seats": "integer",
    "due": "date",
    "at": "datetime",
    "billable": "boolean",
}
Row = dict[str, Any]


# The oracle: what a person would do with two piles of paper


def canonical(how: Comparison, value: Any) -> list[tuple[str, Any]]:
    """The forms that a text goes through, each with the rule that made it."""
    forms: list[tuple[str, Any]] = []

    def add(rule: str, text: str | None) -> None:
        forms.append((rule, text))

    if how.nfc:
        value = value and unicodedata.normalize("NFC", value)
        add("unicode", value)
    if how.ignore_case:
        value = value and "".join(map(str.lower, value))
        add("case", value)
    if how.space == "collapse" and value is not None:
        blank = [letter in "\t\n\f\r " or unicodedata.category(letter)[0] == "Z" for letter in value]
        value = " ".join(
            "".join(" " if is_blank else letter for letter, is_blank in zip(value, blank, strict=True)).split(
                " "
            )
        )
        while "  " in value:
            value = value.replace("  ", " ")
    if how.space != "keep":
        value = value and value.strip("".join(one for one in value if unicodedata.category(one)[0] == "Z"))
        add("space", value)
    if how.empty_is_absent:
        value = value or None
        add("empty", value)
    return forms


def judged(how: Comparison, left: Any, right: Any) -> str | None:
    """'same' as they stand, the rule by which they are, or None where they differ."""
    if left == right:
        return "same"
    if how.kind == "text":
        forms = zip(canonical(how, left), canonical(how, right), strict=True)
        return next((rule for (rule, one), (_, other) in forms if one == other), None)
    if left is None or right is None:
        return None
    if how.kind in ("amount", "rate", "quantity", "integer"):
        apart = abs(left - right)
        if how.amount and apart <= how.amount:
            return "amount"
        return "percent" if how.percent and apart * 100 <= how.percent * abs(left) else None
    if how.kind in ("date", "datetime"):
        return "days" if how.days and abs(left - right) <= timedelta(days=how.days) else None
    return None


def delta(kind: Kind, left: Any, right: Any) -> Decimal | None:
    if kind in ("text", "boolean") or (kind in ("date", "datetime") and None in (left, right)):
        return None
    if kind == "date":
        return Decimal((left - right).days)
    if kind == "datetime":
        return Decimal((left.date() - right.date()).days)
    return Decimal((left or 0) - (right or 0))


@dataclass
class Expected:
    compared: Compared
    values: dict[tuple[str, str], Decimal | None]
    uses: dict[tuple[str, str], tuple[int, Decimal | None, Decimal | None]]
    missing: set[str]
    extra: set[str]


def expect(left: list[Row], right: list[Row], hows: dict[str, Comparison]) -> Expected:
    sides = [{row["key"]: row for row in side} for side in (left, right)]
    counts = [Counter(row["key"] for row in side) for side in (left, right)]
    repeated = {key for count in counts for key, rows in count.items() if key is not None and rows > 1}
    keys = [{key for key in count if key is not None} - repeated for count in counts]
    values: dict[tuple[str, str], Decimal | None] = {}
    used: dict[tuple[str, str], list[Decimal | None]] = {}
    matched = 0
    both = keys[0] & keys[1]
    for key in both:
        one, other = sides[0][key], sides[1][key]
        alike = True
        for name, how in hows.items():
            rule = judged(how, one[name], other[name])
            apart = delta(how.kind, one[name], other[name])
            alike &= rule in ("same", "unicode", "case", "space", "empty")
            if rule is None:
                values[key, name] = apart
            elif rule != "same":
                used.setdefault((name, rule), []).append(apart)
        matched += alike
    uses = {}
    for at, deltas in used.items():
        known = [one for one in deltas if one is not None]
        uses[at] = (
            len(deltas),
            sum(known, Decimal(0)) if known else None,
            max(map(abs, known)) if known else None,
        )
    compared = Compared(
        "papers", matched, len(both) - matched, len(keys[0] - keys[1]), len(keys[1] - keys[0]), len(repeated),
        counts[0][None], counts[1][None],
    )  # fmt: skip
    return Expected(compared, values, uses, keys[0] - keys[1], keys[1] - keys[0])


# The engine


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantWarehouse]:
    """A working file with both sides' tables, without rows."""
    columns = {"period": "VARCHAR", "key": "VARCHAR"} | {
        name: COLUMN_TYPES[kind] for name, kind in KINDS.items()
    }
    with Warehouse(tmp_path_factory.mktemp("keyed")).open("acme") as opened:
        for side in ("expected", "netsuite"):
            opened.ensure_table(f"{side}.papers", columns)
        yield opened


def put(held: TenantWarehouse, side: str, rows: list[Row]) -> None:
    """Land a side's rows of the month, beside one of another month that is nobody's business."""
    table = f"{side}.papers"
    held.connection.execute(f"DELETE FROM {table}")
    names = ["period", "key", *KINDS]
    put_in = [{"period": PERIOD, **row} for row in rows]
    put_in.append({"period": "2026-09", "key": "a", **dict.fromkeys(KINDS)})
    marks = ", ".join("(" + ", ".join("?" for _ in names) + ")" for _ in put_in)
    held.connection.execute(
        f"INSERT INTO {table} ({', '.join(map(quote, names))}) VALUES {marks}",
        [row[name] for row in put_in for name in names],
    )


def run(held: TenantWarehouse, hows: dict[str, Comparison], **more: Any) -> Compared:
    values = [Hashed(name, quote(name), how) for name, how in hows.items()]
    left, right = (
        hash_slice(held, f"{side}.papers", PERIOD, "key", values) for side in ("expected", "netsuite")
    )
    fields = [Field(name, how, f"l.{quote(name)}", f"r.{quote(name)}") for name, how in hows.items()]
    return compare(held, left, right, fields, name="papers", **more)


def check(held: TenantWarehouse, left: list[Row], right: list[Row], hows: dict[str, Comparison]) -> None:
    put(held, "expected", left)
    put(held, "netsuite", right)
    wanted = expect(left, right, hows)
    assert run(held, hows) == wanted.compared
    found = held.sql("SELECT key, field, delta FROM papers_judged WHERE rule IS NULL")
    assert len(found) == len(wanted.values)
    assert {(key, field): apart for key, field, apart in found} == wanted.values
    uses = held.sql("SELECT field, rule, uses, delta, greatest FROM papers_uses")
    assert len(uses) == len(wanted.uses)
    assert {(field, rule): tuple(rest) for field, rule, *rest in uses} == wanted.uses
    alone = "SELECT key FROM papers_apart WHERE {} IS NULL"
    assert {key for (key,) in held.sql(alone.format("right_row"))} == wanted.missing
    assert {key for (key,) in held.sql(alone.format("left_row"))} == wanted.extra


# What is drawn: few keys and values that lie close together, so that they meet

TEXTS: list[list[str | None]] = [
    [None, "", " ", "   ", "\t", "\u00a0"],
    ["a", "A", " a", "a ", None],
    ["a b", "a  b", "A B ", "a\u00a0b", "a\tb", "a\n b", "\u2003a b", "ab"],
    ["é", "e\u0301", "É", "E\u0301", "e"],
    ["\u00c5", "\u212b", "å", "a\u030a", "A"],
    ["straße", "STRASSE", "strasse", "株式会社", "ﬁ", "fi"],
]
AMOUNTS: list[list[Decimal | None]] = [
    [None, *map(Decimal, ("0", "0.01", "-0.01", "0.0001", "0.0099", "0.0101"))],
    [*map(Decimal, ("100", "100.01", "100.0101", "99.99", "99.5", "99.4999", "110", "110.0001", "-100"))],
    [None, *map(Decimal, ("1000", "1001", "1.234", "1.235", "1.2345"))],
    [
        *map(
            Decimal,
            ("12345678901234.5678", "12345678901234.5778", "12345678901234.5779", "-12345678901234.5678"),
        )
    ],
]
RATES = [
    None,
    *map(
        Decimal,
        ("0", "0.000000000001", "0.1", "0.100000000001", "1.005", "1234567890123456.5", "1234567890123456.6"),
    ),
]
QUANTITIES = [None, *map(Decimal, ("0", "1", "1.0000000001", "1.01", "-1", "200", "201"))]
SEATS = [None, 0, 1, -1, 100, 101, 110, 111, 2**62, -(2**62)]
DAYS = [None, *(date(2026, 10, 30) + timedelta(days=days) for days in range(6))]
INSTANTS = [
    None,
    *(
        datetime.fromisoformat("2026-10-30T23:59") + timedelta(hours=hours)
        for hours in (0, 1, 24, 25, 72, 73)
    ),
]


@st.composite
def rows(draw: st.DrawFn) -> st.SearchStrategy[Row]:
    """Rows of one family: their texts lie close together, and their amounts."""
    return st.fixed_dictionaries(
        {
            "key": st.sampled_from(
                [None, "", " ", "a", "A", "b", "c", "d", "e", "f", "g", "h", "ä", "a\u0308"]
            ),
            "memo": st.sampled_from(draw(st.sampled_from(TEXTS))),
            "amount": st.sampled_from(draw(st.sampled_from(AMOUNTS))),
            "rate": st.sampled_from(RATES),
            "quantity": st.sampled_from(QUANTITIES),
            "seats": st.sampled_from(SEATS),
            "due": st.sampled_from(DAYS),
            "at": st.sampled_from(INSTANTS),
            "billable": st.sampled_from([None, True, False]),
        }
    )


def _numbers(kind: Kind, *amounts: str) -> st.SearchStrategy[Comparison]:
    return st.builds(
        Comparison,
        st.just(kind),
        amount=st.sampled_from([Decimal(amount) for amount in ("0", *amounts)]),
        percent=st.sampled_from([Decimal(percent) for percent in ("0", "0", "0.5", "10", "0.0001", "100")]),
    )


HOWS = st.fixed_dictionaries(
    {
        "memo": st.builds(
            Comparison,
            st.just("text"),
            ignore_case=st.booleans(),
            space=st.sampled_from(["keep", "trim", "collapse"]),
            empty_is_absent=st.booleans(),
            nfc=st.booleans(),
        ),
        "amount": _numbers("amount", "0.01", "0.0001", "1"),
        "rate": _numbers("rate", "0.000000000001", "0.1"),
        "quantity": _numbers("quantity", "0.0000000001", "1"),
        "seats": _numbers("integer", "1", "10"),
        "due": st.builds(Comparison, st.just("date"), days=st.sampled_from([0, 1, 3])),
        "at": st.builds(Comparison, st.just("datetime"), days=st.sampled_from([0, 1, 3])),
        "billable": st.just(Comparison("boolean")),
    }
)


@st.composite
def piles(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Two piles, of which the second repeats some of the first with a value or two changed."""
    drawn = draw(rows())
    left = draw(st.lists(drawn, max_size=12))
    right = draw(st.lists(drawn, max_size=4))
    for row in left:
        kept = draw(st.integers(0, 3))
        if kept:
            other = draw(drawn)
            changed = (
                draw(st.sets(st.sampled_from(["memo", "amount", *KINDS]), max_size=2)) if kept > 1 else ()
            )
            right.append(row | {name: other[name] for name in changed})
    return left, right


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """A dozen cases in one pair of tables; each has its own keys, and all share the rows without a key."""
    left: list[Row] = []
    right: list[Row] = []
    for number, case in enumerate(draw(st.lists(piles(), min_size=12, max_size=12))):
        for table, rows in zip((left, right), case, strict=True):
            for row in rows:
                own = row["key"] if number == 0 or row["key"] is None else f"{number} {row['key']}"
                table.append(row | {"key": own})
    return left, right


FEW = st.sampled_from([0.0, 0.05, 1.0])
"""The share of pairs up to which those that only normalisation takes for the same are fetched: it changes no result."""


@settings(max_examples=35, deadline=None, suppress_health_check=list(HealthCheck))
@given(sides=tables(), hows=HOWS, few=FEW)
def test_it_finds_what_plain_python_finds(
    held: TenantWarehouse, sides: tuple[list[Row], list[Row]], hows: dict[str, Comparison], few: float
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keyed, "_FEW", few)
        check(held, *sides, hows)


@pytest.mark.soak
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(sides=tables(), hows=HOWS, few=FEW)
def test_it_finds_what_plain_python_finds_for_long(
    held: TenantWarehouse, sides: tuple[list[Row], list[Row]], hows: dict[str, Comparison], few: float
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keyed, "_FEW", few)
        check(held, *sides, hows)


def paper(key: str | None, **values: Any) -> Row:
    return dict.fromkeys(KINDS) | {"key": key, **values}


# Texts


@pytest.mark.parametrize(
    ("left", "right", "rules"),
    [
        ("Usage", "usage", {"ignore_case": "case"}),
        ("Usage", " Usage ", {"space": "space"}),
        ("API calls", "API  calls", {"collapse": "space"}),
        ("API calls", "API\u00a0calls", {"collapse": "space"}),
        ("API calls", "\tAPI\n calls\u2003", {"collapse": "space"}),
        (None, "", {"empty_is_absent": "empty"}),
        (None, "  ", {"space": "", "empty_is_absent": "empty"}),
        ("é", "e\u0301", {"nfc": "unicode"}),
        ("É", "e\u0301", {"nfc": "", "ignore_case": "case"}),
        ("straße", "STRASSE", {}),
    ],
)
def test_texts_are_the_same_by_the_rules_that_it_takes(
    held: TenantWarehouse, left: str | None, right: str | None, rules: dict[str, str]
) -> None:
    """Each of the rules is needed, and the last of them in order is the one that is counted."""
    put(held, "expected", [paper("a", memo=left)])
    put(held, "netsuite", [paper("a", memo=right)])
    bare = Comparison("text", space="keep", empty_is_absent=False)
    every = replace(bare, ignore_case=True, space="collapse", empty_is_absent=True, nfc=True)
    needed = bare
    for rule in rules:
        needed = _with(needed, rule)
        weaker = replace(every, **({"space": "keep"} if rule == "space" else _without(rule)))
        assert run(held, {"memo": weaker}).differing == 1, rule
    assert run(held, {"memo": needed}).matched == (1 if rules else 0)
    assert held.sql("SELECT rule FROM papers_uses") == [(rule,) for rule in rules.values() if rule]


def _with(how: Comparison, rule: str) -> Comparison:
    if rule in ("space", "collapse"):
        return replace(how, space="trim" if rule == "space" else "collapse")
    return replace(how, **{rule: True})  # type: ignore[arg-type]


def _without(rule: str) -> dict[str, Any]:
    return {"space": "trim"} if rule == "collapse" else {rule: False}


# Amounts


EXACT: dict[str, Comparison] = {name: Comparison(kind) for name, kind in KINDS.items()}


def test_ten_thousand_pairs_a_cent_apart_are_none_under_a_tolerance_of_a_cent(held: TenantWarehouse) -> None:
    """Taken for floats, thousands of them would be more than a cent apart."""
    held.connection.execute("DELETE FROM expected.papers; DELETE FROM netsuite.papers")
    for side, more in (("expected", "0"), ("netsuite", "0.01")):
        held.connection.execute(
            f"""INSERT INTO {side}.papers BY NAME SELECT '{PERIOD}' AS period, i::VARCHAR AS key,
                (hash(i) % 10000000)::DECIMAL(18,2) / 100 + {more} AS amount FROM range(10000) t(i)"""
        )
    hows = EXACT | {"amount": Comparison("amount", amount=Decimal("0.01"))}
    found = run(held, hows)
    assert (found.matched, found.differing) == (0, 10_000)
    assert held.sql("FROM papers_judged WHERE rule IS NULL") == []
    assert held.sql("SELECT rule, uses, delta, greatest FROM papers_uses") == [
        ("amount", 10_000, Decimal(-100), Decimal("0.01"))
    ]
    run(held, hows | {"amount": Comparison("amount", amount=Decimal("0.0099"))})
    assert held.value("SELECT count(*) FROM papers_judged WHERE rule IS NULL") == 10_000


@pytest.mark.parametrize(
    ("left", "right", "differs"),
    [
        ("1000", "1001", True),  # a yen
        ("1.234", "1.235", True),  # a fils of Kuwait's dinar
        ("1.2340", "1.234", False),
        ("0.0001", "0.0002", True),
    ],
)
def test_every_currencys_places_count(held: TenantWarehouse, left: str, right: str, differs: bool) -> None:
    put(held, "expected", [paper("a", amount=Decimal(left))])
    put(held, "netsuite", [paper("a", amount=Decimal(right))])
    run(held, EXACT)
    assert bool(held.sql("FROM papers_judged WHERE rule IS NULL")) is differs


@pytest.mark.parametrize(("kind", "typed"), [("amount", "DOUBLE"), ("rate", "FLOAT")])
def test_floats_are_refused(held: TenantWarehouse, kind: str, typed: str) -> None:
    held.connection.execute(
        f"CREATE OR REPLACE TABLE expected.floats AS SELECT '{PERIOD}' AS period, 1.5::{typed} AS paid"
    )
    with pytest.raises(
        ValueError, match=f"expected.floats: paid is {typed}; amounts are compared as DECIMAL"
    ):
        hash_slice(held, "expected.floats", PERIOD, None, [Hashed("paid", "paid", Comparison("amount"))])


# Stored hashes


def hashes(held: TenantWarehouse) -> list[tuple[Any, ...]]:
    return held.sql(
        f"SELECT key, row_hash, raw_hash FROM expected.papers WHERE period = '{PERIOD}' ORDER BY key"
    )


def spoil(held: TenantWarehouse) -> None:
    """Give a row a hash that is not its own."""
    held.connection.execute(f"UPDATE expected.papers SET row_hash = 1 WHERE period = '{PERIOD}'")


def test_stored_hashes_are_used_as_long_as_they_are_of_the_same(held: TenantWarehouse) -> None:
    for side in ("expected", "netsuite"):
        put(held, side, [paper("a", memo="Usage ", amount=Decimal("1.50"))])
    assert run(held, EXACT).matched == 1
    right = hashes(held)
    spoil(held)
    assert hashes(held) != right
    with pytest.raises(NotConserved):  # read, not made anew
        run(held, EXACT)


@pytest.mark.parametrize("how", ["landed", "proven", "compared", "released"])
def test_stored_hashes_do_not_outlive_what_they_are_of(
    held: TenantWarehouse, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    rows = [paper("a", memo="Usage ", amount=Decimal("1.50")), paper("b", memo="x")]
    for side in ("expected", "netsuite"):
        put(held, side, rows)
    run(held, EXACT)
    right = hashes(held)
    spoil(held)
    hows = EXACT
    if how == "landed":  # the slice has new rows
        put(held, "expected", rows)
    elif how == "proven":  # the slice is recorded with another content
        held.record_slice("expected.papers", PERIOD, key=["key"], expected_rows=2, source="billing", now=NOW)
    elif how == "compared":  # a field is compared otherwise
        hows = EXACT | {"memo": Comparison("text", space="keep")}
    else:  # this DuckDB hashes otherwise
        monkeypatch.setattr("netsuite_assets.reconcile.hashes._GOLDEN", "SELECT 'another release'")
    assert run(held, hows).matched == 2
    if hows is EXACT:
        assert hashes(held) == right
    held.connection.execute("DELETE FROM meta.slices")


def test_a_slice_that_lost_all_its_rows_is_not_taken_for_what_it_was(held: TenantWarehouse) -> None:
    for side in ("expected", "netsuite"):
        put(held, side, [paper("a"), paper("a"), paper("b")])
    assert run(held, EXACT).repeated == 1
    put(held, "netsuite", [])
    found = run(held, EXACT)
    assert (found.matched, found.only_left, found.repeated) == (0, 1, 1)
    put(held, "expected", [])
    assert run(held, EXACT) == Compared("papers", 0, 0, 0, 0, 0, 0, 0)


def test_two_rows_may_be_equal_after_normalisation_and_still_be_counted(held: TenantWarehouse) -> None:
    put(held, "expected", [paper("a", memo="Usage"), paper("b", memo=None)])
    put(held, "netsuite", [paper("a", memo=" USAGE "), paper("b", memo="")])
    found = run(held, EXACT | {"memo": Comparison("text", ignore_case=True)})
    assert (found.matched, found.differing) == (2, 0)
    assert held.sql("SELECT rule, uses FROM papers_uses ORDER BY rule") == [("empty", 1), ("space", 1)]


# Nothing is lost


@pytest.mark.parametrize(
    "lost", ["left_row IS NULL", "right_row IS NULL", "left_row + right_row IS NOT NULL"]
)
def test_a_row_that_is_lost_on_the_way_stops_the_comparison(
    held: TenantWarehouse, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    put(held, "expected", [paper("a", memo="x"), paper("b"), paper("c")])
    put(held, "netsuite", [paper("a", memo="y"), paper("b"), paper("d")])
    narrow = keyed._narrow

    def losing(*arguments: Any) -> None:
        narrow(*arguments)
        held.connection.execute(f"DELETE FROM papers_apart WHERE {lost}")

    monkeypatch.setattr(keyed, "_narrow", losing)
    with pytest.raises(NotConserved) as stopped:
        run(held, EXACT)
    message = str(stopped.value)
    assert message.startswith(
        "acme: comparing expected.papers with netsuite.papers of 2026-10 lost rows on the way: "
    )
    assert ("do not have the same contents" in message) is (lost == "left_row + right_row IS NOT NULL")
    assert "disabled_optimizers" in message


def test_a_row_that_appears_on_the_way_stops_the_comparison(
    held: TenantWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side in ("expected", "netsuite"):
        put(held, side, [paper("a"), paper("b")])
    narrow = keyed._narrow

    def multiplying(*arguments: Any) -> None:
        narrow(*arguments)
        held.connection.execute(
            "INSERT INTO papers_apart SELECT 'b', rowid, NULL, row_hash, NULL, true FROM expected.papers LIMIT 1"
        )

    monkeypatch.setattr(keyed, "_narrow", multiplying)
    with pytest.raises(NotConserved, match="1 rows of the one and 2 of the other are left as matched"):
        run(held, EXACT)


def test_a_table_that_changed_since_it_was_hashed_stops_the_comparison(held: TenantWarehouse) -> None:
    for side in ("expected", "netsuite"):
        put(held, side, [paper("a"), paper("b")])
    values = [Hashed(name, quote(name), how) for name, how in EXACT.items()]
    left, right = (
        hash_slice(held, f"{side}.papers", PERIOD, "key", values) for side in ("expected", "netsuite")
    )
    held.connection.execute(f"DELETE FROM netsuite.papers WHERE key = 'b' AND period = '{PERIOD}'")
    with pytest.raises(NotConserved):
        compare(held, left, right, [], name="papers")


def test_what_does_not_fit_into_memory_gives_the_same(warehouse: Warehouse) -> None:
    hows = {"amount": Comparison("amount", amount=Decimal("0.01")), "memo": Comparison("text")}
    values = [Hashed(name, name, how) for name, how in hows.items()]
    fields = [Field(name, how, f"l.{name}", f"r.{name}") for name, how in hows.items()]
    rows = 400_000
    with warehouse.open("acme") as held:
        run = held.connection.execute
        for side in ("expected", "netsuite"):
            run(
                f"""CREATE TABLE {side}.papers AS SELECT '{PERIOD}' AS period, 'document number ' || i AS key,
                    (i % 977)::DECIMAL(18,4) + CASE WHEN '{side}' = 'netsuite' AND i % 50 = 0 THEN 0.01
                        WHEN '{side}' = 'netsuite' AND i % 50 = 1 THEN 0.02 ELSE 0 END::DECIMAL(18,4) AS amount,
                    CASE WHEN '{side}' = 'netsuite' AND i % 40 = 0 THEN ' ' || i ELSE i::VARCHAR END AS memo
                FROM range({rows}) t(i) WHERE '{side}' = 'expected' OR i % 100 <> 7"""
            )
        sides = [
            hash_slice(held, f"{side}.papers", PERIOD, "key", values) for side in ("expected", "netsuite")
        ]
        found = {}
        for memory in ("2GB", "24MB"):
            run(f"SET memory_limit = '{memory}'; SET threads = 1")
            compared = compare(held, sides[0], sides[1], fields, name="papers")
            found[memory] = (
                compared,
                held.sql(
                    "SELECT field, count(*), sum(delta), sum(hash(key)) FROM papers_judged WHERE rule IS NULL GROUP BY 1 ORDER BY 1"
                ),
                held.sql("SELECT * FROM papers_uses ORDER BY ALL"),
            )
        assert found["24MB"] == found["2GB"]
        assert found["2GB"][0].only_left == rows // 100
        assert found["2GB"][1][0][1] == rows // 50
        assert held.value("SELECT sum(size) FROM duckdb_temporary_files()") > 0
