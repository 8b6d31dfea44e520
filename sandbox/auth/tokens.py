"""Access tokens: JWTs signed by the account, the keys endpoint that verifies them, and who a bearer token stands for.

Follows NetSuite's "OAuth 2.0 Access and Refresh Token Structure". Tokens live in the process: after a restart every
client must ask again. Refresh tokens are made here and kept in `refresh`.
"""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass, replace
from typing import NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.auth.audit import LoginAudit
from sandbox.auth.directory import Directory
from sandbox.auth.restlet import invalid_login_attempt
from sandbox.auth.roles import OAUTH2_LOGIN, Session
from sandbox.clock import Clock
from sandbox.errors import Refusal, invalid_login
from sandbox.profile_access import Integration
from sandbox.wire import JSON, Json, Request, Response, encode

ISSUER = "https://system.netsuite.com"
LIFE = 3600
_KEPT = 10_000


class SigningKey:
    """The key that signs access tokens; one a process, made when first needed."""

    def __init__(self) -> None:
        self._key: rsa.RSAPrivateKey | None = None

    @property
    def private(self) -> rsa.RSAPrivateKey:
        if self._key is None:
            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self._key


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for."""

    client_id: str
    role: str
    entity: str
    scopes: tuple[str, ...]
    chain: str = ""
    """The refresh token's chain that the access token belongs to; empty for client credentials."""
    expires: float = 0
    """Unix seconds."""


