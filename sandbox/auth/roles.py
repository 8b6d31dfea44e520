"""What a role may do: sessions, permissions, and which permission each record type and SuiteQL table needs."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.profile import Role
from sandbox.sight import Hidden, Sight

_RANK = {"view": 1, "create": 2, "edit": 3, "full": 4}
REST = "REST Web Services"
WORKBOOK = "SuiteAnalytics Workbook"
OAUTH2_LOGIN = "Log in using OAuth 2.0 Access Tokens"
TBA_LOGIN = "Log in using Access Tokens"
OWN_CERTIFICATES = "Manage own OAuth 2.0 Client Credentials Certificates"


@dataclass(frozen=True, slots=True)
class Session:
    """An authenticated caller."""

    client_id: str
    integration: str
    role: Role
    entity: str
    method: str
    scopes: tuple[str, ...] = ("rest_webservices",)
    hidden: tuple[Hidden, ...] = ()
    """What was put out of the role's sight since the account started."""

    @property
    def sight(self) -> Sight:
        return Sight(tuple(self.role.subsidiaries), self.hidden)


def allows(role: Role, permission: str, level: str) -> bool:
    if role.administrator:
        return True
    held = role.permissions.get(permission)
    return held is not None and _RANK[held] >= _RANK[level]
