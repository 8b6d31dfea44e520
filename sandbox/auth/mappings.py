"""OAuth 2.0 Client Credentials (M2M) Setup: which certificates each integration has, kept in the state file.

Certificates come from the profile and the command line at every start; what is uploaded, added by the sandbox's own
endpoint, revoked or wiped while it runs is kept in the state and holds over a restart.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from datetime import date

from sandbox.auth.certificates import LoadedCertificate, load_declared, load_pem
from sandbox.clock import Clock
from sandbox.profile import Profile
from sandbox.store.database import Database

_TABLE = """
CREATE TABLE IF NOT EXISTS m2m_certificate (
    client_id TEXT NOT NULL, id TEXT NOT NULL, pem TEXT NOT NULL, role TEXT, entity TEXT, created TEXT NOT NULL,
    valid_until TEXT NOT NULL, revoked INTEGER NOT NULL, PRIMARY KEY (client_id, id)
) WITHOUT ROWID
"""
_WIPED = "m2m wiped"
"""The setting that says that the profile's certificates are gone."""


def certificate_id(client_id: str, pem: str) -> str:
    """The id of an uploaded certificate: one for each integration and certificate."""
    digest = hashlib.sha256(f"{client_id}\n{''.join(pem.split())}".encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


class Mappings:
    def __init__(self, profile: Profile, database: Database, clock: Clock) -> None:
        self._profile, self._database, self._clock = profile, database, clock
        self._given: list[tuple[str, LoadedCertificate]] = []
        """From the command line."""
        self._loaded: dict[str, dict[str, LoadedCertificate]] = {}
        database.connection.execute(_TABLE)
        self._load()

    def _load(self) -> None:
        self._loaded = {integration.client_id: {} for integration in self._profile.integrations}
        today = self._clock.now().date()
        connection = self._database.connection
        wiped = connection.execute("SELECT 1 FROM setting WHERE name = ?", (_WIPED,)).fetchone()
        if wiped is None:
            for integration in self._profile.integrations:
                for declared in integration.certificates:
                    self._loaded[integration.client_id][declared.id] = load_declared(declared, today)
        for client_id, name, pem, role, entity, created, until, revoked in connection.execute(
            "SELECT client_id, id, pem, role, entity, created, valid_until, revoked FROM m2m_certificate"
        ):
            certificates = self._loaded.get(client_id)
            if certificates is None or (name in certificates and certificates[name].pem != pem):
                continue  # the profile has lost the integration, or given the id to another key
            kept = load_pem(
                name,
                pem,
                valid_until=date.fromisoformat(until),
                today=date.fromisoformat(created),
                revoked=bool(revoked),
            )
            kept.role, kept.entity = role, entity
            certificates[name] = kept

    def of(self, client_id: str) -> dict[str, LoadedCertificate]:
        """An integration's certificates by id, the revoked and ended ones too."""
        return self._loaded.get(client_id, {})

    def active(self, client_id: str) -> int:
        """How many of an integration's certificates are neither revoked nor ended."""
        today = self._clock.now().date()
        return sum(not c.revoked and c.valid_until >= today for c in self.of(client_id).values())

    def give(self, client_id: str, certificate: LoadedCertificate) -> None:
        """Take a certificate from the command line: again at every start, unless it was revoked since."""
        self._given.append((client_id, certificate))
        present = self._loaded[client_id].get(certificate.id)
        if present is None or present.pem != certificate.pem:
            self._loaded[client_id][certificate.id] = certificate

    def add(self, client_id: str, certificate: LoadedCertificate) -> None:
        """Add or replace a certificate for good."""
        self._loaded[client_id][certificate.id] = certificate
        self._store(client_id, certificate)

    def revoke(self, client_id: str, identifier: str) -> None:
        certificate = self._loaded[client_id][identifier]
        certificate.revoked = True
        self._store(client_id, certificate)

    def wipe(self) -> int:
        """Forget every certificate, as a refresh of a NetSuite sandbox does; returns how many there were."""
        count = sum(len(certificates) for certificates in self._loaded.values())
        with self._database.transaction():
            self._database.connection.execute("DELETE FROM m2m_certificate")
            self._database.connection.execute("INSERT OR REPLACE INTO setting VALUES (?, 'T')", (_WIPED,))
        self._load()
        return count

    def reset(self) -> None:
        """Back to the certificates of the profile and the command line."""
        with self._database.transaction():
            self._database.connection.execute("DELETE FROM m2m_certificate")
            self._database.connection.execute("DELETE FROM setting WHERE name = ?", (_WIPED,))
        given, self._given = self._given, []
        self._load()
        for client_id, certificate in given:
            certificate.revoked = False
            self.give(client_id, certificate)

    def _store(self, client_id: str, certificate: LoadedCertificate) -> None:
        self._database.connection.execute(
            "INSERT OR REPLACE INTO m2m_certificate VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                client_id,
                certificate.id,
                certificate.pem,
                certificate.role,
                certificate.entity,
                certificate.created.isoformat(),
                certificate.valid_until.isoformat(),
                int(certificate.revoked),
            ),
        )