class AccessTokens:
    """One account's access tokens."""

    def __init__(
        self, directory: Directory, clock: Clock, audit: LoginAudit, signing_key: SigningKey
    ) -> None:
        self._directory, self._clock, self._audit, self._signing_key = directory, clock, audit, signing_key
        self._account = directory.profile.account
        self._grants: dict[str, Grant] = {}
        self._revoked: dict[str, None] = {}
        self._kid = f"c.{self._account}.{clock.now():%Y-%m-%d_%H-%M-%S}"

    # Making them

    def issue(self, grant: Grant, first: int | None = None) -> str:
        """An access token that lives 60 minutes; `first` is when the first token of its chain was issued."""
        token, expires = self.sign(grant, "a", LIFE, first)
        while len(self._grants) >= _KEPT:
            del self._grants[next(iter(self._grants))]
        self._grants[token] = replace(grant, expires=expires)
        return token

    def sign(self, grant: Grant, kind: str, life: int, first: int | None = None) -> tuple[str, float]:
        """A signed token and its end. `kind` is `a` for an access, `r` for a refresh token; `life` in seconds."""
        now = self._clock.now().timestamp()
        issued = int(now)
        application = self._directory.integrations[grant.client_id].application_id(self._account)
        payload = {
            "sub": f"{grant.role};{grant.entity}",
            "aud": [f"{application};{self._account}", grant.client_id],
            "scope": list(grant.scopes),
            "iss": ISSUER,
            "oit": issued if first is None else first,
            "exp": issued + life,
            "iat": issued,
            "jti": f"{self._account}.{kind}.{uuid.uuid4()}_{int(now * 1000)}.0",
        }
        key = self._signing_key.private
        return jwt.encode(payload, key, algorithm="PS256", headers={"kid": self._kid}), now + life

    def keys(self) -> Response:
        numbers = self._signing_key.private.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": "PS256",
            "kid": self._kid,
            "n": _base64_integer(numbers.n),
            "e": _base64_integer(numbers.e),
        }
        return Response(200, encode({"keys": [key]}), JSON, standing=False)

    # Taking them back

    def revoke_all(self) -> int:
        """Make every access token invalid; returns how many there were."""
        return self._revoke(list(self._grants))

    def revoke_chain(self, chain: str) -> int:
        return self._revoke([token for token, grant in self._grants.items() if grant.chain == chain])

    def expire_all(self) -> int:
        """Let every access token have ended by now; returns how many there were."""
        now = self._clock.now().timestamp()
        self._grants = {token: replace(grant, expires=now) for token, grant in self._grants.items()}
        return len(self._grants)

    def _revoke(self, tokens: list[str]) -> int:
        for token in tokens:
            del self._grants[token]
            while len(self._revoked) >= _KEPT:
                del self._revoked[next(iter(self._revoked))]
            self._revoked[token] = None
        return len(tokens)

    # Using them

    def knows(self, token: str) -> bool:
        return token in self._grants or token in self._revoked

    def session(
        self, request: Request, scopes: tuple[str, ...] = ("rest_webservices",), *, restlet: bool = False
    ) -> Session:
        """The caller of a request with a bearer token that has one of `scopes`; raises NetSuite's 401 or 400."""
        token = request.headers["authorization"][len("bearer ") :].strip()
        if not token:
            self._audit.failure(request, "oauth2", "TokenRejected", "the bearer token is empty")
            raise self._malformed()
        grant = self._grants.get(token)
        if grant is None:
            self._refuse(request, *self._why_unknown(token), None, restlet)
        integration = self._directory.integrations[grant.client_id]
        problem = self._problem(grant, integration, scopes)
        if problem is not None:
            self._refuse(request, *problem, integration, restlet, grant)
        role = self._directory.roles[grant.role]
        return Session(grant.client_id, integration.name, role, grant.entity, "oauth2", grant.scopes)

    def _problem(
        self, grant: Grant, integration: Integration, scopes: tuple[str, ...]
    ) -> tuple[str, str] | None:
        if grant.expires <= self._clock.now().timestamp():
            return "AccessTokenExpired", "the access token has expired"
        if not self._directory.profile.features.oauth2:
            return "FeatureDisabled", "the OAuth 2.0 feature is off"
        if integration.blocked:
            return "IntegrationBlocked", f"integration {integration.name} is blocked"
        why = self._directory.cannot_log_in(grant.role, grant.entity, OAUTH2_LOGIN)
        if why is not None:
            return "EntityOrRoleDisabled", why
        if not set(scopes) & set(grant.scopes):
            return "ScopeMismatched", f"the access token has none of the scopes {', '.join(scopes)}"
        return None

    def _why_unknown(self, token: str) -> tuple[str, str]:
        if token in self._revoked:
            return "TokenBlocked", "the access token was revoked"
        try:
            claims: dict[str, Json] = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return "TokenRejected", "the bearer token is no JWT"
        if ".r." in str(claims.get("jti", "")):
            return "TokenRejected", "a refresh token was sent where an access token is needed"
        try:
            jwt.decode(
                token,
                self._signing_key.private.public_key(),
                algorithms=["PS256"],
                options={"verify_aud": False, "verify_exp": False},
            )
        except jwt.PyJWTError as error:
            return "InvalidSignature", f"the access token was not signed here: {error}"
        return "TokenRejected", "the access token belongs to another account, or is no longer known"

    def _malformed(self) -> Refusal:
        text = "The request could not be understood by the server due to malformed syntax."
        challenge = f'Bearer realm="{self._account}", error="invalid_request", error_description="{text}"'
        return Refusal(400, "INVALID_REQUEST", text, headers=[(b"www-authenticate", challenge.encode())])

    def _refuse(
        self,
        request: Request,
        detail: str,
        why: str,
        integration: Integration | None,
        restlet: bool,
        grant: Grant | None = None,
    ) -> NoReturn:
        role, entity = (grant.role, grant.entity) if grant is not None else ("", "")
        self._audit.failure(request, "oauth2", detail, why, integration, role, entity)
        challenge = f'Bearer realm="{self._account}", error="invalid_token", error_description="Invalid login attempt."'
        if restlet:
            raise invalid_login_attempt(challenge)
        if self._directory.profile.switches.bearer_refusal_body == "empty":
            raise EmptyRefusal(401, "INVALID_LOGIN", why, headers=[(b"www-authenticate", challenge.encode())])
        raise invalid_login(challenge)


class EmptyRefusal(Refusal):
    """A refusal that tells nothing in its body."""

    def response(self) -> Response:
        return Response(self.status, headers=list(self.headers))


def _base64_integer(value: int) -> str:
    return (
        base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
    )
