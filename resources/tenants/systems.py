"""The two systems of a tenant, as its file has them: the NetSuite account with its sign-in and quota, and billing.

Here: the sections `netsuite` and `billing`. Not here: what is read from the environment (`registry.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from resources.billing.canonical import TABLES
from resources.tenants.source import nearest, shown
from resources.tenants.values import Secret, Settings, Text, Url, one_or_many


def _same_names(value: Any) -> Any:
    """A list of names means that each stands for itself."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {name: name for name in value}
    return value


def _redirect_uri(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.fragment or parts.username or not value.isascii():
        raise ValueError(
            "a redirect URI is written as on the integration record, such as http://127.0.0.1:8765/callback"
        )
    return value


class ClientCredentialsSettings(Settings):
    """OAuth 2.0 client credentials with a certificate; the private key is a file named by the environment.

    `algorithm` follows from the key when it is left out. `certificate_file` only tells the credential calendar when
    the certificate ends.
    """

    method: Literal["oauth2_client_credentials"]
    client_id: Secret
    certificate_id: Secret
    private_key_file: Secret
    certificate_file: Secret | None = None
    algorithm: Literal["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"] | None = None


class AuthorizationCodeSettings(Settings):
    """OAuth 2.0 authorization code: a person's consent, given by `recon connect`.

    Without `client_secret` the integration record is a public client. `refresh_token_hours` is what the record says,
    for the calendar.
    """

    method: Literal["oauth2_authorization_code"]
    client_id: Secret
    client_secret: Secret | None = None
    redirect_uri: Annotated[StrictStr, AfterValidator(_redirect_uri)] = "http://127.0.0.1:8765/callback"
    refresh_token_hours: StrictInt | None = Field(default=None, ge=1, le=8760)


class TbaSettings(Settings):
    """Token-based authentication, for accounts that have it already: OAuth 1.0a with HMAC-SHA256."""

    method: Literal["tba"]
    consumer_key: Secret
    consumer_secret: Secret
    token_id: Secret
    token_secret: Secret


AuthSettings = ClientCredentialsSettings | AuthorizationCodeSettings | TbaSettings

CHOICES: Mapping[tuple[str, ...], str] = {("netsuite", "auth"): "method"}
"""Where a key of a mapping decides which other keys it has: its path, and that key."""


def untagged(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A path of pydantic's as it stands in the file: without the name of the choice that was taken."""
    for chosen in CHOICES:
        depth = len(chosen)
        if path[:depth] == chosen and len(path) > depth:
            return (*path[:depth], *path[depth + 1 :])
    return path


class DeadlineSettings(Settings):
    """Seconds that one read or write may take from its first try on, with all its tries, pauses and waits."""

    read: StrictInt = Field(default=900, ge=1, le=86_400)
    write: StrictInt = Field(default=1800, ge=1, le=86_400)


class GovernanceSettings(Settings):
    """The account's concurrency limit, how much of it is left to the customer's other integrations, and how long an
    operation may take.
    """

    concurrency: StrictInt = Field(default=5, ge=1, le=500)
    reserve: StrictInt = Field(default=1, ge=0)
    deadline: DeadlineSettings = DeadlineSettings()

    @model_validator(mode="after")
    def _something_left(self) -> GovernanceSettings:
        if self.reserve >= self.concurrency:
            raise ValueError(
                f"reserve {self.reserve} leaves nothing of concurrency {self.concurrency}; it must be less"
            )
        return self


class NetSuiteSettings(Settings):
    """A NetSuite account. `base_url` replaces the account's own host (the sandbox, a proxy)."""

    account: StrictStr
    base_url: Url | None = None
    auth: Annotated[AuthSettings, Field(discriminator="method")]
    governance: GovernanceSettings = GovernanceSettings()

    @field_validator("account")
    @classmethod
    def _account_id(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9]{3,20}(_[A-Za-z0-9]{1,10})?", value):
            raise ValueError(f"'{shown(value)}' is not an account id such as 1234567 or 1234567_SB1")
        return value


class BillingTable(Settings):
    """One canonical table in the tenant's own database.

    `columns` is canonical column to their column (a canonical column that is not listed is read under its own name
    where the table has it), `metadata` lists further columns for the canonical `metadata` object, `where` keeps the
    rows whose column has one of the values (null stands for NULL).
    """

    table: StrictStr = Field(min_length=1)
    columns: Annotated[dict[str, StrictStr], BeforeValidator(_same_names)] = {}
    metadata: list[StrictStr] = []
    where: dict[str, Annotated[list[Text | None], BeforeValidator(one_or_many)]] = {}


class BillingSettings(Settings):
    """Where the tenant's bills come from."""

    system: Literal["sql"]
    url: Url
    tables: dict[str, BillingTable]

    def mistakes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Names that are not of the canonical tables, each with its path below `billing`."""
        for needed in ("customers", "invoices", "invoice_lines"):
            if needed not in self.tables:
                yield ("tables",), f"the table '{needed}' is missing"
        for name, table in self.tables.items():
            path = ("tables", name)
            if name not in TABLES:
                yield path, f"unknown billing table '{shown(name)}'{nearest(name, TABLES)}"
                continue
            known = TABLES[name].schema.names
            for column in table.columns:
                if column not in known:
                    message = f"{name} has no column '{shown(column)}'{nearest(column, known)}"
                    yield (*path, "columns", column), message
            if table.metadata and "metadata" not in known:
                yield (*path, "metadata"), f"{name} has no metadata"
            if table.metadata and "metadata" in table.columns:
                yield (*path, "columns", "metadata"), "metadata is given twice; keep the column or the list"
            parent = TABLES[name].parent
            if parent is not None and parent not in self.tables:
                yield path, f"{name} is given without {parent}, whose rows say to which month it belongs"
