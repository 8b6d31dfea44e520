"""Jobs: batches of writes that NetSuite runs by itself, found again, waited for, and asked for their results.

Here: the way from a batch to the answer of each of its records (NetSuite REST facts: asynchronous requests, idempotency,
batches). Not here: which writes make a batch (``writes``), one request (``client``), or what is believed of a result.

A job's ``completed`` counts, never its ``progress``. The order of its tasks is that of the batch as far as is known, but
not promised: a caller that needs to know whose result it reads has to make sure otherwise.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from resources.netsuite.client import Answer, NetSuite
from resources.netsuite.errors import NetSuiteError, NotFound
from resources.netsuite.writes import BatchRequest, WriteRequest

_JOB: Final = re.compile(r"async/v1/job/([A-Za-z0-9_-]+)")
_TASK: Final = re.compile(r"/task/([A-Za-z0-9_-]+)/?$")


@dataclass(frozen=True, slots=True)
class Polling:
    """How a job is waited for, in seconds: the first pause, by what each next one is longer, the longest, and the end."""

    first: float = 0.25
    growth: float = 1.5
    longest: float = 10.0
    patience: float = 900.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch that NetSuite took: the address of its job, and the status and id of the request that was answered so."""

    address: str
    status: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Done:
    """A task that was carried out; ``internal_id`` is the record's, where the answer tells it."""

    internal_id: str | None
    status: int
    request_id: str


class _Job(msgspec.Struct):
    completed: bool


class _Link(msgspec.Struct):
    href: str = ""


class _Item(msgspec.Struct):
    links: list[_Link] = []


class _Tasks(msgspec.Struct):
    items: list[_Item] = []


class Jobs:
    """The jobs of one account, asked through its client."""

    def __init__(
        self,
        netsuite: NetSuite,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._netsuite = netsuite
        self._clock = clock
        self._sleep = sleep

    async def submit(self, batch: BatchRequest, key: str) -> Taken:
        """Send a batch; its job, which is the earlier one if one was made with this key.

        Raises ``InDoubt`` when it is not known whether NetSuite took it: ``find`` tells.
        """
        return _taken(await self._netsuite.submit(batch, key))

    async def find(self, key: str) -> Taken | None:
        """The job that was made with this key, if one was. The key is used up by the question."""
        answer = await self._netsuite.submit(None, key)
        return None if answer.status == 202 else _taken(answer)

    async def ended(self, address: str) -> bool:
        """Whether a job is over: completed, or so long ago that NetSuite does not know it any more."""
        try:
            answer = await self._netsuite.fetch(address, title=f"Read job {number_of(address)}")
        except NotFound:
            return True
        return msgspec.json.decode(answer.content, type=_Job).completed

    async def wait(self, address: str, polling: Polling, *, expected: float = 0.0) -> bool:
        """Wait until a job is over; False when it is not within ``polling.patience``.

        ``expected`` are the seconds that such a job took before: half of that is not asked in.
        """
        ends = self._clock() + polling.patience
        pause, following = max(polling.first, min(expected / 2, polling.longest)), polling.first
        while (left := ends - self._clock()) > 0:
            await self._sleep(min(pause, left))
            if await self.ended(address):
                return True
            pause, following = following, min(following * polling.growth, polling.longest)
        return False

    async def results(
        self, address: str, wanted: Mapping[int, WriteRequest]
    ) -> dict[int, Done | NetSuiteError]:
        """The results at these positions of a batch (from 0); what cannot be read is left out.

        A refusal is the error that the same write, sent alone, would have ended as.
        """
        try:
            answer = await self._netsuite.fetch(
                f"{address}/task", title=f"Read the tasks of job {number_of(address)}"
            )
            tasks = _tasks(msgspec.json.decode(answer.content, type=_Tasks))
        except (NetSuiteError, msgspec.DecodeError):
            return {}
        places = [place for place in sorted(wanted) if place < len(tasks)]
        read = await asyncio.gather(
            *(self._result(f"{address}/task/{tasks[place]}/result", wanted[place]) for place in places)
        )
        return {place: result for place, result in zip(places, read, strict=True) if result is not None}

    async def _result(self, path: str, request: WriteRequest) -> Done | NetSuiteError | None:
        try:
            answer = await self._netsuite.fetch(
                path, title=f"Read the result of {request.record}", record=request.record, also=_is_refusal
            )
        except NetSuiteError:
            # The reading failed, or the task did in a way that looks the same: either way nothing is known.
            return None
        if _is_refusal(answer):
            return self._netsuite.refusal(request, answer)
        last = str(answer.headers.get("location", "")).partition("?")[0].rstrip("/").rpartition("/")[2]
        return Done(last if last.isdigit() else None, answer.status, answer.request_id)


def number_of(address: str) -> str:
    """A job's number, as people call it."""
    return address.rstrip("/").rpartition("/")[2]


def _taken(answer: Answer) -> Taken:
    """The job that an answer names, in an absolute address or a relative one."""
    location = str(answer.headers.get("location", ""))
    found = _JOB.search(location)
    assert found is not None, "the client looked"
    return Taken(f"/services/rest/async/v1/job/{found[1]}", answer.status, answer.request_id)


def _is_refusal(answer: Answer) -> bool:
    return answer.status in (400, 403, 409)


def _tasks(listed: _Tasks) -> Sequence[str]:
    """The tasks' ids in the order of the list, which may have one element for each or all links in one."""
    links = [link.href for item in listed.items for link in item.links]
    return [found[1] for href in links if (found := _TASK.search(href))]
