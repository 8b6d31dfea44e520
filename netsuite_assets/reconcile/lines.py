"""The lines of documents, compared: which lines of two documents are the same line, and what differs in them.

Here: which documents' lines are looked at, the pairing, and the fields of the lines. Not here: the documents
themselves (`differences.py`).

The lines of a document that is the same on both sides have the same hashes in some order, so their sum and their
number decide whether they are looked at. Of those that are, identical lines cancel each other one by one; what is left
is paired by the billing line's own id where the mapping writes it to a field, else by item and position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.reconcile.hashes import Hashed, hash_slice
from netsuite_assets.reconcile.keyed import Field, judge, judged
from netsuite_assets.tables import RecordTables
from resources.warehouse import TenantWarehouse, quote


@dataclass(frozen=True)
class Lines:
    """The compared fields of a record type's lines. `key` is the one that both sides know a line by, if there is one."""

    tables: RecordTables
    period: str
    fields: Sequence[Field]
    key: str | None

    @property
    def table(self) -> str:
        """The name of both sides' tables."""
        return str(self.tables.lines)


def shared_key(mapping: RecordMapping) -> str | None:
    """The field of the lines that holds the billing line's own id in every line that the mapping makes, if one does."""
    found: set[str] | None = None
    for part in mapping.parts.lines:
        plain = {
            rule.field.name
            for rule in part.rules
            if rule.is_plain
            and rule.field.suiteql
            and (way := rule.ways[0]).source is not None
            and (way.source.alias, way.source.column) == ("l", "id")
            and way.value_map is None
            and way.lookup is None
        }
        found = plain if found is None else found & plain
    return min(found) if found else None


def differing_documents(warehouse: TenantWarehouse, lines: Lines) -> None:
    """Make `line_documents` (external_id, billed_lines, held_lines): documents whose lines are not the same as they stand,
    with a hash of all lines of each side. Makes `billed_lines_of` (external_id, n, h, w): how many lines billing's
    documents have, and the sums of their hashes.

    Gives every line its hashes.
    """
    values = [Hashed(one.name, quote(one.name), one.comparison) for one in lines.fields]
    expected = hash_slice(warehouse, f"expected.{lines.table}", lines.period, None, values)
    actual = hash_slice(warehouse, f"netsuite.{lines.table}", lines.period, None, values)
    # Each side adds up its own lines: of millions of documents, the few that differ are left.
    sums = "count(*) AS n, sum(row_hash) AS h, sum(raw_hash) AS w"
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE billed_lines_of AS
        SELECT external_id, {sums} FROM {expected.table} WHERE {expected.where} AND external_id IS NOT NULL
        GROUP BY external_id
    """)
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE line_documents AS
        SELECT external_id, {lines_hash("e.n", "e.h")} AS billed_lines, {lines_hash("a.n", "a.h")} AS held_lines
        FROM billed_lines_of e
        FULL JOIN (
            SELECT d.external_id, l.n, l.h, l.w
            FROM (SELECT internal_id, {sums} FROM {actual.table} WHERE {actual.where} GROUP BY internal_id) l
            JOIN netsuite.{lines.tables.name} d ON d.internal_id = l.internal_id AND d.period = '{lines.period}'
            WHERE d.external_id IS NOT NULL) a USING (external_id)
        WHERE (e.n, e.h, e.w) IS DISTINCT FROM (a.n, a.h, a.w)
    """)


def lines_hash(count: str, hash_sum: str) -> str:
    """SQL for one number of all lines of a document, equal where they are the same in some order."""
    return f"hash(coalesce({count}, 0)::BIGINT, coalesce({hash_sum}, 0)::HUGEINT)"


