"""`recon connect`, `recon rotate`, `recon credentials`: the sign-in to NetSuite, for integration engineers.

Here: arguments, what is printed, and the order of calls. Not here: any of the work (`resources/netsuite`,
`resources/sign_in.py`, `resources/credential_calendar.py`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from resources.netsuite.consent import Redirect, Request
    from resources.tenants import Tenant, TenantRegistry

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

TenantName = Annotated[
    str, typer.Argument(metavar="TENANT", help="The tenant, as its file in tenants/ is called.")
]
Messages = Callable[[], AbstractContextManager[None]]


def register(app: typer.Typer, messages: Messages) -> None:
    """Add the commands to `app`; `messages` turns errors into what is printed."""

    @app.command()
    def connect(
        tenant: TenantName,
        port: Annotated[
            int | None,
            typer.Option(help="Listen here; the redirect URI's port unless given.", min=1, max=65535),
        ] = None,
        timeout: Annotated[float, typer.Option(help="Seconds to wait for the browser.", min=1)] = 300.0,
        browser: Annotated[
            bool, typer.Option(help="Open the consent page in this machine's browser.")
        ] = True,
        paste: Annotated[
            bool, typer.Option("--paste", help="Take the address that the browser was sent to by hand.")
        ] = False,
    ) -> None:
        """Let a person consent to the sign-in (oauth2_authorization_code), and keep the refresh token encrypted."""
        with messages():
            run_connect(tenant, port, timeout, browser=browser, paste=paste)

    @app.command()
    def rotate(
        tenant: TenantName,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")
        ] = False,
        keep_old: Annotated[
            bool,
            typer.Option(
                "--keep-old", help="Do not revoke the old certificate yet; run again without it to do so."
            ),
        ] = False,
        days: Annotated[
            int, typer.Option(help="How long the new certificate is valid.", min=1, max=730)
        ] = 365,
    ) -> None:
        """Exchange the certificate of oauth2_client_credentials: upload, switch, confirm, revoke. May be run again."""
        with messages():
            run_rotate(tenant, dry_run=dry_run, keep_old=keep_old, days=days)

    @app.command()
    def credentials(
        tenant: Annotated[
            str | None, typer.Argument(metavar="[TENANT]", help="One tenant; all when left out.")
        ] = None,
        ask: Annotated[
            bool, typer.Option("--ask", help="Ask NetSuite first when the certificates end.")
        ] = False,
    ) -> None:
        """Show when credentials end and what to do before."""
        with messages():
            run_credentials(tenant, ask=ask)


def run_connect(name: str, port: int | None, timeout: float, *, browser: bool, paste: bool) -> None:
    """`recon connect`."""
    from resources.netsuite import consent
    from resources.netsuite.authorization_code import Consents
    from resources.netsuite.vault import Vault
    from resources.sign_in import consent_app, netsuite_hosts
    from resources.tenants import ConsentSecrets

    tenant = _registry().load(name)
    secrets = tenant.load_netsuite_credentials(os.environ).netsuite
    if not isinstance(secrets, ConsentSecrets):
        raise typer.BadParameter(
            f"{name} signs in by {tenant.netsuite.auth.method}, which needs no consent; `recon connect` is for"
            " netsuite.auth.method: oauth2_authorization_code."
        )
    consents = Consents(Vault.of(os.environ), name)
    consents.vault.check()
    redirect_uri = secrets.redirect_uri if port is None else _with_port(secrets.redirect_uri, port)
    request = consent.ask(netsuite_hosts(tenant, os.environ), consent_app(secrets), redirect_uri)
    redirect = _pasted(request) if paste else _caught(request, timeout, browser=browser)
    stored = consent.trade(request, redirect, consents)
    until = datetime.fromtimestamp(stored.refresh_until, UTC).date()
    who = f" as entity {stored.entity}, role {stored.role}" if stored.entity else ""
    out.print(f"{name} is connected to NetSuite account {stored.account}{who}.", markup=False)
    out.print(
        f"The consent is kept encrypted in {consents.vault.path(consents.name)}; it lasts until {until} unless it"
        " is renewed.",
        markup=False,
    )


def _with_port(redirect_uri: str, port: int) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(redirect_uri)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return parts._replace(netloc=f"{host}:{port}").geturl()


def _caught(request: Request, timeout: float, *, browser: bool) -> Redirect:
    import webbrowser

    from resources.netsuite.consent import Listener

    with Listener(request.redirect_uri) as listener:
        out.print("Open this page, sign in to NetSuite, and choose Allow:")
        out.print(request.url, markup=False, soft_wrap=True)
        if browser:
            webbrowser.open(request.url)
        return listener.wait(request, timeout)


def _pasted(request: Request) -> Redirect:
    from resources.netsuite.consent import NotOurs, answer

    out.print("Open this page in any browser, sign in to NetSuite, and choose Allow:")
    out.print(request.url, markup=False, soft_wrap=True)
    out.print(
        f"Then copy the address that the browser was sent to ({request.redirect_uri}?…; the page itself may fail to"
        " open) and paste it here:",
        markup=False,
    )
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            return answer(request, line)
        except NotOurs as error:
            err.print(f"{error}. Paste the whole address:", markup=False, soft_wrap=True)
    raise typer.BadParameter("no address was pasted.")


def run_rotate(name: str, *, dry_run: bool, keep_old: bool, days: int) -> None:
    """`recon rotate`."""
    import asyncio

    from resources.connections import netsuite_client
    from resources.netsuite.certificates import TenantFiles, replacement
    from resources.netsuite.rotation import Rotation
    from resources.sign_in import certificate_settings

    tenant = _registry().load(name)
    configured = certificate_settings(tenant, os.environ)
    if configured is None:
        raise typer.BadParameter(
            f"{name} signs in by {tenant.netsuite.auth.method}, which has no certificate; `recon rotate` is for"
            " netsuite.auth.method: oauth2_client_credentials."
        )
    client = netsuite_client(tenant, os.environ)
    rotation = Rotation(
        client.hosts,
        configured,
        TenantFiles.of(os.environ, name),
        client.governor,
        days=days,
        keep_old=keep_old,
        tell=lambda words: out.print(f"✓ {words}", markup=False, soft_wrap=True),
    )
    if dry_run:
        out.print("Nothing is changed. `recon rotate` would:")
        for step in asyncio.run(rotation.plan()):
            out.print(f"- {step}", markup=False, soft_wrap=True)
        return
    new_id = asyncio.run(rotation.run())
    instead = replacement(configured, rotation.files)
    key_file = instead.private_key_file if instead else configured.private_key_file
    out.print(
        f"{name} signs in with certificate {new_id} and the key {key_file}.", markup=False, soft_wrap=True
    )
    out.print(
        "Put both where the tenant's variables come from when it suits; until then they count through"
        f" {rotation.files.replacement}. A machine that does not share that folder needs them now.",
        markup=False,
        soft_wrap=True,
    )


def run_credentials(name: str | None, *, ask: bool) -> None:
    """`recon credentials`: one line a credential; a tenant that cannot be read does not hide the others."""
    from rich.table import Table

    from resources.credential_calendar import credential_calendar
    from resources.tenants import TenantError

    registry = _registry()
    table = Table("Tenant", "Credential", "Ends", "Days", "What to do", box=None, pad_edge=False)
    failed = False
    today = datetime.now(UTC).date()
    for each in [name] if name else registry.names():
        try:
            tenant = registry.load(each)
            if ask:
                _ask_netsuite(tenant)
            entries = credential_calendar(tenant, os.environ, time.time)
        except TenantError as error:
            err.print(f"recon: {error}", markup=False, soft_wrap=True, style="red")
            failed = True
            continue
        for entry in entries:
            left = entry.days_left(today)
            ends = entry.expires_on.isoformat() if entry.expires_on else "unknown"
            urgent = left is not None and left <= entry.notice // 4
            style = "red" if urgent else "yellow" if entry.is_due(today) else None
            what = f"{entry.what} {entry.certificate_id}".strip()
            table.add_row(
                entry.tenant, what, ends, "" if left is None else str(left), entry.what_to_do, style=style
            )
    if table.row_count:
        out.print(table)
    if failed:
        raise typer.Exit(1)


def _ask_netsuite(tenant: Tenant) -> None:
    """Have NetSuite tell when the certificates end; other ways of signing in have nothing to ask."""
    import asyncio

    from resources.connections import netsuite_client
    from resources.netsuite.certificate_endpoint import list_certificates
    from resources.netsuite.certificates import TenantFiles
    from resources.sign_in import certificate_settings, netsuite_auth

    configured = certificate_settings(tenant, os.environ)
    if configured is None:
        return
    client = netsuite_client(tenant, os.environ)
    files = TenantFiles.of(os.environ, tenant.name)
    auth = netsuite_auth(tenant, os.environ, client.hosts)
    asyncio.run(list_certificates(client.hosts, configured.client_id, auth, client.governor, files))


def _registry() -> TenantRegistry:
    from resources.as_dagster import TenantsResource

    return TenantsResource().get()
