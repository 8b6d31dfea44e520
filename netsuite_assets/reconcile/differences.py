"""Expected against actual for one record type and period: SQL that writes what differs, and how that is said to a person.

Here: the order of the steps. Not here: what a difference says (`whole_records.py`, `field_differences.py`), the
comparing itself (`keyed.py`, `lines.py`), what to do about it (the write-back stage), or where either side came from.

Headers meet by external id; what that leaves is matched in passes, and the pairs of these are compared in the same way.
Money is compared as DECIMAL, a tolerance includes its bound. Every difference carries `delta`, so that their sum is
exactly the difference of the totals; what a tolerance forgives is counted and added up beside them.
"""

from __future__ import annotations

from dataclasses import replace

from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.reconcile import agreed, matched, total_parts
from netsuite_assets.reconcile import field_differences as fields
from netsuite_assets.reconcile import whole_records as whole
from netsuite_assets.reconcile.agreed_again import Told
from netsuite_assets.reconcile.comparison import Comparison
from netsuite_assets.reconcile.hashes import Hashed, hash_slice
from netsuite_assets.reconcile.keyed import Compared, compare
from netsuite_assets.reconcile.lines import Lines, differing_documents, shared_key
from netsuite_assets.reconcile.record import ComparedRecord, fields_of
from netsuite_assets.reconcile.whole_records import ONCE_AS, Issued
from netsuite_assets.tables import TABLES
from resources.tenants import ReconcileSettings
from resources.tenants.comparison import RecordComparison
from resources.warehouse import TenantWarehouse, literal, quote

__all__ = ["ONCE_AS", "Issued", "begin", "diff_record"]

#: Compared as it stands: what both sides have beside the mapped fields.
_AS_IT_STANDS = Comparison("enum", space="keep", empty_is_absent=False)


def begin(warehouse: TenantWarehouse) -> None:
    """Make the temporary tables that `diff_record` fills: `differences_found` and `tolerated_found`."""
    warehouse.connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE differences_found (
            record VARCHAR, external_id VARCHAR, internal_id VARCHAR, number VARCHAR, name VARCHAR, kind VARCHAR,
            line VARCHAR, field VARCHAR, expected VARCHAR, actual VARCHAR, amount DECIMAL(18,4), delta DECIMAL(18,4),
            currency VARCHAR, owner VARCHAR, reason VARCHAR, matched_by VARCHAR, rule VARCHAR, changed_by VARCHAR,
            changed_at TIMESTAMPTZ, base VARCHAR, changed_side VARCHAR);
        CREATE OR REPLACE TEMP TABLE tolerated_found (
            record VARCHAR, part VARCHAR, field VARCHAR, rule VARCHAR, currency VARCHAR, uses BIGINT,
            delta DECIMAL(38,12), greatest DECIMAL(38,12));
        """
    )
    total_parts.begin(warehouse)


def diff_record(
    warehouse: TenantWarehouse,
    mapping: RecordMapping,
    period: str,
    settings: ReconcileSettings,
    issued: Issued,
    told: Told,
) -> bool:
    """Add the differences of one record type and period to `differences_found`, and the uses of tolerances and
    normalisations to `tolerated_found`; whether both sides agree on anything that they did not agree on before. `told` is
    what is known of that beside the warehouse.

    Raises `keyed.NotConserved` when rows are lost on the way.
    """
    of, lines = _of_record(warehouse, mapping, period, settings)
    run = warehouse.connection.execute
    found = _compare(warehouse, of, lines)
    run(whole.not_comparable(of))
    if found.repeated:
        run(whole.repeated(of))
    if of.is_document:
        whole.find_strangers(warehouse, of, issued)
    paired = matched.match_unmatched(warehouse, of)
    if found.only_left or found.repeated:
        run(whole.missing(of))
    if of.is_document and (found.only_right or found.repeated or found.right_unkeyed):
        whole.only_in_netsuite(warehouse, of)
    _diff_pairs(warehouse, of, lines)
    told.of_records(warehouse, of, lines)
    agreed.say_what_changed(warehouse, of, lines)
    anew = agreed.keep_agreed(warehouse, of, lines)
    if paired:
        with matched.pairs_as_tables(warehouse, of) as again:
            lines = None if lines is None else replace(lines, tables=again.tables)
            _compare(warehouse, again, lines)
            _diff_pairs(warehouse, again, lines)
            agreed.say_what_changed(warehouse, again, lines)
        matched.say_by_what(warehouse, of)
    if of.record in total_parts.EXPLAINED:
        total_parts.explain_whole(warehouse, of.record)
    return anew


def _of_record(
    warehouse: TenantWarehouse, mapping: RecordMapping, period: str, settings: ReconcileSettings
) -> tuple[ComparedRecord, Lines | None]:
    """What is compared of a record type and, where they make up its total, of its lines."""
    tables = TABLES[mapping.record]
    own = settings.compare.get(mapping.record, RecordComparison())
    aliased = tables.lines is not None and matched.customer_aliases(warehouse)
    header = fields_of(mapping.fields, own.fields, settings, aliased=aliased)
    of = ComparedRecord(mapping, tables, period, settings, header)
    if not tables.totalled:
        return of, None
    line_fields = fields_of(mapping.line_fields, own.lines, settings, aliased=aliased)
    return of, Lines(tables, period, line_fields, shared_key(mapping))


def _diff_pairs(warehouse: TenantWarehouse, of: ComparedRecord, lines: Lines | None) -> None:
    """Add what differs in the pairs that were compared last."""
    run = warehouse.connection.execute
    run(fields.tolerated(of, "header", "header_uses"))
    if not warehouse.value("SELECT count(*) FROM header_pairs WHERE problem IS NULL"):
        return
    fields.header_fields(warehouse, of)
    if not of.is_document:
        return
    if lines is not None:
        fields.diff_lines(warehouse, of, lines)
    run(fields.wrong_period(of))
    for field in of.mapping.fields:
        if field.name == "currency":
            run(fields.other_currency(of, field))
    fields.total_residue(warehouse, of)
    if of.record in total_parts.EXPLAINED:
        total_parts.explain_pairs(warehouse, of)


def _compare(warehouse: TenantWarehouse, of: ComparedRecord, lines: Lines | None) -> Compared:
    """Compare the headers: the tables of `keyed.compare`, named `header`.

    What the other differences rest on takes part in the hashes: a document that is in none of the tables agrees in its
    total, its currency and its month too.
    """
    if lines is not None:
        differing_documents(warehouse, lines)
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
        besides="SELECT external_id FROM line_documents" if lines is not None else None,
    )
