"""The account's asynchronous processors: a queue of jobs, and so many of them at work at once. Times, not meaning."""

from __future__ import annotations

import asyncio
import random
from collections import deque

from sandbox.clock import Clock
from sandbox.jobs.execution import Execution
from sandbox.jobs.store import JobStore


class Processors:
    """A processor takes a job and runs its tasks one after another, or one task of a parallel batch."""

    def __init__(
        self,
        store: JobStore,
        execution: Execution,
        clock: Clock,
        *,
        count: int,
        delay: float,
        duration: float,
    ) -> None:
        self._store, self._execution, self._clock = store, execution, clock
        self.count = count
        """How many work at once; 0 holds the queue."""
        self.delay = delay
        """Seconds between the answer to a submission and the job's place in the queue."""
        self.duration = duration
        """Seconds that a task takes before it commits."""
        self.running: dict[tuple[int, int], float] = {}
        """Start, in Unix seconds, of the tasks (job, task) that are being processed."""
        self._queue: deque[tuple[int, list[int]]] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._workers: set[asyncio.Task[None]] = set()

    def resume(self) -> None:
        """Queue what an earlier run of the sandbox left undone; call it in the loop, before any request."""
        for job in self._store.unfinished():
            self.release(job)

    def release(self, job: int) -> None:
        """Let a job run, once its submission has been answered."""
        timer: asyncio.TimerHandle

        def due() -> None:
            self._timers.discard(timer)
            self._enqueue(job)

        timer = asyncio.get_running_loop().call_later(self.delay, due)
        self._timers.add(timer)

    def _enqueue(self, job: int) -> None:
        tasks = self._store.waiting(job)
        if self._store.is_parallel(job):
            # Tasks at work side by side end in no promised order: here in one that the job's id gives.
            random.Random(job).shuffle(tasks)
            self._queue.extend((job, [task]) for task in tasks)
        else:
            self._queue.append((job, tasks))
        self.dispatch()

    def dispatch(self) -> None:
        """Give work to free processors; call it after a change of `count`."""
        while self._queue and len(self._workers) < self.count:
            worker = asyncio.get_running_loop().create_task(self._work(*self._queue.popleft()))
            self._workers.add(worker)
            worker.add_done_callback(self._done)

    def _done(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled():
            self.dispatch()
            worker.result()

    async def _work(self, job: int, tasks: list[int]) -> None:
        for task in tasks:
            started = self._clock.now().timestamp()
            self.running[job, task] = started
            try:
                # One turn of the loop at least: requests are answered between the tasks of a batch.
                await asyncio.sleep(self.duration)
                self._execution.run(job, task, started)
            finally:
                self.running.pop((job, task), None)

    def stop(self) -> None:
        """Drop the queue and the tasks that are being processed: none of them has committed anything."""
        for timer in self._timers:
            timer.cancel()
        for worker in self._workers:
            worker.cancel()
        self._timers.clear()
        self._workers.clear()
        self._queue.clear()
        self.running.clear()
