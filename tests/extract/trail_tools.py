"""What the tests of reference data, trails, revenue and rows out of sight share: a sandbox account with several people.

Here: starting it, what each person does in it, and running an extraction into a warehouse. Not here: what must be true.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from netsuite_assets.extract.netsuite import extract_customers, extract_documents
from netsuite_assets.extract.reference import extract_reference
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from netsuite_assets.mapping.compiler import compile_mapping
from resources.netsuite.client import NetSuite
from resources.netsuite.governor import Backoff, Governor
from resources.netsuite.hosts import Hosts
from resources.netsuite.tba import TbaCredentials, TokenBased
from resources.netsuite.writes import create_request, delete_request, update_request
from resources.tenants import TenantRegistry
from resources.warehouse import Slice, TenantWarehouse

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
PERIOD = "2026-10"
T = TypeVar("T")

#: How NetSuite shows the people: the sandbox knows no employees, so that it shows their ids.
ADA, ROBOT = "7001", "7002"
NAMES = {ADA: "Ada Byron", ROBOT: "Billing Robot"}

#: People and what they may not: each has a role and a token of their own.
LACKING = {
    "robot": (),
    "clerk": ("Deleted Records", "Departments", "Locations"),
    "stranger": ("Subsidiaries",),
    "local": (),
}
#: The subsidiaries that a role is restricted to.
RESTRICTED = {"local": ["1"]}


@dataclass(frozen=True)
class Office:
    """An account in which several people are at work, and the tenant's mapping for it."""

    url: str
    realm: str
    consumer: Mapping[str, str]
    item: str
    subsidiary: str | None
    mapping: TenantMapping
    queries: list[str] = field(default_factory=list)
    """What our client has asked by SuiteQL; to be cleared by whoever counts."""

    def use(self, work: Callable[[NetSuite], Awaitable[T]], who: str = "robot") -> T:
        """Run `work` with a client of ours that signs in as this person."""
        hosts = Hosts(self.realm, self.url)
        credentials = TbaCredentials(**self.consumer, token_id=f"tk_{who}", token_secret=f"ts_{who}")
        governor = Governor(5, 1, backoff=Backoff(base=0.01, longest=0.1))

        async def run() -> T:
            auth, transport = TokenBased(hosts, lambda: credentials), Listening(self.queries)
            async with NetSuite(hosts, auth, governor=governor, transport=transport) as netsuite:
                return await work(netsuite)

        return asyncio.run(run())

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """The sandbox's own endpoints."""
        answer = httpx.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def reset(self) -> None:
        """Back to the profile."""
        self.admin("DELETE", "faults")
        self.admin("POST", "reset")

    def without(self, folder: Path, *lists: str) -> Office:
        """The same account for a tenant like acme whose mapping looks nothing up in these lists."""
        for name in ("_defaults", "acme"):
            lines = (ROOT / "tenants" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if not any(f"lookup: {one}," in line for one in lists)]
            (folder / f"{name}.yaml").write_text("\n".join(kept), encoding="utf-8")
        return replace(self, mapping=compile_mapping(TenantRegistry(folder).load("acme")))

    # What people do

    def write(self, record: str, body: Mapping[str, Any], who: str = "robot") -> str:
        answer = self.use(lambda netsuite: netsuite.send(create_request(record, body)), who)
        assert answer.internal_id is not None
        return answer.internal_id

    def change(self, record: str, internal_id: str, body: Mapping[str, Any], who: str = "robot") -> None:
        self.use(lambda netsuite: netsuite.send(update_request(record, internal_id, body)), who)

    def delete(self, record: str, internal_id: str, who: str = "robot") -> None:
        self.use(lambda netsuite: netsuite.send(delete_request(record, internal_id)), who)

    def get(self, record: str, internal_id: str) -> dict[str, Any]:
        return self.use(lambda netsuite: netsuite.get(record, internal_id, expand=True))

    def customer(self, name: str = "Nordwind Ltd", **more: Any) -> str:
        company = {"subsidiary": {"id": self.subsidiary}} if self.subsidiary else {}
        return self.write("customer", {"companyName": name, **company, **more})

    def invoice(self, customer: str, amount: str = "100.00", day: str = "2026-10-15", **more: Any) -> str:
        line = {"item": {"id": self.item}, "amount": Decimal(amount)}
        return self.write(
            "invoice", {"entity": {"id": customer}, "tranDate": day, "item": {"items": [line]}, **more}
        )

    # What is read

    def reference(self, held: TenantWarehouse, who: str = "robot") -> dict[str, Slice]:
        return self.use(lambda netsuite: extract_reference(held, netsuite, self.mapping, NOW), who)

    def customers(self, held: TenantWarehouse, who: str = "robot", **known: Any) -> Slice:
        rules = self.mapping.records["customer"]
        return self.use(lambda netsuite: extract_customers(held, netsuite, rules, NOW, **known), who)

    def invoices(self, held: TenantWarehouse, who: str = "robot", **known: Any) -> Slice:
        """Land the invoices of the month."""
        rules = self.mapping.records["invoice"]
        for statement in rules.create_table_sql():
            held.sql(statement)
        landed = self.use(
            lambda netsuite: extract_documents(held, netsuite, rules, PERIOD, NOW, **known), who
        )
        return landed["invoices"]

    def documents(self, held: TenantWarehouse) -> None:
        """Land all that the month's documents need, and these."""
        self.reference(held)
        self.customers(held)
        self.invoices(held)


