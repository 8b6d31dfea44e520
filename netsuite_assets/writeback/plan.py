"""The plan: from the differences to the exact requests that would repair them.

Here: which operations, in which order, with which bytes; what policy holds back; whether a person must approve.
Nothing is sent here: `apply.py` sends the bytes of this plan and no others. Imports no Dagster.

A record that NetSuite lacks is created by an upsert to its external id, so that sending it twice makes one record.
One that differs gets only the fields that differ; where lines differ, all lines are replaced.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.reconcile.engine import required_slices
from netsuite_assets.tables import TABLES
from netsuite_assets.tell import money
from netsuite_assets.writeback.holds import Hold, find_holds
from resources.ledger import Approval, Ledger, Plan
from resources.netsuite.writes import WriteRequest, delete_request, eid, update_request, upsert_request
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse, quote

#: Customers before the documents that name them; removals before the documents that take their place.
CUSTOMERS, REMOVALS, INVOICES, CREDIT_MEMOS = range(4)
_WAVES = {"customer": CUSTOMERS, "invoice": INVOICES, "creditMemo": CREDIT_MEMOS}

#: Kinds of difference that an update of the record repairs.
_REPAIRED_BY_UPDATE = frozenset(
    {"changed", "wrong_customer", "line_missing", "line_extra", "line_changed", "total"}
)
_LINE_KINDS = frozenset({"line_missing", "line_extra", "line_changed", "total"})

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


@dataclass
class _Target:
    """One record and all that differs in it."""

    record: str
    external_id: str | None
    internal_id: str | None
    number: str | None
    name: str | None
    currency: str | None
    kinds: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    amount: Decimal = Decimal(0)
    changes: list[str] = field(default_factory=list)


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
    operations = _operations(warehouse, tenant, mapping, period)
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
        shown_amounts(amounts),
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
    return _sha256(
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
            request_hash(_request(row)),
            *(_text(row[name]) or "" for name in _DECIDING),
        ]
    return _sha256(parts)


def request_hash(request: WriteRequest) -> str:
    """The hash of the exact request: method, path, query and body."""
    return _sha256([request.method, request.path, request.query, request.body.decode()])


def request_of(row: Mapping[str, Any]) -> WriteRequest:
    """The request that a row of the plan stands for; refused when it is not the one that was hashed."""
    request = _request(row)
    if request_hash(request) != row["body_hash"]:
        raise PlanRefused(
            f"the {row['action']} of {row['record']} {row['external_id']} ({_text(row['number'])}) was altered after"
            " it was planned. Nothing was sent. Make the plan again."
        )
    return request


def _request(row: Mapping[str, Any]) -> WriteRequest:
    return WriteRequest(
        method=row["method"],
        path=row["path"],
        query=row["query"],
        body=str(row["body"]).encode(),
        label=label_of(row),
    )


def label_of(row: Mapping[str, Any]) -> str:
    """An operation's record as people know it: `invoice INV-7 of Acme GmbH (inv-7)`."""
    tables = TABLES[row["record"]]
    parts = [tables.label, _text(row["number"]) or "", f"of {row['name']}" if _text(row["name"]) else ""]
    where = _text(row["external_id"]) or f"internal id {_text(row['internal_id'])}"
    return " ".join(part for part in parts if part) + f" ({where})"


def shown_amounts(amounts: Mapping[str, Decimal]) -> str:
    """Amounts by currency, for people: `EUR 10.00; USD 1,299.50`."""
    return "; ".join(money(amount, currency) for currency, amount in sorted(amounts.items()))


# Operations


def _operations(
    warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str
) -> list[dict[str, Any]]:
    targets = _targets(frames.read(warehouse, frames.DIFFERENCES, period))
    operations: list[dict[str, Any]] = []
    for record, rules in mapping.records.items():
        of_record = [target for target in targets if target.record == record]
        expected = _rows_by_external_id(warehouse, record, period, of_record)
        lines = _lines_by_external_id(warehouse, record, period, of_record)
        base = _bases(warehouse, record, period)
        for target in of_record:
            action = _action(target, tenant)
            if action is None:
                continue
            header = expected.get(target.external_id or "")
            request = _build(target, action, rules, header, lines.get(target.external_id or "", []))
            modified = base.get(target.internal_id or "")
            row: dict[str, Any] = {
                "period": period,
                "wave": REMOVALS if action == "delete" else _WAVES[record],
                "record": record,
                "action": action,
                "external_id": target.external_id,
                "internal_id": target.internal_id,
                "base_modified": modified,
                "waits_for": _customer_of(rules, header) if action != "delete" else None,
                "number": target.number,
                "name": target.name,
                "amount": target.amount,
                "currency": target.currency,
                "changes": _shown_changes(target, action),
                "method": request.method,
                "path": request.path,
                "query": request.query,
                "body": request.body.decode(),
                "body_hash": request_hash(request),
                "held": None,
            }
            row["operation_key"] = _sha256(
                [tenant.name, record, action, row["external_id"] or "", row["internal_id"] or "",
                 row["body_hash"], modified or ""]
            )  # fmt: skip
            operations.append(row)
    operations.sort(key=lambda row: (row["wave"], row["external_id"] or "", row["internal_id"] or ""))
    for sequence, row in enumerate(operations, start=1):
        row["sequence"] = sequence
    return operations


