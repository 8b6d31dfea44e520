"""Line rules split, group and add lines; nothing of a document is lost on the way, to the last cent."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_tools import Account, invoice_rules, mapping, mistakes

_SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_AMOUNT = st.decimals(min_value=-(10**9), max_value=10**9, places=4, allow_nan=False)
_QUANTITY = st.decimals(min_value=-(10**9), max_value=10**9, places=10, allow_nan=False)

LINES = {
    "description": {"from": "description"},
    "quantity": {"from": "quantity"},
    "rate": {"from": "unit_amount"},
    "amount": {"from": "amount"},
}


@pytest.fixture(scope="module")
def held() -> Iterator[Account]:
    made = Account()
    _items(made)
    yield made
    made.con.close()


def _items(account: Account) -> None:
    for number, name in enumerate(
        ["Discount", "Prepaid", "Minimum", "Tax", "Platform", "Support"], start=201
    ):
        account.item(str(number), name)


def _rules(line_rules: dict[str, Any], lines: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return invoice_rules(lines=LINES if lines is None else lines, line_rules=line_rules, **more)


def _added(item: str, amount: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    fields = {"item": {"value": item, "lookup": "item"}}
    return {"fields": {**fields, **({"amount": amount} if amount else {})}, **more}


def _problems(account: Account) -> list[str | None]:
    return [row["problem"] for row in account.expected("invoices")]


# Adding lines


def test_lines_are_added_from_the_document_and_from_its_lines(tmp_path: Path, account: Account) -> None:
    _items(account)
    account.invoice(
        "1",
        metadata='{"discount": "5.00", "tax": "9.50"}',
        lines=[
            {"amount": Decimal(100), "metadata": '{"credits": "20.25"}', "description": "API"},
            {"amount": Decimal(50), "description": "Seats"},
        ],
    )
    account.invoice("2", lines=[{"amount": Decimal(7), "description": "Small"}])
    rules = {
        "lines": {},
        "drawdown": _added(
            "Prepaid", {"from": "metadata.credits", "sign": "negate"}, when={"metadata.credits": {"empty": False}}
        ),
        "discount": _added(
            "Discount", {"from": "metadata.discount", "sign": "negate"}, each="document",
            when={"metadata.discount": {"above": 0}},
        ),
        "tax": _added("Tax", {"from": "metadata.tax"}, each="document", when={"metadata.tax": {"empty": False}}),
    }  # fmt: skip
    mapped = mapping(tmp_path, _rules(rules))
    found = account.lines(mapped, "external_id", "line_no", "line_rule", "item", "amount", "source_id")
    assert _problems(account) == [None, None]
    assert found == [
        ("inv-1", 1, "lines", "100", Decimal(100), "1-1"),
        ("inv-1", 2, "drawdown", "202", Decimal("-20.25"), "1-1"),
        ("inv-1", 3, "lines", "100", Decimal(50), "1-2"),
        ("inv-1", 4, "discount", "201", Decimal("-5"), "1"),
        ("inv-1", 5, "tax", "204", Decimal("9.5"), "1"),
        ("inv-2", 1, "lines", "100", Decimal(7), "2-1"),
    ]
    # What an added line does not say of its own, it has from the billing line; a line of the document has nothing.
    told = {line["line_rule"]: line["description"] for line in account.expected("invoice_lines")}
    assert (told["drawdown"], told["discount"], told["tax"]) == ("API", None, None)


def test_the_rest_of_a_document_becomes_a_line(tmp_path: Path, account: Account) -> None:
    _items(account)
    account.invoice("1", total=Decimal(500), lines=[{"amount": Decimal(120)}, {"amount": Decimal("80.01")}])
    account.invoice("2", total=Decimal(10), lines=[{"amount": Decimal(10)}])
    account.invoice("3", total=Decimal(5), lines=[])
    account.invoice("4", total=Decimal(9), status="void", lines=[{"amount": Decimal(1)}])
    rules = {
        "lines": {},
        "minimum": _added("Minimum", {"from": "rest"}, each="rest", when={"status": {"not": "void"}}),
    }
    found = account.lines(mapping(tmp_path, _rules(rules)), "external_id", "line_no", "line_rule", "amount")
    assert found == [
        ("inv-1", 1, "lines", Decimal(120)),
        ("inv-1", 2, "lines", Decimal("80.01")),
        ("inv-1", 3, "minimum", Decimal("299.99")),
        ("inv-2", 1, "lines", Decimal(10)),
        ("inv-3", 1, "minimum", Decimal(5)),
        ("inv-4", 1, "lines", Decimal(1)),
    ]


@_SETTINGS
@given(bills=st.lists(st.tuples(_AMOUNT, _AMOUNT, st.lists(_AMOUNT, max_size=4)), min_size=1, max_size=5))
def test_with_a_rest_the_lines_always_add_up(
    tmp_path: Path, held: Account, bills: list[tuple[Decimal, Decimal, list[Decimal]]]
) -> None:
    held.clear()
    for number, (total, tax, amounts) in enumerate(bills):
        held.invoice(
            str(number),
            total=total,
            metadata=json.dumps({"tax": f"{tax:f}"}),
            lines=[{"amount": one} for one in amounts],
        )
    rules = {
        "lines": {"when": {"amount": {"not": 0}}},
        "nothing": {"when": {"amount": 0}},
        "tax": _added("Tax", {"from": "metadata.tax"}, each="document"),
        "rest": _added("Discount", {"from": "rest"}, each="rest"),
    }
    held.fill(mapping(tmp_path, _rules(rules)))
    sums: dict[str, Decimal] = defaultdict(Decimal)
    numbers: dict[str, list[int]] = defaultdict(list)
    for line in held.expected("invoice_lines"):
        sums[line["external_id"]] += line["amount"]
        numbers[line["external_id"]].append(line["line_no"])
    assert {f"inv-{number}": total for number, (total, _, _) in enumerate(bills)} == {
        f"inv-{number}": sums[f"inv-{number}"] for number in range(len(bills))
    }
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in numbers.values())


# Splitting


@_SETTINGS
@given(
    currency=st.sampled_from(["USD", "JPY", "KWD", "XTS"]),
    lines=st.lists(st.tuples(_AMOUNT, _QUANTITY), min_size=1, max_size=5),
    shares=st.lists(st.integers(1, 300_000), min_size=1, max_size=3),
)
def test_the_parts_of_a_split_line_are_its_shares_and_add_up(
    tmp_path: Path, held: Account, currency: str, lines: list[tuple[Decimal, Decimal]], shares: list[int]
) -> None:
    held.clear()
    held.invoice(currency=currency, lines=[{"amount": amount, "quantity": many} for amount, many in lines])
    fractions = [Decimal(share) / 1_000_000 for share in shares]
    parts = {f"p{number}": {"share": float(fraction)} for number, fraction in enumerate(fractions)}
    parts["last"] = {"share": "rest", "fields": {"description": {"value": "the rest"}}}
    found = held.lines(
        mapping(tmp_path, _rules({"all": {"split": {"parts": parts}}})), "line_rule", "amount", "quantity"
    )
    assert _problems(held) == [None]
    places = {"USD": 2, "JPY": 0, "KWD": 3, "XTS": 4}[currency]
    expected = []
    for amount, many in lines:
        amounts = [_rounded(amount * fraction, places) for fraction in fractions]
        numbers = [_rounded(many * fraction, 10) for fraction in fractions]
        expected += [(f"all/p{n}", a, q) for n, (a, q) in enumerate(zip(amounts, numbers, strict=True))]
        expected.append(("all/last", amount - sum(amounts), many - sum(numbers)))
    assert found == expected


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def test_a_split_part_has_fields_of_its_own(tmp_path: Path, account: Account) -> None:
    _items(account)
    account.invoice(
        lines=[
            {
                "amount": Decimal("0.05"),
                "quantity": Decimal(3),
                "description": "Bundle",
                "metadata": '{"kind": "bundle"}',
            },
            {"amount": Decimal(1)},
        ]
    )
    parts = {
        "platform": {"share": 0.7, "fields": {"item": {"value": "Platform", "lookup": "item"}}},
        "support": {
            "share": "rest",
            "fields": {"item": {"value": "Support"}, "description": {"template": "{description}, support"}},
        },
    }
    rules = {
        "bundles": {
            "when": {"metadata.kind": "bundle"},
            "split": {"of": ["amount"], "parts": parts},
            "fields": {"item": {"value": "Discount", "lookup": "item"}},
        },
        "others": {"when": {"metadata.kind": {"not": "bundle"}}},
    }
    found = account.lines(
        mapping(tmp_path, _rules(rules)), "line_rule", "item", "amount", "quantity", "description"
    )
    assert _problems(account) == [None]
    assert found == [
        ("bundles/platform", "205", Decimal("0.04"), Decimal(3), "Bundle"),
        ("bundles/support", "206", Decimal("0.01"), Decimal(3), "Bundle, support"),
        ("others", "100", Decimal(1), None, None),
    ]


# Grouping


_GROUPED = {
    "usage": {
        "group": {
            "by": ["product_id", "unit_amount"],
            "sum": ["quantity", "amount"],
            "min": ["service_start"],
            "max": ["service_end"],
            "first": ["description"],
        }
    }
}


def test_lines_are_grouped_with_their_sums(tmp_path: Path, account: Account) -> None:
    account.item("102", "Storage")
    usage = {"unit_amount": Decimal("0.1"), "product_id": "API calls"}
    account.invoice(
        "1",
        memo="October",
        lines=[
            {**usage, "amount": Decimal("1.50"), "quantity": Decimal(15), "description": None,
             "service_start": date(2026, 10, 2), "service_end": date(2026, 10, 9)},
            {"amount": Decimal(9), "product_id": "Storage", "unit_amount": None, "quantity": None},
            {**usage, "amount": Decimal("-0.25"), "quantity": Decimal("-2.5"), "description": "second",
             "service_start": date(2026, 10, 1), "service_end": date(2026, 10, 8)},
            {**usage, "unit_amount": Decimal("0.2"), "amount": Decimal(2), "quantity": Decimal(10)},
        ],
    )  # fmt: skip
    account.invoice("2", lines=[{**usage, "amount": Decimal(4), "quantity": Decimal(40)}])
    fields = {
        **LINES,
        "custcol_from": {"from": "service_start", "type": "date"},
        "custcol_to": {"from": "service_end", "type": "date"},
        "custcol_memo": {"from": "invoice.memo"},
    }
    found = account.lines(
        mapping(tmp_path, _rules(_GROUPED, fields)),
        "external_id", "line_no", "source_id", "item", "rate", "quantity", "amount", "description",
        "custcol_from", "custcol_to", "custcol_memo",
    )  # fmt: skip
    assert _problems(account) == [None, None]
    d = Decimal
    assert found == [
        ("inv-1", 1, "1-1", "100", d("0.1"), d("12.5"), d("1.25"), "second", date(2026, 10, 1), date(2026, 10, 9), "October"),
        ("inv-1", 2, "1-2", "102", None, None, d(9), None, None, None, "October"),
        ("inv-1", 3, "1-4", "100", d("0.2"), d(10), d(2), None, None, None, "October"),
        ("inv-2", 1, "2-1", "100", d("0.1"), d(40), d(4), None, None, None, None),
    ]  # fmt: skip


@_SETTINGS
@given(
    bills=st.lists(
        st.lists(st.tuples(st.sampled_from(["API calls", "Tax"]), _AMOUNT, st.one_of(st.none(), _AMOUNT)), min_size=1, max_size=6),
        min_size=1,
        max_size=3,
    )
)  # fmt: skip
def test_sums_are_exact(
    tmp_path: Path, held: Account, bills: list[list[tuple[str, Decimal, Decimal | None]]]
) -> None:
    held.clear()
    expected: dict[tuple[str, str], tuple[Decimal, Decimal | None]] = {}
    for number, lines in enumerate(bills):
        held.invoice(str(number), lines=[
            {"product_id": product, "amount": amount, "metadata": json.dumps({} if fee is None else {"fee": f"{fee:f}"})}
            for product, amount, fee in lines
        ])  # fmt: skip
        for product, amount, fee in lines:
            key = (f"inv-{number}", {"API calls": "100", "Tax": "204"}[product])
            total, fees = expected.get(key, (Decimal(0), None))
            expected[key] = (total + amount, fees if fee is None else (fees or Decimal(0)) + fee)
    rules = {"usage": {"group": {"by": ["product_id"], "sum": ["amount", "metadata.fee"]}}}
    lines = {"amount": {"from": "amount"}, "custcol_fee": {"from": "metadata.fee", "type": "amount"}}
    found = held.lines(
        mapping(tmp_path, _rules(rules, lines)), "external_id", "item", "amount", "custcol_fee"
    )
    assert _problems(held) == [None] * len(bills)
    assert {(owner, item): (amount, fee) for owner, item, amount, fee in found} == expected


def test_a_value_that_is_no_number_is_a_problem_of_its_group(tmp_path: Path, account: Account) -> None:
    account.invoice("1", lines=[{"metadata": '{"fee": "1"}'}, {"metadata": '{"fee": "one"}'}])
    account.invoice("2", lines=[{"metadata": '{"fee": "1"}'}, {"metadata": '{"fee": 12345678901234.5678}'}])
    account.invoice("3", lines=[{"metadata": '{"fee": "1"}'}, {"metadata": "{bad"}])
    rules = {"usage": {"group": {"by": ["product_id"], "sum": ["metadata.fee"]}}}
    lines = {"custcol_fee": {"from": "metadata.fee", "type": "amount"}}
    account.fill(mapping(tmp_path, _rules(rules, lines)))
    word, inexact, broken = account.expected("invoices")
    assert word["problem"] == (
        "Invoice INV-1, line 1: custcol_fee: 'one' is not an amount with at most 14 digits and 4 decimals."
    )
    assert inexact["problem_code"] == "invalid_value"
    assert broken["problem"] == "Invoice INV-3, line 1: its metadata in billing is not JSON."


def test_a_sum_that_does_not_fit_is_a_problem_of_its_document(tmp_path: Path, account: Account) -> None:
    account.invoice("1", lines=[{"amount": Decimal("99999999999999.9999")}] * 2)
    account.invoice("2", lines=[{"amount": Decimal(1)}] * 2)
    rules = {"usage": {"group": {"by": ["product_id"], "sum": ["amount"]}}}
    account.fill(mapping(tmp_path, _rules(rules, {"amount": {"from": "amount"}})))
    too_much, fine = account.expected("invoices")
    assert too_much["problem_code"] == "invalid_value"
    assert fine["problem"] is None


def test_groups_are_left_out_by_their_sums(tmp_path: Path, account: Account) -> None:
    account.item("102", "Storage")
    account.invoice(
        lines=[
            {"amount": Decimal(5)},
            {"amount": Decimal(-5)},
            {"product_id": "Storage", "amount": Decimal(2)},
        ]
    )
    group = {"by": ["product_id"], "sum": ["amount"], "when": {"amount": {"not": 0}}}
    found = account.lines(
        mapping(tmp_path, _rules({"usage": {"group": group}}, {"amount": {"from": "amount"}})),
        "item",
        "amount",
    )
    assert found == [("102", Decimal(2))]


# What no rule takes


def test_a_line_that_no_rule_takes_is_a_problem_of_its_document(tmp_path: Path, account: Account) -> None:
    account.invoice("1", lines=[{"metadata": '{"kind": "usage"}'}, {"metadata": '{"kind": "new"}'}])
    account.invoice("2", lines=[{"metadata": '{"kind": "usage"}'}, {"metadata": '{"kind": "note"}'}])
    rules = {"usage": {"when": {"metadata.kind": "usage"}}, "seats": {"when": {"metadata.kind": "seats"}}}
    mapped = mapping(tmp_path, _rules(rules, lines_when={"metadata.kind": {"not": "note"}}))
    account.fill(mapped)
    first, second = account.expected("invoices")
    assert (first["problem_code"], first["problem"]) == (
        "unmapped_value", "Invoice INV-1, line 2: no line rule takes it.",
    )  # fmt: skip
    assert first["next_step"].startswith("Add a line rule for it, or widen one, at tenants/acme.yaml:")
    assert second["problem"] is None
    assert account.con.execute("SELECT line FROM expected.left_out").fetchall() == [("2-2",)]


def test_an_invoice_may_have_one_line_for_all(tmp_path: Path, account: Account) -> None:
    account.invoice(total=Decimal(30), lines=[{"product_id": "Nothing"}] * 3)
    rules = {"total": _added("API calls", {"from": "total"}, each="document")}
    assert account.lines(mapping(tmp_path, _rules(rules)), "line_no", "item", "amount") == [
        (1, "100", Decimal(30))
    ]
    assert _problems(account) == [None]


def test_problems_of_added_lines_name_them(tmp_path: Path, account: Account) -> None:
    account.invoice(metadata='{"tax": "much"}')
    rules = {"lines": {}, "tax": _added("VAT", {"from": "metadata.tax"}, each="document")}
    account.fill(mapping(tmp_path, _rules(rules)))
    (row,) = account.expected("invoices")
    assert row["problem"] == (
        "Invoice INV-500, line tax: item: NetSuite has no active item 'VAT' (list item)."
        " Invoice INV-500, line tax: amount: 'much' is not an amount with at most 14 digits and 4 decimals."
    )


def test_each_line_is_explained_with_its_rule(tmp_path: Path, account: Account) -> None:
    _items(account)
    account.invoice(total=Decimal(30), lines=[{"amount": Decimal(10)}, {"amount": Decimal(12)}])
    rules = {
        "usage": {"group": {"by": ["product_id"], "sum": ["amount"]}},
        "rest": _added("Minimum", {"from": "rest"}, each="rest"),
    }
    mapped = mapping(tmp_path, _rules(rules, {"amount": {"from": "amount"}}))
    account.fill(mapped)
    told = {
        (one.line_rule, one.field): (one.value, one.source)
        for one in mapped.explain(account.con, "invoice", "inv-500")
    }
    assert told["usage", "amount"] == ("22.0000", "22.000000000000")
    assert told["rest", "amount"][0] == "8.0000"
    assert told["rest", "item"] == ("203", "Minimum")


def test_a_body_has_the_lines_in_their_order(tmp_path: Path, account: Account) -> None:
    _items(account)
    account.invoice(total=Decimal(12), lines=[{"amount": Decimal(10), "description": "API"}])
    rules = {"lines": {}, "rest": _added("Tax", {"from": "rest"}, each="rest")}
    mapped = mapping(tmp_path, _rules(rules))
    account.fill(mapped)
    lines = sorted(account.expected("invoice_lines"), key=lambda line: line["line_no"])
    assert mapped.body("invoice", account.expected("invoices")[0], lines)["item"] == {
        "items": [
            {"item": {"id": "100"}, "description": "API", "amount": Decimal(10)},
            {"item": {"id": "204"}, "amount": Decimal(2)},
        ]
    }


@pytest.mark.parametrize(
    ("line_rules", "expected"),
    [
        ({"a": {"group": {"by": ["product"]}}}, "billing invoice lines have no 'product'; did you mean 'product_id'?"),
        ({"a": {"group": {"by": ["product_id"], "sum": ["description"]}}}, "'description' is text; only numbers are summed"),
        ({"a": {"group": {"by": ["product_id"], "sum": ["product_id"]}}}, "'product_id' is named twice in this group"),
        ({"a": {"group": {"by": ["product_id"], "min": ["metadata.a"]}}}, "'metadata.a' is text, whose order says nothing"),
        ({"a": {"group": {"by": ["product_id"], "sum": ["quantity", "amount"]}}},
         "'description' is not one value here, where several rows are taken together: name it in group.by, or in group.sum, min, max or first"),
        ({"a": {"group": {"by": ["product_id"]}, "split": {"parts": {"x": {"share": 0.5}, "y": {"share": "rest"}}}}}, "a line is grouped with others or split, not both"),
        ({"a": {"each": "document", "group": {"by": ["id"]}, "fields": {}}}, "'group' is for billing lines ('each: line')"),
        ({"a": {"each": "document"}}, "'item' needs a rule: NetSuite has no invoice line without it"),
        ({"a": {}, "b": _added("x", {"from": "rest"}, each="document")}, "billing invoices have no 'rest'"),
        ({"a": {}, "b": _added("x", {"from": "amount"}, each="document")}, "billing invoices have no 'amount'"),
        ({"b": _added("x", {"from": "rest"}, each="rest"), "c": _added("x", {"from": "rest"}, each="rest")}, "only one line rule can have what the others leave ('each: rest')"),
        ({"a": {"when": {"lineno": 1}}}, "billing invoice lines have no 'lineno'; did you mean 'line_no'?"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_line_rule_is_told(tmp_path: Path, line_rules: dict[str, Any], expected: str) -> None:
    found = mistakes(tmp_path, _rules(line_rules))
    assert found[0].startswith(expected), found


def test_a_mistake_of_lines_that_there_are_not_is_told(tmp_path: Path) -> None:
    customer = {"external_id": "cus-{id}", "fields": {"companyName": {"from": "name"}}}
    for key, value in (
        ("line_rules", {"a": {}}),
        ("lines_when", {"amount": 1}),
        ("lines", {"item": {"value": "1"}}),
    ):
        assert mistakes(tmp_path, {"customer": {**customer, key: value}}) == ["a customer has no lines"]
