"""A tenant's key files are made once, for their owner alone, and made again only when they cannot be used."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509

from demo.keys import VALID_FOR, KeyFiles, ensure_keys

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def contents(files: KeyFiles) -> tuple[bytes, bytes]:
    return files.private_key.read_bytes(), files.certificate.read_bytes()


def test_keys_are_made_once_and_sign_what_the_certificate_verifies(tmp_path: Path) -> None:
    files = ensure_keys(tmp_path / "keys", "acme", NOW)
    before = contents(files)
    assert ensure_keys(tmp_path / "keys", "acme", NOW + timedelta(days=300)) == files
    assert contents(files) == before
    token = jwt.encode({"iss": "x"}, before[0], algorithm="ES256")
    certificate = x509.load_pem_x509_certificate(before[1])
    assert jwt.decode(token, certificate.public_key(), algorithms=["ES256"]) == {"iss": "x"}  # type: ignore[arg-type]


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    files = ensure_keys(tmp_path, "acme", NOW)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (files.private_key, files.certificate)] == [
        0o600
    ] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acme-certificate.pem", "acme-private.pem"]


def test_each_tenant_has_its_own(tmp_path: Path) -> None:
    assert contents(ensure_keys(tmp_path, "acme", NOW)) != contents(ensure_keys(tmp_path, "globex", NOW))


@pytest.mark.parametrize(
    "damage", ["missing private", "missing certificate", "half", "not a pair", "expired"]
)
def test_keys_that_cannot_be_used_are_made_again_as_a_pair(tmp_path: Path, damage: str) -> None:
    files = ensure_keys(tmp_path, "acme", NOW)
    other = ensure_keys(tmp_path / "other", "acme", NOW)
    before = contents(files)
    now = NOW
    if damage == "missing private":
        files.private_key.unlink()
    elif damage == "missing certificate":
        files.certificate.unlink()
    elif damage == "half":
        files.private_key.write_bytes(before[0][:60])
    elif damage == "not a pair":
        files.certificate.write_bytes(other.certificate.read_bytes())
    else:
        now = NOW + VALID_FOR
    files = ensure_keys(tmp_path, "acme", now)
    assert contents(files)[0] != before[0]
    assert contents(files)[1] != before[1]
    assert ensure_keys(tmp_path, "acme", now) == files
