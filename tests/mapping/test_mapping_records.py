"""Payments with their applications, journal entries, and custom records, by the same rules as invoices."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_tools import CUSTOMER, PERIOD, SETTINGS, Account, invoice_rules, mapping, mistakes, tenant

from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.tables import COMPARED, WRITTEN, record_tables

PAYMENT: dict[str, Any] = {
    "external_id": "pay-{id}",
    "fields": {
        "customer": {"from": "customer_id", "lookup": "customer"},
        "currency": {"from": "currency", "lookup": "currency"},
        "tranDate": {"from": "paid_on"},
        "payment": {"from": "amount"},
        "checkNumber": {"from": "reference"},
    },
    "lines": {
        "doc": {"from": "invoice_id", "lookup": "invoice"},
        "apply": {"value": True},
        "amount": {"from": "amount"},
    },
}


def _payments(**more: Any) -> dict[str, Any]:
    return {**invoice_rules(), "customerPayment": {**PAYMENT, **more}}


# Payments


def test_a_payment_names_its_customer_and_the_invoices_that_it_settles(
    tmp_path: Path, account: Account
) -> None:
    account.listed("currency", "1", name="USD", is_inactive=False)
    account.invoice("501")
    account.invoice("502")
    account.payment("p1", "30.00", {"502": "20.00", "501": "10.00"}, reference="ACH 7")
    account.payment("p2", "5.00")
    mapped = mapping(tmp_path, _payments())
    account.fill(mapped)
    first, second = account.expected("payments")
    assert [row["problem"] for row in (first, second)] == [None, None]
    assert (first["external_id"], first["source_id"], first["number"], first["name"], first["total"]) == (
        "pay-p1", "p1", "ACH 7", "Customer 1001", Decimal(30),
    )  # fmt: skip
    assert second["number"] == "p2"
    lines = account.expected("applications")
    assert [(line["external_id"], line["source_id"], line["line_no"], line["doc"]) for line in lines] == [
        ("pay-p1", "p1/501", 1, "inv-501"),
        ("pay-p1", "p1/502", 2, "inv-502"),
    ]
    assert json.loads(lines[0]["via"]) == {"doc": "invoice"}
    assert mapped.body("customerPayment", first, lines) == {
        "customer": {"externalId": "cus-1001"}, "currency": {"id": "1"}, "tranDate": "2026-10-20",
        "payment": Decimal(30), "checkNumber": "ACH 7",
        "apply": {"items": [
            {"doc": {"externalId": "inv-501"}, "apply": True, "amount": Decimal(10)},
            {"doc": {"externalId": "inv-502"}, "apply": True, "amount": Decimal(20)},
        ]},
    }  # fmt: skip


def test_an_invoice_of_another_month_is_known_by_its_id(tmp_path: Path, account: Account) -> None:
    """Where the invoice never landed, its external id still follows from billing's id."""
    account.listed("currency", "1", name="USD", is_inactive=False)
    account.invoice("400", period="2026-09", issued_on=date(2026, 9, 3))
    account.payment("p1", "3.00", {"400": "1.00", "300": "2.00"})
    account.fill(mapping(tmp_path, _payments()))
    assert [line["doc"] for line in account.expected("applications")] == ["inv-300", "inv-400"]
    assert account.expected("payments")[0]["problem"] is None


def test_an_external_id_of_more_than_the_id_needs_the_invoice(tmp_path: Path, account: Account) -> None:
    account.listed("currency", "1", name="USD", is_inactive=False)
    account.invoice("400", number="N-4", period="2026-09", issued_on=date(2026, 9, 3))
    account.payment("p1", "3.00", {"400": "1.00", "300": "2.00"})
    records = _payments()
    records["invoice"] = {**records["invoice"], "external_id": "{number}-{id}"}
    account.fill(mapping(tmp_path, records))
    missing, found = account.expected("applications")
    assert (found["problem"], found["doc"]) == (None, "N-4-400")
    assert missing["problem"] == "Payment p1, line 1: doc: billing has no invoice '300'."
    assert (
        missing["next_step"] == "Add the invoice '300' in billing, or correct the document's invoice there."
    )


