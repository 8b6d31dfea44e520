"""The published mart: the one DuckDB file that analysts open, holding all tenants.

Here: its tables, and replacing one tenant's rows in a copy that is swapped in at once. Not here: computing
anything; rows come from the tenant's working file and the ledger. Imports no Dagster.

A reader that holds the old file open keeps reading it undisturbed; one that opens anew sees the new file.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pandera.pandas as pa
import pyarrow
from filelock import FileLock, Timeout

from netsuite_assets import frames
from netsuite_assets.extract.rows import PROOFS
from netsuite_assets.mapping.compiler import LEFT_OUT
from netsuite_assets.publish.ledger_tables import ledger_tables
from netsuite_assets.publish.netsuite_tables import netsuite_tables
from netsuite_assets.quota import QUOTA, ensure_quota
from netsuite_assets.tables import TABLES
from netsuite_assets.writeback.enrichment import ENRICHMENT, ensure_enrichment
from netsuite_assets.writeback.enrichment import TABLE as ENRICHED
from resources.ledger import Ledger
from resources.warehouse import (
    STORAGE_VERSION,
    TenantWarehouse,
    Warehouse,
    WarehouseError,
    duckdb_type,
    literal,
    quote,
)

#: Mart tables that are the working file's, with the tenant added.
CONTRACTS: Mapping[str, pa.DataFrameSchema] = {
    "differences": frames.DIFFERENCES,
    "tolerated": frames.TOLERATED,
    "totals": frames.TOTALS,
    "total_parts": frames.TOTAL_PARTS,
    "tie_outs": frames.TIE_OUTS,
    "tie_out_items": frames.TIE_OUT_ITEMS,
    "roll_forward": frames.ROLL_FORWARD,
    "receivables_drift": frames.DRIFT,
    "aging": frames.AGING,
    "plan": frames.PLAN,
    "outcomes": frames.OUTCOMES,
}

#: One row a document: what billing issued beside what NetSuite holds.
DOCUMENTS: Mapping[str, str] = {
    "period": "VARCHAR",
    "record": "VARCHAR",
    "external_id": "VARCHAR",
    "number": "VARCHAR",
    "customer": "VARCHAR",
    "currency": "VARCHAR",
    "billed_total": "DECIMAL(18,4)",
    "netsuite_total": "DECIMAL(18,4)",
    "netsuite_currency": "VARCHAR",
    "netsuite_internal_id": "VARCHAR",
    "netsuite_number": "VARCHAR",
    "netsuite_status": "VARCHAR",
    "netsuite_month": "VARCHAR",
    "problem": "VARCHAR",
    "warning": "VARCHAR",
    "via": "VARCHAR",
}

#: What the mapping cut or rounded because the tenant's file says so: of a record, or (`line_no`) of one of its lines.
WARNINGS: Mapping[str, str] = {
    "period": "VARCHAR",
    "record": "VARCHAR",
    "external_id": "VARCHAR",
    "line_no": "INTEGER",
    "warning": "VARCHAR",
}

#: Every write ever intended, with the last that is known of it.
WRITE_HISTORY = pyarrow.schema(
    [
        ("period", pyarrow.string()),
        ("intended_at", pyarrow.timestamp("us", tz="UTC")),
        ("record", pyarrow.string()),
        ("action", pyarrow.string()),
        ("target", pyarrow.string()),
        ("number", pyarrow.string()),
        ("name", pyarrow.string()),
        ("internal_id", pyarrow.string()),
        ("state", pyarrow.string()),
        ("state_at", pyarrow.timestamp("us", tz="UTC")),
        ("status", pyarrow.int64()),
        ("detail", pyarrow.string()),
        ("attempt", pyarrow.int64()),
        ("plan_id", pyarrow.string()),
        ("body_hash", pyarrow.string()),
    ]
)

SLICES: Mapping[str, str] = {
    "table_name": "VARCHAR",
    "period": "VARCHAR",
    "expected_rows": "BIGINT",
    "rows": "BIGINT",
    "distinct_keys": "BIGINT",
    "content_hash": "VARCHAR",
    "source": "VARCHAR",
    "landed_at": "TIMESTAMPTZ",
}


@dataclass(frozen=True)
class Published:
    """What a publication put into the file: rows of this tenant by table."""

    path: Path
    rows: Mapping[str, int]


def publish(warehouse: Warehouse, working: TenantWarehouse, ledger: Ledger, now: datetime) -> Published:
    """Bring the published file up to date with everything that is held of one tenant, all its periods, at `now`.

    Built aside and swapped in with one rename. Raises `WarehouseError` when another publication does not end.
    """
    target = warehouse.published_path
    with _alone(target):
        building = target.with_name(f"{target.name}.building")
        building.unlink(missing_ok=True)
        building.with_name(f"{building.name}.wal").unlink(missing_ok=True)
        if target.exists():
            shutil.copyfile(target, building)
        with _attached(working, building, target):
            rows = _replace_tenant(working, ledger, now)
        building.replace(target)
    return Published(target, rows)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{target}.lock", timeout=600)
    try:
        lock.acquire()
    except Timeout:
        raise WarehouseError(
            f"the published file {target} has been under construction by another run for ten minutes."
            " Let that run end, or terminate it in the Dagster UI, and run again."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _attached(working: TenantWarehouse, path: Path, target: Path) -> Iterator[None]:
    run = working.connection.execute
    try:
        run(f"ATTACH {literal(str(path))} AS mart (STORAGE_VERSION {literal(STORAGE_VERSION)})")
    except duckdb.Error as error:
        raise WarehouseError(
            f"the published file {target} cannot be read: {error}. Delete it; each tenant's next run publishes its part anew."
        ) from error
    try:
        yield
        run("CHECKPOINT mart")
    finally:
        run("DETACH mart")


def _replace_tenant(working: TenantWarehouse, ledger: Ledger, now: datetime) -> dict[str, int]:
    home = working.value("SELECT current_database()")
    told = {"write_history": _history(ledger, working.tenant), **ledger_tables(ledger, working.tenant, now)}
    sources = _sources(working)
    for name, table in told.items():
        working.connection.register(f"{name}_in", table)
        kinds = {field.name: duckdb_type(field.type) for field in table.schema}
        sources[name] = (kinds, f"SELECT * FROM {name}_in ORDER BY ALL")
    try:
        working.connection.execute("USE mart")
        for name, (columns, _) in sources.items():
            working.ensure_table(f"main.{name}", {"tenant": "VARCHAR", **columns})
        working.connection.execute(f"USE {quote(home)}")
        rows = {}
        with working.transaction():
            for name, (_, query) in sources.items():
                working.connection.execute(f"DELETE FROM mart.main.{name} WHERE tenant = ?", [working.tenant])
                working.connection.execute(
                    f"INSERT INTO mart.main.{name} BY NAME SELECT {literal(working.tenant)} AS tenant, * FROM ({query})"
                )
                rows[name] = int(
                    working.value(f"SELECT count(*) FROM mart.main.{name} WHERE tenant = ?", [working.tenant])
                )
    finally:
        working.connection.execute(f"USE {quote(home)}")
        for name in told:
            working.connection.unregister(f"{name}_in")
    return rows


def _sources(working: TenantWarehouse) -> dict[str, tuple[Mapping[str, str], str]]:
    """Mart table to its columns and the query over the working file that gives this tenant's rows."""
    sources: dict[str, tuple[Mapping[str, str], str]] = {}
    for name, contract in CONTRACTS.items():
        frames.ensure(working, contract)
        columns = frames.columns(contract)
        names = ", ".join(map(quote, columns))
        sources[name] = (columns, f"SELECT {names} FROM {contract.name} ORDER BY ALL")
    documents = [
        _documents(record, working.columns(f"expected.{tables.name}"))
        for record, tables in TABLES.items()
        if tables.lines is not None
        and working.columns(f"expected.{tables.name}")
        and working.columns(f"netsuite.{tables.name}")
    ]
    empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in DOCUMENTS.items())
    sources["documents"] = (DOCUMENTS, " UNION ALL ".join(documents) or f"SELECT {empty} WHERE false")
    working.ensure_table("expected.left_out", LEFT_OUT)
    sources["left_out"] = (LEFT_OUT, f"SELECT {', '.join(LEFT_OUT)} FROM expected.left_out ORDER BY ALL")
    sources["mapping_warnings"] = (WARNINGS, _warnings(working))
    ensure_enrichment(working)
    names = ", ".join(map(quote, ENRICHMENT))
    sources["enrichment"] = (ENRICHMENT, f"SELECT {names} FROM {ENRICHED} ORDER BY ALL")
    ensure_quota(working)
    kept = {name: kind for name, kind in QUOTA.items() if name != "tenant"}
    names = ", ".join(map(quote, kept))
    sources["quota"] = (kept, f'SELECT {names} FROM meta.quota ORDER BY "at", asset')
    sources["slices"] = (SLICES, "SELECT * FROM meta.slices ORDER BY ALL")
    working.ensure_table("meta.proofs", PROOFS)
    names = ", ".join(map(quote, PROOFS))
    sources["proofs"] = (PROOFS, f"SELECT {names} FROM meta.proofs ORDER BY table_name, scope")
    return sources | netsuite_tables(working)


