"""Refresh tokens and authorization codes: what they stand for, how long they live, how often they can be used.

Follows NetSuite's "OAuth 2.0 authorization code grant flow". Refresh tokens are kept in the state file, by their hash;
codes live in the process.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sandbox.auth.tokens import AccessTokens, Grant
from sandbox.clock import Clock
from sandbox.profile_access import Integration
from sandbox.store.database import Database

_TABLE = """
CREATE TABLE IF NOT EXISTS refresh_token (
    hash TEXT PRIMARY KEY, chain TEXT NOT NULL, client_id TEXT NOT NULL, role TEXT NOT NULL, entity TEXT NOT NULL,
    scopes TEXT NOT NULL, first INTEGER NOT NULL, expires REAL NOT NULL, state TEXT NOT NULL
) WITHOUT ROWID
"""
_KEPT_CODES = 10_000


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code's meaning."""

    grant: Grant
    redirect_uri: str
    challenge: str
    """The PKCE code challenge; empty: none was sent."""
    expires: float
    """Unix seconds."""


class Codes:
    """Authorization codes: each can be used once."""

    def __init__(self) -> None:
        self._codes: dict[str, Code] = {}

    def issue(self, code: Code) -> str:
        value = secrets.token_hex(32)
        while len(self._codes) >= _KEPT_CODES:
            del self._codes[next(iter(self._codes))]
        self._codes[value] = code
        return value

    def take(self, value: str) -> Code | None:
        return self._codes.pop(value, None)

    def clear(self) -> None:
        self._codes.clear()


@dataclass(frozen=True, slots=True)
class RefreshToken:
    grant: Grant
    first: int
    """When the first token of its chain was issued, Unix seconds."""
    expires: float
    state: str
    """`live`, `used` (a one-time token that has been) or `revoked`."""


class RefreshTokens:
    def __init__(self, database: Database, clock: Clock, tokens: AccessTokens) -> None:
        self._database, self._clock, self._tokens = database, clock, tokens
        database.connection.execute(_TABLE)

    def issue(self, grant: Grant, integration: Integration, first: int | None = None) -> str:
        """A refresh token of the grant's chain: days for a confidential client, hours for a public one."""
        public = integration.public_client
        life = integration.refresh_token_hours * 3600 if public else integration.refresh_token_days * 86400
        token, expires = self._tokens.sign(grant, "r", life, first)
        begun = int(self._clock.now().timestamp()) if first is None else first
        self._database.connection.execute(
            "INSERT INTO refresh_token VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'live')",
            (
                _hash(token),
                grant.chain,
                grant.client_id,
                grant.role,
                grant.entity,
                " ".join(grant.scopes),
                begun,
                expires,
            ),
        )
        return token

    def find(self, token: str) -> RefreshToken | None:
        row = self._database.connection.execute(
            "SELECT client_id, role, entity, scopes, chain, first, expires, state FROM refresh_token WHERE hash = ?",
            (_hash(token),),
        ).fetchone()
        if row is None:
            return None
        client_id, role, entity, scopes, chain, first, expires, state = row
        return RefreshToken(
            Grant(client_id, role, entity, tuple(scopes.split()), chain), first, expires, state
        )

    def use_up(self, token: str) -> None:
        self._database.connection.execute(
            "UPDATE refresh_token SET state = 'used' WHERE hash = ?", (_hash(token),)
        )

    def revoke_chain(self, chain: str) -> None:
        """Revoke the refresh tokens of a chain and the access tokens that came from it."""
        self._database.connection.execute(
            "UPDATE refresh_token SET state = 'revoked' WHERE chain = ?", (chain,)
        )
        self._tokens.revoke_chain(chain)

    def revoke_all(self) -> int:
        """Revoke every refresh token; returns how many were live."""
        return self._database.connection.execute(
            "UPDATE refresh_token SET state = 'revoked' WHERE state = 'live'"
        ).rowcount

    def clear(self) -> None:
        self._database.connection.execute("DELETE FROM refresh_token")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
