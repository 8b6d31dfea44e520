"""One small tenant with an account to itself, whose runs are processes that may end themselves at an exact step.

Here: its billing database and its file, its account over plain HTTP, the server that forks its runs, and what a run
does. Not here: what must be true (the tests). Run as a program this module is that server.

    python endtoend_office.py        one job as a line of JSON in, its end as a line of JSON out

A run that is to be killed counts its steps from its first intent on: each commit of a database before and after it is
done, and of each request its beginning, its last byte sent, its answer's beginning and end. At the given step it sends
itself SIGKILL. Nothing of the product knows of it: the steps are seen at SQLAlchemy's and httpcore's own hooks.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from demo.stage import CERTIFICATE_ID

ROOT = Path(__file__).parents[2]
ACCOUNT = "1234567_SB1"
CLIENT = "billing-integration"
MONTH = "2026-10"

#: httpcore's names of what happens to a request, and ours.
_SEEN = {
    "http11.send_request_body.complete": "request sent",
    "http11.receive_response_headers.complete": "answer begun",
    "http11.receive_response_body.complete": "answer received",
}

_FILE = """
tenant: acme
extends: _defaults
timezone: America/New_York
netsuite:
  account: 1234567_SB1
  base_url: ${NS_URL}
  auth: {method: oauth2_client_credentials, client_id: "${NS_CLIENT}", certificate_id: "${NS_CERT}", private_key_file: "${NS_KEY}"}
billing:
  system: sql
  url: ${BILLING_URL}
  tables:
    customers: {table: customers}
    invoices: {table: invoices}
    invoice_lines: {table: invoice_lines}
    credit_notes: {table: credit_notes}
    credit_note_lines: {table: credit_note_lines}
writeback:
  mode: apply
  approve_automatically: {operations: 1000, amount: 1000000000}
  circuit_breaker: {share: 1}
  only_in_netsuite: delete
records:
  customer:
    fields:
      subsidiary: {value: "1"}
      email:      {from: email, owner: netsuite}
  invoice:
    fields: {subsidiary: {value: "1"}}
    lines: {item: {value: Usage, lookup: item, by: name}}
  creditMemo:
    fields: {subsidiary: {value: "1"}}
    lines: {item: {value: Usage, lookup: item, by: name}}
"""


# What billing holds


@dataclass(frozen=True)
class Line:
    text: str
    quantity: Decimal
    rate: Decimal

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.rate


@dataclass(frozen=True)
class Document:
    """An invoice or a credit note as billing has it."""

    record: str
    key: str
    customer: str
    day: int
    lines: tuple[Line, ...]

    @property
    def external_id(self) -> str:
        return f"{'inv' if self.record == 'invoice' else 'cm'}-{self.key}"

    @property
    def number(self) -> str:
        return f"N-{self.external_id}"

    @property
    def total(self) -> Decimal:
        return sum((line.amount for line in self.lines), Decimal(0))

    @property
    def body(self) -> dict[str, Any]:
        """The document as a person enters it in NetSuite."""
        due = {"dueDate": f"{MONTH}-30"} if self.record == "invoice" else {}
        lines = [
            {"item": {"id": "417"}, "description": line.text, "quantity": float(line.quantity),
             "rate": float(line.rate), "amount": float(line.amount)}
            for line in self.lines
        ]  # fmt: skip
        return due | {
            "entity": {"externalId": f"cus-{self.customer}"}, "currency": {"id": "1"}, "tranDate": self.issued_on,
            "otherRefNum": self.number, "item": {"items": lines},
        }  # fmt: skip

    @property
    def issued_on(self) -> str:
        return f"{MONTH}-{self.day:02}"


# A tenant at its desk


@dataclass(frozen=True)
class Office:
    """The tenant's folder and its account; a job of it may be sent to the server as JSON."""

    folder: str
    url: str
    key: str

    @property
    def home(self) -> Path:
        return Path(self.folder)

    @property
    def ledger(self) -> Path:
        return self.home / "ledger.sqlite"

    @property
    def environ(self) -> dict[str, str]:
        return {
            "NS_URL": self.url,
            "NS_CLIENT": CLIENT,
            "NS_CERT": CERTIFICATE_ID,
            "NS_KEY": self.key,
            "BILLING_URL": f"sqlite:///{self.home / 'billing.sqlite'}",
            "RECON_LEDGER": f"sqlite:///{self.ledger}",
            "RECON_TENANTS": str(self.home / "tenants"),
            "RECON_WAREHOUSE": str(self.home / "warehouse"),
        }

    def open(self, **writeback: Any) -> None:
        """Write the tenant's file, its write-back policy with these settings, and make billing's empty tables."""
        import yaml

        from resources.billing.canonical import TABLES

        tenants = self.home / "tenants"
        tenants.mkdir(parents=True, exist_ok=True)
        defaults = (ROOT / "tenants" / "_defaults.yaml").read_text(encoding="utf-8")
        (tenants / "_defaults.yaml").write_text(defaults, encoding="utf-8")
        content = yaml.safe_load(_FILE)
        content["writeback"] |= writeback
        (tenants / "acme.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        with self._billing() as billing:
            for name in content["billing"]["tables"]:
                columns = ", ".join(f'"{column}" TEXT' for column in TABLES[name].schema.names)
                billing.execute(f'CREATE TABLE IF NOT EXISTS "{name}" ({columns})')

    def bill(self, customers: Mapping[str, str], documents: Sequence[Document]) -> None:
        """Let billing hold exactly these customers (key to name) and documents."""
        with self._billing() as billing:
            for name in ("customers", "invoices", "invoice_lines", "credit_notes", "credit_note_lines"):
                billing.execute(f'DELETE FROM "{name}"')
            for key, shown in customers.items():
                _add(billing, "customers", id=key, name=shown, currency="USD")
            for each in documents:
                table, lines, parent = (
                    ("invoices", "invoice_lines", "invoice_id")
                    if each.record == "invoice"
                    else ("credit_notes", "credit_note_lines", "credit_note_id")
                )
                due = {"due_on": f"{MONTH}-30"} if each.record == "invoice" else {}
                _add(
                    billing, table, id=each.key, number=each.number, issued_on=each.issued_on, currency="USD",
                    total=str(each.total), customer_id=each.customer, **due,
                )  # fmt: skip
                for position, line in enumerate(each.lines, 1):
                    _add(
                        billing, lines, id=f"{each.key}-{position}", line_no=str(position), description=line.text,
                        quantity=str(line.quantity), unit_amount=str(line.rate), amount=str(line.amount),
                        **{parent: each.key},
                    )  # fmt: skip

    @contextmanager
    def _billing(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.home / "billing.sqlite")
        try:
            with connection:
                yield connection
        finally:
            connection.close()


def _add(connection: sqlite3.Connection, table: str, **row: str) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    connection.execute(
        f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(row))})', list(row.values())
    )


