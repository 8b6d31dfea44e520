"""The login audit trail: the true reason of every accepted and refused login, which the wire does not tell.

Details are NetSuite's where its help names one ("TBA and the Login Audit Trail", "OAuth 2.0 ... Error Messages in the
Login Audit Trail"). Ours, for causes that the help does not name: `InvalidCode`, `InvalidCodeVerifier`,
`InvalidRedirectUri`, `InvalidRequest`, `AccessDenied`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC

from sandbox.clock import Clock
from sandbox.profile_access import Integration
from sandbox.wire import Json, Request

_KEPT = 10_000


@dataclass(slots=True, frozen=True)
class Login:
    time: str
    method: str
    """`oauth2` for token requests, consent and bearer tokens, `tba` for signed requests."""
    status: str
    """`Success` or `Failure`."""
    detail: str
    """NetSuite's Detail value, e.g. `InvalidSignature`; empty for a success."""
    explanation: str
    """What differed, in words, for the reader of the sandbox's log."""
    integration: str
    role: str
    entity: str
    address: str


class LoginAudit:
    """Successes are token requests and consents; of signed and bearer requests only the refused ones are kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logins: deque[Login] = deque(maxlen=_KEPT)

    def success(
        self, request: Request, method: str, integration: Integration, role: str, entity: str, what: str = ""
    ) -> None:
        self._record(request, method, "Success", "", what, integration.name, role, entity)

    def failure(
        self,
        request: Request,
        method: str,
        detail: str,
        explanation: str,
        integration: Integration | None = None,
        role: str = "",
        entity: str = "",
    ) -> None:
        """`role` and `entity` empty: the integration's own."""
        if integration is not None:
            role, entity = role or integration.role, entity or integration.entity
        name = integration.name if integration else ""
        self._record(request, method, "Failure", detail, explanation, name, role, entity)

    def _record(
        self,
        request: Request,
        method: str,
        status: str,
        detail: str,
        explanation: str,
        integration: str,
        role: str,
        entity: str,
    ) -> None:
        time = self._clock.now().astimezone(UTC).isoformat(timespec="seconds")
        self._logins.append(
            Login(time, method, status, detail, explanation, integration, role, entity, request.client)
        )

    def entries(self, status: str | None = None) -> list[Json]:
        """Oldest first."""
        return [
            asdict(login)
            for login in self._logins
            if status is None or login.status.lower() == status.lower()
        ]

    def clear(self) -> None:
        self._logins.clear()
