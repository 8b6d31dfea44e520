"""Token-based authentication: every request signed by OAuth 1.0a with HMAC-SHA256.

Here: the signature (NetSuite REST facts: token-based authentication) and the care not to lock the user out. A
second way for accounts that have it already: release 2027.1 makes no new ones, 2028.1 ends it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

import httpx

from resources.netsuite import advice
from resources.netsuite.auth import Unusable
from resources.netsuite.errors import Failure
from resources.netsuite.hosts import Hosts

_LOCKS_AT: Final = 5
"""Failed attempts in a row after which NetSuite locks the user."""
_LOCKED_SECONDS: Final = 1800.0
_PROBE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.02
_REMEMBERED: Final = 1000


@dataclass(frozen=True, slots=True)
class TbaCredentials:
    """The integration record's consumer key and secret, and the id and secret of one user's and role's token."""

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    token_id: str = field(repr=False)
    token_secret: str = field(repr=False)


def base_string(method: str, url: str, parameters: dict[str, str]) -> str:
    """What is signed: the method, the URL without its query, and all parameters in order.

    ``parameters`` are the ``oauth_*`` ones; the query's own come from ``url``, exactly as they go on the wire.
    """
    parts = httpx.URL(url)
    path, _, query = parts.raw_path.decode("ascii").partition("?")
    port = f":{parts.port}" if parts.port is not None else ""
    pairs = list(parameters.items())
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        pairs.append((unquote(name), unquote(value)))
    encoded = sorted((_encoded(name), _encoded(value)) for name, value in pairs)
    joined = "&".join(f"{name}={value}" for name, value in encoded)
    return "&".join(
        (method.upper(), _encoded(f"{parts.scheme}://{parts.host.lower()}{port}{path}"), _encoded(joined))
    )


def signature(text: str, credentials: TbaCredentials) -> str:
    """The base64 HMAC-SHA256 of a base string."""
    key = f"{_encoded(credentials.consumer_secret)}&{_encoded(credentials.token_secret)}"
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), hashlib.sha256)).decode()


def signed_header(
    method: str, url: str, realm: str, credentials: TbaCredentials, nonce: str, timestamp: int
) -> str:
    """The ``Authorization`` header of one attempt. A JSON body is not signed."""
    parameters = {
        "oauth_consumer_key": credentials.consumer_key,
        "oauth_token": credentials.token_id,
        "oauth_nonce": nonce,
        "oauth_timestamp": str(timestamp),
        "oauth_signature_method": "HMAC-SHA256",
        "oauth_version": "1.0",
    }
    signed = signature(base_string(method, url, parameters), credentials)
    shown = {"realm": realm, **parameters, "oauth_signature": signed}
    return "OAuth " + ", ".join(f'{name}="{_encoded(value)}"' for name, value in shown.items())


def _encoded(text: str) -> str:
    return quote(text, safe="-._~")


class TokenBased:
    """Token-based authentication with the credentials that ``read`` gives, asked before each signature.

    NetSuite locks the user for 30 minutes after five failed attempts. So credentials that no answer has proven yet
    go out with one request at a time, and after four refusals in a row nothing is sent until they change or half
    an hour has passed. ``clock`` gives seconds since 1970; ``new_nonce`` at least 20 characters, never the same.
    """

    def __init__(
        self,
        hosts: Hosts,
        read: Callable[[], TbaCredentials],
        *,
        clock: Callable[[], float] = time.time,
        new_nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._hosts = hosts
        self._read = read
        self._clock = clock
        self._new_nonce = new_nonce
        self._lock = threading.Lock()
        self._used = read()
        self._proven = False
        self._probed_at: float | None = None
        self._signed: dict[str, bool] = {}
        self._refusals = 0
        self._refused_at = 0.0

    def __repr__(self) -> str:
        return f"TokenBased(account={self._hosts.realm!r})"

    def __reduce__(self) -> str:
        raise TypeError("Credentials are not pickled; build them again where they are needed.")

    async def authorization(self, method: str, url: str, http: httpx.AsyncClient) -> str:
        """A header with a nonce, time and signature of its own."""
        while (header := self._next(method, url)) is None:
            await asyncio.sleep(_POLL_SECONDS)
        return header

    def refused(self, authorization: str) -> bool:
        """A fresh nonce, time and signature may fare better; ``authorization`` makes none that could lock the user."""
        with self._lock:
            self._take_up()
            if self._signed.pop(authorization, False):  # else by credentials that have changed since
                self._refusals += 1
                self._refused_at = self._clock()
                self._proven, self._probed_at = False, None
        return True

    def accepted(self, authorization: str) -> None:
        """The credentials are proven: any number of requests may go out together."""
        with self._lock:
            if self._signed.pop(authorization, False):
                self._proven, self._probed_at, self._refusals = True, None, 0

    def _next(self, method: str, url: str) -> str | None:
        """A header; ``None`` while another request proves the credentials."""
        with self._lock:
            self._take_up()
            now = self._clock()
            if self._refusals >= _LOCKS_AT - 1:
                if now - self._refused_at < _LOCKED_SECONDS:
                    raise self._paused()
                self._refusals = 0
            if not self._proven and self._probed_at is not None and now - self._probed_at < _PROBE_SECONDS:
                return None
            header = signed_header(method, url, self._hosts.realm, self._used, self._new_nonce(), int(now))
            if not self._proven:
                self._probed_at = now
            self._signed[header] = True
            while len(self._signed) > _REMEMBERED:  # those whose answer never came
                del self._signed[next(iter(self._signed))]
            return header

    def _take_up(self) -> None:
        """Use the credentials as they are now. The lock is held."""
        current = self._read()
        if current != self._used:
            self._used, self._proven, self._probed_at, self._refusals = current, False, None, 0
            self._signed.clear()

    def _paused(self) -> Unusable:
        return Unusable(
            Failure(
                attempted=f"Sign in to NetSuite account {self._hosts.realm}",
                said=f"{self._refusals} attempts in a row were refused; nothing more is sent for half an hour",
                what_to_do=(
                    "A fifth failed attempt would lock the user for 30 minutes. The reason of each refusal is in "
                    f"{advice.AUDIT_TRAIL}: the token was revoked, the integration is blocked, the user or role is "
                    "inactive, the role lacks 'Log in using Access Tokens' (Setup, Full), a secret is wrong, or "
                    "this machine's clock is more than 5 minutes off. New credentials are used as soon as they are "
                    "set."
                ),
            )
        )
