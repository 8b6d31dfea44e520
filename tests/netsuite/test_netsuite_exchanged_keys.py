"""Client credentials that change in mid-run: read again, tried in order, and no request lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fake_account import HOSTS, Clock, checked_assertion, governor, pem
from sign_in_server import Held, SignInServer

from resources.netsuite.auth import BadKey, ClientCredentials, UsedKey
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import SignInFailed

OLD, NEW = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
RSA_3072 = rsa.generate_private_key(65537, 3072)


@pytest.mark.parametrize("algorithm", ["PS256", "PS384", "PS512"])
def test_an_rsa_key_signs_by_the_algorithm_that_is_chosen(algorithm: str) -> None:
    auth = ClientCredentials(HOSTS, "client-1", "cert-1", pem(RSA_3072), algorithm=algorithm, clock=Clock())
    assert checked_assertion(auth.assertion(), RSA_3072)["header"]["alg"] == algorithm


@pytest.mark.parametrize(
    ("key", "algorithm", "says"),
    [
        (RSA_3072, "ES256", "an RSA key signs by PS256 or PS384 or PS512"),
        (OLD, "ES384", "signs by ES256"),
        (OLD, "PS256", "signs by ES256"),
        (RSA_3072, "RS256", "RS256 does not fit"),
    ],
)
def test_an_algorithm_that_the_key_cannot_sign_by_is_refused(key: object, algorithm: str, says: str) -> None:
    with pytest.raises(BadKey, match=says):
        ClientCredentials(HOSTS, "client-1", "cert-1", pem(key), algorithm=algorithm)  # type: ignore[arg-type]


def client(
    server: SignInServer, reread: Callable[[], UsedKey], clock: Clock | None = None
) -> ClientCredentials:
    first = reread()
    options = {"clock": clock} if clock else {}
    return ClientCredentials(
        server.hosts, first.client_id, first.certificate_id, first.private_key, reread=reread, **options
    )


def requests(server: SignInServer, auth: ClientCredentials, count: int = 1, at_once: int = 1) -> None:
    async def run() -> None:
        async with NetSuite(server.hosts, auth, governor=governor(at_once + 1)) as ns:
            await asyncio.gather(*(ns.get("invoice", "7") for _ in range(count)))

    asyncio.run(run())


def held_in(path: Path, certificate: list[str]) -> Callable[[], UsedKey]:
    return lambda: UsedKey("client-1", certificate[0], path.read_bytes())


@pytest.fixture
def server() -> SignInServer:
    return SignInServer(certificates={"cert-old": Held(OLD.public_key()), "cert-new": Held(NEW.public_key())})


def test_a_key_that_was_exchanged_is_used_when_the_old_one_is_revoked(
    server: SignInServer, tmp_path: Path
) -> None:
    path, certificate = tmp_path / "key.pem", ["cert-old"]
    path.write_bytes(pem(OLD))
    with server.running():
        auth = client(server, held_in(path, certificate))
        requests(server, auth, 5, at_once=5)
        path.write_bytes(pem(NEW))
        certificate[0] = "cert-new"
        server.certificates["cert-old"].revoked = True
        server.valid_access.clear()
        requests(server, auth, 40, at_once=5)
    assert server.grants == ["client_credentials"] * 2
    assert server.count("GET", "/invoice/7") <= 5 + 40 + 5


def test_an_exchange_that_is_half_done_costs_no_request(server: SignInServer, tmp_path: Path) -> None:
    path, certificate, clock = tmp_path / "key.pem", ["cert-old"], Clock()
    path.write_bytes(pem(OLD))
    with server.running():
        auth = client(server, held_in(path, certificate), clock)
        requests(server, auth)
        for half in (pem(NEW), pem(NEW)[:40], None):  # the new key with the old id; a torn file; none
            if half is None:
                path.unlink()
            else:
                path.write_bytes(half)
            server.valid_access.clear()
            requests(server, auth)
        path.write_bytes(pem(NEW))
        certificate[0] = "cert-new"
        server.certificates["cert-old"].revoked = True
        server.valid_access.clear()
        requests(server, auth)
    assert any("cert-new" in token for token in server.valid_access)


def test_credentials_that_changed_while_the_old_were_being_refused_are_tried(
    server: SignInServer, tmp_path: Path
) -> None:
    server.certificates["cert-old"].revoked = True
    asked: list[int] = []

    def changing() -> UsedKey:
        asked.append(1)  # the first is the constructor's, the second is refused
        return UsedKey("client-1", *(("cert-old", pem(OLD)) if len(asked) <= 2 else ("cert-new", pem(NEW))))

    with server.running():
        requests(server, client(server, changing))
    assert server.grants == ["client_credentials"] * 2


def test_a_refusal_of_unchanged_credentials_is_not_repeated(server: SignInServer, tmp_path: Path) -> None:
    server.certificates["cert-old"].revoked = True
    path = tmp_path / "key.pem"
    path.write_bytes(pem(OLD))
    with server.running(), pytest.raises(SignInFailed):
        requests(server, client(server, held_in(path, ["cert-old"])))
    assert server.grants == ["client_credentials"]


def test_a_renewal_that_fails_before_the_token_expires_leaves_it_in_use(
    server: SignInServer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    caplog.set_level(logging.WARNING)
    with server.running():
        auth = client(server, lambda: UsedKey("client-1", "cert-old", pem(OLD)), clock)
        requests(server, auth)
        server.certificates["cert-old"].revoked = True
        clock.now += 3001
        requests(server, auth, 3)
        assert len(server.grants) == 2
        clock.now += 61
        requests(server, auth)
        assert len(server.grants) == 3
        assert "is used on" in caplog.text
        clock.now += 600
        with pytest.raises(SignInFailed):
            requests(server, auth)
