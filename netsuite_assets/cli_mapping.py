"""`recon lint`, `schema`, `init`, `import`, `explain`, `mapping …`: the tools for tenants' files, for integration engineers.

Here: arguments, what is printed, exit statuses. Not here: any of the work (`netsuite_assets/mapping`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from netsuite_assets.mapping.compiler import Mapping as TenantMapping
    from netsuite_assets.mapping.lint import Account, Finding, Linted
    from netsuite_assets.mapping.scaffold import AskedAccount
    from netsuite_assets.mapping.versions import Version
    from resources.netsuite.client import NetSuite
    from resources.tenants import Tenant

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

TenantName = Annotated[
    str, typer.Argument(metavar="TENANT", help="The tenant, as its file in tenants/ is called.")
]
Messages = Callable[[], AbstractContextManager[None]]

#: Columns that may say which of the seller's companies a bill is of; their values are asked for.
LEGAL_ENTITIES = ("legal_entity", "company_code", "seller", "entity")

#: How long a check of a file waits for a run that holds the tenant's warehouse.
_LOCK_SECONDS = 5.0


class Auth(StrEnum):
    """The ways to sign in, as `netsuite.auth.method` names them."""

    CLIENT_CREDENTIALS = "oauth2_client_credentials"
    AUTHORIZATION_CODE = "oauth2_authorization_code"
    TBA = "tba"


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
    def explain(
        tenant: TenantName,
        record: Annotated[
            str, typer.Argument(help="The record type, such as customer, invoice or creditMemo.")
        ],
        named: Annotated[
            str,
            typer.Argument(
                metavar="EXTERNAL_ID", help="Its external id, such as inv-1042, or billing's number or id."
            ),
        ],
    ) -> None:
        """Show where each NetSuite field of one record comes from: its value, the source value, rule, line of the file.

        How a look-up found it, or that the default was taken, stands beside it.
        """
        with messages():
            run_explain(tenant, record, named)

    @app.command()
    def schema() -> None:
        """Print the JSON Schema of tenants' files, by which editors complete and check them."""
        with messages():
            from netsuite_assets.mapping.json_schema import schema_text

            typer.echo(schema_text(), nl=False)

    @app.command()
    def init(
        tenant: TenantName,
        account: Annotated[str, typer.Option(help="The NetSuite account id, such as 1234567_SB1.")],
        prefix: Annotated[
            str | None,
            typer.Option(
                help="What the variables with the credentials begin with: ACME for ACME_NS_CLIENT_ID, ACME_BILLING_URL, …"
                " The tenant's name if left out."
            ),
        ] = None,
        auth: Annotated[Auth, typer.Option(help="How to sign in to NetSuite.")] = Auth.CLIENT_CREDENTIALS,
        timezone: Annotated[
            str | None, typer.Option(help="Of the tenant's bills, such as Europe/Berlin; UTC if left out.")
        ] = None,
        first_month: Annotated[
            str | None,
            typer.Option(help="The first month to reconcile, YYYY-MM; the running one if left out."),
        ] = None,
        extends: Annotated[
            str | None, typer.Option(help="The base file; _defaults if left out and there is one.")
        ] = None,
        output: Annotated[
            Path | None, typer.Option(help="Write here instead of the tenants' folder. Never overwrites.")
        ] = None,
    ) -> None:
        """Write a first file for a tenant: what its account and its billing database seem to have in common.

        Every guess is marked '# review:' with its reason. Set the variables with the credentials first;
        PREFIX_NS_URL is asked instead of the account's own address where it is set (the sandbox, a proxy).
        """
        with messages(), _file_messages():
            run_init(tenant, account, prefix, auth, timezone, first_month, extends, output)

    @app.command("import")
    def import_(
        file: Annotated[Path, typer.Argument(metavar="FILE.CSV", help="Columns source, target, rule.")],
        tenant: Annotated[str, typer.Option(help="The tenant, as its file in tenants/ is called.")],
        record: Annotated[
            str, typer.Option(help="The record of rows that do not say one in a column 'record'.")
        ] = "invoice",
        output: Annotated[
            Path | None,
            typer.Option(help="Write here instead of tenants/_TENANT-imported.yaml. Never overwrites."),
        ] = None,
    ) -> None:
        """Turn a mapping kept as CSV into rules, in a base file that the tenant can extend.

        Every row that cannot be a rule is told with its reason, and stands in the file as a remark; the exit status is
        then 1.
        """
        with messages(), _file_messages():
            complete = run_import(file, tenant, record, output)
        if not complete:
            raise typer.Exit(1)

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


@contextmanager
def _file_messages() -> Iterator[None]:
    """What is wrong with a file that is read or written here, as a message and exit status 1."""
    from netsuite_assets.mapping.imported import MappingFileError

    try:
        yield
    except MappingFileError as error:
        err.print(f"recon: {error}", markup=False, soft_wrap=True, style="red")
        raise typer.Exit(1) from None


