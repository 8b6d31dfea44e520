"""A filled sandbox account that can be made to fail in every way, our extraction of it, and a second opinion on it.

Here: starting the sandbox, arming its faults, running an extraction, and reading the account through the record service over
plain HTTP, which shares nothing with what is tested. Not here: what must be true (the tests).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import jwt
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from netsuite_assets.extract.netsuite import extract_customers, extract_documents
from netsuite_assets.extract.reference import extract_reference
from netsuite_assets.mapping.compiler import Mapping as TenantMapping
from resources.netsuite.auth import ClientCredentials
from resources.netsuite.client import NetSuite, Timeouts
from resources.netsuite.governor import Backoff, Governor
from resources.netsuite.hosts import Hosts
from resources.netsuite.sets import SETTLED_AFTER, STANDARD, Sizes
from resources.warehouse import TenantWarehouse

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
ACCOUNT, LABEL, CLIENT = "1234567_SB1", "1234567-sb1", "billing-integration"
ZONE = ZoneInfo("America/New_York")
ITEM = "417"
"""An item that every subsidiary sells."""


@dataclass
class FaultyAccount:
    """The account behind `base`, and the key by which one signs in."""

    base: str
    key: ec.EllipticCurvePrivateKey
    mapping: TenantMapping
    _bearer: dict[str, str] = field(default_factory=dict)

    # Ours

    def run(self, work: Callable[[NetSuite], Awaitable[Any]], **backoff: Any) -> Any:
        """Do `work` with a client of ours that signs in anew, as each run does."""
        hosts = Hosts(ACCOUNT, self.base)
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        governor = Governor(5, 1, backoff=Backoff(base=0.01, longest=0.05, **backoff))

        async def go() -> Any:
            auth = ClientCredentials(hosts, CLIENT, "cert-1", pem)
            async with NetSuite(hosts, auth, governor=governor, timeouts=Timeouts(read=20)) as netsuite:
                return await work(netsuite)

        return asyncio.run(go())

    def land_first(self, held: TenantWarehouse) -> None:
        """What documents rest on: lists, customers, and that billing expects nothing."""
        self.run(lambda ns: extract_reference(held, ns, self.mapping, NOW))
        self.customers(held)
        for rules in self.mapping.records.values():
            for statement in rules.create_table_sql():
                held.connection.execute(statement)

    def customers(self, held: TenantWarehouse, sizes: Sizes = STANDARD) -> None:
        """Extract the customers."""
        rules = self.mapping.records["customer"]
        self.run(lambda ns: extract_customers(held, ns, rules, NOW, sizes=sizes))

    def documents(
        self, held: TenantWarehouse, period: str, sizes: Sizes = STANDARD, record: str = "invoice"
    ) -> None:
        """Extract a month's documents with their lines."""
        rules = self.mapping.records[record]
        self.run(lambda ns: extract_documents(held, ns, rules, period, NOW, sizes=sizes))

    # The sandbox

    @cached_property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.base, timeout=600, trust_env=False)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"/sandbox/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fill(self, **order: Any) -> None:
        self.admin("POST", "fill", order)

    def arm(self, *faults: Mapping[str, Any]) -> None:
        self.admin("POST", "faults", list(faults))

    def calm(self) -> None:
        """No faults, no load, all permissions."""
        self.admin("DELETE", "faults")
        self.admin("POST", "governance", {"limit": 5, "foreign": 0, "latency_ms": 0})

    @contextmanager
    def watched(self) -> Iterator[list[dict[str, Any]]]:
        """The entries of the request log that are made within the block."""
        before = self.admin("GET", "requests")["items"]
        last = before[-1]["number"] if before else 0
        entries: list[dict[str, Any]] = []
        yield entries
        entries += self.admin("GET", f"requests?after={last}")["items"]

    # A second opinion

    def login(self) -> dict[str, str]:
        url = f"{self.base}/services/rest/auth/oauth2/v1/token"
        now = int(time.time())
        claims = {"iss": CLIENT, "scope": ["rest_webservices"], "aud": url, "iat": now, "exp": now + 3000}
        assertion = jwt.encode(
            claims | {"jti": uuid.uuid4().hex}, self.key, algorithm="ES256", headers={"kid": "cert-1"}
        )
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": kind,
            "client_assertion": assertion,
        }
        answer = self.http.post(url, data=form)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the account; signs in when there is no token, or it no longer counts."""
        headers = options.pop("headers", {})
        for _ in range(2):
            self._bearer = self._bearer or self.login()
            url = f"/services/rest/{path}"
            answer = self.http.request(method, url, headers=headers | self._bearer, **options)
            if answer.status_code != 401:
                break
            self._bearer = {}
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer

    def records(self, record: str) -> list[dict[str, Any]]:
        """Every record of a type with its lines, through the record service."""
        found: list[dict[str, Any]] = []
        while True:
            wanted = {
                "expandRecords": "true",
                "expandSubResources": "true",
                "limit": 1000,
                "offset": len(found),
            }
            answer = self.ask("GET", f"record/v1/{record}", params=wanted)
            page = json.loads(answer.text, parse_float=Decimal)
            found += page["items"]
            if not page["hasMore"]:
                return found

    def write(self, method: str, path: str, body: Any = None) -> str:
        """Write a record; gives the id that Location ends with."""
        options = {} if body is None else {"json": body}
        answer = self.ask(method, f"record/v1/{path}", **options)
        return str(answer.headers.get("location", "")).rpartition("/")[2]

    def document(self, customer: str, day: str, amount: str, record: str = "invoice", **more: Any) -> str:
        """Someone books a document of one line."""
        line = {"item": {"id": ITEM}, "amount": float(amount)}
        body = {"entity": {"id": customer}, "tranDate": day, "item": {"items": [line]}}
        return self.write("POST", record, body | more)

    def query(self, text: str) -> list[dict[str, str]]:
        """A small query over plain HTTP."""
        answer = self.ask("POST", "query/v1/suiteql", headers={"Prefer": "transient"}, json={"q": text})
        rows: list[dict[str, str]] = answer.json()["items"]
        return rows

    def rest(self) -> None:
        """Wait until what has been changed so far is old enough, by the server's clock, to be told from what may follow."""
        clock = "SELECT TO_CHAR(SYSDATE, 'YYYY-MM-DD HH24:MI:SS') AS clock FROM DUAL"
        began = datetime.fromisoformat(self.query(clock)[0]["clock"])
        while datetime.fromisoformat(self.query(clock)[0]["clock"]) - began <= timedelta(
            seconds=SETTLED_AFTER
        ):
            time.sleep(0.1)

    def landed_and_true(
        self, held: TenantWarehouse, period: str, record: str = "invoice"
    ) -> Iterator[tuple[str, Counter[tuple[Any, ...]], Counter[tuple[Any, ...]]]]:
        """By table: the rows that landed, and those that the account has now, in the same columns."""
        true = [one for one in self.records(record) if one["tranDate"].startswith(period)]
        customers = self.records("customer")
        table = {"invoice": "invoice", "creditMemo": "credit_memo"}[record]
        landed = held.sql(f"SELECT {', '.join(HEADER)} FROM netsuite.{table}s WHERE period = ?", [period])
        yield f"{table}s", Counter(landed), Counter(_headers(true, customers))
        landed = held.sql(f"SELECT {', '.join(LINE)} FROM netsuite.{table}_lines WHERE period = ?", [period])
        yield f"{table}_lines", Counter(landed), Counter(_lines(true))

    def assert_landed(self, held: TenantWarehouse, period: str, record: str = "invoice") -> None:
        """Every row landed once, with the account's values, to the cent; and no other row."""
        for table, landed, true in self.landed_and_true(held, period, record):
            assert landed - true == Counter(), f"{table}: rows that the account does not have"
            assert true - landed == Counter(), f"{table}: rows that did not land"

    def assert_customers_landed(self, held: TenantWarehouse) -> None:
        """The same of customers."""
        landed = Counter(held.sql(f"SELECT {', '.join(CUSTOMER)} FROM netsuite.customers"))
        true = Counter(_customers(self.records("customer")))
        assert landed - true == Counter()
        assert true - landed == Counter()


