"""A refused token, revoke or authorize request: the wire's code and the audit trail's reason."""

from __future__ import annotations

from sandbox.profile_access import Integration


class Refused(Exception):
    def __init__(
        self,
        error: str,
        detail: str,
        explanation: str,
        integration: Integration | None = None,
        role: str = "",
        entity: str = "",
    ) -> None:
        super().__init__(explanation)
        self.error, self.detail, self.explanation = error, detail, explanation
        self.integration, self.role, self.entity = integration, role, entity
