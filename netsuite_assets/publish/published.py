"""Opening the published file, as any reader does: read-only, with a message for people when that cannot be.

Not here: what is asked of it (`summary.py`, `query.py`), or writing it (`mart.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from resources.warehouse import WarehouseError


@contextmanager
def opened(published: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A reading connection. Raises `WarehouseError` when nothing was published yet, or the file is broken."""
    if not published.exists():
        raise WarehouseError(
            f"nothing is published yet: there is no {published}."
            " Run: recon reconcile TENANT MONTH (or recon demo), or materialize published_mart."
        )
    try:
        connection = duckdb.connect(str(published), read_only=True)
    except duckdb.Error as error:
        raise WarehouseError(
            f"the published file cannot be read: {error}. Delete it; each tenant's next run publishes its part anew."
        ) from None
    try:
        yield connection
    finally:
        connection.close()


def columns(published: Path) -> dict[str, str]:
    """The type of every column, as `table.column`, in the file's order."""
    with opened(published) as connection:
        return dict(
            connection.execute(
                "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns"
                " WHERE table_schema = 'main' ORDER BY table_name, ordinal_position"
            ).fetchall()
        )
