"""Keeping what both sides agreed on of 1,000,000 invoices with 25 fields, next to its limit.

    python benchmarks/agreed.py [--rows 1000000] [--rounds 3]

Makes a month of invoices on both sides, all alike, and compares them three times, each in a process of its own: `first`,
when all of them are kept; `again`, when nothing has changed; `changed`, when somebody has changed the memo of one in
a hundred; and `refilled`, when the warehouse is new and the ledger has the body of each invoice, written and found as
intended: the time is of taking them, and the rows found must be all. Time is otherwise of keeping what was agreed on and of saying which side has changed what differs, beside the processor's
seconds, which other work on the machine does not lengthen; the comparing itself is `diff.py`'s. Memory is the most that
the process has held beyond what it held with the file open, comparing included. The limit reads and hashes every value of
both sides once, joins the keys and counts. Ratios are of processor's seconds within a round, and the median of the rounds
counts. Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from netsuite_assets.extract.columns import column_types, comparable
from netsuite_assets.mapping.compiler import RecordMapping, compile_mapping
from netsuite_assets.reconcile import agreed, differences
from netsuite_assets.reconcile.agreed_again import Told
from netsuite_assets.tables import ACTUAL_CORE, ACTUAL_LINE_CORE, ACTUAL_TAXES
from resources.ledger import Ledger, schema
from resources.ledger.database import engine
from resources.tenants import Tenant, TenantRegistry
from resources.warehouse import TenantWarehouse, Warehouse, quote

PERIOD: Final = "2026-10"
NOW: Final = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
TENANTS: Final = Path(__file__).parents[1] / "tenants"
WAYS: Final = ("limit", "first", "again", "changed", "refilled")

#: From so many invoices on the bars hold: below, what any query costs outweighs the rows.
ENOUGH: Final = 1_000_000
#: Processor's seconds as a multiple of the limit's, by way, and megabytes. The first time all values are written.
BARS: Final = {"first": 8.0, "again": 0.5, "changed": 2.0, "refilled": 150.0}
MEGABYTES: Final = 512.0

#: Fields beside those of acme's file, so that there are 25.
_MORE: Final = {
    "custbody_plan": "text", "custbody_region": "text", "custbody_usage": "amount", "custbody_credit": "amount",
    "custbody_minimum": "amount", "custbody_seats": "integer", "custbody_signed": "date", "custbody_ends": "date",
}  # fmt: skip
_AFTER: Final = (
    "      custbody_contract_start:    {from: metadata.contract_start, type: date}\n      message:"
)

_VALUES: Final = {
    "text": "left(md5((n * 1000 + {salt})::VARCHAR), 12)",
    "amount": "(hash(n, {salt}) % 100000000)::DECIMAL(18, 4) / 100",
    "integer": "(hash(n, {salt}) % 200)::BIGINT",
    "date": "DATE '2026-10-01' + (hash(n, {salt}) % 31)::INTEGER",
    "reference": "(hash(n, {salt}) % 40)::VARCHAR",
}


def tenant_of(folder: Path) -> Tenant:
    """Acme with 25 fields of an invoice's header."""
    path = folder / "tenants" / "acme.yaml"
    if not path.exists():
        shutil.copytree(TENANTS, path.parent)
        more = "".join(
            f"      {name}: {{from: metadata.contract_start, type: {kind}}}\n" for name, kind in _MORE.items()
        )
        text = path.read_text(encoding="utf-8")
        before, _, after = text.partition(_AFTER)
        assert after, "the rules of acme's invoices are others"
        kept, _, name = _AFTER.rpartition("\n")
        path.write_text(f"{before}{kept}\n{more}{name}{after}", encoding="utf-8")
    return TenantRegistry(path.parent).load("acme")