class Listening(httpx.AsyncHTTPTransport):
    """Notes each query before it is sent."""

    def __init__(self, queries: list[str]) -> None:
        super().__init__()
        self._queries = queries

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/suiteql"):
            self._queries.append(json.loads(request.content)["q"])
        return await super().handle_async_request(request)


@contextmanager
def running_offices(folder: Path) -> Iterator[dict[str, Office]]:
    """A sandbox with the account `oneworld` of two subsidiaries, and `single`, of one company."""
    command = [sys.executable, "-m", "sandbox", "--port", "0"]
    profiles = {}
    for name in ("oneworld", "single"):
        profile = yaml.safe_load((ROOT / "sandbox" / "profiles" / f"{name}.yaml").read_text())
        _people(profile)
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(profile))
        command += ["--profile", str(path)]
        profiles[name] = profile
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        ready = re.search(r"ready at (http://\S+)", process.stdout.readline())
        assert ready is not None, "the sandbox did not start"
        try:
            yield {
                "oneworld": _office(ready[1], profiles["oneworld"], "417", "1", "acme"),
                "single": _office(ready[1], profiles["single"], "25", None, "globex"),
            }
        finally:
            process.terminate()
            process.wait(10)


def _people(profile: dict[str, Any]) -> None:
    first = profile["roles"][0]
    first["permissions"] |= {
        "Deleted Records": "view",
        "Revenue Element": "view",
        "Revenue Recognition Plan": "view",
    }
    integration = profile["integrations"][0]
    roles = {"ada": "3"}
    for number, (who, lacking) in enumerate(LACKING.items()):
        permissions = {name: level for name, level in first["permissions"].items() if name not in lacking}
        if who == "clerk":
            permissions = {
                name: level for name, level in permissions.items() if not name.startswith("Revenue")
            }
        roles[who] = str(5000 + number)
        role = {"id": roles[who], "name": who.capitalize(), "permissions": permissions}
        if profile["edition"] == "oneworld":
            role["subsidiaries"] = RESTRICTED.get(who, [])
        profile["roles"].append(role)
    profile["users"] = [
        {"id": ADA, "name": NAMES[ADA], "email": "ada@example.com", "roles": [3]},
        {"id": ROBOT, "name": NAMES[ROBOT], "email": "robot@example.com", "roles": [5000]},
    ]
    for portal in profile["integrations"][1:]:
        portal.pop("consent_users", None)
    integration["tokens"] = [
        {"id": f"tk_{who}", "secret": f"ts_{who}", "role": role, "entity": ADA if who == "ada" else ROBOT}
        for who, role in roles.items()
    ]


def _office(root: str, profile: Mapping[str, Any], item: str, subsidiary: str | None, tenant: str) -> Office:
    integration = profile["integrations"][0]
    consumer = {"consumer_key": integration["client_id"], "consumer_secret": integration["client_secret"]}
    return Office(
        f"{root}/{profile['account'].lower().replace('_', '-')}",
        profile["account"],
        consumer,
        item,
        subsidiary,
        compile_mapping(TenantRegistry(ROOT / "tenants").load(tenant)),
    )


def rows(held: TenantWarehouse, table: str, order: str = "ALL") -> list[dict[str, Any]]:
    """The rows of a table."""
    found: list[dict[str, Any]] = held.arrow(f"SELECT * FROM {table} ORDER BY {order}").to_pylist()
    return found
