"""Exchanging a certificate: whole, interrupted at any request, and with requests running all the while."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fake_account import governor, pem
from sign_in_server import AUTH, Held, SignInServer

from resources.netsuite.auth import ClientCredentials
from resources.netsuite.certificates import Configured, TenantFiles, known_last_day, used_key
from resources.netsuite.client import NetSuite
from resources.netsuite.errors import InDoubt, NetSuiteError, PermissionDenied, SignInFailed
from resources.netsuite.keys import last_day, load_key, self_signed
from resources.netsuite.rotation import Rotation

OLD = ec.generate_private_key(ec.SECP384R1())
NOW = 1_790_000_000.0


@pytest.fixture
def server() -> Iterator[SignInServer]:
    with SignInServer(certificates={"cert-old": Held(OLD.public_key())}).running() as running:
        yield running


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    key_file = tmp_path / "keys" / "acme.pem"
    key_file.parent.mkdir()
    key_file.write_bytes(pem(OLD))
    return Configured("7654321_SB1", "client-1", "cert-old", key_file)


@pytest.fixture
def files(tmp_path: Path) -> TenantFiles:
    return TenantFiles(tmp_path / "secrets", "acme")


def rotation(server: SignInServer, configured: Configured, files: TenantFiles, **options: object) -> Rotation:
    return Rotation(server.hosts, configured, files, governor(attempts=1), clock=lambda: NOW, **options)  # type: ignore[arg-type]


def client(server: SignInServer, configured: Configured, files: TenantFiles) -> ClientCredentials:
    first = used_key(configured, files)
    return ClientCredentials(
        server.hosts,
        first.client_id,
        first.certificate_id,
        first.private_key,
        reread=lambda: used_key(configured, files),
    )


def get(server: SignInServer, auth: ClientCredentials, count: int = 1) -> None:
    async def run() -> None:
        async with NetSuite(server.hosts, auth, governor=governor(5)) as ns:
            await asyncio.gather(*(ns.get("invoice", "7") for _ in range(count)))

    asyncio.run(run())


def test_a_certificate_is_exchanged_and_running_clients_go_on(
    server: SignInServer, configured: Configured, files: TenantFiles
) -> None:
    auth = client(server, configured, files)
    get(server, auth, 3)
    told: list[str] = []
    new_id = asyncio.run(rotation(server, configured, files, tell=told.append).run())
    assert server.active() == [new_id]
    assert server.certificates["cert-old"].revoked
    get(server, auth, 20)  # its access token died with the old certificate
    get(server, client(server, configured, files))
    assert [line.split()[0] for line in told] == ["A", "Certificate", "Certificate", "Signed", "Certificate"]

    used = used_key(configured, files)
    assert used.certificate_id == new_id
    key = load_key(used.private_key)
    assert key.algorithm == "ES384"
    certificate = x509.load_pem_x509_certificate(server.certificates[new_id].pem.encode())
    assert certificate.public_key() == key.key.public_key()
    assert certificate.signature_algorithm_oid is not None
    new_file = configured.private_key_file.with_name("acme.2026-09-21.pem")
    assert new_file.read_bytes() == used.private_key
    assert new_file.stat().st_mode & 0o777 == 0o600
    assert configured.private_key_file.read_bytes() == pem(OLD)
    assert known_last_day(files, "client-1", new_id) == date(2027, 9, 21)
    assert not files.rotation.exists()
    kept = "".join(path.read_text() for path in files.folder.iterdir())
    assert "PRIVATE KEY" not in kept


def test_certificates_can_be_exchanged_again_and_again(
    server: SignInServer, configured: Configured, files: TenantFiles
) -> None:
    auth = client(server, configured, files)
    ids = [asyncio.run(rotation(server, configured, files).run()) for _ in range(3)]
    assert len({*ids}) == 3
    assert server.active() == [ids[-1]]
    get(server, auth)


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 10))
def test_interrupted_at_any_request_it_goes_on_when_run_again(
    server: SignInServer, configured: Configured, files: TenantFiles, cut: str, at: int
) -> None:
    auth = client(server, configured, files)
    get(server, auth)
    server.cut[len(server.log) + at] = cut
    if at <= 8:
        with pytest.raises(NetSuiteError) as caught:
            asyncio.run(rotation(server, configured, files).run())
        assert isinstance(caught.value, InDoubt) == (at in (4, 8))
        assert "recon rotate acme" in caught.value.what_to_do or at != 4
        get(server, auth)  # what runs meanwhile is not hurt
    new_id = asyncio.run(rotation(server, configured, files).run())
    assert server.active() == [new_id]
    assert len(server.certificates) == 2
    assert server.count("POST", "/revoke") in (1, 2)
    get(server, auth)
    assert not files.rotation.exists()


@pytest.mark.parametrize("step", range(1, 5))
def test_killed_between_steps_it_goes_on_when_run_again(
    server: SignInServer, configured: Configured, files: TenantFiles, step: int
) -> None:
    class Killed(BaseException):
        pass

    told: list[str] = []

    def dies(words: str) -> None:
        told.append(words)
        if len(told) == step:
            raise Killed

    with pytest.raises(Killed):
        asyncio.run(rotation(server, configured, files, tell=dies).run())
    get(server, client(server, configured, files))
    new_id = asyncio.run(rotation(server, configured, files).run())
    assert server.active() == [new_id]
    assert len(server.certificates) == 2
    get(server, client(server, configured, files))


def test_another_certificate_that_appeared_meanwhile_is_not_taken_for_ours(
    server: SignInServer, configured: Configured, files: TenantFiles
) -> None:
    def dies(words: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(rotation(server, configured, files, tell=dies).run())
    server.certificates["cert-foreign"] = Held(ec.generate_private_key(ec.SECP256R1()).public_key())
    new_id = asyncio.run(rotation(server, configured, files).run())
    assert set(server.active()) == {"cert-foreign", new_id}


def test_the_old_certificate_may_be_kept_until_every_machine_has_the_new_one(
    server: SignInServer, configured: Configured, files: TenantFiles
) -> None:
    new_id = asyncio.run(rotation(server, configured, files, keep_old=True).run())
    assert set(server.active()) == {"cert-old", new_id}
    server.valid_access.clear()
    assert asyncio.run(rotation(server, configured, files, keep_old=True).run()) == new_id
    # Confirmed once more, as the runs sign in.
    assert [new_id in token for token in server.valid_access] == [True]
    assert asyncio.run(rotation(server, configured, files).run()) == new_id
    assert server.active() == [new_id]


def test_a_dry_run_changes_nothing(
    server: SignInServer, configured: Configured, files: TenantFiles, tmp_path: Path
) -> None:
    before = sorted(path for path in tmp_path.rglob("*"))
    steps = asyncio.run(rotation(server, configured, files).plan())
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert server.active() == ["cert-old"]
    assert server.count("POST", "/certificates") == 0
    text = "\n".join(steps)
    for expected in ("cert-old", "entity 317", "role 1042", "acme.2026-09-21.pem", "Revoke"):
        assert expected in text


def test_five_active_certificates_leave_no_room_and_nothing_is_made(
    server: SignInServer, configured: Configured, files: TenantFiles
) -> None:
    for number in range(4):
        server.certificates[f"cert-{number}x"] = Held(ec.generate_private_key(ec.SECP256R1()).public_key())
    with pytest.raises(SignInFailed, match="5 active certificates"):
        asyncio.run(rotation(server, configured, files).run())
    assert len(server.certificates) == 5
    server.certificates["cert-0x"].valid_until = "2026-09-20"  # yesterday
    asyncio.run(rotation(server, configured, files).run())


def test_a_role_that_may_not_rotate_is_told_the_permission(
    server: SignInServer, configured: Configured, files: TenantFiles
) -> None:
    server.may_rotate = False
    with pytest.raises(PermissionDenied) as caught:
        asyncio.run(rotation(server, configured, files).run())
    assert "Manage own OAuth 2.0 Client Credentials Certificates" in caught.value.what_to_do
    assert not files.rotation.exists()


def test_a_certificate_id_that_is_set_by_hand_is_obeyed(
    server: SignInServer, configured: Configured, files: TenantFiles, tmp_path: Path
) -> None:
    asyncio.run(rotation(server, configured, files).run())
    by_hand = tmp_path / "keys" / "by-hand.pem"
    by_hand.write_bytes(pem(rsa.generate_private_key(65537, 3072)))
    changed = Configured("7654321_SB1", "client-1", "cert-by-hand", by_hand)
    assert used_key(changed, files).certificate_id == "cert-by-hand"
    assert used_key(changed, files).private_key == by_hand.read_bytes()
    other_account = Configured("7654321", "client-1", "cert-old", configured.private_key_file)
    assert used_key(other_account, files).certificate_id == "cert-old"


def test_the_upload_is_what_netsuite_asks_for(
    server: SignInServer, configured: Configured, files: TenantFiles
) -> None:
    asyncio.run(rotation(server, configured, files, days=90).run())
    assert ("GET", f"{AUTH}/clients/client-1/certificates") in server.log
    assert ("POST", f"{AUTH}/clients/client-1/certificates") in server.log
    assert ("POST", f"{AUTH}/clients/client-1/certificates/cert-old/revoke") in server.log


def test_the_last_day_of_a_certificate_is_cut_after_two_years() -> None:
    assert last_day(self_signed(OLD, "x", 90, NOW)) == date(2026, 12, 20)
    assert last_day(self_signed(OLD, "x", 3650, NOW)) == date(2028, 9, 20)
    assert last_day(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") is None
    assert last_day(pem(OLD)) is None


def test_a_journal_of_another_integration_is_not_gone_on_with(
    server: SignInServer, configured: Configured, files: TenantFiles
) -> None:
    def dies(words: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(rotation(server, configured, files, tell=dies).run())
    journal = json.loads(files.rotation.read_text())
    files.rotation.write_text(json.dumps({**journal, "client_id": "client-9"}))
    with pytest.raises(Exception, match="delete the file"):
        asyncio.run(rotation(server, configured, files).run())


def test_two_exchanges_do_not_run_at_once(
    server: SignInServer, configured: Configured, files: TenantFiles
) -> None:
    async def both() -> list[object]:
        runs = (rotation(server, configured, files).run() for _ in range(2))
        return await asyncio.gather(*runs, return_exceptions=True)

    first, second = asyncio.run(both())
    assert isinstance(first, str)
    assert "another `recon rotate acme` is at work" in str(second)
    assert server.active() == [first]
