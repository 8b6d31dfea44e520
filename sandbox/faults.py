"""Failures on demand: rules that say which requests fail, how, and how often. Seeded, so that a run can be repeated."""

from __future__ import annotations

import random
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Kind = Literal[
    "status",
    "reset_before_commit",
    "reset_after_commit",
    "error_after_commit",
    "timeout_after_commit",
    "timeout",
    "truncate",
    "latency",
]


class Fault(BaseModel):
    """One rule. The first rule that matches a request decides; a rule with no `times` left is gone."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    status: Literal[401, 429, 500, 502, 503, 504] = 500
    """Of `kind: status`; 502, 503 and 504 answer HTML."""
    methods: list[str] = []
    """Empty: every method."""
    path: str = ""
    """A regular expression, searched in the path below the account."""
    body: str = ""
    """A regular expression, searched in the request body."""
    times: int = Field(1, ge=1)
    after: int = Field(0, ge=0)
    """Matching requests that pass before the first failure."""
    probability: float = Field(1.0, gt=0, le=1)
    seed: int = 0
    seconds: float = Field(0.0, ge=0)
    """Of `latency` and the timeouts: how long the request is held."""

    @field_validator("path", "body")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
        return value

    @field_validator("methods")
    @classmethod
    def _upper(cls, value: list[str]) -> list[str]:
        return [method.upper() for method in value]


class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.passing, self.left = fault.after, fault.times
        self.random = random.Random(fault.seed)
        self.path, self.body = re.compile(fault.path), re.compile(fault.body)

    def matches(self, method: str, path: str, body: bytes) -> bool:
        fault = self.fault
        if fault.methods and method not in fault.methods:
            return False
        if not self.path.search(path):
            return False
        return not fault.body or self.body.search(body.decode("utf-8", "replace")) is not None


class Faults:
    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self.struck = 0

    def arm(self, fault: Fault) -> None:
        self._armed.append(_Armed(fault))

    def clear(self) -> None:
        self._armed.clear()

    def pending(self) -> list[dict[str, object]]:
        return [armed.fault.model_dump() | {"left": armed.left} for armed in self._armed]

    def strike(self, method: str, path: str, body: bytes) -> Fault | None:
        """The fault that this request meets, if any."""
        if not self._armed:
            return None
        for armed in self._armed:
            if not armed.matches(method, path, body):
                continue
            if armed.passing > 0:
                armed.passing -= 1
                continue
            if armed.fault.probability < 1 and armed.random.random() >= armed.fault.probability:
                continue
            armed.left -= 1
            if armed.left == 0:
                self._armed.remove(armed)
            self.struck += 1
            return armed.fault
        return None
