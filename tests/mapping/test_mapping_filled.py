"""Expected tables are filled whole, each row of billing accounted for, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mapping_tools import CUSTOMER, PERIOD, invoice_rules, mapping
from month import Books, line
from test_mapping_records import ACCRUAL, JOURNAL, PAYMENT

from netsuite_assets.extract.billing import extract_billing
from netsuite_assets.extract.reference import PERIODS, REFERENCE
from netsuite_assets.mapping.compiler import Mapping
from netsuite_assets.mapping.expected import fill_expected
from resources.billing.canonical import TABLES
from resources.warehouse import IncompleteSlice, TenantWarehouse, Warehouse

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[TenantWarehouse]:
    with Warehouse(tmp_path / "warehouse").open("acme") as opened:
        yield opened


def _land(held: TenantWarehouse, books: Books, *, periods: bool = True) -> None:
    extract_billing(held, books, list(TABLES), PERIOD, NOW)
    held.ensure_table("netsuite.reference", REFERENCE)
    held.sql(
        "INSERT INTO netsuite.reference (list, internal_id, name, number, is_inactive) VALUES ('item', '1', 'usage', 'usage', false),"
        " ('currency', '1', 'USD', 'USD', false), ('account', '119', 'Unbilled', '1150', false),"
        " ('account', '411', 'Usage', '4000', false)"
    )
    held.record_slice(
        "netsuite.reference", None, key=("list", "internal_id"), expected_rows=4, source="NetSuite", now=NOW
    )
    if periods:
        held.ensure_table("netsuite.periods", PERIODS.landed)
        held.sql(
            "INSERT INTO netsuite.periods (internal_id, start_date, end_date) VALUES ('10', '2026-10-01', '2026-10-31')"
        )
        held.record_slice(
            "netsuite.periods", None, key=("internal_id",), expected_rows=1, source="NetSuite", now=NOW
        )


def _books() -> Books:
    books = Books()
    books.customer("c1")
    books.customer("c2", is_active=False)
    books.invoice("1", line("10.00"), line("0.00"), line("5.00"), status="open")
    books.invoice("2", line("7.00", "Bundle"), status="open", total=Decimal("8.00"))
    books.invoice("3", line("99.00"), status="draft")
    books.rows["payments"].append(
        {
            "id": "p1",
            "paid_on": date(2026, 10, 5),
            "currency": "USD",
            "amount": Decimal(15),
            "customer_id": "c1",
        }
    )
    books.rows["payment_applications"] += [
        {"payment_id": "p1", "invoice_id": name, "amount": Decimal(5)} for name in ("1", "2")
    ]
    return books


def _mapping(tmp_path: Path, **more: Any) -> Mapping:
    records = invoice_rules(
        {"postingPeriod": {"from": "issued_on", "lookup": "accountingPeriod", "by": "date"}},
        {"amount": {"from": "amount"}},
        when={"status": {"not": "draft"}},
        lines_when={"amount": {"not": 0}},
        line_rules={
            "lines": {"when": {"description": {"not": "Bundle"}}},
            "bundle": {
                "when": {"description": "Bundle"},
                "split": {"parts": {"a": {"share": 0.25}, "b": {"share": "rest"}}},
            },
            "rest": {
                "each": "rest",
                "fields": {"item": {"value": "usage", "lookup": "item"}, "amount": {"from": "rest"}},
            },
        },
    )
    accrual = {**ACCRUAL, "line_rules": {**ACCRUAL["line_rules"], "revenue": {
        **ACCRUAL["line_rules"]["revenue"],
        "fields": {**ACCRUAL["line_rules"]["revenue"]["fields"], "account": {"value": "4000", "lookup": "account"}}}}}  # fmt: skip
    records |= {
        "customer": {**CUSTOMER, "when": {"is_active": {"not": False}}},
        "customerPayment": PAYMENT,
        "journalEntry": accrual,
    }
    return mapping(tmp_path, {**records, **more})


def test_every_row_of_billing_is_accounted_for(tmp_path: Path, held: TenantWarehouse) -> None:
    books = _books()
    _land(held, books)
    mapped = _mapping(tmp_path)
    for _ in range(2):
        filled = fill_expected(held, mapped, PERIOD, NOW)
    assert {name: (part.rows, part.period) for name, part in filled.items()} == {
        "customers": (1, "all"), "invoices": (2, PERIOD), "invoice_lines": (5, PERIOD), "payments": (1, PERIOD),
        "applications": (2, PERIOD), "journals": (1, PERIOD), "journal_lines": (2, PERIOD),
    }  # fmt: skip
    assert held.sql("SELECT record, source_id, line FROM expected.left_out ORDER BY ALL") == [
        ("customer", "c2", None), ("invoice", "1", "1-2"), ("invoice", "3", None), ("journalEntry", "3", "3-1"),
    ]  # fmt: skip
    assert held.sql("SELECT external_id, problem FROM expected.invoices ORDER BY 1") == [
        ("inv-1", None),
        ("inv-2", None),
    ]
    lines = held.sql(
        "SELECT external_id, line_no, line_rule, amount FROM expected.invoice_lines ORDER BY 1, 2"
    )
    assert lines == [
        ("inv-1", 1, "lines", Decimal(10)), ("inv-1", 2, "lines", Decimal(5)),
        ("inv-2", 1, "bundle/a", Decimal("1.75")), ("inv-2", 2, "bundle/b", Decimal("5.25")), ("inv-2", 3, "rest", Decimal(1)),
    ]  # fmt: skip
    assert held.sql("SELECT external_id, total, problem, subsidiary FROM expected.journals") == [
        ("accrual-us-USD-2026-10", Decimal(22), None, "1")
    ]
    assert held.sql("SELECT external_id, total, problem FROM expected.payments") == [
        ("pay-p1", Decimal(15), None)
    ]
    assert held.sql("SELECT doc, line_no FROM expected.applications ORDER BY 2") == [
        ("inv-1", 1),
        ("inv-2", 2),
    ]


def test_a_month_more_leaves_the_others_as_they_are(tmp_path: Path, held: TenantWarehouse) -> None:
    books = _books()
    _land(held, books)
    mapped = _mapping(tmp_path)
    fill_expected(held, mapped, PERIOD, NOW)
    before = held.sql("SELECT * FROM expected.left_out ORDER BY ALL")
    extract_billing(held, books, [name for name in TABLES if name != "customers"], "2026-11", NOW)
    filled = fill_expected(held, mapped, "2026-11", NOW)
    assert {part.rows for name, part in filled.items() if name != "customers"} == {0}
    assert held.sql("SELECT * FROM expected.left_out ORDER BY ALL") == before


def test_what_is_expected_again_is_left_out_no_more(tmp_path: Path, held: TenantWarehouse) -> None:
    _land(held, _books())
    fill_expected(held, _mapping(tmp_path), PERIOD, NOW)
    fill_expected(held, mapping(tmp_path, invoice_rules()), PERIOD, NOW)
    assert held.sql("SELECT DISTINCT record FROM expected.left_out") == [("journalEntry",)]
    assert held.sql("SELECT count(*) FROM expected.invoices") == [(3,)]


def test_periods_must_have_landed_where_they_are_looked_up(tmp_path: Path, held: TenantWarehouse) -> None:
    _land(held, _books(), periods=False)
    with pytest.raises(IncompleteSlice, match=r"netsuite\.periods \(all\)"):
        fill_expected(held, _mapping(tmp_path), PERIOD, NOW)


@pytest.mark.parametrize("table", ["payments", "payment_applications", "journals", "journal_lines"])
def test_what_is_mapped_must_have_landed(tmp_path: Path, held: TenantWarehouse, table: str) -> None:
    _land(held, _books())
    held.sql("DELETE FROM meta.slices WHERE table_name = ?", [f"billing.{table}"])
    with pytest.raises(IncompleteSlice, match=f"billing.{table} "):
        fill_expected(held, _mapping(tmp_path, journalEntry=JOURNAL), PERIOD, NOW)


def test_an_invoice_alone_needs_no_payments(tmp_path: Path, held: TenantWarehouse) -> None:
    """A tenant that maps customers and invoices needs what it needed before there was anything else."""
    _land(held, _books(), periods=False)
    held.sql(
        "DELETE FROM meta.slices WHERE table_name LIKE 'billing.%' AND table_name NOT IN ('billing.customers', 'billing.invoices', 'billing.invoice_lines')"
    )
    filled = fill_expected(held, mapping(tmp_path, invoice_rules()), PERIOD, NOW)
    assert {name: part.rows for name, part in filled.items()} == {
        "customers": 2,
        "invoices": 3,
        "invoice_lines": 5,
    }
    assert held.columns("expected.left_out") == {}


def test_a_statement_that_loses_a_row_is_noticed(
    tmp_path: Path, held: TenantWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    _land(held, _books())
    mapped = _mapping(tmp_path)
    original = Mapping.fill_sql

    def lossy(self: Mapping, record: str, period: str) -> list[str]:
        more = (
            ["DELETE FROM expected.invoice_lines WHERE line_rule = 'bundle/b'"] if record == "invoice" else []
        )
        return [*original(self, record, period), *more]

    monkeypatch.setattr(Mapping, "fill_sql", lossy)
    with pytest.raises(
        IncompleteSlice,
        match=r"expected\.invoice_lines of 2026-10 is not complete: billing\.invoice_lines counts 5 rows",
    ):
        fill_expected(held, mapped, PERIOD, NOW)
    assert json.dumps(held.sql("SELECT count(*) FROM expected.invoices")) == "[[0]]"
