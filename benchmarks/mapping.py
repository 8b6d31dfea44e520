"""How fast billing's documents become expected records, next to SQL written by hand that gives the same rows.

    python benchmarks/mapping.py [--invoices 1000000] [--rounds 1] [--bad 0.01]

Makes a DuckDB file of invoices with three lines each, in a temporary folder. A tenant's mapping of 30 fields and six
look-ups (a customer, four of NetSuite's lists, an item) fills the expected tables in a process of its own with two
threads, as a run does; then `mapping.sql` fills other tables with the same rows. Prints seconds by the clock and of
processor time, peak memory, and the ratio of processor time (the least of the rounds), which other work on the machine
disturbs less. Exit status 1 when a bar is missed or the rows are not the same.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

import yaml
from rich.console import Console
from rich.table import Table

from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import compile_mapping
from resources.billing.canonical import TABLES
from resources.tenants import TenantRegistry
from resources.warehouse import connect, duckdb_type, quote

PERIOD: Final = "2026-10"
SECONDS, MEGABYTES, RATIO = 30.0, 4096.0, 1.3
"""The bars, for a million invoices and three million lines; the ratio at any size."""
FULL: Final = 1_000_000

HEADER: Final[Mapping[str, Any]] = {
    "entity": {"from": "customer_id", "lookup": "customer"},
    "subsidiary": {"from": "legal_entity", "map": {"us": "1", "eu": "3"}},
    "currency": {"from": "currency", "lookup": "currency"},
    "tranDate": {"from": "issued_on"},
    "dueDate": {"from": "issued_on", "shift": {"days": 30}},
    "terms": {"from": "terms", "lookup": "term", "default": "Net 30"},
    "memo": {"from": "memo"},
    "otherRefNum": {"from": "number"},
    "message": {"template": "Usage {number} of {issued_on}"},
    "class": {"from": "metadata.plan", "lookup": "classification"},
    "cseg_product": {"from": "product_line", "lookup": "cseg_product", "default": "Metering"},
    "custbody_subscription_ref": {"from": "metadata.subscription_id"},
    "custbody_contract_start": {"from": "metadata.contract_start", "type": "date"},
    "custbody_plan": {"from": "metadata.plan"},
    "custbody_region": {"from": "metadata.region", "map": {"na": "North America", "emea": "Europe"}},
    "email": {"from": "customer.email"},
    "custbody_total": {"from": "total", "type": "amount", "round": 2},
    "custbody_label": {"join": ["memo", "po_number", "number"], "separator": " / "},
    "toBeEmailed": {"value": False},
    "custbody_po": {"first_of": ["po_number", "number"]},
}
LINES: Final[Mapping[str, Any]] = {
    "item": {"from": "product_id", "lookup": "item", "by": ["external_id", "number", "name"]},
    "description": {"from": "description"},
    "quantity": {"from": "quantity"},
    "rate": {"from": "unit_amount"},
    "amount": {"from": "amount"},
    "custcol_service_start": {"from": "service_start", "type": "date"},
    "custcol_service_end": {"from": "service_end", "type": "date"},
    "custcol_meter": {"from": "metadata.meter"},
    "custcol_note": {"template": "{description} ({invoice.number})"},
    "custcol_negated": {"from": "amount", "type": "amount", "sign": "negate"},
}


@dataclass(frozen=True)
class Run:
    """What filling the tables took: seconds by the clock, processor seconds, megabytes at the peak."""

    seconds: float
    processor: float
    megabytes: float


def tenant(folder: Path) -> TenantMapping:
    """The compiled mapping of the tenant's file, which is written into a folder."""
    records = {
        "customer": {"external_id": "cus-{id}", "fields": {"companyName": {"from": "name"}}},
        "invoice": {"external_id": "inv-{id}", "fields": dict(HEADER), "lines": dict(LINES)},
    }
    auth = {
        "method": "oauth2_client_credentials",
        "client_id": "${A}",
        "certificate_id": "${B}",
        "private_key_file": "${C}",
    }
    tables = {
        "customers": {"table": "customers"},
        "invoices": {"table": "invoices", "columns": {"metadata": "metadata"}},
        "invoice_lines": {"table": "lines", "columns": {"metadata": "metadata"}},
    }
    settings = {
        "tenant": "acme",
        "timezone": "America/New_York",
        "first_month": PERIOD,
        "netsuite": {"account": "1234567", "auth": auth},
        "billing": {"system": "sql", "url": "${D}", "tables": tables},
        "records": records,
    }
    (folder / "acme.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return compile_mapping(TenantRegistry(folder).load("acme"))


def make(path: Path, invoices: int, bad_share: float) -> None:
    """A working file with billing's month and NetSuite's lists; a share of the documents cannot be mapped."""
    customers = max(invoices // 20, 1)
    bad = f"hash(i) % 10000 < {int(bad_share * 10_000)}"
    with connect(path) as con:
        con.execute("SET threads = 2")
        con.execute("SET enable_progress_bar = false")
        for schema in ("billing", "netsuite", "expected", "hand"):
            con.execute(f"CREATE SCHEMA {schema}")
        for name in ("customers", "invoices", "invoice_lines"):
            columns = [f"{quote(one.name)} {duckdb_type(one.type)}" for one in TABLES[name].schema]
            con.execute(f"CREATE TABLE billing.{name} ({', '.join([*columns, 'period VARCHAR'])})")
        con.execute(
            f"""
            CREATE TABLE netsuite.reference (list VARCHAR, internal_id VARCHAR, external_id VARCHAR, name VARCHAR,
                number VARCHAR, subsidiary VARCHAR, currency VARCHAR, is_inactive BOOLEAN);
            INSERT INTO netsuite.reference (list, internal_id, name, number, is_inactive)
            VALUES ('currency', '1', 'USD', 'USD', false), ('term', '2', 'Net 30', NULL, false),
                ('term', '3', 'Net 60', NULL, false), ('cseg_product', '7', 'Metering', NULL, false),
                ('cseg_product', '8', 'Storage', NULL, false);
            INSERT INTO netsuite.reference (list, internal_id, name, is_inactive)
            SELECT 'classification', (500 + i)::VARCHAR, 'plan ' || i, false FROM range(40) t(i);
            INSERT INTO netsuite.reference (list, internal_id, external_id, name, number, is_inactive)
            SELECT 'item', (1000 + i)::VARCHAR, 'sku-' || i, 'Item ' || i, 'Item ' || i, false FROM range(2000) t(i);
            INSERT INTO billing.customers (id, name, email, currency, legal_entity, terms)
            SELECT i::VARCHAR, 'Customer ' || i, 'ap' || i || '@example.com', 'USD', 'us', 'net 30'
            FROM range({customers}) t(i);
            INSERT INTO billing.invoices (id, number, issued_on, currency, total, customer_id, due_on, legal_entity, terms,
                product_line, memo, po_number, metadata, period)
            SELECT i::VARCHAR, 'INV-' || i, DATE '2026-10-01' + (i % 31)::INTEGER, 'USD', (i % 1000000) / 1000,
                CASE WHEN {bad} AND i % 3 = 0 THEN NULL ELSE (i % {customers})::VARCHAR END, DATE '2026-11-30',
                CASE WHEN i % 4 = 0 THEN 'eu' ELSE 'us' END,
                CASE WHEN i % 5 = 0 THEN NULL WHEN i % 7 = 0 THEN 'net 60' ELSE 'Net 30' END,
                CASE WHEN i % 3 = 0 THEN 'Metering' WHEN i % 3 = 1 THEN 'storage' ELSE 'Other' END,
                CASE WHEN i % 2 = 0 THEN 'Usage of October' END, CASE WHEN i % 11 = 0 THEN 'PO-' || i END,
                CASE WHEN {bad} AND i % 3 = 2 THEN '{{broken' ELSE
                '{{"subscription_id": "sub_' || i || '", "contract_start": "2024-01-31", "plan": "Plan '
                || CASE WHEN {bad} THEN 99 ELSE i % 40 END || '", "region": "' || CASE WHEN i % 2 = 0 THEN 'na' ELSE 'emea' END
                || '"}}' END, '{PERIOD}'
            FROM range({invoices}) t(i);
            INSERT INTO billing.invoice_lines (id, invoice_id, line_no, amount, product_id, quantity, unit_amount,
                description, service_start, service_end, metadata, period)
            SELECT i || '-' || j, i::VARCHAR, j, (i % 1000) / 100 + j,
                CASE WHEN {bad} AND j < 3 THEN 'Nothing ' || j WHEN j = 1 THEN 'SKU-' || (i % 2000)
                    ELSE 'item ' || ((i + j) % 2000) END,
                3, 3.5, 'API calls ' || (i % 100), DATE '2026-09-01', DATE '2026-09-30', '{{"meter": "m' || j || '"}}', '{PERIOD}'
            FROM range({invoices}) t(i), range(1, 4) u(j);
            """
        )


def statements(mapping: TenantMapping, which: str) -> list[str]:
    """What fills the tables, by the mapping or by hand."""
    if which == "mapping":
        return mapping.fill_sql("invoice", PERIOD)
    rules = mapping.records["invoice"]
    where = {f"where_{field.name}": field.where for field in (*rules.fields, *rules.line_fields)}
    text = Path(__file__).with_name("mapping.sql").read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    filled = Template(text).substitute(where, period=PERIOD, where_external_id=rules.external_id.where)
    return [one for one in filled.split(";\n") if one.strip()]


def fill(path: str, wanted: Sequence[str]) -> Run:
    """Run statements in one transaction, in this process."""
    with connect(Path(path)) as con:
        con.execute("SET threads = 2")
        con.execute("SET enable_progress_bar = false")
        con.execute("SET memory_limit = '3500MB'")
        before = resource.getrusage(resource.RUSAGE_SELF)
        start = time.perf_counter()
        con.execute("BEGIN")
        for statement in wanted:
            con.execute(statement)
        con.execute("COMMIT")
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, used, after.ru_maxrss / 1024)


def apart(path: Path, wanted: Sequence[str]) -> Run:
    """The same in a new process, so that the peak of memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(fill, str(path), wanted).result()


def differences(path: Path, mapping: TenantMapping) -> dict[str, int]:
    """How many rows one way has and the other has not, by table."""
    found = {}
    with connect(path) as con:
        con.execute("SET threads = 2")
        con.execute("SET enable_progress_bar = false")
        for table in ("invoice_lines", "invoices"):
            mine, hand = f"FROM expected.{table}", f"FROM hand.{table}"
            counts = con.execute(
                f"SELECT (SELECT count(*) FROM (SELECT * {mine} EXCEPT ALL SELECT * {hand})),"
                f" (SELECT count(*) FROM (SELECT * {hand} EXCEPT ALL SELECT * {mine}))"
            ).fetchall()[0]
            found[table] = sum(counts)
    return found


def counted(path: Path) -> tuple[int, int, int]:
    """Invoices, lines, and invoices with problems."""
    with connect(path) as con:
        rows = con.execute(
            "SELECT (SELECT count(*) FROM expected.invoices), (SELECT count(*) FROM expected.invoice_lines),"
            " (SELECT count(problem) FROM expected.invoices)"
        ).fetchall()
    return tuple(rows[0])  # type: ignore[return-value]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--invoices", type=int, default=FULL)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--bad", type=float, default=0.01, help="share of documents that cannot be mapped")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "acme.duckdb"
        mapping = tenant(Path(folder))
        make(path, given.invoices, given.bad)
        with connect(path) as con:
            for statement in mapping.create_table_sql("invoice"):
                con.execute(statement)
                con.execute(statement.replace("expected.", "hand."))
        runs: dict[str, list[Run]] = {"mapping": [], "by hand": []}
        for _ in range(given.rounds):
            for which, found in runs.items():
                found.append(apart(path, statements(mapping, which)))
        unlike = differences(path, mapping)
        invoices, lines, problems = counted(path)
    best = {
        which: Run(
            *(min(getattr(run, name) for run in found) for name in ("seconds", "processor", "megabytes"))
        )
        for which, found in runs.items()
    }
    ratio = best["mapping"].processor / best["by hand"].processor
    mine = best["mapping"]
    missed = [f"{count:,} rows of {table} are not the same" for table, count in unlike.items() if count]
    if ratio > RATIO:
        missed.append(f"{ratio:.2f} times the processor time of SQL written by hand; the bar is {RATIO}")
    if invoices >= FULL and mine.seconds > SECONDS:
        missed.append(f"{mine.seconds:.1f} s; the bar is {SECONDS:.0f} s")
    if invoices >= FULL and mine.megabytes > MEGABYTES:
        missed.append(f"{mine.megabytes:,.0f} MB; the bar is {MEGABYTES:,.0f} MB")
    if given.json:
        sys.stdout.write(
            json.dumps({"ratio": ratio, **{which: vars(run) for which, run in best.items()}}) + "\n"
        )
    told = Console()
    fields = len(HEADER) + len(LINES)
    told.print(
        f"{invoices:,} invoices, {lines:,} lines, {fields} mapped fields, {problems:,} invoices with problems",
        highlight=False,
    )
    table = Table("", "Seconds", "Processor seconds", "Rows a second", "Peak MB")
    for which, run in best.items():
        rate = f"{(invoices + lines) / run.seconds:,.0f}"
        table.add_row(which, f"{run.seconds:.2f}", f"{run.processor:.2f}", rate, f"{run.megabytes:,.0f}")
    table.add_row("ratio", f"{mine.seconds / best['by hand'].seconds:.2f}", f"{ratio:.2f}", "", "")
    told.print(table)
    for sentence in missed:
        told.print(f"missed: {sentence}", style="red")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
