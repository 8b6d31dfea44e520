"""A tenant's month in short, read from the published mart: for the printed page and the month-end view.

Here: the numbers that finance reads first. Not here: how they are printed (`page.py`) or shown in Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from netsuite_assets.publish.published import opened
from resources.warehouse import WarehouseError


@dataclass
class CurrencyTotals:
    """Invoices less credit memos of one currency."""

    billed: Decimal = Decimal(0)
    held_back: Decimal = Decimal(0)
    netsuite_before: Decimal = Decimal(0)
    unexplained: Decimal = Decimal(0)
    netsuite_now: Decimal = Decimal(0)


@dataclass(frozen=True)
class RecordTotals:
    """One record type and currency, as `reconciliation.totals` has it, and what NetSuite holds now."""

    record: str
    currency: str
    billed_documents: int
    billed_total: Decimal
    held_back_documents: int
    held_back_total: Decimal
    netsuite_documents: int
    netsuite_total: Decimal
    netsuite_documents_now: int
    netsuite_total_now: Decimal


@dataclass(frozen=True)
class KindOfDifference:
    """How many differences of one kind were found, and the one that concerns most money as an example."""

    record: str
    kind: str
    number: int
    example_of: str | None
    example: str


@dataclass(frozen=True)
class SignOffSummary:
    """The latest step of the month's sign-off: `prepared`, `reviewed`, `withdrawn` or `reopened`, by whom and why."""

    event: str
    by: str
    at: datetime
    note: str


@dataclass(frozen=True)
class TenantSummary:
    """A tenant's month: totals, what differed, what was written, what needs a person.

    `outcomes` and `verified` count what went to NetSuite; `written` has what was told to billing besides.
    `amiss` is how many documents NetSuite does not hold now in the month, amount and currency that billing says.
    `exceptions` are those that are open, `accepted` those that somebody accepted for now.
    """

    tenant: str
    period: str
    records: list[RecordTotals]
    kinds: list[KindOfDifference]
    outcomes: Mapping[str, int]
    written: Mapping[tuple[str, str], int]
    verified: int
    planned: int
    amiss: int
    exceptions: list[dict[str, Any]]
    accepted: list[dict[str, Any]]
    totals: Mapping[str, CurrencyTotals] = field(default_factory=dict)
    sign_off: SignOffSummary | None = None

    @property
    def differences(self) -> int:
        """How many differences the last reconciliation found."""
        return sum(part.number for part in self.kinds)

    @property
    def agrees(self) -> bool:
        """Whether NetSuite now holds exactly what billing billed, document by document, but for what is held back."""
        return self.amiss == 0


def read_summaries(published: Path, period: str, tenants: list[str] | None = None) -> list[TenantSummary]:
    """The summaries of a month, by tenant; of those that were published, or of the ones named.

    Raises `WarehouseError` when nothing was published yet, or nothing of a tenant that is named, or by an older version
    of this project.
    """
    with opened(published) as connection:
        try:
            names = tenants or [
                row[0]
                for row in connection.execute(
                    "SELECT DISTINCT tenant FROM slices WHERE period = ? ORDER BY 1", [period]
                ).fetchall()
            ]
            return [_summary(connection, name, period) for name in names]
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise WarehouseError(
                f"the published file {published} was made by an older version: {str(error).splitlines()[0]}."
                " Each tenant's next run publishes its part anew."
            ) from None


_RECORDS = """
WITH now AS (
    SELECT record, netsuite_currency AS currency, count(*) AS documents, sum(netsuite_total) AS total
    FROM documents
    WHERE tenant = $tenant AND period = $period AND netsuite_month = $period
    GROUP BY ALL
)
SELECT t.record, t.currency, t.billed_documents, t.billed_total, t.held_back_documents, t.held_back_total,
    t.netsuite_documents, t.netsuite_total, coalesce(n.documents, 0), coalesce(n.total, 0), t.unexplained
FROM totals t
LEFT JOIN now n ON n.record = t.record AND n.currency = t.currency
WHERE t.tenant = $tenant AND t.period = $period
ORDER BY t.record DESC, t.currency
"""

_AMISS = """
SELECT count(*)
FROM documents
WHERE tenant = $tenant AND period = $period AND CASE
    WHEN problem IS NOT NULL THEN netsuite_month = $period
    ELSE netsuite_month IS DISTINCT FROM $period OR billed_total IS DISTINCT FROM netsuite_total
        OR currency IS DISTINCT FROM netsuite_currency END
"""


def _summary(connection: duckdb.DuckDBPyConnection, tenant: str, period: str) -> TenantSummary:
    where = {"tenant": tenant, "period": period}
    landed = "SELECT 1 FROM slices WHERE tenant = $tenant AND period = $period LIMIT 1"
    if not connection.execute(landed, where).fetchall():
        raise WarehouseError(
            f"nothing is published yet of {tenant} for {period}. Materialize published_mart of that month first."
        )
    amiss = connection.execute(_AMISS, where).fetchall()
    records, totals = [], defaultdict[str, CurrencyTotals](CurrencyTotals)
    for row in connection.execute(_RECORDS, where).fetchall():
        part = RecordTotals(*row[:10])
        records.append(part)
        sign = -1 if part.record == "creditMemo" else 1
        total = totals[part.currency]
        total.billed += sign * part.billed_total
        total.held_back += sign * part.held_back_total
        total.netsuite_before += sign * part.netsuite_total
        total.netsuite_now += sign * part.netsuite_total_now
        total.unexplained += sign * row[10]
    kinds = connection.execute(
        "SELECT record, kind, count(*), first(CASE WHEN record = 'customer' THEN name ELSE number END ORDER BY amount DESC, number),"
        " first(reason ORDER BY amount DESC, number)"
        " FROM differences WHERE tenant = $tenant AND period = $period GROUP BY record, kind ORDER BY 3 DESC, 1, 2",
        where,
    ).fetchall()
    outcomes = connection.execute(
        "SELECT o.state, count(*), count(*) FILTER (WHERE o.verified) FROM outcomes o"
        " WHERE o.tenant = $tenant AND o.period = $period AND o.action <> 'return' GROUP BY 1 ORDER BY 1",
        where,
    ).fetchall()
    written = connection.execute(
        "SELECT action, record, count(*) FROM outcomes WHERE tenant = $tenant AND period = $period"
        " AND state IN ('written', 'adopted') GROUP BY action, record ORDER BY action = 'return', 1, 2",
        where,
    ).fetchall()
    planned = connection.execute(
        "SELECT count(*) FROM plan WHERE tenant = $tenant AND period = $period", where
    ).fetchall()
    exceptions = connection.execute(
        "SELECT * EXCLUDE (tenant) FROM exceptions WHERE tenant = $tenant AND period = $period"
        " ORDER BY stage, code, record, number",
        where,
    )
    names = [column[0] for column in exceptions.description or []]
    waiting = [dict(zip(names, row, strict=True)) for row in exceptions.fetchall()]
    signed = connection.execute(
        "SELECT event, done_by, happened_at, note FROM sign_offs"
        " WHERE tenant = $tenant AND period = $period AND is_latest",
        where,
    ).fetchall()
    return TenantSummary(
        tenant,
        period,
        records,
        [KindOfDifference(*row) for row in kinds],
        {state: count for state, count, _ in outcomes},
        {(action, record): count for action, record, count in written},
        sum(verified for _, _, verified in outcomes),
        planned[0][0],
        amiss[0][0],
        [row for row in waiting if row["state"] == "open"],
        [row for row in waiting if row["state"] == "accepted"],
        dict(totals),
        SignOffSummary(*signed[0]) if signed else None,
    )
