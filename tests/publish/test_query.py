"""A query on the published file from the command line: its rows as they are, its mistakes in one message."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from month import Month
from rich.console import Console

from netsuite_assets.publish.mart import Published
from netsuite_assets.publish.query import print_query
from resources.warehouse import Warehouse, WarehouseError


def answer(warehouse: Warehouse, sql: str) -> str:
    console = Console(record=True, width=200, file=StringIO())
    print_query(console, warehouse.published_path, sql)
    return " ".join(console.export_text().split())


def test_rows_are_shown_as_they_are(
    october: Month, published: Callable[[Month], Published], warehouse: Warehouse
) -> None:
    published(october)
    said = answer(
        warehouse, "SELECT number, billed_total, '[/b]' AS \"[x\" FROM documents WHERE number = 'N-plain'"
    )
    assert "number billed_total [x" in said
    assert "N-plain 150.8700 [/b]" in said
    assert said.endswith("1 row")
    assert answer(warehouse, "SELECT * FROM range(300)").endswith("200 rows and more")
    with pytest.raises(WarehouseError, match=r"DuckDB refuses the query: .*nosuch"):
        answer(warehouse, "SELECT nosuch FROM documents")
    with pytest.raises(WarehouseError, match="DuckDB refuses the query"):
        answer(warehouse, "DELETE FROM documents")


def test_before_the_first_publication_there_is_nothing_to_ask(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="nothing is published yet"):
        answer(warehouse, "SELECT 1")
