"""Real sockets that misbehave: what counts as never sent, what as in doubt, and what is simply read."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from fake_account import KEY_PEM, no_sleep

from resources.netsuite.auth import ClientCredentials
from resources.netsuite.client import NetSuite, Timeouts
from resources.netsuite.errors import DeadlinePassed, InDoubt, Unavailable, Unreachable
from resources.netsuite.governor import Backoff, Governor
from resources.netsuite.hosts import Hosts
from resources.netsuite.writes import upsert_request

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Handler = Callable[[Writer, bytes], Awaitable[None]]
UPSERT = upsert_request("invoice", "inv-7", {"memo": "x"})
TOKEN = json.dumps({"access_token": "t", "expires_in": "3600", "token_type": "bearer"}).encode()


def answer(body: bytes, status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body


def converse(
    handler: Handler, work: Callable[[NetSuite], Awaitable[Any]], **timeouts: float
) -> tuple[Any, list[bytes]]:
    """Run ``work`` against a server that signs in and leaves every other request to ``handler``."""
    seen: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line[15:])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length:")
                    ),
                    0,
                )
                body = await reader.readexactly(length)
                if b"/oauth2/v1/token " in head:
                    writer.write(answer(TOKEN, headers="Content-Type: application/json\r\n"))
                else:
                    seen.append(head + body)
                    await handler(writer, head + body)
                await writer.drain()
        writer.close()

    async def run() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        hosts = Hosts("7654321_SB1", f"http://127.0.0.1:{port}/7654321-sb1")
        governor = Governor(5, 1, sleep=no_sleep, backoff=Backoff(attempts=2))
        auth = ClientCredentials(hosts, "client-1", "cert-1", KEY_PEM)
        async with NetSuite(hosts, auth, governor=governor, timeouts=Timeouts(**timeouts)) as ns:
            try:
                return await work(ns)
            finally:
                server.close()

    try:
        return asyncio.run(run()), seen
    except Exception as error:
        return error, seen


async def reset(writer: Writer, request: bytes) -> None:
    """Close the connection hard once the whole request is in."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


async def hang_up(writer: Writer, request: bytes) -> None:
    writer.close()


async def silence(writer: Writer, request: bytes) -> None:
    await asyncio.sleep(30)


async def half_a_head(writer: Writer, request: bytes) -> None:
    writer.write(b"HTTP/1.1 204 No Con")
    await writer.drain()
    writer.close()


async def half_a_body(writer: Writer, request: bytes) -> None:
    writer.write(answer(b'{"id": "7"', length=500))
    await writer.drain()
    writer.close()


async def not_gzip(writer: Writer, request: bytes) -> None:
    writer.write(
        answer(b"not gzip at all", headers="Content-Encoding: gzip\r\nContent-Type: application/json\r\n")
    )


async def not_http(writer: Writer, request: bytes) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()
    writer.close()


BROKEN = [reset, hang_up, silence, half_a_head, half_a_body, not_gzip, not_http]


@pytest.mark.parametrize("handler", BROKEN)
def test_a_write_whose_answer_is_lost_is_in_doubt_and_was_sent_once(handler: Handler) -> None:
    error, seen = converse(handler, lambda ns: ns.send(UPSERT), read=0.3, read_large=0.3)
    assert isinstance(error, InDoubt), error
    assert len(seen) == 1
    assert seen[0].endswith(b"\r\n\r\n" + UPSERT.body)


@pytest.mark.parametrize("handler", BROKEN)
def test_a_read_whose_answer_is_lost_is_repeated(handler: Handler) -> None:
    calls = 0

    async def broken_once(writer: Writer, request: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await handler(writer, request)
        else:
            writer.write(answer(b'{"id":"7"}'))

    found, seen = converse(broken_once, lambda ns: ns.get("invoice", "7"), read=0.3)
    assert found == {"id": "7"}
    assert len(seen) == 2


async def trickle(writer: Writer, request: bytes) -> None:
    """An answer that never ends: no silence in it is long enough for a time-out of reading."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


def test_an_answer_that_never_ends_ends_at_the_deadline() -> None:
    async def read(ns: NetSuite) -> Any:
        with ns.deadline(0.3):
            return await ns.get("invoice", "7")

    async def write(ns: NetSuite) -> Any:
        with ns.deadline(0.3):
            return await ns.send(UPSERT)

    error, seen = converse(trickle, read, read=0.2)
    assert isinstance(error, DeadlinePassed), error
    assert len(seen) == 1
    error, seen = converse(trickle, write, read=0.2)
    assert isinstance(error, InDoubt), error
    assert len(seen) == 1


def test_a_read_that_never_gets_an_answer_says_so() -> None:
    error, seen = converse(silence, lambda ns: ns.get("invoice", "7"), read=0.1)
    assert isinstance(error, Unavailable)
    assert "ReadTimeout" in str(error)
    assert len(seen) == 2


def test_nothing_listening_means_nothing_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hosts = Hosts("7654321_SB1", f"http://127.0.0.1:{port}/7654321-sb1")

    async def run() -> None:
        governor = Governor(5, 1, sleep=no_sleep)
        auth = ClientCredentials(hosts, "client-1", "cert-1", KEY_PEM)
        async with NetSuite(hosts, auth, governor=governor) as ns:
            await ns.send(UPSERT)

    with pytest.raises(
        Unreachable, match=rf"No sandbox listens at http://127.0.0.1:{port}/7654321-sb1.*--port {port}"
    ):
        asyncio.run(run())


def test_compressed_answers_are_read_and_connections_are_kept() -> None:
    writers: set[int] = set()

    async def compressed(writer: Writer, request: bytes) -> None:
        writers.add(id(writer))
        assert b"accept-encoding: gzip" in request.lower()
        writer.write(answer(gzip.compress(b'{"id":"7"}'), headers="Content-Encoding: gzip\r\n"))

    async def five(ns: NetSuite) -> list[Any]:
        return [await ns.get("invoice", "7") for _ in range(5)]

    found, seen = converse(compressed, five)
    assert found == [{"id": "7"}] * 5
    assert len(seen) == 5
    assert len(writers) == 1


def test_a_kept_connection_that_the_server_closed_meanwhile_does_not_put_the_next_write_in_doubt() -> None:
    async def close_after(writer: Writer, request: bytes) -> None:
        writer.write(answer(b"", "204 No Content", "Location: /services/rest/record/v1/invoice/7\r\n"))
        await writer.drain()
        writer.close()

    async def twice(ns: NetSuite) -> str | None:
        await ns.send(UPSERT)
        await asyncio.sleep(0.1)
        return (await ns.send(UPSERT)).internal_id

    found, seen = converse(close_after, twice)
    assert found == "7"
    assert len(seen) == 2
