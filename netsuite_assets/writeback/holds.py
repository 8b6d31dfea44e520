"""What of a plan is not sent yet, and why: writing is paused, the record is older than the tenant's cut-over, its month
takes no postings, what it names cannot be made, or NetSuite may hold it already.

Here: the reasons, each with what a person should do, and in which month a document of a closed one is posted instead.
Not here: the limits above which a person must approve (`policy.py`), nor what is found only when sending (`apply.py`).
Imports no Dagster.
"""

from __future__ import annotations

from typing import Final

from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.reconcile.differences import ONCE_AS
from netsuite_assets.tables import TABLES
from netsuite_assets.writeback.operations import BY_INTERNAL_ID
from netsuite_assets.writeback.returns import RETURNED
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse, literal

PAUSED: Final = "the tenant's file pauses writing"
WHEN_PAUSED: Final = (
    "Take it out of writeback.paused in the tenant's file when writing may go on, and run again."
)
_CLOSED: Final = """
    SELECT strftime(start_date, '%Y-%m') AS month, min(CASE WHEN closed THEN 'closed' ELSE 'locked for receivables' END) AS why
    FROM netsuite.periods WHERE closed OR ar_locked OR all_locked GROUP BY month"""


def find_holds(warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str) -> None:
    """Fill the temporary tables `operation_holds` (op, code, reason, next_step) and `operation_moves` (op, posts_in,
    posting_period) for the operations in `operations_made`. An operation has the first reason that holds it.
    """
    run = warehouse.connection.execute
    run(
        "CREATE OR REPLACE TEMP TABLE operation_holds (op BIGINT, code VARCHAR, reason VARCHAR, next_step VARCHAR)"
    )
    run("CREATE OR REPLACE TEMP TABLE operation_moves (op BIGINT, posts_in VARCHAR, posting_period VARCHAR)")
    _paused(warehouse, tenant)
    _before_cut_over(warehouse, tenant, mapping, period)
    _in_closed_months(warehouse, tenant, mapping, period)
    _of_what_cannot_be_made(warehouse)
    _held_as_deposits(warehouse)
    if tenant.writeback.duplicate == "hold":
        _look_alikes(warehouse, period)
    while _held_with_what_they_need(warehouse):
        pass


def _hold(warehouse: TenantWarehouse, select: str) -> int:
    """Hold those of the operations that `select` gives (op, code, reason, next_step) which nothing holds yet."""
    return int(
        warehouse.value(
            f"INSERT INTO operation_holds SELECT op, min(code), min(reason), min(next_step) FROM ({select})"
            " WHERE op NOT IN (SELECT op FROM operation_holds) GROUP BY op"
        )
    )


def _paused(warehouse: TenantWarehouse, tenant: Tenant) -> None:
    paused = [record for record in (*TABLES, *RETURNED) if tenant.writeback.pauses(record)]
    if paused:
        _hold(
            warehouse,
            f"""SELECT op, 'paused' AS code, {literal(PAUSED)} AS reason,
            {literal(WHEN_PAUSED)} AS next_step
            FROM operations_made WHERE record IN ({", ".join(map(literal, paused))})""",
        )


def _before_cut_over(warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str) -> None:
    """A document counts from its own date, and a removal from NetSuite's; anything without one from the month's end."""
    for record, day in sorted(tenant.writeback.cut_over.items()):
        rules = mapping.written.get(record)
        if rules is None:
            continue
        dated = f"last_day(DATE '{period}-01')"
        joins = ""
        if rules.tables.lines is not None and any(field.name == "tranDate" for field in rules.fields):
            name = rules.tables.name
            joins = (
                f" LEFT JOIN expected.{name} e ON e.external_id = m.external_id AND e.period = {literal(period)}"
                f" LEFT JOIN netsuite.{name} n ON n.internal_id = m.internal_id AND n.period = {literal(period)}"
            )
            dated = f'coalesce(e."tranDate", n."tranDate", {dated})'
        _hold(
            warehouse,
            f"""SELECT m.op, 'before_cut_over' AS code,
                'it is dated before {day}, from which day on the tenant''s file has {record} written' AS reason,
                'Book it by hand if it is needed, or set writeback.cut_over to an earlier day.' AS next_step
            FROM operations_made m{joins} WHERE m.record = {literal(record)} AND {dated} < DATE '{day}'""",
        )


