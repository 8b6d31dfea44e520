"""Records that no external id joins: handed to the matching, and what is said of those that it pairs or leaves to a person.

Here: what is unmatched on both sides, the differences of kind `not_linked`, `ambiguous` and `grouped`, and their
exceptions. Not here: the passes (`matching.py`, `matching_customers.py`), or the fields of pairs, which are compared like
any other pair's (`differences.py`).

A pair keeps its external id from billing and its internal id from NetSuite, and says by which pass it was matched.
Documents that are undecided or in a group stand on each side with their own totals, so that deltas add up as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from netsuite_assets.extract.known_ids import keep_known_ids, recall_known_ids
from netsuite_assets.mapping.body import INTERNAL
from netsuite_assets.reconcile import matching, matching_customers
from netsuite_assets.reconcile.hashes import HASHED, REPEATED
from netsuite_assets.reconcile.record import ComparedRecord, insert, money
from resources.tenants.matching import DocumentMatching
from resources.warehouse import DERIVED, TenantWarehouse, literal, quote

#: Candidates that a sentence names.
_SHOWN: Final = 5


def match_unmatched(warehouse: TenantWarehouse, of: ComparedRecord) -> bool:
    """Match the records of a comparison that lack a counterpart, and say what was found; whether any pairs were.

    Needs the tables of `keyed.compare` named `header`, and of documents `strangers` and `elsewhere`. Makes `pairs_found`
    (external_id, internal_id, matched_by), and `settled_billed` (external_id) and `settled_held` (internal_id): records
    of which nothing else is to be said.
    """
    run = warehouse.connection.execute
    keep_known_ids(warehouse, of.record, of.actual, of.period if of.is_document else None)
    settings = of.settings.match.customer if not of.is_document else of.settings.match.of_document(of.record)
    columns = matching.UNMATCHED if of.is_document else matching_customers.UNMATCHED
    for side in ("billed", "held"):
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        run(
            f"CREATE OR REPLACE TEMP TABLE unmatched_{side} ({typed}, name_shown VARCHAR, dated DATE, is_here BOOLEAN)"
        )
    run("""
        CREATE OR REPLACE TEMP TABLE pairs_found (external_id VARCHAR, internal_id VARCHAR, matched_by VARCHAR);
        CREATE OR REPLACE TEMP TABLE settled_billed (external_id VARCHAR);
        CREATE OR REPLACE TEMP TABLE settled_held (internal_id VARCHAR);
    """)
    if settings is None or not warehouse.value("SELECT count(*) FROM header_apart WHERE right_row IS NULL"):
        return False
    run(_unmatched_billed(of))
    run(_unmatched_held(of))
    if of.is_document and not warehouse.value("SELECT count(*) FROM unmatched_held"):
        return False
    recall_known_ids(warehouse, of.record, "SELECT external_id FROM unmatched_billed")
    if isinstance(settings, DocumentMatching):
        matching.match_documents(warehouse, settings)
    else:
        _moved(warehouse)
        matching_customers.match_customers(warehouse, settings)
    run("""
        INSERT INTO pairs_found SELECT b.external_id, h.internal_id, m.matched_by
        FROM matches m JOIN unmatched_billed b ON b.row_no = m.billed_row
        JOIN unmatched_held h ON h.row_no = m.held_row
    """)
    run(_not_linked(of))
    run(_undecided_billed(of))
    if of.is_document:
        run(_undecided_held(of))
        run(_grouped(of))
        run(_given_up(of))
        rows = "SELECT billed_row, held_row FROM matches UNION ALL SELECT billed_row, held_row FROM undecided"
        for side, key in (("billed", "external_id"), ("held", "internal_id")):
            run(f"""
                INSERT INTO settled_{side} SELECT DISTINCT {key} FROM unmatched_{side} WHERE row_no IN (
                    SELECT {side}_row FROM ({rows}) UNION ALL SELECT row_no FROM grouped WHERE side = '{side}'
                    UNION ALL SELECT row_no FROM crowded WHERE side = '{side}')
            """)
    else:
        run(_gone(of))
        run("""
            INSERT INTO settled_billed SELECT DISTINCT external_id FROM unmatched_billed WHERE row_no IN (
                SELECT billed_row FROM matches UNION ALL SELECT billed_row FROM undecided
                UNION ALL SELECT billed_row FROM gone)
        """)
    return bool(warehouse.value("SELECT count(*) FROM pairs_found"))


@contextmanager
def pairs_as_tables(warehouse: TenantWarehouse, of: ComparedRecord) -> Iterator[ComparedRecord]:
    """The pairs of `pairs_found` as a comparison of their own, in which NetSuite's records have billing's external id.

    Their tables stand beside the slices' and are gone afterwards.
    """
    run = warehouse.connection.execute
    tables = replace(
        of.tables,
        name=f"matched_{of.tables.name}",
        lines=None if of.tables.lines is None else f"matched_{of.tables.lines}",
    )
    again = replace(of, tables=tables)
    made = [again.expected, again.actual]
    try:
        _copy(warehouse, of.expected, again.expected, f"{of.where} AND external_id IN (FROM external_ids)")
        where = f"{of.where} AND internal_id IN (FROM internal_ids)"
        _copy(warehouse, of.actual, again.actual, where)
        run(f"""
            UPDATE {again.actual} AS a SET external_id = p.external_id
            FROM pairs_found p WHERE p.internal_id = a.internal_id
        """)
        if of.tables.lines is not None and of.tables.totalled:
            for schema, key in (("expected", "external_id"), ("netsuite", "internal_id")):
                made.append(f"{schema}.{tables.lines}")
                where = f"{of.where} AND {key} IN (FROM {key}s)"
                _copy(warehouse, f"{schema}.{of.tables.lines}", made[-1], where)
        yield again
    finally:
        for table in made:
            run(f"DROP TABLE IF EXISTS {table}")
            for meta in (HASHED, REPEATED):
                run(f"DELETE FROM {meta} WHERE table_name = ?", [table])


def _copy(warehouse: TenantWarehouse, table: str, into: str, where: str) -> None:
    """Copy the rows of a slice's table as they landed; `external_ids` and `internal_ids` are those of the pairs."""
    names = ", ".join(quote(name) for name in warehouse.columns(table) if name not in DERIVED)
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TABLE {into} AS
        WITH external_ids AS (SELECT external_id FROM pairs_found),
            internal_ids AS (SELECT internal_id FROM pairs_found)
        SELECT {names} FROM {table} WHERE {where}
    """)


def say_by_what(warehouse: TenantWarehouse, of: ComparedRecord) -> None:
    """Say of the differences of these pairs by which pass they were matched, and add up the tolerances with the others'."""
    run = warehouse.connection.execute
    run(f"""
        UPDATE differences_found AS d SET matched_by = p.matched_by FROM pairs_found p
        WHERE d.record = {literal(of.record)} AND d.external_id = p.external_id AND d.matched_by = 'external_id'
    """)
    run("""
        CREATE OR REPLACE TEMP TABLE tolerated_found AS
        SELECT record, part, field, rule, currency, sum(uses)::BIGINT AS uses,
            sum(delta)::DECIMAL(38,12) AS delta, max(greatest) AS greatest
        FROM tolerated_found GROUP BY record, part, field, rule, currency
    """)