def run_init(
    name: str,
    account: str,
    prefix: str | None,
    auth: Auth,
    timezone: str | None,
    first_month: str | None,
    extends: str | None,
    output: Path | None,
) -> None:
    """Ask both sides and write the file; see `recon init`."""
    from netsuite_assets.mapping.scaffold import Connection, candidate, tenant_text
    from resources.as_dagster import TenantsResource
    from resources.billing.discovery import discover
    from resources.connections import netsuite_client
    from resources.warehouse import utc_now

    folder = TenantsResource().get().root
    target = output or folder / f"{name}.yaml"
    _refuse_existing(target)
    variables = prefix or name.upper().replace("-", "_")
    if extends is None and (folder / "_defaults.yaml").is_file():
        extends = "_defaults"
    given = Connection(
        name,
        account,
        auth.value,
        variables,
        timezone or "UTC",
        first_month or f"{utc_now():%Y-%m}",
        extends,
        has_base_url=f"{variables}_NS_URL" in os.environ,
        assumed=[
            key for key, value in (("timezone", timezone), ("first_month", first_month)) if value is None
        ],
    )
    tenant = candidate(given, folder)
    credentials = tenant.load_credentials(os.environ)
    found = discover(credentials.billing_url.get_secret_value(), given.timezone, LEGAL_ENTITIES)

    text = tenant_text(given, asyncio.run(_asked(netsuite_client(tenant, os.environ))), found, folder)
    _write_new(target, text)
    reviews = sum("# review: " in line for line in text.splitlines())
    out.print(
        f"{target} is written. {reviews} lines are guesses, marked '# review:'.", markup=False, soft_wrap=True
    )
    out.print(f"Read it, then: recon lint {name}; recon check {name}", markup=False)


async def _asked(client: NetSuite) -> AskedAccount:
    """The account's schema, and its subsidiaries where there are any."""
    from netsuite_assets.mapping.scaffold import RECORDS, AskedAccount
    from resources.netsuite.catalog import read_catalog
    from resources.netsuite.errors import NotFound, PermissionDenied, Rejected

    async with client:
        catalog = await read_catalog(client, RECORDS)
        try:
            rows = await client.suiteql_rows(
                "SELECT id, name FROM subsidiary WHERE isinactive = 'F' ORDER BY id"
            )
        except (NotFound, PermissionDenied, Rejected):
            rows = []  # A single company has none, and a role need not see them.
    return AskedAccount(catalog, {row["id"]: row.get("name", "") for row in rows})


def run_import(file: Path, name: str, record: str, output: Path | None) -> bool:
    """Translate and write; whether every row became a rule. See `recon import`."""
    from netsuite_assets.mapping.imported import file_text, read_rows, translate
    from resources.as_dagster import TenantsResource

    registry = TenantsResource().get()
    tenant = registry.load(name)
    target = output or registry.root / f"_{name}-imported.yaml"
    _refuse_existing(target)
    imported = translate(read_rows(file, record), tenant, registry.root)
    _write_new(target, file_text(imported, file.name, tenant))
    for refused in imported.refused:
        err.print(f"{file}: {refused}", markup=False, soft_wrap=True)
    total = len(imported.translated) + len(imported.refused)
    out.print(
        f"{len(imported.translated)} of {total} rows are rules in {target}.", markup=False, soft_wrap=True
    )
    if output is None:
        out.print(
            f"Say 'extends: _{name}-imported' in {name}.yaml to use them, then: recon lint {name}",
            markup=False,
        )
    return not imported.refused


def _refuse_existing(target: Path) -> None:
    from netsuite_assets.mapping.imported import MappingFileError

    if target.exists():
        raise MappingFileError(
            f"{target} is there already and is never overwritten. Move it away, or give --output."
        )


def _write_new(target: Path, text: str) -> None:
    from netsuite_assets.mapping.imported import MappingFileError

    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise MappingFileError(f"{target} cannot be written: {error.strerror}.") from None


def _versions(tenant: str) -> list[Version]:
    from netsuite_assets.mapping.versions import versions_of
    from resources.as_dagster import LedgerResource
    from resources.ledger import LedgerError

    with LedgerResource().open(existing=True) as ledger:
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


def run_explain(name: str, record: str, named: str) -> None:
    """Find the record and print its fields; see `recon explain`."""
    from netsuite_assets.mapping.compiler import compile_mapping
    from netsuite_assets.mapping.examples import external_id_of
    from netsuite_assets.publish.explanation import print_explanation
    from resources.as_dagster import TenantsResource, WarehouseResource
    from resources.warehouse import WarehouseError

    mapping = compile_mapping(TenantsResource().get().load(name))
    if record not in mapping.records:
        raise typer.BadParameter(f"the mapping of {name} has {', '.join(mapping.records)}, not {record}.")
    rules = mapping.records[record]
    with WarehouseResource().get().open(name, existing=True) as held:
        if not held.columns(f"billing.{rules.tables.billing}"):
            raise WarehouseError(
                f"the warehouse holds nothing of {name}'s billing yet. Run: recon reconcile {name} MONTH"
            )
        external_id = external_id_of(held, rules, named)
        print_explanation(out, mapping.explain(held.connection, record, external_id), record, external_id)


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
