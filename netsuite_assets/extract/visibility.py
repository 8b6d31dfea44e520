"""What the role does not see of the account: tables and columns that nothing needs, left empty with the reason.

Here: telling such an answer from a failure, and keeping the reason (`meta.not_visible`) for the assets' pages. Not here:
rows out of sight within a table that the role does see (`sight.py`). Imports no Dagster.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from netsuite_assets.extract.rows import Column
from resources.netsuite.errors import PermissionDenied, Rejected
from resources.warehouse import WHOLE, TenantWarehouse

T = TypeVar("T")

TABLE: Final = "meta.not_visible"

NOT_VISIBLE: Final[Mapping[str, str]] = {
    "table_name": "VARCHAR",
    "why": "VARCHAR",
    "said": "VARCHAR",
    "next_step": "VARCHAR",
    "seen_at": "TIMESTAMPTZ",
}

_NO_TABLE: Final = re.compile(r"Invalid search type")
_NO_COLUMN: Final = re.compile(r"Unknown identifier '(?:\w+\.)?(?P<a>\w+)'|Field '(?P<b>\w+)'")


@dataclass(frozen=True, slots=True)
class Hidden:
    """Why a table stays empty: in plain words, in NetSuite's own, and what would change it.

    `is_absent` tells that the account has no such table (its feature is off), whatever the role may.
    """

    why: str
    said: str
    next_step: str
    is_absent: bool = False


async def if_visible(reading: Awaitable[T]) -> T | Hidden:
    """What `reading` gives, or why the role does not get it; any other failure is raised."""
    try:
        return await reading
    except PermissionDenied as error:
        return Hidden("the role does not see it", error.said, error.what_to_do)
    except Rejected as error:
        if not _NO_TABLE.search(error.said):
            raise
        step = "Nothing, where the account does not use the feature (Setup > Company > Enable Features)."
        return Hidden("the account has no such table", error.said, step, is_absent=True)


def shown(
    columns: Mapping[str, Column], optional: Sequence[str], error: Rejected
) -> Mapping[str, Column] | None:
    """The columns without the optional one that the account does not have or the role does not see.

    None where `error` is about something else, or about a column that is needed.
    """
    found = _NO_COLUMN.search(error.said)
    if found is None:
        return None
    hidden = re.compile(rf"\b{found['a'] or found['b']}\b", re.IGNORECASE)
    gone = [name for name in optional if name in columns and hidden.search(columns[name].expression)]
    return {name: column for name, column in columns.items() if name not in gone} if gone else None


def note(warehouse: TenantWarehouse, tables: Mapping[str, Hidden | None], now: datetime) -> None:
    """Keep for each table (`netsuite.<name>`) why it stays empty; None tells that it was read."""
    warehouse.ensure_table(TABLE, NOT_VISIBLE)
    for table, hidden in tables.items():
        warehouse.connection.execute(f"DELETE FROM {TABLE} WHERE table_name = ?", [table])
        if hidden is not None:
            warehouse.connection.execute(
                f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?, ?)",
                [table, hidden.why, hidden.said, hidden.next_step, now],
            )


def leave_empty(warehouse: TenantWarehouse, table: str, period: str | None = None) -> None:
    """Drop what a table (or a month of it) holds and its proof: what cannot be seen is not proven to be empty."""
    where, at = ("", []) if period is None else (" WHERE period = ?", [period])
    warehouse.connection.execute(f"DELETE FROM {table}{where}", at)
    warehouse.connection.execute(
        "DELETE FROM meta.slices WHERE table_name = ? AND period = ?", [table, period or WHOLE]
    )


def not_visible(warehouse: TenantWarehouse, tables: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Of these tables, those that stay empty: table, why, NetSuite's words, what to do."""
    warehouse.ensure_table(TABLE, NOT_VISIBLE)
    rows = warehouse.sql(
        f"SELECT table_name, why, said, next_step FROM {TABLE} WHERE list_contains(?::VARCHAR[], table_name)"
        " ORDER BY table_name",
        [list(tables)],
    )
    return [(str(row[0]), str(row[1]), str(row[2]), str(row[3])) for row in rows]
