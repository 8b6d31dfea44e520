"""The OAuth 2.0 token endpoint: one request, its token or the error that says why there is none.

Here: what every grant has in common (NetSuite REST facts: token endpoint errors). Not here: what each grant sends,
or how long a token is kept. The body of an answer is never quoted: it holds tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
import msgspec

from resources.netsuite import advice, errors
from resources.netsuite.errors import Attempt, Failure, NetSuiteError, SignInFailed
from resources.netsuite.hosts import Hosts

_LIFETIME: Final = 3600.0
"""Seconds that an access token lives when the answer does not tell."""
_RENEW_AT: Final = 5 / 6
"""The part of a token's life after which it is renewed: 50 of 60 minutes."""
_NOT_CONNECTED: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; times are seconds since 1970. From ``renew_at`` on a new one is asked for."""

    value: str = field(repr=False)
    renew_at: float = 0.0
    expires_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Granted:
    """What the token endpoint gave: an access token, and a refresh token where the grant has one."""

    token: Token
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class TokenEndpoint:
    """An account's token endpoint. ``texts`` are the next steps by the endpoint's error codes."""

    hosts: Hosts
    clock: Callable[[], float]
    texts: Mapping[str, str] = field(default_factory=lambda: advice.TOKEN_ERRORS)

    @property
    def attempt(self) -> Attempt:
        """What is being attempted, for errors."""
        return Attempt(
            f"Sign in to NetSuite account {self.hosts.realm}",
            where=self.hosts.token_url,
            loopback=self.hosts.is_loopback,
        )

    async def ask(self, http: httpx.AsyncClient, form: Mapping[str, str]) -> Granted:
        """Ask for a token. Raises ``SignInFailed`` for a refusal, a transient error when there was no answer."""
        asked_at = self.clock()
        try:
            answer = await http.post(
                self.hosts.token_url, data=dict(form), headers={"Accept": "application/json"}
            )
        except httpx.HTTPError as error:
            raise self._silence(error) from error
        return self._granted(answer, asked_at)

    def ask_now(
        self, http: httpx.Client, form: Mapping[str, str], basic: tuple[str, str] | None = None
    ) -> Granted:
        """``ask`` without an event loop, with HTTP Basic credentials where the grant has them."""
        asked_at = self.clock()
        try:
            answer = http.post(
                self.hosts.token_url,
                data=dict(form),
                headers={"Accept": "application/json"},
                auth=httpx.BasicAuth(*basic) if basic else httpx.USE_CLIENT_DEFAULT,
            )
        except httpx.HTTPError as error:
            raise self._silence(error) from error
        return self._granted(answer, asked_at)

    def _silence(self, error: httpx.HTTPError) -> NetSuiteError:
        if isinstance(error, _NOT_CONNECTED):
            return errors.not_connected(self.attempt, str(error))
        return errors.no_answer(self.attempt, f"{type(error).__name__}: {error}")

    def _granted(self, answer: httpx.Response, asked_at: float) -> Granted:
        """The tokens of a 200 answer; ``expires_in`` is a number or a string."""
        if answer.status_code != 200:
            raise self._refusal(answer)
        try:
            content = msgspec.json.decode(answer.content)
            value, lifetime = content["access_token"], float(content.get("expires_in", _LIFETIME))
            refresh = content.get("refresh_token")
            if not _is_token(value) or not (refresh is None or _is_token(refresh)) or not 0 < lifetime < 1e9:
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise errors.unusable_answer(
                self.attempt,
                answer.status_code,
                b"",
                answer.headers.get("x-netsuite-jobid", ""),
                "(no access token in it)",
            ) from None
        return Granted(Token(value, asked_at + lifetime * _RENEW_AT, asked_at + lifetime), refresh)

    def _refusal(self, answer: httpx.Response) -> NetSuiteError:
        request_id = answer.headers.get("x-netsuite-jobid", "")
        envelope = errors.read_envelope(answer.content)
        if answer.status_code not in (400, 401, 403) or (answer.status_code != 401 and not envelope.code):
            return errors.from_answer(self.attempt, answer.status_code, answer.content, request_id)
        return SignInFailed(
            Failure(
                attempted=self.attempt.title,
                status=answer.status_code,
                code=envelope.code,
                details=envelope.details,
                said=envelope.said,
                request_id=request_id,
                what_to_do=advice.for_token_error(envelope.code, self._skew(answer), self.texts),
            )
        )

    def _skew(self, answer: httpx.Response) -> float | None:
        """Our clock less NetSuite's in seconds, where the answer tells the time."""
        try:
            return self.clock() - parsedate_to_datetime(answer.headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError, OverflowError):
            return None


def _is_token(value: object) -> bool:
    return (
        isinstance(value, str)
        and bool(value)
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )
