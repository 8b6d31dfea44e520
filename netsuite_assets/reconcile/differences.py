"""Expected against actual for one record type and period: SQL that writes what differs, and how that is said to a person.

Here: the order of the steps. Not here: what a difference says (`whole_records.py`, `field_differences.py`), the
comparing itself (`keyed.py`, `lines.py`), what to do about it (the write-back stage), or where either side came from.

Headers meet by external id. Money is compared as DECIMAL, a tolerance includes its bound. Every difference carries
`delta`, so that their sum is exactly the difference of the totals; what a tolerance forgives is counted and added up
beside them.
"""

from __future__ import annotations

from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.reconcile import field_differences as fields
from netsuite_assets.reconcile import whole_records as whole
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
    of = ComparedRecord(mapping, tables, period, settings, fields_of(mapping.fields, own.fields, settings))
    run = warehouse.connection.execute
    lines = None
    if tables.totalled:
        line_fields = fields_of(mapping.line_fields, own.lines, settings)
        lines = Lines(tables, period, line_fields, shared_key(mapping))
        differing_documents(warehouse, lines)
    found = _compare(warehouse, of)
    if found.only_left or found.repeated:
        run(whole.missing(of))
    run(whole.not_comparable(of))
    if found.repeated:
        run(whole.repeated(of))
    if of.is_document and (found.only_right or found.repeated or found.right_unkeyed):
        whole.only_in_netsuite(warehouse, of, issued)
    run(fields.tolerated(of, "header", "header_uses"))
    if not warehouse.value("SELECT count(*) FROM header_pairs WHERE problem IS NULL"):
        return
    fields.header_fields(warehouse, of)
    if not of.is_document:
        return
    if lines is not None:
        fields.diff_lines(warehouse, of, lines)
    run(fields.wrong_period(of))
    for field in mapping.fields:
        if field.name == "currency":
            run(fields.other_currency(of, field))
    fields.total_residue(warehouse, of)


def _compare(warehouse: TenantWarehouse, of: ComparedRecord) -> Compared:
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