def test_a_payment_of_an_invoice_that_is_not_expected_is_a_problem(tmp_path: Path, account: Account) -> None:
    account.listed("currency", "1", name="USD", is_inactive=False)
    account.invoice("1", status="draft")
    account.invoice("2", status="open")
    account.payment("p1", "1.00", {"1": "1.00"})
    account.payment("p2", "1.00", {"2": "1.00"})
    account.payment("p3", "1.00", {"3": "1.00"}, customer_id=None)
    records = _payments()
    records["invoice"] = {**records["invoice"], "when": {"status": {"not": "draft"}}}
    account.fill(mapping(tmp_path, records))
    draft, good, nobody = account.expected("payments")
    assert draft["problem"] == "Payment p1, line 1: doc: the invoice '1' is not expected in NetSuite."
    assert good["problem"] is None
    assert (nobody["problem_code"], nobody["customer"]) == ("no_customer", None)


def test_payments_differ_by_the_entity_of_their_customer(tmp_path: Path, account: Account) -> None:
    account.listed("currency", "1", name="USD", is_inactive=False)
    account.con.execute("UPDATE billing.customers SET legal_entity = 'eu'")
    account.payment("p1", "1.00")
    more = {"by_subsidiary": {"eu": {"fields": {"memo": {"value": "SEPA"}}}}, "lines": {}}
    mapped = mapping(tmp_path, _payments(**more))
    account.fill(mapped)
    assert account.expected("payments")[0]["memo"] == "SEPA"
    assert account.expected("applications") == []


# Journal entries

JOURNAL: dict[str, Any] = {
    "external_id": "je-{id}",
    "fields": {
        "subsidiary": {"from": "legal_entity", "map": {"us": "1", "eu": "3"}},
        "currency": {"from": "currency", "lookup": "currency"},
        "tranDate": {"from": "dated_on"},
        "reversalDate": {"from": "reverses_on"},
        "memo": {"from": "memo"},
    },
    "lines": {
        "account": {"from": "account", "lookup": "account"},
        "debit": {"from": "debit"},
        "credit": {"from": "credit"},
        "entity": {"from": "customer_id", "lookup": "customer"},
        "memo": {"from": "description"},
    },
}


def _ledger(account: Account) -> None:
    account.listed("currency", "1", name="USD", is_inactive=False)
    account.listed("currency", "4", name="EUR", is_inactive=False)
    account.listed("currency", "5", name="JPY", is_inactive=False)
    for internal_id, number, name in (
        ("119", "1150", "Unbilled"),
        ("411", "4000", "Usage revenue"),
        ("412", "4100", "Storage revenue"),
    ):
        account.listed("account", internal_id, number=number, name=name, is_inactive=False)


def _journal(account: Account, id: str, *lines: dict[str, Any], **more: Any) -> None:
    row = {
        "id": id,
        "number": f"J-{id}",
        "dated_on": date(2026, 10, 31),
        "currency": "USD",
        "legal_entity": "us",
        "period": PERIOD,
        **more,
    }
    account.insert("billing.journals", row)
    for number, line in enumerate(lines, start=1):
        account.insert(
            "billing.journal_lines",
            {"id": f"{id}-{number}", "journal_id": id, "line_no": number, "period": PERIOD, **line},
        )


