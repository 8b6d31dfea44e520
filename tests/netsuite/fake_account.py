"""A scripted NetSuite account for tests of the client: a token endpoint that checks assertions, and planned answers.

Written from the published protocol, not from the client or the sandbox.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from resources.netsuite.auth import ClientCredentials
from resources.netsuite.client import NetSuite
from resources.netsuite.governor import Backoff, Governor
from resources.netsuite.hosts import Hosts

ERROR_TYPE = "application/vnd.oracle.resource+json; type=error; charset=UTF-8"
HOSTS = Hosts("7654321_SB1", "http://127.0.0.1:9/7654321-sb1")
PREFIX = "/7654321-sb1"
START = 1_790_000_000.0

Responder = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


KEY = ec.generate_private_key(ec.SECP256R1())
KEY_PEM = pem(KEY)


class Clock:
    """A clock that moves only when told."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def envelope(
    status: int, code: str, detail: str, *, title: str = "Bad Request", **extra: Any
) -> httpx.Response:
    body = {
        "type": "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.1",
        "title": title,
        "status": status,
        "o:errorDetails": [{"detail": detail, "o:errorCode": code, **extra}],
    }
    return httpx.Response(
        status, json=body, headers={"content-type": ERROR_TYPE, "x-netsuite-jobid": "job-77"}
    )


def too_many() -> httpx.Response:
    """The irregular body of the published concurrency sample."""
    body = {
        "type": "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.1",
        "title": "Bad Request",
        "status": 429,
        "o:errorCode": "USER_ERROR",
        "o:errorDetails": [
            {
                "detail": "Concurrent request limit exceeded. Request blocked.",
                "o:errorCode": "CONCURRENCY_LIMIT_EXCEEDED",
            }
        ],
    }
    return httpx.Response(429, json=body, headers={"content-type": ERROR_TYPE})


def invalid_login() -> httpx.Response:
    return httpx.Response(
        401,
        headers={
            "content-type": ERROR_TYPE,
            "www-authenticate": 'Bearer realm="7654321", error="invalid_token", '
            'error_description="Invalid login attempt."',
        },
        json={
            "type": "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.2",
            "title": "Unauthorized",
            "status": 401,
            "o:errorDetails": [
                {
                    "detail": "Invalid login attempt. For more details, see the Login Audit Trail in the NetSuite "
                    "UI at Setup > Users/Roles > User Management > View Login Audit Trail.",
                    "o:errorCode": "INVALID_LOGIN",
                }
            ],
        },
    )


def done(record: str = "invoice", internal_id: str = "48112") -> httpx.Response:
    where = f"{HOSTS.rest_prefix}/services/rest/record/v1/{record}/{internal_id}"
    return httpx.Response(204, headers={"location": where, "x-netsuite-jobid": "job-1"})


def rows_page(
    rows: list[dict[str, str]], *, offset: int = 0, total: int | None = None, has_more: bool = False
) -> httpx.Response:
    """A SuiteQL answer: rows begin with empty links, values are text."""
    body = {
        "links": [{"rel": "self", "href": "…", "method": "POST"}],
        "count": len(rows),
        "hasMore": has_more,
        "items": [{"links": [], **row} for row in rows],
        "offset": offset,
        "totalResults": len(rows) if total is None else total,
    }
    return httpx.Response(200, json=body, headers={"preference-applied": "transient"})


def unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def checked_assertion(
    token: str,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
) -> dict[str, Any]:
    """Header and claims of an assertion whose signature ``key`` made; raises ``InvalidSignature`` otherwise."""
    public = key if isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) else key.public_key()
    head, payload, signature = token.split(".")
    header = json.loads(unbase64(head))
    digest, signed, raw = _HASHES[header["alg"][2:]], f"{head}.{payload}".encode(), unbase64(signature)
    if isinstance(public, ec.EllipticCurvePublicKey):
        half = len(raw) // 2
        der = utils.encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
        public.verify(der, signed, ec.ECDSA(digest))
    else:
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        public.verify(raw, signed, pss, digest)
    return {"header": header, **json.loads(unbase64(payload))}


@dataclass
class FakeAccount:
    """Answers token requests itself, and every other request by the next of ``answers`` (the last one repeats)."""

    answers: Iterable[httpx.Response | Exception | Responder] = ()
    tokens: list[httpx.Response | Exception] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    assertions: list[dict[str, Any]] = field(default_factory=list)
    expires_in: object = "3600"

    def __post_init__(self) -> None:
        self._left = list(self.answers)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/services/rest/auth/oauth2/v1/token"):
            return self._token(request)
        self.requests.append(request)
        answer = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            # A response can be read once; a repeated one is made anew.
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        given = answer(request)
        return given if isinstance(given, httpx.Response) else await given

    def _token(self, request: httpx.Request) -> httpx.Response:
        if self.tokens:
            answer = self.tokens.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        form = dict(pair.split("=", 1) for pair in request.content.decode().split("&"))
        assert form["grant_type"] == "client_credentials"
        assert (
            form["client_assertion_type"]
            == "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        )
        self.assertions.append(checked_assertion(form["client_assertion"], KEY))
        number = len(self.assertions)
        return httpx.Response(
            200,
            json={"access_token": f"token-{number}", "expires_in": self.expires_in, "token_type": "bearer"},
        )


async def no_sleep(seconds: float) -> None:
    """Pause for no time at all."""


def credentials(clock: Callable[[], float] | None = None, **options: Any) -> ClientCredentials:
    return ClientCredentials(HOSTS, "client-1", "cert-1", KEY_PEM, clock=clock or Clock(), **options)


def governor(limit: int = 5, **backoff: Any) -> Governor:
    return Governor(limit, 1, backoff=Backoff(**backoff), sleep=no_sleep)


def connect(account: FakeAccount, **options: Any) -> NetSuite:
    """A client whose network is ``account``."""
    options.setdefault("governor", governor())
    return NetSuite(
        HOSTS, options.pop("auth", None) or credentials(), transport=httpx.MockTransport(account), **options
    )