def _warnings(working: TenantWarehouse) -> str:
    """What was cut or rounded, over all expected tables."""
    parts = []
    for table in working.sql(
        "SELECT table_name FROM duckdb_columns() WHERE database_name = current_database()"
        " AND schema_name = 'expected' AND column_name = 'warning' ORDER BY 1"
    ):
        name = str(table[0])
        record = next((one.record for one in TABLES.values() if name in (one.name, one.lines)), name)
        line_no = "line_no" if "line_no" in working.columns(f"expected.{name}") else "NULL::INTEGER"
        parts.append(
            f"SELECT period, {literal(record)} AS record, external_id, {line_no} AS line_no, warning"
            f" FROM expected.{quote(name)} WHERE warning IS NOT NULL"
        )
    empty = ", ".join(f"NULL::{kind} AS {name}" for name, kind in WARNINGS.items())
    return f"SELECT * FROM ({' UNION ALL '.join([*parts, f'SELECT {empty} WHERE false'])}) ORDER BY ALL"


def _documents(record: str, columns: Collection[str]) -> str:
    name = TABLES[record].name
    # A slice that was mapped before there were warnings has none.
    warning = "e.warning" if "warning" in columns else "NULL"
    return f"""
    SELECT coalesce(e.period, a.period) AS period, {literal(record)} AS record,
        coalesce(e.external_id, a.external_id) AS external_id, e.number, coalesce(e.name, a.name) AS customer,
        coalesce(e.currency, a.currency) AS currency, e.total AS billed_total, a.total AS netsuite_total,
        a.currency AS netsuite_currency, a.internal_id AS netsuite_internal_id, a.number AS netsuite_number, a.status AS netsuite_status, a.dated_in AS netsuite_month, e.problem,
        {warning}::VARCHAR AS warning, e.via
    FROM expected.{name} e FULL JOIN netsuite.{name} a ON a.external_id = e.external_id AND a.period = e.period"""


def _history(ledger: Ledger, tenant: str) -> pyarrow.Table:
    rows = [{name: row[name] for name in WRITE_HISTORY.names} for row in ledger.history(tenant)]
    return pyarrow.Table.from_pylist(rows, schema=WRITE_HISTORY)
