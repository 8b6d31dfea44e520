"""Step one of the authorization code grant: the authorize page, consent, and the way back to the application.

Follows NetSuite's "Step One GET Request to the Authorization Endpoint". Nobody signs in: the consent page lets the
reader choose one of the profile's users and roles. A refusal goes back to the application, except where the client or
its redirect URI cannot be trusted: then only a page tells it.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl

from sandbox.auth import consent_page, scopes
from sandbox.auth.audit import LoginAudit
from sandbox.auth.directory import Directory
from sandbox.auth.refresh import Code, Codes
from sandbox.auth.refusal import Refused
from sandbox.auth.roles import OAUTH2_LOGIN
from sandbox.auth.tokens import Grant
from sandbox.clock import Clock
from sandbox.errors import method_not_allowed
from sandbox.profile import Role
from sandbox.profile_access import Integration, User
from sandbox.wire import Request, Response, query_of

PATH = "/app/login/oauth2/authorize.nl"
_STATE = re.compile(r"[\x20-\x7e]{22,1024}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
"""SHA-256 in base64url, without padding."""
_PROMPTS = ("none", "login", "consent", "login consent")
_KEPT_PENDING = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was found in order."""

    integration: Integration
    redirect_uri: str
    state: str
    scopes: tuple[str, ...]
    challenge: str


