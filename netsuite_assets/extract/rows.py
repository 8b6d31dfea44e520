"""NetSuite's rows as SuiteQL gives them, typed and kept in `netsuite_rows`, each scope of a table proven complete.

Here: the tables that sets are read into, the figures of what is held, and the record of each proof (`meta.proofs`).
Not here: which sets there are (`netsuite.py` and its neighbours), or how one is read and proven
(`resources/netsuite/sets.py`). Imports no Dagster.

A *scope* is what one set fills: a month (`2026-10`), the whole table (`all`), or a month's documents that NetSuite
dates elsewhere (`2026-10 elsewhere 1`). What is held stays between runs, so that an unchanged scope costs one question.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from resources.netsuite.client import NetSuite
from resources.netsuite.sets import Census, Proof, RowSet, read_set
from resources.netsuite.suiteql import Select
from resources.warehouse import WHOLE, TenantWarehouse, duckdb_type, quote

INSERT_ROWS: Final = 20_000
"""Rows that are gathered for one INSERT: one each page would cost as much as reading the page."""

PROOFS: Final[Mapping[str, str]] = {
    "table_name": "VARCHAR",
    "scope": "VARCHAR",
    "rows": "BIGINT",
    "rows_before": "BIGINT",
    "distinct_keys": "BIGINT",
    "low": "BIGINT",
    "high": "BIGINT",
    "sums": "VARCHAR",
    "sums_before": "VARCHAR",
    "last_modified": "VARCHAR",
    "time_zone": "VARCHAR",
    "schema_hash": "VARCHAR",
    "query": "VARCHAR",
    "unchanged": "BOOLEAN",
    "rows_read": "BIGINT",
    "pages": "BIGINT",
    "looks": "BIGINT",
    "proven_at": "TIMESTAMPTZ",
}
"""`sums` and `sums_before` are JSON objects from column to sum as text; times of NetSuite's are in `time_zone`."""


@dataclass(frozen=True)
class Column:
    """One column of a SuiteQL set: its expression and the Arrow type that its text becomes."""

    expression: str
    kind: pa.DataType


@dataclass(frozen=True)
class Extraction:
    """One tenant's warehouse and account, and the clock, while slices are read."""

    warehouse: TenantWarehouse
    netsuite: NetSuite
    clock: Callable[[], datetime]
    _time_zone: list[str] = field(default_factory=list)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def time_zone(self) -> str:
        """The time zone in which the account prints times; asked once."""
        async with self._asking:
            if not self._time_zone:
                rows = await self.netsuite.suiteql_rows("SELECT SESSIONTIMEZONE AS tz FROM DUAL")
                # Some accounts ignore the alias.
                self._time_zone.append(next(iter(rows[0].values()), ""))
        return self._time_zone[0]

    def prepare(self, table: str, columns: Mapping[str, Column]) -> None:
        """Bring `netsuite_rows.<table>` to these columns. Call before the transaction that reads into it."""
        kinds = {name: duckdb_type(column.kind) for name, column in columns.items()}
        self.warehouse.ensure_table(f"netsuite_rows.{table}", {"scope": "VARCHAR", **kinds})
        self.warehouse.ensure_table("meta.proofs", PROOFS)

    async def read(
        self,
        table: str,
        scope: str | None,
        name: str,
        columns: Mapping[str, Column],
        source: str,
        where: str,
        key: str,
        *,
        unique: bool = True,
        sums: Sequence[str] = (),
        modified: str = "",
        whole: tuple[str, str] | None = None,
    ) -> Proof:
        """Read one set into a scope of `netsuite_rows.<table>`, unless what is held has not changed.

        `name` is for people; the rest as in `resources.netsuite.sets.RowSet`. A set that does not tell when its rows
        were changed is read each time. Raises its `Incomplete`; roll the transaction back then.
        """
        select = Select({n: c.expression for n, c in columns.items()}, source, where, key=key, unique=unique)
        schema = pa.schema([(n, c.kind) for n, c in columns.items()])
        rows = RowSet(name, select, schema, tuple(sums), modified, whole)
        held = HeldRows(self.warehouse, f"netsuite_rows.{table}", scope or WHOLE, rows.key)
        if not modified or self._last_query(table, scope or WHOLE) != select.text:
            held.clear()
        proof = await read_set(self.netsuite, rows, held)
        self._record(table, scope or WHOLE, rows, proof, await self.time_zone())
        return proof

    def forget_but(self, table: str, scopes: Sequence[str], *, like: str = "%") -> None:
        """Drop the scopes of a table whose name is `LIKE` this, with their proofs, except these."""
        for held, column in ((f"netsuite_rows.{table}", ""), ("meta.proofs", "table_name = ? AND ")):
            self.warehouse.connection.execute(
                f"DELETE FROM {held} WHERE {column}scope LIKE ? AND NOT list_contains(?::VARCHAR[], scope)",
                [*([table] if column else []), like, list(scopes)],
            )

    def _last_query(self, table: str, scope: str) -> str | None:
        rows = self.warehouse.sql(
            "SELECT query FROM meta.proofs WHERE table_name = ? AND scope = ?", [table, scope]
        )
        return str(rows[0][0]) if rows else None

    def _record(self, table: str, scope: str, rows: RowSet, proof: Proof, time_zone: str) -> None:
        after = proof.after
        values: dict[str, Any] = {
            "table_name": table,
            "scope": scope,
            "rows": after.rows,
            "rows_before": proof.before.rows,
            "distinct_keys": after.distinct_keys,
            "low": after.low,
            "high": after.high,
            "sums": _sums(rows, after),
            "sums_before": _sums(rows, proof.before),
            "last_modified": after.last_modified,
            "time_zone": time_zone,
            "schema_hash": proof.schema_hash,
            "query": proof.query,
            "unchanged": proof.unchanged,
            "rows_read": proof.rows_read,
            "pages": proof.pages,
            "looks": proof.looks,
            "proven_at": self.clock(),
        }
        execute = self.warehouse.connection.execute
        execute("DELETE FROM meta.proofs WHERE table_name = ? AND scope = ?", [table, scope])
        marks = ", ".join("?" for _ in PROOFS)
        names = ", ".join(map(quote, PROOFS))
        execute(f"INSERT INTO meta.proofs ({names}) VALUES ({marks})", [values[name] for name in PROOFS])


