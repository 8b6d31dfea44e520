"""The one source of time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present, with time zone UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)
