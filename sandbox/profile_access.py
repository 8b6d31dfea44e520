"""The sections of a profile that say who may call: users, integration records, their certificates and tokens.

What a role may do is with the roles in `profile`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Literal

from pydantic import BaseModel, Field, model_validator

from sandbox.profile_types import STRICT, Id

Scope = Literal["rest_webservices", "restlets", "suite_analytics", "mcp"]


class Section(BaseModel):
    model_config = STRICT


class Features(Section):
    """Enable Features and Accounting Preferences: what an account has switched on."""

    token_based_authentication: bool = True
    oauth2: bool = True
    invoice_approvals: bool = False
    """Approval routing of invoices: a new one awaits approval."""


class User(Section):
    """Someone who can sign in and consent. `id` is the entity's internal id."""

    id: Id
    name: str
    email: str = ""
    roles: list[Id] = Field(min_length=1)
    inactive: bool = False


class Certificate(Section):
    """A row of OAuth 2.0 Client Credentials (M2M) Setup: a certificate of one integration, entity and role."""

    id: str
    public_key_file: str | None = None
    public_key: str | None = None
    valid_until: date | None = None
    revoked: bool = False
    role: Id | None = None
    """None: the integration's, as with `entity`."""
    entity: Id | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Certificate:
        if (self.public_key_file is None) == (self.public_key is None):
            raise ValueError("a certificate has exactly one of public_key_file and public_key")
        return self


class Token(Section):
    """A token of token-based authentication (OAuth 1.0a), of one integration."""

    id: str
    secret: str
    role: Id | None = None
    entity: Id | None = None
    revoked: bool = False


class Integration(Section):
    """An integration record."""

    client_id: str
    """Also the consumer key of token-based authentication."""
    client_secret: str | None = None
    name: str
    scopes: list[Scope] = ["rest_webservices"]
    role: Id
    entity: Id = "317"
    blocked: bool = False
    concurrency_limit: int | None = Field(None, ge=1)
    """Slots of the account's that this integration has for itself; None: it shares the unallocated ones."""
    client_credentials: bool = True
    certificates: list[Certificate] = []
    tokens: list[Token] = []
    authorization_code: bool = False
    public_client: bool = False
    redirect_uris: list[str] = []
    refresh_token_days: int = Field(7, ge=1)
    """Life of a confidential client's refresh token."""
    refresh_token_hours: int = Field(48, ge=1, le=720)
    """Life of a public client's refresh token."""
    consent_users: list[Id] = []
    """The users that may consent; empty: every user."""

    @model_validator(mode="after")
    def _can_be_used(self) -> Integration:
        if self.authorization_code and not self.redirect_uris:
            raise ValueError(f"integration {self.name}: authorization_code needs redirect_uris")
        if self.authorization_code and not self.public_client and self.client_secret is None:
            raise ValueError(
                f"integration {self.name}: authorization_code needs a client_secret, or public_client: true"
            )
        return self

    def application_id(self, account: str) -> str:
        """The record's Application ID: a UUID in capitals, the same in every run."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{account}/{self.client_id}")).upper()


def problems(integrations: Iterable[Integration], users: Iterable[User], roles: set[str]) -> Iterator[str]:
    """References from integrations and users to roles and users that are not declared."""
    people = {user.id for user in users}
    for user in users:
        for held in user.roles:
            if held not in roles:
                yield f"user {user.id} ({user.name}): role {held} is not declared"
    for integration in integrations:
        for role in [
            integration.role,
            *(token.role for token in integration.tokens),
            *(certificate.role for certificate in integration.certificates),
        ]:
            if role is not None and role not in roles:
                yield f"integration {integration.name}: role {role} is not declared"
        for wanted in integration.consent_users:
            if wanted not in people:
                yield f"integration {integration.name}: consent user {wanted} is not among the users"
