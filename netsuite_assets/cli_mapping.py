"""`recon lint`, `schema`, `init`, `import`, `explain`, `mapping …`: the tools for tenants' files, for integration engineers.

Here: arguments, what is printed, exit statuses. Not here: any of the work (`netsuite_assets/mapping`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from netsuite_assets.mapping.compiler import Mapping as TenantMapping
    from netsuite_assets.mapping.lint import Account, Finding, Linted
    from netsuite_assets.mapping.versions import Version
    from resources.tenants import Tenant

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

TenantName = Annotated[
    str, typer.Argument(metavar="TENANT", help="The tenant, as its file in tenants/ is called.")
]
Messages = Callable[[], AbstractContextManager[None]]

#: How long a check of a file waits for a run that holds the tenant's warehouse.
_LOCK_SECONDS = 5.0


class Format(StrEnum):
    """How findings are written."""

    TEXT = "text"
    GITHUB = "github"
    JSON = "json"


def register(app: typer.Typer, messages: Messages) -> None:
    """Add the commands to `app`; `messages` turns errors into what is printed."""

    @app.command()
    def lint(
        tenant: Annotated[str | None, typer.Argument(help="One tenant; all when left out.")] = None,
        form: Annotated[
            Format, typer.Option("--format", help="For people, for GitHub's annotations, or as JSON.")
        ] = Format.TEXT,
        catalog: Annotated[
            bool | None,
            typer.Option(
                "--catalog/--no-catalog",
                help="Also check against the account's schema in the warehouse. Left out: where there is one.",
            ),
        ] = None,
    ) -> None:
        """Check tenants' files without any connection: every mistake with its file, line and column.

        Exit status: 0 nothing wrong (warnings may be), 1 mistakes, 2 wrong arguments.
        """
        with messages():
            linted = run_lint(tenant, form, catalog)
        if not linted.ok:
            raise typer.Exit(1)

    @app.command()
    def schema() -> None:
        """Print the JSON Schema of tenants' files, by which editors complete and check them."""
        with messages():
            from netsuite_assets.mapping.json_schema import schema_text

            typer.echo(schema_text(), nl=False)

    mapping = typer.Typer(help="The versions of a tenant's mapping that ran.", no_args_is_help=True)
    app.add_typer(mapping, name="mapping")

    @mapping.command()
    def history(tenant: TenantName) -> None:
        """Show each version that ran: since when, what it changed, and the plans that it made."""
        with messages():
            print_history(out, tenant, _versions(tenant))

    @mapping.command()
    def show(
        tenant: TenantName,
        version: Annotated[
            str | None,
            typer.Argument(metavar="[HASH]", help="Its hash, or the first letters; the latest if left out."),
        ] = None,
    ) -> None:
        """Print a version as it counted, after everything that the file extended, as YAML."""
        with messages():
            typer.echo(version_text(tenant, _versions(tenant), version), nl=False)


def _versions(tenant: str) -> list[Version]:
    from netsuite_assets.mapping.versions import versions_of
    from resources.as_dagster import LedgerResource
    from resources.ledger import LedgerError

    with LedgerResource().open() as ledger:
        versions = versions_of(ledger, tenant)
    if not versions:
        raise LedgerError(
            f"no version of {tenant} has run yet; recon reconcile {tenant} MONTH runs the first."
        )
    return versions


