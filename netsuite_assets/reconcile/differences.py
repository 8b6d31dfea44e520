"""Expected against actual for one record type and period: SQL that writes what differs, and how that is said to a person.

Here: which fields take part, what a difference means and what it adds to the difference of the totals. Not here: the
comparing itself (`keyed.py`, `lines.py`), what to do about it (the write-back stage), or where either side came from.

Headers meet by external id. Money is compared as DECIMAL, a tolerance includes its bound. Every difference carries
`delta`, so that their sum is exactly the difference of the totals; what a tolerance forgives is counted and added up
beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from netsuite_assets.mapping.body import INTERNAL
from netsuite_assets.mapping.compiler import MappedField, RecordMapping
from netsuite_assets.reconcile.comparison import Comparison, comparison_of
from netsuite_assets.reconcile.hashes import Hashed, hash_slice
from netsuite_assets.reconcile.keyed import Compared, Field, compare, judge, judged
from netsuite_assets.reconcile.lines import Lines, compare_lines, differing_documents, shared_key
from netsuite_assets.tables import TABLES, RecordTables
from resources.netsuite.records import DECIMAL_KINDS
from resources.tenants import ReconcileSettings
from resources.tenants.comparison import FieldComparison, RecordComparison
from resources.warehouse import TenantWarehouse, literal, quote

#: How a second copy's `expected` begins; the external id of the document that it repeats follows.
ONCE_AS = "once, as "

#: Fields of a document's header whose difference has a name of its own: the whole document is concerned.
_SPECIAL_KINDS = {"entity": "wrong_customer", "subsidiary": "wrong_subsidiary", "currency": "wrong_currency"}

#: Asks billing on which days it issued the documents with these external ids, in any month.
Issued = Callable[[Sequence[str]], Mapping[str, date]]

#: Compared as it stands: what both sides have beside the mapped fields.
_AS_IT_STANDS = Comparison("enum", space="keep", empty_is_absent=False)


@dataclass(frozen=True)
class _Record:
    """One record type and period in comparison. `name` begins the names of its temporary tables."""

    mapping: RecordMapping
    tables: RecordTables
    period: str
    settings: ReconcileSettings
    fields: Sequence[Field]

    @property
    def record(self) -> str:
        return self.tables.record

    @property
    def is_document(self) -> bool:
        return self.tables.lines is not None

    @property
    def where(self) -> str:
        """SQL that holds for the period's rows of either side."""
        return f"period = {literal(self.period)}" if self.is_document else "true"

    @property
    def expected(self) -> str:
        return f"expected.{self.tables.name}"

    @property
    def actual(self) -> str:
        return f"netsuite.{self.tables.name}"


