"""The preflight against the sandbox: what a role lacks, what a copy of an account lost, and what is as it should be."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_account import pem
from hypothesis import given
from hypothesis import strategies as st
from month import NOW as LANDED
from month import Month
from sqlalchemy import create_engine
from typer.testing import CliRunner

from demo.billing_tables import LAYOUTS
from netsuite_assets.cli_check import last_read
from netsuite_assets.extract.needs import needs_of
from netsuite_assets.mapping.compiler import compile_mapping
from netsuite_assets.publish.mart import publish
from resources.ledger import Ledger
from resources.netsuite.auth import Auth, ClientCredentials
from resources.netsuite.authorization_code import App, AuthorizationCode, Consents, StoredConsent
from resources.netsuite.client import NetSuite
from resources.netsuite.findings import ColumnsNeed, Finding, Needs, Report
from resources.netsuite.governor import Backoff, Governor
from resources.netsuite.hosts import Hosts
from resources.netsuite.preflight import preflight
from resources.netsuite.probes import date_format
from resources.netsuite.tba import TbaCredentials, TokenBased
from resources.netsuite.vault import Vault
from resources.tenants import TenantRegistry
from resources.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
ACCOUNT = "1234567_SB1"
KEY = ec.generate_private_key(ec.SECP256R1())

OAUTH2_LOGIN, TBA_LOGIN = "Log in using OAuth 2.0 Access Tokens", "Log in using Access Tokens"
#: What acme needs of its role, as NetSuite's role screen names it.
NEEDED = {
    "REST Web Services": "full",
    OAUTH2_LOGIN: "full",
    "SuiteAnalytics Workbook": "edit",
    "Find Transaction": "full",
    "Customers": "full",
    "Invoice": "full",
    "Credit Memo": "full",
    "Customer Payment": "full",
    "Make Journal Entry": "full",
    "Accounts": "view",
    "Currency": "view",
    "Subsidiaries": "view",
    "Items": "view",
    "Manage Accounting Periods": "view",
    "Departments": "view",
    "Classes": "view",
    "Locations": "view",
}
#: What makes the work better, as the role screen names it; and as the sandbox does, where it has another name.
OPTIONAL = {
    "Deleted Records": "view",
    "Revenue Arrangement": "view",
    "Revenue Recognition Plan": "view",
}
SANDBOX_NAMES = {"Revenue Arrangement": "Revenue Element"}
#: What NetSuite may ask for its payment terms and for a segment's values: no source confirms the one, and an account
#: decides on the other. The sandbox shows both to everybody.
UNCONFIRMED = {"Accounting Lists", "Custom Record Entries"}
NOT_NEEDED = {
    TBA_LOGIN: "full",
    "Sales Order": "view",
}
#: Tokens of token-based authentication, and what their roles lack.
TOKENS = {
    "tk_complete": "nothing",
    "tk_no_login": TBA_LOGIN,
    "tk_no_oauth": OAUTH2_LOGIN,
}


def client_id(name: str) -> str:
    return "without-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def matrix_profile() -> dict[str, Any]:
    """The shipped account, with one integration and role more for each permission taken away, and one that may read."""
    profile: dict[str, Any] = yaml.safe_load(
        (ROOT / "sandbox/profiles/oneworld.yaml").read_text(encoding="utf-8")
    )
    complete = {**NEEDED, **OPTIONAL, **NOT_NEEDED}
    variants: dict[str, dict[str, str]] = {
        name: {key: level for key, level in complete.items() if key != name} for name in complete
    }
    variants["nothing"] = dict(complete)
    variants["any write"] = {
        key: "view" if key in ("Customers", "Invoice", "Credit Memo") else level
        for key, level in complete.items()
    }
    for number, (name, allowed) in enumerate(variants.items()):
        granted = {SANDBOX_NAMES.get(key, key): level for key, level in allowed.items()}
        profile["roles"].append({"id": 2000 + number, "name": f"Without {name}", "permissions": granted})
        profile["integrations"].append(
            {"client_id": client_id(name), "name": f"Without {name}", "role": 2000 + number, "entity": 317}
        )
    profile["integrations"].append({"client_id": "administrator", "name": "A", "role": 3, "entity": 1})
    by_token = next(one for one in profile["integrations"] if one["client_id"] == "billing-integration")
    for token, name in TOKENS.items():
        role = next(role["id"] for role in profile["roles"] if role["name"] == f"Without {name}")
        by_token["tokens"].append({"id": token, "secret": "ts_invented", "role": role})
    return profile


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox."""

    url: str

    def check(
        self, client: str, needs: Needs, certificate: str = "", account: str = ACCOUNT, **options: Any
    ) -> Report:
        hosts = self.hosts(account)
        auth = ClientCredentials(hosts, client, certificate or f"cert-{client}", pem(KEY))
        return self.check_as(auth, hosts, needs, **options)

    def hosts(self, account: str = ACCOUNT) -> Hosts:
        return Hosts(account, f"{self.url}/{account.lower().replace('_', '-')}")

    def check_as(self, auth: Auth, hosts: Hosts, needs: Needs, **options: Any) -> Report:
        async def run() -> Report:
            governor = Governor(5, 1, backoff=Backoff(base=0.01, longest=0.1))
            async with NetSuite(hosts, auth, governor=governor) as ns:
                return await preflight(ns, needs, **options)

        return asyncio.run(run())


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("matrix")
    profile = matrix_profile()
    (folder / "matrix.yaml").write_text(yaml.safe_dump(profile, sort_keys=False), encoding="utf-8")
    public = folder / "public.pem"
    public.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    command = [sys.executable, "-m", "sandbox", "--profile", str(folder / "matrix.yaml"), "--port", "0"]
    command += ["--profile", "sandbox/profiles/single.yaml"]
    for integration in profile["integrations"]:
        name = integration["client_id"]
        command += ["--certificate", f"{ACCOUNT}:{name}:cert-{name}:{public}"]
    command += ["--certificate", f"TSTDRV7654321:usage-billing:cert-usage-billing:{public}"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        ready = re.search(r"ready at (http://\S+)", process.stdout.readline())
        assert ready is not None, "the sandbox did not start"
        try:
            yield Sandbox(ready[1])
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def needs() -> Needs:
    tenant = TenantRegistry(ROOT / "tenants").load("acme")
    return needs_of(tenant, compile_mapping(tenant))


def of(report: Report, area: str) -> dict[str, Finding]:
    return {finding.subject: finding for finding in report.findings if finding.area == area}


def missing(report: Report) -> set[str]:
    return {permission.name for permission in report.missing}


def permissions(report: Report) -> set[str]:
    """The permissions that a report found granted."""
    return {f.permission.name for f in report.findings if f.permission and f.status == "ok"}


def test_a_complete_role_lacks_nothing(sandbox: Sandbox, needs: Needs) -> None:
    assert permissions(sandbox.check(client_id("nothing"), needs)) == {*NEEDED, *OPTIONAL} | UNCONFIRMED
    report = sandbox.check(client_id("nothing"), needs, write_probes=True)
    assert report.ok
    assert missing(report) == set()
    assert {finding.status for finding in report.findings} <= {"ok", "unknown"}
    assert of(report, "feature")["OneWorld"].detail == "on"
    assert of(report, "feature")["Multiple Currencies"].detail == "3 currencies"
    assert list(of(report, "time zone")) == ["America/New_York"]
    assert list(of(report, "date format")) == ["MM/DD/YYYY"]
    assert of(report, "limit")["Concurrency"].status == "unknown"


@pytest.mark.parametrize("name", sorted({**NEEDED, **OPTIONAL}))
def test_the_report_names_exactly_the_permission_that_was_taken_away(
    sandbox: Sandbox, needs: Needs, name: str
) -> None:
    """The role matrix: every permission that acme needs, removed in turn."""
    report = sandbox.check(client_id(name), needs)
    in_question = {
        finding.permission.name
        for finding in report.findings
        if finding.permission and finding.status in ("missing", "failed", "warning")
    }
    assert in_question == {name}
    told = next(
        finding for finding in report.findings if finding.permission and finding.permission.name == name
    )
    assert told.stops
    if name in OPTIONAL:
        assert report.ok
        assert told.status == "warning"
        assert told.next_step.startswith("This one is optional.")
    else:
        assert not report.ok
    assert name in told.next_step
    assert "Manage Roles" in told.next_step


@pytest.mark.parametrize("name", sorted(NOT_NEEDED))
def test_a_permission_that_the_tenant_does_not_need_is_not_asked_for(
    sandbox: Sandbox, needs: Needs, name: str
) -> None:
    report = sandbox.check(client_id(name), needs, write_probes=True)
    assert report.ok
    assert missing(report) == set()


def test_write_probes_tell_a_role_that_may_only_read_and_write_nothing(
    sandbox: Sandbox, needs: Needs
) -> None:
    own = f"{sandbox.url}/1234567-sb1/sandbox/stats"
    before = httpx.get(own).json()["records"]
    assert sandbox.check(client_id("any write"), needs).ok
    report = sandbox.check(client_id("any write"), needs, write_probes=True)
    assert missing(report) == {"Customers", "Invoice", "Credit Memo"}
    assert {
        finding.permission.level
        for finding in report.findings
        if finding.status == "missing" and finding.permission
    } == {"Create"}
    assert httpx.get(own).json()["records"] == before


def test_an_administrator_is_told_so_and_knows_the_limit(sandbox: Sandbox, needs: Needs) -> None:
    report = sandbox.check("administrator", needs)
    assert report.ok
    assert [finding.status for finding in report.findings if finding.area == "role"] == ["warning"]
    assert of(report, "limit")["Concurrency"].detail == "15; the tenant's file uses 5"
    assert not sandbox.check("administrator", replace(needs, concurrency=40)).ok


def test_a_refreshed_sandbox_that_lost_its_certificate_is_recognised(sandbox: Sandbox, needs: Needs) -> None:
    worked = datetime(2026, 10, 31, 6, 5, tzinfo=UTC)
    report = sandbox.check(client_id("nothing"), needs, "cert-of-before", worked_before=worked)
    told = report.findings[-1]
    assert not report.ok
    assert (told.area, told.subject, told.status) == ("sign-in", "Certificate mapping", "failed")
    assert "refresh" in told.detail
    assert "2026-10-31 06:05 UTC" in told.detail
    assert "Client Credentials (M2M) Setup" in told.next_step


def by_token(sandbox: Sandbox, needs: Needs, token: str) -> Report:
    credentials = TbaCredentials("billing-integration", "cs_invented_0002", token, "ts_invented")
    hosts = sandbox.hosts()
    return sandbox.check_as(TokenBased(hosts, lambda: credentials), hosts, replace(needs, sign_in="tba"))


@pytest.mark.parametrize("token", ["tk_complete", "tk_no_oauth"])
def test_token_based_authentication_needs_a_permission_of_its_own(
    sandbox: Sandbox, needs: Needs, token: str
) -> None:
    report = by_token(sandbox, needs, token)
    assert report.ok
    assert permissions(report) == {*NEEDED, *OPTIONAL, TBA_LOGIN} - {OAUTH2_LOGIN} | UNCONFIRMED


def test_a_role_that_may_not_sign_in_by_token_is_told_the_permission(sandbox: Sandbox, needs: Needs) -> None:
    told = by_token(sandbox, needs, "tk_no_login").findings[-1]
    assert (told.area, told.status, told.stops) == ("sign-in", "failed", "Everything")
    assert told.permission is not None
    assert told.permission.name == TBA_LOGIN
    assert f"Permissions > Setup: {TBA_LOGIN}, level Full" in told.next_step
    assert "refresh" not in told.detail


def test_a_consent_that_is_over_is_no_lost_certificate(
    sandbox: Sandbox, needs: Needs, tmp_path: Path
) -> None:
    """A copy of a production account too: its consents have an end of their own."""
    hosts, app = sandbox.hosts(), App("billing-desktop")
    consents = Consents(Vault(tmp_path, (base64.b64encode(b"s" * 32).decode(),)), "acme")
    consents.write(StoredConsent(hosts.realm, app.client_id, "a-token-of-before", time.time() + 60, 0.0))
    auth = AuthorizationCode(hosts, lambda: app, consents)
    report = sandbox.check_as(auth, hosts, replace(needs, sign_in="oauth2_authorization_code"))
    told = report.findings[-1]
    assert (told.subject, told.status) == ("Credentials", "failed")
    assert "recon connect acme" in told.next_step
    assert "ertificate" not in told.detail + told.next_step


def test_a_production_account_is_not_told_of_a_refresh(sandbox: Sandbox, needs: Needs) -> None:
    report = sandbox.check("usage-billing", needs, "cert-gone", account="TSTDRV7654321")
    assert report.findings[-1].subject == "Credentials"
    assert not report.ok


def test_a_clock_that_is_off_is_told(sandbox: Sandbox, needs: Needs) -> None:
    report = sandbox.check(client_id("nothing"), needs, clock=lambda: time.time() + 120)
    assert of(report, "clock")["This machine's clock"].status == "warning"
    assert re.match(r"1[12]\d seconds ahead", of(report, "clock")["This machine's clock"].detail)


def test_one_company_whose_mapping_speaks_of_subsidiaries_is_told(sandbox: Sandbox, needs: Needs) -> None:
    plain = replace(
        needs,
        records=(),
        tables=tuple(n for n in needs.tables if n.table in ("transaction", "currency")),
        columns=(),
        timezone="Europe/London",
    )
    report = sandbox.check("usage-billing", plain, account="TSTDRV7654321")
    assert of(report, "feature")["OneWorld"].status == "failed"
    report = sandbox.check("usage-billing", replace(plain, maps_subsidiary=False), account="TSTDRV7654321")
    assert of(report, "feature")["OneWorld"] == Finding("feature", "OneWorld", "ok", "off")


def test_a_field_that_the_account_does_not_have_is_named_with_its_rule(
    sandbox: Sandbox, needs: Needs
) -> None:
    first = needs.columns[0]
    columns = ColumnsNeed(
        first.source,
        {**first.columns, "custentity_gone": "c.custentity_gone"},
        {**first.written_at, "custentity_gone": "tenants/acme.yaml:40"},
    )
    report = sandbox.check(client_id("nothing"), replace(needs, columns=(columns,)))
    assert list(of(report, "field")) == ["custentity_gone (tenants/acme.yaml:40)"]
    assert not report.ok


def test_an_account_that_does_not_answer_ends_the_check(needs: Needs) -> None:
    report = Sandbox("http://127.0.0.1:9").check(client_id("nothing"), needs)
    assert [finding.status for finding in report.findings] == ["failed"]
    assert "Nothing was sent" in report.findings[0].next_step


def test_no_credential_stands_in_a_report(sandbox: Sandbox, needs: Needs) -> None:
    reports = [
        sandbox.check(client_id("nothing"), needs),
        sandbox.check(client_id("nothing"), needs, "secret-cert"),
    ]
    for report in reports:
        assert not re.search(r"eyJ|Bearer|BEGIN|secret-cert", repr(report))


def empty_billing(folder: Path) -> str:
    """The address of a billing database as acme has it, without a row."""
    url = f"sqlite:///{folder}/billing.sqlite"
    LAYOUTS["acme"].tables.create_all(create_engine(url))
    return url


def test_the_command_prints_what_is_missing_and_ends_with_its_status(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netsuite_assets.cli import app

    key = tmp_path / "key.pem"
    key.write_bytes(pem(KEY))
    for name, value in {
        "ACME_NS_URL": f"{sandbox.url}/1234567-sb1",
        "ACME_NS_KEY_FILE": str(key),
        "ACME_BILLING_URL": empty_billing(tmp_path),
        "RECON_LEDGER": f"sqlite:///{tmp_path}/ledger.sqlite",
        "RECON_SECRETS": str(tmp_path / "secrets"),
        "RECON_WAREHOUSE": str(tmp_path / "warehouse"),
        "RECON_TENANTS": str(ROOT / "tenants"),
        "COLUMNS": "200",
    }.items():
        monkeypatch.setenv(name, value)

    def run(integration: str) -> tuple[int, str]:
        monkeypatch.setenv("ACME_NS_CLIENT_ID", integration)
        monkeypatch.setenv("ACME_NS_CERT_ID", f"cert-{integration}")
        done = CliRunner().invoke(app, ["check", "acme", "--write-probes"])
        return done.exit_code, done.output

    assert run(client_id("nothing"))[0] == 0
    status, printed = run(client_id("Invoice"))
    assert status == 1
    assert "missing Invoice" in printed
    assert "Permissions > Transactions: Invoice" in printed
    assert "writing invoices" in printed
    assert not re.search(r"eyJ|Bearer|BEGIN", printed)


def test_the_command_says_when_a_refreshed_account_last_worked(
    sandbox: Sandbox, october: Month, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the published file: rows came from the account before, and now it does not know the certificate."""
    from netsuite_assets.cli import app

    folder = Warehouse(tmp_path / "warehouse")
    assert last_read(folder.published_path, "acme") is None
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    publish(folder, october.held, ledger, LANDED)
    ledger.close()
    assert last_read(folder.published_path, "acme") == LANDED
    assert last_read(folder.published_path, "globex") is None
    key = tmp_path / "key.pem"
    key.write_bytes(pem(KEY))
    for name, value in {
        "ACME_NS_URL": f"{sandbox.url}/1234567-sb1",
        "ACME_NS_KEY_FILE": str(key),
        "ACME_NS_CLIENT_ID": client_id("nothing"),
        "ACME_NS_CERT_ID": "cert-of-before",
        "ACME_BILLING_URL": empty_billing(tmp_path),
        "RECON_LEDGER": f"sqlite:///{tmp_path}/ledger.sqlite",
        "RECON_SECRETS": str(tmp_path / "secrets"),
        "RECON_WAREHOUSE": str(folder.root),
        "RECON_TENANTS": str(ROOT / "tenants"),
    }.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["check", "acme"])
    assert done.exit_code == 1
    said = " ".join(done.output.split())
    assert f"It last worked on {LANDED:%Y-%m-%d %H:%M} UTC" in said
    assert "A refresh from production wipes these mappings" in said


WRITTEN: dict[str, Callable[[str, str, str], str]] = {
    "MM/DD/YYYY": lambda y, m, d: f"{m}/{d}/{y}",
    "DD/MM/YYYY": lambda y, m, d: f"{d}/{m}/{y}",
    "DD.MM.YYYY": lambda y, m, d: f"{d}.{m}.{y}",
    "YYYY-MM-DD": lambda y, m, d: f"{y}-{m}-{d}",
    "YYYY/MM/DD": lambda y, m, d: f"{y}/{m}/{d}",
}


@given(
    shown=st.sampled_from(sorted(WRITTEN)),
    year=st.integers(2000, 2099),
    month=st.integers(1, 12),
    day=st.integers(13, 28),
)
def test_the_date_format_is_read_from_one_date(shown: str, year: int, month: int, day: int) -> None:
    y, m, d = f"{year:04}", f"{month:02}", f"{day:02}"
    if day % 100 == year % 100:
        return
    assert date_format(WRITTEN[shown](y, m, d), f"{y}-{m}-{d}") == shown


def test_month_names_and_strange_dates() -> None:
    assert date_format("31-Oct-2026", "2026-10-31") == "DD-Mon-YYYY"
    assert date_format("31-OCT-2026", "2026-10-31") == "DD-MON-YYYY"
    assert date_format("October 31, 2026", "2026-10-31") == "Month DD, YYYY"
    assert date_format("yesterday", "2026-10-31") is None
