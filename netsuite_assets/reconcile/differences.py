"""Expected against actual for one record type and period: SQL that writes `reconciliation.differences`.

Here: which rows belong together (by external id), which fields and lines differ, and how that is said to a person.
Not here: what to do about it (the write-back stage), or where either side came from.

Headers meet by external id. Lines have no key that both systems share, so identical lines cancel each other
first and what is left is paired by item and position. Money is compared as DECIMAL, the tolerance is inclusive.
Every difference carries `delta`, so that their sum is exactly the difference of the totals.
"""

from __future__ import annotations

from collections.abc import Sequence

from netsuite_assets.mapping.body import INTERNAL
from netsuite_assets.mapping.compiler import MappedField, RecordMapping
from netsuite_assets.tables import TABLES, RecordTables
from resources.netsuite.records import DECIMAL_KINDS
from resources.tenants import ToleranceSettings
from resources.warehouse import TenantWarehouse, literal, quote

#: How a second copy's `expected` begins; the external id of the document that it repeats follows.
ONCE_AS = "once, as "

#: Header fields whose difference has a name of its own.
_SPECIAL_KINDS = {"entity": "wrong_customer"}


def diff_record(
    warehouse: TenantWarehouse,
    mapping: RecordMapping,
    period: str,
    *,
    tolerance: ToleranceSettings,
    number_field: str | None,
) -> None:
    """Add the differences of one record type and period to the temporary table `differences_found`.

    The table is made by `begin`. `elsewhere` (made there too) names documents of other months that billing does
    have. `number_field` is the NetSuite field that carries billing's document number, by which a second copy of
    a document is recognised.
    """
    tables = TABLES[mapping.record]
    run = warehouse.connection.execute
    run(_pairs(tables, period))
    run(_missing(tables, period))
    run(_not_comparable(tables))
    if tables.lines is not None:
        run(_only_in_netsuite(mapping, tables, period, number_field))
    for field in _differing_fields(warehouse, mapping, tolerance):
        run(_header_field(field, tables, tolerance))
    if tables.lines is not None:
        _diff_lines(warehouse, mapping, tables, period, tolerance)
        run(_wrong_period(tables, period))
        for field in mapping.fields:
            if field.name == "currency":
                run(_other_currency(field, tables))
        run(_total_residue(tables, tolerance))


def begin(warehouse: TenantWarehouse) -> None:
    """Make the temporary tables that `diff_record` fills or reads."""
    warehouse.connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE differences_found (
            record VARCHAR, external_id VARCHAR, internal_id VARCHAR, number VARCHAR, name VARCHAR, kind VARCHAR,
            line VARCHAR, field VARCHAR, expected VARCHAR, actual VARCHAR, amount DECIMAL(18,4), delta DECIMAL(18,4),
            currency VARCHAR, owner VARCHAR, reason VARCHAR);
        CREATE OR REPLACE TEMP TABLE elsewhere (record VARCHAR, external_id VARCHAR, issued_on DATE);
        """
    )


def unknown_documents(warehouse: TenantWarehouse, record: str, period: str) -> list[str]:
    """External ids that NetSuite holds in the period and that billing's documents of the period do not have."""
    tables = TABLES[record]
    rows = warehouse.sql(
        f"SELECT a.external_id FROM netsuite.{tables.name} a"
        f" WHERE a.period = ? AND a.external_id IS NOT NULL AND NOT EXISTS ("
        f"   SELECT 1 FROM expected.{tables.name} e WHERE e.period = ? AND e.external_id = a.external_id)"
        " ORDER BY a.external_id",
        [period, period],
    )
    return [row[0] for row in rows]


