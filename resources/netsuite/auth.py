"""Signing in to NetSuite: what stands in a request's ``Authorization`` header, and when to make it anew.

Here: what every way of signing in offers, the life of access tokens, and client credentials (NetSuite REST facts:
OAuth 2.0 client credentials). Token-based authentication is in ``tba``, the authorization code grant in
``authorization_code``; requests to the services themselves are the client's. No key, token or assertion ever
stands in a repr, a log or an error.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import httpx
import jwt

from resources.netsuite.errors import NetSuiteError, SignInFailed
from resources.netsuite.hosts import Hosts
from resources.netsuite.keys import BadKey, SigningKey, load_key
from resources.netsuite.tokens import Token, TokenEndpoint

__all__ = ["Auth", "BadKey", "BearerAuth", "ClientCredentials", "Unusable", "UsedKey"]

_LOG: Final = logging.getLogger(__name__)
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFE: Final = 3000
"""Seconds from ``iat`` to ``exp``; NetSuite allows 3600."""
_STILL_GOOD: Final = 30.0
"""Seconds of life that a token must have left to be used when its renewal failed."""
_ASK_AGAIN: Final = 60.0
"""Seconds after a failed renewal before the next, while the old token serves."""


class Auth(Protocol):
    """A way of signing in. One object may serve many clients, threads and event loops."""

    async def authorization(self, method: str, url: str, http: httpx.AsyncClient) -> str:
        """The ``Authorization`` header for one attempt at ``method url`` (with its query); signed afresh each time.

        Raises ``SignInFailed`` when the credentials are refused, and a transient error when the token endpoint
        could not be asked.
        """

    def refused(self, authorization: str) -> bool:
        """NetSuite answered 401 to ``authorization``; whether a new one may fare better."""

    def accepted(self, authorization: str) -> None:
        """NetSuite answered something else than 401 to ``authorization``."""


class Unusable(SignInFailed):
    """The sign-in was not even tried: a credential is missing, cannot be read, or is known to be refused."""

    headline = "the credentials cannot be used"


class BearerAuth(ABC):
    """Access tokens: renewed before they expire, once for all who wait, and at once when one is refused.

    A renewal that fails before the old token has expired leaves the old one in use, and is tried again a minute
    later: so a token endpoint that is away, or credentials that are being exchanged, cost no request.
    """

    def __init__(self, hosts: Hosts, clock: Callable[[], float]) -> None:
        self._hosts = hosts
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._refused = ""
        self._flight: Future[Token | None] | None = None

    def __reduce__(self) -> str:
        raise TypeError("Credentials are not pickled; build them again where they are needed.")

    async def authorization(self, method: str, url: str, http: httpx.AsyncClient) -> str:
        """``Bearer`` and the current access token, asked for once however many requests need it."""
        return f"Bearer {(await self._current(http)).value}"

    def refused(self, authorization: str) -> bool:
        """Forget the token that was refused (unless it is already replaced); a new one may fare better."""
        with self._lock:
            if self._token is not None and authorization == f"Bearer {self._token.value}":
                self._refused = self._token.value
                self._token = None
        return True

    def accepted(self, authorization: str) -> None:  # noqa: B027 (a kind of token may have nothing to note)
        """Nothing to note: a token is as good as its next answer."""

    @abstractmethod
    async def _fetch(self, http: httpx.AsyncClient) -> Token:
        """A new access token, other than the one that was refused last."""

    async def _current(self, http: httpx.AsyncClient) -> Token:
        while True:
            with self._lock:
                if self._token is not None and self._clock() < self._token.renew_at:
                    return self._token
                flight = self._flight
                if flight is None:
                    ours: Future[Token | None] = Future()
                    ours.set_running_or_notify_cancel()
                    self._flight = ours
            if flight is None:
                return await self._lead(ours, http)
            # A flight whose leader was cancelled ends with nothing: then one of those who waited leads the next.
            if (token := await asyncio.wrap_future(flight)) is not None:
                return token

    async def _lead(self, flight: Future[Token | None], http: httpx.AsyncClient) -> Token:
        token: Token | None = None
        failed: NetSuiteError | None = None
        try:
            try:
                token = await self._fetch(http)
            except NetSuiteError as error:
                token = self._outlived(error)
                if token is None:
                    failed = error
                    raise
            return token
        finally:
            with self._lock:
                self._flight = None
                self._token = token or self._token
            if failed is not None:
                flight.set_exception(failed)
            else:
                flight.set_result(token)

    def _outlived(self, error: NetSuiteError) -> Token | None:
        """The token that was to be renewed, if it can serve until the next try."""
        now = self._clock()
        with self._lock:
            held = self._token
        if held is None or held.expires_at - now <= _STILL_GOOD:
            return None
        _LOG.warning("The access token could not be renewed and is used on: %s", error)
        return replace(held, renew_at=min(now + _ASK_AGAIN, held.expires_at - _STILL_GOOD))


@dataclass(frozen=True, slots=True)
class UsedKey:
    """One certificate's credentials: the integration record's client id, the certificate id shown on the M2M
    mapping, the PEM of the certificate's key, and the algorithm where the key leaves a choice."""

    client_id: str = field(repr=False)
    certificate_id: str = field(repr=False)
    private_key: bytes = field(repr=False)
    algorithm: str | None = None


