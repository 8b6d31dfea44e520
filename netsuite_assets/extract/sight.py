"""Records that were there and are not shown any more: deleted, dated elsewhere, or out of the role's sight.

Here: finding them after a slice was read anew, asking NetSuite what became of them, and refusing a slice of which the role
does not see a part. Not here: tables that the role does not see at all (`visibility.py`). Imports no Dagster.

NetSuite leaves records that a role may not see out of every answer and every count, without a word. What tells them is
memory: the slice held before, and the ledger, which knows what we wrote and read back.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

import pyarrow as pa

from netsuite_assets.extract.rows import Extraction
from netsuite_assets.extract.visibility import Hidden, if_visible
from netsuite_assets.tables import TABLES
from netsuite_assets.tell import count, money, moneys, plural
from resources.ledger.intents import Written
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import Failure, Incomplete
from resources.netsuite.records import record as record_type
from resources.netsuite.suiteql import in_lists
from resources.warehouse import TenantWarehouse

TABLE: Final = "netsuite.gone"

GONE: Final[Mapping[str, str]] = {
    "period": "VARCHAR",
    "record": "VARCHAR",
    "internal_id": "VARCHAR",
    "external_id": "VARCHAR",
    "number": "VARCHAR",
    "name": "VARCHAR",
    "currency": "VARCHAR",
    "total": "DECIMAL(18,4)",
    "explanation": "VARCHAR",
    "detail": "VARCHAR",
    "noticed_at": "TIMESTAMPTZ",
}
"""`explanation` is `deleted`, `elsewhere` (another date or type now), `untold` (the role may not read what was deleted) or
`accepted` (a person said so). `period` is empty for customers.
"""

_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name, kind in GONE.items() if kind == "VARCHAR"),
        ("total", pa.decimal128(18, 4)),
        ("noticed_at", pa.timestamp("us", "UTC")),
    ]
)

ROLE: Final = "Setup > Users/Roles > Manage Roles > (the integration's role)"

_SHOWN: Final = 10
# NetSuite names the type of a deleted record by script id, by number and by title; no source says which is always given.
_NUMBERS: Final = {"customer": "-9"}
_TRANSACTIONS: Final = "-30"


@dataclass(frozen=True)
class Reread:
    """What was read anew: one record type, of a month or (`period` None) of the whole account.

    `table` is where it landed before; `present` is SQL that gives the internal ids of the rows read now.
    """

    record: str
    table: str
    period: str | None
    present: str

    @property
    def title(self) -> str:
        """For people: `invoices of 2026-10`."""
        return f"{plural(TABLES[self.record].label)}{f' of {self.period}' if self.period else ''}"


@dataclass(frozen=True)
class _Record:
    internal_id: str
    external_id: str | None
    number: str | None
    name: str | None
    currency: str | None
    total: Decimal | None
    explanation: str = ""
    detail: str = ""

    def __str__(self) -> str:
        number = self.number or self.external_id or f"internal id {self.internal_id}"
        of = f" of {self.name}" if self.name else ""
        return f"{number}{of}{'' if self.total is None else f' over {money(self.total, self.currency)}'}"


async def account_for_gone(
    extraction: Extraction, read: Reread, written: Sequence[Written] = (), accepted_by: str = ""
) -> None:
    """Explain every record that was there before and was not read now; call before the new slice replaces the old one.

    `written` is what the ledger knows of the record type. Raises `Incomplete` naming the records that the role does not
    see; roll back then, so that the old slice stays. Where the role may not read deleted records the two cannot be told
    apart: they are kept in `netsuite.gone` as `untold`, and asked for again each time. `accepted_by` names a person who
    says that all of them are gone for good. Asks nothing where nothing is gone.
    """
    warehouse = extraction.warehouse
    gone = _gone(warehouse, read, written)
    deleted_by_us = {one.internal_id for one in written if one.is_deleted}
    explained = [
        replace(one, explanation="deleted", detail="by this project")
        for one in gone
        if one.internal_id in deleted_by_us
    ]
    unexplained = [one for one in gone if one.internal_id not in deleted_by_us]
    hidden: Hidden | None = None
    if unexplained:
        moved = await _moved(extraction.netsuite, read, [one.internal_id for one in unexplained])
        back = [one for one in unexplained if moved.get(one.internal_id) == ""]
        if back:
            raise _restless(read, back)
        deleted = await if_visible(
            _deleted(
                extraction.netsuite, read, [o.internal_id for o in unexplained if o.internal_id not in moved]
            )
        )
        hidden, told = (deleted, {}) if isinstance(deleted, Hidden) else (None, deleted)
        found = [_explained(one, moved, told) for one in unexplained]
        left = [one for one in found if not one.explanation]
        explained += [one for one in found if one.explanation]
        if left and accepted_by:
            detail = f"{accepted_by} says that it is gone for good"
            explained += [replace(one, explanation="accepted", detail=detail) for one in left]
        elif left and hidden is None:
            raise _out_of_sight(read, left)
        elif left and hidden is not None:
            explained += [replace(one, explanation="untold", detail=hidden.next_step) for one in left]
    _keep(warehouse, read, explained, extraction.clock())


def untold(warehouse: TenantWarehouse, record: str, period: str | None) -> str | None:
    """The warning for records of a type of which nobody can tell whether they were deleted or are out of sight."""
    found = _kept(warehouse, record, period, "untold")
    if not found:
        return None
    return (
        f"{_told(record, found)}: there before and not shown now. The role may not read what was deleted, so that"
        f" nobody can tell whether this is gone or out of its sight. {found[0].detail}"
    )


def explained(warehouse: TenantWarehouse, record: str, period: str | None) -> list[tuple[str, str, str]]:
    """The records of a type that are not shown any more: the record in words, why, and more about it; latest first."""
    return [(str(one), one.explanation, one.detail) for one in _kept(warehouse, record, period)]


def _kept(warehouse: TenantWarehouse, record: str, period: str | None, only: str = "") -> list[_Record]:
    warehouse.ensure_table(TABLE, GONE)
    rows = warehouse.sql(
        f"SELECT internal_id, external_id, number, name, currency, total, explanation, detail FROM {TABLE}"
        " WHERE record = ? AND period IS NOT DISTINCT FROM ? AND ? IN ('', explanation)"
        " ORDER BY noticed_at DESC, number, internal_id",
        [record, period, only],
    )
    return [_Record(*row) for row in rows]


# What is gone


def _gone(warehouse: TenantWarehouse, read: Reread, written: Sequence[Written]) -> list[_Record]:
    """What is known to have been there, was not read now, and is not accounted for yet; by internal id."""
    warehouse.ensure_table(TABLE, GONE)
    of = "record = $record AND period IS NOT DISTINCT FROM $period"
    parameters = {"record": read.record, "period": read.period}
    columns = "internal_id, external_id, number, name, currency, total"
    accounted = (
        f"(SELECT internal_id FROM {TABLE} WHERE {of} AND explanation IN ('deleted', 'accepted')"
        f" UNION ALL {read.present}) a"
    )
    written_there = {
        one.internal_id: _Record(one.internal_id, one.external_id, one.number, one.name, None, None)
        for one in written
        if not one.is_deleted and read.period in (None, one.period)
    }
    connection = warehouse.connection
    missed = connection.execute(
        f"SELECT w.internal_id FROM (SELECT unnest($ids::VARCHAR[]) AS internal_id) w"
        f" ANTI JOIN {accounted} ON a.internal_id = w.internal_id",
        parameters | {"ids": list(written_there)},
    ).fetchall()
    held = connection.execute(
        f"SELECT k.* FROM (SELECT {columns} FROM {TABLE} WHERE {of} AND explanation = 'untold' UNION ALL"
        f" SELECT {columns} FROM {read.table} WHERE period IS NOT DISTINCT FROM $period) k"
        f" ANTI JOIN {accounted} ON a.internal_id = k.internal_id",
        parameters,
    ).fetchall()
    gone = {row[0]: written_there[row[0]] for row in missed} | {row[0]: _Record(*row) for row in held}
    return [gone[key] for key in sorted(gone, key=lambda key: (len(key), key))]


def _keep(warehouse: TenantWarehouse, read: Reread, records: Sequence[_Record], now: datetime) -> None:
    """Keep the new explanations. What is settled stays; what may change is told anew each time."""
    warehouse.connection.execute(
        f"DELETE FROM {TABLE} WHERE record = ? AND period IS NOT DISTINCT FROM ?"
        " AND explanation NOT IN ('deleted', 'accepted')",
        [read.record, read.period],
    )
    if records:
        kept = {"period": read.period, "record": read.record, "noticed_at": now}
        table = pa.Table.from_pylist([vars(one) | kept for one in records], schema=_SCHEMA)
        warehouse.connection.register("gone_in", table)
        warehouse.connection.execute(f"INSERT INTO {TABLE} BY NAME SELECT * FROM gone_in")
        warehouse.connection.unregister("gone_in")


def _explained(one: _Record, moved: Mapping[str, str], deleted: Mapping[str, str]) -> _Record:
    if one.internal_id in moved:
        return replace(one, explanation="elsewhere", detail=moved[one.internal_id])
    if one.internal_id in deleted:
        return replace(one, explanation="deleted", detail=deleted[one.internal_id])
    return one


# What NetSuite says of it


async def _moved(netsuite: NetSuite, read: Reread, ids: Sequence[str]) -> dict[str, str]:
    """Which of these NetSuite still shows, and where; empty where nothing about them is other than before."""
    code = record_type(read.record).type_code
    if code is None:
        query = "SELECT c.id AS id FROM customer c WHERE {} ORDER BY c.id"
    else:
        query = (
            "SELECT t.id AS id, t.type AS type, TO_CHAR(t.trandate, 'YYYY-MM-DD') AS trandate FROM transaction t"
            " WHERE {} ORDER BY t.id"
        )
    found = {}
    for row in await _each(netsuite, query, "c.id" if code is None else "t.id", ids):
        detail = ""
        if row.get("type", code) != code:
            detail = f"it is of type {row.get('type')} now"
        elif read.period is not None and not row.get("trandate", "").startswith(read.period):
            detail = f"it is dated {row.get('trandate')} now"
        found[row["id"]] = detail
    return found


async def _deleted(netsuite: NetSuite, read: Reread, ids: Sequence[str]) -> dict[str, str]:
    """Which of these were deleted, and by whom and when."""
    query = (
        "SELECT d.recordid AS recordid, d.recordtypeid AS recordtypeid, d.scriptid AS scriptid, d.type AS type,"
        " NVL(BUILTIN.DF(d.deletedby), d.deletedby) AS deletedby, d.context AS context,"
        " TO_CHAR(d.deleteddate, 'YYYY-MM-DD HH24:MI:SS') AS deleteddate"
        " FROM deletedrecord d WHERE {} ORDER BY d.recordid, d.recordtypeid, d.scriptid"
    )
    found = {}
    for row in await _each(netsuite, query, "d.recordid", ids):
        if _is_of(read, row):
            who = f" by {row['deletedby']}" if "deletedby" in row else ""
            how = f" ({row['context']})" if "context" in row else ""
            found[row["recordid"]] = f"{row.get('deleteddate', '')}{who}{how}".strip()
    return found


def _is_of(read: Reread, row: Mapping[str, str]) -> bool:
    number = _NUMBERS.get(read.record, _TRANSACTIONS)
    names = {row.get(name, "").replace(" ", "").lower() for name in ("scriptid", "type")}
    return row.get("recordtypeid") == number or read.record.lower() in names


async def _each(netsuite: NetSuite, query: str, key: str, ids: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a query over any number of ids."""
    numbers = [int(one) for one in ids]
    pages = await asyncio.gather(
        *(_pages(netsuite, query.format(within)) for within in in_lists(key, numbers))
    )
    return [row for rows in pages for row in rows]


