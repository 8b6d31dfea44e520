"""Planning the repair of many differences: time and peak memory of the plan stage alone.

    python benchmarks/plan.py [--differences 1000000] [--lines 2]

Makes a month of acme in which every invoice differs in one way: 70 % in one or two fields, 15 % in a line, 15 % are
missing in NetSuite, and one in a hundred customers is missing too; then makes the plan of it and loads it again, as a
run does, in a process of its own. Time is from the reconciled month to the plan that is in the warehouse and in the
ledger; memory is the most that the process held resident, Python and libraries included. Exit status 1 when planning
1,000,000 differences takes 60 seconds or 500 MB, or when the plan is not what was planted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

ROOT: Final = Path(__file__).resolve().parents[1]
PERIOD: Final = "2026-10"
NOW: Final = datetime(2026, 11, 1, 6, tzinfo=UTC)
SECONDS, MEGABYTES, ENOUGH = 60.0, 500.0, 1_000_000


def make(folder: Path, differences: int, lines: int) -> None:
    """A reconciled month in `folder`: expected and actual slices, invoices of `lines` lines, and a difference an invoice."""
    from netsuite_assets import frames
    from netsuite_assets.mapping.compiler import compile_mapping
    from netsuite_assets.reconcile.engine import required_slices
    from netsuite_assets.tables import ACTUAL_CORE
    from resources.tenants import TenantRegistry
    from resources.warehouse import Warehouse

    tenant = TenantRegistry(ROOT / "tenants").load("acme")
    mapping = compile_mapping(tenant)
    with Warehouse(folder).open("acme") as held:
        run = held.connection.execute
        for record, rules in mapping.compared.items():
            for statement in mapping.create_table_sql(record):
                run(statement)
            columns = dict(ACTUAL_CORE)
            held.ensure_table(f"netsuite.{rules.tables.name}", columns)
        customers = max(differences // 100, 1)
        run(
            "INSERT INTO expected.customers BY NAME SELECT 'cus-' || i AS external_id, i::VARCHAR AS source_id,"
            " 'Customer ' || i AS name, 'Customer ' || i AS \"companyName\", 'USD' AS currency, '1' AS currency_id,"
            f" 'ap' || i || '@example.com' AS email, '1' AS subsidiary FROM range({customers}) t(i)"
        )
        run(
            "INSERT INTO netsuite.customers BY NAME SELECT (100 + row_number() OVER ())::VARCHAR AS internal_id,"
            " external_id, name, 'then' AS last_modified FROM expected.customers"
            " WHERE source_id::BIGINT % 100 <> 90"
        )
        run(
            f"""INSERT INTO expected.invoices BY NAME SELECT '{PERIOD}' AS period, 'inv-' || i AS external_id,
            i::VARCHAR AS source_id, 'N-' || i AS number, 'Customer ' || i % {customers} AS name, 'USD' AS currency,
            30.00 AS total, 'cus-' || i % {customers} AS entity, '1' AS currency_id, DATE '2026-10-15' AS "tranDate",
            'N-' || i AS "otherRefNum", 'October usage of "Größe Ω" no. ' || i AS memo, '1' AS subsidiary, '2' AS terms
            FROM range({differences}) t(i)"""
        )
        run(
            f"""INSERT INTO expected.invoice_lines BY NAME SELECT '{PERIOD}' AS period, 'inv-' || i // {lines} AS external_id,
            i::VARCHAR AS source_id, (1 + i % {lines})::INTEGER AS line_no, '11' AS item, 'API calls' AS description,
            1000.5 AS quantity, 0.000095 AS rate, 15.00 AS amount FROM range({lines * differences}) t(i)"""
        )
        run(
            """INSERT INTO netsuite.invoices BY NAME SELECT period, (5000 + source_id::BIGINT)::VARCHAR AS internal_id,
            external_id, number, name, currency, total, period AS dated_in, 'then' AS last_modified
            FROM expected.invoices WHERE source_id::BIGINT % 100 < 85"""
        )
        frames.ensure(held, frames.DIFFERENCES)
        run(
            f"""INSERT INTO reconciliation.differences BY NAME
            SELECT '{PERIOD}' AS period, 'invoice' AS record, 'inv-' || i AS external_id,
                CASE WHEN i % 100 < 85 THEN (5000 + i)::VARCHAR END AS internal_id, 'N-' || i AS number,
                'Customer ' || i % {customers} AS name,
                CASE WHEN i % 100 < 70 THEN 'changed' WHEN i % 100 < 85 THEN 'line_changed' ELSE 'missing_in_netsuite' END AS kind,
                CASE WHEN i % 100 BETWEEN 70 AND 84 THEN '2' END AS line,
                CASE WHEN i % 100 < 70 THEN 'memo' WHEN i % 100 < 85 THEN 'amount' END AS field,
                'a' AS expected, 'b' AS actual, 15.00 AS amount, 0 AS delta, 'USD' AS currency, 'billing' AS owner,
                'memo should be October usage of "Größe Ω" no. ' || i || '; NetSuite has wrong.' AS reason
            FROM range({differences}) t(i)"""
        )
        run(
            f"""INSERT INTO reconciliation.differences BY NAME
            SELECT '{PERIOD}' AS period, 'customer' AS record, external_id, source_id AS number, name,
                'missing_in_netsuite' AS kind, 0 AS amount, 0 AS delta, 'USD' AS currency, 'billing' AS owner,
                'NetSuite does not have it.' AS reason
            FROM expected.customers WHERE source_id::BIGINT % 100 = 90"""
        )
        run(
            "CREATE TABLE netsuite.periods (internal_id VARCHAR, name VARCHAR, start_date DATE, end_date DATE, closed BOOLEAN, ar_locked BOOLEAN, all_locked BOOLEAN)"
        )
        for table, period in required_slices(mapping, PERIOD).items():
            run(
                "INSERT INTO meta.slices VALUES (?, ?, 0, 0, 0, 'x', 'benchmark', now())",
                [table, period or "all"],
            )


def plan(folder: Path, differences: int) -> None:
    """Make the plan and load it, and print seconds, megabytes and what was planned."""
    from netsuite_assets.mapping.compiler import compile_mapping
    from netsuite_assets.writeback.plan import load_plan, make_plan
    from resources.ledger import Ledger
    from resources.tenants import TenantRegistry
    from resources.warehouse import Warehouse

    tenant = TenantRegistry(ROOT / "tenants").load("acme")
    policy = tenant.writeback.model_copy(update={"mode": "apply"})
    tenant = replace(tenant, settings=tenant.settings.model_copy(update={"writeback": policy}))
    mapping = compile_mapping(tenant)
    ledger = Ledger(f"sqlite:///{folder / 'ledger.sqlite'}")
    with Warehouse(folder).open("acme") as held:
        started, busy = time.perf_counter(), time.process_time()
        made = make_plan(held, tenant, mapping, PERIOD, ledger, NOW)
        seconds, cores = time.perf_counter() - started, time.process_time() - busy
        started = time.perf_counter()
        loaded = load_plan(held, tenant, mapping, PERIOD, ledger)
        loading = time.perf_counter() - started
        assert loaded.plan.plan_id == made.plan.plan_id
        counted = dict(held.sql("SELECT action, count(*) FROM write_back.plan GROUP BY action"))
        amount = held.value("SELECT sum(amount) FROM write_back.plan")
        waits = held.value("SELECT count(*) FROM write_back.plan WHERE waits_for IS NOT NULL")
    # Not what `getrusage` says: that begins with the peak of the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    megabytes = int(status["VmHWM"].split()[0]) / 1024
    creates = sum(1 for i in range(differences) if i % 100 >= 85)
    new = len(range(90, max(differences // 100, 1), 100))
    right = (
        counted.get("create") == creates + new
        and counted.get("update") == differences - creates
        and amount == Decimal(15) * differences
        and waits > 0
    )
    print(f"{seconds:.2f} {cores:.2f} {loading:.2f} {megabytes:.0f} {int(right)}")  # noqa: T201 - read by the parent


def main() -> int:
    """Run the benchmark; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--differences", type=int, default=ENOUGH)
    parser.add_argument("--lines", type=int, default=2, help="lines of an invoice (2)")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder is not None:
        plan(given.folder, given.differences)
        return 0
    with tempfile.TemporaryDirectory(prefix="plan-") as name:
        folder = Path(name)
        make(folder, given.differences, given.lines)
        done = subprocess.run(
            [sys.executable, __file__, "--folder", name, "--differences", str(given.differences)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        stored = sum(path.stat().st_size for path in folder.rglob("*.duckdb")) / 1e6
    seconds, cores, loading, megabytes, right = (float(figure) for figure in done.stdout.split())
    table = Table("", "measured", "bar")
    table.add_row(f"plan {given.differences:,} differences", f"{seconds:.1f} s", f"{SECONDS:.0f} s")
    table.add_row("seconds of processor for it", f"{cores:.1f} s", "")
    table.add_row("load the plan and prove it unaltered", f"{loading:.1f} s", "")
    table.add_row("peak memory of both", f"{megabytes:.0f} MB", f"{MEGABYTES:.0f} MB")
    table.add_row("working file", f"{stored:.0f} MB", "")
    table.add_row("as planted", "yes" if right else "no", "yes")
    console = Console(width=100)
    console.print(table)
    console.print(f"on {os.cpu_count()} cores, at a load of {os.getloadavg()[0]:.1f} after")
    missed = given.differences >= ENOUGH and (seconds >= SECONDS or megabytes >= MEGABYTES)
    return 1 if missed or not right else 0


if __name__ == "__main__":
    sys.exit(main())