def customer_aliases(warehouse: TenantWarehouse) -> bool:
    """Make `customer_aliases` (external_id, held): how NetSuite's documents name the customers that were matched without
    their external id; whether there are any. Customers are compared before documents.
    """
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE customer_aliases AS
        SELECT external_id, coalesce(actual, {literal(INTERNAL)} || internal_id) AS held
        FROM differences_found WHERE record = 'customer' AND kind = 'not_linked'
    """)
    return bool(warehouse.value("SELECT count(*) FROM customer_aliases"))


def exceptions(period: str, *, linked: bool) -> list[str]:
    """Queries for the exceptions of `differences_found` that the matching leaves to a person; `linked` where the
    write-back gives the pairs their external ids.
    """
    again = " Then run again."
    give = "the external id ' || external_id || ' in NetSuite (Setup > Import/Export > Import CSV Records, by its internal id)"
    steps = {
        "not_linked": f"'If it is the same, give it {give}; if it is another one, give it its own number there;"
        f" with writeback.not_linked: link in the tenant''s file such records are linked by the write-back.{again}'",
        "ambiguous": "CASE WHEN field = 'internalId' THEN 'Give the customer that took its place "
        f"{give}; if it was deleted by mistake, create it there again with that external id.{again}' ELSE "
        f"'Give the one that is the same {give}; those that are not, give their own number there.{again}' END",
        "grouped": "'Accept it if that is how it should stand in NetSuite; otherwise book it there as billing has it.'",
    }
    # One exception a record of billing's: NetSuite's candidates are named in it.
    return [
        f"""(SELECT {literal(period)} AS period, 'reconcile' AS stage, kind AS code, record, external_id, internal_id,
            number, name, amount, currency, reason, {step} AS next_step
        FROM differences_found WHERE kind = {literal(kind)} AND expected IS NOT NULL)"""
        for kind, step in steps.items()
        if not (linked and kind == "not_linked")
    ]


# What is unmatched


def _unmatched_billed(of: ComparedRecord) -> str:
    return f"""
        INSERT INTO unmatched_billed BY NAME
        SELECT row_number() OVER (ORDER BY external_id) AS row_no, external_id, number, name AS name_shown,
            {_selected(of, "l", billed=True)}
        FROM {of.expected} l WHERE l.problem IS NULL AND l.rowid IN (
            SELECT left_row FROM header_apart WHERE right_row IS NULL)
    """


def _unmatched_held(of: ComparedRecord) -> str:
    order = "row_number() OVER (ORDER BY TRY_CAST(l.internal_id AS BIGINT), l.internal_id) AS row_no"
    selected = f"{order}, l.external_id, l.internal_id, l.number, l.name AS name_shown, {_selected(of, 'l')}"
    if of.is_document:
        # One that NetSuite dates in another month is no other than its internal id or its number says.
        return f"""
            INSERT INTO unmatched_held BY NAME
            SELECT * REPLACE (CASE WHEN is_here THEN day END AS day), day AS dated FROM (
                SELECT {selected}, l.dated_in = {literal(of.period)} AS is_here
                FROM strangers l WHERE l.row_no NOT IN (SELECT row_no FROM elsewhere))"""
    source = f"""{of.actual} l WHERE l.external_id IS NULL
        OR NOT EXISTS (SELECT 1 FROM {of.expected} e WHERE e.external_id = l.external_id)"""
    return f"INSERT INTO unmatched_held BY NAME SELECT {selected} FROM {source}"


def _selected(of: ComparedRecord, row: str, *, billed: bool = False) -> str:
    """What is matched by, of a row of either side."""
    names = {field.name: field for field in of.mapping.fields if field.suiteql}

    def column(name: str | None) -> str:
        return f"{row}.{quote(name)}" if name in names else "NULL"

    if not of.is_document:
        custom = of.settings.match.customer.custom_id
        custom = next((name for name in names if custom is not None and name.lower() == custom.lower()), None)
        found = {
            "name": f"{row}.name",
            "email": column("email"),
            "subsidiary": column("subsidiary"),
            "custom": f"{column(custom)}::VARCHAR",
        }
    else:
        customer = column(next((name for name, field in names.items() if field.target == "customer"), None))
        if billed:
            known = f"SELECT any_value(x.held) FROM customer_aliases x WHERE x.external_id = {customer}"
            customer = f"coalesce(({known}), {customer})"
        number = of.mapping.number_field
        evidence = {
            name: column(field) if number != field else "NULL"
            for name, field in (("po", "otherRefNum"), ("memo", "memo"))
        }
        found = {
            "ref": column(number),
            "customer": customer,
            "currency": f"{row}.currency",
            "total": f"{row}.total",
            "day": column("tranDate"),
            **evidence,
            **{
                f"{name}_borne": _borne(of, value, row, billed=billed)
                for name, value in evidence.items()
                if value != "NULL"
            },
        }
    return ", ".join(f"{value} AS {name}" for name, value in found.items())


def _borne(of: ComparedRecord, value: str, row: str, *, billed: bool) -> str:
    """SQL for how many documents of this side's month have the same value."""
    same = f"x{value.removeprefix(row)} = {value}"
    return f"(SELECT count(*) FROM {of.expected if billed else of.actual} x WHERE {of.where} AND {same})"


