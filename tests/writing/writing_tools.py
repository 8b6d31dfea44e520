"""What the tests of sending share: a sandbox account, operations on its customers, and a ledger of their own.

Here: making operations, sending them over real HTTP, and looking at the account and the ledger. `Between` stands between
our client and the sandbox for what the sandbox does not do by itself. Not here: what must be true (the tests).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from netsuite_assets.writeback.apply import settle
from netsuite_assets.writeback.book import Book
from netsuite_assets.writeback.operations import request_hash
from netsuite_assets.writeback.sending import Sending, Sent, Way
from resources.ledger import Ledger, Plan
from resources.netsuite.client import NetSuite
from resources.netsuite.governor import Backoff, Governor
from resources.netsuite.hosts import Hosts
from resources.netsuite.jobs import Polling
from resources.netsuite.tba import TbaCredentials, TokenBased
from resources.netsuite.writes import WriteRequest, delete_request, eid, update_request, upsert_request

REALM = "1234567_SB1"
TENANT, PERIOD = "acme", "2026-10"
QUICK = Polling(first=0.02, growth=1.2, longest=0.1, patience=30)
_SERIAL = itertools.count(1)


class Between(httpx.AsyncHTTPTransport):
    """Answers instead of the account, or changes what it answers, where `meddle` gives an answer."""

    def __init__(
        self, meddle: Callable[[httpx.Request, httpx.Response | None], httpx.Response | None]
    ) -> None:
        super().__init__()
        self._meddle = meddle

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        instead = self._meddle(request, None)
        if instead is not None:
            return instead
        answer = await super().handle_async_request(request)
        await answer.aread()
        return self._meddle(request, answer) or answer


@dataclass
class Writing:
    """One tenant that writes to the account, with a ledger in a folder of its own."""

    url: str
    path: Path
    ledger: Ledger = field(init=False)
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    prefix: str = field(default_factory=lambda: f"w{next(_SERIAL)}")

    def __post_init__(self) -> None:
        self.ledger = Ledger(f"sqlite:///{self.path}")
        self.ledger.record_plan(Plan("p1", TENANT, PERIOD, _now(), "m", "i", 2, "", None))

    # Operations

    def create(self, name: str, **more: Any) -> dict[str, Any]:
        """A new customer; its external id is this writer's prefix and the name."""
        external_id = f"{self.prefix}-{name}"
        body = {"companyName": external_id, "subsidiary": {"id": "1"}} | more
        return self._row("create", external_id, upsert_request("customer", external_id, body))

    def creates(self, many: int) -> list[dict[str, Any]]:
        return [self.create(f"c{number:03}") for number in range(many)]

    def update(self, row: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        """A change of a customer that was written, planned on what NetSuite shows now."""
        external_id = row["external_id"]
        there = self.query(
            "SELECT id, TO_CHAR(lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') AS modified FROM customer"
            f" WHERE externalid = '{external_id}'"
        )[0]
        made = self._row("update", external_id, update_request("customer", eid(external_id), fields))
        return made | {"internal_id": there["id"], "base_modified": there["modified"]}

    def delete(self, row: Mapping[str, Any]) -> dict[str, Any]:
        internal_id = self.query(f"SELECT id FROM customer WHERE externalid = '{row['external_id']}'")[0][
            "id"
        ]
        return self._row("delete", None, delete_request("customer", internal_id)) | {
            "internal_id": internal_id
        }

    def _row(self, action: str, external_id: str | None, request: WriteRequest) -> dict[str, Any]:
        return {
            "operation_key": f"{action} {external_id} {next(_SERIAL)}",
            "record": "customer",
            "action": action,
            "external_id": external_id,
            "internal_id": None,
            "base_modified": None,
            "number": None,
            "name": external_id,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "body": request.body.decode(),
            "body_hash": request_hash(request),
        }

    # Sending

    def netsuite(self, transport: httpx.AsyncBaseTransport | None = None) -> NetSuite:
        hosts = Hosts(REALM, self.url)
        credentials = TbaCredentials(
            consumer_key="billing-integration",
            consumer_secret="cs_invented_0002",
            token_id="tk_invented_0003",
            token_secret="ts_invented_0004",
        )
        governor = Governor(5, 0, backoff=Backoff(base=0.01, longest=0.05))
        return NetSuite(hosts, TokenBased(hosts, lambda: credentials), governor=governor, transport=transport)

    def send(
        self,
        rows: Sequence[dict[str, Any]],
        way: Way = "batch",
        *,
        polling: Polling = QUICK,
        transport: httpx.AsyncBaseTransport | None = None,
        until: Callable[[], bool] | None = None,
    ) -> Sent:
        """Send a wave; `outcomes` has what became of each, by external id. `until` ends it, as a kill does."""

        def end(
            row: Mapping[str, Any],
            state: str,
            detail: str | None,
            next_step: str | None,
            internal_id: str | None = None,
        ) -> None:
            assert row["operation_key"] not in told, "told twice"
            told.add(row["operation_key"])
            self.outcomes[row["external_id"] or row["internal_id"]] = {
                "state": state,
                "detail": detail,
                "next_step": next_step,
                "internal_id": internal_id,
            }

        async def run() -> Sent:
            async with self.netsuite(transport) as netsuite, Book(self.ledger, _now) as book:
                # A run looks before it writes; a token's first request is a trial, which others wait for.
                await netsuite.suiteql_rows("SELECT id FROM currency ORDER BY id")
                sending = Sending(netsuite, book, TENANT, PERIOD, "p1", way, end, polling=polling)
                await sending.wave(rows)
                return sending.sent

        async def ended() -> Sent:
            task = asyncio.create_task(run())
            while not task.done():
                if until is not None and await asyncio.to_thread(until):
                    task.cancel()
                    await asyncio.wait({task})
                    return Sent()
                await asyncio.sleep(0.005)
            return await task

        told: set[str] = set()
        return asyncio.run(ended())

    def settle(self, polling: Polling = QUICK) -> int:
        async def run() -> int:
            async with self.netsuite() as netsuite:
                return await settle(netsuite, TENANT, self.ledger, _now, polling)

        return asyncio.run(run())

    # Looking

    def states(self) -> Counter[str]:
        return Counter(outcome["state"] for outcome in self.outcomes.values())

    def stories(self) -> list[list[str]]:
        """The kinds of events of each intent, in the order of the intents."""
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as connection:
            rows = connection.execute(
                "SELECT group_concat(kind, ' ') FROM (SELECT intent_id, kind FROM events ORDER BY id)"
                " GROUP BY intent_id ORDER BY intent_id"
            ).fetchall()
        connection.close()
        return [row[0].split() for row in rows]

    def answers(self) -> list[tuple[str, tuple[int | None, str | None]]]:
        """NetSuite's last answer to each intent, by its target: the status, and the request's id."""
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as connection:
            rows = connection.execute(
                "SELECT target, e.status, e.request_id FROM intents i JOIN events e ON e.intent_id = i.id"
                " WHERE e.kind <> 'intended' ORDER BY e.id"
            ).fetchall()
        connection.close()
        return [(target, (status, request_id)) for target, status, request_id in rows]

    def held(self) -> list[str]:
        """The external ids of this writer's customers in the account, as often as they are there."""
        found = self.query(
            f"SELECT externalid FROM customer WHERE externalid LIKE '{self.prefix}-%' ORDER BY id"
        )
        return sorted(row["externalid"] for row in found)

    def query(self, text: str) -> list[dict[str, str]]:
        async def run() -> list[dict[str, str]]:
            async with self.netsuite() as netsuite:
                return await netsuite.suiteql_rows(text)

        return asyncio.run(run())

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def govern(self, **wanted: float) -> None:
        self.admin("POST", "governance", wanted)

    def arm(self, **fault: Any) -> None:
        self.admin("POST", "faults", {"methods": ["PUT", "PATCH"], "path": "/record/v1/customer", **fault})

    def writes(self) -> list[str]:
        """The writes that reached the account since the log was cleared, as `PUT customer?replace=…`."""
        entries = self.admin("GET", "requests?writes=true")["items"]
        return [f"{each['method']} {each['path'].rpartition('/record/v1/')[2]}" for each in entries]


def targets(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(row["external_id"] for row in rows)


def is_batch(request: httpx.Request) -> bool:
    """Whether a request submits a batch."""
    return "type=collection" in request.headers.get("content-type", "")


def refused(words: str) -> httpx.Response:
    """A refusal in NetSuite's form."""
    details = [{"detail": words, "o:errorCode": "INVALID_REQUEST"}]
    return httpx.Response(400, content=json.dumps({"status": 400, "o:errorDetails": details}).encode())


def _now() -> datetime:
    return datetime.now(UTC)
