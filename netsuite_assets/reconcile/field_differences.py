"""What differs in records that both sides hold: their fields, their month and currency, their lines, their total.

Here: what such a difference says and what it adds to the difference of the totals. Not here: the comparing itself
(`keyed.py`, `lines.py`), or records that one side lacks (`whole_records.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netsuite_assets.mapping.compiler import MappedField
from netsuite_assets.reconcile.comparison import comparison_of
from netsuite_assets.reconcile.keyed import Field, judge, judged
from netsuite_assets.reconcile.lines import Lines, compare_lines
from netsuite_assets.reconcile.record import BY_EXTERNAL_ID, ComparedRecord, insert, money
from netsuite_assets.reconcile.taxes import compare_taxes, owner_of_total
from resources.tenants.comparison import RecordComparison
from resources.warehouse import TenantWarehouse, literal, quote

#: Fields of a document's header whose difference has a name of its own: the whole document is concerned.
_SPECIAL_KINDS = {
    "entity": "wrong_customer",
    "customer": "wrong_customer",  # of a payment
    "subsidiary": "wrong_subsidiary",
    "currency": "wrong_currency",
}
#: The fields of lines that are amounts of money. Only `amount` adds up to the document's total.
_MONEY_OF_LINES = ("amount", "debit", "credit")
#: By what a person knows a line.
_TOLD_OF_LINES = ("account", "item", "description", "memo")


def header_fields(warehouse: TenantWarehouse, of: ComparedRecord) -> None:
    """Add the differences of the headers' fields."""
    run = warehouse.connection.execute
    _name_fields(warehouse, of.mapping.fields, _SPECIAL_KINDS if of.is_document else {})
    whole = "f.kind <> 'changed'"
    currency = "f.kind = 'wrong_currency'"
    # All of a document is absent from the right currency's total; `_other_currency` says in which one it is.
    run(
        insert(
            f"""p.key, p.internal_id, p.number, p.name, f.kind, NULL, v.field, v.left_value, v.right_value,
            CASE WHEN {whole} THEN abs(p.expected_total) ELSE 0 END, CASE WHEN {currency} THEN p.counted ELSE 0 END,
            p.currency, {_OWNER}, {_sentence("v.field")}""",
            "FROM header_judged v JOIN header_pairs p USING (key) JOIN named_fields f USING (field) WHERE v.rule IS NULL",
            of.record,
            "f.rule",
            matched_by=BY_EXTERNAL_ID,
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


def tolerated(of: ComparedRecord, part: str, uses: str) -> str:
    """Add what tolerances and normalisations took for the same: of the `header` or the `line`, from this table of uses."""
    return (
        f"INSERT INTO tolerated_found SELECT {literal(of.record)}, {literal(part)}, field, rule, scope, uses, delta,"
        f" greatest FROM {uses}"
    )


def other_currency(of: ComparedRecord, field: MappedField) -> str:
    """The other half of a document in another currency than billed: NetSuite counts it there."""
    held = money("actual_total", "actual_currency")
    return insert(
        f"""key, internal_id, number, name, 'wrong_currency', NULL, 'currency', NULL, {held},
        abs(actual_total), -counted, actual_currency,
        {literal(field.owner if field.policy == "always" else "netsuite")},
        'NetSuite counts it among its ' || actual_currency || ': ' || {held} || '.'""",
        "FROM header_pairs WHERE problem IS NULL AND counted <> 0 AND currency <> actual_currency",
        of.record,
        literal(field.where),
        matched_by=BY_EXTERNAL_ID,
    )


def wrong_period(of: ComparedRecord) -> str:
    """Documents that NetSuite dates in another month than billing issued them."""
    return insert(
        f"""key, internal_id, number, name, 'wrong_period', NULL, NULL, {literal(of.period)}, dated_in,
        abs(actual_total), actual_total, currency, 'billing',
        'NetSuite dates it in ' || dated_in || '; billing issued it in {of.period}.'""",
        f"FROM header_pairs WHERE problem IS NULL AND dated_in IS DISTINCT FROM {literal(of.period)}",
        of.record,
        matched_by=BY_EXTERNAL_ID,
    )


def total_residue(warehouse: TenantWarehouse, of: ComparedRecord) -> None:
    """What the lines do not explain of a document's total: tax, a discount, or NetSuite's own calculation.

    Makes `document_taxes`.
    """
    compare_taxes(warehouse, of)
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
    billed, held = (money(f"p.{side}_total", "p.currency") for side in ("expected", "actual"))
    run(
        insert(
            f"""p.key, p.internal_id, p.number, p.name, 'total', NULL, 'total', {billed}, {held}, abs({residue}),
            {residue}, p.currency, {owner_of_total(of)},
            'The total should be ' || {billed} || '; NetSuite has ' || {held} || CASE WHEN t.key IS NULL
                THEN ', and the lines do not explain it.' ELSE '. ' || t.told || CASE WHEN {residue} = t.tax THEN '.'
                ELSE '; neither lines nor tax explain ' || {money(f"{residue} - t.tax", "p.currency")} || '.' END END""",
            "FROM residues p JOIN total_judged v USING (key) LEFT JOIN document_taxes t USING (key) WHERE v.rule IS NULL",
            of.record,
            matched_by=BY_EXTERNAL_ID,
        )
    )
    run(tolerated(of, "header", "total_uses"))


# Lines


def diff_lines(warehouse: TenantWarehouse, of: ComparedRecord, lines: Lines) -> None:
    """Add the differences of the lines."""
    run = warehouse.connection.execute
    if not compare_lines(warehouse, lines, "(SELECT * FROM header_pairs WHERE problem IS NULL)"):
        return
    _name_fields(warehouse, of.mapping.line_fields, {})
    moved = "CASE WHEN v.field = 'amount' THEN coalesce(v.delta, 0) ELSE 0 END"
    at_stake = f"CASE WHEN v.field IN ({', '.join(map(literal, _MONEY_OF_LINES))}) THEN abs(coalesce(v.delta, 0)) ELSE 0 END"
    run(
        insert(
            f"""p.key, p.internal_id, p.number, p.name, 'line_changed', v.e_line::VARCHAR, v.field, v.left_value,
            v.right_value, {at_stake}, {moved}, p.currency, f.owner, 'Line ' || v.e_line || ': ' || {_sentence("v.field")}""",
            "FROM line_judged v JOIN header_pairs p ON p.key = v.external_id JOIN named_fields f USING (field)"
            " WHERE v.rule IS NULL",
            of.record,
            "f.rule",
            matched_by=BY_EXTERNAL_ID,
        )
    )
    for side, kind, sign in (("expected", "line_missing", "+"), ("netsuite", "line_extra", "-")):
        run(_lines_alone(of, lines, side, kind, sign))
    run(tolerated(of, "line", "line_uses"))


def _lines_alone(of: ComparedRecord, lines: Lines, side: str, kind: str, sign: str) -> str:
    shown = {field.name: field.shown(f"l.{quote(field.name)}") for field in lines.fields}
    money_of = [f"l.{quote(name)}" for name in _MONEY_OF_LINES if name in shown]
    amount = f"coalesce({', '.join([*money_of, '0::DECIMAL(18,4)'])})"
    moved = f"{sign}{amount}" if "amount" in shown else "0"
    told = [shown[name] for name in _TOLD_OF_LINES if name in shown]
    side_of = " || CASE WHEN l.debit IS NULL THEN ' credit' ELSE ' debit' END" if "debit" in shown else ""
    what = f"concat_ws(', ', {', '.join([*told, money(amount, 'p.currency') + side_of])})"
    expected, actual = (what, "NULL") if kind == "line_missing" else ("NULL", what)
    sentence = "NetSuite lacks the line: " if kind == "line_missing" else "NetSuite has a line too many: "
    return insert(
        f"""p.key, p.internal_id, p.number, p.name, {literal(kind)}, l.line_no::VARCHAR, NULL, {expected}, {actual},
        abs({amount}), {moved}, p.currency, 'billing', {literal(sentence)} || {what} || '.'""",
        f"FROM {side}_alone l JOIN header_pairs p ON p.key = l.external_id",
        of.record,
        matched_by=BY_EXTERNAL_ID,
    )