def test_a_journal_that_billing_proposes_is_taken_as_it_is(tmp_path: Path, account: Account) -> None:
    _ledger(account)
    _journal(
        account, "1",
        {"account": "1150", "debit": Decimal("12.50"), "customer_id": "1001"},
        {"account": "4000", "credit": Decimal("12.50"), "description": "Usage"},
        reverses_on=date(2026, 11, 1), memo="Accrual",
    )  # fmt: skip
    mapped = mapping(tmp_path, {"customer": CUSTOMER, "journalEntry": JOURNAL})
    row = account.one(mapped, "journals")
    assert (row["problem"], row["number"], row["total"], row["currency"], row["source_id"]) == (
        None,
        "J-1",
        Decimal("12.5"),
        "USD",
        "1",
    )
    assert mapped.body("journalEntry", row, account.expected("journal_lines")) == {
        "subsidiary": {"id": "1"}, "currency": {"id": "1"}, "tranDate": "2026-10-31", "reversalDate": "2026-11-01",
        "memo": "Accrual",
        "line": {"items": [
            {"account": {"id": "119"}, "debit": Decimal("12.5"), "entity": {"externalId": "cus-1001"}},
            {"account": {"id": "411"}, "credit": Decimal("12.5"), "memo": "Usage"},
        ]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([{"debit": 5}, {"credit": 4}], "Journal entry J-1: it debits 5 and credits 4; NetSuite takes it only when they are the same."),
        ([{"debit": 5}, {"credit": 5, "debit": 5}], "Journal entry J-1, line 2: it must have one of debit and credit, above zero."),
        ([{"debit": -5}, {"credit": -5}], "Journal entry J-1, line 1: it must have one of debit and credit, above zero."),
        ([{"debit": 5}, {"credit": 5}, {}], "Journal entry J-1, line 3: it must have one of debit and credit, above zero."),
        ([], "Journal entry J-1: it has no lines, so that there is nothing to book."),
    ],
)  # fmt: skip
def test_a_journal_that_netsuite_would_refuse_is_a_problem(
    tmp_path: Path, account: Account, lines: list[dict[str, Any]], problem: str
) -> None:
    _ledger(account)
    _journal(account, "1", *({"account": "4000", **line} for line in lines))
    _journal(account, "2", {"account": "4000", "debit": 1}, {"account": "1150", "credit": 1})
    account.fill(mapping(tmp_path, {"customer": CUSTOMER, "journalEntry": JOURNAL}))
    bad, good = account.expected("journals")
    assert good["problem"] is None
    assert bad["problem_code"] == "invalid_value"
    assert bad["problem"].startswith(problem)
    assert bad["next_step"]


ACCRUAL: dict[str, Any] = {
    "from": "invoice_lines",
    "group": {"by": ["invoice.legal_entity", "invoice.currency"], "sum": ["amount"]},
    "when": {"invoice.status": "open"},
    "external_id": "accrual-{invoice.legal_entity}-{invoice.currency}-{period}",
    "fields": {
        "subsidiary": {"from": "invoice.legal_entity", "map": {"us": "1", "eu": "3"}},
        "currency": {"from": "invoice.currency", "lookup": "currency"},
        "tranDate": {"from": "period_end"},
        "reversalDate": {"from": "period_end", "shift": {"days": 1}},
        "memo": {"template": "Usage accrual {period}, {amount}"},
    },
    "line_rules": {
        "receivable": {
            "group": {"by": ["product_id"], "sum": ["amount"], "when": {"amount": {"not": 0}}},
            "fields": {
                "account": {"value": "1150", "lookup": "account"},
                "debit": {"from": "amount", "sign": "positive_part", "round": "currency"},
                "credit": {"from": "amount", "sign": "negative_part", "round": "currency"},
            },
        },
        "revenue": {
            "group": {"by": ["product_id"], "sum": ["amount"], "when": {"amount": {"not": 0}}},
            "fields": {
                "account": {
                    "from": "product_id",
                    "map": {"API calls": "4000", "Storage": "4100"},
                    "lookup": "account",
                },
                "credit": {"from": "amount", "sign": "positive_part", "round": "currency"},
                "debit": {"from": "amount", "sign": "negative_part", "round": "currency"},
            },
        },
    },
}


