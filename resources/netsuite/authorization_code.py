"""The authorization code grant: a person's consent, kept as a refresh token and traded for access tokens.

Here: the stored consent and its use (NetSuite REST facts: OAuth 2.0 authorization code and refresh). Getting the
consent in a browser is in ``consent``; where secrets are kept in ``vault``.

A public client's refresh token is good for one use: whoever uses it stores the next one before anyone else may
read, under a lock that all processes share, and in a thread of its own, so that nothing that is cancelled in the
program loses it. The access token is stored with it: one refresh serves all processes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
import msgspec

from resources.netsuite import advice
from resources.netsuite.auth import BearerAuth, Unusable
from resources.netsuite.errors import Failure, SignInFailed
from resources.netsuite.hosts import Hosts
from resources.netsuite.tokens import Granted, Token, TokenEndpoint
from resources.netsuite.vault import Vault, VaultError

TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class App:
    """The integration record: its client id, and its secret unless it is a public client.

    ``refresh_hours`` is how long its refresh tokens live as it says itself: 168 (7 days) for a confidential client,
    48 for a public one, where it says nothing else.
    """

    client_id: str = field(repr=False)
    client_secret: str | None = field(default=None, repr=False)
    refresh_hours: int | None = None

    @property
    def refresh_seconds(self) -> float:
        """Seconds that a refresh token lives."""
        return (self.refresh_hours or (48 if self.client_secret is None else 168)) * _HOUR

    @property
    def basic(self) -> tuple[str, str] | None:
        """What HTTP Basic carries at the token endpoint."""
        return None if self.client_secret is None else (self.client_id, self.client_secret)

    def named(self, form: Mapping[str, str]) -> dict[str, str]:
        """``form`` as this client sends it: a public one says who it is in the form."""
        return dict(form) if self.client_secret is not None else {**form, "client_id": self.client_id}


class StoredConsent(msgspec.Struct, frozen=True):
    """What is kept, encrypted, of a consent. Times are seconds since 1970; it names its account and client, so that
    one tenant's file is of no use to another."""

    account: str
    client_id: str
    refresh_token: str
    refresh_until: float
    consented_at: float
    entity: str = ""
    role: str = ""
    access_token: str = ""
    renew_at: float = 0.0
    expires_at: float = 0.0

    def __repr__(self) -> str:
        return f"StoredConsent(account={self.account!r}, role={self.role!r})"


class Consents:
    """The stored consent of one tenant. Raises ``VaultError``."""

    def __init__(self, vault: Vault, tenant: str) -> None:
        self.vault = vault
        self.tenant = tenant
        self.name = f"{tenant}.refresh-token"

    def read(self) -> StoredConsent | None:
        """The consent, ``None`` when there is none."""
        content = self.vault.read(self.name)
        if content is None:
            return None
        try:
            return msgspec.json.decode(content, type=StoredConsent)
        except msgspec.DecodeError:
            raise VaultError(
                f"the stored consent {self.vault.path(self.name)} is not one of ours; delete it and run "
                f"`recon connect {self.tenant}`."
            ) from None

    def write(self, consent: StoredConsent) -> None:
        """Store the consent in place of the one before."""
        self.vault.write(self.name, msgspec.json.encode(consent))


def connect_advice(tenant: str) -> dict[str, str]:
    """The next step by the token endpoint's code, for this grant."""
    return {
        **advice.TOKEN_ERRORS,
        "invalid_grant": (
            "The consent is over: its refresh token has expired, was revoked, or was used by another machine. A "
            f"person who may sign in to NetSuite runs `recon connect {tenant}`; the integration record stays as it is."
        ),
        "invalid_client": (
            "NetSuite does not know the client id, its secret is wrong, or the integration record is blocked "
            "(Setup > Integration > Manage Integrations)."
        ),
        "unauthorized_client": (
            "The integration record does not allow this way of signing in. Tick 'Authorization Code Grant' on it "
            "(and 'Public Client' when it has no secret): Setup > Integration > Manage Integrations."
        ),
        "invalid_request": "A parameter of the token request is missing or malformed. Compare the redirect URI with "
        "the one on the integration record: Setup > Integration > Manage Integrations.",
    }


class AuthorizationCode(BearerAuth):
    """Access tokens by the stored consent of a tenant. ``read`` gives the integration record as it is now.

    ``http`` makes the connection that refreshes. ``clock`` gives seconds since 1970. Raises ``SignInFailed`` that
    names ``recon connect`` when there is no consent that counts any more.
    """

    def __init__(
        self,
        hosts: Hosts,
        read: Callable[[], App],
        consents: Consents,
        *,
        clock: Callable[[], float] = time.time,
        http: Callable[[], httpx.Client] = lambda: httpx.Client(timeout=TIMEOUT),
    ) -> None:
        super().__init__(hosts, clock)
        self._read = read
        self._consents = consents
        self._http = http
        self._endpoint = TokenEndpoint(hosts, clock, connect_advice(consents.tenant))

    def __repr__(self) -> str:
        return f"AuthorizationCode(account={self._hosts.realm!r}, tenant={self._consents.tenant!r})"

    async def _fetch(self, http: httpx.AsyncClient) -> Token:
        return await asyncio.to_thread(self._refresh)

    def _refresh(self) -> Token:
        """The stored access token if it is good, else a refreshed one; stored before the lock is free."""
        app, consents = self._read(), self._consents
        try:
            with consents.vault.locked(consents.name):
                held = self._held(app)
                if held.access_token and held.access_token != self._refused and self._clock() < held.renew_at:
                    return Token(held.access_token, held.renew_at, held.expires_at)
                consents.vault.check()
                with self._http() as http:
                    form = {"grant_type": "refresh_token", "refresh_token": held.refresh_token}
                    granted = self._endpoint.ask_now(http, app.named(form), app.basic)
                consents.write(renewed(held, granted, self._clock() + app.refresh_seconds))
                return granted.token
        except VaultError as error:
            raise self._unusable(str(error), "Mend that, then run again.") from error

    def _held(self, app: App) -> StoredConsent:
        held, tenant = self._consents.read(), self._consents.tenant
        if held is None:
            raise self._unusable(
                "no consent is stored on this machine",
                f"A person who may sign in to NetSuite runs `recon connect {tenant}`.",
            )
        if (held.account, held.client_id) != (self._hosts.realm, app.client_id):
            raise self._unusable(
                f"the stored consent is for another integration record or account ({held.account})",
                f"A person who may sign in to NetSuite runs `recon connect {tenant}`.",
            )
        return held

    def _unusable(self, said: str, what_to_do: str) -> SignInFailed:
        return Unusable(Failure(self._endpoint.attempt.title, said=said, what_to_do=what_to_do))


def renewed(held: StoredConsent, granted: Granted, refresh_until: float) -> StoredConsent:
    """The consent after a refresh. A confidential client's refresh token stays, with the end that it had."""
    return msgspec.structs.replace(
        held,
        refresh_token=granted.refresh_token or held.refresh_token,
        refresh_until=refresh_until if granted.refresh_token else held.refresh_until,
        access_token=granted.token.value,
        renew_at=granted.token.renew_at,
        expires_at=granted.token.expires_at,
    )
