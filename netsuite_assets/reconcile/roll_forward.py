"""The roll-forward of receivables: opening, what moved, closing, on each side.

Here: where the opening balance comes from. Not here: the movements (`receivables.py`). Imports no Dagster.

An opening balance is the closing of the month before where that is held, else what landed of the months directly
before, else it is not known: it is never taken for nothing. With the opening the closing is not known either.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.extract.billing import month_bounds
from netsuite_assets.reconcile.receivables import relations
from resources.warehouse import TenantWarehouse, literal

#: The sides, each with the slice that tells which of its months landed.
SIDES: Final = {
    "billing": "expected.invoices",
    "netsuite": "netsuite.invoices",
    "general_ledger": "netsuite.gl_lines",
}

UNKNOWN: Final = "not known"


@dataclass(frozen=True)
class _Opening:
    """Where a side's opening comes from, in words, and SQL that gives it (subsidiary, currency, opening); None: unknown."""

    told: str
    query: str | None


def before(period: str) -> str:
    """The month before one."""
    return f"{month_bounds(period)[0] - timedelta(days=1):%Y-%m}"


def roll_forward(warehouse: TenantWarehouse, period: str) -> pd.DataFrame:
    """The month's roll-forward by side, subsidiary and currency, as a frame `ROLL_FORWARD`.

    `receivables.find_movements` must have run. Nothing is written.
    """
    frames.ensure(warehouse, frames.ROLL_FORWARD)
    parts = []
    for side, table in SIDES.items():
        opening = _opening(warehouse, side, table, period)
        query = (
            opening.query
            or "SELECT NULL::VARCHAR AS subsidiary, NULL::VARCHAR AS currency, NULL::DECIMAL(18,4) AS opening WHERE false"
        )
        known = "coalesce(o.opening, 0)" if opening.query else "NULL"
        parts.append(f"""
            SELECT {literal(side)} AS side, coalesce(m.subsidiary, o.subsidiary) AS subsidiary,
                coalesce(m.currency, o.currency) AS currency, {known}::DECIMAL(18, 4) AS opening,
                {literal(opening.told)} AS opening_from, coalesce(m.invoices, 0) AS invoices,
                coalesce(m.credits, 0) AS credits, coalesce(m.payments, 0) AS payments,
                coalesce(m.adjustments, 0) AS adjustments
            FROM (
                SELECT subsidiary, currency, sum(amount) FILTER (part = 'invoices') AS invoices,
                    -sum(amount) FILTER (part = 'credits') AS credits, -sum(amount) FILTER (part = 'payments') AS payments,
                    sum(amount) FILTER (part = 'adjustments') AS adjustments
                FROM movements WHERE side = {literal(side)} AND month = {literal(period)} GROUP BY ALL) m
            FULL JOIN ({query}) o ON coalesce(o.subsidiary, '') = coalesce(m.subsidiary, '') AND o.currency = m.currency""")
    table = warehouse.arrow(f"""
        SELECT {literal(period)} AS period, r.side, r.subsidiary, s.name AS subsidiary_name, r.currency, r.opening, r.opening_from,
            r.invoices::DECIMAL(18, 4) AS invoices, r.credits::DECIMAL(18, 4) AS credits,
            r.payments::DECIMAL(18, 4) AS payments, r.adjustments::DECIMAL(18, 4) AS adjustments,
            (r.opening + r.invoices - r.credits - r.payments + r.adjustments)::DECIMAL(18, 4) AS closing
        FROM ({" UNION ALL ".join(parts)}) r
        LEFT JOIN (SELECT internal_id, any_value(name) AS name FROM {relations(warehouse)["subsidiaries"]}
            GROUP BY internal_id) s ON s.internal_id = r.subsidiary
        ORDER BY r.subsidiary, r.currency, r.side""")
    return frames.validated(frames.ROLL_FORWARD, frames.frame(table))


def _opening(warehouse: TenantWarehouse, side: str, table: str, period: str) -> _Opening:
    prior = before(period)
    held = (
        f"SELECT subsidiary, currency, closing AS opening FROM {frames.table_name(frames.ROLL_FORWARD)}"
        f" WHERE period = {literal(prior)} AND side = {literal(side)} AND closing IS NOT NULL"
    )
    if warehouse.value(f"SELECT count(*) FROM ({held})"):
        return _Opening(f"closing of {prior}", held)
    months = []
    while warehouse.slice(table, prior) is not None:
        months.append(prior)
        prior = before(prior)
    if not months:
        return _Opening(UNKNOWN, None)
    first, last = months[-1], months[0]
    told = f"documents of {first}" if first == last else f"documents of {first} to {last}"
    return _Opening(
        f"{told}, before which nothing landed",
        "SELECT subsidiary, currency, sum(amount)::DECIMAL(18, 4) AS opening FROM movements"
        f" WHERE side = {literal(side)} AND month BETWEEN {literal(first)} AND {literal(last)} GROUP BY ALL",
    )
