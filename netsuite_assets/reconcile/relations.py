"""The warehouse's tables as relations of known columns, whatever a tenant maps and its account shows.

Here: reading a table that may lack columns, or not be there at all. Not here: what is made of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from resources.warehouse import TenantWarehouse, quote


def held(warehouse: TenantWarehouse, tables: Mapping[str, tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """SQL of tables' rows with exactly these columns (name to DuckDB type), by the names that they are given here: what
    a table lacks is empty, and one that never landed has no rows.
    """
    present: dict[str, set[str]] = defaultdict(set)
    for table, column in warehouse.sql(
        "SELECT schema_name || '.' || table_name, lower(column_name) FROM duckdb_columns()"
        " WHERE database_name = current_database()"
    ):
        present[table].add(column)
    return {name: _relation(table, present[table], columns) for name, (table, columns) in tables.items()}


def _relation(table: str, present: set[str], columns: Mapping[str, str]) -> str:
    shown = ", ".join(
        f"{quote(name) if name.lower() in present else 'NULL'}::{kind} AS {quote(name)}"
        for name, kind in columns.items()
    )
    return f"(SELECT {shown} FROM {table})" if present else f"(SELECT {shown} WHERE false)"
