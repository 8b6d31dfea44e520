"""What each rule makes of billing's values: exactly that, or a problem of that record alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_tools import CUSTOMER, PERIOD, Account, invoice_rules, mapping


def test_a_good_invoice_becomes_one_expected_row(tmp_path: Path, account: Account) -> None:
    account.invoice()
    row = account.one(mapping(tmp_path, invoice_rules({"tranDate": {"from": "issued_on"}})))
    assert row == {
        "period": PERIOD, "external_id": "inv-500", "source_id": "500", "number": "INV-500", "name": "Customer 1001",
        "currency": "USD", "total": Decimal("10.5000"), "problem": None, "problem_code": None, "next_step": None,
        "warning": None, "via": '{"entity":"customer"}', "entity": "cus-1001", "tranDate": date(2026, 10, 3),
    }  # fmt: skip
    (line,) = account.expected("invoice_lines")
    assert line == {
        "period": PERIOD, "external_id": "inv-500", "source_id": "500-1", "line_no": 1, "line_rule": None,
        "problem": None, "problem_code": None, "next_step": None, "warning": None, "via": '{"item":"number"}', "item": "100",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "rule", "invoice", "expected"),
    [
        ("memo", {"from": "memo"}, {"memo": "It's\n\"so\""}, "It's\n\"so\""),
        ("memo", {"from": "memo"}, {"memo": ""}, None),
        ("memo", {"value": "It's {id}"}, {}, "It's {id}"),
        ("memo", {"template": "Bill {number} of {issued_on}: {total} {{USD}}"}, {}, "Bill INV-500 of 2026-10-03: 10.5 {USD}"),
        ("memo", {"template": "${total}"}, {}, "$10.5"),
        ("memo", {"template": "PO {po_number}"}, {}, None),
        ("memo", {"template": "PO {po_number}", "default": "none"}, {}, "none"),
        ("memo", {"from": "customer.name"}, {}, "Customer 1001"),
        ("memo", {"from": "document.number"}, {}, "INV-500"),
        ("memo", {"from": "metadata.a.b"}, {"metadata": '{"a": {"b": "deep"}}'}, "deep"),
        ("memo", {"from": "metadata.a"}, {"metadata": '{"a": null}'}, None),
        ("memo", {"from": "metadata.a"}, {"metadata": '{"b": 1}'}, None),
        ("memo", {"from": "metadata.a"}, {"metadata": '{"a": true}'}, "true"),
        ("memo", {"from": "total"}, {"total": Decimal("1200")}, "1200"),
        ("memo", {"from": "updated_at"}, {"updated_at": datetime(2026, 10, 3, 7, 5, tzinfo=UTC)}, "2026-10-03T07:05:00Z"),
        ("memo", {"from": "status", "map": {"paid": "Paid", "open": "Open"}}, {"status": "paid"}, "Paid"),
        ("memo", {"from": "status", "map": {"paid": "Paid"}}, {"status": None}, None),
        ("memo", {"from": "status", "map": {"paid": "Paid"}, "default": "Other"}, {"status": "void"}, "Other"),
        ("memo", {"template": "{status}-{currency}", "map": {"paid-USD": "P"}}, {"status": "paid"}, "P"),
        ("subsidiary", {"from": "legal_entity", "map": {"us": 1, "eu": "3"}}, {"legal_entity": "eu"}, "3"),
        ("custbody_d", {"from": "metadata.d", "type": "date"}, {"metadata": '{"d": "2024-02-29"}'}, date(2024, 2, 29)),
        ("custbody_n", {"from": "metadata.n", "type": "amount"}, {"metadata": '{"n": "12345678901234.5600"}'}, Decimal("12345678901234.5600")),
        ("custbody_n", {"from": "metadata.n", "type": "amount"}, {"metadata": '{"n": 1.5e3, "id": "12345678901234567890"}'}, Decimal("1500.0000")),
        ("custbody_n", {"from": "metadata.n", "type": "amount"}, {"metadata": '{"n": -0.10}'}, Decimal("-0.1000")),
        ("custbody_n", {"from": "total", "type": "integer"}, {"total": Decimal("7.0000")}, 7),
        ("custbody_n", {"from": "total", "type": "rate"}, {"total": Decimal("7.0001")}, Decimal("7.000100000000")),
        ("custbody_b", {"from": "metadata.b", "type": "boolean"}, {"metadata": '{"b": true}'}, True),
        ("custbody_b", {"from": "metadata.b", "type": "boolean"}, {"metadata": '{"b": "F"}'}, False),
        ("custbody_b", {"value": True, "type": "boolean"}, {}, True),
        ("custbody_t", {"from": "updated_at", "type": "datetime"}, {"updated_at": datetime(2026, 10, 3, 7, 5, tzinfo=UTC)}, datetime(2026, 10, 3, 7, 5)),  # noqa: DTZ001
        ("custbody_t", {"from": "metadata.t", "type": "datetime"}, {"metadata": '{"t": "2026-10-03T07:05:00+02:00"}'}, datetime(2026, 10, 3, 5, 5)),  # noqa: DTZ001
        ("custbody_r", {"from": "metadata.r", "type": "reference"}, {"metadata": '{"r": 42}'}, "42"),
        ("approvalStatus", {"value": 2}, {}, "2"),
        ("exchangeRate", {"value": 1.25}, {}, Decimal("1.250000000000")),
    ],
)  # fmt: skip
def test_a_value_is_what_the_rule_says(
    tmp_path: Path,
    account: Account,
    field: str,
    rule: dict[str, Any],
    invoice: dict[str, Any],
    expected: object,
) -> None:
    account.invoice(**invoice)
    row = account.one(mapping(tmp_path, invoice_rules({field: rule})))
    assert row["problem"] is None
    assert (row[field], type(row[field])) == (expected, type(expected))


@pytest.mark.parametrize(
    ("field", "rule", "invoice", "code", "problem"),
    [
        ("memo", {"from": "status", "map": {"paid": "Paid"}}, {"status": "void"}, "unmapped_value",
         "Invoice INV-500: memo: the mapping does not say what 'void' becomes."),
        ("custbody_n", {"from": "metadata.n", "type": "amount"}, {"metadata": '{"n": "10.00005"}'}, "invalid_value",
         "Invoice INV-500: custbody_n: '10.00005' is not an amount with at most 14 digits and 4 decimals."),
        ("custbody_n", {"from": "metadata.n", "type": "amount"}, {"metadata": '{"n": "1.5E3"}'}, "invalid_value", None),
        ("custbody_n", {"from": "metadata.n", "type": "amount"}, {"metadata": '{"n": "1,234.56"}'}, "invalid_value", None),
        ("custbody_n", {"from": "metadata.n", "type": "amount"}, {"metadata": '{"n": "123456789012345"}'}, "invalid_value", None),
        ("custbody_n", {"from": "metadata.n", "type": "amount"}, {"metadata": '{"n": 0.1000000000000000055}'}, "invalid_value", None),
        ("custbody_n", {"from": "metadata.n", "type": "amount"}, {"metadata": '{"n": 900299999999.0014}'}, "invalid_value", None),
        # A JSON reader keeps 17 digits of this number: what comes out of it is another amount.
        ("custbody_n", {"from": "metadata.n", "type": "amount"}, {"metadata": '{"n": 12345678901234.5678}'}, "invalid_value", None),
        ("custbody_n", {"from": "total", "type": "integer"}, {"total": Decimal("7.0001")}, "invalid_value", None),
        ("custbody_d", {"from": "metadata.d", "type": "date"}, {"metadata": '{"d": "2026-02-30"}'}, "invalid_value",
         "Invoice INV-500: custbody_d: '2026-02-30' is not a date (YYYY-MM-DD)."),
        ("custbody_d", {"from": "metadata.d", "type": "date"}, {"metadata": '{"d": "10/31/2026"}'}, "invalid_value", None),
        ("custbody_d", {"from": "metadata.d", "type": "date", "default": "2026-01-01"}, {"metadata": '{"d": "soon"}'}, "invalid_value", None),
        ("custbody_t", {"from": "metadata.t", "type": "datetime"}, {"metadata": '{"t": "2026-10-03T07:05:00"}'}, "invalid_value", None),
        ("custbody_b", {"from": "metadata.b", "type": "boolean"}, {"metadata": '{"b": "maybe"}'}, "invalid_value",
         "Invoice INV-500: custbody_b: 'maybe' is not true or false."),
        ("custbody_r", {"from": "memo", "type": "reference"}, {"memo": "Net 30"}, "invalid_value",
         "Invoice INV-500: custbody_r: 'Net 30' is not an internal id."),
        ("memo", {"from": "metadata.a"}, {"metadata": "{bad"}, "invalid_value",
         "Invoice INV-500: its metadata in billing is not JSON."),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_a_problem_of_its_record_alone(
    tmp_path: Path, account: Account, field: str, rule: dict[str, Any], invoice: dict[str, Any], code: str,
    problem: str | None,
) -> None:  # fmt: skip
    account.invoice(**invoice)
    account.invoice("501", status="paid", total=Decimal(7), metadata='{"n": "1", "d": "2026-01-01", "t": "2026-10-03T07:05:00Z", "b": 1}',
                    memo="7")  # fmt: skip
    account.fill(mapping(tmp_path, invoice_rules({field: rule})))
    bad, good = account.expected("invoices")
    assert good["problem"] is None
    assert good["external_id"] == "inv-501"
    assert bad["problem_code"] == code
    assert bad[field] is None
    if problem is not None:
        assert bad["problem"] == problem
    assert "tenants/acme.yaml:" in bad["next_step"] or "metadata in billing" in bad["next_step"]


def test_line_rules_see_their_document_and_its_customer(tmp_path: Path, account: Account) -> None:
    account.con.execute("UPDATE billing.customers SET country = 'DE'")
    account.invoice(memo="Usage", metadata='{"run": "r1"}', lines=[{"quantity": Decimal("0.0000000001")}])
    lines = {
        "description": {"template": "{invoice.memo} {document.metadata.run} {customer.country} {line_no}"},
        "quantity": {"from": "quantity"},
    }
    account.fill(mapping(tmp_path, invoice_rules(lines=lines)))
    (line,) = account.expected("invoice_lines")
    assert (line["description"], line["quantity"]) == ("Usage r1 DE 1", Decimal("0.0000000001"))


def test_a_problem_of_a_line_is_a_problem_of_its_document(tmp_path: Path, account: Account) -> None:
    bad = [{"product_id": name} for name in ("X1", "API calls", "X2", "X2", "X3")]
    account.invoice(lines=bad)
    account.invoice("501")
    account.fill(mapping(tmp_path, invoice_rules()))
    first, second = account.expected("invoices")
    assert first["problem"] == (
        "Invoice INV-500, line 1: item: NetSuite has no active item 'X1' (list item)."
        " Invoice INV-500, line 3: item: NetSuite has no active item 'X2' (list item)."
        " Invoice INV-500, line 4: item: NetSuite has no active item 'X2' (list item)."
        " Lines with problems in all: 4."
    )
    assert first["problem_code"] == "unresolved_reference"
    where = mapping(tmp_path, invoice_rules()).records["invoice"].line_fields[0].where
    assert first["next_step"] == " ".join(
        f"Create the item '{name}' in NetSuite or map it in {where}." for name in ("X1", "X2", "X3")
    )
    assert second["problem"] is None
    assert [line["problem_code"] is None for line in account.expected("invoice_lines")] == [
        False, True, False, False, False, True,
    ]  # fmt: skip


def test_a_document_without_a_customer_is_kept_and_says_so_first(tmp_path: Path, account: Account) -> None:
    account.invoice(customer_id=None, metadata="{bad", lines=[{"product_id": "X"}])
    row = account.one(mapping(tmp_path, invoice_rules({"memo": {"from": "metadata.a"}})))
    assert row["problem_code"] == "no_customer"
    assert row["problem"].startswith("Invoice INV-500: the billing document names no customer.")
    assert row["next_step"].startswith("Give the document its customer in billing;")
    assert (row["total"], row["entity"], row["name"]) == (Decimal("10.5"), None, None)


def test_a_document_of_an_unknown_customer_says_which(tmp_path: Path, account: Account) -> None:
    account.invoice(customer_id="O'Hara")
    row = account.one(mapping(tmp_path, invoice_rules()))
    assert row["problem_code"] == "unresolved_reference"
    assert row["problem"] == "Invoice INV-500: entity: billing has no customer 'O'Hara'."


@pytest.mark.parametrize("bad_id", ["a/b", "ü", "a b", "a'b", "a%2Fb"])
def test_an_external_id_that_a_url_cannot_carry_is_a_problem(
    tmp_path: Path, account: Account, bad_id: str
) -> None:
    account.invoice(bad_id)
    row = account.one(mapping(tmp_path, invoice_rules()))
    assert row["problem_code"] == "invalid_value"
    assert row["external_id"] == f"inv-{bad_id}"
    assert f"'inv-{bad_id}' cannot stand in a URL" in row["problem"]


def test_an_external_id_that_repeats_is_a_problem_of_each_record(tmp_path: Path, account: Account) -> None:
    for id, number in (("1", "A"), ("2", "A"), ("3", "B")):
        account.invoice(id, number=number)
    mapped = mapping(tmp_path, invoice_rules(external_id="inv-{number}"))
    account.fill(mapped)
    assert [row["problem_code"] for row in account.expected("invoices")] == [
        "invalid_value",
        "invalid_value",
        None,
    ]
    assert mapped.records["invoice"].source_id("inv-A") is None
    assert mapping(tmp_path, invoice_rules()).records["invoice"].source_id("inv-500") == "500"


def test_a_period_is_replaced_and_the_others_stay(tmp_path: Path, account: Account) -> None:
    mapped = mapping(tmp_path, invoice_rules({"memo": {"from": "memo"}}))
    account.invoice("500", memo="old")
    account.invoice("400", memo="before", period="2026-09", issued_on=date(2026, 9, 1))
    account.fill(mapped, "2026-09")
    account.fill(mapped)
    account.con.execute("UPDATE billing.invoices SET memo = 'new'")
    account.fill(mapped)
    account.fill(mapped)
    assert [(row["period"], row["memo"]) for row in account.expected("invoices", None)] == [
        ("2026-09", "before"),
        (PERIOD, "new"),
    ]
    assert len(account.expected("invoice_lines", None)) == 2
    assert [row["period"] for row in account.expected("customers", None)] == [None]


@pytest.mark.parametrize("period", ["2026-1", "2026-13", "' OR true --", "2026-10\n", ""])
def test_a_period_is_a_month(tmp_path: Path, period: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM"):
        mapping(tmp_path, invoice_rules()).fill_sql("invoice", period)


def test_credit_notes_become_credit_memos(tmp_path: Path, account: Account) -> None:
    account.insert(
        "billing.credit_notes",
        {"id": "7", "number": "CN-7", "issued_on": date(2026, 10, 5), "currency": "EUR", "total": Decimal("3.58"),
         "customer_id": "1001", "invoice_id": "500", "reason": "error", "period": PERIOD},
    )  # fmt: skip
    account.insert(
        "billing.credit_note_lines",
        {"id": "7-1", "credit_note_id": "7", "line_no": 1, "amount": Decimal("3.58"), "product_id": "api CALLS",
         "period": PERIOD},
    )  # fmt: skip
    rules = invoice_rules()["invoice"]
    memo = {**rules, "external_id": "cm-{id}", "fields": {**rules["fields"], "memo": {"template": "{reason} {invoice_id}"}},
            "lines": {**rules["lines"], "description": {"from": "credit_note.number"}}}  # fmt: skip
    mapped = mapping(tmp_path, {"customer": CUSTOMER, "creditMemo": memo})
    row = account.one(mapped, "credit_memos")
    assert (row["external_id"], row["total"], row["memo"]) == ("cm-7", Decimal("3.58"), "error 500")
    (line,) = account.expected("credit_memo_lines")
    assert (line["external_id"], line["item"], line["description"]) == ("cm-7", "100", "CN-7")


# Money

_MONEY = st.decimals(min_value=-(10**13), max_value=10**13, places=4, allow_nan=False)
_NUMBER_TEXT = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**16), max_value=10**16).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,20})?", fullmatch=True),
    st.text(alphabet="0123456789.eE+-, ()", min_size=1, max_size=20),
)


@pytest.fixture(scope="module")
def held() -> Iterator[Account]:
    """An account for many examples: what is slow is to make the tables."""
    made = Account()
    yield made
    made.con.close()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amounts=st.lists(_MONEY, min_size=1, max_size=15))
def test_money_arrives_to_the_last_place(tmp_path: Path, held: Account, amounts: list[Decimal]) -> None:
    held.clear()
    held.invoice(lines=[{"amount": value, "metadata": json.dumps({"n": f"{value:f}"})} for value in amounts])
    rules = {"amount": {"from": "amount"}, "custcol_n": {"from": "metadata.n", "type": "amount"}}
    mapped = mapping(tmp_path, invoice_rules(lines=rules))
    held.fill(mapped)
    lines = sorted(held.expected("invoice_lines"), key=lambda line: line["line_no"])
    assert [line["amount"] for line in lines] == amounts
    assert [line["custcol_n"] for line in lines] == amounts
    bodies = mapped.body("invoice", held.expected("invoices")[0], lines)["item"]["items"]
    assert [body["amount"] for body in bodies] == amounts


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(_NUMBER_TEXT, min_size=1, max_size=15), quoted=st.booleans())
def test_a_number_in_text_is_taken_exactly_or_refused(
    tmp_path: Path, held: Account, texts: list[str], quoted: bool
) -> None:
    held.clear()
    given_texts: dict[str, str] = {}
    for text in texts:
        with suppress(ValueError):
            if not quoted and not isinstance(json.loads(text), int | float):
                continue
            metadata = json.dumps({"n": text}) if quoted else f'{{"n": {text}}}'
            given_texts[str(len(given_texts))] = text
            held.invoice(str(len(given_texts) - 1), metadata=metadata)
    held.fill(mapping(tmp_path, invoice_rules({"custbody_n": {"from": "metadata.n", "type": "amount"}})))
    for row in held.expected("invoices"):
        if row["problem"] is None:
            assert row["custbody_n"] == Decimal(given_texts[row["source_id"]])
        else:
            assert row["problem_code"] == "invalid_value"
            assert row["custbody_n"] is None
