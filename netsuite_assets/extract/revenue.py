"""Revenue recognition's read side: the elements of a month's revenue arrangements, their plans, and what is planned when.

Here: which rows are a month's, and how they land (`netsuite.revenue_elements`, `netsuite.revenue_plans`,
`netsuite.revenue_planned`). Not here: the journals that recognise revenue (`journals.py`). Imports no Dagster.

A month's elements are those dated in it: NetSuite dates an element as the document that it comes from. Plans and planned
revenue are found through their elements. Where the account does not use Advanced Revenue Management, or the role does not
see it, the tables stay empty and `meta.not_visible` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa

from netsuite_assets.extract.billing import month_bounds
from netsuite_assets.extract.rows import Column, Extraction
from netsuite_assets.extract.visibility import Hidden, if_visible, leave_empty, note, shown
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import Rejected
from resources.netsuite.sets import Proof
from resources.netsuite.suiteql import literal
from resources.warehouse import Slice, TenantWarehouse, duckdb_type

_TEXT = pa.string()
_FLAG = pa.bool_()
_AMOUNT = pa.decimal128(18, 4)
_RATE = pa.decimal128(28, 12)


def _date(expression: str) -> Column:
    return Column(f"TO_CHAR({expression}, 'YYYY-MM-DD')", pa.date32())


@dataclass(frozen=True)
class Part:
    """One of the three tables. `needed` are the columns without which it is not read; `sql` are landed columns (`extra`) that are worked out."""

    table: str
    label: str
    source: str
    key: str
    columns: Mapping[str, Column]
    needed: tuple[str, ...]
    sql: str
    extra: Mapping[str, str]

    @property
    def landed(self) -> dict[str, str]:
        """The landed columns and their DuckDB types."""
        columns = {name: duckdb_type(column.kind) for name, column in self.columns.items()}
        return {"period": "VARCHAR", **columns, **self.extra}


_SYMBOL: Final = (
    "(SELECT max(c.symbol) FROM netsuite.currencies c WHERE c.internal_id = r.currency_id) AS currency"
)
_PERIOD_NAME: Final = "(SELECT max(p.name) FROM netsuite.periods p WHERE p.internal_id = r.{0}_id) AS {0}"

PARTS: Final = (
    Part(
        "revenue_elements",
        "revenue elements",
        "revenueelement e",
        "e.id",
        {
            "internal_id": Column("e.id", _TEXT),
            "reference_id": Column("e.referenceid", _TEXT),
            "arrangement_id": Column("e.revenuearrangement", _TEXT),
            "source": Column("e.source", _TEXT),
            "customer_id": Column("e.entity", _TEXT),
            "item": Column("e.item", _TEXT),
            "quantity": Column("e.quantity", pa.decimal128(28, 10)),
            "sales_amount": Column("e.salesamount", _AMOUNT),
            "allocation_amount": Column("e.allocationamount", _AMOUNT),
            "currency_id": Column("e.currency", _TEXT),
            "exchange_rate": Column("e.exchangerate", _RATE),
            "element_date": _date("e.elementdate"),
            "starts_on": _date("e.revrecstartdate"),
            "ends_on": _date("e.revrecenddate"),
        },
        ("element_date", "sales_amount"),
        # Sources disagree on whether an element's source is its document's id or its title ("Invoice #INV10001").
        f"{_SYMBOL}, coalesce((SELECT max(i.internal_id) FROM netsuite.invoices i WHERE i.internal_id = r.source),"
        " (SELECT max(i.internal_id) FROM netsuite.invoices i WHERE i.number = split_part(r.source, '#', 2)))"
        " AS invoice_id",
        {"currency": "VARCHAR", "invoice_id": "VARCHAR"},
    ),
    Part(
        "revenue_plans",
        "revenue plans",
        "revenueplan p JOIN revenueelement e ON e.id = p.createdfrom",
        "p.id",
        {
            "internal_id": Column("p.id", _TEXT),
            "element_id": Column("p.createdfrom", _TEXT),
            "item": Column("p.item", _TEXT),
            "amount": Column("p.amount", _AMOUNT),
            "initial_amount": Column("p.initialamount", _AMOUNT),
            "amount_source": Column("p.amountsource", _TEXT),
            "recognition_method": Column("p.recognitionmethod", _TEXT),
            "currency_id": Column("p.parentlinecurrency", _TEXT),
            "exchange_rate": Column("p.exchangerate", _RATE),
            "starts_on": _date("p.revrecstartdate"),
            "ends_on": _date("p.revrecenddate"),
            "is_held": Column("p.holdrevenuerecognition", _FLAG),
            "comments": Column("p.comments", _TEXT),
        },
        ("element_id", "amount"),
        _SYMBOL,
        {"currency": "VARCHAR"},
    ),
    Part(
        "revenue_planned",
        "planned revenue",
        "revenueplanplannedrevenue r JOIN revenueplan p ON p.id = r.revenueplan"
        " JOIN revenueelement e ON e.id = p.createdfrom",
        "r.id",
        {
            "internal_id": Column("r.id", _TEXT),
            "plan_id": Column("r.revenueplan", _TEXT),
            "planned_period_id": Column("r.plannedperiod", _TEXT),
            "posting_period_id": Column("r.postingperiod", _TEXT),
            "amount": Column("r.amount", _AMOUNT),
            "account_id": Column("r.recognitionaccount", _TEXT),
            "journal_id": Column("r.journal", _TEXT),
            "is_recognized": Column("r.isrecognized", _FLAG),
        },
        ("plan_id", "amount"),
        f"{_PERIOD_NAME.format('planned_period')}, {_PERIOD_NAME.format('posting_period')}",
        {"planned_period": "VARCHAR", "posting_period": "VARCHAR"},
    ),
)
"""In the order in which each is found through the one before. Amounts are in the document's currency; `source`, `item`,
`account_id`, … are NetSuite's internal ids, `invoice_id` that of the month's invoice that an element comes from.
"""


async def extract_revenue(
    warehouse: TenantWarehouse, netsuite: NetSuite, period: str, now: datetime
) -> dict[str, Slice]:
    """Land the revenue elements dated in a month with their plans. Reference data and invoices must have landed before.

    NetSuite tells no time of change of these rows that every account shows, so they are read each time, in one request
    each where one page holds them.
    """
    extraction = Extraction(warehouse, netsuite, lambda: now)
    for part in PARTS:
        warehouse.ensure_table(f"netsuite.{part.table}", part.landed)
        extraction.prepare(part.table, part.columns)
    start, end = month_bounds(period)
    where = f"e.elementdate >= {literal(start)} AND e.elementdate < {literal(end)}"
    landed: dict[str, Slice] = {}
    hidden: Hidden | None = None
    with extraction.transaction():
        for part in PARTS:
            table = f"netsuite.{part.table}"
            found: Proof | Hidden
            found = hidden if hidden is not None else await if_visible(_read(extraction, part, period, where))
            hidden = found if isinstance(found, Hidden) else None
            note(warehouse, {table: hidden}, now)
            if isinstance(found, Hidden):
                leave_empty(warehouse, table, period)
                continue
            landed[table] = warehouse.replace_slice(
                table,
                period,
                f"SELECT r.* EXCLUDE (scope), {part.sql} FROM netsuite_rows.{part.table} r WHERE r.scope = '{period}'",
                key=("internal_id",),
                expected_rows=found.after.rows,
                source="NetSuite",
                now=now,
            )
    return landed


async def _read(extraction: Extraction, part: Part, period: str, where: str) -> Proof:
    columns = part.columns
    optional = [name for name in columns if name not in ("internal_id", *part.needed)]
    while True:
        try:
            return await extraction.read(
                part.table, period, f"{part.label} of {period}", columns, part.source, where, part.key
            )
        except Rejected as error:
            fewer = shown(columns, optional, error)
            if fewer is None:
                raise
            columns = fewer
