"""What both sides agreed on last: the base by which a difference says which of them has changed since.

Here: the table `reconciliation.agreed_<records>`, a row a record, and the columns `base`, `changed_side` and (where both
have changed) `owner` of the differences. Not here: the comparing (`keyed.py`, `lines.py`), or who changed it in NetSuite
(`changes.py`). The table can be lost with the warehouse: it fills again from the ledger (`agreed_again.py`) and with the
next comparison, and until a field has agreed once, a difference of it is one of two sides only.

A value is agreed on when a comparison finds it the same, by the tenant's rules; a field that differs keeps its base. Each
side is held against its own value of then, in canonical form and without tolerances, so that values which drift within a
tolerance are no change of the side that stood still. What the mapping makes of billing's record is billing's value.
The lines of a document are one value, because they are written as one.

Where one side now has what the other had when they were compared last, they have agreed in between, unseen: NetSuite has
taken a write that was never read back, or somebody gave one side the other's value. That value is the base then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from netsuite_assets.mapping.compiler import MappedField
from netsuite_assets.reconcile.comparison import DATE_KINDS, NUMBER_KINDS
from netsuite_assets.reconcile.hashes import HASHED
from netsuite_assets.reconcile.keyed import Field
from netsuite_assets.reconcile.lines import Lines, lines_hash
from netsuite_assets.reconcile.record import ComparedRecord, money
from netsuite_assets.tables import COLUMN_TYPES, TABLES
from resources.warehouse import WHOLE, TenantWarehouse, literal, quote

#: Whose value counts where both sides have changed it: a person decides, and nothing is written.
PERSON: Final = "person"

#: What is agreed on besides the fields: the document's total, and its lines as a whole.
TOTAL: Final = "total"
LINES: Final = " lines"

_FIELD_KINDS: Final = (
    "changed",
    "wrong_customer",
    "wrong_subsidiary",
    "wrong_currency",
    "wrong_period",
    "total",
)
_LINE_KINDS: Final = ("line_missing", "line_extra", "line_changed")

#: `content` is a hash of billing's record and lines, `made_of` of how hashes are made; `differing` names what did not agree
#: when it was last looked at, `never` what of that never has; `held` has NetSuite's own value of what agreed within a
#: tolerance; `billed_lines` and `held_lines` are hashes of all lines of a side. `seen` has of what is differing billing's and
#: NetSuite's value when it was last looked at, as text.
_CORE: Final = {
    "period": "VARCHAR",
    "external_id": "VARCHAR",
    "content": "UBIGINT",
    "made_of": "VARCHAR",
    "differing": "VARCHAR[]",
    "never": "VARCHAR[]",
    "held": "MAP(VARCHAR, VARCHAR)",
    "document_total": "DECIMAL(18,4)",
    "billed_lines": "UBIGINT",
    "held_lines": "UBIGINT",
    "seen": "MAP(VARCHAR, VARCHAR[])",
}


def say_what_changed(warehouse: TenantWarehouse, of: ComparedRecord, lines: Lines | None) -> None:
    """Fill `base` and `changed_side` of the differences of the pairs that were compared last; where both sides have
    changed a value, `owner` becomes `person`.
    """
    run = warehouse.connection.execute
    fields = _touched(warehouse, of)
    _find_base(warehouse, of, lines, fields)
    if not warehouse.value("SELECT count(*) FROM pairs_base"):
        return
    values = "".join(
        f", p.{left} IS DISTINCT FROM p.{right} AS {quote(f'apart {one.name}')}, p.{right} AS {quote(f'held {one.name}')},"
        f" e.{quote(one.name)} AS {quote(f'billed {one.name}')}, b.{column_of(one)} AS {quote(f'then {one.name}')}"
        for one in fields
        for left, right in (one.columns,)
    )
    run(f"""
        CREATE OR REPLACE TEMP TABLE pairs_then AS
        SELECT p.key, p.internal_id, p.currency, p.expected_total, p.actual_total, b.never, b.held, b.document_total,
            CASE WHEN b.made_of = {literal(hashes_made_of(warehouse, of))} THEN b.billed_lines END AS billed_lines,
            b.held_lines{values}
        FROM (SELECT * FROM header_pairs WHERE problem IS NULL) p
        JOIN pairs_base b ON b.external_id = p.key
        JOIN (SELECT * FROM {of.expected} WHERE {of.where}) e ON e.external_id = p.key
    """)
    mapped = {field.name: field for field in of.mapping.fields}
    parts = [_NOTHING, *(_field_since(of, one, mapped[one.name]) for one in fields)]
    if of.is_document:
        parts.append(_total_since(of))
    if lines is not None:
        parts.append(_lines_since())
    # The total and the lines are written together, so that neither is when one of them is a person's.
    together = f"PARTITION BY key, CASE WHEN field IN ('{TOTAL}', '{LINES}') THEN '' ELSE field END"
    place = f"CASE WHEN d.kind IN ({_listed(_LINE_KINDS)}) THEN '{LINES}' WHEN d.kind = 'wrong_period' THEN 'tranDate' ELSE d.field END"
    run(f"""
        UPDATE differences_found AS d SET base = x.base, changed_side = x.side,
            owner = CASE WHEN x.is_persons THEN '{PERSON}' ELSE d.owner END
        FROM (
            SELECT key, internal_id, field, base,
                CASE WHEN billing AND netsuite THEN 'both' WHEN billing THEN 'billing' WHEN netsuite THEN 'netsuite' END
                    AS side,
                coalesce(bool_or(billing AND netsuite AND disputed) OVER ({together}), false) AS is_persons
            FROM ({" UNION ALL ".join(parts)})) x
        WHERE d.record = {literal(of.record)} AND d.external_id = x.key AND d.internal_id = x.internal_id
            AND d.kind IN ({_listed(_FIELD_KINDS + _LINE_KINDS)}) AND x.field = {place}
    """)


def keep_agreed(warehouse: TenantWarehouse, of: ComparedRecord, lines: Lines | None) -> bool:
    """Keep what the comparison of the external ids found to agree; whether any of it was not kept already.

    Needs the tables of that comparison, with all differences of its pairs, and `pairs_base`. Of records that agree as they did only two
    numbers are read, and nothing is written.
    """
    table = ensured(warehouse, of)
    _find_anew(warehouse, of, lines, table)
    _find_pairs_anew(warehouse, of, lines)
    whole, pairs = (warehouse.value(f"SELECT count(*) FROM {name}") for name in ("agreed_anew", "pairs_anew"))
    if not whole + pairs:
        return False
    run = warehouse.connection.execute
    fields = "".join(f", e.{quote(field.name)} AS {column_of(field)}" for field in of.fields)
    with warehouse.transaction():
        for name in ("agreed_anew", "pairs_anew"):
            run(
                f"DELETE FROM {table} WHERE {of_period(of)} AND external_id IN (SELECT external_id FROM {name})"
            )
        run(f"""
            INSERT INTO {table} BY NAME
            SELECT {literal(period_of(of))} AS period, e.external_id, n.content, {literal(hashes_made_of(warehouse, of))} AS made_of,
                coalesce(e.total, 0) AS document_total, n.lines AS billed_lines, n.lines AS held_lines{fields}
            FROM {of.expected} e JOIN agreed_anew n ON e.rowid = n.row_no
        """)
        run(f"INSERT INTO {table} BY NAME SELECT * FROM pairs_anew")
    return True


def _touched(warehouse: TenantWarehouse, of: ComparedRecord) -> list[Field]:
    """The fields of which there are differences."""
    rows = warehouse.sql("SELECT DISTINCT field FROM differences_found WHERE record = ?", [of.record])
    found = {row[0] for row in rows}
    return [field for field in of.fields if field.name in found]


def _find_base(
    warehouse: TenantWarehouse, of: ComparedRecord, lines: Lines | None, fields: Sequence[Field]
) -> None:
    """Make `pairs_base`, as rows of the table: what is kept of the pairs that were compared last, and where they have
    agreed in between, the value that they agreed on.
    """
    table = ensured(warehouse, of)
    values: list[tuple[str, str, str, Callable[[str], str], str, str, str]] = [
        (field.name, column_of(field), COLUMN_TYPES[field.comparison.kind], field.comparison.canonical,
            f"e.{quote(field.name)}", f"p.{field.columns[1]}", f"p.{field.columns[0]} IS DISTINCT FROM p.{field.columns[1]}")
        for field in fields
    ]  # fmt: skip
    documents = ""
    if of.is_document:
        values.append(
            (TOTAL, "document_total", "DECIMAL(18,4)", str, "p.expected_total", "p.actual_total", "true")
        )
    if lines is not None:
        made_of = literal(hashes_made_of(warehouse, of))
        values.append((LINES, "billed_lines", "UBIGINT", str, "d.billed_lines", "d.held_lines",
            f"d.external_id IS NOT NULL AND b.made_of = {made_of}"))  # fmt: skip
        documents = "LEFT JOIN line_documents d ON d.external_id = p.key"
    columns, replaced, met = "", [], []
    for name, column, kind, canonical, billed, held, where in values:
        then_billed, then_held = (f"(map_extract(b.seen, {literal(name)})[1])[{at}]::{kind}" for at in (1, 2))
        taken = f"{canonical(held)} IS NOT DISTINCT FROM {canonical(then_billed)}"
        given = f"{canonical(billed)} IS NOT DISTINCT FROM {canonical(then_held)}"
        told = quote(f"met {name}")
        columns += (
            f", CASE WHEN {where} AND {_in('map_keys(b.seen)', name)} AND ({taken}) <> ({given})"
            f" THEN CASE WHEN {taken} THEN [{then_billed}] ELSE [{then_held}] END END AS {told}"
        )
        for one in [column] if name != LINES else [column, "held_lines"]:
            replaced.append(f"CASE WHEN {told} IS NULL THEN {one} ELSE {told}[1] END AS {one}")
        met.append(f"CASE WHEN {told} IS NOT NULL THEN {literal(name)} END")
    names = f"[{', '.join(met)}]::VARCHAR[]"
    replaced += [
        f"nullif(list_filter(never, lambda one: NOT coalesce(list_contains({names}, one), false)), []) AS never",
        f"CASE WHEN held IS NOT NULL THEN map_from_entries(list_filter(map_entries(held),"
        f" lambda one: NOT coalesce(list_contains({names}, one.key), false))) END AS held",
    ]
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE pairs_base AS
        SELECT {", ".join([*_CORE, *map(column_of, of.fields)])} FROM (
            SELECT * REPLACE ({", ".join(replaced)}) FROM (
                SELECT b.*{columns}
                FROM (SELECT * FROM {table} WHERE {of_period(of)}) b
                JOIN (SELECT * FROM header_pairs WHERE problem IS NULL) p ON p.key = b.external_id
                JOIN (SELECT * FROM {of.expected} WHERE {of.where}) e ON e.external_id = p.key
                {documents}))
    """)


