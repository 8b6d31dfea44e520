"""Customer payments and what is applied to invoices, from NetSuite into the warehouse.

Here: the payments that NetSuite dates in a month (`netsuite.payments`), and which payments and credit memos settle which
invoices (`netsuite.applications`). Not here: credit memos and invoices themselves (`netsuite.py`). Imports no Dagster.

A month's applications are those of the payments and credit memos dated in it, and those to the invoices dated in it by
documents of other months: so an invoice's settlement is known, whenever it was paid. The two parts exclude one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import pyarrow as pa

from netsuite_assets.extract.columns import (
    AMOUNT,
    MODIFIED,
    RATE,
    SYMBOL,
    TEXT,
    TIME,
    column_types,
    comparable,
    if_held,
    landed,
    mapped,
    visible,
)
from netsuite_assets.extract.rows import Column, Extraction
from netsuite_assets.extract.scopes import (
    ask_permission,
    dated_in,
    dated_outside,
    held_in,
    proven,
    read_elsewhere,
    read_together,
)
from netsuite_assets.extract.sight import Reread, account_for_gone
from netsuite_assets.mapping.compiler import MappedField, RecordMapping
from netsuite_assets.tables import ACTUAL_CORE
from resources.ledger.intents import Written
from resources.netsuite.client import NetSuite
from resources.netsuite.records import record
from resources.netsuite.sets import Proof
from resources.warehouse import Slice, TenantWarehouse

PAYMENTS: Final = ACTUAL_CORE | {
    "customer_id": "VARCHAR",
    "customer_external_id": "VARCHAR",
    "exchange_rate": "DECIMAL(28,12)",
    "subsidiary": "VARCHAR",
    "memo": "VARCHAR",
    "is_voided": "BOOLEAN",
}
"""Columns of `netsuite.payments`. `total` and `remaining` (what is not applied) are positive and in the payment's
currency; `customer_id` and `subsidiary` are internal ids, `name` is the customer's.
"""

APPLICATIONS: Final = {
    "period": "VARCHAR",
    "applying_record": "VARCHAR",
    "applying_id": "VARCHAR",
    "applying_number": "VARCHAR",
    "applying_external_id": "VARCHAR",
    "invoice_id": "VARCHAR",
    "invoice_number": "VARCHAR",
    "invoice_external_id": "VARCHAR",
    "currency": "VARCHAR",
    "amount": "DECIMAL(18,4)",
    "link_type": "VARCHAR",
    "applied_on": "DATE",
    "last_modified": "VARCHAR",
}
"""Columns of `netsuite.applications`: one row for a payment or credit memo and an invoice, with all that it settles.

