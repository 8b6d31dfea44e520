"""Signing in to NetSuite: what stands in a request's ``Authorization`` header, and when to make it anew.

Here belong the ways of signing in and the life of tokens (NetSuite REST facts: OAuth 2.0 client credentials).
Requests to the services themselves do not. No key, token or assertion ever stands in a repr, a log or an error.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

import httpx
import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from resources.netsuite import advice, errors
from resources.netsuite.errors import Attempt, Failure, NetSuiteError, SignInFailed
from resources.netsuite.hosts import Hosts

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_EC_ALGORITHMS: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_LONGEST_ASSERTION: Final = 3600
"""Seconds that NetSuite allows from ``iat`` to ``exp``."""
_ASSERTION_MARGIN: Final = 600
_RENEW_AT: Final = 5 / 6
"""The part of a token's life after which it is renewed: 50 of 60 minutes."""


class Auth(Protocol):
    """A way of signing in. One object may serve many clients, threads and event loops."""

    async def authorization(self, method: str, url: str, http: httpx.AsyncClient) -> str:
        """The ``Authorization`` header for one attempt at ``method url`` (with its query); signed afresh each time.

        Raises ``SignInFailed`` when the credentials are refused, and a transient error when the token endpoint
        could not be asked.
        """

    def refused(self, authorization: str) -> bool:
        """NetSuite answered 401 to ``authorization``; whether a new one may fare better."""


class BadKey(ValueError):
    """The private key cannot be used; the message says why and how to make a right one. It holds no key material."""


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float = 0.0


class ClientCredentials:
    """OAuth 2.0 client credentials: a signed assertion is traded for an access token of 60 minutes.

    ``client_id`` is the integration record's; ``certificate_id`` the one shown on the M2M mapping;
    ``private_key`` the PEM of the certificate's key. The algorithm follows from the key: ES256, ES384 or ES512 by
    the curve, PS256 for RSA of 3072 bits or more. ``clock`` gives seconds since 1970; ``new_id`` unique ids.
    """

    def __init__(
        self,
        hosts: Hosts,
        client_id: str,
        certificate_id: str,
        private_key: bytes,
        *,
        scope: tuple[str, ...] = ("rest_webservices",),
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._hosts = hosts
        self._client_id = client_id
        self._certificate_id = certificate_id
        self._key, self.algorithm = _load_key(private_key)
        self._scope = scope
        self._clock = clock
        self._new_id = new_id
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._flight: Future[_Token | None] | None = None

    def __repr__(self) -> str:
        return f"ClientCredentials(account={self._hosts.realm!r}, algorithm={self.algorithm!r})"

    def __reduce__(self) -> str:
        raise TypeError("Credentials are not pickled; build them again where they are needed.")

    def assertion(self) -> str:
        """A freshly signed client assertion, valid for 50 minutes."""
        now = int(self._clock())
        claims = {
            "iss": self._client_id,
            "scope": list(self._scope),
            "aud": self._hosts.token_url,
            "iat": now,
            "exp": now + _LONGEST_ASSERTION - _ASSERTION_MARGIN,
            "jti": self._new_id(),
        }
        return jwt.encode(claims, self._key, algorithm=self.algorithm, headers={"kid": self._certificate_id})

    async def authorization(self, method: str, url: str, http: httpx.AsyncClient) -> str:
        """``Bearer`` and the current access token, asked for once however many requests need it."""
        return f"Bearer {(await self._current(http)).value}"

    def refused(self, authorization: str) -> bool:
        """Forget the token that was refused (unless it is already replaced); a new one may fare better."""
        with self._lock:
            if self._token is not None and authorization == f"Bearer {self._token.value}":
                self._token = None
        return True

    async def _current(self, http: httpx.AsyncClient) -> _Token:
        while True:
            with self._lock:
                if self._token is not None and self._clock() < self._token.renew_at:
                    return self._token
                flight = self._flight
                if flight is None:
                    ours: Future[_Token | None] = Future()
                    ours.set_running_or_notify_cancel()
                    self._flight = ours
            if flight is None:
                return await self._lead(ours, http)
            # A flight whose leader was cancelled ends with nothing: then one of those who waited leads the next.
            if (token := await asyncio.wrap_future(flight)) is not None:
                return token

    async def _lead(self, flight: Future[_Token | None], http: httpx.AsyncClient) -> _Token:
        token: _Token | None = None
        failed: NetSuiteError | None = None
        try:
            token = await self._fetch(http)
            return token
        except NetSuiteError as error:
            failed = error
            raise
        finally:
            with self._lock:
                self._flight = None
                self._token = token or self._token
            if failed is not None:
                flight.set_exception(failed)
            else:
                flight.set_result(token)

    async def _fetch(self, http: httpx.AsyncClient) -> _Token:
        url = self._hosts.token_url
        attempt = Attempt(
            f"Sign in to NetSuite account {self._hosts.realm}", where=url, loopback=self._hosts.is_loopback
        )
        asked_at = self._clock()
        try:
            answer = await http.post(
                url,
                data={
                    "grant_type": "client_credentials",
                    "client_assertion_type": _ASSERTION_TYPE,
                    "client_assertion": self.assertion(),
                },
                headers={"Accept": "application/json"},
            )
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.ProxyError,
            httpx.UnsupportedProtocol,
        ) as error:
            raise errors.not_connected(attempt, str(error)) from error
        except httpx.HTTPError as error:
            raise errors.no_answer(attempt, f"{type(error).__name__}: {error}") from error
        if answer.status_code != 200:
            raise self._refusal(attempt, answer)
        return _read_token(attempt, answer, asked_at)

    def _refusal(self, attempt: Attempt, answer: httpx.Response) -> NetSuiteError:
        request_id = answer.headers.get("x-netsuite-jobid", "")
        envelope = errors.read_envelope(answer.content)
        if answer.status_code not in (400, 401, 403) or (answer.status_code != 401 and not envelope.code):
            return errors.from_answer(attempt, answer.status_code, answer.content, request_id)
        return SignInFailed(
            Failure(
                attempted=attempt.title,
                status=answer.status_code,
                code=envelope.code,
                details=envelope.details,
                said=envelope.said,
                request_id=request_id,
                what_to_do=advice.for_token_error(envelope.code, self._skew(answer)),
            )
        )

    def _skew(self, answer: httpx.Response) -> float | None:
        """Our clock less NetSuite's in seconds, where the answer tells the time."""
        try:
            return self._clock() - parsedate_to_datetime(answer.headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError, OverflowError):
            return None


