"""The demo from end to end: fill billing and NetSuite, reconcile, write back, verify, and print a page a tenant.

Here: the order of the scenes and what is printed. Not here: the stage (`stage.py`) or the pipeline, which is the
code location's own jobs, run as Dagster runs them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from demo.sandbox_process import Sandbox
from demo.stage import ROOT, DemoTenant, Stage

if TYPE_CHECKING:
    import dagster as dg

#: What each step of a run does, for the line of progress.
STEPS = {
    "billing_customers": "reading billing's customers",
    "billing_invoices": "reading billing's invoices",
    "billing_credit_notes": "reading billing's credit notes",
    "billing_payments": "reading billing's payments",
    "billing_journals": "reading billing's journal entries",
    "netsuite_reference": "reading NetSuite's items, accounts, terms and periods",
    "netsuite_customers": "reading NetSuite's customers",
    "expected_records": "working out what NetSuite should hold",
    "netsuite_invoices": "reading NetSuite's invoices",
    "netsuite_credit_memos": "reading NetSuite's credit memos",
    "netsuite_trails": "reading who changed what in NetSuite",
    "netsuite_revenue": "reading NetSuite's revenue plans",
    "differences": "comparing",
    "correction_plan": "planning the repair",
    "applied_corrections": "writing to NetSuite",
    "verified_books": "reading back what was written",
    "month_sign_off": "looking whether a signed month still ties",
    "published_mart": "publishing for analysts",
}

QUERIES = (
    (
        "What differed, by kind and amount",
        "SELECT tenant, record, kind, currency, count(*) AS n, sum(amount) AS amount FROM differences GROUP BY ALL ORDER BY ALL",
    ),
    (
        "What needs a person, and why",
        "SELECT tenant, number, name, amount, currency, reason, next_step FROM exceptions ORDER BY amount DESC",
    ),
    (
        "Every write, with NetSuite's answer",
        "SELECT tenant, action, record, number, internal_id, state, state_at FROM write_history ORDER BY intended_at",
    ),
)


def run_demo(console: Console, stage: Stage, tenants: Sequence[DemoTenant], *, apply: bool = True) -> None:
    """Play the demo for these tenants on `stage`; prints as it goes.

    `apply` False plans and writes nothing to NetSuite. Raises the errors of the demo's modules, and, when the other
    tenants have run, `netsuite_assets.launch.RunFailed` with the failing assets' messages.
    """
    began = time.monotonic()
    with _progress(console) as progress, stage.sandbox() as sandbox:
        stage.set_environment(sandbox, min(tenant.period for tenant in tenants))
        for tenant in tenants:
            _fill(progress, stage, sandbox, tenant)
        # Only now: the partitions begin with the month that the environment names.
        from netsuite_assets.definitions import build_defs
        from netsuite_assets.launch import RunFailed, local_instance

        definitions = build_defs()
        failed: dict[str, str] = {}
        with local_instance(ROOT) as instance:
            for tenant in tenants:
                try:
                    _run(progress, instance, definitions, tenant, apply)
                except RunFailed as error:
                    failed[tenant.name] = str(error)
    _print_pages(console, [tenant for tenant in tenants if tenant.name not in failed])
    if failed:
        raise RunFailed("\n".join(f"{name}: {told}" for name, told in failed.items()))
    console.print(f"{time.monotonic() - began:.0f} seconds. To see it in Dagster's pages: [bold]make ui[/]")


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _fill(progress: Progress, stage: Stage, sandbox: Sandbox, tenant: DemoTenant) -> None:
    documents = len(tenant.billing.invoices) + len(tenant.billing.credit_notes)
    task = progress.add_task(f"{tenant.name}: filling the billing database", total=documents)
    stage.fill_billing(tenant)
    progress.update(task, completed=documents)
    books = progress.add_task(f"{tenant.name}: filling the demo NetSuite account", total=None)

    def counted(done: int, total: int) -> None:
        progress.update(books, completed=done, total=total)

    stage.fill_netsuite(tenant, sandbox, counted)
    if progress.tasks[books].total is None:
        progress.update(
            books,
            description=f"{tenant.name}: the demo NetSuite account is filled already",
            total=1,
            completed=1,
        )


def _run(
    progress: Progress,
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    tenant: DemoTenant,
    apply: bool,
) -> None:
    from netsuite_assets.launch import run_job

    steps = [step for step in STEPS if apply or step not in ("applied_corrections", "verified_books")]
    task = progress.add_task(f"{tenant.name}: starting", total=len(steps))

    def told(step: str, done: bool) -> None:
        if step in STEPS:
            progress.update(task, advance=1 if done else 0, description=f"{tenant.name}: {STEPS[step]}")

    run_job(instance, definitions, "write_back" if apply else "reconcile", tenant.name, tenant.period, told)
    progress.update(task, description=f"{tenant.name}: reconciled", completed=len(steps))


def _print_pages(console: Console, tenants: Sequence[DemoTenant]) -> None:
    if not tenants:
        return
    from netsuite_assets.publish.page import print_page
    from netsuite_assets.publish.summary import read_summaries
    from resources.as_dagster import WarehouseResource

    published = WarehouseResource().get().published_path
    for tenant in tenants:
        (summary,) = read_summaries(published, tenant.period, [tenant.name])
        print_page(console, summary)
    console.print(f"\nThe published file: [bold]{_shown(published)}[/]. Three queries to try on it:")
    for title, query in QUERIES:
        console.print(f"  [dim]-- {title}[/]")
        console.print(f'  .venv/bin/recon query "{query}"', soft_wrap=True, highlight=False, markup=False)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