`applied_on` is the applying document's date, `last_modified` the latest change of the link or of either document.
"""

PAYMENT_COLUMNS: Final = {
    "id": Column("t.id", TEXT),
    "externalid": Column("t.externalid", TEXT),
    "tranid": Column("t.tranid", TEXT),
    "customer_id": Column("t.entity", TEXT),
    "entityname": Column("BUILTIN.DF(t.entity)", TEXT),
    "status": Column("t.status", TEXT),
    "currency_id": Column("t.currency", TEXT),
    # Accounts print credits with either sign.
    "total": Column("ABS(t.foreigntotal)", AMOUNT),
    "remaining": Column("ABS(t.foreignpaymentamountunused)", AMOUNT),
    "exchangerate": Column("t.exchangerate", RATE),
    "trandate": Column("TO_CHAR(t.trandate, 'YYYY-MM-DD')", pa.date32()),
    "memo": Column("t.memo", TEXT),
    "void": Column("t.void", pa.bool_()),
    "voided": Column("t.voided", pa.bool_()),
    "lastmodified": Column(MODIFIED, TEXT),
}
_SUBSIDIARY: Final = {"subsidiary": Column("tl.subsidiary", TEXT)}
"""Single-company accounts have no such column."""

APPLICATION_COLUMNS: Final = {
    "applying_id": Column("l.nextdoc", TEXT),
    "applying_type": Column("t.type", TEXT),
    "applying_number": Column("t.tranid", TEXT),
    "applying_external_id": Column("t.externalid", TEXT),
    # A number, so that a census adds the invoices up: an application that moves to another one is noticed.
    "invoice_id": Column("l.previousdoc", pa.decimal128(18, 0)),
    "invoice_number": Column("i.tranid", TEXT),
    "invoice_external_id": Column("i.externalid", TEXT),
    "currency_id": Column("t.currency", TEXT),
    "amount": Column("l.foreignamount", AMOUNT),
    "link_type": Column("l.linktype", TEXT),
    "trandate": Column("TO_CHAR(t.trandate, 'YYYY-MM-DD')", pa.date32()),
    # The documents' changes count too: their numbers are shown here, and a payment need not touch its invoice.
    "lastmodified": Column(
        "TO_CHAR(GREATEST(NVL(l.lastmodifieddate, t.lastmodifieddate), t.lastmodifieddate, i.lastmodifieddate),"
        f" {TIME})",
        TEXT,
    ),
}
_LINKS: Final = "NextTransactionLineLink l JOIN transaction t ON t.id = l.nextdoc JOIN transaction i ON i.id = l.previousdoc"
# Sources disagree on how the link of an application is called. That of a return to its sale is none.
_APPLIED: Final = (
    "t.type IN ('CustPymt', 'CustCred') AND i.type = 'CustInvc' AND NVL(l.linktype, '-') <> 'SaleRet'"
)


async def extract_payments(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    rules: RecordMapping | None,
    period: str,
    now: datetime,
    *,
    written: Sequence[Written] = (),
    accept_as_gone: str = "",
) -> dict[str, Slice]:
    """Land a month's customer payments and applications. Customers and reference data must have landed before.

    `rules` are those of `customerPayment`, if the tenant maps payments: their fields come along, and so do the payments
    that billing has in the month and NetSuite dates elsewhere. `written` and `accept_as_gone`: see
    `sight.account_for_gone`, by which payments that are not shown any more are explained or refused.
    """
    kind = record("customerPayment")
    fields = [one for one in comparable(rules.fields if rules else ()) if one.name not in PAYMENTS]
    warehouse.ensure_table("netsuite.payments", PAYMENTS | column_types(fields))
    warehouse.ensure_table("netsuite.applications", APPLICATIONS)
    extraction = Extraction(warehouse, netsuite, lambda: now)
    columns = {
        **PAYMENT_COLUMNS,
        **mapped(fields),
        **await visible(netsuite, kind.source, _SUBSIDIARY),
    }
    extraction.prepare("payments", columns)
    extraction.prepare("applications", APPLICATION_COLUMNS)

    async def some_payments(scope: str, name: str, where: str) -> Proof:
        return await extraction.read(
            "payments", scope, name, columns, kind.source, f"{kind.where} AND {where}", kind.row_key,
            sums=("total", "remaining"), silent=("remaining",), modified="lastmodified",
            whole=("transaction t", f"{kind.where} AND {where}"),
        )  # fmt: skip

    async def payments() -> Sequence[Proof]:
        name = f"customer payments dated in {period}"
        proofs = [await some_payments(period, name, dated_in("t.trandate", period))]

        async def elsewhere(scope: str, where: str) -> None:
            name = f"customer payments expected in {period} that NetSuite dates elsewhere"
            proofs.append(await some_payments(scope, name, where))

        scopes = (
            await read_elsewhere(warehouse, netsuite, rules, "payments", period, elsewhere) if rules else []
        )
        extraction.forget_but("payments", [period, *scopes], like=f"{period}%")
        return proofs

    async def some_applications(scope: str, name: str, where: str) -> Sequence[Proof]:
        proof = await extraction.read(
            "applications", scope, name, APPLICATION_COLUMNS, _LINKS, f"{_APPLIED} AND {where}", "l.nextdoc",
            unique=False, sums=("amount", "invoice_id"), silent=("amount", "invoice_id"), modified="lastmodified",
        )  # fmt: skip
        return [proof]

    async def applied() -> Sequence[Proof]:
        name = f"applications of payments and credit memos dated in {period}"
        return await some_applications(period, name, dated_in("t.trandate", period))

    async def applied_elsewhere() -> Sequence[Proof]:
        name = f"applications to invoices dated in {period} by documents of other months"
        where = f"{dated_in('i.trandate', period)} AND {dated_outside('t.trandate', period)}"
        return await some_applications(f"{period} elsewhere 1", name, where)

    with extraction.transaction():
        what = f"customer payments of {period} and what is applied to invoices"
        await read_together(warehouse.tenant, what, [payments, applied, applied_elsewhere])
        if not proven(warehouse, "payments", period):
            await ask_permission(netsuite, "customerPayment")
        present = f"SELECT r.id FROM netsuite_rows.payments r WHERE {held_in(period)}"
        read = Reread("customerPayment", "netsuite.payments", period, present)
        await account_for_gone(extraction, read, written, accept_as_gone)
        return {
            "payments": warehouse.replace_slice(
                "netsuite.payments",
                period,
                _payments_sql(columns, fields, period),
                key=("internal_id",),
                expected_rows=proven(warehouse, "payments", period),
                source="NetSuite",
                now=now,
            ),
            "applications": warehouse.replace_slice(
                "netsuite.applications",
                period,
                _APPLICATIONS_SQL.format(scope=held_in(period)),
                key=("applying_id", "invoice_id"),
                expected_rows=_pairs(warehouse, period),
                source="NetSuite",
                now=now,
            ),
        }


def _payments_sql(columns: dict[str, Column], fields: Sequence[MappedField], period: str) -> str:
    return f"""SELECT r.id AS internal_id, r.externalid AS external_id, r.tranid AS number,
        coalesce(c.name, r.entityname) AS name, r.status, {SYMBOL} AS currency, r.total, r.remaining,
        strftime(r.trandate, '%Y-%m') AS dated_in, r.lastmodified AS last_modified, r.customer_id,
        c.external_id AS customer_external_id, r.exchangerate AS exchange_rate,
        {if_held(columns, "subsidiary")} AS subsidiary, r.memo,
        coalesce(r.voided, false) OR coalesce(r.void, false) OR coalesce(r.status = 'V', false) AS is_voided
        {"".join(landed(field) for field in fields)}
    FROM netsuite_rows.payments r LEFT JOIN netsuite.customers c ON c.internal_id = r.customer_id
    WHERE {held_in(period)}"""


# NetSuite links line by line: what one document settles of another is the sum of its links.
_APPLICATIONS_SQL: Final = f"""
SELECT CASE max(r.applying_type) WHEN 'CustPymt' THEN 'customerPayment' ELSE 'creditMemo' END AS applying_record,
    r.applying_id, max(r.applying_number) AS applying_number, max(r.applying_external_id) AS applying_external_id,
    r.invoice_id::VARCHAR AS invoice_id, max(r.invoice_number) AS invoice_number,
    max(r.invoice_external_id) AS invoice_external_id, max({SYMBOL}) AS currency,
    abs(sum(r.amount))::DECIMAL(18,4) AS amount,
    string_agg(DISTINCT r.link_type, ', ' ORDER BY r.link_type) AS link_type,
    max(r.trandate) AS applied_on, max(r.lastmodified) AS last_modified
FROM netsuite_rows.applications r WHERE {{scope}} GROUP BY r.applying_id, r.invoice_id"""


def _pairs(warehouse: TenantWarehouse, period: str) -> int:
    """The pairs of documents among the links that are proven."""
    return int(
        warehouse.value(
            "SELECT count(DISTINCT (r.applying_id, r.invoice_id)) FROM netsuite_rows.applications r"
            f" WHERE {held_in(period)}"
        )
    )
