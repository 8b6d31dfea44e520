"""Records that are whole on one side: missing in NetSuite, unknown to billing, a second copy, or not to be compared.

Here: what such a record's difference says. Not here: the fields of records that both sides hold
(`field_differences.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from netsuite_assets.extract.known_ids import recall_earlier_ids
from netsuite_assets.reconcile.record import BY_EXTERNAL_ID, ComparedRecord, insert, money
from resources.warehouse import TenantWarehouse, literal, quote

#: How a second copy's `expected` begins; the external id of the document that it repeats follows.
ONCE_AS = "once, as "

#: What stands under `expected` of a document that billing has voided.
VOIDED: Final = "voided"
#: The statuses by which billing says so, as SQL.
VOID: Final = "('void', 'voided')"

#: Asks billing on which days it issued the documents with these external ids, in any month.
Issued = Callable[[Sequence[str]], Mapping[str, date]]


def missing(of: ComparedRecord) -> str:
    """Records that billing has and NetSuite does not."""
    total = "coalesce(e.total, 0)"
    about = money(total, "e.currency") if of.is_document else "e.external_id"
    # An external id that billing itself uses twice is never compared, but may be missing.
    repeated = f"""SELECT r.rowid FROM {of.expected} r JOIN header_repeated x ON x.key = r.external_id
        WHERE {of.where} AND NOT EXISTS (
            SELECT 1 FROM {of.actual} a WHERE {of.where} AND a.external_id = r.external_id)"""
    return insert(
        f"""e.external_id, NULL, e.number, e.name, 'missing_in_netsuite', NULL, NULL, {about}, NULL,
        abs({total}), {total}, e.currency, 'billing',
        'NetSuite has no {of.tables.label} ' || e.external_id || '.'""",
        f"""FROM {of.expected} e WHERE e.problem IS NULL AND e.rowid IN (
            SELECT left_row FROM header_apart WHERE right_row IS NULL UNION ALL {repeated})
            AND NOT EXISTS (SELECT 1 FROM settled_billed s WHERE s.external_id = e.external_id)""",
        of.record,
        literal(of.mapping.external_id.where),
    )


def not_comparable(of: ComparedRecord) -> str:
    """Records that NetSuite holds and billing's side of which cannot be mapped."""
    counted = f"CASE WHEN a.dated_in = {literal(of.period)} THEN coalesce(a.total, 0) ELSE 0 END"
    # Where billing uses an external id twice, NetSuite's one record counts once.
    once = "row_number() OVER (PARTITION BY a.internal_id ORDER BY e.source_id) = 1"
    return insert(
        f"""e.external_id, a.internal_id, coalesce(e.number, a.number), coalesce(e.name, a.name), 'not_comparable',
        NULL, NULL, NULL, NULL, abs(coalesce(a.total, 0)), CASE WHEN {once} THEN -{counted} ELSE 0 END,
        coalesce(e.currency, a.currency), 'netsuite',
        'NetSuite holds it, but billing''s {of.tables.label} cannot be mapped: ' || e.problem""",
        f"""FROM (SELECT * FROM {of.expected} WHERE {of.where} AND problem IS NOT NULL) e
        JOIN (SELECT * FROM {of.actual} WHERE {of.where}) a ON a.external_id = e.external_id""",
        of.record,
        matched_by=BY_EXTERNAL_ID,
    )


