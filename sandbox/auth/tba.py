"""Token-based authentication: OAuth 1.0a with HMAC-SHA256. Every refusal looks the same on the wire; the login audit
trail has the true reason.

Follows NetSuite's "Token-based authentication (TBA)". A failure counts towards the lock of its user from the point on
where the token, and so the user, is known.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from urllib.parse import quote, unquote, urlsplit

from sandbox.auth.audit import LoginAudit
from sandbox.auth.directory import Directory
from sandbox.auth.lock import LoginLock
from sandbox.auth.restlet import invalid_login_attempt
from sandbox.auth.roles import TBA_LOGIN, Session
from sandbox.clock import Clock
from sandbox.errors import invalid_login
from sandbox.profile_access import Integration, Token
from sandbox.wire import Request

_WINDOW = 300
_SHORTEST_NONCE = 6
_PARAMETER = re.compile(r'\s*([a-zA-Z_0-9]+)="([^"]*)"\s*')
_REQUIRED = (
    "oauth_consumer_key",
    "oauth_token",
    "oauth_nonce",
    "oauth_timestamp",
    "oauth_signature_method",
    "oauth_signature",
)
_RESTLET_DETAILS = {"NonceUsed": "nonce_rejected", "MissingTokenPassportRequiredFields": "parameter_rejected"}
"""The audit trail's words for refusals on the RESTlet host."""
_PROBLEMS = {
    "consumer_key_unknown": "consumer_key_unknown",
    "consumer_key_refused": "consumer_key_refused",
    "InvalidSignature": "signature_invalid",
    "UnknownAlgorithm": "signature_method_rejected",
    "InvalidTimestamp": "timestamp_refused",
    "NonceUsed": "nonce_used",
    "nonce_rejected": "nonce_rejected",
    "VersionRejected": "version_rejected",
    "MissingTokenPassportRequiredFields": "parameter_absent",
    "parameter_rejected": "parameter_rejected",
    "permission_denied": "permission_denied",
}
"""`error` in WWW-Authenticate by detail, under the switch `tba_challenge_error: reason`; others say token_rejected."""


def _encoded(text: str) -> str:
    return quote(text, safe="-._~")


