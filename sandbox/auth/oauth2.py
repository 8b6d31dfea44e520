"""OAuth 2.0's token and revoke endpoints: which grant is asked for, by which client, and the answer.

Follows NetSuite's "OAuth 2.0 client credentials" and "OAuth 2.0 authorization code (+ refresh)". Refusals tell the
wire only a code; the login audit trail has the reason.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import uuid
from dataclasses import replace
from urllib.parse import parse_qsl

from sandbox.auth.assertions import Assertions
from sandbox.auth.audit import LoginAudit
from sandbox.auth.directory import Directory
from sandbox.auth.refresh import Codes, RefreshToken, RefreshTokens
from sandbox.auth.refusal import Refused
from sandbox.auth.roles import OAUTH2_LOGIN
from sandbox.auth.tokens import LIFE, AccessTokens, Grant
from sandbox.clock import Clock
from sandbox.profile_access import Integration
from sandbox.wire import JSON, Json, Request, Response, encode

ROOT = "/services/rest/auth/oauth2/v1"
TOKEN_PATH = f"{ROOT}/token"
REVOKE_PATH = f"{ROOT}/revoke"
KEYS_PATH = f"{ROOT}/keys"
_VERIFIER = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")


class OAuth2:
    """One account's token and revoke endpoints."""

    def __init__(
        self,
        directory: Directory,
        assertions: Assertions,
        codes: Codes,
        tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        clock: Clock,
        audit: LoginAudit,
    ) -> None:
        self._directory, self._assertions, self._clock, self._audit = directory, assertions, clock, audit
        self._codes, self._tokens, self._refresh_tokens = codes, tokens, refresh_tokens
        self._profile = directory.profile

    def token(self, request: Request) -> Response:
        try:
            form = self._form(request)
            grant_type = form.get("grant_type")
            if not grant_type:
                raise Refused("invalid_request", "InvalidRequest", "grant_type is missing")
            if grant_type == "client_credentials":
                return self._client_credentials(form, request)
            if grant_type == "authorization_code":
                return self._exchange(form, request)
            if grant_type == "refresh_token":
                return self._refresh(form, request)
            raise Refused(
                "unsupported_grant_type", "InvalidRequest", f"grant_type {grant_type} is not served"
            )
        except Refused as refused:
            return self._refusal(refused, request)

    def revoke(self, request: Request) -> Response:
        """Revoke a refresh token and the access tokens that came from it; an unknown one is no error (RFC 7009)."""
        try:
            form = self._form(request)
            integration = self._client(form, request)
            token = form.get("token")
            if not token:
                raise Refused("invalid_request", "InvalidRequest", "token is missing", integration)
            found = self._refresh_tokens.find(token)
            if found is not None:
                if found.grant.client_id != integration.client_id:
                    why = f"the refresh token is of client {found.grant.client_id}"
                    raise Refused("invalid_grant", "ClientIdMismatch", why, integration)
                self._refresh_tokens.revoke_chain(found.grant.chain)
        except Refused as refused:
            return self._refusal(refused, request)
        return Response(200, b"", JSON, [(b"cache-control", b"no-store")], standing=False)

    # The grants

    def _client_credentials(self, form: dict[str, str], request: Request) -> Response:
        integration, grant = self._assertions.grant(form, request, TOKEN_PATH)
        access = self._tokens.issue(grant)
        self._audit.success(request, "oauth2", integration, grant.role, grant.entity, "client credentials")
        return self._answer(access)

    def _exchange(self, form: dict[str, str], request: Request) -> Response:
        integration = self._code_client(form, request)
        if missing := [name for name in ("code", "redirect_uri") if not form.get(name)]:
            raise Refused("invalid_request", "InvalidRequest", f"{missing[0]} is missing", integration)
        code = self._codes.take(form["code"])
        if code is None:
            why = "the code is unknown, or was used before"
            raise Refused("invalid_grant", "InvalidCode", why, integration)
        grant = code.grant

        def refused(detail: str, why: str, error: str = "invalid_grant") -> Refused:
            return Refused(error, detail, why, integration, grant.role, grant.entity)

        if grant.client_id != integration.client_id:
            raise refused("ClientIdMismatch", f"the code is of client {grant.client_id}")
        if code.expires <= self._clock.now().timestamp():
            raise refused("InvalidCode", "the code has expired")
        if form["redirect_uri"] != code.redirect_uri:
            raise refused("InvalidRedirectUri", f"redirect_uri {form['redirect_uri']!r} is not the code's")
        verifier = form.get("code_verifier", "")
        if code.challenge or verifier:
            if not code.challenge or not _is_verifier(verifier):
                why = "code_verifier must be 43 to 128 unreserved characters, and the code must have a challenge"
                raise refused("InvalidCodeVerifier", why, "invalid_request")
            if not hmac.compare_digest(_challenge(verifier), code.challenge):
                raise refused("InvalidCodeVerifier", "code_verifier does not fit the code_challenge")
        self._check_usable(integration, grant)
        chained = replace(grant, chain=str(uuid.uuid4()))
        access = self._tokens.issue(chained)
        self._audit.success(request, "oauth2", integration, grant.role, grant.entity, "authorization code")
        return self._answer(access, self._refresh_tokens.issue(chained, integration))

    def _refresh(self, form: dict[str, str], request: Request) -> Response:
        integration = self._code_client(form, request)
        token = form.get("refresh_token")
        if not token:
            raise Refused("invalid_request", "InvalidRequest", "refresh_token is missing", integration)
        found = self._live(token, integration)
        grant = found.grant
        self._check_usable(integration, grant)
        if lost := [scope for scope in grant.scopes if scope not in integration.scopes]:
            why = f"scope {lost[0]} is no longer enabled on {integration.name}"
            raise Refused("invalid_grant", "ScopeMismatched", why, integration, grant.role, grant.entity)
        access = self._tokens.issue(grant, found.first)
        self._audit.success(request, "oauth2", integration, grant.role, grant.entity, "refresh token")
        if not integration.public_client:
            return self._answer(access)
        self._refresh_tokens.use_up(token)
        return self._answer(access, self._refresh_tokens.issue(grant, integration, found.first))

    def _live(self, token: str, integration: Integration) -> RefreshToken:
        found = self._refresh_tokens.find(token)
        if found is None:
            if self._tokens.knows(token):
                why = "an access token was sent where a refresh token is needed"
                raise Refused("invalid_grant", "InvalidTokenType", why, integration)
            raise Refused("invalid_grant", "TokenRejected", "the refresh token is unknown", integration)
        grant = found.grant

        def refused(detail: str, why: str) -> Refused:
            return Refused("invalid_grant", detail, why, integration, grant.role, grant.entity)

        if grant.client_id != integration.client_id:
            raise refused("ClientIdMismatch", f"the refresh token is of client {grant.client_id}")
        if found.state == "revoked":
            raise refused("TokenBlocked", "the refresh token was revoked")
        if found.state == "used":
            if self._profile.switches.refresh_reuse == "revoke_chain":
                self._refresh_tokens.revoke_chain(grant.chain)
            raise refused("TokenRejected", "the one-time refresh token was used before")
        if found.expires <= self._clock.now().timestamp():
            raise refused("RefreshTokenExpired", "the refresh token has expired")
        return found

    def _check_usable(self, integration: Integration, grant: Grant) -> None:
        problem = self._directory.cannot_log_in(grant.role, grant.entity, OAUTH2_LOGIN)
        if problem is not None:
            raise Refused(
                "invalid_grant", "EntityOrRoleDisabled", problem, integration, grant.role, grant.entity
            )

    # Clients

    def _form(self, request: Request) -> dict[str, str]:
        if not self._profile.features.oauth2:
            raise Refused("invalid_request", "FeatureDisabled", "the OAuth 2.0 feature is off")
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            why = "the body is not application/x-www-form-urlencoded"
            raise Refused("invalid_request", "InvalidRequest", why)
        return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))

    def _code_client(self, form: dict[str, str], request: Request) -> Integration:
        integration = self._client(form, request)
        if not integration.authorization_code:
            why = "the authorization code grant is not enabled"
            raise Refused("unauthorized_client", "AuthorizationCodeGrantRequired", why, integration)
        return integration

    def _client(self, form: dict[str, str], request: Request) -> Integration:
        """The client: by HTTP Basic, or a public one by `client_id` alone."""

        def refused(why: str, integration: Integration | None = None) -> Refused:
            return Refused("invalid_client", "ClientAuthenticationFailed", why, integration)

        given = _basic(request.headers.get("authorization", ""))
        client_id, secret = given if given is not None else (form.get("client_id", ""), None)
        integration = self._directory.integrations.get(client_id)
        if integration is None:
            raise refused(f"client_id {client_id!r} is no integration here")
        if integration.public_client:
            if secret:
                raise refused(f"{integration.name} is a public client, and sent a secret", integration)
        elif secret is None:
            why = f"{integration.name} is a confidential client: HTTP Basic with client_id and client_secret is needed"
            raise refused(why, integration)
        elif integration.client_secret is None or not hmac.compare_digest(
            secret.encode(), integration.client_secret.encode()
        ):
            raise refused("the client_secret is wrong", integration)
        if integration.blocked:
            why = f"integration {integration.name} is blocked"
            raise Refused("unauthorized_client", "IntegrationBlocked", why, integration)
        return integration

    # Answers

    def _answer(self, access: str, refresh: str | None = None) -> Response:
        switches = self._profile.switches
        answer: dict[str, Json] = {"access_token": access}
        if refresh is not None:
            answer["refresh_token"] = refresh
        answer["expires_in"] = str(LIFE) if switches.expires_in == "string" else LIFE
        answer["token_type"] = switches.token_type
        return Response(200, encode(answer), JSON, [(b"cache-control", b"no-store")], standing=False)

    def _refusal(self, refused: Refused, request: Request) -> Response:
        self._audit.failure(
            request,
            "oauth2",
            refused.detail,
            refused.explanation,
            refused.integration,
            refused.role,
            refused.entity,
        )
        headers = [(b"cache-control", b"no-store")]
        status = 400
        if refused.error == "invalid_client":
            status = 401
            headers.append((b"www-authenticate", f'Basic realm="{self._profile.account}"'.encode()))
        return Response(status, encode({"error": refused.error}), JSON, headers, standing=False)


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret


def _challenge(verifier: str) -> str:
    """The S256 code challenge of RFC 7636."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _is_verifier(text: str) -> bool:
    return 43 <= len(text) <= 128 and set(text) <= _VERIFIER
