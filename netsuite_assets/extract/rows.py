"""NetSuite's rows as SuiteQL gives them, typed and kept in `netsuite_rows`, each scope of a table proven complete.

Here: the tables that sets are read into, the figures of what is held, and the record of each proof (`meta.proofs`).
Not here: which sets there are (`netsuite.py` and its neighbours), or how one is read and proven
(`resources/netsuite/sets.py`). Imports no Dagster.

A *scope* is what one set fills: a month (`2026-10`), the whole table (`all`), or a month's documents that NetSuite
dates elsewhere (`2026-10 elsewhere 1`). What is held stays between runs, so that an unchanged scope costs one question.
It is used only with the proof of exactly these columns, and without the rows that were too young to be vouched for.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from resources.netsuite.client import NetSuite
from resources.netsuite.sets import STANDARD, WEIGHTS, Census, Proof, RowSet, Sizes, read_set
from resources.netsuite.suiteql import Select
from resources.warehouse import WHOLE, TenantWarehouse, duckdb_type, quote

INSERT_ROWS: Final = 20_000
"""Rows that are gathered for one INSERT: one each page would cost as much as reading the page."""

READING_MEMORY: Final = "256MB"
"""What DuckDB may take while rows are read and landed; beyond it writes to disk, so that no size of set fills memory."""

PROOFS: Final[Mapping[str, str]] = {
    "table_name": "VARCHAR",
    "scope": "VARCHAR",
    "period": "VARCHAR",
    "name": "VARCHAR",
    "rows": "BIGINT",
    "rows_before": "BIGINT",
    "distinct_keys": "BIGINT",
    "low": "BIGINT",
    "high": "BIGINT",
    "sums": "VARCHAR",
    "sums_before": "VARCHAR",
    "last_modified": "VARCHAR",
    "unsettled_since": "VARCHAR",
    "time_zone": "VARCHAR",
    "schema_hash": "VARCHAR",
    "query": "VARCHAR",
    "unchanged": "BOOLEAN",
    "rows_read": "BIGINT",
    "pages": "BIGINT",
    "looks": "BIGINT",
    "proven_at": "TIMESTAMPTZ",
}
"""`period` is the scope's month, or `all`; `name` says what the set is. `sums` and `sums_before` are JSON objects from
column to sum as text. `last_modified` and `unsettled_since` are NetSuite's, in `time_zone`; rows changed since the
latter are read again at the next look (`resources.netsuite.sets.Proof`)."""

_MONTH: Final = re.compile(r"\d{4}-\d{2}\b")


@dataclass(frozen=True)
class Column:
    """One column of a SuiteQL set: its expression and the Arrow type that its text becomes."""

    expression: str
    kind: pa.DataType


@dataclass(frozen=True)
class Extraction:
    """One tenant's warehouse and account, and the clock, while slices are read. `sizes` are of pages and windows."""

    warehouse: TenantWarehouse
    netsuite: NetSuite
    clock: Callable[[], datetime]
    sizes: Sizes = STANDARD
    _time_zone: list[str] = field(default_factory=list)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _read: dict[tuple[str, str], Proof] = field(default_factory=dict)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is read and landed within, or nothing of it, in bounded memory."""
        with self.warehouse.bounded_memory(READING_MEMORY), self.warehouse.transaction():
            yield

    async def time_zone(self) -> str:
        """The time zone in which the account prints times; asked once."""
        async with self._asking:
            if not self._time_zone:
                rows = await self.netsuite.suiteql_rows("SELECT SESSIONTIMEZONE AS tz FROM DUAL")
                # Some accounts ignore the alias.
                self._time_zone.append(next(iter(rows[0].values()), ""))
        return self._time_zone[0]

    def prepare(self, table: str, columns: Mapping[str, Column]) -> None:
        """Bring `netsuite_rows.<table>` to these columns. Call before the transaction that reads into it.

        A column that is new is empty in every row that is held, so what was proven without it is proven no more.
        """
        kinds = {name: duckdb_type(column.kind) for name, column in columns.items()}
        held = f"netsuite_rows.{table}"
        before = self.warehouse.columns(held).items()
        self.warehouse.ensure_table(held, {"scope": "VARCHAR", **kinds})
        self.warehouse.ensure_table("meta.proofs", PROOFS)
        if self.warehouse.columns(held).items() - before:
            self.warehouse.connection.execute("DELETE FROM meta.proofs WHERE table_name = ?", [table])

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
        silent: Sequence[str] = (),
        modified: str = "",
        times: bool = True,
        whole: tuple[str, str] | None = None,
    ) -> Proof:
        """Read one set into a scope of `netsuite_rows.<table>`, unless what is held has not changed.

        `name` is for people; the rest as in `resources.netsuite.sets.RowSet`. A set that does not tell when its rows
        were changed is read each time. A scope may be read several times; the proof that is kept tells of all of them, the
        one returned of this time. Raises its `Incomplete`; roll the transaction back then.
        """
        scope = scope or WHOLE
        select = Select({n: c.expression for n, c in columns.items()}, source, where, key=key, unique=unique)
        schema = pa.schema([(n, c.kind) for n, c in columns.items()])
        rows = RowSet(name, select, schema, tuple(sums), modified, whole, tuple(silent), times)
        held = HeldRows(self.warehouse, f"netsuite_rows.{table}", scope, rows.key)
        last = self._last(table, scope)
        if not modified or last is None or (last.query, last.schema_hash) != (select.text, rows.schema_hash):
            held.clear()
        elif last.unsettled_since is not None and (table, scope) not in self._read:
            held.forget_since(modified, last.unsettled_since)
        proof = await read_set(self.netsuite, rows, held, sizes=self.sizes)
        earlier = self._read.get((table, scope))
        kept = self._read[table, scope] = proof if earlier is None else _together(earlier, proof)
        # In another zone all times of change would be others.
        is_known = proof.unchanged and last is not None and bool(last.time_zone)
        zone = last.time_zone if is_known and last is not None else await self.time_zone()
        self._record(table, scope, rows, kept, zone)
        return proof

    def forget_but(self, table: str, scopes: Sequence[str], *, like: str = "%") -> None:
        """Drop the scopes of a table whose name is `LIKE` this, with their proofs, except these."""
        for held, column in ((f"netsuite_rows.{table}", ""), ("meta.proofs", "table_name = ? AND ")):
            self.warehouse.connection.execute(
                f"DELETE FROM {held} WHERE {column}scope LIKE ? AND NOT list_contains(?::VARCHAR[], scope)",
                [*([table] if column else []), like, list(scopes)],
            )

    def _last(self, table: str, scope: str) -> _Last | None:
        rows = self.warehouse.sql(
            "SELECT query, schema_hash, unsettled_since, time_zone FROM meta.proofs"
            " WHERE table_name = ? AND scope = ?",
            [table, scope],
        )
        return _Last(*rows[0]) if rows else None

    def _record(self, table: str, scope: str, rows: RowSet, proof: Proof, time_zone: str) -> None:
        after = proof.after
        values: dict[str, Any] = {
            "table_name": table,
            "scope": scope,
            "period": month[0] if (month := _MONTH.match(scope)) else WHOLE,
            "name": rows.name,
            "rows": after.rows,
            "rows_before": proof.before.rows,
            "distinct_keys": after.distinct_keys,
            "low": after.low,
            "high": after.high,
            "sums": _sums(rows, after),
            "sums_before": _sums(rows, proof.before),
            "last_modified": after.last_modified,
            "unsettled_since": proof.unsettled_since,
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


@dataclass(frozen=True)
class _Last:
    """What the last proof of a scope says of the rows that are held."""

    query: str
    schema_hash: str
    unsettled_since: str | None
    time_zone: str


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
        sums = [f"sum({quote(name)})" for name in rows.sums]
        weight = f"({key} % {WEIGHTS})::TINYINT"
        weighted = [f"sum({quote(name)} * {weight})" for name in rows.silent]
        modified = time_sum = "NULL"
        if rows.modified:
            modified = f"max({quote(rows.modified)})"
        if rows.adds_times:
            digits = f"replace(replace({quote(rows.modified)}[9:], ' ', ''), ':', '')"
            time_sum = f"sum({digits}::BIGINT)::HUGEINT"
        figures = ", ".join([modified, time_sum, *sums, *weighted])
        found = self.warehouse.sql(
            f"SELECT {number} AS bucket, count(*), count(DISTINCT {key}), min({key}), max({key}),"
            f" sum({key})::HUGEINT, {figures} FROM {self.table} WHERE scope = ? GROUP BY 1",
            [self.scope],
        )
        end = 8 + len(sums)
        return {
            row[0]: Census(
                rows=row[1],
                distinct_keys=row[2],
                low=row[3],
                high=row[4],
                key_sum=row[5],
                sums=tuple(row[8:end]),
                weighted=tuple(row[end:]),
                last_modified=row[6],
                time_sum=row[7],
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

    def forget_since(self, column: str, time: str) -> None:
        """Remove the rows of which `column`, a time as it is printed, is not before `time`."""
        self.warehouse.connection.execute(
            f"DELETE FROM {self.table} WHERE scope = ? AND {quote(column)} >= ?", [self.scope, time]
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


def _together(earlier: Proof, later: Proof) -> Proof:
    """The proof of a set that was read more than once."""
    # What was too young when it was read is not older for having been counted, or read in part, once more.
    young = [since for since in (earlier.unsettled_since, later.unsettled_since) if since is not None]
    return replace(
        later,
        before=earlier.before,
        rows_read=earlier.rows_read + later.rows_read,
        pages=earlier.pages + later.pages,
        looks=earlier.looks + later.looks,
        unsettled_since=min(young, default=None),
    )


def _sums(rows: RowSet, figures: Census) -> str:
    sums = figures.sums or (None,) * len(rows.sums)
    # NetSuite prints no zeros at the end of a number, and DuckDB all.
    return json.dumps(
        {
            name: None if total is None else f"{total.normalize():f}"
            for name, total in zip(rows.sums, sums, strict=True)
        }
    )