def _pairs(tables: RecordTables, period: str) -> str:
    """The records that both sides hold, and whether billing's could be mapped.

    `counted` is what NetSuite's total of the month contains: a document that NetSuite dates elsewhere is not in it.
    """
    where = "" if tables.lines is None else f"WHERE period = {literal(period)}"
    dated_in = "a.dated_in" if tables.lines else "NULL::VARCHAR"
    return f"""
    CREATE OR REPLACE TEMP TABLE pairs AS
    SELECT e.external_id, a.internal_id, coalesce(e.number, a.number) AS number, coalesce(e.name, a.name) AS name,
           coalesce(e.currency, a.currency) AS currency, e.problem,
           coalesce(e.total, 0) AS expected_total, coalesce(a.total, 0) AS actual_total,
           CASE WHEN {dated_in} = {literal(period)} THEN coalesce(a.total, 0) ELSE 0 END AS counted,
           {dated_in} AS dated_in, e AS e, a AS a
    FROM (SELECT * FROM expected.{tables.name} {where}) e
    JOIN (SELECT * FROM netsuite.{tables.name} {where}) a ON a.external_id = e.external_id
    """


def _insert(columns: str, source: str, record: str) -> str:
    return (
        "INSERT INTO differences_found (record, external_id, internal_id, number, name, kind, line, field, expected,"
        f" actual, amount, delta, currency, owner, reason) SELECT {literal(record)}, {columns} {source}"
    )


def _missing(tables: RecordTables, period: str) -> str:
    where = "true" if tables.lines is None else f"e.period = {literal(period)}"
    actual = (
        f"netsuite.{tables.name}"
        if tables.lines is None
        else (f"(SELECT * FROM netsuite.{tables.name} WHERE period = {literal(period)})")
    )
    total = "coalesce(e.total, 0)"
    about = _money(total, "e.currency") if tables.lines else "e.external_id"
    return _insert(
        f"""e.external_id, NULL, e.number, e.name, 'missing_in_netsuite', NULL, NULL, {about}, NULL,
        abs({total}), {total}, e.currency, 'billing',
        'NetSuite has no {tables.label} ' || e.external_id || '.'""",
        f"""FROM expected.{tables.name} e WHERE {where} AND e.problem IS NULL
        AND NOT EXISTS (SELECT 1 FROM {actual} a WHERE a.external_id = e.external_id)""",
        tables.record,
    )


def _not_comparable(tables: RecordTables) -> str:
    # Where billing uses an external id twice, NetSuite's one record counts once.
    once = "row_number() OVER (PARTITION BY internal_id ORDER BY e.source_id) = 1"
    return _insert(
        f"""external_id, internal_id, number, name, 'not_comparable', NULL, NULL, NULL, NULL,
        abs(actual_total), CASE WHEN {once} THEN -counted ELSE 0 END, currency, 'netsuite',
        'NetSuite holds it, but billing''s {tables.label} cannot be mapped: ' || problem""",
        "FROM pairs WHERE problem IS NOT NULL",
        tables.record,
    )


