"""Rows from the bytes of NetSuite's answers into a DuckDB file, and a request's fixed cost, next to other ways.

    python benchmarks/landing.py [--rows 100000] [--rounds 2]

Writes answers of 1,000 invoices as NetSuite prints them into a temporary folder. Then each way lands them with exact
types (DECIMAL, DATE, TIMESTAMP, BOOLEAN) in one transaction, in a process of its own on one core with one DuckDB and
one Arrow thread; what reading the answers from disk costs is not counted. Prints one table: each figure by the
core's own time (what a core that nothing else uses would give) and by the clock, the best of the rounds. Exit status
1 when our way misses its bar, or when two ways do not land the same rows.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb
import httpx
import msgspec
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.console import Console
from rich.table import Table

from netsuite_assets.extract.rows import HeldRows
from resources.netsuite.arrow import RowReader
from resources.netsuite.auth import Auth, ClientCredentials
from resources.netsuite.client import NetSuite
from resources.netsuite.governor import Governor
from resources.netsuite.hosts import Hosts
from resources.netsuite.pages import Page, by_key, read_page
from resources.netsuite.sets import RowSet
from resources.netsuite.suiteql import Select
from resources.netsuite.tba import TbaCredentials, TokenBased
from resources.warehouse import TenantWarehouse, connect, duckdb_type

T = TypeVar("T")

PAGE: Final = 1000
FLUSH: Final = 50
"""Pages that the other ways gather for one INSERT."""
BAR: Final = 100_000.0
"""Rows a second on one core."""
REQUEST_BAR: Final = 1.0
"""Milliseconds that signing, building and parsing may cost a request."""
TABLE: Final = "netsuite_rows.invoices"
SCOPE: Final = "2026-10"

_REFERENCE, _AMOUNT = pa.string(), pa.decimal128(18, 4)
SCHEMA: Final = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        ("externalid", pa.string()),
        ("tranid", pa.string()),
        ("type", pa.string()),
        ("trandate", pa.date32()),
        ("duedate", pa.date32()),
        ("lastmodifieddate", pa.timestamp("us")),
        ("entity", _REFERENCE),
        ("customer_name", pa.string()),
        ("customer_external_id", pa.string()),
        ("subsidiary", _REFERENCE),
        ("currency", _REFERENCE),
        ("exchangerate", pa.decimal128(28, 12)),
        ("foreigntotal", _AMOUNT),
        ("foreignamountunpaid", _AMOUNT),
        ("taxtotal", _AMOUNT),
        ("discounttotal", _AMOUNT),
        ("postingperiod", _REFERENCE),
        ("terms", _REFERENCE),
        ("status", pa.string()),
        ("posting", pa.bool_()),
        ("voided", pa.bool_()),
        ("memo", pa.string()),
        ("otherrefnum", pa.string()),
        ("department", _REFERENCE),
        ("cseg_product", _REFERENCE),
    ]
)
SELECT: Final = Select({name: f"t.{name}" for name in SCHEMA.names}, "transaction t", key="t.id")
TYPES: Final = {column.name: duckdb_type(column.type) for column in SCHEMA}
OFTEN_NULL: Final = ("duedate", "discounttotal", "memo", "otherrefnum", "department", "cseg_product")


# Answers


def number(chance: random.Random, cents: int) -> str:
    """An amount as NetSuite prints it: no trailing zeros, and none before the point."""
    text = f"{chance.randrange(cents) / 100:.2f}".rstrip("0").rstrip(".")
    return text[1:] if text.startswith("0.") else text


def invoice(chance: random.Random, serial: int) -> dict[str, Any]:
    """One row: empty links first, then the columns by name, all of them text; those that are NULL are absent."""
    day = date(2026, 10, 1) + timedelta(days=chance.randrange(31))
    clock = f"{chance.randrange(24):02d}:{chance.randrange(60):02d}:{chance.randrange(60):02d}"
    customer = chance.randrange(90_000)
    row = {
        "id": str(4_000_000 + 3 * serial),
        "externalid": f"inv-2026-10-{serial:07d}",
        "tranid": f"INV{serial:08d}",
        "type": "CustInvc",
        "trandate": day.isoformat(),
        "duedate": (day + timedelta(days=30)).isoformat(),
        "lastmodifieddate": f"{day.isoformat()} {clock}",
        "entity": str(1000 + customer),
        "customer_name": f"Söhne & Müller {customer} GmbH"
        if customer % 10 == 0
        else f"Acme {customer}, Inc.",
        "customer_external_id": f"cus-{customer:06d}",
        "subsidiary": str(1 + customer % 8),
        "currency": str(1 + customer % 4),
        "exchangerate": f"1.{chance.randrange(10**8):08d}".rstrip("0").rstrip("."),
        "foreigntotal": number(chance, 10_000_000),
        "foreignamountunpaid": number(chance, 10_000_000),
        "taxtotal": number(chance, 100_000),
        "discounttotal": f"-{number(chance, 10_000)}",
        "postingperiod": "241",
        "terms": str(1 + customer % 3),
        "status": chance.choice("AB"),
        "posting": "T",
        "voided": chance.choice("FFFFT"),
        "memo": f'Usage in October 2026, API calls of tier "{chance.randrange(9)}"',
        "otherrefnum": f"PO-{chance.randrange(10**6)}",
        "department": str(chance.randrange(1, 30)),
        "cseg_product": str(chance.randrange(1, 9)),
    }
    for name in OFTEN_NULL:
        if chance.random() < 0.2:
            del row[name]
    return {"links": [], **dict(sorted(row.items()))}


def answer(items: list[dict[str, Any]], left: int) -> bytes:
    """The body of NetSuite's answer to one window of a set."""
    url = "https://7654321-sb1.suitetalk.api.netsuite.com/services/rest/query/v1/suiteql?limit=1000&offset=0"
    return msgspec.json.encode(
        {
            "links": [{"rel": "self", "href": url, "method": "POST"}],
            "count": len(items),
            "hasMore": False,
            "items": items,
            "offset": 0,
            "totalResults": len(items) if left else 0,
        }
    )


