"""OAuth 2.0 client credentials: the token endpoint, the keys endpoint and bearer tokens.

Follows NetSuite's "OAuth 2.0 client credentials (M2M)". Which error code a bad assertion gets is not documented: a
switch says it, and the login audit trail holds the true reason.
"""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, date
from typing import NoReturn
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.types import Options

from sandbox.auth.audit import Login, LoginAudit
from sandbox.auth.certificates import ALGORITHMS, LoadedCertificate, load_declared
from sandbox.auth.roles import OAUTH2_LOGIN, Session, allows
from sandbox.clock import Clock
from sandbox.errors import Refusal, invalid_login
from sandbox.profile import Profile
from sandbox.profile_access import Integration
from sandbox.wire import JSON, Json, Request, Response, encode

TOKEN_PATH = "/services/rest/auth/oauth2/v1/token"
KEYS_PATH = "/services/rest/auth/oauth2/v1/keys"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFE = 3600
_SKEW = 300
_KEPT_TOKENS = 10_000


class _Refused(Exception):
    """A token request that is refused: the wire's code and the audit trail's reason."""

    def __init__(self, error: str, detail: str, explanation: str) -> None:
        super().__init__(explanation)
        self.error, self.detail, self.explanation = error, detail, explanation


class SigningKey:
    """The key that signs access tokens; one a process, made when first needed."""

    def __init__(self) -> None:
        self._key: rsa.RSAPrivateKey | None = None

    @property
    def private(self) -> rsa.RSAPrivateKey:
        if self._key is None:
            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self._key