def begin(warehouse: TenantWarehouse) -> None:
    """Make the temporary tables that `diff_record` fills: `differences_found` and `tolerated_found`."""
    warehouse.connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE differences_found (
            record VARCHAR, external_id VARCHAR, internal_id VARCHAR, number VARCHAR, name VARCHAR, kind VARCHAR,
            line VARCHAR, field VARCHAR, expected VARCHAR, actual VARCHAR, amount DECIMAL(18,4), delta DECIMAL(18,4),
            currency VARCHAR, owner VARCHAR, reason VARCHAR, matched_by VARCHAR, rule VARCHAR, changed_by VARCHAR,
            changed_at TIMESTAMPTZ);
        CREATE OR REPLACE TEMP TABLE tolerated_found (
            record VARCHAR, part VARCHAR, field VARCHAR, rule VARCHAR, currency VARCHAR, uses BIGINT,
            delta DECIMAL(38,12), greatest DECIMAL(38,12));
        """
    )


def diff_record(
    warehouse: TenantWarehouse,
    mapping: RecordMapping,
    period: str,
    settings: ReconcileSettings,
    issued: Issued,
) -> None:
    """Add the differences of one record type and period to `differences_found`, and the uses of tolerances and
    normalisations to `tolerated_found`.

    Raises `keyed.NotConserved` when rows are lost on the way.
    """
    tables = TABLES[mapping.record]
    own = settings.compare.get(mapping.record, RecordComparison())
    of = _Record(mapping, tables, period, settings, _fields(mapping.fields, own.fields, settings))
    run = warehouse.connection.execute
    lines = None
    if tables.totalled:
        line_fields = _fields(mapping.line_fields, own.lines, settings)
        lines = Lines(tables, period, line_fields, shared_key(mapping))
        differing_documents(warehouse, lines)
    found = _compare(warehouse, of)
    if found.only_left or found.repeated:
        run(_missing(of))
    run(_not_comparable(of))
    if found.repeated:
        run(_ambiguous(of))
    if of.is_document and (found.only_right or found.repeated or found.right_unkeyed):
        _only_in_netsuite(warehouse, of, issued)
    run(_tolerated(of, "header", "header_uses"))
    if not warehouse.value("SELECT count(*) FROM header_pairs WHERE problem IS NULL"):
        return
    _header_fields(warehouse, of)
    if not of.is_document:
        return
    if lines is not None:
        _diff_lines(warehouse, of, lines)
    run(_wrong_period(of))
    for field in mapping.fields:
        if field.name == "currency":
            run(_other_currency(of, field))
    _total_residue(warehouse, of)


def _fields(
    mapped: Sequence[MappedField], own: Mapping[str, FieldComparison], settings: ReconcileSettings
) -> list[Field]:
    """The fields of a record, or of its lines, that NetSuite's queries show.

    The currency is compared by its ISO code, which is a column of every record.
    """
    by_name = {name.lower(): comparison for name, comparison in own.items()}
    found = []
    for field in mapped:
        if not field.suiteql:
            continue
        comparison = comparison_of(field.kind, settings.tolerance, by_name.get(field.name.lower()))
        left, right = quote(f"l.{field.name}"), quote(f"r.{field.name}")
        # Days of tolerance do not carry a document into another accounting month.
        month = f"date_trunc('month', {left}) IS DISTINCT FROM date_trunc('month', {right})"
        found.append(
            Field(
                field.name,
                comparison,
                f"l.{quote(field.name)}",
                f"r.{quote(field.name)}",
                shown=partial(_shown, field),
                always=month if field.name == "tranDate" else None,
                scope="currency",
            )
        )
    return found


def _compare(warehouse: TenantWarehouse, of: _Record) -> Compared:
    """Compare the headers: the tables of `keyed.compare`, named `header`.

    What the other differences rest on takes part in the hashes: a document that is in none of the tables agrees in its
    total, its currency and its month too.
    """
    both = [Hashed(one.name, quote(one.name), one.comparison) for one in of.fields]
    left, right = [*both], [*both]
    besides = {"problem": ("problem IS NOT NULL", "false")}
    if of.is_document:
        besides |= {
            "total": ("total", "total"),
            "month": ("period", "dated_in"),
            "iso": ("currency", "currency"),
        }
    for name, values in besides.items():
        for side, value in zip((left, right), values, strict=True):
            side.append(Hashed(f" {name}", value, _AS_IT_STANDS))
    period = of.period if of.is_document else None
    return compare(
        warehouse,
        hash_slice(warehouse, of.expected, period, "external_id", left),
        hash_slice(warehouse, of.actual, period, "external_id", right),
        of.fields,
        name="header",
        carried={
            "internal_id": "r.internal_id",
            "number": "coalesce(l.number, r.number)",
            "name": "coalesce(l.name, r.name)",
            "currency": "coalesce(l.currency, r.currency)",
            "actual_currency": "r.currency",
            "problem": "l.problem",
            "expected_total": "coalesce(l.total, 0)",
            "actual_total": "coalesce(r.total, 0)",
            "dated_in": "r.dated_in",
            # What NetSuite's total of the month contains: not a document that it dates elsewhere.
            "counted": f"CASE WHEN r.dated_in = {literal(of.period)} THEN coalesce(r.total, 0) ELSE 0 END",
        },
        where="problem IS NULL",
        besides="SELECT external_id FROM line_documents" if of.tables.totalled else None,
    )


def _insert(columns: str, source: str, record: str, rule: str = "NULL", matched: bool = False) -> str:
    matched_by = "'external_id'" if matched else "NULL"
    return (
        "INSERT INTO differences_found (record, external_id, internal_id, number, name, kind, line, field, expected,"
        f" actual, amount, delta, currency, owner, reason, matched_by, rule)"
        f" SELECT {literal(record)}, {columns}, {matched_by}, {rule} {source}"
    )


# Whole records


def _missing(of: _Record) -> str:
    total = "coalesce(e.total, 0)"
    about = _money(total, "e.currency") if of.is_document else "e.external_id"
    # An external id that billing itself uses twice is never compared, but may be missing.
    repeated = f"""SELECT r.rowid FROM {of.expected} r JOIN header_repeated x ON x.key = r.external_id
        WHERE {of.where} AND NOT EXISTS (
            SELECT 1 FROM {of.actual} a WHERE {of.where} AND a.external_id = r.external_id)"""
    return _insert(
        f"""e.external_id, NULL, e.number, e.name, 'missing_in_netsuite', NULL, NULL, {about}, NULL,
        abs({total}), {total}, e.currency, 'billing',
        'NetSuite has no {of.tables.label} ' || e.external_id || '.'""",
        f"""FROM {of.expected} e WHERE e.problem IS NULL AND e.rowid IN (
            SELECT left_row FROM header_apart WHERE right_row IS NULL UNION ALL {repeated})""",
        of.record,
        literal(of.mapping.external_id.where),
    )


def _not_comparable(of: _Record) -> str:
    counted = f"CASE WHEN a.dated_in = {literal(of.period)} THEN coalesce(a.total, 0) ELSE 0 END"
    # Where billing uses an external id twice, NetSuite's one record counts once.
    once = "row_number() OVER (PARTITION BY a.internal_id ORDER BY e.source_id) = 1"
    return _insert(
        f"""e.external_id, a.internal_id, coalesce(e.number, a.number), coalesce(e.name, a.name), 'not_comparable',
        NULL, NULL, NULL, NULL, abs(coalesce(a.total, 0)), CASE WHEN {once} THEN -{counted} ELSE 0 END,
        coalesce(e.currency, a.currency), 'netsuite',
        'NetSuite holds it, but billing''s {of.tables.label} cannot be mapped: ' || e.problem""",
        f"""FROM (SELECT * FROM {of.expected} WHERE {of.where} AND problem IS NOT NULL) e
        JOIN (SELECT * FROM {of.actual} WHERE {of.where}) a ON a.external_id = e.external_id""",
        of.record,
        matched=True,
    )


def _ambiguous(of: _Record) -> str:
    """Records whose external id stands more than once on a side: it is not known which of them belong together.

    Each record's total counts once.
    """
    counted = f"CASE WHEN a.dated_in = {literal(of.period)} THEN coalesce(a.total, 0) ELSE 0 END"
    first = "row_number() OVER (PARTITION BY {} ORDER BY a.internal_id, e.source_id) = 1"
    billed = f"CASE WHEN {first.format('e.source_id')} THEN coalesce(e.total, 0) ELSE 0 END"
    held = f"CASE WHEN {first.format('a.internal_id')} THEN {counted} ELSE 0 END"
    ids = "string_agg(DISTINCT a.internal_id, ', ' ORDER BY a.internal_id) OVER (PARTITION BY e.external_id)"
    return _insert(
        f"""e.external_id, a.internal_id, coalesce(e.number, a.number), coalesce(e.name, a.name), 'not_comparable',
        NULL, NULL, NULL, NULL, abs(coalesce(a.total, 0)), {billed} - {held}, e.currency, 'netsuite',
        'The external id ' || e.external_id || ' stands more than once (in NetSuite with the internal ids ' || {ids}
        || '), so that this {of.tables.label} cannot be compared.'""",
        f"""FROM (SELECT * FROM {of.expected} WHERE {of.where} AND problem IS NULL) e
        JOIN header_repeated x ON x.key = e.external_id
        JOIN (SELECT * FROM {of.actual} WHERE {of.where}) a ON a.external_id = e.external_id""",
        of.record,
        matched=True,
    )


def _only_in_netsuite(warehouse: TenantWarehouse, of: _Record, issued: Issued) -> None:
    """Documents of the month without a counterpart: another month's, a second copy, or unknown to billing."""
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
    unknown = warehouse.sql(
        "SELECT DISTINCT external_id FROM strangers WHERE external_id IS NOT NULL ORDER BY external_id"
    )
    run("CREATE OR REPLACE TEMP TABLE elsewhere (external_id VARCHAR, issued_on DATE)")
    found = issued([row[0] for row in unknown]) if unknown else {}
    if found:
        run(
            "INSERT INTO elsewhere SELECT unnest(?::VARCHAR[]), unnest(?::DATE[])",
            [list(found), list(found.values())],
        )
    run(_copies(of))
    run(_strangers(of))


