"""Progress in words: how much of a plan is done, how fast, and how long the rest takes, said once in a while.

Here: when to say something and what. Not here: to whom (`assets.py`: the run's log, and with it the terminal).
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds between two messages: often enough to be watched, seldom enough for a log.
EVERY = 5.0


class Told:
    """Called with what is done, of how many; tells the first time, then every `every` seconds, and at the end.

    `clock` counts seconds.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        *,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._every = every
        self._clock = clock
        self._began: tuple[float, int] | None = None
        self._last = 0.0

    def __call__(self, done: int, of: int) -> None:
        now = self._clock()
        if self._began is None:
            self._began = (now, done)
        elif done < of and now - self._last < self._every:
            return
        self._last = now
        self._tell(f"{done:,} of {of:,} operations{self._pace(now, done, of)}")

    def _pace(self, now: float, done: int, of: int) -> str:
        assert self._began is not None
        since, before = self._began
        if now - since <= 0 or done == before:
            return ""
        rate = (done - before) / (now - since)
        if done == of:
            return f" in {_span(now - since)}, {rate:.1f} a second"
        return f", {rate:.1f} a second, about {_span((of - done) / rate)} left"


def _span(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60:02} s"
