"""The authorization code grant: consent on loopback, the refresh token kept encrypted and used by one at a time."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from fake_account import HOSTS, Clock, governor
from sign_in_server import SignInServer

from resources.netsuite import consent
from resources.netsuite.authorization_code import App, AuthorizationCode, Consents, StoredConsent
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import SignInFailed
from resources.netsuite.vault import Vault, VaultError

ROOT = Path(__file__).parents[2]
KEY = base64.b64encode(b"k" * 32).decode()
REDIRECT = "http://localhost:8765/recon/callback"
CONFIDENTIAL, PUBLIC = App("client-1", "the-client-secret"), App("client-1")


@pytest.fixture
def consents(tmp_path: Path) -> Consents:
    return Consents(Vault(tmp_path / "secrets", (KEY,)), "acme")


@pytest.fixture(params=[CONFIDENTIAL, PUBLIC], ids=["confidential", "public"])
def app(request: pytest.FixtureRequest) -> App:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def server(app: App) -> Iterator[SignInServer]:
    with SignInServer(secret=app.client_secret).running() as running:
        yield running


def browser(url: str) -> str:
    """Where a person who chooses Allow is sent to."""
    return httpx.get(url).headers["location"]


def connected(server: SignInServer, app: App, consents: Consents, **options: object) -> StoredConsent:
    question = consent.ask(server.hosts, app, REDIRECT)
    redirect = consent.answer(question, browser(question.url))
    return consent.trade(question, redirect, consents, **options)  # type: ignore[arg-type]


def get(server: SignInServer, auth: AuthorizationCode, count: int = 1) -> None:
    async def run() -> None:
        async with NetSuite(server.hosts, auth, governor=governor(count + 1)) as ns:
            await asyncio.gather(*(ns.get("invoice", "7") for _ in range(count)))

    asyncio.run(run())


def signing(
    server: SignInServer, app: App, consents: Consents, clock: Callable[[], float] | None = None
) -> AuthorizationCode:
    return AuthorizationCode(server.hosts, lambda: app, consents, **({"clock": clock} if clock else {}))


# The consent page and the way back


def test_the_address_of_the_consent_page_has_what_netsuite_asks_for() -> None:
    question = consent.ask(HOSTS, CONFIDENTIAL, REDIRECT)
    parts = urlsplit(question.url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == HOSTS.authorize_url
    asked = dict(parse_qsl(parts.query, strict_parsing=True))
    assert set(asked) == {
        "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
    }  # fmt: skip
    assert 22 <= len(asked["state"]) <= 1024
    assert 43 <= len(question.verifier) <= 128
    assert question.verifier not in question.url
    assert "+" not in parts.query
    assert consent.ask(HOSTS, CONFIDENTIAL, REDIRECT).state != question.state
    shown = repr(question)
    assert question.state not in shown
    assert question.verifier not in shown
    assert "the-client-secret" not in shown


def test_the_live_accounts_consent_page_is_on_its_app_host() -> None:
    from resources.netsuite.hosts import Hosts

    assert (
        Hosts("7654321_SB1").authorize_url
        == "https://7654321-sb1.app.netsuite.com/app/login/oauth2/authorize.nl"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda url: url.replace("/recon/callback", "/favicon.ico"), "not the redirect URI"),
        (lambda url: url.replace("state=", "state=x"), "not that of this sign-in"),
        (lambda url: url.replace("state=", "was="), "not that of this sign-in"),
        (lambda url: url.replace("code=", "was="), "no code"),
    ],
)
def test_an_address_that_answers_another_question_is_not_taken(
    change: Callable[[str], str], says: str
) -> None:
    question = consent.ask(HOSTS, PUBLIC, REDIRECT)
    url = f"{REDIRECT}?state={question.state}&code=abc&role=3&entity=5&company=7654321_SB1"
    assert consent.answer(question, url).code == "abc"
    with pytest.raises(consent.NotOurs, match=says):
        consent.answer(question, change(url))


def test_a_refusal_and_another_account_end_the_sign_in() -> None:
    question = consent.ask(HOSTS, PUBLIC, REDIRECT)
    with pytest.raises(SignInFailed, match="refused in the browser"):
        consent.answer(question, f"{REDIRECT}?state={question.state}&error=access_denied")
    with pytest.raises(SignInFailed, match="given in account 1111111"):
        consent.answer(question, f"{REDIRECT}?state={question.state}&code=abc&company=1111111")


def test_the_listener_takes_the_right_answer_alone_and_says_so_to_the_person() -> None:
    with consent.Listener("http://localhost:0/recon/callback".replace(":0", f":{_free_port()}")) as listener:
        uri = f"http://127.0.0.1:{listener.port}/recon/callback"
        question = consent.ask(HOSTS, PUBLIC, uri)
        pages: list[httpx.Response] = []

        def visit() -> None:
            for path in (
                f"http://127.0.0.1:{listener.port}/favicon.ico",
                f"{uri}?state=guessed&code=evil",
                f"{uri}?state={question.state}&code=good&entity=317&role=1042",
            ):
                pages.append(httpx.get(path))

        visitor = threading.Thread(target=visit)
        visitor.start()
        redirect = listener.wait(question, 20)
        visitor.join(10)
    assert redirect == consent.Redirect("good", "317", "1042")
    assert [page.status_code for page in pages] == [404, 404, 200]
    assert "Done" in pages[-1].text
    assert not any(word in page.text for page in pages for word in ("good", "evil", question.state))


def test_nobody_comes_back_in_time() -> None:
    with consent.Listener(f"http://127.0.0.1:{_free_port()}/x") as listener:
        question = consent.ask(HOSTS, PUBLIC, f"http://127.0.0.1:{listener.port}/x")
        with pytest.raises(SignInFailed, match="nobody came back"):
            listener.wait(question, 0.3)


def test_a_port_that_is_taken_and_an_address_elsewhere_are_told() -> None:
    with (
        consent.Listener(f"http://127.0.0.1:{_free_port()}/x") as listener,
        pytest.raises(SignInFailed, match="--port"),
    ):
        consent.Listener(f"http://127.0.0.1:{listener.port}/x")
    with pytest.raises(SignInFailed, match="--paste"):
        consent.Listener("https://recon.example.com/callback")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# What is kept


def test_a_consent_is_stored_encrypted_and_signs_in(
    server: SignInServer, app: App, consents: Consents
) -> None:
    stored = connected(server, app, consents)
    assert (stored.entity, stored.role, stored.account) == ("317", "1042", "7654321_SB1")
    path = consents.vault.path(consents.name)
    content = path.read_bytes()
    assert stored.refresh_token.encode() not in content
    assert b"refresh" not in content
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert stored.refresh_token not in repr(stored)
    get(server, signing(server, app, consents), 5)
    assert server.grants == ["authorization_code"]


@pytest.mark.parametrize("app", [CONFIDENTIAL], indirect=True)
def test_a_code_that_was_caught_by_another_is_of_no_use_to_him(
    server: SignInServer, app: App, consents: Consents
) -> None:
    question = consent.ask(server.hosts, app, REDIRECT)
    redirect = consent.answer(question, browser(question.url))
    thief = consent.ask(server.hosts, app, REDIRECT)
    with pytest.raises(SignInFailed, match="recon connect acme"):
        consent.trade(thief, redirect, consents)
    assert consents.read() is None


def test_consenting_again_replaces_the_consent_in_mid_run(
    server: SignInServer, app: App, consents: Consents
) -> None:
    first = connected(server, app, consents)
    auth = signing(server, app, consents)
    get(server, auth)
    server.valid_refresh.clear()
    second = connected(server, app, consents)
    assert first.client_id == second.client_id == "client-1"
    server.valid_access -= {first.access_token}
    get(server, auth, 5)
    assert server.grants.count("refresh_token") == 0


def test_a_token_is_refreshed_before_it_expires_once_for_all(
    server: SignInServer, app: App, consents: Consents
) -> None:
    clock = Clock()
    connected(server, app, consents, clock=clock)
    auth = signing(server, app, consents, clock)
    clock.now += 3001
    get(server, auth, 20)
    assert server.grants == ["authorization_code", "refresh_token"]


def test_a_401_refreshes_once_and_then_stops(server: SignInServer, app: App, consents: Consents) -> None:
    connected(server, app, consents)
    auth = signing(server, app, consents)
    server.valid_access.clear()
    get(server, auth, 8)
    assert server.grants == ["authorization_code", "refresh_token"]
    issue = server._issue
    server._issue = lambda *args, **more: {**issue(*args, **more), "access_token": "never-good"}  # type: ignore[method-assign]
    server.valid_access.clear()
    before = server.count("GET", "/invoice/7")
    with pytest.raises(SignInFailed):
        get(server, auth)
    assert server.count("GET", "/invoice/7") - before == 2


def test_a_refresh_token_that_is_dead_says_to_connect_again(
    server: SignInServer, app: App, consents: Consents
) -> None:
    connected(server, app, consents)
    server.valid_refresh.clear()
    server.valid_access.clear()
    with pytest.raises(SignInFailed) as caught:
        get(server, signing(server, app, consents))
    assert caught.value.code == "invalid_grant"
    assert "`recon connect acme`" in caught.value.what_to_do
    assert not caught.value.transient


def test_without_a_consent_or_with_that_of_another_integration_nothing_is_sent(
    server: SignInServer, app: App, consents: Consents
) -> None:
    with pytest.raises(SignInFailed, match="recon connect acme"):
        get(server, signing(server, app, consents))
    connected(server, app, consents)
    before = len(server.log)
    with pytest.raises(SignInFailed, match="another integration record"):
        get(server, signing(server, App("client-2", app.client_secret), consents))
    assert len(server.log) == before


@pytest.mark.parametrize("app", [PUBLIC], indirect=True)
def test_a_refresh_that_is_cancelled_loses_no_one_time_token(
    server: SignInServer, app: App, consents: Consents
) -> None:
    clock = Clock()
    connected(server, app, consents, clock=clock)
    clock.now += 3001
    auth = signing(server, app, consents, clock)
    server.lock.acquire()  # the server takes the request and does not answer yet

    async def run() -> None:
        async with httpx.AsyncClient() as http:
            task = asyncio.create_task(auth.authorization("GET", "x", http))
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.sleep(0.05)
            server.lock.release()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    held = consents.read()
    assert held is not None
    assert {held.refresh_token} == server.valid_refresh
    get(server, signing(server, app, consents, clock))


@pytest.mark.parametrize("app", [PUBLIC], indirect=True)
def test_processes_that_share_a_public_clients_consent_lose_no_request(
    server: SignInServer, app: App, consents: Consents
) -> None:
    server.access_seconds = 0  # below: every request needs a token of its own
    issue = server._issue
    server._issue = lambda *args, **more: {**issue(*args, **more), "expires_in": "0.001"}  # type: ignore[method-assign]
    connected(server, app, consents)
    command = [sys.executable, str(ROOT / "tests/netsuite/refresh_worker.py"), server.hosts.rest_prefix,
               str(consents.vault.folder), KEY, "15"]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}

    def work(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(work, range(3)))
    assert [run.returncode for run in done] == [0, 0, 0], done
    assert server.count("GET", "/invoice/7") == 45
    assert server.grants.count("refresh_token") >= 40
    assert len(server.valid_refresh) == 1


# The vault


def test_a_secret_is_read_by_its_key_alone_and_the_key_can_be_changed(tmp_path: Path) -> None:
    new = base64.urlsafe_b64encode(b"n" * 32).decode()
    Vault(tmp_path, (KEY,)).write("x", b"secret")
    assert Vault(tmp_path, (new, KEY)).read("x") == b"secret"
    with pytest.raises(VaultError, match="cannot be decrypted"):
        Vault(tmp_path, (new,)).read("x")
    Vault(tmp_path, (new, KEY)).write("x", b"secret")
    assert Vault(tmp_path, (new,)).read("x") == b"secret"
    assert KEY not in repr(Vault(tmp_path, (KEY,)))


@pytest.mark.parametrize("key", ["", "short", "Zm9v", "k" * 32, "é" * 44])
def test_a_missing_or_bad_key_says_how_to_make_one(tmp_path: Path, key: str) -> None:
    vault = Vault.of({"RECON_SECRETS": str(tmp_path), "RECON_SECRET_KEY": key})
    with pytest.raises(VaultError, match="openssl rand -base64 32") as caught:
        vault.check()
    assert not key or key not in str(caught.value)


def test_a_damaged_secret_is_told(tmp_path: Path) -> None:
    vault = Vault(tmp_path, (KEY,))
    vault.write("x", b"secret")
    content = vault.path("x").read_bytes()
    vault.path("x").write_bytes(content[:-5] + b"AAAAA")
    with pytest.raises(VaultError, match="damaged"):
        vault.read("x")
    assert vault.read("y") is None


def test_no_secret_of_a_consent_stands_in_a_log_an_error_or_a_file(
    server: SignInServer, app: App, consents: Consents, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    stored = connected(server, app, consents)
    server.valid_access.clear()
    get(server, signing(server, app, consents))
    now = consents.read()
    server.valid_access.clear()
    server.valid_refresh.clear()
    with pytest.raises(SignInFailed) as caught:
        get(server, signing(server, app, consents))
    seen = f"{caplog.text} {caught.value} {caught.value!r} {now!r}".encode()
    seen += b"".join(path.read_bytes() for path in consents.vault.folder.iterdir())
    assert now is not None
    for secret in (
        stored.refresh_token,
        stored.access_token,
        now.refresh_token,
        now.access_token,
        "the-client-secret",
    ):
        assert secret.encode() not in seen
        assert base64.b64encode(secret.encode()) not in seen
