"""A small client for filling a demo NetSuite account over its public REST services.

Here: sign-in, SuiteQL, writes and deletes, a few at a time. Not here: what is written (`books.py`). It shares nothing
with the product's own client on purpose: it is the second opinion on the protocol that the product speaks.

NetSuite facts: OAuth 2.0 client credentials with a signed JWT; `Prefer: transient` on SuiteQL, whose values are all
text; PUT by external id creates or replaces; 429 means that nothing was done.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import jwt
import msgspec

IN_FLIGHT = 4
ATTEMPTS = 12
_TOKEN = "/services/rest/auth/oauth2/v1/token"
_RECORDS = "/services/rest/record/v1"
_SUITEQL = "/services/rest/query/v1/suiteql"
_PAGE = 1000
_ENCODE = msgspec.json.Encoder(decimal_format="number").encode


class BooksError(Exception):
    """A NetSuite account that cannot be filled; the text says on what, in the account's own words, and what to do."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where an account is and who signs in; `base_url` is its REST root without a path of services."""

    base_url: str
    client_id: str
    certificate_id: str
    private_key: Path


class Account:
    """A signed-in account. Use as an async context manager; at most `IN_FLIGHT` requests are under way at once.

    `now` gives seconds since the epoch, for the token's life; `sleep` waits between attempts.
    """

    def __init__(
        self,
        login: Login,
        random: Random,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        refuse_real_account(login.base_url)
        self._login = login
        self._random = random
        self._now = now
        self._sleep = sleep
        self._http = httpx.AsyncClient(base_url=login.base_url, timeout=60, trust_env=False)
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def __aenter__(self) -> Account:
        try:
            await self._sign_in()
        except BaseException:
            await self._http.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def suiteql(self, query: str) -> list[dict[str, str]]:
        """All rows of a query, page by page; the query must be ordered by a unique key."""
        rows: list[dict[str, str]] = []
        while True:
            answer = await self._send(
                "POST",
                f"{_SUITEQL}?limit={_PAGE}&offset={len(rows)}",
                f"asking: {query}",
                {"q": query},
                prefer="transient",
            )
            page = msgspec.json.decode(answer.content)
            rows += [{name: value for name, value in row.items() if name != "links"} for row in page["items"]]
            if not page["hasMore"]:
                return rows

    async def upsert(self, record: str, external_id: str, body: dict[str, Any]) -> None:
        """Create the record, or make the one with this external id hold exactly `body`."""
        lines = "?replace=item" if "item" in body else ""
        path = f"{_RECORDS}/{record}/eid:{quote(external_id, safe='')}{lines}"
        await self._send("PUT", path, f"writing the {record} {external_id}", body)

    async def create(self, record: str, body: dict[str, Any]) -> None:
        """Create a record without an external id."""
        await self._send("POST", f"{_RECORDS}/{record}", f"creating a {record}", body)

    async def delete(self, record: str, internal_id: str) -> None:
        await self._send(
            "DELETE", f"{_RECORDS}/{record}/{internal_id}", f"deleting the {record} with id {internal_id}"
        )

    async def _sign_in(self) -> None:
        url = f"{self._login.base_url.rstrip('/')}{_TOKEN}"
        issued = int(self._now())
        assertion = jwt.encode(
            {
                "iss": self._login.client_id,
                "scope": ["rest_webservices"],
                "aud": url,
                "iat": issued,
                "exp": issued + 3000,
                "jti": str(uuid.UUID(int=self._random.getrandbits(128))),
            },
            self._login.private_key.read_bytes(),
            algorithm="ES256",
            headers={"kid": self._login.certificate_id},
        )
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        try:
            answer = await self._http.post(_TOKEN, data=form)
        except httpx.TransportError as error:
            raise self._unreachable(error) from None
        if answer.status_code != 200:
            raise BooksError(
                f"Signing in to the NetSuite account at {self._login.base_url} as {self._login.client_id}: it answered "
                f"{answer.status_code} {answer.text.strip()[:300]}. Check that the account was started with this "
                f"tenant's certificate ({self._login.certificate_id})."
            )
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    async def _send(
        self,
        method: str,
        path: str,
        doing: str,
        body: dict[str, Any] | None = None,
        prefer: str | None = None,
    ) -> httpx.Response:
        headers = {"X-NetSuite-PropertyNameValidation": "Error"}
        if prefer:
            headers["Prefer"] = prefer
        if body is not None:
            headers["Content-Type"] = "application/json"
        async with self._slots:
            for attempt in range(ATTEMPTS):
                try:
                    answer = await self._http.request(
                        method, path, headers=headers, content=None if body is None else _ENCODE(body)
                    )
                except httpx.TransportError as error:
                    # Whether a creation without an external id was done is not known, so it is not done again.
                    if (method == "POST" and prefer is None) or attempt == ATTEMPTS - 1:
                        raise self._unreachable(error) from None
                else:
                    gone_before = method == "DELETE" and answer.status_code == 404 and attempt > 0
                    if answer.status_code < 300 or gone_before:
                        return answer
                    if answer.status_code not in (429, 503) or attempt == ATTEMPTS - 1:
                        raise self._refused(doing, answer)
                await self._sleep(self._random.uniform(0, min(2.0, 0.02 * 2**attempt)))
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, error: httpx.TransportError) -> BooksError:
        return BooksError(
            f"The NetSuite account at {self._login.base_url} does not answer ({type(error).__name__}: {error}). "
            "Check that the sandbox is running."
        )

    def _refused(self, doing: str, answer: httpx.Response) -> BooksError:
        try:
            details = answer.json()["o:errorDetails"]
            words = " ".join(str(detail["detail"]) for detail in details)
        except (ValueError, KeyError, TypeError):
            words = answer.text.strip()[:500]
        return BooksError(
            f"Filling the NetSuite account at {self._login.base_url}, {doing}: it answered {answer.status_code}: {words}"
        )


def refuse_real_account(base_url: str) -> None:
    """The demo empties an account before it fills it, so it takes only one that is served on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise BooksError(
            f"'{base_url}' is not on this machine. The demo replaces everything in the account that it fills, so it "
            "takes only a sandbox at 127.0.0.1: start one and give its address."
        )
