"""NetSuite's own tax of documents whose totals differ, beside what billing's total has for it.

Here: how much of a difference of totals is tax, and how that is said; the exceptions of totals that no line can repair.
Not here: lines that the mapping makes of billing's tax, which are compared like any other (`lines.py`).

Canonical billing has no column of tax. Where NetSuite has lines of tax, billing's tax is what its total has beyond the
lines that the mapping makes of it, if that is of the same sign: a document whose lines carry its tax has nothing beyond
them. Where the mapping does not say the lines' amounts, nothing is said of tax.
"""

from __future__ import annotations

from typing import Final

from netsuite_assets.reconcile.record import ComparedRecord, money
from netsuite_assets.reconcile.relations import held
from netsuite_assets.tables import ACTUAL_TAXES, TABLES
from resources.warehouse import TenantWarehouse, literal

_PERCENT: Final = "rtrim(rtrim({0}::VARCHAR, '0'), '.') || ' %'"


def compare_taxes(warehouse: TenantWarehouse, of: ComparedRecord) -> None:
    """Make `document_taxes` of the pairs in `header_pairs` whose totals differ and that NetSuite taxes.

    `key` is the external id, `tax` what tax adds to billing's total less NetSuite's, `told` a sentence without its end.
    """
    named = {field.name for field in of.mapping.line_fields if field.suiteql}
    if not of.tables.totalled or "amount" not in named:
        none = "SELECT NULL::VARCHAR AS key, NULL::DECIMAL(18, 4) AS tax, NULL::VARCHAR AS told WHERE false"
        warehouse.connection.execute(f"CREATE OR REPLACE TEMP TABLE document_taxes AS {none}")
        return
    # Those of pairs that were matched are in the slice itself.
    taxes = held(warehouse, {"taxes": (f"netsuite.{TABLES[of.record].taxes}", ACTUAL_TAXES)})["taxes"]
    called = f"concat_ws(' ', coalesce(t.tax_name, t.description), {_PERCENT.format('t.percent')})"
    warehouse.connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE document_taxes AS
        WITH taxed AS (
            SELECT p.key, any_value(p.currency) AS currency, any_value(p.expected_total) AS expected_total,
                sum(t.amount)::DECIMAL(18, 4) AS held,
                array_to_string(list(DISTINCT nullif({called}, '') ORDER BY nullif({called}, ''))[1:3], ', ') AS codes
            FROM header_pairs p JOIN {taxes} t ON t.internal_id = p.internal_id AND t.{of.where}
            WHERE p.problem IS NULL AND p.expected_total <> p.actual_total AND p.currency = p.actual_currency
            GROUP BY p.key HAVING sum(t.amount) <> 0),
        beyond AS (
            SELECT x.*, (x.expected_total - coalesce((
                SELECT sum(l.amount) FROM expected.{of.tables.lines} l WHERE l.{of.where} AND l.external_id = x.key), 0)
                )::DECIMAL(18, 4) AS rest
            FROM taxed x),
        both_taxes AS (SELECT *, CASE WHEN rest * sign(held) > 0 THEN rest ELSE 0 END AS billed FROM beyond)
        SELECT key, (billed - held)::DECIMAL(18, 4) AS tax,
            'NetSuite''s tax is ' || {money("held", "currency")} || coalesce(' (' || nullif(codes, '') || ')', '')
            || ', billing''s total has ' || CASE WHEN billed = 0 THEN 'none' ELSE {money("billed", "currency")} END
            || ' beyond its lines' AS told
        FROM both_taxes WHERE billed <> held
    """)


def owner_of_total(of: ComparedRecord) -> str:
    """SQL for whose value counts of a total that the lines do not explain.

    NetSuite computes the totals of documents with items, so that nothing that is written repairs them. Of other
    documents the total is billing's.
    """
    return "'netsuite'" if TABLES[of.record].taxes is not None else "'billing'"


def exceptions(period: str) -> str:
    """A query for the exceptions of `differences_found`: totals that no operation repairs, by tax or otherwise.

    `total_parts_found` must have the parts of these documents.
    """
    is_tax = (
        "EXISTS (SELECT 1 FROM total_parts_found x WHERE x.record = d.record AND x.external_id = d.external_id"
        " AND x.part = 'tax')"
    )
    return f"""(
        SELECT {literal(period)} AS period, 'reconcile' AS stage, CASE WHEN {is_tax} THEN 'tax' ELSE 'total' END AS code,
            record, external_id, internal_id, number, name, amount, currency, reason,
            CASE WHEN {is_tax}
                THEN 'Compare the customer''s tax settings and the tax codes of the lines on both sides, and correct the side'
                    || ' that is wrong. NetSuite computes it, so nothing is written.'
                ELSE 'Look in NetSuite for what its lines do not show: a discount, shipping or a tax of the whole document.'
                    || ' Correct it there or in billing; nothing is written.' END AS next_step
        FROM differences_found d WHERE kind = 'total' AND owner = 'netsuite')"""
