"""How fast a month's invoices come out of NetSuite, next to what the limit allows on paper and next to two other ways.

    python benchmarks/extraction.py [--invoices 100000] [--latency 20] [--limit 5]

Starts a sandbox on one core, fills one month with invoices of three lines, and gives every request a latency. Then, on
the other core and in processes of their own:

- ours: `extract_documents`, all of it: sign-in, the quota shared through the ledger's database, both sets counted,
  read, typed, proven and landed in a DuckDB file; and once more, when nothing has changed;
- SuiteQL through PyPI `netsuite`, page after page, as its readme shows it; rows are dicts, nothing lands;
- one GET for each record over httpx, `limit` at a time, nothing lands.

The other ways read a part, by which their rate is told. Paper is the number of full pages of both sets, `limit` at a
time, at the latency. A sandbox on one core cannot answer faster than that core works, so what it worked for ours is
told beside it. Exit status 1 when ours takes more than 1.3 times the paper, or 500 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

PERIOD = "2026-10"
LABEL = "1234567-sb1"
TENANT = """
tenant: bench
timezone: America/New_York
first_month: 2026-01
netsuite:
  account: 1234567_SB1
  base_url: ${BENCH_URL}
  governance: {concurrency: LIMIT, reserve: 0}
  auth:
    method: oauth2_client_credentials
    client_id: ${BENCH_CLIENT}
    certificate_id: ${BENCH_CERT}
    private_key_file: ${BENCH_KEY}
billing: {system: sql, url: "${BENCH_BILLING}", tables: {customers: {table: c}, invoices: {table: i}, invoice_lines: {table: l}}}
records:
  customer: {external_id: "cus-{id}", fields: {companyName: {from: name}}}
  invoice:
    external_id: "inv-{id}"
    fields:
      entity:      {from: customer_id, lookup: customer}
      currency:    {from: currency, lookup: currency}
      tranDate:    {from: issued_on}
      memo:        {from: memo}
      subsidiary:  {value: "1"}
    lines:
      item:        {from: product_id, lookup: item, by: [number, name]}
      description: {from: description}
      quantity:    {from: quantity}
      rate:        {from: unit_amount}
      amount:      {from: amount}
"""


@dataclass
class Result:
    """`seconds` by the clock, `core` of this process's own core."""

    seconds: float
    core: float
    rows: int
    requests: int
    peak_mb: float


# What runs in a process of its own


async def ours(work: Path) -> list[Result]:
    from netsuite_assets.extract.netsuite import extract_documents
    from netsuite_assets.mapping.compiler import compile_mapping
    from netsuite_assets.mapping.expected import fill_expected
    from resources.connections import netsuite_client
    from resources.tenants import TenantRegistry
    from resources.warehouse import Warehouse, utc_now

    tenant = TenantRegistry(work / "tenants").load("bench")
    mapping = compile_mapping(tenant)
    results = []
    with Warehouse(work / "warehouse").open("bench") as held:
        prepare_billing(held)
        async with netsuite_client(tenant, os.environ) as netsuite:
            await prepare(held, netsuite, mapping)
            fill_expected(held, mapping, PERIOD, utc_now())
            for _ in range(2):
                before = netsuite.governor.figures().requests
                began, core = time.perf_counter(), time.process_time()
                landed = await extract_documents(
                    held, netsuite, mapping.records["invoice"], PERIOD, utc_now()
                )
                seconds = time.perf_counter() - began
                requests = netsuite.governor.figures().requests - before
                rows = sum(part.rows for part in landed.values())
                results.append(Result(seconds, time.process_time() - core, rows, requests, peak()))
    return results


def prepare_billing(held: Any) -> None:
    """Billing's tables, empty: nothing is expected, so that nothing is asked for by external id."""
    from netsuite_assets.extract.billing import extract_billing
    from resources.warehouse import utc_now

    class Nothing:
        provides: frozenset[str] = frozenset()

    names = ["customers", "invoices", "invoice_lines"]
    extract_billing(held, Nothing(), names, PERIOD, utc_now())  # type: ignore[arg-type]


async def prepare(held: Any, netsuite: Any, mapping: Any) -> None:
    """What documents are resolved against, which is not measured."""
    from netsuite_assets.extract.netsuite import extract_customers
    from netsuite_assets.extract.reference import extract_reference
    from resources.warehouse import utc_now

    await extract_reference(held, netsuite, mapping, utc_now())
    await extract_customers(held, netsuite, mapping.records["customer"], utc_now())


