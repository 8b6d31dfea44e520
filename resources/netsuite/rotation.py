"""Exchanging the certificate of client credentials: upload a new one, switch to it, confirm it, revoke the old one.

Here: the exchange as steps that may be interrupted anywhere. The account's endpoint is in ``certificate_endpoint``,
which certificate counts in ``certificates``.

Before each step the journal says what is about to happen, so that the next start goes on from there. What was sent
and not answered is looked up: a certificate in the listing that our new key signs in with is ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import httpx
import msgspec
from filelock import FileLock, Timeout

from resources.netsuite.auth import Auth, ClientCredentials, Unusable, UsedKey
from resources.netsuite.certificate_endpoint import Certificate, CertificateEndpoint, last_days
from resources.netsuite.certificates import (
    Configured,
    Replacement,
    TenantFiles,
    read_state,
    remember_last_days,
    replacement,
    used_key,
    write_state,
)
from resources.netsuite.errors import Failure, InDoubt, SignInFailed
from resources.netsuite.governor import Governor
from resources.netsuite.hosts import Hosts
from resources.netsuite.keys import key_pem, load_key, new_key_like, self_signed
from resources.netsuite.vault import VaultError, write_private

MOST_ACTIVE: Final = 5
"""Active certificates that an integration record may have."""


class Journal(msgspec.Struct, frozen=True):
    """How far an exchange has come. ``known`` are the ids that were there before the upload."""

    account: str
    client_id: str
    old_id: str
    entity_id: str
    role_id: str
    known: tuple[str, ...]
    key_file: str
    certificate_file: str
    step: Literal["planned", "uploaded", "switched"] = "planned"
    new_id: str = ""


@dataclass(frozen=True)
class Rotation:
    """One tenant's exchange. ``clock`` gives seconds since 1970; ``tell`` is told each step as it is done.

    ``days`` is how long the new certificate is valid, at most 730. ``keep_old`` stops before the old certificate is
    revoked: run again without it when every machine has the new one. Raises ``NetSuiteError`` and ``VaultError``;
    run again to go on after either.
    """

    hosts: Hosts
    configured: Configured
    files: TenantFiles
    governor: Governor
    days: int = 365
    keep_old: bool = False
    clock: Callable[[], float] = time.time
    tell: Callable[[str], None] = lambda words: None

    async def plan(self) -> list[str]:
        """What ``run`` would do, in words. Signs in and lists, changes nothing."""
        journal = self._journal()
        current = used_key(self.configured, self.files)
        async with httpx.AsyncClient(timeout=60.0) as http:
            listed = await self._endpoint(self._auth(current), http).list()
        if journal is not None:
            steps = [f"Go on with the exchange of certificate {journal.old_id} ({journal.step})."]
        else:
            ours = self._ours(listed, current.certificate_id)
            self._room(listed)
            key_file, certificate_file = self._new_files()
            steps = [
                f"Certificate {current.certificate_id} signs in now"
                f" (entity {ours.entity_id}, role {ours.role_id}, valid until {ours.valid_until or 'unknown'}).",
                f"Write a new key to {key_file} and its certificate, valid {self.days} days, to {certificate_file}.",
                "Upload the certificate for the same entity and role, and sign in with it.",
            ]
        steps.append(f"Let {self.files.replacement} name it; runs use it from their next token on.")
        kept = "Keep" if self.keep_old else "Revoke"
        return [*steps, f"{kept} certificate {journal.old_id if journal else current.certificate_id}."]

    async def run(self) -> str:
        """Exchange the certificate, or go on where an earlier run stopped; gives the new certificate's id."""
        self.files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self.files.rotation.with_suffix(".lock"), timeout=0)
        try:
            with lock:
                return await self._run()
        except Timeout:
            raise VaultError(
                f"another `recon rotate {self.files.tenant}` is at work; wait until it is done."
            ) from None

    async def _run(self) -> str:
        async with httpx.AsyncClient(timeout=60.0) as http:
            journal = self._journal()
            resumed = journal is not None
            if journal is None:
                journal = await self._begin(http)
            if journal.step == "planned":
                journal = await self._upload(journal, http, look_first=resumed)
            if journal.step == "uploaded":
                journal = await self._switch(journal, http)
            return await self._finish(journal, http)

    def _journal(self) -> Journal | None:
        journal = read_state(self.files.rotation, Journal)
        if journal is None:
            return None
        configured = (self.configured.account, self.configured.client_id)
        if (journal.account, journal.client_id) != configured:
            raise VaultError(
                f"{self.files.rotation} belongs to an exchange for account {journal.account} with another client id;"
                " finish it with the settings of then, or delete the file."
            )
        return journal

    def _write(self, journal: Journal) -> Journal:
        write_state(self.files.rotation, journal)
        return journal

    async def _begin(self, http: httpx.AsyncClient) -> Journal:
        current = used_key(self.configured, self.files)
        listed = await self._endpoint(self._auth(current), http).list()
        ours = self._ours(listed, current.certificate_id)
        self._room(listed)
        self._remember(listed)
        key_file, certificate_file = self._new_files()
        return self._write(
            Journal(
                account=self.configured.account,
                client_id=self.configured.client_id,
                old_id=current.certificate_id,
                entity_id=ours.entity_id,
                role_id=ours.role_id,
                known=tuple(certificate.certificate_id for certificate in listed),
                key_file=str(key_file),
                certificate_file=str(certificate_file),
            )
        )

    async def _upload(self, journal: Journal, http: httpx.AsyncClient, *, look_first: bool) -> Journal:
        current = used_key(self.configured, self.files)
        endpoint = self._endpoint(self._auth(current), http)
        certificate = self._make_files(journal, current)
        new_id = await self._arrived(journal, endpoint, http) if look_first else None
        if new_id is None:
            try:
                new_id, until = await endpoint.upload(certificate, journal.entity_id, journal.role_id)
            except InDoubt as error:
                again = (
                    f"Run `recon rotate {self.files.tenant}` again: it looks whether the certificate arrived."
                )
                raise InDoubt(replace(error.failure, what_to_do=again)) from error
            if until is not None:
                remember_last_days(self.files, self.configured.client_id, {new_id: until})
        self.tell(f"Certificate {new_id} is uploaded.")
        return self._write(msgspec.structs.replace(journal, step="uploaded", new_id=new_id))

    def _make_files(self, journal: Journal, current: UsedKey) -> bytes:
        """The new key and its certificate; those of an interrupted run where they are there."""
        key_file, certificate_file = Path(journal.key_file), Path(journal.certificate_file)
        try:
            if not key_file.exists():
                old = load_key(current.private_key, current.algorithm).key
                write_private(key_file, key_pem(new_key_like(old)))
                self.tell(f"A new key is in {key_file}.")
            if not certificate_file.exists():
                key = load_key(key_file.read_bytes(), current.algorithm).key
                name = f"recon {self.files.tenant}"
                write_private(certificate_file, self_signed(key, name, self.days, self.clock()))
            return certificate_file.read_bytes()
        except OSError as error:
            raise VaultError(
                f"the new key cannot be written beside the old one ({key_file}): {error.strerror}."
            ) from None

    async def _arrived(
        self, journal: Journal, endpoint: CertificateEndpoint, http: httpx.AsyncClient
    ) -> str | None:
        """The id under which an interrupted upload arrived; ``None`` when it did not."""
        for certificate in await endpoint.list():
            if certificate.certificate_id not in journal.known and not certificate.revoked:
                try:
                    await self._sign_in(self._new(journal, certificate.certificate_id), http)
                except SignInFailed:
                    continue  # somebody else's: our key does not sign for it
                return certificate.certificate_id
        return None

    async def _switch(self, journal: Journal, http: httpx.AsyncClient) -> Journal:
        # Nothing changes for the runs before the new certificate has signed in.
        try:
            await self._sign_in(self._new(journal, journal.new_id), http)
        except SignInFailed as error:
            after = f" If it stays refused, delete {self.files.rotation} to begin anew; the old certificate still counts."
            raise SignInFailed(replace(error.failure, what_to_do=error.failure.what_to_do + after)) from error
        before = replacement(self.configured, self.files)
        earlier = before.replaces if before is not None else (self.configured.certificate_id,)
        write_state(
            self.files.replacement,
            Replacement(
                account=journal.account,
                client_id=journal.client_id,
                replaces=tuple(dict.fromkeys((*earlier, journal.old_id))),
                certificate_id=journal.new_id,
                private_key_file=journal.key_file,
            ),
        )
        self.tell(f"Certificate {journal.new_id} counts from now on.")
        return self._write(msgspec.structs.replace(journal, step="switched"))

    async def _finish(self, journal: Journal, http: httpx.AsyncClient) -> str:
        current = used_key(self.configured, self.files)
        if current.certificate_id == journal.old_id:
            raise Unusable(
                Failure(
                    f"Revoke certificate {journal.old_id} of NetSuite account {self.hosts.realm}",
                    said="the tenant's settings still sign in with it",
                    what_to_do=f"The file {self.files.replacement} was changed or removed; delete "
                    f"{self.files.rotation} to begin a new exchange.",
                )
            )
        auth = self._auth(current)
        await auth.authorization("GET", self.hosts.token_url, http)
        self.tell(f"Signed in with certificate {current.certificate_id}.")
        if self.keep_old:
            self.tell(f"Certificate {journal.old_id} is kept; run again without --keep-old to revoke it.")
            return current.certificate_id
        endpoint = self._endpoint(auth, http)
        listed = await endpoint.list()
        old = next((found for found in listed if found.certificate_id == journal.old_id), None)
        if old is not None and not old.revoked:
            await endpoint.revoke(journal.old_id)
        self.tell(f"Certificate {journal.old_id} is revoked.")
        self._remember(listed)
        self.files.rotation.unlink(missing_ok=True)
        return current.certificate_id

    def _remember(self, listed: Sequence[Certificate]) -> None:
        remember_last_days(self.files, self.configured.client_id, last_days(listed))

    def _ours(self, listed: Sequence[Certificate], certificate_id: str) -> Certificate:
        for certificate in listed:
            if certificate.certificate_id == certificate_id:
                return certificate
        raise Unusable(
            Failure(
                f"Exchange the certificate of NetSuite account {self.hosts.realm}",
                said=f"certificate {certificate_id} is not among those that the account lists",
                what_to_do="Compare the tenant's client id and certificate id with Setup > Integration > Manage "
                "Authentication > OAuth 2.0 Client Credentials (M2M) Setup.",
            )
        )

    def _room(self, listed: Sequence[Certificate]) -> None:
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        active = [found.certificate_id for found in listed if found.is_active(today)]
        if len(active) >= MOST_ACTIVE:
            raise Unusable(
                Failure(
                    f"Exchange the certificate of NetSuite account {self.hosts.realm}",
                    said=f"the integration record has {len(active)} active certificates ({', '.join(active)}), and"
                    f" {MOST_ACTIVE} are the most",
                    what_to_do="Revoke one that nobody uses: Setup > Integration > Manage Authentication > OAuth "
                    "2.0 Client Credentials (M2M) Setup.",
                )
            )

    def _new_files(self) -> tuple[Path, Path]:
        """Names for the new key and certificate beside the configured key, which none has yet."""
        old = self.configured.private_key_file
        day = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%d")
        for serial in range(1, 1000):
            name = f"{old.stem}.{day}" + (f".{serial}" if serial > 1 else "")
            key_file = old.with_name(f"{name}.pem")
            if not key_file.exists():
                return key_file, old.with_name(f"{name}.cer")
        raise VaultError(f"there is no free name for a new key beside {old}.")

    def _new(self, journal: Journal, certificate_id: str) -> UsedKey:
        return UsedKey(
            self.configured.client_id,
            certificate_id,
            Path(journal.key_file).read_bytes(),
            self.configured.algorithm,
        )

    def _auth(self, used: UsedKey) -> ClientCredentials:
        return ClientCredentials(
            self.hosts,
            used.client_id,
            used.certificate_id,
            used.private_key,
            algorithm=used.algorithm,
            clock=self.clock,
        )

    async def _sign_in(self, used: UsedKey, http: httpx.AsyncClient) -> None:
        await self._auth(used).authorization("GET", self.hosts.token_url, http)

    def _endpoint(self, auth: Auth, http: httpx.AsyncClient) -> CertificateEndpoint:
        return CertificateEndpoint(self.hosts, self.configured.client_id, auth, http, self.governor)