def write_answers(folder: Path, rows: int) -> None:
    chance = random.Random(20261031)
    for first in range(0, rows, PAGE):
        items = [invoice(chance, serial) for serial in range(first, min(first + PAGE, rows))]
        (folder / f"{first:09d}.json").write_bytes(answer(items, rows - first))


@dataclass
class Watch:
    """Seconds of this process's core, and of the clock, without those spent on what is not measured."""

    core: float = 0.0
    clock: float = 0.0

    @contextmanager
    def running(self, sign: int = 1) -> Iterator[None]:
        core, clock = time.process_time(), time.perf_counter()
        yield
        self.core += sign * (time.process_time() - core)
        self.clock += sign * (time.perf_counter() - clock)


# Ways to land


@dataclass
class Job:
    """The answers in order, and the warehouse that they land in."""

    paths: list[Path]
    warehouse: TenantWarehouse
    watch: Watch = field(default_factory=Watch)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        return self.warehouse.connection

    def answers(self) -> Iterator[bytes]:
        for path in self.paths:
            with self.watch.running(-1):
                body = path.read_bytes()
            yield body

    def gathered(self) -> Iterator[list[bytes]]:
        """The answers, ``FLUSH`` at a time."""
        held: list[bytes] = []
        for body in self.answers():
            held.append(body)
            if len(held) == FLUSH:
                yield held
                held = []
        if held:
            yield held

    def insert(self, select: str, rows_in: object) -> None:
        self.connection.register("rows_in", rows_in)
        self.connection.execute(f"INSERT INTO {TABLE} BY NAME {select}")
        self.connection.unregister("rows_in")

    def insert_text(self, table: object) -> None:
        """Text columns, typed by DuckDB's CAST."""
        casts = ", ".join(f"{name}::{kind} AS {name}" for name, kind in TYPES.items())
        self.insert(f"SELECT '{SCOPE}' AS scope, {casts} FROM rows_in", table)


async def batches(bodies: Iterator[bytes], take: Callable[[pa.RecordBatch], None]) -> None:
    """Our reading, without the network: each answer a page, its keys checked, its values typed."""
    reader = RowReader(SCHEMA)

    async def fetch(query: str, limit: int, offset: int) -> Page:
        return read_page(next(bodies, answer([], 0)), query)

    async for page in by_key(fetch, SELECT, after=None, until=None, page_size=PAGE):
        take(reader.batch(page))


def ours(job: Job) -> None:
    held = HeldRows(job.warehouse, TABLE, SCOPE, "id")
    asyncio.run(batches(job.answers(), held.insert))
    held.census(RowSet("invoices", SELECT, SCHEMA, ("foreigntotal",)), None)


