"""What NetSuite tells beside the documents is in the published file; and every query of the analysts' page runs on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from month import Month

from netsuite_assets.extract.payments import APPLICATIONS, PAYMENTS
from netsuite_assets.extract.revenue import PARTS
from netsuite_assets.extract.sight import GONE
from netsuite_assets.extract.trails import DELETED_RECORDS, SYSTEM_NOTES
from netsuite_assets.extract.visibility import NOT_VISIBLE
from netsuite_assets.publish.mart import Published
from netsuite_assets.tables import ACTUAL_TAXES

PAGE = Path(__file__).parents[2] / "docs" / "analysts.md"
Publish = Callable[[Month], Published]
Ask = Callable[[str], list[tuple[object, ...]]]
LANDED: Mapping[str, Mapping[str, str]] = {
    "netsuite.system_notes": SYSTEM_NOTES,
    "netsuite.deleted_records": DELETED_RECORDS,
    "netsuite.gone": GONE,
    "meta.not_visible": NOT_VISIBLE,
    "netsuite.payments": PAYMENTS,
    "netsuite.applications": APPLICATIONS,
    "netsuite.invoice_taxes": ACTUAL_TAXES,
    **{f"netsuite.{part.table}": part.landed for part in PARTS},
}


def land(month: Month, table: str, *rows: Mapping[str, Any]) -> None:
    """Rows as the extraction leaves them; what is not given is empty."""
    month.held.ensure_table(table, LANDED[table])
    for row in rows:
        month.held.connection.execute(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
        )


def test_changes_of_a_document_are_told_and_not_how_it_was_made(
    october: Month, published: Publish, ask: Ask
) -> None:
    made, later = "2026-10-02 08:00:00", "2026-10-05 09:30:00"  # local time of the account
    note = {
        "period": "2026-10",
        "record": "invoice",
        "internal_id": "7",
        "number": "INV7",
        "time_zone": "America/New_York",
    }
    land(
        october,
        "netsuite.system_notes",
        note | {"note_no": 1, "changed_at": made, "field": "MEMO", "new_value": "Usage"},
        note | {"note_no": 2, "changed_at": made, "field": "STATUS", "old_value": "A", "new_value": "B"},
        note | {"note_no": 3, "changed_at": later, "field": "OTHERREFNUM", "new_value": "PO 9", "changed_by": "Ada"},
        note | {"note_no": 1, "changed_at": later, "field": "MEMO", "new_value": "made then", "internal_id": "8"},
    )  # fmt: skip
    published(october)
    assert ask(
        "SELECT tenant, period, internal_id, note_no, changed_by FROM system_notes ORDER BY note_no"
    ) == [
        ("acme", "2026-10", "7", 2, None),
        ("acme", "2026-10", "7", 3, "Ada"),
    ]


def test_what_netsuite_does_not_show_is_told_with_the_reason(
    october: Month, published: Publish, ask: Ask
) -> None:
    land(
        october,
        "netsuite.deleted_records",
        {"record_type": "Invoice", "internal_id": "9", "deleted_by": "Bob"},
    )
    land(
        october,
        "netsuite.gone",
        {"period": "2026-10", "record": "invoice", "internal_id": "9", "explanation": "deleted"},
        {"record": "customer", "internal_id": "5", "explanation": "accepted"},
    )
    land(october, "meta.not_visible", {"table_name": "netsuite.revenue_plans", "why": "no such feature"})
    published(october)
    assert ask("SELECT tenant, period, internal_id, deleted_by FROM deleted_records") == [
        ("acme", "all", "9", "Bob")
    ]
    assert ask("SELECT period, record, explanation FROM gone ORDER BY record") == [
        ("all", "customer", "accepted"),
        ("2026-10", "invoice", "deleted"),
    ]
    assert ask("SELECT tenant, period, table_name, why FROM not_visible") == [
        ("acme", "all", "netsuite.revenue_plans", "no such feature")
    ]


def test_payments_and_revenue_join_with_what_they_are_of(
    october: Month, published: Publish, ask: Ask
) -> None:
    here = {"period": "2026-10"}
    paid = {
        "internal_id": "70",
        "number": "PYMT1",
        "currency": "USD",
        "total": Decimal("10.5"),
        "remaining": Decimal(2),
    }
    land(october, "netsuite.payments", here | paid)
    applied = {
        "applying_id": "70",
        "invoice_number": "INV7",
        "amount": Decimal("8.5"),
        "applied_on": date(2026, 10, 9),
    }
    land(october, "netsuite.applications", here | applied)
    land(october, "netsuite.revenue_elements", here | {"internal_id": "1", "currency": "USD"})
    land(october, "netsuite.revenue_plans", here | {"internal_id": "2", "element_id": "1", "currency": "USD"})
    planned = {"plan_id": "2", "planned_period": "Nov 2026", "is_recognized": False}
    land(october, "netsuite.revenue_planned", here | planned | {"internal_id": "3", "amount": Decimal("4.2")})
    published(october)
    [*_, of_payments, of_revenue] = [
        query for query in queries("sql") if re.search("payments|revenue", query)
    ]
    assert ask(of_payments) == [
        (None, "PYMT1", "USD", Decimal("10.5"), Decimal(2), "INV7", Decimal("8.5"), date(2026, 10, 9))
    ]
    assert ask(of_revenue) == [("USD", "Nov 2026", Decimal("4.2"), None)]


def test_what_netsuite_taxed_is_told_of_the_document_by_its_number(
    october: Month, published: Publish, ask: Ask
) -> None:
    [(internal_id, external_id, number, currency)] = october.held.sql(
        "SELECT internal_id, external_id, number, currency FROM netsuite.invoices ORDER BY internal_id LIMIT 1"
    )
    taxed = {"internal_id": internal_id, "line_no": 3, "tax_name": "NY_TAX", "percent": Decimal("8.875")}
    land(october, "netsuite.invoice_taxes", {"period": "2026-10", "amount": Decimal("2.13")} | taxed)
    assert published(october).rows["credit_memo_taxes"] == 0
    assert ask("SELECT external_id, number, tax_name, percent, currency, amount FROM invoice_taxes") == [
        (external_id, number, "NY_TAX", Decimal("8.875"), currency, Decimal("2.13"))
    ]


def test_what_was_never_read_is_empty_and_what_is_gone_is_taken_out(
    october: Month, published: Publish, ask: Ask
) -> None:
    done = published(october)
    assert {done.rows[name] for name in ("system_notes", "gone", "payments", "revenue_planned")} == {0}
    land(october, "netsuite.payments", {"period": "2026-10", "internal_id": "1"})
    assert published(october).rows["payments"] == 1
    october.held.connection.execute("DELETE FROM netsuite.payments")
    assert published(october).rows["payments"] == 0
    assert ask("SELECT * FROM payments") == []


def queries(language: str) -> list[str]:
    """The page's queries: those in blocks of SQL, or those that `recon query` is given."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    if language == "sql":
        return [block.strip() for block in blocks]
    return [query for block in blocks for query in re.findall(r'recon query "(.*?)"\n', block)]


@pytest.fixture
def answered(october: Month, published: Publish, ask: Ask) -> Ask:
    published(october)
    return ask


def test_every_query_of_the_analysts_page_runs(answered: Ask) -> None:
    every = [*queries("sql"), *queries("sh")]
    assert len(every) >= 11
    for query in every:
        answered(query)


def test_the_page_lists_every_table_and_no_other(answered: Ask) -> None:
    table = PAGE.read_text(encoding="utf-8").split("| Table | One row is |", 1)[1].split("\n\n", 1)[0]
    listed = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    assert sorted(listed) == [
        name for (name,) in answered("SELECT table_name FROM duckdb_tables() ORDER BY 1")
    ]
    for name in listed:
        assert answered(f"DESCRIBE {name}")[0][0] == "tenant"
        assert "period" in [row[0] for row in answered(f"DESCRIBE {name}")]
