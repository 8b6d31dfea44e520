"""Token-based authentication: OAuth 1.0a with HMAC-SHA256. Every refusal looks the same on the wire; the login audit
trail has the true reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC
from typing import NoReturn
from urllib.parse import quote, unquote, urlsplit

from sandbox.auth.audit import Login, LoginAudit
from sandbox.auth.roles import TBA_LOGIN, Session, allows
from sandbox.clock import Clock
from sandbox.errors import invalid_login
from sandbox.profile import Profile
from sandbox.profile_access import Integration, Token
from sandbox.wire import Request

_WINDOW = 300
_PARAMETER = re.compile(r'\s*([a-zA-Z_0-9]+)="([^"]*)"\s*')
_REQUIRED = (
    "oauth_consumer_key",
    "oauth_token",
    "oauth_nonce",
    "oauth_timestamp",
    "oauth_signature_method",
    "oauth_signature",
)


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


class TokenBasedAuthentication:
    """One account's token-based authentication."""

    def __init__(self, profile: Profile, clock: Clock, audit: LoginAudit) -> None:
        self._profile, self._clock, self._audit = profile, clock, audit
        self._roles = {role.id: role for role in profile.roles}
        self._consumers = {i.client_id: i for i in profile.integrations if i.client_secret is not None}
        self._seen: dict[tuple[str, str, str], float] = {}

    def session(self, request: Request) -> Session:
        """The caller of a signed request; raises NetSuite's 401."""
        header = request.headers["authorization"]
        given = {k: unquote(v) for k, v in _PARAMETER.findall(header[len("oauth ") :])}
        if missing := [name for name in _REQUIRED if not given.get(name)]:
            self._refuse(request, "MissingTokenPassportRequiredFields", f"{missing[0]} is missing")
        if given["oauth_signature_method"] != "HMAC-SHA256":
            self._refuse(request, "UnknownAlgorithm", f"{given['oauth_signature_method']} is not HMAC-SHA256")
        if given.get("oauth_version", "1.0") != "1.0":
            self._refuse(request, "VersionRejected", f"oauth_version {given['oauth_version']} is not 1.0")
        integration = self._consumers.get(given["oauth_consumer_key"])
        if integration is None:
            self._refuse(request, "consumer_key_unknown", "the consumer key is no integration here")
        if integration.blocked:
            self._refuse(
                request, "consumer_key_refused", f"integration {integration.name} is blocked", integration
            )
        token = next((t for t in integration.tokens if t.id == given["oauth_token"]), None)
        if token is None:
            self._refuse(request, "token_rejected", "the token is unknown to this integration", integration)
        if given.get("realm") != self._profile.account:
            why = f"realm {given.get('realm')!r} is not {self._profile.account!r}"
            self._refuse(request, "InvalidSignature", why, integration)
        self._check_signature(request, given, integration, token)
        self._check_freshness(request, given, integration)
        role = self._roles[token.role or integration.role]
        if not allows(role, TBA_LOGIN, "full"):
            self._refuse(request, "permission_denied", f"role {role.name} lacks {TBA_LOGIN}", integration)
        return Session(
            integration.client_id, integration.name, role, token.entity or integration.entity, "tba"
        )

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
        if not any(hmac.compare_digest(s, given["oauth_signature"]) for s in signatures):
            self._refuse(request, "InvalidSignature", "the signature does not fit the request", integration)

    def _check_freshness(self, request: Request, given: dict[str, str], integration: Integration) -> None:
        now = self._clock.now().timestamp()
        stamp = given["oauth_timestamp"]
        if not stamp.isdigit() or abs(int(stamp) - now) > _WINDOW:
            self._refuse(
                request, "InvalidTimestamp", f"{stamp} is over 5 minutes from {now:.0f}", integration
            )
        if len(given["oauth_nonce"]) < 6:
            self._refuse(request, "nonce_rejected", "the nonce has fewer than 6 characters", integration)
        key = (given["oauth_token"], stamp, given["oauth_nonce"])
        if key in self._seen:
            self._refuse(request, "NonceUsed", "nonce and timestamp were used before", integration)
        for old in (
            [k for k, seen in self._seen.items() if seen < now - 2 * _WINDOW]
            if len(self._seen) > 5000
            else []
        ):
            del self._seen[old]
        self._seen[key] = now

    def _refuse(
        self, request: Request, detail: str, explanation: str, integration: Integration | None = None
    ) -> NoReturn:
        self._audit.record(
            Login(
                time=self._clock.now().astimezone(UTC).isoformat(timespec="seconds"),
                method="tba",
                status="Failure",
                detail=detail,
                explanation=explanation,
                integration=integration.name if integration else "",
                role=integration.role if integration else "",
                entity=integration.entity if integration else "",
                address=request.client,
            )
        )
        realm = self._profile.account
        raise invalid_login(
            f'OAuth realm="{realm}", error="token_rejected", error_description="Invalid login attempt."'
        )