def _find_anew(warehouse: TenantWarehouse, of: ComparedRecord, lines: Lines | None, table: str) -> None:
    """Make `agreed_anew` (row_no, external_id, content, lines): records that are wholly the same on both sides, and
    are not kept as they are.
    """
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE agreed_anew AS
        SELECT row_no, external_id, content, lines FROM ({_billed(of, lines)}) e
        WHERE NOT EXISTS (
                SELECT 1 FROM {table} b WHERE {of_period(of)} AND b.made_of = {literal(hashes_made_of(warehouse, of))}
                    AND b.differing IS NULL AND b.never IS NULL AND b.held IS NULL
                    AND b.external_id = e.external_id AND b.content = e.content)
            AND NOT EXISTS (SELECT 1 FROM header_repeated x WHERE x.key = e.external_id)
            AND NOT EXISTS (
                SELECT 1 FROM header_apart x WHERE x.key = e.external_id
                    AND (x.wanted OR x.left_row IS NULL OR x.right_row IS NULL))
    """)


def _find_pairs_anew(warehouse: TenantWarehouse, of: ComparedRecord, lines: Lines | None) -> None:
    """Make `pairs_anew`, as rows of the table: pairs that differ in something, or agree within a tolerance, and are not
    kept as they are.
    """
    run = warehouse.connection.execute
    made_of = literal(hashes_made_of(warehouse, of))
    run(f"""
        CREATE OR REPLACE TEMP TABLE pair_states AS
        SELECT key, nullif(list_sort(list(DISTINCT field) FILTER (held IS NULL)), []) AS differing,
            coalesce(list({{key: field, value: held}} ORDER BY field) FILTER (held IS NOT NULL), []) AS held
        FROM ({" UNION ALL ".join(_states(of, lines))}) GROUP BY key
    """)
    document_lines = "CASE WHEN d.external_id IS NULL THEN e.lines ELSE d.{side}_lines END"
    sides = {
        side: f"CASE WHEN NOT {_in('x.differing', LINES)} THEN {document_lines.format(side=side)}"
        f" WHEN b.made_of = {made_of} THEN b.{side}_lines END AS {side}_lines"
        if lines is not None
        else f"NULL::UBIGINT AS {side}_lines"
        for side in ("billed", "held")
    }
    documents = "line_documents" if lines is not None else "(SELECT NULL::VARCHAR AS external_id)"
    fields = "".join(
        f", CASE WHEN {_in('x.differing', field.name)} THEN b.{column_of(field)} ELSE r.{quote(field.name)} END"
        f" AS {column_of(field)}"
        for field in of.fields
    )
    both = [(one.name, f"r.{quote(one.name)}", f"p.{one.columns[1]}") for one in _touched(warehouse, of)]
    if of.is_document:
        both.append((TOTAL, "p.expected_total", "p.actual_total"))
    if lines is not None:
        both.append((LINES, "d.billed_lines", "d.held_lines"))
    seen = ", ".join(
        f"{{key: {literal(name)}, value: [{billed}::VARCHAR, {held}::VARCHAR]}}"
        for name, billed, held in both
    )
    kept = "list_filter(map_entries(b.held), lambda one: list_contains(x.differing, one.key))"
    run(f"""
        CREATE OR REPLACE TEMP TABLE pairs_anew AS
        SELECT n.* FROM (
            SELECT {literal(period_of(of))} AS period, p.key AS external_id, e.content, {made_of} AS made_of, x.differing,
                nullif(list_filter(x.differing,
                    lambda one: b.external_id IS NULL OR coalesce(list_contains(b.never, one), false)), []) AS never,
                CASE WHEN len(x.held) + coalesce(len({kept}), 0) > 0
                    THEN map_from_entries(list_concat(x.held, {kept})) END AS held,
                CASE WHEN {_in("x.differing", TOTAL)} THEN b.document_total ELSE coalesce(r.total, 0) END AS document_total,
                {sides["billed"]}, {sides["held"]},
                CASE WHEN x.differing IS NOT NULL THEN map_from_entries(list_filter([{seen}]::STRUCT(key VARCHAR, value VARCHAR[])[],
                    lambda one: list_contains(x.differing, one.key))) END AS seen{fields}
            FROM (SELECT * FROM header_pairs WHERE problem IS NULL
                AND key IN (SELECT key FROM header_apart WHERE wanted)) p
            JOIN ({_billed(of, lines)}) e ON e.external_id = p.key
            JOIN {of.expected} r ON r.rowid = e.row_no
            LEFT JOIN pair_states x ON x.key = p.key
            LEFT JOIN {documents} d ON d.external_id = p.key
            LEFT JOIN pairs_base b ON b.external_id = p.key) n
        LEFT JOIN pairs_base b USING (external_id)
        WHERE b.external_id IS NULL
            OR (n.content, n.made_of, n.differing, n.never, n.held, n.held_lines, n.seen)
                IS DISTINCT FROM (b.content, b.made_of, b.differing, b.never, b.held, b.held_lines, b.seen)
    """)


def _states(of: ComparedRecord, lines: Lines | None) -> Iterator[str]:
    """SQL for what a pair does not agree in as it stands (key, field, held): `held` is NetSuite's value, as text, where
    a tolerance takes it for the same, and NULL where it differs.
    """
    yield "SELECT key, field, NULL::VARCHAR AS held FROM header_judged WHERE rule IS NULL"
    for field in of.fields:
        if field.comparison.kind in NUMBER_KINDS | DATE_KINDS:
            yield (
                f"SELECT j.key, j.field, p.{field.columns[1]}::VARCHAR FROM header_judged j JOIN header_pairs p USING (key)"
                f" WHERE j.field = {literal(field.name)} AND j.rule IS NOT NULL"
            )
    if not of.is_document:
        return
    found = f"SELECT DISTINCT external_id FROM differences_found WHERE record = {literal(of.record)}"
    of_lines = f"{found} AND kind IN ({_listed(_LINE_KINDS)})"
    # A total agrees with the lines that it is of.
    apart = f"{found} AND kind IN ({_listed((*_LINE_KINDS, TOTAL))})"
    yield f"SELECT external_id, '{TOTAL}', NULL FROM ({apart})"
    yield (
        f"SELECT key, '{TOTAL}', actual_total::VARCHAR FROM header_pairs"
        f" WHERE expected_total <> actual_total AND key NOT IN ({apart} AND external_id IS NOT NULL)"
    )
    if lines is not None:
        yield f"SELECT external_id, '{LINES}', NULL FROM ({of_lines})"


def conflicts(period: str) -> str:
    """A query for the exceptions of `differences_found` that both sides have changed: one a record."""
    of_lines = f"(kind IN ({_listed(_LINE_KINDS)}) OR kind = 'total')"
    who = "coalesce(', changed by ' || changed_by || coalesce(' on ' || strftime(changed_at, '%Y-%m-%d at %H:%M UTC'), ''), '')"
    told = f"""field || ' was ' || coalesce(base, 'empty') || ' on both sides; billing now says ' || coalesce(expected, 'empty')
        || ', and NetSuite has ' || coalesce(actual, 'nothing') || {who} || '.'"""
    some = "array_to_string(list(reason ORDER BY kind, TRY_CAST(line AS BIGINT), field) FILTER (of_lines)[:3], ' ')"
    return f"""(
        SELECT {literal(period)} AS period, 'reconcile' AS stage, 'conflict' AS code, record, external_id, internal_id,
            min(number) AS number, min(name) AS name,
            greatest(coalesce(sum(amount) FILTER (of_lines), 0), coalesce(max(amount) FILTER (NOT of_lines), 0))
                ::DECIMAL(18,4) AS amount,
            min(currency) AS currency,
            concat_ws(' ', string_agg({told}, ' ' ORDER BY field) FILTER (NOT of_lines),
                CASE WHEN count(*) FILTER (of_lines) > 0 THEN 'Its lines or total have changed on both sides since they agreed'
                    || max({who}) FILTER (of_lines) || ': ' || {some} END,
                CASE WHEN count(*) FILTER (of_lines) > 3 THEN 'And ' || (count(*) FILTER (of_lines) - 3) || ' more.' END)
                AS reason,
            'Decide which is right, and enter it on the side where it is not; then run again. What both sides then have is'
            || ' what they agree on. Until then nothing is written to '
            || CASE WHEN bool_or(NOT of_lines) THEN 'these fields' || CASE WHEN bool_or(of_lines) THEN ' and lines' ELSE '' END
                ELSE 'its lines' END || '.' AS next_step
        FROM (SELECT *, {of_lines} AS of_lines FROM differences_found WHERE owner = '{PERSON}'
            -- The other half of a document in another currency, and its month, say nothing more.
            AND kind <> 'wrong_period' AND NOT (kind = 'wrong_currency' AND expected IS NULL))
        GROUP BY record, external_id, internal_id)"""


# What has changed since

_NOTHING: Final = """SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS internal_id, NULL::VARCHAR AS field, NULL::VARCHAR AS base,
    NULL::BOOLEAN AS billing, NULL::BOOLEAN AS netsuite, NULL::BOOLEAN AS disputed WHERE false"""


def _field_since(of: ComparedRecord, field: Field, mapped: MappedField) -> str:
    """SQL for one field of the pairs: key, internal_id, field, base, whether each side has changed it, and whether it is
    for a person when both have. Of a field that is written once, or where NetSuite has nothing, the mapping says enough.
    """
    billed, held, then = (quote(f"{when} {field.name}") for when in ("billed", "held", "then"))
    canonical = field.comparison.canonical
    kept = f"coalesce({_kept(field.name)}::{COLUMN_TYPES[field.comparison.kind]}, {then})"
    netsuite = f"{canonical(held)} IS DISTINCT FROM {canonical(kept)}"
    if of.is_document and mapped.target == "customer":
        # A customer that lost its external id is still the same one.
        known = f"SELECT any_value(a.held) FROM customer_aliases a WHERE a.external_id = {then}"
        netsuite += f" AND {held} IS DISTINCT FROM ({known})"
    return (
        f"SELECT key, internal_id, {literal(field.name)}, {field.shown(then)},"
        f" {canonical(billed)} IS DISTINCT FROM {canonical(then)}, {netsuite},"
        f" {'true' if mapped.policy == 'always' else 'false'}"
        f" FROM pairs_then WHERE {quote(f'apart {field.name}')} AND NOT {_in('never', field.name)}"
    )


def _total_since(of: ComparedRecord) -> str:
    known = f"CASE WHEN NOT {_in('never', TOTAL)} THEN {{0}} END"
    kept = f"coalesce({_kept(TOTAL)}::DECIMAL(18,4), document_total)"
    return (
        f"SELECT key, internal_id, '{TOTAL}', {known.format(money('document_total', 'currency'))},"
        f" {known.format('expected_total IS DISTINCT FROM document_total')},"
        f" {known.format(f'actual_total IS DISTINCT FROM {kept}')}, true FROM pairs_then"
        f" WHERE key IN (SELECT external_id FROM differences_found WHERE record = {literal(of.record)} AND kind = 'total')"
    )


def _lines_since() -> str:
    known = "CASE WHEN p.billed_lines IS NOT NULL THEN {0} END"
    return (
        f"SELECT p.key, p.internal_id, '{LINES}', NULL,"
        f" {known.format('d.billed_lines IS DISTINCT FROM p.billed_lines')},"
        f" {known.format('d.held_lines IS DISTINCT FROM p.held_lines')}, true"
        " FROM pairs_then p JOIN line_documents d ON d.external_id = p.key"
    )


# The table


def _table(of: ComparedRecord) -> str:
    return f"reconciliation.agreed_{TABLES[of.record].name}"


def column_of(field: Field) -> str:
    return quote(f"field_{field.name}")


def period_of(of: ComparedRecord) -> str:
    return of.period if of.is_document else WHOLE


def of_period(of: ComparedRecord) -> str:
    return f"period = {literal(period_of(of))}"


def ensured(warehouse: TenantWarehouse, of: ComparedRecord) -> str:
    """The table, with a column for each field; one that is new to it was never agreed on."""
    table = _table(of)
    fields = {f"field_{field.name}": COLUMN_TYPES[field.comparison.kind] for field in of.fields}
    present = warehouse.columns(table)
    added = [field.name for field in of.fields if present.get(f"field_{field.name}") is None]
    retyped = [
        field.name
        for field in of.fields
        if field.name not in added and present[f"field_{field.name}"] != fields[f"field_{field.name}"]
    ]
    warehouse.ensure_table(table, _CORE | fields)
    if present and (added or retyped):
        names = f"[{_listed(added + retyped)}]::VARCHAR[]"
        warehouse.connection.execute(
            f"UPDATE {table} SET never = list_sort(list_distinct(list_concat(coalesce(never, []), {names})))"
        )
    return table


def hashes_made_of(warehouse: TenantWarehouse, of: ComparedRecord) -> str:
    """A hash of how the hashes of this record type are made: those that are made otherwise say nothing about each other."""
    tables = TABLES[of.record]
    names = [f"expected.{name}" for name in (tables.name, tables.lines) if name is not None]
    specs = warehouse.sql(
        f"SELECT table_name, spec FROM {HASHED} WHERE list_contains(?, table_name) AND period = ? ORDER BY ALL",
        [names, period_of(of)],
    )
    return hashlib.sha256(repr(specs).encode()).hexdigest()[:16]


def _billed(of: ComparedRecord, lines: Lines | None) -> str:
    """SQL for billing's records as they are now: row_no, external_id, content, lines."""
    sums, of_lines = ("", "NULL::UBIGINT")
    if lines is not None:
        sums = "LEFT JOIN billed_lines_of s ON s.external_id = r.external_id"
        of_lines = lines_hash("s.n", "s.h")
    return (
        f"SELECT r.rowid AS row_no, r.external_id, hash(r.row_hash, {of_lines}) AS content, {of_lines} AS lines"
        f" FROM (SELECT rowid, external_id, row_hash FROM {of.expected}"
        f" WHERE {of.where} AND problem IS NULL AND external_id IS NOT NULL) r {sums}"
    )


def _kept(name: str) -> str:
    """SQL for NetSuite's own value of then, as text, where a tolerance took it for the same."""
    return f"map_extract(held, {literal(name)})[1]"


def _in(names: str, name: str) -> str:
    return f"coalesce(list_contains({names}, {literal(name)}), false)"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(literal, names))
