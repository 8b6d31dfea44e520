"""What the NetSuite sandbox does on one core, next to what the machine could do at all.

    python benchmarks/sandbox.py [--invoices 100000] [--requests 4000] [--profile FILE]

Starts a sandbox pinned to one core, with its state in a file of a temporary folder, and a bare ASGI server likewise.
Prints a table: each figure by the core's own time (what a core that nothing else uses would give) and by the clock, its
bar, and a named limit of the same machine in the same run. Exit status 1 when a bar is missed by the core's time.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
CLIENT, CERTIFICATE, ACCOUNT, LABEL = "billing-integration", "benchmark", "1234567_SB1", "1234567-sb1"
CONNECTIONS = 8
PLACES = 12
"""Where pages are asked for, from the first key to the last."""
ECHO = """
import sys
import uvicorn

BODY = b"x" * int(sys.argv[2])

async def application(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(BODY))]})
    await send({"type": "http.response.body", "body": BODY})

uvicorn.run(application, fd=int(sys.argv[1]), http="httptools", log_level="error", lifespan="off")
"""
OCTOBER = "t.trandate BETWEEN TO_DATE('2026-10-01', 'YYYY-MM-DD') AND TO_DATE('2026-10-31', 'YYYY-MM-DD')"
LINES = (
    "SELECT t.id, tl.uniquekey, tl.item, -tl.foreignamount AS amount FROM transaction t JOIN transactionline tl "
    f"ON tl.transaction = t.id WHERE tl.mainline = 'F' AND {OCTOBER} "
)
PAGES = {
    "headers": "SELECT id, tranid, foreigntotal, trandate FROM transaction WHERE id > {id} ORDER BY id",
    "open invoices with customer and currency": (
        "SELECT t.id, t.tranid, t.externalid, t.entity, c.entityid, t.currency, cu.symbol AS curr, t.exchangerate, "
        "t.foreigntotal, t.foreignamountpaid, t.foreignamountunpaid, t.status, "
        "TO_CHAR(t.trandate, 'YYYY-MM-DD') AS trandate, TO_CHAR(t.duedate, 'YYYY-MM-DD') AS duedate, "
        "TO_CHAR(t.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') AS lastmod FROM transaction t "
        "JOIN customer c ON c.id = t.entity JOIN currency cu ON cu.id = t.currency WHERE t.type = 'CustInvc' "
        "AND t.foreignamountunpaid > 0 AND t.id > {id} ORDER BY t.id"
    ),
    "a month's invoice lines after a line key": (
        LINES + "AND t.type = 'CustInvc' AND tl.uniquekey > {key} ORDER BY tl.uniquekey"
    ),
    "lines after a transaction, by line key": LINES + "AND t.id > {id} ORDER BY tl.uniquekey",
    "ledger lines with account": (
        "SELECT l.transaction, l.transactionline, a.acctnumber, l.debit, l.credit FROM transactionaccountingline l "
        "JOIN account a ON a.id = l.account WHERE l.transaction > {id} ORDER BY l.transaction, l.transactionline"
    ),
    "invoices in a window of keys": (
        "SELECT t.id, t.tranid, t.externalid, t.entity, t.currency, t.exchangerate, t.foreigntotal, "
        "t.foreignamountunpaid, t.status, tl.subsidiary, TO_CHAR(t.trandate, 'YYYY-MM-DD') AS trandate, "
        "TO_CHAR(t.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') AS lastmod FROM transaction t JOIN transactionline tl "
        "ON tl.transaction = t.id AND tl.mainline = 'T' WHERE t.type = 'CustInvc' AND t.id > {id} "
        "AND t.id <= {id} + 8000 ORDER BY t.id"
    ),
}
READ = "invoices in a window of keys"
"""What several readers at once ask for."""
READERS, READ_PAGES, LATENCY = 5, 400, 20
"""Readers, pages for all of them together, and milliseconds that the account takes for each."""
ALL_YEAR = (
    "t.trandate >= TO_DATE('2026-01-01', 'YYYY-MM-DD') AND t.trandate < TO_DATE('2027-01-01', 'YYYY-MM-DD')"
)
LATEST = "MAX(TO_CHAR(t.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS')) AS last_modified"
CENSUSES = {
    "invoices": (
        "t.id",
        f"SUM(t.foreigntotal) AS total, SUM(t.foreignamountunpaid) AS unpaid, {LATEST} FROM transaction t "
        "JOIN transactionline tl ON tl.transaction = t.id AND tl.mainline = 'T' "
        f"WHERE t.type = 'CustInvc' AND {ALL_YEAR}",
        300.0,
    ),
    "invoice lines": (
        "tl.uniquekey",
        f"SUM(tl.foreignamount) AS amount, SUM(tl.quantity) AS quantity, {LATEST} FROM transactionline tl "
        f"JOIN transaction t ON t.id = tl.transaction WHERE t.type = 'CustInvc' AND {ALL_YEAR} AND tl.mainline = 'F'",
        1000.0,
    ),
    "ledger lines": (
        "l.transaction",
        "SUM(l.debit) AS debit, SUM(l.credit) AS credit, SUM(l.amount) AS amount FROM transactionaccountingline l "
        "JOIN transaction t ON t.id = l.transaction JOIN accountingbook b ON b.id = l.accountingbook "
        f"WHERE b.isprimary = 'T' AND l.posting = 'T' AND {ALL_YEAR}",
        1000.0,
    ),
}
"""Key, what is summed of which rows, and the bar in milliseconds for 100,000 invoices."""


@dataclass
class Figure:
    what: str
    value: float
    """By the core's own time."""
    unit: str
    clock: float | None = None
    bar: float | None = None
    """At least so many per second, at most so many of any other unit."""
    limit: str = ""
    ratio: str = ""

    @property
    def met(self) -> bool:
        if self.bar is None:
            return True
        return self.value >= self.bar if self.unit == "/s" else self.value <= self.bar


