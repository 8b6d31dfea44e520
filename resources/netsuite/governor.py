"""The account's request quota: how many requests may be in flight, and what to do when NetSuite says "too many".

Here belong the budget of an account, its adaptation to rejections, backoff, retry and the figures of all that.
What a request is, and which error an answer means, do not (NetSuite REST facts: governance and limits).

NetSuite counts the requests in flight of all integrations of an account together, rejects at once what is over
the limit, and says neither how many are in flight nor when to come back. So we keep under the limit less a
reserve, halve on rejection and climb again slowly.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_exponential

from resources.netsuite.errors import NetSuiteError, RateLimited

T = TypeVar("T")
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Figures:
    """What an account's requests have done since the process began; two snapshots subtract to a run's share.

    Times are in seconds. ``in_flight`` and ``allowed`` are of the moment; ``peak`` is the most ever in flight.
    """

    requests: int = 0
    rejections: int = 0
    retries: int = 0
    waits: int = 0
    waited_seconds: float = 0.0
    backoff_seconds: float = 0.0
    latency_seconds: float = 0.0
    longest_seconds: float = 0.0
    in_flight: int = 0
    peak: int = 0
    allowed: int = 0

    def since(self, earlier: Figures) -> Figures:
        """The counts and sums after ``earlier``; the values of the moment and the maxima stay as they are."""
        return replace(
            self,
            requests=self.requests - earlier.requests,
            rejections=self.rejections - earlier.rejections,
            retries=self.retries - earlier.retries,
            waits=self.waits - earlier.waits,
            waited_seconds=self.waited_seconds - earlier.waited_seconds,
            backoff_seconds=self.backoff_seconds - earlier.backoff_seconds,
            latency_seconds=self.latency_seconds - earlier.latency_seconds,
        )


class Budget(Protocol):
    """The slots of one account. A budget in a database lets several processes share them.

    ``poll_seconds`` is how often to ask again for a slot that another process may have freed; ``None`` when
    every slot is freed in this process. All methods are called under the governor's lock and must not block long.
    """

    poll_seconds: float | None

    @property
    def allowed(self) -> int:
        """How many may be in flight now."""

    def set_ceiling(self, ceiling: int) -> None:
        """Never allow more than ``ceiling``."""

    def take(self) -> bool:
        """Take a slot if one is free."""

    def give_back(self) -> None:
        """Free a slot."""

    def rejected(self, started: float, now: float) -> None:
        """NetSuite rejected a request that was sent at ``started``."""

    def accepted(self, now: float) -> None:
        """NetSuite took a request."""


class LocalBudget:
    """A budget for the clients of one process: halves when NetSuite rejects, climbs by one a quiet spell."""

    poll_seconds: float | None = None

    def __init__(self, ceiling: int, *, climb_after: float = 2.0) -> None:
        self._ceiling = max(1, ceiling)
        self._allowed = self._ceiling
        self._taken = 0
        self._climb_after = climb_after
        self._changed = float("-inf")

    @property
    def allowed(self) -> int:
        """How many may be in flight now."""
        return self._allowed

    def set_ceiling(self, ceiling: int) -> None:
        """Never allow more than ``ceiling``."""
        grown = ceiling > self._ceiling and self._allowed == self._ceiling
        self._ceiling = max(1, ceiling)
        self._allowed = self._ceiling if grown else min(self._allowed, self._ceiling)

    def take(self) -> bool:
        """Take a slot if one is free."""
        if self._taken >= self._allowed:
            return False
        self._taken += 1
        return True

    def give_back(self) -> None:
        """Free a slot."""
        self._taken -= 1

    def rejected(self, started: float, now: float) -> None:
        """Halve, once for all the requests that were in flight together."""
        if started < self._changed:
            return
        self._allowed = max(1, self._allowed // 2)
        self._changed = now

    def accepted(self, now: float) -> None:
        """Climb by one when nothing changed for a while."""
        if self._allowed < self._ceiling and now - self._changed >= self._climb_after:
            self._allowed += 1
            self._changed = now


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to try. All times in seconds.

    A rejection for concurrency is tried again until ``patience`` is spent; time in our own queue does not count,
    so that a long queue never fails a record. Any other passing failure gets ``attempts`` tries. The pause before
    try n+1 is drawn evenly from 0 to ``base``·2ⁿ⁻¹, at most ``longest`` (full jitter).
    """

    patience: float = 300.0
    attempts: int = 4
    base: float = 1.0
    longest: float = 60.0


class _FullJitter(wait_exponential):
    """Tenacity's exponential wait, drawn evenly from zero to it by the governor's own random source."""

    def __init__(self, backoff: Backoff, draw: Callable[[], float]) -> None:
        super().__init__(multiplier=backoff.base, max=backoff.longest)
        self._draw = draw

    def __call__(self, retry_state: RetryCallState) -> float:
        return self._draw() * super().__call__(retry_state)


