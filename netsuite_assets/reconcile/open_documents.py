"""Open documents at the end of a month: where billing and NetSuite disagree on what is paid, and how old what is open is.

Here: the drift of invoices, payments and credit memos, both ways, and the aging of open invoices. Not here: documents that
one side lacks (`differences.py`), or what payments settle field by field (`settlements.py`). Imports no Dagster.

Both sides are told as of the month's last day, from the applications that landed, so that a payment of the next month
changes nothing in this one. Where billing tells no payments, its own status of an invoice is held against what NetSuite
shows open now. All months that landed up to this one take part.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.extract.billing import month_bounds
from netsuite_assets.reconcile.receivables import IS_MONEY, NOT_OWED, PAID, relations, statuses
from resources.warehouse import TenantWarehouse, literal

_SQL: Final = Path(__file__).with_name("open_documents.sql").read_text(encoding="utf-8")

_SAYS: Final = {
    "paid_in_billing": (
        "'Paid in billing; NetSuite shows ' || {netsuite} || ' open.'",
        "'Apply the payment or credit memo to it in NetSuite, or take the payment back in billing.'",
    ),
    "paid_in_netsuite": (
        "'Paid in NetSuite; billing shows ' || {billing} || ' open.'",
        "'Record the payment in billing, or take the application back in NetSuite.'",
    ),
    "open_differs": (
        "'Billing shows ' || {billing} || ' open, NetSuite ' || {netsuite} || '.'",
        "'Compare what was applied to it on both sides, and correct the side that is wrong.'",
    ),
    "unapplied": (
        "'NetSuite has not applied ' || {netsuite} || ' of it'"
        " || CASE WHEN d.billing_open = 0 THEN '; billing has used all of it.'"
        " ELSE coalesce('; billing has used all but ' || {billing} || '.', '.') END",
        "'Apply it in NetSuite to the invoices that it pays, or give the money back.'",
    ),
    "over_applied": (
        "'More is applied than there is: ' || {amount} || ' too much.'",
        "'Take back what is applied too much, on the side that has it.'",
    ),
    "unknown_payment": (
        "'NetSuite has this payment, and billing does not know it; it concerns ' || {amount} || '.'",
        "'Record it in billing, or void it in NetSuite if it is not from billing''s customers.'",
    ),
    "unknown_credit_memo": (
        "'NetSuite has this credit memo, and billing does not know it; it concerns ' || {amount} || '.'",
        "'Issue the credit note in billing, or void the credit memo in NetSuite.'",
    ),
}  # fmt: skip


def _money(column: str) -> str:
    return f"d.currency || ' ' || regexp_replace(d.{column}::DECIMAL(18, 4)::VARCHAR, '0{{1,2}}$', '')"


def _knows_payments(warehouse: TenantWarehouse, period: str) -> bool:
    """Whether billing told its payments of the month, rather than having no such table."""
    told = warehouse.sql(
        "SELECT source FROM meta.slices WHERE table_name = 'billing.payments' AND period = ?", [period]
    )
    return bool(told) and not str(told[0][0]).startswith("nothing:")


def open_documents(warehouse: TenantWarehouse, period: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The month's drift and aging, as frames `DRIFT` and `AGING`.

    `receivables.find_movements` must have run. Nothing is written.
    """
    last = month_bounds(period)[1] - timedelta(days=1)
    day = f"DATE {literal(last.isoformat())}"
    text = _SQL.format(
        **relations(warehouse),
        is_money=IS_MONEY,
        not_owed=statuses(NOT_OWED),
        paid=statuses(PAID),
        knows_payments=str(_knows_payments(warehouse, period)).lower(),
    )
    warehouse.connection.execute(text.replace("$period", literal(period)).replace("$last", day))
    amounts = {name: _money(column) for name, column in
               (("billing", "billing_open"), ("netsuite", "netsuite_open"), ("amount", "amount"))}  # fmt: skip
    said = [
        " ".join(f"WHEN {literal(kind)} THEN {texts[at].format(**amounts)}" for kind, texts in _SAYS.items())
        for at in (0, 1)
    ]
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE drift_told AS
        SELECT {literal(period)} AS period, d.kind, d.record, d.external_id, d.internal_id, d.number, d.name, d.dated_in,
            d.currency, d.billing_open::DECIMAL(18, 4) AS billing_open, d.netsuite_open::DECIMAL(18, 4) AS netsuite_open,
            d.amount::DECIMAL(18, 4) AS amount, CASE d.kind {said[0]} END AS reason, CASE d.kind {said[1]} END AS next_step
        FROM drift_found d""")
    drift = "SELECT * FROM drift_told ORDER BY kind, record, amount DESC, dated_in, number, external_id, internal_id"
    aging = f"""
        WITH every AS (
            SELECT 'billing' AS side, subsidiary, currency, open, due_on FROM billed_open WHERE open > 0
            UNION ALL
            SELECT 'netsuite', h.subsidiary, h.currency, h.open,
                coalesce(h.due_on, b.due_on, last_day((h.period || '-01')::DATE))
            FROM held_open h LEFT JOIN (
                SELECT external_id, any_value(due_on) AS due_on FROM billed_open GROUP BY external_id) b
                ON b.external_id = h.external_id
            WHERE h.open > 0),
        aged AS (
            SELECT *, date_diff('day', due_on, {day}) AS days FROM every),
        placed AS (
            SELECT *, CASE WHEN coalesce(days, 0) <= 0 THEN 'not due' WHEN days <= 30 THEN '1-30' WHEN days <= 60 THEN '31-60'
                WHEN days <= 90 THEN '61-90' ELSE '90+' END AS bucket FROM aged)
        SELECT {literal(period)} AS period, p.subsidiary, any_value(s.name) AS subsidiary_name, p.currency, p.bucket,
            count(*) FILTER (side = 'billing') AS billing_documents,
            coalesce(sum(open) FILTER (side = 'billing'), 0)::DECIMAL(18, 4) AS billing_open,
            count(*) FILTER (side = 'netsuite') AS netsuite_documents,
            coalesce(sum(open) FILTER (side = 'netsuite'), 0)::DECIMAL(18, 4) AS netsuite_open,
            coalesce(sum(CASE side WHEN 'billing' THEN open ELSE -open END), 0)::DECIMAL(18, 4) AS difference
        FROM placed p LEFT JOIN (SELECT internal_id, any_value(name) AS name
            FROM {relations(warehouse)["subsidiaries"]} GROUP BY internal_id) s ON s.internal_id = p.subsidiary
        GROUP BY p.subsidiary, p.currency, p.bucket
        ORDER BY p.subsidiary, p.currency, list_position({list(frames.OVERDUE)}, p.bucket)"""
    return (
        frames.validated(frames.DRIFT, frames.frame(warehouse.arrow(drift))),
        frames.validated(frames.AGING, frames.frame(warehouse.arrow(aging))),
    )
