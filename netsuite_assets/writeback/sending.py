"""Sending a wave of a plan: each operation alone, or many in batches that NetSuite runs by itself.

Here: which way an operation goes, and how every one of them gets an outcome of its own. Not here: what may be sent
(`apply.py`), the bytes (`operations.py`), or whether NetSuite holds it afterwards (`verify.py`). Imports no Dagster.

An intent is durably in the ledger before its first byte goes out, and so are a batch's key and what it carries. What a
batch did is believed of the records themselves: once its job is over they are looked up in one set. Only for those that
do not show it are results read; the order of a job's tasks is not promised, so a refusal counts as a record's own only
when it can be no other's. What is left goes again in halves, or alone, which is safe because the job is over.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from netsuite_assets.extract.lookup import Found, find_by_external_id
from netsuite_assets.writeback.book import Book
from netsuite_assets.writeback.plan import request_of
from resources.ledger import Event, Intent, NewIntent
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import (
    DeadlinePassed,
    NetSuiteError,
    NotFound,
    RateLimited,
    SignInFailed,
    Unreachable,
)
from resources.netsuite.jobs import Done, Jobs, Polling, Taken, number_of
from resources.netsuite.writes import BATCH_LIMIT, WriteRequest, batch_kind, batch_request

Way = Literal["auto", "single", "batch"]

PLAN_AGAIN: Final = "Run the reconciliation again: it compares afresh and plans what is still needed."

_LOG = logging.getLogger(__name__)
#: Failures of the account, not of the record: NetSuite did nothing, and the same write goes out in the next run.
_NOTHING_DONE = (DeadlinePassed, RateLimited, SignInFailed, Unreachable)
#: Single writes whose intents go into one transaction of the ledger.
_AT_ONCE: Final = 50
#: Single writes that are under way or wait for a free request, at least.
_READY: Final = 8
#: Jobs under way at once: in `batch` enough to keep NetSuite's processors busy, in `auto` beside the single writes.
_LANES: Final[Mapping[Way, int]] = {"single": 0, "auto": 1, "batch": 4}
#: Single writes that must be left in `auto` before a batch is tried whose speed is not known.
_WORTH_A_TRY: Final = 400
#: Bytes of one batch, well below what NetSuite takes (104 MB): several are held in memory at once.
_BATCH_BYTES: Final = 16_000_000
#: Batches refused as a whole, one after the other, after which an account is taken to have none.
_REFUSED_BATCHES: Final = 4


class End(Protocol):
    """Told what became of an operation."""

    def __call__(
        self,
        row: Mapping[str, Any],
        state: str,
        detail: str | None,
        next_step: str | None,
        internal_id: str | None = None,
    ) -> None: ...


@dataclass
class Sent:
    """How much went which way so far; `seconds` by the clock, each way's own."""

    alone: int = 0
    in_batches: int = 0
    batches: int = 0
    seconds_alone: float = 0.0
    seconds_of_batches: float = 0.0


@dataclass(eq=False)
class _Operation:
    row: dict[str, Any]
    request: WriteRequest
    intent: Intent | None = None

    @property
    def noted(self) -> Intent:
        assert self.intent is not None, "it is intended before it is sent"
        return self.intent