async def _pages(netsuite: NetSuite, query: str) -> list[dict[str, str]]:
    return [row async for page in netsuite.suiteql(query) for row in page.rows()]


# Refusals


def _out_of_sight(read: Reread, records: Sequence[_Record]) -> Incomplete:
    return Incomplete(
        Failure(
            attempted=f"Read all {read.title}",
            said=f"{_told(read.record, records)}: there before, not shown now, and not among the deleted records",
            what_to_do=f"The role does not see all of them any more: look at its Subsidiary Restrictions ({ROLE}) and at"
            " what was changed of it, then run again. The slice that was held before is kept. If they really are gone"
            " (the account was refreshed from another one), say so once: run this asset with accept_as_gone set to your"
            " name in its configuration.",
        )
    )


def _restless(read: Reread, records: Sequence[_Record]) -> Incomplete:
    return Incomplete(
        Failure(
            attempted=f"Read all {read.title}",
            said=f"{_told(read.record, records)}: missing from the set, and shown by internal id",
            what_to_do="It changed while it was read. The slice that was held before is kept: run again.",
        )
    )


def _told(record: str, records: Sequence[_Record]) -> str:
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for one in records:
        if one.total is not None:
            amounts[one.currency or "?"] += one.total
    together = f", together {moneys(amounts)}" if amounts else ""
    return f"{count(len(records), TABLES[record].label)}{together} ({', '.join(_names(records))})"


def _names(records: Sequence[_Record]) -> Iterator[str]:
    yield from map(str, records[:_SHOWN])
    if len(records) > _SHOWN:
        yield f"and {len(records) - _SHOWN:,} more"
