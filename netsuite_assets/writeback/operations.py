"""The operations of a plan: for each differing record, the one request that would repair it, down to its bytes.

Here: what is done to which record, in which order, with which body. Not here: whether it may be sent (`holds.py`,
`plan.py`). Imports no Dagster.

A record that NetSuite lacks is created by an upsert to its external id, so that sending it twice makes one record.
One that differs gets only the fields that differ; where lines differ, all lines are replaced.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.tables import TABLES
from resources.netsuite.writes import WriteRequest, delete_request, eid, update_request, upsert_request
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse, quote

#: Customers before the documents that name them; removals before the documents that take their place.
CUSTOMERS, REMOVALS, INVOICES, CREDIT_MEMOS = range(4)
_WAVES = {"customer": CUSTOMERS, "invoice": INVOICES, "creditMemo": CREDIT_MEMOS}

#: Kinds of difference that an update of the record repairs.
_REPAIRED_BY_UPDATE = frozenset(
    {
        "changed",
        "wrong_customer",
        "wrong_subsidiary",
        "wrong_currency",
        "line_missing",
        "line_extra",
        "line_changed",
        "total",
    }
)
_LINE_KINDS = frozenset({"line_missing", "line_extra", "line_changed", "total"})


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


def build_operations(
    warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str
) -> list[dict[str, Any]]:
    """The operations that repair the differences which the last reconciliation found, in the order of sending.

    Rows of the frame `PLAN` but for `plan_id`; the same differences give the same rows.
    """
    targets = _targets(frames.read(warehouse, frames.DIFFERENCES, period))
    operations: list[dict[str, Any]] = []
    for record, rules in mapping.written.items():
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
            row["operation_key"] = sha256(
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
        # What another pass than the external id matched is a person's to link first.
        if row["owner"] != "billing" or (row["matched_by"] or "external_id") != "external_id":
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


def request_hash(request: WriteRequest) -> str:
    """The hash of the exact request: method, path, query and body."""
    return sha256([request.method, request.path, request.query, request.body.decode()])


def request_in(row: Mapping[str, Any]) -> WriteRequest:
    """The request that a row of the plan holds, as it is written there."""
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
    parts = [tables.label, text(row["number"]) or "", f"of {row['name']}" if text(row["name"]) else ""]
    where = text(row["external_id"]) or f"internal id {text(row['internal_id'])}"
    return " ".join(part for part in parts if part) + f" ({where})"


def text(value: Any) -> str | None:
    """A value of a frame as text, None when it is absent."""
    return None if value is None or value is pd.NA else str(value)


def sha256(parts: Iterable[str]) -> str:
    """The hash of a sequence of texts, in which no two sequences look alike."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        # Lengths keep "ab","c" apart from "a","bc".
        digest.update(f"{len(encoded)}:".encode())
        digest.update(encoded)
    return digest.hexdigest()
