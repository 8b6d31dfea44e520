"""The mart's tables of what NetSuite tells beside the documents: who changed and deleted what, what was paid and with what,
what it taxed, the revenue that it arranged, and what it does not show.

Here: their columns and the queries over a tenant's working file. Not here: reading them from NetSuite (`extract`), or
putting them into the file (`mart.py`). Imports no Dagster.

Not published: NetSuite's lists (items, accounts, …), which are the account's own and not of a month; the lines that it
posted to the general ledger, which `tie_outs` and `roll_forward` sum up and `tie_out_items` name where they matter; and
how pairs were matched beyond what `differences` says of each (`matched_by`, and the candidates in its reason).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from resources.warehouse import WHOLE, TenantWarehouse, literal, quote

_TEXT: Final = "VARCHAR"
_AMOUNT: Final = "DECIMAL(18,4)"

#: The columns of a document's tax lines, and the query that gives them of `t` and the documents.
_TAXES: Final[Mapping[str, str]] = {
    "period": _TEXT,
    "internal_id": _TEXT,
    "external_id": _TEXT,
    "number": _TEXT,
    "line_no": "INTEGER",
    "tax_code": _TEXT,
    "tax_name": _TEXT,
    "description": _TEXT,
    "percent": "DECIMAL(28,12)",
    "currency": _TEXT,
    "amount": _AMOUNT,
}
_OF_TAXES: Final = (
    "SELECT t.*, d.external_id, d.number, d.currency FROM {t} t"
    " LEFT JOIN netsuite.DOCUMENTS d ON d.period = t.period AND d.internal_id = t.internal_id"
)

#: Mart table to the working file's table that it rests on, its columns, and the query that gives them (of `t`).
_TABLES: Final[Mapping[str, tuple[str, Mapping[str, str], str]]] = {
    # A new record has a note for each of its fields: those tell nothing that the record does not.
    "system_notes": (
        "netsuite.system_notes",
        {
            "period": _TEXT,
            "record": _TEXT,
            "internal_id": _TEXT,
            "number": _TEXT,
            "note_no": "BIGINT",
            "changed_at": "TIMESTAMP",
            "time_zone": _TEXT,
            "changed_by": _TEXT,
            "context": _TEXT,
            "field": _TEXT,
            "old_value": _TEXT,
            "new_value": _TEXT,
        },
        "FROM {t} QUALIFY old_value IS NOT NULL"
        " OR changed_at > min(changed_at) OVER (PARTITION BY period, record, internal_id)",
    ),
    "deleted_records": (
        "netsuite.deleted_records",
        {
            "period": _TEXT,
            "record_type": _TEXT,
            "internal_id": _TEXT,
            "name": _TEXT,
            "deleted_at": "TIMESTAMP",
            "time_zone": _TEXT,
            "deleted_by": _TEXT,
            "context": _TEXT,
        },
        "SELECT *, {whole} AS period FROM {t}",
    ),
    "gone": (
        "netsuite.gone",
        {
            "period": _TEXT,
            "record": _TEXT,
            "internal_id": _TEXT,
            "external_id": _TEXT,
            "number": _TEXT,
            "name": _TEXT,
            "currency": _TEXT,
            "total": _AMOUNT,
            "explanation": _TEXT,
            "detail": _TEXT,
            "noticed_at": "TIMESTAMPTZ",
        },
        "SELECT * REPLACE (coalesce(period, {whole}) AS period) FROM {t}",
    ),
    "not_visible": (
        "meta.not_visible",
        {
            "period": _TEXT,
            "table_name": _TEXT,
            "why": _TEXT,
            "said": _TEXT,
            "next_step": _TEXT,
            "seen_at": "TIMESTAMPTZ",
        },
        "SELECT *, {whole} AS period FROM {t}",
    ),
    "payments": (
        "netsuite.payments",
        {
            "period": _TEXT,
            "internal_id": _TEXT,
            "external_id": _TEXT,
            "number": _TEXT,
            "customer_id": _TEXT,
            "name": _TEXT,
            "currency": _TEXT,
            "total": _AMOUNT,
            "remaining": _AMOUNT,
            "status": _TEXT,
            "is_voided": "BOOLEAN",
            "last_modified": _TEXT,
        },
        "FROM {t}",
    ),
    "applications": (
        "netsuite.applications",
        {
            "period": _TEXT,
            "applying_record": _TEXT,
            "applying_id": _TEXT,
            "applying_number": _TEXT,
            "invoice_id": _TEXT,
            "invoice_number": _TEXT,
            "invoice_external_id": _TEXT,
            "currency": _TEXT,
            "amount": _AMOUNT,
            "applied_on": "DATE",
        },
        "FROM {t}",
    ),
    "invoice_taxes": ("netsuite.invoice_taxes", _TAXES, _OF_TAXES.replace("DOCUMENTS", "invoices")),
    "credit_memo_taxes": (
        "netsuite.credit_memo_taxes",
        _TAXES,
        _OF_TAXES.replace("DOCUMENTS", "credit_memos"),
    ),
    "revenue_elements": (
        "netsuite.revenue_elements",
        {
            "period": _TEXT,
            "internal_id": _TEXT,
            "arrangement_id": _TEXT,
            "source": _TEXT,
            "invoice_id": _TEXT,
            "customer_id": _TEXT,
            "item": _TEXT,
            "currency": _TEXT,
            "sales_amount": _AMOUNT,
            "allocation_amount": _AMOUNT,
            "element_date": "DATE",
            "starts_on": "DATE",
            "ends_on": "DATE",
        },
        "FROM {t}",
    ),
    "revenue_planned": (
        "netsuite.revenue_planned",
        {
            "period": _TEXT,
            "internal_id": _TEXT,
            "element_id": _TEXT,
            "plan_id": _TEXT,
            "planned_period": _TEXT,
            "currency": _TEXT,
            "amount": _AMOUNT,
            "account_id": _TEXT,
            "journal_id": _TEXT,
            "is_recognized": "BOOLEAN",
        },
        "SELECT r.*, p.element_id, p.currency FROM {t} r"
        " LEFT JOIN netsuite.revenue_plans p ON p.period = r.period AND p.internal_id = r.plan_id",
    ),
}


def netsuite_tables(working: TenantWarehouse) -> dict[str, tuple[Mapping[str, str], str]]:
    """Mart table to its columns and the query that gives the tenant's rows; none of what was never read."""
    made = {}
    for name, (source, columns, query) in _TABLES.items():
        if working.columns(source):
            typed = ", ".join(
                f"{quote(column)}::{kind} AS {quote(column)}" for column, kind in columns.items()
            )
            rows = f"SELECT {typed} FROM ({query.format(t=source, whole=literal(WHOLE))}) ORDER BY ALL"
        else:
            typed = ", ".join(f"NULL::{kind} AS {quote(column)}" for column, kind in columns.items())
            rows = f"SELECT {typed} WHERE false"
        made[name] = (columns, rows)
    return made