def compare_lines(warehouse: TenantWarehouse, lines: Lines, documents: str) -> bool:
    """Compare the lines of the documents in `line_documents` that are also in this table (key, internal_id, currency).

    False where there are none, and nothing is made. Makes `line_judged` and `line_uses` as `keyed` does (its keys are
    external_id and e_line), and `expected_alone` and `netsuite_alone` (external_id, line_no, the fields): lines without a counterpart.
    """
    run = warehouse.connection.execute
    run(f"""
        CREATE OR REPLACE TEMP TABLE looked_at AS
        SELECT d.key AS external_id, d.internal_id, d.currency FROM {documents} d JOIN line_documents x ON x.external_id = d.key
    """)
    if not warehouse.value("SELECT count(*) FROM looked_at"):
        return False
    for side, key in (("expected", "external_id"), ("netsuite", "internal_id")):
        # A line's place among identical lines of its document lets them cancel one by one. Where a document gives two
        # lines the same number, lines are told apart by their place in it.
        run(f"""
            CREATE OR REPLACE TEMP TABLE {side}_line AS
            SELECT d.external_id, d.currency, CASE WHEN count(DISTINCT l.line_no) OVER of_document
                    = count(*) OVER of_document THEN l.line_no ELSE row_number() OVER (
                    PARTITION BY d.external_id ORDER BY l.line_no, l.row_hash, l.raw_hash)::INTEGER END AS line_no
                {_columns(lines, "l.")}, l.row_hash AS content, l.raw_hash AS raw, row_number() OVER (
                    PARTITION BY d.external_id, l.row_hash ORDER BY l.raw_hash, l.line_no) AS nth
            FROM {side}.{lines.table} l JOIN looked_at d ON d.{key} = l.{key}
            WHERE l.period = '{lines.period}'
            WINDOW of_document AS (PARTITION BY d.external_id)
        """)
    for side, other in (("expected", "netsuite"), ("netsuite", "expected")):
        run(f"""
            CREATE OR REPLACE TEMP TABLE {side}_left AS
            SELECT * FROM {side}_line l ANTI JOIN {other}_line o USING (external_id, content, nth)
        """)
    run("CREATE OR REPLACE TEMP TABLE line_pairs (external_id VARCHAR, e_line INTEGER, a_line INTEGER)")
    if warehouse.value("SELECT count(*) FROM expected_left") and warehouse.value(
        "SELECT count(*) FROM netsuite_left"
    ):
        for alike in _pairings(lines):
            run(_pair_lines(alike, lines.key))
    for side, number in (("expected", "e_line"), ("netsuite", "a_line")):
        run(f"""
            CREATE OR REPLACE TEMP TABLE {side}_alone AS
            SELECT * FROM {side}_left l WHERE NOT EXISTS (
                SELECT 1 FROM line_pairs x WHERE x.external_id = l.external_id AND x.{number} = l.line_no)
        """)
    _values(warehouse, lines)
    return True


def _columns(lines: Lines, of: str) -> str:
    return "".join(f", {of}{quote(field.name)}" for field in lines.fields)


def _pairings(lines: Lines) -> list[tuple[str, ...]]:
    """By which fields lines that are not identical are taken for the same line, the surest first."""
    present = {field.name for field in lines.fields}
    wanted = [("item", "description", "quantity"), ("item", "description"), ("item",), ()]
    found = [tuple(name for name in names if name in present) for names in wanted]
    if lines.key is not None:
        found.insert(0, (lines.key,))
    return list(dict.fromkeys(found))


def _pair_lines(alike: Sequence[str], key: str | None) -> str:
    """Pair what is left of each document's lines where these fields agree, in the order of the lines."""
    names = "".join(f", {quote(name)}" for name in alike)
    # Two lines that both have an id are the same line by it, or not at all.
    is_key = key is not None and tuple(alike) == (key,)
    known = {
        "expected": f" AND l.{quote(key)} IS NOT NULL" if key and is_key else "",
        "netsuite": f" AND l.{quote(key)} IS {'NOT ' if is_key else ''}NULL" if key else "",
    }
    left = {
        side: f"""(SELECT external_id, line_no{names},
            row_number() OVER (PARTITION BY external_id{names} ORDER BY line_no) AS nth
            FROM {side}_left l WHERE NOT EXISTS (
                SELECT 1 FROM line_pairs p WHERE p.external_id = l.external_id AND p.{number} = l.line_no)
            {known[side]})"""
        for side, number in (("expected", "e_line"), ("netsuite", "a_line"))
    }
    agree = "".join(f" AND e.{quote(name)} IS NOT DISTINCT FROM a.{quote(name)}" for name in alike)
    return f"""INSERT INTO line_pairs SELECT e.external_id, e.line_no, a.line_no
        FROM {left["expected"]} e JOIN {left["netsuite"]} a
          ON e.external_id = a.external_id AND e.nth = a.nth{agree}"""


def _values(warehouse: TenantWarehouse, lines: Lines) -> None:
    """The values of paired lines, and of identical ones that are written otherwise, that are not the same."""
    both = "".join(
        f", e.{quote(field.name)} AS {left}, a.{quote(field.name)} AS {right}"
        for field in lines.fields
        for left, right in (field.columns,)
    )
    of_both = "e.external_id, e.currency, e.line_no AS e_line"
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE paired_lines AS
        SELECT {of_both}{both} FROM line_pairs p
        JOIN expected_left e ON e.external_id = p.external_id AND e.line_no = p.e_line
        JOIN netsuite_left a ON a.external_id = p.external_id AND a.line_no = p.a_line
    """)
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE alike_lines AS
        SELECT {of_both}{both} FROM expected_line e JOIN netsuite_line a USING (external_id, content, nth)
        WHERE e.raw <> a.raw
    """)
    lines_of_both = "(FROM alike_lines UNION ALL FROM paired_lines)"
    judge(
        warehouse,
        "line",
        "external_id, e_line",
        [judged(field, lines_of_both, keys="external_id, e_line") for field in lines.fields],
    )