def _copies(of: _Record) -> str:
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


def _strangers(of: _Record) -> str:
    in_netsuite = (
        f"EXISTS (SELECT 1 FROM {of.actual} n WHERE {of.where} AND n.external_id = twin.external_id)"
    )
    return _insert(
        f"""a.external_id, a.internal_id, a.number, a.name,
        CASE WHEN w.issued_on IS NOT NULL THEN 'wrong_period'
             WHEN twin.external_id IS NOT NULL THEN 'duplicate' ELSE 'only_in_netsuite' END,
        NULL, NULL,
        CASE WHEN w.issued_on IS NOT NULL THEN strftime(w.issued_on, '%Y-%m') WHEN twin.external_id IS NOT NULL
             THEN {literal(ONCE_AS)} || twin.external_id END,
        {_money("a.total", "a.currency")}, abs(coalesce(a.total, 0)), -coalesce(a.total, 0), a.currency, 'billing',
        CASE WHEN w.issued_on IS NOT NULL
             THEN 'NetSuite dates it in this month; billing issued it on ' || w.issued_on::VARCHAR
                  || '. The reconciliation of that month corrects it.'
             WHEN twin.external_id IS NOT NULL
             THEN CASE WHEN {in_netsuite} THEN 'NetSuite holds this document a second time: it repeats '
                  ELSE 'NetSuite holds this document without billing''s external id: it looks like ' END
                  || twin.external_id || coalesce(' (' || twin.number || ')', '') || '.'
             ELSE 'NetSuite holds this {of.tables.label}; billing has no such document.' END""",
        f"""FROM strangers a
        LEFT JOIN elsewhere w ON w.external_id = a.external_id
        LEFT JOIN copies twin ON twin.row_no = a.row_no
        WHERE a.dated_in = {literal(of.period)}""",
        of.record,
    )


