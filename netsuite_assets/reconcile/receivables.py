"""What customers owe, as billing, NetSuite's subledger and its general ledger have it: the movements of each month.

Here: the temporary tables `movements`, `posted` and `on_receivables`, of the documents that belong together without an
external id, `linked` and `grouped_documents`, and of what was paid in advance, `prepayments` and `prepaid`; on these
tie-outs, the roll-forward and the open documents rest. Not here: what is made of them (`tie_outs.py`, `roll_forward.py`,
`open_documents.py`). Imports no Dagster.

Billing's side is what the mapping expects, with what cannot be mapped: it is owed all the same. Its payments are those
that the mapping expects or, where payments are not mapped, those of billing whose status does not say that no money
came. One that NetSuite holds as a customer deposit counts as far as it is applied. NetSuite's subledger is its documents
by their dates, in their own currency; the general ledger is what was posted to accounts of receivables in the month's
accounting period, in the subsidiary's currency.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from netsuite_assets.extract.deposits import DEPOSITS, PREPAID_ACCOUNTS
from netsuite_assets.extract.journals import ACCOUNT_TYPES, GL_LINES, JOURNAL_LINES, JOURNALS
from netsuite_assets.extract.payments import PAYMENTS
from netsuite_assets.mapping.compiler import EXPECTED_CORE, EXPECTED_LINE_CORE
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.relations import held
from netsuite_assets.tables import ACTUAL_CORE, VOID_CREDITS
from resources.warehouse import TenantWarehouse, literal

_SQL: Final = Path(__file__).with_name("receivables.sql").read_text(encoding="utf-8")

#: Statuses of a payment that brought no money, and of an invoice that is not owed.
NO_MONEY: Final = (
    "failed",
    "canceled",
    "cancelled",
    "declined",
    "pending",
    "processing",
    "requires_action",
    "void",
    "voided",
    "draft",
)
PAID: Final = ("paid",)
NOT_OWED: Final = ("void", "voided", "uncollectible", "written_off", "canceled", "cancelled")

AMOUNT: Final = "DECIMAL(18,4)"
TEXT: Final = "VARCHAR"


def statuses(names: tuple[str, ...]) -> str:
    """SQL list of these statuses."""
    return f"({', '.join(map(literal, names))})"


#: SQL that holds for a payment `b` of billing that brought money.
IS_MONEY: Final = f"coalesce(lower(b.status), '') NOT IN {statuses(NO_MONEY)}"


def relations(warehouse: TenantWarehouse) -> dict[str, str]:
    """The tables that the statements about receivables read, by the names that they have there."""
    expected = {**EXPECTED_CORE, "subsidiary": TEXT}
    document = {**ACTUAL_CORE, "subsidiary": TEXT, "dueDate": "DATE"}
    tables: dict[str, tuple[str, Mapping[str, str]]] = {
        "customers": ("expected.customers", expected),
        "inv": ("expected.invoices", expected),
        "memos": ("expected.credit_memos", expected),
        "payments": ("expected.payments", expected),
        "journals": ("expected.journals", expected),
        "journal_lines": ("expected.journal_lines", {**EXPECTED_LINE_CORE, "account": TEXT, "debit": AMOUNT, "credit": AMOUNT}),
        "inv_lines": ("expected.invoice_lines", {**EXPECTED_LINE_CORE, "item": TEXT, "amount": AMOUNT}),
        "memo_lines": ("expected.credit_memo_lines", {**EXPECTED_LINE_CORE, "item": TEXT, "amount": AMOUNT}),
        "billing_invoices": ("billing.invoices", {"period": TEXT, "id": TEXT, "status": TEXT, "due_on": "DATE", "issued_on": "DATE"}),
        "credit_notes": ("billing.credit_notes", {"period": TEXT, "id": TEXT, "customer_id": TEXT, "invoice_id": TEXT, "issued_on": "DATE", "total": AMOUNT, "status": TEXT}),
        "billing_payments": ("billing.payments", {"period": TEXT, "id": TEXT, "customer_id": TEXT, "currency": TEXT, "amount": AMOUNT, "paid_on": "DATE", "reference": TEXT, "status": TEXT}),
        "billing_applications": ("billing.payment_applications", {"period": TEXT, "payment_id": TEXT, "invoice_id": TEXT, "amount": AMOUNT, "applied_on": "DATE"}),
        "held_inv": ("netsuite.invoices", document),
        "held_memos": ("netsuite.credit_memos", document),
        "held_payments": ("netsuite.payments", PAYMENTS),
        "held_journals": ("netsuite.journals", JOURNALS),
        "held_journal_lines": ("netsuite.journal_lines", JOURNAL_LINES),
        "gl": ("netsuite.gl_lines", GL_LINES),
        "deposits": ("netsuite.deposits", DEPOSITS),
        "prepaid_accounts": ("netsuite.prepaid_accounts", PREPAID_ACCOUNTS),
        "held_inv_lines": ("netsuite.invoice_lines", {"period": TEXT, "internal_id": TEXT, "item": TEXT, "amount": AMOUNT}),
        "held_memo_lines": ("netsuite.credit_memo_lines", {"period": TEXT, "internal_id": TEXT, "item": TEXT, "amount": AMOUNT}),
        "accounts": ("netsuite.accounts", {"internal_id": TEXT, "number": TEXT, "full_name": TEXT, "account_type": TEXT}),
        "items": ("netsuite.items", {"internal_id": TEXT, "income_account": TEXT, "deferred_revenue_account": TEXT}),
        "subsidiaries": ("netsuite.subsidiaries", {"internal_id": TEXT, "name": TEXT, "currency_id": TEXT}),
        "currencies": ("netsuite.currencies", {"internal_id": TEXT, "symbol": TEXT, "precision": "BIGINT", "exchange_rate": "DECIMAL(28,12)", "is_base": "BOOLEAN"}),
        "applications": ("netsuite.applications", {"period": TEXT, "applying_record": TEXT, "applying_id": TEXT, "applying_number": TEXT, "applying_external_id": TEXT, "invoice_id": TEXT, "invoice_number": TEXT, "invoice_external_id": TEXT, "currency": TEXT, "amount": AMOUNT, "applied_on": "DATE", "last_modified": TEXT}),
        "differences": ("reconciliation.differences", {"period": TEXT, "record": TEXT, "external_id": TEXT, "internal_id": TEXT, "kind": TEXT, "field": TEXT, "expected": TEXT, "reason": TEXT, "delta": AMOUNT}),
        "void_credits": (VOID_CREDITS, {"external_id": TEXT, "invoice_external_id": TEXT}),
        "exceptions": ("reconciliation.exceptions", {"period": TEXT, "stage": TEXT, "code": TEXT, "record": TEXT, "external_id": TEXT, "internal_id": TEXT}),
    }  # fmt: skip
    return held(warehouse, tables)


def by_subsidiary(mapping: TenantMapping) -> bool:
    """Whether the tenant's invoices are booked by subsidiary; else all is one company."""
    rules = mapping.records.get("invoice")
    return rules is not None and any(field.name.lower() == "subsidiary" for field in rules.fields)