class ClientCredentials(BearerAuth):
    """OAuth 2.0 client credentials: a signed assertion is traded for an access token of 60 minutes.

    ``algorithm`` (PS256, PS384, PS512, ES256, ES384, ES512) follows from the key when it is left out: by the curve,
    PS256 for RSA. ``reread`` gives the credentials as they are now; it is asked before each token, so that
    credentials which were exchanged are used without a restart. While they are being exchanged (a new key with the
    old certificate id, a file half written), the pair that served last is tried too. ``clock`` gives seconds since
    1970; ``new_id`` unique ids. Raises ``BadKey``.
    """

    def __init__(
        self,
        hosts: Hosts,
        client_id: str,
        certificate_id: str,
        private_key: bytes,
        *,
        algorithm: str | None = None,
        reread: Callable[[], UsedKey] | None = None,
        scope: tuple[str, ...] = ("rest_webservices",),
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        super().__init__(hosts, clock)
        self._used = UsedKey(client_id, certificate_id, private_key, algorithm)
        self._signing = load_key(private_key, algorithm)
        self._reread = reread
        self._scope = scope
        self._new_id = new_id
        self._endpoint = TokenEndpoint(hosts, clock)

    def __repr__(self) -> str:
        return f"ClientCredentials(account={self._hosts.realm!r}, algorithm={self.algorithm!r})"

    @property
    def algorithm(self) -> str:
        """The algorithm that assertions are signed by."""
        return self._signing.algorithm

    def assertion(self) -> str:
        """A freshly signed client assertion, valid for 50 minutes."""
        return self._assertion(self._used, self._signing)

    def _assertion(self, used: UsedKey, signing: SigningKey) -> str:
        now = int(self._clock())
        claims = {
            "iss": used.client_id,
            "scope": list(self._scope),
            "aud": self._hosts.token_url,
            "iat": now,
            "exp": now + _ASSERTION_LIFE,
            "jti": self._new_id(),
        }
        return jwt.encode(
            claims, signing.key, algorithm=signing.algorithm, headers={"kid": used.certificate_id}
        )

    async def _fetch(self, http: httpx.AsyncClient) -> Token:
        tried: list[UsedKey] = []
        refusal: SignInFailed | None = None
        # What the credentials are now; what they have become while those were refused; what served last.
        for read in (self._now, self._now, lambda: self._used):
            candidate = read()
            if candidate in tried:
                continue
            tried.append(candidate)
            try:
                return await self._trade(candidate, http)
            except SignInFailed as error:
                refusal = refusal or error
        assert refusal is not None
        raise refusal

    def _now(self) -> UsedKey:
        """The credentials as they are now; those that served last where they cannot be read just now."""
        if self._reread is None:
            return self._used
        try:
            used = self._reread()
            if used != self._used:
                load_key(used.private_key, used.algorithm)
            return used
        except (OSError, ValueError) as error:
            _LOG.warning(
                "The credentials of NetSuite account %s cannot be read again; those before are used: %s",
                self._hosts.realm,
                error,
            )
            return self._used

    async def _trade(self, used: UsedKey, http: httpx.AsyncClient) -> Token:
        signing = self._signing if used == self._used else load_key(used.private_key, used.algorithm)
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": self._assertion(used, signing),
        }
        token = (await self._endpoint.ask(http, form)).token
        self._used, self._signing = used, signing
        return token
