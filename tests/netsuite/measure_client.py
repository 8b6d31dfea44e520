"""Measure what the client itself costs: `python tests/netsuite/measure_client.py`. No network is involved."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import httpx
import msgspec
import pyarrow as pa
from fake_account import HOSTS, KEY_PEM, FakeAccount, done

from resources.netsuite.arrow import RowReader, rows_to_arrow
from resources.netsuite.auth import ClientCredentials
from resources.netsuite.client import NetSuite
from resources.netsuite.governor import Governor
from resources.netsuite.pages import Page
from resources.netsuite.suiteql import Select
from resources.netsuite.writes import upsert_request

ROWS = 1000
INVOICE = {
    "memo": "October usage",
    "item": {"items": [{"line": n, "quantity": 3, "memo": "API calls"} for n in range(5)]},
}


def seconds(work: Callable[[], object], times: int) -> float:
    """The best of five averages, in seconds a call."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter() - began) / times)
    return best


def per_request() -> tuple[float, float]:
    """Seconds a governed, signed request through the client, and through bare httpx, over no network."""
    account = FakeAccount([done()])
    request = upsert_request("invoice", "inv-7", INVOICE)
    auth = ClientCredentials(HOSTS, "client-1", "cert-1", KEY_PEM)

    async def through_client(times: int = 1000) -> float:
        governor = Governor(5, 1)
        async with NetSuite(HOSTS, auth, governor=governor, transport=httpx.MockTransport(account)) as ns:
            await ns.send(request)
            began = time.perf_counter()
            for _ in range(times):
                await ns.send(request)
            return (time.perf_counter() - began) / times

    async def bare(times: int = 1000) -> float:
        async with httpx.AsyncClient(transport=httpx.MockTransport(account)) as http:
            began = time.perf_counter()
            for _ in range(times):
                await http.put(HOSTS.url(request.path, request.query), content=request.body)
            return (time.perf_counter() - began) / times

    return min(asyncio.run(through_client()) for _ in range(3)), min(asyncio.run(bare()) for _ in range(3))


def rows_a_second() -> tuple[float, float]:
    """Rows a second, typed to Arrow, of ten and of twenty columns."""

    def speed(width: int) -> float:
        kinds = [pa.string(), pa.decimal128(18, 2), pa.date32(), pa.int64(), pa.timestamp("s")]
        texts = ["INV-2026-10-0007", "1320.55", "2026-10-31", "48112", "2026-10-31 07:15:00"]
        schema = pa.schema([("id", pa.int64()), *((f"c{n}", kinds[n % 5]) for n in range(1, width))])
        rows = [
            {"links": [], "id": str(row), **{f"c{n}": texts[n % 5] for n in range(1, width)}}
            for row in range(ROWS)
        ]
        page = Page(msgspec.Raw(json.dumps(rows).encode()), ROWS, 0, False, ROWS, "")
        reader = RowReader(schema)
        return ROWS / seconds(lambda: reader.batch(page), 20)

    return speed(10), speed(20)


def chain_rows_a_second(pages: int = 100) -> float:
    """Rows a second through the whole reading: answer, keyset check, Arrow; ten columns, no network."""
    names = [f"c{n}" for n in range(1, 10)]
    schema = pa.schema([("id", pa.int64()), *((name, pa.decimal128(18, 2)) for name in names)])
    bodies = [
        json.dumps(
            {
                "count": ROWS,
                "hasMore": False,
                "items": [
                    {"links": [], "id": str(number * ROWS + row), **dict.fromkeys(names, "1320.55")}
                    for row in range(ROWS)
                ],
                "offset": 0,
                "totalResults": ROWS,
            }
        ).encode()
        for number in range(pages)
    ]
    bodies.append(b'{"count":0,"hasMore":false,"items":[],"offset":0,"totalResults":0}')
    account = FakeAccount([httpx.Response(200, content=body) for body in bodies])
    select = Select({"id": "t.id"}, "transaction t", key="t.id")

    async def run() -> float:
        auth = ClientCredentials(HOSTS, "client-1", "cert-1", KEY_PEM)
        async with NetSuite(HOSTS, auth, governor=Governor(), transport=httpx.MockTransport(account)) as ns:
            began, count = time.perf_counter(), 0
            async for batch in rows_to_arrow(ns.rows_keyset(select), schema):
                count += batch.num_rows
            return count / (time.perf_counter() - began)

    return asyncio.run(run())


def main() -> None:
    """Print the figures."""
    auth = ClientCredentials(HOSTS, "client-1", "cert-1", KEY_PEM)
    client, bare = per_request()
    ten, twenty = rows_a_second()
    lines = [
        f"sign one assertion (once in 50 minutes)   {seconds(auth.assertion, 200) * 1e3:8.3f} ms",
        f"build an invoice's bytes                  {seconds(lambda: upsert_request('invoice', 'i', INVOICE), 2000) * 1e3:8.3f} ms",
        f"send, through the client                  {client * 1e3:8.3f} ms",
        f"send, through bare httpx                  {bare * 1e3:8.3f} ms",
        f"our share of a request                    {(client - bare) * 1e3:8.3f} ms",
        f"rows to Arrow, 10 columns                 {ten:8.0f} rows/s",
        f"rows to Arrow, 20 columns                 {twenty:8.0f} rows/s",
        f"answer to Arrow by keyset, 10 columns     {chain_rows_a_second():8.0f} rows/s",
    ]
    print("\n".join(lines))  # noqa: T201 (the figures are the output)


if __name__ == "__main__":
    main()