def make(held: TenantWarehouse, rules: RecordMapping, rows: int) -> None:
    """The month on both sides, alike. Every value is made of the row's number by a hash: all machines make the same."""
    for statement in rules.create_table_sql():
        held.connection.execute(statement)
    fields = column_types(comparable(rules.fields))
    held.ensure_table("netsuite.invoices", ACTUAL_CORE | fields)
    held.ensure_table(
        "netsuite.invoice_lines", ACTUAL_LINE_CORE | column_types(comparable(rules.line_fields))
    )
    held.ensure_table("netsuite.invoice_taxes", ACTUAL_TAXES)
    values = "".join(
        f", {_VALUES[field.kind].format(salt=salt)} AS {quote(field.name)}"
        for salt, field in enumerate(comparable(rules.fields))
    )
    both = f"""'{PERIOD}' AS period, 'inv-' || n AS external_id, 'N-' || n AS number, 'Customer ' || n % 60000 AS name,
        'USD' AS currency, (hash(n, 99) % 100000000)::DECIMAL(18, 4) / 100 AS total{values}"""
    run = held.connection.execute
    run(
        f"INSERT INTO expected.invoices BY NAME SELECT n::VARCHAR AS source_id, {both} FROM range({rows}) t(n)"
    )
    run(f"""INSERT INTO netsuite.invoices BY NAME SELECT (5000000 + n)::VARCHAR AS internal_id, 'A' AS status,
        '{PERIOD}' AS dated_in, 'then' AS last_modified, {both} FROM range({rows}) t(n)""")
    for table in ("expected.customers", "netsuite.customers"):
        held.ensure_table(table, ACTUAL_CORE)
    held.ensure_table("netsuite.reference", {"list": "VARCHAR", "internal_id": "VARCHAR", "name": "VARCHAR"})


def reset(held: TenantWarehouse) -> None:
    """As before the first comparison, but for the hashes, which are no part of what is measured."""
    run = held.connection.execute
    run("DROP TABLE IF EXISTS reconciliation.agreed_invoices")
    run(
        "UPDATE netsuite.invoices SET memo = rtrim(memo, '!'), row_hash = NULL, raw_hash = NULL WHERE ends_with(memo, '!')"
    )


def change(held: TenantWarehouse) -> None:
    """Somebody changes the memo of one in a hundred in NetSuite."""
    held.connection.execute(
        "UPDATE netsuite.invoices SET memo = memo || '!', row_hash = NULL, raw_hash = NULL"
        " WHERE hash(external_id) % 100 = 0"
    )


def write_down(folder: Path, rules: RecordMapping) -> None:
    """The ledger of runs that made every invoice, with its body, and found it as intended."""
    names = [field.name for field in comparable(rules.fields)]
    body = f"json_object({', '.join(f'{chr(39)}{name}{chr(39)}, {quote(name)}' for name in names)})"
    database = engine(_ledger(folder), durable=False)
    Ledger(_ledger(folder)).close()
    plan = {
        "plan_id": "p",
        "tenant": "acme",
        "period": PERIOD,
        "made_at": NOW,
        "mapping_hash": "m",
        "inputs_hash": "i",
    }
    fixed = {
        "tenant": "acme", "period": PERIOD, "plan_id": "p", "attempt": 1, "record": "invoice", "action": "create",
        "method": "PUT", "path": "", "query": "", "body_hash": "", "intended_at": NOW, "is_open": False,
    }  # fmt: skip
    with Warehouse(folder / "warehouse").open("acme") as held, database.begin() as connection:
        connection.execute(schema.plans.insert(), [plan | {"operations": 0, "amounts": ""}])
        rows = held.connection.execute(
            f"SELECT n, external_id, {body} FROM (SELECT row_number() OVER () AS n, * FROM expected.invoices)"
        )
        while some := rows.fetchmany(20_000):
            connection.execute(
                schema.intents.insert(),
                [
                    fixed | {"id": n, "operation_key": str(n), "target": target, "body": text}
                    for n, target, text in some
                ],
            )
            connection.execute(
                schema.events.insert(),
                [
                    {"intent_id": n, "at": NOW, "kind": kind, "internal_id": str(5_000_000 + n)}
                    for n, _, _ in some
                    for kind in ("answered", "verified")
                ],
            )
    database.dispose()


