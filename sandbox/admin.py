"""The sandbox's own endpoints, under /sandbox: what NetSuite shows in its UI, and what only a sandbox has."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox import revenue
from sandbox.account import Account
from sandbox.auth.certificates import CertificateError, load_pem
from sandbox.faults import Fault
from sandbox.fill import Order, fill
from sandbox.governance import allocation_problem
from sandbox.profile_tax import TaxEngine
from sandbox.record import periods
from sandbox.wire import JSON, Json, Request, Response, decode, encode


class _Governance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int | None = Field(None, ge=1)
    foreign: int | None = Field(None, ge=0)
    latency_ms: float | None = Field(None, ge=0)
    integrations: dict[str, Annotated[int, Field(ge=1)] | None] = {}
    """Slots of an integration's own, by client id; None takes them away."""
    async_processors: int | None = Field(None, ge=0)
    async_delay_ms: float | None = Field(None, ge=0)
    async_task_ms: float | None = Field(None, ge=0)


class _NewCertificate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    client_id: str
    id: str
    pem: str
    valid_until: date | None = None


class _PeriodChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    month: str = Field(pattern=r"^\d{4}-\d{2}$")
    closed: bool | None = None
    all_locked: bool | None = None
    ar_locked: bool | None = None
    allow_non_gl_changes: bool | None = None


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid")

    client_id: str
    blocked: bool


class _Revenue(BaseModel):
    model_config = ConfigDict(extra="forbid")

    invoices: int = Field(ge=1)