def _usage(
    account: Account, id: str, entity: str | None, currency: str, *amounts: tuple[str, str], **more: Any
) -> None:
    account.invoice(
        id, legal_entity=entity, currency=currency, **{"status": "open", **more},
        lines=[{"product_id": product, "amount": Decimal(amount)} for product, amount in amounts],
    )  # fmt: skip


def test_usage_is_accrued_by_account_subsidiary_and_currency(tmp_path: Path, account: Account) -> None:
    _ledger(account)
    _usage(account, "1", "us", "USD", ("API calls", "10.00"), ("Storage", "5.00"))
    _usage(account, "2", "us", "USD", ("API calls", "2.50"), ("Storage", "-7.00"))
    _usage(account, "3", "eu", "EUR", ("API calls", "1.00"))
    _usage(account, "4", "us", "EUR", ("API calls", "3.00"), ("API calls", "-3.00"))
    _usage(account, "5", "us", "USD", ("API calls", "99.00"), status="paid")
    _usage(account, "6", "us", "USD", ("API calls", "88.00"), period="2026-09", issued_on=date(2026, 9, 9))
    mapped = mapping(tmp_path, {"customer": CUSTOMER, "journalEntry": ACCRUAL})
    account.fill(mapped)
    rows = {row["external_id"]: row for row in account.expected("journals")}
    assert {
        key: (row["subsidiary"], row["currency"], row["total"], row["memo"]) for key, row in rows.items()
    } == {
        "accrual-us-USD-2026-10": ("1", "USD", Decimal("14.5"), "Usage accrual 2026-10, 10.5"),
        "accrual-eu-EUR-2026-10": ("3", "EUR", Decimal(1), "Usage accrual 2026-10, 1"),
    }
    assert [row["problem"] for row in rows.values()] == [None, None]
    left_out = account.con.execute(
        "SELECT source_id, line, amount, reason FROM expected.left_out ORDER BY ALL"
    ).fetchall()
    assert left_out[0][:3] == ("5", "5-1", Decimal(99))
    assert left_out[0][3].startswith("expected only when invoice.status is open (tenants/acme.yaml:")
    assert left_out[1][:3] == ('["us","EUR"]', None, None)
    assert left_out[1][3].startswith("no line is left to be booked (tenants/acme.yaml:")
    us = rows["accrual-us-USD-2026-10"]
    assert (us["tranDate"], us["reversalDate"], us["source_id"]) == (
        date(2026, 10, 31),
        date(2026, 11, 1),
        '["us","USD"]',
    )
    lines = [
        line for line in account.expected("journal_lines") if line["external_id"] == "accrual-us-USD-2026-10"
    ]
    assert {(line["account"], line["debit"], line["credit"]) for line in lines} == {
        ("119", Decimal("12.5"), None), ("411", None, Decimal("12.5")), ("119", None, Decimal(2)), ("412", Decimal(2), None),
    }  # fmt: skip
    assert sorted(line["line_no"] for line in lines) == [1, 2, 3, 4]
    assert mapped.records["journalEntry"].source_id("accrual-us-USD-2026-10") is None
    account.fill(mapped, "2026-09")
    assert [row["external_id"] for row in account.expected("journals", "2026-09")] == [
        "accrual-us-USD-2026-09"
    ]
    assert len(account.expected("journals")) == 2


def test_a_group_without_a_name_is_a_problem_of_that_journal_alone(tmp_path: Path, account: Account) -> None:
    _ledger(account)
    _usage(account, "1", None, "USD", ("API calls", "10.00"))
    _usage(account, "2", "us", "USD", ("API calls", "1.00"))
    account.fill(mapping(tmp_path, {"customer": CUSTOMER, "journalEntry": ACCRUAL}))
    nameless, good = sorted(account.expected("journals"), key=lambda row: row["external_id"] or "")
    assert (nameless["external_id"], nameless["source_id"], nameless["problem_code"]) == (
        None,
        '[null,"USD"]',
        "invalid_value",
    )
    assert good["problem"] is None


