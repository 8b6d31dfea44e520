"""How a tenant signs in to NetSuite: its settings and the environment made into one of the three ways.

Here: which credentials a tenant's file names, read afresh whenever they are needed, so that exchanged ones are used
without a restart. Not here: the ways themselves (`netsuite/`), or when credentials end (`credential_calendar.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from resources.netsuite.auth import Auth, BadKey, ClientCredentials, UsedKey
from resources.netsuite.authorization_code import App, AuthorizationCode, Consents
from resources.netsuite.certificates import Configured, TenantFiles, used_key
from resources.netsuite.hosts import Hosts
from resources.netsuite.tba import TbaCredentials, TokenBased
from resources.netsuite.vault import Vault, VaultError
from resources.tenants import (
    CertificateSecrets,
    ConsentSecrets,
    NetSuiteSecrets,
    Problem,
    TbaSecrets,
    Tenant,
    TenantError,
)

S = TypeVar("S", CertificateSecrets, ConsentSecrets, TbaSecrets)
R = TypeVar("R")


def netsuite_hosts(tenant: Tenant, environ: Mapping[str, str]) -> Hosts:
    """The addresses of the tenant's account. Raises `TenantError`."""
    base_url = tenant.load_netsuite_credentials(environ).netsuite_base_url
    try:
        return Hosts(tenant.netsuite.account, base_url or "")
    except ValueError as error:
        place = tenant.place("netsuite", "base_url")
        raise TenantError([Problem.at(place, str(error))]) from None


def netsuite_auth(tenant: Tenant, environ: Mapping[str, str], hosts: Hosts | None = None) -> Auth:
    """The tenant's way of signing in; nothing is sent before the first request.

    `environ` is read again whenever credentials are needed. Raises `TenantError`, naming the line of the tenant's
    file, for a variable that is not set or a key that cannot be used.
    """
    hosts = hosts or netsuite_hosts(tenant, environ)
    secrets = _secrets(tenant, environ)
    if isinstance(secrets, CertificateSecrets):
        return _client_credentials(tenant, environ, hosts)
    if isinstance(secrets, ConsentSecrets):
        read_app = _lasting(lambda: consent_app(_of_kind(tenant, environ, ConsentSecrets)))
        return AuthorizationCode(hosts, read_app, Consents(Vault.of(environ), tenant.name))
    return TokenBased(hosts, _lasting(lambda: _tba(_of_kind(tenant, environ, TbaSecrets))))


def certificate_settings(tenant: Tenant, environ: Mapping[str, str]) -> Configured | None:
    """The certificate that the tenant's settings name; `None` for another way of signing in."""
    secrets = _secrets(tenant, environ)
    return _configured(tenant, secrets) if isinstance(secrets, CertificateSecrets) else None


def consent_app(secrets: ConsentSecrets) -> App:
    """The integration record of the authorization code grant."""
    client_secret = secrets.client_secret.get_secret_value() if secrets.client_secret else None
    return App(secrets.client_id.get_secret_value(), client_secret, secrets.refresh_token_hours)


def _client_credentials(tenant: Tenant, environ: Mapping[str, str], hosts: Hosts) -> ClientCredentials:
    files = TenantFiles.of(environ, tenant.name)

    def now() -> UsedKey:
        return used_key(_configured(tenant, _of_kind(tenant, environ, CertificateSecrets)), files)

    def reread() -> UsedKey:
        try:
            return now()
        except (TenantError, VaultError) as error:
            raise ValueError(str(error)) from error

    place = tenant.place("netsuite", "auth", "private_key_file")
    try:
        first = now()
    except OSError as error:
        message = f"the private key file {error.filename} cannot be read: {error.strerror}"
        raise TenantError([Problem.at(place, message)]) from None
    except VaultError as error:
        raise TenantError([Problem.at(place, str(error))]) from None
    try:
        return ClientCredentials(
            hosts,
            first.client_id,
            first.certificate_id,
            first.private_key,
            algorithm=first.algorithm,
            reread=reread,
        )
    except BadKey as error:
        key_file = _of_kind(tenant, environ, CertificateSecrets).private_key_file
        raise TenantError([Problem.at(place, f"the private key file {key_file}: {error}")]) from None


def _configured(tenant: Tenant, secrets: CertificateSecrets) -> Configured:
    return Configured(
        account=Hosts(tenant.netsuite.account).realm,
        client_id=secrets.client_id.get_secret_value(),
        certificate_id=secrets.certificate_id.get_secret_value(),
        private_key_file=secrets.private_key_file,
        algorithm=secrets.algorithm,
    )


def _tba(secrets: TbaSecrets) -> TbaCredentials:
    return TbaCredentials(
        secrets.consumer_key.get_secret_value(),
        secrets.consumer_secret.get_secret_value(),
        secrets.token_id.get_secret_value(),
        secrets.token_secret.get_secret_value(),
    )


def _lasting(read: Callable[[], R]) -> Callable[[], R]:
    """`read`, and what it gave last while a variable is missing in mid-run. Raises `TenantError` at first."""
    last = read()

    def again() -> R:
        nonlocal last
        try:
            last = read()
        except TenantError:
            return last
        return last

    return again


def _secrets(tenant: Tenant, environ: Mapping[str, str]) -> NetSuiteSecrets:
    return tenant.load_netsuite_credentials(environ).netsuite


def _of_kind(tenant: Tenant, environ: Mapping[str, str], kind: type[S]) -> S:
    secrets = _secrets(tenant, environ)
    assert isinstance(secrets, kind)
    return secrets
