"""Authentication as one service of an account: its paths, and who the caller of any other path is."""

from __future__ import annotations

from sandbox.auth import authorize, oauth2, rotation, tokeninfo
from sandbox.auth.assertions import Assertions
from sandbox.auth.audit import LoginAudit
from sandbox.auth.authorize import Authorize
from sandbox.auth.directory import Directory
from sandbox.auth.lock import LoginLock
from sandbox.auth.mappings import Mappings
from sandbox.auth.oauth2 import OAuth2
from sandbox.auth.refresh import Codes, RefreshTokens
from sandbox.auth.restlet import invalid_login_attempt
from sandbox.auth.roles import Session
from sandbox.auth.rotation import Rotation
from sandbox.auth.tba import TokenBasedAuthentication
from sandbox.auth.tokens import AccessTokens, SigningKey
from sandbox.clock import Clock
from sandbox.errors import invalid_login, invalid_url, method_not_allowed
from sandbox.profile import Profile
from sandbox.profile_access import Scope
from sandbox.store.database import Database
from sandbox.wire import Request, Response

_ROOTS = ("/services/rest/auth/", "/app/login/", tokeninfo.PATH)
_ANY_SCOPE: tuple[Scope, ...] = ("rest_webservices", "restlets", "suite_analytics", "mcp")


class Authentication:
    def __init__(self, profile: Profile, database: Database, clock: Clock, signing_key: SigningKey) -> None:
        self._profile = profile
        self.audit = LoginAudit(clock)
        self.directory = Directory(profile)
        self.mappings = Mappings(profile, database, clock)
        self.lock = LoginLock(profile.switches, clock)
        self.access_tokens = AccessTokens(self.directory, clock, self.audit, signing_key)
        self.refresh_tokens = RefreshTokens(database, clock, self.access_tokens)
        self._codes = Codes()
        self._authorize = Authorize(self.directory, self._codes, clock, self.audit)
        assertions = Assertions(self.directory, self.mappings, clock)
        self._oauth2 = OAuth2(
            self.directory,
            assertions,
            self._codes,
            self.access_tokens,
            self.refresh_tokens,
            clock,
            self.audit,
        )
        self._rotation = Rotation(self.directory, self.mappings, clock)
        self._tba = TokenBasedAuthentication(self.directory, clock, self.audit, self.lock)

    @staticmethod
    def serves(path: str) -> bool:
        """Whether a path is one of authentication's own. These take no concurrency slot."""
        return path.startswith(_ROOTS)

    def handle(self, request: Request) -> Response:
        """Answer a request of one's own paths; raises `Refusal`."""
        path = request.path
        if path == oauth2.TOKEN_PATH or path == oauth2.REVOKE_PATH:
            if request.method != "POST":
                raise method_not_allowed(request.method)
            return self._oauth2.token(request) if path == oauth2.TOKEN_PATH else self._oauth2.revoke(request)
        if path == oauth2.KEYS_PATH and request.method == "GET":
            return self.access_tokens.keys()
        if path == authorize.PATH:
            return self._authorize.handle(request)
        if path == tokeninfo.PATH:
            session = self.session(request, _ANY_SCOPE, restlet=True)
            return tokeninfo.answer(request, session, self.directory)
        if path.startswith(rotation.ROOT + "/"):
            if _scheme(request) != "bearer":
                why = "the certificate rotation endpoint takes bearer tokens only"
                self.audit.failure(request, "oauth2", "TokenRejected", why)
                raise invalid_login(
                    f'Bearer realm="{self._profile.account}", error="invalid_token", '
                    'error_description="Invalid login attempt."'
                )
            return self._rotation.handle(request, self.access_tokens.session(request, _ANY_SCOPE))
        raise invalid_url(path)

    def session(
        self, request: Request, scopes: tuple[str, ...] = ("rest_webservices",), *, restlet: bool = False
    ) -> Session:
        """The caller of any other path, with a bearer token of one of `scopes` or a signature; raises `Refusal`."""
        scheme = _scheme(request)
        if scheme == "bearer":
            return self.access_tokens.session(request, scopes, restlet=restlet)
        if scheme == "oauth":
            return self._tba.session(request, restlet=restlet)
        realm = self._profile.account
        challenge = (
            f'OAuth realm="{realm}", error="token_rejected", error_description="Invalid login attempt."'
        )
        raise invalid_login_attempt(challenge) if restlet else invalid_login(challenge)

    def reset(self) -> None:
        """Back to the profile, except for access tokens, which go on working."""
        self.mappings.reset()
        self.refresh_tokens.clear()
        self._codes.clear()
        self._authorize.clear()
        self.lock.release()


def _scheme(request: Request) -> str:
    return request.headers.get("authorization", "").partition(" ")[0].lower()
