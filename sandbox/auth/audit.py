"""The login audit trail: the true reason of every accepted and refused login, which the wire does not tell."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass

from sandbox.wire import Json

_KEPT = 10_000


@dataclass(slots=True, frozen=True)
class Login:
    time: str
    method: str
    """`oauth2` for token requests and bearer tokens, `tba` for signed requests."""
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
    def __init__(self) -> None:
        self._logins: deque[Login] = deque(maxlen=_KEPT)

    def record(self, login: Login) -> None:
        self._logins.append(login)

    def entries(self, status: str | None = None) -> list[Json]:
        """Oldest first."""
        return [
            asdict(login)
            for login in self._logins
            if status is None or login.status.lower() == status.lower()
        ]

    def clear(self) -> None:
        self._logins.clear()
