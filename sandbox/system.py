"""The system service: concurrency limits (administrators only) and the server's time."""

from __future__ import annotations

from datetime import UTC

from sandbox.auth.roles import REST, Session, allows
from sandbox.clock import Clock
from sandbox.errors import invalid_url, method_not_allowed, role_lacks_permission
from sandbox.governance import Slots
from sandbox.wire import Json, Request, Response, json_response

ROOT = "/services/rest/system/v1"


def answer(request: Request, session: Session, slots: Slots, clock: Clock) -> Response:
    if not allows(session.role, REST, "full"):
        raise role_lacks_permission()
    if request.method != "GET":
        raise method_not_allowed(request.method)
    what = request.path.removeprefix(ROOT).strip("/")
    if what == "serverTime":
        return json_response({"serverTime": f"{clock.now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"})
    if what != "governanceLimits":
        raise invalid_url(request.path)
    if not session.role.administrator:
        raise role_lacks_permission()
    limits: dict[str, Json] = {
        "accountConcurrencyLimit": slots.limit,
        "accountUnallocatedConcurrencyLimit": slots.unallocated,
    }
    own = slots.allocated.get(session.client_id)
    if own is not None:
        limits["integrationConcurrencyLimit"] = own
    limits["integrationLimitType"] = "accountLimit" if own is None else "integrationSpecific"
    return json_response(limits)
