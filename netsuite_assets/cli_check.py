"""`recon check`: prove a tenant's connection, role, features and limits before its first run, and that billing takes what
flows back to it.

Here: arguments, the printed report, the exit status. Not here: the checks (`resources/netsuite/preflight.py`, and what
`resources/billing` tries), or what a tenant needs (`netsuite_assets/extract/needs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from resources.netsuite.findings import Finding, Report
    from resources.tenants import Tenant

out = Console(highlight=False)
Messages = Callable[[], AbstractContextManager[None]]

_MARKS = {
    "ok": "[green]✓[/green]",
    "missing": "[red]✗ missing[/red]",
    "failed": "[red]✗[/red]",
    "warning": "[yellow]![/yellow]",
    "unknown": "[dim]?[/dim]",
}


def register(app: typer.Typer, messages: Messages) -> None:
    """Add the command to `app`; `messages` turns errors into what is printed."""

    @app.command()
    def check(
        tenant: Annotated[
            str, typer.Argument(metavar="TENANT", help="The tenant, as its file in tenants/ is called.")
        ],
        write_probes: Annotated[
            bool,
            typer.Option(
                "--write-probes",
                help="Also send writes that NetSuite refuses for their content, to see whether the role may write.",
            ),
        ] = False,
        timeout: Annotated[
            float, typer.Option(help="Seconds after which what has no answer is told as that.", min=1)
        ] = 300.0,
    ) -> None:
        """Check the connection, the role's permissions, features and limits, and that billing takes what flows back to it.

        Exit status 1 when something is missing.
        """
        with messages():
            from resources.as_dagster import TenantsResource

            report = check_tenant(
                TenantsResource().get().load(tenant), write_probes=write_probes, timeout=timeout
            )
            print_report(out, tenant, report)
        if not report.ok:
            raise typer.Exit(1)


def check_tenant(tenant: Tenant, *, write_probes: bool, timeout: float) -> Report:
    """The report of a tenant's account, after `timeout` seconds at the latest, however busy the account is; and of what
    `writeback.return` names in its billing.
    """
    import asyncio
    import os

    from netsuite_assets.extract.needs import needs_of
    from netsuite_assets.mapping.compiler import compile_mapping
    from resources.as_dagster import WarehouseResource
    from resources.connections import netsuite_client
    from resources.netsuite.preflight import preflight

    needs = needs_of(tenant, compile_mapping(tenant))
    before = last_read(WarehouseResource().get().published_path, tenant.name)

    async def run() -> Report:
        async with netsuite_client(tenant, os.environ) as client:
            with client.deadline(timeout):
                return await preflight(client, needs, write_probes=write_probes, worked_before=before)

    report = asyncio.run(run())
    return replace(report, findings=(*report.findings, *_of_returns(tenant)))


def _of_returns(tenant: Tenant) -> Iterator[Finding]:
    """Whether billing takes each kind of fact that flows back to it."""
    import os

    from resources.billing.errors import BillingError
    from resources.connections import billing_returns
    from resources.netsuite.findings import Finding

    returns = billing_returns(tenant, os.environ)
    if returns is None:
        return
    with closing(returns):
        for kind, settings in tenant.writeback.returned.items():
            subject = f"writeback.return.{kind}"
            try:
                returns.check(kind)
            except BillingError as error:
                stops = f"nothing of NetSuite's {kind} records flows back to billing, and the plans of such months fail"
                yield Finding("billing", subject, "failed", error.problem, error.next_step, stops)
            else:
                facts = ", ".join(f"{fact} in {column}" for fact, column in settings.columns.items())
                yield Finding("billing", subject, "ok", facts)


def last_read(published: Path, tenant: str) -> datetime | None:
    """When rows last came from the tenant's account, by the published file; None when it does not tell."""
    import duckdb

    if not published.exists():
        return None
    try:
        with duckdb.connect(str(published), read_only=True) as connection:
            row = connection.execute(
                "SELECT epoch(max(landed_at)) FROM slices WHERE tenant = ? AND source = 'NetSuite'", [tenant]
            ).fetchone()
    except duckdb.Error:
        return None  # Only a hint for a message: a file of an older form does not matter here.
    return datetime.fromtimestamp(row[0], UTC) if row and row[0] is not None else None


def print_report(console: Console, tenant: str, report: Report) -> None:
    """The report as a table, then what to do about each thing that is not right."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{tenant}: NetSuite account {report.account}", title_justify="left", box=None)
    for heading in ("", "Checked", "What", "Found"):
        table.add_column(heading)
    for finding in report.findings:
        table.add_row(_MARKS[finding.status], finding.area, escape(finding.subject), escape(finding.detail))
    console.print(table)
    for finding in report.findings:
        if finding.status in ("missing", "failed", "warning") and (finding.next_step or finding.stops):
            console.print(f"\n{_MARKS[finding.status]} [bold]{escape(finding.subject)}[/bold]")
            if finding.next_step:
                console.print(f"  {escape(finding.next_step)}", soft_wrap=True)
            if finding.stops:
                console.print(f"  Without it: {escape(finding.stops)}.", soft_wrap=True)
    console.print(
        "\nEverything that this tenant needs is there."
        if report.ok
        else f"\n{len([f for f in report.findings if f.status in ('missing', 'failed')])} to put right."
    )
