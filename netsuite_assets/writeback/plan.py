"""The plan: the operations that would repair the differences, their identity, and whether a person must approve.

Here: making a plan, loading it again, and refusing one that was altered or rests on what has changed. Not here: the
operations and their bytes (`operations.py`), nor what is held back (`holds.py`). Nothing is sent here: `apply.py`
sends the bytes of this plan and no others. Imports no Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.engine import required_slices
from netsuite_assets.tables import TABLES
from netsuite_assets.tell import money, moneys
from netsuite_assets.writeback.holds import Hold, find_holds
from netsuite_assets.writeback.operations import build_operations, request_hash, request_in, sha256, text
from resources.ledger import Approval, Ledger, Plan
from resources.netsuite.writes import WriteRequest
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse

AUTOMATIC = "policy"

#: What of an operation decides, beside its bytes and its wave, whether and to what it is sent.
_DECIDING = (
    "operation_key", "record", "action", "external_id", "internal_id", "base_modified", "waits_for", "held"
)  # fmt: skip


class PlanRefused(Exception):
    """No plan can be made or applied; the message says why and what to do."""


@dataclass(frozen=True)
class Planned:
    """A plan as made: its operations (frame `PLAN`), why it waits for a person, and its approval if it has one."""

    plan: Plan
    operations: pd.DataFrame
    approval: Approval | None


def make_plan(
    warehouse: TenantWarehouse,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    ledger: Ledger,
    now: datetime,
) -> Planned:
    """Plan the repair of the differences that the last reconciliation found, and note it in the ledger.

    Writes the period's `write_back.plan` and the exceptions of stage `plan`. The same differences and policy
    give the same plan, byte for byte.
    """
    inputs = inputs_hash(warehouse, mapping, period)
    operations = build_operations(warehouse, tenant, mapping, period)
    holds = find_holds(warehouse, tenant, mapping, period, operations)
    _refuse_closed(tenant, period, holds)
    for operation in operations:
        hold = holds.get(operation["operation_key"])
        operation["held"] = hold.reason if hold is not None else None
    plan_id = plan_hash(tenant.name, period, mapping.hash, inputs, operations)
    for operation in operations:
        operation["plan_id"] = plan_id
    table = frames.rows_frame(frames.PLAN, operations)
    sent = [operation for operation in operations if operation["held"] is None]
    amounts = _by_currency(sent)
    held_because = _needs_a_person(warehouse, tenant, mapping, period, sent, amounts)
    plan = Plan(
        plan_id,
        tenant.name,
        period,
        now,
        mapping.hash,
        inputs,
        len(sent),
        _shown(amounts),
        held_because,
    )
    ledger.record_mapping(tenant.name, mapping.hash, tenant.effective, now)
    ledger.record_plan(plan)
    approval = standing(ledger.approval(plan_id), held_because)
    if approval is None and held_because is None and sent and tenant.writeback.mode == "apply":
        approval = Approval(plan_id, AUTOMATIC, True, "within the tenant's automatic limits", now)
        ledger.approve(approval)
    with warehouse.transaction():
        frames.replace(warehouse, frames.PLAN, period, table)
        frames.replace_exceptions(
            warehouse, period, ("plan",), _exceptions(tenant, period, operations, holds, plan, approval)
        )
    return Planned(plan, table, approval)


def load_plan(
    warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str, ledger: Ledger
) -> Planned:
    """The plan of a period as it was made, refused if it or anything it rests on has changed since."""
    operations = frames.read(warehouse, frames.PLAN, period).sort_values("sequence", ignore_index=True)
    made = ledger.plan_ids(tenant.name, period)
    if not made:
        raise PlanRefused(
            f"{tenant.name}, {period}: there is no plan to apply. Materialize correction_plan first."
        )
    plan = ledger.plan(made[0])
    assert plan is not None
    rows = frames.records(operations)
    if plan_hash(tenant.name, period, plan.mapping_hash, plan.inputs_hash, rows) != plan.plan_id:
        raise PlanRefused(
            f"{tenant.name}, {period}: the plan in the warehouse is not the plan {plan.plan_id[:12]} that was made:"
            " it has been altered since, or belongs to an earlier one. Nothing was sent."
            " Materialize correction_plan again and have that approved."
        )
    if plan.mapping_hash != mapping.hash or plan.inputs_hash != inputs_hash(warehouse, mapping, period):
        raise PlanRefused(
            f"{tenant.name}, {period}: what the plan {plan.plan_id[:12]} rests on has changed since it was made"
            " (billing, NetSuite or the mapping was read again). Nothing was sent."
            " Run the reconciliation again and apply its plan."
        )
    sent = [row for row in rows if row["held"] is None]
    held_because = _needs_a_person(warehouse, tenant, mapping, period, sent, _by_currency(sent))
    approval = standing(ledger.approval(plan.plan_id), held_because)
    return Planned(replace(plan, held_because=held_because), operations, approval)


def standing(approval: Approval | None, held_because: str | None) -> Approval | None:
    """The approval as far as it counts today: one that the policy gave lapses with limits that no longer give it."""
    return None if approval is not None and approval.automatic and held_because is not None else approval


def inputs_hash(warehouse: TenantWarehouse, mapping: TenantMapping, period: str) -> str:
    """A hash of everything the plan rests on: the content of each slice that was compared."""
    proofs = warehouse.require_slices(required_slices(mapping, period))
    return sha256(
        f"{proof.table}={proof.content_hash}" for proof in sorted(proofs, key=lambda proof: proof.table)
    )


def plan_hash(
    tenant: str, period: str, mapping_hash: str, inputs: str, operations: Sequence[Mapping[str, Any]]
) -> str:
    """The plan's identity: its inputs and each operation with its bytes and whether it is held, in order."""
    parts = [tenant, period, mapping_hash, inputs]
    for row in operations:
        parts += [
            str(row["wave"]),
            request_hash(request_in(row)),
            *(text(row[name]) or "" for name in _DECIDING),
        ]
    return sha256(parts)


