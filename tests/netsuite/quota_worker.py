"""A process that asks a server for something, again and again, within the shared budget; a test starts several.

python quota_worker.py LEDGER_URL SERVER_URL REQUESTS AT_ONCE CEILING
"""

from __future__ import annotations

import asyncio
import json
import sys

import httpx

from resources.netsuite.errors import Failure, RateLimited
from resources.netsuite.governor import Backoff, Governor
from resources.quota import Pace, SharedBudget

PACE = Pace(lease=2.0, beat=0.05, turn=0.2, climb_after=0.3)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def work(ledger: str, server: str, requests: int, at_once: int, ceiling: int) -> None:
    budget = SharedBudget(ledger, "the-account", ceiling, pace=PACE)
    governor = Governor(ceiling + 1, 1, budget=budget, backoff=Backoff(base=0.05, longest=0.5))
    gate = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=None)) as http:

        async def ask() -> None:
            answer = await http.get(server)
            if answer.status_code == 429:
                raise RateLimited(Failure("ask", status=429))

        async def one() -> None:
            async with gate:
                await governor.run(ask)

        say("begun")
        await asyncio.gather(*(one() for _ in range(requests)))
    figures = governor.figures()
    say(json.dumps({"requests": figures.requests, "rejections": figures.rejections, "peak": figures.peak}))


if __name__ == "__main__":
    ledger, server, *numbers = sys.argv[1:]
    asyncio.run(work(ledger, server, *map(int, numbers)))