# Fields


def _header_fields(warehouse: TenantWarehouse, of: _Record) -> None:
    run = warehouse.connection.execute
    _name_fields(warehouse, of.mapping.fields, _SPECIAL_KINDS if of.is_document else {})
    whole = "f.kind <> 'changed'"
    currency = "f.kind = 'wrong_currency'"
    # All of a document is absent from the right currency's total; `_other_currency` says in which one it is.
    run(
        _insert(
            f"""p.key, p.internal_id, p.number, p.name, f.kind, NULL, v.field, v.left_value, v.right_value,
            CASE WHEN {whole} THEN abs(p.expected_total) ELSE 0 END, CASE WHEN {currency} THEN p.counted ELSE 0 END,
            p.currency, {_OWNER}, {_sentence("v.field")}""",
            "FROM header_judged v JOIN header_pairs p USING (key) JOIN named_fields f USING (field) WHERE v.rule IS NULL",
            of.record,
            "f.rule",
            matched=True,
        )
    )


#: Whose value counts: of a field that is written once, or only where NetSuite has nothing, NetSuite's afterwards.
_OWNER = """CASE f.policy WHEN 'create_only' THEN 'netsuite'
    WHEN 'if_empty' THEN CASE WHEN nullif(v.right_value, '') IS NULL THEN f.owner ELSE 'netsuite' END ELSE f.owner END"""


