"""`recon`: the command line for integration engineers, and for the demo.

Here: arguments, help and exit statuses. Not here: any work; each command calls the module that does it. Modules are
imported by the command that needs them, so that `recon --help` answers at once.

Exit status: 0 done, 1 refused or failed with a message, 2 wrong arguments.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from netsuite_assets import cli_check, cli_exceptions, cli_ledger, cli_mapping, cli_sign_off, cli_tenant
from netsuite_assets.cli_credentials import register

ROOT = Path(__file__).resolve().parent.parent

app = typer.Typer(
    help="Reconcile usage billing with NetSuite, and repair the differences.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Tenant = Annotated[str, typer.Argument(help="The tenant, as its file in tenants/ is called.")]
Period = Annotated[str, typer.Argument(help="The accounting month, YYYY-MM.")]
_DEMO = Path(".demo")
DemoHome = Annotated[
    Path, typer.Option("--home", help="Where the demo keeps everything; delete it to start anew.")
]


#: Commands that look at what has been run, or act on it: with nothing of its own here, they are about the demo.
_ABOUT_RUNS = {
    "approve", "close-package", "exceptions", "explain", "ledger", "mapping", "page", "plan", "query", "sign-off",
}  # fmt: skip


@app.callback()
def _whose(context: typer.Context) -> None:
    # No docstring: it would stand in the help of `recon` in place of the application's.
    if context.invoked_subcommand not in _ABOUT_RUNS or _has_runs():
        return
    context.call_on_close(partial(_give_back, dict(os.environ)))
    # By where it is now: the folder may have been moved since.
    os.environ["RECON_TENANTS"] = str(ROOT / "tenants")
    os.environ["RECON_WAREHOUSE"] = str((_DEMO / "warehouse").resolve())
    os.environ["RECON_LEDGER"] = f"sqlite:///{(_DEMO / 'ledger.sqlite').resolve()}"
    err.print(f"Of the demo, in {_DEMO}:", style="dim")


def _has_runs() -> bool:
    """Whether a warehouse or ledger of one's own is named, or published here; or no demo was played here either."""
    named = any(name in os.environ for name in ("RECON_WAREHOUSE", "RECON_LEDGER"))
    return named or Path("warehouse", "published.duckdb").exists() or not (_DEMO / "demo.env").exists()


def _give_back(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


@app.command()
def demo(
    invoices: Annotated[
        Path | None,
        typer.Option(
            help="A file of invoices (InvoiceNo, StockCode, …, CustomerID, Country) to run instead."
        ),
    ] = None,
    billing_url: Annotated[
        str | None, typer.Option(help="A SQLAlchemy URL for the billing data; with --invoices only.")
    ] = None,
    apply: Annotated[bool, typer.Option(help="Write the repairs to the demo NetSuite account.")] = True,
    home: DemoHome = _DEMO,
) -> None:
    """Fill a demo billing database and a demo NetSuite, reconcile them, and print a page for finance."""
    with messages():
        from demo.run import run_demo
        from demo.stage import Stage, retail_tenant, usage_tenants

        if billing_url is not None and invoices is None:
            raise typer.BadParameter(
                "--billing-url goes with --invoices: one database holds one tenant's billing."
            )
        tenants = usage_tenants() if invoices is None else [retail_tenant(invoices)]
        run_demo(out, Stage(home, billing_url), tenants, apply=apply)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="The port of Dagster's pages.")] = 3000,
    home: DemoHome = _DEMO,
) -> None:
    """Open the demo in Dagster's pages, with the sandbox beside it. Stop with Ctrl-C."""
    with messages():
        from demo.ui import run_ui

        raise typer.Exit(run_ui(out, home, port))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def sandbox(context: typer.Context) -> None:
    """Start the NetSuite sandbox; `recon sandbox --help` shows its own options."""
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *context.args])


@app.command()
def reconcile(tenant: Tenant, period: Period) -> None:
    """Compare billing with NetSuite for a month and plan the repair. Nothing is written to NetSuite."""
    _run_job("reconcile", tenant, period)


@app.command("write-back")
def write_back(tenant: Tenant, period: Period) -> None:
    """Compare, plan, send what policy and approval allow, and verify it."""
    _run_job("write_back", tenant, period)


@app.command()
def plan(
    tenant: Tenant,
    period: Period,
    document: Annotated[
        Path | None,
        typer.Option(
            help="Write the plan to this file instead, as Markdown, every operation with its exact body."
        ),
    ] = None,
) -> None:
    """Show the latest plan of a month: every write with what it changes, and why it waits, if it does."""
    with messages():
        from netsuite_assets.publish.plan_page import print_plan, write_document
        from resources.as_dagster import LedgerResource, WarehouseResource

        with (
            WarehouseResource().get().open(tenant, existing=True) as held,
            LedgerResource().open(existing=True) as ledger,
        ):
            if document is None:
                print_plan(out, held, ledger, period)
            else:
                number = write_document(document, held, ledger, period)
                out.print(f"{number:,} operations written to {document}.", markup=False)


