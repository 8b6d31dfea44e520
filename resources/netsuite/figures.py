"""What an account's requests have done: counts and times, for a whole process or for one piece of its work.

Only counting belongs here. When something is counted is the governor's business; where it is kept is not ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Figures:
    """What an account's requests have done; two snapshots of one meter subtract to what came between.

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


class Meter:
    """Adds up figures, and tells them on to ``outer``. Not safe by itself: its owner's lock guards it."""

    def __init__(self, outer: Meter | None = None) -> None:
        self.outer = outer
        self.figures = Figures()

    def entered(self) -> None:
        """A request got its slot."""
        now = self.figures
        self.figures = replace(now, in_flight=now.in_flight + 1, peak=max(now.peak, now.in_flight + 1))
        if self.outer is not None:
            self.outer.entered()

    def left(self) -> None:
        """A request gave its slot back."""
        self.figures = replace(self.figures, in_flight=self.figures.in_flight - 1)
        if self.outer is not None:
            self.outer.left()

    def finished(self, seconds: float, *, rejected: bool) -> None:
        """A request was answered, or failed, after ``seconds``."""
        now = self.figures
        self.figures = replace(
            now,
            requests=now.requests + 1,
            rejections=now.rejections + int(rejected),
            latency_seconds=now.latency_seconds + seconds,
            longest_seconds=max(now.longest_seconds, seconds),
        )
        if self.outer is not None:
            self.outer.finished(seconds, rejected=rejected)

    def count(
        self,
        *,
        retries: int = 0,
        waits: int = 0,
        backoff_seconds: float = 0.0,
        waited_seconds: float = 0.0,
    ) -> None:
        """Add to the counts of waiting and trying again."""
        now = self.figures
        self.figures = replace(
            now,
            retries=now.retries + retries,
            waits=now.waits + waits,
            backoff_seconds=now.backoff_seconds + backoff_seconds,
            waited_seconds=now.waited_seconds + waited_seconds,
        )
        if self.outer is not None:
            self.outer.count(
                retries=retries, waits=waits, backoff_seconds=backoff_seconds, waited_seconds=waited_seconds
            )
