"""Who changed and who deleted what in NetSuite: system notes of a month's documents, and the deleted records.

Here: which documents' notes are read, and how they land (`netsuite.system_notes`, `netsuite.deleted_records`). Not here:
what a change means for the reconciliation. Imports no Dagster.

Notes are many (one a field and change), so they are read for documents that changed and no others: a document's notes are
read again when its time of change is another than the one at which they were read last. They are read from the first day
of the month on, of at most `MOST` documents a look, the latest changes first; what is left follows with the next looks.
Notes before the month are not read: they tell how a document came to be, not what became of it since it was billed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa

from netsuite_assets.extract.billing import month_bounds
from netsuite_assets.extract.rows import Column, Extraction
from netsuite_assets.extract.visibility import Hidden, if_visible, note
from netsuite_assets.tell import count
from resources.netsuite.client import NetSuite
from resources.netsuite.sets import Proof
from resources.netsuite.suiteql import in_lists, literal
from resources.warehouse import WHOLE, Slice, TenantWarehouse
from resources.warehouse import literal as quoted

NOTES: Final = "netsuite.system_notes"
DELETED: Final = "netsuite.deleted_records"
COVERED: Final = "meta.notes_covered"

SYSTEM_NOTES: Final = {
    "period": "VARCHAR",
    "record": "VARCHAR",
    "internal_id": "VARCHAR",
    "number": "VARCHAR",
    "note_no": "BIGINT",
    "changed_at": "TIMESTAMP",
    "time_zone": "VARCHAR",
    "changed_by": "VARCHAR",
    "changed_by_id": "VARCHAR",
    "role": "VARCHAR",
    "context": "VARCHAR",
    "field": "VARCHAR",
    "old_value": "VARCHAR",
    "new_value": "VARCHAR",
}
"""One row a field that was changed. `changed_at` is local time of the account, in `time_zone`; `note_no` counts a record's
notes in the order of time, for NetSuite's have no key; `role` is an internal id.
"""

DELETED_RECORDS: Final = {
    "record_type": "VARCHAR",
    "script_id": "VARCHAR",
    "type_id": "VARCHAR",
    "internal_id": "VARCHAR",
    "name": "VARCHAR",
    "deleted_at": "TIMESTAMP",
    "time_zone": "VARCHAR",
    "deleted_by": "VARCHAR",
    "context": "VARCHAR",
}
"""`deleted_at` is local time of the account, in `time_zone`."""

NOTES_COVERED: Final = {
    "period": "VARCHAR",
    "record": "VARCHAR",
    "internal_id": "VARCHAR",
    "last_modified": "VARCHAR",
    "content": "VARCHAR",
}
"""The change up to which a document's notes are held: its time, and what the document's own row said (a hash), for
NetSuite tells the time in whole seconds and a second change may fall into the same one."""

#: Where the documents of each type land; a month's notes are of those that have landed.
DOCUMENTS: Final = {
    "invoice": "invoices",
    "creditMemo": "credit_memos",
    "customerPayment": "payments",
    "journalEntry": "journals",
}

#: The documents whose notes one look reads.
MOST: Final = 20_000
_IN_ONE_SET: Final = 1_000

_TEXT = pa.string()
NOTE_COLUMNS: Final = {
    "recordid": Column("n.recordid", _TEXT),
    "changed_at": Column("TO_CHAR(n.date, 'YYYY-MM-DD HH24:MI:SS')", pa.timestamp("us")),
    "changed_by": Column("BUILTIN.DF(n.name)", _TEXT),
    "changed_by_id": Column("n.name", _TEXT),
    "role": Column("n.role", _TEXT),
    "context": Column("n.context", _TEXT),
    "field": Column("n.field", _TEXT),
    "old_value": Column("n.oldvalue", _TEXT),
    "new_value": Column("n.newvalue", _TEXT),
}
DELETED_COLUMNS: Final = {
    "recordid": Column("d.recordid", _TEXT),
    "recordtypeid": Column("d.recordtypeid", _TEXT),
    "scriptid": Column("d.scriptid", _TEXT),
    "type": Column("d.type", _TEXT),
    "name": Column("d.name", _TEXT),
    "deletedby": Column("BUILTIN.DF(d.deletedby)", _TEXT),
    "deletedby_id": Column("d.deletedby", _TEXT),
    "context": Column("d.context", _TEXT),
    "deleted": Column("TO_CHAR(d.deleteddate, 'YYYY-MM-DD HH24:MI:SS')", _TEXT),
}

# The number by which notes name transactions. No document of Oracle's says so; several integrations in production do.
_TRANSACTION: Final = "n.recordtypeid = -30"

#: How many documents a warning names.
_SHOWN: Final = 5


@dataclass(frozen=True)
class Trails:
    """What a look brought. `looked_at` documents had changed; `warnings` are for people."""

    slices: dict[str, Slice]
    looked_at: int
    warnings: tuple[str, ...]


async def extract_trails(
    warehouse: TenantWarehouse, netsuite: NetSuite, period: str, now: datetime, *, most: int = MOST
) -> Trails:
    """Bring a month's system notes and the account's deleted records up to date.

    The month's documents must have landed before. What the role does not see stays as it is, with the reason in
    `meta.not_visible`. Deleted records are those since the first month that is held of any document.
    """
    extraction = Extraction(warehouse, netsuite, lambda: now)
    for table, columns in ((NOTES, SYSTEM_NOTES), (DELETED, DELETED_RECORDS), (COVERED, NOTES_COVERED)):
        warehouse.ensure_table(table, columns)
    extraction.prepare("system_notes", NOTE_COLUMNS)
    extraction.prepare("deleted_records", DELETED_COLUMNS)
    with extraction.transaction():
        changed = _changed(warehouse, period)
        looked_at = changed[:most]
        proofs = await if_visible(_read_notes(extraction, period, looked_at))
        deleted = await if_visible(_read_deleted(extraction, period))
        hidden = {
            NOTES: proofs if isinstance(proofs, Hidden) else None,
            DELETED: deleted if isinstance(deleted, Hidden) else None,
        }
        note(warehouse, hidden, now)
        slices, warnings = {}, []
        if not isinstance(proofs, Hidden):
            slices[NOTES] = _land_notes(warehouse, period, looked_at, proofs, now)
            extraction.forget_but("system_notes", [], like=f"{period} look %")
            warnings += _warnings(warehouse, period, looked_at, len(changed) - len(looked_at))
        if not isinstance(deleted, Hidden):
            slices[DELETED] = _land_deleted(warehouse, deleted, now)
        return Trails(slices, len(looked_at), tuple(warnings))


# System notes


def _documents(warehouse: TenantWarehouse, period: str) -> str:
    """SQL for the documents of a month that have landed: record, internal_id, number, last_modified, content."""
    parts = [
        f"SELECT {quoted(record)} AS record, internal_id, number, last_modified, hash(d)::VARCHAR AS content"
        f" FROM netsuite.{table} d WHERE period = {quoted(period)}"
        for record, table in DOCUMENTS.items()
        if warehouse.slice(f"netsuite.{table}", period) is not None
    ]
    nothing = ", ".join(f"NULL::VARCHAR AS {name}" for name in (*NOTES_COVERED, "number") if name != "period")
    return " UNION ALL ".join(parts) or f"SELECT {nothing} WHERE false"


def _changed(warehouse: TenantWarehouse, period: str) -> list[str]:
    """Internal ids of the documents that changed since their notes were read, the latest change first."""
    rows = warehouse.sql(
        f"""SELECT d.internal_id FROM ({_documents(warehouse, period)}) d
        LEFT JOIN {COVERED} c ON c.period = ? AND c.record = d.record AND c.internal_id = d.internal_id
        WHERE (d.last_modified, d.content) IS DISTINCT FROM (c.last_modified, c.content)
        ORDER BY d.last_modified DESC, d.internal_id::BIGINT DESC""",
        [period],
    )
    return [str(row[0]) for row in rows]


async def _read_notes(extraction: Extraction, period: str, ids: Sequence[str]) -> list[Proof]:
    start, _ = month_bounds(period)
    since = f"{_TRANSACTION} AND n.date >= {literal(start)}"
    sets = list(in_lists("n.recordid", [int(one) for one in ids], _IN_ONE_SET))

    async def read(number: int) -> Proof:
        return await extraction.read(
            "system_notes", f"{period} look {number}", f"system notes of documents of {period}", NOTE_COLUMNS,
            "systemnote n", f"{since} AND {sets[number]}", "n.recordid", unique=False,
        )  # fmt: skip

    if not sets:
        return []
    # The first one alone: where the role does not see them, one refusal is enough.
    first = await read(0)
    async with asyncio.TaskGroup() as group:
        others = [group.create_task(read(number)) for number in range(1, len(sets))]
    return [first, *(task.result() for task in others)]


def _land_notes(
    warehouse: TenantWarehouse,
    period: str,
    looked_at: Sequence[str],
    proofs: Sequence[Proof],
    now: datetime,
) -> Slice:
    """Replace the notes of the documents that were looked at. Those of documents that are gone are kept."""
    execute = warehouse.connection.execute
    documents = _documents(warehouse, period)
    for table in (NOTES, COVERED):
        execute(
            f"DELETE FROM {table} WHERE period = ? AND internal_id IN (SELECT unnest(?::VARCHAR[]))",
            [period, list(looked_at)],
        )
    kept = warehouse.value(f"SELECT count(*) FROM {NOTES} WHERE period = ?", [period])
    execute(
        f"""INSERT INTO {NOTES} BY NAME
        SELECT ? AS period, d.record, r.recordid AS internal_id, d.number,
            row_number() OVER (PARTITION BY r.recordid ORDER BY r.changed_at, r.field, r.old_value, r.new_value) AS note_no,
            r.changed_at, p.time_zone, coalesce(r.changed_by, r.changed_by_id) AS changed_by, r.changed_by_id,
            r.role, r.context, r.field, r.old_value, r.new_value
        FROM netsuite_rows.system_notes r JOIN ({documents}) d ON d.internal_id = r.recordid
        JOIN meta.proofs p ON p.table_name = 'system_notes' AND p.scope = r.scope
        WHERE r.scope LIKE ?""",
        [period, f"{period} look %"],
    )
    execute(
        f"INSERT INTO {COVERED} BY NAME SELECT ? AS period, d.record, d.internal_id, d.last_modified, d.content"
        f" FROM ({documents}) d WHERE d.internal_id IN (SELECT unnest(?::VARCHAR[]))",
        [period, list(looked_at)],
    )
    return warehouse.record_slice(
        NOTES,
        period,
        key=("record", "internal_id", "note_no"),
        expected_rows=int(kept) + sum(proof.after.rows for proof in proofs),
        source="NetSuite",
        now=now,
    )


def _warnings(warehouse: TenantWarehouse, period: str, looked_at: Sequence[str], waiting: int) -> list[str]:
    """What a person should know: changes without a note, and documents whose notes are not read yet."""
    start, _ = month_bounds(period)
    silent = warehouse.sql(
        f"""SELECT coalesce(d.number, d.internal_id) FROM ({_documents(warehouse, period)}) d
        WHERE d.internal_id IN (SELECT unnest(?::VARCHAR[])) AND d.last_modified >= ?
        AND NOT EXISTS (SELECT 1 FROM {NOTES} n WHERE n.period = ? AND n.internal_id = d.internal_id)
        ORDER BY d.last_modified DESC, 1""",
        [list(looked_at), start.isoformat(), period],
    )
    warnings = []
    if silent:
        names = ", ".join(row[0] for row in silent[:_SHOWN]) + (" …" if len(silent) > _SHOWN else "")
        warnings.append(
            f"{count(len(silent), 'document')} changed in the month and shows no system note: {names}. Either the change"
            " left none, or the role sees its own changes alone: the permission 'System Notes' (Lists, level View)"
            " shows those of everyone."
        )
    if waiting:
        warnings.append(
            f"The notes of {count(waiting, 'document')} are not read yet; the next runs read them."
        )
    return warnings


# Deleted records


async def _read_deleted(extraction: Extraction, period: str) -> Proof:
    """All that was deleted since the first month that is held. A deletion never changes, so that its time is its last change."""
    first = extraction.warehouse.value(
        "SELECT coalesce(min(period), ?) FROM meta.slices WHERE table_name LIKE 'netsuite.%' AND period <> ?",
        [period, WHOLE],
    )
    start, _ = month_bounds(min(first, period))
    return await extraction.read(
        "deleted_records", None, f"records deleted since {start}", DELETED_COLUMNS, "deletedrecord d",
        f"d.deleteddate >= {literal(start)}", "d.recordid", unique=False, modified="deleted",
    )  # fmt: skip


def _land_deleted(warehouse: TenantWarehouse, proof: Proof, now: datetime) -> Slice:
    return warehouse.replace_slice(
        DELETED,
        None,
        """SELECT r.type AS record_type, r.scriptid AS script_id, r.recordtypeid AS type_id, r.recordid AS internal_id,
            r.name, r.deleted::TIMESTAMP AS deleted_at, p.time_zone, coalesce(r.deletedby, r.deletedby_id) AS deleted_by,
            r.context
        FROM netsuite_rows.deleted_records r
        JOIN meta.proofs p ON p.table_name = 'deleted_records' AND p.scope = r.scope""",
        key=("internal_id", "type_id", "script_id"),
        expected_rows=proof.after.rows,
        source="NetSuite",
        now=now,
    )
