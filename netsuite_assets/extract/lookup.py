"""Looking records up in NetSuite as they are at this moment: by external id, by internal id; and its open months.

Here: the small questions that are asked just before and after a write. Not here: landing slices (`netsuite.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from resources.netsuite.client import NetSuite
from resources.netsuite.errors import NotFound
from resources.netsuite.records import record as record_type
from resources.netsuite.suiteql import in_lists
from resources.netsuite.writes import eid

_CLOSED = """
SELECT TO_CHAR(startdate, 'YYYY-MM') AS month, closed
FROM accountingperiod
WHERE isquarter = 'F' AND isyear = 'F' AND isadjust = 'F'
  AND (closed = 'T' OR arlocked = 'T' OR alllocked = 'T')
  AND startdate >= TO_DATE('{start}', 'YYYY-MM-DD') AND startdate <= TO_DATE('{end}', 'YYYY-MM-DD')
ORDER BY startdate
"""


@dataclass(frozen=True)
class Found:
    """A record that NetSuite holds: its internal id and its last change, in the account's time."""

    internal_id: str
    last_modified: str | None


async def find_by_external_id(
    netsuite: NetSuite, record: str, external_ids: Sequence[str], *, confirm: bool = False
) -> dict[str, Found]:
    """Which of these external ids NetSuite holds, asked in sets.

    `confirm` reads each one that the set does not show from the record service, which knows a write as soon as it
    is done: SuiteQL may lag behind.
    """
    found = await _find(netsuite, record, "externalid", external_ids)
    if confirm:
        absent = [external_id for external_id in external_ids if external_id not in found]
        read = await asyncio.gather(*(_read(netsuite, record, external_id) for external_id in absent))
        found.update({there[0]: there[1] for there in read if there is not None})
    return found


async def find_by_internal_id(
    netsuite: NetSuite, record: str, internal_ids: Sequence[str]
) -> dict[str, Found]:
    """Which of these internal ids NetSuite holds, asked in sets."""
    return await _find(netsuite, record, "id", internal_ids)


async def closed_months(netsuite: NetSuite, start: str, end: str) -> dict[str, str]:
    """The months from `start` to `end` (YYYY-MM) that take no postings, and why, as NetSuite has them now."""
    rows = await netsuite.suiteql_rows(_CLOSED.format(start=f"{start}-01", end=f"{end}-01"))
    return {row["month"]: "closed" if row.get("closed") == "T" else "locked for receivables" for row in rows}


async def _find(netsuite: NetSuite, record: str, column: str, values: Sequence[str]) -> dict[str, Found]:
    kind = record_type(record)
    table, where = (
        ("customer", "") if kind.type_code is None else ("transaction", f"type = '{kind.type_code}' AND ")
    )
    keys: Sequence[str | int] = [int(value) for value in values] if column == "id" else values
    pages = await asyncio.gather(
        *(
            netsuite.suiteql_rows(
                f"SELECT id, externalid, TO_CHAR(lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') AS lastmodified"
                f" FROM {table} WHERE {where}{condition} ORDER BY id"
            )
            for condition in in_lists(column, keys)
        )
    )
    return {
        row[column]: Found(row["id"], row.get("lastmodified"))
        for rows in pages
        for row in rows
        if row.get(column) is not None
    }


async def _read(netsuite: NetSuite, record: str, external_id: str) -> tuple[str, Found] | None:
    try:
        content = await netsuite.get(record, eid(external_id))
    except NotFound:
        return None
    return external_id, Found(str(content["id"]), None)