class _Problem(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def accounts(every: Iterable[Account], request: Request) -> list[Json]:
    base = f"{request.scheme}://{request.host}"
    return [
        {
            "account": account.profile.account,
            "name": account.profile.name,
            "edition": account.profile.edition,
            "base": f"{base}/{account.profile.label}",
        }
        for account in every
    ]


def handle(account: Account, request: Request) -> Response:
    """Answer one admin request; problems come as `{"error": ...}`."""
    try:
        return _json(200, _route(account, request))
    except _Problem as problem:
        return _json(problem.status, {"error": str(problem)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return _json(400, {"error": f"{where}: {first['msg']}"})
    except msgspec.DecodeError as error:
        return _json(400, {"error": f"the body is not JSON: {error}"})


def _json(status: int, value: Json) -> Response:
    return Response(status, encode(value), JSON, standing=False)


def _route(account: Account, request: Request) -> Json:
    what = request.path.removeprefix("/sandbox").strip("/")
    route = (request.method, what)
    query = request.query
    if route == ("GET", "stats"):
        return stats(account)
    if route == ("GET", "requests"):
        writes = query.get("writes", "").lower() == "true"
        after = query.get("after", "0")
        if not after.isdigit():
            raise _Problem(400, f"after={after} is no number")
        return {"items": account.log.entries(writes_only=writes, after=int(after))}
    if route == ("GET", "logins"):
        return {"items": account.auth.audit.entries(query.get("status"))}
    if route == ("GET", "searches"):
        return {"items": [search.model_dump() for search in account.profile.saved_searches]}
    if route == ("GET", "faults"):
        return {"items": account.faults.pending(), "struck": account.faults.struck}
    if route == ("POST", "faults"):
        content = decode(request.body)
        rules = [Fault.model_validate(one) for one in (content if isinstance(content, list) else [content])]
        for rule in rules:
            if problem := rule.problem(account.profile):
                raise _Problem(400, problem)
        for rule in rules:
            account.faults.arm(rule)
        return {"items": account.faults.pending()}
    if route == ("DELETE", "faults"):
        account.clear_faults()
        return {"items": []}
    if route == ("POST", "governance"):
        return _govern(account, _Governance.model_validate(decode(request.body)))
    if route == ("POST", "certificates"):
        return _add_certificate(account, _NewCertificate.model_validate(decode(request.body)))
    if route == ("POST", "certificates/wipe"):
        return {"wiped": account.auth.mappings.wipe()}
    if route == ("POST", "integrations"):
        return _set_state(account, _State.model_validate(decode(request.body)))
    if route == ("POST", "tokens/revoke"):
        revoked = {"revoked": account.auth.access_tokens.revoke_all()}
        if request.flag("refresh"):
            revoked["refresh_tokens_revoked"] = account.auth.refresh_tokens.revoke_all()
        return revoked
    if route == ("POST", "tokens/expire"):
        return {"expired": account.auth.access_tokens.expire_all()}
    if route == ("POST", "logins/unlock"):
        return {"unlocked": account.auth.lock.release()}
    if route == ("POST", "periods"):
        return _change_period(account, _PeriodChange.model_validate(decode(request.body)))
    if route == ("POST", "taxes"):
        return _change_taxes(account, TaxEngine.model_validate(decode(request.body)))
    if route == ("POST", "fill"):
        filled = fill(account.context, Order.model_validate(decode(request.body)))
        return stats(account) | {"filled": filled}
    if route == ("POST", "revenue"):
        wanted = _Revenue.model_validate(decode(request.body))
        return {"elements": revenue.arrange(account.context, wanted.invoices)}
    if route == ("POST", "reset"):
        account.reset()
        return stats(account)
    if route == ("POST", "reset/log"):
        account.forget_log()
        return stats(account)
    raise _Problem(404, f"there is no {request.method} /sandbox/{what}; see docs/sandbox.md")


def stats(account: Account) -> Json:
    log, slots = account.log, account.slots
    return {
        "account": account.profile.account,
        "requests": log.total,
        "requests_by_method": dict(sorted(log.by_method.items())),
        "requests_by_status": {str(status): count for status, count in sorted(log.by_status.items())},
        "writes": log.writes,
        "in_flight": slots.in_flight,
        "in_flight_peak": slots.peak,
        "rejections": slots.rejections,
        "concurrency_limit": slots.limit,
        "foreign_load": slots.foreign,
        "integrations": {
            client: {
                "in_flight": use.in_flight,
                "in_flight_peak": use.peak,
                "rejections": use.rejections,
                "concurrency_limit": slots.allocated.get(client),
            }
            for client, use in sorted(slots.by_client.items())
        },
        "latency_ms": account.latency * 1000,
        "async": {
            **account.jobs.counts(),
            "tasks_processing": len(account.processors.running),
            "processors": account.processors.count,
            "delay_ms": account.processors.delay * 1000,
            "task_ms": account.processors.duration * 1000,
        },
        "faults_pending": len(account.faults.pending()),
        "faults_struck": account.faults.struck,
        "records": account.database.counts(),
    }


def _govern(account: Account, wanted: _Governance) -> Json:
    slots, processors = account.slots, account.processors
    limit = wanted.limit if wanted.limit is not None else slots.limit
    own = slots.allocated | wanted.integrations
    allocated = {client: count for client, count in own.items() if count is not None}
    for client_id in wanted.integrations:
        _check_client(account, client_id)
    if problem := allocation_problem(limit, allocated):
        raise _Problem(400, problem)
    slots.limit, slots.allocated = limit, allocated
    if wanted.foreign is not None:
        slots.foreign = wanted.foreign
    if wanted.latency_ms is not None:
        account.latency = wanted.latency_ms / 1000
    if wanted.async_delay_ms is not None:
        processors.delay = wanted.async_delay_ms / 1000
    if wanted.async_task_ms is not None:
        processors.duration = wanted.async_task_ms / 1000
    if wanted.async_processors is not None:
        processors.count = wanted.async_processors
        processors.dispatch()
    return stats(account)


def _change_period(account: Account, wanted: _PeriodChange) -> Json:
    names = {"closed": "closed", "all_locked": "allLocked", "ar_locked": "arLocked"}
    names["allow_non_gl_changes"] = "allowNonGLChanges"
    flags = {
        names[name]: value for name, value in wanted.model_dump(exclude={"month"}, exclude_none=True).items()
    }
    found = periods.change(account.context, wanted.month, flags)
    if found is None:
        raise _Problem(404, f"account {account.profile.account} has no accounting period {wanted.month}")
    return {name: found[name] for name in ("id", "periodName", *names.values())}


def _change_taxes(account: Account, wanted: TaxEngine) -> Json:
    if problems := account.profile.tax_problems(wanted):
        raise _Problem(400, "; ".join(problems))
    account.taxes.engine = wanted
    return wanted.model_dump(mode="json")


def _check_client(account: Account, client_id: str) -> None:
    if client_id not in account.auth.directory.integrations:
        raise _Problem(404, f"client_id {client_id!r} is no integration of account {account.profile.account}")


def _set_state(account: Account, wanted: _State) -> Json:
    _check_client(account, wanted.client_id)
    account.auth.directory.block(wanted.client_id, wanted.blocked)
    return wanted.model_dump()


def _add_certificate(account: Account, new: _NewCertificate) -> Json:
    _check_client(account, new.client_id)
    try:
        today = account.clock.now().date()
        certificate = load_pem(new.id, new.pem, valid_until=new.valid_until, today=today)
    except CertificateError as error:
        raise _Problem(400, str(error)) from error
    account.auth.mappings.add(new.client_id, certificate)
    return {
        "id": certificate.id,
        "algorithm": certificate.algorithm,
        "valid_until": str(certificate.valid_until),
    }
