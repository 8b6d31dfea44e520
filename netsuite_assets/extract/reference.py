"""NetSuite's reference data into the warehouse: what the mapping looks up, and the masters with their attributes.

Here: which lists are read, with which columns, and what of them lands. Not here: documents and customers (`netsuite.py`),
or how a set is read and proven (`rows.py`). Imports no Dagster.

Each master lands in a table of its own. `netsuite.reference` holds of them, and of the custom lists and segments, what the
mapping looks up. A list that the mapping needs must be visible; any other stays empty with the reason where the role does
not see it. The columns follow the field tables of NetSuite's REST facts; those that an account or role may lack are
optional.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa

from netsuite_assets.extract.rows import Column, Extraction
from netsuite_assets.extract.visibility import Hidden, if_visible, leave_empty, note, shown
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.tell import count
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import Failure, Incomplete, Rejected
from resources.netsuite.records import ReferenceTable, reference
from resources.netsuite.sets import Proof
from resources.warehouse import Slice, TenantWarehouse, duckdb_type, quote
from resources.warehouse import literal as quoted

#: `subsidiary` is the internal id (several as NetSuite prints them), `currency` the ISO 4217 code; both where the list tells.
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

_TEXT = pa.string()
_FLAG = pa.bool_()

LIST_COLUMNS = {
    "id": Column("x.id", _TEXT),
    "name": Column("x.name", _TEXT),
    "externalid": Column("x.externalid", _TEXT),
    "number": Column("x.number", _TEXT),
    "isinactive": Column("x.isinactive", _FLAG),
}


def _texts(**columns: str) -> dict[str, Column]:
    return {name: Column(f"x.{column}", _TEXT) for name, column in columns.items()}


def _flags(**columns: str) -> dict[str, Column]:
    return {name: Column(f"x.{column}", _FLAG) for name, column in columns.items()}


def _date(column: str) -> Column:
    return Column(f"TO_CHAR(x.{column}, 'YYYY-MM-DD')", pa.date32())


@dataclass(frozen=True)
class Master:
    """One of NetSuite's lists that lands in a table of its own, `netsuite.<table>`.

    `look_up` is its name for look-ups, `source` its SuiteQL table, `label` what people call its values (plural); `name`,
    `number` and `external_id` are the columns that look-ups match by. Without a column of `needed` it is not read;
    the others are left out where the account or role does not have them.
    """

    table: str
    look_up: str
    source: str
    label: str
    columns: Mapping[str, Column]
    needed: tuple[str, ...]
    name: str = "name"
    number: str = ""
    external_id: str = ""
    where: str = ""
    modified: str = ""

    @property
    def landed(self) -> dict[str, str]:
        """The landed columns and their DuckDB types; beside the id of a currency stands its ISO 4217 code."""
        columns = {name: duckdb_type(column.kind) for name, column in self.columns.items()}
        return columns | ({"currency": "VARCHAR"} if "currency_id" in columns else {})

    def seen_in(self, is_single: bool) -> Mapping[str, Column]:
        """The columns that there are in an account of a single company, or of several."""
        return {n: c for n, c in self.columns.items() if n != "subsidiary"} if is_single else self.columns

    @property
    def optional(self) -> list[str]:
        """The columns that may be left out."""
        return [name for name in self.columns if name not in ("internal_id", *self.needed)]


def _classification(table: str, name: str, label: str) -> Master:
    columns = _texts(
        internal_id="id", name="name", full_name="fullname", parent="parent", subsidiary="subsidiary",
        external_id="externalid",
    )  # fmt: skip
    columns |= _flags(is_inactive="isinactive")
    return Master(table, name, name, label, columns, ("name",), external_id="external_id")


SUBSIDIARIES: Final = Master(
    "subsidiaries", "subsidiary", "subsidiary", "subsidiaries",
    _texts(internal_id="id", name="name", full_name="fullname", parent="parent", currency_id="currency",
           country="country")
    | _flags(is_elimination="iselimination", is_inactive="isinactive"),
    ("name",),
)  # fmt: skip

CURRENCIES: Final = Master(
    "currencies", "currency", "currency", "currencies",
    _texts(internal_id="id", symbol="symbol", name="name")
    | {"precision": Column("x.currencyprecision", pa.int64()),
       "exchange_rate": Column("x.exchangerate", pa.decimal128(28, 12))}
    | _flags(is_base="isbasecurrency", is_inactive="isinactive"),
    ("symbol",),
    name="symbol",
)  # fmt: skip

PERIODS: Final = Master(
    "periods", "accountingPeriod", "accountingperiod", "accounting periods",
    _texts(internal_id="id", name="periodname")
    | {"start_date": _date("startdate"), "end_date": _date("enddate")}
    | _flags(closed="closed", ar_locked="arlocked", all_locked="alllocked", ap_locked="aplocked",
             allow_non_gl_changes="allownonglchanges")
    | {"closed_on": _date("closedondate")},
    ("name", "start_date", "end_date", "closed", "ar_locked", "all_locked"),
    # Months alone: quarters, years and adjustment periods take no billing document.
    where="x.isquarter = 'F' AND x.isyear = 'F' AND x.isadjust = 'F'",
)  # fmt: skip

MASTERS: Final[tuple[Master, ...]] = (
    SUBSIDIARIES,
    CURRENCIES,
    PERIODS,
    Master(
        "items", "item", "item", "items",
        _texts(internal_id="id", item_id="itemid", display_name="displayname", item_type="itemtype",
               subtype="subtype", income_account="incomeaccount",
               deferred_revenue_account="deferredrevenueaccount", external_id="externalid")
        | _flags(is_inactive="isinactive")
        | {"last_modified": Column("TO_CHAR(x.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS')", _TEXT)},
        ("item_id", "external_id"),
        name="item_id",
        external_id="external_id",
        modified="last_modified",
    ),
    Master(
        "terms", "term", "term", "terms",
        _texts(internal_id="id", name="name", external_id="externalid")
        | {"days_until_net_due": Column("x.daysuntilnetdue", pa.int64())}
        | _flags(is_date_driven="datedriven", is_preferred="preferred", is_inactive="isinactive"),
        ("name",),
    ),
    Master(
        "accounts", "account", "account", "accounts",
        _texts(internal_id="id", number="acctnumber", full_name="fullname", account_type="accttype",
               currency_id="currency", parent="parent", subsidiary="subsidiary", external_id="externalid")
        | _flags(is_summary="issummary", is_inactive="isinactive"),
        ("number", "full_name", "external_id"),
        name="full_name",
        number="number",
        external_id="external_id",
    ),
    _classification("departments", "department", "departments"),
    _classification("classes", "classification", "classes"),
    _classification("locations", "location", "locations"),
)  # fmt: skip
"""In the order in which they are shown."""

_SYMBOL: Final = "(SELECT max(c.symbol) FROM netsuite_rows.currencies c WHERE c.internal_id = r.currency_id)"


async def extract_reference(
    warehouse: TenantWarehouse, netsuite: NetSuite, mapping: TenantMapping, now: datetime
) -> dict[str, Slice]:
    """Land the masters, and what look-ups resolve against (`netsuite.reference`).

    Raises `PermissionDenied` (in a group) for a list that the mapping needs and the role does not see, and
    `Incomplete` when the mapping names a subsidiary that the role does not list: its documents would be out of sight.
    """
    extraction = Extraction(warehouse, netsuite, lambda: now)
    warehouse.ensure_table("netsuite.reference", REFERENCE)
    extraction.prepare("lists", LIST_COLUMNS)
    for master in MASTERS:
        warehouse.ensure_table(f"netsuite.{master.table}", master.landed)
        extraction.prepare(master.table, master.columns)
    needed = mapping.lists | {CURRENCIES.look_up, PERIODS.look_up}
    others = sorted(mapping.lists - {master.look_up for master in MASTERS} - {"customer"})
    with extraction.transaction():
        extraction.forget_but("lists", others)
        # First, for it tells whether the others have a column for it.
        companies = await _master(extraction, SUBSIDIARIES, SUBSIDIARIES.columns, needed)
        found: dict[str, _Read | Hidden] = {SUBSIDIARIES.table: companies}
        if isinstance(companies, _Read):
            _check_subsidiaries(warehouse, mapping)
        is_single = isinstance(companies, Hidden) and companies.is_absent
        async with asyncio.TaskGroup() as group:
            reading = {
                master.table: group.create_task(
                    _master(extraction, master, master.seen_in(is_single), needed)
                )
                for master in MASTERS
                if master is not SUBSIDIARIES
            }
            lists = [group.create_task(_list(extraction, name)) for name in others]
        found |= {table: task.result() for table, task in reading.items()}
        note(
            warehouse,
            {f"netsuite.{name}": one if isinstance(one, Hidden) else None for name, one in found.items()},
            now,
        )
        landed = {"netsuite.reference": _land_reference(warehouse, mapping, found, lists, now)}
        for master in MASTERS:
            one, table = found[master.table], f"netsuite.{master.table}"
            if isinstance(one, Hidden):
                leave_empty(warehouse, table)
            else:
                landed[table] = _land(warehouse, master, one, now)
        return landed


@dataclass(frozen=True)
class _Read:
    """A master as it was read, with the columns that the account has and the role sees."""

    proof: Proof
    columns: Mapping[str, Column]


async def _master(
    extraction: Extraction, master: Master, columns: Mapping[str, Column], needed: Collection[str]
) -> _Read | Hidden:
    reading = _read(extraction, master, columns)
    return await reading if master.look_up in needed else await if_visible(reading)


async def _read(extraction: Extraction, master: Master, columns: Mapping[str, Column]) -> _Read:
    """Read a master with those of its columns that the account shows."""
    while True:
        try:
            proof = await extraction.read(
                master.table, None, master.label, columns, f"{master.source} x", master.where, "x.id",
                modified=master.modified if master.modified in columns else "",
            )  # fmt: skip
        except Rejected as error:
            fewer = shown(columns, master.optional, error)
            if fewer is None:
                raise
            columns = fewer
        else:
            return _Read(proof, columns)


async def _list(extraction: Extraction, name: str) -> Proof:
    """Read a custom list, or the values of a segment."""
    table = _reference_table(name)
    expressions = {
        "id": "id",
        "name": table.name,
        "externalid": table.external_id,
        "number": table.number,
        "isinactive": "isinactive",
    }
    columns = {
        column: Column(f"x.{expression}", LIST_COLUMNS[column].kind)
        for column, expression in expressions.items()
        if expression
    }
    return await extraction.read(
        "lists", name, f"values of the list {name}", columns, f"{table.table} x", "", "x.id"
    )


def _reference_table(name: str) -> ReferenceTable:
    """The SuiteQL table behind a lookup's list; `cseg_x` are the values of that segment."""
    if name.startswith("customlist_"):
        return ReferenceTable(name, name, "name")
    return reference(f"customrecord_{name}" if name.startswith("cseg_") else name)