def _only_in_netsuite(
    mapping: RecordMapping, tables: RecordTables, period: str, number_field: str | None
) -> str:
    """Documents of the month without a counterpart: another month's, a second copy, or unknown to billing."""
    names = {field.name for field in mapping.fields}
    by_number, unnumbered = "false", "true"
    if number_field in names:
        field = quote(str(number_field))
        by_number = f"(t.{field} = a.{field}) IS TRUE"
        unnumbered = f"nullif(trim(a.{field}), '') IS NULL"
    same = " AND ".join(
        f"t.{quote(name)} IS NOT DISTINCT FROM a.{quote(name)}"
        for name in ("entity", "tranDate")
        if name in names
    )
    # A document with a number of its own is another document, however alike.
    by_content = (
        f"({unnumbered} AND t.total = a.total AND t.currency = a.currency AND {same})" if same else "false"
    )
    expected = f"(SELECT * FROM expected.{tables.name} WHERE period = {literal(period)} AND problem IS NULL)"
    # Documents may be alike in all but their number, so the number counts first.
    first = f"ORDER BY {by_number} DESC, t.external_id"
    in_netsuite = (
        f"EXISTS (SELECT 1 FROM netsuite.{tables.name} n"
        f" WHERE n.period = {literal(period)} AND n.external_id = twin.external_id)"
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
             ELSE 'NetSuite holds this {tables.label}; billing has no such document.' END""",
        f"""FROM netsuite.{tables.name} a
        LEFT JOIN elsewhere w ON w.record = {literal(tables.record)} AND w.external_id = a.external_id
        LEFT JOIN LATERAL (
            SELECT first(t.external_id {first}) AS external_id, first(t.number {first}) AS number FROM {expected} t
            WHERE {by_number} OR {by_content}) twin ON true
        WHERE a.period = {literal(period)} AND a.dated_in = {literal(period)} AND NOT EXISTS (
            SELECT 1 FROM expected.{tables.name} e
            WHERE e.period = {literal(period)} AND e.external_id = a.external_id)""",
        tables.record,
    )


def _differing_fields(
    warehouse: TenantWarehouse, mapping: RecordMapping, tolerance: ToleranceSettings
) -> list[MappedField]:
    """The compared header fields that differ in some pair: found in one pass, so that the others cost nothing."""
    fields = [field for field in mapping.fields if field.suiteql]
    if not fields:
        return []
    counts = ", ".join(
        f"count(*) FILTER (WHERE {_header_differs(field, *_header_values(field), tolerance)})"
        for field in fields
    )
    row = warehouse.sql(f"SELECT {counts} FROM pairs p WHERE p.problem IS NULL")[0]
    return [field for field, count in zip(fields, row, strict=True) if count]


def _header_values(field: MappedField) -> tuple[str, str]:
    return f"p.e.{quote(field.name)}", f"p.a.{quote(field.name)}"


def _header_differs(field: MappedField, expected: str, actual: str, tolerance: ToleranceSettings) -> str:
    differs = _differs(field.kind, expected, actual, tolerance)
    if field.name == "tranDate":
        # Days of tolerance do not carry a document into another accounting month.
        return (
            f"({differs} OR date_trunc('month', {expected}) IS DISTINCT FROM date_trunc('month', {actual}))"
        )
    return differs


def _header_field(field: MappedField, tables: RecordTables, tolerance: ToleranceSettings) -> str:
    expected, actual = _header_values(field)
    kind = _SPECIAL_KINDS.get(field.name, "changed")
    amount, delta = "0", "0"
    if kind == "wrong_customer":
        amount = "abs(p.expected_total)"
    elif field.name == "currency":
        # All of it is absent from the right currency's total; `_other_currency` says in which one it is.
        amount, delta = "abs(p.expected_total)", "p.counted"
    shown = [_shown(field, value) for value in (expected, actual)]
    return _insert(
        f"""p.external_id, p.internal_id, p.number, p.name, {literal(kind)}, NULL, {literal(field.name)},
        {shown[0]}, {shown[1]}, {amount}, {delta}, p.currency, {literal(field.owner)},
        {literal(field.name)} || ' should be ' || coalesce({shown[0]}, 'empty') || '; NetSuite has '
        || coalesce({shown[1]}, 'nothing') || '.'""",
        f"FROM pairs p WHERE p.problem IS NULL AND {_header_differs(field, expected, actual, tolerance)}",
        tables.record,
    )


def _other_currency(field: MappedField, tables: RecordTables) -> str:
    """The other half of a document in another currency than billed: NetSuite counts it there."""
    return _insert(
        f"""external_id, internal_id, number, name, 'changed', NULL, 'currency', NULL,
        {_money("actual_total", "a.currency")}, abs(actual_total), -counted, a.currency, {literal(field.owner)},
        'NetSuite counts it among its ' || a.currency || ': ' || {_money("actual_total", "a.currency")} || '.'""",
        "FROM pairs WHERE problem IS NULL AND counted <> 0 AND currency <> a.currency",
        tables.record,
    )


def _wrong_period(tables: RecordTables, period: str) -> str:
    return _insert(
        f"""external_id, internal_id, number, name, 'wrong_period', NULL, NULL, {literal(period)}, dated_in,
        abs(actual_total), actual_total, currency, 'billing',
        'NetSuite dates it in ' || dated_in || '; billing issued it in {period}.'""",
        f"FROM pairs WHERE problem IS NULL AND dated_in IS DISTINCT FROM {literal(period)}",
        tables.record,
    )


def _total_residue(tables: RecordTables, tolerance: ToleranceSettings) -> str:
    """What the lines do not explain of a document's total: tax, a discount, or NetSuite's own calculation."""
    return _insert(
        f"""p.external_id, p.internal_id, p.number, p.name, 'total', NULL, 'total',
        {_money("p.expected_total", "p.currency")}, {_money("p.actual_total", "p.currency")},
        abs(p.expected_total - p.actual_total - coalesce(d.delta, 0)),
        p.expected_total - p.actual_total - coalesce(d.delta, 0), p.currency, 'billing',
        'The total should be ' || {_money("p.expected_total", "p.currency")} || '; NetSuite has '
        || {_money("p.actual_total", "p.currency")} || ', and the lines do not explain it.'""",
        f"""FROM pairs p LEFT JOIN (
            SELECT external_id, sum(delta) AS delta FROM differences_found
            WHERE record = {literal(tables.record)} AND line IS NOT NULL GROUP BY external_id) d USING (external_id)
        WHERE p.problem IS NULL
          AND abs(p.expected_total - p.actual_total - coalesce(d.delta, 0)) > {tolerance.amount:f}""",
        tables.record,
    )


# Lines


def _diff_lines(
    warehouse: TenantWarehouse,
    mapping: RecordMapping,
    tables: RecordTables,
    period: str,
    tolerance: ToleranceSettings,
) -> None:
    fields = [field for field in mapping.line_fields if field.suiteql]
    names = ", ".join(quote(field.name) for field in fields)
    canonical = ", ".join(_canonical(field) for field in fields)
    run = warehouse.connection.execute
    for side, key in (("expected", "external_id"), ("netsuite", "internal_id")):
        # A line's place among identical lines of its document lets them cancel one by one.
        run(
            f"""
            CREATE OR REPLACE TEMP TABLE {side}_line AS
            SELECT p.external_id, l.line_no, {names}, hash({canonical}) AS content,
                   row_number() OVER (PARTITION BY p.external_id, hash({canonical}) ORDER BY l.line_no) AS nth
            FROM {side}.{tables.lines} l JOIN pairs p ON p.{key} = l.{key}
            WHERE l.period = {literal(period)} AND p.problem IS NULL
            """
        )
    for side, other in (("expected", "netsuite"), ("netsuite", "expected")):
        run(
            f"""
            CREATE OR REPLACE TEMP TABLE {side}_left AS
            SELECT * FROM {side}_line l ANTI JOIN {other}_line o USING (external_id, content, nth)
            """
        )
    if not warehouse.value(
        "SELECT (SELECT count(*) FROM expected_left) + (SELECT count(*) FROM netsuite_left)"
    ):
        return
    run("CREATE OR REPLACE TEMP TABLE line_pairs (external_id VARCHAR, e_line INTEGER, a_line INTEGER)")
    for alike in _pairings(fields):
        run(_pair_lines(alike))
    for field in fields:
        run(_line_field(field, tables, tolerance))
    run(_unpaired_lines(fields, tables, "expected", "e_line", "line_missing", "+"))
    run(_unpaired_lines(fields, tables, "netsuite", "a_line", "line_extra", "-"))


def _pairings(fields: Sequence[MappedField]) -> list[tuple[str, ...]]:
    """By which fields lines that are not identical are taken for the same line, the surest first."""
    present = {field.name for field in fields}
    wanted = [("item", "description", "quantity"), ("item", "description"), ("item",), ()]
    return list(dict.fromkeys(tuple(name for name in names if name in present) for names in wanted))


def _pair_lines(alike: Sequence[str]) -> str:
    """Pair what is left of each document's lines where these fields agree, in the order of the lines."""
    names = "".join(f", {quote(name)}" for name in alike)
    left = {
        side: f"""(SELECT external_id, line_no{names},
            row_number() OVER (PARTITION BY external_id{names} ORDER BY line_no) AS nth
            FROM {side}_left l WHERE NOT EXISTS (
                SELECT 1 FROM line_pairs p WHERE p.external_id = l.external_id AND p.{number} = l.line_no))"""
        for side, number in (("expected", "e_line"), ("netsuite", "a_line"))
    }
    agree = "".join(f" AND e.{quote(name)} IS NOT DISTINCT FROM a.{quote(name)}" for name in alike)
    return f"""INSERT INTO line_pairs SELECT e.external_id, e.line_no, a.line_no
        FROM {left["expected"]} e JOIN {left["netsuite"]} a
          ON e.external_id = a.external_id AND e.nth = a.nth{agree}"""


def _line_field(field: MappedField, tables: RecordTables, tolerance: ToleranceSettings) -> str:
    column = quote(field.name)
    expected, actual = f"e.{column}", f"a.{column}"
    shown = [_shown(field, value) for value in (expected, actual)]
    delta = f"coalesce({expected}, 0) - coalesce({actual}, 0)" if field.name == "amount" else "0"
    return _insert(
        f"""p.external_id, p.internal_id, p.number, p.name, 'line_changed', l.e_line::VARCHAR, {literal(field.name)},
        {shown[0]}, {shown[1]}, abs({delta}), {delta}, p.currency, {literal(field.owner)},
        'Line ' || l.e_line || ': {field.name} should be ' || coalesce({shown[0]}, 'empty') || '; NetSuite has '
        || coalesce({shown[1]}, 'nothing') || '.'""",
        f"""FROM line_pairs l
        JOIN pairs p ON p.external_id = l.external_id
        JOIN expected_left e ON e.external_id = l.external_id AND e.line_no = l.e_line
        JOIN netsuite_left a ON a.external_id = l.external_id AND a.line_no = l.a_line
        WHERE {_differs(field.kind, expected, actual, tolerance)}""",
        tables.record,
    )


def _unpaired_lines(
    fields: Sequence[MappedField], tables: RecordTables, side: str, number: str, kind: str, sign: str
) -> str:
    names = {field.name: field for field in fields}
    amount = "coalesce(l.amount, 0)" if "amount" in names else "0::DECIMAL(18,4)"
    told = [_shown(names[name], f"l.{quote(name)}") for name in ("item", "description") if name in names]
    what = f"concat_ws(', ', {', '.join([*told, _money(amount, 'p.currency')])})"
    expected, actual = (what, "NULL") if kind == "line_missing" else ("NULL", what)
    sentence = "NetSuite lacks the line: " if kind == "line_missing" else "NetSuite has a line too many: "
    return _insert(
        f"""p.external_id, p.internal_id, p.number, p.name, {literal(kind)}, l.line_no::VARCHAR, NULL,
        {expected}, {actual}, abs({amount}), {sign}{amount}, p.currency, 'billing',
        {literal(sentence)} || {what} || '.'""",
        f"""FROM {side}_left l JOIN pairs p ON p.external_id = l.external_id
        WHERE NOT EXISTS (SELECT 1 FROM line_pairs x
            WHERE x.external_id = l.external_id AND x.{number} = l.line_no)""",
        tables.record,
    )


# Comparing and showing values


def _canonical(field: MappedField) -> str:
    """The form in which values of a field are equal: for text, empty is absent and outer spaces do not count."""
    column = f"l.{quote(field.name)}"
    return f"nullif(trim({column}), '')" if field.kind in ("text", "reference", "enum") else column


def _differs(kind: str, expected: str, actual: str, tolerance: ToleranceSettings) -> str:
    """SQL that holds where two values differ by more than is tolerated; a tolerance includes its bound."""
    within = {
        "amount": f"abs({expected} - {actual}) <= {tolerance.amount:f}",
        "date": f"abs(date_diff('day', {expected}, {actual})) <= {tolerance.days}",
    }
    if kind in within:
        return f"({expected} IS DISTINCT FROM {actual} AND ({within[kind]}) IS NOT TRUE)"
    if kind in ("text", "reference", "enum"):
        return f"nullif(trim({expected}), '') IS DISTINCT FROM nullif(trim({actual}), '')"
    return f"{expected} IS DISTINCT FROM {actual}"


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
