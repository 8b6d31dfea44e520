"""The proofs of what was read from NetSuite, for people: one line a set.

Here: what an asset's page shows of `meta.proofs`. Not here: how a set is proven (`resources/netsuite/sets.py`), or the record
of it (`rows.py`). Imports no Dagster.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from netsuite_assets.extract.rows import PROOFS
from netsuite_assets.tell import count
from resources.netsuite.pages import shortened
from resources.warehouse import WHOLE, TenantWarehouse

HEADINGS: Final = (
    "Set",
    ">Counted before",
    ">Counted after",
    ">Distinct keys",
    "Least and greatest key",
    "Sums",
    "Latest change",
    "What was read",
    "Query (whole: `proofs` in the published file)",
)


def told(warehouse: TenantWarehouse, tables: Sequence[str], period: str) -> list[list[object]]:
    """What proves these tables (`netsuite.<name>`) complete, of a month and of the whole account, a row a set."""
    warehouse.ensure_table("meta.proofs", PROOFS)
    names = [table.rpartition(".")[2] for table in tables]
    rows = warehouse.sql(
        """SELECT name, rows_before, rows, distinct_keys, low, high, sums, last_modified, time_zone, unsettled_since,
            unchanged, rows_read, pages, looks, query
        FROM meta.proofs WHERE list_contains(?::VARCHAR[], table_name) AND period IN (?, ?)
        ORDER BY list_position(?::VARCHAR[], table_name), scope""",
        [names, period, WHOLE, names],
    )
    return [
        [
            name, before, after, keys, _keys(low, high), _sums(sums), _changed(modified, zone, since),
            _read(unchanged, read, pages, looks), f"`{shortened(query)}`",
        ]
        for name, before, after, keys, low, high, sums, modified, zone, since, unchanged, read, pages, looks, query in rows
    ]  # fmt: skip


def _keys(low: int | None, high: int | None) -> str:
    # Keys are ids: without thousands separators, as NetSuite shows them.
    return "" if low is None else f"{low} to {high}"


def _sums(printed: str) -> str:
    return "; ".join(f"{name} {total or 'none'}" for name, total in json.loads(printed).items())


def _changed(modified: str | None, zone: str | None, since: str | None) -> str:
    if modified is None:
        return "not told"
    young = f"; rows changed since {since} are read again next time" if since is not None else ""
    return f"{modified}{f' ({zone})' if zone else ''}{young}"


def _read(unchanged: bool, rows: int, pages: int, looks: int) -> str:
    if unchanged:
        return "nothing: unchanged"
    return f"{count(rows, 'row')} in {count(pages, 'page')}, {count(looks, 'look')}"
