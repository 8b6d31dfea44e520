"""The differences that a list of planted defects must give, and no others: the demo's list held against the findings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from endtoend_tools import query

from demo.documents import Billing
from demo.planted import Drift, Planted

#: record, external id, kind, field, and a word or amount that must stand in the row.
Finding = tuple[str, str | None, str, str | None]

_FIELDS = ("changed_date", "changed_memo", "changed_number", "custom_field", "customer_email")


def assert_found_exactly(
    published: Path, tenant: str, period: str, billing: Billing, planted: Sequence[Planted]
) -> None:
    """Each defect shows as the right differences on the right record, with both values; nothing else differs."""
    rows = [
        dict(zip(_COLUMNS, row, strict=True))
        for row in query(
            published,
            f"SELECT {', '.join(_COLUMNS)} FROM differences WHERE tenant = ? AND period = ?",
            tenant,
            period,
        )
    ]
    found = Counter((row["record"], row["external_id"], row["kind"], row["field"]) for row in rows)
    assert found == Counter(finding for defect in planted for finding in _findings(defect))
    originals = {
        each.number: f"{prefix}-{each.id}"
        for prefix, documents in (("inv", billing.invoices), ("cm", billing.credit_notes))
        for each in documents
    }
    for defect in planted:
        _assert_told(defect, rows, originals)


def assert_drift_is_told_exactly(published: Path, tenant: str, period: str, drifts: Sequence[Drift]) -> None:
    """Each drift of receivables is an exception on the right document over the right amount, and no other document is;
    a journal from elsewhere stands among what explains the tie-out.
    """
    rows = query(
        published,
        "SELECT code, record, external_id, currency, amount FROM exceptions"
        " WHERE tenant = ? AND period = ? AND stage = 'receivables'",
        tenant,
        period,
    )
    assert Counter(rows) == Counter(
        (kind, record, external_id, drift.currency, amount)
        for drift in drifts
        for kind, record, external_id, amount in _drifted(drift)
    )
    journals = query(
        published,
        "SELECT currency, amount FROM tie_out_items WHERE tenant = ? AND period = ? AND cause = 'journal'"
        " AND tie_out = 'receivables' AND basis = 'transaction'",
        tenant,
        period,
    )
    assert Counter(journals) == Counter(
        (drift.currency, drift.amount) for drift in drifts if drift.kind == "journal_on_receivables"
    )


def _drifted(drift: Drift) -> list[tuple[str, str, str | None, Decimal]]:
    """Kind, record, external id and amount of the exceptions; NetSuite's own payments have no external id."""
    invoice, amount = ("invoice", drift.invoice), drift.amount
    unapplied = ("unapplied", "customerPayment", None, amount)
    match drift.kind:
        case "payment_only_in_billing":
            return [("paid_in_billing", *invoice, amount)]
        case "payment_only_in_netsuite":
            return [
                ("paid_in_netsuite", *invoice, amount),
                ("unknown_payment", "customerPayment", None, amount),
            ]
        case "payment_not_applied" | "payment_applied_in_part":
            return [("paid_in_billing", *invoice, amount), unapplied]
        case "payment_applied_too_much_in_billing":
            return [("over_applied", *invoice, amount), unapplied]
        case "journal_on_receivables":
            return []


_COLUMNS = ("record", "external_id", "kind", "field", "expected", "actual", "number", "amount", "reason")


def _findings(defect: Planted) -> list[Finding]:
    record, external_id = defect.record, defect.external_id
    match defect.kind:
        case "missing" | "missing_customer" | "payment_missing" | "accrual_missing":
            return [(record, external_id, "missing_in_netsuite", None)]
        case "changed_amount":
            return [(record, external_id, "line_changed", name) for name in ("rate", "amount")]
        case "moved_to_another_month":
            return [
                (record, external_id, "changed", "tranDate"),
                (record, external_id, "wrong_period", None),
            ]
        case "wrong_customer":
            return [(record, external_id, "wrong_customer", "entity")]
        case "line_missing":
            return [(record, external_id, "line_missing", None)]
        case "payment_not_applied":
            return [(record, external_id, "line_missing", "apply")]
        case "extra_line":
            return [(record, external_id, "line_extra", None)]
        case "duplicate" | "only_in_netsuite":
            return [(record, external_id, defect.kind, None)]
    assert defect.kind in _FIELDS, f"the test does not know the defect {defect.kind}"
    return [(record, external_id, "changed", defect.field)]


def _assert_told(defect: Planted, rows: Sequence[dict[str, Any]], originals: dict[str, str]) -> None:
    mine = [
        row
        for row in rows
        if (row["record"], row["external_id"], row["kind"], row["field"]) in _findings(defect)
    ]
    if defect.kind == "duplicate":
        again = f"once, as {originals[defect.number]}"
        assert again in [row["expected"] for row in mine], defect.what
    elif defect.kind == "only_in_netsuite":
        (price,) = re.findall(r"over ([\d.]+)", defect.what)
        assert Decimal(price) in [row["amount"] for row in mine], defect.what
    elif defect.kind in ("line_missing", "extra_line"):
        (description, amount) = re.findall(r"'(.*)' of (-?[\d.]+)", defect.booked or "")[0]
        (row,) = mine
        assert description in row["reason"], defect.what
        assert amount in row["reason"].replace(",", ""), defect.what
    elif defect.kind == "accrual_missing":
        (row,) = mine
        assert row["amount"] == Decimal(defect.billed or ""), defect.what
    elif defect.kind == "changed_amount":
        (rate,) = (row for row in mine if row["field"] == "rate")
        assert Decimal(rate["expected"]) == Decimal(defect.billed or ""), defect.what
        assert Decimal(rate["actual"]) == Decimal(defect.booked or ""), defect.what
    elif defect.billed is not None:
        row = next(row for row in mine if row["field"] == defect.field)
        assert defect.billed in row["expected"], defect.what
        assert defect.booked is not None
        assert defect.booked in row["actual"], defect.what