def _ledger(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.sqlite'}"


def refill(held: TenantWarehouse, tenant: Tenant, rules: RecordMapping, folder: Path) -> dict[str, float]:
    """Compare the month in a new warehouse; the seconds of taking what the ledger tells, and the rows that came of it."""
    spent = {"seconds": 0.0, "processor": 0.0, "found": 0.0}
    taken = Told.of_records

    def measured(told: Told, *arguments: Any) -> None:
        began, busy = time.perf_counter(), time.process_time()
        taken(told, *arguments)
        spent["seconds"], spent["processor"] = time.perf_counter() - began, time.process_time() - busy
        spent["found"] = held.value("SELECT count(*) FROM reconciliation.agreed_invoices")

    Told.of_records = measured  # type: ignore[method-assign]
    differences.begin(held)
    ledger = Ledger(_ledger(folder))
    differences.diff_record(held, rules, PERIOD, tenant.reconcile, lambda ids: {}, Told(ledger, "m"))
    ledger.close()
    return spent


def limit(held: TenantWarehouse, rules: RecordMapping) -> int:
    """Both sides read and hashed once, joined by their keys; how many differ."""
    columns = ", ".join(quote(field.name) for field in rules.fields)
    sides = [
        f"(SELECT external_id, hash({columns}, total) AS h FROM {side}.invoices WHERE period = '{PERIOD}')"
        for side in ("expected", "netsuite")
    ]
    found: int = held.value(
        f"SELECT count(*) FROM {sides[0]} e FULL JOIN {sides[1]} a USING (external_id) WHERE e.h IS DISTINCT FROM a.h"
    )
    return found


def compare(held: TenantWarehouse, tenant: Tenant, rules: RecordMapping) -> dict[str, float]:
    """Compare the month; the seconds that what was agreed on takes of it, and how many differences there are."""
    spent = {"seconds": 0.0, "processor": 0.0}

    def timed(work: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any) -> Any:
            began, busy = time.perf_counter(), time.process_time()
            found = work(*arguments)
            spent["seconds"] += time.perf_counter() - began
            spent["processor"] += time.process_time() - busy
            return found

        return measured

    agreed.say_what_changed = timed(agreed.say_what_changed)
    agreed.keep_agreed = timed(agreed.keep_agreed)
    differences.begin(held)
    differences.diff_record(held, rules, PERIOD, tenant.reconcile, lambda ids: {}, Told())
    changed = held.value("SELECT count(*) FROM differences_found WHERE changed_side = 'netsuite'")
    return {**spent, "found": changed}


def memory() -> float:
    """The most that this process has held, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_way(way: str, folder: Path) -> None:
    """Run one way on the file and print its figures."""
    tenant = tenant_of(folder)
    rules = compile_mapping(tenant).records["invoice"]
    with Warehouse(folder / "warehouse").open("acme") as held:
        before, began, busy = memory(), time.perf_counter(), time.process_time()
        if way == "limit":
            figures: dict[str, float] = {"found": limit(held, rules)}
            figures |= {"seconds": time.perf_counter() - began, "processor": time.process_time() - busy}
        elif way == "refilled":
            figures = refill(held, tenant, rules, folder)
        else:
            figures = compare(held, tenant, rules)
        figures["MB"] = memory() - before
    print(json.dumps(figures))  # noqa: T201 - to the process that asked


def measured(way: str, folder: Path) -> dict[str, float]:
    """The figures of one way in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures


def round_of(folder: Path) -> dict[str, dict[str, float]]:
    """One round. Rows are hashed by comparisons that are not measured."""
    found = {}
    for way, prepare in (
        ("limit", reset), ("first", reset), ("again", None), ("changed", change), ("refilled", reset),
    ):  # fmt: skip
        if prepare is not None:
            with Warehouse(folder / "warehouse").open("acme") as held:
                prepare(held)
        if way == "first":
            measured("again", folder)
            with Warehouse(folder / "warehouse").open("acme") as held:
                reset(held)
        found[way] = measured(way, folder)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ENOUGH)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        run_way(given.way, given.folder)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rules = compile_mapping(tenant_of(folder)).records["invoice"]
        with Warehouse(folder / "warehouse").open("acme") as held:
            make(held, rules, given.rows)
        write_down(folder, rules)
        measured("again", folder)
        rounds = [round_of(folder) for _ in range(given.rounds)]
    fields = sum(bool(field.suiteql) for field in rules.fields)
    table = Table(title=f"{given.rows:,} invoices of {fields} fields, {given.rounds} rounds")
    table.add_column("way")
    for heading in ("seconds", "processor", "× limit", "MB", "found"):
        table.add_column(heading, justify="right")
    missed = []
    for way in WAYS:
        middle = {name: median(one[way][name] for one in rounds) for name in rounds[0][way]}
        times = median(one[way]["processor"] / one["limit"]["processor"] for one in rounds)
        table.add_row(
            way,
            f"{middle['seconds']:.2f}",
            f"{middle['processor']:.2f}",
            f"{times:.2f}",
            f"{middle['MB']:,.0f}",
            f"{middle['found']:,.0f}",
        )
        if way in BARS and times > BARS[way]:
            missed.append(f"{way}: {times:.2f} times the limit, more than {BARS[way]:g}")
        if way in BARS and middle["MB"] > MEGABYTES:
            missed.append(f"{way}: {middle['MB']:,.0f} MB, more than {MEGABYTES:g}")
    console = Console()
    console.print(table)
    for line in missed if given.rows >= ENOUGH else ():
        console.print(f"missed: {line}", style="red")
    return 1 if missed and given.rows >= ENOUGH else 0


if __name__ == "__main__":
    sys.exit(main())