def repeated(of: ComparedRecord) -> str:
    """Records whose external id stands more than once on a side: it is not known which of them belong together.

    Each record's total counts once.
    """
    counted = f"CASE WHEN a.dated_in = {literal(of.period)} THEN coalesce(a.total, 0) ELSE 0 END"
    first = "row_number() OVER (PARTITION BY {} ORDER BY a.internal_id, e.source_id) = 1"
    billed = f"CASE WHEN {first.format('e.source_id')} THEN coalesce(e.total, 0) ELSE 0 END"
    held = f"CASE WHEN {first.format('a.internal_id')} THEN {counted} ELSE 0 END"
    ids = "string_agg(DISTINCT a.internal_id, ', ' ORDER BY a.internal_id) OVER (PARTITION BY e.external_id)"
    return insert(
        f"""e.external_id, a.internal_id, coalesce(e.number, a.number), coalesce(e.name, a.name), 'not_comparable',
        NULL, NULL, NULL, NULL, abs(coalesce(a.total, 0)), {billed} - {held}, e.currency, 'netsuite',
        'The external id ' || e.external_id || ' stands more than once (in NetSuite with the internal ids ' || {ids}
        || '), so that this {of.tables.label} cannot be compared.'""",
        f"""FROM (SELECT * FROM {of.expected} WHERE {of.where} AND problem IS NULL) e
        JOIN header_repeated x ON x.key = e.external_id
        JOIN (SELECT * FROM {of.actual} WHERE {of.where}) a ON a.external_id = e.external_id""",
        of.record,
        matched_by=BY_EXTERNAL_ID,
    )


def find_strangers(warehouse: TenantWarehouse, of: ComparedRecord, issued: Issued) -> None:
    """Make `strangers`, the documents of the month that no external id joins to one of billing's, and of these `elsewhere`
    (row_no, external_id, issued_on), those that billing has and does not expect here, by the external id that they have or
    had before; and of those `voided` (external_id), which billing has voided.
    """
    run = warehouse.connection.execute
    run(f"""
        CREATE OR REPLACE TEMP TABLE strangers AS
        SELECT a.rowid AS row_no, a.* FROM {of.actual} a
        WHERE {of.where} AND (a.external_id IS NULL OR a.rowid IN (
            SELECT right_row FROM header_apart WHERE left_row IS NULL
            UNION ALL SELECT r.rowid FROM {of.actual} r JOIN header_repeated x ON x.key = r.external_id
            WHERE {of.where} AND NOT EXISTS (
                SELECT 1 FROM {of.expected} e WHERE {of.where} AND e.external_id = r.external_id)))
    """)
    recall_earlier_ids(warehouse, of.record, "SELECT internal_id, external_id FROM strangers")
    run(f"""
        CREATE OR REPLACE TEMP TABLE names_of_strangers AS
        SELECT row_no, external_id, 1 AS place FROM strangers WHERE external_id IS NOT NULL
        UNION ALL
        SELECT s.row_no, k.external_id, 2 FROM earlier_ids k JOIN strangers s USING (internal_id)
        WHERE k.external_id NOT IN (
            SELECT external_id FROM {of.expected} WHERE {of.where} AND problem IS NULL AND external_id IS NOT NULL)
    """)
    unknown = warehouse.sql("SELECT DISTINCT external_id FROM names_of_strangers ORDER BY external_id")
    found = issued([row[0] for row in unknown]) if unknown else {}
    run(
        """CREATE OR REPLACE TEMP TABLE elsewhere AS
        SELECT n.row_no, first(n.external_id ORDER BY n.place, n.external_id) AS external_id,
            first(f.issued_on ORDER BY n.place, n.external_id) AS issued_on
        FROM names_of_strangers n
        JOIN (SELECT unnest(?::VARCHAR[]) AS external_id, unnest(?::DATE[]) AS issued_on) f USING (external_id)
        GROUP BY n.row_no""",
        [list(found), list(found.values())],
    )
    _find_voided(warehouse, of, list(found))


def _find_voided(warehouse: TenantWarehouse, of: ComparedRecord, held: Sequence[str]) -> None:
    """Make `voided`: of the documents that billing holds and does not expect in NetSuite, those that it has voided."""
    warehouse.connection.execute("CREATE OR REPLACE TEMP TABLE voided (external_id VARCHAR)")
    billed = f"billing.{of.mapping.tables.billing}"
    if not held or "status" not in warehouse.columns(billed):
        return
    ids = [str(of.mapping.source_id(external_id)) for external_id in held]
    warehouse.connection.execute(
        f"""INSERT INTO voided SELECT external_id FROM (
            SELECT unnest(?::VARCHAR[]) AS external_id, unnest(?::VARCHAR[]) AS source_id) h
        WHERE EXISTS (SELECT 1 FROM {billed} b WHERE b.period = {literal(of.period)} AND b.id = h.source_id
            AND lower(b.status) IN {VOID})""",
        [list(held), ids],
    )


