"""Concurrency: the account's pool of slots, the parts of it that integrations have for themselves, and the rejection.

Follows NetSuite's "Concurrency": an integration with a limit of its own has that many slots and no more; all others
share what is unallocated, which is one slot at least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sandbox.errors import concurrency_limit

Tier = Literal[
    "standard",
    "premium",
    "enterprise",
    "ultimate",
    "shared",
    "tier3",
    "tier2",
    "tier1",
    "tier1+",
    "tier0",
    "developer",
]
TIERS: dict[str, int] = {
    **{"standard": 5, "premium": 15, "enterprise": 20, "ultimate": 20},
    **{"shared": 5, "tier3": 5, "tier2": 10, "tier1": 15, "tier1+": 15, "tier0": 20, "developer": 5},
}
"""Base limit of each service tier; tier0 to tier3 are the older ones."""
_PER_LICENCE = 10


def limit_of(tier: str, suitecloud_plus: int) -> int:
    """The account's limit; a developer account's is not raised by SuiteCloud Plus licences."""
    return TIERS[tier] + (0 if tier == "developer" else suitecloud_plus * _PER_LICENCE)


def allocation_problem(limit: int, allocated: dict[str, int]) -> str | None:
    """What is wrong with giving integrations these parts of the limit, or None."""
    whole = sum(allocated.values())
    if not allocated or whole <= limit - 1:
        return None
    return (
        f"the integrations' own concurrency limits are {whole} in all, of the account's {limit}: "
        "one at least must remain unallocated"
    )


@dataclass(slots=True)
class Use:
    """One integration's requests."""

    in_flight: int = 0
    peak: int = 0
    rejections: int = 0


class Slots:
    """Requests in flight. `foreign` slots belong to the customer's other integrations, which have no limit of their own."""

    def __init__(self, limit: int, allocated: dict[str, int], body_status: int = 429) -> None:
        self.limit = limit
        self._body_status = body_status
        self.allocated = dict(allocated)
        """Slots of its own, by client id."""
        self.foreign = 0
        self.by_client: dict[str, Use] = {}
        self.in_flight = 0
        self._shared = 0
        self.peak = 0
        self.rejections = 0

    @property
    def unallocated(self) -> int:
        return self.limit - sum(self.allocated.values())

    def take(self, client_id: str) -> bool:
        """Raises the 429 when no slot is free; returns whether the slot is of the shared pool."""
        use = self.by_client.setdefault(client_id, Use())
        own = self.allocated.get(client_id)
        full = self._shared + self.foreign >= self.unallocated if own is None else use.in_flight >= own
        if full:
            self.rejections += 1
            use.rejections += 1
            raise concurrency_limit(self._body_status)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        use.in_flight += 1
        use.peak = max(use.peak, use.in_flight)
        self._shared += own is None
        return own is None

    def give_back(self, client_id: str, shared: bool) -> None:
        self.in_flight -= 1
        self.by_client[client_id].in_flight -= 1
        self._shared -= shared

    def forget(self) -> None:
        """Counters back to nothing; requests in flight stay."""
        self.peak = self.rejections = 0
        for use in self.by_client.values():
            use.peak = use.rejections = 0
