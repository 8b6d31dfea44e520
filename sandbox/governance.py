"""Concurrency: one pool of slots an account, a rejection when it is full, and the latency of a real service."""

from __future__ import annotations

from sandbox.errors import concurrency_limit


class Slots:
    """Requests in flight. `foreign` slots belong to the customer's other integrations."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.foreign = 0
        self.in_flight = 0
        self.peak = 0
        self.rejections = 0

    def take(self) -> None:
        """Raises the 429 when no slot is free."""
        if self.in_flight + self.foreign >= self.limit:
            self.rejections += 1
            raise concurrency_limit()
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)

    def give_back(self) -> None:
        self.in_flight -= 1