# Landing


def _land(warehouse: TenantWarehouse, master: Master, read: _Read, now: datetime) -> Slice:
    columns = [f"{_value(name, column, read)} AS {quote(name)}" for name, column in master.columns.items()]
    if "currency_id" in master.columns:
        columns.append(f"{_SYMBOL} AS currency")
    return warehouse.replace_slice(
        f"netsuite.{master.table}",
        None,
        f"SELECT {', '.join(columns)} FROM netsuite_rows.{master.table} r",
        key=("internal_id",),
        expected_rows=read.proof.after.rows,
        source="NetSuite",
        now=now,
    )


def _value(name: str, column: Column, read: _Read) -> str:
    """A landed value. NetSuite leaves an empty value out, and a box that was never ticked is one."""
    if name not in read.columns:
        return f"NULL::{duckdb_type(column.kind)}"
    return f"coalesce(r.{quote(name)}, false)" if column.kind == _FLAG else f"r.{quote(name)}"


def _land_reference(
    warehouse: TenantWarehouse,
    mapping: TenantMapping,
    found: Mapping[str, _Read | Hidden],
    lists: Sequence[asyncio.Task[Proof]],
    now: datetime,
) -> Slice:
    parts = [
        "SELECT r.scope AS list, r.id AS internal_id, r.externalid AS external_id, r.name,"
        " coalesce(r.number, r.name) AS number, NULL::VARCHAR AS subsidiary, NULL::VARCHAR AS currency,"
        " coalesce(r.isinactive, false) AS is_inactive FROM netsuite_rows.lists r"
    ]
    rows = sum(task.result().after.rows for task in lists)
    for master in MASTERS:
        read = found[master.table]
        if isinstance(read, _Read) and master.look_up in mapping.lists | {CURRENCIES.look_up}:
            rows += read.proof.after.rows
            parts.append(_looked_up(master, read))
    return warehouse.replace_slice(
        "netsuite.reference",
        None,
        " UNION ALL ".join(parts),
        key=("list", "internal_id"),
        expected_rows=rows,
        source="NetSuite",
        now=now,
    )


