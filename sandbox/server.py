"""The ASGI application: finds the account of a request, takes a slot, meets the faults, answers, writes the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox import admin
from sandbox.account import Account
from sandbox.auth.roles import Session
from sandbox.errors import Refusal, concurrency_limit, invalid_login, unexpected
from sandbox.faults import Fault
from sandbox.page import page
from sandbox.wire import JSON, Request, Response, encode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_ABORT = "sandbox.abort"
_LARGEST_BODY = 104 * 1024 * 1024
_log = logging.getLogger("sandbox")


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with a way to cut the connection as a failing network does."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_ABORT: {"abort": self._abort}}

    def _abort(self) -> None:
        self.transport.abort()


class Application:
    def __init__(self, accounts: list[Account]) -> None:
        self._accounts = {account.profile.label: account for account in accounts}
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        headers = _headers(scope["headers"])
        path: str = scope["path"]
        account, prefix = self._account(headers.get("host", ""), path)
        request = Request(
            method=scope["method"],
            path=path[len(prefix) :] or "/",
            raw_path=scope["raw_path"].decode("latin-1"),
            query_string=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=b"",
            scheme=headers.get("x-forwarded-proto") or str(scope["scheme"]),
            host=headers.get("host", "127.0.0.1"),
            prefix=prefix,
            client=scope["client"][0] if scope.get("client") else "",
        )
        if account is None:
            await self._send(send, self._no_account(request), request)
        elif request.path.startswith("/sandbox"):
            request.body = await _body(receive)
            await self._send(send, admin.handle(account, request), request)
        else:
            await self._serve(account, request, receive, send, scope, started)

    def _account(self, host: str, path: str) -> tuple[Account | None, str]:
        """The account that the host's first label or the path's first part names, and the prefix it takes."""
        account = self._accounts.get(host.partition(".")[0].partition(":")[0].lower())
        if account is not None:
            return account, ""
        first = path[1:].partition("/")[0]
        account = self._accounts.get(first.lower())
        return account, f"/{first}" if account is not None else ""

    def _no_account(self, request: Request) -> Response:
        accounts = [account.profile.account for account in self._accounts.values()]
        if request.path.rstrip("/") == "/sandbox" and "text/html" in request.headers.get("accept", ""):
            every = [(account, admin.stats(account)) for account in self._accounts.values()]
            return Response(200, page(every, request.base), b"text/html; charset=UTF-8", standing=False)
        if request.path.rstrip("/") in ("", "/sandbox", "/sandbox/accounts"):
            return Response(
                200,
                encode({"accounts": admin.accounts(self._accounts.values(), request)}),
                JSON,
                standing=False,
            )
        message = (
            f"No account answers at host {request.host!r}, path {request.path!r}. Name it in the host "
            f"(<account>.suitetalk.api.netsuite.com) or first in the path (/<account>/services/rest/...). "
            f"Accounts here: {', '.join(accounts)}."
        )
        return Response(404, encode({"error": message}), JSON, standing=False)

    async def _serve(
        self, account: Account, request: Request, receive: Receive, send: Send, scope: Scope, started: float
    ) -> None:
        fault: Fault | None = None
        response: Response | None = None
        give_back: Callable[[], None] | None = None
        try:
            session = account.caller(request)
            if session is not None:
                give_back = partial(
                    account.slots.give_back, session.client_id, account.slots.take(session.client_id)
                )
            request.body = await _body(receive)
            if account.latency:
                # One answer in each turn of the loop, so that what arrives between two of them begins to wait.
                async with self._turn:
                    await asyncio.sleep(0)
            else:
                # A slot is held over one turn at least, so that requests which arrive together count as such.
                await asyncio.sleep(0)
            fault = account.faults.strike(request)
            if fault is None:
                try:
                    response = self._safely(account, request, session)
                except Refusal as refusal:
                    response = refusal.response()
            # The work is part of the time that a request takes, so the answer waits for what is left of it.
            while (left := started + account.latency - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            if fault is not None:
                response = await self._faulty(account, request, session, fault)
        except Refusal as refusal:
            response = refusal.response()
        finally:
            if give_back is not None:
                give_back()
        if fault is not None and fault.kind in _CUTTING:
            response = None
        self._write_log(account, request, response, fault, started)
        try:
            if response is None:
                scope["extensions"][_ABORT]["abort"]()
            elif fault is not None and fault.kind == "truncate":
                await self._send_truncated(send, scope, response, request)
            elif fault is not None and fault.kind == "slow_page":
                await self._send_slowly(send, response, request, fault.seconds)
            else:
                await self._send(send, response, request, account)
        finally:
            _follow_up(request)

    async def _faulty(
        self, account: Account, request: Request, session: Session | None, fault: Fault
    ) -> Response | None:
        """The answer that a fault leaves, or None for a connection that is cut."""
        if fault.kind == "status":
            return _injected(fault, account)
        if fault.kind == "reset_before_commit":
            return None
        if fault.kind == "reset_during_commit":
            # The connection is cut now, and NetSuite is done with it later.
            asyncio.get_running_loop().call_later(
                fault.seconds, self._finish_alone, account, request, session
            )
            return None
        if fault.kind in ("latency", "timeout"):
            await asyncio.sleep(fault.seconds)
            return self._safely(account, request, session) if fault.kind == "latency" else None
        response = self._safely(account, request, session)
        if fault.kind == "error_after_commit":
            return unexpected(_error_id()).response()
        if fault.kind == "timeout_after_commit":
            await asyncio.sleep(fault.seconds)
        return response

    def _finish_alone(self, account: Account, request: Request, session: Session | None) -> None:
        """Carry out a request whose caller is gone; nobody hears of a refusal."""
        with contextlib.suppress(Refusal):
            self._safely(account, request, session)
        _follow_up(request)

    def _safely(self, account: Account, request: Request, session: Session | None) -> Response:
        try:
            return account.handle(request, session)
        except Refusal:
            raise
        except Exception:
            error_id = _error_id()
            _log.exception("%s %s failed, error id %s", request.method, request.path, error_id)
            return unexpected(error_id).response()

    def _write_log(
        self,
        account: Account,
        request: Request,
        response: Response | None,
        fault: Fault | None,
        started: float,
    ) -> None:
        query = f"?{request.query_string}" if request.query_string else ""
        account.log.add(
            f"{account.clock.now():%Y-%m-%dT%H:%M:%S.%fZ}",
            request.method,
            request.path + query,
            response.status if response is not None else 0,
            " ".join([*request.incidents, *([fault.kind] if fault is not None else [])]),
            round((time.perf_counter() - started) * 1000, 3),
        )

    async def _send(
        self, send: Send, response: Response, request: Request, account: Account | None = None
    ) -> None:
        response.add_warnings(request)
        compress = account is not None and account.profile.switches.gzip
        headers = response.wire_headers(request.headers.get("accept-encoding", ""), compress)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _send_truncated(self, send: Send, scope: Scope, response: Response, request: Request) -> None:
        """Announce the whole body, send half of it, cut the connection."""
        headers = response.wire_headers(request.headers.get("accept-encoding", ""), False)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send(
            {
                "type": "http.response.body",
                "body": response.body[: len(response.body) // 2],
                "more_body": True,
            }
        )
        await asyncio.sleep(0.05)
        scope["extensions"][_ABORT]["abort"]()

    async def _send_slowly(self, send: Send, response: Response, request: Request, seconds: float) -> None:
        """Send the body in pieces that take so long together."""
        headers = response.wire_headers(request.headers.get("accept-encoding", ""), False)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        step = max(1, -(-len(response.body) // _PIECES))
        for at in range(0, len(response.body), step):
            await asyncio.sleep(seconds / _PIECES)
            piece = response.body[at : at + step]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                for account in self._accounts.values():
                    account.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                for account in self._accounts.values():
                    account.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


_PIECES = 10
_CUTTING = (
    "reset_before_commit",
    "reset_during_commit",
    "reset_after_commit",
    "timeout",
    "timeout_after_commit",
)


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Request headers by lower-case name; one that is given more than once is a list with commas."""
    headers: dict[str, str] = {}
    for raw, value in pairs:
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > _LARGEST_BODY:
            raise Refusal(400, "INVALID_REQUEST", "The request body is larger than 104 MB.")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks) if len(chunks) > 1 else chunk


def _injected(fault: Fault, account: Account) -> Response:
    if fault.status == 401:
        challenge = f'Bearer realm="{account.profile.account}", error="invalid_token", error_description="Invalid login attempt."'
        return invalid_login(challenge).response()
    if fault.status == 429:
        return concurrency_limit(account.profile.switches.concurrency_body_status).response()
    if fault.status == 500:
        return unexpected(_error_id()).response()
    text = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}[fault.status]
    html = f"<html><head><title>{text}</title></head><body><h1>{text}</h1><p>NetSuite is unavailable.</p></body></html>"
    return Response(fault.status, html.encode(), b"text/html; charset=UTF-8", standing=False)


def _error_id() -> str:
    return secrets.token_hex(8)


def _follow_up(request: Request) -> None:
    """Do what waits for a request to be over."""
    for step in request.after_answer:
        step()
