"""`recon ledger`: prove the ledger consistent, and hand an auditor a month of it.

Here: arguments and what is printed. Not here: the work (`resources/ledger/proof.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console(highlight=False)
Messages = Callable[[], AbstractContextManager[None]]

#: Findings that are printed.
_SHOWN = 100


def register(app: typer.Typer, messages: Messages) -> None:
    """Add the commands to `app`; `messages` turns errors into what is printed."""
    group = typer.Typer(
        no_args_is_help=True, help="Prove the ledger consistent; hand an auditor a month of it."
    )
    app.add_typer(group, name="ledger")

    @group.command()
    def verify() -> None:
        """Prove that the ledger is consistent: bytes as hashed, nothing sent unapproved, every story whole.

        Exit status 1 when anything is wrong.
        """
        with messages():
            from resources.as_dagster import LedgerResource

            with LedgerResource().open(existing=True) as ledger:
                proven = ledger.verify()
        looked_at = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in proven.rows.items())
        out.print(f"Looked at {looked_at}.", markup=False, soft_wrap=True)
        for finding in proven.findings[:_SHOWN]:
            out.print(f"✗ {finding}", markup=False, soft_wrap=True)
        if len(proven.findings) > _SHOWN:
            out.print(f"… and {len(proven.findings) - _SHOWN:,} more.", markup=False)
        if proven.findings:
            out.print(
                "Something changed the ledger past this program. Compare it with its backup.", markup=False
            )
            raise typer.Exit(1)
        out.print("The ledger is consistent.", markup=False)

    @group.command()
    def export(
        tenant: Annotated[str, typer.Argument(help="The tenant, as its file in tenants/ is called.")],
        month: Annotated[str, typer.Argument(metavar="MONTH", help="The accounting month, YYYY-MM.")],
        to: Annotated[
            Path | None, typer.Option(help="The file; by default TENANT-MONTH-ledger.zip here.")
        ] = None,
    ) -> None:
        """Write a month's intents, approvals, hashes, answers and read-backs to one file for an auditor."""
        with messages():
            from netsuite_assets.partitions import month_key
            from resources.as_dagster import LedgerResource

            month_key(month)
            path = to or Path(f"{tenant}-{month}-ledger.zip")
            with LedgerResource().open(existing=True) as ledger:
                rows = ledger.export(tenant, month, path)
        counted = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in rows.items())
        out.print(f"Written to {path}: {counted}.", markup=False, soft_wrap=True)