def _looked_up(master: Master, read: _Read) -> str:
    """A master's rows of `netsuite.reference`."""

    def of(name: str) -> str:
        return f"r.{name}" if name in read.columns else "NULL::VARCHAR"

    symbol = _SYMBOL if "currency_id" in read.columns else of("symbol")
    inactive = f"coalesce({of('is_inactive')}::BOOLEAN, false)"
    return (
        f"SELECT {quoted(master.look_up)} AS list, r.internal_id, {of(master.external_id)} AS external_id,"
        f" r.{master.name} AS name, coalesce({of(master.number)}, r.{master.name}) AS number,"
        f" {of('subsidiary')} AS subsidiary, {symbol} AS currency, {inactive} AS is_inactive"
        f" FROM netsuite_rows.{master.table} r"
    )


# Subsidiaries out of sight


def _check_subsidiaries(warehouse: TenantWarehouse, mapping: TenantMapping) -> None:
    rows = warehouse.sql(
        "SELECT internal_id, name, full_name FROM netsuite_rows.subsidiaries ORDER BY internal_id::BIGINT"
    )
    listed = {str(part).strip().lower() for row in rows for part in row if part is not None}
    missing: dict[str, list[str]] = {}
    for value, where in _named_subsidiaries(mapping):
        if value.strip().lower() not in listed:
            missing.setdefault(value, []).append(where)
    if not missing:
        return
    names = "; ".join(f"'{value}' ({', '.join(dict.fromkeys(where))})" for value, where in missing.items())
    visible = ", ".join(f"{row[0]} {row[1]}" for row in rows)
    raise Incomplete(
        Failure(
            attempted="Read the subsidiaries",
            said=f"the role lists {count(len(rows), 'subsidiary', 'subsidiaries')} ({visible or 'none'}), and the"
            f" tenant's file names others: {names}",
            what_to_do="Give the role these subsidiaries (Setup > Users/Roles > Manage Roles > (the integration's role)"
            " > Subsidiary Restrictions), or correct the tenant's file. Nothing is read until then: documents of a"
            " subsidiary that the role does not see would count as missing, and be written a second time.",
        )
    )


def _named_subsidiaries(mapping: TenantMapping) -> Iterator[tuple[str, str]]:
    """The subsidiaries that the tenant's file names, by internal id or name, and where."""
    for rules in mapping.records.values():
        for rule in (*rules.rules, *rules.line_rules):
            if rule.field.list_name == SUBSIDIARIES.look_up:
                for value in (*(rule.value_map or {}).values(), rule.constant, rule.default):
                    if value is not None:
                        yield value, rule.field.where
