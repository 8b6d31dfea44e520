"""Everything that must be right before a tenant's first run, asked of its account one by one.

Here belong the connection, the clock, the sign-in and the role (NetSuite REST facts: token endpoint errors, sandbox
refreshes); what a signed-in role may do is asked in ``probes``. Which records and tables a tenant needs is told by the
caller.

Reads alone are sent, unless write probes are asked for. A write probe is a request that NetSuite refuses for its
content whoever sends it (a reference to a record that cannot exist, under the strictest validation): a role that may
not write is refused for that instead.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
import msgspec

from resources.netsuite import advice
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import (
    NetSuiteError,
    NotFound,
    PermissionDenied,
    Rejected,
    SignInFailed,
    Unreachable,
)
from resources.netsuite.findings import Finding, Needs, Permission, Report, Status
from resources.netsuite.probes import LIMITS, Probes

_KEYS: Final = "/services/rest/auth/oauth2/v1/keys"
_TOKEN_INFO: Final = "/rest/tokeninfo"
_SKEW_WARNED: Final = 60.0
_SKEW_REFUSED: Final = 300.0
"""Seconds off NetSuite's clock from which a sign-in is at risk, and from which it is refused."""

_COPY: Final = re.compile(r"_(SB\d*|RP\d*)$")
_ASSERTION_REFUSED: Final = frozenset({"invalid_grant", "invalid_request", "invalid_client"})


async def preflight(
    client: NetSuite,
    needs: Needs,
    *,
    write_probes: bool = False,
    worked_before: datetime | None = None,
    clock: Callable[[], float] = time.time,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Report:
    """Check an account against what a tenant needs. Never raises for what it is meant to find.

    ``worked_before`` is when rows last came from the account, if they ever did; ``clock`` gives seconds since 1970.
    """
    at = datetime.fromtimestamp(clock(), UTC)
    found, reached, skew = await _connection(client, clock, transport)
    if reached:
        signed_in = await _sign_in(client, needs, worked_before, skew)
        found += signed_in
        if signed_in[0].status != "failed":
            found += await Probes(client, needs, write_probes).findings()
    return Report(client.hosts.realm, at, tuple(found))


async def _connection(
    client: NetSuite, clock: Callable[[], float], transport: httpx.AsyncBaseTransport | None
) -> tuple[list[Finding], bool, float | None]:
    """Whether the account's host answers, and our clock less its; asked where no sign-in is needed."""
    url = client.hosts.url(_KEYS)
    try:
        async with httpx.AsyncClient(transport=transport, timeout=20, follow_redirects=False) as http:
            before = clock()
            answer = await http.get(url)
            middle = (before + clock()) / 2
    except httpx.HTTPError as error:
        step = advice.for_no_connection(client.hosts.rest_prefix, loopback=client.hosts.is_loopback)
        return [Finding("connection", client.hosts.rest_prefix, "failed", str(error), step)], False, None
    found = [Finding("connection", client.hosts.rest_prefix, "ok", f"answers ({answer.status_code})")]
    try:
        skew = middle - parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        found.append(Finding("clock", "This machine's clock", "unknown", "the answer does not tell the time"))
        return found, True, None
    status: Status = (
        "ok" if abs(skew) < _SKEW_WARNED else "warning" if abs(skew) < _SKEW_REFUSED else "failed"
    )
    ahead = "ahead of" if skew > 0 else "behind"
    detail = f"{abs(skew):.0f} seconds {ahead} NetSuite's" if abs(skew) >= 2 else "agrees with NetSuite's"
    step = (
        ""
        if status == "ok"
        else "Let this machine set its clock by NTP: NetSuite refuses sign-ins of another time."
    )
    found.append(Finding("clock", "This machine's clock", status, detail, step, "Signing in" if step else ""))
    return found, True, skew


async def _sign_in(
    client: NetSuite, needs: Needs, worked_before: datetime | None, skew: float | None
) -> list[Finding]:
    """Whether NetSuite takes the credentials, at the token endpoint and at a service; and for which role."""
    try:
        await client.fetch(LIMITS, title="Sign in")
    except (SignInFailed, Unreachable) as error:
        return [_refused(client, needs, error, worked_before, skew)]
    except (PermissionDenied, Rejected, NotFound):
        pass  # Refused for the role, which is a sign-in that worked; the probes tell the rest.
    except NetSuiteError as error:
        detail = error.said or error.headline
        return [Finding("connection", "REST web services", "failed", detail, error.what_to_do, "Everything")]
    return [
        Finding("sign-in", "Credentials", "ok", "accepted"),
        Finding("permission", needs.login.name, "ok", "used for this sign-in", permission=needs.login),
        await _role(client),
    ]


def _refused(
    client: NetSuite,
    needs: Needs,
    error: NetSuiteError,
    worked_before: datetime | None,
    skew: float | None,
) -> Finding:
    login = needs.login
    by_certificate = needs.sign_in == "oauth2_client_credentials" and error.code in _ASSERTION_REFUSED
    if by_certificate and _COPY.search(client.hosts.realm) and (skew is None or abs(skew) < _SKEW_REFUSED):
        since = (
            f" It last worked on {worked_before:%Y-%m-%d %H:%M} UTC, so something has changed since."
            if worked_before is not None
            else ""
        )
        return Finding(
            "sign-in",
            "Certificate mapping",
            "failed",
            f"{client.hosts.realm} is a copy of a production account, and it no longer knows the certificate"
            f" ({error.code}).{since} A refresh from production wipes these mappings: most likely that happened.",
            f"Upload the certificate again at {advice.M2M_SETUP}, for the same integration, user and role, and put"
            f" the new certificate id where the tenant's file takes it from. If there was no refresh: {_without(login)}",
            "Everything",
            login,
        )
    step = f"{error.what_to_do} {_without(login)}" if error.status is not None else error.what_to_do
    return Finding(
        "sign-in", "Credentials", "failed", error.said or error.headline, step, "Everything", login
    )


def _without(login: Permission) -> str:
    """What a refused sign-in may mean besides: NetSuite does not tell a role that may not sign in from a wrong secret."""
    return (
        f"NetSuite refuses a role without '{login.name}' in the same words (grant it: {login.granted_at}); the exact"
        f" reason is in {advice.AUDIT_TRAIL}."
    )


async def _role(client: NetSuite) -> Finding:
    """Which role signed in: by NetSuite's own word, else by the token's."""
    try:
        answer = await client.fetch(_TOKEN_INFO, title="Ask who is signed in", restlets=True)
        told = msgspec.json.decode(answer.content)
    except (NetSuiteError, msgspec.DecodeError):
        told = None
    if isinstance(told, dict) and (told.get("roleName") or told.get("roleId")):
        role, name = str(told.get("roleId", "")), str(told.get("roleName", ""))
    else:
        role, name = str((await client.token_claims()).get("sub", "")).partition(";")[0], ""
    if not role and not name:
        return Finding("role", "Role", "unknown", "NetSuite does not tell which role this is")
    shown = f"{name} (id {role})" if name and role else name or f"id {role}"
    if role == "3" or name == "Administrator":
        step = "Give the integration a role of its own, with the permissions below and no others."
        return Finding("role", shown, "warning", "an administrator may do anything", step)
    return Finding("role", shown, "ok")
