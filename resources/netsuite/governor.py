"""The account's request quota: how many requests may be in flight, and what to do when NetSuite says "too many".

Here belong the budget of an account, its adaptation to rejections, backoff, retry and the end of it; the figures of all
that are added up in ``figures``. What a request is, and which error an answer means, do not (NetSuite REST facts:
governance and limits).

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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_exponential

from resources.netsuite.deadline import Deadline, Tried
from resources.netsuite.errors import CONCURRENCY_CODES, NetSuiteError, RateLimited, SignInFailed
from resources.netsuite.figures import Figures, Meter

__all__ = ["Backoff", "Budget", "Figures", "Governor", "LocalBudget", "Meter"]

T = TypeVar("T")
_LOG: Final = logging.getLogger(__name__)
_METER: Final[ContextVar[tuple[Governor, Meter] | None]] = ContextVar("meter", default=None)
_ENDS: Final[ContextVar[tuple[Governor, float] | None]] = ContextVar("ends", default=None)

CLIMB_AFTER: Final = 2.0
"""Seconds without a change after which one more request is allowed."""


class Budget(Protocol):
    """The slots of one account. A budget in a database (``resources.quota``) lets several processes share them.

    All methods but ``listen`` are called under the governor's lock and must return at once.
    """

    def listen(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from any thread, whenever slots came free otherwise than by ``give_back``."""

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

    def __init__(self, ceiling: int, *, climb_after: float = CLIMB_AFTER) -> None:
        self._ceiling = max(1, ceiling)
        self._allowed = self._ceiling
        self._taken = 0
        self._climb_after = climb_after
        self._changed = float("-inf")

    def listen(self, wake: Callable[[], None]) -> None:
        """Nothing: every slot is freed by ``give_back``."""

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

    An overloaded account has been seen to answer with a refused sign-in. A refusal counts as that, and is tried
    again ``login_overruns`` times, only when the same credentials worked before in this process and another
    request was rejected for concurrency at most ``overload`` seconds ago; a code that names concurrency needs no
    such sign. 0 switches it off. Few tries: five refused sign-ins by token lock a NetSuite user for half an hour.
    """

    patience: float = 300.0
    attempts: int = 4
    base: float = 1.0
    longest: float = 60.0
    login_overruns: int = 1
    overload: float = 10.0


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
        self._waiting: deque[tuple[Future[None], Meter]] = deque()
        self._total = Meter()
        self._last_accepted: float | None = None
        self._last_rejected: float | None = None
        self._budget.listen(self._freed)

    _shared: Final[dict[str, Governor]] = {}
    _shared_lock: Final = threading.Lock()

    @classmethod
    def shared(
        cls,
        account: str,
        limit: int | None = None,
        reserve: int = 1,
        *,
        budget: Callable[[int], Budget] = LocalBudget,
    ) -> Governor:
        """The governor of ``account`` (its ``Hosts.rest_prefix``) in this process, made for 5 if no limit was given.

        The limit that was given last holds for all who share it. ``budget`` makes the account's budget from the
        number of requests that it may allow, when the governor is made.
        """
        with cls._shared_lock:
            found = cls._shared.get(account)
            if found is None:
                _check_limit(limit or 5, reserve)
                made = budget(max(1, (limit or 5) - reserve))
                found = cls._shared[account] = cls(limit or 5, reserve, budget=made)
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
        """A snapshot of what the account's requests have done so far, in this process."""
        return self.read(self._total)

    def read(self, meter: Meter) -> Figures:
        """A snapshot of a meter that ``metered`` gave."""
        with self._lock:
            return replace(meter.figures, allowed=self._budget.allowed)

    @contextmanager
    def metered(self) -> Iterator[Meter]:
        """Count what is asked within the block, in tasks that it starts as well, apart from all else."""
        meter = Meter(self._meter())
        token = _METER.set((self, meter))
        try:
            yield meter
        finally:
            _METER.reset(token)

    def _meter(self) -> Meter:
        current = _METER.get()
        return current[1] if current is not None and current[0] is self else self._total

    def _freed(self) -> None:
        with self._lock:
            self._hand_out()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """End every operation that is asked for in the block by then, together and with all its waiting."""
        ends, outer = self._clock() + seconds, _ENDS.get()
        if outer is not None and outer[0] is self:
            ends = min(ends, outer[1])
        token = _ENDS.set((self, ends))
        try:
            yield
        finally:
            _ENDS.reset(token)

    async def run(self, request: Callable[[], Awaitable[T]], deadline: Deadline | None = None) -> T:
        """Run ``request`` in a slot, again while that is safe and may help; its last error comes through.

        It is run again only after an error that is ``transient``, which means that nothing was done: so a write
        of unknown outcome never is. With a ``deadline`` it ends in time: what is under way then is abandoned, and
        the deadline's error is raised.
        """
        asked = _Asked(self._clock(), deadline, self._block_ends())
        try:
            async with asyncio.timeout(asked.left(self._clock())) as limit:
                return await self._run(request, asked, limit)
        except NetSuiteError as error:
            if deadline is not None and asked.late:
                raise deadline.error(asked.tried(self._clock())) from error
            if asked.tries > 1:
                raise error.after(asked.tries, self._clock() - asked.since) from error.__cause__
            raise
        except TimeoutError:
            if deadline is None or not limit.expired():
                raise
            raise deadline.error(asked.tried(self._clock())) from asked.last

    def _block_ends(self) -> float | None:
        ends = _ENDS.get()
        return ends[1] if ends is not None and ends[0] is self else None

    async def _run(self, request: Callable[[], Awaitable[T]], asked: _Asked, limit: asyncio.Timeout) -> T:
        spent, overruns, meter = 0.0, 0, self._meter()

        def may_retry(error: BaseException) -> bool:
            if isinstance(error, SignInFailed):
                return 0 < overruns <= self.backoff.login_overruns
            return isinstance(error, NetSuiteError) and error.transient

        def enough(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            left = asked.left(self._clock())
            if left is not None and state.upcoming_sleep >= left:
                asked.late = True
                return True
            if spent + state.upcoming_sleep > self.backoff.patience:
                return True
            rejected = isinstance(error, RateLimited | SignInFailed)
            return not rejected and state.attempt_number >= self.backoff.attempts

        async def pause(seconds: float) -> None:
            nonlocal spent
            spent += seconds
            with self._lock:
                meter.count(retries=1, backoff_seconds=seconds)
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
                async with self._slot(meter, first=again) as started:
                    if asked.begin(started):
                        _end_after(limit, asked.left(started))
                    try:
                        answer = await request()
                    except NetSuiteError as error:
                        asked.failed(error)
                        overrun = self._is_overrun(error)
                        overruns += int(overrun)
                        self._finish(
                            meter,
                            started,
                            rejected=overrun or isinstance(error, RateLimited),
                            answered=error.status is not None,
                        )
                        spent += self._clock() - started
                        if error.transient or overrun:
                            _LOG.info("%s (try %d)", error, attempt.retry_state.attempt_number)
                        raise
                    except asyncio.CancelledError:
                        self._finish(meter, started, rejected=False, answered=False)
                        raise
                    self._finish(meter, started, rejected=False, answered=True)
                    self._last_accepted = self._clock()
                    return answer
        raise AssertionError("tenacity ends by an answer or an error")

    def _is_overrun(self, error: NetSuiteError) -> bool:
        """Whether a refused sign-in is a rejection for concurrency under another name (see ``Backoff``)."""
        if not isinstance(error, SignInFailed) or self.backoff.login_overruns == 0:
            return False
        if error.code in CONCURRENCY_CODES:
            return True
        return (
            self._last_accepted is not None
            and self._last_rejected is not None
            and self._clock() - self._last_rejected <= self.backoff.overload
        )

    @asynccontextmanager
    async def _slot(self, meter: Meter, *, first: bool) -> AsyncIterator[float]:
        """Hold a slot; gives the time at which it was got. ``first`` goes before those who have not tried yet."""
        await self._acquire(meter, first)
        try:
            yield self._clock()
        finally:
            self._give_back(meter)

    async def _acquire(self, meter: Meter, first: bool) -> None:
        with self._lock:
            if (first or not self._waiting) and self._budget.take():
                meter.entered()
                return
            turn: Future[None] = Future()
            # A running future cannot be cancelled from the waiter's side, so a slot handed to it is never lost.
            turn.set_running_or_notify_cancel()
            if first:
                self._waiting.appendleft((turn, meter))
            else:
                self._waiting.append((turn, meter))
            meter.count(waits=1)
        since = self._clock()
        try:
            await asyncio.wait({asyncio.wrap_future(turn)})
        except BaseException:
            with self._lock:
                handed = turn.done()
                if not handed:
                    self._waiting.remove((turn, meter))
            if handed:
                self._give_back(meter)
            raise
        with self._lock:
            meter.count(waited_seconds=self._clock() - since)

    def _give_back(self, meter: Meter) -> None:
        with self._lock:
            self._budget.give_back()
            meter.left()
            self._hand_out()

    def _hand_out(self) -> None:
        """Give free slots to those who wait, the first first. The lock is held."""
        while self._waiting and self._budget.take():
            turn, meter = self._waiting.popleft()
            meter.entered()
            turn.set_result(None)

    def _finish(self, meter: Meter, started: float, *, rejected: bool, answered: bool) -> None:
        now = self._clock()
        with self._lock:
            if rejected:
                self._last_rejected = now
                self._budget.rejected(started, now)
            elif answered:
                self._budget.accepted(now)
                self._hand_out()
            meter.finished(now - started, rejected=rejected)


@dataclass(slots=True)
class _Asked:
    """How far an operation has come: since when, in how many tries, with which failure last."""

    since: float
    deadline: Deadline | None
    block_ends: float | None
    tries: int = 0
    answered: bool = True
    last: NetSuiteError | None = None
    late: bool = False

    def begin(self, now: float) -> bool:
        """A try begins; whether it is the first, from which on the deadline counts."""
        self.tries += 1
        self.answered = False
        if self.tries == 1:
            self.since = now
        return self.tries == 1

    def failed(self, error: NetSuiteError) -> None:
        self.answered, self.last = True, error

    def left(self, now: float) -> float | None:
        """Seconds until it must have ended; ``None`` where nothing sets an end."""
        if self.deadline is None:
            return None
        ends = [self.since + self.deadline.seconds] if self.tries else []
        ends += [self.block_ends] if self.block_ends is not None else []
        return max(0.0, min(ends) - now) if ends else None

    def tried(self, now: float) -> Tried:
        assert self.deadline is not None
        allowed = self.deadline.seconds
        if self.block_ends is not None:
            allowed = min(allowed, self.block_ends - self.since)
        return Tried(now - self.since, allowed, self.tries, self.answered, self.last)


def _end_after(limit: asyncio.Timeout, seconds: float | None) -> None:
    limit.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)


def _check_limit(limit: int, reserve: int) -> None:
    if limit < 1 or reserve < 0:
        raise ValueError(f"A concurrency limit of {limit} less a reserve of {reserve} is not possible.")
