"""What NetSuite knows of billing's records and billing does not yet: the operations that tell billing.

Here: NetSuite's facts of the month's records as they have landed, beside what billing holds of them, and an operation
for each row that differs. Not here: sending (`returning.py`), what billing is (`resources/billing/returns.py`), or what
is to be written to NetSuite (`operations.py`). Imports no Dagster.

Only new facts flow back. A record that the same plan writes to NetSuite is told of when that is done; a payment that
billing itself applied to an invoice is not told to it again. What flows back stands in columns that the mapping never
reads (the tenant's file is refused otherwise), so it cannot return as a change of billing's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa

from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.reconcile.void_credits import PREFIX
from netsuite_assets.tables import called
from resources.billing.returns import FACTS, Facts, Key, ReturnedRow, Returns
from resources.warehouse import TenantWarehouse, literal, quote

#: What flows back is written after everything that goes to NetSuite.
WAVE: Final = 9
RETURN: Final = "return"
APPLICATION: Final = "application"
_PREFIX: Final = "billing:"

#: A document's status in words, by NetSuite's letter (SuiteQL facts: status codes and signs).
_STATUS: Final[Mapping[str, Mapping[str, str]]] = {
    "invoice": {"A": "open", "B": "paid", "D": "pending approval", "E": "rejected", "V": "voided"},
    "creditMemo": {"A": "open", "B": "applied", "V": "voided"},
    "customerPayment": {"A": "unapproved", "B": "not deposited", "C": "deposited", "V": "voided"},
    "journalEntry": {"A": "pending approval", "B": "approved"},
}


def record_of(kind: str) -> str:
    """What the record type of an operation is called that tells billing of this kind: `billing:invoice`."""
    return f"{_PREFIX}{kind}"


#: The record types of what flows back.
RETURNED: Final = tuple(record_of(kind) for kind in FACTS)


def row_in(operation: Mapping[str, Any]) -> ReturnedRow:
    """The row of billing's that an operation of a plan, or an intent of the ledger, is to write."""
    body = msgspec.json.decode(str(operation["body"]))
    kind = str(operation["record"]).removeprefix(_PREFIX)
    return ReturnedRow(kind, tuple(body["key"]), body["before"], body["after"])


def plan_returns(warehouse: TenantWarehouse, mapping: TenantMapping, period: str, returns: Returns) -> None:
    """Add to `operations_made` what is to flow back to billing, of the month's records that both sides hold.

    `operations_made` has what is to be written to NetSuite already. Billing is asked once for each kind.
    """
    for record, rules in mapping.compared.items():
        if returns.facts(record) and rules.parts.header.shape.grouping is None:
            _records(warehouse, rules, period, returns)
    invoices = mapping.compared.get("invoice")
    if returns.facts(APPLICATION) and invoices is not None:
        _applications(warehouse, mapping, invoices, period, returns)


