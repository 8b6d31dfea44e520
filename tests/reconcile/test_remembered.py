"""Slices that have not changed since they were compared are not compared again, and nothing else is taken for that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from month import Month, line

from netsuite_assets import frames
from netsuite_assets.reconcile import differences
from netsuite_assets.reconcile.engine import reconcile, remaining

ALL = ("customer", "invoice", "creditMemo")


def compared_anew(month: Month) -> set[str]:
    """Reconciles, and gives the record types that were compared for it."""
    month.prove()
    found = reconcile(month.held, month.rules.tenant, month.rules.mapping, month.period, month.books.locate)
    return set(month.rules.mapping.compared) - set(found.unchanged)


@pytest.fixture
def differing(october: Month) -> Month:
    """A month that was reconciled, with a difference of every sort that rests on something else than its own slices."""
    october.remove("inv-same")
    october.change("inv-plain", memo="wrong", entity="cus-c2", terms=None)
    october.copy("inv-plain", "41", external_id="inv-september", otherRefNum="N-september", total=Decimal(7))
    october.change_line("inv-euro", 1, description="wrong")
    october.change("cus-c1", email=" C1@example.com")
    assert compared_anew(october) == set(ALL)
    return october


def test_what_was_found_then_is_found_again_without_comparing(
    differing: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows() -> list[list[dict[str, Any]]]:
        tables = (frames.DIFFERENCES, frames.TOLERATED, frames.TOTALS, frames.EXCEPTIONS)
        return [frames.records(frames.read(differing.held, table, differing.period)) for table in tables]

    before = rows()
    assert before[0]
    monkeypatch.delattr(differences, "diff_record")
    assert compared_anew(differing) == set()
    assert rows() == before
    left = remaining(
        differing.held,
        differing.rules.tenant,
        differing.rules.mapping,
        differing.period,
        differing.books.locate,
    )
    assert sorted(row["reason"] for row in frames.records(left)) == sorted(row["reason"] for row in before[0])


def _bill_less(month: Month) -> None:
    month.books.rows["invoice_lines"][0]["amount"] += 1
    month.map_billing()


def _issue_elsewhere(month: Month) -> None:
    """Billing says of a document of another month that it was issued on another day."""
    row = next(row for row in month.books.rows["invoices"] if row["id"] == "september")
    row["issued_on"] = date(2026, 8, 31)


def _tolerate(month: Month) -> None:
    month.rules = month.rules.with_tolerance("0.01")


def _compare_otherwise(month: Month) -> None:
    month.rules = month.rules.with_comparison("creditMemo", {"memo": {"case": "ignore"}})


def _tamper(month: Month) -> None:
    month.sql("UPDATE reconciliation.differences SET delta = delta + 1 WHERE record = 'invoice'")


def _forget(month: Month) -> None:
    month.sql("DELETE FROM reconciliation.differences WHERE record = 'invoice'")


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        (lambda month: month.change("inv-euro", memo="x"), {"invoice"}),
        (lambda month: month.change_line("cm-back", 1, description="x"), {"creditMemo"}),
        (lambda month: month.change("cus-c1", companyName="Other"), set(ALL)),  # its name is shown with documents
        (lambda month: month.sql("UPDATE netsuite.reference SET name = 'x' WHERE list = 'term'"), set(ALL)),
        (_bill_less, {"invoice"}),
        (_issue_elsewhere, {"invoice"}),
        (_tolerate, set(ALL)),
        (_compare_otherwise, set(ALL)),
        (_tamper, {"invoice"}),
        (_forget, {"invoice"}),
    ],
    ids=["header", "line", "customer", "list", "billed", "elsewhere", "tolerance", "comparison", "tampered", "gone"],
)  # fmt: skip
def test_what_changed_is_compared_again(
    differing: Month, change: Callable[[Month], object], anew: set[str]
) -> None:
    change(differing)
    assert compared_anew(differing) == anew
    again = frames.records(frames.read(differing.held, frames.DIFFERENCES, differing.period))
    differing.sql("DELETE FROM meta.comparisons")
    assert compared_anew(differing) == set(ALL)
    assert frames.records(frames.read(differing.held, frames.DIFFERENCES, differing.period)) == again


def test_another_mapping_is_compared_again(differing: Month) -> None:
    from dataclasses import replace

    differing.rules = replace(differing.rules, mapping=replace(differing.rules.mapping, hash="another"))
    assert compared_anew(differing) == set(ALL)


def test_another_month_is_another_comparison(differing: Month) -> None:
    differing.period = "2026-11"
    differing.books.invoice("november", line("1.00"), issued_on=date(2026, 11, 5))
    differing.map_billing()
    assert compared_anew(differing) == set(ALL)
    differing.period = "2026-10"
    differing.map_billing()
    assert compared_anew(differing) <= {"customer"}
