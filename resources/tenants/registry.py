"""The tenants of a folder: `tenants/<name>.yaml`, each over the base files that it extends.

Here: finding and reading files, the tenant as the rest of the project sees it, and its credentials. Not here: YAML
itself (`source.py`), the settings' meaning (`models.py`), or what is said about a mistake (`checks.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from resources.tenants.checks import locate, validated
from resources.tenants.models import ReconcileSettings, TenantSettings
from resources.tenants.rules import RecordRules
from resources.tenants.source import (
    Node,
    Place,
    Problem,
    Scalar,
    TenantError,
    decode,
    merge,
    nearest,
    read_document,
    shown,
    without_nulls,
)
from resources.tenants.systems import (
    AuthorizationCodeSettings,
    AuthSettings,
    BillingSettings,
    ClientCredentialsSettings,
    NetSuiteSettings,
)
from resources.tenants.values import REFERENCE
from resources.tenants.writeback import WritebackSettings

TENANT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
BASE_NAME: Final = re.compile(r"_[a-z0-9][a-z0-9_-]{0,62}")

MAX_BYTES: Final = 2_000_000
MAX_LEVELS: Final = 100


@dataclass(frozen=True)
class CertificateSecrets:
    """OAuth 2.0 client credentials, as the environment gives them."""

    client_id: SecretStr
    certificate_id: SecretStr
    private_key_file: Path
    certificate_file: Path | None
    algorithm: str | None


@dataclass(frozen=True)
class ConsentSecrets:
    """OAuth 2.0 authorization code, as the environment gives it; the consent itself is stored elsewhere."""

    client_id: SecretStr
    client_secret: SecretStr | None
    redirect_uri: str
    refresh_token_hours: int | None


@dataclass(frozen=True)
class TbaSecrets:
    """Token-based authentication, as the environment gives it."""

    consumer_key: SecretStr
    consumer_secret: SecretStr
    token_id: SecretStr
    token_secret: SecretStr


NetSuiteSecrets = CertificateSecrets | ConsentSecrets | TbaSecrets


@dataclass(frozen=True)
class NetSuiteCredentials:
    """A tenant's resolved values for NetSuite. Secrets do not show in a repr."""

    netsuite_base_url: str | None
    netsuite: NetSuiteSecrets


@dataclass(frozen=True)
class Credentials(NetSuiteCredentials):
    """A tenant's resolved connection values. Secrets do not show in a repr."""

    billing_url: SecretStr


@dataclass(frozen=True)
class EffectiveValue:
    """One value of the effective result and the file that it comes from."""

    path: str
    value: Scalar
    place: Place


@dataclass(frozen=True)
class Tenant:
    """One tenant: its settings, where each of them is written, and the hash of the effective result.

    `source` is the text of the tenant's own file. Credentials stay references until `load_credentials`.
    """

    settings: TenantSettings
    tree: Node
    source: str
    environ: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"Tenant({self.name!r}, hash={self.hash[:12]!r})"

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def timezone(self) -> str:
        """IANA name."""
        return self.settings.timezone

    @property
    def first_month(self) -> str:
        """The first month that is reconciled, YYYY-MM."""
        return self.settings.first_month

    @property
    def netsuite(self) -> NetSuiteSettings:
        return self.settings.netsuite

    @property
    def billing(self) -> BillingSettings:
        return self.settings.billing

    @property
    def reconcile(self) -> ReconcileSettings:
        return self.settings.reconcile

    @property
    def writeback(self) -> WritebackSettings:
        return self.settings.writeback

    @property
    def currency_precision(self) -> Mapping[str, int]:
        """Decimal places by ISO 4217 code, where NetSuite's differ from the standard's."""
        return self.settings.currency_precision

    @property
    def records(self) -> Mapping[str, RecordRules]:
        """The mapping's rules by record type, in the order of the file."""
        return {str(name): rules for name, rules in self.settings.records.items()}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the effective result: the same for every way to write it, references unresolved."""
        canonical = self.settings.model_dump(mode="json", by_alias=True)
        text = json.dumps(canonical, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def place(self, *path: str | int) -> Place:
        """Where the value at `path` is written, or the nearest thing around it that is."""
        return locate(self.tree, path)[0].place

    def key_place(self, *path: str | int) -> Place:
        """Where the key of the value at `path` is written, or the nearest thing around it that is."""
        node, rest = locate(self.tree, path)
        return node.place if rest else node.key

    @property
    def effective(self) -> dict[str, Any]:
        """The effective result as plain values: what a version of the tenant was."""
        plain: dict[str, Any] = self.settings.model_dump(mode="json", by_alias=True, exclude_none=True)
        return plain

    def effective_values(self) -> list[EffectiveValue]:
        """Every value as it counts after all bases, with the file and line that gave it."""
        return list(_leaves(self.tree, ()))

    def load_credentials(self, environ: Mapping[str, str] | None = None) -> Credentials:
        """The values behind the `${NAME}` references, from `environ` (else from what `load` was given).

        Raises `TenantError` naming every variable that is not set, with its file and line.
        """
        resolve = self._references(environ)
        netsuite = self._netsuite(resolve)
        billing_url = SecretStr(resolve(self.billing.url, "billing", "url"))
        resolve.check()
        return Credentials(netsuite.netsuite_base_url, netsuite.netsuite, billing_url)

    def load_netsuite_credentials(self, environ: Mapping[str, str] | None = None) -> NetSuiteCredentials:
        """NetSuite's part of `load_credentials`, for what needs no billing system."""
        resolve = self._references(environ)
        found = self._netsuite(resolve)
        resolve.check()
        return found

    def _netsuite(self, resolve: _References) -> NetSuiteCredentials:
        base_url = self.netsuite.base_url
        return NetSuiteCredentials(
            netsuite_base_url=resolve(base_url, "netsuite", "base_url") if base_url else None,
            netsuite=_netsuite_secrets(self.netsuite.auth, resolve),
        )

    def _references(self, environ: Mapping[str, str] | None) -> _References:
        variables = environ if environ is not None else self.environ
        if variables is None:
            raise ValueError("load_credentials needs the environment to read")
        return _References(self, variables)


