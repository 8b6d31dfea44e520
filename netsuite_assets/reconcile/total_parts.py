"""Totals explained: of what the difference between billing's totals and NetSuite's is made, to the cent.

Here: the parts of each document that differs, and what they leave of a month's totals. Not here: which fields and lines
differ (`differences.py` and `lines.py`, whose temporary tables are read), or the totals themselves (`totals.sql`).

A line that both sides hold is taken apart by one convention: what its quantity moved is the difference of the quantities
at billing's rate, what its rate moved is the difference of the rates for NetSuite's quantity, and what is left is
rounding when it is no more than one unit of the currency's last place, else `amount`. Both products are taken to four
places and what is left has the rest, so that a line's parts are exactly the difference of its amounts. Two
lines that are paired by their place alone and are of different items are one line missing and one extra. A line is tax or
a discount where the mapping's line rule is called so, or NetSuite's item is a discount. NetSuite's own lines of tax are
tax, with what `taxes.py` holds against them; nothing else is called one. What neither explains of a total is unexplained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import pandas as pd

from netsuite_assets import frames
from netsuite_assets.mapping.compiler import MappedField
from netsuite_assets.mapping.currencies import PLACES
from netsuite_assets.reconcile.record import ComparedRecord, money, shown
from resources.warehouse import TenantWarehouse, literal, quote

#: The record types whose totals are explained.
EXPLAINED: Final = ("invoice", "creditMemo")

_PARTS: Final = Path(__file__).with_name("total_parts.sql").read_text(encoding="utf-8")

#: The part that the difference of a whole document is.
_WHOLE: Final = {
    "missing_in_netsuite": "missing_documents",
    "only_in_netsuite": "extra_documents",
    "duplicate": "duplicate_documents",
    "wrong_period": "other_month",
    "ambiguous": "ambiguous",
    "grouped": "grouped",
    "not_comparable": "not_comparable",
}

#: What a line rule that makes lines of tax or of discounts is called: `tax`, `tax_reverse`, `discount`.
_CLASS: Final = re.compile(r"(tax|discount)(?![a-z0-9])", re.IGNORECASE)

_NUMBERS: Final = {"amount": "DECIMAL(18,4)", "quantity": "DECIMAL(28,10)", "rate": "DECIMAL(28,12)"}


def begin(warehouse: TenantWarehouse) -> None:
    """Make the temporary table that the parts are added to: `total_parts_found`."""
    columns = {name: kind for name, kind in frames.columns(frames.TOTAL_PARTS).items() if name != "period"}
    listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    warehouse.connection.execute(f"CREATE OR REPLACE TEMP TABLE total_parts_found ({listed})")


def explain_pairs(warehouse: TenantWarehouse, of: ComparedRecord) -> None:
    """Add the parts of the documents that were compared last: those whose totals, month, currency, lines or rates differ."""
    run = warehouse.connection.execute
    run(_documents(of))
    if not warehouse.sql("SELECT 1 FROM part_documents LIMIT 1"):
        return
    _units(warehouse, {**PLACES, **of.mapping.parts.plan.precision})
    run(_lines(warehouse, of))
    run(
        _PARTS.format(
            record=literal(of.record),
            **{name: money(f"coalesce({name}, 0)", "NULL::VARCHAR") for name in ("e_amount", "a_amount")},
            **{name: _plain(name) for name in ("e_quantity", "a_quantity", "e_rate", "a_rate")},
            e_total=money("expected_total", "currency"),
            a_total=money("actual_total", "actual_currency"),
            explained=money("coalesce(amount, 0)", "currency"),
        )
    )
    if _field(of, "exchangeRate"):
        run(_exchange_rates(warehouse, of))


def explain_whole(warehouse: TenantWarehouse, record: str) -> None:
    """Add the documents that one side lacks, or that could not be compared: their differences are parts as they are."""
    cases = " ".join(f"WHEN {literal(kind)} THEN {literal(part)}" for kind, part in _WHOLE.items())
    kinds = ", ".join(map(literal, _WHOLE))
    # Of a document that both sides hold, the month is among the parts of the pair.
    warehouse.connection.execute(f"""
        INSERT INTO total_parts_found BY NAME
        SELECT record, external_id, internal_id, any_value(number) AS number, any_value(name) AS name, currency,
            CASE kind {cases} END AS part, sum(delta)::DECIMAL(18, 4) AS amount, min(reason) AS detail
        FROM differences_found
        WHERE record = {literal(record)} AND kind IN ({kinds}) AND (kind <> 'wrong_period' OR matched_by IS NULL)
        GROUP BY record, external_id, internal_id, currency, kind HAVING sum(delta) <> 0
    """)


def close_totals(warehouse: TenantWarehouse, totals: pd.DataFrame, period: str) -> pd.DataFrame:
    """The parts that were found, with what they leave of the difference of the month's totals, if anything.

    `totals` are of `frames.TOTALS`: each record type's and currency's parts add up to its `difference`.
    """
    known: dict[tuple[str, str], Decimal] = {
        (record, currency): amount
        for record, currency, amount in warehouse.sql(
            "SELECT record, currency, sum(amount) FROM total_parts_found GROUP BY record, currency"
        )
    }
    for row in frames.records(totals):
        left = row["difference"] - known.get((row["record"], row["currency"]), Decimal(0))
        if left:
            warehouse.sql(
                "INSERT INTO total_parts_found (record, currency, part, amount, detail)"
                " VALUES (?, ?, 'unexplained', ?, 'No document explains this of the difference of the totals.')",
                [row["record"], row["currency"], left],
            )
    names = ", ".join(name for name in frames.columns(frames.TOTAL_PARTS) if name != "period")
    table = warehouse.arrow(
        f"SELECT {literal(period)} AS period, {names} FROM total_parts_found"
        " ORDER BY record, currency, external_id NULLS LAST, internal_id, part, amount"
    )
    return frames.validated(frames.TOTAL_PARTS, frames.frame(table))


def _documents(of: ComparedRecord) -> str:
    """Make `part_documents`: the pairs that are looked at. What is the same on both sides is NULL in `header_pairs`."""
    rates, subsidiaries = (
        [quote(f"{side}.{name}") if _field(of, name) else "NULL" for side in "lr"]
        for name in ("exchangeRate", "subsidiary")
    )
    return f"""
        CREATE OR REPLACE TEMP TABLE part_documents AS
        SELECT key AS external_id, internal_id, number, name, currency, actual_currency, expected_total, actual_total,
            counted, dated_in, currency IS NOT DISTINCT FROM actual_currency AS same_currency,
            {rates[0]}::DECIMAL(28, 12) AS e_exchange, {rates[1]}::DECIMAL(28, 12) AS a_exchange,
            {subsidiaries[0]}::VARCHAR AS e_subsidiary, {subsidiaries[1]}::VARCHAR AS a_subsidiary
        FROM header_pairs
        WHERE problem IS NULL AND (
            expected_total <> actual_total OR dated_in IS DISTINCT FROM {literal(of.period)}
            OR currency IS DISTINCT FROM actual_currency OR {rates[0]} IS DISTINCT FROM {rates[1]}
            OR key IN (SELECT external_id FROM line_documents))
    """


#: The columns of `part_lines`, with `e_` for billing's and `a_` for NetSuite's.
_PART_LINES: Final = {
    "external_id": "VARCHAR", "e_line": "INTEGER", "a_line": "INTEGER", "e_class": "VARCHAR", "a_class": "VARCHAR",
    "e_what": "VARCHAR", "a_what": "VARCHAR", "other_item": "BOOLEAN", "unit": _NUMBERS["amount"],
} | {f"{side}_{name}": kind for side in "ea" for name, kind in _NUMBERS.items()}  # fmt: skip


def _lines(warehouse: TenantWarehouse, of: ComparedRecord) -> str:
    """Make `part_lines`: these documents' lines that are not the same on both sides, paired as they were compared."""
    documents = "part_documents d JOIN line_documents USING (external_id) WHERE d.same_currency"
    # Where none was compared, the tables of lines are another record type's, or there are none.
    if not warehouse.sql(f"SELECT 1 FROM {documents} LIMIT 1"):
        columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in _PART_LINES.items())
        return f"CREATE OR REPLACE TEMP TABLE part_lines AS SELECT {columns} WHERE false"
    item_class = "NULL::VARCHAR"
    if _line_field(of, "item") and "item_type" in warehouse.columns("netsuite.items"):
        discounts = "SELECT internal_id FROM netsuite.items WHERE item_type = 'Discount'"
        item_class = f"CASE WHEN l.item IN ({discounts}) THEN 'discount' END"
    numbers = "".join(f", {side}.{name} AS {side}_{name}" for side in "ea" for name in _NUMBERS)
    return f"""
        CREATE OR REPLACE TEMP TABLE part_lines AS
        WITH pairs AS (
            SELECT external_id, e_line, a_line FROM line_pairs
            UNION ALL SELECT external_id, line_no, NULL FROM expected_alone
            UNION ALL SELECT external_id, NULL, line_no FROM netsuite_alone),
        e AS ({_side(of, "expected", f"coalesce({_rule_class(of)}, {item_class})")}),
        a AS ({_side(of, "netsuite", item_class)})
        SELECT p.external_id, p.e_line, p.a_line, e.class AS e_class,
            -- NetSuite's line of the same item is of the same class.
            CASE WHEN p.e_line IS NOT NULL AND e.item IS NOT DISTINCT FROM a.item THEN e.class ELSE a.class END AS a_class,
            e.what AS e_what, a.what AS a_what, e.item IS DISTINCT FROM a.item AS other_item,
            coalesce(u.unit, 0.01) AS unit{numbers}
        FROM pairs p JOIN (SELECT d.external_id, d.currency FROM {documents}) d ON d.external_id = p.external_id
        LEFT JOIN part_units u ON u.currency = d.currency
        LEFT JOIN e ON e.external_id = p.external_id AND e.line_no = p.e_line
        LEFT JOIN a ON a.external_id = p.external_id AND a.line_no = p.a_line
    """