def ours_by_page(job: Job) -> None:
    select = f"SELECT '{SCOPE}' AS scope, * FROM rows_in"
    asyncio.run(batches(job.answers(), lambda batch: job.insert(select, pa.Table.from_batches([batch]))))


class Items(msgspec.Struct):
    items: list[msgspec.Raw]


def spooled(job: Job) -> None:
    decoder = msgspec.json.Decoder(Items)
    spool = job.paths[0].parent / "spool.ndjson"
    columns = {name: "VARCHAR" if kind == "BOOLEAN" else kind for name, kind in TYPES.items()}
    typed = ", ".join(
        f"{name} = 'T' AS {name}" if kind == "BOOLEAN" else name for name, kind in TYPES.items()
    )
    for bodies in job.gathered():
        with spool.open("wb") as file:
            for body in bodies:
                file.write(b"\n".join(decoder.decode(body).items))
                file.write(b"\n")
        job.connection.execute(
            f"INSERT INTO {TABLE} BY NAME SELECT '{SCOPE}' AS scope, {typed}"
            f" FROM read_json('{spool}', columns={columns}, format='newline_delimited')"
        )


def dicts(bodies: Sequence[bytes]) -> list[dict[str, Any]]:
    return [row for body in bodies for row in json.loads(body)["items"]]


def through_pandas(job: Job) -> None:
    import pandas as pd

    for bodies in job.gathered():
        job.insert_text(pd.DataFrame(dicts(bodies), columns=SCHEMA.names))


def through_pylist(job: Job) -> None:
    text = pa.schema([(name, pa.string()) for name in SCHEMA.names])
    for bodies in job.gathered():
        job.insert_text(pa.Table.from_pylist(dicts(bodies), schema=text))


def already_typed(job: Job) -> None:
    """What DuckDB takes to copy the same rows into the file when it holds them in memory, typed."""
    found: list[pa.RecordBatch] = []
    with job.watch.running(-1):
        asyncio.run(batches((path.read_bytes() for path in job.paths), found.append))
        job.connection.register("rows_in", pa.Table.from_batches(found))
        job.connection.execute(f"CREATE TEMP TABLE held AS SELECT '{SCOPE}' AS scope, * FROM rows_in")
        job.connection.unregister("rows_in")
    job.connection.execute(f"INSERT INTO {TABLE} FROM held")


WAYS: Final[dict[str, Callable[[Job], None]]] = {
    "ours": ours,
    "ours, but an INSERT a page": ours_by_page,
    "NDJSON spool, read_json": spooled,
    "lists of dicts, pandas": through_pandas,
    "lists of dicts, pyarrow": through_pylist,
    "limit: DuckDB, rows already typed": already_typed,
}
"""The first is judged."""


@dataclass(frozen=True, slots=True)
class Landed:
    """Seconds of the core and by the clock, and the process's memory in MB before and at its peak."""

    core: float
    clock: float
    before: float
    peak: float


def land(way: str, folder: Path, database: Path) -> Landed:
    """Land all answers of a folder in a new file; for a process of its own."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    paths = sorted(folder.glob("*.json"))
    first = opened(database, paths[:1])
    WAYS[way](first)  # loads what is loaded late: pyarrow, for one, imports pandas with the first array
    first.connection.close()
    job = opened(database, paths)
    before = resident("VmRSS")
    with job.watch.running():
        with job.warehouse.transaction():
            WAYS[way](job)
        job.connection.close()
    return Landed(job.watch.core, job.watch.clock, before, resident("VmHWM"))


def opened(database: Path, paths: list[Path]) -> Job:
    """A new file with the empty table."""
    database.unlink(missing_ok=True)
    warehouse = TenantWarehouse("benchmark", connect(database))
    warehouse.connection.execute("SET threads = 1")
    warehouse.connection.execute("CREATE SCHEMA netsuite_rows")
    warehouse.ensure_table(TABLE, {"scope": "VARCHAR", **TYPES})
    return Job(paths, warehouse)


def resident(what: str) -> float:
    """A figure in MB from this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def apart(work: Callable[..., T], *arguments: object) -> T:
    """Do ``work`` in a new process, which keeps to our core."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def land_all(folder: Path, rounds: int) -> dict[str, Landed]:
    """The best of the rounds, by the core's time; the ways take turns."""
    best: dict[str, Landed] = {}
    for _ in range(rounds):
        for position, way in enumerate(WAYS):
            landed = apart(land, way, folder, folder / f"{position}.duckdb")
            if way not in best or landed.core < best[way].core:
                best[way] = landed
    return best