_SETTINGS = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def held() -> Iterator[Account]:
    made = Account()
    _ledger(made)
    yield made
    made.con.close()


@_SETTINGS
@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(["us", "eu"]),
            st.sampled_from(["USD", "JPY"]),
            st.sampled_from(["API calls", "Storage"]),
            st.sampled_from(["1001", "1002"]),
            st.decimals(min_value=-1000, max_value=1000, places=4, allow_nan=False),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_an_accrual_balances_whatever_is_rounded(
    tmp_path: Path, held: Account, lines: list[tuple[str, str, str, str, Decimal]]
) -> None:
    """Debits by customer, credits by product: rounded each, what is left by that goes to one more line."""
    held.clear()
    for number, (entity, currency, product, customer, amount) in enumerate(lines):
        _usage(held, str(number), entity, currency, (product, f"{amount:f}"), customer_id=customer)
    line_rules = {
        "receivable": {
            "group": {"by": ["invoice.customer_id"], "sum": ["amount"]},
            "fields": {
                "account": {"value": "1150", "lookup": "account"},
                "memo": {"from": "invoice.customer_id"},
                "debit": {"from": "amount", "sign": "positive_part", "round": "currency"},
                "credit": {"from": "amount", "sign": "negative_part", "round": "currency"},
            },
        },
        "revenue": ACCRUAL["line_rules"]["revenue"],
        "rounding": {
            "each": "rest",
            "fields": {
                "account": {"value": "4000", "lookup": "account"},
                "debit": {"from": "rest", "sign": "negative_part"},
                "credit": {"from": "rest", "sign": "positive_part"},
            },
        },
    }
    held.fill(
        mapping(tmp_path, {"customer": CUSTOMER, "journalEntry": {**ACCRUAL, "line_rules": line_rules}})
    )
    expected: dict[tuple[str, str], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for entity, currency, product, customer, amount in lines:
        expected[entity, currency][f"c{customer}"] += amount
        expected[entity, currency][f"p{product}"] += amount
    balances: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    found: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for line in held.expected("journal_lines"):
        signed = (line["debit"] or Decimal(0)) - (line["credit"] or Decimal(0))
        balances[line["external_id"]][0] += line["debit"] or Decimal(0)
        balances[line["external_id"]][1] += line["credit"] or Decimal(0)
        if line["line_rule"] == "receivable":
            found[line["external_id"]][f"c{line['memo']}"] = signed
        elif line["line_rule"] == "revenue":
            found[line["external_id"]][{"411": "pAPI calls", "412": "pStorage"}[line["account"]]] = -signed
    for (entity, currency), sums in expected.items():
        key = f"accrual-{entity}-{currency}-{PERIOD}"
        places = Decimal(1) if currency == "JPY" else Decimal("0.01")
        for name, total in sums.items():
            rounded = total.quantize(places, ROUND_HALF_UP)
            assert found[key].get(name, Decimal(0)) == rounded
    for debit, credit in balances.values():
        assert debit == credit
    # A sum that rounds to nothing leaves a line without an amount: that journal is a problem, and no other.
    for row in held.expected("journals"):
        sums = expected[row["external_id"].split("-")[1], row["currency"]]
        places = Decimal(1) if row["currency"] == "JPY" else Decimal("0.01")
        nothing = [
            name
            for name, total in sums.items()
            if total.quantize(places, ROUND_HALF_UP) == 0 and (total != 0 or name[0] == "c")
        ]
        assert (row["problem"] is None) == (not nothing)


# Custom records


def test_a_custom_record_is_made_of_billing_lines(tmp_path: Path, account: Account) -> None:
    account.listed("customrecord_meter", "3", name="api", is_inactive=False)
    account.invoice(
        "500",
        lines=[
            {"metadata": '{"meter": "api"}', "quantity": Decimal("2.5"), "amount": Decimal(9)},
            {"metadata": '{"meter": "x"}'},
        ],
    )
    rules = {
        "from": "invoice_lines",
        "external_id": "ul-{id}",
        "when": {"invoice.status": {"not": "draft"}},
        "fields": {
            "name": {"template": "{invoice.number}/{line_no}"},
            "custrecord_meter": {"from": "metadata.meter", "lookup": "customrecord_meter"},
            "custrecord_quantity": {"from": "quantity", "type": "quantity"},
            "custrecord_customer": {"from": "invoice.customer_id", "lookup": "customer"},
            "custrecord_month": {"from": "period"},
        },
    }
    mapped = mapping(tmp_path, {**invoice_rules(), "customrecord_usage": rules})
    account.fill(mapped)
    good, bad = account.expected("customrecord_usage")
    assert (good["external_id"], good["source_id"], good["number"], good["name"]) == (
        "ul-500-1",
        "500-1",
        "INV-500",
        "Customer 1001",
    )
    assert (good["total"], good["currency"], good["problem"]) == (Decimal("10.5"), "USD", None)
    assert (good["custrecord_quantity"], good["custrecord_month"]) == (Decimal("2.5"), PERIOD)
    assert mapped.body("customrecord_usage", {**good, "name_": 1}) == {
        "name": "INV-500/1", "custrecord_meter": {"id": "3"}, "custrecord_quantity": Decimal("2.5"),
        "custrecord_customer": {"externalId": "cus-1001"}, "custrecord_month": PERIOD,
    }  # fmt: skip
    assert bad["problem"].startswith(
        "Customrecord_usage INV-500: custrecord_meter: NetSuite has no active value of customrecord_meter 'x'"
    )


def test_a_custom_record_sums_what_it_groups_and_may_be_looked_up(tmp_path: Path, account: Account) -> None:
    account.customer("1002")
    account.invoice("1", lines=[{"amount": Decimal(2)}, {"amount": Decimal(3)}])
    account.invoice("2", customer_id="1002", lines=[{"amount": Decimal(4)}])
    usage = {
        "from": "invoice_lines",
        "group": {"by": ["invoice.customer_id"], "sum": ["amount"]},
        "external_id": "u-{invoice.customer_id}-{period}",
        "fields": {"custrecord_amount": {"from": "amount", "type": "amount"}},
    }
    contract = {"from": "customers", "external_id": "con-{id}", "fields": {"name": {"from": "name"}}}
    records = invoice_rules({"custbody_contract": {"from": "customer_id", "lookup": "customrecord_contract"}})
    mapped = mapping(tmp_path, {**records, "customrecord_usage": usage, "customrecord_contract": contract})
    account.fill(mapped)
    assert [
        (row["external_id"], row["custrecord_amount"]) for row in account.expected("customrecord_usage")
    ] == [
        ("u-1001-2026-10", Decimal(5)),
        ("u-1002-2026-10", Decimal(4)),
    ]
    (row, _) = account.expected("invoices")
    assert row["custbody_contract"] == "con-1001"
    assert mapped.body("invoice", row)["custbody_contract"] == {"externalId": "con-1001"}
    assert mapped.lists == {"item"}


# The stages after the mapping


def test_other_stages_are_given_only_what_they_support(tmp_path: Path) -> None:
    records = {
        **_payments(),
        "journalEntry": JOURNAL,
        "customrecord_x": {"from": "invoices", "external_id": "x-{id}", "fields": {}},
    }
    mapped = mapping(tmp_path, records)
    assert list(mapped.records) == [
        "customer",
        "invoice",
        "customerPayment",
        "journalEntry",
        "customrecord_x",
    ]
    assert set(mapped.compared) == set(mapped.records) & COMPARED == set(mapped.records) - {"customrecord_x"}
    assert set(mapped.written) == set(mapped.records) & WRITTEN == set(mapped.compared)
    assert record_tables("customrecord_x", "invoices").name == "customrecord_x"


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ({"customerPayment": {**PAYMENT, "lines": {"amount": {"from": "amount"}}}}, "'doc' needs a rule: NetSuite has no customerPayment without it"),
        ({"customerPayment": {**PAYMENT, "from": "invoices"}}, "a payment is made of payments; leave 'from' out"),
        ({"customerPayment": {**PAYMENT, "group": {"by": ["customer_id"]}}}, "a payment is one billing document; 'group' is for journal entries and custom records"),
        ({"journalEntry": {**JOURNAL, "lines": {}}}, "'account' needs a rule: NetSuite has no journalEntry without it"),
        ({"journalEntry": {**JOURNAL, "lines": {"account": {"value": "1"}, "debit": {"from": "debit"}}}}, "'credit' needs a rule in some line: a journal entry balances"),
        ({"journalEntry": {**ACCRUAL, "external_id": "acc-{invoice.currency}"}}, "an external id must differ from month to month: use {period}, and what 'group.by' names"),
        ({"journalEntry": {**ACCRUAL, "external_id": "acc-{id}-{period}"}}, "'id' is not one value here, where several rows are taken together: name it in group.by, or in group.sum, min, max or first"),
        ({"journalEntry": {**ACCRUAL, "lines_when": {"amount": 1}}}, "'when' says which rows are summed; leave 'lines_when' out"),
        ({"journalEntry": {**ACCRUAL, "from": "invoyce_lines"}}, "there is no billing table 'invoyce_lines'; did you mean 'invoice_lines'?"),
        ({"customrecord_x": {"external_id": "x", "fields": {}}}, "say what a customrecord_x is made of: 'from' names the billing table"),
        ({"customrecord_x": {"from": "customers", "group": {"by": ["terms"]}, "external_id": "x-{terms}", "fields": {}}}, "customers belong to no month; they are not summed"),
        ({"customrecord_x": {"from": "invoices", "external_id": "x-{id}", "fields": {"custbody_x": {"from": "memo"}}}}, "customrecord_x has no field 'custbody_x': custbody_… fields belong to the fields of a transaction"),
        ({"customrecord_x": {"from": "invoices", "external_id": "x-{id}", "fields": {"name": {"from": "memo"}}, "lines": {"item": {"value": "1"}}}}, "a customrecord_x has no lines"),
    ],
)  # fmt: skip
def test_a_mistake_of_a_record_type_is_told(tmp_path: Path, records: dict[str, Any], expected: str) -> None:
    assert expected in mistakes(tmp_path, {**invoice_rules(), **records})


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ({"customer": CUSTOMER, "customerPayment": PAYMENT}, "invoices are looked up by their external id: map records.invoice too"),
        (invoice_rules({"custbody_j": {"from": "id", "lookup": "journalEntry"}}) | {"journalEntry": ACCRUAL}, "records.journalEntry has no billing id to be looked up by"),
        (invoice_rules({"createdFrom": {"from": "id", "lookup": "customer"}}), "createdFrom refers to transaction, not to a customer"),
        (invoice_rules({"custbody_j": {"from": "id", "lookup": "invoice", "default": "1"}}), "which invoice is meant is never a matter of a default"),
        (invoice_rules({"custbody_j": {"from": "id", "lookup": "invoice", "by": "name"}}), "an invoice is looked up by its billing id; leave 'by' out"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_lookup_of_our_own_records_is_told(
    tmp_path: Path, records: dict[str, Any], expected: str
) -> None:
    assert mistakes(tmp_path, records) == [expected]


def test_a_table_that_billing_does_not_have_is_a_warning(tmp_path: Path) -> None:
    few = {name: SETTINGS["billing"]["tables"][name] for name in ("customers", "invoices", "invoice_lines")}
    own = {**SETTINGS, "billing": {**SETTINGS["billing"], "tables": few}, "records": _payments()}
    found = compile_mapping(tenant(tmp_path, {}, yaml.safe_dump(own, sort_keys=False))).warnings
    assert "billing.tables has no payments, so that no payment is ever expected" in [
        one.message for one in found
    ]
