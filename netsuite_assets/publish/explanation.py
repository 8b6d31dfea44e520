"""Where each field of one record comes from, printed. Here: the layout; the explanation is the mapping's."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from netsuite_assets.mapping.compiler import Explained
from resources.warehouse import WarehouseError


def print_explanation(
    console: Console, explained: Sequence[Explained], record: str, external_id: str
) -> None:
    """Print one row a field. Raises `WarehouseError` when billing has no such record in the warehouse."""
    if not explained:
        raise WarehouseError(
            f"billing has no {record} {external_id} in any month that was extracted. Check the external id, or"
            " extract its month first: recon reconcile TENANT MONTH"
        )
    table = Table(
        "line", "field", "value", "from", "rule", "written at", "found by", "problem", box=box.SIMPLE_HEAD
    )
    for field in explained:
        table.add_row(
            "" if field.line is None else str(field.line),
            field.field,
            field.value or "",
            field.source or "",
            field.rule,
            field.where,
            f"default '{field.fallback}'" if field.fallback else field.found_by or "",
            field.problem or "",
        )
    console.print(table)