def _rule_class(of: ComparedRecord) -> str:
    """SQL for the class of a line of billing's, by the name of the line rule that made it."""
    classes = [(part.name, _CLASS.match(part.name)) for part in of.mapping.parts.lines]
    cases = " ".join(
        f"WHEN {literal(name)} THEN {literal(found[1].lower())}"
        for name, found in classes
        if found is not None
    )
    if not cases:
        return "NULL::VARCHAR"
    return f"""(SELECT any_value(CASE x.line_rule {cases} END) FROM expected.{of.tables.lines} x
        WHERE x.period = {literal(of.period)} AND x.external_id = l.external_id AND x.line_no = l.line_no)"""


def _side(of: ComparedRecord, side: str, line_class: str) -> str:
    """SQL for one side's lines that have no equal on the other, in columns that every tenant's lines have."""
    item = _line_field(of, "item")
    told = [] if item is None else [shown(item, "l.item")]
    told += ["nullif(trim(l.description), '')"] if _line_field(of, "description") else []
    what = f"coalesce(nullif(concat_ws(', ', {', '.join(told)}), ''), 'a line')" if told else "'a line'"
    numbers = "".join(
        f", {f'l.{name}' if _line_field(of, name) else 'NULL'}::{kind} AS {name}"
        for name, kind in _NUMBERS.items()
    )
    return f"""SELECT l.external_id, l.line_no, {"l.item" if item else "NULL::VARCHAR"} AS item,
            {line_class} AS class, {what} AS what{numbers} FROM {side}_left l"""


