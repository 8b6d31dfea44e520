"""The sensor that warns before a tenant's credentials end."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from resources.as_dagster import TenantsResource
from resources.credential_calendar import NO_NEW_TBA, CredentialDate
from resources.netsuite.authorization_code import Consents, StoredConsent
from resources.netsuite.keys import self_signed
from resources.netsuite.vault import Vault
from sensors.credentials import build_credential_sensors, warning

DAY = 86_400.0
NOW = 1_790_000_000.0
TODAY = datetime.fromtimestamp(NOW, UTC).date()
KEY = ec.generate_private_key(ec.SECP256R1())
CERTIFICATE = (
    "method: oauth2_client_credentials, client_id: '${NS_CLIENT_ID}', certificate_id: '${NS_CERT_ID}',"
    " private_key_file: '${NS_KEY_FILE}', certificate_file: '${NS_CERT_FILE}'"
)
CONSENT = (
    "method: oauth2_authorization_code, client_id: '${NS_CLIENT_ID}', client_secret: '${NS_CLIENT_SECRET}'"
)
TBA = (
    "method: tba, consumer_key: '${NS_CLIENT_ID}', consumer_secret: '${NS_CLIENT_SECRET}',"
    " token_id: '${NS_CERT_ID}', token_secret: '${NS_CLIENT_SECRET}'"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of tenants, none yet, and the variables that their files name. The certificate ends in 90 days."""
    monkeypatch.delenv("RECON_TENANTS", raising=False)
    (tmp_path / "tenants").mkdir()
    (tmp_path / "acme.cer").write_bytes(self_signed(KEY, "acme", 90, NOW))
    for name, value in {
        "NS_CLIENT_ID": "the-client",
        "NS_CLIENT_SECRET": "the-secret",
        "NS_CERT_ID": "the-certificate-id",
        "NS_KEY_FILE": str(tmp_path / "acme.pem"),
        "NS_CERT_FILE": str(tmp_path / "acme.cer"),
        "RECON_SECRETS": str(tmp_path / "secrets"),
        "RECON_SECRET_KEY": base64.b64encode(b"s" * 32).decode(),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def tenant(folder: Path, name: str, auth: str) -> None:
    (folder / "tenants" / f"{name}.yaml").write_text(
        f"tenant: {name}\ntimezone: UTC\nfirst_month: 2026-01\n"
        f"netsuite:\n  account: 1234567_SB1\n  auth: {{{auth}}}\n"
        "billing:\n  system: sql\n  url: ${BILLING_URL}\n  tables:\n    customers: {table: customers}\n"
        "    invoices: {table: invoices}\n    invoice_lines: {table: invoice_lines}\n"
        "records:\n  customer:\n    external_id: 'cus-{id}'\n    fields:\n      companyName: {from: name}\n",
        encoding="utf-8",
    )


def tick(folder: Path, days: float = 0) -> str:
    """What Dagster shows as the outcome of a tick so many days from now."""
    (sensor,) = build_credential_sensors(lambda: NOW + days * DAY)
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(
            instance=instance, resources={"tenants": TenantsResource(path=str(folder / "tenants"))}
        ) as context,
    ):
        answer = sensor.evaluate_tick(context)
    assert not answer.run_requests
    assert answer.skip_message is not None
    assert not re.search("the-(client|secret|certificate-id)", answer.skip_message)
    return answer.skip_message


def test_a_certificate_is_told_two_months_before_it_ends_and_what_to_do(folder: Path) -> None:
    tenant(folder, "acme", CERTIFICATE)
    ends = TODAY + timedelta(days=90)
    assert (
        tick(folder, 29) == f"No credential of 1 tenant ends soon. The next is acme, certificate, on {ends}."
    )
    said = f"acme, certificate: it ends on {ends}, in 60 days. Run `recon rotate acme` before that day."
    assert tick(folder, 30) == said
    assert "in 1 day." in tick(folder, 89)
    assert "it ends today." in tick(folder, 90)
    assert f"it ended on {ends}. Run `recon rotate acme`" in tick(folder, 91)


def test_a_certificate_whose_end_nobody_knows_is_told(folder: Path) -> None:
    tenant(folder, "acme", CERTIFICATE)
    (folder / "acme.cer").unlink()
    said = tick(folder)
    assert said.startswith(
        "acme, certificate: nobody here knows when it ends. Run `recon credentials acme --ask`"
    )


def test_a_consent_is_told_in_the_last_quarter_of_its_life(folder: Path) -> None:
    """It lives for seven days: two months of notice would be a warning for ever."""
    tenant(folder, "acme", CONSENT)
    assert "There is none for this integration: Run `recon connect acme`" in tick(folder)
    vault = Vault(folder / "secrets", (base64.b64encode(b"s" * 32).decode(),))
    Consents(vault, "acme").write(
        StoredConsent("1234567_SB1", "the-client", "the-secret-token", NOW + 7 * DAY, NOW)
    )
    assert tick(folder, 4).startswith("No credential of 1 tenant ends soon.")
    assert tick(folder, 5).startswith("acme, consent (refresh token): it ends on ")


def test_the_end_of_token_based_authentication_is_told_half_a_year_before(folder: Path) -> None:
    tenant(folder, "acme", TBA)
    before = (NO_NEW_TBA - TODAY).days
    assert tick(folder, before - 181).startswith("No credential")
    said = tick(folder, before - 180)
    assert said.startswith(
        "acme, token-based authentication: new integrations: it ends on 2027-01-01, in 180"
    )
    assert "\n" not in said
    assert tick(folder, before + 365 - 180).count("\n") == 1


def test_one_tenants_mistake_hides_no_others_certificate(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant(folder, "acme", CERTIFICATE.replace("NS_CERT_ID", "NS_NOT_SET"))
    tenant(folder, "globex", CERTIFICATE)
    (folder / "tenants" / "initech.yaml").write_text("tenant: initech\nnonsense: 1\n", encoding="utf-8")
    first, second, *third = tick(folder, 60).splitlines()
    assert first.startswith("acme: its credentials cannot be looked up. ")
    assert "the environment variable NS_NOT_SET is not set" in first
    assert second.startswith("globex, certificate: it ends on ")
    assert third[0].startswith("initech: its credentials cannot be looked up. ")


def test_without_tenants_nothing_is_said_to_end(folder: Path) -> None:
    assert tick(folder) == "No credential of 0 tenants ends soon."


@given(left=st.integers(-1000, 1000), notice=st.integers(0, 400))
def test_what_is_due_is_what_ends_within_its_notice(left: int, notice: int) -> None:
    entry = CredentialDate("certificate", "acme", TODAY + timedelta(days=left), "Do it.", notice)
    assert entry.is_due(TODAY) == (left <= notice)
    said = warning(entry, TODAY)
    assert said.startswith("acme, certificate: it end")
    assert said.endswith(". Do it.")
    assert (str(left) in said) or left <= 0
    assert CredentialDate("certificate", "acme", None, "Ask.", notice).is_due(date.max)


def test_the_sensor_runs_by_itself_four_times_a_day() -> None:
    (sensor,) = build_credential_sensors()
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 6 * 3600
    assert list(sensor.targets) == []