def base_string(method: str, url: str, query: list[tuple[str, str]], oauth: dict[str, str]) -> str:
    """The signature base string of RFC 5849; `query` and `oauth` hold decoded values, `oauth` without the realm."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    default = {"http": 80, "https": 443}.get(parts.scheme)
    if parts.port is not None and parts.port != default:
        host = f"{host}:{parts.port}"
    pairs = [(k, v) for k, v in oauth.items() if k != "oauth_signature"] + query
    normal = "&".join(f"{k}={v}" for k, v in sorted((_encoded(k), _encoded(v)) for k, v in pairs))
    return "&".join((method.upper(), _encoded(f"{parts.scheme}://{host}{parts.path}"), _encoded(normal)))


def sign(base: str, consumer_secret: str, token_secret: str) -> str:
    key = f"{_encoded(consumer_secret)}&{_encoded(token_secret)}"
    return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha256).digest()).decode()


class _Bad(Exception):
    def __init__(self, detail: str, explanation: str) -> None:
        super().__init__(explanation)
        self.detail, self.explanation = detail, explanation


class TokenBasedAuthentication:
    """One account's token-based authentication."""

    def __init__(self, directory: Directory, clock: Clock, audit: LoginAudit, lock: LoginLock) -> None:
        self._directory, self._clock, self._audit, self._lock = directory, clock, audit, lock
        self._profile = directory.profile
        self._seen: dict[tuple[str, str, str], float] = {}

    def session(self, request: Request, *, restlet: bool = False) -> Session:
        """The caller of a signed request; raises NetSuite's 401, or with `restlet` the RESTlet host's."""
        integration: Integration | None = None
        role = entity = ""
        try:
            given = self._given(request)
            integration = self._integration(given)
            token = self._token(given, integration)
            role, entity = token.role or integration.role, token.entity or integration.entity
            if self._lock.locked(entity):
                raise _Bad("temporary_locked", f"entity {entity} is locked after too many failures")
            try:
                self._check(request, given, integration, token)
                problem = self._directory.cannot_log_in(role, entity, TBA_LOGIN)
                if problem is not None:
                    raise _Bad("permission_denied", problem)
            except _Bad:
                self._lock.failed(entity)
                raise
        except _Bad as bad:
            detail = _RESTLET_DETAILS.get(bad.detail, bad.detail) if restlet else bad.detail
            self._audit.failure(request, "tba", detail, bad.explanation, integration, role, entity)
            challenge = self._challenge(detail)
            raise (invalid_login_attempt(challenge) if restlet else invalid_login(challenge)) from None
        self._lock.succeeded(entity)
        return Session(
            integration.client_id, integration.name, self._directory.roles[role], entity, "tba", ()
        )

    def _given(self, request: Request) -> dict[str, str]:
        """The header's parameters, decoded."""
        if not self._profile.features.token_based_authentication:
            raise _Bad("FeatureDisabled", "the token-based authentication feature is off")
        pairs = _PARAMETER.findall(request.headers["authorization"][len("oauth ") :])
        given = {name: unquote(value) for name, value in pairs}
        if missing := [name for name in _REQUIRED if not given.get(name)]:
            raise _Bad("MissingTokenPassportRequiredFields", f"{missing[0]} is missing")
        if len(pairs) != len(given):
            raise _Bad("parameter_rejected", "a parameter stands in the header more than once")
        return given

    def _integration(self, given: dict[str, str]) -> Integration:
        integration = self._directory.integrations.get(given["oauth_consumer_key"])
        if integration is None or integration.client_secret is None:
            raise _Bad("consumer_key_unknown", "the consumer key is no integration here")
        return integration

    def _token(self, given: dict[str, str], integration: Integration) -> Token:
        if integration.blocked:
            raise _Bad("consumer_key_refused", f"integration {integration.name} is blocked")
        token = next((t for t in integration.tokens if t.id == given["oauth_token"]), None)
        if token is None:
            raise _Bad("token_rejected", "the token is unknown to this integration")
        if token.revoked:
            raise _Bad("token_rejected", "the token was revoked")
        return token

    def _check(self, request: Request, given: dict[str, str], integration: Integration, token: Token) -> None:
        method, version = given["oauth_signature_method"], given.get("oauth_version", "1.0")
        if method != "HMAC-SHA256":
            raise _Bad("UnknownAlgorithm", f"{method} is not HMAC-SHA256")
        if version != "1.0":
            raise _Bad("VersionRejected", f"oauth_version {version} is not 1.0")
        account = self._profile.account
        if given.get("realm") != account:
            raise _Bad("InvalidSignature", f"realm {given.get('realm')!r} is not {account!r}")
        if "cookie" in request.headers and self._profile.switches.tba_refuses_cookies:
            raise _Bad("InvalidSignature", "the request carries a Cookie header")
        self._check_signature(request, given, integration, token)
        self._check_freshness(given)

    def _check_signature(
        self, request: Request, given: dict[str, str], integration: Integration, token: Token
    ) -> None:
        oauth = {k: v for k, v in given.items() if k != "realm"}
        secret = str(integration.client_secret)
        pairs = request.query_pairs
        # A server behind TLS or a proxy sees http: the caller may have signed https.
        urls = [f"{scheme}://{request.host}{request.raw_path}" for scheme in ("http", "https")]
        signatures = [
            sign(base_string(request.method, url, pairs, oauth), secret, token.secret) for url in urls
        ]
        signature = given["oauth_signature"].encode()
        if not any(hmac.compare_digest(s.encode(), signature) for s in signatures):
            raise _Bad("InvalidSignature", "the signature does not fit the request")

    def _check_freshness(self, given: dict[str, str]) -> None:
        now = self._clock.now().timestamp()
        stamp, nonce = given["oauth_timestamp"], given["oauth_nonce"]
        if not (stamp.isascii() and stamp.isdigit()) or abs(int(stamp) - now) > _WINDOW:
            raise _Bad("InvalidTimestamp", f"{stamp} is over 5 minutes from {now:.0f}")
        if len(nonce) < _SHORTEST_NONCE:
            raise _Bad("nonce_rejected", f"the nonce has fewer than {_SHORTEST_NONCE} characters")
        key = (given["oauth_token"], stamp, nonce)
        if key in self._seen:
            raise _Bad("NonceUsed", "nonce and timestamp were used before")
        if len(self._seen) > 5000:
            self._seen = {k: seen for k, seen in self._seen.items() if seen >= now - 2 * _WINDOW}
        self._seen[key] = now

    def _challenge(self, detail: str) -> str:
        error = "token_rejected"
        if self._profile.switches.tba_challenge_error == "reason":
            error = _PROBLEMS.get(detail, error)
        return f'OAuth realm="{self._profile.account}", error="{error}", error_description="Invalid login attempt."'
