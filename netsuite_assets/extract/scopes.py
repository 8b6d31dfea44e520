"""The scopes that make a month of one record type, and that sets which belong together are of one moment.

Here: what is dated in a month, what billing has in the month and NetSuite dates elsewhere, and reading side by side
what must agree. Not here: the columns (`columns.py`), or how one set is read and proven (`rows.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from netsuite_assets.extract.billing import month_bounds
from resources.netsuite.client import NetSuite
from resources.netsuite.sets import Census, Proof
from resources.netsuite.suiteql import in_lists, literal
from resources.warehouse import IncompleteSlice, TenantWarehouse
from resources.warehouse import literal as quoted

ATTEMPTS: Final = 3
"""How often sets that belong together are read again when one changes while another is read."""


def dated_in(column: str, period: str) -> str:
    """The SuiteQL condition that a date lies in a month."""
    start, end = month_bounds(period)
    return f"{column} >= {literal(start)} AND {column} < {literal(end)}"


def dated_outside(column: str, period: str) -> str:
    """The SuiteQL condition that a date lies in another month."""
    start, end = month_bounds(period)
    return f"({column} < {literal(start)} OR {column} >= {literal(end)})"


def held_in(period: str) -> str:
    """The condition that a held row `r` belongs to a month's scopes."""
    return f"(r.scope = {quoted(period)} OR r.scope LIKE {quoted(f'{period} elsewhere %')})"


def proven(warehouse: TenantWarehouse, table: str, period: str) -> int:
    """The rows that the proofs of a month's scopes count."""
    return int(
        warehouse.value(
            f"SELECT coalesce(sum(rows), 0) FROM meta.proofs r WHERE r.table_name = ? AND {held_in(period)}",
            [table],
        )
    )


def absent(warehouse: TenantWarehouse, expected: str, name: str, period: str) -> dict[str, str]:
    """What billing has in the month and `netsuite_rows.<name>` does not hold of it: a SuiteQL condition a scope.

    `expected` is the table in the schema of that name.
    """
    rows = warehouse.sql(
        f"SELECT e.external_id FROM expected.{expected} e WHERE e.period = ? AND e.external_id IS NOT NULL"
        f" AND NOT EXISTS (SELECT 1 FROM netsuite_rows.{name} d WHERE d.scope = e.period"
        " AND d.externalid = e.external_id) ORDER BY 1",
        [period],
    )
    lists = in_lists("t.externalid", [row[0] for row in rows])
    return {f"{period} elsewhere {number}": where for number, where in enumerate(lists, start=1)}


def held_documents(warehouse: TenantWarehouse, name: str, scope: str) -> str | None:
    """The SuiteQL condition for the transactions that a scope of at most 1,000 holds; None when it holds none."""
    ids = warehouse.sql(f"SELECT id::BIGINT FROM netsuite_rows.{name} WHERE scope = ? ORDER BY 1", [scope])
    return next(in_lists("t.id", [row[0] for row in ids]), None)


async def ask_permission(netsuite: NetSuite, record: str) -> None:
    """Ask by the record service whether the role may see records of a type of which a query shows none.

    A query leaves out what the role may not see without a word. Raises `PermissionDenied`, which names the permission.
    """
    await netsuite.fetch(
        f"/services/rest/record/v1/{record}", "limit=1", title=f"List {record} records", record=record
    )


Read = Callable[[], Awaitable[Sequence[Proof]]]
"""Brings one or several sets up to date."""


async def read_together(tenant: str, what: str, reads: Sequence[Read]) -> None:
    """Read sets that belong together until all that is held is of one moment; `what` is for people.

    They are read in turn. When all others are found as they are held after one of them was read, then at that moment
    they were so too. Where nothing changes, each is asked about once. Raises `IncompleteSlice`.
    """
    figures: dict[int, list[Census]] = {}
    unchanged = 0
    for asked in range(len(reads) * ATTEMPTS):
        number = asked % len(reads)
        proofs = await reads[number]()
        now = [proof.after for proof in proofs]
        # What changed a moment ago is read again in any case; that it has the same figures tells that it is the same.
        is_as_held = figures.get(number) == now or all(proof.unchanged for proof in proofs)
        figures[number] = now
        unchanged = unchanged + 1 if is_as_held else 0
        if asked + 1 >= len(reads) and unchanged >= len(reads) - 1:
            return
    raise IncompleteSlice(
        f"{tenant}: {what} changed each of the {ATTEMPTS} times that they were read, so that they are of different"
        " moments. Nothing of it is used. Run again when the other integration or the users that are writing have"
        " finished."
    )