def _name_fields(warehouse: TenantWarehouse, fields: Sequence[MappedField], kinds: Mapping[str, str]) -> None:
    """Make `named_fields`: what is the same of a field in every difference."""
    rows = [
        f"({literal(field.name)}, {literal(kinds.get(field.name, 'changed'))}, {literal(field.owner)},"
        f" {literal(field.where)}, {literal(field.policy)})"
        for field in fields
    ]
    source = f"VALUES {', '.join(rows)}" if rows else "SELECT NULL, NULL, NULL, NULL, NULL WHERE false"
    warehouse.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE named_fields AS SELECT * FROM ({source}) t(field, kind, owner, rule, policy)"
    )


def _sentence(field: str) -> str:
    return (
        f"{field} || ' should be ' || coalesce(v.left_value, 'empty') || '; NetSuite has '"
        " || coalesce(v.right_value, 'nothing') || '.'"
    )


def _tolerated(of: _Record, part: str, uses: str) -> str:
    return (
        f"INSERT INTO tolerated_found SELECT {literal(of.record)}, {literal(part)}, field, rule, scope, uses, delta,"
        f" greatest FROM {uses}"
    )


def _other_currency(of: _Record, field: MappedField) -> str:
    """The other half of a document in another currency than billed: NetSuite counts it there."""
    held = _money("actual_total", "actual_currency")
    return _insert(
        f"""key, internal_id, number, name, 'wrong_currency', NULL, 'currency', NULL, {held},
        abs(actual_total), -counted, actual_currency,
        {literal(field.owner if field.policy == "always" else "netsuite")},
        'NetSuite counts it among its ' || actual_currency || ': ' || {held} || '.'""",
        "FROM header_pairs WHERE problem IS NULL AND counted <> 0 AND currency <> actual_currency",
        of.record,
        literal(field.where),
        matched=True,
    )


def _wrong_period(of: _Record) -> str:
    return _insert(
        f"""key, internal_id, number, name, 'wrong_period', NULL, NULL, {literal(of.period)}, dated_in,
        abs(actual_total), actual_total, currency, 'billing',
        'NetSuite dates it in ' || dated_in || '; billing issued it in {of.period}.'""",
        f"FROM header_pairs WHERE problem IS NULL AND dated_in IS DISTINCT FROM {literal(of.period)}",
        of.record,
        matched=True,
    )


def _total_residue(warehouse: TenantWarehouse, of: _Record) -> None:
    """What the lines do not explain of a document's total: tax, a discount, or NetSuite's own calculation."""
    own = of.settings.compare.get(of.record, RecordComparison()).fields
    comparison = comparison_of("amount", of.settings.tolerance, own.get("total"))
    total = Field("total", comparison, "", "", scope="currency")
    left, right = total.columns
    run = warehouse.connection.execute
    run(f"""
        CREATE OR REPLACE TEMP TABLE residues AS
        SELECT p.*, p.expected_total AS {left}, p.actual_total + coalesce(d.delta, 0) AS {right}
        FROM header_pairs p LEFT JOIN (
            SELECT external_id, sum(delta) AS delta FROM differences_found
            WHERE record = {literal(of.record)} AND line IS NOT NULL GROUP BY external_id) d ON d.external_id = p.key
        WHERE p.problem IS NULL
    """)
    judge(warehouse, "total", "key", [judged(total, "residues")])
    residue = f"p.{left} - p.{right}"
    billed, held = (_money(f"p.{side}_total", "p.currency") for side in ("expected", "actual"))
    run(
        _insert(
            f"""p.key, p.internal_id, p.number, p.name, 'total', NULL, 'total', {billed}, {held}, abs({residue}),
            {residue}, p.currency, 'billing',
            'The total should be ' || {billed} || '; NetSuite has ' || {held} || ', and the lines do not explain it.'""",
            "FROM residues p JOIN total_judged v USING (key) WHERE v.rule IS NULL",
            of.record,
            matched=True,
        )
    )
    run(_tolerated(of, "header", "total_uses"))


