"""Where each field of one record comes from, printed. Here: the layout; the explanation is the mapping's."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from netsuite_assets.mapping.compiler import Explained
from netsuite_assets.mapping.examples import HEADINGS, cells
from resources.warehouse import WarehouseError


def print_explanation(
    console: Console, explained: Sequence[Explained], record: str, external_id: str
) -> None:
    """Print one row a field, or a paragraph each where the terminal is too narrow for the table.

    Raises `WarehouseError` when billing has no such record in the warehouse.
    """
    if not explained:
        raise WarehouseError(
            f"billing has no {record} {external_id} in any month that was extracted. Check the external id, or"
            " extract its month first: recon reconcile TENANT MONTH"
        )
    rows = [[escape(cell) for cell in row] for row in cells(explained)]
    table = Table(*HEADINGS, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    unbound = console.options.update(max_width=10_000)
    if console.measure(table, options=unbound).maximum <= console.width:
        console.print(table)
        return
    for row in rows:
        told = dict(zip(HEADINGS, row, strict=True))
        line = f"line {told.pop('line')} " if told["line"] else ""
        console.print(f"{line}[bold]{told.pop('field')}[/bold]: {told.pop('value')}", soft_wrap=True)
        for heading, cell in told.items():
            if cell:
                console.print(f"    {heading}: {cell}", soft_wrap=True)
