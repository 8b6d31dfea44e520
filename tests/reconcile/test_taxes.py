"""What NetSuite taxes otherwise than billing: said as tax to the cent, raised for a person, and never written."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from month import NOW, Found, Month, TenantRules, line

from netsuite_assets import frames
from netsuite_assets.tables import ACTUAL_TAXES
from netsuite_assets.writeback.plan import make_plan
from resources.ledger import Ledger
from resources.warehouse import Warehouse


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def taxed(warehouse: Warehouse, acme: TenantRules) -> Iterator[Month]:
    """Three bills of 100.00 and a credit note of 10.00, of which billing's totals have 19 % beyond their lines."""
    with warehouse.open("acme") as held:
        month = Month(held, acme, "2026-10")
        month.customer("c1")
        for key in ("one", "two", "free"):
            month.invoice(key, line("100.00"), total=Decimal("119.00"))
        month.credit_note("back", line("10.00"), total=Decimal("11.90"))
        month.land()
        for table in ("invoice_taxes", "credit_memo_taxes"):
            held.ensure_table(f"netsuite.{table}", ACTUAL_TAXES)
        yield month


def tax(month: Month, external_id: str, *amounts: str, **more: Any) -> None:
    """NetSuite taxes a document: its total is that of its lines and of these."""
    table = "credit_memo" if external_id.startswith("cm-") else "invoice"
    owner = month.internal_id(external_id)
    for number, amount in enumerate(amounts, start=2):
        month.sql(
            f"INSERT INTO netsuite.{table}_taxes BY NAME SELECT '2026-10' AS period, ? AS internal_id, ? AS line_key,"
            " ? AS line_no, ? AS tax_name, ? AS percent, ? AS amount",
            [owner, f"{owner}/{number}", number, more.get("name"), more.get("percent"), Decimal(amount)],
        )
    month.sql(
        f"UPDATE netsuite.{table}s SET total = (SELECT sum(amount) FROM netsuite.{table}_lines l WHERE l.internal_id = ?) + ?"
        " WHERE internal_id = ?",
        [owner, sum(map(Decimal, amounts), Decimal(0)), owner],
    )


def parts(found: Found) -> dict[tuple[str, str], Decimal]:
    found.assert_adds_up()
    return {(row["external_id"], row["part"]): row["amount"] for row in found.total_parts}


def test_another_tax_reads_tax_and_is_raised_and_nothing_is_planned(taxed: Month, ledger: Ledger) -> None:
    tax(taxed, "inv-one", "19.00")
    tax(taxed, "inv-two", "5.00", "15.00", name="VAT", percent=Decimal(20))
    tax(taxed, "inv-free", "0.00")
    tax(taxed, "cm-back", "1.50")
    found = taxed.reconcile()
    # A total without any tax in NetSuite may lack anything.
    assert parts(found) == {
        ("inv-two", "tax"): Decimal("-1.00"),
        ("inv-free", "unexplained"): Decimal("19.00"),
        ("cm-back", "tax"): Decimal("0.40"),
    }
    assert {row["external_id"]: (row["kind"], row["owner"], row["reason"]) for row in found.differences} == {
        "inv-two": ("total", "netsuite", "The total should be USD 119.00; NetSuite has USD 120.00. NetSuite's tax is"
            " USD 20.00 (VAT 20 %), billing's total has USD 19.00 beyond its lines."),
        "inv-free": ("total", "netsuite", "The total should be USD 119.00; NetSuite has USD 100.00, and the lines do not"
            " explain it."),
        "cm-back": ("total", "netsuite", "The total should be USD 11.90; NetSuite has USD 11.50. NetSuite's tax is USD 1.50,"
            " billing's total has USD 1.90 beyond its lines."),
    }  # fmt: skip
    assert {(row["external_id"], row["code"], row["amount"]) for row in found.exceptions} == {
        ("inv-two", "tax", Decimal("1.00")),
        ("inv-free", "total", Decimal("19.00")),
        ("cm-back", "tax", Decimal("0.40")),
    }
    assert planned(taxed, ledger) == []


def test_tax_that_billing_does_not_have_is_tax_beside_what_lines_and_nothing_explain(
    taxed: Month, ledger: Ledger
) -> None:
    taxed.sql("UPDATE expected.invoices SET total = 100 WHERE external_id = 'inv-one'")
    tax(taxed, "inv-one", "19.00")
    # A line too many, a tax for it, and three cents of shipping.
    taxed.add_line("inv-two", like=1, description="Surprise", amount=Decimal("10.00"))
    tax(taxed, "inv-two", "20.90")
    taxed.sql("UPDATE netsuite.invoices SET total = total + 0.03 WHERE external_id = 'inv-two'")
    tax(taxed, "inv-free", "19.00")
    tax(taxed, "cm-back", "1.90")
    found = taxed.reconcile()
    assert parts(found) == {
        ("inv-one", "tax"): Decimal("-19.00"),
        ("inv-two", "extra_lines"): Decimal("-10.00"),
        ("inv-two", "tax"): Decimal("-1.90"),
        ("inv-two", "unexplained"): Decimal("-0.03"),
    }
    told = {row["external_id"]: row["reason"] for row in found.differences if row["kind"] == "total"}
    assert told["inv-one"].endswith("billing's total has none beyond its lines.")
    assert told["inv-two"].endswith("beyond its lines; neither lines nor tax explain USD -0.03.")
    # The line is repaired; the rest is a person's.
    assert planned(taxed, ledger) == [("inv-two", "item")]


def planned(month: Month, ledger: Ledger) -> list[tuple[str, str]]:
    """The operations of a plan: what is changed of which document."""
    made = make_plan(month.held, month.rules.tenant, month.rules.mapping, month.period, ledger, NOW)
    return [(row["external_id"], row["fields"]) for row in frames.records(made.operations)]
