"""The signed assertions of OAuth 2.0 client credentials: whose they are, and every reason to refuse one.

Follows NetSuite's "OAuth 2.0 client credentials (M2M)". Which error code a bad assertion gets is not documented: a
switch says it, and the login audit trail holds the true reason.
"""

from __future__ import annotations

from datetime import date

import jwt
from jwt.types import Options

from sandbox.auth import scopes
from sandbox.auth.certificates import ALGORITHMS, LoadedCertificate
from sandbox.auth.directory import Directory
from sandbox.auth.mappings import Mappings
from sandbox.auth.refusal import Refused
from sandbox.auth.roles import OAUTH2_LOGIN
from sandbox.auth.tokens import LIFE, Grant
from sandbox.clock import Clock
from sandbox.profile_access import Integration
from sandbox.wire import Json, Request

_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SKEW = 300
_SIGNATURE_ONLY: Options = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_iss": False,
}


class Assertions:
    def __init__(self, directory: Directory, mappings: Mappings, clock: Clock) -> None:
        self._directory, self._mappings, self._clock = directory, mappings, clock
        self._profile = directory.profile
        self._bad = directory.profile.switches.bad_assertion_error

    def grant(self, form: dict[str, str], request: Request, token_path: str) -> tuple[Integration, Grant]:
        """What a client credentials request is granted; raises `Refused`."""
        assertion = form.get("client_assertion")
        if form.get("client_assertion_type") != _TYPE or not assertion:
            why = "client_assertion or its type is missing or wrong"
            raise Refused("invalid_request", "InvalidRequest", why)
        header, claims = self._read(assertion)
        alg, kid = header.get("alg", ""), header.get("kid")
        if header.get("typ", "JWT") != "JWT":
            raise Refused(self._bad, "InvalidTokenType", f"typ {header['typ']!r} is not JWT")
        if alg not in ALGORITHMS:
            why = f"algorithm {alg} is not one of {', '.join(ALGORITHMS)}"
            raise Refused(self._bad, "UnsupportedAlgo", why)
        integration = self._integration(claims, form)
        if not kid:
            raise Refused(self._bad, "MissingKeyId", "the JWT header has no kid", integration)
        certificate = self._mappings.of(integration.client_id).get(str(kid))
        if certificate is None:
            why = f"kid {kid!r} is no certificate of integration {integration.name}"
            raise Refused(self._bad, "MissingKey", why, integration)
        self._check_certificate(certificate, alg, integration)
        try:
            jwt.decode(assertion, certificate.key, algorithms=[alg], options=_SIGNATURE_ONLY)
        except jwt.PyJWTError as error:
            why = f"the signature does not fit certificate {kid}: {error}"
            raise Refused(self._bad, "InvalidSignature", why, integration) from error
        self._check_claims(claims, request, token_path, integration)
        role = certificate.role or integration.role
        entity = certificate.entity or integration.entity
        problem = self._directory.cannot_log_in(role, entity, OAUTH2_LOGIN)
        if problem is not None:
            raise Refused(self._bad, "EntityOrRoleDisabled", problem, integration, role, entity)
        asked = scopes.granted(claims.get("scope"), integration)
        return integration, Grant(integration.client_id, role, entity, asked)

    def _read(self, assertion: str) -> tuple[dict[str, Json], dict[str, Json]]:
        try:
            header = jwt.get_unverified_header(assertion)
            claims: dict[str, Json] = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError as error:
            why = f"the assertion is not a JWT: {error}"
            raise Refused("invalid_request", "SignatureValidation", why) from error
        return header, claims

    def _integration(self, claims: dict[str, Json], form: dict[str, str]) -> Integration:
        issuer = str(claims.get("iss", ""))
        integration = self._directory.integrations.get(issuer)
        if integration is None:
            why = f"iss {claims.get('iss')!r} is no integration here"
            raise Refused("invalid_client", "InvalidIssuer", why)
        if form.get("client_id", issuer) != issuer:
            why = f"client_id {form['client_id']!r} is not the assertion's iss {issuer!r}"
            raise Refused(self._bad, "ClientIdMismatch", why, integration)
        if integration.blocked:
            why = f"integration {integration.name} is blocked"
            raise Refused(self._bad, "IntegrationBlocked", why, integration)
        if not integration.client_credentials:
            why = "the client credentials grant is not enabled"
            raise Refused("unauthorized_client", "InvalidIntegration", why, integration)
        return integration

    def _check_certificate(self, certificate: LoadedCertificate, alg: str, integration: Integration) -> None:
        today: date = self._clock.now().date()
        name = certificate.id
        if certificate.revoked:
            raise Refused(self._bad, "MissingKey", f"certificate {name} is revoked", integration)
        if certificate.valid_until < today:
            why = f"certificate {name} ended on {certificate.valid_until}"
            raise Refused(self._bad, "MissingKey", why, integration)
        if certificate.valid_from > today:
            why = f"certificate {name} begins on {certificate.valid_from}"
            raise Refused(self._bad, "MissingKey", why, integration)
        if not certificate.accepts(alg):
            why = f"algorithm {alg} does not fit certificate {name}'s key"
            raise Refused(self._bad, "UnsupportedAlgo", why, integration)

    def _check_claims(
        self, claims: dict[str, Json], request: Request, token_path: str, integration: Integration
    ) -> None:
        now = self._clock.now().timestamp()
        issued, expires = claims.get("iat"), claims.get("exp")

        def refused(detail: str, why: str) -> Refused:
            return Refused(self._bad, detail, why, integration)

        if not isinstance(issued, int | float) or not isinstance(expires, int | float):
            raise refused("TokenNotAcceptable", "iat or exp is missing or no number")
        if expires <= now:
            raise refused("TokenExpired", f"exp {expires} has passed; the server's time is {now:.0f}")
        if issued > now + _SKEW:
            raise refused(
                "TokenNotAcceptable", f"iat {issued} is in the future; the server's time is {now:.0f}"
            )
        if expires - issued > LIFE:
            raise refused("TokenValidityTooBroad", f"exp is {expires - issued:.0f} s after iat; 3600 at most")
        audience = claims.get("aud")
        accepted = {request.base + token_path} | {
            f"https://{self._profile.label}.{family}.api.netsuite.com{token_path}"
            for family in ("suitetalk", "restlets")
        }
        if accepted.isdisjoint(audience if isinstance(audience, list) else [audience]):
            why = f"aud {audience!r} is not one of {', '.join(sorted(accepted))}"
            raise refused("TokenNotAcceptable", why)
