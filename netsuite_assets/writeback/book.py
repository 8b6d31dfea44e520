"""The ledger while a plan is being sent: intents durable before their first byte, answers noted together.

Here: the one thread in which a run writes to the ledger, so that a disk that has to synchronise holds no request up. Not
here: what is intended, or what an answer means (`sending.py`). Imports no Dagster.

Answers that come while others are being written go into the next transaction. One that a power cut takes is none that
was lost: its intent is open, and what is open is looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

from resources.ledger import Event, Intent, Ledger, NewIntent

T = TypeVar("T")


class Book:
    """A ledger that takes its writes in the order in which they were asked for, beside the event loop.

    An async context manager; leaving it without an error writes what is still to be noted. Raises what the ledger
    raises, at the latest then.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._events: list[Event] = []
        self._noting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self.noted()
            elif self._noting is not None:
                await asyncio.wait({self._noting})
        finally:
            self._thread.shutdown()

    async def run(self, work: Callable[[Ledger, datetime], T]) -> T:
        """Do something with the ledger, after all that was asked for before."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: work(self._ledger, self._clock())
        )

    async def intend(self, tenant: str, period: str, plan_id: str, new: Sequence[NewIntent]) -> list[Intent]:
        """Note what is about to be sent; it is durable when this returns."""
        return await self.run(lambda ledger, now: ledger.intend(tenant, period, plan_id, new, now))

    def note(self, event: Event) -> None:
        """Add an event soon. Raises what an earlier note failed with."""
        if self._noting is not None and self._noting.done():
            self._noting.result()
            self._noting = None
        self._events.append(event)
        if self._noting is None:
            self._noting = asyncio.get_running_loop().create_task(self._note())

    async def noted(self) -> None:
        """Wait until every event is in the ledger."""
        if self._noting is not None:
            await self._noting

    async def _note(self) -> None:
        while self._events:
            taken, self._events = self._events, []
            await self.run(lambda ledger, now, taken=taken: ledger.record(taken, now))  # type: ignore[misc]