async def pypi_netsuite(work: Path) -> list[Result]:
    """PyPI `netsuite`: SuiteQL, a page after the other."""
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
    rows = 0
    began, core = time.perf_counter(), time.process_time()
    for page in range(PEER_PAGES):
        answer = await client.suiteql(LINES, limit=1000, offset=page * 1000)
        rows += len(answer["items"])
    return [Result(time.perf_counter() - began, time.process_time() - core, rows, PEER_PAGES, peak())]


async def one_get_each(work: Path) -> list[Result]:
    """One GET for each invoice with its lines, as many at a time as the limit allows."""
    part = json.loads((work / "part.json").read_text())
    gate = asyncio.Semaphore(part["limit"])
    root = f"{os.environ['BENCH_URL']}/services/rest/record/v1/invoice"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {part['bearer']}"}, timeout=60) as http:

        async def get(number: str) -> int:
            async with gate:
                answer = await http.get(f"{root}/{number}?expandSubResources=true")
                answer.raise_for_status()
                return 1 + len(answer.json()["item"]["items"])

        began, core = time.perf_counter(), time.process_time()
        rows = sum(await asyncio.gather(*(get(number) for number in part["ids"])))
        seconds = time.perf_counter() - began
        return [Result(seconds, time.process_time() - core, rows, len(part["ids"]), peak())]


PEER_PAGES = 20
PEER_RECORDS = 400
LINES = (
    "SELECT tl.uniquekey AS line_key, t.id AS transaction_id, tl.linesequencenumber AS line_no, tl.item AS item, "
    "tl.memo AS memo, tl.quantity AS quantity, tl.rate AS rate, -tl.foreignamount AS amount, "
    "TO_CHAR(t.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') AS lastmodified "
    "FROM transactionline tl JOIN transaction t ON t.id = tl.transaction "
    "WHERE t.type = 'CustInvc' AND tl.mainline = 'F' AND tl.taxline = 'F' ORDER BY tl.uniquekey"
)
WAYS = {"ours": ours, "pypi_netsuite": pypi_netsuite, "one_get_each": one_get_each}


def peak() -> float:
    """Megabytes of this process at its peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# The run


@contextmanager
def account(work: Path, core: int, limit: int) -> Iterator[tuple[httpx.Client, int]]:
    """A sandbox on one core with a tenant's folder beside it; gives its administration and its process."""
    from demo.keys import ensure_keys
    from demo.sandbox_process import Certificate, running_sandbox

    keys = ensure_keys(work / "keys", "bench", datetime.now(UTC))
    (work / "tenants").mkdir()
    (work / "tenants" / "bench.yaml").write_text(TENANT.replace("LIMIT", str(limit)))
    certificate = Certificate("1234567_SB1", "billing-integration", "bench", keys.certificate)
    profile = ROOT / "sandbox" / "profiles" / "oneworld.yaml"
    with running_sandbox([profile], [certificate], state=work / "state.db", log=work / "log") as sandbox:
        os.sched_setaffinity(sandbox.process.pid, {core})
        os.environ |= {
            "BENCH_URL": sandbox.account_url("1234567_SB1"),
            "BENCH_CLIENT": "billing-integration",
            "BENCH_CERT": "bench",
            "BENCH_KEY": str(keys.private_key),
            "BENCH_BILLING": "sqlite:///unused.db",
            "RECON_LEDGER": f"sqlite:///{work / 'ledger.sqlite'}",
        }
        with httpx.Client(base_url=f"{os.environ['BENCH_URL']}/sandbox", timeout=600) as admin:
            yield admin, sandbox.process.pid


def run(way: str, work: Path, core: int) -> list[Result]:
    """The results that a way printed, from a process of its own on one core."""
    command = [sys.executable, __file__, "--way", way, "--work", str(work)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=work)
    os.sched_setaffinity(process.pid, {core})
    printed, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{way} failed")
    return [Result(**each) for each in json.loads(printed.splitlines()[-1])]


