"""What the tests of payments, journals and ledger lines share: two sandbox accounts, and a second opinion on them.

Here: starting the sandbox with the accounts' profiles, writing and reading with the signatures of the PyPI `netsuite`
client (which shares nothing with ours), and running an extraction into a warehouse. Not here: what must be true (the tests).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from collections.abc import Mapping as Mapping_
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import yaml
from authlib.integrations.httpx_client import OAuth1Auth
from netsuite import rest_api_base

from netsuite_assets.extract.netsuite import extract_customers
from netsuite_assets.extract.reference import extract_reference
from netsuite_assets.mapping.compiler import Mapping, compile_mapping
from resources.netsuite.client import NetSuite
from resources.netsuite.governor import Backoff, Governor
from resources.netsuite.hosts import Hosts
from resources.netsuite.tba import TbaCredentials, TokenBased
from resources.tenants import TenantRegistry
from resources.warehouse import TenantWarehouse, Warehouse

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "sandbox" / "profiles"
NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
#: The turned account answers otherwise wherever no source says how NetSuite does.
TURNED = {
    "credit_header_sign": "positive",
    "apply_touches_invoice": False,
    "journal_main_line": False,
    "link_type": "Applied",
    "apply_sublist": "open",
    "undep_funds_form": "boolean",
    "payment_owns_credits": True,
    "line_quantity_sign": "ledger",
    "date_outside_period": "allow",
    "missing_permission_status": 400,
    "suiteql_leading_zero": False,
    "suiteql_buggy_last_link": True,
}
YEN = {"id": 9, "symbol": "JPY", "name": "Yen", "precision": 0, "rate": 0.0065}
MONTHS = (f"{year}-{month:02}" for year in (*range(2011, 2026), 2027) for month in range(1, 11, 3))
"""Months that are far enough apart: each test has one to itself."""


Meddle = Callable[[int, str], str | None]


@dataclass
class Account:
    """An account of the sandbox: how one writes to it and asks it, and the ids of its masters."""

    url: str
    realm: str
    tokens: Mapping_[str, str]
    blind: Mapping_[str, str]
    base_currency: str
    tenant: str
    masters: Any
    held: TenantWarehouse
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    # The second opinion

    @cached_property
    def http(self) -> httpx.Client:
        """A client that signs as the PyPI `netsuite` client does, but keeps its connection."""
        auth = OAuth1Auth(
            client_id=self.tokens["consumer_key"],
            client_secret=self.tokens["consumer_secret"],
            token=self.tokens["token_id"],
            token_secret=self.tokens["token_secret"],
            realm=self.realm,
            force_include_body=True,
            signature_method=rest_api_base.DEFAULT_SIGNATURE_METHOD,
        )
        return httpx.Client(base_url=f"{self.url}/services/rest", auth=auth, timeout=60)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask; a refusal fails the test."""
        answer = self.http.request(method, path, **options)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer

    def write(self, method: str, path: str, body: Any = None) -> str:
        """Write, and give the id that Location ends with."""
        options = {} if body is None else {"json": body}
        answer = self.request(method, f"/record/v1/{path}", **options)
        return str(answer.headers.get("location", "")).rpartition("/")[2]

    def get(self, path: str) -> dict[str, Any]:
        """A record with its sublists; numbers are exact."""
        answer = self.request("GET", f"/record/v1/{path}", params={"expandSubResources": "true"})
        found: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
        return found

    def rows(self, query: str) -> list[dict[str, str]]:
        """All rows of a query."""
        found: list[dict[str, str]] = []
        while True:
            answer = self.request(
                "POST",
                "/query/v1/suiteql",
                json={"q": query},
                headers={"Prefer": "transient"},
                params={"limit": 1000, "offset": len(found)},
            ).json()
            found += answer["items"]
            if not answer["hasMore"]:
                return found

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """The sandbox's own endpoints."""
        answer = httpx.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    # What people book

    def customer(self, currency: str | None = None, **more: Any) -> str:
        number = next(self._numbers)
        body: dict[str, Any] = {"companyName": f"Customer {number}", "externalId": f"cus-{number}", **more}
        if self.masters.subsidiary:
            body["subsidiary"] = {"id": self.masters.subsidiary}
        return self.write("POST", "customer", body | _currency(currency))

    def invoice(self, customer: str, day: str, *amounts: str, **more: Any) -> str:
        lines = [{"item": {"id": self.masters.item}, "amount": Decimal(amount)} for amount in amounts]
        body = {"entity": {"id": customer}, "tranDate": day, "item": {"items": lines}, **more}
        return self.write("POST", "invoice", plain(body))

    def credit_memo(self, customer: str, day: str, amount: str, **applied: str) -> str:
        """A credit memo; `applied` is what goes to which invoice, as `i48112="10.00"`."""
        line = {"item": {"id": self.masters.item}, "amount": Decimal(amount)}
        body = {"entity": {"id": customer}, "tranDate": day, "item": {"items": [line]}}
        return self.write("POST", "creditMemo", plain(body | apply(applied)))

    def payment(self, customer: str, day: str, amount: str, **applied: str) -> str:
        """A payment with an external id; `applied` as of a credit memo."""
        body = {
            "customer": {"id": customer},
            "tranDate": day,
            "payment": Decimal(amount),
            "externalId": f"pay-{next(self._numbers)}",
        }
        return self.write("POST", "customerPayment", plain(body | apply(applied)))

    def reapply(self, record: str, ref: str, **applied: str) -> None:
        """Change what a payment or credit memo is applied to; "0" takes it back."""
        self.write("PATCH", f"{record}/{ref}", plain(apply(applied)))

    def journal(self, day: str, *lines: tuple[str, str, str], **more: Any) -> str:
        """A journal of (account, "debit" or "credit", amount)."""
        body: dict[str, Any] = {"tranDate": day, "externalId": f"je-{next(self._numbers)}"}
        if self.masters.subsidiary:
            body["subsidiary"] = {"id": self.masters.subsidiary}
        rows = [{"account": {"id": account}, side: Decimal(amount)} for account, side, amount in lines]
        return self.write("POST", "journalEntry", plain(body | {"line": {"items": rows}} | more))

    # Ours

    def extract(
        self,
        work: Callable[[TenantWarehouse, NetSuite], Awaitable[Any]],
        *,
        meddle: Meddle | None = None,
        blind: bool = False,
    ) -> Any:
        """Run one of our extractions. `meddle` is told each query with its number before it is sent; a query that it
        gives is sent instead.

        `blind` signs in as the role that sees neither payments nor journals nor accounts.
        """
        hosts = Hosts(self.realm, self.url)
        tokens = self.blind if blind else self.tokens
        auth = TokenBased(hosts, lambda: TbaCredentials(**tokens))
        transport = Meddler(meddle) if meddle else None
        governor = Governor(5, 1, backoff=Backoff(base=0.01, longest=0.1))

        async def run() -> Any:
            async with NetSuite(hosts, auth, governor=governor, transport=transport) as netsuite:
                return await work(self.held, netsuite)

        return asyncio.run(run())

    async def land_customers(self, netsuite: NetSuite) -> None:
        """Land what payments and journals name: customers, and once the currencies."""
        mapping = shipped_mapping(self.tenant)
        if not self.held.columns("netsuite.reference"):
            await extract_reference(self.held, netsuite, mapping, NOW)
        await extract_customers(self.held, netsuite, mapping.records["customer"], NOW)

    def landed(self, table: str, period: str) -> list[dict[str, Any]]:
        """The rows of a landed slice, in order."""
        rows = self.held.arrow(f"SELECT * FROM {table} WHERE period = ? ORDER BY ALL", [period])
        found: list[dict[str, Any]] = rows.to_pylist()
        return found


