"""A query on the published file, printed: what an analyst does in any DuckDB client, for the command line."""

from __future__ import annotations

from pathlib import Path

import duckdb
from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from netsuite_assets.publish.published import opened
from netsuite_assets.tell import count
from resources.warehouse import WarehouseError

_ROWS = 200


def print_query(console: Console, published: Path, sql: str) -> None:
    """Print the first rows of a query.

    Raises `WarehouseError` for a missing or broken file, or a query that DuckDB refuses.
    """
    with opened(published) as connection:
        try:
            result = connection.execute(sql)
            names = [column[0] for column in result.description or []]
            rows = result.fetchmany(_ROWS + 1)
        except duckdb.Error as error:
            raise WarehouseError(f"DuckDB refuses the query: {error}") from None
    # As text throughout: what people typed in square brackets is no markup.
    table = Table(*(Column(Text(name), overflow="fold") for name in names), box=box.SIMPLE_HEAD)
    for row in rows[:_ROWS]:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    console.print(table)
    console.print(count(min(len(rows), _ROWS), "row") + (" and more" if len(rows) > _ROWS else ""))