def core_seconds(process: int) -> float:
    """Time that a process of one thread has had on a core."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


def sign_in() -> str:
    """An access token for the way that has no client."""
    url, now = f"{os.environ['BENCH_URL']}/services/rest/auth/oauth2/v1/token", int(time.time())
    claims = {
        "iss": "billing-integration",
        "scope": ["rest_webservices"],
        "aud": url,
        "iat": now,
        "exp": now + 3000,
    }
    key = Path(os.environ["BENCH_KEY"]).read_text()
    assertion = jwt.encode(claims, key, algorithm="ES256", headers={"kid": "bench"})
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    }
    return str(httpx.post(url, data=form).raise_for_status().json()["access_token"])


def query(bearer: str, text: str, limit: int = 1000) -> list[dict[str, str]]:
    """Rows by plain httpx."""
    url = f"{os.environ['BENCH_URL']}/services/rest/query/v1/suiteql?limit={limit}"
    headers = {"Authorization": f"Bearer {bearer}", "Prefer": "transient"}
    answer = httpx.post(url, headers=headers, json={"q": text}, timeout=60).raise_for_status()
    rows: list[dict[str, str]] = answer.json()["items"]
    return rows


def page_seconds(bearer: str) -> float:
    """What one page of lines takes, alone: the latency, the sandbox's work and the way there, at the median of 15."""
    times = []
    with httpx.Client(
        headers={"Authorization": f"Bearer {bearer}", "Prefer": "transient"}, timeout=60
    ) as http:
        url = f"{os.environ['BENCH_URL']}/services/rest/query/v1/suiteql?limit=1000"
        low = int(query(bearer, "SELECT MIN(uniquekey) AS low FROM transactionline")[0]["low"])
        for number in range(15):
            window = f"{low + 4000 * number}"
            text = (
                LINES.replace("ORDER BY", f"AND tl.uniquekey > {window} ORDER BY")
                + " FETCH FIRST 1000 ROWS ONLY"
            )
            began = time.perf_counter()
            http.post(url, json={"q": text}).raise_for_status()
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def show(results: dict[str, Result], console: Console) -> None:
    rate = results["ours"].rows / results["ours"].seconds
    table = Table("way", "rows", "seconds", "its core", "rows/s", "requests", "peak MB", "ours is faster by")
    for name, found in results.items():
        own = found.rows / found.seconds
        table.add_row(
            name, f"{found.rows:,}", f"{found.seconds:.2f}", f"{found.core:.2f}", f"{own:,.0f}",
            f"{found.requests:,}", f"{found.peak_mb:.0f}", f"{rate / own:.1f}",
        )  # fmt: skip
    console.print(table)


def measure(arguments: argparse.Namespace, work: Path, console: Console) -> bool:
    from resources.netsuite.sets import SETTLED_AFTER

    cores = sorted(os.sched_getaffinity(0))
    with account(work, cores[-1], arguments.limit) as (admin, server):
        order = {
            "customers": 1000,
            "invoices": arguments.invoices,
            "lines": 3,
            "first": f"{PERIOD}-01",
            "last": f"{PERIOD}-31",
        }
        console.print(f"filling {arguments.invoices:,} invoices of 3 lines")
        admin.post("fill", json=order).raise_for_status()
        # What is younger when it is read is read again at the next look.
        time.sleep(SETTLED_AFTER + 1)
        bearer = sign_in()
        ids = [
            row["id"]
            for row in query(bearer, "SELECT id FROM transaction WHERE type = 'CustInvc' ORDER BY id")
        ]
        part = {"limit": arguments.limit, "bearer": bearer, "ids": ids[:PEER_RECORDS]}
        (work / "part.json").write_text(json.dumps(part))
        setting = {"limit": arguments.limit, "foreign": 0, "latency_ms": arguments.latency}
        admin.post("governance", json=setting).raise_for_status()
        alone = page_seconds(bearer)
        results, served = {}, {}
        for way in WAYS:
            console.print(f"measuring: {way}")
            before = core_seconds(server)
            for name, found in zip((way, f"{way}, nothing changed"), run(way, work, cores[0]), strict=False):
                results[name] = found
            served[way] = core_seconds(server) - before
        rejected = admin.get("stats").json()["rejections"]
    pages = -(-arguments.invoices // 1000) + -(-3 * arguments.invoices // 1000)
    paper = pages / arguments.limit * arguments.latency / 1000
    own = results["ours"]
    show(results, console)
    console.print(
        f"paper, {pages} pages at the latency alone: {paper:.2f} s; ours took {own.seconds / paper:.2f} times that"
    )
    here = max(paper, served["ours"])
    console.print(
        f"this sandbox worked {served['ours']:.2f} s on its core for ours, and one page alone took {alone * 1000:.1f} ms;"
        f" ours took {own.seconds / here:.2f} times what it allows"
    )
    console.print(f"rejected requests in all: {rejected}")
    if own.rows != 4 * arguments.invoices:
        console.print(f"[red]{own.rows:,} rows landed of {4 * arguments.invoices:,}")
        return False
    return own.seconds <= 1.3 * paper and own.peak_mb <= 500


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--invoices", type=int, default=100_000, help="invoices to read (100000)")
    parser.add_argument("--latency", type=int, default=20, help="milliseconds of every request (20)")
    parser.add_argument("--limit", type=int, default=5, help="the account's concurrency limit (5)")
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        results = asyncio.run(WAYS[arguments.way](arguments.work))
        sys.stdout.write(json.dumps([vars(each) for each in results]) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return 0 if measure(arguments, Path(folder), Console(width=140)) else 1


if __name__ == "__main__":
    sys.exit(main())
