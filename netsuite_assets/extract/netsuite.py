"""NetSuite's slices into the warehouse, read in sets by SuiteQL: reference data, customers, documents and lines.

Here: which rows make a slice, the proof that all of them came, and their landing beside the mapped fields' names.
Not here: requests, pages and typing (`resources/netsuite`), or what differs. Imports no Dagster.

A document slice is what NetSuite dates in the month, and besides the documents that billing issued in the month
and NetSuite dates elsewhere: those are asked for by external id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from netsuite_assets.extract.billing import month_bounds
from netsuite_assets.mapping.compiler import MappedField, RecordMapping
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.tables import ACTUAL_CORE, ACTUAL_LINE_CORE, COLUMN_TYPES, TABLES
from resources.netsuite.arrow import RowReader
from resources.netsuite.client import NetSuite
from resources.netsuite.records import ReferenceTable, record, reference
from resources.netsuite.suiteql import Select, in_lists, literal
from resources.warehouse import IncompleteSlice, Slice, TenantWarehouse, quote

#: How often a set that changes while it is read is read again.
ATTEMPTS = 3

_ARROW: dict[str, pa.DataType] = {
    "text": pa.string(),
    "amount": pa.decimal128(18, 4),
    "rate": pa.decimal128(28, 12),
    "quantity": pa.decimal128(28, 10),
    "integer": pa.int64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "boolean": pa.bool_(),
    "enum": pa.string(),
    "reference": pa.string(),
}

REFERENCE = {
    "list": "VARCHAR",
    "internal_id": "VARCHAR",
    "external_id": "VARCHAR",
    "name": "VARCHAR",
    "number": "VARCHAR",
    "subsidiary": "VARCHAR",
    "currency": "VARCHAR",
    "is_inactive": "BOOLEAN",
}

PERIODS = {
    "internal_id": "VARCHAR",
    "name": "VARCHAR",
    "start_date": "DATE",
    "end_date": "DATE",
    "closed": "BOOLEAN",
    "ar_locked": "BOOLEAN",
    "all_locked": "BOOLEAN",
}


@dataclass(frozen=True)
class _Column:
    """One column of a SuiteQL set: its expression and the Arrow type that its text becomes."""

    expression: str
    kind: pa.DataType


async def extract_reference(
    warehouse: TenantWarehouse, netsuite: NetSuite, mapping: TenantMapping, now: datetime
) -> dict[str, Slice]:
    """Land what lookups resolve against (`netsuite.reference`) and the accounting periods."""
    warehouse.ensure_table("netsuite.reference", REFERENCE)
    warehouse.ensure_table("netsuite.periods", PERIODS)
    names = sorted({"currency", *mapping.lists} - {"customer"})
    counted = 0
    for position, name in enumerate(names):
        table = _reference_table(name)
        columns = {
            "id": _Column("x.id", pa.string()),
            "name": _Column(f"x.{table.name}", pa.string()),
            "isinactive": _Column("x.isinactive", pa.bool_()),
        }
        if table.external_id:
            columns["externalid"] = _Column(f"x.{table.external_id}", pa.string())
        if table.number:
            columns["number"] = _Column(f"x.{table.number}", pa.string())
        counted += await _stage(warehouse, netsuite, "reference_in", columns, f"{table.table} x", "", "x.id")
        number = "number" if table.number else "name"
        external_id = "externalid" if table.external_id else "NULL"
        warehouse.connection.execute(
            f"CREATE {'OR REPLACE TEMP TABLE reference_all AS' if position == 0 else 'OR REPLACE TEMP TABLE reference_next AS'}"
            f" SELECT ? AS list, id AS internal_id, {external_id}::VARCHAR AS external_id, name,"
            f" {number} AS number, NULL::VARCHAR AS subsidiary, NULL::VARCHAR AS currency,"
            " coalesce(isinactive, false) AS is_inactive FROM reference_in",
            [name],
        )
        if position:
            warehouse.connection.execute("INSERT INTO reference_all FROM reference_next")
    periods = {
        "id": _Column("x.id", pa.string()),
        "name": _Column("x.periodname", pa.string()),
        "startdate": _Column("TO_CHAR(x.startdate, 'YYYY-MM-DD')", pa.date32()),
        "enddate": _Column("TO_CHAR(x.enddate, 'YYYY-MM-DD')", pa.date32()),
        "closed": _Column("x.closed", pa.bool_()),
        "arlocked": _Column("x.arlocked", pa.bool_()),
        "alllocked": _Column("x.alllocked", pa.bool_()),
    }
    base_periods = "x.isquarter = 'F' AND x.isyear = 'F' AND x.isadjust = 'F'"
    months = await _stage(
        warehouse, netsuite, "periods_in", periods, "accountingperiod x", base_periods, "x.id"
    )
    return {
        "netsuite.reference": warehouse.replace_slice(
            "netsuite.reference",
            None,
            "SELECT * FROM reference_all",
            key=("list", "internal_id"),
            expected_rows=counted,
            source="NetSuite",
            now=now,
        ),
        "netsuite.periods": warehouse.replace_slice(
            "netsuite.periods",
            None,
            "SELECT id AS internal_id, name, startdate AS start_date, enddate AS end_date,"
            " coalesce(closed, false) AS closed, coalesce(arlocked, false) AS ar_locked,"
            " coalesce(alllocked, false) AS all_locked FROM periods_in",
            key=("internal_id",),
            expected_rows=months,
            source="NetSuite",
            now=now,
        ),
    }


async def extract_customers(
    warehouse: TenantWarehouse, netsuite: NetSuite, rules: RecordMapping, now: datetime
) -> Slice:
    """Land all customers of the account with their mapped fields."""
    fields = comparable(rules.fields)
    warehouse.ensure_table("netsuite.customers", ACTUAL_CORE | _columns(fields))
    columns = {
        "id": _Column("c.id", pa.string()),
        "externalid": _Column("c.externalid", pa.string()),
        "entityid": _Column("c.entityid", pa.string()),
        "companyname": _Column("c.companyname", pa.string()),
        "currency_id": _Column("c.currency", pa.string()),
        "lastmodified": _Column("TO_CHAR(c.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS')", pa.string()),
        **_mapped(fields),
    }
    kind = record("customer")
    counted = await _stage(
        warehouse, netsuite, "customers_in", columns, kind.source, kind.where, kind.row_key
    )
    selected = "".join(f", r.{_alias(field)} AS {quote(field.name)}" for field in fields)
    return warehouse.replace_slice(
        "netsuite.customers",
        None,
        f"""SELECT NULL::VARCHAR AS period, r.id AS internal_id, r.externalid AS external_id, r.entityid AS number,
            coalesce(r.companyname, r.entityid) AS name, NULL::VARCHAR AS status, {_SYMBOL} AS currency,
            NULL::DECIMAL(18,4) AS total, NULL::VARCHAR AS dated_in, r.lastmodified AS last_modified{selected}
        FROM customers_in r""",
        key=("internal_id",),
        expected_rows=counted,
        source="NetSuite",
        now=now,
    )


async def extract_documents(
    warehouse: TenantWarehouse, netsuite: NetSuite, rules: RecordMapping, period: str, now: datetime
) -> dict[str, Slice]:
    """Land one document type of a month with its lines. Customers must have landed before."""
    tables, kind = TABLES[rules.record], record(rules.record)
    assert tables.lines is not None
    fields, line_fields = comparable(rules.fields), comparable(rules.line_fields)
    warehouse.ensure_table(f"netsuite.{tables.name}", ACTUAL_CORE | _columns(fields))
    warehouse.ensure_table(f"netsuite.{tables.lines}", ACTUAL_LINE_CORE | _columns(line_fields))
    columns = {
        "id": _Column("t.id", pa.string()),
        "externalid": _Column("t.externalid", pa.string()),
        "tranid": _Column("t.tranid", pa.string()),
        "entityname": _Column("BUILTIN.DF(t.entity)", pa.string()),
        "status": _Column("t.status", pa.string()),
        "currency_id": _Column("t.currency", pa.string()),
        "total": _Column("ABS(t.foreigntotal)", pa.decimal128(18, 4)),
        "trandate": _Column("TO_CHAR(t.trandate, 'YYYY-MM-DD')", pa.date32()),
        "lastmodified": _Column("TO_CHAR(t.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS')", pa.string()),
        **_mapped(fields),
    }
    in_month = f"{kind.where} AND {_dated_in('t.trandate', period)}"
    documents = await _stage(
        warehouse, netsuite, "documents_in", columns, kind.source, in_month, "t.id", total="t.foreigntotal"
    )
    strays = _expected_and_absent(warehouse, tables.name, period)
    documents += await _stage_each(
        warehouse,
        netsuite,
        "documents_in",
        columns,
        kind.source,
        [f"{kind.where} AND {condition}" for condition in in_lists("t.externalid", strays)],
        "t.id",
    )
    lines = await _stage_lines(warehouse, netsuite, rules, line_fields, period)
    return {
        tables.name: warehouse.replace_slice(
            f"netsuite.{tables.name}",
            period,
            f"""SELECT r.id AS internal_id, r.externalid AS external_id, r.tranid AS number, r.entityname AS name,
                r.status, {_SYMBOL} AS currency, r.total, strftime(r.trandate, '%Y-%m') AS dated_in,
                r.lastmodified AS last_modified{"".join(_landed(field) for field in fields)}
            FROM documents_in r""",
            key=("internal_id",),
            expected_rows=documents,
            source="NetSuite",
            now=now,
        ),
        tables.lines: warehouse.replace_slice(
            f"netsuite.{tables.lines}",
            period,
            f"""SELECT r.transaction_id AS internal_id, r.line_key, r.line_no::INTEGER AS line_no
                {"".join(_landed_line(field) for field in line_fields)}
            FROM lines_in r""",
            key=("line_key",),
            expected_rows=lines,
            source="NetSuite",
            now=now,
        ),
    }


async def _stage_lines(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    rules: RecordMapping,
    fields: Sequence[MappedField],
    period: str,
) -> int:
    """Stage the lines of the documents in `documents_in` as `lines_in`; how many NetSuite counts."""
    items = record(rules.record).sublists["item"]
    columns = {
        "line_key": _Column(items.row_key, pa.string()),
        "transaction_id": _Column(items.owner, pa.string()),
        "line_no": _Column("tl.linesequencenumber", pa.int64()),
        "line_amount": _Column(items.fields["amount"].suiteql, pa.decimal128(18, 4)),
        "line_rate": _Column(items.fields["rate"].suiteql, pa.decimal128(28, 12)),
        **_mapped(fields),
    }
    in_month = f"{items.where} AND {_dated_in('t.trandate', period)}"
    counted = await _stage(warehouse, netsuite, "lines_in", columns, items.source, in_month, items.row_key)
    elsewhere = warehouse.sql(
        "SELECT id FROM documents_in WHERE strftime(trandate, '%Y-%m') <> ? ORDER BY id::BIGINT", [period]
    )
    return counted + await _stage_each(
        warehouse,
        netsuite,
        "lines_in",
        columns,
        items.source,
        [
            f"{items.where} AND {condition}"
            for condition in in_lists("t.id", [int(row[0]) for row in elsewhere])
        ],
        items.row_key,
    )


def comparable(fields: Sequence[MappedField]) -> list[MappedField]:
    """The mapped fields that land in columns of their own.

    Not those that SuiteQL cannot show (they are written, but not compared as a set), nor the currency, which is
    a core column of every record.
    """
    return [field for field in fields if field.suiteql and field.column == field.name]


def _expected_and_absent(warehouse: TenantWarehouse, name: str, period: str) -> list[str]:
    rows = warehouse.sql(
        f"SELECT e.external_id FROM expected.{name} e WHERE e.period = ? AND e.external_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM documents_in d WHERE d.externalid = e.external_id) ORDER BY 1",
        [period],
    )
    return [row[0] for row in rows]


# Sets


async def _stage(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    table: str,
    columns: dict[str, _Column],
    source: str,
    where: str,
    key: str,
    *,
    total: str | None = None,
) -> int:
    """Read a set into the temporary table `table`, made anew; the count that NetSuite gives before and after.

    A set that changes while it is read is read again; raises `IncompleteSlice` when that does not end.
    """
    select = Select({name: column.expression for name, column in columns.items()}, source, where, key=key)
    reader = RowReader(pa.schema([(name, column.kind) for name, column in columns.items()]), select.key_name)
    census = select.census(**({"total": total} if total else {}))
    before = await netsuite.suiteql_rows(census)
    for _ in range(ATTEMPTS):
        _insert(warehouse, table, pa.Table.from_batches([], reader.schema), create=True)
        async for page in netsuite.rows_keyset(select):
            _insert(warehouse, table, pa.Table.from_batches([reader.batch(page)]))
        after = await netsuite.suiteql_rows(census)
        if after == before:
            return int(after[0]["row_count"])
        before = after
    raise IncompleteSlice(
        f"{warehouse.tenant}: NetSuite's rows changed each of the {ATTEMPTS} times that they were read"
        f" ({source}): {before[0].get('row_count')} at the last count. Nothing of it is used."
        " Run again when the other integration or the users that are writing have finished."
    )


async def _stage_each(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    table: str,
    columns: dict[str, _Column],
    source: str,
    conditions: Sequence[str],
    key: str,
) -> int:
    """Add one small set for each condition to a staged table; how many rows were added."""
    if not conditions:
        return 0
    schema = pa.schema([(name, column.kind) for name, column in columns.items()])
    selects = [
        Select({name: column.expression for name, column in columns.items()}, source, where, key=key)
        for where in conditions
    ]
    reader = RowReader(schema, selects[0].key_name)

    async def read(select: Select) -> list[pa.RecordBatch]:
        return [reader.batch(page) async for page in netsuite.rows_keyset(select)]

    added = 0
    for batches in await asyncio.gather(*(read(select) for select in selects)):
        rows = pa.Table.from_batches(batches, schema)
        _insert(warehouse, table, rows)
        added += rows.num_rows
    return added


def _insert(warehouse: TenantWarehouse, table: str, rows: pa.Table, *, create: bool = False) -> None:
    warehouse.connection.register("rows_in", rows)
    verb = f"CREATE OR REPLACE TEMP TABLE {table} AS" if create else f"INSERT INTO {table}"
    warehouse.connection.execute(f"{verb} SELECT * FROM rows_in")
    warehouse.connection.unregister("rows_in")


def _dated_in(column: str, period: str) -> str:
    start, end = month_bounds(period)
    return f"{column} >= {_day(start)} AND {column} < {_day(end)}"


def _day(day: date) -> str:
    return literal(day)


def _reference_table(name: str) -> ReferenceTable:
    """The SuiteQL table behind a lookup's list; `cseg_x` are the values of that segment."""
    if name.startswith("customlist_"):
        return ReferenceTable(name, name, "name")
    return reference(f"customrecord_{name}" if name.startswith("cseg_") else name)


