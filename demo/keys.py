"""The key pair with which a demo tenant proves itself to NetSuite.

Here: making the private key and its certificate once, as files. Not here: signing (the client's and the seeder's).

NetSuite facts: OAuth 2.0 client credentials take an X.509 certificate, valid for at most two years, over an EC key on
P-256, P-384 or P-521.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID_FOR = timedelta(days=730)
_RENEW_BEFORE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where a tenant's private key and certificate are, both PEM."""

    private_key: Path
    certificate: Path


def ensure_keys(folder: Path, tenant: str, now: datetime) -> KeyFiles:
    """The tenant's key files in `folder`, made when they are missing, broken, not a pair or about to expire.

    Both are readable by their owner alone. `now` is an aware datetime.
    """
    files = KeyFiles(folder / f"{tenant}-private.pem", folder / f"{tenant}-certificate.pem")
    if not _usable(files, now):
        folder.mkdir(parents=True, exist_ok=True)
        private, certificate = _make(tenant, now)
        _write(files.private_key, private)
        _write(files.certificate, certificate)
    return files


def _usable(files: KeyFiles, now: datetime) -> bool:
    try:
        key = serialization.load_pem_private_key(files.private_key.read_bytes(), password=None)
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    except (OSError, ValueError, TypeError):
        return False
    return (
        isinstance(key, ec.EllipticCurvePrivateKey)
        and key.public_key() == certificate.public_key()
        and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _RENEW_BEFORE
    )


def _make(tenant: str, now: datetime) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{tenant} billing reconciliation")])
    start = now.astimezone(UTC) - timedelta(minutes=5)  # a server's clock may be a little behind
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + VALID_FOR)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    partial.replace(path)
