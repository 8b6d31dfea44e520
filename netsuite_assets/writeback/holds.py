"""What of a plan is not sent yet, and why: a month that takes no postings, a customer that cannot be made, a
document that NetSuite may hold already.

Here: the reasons, each with what a person should do. Not here: the limits above which a person must approve
(`plan.py`), nor what is found only when sending (`apply.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.differences import ONCE_AS
from netsuite_assets.tables import TABLES
from netsuite_assets.writeback.operations import label_of
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse


@dataclass(frozen=True)
class Hold:
    """Why an operation is not sent: the exception's code, the reason, and the next step."""

    code: str
    reason: str
    next_step: str


def find_holds(
    warehouse: TenantWarehouse,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    operations: Sequence[Mapping[str, Any]],
) -> dict[str, Hold]:
    """The operations that may not be sent as things are, by operation key."""
    closed = _closed_months(warehouse)
    dated_in = _dated_elsewhere(warehouse, mapping, period)
    unmade = _customers_that_cannot_be_made(warehouse, mapping)
    alike = _look_alikes(warehouse, period) if tenant.writeback.duplicate == "hold" else {}
    found: dict[str, Hold] = {}
    for row in operations:
        record, external_id = row["record"], row["external_id"]
        months = [period, dated_in.get((record, row["internal_id"]), period)]
        month = next((month for month in months if month in closed), None)
        if TABLES[record].lines is not None and month is not None:
            found[row["operation_key"]] = Hold(
                "period_closed",
                f"the accounting period {month} is {closed[month]} in NetSuite",
                "Re-open the period in NetSuite (Setup > Accounting > Manage Accounting Periods) and run again.",
            )
        elif row["waits_for"] in unmade:
            found[row["operation_key"]] = Hold(
                "unresolved_reference",
                f"its customer {row['waits_for']} is not in NetSuite and cannot be made:"
                f" {unmade[row['waits_for']].rstrip('.')}",
                "Mend the customer's exception first; this follows in the next run.",
            )
        elif row["action"] == "create" and (record, external_id) in alike:
            found[row["operation_key"]] = Hold(
                "not_linked",
                f"NetSuite may hold it already, as {alike[record, external_id]}",
                f"If that is this {TABLES[record].label}, give it the external id {external_id} in NetSuite; if it"
                " is another one, give it its own number there. Then run again.",
            )
    return found


def _closed_months(warehouse: TenantWarehouse) -> dict[str, str]:
    """The months that take no postings, and why."""
    rows = warehouse.sql(
        "SELECT strftime(start_date, '%Y-%m'), CASE WHEN closed THEN 'closed' ELSE 'locked for receivables' END"
        " FROM netsuite.periods WHERE closed OR ar_locked OR all_locked"
    )
    return dict(rows)


def _dated_elsewhere(
    warehouse: TenantWarehouse, mapping: TenantMapping, period: str
) -> dict[tuple[str, str | None], str]:
    """The month in which NetSuite dates a document of this one, by record type and internal id, where it is another."""
    found: dict[tuple[str, str | None], str] = {}
    for record in mapping.written:
        if TABLES[record].lines is not None:
            rows = warehouse.sql(
                f"SELECT internal_id, dated_in FROM netsuite.{TABLES[record].name} WHERE period = ? AND dated_in <> period",
                [period],
            )
            found.update({(record, internal_id): month for internal_id, month in rows})
    return found


def _customers_that_cannot_be_made(
    warehouse: TenantWarehouse, mapping: TenantMapping
) -> dict[str | None, str]:
    """External ids of customers that NetSuite lacks and the mapping cannot make, with the reason."""
    if "customer" not in mapping.written:
        return {}
    rows = warehouse.sql(
        "SELECT e.external_id, e.problem FROM expected.customers e WHERE e.problem IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM netsuite.customers n WHERE n.external_id = e.external_id)"
    )
    return dict(rows)


def _look_alikes(warehouse: TenantWarehouse, period: str) -> dict[tuple[str, str | None], str]:
    """The documents that repeat a billing document, named, by record type and that document's external id."""
    rows = warehouse.sql(
        "SELECT record, substr(expected, ?), min(internal_id), first(number ORDER BY internal_id),"
        " first(name ORDER BY internal_id)"
        " FROM reconciliation.differences WHERE period = ? AND kind = 'duplicate' GROUP BY ALL",
        [len(ONCE_AS) + 1, period],
    )
    return {
        (record, external_id): label_of(
            {
                "record": record,
                "number": number,
                "name": name,
                "external_id": None,
                "internal_id": internal_id,
            }
        )
        for record, external_id, internal_id, number, name in rows
    }
