"""NetSuite's slices into the warehouse, read in sets by SuiteQL: customers, documents and lines.

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
from netsuite_assets.extract.scopes import ATTEMPTS, absent, dated_in, held_documents, held_in, proven
from netsuite_assets.extract.sight import Reread, account_for_gone
from netsuite_assets.mapping.compiler import MappedField, RecordMapping
from netsuite_assets.tables import ACTUAL_CORE, ACTUAL_LINE_CORE, TABLES
from netsuite_assets.tell import count
from resources.ledger.intents import Written
from resources.netsuite.client import NetSuite
from resources.netsuite.records import record
from resources.netsuite.sets import Proof
from resources.warehouse import IncompleteSlice, Slice, TenantWarehouse, quote


async def extract_customers(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    rules: RecordMapping,
    now: datetime,
    *,
    written: Sequence[Written] = (),
    accept_as_gone: str = "",
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
        "lastmodified": Column("TO_CHAR(c.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS')", TEXT),
        **mapped(fields),
    }
    kind = record("customer")
    extraction = Extraction(warehouse, netsuite, lambda: now)
    extraction.prepare("customers", columns)
    selected = "".join(f", r.{alias(field)} AS {quote(field.name)}" for field in fields)
    with warehouse.transaction():
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
                coalesce(r.companyname, r.entityid) AS name, NULL::VARCHAR AS status, {SYMBOL} AS currency,
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
) -> dict[str, Slice]:
    """Land one document type of a month with its lines. Customers must have landed before.

    Headers and lines are read until each line's document is the version that was read. `written` and `accept_as_gone`:
    see `sight.account_for_gone`, by which documents that are not shown any more are explained or refused.
    """
    tables, kind = TABLES[rules.record], record(rules.record)
    items = kind.sublists["item"]
    assert tables.lines is not None
    fields, line_fields = comparable(rules.fields), comparable(rules.line_fields)
    warehouse.ensure_table(f"netsuite.{tables.name}", ACTUAL_CORE | column_types(fields))
    warehouse.ensure_table(f"netsuite.{tables.lines}", ACTUAL_LINE_CORE | column_types(line_fields))
    remaining = "foreignamountunpaid" if rules.record == "invoice" else "foreignpaymentamountunused"
    columns = {
        "id": Column("t.id", TEXT),
        "externalid": Column("t.externalid", TEXT),
        "tranid": Column("t.tranid", TEXT),
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
    extraction = Extraction(warehouse, netsuite, lambda: now)
    extraction.prepare(tables.name, columns)
    extraction.prepare(tables.lines, line_columns)

    async def documents(scope: str, name: str, where: str) -> Proof:
        return await extraction.read(
            tables.name, scope, name, columns, kind.source, f"{kind.where} AND {where}", kind.row_key,
            sums=("total", "remaining"), modified="lastmodified",
            whole=("transaction t", f"{kind.where} AND {where}"),
        )  # fmt: skip

    async def lines(scope: str, name: str, where: str) -> Proof:
        return await extraction.read(
            tables.lines or "", scope, name, line_columns, items.source, f"{items.where} AND {where}",
            items.row_key, sums=("line_amount",), modified="lastmodified",
        )  # fmt: skip

    in_month = dated_in("t.trandate", period)
    with warehouse.transaction():
        for _ in range(ATTEMPTS):
            await documents(period, f"{tables.label}s dated in {period}", in_month)
            await lines(period, f"lines of the {tables.label}s dated in {period}", in_month)
            await _elsewhere(extraction, tables.name, tables.lines, period, documents, lines)
            torn = _torn(warehouse, tables.name, tables.lines, period)
            if not torn:
                break
        else:
            raise IncompleteSlice(
                f"{warehouse.tenant}: {tables.label}s of {period}: {count(len(torn), tables.label)} changed each of the"
                f" {ATTEMPTS} times that they were read, so that their lines are of another moment than they"
                f" themselves: internal ids {', '.join(torn[:5])}{' …' if len(torn) > 5 else ''}. Nothing of it is"
                " used. Run again when the other integration or the users that are writing have finished."
            )
        scope = held_in(period)
        present = f"SELECT r.id FROM netsuite_rows.{tables.name} r WHERE {scope}"
        read = Reread(rules.record, f"netsuite.{tables.name}", period, present)
        await account_for_gone(extraction, read, written, accept_as_gone)
        return {
            tables.name: warehouse.replace_slice(
                f"netsuite.{tables.name}",
                period,
                f"""SELECT r.id AS internal_id, r.externalid AS external_id, r.tranid AS number, r.entityname AS name,
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
        }


_Read = Callable[[str, str, str], Awaitable[Proof]]


async def _elsewhere(
    extraction: Extraction, name: str, line_name: str, period: str, documents: _Read, lines: _Read
) -> None:
    """Read the documents that billing issued in the month and NetSuite dates elsewhere, each set in its own scope."""
    scopes = absent(extraction.warehouse, name, name, period)
    found = []
    for scope, where in scopes.items():
        told = f"{name} expected in {period} that NetSuite dates elsewhere"
        await documents(scope, told, where)
        within = held_documents(extraction.warehouse, name, scope)
        if within is not None:
            found.append(scope)
            await lines(scope, f"lines of {told}", within)
    extraction.forget_but(name, [period, *scopes], like=f"{period}%")
    extraction.forget_but(line_name, [period, *found], like=f"{period}%")


def _torn(warehouse: TenantWarehouse, name: str, line_name: str, period: str) -> list[str]:
    """The documents whose lines were read at another version than they themselves, by internal id."""
    rows = warehouse.sql(
        f"""SELECT DISTINCT l.transaction_id FROM netsuite_rows.{line_name} l
        LEFT JOIN netsuite_rows.{name} d ON d.id = l.transaction_id AND d.scope = l.scope
        WHERE (l.scope = ? OR l.scope LIKE ?) AND l.lastmodified IS DISTINCT FROM d.lastmodified
        ORDER BY l.transaction_id""",
        [period, f"{period} elsewhere %"],
    )
    return [str(row[0]) for row in rows]


def _landed_line(field: MappedField) -> str:
    """The landed column of a line. Accounts print a quantity as it was entered or with the ledger's sign: the sign
    is taken from amount and rate, which are certain.
    """
    if field.kind != "quantity":
        return landed(field)
    value = f"abs(r.{alias(field)})"
    signs_differ = "(coalesce(r.line_amount, 0) < 0) <> (coalesce(r.line_rate, 0) < 0)"
    return f", CASE WHEN {signs_differ} THEN -{value} ELSE {value} END AS {quote(field.name)}"
