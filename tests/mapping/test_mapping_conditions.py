"""A condition holds or does not; a record or line for which it does not is left out, counted and told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_tools import CUSTOMER, PERIOD, Account, invoice_rules, mapping, mistakes

HOLDS = [
    ({"status": "paid"}, {"status": "paid"}, True),
    ({"status": "paid"}, {"status": "Paid"}, False),
    ({"status": "paid"}, {"status": None}, False),
    ({"status": ["paid", "open"]}, {"status": "open"}, True),
    ({"status": {"in": ["paid", "open"]}}, {"status": "draft"}, False),
    ({"status": {"not": "draft"}}, {"status": "paid"}, True),
    ({"status": {"not": "draft"}}, {"status": None}, True),
    ({"status": {"not": ["draft", "void"]}}, {"status": "void"}, False),
    ({"memo": {"empty": True}}, {"memo": ""}, True),
    ({"memo": {"empty": True}}, {"memo": "x"}, False),
    ({"memo": {"empty": False}}, {"memo": None}, False),
    ({"total": {"above": 10}}, {"total": Decimal("10.0001")}, True),
    ({"total": {"above": 10}}, {"total": Decimal("10")}, False),
    ({"total": {"at_least": "10.00"}}, {"total": Decimal("10")}, True),
    ({"total": {"below": 0}}, {"total": Decimal("-0.01")}, True),
    ({"total": {"at_most": 0}}, {"total": Decimal("0.01")}, False),
    ({"total": {"above": 1, "below": 3}}, {"total": Decimal("2")}, True),
    ({"total": 10.5}, {"total": Decimal("10.5000")}, True),
    ({"due_on": {"above": "2026-10-31"}}, {"due_on": date(2026, 11, 1)}, True),
    ({"due_on": {"at_most": "2026-10-31"}}, {"due_on": None}, False),
    ({"due_on": "2026-10-31"}, {"due_on": date(2026, 10, 31)}, True),
    ({"updated_at": {"at_least": "2026-10-03T00:00:00Z"}}, {"updated_at": datetime(2026, 10, 3, tzinfo=UTC)}, True),
    ({"metadata.plan": "gold"}, {"metadata": '{"plan": "gold"}'}, True),
    ({"metadata.seats": {"above": 9}}, {"metadata": '{"seats": "10"}'}, True),
    ({"metadata.seats": {"above": 9}}, {"metadata": '{"seats": "many"}'}, False),
    ({"metadata.until": {"below": "2026-11-01"}}, {"metadata": '{"until": "2026-10-31"}'}, True),
    ({"customer.name": "Customer 1001"}, {}, True),
    ({"period": PERIOD}, {}, True),
    ({"period_end": "2026-10-31"}, {}, True),
    ({"status": "paid", "total": {"above": 0}}, {"status": "paid", "total": Decimal(0)}, False),
    ([{"status": "paid"}, {"total": {"above": 100}}], {"status": "open", "total": Decimal(101)}, True),
    ([{"status": "paid"}, {"total": {"above": 100}}], {"status": "open", "total": Decimal(1)}, False),
]  # fmt: skip


@pytest.mark.parametrize(("when", "invoice", "holds"), HOLDS)
def test_a_rule_counts_where_its_condition_holds(
    tmp_path: Path, account: Account, when: Any, invoice: dict[str, Any], holds: bool
) -> None:
    account.invoice(**invoice)
    rules = {"message": {"value": "yes", "when": when}, "otherRefNum": {"from": "number", "when": when}}
    row = account.one(mapping(tmp_path, invoice_rules(rules)))
    assert row["problem"] is None
    assert (row["message"], row["otherRefNum"]) == (("yes", "INV-500") if holds else (None, None))


@pytest.mark.parametrize(("when", "invoice", "holds"), HOLDS)
def test_a_record_is_expected_where_its_condition_holds(
    tmp_path: Path, account: Account, when: Any, invoice: dict[str, Any], holds: bool
) -> None:
    account.invoice(**invoice)
    mapped = mapping(tmp_path, invoice_rules(when=when))
    account.fill(mapped)
    assert len(account.expected("invoices")) == len(account.expected("invoice_lines")) == int(holds)
    left_out = account.con.execute(
        "SELECT period, record, source_id, line, number FROM expected.left_out"
    ).fetchall()
    assert left_out == ([] if holds else [(PERIOD, "invoice", "500", None, "INV-500")])


def test_what_is_left_out_says_by_which_condition(tmp_path: Path, account: Account) -> None:
    account.invoice("1", status="draft", total=Decimal("7.50"))
    account.invoice("2", status="finalized")
    when = [{"status": ["finalized", "paid"], "total": {"above": 0}}, {"memo": {"empty": False}}]
    mapped = mapping(tmp_path, invoice_rules(when=when))
    account.fill(mapped)
    account.fill(mapped)
    (row,) = account.con.execute(
        "SELECT source_id, amount, currency, reason FROM expected.left_out"
    ).fetchall()
    assert row[:3] == ("1", Decimal("7.50"), "USD")
    assert row[3].startswith(
        "expected only when status is one of finalized, paid and total is above 0 or memo is not empty (tenants/acme.yaml:"
    )
    assert [one["source_id"] for one in account.expected("invoices")] == ["2"]


def test_lines_are_left_out_by_their_own_condition(tmp_path: Path, account: Account) -> None:
    account.invoice(lines=[{}, {"amount": Decimal(0)}, {"product_id": "Nothing", "amount": Decimal(0)}])
    mapped = mapping(tmp_path, invoice_rules(lines_when={"amount": {"not": 0}}))
    row = account.one(mapped)
    assert row["problem"] is None
    assert [line["source_id"] for line in account.expected("invoice_lines")] == ["500-1"]
    assert account.con.execute(
        "SELECT source_id, line, number FROM expected.left_out ORDER BY line"
    ).fetchall() == [
        ("500", "500-2", "INV-500"),
        ("500", "500-3", "INV-500"),
    ]


def test_customers_are_left_out_too_and_then_their_invoices_say_so(tmp_path: Path, account: Account) -> None:
    account.customer("2", is_active=False)
    account.invoice("1")
    account.invoice("2", customer_id="2")
    rules = invoice_rules()
    rules["customer"] = {**CUSTOMER, "when": {"is_active": {"not": False}}}
    account.fill(mapping(tmp_path, rules))
    assert [row["source_id"] for row in account.expected("customers", None)] == ["1001"]
    assert account.con.execute("SELECT period, record, source_id FROM expected.left_out").fetchall() == [
        (None, "customer", "2")
    ]
    good, bad = account.expected("invoices")
    assert (good["problem"], good["entity"]) == (None, "cus-1001")
    assert (bad["problem_code"], bad["entity"]) == ("unresolved_reference", None)
    assert bad["problem"] == "Invoice INV-2: entity: the customer '2' is not expected in NetSuite."
    assert bad["next_step"].startswith("See expected.left_out for why")


def test_a_record_whose_metadata_cannot_be_read_is_not_dropped(tmp_path: Path, account: Account) -> None:
    account.invoice(metadata="{not json")
    row = account.one(mapping(tmp_path, invoice_rules(when={"metadata.state": "final"})))
    assert (row["problem_code"], row["problem"]) == (
        "invalid_value", "Invoice INV-500: its metadata in billing is not JSON.",
    )  # fmt: skip
    assert account.con.execute("SELECT count(*) FROM expected.left_out").fetchall() == [(0,)]


_TEXTS = st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["a", "A", "1", "1.0", "'", '"', "b c"]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(_TEXTS.filter(lambda text: text is None or "\x00" not in text), min_size=1, max_size=6),
    wanted=st.lists(_TEXTS.filter(lambda text: bool(text and text.strip() and text.isprintable() and "${" not in text)), min_size=1, max_size=3),
)  # fmt: skip
def test_text_is_compared_exactly(tmp_path: Path, values: list[str | None], wanted: list[str]) -> None:
    account = Account()
    for number, value in enumerate(values):
        account.invoice(str(number), status=value)
    rules = {
        "message": {"value": "in", "when": {"status": {"in": wanted}}},
        "otherRefNum": {"value": "not", "when": {"status": {"not": wanted}}},
    }
    account.fill(mapping(tmp_path, invoice_rules(rules)))
    found = {row["source_id"]: (row["message"], row["otherRefNum"]) for row in account.expected("invoices")}
    assert found == {
        str(number): ("in", None) if (value or None) in wanted else (None, "not")
        for number, value in enumerate(values)
    }


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"statuss": "a"}, "billing invoices have no 'statuss'; did you mean 'status'?"),
        ({"total": "much"}, "'much' is not a number"),
        ({"total": {"above": "much"}}, "'much' is not a number"),
        ({"due_on": {"above": "soon"}}, "'soon' is not a date such as 2026-10-31"),
        ({"status": {"above": "b"}}, "'b' is neither a number nor a date, which alone have an order"),
        ({"status": ""}, "an empty text is no value; use 'empty: true'"),
        ({"customer.is_active": "perhaps"}, "'perhaps' is neither true nor false"),
        ({"customer.is_active": {"above": "1"}}, "'1' is not to be compared: customer.is_active is true or false"),
        ({"metadata": "x"}, "name a key of metadata, such as metadata.subscription_id"),
    ],
)  # fmt: skip
def test_a_condition_that_means_nothing_is_told(tmp_path: Path, when: dict[str, Any], expected: str) -> None:
    assert mistakes(tmp_path, invoice_rules(when=when)) == [expected]
    assert mistakes(tmp_path, invoice_rules({"memo": {"from": "memo", "when": when}})) == [expected]
