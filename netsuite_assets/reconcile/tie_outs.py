"""Tie-outs of a month: billing's receivable, NetSuite's subledger, the control account, revenue and prepaid balances.

Here: what each tie-out compares, and the documents and journals that explain a difference. Not here: the movements
(`receivables.py`), balances (`roll_forward.py`). Imports no Dagster.

The month's movements are tied: invoices less credit memos and payments, with adjustments. A payment of billing's that
NetSuite holds as a customer deposit is a prepaid balance, and a payment as far as it is applied. What the items add up to is
exactly the difference; an item whose cause is not known counts as unexplained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.receivables import by_subsidiary, relations
from resources.warehouse import TenantWarehouse, literal

_SQL: Final = Path(__file__).with_name("tie_outs.sql").read_text(encoding="utf-8")

#: How money is exchanged and rounded, as DuckDB macros.
MACROS: Final = Path(__file__).with_name("exchange.sql").read_text(encoding="utf-8")

_REASONS: Final = {
    "not_mapped": "'Billing has it, and it cannot be mapped to NetSuite: ' || coalesce(i.problem, '')",
    "missing_in_netsuite": "'Billing has it; NetSuite has not got it in this month.'",
    "only_in_netsuite": "'NetSuite has it in this month; billing has not.'",
    "amount": "'Both have it, with different amounts.'",
    "journal": "'A journal that does not come from billing' || coalesce(', booked by ' || i.created_by, '') || '.'",
    "revenue_recognition": "'NetSuite''s own journal of revenue recognition.'",
    "not_posted": "'NetSuite dates it in this month, and did not post it to these accounts in this month''s period.'",
    "dated_elsewhere": "'Posted in this month''s period; NetSuite dates it on ' || coalesce(i.posted_on::VARCHAR, '?') || '.'",
    "elsewhere": "'The other side has it in another subsidiary, currency or account.'",
    "other_transaction": "'Another kind of transaction: ' || i.record || '.'",
    "rounding": "'Rounding of what was exchanged.'",
    "unexplained": "'Nothing that is known explains it.'",
}


def tie_out(
    warehouse: TenantWarehouse, mapping: TenantMapping, period: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The month's tie-outs and what explains them, as frames `TIE_OUTS` and `TIE_OUT_ITEMS`.

    `receivables.find_movements` must have run. Nothing is written.
    """
    named = relations(warehouse)
    run = warehouse.connection.execute
    run(MACROS)
    text = _SQL.format(**named, by_subsidiary=str(by_subsidiary(mapping)).lower())
    run(text.replace("$period", literal(period)))
    names = f"""
        LEFT JOIN (SELECT internal_id, any_value(number) AS number, any_value(full_name) AS full_name
            FROM {named["accounts"]} GROUP BY internal_id) a ON a.internal_id = i.account_id
        LEFT JOIN (SELECT internal_id, any_value(name) AS name FROM {named["subsidiaries"]} GROUP BY internal_id) s
            ON s.internal_id = i.subsidiary"""
    who = "i.subsidiary, s.name AS subsidiary_name, a.number AS account_number, coalesce(a.full_name, i.account_id) AS account_name, i.currency"
    reasons = " ".join(f"WHEN {literal(cause)} THEN {said}" for cause, said in _REASONS.items())
    items = f"""
        SELECT {literal(period)} AS period, i.tie_out, i.basis, {who}, i.record, i.external_id, i.internal_id, i.number,
            i.name, i.left_amount, i.right_amount, i.amount, i.cause, CASE i.cause {reasons} END AS reason
        FROM tie_out_items_found i {names}
        ORDER BY i.tie_out, i.basis, i.subsidiary, a.number, i.currency, abs(i.amount) DESC, i.record, i.number,
            i.external_id, i.internal_id"""
    sums = f"""
        SELECT {literal(period)} AS period, i.tie_out, i.basis, {who}, i.left_side, i.right_side, i.left_amount, i.right_amount,
            (i.left_amount - i.right_amount)::DECIMAL(18, 4) AS difference,
            coalesce(x.explained, 0)::DECIMAL(18, 4) AS explained,
            (i.left_amount - i.right_amount - coalesce(x.explained, 0))::DECIMAL(18, 4) AS unexplained,
            coalesce(x.items, 0)::BIGINT AS items
        FROM (
            SELECT tie_out, basis, left_side, right_side, subsidiary, account_id, currency,
                coalesce(sum(amount) FILTER (is_left), 0)::DECIMAL(18, 4) AS left_amount,
                coalesce(sum(amount) FILTER (NOT is_left), 0)::DECIMAL(18, 4) AS right_amount
            FROM entries GROUP BY ALL) i
        LEFT JOIN (
            SELECT tie_out, basis, coalesce(subsidiary, '') AS subsidiary, coalesce(account_id, '') AS account_id, currency,
                sum(amount) FILTER (cause <> 'unexplained') AS explained, count(*) AS items
            FROM tie_out_items_found GROUP BY ALL) x
            ON x.tie_out = i.tie_out AND x.basis = i.basis AND x.subsidiary = coalesce(i.subsidiary, '')
            AND x.account_id = coalesce(i.account_id, '') AND x.currency = i.currency
        {names}
        ORDER BY i.tie_out, i.basis DESC, i.subsidiary, a.number, i.currency"""
    return (
        frames.validated(frames.TIE_OUTS, frames.frame(warehouse.arrow(sums))),
        frames.validated(frames.TIE_OUT_ITEMS, frames.frame(warehouse.arrow(items))),
    )