@dataclass
class HeldRows:
    """One scope of a table as the landing of a set."""

    warehouse: TenantWarehouse
    table: str
    scope: str
    key: str
    _gathered: list[pa.RecordBatch] = field(default_factory=list)
    _gathered_rows: int = 0

    def clear(self) -> None:
        """Drop all rows of the scope."""
        self.warehouse.connection.execute(f"DELETE FROM {self.table} WHERE scope = ?", [self.scope])

    def census(self, rows: RowSet, bucket: int | None) -> dict[int, Census]:
        """The figures of the rows held, by bucket of their key; under 0 for no buckets."""
        self._flush()
        key = f"{quote(rows.key)}::BIGINT"
        number = "0" if bucket is None else f"floor({key} / {bucket}::DOUBLE)::BIGINT"
        sums = "".join(f", sum({quote(name)})" for name in rows.sums)
        modified = f"max({quote(rows.modified)})" if rows.modified else "NULL"
        found = self.warehouse.sql(
            f"SELECT {number} AS bucket, count(*), count(DISTINCT {key}), min({key}), max({key}),"
            f" sum({key})::HUGEINT, {modified}{sums} FROM {self.table} WHERE scope = ? GROUP BY 1",
            [self.scope],
        )
        return {
            row[0]: Census(
                rows=row[1],
                distinct_keys=row[2],
                low=row[3],
                high=row[4],
                key_sum=row[5],
                sums=tuple(row[7:]),
                last_modified=row[6],
            )
            for row in found
        }

    def insert(self, batch: pa.RecordBatch) -> None:
        """Add rows; they are written when enough have come."""
        self._gathered.append(batch)
        self._gathered_rows += batch.num_rows
        if self._gathered_rows >= INSERT_ROWS:
            self._flush()

    def remove(self, low: int, high: int) -> None:
        """Remove the rows whose key is from `low` to `high`."""
        self._flush()
        self.warehouse.connection.execute(
            f"DELETE FROM {self.table} WHERE scope = ? AND {quote(self.key)}::BIGINT BETWEEN ? AND ?",
            [self.scope, low, high],
        )

    def _flush(self) -> None:
        if not self._gathered:
            return
        table = pa.Table.from_batches(self._gathered)
        self._gathered, self._gathered_rows = [], 0
        connection = self.warehouse.connection
        connection.register("rows_in", table)
        connection.execute(
            f"INSERT INTO {self.table} BY NAME SELECT ? AS scope, * FROM rows_in", [self.scope]
        )
        connection.unregister("rows_in")


def _sums(rows: RowSet, figures: Census) -> str:
    sums = figures.sums or (None,) * len(rows.sums)
    return json.dumps(
        {name: None if total is None else str(total) for name, total in zip(rows.sums, sums, strict=True)}
    )