def _moved(warehouse: TenantWarehouse) -> None:
    """Make `moved`: of customers whose internal id is gone, who has their documents now, in any month that is here."""
    parts = [
        "SELECT NULL::VARCHAR AS external_id, NULL::VARCHAR AS held, NULL::VARCHAR AS document WHERE false"
    ]
    for name in ("invoices", "credit_memos"):
        both = [warehouse.columns(f"{schema}.{name}") for schema in ("expected", "netsuite")]
        if all("entity" in columns for columns in both):
            parts.append(f"""
                SELECT e.entity, a.entity, a.internal_id FROM expected.{name} e
                JOIN netsuite.{name} a ON a.external_id = e.external_id AND a.period = e.period
                WHERE a.entity IS NOT NULL AND e.entity IN (
                    SELECT b.external_id FROM unmatched_billed b JOIN known_ids k ON k.external_id = b.external_id
                    WHERE NOT EXISTS (SELECT 1 FROM netsuite.customers c WHERE c.internal_id = k.internal_id))""")
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE moved AS
        SELECT d.external_id, any_value(h.row_no) AS held_row, c.internal_id, any_value(c.name) AS name,
            count(DISTINCT d.document) AS documents
        FROM ({" UNION ALL ".join(parts)}) d
        JOIN netsuite.customers c ON d.held = coalesce(c.external_id, {literal(INTERNAL)} || c.internal_id)
        LEFT JOIN unmatched_held h ON h.internal_id = c.internal_id
        GROUP BY d.external_id, c.internal_id
    """)


# What is said of it


def _label(of: ComparedRecord, row: str) -> str:
    """SQL for a record of NetSuite's as a person finds it: number, date, amount and internal id; of a customer its name."""
    if not of.is_document:
        return f"coalesce({row}.name_shown || ', ', '') || 'internal id ' || {row}.internal_id"
    return (
        f"coalesce(nullif(trim({row}.number), ''), 'without a number') || coalesce(' of ' || {row}.dated, '')"
        f" || ' over ' || {money(f'coalesce({row}.total, 0)', f'{row}.currency')} || ' (internal id ' || {row}.internal_id || ')'"
    )