class _References:
    """Resolves `${NAME}` references and collects those that are not set."""

    def __init__(self, tenant: Tenant, variables: Mapping[str, str]) -> None:
        self._tenant = tenant
        self._variables = variables
        self._problems: list[Problem] = []

    def __call__(self, text: str, *path: str) -> str:
        for name in REFERENCE.findall(text):
            if not self._variables.get(name):
                message = (
                    f"the environment variable {name} is not set; set it before starting"
                    f" (it gives {'.'.join(path)} of tenant {self._tenant.name})"
                )
                self._problems.append(Problem.at(self._tenant.place(*path), message))
        return REFERENCE.sub(lambda found: self._variables.get(found[1], ""), text)

    def check(self) -> None:
        """Raise `TenantError` when any was not set."""
        if self._problems:
            raise TenantError(self._problems)


def _netsuite_secrets(auth: AuthSettings, resolve: _References) -> NetSuiteSecrets:
    def text(name: str) -> str:
        return resolve(getattr(auth, name), "netsuite", "auth", name)

    def secret(name: str) -> SecretStr:
        return SecretStr(text(name))

    if isinstance(auth, ClientCredentialsSettings):
        return CertificateSecrets(
            client_id=secret("client_id"),
            certificate_id=secret("certificate_id"),
            private_key_file=Path(text("private_key_file")),
            certificate_file=Path(text("certificate_file")) if auth.certificate_file else None,
            algorithm=auth.algorithm,
        )
    if isinstance(auth, AuthorizationCodeSettings):
        return ConsentSecrets(
            client_id=secret("client_id"),
            client_secret=secret("client_secret") if auth.client_secret else None,
            redirect_uri=auth.redirect_uri,
            refresh_token_hours=auth.refresh_token_hours,
        )
    return TbaSecrets(
        consumer_key=secret("consumer_key"),
        consumer_secret=secret("consumer_secret"),
        token_id=secret("token_id"),
        token_secret=secret("token_secret"),
    )


