"""The lock on users who fail to log in: five failures in a row shut a user out for 30 minutes, both switches."""

from __future__ import annotations

from sandbox.clock import Clock
from sandbox.switches import Switches


class LoginLock:
    """Counts failures by entity. That a success forgets the failures before it is ours."""

    def __init__(self, switches: Switches, clock: Clock) -> None:
        self._limit, self._seconds = switches.lock_after_failures, switches.lock_minutes * 60
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def locked(self, entity: str) -> bool:
        until = self._until.get(entity)
        if until is None:
            return False
        if until > self._clock.now().timestamp():
            return True
        del self._until[entity]
        return False

    def failed(self, entity: str) -> None:
        self._failures[entity] = self._failures.get(entity, 0) + 1
        if 0 < self._limit <= self._failures[entity]:
            del self._failures[entity]
            self._until[entity] = self._clock.now().timestamp() + self._seconds

    def succeeded(self, entity: str) -> None:
        self._failures.pop(entity, None)

    def release(self) -> list[str]:
        """Unlock everyone; returns who was locked."""
        locked = [entity for entity in list(self._until) if self.locked(entity)]
        self._until.clear()
        self._failures.clear()
        return locked
