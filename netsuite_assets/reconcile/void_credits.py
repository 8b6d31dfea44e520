"""Invoices that billing has voided, where the tenant's file says `writeback.voided: credit`: they stay in NetSuite, and a
credit memo over what is open of them takes them back.

Here: what is expected in NetSuite because of that, made of what NetSuite holds, and what is said of it. Not here: which
documents billing has voided under the other policies (`whole_records.py`), the comparing (`differences.py`), or the
writing: the credit memo is expected like any other, so that one which is missing, altered or applied otherwise is a
difference like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from netsuite_assets.extract.columns import comparable
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.mapping.currencies import PLACES
from netsuite_assets.mapping.model import MappedField
from netsuite_assets.reconcile.record import money
from netsuite_assets.reconcile.whole_records import VOID, VOIDED
from netsuite_assets.tables import TABLES, VOID_CREDITS
from resources.tenants import Tenant
from resources.warehouse import TenantWarehouse, literal, quote

#: How the external id of such a credit memo begins; the invoice's follows.
PREFIX: Final = "void-"

COLUMNS: Final[Mapping[str, str]] = {
    "period": "VARCHAR",
    "external_id": "VARCHAR",
    "source_id": "VARCHAR",
    "invoice_external_id": "VARCHAR",
    "invoice_id": "VARCHAR",
    "invoice_number": "VARCHAR",
    "currency": "VARCHAR",
    "total": "DECIMAL(18,4)",
    "credited": "DECIMAL(18,4)",
    "applied": "DECIMAL(18,4)",
    "left_because": "VARCHAR",
}
"""One row an invoice of NetSuite's that billing has voided, `source_id` there: `credited` is what its credit memo, `external_id`, should take
back of its `total`, and `applied` what that settles of it now. `left_because` says why there is to be none.
"""

#: Marks the rows that stand in the expected tables because of this; what fills these tables anew takes them away.
_WARNING: Final = "Billing has voided it; expected as NetSuite holds it."
_WARNING_CREDIT: Final = "Billing has voided the invoice that it takes back; made of what NetSuite holds."

_DOCUMENTS: Final = ("invoice", "creditMemo")
#: NetSuite numbers its credit memos itself.
_OWN_NUMBER: Final = "tranId"


def expect_credits(warehouse: TenantWarehouse, tenant: Tenant, mapping: TenantMapping, period: str) -> None:
    """Bring the month's expected invoices and credit memos to what NetSuite holds of voided invoices now.

    Raises `resources.warehouse.IncompleteSlice` where what settles NetSuite's invoices never landed.
    """
    is_wanted = tenant.writeback.voided == "credit" and set(_DOCUMENTS) <= set(mapping.compared)
    if not is_wanted and not warehouse.columns(VOID_CREDITS):
        return
    warehouse.ensure_table(VOID_CREDITS, COLUMNS)
    with warehouse.transaction():
        known = warehouse.value(f"SELECT count(*) FROM {VOID_CREDITS} WHERE period = ?", [period])
        warehouse.connection.execute(f"DELETE FROM {VOID_CREDITS} WHERE period = ?", [period])
        _forget(warehouse, mapping, period)
        found = 0
        if is_wanted:
            warehouse.require_slices({"netsuite.applications": period})
            found = _find(warehouse, mapping, period)
        if found:
            _expect_invoices(warehouse, mapping.compared["invoice"], period)
            _expect_credits(warehouse, mapping, period)
        if known or found:
            _count_again(warehouse, mapping, period)


def say_credits(warehouse: TenantWarehouse, record: str, period: str) -> None:
    """Say in the differences of a record type that were just found what they have to do with a voided invoice, and add
    where a credit memo does not settle the invoice that it takes back.
    """
    if record not in _DOCUMENTS or not warehouse.columns(VOID_CREDITS):
        return
    ours = f"(SELECT * FROM {VOID_CREDITS} WHERE period = {literal(period)}) v"
    run = warehouse.connection.execute
    if record == "invoice":
        run(f"""
            UPDATE differences_found AS d
            SET reason = 'Billing has voided this invoice; NetSuite still holds it, and no credit memo can take it back: '
                || v.left_because
            FROM {ours} WHERE d.record = 'invoice' AND d.expected = {literal(VOIDED)}
                AND d.external_id = v.invoice_external_id AND v.left_because IS NOT NULL
        """)
        return
    credited, applied = money("v.credited", "v.currency"), money("v.applied", "v.currency")
    run(f"""
        UPDATE differences_found AS d
        SET reason = 'Billing has voided invoice ' || coalesce(v.invoice_number, v.invoice_external_id)
            || ', of which NetSuite holds ' || {credited} || ' open: a credit memo takes that back.'
        FROM {ours} WHERE d.record = 'creditMemo' AND d.kind = 'missing_in_netsuite'
            AND d.external_id = v.external_id AND v.left_because IS NULL
    """)
    run(f"""
        INSERT INTO differences_found (record, external_id, internal_id, number, name, kind, field, expected, actual,
            amount, delta, currency, owner, reason, matched_by)
        SELECT 'creditMemo', v.external_id, m.internal_id, m.number, m.name, 'changed', 'apply',
            {credited} || ' of ' || v.invoice_number, {applied} || ' of ' || v.invoice_number,
            abs(v.credited - v.applied), 0, v.currency, 'billing',
            'It should settle ' || {credited} || ' of invoice ' || v.invoice_number || ', which billing has voided; NetSuite'
                || ' applies ' || {applied} || ' of it to that.',
            'external_id'
        FROM {ours} JOIN netsuite.credit_memos m ON m.period = v.period AND m.external_id = v.external_id
        WHERE v.left_because IS NULL AND v.credited <> v.applied
    """)


def _forget(warehouse: TenantWarehouse, mapping: TenantMapping, period: str) -> None:
    for table in _tables(mapping):
        if warehouse.columns(table):
            warehouse.connection.execute(
                f"DELETE FROM {table} WHERE period = ? AND warning IN (?, ?)",
                [period, _WARNING, _WARNING_CREDIT],
            )


def _count_again(warehouse: TenantWarehouse, mapping: TenantMapping, period: str) -> None:
    """Record the slices as they are now: what rests on them rests on these rows too."""
    for table, lines in ((name, "line" in name) for name in _tables(mapping)):
        rows = warehouse.value(f"SELECT count(*) FROM {table} WHERE period = ?", [period])
        ((source, landed),) = warehouse.sql(
            "SELECT source, landed_at FROM meta.slices WHERE table_name = ? AND period = ?", [table, period]
        )
        key = ("external_id", "source_id", "line_rule") if lines else ("source_id",)
        warehouse.record_slice(table, period, key=key, expected_rows=rows, source=source, now=landed)


def _tables(mapping: TenantMapping) -> list[str]:
    names = [TABLES[record] for record in _DOCUMENTS if record in mapping.compared]
    return [f"expected.{name}" for tables in names for name in (tables.name, tables.lines) if name]


def _find(warehouse: TenantWarehouse, mapping: TenantMapping, period: str) -> int:
    """Fill `void_credits` of the month; how many voided invoices there are."""
    rules = mapping.compared["invoice"]
    if "status" not in warehouse.columns("billing.invoices"):
        return 0
    strangers = warehouse.sql(
        """SELECT external_id FROM netsuite.invoices a WHERE period = ? AND dated_in = period AND external_id IS NOT NULL
            AND coalesce(status, '') <> 'V' AND NOT EXISTS (
                SELECT 1 FROM expected.invoices e WHERE e.period = a.period AND e.external_id = a.external_id)
        GROUP BY external_id HAVING count(*) = 1 ORDER BY external_id""",
        [period],
    )
    known = {external_id: rules.source_id(external_id) for (external_id,) in strangers}
    known = {external_id: source_id for external_id, source_id in known.items() if source_id is not None}
    if not known:
        return 0
    in_part = "true" if all(_maps(mapping.compared[record], "amount") for record in _DOCUMENTS) else "false"
    settled = money("total - credited", "currency")
    return int(
        warehouse.value(
            f"""INSERT INTO {VOID_CREDITS} BY NAME
            WITH voided AS (
                SELECT h.external_id, h.source_id FROM (
                    SELECT unnest(?::VARCHAR[]) AS external_id, unnest(?::VARCHAR[]) AS source_id) h
                WHERE EXISTS (SELECT 1 FROM billing.invoices b WHERE b.period = $period AND b.id = h.source_id
                    AND lower(b.status) IN {VOID})),
            applied AS (
                SELECT invoice_id, sum(amount) FILTER (applying_external_id = {literal(PREFIX)} || invoice_external_id)
                        AS by_credit,
                    string_agg(CASE applying_record WHEN 'creditMemo' THEN 'credit memo ' ELSE 'payment ' END
                        || coalesce(applying_number, applying_id), ', ' ORDER BY applying_record DESC, applying_id)
                        FILTER (applying_external_id IS DISTINCT FROM {literal(PREFIX)} || invoice_external_id) AS others
                FROM netsuite.applications WHERE period = $period GROUP BY invoice_id),
            made AS (
                SELECT v.source_id, a.external_id AS invoice_external_id, a.internal_id AS invoice_id, a.number AS invoice_number, a.currency,
                    coalesce(a.total, 0) AS total, coalesce(x.by_credit, 0) AS applied, x.others,
                    -- The invoice may have been read again since what settles it was.
                    least(coalesce(a.total, 0), coalesce(a.remaining, 0) + coalesce(x.by_credit, 0))::DECIMAL(18, 4) AS credited
                FROM netsuite.invoices a JOIN voided v USING (external_id)
                LEFT JOIN applied x ON x.invoice_id = a.internal_id
                WHERE a.period = $period AND a.dated_in = $period)
            SELECT $period AS period, {literal(PREFIX)} || invoice_external_id AS external_id, * EXCLUDE (others),
                CASE WHEN credited <= 0 THEN 'nothing of it is open, because ' || {settled} || ' of it is settled'
                        || coalesce(' by ' || others, '') || '.'
                    WHEN credited <> total AND NOT {in_part}
                        THEN 'only a part of it is open, and the mapping has no amount of the lines to credit that by.'
                    END AS left_because
            FROM made""".replace("$period", literal(period)),
            [list(known), list(known.values())],
        )
    )


def _maps(rules: RecordMapping, line_field: str) -> bool:
    return any(field.name == line_field for field in comparable(rules.line_fields))


def _expect_invoices(warehouse: TenantWarehouse, rules: RecordMapping, period: str) -> None:
    """Expect the invoices that are taken back as NetSuite holds them."""
    shown = {field.name for field in comparable(rules.fields)}
    values = {field.column: _held(field, shown, "a") for field in rules.fields}
    _insert(
        warehouse,
        "expected.invoices",
        {
            "external_id": "a.external_id",
            "source_id": "v.source_id",
            "number": "a.number",
            "name": "a.name",
            "currency": "a.currency",
            "total": "a.total",
            "warning": literal(_WARNING),
            **values,
        },
        _credited(period),
        period,
    )
    shown = {field.name for field in comparable(rules.line_fields)}
    values = {field.column: _held(field, shown, "l") for field in rules.line_fields}
    _insert(
        warehouse,
        "expected.invoice_lines",
        {
            "external_id": "a.external_id",
            "source_id": "l.line_key",
            "line_no": "l.line_no",
            "line_rule": literal(VOIDED),
            "warning": literal(_WARNING),
            **values,
        },
        f"{_credited(period)} JOIN netsuite.invoice_lines l ON l.period = a.period AND l.internal_id = a.internal_id",
        period,
    )


def _expect_credits(warehouse: TenantWarehouse, mapping: TenantMapping, period: str) -> None:
    """Expect the credit memos that take them back.

    A field that NetSuite's invoice does not show is left to NetSuite: what the credit memo has of it by now is right.
    """
    invoice, rules = mapping.compared["invoice"], mapping.compared["creditMemo"]
    _share(warehouse, mapping, period)
    memo = "LEFT JOIN netsuite.credit_memos m ON m.period = v.period AND m.external_id = v.external_id"
    of_invoice = {field.name: field for field in comparable(invoice.fields)}
    of_memo = {field.name for field in comparable(rules.fields)}
    values = {}
    for field in rules.fields:
        its_own = _held(field, of_memo, "m")
        if field.name == _OWN_NUMBER or not _same(field, of_invoice.get(field.name)):
            values[field.column] = its_own if field.column == field.name else _held(field, of_invoice, "a")
        elif field.owner == "netsuite":
            values[field.column] = f"coalesce({its_own}, {_held(field, of_invoice, 'a')})"
        else:
            values[field.column] = _held(field, of_invoice, "a")
    _insert(
        warehouse,
        "expected.credit_memos",
        {
            "external_id": "v.external_id",
            "source_id": "v.external_id",
            "number": "coalesce(m.number, a.number)",
            "name": "a.name",
            "currency": "a.currency",
            "total": "v.credited",
            "warning": literal(_WARNING_CREDIT),
            **values,
        },
        f"{_credited(period)} {memo}",
        period,
    )
    of_invoice = {field.name: field for field in comparable(invoice.line_fields)}
    of_memo = {field.name for field in comparable(rules.line_fields)}
    values = {}
    for field in rules.line_fields:
        held = _held(field, of_invoice, "l")
        if not _same(field, of_invoice.get(field.name)):
            held = _held(field, of_memo, "n")
        part = {"quantity": "1", "rate": "s.amount", "amount": "s.amount"}.get(field.name)
        values[field.column] = f"CASE WHEN s.line_key IS NULL THEN {held} ELSE {part} END" if part else held
    numbered = "row_number() OVER (PARTITION BY {0} ORDER BY line_no, line_key) AS place"
    _insert(
        warehouse,
        "expected.credit_memo_lines",
        {
            "external_id": "v.external_id",
            "source_id": "l.line_key",
            "line_no": "l.line_no",
            "line_rule": literal(VOIDED),
            "warning": literal(_WARNING_CREDIT),
            **values,
        },
        f"""{_credited(period)} {memo}
        JOIN (SELECT *, {numbered.format("internal_id")} FROM netsuite.invoice_lines WHERE period = {literal(period)}) l
            ON l.internal_id = a.internal_id
        LEFT JOIN (SELECT *, {numbered.format("internal_id")} FROM netsuite.credit_memo_lines WHERE period = {literal(period)}) n
            ON n.internal_id = m.internal_id AND n.place = l.place
        LEFT JOIN void_shares s ON s.line_key = l.line_key""",
        period,
    )


def _share(warehouse: TenantWarehouse, mapping: TenantMapping, period: str) -> None:
    """Make `void_shares` (line_key, amount): of invoices that are credited in part, each line's part of that. The parts
    add up to the lines' part of the total exactly; what rounding leaves is on the line of the greatest amount.
    """
    run = warehouse.connection.execute
    run("CREATE OR REPLACE TEMP TABLE void_shares (line_key VARCHAR, amount DECIMAL(18,4))")
    if not warehouse.value(
        f"SELECT count(*) FROM {VOID_CREDITS} WHERE period = ? AND left_because IS NULL AND credited <> total",
        [period],
    ):
        return
    places = {**PLACES, **mapping.compared["invoice"].parts.plan.precision}
    documents: dict[tuple[str, Decimal, Decimal, str], dict[str, Decimal]] = {}
    for *document, line_key, amount in warehouse.sql(
        f"""SELECT a.internal_id, v.credited, v.total, coalesce(a.currency, ''), l.line_key, coalesce(l.amount, 0)
        FROM {_credited(period)} JOIN netsuite.invoice_lines l ON l.period = a.period AND l.internal_id = a.internal_id
        WHERE v.credited <> v.total ORDER BY a.internal_id, l.line_no, l.line_key"""
    ):
        internal_id, credited, total, currency = document
        documents.setdefault((internal_id, credited, total, currency), {})[line_key] = amount
    made: dict[str, Decimal] = {}
    for (_, credited, total, currency), lines in documents.items():
        made |= shares(lines, credited, total, places.get(currency, 2))
    if made:
        run(
            "INSERT INTO void_shares SELECT unnest(?::VARCHAR[]), unnest(?::DECIMAL(18,4)[])",
            [list(made), list(made.values())],
        )


def shares(
    lines: Mapping[str, Decimal], credited: Decimal, total: Decimal, places: int
) -> dict[str, Decimal]:
    """Each line's part of what is `credited` of a document's `total`, by the amounts of its lines and to the currency's
    decimal places.

    The parts add up to that part of all lines, which is `credited` itself where the lines make up the total; what rounding
    leaves is on the line of the greatest amount.
    """
    unit = Decimal(1).scaleb(-places)

    def part(amount: Decimal) -> Decimal:
        return (amount * credited / total).quantize(unit, ROUND_HALF_EVEN)

    made = {key: part(amount) for key, amount in lines.items()}
    greatest = max(lines, key=lambda key: abs(lines[key]))
    made[greatest] += part(sum(lines.values(), Decimal(0))) - sum(made.values(), Decimal(0))
    return made


def _same(field: MappedField, other: MappedField | None) -> bool:
    """Whether two record types' fields of one name hold the same kind of value."""
    return other is not None and (field.kind, field.target, field.by_external_id) == (
        other.kind,
        other.target,
        other.by_external_id,
    )


def _held(field: MappedField, shown: Iterable[str], alias: str) -> str:
    """SQL for what NetSuite holds of a field, as it would be written; NULL where its queries do not show it."""
    if field.name in shown:
        return f"{alias}.{quote(field.name)}"
    if field.list_name == "currency" and field.column != field.name:
        # The document has its ISO code.
        return (
            "(SELECT max(x.internal_id) FROM netsuite.reference x"
            " WHERE x.list = 'currency' AND x.name = a.currency)"
        )
    return f"NULL::{field.column_type}"


def _credited(period: str) -> str:
    """The invoices `a` that are taken back, with their rows `v`."""
    return (
        f"(SELECT * FROM {VOID_CREDITS} WHERE period = {literal(period)} AND left_because IS NULL) v"
        " JOIN netsuite.invoices a ON a.period = v.period AND a.internal_id = v.invoice_id"
    )


def _insert(
    warehouse: TenantWarehouse, table: str, values: Mapping[str, str], source: str, period: str
) -> None:
    names = ", ".join(map(quote, ["period", *values]))
    selected = ", ".join([literal(period), *values.values()])
    warehouse.connection.execute(f"INSERT INTO {table} ({names}) SELECT {selected} FROM {source}")