def _read_token(attempt: Attempt, answer: httpx.Response, asked_at: float) -> _Token:
    """The token of a 200 answer; ``expires_in`` is a number or a string. The body is never quoted."""
    try:
        content = msgspec.json.decode(answer.content)
        value, lifetime = content["access_token"], float(content.get("expires_in", _LONGEST_ASSERTION))
        if (
            not isinstance(value, str)
            or not value.isascii()
            or not value.isprintable()
            or " " in value
            or lifetime <= 0
        ):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise errors.unusable_answer(
            attempt,
            answer.status_code,
            b"",
            answer.headers.get("x-netsuite-jobid", ""),
            "(no access token in it)",
        ) from None
    return _Token(value, asked_at + lifetime * _RENEW_AT)


def _load_key(pem: bytes) -> tuple[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, str]:
    """The private key and the algorithm that NetSuite takes for it."""
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise BadKey(
            "The private key is protected by a passphrase; give it unencrypted (`openssl pkey`)."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey(
            "The private key is not a readable PEM file. It begins with '-----BEGIN PRIVATE KEY-----'; give the key, "
            "not the certificate."
        ) from None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if (algorithm := _EC_ALGORITHMS.get(key.curve.name)) is not None:
            return key, algorithm
        raise BadKey(
            f"NetSuite does not take the curve {key.curve.name}; make a key on P-256, P-384 or P-521."
        )
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size >= 3072:
            return key, "PS256"
        raise BadKey(
            f"NetSuite refuses RSA keys of {key.key_size} bits; make one of 3072 or 4096 bits, or an EC key."
        )
    raise BadKey("NetSuite takes elliptic-curve (P-256, P-384, P-521) and RSA (3072, 4096 bits) keys only.")
