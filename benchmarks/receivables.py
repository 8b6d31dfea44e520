"""Tie-outs, roll-forward and open documents of a month of 200,000 invoices, next to their limit.

    python benchmarks/receivables.py [--rows 200000] [--rounds 3]

Makes a month on both sides: invoices of one line in two subsidiaries and currencies, payments that settle two thirds of
them, and what NetSuite posted of all that. Of the invoices one in a thousand is missing, one has another amount, one is
posted with another amount, and one is paid on one side alone.

Each way runs in a process of its own; time is from the opened file to the frames written, beside the processor's
seconds, which other work on the machine does not lengthen, and memory is the most that the process has held beyond what
it held with the file open. The limit scans both sides, with what was posted and what settles them, joins them by their
keys and adds up. Ratios are of processor's seconds within a round, and the median of the rounds counts. Exit status 1
when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from netsuite_assets import frames
from netsuite_assets.extract.deposits import DEPOSITS
from netsuite_assets.extract.journals import GL_LINES, JOURNAL_LINES, JOURNALS
from netsuite_assets.extract.payments import APPLICATIONS, PAYMENTS
from netsuite_assets.extract.reference import MASTERS
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.reconcile.receivables import required_slices
from netsuite_assets.reconcile.subledger import Receivables, reconcile_receivables
from netsuite_assets.tables import ACTUAL_CORE
from resources.billing.canonical import TABLES as BILLING
from resources.tenants import TenantRegistry
from resources.warehouse import TenantWarehouse, Warehouse, duckdb_type

PERIOD: Final = "2026-10"
NOW: Final = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
TENANTS: Final = Path(__file__).parents[1] / "tenants"
WAYS: Final = ("limit", "ours")

#: From so many invoices on the bars hold: below, what any query costs outweighs the rows.
ENOUGH: Final = 200_000
#: Processor's seconds, times those of the limit, and megabytes.
BARS: Final = {"processor": 8.0, "× limit": 45.0, "MB": 500.0}

_LISTS: Final = {
    "accounts": "('119', '1100', 'Receivables', 'AcctRec'), ('598', '4000', 'Usage', 'Income')",
    "items": "('11', '598')",
    "currencies": "('1', 'USD', 2, 1, true), ('4', 'EUR', 2, 1.1, false)",
    "subsidiaries": "('1', 'Acme Inc.', '1'), ('3', 'Acme GmbH', '4')",
}
_NAMES: Final = {
    "accounts": ("internal_id", "number", "full_name", "account_type"),
    "items": ("internal_id", "income_account"),
    "currencies": ("internal_id", "symbol", "precision", "exchange_rate", "is_base"),
    "subsidiaries": ("internal_id", "name", "currency_id"),
}


def make(held: TenantWarehouse, mapping: TenantMapping, rows: int) -> None:
    """Both sides' slices of the month. Every value is made of the row's number by a hash: all machines make the same."""
    run = held.connection.execute
    _tables(held, mapping)
    run(f"""
        CREATE TEMP TABLE made AS
        SELECT n, n::VARCHAR AS id, (100 + hash(n, 1) % 2000000)::DECIMAL(18, 4) / 100 AS total, n % 3 = 0 AS is_euro,
            CASE WHEN n % 3 = 0 THEN 'eu-' ELSE 'us-' END || hash(n, 2) % {max(rows // 20, 1)} AS customer, DATE '2026-10-01' + (hash(n, 3) % 31)::INTEGER AS day,
            n % 3 <> 1 AS is_paid, hash(n, 4) % 1000 AS defect
        FROM range({rows}) t(n)""")
    currency = "CASE WHEN is_euro THEN 'EUR' ELSE 'USD' END AS currency"
    subsidiary = "CASE WHEN is_euro THEN '3' ELSE '1' END AS subsidiary"
    both = f"{currency}, {subsidiary}"
    month = f"'{PERIOD}' AS period"
    run(f"""INSERT INTO expected.customers BY NAME SELECT DISTINCT 'cus-' || customer AS external_id, customer AS source_id,
        customer AS name, {both} FROM made""")
    _fill(
        held,
        "billing.invoices",
        f"{month}, id, 'N-' || id AS number, day AS issued_on, day + 30 AS due_on, 'open' AS status, {currency}, customer AS customer_id, total",
    )
    _fill(
        held,
        "expected.invoices",
        f"{month}, 'inv-' || id AS external_id, id AS source_id, 'N-' || id AS number, customer AS name, {both}, total",
    )
    _fill(
        held,
        "expected.invoice_lines",
        f"{month}, 'inv-' || id AS external_id, id AS source_id, 1 AS line_no, '11' AS item, total AS amount",
    )
    actual = "defect <> 0", "CASE defect WHEN 1 THEN total + 0.25 ELSE total END"
    paid_there = "CASE defect WHEN 3 THEN NOT is_paid ELSE is_paid END"
    _fill(held, "netsuite.invoices", f"""{month}, (5000000 + n)::VARCHAR AS internal_id, 'inv-' || id AS external_id,
        'T-' || id AS number, customer AS name, 'A' AS status, {both}, {actual[1]} AS total,
        CASE WHEN {paid_there} THEN 0 ELSE {actual[1]} END AS remaining, '{PERIOD}' AS dated_in, day + 30 AS "dueDate",
        'then' AS last_modified""", actual[0])  # fmt: skip
    posted = f"CASE defect WHEN 2 THEN {actual[1]} + 1 ELSE {actual[1]} END"
    for line, account, kind, sign in ((0, "119", "AcctRec", ""), (1, "598", "Income", "-")):
        _fill(held, "netsuite.gl_lines", f"""{month}, (5000000 + n)::VARCHAR AS transaction_id, 'CustInvc' AS type,
            'T-' || id AS number, 'inv-' || id AS external_id, {line} AS line_no, '{account}' AS account_id,
            '{kind}' AS account_type, {sign}{posted} AS amount, day AS posted_on, {subsidiary}""", actual[0])  # fmt: skip
    _fill(
        held,
        "billing.payments",
        f"{month}, 'p' || id AS id, day AS paid_on, customer AS customer_id, total AS amount, 'succeeded' AS status, 'R-' || id AS reference, {currency}",
        "is_paid",
    )
    _fill(
        held,
        "billing.payment_applications",
        f"{month}, 'p' || id AS payment_id, id AS invoice_id, total AS amount, day AS applied_on",
        "is_paid",
    )
    held_payment = f"{paid_there} AND defect <> 0"
    _fill(held, "netsuite.payments", f"""{month}, (9000000 + n)::VARCHAR AS internal_id, 'P-' || id AS number, customer AS name,
        'cus-' || customer AS customer_external_id, {both}, {actual[1]} AS total, 0 AS remaining, '{PERIOD}' AS dated_in,
        false AS is_voided""", held_payment)  # fmt: skip
    _fill(held, "netsuite.applications", f"""{month}, 'customerPayment' AS applying_record, (9000000 + n)::VARCHAR AS applying_id,
        (5000000 + n)::VARCHAR AS invoice_id, {currency}, {actual[1]} AS amount, day AS applied_on,
        'then' AS last_modified""", held_payment)  # fmt: skip
    _fill(held, "netsuite.gl_lines", f"""{month}, (9000000 + n)::VARCHAR AS transaction_id, 'CustPymt' AS type,
        'P-' || id AS number, 0 AS line_no, '119' AS account_id, 'AcctRec' AS account_type, -{actual[1]} AS amount,
        day AS posted_on, {subsidiary}""", held_payment)  # fmt: skip
    for name, values in _LISTS.items():
        run(f"INSERT INTO netsuite.{name} ({', '.join(_NAMES[name])}) VALUES {values}")
    for table in required_slices(mapping, PERIOD):
        counted = held.value(f"SELECT count(*) FROM {table} WHERE period = ?", [PERIOD])
        run(
            "INSERT INTO meta.slices VALUES (?, ?, ?, ?, ?, 'made', 'benchmark', ?)",
            [table, PERIOD, counted, counted, counted, NOW],
        )
    run("DROP TABLE made")


def _tables(held: TenantWarehouse, mapping: TenantMapping) -> None:
    """Make the tables as a run would."""
    for rules in mapping.records.values():
        for statement in rules.create_table_sql():
            held.connection.execute(statement)
    for name in ("invoices", "credit_notes", "payments", "payment_applications"):
        columns = {field.name: duckdb_type(field.type) for field in BILLING[name].schema}
        held.ensure_table(f"billing.{name}", {"period": "VARCHAR", **columns})
    mapped = {"subsidiary": "VARCHAR", "dueDate": "DATE"}
    for name, columns in {
        "invoices": ACTUAL_CORE | mapped, "credit_memos": ACTUAL_CORE | mapped, "payments": PAYMENTS,
        "applications": APPLICATIONS, "journals": JOURNALS, "journal_lines": JOURNAL_LINES, "gl_lines": GL_LINES,
        "deposits": DEPOSITS,
    }.items():  # fmt: skip
        held.ensure_table(f"netsuite.{name}", columns)
    for master in MASTERS:
        held.ensure_table(f"netsuite.{master.table}", master.landed)
    for contract in (frames.DIFFERENCES, frames.EXCEPTIONS):
        frames.ensure(held, contract)


def _fill(held: TenantWarehouse, table: str, values: str, where: str = "true") -> None:
    held.connection.execute(f"INSERT INTO {table} BY NAME SELECT {values} FROM made WHERE {where}")


def limit(held: TenantWarehouse) -> int:
    """Both sides read once, joined by their keys and added up; how many documents differ."""
    found: int = held.value(f"""
        WITH billed AS (
            SELECT external_id, currency, total - coalesce(paid, 0) AS open, total FROM expected.invoices e
            LEFT JOIN (SELECT invoice_id, sum(amount) AS paid FROM billing.payment_applications GROUP BY 1) a
                ON a.invoice_id = e.source_id WHERE e.period = '{PERIOD}'),
        posted AS (SELECT transaction_id, sum(amount) FILTER (account_type = 'AcctRec') AS amount FROM netsuite.gl_lines
            WHERE period = '{PERIOD}' GROUP BY 1),
        held AS (
            SELECT d.external_id, d.total, d.remaining, p.amount, a.paid FROM netsuite.invoices d
            LEFT JOIN posted p ON p.transaction_id = d.internal_id
            LEFT JOIN (SELECT invoice_id, sum(amount) AS paid FROM netsuite.applications GROUP BY 1) a
                ON a.invoice_id = d.internal_id WHERE d.period = '{PERIOD}')
        SELECT count(*) FROM billed b FULL JOIN held h USING (external_id)
        WHERE b.total IS DISTINCT FROM h.total OR h.total IS DISTINCT FROM h.amount OR b.open IS DISTINCT FROM h.remaining
        """)
    return found


def memory() -> float:
    """The most that this process has held, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_way(way: str, folder: Path) -> None:
    """Run one way on the file and print its figures."""
    mapping = compile_mapping(TenantRegistry(TENANTS).load("acme"))
    with Warehouse(folder).open("acme") as held:
        # What is done once in a process is no part of it.
        frames.read(held, frames.EXCEPTIONS, PERIOD)
        before, began, busy = memory(), time.perf_counter(), time.process_time()
        found: Receivables | int = (
            limit(held) if way == "limit" else reconcile_receivables(held, mapping, PERIOD)
        )
        figures = {
            "seconds": time.perf_counter() - began,
            "processor": time.process_time() - busy,
            "MB": memory() - before,
            "found": found if isinstance(found, int) else len(found.items) + len(found.drift),
        }
    print(json.dumps(figures))  # noqa: T201 - to the process that asked


def measured(way: str, folder: Path) -> dict[str, float]:
    """The figures of one way in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        run_way(given.way, given.folder)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Warehouse(folder).open("acme") as held:
            make(held, compile_mapping(TenantRegistry(TENANTS).load("acme")), given.rows)
        rounds = [{way: measured(way, folder) for way in WAYS} for _ in range(given.rounds)]
    table = Table(title=f"{given.rows:,} invoices, {given.rounds} rounds")
    table.add_column("way")
    for heading in ("seconds (from - to)", "processor", "× limit", "MB", "found"):
        table.add_column(heading, justify="right")
    times = {way: median(one[way]["processor"] / one["limit"]["processor"] for one in rounds) for way in WAYS}
    middle = {
        way: {
            name: median(one[way][name] for one in rounds) for name in ("seconds", "processor", "MB", "found")
        }
        for way in WAYS
    }
    for way in WAYS:
        seconds = [one[way]["seconds"] for one in rounds]
        table.add_row(
            way,
            f"{middle[way]['seconds']:.2f} ({min(seconds):.2f} - {max(seconds):.2f})",
            f"{middle[way]['processor']:.2f}",
            f"{times[way]:.1f}",
            f"{middle[way]['MB']:,.0f}",
            f"{middle[way]['found']:,.0f}",
        )
    console = Console()
    console.print(table)
    ours = {**middle["ours"], "× limit": times["ours"]}
    missed = [
        f"{name}: {ours[name]:,.1f}, more than {bar:,.0f}" for name, bar in BARS.items() if ours[name] > bar
    ]
    for line in missed if given.rows >= ENOUGH else ():
        console.print(f"missed: {line}", style="red")
    return 1 if missed and given.rows >= ENOUGH else 0


if __name__ == "__main__":
    sys.exit(main())
