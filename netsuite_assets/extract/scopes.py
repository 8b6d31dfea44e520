"""The scopes that make a month of one record type, and that sets which belong together are of one moment.

Here: what is dated in a month, what billing has in the month and NetSuite dates elsewhere, and reading side by side
what must agree. Not here: the columns (`columns.py`), or how one set is read and proven (`rows.py`). Imports no Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from netsuite_assets.extract.billing import month_bounds
from netsuite_assets.extract.known_ids import ids_known_of
from netsuite_assets.mapping.compiler import RecordMapping
from netsuite_assets.tables import VOID_CREDITS
from resources.netsuite.client import NetSuite
from resources.netsuite.records import record as record_type
from resources.netsuite.sets import Census, Proof
from resources.netsuite.suiteql import in_lists, literal
from resources.warehouse import IncompleteSlice, TenantWarehouse, quote
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


#: A number that more documents of NetSuite's bear than these tells none of them apart.
_SAME_NUMBER: Final = 10


async def read_elsewhere(
    warehouse: TenantWarehouse,
    netsuite: NetSuite,
    rules: RecordMapping,
    name: str,
    period: str,
    read: Callable[[str, str], Awaitable[None]],
) -> list[str]:
    """Read what billing has in the month and the month's scope of `netsuite_rows.<name>` does not show: documents that
    NetSuite dates elsewhere. `read` is given a scope and its SuiteQL condition; the scopes.

    They are asked for by their external ids and, where somebody has taken these from them, by the internal ids that they
    had before and by their numbers: one that is not found here would be created a second time.
    """
    scopes: list[str] = []

    async def each(conditions: Iterator[str]) -> None:
        for where in conditions:
            scopes.append(f"{period} elsewhere {len(scopes) + 1}")
            await read(scopes[-1], where)

    absent = _absent(warehouse, rules, name, period, scopes)
    rows = warehouse.sql(f"SELECT e.external_id FROM {absent} ORDER BY 1")
    await each(in_lists("t.externalid", [row[0] for row in rows]))
    absent = _absent(warehouse, rules, name, period, scopes)
    if warehouse.value(f"SELECT count(*) FROM {absent}"):
        ids = set(ids_known_of(warehouse, rules.record, f"SELECT e.external_id FROM {absent}"))
        ids |= await _ids_by_number(warehouse, netsuite, rules, absent)
        held = f"SELECT d.id::BIGINT FROM netsuite_rows.{name} d WHERE {_within([period, *scopes])}"
        ids -= {row[0] for row in warehouse.sql(held)}
        await each(in_lists("t.id", sorted(ids)))
    return scopes


def _absent(
    warehouse: TenantWarehouse, rules: RecordMapping, name: str, period: str, scopes: Sequence[str]
) -> str:
    """SQL for the documents `e` that billing has in the month, or that take back what it has voided, and no record that was
    read has the external id of.
    """
    wanted = f"SELECT * FROM expected.{rules.tables.name} WHERE period = {quoted(period)}"
    if rules.record == "creditMemo" and warehouse.columns(VOID_CREDITS):
        wanted += (
            f" UNION ALL BY NAME SELECT external_id FROM {VOID_CREDITS}"
            f" WHERE period = {quoted(period)} AND left_because IS NULL"
        )
    return (
        f"(SELECT DISTINCT ON (external_id) * FROM ({wanted}) WHERE external_id IS NOT NULL) e"
        f" ANTI JOIN (SELECT d.externalid FROM netsuite_rows.{name} d WHERE {_within([period, *scopes])}) d"
        " ON d.externalid = e.external_id"
    )


def _within(scopes: Sequence[str]) -> str:
    return f"d.scope IN ({', '.join(map(quoted, scopes))})"


async def _ids_by_number(
    warehouse: TenantWarehouse, netsuite: NetSuite, rules: RecordMapping, absent: str
) -> set[int]:
    """The internal ids of the documents that bear the numbers of billing's that are absent."""
    field = next((one for one in rules.fields if one.name == rules.number_field), None)
    if field is None or not field.suiteql or field.kind != "text":
        return set()
    rows = warehouse.sql(
        f"SELECT DISTINCT e.{quote(field.column)} FROM {absent} WHERE e.{quote(field.column)} <> '' ORDER BY 1"
    )
    kind = record_type(rules.record)
    found: dict[str, set[int]] = defaultdict(set)
    for where in in_lists(field.suiteql, [row[0] for row in rows]):
        query = f"SELECT t.id AS id, {field.suiteql} AS number FROM {kind.source} WHERE {kind.where} AND {where} ORDER BY t.id"
        async for page in netsuite.suiteql(query):
            for row in page.rows():
                found[row["number"]].add(int(row["id"]))
    return {one for ids in found.values() if len(ids) <= _SAME_NUMBER for one in ids}


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