# Mapped fields


def _alias(field: MappedField) -> str:
    return f"f_{field.name.lower()}"


def _mapped(fields: Sequence[MappedField]) -> dict[str, _Column]:
    return {_alias(field): _Column(field.suiteql, _ARROW[field.kind]) for field in fields}


def _columns(fields: Sequence[MappedField]) -> dict[str, str]:
    return {field.name: COLUMN_TYPES[field.kind] for field in fields}


def _landed(field: MappedField) -> str:
    """The landed column: a reference to a customer becomes that customer's external id."""
    value = f"r.{_alias(field)}"
    if field.target == "customer":
        value = (
            f"(SELECT coalesce(max(c.external_id), 'internal:' || {value}) FROM netsuite.customers c"
            f" WHERE c.internal_id = {value})"
        )
    return f", {value} AS {quote(field.name)}"


def _landed_line(field: MappedField) -> str:
    """The landed column of a line. Accounts print a quantity as it was entered or with the ledger's sign: the sign
    is taken from amount and rate, which are certain.
    """
    if field.kind != "quantity":
        return _landed(field)
    value = f"abs(r.{_alias(field)})"
    signs_differ = "(coalesce(r.line_amount, 0) < 0) <> (coalesce(r.line_rate, 0) < 0)"
    return f", CASE WHEN {signs_differ} THEN -{value} ELSE {value} END AS {quote(field.name)}"


_SYMBOL = "(SELECT max(x.name) FROM netsuite.reference x WHERE x.list = 'currency' AND x.internal_id = r.currency_id)"
