"""Secrets that must outlive a process (refresh tokens), encrypted in a folder of their own.

Here: one encrypted file a secret, replaced whole, and a lock for the processes that use it. Not here: what the
secrets mean. The key comes from an environment variable and stands in no file.
"""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from filelock import FileLock, Timeout

FOLDER: Final = "RECON_SECRETS"
KEY: Final = "RECON_SECRET_KEY"
DEFAULT_FOLDER: Final = "ledger/secrets"
_NEW_KEY: Final = "make one with `openssl rand -base64 32`, keep it where passwords are kept"


class VaultError(Exception):
    """A stored secret cannot be read or written; the message says why and what to do, and holds no secret."""


def secrets_folder(environ: Mapping[str, str]) -> Path:
    """The folder that RECON_SECRETS names, else ``ledger/secrets``."""
    return Path(environ.get(FOLDER) or DEFAULT_FOLDER)


def write_private(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step, readable by its owner alone; a crash leaves the old or the new."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    with suppress(OSError):  # a file system that cannot sync a folder has still replaced the file
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@dataclass(frozen=True)
class Vault:
    """Encrypted files in ``folder``.

    ``keys`` are 32 random bytes each in base64: the first encrypts, all decrypt, so that a key is changed by
    putting the new one first. Names are given by us, never by a user.
    """

    folder: Path
    keys: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """The vault that the environment describes; ``RECON_SECRET_KEY`` may hold several keys with commas between."""
        keys = tuple(key.strip() for key in environ.get(KEY, "").split(",") if key.strip())
        return cls(secrets_folder(environ), keys)

    def path(self, name: str) -> Path:
        """The file of a secret."""
        return self.folder / f"{name}.secret"

    def check(self) -> None:
        """Raise ``VaultError`` unless secrets can be encrypted and the folder be written."""
        self._cipher()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise VaultError(
                f"the folder of secrets {self.folder} cannot be made: {error.strerror}."
            ) from None
        if not os.access(self.folder, os.W_OK):
            raise VaultError(f"the folder of secrets {self.folder} cannot be written; mend its permissions.")

    def read(self, name: str) -> bytes | None:
        """The secret, ``None`` when there is none. Raises ``VaultError`` when it cannot be read."""
        path = self.path(name)
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VaultError(f"the stored secret {path} cannot be read: {error.strerror}.") from None
        try:
            return self._cipher().decrypt(sealed)
        except InvalidToken:
            raise VaultError(
                f"the stored secret {path} cannot be decrypted: {KEY} is not the key that it was stored with, or the "
                "file is damaged. Set the right key, or delete the file and store the secret anew."
            ) from None

    def write(self, name: str, secret: bytes) -> None:
        """Store the secret in place of what was there, in one step."""
        sealed = self._cipher().encrypt(secret)
        path = self.path(name)
        try:
            write_private(path, sealed)
        except OSError as error:
            raise VaultError(f"the secret {path} cannot be stored: {error.strerror}.") from None

    @contextmanager
    def locked(self, name: str, seconds: float = 120.0) -> Iterator[None]:
        """Hold a secret against every other process and thread; it is freed when its holder dies."""
        path = self.folder / f"{name}.lock"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(path, timeout=seconds):
                yield
        except Timeout:
            raise VaultError(
                f"another process has held the secret {self.path(name)} for {seconds:.0f} seconds; try again later."
            ) from None
        except OSError as error:
            raise VaultError(f"the lock {path} cannot be taken: {error.strerror}.") from None

    def _cipher(self) -> MultiFernet:
        if not self.keys:
            raise VaultError(f"the environment variable {KEY} is not set: {_NEW_KEY}, and set it.")
        return MultiFernet([_fernet(key) for key in self.keys])


def _fernet(key: str) -> Fernet:
    try:
        raw = base64.b64decode(key.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise VaultError(f"{KEY} is not a key of 32 bytes in base64: {_NEW_KEY}, and set it.")
    return Fernet(base64.urlsafe_b64encode(raw))