class TenantRegistry:
    """The tenants of one folder. Files are read when a tenant is loaded, never to list the names."""

    def __init__(self, path: str | Path) -> None:
        self.root = Path(path)
        self._read: dict[Path, tuple[tuple[int, int], Node, str]] = {}

    def names(self) -> list[str]:
        """The tenants in order, by file name alone; a leading underscore marks a base file.

        Raises `TenantError` when there is no such folder.
        """
        return sorted(path.stem for path in self._files() if TENANT_NAME.fullmatch(path.stem))

    def misnamed(self) -> list[Problem]:
        """Files that look like tenants but have a name that cannot be one, and are therefore not listed."""
        problems = []
        for path in self._files(".yaml", ".yml"):
            stem = path.stem
            if path.suffix == ".yml":
                problems.append(Problem(self._shown(path), 1, 1, f"rename it to {stem}.yaml to be read"))
            elif not TENANT_NAME.fullmatch(stem) and not BASE_NAME.fullmatch(stem):
                problems.append(Problem(self._shown(path), 1, 1, _bad_name(stem)))
        return sorted(problems)

    def base_problems(self) -> list[Problem]:
        """What is wrong with base files as they stand, so that one which no tenant extends is read too."""
        problems: list[Problem] = []
        for path in self._files():
            if BASE_NAME.fullmatch(path.stem):
                try:
                    self._extended(self._document(path)[0], [path.name])
                except TenantError as error:
                    problems += error.problems
        return sorted(set(problems))

    def load(self, name: str, environ: Mapping[str, str] | None = None) -> Tenant:
        """The tenant `name` as its file says now; raises `TenantError` with every mistake.

        `environ` is only remembered, for `Tenant.load_credentials`.
        """
        path = self.root / f"{name}.yaml"
        file = self._shown(path)
        if not TENANT_NAME.fullmatch(name):
            raise TenantError([Problem(file, 1, 1, _bad_name(name))])
        if not path.is_file():
            raise TenantError(
                [Problem(file, 1, 1, f"there is no tenant '{name}'{nearest(name, self.names())}")]
            )
        own, source = self._document(path)
        tree = without_nulls(self._extended(own, [f"{name}.yaml"]))
        return Tenant(validated(tree, name), tree, source, environ)

    def _files(self, *suffixes: str) -> list[Path]:
        try:
            entries = list(self.root.iterdir())
        except OSError as error:
            raise TenantError(
                [Problem(str(self.root), 1, 1, f"the folder of tenants cannot be read ({error.strerror})")]
            ) from None
        wanted = suffixes or (".yaml",)
        return [path for path in entries if path.suffix in wanted and path.is_file()]

    def _shown(self, path: Path) -> str:
        """A file as people name it: with its folder, wherever that is."""
        return f"{path.parent.name}/{shown(path.name)}" if path.parent.name else shown(path.name)

    def _document(self, path: Path) -> tuple[Node, str]:
        file = self._shown(path)
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            known = self._read.get(path)
            if known is not None and known[0] == stamp:
                return known[1], known[2]
            if status.st_size > MAX_BYTES:
                message = f"the file has {status.st_size:,} bytes; a tenant's file has at most {MAX_BYTES:,}"
                raise TenantError([Problem(file, 1, 1, message)])
            data = path.read_bytes()
        except OSError as error:
            raise TenantError([Problem(file, 1, 1, f"the file cannot be read ({error.strerror})")]) from None
        text = decode(data, file)
        node = read_document(text, file)
        self._read[path] = (stamp, node, text)
        return node, text

    def _extended(self, node: Node, chain: list[str]) -> Node:
        """`node` over everything that it extends; `chain` is the files on the way here."""
        extends = node.get("extends")
        if extends is None:
            return node
        assert isinstance(node.value, Mapping)
        own = Node(
            {key: value for key, value in node.value.items() if key != "extends"}, node.place, node.key
        )
        base = extends.value
        if base is None:
            return own
        if not isinstance(base, str) or not BASE_NAME.fullmatch(base):
            message = "'extends' names one base file of this folder without its ending, such as _defaults"
            raise TenantError([Problem.at(extends.place, message)])
        file = f"{base}.yaml"
        if len(chain) > MAX_LEVELS:
            raise TenantError(
                [Problem.at(extends.place, f"'extends' goes more than {MAX_LEVELS} levels deep")]
            )
        if file in chain:
            circle = " -> ".join([*chain[chain.index(file) :], file])
            raise TenantError([Problem.at(extends.place, f"'extends' goes round in a circle: {circle}")])
        path = self.root / file
        if not path.is_file():
            bases = [found.stem for found in self._files() if BASE_NAME.fullmatch(found.stem)]
            message = f"there is no base file {file}{nearest(base, bases)}"
            raise TenantError([Problem.at(extends.place, message)])
        below = self._extended(self._document(path)[0], [*chain, file])
        return merge(below, own)


def _bad_name(name: str) -> str:
    return (
        f"'{shown(name)}' cannot be a tenant's name: use lower-case letters, digits and hyphens,"
        " beginning with a letter or digit"
    )


def _leaves(node: Node, path: tuple[str, ...]) -> Iterator[EffectiveValue]:
    if isinstance(node.value, Mapping):
        for key, value in node.value.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(node.value, tuple):
        for index, value in enumerate(node.value):
            yield from _leaves(value, (*path, str(index)))
    else:
        yield EffectiveValue(".".join(path), node.value, node.place)