def maps_payments(mapping: TenantMapping) -> bool:
    """Whether payments have external ids, by which both sides' are the same."""
    return "customerPayment" in mapping.records


def find_movements(warehouse: TenantWarehouse, mapping: TenantMapping, period: str) -> None:
    """Make the temporary tables of all landed months up to this one. `engine.reconcile` of the month must have run: it
    pairs the documents that no external id joins.
    """
    text = _SQL.format(
        **relations(warehouse),
        by_subsidiary=str(by_subsidiary(mapping)).lower(),
        maps_payments=str(maps_payments(mapping)).lower(),
        is_money=IS_MONEY,
        tied_types=", ".join(map(literal, ACCOUNT_TYPES)),
    ).replace("$period", literal(period))
    warehouse.connection.execute(text)


def required_slices(mapping: TenantMapping, period: str) -> dict[str, str | None]:
    """The slices without which nothing is said about receivables: table to period."""
    names = {
        "billing.invoices", "billing.payments", "billing.payment_applications", "expected.invoices",
        "netsuite.invoices", "netsuite.payments", "netsuite.applications", "netsuite.journals",
        "netsuite.journal_lines", "netsuite.gl_lines", "netsuite.deposits",
    }  # fmt: skip
    if "creditMemo" in mapping.records:
        names |= {"expected.credit_memos", "netsuite.credit_memos"}
    return dict.fromkeys(sorted(names), period)