def request_of(row: Mapping[str, Any]) -> WriteRequest:
    """The request that a row of the plan stands for; refused when it is not the one that was hashed."""
    request = request_in(row)
    if request_hash(request) != row["body_hash"]:
        raise PlanRefused(
            f"the {row['action']} of {row['record']} {row['external_id']} ({text(row['number'])}) was altered after"
            " it was planned. Nothing was sent. Make the plan again."
        )
    return request


def _shown(amounts: Mapping[str, Decimal]) -> str:
    return moneys(amounts) if amounts else ""


# Policy


def _needs_a_person(
    warehouse: TenantWarehouse,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    sent: Sequence[Mapping[str, Any]],
    amounts: Mapping[str, Decimal],
) -> str | None:
    """Why the plan must be approved by a named person, or None when the tenant's limits allow it by themselves."""
    policy = tenant.writeback
    reasons = []
    limits = policy.approve_automatically
    if len(sent) > limits.operations:
        reasons.append(
            f"{len(sent):,} operations are more than the {limits.operations:,} approved automatically"
        )
    over = {currency: amount for currency, amount in amounts.items() if amount > limits.amount}
    if over:
        reasons.append(
            f"it moves {_shown(over)}, more than the {money(limits.amount, None)} approved automatically"
        )
    records = sum(
        int(warehouse.value(f"SELECT count(*) FROM expected.{TABLES[record].name}"
                            + ("" if TABLES[record].lines is None else " WHERE period = ?"),
                            [] if TABLES[record].lines is None else [period]))
        for record in mapping.written
    )  # fmt: skip
    breaker = policy.circuit_breaker
    if sent and not records:
        reasons.append(f"it touches {len(sent):,} records where billing has none")
    elif records and Decimal(len(sent)) / records > breaker.share:
        reasons.append(
            f"it touches {len(sent):,} of {records:,} records, more than the circuit breaker's share of {breaker.share:%}"
        )
    if breaker.amount is not None:
        over = {currency: amount for currency, amount in amounts.items() if amount > breaker.amount}
        if over:
            reasons.append(
                f"it moves {_shown(over)}, more than the circuit breaker's {money(breaker.amount, None)}"
            )
    return "; ".join(reasons) or None


def _by_currency(operations: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for operation in operations:
        if operation["record"] != "customer" and operation["currency"] is not None:
            amounts[operation["currency"]] += operation["amount"]
    return dict(amounts)


def _refuse_closed(tenant: Tenant, period: str, holds: Mapping[str, Hold]) -> None:
    """Make no plan at all where the tenant would rather have none than one with held operations."""
    closed = [hold.reason for hold in holds.values() if hold.code == "period_closed"]
    if closed and tenant.writeback.closed_period == "fail":
        raise PlanRefused(
            f"{tenant.name}, {period}: no plan was made, because {closed[0]} and the tenant's file says"
            " writeback.closed_period: fail. Open the period, or set it to hold."
        )


def _exceptions(
    tenant: Tenant,
    period: str,
    operations: Sequence[Mapping[str, Any]],
    holds: Mapping[str, Hold],
    plan: Plan,
    approval: Approval | None,
) -> pd.DataFrame:
    rows = []
    waiting = tenant.writeback.mode == "apply" and approval is None and plan.operations > 0
    for operation in operations:
        hold = holds.get(operation["operation_key"])
        if hold is not None:
            code, reason, next_step = hold.code, f"Its correction is held: {hold.reason}.", hold.next_step
        elif waiting:
            code, reason = "not_approved", f"Its correction waits for approval: {plan.held_because}."
            next_step = f"Read the plan and run: recon approve {tenant.name} {period} --by NAME --note WHY"
        else:
            continue
        rows.append(
            {
                "period": period,
                "stage": "plan",
                "code": code,
                **{
                    name: operation[name]
                    for name in (
                        "record",
                        "external_id",
                        "internal_id",
                        "number",
                        "name",
                        "amount",
                        "currency",
                    )
                },
                "reason": reason,
                "next_step": next_step,
            }
        )
    return frames.rows_frame(frames.EXCEPTIONS, rows)