def _targets(differences: pd.DataFrame) -> list[_Target]:
    """The differing records in a stable order, each with all its differences that billing owns."""
    found: dict[tuple[str, str | None, str | None], _Target] = {}
    for row in frames.records(differences):
        if row["owner"] != "billing":
            continue
        key = (row["record"], row["external_id"], row["internal_id"])
        target = found.setdefault(
            key, _Target(*key, number=row["number"], name=row["name"], currency=row["currency"])
        )
        target.kinds.add(row["kind"])
        target.changes.append(row["reason"])
        if row["kind"] in ("line_missing", "line_extra", "line_changed"):
            target.amount += row["amount"]
        else:
            target.amount = max(target.amount, row["amount"])
        if row["field"] is not None and row["line"] is None and row["kind"] != "total":
            target.fields.add(row["field"])
    return list(found.values())


def _action(target: _Target, tenant: Tenant) -> str | None:
    if "missing_in_netsuite" in target.kinds:
        return "create"
    if "duplicate" in target.kinds:
        return "delete" if tenant.writeback.duplicate == "delete" else None
    if "only_in_netsuite" in target.kinds:
        return "delete" if tenant.writeback.only_in_netsuite == "delete" else None
    return "update" if target.kinds & _REPAIRED_BY_UPDATE else None


def _build(
    target: _Target,
    action: str,
    rules: RecordMapping,
    header: Mapping[str, Any] | None,
    lines: Sequence[Mapping[str, Any]],
) -> WriteRequest:
    if action == "delete":
        assert target.internal_id is not None
        return delete_request(target.record, target.internal_id)
    assert header is not None
    assert target.external_id is not None
    if action == "create":
        body = rules.body(header, lines)
        return upsert_request(target.record, target.external_id, body)
    with_lines = bool(target.kinds & _LINE_KINDS)
    body = rules.body(header, lines, only=target.fields, with_lines=with_lines)
    return update_request(
        target.record, eid(target.external_id), body, replace=("item",) if with_lines else ()
    )


def _customer_of(rules: RecordMapping, header: Mapping[str, Any] | None) -> str | None:
    for mapped in rules.fields:
        if mapped.target == "customer" and header is not None:
            value = header.get(mapped.name)
            return None if value is None else str(value)
    return None


def _shown_changes(target: _Target, action: str) -> str:
    if action == "create":
        return f"Create {target.external_id} in NetSuite."
    return " ".join(dict.fromkeys(target.changes))


# Reading the warehouse


def _rows_by_external_id(
    warehouse: TenantWarehouse, record: str, period: str, targets: Sequence[_Target]
) -> dict[str, dict[str, Any]]:
    rows = _expected_rows(warehouse, TABLES[record].name, record, period, targets)
    return {row["external_id"]: row for row in rows}


def _lines_by_external_id(
    warehouse: TenantWarehouse, record: str, period: str, targets: Sequence[_Target]
) -> dict[str, list[dict[str, Any]]]:
    table = TABLES[record].lines
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    if table is not None:
        for row in _expected_rows(warehouse, table, record, period, targets):
            found[row["external_id"]].append(row)
    return found


def _expected_rows(
    warehouse: TenantWarehouse, table: str, record: str, period: str, targets: Sequence[_Target]
) -> list[dict[str, Any]]:
    wanted = sorted({target.external_id for target in targets if target.external_id is not None})
    if not wanted:
        return []
    names = list(warehouse.columns(f"expected.{table}"))
    where = "" if TABLES[record].lines is None else "period = $period AND "
    order = "external_id, line_no" if "line_no" in names else "external_id"
    rows = warehouse.connection.execute(
        f"SELECT {', '.join(map(quote, names))} FROM expected.{table}"
        f" WHERE {where}external_id IN (SELECT unnest($wanted)) ORDER BY {order}",
        {"wanted": wanted} | ({"period": period} if where else {}),
    ).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _bases(warehouse: TenantWarehouse, record: str, period: str) -> dict[str, str | None]:
    """When each record was last changed as it was compared, by internal id."""
    tables = TABLES[record]
    where = "" if tables.lines is None else " WHERE period = ?"
    rows = warehouse.sql(
        f"SELECT internal_id, last_modified FROM netsuite.{tables.name}{where}", [period] if where else []
    )
    return dict(rows)


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
            f"it moves {shown_amounts(over)}, more than the {money(limits.amount, None)} approved automatically"
        )
    records = sum(
        int(warehouse.value(f"SELECT count(*) FROM expected.{TABLES[record].name}"
                            + ("" if TABLES[record].lines is None else " WHERE period = ?"),
                            [] if TABLES[record].lines is None else [period]))
        for record in mapping.records
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
                f"it moves {shown_amounts(over)}, more than the circuit breaker's {money(breaker.amount, None)}"
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


def _text(value: Any) -> str | None:
    return None if value is None or value is pd.NA else str(value)


def _sha256(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        # Lengths keep "ab","c" apart from "a","bc".
        digest.update(f"{len(encoded)}:".encode())
        digest.update(encoded)
    return digest.hexdigest()