def _in_closed_months(
    warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str
) -> None:
    """A document in a month that takes no postings, its own or the one that it would leave."""
    reopen = "Re-open the period in NetSuite (Setup > Accounting > Manage Accounting Periods) and run again."
    moved = tenant.writeback.closed_period == "next_open_period"
    for record, rules in mapping.written.items():
        if rules.tables.lines is None:
            continue
        warehouse.connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE operations_closed AS
            SELECT m.op, m.action, first(closed.month ORDER BY months.month <> {literal(period)}) AS month,
                first(closed.why ORDER BY months.month <> {literal(period)}) AS why
            FROM operations_made m
            LEFT JOIN netsuite.{rules.tables.name} n ON n.internal_id = m.internal_id AND n.period = {literal(period)},
                unnest([{literal(period)}, coalesce(n.dated_in, {literal(period)})]) AS months(month)
            JOIN ({_CLOSED}) AS closed ON closed.month = months.month
            WHERE m.record = {literal(record)} GROUP BY m.op, m.action"""
        )
        held = "true"
        if moved:
            fixed = [
                field.where
                for field in rules.fields
                if field.name == "postingPeriod" and field.policy == "always"
            ]
            if fixed:
                _hold(
                    warehouse,
                    f"""SELECT op, 'period_closed' AS code, 'the accounting period ' || month || ' is ' || why ||
                        ' in NetSuite, and the rule of postingPeriod ({fixed[0]}) names that period' AS reason,
                    'Give that rule write: create_only, so that the period which a document is moved to is not taken '
                    || 'for a difference.' AS next_step FROM operations_closed WHERE action = 'create'""",
                )
            else:
                _move(warehouse, period)
            held = "op NOT IN (SELECT op FROM operation_moves)"
        _hold(
            warehouse,
            f"""SELECT op, 'period_closed' AS code, 'the accounting period ' || month || ' is ' || why || ' in NetSuite'
                AS reason, {literal(reopen)} AS next_step FROM operations_closed WHERE {held}""",
        )


def _move(warehouse: TenantWarehouse, period: str) -> None:
    """Post the documents that are to be made in a closed month in the first month after it that takes postings."""
    warehouse.connection.execute(
        f"""INSERT INTO operation_moves
        SELECT op, open.month, open.internal_id FROM operations_closed, (
            SELECT strftime(start_date, '%Y-%m') AS month, internal_id FROM netsuite.periods
            WHERE start_date > DATE '{period}-01'
                AND strftime(start_date, '%Y-%m') NOT IN (SELECT month FROM ({_CLOSED}))
            ORDER BY start_date, internal_id LIMIT 1) AS open
        WHERE action = 'create' AND op NOT IN (SELECT op FROM operation_holds)"""
    )


def _of_what_cannot_be_made(warehouse: TenantWarehouse) -> None:
    _hold(
        warehouse,
        f"""SELECT op, 'unresolved_reference' AS code,
            'its ' || {_label("record")} || ' ' || target || ' is not in NetSuite and cannot be made: '
            || rtrim(problem, '.') AS reason,
            'Mend the ' || {_label("record")} || '''s exception first; this follows in the next run.' AS next_step
        FROM operation_needs WHERE problem IS NOT NULL""",
    )


def _look_alikes(warehouse: TenantWarehouse, period: str) -> None:
    """Documents to be made of which NetSuite seems to hold a copy without their external id."""
    if not warehouse.columns("reconciliation.differences"):
        return
    _hold(
        warehouse,
        f"""SELECT m.op, 'not_linked' AS code,
            'NetSuite may hold it already, as ' || concat_ws(' ', {_label("m.record")}, d.number, 'of ' || d.name)
            || ' (internal id ' || d.internal_id || ')' AS reason,
            'If that is this ' || {_label("m.record")} || ', give it the external id ' || m.external_id
            || ' in NetSuite; if it is another one, give it its own number there. Then run again.' AS next_step
        FROM operations_made m JOIN (
            SELECT record, substr(expected, {len(ONCE_AS) + 1}) AS external_id, min(internal_id) AS internal_id,
                first(number ORDER BY internal_id) AS number, first(name ORDER BY internal_id) AS name
            FROM reconciliation.differences WHERE period = {literal(period)} AND kind = 'duplicate' GROUP BY ALL
        ) d ON d.record = m.record AND d.external_id = m.external_id WHERE m.action = 'create'""",
    )


def _held_as_deposits(warehouse: TenantWarehouse) -> None:
    """Payments to be made that NetSuite holds as customer deposits, which are applied there and not paid a second time."""
    if not warehouse.columns("netsuite.deposits"):
        return
    _hold(
        warehouse,
        """SELECT m.op, 'not_linked' AS code,
            'NetSuite holds it as customer deposit ' || concat_ws(' ', d.number, 'of ' || d.name)
            || ' (internal id ' || d.internal_id || ')' AS reason,
            'Apply that deposit in NetSuite to what the payment settles. If the payment is another one, give the deposit '
            || 'an external id of its own there, and run again.' AS next_step
        FROM operations_made m JOIN netsuite.deposits d ON d.external_id = m.external_id
        WHERE m.record = 'customerPayment' AND m.action = 'create' AND d.record = 'customerDeposit'
            AND coalesce(d.status, '') <> 'V'""",
    )


def _held_with_what_they_need(warehouse: TenantWarehouse) -> int:
    """Hold the operations that need one that is held; how many that are."""
    return _hold(
        warehouse,
        f"""SELECT needs.op, h.code, 'it waits for its ' || {_label("needs.record")} || ' ' || needs.target
            || ', which is held: ' || h.reason AS reason, h.next_step
        FROM operation_needs needs
        JOIN operations_made parent ON parent.record = needs.record AND needs.target = CASE parent.action
            WHEN 'create' THEN parent.external_id WHEN 'link' THEN parent.external_id WHEN 'delete' THEN '{BY_INTERNAL_ID}' || parent.internal_id END
        JOIN operation_holds h ON h.op = parent.op""",
    )


def _label(column: str) -> str:
    """A record type as people call it."""
    cases = " ".join(
        f"WHEN {literal(record)} THEN {literal(tables.label)}" for record, tables in TABLES.items()
    )
    return f"CASE {column} {cases} ELSE {column} END"


def closed_reasons(warehouse: TenantWarehouse) -> list[str]:
    """Why operations are held for their month, each reason once."""
    rows: list[tuple[str]] = warehouse.sql(
        "SELECT DISTINCT reason FROM operation_holds WHERE code = 'period_closed' ORDER BY reason"
    )
    return [reason for (reason,) in rows]
