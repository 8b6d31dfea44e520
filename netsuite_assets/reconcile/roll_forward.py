"""The roll-forward of receivables and, by account, of deferred revenue, unbilled receivables and prepaid balances.

From opening to closing, with what moved between.

Here: where the opening balance comes from. Not here: the movements (`receivables.py`, and `tie_outs.py` for those by
account, in the subsidiary's currency, with the sign by which the balance grows). Imports no Dagster.

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

#: Balances by account, with the tie-out of which each side's movements are.
BY_ACCOUNT: Final = {
    "deferred_revenue": {"billing": "base", "general_ledger": "base"},
    "unbilled": {"billing": "base", "general_ledger": "base"},
    "prepaid": {"billing": "base", "general_ledger": "base", "netsuite": "transaction"},
}

UNKNOWN: Final = "not known"

#: Identity of a balance's part; receivables have no account.
_KEY: Final = ("subsidiary", "account_id", "currency")

_PARTS: Final = {
    "invoices": "",
    "credits": "-",
    "payments": "-",
    "prepayments": "",
    "applications": "-",
    "adjustments": "",
}
"""What a balance moves by, with the sign that turns a movement into it."""

#: A month that was reconciled before these were told apart has nothing in them.
_MOVED: Final = (
    "(invoices - credits - payments + coalesce(prepayments, 0) - coalesce(applications, 0) + adjustments)"
)

_PART_OF: Final = """CASE record WHEN 'invoice' THEN 'invoices' WHEN 'creditMemo' THEN 'credits'
    WHEN 'customerPayment' THEN 'payments' ELSE 'adjustments' END"""

#: A journal of billing's releases prepaid credit, or gives it; one from elsewhere adjusts the balance.
_PREPAID_PART: Final = """CASE WHEN record IN ('customerDeposit', 'depositApplication', 'invoice')
        OR record = 'journalEntry' AND (is_left OR key IN (SELECT key FROM prepaid_movements WHERE side = 'billing'))
    THEN CASE WHEN record <> 'depositApplication' AND (amount > 0 OR record = 'customerDeposit') THEN 'prepayments'
        ELSE 'applications' END
    WHEN record = 'creditMemo' THEN 'credits' ELSE 'adjustments' END"""


@dataclass(frozen=True)
class _Opening:
    """Where a side's opening comes from, in words, and SQL that gives it (subsidiary, account_id, currency, opening);
    None: unknown.
    """

    told: str
    query: str | None


def before(period: str) -> str:
    """The month before one."""
    return f"{month_bounds(period)[0] - timedelta(days=1):%Y-%m}"


def roll_forward(warehouse: TenantWarehouse, period: str) -> pd.DataFrame:
    """The month's roll-forward by balance, side, subsidiary, account and currency, as a frame `ROLL_FORWARD`.

    `receivables.find_movements` and `tie_outs.tie_out` must have run. Nothing is written.
    """
    frames.ensure(warehouse, frames.ROLL_FORWARD)
    parts = []
    for side, table in SIDES.items():
        moved = f"""
            SELECT subsidiary, NULL::VARCHAR AS account_id, currency, part, amount FROM movements
            WHERE side = {literal(side)} AND month = {literal(period)}"""
        opening = _held(warehouse, "receivables", side, period) or _landed(warehouse, side, table, period)
        parts.append(_part("receivables", side, moved, opening))
    for balance, sides in BY_ACCOUNT.items():
        part = _PREPAID_PART if balance == "prepaid" else _PART_OF
        for side, basis in sides.items():
            moved = f"""
                SELECT subsidiary, account_id, currency, amount, {part} AS part FROM entries
                WHERE tie_out = {literal(balance)} AND basis = {literal(basis)} AND is_left = {side == "billing"}"""
            opening = _held(warehouse, balance, side, period) or _rolled(warehouse, balance, side, period)
            parts.append(_part(balance, side, moved, opening))
    named = relations(warehouse)
    table = warehouse.arrow(f"""
        SELECT {literal(period)} AS period, r.balance, r.side, r.subsidiary, s.name AS subsidiary_name, r.account_id,
            a.number AS account_number, coalesce(a.full_name, r.account_id) AS account_name, r.currency, r.opening,
            r.opening_from, {", ".join(f"r.{name}::DECIMAL(18, 4) AS {name}" for name in _PARTS)},
            (r.opening + {_MOVED})::DECIMAL(18, 4) AS closing
        FROM ({" UNION ALL ".join(parts)}) r
        LEFT JOIN (SELECT internal_id, any_value(name) AS name FROM {named["subsidiaries"]} GROUP BY internal_id) s
            ON s.internal_id = r.subsidiary
        LEFT JOIN (SELECT internal_id, any_value(number) AS number, any_value(full_name) AS full_name
            FROM {named["accounts"]} GROUP BY internal_id) a ON a.internal_id = r.account_id
        ORDER BY list_position({list(frames.BALANCES)}, r.balance), r.subsidiary, a.number, r.account_id, r.currency, r.side""")
    return frames.validated(frames.ROLL_FORWARD, frames.frame(table))


def _part(balance: str, side: str, moved: str, opening: _Opening) -> str:
    """SQL of one side's rows, of what `moved` (subsidiary, account_id, currency, part, amount) and the opening."""
    query = opening.query or (
        "SELECT NULL::VARCHAR AS subsidiary, NULL::VARCHAR AS account_id, NULL::VARCHAR AS currency,"
        " NULL::DECIMAL(18, 4) AS opening WHERE false"
    )
    known = "coalesce(o.opening, 0)" if opening.query else "NULL"
    sums = ", ".join(
        f"{sign}sum(amount) FILTER (part = {literal(name)}) AS {name}" for name, sign in _PARTS.items()
    )
    same = " AND ".join(f"coalesce(o.{name}, '') = coalesce(m.{name}, '')" for name in _KEY)
    key = ", ".join(f"coalesce(m.{name}, o.{name}) AS {name}" for name in _KEY)
    return f"""
        SELECT {literal(balance)} AS balance, {literal(side)} AS side, {key}, {known}::DECIMAL(18, 4) AS opening,
            {literal(opening.told)} AS opening_from, {", ".join(f"coalesce(m.{name}, 0) AS {name}" for name in _PARTS)}
        FROM (
            SELECT {", ".join(_KEY)}, {sums}
            FROM ({moved}) GROUP BY ALL) m
        FULL JOIN ({query}) o ON {same}"""