def _billed_label(of: ComparedRecord, row: str) -> str:
    named = f"{row}.number" if of.is_document else f"{row}.name_shown"
    return f"{row}.external_id || coalesce(' (' || {named} || ')', '')"


def _own(of: ComparedRecord, row: str) -> tuple[str, str, str]:
    """SQL for how a record is shown, its total, and its currency."""
    if not of.is_document:
        return f"{row}.name_shown", "0", "NULL"
    return (
        money(f"coalesce({row}.total, 0)", f"{row}.currency"),
        f"coalesce({row}.total, 0)",
        f"{row}.currency",
    )


def _not_linked(of: ComparedRecord) -> str:
    _, total, currency = _own(of, "h")
    return insert(
        f"""b.external_id, h.internal_id, coalesce(b.number, h.number), coalesce(b.name_shown, h.name_shown),
        'not_linked', NULL, 'externalId', b.external_id, h.external_id, abs({total}), 0, {currency}, 'billing',
        'NetSuite holds this {of.tables.label} as ' || {_label(of, "h")} || coalesce(', with the external id '
        || h.external_id, ', without an external id') || ': ' || m.evidence || '.'""",
        """FROM matches m JOIN unmatched_billed b ON b.row_no = m.billed_row
        JOIN unmatched_held h ON h.row_no = m.held_row""",
        of.record,
        literal(of.mapping.external_id.where),
        matched_by="m.matched_by",
    )


def _listed(label: str) -> str:
    """SQL that lists the first candidates, the likeliest first, and counts the others."""
    return (
        f"array_to_string(list({label} ORDER BY score DESC, place)[:{_SHOWN}], '; ')"
        f" || CASE WHEN count(*) > {_SHOWN} THEN '; and ' || (count(*) - {_SHOWN}) || ' more' ELSE '' END"
    )


_CANDIDATES: Final = """
    (SELECT billed_row, held_row, max(score) AS score, first(evidence ORDER BY score DESC, evidence) AS evidence
    FROM undecided GROUP BY billed_row, held_row)
"""


def _undecided_billed(of: ComparedRecord) -> str:
    said, total, currency = _own(of, "b")
    plural = f"' {of.tables.label}s fit: '"
    return insert(
        f"""b.external_id, NULL, b.number, b.name_shown, 'ambiguous', NULL, NULL, {said}, NULL, abs({total}), {total},
        {currency}, 'billing', 'NetSuite may hold this {of.tables.label} already, and none was taken for it: '
        || CASE WHEN c.candidates = 1 THEN 'one fits, but not surely: ' ELSE c.candidates || {plural} END
        || c.told || '.'""",
        f"""FROM unmatched_billed b JOIN (
            SELECT billed_row, count(*) AS candidates, {_listed("told")} AS told
            FROM (SELECT u.billed_row, u.score, u.held_row AS place, {_label(of, "h")} || ', ' || u.evidence AS told
                FROM {_CANDIDATES} u JOIN unmatched_held h ON h.row_no = u.held_row)
            GROUP BY billed_row) c ON c.billed_row = b.row_no""",
        of.record,
        literal(of.mapping.external_id.where),
    )


