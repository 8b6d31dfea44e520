"""The warehouse: one DuckDB working file a tenant, and the place of the published file.

Here: opening a tenant's file (one process at a time), creating tables, replacing one slice in one transaction,
and the record of what each slice held. Not here: what the tables mean (`netsuite_assets`), or publishing them.

DuckDB lets one process write a file and even an idle reader blocks it, so runs alone open these files, briefly,
under a file lock that also covers runs started past Dagster's queue. Analysts open the published file only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from filelock import FileLock, Timeout

#: Files made with this storage version open in DuckDB 1.2 and later, 2.x included.
STORAGE_VERSION = "v1.2.0"
SCHEMAS = ("meta", "billing", "netsuite_rows", "netsuite", "expected", "reconciliation", "write_back")

_SLICES = """
CREATE TABLE IF NOT EXISTS meta.slices (
    table_name VARCHAR NOT NULL, period VARCHAR NOT NULL, expected_rows BIGINT NOT NULL, rows BIGINT NOT NULL,
    distinct_keys BIGINT NOT NULL, content_hash VARCHAR NOT NULL, source VARCHAR NOT NULL,
    landed_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (table_name, period))
"""

#: Types that DuckDB lists under another name than they are written with.
_NAMES = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}

#: Columns that a later stage adds to a slice's table and fills. They are no part of the slice: a table that is brought
#: to its columns keeps them, new rows have none, and a slice's content is the same with them and without.
DERIVED = ("row_hash", "raw_hash")

#: The period under which a table that has none (customers, reference data) is recorded.
WHOLE = "all"


class WarehouseError(Exception):
    """The warehouse cannot do what was asked; the message says what, where and what to do."""


class IncompleteSlice(WarehouseError):
    """A slice is not provably complete, so it was not landed and what was held before stays."""


@dataclass(frozen=True)
class Slice:
    """What one landed slice held: its proof of completeness."""

    table: str
    period: str
    expected_rows: int
    rows: int
    content_hash: str


def quote(name: str) -> str:
    """A DuckDB identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A DuckDB string literal, quoted."""
    return "'" + value.replace("'", "''") + "'"


def duckdb_type(kind: pa.DataType) -> str:
    """The DuckDB type that holds an Arrow type exactly."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    names = {
        pa.string(): "VARCHAR",
        pa.date32(): "DATE",
        pa.bool_(): "BOOLEAN",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
    }
    if kind not in names:
        raise WarehouseError(f"the warehouse has no exact column type for Arrow's {kind}")
    return names[kind]