@app.command()
def approve(
    tenant: Tenant,
    period: Period,
    by: Annotated[str, typer.Option(help="Your name, for the auditor.")],
    note: Annotated[str, typer.Option(help="Why it may be sent.")],
    plan_id: Annotated[
        str | None,
        typer.Option(
            "--plan", help="The plan that was read (its first letters); refused if another is the latest."
        ),
    ] = None,
    record: Annotated[
        list[str] | None, typer.Option(help="Only operations on this record type; may be repeated.")
    ] = None,
    external_id: Annotated[
        list[str] | None, typer.Option(help="Only operations on this external id; may be repeated.")
    ] = None,
    number: Annotated[
        list[int] | None,
        typer.Option(help="Only the operation with this number in the plan; may be repeated."),
    ] = None,
) -> None:
    """Approve the latest plan of a month, or some of its operations, exactly as it was made, in your name."""
    with messages():
        from netsuite_assets.writeback.approval import Selection, approve
        from resources.as_dagster import LedgerResource, WarehouseResource
        from resources.warehouse import utc_now

        selection = Selection(record or (), external_id or (), number or ())
        with (
            WarehouseResource().get().open(tenant, existing=True) as held,
            LedgerResource().open(existing=True) as ledger,
        ):
            done = approve(held, ledger, period, by, note, selection, utc_now(), plan_id)
        out.print(done, markup=False)
        out.print(f"Send it with: recon write-back {tenant} {period}", markup=False)


@app.command()
def page(tenant: Tenant, period: Period) -> None:
    """Print a tenant's month from the published file: billed, in NetSuite, different, written, left for a person."""
    with messages():
        from netsuite_assets.publish.page import print_page
        from netsuite_assets.publish.summary import read_summaries
        from resources.as_dagster import WarehouseResource

        for summary in read_summaries(WarehouseResource().get().published_path, period, [tenant]):
            print_page(out, summary)


@app.command("close-package")
def close_package(
    tenant: Tenant,
    period: Period,
    to: Annotated[Path | None, typer.Option(help="The file; by default TENANT-MONTH-close.zip here.")] = None,
) -> None:
    """Write a tenant's month from the published file to one ZIP: a page for the browser, and each table as CSV."""
    with messages():
        from netsuite_assets.partitions import month_key
        from netsuite_assets.publish.close_package import told, write_package
        from resources.as_dagster import WarehouseResource
        from resources.warehouse import utc_now

        month_key(period)
        path = to or Path(f"{tenant}-{period}-close.zip")
        package = write_package(WarehouseResource().get().published_path, tenant, period, path, utc_now())
        out.print(told(package), markup=False, soft_wrap=True)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="A query on the published file.")],
) -> None:
    """Run a query on the published file, as any DuckDB client can."""
    with messages():
        from netsuite_assets.publish.query import print_query
        from resources.as_dagster import WarehouseResource

        print_query(out, WarehouseResource().get().published_path, sql)


def _run_job(job: str, tenant: str, period: str) -> None:
    with messages():
        from netsuite_assets.definitions import build_defs
        from netsuite_assets.launch import local_instance, run_job
        from netsuite_assets.mapping.versions import load_mapping
        from netsuite_assets.partitions import first_month, partition_key
        from netsuite_assets.publish.page import print_page
        from netsuite_assets.publish.summary import read_summaries
        from netsuite_assets.runs import TO_TELL
        from netsuite_assets.tell import count
        from resources.as_dagster import TenantsResource, WarehouseResource
        from resources.connections import ledger_url
        from resources.ledger import Ledger

        checked, _ = load_mapping(TenantsResource().get(), tenant, lambda: Ledger(ledger_url(os.environ)))
        checked.load_credentials(os.environ)
        partition_key(tenant, period)
        if period < first_month():
            raise typer.BadParameter(
                f"{period} is before the first month, {first_month()}: set RECON_FIRST_MONTH={period} or earlier."
            )

        def told(step: str, done: bool) -> None:
            if done and not step.endswith("_checks"):
                err.print(f"✓ {step.replace('_', ' ')}", markup=False)

        def said(step: str, message: str) -> None:
            err.print(f"  {step.replace('_', ' ')}: {message}", markup=False, soft_wrap=True)

        with local_instance(ROOT) as instance:
            done = run_job(
                instance,
                build_defs(),
                "write_back" if job == "write_back" else "reconcile",
                tenant,
                period,
                told,
                said,
            )
        for summary in read_summaries(WarehouseResource().get().published_path, period, [tenant]):
            print_page(out, summary)
        to_tell = int(done.metadata.get("applied_corrections", {}).get(TO_TELL, 0))
        if to_tell:
            out.print(
                f"The next run tells billing of {count(to_tell, 'record')} that this one wrote:"
                f" recon write-back {tenant} {period}",
                markup=False,
                soft_wrap=True,
            )


@contextmanager
def messages() -> Iterator[None]:
    """Turn the errors that have a message for people into that message and exit status 1."""
    try:
        yield
    except Exception as error:
        from netsuite_assets.runs import told, told_errors

        shown = told(error, (*told_errors(), *_demo_errors()))
        if not shown:
            raise
        for message in shown:
            err.print(f"recon: {message}", markup=False, soft_wrap=True, style="red")
        raise typer.Exit(1) from None


def _demo_errors() -> tuple[type[Exception], ...]:
    from demo.billing_database import DemoDatabaseError
    from demo.invoice_file import InvoiceFileError
    from demo.netsuite_account import BooksError
    from demo.sandbox_process import SandboxError

    return (BooksError, DemoDatabaseError, InvoiceFileError, SandboxError)


register(app, messages)
cli_check.register(app, messages)
cli_mapping.register(app, messages)
cli_exceptions.register(app, messages)
cli_sign_off.register(app, messages)
cli_ledger.register(app, messages)
cli_tenant.register(app, messages)


def main() -> None:
    """The entry point of the `recon` command."""
    app()