def core_seconds(process: int) -> float:
    """Time that a process of one thread has had on a core."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


class Client:
    """Keep-alive connections of raw sockets: what it costs itself is small next to a server's work."""

    def __init__(self, process: int, host: str, port: int) -> None:
        self.process, self._place = process, (host, port)
        self.address = f"{host}:{port}"
        self.connect()

    def connect(self) -> None:
        """New connections: the server has closed those that nothing was sent on for a while."""
        self._sockets = [socket.create_connection(self._place) for _ in range(CONNECTIONS)]
        for one in self._sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._files = [one.makefile("rb") for one in self._sockets]

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.address}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body

    def send(self, request: bytes) -> bytes:
        self._sockets[0].sendall(request)
        return self._read(0)

    def _read(self, number: int) -> bytes:
        file = self._files[number]
        status = file.readline()
        length = 0
        while (line := file.readline()) != b"\r\n":
            if not line:
                raise RuntimeError("the server closed the connection")
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = file.read(length) if length else b""
        if status.split()[1][:1] != b"2":
            raise RuntimeError(f"{status.decode().strip()}: {body[:400].decode(errors='replace')}")
        return body

    def timed(self, request: bytes) -> tuple[float, float]:
        """Milliseconds of the server's core and of the clock."""
        before, started = core_seconds(self.process), time.perf_counter()
        self.send(request)
        clock = time.perf_counter() - started
        return (core_seconds(self.process) - before) * 1000, clock * 1000

    def rate(self, requests: list[bytes]) -> tuple[float, float]:
        """Requests per second of the server's core and of the clock, with every connection busy."""
        before, started = core_seconds(self.process), time.perf_counter()
        for first in range(0, len(requests), CONNECTIONS):
            batch = requests[first : first + CONNECTIONS]
            for number, request in enumerate(batch):
                self._sockets[number].sendall(request)
            for number in range(len(batch)):
                self._read(number)
        clock = time.perf_counter() - started
        return len(requests) / (core_seconds(self.process) - before), len(requests) / clock

    def shared(self, requests: list[bytes], connections: int) -> tuple[float, float]:
        """Milliseconds of the server's core and of the clock for each request, the connections sharing them."""
        self.connect()
        left = iter(requests)
        lock = threading.Lock()

        def read(number: int) -> None:
            while True:
                with lock:
                    request = next(left, None)
                if request is None:
                    return
                self._sockets[number].sendall(request)
                self._read(number)

        threads = [threading.Thread(target=read, args=(number,)) for number in range(connections)]
        before, started = core_seconds(self.process), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock = time.perf_counter() - started
        core = core_seconds(self.process) - before
        return core * 1000 / len(requests), clock * 1000 / len(requests)