HEADER = (
    "internal_id", "external_id", "number", "name", "status", "currency", "total", "remaining", "dated_in", "last_modified",
    "entity", '"tranDate"', "memo", "subsidiary", "cseg_product", "custbody_subscription_ref",
)  # fmt: skip
LINE = (
    "internal_id", "line_key", "item", "description", "quantity", "rate", "amount", "custcol_service_start",
)  # fmt: skip
CUSTOMER = (
    "internal_id", "external_id", "number", "name", "currency", "last_modified", '"companyName"', "email", "subsidiary",
    "terms", "custentity_billing_id",
)  # fmt: skip


def _headers(documents: list[dict[str, Any]], customers: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    by_id = {one["id"]: one for one in customers}
    for one in documents:
        buyer = by_id[one["entity"]["id"]]
        remaining = one["amountRemaining"] if "amountRemaining" in one else one["unapplied"]
        yield (
            one["id"], one.get("externalId"), one["tranId"], buyer["companyName"], one["status"]["id"],
            one["currency"]["refName"], _exact(one["total"]), _exact(remaining), one["tranDate"][:7],
            _local(one["lastModifiedDate"]), buyer.get("externalId", f"internal:{buyer['id']}"),
            date.fromisoformat(one["tranDate"]), one.get("memo"), _id(one, "subsidiary"), _id(one, "cseg_product"),
            one.get("custbody_subscription_ref"),
        )  # fmt: skip


def _lines(documents: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for one in documents:
        for line in one["item"]["items"]:
            start = line.get("custcol_service_start")
            yield (
                one["id"], str(line["lineUniqueKey"]), _id(line, "item"), line.get("description"),
                _exact(line.get("quantity")), _exact(line.get("rate")), _exact(line["amount"]),
                None if start is None else date.fromisoformat(start),
            )  # fmt: skip


def _customers(customers: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for one in customers:
        yield (
            one["id"], one.get("externalId"), one["entityId"], one["companyName"], one["currency"]["refName"],
            _local(one["lastModifiedDate"]), one["companyName"], one.get("email"), _id(one, "subsidiary"), _id(one, "terms"),
            one.get("custentity_billing_id"),
        )  # fmt: skip


def _exact(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _id(values: Mapping[str, Any], name: str) -> str | None:
    return str(values[name]["id"]) if name in values else None


def _local(moment: str) -> str:
    """A REST time, which is UTC, as the account shows it."""
    return f"{datetime.fromisoformat(moment).astimezone(ZONE):%Y-%m-%d %H:%M:%S}"


def contents(held: TenantWarehouse) -> dict[str, tuple[Any, ...]]:
    """What every table of an account's data and its proofs holds: rows and a hash of them, by table."""
    tables = held.sql(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name IN ('netsuite', 'netsuite_rows', 'meta')"
    )
    query = "SELECT count(*), coalesce(sum(hash(t)::HUGEINT), 0)::VARCHAR FROM {} AS t"
    return {table: held.sql(query.format(table))[0] for (table,) in tables}


@contextmanager
def faulty_account(folder: Path, mapping: TenantMapping, **profile: Any) -> Iterator[FaultyAccount]:
    """A sandbox with the OneWorld account; `profile` changes keys of its profile."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = folder / "public.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    content = yaml.safe_load((ROOT / "sandbox" / "profiles" / "oneworld.yaml").read_text())
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(content | profile))
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--profile", str(path)]
    command += ["--certificate", f"{ACCOUNT}:{CLIENT}:cert-1:{public}"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        ready = re.search(r"ready at (http://\S+)", process.stdout.readline())
        assert ready is not None, "the sandbox did not start"
        try:
            yield FaultyAccount(f"{ready[1]}/{LABEL}", key, mapping)
        finally:
            process.terminate()
            process.wait(10)