def disagreements(folder: Path, rows: int) -> list[str]:
    """What is wrong with the tables: too few or too many rows, or others than ours."""
    wrong = []
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        for position in range(len(WAYS)):
            connection.execute(f"ATTACH '{folder / f'{position}.duckdb'}' AS way{position} (READ_ONLY)")
        for position, way in enumerate(WAYS):
            table = f"way{position}.{TABLE}"
            ((count,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
            if count != rows:
                wrong.append(f"{way}: {count:,} rows landed of {rows:,}")
            for one, other in ((table, f"way0.{TABLE}"), (f"way0.{TABLE}", table)) if position else ():
                query = f"SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})"
                ((differing,),) = connection.execute(query).fetchall()
                if differing:
                    wrong.append(f"{way}: {differing:,} rows are only in {one}, not in {other}")
    return wrong


# Requests

HOSTS: Final = Hosts("7654321_SB1")
URL: Final = HOSTS.url("/services/rest/query/v1/suiteql", "limit=1000&offset=0")
QUERY: Final = "SELECT COUNT(*) AS row_count FROM transaction t WHERE t.type = 'CustInvc'"
COUNTED: Final = answer([{"links": [], "row_count": "48112"}], 1)
TBA: Final = TbaCredentials("ck_invented_0001", "cs_invented_0002", "tk_invented_0003", "ts_invented_0004")


def reply(request: httpx.Request) -> httpx.Response:
    """The account: a token for who asks for one, the count of rows for everybody else."""
    if request.url.path.endswith("/token"):
        return httpx.Response(
            200, json={"access_token": "e" * 900, "expires_in": "3600", "token_type": "bearer"}
        )
    return httpx.Response(200, content=COUNTED, headers={"content-type": "application/json"})


def bearer() -> ClientCredentials:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ClientCredentials(HOSTS, "client-1", "certificate-1", pem)


async def timed(work: Callable[[], Awaitable[object]], times: int) -> Watch:
    """The best of three averages of a call, after one that is not counted."""
    await work()
    best = Watch(float("inf"), float("inf"))
    for _ in range(3):
        watch = Watch()
        with watch.running():
            for _ in range(times):
                await work()
        best = min(best, Watch(watch.core / times, watch.clock / times), key=lambda watch: watch.core)
    return best


async def requests() -> dict[str, Watch]:
    """Seconds a request, over no network."""
    found = {}
    transport = httpx.MockTransport(reply)
    ways: dict[str, Auth] = {"bearer token": bearer(), "TBA, HMAC-SHA256": TokenBased(HOSTS, lambda: TBA)}
    async with httpx.AsyncClient(transport=transport) as http:
        for name, auth in ways.items():

            async def sign(auth: Auth = auth) -> None:
                auth.accepted(await auth.authorization("POST", URL, http))

            found[f"sign: {name}"] = await timed(sign, 2000)
        body = msgspec.json.encode({"q": QUERY})
        headers = {"Content-Type": "application/json", "Prefer": "transient", "Authorization": "Bearer e"}
        found["limit: bare httpx"] = await timed(lambda: http.post(URL, content=body, headers=headers), 400)
    for name, auth in ways.items():
        async with NetSuite(HOSTS, auth, governor=Governor(5, 1), transport=transport) as netsuite:
            ask = functools.partial(netsuite.suiteql_rows, QUERY)
            assert await ask() == [{"row_count": "48112"}]
            found[f"ours: {name}"] = await timed(ask, 400)
    return {**found, "PyPI netsuite: TBA": await peer_request(transport)}


async def peer_request(transport: httpx.MockTransport) -> Watch:
    """The same request through another client, which makes an httpx client anew for each."""
    with warnings.catch_warnings(record=True):  # its libraries warn of themselves
        from netsuite import Config, NetSuiteRestApi, TokenAuth, rest_api_base

    token = TokenAuth(
        consumer_key=TBA.consumer_key,
        consumer_secret=TBA.consumer_secret,
        token_id=TBA.token_id,
        token_secret=TBA.token_secret,
    )
    api = NetSuiteRestApi(Config(account=HOSTS.account, auth=token))
    plain = rest_api_base.httpx.AsyncClient
    rest_api_base.httpx.AsyncClient = functools.partial(plain, transport=transport)
    try:
        answered = await api.suiteql(QUERY, limit=1000)
        assert answered["items"] == [{"links": [], "row_count": "48112"}]
        return await timed(lambda: api.suiteql(QUERY, limit=1000), 400)
    finally:
        rest_api_base.httpx.AsyncClient = plain


def all_requests() -> dict[str, Watch]:
    return asyncio.run(requests())


# Parsing alone


def parsing(folder: Path) -> dict[str, tuple[Watch, int]]:
    """Seconds and rows of the first pages through each parser; nothing is kept."""
    with warnings.catch_warnings(record=True):  # its libraries warn of themselves
        from netsuite import json as peer

    bodies = [path.read_bytes() for path in sorted(folder.glob("*.json"))[:10]]
    reader = RowReader(SCHEMA)
    ways: dict[str, Callable[[bytes], object]] = {
        "ours, to typed Arrow": lambda body: reader.batch(read_page(body, "")),
        "ours, to dicts of text": lambda body: read_page(body, "").rows(),
        "PyPI netsuite, to dicts of text": lambda body: peer.loads(body.decode()),
    }
    rows = sum(read_page(body, "").count for body in bodies)
    found = {}
    for name, parse in ways.items():

        async def work(parse: Callable[[bytes], object] = parse) -> None:
            for body in bodies:
                parse(body)

        found[name] = (asyncio.run(timed(work, 3)), rows)
    return found


# The table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: a value by the core's time and by the clock, and the core's time in multiples of ours."""

    what: str
    core: str
    clock: str
    times: float | None = None
    bar: str = ""
    met: bool = True
    memory: str = ""


def landing_figures(landed: dict[str, Landed], rows: int) -> Iterator[Figure]:
    judged = next(iter(landed.values()))
    for way, one in landed.items():
        rate = rows / one.core
        has_bar = one is judged
        yield Figure(
            f"land, {way}",
            f"{rate:,.0f} rows/s",
            f"{rows / one.clock:,.0f} rows/s",
            one.core / judged.core,
            f"{BAR:,.0f} rows/s" if has_bar else "",
            rate >= BAR or not has_bar,
            f"{one.peak - one.before:,.0f} MB",
        )


def parsing_figures(parsed: dict[str, tuple[Watch, int]]) -> Iterator[Figure]:
    judged, _ = next(iter(parsed.values()))
    for way, (watch, rows) in parsed.items():
        core, clock = f"{rows / watch.core:,.0f} rows/s", f"{rows / watch.clock:,.0f} rows/s"
        yield Figure(f"parse, {way}", core, clock, watch.core / judged.core)


def request_figures(found: dict[str, Watch]) -> Iterator[Figure]:
    judged = found["ours: bearer token"]
    for what, watch in found.items():
        has_bar = what.startswith(("sign", "ours"))
        yield Figure(
            f"request, {what}",
            f"{watch.core * 1000:,.4f} ms",
            f"{watch.clock * 1000:,.4f} ms",
            None if what.startswith("sign") else watch.core / judged.core,
            f"{REQUEST_BAR:,.0f} ms" if has_bar else "",
            watch.core * 1000 < REQUEST_BAR or not has_bar,
        )


def show(figures: list[Figure], console: Console) -> None:
    table = Table(
        "figure",
        "one core's time",
        "clock",
        "bar",
        "met",
        "time, ours = 1",
        "memory above the start",
        title_justify="left",
    )
    for figure in figures:
        times = "" if figure.times is None else f"{figure.times:.2f}x"
        met = "" if not figure.bar else "yes" if figure.met else "NO"
        table.add_row(figure.what, figure.core, figure.clock, figure.bar, met, times, figure.memory)
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=100_000,
        help="rows to land (100000); below 50000 the file's own cost weighs",
    )
    parser.add_argument("--rounds", type=int, default=2, help="how often each way lands them (2)")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_answers(folder, arguments.rows)
        landed = land_all(folder, arguments.rounds)
        wrong = disagreements(folder, arguments.rows)
        figures = [
            *landing_figures(landed, arguments.rows),
            *parsing_figures(apart(parsing, folder)),
            *request_figures(apart(all_requests)),
        ]
    show(figures, console)
    console.print(*(wrong or [f"All ways land the same {arguments.rows:,} rows."]), sep="\n")
    return 1 if wrong or not all(figure.met for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
