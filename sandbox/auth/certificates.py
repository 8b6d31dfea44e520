"""Public keys of integrations: reading them, and the rules on their strength and life. Keeping them is `mappings`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sandbox.profile_access import Certificate

PublicKey = RSAPublicKey | EllipticCurvePublicKey
ALGORITHMS = ("PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
RSA_BITS = (3072, 4096)
LONGEST_LIFE = timedelta(days=730)
MOST_ACTIVE = 5


class CertificateError(ValueError):
    """A certificate that NetSuite would not take; the message says why."""


@dataclass(slots=True)
class LoadedCertificate:
    id: str
    key: PublicKey
    pem: str
    created: date
    valid_from: date
    valid_until: date
    revoked: bool = False
    role: str | None = None
    """None: the integration's, as with `entity`."""
    entity: str | None = None

    @property
    def algorithm(self) -> str:
        return "RSA" if isinstance(self.key, RSAPublicKey) else "EC"

    def accepts(self, alg: str) -> bool:
        if isinstance(self.key, RSAPublicKey):
            return alg.startswith("PS")
        return CURVES.get(self.key.curve.name) == alg


def load_pem(
    identifier: str, pem: str, *, valid_until: date | None, today: date, revoked: bool = False
) -> LoadedCertificate:
    """Read a PEM public key or X.509 certificate; raises `CertificateError`. `today` is the day it is given."""
    key: object
    try:
        data = pem.encode("ascii")
        if "BEGIN CERTIFICATE" in pem:
            certificate = x509.load_pem_x509_certificate(data)
            key = certificate.public_key()
            begins, ends = certificate.not_valid_before_utc.date(), certificate.not_valid_after_utc.date()
        else:
            key = load_pem_public_key(data)
            begins, ends = today, today + LONGEST_LIFE
    except ValueError as error:
        raise CertificateError(
            f"certificate {identifier}: is not a PEM public key or X.509 certificate"
        ) from error
    if isinstance(key, RSAPublicKey):
        if key.key_size not in RSA_BITS:
            raise CertificateError(
                f"certificate {identifier}: an RSA key has 3072 or 4096 bits, not {key.key_size}"
            )
    elif isinstance(key, EllipticCurvePublicKey):
        if key.curve.name not in CURVES:
            raise CertificateError(
                f"certificate {identifier}: an EC key is on P-256, P-384 or P-521, not {key.curve.name}"
            )
    else:
        raise CertificateError(f"certificate {identifier}: the key is neither RSA nor EC")
    # A longer life is cut to two years, as NetSuite does.
    last = min(valid_until or ends, ends, today + LONGEST_LIFE)
    return LoadedCertificate(identifier, key, pem, today, begins, last, revoked)


def load_declared(certificate: Certificate, today: date) -> LoadedCertificate:
    """Load a profile's certificate; raises `CertificateError`."""
    if certificate.public_key is not None:
        pem = certificate.public_key
    else:
        pem = read_pem(Path(str(certificate.public_key_file)), certificate.id)
    loaded = load_pem(
        certificate.id, pem, valid_until=certificate.valid_until, today=today, revoked=certificate.revoked
    )
    loaded.role, loaded.entity = certificate.role, certificate.entity
    return loaded


def read_pem(path: Path, identifier: str) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise CertificateError(
            f"certificate {identifier}: {path} cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise CertificateError(f"certificate {identifier}: {path} is not a PEM file") from error
