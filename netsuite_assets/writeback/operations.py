"""The operations of a plan: for each differing record, the one request that would repair it, down to its bytes.

Here: what is done to which record, in which order, after which others, with which body. Not here: whether it may be
sent (`holds.py`, `policy.py`), or the plan as a whole (`plan.py`). Imports no Dagster.

A record that NetSuite lacks is created by an upsert to its external id, so that sending it twice makes one record.
One that differs gets only the fields that differ; where lines differ, all lines are replaced. All of it is made inside
DuckDB, a part of the records at a time, so that a million of them take neither long nor much memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from netsuite_assets.mapping.body import INTERNAL
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.reconcile import void_credits
from netsuite_assets.reconcile.differences import ONCE_AS
from netsuite_assets.reconcile.gone_customers import FIELD as INACTIVE_FIELD
from netsuite_assets.reconcile.whole_records import VOIDED
from netsuite_assets.tables import REMOVED, VOID_CREDITS, called
from netsuite_assets.writeback import bodies
from resources.ledger.proof import request_hash as hash_of_request
from resources.netsuite.writes import WriteRequest, record_path
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse, literal

#: The order of sending: what others name comes first, and removals before the documents that take their place.
REMOVALS: Final = 1
WAVES: Final[Mapping[str, int]] = {
    "customer": 0,
    "invoice": 2,
    "creditMemo": 3,
    "customerPayment": 5,
    "journalEntry": 6,
}
#: A customer is made inactive after all that names it.
_DEACTIVATIONS: Final = 7
#: A payment that lets go of an invoice comes before those that are to settle it.
_LETS_GO: Final = 4

#: Kinds of difference that an update of the record repairs.
_REPAIRED_BY_UPDATE: Final = (
    "changed",
    "wrong_customer",
    "wrong_subsidiary",
    "wrong_currency",
    "line_missing",
    "line_extra",
    "line_changed",
    "total",
)
#: Kinds after which nothing is written to a record until a person has said which one it is.
_A_PERSONS: Final = ("ambiguous", "grouped")
_LINE_KINDS: Final = ("line_missing", "line_extra", "line_changed")

#: Sublists without a key of their own, which are replaced whole; `apply` is keyed by the document that it pays.
_REPLACED: Final = frozenset({"item", "line"})

#: Records are made in parts of about this many differences, and lines to be sent, which bounds the memory that it takes.
_AT_ONCE: Final = 50_000
_LINES_AT_ONCE: Final = 100_000

#: The action that gives NetSuite's record of a matched pair the external id of billing's.
LINK: Final = "link"
#: Actions on a record that its external id does not find: it is addressed by its internal id.
BY_ITS_ID: Final = frozenset({"delete", LINK})

#: What a record that is addressed by its internal id is called where operations name each other.
BY_INTERNAL_ID: Final = "internal:"


def build_operations(warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str) -> None:
    """Fill the temporary tables `operations_made` and `operation_needs` from what the last reconciliation found.

    `operations_made` has an operation a row, `op` being its number there; the same differences give the same rows.
    `operation_needs` says which records of the tenant's own an operation needs that NetSuite does not hold: `target`
    is an external id, or `internal:` and the id of one that must be removed first. `problem` is why the mapping cannot
    make it, and NULL where the plan itself does.
    """
    run = warehouse.connection.execute
    run("CREATE OR REPLACE TEMP SEQUENCE operation_numbers")
    run(
        """CREATE OR REPLACE TEMP TABLE operations_made (
            op BIGINT, wave INTEGER, record VARCHAR, action VARCHAR, external_id VARCHAR, internal_id VARCHAR,
            base_modified VARCHAR, number VARCHAR, name VARCHAR, amount DECIMAL(18,4), currency VARCHAR,
            changes VARCHAR, fields VARCHAR, method VARCHAR, path VARCHAR, query VARCHAR, body VARCHAR, refs VARCHAR[])"""
    )
    if not warehouse.columns("reconciliation.differences"):
        _needs(warehouse, tenant, mapping, period)
        return
    if tenant.writeback.voided == "credit":
        warehouse.ensure_table(VOID_CREDITS, void_credits.COLUMNS)
    for record, rules in mapping.written.items():
        count = warehouse.value(
            "SELECT count(*) FROM reconciliation.differences WHERE period = ? AND record = ? AND owner = 'billing'",
            [period, record],
        )
        parts = 1 + max(count // _AT_ONCE, _lines_sent(warehouse, rules, period) // _LINES_AT_ONCE)
        for part in range(parts if count else 0):
            of_part = (
                f"period = {literal(period)} AND record = {literal(record)} AND owner = 'billing'"
                # What another pass than the external id matched is linked first; the rest of it follows after that.
                " AND (coalesce(matched_by, 'external_id') = 'external_id' OR kind = 'not_linked')"
                f" AND hash(external_id, internal_id) % {parts} = {part}"
            )
            run(f"INSERT INTO operations_made BY NAME {_operations(rules, tenant, period, of_part)}")
    run(
        "UPDATE operations_made SET refs = list_append(refs, made.record || ' ' || made.target) FROM"
        " (SELECT record, substr(expected, ?) AS external_id, ? || min(internal_id) AS target"
        " FROM reconciliation.differences WHERE period = ? AND kind = 'duplicate' GROUP BY ALL) AS made"
        " WHERE operations_made.action = 'create' AND operations_made.record = made.record"
        " AND operations_made.external_id = made.external_id",
        [len(ONCE_AS) + 1, BY_INTERNAL_ID, period],
    )
    _needs(warehouse, tenant, mapping, period)


def _lines_sent(warehouse: TenantWarehouse, rules: RecordMapping, period: str) -> int:
    """How many lines the operations on a record type send at most."""
    if rules.tables.lines is None or not rules.line_fields:
        return 0
    return int(
        warehouse.value(
            f"SELECT count(*) FROM expected.{rules.tables.lines} WHERE period = ? AND external_id IN"
            " (SELECT external_id FROM reconciliation.differences WHERE period = ? AND record = ? AND owner = 'billing'"
            f" AND kind IN ('missing_in_netsuite', 'total', {', '.join(map(literal, _LINE_KINDS))}))",
            [period, period, rules.record],
        )
    )


def _operations(rules: RecordMapping, tenant: Tenant, period: str, of_part: str) -> str:
    """The operations on one record type whose differences `of_part` selects."""
    record, tables = rules.record, rules.tables
    of_period = "" if tables.lines is None else f" AND period = {literal(period)}"
    lines, line_member, line_refs, replaced = "", "NULL", "[]::VARCHAR[]", "''"
    if tables.lines is not None and rules.line_fields:
        made = f"'{{' || {bodies.whole(rules.line_fields, 'l')} || '}}'"
        lines = f""", line_bodies AS (
            SELECT external_id, string_agg({made}, ',' ORDER BY line_no, source_id) AS items,
                flatten(list({bodies.references(rules.line_fields, "l")})) AS refs
            FROM expected.{tables.lines} l
            WHERE period = {literal(period)}
                AND external_id IN (SELECT external_id FROM targets WHERE action = 'create' OR with_lines)
            GROUP BY external_id)"""
        line_member = f"'\"{tables.sublist}\":{{\"items\":[' || coalesce(l.items, '') || ']}}'"
        line_refs = "coalesce(l.refs, [])"
        if tables.sublist in _REPLACED:
            replaced = (
                f"CASE WHEN action = 'create' OR with_lines THEN 'replace={tables.sublist}' ELSE '' END"
            )
    wave = str(WAVES[record])
    if record == "customerPayment" and line_member != "NULL":
        lines += f", let_go AS ({_let_go(period)})"
        line_member = (
            "'\"apply\":{\"items\":[' || concat_ws(',', nullif(l.items, ''), CASE action WHEN 'update' THEN g.items END)"
            " || ']}'"
        )
        wave = f"CASE WHEN with_lines AND g.items IS NOT NULL THEN {_LETS_GO} ELSE {wave} END"
    applied, taken_back, created = "NULL", "", "'Create ' || t.external_id || ' in NetSuite.'"
    if record == "creditMemo" and tenant.writeback.voided == "credit":
        lines += f", void_credits AS ({_taken_back(period)})"
        taken_back = "LEFT JOIN void_credits v ON v.external_id = t.external_id"
        applied = "CASE WHEN action = 'create' OR list_contains(chosen, 'apply') THEN v.apply END"
        created = f"concat_ws(' ', {created}, CASE WHEN v.external_id IS NOT NULL THEN reasons[1] END)"
    inactive = "NULL"
    if record == "customer" and all(field.name != INACTIVE_FIELD for field in rules.fields):
        inactive = "'\"isInactive\":' || inactive"
        wave = f"CASE WHEN inactive = 'true' THEN {_DEACTIVATIONS} ELSE {wave} END"
    path = literal(record_path(record) + "/")
    listed = ", ".join(map(literal, _LINE_KINDS))
    linked = literal(LINK) if tenant.writeback.not_linked == "link" else "NULL"
    return f"""
        WITH targets AS (
            SELECT external_id, internal_id, min(number) AS number, min(name) AS name, min(currency) AS currency,
                CASE WHEN bool_or(kind IN ({", ".join(map(literal, _A_PERSONS))})) THEN NULL
                    WHEN bool_or(kind = 'not_linked') THEN {linked}
                    WHEN bool_or(kind = 'missing_in_netsuite') THEN 'create'
                    WHEN bool_or(kind = 'duplicate') THEN {_removed(record, tenant.writeback.duplicate)}
                    WHEN bool_or(kind = 'only_in_netsuite' AND expected = {literal(VOIDED)})
                        THEN {_removed(record, tenant.writeback.voided)}
                    WHEN bool_or(kind = 'only_in_netsuite') THEN {_removed(record, tenant.writeback.only_in_netsuite)}
                    WHEN bool_or(kind IN ({", ".join(map(literal, _REPAIRED_BY_UPDATE))})) THEN 'update' END AS action,
                coalesce(list_sort(list(DISTINCT field) FILTER (field IS NOT NULL AND line IS NULL
                    AND kind NOT IN ({listed}, 'total'))),
                    []) AS chosen,
                bool_or(kind IN ({listed}, 'total')) AS with_lines,
                max(expected) FILTER (field = {literal(INACTIVE_FIELD)}) AS inactive,
                greatest(coalesce(sum(amount) FILTER (kind IN ({listed})), 0),
                    coalesce(max(amount) FILTER (kind NOT IN ({listed})), 0))::DECIMAL(18, 4) AS amount,
                list(reason ORDER BY kind, TRY_CAST(line AS BIGINT), line, field, reason) AS reasons
            FROM reconciliation.differences WHERE {of_part} GROUP BY external_id, internal_id
        ){lines}
        SELECT nextval('operation_numbers') AS op,
            CASE action WHEN 'delete' THEN {REMOVALS} ELSE {wave} END AS wave,
            {literal(record)} AS record, action, t.external_id, t.internal_id, n.last_modified AS base_modified,
            t.number, t.name, CASE action WHEN 'link' THEN 0 ELSE t.amount END AS amount, t.currency,
            CASE action WHEN 'create' THEN {created}
                WHEN 'link' THEN 'Give it the external id ' || t.external_id || '. ' || reasons[1]
                ELSE array_to_string(list_filter(reasons, lambda x, i: list_position(reasons, x) = i), ' ') END AS changes,
            CASE action WHEN 'update' THEN array_to_string(
                list_concat(chosen, CASE WHEN with_lines THEN [{literal(tables.sublist or "")}] ELSE [] END), ', ') END
                AS fields,
            CASE action WHEN 'create' THEN 'PUT' WHEN 'delete' THEN 'DELETE' ELSE 'PATCH' END AS method,
            {path} || CASE WHEN action IN ('delete', 'link') THEN t.internal_id ELSE 'eid:' || t.external_id END AS path,
            CASE action WHEN 'delete' THEN '' ELSE {replaced} END AS query,
            CASE action WHEN 'delete' THEN ''
                WHEN 'link' THEN '{{"externalId":' || to_json(t.external_id)::VARCHAR || '}}'
                WHEN 'create' THEN '{{' || concat_ws(',', nullif({bodies.whole(rules.fields, "e")}, ''), {line_member}, {applied})
                    || '}}'
                ELSE '{{' || concat_ws(',', nullif({bodies.part(rules.fields, "e", "chosen")}, ''), {inactive},
                    CASE WHEN with_lines THEN {line_member} END, {applied}) || '}}' END AS body,
            CASE WHEN action IN ('delete', 'link') THEN []
                WHEN action = 'create' THEN list_distinct(list_concat({bodies.references(rules.fields, "e")}, {line_refs}))
                ELSE list_distinct(list_concat({bodies.references(rules.fields, "e", "chosen")}, {line_refs})) END AS refs
        FROM targets t
        LEFT JOIN (SELECT * FROM expected.{tables.name} WHERE problem IS NULL{of_period}) e
            ON e.external_id = t.external_id
        {"LEFT JOIN line_bodies l ON l.external_id = t.external_id" if "line_bodies" in lines else ""}
        {taken_back}
        {"LEFT JOIN let_go g ON g.internal_id = t.internal_id" if "let_go" in lines else ""}
        LEFT JOIN (SELECT internal_id, last_modified FROM netsuite.{tables.name} WHERE true{of_period}) n
            ON n.internal_id = t.internal_id
        WHERE action IS NOT NULL"""


def _removed(record: str, policy: str) -> str:
    return "'delete'" if policy == "delete" and record in REMOVED else "NULL"


def _let_go(period: str) -> str:
    """The documents that payments settle in NetSuite and do not in billing, as elements of the sublist `apply` that end
    it: a document that the sublist does not name stays settled (REST facts: sublists, and unapply of creditMemo).
    """
    return f"""
        SELECT a.applying_id AS internal_id, string_agg('{{"apply":false,"doc":{{"id":"' || a.invoice_id || '"}}}}', ','
            ORDER BY a.invoice_id) AS items
        FROM netsuite.applications a JOIN netsuite.payments p
            ON p.internal_id = a.applying_id AND p.period = a.period
        WHERE a.period = {literal(period)} AND a.applying_record = 'customerPayment' AND NOT EXISTS (
            SELECT 1 FROM expected.applications e WHERE e.period = a.period AND e.external_id = p.external_id
                AND e.doc = coalesce(a.invoice_external_id, {literal(INTERNAL)} || a.invoice_id))
        GROUP BY a.applying_id"""


def _taken_back(period: str) -> str:
    """The member `apply` of credit memos over voided invoices: the invoice, and to let go of what else the credit memo
    settles in NetSuite (REST facts: creditMemo).
    """
    amount = "rtrim(rtrim(v.credited::VARCHAR, '0'), '.')"
    return f"""
        SELECT v.external_id, '"apply":{{"items":[' || coalesce(string_agg(
                '{{"apply":false,"doc":{{"id":"' || a.invoice_id || '"}}}},', '' ORDER BY a.invoice_id), '')
            || '{{"amount":' || any_value({amount}) || ',"apply":true,"doc":{{"id":"' || any_value(v.invoice_id) || '"}}}}]}}'
            AS apply
        FROM {VOID_CREDITS} v LEFT JOIN netsuite.applications a ON a.period = v.period
            AND a.applying_external_id = v.external_id AND a.invoice_id <> v.invoice_id
        WHERE v.period = {literal(period)} AND v.left_because IS NULL GROUP BY v.external_id"""


def _needs(warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str) -> None:
    """Which of the records that an operation names NetSuite does not hold: those that the plan makes, links or
    removes, and those that the mapping cannot make.
    """
    absent = [
        "SELECT record, external_id AS target, NULL AS problem FROM operations_made WHERE action IN ('create', 'link')",
        f"SELECT record, '{BY_INTERNAL_ID}' || internal_id, NULL FROM operations_made WHERE action = 'delete'",
    ]
    for record, rules in mapping.written.items():
        tables = rules.tables
        of_period = "" if tables.lines is None else f" AND e.period = {literal(period)}"
        absent.append(
            f"SELECT {literal(record)}, e.external_id, e.problem FROM expected.{tables.name} e"
            f" WHERE e.problem IS NOT NULL{of_period}"
            f" AND NOT EXISTS (SELECT 1 FROM netsuite.{tables.name} n WHERE n.external_id = e.external_id)"
        )
    if warehouse.columns("reconciliation.differences"):
        # What NetSuite holds, surely or perhaps, under another external id or none: a person links it first.
        kinds = "'ambiguous'" if tenant.writeback.not_linked == "link" else "'ambiguous', 'not_linked'"
        absent.append(
            "SELECT record, external_id, reason FROM reconciliation.differences"
            f" WHERE period = {literal(period)} AND kind IN ({kinds}) AND expected IS NOT NULL"
        )
    warehouse.connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE operation_needs AS
        SELECT named.op, absent.record, absent.target, absent.problem
        FROM (SELECT op, unnest(refs) AS ref FROM operations_made WHERE len(refs) > 0) AS named
        JOIN (SELECT record, target, min(problem) AS problem FROM ({" UNION ALL ".join(absent)}) GROUP BY ALL) AS absent
            ON named.ref = absent.record || ' ' || absent.target"""
    )


def needs_of(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What an operation waits for: record type and target, as `named_as` has it, of operations of the same plan or
    of records that a person must mend.
    """
    waits_for = text(row["waits_for"])
    named = waits_for.split(", ") if waits_for else []
    return [(record, target) for record, _, target in (one.partition(" ") for one in named)]


def named_as(row: Mapping[str, Any]) -> str:
    """What the operation's record is called where others wait for it: its external id, or `internal:` and its id."""
    if row["action"] == "delete":
        return f"{BY_INTERNAL_ID}{row['internal_id']}"
    return str(row["external_id"])


# Requests


def request_hash(request: WriteRequest) -> str:
    """The hash of the exact request: method, path, query and body."""
    return hash_of_request(request.method, request.path, request.query, request.body.decode())


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
    label = called(row["record"])
    back = row["action"] == "return"
    parts = [
        f"facts of the {label}" if back else label,
        text(row["number"]) or "",
        f"of {row['name']}" if text(row["name"]) else "",
    ]
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


def sha256_sql(parts: Sequence[str]) -> str:
    """`sha256` as SQL over expressions of text, none of which may be NULL."""
    return "sha256(concat(" + ", ".join(f"strlen({part}), ':', {part}" for part in parts) + "))"
