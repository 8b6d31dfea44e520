"""The plan: the operations that would repair the differences, their identity, and whether a person must approve.

Here: making a plan, loading it again, and refusing one that was altered or rests on what has changed. Not here: the
operations and their bytes (`operations.py`), what is held back (`holds.py`), or who must approve (`policy.py`). Nothing
is sent here: `apply.py` sends the bytes of this plan and no others. Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from netsuite_assets import frames
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.engine import required_slices
from netsuite_assets.writeback.holds import PAUSED, closed_reasons, find_holds
from netsuite_assets.writeback.operations import (
    build_operations,
    request_hash,
    request_in,
    sha256,
    sha256_sql,
    text,
)
from netsuite_assets.writeback.policy import Approved, Verdict, approved_by, judge, within_limits
from netsuite_assets.writeback.returns import plan_returns
from resources.billing.returns import Returns
from resources.ledger import Approval, Ledger, Plan
from resources.netsuite.writes import WriteRequest
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse, literal

AUTOMATIC = "policy"

#: Whatever an operation may be on.
_WRITTEN: Final = (*frames.RECORDS, *frames.RETURNED)

#: What of an operation decides, beside its bytes and its wave, whether and to what it is sent.
_DECIDING: Final = (
    "operation_key", "record", "action", "external_id", "internal_id", "base_modified", "waits_for", "posts_in", "held"
)  # fmt: skip
_REQUEST: Final = sha256_sql(("method", "path", "query", "body"))

#: Rows that are looked at together where a whole plan would be too much.
_AT_ONCE: Final = 5_000

#: Megabytes that DuckDB may take meanwhile, for each million of differences; beyond it writes to disk.
_MEMORY: Final = 192
#: Threads that share them: each needs its own part, however many cores there are.
_THREADS: Final = 2


class PlanRefused(Exception):
    """No plan can be made or applied; the message says why and what to do."""


@dataclass(frozen=True)
class Planned:
    """A plan as made, why it waits for a person (`plan.held_because`), and what of it is approved.

    What sends a plan sends those of its operations that are in `sendable`, and no others; of the others `kept` says why.
    """

    plan: Plan
    approved: Approved
    tenant: Tenant
    warehouse: TenantWarehouse

    @cached_property
    def operations(self) -> pd.DataFrame:
        """The operations in the order of sending (frame `PLAN`)."""
        return self._frame(f"{self._relation} ORDER BY sequence")

    @property
    def approval(self) -> Approval | None:
        """The latest approval that counts; it may be of a part of the operations."""
        return self.approved.standing[-1] if self.approved.standing else None

    @cached_property
    def count(self) -> int:
        """How many operations there are."""
        return int(self.warehouse.value(f"SELECT count(*) FROM {self._relation}"))

    def first(self, number: int) -> pd.DataFrame:
        """The first operations, in the order of sending."""
        return self._frame(f"{self._relation} ORDER BY sequence LIMIT {number}")

    def sendable(self, at_once: int) -> Iterator[list[dict[str, Any]]]:
        """The operations that may be sent, in that order, so many at once: held by nothing, approved, and of a record type
        that is not paused.
        """
        judged, after = self.judged(), -1
        while True:
            part = f"({judged}) WHERE kept IS NULL AND sequence > {after} ORDER BY sequence LIMIT {at_once}"
            rows = frames.records(self._frame(part))
            if not rows:
                return
            yield rows
            after = rows[-1]["sequence"]

    def judged(self) -> str:
        """A query of the operations with one column more, `kept`: why each is not sent; NULL for one that is sendable."""
        cases = "WHEN held IS NOT NULL THEN held"
        paused = ", ".join(literal(record) for record in _WRITTEN if self.tenant.writeback.pauses(record))
        if paused:
            cases += f" WHEN record IN ({paused}) THEN {literal(PAUSED)}"
        if not self.approved.everything:
            keys = pa.table({"operation_key": pa.array(sorted(self.approved.keys), pa.string())})
            self.warehouse.connection.register("keys_in", keys)
            self.warehouse.connection.execute(
                "CREATE OR REPLACE TEMP TABLE operations_approved AS SELECT operation_key FROM keys_in"
            )
            self.warehouse.connection.unregister("keys_in")
            why = (
                f"it waits for approval: {self.plan.held_because or 'it is none of the operations approved'}"
            )
            cases += f" WHEN operation_key NOT IN (FROM operations_approved) THEN {literal(why)}"
        return f"SELECT *, CASE {cases} END AS kept FROM {self._relation}"

    @property
    def _relation(self) -> str:
        return f"(SELECT * FROM {frames.PLAN.name} WHERE period = {literal(self.plan.period)})"

    def _frame(self, relation: str) -> pd.DataFrame:
        names = ", ".join(frames.columns(frames.PLAN))
        table = self.warehouse.arrow(f"SELECT {names} FROM {relation}")
        return frames.validated(frames.PLAN, frames.frame(table.cast(frames.arrow_schema(frames.PLAN))))


def make_plan(
    warehouse: TenantWarehouse,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    ledger: Ledger,
    now: datetime,
    returns: Returns | None = None,
) -> Planned:
    """Plan the repair of the differences that the last reconciliation found, and note it in the ledger.

    With `returns` the plan also has what billing does not know yet of what NetSuite holds.

    Writes the period's `write_back.plan` and the exceptions of stage `plan`. The same differences and policy
    give the same plan, byte for byte.
    """
    inputs = inputs_hash(warehouse, mapping, period)
    with _bounded(warehouse):
        plan, approved = _made(warehouse, tenant, mapping, period, ledger, inputs, now, returns)
        # They hold every body a second time.
        warehouse.connection.execute("DROP VIEW plan_rows")
        for table in ("operations_made", "operation_needs", "operation_order", "operation_waits"):
            warehouse.connection.execute(f"DROP TABLE {table}")
    return Planned(plan, approved, tenant, warehouse)


def load_plan(
    warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str, ledger: Ledger
) -> Planned:
    """The plan of a period as it was made, refused if it or anything it rests on has changed since."""
    plan = made_plan(warehouse, tenant.name, period, ledger)
    if plan.mapping_hash != mapping.hash or plan.inputs_hash != inputs_hash(warehouse, mapping, period):
        raise PlanRefused(
            f"{tenant.name}, {period}: what the plan {plan.plan_id[:12]} rests on has changed since it was made"
            " (billing, NetSuite or the mapping was read again). Nothing was sent."
            " Run the reconciliation again and apply its plan."
        )
    verdict = judge(warehouse, tenant, mapping, period)
    approved = approved_by(warehouse, period, verdict, ledger.approvals(plan.plan_id))
    return Planned(replace(plan, held_because=verdict.because), approved, tenant, warehouse)


def made_plan(warehouse: TenantWarehouse, tenant: str, period: str, ledger: Ledger) -> Plan:
    """The latest plan of a period, refused unless the operations in the warehouse are exactly those that it had."""
    frames.ensure(warehouse, frames.PLAN)
    made = ledger.plan_ids(tenant, period)
    if not made:
        raise PlanRefused(
            f"{tenant}, {period}: there is no plan to apply. Materialize correction_plan first."
        )
    plan = ledger.plan(made[0])
    assert plan is not None
    rows = f"(SELECT * FROM {frames.PLAN.name} WHERE period = {literal(period)})"
    with _bounded(warehouse):
        found = plan_hash(warehouse, tenant, period, plan.mapping_hash, plan.inputs_hash, rows)
    if found != plan.plan_id:
        raise PlanRefused(
            f"{tenant}, {period}: the plan in the warehouse is not the plan {plan.plan_id[:12]} that was made:"
            " it has been altered since, or belongs to an earlier one. Nothing was sent."
            " Materialize correction_plan again and have that approved."
        )
    return plan


def inputs_hash(warehouse: TenantWarehouse, mapping: TenantMapping, period: str) -> str:
    """A hash of everything the plan rests on: the content of each slice that was compared."""
    proofs = warehouse.require_slices(required_slices(mapping, period))
    return sha256(
        f"{proof.table}={proof.content_hash}" for proof in sorted(proofs, key=lambda proof: proof.table)
    )


def plan_hash(
    warehouse: TenantWarehouse, tenant: str, period: str, mapping_hash: str, inputs: str, rows: str
) -> str:
    """The plan's identity: its inputs and each operation with its bytes and whether it is held, in order.

    `rows` is the relation that holds the operations. The bytes count, not the hash that stands beside them.
    """
    deciding = [f"coalesce({name}, '')" for name in _DECIDING]
    operation = sha256_sql(["wave::VARCHAR", _REQUEST, *deciding])
    found = warehouse.connection.sql(f"SELECT {operation} FROM {rows} AS operations ORDER BY sequence")

    def each() -> Iterator[str]:
        yield from (tenant, period, mapping_hash, inputs)
        for batch in found.to_arrow_reader(_AT_ONCE):
            yield from batch.column(0).to_pylist()

    return sha256(each())


def request_of(row: Mapping[str, Any]) -> WriteRequest:
    """The request that a row of the plan stands for; refused when it is not the one that was hashed."""
    request = request_in(row)
    if request_hash(request) != row["body_hash"]:
        raise PlanRefused(
            f"the {row['action']} of {row['record']} {row['external_id']} ({text(row['number'])}) was altered after"
            " it was planned. Nothing was sent. Make the plan again."
        )
    return request


# Making


def _made(
    warehouse: TenantWarehouse,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    ledger: Ledger,
    inputs: str,
    now: datetime,
    returns: Returns | None,
) -> tuple[Plan, Approved]:
    build_operations(warehouse, tenant, mapping, period)
    if returns is not None:
        plan_returns(warehouse, mapping, period, returns)
    find_holds(warehouse, tenant, mapping, period)
    _refuse_closed(warehouse, tenant, period)
    _refuse_unwritable(warehouse, tenant, period)
    _plan_rows(warehouse, tenant, period)
    frames.ensure(warehouse, frames.PLAN)
    frames.ensure(warehouse, frames.EXCEPTIONS)
    with warehouse.transaction():
        run = warehouse.connection.execute
        plan_id = plan_hash(warehouse, tenant.name, period, mapping.hash, inputs, "plan_rows")
        verdict = judge(warehouse, tenant, mapping, period, "plan_rows")
        run(f"DELETE FROM {frames.PLAN.name} WHERE period = ?", [period])
        run(
            f"INSERT INTO {frames.PLAN.name} BY NAME"
            f" SELECT {literal(plan_id)} AS plan_id, {verdict.alone} AS waits_because, * FROM plan_rows"
        )
        _validate(warehouse, period)
        plan = Plan(
            plan_id,
            tenant.name,
            period,
            now,
            mapping.hash,
            inputs,
            verdict.sent,
            verdict.amounts,
            verdict.because,
        )
        ledger.record_mapping(tenant.name, mapping.hash, tenant.effective, now)
        ledger.record_plan(plan)
        if tenant.writeback.mode == "apply":
            _approve_by_policy(warehouse, period, ledger, plan, verdict, now)
        approved = approved_by(warehouse, period, verdict, ledger.approvals(plan_id))
        _write_exceptions(warehouse, tenant, period, plan, approved)
    return plan, approved


@contextmanager
def _bounded(warehouse: TenantWarehouse) -> Iterator[None]:
    """Within, DuckDB takes no more than `_MEMORY` for each million of differences, or part of one, on `_THREADS`."""
    differences = 0
    if warehouse.columns("reconciliation.differences"):
        differences = int(warehouse.value("SELECT count(*) FROM reconciliation.differences"))
    # Not to the row: a month of a few more differences than a million is no month of two.
    millions = max(1, round(differences / 1_000_000 + 0.4))
    allowed, threads, kept = warehouse.sql(
        "SELECT current_setting('memory_limit'), current_setting('threads'),"
        " current_setting('preserve_insertion_order')"
    )[0]
    run = warehouse.connection.execute
    run(f"SET memory_limit = '{_MEMORY * millions}MB'")
    run(f"SET threads = {min(threads, _THREADS)}")
    # Whoever needs an order asks for it, and to keep that of the table takes memory.
    run("SET preserve_insertion_order = false")
    try:
        yield
    finally:
        run(f"SET preserve_insertion_order = {kept}")
        run(f"SET threads = {threads}")
        run(f"SET memory_limit = '{allowed}'")


def _plan_rows(warehouse: TenantWarehouse, tenant: Tenant, period: str) -> None:
    """The view `plan_rows`: the operations in order, with what they wait for, what holds them, and their hashes."""
    key = sha256_sql(
        [
            literal(tenant.name),
            "record",
            "action",
            "coalesce(external_id, '')",
            "coalesce(internal_id, '')",
            "body_hash",
            "coalesce(base_modified, '')",
        ]
    )
    run = warehouse.connection.execute
    run(
        "CREATE OR REPLACE TEMP TABLE operation_order AS SELECT op, row_number() OVER"
        " (ORDER BY wave, coalesce(external_id, ''), coalesce(internal_id, ''), record) AS sequence FROM operations_made"
    )
    run(
        "CREATE OR REPLACE TEMP TABLE operation_waits AS SELECT op,"
        " string_agg(DISTINCT record || ' ' || target, ', ' ORDER BY record || ' ' || target) AS waits_for"
        " FROM operation_needs GROUP BY op"
    )
    run(
        f"""CREATE OR REPLACE TEMP VIEW plan_rows AS
        WITH requests AS (
            SELECT made.* EXCLUDE (refs) REPLACE (
                    CASE WHEN posts_in IS NULL THEN body ELSE '{{"postingPeriod":{{"id":"' || posting_period || '"}},'
                        || substr(body, 2) END AS body,
                    CASE WHEN posts_in IS NULL THEN changes ELSE changes || ' Posted in ' || posts_in || ', because '
                        || {literal(period)} || ' takes no postings.' END AS changes),
                posts_in, sequence, waits_for, reason AS held
            FROM operations_made made JOIN operation_order USING (op)
            LEFT JOIN operation_waits USING (op) LEFT JOIN operation_holds USING (op)
            LEFT JOIN operation_moves USING (op)),
        hashed AS (SELECT *, {_REQUEST} AS body_hash FROM requests)
        SELECT * EXCLUDE (op), {literal(period)} AS period, {key} AS operation_key FROM hashed"""
    )


def _refuse_closed(warehouse: TenantWarehouse, tenant: Tenant, period: str) -> None:
    """Make no plan at all where the tenant would rather have none than one with held operations."""
    closed = closed_reasons(warehouse) if tenant.writeback.closed_period == "fail" else []
    if closed:
        raise PlanRefused(
            f"{tenant.name}, {period}: no plan was made, because {closed[0]} and the tenant's file says"
            " writeback.closed_period: fail. Open the period, or set it to hold."
        )


def _refuse_unwritable(warehouse: TenantWarehouse, tenant: Tenant, period: str) -> None:
    """Make no plan of operations without a body, or to an external id that no address can hold."""
    rows = warehouse.sql(
        "SELECT record, external_id, body IS NULL FROM operations_made WHERE action NOT IN ('delete', 'return') AND (body IS NULL"
        " OR NOT coalesce(regexp_full_match(external_id, '[A-Za-z0-9_-]+'), false)) ORDER BY ALL LIMIT 1"
    )
    for record, external_id, is_gone in rows:
        if is_gone:
            raise PlanRefused(
                f"{tenant.name}, {period}: no plan was made, because the {record} {external_id} differs and is not"
                " among the expected records any more. Run the reconciliation again."
            )
        raise PlanRefused(
            f"{tenant.name}, {period}: no plan was made, because the external id '{external_id}' of a {record} cannot"
            " stand in a NetSuite address: only letters, digits, '_' and '-' can. Change the external_id rule of the"
            " mapping."
        )


def _validate(warehouse: TenantWarehouse, period: str) -> None:
    """Hold the plan that was just written against its contract, some rows at a time."""
    names = ", ".join(frames.columns(frames.PLAN))
    schema = frames.arrow_schema(frames.PLAN)
    rows, keys, last = warehouse.sql(
        # Hashes of the keys, which are hashes themselves: a million of them are small.
        f"SELECT count(*), count(DISTINCT hash(operation_key)), coalesce(max(sequence), 0) FROM {frames.PLAN.name}"
        " WHERE period = ?",
        [period],
    )[0]
    stored = warehouse.connection.sql(
        f"SELECT {names} FROM {frames.PLAN.name} WHERE period = ?", params=[period]
    )
    for batch in stored.to_arrow_reader(_AT_ONCE):
        frames.validated(frames.PLAN, frames.frame(pa.Table.from_batches([batch]).cast(schema)))
    if not rows == keys == last:
        raise frames.FrameError(
            f"write_back.plan of {period}: {rows:,} operations with {keys:,} keys, numbered to {last:,}"
        )


def _approve_by_policy(
    warehouse: TenantWarehouse, period: str, ledger: Ledger, plan: Plan, verdict: Verdict, now: datetime
) -> None:
    """Approve in the policy's name what the limits allow, unless it is approved already."""
    if not verdict.sent:
        return
    allowed = within_limits(warehouse, period, verdict) if verdict.because is not None else None
    approved = approved_by(warehouse, period, verdict, ledger.approvals(plan.plan_id))
    if approved.everything or (allowed is not None and allowed <= approved.keys):
        return
    note = "within the tenant's automatic limits"
    ledger.approve(Approval(plan.plan_id, AUTOMATIC, True, note, now, allowed))


