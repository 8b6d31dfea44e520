"""Private keys and certificates that NetSuite takes: reading, choosing the algorithm, making new ones.

Here: PEM, curves, sizes, validity (NetSuite REST facts: OAuth 2.0 client credentials, key and certificate rules).
Not here: signing in (``auth``) or exchanging certificates (``rotation``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Algorithm = Literal["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"]

_EC_ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "secp256r1": "ES256",
    "secp384r1": "ES384",
    "secp521r1": "ES512",
}
_RSA_ALGORITHMS: Final[tuple[Algorithm, ...]] = ("PS256", "PS384", "PS512")
_RSA_SIZES: Final = (3072, 4096)
LONGEST_DAYS: Final = 730
"""Days after which a certificate ends in NetSuite, whatever it says itself: two years."""


class BadKey(ValueError):
    """The private key cannot be used; the message says why and how to make a right one. It holds no key material."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the algorithm that it signs assertions by."""

    key: PrivateKey = field(repr=False)
    algorithm: Algorithm


def load_key(pem: bytes, algorithm: str | None = None) -> SigningKey:
    """The private key of a PEM file. ``algorithm`` chooses among PS256, PS384 and PS512 for an RSA key.

    Without it, it follows from the key: ES256, ES384 or ES512 by the curve, PS256 for RSA. Raises ``BadKey`` for
    what NetSuite would refuse, and for an algorithm that the key cannot sign by.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise BadKey(
            "The private key is protected by a passphrase; give it unencrypted (`openssl pkey`)."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey(
            "The private key is not a readable PEM file. It begins with '-----BEGIN PRIVATE KEY-----'; give the key, "
            "not the certificate."
        ) from None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        own = _EC_ALGORITHMS.get(key.curve.name)
        if own is None:
            raise BadKey(
                f"NetSuite does not take the curve {key.curve.name}; make a key on P-256, P-384 or P-521."
            )
        return SigningKey(key, _chosen(algorithm, (own,), f"a key on the curve {key.curve.name}"))
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size not in _RSA_SIZES:
            raise BadKey(
                f"NetSuite refuses RSA keys of {key.key_size} bits; make one of 3072 or 4096 bits, or an EC key."
            )
        return SigningKey(key, _chosen(algorithm, _RSA_ALGORITHMS, "an RSA key"))
    raise BadKey("NetSuite takes elliptic-curve (P-256, P-384, P-521) and RSA (3072, 4096 bits) keys only.")


def _chosen(algorithm: str | None, possible: tuple[Algorithm, ...], what: str) -> Algorithm:
    if algorithm is None:
        return possible[0]
    for known in possible:
        if known == algorithm:
            return known
    raise BadKey(f"The algorithm {algorithm} does not fit: {what} signs by {' or '.join(possible)}.")


def new_key_like(key: PrivateKey) -> PrivateKey:
    """A new private key of the same kind and size."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return ec.generate_private_key(key.curve)
    return rsa.generate_private_key(65537, key.key_size)


def key_pem(key: PrivateKey) -> bytes:
    """The private key as unencrypted PKCS #8 PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def self_signed(key: PrivateKey, name: str, days: int, now: float) -> bytes:
    """An X.509 certificate for ``key`` in PEM, valid from a little before ``now`` (seconds since 1970) for ``days``.

    The start lies five minutes back, so that a clock that differs a little does not make it "not yet valid".
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    starts = datetime.fromtimestamp(now, UTC) - timedelta(minutes=5)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(starts + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA512() if _is_521(key) else hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def _is_521(key: PrivateKey) -> bool:
    return isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp521r1"


def last_day(certificate: bytes) -> date | None:
    """The last day (UTC) on which a PEM certificate signs in; ``None`` when there is none in ``certificate``.

    NetSuite ends it after two years even when it is made for longer.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return None
    longest = found.not_valid_before_utc + timedelta(days=LONGEST_DAYS)
    return min(found.not_valid_after_utc, longest).date()
