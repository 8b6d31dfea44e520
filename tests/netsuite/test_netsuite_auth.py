"""Signing in by client credentials: the assertion, the token's life, and refusals that say what to do."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from fake_account import (
    HOSTS,
    KEY,
    KEY_PEM,
    START,
    Clock,
    FakeAccount,
    checked_assertion,
    connect,
    credentials,
    governor,
    invalid_login,
    no_sleep,
    pem,
)

from resources.netsuite.auth import BadKey, ClientCredentials, UsedKey
from resources.netsuite.authorization_code import App, StoredConsent
from resources.netsuite.certificates import Configured
from resources.netsuite.consent import Redirect, Request, ask
from resources.netsuite.errors import SignInFailed, Unavailable, Unreachable
from resources.netsuite.governor import Governor
from resources.netsuite.tba import TbaCredentials
from resources.netsuite.tokens import Granted, Token
from resources.netsuite.vault import Vault
from resources.netsuite.writes import eid

RSA_3072 = rsa.generate_private_key(65537, 3072)
ANSWER = httpx.Response(200, json={"id": "7"})


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (KEY, "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
        (RSA_3072, "PS256"),
    ],
)
def test_the_assertion_is_signed_by_the_algorithm_of_the_key(key: object, algorithm: str) -> None:
    auth = ClientCredentials(HOSTS, "client-1", "cert-1", pem(key), clock=Clock(), new_id=lambda: "one")
    claims = checked_assertion(auth.assertion(), key)
    assert claims == {
        "header": {"typ": "JWT", "alg": algorithm, "kid": "cert-1"},
        "iss": "client-1",
        "scope": ["rest_webservices"],
        "aud": "http://127.0.0.1:9/7654321-sb1/services/rest/auth/oauth2/v1/token",
        "iat": int(START),
        "exp": int(START) + 3000,
        "jti": "one",
    }
    assert claims["exp"] - claims["iat"] <= 3600


@pytest.mark.parametrize(
    ("material", "says"),
    [
        (pem(rsa.generate_private_key(65537, 2048)), "3072"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "P-256"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not the certificate"),
        (b"\x00\xff", "PEM"),
        (
            ed25519.Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
            "elliptic",
        ),
        (
            KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")),
            "passphrase",
        ),
    ],
)
def test_a_key_that_netsuite_would_refuse_is_refused_here_with_the_mend(material: bytes, says: str) -> None:
    with pytest.raises(BadKey, match=says):
        ClientCredentials(HOSTS, "client-1", "cert-1", material)


def test_two_assertions_have_different_ids() -> None:
    auth = credentials()
    first, second = (checked_assertion(auth.assertion(), KEY) for _ in range(2))
    assert first["jti"] != second["jti"]


@pytest.mark.parametrize("expires_in", ["3600", 3600, 3600.0])
def test_a_token_serves_until_fifty_minutes_and_is_then_renewed(expires_in: object) -> None:
    clock = Clock()
    account = FakeAccount([ANSWER], expires_in=expires_in)

    async def run() -> None:
        async with connect(account, auth=credentials(clock)) as ns:
            await ns.get("invoice", "7")
            clock.now += 2999
            await ns.get("invoice", "7")
            assert len(account.assertions) == 1
            clock.now += 2
            await ns.get("invoice", "7")

    asyncio.run(run())
    used = [request.headers["authorization"] for request in account.requests]
    assert used == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


def test_however_many_requests_wait_one_token_is_asked_for() -> None:
    account = FakeAccount([ANSWER])

    async def run() -> None:
        async with connect(account, governor=governor(50)) as ns:
            await asyncio.gather(*(ns.get("invoice", "7") for _ in range(40)))

    asyncio.run(run())
    assert len(account.assertions) == 1
    assert len(account.requests) == 40


def test_one_sign_in_serves_clients_in_several_threads() -> None:
    account, auth, shared = FakeAccount([ANSWER]), credentials(), governor(20)
    gate = threading.Barrier(4)

    async def run() -> None:
        async with connect(account, auth=auth, governor=shared) as ns:
            await asyncio.gather(*(ns.get("invoice", "7") for _ in range(10)))

    def work() -> None:
        gate.wait()
        asyncio.run(run())

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(account.requests) == 40
    assert len(account.assertions) == 1


def test_when_the_one_who_asks_is_cancelled_another_asks() -> None:
    asked: list[int] = []

    async def slow_then_good(request: httpx.Request) -> httpx.Response:
        asked.append(1)
        if len(asked) == 1:
            await asyncio.sleep(30)
        return httpx.Response(200, json={"access_token": "good", "expires_in": 3600, "token_type": "Bearer"})

    async def run() -> str:
        auth = credentials()
        async with httpx.AsyncClient(transport=httpx.MockTransport(slow_then_good)) as http:
            leader = asyncio.create_task(auth.authorization("GET", "x", http))
            await asyncio.sleep(0.01)
            follower = asyncio.create_task(auth.authorization("GET", "x", http))
            await asyncio.sleep(0.01)
            leader.cancel()
            return await asyncio.wait_for(follower, 5)

    assert asyncio.run(run()) == "Bearer good"
    assert len(asked) == 2


def test_a_cancelled_follower_leaves_the_others_their_token() -> None:
    release = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await release.wait()
        return httpx.Response(200, json={"access_token": "good", "expires_in": 3600})

    async def run() -> list[str]:
        auth = credentials()
        async with httpx.AsyncClient(transport=httpx.MockTransport(slow)) as http:
            tasks = [asyncio.create_task(auth.authorization("GET", "x", http)) for _ in range(3)]
            await asyncio.sleep(0.01)
            tasks[1].cancel()
            await asyncio.sleep(0.01)
            release.set()
            return [await asyncio.wait_for(tasks[i], 5) for i in (0, 2)]

    assert asyncio.run(run()) == ["Bearer good", "Bearer good"]


def test_a_401_renews_once_and_the_request_succeeds() -> None:
    account = FakeAccount([invalid_login(), ANSWER])

    async def run() -> None:
        async with connect(account) as ns:
            assert (await ns.get("invoice", "7"))["id"] == "7"

    asyncio.run(run())
    assert [r.headers["authorization"] for r in account.requests] == ["Bearer token-1", "Bearer token-2"]


def test_requests_refused_together_renew_the_token_once() -> None:
    def by_token(request: httpx.Request) -> httpx.Response:
        return invalid_login() if request.headers["authorization"] == "Bearer token-1" else ANSWER

    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.001 * len(account.requests))
        return by_token(request)

    account = FakeAccount([slowly])

    async def run() -> None:
        async with connect(account, governor=governor(20)) as ns:
            await asyncio.gather(*(ns.get("invoice", "7") for _ in range(12)))

    asyncio.run(run())
    assert len(account.assertions) == 2


def test_credentials_that_are_refused_are_tried_once_for_all_who_wait() -> None:
    async def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        await asyncio.sleep(0.01)
        return httpx.Response(400, json={"error": "invalid_grant"})

    asked: list[httpx.Request] = []

    async def run() -> list[str | BaseException]:
        auth = credentials()
        async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
            waiting = (auth.authorization("GET", "x", http) for _ in range(10))
            return await asyncio.gather(*waiting, return_exceptions=True)

    assert {type(answer) for answer in asyncio.run(run())} == {SignInFailed}
    assert len(asked) == 1


def test_a_second_401_stops_and_points_to_the_audit_trail() -> None:
    account = FakeAccount([invalid_login()])

    async def run() -> None:
        async with connect(account) as ns:
            await ns.get("invoice", eid("inv-7"))

    with pytest.raises(SignInFailed) as caught:
        asyncio.run(run())
    assert len(account.requests) == 2
    assert len(account.assertions) == 2
    assert caught.value.status == 401
    assert caught.value.code == "INVALID_LOGIN"
    assert "View Login Audit Trail" in caught.value.what_to_do
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (400, "invalid_request", "certificate id"),
        (401, "invalid_client", "client id"),
        (400, "invalid_grant", "sandbox refresh"),
        (400, "unauthorized_client", "Machine to Machine"),
        (400, "unsupported_grant_type", "Enable Features"),
        (400, "invalid_scope", "REST Web Services"),
        (400, "something_new", "not documented"),
    ],
)
def test_each_refusal_of_the_token_endpoint_says_what_it_means_and_where_to_look(
    status: int, code: str, says: str
) -> None:
    account = FakeAccount([ANSWER], tokens=[httpx.Response(status, json={"error": code})])

    async def run() -> None:
        async with connect(account) as ns:
            await ns.get("invoice", "7")

    with pytest.raises(SignInFailed) as caught:
        asyncio.run(run())
    error = caught.value
    assert (error.status, error.code) == (status, code)
    assert says in error.what_to_do
    assert "Login Audit Trail" in error.what_to_do
    assert "7654321_SB1" in str(error)
    assert not account.requests


@pytest.mark.parametrize(("skew", "says"), [(-300, "300 seconds behind"), (400, "400 seconds ahead of")])
def test_a_wrong_clock_is_named_when_the_sign_in_is_refused(skew: int, says: str) -> None:
    date = formatdate(START - skew, usegmt=True)
    refusal = httpx.Response(400, json={"error": "invalid_grant"}, headers={"date": date})
    account = FakeAccount([ANSWER], tokens=[refusal])

    async def run() -> None:
        async with connect(account) as ns:
            await ns.get("invoice", "7")

    with pytest.raises(SignInFailed, match=f"clock is {says}"):
        asyncio.run(run())


@pytest.mark.parametrize(
    "passing",
    [
        httpx.Response(503, text="<html><body>Maintenance</body></html>"),
        httpx.Response(429, json={"error": "slow_down"}),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("late"),
        httpx.Response(200, text="not json"),
        httpx.Response(200, json={"token": "none"}),
        httpx.Response(200, json={"access_token": "a b", "expires_in": "3600"}),
        httpx.Response(200, json={"access_token": "ab", "expires_in": "soon"}),
    ],
)
def test_a_token_endpoint_that_fails_in_passing_is_asked_again(passing: httpx.Response | Exception) -> None:
    account = FakeAccount([ANSWER], tokens=[passing])

    async def run() -> None:
        async with connect(account) as ns:
            await ns.get("invoice", "7")

    asyncio.run(run())
    assert len(account.requests) == 1


def test_a_token_endpoint_that_stays_away_is_reported_as_that() -> None:
    for error, expected in (
        (httpx.ConnectError("refused"), Unreachable),
        (httpx.ReadTimeout("late"), Unavailable),
    ):
        account = FakeAccount([ANSWER], tokens=[error] * 10)

        async def run(account: FakeAccount = account) -> None:
            async with connect(account, governor=Governor(5, 1, sleep=no_sleep)) as ns:
                await ns.get("invoice", "7")

        with pytest.raises(expected, match="Sign in to NetSuite account 7654321_SB1"):
            asyncio.run(run())
        assert len(account.tokens) == 6


def test_no_secret_stands_in_a_repr_a_pickle_a_log_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "eyJhbGciOiJFUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"
    echo = httpx.Response(500, text=f"<p>failed for Authorization: Bearer {secret}</p>")
    account = FakeAccount(
        [echo], tokens=[httpx.Response(200, json={"access_token": secret, "expires_in": 3600})]
    )
    auth = credentials()

    async def run() -> None:
        async with connect(account, auth=auth) as ns:
            assert secret not in repr(ns)
            await ns.get("invoice", "7")

    with pytest.raises(Unavailable) as caught:
        asyncio.run(run())
    assert account.requests[0].headers["authorization"] == f"Bearer {secret}"
    seen = "\n".join(
        [caplog.text, str(caught.value), repr(caught.value), repr(auth), repr(vars(auth).get("_token"))]
    )
    assert secret not in seen
    assert KEY_PEM.decode().splitlines()[1] not in seen
    with pytest.raises(TypeError):
        pickle.dumps(auth)


SECRET = "s3cr3t"
HOLDERS: list[object] = [
    UsedKey(SECRET, SECRET, SECRET.encode()),
    TbaCredentials(SECRET, SECRET, SECRET, SECRET),
    App(SECRET, SECRET),
    Token(SECRET),
    Granted(Token(SECRET), SECRET),
    Redirect(SECRET),
    ask(HOSTS, App("client-1", SECRET), "http://127.0.0.1:8765/callback"),
    Configured("7654321_SB1", SECRET, SECRET, Path(SECRET)),
    StoredConsent("7654321_SB1", SECRET, SECRET, 0.0, 0.0, access_token=SECRET),
    Vault(Path("secrets"), (SECRET,)),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_what_holds_a_secret_does_not_show_it(holder: object) -> None:
    shown = f"{holder!r} {holder} {[holder]}"
    assert SECRET not in shown
    if isinstance(holder, Request):
        assert holder.state not in shown
        assert holder.verifier not in shown