class Governor:
    """One account's budget and retry policy, shared by every client of the account in this process.

    Safe across threads and event loops. ``limit`` is the account's (or integration's) concurrency limit and
    ``reserve`` the part left to the customer's other integrations.
    """

    def __init__(
        self,
        limit: int = 5,
        reserve: int = 1,
        *,
        budget: Budget | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        _check_limit(limit, reserve)
        self._budget: Budget = budget or LocalBudget(limit - reserve)
        self.backoff = backoff or Backoff()
        self._clock = clock
        self._draw = draw
        self._sleep = sleep
        self._lock = threading.Lock()
        self._waiting: deque[Future[None]] = deque()
        self._figures = Figures()

    _shared: Final[dict[str, Governor]] = {}
    _shared_lock: Final = threading.Lock()

    @classmethod
    def shared(cls, account: str, limit: int | None = None, reserve: int = 1) -> Governor:
        """The governor of ``account`` (its ``Hosts.rest_prefix``) in this process, made for 5 if no limit was given.

        The limit that was given last holds for all who share it.
        """
        with cls._shared_lock:
            found = cls._shared.get(account)
            if found is None:
                found = cls._shared[account] = cls(limit or 5, reserve)
            elif limit is not None:
                found.set_limit(limit, reserve)
        return found

    def set_limit(self, limit: int, reserve: int) -> None:
        """Change the limit while requests are in flight."""
        _check_limit(limit, reserve)
        with self._lock:
            self._budget.set_ceiling(limit - reserve)
            self._hand_out()

    def figures(self) -> Figures:
        """A snapshot of what the account's requests have done so far."""
        with self._lock:
            return replace(self._figures, allowed=self._budget.allowed)

    async def run(self, request: Callable[[], Awaitable[T]]) -> T:
        """Run ``request`` in a slot, again while that is safe and may help; its errors come through unchanged.

        It is run again only after an error that is ``transient``, which means that nothing was done: so a write
        of unknown outcome never is.
        """
        spent = 0.0

        def may_retry(error: BaseException) -> bool:
            return isinstance(error, NetSuiteError) and error.transient

        def enough(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            if spent + state.upcoming_sleep > self.backoff.patience:
                return True
            return not isinstance(error, RateLimited) and state.attempt_number >= self.backoff.attempts

        async def pause(seconds: float) -> None:
            nonlocal spent
            spent += seconds
            self._count(retries=1, backoff_seconds=seconds)
            await self._sleep(seconds)

        async for attempt in AsyncRetrying(
            retry=retry_if_exception(may_retry),
            stop=enough,
            wait=_FullJitter(self.backoff, self._draw),
            sleep=pause,
            reraise=True,
        ):
            again = attempt.retry_state.attempt_number > 1
            with attempt:
                async with self._slot(first=again) as started:
                    try:
                        answer = await request()
                    except NetSuiteError as error:
                        self._finish(
                            started,
                            rejected=isinstance(error, RateLimited),
                            answered=error.status is not None,
                        )
                        spent += self._clock() - started
                        if error.transient:
                            _LOG.info("%s (try %d)", error, attempt.retry_state.attempt_number)
                        raise
                    self._finish(started, rejected=False, answered=True)
                    return answer
        raise AssertionError("tenacity ends by an answer or an error")

    @asynccontextmanager
    async def _slot(self, *, first: bool) -> AsyncIterator[float]:
        """Hold a slot; gives the time at which it was got. ``first`` goes before those who have not tried yet."""
        await self._acquire(first)
        try:
            yield self._clock()
        finally:
            with self._lock:
                self._budget.give_back()
                self._figures = replace(self._figures, in_flight=self._figures.in_flight - 1)
                self._hand_out()

    async def _acquire(self, first: bool) -> None:
        with self._lock:
            if (first or not self._waiting) and self._budget.take():
                self._enter()
                return
            turn: Future[None] = Future()
            # A running future cannot be cancelled from the waiter's side, so a slot handed to it is never lost.
            turn.set_running_or_notify_cancel()
            if first:
                self._waiting.appendleft(turn)
            else:
                self._waiting.append(turn)
            self._figures = replace(self._figures, waits=self._figures.waits + 1)
        since = self._clock()
        try:
            waiter = asyncio.wrap_future(turn)
            while not (await asyncio.wait({waiter}, timeout=self._budget.poll_seconds))[0]:
                with self._lock:
                    self._hand_out()
        except BaseException:
            with self._lock:
                if turn.done():
                    self._budget.give_back()
                    self._figures = replace(self._figures, in_flight=self._figures.in_flight - 1)
                    self._hand_out()
                else:
                    self._waiting.remove(turn)
            raise
        self._count(waited_seconds=self._clock() - since)

    def _hand_out(self) -> None:
        """Give free slots to those who wait, the first first. The lock is held."""
        while self._waiting and self._budget.take():
            self._enter()
            self._waiting.popleft().set_result(None)

    def _enter(self) -> None:
        in_flight = self._figures.in_flight + 1
        self._figures = replace(self._figures, in_flight=in_flight, peak=max(self._figures.peak, in_flight))

    def _finish(self, started: float, *, rejected: bool, answered: bool) -> None:
        now = self._clock()
        with self._lock:
            if rejected:
                self._budget.rejected(started, now)
            elif answered:
                self._budget.accepted(now)
                self._hand_out()
            figures = self._figures
            self._figures = replace(
                figures,
                requests=figures.requests + 1,
                rejections=figures.rejections + int(rejected),
                latency_seconds=figures.latency_seconds + (now - started),
                longest_seconds=max(figures.longest_seconds, now - started),
            )

    def _count(self, *, retries: int = 0, backoff_seconds: float = 0.0, waited_seconds: float = 0.0) -> None:
        with self._lock:
            figures = self._figures
            self._figures = replace(
                figures,
                retries=figures.retries + retries,
                backoff_seconds=figures.backoff_seconds + backoff_seconds,
                waited_seconds=figures.waited_seconds + waited_seconds,
            )


def _check_limit(limit: int, reserve: int) -> None:
    if limit < 1 or reserve < 0:
        raise ValueError(f"A concurrency limit of {limit} less a reserve of {reserve} is not possible.")
