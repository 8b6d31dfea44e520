"""A named person's approval of a plan, whole or of some of its operations.

Here: which operations are meant, and that they are those of the plan that the person read. Not here: what may go
without a person (`policy.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from netsuite_assets import frames
from netsuite_assets.tell import count
from netsuite_assets.writeback.plan import made_plan
from resources.ledger import Approval, Ledger, LedgerError
from resources.warehouse import TenantWarehouse


@dataclass(frozen=True)
class Selection:
    """Some operations of a plan: those of any of these record types, with any of these external ids, or with any of
    these numbers in the plan. What is left empty does not narrow; all empty means the whole plan.
    """

    records: Sequence[str] = ()
    external_ids: Sequence[str] = ()
    numbers: Sequence[int] = ()

    @property
    def is_everything(self) -> bool:
        """Whether it is the whole plan."""
        return not (self.records or self.external_ids or self.numbers)


def approve(
    warehouse: TenantWarehouse,
    ledger: Ledger,
    period: str,
    by: str,
    note: str,
    selection: Selection,
    now: datetime,
    plan_id: str | None = None,
) -> str:
    """Approve the latest plan of a period, or some of its operations, exactly as it was made; says what was done.

    `plan_id` (its first letters) is the plan that was read. Raises `PlanRefused` when there is none or it was
    altered, and `LedgerError` when another one is the latest, or an operation is not in it or is held.
    """
    tenant = warehouse.tenant
    plan = made_plan(warehouse, tenant, period, ledger)
    if plan_id is not None and not plan.plan_id.startswith(plan_id):
        raise LedgerError(
            f"the latest plan of {tenant} for {period} is {plan.plan_id[:12]}, not {plan_id}:"
            f" read it (recon plan {tenant} {period}) and approve that."
        )
    keys = None if selection.is_everything else _keys(warehouse, period, selection)
    ledger.approve(Approval(plan.plan_id, by, False, note, now, keys))
    of = f"plan {plan.plan_id[:12]} of {tenant} for {period}"
    if keys is None:
        return f"The {of} is approved by {by}."
    return f"{count(len(keys), 'operation')} of the {of} approved by {by}."


def _keys(warehouse: TenantWarehouse, period: str, selection: Selection) -> frozenset[str]:
    frames.ensure(warehouse, frames.PLAN)
    rows = warehouse.sql(
        "SELECT operation_key, sequence, record, external_id, held FROM write_back.plan WHERE period = ?"
        " AND (len(?::VARCHAR[]) = 0 OR list_contains(?::VARCHAR[], record))"
        " AND (len(?::VARCHAR[]) = 0 OR list_contains(?::VARCHAR[], external_id))"
        " AND (len(?::BIGINT[]) = 0 OR list_contains(?::BIGINT[], sequence)) ORDER BY sequence",
        [
            period,
            *(list(selection.records),) * 2,
            *(list(selection.external_ids),) * 2,
            *(list(selection.numbers),) * 2,
        ],
    )
    for given, found, what in (
        (selection.records, {row[2] for row in rows}, "record type"),
        (selection.external_ids, {row[3] for row in rows}, "external id"),
        (selection.numbers, {row[1] for row in rows}, "number"),
    ):
        unknown = [str(one) for one in given if one not in found]
        if unknown:
            raise LedgerError(
                f"the plan of {warehouse.tenant} for {period} has no operation with the {what} {', '.join(unknown[:5])}"
                " (among the others named), so nothing was approved."
                f" Read the plan: recon plan {warehouse.tenant} {period}"
            )
    held = [row for row in rows if row[4] is not None]
    if held and selection.numbers:
        raise LedgerError(
            f"operation {held[0][1]} of the plan of {warehouse.tenant} for {period} is held ({held[0][4]}), whoever"
            " approves it, so nothing was approved."
        )
    return frozenset(row[0] for row in rows if row[4] is None)