def _undecided_held(of: ComparedRecord) -> str:
    said, total, currency = _own(of, "h")
    return insert(
        f"""h.external_id, h.internal_id, h.number, h.name_shown, 'ambiguous', NULL, NULL, NULL, {said}, abs({total}),
        CASE WHEN h.is_here THEN -{total} ELSE 0 END, {currency}, 'billing', 'It may be billing''s ' || c.told || '; it was taken for none.'""",
        f"""FROM unmatched_held h JOIN (
            SELECT held_row, {_listed("told")} AS told
            FROM (SELECT u.held_row, u.score, u.billed_row AS place, {_billed_label(of, "b")} AS told
                FROM {_CANDIDATES} u JOIN unmatched_billed b ON b.row_no = u.billed_row)
            GROUP BY held_row) c ON c.held_row = h.row_no""",
        of.record,
    )


def _grouped(of: ComparedRecord) -> str:
    """Each document of a group; its sentence names all of them."""
    label = f"CASE WHEN x.side = 'billed' THEN {_billed_label(of, 'x')} || ' over ' || {money('coalesce(x.total, 0)', 'x.currency')} ELSE {_label(of, 'x')} END"
    said, total, currency = _own(of, "x")
    of_side = "SELECT g.group_no, g.side, u.* FROM grouped g JOIN unmatched_{0} u ON u.row_no = g.row_no WHERE g.side = '{0}'"
    members = f"({of_side.format('billed')} UNION ALL {of_side.format('held')})"

    def told(side: str) -> str:
        return f"string_agg({label}, ', ' ORDER BY x.row_no) FILTER (x.side = '{side}')"

    return insert(
        f"""x.external_id, x.internal_id, x.number, x.name_shown, 'grouped', NULL, NULL,
        CASE WHEN x.side = 'billed' THEN {said} END, CASE WHEN x.side = 'held' THEN {said} END, abs({total}),
        CASE WHEN x.side = 'billed' THEN {total} ELSE -{total} END, {currency}, 'netsuite',
        'Billing''s ' || g.billed || ' and NetSuite''s ' || g.held || ' add up to the same.'""",
        f"""FROM {members} x JOIN (
            SELECT group_no, {told("billed")} AS billed, {told("held")} AS held FROM {members} x GROUP BY group_no
        ) g ON g.group_no = x.group_no""",
        of.record,
        matched_by="'groups'",
    )


def _given_up(of: ComparedRecord) -> str:
    """Documents that were given up, and in no pair, candidate or group."""
    said, total, currency = _own(of, "x")
    of_side = """SELECT g.side, g.billed, g.held, u.* FROM (
            SELECT side, row_no, max(billed) AS billed, max(held) AS held FROM crowded GROUP BY side, row_no) g
        JOIN unmatched_{0} u ON u.row_no = g.row_no WHERE g.side = '{0}' AND coalesce(u.is_here, true)
            AND NOT EXISTS (SELECT 1 FROM undecided o WHERE o.{0}_row = g.row_no)
            AND NOT EXISTS (SELECT 1 FROM grouped o WHERE o.side = '{0}' AND o.row_no = g.row_no)"""
    return insert(
        f"""x.external_id, x.internal_id, x.number, x.name_shown, 'ambiguous', NULL, NULL,
        CASE WHEN x.side = 'billed' THEN {said} END, CASE WHEN x.side = 'held' THEN {said} END, abs({total}),
        CASE WHEN x.side = 'billed' THEN {total} ELSE -{total} END, {currency}, 'billing',
        'The search gave up: ' || x.billed || ' documents of billing and ' || x.held || ' of NetSuite are this'
        || ' customer''s and without a counterpart, too many and too alike to be told apart.'""",
        f"FROM ({of_side.format('billed')} UNION ALL {of_side.format('held')}) x",
        of.record,
    )


def _gone(of: ComparedRecord) -> str:
    return insert(
        """b.external_id, NULL, b.number, b.name_shown, 'ambiguous', NULL, 'internalId', b.name_shown, NULL, 0, 0, NULL,
        'billing', 'NetSuite had this customer with the internal id ' || g.internal_id || ' and has it no more: it was'
        || ' merged into another one, or deleted. ' || coalesce('Its documents are now of ' || g.evidence || '.',
            'No document tells into which.')""",
        "FROM gone g JOIN unmatched_billed b ON b.row_no = g.billed_row",
        of.record,
        literal(of.mapping.external_id.where),
    )