@contextmanager
def echo_server(core: int, size: int) -> Iterator[Client]:
    """A bare ASGI application on the HTTP server that the sandbox uses, answering `size` bytes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        handle = listening.fileno()
        process = subprocess.Popen([sys.executable, "-c", ECHO, str(handle), str(size)], pass_fds=[handle])
        try:
            os.sched_setaffinity(process.pid, {core})
            client = Client(process.pid, *listening.getsockname())
            client.send(client.request("GET", "/", b"", {}))
            yield client
        finally:
            process.terminate()
            process.wait(10)


@dataclass
class Sandbox:
    client: Client
    headers: dict[str, str]
    state: Path

    def record(self, method: str, rest: str, body: Any = None) -> bytes:
        content = json.dumps(body).encode() if body is not None else b""
        path = f"/{LABEL}/services/rest/record/v1/{rest}"
        return self.client.request(method, path, content, self.headers)

    def query(self, text: str) -> bytes:
        path, content = f"/{LABEL}/services/rest/query/v1/suiteql", json.dumps({"q": text}).encode()
        return self.client.request("POST", path, content, self.headers | {"Prefer": "transient"})

    def row(self, text: str) -> dict[str, str]:
        plain = {name: value for name, value in self.headers.items() if name != "Accept-Encoding"}
        asked = Sandbox(self.client, plain, self.state).query(text)
        found: dict[str, str] = json.loads(self.client.send(asked))["items"][0]
        return found

    def admin(self, what: str, body: Any) -> bytes:
        return self.client.request("POST", f"/{LABEL}/sandbox/{what}", json.dumps(body).encode(), {})


@contextmanager
def sandbox(core: int, profile: Path, folder: Path) -> Iterator[Sandbox]:
    key = ec.generate_private_key(ec.SECP256R1())
    public = folder / "public.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "--profile",
        str(profile),
        "--state",
        str(folder / "state.db"),
    ]
    command += ["--certificate", f"{ACCOUNT}:{CLIENT}:{CERTIFICATE}:{public}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        os.sched_setaffinity(process.pid, {core})
        assert process.stdout is not None
        host, port = process.stdout.readline().split()[-1].removeprefix("http://").split(":")
        client = Client(process.pid, host, int(port))
        headers = {"Authorization": f"Bearer {sign_in(client, key)}", "Accept-Encoding": "gzip"}
        headers["Content-Type"] = "application/json"
        yield Sandbox(client, headers, folder / f"state-{LABEL}.db")
    finally:
        process.terminate()
        process.wait(20)


def sign_in(client: Client, key: ec.EllipticCurvePrivateKey) -> str:
    path, now = f"/{LABEL}/services/rest/auth/oauth2/v1/token", int(time.time())
    claims = {"iss": CLIENT, "scope": ["rest_webservices"], "iat": now, "exp": now + 3000}
    claims["aud"] = f"http://{client.address}{path}"
    assertion = jwt.encode(claims, key, algorithm="ES256", headers={"kid": CERTIFICATE})
    form = (
        "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
        f"client-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return str(json.loads(client.send(client.request("POST", path, form.encode(), headers)))["access_token"])


def single_records(api: Sandbox, core: int, number: int) -> Iterator[Figure]:
    api.client.send(api.record("POST", "customer", {"companyName": "Benchmark", "subsidiary": {"id": "1"}}))
    customer = api.row("SELECT MAX(id) AS id FROM customer")["id"]
    lines = [{"item": {"id": "417"}, "quantity": n, "rate": 1.25} for n in range(1, 6)]
    body = {"entity": {"id": customer}, "tranDate": "2026-10-15", "item": {"items": lines}}
    api.client.send(api.record("PUT", "invoice/eid:benchmark", body))
    invoice = api.row("SELECT MAX(id) AS id FROM transaction")["id"]
    get = api.record("GET", f"invoice/{invoice}")
    with echo_server(core, len(api.client.send(get))) as bare:
        echo, _ = bare.rate([bare.request("GET", "/", b"", {})] * number)
    numbers = range(number)
    requests = {
        "GET invoice": [get] * number,
        "PATCH invoice": [api.record("PATCH", f"invoice/{invoice}", {"memo": f"m{n}"}) for n in numbers],
        "PATCH customer": [
            api.record("PATCH", f"customer/{customer}", {"comments": f"{n}"}) for n in numbers
        ],
        "PUT new invoice, 5 lines": [api.record("PUT", f"invoice/eid:b-{n}", body) for n in numbers[::4]],
    }
    for what, calls in requests.items():
        rate, clock = api.client.rate(calls)
        bar = None if what.startswith("PUT") else 1000.0
        limit = f"bare ASGI echo of a GET's bytes: {echo:,.0f}/s"
        yield Figure(what, rate, "/s", clock, bar, limit, f"{rate / echo:.0%}")


def fill(api: Sandbox, invoices: int) -> Figure:
    order = {"customers": 1000, "invoices": invoices, "lines": 3}
    core, clock = api.client.timed(api.admin("fill", order))
    return Figure(
        f"fill {invoices:,} invoices, 3 lines", core / 1000, "s", clock / 1000, 60 * invoices / 100_000
    )


def pages(api: Sandbox) -> Iterator[Figure]:
    ids = api.row("SELECT MIN(id) AS low, MAX(id) AS high FROM transaction")
    keys = api.row("SELECT MIN(uniquekey) AS low, MAX(uniquekey) AS high FROM transactionline")
    places = [{"id": place(ids, step), "key": place(keys, step)} for step in range(PLACES)]
    bare = bare_fetch(api.state, [at["id"] for at in places])
    limit = f"bare sqlite3 fetch of 1,000 headers: {bare:.1f} ms"
    for what, text in PAGES.items():
        times = [page_time(api, text, at) for at in places]
        middle, worst = statistics.median(t for t, _ in times), max(t for t, _ in times)
        clock = statistics.median(c for _, c in times)
        yield Figure(f"page of {what}", middle, "ms", clock, 20.0, limit, f"{middle / bare:.0f}x")
        yield Figure(f"    slowest of {PLACES} places", worst, "ms", max(c for _, c in times), 20.0)


def censuses(api: Sandbox, invoices: int) -> Iterator[Figure]:
    """Counts and sums by buckets of a thousand keys: the best of three times."""
    for what, (key, rest, bar) in CENSUSES.items():
        bucket = f"FLOOR({key} / 1000)"
        text = (
            f"SELECT {bucket} AS bucket, COUNT(*) AS row_count, COUNT(DISTINCT {key}) AS distinct_keys, "
            f"MIN({key}) AS low, MAX({key}) AS high, SUM({key}) AS key_sum, {rest} GROUP BY {bucket} ORDER BY {bucket}"
        )
        core, clock = min(api.client.timed(api.query(text)) for _ in range(3))
        yield Figure(f"census of {what} by buckets", core, "ms", clock, bar * max(invoices / 100_000, 0.1))


def readers(api: Sandbox) -> Figure:
    """Pages for several readers at once, each of which asks for its next page when it has one; per page."""
    ids = api.row("SELECT MIN(id) AS low, MAX(id) AS high FROM transaction WHERE type = 'CustInvc'")
    low, span = int(ids["low"]), max(int(ids["high"]) - int(ids["low"]) - 1000, 1)
    places = [low + span * number // READ_PAGES for number in range(READ_PAGES)]
    requests = [api.query(PAGES[READ].format(id=at) + " FETCH FIRST 1000 ROWS ONLY") for at in places]
    api.client.send(api.admin("governance", {"limit": READERS, "latency_ms": LATENCY}))
    core, clock = api.client.shared(requests, READERS)
    api.client.send(api.admin("governance", {"limit": 50, "latency_ms": 0}))
    paper = LATENCY / READERS
    limit = f"{LATENCY} ms of latency, {READERS} at once: {paper:.1f} ms a page"
    return Figure(
        f"page for {READERS} readers at once", core, "ms", clock, 10.0, limit, f"{clock / paper:.1f}x"
    )


def page_time(api: Sandbox, text: str, at: dict[str, int]) -> tuple[float, float]:
    """The best of three pages at almost the same place, none of which the sandbox has seen before."""
    times: list[tuple[float, float]] = []
    for step in range(3):
        moved = {name: value + step for name, value in at.items()}
        times.append(api.client.timed(api.query(text.format(**moved) + " FETCH FIRST 1000 ROWS ONLY")))
    return min(times)


def place(ends: dict[str, str], step: int) -> int:
    low, high = int(ends["low"]) - 1, int(ends["high"])
    return low + (high - low) * step // PLACES


def bare_fetch(state: Path, places: list[int]) -> float:
    """Milliseconds in which sqlite3 itself fetches a page of the same header rows, at the median."""
    connection = sqlite3.connect(f"file:{state}?mode=ro", uri=True)
    query = "SELECT id, tranid, foreigntotal, trandate FROM q_transaction WHERE id > ? ORDER BY id LIMIT 1000"
    times: list[float] = []
    for first in places:
        started = time.thread_time()
        connection.execute(query, (first,)).fetchall()
        times.append((time.thread_time() - started) * 1000)
    connection.close()
    return statistics.median(times)


def peak_memory(process: int) -> Figure:
    status = Path(f"/proc/{process}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return Figure("peak memory", int(peak.split()[1]) / 1024, "MB", None, 512.0)


def measure(arguments: argparse.Namespace, folder: Path, note: Callable[[str], None]) -> list[Figure]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[:-1])
    with sandbox(cores[-1], arguments.profile, folder) as api:
        api.client.send(api.admin("governance", {"limit": 50}))
        note("single records")
        figures = list(single_records(api, cores[-1], arguments.requests))
        note(f"filling {arguments.invoices:,} invoices")
        figures.append(fill(api, arguments.invoices))
        note("pages")
        figures += pages(api)
        note("censuses, and several readers")
        figures += censuses(api, arguments.invoices)
        figures.append(readers(api))
        figures.append(peak_memory(api.client.process))
    return figures


def show(figures: list[Figure], console: Console) -> None:
    table = Table("figure", "one core's time", "clock", "bar", "met", "limit in this run", "of it")
    for figure in figures:
        clock = "" if figure.clock is None else f"{figure.clock:,.1f} {figure.unit}"
        bar = "" if figure.bar is None else f"{figure.bar:,.0f} {figure.unit}"
        met = "" if figure.bar is None else "yes" if figure.met else "NO"
        value = f"{figure.value:,.1f} {figure.unit}"
        table.add_row(figure.what, value, clock, bar, met, figure.limit, figure.ratio)
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--invoices", type=int, default=100_000, help="invoices to fill (100000)")
    parser.add_argument("--requests", type=int, default=4_000, help="requests for each rate (4000)")
    parser.add_argument("--profile", type=Path, default=ROOT / "sandbox" / "profiles" / "oneworld.yaml")
    arguments = parser.parse_args()
    console = Console(width=160)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments, Path(folder), lambda what: console.print(f"measuring: {what}"))
    show(figures, console)
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
