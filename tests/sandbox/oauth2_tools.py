"""What the tests of OAuth 2.0 share: accounts in the process with a clock that can be set, and people at the consent page."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sandbox_tools import PROFILES

from sandbox.account import Account
from sandbox.auth.tokens import SigningKey
from sandbox.errors import Refusal
from sandbox.profile import Profile
from sandbox.wire import Request, Response, decode

STATE = "a-state-of-at-least-22-characters"
CALLBACK = "http://127.0.0.1:8765/callback"
VERIFIER = "a-code-verifier-of-43-characters-at-the-least.~"
AUTHORIZE = "/app/login/oauth2/authorize.nl"
TOKEN = "/services/rest/auth/oauth2/v1/token"
REVOKE = "/services/rest/auth/oauth2/v1/revoke"
KEY = SigningKey()
_numbers = itertools.count(1)


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def query(**changes: str | None) -> dict[str, str]:
    """The parameters of a good authorize request of the confidential client, with some changed or (None) left out."""
    parameters: dict[str, str | None] = {
        "response_type": "code",
        "client_id": "billing-portal",
        "redirect_uri": CALLBACK,
        "scope": "rest_webservices",
        "state": STATE,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    } | changes
    return {name: value for name, value in parameters.items() if value is not None}


def returned(location: str) -> dict[str, str]:
    """The parameters of the way back to the application."""
    return dict(parse_qsl(urlsplit(location).query))


def ticket_of(page: str) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


class SetClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def forward(self, **delta: float) -> None:
        self.time += timedelta(**delta)


@dataclass
class Local:
    """An account in this process, which is asked without a network so that its clock can be set."""

    account: Account
    clock: SetClock

    def ask(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> Response:
        where, _, search = path.partition("?")
        content = urlencode(form).encode() if form is not None else body
        sent = dict(headers or {})
        if form is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
        request = Request(
            method, where, where, search, sent, content, "https", "1234567-sb1.x.netsuite.com", ""
        )
        try:
            return self.account.handle(request, self.account.caller(request))
        except Refusal as refusal:
            return refusal.response()

    def code(self, **changes: str | None) -> str:
        """A code that the first user consented to."""
        parameters = query(prompt="none", **changes)
        answer = self.ask("GET", f"{AUTHORIZE}?{urlencode(parameters)}")
        return returned(dict(answer.headers)[b"location"].decode())["code"]

    def exchange(self, client: Client, code: str | None = None, **changes: str | None) -> Response:
        if code is None:
            code = self.code(client_id=client.client_id)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return self.token(client, form | {"code_verifier": VERIFIER}, **changes)

    def refresh(self, client: Client, token: str) -> Response:
        return self.token(client, {"grant_type": "refresh_token", "refresh_token": token})

    def token(self, client: Client, form: dict[str, str], **changes: str | None) -> Response:
        whole: dict[str, str | None] = form | client.form | changes
        return self.ask("POST", TOKEN, {k: v for k, v in whole.items() if v is not None}, client.headers)

    def status(self, access_token: str, path: str = "/services/rest/record/v1/currency/1") -> int:
        return self.ask("GET", path, headers={"authorization": f"Bearer {access_token}"}).status

    @property
    def last_failure(self) -> str:
        detail: str = self.account.auth.audit.entries("failure")[-1]["detail"]
        return detail


@dataclass
class Client:
    """How an application proves who it is."""

    client_id: str
    secret: str | None = None
    form: dict[str, str] = field(init=False)
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.form = {} if self.secret is not None else {"client_id": self.client_id}
        pair = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
        self.headers = {"authorization": f"Basic {pair}"} if self.secret is not None else {}


PORTAL = Client("billing-portal", "cs_invented_portal")
DESKTOP = Client("billing-desktop")


def content(answer: Response) -> Any:
    return decode(answer.body)


def oneworld_with(
    change: Callable[[dict[str, Any]], None] = lambda _: None, state: Path | None = None
) -> Local:
    """The shipped OneWorld account with something changed in its profile."""
    declared = yaml.safe_load((PROFILES / "oneworld.yaml").read_text())
    # In memory, accounts of one name in one process would share their records.
    declared["account"] = f"1234567_SB{next(_numbers)}"
    change(declared)
    clock = SetClock()
    return Local(Account(Profile.model_validate(declared), state, clock, KEY), clock)


def certificate_of(key: Any, begins: datetime, days: int, name: str = "rotation") -> str:
    """A self-signed X.509 certificate, PEM."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())
