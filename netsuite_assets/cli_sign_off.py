"""`recon sign-off`: a month is prepared by one person and reviewed by another.

Here: arguments and what is printed. Not here: the work (`netsuite_assets/close/sign_off.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

if TYPE_CHECKING:
    from netsuite_assets.close.figures import MonthFigures

out = Console(highlight=False)
Messages = Callable[[], AbstractContextManager[None]]

TenantName = Annotated[
    str, typer.Argument(metavar="TENANT", help="The tenant, as its file in tenants/ is called.")
]
Month = Annotated[str, typer.Argument(metavar="MONTH", help="The accounting month, YYYY-MM.")]
By = Annotated[str, typer.Option(help="Your name, for the auditor.")]
Despite = Annotated[
    str | None,
    typer.Option(
        help="Why it is signed although exceptions are open; kept with the signature.", metavar="WHY"
    ),
]


def register(app: typer.Typer, messages: Messages) -> None:
    """Add the commands to `app`; `messages` turns errors into what is printed."""
    group = typer.Typer(
        no_args_is_help=True, help="Sign a month off, by two people; see whether it still ties."
    )
    app.add_typer(group, name="sign-off")

    @group.command()
    def prepare(
        tenant: TenantName,
        month: Month,
        by: By,
        note: Annotated[str, typer.Option(help="What you looked at.")],
        despite: Despite = None,
    ) -> None:
        """Prepare a month with the figures that it has now. Reconcile it first."""
        with messages():
            run(tenant, month, "prepare", by, note, despite)

    @group.command()
    def review(
        tenant: TenantName,
        month: Month,
        by: By,
        note: Annotated[str, typer.Option(help="What you looked at.")],
        despite: Despite = None,
    ) -> None:
        """Review what another person prepared: the month is signed off, and is opened again when it no longer ties."""
        with messages():
            run(tenant, month, "review", by, note, despite)

    @group.command()
    def withdraw(
        tenant: TenantName,
        month: Month,
        by: By,
        note: Annotated[str, typer.Option(help="Why it is not signed off any more.")],
    ) -> None:
        """Take a month's sign-off back."""
        with messages():
            run(tenant, month, "withdraw", by, note, None)

    @group.command()
    def show(tenant: TenantName, month: Month) -> None:
        """Show who signed a month, with which figures, and what happened to it since."""
        with messages():
            print_sign_off(tenant, month)


def run(
    tenant: str,
    period: str,
    action: Literal["prepare", "review", "withdraw"],
    by: str,
    note: str,
    despite: str | None,
) -> None:
    """Do it, publish it, and show the month's sign-off."""
    from netsuite_assets.close.sign_off import SigningMonth, step
    from netsuite_assets.mapping.compiler import compile_mapping
    from netsuite_assets.partitions import month_key
    from netsuite_assets.publish.mart import publish
    from resources.as_dagster import LedgerResource, TenantsResource, WarehouseResource
    from resources.warehouse import utc_now

    known = TenantsResource().get().load(tenant)
    month_key(period)
    warehouse = WarehouseResource().get()
    with LedgerResource().open(existing=True) as ledger, warehouse.open(tenant, existing=True) as held:
        now = utc_now()
        month = SigningMonth(held, ledger, known, compile_mapping(known), period)
        step(month, action, by, note, despite, now, f"cli-{uuid.uuid4()}")
        publish(warehouse, held, ledger, now)
    print_sign_off(tenant, period)


def print_sign_off(tenant: str, period: str) -> None:
    """The month's state, the figures seen last, and its history."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from netsuite_assets.close.sign_off import figures_of, state_of
    from netsuite_assets.partitions import month_key
    from resources.as_dagster import LedgerResource, TenantsResource

    TenantsResource().get().load(tenant)
    month_key(period)
    with LedgerResource().open(existing=True) as ledger:
        events = ledger.sign_off_events(tenant, period)
    out.print(f"{tenant}, {period}: {state_of(events)}.", markup=False)
    if not events:
        return
    seen = next(event for event in reversed(events) if event.figures)
    out.print(f"What {seen.by} saw on {seen.at:%Y-%m-%d %H:%M} UTC:", markup=False)
    _print_figures(figures_of(seen))
    table = Table("when", "what", "by", "note", "despite open exceptions", box=box.SIMPLE_HEAD)
    for event in events:
        table.add_row(
            f"{event.at:%Y-%m-%d %H:%M} UTC",
            event.kind,
            Text(event.by),
            Text(event.note),
            Text(event.despite or ""),
        )
    out.print(table)
    if events[-1].changes:
        _print_changes(events[-1].changes)


def _print_figures(figures: MonthFigures) -> None:
    from rich import box
    from rich.table import Table

    from netsuite_assets.close.page import documents_text, waiting_text
    from netsuite_assets.tell import money

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("", "billed", "held back", "NetSuite", "difference", "unexplained"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in figures.totals:
        table.add_row(
            f"{row.record}, {row.currency}",
            documents_text(row.billed_documents, row.billed),
            documents_text(row.held_back_documents, row.held_back),
            documents_text(row.netsuite_documents, row.netsuite),
            money(row.difference, None),
            money(row.unexplained, None),
        )
    out.print(table)
    out.print(f"Open exceptions: {waiting_text(figures.open)}.", markup=False)
    out.print(f"Accepted exceptions: {waiting_text(figures.accepted)}.", markup=False)
    out.print(f"Fingerprint: {figures.fingerprint[:16]}", markup=False)


def _print_changes(text: str) -> None:
    from netsuite_assets.close.changes import Changes

    changes = Changes.model_validate_json(text)
    out.print(f"What changed since: {changes.told}", markup=False)
    for change in changes.first:
        name = change.number or change.external_id or change.internal_id
        out.print(f"  {change.record} {name}: {change.told}", markup=False, soft_wrap=True)
    if changes.documents > len(changes.first):
        out.print("  … and more, each of them an exception.", markup=False)
