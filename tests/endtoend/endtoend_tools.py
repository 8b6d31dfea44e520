"""What the end-to-end tests share: a demo in a folder of its own, its sandbox, and a second opinion on both.

Here: starting the sandbox on a copy of a prepared folder, running jobs and `recon`, asking the sandbox over plain
HTTP, reading the ledger and the published file. Not here: what must be true (the tests).
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import httpx
import jwt

from demo.bodies import BODIES, Names
from demo.books import make_books
from demo.documents import Billing
from demo.planted import PAYMENTS_FROM_BILLING, Booking, Books, customer_eid, payment_eid
from demo.sandbox_process import Certificate, Sandbox, running_sandbox
from demo.stage import ACCOUNTS, CERTIFICATE_ID, SEED, DemoTenant, Stage, usage_tenants

ROOT = Path(__file__).parents[2]
RECON = Path(sys.executable).with_name("recon")
REAL_INVOICES = ROOT.parent / "shared" / "data" / "online-retail-2010-12.csv"
TYPES = {"CustInvc": "invoice", "CustCred": "creditMemo"}
_CLOCK = "%Y-%m-%dT%H:%M:%S.%fZ"


@cache
def tenant(name: str) -> DemoTenant:
    """What a demo tenant billed by usage."""
    return next(each for each in usage_tenants() if each.name == name)


@cache
def books(name: str) -> Books:
    """What its NetSuite account holds at first, and what is wrong with it."""
    each = tenant(name)
    return make_books(name, each.billing, each.period, SEED)


# The jobs


@cache
def definitions() -> dg.Definitions:
    """The code location without its checks, which cost most of a run's time and are tested in the whole demo.

    Its jobs, and parts of them: `read_billing`, `plan`, and `apply`, which sends, verifies and publishes.
    """
    from netsuite_assets import jobs
    from netsuite_assets.definitions import build_defs

    every = build_defs()
    parts = {
        "reconcile": jobs.reconcile.selection,
        "write_back": jobs.write_back.selection,
        "apply": dg.AssetSelection.assets("applied_corrections", "verified_books", "published_mart"),
        "plan": dg.AssetSelection.assets("correction_plan"),
        "read_billing": dg.AssetSelection.groups("billing"),
    }
    # Nothing rests on it, and it is half as much work as all the rest.
    aside = dg.AssetSelection.assets("netsuite_catalog")
    return dg.Definitions(
        assets=every.assets,
        resources=every.resources,
        executor=every.executor,
        jobs=[dg.define_asset_job(name, part.without_checks() - aside) for name, part in parts.items()],
    )


def run(job: str, name: str, period: str) -> Any:
    """Run a job of `definitions` in this process. Raises `netsuite_assets.launch.RunFailed`, as `recon` does."""
    from netsuite_assets.launch import run_job

    with dg.DagsterInstance.ephemeral() as instance:
        return run_job(instance, definitions(), job, name, period, lambda step, done: None)  # type: ignore[arg-type]


# NetSuite, asked by a client that shares nothing with the product's


@dataclass
class View:
    """An account of the sandbox: its records, and the sandbox's own view of what was asked of it."""

    base: str
    client_id: str
    key: Path

    @cached_property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.base, timeout=30, trust_env=False)

    @cached_property
    def bearer(self) -> dict[str, str]:
        url = f"{self.base}/services/rest/auth/oauth2/v1/token"
        now = int(time.time())
        assertion = jwt.encode(
            {"iss": self.client_id, "scope": ["rest_webservices"], "aud": url, "iat": now, "exp": now + 3000,
             "jti": uuid.uuid4().hex},
            self.key.read_bytes(),
            algorithm="ES256",
            headers={"kid": CERTIFICATE_ID},
        )  # fmt: skip
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        answer = self.http.post(
            "/services/rest/auth/oauth2/v1/token",
            data={"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": assertion},
        )  # fmt: skip
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def suiteql(self, query: str) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = []
        while True:
            answer = self.http.post(
                f"/services/rest/query/v1/suiteql?limit=1000&offset={len(rows)}",
                json={"q": query},
                headers={**self.bearer, "Prefer": "transient"},
            )
            assert answer.status_code == 200, answer.text
            page = answer.json()
            rows += page["items"]
            if not page["hasMore"]:
                return rows

    def get(self, record: str, ref: str) -> dict[str, Any]:
        answer = self.http.get(
            f"/services/rest/record/v1/{record}/{ref}?expandSubResources=true", headers=self.bearer
        )
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = json.loads(answer.content, parse_float=Decimal)
        return content

    def patch(self, record: str, ref: str, body: Mapping[str, Any]) -> None:
        answer = self.http.patch(f"/services/rest/record/v1/{record}/{ref}", json=body, headers=self.bearer)
        assert answer.status_code == 204, answer.text

    def put(self, record: str, ref: str, body: Mapping[str, Any]) -> None:
        answer = self.http.put(f"/services/rest/record/v1/{record}/{ref}", json=body, headers=self.bearer)
        assert answer.status_code == 204, answer.text

    # The sandbox's own endpoints

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.http.get("/sandbox/stats").json()
        return stats

    def log(self, *, writes: bool = False, after: int = 0) -> list[dict[str, Any]]:
        """The requests that were answered, the oldest first."""
        query = f"?after={after}" + ("&writes=true" if writes else "")
        entries: list[dict[str, Any]] = self.http.get(f"/sandbox/requests{query}").json()["items"]
        return entries

    def forget_log(self) -> None:
        self.http.post("/sandbox/reset/log").raise_for_status()

    def arm(self, *faults: Mapping[str, Any]) -> None:
        answer = self.http.post("/sandbox/faults", json=list(faults))
        assert answer.status_code == 200, answer.text

    def disarm(self) -> int:
        """Take back the faults that did not strike; how many did."""
        struck = int(self.stats()["faults_struck"])
        self.http.delete("/sandbox/faults").raise_for_status()
        return struck

    def govern(self, **wanted: float) -> None:
        self.http.post("/sandbox/governance", json=wanted).raise_for_status()


