"""When a tenant's NetSuite credentials end, and what to do before: for the command line and for sensors.

Here: dates from what is known on this machine (certificates, the stored consent, NetSuite's announced releases).
Nothing is sent. Not here: alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from resources.netsuite.authorization_code import Consents
from resources.netsuite.certificates import Configured, TenantFiles, known_last_day, replacement
from resources.netsuite.hosts import Hosts
from resources.netsuite.keys import last_day
from resources.netsuite.vault import Vault, VaultError
from resources.sign_in import certificate_settings, consent_app
from resources.tenants import CertificateSecrets, ConsentSecrets, Tenant

NO_NEW_TBA: Final = date(2027, 1, 1)
"""Release 2027.1, the earliest day on which an account may have it (NetSuite facts: releases and end-of-life dates)."""
END_OF_TBA: Final = date(2028, 1, 1)
"""Release 2028.1, likewise; Oracle calls it tentative."""


CERTIFICATE_NOTICE: Final = 60
"""Days before its end from which a certificate is worth a word: NetSuite's own mails begin two months before."""
TBA_NOTICE: Final = 180
"""Days before a release that takes a way of signing in away: moving to another one is a project."""


@dataclass(frozen=True, slots=True)
class CredentialDate:
    """One credential and its end.

    `expires_on` is the last day (UTC) on which it can be relied on, `None` when it is not known; `what_to_do` then
    says how to make it known. `notice` is how many days before its end it is time to act. `certificate_id` tells one
    certificate from another; it is for the person at the command line. Nothing else here names a credential.
    """

    what: str
    tenant: str
    expires_on: date | None
    what_to_do: str
    notice: int
    certificate_id: str = ""

    def days_left(self, today: date) -> int | None:
        """Days from `today` to the end; negative after it."""
        return None if self.expires_on is None else (self.expires_on - today).days

    def is_due(self, today: date) -> bool:
        """Whether it is time to act: it ends within its notice, has ended, or nobody knows when it ends."""
        left = self.days_left(today)
        return left is None or left <= self.notice


def credential_calendar(
    tenant: Tenant, environ: Mapping[str, str], clock: Callable[[], float]
) -> list[CredentialDate]:
    """The dates of the tenant's NetSuite credentials, the earliest first, those unknown before all.

    `clock` gives seconds since 1970. Raises `TenantError` for a variable that is not set.
    """
    secrets = tenant.load_netsuite_credentials(environ).netsuite
    if isinstance(secrets, CertificateSecrets):
        configured = certificate_settings(tenant, environ)
        assert configured is not None
        found = [_certificate(tenant, environ, configured, secrets)]
    elif isinstance(secrets, ConsentSecrets):
        found = [_consent(tenant, environ, secrets, clock())]
    else:
        found = _token_based(tenant)
    return sorted(found, key=lambda entry: (entry.expires_on or date.min, entry.what))


def _certificate(
    tenant: Tenant, environ: Mapping[str, str], configured: Configured, secrets: CertificateSecrets
) -> CredentialDate:
    files = TenantFiles.of(environ, tenant.name)
    try:
        instead = replacement(configured, files)
        certificate_id = instead.certificate_id if instead else configured.certificate_id
        ends = known_last_day(files, configured.client_id, certificate_id)
    except VaultError as error:
        return CredentialDate("certificate", tenant.name, None, f"{error}", CERTIFICATE_NOTICE)
    if ends is None and instead is None:
        # The file that the settings name, or the certificate in the key's own file.
        for path in (secrets.certificate_file, secrets.private_key_file):
            try:
                ends = last_day(path.read_bytes()) if path is not None and ends is None else ends
            except OSError:
                continue
    if ends is None:
        what_to_do = (
            f"Run `recon credentials {tenant.name} --ask` to ask NetSuite when it ends, or name the certificate's "
            "file as netsuite.auth.certificate_file."
        )
    else:
        what_to_do = f"Run `recon rotate {tenant.name}` before that day."
    return CredentialDate(
        "certificate", tenant.name, ends, what_to_do, CERTIFICATE_NOTICE, certificate_id=certificate_id
    )


def _consent(
    tenant: Tenant, environ: Mapping[str, str], secrets: ConsentSecrets, now: float
) -> CredentialDate:
    connect = f"Run `recon connect {tenant.name}`"
    # A consent may live for days only: a quarter of its life is notice enough.
    notice = max(1, round(consent_app(secrets).refresh_seconds / 86_400 / 4))
    try:
        held = Consents(Vault.of(environ), tenant.name).read()
    except VaultError as error:
        return CredentialDate("consent", tenant.name, None, str(error), notice)
    expected = (Hosts(tenant.netsuite.account).realm, secrets.client_id.get_secret_value())
    if held is None or (held.account, held.client_id) != expected:
        today = datetime.fromtimestamp(now, UTC).date()
        return CredentialDate(
            "consent", tenant.name, today, f"There is none for this integration: {connect}.", notice
        )
    ends = datetime.fromtimestamp(held.refresh_until, UTC).date()
    what_to_do = f"{connect} before that day."
    if secrets.client_secret is None:
        what_to_do = f"Each run renews it; {connect} if none ran before that day."
    return CredentialDate("consent (refresh token)", tenant.name, ends, what_to_do, notice)


def _token_based(tenant: Tenant) -> list[CredentialDate]:
    move = (
        "move to oauth2_client_credentials: an integration record with a certificate, then the tenant's file"
    )
    return [
        CredentialDate(
            "token-based authentication: new integrations",
            tenant.name,
            NO_NEW_TBA,
            "From release 2027.1 on, no new integration can use it; this one goes on. Make any that is still "
            "needed before.",
            TBA_NOTICE,
        ),
        CredentialDate(
            "token-based authentication",
            tenant.name,
            END_OF_TBA,
            f"Release 2028.1 ends it (Oracle calls the date tentative): {move}.",
            TBA_NOTICE,
        ),
    ]
