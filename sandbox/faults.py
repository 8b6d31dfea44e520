"""Failures on demand: rules that say which requests fail, how, and how often. Seeded, so that a run can be repeated.

Faults of the line are done by `server`, what happens to the account meanwhile by `incidents`. Here only rules are kept.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sandbox.wire import Request

if TYPE_CHECKING:
    from sandbox.profile import Profile

LineKind = Literal[
    "status",
    "reset_before_commit",
    "reset_during_commit",
    "reset_after_commit",
    "error_after_commit",
    "timeout_after_commit",
    "timeout",
    "truncate",
    "slow_page",
    "latency",
]
RecordKind = Literal["record_locked", "record_conflict", "record_changed"]
AccountKind = Literal[
    "tokens_revoked", "permission_lost", "field_removed", "field_retyped", "rows_changed", "rows_hidden"
]
_LINE, _RECORD = get_args(LineKind), get_args(RecordKind)
FieldType = Literal["text", "number", "integer", "date", "boolean"]
_RECORDS = "/services/rest/record/v1/"
_QUERIES = "/services/rest/query/v1/"
_NEEDED = {
    "permission_lost": ("permission",),
    "field_removed": ("field",),
    "field_retyped": ("field", "type"),
}


class Fault(BaseModel):
    """One rule. The first rule of the line that matches a request decides; a rule with no `times` left is gone."""

    model_config = ConfigDict(extra="forbid")

    kind: LineKind | RecordKind | AccountKind
    status: Literal[401, 429, 500, 502, 503, 504] = 500
    """Of `kind: status`; 502, 503 and 504 answer HTML."""
    methods: list[str] = []
    """Empty: every method; of the record kinds PATCH, PUT and DELETE."""
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
    """Of `latency`, `slow_page` and the timeouts: how long the request is held, or its body takes; of
    `reset_during_commit`: how long after the cut it is carried out."""
    permission: str = ""
    """Of `permission_lost`, as in the profile: `Invoice`."""
    level: Literal["view", "create", "edit"] | None = None
    """Of `permission_lost`: what remains of it; None: nothing."""
    role: str = ""
    """Of `permission_lost` and `rows_hidden`: the role's id; empty: every role but administrators'."""
    field: str = ""
    """Of `field_removed` and `field_retyped`: the script id of a custom field."""
    type: FieldType | None = None
    """Of `field_retyped`."""
    values: dict[str, Any] = {}
    """Of `record_changed` and `rows_changed`: what someone else writes; empty: a remark."""
    record: Literal[
        "customer", "invoice", "creditMemo", "customerPayment", "customerDeposit", "journalEntry"
    ] = "invoice"
    """Of `rows_changed`."""
    change: Literal["touch", "amend", "delete", "add"] = "touch"
    """Of `rows_changed`; `amend` raises an amount."""
    rows: int = Field(1, ge=1, le=1000)
    """Of `rows_changed`: how many."""
    share: float = Field(0.0, ge=0, le=1)
    """Of `rows_hidden`: which part of the transactions, chosen by `seed`."""
    subsidiary: str = ""
    """Of `rows_hidden`: whose transactions, rather than a share of all."""

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

    @model_validator(mode="after")
    def _complete(self) -> Fault:
        if missing := [name for name in _NEEDED.get(self.kind, ()) if not getattr(self, name)]:
            raise ValueError(f"a fault of kind {self.kind} needs `{missing[0]}`")
        if self.change == "amend" and self.record == "customer":
            raise ValueError("a customer has no amount to amend")
        if self.kind == "rows_hidden" and (self.share > 0) == bool(self.subsidiary):
            raise ValueError("a fault of kind rows_hidden needs either `share` or `subsidiary`")
        return self

    @property
    def of_line(self) -> bool:
        return self.kind in _LINE

    def problem(self, profile: Profile) -> str | None:
        """What the account lacks that this rule is about, or None."""
        if self.field and all(field.script_id != self.field for field in profile.custom_fields):
            return f"custom field {self.field!r} is not among those of account {profile.account}"
        if self.role and all(role.id != self.role for role in profile.roles):
            return f"role {self.role!r} is not among those of account {profile.account}"
        if self.subsidiary and all(one.id != self.subsidiary for one in profile.subsidiaries):
            return f"subsidiary {self.subsidiary!r} is not among those of account {profile.account}"
        return None


class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.passing, self.left = fault.after, fault.times
        self.random = random.Random(fault.seed)
        self.path, self.body = re.compile(fault.path), re.compile(fault.body)

    def matches(self, request: Request) -> bool:
        fault = self.fault
        if fault.methods and request.method not in fault.methods:
            return False
        if fault.kind in _RECORD and not _writes_a_record(request, bool(fault.methods)):
            return False
        if fault.kind == "rows_changed" and not _reads_pages(request):
            return False
        if not self.path.search(request.path):
            return False
        return not fault.body or self.body.search(request.body.decode("utf-8", "replace")) is not None

    def strikes(self) -> bool:
        """Whether the rule strikes a request that it matches."""
        if self.passing > 0:
            self.passing -= 1
            return False
        if self.fault.probability < 1 and self.random.random() >= self.fault.probability:
            return False
        self.left -= 1
        return True


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

    def strike(self, request: Request) -> Fault | None:
        """The fault of the line that this request meets, if any."""
        for armed in self._armed:
            if armed.fault.of_line and armed.matches(request) and armed.strikes():
                self._count(armed)
                return armed.fault
        return None

    def happenings(self, request: Request) -> list[tuple[Fault, random.Random]]:
        """What happens to the account before this request is answered, each with its own chance; often nothing."""
        found: list[tuple[Fault, random.Random]] = []
        for armed in list(self._armed):
            if not armed.fault.of_line and armed.matches(request) and armed.strikes():
                self._count(armed)
                found.append((armed.fault, armed.random))
        return found

    def _count(self, armed: _Armed) -> None:
        self.struck += 1
        if armed.left == 0:
            self._armed.remove(armed)


def _writes_a_record(request: Request, any_method: bool) -> bool:
    """A request for one record, that is answered now: an asynchronous one is met when its task runs."""
    path = request.path
    if not path.startswith(_RECORDS) or request.prefers("respond-async"):
        return False
    kind, _, key = path[len(_RECORDS) :].partition("/")
    return (
        bool(key)
        and kind != "metadata-catalog"
        and (any_method or request.method in ("PATCH", "PUT", "DELETE"))
    )


def _reads_pages(request: Request) -> bool:
    if request.path.startswith(_QUERIES):
        return True
    return (
        request.method == "GET"
        and request.path.startswith(_RECORDS)
        and "/" not in request.path[len(_RECORDS) :]
    )