# A demo at work


@dataclass
class World:
    """A folder in which somebody runs the demo (it has `.demo`), and the sandbox beside it."""

    folder: Path
    stage: Stage
    sandbox: Sandbox
    views: dict[str, View] = field(default_factory=dict)

    def view(self, name: str) -> View:
        if name not in self.views:
            account = ACCOUNTS[name]
            url = self.sandbox.account_url(account.account)
            self.views[name] = View(url, account.client_id, self.stage.keys(name).private_key)
        return self.views[name]

    @property
    def published(self) -> Path:
        return self.stage.home / "warehouse" / "published.duckdb"

    @property
    def ledger(self) -> LedgerView:
        return LedgerView(self.stage.home / "ledger.sqlite")

    def working(self, name: str) -> Path:
        return self.stage.home / "warehouse" / "tenants" / f"{name}.duckdb"

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the published file, as an analyst does."""
        return query(self.published, sql, *parameters)

    def recon(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return recon(*arguments, folder=self.folder, environ=self.stage.kept_environment() | environ)

    def change_tenant(self, name: str, old: str, new: str) -> None:
        """Replace text in the tenant's file, in a registry of this world's own."""
        registry = self.stage.home / "tenants"
        if not registry.exists():
            shutil.copytree(ROOT / "tenants", registry)
        os.environ["RECON_TENANTS"] = str(registry)
        path = registry / f"{name}.yaml"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{text.count(old)} times in {path}: {old}"
        path.write_text(text.replace(old, new), encoding="utf-8")


def query(path: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Ask a DuckDB file, read-only."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql, list(parameters)).fetchall()


@contextmanager
def world(
    folder: Path, *, profiles: Mapping[str, Path] | None = None, first_month: str = "2026-08"
) -> Iterator[World]:
    """The sandbox over the folder's state, and the environment of a run; `profiles` replace accounts' own.

    The environment is put back at the end.
    """
    stage = Stage(folder / ".demo")
    accounts = ACCOUNTS.values()
    former = dict(os.environ)
    with running_sandbox(
        [(profiles or {}).get(account.tenant, account.profile) for account in accounts],
        [
            Certificate(
                account.account, account.client_id, CERTIFICATE_ID, stage.keys(account.tenant).certificate
            )
            for account in accounts
        ],
        state=stage.home / "sandbox.sqlite",
        log=folder / "sandbox.log",
    ) as sandbox:
        try:
            stage.set_environment(sandbox, first_month)
            opened = World(folder, stage, sandbox)
            yield opened
        finally:
            for view in opened.views.values():
                view.http.close()
            os.environ.clear()
            os.environ.update(former)


def recon(
    *arguments: str, folder: Path, environ: Mapping[str, str], seconds: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run the `recon` command in a folder, with nothing of ours in its environment but `environ`."""
    return subprocess.run(
        [str(RECON), *arguments],
        cwd=folder,
        env=plain_environment() | dict(environ),
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def plain_environment() -> dict[str, str]:
    """This process's environment without the project's and Dagster's variables; wide enough for whole lines."""
    prefixes = ("RECON_", "DAGSTER_", *(f"{name.upper()}_" for name in ACCOUNTS))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return kept | {"COLUMNS": "200"}


# The ledger


@dataclass(frozen=True)
class LedgerView:
    """The ledger's tables, read as plain SQLite."""

    path: Path

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, parameters)]
        finally:
            connection.close()

    def intents(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM intents ORDER BY id")

    def booked(self) -> list[dict[str, Any]]:
        """What was to be written to NetSuite, without what flows back to billing."""
        return self.rows("SELECT * FROM intents WHERE action <> 'return' ORDER BY id")

    def open(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM intents WHERE is_open ORDER BY id")

    def events(self, intent: int) -> list[str]:
        return [
            row["kind"]
            for row in self.rows("SELECT kind FROM events WHERE intent_id = ? ORDER BY id", intent)
        ]

    def assert_consistent(self) -> None:
        """Every intent begins as intended, is closed exactly once, and attempts count up from one."""
        closing = {"answered", "rejected", "adopted", "not_found"}
        for intent in self.intents():
            story = self.events(intent["id"])
            assert story[0] == "intended", (intent["target"], story)
            assert story.count("intended") == 1, (intent["target"], story)
            closed = [kind for kind in story if kind in closing]
            assert bool(closed) != bool(intent["is_open"]), (intent["target"], story)
            assert len(closed) <= 1, (intent["target"], story)
        attempts: dict[str, list[int]] = {}
        for intent in self.intents():
            attempts.setdefault(intent["operation_key"], []).append(intent["attempt"])
        for key, numbers in attempts.items():
            assert numbers == list(range(1, len(numbers) + 1)), key

    def assert_intended_first(self, log: Sequence[Mapping[str, Any]]) -> None:
        """Every write that reached NetSuite stood in the ledger before: the same request, noted earlier."""
        noted: dict[tuple[str, str], list[str]] = {}
        for intent in self.intents():
            query = f"?{intent['query']}" if intent["query"] else ""
            noted.setdefault((intent["method"], intent["path"] + query), []).append(
                intent["intended_at"].replace(" ", "T")
            )
        for entry in log:
            times = noted.get((entry["method"], entry["path"]))
            assert times, f"{entry['method']} {entry['path']} was sent without an intent"
            assert min(times) <= entry["time"], entry


# What NetSuite must hold


def assert_holds_exactly(
    view: View, name: str, billing: Billing, *, read: Sequence[str] | None = None
) -> None:
    """The account holds the customers and documents that were billed (those that name a customer), each once, and no
    other invoice or credit memo; and each of them as the demo's own hand-written bodies have it. Where payments come
    from billing it holds exactly those, settling what they settle in billing.

    `read` limits the reading of single records to these external ids.
    """
    expected = {
        booking.external_id or "": booking
        for booking in (
            *(Booking("invoice", f"inv-{each.id}", each) for each in billing.invoices if each.customer_id),
            *(
                Booking("creditMemo", f"cm-{each.id}", each)
                for each in billing.credit_notes
                if each.customer_id
            ),
        )
    }
    held = view.suiteql(
        "SELECT t.id, t.type, t.externalid, t.otherrefnum, ABS(t.foreigntotal) AS total, t.memo"
        " FROM transaction t WHERE t.type IN ('CustInvc', 'CustCred') ORDER BY t.id"
    )
    assert_each_once(held)
    if name in PAYMENTS_FROM_BILLING:
        assert_paid_exactly(view, billing)
    by_id = {row.get("externalid"): row for row in held}
    assert sorted(map(str, by_id)) == sorted(expected)
    for external_id, booking in expected.items():
        row = by_id[external_id]
        assert TYPES[row["type"]] == booking.record, external_id
        assert Decimal(row["total"]) == booking.document.total, external_id
        assert row["otherrefnum"] == booking.document.number, external_id

    customers = {
        row["externalid"]: row["id"]
        for row in view.suiteql("SELECT id, externalid FROM customer ORDER BY id")
    }
    assert sorted(customers) == sorted(customer_eid(each.id) for each in billing.customers)
    bodies = BODIES[name]
    names = Names(
        {
            listing: {row["name"]: row["id"] for row in view.suiteql(text)}
            for listing, text in bodies.lists.items()
        }
    )
    for customer in billing.customers:
        external_id = customer_eid(customer.id)
        if read is None or external_id in read:
            _assert_same(
                bodies.of_customer(customer, names),
                view.get("customer", f"eid:{external_id}"),
                customers,
                external_id,
            )
    for external_id, booking in expected.items():
        if read is None or external_id in read:
            _assert_same(
                bodies.of_document(booking, names),
                view.get(booking.record, by_id[external_id]["id"]),
                customers,
                external_id,
            )


def assert_paid_exactly(view: View, billing: Billing) -> None:
    """The account holds the payments of billing and no others, each applied to what it settles there."""
    held = view.suiteql(
        "SELECT t.id, t.externalid, ABS(t.foreigntotal) AS total FROM transaction t WHERE t.type = 'CustPymt' ORDER BY t.id"
    )
    names = {row["id"]: row["externalid"] for row in held}
    assert {names[row["id"]]: Decimal(row["total"]) for row in held} == {
        payment_eid(each): each.amount for each in billing.payments
    }
    links = view.suiteql(
        "SELECT l.nextdoc, i.externalid, l.foreignamount FROM NextTransactionLineLink l JOIN transaction i"
        " ON i.id = l.previousdoc JOIN transaction p ON p.id = l.nextdoc WHERE p.type = 'CustPymt' ORDER BY l.nextdoc, i.id"
    )
    assert Counter(
        (names[row["nextdoc"]], row["externalid"], Decimal(row["foreignamount"])) for row in links
    ) == Counter(
        (payment_eid(each), f"inv-{invoice}", amount)
        for each in billing.payments
        for invoice, amount in each.applications
    )


def assert_each_once(held: Sequence[Mapping[str, str]]) -> None:
    """No external id and no billing number is there twice, and nothing is there without one."""
    assert [row["id"] for row in held if not row.get("externalid")] == []
    for column in ("externalid", "otherrefnum"):
        counted = Counter((row["type"], row.get(column)) for row in held)
        assert [key for key, times in counted.items() if times > 1] == []


def _assert_same(
    body: Mapping[str, Any], got: Mapping[str, Any], customers: Mapping[str, str], about: str
) -> None:
    for name, wanted in body.items():
        if isinstance(wanted, Mapping) and "items" in wanted:
            lines = got["item"]["items"]
            assert len(lines) == len(wanted["items"]), about
            for position, (line, there) in enumerate(zip(wanted["items"], lines, strict=True), 1):
                _assert_same(line, there, customers, f"{about}, line {position}")
        elif isinstance(wanted, Mapping):
            internal_id = wanted["id"] if "id" in wanted else customers[wanted["externalId"]]
            assert got[name]["id"] == internal_id, f"{about}: {name}"
        elif isinstance(wanted, Decimal):
            assert Decimal(str(got[name])) == wanted, f"{about}: {name}"
        else:
            assert got.get(name) == wanted, f"{about}: {name}"
