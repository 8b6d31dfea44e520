"""The three ways of signing in, chosen in a tenant's file and run against the sandbox; the commands for engineers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fake_account import pem
from rich.console import Console
from typer.testing import CliRunner

from netsuite_assets import cli, cli_check, cli_credentials
from netsuite_assets.cli import app
from resources.connections import netsuite_client
from resources.credential_calendar import END_OF_TBA, NO_NEW_TBA, credential_calendar
from resources.netsuite.certificate_endpoint import CertificateEndpoint
from resources.netsuite.errors import DeadlinePassed, SignInFailed
from resources.netsuite.governor import Backoff
from resources.netsuite.keys import self_signed
from resources.sign_in import netsuite_auth
from resources.tenants import TenantError, TenantRegistry

ROOT = Path(__file__).parents[2]
ACCOUNT, LABEL = "1234567_SB1", "1234567-sb1"
KEYS: dict[str, Any] = {
    "cert-ec": ec.generate_private_key(ec.SECP256R1()),
    "cert-rsa": rsa.generate_private_key(65537, 3072),
}
SECRET_KEY = base64.b64encode(b"s" * 32).decode()

CERTIFICATE = """\
    method: oauth2_client_credentials
    client_id: ${NS_CLIENT_ID}
    certificate_id: ${NS_CERT_ID}
    private_key_file: ${NS_KEY_FILE}
"""
PUBLIC = """\
    method: oauth2_authorization_code
    client_id: ${NS_CLIENT_ID}
    redirect_uri: http://127.0.0.1:PORT/callback
"""
CONFIDENTIAL = PUBLIC + "    client_secret: ${NS_CLIENT_SECRET}\n"
TBA = """\
    method: tba
    consumer_key: ${NS_CONSUMER_KEY}
    consumer_secret: ${NS_CONSUMER_SECRET}
    token_id: ${NS_TOKEN_ID}
    token_secret: ${NS_TOKEN_SECRET}
"""


@dataclass(frozen=True)
class Sandbox:
    url: str
    port: int

    def admin(self, path: str, **content: Any) -> Any:
        return httpx.post(f"{self.url}/{LABEL}/sandbox/{path}", json=content).raise_for_status()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder, port = tmp_path_factory.mktemp("sandbox"), _free_port()
    text = (ROOT / "sandbox/profiles/oneworld.yaml").read_text()
    profile = folder / "oneworld.yaml"
    profile.write_text("auto_consent: true\n" + text.replace("127.0.0.1:8765", f"127.0.0.1:{port}"))
    command = [sys.executable, "-m", "sandbox", "--profile", str(profile), "--port", "0"]
    for certificate, key in KEYS.items():
        (folder / certificate).write_bytes(self_signed(key, "test", 300, datetime.now(UTC).timestamp()))
        command += ["--certificate", f"{ACCOUNT}:billing-integration:{certificate}:{folder / certificate}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = re.search(r"ready at (http://\S+)", process.stdout.readline())
        assert ready is not None, "the sandbox did not start"
        try:
            yield Sandbox(ready[1], port)
        finally:
            process.terminate()
            process.wait(10)


@dataclass(frozen=True)
class Place:
    """A folder with tenant acme, and the environment that goes with it."""

    folder: Path
    environ: dict[str, str]

    def tenant(self, auth: str, more: str = "") -> Any:
        tenants = self.folder / "tenants"
        tenants.mkdir(exist_ok=True)
        port = self.environ["PORT"]
        (tenants / "acme.yaml").write_text(
            "tenant: acme\ntimezone: UTC\nfirst_month: 2026-01\nnetsuite:\n"
            f"  account: {ACCOUNT}\n  base_url: ${{NS_URL}}\n  auth:\n{auth.replace('PORT', port)}{more}"
            "billing:\n  system: sql\n  url: ${BILLING_URL}\n  tables:\n    customers: {table: customers}\n"
            "    invoices: {table: invoices}\n    invoice_lines: {table: invoice_lines}\n"
            "records:\n  customer:\n    external_id: 'cus-{id}'\n    fields:\n      companyName: {from: name}\n"
        )
        return TenantRegistry(tenants).load("acme")

    def recon(self, *arguments: str) -> Any:
        """Run `recon` in this process."""
        return CliRunner().invoke(app, list(arguments), env={**self.environ, "HOME": str(self.folder)})

    def reads_terms(self, auth: str) -> int:
        """How many terms the tenant's client reads."""
        tenant = self.tenant(auth)

        async def run() -> int:
            async with netsuite_client(tenant, self.environ) as ns:
                return len(await ns.suiteql_rows("SELECT id FROM term ORDER BY id"))

        return asyncio.run(run())


