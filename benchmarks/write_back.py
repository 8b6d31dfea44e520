"""How fast a month's invoices go into NetSuite, next to what the limit allows on paper and next to two other ways.

    python benchmarks/write_back.py [--invoices 5000] [--latency 100] [--limit 5]

Starts a sandbox on one core and gives every request a latency. Then, on the other core and in processes of their own,
invoices of five lines are written:

- ours, `single`, `batch` and `auto`: sign-in, the quota shared through the ledger's database, each intent durable in a
  SQLite ledger before its first byte, each answer noted; `auto` is what a tenant has unless its file says otherwise;
- ours, `single`, while another integration takes `limit` - 2 slots, from a third of the way to two thirds;
- PyPI `netsuite` with `asyncio.gather`, as its readme shows it: no limit of its own, so NetSuite refuses what is over;
- a loop of one PUT after the other over httpx.

The other ways write a part, by which their rate is told. Paper is one request a record, `limit` at a time, at the
latency, which is the whole time of a request (see `docs/sandbox.md`); `slots busy` is how much of the time that the limit
gives was spent in requests, however long each took. Every record is counted in NetSuite afterwards. Exit status 1 when
`single` or `auto` reaches less than 95 % of the paper, when one of ours fails or is there twice, or when it takes more
than 500 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from extraction import account, core_seconds, query, sign_in
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

PERIOD = "2026-10"
LINES = 5
ITEM = "417"
PEER_RECORDS = 200


@dataclass
class Result:
    """`failed` are records that were refused, `core` seconds of this process's own core, `request_ms` of one request."""

    seconds: float
    core: float
    written: int
    failed: int
    requests: int
    rejections: int
    request_ms: float
    alone: int
    in_batches: int
    peak_mb: float

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.written / self.seconds


def body(number: int, customer: str) -> dict[str, Any]:
    """An invoice of five lines."""
    lines = [
        {"item": {"id": ITEM}, "description": f"API calls, region {line}", "quantity": Decimal(line + 1),
         "rate": Decimal("12.50"), "amount": Decimal("12.50") * (line + 1)}
        for line in range(LINES)
    ]  # fmt: skip
    return {
        "entity": {"id": customer},
        "tranDate": f"{PERIOD}-{number % 28 + 1:02}",
        "otherRefNum": f"INV-{number}",
        "memo": f"Usage of October 2026, account {number}",
        "item": {"items": lines},
    }


# What runs in a process of its own


async def ours(work: Path, part: Mapping[str, Any], prefix: str, way: str) -> Result:
    """Our own way, from operations with their bytes, as a plan has them, to outcomes."""
    from netsuite_assets.writeback.book import Book
    from netsuite_assets.writeback.sending import Sending
    from resources.connections import netsuite_client
    from resources.ledger import Ledger, Plan
    from resources.tenants import TenantRegistry
    from resources.warehouse import utc_now

    tenant = TenantRegistry(work / "tenants").load("bench")
    ledger = Ledger(os.environ["RECON_LEDGER"])
    ledger.record_plan(Plan(prefix, "bench", PERIOD, utc_now(), "m", "i", part["records"], "", None))
    rows = [operation(f"{prefix}-{number}", body(number, customer)) for number, customer in numbered(part)]
    states: Counter[str] = Counter()

    def end(row: object, state: str, detail: str | None, step: object, internal_id: object = None) -> None:
        if state != "written" and not states[state]:
            sys.stderr.write(f"{state}: {detail}\n")
        states[state] += 1

    async with netsuite_client(tenant, os.environ) as netsuite:
        await netsuite.suiteql_rows("SELECT id FROM currency ORDER BY id")
        before = netsuite.governor.figures()
        began, core = time.perf_counter(), time.process_time()
        async with Book(ledger, utc_now) as book:
            sending = Sending(netsuite, book, "bench", PERIOD, prefix, way, end)  # type: ignore[arg-type]
            await sending.wave(rows)
        seconds, used = time.perf_counter() - began, time.process_time() - core
        after = netsuite.governor.figures()
    ledger.close()
    return Result(
        seconds, used, states["written"], len(rows) - states["written"], after.requests - before.requests,
        after.rejections - before.rejections,
        1000 * (after.latency_seconds - before.latency_seconds) / (after.requests - before.requests), sending.sent.alone, sending.sent.in_batches, peak(),
    )  # fmt: skip