class Meddler(httpx.AsyncHTTPTransport):
    """Lets something happen in the account just before a query is sent."""

    def __init__(self, meddle: Meddle) -> None:
        super().__init__()
        self._meddle, self._queries = meddle, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/suiteql"):
            self._queries += 1
            query = json.loads(request.content)["q"]
            instead = await asyncio.to_thread(self._meddle, self._queries, query)
            if instead is not None:
                headers = {k: v for k, v in request.headers.items() if k.lower() != "content-length"}
                request = httpx.Request(request.method, request.url, headers=headers, json={"q": instead})
        return await super().handle_async_request(request)


def apply(applied: Mapping_[str, str]) -> dict[str, Any]:
    """The apply sublist of a body."""
    if not applied:
        return {}
    items = [
        {"doc": {"id": doc.removeprefix("i")}, "apply": amount != "0", "amount": Decimal(amount)}
        for doc, amount in applied.items()
    ]
    return {"apply": {"items": items}}


def plain(body: Any) -> Any:
    """A body whose decimals JSON can hold: short ones, so that their shortest spelling is exact."""
    match body:
        case dict():
            return {key: plain(value) for key, value in body.items()}
        case list():
            return [plain(value) for value in body]
        case Decimal():
            return float(body)
    return body


def _currency(currency: str | None) -> dict[str, Any]:
    return {} if currency is None else {"currency": {"id": currency}}