class Sending:
    """Sends the operations of one plan, wave after wave.

    `way` is the tenant's `writeback.send`. `auto` sends single writes and, where there are many, tries a batch beside
    them. If that is faster, the rest goes in batches; if not, single writes go on, and batches beside them as long as
    one, by the time that the last one took, ends before the single writes would have done everything.
    """

    def __init__(
        self,
        netsuite: NetSuite,
        book: Book,
        tenant: str,
        period: str,
        plan_id: str,
        way: Way,
        end: End,
        *,
        polling: Polling | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._netsuite = netsuite
        self._book = book
        self._tenant = tenant
        self._period = period
        self._plan_id = plan_id
        self._way = way
        self._end = end
        self._polling = polling or Polling()
        self._clock = clock
        self._jobs = Jobs(netsuite, clock=clock, sleep=sleep)
        self.sent = Sent()
        self._alone: deque[_Operation] = deque()
        self._together: dict[tuple[str, str, str], deque[_Operation]] = {}
        self._parts: list[list[_Operation]] = []
        self._batch_seconds = 0.0
        self._batches_are_faster = False
        self._since, self._before = 0.0, 0
        self._refused = 0

    async def wave(self, rows: Sequence[dict[str, Any]]) -> dict[str, Intent]:
        """Send these operations, which do not depend on each other; their intents by operation key.

        Each is told to `end`. What ends as in doubt keeps an open intent. Raises `PlanRefused`, before anything is sent,
        when one is not what was planned, and `LedgerError` when the ledger does not take it.
        """
        operations = [_Operation(row, request_of(row)) for row in rows]
        for operation in operations:
            kind = batch_kind(operation.request) if self._lanes else None
            if kind is None:
                self._alone.append(operation)
            else:
                self._together.setdefault(kind, deque()).append(operation)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_alone())
            for _ in range(self._lanes):
                group.create_task(self._send_batches(group))
        # What a batch left to be sent alone, and what no batch took.
        await self._send_alone(rest=True)
        await self._book.noted()
        return {operation.row["operation_key"]: operation.noted for operation in operations}

    @property
    def _lanes(self) -> int:
        """Jobs under way at once."""
        way: Way = "batch" if self._batches_are_faster else self._way
        return 0 if self._refused >= _REFUSED_BATCHES else _LANES[way]

    # Alone

    async def _send_alone(self, *, rest: bool = False) -> None:
        self._since, self._before = self._clock(), self.sent.alone
        # As many again wait for a free request as are under way, and no more: what a batch asks for waits behind them.
        ready = asyncio.Semaphore(max(_READY, 2 * self._netsuite.governor.figures().allowed))
        async with asyncio.TaskGroup() as group:
            while operations := self._next_alone(rest):
                await self._intend(operations)
                for operation in operations:
                    await ready.acquire()
                    task = group.create_task(self._send(operation))
                    task.add_done_callback(lambda _: ready.release())
        if self.sent.alone > self._before:
            self.sent.seconds_alone += self._clock() - self._since
            self._before = self.sent.alone

    def _rate(self) -> float:
        """Single writes a second."""
        seconds = self.sent.seconds_alone
        if self.sent.alone > self._before:
            seconds += self._clock() - self._since
        return self.sent.alone / seconds if seconds > 0 else 0.0

    def _next_alone(self, rest: bool) -> list[_Operation]:
        source = self._alone
        beside = self._way == "auto" and not self._batches_are_faster
        if not source and (rest or beside or not self._lanes):
            source = max(self._together.values(), key=len, default=source)
        return [source.popleft() for _ in range(min(_AT_ONCE, len(source)))]

    async def _intend(self, operations: Sequence[_Operation]) -> None:
        new = [operation for operation in operations if operation.intent is None]
        if new:
            made = await self._book.intend(
                self._tenant, self._period, self._plan_id, [intent_of(operation.row) for operation in new]
            )
            for operation, intent in zip(new, made, strict=True):
                operation.intent = intent

    async def _send(self, operation: _Operation) -> None:
        try:
            answer = await self._netsuite.send(operation.request)
        except NetSuiteError as error:
            self._failed(operation, error)
        else:
            warnings = "; ".join(answer.warnings) or None
            self._book.note(
                Event(
                    operation.noted.id,
                    "answered",
                    status=answer.status,
                    internal_id=answer.internal_id,
                    request_id=answer.request_id,
                    detail=warnings,
                )
            )
            self._end(operation.row, "written", warnings, None, answer.internal_id)
        self.sent.alone += 1

    def _failed(self, operation: _Operation, error: NetSuiteError) -> None:
        row, intent = operation.row, operation.noted
        if isinstance(error, NotFound) and row["action"] == "delete":
            self._book.note(Event(intent.id, "adopted", error.status, detail="already gone"))
            self._end(row, "adopted", "already gone", None)
        elif isinstance(error, _NOTHING_DONE):
            self._book.note(Event(intent.id, "not_found", error.status, detail=f"nothing was done: {error}"))
            self._end(row, "waiting", str(error), error.what_to_do or PLAN_AGAIN)
        else:
            state: Literal["in_doubt", "rejected"] = "in_doubt" if error.in_doubt else "rejected"
            self._book.note(
                Event(
                    intent.id,
                    state,
                    status=error.status,
                    request_id=error.request_id or None,
                    detail=str(error),
                )
            )
            self._end(row, state, str(error), error.what_to_do or PLAN_AGAIN)

    # In batches

    async def _send_batches(self, group: asyncio.TaskGroup) -> None:
        lanes = self._lanes
        while operations := self._next_batch():
            await self._send_batch(operations)
            for _ in range(lanes, self._lanes):
                group.create_task(self._send_batches(group))
            lanes = max(lanes, self._lanes)

    def _next_batch(self) -> list[_Operation]:
        if self._parts:
            return self._parts.pop()
        source = max(self._together.values(), key=len, default=None)
        if source is None or len(source) < 2 or not self._lanes:
            return []
        if self._way == "auto" and not self._batches_are_faster:
            left = len(source) - BATCH_LIMIT
            # Where nothing is measured yet, so many that a slow batch does not hold up the end.
            enough = self._rate() * self._batch_seconds if self._batch_seconds else _WORTH_A_TRY
            if left < max(enough, BATCH_LIMIT):
                return []
        taken, size = [source.popleft()], 0
        while source and len(taken) < BATCH_LIMIT:
            size += len(taken[-1].request.body)
            if size + len(source[0].request.body) > _BATCH_BYTES:
                break
            taken.append(source.popleft())
        return taken

    async def _send_batch(self, operations: list[_Operation]) -> None:
        await self._intend(operations)
        intents = [operation.noted for operation in operations]
        batch = batch_request([operation.request for operation in operations])
        key = job_key(self._tenant, intents)
        record, body_hash = operations[0].row["record"], hashlib.sha256(batch.body).hexdigest()
        await self._book.run(
            lambda ledger, now: ledger.open_job(self._tenant, key, record, body_hash, intents, now)
        )
        began = self._clock()
        try:
            taken = await self._jobs.submit(batch, key)
        except NetSuiteError as error:
            if error.in_doubt:
                await self._find(operations, key, error)
            else:
                await self._close(key)
                self._refused_whole(operations, error)
            return
        self._refused = 0
        await self._book.run(lambda ledger, _: ledger.job_taken(key, taken.address))
        await self._await(operations, key, taken)
        self._batch_seconds = self._clock() - began
        self.sent.seconds_of_batches += self._batch_seconds
        if self._way == "auto" and not self._batches_are_faster:
            self._batches_are_faster = len(operations) / self._batch_seconds > self._rate()

    async def _find(self, operations: list[_Operation], key: str, error: NetSuiteError) -> None:
        """The answer to a submission was lost: find the job that it made, if it made one."""
        try:
            taken = await self._jobs.find(key)
        except NetSuiteError as again:
            _LOG.warning("Whether NetSuite runs a batch is not known yet; the next run asks: %s", again)
            taken = None
        if taken is None:
            # It may still arrive; the next run looks the records up.
            for operation in operations:
                self._failed(operation, error)
            return
        address = taken.address
        await self._book.run(lambda ledger, _: ledger.job_taken(key, address))
        await self._await(operations, key, taken)

    async def _await(self, operations: list[_Operation], key: str, taken: Taken) -> None:
        self.sent.batches += 1
        address = taken.address
        try:
            over = await self._jobs.wait(address, self._polling, expected=self._batch_seconds)
        except NetSuiteError as error:
            self._unknown(operations, str(error))
            return
        if not over:
            self._unknown(operations, unfinished(address))
            return
        try:
            left = await self._believe(operations, taken)
        except NetSuiteError as error:
            self._unknown(operations, f"job {number_of(address)} is over, but: {error}")
            return
        if left:
            await self._results(operations, left, address)
        await self._close(key)

    async def _close(self, key: str) -> None:
        await self._book.run(lambda ledger, now: ledger.job_ended(key, now))

    async def _believe(self, operations: Sequence[_Operation], taken: Taken) -> list[_Operation]:
        """End the operations whose records show what the batch did; those that do not.

        To ask for the result of each would be a request more a record: what the ledger gets is the answer to the batch.
        """
        record = operations[0].row["record"]
        targets = [target_of(operation.row) for operation in operations]
        found = await find_by_external_id(self._netsuite, record, targets, confirm=True)
        left = []
        for operation in operations:
            there = found.get(target_of(operation.row))
            if there is not None and _shows(operation.row, there):
                self._written(operation, there.internal_id, taken)
            else:
                left.append(operation)
        return left

    def _written(self, operation: _Operation, internal_id: str, answer: Taken | Done) -> None:
        self.sent.in_batches += 1
        request_id = answer.request_id or None
        self._book.note(Event(operation.noted.id, "answered", answer.status, internal_id, request_id))
        self._end(operation.row, "written", None, None, internal_id)

    async def _results(self, operations: Sequence[_Operation], left: list[_Operation], address: str) -> None:
        """Find out why records do not show what a batch was to do; what stays open is sent again."""
        places = {operation: place for place, operation in enumerate(operations)}
        read = await self._jobs.results(address, {places[operation]: operation.request for operation in left})
        results = {operation: read.get(places[operation]) for operation in left}
        again = []
        for operation, result in results.items():
            internal_id = operation.row["internal_id"]
            if (
                isinstance(result, Done)
                and result.internal_id is not None
                and result.internal_id == internal_id
            ):
                self._written(operation, internal_id, result)
            else:
                again.append(operation)
        refusals = [result for result in results.values() if isinstance(result, NetSuiteError)]
        alike = {(refusal.status, refusal.said) for refusal in refusals}
        if len(refusals) == len(left) and (len(left) == 1 or len(alike) == 1):
            for operation, refusal in zip(left, refusals, strict=True):
                self.sent.in_batches += 1
                self._failed(operation, refusal)
        elif any(result is not None for result in results.values()):
            self._alone.extend(again)
        else:
            self._shrink(again)

    def _refused_whole(self, operations: list[_Operation], error: NetSuiteError) -> None:
        if isinstance(error, _NOTHING_DONE):
            for operation in operations:
                self._failed(operation, error)
            return
        self._refused += 1
        _LOG.info("A batch of %d was refused as a whole: %s", len(operations), error)
        self._shrink(operations)

    def _shrink(self, operations: list[_Operation]) -> None:
        """Send these again, in halves, so that a record which spoils a batch is found; at last, or at once where
        batches are refused whatever is in them, alone.
        """
        if len(operations) == 1 or not self._lanes:
            self._alone.extend(operations)
        else:
            middle = len(operations) // 2
            self._parts += [operations[middle:], operations[:middle]]

    def _unknown(self, operations: Sequence[_Operation], detail: str) -> None:
        for operation in operations:
            self._book.note(Event(operation.noted.id, "in_doubt", detail=detail))
            self._end(operation.row, "in_doubt", detail, PLAN_AGAIN)


