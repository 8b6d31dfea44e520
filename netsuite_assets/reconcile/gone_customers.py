"""Customers that billing has archived or no longer has, and those that it has again: whether NetSuite's are inactive.

Here: that difference, where the tenant's policy lets the write-back mend it and the mapping does not own `isInactive`
itself. Not here: the fields that are mapped (`differences.py`). Imports no Dagster.

NetSuite holds customers of other businesses. One that billing does not have is billing's own only where its external id
is of the mapping's form; others are never spoken of. One that still lacks a document stays active, because NetSuite takes
no documents of inactive customers.
"""

from __future__ import annotations

from typing import Final

from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.reconcile.record import BY_EXTERNAL_ID, insert
from netsuite_assets.tables import INACTIVE
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse, literal, quote

FIELD: Final = "isInactive"


def compare_activity(warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping) -> None:
    """Replace what `differences_found` says of customers' `isInactive`; nothing where it is not the policy's."""
    rules = mapping.compared.get("customer")
    if rules is None or any(field.name == FIELD for field in rules.fields):
        return
    run = warehouse.connection.execute
    run(f"DELETE FROM differences_found WHERE record = 'customer' AND field = {literal(FIELD)}")
    if tenant.writeback.customer_gone != "deactivate":
        return
    billed = f"billing.{rules.tables.billing}"
    _find_gone(warehouse, rules, billed)
    archived = "b.is_active IS FALSE" if "is_active" in warehouse.columns(billed) else "false"
    run(f"""CREATE OR REPLACE TEMP TABLE customers_lacking AS {_lacking(warehouse, mapping)}""")
    run(f"""
        CREATE OR REPLACE TEMP TABLE customers_active AS
        SELECT external_id, is_gone OR is_archived AS is_out, CASE WHEN is_gone THEN 'Billing does not have this customer any more'
            WHEN is_archived THEN 'Billing has archived this customer' ELSE 'Billing has this customer' END AS said
        FROM (
            SELECT external_id, true AS is_gone, false AS is_archived FROM customers_gone
            UNION ALL SELECT e.external_id, false, {archived} FROM expected.customers e
            JOIN {billed} b ON b.id = e.source_id WHERE e.problem IS NULL)
        QUALIFY count(*) OVER (PARTITION BY external_id) = 1
    """)
    active = f"a.status IS DISTINCT FROM {literal(INACTIVE)}"
    run(
        insert(
            f"""a.external_id, a.internal_id, a.number, a.name, 'changed', NULL, {literal(FIELD)},
            CASE WHEN {active} THEN 'true' ELSE 'false' END, CASE WHEN {active} THEN 'false' ELSE 'true' END, 0, 0, NULL,
            'billing', c.said || CASE WHEN {active} THEN '; NetSuite has it active.' ELSE '; NetSuite has it inactive.' END""",
            f"""FROM (SELECT * FROM netsuite.customers QUALIFY count(*) OVER (PARTITION BY external_id) = 1) a
            JOIN customers_active c ON c.external_id = a.external_id
            WHERE CASE WHEN c.is_out AND c.external_id NOT IN (FROM customers_lacking) THEN {active}
                WHEN NOT c.is_out THEN NOT {active} ELSE false END""",
            "customer",
            literal(rules.external_id.where),
            matched_by=BY_EXTERNAL_ID,
        )
    )


def _find_gone(warehouse: TenantWarehouse, rules: RecordMapping, billed: str) -> None:
    """Make `customers_gone` (external_id): customers of NetSuite's with an external id of ours that billing lacks."""
    ours = {}
    for (external_id,) in warehouse.sql(
        "SELECT DISTINCT external_id FROM netsuite.customers WHERE external_id IS NOT NULL"
        " EXCEPT SELECT external_id FROM expected.customers"
    ):
        source_id = rules.source_id(external_id)
        # A form without any text of its own is everybody's.
        if source_id is not None and source_id != external_id:
            ours[external_id] = source_id
    warehouse.connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE customers_gone AS
        SELECT external_id FROM (SELECT unnest(?::VARCHAR[]) AS external_id, unnest(?::VARCHAR[]) AS source_id) ours
        WHERE NOT EXISTS (SELECT 1 FROM {billed} b WHERE b.id = ours.source_id)""",
        [list(ours), list(ours.values())],
    )


def _lacking(warehouse: TenantWarehouse, mapping: TenantMapping) -> str:
    """The external ids of customers with a document of any month that is held which NetSuite lacks."""
    parts = ["SELECT NULL::VARCHAR AS external_id WHERE false"]
    for rules in mapping.compared.values():
        entity = next((field.name for field in rules.fields if field.target == "customer"), None)
        tables = rules.tables
        expected, actual = f"expected.{tables.name}", f"netsuite.{tables.name}"
        if tables.lines is None or entity is None or entity not in warehouse.columns(expected):
            continue
        parts.append(
            f"SELECT e.{quote(entity)} FROM {expected} e WHERE NOT EXISTS ("
            f"SELECT 1 FROM {actual} a WHERE a.external_id = e.external_id AND a.period = e.period)"
        )
    return f"SELECT DISTINCT external_id FROM ({' UNION ALL '.join(parts)}) WHERE external_id IS NOT NULL"
