"""Verifying: what NetSuite holds after the write, compared with what was intended.

Here: reading the slices again, comparing them like any reconciliation, and marking each written operation as
found or not. Not here: the reading and comparing themselves (the stages `extract` and `reconcile`).

An answer of NetSuite's is not yet the record: a write counts when the record, read back in a set, shows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from netsuite_assets import frames
from netsuite_assets.extract.journals import extract_journals
from netsuite_assets.extract.netsuite import extract_customers, extract_documents
from netsuite_assets.extract.payments import extract_payments
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.engine import Locate, remaining
from netsuite_assets.tables import TABLES
from netsuite_assets.writeback.apply import exceptions_of, unsettled
from netsuite_assets.writeback.enrichment import Enriched, enrich
from netsuite_assets.writeback.operations import LINK
from netsuite_assets.writeback.returning import confirm
from netsuite_assets.writeback.returns import RETURN
from netsuite_assets.writeback.sending import target_of
from resources.billing.returns import Returns
from resources.ledger import Event, Ledger
from resources.netsuite.client import NetSuite
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse

#: Seconds to wait before reading again what does not show yet: SuiteQL may lag behind the record service.
PAUSES = (1.0, 3.0, 10.0)

_WRITTEN = ("written", "adopted")

#: What reading back says of an outcome.
_FOUND = {
    "operation_key": pa.string(),
    "state": pa.string(),
    "detail": pa.string(),
    "next_step": pa.string(),
    "verified": pa.bool_(),
}

#: How a month's documents are read that are not like invoices.
_OTHER_DOCUMENTS = {"customerPayment": extract_payments, "journalEntry": extract_journals}


@dataclass(frozen=True)
class Verified:
    """What was found after the write: outcomes with `verified` filled in, the differences that are left, and what
    NetSuite added on its own.
    """

    outcomes: pd.DataFrame
    remaining: pd.DataFrame
    enriched: Enriched

    @property
    def confirmed(self) -> int:
        """How many written operations were read back as intended."""
        return int(self.outcomes["verified"].fillna(False).sum())

    @property
    def unconfirmed(self) -> int:
        """How many were answered well and are not there as intended."""
        return int((self.outcomes["verified"] == False).fillna(False).sum())  # noqa: E712 - a nullable column


async def verify(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    ledger: Ledger,
    locate: Locate,
    clock: Callable[[], datetime],
    *,
    pauses: Sequence[float] = PAUSES,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    told: Callable[[str], None] = lambda message: None,
    returns: Returns | None = None,
) -> Verified:
    """Read the period's slices again and say of each written operation whether NetSuite holds it.

    `told` hears how far it is. `returns` is asked what billing holds of what flowed back to it.

    Writes `write_back.outcomes` and `write_back.enrichment`, the exceptions of stage `apply` and the ledger's events.
    The slices that the plan rested on are replaced by the new ones, so an applied plan cannot be applied again.
    """
    frames.ensure(warehouse, frames.OUTCOMES)
    outcomes = unsettled(warehouse, period)
    plan = _sent(warehouse, period)
    back = confirm(returns, plan) if returns is not None else {}
    left = await _read_again(warehouse, netsuite, tenant, mapping, period, ledger, locate, clock)
    sent = {row["operation_key"]: str(row["fields"] or "").split(", ") for row in plan}
    del plan
    checked = _checked(warehouse, outcomes, left, period, back, sent)
    for pause in pauses:
        told(_found(checked))
        if not _missing(checked):
            break
        told(f"what does not show yet is looked for again in {pause:g} s")
        await sleep(pause)
        left = await _read_again(warehouse, netsuite, tenant, mapping, period, ledger, locate, clock)
        checked = _checked(warehouse, outcomes, left, period, back, sent)
    table = frames.rows_frame(frames.OUTCOMES, checked)
    with warehouse.transaction():
        _record(warehouse, period, checked)
        frames.replace_exceptions(warehouse, period, ("apply",), exceptions_of(period, table))
    _tell(ledger, tenant.name, period, checked, clock())
    to_netsuite = [row for row in checked if row["action"] != RETURN]

    def bodies(keys: Sequence[str]) -> dict[str, str]:
        return dict(
            warehouse.sql(
                f"SELECT operation_key, body FROM {frames.PLAN.name}"
                " WHERE period = ? AND operation_key IN (SELECT unnest(?::VARCHAR[]))",
                [period, list(keys)],
            )
        )

    enriched = await enrich(warehouse, netsuite, mapping, period, to_netsuite, bodies, clock())
    return Verified(frames.read(warehouse, frames.OUTCOMES, period), left, enriched)


def _sent(warehouse: TenantWarehouse, period: str) -> list[dict[str, Any]]:
    """Which fields the operations of the plan change that were not held, and the bodies of those that tell billing."""
    frames.ensure(warehouse, frames.PLAN)
    table = warehouse.arrow(
        f"SELECT p.operation_key, p.record, p.action, p.fields, CASE WHEN p.action = '{RETURN}' THEN p.body END AS body"
        f" FROM {frames.PLAN.name} p JOIN {frames.OUTCOMES.name} o USING (period, operation_key)"
        " WHERE p.period = ? AND o.state <> 'held' ORDER BY p.sequence",
        [period],
    )
    return [dict(row) for row in table.to_pylist()]


def _record(warehouse: TenantWarehouse, period: str, checked: Sequence[Mapping[str, Any]]) -> None:
    """Bring the outcomes to what was found."""
    found = pa.Table.from_pylist(
        [{name: row[name] for name in _FOUND} for row in checked], schema=pa.schema(_FOUND)
    )
    warehouse.connection.register("checked_in", found)
    changed = ", ".join(f"{name} = c.{name}" for name in _FOUND if name != "operation_key")
    warehouse.connection.execute(
        f"UPDATE {frames.OUTCOMES.name} AS o SET {changed} FROM checked_in c"
        " WHERE o.period = ? AND o.operation_key = c.operation_key",
        [period],
    )
    warehouse.connection.unregister("checked_in")


async def _read_again(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    ledger: Ledger,
    locate: Locate,
    clock: Callable[[], datetime],
) -> pd.DataFrame:
    for record, rules in mapping.written.items():
        written = ledger.written(tenant.name, record)
        if TABLES[record].lines is None:
            await extract_customers(warehouse, netsuite, rules, clock(), written=written)
        else:
            extract = _OTHER_DOCUMENTS.get(record, extract_documents)
            await extract(warehouse, netsuite, rules, period, clock(), written=written)
    if tenant.writeback.voided == "credit" and "customerPayment" not in mapping.written:
        # What credit memos settle is read with the payments.
        await extract_payments(warehouse, netsuite, None, period, clock())
    return remaining(warehouse, tenant, mapping, period, locate)


@dataclass(frozen=True)
class _Differing:
    """What a record should hold and does not, by record type and external id: whose value counts, the field or sublist,
    and the difference in a sentence.
    """

    rows: Mapping[tuple[str, str], Sequence[tuple[str, str | None, str]]]
    sent: Mapping[str, Sequence[str]]

    @staticmethod
    def of(left: Sequence[Mapping[str, Any]], sent: Mapping[str, Sequence[str]]) -> _Differing:
        found: dict[tuple[str, str], list[tuple[str, str | None, str]]] = {}
        for row in left:
            if row["owner"] != "netsuite" and row["external_id"] is not None:
                of_lines = row["line"] is not None or row["kind"] == "total"
                place = TABLES[row["record"]].sublist if of_lines else row["field"]
                key = (row["record"], row["external_id"])
                found.setdefault(key, []).append((row["owner"], place, row["reason"]))
        return _Differing(found, sent)

    def reasons(self, row: Mapping[str, Any]) -> list[str]:
        """Why an operation's record is not as it was intended. What both sides have changed was not sent, unless they
        did so after it was.
        """
        sent = self.sent.get(row["operation_key"], ())
        return [
            reason
            for owner, place, reason in self.rows.get((row["record"], row["external_id"]), ())
            if owner == "billing" or row["action"] == "create" or place in sent
        ]


def _checked(
    warehouse: TenantWarehouse,
    outcomes: pd.DataFrame,
    left: pd.DataFrame,
    period: str,
    back: Mapping[str, str | None],
    sent: Mapping[str, Sequence[str]],
) -> list[dict[str, Any]]:
    """The outcomes with what was found; by operation, `back` says why billing does not hold what flowed back, and `sent`
    which fields an update changed.
    """
    differing = _Differing.of(frames.records(left), sent)
    present = _present(warehouse, period)
    linked = _linked(warehouse, period, outcomes)
    checked = []
    for row in frames.records(outcomes):
        if row["action"] == RETURN:
            checked.append(_returned(row, back))
            continue
        if row["state"] == "in_doubt" and _shows(row, differing, present, linked):
            row |= {
                "state": "adopted",
                "detail": "the answer was lost; NetSuite holds it as intended",
                "next_step": None,
            }
        if row["state"] in _WRITTEN:
            if row["action"] == "delete":
                still = (row["record"], row["internal_id"]) in present
                row["verified"] = not still
                row["detail"] = "it was deleted and NetSuite still shows it" if still else row["detail"]
            elif row["action"] == LINK:
                there = _is_linked(row, linked)
                row["verified"] = there
                row["detail"] = row["detail"] if there else "its external id does not find it"
            else:
                reasons = differing.reasons(row)
                row["verified"] = not reasons
                row["detail"] = " ".join(reasons) if reasons else row["detail"]
        checked.append(row)
    return checked


def _returned(row: dict[str, Any], back: Mapping[str, str | None]) -> dict[str, Any]:
    """The outcome of what flowed back to billing, by what billing holds."""
    key = row["operation_key"]
    if row["state"] == "in_doubt" and back.get(key, "") is None:
        row |= {"state": "adopted", "detail": "the answer was lost; billing holds it", "next_step": None}
    if row["state"] in _WRITTEN and key in back:
        row |= {"verified": back[key] is None, "detail": back[key] or row["detail"]}
    return row


def _shows(
    row: Mapping[str, Any],
    differing: _Differing,
    present: Collection[tuple[str, str]],
    linked: Collection[tuple[str, str, str]],
) -> bool:
    """Whether NetSuite shows what an operation in doubt intended."""
    if row["action"] == "delete":
        return (row["record"], row["internal_id"]) not in present
    if row["action"] == LINK:
        return _is_linked(row, linked)
    return not differing.reasons(row)


def _is_linked(row: Mapping[str, Any], linked: Collection[tuple[str, str, str]]) -> bool:
    return (row["record"], row["external_id"], row["internal_id"]) in linked


def _found(checked: Sequence[Mapping[str, Any]]) -> str:
    found = sum(row["verified"] is True for row in checked)
    return f"{found:,} of {sum(row['verified'] is not None for row in checked):,} written records found as intended"


def _missing(checked: Sequence[dict[str, Any]]) -> bool:
    return any(row["verified"] is False for row in checked)


def _present(warehouse: TenantWarehouse, period: str) -> set[tuple[str, str]]:
    """The documents that NetSuite shows now, by record type and internal id."""
    found = set()
    for record, tables in TABLES.items():
        if tables.lines is not None and warehouse.columns(f"netsuite.{tables.name}"):
            rows = warehouse.sql(f"SELECT internal_id FROM netsuite.{tables.name} WHERE period = ?", [period])
            found |= {(record, row[0]) for row in rows}
    return found


def _linked(warehouse: TenantWarehouse, period: str, outcomes: pd.DataFrame) -> set[tuple[str, str, str]]:
    """Of the records that were to be linked, by type, external id and internal id, those that are."""
    wanted: dict[str, list[str]] = {}
    for row in frames.records(outcomes[outcomes["action"] == LINK]):
        wanted.setdefault(row["record"], []).append(row["internal_id"])
    found = set()
    for record, ids in wanted.items():
        tables = TABLES[record]
        where, at = ("", []) if tables.lines is None else (" AND period = ?", [period])
        rows = warehouse.sql(
            f"SELECT external_id, internal_id FROM netsuite.{tables.name}"
            f" WHERE list_contains(?::VARCHAR[], internal_id) AND external_id IS NOT NULL{where}",
            [ids, *at],
        )
        found |= {(record, *row) for row in rows}
    return found


def _tell(ledger: Ledger, tenant: str, period: str, checked: Sequence[dict[str, Any]], now: datetime) -> None:
    """Add to the ledger what the read-back showed of each written intent."""
    intents = {
        (intent["plan_id"], intent["operation_key"]): intent for intent in ledger.history(tenant, period)
    }
    # What a job of an earlier run carries was not sent again: its intent is that run's.
    earlier = {
        (intent.record, intent.target): {"id": intent.id, "is_open": True}
        for intent in ledger.open_intents(tenant)
    }
    told = [
        (intents.get((row["plan_id"], row["operation_key"])) or earlier[row["record"], target_of(row)], row)
        for row in checked
        if row["verified"] is not None
    ]
    # What was in doubt until now is settled by having been read back.
    settled = [
        Event(intent["id"], "adopted", detail=row["detail"]) for intent, row in told if intent["is_open"]
    ]
    ledger.record(settled, now)
    ledger.record(
        [
            Event(
                intent["id"],
                "verified" if row["verified"] else "mismatch",
                internal_id=row["internal_id"],
                detail=None if row["verified"] else row["detail"],
            )
            for intent, row in told
        ],
        now,
    )