def _shows(row: Mapping[str, Any], there: Found) -> bool:
    """Whether a record that is there shows that it was written since it was planned."""
    return row["action"] == "create" or there.last_modified not in (None, row["base_modified"])


def unfinished(address: str) -> str:
    """What is known of a write in a job that is not over."""
    return f"NetSuite has not finished job {number_of(address)}, which it is part of"


def job_key(tenant: str, intents: Sequence[Intent]) -> str:
    """The idempotency key of a batch: the same for the same attempts at the same operations, and for no others."""
    carried = "".join(f"\n{intent.operation_key} {intent.attempt} {intent.id}" for intent in intents)
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tenant} {intents[0].intended_at.isoformat()}{carried}"))


def target_of(row: Mapping[str, Any]) -> str:
    """By which id the record of an operation is looked up: deletions by internal id, all others by external id."""
    return str(row["internal_id"] if row["action"] == "delete" else row["external_id"])


def intent_of(row: Mapping[str, Any]) -> NewIntent:
    """What the ledger is told before an operation is sent."""
    return NewIntent(
        operation_key=row["operation_key"],
        record=row["record"],
        target=target_of(row),
        number=row["number"],
        name=row["name"],
        action=row["action"],
        method=row["method"],
        path=row["path"],
        query=row["query"],
        body=row["body"],
        body_hash=row["body_hash"],
    )
