"""What the sandbox's tests share: starting one, and a plain HTTP client of an account."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import jwt
import yaml

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "sandbox" / "profiles"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TRANSIENT = {"Prefer": "transient"}
_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    """An external id that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}-{next(_numbers)}"


@dataclass
class Server:
    """A running sandbox."""

    process: subprocess.Popen[str]
    url: str

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10)


def start(*arguments: str) -> Server:
    """Start a sandbox and wait for its ready line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("NetSuite sandbox ready at http://"):
        process.wait(10)
        assert process.stderr is not None
        raise AssertionError(f"the sandbox did not start: {line!r} {process.stderr.read()!r}")
    return Server(process, line.split()[-1])


def renew(server: Server) -> None:
    """Put a sandbox of the OneWorld profile back to how it started, but for certificates that were taken away."""
    profile = yaml.safe_load((PROFILES / "oneworld.yaml").read_text())
    clients = [integration["client_id"] for integration in profile["integrations"]]
    governance = {"limit": profile["concurrency_limit"], "foreign": 0, "latency_ms": 0}
    governance |= {"async_processors": 1, "async_delay_ms": 100, "async_task_ms": 0}
    with httpx.Client(base_url=f"{server.url}/1234567-sb1/sandbox", timeout=30) as http:
        calls = [("governance", governance | {"integrations": dict.fromkeys(clients)})]
        calls += [("integrations", {"client_id": client, "blocked": False}) for client in clients]
        for path, body in [*calls, ("tokens/revoke", None), ("reset", None)]:
            assert http.post(path, json=body).status_code == 200, path


@dataclass
class Integration:
    """What a client knows of its integration: id, certificate id and private key."""

    client_id: str
    certificate_id: str
    key: Any
    algorithm: str = "ES256"

    def assertion(self, token_url: str, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.client_id,
            "scope": ["rest_webservices"],
            "aud": token_url,
            "iat": now,
            "exp": now + 3000,
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": self.certificate_id} | (header or {})
        return jwt.encode(claims, self.key, algorithm=self.algorithm, headers=headers)


@dataclass
class Api:
    """One account over HTTP, with an access token. Numbers are read as Decimal."""

    server: str
    label: str
    integration: Integration
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=f"{self.server}/{self.label}", timeout=30)
        self.rest = f"{self.server}/{self.label}/services/rest"
        self.token_url = f"{self.rest}/auth/oauth2/v1/token"
        self.login()

    @property
    def oneworld(self) -> bool:
        """Whether its profile was made from the OneWorld one."""
        return not self.label.startswith("tstdrv")

    def ask_token(self, assertion: str, **changes: str) -> httpx.Response:
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
        return self.http.post(self.token_url, data=form | {"client_assertion": assertion} | changes)

    def login(self) -> None:
        answer = self.ask_token(self.integration.assertion(self.token_url))
        assert answer.status_code == 200, answer.text
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = self.headers | options.pop("headers", {})
        if "json" in options:
            options["content"] = json.dumps(options.pop("json"), default=str).encode()
            headers.setdefault("Content-Type", "application/json")
        return self.http.request(method, f"{self.rest}/{path}", headers=headers, **options)

    # Records

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        extra = {"json": body} if body is not None else {}
        return self.request(method, f"record/v1/{path}", **extra, **options)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        answer = self.send("GET", path, params=query or None)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    def full(self, path: str) -> dict[str, Any]:
        return self.get(path, expandSubResources="true")

    def write(self, method: str, path: str, body: Any = None, **options: Any) -> str:
        """Write and return the id that Location ends with."""
        answer = self.send(method, path, body, **options)
        assert answer.status_code == 204, answer.text
        assert answer.content == b""
        return answer.headers.get("location", "").rpartition("/")[2]

    def refused(self, method: str, path: str, body: Any = None, **options: Any) -> Refused:
        answer = self.send(method, path, body, **options)
        assert answer.status_code >= 400, f"{answer.status_code} {answer.text}"
        return Refused.of(answer)

    # SuiteQL

    def ask(self, query: str, *parameters: Any, **page: int) -> dict[str, Any]:
        content: dict[str, Any] = {"q": query}
        if parameters:
            content["params"] = list(parameters)
        answer = self.request(
            "POST", "query/v1/suiteql", json=content, headers=TRANSIENT, params=page or None
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def rows(self, query: str, *parameters: Any, **page: int) -> list[dict[str, str]]:
        items = self.ask(query, *parameters, **page)["items"]
        for item in items:
            assert item.pop("links") == []
        return items

    def query_refused(self, query: str, *parameters: Any) -> str:
        """The tail of the refusal's detail."""
        content: dict[str, Any] = {"q": query, "params": list(parameters)}
        refused = Refused.of(self.request("POST", "query/v1/suiteql", json=content, headers=TRANSIENT))
        head = "Invalid search query. Detailed unprocessed description follows. Search error occurred: "
        assert (refused.status, refused.code) == (400, "INVALID_PARAMETER")
        assert refused.error["o:errorQueryParam"] == "q"
        assert refused.detail.startswith(head), refused.detail
        return refused.detail.removeprefix(head)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"sandbox/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    # Records that most tests need

    def customer(self, **changes: Any) -> str:
        name = unique("Customer")
        body: dict[str, Any] = {"companyName": name}
        if self.oneworld:
            body["subsidiary"] = {"id": "1"}
        return self.write("POST", "customer", body | changes)

    def invoice(self, customer: str, *amounts: str, **changes: Any) -> str:
        item = "417" if self.oneworld else "25"
        lines = [{"item": {"id": item}, "amount": float(amount)} for amount in amounts or ("100.00",)]
        body = {"entity": {"id": customer}, "tranDate": "2026-10-15", "item": {"items": lines}}
        return self.write("POST", "invoice", body | changes)

    def credit_memo(self, customer: str, amount: str, **changes: Any) -> str:
        item = "417" if self.oneworld else "25"
        body = {
            "entity": {"id": customer},
            "tranDate": "2026-10-20",
            "item": {"items": [{"item": {"id": item}, "amount": float(amount)}]},
        }
        return self.write("POST", "creditMemo", body | changes)


@dataclass
class Refused:
    """An error envelope, checked for its standing parts."""

    status: int
    code: str
    detail: str
    error: dict[str, Any]
    answer: httpx.Response

    @classmethod
    def of(cls, answer: httpx.Response) -> Refused:
        assert (
            answer.headers["content-type"]
            == "application/vnd.oracle.resource+json; type=error; charset=UTF-8"
        )
        body = answer.json()
        assert body["status"] == answer.status_code
        assert body["type"].startswith("https://www.rfc-editor.org/rfc/rfc9110.html#section-15.")
        error = body["o:errorDetails"][0]
        return cls(answer.status_code, error["o:errorCode"], error["detail"], error, answer)