def _records(warehouse: TenantWarehouse, rules: RecordMapping, period: str, returns: Returns) -> None:
    record, name = rules.record, rules.tables.name
    known = _expressions(warehouse, record, name)
    facts = {fact: known[fact] for fact in returns.facts(record) if fact in known}
    if not facts:
        return
    of_period = (
        f" AND n.period = {literal(period)} AND e.period = {literal(period)}" if rules.is_monthly else ""
    )
    selected = "".join(f", {expression} AS {_column(fact)}" for fact, expression in facts.items())
    warehouse.connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE facts_known AS
        SELECT [e.source_id] AS key, e.external_id, n.internal_id, coalesce(e.number, n.number) AS number,
            coalesce(e.name, n.name) AS name, coalesce(n.currency, e.currency) AS currency,
            0::DECIMAL(18,4) AS amount, false AS is_gone{selected}
        FROM expected.{quote(name)} e JOIN netsuite.{quote(name)} n ON n.external_id = e.external_id{of_period}
        WHERE e.problem IS NULL AND NOT starts_with(e.source_id, {literal(PREFIX)}) AND NOT EXISTS (
            SELECT 1 FROM operations_made m WHERE m.record = {literal(record)} AND m.external_id = e.external_id)
        QUALIFY count(*) OVER (PARTITION BY e.external_id) = 1"""
    )
    ids = [str(source) for (source,) in warehouse.sql("SELECT key[1] FROM facts_known ORDER BY 1")]
    _hold(warehouse, list(facts), returns.held(record, ids))
    # A row of billing's own is there, or there is nothing to tell.
    _operations(warehouse, record, list(facts), "true" if returns.makes_rows(record) else "h.key IS NOT NULL")


def _expressions(warehouse: TenantWarehouse, record: str, name: str) -> dict[str, str]:
    """The facts of a record type that have landed, as SQL of text over its NetSuite row `n`."""
    columns = warehouse.columns(f"netsuite.{name}")
    letters = _STATUS.get(record)
    status = "n.status"
    if letters is not None:
        cases = " ".join(f"WHEN {literal(letter)} THEN {literal(word)}" for letter, word in letters.items())
        status = f"CASE n.status {cases} ELSE n.status END"
    found = {
        "internal_id": "n.internal_id",
        "number": "n.number",
        "status": status,
        "remaining": _amount("n.remaining"),
    }
    if "subsidiary" in columns:  # single companies have none
        found["subsidiary"] = "n.subsidiary"
    if warehouse.columns("netsuite.addresses"):
        found["address"] = (
            "(SELECT max(a.address) FROM netsuite.addresses a WHERE a.customer_id = n.internal_id)"
        )
    return {fact: expression for fact, expression in found.items() if fact in FACTS[record]}


def _column(fact: str) -> str:
    """A fact's column in the temporary tables, beside the operation's own."""
    return quote(f"fact_{fact}")


def _amount(column: str) -> str:
    return f"rtrim(rtrim({column}::DECIMAL(18,4)::VARCHAR, '0'), '.')"


def _applications(
    warehouse: TenantWarehouse,
    mapping: TenantMapping,
    invoices: RecordMapping,
    period: str,
    returns: Returns,
) -> None:
    """What payments and credit memos settle of invoices. One that NetSuite does not have any more is taken away where all
    that settles its invoice is known: of the invoices dated in the month.
    """
    run = warehouse.connection.execute
    external_ids = warehouse.sql(
        "SELECT DISTINCT invoice_external_id, bool_or(in_month) FROM ("
        " SELECT invoice_external_id, false AS in_month FROM netsuite.applications WHERE period = $1"
        " UNION ALL SELECT external_id, true FROM netsuite.invoices WHERE period = $1 AND dated_in = $1"
        ") WHERE invoice_external_id IS NOT NULL GROUP BY 1 ORDER BY 1",
        [period],
    )
    sources = [
        {"external_id": external_id, "id": source, "in_month": in_month}
        for external_id, in_month in external_ids
        if (source := invoices.source_id(external_id)) is not None
    ]
    schema = pa.schema([("external_id", pa.string()), ("id", pa.string()), ("in_month", pa.bool_())])
    warehouse.connection.register("invoices_here", pa.Table.from_pylist(sources, schema=schema))
    facts = list(returns.facts(APPLICATION))
    known = {
        "record": "a.applying_record",
        "number": "a.applying_number",
        "external_id": "a.applying_external_id",
        "amount": _amount("a.amount"),
        "currency": "a.currency",
        "applied_on": "a.applied_on::VARCHAR",
    }
    selected = "".join(f", {known[fact]} AS {_column(fact)}" for fact in facts)
    own = ""
    payments = mapping.compared.get("customerPayment")
    if payments is not None and {"doc", "amount"} <= {field.name for field in payments.line_fields}:
        # Billing applied these itself.
        own = (
            " AND NOT EXISTS (SELECT 1 FROM expected.applications x WHERE x.external_id = a.applying_external_id"
            " AND x.doc = a.invoice_external_id)"
        )
    written = (
        " AND NOT EXISTS (SELECT 1 FROM operations_made m WHERE m.record IN ('invoice', 'creditMemo', 'customerPayment')"
        " AND m.external_id IN (a.applying_external_id, a.invoice_external_id))"
    )
    run(
        f"""CREATE OR REPLACE TEMP TABLE facts_known AS
        SELECT [a.applying_id, i.id] AS key, a.applying_id || '-' || a.invoice_external_id AS external_id,
            a.applying_id AS internal_id, coalesce(a.applying_number, '') || ' to ' || coalesce(a.invoice_number, i.id)
                AS number, n.name, a.currency, a.amount, false AS is_gone{selected}
        FROM netsuite.applications a JOIN invoices_here i ON i.external_id = a.invoice_external_id
        LEFT JOIN (SELECT internal_id, max(name) AS name FROM netsuite.invoices GROUP BY 1) n ON n.internal_id = a.invoice_id
        WHERE a.period = {literal(period)}{own}{written}"""
    )
    held = returns.held(APPLICATION, [each["id"] for each in sources])
    _hold(warehouse, facts, held)
    emptied = "".join(f", NULL::VARCHAR AS {_column(fact)}" for fact in facts)
    run(
        f"""INSERT INTO facts_known BY NAME
        SELECT h.key, h.key[1] || '-' || i.external_id AS external_id, h.key[1] AS internal_id,
            h.key[1] || ' to ' || i.id AS number, NULL AS name, NULL AS currency, 0 AS amount, true AS is_gone{emptied}
        FROM facts_held h JOIN invoices_here i ON i.id = h.key[2] AND i.in_month
        WHERE NOT EXISTS (SELECT 1 FROM netsuite.applications a
            WHERE a.applying_id = h.key[1] AND a.invoice_external_id = i.external_id)"""
    )
    warehouse.connection.unregister("invoices_here")
    _operations(warehouse, APPLICATION, facts, "true")


def _hold(warehouse: TenantWarehouse, facts: Sequence[str], held: Mapping[Key, Facts]) -> None:
    """Fill the temporary table `facts_held` with what billing holds."""
    schema = pa.schema([("key", pa.list_(pa.string())), *((f"fact_{fact}", pa.string()) for fact in facts)])
    rows = [
        {"key": list(key), **{f"fact_{fact}": known.get(fact) for fact in facts}}
        for key, known in held.items()
    ]
    warehouse.connection.register("facts_given", pa.Table.from_pylist(rows, schema=schema))
    warehouse.connection.execute("CREATE OR REPLACE TEMP TABLE facts_held AS SELECT * FROM facts_given")
    warehouse.connection.unregister("facts_given")


def _operations(warehouse: TenantWarehouse, kind: str, facts: Sequence[str], wanted: str) -> None:
    """Add an operation for each row of `facts_known` that billing holds otherwise, or not."""

    def packed(alias: str) -> str:
        members = ", ".join(f"{quote(fact)} := {alias}.{_column(fact)}" for fact in facts)
        return f"to_json(struct_pack({members}))::VARCHAR"

    def told(fact: str) -> str:
        new, old = f"k.{_column(fact)}", f"h.{_column(fact)}"
        words = fact.replace("_", " ")
        return (
            f"CASE WHEN {new} IS DISTINCT FROM {old} THEN {literal(words)} || ': ' || CASE WHEN h.key IS NULL THEN ''"
            f" ELSE coalesce({old}, 'empty') || ' → ' END || coalesce({new}, 'empty') END"
        )

    differs = " OR ".join(f"k.{_column(fact)} IS DISTINCT FROM h.{_column(fact)}" for fact in facts)
    changed = ", ".join(
        f"CASE WHEN k.{_column(fact)} IS DISTINCT FROM h.{_column(fact)} THEN {literal(fact)} END"
        for fact in facts
    )
    label = called(kind)
    warehouse.connection.execute(
        f"""INSERT INTO operations_made BY NAME
        SELECT nextval('operation_numbers') AS op, {WAVE} AS wave, {literal(record_of(kind))} AS record,
            {literal(RETURN)} AS action, k.external_id, k.internal_id, NULL AS base_modified, k.number, k.name, k.amount,
            k.currency,
            CASE WHEN k.is_gone THEN {literal(f"Tell billing that NetSuite has this {label} no more.")}
                ELSE {literal(f"Tell billing of NetSuite's {label}: ")}
                    || concat_ws('; ', {", ".join(told(fact) for fact in facts)}) || '.' END AS changes,
            concat_ws(', ', {changed}) AS fields, 'PATCH' AS method,
            {literal(f"billing/{kind}/")} || array_to_string(k.key, '/') AS path, '' AS query,
            '{{"after":' || CASE WHEN k.is_gone THEN 'null' ELSE {packed("k")} END
                || ',"before":' || CASE WHEN h.key IS NULL THEN 'null' ELSE {packed("h")} END
                || ',"key":' || to_json(k.key)::VARCHAR || '}}' AS body,
            []::VARCHAR[] AS refs
        FROM facts_known k LEFT JOIN facts_held h ON h.key = k.key
        WHERE ({wanted}) AND (k.is_gone OR h.key IS NULL OR {differs})"""
    )