class Authorize:
    def __init__(self, directory: Directory, codes: Codes, clock: Clock, audit: LoginAudit) -> None:
        self._directory, self._codes, self._clock, self._audit = directory, codes, clock, audit
        self._profile = directory.profile
        self._pending: dict[str, Asked] = {}
        """Requests whose consent page is open, by the ticket in its form."""
        self._consents: set[tuple[str, str, str, tuple[str, ...]]] = set()
        """Client, user, role and scopes of every consent that was given."""

    def handle(self, request: Request) -> Response:
        if request.method == "GET":
            return self._page(request)
        if request.method == "POST":
            return self._decide(request)
        raise method_not_allowed(request.method)

    def clear(self) -> None:
        self._pending.clear()
        self._consents.clear()

    # The page

    def _page(self, request: Request) -> Response:
        query = request.query
        try:
            integration, redirect_uri = self._client(query)
        except Refused as refused:
            self._note(request, refused)
            return consent_page.error(self._profile.name, refused.error, refused.explanation)
        try:
            asked = self._asked(query, integration, redirect_uri)
            people = self._directory.consenting(integration, OAUTH2_LOGIN)
            if not people:
                why = "no user may consent: none has a role that can log in using OAuth 2.0"
                raise Refused("access_denied", "EntityOrRoleDisabled", why, integration)
            if self._profile.auto_consent:
                return self._allow(request, asked, *people[0])
            if query.get("prompt") == "none":
                return self._unasked(request, asked, people)
        except Refused as refused:
            self._note(request, refused)
            return _back(redirect_uri, [*_state(query.get("state")), ("error", refused.error)])
        ticket = secrets.token_urlsafe(24)
        while len(self._pending) >= _KEPT_PENDING:
            del self._pending[next(iter(self._pending))]
        self._pending[ticket] = asked
        return consent_page.consent(
            self._profile.name, request.prefix + PATH, ticket, integration, asked.scopes, people
        )

    def _client(self, query: dict[str, str]) -> tuple[Integration, str]:
        if not self._profile.features.oauth2:
            raise Refused("invalid_request", "FeatureDisabled", "the OAuth 2.0 feature is off")
        integration = self._directory.integrations.get(query.get("client_id", ""))
        if integration is None:
            why = f"client_id {query.get('client_id', '')!r} is no integration here"
            raise Refused("unauthorized_client", "UnknownIntegration", why)
        if integration.blocked:
            why = f"integration {integration.name} is blocked"
            raise Refused("unauthorized_client", "IntegrationBlocked", why, integration)
        redirect_uri = query.get("redirect_uri", "")
        if redirect_uri not in integration.redirect_uris:
            why = f"redirect_uri {redirect_uri!r} is not one of integration {integration.name}'s"
            raise Refused("invalid_request", "InvalidRedirectUri", why, integration)
        return integration, redirect_uri

    def _asked(self, query: dict[str, str], integration: Integration, redirect_uri: str) -> Asked:
        def refused(error: str, detail: str, why: str) -> Refused:
            return Refused(error, detail, why, integration)

        if not integration.authorization_code:
            why = "the authorization code grant is not enabled"
            raise refused("unauthorized_client", "AuthorizationCodeGrantRequired", why)
        state = query.get("state", "")
        if not _STATE.fullmatch(state):
            why = f"state has {len(state)} characters: 22 to 1024 printable ASCII ones are needed"
            raise refused("invalid_request", "InvalidState", why)
        response_type = query.get("response_type", "")
        if response_type != "code":
            error = "unsupported_response_type" if response_type else "invalid_request"
            raise refused(error, "InvalidRequest", f"response_type {response_type!r} is not code")
        if query.get("prompt", "none") not in _PROMPTS:
            raise refused("invalid_request", "InvalidRequest", f"prompt {query['prompt']!r} is not known")
        asked = scopes.granted(query.get("scope"), integration)
        return Asked(integration, redirect_uri, state, asked, self._challenge(query, integration, asked))

    def _challenge(self, query: dict[str, str], integration: Integration, asked: tuple[str, ...]) -> str:
        challenge, method = query.get("code_challenge", ""), query.get("code_challenge_method", "")
        why = ""
        if challenge or method:
            if method != "S256":
                why = f"code_challenge_method {method or 'plain'!r} is refused: only S256 is taken"
            elif not _CHALLENGE.fullmatch(challenge):
                why = "code_challenge is not a SHA-256 in base64url: 43 characters"
        elif (
            integration.public_client
            or scopes.MCP in asked
            or self._profile.switches.confidential_pkce == "required"
        ):
            why = "code_challenge is missing"
        if why:
            raise Refused("invalid_request", "InvalidRequest", why, integration)
        return challenge

    def _unasked(self, request: Request, asked: Asked, people: list[tuple[User, Role]]) -> Response:
        """`prompt=none`: an answer without a page."""
        if self._profile.switches.prompt_none == "allow":
            return self._allow(request, asked, *people[0])
        for user, role in people:
            if (asked.integration.client_id, user.id, role.id, asked.scopes) in self._consents:
                return self._allow(request, asked, user, role)
        why = "prompt=none, and nobody has allowed these scopes before"
        raise Refused("consent_required", "AccessDenied", why, asked.integration)

    # The decision

    def _decide(self, request: Request) -> Response:
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        asked = self._pending.pop(form.get("ticket", ""), None)
        if asked is None:
            why = "this consent page was answered before, or is too old: begin at the application again"
            self._note(request, Refused("invalid_request", "InvalidRequest", why))
            return consent_page.error(self._profile.name, "invalid_request", why)
        people = {
            f"{user.id};{role.id}": (user, role)
            for user, role in self._directory.consenting(asked.integration, OAUTH2_LOGIN)
        }
        chosen = people.get(form.get("identity", ""))
        if form.get("decision") == "allow" and chosen is not None:
            return self._allow(request, asked, *chosen)
        why = "the user chose Deny" if chosen is not None else "the chosen user and role may not consent"
        self._note(request, Refused("access_denied", "AccessDenied", why, asked.integration))
        return _back(asked.redirect_uri, [("state", asked.state), ("error", "access_denied")])

    def _allow(self, request: Request, asked: Asked, user: User, role: Role) -> Response:
        integration = asked.integration
        self._consents.add((integration.client_id, user.id, role.id, asked.scopes))
        expires = self._clock.now().timestamp() + self._profile.switches.authorization_code_seconds
        grant = Grant(integration.client_id, role.id, user.id, asked.scopes)
        code = self._codes.issue(Code(grant, asked.redirect_uri, asked.challenge, expires))
        self._audit.success(request, "oauth2", integration, role.id, user.id, "consent")
        return _back(
            asked.redirect_uri,
            [
                ("state", asked.state),
                ("role", role.id),
                ("entity", user.id),
                ("company", self._profile.account),
                ("code", code),
            ],
        )

    def _note(self, request: Request, refused: Refused) -> None:
        self._audit.failure(
            request, "oauth2", refused.detail, refused.explanation, refused.integration, refused.role
        )


def _state(given: str | None) -> list[tuple[str, str]]:
    return [("state", given)] if given else []


def _back(redirect_uri: str, parameters: list[tuple[str, str]]) -> Response:
    """The redirect to the application."""
    joint = "&" if "?" in redirect_uri else "?"
    location = (redirect_uri + joint + query_of(parameters)).encode("latin-1", "replace")
    return Response(302, headers=[(b"location", location), (b"cache-control", b"no-store")], standing=False)