def place(tmp_path: Path, url: str, port: int, **more: str) -> Place:
    key_file = tmp_path / "acme.pem"
    key_file.write_bytes(pem(KEYS["cert-ec"]))
    environ = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "PYTHONPATH": str(ROOT), "COLUMNS": "300", "RECON_TENANTS": str(tmp_path / "tenants"),
        "RECON_SECRETS": str(tmp_path / "secrets"), "RECON_SECRET_KEY": SECRET_KEY,
        "RECON_LEDGER": f"sqlite:///{tmp_path}/ledger.sqlite", "RECON_WAREHOUSE": f"{tmp_path}/warehouse", "PORT": str(port),
        "NS_URL": f"{url}/{LABEL}", "NS_CLIENT_ID": "billing-integration", "NS_CERT_ID": "cert-ec",
        "NS_KEY_FILE": str(key_file), "NS_CONSUMER_KEY": "billing-integration",
        "NS_CONSUMER_SECRET": "cs_invented_0002", "NS_TOKEN_ID": "tk_invented_0003",
        "NS_TOKEN_SECRET": "ts_invented_0004", **more,
    }  # fmt: skip
    return Place(tmp_path, environ)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no line is broken."""
    for module in (cli, cli_check, cli_credentials):
        monkeypatch.setattr(module, "out", Console(width=300, highlight=False))
        monkeypatch.setattr(module, "err", Console(width=300, highlight=False), raising=False)


@pytest.fixture
def acme(sandbox: Sandbox, tmp_path: Path) -> Place:
    return place(tmp_path, sandbox.url, sandbox.port)


@pytest.fixture
def nowhere(tmp_path: Path) -> Place:
    """A tenant whose account does not answer."""
    return place(tmp_path, "http://127.0.0.1:9", 8765)


# The three ways


@pytest.mark.parametrize(
    ("certificate", "algorithm"),
    [("cert-ec", ""), ("cert-ec", "ES256"), ("cert-rsa", ""), ("cert-rsa", "PS384"), ("cert-rsa", "PS512")],
)
def test_client_credentials_sign_in(acme: Place, certificate: str, algorithm: str) -> None:
    acme.environ["NS_CERT_ID"] = certificate
    Path(acme.environ["NS_KEY_FILE"]).write_bytes(pem(KEYS[certificate]))
    auth = CERTIFICATE + (f"    algorithm: {algorithm}\n" if algorithm else "")
    assert acme.reads_terms(auth) == 5


def test_token_based_authentication_signs_every_request(acme: Place, sandbox: Sandbox) -> None:
    assert acme.reads_terms(TBA) == 5
    tenant = acme.tenant(TBA)

    async def run() -> str:
        async with netsuite_client(tenant, acme.environ) as ns:
            rows = await ns.suiteql_rows("SELECT id FROM currency ORDER BY id")
            await ns.get("customer", await a_customer(ns))
            return str(len(rows))

    assert asyncio.run(run()) == "3"


@pytest.mark.parametrize(("auth", "kind"), [(CERTIFICATE, "OAuth 2.0 Access Tokens"), (TBA, "Access Tokens")])
def test_recon_check_asks_for_the_permission_of_the_tenants_way(acme: Place, auth: str, kind: str) -> None:
    acme.tenant(auth)
    shown = acme.recon("check", "acme")
    assert shown.exit_code == 0, shown.output
    assert re.findall(r"Log in using ([\w. ]+?)  ", shown.output) == [kind]


def test_recon_check_ends_however_busy_the_account_is(acme: Place, sandbox: Sandbox) -> None:
    """Other integrations hold every slot: each probe would be sent again for minutes."""
    acme.tenant(CERTIFICATE)
    sandbox.admin("governance", foreign=15)
    began = time.monotonic()
    shown = acme.recon("check", "acme", "--timeout", "1.5")
    sandbox.admin("governance", foreign=0)
    assert time.monotonic() - began < Backoff().patience
    assert shown.exit_code == 1
    assert "Concurrent request limit exceeded" in shown.output


ASK = """
import asyncio, os, pathlib
from resources.connections import netsuite_client
from resources.tenants import TenantRegistry