# Lines


def _diff_lines(warehouse: TenantWarehouse, of: _Record, lines: Lines) -> None:
    run = warehouse.connection.execute
    if not compare_lines(warehouse, lines, "(SELECT * FROM header_pairs WHERE problem IS NULL)"):
        return
    _name_fields(warehouse, of.mapping.line_fields, {})
    moved = "CASE WHEN v.field = 'amount' THEN coalesce(v.delta, 0) ELSE 0 END"
    run(
        _insert(
            f"""p.key, p.internal_id, p.number, p.name, 'line_changed', v.e_line::VARCHAR, v.field, v.left_value,
            v.right_value, abs({moved}), {moved}, p.currency, f.owner, 'Line ' || v.e_line || ': ' || {_sentence("v.field")}""",
            "FROM line_judged v JOIN header_pairs p ON p.key = v.external_id JOIN named_fields f USING (field)"
            " WHERE v.rule IS NULL",
            of.record,
            "f.rule",
            matched=True,
        )
    )
    for side, kind, sign in (("expected", "line_missing", "+"), ("netsuite", "line_extra", "-")):
        run(_lines_alone(of, lines, side, kind, sign))
    run(_tolerated(of, "line", "line_uses"))


def _lines_alone(of: _Record, lines: Lines, side: str, kind: str, sign: str) -> str:
    shown = {field.name: field.shown(f"l.{quote(field.name)}") for field in lines.fields}
    amount = "coalesce(l.amount, 0)" if "amount" in shown else "0::DECIMAL(18,4)"
    told = [shown[name] for name in ("item", "description") if name in shown]
    what = f"concat_ws(', ', {', '.join([*told, _money(amount, 'p.currency')])})"
    expected, actual = (what, "NULL") if kind == "line_missing" else ("NULL", what)
    sentence = "NetSuite lacks the line: " if kind == "line_missing" else "NetSuite has a line too many: "
    return _insert(
        f"""p.key, p.internal_id, p.number, p.name, {literal(kind)}, l.line_no::VARCHAR, NULL, {expected}, {actual},
        abs({amount}), {sign}{amount}, p.currency, 'billing', {literal(sentence)} || {what} || '.'""",
        f"FROM {side}_alone l JOIN header_pairs p ON p.key = l.external_id",
        of.record,
        matched=True,
    )


# Showing values


def _money(amount: str, currency: str) -> str:
    # Four places less the empty ones beyond two: exact in every currency.
    return f"(coalesce({currency} || ' ', '') || regexp_replace(({amount})::VARCHAR, '0{{1,2}}$', ''))"


def _shown(field: MappedField, value: str) -> str:
    """SQL that shows a value to a person: references by name, decimals without empty places."""
    if field.kind in DECIMAL_KINDS:
        return f"CASE WHEN {value} IS NOT NULL THEN rtrim(rtrim({value}::VARCHAR, '0'), '.') END"
    if field.target == "customer":
        # By the external id that billing's customer has; else as NetSuite knows it, by its own external or internal id.
        internal_id = (
            f"CASE WHEN starts_with({value}, '{INTERNAL}') THEN substr({value}, {len(INTERNAL) + 1}) END"
        )
        return (
            f"CASE WHEN {value} IS NOT NULL THEN coalesce("
            f"(SELECT max(c.name) || ' (' || {value} || ')' FROM expected.customers c WHERE c.external_id = {value}),"
            f" (SELECT max(c.name) || ' (' || {value} || ')' FROM netsuite.customers c WHERE c.external_id = {value}),"
            f" (SELECT max(c.name) || ' (internal id ' || max(c.internal_id) || ')' FROM netsuite.customers c"
            f" WHERE c.internal_id = {internal_id}), {value}) END"
        )
    if field.kind == "reference":
        return (
            f"CASE WHEN {value} IS NOT NULL THEN coalesce((SELECT max(r.name) FROM netsuite.reference r"
            f" WHERE r.list = {literal(str(field.list_name))} AND r.internal_id = {value}), {value}) END"
        )
    return f"{value}::VARCHAR"