class OAuth2:
    """One account's OAuth 2.0 service."""

    def __init__(self, profile: Profile, clock: Clock, audit: LoginAudit, signing_key: SigningKey) -> None:
        self._profile, self._clock, self._audit, self._signing_key = profile, clock, audit, signing_key
        self._integrations = {integration.client_id: integration for integration in profile.integrations}
        self._roles = {role.id: role for role in profile.roles}
        self._certificates: dict[str, dict[str, LoadedCertificate]] = {
            integration.client_id: {c.id: load_declared(c) for c in integration.certificates}
            for integration in profile.integrations
        }
        self._sessions: dict[str, Session] = {}
        self._kid = f"c.{profile.account}.{clock.now():%Y-%m-%d_%H-%M-%S}"

    def has_client(self, client_id: str) -> bool:
        return client_id in self._integrations

    def add_certificate(self, client_id: str, certificate: LoadedCertificate) -> None:
        self._certificates[client_id][certificate.id] = certificate

    def revoke_tokens(self) -> int:
        """Make every access token invalid; returns how many there were."""
        count = len(self._sessions)
        self._sessions.clear()
        return count

    # The token endpoint

    def token(self, request: Request) -> Response:
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        issuer = ""
        try:
            if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
                raise _Refused("invalid_request", "", "the body is not application/x-www-form-urlencoded")
            grant = form.get("grant_type")
            if not grant:
                raise _Refused("invalid_request", "", "grant_type is missing")
            if grant != "client_credentials":
                raise _Refused("unsupported_grant_type", "", f"grant_type {grant} is not served")
            if form.get("client_assertion_type") != _ASSERTION_TYPE or not form.get("client_assertion"):
                raise _Refused("invalid_request", "", "client_assertion or its type is missing or wrong")
            claims, integration = self._verified(form["client_assertion"], request)
            issuer = integration.client_id
            scopes = self._granted(claims.get("scope"), integration)
        except _Refused as refused:
            self._log("Failure", refused.detail, refused.explanation, request, self._integrations.get(issuer))
            return self._refusal(refused.error)
        token = self._issue(integration, scopes)
        self._log("Success", "", "", request, integration)
        switches = self._profile.switches
        answer: dict[str, Json] = {
            "access_token": token,
            "expires_in": str(_LIFE) if switches.expires_in == "string" else _LIFE,
            "token_type": switches.token_type,
        }
        return Response(200, encode(answer), JSON, [(b"cache-control", b"no-store")], standing=False)

    def keys(self) -> Response:
        public = self._signing_key.private.public_key()
        numbers = public.public_numbers()
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": "PS256",
            "kid": self._kid,
            "n": _base64_integer(numbers.n),
            "e": _base64_integer(numbers.e),
        }
        return Response(200, encode({"keys": [key]}), JSON, standing=False)

    def _refusal(self, error: str) -> Response:
        headers: list[tuple[bytes, bytes]] = []
        status = 400
        if error == "invalid_client":
            status = 401
            headers.append((b"www-authenticate", f'Basic realm="{self._profile.account}"'.encode()))
        return Response(status, encode({"error": error}), JSON, headers, standing=False)

    def _verified(self, assertion: str, request: Request) -> tuple[dict[str, Json], Integration]:
        bad = self._profile.switches.bad_assertion_error
        try:
            header = jwt.get_unverified_header(assertion)
            claims: dict[str, Json] = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError as error:
            raise _Refused(
                "invalid_request", "InvalidSignature", f"the assertion is not a JWT: {error}"
            ) from error
        alg, kid = header.get("alg", ""), header.get("kid")
        if alg not in ALGORITHMS:
            raise _Refused(bad, "UnsupportedAlgo", f"algorithm {alg} is not one of {', '.join(ALGORITHMS)}")
        integration = self._integrations.get(str(claims.get("iss", "")))
        if integration is None:
            raise _Refused(
                "invalid_client", "InvalidIssuer", f"iss {claims.get('iss')!r} is no integration here"
            )
        if integration.blocked:
            raise _Refused(bad, "IntegrationBlocked", f"integration {integration.name} is blocked")
        if not integration.client_credentials:
            raise _Refused(
                "unauthorized_client", "InvalidIntegration", "the client credentials grant is not enabled"
            )
        if not kid:
            raise _Refused(bad, "MissingKeyId", "the JWT header has no kid")
        certificate = self._certificates[integration.client_id].get(str(kid))
        if certificate is None:
            raise _Refused(
                bad, "MissingKey", f"kid {kid!r} is no certificate of integration {integration.name}"
            )
        self._check_certificate(certificate, alg, bad)
        try:
            jwt.decode(assertion, certificate.key, algorithms=[alg], options=_SIGNATURE_ONLY)
        except jwt.PyJWTError as error:
            raise _Refused(
                bad, "InvalidSignature", f"the signature does not fit certificate {kid}: {error}"
            ) from error
        self._check_claims(claims, request, bad)
        self._check_role(integration, bad)
        return claims, integration

    def _check_certificate(self, certificate: LoadedCertificate, alg: str, bad: str) -> None:
        today: date = self._clock.now().date()
        if certificate.revoked:
            raise _Refused(bad, "MissingKey", f"certificate {certificate.id} is revoked")
        if certificate.valid_until < today:
            raise _Refused(
                bad, "MissingKey", f"certificate {certificate.id} ended on {certificate.valid_until}"
            )
        if not certificate.accepts(alg):
            raise _Refused(
                bad, "UnsupportedAlgo", f"algorithm {alg} does not fit certificate {certificate.id}'s key"
            )

    def _check_claims(self, claims: dict[str, Json], request: Request, bad: str) -> None:
        now = self._clock.now().timestamp()
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise _Refused(bad, "TokenNotAcceptable", "iat or exp is missing or no number")
        if expires <= now:
            raise _Refused(bad, "TokenExpired", f"exp {expires} has passed; the server's time is {now:.0f}")
        if issued > now + _SKEW:
            raise _Refused(
                bad, "TokenNotAcceptable", f"iat {issued} is in the future; the server's time is {now:.0f}"
            )
        if expires - issued > _LIFE:
            raise _Refused(
                bad, "TokenValidityTooBroad", f"exp is {expires - issued:.0f} s after iat; 3600 at most"
            )
        audience = claims.get("aud")
        accepted = {request.base + TOKEN_PATH} | {
            f"https://{self._profile.label}.{family}.api.netsuite.com{TOKEN_PATH}"
            for family in ("suitetalk", "restlets")
        }
        if accepted.isdisjoint(audience if isinstance(audience, list) else [audience]):
            raise _Refused(
                bad, "TokenNotAcceptable", f"aud {audience!r} is not one of {', '.join(sorted(accepted))}"
            )

    def _check_role(self, integration: Integration, bad: str) -> None:
        if not allows(self._roles[integration.role], OAUTH2_LOGIN, "full"):
            raise _Refused(
                bad, "EntityOrRoleDisabled", f"role {integration.role} lacks the permission {OAUTH2_LOGIN}"
            )

    def _granted(self, scope: Json, integration: Integration) -> list[str]:
        """The requested scopes, in any of the three forms in use: array, comma list, space list."""
        asked = scope if isinstance(scope, list) else str(scope or "").replace(",", " ").split()
        if not asked:
            raise _Refused("invalid_scope", "InvalidScope", "scope is missing")
        if unknown := [s for s in asked if s not in ("rest_webservices", "restlets", "suite_analytics")]:
            raise _Refused("invalid_scope", "InvalidScope", f"unknown scope {unknown[0]!r}")
        if missing := [s for s in asked if s not in integration.scopes]:
            raise _Refused(
                "invalid_scope", "ScopeMismatched", f"scope {missing[0]} is not enabled on {integration.name}"
            )
        return [str(s) for s in asked]

    def _issue(self, integration: Integration, scopes: list[str]) -> str:
        now = self._clock.now().timestamp()
        account = self._profile.account
        payload = {
            "sub": f"{integration.role};{integration.entity}",
            "aud": [f"{uuid.uuid4()};{account}", integration.client_id],
            "scope": scopes,
            "iss": "https://system.netsuite.com",
            "oit": int(now),
            "iat": int(now),
            "exp": int(now) + _LIFE,
            "jti": f"{account}.a-{uuid.uuid4()}",
        }
        token = jwt.encode(payload, self._signing_key.private, algorithm="PS256", headers={"kid": self._kid})
        while len(self._sessions) >= _KEPT_TOKENS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[token] = Session(
            client_id=integration.client_id,
            integration=integration.name,
            role=self._roles[integration.role],
            entity=integration.entity,
            method="oauth2",
            expires=now + _LIFE,
            scopes=tuple(scopes),
        )
        return token

    # Bearer tokens

    def session(self, request: Request) -> Session:
        """The caller of a request with a bearer token; raises the 401 or 400 of NetSuite."""
        token = request.headers["authorization"][len("bearer ") :].strip()
        if not token:
            self._refuse_bearer(request, "TokenRejected", "the bearer token is empty", "invalid_request")
        session = self._sessions.get(token)
        if session is None:
            self._refuse_bearer(
                request, "TokenRejected", "no such access token was issued, or it was revoked"
            )
        if session.expires <= self._clock.now().timestamp():
            self._refuse_bearer(request, "AccessTokenExpired", "the access token has expired")
        if "rest_webservices" not in session.scopes:
            self._refuse_bearer(
                request, "ScopeMismatched", "the access token lacks the scope rest_webservices"
            )
        return session

    def _refuse_bearer(
        self, request: Request, detail: str, why: str, error: str = "invalid_token"
    ) -> NoReturn:
        self._log("Failure", detail, why, request, None)
        if error == "invalid_request":
            text = "The request could not be understood by the server due to malformed syntax."
            challenge = f'Bearer realm="{self._profile.account}", error="{error}", error_description="{text}"'
            raise Refusal(400, "INVALID_REQUEST", text, headers=[(b"www-authenticate", challenge.encode())])
        challenge = f'Bearer realm="{self._profile.account}", error="{error}", error_description="Invalid login attempt."'
        raise invalid_login(challenge)

    def _log(
        self, status: str, detail: str, explanation: str, request: Request, integration: Integration | None
    ) -> None:
        self._audit.record(
            Login(
                time=self._clock.now().astimezone(UTC).isoformat(timespec="seconds"),
                method="oauth2",
                status=status,
                detail=detail,
                explanation=explanation,
                integration=integration.name if integration else "",
                role=integration.role if integration else "",
                entity=integration.entity if integration else "",
                address=request.client,
            )
        )


_SIGNATURE_ONLY: Options = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_iss": False,
}


def _base64_integer(value: int) -> str:
    return (
        base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
    )