# Runs


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status (negative: the signal), what it said of itself, and its steps.

    `said` has `operations`, `conflicts`, `states`, `unverified` and `refused` of a run that came to its end.
    """

    status: int
    said: Mapping[str, Any]
    steps: Sequence[str]

    @property
    def was_killed(self) -> bool:
        return self.status == -signal.SIGKILL

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left of which this run knows."""
        states = set(self.said.get("states", {"unknown": 1}))
        return self.status == 0 and states <= {"written", "adopted"} and not self.said["unverified"]


class Runs:
    """The server that forks a process for every run."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )

    def run(self, office: Office, *parts: str, kill_at: int | None = None) -> Ended:
        """Do `plan`, `approve` (by a person) and `apply`, or some of these, in a process of its own, which ends itself at
        its step number `kill_at`.

        `apply` reads back too. Fails when the process ends with an error that no person is told.
        """
        job = {"office": asdict(office), "parts": parts, "kill_at": kill_at}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        for name in ("said.json", "steps.txt"):
            (office.home / name).unlink(missing_ok=True)
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        said, steps = office.home / "said.json", office.home / "steps.txt"
        assert status in (0, -signal.SIGKILL), (office.home / "run.log").read_text(encoding="utf-8")
        return Ended(
            status,
            json.loads(said.read_text(encoding="utf-8")) if said.exists() else {},
            steps.read_text(encoding="utf-8").splitlines() if steps.exists() else [],
        )

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(30)


def _serve() -> None:
    """Fork a process for each job, one after the other, until there are no more."""
    known: set[str] = set()
    for line in sys.stdin:
        job = json.loads(line)
        office = Office(**job["office"])
        child = os.fork()
        if child == 0:
            os._exit(_child(office, job["parts"], job["kill_at"]))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201
        # What one run imported, the next ones have from the beginning.
        modules = office.home / "modules.txt"
        if modules.exists() and not known:
            known = set(modules.read_text(encoding="utf-8").split())
            for name in sorted(known - set(sys.modules)):
                with contextlib.suppress(ImportError):  # some can be imported by their own package alone
                    importlib.import_module(name)
            gc.collect()
            gc.freeze()
    os._exit(0)


def _child(office: Office, parts: Sequence[str], kill_at: int | None) -> int:
    with (office.home / "run.log").open("a", encoding="utf-8") as log:
        os.dup2(log.fileno(), 2)
        try:
            said = _run(office, parts, Steps(office.home / "steps.txt", kill_at))
            (office.home / "said.json").write_text(json.dumps(said), encoding="utf-8")
            modules = {name for name, module in sys.modules.items() if getattr(module, "__spec__", None)}
            (office.home / "modules.txt").write_text("\n".join(modules), encoding="utf-8")
        except BaseException:
            traceback.print_exc(file=log)
            return 1
    return 0


class Steps:
    """Counts the steps of a process from its first intent on, notes each, and ends the process at one of them."""

    def __init__(self, path: Path, kill_at: int | None) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._kill_at = kill_at
        self._count = 0
        self._counts = False
        self._lock = threading.Lock()

    def at(self, step: str) -> None:
        with self._lock:
            if not self._counts:
                return
            self._count += 1
            self._file.write(step + "\n")
            self._file.flush()
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """See every commit and every request of this process from now on."""
        import httpx
        import sqlalchemy as sa

        def executes(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            if statement.startswith("INSERT INTO intents"):
                self._counts = True

        sa.event.listen(sa.Engine, "before_cursor_execute", executes)
        sa.event.listen(sa.Engine, "commit", lambda _: self.at("about to commit"))
        sa.event.listen(sa.Pool, "checkin", lambda *_: self.at("committed"))
        plain = httpx.AsyncHTTPTransport.handle_async_request

        async def seen(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            async def trace(event: str, _: Any) -> None:
                if event in _SEEN:
                    self.at(f"{_SEEN[event]}: {request.method}")

            self.at(f"request begun: {request.method}")
            request.extensions = {**request.extensions, "trace": trace}
            return await plain(transport, request)

        httpx.AsyncHTTPTransport.handle_async_request = seen  # type: ignore[method-assign]


def _now() -> datetime:
    return datetime.now(UTC)


def _run(office: Office, parts: Sequence[str], steps: Steps) -> dict[str, Any]:
    """The stages of one run, as the assets call them."""
    from netsuite_assets import frames
    from netsuite_assets.extract.billing import extract_billing
    from netsuite_assets.extract.netsuite import extract_customers, extract_documents
    from netsuite_assets.extract.reference import extract_reference
    from netsuite_assets.mapping.compiler import compile_mapping
    from netsuite_assets.mapping.expected import fill_expected
    from netsuite_assets.reconcile.engine import reconcile
    from netsuite_assets.writeback.apply import apply_plan
    from netsuite_assets.writeback.approval import Selection, approve
    from netsuite_assets.writeback.plan import PlanRefused, make_plan
    from netsuite_assets.writeback.verify import verify
    from resources.billing.canonical import TABLES
    from resources.connections import billing_source
    from resources.ledger import Ledger
    from resources.netsuite.client import NetSuite
    from resources.netsuite.governor import Backoff, Governor
    from resources.netsuite.jobs import Polling
    from resources.sign_in import netsuite_auth, netsuite_hosts
    from resources.tenants import TenantRegistry
    from resources.warehouse import TenantWarehouse, Warehouse

    environ = office.environ
    tenant = TenantRegistry(office.home / "tenants").load("acme", environ)
    mapping = compile_mapping(tenant)
    steps.watch()
    ledger = Ledger(environ["RECON_LEDGER"])
    said: dict[str, Any] = {"refused": None, "unverified": 0, "states": {}, "operations": 0, "conflicts": []}
    polling = Polling(first=0.02, growth=1.3, longest=0.2, patience=20)
    source = billing_source(tenant, environ)

    async def work(held: TenantWarehouse) -> None:
        hosts = netsuite_hosts(tenant, environ)
        governor = Governor(5, 1, backoff=Backoff(base=0.01, longest=0.05))
        async with NetSuite(hosts, netsuite_auth(tenant, environ, hosts), governor=governor) as netsuite:
            if "plan" in parts:
                extract_billing(held, source, list(TABLES), MONTH, _now())
                await extract_reference(held, netsuite, mapping, _now())
                fill_expected(held, mapping, MONTH, _now())
                for record, rules in mapping.records.items():
                    written = ledger.written("acme", record)
                    if record == "customer":
                        await extract_customers(held, netsuite, rules, _now(), written=written)
                    else:
                        await extract_documents(held, netsuite, rules, MONTH, _now(), written=written)
                reconcile(held, tenant, mapping, MONTH, source.locate)
                planned = make_plan(held, tenant, mapping, MONTH, ledger, _now())
                said["operations"] = len(planned.operations)
                said["conflicts"] = [
                    external_id
                    for (external_id,) in held.sql(
                        "SELECT DISTINCT external_id FROM reconciliation.exceptions WHERE code = 'conflict' ORDER BY 1"
                    )
                ]
            if "approve" in parts:
                said["approved"] = approve(
                    held, ledger, MONTH, "Ada", "read line by line", Selection(), _now()
                )
            if "apply" in parts:
                clock = _now
                applied = await apply_plan(
                    held, netsuite, tenant, mapping, MONTH, ledger, clock, lambda done, of: None, polling=polling
                )  # fmt: skip
                verified = await verify(
                    held, netsuite, tenant, mapping, MONTH, ledger, source.locate, clock, pauses=(0.05, 0.2)
                )  # fmt: skip
                said["states"] = dict(Counter(verified.outcomes["state"].tolist()))
                said["unverified"] = verified.unconfirmed
                said["settled"] = applied.settled
                said["outcomes"] = [
                    [row["record"], row["action"], row["external_id"] or row["internal_id"], row["state"], row["detail"]]
                    for row in frames.records(verified.outcomes)
                ]  # fmt: skip

    try:
        with Warehouse(office.home / "warehouse").open("acme") as held:
            asyncio.run(work(held))
    except PlanRefused as error:
        said["refused"] = str(error)
    finally:
        source.close()
        ledger.close()
    return said


if __name__ == "__main__":
    _serve()