def only_in_netsuite(warehouse: TenantWarehouse, of: ComparedRecord) -> None:
    """Strangers without a counterpart: another month's, a second copy, or unknown to billing."""
    warehouse.connection.execute(_copies(of))
    warehouse.connection.execute(_strangers(of))


def _copies(of: ComparedRecord) -> str:
    """The billing document that each stranger repeats: the one whose number it bears, else one that is alike."""
    names = {field.name for field in of.mapping.fields}
    number_field = of.mapping.number_field
    expected = f"(SELECT * FROM {of.expected} WHERE {of.where} AND problem IS NULL)"
    parts = ["SELECT NULL::BIGINT AS row_no, NULL AS external_id, NULL AS number, 0 AS place WHERE false"]
    unnumbered = "true"
    if number_field in names:
        field = quote(str(number_field))
        unnumbered = f"nullif(trim(a.{field}), '') IS NULL"
        parts.append(
            f"SELECT a.row_no, t.external_id, t.number, 1 FROM strangers a JOIN {expected} t ON t.{field} = a.{field}"
        )
    same = [name for name in ("entity", "tranDate") if name in names]
    if same:
        alike = " AND ".join(f"t.{quote(name)} IS NOT DISTINCT FROM a.{quote(name)}" for name in same)
        # A document with a number of its own is another document, however alike.
        parts.append(
            f"SELECT a.row_no, t.external_id, t.number, 2 FROM strangers a JOIN {expected} t"
            f" ON t.total = a.total AND t.currency = a.currency AND {alike} WHERE {unnumbered}"
        )
    # Documents may be alike in all but their number, so the number counts first.
    return f"""
        CREATE OR REPLACE TEMP TABLE copies AS
        SELECT row_no, first(external_id ORDER BY place, external_id) AS external_id,
            first(number ORDER BY place, external_id) AS number
        FROM ({" UNION ALL ".join(parts)}) GROUP BY row_no
    """


def _strangers(of: ComparedRecord) -> str:
    return insert(
        f"""coalesce(w.external_id, a.external_id), a.internal_id, a.number, a.name,
        CASE WHEN v.external_id IS NOT NULL THEN 'only_in_netsuite'
             WHEN w.issued_on IS NOT NULL THEN 'wrong_period'
             WHEN twin.external_id IS NOT NULL THEN 'duplicate' ELSE 'only_in_netsuite' END,
        NULL, NULL,
        CASE WHEN v.external_id IS NOT NULL THEN {literal(VOIDED)}
             WHEN w.issued_on IS NOT NULL THEN strftime(w.issued_on, '%Y-%m') WHEN twin.external_id IS NOT NULL
             THEN {literal(ONCE_AS)} || twin.external_id END,
        {money("a.total", "a.currency")}, abs(coalesce(a.total, 0)), -coalesce(a.total, 0), a.currency, 'billing',
        CASE WHEN v.external_id IS NOT NULL THEN 'Billing has voided this {of.tables.label}; NetSuite still holds it.'
             WHEN w.issued_on IS NOT NULL
             THEN 'NetSuite dates it in this month'
                  || CASE WHEN w.external_id IS DISTINCT FROM a.external_id
                      THEN ', and it has lost its external id ' || w.external_id ELSE '' END
                  || '; billing issued it on ' || w.issued_on::VARCHAR || '. The reconciliation of that month corrects it.'
             WHEN twin.external_id IS NOT NULL
             THEN 'NetSuite holds this document a second time: it repeats ' || twin.external_id || coalesce(' (' || twin.number || ')', '') || '.'
             ELSE 'NetSuite holds this {of.tables.label}; billing has no such document.' END""",
        f"""FROM strangers a
        LEFT JOIN elsewhere w ON w.row_no = a.row_no
        LEFT JOIN voided v ON v.external_id = w.external_id
        LEFT JOIN copies twin ON twin.row_no = a.row_no
        WHERE a.dated_in = {literal(of.period)}
            AND NOT EXISTS (SELECT 1 FROM settled_held s WHERE s.internal_id = a.internal_id)""",
        of.record,
    )