def _held(warehouse: TenantWarehouse, balance: str, side: str, period: str) -> _Opening | None:
    """The closing of the month before, where one is held."""
    prior = before(period)
    held = (
        f"SELECT {', '.join(_KEY)}, closing AS opening FROM {frames.table_name(frames.ROLL_FORWARD)}"
        f" WHERE period = {literal(prior)} AND balance = {literal(balance)} AND side = {literal(side)}"
        " AND closing IS NOT NULL"
    )
    found = warehouse.value(f"SELECT count(*) FROM ({held})")
    return _Opening(f"closing of {prior}", held) if found else None


def _landed(warehouse: TenantWarehouse, side: str, table: str, period: str) -> _Opening:
    """What landed of the months directly before, of receivables."""
    months, prior = [], before(period)
    while warehouse.slice(table, prior) is not None:
        months.append(prior)
        prior = before(prior)
    if not months:
        return _Opening(UNKNOWN, None)
    return _Opening(
        f"{_span(months)}, before which nothing landed",
        "SELECT subsidiary, NULL::VARCHAR AS account_id, currency, sum(amount)::DECIMAL(18, 4) AS opening FROM movements"
        f" WHERE side = {literal(side)} AND month BETWEEN {literal(months[-1])} AND {literal(months[0])} GROUP BY ALL",
    )


def _rolled(warehouse: TenantWarehouse, balance: str, side: str, period: str) -> _Opening:
    """What moved in the months directly before that were reconciled."""
    table = frames.table_name(frames.ROLL_FORWARD)
    months, prior = [], before(period)
    while warehouse.value(f"SELECT count(*) FROM {table} WHERE period = ?", [prior]):
        months.append(prior)
        prior = before(prior)
    if not months:
        return _Opening(UNKNOWN, None)
    return _Opening(
        f"{_span(months)}, before which nothing was reconciled",
        f"SELECT {', '.join(_KEY)}, sum({_MOVED})::DECIMAL(18, 4) AS opening FROM {table}"
        f" WHERE balance = {literal(balance)} AND side = {literal(side)}"
        f" AND period BETWEEN {literal(months[-1])} AND {literal(months[0])} GROUP BY ALL",
    )


def _span(months: list[str]) -> str:
    """Consecutive months, the latest first, in words."""
    first, last = months[-1], months[0]
    return f"documents of {first}" if first == last else f"documents of {first} to {last}"
