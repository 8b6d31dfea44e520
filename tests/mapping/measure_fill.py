"""How fast the expected tables fill: `python tests/mapping/measure_fill.py [invoices] [share of bad documents]`.

Acme's mapping over invoices of three lines each, in a DuckDB file; prints seconds, rows a second and peak memory.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb
from mapping_tools import PERIOD, Account

from netsuite_assets.mapping.compiler import compile_mapping
from resources.tenants import TenantRegistry


def main(invoices: int, bad_share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        account = Account(duckdb.connect(str(Path(folder) / "acme.duckdb")))
        account.con.execute("SET preserve_insertion_order = false; SET threads = 2")
        _load(account, invoices, bad_share)
        mapped = compile_mapping(TenantRegistry(Path(__file__).resolve().parents[2] / "tenants").load("acme"))
        for record in mapped.records:
            for statement in mapped.create_table_sql(record):
                account.con.execute(statement)
        start = time.perf_counter()
        account.con.execute("BEGIN")
        for record in mapped.records:
            for statement in mapped.fill_sql(record, PERIOD):
                account.con.execute(statement)
        account.con.execute("COMMIT")
        seconds = time.perf_counter() - start
        counts = account.con.execute(
            "SELECT (SELECT count(*) FROM expected.invoices), (SELECT count(*) FROM expected.invoice_lines),"
            " (SELECT count(problem) FROM expected.invoices)"
        ).fetchall()[0]
    rows = counts[0] + counts[1]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"{counts[0]:,} invoices, {counts[1]:,} lines, {counts[2]:,} with problems: {seconds:.2f} s,"
        f" {rows / seconds:,.0f} rows/s, {memory:,.0f} MB\n"
    )


def _load(account: Account, invoices: int, bad_share: float) -> None:
    customers = max(invoices // 20, 1)
    bad = f"hash(i) % 1000 < {int(bad_share * 1000)}"
    account.con.execute(
        f"""
        INSERT INTO netsuite.reference (list, internal_id, name, number, is_inactive)
        VALUES ('currency', '1', 'USD', 'USD', false), ('term', '2', 'Net 30', NULL, false),
               ('cseg_product', '7', 'Metering', NULL, false);
        INSERT INTO netsuite.reference (list, internal_id, name, number, is_inactive)
        SELECT 'item', (1000 + i)::VARCHAR, 'Item ' || i, 'Item ' || i, false FROM range(2000) t(i);
        DELETE FROM billing.customers;
        INSERT INTO billing.customers (id, name, email, currency, legal_entity, terms)
        SELECT i::VARCHAR, 'Customer ' || i, 'ap@example.com', 'USD', 'us', 'net 30' FROM range({customers}) t(i);
        INSERT INTO billing.invoices (id, number, issued_on, currency, total, customer_id, due_on, legal_entity, terms,
            product_line, memo, metadata, period)
        SELECT i::VARCHAR, 'INV-' || i, DATE '2026-10-01' + (i % 31)::INTEGER, 'USD', (i % 100000) / 100,
            CASE WHEN {bad} THEN NULL ELSE (i % {customers})::VARCHAR END, DATE '2026-11-30', 'us', 'Net 30',
            CASE WHEN i % 3 = 0 THEN 'Metering' ELSE 'Other' END, 'Usage',
            '{{"subscription_id": "sub_' || i || '", "contract_start": "2024-01-31"}}', '{PERIOD}'
        FROM range({invoices}) t(i);
        INSERT INTO billing.invoice_lines (id, invoice_id, line_no, amount, product_id, quantity, unit_amount,
            description, service_start, service_end, period)
        SELECT i || '-' || j, i::VARCHAR, j, 1.25,
            CASE WHEN {bad} THEN 'Nothing ' || j ELSE 'item ' || ((i + j) % 2000) END, 3, 3.5, 'API calls',
            DATE '2026-09-01', DATE '2026-09-30', '{PERIOD}'
        FROM range({invoices}) t(i), range(1, 4) u(j);
        """
    )


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, float(sys.argv[2]) if len(sys.argv) > 2 else 0.01
    )
