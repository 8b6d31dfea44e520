"""Which certificate a tenant signs in with: the one that its settings name, or the one that a rotation put in its place.

Here: the state file of one tenant and what counts. Not here: exchanging certificates (``rotation``). The file holds
ids, paths and dates; the key stays in a file of its own.

The rule: a rotation's certificate stands for the configured one only as long as the settings still name the
certificate that it replaced. Whoever sets another certificate id by hand is obeyed at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from resources.netsuite.auth import UsedKey
from resources.netsuite.vault import VaultError, secrets_folder, write_private

S = TypeVar("S", bound=msgspec.Struct)


class Replacement(msgspec.Struct, frozen=True):
    """The certificate that a rotation put in place of those in ``replaces`` (all earlier ones, the latest last)."""

    account: str
    client_id: str
    replaces: tuple[str, ...]
    certificate_id: str
    private_key_file: str


@dataclass(frozen=True, slots=True)
class Configured:
    """What the tenant's settings name; ``account`` as the UI shows it."""

    account: str
    client_id: str
    certificate_id: str
    private_key_file: Path
    algorithm: str | None = None

    def __repr__(self) -> str:
        return f"Configured(account={self.account!r})"


@dataclass(frozen=True, slots=True)
class TenantFiles:
    """One tenant's files in the folder of secrets."""

    folder: Path
    tenant: str

    @classmethod
    def of(cls, environ: Mapping[str, str], tenant: str) -> Self:
        """The files in the folder that the environment names."""
        return cls(secrets_folder(environ), tenant)

    @property
    def replacement(self) -> Path:
        """Which certificate counts in place of the configured one."""
        return self.folder / f"{self.tenant}.certificate.json"

    @property
    def rotation(self) -> Path:
        """How far an exchange of certificates has come."""
        return self.folder / f"{self.tenant}.rotation.json"

    @property
    def last_days(self) -> Path:
        """The last days of the account's certificates, as its listing gave them."""
        return self.folder / f"{self.tenant}.certificate-dates.json"


def read_state(path: Path, kind: type[S]) -> S | None:
    """A state file, ``None`` when there is none. Raises ``VaultError`` when it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise VaultError(f"the file {path} cannot be read: {error}.") from None


def write_state(path: Path, state: msgspec.Struct) -> None:
    """Replace a state file in one step."""
    try:
        write_private(path, msgspec.json.format(msgspec.json.encode(state)))
    except OSError as error:
        raise VaultError(f"the file {path} cannot be written: {error.strerror}.") from None


def replacement(configured: Configured, files: TenantFiles) -> Replacement | None:
    """What stands for the configured certificate, if anything does."""
    state = read_state(files.replacement, Replacement)
    if (
        state is None
        or (state.account, state.client_id) != (configured.account, configured.client_id)
        or configured.certificate_id not in state.replaces
    ):
        return None
    return state


def used_key(configured: Configured, files: TenantFiles) -> UsedKey:
    """The credentials that count now, read from their files. Raises ``OSError`` and ``VaultError``."""
    state = replacement(configured, files)
    path = configured.private_key_file if state is None else Path(state.private_key_file)
    return UsedKey(
        configured.client_id,
        configured.certificate_id if state is None else state.certificate_id,
        path.read_bytes(),
        configured.algorithm,
    )


class LastDays(msgspec.Struct, frozen=True):
    """Last days of certificates by their ids, of one integration record."""

    client_id: str
    certificates: dict[str, date]


def remember_last_days(files: TenantFiles, client_id: str, days: Mapping[str, date]) -> None:
    """Keep what a listing or an upload said, for the calendar."""
    known = read_state(files.last_days, LastDays)
    before = known.certificates if known is not None and known.client_id == client_id else {}
    write_state(files.last_days, LastDays(client_id, {**before, **days}))


def known_last_day(files: TenantFiles, client_id: str, certificate_id: str) -> date | None:
    """The last day of a certificate where NetSuite has told it."""
    known = read_state(files.last_days, LastDays)
    if known is None or known.client_id != client_id:
        return None
    return known.certificates.get(certificate_id)