async def run():
    async with netsuite_client(TenantRegistry(pathlib.Path(os.environ["RECON_TENANTS"])).load("acme"), os.environ) as ns:
        await asyncio.gather(*(ns.suiteql_rows("SELECT id FROM term ORDER BY id") for _ in range(25)))
        print(ns.governor.figures().requests)

asyncio.run(run())
"""


def test_all_processes_of_a_tenants_ledger_share_the_accounts_budget(acme: Place, sandbox: Sandbox) -> None:
    acme.tenant(CERTIFICATE, "  governance: {concurrency: 4, reserve: 2}\n")
    sandbox.admin("governance", latency_ms=20)
    sandbox.admin("reset/log")
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", ASK], cwd=ROOT, env=acme.environ, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]  # fmt: skip
    assert [run.communicate(timeout=60)[0].strip() for run in runs] == ["25", "25"]
    stats = httpx.get(f"{sandbox.url}/{LABEL}/sandbox/stats").json()
    sandbox.admin("governance", latency_ms=0)
    assert (stats["in_flight_peak"], stats["rejections"]) == (2, 0)


def test_the_deadline_of_a_tenants_file_ends_its_operations(acme: Place, sandbox: Sandbox) -> None:
    acme.tenant(CERTIFICATE)
    assert acme.reads_terms(CERTIFICATE) == 5
    tenant = acme.tenant(CERTIFICATE, "  governance: {deadline: {read: 1}}\n")
    fault = {"kind": "timeout", "path": "/suiteql", "seconds": 5}
    httpx.post(f"{sandbox.url}/{LABEL}/sandbox/faults", json=[fault]).raise_for_status()

    async def run() -> None:
        async with netsuite_client(tenant, acme.environ) as ns:
            await ns.suiteql_rows("SELECT id FROM term ORDER BY id")

    with pytest.raises(DeadlinePassed, match=r"tried 1 time in \d+(\.\d)? seconds, of 1\.0 seconds allowed"):
        asyncio.run(run())


async def a_customer(ns: Any) -> str:
    """The id of a customer written by its external id, whose colon is encoded in the signature alone."""
    from resources.netsuite.writes import upsert_request

    content = {"companyName": "Acme & Sons", "subsidiary": {"id": "1"}, "currency": {"id": "1"}}
    answer = await ns.send(upsert_request("customer", "cus-7", content))
    assert answer.internal_id is not None
    return str(answer.internal_id)


def test_variables_that_change_in_mid_run_are_used_and_no_request_is_lost(
    acme: Place, sandbox: Sandbox
) -> None:
    """The certificate id, a variable, and the key, a file, are exchanged; then the old certificate is revoked."""
    first = ec.generate_private_key(ec.SECP256R1())
    certificate = self_signed(first, "x", 100, datetime.now(UTC).timestamp()).decode()
    sandbox.admin("certificates", client_id="billing-integration", id="cert-first", pem=certificate)
    key_file = Path(acme.environ["NS_KEY_FILE"])
    key_file.write_bytes(pem(first))
    acme.environ["NS_CERT_ID"] = "cert-first"
    tenant = acme.tenant(CERTIFICATE)
    done, changed, over = 0, False, False

    async def keep_asking(ns: Any) -> None:
        nonlocal done
        while not over:
            assert len(await ns.suiteql_rows("SELECT id FROM term ORDER BY id")) == 5
            done += changed

    async def run() -> None:
        nonlocal changed, over
        async with netsuite_client(tenant, acme.environ) as ns, asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(keep_asking(ns))
            async with httpx.AsyncClient() as http:
                auth = netsuite_auth(tenant, acme.environ)
                ours = CertificateEndpoint(ns.hosts, "billing-integration", auth, http, ns.governor)
                await ours.list()
                key_file.write_bytes(pem(KEYS["cert-rsa"]))
                acme.environ["NS_CERT_ID"] = "cert-rsa"
                await ours.revoke("cert-first")
            await asyncio.to_thread(sandbox.admin, "tokens/revoke")
            changed = True
            while done < 12:
                await asyncio.sleep(0.01)
            over = True

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_token_that_changes_in_mid_run_signs_from_then_on(acme: Place) -> None:
    tenant = acme.tenant(TBA)

    async def role(ns: Any) -> str:
        answer = await ns.fetch("/rest/tokeninfo", title="Ask who is signed in", restlets=True)
        return str(json.loads(answer.content)["roleName"])

    async def run() -> list[str]:
        async with netsuite_client(tenant, acme.environ) as ns:
            before = await role(ns)
            acme.environ.update(NS_TOKEN_ID="tk_invented_auditor", NS_TOKEN_SECRET="ts_invented_0005")
            return [before, await role(ns)]

    assert asyncio.run(run()) == ["Billing Integration", "Billing Auditor"]


def test_a_wrong_token_secret_does_not_lock_the_user(acme: Place, sandbox: Sandbox) -> None:
    acme.environ["NS_TOKEN_SECRET"] = "wrong"
    tenant = acme.tenant(TBA)

    async def run() -> list[Any]:
        async with netsuite_client(tenant, acme.environ) as ns:
            many = (ns.suiteql_rows("SELECT id FROM term ORDER BY id") for _ in range(8))
            return await asyncio.gather(*many, return_exceptions=True)

    assert {isinstance(answer, SignInFailed) for answer in asyncio.run(run())} == {True}
    acme.environ["NS_TOKEN_SECRET"] = "ts_invented_0004"
    assert acme.reads_terms(TBA) == 5


def consenting(acme: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run `recon connect` with a browser that chooses Allow; its output."""
    pages: list[httpx.Response] = []

    def visit(url: str) -> None:
        assert url.startswith(acme.environ["NS_URL"])
        pages.append(httpx.get(url, follow_redirects=True))

    browsers: list[threading.Thread] = []

    def opened(url: str) -> bool:
        browsers.append(threading.Thread(target=visit, args=(url,)))
        browsers[0].start()
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    done = acme.recon("connect", "acme")
    browsers[0].join(10)
    assert done.exit_code == 0, done.output
    assert [page.status_code for page in pages] == [200]
    assert "Done" in pages[0].text
    return str(done.output)


