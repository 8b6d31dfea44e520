"""A person's consent in the browser: the page's address, the answer caught on loopback, the code traded for tokens.

Here: OAuth 2.0 authorization code with PKCE up to the stored consent (NetSuite REST facts: authorization code).
Not here: the use of the consent (``authorization_code``) or the command line.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx

from resources.netsuite.auth import Unusable
from resources.netsuite.authorization_code import TIMEOUT, App, Consents, StoredConsent, connect_advice
from resources.netsuite.errors import Failure, SignInFailed
from resources.netsuite.hosts import Hosts
from resources.netsuite.tokens import TokenEndpoint

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SOCKET_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Request:
    """One question to a person: the address of the consent page, and what its answer must match."""

    hosts: Hosts
    app: App
    redirect_uri: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    scope: tuple[str, ...] = ("rest_webservices",)

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        digest = hashlib.sha256(self.verifier.encode("ascii")).digest()
        query = {
            "response_type": "code",
            "client_id": self.app.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(self.scope),
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"),
            "code_challenge_method": "S256",
        }
        return f"{self.hosts.authorize_url}?{urlencode(query, quote_via=quote)}"


@dataclass(frozen=True, slots=True)
class Redirect:
    """What NetSuite sent the browser back with."""

    code: str = field(repr=False)
    entity: str = ""
    role: str = ""


class NotOurs(ValueError):
    """An address that does not answer our question; the message says why."""


def ask(hosts: Hosts, app: App, redirect_uri: str) -> Request:
    """A new question, with a state and a verifier that nobody can guess."""
    return Request(hosts, app, redirect_uri, secrets.token_urlsafe(32), secrets.token_urlsafe(64))


def answer(request: Request, url: str) -> Redirect:
    """What the address says that the browser was sent back to.

    Raises ``NotOurs`` for an address that does not belong to the question (another path, another state), and
    ``SignInFailed`` for a refusal or the wrong account.
    """
    expected, given = urlsplit(request.redirect_uri), urlsplit(url.strip())
    if given.path.rstrip("/") != expected.path.rstrip("/"):
        raise NotOurs(f"the address is not the redirect URI {request.redirect_uri}")
    values = dict(parse_qsl(given.query, keep_blank_values=True))
    if not hmac.compare_digest(values.get("state", "").encode(), request.state.encode()):
        raise NotOurs(
            "the state in the address is not that of this sign-in; it may be the answer to an earlier one"
        )
    attempted = f"Get consent for NetSuite account {request.hosts.realm}"
    if error := values.get("error"):
        raise SignInFailed(
            Failure(
                attempted,
                code=error[:100],
                said=values.get("error_description", "")[:300],
                what_to_do="The consent was refused in the browser. Run the command again and choose Allow."
                if error == "access_denied"
                else "Compare client id, redirect URI and scope with the integration record: Setup > Integration > "
                "Manage Integrations.",
            )
        )
    if not values.get("code"):
        raise NotOurs("the address holds no code")
    company = values.get("company", "")
    if company and company.upper().replace("-", "_") != request.hosts.realm:
        raise Unusable(
            Failure(
                attempted,
                said=f"the consent was given in account {company[:40]}",
                what_to_do=f"Sign in to account {request.hosts.realm} in the browser and run the command again.",
            )
        )
    return Redirect(values["code"], values.get("entity", "")[:40], values.get("role", "")[:40])


def trade(
    request: Request,
    redirect: Redirect,
    consents: Consents,
    *,
    clock: Callable[[], float] = time.time,
    http: Callable[[], httpx.Client] = lambda: httpx.Client(timeout=TIMEOUT),
) -> StoredConsent:
    """Trade the code for tokens and store them in place of an earlier consent. Raises ``NetSuiteError``."""
    endpoint = TokenEndpoint(
        request.hosts,
        clock,
        {
            **connect_advice(consents.tenant),
            "invalid_grant": (
                f"The code was used before or has expired. Run `recon connect {consents.tenant}` again and do not "
                "wait on NetSuite's page."
            ),
        },
    )
    form = {
        "grant_type": "authorization_code",
        "code": redirect.code,
        "redirect_uri": request.redirect_uri,
        "code_verifier": request.verifier,
    }
    with consents.vault.locked(consents.name):
        consents.vault.check()
        with http() as connection:
            granted = endpoint.ask_now(connection, request.app.named(form), request.app.basic)
        if granted.refresh_token is None:
            raise Unusable(
                Failure(
                    endpoint.attempt.title,
                    said="NetSuite gave no refresh token",
                    what_to_do="Allow refresh tokens on the integration record (OAuth 2.0 section): Setup > "
                    "Integration > Manage Integrations.",
                )
            )
        now = clock()
        consent = StoredConsent(
            account=request.hosts.realm,
            client_id=request.app.client_id,
            refresh_token=granted.refresh_token,
            refresh_until=now + request.app.refresh_seconds,
            consented_at=now,
            entity=redirect.entity,
            role=redirect.role,
            access_token=granted.token.value,
            renew_at=granted.token.renew_at,
            expires_at=granted.token.expires_at,
        )
        consents.write(consent)
    return consent


class Listener:
    """Waits on this machine for the browser to come back; a context manager.

    Listens on the port of the redirect URI, on 127.0.0.1 alone. Port 0 takes a free one (for tests); ``port`` tells
    which. Raises ``Unusable`` when the redirect URI does not lead here or the port is taken.
    """

    def __init__(self, redirect_uri: str) -> None:
        parts = urlsplit(redirect_uri)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK:
            raise Unusable(
                Failure(
                    "Wait for the browser",
                    said=f"the redirect URI {redirect_uri} does not lead to this machine",
                    what_to_do="Use --paste: copy the address that the browser is sent to. Or register an address "
                    "such as http://127.0.0.1:8765/callback on the integration record.",
                )
            )
        port = 80 if parts.port is None else parts.port
        self._found: Redirect | SignInFailed | None = None
        self._request: Request | None = None
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        except OSError as error:
            raise Unusable(
                Failure(
                    "Wait for the browser",
                    said=f"port {port} cannot be used: {error.strerror}",
                    what_to_do="Choose another with --port, and register that redirect URI on the integration "
                    "record too (several are allowed).",
                )
            ) from error
        # Closing waits for the pages that are being sent; a browser's idle spare connection ends by itself.
        self._server.daemon_threads = False
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.server_close()

    def wait(
        self, request: Request, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> Redirect:
        """The answer to ``request``. Anything else that knocks gets an error page and changes nothing.

        Raises ``SignInFailed`` for a refusal, and when nobody answers within ``seconds``.
        """
        self._request, self._found = request, None
        until = clock() + seconds
        while self._found is None:
            left = until - clock()
            if left <= 0:
                raise Unusable(
                    Failure(
                        f"Get consent for NetSuite account {request.hosts.realm}",
                        said=f"nobody came back from the consent page within {seconds:.0f} seconds",
                        what_to_do="Run the command again; --timeout waits longer, --paste takes the address by hand.",
                    )
                )
            self._server.timeout = min(left, _LOOK_SECONDS)
            self._server.handle_request()
        if isinstance(self._found, SignInFailed):
            raise self._found
        return self._found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _SOCKET_SECONDS  # a connection that says nothing does not hold the others up

            def do_GET(self) -> None:
                status, words = listener._answered(self.path)
                page = _page(words)
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(page)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Referrer-Policy", "no-referrer")
                self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the address holds the code."""

        return Handler

    def _answered(self, path: str) -> tuple[HTTPStatus, str]:
        assert self._request is not None
        try:
            self._found = answer(self._request, path)
        except NotOurs as error:
            return HTTPStatus.NOT_FOUND, f"This is not the page that was waited for: {error}."
        except SignInFailed as error:
            self._found = error
            return HTTPStatus.BAD_REQUEST, str(error)
        return HTTPStatus.OK, (
            f"Done: NetSuite account {self._request.hosts.realm} gave its consent. You can close this page; the "
            "terminal says whether the sign-in works."
        )


def _page(words: str) -> bytes:
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>NetSuite sign-in</title>"
        "<style>body{font:18px/1.5 system-ui,sans-serif;max-width:40rem;margin:20vh auto;padding:0 1rem}</style>"
        f"<p>{html.escape(words)}</p></html>"
    ).encode()