def print_history(console: Console, tenant: str, versions: Sequence[Version]) -> None:
    """Print the versions, the latest first, each with its changes and plans."""
    from rich.markup import escape

    for version in reversed(versions):
        until = f"until {version.used_until:%Y-%m-%d %H:%M}" if version.used_until else "still in use"
        console.print(
            f"[bold]{version.number}[/bold]  {version.hash[:12]}  from {version.used_from:%Y-%m-%d %H:%M} UTC, {until}"
        )
        for change in version.changes:
            told = {
                "added": f"+ {change.path}: {change.after}",
                "removed": f"- {change.path}: {change.before}",
                "changed": f"~ {change.path}: {change.before} → {change.after}",
            }[change.kind]
            console.print(f"     {escape(told)}", soft_wrap=True)
        for plan in version.plans:
            console.print(
                f"     plan {plan.plan_id[:12]} of {plan.period}, made {plan.made_at:%Y-%m-%d %H:%M} UTC:"
                f" {plan.operations} operations",
                soft_wrap=True,
            )
    console.print(
        f"{len(versions)} of {tenant}; read one with: recon mapping show {tenant} HASH", markup=False
    )


def version_text(tenant: str, versions: Sequence[Version], wanted: str | None) -> str:
    """A version as YAML. Raises `LedgerError` when there is none, or several, of this hash."""
    import yaml

    from resources.ledger import LedgerError

    named = {version.hash: version for version in versions if version.hash.startswith(wanted or "")}
    if wanted is not None and len(named) != 1:
        known = ", ".join(dict.fromkeys(version.hash[:12] for version in versions))
        how = "several versions" if named else "no version"
        raise LedgerError(f"{tenant} has {how} '{wanted[:64]}'. There are: {known}.")
    version = named[next(iter(named))] if wanted is not None else versions[-1]
    until = f"until {version.used_until:%Y-%m-%d %H:%M} UTC" if version.used_until else "still in use"
    head = f"# {tenant}, version {version.number}, {version.hash}\n# from {version.used_from:%Y-%m-%d %H:%M} UTC, {until}\n"
    return head + yaml.safe_dump(version.effective, sort_keys=False, allow_unicode=True, width=110)


def run_lint(name: str | None, form: Format, catalog: bool | None) -> Linted:
    """Check and print; see `recon lint`."""
    from netsuite_assets.mapping.lint import as_github, as_json
    from netsuite_assets.mapping.lint import lint as check
    from resources.as_dagster import TenantsResource

    registry = TenantsResource().get()
    linted = check(registry, name, None if catalog is False else _account(required=catalog is True))
    if form is Format.JSON:
        typer.echo(as_json(linted, registry.root))
    elif form is Format.GITHUB:
        typer.echo(as_github(linted, registry.root), nl=bool(linted.findings))
    else:
        for finding in linted.findings:
            err.print(str(finding), markup=False, soft_wrap=True)
        count = len(linted.tenants)
        if linted.ok:
            out.print(f"{count} of {count} tenant files are right.")
        for tenant, seen in linted.accounts.items():
            out.print(
                f"{tenant}: checked against the account's schema as it was last read, {seen:%Y-%m-%d %H:%M} UTC.",
                markup=False,
                soft_wrap=True,
            )
    return linted


def _account(*, required: bool) -> Account:
    """Holds a tenant against its account as the warehouse knows it; `required`: not knowing it is a mistake."""
    from netsuite_assets.mapping.lint import Finding, lint_account
    from resources.as_dagster import WarehouseResource
    from resources.warehouse import WarehouseError

    warehouse = replace(WarehouseResource().get(), lock_seconds=_LOCK_SECONDS)

    def unknown(tenant: Tenant, why: str) -> tuple[Sequence[Finding], None]:
        place = tenant.place("netsuite", "account")
        message = f"the file is not checked against the account: {why}"
        return [Finding.at(place, message, "error" if required else "warning")], None

    def account(tenant: Tenant, mapping: TenantMapping) -> tuple[Sequence[Finding], datetime | None]:
        never = "its schema was never read. Materialize netsuite_catalog, or run recon reconcile, first"
        if not warehouse.path(tenant.name).exists():
            return unknown(tenant, never) if required else ([], None)
        try:
            with warehouse.open(tenant.name) as held:
                found, seen = lint_account(tenant, mapping, held)
        except WarehouseError as error:
            return unknown(tenant, str(error))
        return unknown(tenant, never) if seen is None and required else (found, seen)

    return account
