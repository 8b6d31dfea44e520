"""Rows on a terminal: as a table where it fits, else a paragraph each, so that nothing is cut off.

Here: layout only. Not here: what is worth showing, or Markdown for Dagster's pages (`tell.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

#: Wider than any table is.
_UNBOUND = 100_000
_INDENT = 4


def print_rows(
    console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]], *, lead: int
) -> None:
    """Print rows of text, which is no markup. Headings that begin with `>` are right-aligned.

    The first `lead` cells of a row begin its paragraph; the others follow with their headings, unless they are empty,
    in one line where they fit.
    """
    titles = [heading.removeprefix(">") for heading in headings]
    table = Table(
        *(
            Column(Text(title), justify="right" if heading.startswith(">") else "left")
            for heading, title in zip(headings, titles, strict=True)
        ),
        box=box.SIMPLE_HEAD,
    )
    for row in rows:
        table.add_row(*map(Text, row))
    unbound = console.options.update(max_width=_UNBOUND)
    if console.measure(table, options=unbound).maximum <= console.width:
        console.print(table)
        return
    for row in rows:
        first, *more = [cell for cell in row[:lead] if cell] or [""]
        console.print(Text.assemble((first, "bold"), *(f"  {cell}" for cell in more)), soft_wrap=True)
        told = [f"{title}: {cell}" for title, cell in zip(titles[lead:], row[lead:], strict=True) if cell]
        together = "; ".join(told)
        for text in [together] if len(together) + _INDENT <= console.width else told:
            console.print(Text(" " * _INDENT + text), soft_wrap=True)
