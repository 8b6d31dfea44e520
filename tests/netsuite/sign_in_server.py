"""A small server of NetSuite's sign-in over real HTTP: consent page, token endpoint, certificates, one record.

Written from the published protocol, not from the client or the sandbox. It keeps books that tests can ask, and cuts
a connection before or after it did something when told to.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from cryptography import x509
from fake_account import checked_assertion, unbase64

from resources.netsuite.hosts import Hosts

REALM, LABEL = "7654321_SB1", "7654321-sb1"
AUTH = f"/{LABEL}/services/rest/auth/oauth2/v1"
REDIRECT = "http://localhost:8765/recon/callback"


class Refused(Exception):
    """An error answer of the token endpoint."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass
class Held:
    """A certificate of the integration record."""

    key: Any
    pem: str = ""
    revoked: bool = False
    valid_until: str = "2027-09-20"


@dataclass
class SignInServer:
    """One account with one integration record (``client-1``); a ``secret`` makes it a confidential client."""

    secret: str | None = "the-client-secret"
    certificates: dict[str, Held] = field(default_factory=dict)
    redirect_uris: tuple[str, ...] = (REDIRECT,)
    may_rotate: bool = True
    access_seconds: int = 3600
    log: list[tuple[str, str]] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)
    consents: list[dict[str, str]] = field(default_factory=list)
    valid_access: set[str] = field(default_factory=set)
    valid_refresh: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    cut: dict[int, str] = field(default_factory=dict)
    url: str = ""

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self._serial = itertools.count(1)

    @property
    def hosts(self) -> Hosts:
        return Hosts(REALM, f"{self.url}/{LABEL}")

    @contextmanager
    def running(self) -> Iterator[SignInServer]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10
            wbufsize = 65536
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: object) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                with server.lock:
                    server.log.append((self.command, self.path.partition("?")[0]))
                    cut = server.cut.pop(len(server.log), "")
                    if cut == "before":
                        self.close_connection = True
                        return
                    status, headers, content = server.respond(
                        self.command, self.path, dict(self.headers), body
                    )
                if cut == "after":
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = answer  # noqa: N815

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        self.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            http.shutdown()
            http.server_close()

    # Requests

    def respond(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        path, _, query = target.partition("?")
        sent = {name.lower(): value for name, value in headers.items()}
        if path == f"/{LABEL}/app/login/oauth2/authorize.nl":
            return self._authorize(dict(parse_qsl(query)))
        if (method, path) == ("POST", f"{AUTH}/token"):
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            try:
                return _json(200, self._token(form, sent.get("authorization", "")))
            except Refused as error:
                return _json(error.status, {"error": error.code})
        token = sent.get("authorization", "").removeprefix("Bearer ")
        if token not in self.valid_access:
            return _json(401, {"status": 401, "o:errorDetails": [
                {"detail": "Invalid login attempt.", "o:errorCode": "INVALID_LOGIN"}
            ]})  # fmt: skip
        if path.startswith(f"{AUTH}/clients/client-1/certificates"):
            return self._certificates(
                method, path.removeprefix(f"{AUTH}/clients/client-1/certificates"), body
            )
        return _json(200, {"id": "7"})

    def _authorize(self, asked: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        assert asked["response_type"] == "code"
        assert asked["client_id"] == "client-1"
        assert asked["redirect_uri"] in self.redirect_uris
        assert asked["scope"] == "rest_webservices"
        assert 22 <= len(asked["state"]) <= 1024
        assert asked["code_challenge_method"] == "S256"
        self.consents.append(asked)
        code = f"code-{next(self._serial)}"
        self.codes[code] = asked
        back = {"state": asked["state"], "code": code, "role": "1042", "entity": "317", "company": REALM}
        return 302, {"location": f"{asked['redirect_uri']}?{urlencode(back)}"}, b""

    def _token(self, form: dict[str, str], authorization: str) -> dict[str, str]:
        grant = form["grant_type"]
        self.grants.append(grant)
        if grant == "client_credentials":
            return self._issue(self._asserted(form["client_assertion"]))
        if self.secret is None:
            if form.get("client_id") != "client-1" or authorization:
                raise Refused(401, "invalid_client")
        elif authorization != "Basic " + base64.b64encode(f"client-1:{self.secret}".encode()).decode():
            raise Refused(401, "invalid_client")
        if grant == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if asked is None or asked["code_challenge"] != challenge:
                raise Refused(400, "invalid_grant")
            if asked["redirect_uri"] != form["redirect_uri"] or not 43 <= len(form["code_verifier"]) <= 128:
                raise Refused(400, "invalid_grant")
            return self._issue(refresh=self._new_refresh())
        if grant == "refresh_token":
            given = form["refresh_token"]
            if given not in self.valid_refresh:
                raise Refused(400, "invalid_grant")
            if self.secret is not None:
                return self._issue()
            self.valid_refresh.remove(given)
            return self._issue(refresh=self._new_refresh())
        raise Refused(400, "unsupported_grant_type")

    def _asserted(self, assertion: str) -> str:
        kid = json.loads(unbase64(assertion.split(".")[0]))["kid"]
        held = self.certificates.get(kid)
        if held is None or held.revoked:
            raise Refused(400, "invalid_grant")
        try:
            claims = checked_assertion(assertion, held.key)
        except Exception:
            raise Refused(400, "invalid_grant") from None
        assert claims["aud"] == self.hosts.token_url
        return str(kid)

    def _issue(self, kind: str = "user", refresh: str | None = None) -> dict[str, str]:
        access = f"access-{kind}-{next(self._serial)}"
        self.valid_access.add(access)
        more = {"refresh_token": refresh} if refresh else {}
        return {
            "access_token": access,
            "expires_in": str(self.access_seconds),
            "token_type": "bearer",
            **more,
        }

    def _new_refresh(self) -> str:
        refresh = f"refresh-{next(self._serial)}"
        self.valid_refresh.add(refresh)
        return refresh

    def _certificates(self, method: str, rest: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if not self.may_rotate:
            return _json(403, {"status": 403, "o:errorDetails": [
                {"detail": "You do not have privileges to perform this operation.",
                 "o:errorCode": "INSUFFICIENT_PERMISSION"}
            ]})  # fmt: skip
        if method == "GET" and not rest:
            named = {
                "application": {"id": "1", "application_id": "APP"},
                "entity": {"id": "317", "name": "Bot"},
            }
            return _json(200, [
                {**named, "role": {"id": "1042", "name": "Integration"}, "created": "2026-01-01",
                 "valid_from": "2026-01-01", "valid_until": held.valid_until, "revoked": held.revoked,
                 "certificate_id": kid, "algorithm": "EC"}
                for kid, held in self.certificates.items()
            ])  # fmt: skip
        if method == "POST" and not rest:
            given = json.loads(body)
            assert (given["role"], given["entity"]) == ("1042", "317")
            found = x509.load_pem_x509_certificate(given["fileContent"].encode())
            kid = f"cert-{next(self._serial)}"
            until = found.not_valid_after_utc.date().isoformat()
            self.certificates[kid] = Held(found.public_key(), given["fileContent"], False, until)
            return _json(200, {
                "entity_role_id": {"com": 1, "ent": 317, "rol": 1042}, "application_id": "APP",
                "certificate_id": kid, "certificate": given["fileContent"], "algorithm": "EC",
                "created_at": "2026-09-21", "valid_from": "2026-09-21", "valid_until": until, "invalidated": False,
            })  # fmt: skip
        kid = rest.removeprefix("/").removesuffix("/revoke")
        self.certificates[kid].revoked = True
        self.valid_access = {token for token in self.valid_access if f"-{kid}-" not in token}
        return 200, {"content-type": "text/plain"}, b"Successfully revoked"

    # For tests

    def active(self) -> list[str]:
        return [kid for kid, held in self.certificates.items() if not held.revoked]

    def count(self, method: str, ending: str) -> int:
        return sum(1 for did, path in self.log if did == method and path.endswith(ending))


def _json(status: int, content: object) -> tuple[int, dict[str, str], bytes]:
    return status, {"content-type": "application/json"}, json.dumps(content).encode()
