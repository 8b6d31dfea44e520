"""Which operations of a plan a person must approve, by the tenant's limits, and which approvals cover what.

Here: limits, the circuit breaker and approvals, over a plan's operations. Not here: what is held
whatever anybody approves (`holds.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.tables import TABLES
from netsuite_assets.tell import count, money, moneys
from resources.ledger import Approval
from resources.tenants import Tenant
from resources.tenants.writeback import AutomaticRule
from resources.warehouse import TenantWarehouse, literal

#: What counts towards amounts: customers move none, and what flows back to billing tells of what has moved.
_MOVES = "record <> 'customer' AND action <> 'return' AND currency IS NOT NULL"


@dataclass(frozen=True)
class Verdict:
    """What of a plan the tenant's limits allow without a person, today.

    `sent` operations are held by nothing and move `amounts`. `because` says why all or some of them wait, None when
    none does; `alone` is the SQL of why one operation waits, NULL for one that does not.
    """

    sent: int
    amounts: str
    because: str | None
    alone: str


@dataclass(frozen=True)
class Approved:
    """What of a plan may be sent: all that nothing holds, or the operations with these keys."""

    everything: bool
    keys: frozenset[str]
    standing: tuple[Approval, ...]

    def covers(self, operation_key: str) -> bool:
        """Whether somebody, or the policy, approved this operation."""
        return self.everything or operation_key in self.keys


def judge(
    warehouse: TenantWarehouse,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    rows: str = "write_back.plan",
) -> Verdict:
    """Judge the plan of a period by the tenant's limits as they are now; `rows` is the relation that holds it."""
    limits = tenant.writeback.approve_automatically
    alone = _alone(tenant)
    plan = f"(SELECT *, {alone} AS why FROM {rows} WHERE period = {literal(period)} AND held IS NULL)"
    sent, automatic, booked = warehouse.sql(
        f"SELECT count(*), count(*) FILTER (why IS NULL), count(*) FILTER (action <> 'return') FROM {plan}"
    )[0]
    amounts = _amounts(warehouse, f"{plan} WHERE {_MOVES}")
    within = _amounts(warehouse, f"{plan} WHERE {_MOVES} AND why IS NULL")
    reasons = []
    if automatic > limits.operations:
        reasons.append(
            f"{automatic:,} operations are more than the {limits.operations:,} approved automatically"
        )
    over = {currency: amount for currency, amount in within.items() if amount > limits.amount}
    if over:
        reasons.append(
            f"it moves {moneys(over)}, more than the {money(limits.amount, None)} approved automatically"
        )
    reasons += _breaker(warehouse, tenant, mapping, period, plan, booked, amounts)
    shown = moneys(amounts) if amounts else ""
    if reasons:
        whole = "; ".join(reasons)
        return Verdict(sent, shown, whole, f"CASE WHEN held IS NULL THEN {literal(whole)} END")
    waiting = warehouse.sql(
        f"SELECT why, count(*) FROM {plan} WHERE why IS NOT NULL GROUP BY why ORDER BY why"
    )
    because = "; ".join(f"{count(number, 'operation')}: {why}" for why, number in waiting) or None
    return Verdict(sent, shown, because, f"CASE WHEN held IS NULL THEN {alone} END")


def approved_by(
    warehouse: TenantWarehouse, period: str, verdict: Verdict, approvals: Sequence[Approval]
) -> Approved:
    """What these approvals of the period's plan cover. Those that the policy gave lapse with limits that no longer do."""
    persons = [one for one in approvals if not one.automatic]
    policy = [one for one in approvals if one.automatic]
    if any(one.operations is None for one in persons):
        return Approved(True, frozenset(), tuple(one for one in persons if one.operations is None))
    keys = frozenset(key for one in persons for key in one.operations or ())
    if not policy:
        return Approved(False, keys, tuple(persons))
    allowed = None if verdict.because is None else within_limits(warehouse, period, verdict)
    given = None
    if all(one.operations is not None for one in policy):
        given = frozenset(key for one in policy for key in one.operations or ())
    if allowed is None and given is None:
        return Approved(True, frozenset(), tuple(approvals))
    lasting = (
        allowed & given if allowed is not None and given is not None else allowed or given or frozenset()
    )
    return Approved(False, keys | lasting, tuple(approvals) if lasting else tuple(persons))