def _units(warehouse: TenantWarehouse, places: Mapping[str, int]) -> None:
    """Make `part_units` (currency, places, unit): one unit of the last place of each currency that has not two places."""
    listed = ", ".join(
        f"({literal(code)}, {count}, {Decimal(1).scaleb(-count):f}::{_NUMBERS['amount']})"
        for code, count in sorted(places.items())
        if count != 2
    )
    warehouse.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE part_units AS SELECT * FROM (VALUES {listed}) t(currency, places, unit)"
    )


def _exchange_rates(warehouse: TenantWarehouse, of: ComparedRecord) -> str:
    """Add what the exchange rates move of documents whose currency agrees: in the subsidiary's base currency.

    Each side's is NetSuite's total at that side's rate, rounded to the base currency's places. Of the difference in the
    document's own currency it is nothing.
    """
    base = ["NULL::VARCHAR", "NULL::VARCHAR"]
    if _field(of, "subsidiary"):
        if "currency" in warehouse.columns("netsuite.subsidiaries"):
            of_subsidiary = "(SELECT max(s.currency) FROM netsuite.subsidiaries s WHERE s.internal_id = {})"
            held = "CASE WHEN d.e_subsidiary IS DISTINCT FROM d.a_subsidiary THEN d.{}_subsidiary ELSE n.subsidiary END"
            base = [of_subsidiary.format(held.format(side)) for side in "ea"]
    elif "is_base" in warehouse.columns("netsuite.currencies"):
        # The account of a single company has one.
        base = ["(SELECT max(symbol) FROM netsuite.currencies WHERE is_base HAVING count(*) = 1)"] * 2
    moved = " ".join(
        f"WHEN {places} THEN (round(at_expected, {places}) - round(at_actual, {places}))::DECIMAL(38, 4)"
        for places in range(5)
    )
    billed, held = _plain("e_exchange"), _plain("a_exchange")
    return f"""
        INSERT INTO total_parts_found BY NAME
        SELECT {literal(of.record)} AS record, external_id, internal_id, number, name, currency,
            'exchange_rate' AS part, 0 AS amount, base_currency,
            CASE WHEN base_currency IS NOT NULL
                 THEN TRY((CASE coalesce(places, 2) {moved} END)::{_NUMBERS["amount"]}) END AS base_amount,
            CASE WHEN e_exchange IS NULL THEN 'Billing has no exchange rate; NetSuite has ' || {held}
                 WHEN a_exchange IS NULL THEN 'NetSuite shows no exchange rate; it should be ' || {billed}
                 ELSE 'The exchange rate should be ' || {billed} || '; NetSuite has ' || {held} END
            || CASE WHEN base_currency IS NULL THEN '; in which base currency is not known.' ELSE '.' END AS detail
        FROM (
            SELECT d.*, TRY(d.actual_total * d.e_exchange) AS at_expected,
                TRY(d.actual_total * d.a_exchange) AS at_actual,
                CASE WHEN {base[0]} = {base[1]} THEN {base[1]} END AS base_currency
            FROM part_documents d JOIN {of.actual} n ON n.internal_id = d.internal_id AND n.period = {literal(of.period)}
            WHERE d.same_currency AND d.e_exchange IS DISTINCT FROM d.a_exchange)
        LEFT JOIN (SELECT currency AS base_currency, places FROM part_units) USING (base_currency)
    """


def _field(of: ComparedRecord, name: str) -> MappedField | None:
    """The mapped field of that name of the header, if NetSuite's queries show it."""
    return _compared(of.mapping.fields, name)


def _line_field(of: ComparedRecord, name: str) -> MappedField | None:
    """The same of the lines."""
    return _compared(of.mapping.line_fields, name)


def _compared(fields: Sequence[MappedField], name: str) -> MappedField | None:
    return next((field for field in fields if field.name == name and field.suiteql), None)


def _plain(number: str) -> str:
    """SQL that shows a number without empty places."""
    return f"rtrim(rtrim({number}::VARCHAR, '0'), '.')"