def _write_exceptions(
    warehouse: TenantWarehouse, tenant: Tenant, period: str, plan: Plan, approved: Approved
) -> None:
    """Replace the exceptions of stage `plan`: what is held, and what waits for approval."""
    run = warehouse.connection.execute
    run(f"DELETE FROM {frames.EXCEPTIONS.name} WHERE period = ? AND stage = 'plan'", [period])
    core = "period, 'plan' AS stage, record, external_id, internal_id, number, name, amount, currency"
    run(
        f"""INSERT INTO {frames.EXCEPTIONS.name} BY NAME
        SELECT {core}, h.code, 'Its correction is held: ' || h.reason || '.' AS reason, h.next_step
        FROM (SELECT * FROM {frames.PLAN.name} WHERE period = {literal(period)}) JOIN operation_order USING (sequence)
        JOIN operation_holds h USING (op)"""
    )
    if tenant.writeback.mode != "apply" or approved.everything:
        return
    keys = pa.table({"operation_key": pa.array(sorted(approved.keys), pa.string())})
    warehouse.connection.register("approved_keys", keys)
    run(
        f"""INSERT INTO {frames.EXCEPTIONS.name} BY NAME
        SELECT {core}, 'not_approved' AS code, 'Its correction waits for approval: '
                || coalesce(waits_because, {literal(plan.held_because or "nobody has approved it yet")}) || '.' AS reason,
            {literal(f"Read the plan and run: recon approve {tenant.name} {period} --by NAME --note WHY")} AS next_step
        FROM {frames.PLAN.name} WHERE period = {literal(period)} AND held IS NULL
            AND operation_key NOT IN (SELECT operation_key FROM approved_keys)"""
    )
    warehouse.connection.unregister("approved_keys")