@dataclass
class TenantWarehouse:
    """An open working file of one tenant. Use within `Warehouse.open`."""

    tenant: str
    connection: duckdb.DuckDBPyConnection
    _in_transaction: bool = False

    def sql(self, query: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query; DECIMAL comes as `Decimal`, DATE as `date`."""
        return self.connection.execute(query, list(parameters)).fetchall()

    def value(self, query: str, parameters: Iterable[Any] = ()) -> Any:
        """The one value of a query that gives one row and one column."""
        rows = self.sql(query, parameters)
        if len(rows) != 1 or len(rows[0]) != 1:
            raise WarehouseError(f"expected one value, got {len(rows)} rows from: {query[:200]}")
        return rows[0][0]

    def arrow(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """The result as an Arrow table: DECIMAL stays decimal (DuckDB's own frames turn it into floats)."""
        return self.connection.sql(query, params=parameters).to_arrow_table()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: commits at the end, rolls back when anything is raised. Within another one it is part of it."""
        if self._in_transaction:
            yield
            return
        self.connection.execute("BEGIN")
        self._in_transaction = True
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        else:
            self.connection.execute("COMMIT")
        finally:
            self._in_transaction = False

    def columns(self, table: str) -> dict[str, str]:
        """The columns of `schema.name` in order, with their types; empty when there is no such table."""
        schema, name = table.split(".")
        if not self._in_transaction:
            try:
                rows = self.sql(f"DESCRIBE {quote(schema)}.{quote(name)}")
            except duckdb.CatalogException:
                return {}
            return {row[0]: row[1] for row in rows}
        # Ten times slower, but that a table is not there does not end the transaction.
        return dict(
            self.sql(
                "SELECT column_name, data_type FROM duckdb_columns()"
                " WHERE database_name = current_database() AND schema_name = ? AND table_name = ?"
                " ORDER BY column_index",
                [schema, name],
            )
        )

    def ensure_table(self, table: str, columns: Mapping[str, str]) -> None:
        """Create `schema.name`, or bring an existing one to these columns.

        A new column is added, a retyped one is made anew, and one that the mapping no longer names is dropped.
        Slices that landed before a column did no longer count as landed: it would be empty in all their rows.
        """
        schema, name = table.split(".")
        target = f"{quote(schema)}.{quote(name)}"
        present = self.columns(table)
        wanted = {column: _NAMES.get(kind, kind) for column, kind in columns.items()}
        kept = {column for column, kind in present.items() if wanted.get(column) == kind}
        if present and len(kept) < len(columns) and schema in SCHEMAS:
            self.connection.execute("DELETE FROM meta.slices WHERE table_name = ?", [table])
        if not kept:
            body = ", ".join(f"{quote(column)} {kind}" for column, kind in columns.items())
            self.connection.execute(f"CREATE OR REPLACE TABLE {target} ({body})")
            return
        for column in present:
            if column not in kept and column not in DERIVED:
                self.connection.execute(f"ALTER TABLE {target} DROP COLUMN {quote(column)}")
        for column, kind in columns.items():
            if column not in kept:
                self.connection.execute(f"ALTER TABLE {target} ADD COLUMN {quote(column)} {kind}")

    def replace_slice(
        self,
        table: str,
        period: str | None,
        rows: pa.RecordBatchReader | str,
        *,
        key: Iterable[str],
        expected_rows: int,
        source: str,
        now: datetime,
    ) -> Slice:
        """Replace one slice in one transaction and record its proof.

        `rows` are Arrow batches, or SQL over this warehouse that gives them. `period` None replaces the whole
        table. Raises `IncompleteSlice`, leaving the old slice in place, when the rows landed are not exactly
        `expected_rows` with distinct keys.
        """
        with self.transaction():
            incoming = rows if isinstance(rows, str) else "SELECT * FROM incoming"
            if not isinstance(rows, str):
                self.connection.register("incoming", rows)
            if period is None:
                self.connection.execute(f"DELETE FROM {table}")
                self.connection.execute(f"INSERT INTO {table} BY NAME {incoming}")
            else:
                self.connection.execute(f"DELETE FROM {table} WHERE period = ?", [period])
                self.connection.execute(
                    f"INSERT INTO {table} BY NAME SELECT *, {literal(period)} AS period FROM ({incoming})"
                )
            if not isinstance(rows, str):
                self.connection.unregister("incoming")
            return self.record_slice(
                table, period, key=key, expected_rows=expected_rows, source=source, now=now
            )

    def record_slice(
        self,
        table: str,
        period: str | None,
        *,
        key: Iterable[str],
        expected_rows: int,
        source: str,
        now: datetime,
    ) -> Slice:
        """Check a slice that was just written in the open transaction and record its proof."""
        keys = ", ".join(quote(column) for column in key)
        where = "" if period is None else f" WHERE period = {literal(period)}"
        described = self.connection.execute(f"SELECT * FROM {table} LIMIT 0").description or []
        own = ", ".join(quote(column[0]) for column in described if column[0] not in DERIVED)
        rows, distinct, content = self.sql(
            f"SELECT count(*), count(DISTINCT ({keys})), coalesce(sum(hash(t)::HUGEINT), 0)::VARCHAR"
            f" FROM (SELECT {own} FROM {table}{where}) AS t"
        )[0]
        scope = table if period is None else f"{table} of {period}"
        if rows != expected_rows:
            raise IncompleteSlice(
                f"{self.tenant}: {scope} is not complete: {source} counts {expected_rows:,} rows and"
                f" {rows:,} arrived. Nothing of it is used and the slice held before is kept."
                " Run again; if the counts still differ, rows are changing while they are read."
            )
        if distinct != rows:
            raise IncompleteSlice(
                f"{self.tenant}: {scope} holds {rows - distinct:,} rows whose key ({keys}) is already there,"
                f" read from {source}. Nothing of it is used: the source repeats a key or a page was read twice."
            )
        self.connection.execute(
            "INSERT OR REPLACE INTO meta.slices VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [table, period or WHOLE, expected_rows, rows, distinct, content, source, now],
        )
        return Slice(table, period or WHOLE, expected_rows, rows, content)

    @contextmanager
    def bounded_memory(self, limit: str) -> Iterator[None]:
        """DuckDB takes no more memory than this (`300MB`) within the block; beyond it writes to disk."""
        number, unit = self.value("SELECT current_setting('memory_limit')").split()
        self.connection.execute(f"SET memory_limit = '{limit}'")
        try:
            yield
        finally:
            # DuckDB prints what it may take rounded down: read back as it is, it would shrink each time.
            self.connection.execute(f"SET memory_limit = '{float(number) + 0.05:.2f} {unit}'")

    def slice(self, table: str, period: str | None) -> Slice | None:
        """The proof of a landed slice, or None when it was never landed."""
        rows = self.sql(
            "SELECT expected_rows, rows, content_hash FROM meta.slices WHERE table_name = ? AND period = ?",
            [table, period or WHOLE],
        )
        return Slice(table, period or WHOLE, *rows[0]) if rows else None

    def require_slices(self, tables: Mapping[str, str | None]) -> list[Slice]:
        """The proofs of these slices (table to period); raises `IncompleteSlice` naming those that are missing."""
        found = {table: self.slice(table, period) for table, period in tables.items()}
        missing = [f"{table} ({tables[table] or WHOLE})" for table, proof in found.items() if proof is None]
        if missing:
            raise IncompleteSlice(
                f"{self.tenant}: not compared, because these slices were never landed completely:"
                f" {', '.join(missing)}. Materialize the assets that extract them first."
            )
        return [proof for proof in found.values() if proof is not None]


@dataclass(frozen=True)
class Warehouse:
    """The folder of working files (`tenants/<tenant>.duckdb`) and of the published one."""

    root: Path
    lock_seconds: float = 600.0

    @property
    def published_path(self) -> Path:
        """The one file that analysts open."""
        return self.root / "published.duckdb"

    def path(self, tenant: str) -> Path:
        """The tenant's working file; runs alone open it."""
        return self.root / "tenants" / f"{tenant}.duckdb"

    @contextmanager
    def open(self, tenant: str, *, existing: bool = False) -> Iterator[TenantWarehouse]:
        """The tenant's working file, open for this process alone until the block ends.

        Raises `WarehouseError` when another process holds it for longer than `lock_seconds`, or when it is to be
        `existing` and is not there.
        """
        path = self.path(tenant)
        if existing and not path.exists():
            raise WarehouseError(
                f"{tenant}: nothing ran here yet: there is no working file {path}. Run: recon reconcile {tenant} MONTH."
                " If it ran elsewhere, type this there, or set RECON_WAREHOUSE to that folder."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock")
        try:
            lock.acquire(timeout=self.lock_seconds)
        except Timeout:
            raise WarehouseError(
                f"{tenant}: the working file {path} has been in use by another run for"
                f" {self.lock_seconds:.0f} seconds. Let that run end, or terminate it in the Dagster UI, and run again."
            ) from None
        try:
            connection = connect(path)
            try:
                for schema in SCHEMAS:
                    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
                connection.execute(_SLICES)
                yield TenantWarehouse(tenant, connection)
            finally:
                connection.close()
        finally:
            lock.release()


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """A writing connection to a DuckDB file, in UTC, in a format that older DuckDB releases can open."""
    try:
        connection = duckdb.connect(str(path), config={"storage_compatibility_version": STORAGE_VERSION})
    except duckdb.IOException as error:
        raise WarehouseError(
            f"the warehouse file {path} cannot be opened: {error}. If a notebook or another program has it open,"
            " close that: analysts read the published file, never a working file."
        ) from error
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = false")
    return connection


def utc_now() -> datetime:
    """The present instant; passed in as a clock wherever time is recorded."""
    return datetime.now(UTC)