@pytest.mark.parametrize(
    ("client_id", "auth"), [("billing-desktop", PUBLIC), ("billing-portal", CONFIDENTIAL)]
)
def test_a_person_consents_and_runs_sign_in_from_then_on(
    acme: Place, sandbox: Sandbox, client_id: str, auth: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.environ.update(NS_CLIENT_ID=client_id, NS_CLIENT_SECRET="cs_invented_portal")
    acme.tenant(auth)
    said = consenting(acme, monkeypatch)
    assert f"acme is connected to NetSuite account {ACCOUNT}" in said
    assert acme.reads_terms(auth) == 5
    sandbox.admin("tokens/revoke")
    assert acme.reads_terms(auth) == 5  # refreshed
    sandbox.admin("tokens/revoke")
    assert acme.reads_terms(auth) == 5  # a public client's next refresh token was kept
    shown = acme.recon("credentials", "acme")
    assert shown.exit_code == 0, shown.output
    days = 7 if auth == CONFIDENTIAL else 2
    assert (datetime.now(UTC) + timedelta(days=days)).date().isoformat() in shown.output
    assert "recon connect acme" in shown.output
    httpx.post(f"{sandbox.url}/{LABEL}/sandbox/tokens/revoke?refresh=true").raise_for_status()
    with pytest.raises(SignInFailed, match="recon connect acme"):
        acme.reads_terms(auth)
    consenting(acme, monkeypatch)
    assert acme.reads_terms(auth) == 5


def test_a_consent_can_be_pasted_by_hand(acme: Place) -> None:
    acme.environ["NS_CLIENT_ID"] = "billing-desktop"
    acme.tenant(PUBLIC)
    with subprocess.Popen(
        [sys.executable, "-c", "from netsuite_assets.cli import main; main()", "connect", "acme", "--paste"],
        cwd=acme.folder, env=acme.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        back = httpx.get(process.stdout.readline().strip()).headers["location"]
        process.stdin.write(f"not an address\n\n{back}\n")
        process.stdin.close()
        assert "is connected" in process.stdout.read()
    assert acme.reads_terms(PUBLIC) == 5


# Rotation from the command line


def test_recon_rotate_exchanges_the_certificate_of_the_sandbox(
    acme: Place, sandbox: Sandbox, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    Path(acme.environ["NS_KEY_FILE"]).write_bytes(pem(key))
    acme.environ["NS_CERT_ID"] = "cert-rotated"
    certificate = self_signed(key, "x", 100, datetime.now(UTC).timestamp()).decode()
    sandbox.admin("certificates", client_id="billing-integration", id="cert-rotated", pem=certificate)
    acme.tenant(CERTIFICATE)
    shown = acme.recon("rotate", "acme", "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "cert-rotated" in shown.output
    done = acme.recon("rotate", "acme", "--days", "200")
    assert done.exit_code == 0, done.output
    assert "Certificate cert-rotated is revoked." in done.output
    assert acme.reads_terms(CERTIFICATE) == 5
    again = acme.recon("rotate", "acme")
    assert again.exit_code == 0, again.output
    assert acme.reads_terms(CERTIFICATE) == 5
    listed = acme.recon("credentials", "--ask")
    assert listed.exit_code == 0, listed.output
    ends = re.search(r"\d{4}-\d\d-\d\d", listed.output)
    assert ends is not None
    assert abs((date.fromisoformat(ends[0]) - datetime.now(UTC).date()).days - 365) <= 1
    assert "recon rotate acme" in listed.output
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pem"]
    assert not any(b"PRIVATE KEY" in path.read_bytes() for path in kept)
    for output in (done, again, listed):
        assert "PRIVATE KEY" not in output.output


@pytest.mark.parametrize(
    ("command", "auth", "says"),
    [
        ("connect", CERTIFICATE, "which needs no consent"),
        ("rotate", TBA, "which has no certificate"),
    ],
)
def test_a_command_that_does_not_fit_the_way_of_signing_in_says_so(
    nowhere: Place, command: str, auth: str, says: str
) -> None:
    nowhere.tenant(auth)
    shown = nowhere.recon(command, "acme")
    assert shown.exit_code == 2
    assert says in shown.output


def test_connect_without_a_key_says_how_to_make_one(nowhere: Place) -> None:
    nowhere.tenant(PUBLIC)
    nowhere.environ["RECON_SECRET_KEY"] = ""
    shown = nowhere.recon("connect", "acme")
    assert shown.exit_code == 1
    assert "openssl rand -base64 32" in shown.output


# The tenant's file


@pytest.mark.parametrize(
    ("auth", "says"),
    [
        ("    method: password\n", "unknown value for method: 'password'"),
        (TBA.replace("tba", "tbaa"), "did you mean 'tba'?"),
        (TBA.replace("token_id", "token"), "the key 'token_id' is missing in netsuite.auth"),
        (TBA.replace("token_id", "tokn_id"), "unknown key 'tokn_id'; did you mean 'token_id'?"),
        (TBA.replace("${NS_TOKEN_SECRET}", "plain"), "a credential never stands in the file"),
        (CONFIDENTIAL.replace("http:", "ftp:"), "a redirect URI is written as"),
        (CERTIFICATE + "    algorithm: RS256\n", "unknown value for algorithm: 'RS256'"),
        (CERTIFICATE + "    client_secret: ${X}\n", "unknown key 'client_secret'"),
        (PUBLIC + "    refresh_token_hours: 0\n", "greater than or equal to 1"),
        (PUBLIC.replace("127.0.0.1", "${HOST}"), "the environment can be named only in"),
    ],
)
def test_mistakes_in_the_sign_in_are_told_at_their_place(nowhere: Place, auth: str, says: str) -> None:
    with pytest.raises(TenantError) as caught:
        nowhere.tenant(auth)
    (problem, *_) = caught.value.problems
    assert says in str(caught.value)
    assert problem.file == "tenants/acme.yaml"
    assert problem.line >= 6


@pytest.mark.parametrize("auth", [CERTIFICATE, CONFIDENTIAL, TBA])
def test_no_secret_shows_in_what_is_made_of_a_tenants_file(nowhere: Place, auth: str) -> None:
    nowhere.environ["NS_CLIENT_SECRET"] = "cs_invented_portal"
    tenant = nowhere.tenant(auth)
    made = netsuite_auth(tenant, nowhere.environ)
    seen = f"{made!r} {tenant.load_netsuite_credentials(nowhere.environ)!r} {tenant!r} {tenant.effective}"
    for secret in ("cs_invented", "ts_invented", "tk_invented", "billing-integration", "PRIVATE"):
        assert secret not in seen


def test_a_missing_variable_is_named_with_its_line(nowhere: Place) -> None:
    tenant = nowhere.tenant(TBA)
    del nowhere.environ["NS_TOKEN_SECRET"]
    with pytest.raises(
        TenantError, match=r"acme.yaml:12:19: the environment variable NS_TOKEN_SECRET is not set"
    ):
        netsuite_auth(tenant, nowhere.environ)


# The calendar


def calendar(nowhere: Place, auth: str) -> list[tuple[str, date | None]]:
    found = credential_calendar(nowhere.tenant(auth), nowhere.environ, lambda: 1_790_000_000.0)
    assert {entry.tenant for entry in found} == {"acme"}
    assert all(entry.what_to_do for entry in found)
    return [(entry.what, entry.expires_on) for entry in found]


def test_the_end_of_token_based_authentication_is_in_the_calendar(nowhere: Place) -> None:
    assert calendar(nowhere, TBA) == [
        ("token-based authentication: new integrations", NO_NEW_TBA),
        ("token-based authentication", END_OF_TBA),
    ]
    assert (NO_NEW_TBA.year, END_OF_TBA.year) == (2027, 2028)


def test_a_certificate_is_in_the_calendar_from_wherever_it_is_known(nowhere: Place, tmp_path: Path) -> None:
    assert calendar(nowhere, CERTIFICATE) == [("certificate", None)]
    certificate = self_signed(KEYS["cert-ec"], "x", 90, 1_790_000_000.0)
    (tmp_path / "acme.cer").write_bytes(certificate)
    nowhere.environ["NS_CERT_FILE"] = str(tmp_path / "acme.cer")
    named = CERTIFICATE + "    certificate_file: ${NS_CERT_FILE}\n"
    assert calendar(nowhere, named) == [("certificate", date(2026, 12, 20))]
    with Path(nowhere.environ["NS_KEY_FILE"]).open("ab") as file:
        file.write(certificate)
    assert calendar(nowhere, CERTIFICATE) == [("certificate", date(2026, 12, 20))]


def test_a_consent_that_is_missing_is_due_today(nowhere: Place) -> None:
    nowhere.environ["NS_CLIENT_ID"] = "billing-desktop"
    assert calendar(nowhere, PUBLIC) == [("consent", date(2026, 9, 21))]