@contextmanager
def running_accounts(folder: Path) -> Iterator[dict[str, Account]]:
    """A sandbox with the account `usual`, of two subsidiaries, and `turned`, of one company with all switches turned.

    Each has a warehouse of its own, which stays open.
    """
    profiles = {"usual": shipped_profile("oneworld"), "turned": shipped_profile("single")}
    profiles["turned"]["switches"] = TURNED
    profiles["turned"]["accounts"] += [
        {"id": 40, "number": 2500, "name": "Deferred Income", "type": "DeferRevenue"},
        {"id": 41, "number": 1150, "name": "Accrued Income", "type": "UnbilledRec"},
    ]
    warehouse = Warehouse(folder / "warehouse")
    with (
        running_sandbox(folder, profiles) as root,
        warehouse.open("usual") as usual,
        warehouse.open("turned") as turned,
    ):
        yield {
            "usual": account_of(root, profiles["usual"], usual, subsidiary="1", item="417", unbilled="411",
                deferred="610", income="598", bank="11", foreign="2", department="2", klass="7"),
            "turned": account_of(root, profiles["turned"], turned, subsidiary=None, item="25", unbilled="41",
                deferred="40", income="31", bank="1", foreign="2", department="1", klass="2"),
        }  # fmt: skip


@contextmanager
def running_sandbox(folder: Path, profiles: Mapping_[str, Any], *arguments: str) -> Iterator[str]:
    """A sandbox with these accounts; gives its address."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", *arguments]
    for name, profile in profiles.items():
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(profile))
        command += ["--profile", str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        ready = re.search(r"ready at (http://\S+)", process.stdout.readline())
        assert ready is not None, "the sandbox did not start"
        try:
            yield ready[1]
        finally:
            process.terminate()
            process.wait(10)


def shipped_profile(name: str) -> Any:
    """A shipped profile with yen, and a role that sees neither payments nor journals nor accounts."""
    profile = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
    profile["currencies"].append(YEN)
    hidden = ("Customer Payment", "Make Journal Entry", "Accounts")
    allowed = {
        permission: level
        for permission, level in profile["roles"][0]["permissions"].items()
        if permission not in hidden
    }
    profile["roles"].append({"id": "1099", "name": "Blind", "permissions": allowed})
    profile["integrations"][0]["tokens"].append({"id": "tk_blind", "secret": "ts_blind", "role": "1099"})
    return profile


def account_of(
    root: str, profile: Mapping_[str, Any], held: TenantWarehouse, **masters: str | None
) -> Account:
    """An account of a running sandbox."""
    integration = profile["integrations"][0]
    consumer = {
        "consumer_key": integration["client_id"],
        "consumer_secret": integration["client_secret"],
    }
    first, blind = integration["tokens"][0], integration["tokens"][-1]
    return Account(
        f"{root}/{profile['account'].lower().replace('_', '-')}",
        profile["account"],
        consumer | {"token_id": first["id"], "token_secret": first["secret"]},
        consumer | {"token_id": blind["id"], "token_secret": blind["secret"]},
        profile["base_currency"],
        "acme" if profile["edition"] == "oneworld" else "globex",
        SimpleNamespace(**masters),
        held,
    )


@cache
def shipped_mapping(tenant: str) -> Mapping:
    """The mapping of a tenant that the project comes with."""
    return compile_mapping(TenantRegistry(ROOT / "tenants").load(tenant))


def next_month(period: str) -> str:
    """The month after one."""
    year, month = map(int, period.split("-"))
    return f"{year + month // 12}-{month % 12 + 1:02}"
