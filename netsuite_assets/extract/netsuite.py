"""NetSuite's slices into the warehouse, read in sets by SuiteQL: customers, documents, lines and lines of tax.

Here: which rows make a slice, the proof that all of them came, and their landing beside the mapped fields' names.
Not here: requests, pages and typing (`resources/netsuite`), or what differs. Imports no Dagster.

A document slice is what NetSuite dates in the month, and besides the documents that billing issued in the month
and NetSuite dates elsewhere: those are asked for by external id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import pyarrow as pa

from netsuite_assets.extract.columns import (
    AMOUNT,
    MODIFIED,
    RATE,
    SYMBOL,
    TEXT,
    alias,
    column_types,
    comparable,
    landed,
    mapped,
)
from netsuite_assets.extract.rows import Column, Extraction
from netsuite_assets.extract.scopes import (
    dated_in,
    held_documents,
    held_in,
    proven,
    read_elsewhere,
    read_together,
)
from netsuite_assets.extract.sight import Reread, account_for_gone
from netsuite_assets.mapping.compiler import MappedField, RecordMapping
from netsuite_assets.tables import ACTUAL_CORE, ACTUAL_LINE_CORE, ACTUAL_TAXES, INACTIVE, TABLES
from resources.ledger.intents import Written
from resources.netsuite.client import NetSuite
from resources.netsuite.records import record
from resources.netsuite.sets import STANDARD, Proof, Sizes
from resources.warehouse import Slice, TenantWarehouse, quote


async def extract_customers(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    rules: RecordMapping,
    now: datetime,
    *,
    written: Sequence[Written] = (),
    accept_as_gone: str = "",
    sizes: Sizes = STANDARD,
) -> Slice:
    """Land all customers of the account with their mapped fields.

    `written` and `accept_as_gone`: see `sight.account_for_gone`, by which customers that are not shown any more are
    explained or refused.
    """
    fields = comparable(rules.fields)
    warehouse.ensure_table("netsuite.customers", ACTUAL_CORE | column_types(fields))
    columns = {
        "id": Column("c.id", TEXT),
        "externalid": Column("c.externalid", TEXT),
        "entityid": Column("c.entityid", TEXT),
        "companyname": Column("c.companyname", TEXT),
        "currency_id": Column("c.currency", TEXT),
        "is_inactive": Column("c.isinactive", pa.bool_()),
        "lastmodified": Column("TO_CHAR(c.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS')", TEXT),
        **mapped(fields),
    }
    kind = record("customer")
    extraction = Extraction(warehouse, netsuite, lambda: now, sizes)
    extraction.prepare("customers", columns)
    selected = "".join(f", r.{alias(field)} AS {quote(field.name)}" for field in fields)
    with extraction.transaction():
        proof = await extraction.read(
            "customers", None, "customers", columns, kind.source, kind.where, kind.row_key,
            modified="lastmodified",
        )  # fmt: skip
        present = "SELECT r.id FROM netsuite_rows.customers r"
        read = Reread(rules.record, "netsuite.customers", None, present)
        await account_for_gone(extraction, read, written, accept_as_gone)
        return warehouse.replace_slice(
            "netsuite.customers",
            None,
            f"""SELECT NULL::VARCHAR AS period, r.id AS internal_id, r.externalid AS external_id, r.entityid AS number,
                coalesce(r.companyname, r.entityid) AS name,
                CASE WHEN r.is_inactive THEN '{INACTIVE}' ELSE 'active' END AS status, {SYMBOL} AS currency,
                NULL::DECIMAL(18,4) AS total, NULL::DECIMAL(18,4) AS remaining, NULL::VARCHAR AS dated_in,
                r.lastmodified AS last_modified{selected}
            FROM netsuite_rows.customers r""",
            key=("internal_id",),
            expected_rows=proof.after.rows,
            source="NetSuite",
            now=now,
        )


async def extract_documents(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    rules: RecordMapping,
    period: str,
    now: datetime,
    *,
    written: Sequence[Written] = (),
    accept_as_gone: str = "",
    sizes: Sizes = STANDARD,
) -> dict[str, Slice]:
    """Land one document type of a month with its lines and NetSuite's own lines of tax. Customers must have landed before.

    All are read until they are of one moment; lines of tax only where totals are not those of the lines.
    `written` and `accept_as_gone`: see `sight.account_for_gone`, by which documents that are not shown any more are explained or refused.
    """
    tables, kind = TABLES[rules.record], record(rules.record)
    items = kind.sublists["item"]
    assert tables.lines is not None
    assert tables.taxes is not None
    fields, line_fields = comparable(rules.fields), comparable(rules.line_fields)
    warehouse.ensure_table(f"netsuite.{tables.name}", ACTUAL_CORE | column_types(fields))
    warehouse.ensure_table(f"netsuite.{tables.lines}", ACTUAL_LINE_CORE | column_types(line_fields))
    warehouse.ensure_table(f"netsuite.{tables.taxes}", ACTUAL_TAXES)
    remaining = "foreignamountunpaid" if rules.record == "invoice" else "foreignpaymentamountunused"
    columns = {
        "id": Column("t.id", TEXT),
        "externalid": Column("t.externalid", TEXT),
        "tranid": Column("t.tranid", TEXT),
        "customer_id": Column("t.entity", TEXT),
        "entityname": Column("BUILTIN.DF(t.entity)", TEXT),
        "status": Column("t.status", TEXT),
        "currency_id": Column("t.currency", TEXT),
        "total": Column("ABS(t.foreigntotal)", AMOUNT),
        # A payment may change what remains without touching the document's time of change.
        "remaining": Column(f"ABS(t.{remaining})", AMOUNT),
        "trandate": Column("TO_CHAR(t.trandate, 'YYYY-MM-DD')", pa.date32()),
        "lastmodified": Column(MODIFIED, TEXT),
        **mapped(fields),
    }
    line_columns = {
        "line_key": Column(items.row_key, TEXT),
        "transaction_id": Column(items.owner, TEXT),
        "line_no": Column("tl.linesequencenumber", pa.int64()),
        "line_amount": Column(items.fields["amount"].suiteql, AMOUNT),
        "line_rate": Column(items.fields["rate"].suiteql, RATE),
        "lastmodified": Column(MODIFIED, TEXT),
        **mapped(line_fields),
    }
    extraction = Extraction(warehouse, netsuite, lambda: now, sizes)
    extraction.prepare(tables.name, columns)
    extraction.prepare(tables.lines, line_columns)
    tax_columns = _TAX_COLUMNS | {"amount": Column(items.fields["amount"].suiteql, AMOUNT)}
    extraction.prepare(tables.taxes, tax_columns)

    async def documents(scope: str, name: str, where: str) -> Proof:
        return await extraction.read(
            tables.name, scope, name, columns, kind.source, f"{kind.where} AND {where}", kind.row_key,
            sums=("total", "remaining"), silent=("remaining",), modified="lastmodified",
            whole=("transaction t", f"{kind.where} AND {where}"),
        )  # fmt: skip

    async def lines(scope: str, name: str, where: str) -> Proof:
        return await extraction.read(
            tables.lines or "", scope, name, line_columns, items.source, f"{items.where} AND {where}",
            items.row_key, sums=("line_amount",), modified="lastmodified", times=False,
        )  # fmt: skip

    async def taxes(scope: str, name: str, where: str) -> Proof:
        return await extraction.read(
            tables.taxes or "", scope, name, tax_columns, items.source, f"{kind.where} AND {_TAX_LINES} AND {where}",
            items.row_key, sums=("amount",), modified="lastmodified", times=False,
        )  # fmt: skip

    async def together(scope: str, name: str, where: str) -> None:
        """Read documents of a scope with their lines. Lines change with their document, and with nothing else."""

        async def headers() -> Sequence[Proof]:
            return [await documents(scope, name, where)]

        async def of_headers(
            table: str, read: Callable[[str, str, str], Awaitable[Proof]], what: str
        ) -> Sequence[Proof]:
            _forget_other_versions(warehouse, tables.name, table, scope)
            within = where if scope == period else held_documents(warehouse, tables.name, scope)
            if within is None:
                extraction.forget_but(table, [], like=scope)
                return []
            return [await read(scope, f"{what} of the {name}", within)]

        async def their_lines() -> Sequence[Proof]:
            return await of_headers(tables.lines or "", lines, "lines")

        async def their_taxes() -> Sequence[Proof]:
            if not _beyond_lines(warehouse, tables.name, tables.lines or "", scope):
                extraction.forget_but(tables.taxes or "", [], like=scope)
                return []
            return await of_headers(tables.taxes or "", taxes, "lines of tax")

        await read_together(
            warehouse.tenant, f"the {name} and their lines", [headers, their_lines, their_taxes]
        )

    in_month = dated_in("t.trandate", period)
    with extraction.transaction():
        await together(period, f"{tables.label}s dated in {period}", in_month)

        async def dated_elsewhere(scope: str, where: str) -> None:
            await together(
                scope, f"{tables.label}s expected in {period} that NetSuite dates elsewhere", where
            )

        elsewhere = await read_elsewhere(warehouse, netsuite, rules, tables.name, period, dated_elsewhere)
        for table in (tables.name, tables.lines, tables.taxes):
            extraction.forget_but(table, [period, *elsewhere], like=f"{period}%")
        scope = held_in(period)
        present = f"SELECT r.id FROM netsuite_rows.{tables.name} r WHERE {scope}"
        read = Reread(rules.record, f"netsuite.{tables.name}", period, present)
        await account_for_gone(extraction, read, written, accept_as_gone)
        return {
            tables.name: warehouse.replace_slice(
                f"netsuite.{tables.name}",
                period,
                f"""SELECT r.id AS internal_id, r.externalid AS external_id, r.tranid AS number, {_CUSTOMER} AS name,
                    r.status, {SYMBOL} AS currency, r.total, r.remaining,
                    strftime(r.trandate, '%Y-%m') AS dated_in,
                    r.lastmodified AS last_modified{"".join(landed(field) for field in fields)}
                FROM netsuite_rows.{tables.name} r WHERE {scope}""",
                key=("internal_id",),
                expected_rows=proven(warehouse, tables.name, period),
                source="NetSuite",
                now=now,
            ),
            tables.lines: warehouse.replace_slice(
                f"netsuite.{tables.lines}",
                period,
                f"""SELECT r.transaction_id AS internal_id, r.line_key, r.line_no::INTEGER AS line_no
                    {"".join(_landed_line(field) for field in line_fields)}
                FROM netsuite_rows.{tables.lines} r WHERE {scope}""",
                key=("line_key",),
                expected_rows=proven(warehouse, tables.lines, period),
                source="NetSuite",
                now=now,
            ),
            tables.taxes: warehouse.replace_slice(
                f"netsuite.{tables.taxes}",
                period,
                f"""SELECT r.transaction_id AS internal_id, r.line_key, r.line_no::INTEGER AS line_no, r.tax_code, r.tax_name,
                    r.description, r.percent, r.amount
                FROM netsuite_rows.{tables.taxes} r WHERE {scope}""",
                key=("line_key",),
                expected_rows=proven(warehouse, tables.taxes, period),
                source="NetSuite",
                now=now,
            ),
        }


_TAX_LINES = "tl.mainline = 'F' AND tl.taxline = 'T'"
_TAX_COLUMNS = {
    "line_key": Column("tl.uniquekey", TEXT),
    "transaction_id": Column("t.id", TEXT),
    "line_no": Column("tl.linesequencenumber", pa.int64()),
    # Where the account's taxes are items.
    "tax_code": Column("tl.item", TEXT),
    "tax_name": Column("BUILTIN.DF(tl.item)", TEXT),
    "description": Column("tl.memo", TEXT),
    "percent": Column("tl.ratepercent", RATE),
    "lastmodified": Column(MODIFIED, TEXT),
}


def _beyond_lines(warehouse: TenantWarehouse, name: str, line_name: str, scope: str) -> bool:
    """Whether a held document of the scope has another total than its lines add up to."""
    found = warehouse.sql(
        f"""SELECT 1 FROM netsuite_rows.{name} d LEFT JOIN (
            SELECT transaction_id, sum(line_amount) AS amount FROM netsuite_rows.{line_name} WHERE scope = ? GROUP BY 1) l
            ON l.transaction_id = d.id
        WHERE d.scope = ? AND coalesce(d.total, 0) <> coalesce(l.amount, 0) LIMIT 1""",
        [scope, scope],
    )
    return bool(found)


#: A document does not change when its customer is renamed. One that is no customer (a project) shows what it was called
#: when the document was read.
_CUSTOMER = "coalesce((SELECT max(c.name) FROM netsuite.customers c WHERE c.internal_id = r.customer_id), r.entityname)"


def _forget_other_versions(warehouse: TenantWarehouse, name: str, line_name: str, scope: str) -> None:
    """Drop held lines whose document is of another version, or gone: their own figures may not tell."""
    warehouse.connection.execute(
        f"""DELETE FROM netsuite_rows.{line_name} AS l WHERE l.scope = ? AND NOT EXISTS (
            SELECT 1 FROM netsuite_rows.{name} d WHERE d.scope = l.scope AND d.id = l.transaction_id
            AND d.lastmodified IS NOT DISTINCT FROM l.lastmodified)""",
        [scope],
    )


def _landed_line(field: MappedField) -> str:
    """The landed column of a line. Accounts print a quantity as it was entered or with the ledger's sign: the sign
    is taken from amount and rate, which are certain.
    """
    if field.kind != "quantity":
        return landed(field)
    value = f"abs(r.{alias(field)})"
    signs_differ = "(coalesce(r.line_amount, 0) < 0) <> (coalesce(r.line_rate, 0) < 0)"
    return f", CASE WHEN {signs_differ} THEN -{value} ELSE {value} END AS {quote(field.name)}"
