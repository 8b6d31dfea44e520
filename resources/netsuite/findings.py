"""What a preflight asks and finds: needs, findings and the report, as values.

Only shapes and words belong here; asking NetSuite is in ``preflight``, printing in the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from resources.netsuite.advice import PERMISSIONS, ROLES

Status = Literal["ok", "missing", "warning", "unknown", "failed"]
SignIn = Literal["oauth2_client_credentials", "oauth2_authorization_code", "tba"]
Area = Literal[
    "connection",
    "clock",
    "sign-in",
    "role",
    "permission",
    "field",
    "feature",
    "limit",
    "time zone",
    "date format",
    "billing",
]


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """A permission as a role's screen shows it: its tab, its name, and the level that is needed."""

    tab: str
    name: str
    level: str

    @property
    def granted_at(self) -> str:
        """Where it is granted in NetSuite."""
        return f"{ROLES} > {self.tab}: {self.name}, level {self.level}"


REST: Final = Permission("Setup", "REST Web Services", "Full")
OAUTH2: Final = Permission("Setup", "Log in using OAuth 2.0 Access Tokens", "Full")
TBA: Final = Permission("Setup", "Log in using Access Tokens", "Full")
WORKBOOK: Final = Permission("Reports", "SuiteAnalytics Workbook", "Edit")


def permission_of(name: str, *, level: str = "") -> Permission:
    """The permission that opens a record type or SuiteQL table."""
    lowered = name.lower()
    if lowered.startswith("customlist"):
        tab, shown, least = "Setup", "Custom Lists", "View"
    elif lowered.startswith("customrecord"):
        tab, shown, least = "Lists", "Custom Record Entries", "View"
    else:
        tab, shown, least = PERMISSIONS.get(lowered, ("Lists", name, "View"))
    return Permission(tab, shown, level or least)


@dataclass(frozen=True, slots=True)
class RecordNeed:
    """A record type that is read, and written if ``writes``, by the record service."""

    record: str
    stops: str
    writes: bool = False


@dataclass(frozen=True, slots=True)
class TableNeed:
    """A SuiteQL table that is read. ``key`` is a column that it surely has."""

    table: str
    stops: str
    key: str = "id"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ColumnsNeed:
    """Columns that one query reads: expression by name, the source, and where each name's rule is written."""

    source: str
    columns: Mapping[str, str]
    written_at: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a tenant needs of its account.

    ``sign_in`` is its way of signing in, ``concurrency`` what its file says, ``timezone`` an IANA name.
    """

    records: tuple[RecordNeed, ...]
    tables: tuple[TableNeed, ...]
    columns: tuple[ColumnsNeed, ...] = ()
    maps_subsidiary: bool = False
    timezone: str = ""
    concurrency: int = 5
    sign_in: SignIn = "oauth2_client_credentials"

    @property
    def login(self) -> Permission:
        """The permission without which NetSuite refuses this way of signing in."""
        return TBA if self.sign_in == "tba" else OAUTH2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked. ``stops`` says what does not work without it; ``next_step`` what to do."""

    area: Area
    subject: str
    status: Status
    detail: str = ""
    next_step: str = ""
    stops: str = ""
    permission: Permission | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order in which they matter."""

    account: str
    at: datetime
    findings: tuple[Finding, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing that is needed is known to be missing or broken."""
        return not any(finding.status in ("missing", "failed") for finding in self.findings)

    @property
    def missing(self) -> tuple[Permission, ...]:
        """The permissions that the role lacks, optional ones included."""
        found = {
            finding.permission
            for finding in self.findings
            if finding.permission is not None and finding.status in ("missing", "warning")
        }
        return tuple(sorted(found))
