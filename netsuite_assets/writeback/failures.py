"""Which failed operations still fail: an exception of the write-back stays until its write succeeded or is not needed.

Here: the two questions that keep such an exception from closing just because a run did not raise it again, and the
failures of a run that was killed before it could raise any. Not here: what fails (`apply.py`), or the closing
(`netsuite_assets/reconcile/exceptions.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from netsuite_assets import frames
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.exceptions import IDENTITY, identity, synchronise
from netsuite_assets.tables import TABLES
from netsuite_assets.writeback.apply import LOOKED_UP_NEXT
from netsuite_assets.writeback.operations import label_of
from netsuite_assets.writeback.sending import PLAN_AGAIN
from resources.ledger import LastingException, Ledger
from resources.warehouse import TenantWarehouse, literal


def tell_plan(
    warehouse: TenantWarehouse,
    mapping: TenantMapping,
    period: str,
    ledger: Ledger,
    now: datetime,
    run_id: str,
) -> None:
    """Bring the ledger's exceptions to what a plan that was just made says, of failed operations too."""
    synchronise(
        warehouse,
        ledger,
        period,
        ["plan"],
        now,
        run_id,
        also=["apply"],
        more=untold(warehouse, period, ledger, now),
        stays=still_needed(warehouse, mapping, period, ledger, now),
    )


def tell_outcomes(
    warehouse: TenantWarehouse,
    period: str,
    ledger: Ledger,
    now: datetime,
    run_id: str,
) -> None:
    """Bring the ledger's exceptions to what became of a plan, as sent or as read back."""
    synchronise(
        warehouse, ledger, period, ["apply"], now, run_id, stays=not_tried(warehouse, period, ledger, now)
    )


def still_needed(
    warehouse: TenantWarehouse, mapping: TenantMapping, period: str, ledger: Ledger, now: datetime
) -> Callable[[LastingException], bool]:
    """Whether a failed operation is still to be done, once a new plan is made of a whole comparison.

    It is while the plan writes its record, held or not; while its document cannot be mapped, so that nobody knows; and
    while the outcome of a write to it is not known.
    """
    of_period = f"period = {literal(period)}"
    parts = [f"SELECT record, {', '.join(IDENTITY)} FROM {frames.PLAN.name} WHERE {of_period}"]
    for record in mapping.written:
        tables = TABLES[record]
        where = "" if tables.lines is None else f" AND {of_period}"
        parts.append(
            f"SELECT {literal(record)}, external_id, NULL, NULL, NULL FROM expected.{tables.name}"
            f" WHERE problem IS NOT NULL{where}"
        )
    frames.ensure(warehouse, frames.PLAN)
    needed = _among(warehouse, " UNION ALL ".join(parts), _failed(warehouse, period, ledger, now))
    doubtful = {(intent.record, intent.target) for intent in ledger.open_intents(warehouse.tenant)}

    def stays(row: LastingException) -> bool:
        return row.stage == "apply" and (
            (row.record, identity(vars(row))) in needed
            or (row.record, row.external_id) in doubtful
            or (row.record, row.internal_id) in doubtful
        )

    return stays


def not_tried(
    warehouse: TenantWarehouse, period: str, ledger: Ledger, now: datetime
) -> Callable[[LastingException], bool]:
    """Whether an operation was held in this apply, so that how it failed before is still the last that is known."""
    frames.ensure(warehouse, frames.OUTCOMES)
    held = _among(
        warehouse,
        f"SELECT record, {', '.join(IDENTITY)} FROM {frames.OUTCOMES.name}"
        f" WHERE period = {literal(period)} AND state = 'held' AND next_step IS NULL",
        _failed(warehouse, period, ledger, now),
    )

    def stays(row: LastingException) -> bool:
        return (row.record, identity(vars(row))) in held

    return stays


def _failed(warehouse: TenantWarehouse, period: str, ledger: Ledger, now: datetime) -> list[LastingException]:
    return [row for row in ledger.exceptions(warehouse.tenant, now, period) if row.stage == "apply"]


def _among(
    warehouse: TenantWarehouse, rows: str, failed: Sequence[LastingException]
) -> set[tuple[str, tuple[str, str]]]:
    """Record type and identity of those rows of a query (record and `IDENTITY`) that may be among the failed."""
    names = sorted({identity(vars(row))[1] for row in failed})
    if not names:
        return set()
    found = warehouse.arrow(
        f"SELECT * FROM ({rows}) WHERE coalesce({', '.join(IDENTITY)}) IN (SELECT unnest(?::VARCHAR[]))",
        [names],
    )
    return {(row["record"], identity(row)) for row in found.to_pylist()}


def untold(warehouse: TenantWarehouse, period: str, ledger: Ledger, now: datetime) -> list[dict[str, Any]]:
    """Failures that the ledger's intents know and no exception tells: their run was killed before it could.

    Rows of the frame `EXCEPTIONS`: writes whose outcome is not known, and those that NetSuite refused and the plan
    still holds.
    """
    told = {(row.record, identity(vars(row))) for row in _failed(warehouse, period, ledger, now)}
    latest = {(row["record"], row["target"]): row for row in ledger.history(warehouse.tenant, period)}
    last = [row for row in latest.values() if row["is_open"] or row["state"] == "rejected"]
    planned = _planned(warehouse, period, [row["operation_key"] for row in last])
    rows = []
    for intent in last:
        operation = planned.get(intent["operation_key"])
        refused = intent["state"] == "rejected" and operation is not None
        if not (intent["is_open"] or refused):
            continue
        is_deletion = intent["action"] == "delete"
        row = {
            "period": period,
            "stage": "apply",
            "code": "in_doubt" if intent["is_open"] else "rejected",
            "record": intent["record"],
            "external_id": None if is_deletion else intent["target"],
            "internal_id": intent["target"] if is_deletion else intent["internal_id"],
            **{name: intent[name] for name in ("number", "name")},
            "amount": Decimal(0),
            "currency": None,
        } | ({name: operation[name] for name in _OF_OPERATION} if operation is not None else {})
        if (row["record"], identity(row)) in told:
            continue
        label = label_of({**row, "action": intent["action"]})
        row["reason"] = (
            f"The {intent['action']} of {label}: {intent['detail'] or 'the run ended before an answer came'}"
        )
        row["next_step"] = LOOKED_UP_NEXT if intent["is_open"] else PLAN_AGAIN
        rows.append(row)
    return rows


def _planned(warehouse: TenantWarehouse, period: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is told of those of these operations that the plan has, by their keys."""
    frames.ensure(warehouse, frames.PLAN)
    found = warehouse.arrow(
        f"SELECT operation_key, {', '.join(_OF_OPERATION)} FROM {frames.PLAN.name}"
        " WHERE period = ? AND operation_key IN (SELECT unnest(?::VARCHAR[]))",
        [period, list(keys)],
    )
    return {row.pop("operation_key"): row for row in found.to_pylist()}


_OF_OPERATION = ("external_id", "internal_id", "number", "name", "amount", "currency")