def within_limits(warehouse: TenantWarehouse, period: str, verdict: Verdict) -> frozenset[str]:
    """The keys of the operations that the limits allow without a person; no more than these limits let be."""
    rows = warehouse.sql(
        f"SELECT operation_key FROM write_back.plan WHERE period = ? AND held IS NULL AND ({verdict.alone}) IS NULL",
        [period],
    )
    return frozenset(key for (key,) in rows)


def _alone(tenant: Tenant) -> str:
    """Why one operation needs a person whatever the rest of the plan is, as SQL; NULL when it does not."""
    limits = tenant.writeback.approve_automatically
    cases = []
    if limits.record_amount is not None:
        said = f"it moves more than the {money(limits.record_amount, None)} of one record that are approved automatically"
        cases.append(f"WHEN {_MOVES} AND amount > {limits.record_amount:f} THEN {literal(said)}")
    if limits.only is not None:
        allowed = " OR ".join(_matches(rule) for rule in limits.only)
        cases.append(
            f"WHEN NOT ({allowed}) THEN 'no automatic approval is for the ' || action || ' of ' || record"
            " || CASE action WHEN 'update' THEN ' in ' || fields ELSE '' END"
        )
    return f"CASE {' '.join(cases)} END" if cases else "NULL::VARCHAR"


def _matches(rule: AutomaticRule) -> str:
    conditions = []
    if rule.record is not None:
        conditions.append(f"record = {literal(rule.record)}")
    if rule.action is not None:
        conditions.append(f"action = {literal(rule.action)}")
    if rule.fields is not None:
        listed = ", ".join(map(literal, rule.fields))
        conditions.append(f"(action = 'update' AND list_has_all([{listed}], string_split(fields, ', ')))")
    return f"({' AND '.join(conditions)})" if conditions else "true"


def _breaker(
    warehouse: TenantWarehouse,
    tenant: Tenant,
    mapping: TenantMapping,
    period: str,
    plan: str,
    sent: int,
    amounts: dict[str, Decimal],
) -> list[str]:
    """Why the circuit breaker stops the whole plan: `plan` is the relation of its operations, `sent` of which change
    NetSuite.
    """
    breaker = tenant.writeback.circuit_breaker
    records = 0
    for record in mapping.written:
        tables = TABLES[record]
        where = "" if tables.lines is None else f" WHERE period = {literal(period)}"
        records += int(warehouse.value(f"SELECT count(*) FROM expected.{tables.name}{where}"))
    reasons = []
    if sent and not records:
        reasons.append(f"it touches {sent:,} records where billing has none")
    elif records and Decimal(sent) / records > breaker.share:
        # Counted with care only now: an operation is seldom on a record that has another one, or that billing lacks.
        touched, unknown = _touched(warehouse, mapping, period, plan)
        if Decimal(touched) / (records + unknown) > breaker.share:
            reasons.append(
                f"it touches {touched:,} of {records + unknown:,} records, more than the circuit breaker's share of"
                f" {breaker.share:%}"
            )
    if breaker.amount is not None:
        limit = breaker.amount
        over = {currency: amount for currency, amount in amounts.items() if amount > limit}
        if over:
            reasons.append(f"it moves {moneys(over)}, more than the circuit breaker's {money(limit, None)}")
    return reasons


def _touched(warehouse: TenantWarehouse, mapping: TenantMapping, period: str, plan: str) -> tuple[int, int]:
    """How many records the operations touch, and how many of those are none of billing's."""
    known = " UNION ALL ".join(
        f"SELECT {literal(record)} AS record, external_id FROM expected.{TABLES[record].name}"
        + ("" if TABLES[record].lines is None else f" WHERE period = {literal(period)}")
        for record in mapping.written
    )
    return tuple(
        warehouse.sql(
            f"""SELECT count(*), count(*) FILTER (k.record IS NULL)
            FROM (SELECT DISTINCT record, coalesce(external_id, internal_id) AS key, external_id FROM {plan}
                WHERE action <> 'return') t
            LEFT JOIN (SELECT DISTINCT * FROM ({known})) k ON k.record = t.record AND k.external_id = t.external_id"""
        )[0]
    )


def _amounts(warehouse: TenantWarehouse, what: str) -> dict[str, Decimal]:
    rows = warehouse.sql(f"SELECT currency, sum(amount) FROM {what} GROUP BY currency ORDER BY currency")
    return dict(rows)