def operation(external_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a plan that creates this invoice."""
    from netsuite_assets.writeback.operations import request_hash
    from resources.netsuite.writes import upsert_request

    request = upsert_request("invoice", external_id, content)
    return {
        "operation_key": external_id, "record": "invoice", "action": "create", "external_id": external_id,
        "internal_id": None, "base_modified": None, "number": external_id, "name": "Customer",
        "method": request.method, "path": request.path, "query": request.query, "body": request.body.decode(),
        "body_hash": request_hash(request),
    }  # fmt: skip


async def pypi_netsuite(work: Path, part: Mapping[str, Any], prefix: str, way: str) -> Result:
    """PyPI `netsuite`: all at once."""
    from netsuite import Config, NetSuiteRestApi, TokenAuth

    class Loopback(NetSuiteRestApi):
        def _make_url(self, subpath: str) -> str:
            return f"{os.environ['BENCH_URL']}/services/rest{subpath}"

    token = TokenAuth(
        consumer_key="billing-integration",
        consumer_secret="cs_invented_0002",
        token_id="tk_invented_0003",
        token_secret="ts_invented_0004",
    )
    client = Loopback(Config(account="1234567_SB1", auth=token))
    began, core = time.perf_counter(), time.process_time()
    answers = await asyncio.gather(
        *(
            client.put(f"/record/v1/invoice/eid:{prefix}-{number}", json=inexact(body(number, customer)))
            for number, customer in numbered(part)
        ),
        return_exceptions=True,
    )
    failed = sum(isinstance(answer, BaseException) for answer in answers)
    seconds, used = time.perf_counter() - began, time.process_time() - core
    return Result(
        seconds,
        used,
        len(answers) - failed,
        failed,
        len(answers),
        failed,
        0.0,
        len(answers) - failed,
        0,
        peak(),
    )


async def loop(work: Path, part: Mapping[str, Any], prefix: str, way: str) -> Result:
    """One PUT after the other."""
    root = f"{os.environ['BENCH_URL']}/services/rest/record/v1/invoice"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {part['bearer']}"}, timeout=60) as http:
        began, core = time.perf_counter(), time.process_time()
        failed = 0
        for number, customer in numbered(part):
            answer = await http.put(f"{root}/eid:{prefix}-{number}", json=inexact(body(number, customer)))
            failed += answer.status_code != 204
    seconds, used, many = time.perf_counter() - began, time.process_time() - core, part["records"]
    return Result(
        seconds, used, many - failed, failed, many, 0, 1000 * seconds / many, many - failed, 0, peak()
    )


def numbered(part: Mapping[str, Any]) -> list[tuple[int, str]]:
    customers = part["customers"]
    return [(number, customers[number % len(customers)]) for number in range(part["records"])]


def inexact(value: Any) -> Any:
    """The same for a JSON encoder that knows no decimals."""
    if isinstance(value, dict):
        return {key: inexact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [inexact(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def peak() -> float:
    """Megabytes of this process at its peak."""
    # Not what `getrusage` says: that begins with the peak of the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


# The run


def run(way: str, work: Path, core: int) -> Result:
    """The result that a way printed, from a process of its own on one core."""
    command = [sys.executable, __file__, "--way", way, "--work", str(work)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=work)
    os.sched_setaffinity(process.pid, {core})
    printed, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{way} failed")
    return Result(**json.loads(printed.splitlines()[-1]))


def measure(arguments: argparse.Namespace, work: Path, console: Console) -> bool:
    cores = sorted(os.sched_getaffinity(0))
    many, limit, latency = arguments.invoices, arguments.limit, arguments.latency / 1000
    paper = limit / latency
    with account(work, cores[-1], limit) as (admin, server):
        month = {"first": f"{PERIOD}-01", "last": f"{PERIOD}-31"}
        admin.post("fill", json={"customers": 200, "invoices": 1, "lines": 1, **month}).raise_for_status()
        bearer = sign_in()
        customers = [
            row["id"]
            for row in query(
                bearer, "SELECT id FROM customer WHERE subsidiary = 1 AND currency = 1 ORDER BY id"
            )
        ]
        setting = {"limit": limit, "foreign": 0, "latency_ms": arguments.latency}
        admin.post("governance", json=setting).raise_for_status()
        results, shares, right = {}, {}, True

        def foreign(after: float, slots: int) -> threading.Timer:
            timer = threading.Timer(after, lambda: admin.post("governance", json={"foreign": slots}))
            timer.start()
            return timer

        shared = many // 4
        for way, records in (
            ("auto", many), ("single", many), ("batch", many), ("shared", shared),
            ("pypi_netsuite", PEER_RECORDS), ("loop", PEER_RECORDS // 2),
        ):  # fmt: skip
            console.print(f"measuring: {way}")
            part = {"records": records, "customers": customers, "bearer": bearer}
            (work / "part.json").write_text(json.dumps(part))
            timers = []
            if way == "shared":
                third = shared / paper / 3
                timers = [foreign(third + 2, max(0, limit - 2)), foreign(2 * third + 2, 0)]
            before, busy = core_seconds(server), admin.get("stats").json()["rejections"]
            results[way] = found = run(way, work, cores[0])
            shares[way] = (core_seconds(server) - before, admin.get("stats").json()["rejections"] - busy)
            for timer in timers:
                timer.join()
            there = int(
                query(bearer, f"SELECT COUNT(*) AS n FROM transaction WHERE externalid LIKE '{way}-%'")[0][
                    "n"
                ]
            )
            if there != found.written or (way in OURS and (found.failed or there != records)):
                console.print(
                    f"[red]{way}: {there:,} of {records:,} are there, {found.written:,} were told written"
                )
                right = False
    show(results, shares, paper, limit, console)
    reached = {way: results[way].rate / paper for way in ("single", "auto")}
    told = ", ".join(f"{way} reached {share:.1%} of it" for way, share in reached.items())
    console.print(f"paper: {paper:.0f} records/s; {told}")
    return right and min(reached.values()) >= 0.95 and max(results[way].peak_mb for way in OURS) <= 500


def show(
    results: Mapping[str, Result],
    shares: Mapping[str, tuple[float, int]],
    paper: float,
    limit: int,
    console: Console,
) -> None:
    table = Table(
        "way", "written", "failed", "seconds", "records/s", "of paper", "requests", "ms each", "slots busy", "refused for quota",
        "in batches", "its core", "sandbox's core", "peak MB", "single is faster by", "auto is faster by",
    )  # fmt: skip
    for way, found in results.items():
        rate = found.rate
        served, rejected = shares[way]
        busy = found.requests * found.request_ms / 1000 / found.seconds / limit
        table.add_row(
            way, f"{found.written:,}", f"{found.failed:,}", f"{found.seconds:.1f}", f"{rate:.1f}", f"{rate / paper:.0%}",
            f"{found.requests:,}", f"{found.request_ms:.0f}" if busy else "-", f"{busy:.0%}" if busy else "-", f"{rejected:,}",
            f"{found.in_batches:,}", f"{found.core:.1f}", f"{served:.1f}", f"{found.peak_mb:.0f}",
            *(f"{results[own].rate / rate:.1f}" if rate else "-" for own in ("single", "auto")),
        )  # fmt: skip
    console.print(table)


OURS = ("auto", "single", "batch", "shared")
PEERS = {"pypi_netsuite": pypi_netsuite, "loop": loop}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--invoices", type=int, default=5_000, help="invoices to write (5000)")
    parser.add_argument("--latency", type=int, default=100, help="milliseconds of every request (100)")
    parser.add_argument("--limit", type=int, default=5, help="the account's concurrency limit (5)")
    parser.add_argument("--way", choices=[*OURS, *PEERS], help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        part = json.loads((arguments.work / "part.json").read_text())
        way = "single" if arguments.way == "shared" else arguments.way
        write = PEERS.get(arguments.way, ours)
        result = asyncio.run(write(arguments.work, part, arguments.way, way))
        sys.stdout.write(json.dumps(asdict(result)) + "\n")
        return 0
    began, loaded = datetime.now(UTC), os.getloadavg()[0]
    console = Console(width=220)
    with tempfile.TemporaryDirectory() as folder:
        good = measure(arguments, Path(folder), console)
    console.print(
        f"measured from {began:%Y-%m-%d %H:%M} UTC on {os.cpu_count()} cores, at a load of {loaded:.1f} before"
        f" and {os.getloadavg()[0]:.1f} after"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
